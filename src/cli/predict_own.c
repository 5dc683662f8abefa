/* A class or a number for each row of a table, and how good they are where the table has labels. */
#include <math.h>
#include <string.h>

#include "base/print.h"
#include "base/str.h"
#include "cli/predict.h"
#include "io/json.h"

typedef struct {
    Prediction *of;
    OwnSet set;
    OwnPredictions y;
    bool labelled;
    Scores scores;
} Rows;

static void remark_cut(const Rows *w, const OwnTexts *x)
{
    const OwnPlan *p = &w->of->p.own;
    if (!x->cut || args_quiet(w->of->args)) return;
    print_err("%lld of %lld rows have more than %d tokens; %s\n", (long long)x->cut, (long long)x->rows, p->length,
              p->window ? "they are read in windows"
                        : str_print(w->of->run, "%.1f %% of all tokens are cut",
                                    100 * (double)x->lost / (double)x->tokens));
}

static Status predict_all(Rows *w)
{
    Prediction *of = w->of;
    Predictor *p = &of->p;
    OwnTexts x;
    TRY(own_tokens(&x, of->run, &w->set, &p->text, &p->own, p->net->config.vocab));
    remark_cut(w, &x);
    double *logits = NEW(of->run, double, w->set.n *own_outputs(&p->own));
    own_model_show(&p->o, &w->set, &x);
    PredictWatch watch = predict_watch_open(of, "predicting", x.x.n);
    Status s = own_logits(logits, &p->o, p->hooks, &of->step, predict_watch, &watch);
    progress_clear();
    w->y = own_predictions(of->run, &p->own, logits, w->set.n);
    return s;
}

/* ---- output */

static const char *predicted(const Rows *w, int64_t i)
{
    const OwnPlan *p = &w->of->p.own;
    return p->classes ? p->name[w->y.class[i]] : str_print(w->of->run, "%.6g", w->y.value[i]);
}

static double sureness(const Rows *w, int64_t i)
{
    const OwnPlan *p = &w->of->p.own;
    return w->y.probability[i * p->classes + w->y.class[i]];
}

static void print_table(const Rows *w, int64_t top)
{
    const OwnPlan *p = &w->of->p.own;
    enum { TEXT = 40 };
    print_out("%6s  %-16s %s%-16s text\n", "line", "prediction", p->classes ? "     p  " : "",
              w->labelled ? "label" : "");
    for (int64_t i = 0; i < w->set.n && i < top; i++) {
        print_out("%6lld  %-16.16s ", (long long)w->set.line[i], predicted(w, i));
        if (p->classes) print_out("%6.4f  ", sureness(w, i));
        print_out("%-16.*s ",
                  w->labelled && w->set.label[i].len < 16 ? (int)w->set.label[i].len
                  : w->labelled                           ? 16
                                                          : 0,
                  w->labelled ? w->set.label[i].text : "");
        predict_text(w->set.text[i].text,
                     strcspn(w->set.text[i].text, "\r\n") < w->set.text[i].len ? strcspn(w->set.text[i].text, "\r\n")
                                                                               : w->set.text[i].len,
                     TEXT);
    }
    if (top < w->set.n) print_out("... %lld more rows (--top 0 prints all)\n", (long long)(w->set.n - top));
}

static void print_header(const Rows *w)
{
    const OwnPlan *p = &w->of->p.own;
    print_out("line,");
    if (w->labelled) print_out("label,");
    print_out("prediction");
    for (int c = 0; c < p->classes; c++) {
        const char *name = str_print(w->of->run, "p:%s", p->name[c]);
        print_out(",");
        predict_csv(name, strlen(name));
    }
    print_out("\n");
}

static void print_csv(const Rows *w)
{
    const OwnPlan *p = &w->of->p.own;
    print_header(w);
    for (int64_t i = 0; i < w->set.n; i++) {
        print_out("%lld,", (long long)w->set.line[i]);
        if (w->labelled) {
            predict_csv(w->set.label[i].text, w->set.label[i].len);
            print_out(",");
        }
        if (p->classes)
            predict_csv(predicted(w, i), strlen(predicted(w, i)));
        else
            print_out("%.9g", w->y.value[i]);
        for (int c = 0; c < p->classes; c++) print_out(",%.9g", w->y.probability[i * p->classes + c]);
        print_out("\n");
    }
}

static void add_measures(const Rows *w, cJSON *root)
{
    const OwnKind *k = w->of->p.own.kind;
    cJSON *all = cJSON_AddObjectToObject(root, "measures"), *intervals = cJSON_CreateObject();
    for (int m = 0; m < k->measures; m++) {
        const Interval *i = &w->scores.ci95[m];
        double x = w->scores.value[m];
        cJSON_AddItemToObject(all, k->measure[m].key, isfinite(x) ? cJSON_CreateNumber(x) : cJSON_CreateNull());
        if (isfinite(i->lo))
            cJSON_AddItemToObject(intervals, k->measure[m].key,
                                  cJSON_CreateDoubleArray((const double[]){i->lo, i->hi}, 2));
    }
    cJSON_AddItemToObject(all, "intervals", intervals);
}

static void print_json(const Rows *w)
{
    const OwnPlan *p = &w->of->p.own;
    cJSON *root = cJSON_CreateObject(), *list;
    if (w->labelled) add_measures(w, root);
    list = cJSON_AddArrayToObject(root, "rows");
    for (int64_t i = 0; i < w->set.n; i++) {
        cJSON *one = cJSON_CreateObject(), *probabilities;
        cJSON_AddNumberToObject(one, "line", (double)w->set.line[i]);
        if (p->classes)
            cJSON_AddStringToObject(one, "prediction", predicted(w, i));
        else
            cJSON_AddNumberToObject(one, "prediction", w->y.value[i]);
        if (p->classes) {
            probabilities = cJSON_AddObjectToObject(one, "probabilities");
            for (int c = 0; c < p->classes; c++)
                cJSON_AddNumberToObject(probabilities, p->name[c], w->y.probability[i * p->classes + c]);
        }
        if (w->labelled)
            cJSON_AddItemToObject(one, "label", json_string(w->of->run, w->set.label[i].text, w->set.label[i].len));
        cJSON_AddItemToArray(list, one);
    }
    json_print(root);
    cJSON_Delete(root);
}

static void print_scores(const Rows *w)
{
    const OwnKind *k = w->of->p.own.kind;
    print_out("\n%lld labelled %s\n%-12s %10s %23s\n", (long long)w->set.n, str_plural(w->set.n, "row", "rows"),
              "measure", "value", "95 % interval");
    for (int m = 0; m < k->measures; m++) {
        const Interval *i = &w->scores.ci95[m];
        if (!isfinite(w->scores.value[m])) continue;
        print_out("%-12s %10.4f", k->measure[m].name, w->scores.value[m]);
        if (isfinite(i->lo)) print_out(" %11.4f to %8.4f", i->lo, i->hi);
        print_out("\n");
    }
}

/* Predicts for every row of a table, and prints the predictions and, for labelled rows, their measures. */
Status predict_rows(Prediction *of, const char *path)
{
    enum { DRAWS = 1000 };
    static const char *const OTHERS[] = {
        "lang",  "lines",  "lines-by", "threshold", "per-split",           "features", "num-beams", "max-new-tokens",
        "train", "meteor", "wordnet",  "verbose",   "no-generation-config"};
    Rows w = {.of = of};
    OwnPlan *p = &of->p.own;
    int64_t top;
    for (size_t k = 0; k < sizeof OTHERS / sizeof *OTHERS; k++)
        if (args_given(of->args, OTHERS[k]))
            return err_fail(E_CONFIG, "--%s is for commits; %s predicts for rows of a table", OTHERS[k], of->p.dir);
    TRY(args_int(&top, of->args, "top", 20, 0, INT32_MAX));
    p->text = args_text(of->args, "text-column", p->text);
    if (p->pair) p->pair = args_text(of->args, "text-pair-column", p->pair);
    p->label = args_text(of->args, "label-column", p->label);
    TRY(own_read(&w.set, of->run, path, p, !args_given(of->args, "label-column")));
    w.labelled = w.set.label != NULL;
    if (w.labelled) TRY(own_label(&w.set, of->run, p));
    TRY(predict_all(&w));
    if (w.labelled) own_scores(&w.scores, of->run, p, &w.set, &w.y, DRAWS, 1);
    if (of->csv) print_csv(&w);
    if (of->json) print_json(&w);
    if (of->csv || of->json) return OK;
    print_table(&w, top ? top : w.set.n);
    if (w.labelled) print_scores(&w);
    return OK;
}

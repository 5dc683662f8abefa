/* How probable a tuned language model finds texts: loss and perplexity of each, and of all of them together. */
#include <math.h>

#include "base/print.h"
#include "base/str.h"
#include "cli/predict.h"
#include "io/json.h"

typedef struct {
    Prediction *of;
    LmSet set;
    LmTexts texts;
    Evaluation *each, all; /* (texts.x.n) */
} Scoring;

static void remark_texts(const Scoring *w)
{
    const LmTexts *x = &w->texts;
    if (args_quiet(w->of->args)) return;
    if (x->cut)
        print_err("%lld %s more than %d tokens; the rest is not scored\n", (long long)x->cut,
                  str_plural(x->cut, "text has", "texts have"), w->of->p.lm.length);
    if (x->empty)
        print_err("%lld %s no token to score, and %s left out\n", (long long)x->empty,
                  str_plural(x->empty, "text has", "texts have"), str_plural(x->empty, "is", "are"));
}

static Status score(Scoring *w)
{
    Prediction *of = w->of;
    Predictor *p = &of->p;
    w->each = NEW(of->run, Evaluation, w->texts.x.n);
    PredictWatch watch = predict_watch_open(of, "scoring", w->texts.x.n);
    Status s = lm_score(w->each, p->net, p->hooks, &w->texts.x, &of->step, predict_watch, &watch);
    progress_clear();
    w->all = lm_total(w->each, w->texts.x.n);
    return s;
}

static const char *unit(const Scoring *w)
{
    return w->set.packed ? "block" : "line";
}

static void print_table(const Scoring *w)
{
    print_out("%8s %8s %10s %12s\n", unit(w), "tokens", "loss", "perplexity");
    for (int64_t i = 0; i < w->texts.x.n; i++) {
        const Evaluation *e = &w->each[i];
        print_out("%8lld %8lld %10.4f %12.4g\n", (long long)w->texts.line[i], (long long)e->scored, e->loss,
                  e->perplexity);
    }
    print_out("%8s %8lld %10.4f %12.4g\n", "all", (long long)w->all.scored, w->all.loss, w->all.perplexity);
}

static void print_csv(const Scoring *w)
{
    print_out("%s,tokens,loss,perplexity\n", unit(w));
    for (int64_t i = 0; i < w->texts.x.n; i++) {
        const Evaluation *e = &w->each[i];
        print_out("%lld,%lld,%.9g,%.9g\n", (long long)w->texts.line[i], (long long)e->scored, e->loss, e->perplexity);
    }
}

static void add_measures(cJSON *o, const Evaluation *e)
{
    cJSON_AddNumberToObject(o, "tokens", (double)e->scored);
    cJSON_AddItemToObject(o, "loss", isfinite(e->loss) ? cJSON_CreateNumber(e->loss) : cJSON_CreateNull());
    cJSON_AddItemToObject(o, "perplexity",
                          isfinite(e->perplexity) ? cJSON_CreateNumber(e->perplexity) : cJSON_CreateNull());
    cJSON_AddNumberToObject(o, "accuracy", e->accuracy);
}

static void print_json(const Scoring *w)
{
    cJSON *root = cJSON_CreateObject();
    add_measures(cJSON_AddObjectToObject(root, "measures"), &w->all);
    cJSON *list = cJSON_AddArrayToObject(root, "texts");
    for (int64_t i = 0; i < w->texts.x.n; i++) {
        cJSON *o = cJSON_CreateObject();
        cJSON_AddNumberToObject(o, unit(w), (double)w->texts.line[i]);
        add_measures(o, &w->each[i]);
        cJSON_AddItemToArray(list, o);
    }
    json_print(root);
    cJSON_Delete(root);
}

/* Scores each text of a file as the tuning scored it, and prints the results. */
Status predict_texts(Prediction *of, const char *path)
{
    static const char *const OTHERS[] = {
        "lang",  "top",    "lines",   "threshold", "per-split",           "features", "num-beams", "max-new-tokens",
        "train", "meteor", "wordnet", "verbose",   "no-generation-config"};
    Scoring w = {.of = of};
    for (size_t k = 0; k < sizeof OTHERS / sizeof *OTHERS; k++)
        if (args_given(of->args, OTHERS[k]))
            return err_fail(E_CONFIG, "--%s is for commits; %s scores texts", OTHERS[k], of->p.dir);
    TRY(lm_read(&w.set, of->run, path, of->p.key));
    TRY(predictor_texts(&w.texts, &of->p, of->run, &w.set));
    remark_texts(&w);
    TRY(score(&w));
    if (of->json)
        print_json(&w);
    else if (of->csv)
        print_csv(&w);
    else
        print_table(&w);
    return OK;
}

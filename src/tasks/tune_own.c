/* Tuning for a task on the user's own tables; the validation rows choose by the measure that --metric names. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hf_cache.h"
#include "base/str.h"
#include "io/json.h"
#include "io/weights.h"
#include "tasks/predictor_own.h"
#include "tasks/tune.h"
#include "tasks/tune_rows.h"

enum { DRAWS = 1000 };

/* ---- options */

static const char *measure_names(const OwnKind *k, Arena *a)
{
    Buf b = buf_open(a);
    for (int m = 0; m < k->measures; m++)
        buf_print(&b, "%s%s", m == 0 ? "" : m == k->measures - 1 ? " or " : ", ", k->measure[m].key);
    return b.text;
}

static Status check_metric(TuneJob *j)
{
    const OwnKind *k = j->p.task->own;
    j->own_measure = k->choice;
    if (!j->o.metric) return OK;
    j->own_measure = measure_find(k->measure, k->measures, j->o.metric);
    if (j->own_measure >= 0) return OK;
    return err_fail(E_CONFIG, "--metric %s: expected %s", j->o.metric, measure_names(k, j->run));
}

Status tune_own_check(TuneJob *j)
{
    TuneOptions *o = &j->o;
    const OwnKind *k = j->p.task->own;
    bool numbers = k->target == OWN_NUMBERS;
    OwnPlan *p = &j->p.own;
    *p = (OwnPlan){.kind = k, .sd = 1, .window = o->window, .language = o->language};
    p->text = o->text_column ? o->text_column : "text";
    p->label = o->label_column ? o->label_column : "label";
    p->pair = o->pair_column ? o->pair_column : k->pair ? "text_pair" : NULL;
    j->p.seed = (uint64_t)o->seed;
    if (p->pair && k->one)
        return err_fail(E_CONFIG, "--text-pair-column is for --task pair or regress; %s reads one text",
                        j->p.task->name);
    if (p->pair && p->window)
        return err_fail(E_CONFIG, "--window is for rows of one text; expected no --text-pair-column");
    if (numbers && (o->class_weights || o->smoothing > 0))
        return err_fail(E_CONFIG, "--%s is for classes; %s predicts a number",
                        o->class_weights ? "class-weights" : "label-smoothing", j->p.task->name);
    return check_metric(j);
}

/* ---- reading */

static void remark_classes(const TuneJob *j)
{
    enum { SHOWN = 12 };
    const OwnPlan *p = &j->p.own;
    Buf b = buf_open(j->run);
    if (p->kind->target == OWN_NUMBERS) {
        tuning_remark(&j->watch, j->run, "the training labels have mean %.6g and standard deviation %.6g", p->mean,
                      p->sd);
        return;
    }
    for (int c = 0; c < p->classes && c < SHOWN; c++) {
        long long n = 0;
        for (int64_t i = 0; i < j->own_train.n; i++) n += j->own_train.class[i] == c;
        buf_print(&b, "%s%s (%lld)", c ? ", " : "", p->name[c], n);
    }
    tuning_remark(&j->watch, j->run, "%d classes of training rows: %s%s", p->classes, b.text,
                  p->classes > SHOWN ? ", ..." : "");
}

/* The texts that a small encoder is begun with. */
static void gather_plain(TuneJob *j)
{
    const OwnSet *s = &j->own_train;
    j->n_plain = s->n * (s->pair ? 2 : 1);
    j->plain = NEW(j->run, Bytes, j->n_plain);
    for (int64_t i = 0; i < s->n; i++) {
        j->plain[i] = s->text[i];
        if (s->pair) j->plain[s->n + i] = s->pair[i];
    }
}

Status tune_own_read(TuneJob *j)
{
    const TuneOptions *o = &j->o;
    OwnPlan *p = &j->p.own;
    OwnSet all;
    TRY(own_read(&all, j->run, o->train, p, false));
    TRY(own_learn_labels(p, j->run, &all));
    TRY(own_label(&all, j->run, p));
    if (o->valid) {
        j->own_train = all;
        TRY(own_read(&j->own_valid, j->run, o->valid, p, false));
        TRY(own_label(&j->own_valid, j->run, p));
    } else {
        own_cut(&j->own_train, &j->own_valid, j->run, &all, p, o->cut, (uint64_t)o->seed);
    }
    if (!j->own_valid.n || !j->own_train.n)
        return err_fail(E_MISMATCH, "%s: too few rows to set some aside (--valid, --validation-fraction)", o->train);
    j->n_train = j->own_train.n, j->n_valid = j->own_valid.n;
    remark_classes(j);
    gather_plain(j);
    return OK;
}

/* ---- training */

static Status plan(TuneJob *j)
{
    Predictor *p = &j->p;
    TRY(tune_length(&p->own.length, j, OWN_LEAST, OWN_MOST));
    snprintf(j->shape, sizeof j->shape, "length %d%s, %s", p->own.length, p->own.window ? " in windows" : "",
             p->task->own->measure[j->own_measure].key);
    return OK;
}

static void remark_cut(const TuneJob *j, const OwnTexts *x, const OwnSet *s)
{
    if (!x->cut) return;
    const char *what =
        str_print(j->run, "%s: %lld of %lld rows (%.1f %%) have more than %d tokens", s->path, (long long)x->cut,
                  (long long)x->rows, 100 * (double)x->cut / (double)x->rows, j->p.own.length);
    if (j->p.own.window)
        tuning_remark(&j->watch, j->run, "%s and are read in windows, %lld in all", what, (long long)x->x.n);
    else
        tuning_remark(&j->watch, j->run, "%s; %.1f %% of all tokens are cut (--max-length, --window)", what,
                      100 * (double)x->lost / (double)x->tokens);
}

static Status set_weight(double *weight, const OwnPlan *p, const char *text, size_t n)
{
    const char *equals = memrchr(text, '=', n);
    double x;
    for (int c = 0; equals && c < p->classes; c++) {
        size_t k = strlen(p->name[c]);
        char number[40];
        if (k != (size_t)(equals - text) || memcmp(p->name[c], text, k) != 0) continue;
        snprintf(number, sizeof number, "%.*s", (int)(n - k - 1 < 39 ? n - k - 1 : 39), equals + 1);
        if (!str_real(number, &x) || x <= 0) break;
        weight[c] = x;
        return OK;
    }
    return err_fail(E_CONFIG, "--class-weights %.*s: expected balanced, or CLASS=WEIGHT with a class of the labels",
                    (int)(n < 60 ? n : 60), text);
}

/* "balanced" gives each class the same total weight, as scikit-learn has it: rows / (classes x rows of the class). */
static Status set_weights(TuneJob *j)
{
    const OwnPlan *p = &j->p.own;
    const char *text = j->o.class_weights, *item;
    size_t n;
    if (!text) return OK;
    double *weight = NEW(j->run, double, p->classes);
    for (int c = 0; c < p->classes; c++) weight[c] = 1;
    j->p.o.weight = weight;
    if (strcmp(text, "balanced") != 0) {
        for (const char *rest = text; str_next(&rest, ",", &item, &n);) TRY(set_weight(weight, p, item, n));
        return OK;
    }
    for (int c = 0; c < p->classes; c++) {
        double rows = 0;
        for (int64_t i = 0; i < j->own_train.n; i++) rows += j->own_train.class[i] == c;
        weight[c] = rows > 0 ? (double)j->own_train.n / (p->classes * rows) : 1;
    }
    return OK;
}

static bool has_tensor(const Weights *w, Arena *a, const char *name)
{
    const char *any = str_print(a, "%s|*.%s", name, name);
    for (int i = 0; i < weights_n(w); i++)
        if (str_glob(any, weights_at(w, i)->name)) return true;
    return false;
}

/* Layers in front of the head that the model's files lack are random; they train along, and are saved with the
 * adapter. */
static Status train_lacking(TuneJob *j)
{
    Weights *w;
    const char *model;
    ParamSet *all = j->p.net->params;
    const Param *first = NULL;
    if (predictor_whole(j->p.peft)) return OK;
    TRY(hf_cache_find(&model, j->run, predictor_path(&j->p, j->run, j->p.model)));
    TRY(weights_open(&w, j->run, model));
    for (int i = 0; i < params_n(all); i++) {
        Param *p = params_at(all, i);
        if (!str_glob("pooler.*|head.dense.*|head.norm.*", p->name) || has_tensor(w, j->run, p->name)) continue;
        p->trainable = true;
        if (!first) first = p;
    }
    weights_close(w);
    if (!first) return OK;
    j->t.trainable = params_count(all, NULL, true);
    tuning_remark(&j->watch, j->run, "the model's files have no %.*s; a new one is trained and saved along",
                  (int)(strrchr(first->name, '.') - first->name), first->name);
    return OK;
}

static double signed_by(const Measure *m, double x)
{
    return isfinite(x) ? m->less ? -x : x : -HUGE_VAL;
}

static Status judge(double *score, double *tie, TuneMeasured *m, Arena *step, Tuning *t)
{
    const TuneJob *j = t->judged;
    const OwnPlan *p = &j->p.own;
    const OwnKind *k = p->kind;
    OwnModel on = j->p.o;
    Scores s;
    double *logits = NEW(step, double, j->own_valid.n *own_outputs(p));
    own_model_show(&on, &j->own_valid, &j->own_valid_texts);
    TRY(own_logits(logits, &on, t->hooks, step, NULL, NULL));
    OwnPredictions y = own_predictions(step, p, logits, j->own_valid.n);
    own_scores(&s, step, p, &j->own_valid, &y, 0, 1);
    int chosen = j->own_measure, second = chosen == k->tie ? k->choice : k->tie;
    *score = signed_by(&k->measure[chosen], s.value[chosen]);
    *tie = signed_by(&k->measure[second], s.value[second]);
    m->text = str_print(step, "validation %s %.4f, %s %.4f", k->measure[chosen].name, s.value[chosen],
                        k->measure[second].name, s.value[second]);
    m->n = 2;
    m->name[0] = k->measure[chosen].key, m->value[0] = s.value[chosen];
    m->name[1] = k->measure[second].key, m->value[1] = s.value[second];
    return OK;
}

/* Shows the tuning its examples. */
static Status prepare(TuneJob *j)
{
    Predictor *p = &j->p;
    int vocab = p->net->config.vocab;
    TRY(own_tokens(&j->own_texts, j->run, &j->own_train, &p->text, &p->own, vocab));
    TRY(own_tokens(&j->own_valid_texts, j->run, &j->own_valid, &p->text, &p->own, vocab));
    remark_cut(j, &j->own_texts, &j->own_train);
    remark_cut(j, &j->own_valid_texts, &j->own_valid);
    own_model_show(&p->o, &j->own_train, &j->own_texts);
    p->o.smoothing = j->o.smoothing;
    TRY(set_weights(j));
    j->t.train = j->own_texts.x;
    j->t.loss = own_loss, j->t.weigh = own_weigh, j->t.loss_user = &p->o;
    j->t.judge = judge, j->t.judged = j;
    return OK;
}

/* ---- the end */

static void add_values(cJSON *to, const OwnKind *k, const Scores *s)
{
    for (int m = 0; m < k->measures; m++)
        cJSON_AddItemToObject(to, k->measure[m].key,
                              isfinite(s->value[m]) ? cJSON_CreateNumber(s->value[m]) : cJSON_CreateNull());
}

static void add_intervals(cJSON *to, const OwnKind *k, const Scores *s)
{
    cJSON *all = cJSON_AddObjectToObject(to, "intervals");
    for (int m = 0; m < k->measures; m++) {
        const Interval *i = &s->ci95[m];
        if (isfinite(i->lo))
            cJSON_AddItemToObject(all, k->measure[m].key, cJSON_CreateDoubleArray((const double[]){i->lo, i->hi}, 2));
    }
}

static void add_baseline(cJSON *to, TuneJob *j, Arena *a, const char *name, const OwnPredictions *y)
{
    Scores s;
    own_scores(&s, a, &j->p.own, &j->own_valid, y, 0, 1);
    add_values(cJSON_AddObjectToObject(to, name), j->p.own.kind, &s);
}

/* Measures of the predictor that was read back, with intervals, and of the baselines. */
static Status measures(cJSON *out, TuneJob *j, Predictor *p, Arena *a)
{
    OwnTexts x;
    Scores s;
    Arena step = arena_open((size_t)1 << 36);
    double *logits = NEW(a, double, j->own_valid.n *own_outputs(&p->own));
    Status status = own_tokens(&x, a, &j->own_valid, &p->text, &p->own, p->net->config.vocab);
    own_model_show(&p->o, &j->own_valid, &x);
    if (!status) status = own_logits(logits, &p->o, p->hooks, &step, tuning_goes_on, &j->watch);
    arena_close(&step);
    TRY(status);
    OwnPredictions y = own_predictions(a, &p->own, logits, j->own_valid.n);
    TRY(tune_rows_own(j, &y));
    own_scores(&s, a, &p->own, &j->own_valid, &y, DRAWS, 1);
    cJSON_AddNumberToObject(out, "rows", (double)j->own_valid.n);
    add_values(out, p->own.kind, &s);
    add_intervals(out, p->own.kind, &s);
    cJSON *baselines = cJSON_AddObjectToObject(out, "baselines");
    OwnPredictions other = own_ignorant(a, &p->own, &j->own_train, j->own_valid.n);
    add_baseline(baselines, j, a, p->own.classes ? "most frequent class" : "mean", &other);
    if (p->own.kind->target == OWN_CLASSES) {
        TRY(own_words(&other, a, &p->own, &j->own_train, &j->own_valid));
        add_baseline(baselines, j, a, "words", &other);
    }
    return own_theory(out, j, p, &x, &s, baselines, a);
}

/* The predictor's files are read back once before anything relies on them. */
static Status finish(TuneJob *j)
{
    Predictor p;
    Arena a = arena_open(0);
    cJSON *valid = cJSON_CreateObject();
    Status s = predictor_open_draft(&p, j->p.task, &a, j->p.dir, &j->o.load);
    if (!s) s = measures(valid, j, &p, &a);
    if (!s) s = tune_own_readme(j, valid);
    if (!s)
        s = predictor_save(&p, valid, &a); /* which takes valid */
    else
        cJSON_Delete(valid);
    predictor_close(&p);
    arena_close(&a);
    return s;
}

Status tune_own_make(TuneJob *j)
{
    TRY(tune_load(j));
    TRY(own_open_head(&j->p));
    TRY(plan(j));
    TRY(tuning_attach_messages(&j->t));
    TRY(train_lacking(j));
    TRY(prepare(j));
    own_gradients(&j->own_gradients[0], &j->p.o, j->p.hooks);
    TRY(tune_train(j, peft_lr(j->p.peft, !strcmp(j->p.model, j->p.task->base))));
    own_gradients(&j->own_gradients[1], &j->p.o, j->p.hooks);
    return finish(j);
}

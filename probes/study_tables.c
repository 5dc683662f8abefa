/* Tables of the outcomes, two of them in the shape of tables VI and VII of Liu et al. (SANER 2024), whose numbers
 * are shown with ours. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/rng.h"
#include "base/str.h"
#include "probe/compare.h"
#include "probes/grid.h"
#include "probes/study.h"

int study_cell(const StudyOutcome *out[STUDY_SEEDS], const StudyResults *x, StudyJob like)
{
    int n = 0;
    for (int i = 0; i < x->n && n < STUDY_SEEDS; i++) {
        const StudyJob *j = &x->job[i];
        bool tuned = like.task == STUDY_JIT || like.task == STUDY_CMG;
        if (j->task != like.task || j->base != like.base || (tuned && j->method != like.method)) continue;
        if (like.task == STUDY_JIT && j->head != like.head) continue;
        if (like.task == STUDY_CMG && j->language != like.language) continue;
        if (j->size == like.size && j->away == like.away) out[n++] = &x->out[i];
    }
    return n;
}

/* ---- cells ---- */

#define VALUE(name, value)                                                                                           \
    static double name(const StudyOutcome *o, const void *user)                                                      \
    {                                                                                                                \
        (void)user;                                                                                                  \
        return value;                                                                                                \
    }
VALUE(value_f1, o->f1)
VALUE(value_f1_best, o->f1_best)
VALUE(value_recall, o->recall_at_20)
VALUE(value_popt, o->popt)
VALUE(value_loss, exp(o->loss))
VALUE(value_forgot, o->forgot)
VALUE(value_seconds, o->seconds)
VALUE(value_megabytes, o->megabytes)

/* The values that a measure can have.  Student's interval of a few seeds may go beyond, and is cut there: the mean
 * cannot lie outside. */
static const Interval ANY = {-INFINITY, INFINITY}, SHARE = {0, 1}, PERCENT = {0, 100}, POSITIVE = {0, INFINITY};

static Interval range_of(StudyValue *value)
{
    if (value == value_f1 || value == value_f1_best || value == value_recall || value == value_popt) return SHARE;
    if (value == study_auc || value == study_auc_other) return SHARE;
    if (value == study_written) return PERCENT;
    return value == value_loss || value == value_seconds || value == value_megabytes ? POSITIVE : ANY;
}

/* "81.2 [79.0, 83.4]": mean and 95 % (t) over seeds. */
static const char *mean_text(Arena *a, const double *x, int n, Interval range, double times, int decimals)
{
    Summary s = stats_summary(x, n);
    if (!n || !isfinite(s.mean)) return "n/a";
    const char *mean = str_print(a, "%.*f", decimals, times * s.mean);
    if (n < 2) return mean;
    double lo = times * fmax(s.ci95.lo, range.lo), hi = times * fmin(s.ci95.hi, range.hi);
    if (lo < 0 && lo > -0.5 * pow(10, -decimals)) lo = 0; /* avoid "-0.00" */
    return str_print(a, "%s [%.*f, %.*f]", mean, decimals, lo, decimals, hi);
}

static const char *cell(Arena *a, const StudyResults *x, StudyJob like, StudyValue *value, const void *user,
                        double times, int decimals)
{
    const StudyOutcome *out[STUDY_SEEDS];
    double v[STUDY_SEEDS];
    int n = study_cell(out, x, like);
    for (int i = 0; i < n; i++) v[i] = value(out[i], user);
    return mean_text(a, v, n, range_of(value), times, decimals);
}

double study_auc(const StudyOutcome *o, const void *user)
{
    (void)user;
    return o->auc;
}

double study_auc_other(const StudyOutcome *o, const void *user)
{
    (void)user;
    return o->auc_other;
}

double study_written(const StudyOutcome *o, const void *user)
{
    const Written *w = user;
    return o->written[w->language][w->metric];
}

double study_accuracy(const StudyOutcome *o, ProbeTask t)
{
    return o->accuracy[t][o->best[t]][SPLIT_TEST];
}

/* Mean over seeds at the layer chosen on validation, 95 % over seeds and test rows. */
static const char *probing_text(Arena *a, const Study *s, const StudyResults *x, StudyJob like, ProbeTask t)
{
    const StudyOutcome *out[STUDY_SEEDS];
    const Dataset *d = &s->set[t];
    const int32_t *guess[STUDY_SEEDS];
    int n = study_cell(out, x, like);
    double sum = 0;
    for (int i = 0; i < n; i++) {
        int32_t *all = NEW(a, int32_t, d->n);
        int64_t k = 0;
        for (int64_t row = 0; row < d->n; row++)
            if (d->example[row].split == SPLIT_TEST) all[row] = out[i]->guess[t][k++];
        guess[i] = all;
        sum += study_accuracy(out[i], t);
    }
    if (!n) return "n/a";
    Interval ci = compare_interval(guess, n, d, NULL, SPLIT_TEST, 500, rng_stream(1, "study"));
    return str_print(a, "%.1f [%.1f, %.1f]", 100 * sum / n, 100 * ci.lo, 100 * ci.hi);
}

/* ---- probing: tables VI and VII ---- */

typedef struct {
    const char *row, *method;
    double accuracy[TASKS];
} Published;
static const Published TABLE_VI[] = {
    {"codebert", "full", {54.0, 50.0, 62.5}},        {"codebert", "lora", {91.0, 50.5, 72.5}},
    {"codebert", "adapter", {91.0, 56.0, 65.0}},     {"graphcodebert", "full", {78.5, 58.0, 71.5}},
    {"graphcodebert", "lora", {97.5, 61.5, 71.5}},   {"graphcodebert", "adapter", {94.0, 61.0, 71.0}},
    {"plbart", "full", {80.0, 62.0, 73.5}},          {"plbart", "lora", {87.5, 55.5, 73.5}},
    {"plbart", "adapter", {84.5, 63.0, 76.5}},       {"unixcoder", "full", {89.0, 52.5, 65.5}},
    {"unixcoder", "lora", {95.5, 58.5, 67.5}},       {"unixcoder", "adapter", {93.5, 55.5, 70.5}},
    {"codet5", "full", {91.5, 70.0, 79.5}},          {"codet5", "lora", {92.5, 64.5, 77.0}},
    {"codet5", "adapter", {95.5, 72.0, 80.5}},       {"average of five", "full", {78.6, 58.5, 70.5}},
    {"average of five", "lora", {92.8, 58.1, 72.4}}, {"average of five", "adapter", {91.7, 61.5, 72.7}}};
static const Published TABLE_VII[] = {
    {"java", "full", {86.0, 55.5, 77.5}},          {"java", "lora", {84.5, 65.0, 80.0}},
    {"java", "adapter", {80.5, 59.0, 79.0}},       {"csharp", "full", {88.0, 57.0, 78.0}},
    {"csharp", "lora", {91.0, 54.5, 77.5}},        {"csharp", "adapter", {83.5, 62.0, 83.5}},
    {"cpp", "full", {85.5, 57.5, 79.0}},           {"cpp", "lora", {90.0, 58.0, 77.5}},
    {"cpp", "adapter", {84.0, 68.5, 81.0}},        {"python", "full", {86.0, 51.0, 75.5}},
    {"python", "lora", {88.5, 58.5, 76.5}},        {"python", "adapter", {81.5, 65.0, 83.5}},
    {"javascript", "full", {88.5, 54.0, 79.0}},    {"javascript", "lora", {86.5, 60.5, 73.5}},
    {"javascript", "adapter", {92.0, 63.0, 84.0}}, {"average", "full", {86.8, 55.0, 77.8}},
    {"average", "lora", {88.1, 59.3, 77.0}},       {"average", "adapter", {84.3, 63.5, 82.2}}};

static void put_published(Grid *g, const Published *p, const char *row, const char *model)
{
    grid_put(g, model);
    grid_put(g, p->method);
    grid_put(g, str_print(g->a, "published%s%s", *row ? ", " : "", row));
    for (ProbeTask t = 0; t < TASKS; t++) grid_put(g, str_print(g->a, "%.1f", p->accuracy[t]));
}

static void put_probing(Grid *g, const Study *s, const StudyResults *x, StudyJob like, const char *model,
                        const char *method, const char *source)
{
    grid_put(g, model), grid_put(g, method), grid_put(g, source);
    for (ProbeTask t = 0; t < TASKS; t++) grid_put(g, probing_text(g->a, s, x, like, t));
}

const ProbeFloor *study_rule(const Study *s, ProbeTask t)
{
    return probe_best_rule(s->floor[t], s->floors[t]);
}

static void put_floors(Grid *g, const Study *s)
{
    static const char *const NAME[] = {"majority", "best rule", "bag of words"};
    for (int f = 0; f < 3; f++) {
        grid_put(g, "baseline"), grid_put(g, NAME[f]), grid_put(g, "");
        for (ProbeTask t = 0; t < TASKS; t++) {
            const ProbeFloor *shown = f == 1 ? study_rule(s, t) : &s->floor[t][f ? s->floors[t] - 1 : 0];
            grid_put(g, str_print(g->a, "%.1f", 100 * shown->accuracy[SPLIT_TEST]));
        }
    }
}

static void put_untuned(Grid *g, const Study *s, const StudyResults *x, int b)
{
    const char *name = s->base[b].name;
    put_probing(g, s, x, (StudyJob){.task = STUDY_UNTUNED, .base = b}, name, "untuned", "measured");
    put_probing(g, s, x, (StudyJob){.task = STUDY_RANDOM, .base = b}, name, "randomly initialised", "measured");
}

static const char *const PROBING_HEAD[] = {"model", "method", "source", "TYP (%)", "CCM (%)", "LTP (%)"};

/* The table of probing accuracies after tuning on defect prediction, with the published ones. */
static void table_after_jit(Run *r, const Study *s, const StudyResults *x)
{
    Grid g = grid_open(run_arena(r), 6, PROBING_HEAD);
    bool real = *run_text(r, "data") != 0;
    for (int b = 0; b < s->bases; b++) {
        for (int h = 0; h < s->heads; h++)
            for (int m = 0; m < s->methods; m++)
                put_probing(&g, s, x, (StudyJob){.task = STUDY_JIT, .base = b, .method = m, .head = s->head[h]},
                            str_print(g.a, "%s, %s", s->base[b].name, JIT_HEAD[s->head[h]]), s->method[m].name,
                            "measured");
        put_untuned(&g, s, x, b);
        for (size_t k = 0; k < sizeof TABLE_VI / sizeof *TABLE_VI; k++)
            if (!strcmp(TABLE_VI[k].row, s->base[b].name)) put_published(&g, &TABLE_VI[k], "", s->base[b].name);
    }
    put_floors(&g, s);
    for (size_t k = 0; real && k < sizeof TABLE_VI / sizeof *TABLE_VI; k++)
        if (!strcmp(TABLE_VI[k].row, "average of five")) put_published(&g, &TABLE_VI[k], "", "average of five");
    grid_close(&g, r,
               "Probing after tuning on JIT-DP (shape of table VI): test accuracy at the layer chosen on validation, "
               "mean over seeds, 95 % over seeds and test rows.");
}

/* The table of probing accuracies after tuning on commit messages, with the published ones. */
static void table_after_cmg(Run *r, const Study *s, const StudyResults *x)
{
    Grid g = grid_open(run_arena(r), 6, PROBING_HEAD);
    bool real = *run_text(r, "data") != 0;
    for (int b = 0; b < s->bases; b++) {
        if (!s->base[b].writes) continue;
        for (int l = 0; l < s->languages; l++)
            for (int m = 0; m < s->methods; m++) {
                const char *name = s->language[l].name;
                if (s->bases > 1) name = str_print(g.a, "%s, %s", s->base[b].name, name);
                put_probing(&g, s, x, (StudyJob){.task = STUDY_CMG, .base = b, .method = m, .language = l}, name,
                            s->method[m].name, "measured");
            }
    }
    if (!g.rows) return;
    put_floors(&g, s);
    for (size_t k = 0; real && k < sizeof TABLE_VII / sizeof *TABLE_VII; k++)
        put_published(&g, &TABLE_VII[k], "CodeT5", TABLE_VII[k].row);
    grid_close(
        &g, r,
        "Probing after tuning on CMG (shape of table VII): test accuracy at the layer chosen on validation, mean "
        "over seeds, 95 % over seeds and test rows.");
}

/* ---- the two tasks ---- */

/* The table of defect prediction: each model, head and method, then the baselines. */
static Status table_jit(Run *r, const Study *s, const StudyResults *x)
{
    static const char *const HEAD[] = {"model, head",           "method", "F1", "F1, best threshold", "AUC",
                                       "recall at 20 % effort", "Popt"};
    static StudyValue *const VALUES[] = {value_f1, value_f1_best, study_auc, value_recall, value_popt};
    Grid g = grid_open(run_arena(r), 7, HEAD);
    for (int b = 0; b < s->bases; b++)
        for (int h = 0; h < s->heads; h++)
            for (int m = 0; m < s->methods; m++) {
                StudyJob like = {.task = STUDY_JIT, .base = b, .method = m, .head = s->head[h]};
                grid_put(&g, str_print(g.a, "%s, %s", s->base[b].name, JIT_HEAD[like.head])),
                    grid_put(&g, s->method[m].name);
                for (int k = 0; k < 5; k++) grid_put(&g, cell(g.a, x, like, VALUES[k], NULL, 1, 3));
            }
    for (int i = 0; i < x->learners; i++) {
        const LearnerRow *l = &x->learner[i];
        grid_put(&g, "baseline"), grid_put(&g, l->name);
        for (int k = 0; k < 5; k++) grid_put(&g, mean_text(g.a, l->at[k], l->seeds, SHARE, 1, 3));
    }
    JitScores random = jit_random(&s->commits[SPLIT_TEST], 1);
    grid_put(&g, "baseline"), grid_put(&g, "random scores");
    const double v[] = {random.at.f1, NAN, random.at.auc, random.effort.recall_at_20, random.effort.popt};
    for (int k = 0; k < 5; k++) grid_put(&g, isfinite(v[k]) ? str_print(g.a, "%.3f", v[k]) : "n/a");
    grid_close(
        &g, r,
        str_print(g.a,
                  "JIT-DP on %lld test commits, %lld of them defective; trained on %lld; mean [95 %% over seeds].",
                  (long long)s->commits[SPLIT_TEST].n, (long long)s->commits[SPLIT_TEST].positives,
                  (long long)s->commits[SPLIT_TRAIN].n));
    return OK;
}

/* Adds the scores of a baseline of commit messages: retrieval, or the most frequent message. */
static Status put_cmg_floor(Grid *g, const StudyLanguage *l, bool nearest)
{
    static const int METRIC[] = {B_NORM, ROUGE_L, METEOR_NLTK, EXACT};
    const MessageFloor f = {.nearest = nearest,
                            .train = l->change[SPLIT_TRAIN],
                            .test = l->change[SPLIT_TEST],
                            .n = l->n[SPLIT_TRAIN],
                            .m = l->n[SPLIT_TEST]};
    double v[MESSAGE_METRICS];
    TRY(message_floor(v, NULL, &f));
    grid_put(g, l->name), grid_put(g, nearest ? "retrieval (NNGen)" : "most frequent message"), grid_put(g, "n/a");
    for (int k = 0; k < 4; k++) grid_put(g, str_print(g->a, "%.2f", v[METRIC[k]]));
    return OK;
}

/* The table of commit messages: each language and method, then the baselines. */
static Status table_cmg(Run *r, const Study *s, const StudyResults *x)
{
    static const char *const HEAD[] = {"language",      "method",   "perplexity (validation)", "B-Norm", "ROUGE-L",
                                       "METEOR (nltk)", "exact (%)"};
    static const int METRIC[] = {B_NORM, ROUGE_L, METEOR_NLTK, EXACT};
    Grid g = grid_open(run_arena(r), 7, HEAD);
    for (int b = 0; b < s->bases; b++)
        for (int l = 0; l < s->languages && s->base[b].writes; l++)
            for (int m = 0; m < s->methods; m++) {
                StudyJob like = {.task = STUDY_CMG, .base = b, .method = m, .language = l};
                const char *name = s->language[l].name;
                grid_put(&g, s->bases > 1 ? str_print(g.a, "%s, %s", s->base[b].name, name) : name);
                grid_put(&g, s->method[m].name), grid_put(&g, cell(g.a, x, like, value_loss, NULL, 1, 1));
                for (int k = 0; k < 4; k++)
                    grid_put(&g, cell(g.a, x, like, study_written, &(Written){l, METRIC[k]}, 1, 2));
            }
    if (!g.rows) return OK;
    for (int l = 0; l < s->languages; l++)
        for (int k = 0; k < 2; k++) TRY(put_cmg_floor(&g, &s->language[l], !k));
    grid_close(&g, r,
               str_print(g.a,
                         "CMG on %lld test changes a language, greedy, %lld tokens at most; mean [95 %% over seeds].",
                         (long long)s->language[0].n[SPLIT_TEST], (long long)run_int(r, "message-tokens")));
    return OK;
}

/* ---- cost, few examples, other projects ---- */

/* Rows of each model, task and method: the first columns of both tables of cost.  Tuned models have a method. */
typedef struct {
    StudyJob like;
    const StudyOutcome *one;
    bool tuned;
} CostRow;

static int cost_rows(CostRow *out, const Study *s, const StudyResults *x)
{
    int n = 0;
    for (int b = 0; b < s->bases; b++)
        for (StudyTask t = STUDY_JIT; t <= STUDY_RANDOM; t++) {
            bool tuned = t == STUDY_JIT || t == STUDY_CMG;
            for (int m = 0; m < (tuned ? s->methods : 1); m++) {
                const StudyOutcome *found[STUDY_SEEDS];
                StudyJob like = {.task = t, .base = b, .method = m, .head = s->head[s->heads - 1]};
                if (study_cell(found, x, like)) out[n++] = (CostRow){like, found[0], tuned};
            }
        }
    return n;
}

static void put_cost_names(Grid *g, const Study *s, const CostRow *c)
{
    const char *base = s->base[c->like.base].name;
    grid_put(g, c->tuned ? str_print(g->a, "%s, %s", base, c->like.task == STUDY_JIT ? "JIT-DP" : "CMG") : base);
    grid_put(g, c->tuned                        ? s->method[c->like.method].name
                : c->like.task == STUDY_UNTUNED ? "untuned"
                                                : "randomly initialised");
}

/* The tables of cost: trainable parameters and forgetting, and processor time and memory apart. */
static void table_cost(Run *r, const Study *s, const StudyResults *x)
{
    static const char *const HEAD[] = {"model, task", "method", "trainable parameters", "of all (%)",
                                       "loss on pretraining text (nats)"};
    static const char *const MEASURED[] = {"model, task", "method", "CPU s a step", "peak MB"};
    CostRow *row = NEW(run_arena(r), CostRow, MOST_BASES * 4 * MOST_METHODS);
    int rows = cost_rows(row, s, x);
    Grid g = grid_open(run_arena(r), 5, HEAD), h = grid_open(run_arena(r), 4, MEASURED);
    for (const CostRow *c = row; c < row + rows; c++) {
        put_cost_names(&g, s, c);
        grid_put(&g, c->tuned ? str_print(g.a, "%lld", (long long)c->one->trained) : "");
        grid_put(&g, c->tuned ? str_print(g.a, "%.2f", 100 * (double)c->one->trained / (double)c->one->all) : "");
        grid_put(&g, cell(g.a, x, c->like, value_forgot, NULL, 1, 3));
        if (!c->tuned) continue;
        put_cost_names(&h, s, c);
        grid_put(&h, cell(h.a, x, c->like, value_seconds, NULL, 1, 3));
        grid_put(&h, cell(h.a, x, c->like, value_megabytes, NULL, 1, 0));
    }
    grid_close(&g, r,
               "Trainable parameters and forgetting: the denoising loss on pretraining text that was kept apart, "
               "after tuning and before it.");
    h.measured = true;
    grid_close(&h, r, "Cost of tuning: batches as set, one core, processor time (timings.json).");
}

/* The table of scores by number of training examples. */
static void table_few(Run *r, const Study *s, const StudyResults *x)
{
    static const char *const HEAD[] = {"model, examples", "method", "JIT-DP AUC", "CMG B-Norm"};
    double size[RUN_LIST + 1];
    int sizes = run_list(r, "sizes", size);
    Grid g = grid_open(run_arena(r), 4, HEAD);
    size[sizes++] = 0;
    for (int b = 0; b < s->bases; b++)
        for (int k = 0; k < sizes; k++)
            for (int m = 0; m < s->methods; m++) {
                StudyJob jit = {.task = STUDY_JIT, .base = b, .method = m, .head = s->head[s->heads - 1]}, cmg = jit;
                jit.size = cmg.size = (int64_t)size[k], cmg.task = STUDY_CMG;
                grid_put(&g, str_print(g.a, "%s, %s", s->base[b].name,
                                       size[k] > 0 ? str_print(g.a, "%g", size[k]) : "all"));
                grid_put(&g, s->method[m].name), grid_put(&g, cell(g.a, x, jit, study_auc, NULL, 1, 3));
                grid_put(&g, cell(g.a, x, cmg, study_written, &(Written){0, B_NORM}, 1, 2));
            }
    grid_close(&g, r,
               str_print(g.a, "Few training examples: JIT-DP (%s head) and CMG (%s); mean [95 %% over seeds].",
                         JIT_HEAD[s->head[s->heads - 1]], s->language[0].name));
}

/* B-Norm on the other languages, mean over them and over the languages trained on; of a seed's runs. */
static double elsewhere(const Study *s, const StudyResults *x, int b, int m, int seed, bool own)
{
    double sum = 0;
    int n = 0;
    for (int i = 0; i < x->n; i++) {
        const StudyJob *j = &x->job[i];
        if (j->task != STUDY_CMG || j->base != b || j->method != m || j->seed != seed || j->size) continue;
        for (int l = 0; l < s->languages; l++)
            if ((l == j->language) == own) sum += x->out[i].written[l][B_NORM], n++;
    }
    return sum / n;
}

/* The table of cross-project and cross-language scores, beside those on seen projects and languages. */
static void table_away(Run *r, const Study *s, const StudyResults *x)
{
    static const char *const HEAD[] = {
        "model",          "method", "JIT-DP AUC, all projects seen", "others' only", "CMG B-Norm, own language",
        "other languages"};
    Grid g = grid_open(run_arena(r), 6, HEAD);
    for (int b = 0; b < s->bases; b++)
        for (int m = 0; m < s->methods; m++) {
            StudyJob like = {.task = STUDY_JIT, .base = b, .method = m, .head = s->head[s->heads - 1]};
            grid_put(&g, s->base[b].name), grid_put(&g, s->method[m].name);
            grid_put(&g, cell(g.a, x, like, study_auc_other, NULL, 1, 3));
            like.away = true;
            grid_put(&g, cell(g.a, x, like, study_auc_other, NULL, 1, 3));
            for (int own = 1; own >= 0; own--) {
                double v[STUDY_SEEDS];
                bool there = s->base[b].writes && (own || s->languages > 1);
                for (int i = 0; i < s->seeds && i < STUDY_SEEDS; i++) v[i] = elsewhere(s, x, b, m, i, own);
                grid_put(&g, there ? mean_text(g.a, v, s->seeds < STUDY_SEEDS ? s->seeds : STUDY_SEEDS, PERCENT, 1, 2)
                                   : "n/a");
            }
        }
    grid_close(&g, r,
               "Cross-project and cross-language: AUC on the test commits of half of the projects, trained on all "
               "projects or only on the other half; B-Norm on the training language, and the mean on the others.");
}

Status study_tables(Run *r, const Study *s, const StudyResults *x)
{
    table_after_jit(r, s, x);
    table_after_cmg(r, s, x);
    TRY(table_jit(r, s, x));
    TRY(table_cmg(r, s, x));
    table_cost(r, s, x);
    table_few(r, s, x);
    table_away(r, s, x);
    return OK;
}

/* Which commits introduce a defect, the likeliest first, and which of their lines speak for it most. */
#include <stdlib.h>
#include <string.h>

#include "base/print.h"
#include "base/str.h"
#include "cli/predict.h"
#include "cli/tune.h"
#include "io/json.h"
#include "run/run.h"

typedef struct {
    Prediction *of;
    const JitSet *set;
    double *score;
    int64_t *order; /* (N) by score, descending */
    bool labelled;  /* all of them */
    int64_t top, most_lines;
} Ranking;

/* ---- scores */

typedef struct {
    double score;
    int64_t i;
} Ranked;

static int descending(const void *a, const void *b)
{
    const Ranked *x = a, *y = b;
    if (x->score < y->score || x->score > y->score) return x->score > y->score ? -1 : 1;
    return (x->i > y->i) - (x->i < y->i);
}

/* Computes each commit's probability of a defect, and the order from most to least risky. */
static Status score(Ranking *w)
{
    Predictor *p = &w->of->p;
    Arena *run = w->of->run;
    int64_t n = w->set->n;
    w->score = NEW(run, double, n);
    w->order = NEW(run, int64_t, n);
    PredictWatch watch = predict_watch_open(w->of, "scoring", n);
    Status s = predictor_score(w->score, p, run, &w->of->step, w->set, predict_watch, &watch);
    progress_clear();
    TRY(s);
    Ranked *rank = NEW(run, Ranked, n);
    for (int64_t i = 0; i < n; i++) rank[i] = (Ranked){w->score[i], i};
    qsort(rank, (size_t)n, sizeof *rank, descending);
    for (int64_t r = 0; r < n; r++) w->order[r] = rank[r].i;
    w->labelled = !w->set->unlabelled && n > 0;
    return OK;
}

static bool risky(const Ranking *w, int64_t i)
{
    return w->score[i] >= w->of->p.threshold;
}

static int subject(const CodeChange *c)
{
    return (int)strcspn(c->message, "\r\n");
}

/* ---- output */

static void print_lines(const CodeChange *c, const RiskyLine *line, int64_t n, int64_t most)
{
    for (int64_t k = 0; k < n && k < most; k++) {
        const ChangeFile *f = &c->file[line[k].file];
        const ChangeLine *l = &f->line[line[k].line];
        size_t blanks = strspn(l->text, " \t");
        print_out("    %7.4f  %s%s%c ", line[k].score, f->new_path, *f->new_path ? ": " : "",
                  l->kind == LINE_ADD ? '+' : '-');
        predict_text(l->text + blanks, l->len > blanks ? l->len - blanks : 0, 100);
    }
}

/* What lines are ranked by, where it can be chosen. */
static const char *lines_named(const Ranking *w)
{
    if (!w->most_lines || !predictor_attends(&w->of->p)) return "";
    return w->of->p.lines_by == LINES_BY_TOKEN
               ? "\nadded lines by the attention to all tokens of the same text, as JIT-Fine publishes it"
               : "\nlines by the attention to their own tokens";
}

/* Prints the riskiest commits with their riskiest lines, and the metrics where there are labels. */
static Status print_table(Ranking *w)
{
    int64_t called = 0, n = w->set->n;
    for (int64_t i = 0; i < n; i++) called += risky(w, i);
    print_out("%lld %s, %lld called defective (score from %.4g on)%s\n\n", (long long)n,
              str_plural(n, "commit", "commits"), (long long)called, w->of->p.threshold, lines_named(w));
    if (!called)
        print_out("no score reaches the threshold; vernier tune --best-threshold chooses the one with the best "
                  "validation F1\n\n");
    print_out("%5s %7s%s %7s  %-10s  %s\n", "", "score", w->labelled ? " label" : "", "lines", "id", "subject");
    for (int64_t r = 0; r < n && (!w->top || r < w->top); r++) {
        int64_t i = w->order[r];
        const CodeChange *c = &w->set->change[i];
        print_out("%5lld %7.4f", (long long)r + 1, w->score[i]);
        if (w->labelled) print_out(" %5d", c->label);
        print_out(" %7.0f  %-10.10s  ", jit_effort(c), c->id);
        predict_text(c->message, (size_t)subject(c), 72);
        if (!w->most_lines || !risky(w, i)) continue;
        RiskyLine *line;
        int64_t lines;
        Arena own = arena_open(0); /* not the run's, on which the hooks of the predictor grow */
        Status s = predictor_lines(&line, &lines, &w->of->p, &own, &w->of->step, c, (int32_t)i);
        if (!s) print_lines(c, line, lines, w->most_lines);
        arena_close(&own);
        TRY(s);
    }
    if (w->top && n > w->top) print_out("... and %lld more (--top 0 lists all)\n", (long long)(n - w->top));
    if (!w->labelled) return OK;
    JitScores s = jit_scores(w->set, w->score, w->of->p.threshold), random = jit_random(w->set, 1);
    print_out("\n");
    jit_print_scores("against the labels", &s, &random);
    return OK;
}

static void print_csv(const Ranking *w)
{
    print_out("rank,score,%seffort,id,repo,subject\n", w->set->unlabelled ? "" : "label,");
    for (int64_t r = 0; r < w->set->n && (!w->top || r < w->top); r++) {
        int64_t i = w->order[r];
        const CodeChange *c = &w->set->change[i];
        print_out("%lld,%.9g,", (long long)r + 1, w->score[i]);
        if (!w->set->unlabelled) print_out("%d,", c->label);
        print_out("%.0f,", jit_effort(c));
        predict_csv(c->id, strlen(c->id)), print_out(",");
        predict_csv(c->repo, strlen(c->repo)), print_out(",");
        predict_csv(c->message, (size_t)subject(c)), print_out("\n");
    }
}

/* One commit with its score, label and riskiest lines. */
static Status commit_json(cJSON **out, Ranking *w, int64_t i)
{
    const CodeChange *c = &w->set->change[i];
    cJSON *o = *out = cJSON_CreateObject();
    cJSON_AddNumberToObject(o, "score", w->score[i]);
    cJSON_AddBoolToObject(o, "defective", risky(w, i));
    if (c->label >= 0) cJSON_AddNumberToObject(o, "label", c->label);
    cJSON_AddNumberToObject(o, "effort", jit_effort(c));
    cJSON_AddStringToObject(o, "id", c->id);
    cJSON_AddStringToObject(o, "repo", c->repo);
    cJSON_AddStringToObject(o, "subject", str_copy(w->of->run, c->message, (size_t)subject(c)));
    if (!w->most_lines || !risky(w, i)) return OK;
    RiskyLine *line;
    int64_t n;
    TRY(predictor_lines(&line, &n, &w->of->p, w->of->run, &w->of->step, c, (int32_t)i));
    cJSON *list = cJSON_AddArrayToObject(o, "lines");
    for (int64_t k = 0; k < n && k < w->most_lines; k++) {
        const ChangeFile *f = &c->file[line[k].file];
        cJSON *one = cJSON_CreateObject();
        cJSON_AddNumberToObject(one, "score", line[k].score);
        cJSON_AddStringToObject(one, "file", f->new_path);
        cJSON_AddStringToObject(one, "kind", f->line[line[k].line].kind == LINE_ADD ? "added" : "removed");
        cJSON_AddStringToObject(one, "text", f->line[line[k].line].text);
        cJSON_AddItemToArray(list, one);
    }
    return OK;
}

/* Prints the threshold, the metrics where there are labels, and the ranked commits as JSON. */
static Status print_json(Ranking *w)
{
    Status s = OK;
    cJSON *root = cJSON_CreateObject();
    cJSON_AddNumberToObject(root, "threshold", w->of->p.threshold);
    if (w->most_lines && predictor_attends(&w->of->p))
        cJSON_AddStringToObject(root, "lines_by", LINES_BY[w->of->p.lines_by]);
    if (w->labelled) {
        JitScores x = jit_scores(w->set, w->score, w->of->p.threshold), random = jit_random(w->set, 1);
        cJSON_AddItemToObject(root, "measures", jit_scores_json(&x));
        cJSON_AddItemToObject(root, "random", jit_scores_json(&random));
    }
    cJSON *list = cJSON_AddArrayToObject(root, "commits");
    for (int64_t r = 0; !s && r < w->set->n && (!w->top || r < w->top); r++) {
        cJSON *one;
        s = commit_json(&one, w, w->order[r]);
        cJSON_AddItemToArray(list, one);
    }
    if (!s) json_print(root);
    cJSON_Delete(root);
    return s;
}

/* ---- the task */

/* Reads the options of defect prediction, rejects those of messages, and prints the ranked commits. */
Status predict_defects(Prediction *of)
{
    static const char *const OTHERS[] = {"train",   "num-beams", "max-new-tokens",      "meteor",
                                         "wordnet", "verbose",   "no-generation-config"};
    const Args *a = of->args;
    Ranking w = {.of = of, .set = &of->set};
    int by;
    for (size_t k = 0; k < sizeof OTHERS / sizeof *OTHERS; k++)
        if (args_given(a, OTHERS[k]))
            return err_fail(E_CONFIG, "--%s is for messages; %s predicts defects", OTHERS[k], of->p.dir);
    TRY(args_int(&w.top, a, "top", of->json || of->csv ? 0 : 20, 0, INT32_MAX));
    TRY(args_int(&w.most_lines, a, "lines", 3, 0, INT32_MAX));
    TRY(args_word(&by, a, "lines-by", LINES_BY_OCCURRENCE, LINES_BY));
    if (args_given(a, "lines-by") && !predictor_attends(&of->p))
        return err_fail(E_CONFIG, "--lines-by is for a network that reads the lines; %s has none", of->p.dir);
    of->p.lines_by = (LinesBy)by;
    TRY(args_real(&of->p.threshold, a, "threshold", of->p.threshold, 0, 1));
    TRY(args_int(&of->p.features, a, "features", of->p.features, N_FEATURES - 1, N_FEATURES));
    if (args_given(a, "per-split")) of->p.per_split = true;
    if (of->set.unknown && !args_quiet(a))
        print_err("%lld %s features that are unknown (null); each counts as its mean\n", (long long)of->set.unknown,
                  str_plural(of->set.unknown, "commit has", "commits have"));
    TRY(score(&w));
    if (of->csv) print_csv(&w);
    return of->json ? print_json(&w) : of->csv ? OK : print_table(&w);
}

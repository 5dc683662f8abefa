/* Tests between methods, the published findings in their light, and the verdict.
 *
 * A method is as good as full fine-tuning if its AUC is at most .02 lower, which is a little more than the standard
 * error of an AUC on the 5,480 test commits of JIT-Defects4J (.014), and its B-Norm at most half a point; both
 * margins were set before the runs.  It is better if its value is higher at all.  An interval of the difference over
 * seeds decides (num/claim.h), with 5 % shared among the comparisons of a finding. */
#include <math.h>
#include <string.h>

#include "base/str.h"
#include "num/claim.h"
#include "probes/study.h"

enum { FINDINGS = 4, MOST_TESTS = 128 };
static const double AUC_MARGIN = 0.02, B_NORM_MARGIN = 0.5, ALPHA = 0.05;

typedef struct {
    Buf differences;
    int n;
    double *gap[MOST_TESTS];   /* (seeds) a method's value less that of full fine-tuning */
    double margin[MOST_TESTS]; /* how much lower it may be */
} Finding;

typedef struct {
    Run *r;
    const Study *s;
    const StudyResults *x;
    Finding of[FINDINGS];
} Findings;

/* Mean over the three tasks, in %. */
static double probing(const StudyOutcome *o, const void *user)
{
    double sum = 0;
    (void)user;
    for (ProbeTask t = 0; t < TASKS; t++) sum += study_accuracy(o, t);
    return 100 * sum / TASKS;
}

/* One value a seed, as a metric; its name. */
static const char *metric(Findings *f, const char *what, int b, int m, const double *v)
{
    Arena *a = run_arena(f->r);
    const char *base = f->s->bases > 1 ? str_print(a, "%s, ", f->s->base[b].name) : "";
    const char *name = str_print(a, "%s, %s%s", what, base, f->s->method[m].name);
    for (int i = 0; i < f->s->seeds; i++) run_metric(f->r, RANGE_ANY, name, i, v[i]);
    return name;
}

static double mean_of(const double *v, int n)
{
    return stats_summary(v, n).mean;
}

static double of_job(const Findings *f, StudyJob like, StudyValue *value, const void *user)
{
    for (int i = 0; i < f->x->n; i++) {
        const StudyJob *j = &f->x->job[i];
        if (j->task == like.task && j->base == like.base && j->method == like.method && j->seed == like.seed &&
            j->head == like.head && j->language == like.language && j->size == like.size && j->away == like.away)
            return value(&f->x->out[i], user);
    }
    return NAN;
}

static double over_languages(const Findings *f, StudyJob like, StudyValue *value)
{
    double sum = 0;
    for (like.language = 0; like.language < f->s->languages; like.language++)
        sum += of_job(f, like, value, &(Written){like.language, B_NORM});
    return sum / f->s->languages;
}

/* Every method against full fine-tuning, paired by seed; of the languages the mean where `languages`. */
static void contrast(Findings *f, int finding, const char *what, StudyJob like, StudyValue *value, bool languages,
                     double margin)
{
    const Study *s = f->s;
    Finding *to = &f->of[finding];
    double *v[MOST_METHODS];
    const char *name[MOST_METHODS];
    int full = -1, b = like.base;
    for (int m = 0; m < s->methods; m++) {
        v[m] = NEW(run_arena(f->r), double, s->seeds);
        like.method = m;
        for (like.seed = 0; like.seed < s->seeds; like.seed++)
            v[m][like.seed] = languages ? over_languages(f, like, value)
                                        : of_job(f, like, value, &(Written){like.language, B_NORM});
        name[m] = metric(f, what, b, m, v[m]);
        if (s->method[m].peft->trains_all) full = m;
    }
    for (int m = 0; m < s->methods && full >= 0 && to->n < MOST_TESTS; m++) {
        if (m == full) continue;
        double p = run_compare(f->r, name[m], name[full]), *gap = NEW(run_arena(f->r), double, s->seeds);
        for (int i = 0; i < s->seeds; i++) gap[i] = v[m][i] - v[full][i];
        double d = mean_of(gap, s->seeds);
        to->gap[to->n] = gap, to->margin[to->n++] = margin;
        buf_print(&to->differences, "%s%s, %s ", to->differences.len ? "; " : "", what, s->method[m].name);
        buf_print(&to->differences, isfinite(d) ? "%+.3g" : "not measured", fabs(d) < 1e-9 ? 0 : d);
        if (isfinite(p) && s->seeds > 2) buf_print(&to->differences, " (p %.2g)", p);
    }
}

/* Compares each method with full fine-tuning in every setting that a finding of the study is about. */
static void contrasts(Findings *f, int b)
{
    const Study *s = f->s;
    Arena *a = run_arena(f->r);
    double size[RUN_LIST];
    run_list(f->r, "sizes", size);
    StudyJob jit = {.task = STUDY_JIT, .base = b, .head = s->head[s->heads - 1]},
             cmg = {.task = STUDY_CMG, .base = b}, few = jit, away = jit, few_pairs = cmg;
    few.size = few_pairs.size = (int64_t)size[0], away.away = true;
    for (int h = 0; h < s->heads; h++)
        contrast(f, 0, str_print(a, "AUC, %s head", JIT_HEAD[s->head[h]]),
                 (StudyJob){.task = STUDY_JIT, .base = b, .head = s->head[h]}, study_auc, false, AUC_MARGIN);
    contrast(f, 2, str_print(a, "AUC, %g commits", size[0]), few, study_auc, false, 0);
    contrast(f, 2, "AUC, other projects", away, study_auc_other, false, 0);
    contrast(f, 3, "probing after JIT-DP (%)", jit, probing, false, 0);
    if (!s->base[b].writes) return;
    contrast(f, 1, "B-Norm", cmg, study_written, true, B_NORM_MARGIN);
    contrast(f, 2, str_print(a, "B-Norm, %g pairs", size[0]), few_pairs, study_written, false, 0);
    contrast(f, 3, "probing after CMG (%)", cmg, probing, true, 0);
}

/* Do the features help?  Mean over methods of AUC with them minus AUC without, paired by seed. */
static void note_features(const Findings *f, int b)
{
    const Study *s = f->s;
    double *with = NEW(run_arena(f->r), double, s->seeds), *without = NEW(run_arena(f->r), double, s->seeds);
    for (int i = 0; i < s->seeds; i++)
        for (int m = 0; m < s->methods; m++) {
            StudyJob like = {.task = STUDY_JIT, .base = b, .method = m, .seed = i, .head = JIT_CONCAT};
            with[i] += of_job(f, like, study_auc, NULL) / s->methods;
            like.head = JIT_SINGLE;
            without[i] += of_job(f, like, study_auc, NULL) / s->methods;
        }
    Paired p = stats_paired(with, without, s->seeds);
    run_note(f->r, "Expert features, %s: AUC %.3f with, %.3f without, mean over methods; difference %+.3f%s.",
             s->base[b].name, mean_of(with, s->seeds), mean_of(without, s->seeds), p.difference,
             isfinite(p.p) ? str_print(run_arena(f->r), " (p %.2g)", p.p) : "");
}

/* Probed cells, of a job and a task, that are above the task's best rule. */
static int above_rule(const Findings *f, int *cells)
{
    int above = 0;
    *cells = 0;
    for (int i = 0; i < f->x->n; i++) {
        const StudyJob *j = &f->x->job[i];
        if ((j->task != STUDY_JIT && j->task != STUDY_CMG) || j->size || j->away) continue;
        for (ProbeTask t = 0; t < TASKS; t++) {
            above += study_accuracy(&f->x->out[i], t) > study_rule(f->s, t)->accuracy[SPLIT_TEST];
            ++*cells;
        }
    }
    return above;
}

typedef struct {
    int of[3];    /* comparisons by their verdict */
    double power; /* the least that a comparison has to show equality, were it true */
} Count;

/* The comparisons of a finding, each by its interval. */
static Count counted(const Findings *f, const Finding *x)
{
    Count c = {.power = 1};
    const double level = 1 - ALPHA / x->n;
    for (int i = 0; i < x->n; i++) {
        const Claim claim = {MORE_THAN, -x->margin[i]};
        c.of[claim_verdict(claim, claim_interval(x->gap[i], f->s->seeds, RANGE_ANY, level))]++;
        double power = claim_power(claim, 0, stats_summary(x->gap[i], f->s->seeds).sd, f->s->seeds, level);
        if (x->margin[i] > 0 && power < c.power) c.power = power;
    }
    return c;
}

/* A finding that no comparison refutes and not all support is inconclusive, and so is the whole. */
static void judge(Findings *f)
{
    static const char *const TITLE[FINDINGS] = {"Finding 1, defects", "Finding 2, messages",
                                                "Finding 4, few examples, cross-project",
                                                "Probing, mean of the three tasks"},
                             *const SHORT[FINDINGS] = {"defect prediction", "commit messages",
                                                       "few examples and other projects", "probing"};
    Buf b = buf_open(run_arena(f->r));
    Verdict all = SUPPORTED;
    int cells, above = above_rule(f, &cells);
    for (int k = 0; k < FINDINGS; k++) {
        Finding *x = &f->of[k];
        if (!x->n) continue;
        run_note(f->r, "%s, minus full fine-tuning: %s.", TITLE[k], x->differences.text);
        const Count c = counted(f, x);
        const bool refuted = c.of[NOT_SUPPORTED] > 0;
        all = claim_all(all, refuted ? NOT_SUPPORTED : c.of[INCONCLUSIVE] ? INCONCLUSIVE : SUPPORTED);
        if (k < 2 && f->s->seeds > 1)
            run_note(
                f->r,
                "%s: at this spread over %d seeds a method that is as good as full fine-tuning is found to be so "
                "in %.0f %% of studies at least.",
                TITLE[k], f->s->seeds, 100 * c.power);
        buf_print(&b, "%son %s %d of %d comparisons support the claim, %d contradict it, %d decide nothing",
                  b.len ? "; " : "", SHORT[k], c.of[SUPPORTED], x->n, c.of[NOT_SUPPORTED], c.of[INCONCLUSIVE]);
    }
    run_note(
        f->r,
        "p is of the paired t test over %d seed%s, uncorrected.  The verdict takes intervals that share 5 %% "
        "among the comparisons of a finding; as good as full fine-tuning means at most %g lower in AUC and %g in "
        "B-Norm.",
        f->s->seeds, f->s->seeds == 1 ? "" : "s", AUC_MARGIN, B_NORM_MARGIN);
    run_verdict(f->r, b.len ? all : INCONCLUSIVE, "%s.  A probe is above its task's best rule in %d of %d cells.",
                b.len ? b.text : "there is no method to compare with full fine-tuning", above, cells);
}

void study_findings(Run *r, const Study *s, const StudyResults *x)
{
    Findings f = {.r = r, .s = s, .x = x};
    for (int k = 0; k < FINDINGS; k++) f.of[k].differences = buf_open(run_arena(r));
    for (int b = 0; b < s->bases; b++) {
        contrasts(&f, b);
        if (s->heads > 1) note_features(&f, b);
        if (!s->base[b].writes) run_note(r, "%s has no decoder; CMG is not run with it.", s->base[b].name);
    }
    if (s->absent) run_note(r, "Not in %s, and not run: %s.", run_text(r, "models"), s->absent);
    judge(&f);
}

/* probes/audit: published probes of code changes, without any trained encoder.
 *
 * Claim    (a) Every accuracy that is published for the three tasks of code changes is at or below a heuristic
 *          baseline, on the same test rows.  (b) On rows made without known
 *          shortcuts the best rule is within 5 points of chance, and nothing leaks between splits.
 * Method   --data DIR has typ.txt, ccm.txt, ltp.txt and siblings/ (other probes of the same form). For each set:
 *          the task's rules, the length of the text, a bag of words, the memory of training rows with the same
 *          change, message, method or lines (fitted on training rows without the row itself), and an encoder of
 *          random weights, read at the mask, as a pair or as a mean. Information is conditional (probe/beyond.h):
 *          the rules and the length first, then the words beyond them, then the random encoder beyond both. The
 *          same for rows of vernier data make, one set for each seed, from --changes FILE,... or synthetic
 *          changes.
 * Expect   (a) rules 100, 87 and 87.5 % against at most 97.5, 72 and 84 %.  (b) By construction of the rows, up to
 *          properties that were not balanced.
 * Cost     smoke seconds, quick some minutes, paper half an hour (estimated)
 * Source   Liu et al. (SANER 2024), tables VI and VII; Karmakar and Robbes (ASE 2021); Hewitt et al. (EMNLP 2021).
 *
 * Rows of typ need whole methods, which diffs seldom have: they are synthetic in any case.
 *
 * What it does not show: that a published encoder uses a shortcut.  A rule above a probe shows that the number needs
 * no code to be reached, not how the probe reached it.  The margin of 5 points is what 200 test rows resolve at
 * best. */
#include <glob.h>
#include <math.h>
#include <string.h>

#include "base/rng.h"
#include "base/str.h"
#include "plot/plot.h"
#include "probe/make.h"
#include "probe/probe.h"
#include "probes/grid.h"
#include "probes/probing.h"
#include "probes/shape.h"
#include "run/parallel.h"

enum { MOST_SETS = 256, MOST_SEEDS = 64, MOST_FILES = 16 };
static const double BEST_PUBLISHED[TASKS] = {97.5, 72.0, 84.0}; /* typ, ccm, ltp: the highest cell of both tables */
static const double CHANCE_MARGIN = 5;

typedef struct {
    const char *name, *path; /* path NULL: rows without shortcuts, made by seed */
    ProbeTask task;          /* TASKS: a sibling */
    int seed;
    bool published;
} Set;

typedef struct { /* of a set; plain bytes */
    int64_t tests, seen;
    double majority, rule, length, memory, words, random; /* test accuracies; the rule is the best on validation */
    double entropy, rules_bits, words_bits, left;         /* bits a test row */
    double random_bits[MOST_SEEDS];                       /* beyond rules and words, of each random encoder */
    char best[40];
} Found;

typedef struct {
    Set set[MOST_SETS];
    int n;
    const char *from[MOST_FILES]; /* (files) of changes */
    int files;
} Audit;

/* ---- baselines ---- */

static Tensor lengths(Arena *a, const Dataset *d)
{
    Tensor x = tensor_zero(a, F64, SHAPE(d->n, 2));
    for (int64_t i = 0; i < d->n; i++) {
        const Example *e = &d->example[i];
        double words = 1;
        for (size_t k = 0; k < e->len; k++) words += e->text[k] == ' ';
        tensor_set(x, 2 * i, log1p((double)e->len)), tensor_set(x, 2 * i + 1, log(words));
    }
    return x;
}

/* For each label whether another training row with the same subject (or message) has it. */
static Tensor memories(Arena *a, const Dataset *d, ProbeTask task)
{
    int64_t c = d->n_labels, columns = 2 * c;
    Tensor x = tensor_zero(a, F64, SHAPE(d->n, columns));
    for (int key = 0; key < (task == TASK_CCM ? 2 : 1); key++) {
        Arena scratch = arena_open((size_t)1 << 36);
        Table at = table_open(&scratch, d->n);
        int64_t *count = NEW(&scratch, int64_t, d->n * c), *slot = NEW(&scratch, int64_t, d->n);
        for (int64_t i = 0; i < d->n; i++) {
            const Example *e = &d->example[i];
            Bytes whole = {(char *)(uintptr_t)e->text, e->len};
            Bytes subject = task == TASKS ? whole : text_subject(&scratch, task, e);
            if (key) subject = (Bytes){whole.text, e->len - subject.len};
            bool added;
            int64_t *place = table_add(&at, subject.text, subject.len, &added);
            if (added) *place = at.count - 1;
            slot[i] = *place;
            count[slot[i] * c + e->label] += e->split == SPLIT_TRAIN;
        }
        for (int64_t i = 0; i < d->n; i++)
            for (int64_t k = 0; k < c; k++) {
                const Example *e = &d->example[i];
                int64_t others = count[slot[i] * c + k] - (e->split == SPLIT_TRAIN && e->label == k);
                tensor_set(x, i * columns + key * c + k, others > 0);
            }
        arena_close(&scratch);
    }
    return x;
}

static Status accuracy_of(double *out, int32_t **guess, double *valid, Arena *a, Tensor x, const Dataset *d)
{
    ProbeResult p;
    TRY(probe_fit(&p, a, x, d, NULL, NULL));
    *out = p.accuracy[SPLIT_TEST];
    if (guess) *guess = p.predicted;
    if (valid) *valid = p.accuracy[SPLIT_VALID];
    return OK;
}

/* Rules, length, memory and words of a set, and what they give together. */
static Status measure_baselines(Found *f, Probing *lab)
{
    Arena *a = &lab->arena;
    const Dataset *d = &lab->set;
    ProbeFloor length = {.name = "length", .rule = true};
    TRY(probe_floors(lab->floor, &lab->floors, a, a, d, lab->task));
    TRY(accuracy_of(&f->length, &length.guess, &length.accuracy[SPLIT_VALID], a, lengths(a, d), d));
    length.accuracy[SPLIT_TEST] = f->length;
    TRY(accuracy_of(&f->memory, NULL, NULL, a, memories(a, d, lab->task), d));
    f->tests = d->size[SPLIT_TEST];
    f->majority = lab->floor[0].accuracy[SPLIT_TEST], f->words = lab->floor[lab->floors - 1].accuracy[SPLIT_TEST];
    lab->floor[lab->floors - 1] = length; /* in place of the bag of words, whose information is counted apart */
    const ProbeFloor *best = probe_best_rule(lab->floor, lab->floors);
    f->rule = best->accuracy[SPLIT_TEST];
    memcpy(f->best, best->name, strlen(best->name) < sizeof f->best ? strlen(best->name) : sizeof f->best - 1);
    TRY(probe_known(&lab->known, a, d, lab->floor, lab->floors));
    f->entropy = lab->known.rules.before, f->rules_bits = lab->known.rules.gain;
    f->words_bits = lab->known.words.gain, f->left = lab->known.words.after;
    bool *seen = NEW(a, bool, d->n);
    if (lab->task == TASKS)
        table_seen(seen, lab);
    else
        text_seen(seen, lab->task, d);
    for (int64_t i = 0; i < d->n; i++) f->seen += d->example[i].split == SPLIT_TEST && seen[i];
    return OK;
}

/* ---- the random encoder ---- */

static bool goes_on(int64_t done, void *user)
{
    (void)done, (void)user;
    return !run_stopped();
}

/* Bits beyond the baselines, at the layer with the least validation loss, and the accuracy of the last encoder. */
static Status measure_random(Found *f, Probing *lab, Run *r, int seed)
{
    Arena run = arena_open(0), step = arena_open(0);
    Model *m;
    Hooks *hooks;
    const char *remark;
    Features x;
    double least = INFINITY, highest = -1;
    TRY(encoder_open(&m, &hooks, &remark, lab, r, &run, RANDOM, run_seed(r, seed)));
    TRY(probing_features(&x, lab, &run, &step, m, hooks, CORRECT, goes_on, NULL));
    for (int l = 0; l < lab->layers; l++) {
        Beyond b;
        double test = NAN, valid = -1;
        TRY(beyond_fit(&b, &run, &lab->known.words.logit, x.layer[l], &lab->set, false));
        if (b.valid < least) least = b.valid, f->random_bits[seed] = b.gain;
        TRY(accuracy_of(&test, NULL, &valid, &run, x.layer[l], &lab->set));
        if (valid > highest) highest = valid, f->random = test;
    }
    arena_close(&step);
    arena_close(&run);
    return OK;
}

/* ---- sets ---- */

static Status make_rows(Probing *lab, Run *r, const Audit *audit, const Set *s)
{
    MakeStats stats;
    MakeOptions o = make_invented(s->task, run_int(r, "examples"), run_seed(r, s->seed));
    o.study = s->published;
    o.balance &= !o.study;
    if (audit->files && !s->published && s->task != TASK_TYP)
        o.from = audit->from, o.n_from = audit->files, o.generated = 0, o.fragments = true;
    return make_probe(&lab->set, &lab->arena, &o, &stats);
}

static Status audit_set(Run *r, int i, void *out, void *user)
{
    const Audit *audit = user;
    const Set *s = &audit->set[i];
    Found *f = out;
    Probing lab = {.task = s->task, .arena = arena_open((size_t)1 << 36), .seeds = run_seeds(r), .wanted = {true}};
    Status status = s->path ? dataset_read(&lab.set, &lab.arena, s->path) : make_rows(&lab, r, audit, s);
    if (!lab.set.name) lab.set.name = s->name;
    if (!status) status = measure_baselines(f, &lab);
    if (!status) status = probing_encode(&lab, r);
    for (int k = 0; k < run_seeds(r) && !status; k++) status = measure_random(f, &lab, r, k);
    run_progress(r, s->name, i + 1, audit->n, (double)NAN);
    tokenizer_close(&lab.tokenizer);
    arena_close(&lab.arena);
    return status;
}

static Status find_changes(Audit *audit, Run *r)
{
    const char *word;
    size_t n;
    for (const char *rest = run_text(r, "changes"); str_next(&rest, ",", &word, &n);) {
        if (!n) continue;
        if (audit->files == MOST_FILES) return err_fail(E_CONFIG, "--changes: more than %d files", MOST_FILES);
        audit->from[audit->files] = str_copy(run_arena(r), word, n);
        TRY(run_input(r, audit->from[audit->files++]));
    }
    return OK;
}

static Status find_sets(Audit *audit, Run *r)
{
    Arena *a = run_arena(r);
    const char *dir = run_text(r, "data");
    for (ProbeTask t = 0; t < TASKS; t++)
        audit->set[audit->n++] =
            (Set){.name = str_print(a, *dir ? "%s, published" : "%s, published recipe", TASK_NAMES[t]),
                  .path = *dir ? str_print(a, "%s/%s.txt", dir, TASK_NAMES[t]) : NULL,
                  .task = t,
                  .published = true};
    glob_t found = {0};
    if (*dir) glob(str_print(a, "%s/siblings/*.txt", dir), 0, NULL, &found);
    const bool fit = audit->n + (int)found.gl_pathc + TASKS * run_seeds(r) <= MOST_SETS;
    for (size_t k = 0; fit && k < found.gl_pathc; k++) {
        const char *base = strrchr(found.gl_pathv[k], '/') + 1, *path = str_print(a, "%s", found.gl_pathv[k]);
        audit->set[audit->n++] = (Set){str_copy(a, base, strcspn(base, "_.")), path, TASKS, 0, true};
    }
    globfree(&found);
    if (!fit)
        return err_fail(E_CONFIG, "--data %s: has more files in siblings/ than the %d sets of a run allow", dir,
                        MOST_SETS);
    for (ProbeTask t = 0; t < TASKS; t++)
        for (int k = 0; k < run_seeds(r); k++)
            audit->set[audit->n++] =
                (Set){str_print(a, "%s, made, seed %d", TASK_NAMES[t], k + 1), NULL, t, k, false};
    for (int k = 0; k < audit->n; k++)
        if (audit->set[k].path) TRY(run_input(r, audit->set[k].path));
    return find_changes(audit, r);
}

/* ---- results ---- */

static const char *range_text(Arena *a, const double *x, int n)
{
    Interval ci = claim_interval(x, n, RANGE_ANY, 0.95);
    double mean = stats_summary(x, n).mean;
    return isfinite(ci.lo) ? str_print(a, "%.3f (%.3f to %.3f)", mean, ci.lo, ci.hi) : str_print(a, "%.3f", mean);
}

static void tell(Run *r, const Audit *audit, const Found *found)
{
    static const char *const HEAD[] = {"set",   "test rows (seen)", "majority",       "best rule, length too",
                                       "leaks", "bag of words",     "random encoder", "entropy, bits",
                                       "rules", "words beyond",     "left",           "random encoder beyond both"};
    Grid g = grid_open(run_arena(r), 12, HEAD);
    for (int i = 0; i < audit->n; i++) {
        const Found *f = &found[i];
        const Interval ci = stats_wilson(llround(f->rule * (double)f->tests), f->tests);
        grid_put(&g, audit->set[i].name);
        grid_put(&g, str_print(g.a, "%lld (%lld)", (long long)f->tests, (long long)f->seen));
        grid_number(&g, 100 * f->majority, 1);
        grid_put(&g, str_print(g.a, "%s %.1f (%.1f to %.1f)", f->best, 100 * f->rule, 100 * ci.lo, 100 * ci.hi));
        grid_number(&g, 100 * f->memory, 1), grid_number(&g, 100 * f->words, 1), grid_number(&g, 100 * f->random, 1);
        grid_number(&g, f->entropy, 3), grid_number(&g, f->rules_bits, 3), grid_number(&g, f->words_bits, 3);
        grid_number(&g, f->left, 3);
        grid_put(&g, range_text(g.a, f->random_bits, run_seeds(r)));
        for (int k = 0; k < run_seeds(r); k++)
            run_metric(r, RANGE_ANY,
                       str_print(g.a, "%s: random encoder beyond rules and words (bits)", audit->set[i].name), k,
                       f->random_bits[k]);
        run_metric(r, RANGE_PERCENT, str_print(g.a, "%s: best rule (%%)", audit->set[i].name), 0, 100 * f->rule);
        run_metric(r, RANGE_PERCENT, str_print(g.a, "%s: leaks (%%)", audit->set[i].name), 0, 100 * f->memory);
    }
    grid_close(
        &g, r,
        "Test accuracies in % (95 %: Wilson), and information in bits a test row.  Rules: with the length of the "
        "text; leaks: by training rows with the same change, message, method or lines alone; random encoder: "
        "mask, pair or mean features, 95 % over seeds.");
}

static void judge(Run *r, const Audit *audit, const Found *found)
{
    Arena *a = run_arena(r);
    int n = run_seeds(r);
    for (ProbeTask t = 0; t < TASKS; t++) {
        const char *says = str_print(a, "%s: every published accuracy is at or below the best rule", TASK_NAMES[t]);
        if (audit->set[t].path)
            run_exact(r, says, 100 * found[t].rule >= BEST_PUBLISHED[t]);
        else
            run_unjudged(r, says, "without the published rows (--data)");
        double rule[MOST_SEEDS];
        int made = 0;
        int64_t seen = 0;
        for (int i = 0; i < audit->n; i++)
            if (audit->set[i].task == t && !audit->set[i].published && made < n)
                rule[made++] = 100 * found[i].rule - 50, seen += found[i].seen;
        run_claim(r, str_print(a, "%s, made: the best rule minus chance, points", TASK_NAMES[t]),
                  (Claim){WITHIN, CHANCE_MARGIN}, RANGE_ANY, rule);
        run_exact(
            r,
            str_print(a, "%s, made: no test row has a change, message, method or lines of training", TASK_NAMES[t]),
            !seen);
    }
    const Found *f = found;
    run_conclude(r,
                 "the heuristic baselines have %.1f, %.1f and %.1f %% on the %s TYP, CCM and LTP rows (highest "
                 "published probe %.1f, %.1f, %.1f), and leave %.2f, %.2f and %.2f bits with the words.",
                 100 * f[0].rule, 100 * f[1].rule, 100 * f[2].rule, audit->set[0].path ? "published" : "synthetic",
                 BEST_PUBLISHED[0], BEST_PUBLISHED[1], BEST_PUBLISHED[2], f[0].left, f[1].left, f[2].left);
}

/* The accuracies of the best rule, the leaks and the words on each published set, or on the synthetic ones that stand
 * in their place. */
static Status draw(Run *r, const Audit *audit, const Found *found)
{
    enum { KINDS_DRAWN = 4 };
    static const char *const name[KINDS_DRAWN] = {"majority", "best rule", "leaks", "bag of words"};
    Arena *a = run_arena(r);
    const char **label = NEW(a, const char *, audit->n);
    Tensor y[KINDS_DRAWN];
    Series s[KINDS_DRAWN];
    int n = 0;
    for (int i = 0; i < audit->n; i++) n += audit->set[i].published;
    for (int k = 0; k < KINDS_DRAWN; k++) {
        y[k] = tensor_new(a, F64, SHAPE(n));
        s[k] = (Series){.label = name[k], .y = y[k]};
    }
    for (int i = 0, at = 0; i < audit->n; i++) {
        if (!audit->set[i].published) continue;
        const double share[KINDS_DRAWN] = {found[i].majority, found[i].rule, found[i].memory, found[i].words};
        for (int k = 0; k < KINDS_DRAWN; k++) tensor_set(y[k], at, 100 * share[k]);
        label[at++] = audit->set[i].name;
    }
    Fig *f = run_figure(r, "accuracy",
                        "Test accuracy of classifiers that read no encoder; leaks: of one that reads only which rows "
                        "of training share their change or message.",
                        120 + 75.0 * n, 190);
    fig_bars(f, fig_whole(f), KINDS_DRAWN, s, label, (PlotStyle){.y = {.title = "test accuracy (%)"}});
    return fig_close(f);
}

static Status run(Run *r)
{
    Audit audit = {0};
    if (run_seeds(r) > MOST_SEEDS) return err_fail(E_CONFIG, "--seeds: at most %d", MOST_SEEDS);
    TRY(find_sets(&audit, r));
    Found *found = NEW(run_arena(r), Found, audit.n);
    TRY(run_parallel(r, audit.n, sizeof *found, audit_set, &audit, found));
    tell(r, &audit, found);
    judge(r, &audit, found);
    return draw(r, &audit, found);
}

/* clang-format off */
static const Setting SETTINGS[] = {
    {"data", "a folder with typ.txt, ccm.txt, ltp.txt and siblings/; empty: synthetic rows by the published recipes",
     {"", NULL, NULL}, .reads = "*.txt|siblings/*.txt"},
    {"changes", "files of change records, with commas between, to make the rows of ccm and ltp without shortcuts "
     "from; empty, and for typ: synthetic",
     {"", NULL, NULL}},
    {"examples", "rows of a made set, 60/20/20 %", {"100", "1000", "1000"}, 40, 1e6},
    PROBING_SHAPE,
    {0}};
/* clang-format on */

static const Experiment AUDIT = {
    .group = "probes",
    .name = "audit",
    .title = "An audit of published probes of code changes",
    .claim = "Every published accuracy of the three tasks is at or below a heuristic baseline; on rows made without "
             "known shortcuts rules are within 5 points of chance and nothing leaks between splits.",
    .method =
        "Rules, text length, leaks between splits, bag of words and random encoders, by accuracy and by conditional "
        "V-information, on published rows, their siblings, and rows of vernier data make.",
    .expect = "The best rule at or above every published cell; within 5 points of chance on made rows.",
    .cost = "smoke seconds, quick some minutes, paper half an hour (estimated)",
    .source = "Liu et al. (SANER 2024); Karmakar and Robbes (ASE 2021); Hewitt et al. (EMNLP 2021)",
    .settings = SETTINGS,
    .seeds = {2, 5, 10},
    .run = run};
REGISTER(experiment, AUDIT)

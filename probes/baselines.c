/* probes/baselines: do the published systems of defect prediction beat hashed words, and the date?
 *
 * Claim    JITLine, CC2Vec and DeepJIT find defects better than a logistic regression on hashed words and features.
 * Method   probes/baselines.h: same commits for all, seeds, intervals over commits within projects, paired tests.
 * Expect   An AUC above that of the words, with an interval of the difference above 0, for each of them.
 * Cost     smoke seconds, quick two minutes, real a quarter of an hour.
 * Source   Pornprasit and Tantithamthavorn, MSR 2021; Hoang et al., MSR 2019 and ICSE 2020; Ni et al., FSE 2022. */
#include "probes/baselines.h"

#include <math.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/str.h"
#include "base/table.h"
#include "io/columns.h"
#include "probes/learners.h"
#include "run/experiment.h"

typedef struct {
    Baselines *b;
    int *system, *seed; /* of a job */
    size_t size;
} Jobs;

/* ---- data ---- */

/* Finds the test commit of each commit with labelled lines, whose facts it then has. */
static void match_lines(Baselines *b)
{
    const JitSet *test = &b->set[SPLIT_TEST];
    b->commit = NEW(&b->arena, int64_t, b->faulty.n + 1);
    b->first = NEW(&b->arena, int64_t, b->faulty.n + 1);
    Table at = table_open(&b->arena, test->n);
    for (int64_t i = 0; i < test->n; i++) *table_add(&at, test->change[i].id, strlen(test->change[i].id), NULL) = i;
    for (int64_t k = 0; k < b->faulty.n; k++) {
        CodeChange *c = &b->faulty.change[k];
        b->commit[k] = table_get(&at, c->id, strlen(c->id), -1);
        b->first[k] = b->lines;
        b->lines += change_count(c, LINE_ADD) + change_count(c, LINE_DEL);
        if (b->commit[k] < 0) continue;
        CodeChange whole = test->change[b->commit[k]];
        whole.n_files = c->n_files, whole.file = c->file;
        *c = whole;
    }
}

static Status read_lines(Baselines *b, Run *r, const char *dir)
{
    const char *path = str_print(&b->arena, "%s/jit/test_lines.jsonl", dir ? dir : "");
    if (dir && !access(path, F_OK)) {
        TRY(run_input(r, path));
        TRY(jit_lines_read(&b->faulty, &b->arena, path));
    }
    match_lines(b);
    return OK;
}

/* The scores of a published model, which some test files carry as ref_prob. */
static Status read_ceiling(Baselines *b, const char *dir)
{
    double *column;
    int64_t n;
    const char *wanted = "ref_prob";
    if (!dir) return OK;
    const ColumnKind kind = COLUMN_OPTIONAL;
    TRY(columns_read_as(&column, &n, &b->arena, str_print(&b->arena, "%s/jit/test.jsonl", dir), 1, &wanted, &kind));
    if (!column || n != b->set[SPLIT_TEST].n) return OK;
    b->system[b->systems++] = (System){.name = "reference (ref_prob)",
                                       .seeds = 1,
                                       .score = {column},
                                       .threshold = {0.5},
                                       .seconds = NAN,
                                       .megabytes = NAN};
    return OK;
}

static void number_projects(Baselines *b)
{
    const JitSet *test = &b->set[SPLIT_TEST];
    Table seen = table_open(&b->arena, 64);
    b->project = NEW(&b->arena, int32_t, test->n);
    for (int64_t i = 0; i < test->n; i++) {
        bool new;
        int64_t *at = table_add(&seen, test->change[i].repo, strlen(test->change[i].repo), &new);
        if (new) *at = seen.count - 1;
        b->project[i] = (int32_t)*at;
    }
}

static Status read_data(Baselines *b, Run *r, const char *dir)
{
    TRY(commits_open(b->set, &b->arena, r, dir));
    const JitSet *train = &b->set[SPLIT_TRAIN], *valid = &b->set[SPLIT_VALID];
    b->both = (JitSet){.n = train->n + valid->n, .change = NEW(&b->arena, CodeChange, train->n + valid->n)};
    memcpy(b->both.change, train->change, sizeof *train->change * (size_t)train->n);
    memcpy(b->both.change + train->n, valid->change, sizeof *valid->change * (size_t)valid->n);
    jit_count(&b->both);
    number_projects(b);
    return read_lines(b, r, dir);
}

/* ---- jobs ---- */

static Status choose_systems(Baselines *b, Run *r)
{
    b->words = -1;
    for (const Learner *const *l = learner_begin(); l < learner_end(); l++) {
        if (!run_has(r, "methods", (*l)->name)) continue;
        if (!strcmp((*l)->name, "words")) b->words = b->systems;
        CHECK(b->systems + 1 < MOST_SYSTEMS, "more than %d learners", MOST_SYSTEMS - 1);
        int seeds = (*l)->seeded ? run_seeds(r) : 1;
        b->system[b->systems++] = (System){
            .name = (*l)->name, .learner = *l, .seeds = seeds < MOST_BASELINE_SEEDS ? seeds : MOST_BASELINE_SEEDS};
    }
    return b->words < 0 ? err_fail(E_CONFIG, "--methods: words is what the others are compared with") : OK;
}

/* A job leaves its threshold, its scores and those of all lines. */
static Status rank_lines(double *line, const Baselines *b, const Learner *l, void *model, Arena *step)
{
    for (int64_t i = 0; i < b->lines; i++) line[i] = NAN;
    if (!l->lines) return OK;
    for (int64_t k = 0; k < b->faulty.n; k++)
        if (b->commit[k] >= 0) TRY(l->lines(line + b->first[k], model, step, &b->faulty.change[k]));
    return OK;
}

static Status learn(double *out, const Baselines *b, const Learner *l, uint64_t seed, bool published, Arena *run,
                    Arena *step)
{
    const JitSet *test = &b->set[SPLIT_TEST];
    const LearnerFit fit = {.train = &b->set[SPLIT_TRAIN],
                            .valid = &b->set[SPLIT_VALID],
                            .test = test,
                            .both = &b->both,
                            .features = true,
                            .as_published = published,
                            .seed = seed};
    void *model;
    TRY(learner_scores(out + 1, out, &model, &fit, l, run, step));
    if (!l->best_threshold || published) out[0] = 0.5;
    return rank_lines(out + 1 + test->n, b, l, model, step);
}

static Status job(Run *r, int i, void *out, void *user)
{
    const Jobs *j = user;
    double before = run_peak_megabytes();
    Arena run = arena_open((size_t)1 << 37), step = arena_open((size_t)1 << 37);
    Status s = learn(out, j->b, j->b->system[j->system[i]].learner, run_seed(r, j->seed[i]),
                     run_flag(r, "as-published"), &run, &step);
    arena_close(&step);
    arena_close(&run);
    run_measure(r, "cpu_seconds", 0, (double)clock() / CLOCKS_PER_SEC);
    run_measure(r, "peak_megabytes", 0, run_peak_megabytes() - before);
    return s;
}

static Status run_jobs(Baselines *b, Run *r)
{
    Jobs j = {.b = b, .system = NEW(&b->arena, int, MOST_SYSTEMS *MOST_BASELINE_SEEDS)};
    j.seed = NEW(&b->arena, int, MOST_SYSTEMS *MOST_BASELINE_SEEDS);
    int n = 0;
    int64_t test = b->set[SPLIT_TEST].n, each = 1 + test + b->lines;
    for (int s = 0; s < b->systems; s++)
        for (int k = 0; k < b->system[s].seeds; k++) j.system[n] = s, j.seed[n++] = k;
    double *out = NEW(&b->arena, double, n *each), *seconds = NEW(&b->arena, double, 2 * n), *peak = seconds + n;
    TRY(run_parallel(r, n, sizeof *out * (size_t)each, job, &j, out));
    run_measures(r, "cpu_seconds", n, seconds);
    run_measures(r, "peak_megabytes", n, peak);
    for (int i = 0; i < n; i++) {
        System *s = &b->system[j.system[i]];
        const double *own = out + i * each;
        s->threshold[j.seed[i]] = own[0], s->score[j.seed[i]] = own + 1;
        if (s->learner->lines) s->line[j.seed[i]] = own + 1 + test;
        s->seconds += seconds[i] / s->seeds;
        if (peak[i] > s->megabytes) s->megabytes = peak[i];
    }
    return OK;
}

static Status run_baselines(Baselines *b, Run *r)
{
    const char *dir = *run_text(r, "data") ? run_text(r, "data") : NULL;
    if (run_preset(r) == REAL_DATA && !dir)
        return err_fail(E_CONFIG, "--preset real reads real commits: --data DIR with jit/");
    b->draws = (int)run_int(r, "draws");
    TRY(read_data(b, r, dir));
    TRY(choose_systems(b, r));
    TRY(run_jobs(b, r));
    TRY(read_ceiling(b, dir));
    TRY(baselines_defects(r, b));
    TRY(baselines_lines(r, b));
    return baselines_messages(r, b, dir);
}

static Status run(Run *r)
{
    Baselines *b = NEW(run_arena(r), Baselines, 1);
    b->arena = arena_open((size_t)1 << 37);
    Status s = run_baselines(b, r);
    arena_close(&b->arena);
    return s;
}

/* clang-format off */
static const Setting SETTINGS[] = {
    {"data", "a folder with jit/ and cmg/mined/; empty: synthetic commits", {"", NULL, NULL, NULL},
     .reads = "jit/*|cmg/mined/*"},
    {"methods", "baselines as vernier list names them, or all; words among them",
     {"words,la,date,jitline", "all", NULL, NULL}},
    {"as-published", "with the defects of the published code", {"no", NULL, NULL, NULL}},
    {"commits", "synthetic commits, the last 40 % for testing", {"200", "1000", "2000", NULL}, 50, 1e6},
    {"data-seed", "seed of the synthetic commits", {"1", NULL, NULL, NULL}, 0, 1e9},
    {"draws", "of the bootstrap", {"20", "200", "1000", "500"}, 10, 1e6},
    {"languages", "of messages, below --data", {"java,csharp,cpp,python,javascript", NULL, NULL, NULL}},
    {0}};
/* clang-format on */

static const Experiment BASELINES = {
    .group = "probes",
    .name = "baselines",
    .title = "The baselines of the study beside what they must beat",
    .claim =
        "JITLine, CC2Vec and DeepJIT find defects better than a logistic regression on hashed words and features.",
    .method = "All learn from the same commits and score the same later ones, on several seeds.  Beside them stand "
              "the date of a commit alone, the added lines alone and hashed words.  Intervals and paired tests are "
              "bootstraps over commits within projects.",
    .expect = "An AUC above that of the words for each of them, with the interval of the difference above 0.",
    .cost = "smoke seconds, quick two minutes, real a quarter of an hour",
    .source = "Pornprasit and Tantithamthavorn, MSR 2021; Hoang et al., MSR 2019 and ICSE 2020; Zeng et al., ISSTA "
              "2021",
    .settings = SETTINGS,
    .seeds = {1, 2, 10, 5},
    .run = run};
REGISTER(experiment, BASELINES)

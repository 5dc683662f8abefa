/* The three tables of probes/baselines, and its verdict. */
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "base/rng.h"
#include "base/str.h"
#include "metric/messages.h"
#include "metric/place.h"
#include "num/stats.h"
#include "plot/plot.h"
#include "probes/baselines.h"
#include "probes/floors.h"
#include "probes/grid.h"
#include "tasks/jit_json.h"

/* ---- defects ---- */

enum { F1, AUC, PAIRED, STATS };
typedef struct {
    const System *system;
    const JitSet *test;
    const int32_t *label;
    const double *place;
} View;

/* F1, AUC and paired AUC on drawn rows, as the mean over seeds; the place of a row is that in the whole set. */
static void stats(double *out, const int64_t *index, int64_t n, void *user)
{
    const View *v = user;
    Arena a = arena_open(0);
    int32_t *label = NEW(&a, int32_t, n);
    double *score = NEW(&a, double, n), *place = NEW(&a, double, n);
    const char **project = NEW(&a, const char *, n);
    for (int k = 0; k < STATS; k++) out[k] = 0;
    for (int64_t i = 0; i < n; i++) {
        label[i] = v->label[index[i]], place[i] = v->place[index[i]];
        project[i] = v->test->change[index[i]].repo;
    }
    int seeds = v->system->seeds;
    for (int s = 0; s < seeds; s++) {
        for (int64_t i = 0; i < n; i++) score[i] = v->system->score[s][index[i]];
        BinaryScores x = score_binary(label, score, n, v->system->threshold[s]);
        out[F1] += x.f1 / seeds, out[AUC] += x.auc / seeds;
        out[PAIRED] += place_auc(NULL, label, score, project, place, n) / seeds;
    }
    arena_close(&a);
}

static View view_of(Baselines *b)
{
    const JitSet *test = &b->set[SPLIT_TEST];
    int32_t *label = NEW(&b->arena, int32_t, test->n);
    double *place = NEW(&b->arena, double, test->n);
    const char **project = NEW(&b->arena, const char *, test->n);
    int64_t *time = NEW(&b->arena, int64_t, test->n);
    for (int64_t i = 0; i < test->n; i++) {
        label[i] = test->change[i].label == 1;
        project[i] = test->change[i].repo, time[i] = test->change[i].time;
    }
    place_of(place, project, time, test->n);
    return (View){NULL, test, label, place};
}

static const char *with_interval(Arena *a, double x, Interval ci)
{
    return isfinite(x) ? str_print(a, "%.3f [%.3f, %.3f]", x, ci.lo, ci.hi) : "n/a";
}

/* Published figures on the test commits of JIT-Defects4J, of systems that were trained on 16,374 others. */
static void put_published(Grid *g)
{
    static const struct {
        const char *name;
        double value[5]; /* F1, AUC, paired, recall, Popt */
    } ROW[] = {{"published, JIT-Defects4J: LApredict", {.0591, .6938, NAN, .6253, .8137}},
               {"published, JIT-Defects4J: DeepJIT", {.2927, .7748, NAN, .6758, .8596}},
               {"published, JIT-Defects4J: CC2Vec with DeepJIT", {.2445, .7906, NAN, .6758, .8597}},
               {"published, JIT-Defects4J: JITLine", {.261, .802, NAN, .705, .883}},
               {"published, JIT-Defects4J: JIT-Fine", {.431, .881, NAN, .773, .927}}};
    for (size_t i = 0; i < sizeof ROW / sizeof *ROW; i++) {
        grid_put(g, ROW[i].name), grid_put(g, "");
        for (int k = 0; k < 5; k++) grid_number(g, ROW[i].value[k], 3);
        grid_put(g, "");
    }
}

/* How the verdict comes about. */
typedef struct {
    int better, worse, unclear;
    Buf text;
} Count;

/* The metrics of every seed; the means of the two measures of effort, which have no interval here. */
static void record_seeds(Run *r, const System *s, const JitSet *test, double *recall, double *popt)
{
    Arena *a = run_arena(r);
    *recall = *popt = 0;
    for (int k = 0; k < s->seeds; k++) {
        JitScores x = jit_scores(test, s->score[k], s->threshold[k]);
        *recall += x.effort.recall_at_20 / s->seeds, *popt += x.effort.popt / s->seeds;
        run_metric(r, RANGE_SHARE, str_print(a, "%s: AUC", s->name), k, x.at.auc);
        run_metric(r, RANGE_SHARE, str_print(a, "%s: paired AUC", s->name), k, x.paired);
        run_metric(r, RANGE_SHARE, str_print(a, "%s: F1", s->name), k, x.at.f1);
    }
}

static void count_one(Count *c, const System *s, const Contrast *gap)
{
    bool above = gap->ci95.lo > 0, below = gap->ci95.hi < 0;
    if (!s->learner || s->learner->floor) return;
    c->better += above, c->worse += below, c->unclear += !above && !below;
    buf_print(&c->text, "%s%s %+.3f", c->text.len ? ", " : "", s->name, gap->difference);
}

/* `all`: the index of every test commit. */
static void put_system(Grid *g, Run *r, Baselines *b, int i, const View *view, const int64_t *all, Count *count)
{
    System *s = &b->system[i];
    View own = *view, words = *view;
    own.system = s, words.system = &b->system[b->words];
    const Bootstrap how = {
        .draws = b->draws, .stream = rng_stream(run_seed(r, 0), "baselines"), .stratum = b->project};
    double point[STATS], recall, popt;
    Interval ci[STATS];
    Contrast gap[STATS] = {{0}};
    int64_t n = view->test->n;
    stats(point, all, n, &own);
    stats_bootstrap_all(ci, STATS, n, stats, &own, &how);
    if (i != b->words) stats_bootstrap_paired(gap, STATS, n, stats, &own, &words, &how);
    record_seeds(r, s, view->test, &recall, &popt);
    for (int k = 0; k < 2; k++) s->auc[k] = point[AUC + k], s->ci[k] = ci[AUC + k];
    grid_put(g, s->name), grid_put(g, str_print(g->a, "%d", s->seeds));
    for (int k = 0; k < STATS; k++) grid_put(g, with_interval(g->a, point[k], ci[k]));
    grid_number(g, recall, 3), grid_number(g, popt, 3);
    const Contrast *auc = &gap[AUC];
    grid_put(g, i == b->words ? ""
                              : str_print(g->a, "%+.3f [%+.3f, %+.3f], p %.2g", auc->difference, auc->ci95.lo,
                                          auc->ci95.hi, auc->p));
    count_one(count, s, auc);
}

static void judge(Run *r, const Baselines *b, const Count *c)
{
    int n = c->better + c->worse + c->unclear;
    Verdict v = !n ? INCONCLUSIVE : c->better == n ? SUPPORTED : c->worse ? NOT_SUPPORTED : INCONCLUSIVE;
    if (n)
        run_verdict(r, v,
                    "Of %d published systems %d have a higher AUC than hashed words with the features on %lld test "
                    "commits, %d a lower one, and of %d the interval of the difference includes 0 (%s).",
                    n, c->better, (long long)b->set[SPLIT_TEST].n, c->worse, c->unclear, c->text.text);
    else
        run_verdict(r, v, "None of the methods is a published system.");
}

static Status draw(Run *r, const Baselines *b)
{
    static const char *const NAME[] = {"AUC", "paired AUC"};
    Arena *a = run_arena(r);
    const RefLine chance = {.at = 0.5, .label = "chance"};
    const char **label = NEW(a, const char *, b->systems);
    Series bar[2];
    for (int i = 0; i < b->systems; i++) label[i] = b->system[i].learner ? b->system[i].name : "reference";
    for (int k = 0; k < 2; k++) {
        Tensor y = tensor_new(a, F64, SHAPE(b->systems)), lo = tensor_new(a, F64, SHAPE(b->systems)),
               hi = tensor_new(a, F64, SHAPE(b->systems));
        for (int i = 0; i < b->systems; i++) {
            tensor_set(y, i, b->system[i].auc[k]);
            tensor_set(lo, i, b->system[i].ci[k].lo), tensor_set(hi, i, b->system[i].ci[k].hi);
        }
        bar[k] = (Series){.y = y, .lo = lo, .hi = hi, .label = NAME[k]};
    }
    Fig *f = run_figure(r, "auc",
                        "AUC of each system on the test commits, and among commits of one project that are close in "
                        "time.  Whiskers: 95 % over commits within projects.",
                        80 + 52 * b->systems, 210);
    fig_bars(f, fig_whole(f), 2, bar, label, (PlotStyle){.y = {.title = "AUC", .hi = 1}, .ref = &chance, .refs = 1});
    return fig_close(f);
}

Status baselines_defects(Run *r, Baselines *b)
{
    static const char *const HEAD[] = {
        "system", "seeds", "F1", "AUC", "paired AUC", "recall at 20 % effort", "Popt", "AUC less that of words"};
    static const char *const COST[] = {"system", "CPU s a seed", "peak MB"};
    Arena *a = run_arena(r);
    Grid g = grid_open(a, 8, HEAD), cost = grid_open(a, 3, COST);
    cost.measured = true;
    Count count = {.text = buf_open(a)};
    const JitSet *test = &b->set[SPLIT_TEST];
    const View view = view_of(b);
    int64_t *all = NEW(&b->arena, int64_t, test->n);
    for (int64_t i = 0; i < test->n; i++) all[i] = i;
    for (int i = 0; i < b->systems; i++) {
        run_progress(r, "intervals", i, b->systems, NAN);
        if (run_stopped()) return run_interrupted();
        put_system(&g, r, b, i, &view, all, &count);
        if (!b->system[i].learner) continue;
        grid_put(&cost, b->system[i].name);
        grid_number(&cost, b->system[i].seconds, 1), grid_number(&cost, b->system[i].megabytes, 0);
    }
    JitScores random = jit_random(test, 1);
    const double v[] = {random.at.f1, random.at.auc, random.paired, random.effort.recall_at_20, random.effort.popt};
    grid_put(&g, "random scores"), grid_put(&g, "");
    for (int k = 0; k < 5; k++) grid_number(&g, v[k], 3);
    grid_put(&g, "");
    if (*run_text(r, "data")) put_published(&g);
    const char *published = "  Published figures are of JIT-Defects4J, after training on 16,374 other commits.";
    grid_close(
        &g, r,
        str_print(a,
                  "Defects on %lld test commits, %lld of them defective; %lld to train on and %lld to choose by. "
                  "Mean over seeds [95 %% over commits within projects].  Paired AUC: among commits of one "
                  "project whose places in its time differ by at most a tenth.%s",
                  (long long)test->n, (long long)test->positives, (long long)b->set[SPLIT_TRAIN].n,
                  (long long)b->set[SPLIT_VALID].n, *run_text(r, "data") ? published : ""));
    grid_close(&cost, r, "Cost of fitting twice and scoring, one core.");
    judge(r, b, &count);
    return draw(r, b);
}

/* ---- lines ---- */

/* Mean over the commits that count: those that seed `s` of the system finds, or all where system is NULL. */
static LineScores lines_of(const Baselines *b, const System *system, int s, const System *found, int f,
                           LineFloor order, int64_t *commits)
{
    Arena a = arena_open(0);
    LineScores *each = NEW(&a, LineScores, b->faulty.n + 1);
    int64_t n = 0;
    for (int64_t k = 0; k < b->faulty.n; k++) {
        const CodeChange *c = &b->faulty.change[k];
        double *score = NEW(&a, double, change_count(c, LINE_ADD) + change_count(c, LINE_DEL) + 1);
        if (b->commit[k] < 0 || (found && found->score[f][b->commit[k]] < found->threshold[f])) continue;
        if (!system) jit_lines_floor(score, c, order);
        each[n++] = jit_lines_measure(c, b->faulty.faulty[k], system ? system->line[s] + b->first[k] : score, true);
    }
    LineScores mean = jit_lines_mean(each, n);
    arena_close(&a);
    if (commits) *commits = n;
    return mean;
}

static void put_lines(Grid *g, const char *name, const char *which, double commits, LineScores x)
{
    grid_put(g, name), grid_put(g, which), grid_number(g, commits, 0);
    grid_number(g, x.top_5, 3), grid_number(g, x.top_10, 3), grid_number(g, x.recall_at_20, 3);
    grid_number(g, x.effort_at_20, 3), grid_number(g, x.ifa, 1);
}

static void add_lines(LineScores *sum, LineScores x, int of)
{
    sum->top_5 += x.top_5 / of, sum->top_10 += x.top_10 / of, sum->recall_at_20 += x.recall_at_20 / of;
    sum->effort_at_20 += x.effort_at_20 / of, sum->ifa += x.ifa / of;
}

Status baselines_lines(Run *r, Baselines *b)
{
    static const char *const HEAD[] = {"ranking", "defective commits", "commits",        "top 5",
                                       "top 10",  "recall at 20 %",    "effort at 20 %", "IFA"};
    Grid g = grid_open(run_arena(r), 8, HEAD);
    int64_t n;
    if (!b->faulty.n) return OK;
    for (int o = 0; o < LINE_FLOORS; o++) {
        LineScores x = lines_of(b, NULL, 0, NULL, 0, (LineFloor)o, &n);
        put_lines(&g, LINE_FLOOR[o], "all", (double)n, x);
    }
    for (int i = 0; i < b->systems; i++) {
        const System *s = &b->system[i];
        if (!s->line[0]) continue;
        LineScores all = {0}, own = {0}, length = {0};
        double found = 0;
        for (int k = 0; k < s->seeds; k++) {
            add_lines(&all, lines_of(b, s, k, NULL, 0, 0, NULL), s->seeds);
            add_lines(&own, lines_of(b, s, k, s, k, 0, &n), s->seeds);
            add_lines(&length, lines_of(b, NULL, 0, s, k, LINES_BY_LENGTH, NULL), s->seeds);
            found += (double)n / s->seeds;
        }
        put_lines(&g, s->name, "all", (double)b->faulty.n, all);
        put_lines(&g, s->name, str_print(g.a, "found by %s", s->name), found, own);
        put_lines(&g, LINE_FLOOR[LINES_BY_LENGTH], str_print(g.a, "found by %s", s->name), found, length);
    }
    grid_close(&g, r,
               "Added lines of defective test commits, ranked; mean over commits and seeds.  A ranking that is not "
               "better than the longest lines first may be one by length.");
    return OK;
}

/* ---- messages ---- */

static const int METRIC[] = {B_NORM, ROUGE_L, METEOR_NLTK, EXACT};
enum { METRICS = sizeof METRIC / sizeof *METRIC };

static Status put_floor(Grid *g, const char *language, const MessageFloor *f)
{
    double v[MESSAGE_METRICS];
    Interval ci[MESSAGE_METRICS];
    TRY(message_floor(v, ci, f));
    grid_put(g, language), grid_put(g, f->nearest ? "nearest change (NNGen)" : "most frequent message");
    grid_put(g, str_print(g->a, "mined, %lld for %lld", (long long)f->n, (long long)f->m));
    for (int k = 0; k < METRICS; k++)
        grid_put(g, str_print(g->a, "%.2f [%.2f, %.2f]", v[METRIC[k]], ci[METRIC[k]].lo, ci[METRIC[k]].hi));
    return OK;
}

/* Published outputs on MCMD, scored by `vernier score`: other data than the mined changes. */
static void put_outputs(Grid *g, const char *language)
{
    static const struct {
        const char *language, *system;
        double value[METRICS];
    } ROW[] = {{"java", "CCT5", {20.80, 26.72, 24.49, 6.35}},
               {"java", "CodeT5", {17.64, 22.52, 19.96, 5.07}},
               {"java", "CodeReviewer", {18.38, 23.45, 20.88, 5.62}},
               {"csharp", "CCT5", {27.75, 32.48, 31.05, 13.76}},
               {"csharp", "CodeT5", {18.76, 22.57, 20.90, 7.82}},
               {"csharp", "CodeReviewer", {20.36, 24.20, 22.48, 9.24}},
               {"cpp", "CCT5", {17.59, 23.23, 21.48, 4.03}},
               {"cpp", "CodeT5", {14.41, 18.78, 16.70, 3.35}},
               {"cpp", "CodeReviewer", {15.94, 20.77, 18.70, 3.80}},
               {"python", "CCT5", {20.98, 27.68, 25.90, 4.81}},
               {"python", "CodeT5", {18.23, 24.05, 22.00, 3.22}},
               {"javascript", "CCT5", {23.92, 30.28, 28.99, 7.80}},
               {"javascript", "CodeT5", {21.54, 27.36, 25.71, 6.35}},
               {"javascript", "CodeReviewer", {19.83, 25.42, 23.99, 6.31}}};
    for (size_t i = 0; i < sizeof ROW / sizeof *ROW; i++) {
        if (strcmp(ROW[i].language, language) != 0) continue;
        grid_put(g, language), grid_put(g, str_print(g->a, "published: %s", ROW[i].system)),
            grid_put(g, "MCMD, 45,000");
        for (int k = 0; k < METRICS; k++) grid_number(g, ROW[i].value[k], 2);
    }
}

/* A language whose files are not there is named in a note. */
static Status put_language(Grid *g, Run *r, Arena *a, const char *dir, const char *name)
{
    const char *path[2] = {str_print(a, "%s/cmg/mined/%s_train.jsonl", dir, name),
                           str_print(a, "%s/cmg/mined/%s_test.jsonl", dir, name)};
    CodeChange *change[2];
    int64_t n[2];
    for (int k = 0; k < 2; k++) {
        if (access(path[k], F_OK)) {
            run_note(r, "Messages: %s is not there, so %s has no rows.", path[k], name);
            return OK;
        }
        TRY(run_input(r, path[k]));
        TRY(changes_read(&change[k], &n[k], a, path[k]));
    }
    MessageFloor f = {.nearest = true, .train = change[0], .test = change[1], .n = n[0], .m = n[1]};
    TRY(put_floor(g, name, &f));
    f.nearest = false;
    TRY(put_floor(g, name, &f));
    put_outputs(g, name);
    return OK;
}

Status baselines_messages(Run *r, Baselines *b, const char *dir)
{
    static const char *const HEAD[] = {"language", "system",        "data",     "B-Norm",
                                       "ROUGE-L",  "METEOR (nltk)", "exact (%)"};
    Grid g = grid_open(run_arena(r), sizeof HEAD / sizeof *HEAD, HEAD);
    size_t len;
    for (const char *rest = run_text(r, "languages"), *p; dir && str_next(&rest, ",", &p, &len);)
        TRY(put_language(&g, r, &b->arena, dir, str_copy(g.a, p, len)));
    grid_close(&g, r,
               "Commit messages [95 % over changes].  The published outputs are of other data, and rows of different "
               "data do not compare systems.");
    return OK;
}

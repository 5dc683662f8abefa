/* Experiments and tunings leave results.json, whose metrics have a mean; a command that prints JSON leaves its
 * numbers.  A cell of several experiments has several results, whose metrics begin with the experiment's name. */
#include "sweep/gather.h"

#include <math.h>
#include <string.h>
#include <unistd.h>

#include "io/json.h"
#include "run/found.h"
#include "run/report.h"
#include "run/result.h"
#include "sweep/capture.h"

enum { MOST_RESULTS = 64 };

const char *state_name(State s)
{
    static const char *const NAME[] = {"done", "failed", "unfinished", "not begun"};
    return NAME[s];
}

static void add(Gathered *g, Arena *a, const char *name, double value)
{
    GROW(a, g->metric, g->metrics, g->room, 16);
    g->metric[g->metrics++] = (Measured){str_copy(a, name, strlen(name)), value};
}

double gathered(const Gathered *g, const char *metric)
{
    for (int i = 0; i < g->metrics; i++)
        if (!strcmp(g->metric[i].name, metric)) return g->metric[i].value;
    return NAN;
}

/* Numbers of objects within objects, "validation: f1". */
static void take_numbers(Gathered *g, Arena *a, const cJSON *o, const char *before, int deep)
{
    const cJSON *x;
    cJSON_ArrayForEach(x, o)
    {
        const char *name = str_print(a, "%s%s%s", before, *before ? ": " : "", x->string ? x->string : "");
        if (cJSON_IsNumber(x)) add(g, a, name, x->valuedouble);
        if (cJSON_IsObject(x) && deep) take_numbers(g, a, x, name, deep - 1);
    }
}

static Status take_result(Gathered *g, Arena *a, const char *dir, bool several)
{
    RunResult r;
    TRY(result_read(&r, a, dir));
    const char *before = several && *r.experiment ? str_print(a, "%s: ", r.experiment) : "";
    for (int i = 0; i < r.metrics; i++) add(g, a, str_print(a, "%s%s", before, r.metric[i].name), r.metric[i].mean);
    if (*r.verdict) g->verdict = !g->verdict || !strcmp(g->verdict, r.verdict) ? r.verdict : "mixed";
    if (isnan(g->total)) g->total = r.total, g->trainable = r.trainable;
    return OK;
}

static Status take_printed(Gathered *g, Arena *a, const char *path)
{
    enum { DEEP = 3 };
    cJSON *root;
    TRY(json_read(&root, a, path));
    if (cJSON_IsObject(root)) take_numbers(g, a, root, "", DEEP);
    cJSON_Delete(root);
    return OK;
}

/* A cell is done when its command has ended so and its manifest, where it has one, says the same. */
static State state_of(const Gathered *g, const char *dir, const Found *f)
{
    if (f->there && f->done) return STATE_DONE;
    if (!f->there && g->cost.exit == 0 && file_is_dir(dir)) return STATE_DONE;
    if (!g->cost.attempts && !file_is_dir(dir)) return STATE_NONE;
    bool again = !g->cost.attempts || g->cost.exit == 75 || g->cost.exit == 130 || g->cost.exit < 0;
    return again ? STATE_UNFINISHED : STATE_FAILED;
}

static Status gather_cell(Gathered *g, const Plan *p, Arena *a, const char *dir, int64_t cell)
{
    const char *name = p->cell[cell].name, *at = str_print(a, "%s/%s", dir, name);
    const char *result[MOST_RESULTS], *printed = str_print(a, "%s/" CAPTURE_JSON, at);
    int n = 0;
    Found found;
    *g = (Gathered){.total = NAN, .trainable = NAN};
    TRY(cell_cost(&g->cost, a, dir, name));
    TRY(found_read(&found, a, str_print(a, "%s/manifest.json", at)));
    g->state = state_of(g, at, &found);
    if (g->state != STATE_DONE) return OK;
    if (!access(printed, F_OK)) return take_printed(g, a, printed);
    if (report_find(result, &n, MOST_RESULTS, a, at)) err_clear(); /* no results.json: the cell has no metrics */
    for (int i = 0; i < n; i++) TRY(take_result(g, a, result[i], n > 1));
    return OK;
}

Status gather(Gathered *out, const Plan *p, Arena *a, const char *dir)
{
    for (int64_t i = 0; i < p->n; i++) TRY(gather_cell(&out[i], p, a, dir, i));
    return OK;
}

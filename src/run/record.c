/* The results of an experiment, recorded in order.  A forked job may log and report progress.  A metric, verdict or
 * note that it recorded would be lost with it, so this is a programming error that ends the program. */
#include "base/print.h"
#include "run/run.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdarg.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cjson/cJSON.h>

#include "base/file.h"
#include "base/sha256.h"
#include "io/json.h"
#include "num/stats.h"
#include "plot/plot.h"
#include "run/log.h"
#include "run/machine.h"

static void parent_only(const Run *r, const char *record)
{
    CHECK(r->job < 0, "%s: %s within a parallel job; record it in the parent, from the job's result",
          r->experiment->name, record);
}

static Note *append(Run *r, Note **list)
{
    while (*list) list = &(*list)->next;
    return *list = NEW(&r->arena, Note, 1);
}

static Metric *metric_find(Run *r, const char *name)
{
    Metric **m = &r->metrics;
    for (; *m; m = &(*m)->next)
        if (!strcmp((*m)->name, name)) return *m;
    return NULL;
}

static Metric *metric_new(Run *r, ClaimRange range, const char *name)
{
    Metric **m = &r->metrics;
    while (*m) m = &(*m)->next;
    *m = NEW(&r->arena, Metric, 1);
    (*m)->name = str_copy(&r->arena, name, strlen(name));
    (*m)->range = range;
    (*m)->value = NEW(&r->arena, double, r->seeds);
    (*m)->given = NEW(&r->arena, bool, r->seeds);
    for (int i = 0; i < r->seeds; i++) (*m)->value[i] = NAN;
    return *m;
}

void run_metric(Run *r, ClaimRange range, const char *name, int seed_index, double value)
{
    parent_only(r, "run_metric");
    CHECK(seed_index >= 0 && seed_index < r->seeds, "metric %s: seed %d of %d", name, seed_index, r->seeds);
    Metric *m = metric_find(r, name);
    if (!m) m = metric_new(r, range, name);
    CHECK(m->range == range, "metric %s: two ranges", name);
    CHECK(!m->given[seed_index], "metric %s: recorded twice for seed %d", name, seed_index);
    m->value[seed_index] = value;
    m->given[seed_index] = true;
    if (seed_index >= m->n) m->n = seed_index + 1;
    if (!isfinite(value))
        run_note(r, "%s is not a finite number for seed %llu", name, (unsigned long long)run_seed(r, seed_index));
    if (isfinite(value) && !claim_in_range(value, range))
        run_note(r, "%s is %.6g for seed %llu, outside its range \"%s\", and has no interval.", name, value,
                 (unsigned long long)run_seed(r, seed_index), claim_range_name(range));
}

/* Over the values that were recorded.  One that is not finite makes the mean so: a seed that diverged is a result,
 * and an average over the survivors would hide it. */
Summary metric_summary(Arena *a, const Metric *m)
{
    ArenaMark mark = arena_mark(a);
    double *x = NEW(a, double, m->n);
    int n = 0;
    for (int i = 0; i < m->n; i++)
        if (m->given[i]) x[n++] = m->value[i];
    Summary s = stats_summary(x, n);
    s.ci95 = claim_interval(x, n, m->range, 0.95);
    arena_drop(a, mark);
    return s;
}

/* Records the paired t test of two metrics over the seeds that have both, and returns its p. */
double run_compare(Run *r, const char *a, const char *b)
{
    parent_only(r, "run_compare");
    const Metric *ma = metric_find(r, a), *mb = metric_find(r, b);
    CHECK(ma && mb, "run_compare: %s is no metric", ma ? b : a);
    double *x = NEW(&r->arena, double, r->seeds), *y = NEW(&r->arena, double, r->seeds);
    int n = 0;
    for (int i = 0; i < ma->n && i < mb->n; i++) {
        if (!ma->given[i] || !mb->given[i]) continue;
        x[n] = ma->value[i];
        y[n++] = mb->value[i];
    }
    machine_trap(false);
    Paired test = stats_paired(x, y, n);
    machine_trap(true);
    Note *note = append(r, &r->compares);
    *note = (Note){ma->name, mb->name, 0, 0, test.difference, test.ci95.lo, test.ci95.hi, test.p, n, NULL};
    return test.p;
}

void run_verdict(Run *r, Verdict verdict, const char *fmt, ...)
{
    va_list args;
    parent_only(r, "run_verdict");
    va_start(args, fmt);
    r->sentence = str_vprint(&r->arena, fmt, args, NULL);
    va_end(args);
    r->verdict = verdict;
    r->judged = true;
}

void run_note(Run *r, const char *fmt, ...)
{
    va_list args;
    parent_only(r, "run_note");
    va_start(args, fmt);
    const char *text = str_vprint(&r->arena, fmt, args, NULL);
    va_end(args);
    append(r, &r->notes)->text = text;
}

static void add_table(Run *r, Grid **list, Grid table)
{
    parent_only(r, "a table");
    while (*list) list = &(*list)->next;
    *list = NEW(&r->arena, Grid, 1);
    **list = table;
}

void run_table(Run *r, const char *caption, int cols, const char *const *head, int rows, const char *const *cell)
{
    add_table(r, &r->tables, (Grid){caption, cols, rows, head, cell, NULL});
}

void run_measured_table(Run *r, const char *caption, int cols, const char *const *head, int rows,
                        const char *const *cell)
{
    add_table(r, &r->measured, (Grid){caption, cols, rows, head, cell, NULL});
}

Fig *run_figure(Run *r, const char *name, const char *caption, double w, double h)
{
    parent_only(r, "run_figure");
    machine_trap(false); /* figures come last, and drawing computes with NaN */
    CHECK(*name && !strpbrk(name, "./"), "figure \"%s\": a name has no dots or slashes", name);
    file_make_dir(run_path(r, "figures")); /* fig_close reports a failure of this */
    *append(r, &r->figures) = (Note){.text = str_copy(&r->arena, name, strlen(name)),
                                     .more = str_copy(&r->arena, caption, strlen(caption))};
    return fig_open(run_path(r, "figures/%s", name), w, h);
}

void run_params(Run *r, const char *name, int64_t total, int64_t trainable)
{
    parent_only(r, "run_params");
    *append(r, &r->params) =
        (Note){.text = str_copy(&r->arena, name, strlen(name)), .total = total, .trainable = trainable};
}

Status run_input(Run *r, const char *path)
{
    Sha256Hex hash;
    parent_only(r, "run_input");
    TRY(sha256_file(&hash, path));
    size_t own = strlen(r->dir); /* files that the run has made move with its directory */
    if (!strncmp(path, r->dir, own) && path[own] == '/') path += own + 1;
    *append(r, &r->inputs) = (Note){.text = str_copy(&r->arena, path, strlen(path)),
                                    .more = str_copy(&r->arena, hash.hex, strlen(hash.hex))};
    return OK;
}

void run_log(Run *r, const char *phase, int64_t step, int n, const char *const *name, const double *value)
{
    if (!r->log_error) r->log_error = log_line(r->log, r->job, phase, step, n, name, value);
}

void run_measure(Run *r, const char *name, int64_t step, double value)
{
    ArenaMark mark = arena_mark(&r->arena);
    cJSON *line = cJSON_CreateObject();
    cJSON_AddNumberToObject(line, "call", r->calls - 1);
    cJSON_AddNumberToObject(line, "job", r->job);
    cJSON_AddStringToObject(line, "what", name);
    cJSON_AddNumberToObject(line, "step", (double)step);
    cJSON_AddNumberToObject(line, "value", value);
    char *text = json_printed(line, true);
    const char *whole = str_print(&r->arena, "%s\n", text);
    int fd = open(run_path(r, "timings.jsonl"), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (fd >= 0 && write(fd, whole, strlen(whole)) < 0 && !r->log_error) r->log_error = errno;
    if (fd >= 0) close(fd);
    cJSON_free(text);
    cJSON_Delete(line);
    arena_drop(&r->arena, mark);
}

/* Of a job that was begun more than once the last counts. */
static void take_measure(const Run *r, const char *line, const char *name, int n, double *out)
{
    cJSON *o = cJSON_Parse(line);
    const cJSON *call = cJSON_GetObjectItem(o, "call"), *job = cJSON_GetObjectItem(o, "job"),
                *value = cJSON_GetObjectItem(o, "value");
    const char *found = cJSON_GetStringValue(cJSON_GetObjectItem(o, "what"));
    bool mine = found && !strcmp(found, name) && cJSON_IsNumber(call) && call->valueint == r->calls - 1;
    if (mine && cJSON_IsNumber(job) && cJSON_IsNumber(value) && job->valueint >= 0 && job->valueint < n)
        out[job->valueint] = value->valuedouble;
    cJSON_Delete(o);
}

double run_peak_megabytes(void)
{
    struct rusage self;
    getrusage(RUSAGE_SELF, &self);
    return (double)self.ru_maxrss / 1024;
}

void run_measures(Run *r, const char *name, int n, double *out)
{
    const char *path = run_path(r, "timings.jsonl");
    Bytes all;
    parent_only(r, "run_measures");
    for (int i = 0; i < n; i++) out[i] = NAN;
    if (access(path, R_OK) || file_read(&all, &r->arena, path)) {
        err_clear();
        return;
    }
    for (char *line = all.text, *end; (end = strchr(line, '\n')); line = end + 1) {
        *end = 0;
        take_measure(r, line, name, n, out);
    }
}

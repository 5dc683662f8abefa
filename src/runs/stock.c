/* Finding runs, and choosing among them. */
#include "runs/stock.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "run/report.h"

enum { MOST_RUNS = 10000, MOST_CONDITIONS = 64, MOST_KEYS = 1000 };

Status stock_read(Stock *s, Arena *a, int dirs, const char *const *dir)
{
    const char **found = NEW(a, const char *, MOST_RUNS);
    int n = 0;
    for (int i = 0; i < dirs; i++) TRY(report_find(found, &n, MOST_RUNS, a, dir[i]));
    *s = (Stock){n, NEW(a, RunResult, n + 1)};
    for (int i = 0; i < n; i++) TRY(result_read(&s->run[i], a, found[i] + (strncmp(found[i], "./", 2) ? 0 : 2)));
    return OK;
}

/* ---- keys */

static bool same_name(const char *a, const char *b)
{
    for (; *a && *b; a++, b++)
        if (*a != *b && !(strchr("-_", *a) && strchr("-_", *b))) return false;
    return *a == *b;
}

static const char **metric_names(Arena *a, const RunResult *r)
{
    const char **name = NEW(a, const char *, r->metrics + 1);
    for (int i = 0; i < r->metrics; i++) name[i] = r->metric[i].name;
    return name;
}

static Held held_text(const char *text)
{
    Held h = {.text = text, .number = NAN};
    if (!str_real(text, &h.number)) h.number = NAN;
    return h;
}

Held stock_held(const RunResult *r, Arena *a, const char *key)
{
    const KeyValue own[] = {{"dir", r->dir},       {"experiment", r->experiment}, {"command", r->command},
                            {"status", r->status}, {"verdict", r->verdict},       {"version", r->version}};
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        if (!strcmp(own[i].key, key)) return held_text(own[i].value);
    for (int i = 0; i < r->sets; i++)
        if (same_name(r->set[i].key, key)) return held_text(r->set[i].value);
    const char *name = metric_like(a, r->metrics, metric_names(a, r), key);
    const RunMetric *m = name ? result_metric(r, name) : NULL;
    return m ? (Held){stock_number(a, m->mean), m->mean, m} : (Held){NULL, NAN, NULL};
}

Status stock_has(const Stock *s, Arena *a, const char *option, const char *key)
{
    const char **known = NEW(a, const char *, MOST_KEYS + 1);
    int n = 0;
    for (int i = 0; i < s->n; i++)
        if (stock_held(&s->run[i], a, key).text) return OK;
    for (int i = 0; i < s->n; i++) {
        for (int k = 0; k < s->run[i].sets && n < MOST_KEYS; k++) known[n++] = s->run[i].set[k].key;
        for (int k = 0; k < s->run[i].metrics && n < MOST_KEYS; k++) known[n++] = s->run[i].metric[k].name;
    }
    const char *near = str_nearest(key, known);
    return err_fail(E_CONFIG, "--%s: no run has a setting or one metric called %s%s%s%s", option, key,
                    near ? "; did you mean " : "; vernier runs show RUN lists both", near ? near : "",
                    near ? "?" : "");
}

/* ---- conditions */

typedef struct {
    const char *key, *sign, *value;
} Condition;

static Status read_condition(Condition *c, Arena *a, const char *text)
{
    static const char *const SIGN[] = {"!=", "<=", ">=", "=", "<", ">"};
    const size_t n = strcspn(text, "!<>=");
    for (size_t i = 0; n && i < sizeof SIGN / sizeof *SIGN; i++) {
        if (strncmp(text + n, SIGN[i], strlen(SIGN[i])) != 0) continue;
        *c = (Condition){str_copy(a, text, n), SIGN[i], text + n + strlen(SIGN[i])};
        return OK;
    }
    return err_fail(E_CONFIG, "--where %s: expected KEY=VALUE, or one of != < <= > >= between them", text);
}

/* Numbers by their size, a text against a glob. */
static bool meets(const RunResult *r, Arena *a, const Condition *c)
{
    const Held h = stock_held(r, a, c->key);
    double want;
    const bool numbers = str_real(c->value, &want) && !isnan(h.number), no = *c->sign == '!';
    if (!h.text) return no;
    const int order = numbers ? (h.number > want) - (h.number < want) : strcmp(h.text, c->value);
    if (no || *c->sign == '=') return (numbers ? !order : str_glob(c->value, h.text)) != no;
    if (h.metric && isnan(h.metric->mean)) return false;
    return (*c->sign == '<' ? order < 0 : order > 0) || (c->sign[1] && !order);
}

Status stock_choose(Stock *s, const Args *args)
{
    Arena *a = args_arena(args);
    const char *text[MOST_CONDITIONS];
    const int n = args_all(args, "where", text, MOST_CONDITIONS);
    for (int i = 0; i < n; i++) {
        Condition c = {0};
        int kept = 0;
        TRY(read_condition(&c, a, text[i]));
        if (s->n) TRY(stock_has(s, a, "where", c.key));
        for (int k = 0; k < s->n; k++)
            if (meets(&s->run[k], a, &c)) s->run[kept++] = s->run[k];
        s->n = kept;
    }
    return OK;
}

/* ---- order */

typedef struct {
    Arena *arena;
    const char *key;
    bool largest;
} Order;

static int comparison_make(const void *x, const void *y, void *user)
{
    const RunResult *r = x, *q = y;
    const Order *o = user;
    const Held u = stock_held(r, o->arena, o->key), v = stock_held(q, o->arena, o->key);
    if (!u.text || !v.text) return u.text ? -1 : v.text ? 1 : strcmp(r->dir, q->dir);
    const bool numbers = !isnan(u.number) && !isnan(v.number);
    int by = numbers ? (u.number > v.number) - (u.number < v.number) : strcmp(u.text, v.text);
    return by ? (o->largest ? -by : by) : strcmp(r->dir, q->dir);
}

Status stock_sort(Stock *s, Arena *a, const char *key)
{
    Order o = {a, *key == '-' ? key + 1 : key, *key == '-'};
    TRY(stock_has(s, a, "sort", o.key));
    qsort_r(s->run, (size_t)s->n, sizeof *s->run, comparison_make, &o);
    return OK;
}

/* ---- for the tables */

const char *stock_number(Arena *a, double x)
{
    if (isnan(x)) return "";
    return str_print(a, x == floor(x) && fabs(x) < 1e9 ? "%.0f" : "%.4g", x);
}

const char *stock_interval(Arena *a, const RunMetric *m)
{
    if (!m) return "";
    if (isnan(m->mean)) return "n/a";
    if (isnan(m->ci95.lo) || m->ci95.lo >= m->ci95.hi) return stock_number(a, m->mean);
    return str_print(a, "%s [%.3g, %.3g]", stock_number(a, m->mean), m->ci95.lo, m->ci95.hi);
}

bool stock_done(const RunResult *r)
{
    return !strcmp(r->status, "done");
}

const char *stock_outcome(const RunResult *r)
{
    return stock_done(r) && *r->verdict ? r->verdict : r->status;
}

const RunMetric *stock_key_metric(const RunResult *r, Arena *a)
{
    const char *chosen = result_setting(r, "metric"); /* by which a tuning chooses its evaluation */
    const RunMetric *m = chosen ? result_metric(r, str_print(a, "validation: %s", chosen)) : NULL;
    if (m) return m;
    const char *name = metric_first(r->metrics, metric_names(a, r));
    return name ? result_metric(r, name) : r->metrics ? r->metric : NULL;
}

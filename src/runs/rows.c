/* Rows are sorted by id, so that neither the join nor a draw of the bootstrap depends on the order of a file. */
#include "runs/rows.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io/json.h"

/* ---- reading */

static const char *text_in(Arena *a, const cJSON *o, const char *key)
{
    const cJSON *x = cJSON_GetObjectItemCaseSensitive(o, key);
    if (cJSON_IsString(x)) return str_copy(a, x->valuestring, strlen(x->valuestring));
    return cJSON_IsNumber(x) ? str_print(a, "%.15g", x->valuedouble) : NULL;
}

static double number_in(const cJSON *o, const char *key)
{
    return cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(o, key));
}

/* A member that a row lacks is taken from all. */
static void take(Rows *r, Arena *a, const cJSON *o)
{
    const int64_t i = r->n++;
    r->id[i] = text_in(a, o, "id");
    const char *label = text_in(a, o, "label"), *predicted = text_in(a, o, "predicted");
    if (r->label && !(r->label[i] = label)) r->label = NULL;
    if (r->predicted && !(r->predicted[i] = predicted)) r->predicted = NULL;
    if (r->score && isnan(r->score[i] = number_in(o, "score"))) r->score = NULL;
    if (r->loss && isnan(r->loss[i] = number_in(o, "loss"))) r->loss = NULL;
    if (r->tokens && isnan(r->tokens[i] = number_in(o, "tokens"))) r->tokens = NULL;
}

static Rows rows_of(Arena *a, int64_t n)
{
    return (Rows){0,
                  NEW(a, const char *, n + 1),
                  NEW(a, const char *, n + 1),
                  NEW(a, const char *, n + 1),
                  NEW(a, double, n + 1),
                  NEW(a, double, n + 1),
                  NEW(a, double, n + 1)};
}

Status rows_read(Rows *r, Arena *a, const char *dir)
{
    const char *path = str_print(a, "%s/validation.jsonl", dir), *line;
    Bytes text;
    size_t n;
    int64_t lines = 0, at = 0;
    *r = (Rows){0};
    if (access(path, F_OK)) return OK;
    TRY(file_read(&text, a, path));
    for (size_t i = 0; i < text.len; i++) lines += text.text[i] == '\n';
    *r = rows_of(a, lines + 1);
    for (const char *rest = text.text; str_next(&rest, "\n", &line, &n);) {
        cJSON *o;
        at++;
        TRY(json_parse(&o, line, n, str_print(a, "%s:%lld", path, (long long)at)));
        take(r, a, o);
        cJSON_Delete(o);
        if (!r->id[r->n - 1]) return err_fail(E_FORMAT, "%s:%lld: no id, expected one", path, (long long)at);
    }
    return OK;
}

/* ---- joining */

typedef struct {
    const char *id;
    int64_t at;
} Place;

static int by_id(const void *x, const void *y)
{
    const Place *a = x, *b = y;
    const int order = strcmp(a->id, b->id);
    return order ? order : (a->at > b->at) - (a->at < b->at);
}

static Place *sorted(Arena *a, const Rows *r)
{
    Place *p = NEW(a, Place, r->n + 1);
    for (int64_t i = 0; i < r->n; i++) p[i] = (Place){r->id[i], i};
    qsort(p, (size_t)r->n, sizeof *p, by_id);
    return p;
}

static void copy_row(Rows *to, const Rows *from, int64_t at)
{
    const int64_t i = to->n++;
    to->id[i] = from->id[at];
    if (from->label) to->label[i] = from->label[at];
    if (from->predicted) to->predicted[i] = from->predicted[at];
    if (from->score) to->score[i] = from->score[at];
    if (from->loss) to->loss[i] = from->loss[at];
    if (from->tokens) to->tokens[i] = from->tokens[at];
}

static Rows room_like(Arena *a, const Rows *r, const Rows *also)
{
    Rows x = rows_of(a, r->n + 1);
    if (!r->label || !also->label) x.label = NULL;
    if (!r->predicted || !also->predicted) x.predicted = NULL;
    if (!r->score || !also->score) x.score = NULL;
    if (!r->loss || !also->loss) x.loss = NULL;
    if (!r->tokens || !also->tokens) x.tokens = NULL;
    return x;
}

static Rows without(Rows r, const Rows *shape)
{
    if (!shape->label) r.label = NULL;
    if (!shape->predicted) r.predicted = NULL;
    if (!shape->score) r.score = NULL;
    if (!shape->loss) r.loss = NULL;
    if (!shape->tokens) r.tokens = NULL;
    return r;
}

/* Rows of one id and one label; a label that differs is another example of the same name. */
static void join(Rows *x, Rows *y, Arena *arena, const Rows *a, const Rows *b)
{
    *x = room_like(arena, a, b), *y = room_like(arena, a->n > b->n ? a : b, a->n > b->n ? b : a);
    const Rows one = without(*a, x), other = without(*b, x);
    const Place *p = sorted(arena, a), *q = sorted(arena, b);
    for (int64_t i = 0, k = 0; i < a->n && k < b->n;) {
        const int order = strcmp(p[i].id, q[k].id);
        if (!order && (!x->label || !strcmp(a->label[p[i].at], b->label[q[k].at]))) {
            copy_row(x, &one, p[i].at);
            copy_row(y, &other, q[k].at);
        }
        i += order <= 0, k += order >= 0;
    }
}

/* ---- measures */

typedef struct {
    const Rows *rows;
    Arena *arena;
    bool binary; /* labels are 0 and 1 */
    int n;
    const char *name[ROW_MEASURES];
    int32_t *label, *predicted, classes; /* (rows) numbers of the classes */
    int64_t (*of)[3];                    /* (classes) rows of a draw: of it, predicted as it, and both */
    int64_t *rank, ranks;                /* (rows) of each score among the different ones */
    int64_t (*count)[2];                 /* (ranks) rows of a draw, by label */
} Measured;

static bool is_binary(const Rows *r)
{
    for (int64_t i = 0; r->label && i < r->n; i++)
        if (strcmp(r->label[i], "0") != 0 && strcmp(r->label[i], "1") != 0) return false;
    return r->label;
}

static int by_score(const void *x, const void *y, void *score)
{
    const double *s = score, a = s[*(const int64_t *)x], b = s[*(const int64_t *)y];
    return (a > b) - (a < b);
}

static void rank_scores(Measured *m, Arena *a, const Rows *r)
{
    int64_t *order = NEW(a, int64_t, r->n + 1);
    m->rank = NEW(a, int64_t, r->n + 1);
    m->count = (int64_t(*)[2])NEW(a, int64_t, 2 * r->n + 2);
    for (int64_t i = 0; i < r->n; i++) order[i] = i;
    qsort_r(order, (size_t)r->n, sizeof *order, by_score, r->score);
    for (int64_t i = 0; i < r->n; i++) {
        if (!i || r->score[order[i]] != r->score[order[i - 1]]) m->ranks++;
        m->rank[order[i]] = m->ranks - 1;
    }
}

static int32_t class_of(const char **name, int32_t *n, const char *label)
{
    int32_t i = 0;
    while (i < *n && strcmp(name[i], label) != 0) i++;
    if (i == *n) name[(*n)++] = label;
    return i;
}

static void number_classes(Measured *m, Arena *a, const Rows *r)
{
    const char **name = NEW(a, const char *, 2 * r->n + 1);
    m->label = NEW(a, int32_t, r->n + 1);
    m->predicted = NEW(a, int32_t, r->n + 1);
    for (int64_t i = 0; i < r->n; i++) {
        m->label[i] = class_of(name, &m->classes, r->label[i]);
        m->predicted[i] = class_of(name, &m->classes, r->predicted[i]);
    }
    m->of = (int64_t(*)[3])NEW(a, int64_t, 3 * m->classes + 3);
}

const char *const ROW_MEASURE[ROW_MEASURES] = {"f1", "auc", "macro_f1", "accuracy", "loss"};

static Measured measured(const Rows *r, Arena *a)
{
    Measured m = {.rows = r, .arena = a, .binary = is_binary(r)};
    if (r->score) rank_scores(&m, a, r);
    if (m.binary && r->predicted) m.name[m.n++] = "f1";
    if (m.binary && r->score) m.name[m.n++] = "auc";
    if (r->label && r->predicted && !r->loss) {
        number_classes(&m, a, r);
        m.name[m.n++] = "macro_f1";
        m.name[m.n++] = "accuracy";
    }
    if (r->loss) m.name[m.n++] = "loss";
    return m;
}

static double f1(const Rows *r, const int64_t *index, int64_t n)
{
    double hits = 0, said = 0, there = 0;
    for (int64_t i = 0; i < n; i++) {
        const bool yes = *r->predicted[index[i]] == '1', is = *r->label[index[i]] == '1';
        hits += yes && is, said += yes, there += is;
    }
    return said + there > 0 ? 2 * hits / (said + there) : 0;
}

/* The chance that a row of 1 scores above a row of 0, a tie counting half: of the drawn rows of each rank. */
static double auc(const Measured *m, const int64_t *index, int64_t n)
{
    double pairs = 0, zeros = 0, ones = 0;
    memset(m->count, 0, sizeof *m->count * (size_t)m->ranks);
    for (int64_t i = 0; i < n; i++) m->count[m->rank[index[i]]][*m->rows->label[index[i]] == '1']++;
    for (int64_t r = 0; r < m->ranks; r++) {
        const double zero = (double)m->count[r][0], one = (double)m->count[r][1];
        pairs += one * (zeros + zero / 2);
        zeros += zero, ones += one;
    }
    return pairs / (zeros * ones);
}

/* Over the classes that occur, as label or as prediction. */
static double macro_f1(const Measured *m, const int64_t *index, int64_t n)
{
    double sum = 0;
    int there = 0;
    memset(m->of, 0, sizeof *m->of * (size_t)m->classes);
    for (int64_t i = 0; i < n; i++) {
        const int32_t is = m->label[index[i]], said = m->predicted[index[i]];
        m->of[is][0]++, m->of[said][1]++, m->of[is][2] += is == said;
    }
    for (int32_t c = 0; c < m->classes; c++) {
        const int64_t all = m->of[c][0] + m->of[c][1];
        if (!all) continue;
        sum += 2 * (double)m->of[c][2] / (double)all;
        there++;
    }
    return sum / there;
}

static double accuracy(const Rows *r, const int64_t *index, int64_t n)
{
    int64_t right = 0;
    for (int64_t i = 0; i < n; i++) right += !strcmp(r->predicted[index[i]], r->label[index[i]]);
    return (double)right / (double)n;
}

/* Of all tokens where they are counted, else the mean over rows. */
static double loss(const Rows *r, const int64_t *index, int64_t n)
{
    double sum = 0, tokens = 0;
    for (int64_t i = 0; i < n; i++) {
        const double weight = r->tokens ? r->tokens[index[i]] : 1;
        sum += weight * r->loss[index[i]], tokens += weight;
    }
    return sum / tokens;
}

static void measure(double *out, const int64_t *index, int64_t n, void *user)
{
    const Measured *m = user;
    for (int k = 0; k < m->n; k++) {
        const char c = m->name[k][1]; /* f1, auc, macro_f1, accuracy, loss */
        out[k] = c == '1'   ? f1(m->rows, index, n)
                 : c == 'u' ? auc(m, index, n)
                 : c == 'a' ? macro_f1(m, index, n)
                 : c == 'c' ? accuracy(m->rows, index, n)
                            : loss(m->rows, index, n);
    }
}

static void measure_all(double *out, Measured *m)
{
    int64_t *all = NEW(m->arena, int64_t, m->rows->n + 1);
    for (int64_t i = 0; i < m->rows->n; i++) all[i] = i;
    measure(out, all, m->rows->n, m);
}

int rows_measure(RowTest out[ROW_MEASURES], Interval ci95[ROW_MEASURES], Arena *a, const Rows *r, int draws)
{
    Rows x, y;
    double value[ROW_MEASURES];
    if (r->n < 2) return 0;
    join(&x, &y, a, r, r);
    Measured m = measured(&x, a);
    measure_all(value, &m);
    stats_bootstrap_all(ci95, m.n, x.n, measure, &m, &(Bootstrap){.draws = draws, .stream = 1});
    for (int k = 0; k < m.n; k++) out[k] = (RowTest){.name = m.name[k], .a = value[k], .b = value[k]};
    return m.n;
}

int rows_compare(RowTest out[ROW_MEASURES], int64_t *shared, Arena *arena, const Rows *a, const Rows *b, int draws)
{
    Rows x, y;
    double p[ROW_MEASURES], q[ROW_MEASURES];
    Contrast contrast[ROW_MEASURES];
    *shared = 0;
    if (!a->n || !b->n) return 0;
    join(&x, &y, arena, a, b);
    *shared = x.n;
    if (x.n < 2) return 0;
    Measured m = measured(&x, arena), k = measured(&y, arena);
    if (m.n != k.n || m.binary != k.binary) return 0;
    measure_all(p, &m);
    measure_all(q, &k);
    stats_bootstrap_paired(contrast, m.n, x.n, measure, &k, &m, &(Bootstrap){.draws = draws, .stream = 1});
    for (int i = 0; i < m.n; i++) out[i] = (RowTest){m.name[i], p[i], q[i], contrast[i]};
    return m.n;
}

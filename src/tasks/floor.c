/* Sparse rows, the loss and its slope in one pass over them, GSL's minimiser. */
#include "tasks/floor.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "io/safetensors.h"
#include "num/minimise.h"

enum { FIELDS = 3, LONGEST_WORD = 64, BITS = 18 };
enum { FIELD_MESSAGE, FIELD_ADDED, FIELD_REMOVED };

struct Floor {
    FloorPlan plan;
    JitScale scale;
    int64_t columns; /* words, then features; the bias is the last weight */
    Tensor weight;   /* (columns + 1) F64 */
    bool converged;
};

typedef struct {
    int64_t n;
    int32_t *column; /* (n) ascending, each once */
    double *value;
} Row;

bool floor_plan(FloorPlan *p, const char *name, bool features)
{
    *p = (FloorPlan){.scale = 1, .most_iterations = 1000};
    if (!strcmp(name, "la")) {
        p->use[FEATURE_la] = true;
        return true;
    }
    if (strcmp(name, "words") != 0) return false;
    p->bits = BITS, p->log = p->balance = true;
    p->penalty = 3e-4, p->scale = 0.2; /* best on the last fifth of JIT-Defects4J's validation commits */
    for (int k = 0; k < N_FEATURES; k++) p->use[k] = features;
    return true;
}

static bool any_feature(const FloorPlan *p)
{
    bool any = false;
    for (int k = 0; k < N_FEATURES; k++) any |= p->use[k];
    return any;
}

/* ---- rows */

typedef struct {
    int32_t *column;
    int64_t n, room;
    Arena *arena;
} Hashes;

static void add_hash(Hashes *h, int32_t column)
{
    GROW(h->arena, h->column, h->n, h->room, 512);
    h->column[h->n++] = column;
}

/* Words of letters, digits and underscores, in lower case; FNV-1a, begun by the field. */
static void add_words(Hashes *h, const char *s, size_t n, int field, int bits)
{
    for (size_t i = 0; i < n;) {
        uint64_t hash = 14695981039346656037u ^ (uint64_t)field * 0x9e3779b97f4a7c15u;
        size_t from = i;
        for (; i < n && (isalnum((unsigned char)s[i]) || s[i] == '_' || (unsigned char)s[i] >= 128); i++)
            hash = (hash ^ (uint64_t)tolower((unsigned char)s[i])) * 1099511628211u;
        if (i - from >= 2 && i - from <= LONGEST_WORD)
            add_hash(h, (int32_t)((hash ^ hash >> 32) & ((1u << bits) - 1)));
        if (i == from) i++;
    }
}

static int ascending(const void *a, const void *b)
{
    int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    return (x > y) - (x < y);
}

/* The sorted hashes of one field become columns with log(1 + count), of length 1 together. */
static void fold(Hashes *h, double *value)
{
    if (!h->n) return;
    qsort(h->column, (size_t)h->n, sizeof *h->column, ascending);
    int64_t n = 0;
    double squares = 0;
    for (int64_t i = 0, j; i < h->n; i = j) {
        for (j = i; j < h->n && h->column[j] == h->column[i];) j++;
        h->column[n] = h->column[i];
        value[n] = log1p((double)(j - i));
        squares += value[n] * value[n];
        n++;
    }
    for (int64_t i = 0; i < n; i++) value[i] /= sqrt(squares);
    h->n = n;
}

static Hashes field_of(Arena *a, const CodeChange *c, int field, int bits)
{
    Hashes h = {.arena = a};
    if (field == FIELD_MESSAGE) add_words(&h, c->message, strlen(c->message), field, bits);
    LineKind kind = field == FIELD_ADDED ? LINE_ADD : LINE_DEL;
    for (int64_t f = 0; f < c->n_files && field != FIELD_MESSAGE; f++)
        for (int64_t l = 0; l < c->file[f].n; l++)
            if (c->file[f].line[l].kind == kind)
                add_words(&h, c->file[f].line[l].text, c->file[f].line[l].len, field, bits);
    return h;
}

/* A commit as a sparse row: hashed words of each field, then the scaled features that the plan uses. */
static Row row_of(const Floor *m, Arena *a, const CodeChange *c)
{
    Hashes h[FIELDS] = {{0}};
    double *value[FIELDS] = {0}, feature[N_FEATURES];
    int64_t n = N_FEATURES;
    for (int k = 0; k < FIELDS && m->plan.bits; k++) {
        h[k] = field_of(a, c, k, m->plan.bits);
        value[k] = NEW(a, double, h[k].n + 1);
        fold(&h[k], value[k]);
        n += h[k].n;
    }
    Row r = {0, NEW(a, int32_t, n), NEW(a, double, n)};
    for (int k = 0; k < FIELDS; k++)
        for (int64_t i = 0; i < h[k].n; i++) r.column[r.n] = h[k].column[i], r.value[r.n++] = value[k][i];
    jit_features(feature, c, &m->scale);
    for (int k = 0; k < N_FEATURES; k++)
        if (m->plan.use[k])
            r.column[r.n] = (int32_t)(m->columns - N_FEATURES + k), r.value[r.n++] = m->plan.scale * feature[k];
    return r;
}

static double dot(const Floor *m, const double *w, const Row *r)
{
    double y = w[m->columns];
    for (int64_t i = 0; i < r->n; i++) y += w[r->column[i]] * r->value[i];
    return y;
}

/* ---- fitting */

typedef struct {
    const Floor *model;
    const JitSet *set;
    const Row *row;
    double weight[2], total; /* of a class; of all */
} Fit;

/* The class-weighted logistic loss with its L2 penalty at weights w, and its gradient in g unless NULL. */
static double slope(const double *w, double *g, void *user)
{
    const Fit *f = user;
    int64_t n = f->model->columns;
    double loss = 0;
    if (g) memset(g, 0, sizeof *g * (size_t)(n + 1));
    for (int64_t i = 0; i < f->set->n; i++) {
        const Row *r = &f->row[i];
        int label = f->set->change[i].label == 1;
        double x = dot(f->model, w, r), c = f->weight[label] / f->total;
        loss += c * (log1p(exp(-fabs(x))) + (x > 0 ? x : 0) - label * x);
        double d = c * (1 / (1 + exp(-x)) - label);
        for (int64_t k = 0; g && k < r->n; k++) g[r->column[k]] += d * r->value[k];
        if (g) g[n] += d;
    }
    for (int64_t k = 0; k < n; k++) {
        loss += f->model->plan.penalty / 2 * w[k] * w[k];
        if (g) g[k] += f->model->plan.penalty * w[k];
    }
    return loss;
}

/* Fits the logistic regression of the baseline with BFGS. */
Status floor_fit(Floor **out, Arena *a, const JitSet *s, const FloorPlan *plan)
{
    if (any_feature(plan) && !s->features)
        return err_fail(E_MISMATCH,
                        "a commit lacks the features, which this method reads (vernier data mine --features)");
    Arena scratch = arena_open(0);
    Floor *m = NEW(a, Floor, 1);
    *m = (Floor){.plan = *plan, .scale = jit_scale(s, plan->log)};
    m->columns = (plan->bits ? (int64_t)1 << plan->bits : 0) + N_FEATURES;
    m->weight = tensor_zero(a, F64, SHAPE(m->columns + 1));
    Row *row = NEW(&scratch, Row, s->n);
    for (int64_t i = 0; i < s->n; i++) row[i] = row_of(m, &scratch, &s->change[i]);
    double clean = (double)(s->n - s->positives), bad = (double)s->positives;
    Fit f = {m, s, row, {1, plan->balance && bad > 0 ? sqrt(clean / bad) : 1}, 0};
    f.total = clean + f.weight[1] * bad;
    Minimum found;
    Status status = minimise_bfgs(&found, m->weight.data, m->columns + 1, slope, &f, 1e-5, plan->most_iterations);
    m->converged = found.converged;
    arena_close(&scratch);
    *out = m;
    return status;
}

Status floor_score(double *out, const Floor *m, Arena *step, const CodeChange *c)
{
    if (any_feature(&m->plan) && !c->has_features)
        return err_fail(E_MISMATCH,
                        "commit %.40s lacks the features that the model reads (vernier data mine --features)", c->id);
    ArenaMark mark = arena_mark(step);
    Row r = row_of(m, step, c);
    *out = 1 / (1 + exp(-dot(m, m->weight.data, &r)));
    arena_drop(step, mark);
    return isfinite(*out)
               ? OK
               : err_fail(E_NUMERIC, "the score of commit %.40s is %g, expected a finite number", c->id, *out);
}

double floor_line(const Floor *m, Arena *step, const ChangeLine *l)
{
    if (!m->plan.bits || l->kind == LINE_KEEP) return 0;
    ArenaMark mark = arena_mark(step);
    Hashes h = {.arena = step};
    add_words(&h, l->text, l->len, l->kind == LINE_ADD ? FIELD_ADDED : FIELD_REMOVED, m->plan.bits);
    double sum = 0;
    for (int64_t i = 0; i < h.n; i++) sum += tensor_get(m->weight, h.column[i]);
    arena_drop(step, mark);
    return sum;
}

void floor_rescale(Floor *m, const JitSet *s)
{
    m->scale = jit_scale(s, m->scale.log);
}

void floor_ignore(Floor *m, int feature)
{
    m->plan.use[feature] = false;
}

bool floor_has_words(const Floor *m)
{
    return m->plan.bits > 0;
}

bool floor_converged(const Floor *m)
{
    return m->converged;
}

/* ---- on disk: every number that a score needs, as tensors */

enum { PLAN_NUMBERS = 6 + N_FEATURES };

/* Saves the plan, the feature scale and the weights as tensors of floor.safetensors. */
Status floor_save(const Floor *m, const char *dir)
{
    Arena a = arena_open(0);
    Tensor plan = tensor_zero(&a, F64, SHAPE(PLAN_NUMBERS)), scale = tensor_zero(&a, F64, SHAPE(2, N_FEATURES));
    const FloorPlan *p = &m->plan;
    const double number[] = {p->bits, p->log, p->balance, p->penalty, p->scale, p->most_iterations};
    for (int i = 0; i < 6; i++) tensor_set(plan, i, number[i]);
    for (int k = 0; k < N_FEATURES; k++) {
        tensor_set(plan, 6 + k, p->use[k]);
        tensor_set(scale, k, m->scale.mean[k]), tensor_set(scale, N_FEATURES + k, m->scale.sd[k]);
    }
    const Named named[] = {{"plan", plan}, {"scale", scale}, {"weight", m->weight}};
    Status s = safetensors_write(str_print(&a, "%s/floor.safetensors", dir), named, 3, NULL, 0);
    arena_close(&a);
    return s;
}

static Status read_tensor(Tensor into, const Weights *w, const char *name)
{
    const Stored *s = weights_find(w, name);
    if (!s) return err_fail(E_FORMAT, "%s: has no tensor '%s'", weights_path(w), name);
    TRY(stored_read(into, s));
    for (int64_t i = 0; i < tensor_count(into); i++)
        if (!isfinite(tensor_get(into, i)))
            return err_fail(E_FORMAT, "%s: tensor '%s' holds %g", weights_path(w), name, tensor_get(into, i));
    return OK;
}

/* Reads the tensors that floor_save() wrote, and checks the number of columns. */
static Status read_floor(Floor *m, Arena *a, const Weights *w)
{
    Tensor plan = tensor_zero(a, F64, SHAPE(PLAN_NUMBERS)), scale = tensor_zero(a, F64, SHAPE(2, N_FEATURES));
    TRY(read_tensor(plan, w, "plan"));
    TRY(read_tensor(scale, w, "scale"));
    double bits = tensor_get(plan, 0);
    if (!(bits >= 0 && bits <= 24)) return err_fail(E_FORMAT, "%s: 2^%g columns", weights_path(w), bits);
    m->plan = (FloorPlan){.bits = (int)bits, .log = tensor_get(plan, 1) > 0, .scale = tensor_get(plan, 4)};
    for (int k = 0; k < N_FEATURES; k++) {
        m->plan.use[k] = tensor_get(plan, 6 + k) > 0;
        m->scale.mean[k] = tensor_get(scale, k), m->scale.sd[k] = tensor_get(scale, N_FEATURES + k);
    }
    m->scale.log = m->plan.log;
    m->columns = (m->plan.bits ? (int64_t)1 << m->plan.bits : 0) + N_FEATURES;
    m->weight = tensor_zero(a, F64, SHAPE(m->columns + 1));
    return read_tensor(m->weight, w, "weight");
}

Status floor_open(Floor **out, Arena *a, const char *dir)
{
    Weights *w;
    *out = NEW(a, Floor, 1);
    TRY(weights_open(&w, a, str_print(a, "%s/floor.safetensors", dir)));
    Status s = read_floor(*out, a, w);
    weights_close(w);
    return s;
}

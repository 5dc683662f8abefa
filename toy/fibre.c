/* Summaries from tables of layer 1; the search for pairs; the least shift that makes a pair meet. */
#include "toy/fibre.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "base/rng.h"
#include "measure/observe.h"
#include "num/gemm.h"
#include "num/linalg.h"
#include "num/stats.h"

enum { WIDEST = FIBRE_WIDEST, PLACES = FIBRE_PLACES, FIRST = FIBRE_SLOTS };

struct Fibre {
    int64_t c;
    double scale, eps, apart;          /* apart: least distance between the embeddings of two digits */
    Tensor q, k, v;                    /* (DIGIT_VOCAB, PLACES, C) */
    Tensor embed;                      /* (DIGIT_VOCAB, PLACES, C) the input of the layer */
    Tensor gain, bias, wk, wv, bk, bv; /* the norm; keys and values as rows, (C out, C in) and (C) */
};

static Tensor row_of(Tensor table, int32_t token, int at)
{
    return tensor_at(tensor_at(table, token), at);
}

static double *place(Tensor table, int32_t token, int at)
{
    return row_of(table, token, at).data;
}

static double dot(const double *a, const double *b, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += a[i] * b[i];
    return sum;
}

static double distance(const double *a, const double *b, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += (a[i] - b[i]) * (a[i] - b[i]);
    return sqrt(sum);
}

/* ---- tables */

static void own_third(Tensor *w, Tensor *b, Arena *run, const Linear *l)
{
    *w = tensor_new(run, F64, SHAPE(l->out, l->in)), *b = tensor_new(run, F64, SHAPE(l->out));
    int64_t all = tensor_last(l->w->val);
    for (int64_t o = 0; o < l->out; o++) {
        tensor_set(*b, o, tensor_get(l->b->val, l->first + o));
        for (int64_t i = 0; i < l->in; i++)
            tensor_set(*w, o * l->in + i, tensor_get(l->w->val, i * all + l->first + o));
    }
}

Fibre *fibre_open(Arena *run, Model *m)
{
    CHECK(m->config.layers == 1 && m->config.heads == 1 && !m->config.no_attn_norm && m->config.dim <= WIDEST &&
              m->config.positions == PLACES && params_dtype(m->params) == F64,
          "%d layers, %d heads, width %d", m->config.layers, m->config.heads, m->config.dim);
    const Where at = {SITE_KEYS, 0, PART_DECODER};
    const Norm *norm = m->norm_at(m, at);
    Fibre *f = NEW(run, Fibre, 1);
    f->c = m->config.dim, f->scale = 1 / sqrt((double)f->c), f->eps = norm->eps, f->apart = INFINITY;
    f->gain = norm->gain->val, f->bias = norm->bias->val;
    own_third(&f->wk, &f->bk, run, model_linear(m, (Where){SITE_K, 0, PART_DECODER}));
    own_third(&f->wv, &f->bv, run, model_linear(m, (Where){SITE_V, 0, PART_DECODER}));

    static const Where look[] = {{SITE_Q, 0, PART_DECODER},
                                 {SITE_KEYS, 0, PART_DECODER},
                                 {SITE_VALUES, 0, PART_DECODER},
                                 {SITE_RESID, LAYER_EMBED, PART_DECODER}};
    Tensor seen[4];
    int32_t ids[DIGIT_VOCAB * PLACES];
    for (int i = 0; i < DIGIT_VOCAB * PLACES; i++) ids[i] = i / PLACES;
    observe_many(seen, run, m, NULL, &(Batch){.b = DIGIT_VOCAB, .t = PLACES, .ids = ids}, look, 4);
    f->q = seen[0], f->k = seen[1], f->v = seen[2], f->embed = seen[3];
    for (int a = 0; a < DIGITS; a++)
        for (int b = 0; b < a; b++)
            f->apart = fmin(f->apart, distance(place(f->embed, a, 0), place(f->embed, b, 0), f->c));
    return f;
}

/* ---- summaries */

typedef struct { /* the content of one readout: keys and values of its n positions, from tables or shifted */
    int n;
    const double *k[PLACES], *v[PLACES];
} Content;

/* Weights w over the content, with the logits' maximum taken out first, and from them h and log Z. */
static void summarise(Sigma *s, double w[PLACES], const Content *x, const double *q, double scale, int64_t c)
{
    double top = -INFINITY, z = 0;
    for (int j = 0; j < x->n; j++) top = fmax(top, w[j] = scale * dot(q, x->k[j], c));
    for (int j = 0; j < x->n; j++) z += w[j] = exp(w[j] - top);
    memset(s->h, 0, sizeof s->h);
    for (int j = 0; j < x->n; j++) {
        w[j] /= z;
        for (int64_t i = 0; i < c; i++) s->h[i] += w[j] * x->v[j][i];
    }
    s->log_z = top + log(z);
}

void fibre_summary(Sigma *s, const Fibre *f, const int32_t *row, int at)
{
    double w[PLACES];
    Content x = {.n = at + 1 - FIRST};
    for (int j = 0; j < x.n; j++)
        x.k[j] = place(f->k, row[FIRST + j], FIRST + j), x.v[j] = place(f->v, row[FIRST + j], FIRST + j);
    summarise(s, w, &x, place(f->q, row[at], at), f->scale, f->c);
}

double fibre_slack(Gap g, double cap)
{
    return g.head + (g.norm + cap) / 4 * g.mass;
}

static const double ZERO[WIDEST];

static Gap compare(const Sigma *a, const Sigma *b, int64_t c)
{
    return (Gap){.head = distance(a->h, b->h, c),
                 .mass = fabs(a->log_z - b->log_z),
                 .norm = fmax(sqrt(dot(a->h, a->h, c)), sqrt(dot(b->h, b->h, c)))};
}

/* ---- search among inputs */

/* The row of an input with the task's outputs before output `i`, and the target of that output. */
static int32_t write_row(int32_t row[PLACES], const DigitTask *task, const int32_t in[LENGTH], int i)
{
    int32_t out[LENGTH];
    task->map(in, out);
    memset(row, 0, sizeof *row * PLACES);
    memcpy(row + FIRST, in, sizeof *in * LENGTH);
    memcpy(row + FIRST + LENGTH, out, sizeof *out * (size_t)i);
    return out[i];
}

typedef struct {
    int32_t in[LENGTH], row[PLACES], want;
    Sigma s;
} Example;

/* Makes room for a pair of this slack among the `each` best so far, in order; where, or -1. */
static int make_room(Pair *best, int *n, int each, double slack, double cap)
{
    if (*n == each && slack >= fibre_slack(best[*n - 1].gap, cap)) return -1;
    if (*n < each) ++*n;
    int k = *n - 1;
    for (; k > 0 && fibre_slack(best[k - 1].gap, cap) > slack; k--) best[k] = best[k - 1];
    return k;
}

static int search_output(Pair *best, const Fibre *f, const Example *x, int n, int output, int each, double cap)
{
    enum { SAMPLED = 500 };
    int at = FIRST + LENGTH - 1 + output, found = 0, met = 0;
    double sample[SAMPLED];
    for (int a = 0; a < n; a++)
        for (int b = 0; b < a; b++) {
            if (x[a].row[at] != x[b].row[at] || x[a].want == x[b].want) continue;
            Gap g = compare(&x[a].s, &x[b].s, f->c);
            double slack = fibre_slack(g, cap);
            if (met < SAMPLED) sample[met++] = slack;
            int k = make_room(best, &found, each, slack, cap);
            if (k < 0) continue;
            best[k] = (Pair){.at = at, .output = output, .want = {x[a].want, x[b].want}, .gap = g};
            memcpy(best[k].in[0], x[a].in, sizeof x[a].in), memcpy(best[k].in[1], x[b].in, sizeof x[b].in);
            memcpy(best[k].row[0], x[a].row, sizeof x[a].row), memcpy(best[k].row[1], x[b].row, sizeof x[b].row);
        }
    for (int k = 0; k < found; k++) best[k].unrelated = stats_quantile(sample, met, 0.5);
    return found;
}

int fibre_search(Pair *out, Arena *step, const Fibre *f, const DigitTask *task, int inputs, int each, double cap,
                 uint64_t stream)
{
    int n = 0;
    ArenaMark mark = arena_mark(step);
    Example *x = NEW(step, Example, inputs);
    for (int i = 0; i < LENGTH; i++) {
        for (int e = 0; e < inputs; e++) {
            digits_draw(x[e].in, stream, (uint64_t)e, false);
            x[e].want = write_row(x[e].row, task, x[e].in, i);
            fibre_summary(&x[e].s, f, x[e].row, FIRST + LENGTH - 1 + i);
        }
        n += search_output(out + n, f, x, inputs, i, each, cap);
    }
    arena_drop(step, mark);
    return n;
}

/* The pair with digit j of input `side` replaced; false when it is no pair any more. */
static bool replaced(Pair *p, const Fibre *f, const DigitTask *task, int side, int j, int32_t digit)
{
    Sigma s[2];
    p->in[side][j] = digit;
    p->want[side] = write_row(p->row[side], task, p->in[side], p->output);
    if (p->want[0] == p->want[1] || p->row[0][p->at] != p->row[1][p->at]) return false;
    for (int k = 0; k < 2; k++) fibre_summary(&s[k], f, p->row[k], p->at);
    p->gap = compare(&s[0], &s[1], f->c);
    return true;
}

void fibre_climb(Pair *p, const Fibre *f, const DigitTask *task, double cap)
{
    for (bool better = true; better;) {
        Pair best = *p;
        better = false;
        for (int i = 0; i < 2 * LENGTH * DIGITS; i++) {
            Pair next = *p;
            if (!replaced(&next, f, task, i / (LENGTH * DIGITS), i / DIGITS % LENGTH, i % DIGITS)) continue;
            if (fibre_slack(next.gap, cap) < fibre_slack(best.gap, cap)) best = next, better = true;
        }
        *p = best;
    }
}

/* ---- the shift that makes two summaries equal */

typedef struct { /* one shifted position: x = embedding + shift, u = g xhat + b, then key and value */
    double xhat[WIDEST], rstd, k[WIDEST], v[WIDEST];
} Shifted;

static void project(double *y, Tensor w, Tensor b, const double *u, int64_t c)
{
    for (int64_t o = 0; o < c; o++) y[o] = tensor_get(b, o) + dot(tensor_at(w, o).data, u, c);
}

static void shifted(Shifted *s, const Fibre *f, const double *embed, const double *shift)
{
    double u[WIDEST], mean = 0, var = 0;
    int64_t c = f->c;
    for (int64_t i = 0; i < c; i++) mean += (u[i] = embed[i] + shift[i]) / (double)c;
    for (int64_t i = 0; i < c; i++) var += (u[i] - mean) * (u[i] - mean) / (double)c;
    s->rstd = 1 / sqrt(var + f->eps);
    for (int64_t i = 0; i < c; i++) {
        s->xhat[i] = (u[i] - mean) * s->rstd;
        u[i] = tensor_get(f->gain, i) * s->xhat[i] + tensor_get(f->bias, i);
    }
    project(s->k, f->wk, f->bk, u, c), project(s->v, f->wv, f->bv, u, c);
}

/* Row r of the Jacobian of (h, log Z) with respect to the shift of position j.  With a = scale W_K' q:
 *     dl = a.du,  dh = w ((v - h) dl + W_V du),  d log Z = w dl,
 *     du = g rstd (dx - mean(dx) - xhat mean(xhat dx)). */
static void jacobian_row(double *out, const Fibre *f, const Shifted *s, const Sigma *sum, double w, const double *a,
                         int64_t r)
{
    int64_t c = f->c;
    double mean = 0, along = 0, lift = r < c ? s->v[r] - sum->h[r] : 1;
    const double *wv = r < c ? tensor_at(f->wv, r).data : NULL;
    for (int64_t i = 0; i < c; i++) {
        out[i] = w * s->rstd * tensor_get(f->gain, i) * (lift * a[i] + (wv ? wv[i] : 0));
        mean += out[i] / (double)c, along += out[i] * s->xhat[i] / (double)c;
    }
    for (int64_t i = 0; i < c; i++) out[i] -= mean + s->xhat[i] * along;
}

/* One step of Gauss-Newton: the least shift d with J d = residual is J' (J J')^-1 residual. */
static Status step_towards(Pair *p, Arena *step, const Fibre *f, const Shifted *s, const double *w, const Sigma *now,
                           const Sigma *goal, const double *a, int n)
{
    int64_t c = f->c, rows = c + 1, cols = n * c;
    Tensor jac = tensor_new(step, F64, SHAPE(rows, cols)), gram = tensor_new(step, F64, SHAPE(rows, rows)),
           residual = tensor_new(step, F64, SHAPE(rows, 1)), lambda;
    for (int64_t r = 0; r < rows; r++) {
        tensor_set(residual, r, r < c ? goal->h[r] - now->h[r] : goal->log_z - now->log_z);
        for (int j = 0; j < n; j++) jacobian_row(tensor_place(jac, r * cols + j * c), f, &s[j], now, w[j], a, r);
    }
    gemm_parallel(F64, rows, rows, cols, 1, (Mat){jac.data, cols, false}, (Mat){jac.data, cols, true}, 0, gram.data,
                  rows);
    TRY(linalg_least_squares(&lambda, NULL, step, gram, residual, 1e-14));
    for (int64_t r = 0; r < rows; r++)
        for (int64_t i = 0; i < cols; i++)
            p->shift[FIRST + i / c][i % c] += tensor_get(lambda, r) * tensor_get(jac, r * cols + i);
    return OK;
}

Status fibre_meet(Pair *p, Arena *step, const Fibre *f)
{
    enum { STEPS = 8 };
    Sigma goal, now;
    int n = p->at - FIRST; /* the readout itself stays: its token makes the query */
    int64_t c = f->c;
    const double *q = place(f->q, p->row[1][p->at], p->at);
    double a[WIDEST] = {0}, w[PLACES];
    for (int64_t o = 0; o < c; o++)
        for (int64_t i = 0; i < c; i++) a[i] += f->scale * q[o] * tensor_get(f->wk, o * c + i);
    fibre_summary(&goal, f, p->row[0], p->at);
    for (int i = 0; i <= STEPS; i++) {
        ArenaMark mark = arena_mark(step);
        Shifted *s = NEW(step, Shifted, n + 1);
        Content x = {.n = n + 1};
        for (int j = 0; j <= n; j++) {
            shifted(&s[j], f, place(f->embed, p->row[1][FIRST + j], FIRST + j), p->shift[FIRST + j]);
            x.k[j] = s[j].k, x.v[j] = s[j].v;
        }
        summarise(&now, w, &x, q, f->scale, c);
        p->left = distance(goal.h, now.h, c) + fabs(goal.log_z - now.log_z);
        if (i < STEPS && p->left > 1e-13) TRY(step_towards(p, step, f, s, w, &now, &goal, a, n));
        arena_drop(step, mark);
    }
    p->moved = 0;
    for (int j = 0; j < n; j++) p->moved = fmax(p->moved, distance(p->shift[FIRST + j], ZERO, c) / (f->apart / 2));
    return OK;
}

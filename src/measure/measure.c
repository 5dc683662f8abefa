/* Attention measured from copies of the values of a forward pass; nothing here depends on a method. */
#include "measure/measure.h"

#include <float.h>
#include <math.h>

#include "measure/observe.h"
#include "num/gemm.h"
#include "num/linalg.h"

/* ---- one pass */

enum { WATCHED = 5 };
static const Site WATCH[WATCHED] = {SITE_SCORES, SITE_PROBS, SITE_VALUES, SITE_HEADS, SITE_RESID};

static Tensor *slot(Seen *s, int i)
{
    return (Tensor *[WATCHED]){&s->scores, &s->probs, &s->values, &s->heads, &s->resid}[i];
}

void measure_pass(Seen *out, Arena *run, Model *m, Hooks *hooks, Part part, const Batch *batch)
{
    int n = model_layers(m, part) * WATCHED;
    Arena step = arena_open(0);
    Where *at = NEW(&step, Where, n);
    Tensor *seen = NEW(&step, Tensor, n);
    for (int i = 0; i < n; i++) {
        Site site = WATCH[i % WATCHED];
        at[i] = (Where){site, i / WATCHED, site == SITE_RESID && part == PART_CROSS ? PART_DECODER : part};
    }
    observe_many(seen, run, m, hooks, batch, at, n);
    for (int i = 0; i < n; i++) *slot(&out[i / WATCHED], i % WATCHED) = seen[i];
    arena_close(&step);
}

/* ---- weights over the content */

typedef struct { /* sizes of a map of weights */
    int64_t b, h, t, s, skip, n;
} Sizes;

static Sizes sizes(Map w)
{
    Tensor p = w.seen->probs;
    int64_t skip = w.extra + w.reserved;
    CHECK(p.rank == 4 && skip >= 0 && skip < p.dim[3], "weights %s with %lld columns that are not content",
          tensor_shape(p), (long long)skip);
    return (Sizes){p.dim[0], p.dim[1], p.dim[2], p.dim[3], skip, p.dim[3] - skip};
}

static double larger(double a, double b) /* NaN stays: a diverged model is not a perfect one */
{
    return a > b || isnan(a) ? a : b;
}

static double sum(Tensor p, int64_t first, int64_t n)
{
    double total = 0;
    for (int64_t j = first; j < first + n; j++) total += tensor_get(p, j);
    return total;
}

static double content_mass(Map w, Sizes z, int64_t r) /* of row r of the flattened (B*H*T,S) */
{
    return sum(w.seen->probs, r * z.s + z.skip, z.n);
}

static bool counts(Map w, Sizes z, int64_t r)
{
    return !w.row || w.row[r / (z.h * z.t) * z.t + r % z.t];
}

int64_t measure_columns(Map w)
{
    return sizes(w).n;
}

Tensor measure_mass(Arena *a, Map w)
{
    Sizes z = sizes(w);
    Tensor out = tensor_new(a, F64, SHAPE(z.b, z.h, z.t));
    for (int64_t r = 0; r < z.b * z.h * z.t; r++)
        tensor_set(out, r, counts(w, z, r) ? content_mass(w, z, r) : (double)NAN);
    return out;
}

Tensor measure_alpha(Arena *a, Map w)
{
    Sizes z = sizes(w);
    Tensor out = tensor_new(a, F64, SHAPE(z.b, z.h, z.t));
    for (int64_t r = 0; r < z.b * z.h * z.t; r++)
        tensor_set(out, r, counts(w, z, r) ? sum(w.seen->probs, r * z.s, z.skip) : (double)NAN);
    return out;
}

/* The least normal number of a dtype, and the least mass of which every share down to rounding is still normal. */
static double least_normal(Tensor x)
{
    return x.dtype == F64 ? DBL_MIN : (double)FLT_MIN;
}

static double least_mass(Tensor x)
{
    return least_normal(x) / (x.dtype == F64 ? DBL_EPSILON : (double)FLT_EPSILON);
}

Tensor measure_content(Arena *a, Map w)
{
    Sizes z = sizes(w);
    Tensor out = tensor_new(a, F64, SHAPE(z.b, z.h, z.t, z.n));
    double least = least_mass(w.seen->probs);
    for (int64_t r = 0; r < z.b * z.h * z.t; r++) {
        double mass = counts(w, z, r) ? content_mass(w, z, r) : 0;
        for (int64_t j = 0; j < z.n; j++)
            tensor_set(out, r * z.n + j,
                       mass > least ? tensor_get(w.seen->probs, r * z.s + z.skip + j) / mass : (double)NAN);
    }
    return out;
}

AttentionChange measure_change(Map with, Map without, int head)
{
    Sizes x = sizes(with), y = sizes(without);
    CHECK(x.b == y.b && x.h == y.h && x.t == y.t && x.n == y.n && head < x.h,
          "head %d of maps %s and %s, %lld and %lld content columns", head, tensor_shape(with.seen->probs),
          tensor_shape(without.seen->probs), (long long)x.n, (long long)y.n);
    AttentionChange c = {0};
    double least = fmax(least_normal(with.seen->probs), least_normal(without.seen->probs));
    for (int64_t r = 0; r < x.b * x.h * x.t; r++) {
        if ((head >= 0 && r / x.t % x.h != head) || !counts(with, x, r) || !counts(without, y, r)) continue;
        double mass_x = content_mass(with, x, r), mass_y = content_mass(without, y, r);
        if (mass_x <= least_mass(with.seen->probs) || mass_y <= least_mass(without.seen->probs)) continue;
        for (int64_t j = 0; j < x.n; j++) {
            double q = tensor_get(with.seen->probs, r * x.s + x.skip + j) / mass_x;
            double p = tensor_get(without.seen->probs, r * y.s + y.skip + j) / mass_y;
            c.gap = larger(c.gap, fabs(p - q));
            c.tv += fabs(p - q) / 2;
            if (p > 0) c.kl += p * log(p / fmax(q, least));
        }
        c.rows++;
    }
    if (!c.rows) return (AttentionChange){.gap = NAN, .kl = NAN, .tv = NAN};
    c.kl = larger(c.kl, 0) / (double)c.rows; /* rounding can leave -1e-17 */
    c.tv /= (double)c.rows;
    return c;
}

/* ---- the term added to the heads' outputs */

/* Row of the flattened weights (B*H*T) that made column c of row i of the flattened outputs (B*T, H*D). */
static int64_t weight_row(Sizes z, int64_t i, int64_t c, int64_t d)
{
    return (i / z.t * z.h + c / d) * z.t + i % z.t;
}

Tensor measure_mixture(Arena *a, Map w)
{
    Sizes z = sizes(w);
    int64_t hd = tensor_last(w.seen->heads), d = hd / z.h, wide = tensor_last(w.seen->values), group = hd / wide;
    Tensor out = tensor_new(a, F64, SHAPE(z.b * z.t, hd));
    for (int64_t i = 0; i < z.b * z.t; i++)
        for (int64_t c = 0; c < hd; c++) {
            int64_t r = weight_row(z, i, c, d), value = c / d / group * d + c % d; /* of the group's head */
            double mixed = 0;
            for (int64_t p = 0; p < z.skip; p++)
                mixed += tensor_get(w.seen->probs, r * z.s + p) *
                         tensor_get(w.seen->values, (i / z.t * z.s + p) * wide + value);
            tensor_set(out, i * hd + c, mixed);
        }
    return out;
}

/* The content's part of a head's output is the output less the mixture of the other columns; divided by the mass of
 * the content it is t.  Without virtual or reserved columns both steps change nothing. */
Tensor measure_added(Arena *a, Map with, Map without)
{
    Sizes x = sizes(with), y = sizes(without);
    int64_t hd = tensor_last(with.seen->heads);
    CHECK(x.b == y.b && x.h == y.h && x.t == y.t && x.n == y.n, "maps %s and %s", tensor_shape(with.seen->probs),
          tensor_shape(without.seen->probs));
    Tensor out = measure_mixture(a, without);
    for (int64_t k = 0; k < x.b * x.t * hd; k++) {
        int64_t r = weight_row(x, k / hd, k % hd, hd / x.h);
        double mass = content_mass(without, y, r);
        double t = mass > 0 ? (tensor_get(without.seen->heads, k) - tensor_get(out, k)) / mass : 0;
        tensor_set(out, k, tensor_get(with.seen->heads, k) - content_mass(with, x, r) * t);
    }
    return out;
}

double measure_residual(Arena *step, Map with, Map without)
{
    ArenaMark mark = arena_mark(step);
    Tensor d = measure_added(step, with, without), mixed = measure_mixture(step, with);
    double worst = 0, largest = 0;
    for (int64_t k = 0; k < tensor_count(d); k++) {
        worst = larger(worst, fabs(tensor_get(d, k) - tensor_get(mixed, k)));
        largest = fmax(largest, fabs(tensor_get(with.seen->heads, k)));
    }
    arena_drop(step, mark);
    return worst / largest;
}

Tensor measure_projected(Arena *a, const Model *m, Where at, Tensor d, int head)
{
    at.site = SITE_ATTN_OUT;
    const Linear *o = model_linear(m, at);
    CHECK(o && d.rank == 2 && d.dtype == F64 && d.dim[1] == o->in, "%s through the output projection of layer %d, %s",
          tensor_shape(d), at.layer, part_name(at.part));
    int64_t heads = at.part == PART_ENCODER || !m->config.decoder_heads ? m->config.heads : m->config.decoder_heads;
    int64_t k = head < 0 ? o->in : o->in / heads, first = head < 0 ? 0 : head * k;
    Tensor w = tensor_cast(a, o->w->val, F64), out = tensor_new(a, F64, SHAPE(d.dim[0], o->out));
    bool t = o->layout == OUT_IN; /* columns of W (C,H*D), or rows of W (H*D,C), belong to a head */
    gemm_parallel(F64, d.dim[0], o->out, k, 1, (Mat){tensor_place(d, first), o->in, false},
                  (Mat){tensor_place(w, t ? first : first * o->out), t ? o->in : o->out, t}, 0, out.data, o->out);
    return out;
}

/* ---- directions */

static Tensor unit_rows(Arena *a, Tensor b)
{
    int64_t n = b.dim[0], c = b.dim[1];
    Tensor u = tensor_cast(a, b, F64);
    for (int64_t i = 0; i < n; i++) {
        double norm = 0;
        for (int64_t j = 0; j < c; j++) norm += tensor_get(u, i * c + j) * tensor_get(u, i * c + j);
        for (int64_t j = 0; j < c; j++) tensor_set(u, i * c + j, tensor_get(u, i * c + j) / sqrt(norm));
    }
    return u;
}

/* |u_k - others' x| at its least, others (C,P-1) holding the rows but the k-th as columns. */
static Status distance(double *out, Arena *a, Tensor u, int64_t k)
{
    int64_t n = u.dim[0] - 1, c = u.dim[1];
    Tensor others = tensor_new(a, F64, SHAPE(c, n)), own = tensor_reshape(tensor_at(u, k), SHAPE(c, 1)), x;
    for (int64_t j = 0; j < c; j++)
        for (int64_t p = 0; p < n; p++) tensor_set(others, j * n + p, tensor_get(u, (p < k ? p : p + 1) * c + j));
    TRY(linalg_least_squares(&x, NULL, a, others, own, -1));
    double sum = 0;
    for (int64_t j = 0; j < c; j++) {
        double rest = tensor_get(own, j);
        for (int64_t p = 0; p < n; p++) rest -= tensor_get(others, j * n + p) * tensor_get(x, p);
        sum += rest * rest;
    }
    *out = sqrt(sum);
    return OK;
}

Status measure_directions(Directions *out, Arena *step, Tensor b)
{
    CHECK(b.rank == 2 && b.dim[0] >= 2, "directions of %s", tensor_shape(b));
    ArenaMark mark = arena_mark(step);
    Tensor u = unit_rows(step, b);
    *out = (Directions){.apart = 1};
    for (int64_t k = 0; k < u.dim[0]; k++) {
        double d = 0;
        TRY(distance(&d, step, u, k));
        if (d < out->apart) out->apart = d;
        for (int64_t i = 0; i < k; i++) {
            double dot = 0;
            for (int64_t j = 0; j < u.dim[1]; j++)
                dot += tensor_get(u, i * u.dim[1] + j) * tensor_get(u, k * u.dim[1] + j);
            out->cosine = larger(out->cosine, fabs(dot));
        }
    }
    arena_drop(step, mark);
    return OK;
}

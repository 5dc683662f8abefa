/* A gated recurrent unit (Cho et al. 2014) over the steps of each row, with PyTorch's gates and a zero first state:
 *
 *   r = sigmoid(x_r + W_r h + b_r)     z = sigmoid(x_z + W_z h + b_z)     m = W_n h + b_n     c = tanh(x_n + r m)
 *   h' = (1 - z) c + z h
 *
 * x (B,T,3H) is the input's part of the three gates, an op_linear() of its own, so that only the recurrence is here.
 * The outputs from len_b on are zeros, which is also the state that a reversed row begins from: the previous state is
 * the neighbouring output either way.  Going back through the steps, with d the gradient of h':
 *
 *   dc = d (1-z) (1-c^2)     dz = d (h-c) z (1-z)     dr = dc m r (1-r)
 *   dx = (dr, dz, dc)     da = (dr, dz, dc r)     dh = d z + da W     dW += da' h     db += sum_rows da
 *
 * A step computes the rows up to the last one that is still running: rows in falling order of length cost no more
 * than their own steps. */
#include <string.h>

#include "ad/op.h"
#include "base/err.h"
#include "num/gemm.h"

typedef struct {
    const int32_t *len; /* (B), or NULL: all steps */
    bool reverse;
    int64_t b, t, h;
    Tensor gates; /* (B,T,4H): r, z, m, c */
} Gru;

static bool runs(const Gru *g, int64_t row, int64_t step)
{
    return !g->len || step < g->len[row];
}

/* The rows up to the last one that runs at this step. */
static int64_t rows_at(const Gru *g, int64_t step)
{
    int64_t n = g->b;
    while (n > 0 && !runs(g, n - 1, step)) n--;
    return n;
}

/* The i-th step that is taken, and the step before it or -1. */
static int64_t step_of(const Gru *g, int64_t i)
{
    return g->reverse ? g->t - 1 - i : i;
}

static int64_t before(const Gru *g, int64_t step)
{
    if (!g->reverse) return step - 1;
    return step + 1 < g->t ? step + 1 : -1;
}

/* Row 0 at a step of x (B,T,c); the next row is T rows of c further on. */
static void *at(const Gru *g, Tensor x, int64_t row, int64_t step)
{
    return tensor_place(x, (row * g->t + step) * tensor_last(x));
}

static Mat states(const Gru *g, Tensor y, int64_t step, bool t)
{
    return (Mat){at(g, y, 0, step), g->t * g->h, t};
}

/* One row of one step, forward and back; a is the state's part of the gates, h the previous state or NULL.  With
 * sigmoid(x) = (1 + tanh(x/2)) / 2 all three gates go through the kernel for tanh. */
#define CELL(suffix, REAL)                                                                                           \
    static void forward_##suffix(int64_t n, REAL *y, REAL *gate, const REAL *x, const REAL *a, const REAL *h)        \
    {                                                                                                                \
        const Kernels *k = kernels_of(sizeof(REAL) == sizeof(float) ? F32 : F64);                                    \
        REAL *r = gate, *z = r + n, *m = z + n, *c = m + n;                                                          \
        for (int64_t i = 0; i < 2 * n; i++) r[i] = (x[i] + a[i]) / 2;                                                \
        k->act_fwd(ACT_TANH, r, r, 2 * n);                                                                           \
        for (int64_t i = 0; i < 2 * n; i++) r[i] = (1 + r[i]) / 2;                                                   \
        for (int64_t i = 0; i < n; i++) {                                                                            \
            m[i] = a[2 * n + i];                                                                                     \
            c[i] = x[2 * n + i] + r[i] * m[i];                                                                       \
        }                                                                                                            \
        k->act_fwd(ACT_TANH, c, c, n);                                                                               \
        for (int64_t i = 0; i < n; i++) y[i] = (1 - z[i]) * c[i] + (h ? z[i] * h[i] : 0);                            \
    }                                                                                                                \
                                                                                                                     \
    static void back_##suffix(int64_t n, REAL *d, REAL *da, REAL *dx, const REAL *dy, const REAL *gate,              \
                              const REAL *h)                                                                         \
    {                                                                                                                \
        const REAL *r = gate, *z = r + n, *m = z + n, *c = m + n;                                                    \
        for (int64_t i = 0; i < n; i++) {                                                                            \
            REAL g = d[i] + dy[i], dc = g * (1 - z[i]) * (1 - c[i] * c[i]);                                          \
            da[i] = dc * m[i] * r[i] * (1 - r[i]);                                                                   \
            da[n + i] = g * ((h ? h[i] : 0) - c[i]) * z[i] * (1 - z[i]);                                             \
            da[2 * n + i] = dc * r[i];                                                                               \
            d[i] = g * z[i];                                                                                         \
            if (!dx) continue;                                                                                       \
            dx[i] += da[i], dx[n + i] += da[n + i], dx[2 * n + i] += dc;                                             \
        }                                                                                                            \
    }
CELL(f32, float)
CELL(f64, double)

static void run_forward(Tape *t, const Gru *g, Tensor y, Tensor x, Tensor w, Tensor bias)
{
    Tensor a = tape_alloc(t, x.dtype, SHAPE(g->b, 3 * g->h)); /* W h + b */
    memset(y.data, 0, tensor_bytes(y));
    for (int64_t i = 0; i < g->t; i++) {
        int64_t step = step_of(g, i), last = before(g, step), n = rows_at(g, step), h = g->h;
        if (last < 0)
            memset(a.data, 0, tensor_bytes(a));
        else
            gemm_parallel(x.dtype, n, 3 * h, h, 1, states(g, y, last, false), (Mat){w.data, h, true}, 0, a.data,
                          3 * h);
        kernels_of(x.dtype)->bias_act(ACT_NONE, a.data, a.data, bias.data, n, 3 * h);
        for (int64_t b = 0; b < n; b++) {
            if (!runs(g, b, step)) continue;
            void *to = at(g, y, b, step), *gate = at(g, g->gates, b, step), *part = tensor_place(a, b * 3 * h);
            const void *from = last < 0 ? NULL : at(g, y, b, last);
            if (x.dtype == F32)
                forward_f32(h, to, gate, at(g, x, b, step), part, from);
            else
                forward_f64(h, to, gate, at(g, x, b, step), part, from);
        }
    }
    tape_free(t, a);
}

/* The rows of one step: d becomes d z, and da the gradient of W h + b, zero in rows that do not run. */
static void step_back(const Gru *g, int64_t step, int64_t n, Tensor d, Tensor da, Tensor dx, const Var *out)
{
    int64_t last = before(g, step), h = g->h;
    for (int64_t b = 0; b < n; b++) {
        void *to = tensor_place(da, b * 3 * h);
        if (!runs(g, b, step)) {
            memset(to, 0, (size_t)(3 * h) * dtype_size(da.dtype));
            continue;
        }
        void *input = dx.data ? at(g, dx, b, step) : NULL, *carried = tensor_place(d, b * h);
        const void *dy = at(g, out->grad, b, step), *from = last < 0 ? NULL : at(g, out->val, b, last);
        if (d.dtype == F32)
            back_f32(h, carried, to, input, dy, at(g, g->gates, b, step), from);
        else
            back_f64(h, carried, to, input, dy, at(g, g->gates, b, step), from);
    }
}

static void gru_backward(Tape *t, Var *out)
{
    const Gru *g = out->saved;
    Var *x = out->in[0], *w = out->in[1], *bias = out->in[2];
    DType dtype = out->val.dtype;
    int64_t h = g->h;
    Tensor dx = x->needs ? tape_grad(t, x, NULL) : (Tensor){0}, dw = w->needs ? tape_grad(t, w, NULL) : (Tensor){0};
    Tensor d = tape_alloc(t, dtype, SHAPE(g->b, h)), da = tape_alloc(t, dtype, SHAPE(g->b, 3 * h));
    memset(d.data, 0, tensor_bytes(d));
    for (int64_t i = g->t - 1; i >= 0; i--) {
        int64_t step = step_of(g, i), last = before(g, step), n = rows_at(g, step);
        step_back(g, step, n, d, da, dx, out);
        if (bias->needs) kernels_of(dtype)->sum_cols(tape_grad(t, bias, NULL).data, da.data, n, 3 * h);
        if (last < 0) continue;
        if (dw.data)
            gemm_parallel(dtype, 3 * h, h, n, 1, (Mat){da.data, 3 * h, true}, states(g, out->val, last, false), 1,
                          dw.data, h);
        gemm_parallel(dtype, n, h, 3 * h, 1, (Mat){da.data, 3 * h, false}, (Mat){w->val.data, h, false}, 1, d.data,
                      h);
    }
    tape_free(t, d);
    tape_free(t, da);
    tape_free(t, g->gates);
}

static const Op GRU = {"gru", gru_backward};

Var *op_gru(Tape *t, Var *x, Var *w, Var *bias, const int32_t *len, bool reverse)
{
    int64_t h = tensor_last(w->val);
    CHECK(x->val.rank == 3 && w->val.rank == 2 && w->val.dim[0] == 3 * h && x->val.dim[2] == 3 * h &&
              tensor_count(bias->val) == 3 * h,
          "a gated recurrent unit over %s with weights %s and bias %s", tensor_shape(x->val), tensor_shape(w->val),
          tensor_shape(bias->val));
    Gru g = {.len = len, .reverse = reverse, .b = x->val.dim[0], .t = x->val.dim[1], .h = h};
    for (int64_t b = 0; len && b < g.b; b++)
        CHECK(len[b] >= 0 && len[b] <= g.t, "row %lld of %d steps in %s", (long long)b, len[b], tensor_shape(x->val));
    g.gates = tape_alloc(t, x->val.dtype, SHAPE(g.b, g.t, 4 * h));
    Tensor y = tape_alloc(t, x->val.dtype, SHAPE(g.b, g.t, h));
    run_forward(t, &g, y, x->val, w->val, bias->val);
    Var *out = tape_push(t, &GRU, y, x, w, bias, NULL, KEEP_1 | KEEP_OUT);
    if (!out->needs) {
        tape_free(t, g.gates);
        return out;
    }
    Gru *saved = NEW(tape_arena(t), Gru, 1);
    *saved = g;
    out->saved = saved;
    return out;
}

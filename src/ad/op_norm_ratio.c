/* y_o = m_o / n_o with n_o = |v_o| and v_o row o of V = W + s B A:
 *
 *   dm_o = dy_o / n_o     dV_oi = -dy_o m_o v_oi / n_o^3     dW = dV     dB = s dV A'     dA = s B' dV
 *
 * DoRA's gain.  To save memory it takes n as a constant when going back (`held`): then only dm is left.  V is made
 * again for the backward, not kept.  A zero row has gain 0 and no gradient. */
#include <math.h>

#include "ad/wide.h"
#include "base/err.h"
#include "num/gemm.h"

typedef struct {
    WeightRows rows;
    double s;
    Tensor n; /* (O), in the dtype of the rest, on the step arena */
} Ratio;

/* Where v_oi is in W. */
static int64_t place(const Ratio *r, Tensor w, int64_t o, int64_t i)
{
    const WeightRows *x = &r->rows;
    int64_t row = x->first + (x->run ? o / x->run * x->step + o % x->run : o);
    return x->layout == OUT_IN ? row * tensor_last(w) + i : i * tensor_last(w) + row;
}

/* V (O,C). */
static Tensor make_rows(Tape *t, const Ratio *r, const Var *w, const Var *a, const Var *b)
{
    int64_t o = b->val.dim[0], rank = a->val.dim[0], c = a->val.dim[1];
    Tensor v = tape_alloc(t, a->val.dtype, SHAPE(o, c));
    if (r->rows.layout == OUT_IN && !r->rows.run)
        wide_copy(v, tensor_rows(w->val, r->rows.first, o));
    else
        for (int64_t i = 0; i < o * c; i++) tensor_set(v, i, tensor_get(w->val, place(r, w->val, i / c, i % c)));
    gemm_parallel(v.dtype, o, c, rank, r->s, (Mat){b->val.data, rank, false}, (Mat){a->val.data, c, false}, 1, v.data,
                  c);
    return v;
}

static double row_norm(Tensor v, int64_t o)
{
    double sum = 0;
    for (int64_t i = 0, c = v.dim[1]; i < c; i++) sum += tensor_get(v, o * c + i) * tensor_get(v, o * c + i);
    return sqrt(sum);
}

static double over(double x, double n)
{
    return n > 0 ? x / n : 0;
}

static void magnitude_backward(Tape *t, Var *m, const Ratio *r, Tensor dy)
{
    if (!m->needs) return;
    Tensor dm = tape_grad(t, m, NULL);
    for (int64_t o = 0; o < tensor_count(dy); o++)
        tensor_set(dm, o, tensor_get(dm, o) + over(tensor_get(dy, o), tensor_get(r->n, o)));
}

static void held_backward(Tape *t, Var *out)
{
    magnitude_backward(t, out->in[0], out->saved, out->grad);
}

static void ratio_backward(Tape *t, Var *out)
{
    const Ratio *r = out->saved;
    Var *m = out->in[0], *w = out->in[1], *a = out->in[2], *b = out->in[3];
    int64_t o = b->val.dim[0], rank = a->val.dim[0], c = a->val.dim[1];
    magnitude_backward(t, m, r, out->grad);
    if (!w->needs && !a->needs && !b->needs) return;
    Tensor dv = make_rows(t, r, w, a, b);
    for (int64_t j = 0; j < o; j++) {
        double n = tensor_get(r->n, j);
        double g = -over(over(over(tensor_get(out->grad, j) * tensor_get(m->val, j), n), n), n);
        for (int64_t i = 0; i < c; i++) tensor_set(dv, j * c + i, g * tensor_get(dv, j * c + i));
    }
    if (w->needs) {
        Tensor dw = tape_grad(t, w, NULL);
        for (int64_t i = 0; i < o * c; i++) {
            int64_t at = place(r, dw, i / c, i % c);
            tensor_set(dw, at, tensor_get(dw, at) + tensor_get(dv, i));
        }
    }
    if (b->needs)
        gemm_parallel(dv.dtype, o, rank, c, r->s, (Mat){dv.data, c, false}, (Mat){a->val.data, c, true}, 1,
                      tape_grad(t, b, NULL).data, rank);
    if (a->needs)
        gemm_parallel(dv.dtype, rank, c, o, r->s, (Mat){b->val.data, rank, true}, (Mat){dv.data, c, false}, 1,
                      tape_grad(t, a, NULL).data, c);
    tape_free(t, dv);
}

static const Op RATIO = {"norm_ratio", ratio_backward, .half = true},
                HELD = {"norm_ratio_held", held_backward, .half = true};

Var *op_norm_ratio(Tape *t, Var *m, Var *w, WeightRows rows, Var *a, Var *b, double s, bool held)
{
    int64_t o = b->val.dim[0], c = a->val.dim[1];
    CHECK(a->val.rank == 2 && b->val.rank == 2 && b->val.dim[1] == a->val.dim[0] && tensor_count(m->val) == o &&
              w->val.dim[rows.layout == IN_OUT] >= rows.first + o && w->val.dim[rows.layout == OUT_IN] == c &&
              (!rows.run ||
               (o % rows.run == 0 && rows.step >= rows.run &&
                w->val.dim[rows.layout == IN_OUT] >= rows.first + (o / rows.run - 1) * rows.step + rows.run)),
          "%s over rows %lld.. of %s plus %s times %s", tensor_shape(m->val), (long long)rows.first,
          tensor_shape(w->val), tensor_shape(b->val), tensor_shape(a->val));
    Ratio *r = NEW(tape_arena(t), Ratio, 1);
    *r = (Ratio){rows, s, tensor_new(tape_arena(t), a->val.dtype, SHAPE(o))};
    Tensor v = make_rows(t, r, w, a, b), y = tape_alloc(t, v.dtype, SHAPE(o));
    for (int64_t j = 0; j < o; j++) {
        tensor_set(r->n, j, row_norm(v, j));
        tensor_set(y, j, over(tensor_get(m->val, j), tensor_get(r->n, j)));
    }
    tape_free(t, v);
    Var *out = held ? tape_push(t, &HELD, y, m, NULL, NULL, NULL, 0)
                    : tape_push(t, &RATIO, y, m, w, a, b, KEEP_0 | KEEP_1 | KEEP_2 | KEEP_3);
    out->saved = r;
    return out;
}

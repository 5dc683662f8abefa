/* A matrix with a product of low rank added, each of its outputs then scaled:
 *
 *   V = W + s B A      y_oi = g_o v_oi      for W (O,C); W (C,O) gets the product transposed
 *
 *   dv_oi = g_o dy_oi    dg_o = sum_i dy_oi v_oi    dW = dV    dB = s dV A'    dA = s B' dV
 *
 * LoRA and DoRA on matrices that no join point surrounds: token tables, heads.  V is made again for the backward. */
#include <string.h>

#include "ad/wide.h"
#include "base/err.h"
#include "num/gemm.h"

typedef struct {
    Layout layout;
    double s;
} LowRank;

/* y = W + s B A in the layout of W. */
static void add_product(Tensor y, const LowRank *p, Tensor w, Tensor a, Tensor b)
{
    int64_t rank = a.dim[0], in = a.dim[1], out = b.dim[0];
    wide_copy(y, w);
    if (p->layout == OUT_IN)
        gemm_parallel(y.dtype, out, in, rank, p->s, (Mat){b.data, rank, false}, (Mat){a.data, in, false}, 1, y.data,
                      in);
    else
        gemm_parallel(y.dtype, in, out, rank, p->s, (Mat){a.data, in, true}, (Mat){b.data, rank, true}, 1, y.data,
                      out);
}

/* The output that element i of the matrix belongs to. */
static int64_t output_of(const LowRank *p, Tensor w, int64_t i)
{
    return p->layout == OUT_IN ? i / tensor_last(w) : i % tensor_last(w);
}

static void scale_outputs(Tensor y, const LowRank *p, Tensor g)
{
    for (int64_t i = 0; i < tensor_count(y); i++)
        tensor_set(y, i, tensor_get(g, output_of(p, y, i)) * tensor_get(y, i));
}

static void gain_backward(Tape *t, Var *out)
{
    const LowRank *p = out->saved;
    Var *g = out->in[3];
    Tensor v = tape_alloc(t, out->val.dtype, out->val.rank, out->val.dim), dg = tape_grad(t, g, NULL);
    add_product(v, p, out->in[0]->val, out->in[1]->val, out->in[2]->val);
    for (int64_t i = 0; i < tensor_count(v); i++) {
        int64_t o = output_of(p, v, i);
        tensor_set(dg, o, tensor_get(dg, o) + tensor_get(out->grad, i) * tensor_get(v, i));
    }
    tape_free(t, v);
}

static void lowrank_backward(Tape *t, Var *out)
{
    const LowRank *p = out->saved;
    Var *w = out->in[0], *a = out->in[1], *b = out->in[2], *g = out->in[3];
    int64_t rank = a->val.dim[0], in = a->val.dim[1], o = b->val.dim[0];
    bool turned = p->layout == IN_OUT;
    if (g && g->needs) gain_backward(t, out);
    Tensor dv = tape_alloc(t, out->val.dtype, out->val.rank, out->val.dim);
    memcpy(dv.data, out->grad.data, tensor_bytes(dv));
    if (g) scale_outputs(dv, p, g->val);
    const Mat dv_out = {dv.data, tensor_last(dv), turned};
    if (b->needs)
        gemm_parallel(dv.dtype, o, rank, in, p->s, dv_out, (Mat){a->val.data, in, true}, 1,
                      tape_grad(t, b, NULL).data, rank);
    if (a->needs)
        gemm_parallel(dv.dtype, rank, in, o, p->s, (Mat){b->val.data, rank, true}, dv_out, 1,
                      tape_grad(t, a, NULL).data, in);
    if (w->needs) {
        Tensor dw = tape_grad(t, w, NULL);
        kernels_of(dw.dtype)->add(dw.data, dw.data, 1, dv.data, tensor_count(dw));
    }
    tape_free(t, dv);
}

static const Op LOWRANK = {"lowrank", lowrank_backward, .half = true};

Var *op_lowrank(Tape *t, Var *w, Layout layout, Var *a, Var *b, double s, Var *gain)
{
    int64_t in = a->val.dim[1], out = b->val.dim[0];
    CHECK(w->val.rank == 2 && a->val.dim[0] == b->val.dim[1] && w->val.dim[layout == OUT_IN] == in &&
              w->val.dim[layout == IN_OUT] == out && (!gain || tensor_count(gain->val) == out),
          "%s plus %s times %s", tensor_shape(w->val), tensor_shape(b->val), tensor_shape(a->val));
    LowRank *p = NEW(tape_arena(t), LowRank, 1);
    *p = (LowRank){layout, s};
    Tensor y = tape_alloc(t, a->val.dtype, w->val.rank, w->val.dim);
    add_product(y, p, w->val, a->val, b->val);
    if (gain) scale_outputs(y, p, gain->val);
    Var *v = tape_push(t, &LOWRANK, y, w, a, b, gain, KEEP_0 | KEEP_1 | KEEP_2 | KEEP_3);
    v->saved = p;
    return v;
}

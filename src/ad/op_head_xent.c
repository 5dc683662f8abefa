/* The last linear layer and its cross-entropy together, so that the logits of a large vocabulary never stand whole.
 *
 *   z = x W' + b      loss = (1/n) sum_i xent(z_i, target_i)      dx = dz W     dW = dz' x     db = sum_i dz_i
 *
 * Only the n rows with a target are computed, in chunks of rows whose logits hold at most CHUNK elements or half as
 * many as W, whichever is more: with fewer rows, moving W through the caches would cost more than multiplying.  The
 * values that the forward leaves for the backward depend on their cost:
 *
 *   all logits fit one small chunk      dz is kept
 *   W and b are frozen                  dx is made at once, one product, and kept
 *   else                                nothing is kept: the backward computes each chunk's logits again */
#include <string.h>

#include "ad/wide.h"
#include "base/err.h"
#include "num/gemm.h"

enum { CHUNK = 1 << 22, SMALL = 1 << 20 };

typedef struct {
    Layout layout;
    int64_t n, v, c;             /* rows with a target, vocabulary, width */
    const int32_t *row, *target; /* (n) which rows of x these are, and their targets */
    Tensor kept;                 /* dz (n,v), or dx (n,c), or no data */
    bool kept_is_dz;
} HeadSaved;

static Mat mat(const void *data, int64_t stride, bool t)
{
    return (Mat){data, stride, t};
}

static int64_t chunk_rows(const HeadSaved *s)
{
    int64_t rows = CHUNK / (s->v ? s->v : 1);
    if (rows < s->c / 2) rows = s->c / 2;
    rows = rows < 16 ? 16 : rows / 16 * 16;
    return rows < s->n ? rows : s->n;
}

/* Rows first .. first+m of x that have a target, side by side. */
static const void *gather(const HeadSaved *s, Tensor x, int64_t first, int64_t m, Tensor room)
{
    if (!room.data) return tensor_place(x, first * s->c); /* every row has one */
    size_t bytes = (size_t)s->c * dtype_size(x.dtype);
    for (int64_t i = 0; i < m; i++)
        memcpy(tensor_place(room, i * s->c), tensor_place(x, s->row[first + i] * s->c), bytes);
    return room.data;
}

/* Room for gather(), with no data where x can be read in place. */
static Tensor gather_room(Tape *t, const HeadSaved *s, Tensor x, int64_t m)
{
    bool whole = s->n * s->c == tensor_count(x);
    return whole ? (Tensor){0} : tape_alloc(t, x.dtype, SHAPE(m, s->c));
}

/* z (m,v) becomes the logits of m rows xs, then, with `grad`, dz times scale; returns the sum of the losses. */
static double chunk_loss(Tape *t, const HeadSaved *s, Tensor z, const void *xs, const Weight *w, const Var *bias,
                         int64_t first, int64_t m, double scale, bool grad)
{
    const Kernels *k = kernels_of(z.dtype);
    weight_forward(t, w, z.dtype, xs, m, z.data);
    if (bias) k->bias_act(ACT_NONE, z.data, z.data, bias->val.data, m, s->v);
    Tensor loss = tape_alloc(t, F64, SHAPE(chunk_rows(s)));
    k->xent(loss.data, z.data, s->target + first, scale, grad, m, s->v);
    double sum = 0;
    for (int64_t i = 0; i < m; i++) sum += ((const double *)loss.data)[i];
    tape_free(t, loss);
    return sum;
}

static void weight_gradient(Tape *t, const HeadSaved *s, Var *w, Var *bias, Tensor z, const void *xs, int64_t m)
{
    if (bias && bias->needs) kernels_of(z.dtype)->sum_cols(tape_grad(t, bias, NULL).data, z.data, m, s->v);
    if (!w->needs) return;
    bool fresh;
    Tensor dw = tape_grad(t, w, &fresh);
    double beta = fresh ? 0 : 1;
    if (s->layout == OUT_IN)
        gemm_parallel(z.dtype, s->v, s->c, m, 1, mat(z.data, s->v, true), mat(xs, s->c, false), beta, dw.data, s->c);
    else
        gemm_parallel(z.dtype, s->c, s->v, m, 1, mat(xs, s->c, true), mat(z.data, s->v, false), beta, dw.data, s->v);
}

/* The gradient of x += g times rows d (m,c), which belong to targets first .. first+m. */
static void scatter(Tape *t, const HeadSaved *s, Var *x, const void *d, int64_t first, int64_t m, double g)
{
    Tensor dx = tape_grad(t, x, NULL), rows = tensor_over((void *)d, dx.dtype, SHAPE(m, s->c));
    for (int64_t i = 0; i < m; i++)
        kernels_of(dx.dtype)->scale(tensor_place(dx, s->row[first + i] * s->c), g, tensor_place(rows, i * s->c), s->c,
                                    true);
}

/* The backward of one chunk, from dz or, where the forward kept none, from logits computed once more. */
static void chunk_backward(Tape *t, Var *out, const Weight *weight, Tensor z, Tensor room, Tensor d, int64_t first,
                           int64_t m)
{
    const HeadSaved *s = out->saved;
    Var *x = out->in[0], *w = out->in[1], *bias = out->in[2];
    double g = tensor_get(out->grad, 0);
    const void *xs = w->needs || !s->kept_is_dz ? gather(s, x->val, first, m, room) : NULL;
    if (s->kept_is_dz)
        kernels_of(z.dtype)->scale(z.data, g, z.data, m * s->v, false);
    else
        chunk_loss(t, s, z, xs, weight, bias, first, m, g / (double)s->n, true);
    weight_gradient(t, s, w, bias, z, xs, m);
    if (!x->needs) return;
    weight_backward(t, weight, z.dtype, z.data, m, 0, d.data);
    scatter(t, s, x, d.data, first, m, 1);
}

static void head_xent_backward(Tape *t, Var *out)
{
    const HeadSaved *s = out->saved;
    Var *x = out->in[0];
    if (!s->n) return;
    if (s->kept.data && !s->kept_is_dz) {
        scatter(t, s, x, s->kept.data, 0, s->n, tensor_get(out->grad, 0));
        tape_free(t, s->kept);
        return;
    }
    int64_t most = chunk_rows(s);
    Tensor z = s->kept.data ? s->kept : tape_alloc(t, x->val.dtype, SHAPE(most, s->v));
    Tensor room = gather_room(t, s, x->val, most), d = tape_alloc(t, z.dtype, SHAPE(most, s->c));
    Weight w = weight_open(t, out->in[1]->val, s->layout, 0, s->v);
    for (int64_t i = 0; i < s->n; i += most)
        chunk_backward(t, out, &w, z, room, d, i, most < s->n - i ? most : s->n - i);
    weight_close(t, &w);
    tape_free(t, d);
    if (room.data) tape_free(t, room);
    tape_free(t, z);
}

static const Op HEAD_XENT = {"head_xent", head_xent_backward, .half = true};

/* Lists the rows of x that have a target. */
static HeadSaved *list_rows(Tape *t, Var *x, Var *w, Layout layout, const Var *bias, const int32_t *target)
{
    HeadSaved *s = NEW(tape_arena(t), HeadSaved, 1);
    bool out_in = layout == OUT_IN;
    *s = (HeadSaved){.layout = layout, .c = tensor_last(x->val), .v = w->val.dim[out_in ? 0 : 1]};
    CHECK(w->val.rank == 2 && w->val.dim[out_in ? 1 : 0] == s->c && s->c > 0 &&
              (!bias || tensor_count(bias->val) == s->v),
          "head of %s by %s (%s)", tensor_shape(x->val), tensor_shape(w->val), out_in ? "out, in" : "in, out");
    int64_t r = tensor_count(x->val) / s->c;
    int32_t *row = NEW(tape_arena(t), int32_t, r + 1), *kept = NEW(tape_arena(t), int32_t, r + 1);
    for (int64_t i = 0; i < r; i++) {
        CHECK(target[i] < s->v, "target %d of row %lld with %lld classes", target[i], (long long)i, (long long)s->v);
        if (target[i] < 0) continue;
        row[s->n] = (int32_t)i;
        kept[s->n++] = target[i];
    }
    s->row = row;
    s->target = kept;
    return s;
}

/* The forward; leaves in s->kept the values that the backward needs. */
static double sum_of_losses(Tape *t, HeadSaved *s, Var *x, Var *w, Var *bias)
{
    if (!s->n) return 0;
    bool recorded = tape_needs(t, x, w, bias, NULL), frozen = !w->needs && !(bias && bias->needs);
    int64_t most = chunk_rows(s);
    s->kept_is_dz = recorded && s->n * s->v <= SMALL;
    bool early = recorded && frozen && !s->kept_is_dz;
    Tensor z = tape_alloc(t, x->val.dtype, SHAPE(most, s->v)), room = gather_room(t, s, x->val, most);
    if (early) s->kept = tape_alloc(t, x->val.dtype, SHAPE(s->n, s->c));
    double sum = 0;
    Weight weight = weight_open(t, w->val, s->layout, 0, s->v);
    for (int64_t i = 0; i < s->n; i += most) {
        int64_t m = most < s->n - i ? most : s->n - i;
        sum += chunk_loss(t, s, z, gather(s, x->val, i, m, room), &weight, bias, i, m, 1 / (double)s->n,
                          early || s->kept_is_dz);
        if (early) weight_backward(t, &weight, z.dtype, z.data, m, 0, tensor_place(s->kept, i * s->c));
    }
    weight_close(t, &weight);
    if (room.data) tape_free(t, room);
    if (s->kept_is_dz)
        s->kept = z;
    else
        tape_free(t, z);
    return sum;
}

Var *op_head_xent(Tape *t, Var *x, Var *w, Layout layout, Var *bias, const int32_t *target, double *sum_loss)
{
    HeadSaved *s = list_rows(t, x, w, layout, bias, target);
    double sum = sum_of_losses(t, s, x, w, bias);
    if (sum_loss) *sum_loss = sum;
    Tensor mean = tape_alloc(t, x->val.dtype, SHAPE(1));
    tensor_set(mean, 0, s->n ? sum / (double)s->n : 0);
    bool again = s->n && !s->kept.data, weights = w->needs; /* the backward will read x for its logits or for dW */
    Var *out = tape_push(t, &HEAD_XENT, mean, x, w, bias, NULL,
                         (again || weights ? KEEP_0 : 0) | KEEP_1 | (again ? KEEP_2 : 0));
    out->saved = s;
    return out;
}

/* A learned prefix before each row of a batch, in place of its first `skip` positions:
 *
 *   y_b = [prefix; x_b[skip:]]      dprefix = sum_b dy_b[:P]      dx_b[skip:] = dy_b[P:]
 *
 * The sum over b runs in order. */
#include <string.h>

#include "ad/op.h"
#include "base/err.h"

typedef struct {
    int64_t p, s, c, skip;
} PrependSaved;

static void *row(Tensor x, int64_t i)
{
    return tensor_place(x, i * tensor_last(x));
}

static void prepend_backward(Tape *t, Var *out)
{
    const PrependSaved *s = out->saved;
    Var *prefix = out->in[0], *x = out->in[1];
    const Kernels *k = kernels_of(out->val.dtype);
    Tensor dy = out->grad;
    int64_t b = dy.dim[0], long_row = dy.dim[1], rest = s->s - s->skip;
    size_t bytes = (size_t)s->c * dtype_size(dy.dtype);
    bool fresh;
    if (prefix->needs) {
        Tensor d = tape_grad(t, prefix, NULL);
        for (int64_t i = 0; i < b; i++) k->add(d.data, d.data, 1, row(dy, i * long_row), s->p * s->c);
    }
    if (x->needs) {
        Tensor d = tape_grad(t, x, &fresh);
        for (int64_t i = 0; i < b; i++) {
            void *to = row(d, i * s->s + s->skip), *from = row(dy, i * long_row + s->p);
            if (!fresh) {
                k->add(to, to, 1, from, rest * s->c);
                continue;
            }
            memset(row(d, i * s->s), 0, bytes * (size_t)s->skip);
            memcpy(to, from, bytes * (size_t)rest);
        }
    }
}

static const Op PREPEND = {"prepend", prepend_backward};

Var *op_prepend(Tape *t, Var *prefix, Var *x, int64_t skip)
{
    Tensor p = prefix->val, v = x->val;
    CHECK(p.rank == 2 && v.rank == 3 && p.dim[1] == v.dim[2] && skip >= 0 && skip <= v.dim[1],
          "prefix %s before %s without its first %lld", tensor_shape(p), tensor_shape(v), (long long)skip);
    int64_t b = v.dim[0], rest = v.dim[1] - skip, c = p.dim[1], n = p.dim[0] + rest;
    size_t bytes = (size_t)c * dtype_size(v.dtype);
    Tensor y = tape_alloc(t, v.dtype, SHAPE(b, n, c));
    for (int64_t i = 0; i < b; i++) {
        memcpy(row(y, i * n), p.data, bytes * (size_t)p.dim[0]);
        memcpy(row(y, i * n + p.dim[0]), row(v, i * v.dim[1] + skip), bytes * (size_t)rest);
    }
    Var *out = tape_push(t, &PREPEND, y, prefix, x, NULL, NULL, 0);
    if (out->needs) {
        PrependSaved *s = NEW(tape_arena(t), PrependSaved, 1);
        *s = (PrependSaved){p.dim[0], v.dim[1], c, skip};
        out->saved = s;
    }
    return out;
}

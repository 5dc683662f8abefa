/* A batch of rows of unequal length without its padding, and back:
 *
 *   pack: y = the first n_b rows of each x_b, one after the other      unpack: y_b = those rows, then zeros
 *
 * One is the other's backward. */
#include <string.h>

#include "ad/op.h"
#include "base/err.h"

typedef struct {
    const Pack *pack;
} PackSaved;

typedef struct {
    Tensor packed, whole; /* (1,N,C), (B,T,C) */
} Pair;

/* Where the rows of batch element b lie in both, and their bytes. */
static size_t place(const Pair *p, const Pack *k, int64_t b, void **packed, void **whole)
{
    int64_t c = tensor_last(p->packed);
    *packed = tensor_place(p->packed, k->at[b] * c);
    *whole = tensor_place(p->whole, b * p->whole.dim[1] * c);
    return (size_t)((k->at[b + 1] - k->at[b]) * c) * dtype_size(p->packed.dtype);
}

static void gather(const Pair *p, const Pack *k)
{
    void *packed, *whole;
    for (int64_t b = 0; b < k->b; b++) {
        size_t bytes = place(p, k, b, &packed, &whole);
        memcpy(packed, whole, bytes);
    }
}

static void spread(const Pair *p, const Pack *k)
{
    void *packed, *whole;
    size_t row = (size_t)(p->whole.dim[1] * tensor_last(p->whole)) * dtype_size(p->whole.dtype);
    for (int64_t b = 0; b < k->b; b++) {
        size_t bytes = place(p, k, b, &packed, &whole);
        memcpy(whole, packed, bytes);
        memset((char *)whole + bytes, 0, row - bytes);
    }
}

/* The gradient of the op's input, once it is there in a buffer of its own. */
static void add_gradient(Tape *t, Var *x, Tensor made)
{
    Var from = {.val = made, .grad = made};
    tape_pass(t, x, &from);
    if (from.grad.data) tape_free(t, from.grad);
}

static void pack_backward(Tape *t, Var *out)
{
    const PackSaved *s = out->saved;
    Var *x = out->in[0];
    Tensor dx = tape_alloc(t, x->val.dtype, x->val.rank, x->val.dim);
    spread(&(Pair){out->grad, dx}, s->pack);
    add_gradient(t, x, dx);
}

static void unpack_backward(Tape *t, Var *out)
{
    const PackSaved *s = out->saved;
    Var *x = out->in[0];
    Tensor dx = tape_alloc(t, x->val.dtype, x->val.rank, x->val.dim);
    gather(&(Pair){dx, out->grad}, s->pack);
    add_gradient(t, x, dx);
}

static const Op PACK = {"pack", pack_backward}, UNPACK = {"unpack", unpack_backward};

static Var *push(Tape *t, const Op *op, Tensor y, Var *x, const Pack *k)
{
    Var *out = tape_push(t, op, y, x, NULL, NULL, NULL, 0);
    if (out->needs) {
        PackSaved *s = NEW(tape_arena(t), PackSaved, 1);
        s->pack = k;
        out->saved = s;
    }
    return out;
}

Var *op_pack(Tape *t, Var *x, const Pack *k)
{
    CHECK(x->val.rank == 3 && x->val.dim[0] == k->b && x->val.dim[1] == k->most, "%s packed as %lld rows of %lld",
          tensor_shape(x->val), (long long)k->b, (long long)k->most);
    Tensor y = tape_alloc(t, x->val.dtype, SHAPE(1, k->at[k->b], tensor_last(x->val)));
    gather(&(Pair){y, x->val}, k);
    return push(t, &PACK, y, x, k);
}

Var *op_unpack(Tape *t, Var *x, const Pack *k)
{
    CHECK(x->val.rank == 3 && x->val.dim[0] == 1 && x->val.dim[1] == k->at[k->b], "%s unpacked to %lld rows",
          tensor_shape(x->val), (long long)k->b);
    Tensor y = tape_alloc(t, x->val.dtype, SHAPE(k->b, k->most, tensor_last(x->val)));
    spread(&(Pair){x->val, y}, k);
    return push(t, &UNPACK, y, x, k);
}

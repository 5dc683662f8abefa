/* Mean squared distance of the rows of y (..,C) from those of a fixed target:
 *
 *   loss = (1/R) sum_r |y_r - t_r|^2      dy = 2 (y - t) / R
 *
 * for R rows: summed over the entries of a row, averaged over rows.  Summed in double. */
#include "ad/op.h"
#include "base/err.h"

static void mse_backward(Tape *t, Var *out)
{
    Var *y = out->in[0];
    const Tensor *target = out->saved;
    double rows = (double)(tensor_count(y->val) / tensor_last(y->val)), g = 2 * tensor_get(out->grad, 0) / rows;
    Tensor dy = tape_grad(t, y, NULL);
    const Kernels *k = kernels_of(dy.dtype);
    k->add(dy.data, dy.data, g, y->val.data, tensor_count(dy));
    k->add(dy.data, dy.data, -g, target->data, tensor_count(dy));
}

static const Op MSE = {"mse", mse_backward};

Var *op_mse(Tape *t, Var *y, Tensor target)
{
    CHECK(tensor_same_shape(y->val, target) && y->val.dtype == target.dtype && tensor_count(target) > 0,
          "distance of %s %s from %s %s", dtype_name(y->val.dtype), tensor_shape(y->val), dtype_name(target.dtype),
          tensor_shape(target));
    double sum = 0;
    for (int64_t i = 0; i < tensor_count(target); i++) {
        double gap = tensor_get(y->val, i) - tensor_get(target, i);
        sum += gap * gap;
    }
    Tensor mean = tape_alloc(t, target.dtype, SHAPE(1));
    tensor_set(mean, 0, sum * (double)tensor_last(target) / (double)tensor_count(target));
    Var *out = tape_push(t, &MSE, mean, y, NULL, NULL, NULL, KEEP_0);
    if (out->needs) {
        Tensor *saved = NEW(tape_arena(t), Tensor, 1);
        *saved = target;
        out->saved = saved;
    }
    return out;
}

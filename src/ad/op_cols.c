/* Columns of every row: runs of `run` columns, `step` apart from start to start; dx is zero outside of them.
 *
 *   y_r[k run + j] = x_r[first + k step + j]      j < run */
#include <string.h>

#include "ad/op.h"
#include "base/err.h"

typedef struct {
    int64_t first, run, step;
} Cols;

/* dx row r += dy row r, where its columns came from. */
static void add_row(const Cols *s, Tensor dx, Tensor dy, int64_t r)
{
    int64_t c = tensor_last(dx), n = tensor_last(dy);
    for (int64_t k = 0; k * s->run < n; k++) {
        void *to = tensor_place(dx, r * c + s->first + k * s->step);
        kernels_of(dx.dtype)->add(to, to, 1, tensor_place(dy, r * n + k * s->run), s->run);
    }
}

static void copy_row(const Cols *s, Tensor wide, Tensor narrow, int64_t r, bool into_wide)
{
    int64_t c = tensor_last(wide), n = tensor_last(narrow);
    size_t size = dtype_size(wide.dtype);
    for (int64_t k = 0; k * s->run < n; k++) {
        void *a = tensor_place(wide, r * c + s->first + k * s->step), *b = tensor_place(narrow, r * n + k * s->run);
        memcpy(into_wide ? a : b, into_wide ? b : a, (size_t)s->run * size);
    }
}

static void cols_backward(Tape *t, Var *out)
{
    const Cols *s = out->saved;
    bool fresh;
    Tensor dy = out->grad, dx = tape_grad(t, out->in[0], &fresh);
    int64_t c = tensor_last(dx), rows = c ? tensor_count(dx) / c : 0;
    for (int64_t r = 0; r < rows; r++) {
        if (!fresh) {
            add_row(s, dx, dy, r);
            continue;
        }
        memset(tensor_place(dx, r * c), 0, (size_t)c * dtype_size(dx.dtype));
        copy_row(s, dx, dy, r, true);
    }
}

static const Op COLS = {"cols", cols_backward};

Var *op_cols_runs(Tape *t, Var *x, int64_t first, int64_t n, int64_t run, int64_t step)
{
    int64_t c = tensor_last(x->val), runs = run > 0 ? n / run : 0;
    CHECK(x->val.rank > 0 && first >= 0 && n >= 0 && (!n || (run > 0 && n % run == 0 && step >= run)) &&
              (!runs || first + (runs - 1) * step + run <= c),
          "columns %lld..%lld of %s, in runs of %lld, %lld apart", (long long)first, (long long)(first + n),
          tensor_shape(x->val), (long long)run, (long long)step);
    Tensor y = x->val;
    y.dim[y.rank - 1] = n;
    y = tape_alloc(t, y.dtype, y.rank, y.dim);
    Cols cols = {first, run, step};
    int64_t rows = c ? tensor_count(x->val) / c : 0;
    for (int64_t r = 0; r < rows; r++) copy_row(&cols, x->val, y, r, false);
    Var *out = tape_push(t, &COLS, y, x, NULL, NULL, NULL, 0);
    if (out->needs) {
        Cols *s = NEW(tape_arena(t), Cols, 1);
        *s = cols;
        out->saved = s;
    }
    return out;
}

Var *op_cols(Tape *t, Var *x, int64_t first, int64_t n)
{
    CHECK(n >= 0 && first + n <= tensor_last(x->val), "columns %lld..%lld of %s", (long long)first,
          (long long)(first + n), tensor_shape(x->val));
    return op_cols_runs(t, x, first, n, n, n);
}

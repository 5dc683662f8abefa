/* Rotary positions (Su et al., RoFormer, 2021): the first `dims` channels of each head turn in pairs, each pair by an
 * angle that grows with the position of its row.  A pair is a channel and the one half of `dims` behind it:
 *
 *   (x_i, x_{i+dims/2})  ->  (x_i cos a - x_{i+dims/2} sin a,  x_{i+dims/2} cos a + x_i sin a)
 *
 * A rotation is orthogonal, so the gradient turns back by the same angle, in the buffer that it came in. */
#include <string.h>

#include "ad/op.h"
#include "base/err.h"

enum { PARALLEL_FROM = 1 << 16 }; /* elements; below, starting threads costs more than the work */

/* Row i of x, whose angles are row `at` of the tables; `way` is 1, or -1 to turn back. */
#define TURN_ROW(name, REAL)                                                                                         \
    static void name(const Turn *w, REAL *x, int64_t c, int64_t at, REAL way)                                        \
    {                                                                                                                \
        int64_t half = w->dims / 2;                                                                                  \
        const float *cos = w->cos + at * half, *sin = w->sin + at * half;                                            \
        for (REAL *head = x; head < x + c; head += w->head_dim)                                                      \
            for (int64_t i = 0; i < half; i++) {                                                                     \
                REAL a = head[i], b = head[i + half], s = way * (REAL)sin[i], k = (REAL)cos[i];                      \
                head[i] = a * k - b * s;                                                                             \
                head[i + half] = b * k + a * s;                                                                      \
            }                                                                                                        \
    }
TURN_ROW(turn_row_f32, float)
TURN_ROW(turn_row_f64, double)

/* All rows of x, in place. */
static void turn(const Turn *w, Tensor x, int way)
{
    int64_t c = tensor_last(x), n = c ? tensor_count(x) / c : 0;
#pragma omp parallel for if (n * c >= PARALLEL_FROM)
    for (int64_t i = 0; i < n; i++) {
        int64_t at = w->row ? w->row[i] : i % w->rows;
        if (x.dtype == F32)
            turn_row_f32(w, tensor_place(x, i * c), c, at, (float)way);
        else
            turn_row_f64(w, tensor_place(x, i * c), c, at, way);
    }
}

static void rope_backward(Tape *t, Var *out)
{
    turn(out->saved, out->grad, -1);
    tape_pass(t, out->in[0], out);
}

static const Op ROPE = {"rope", rope_backward};

Var *op_rope(Tape *t, Var *x, Turn w)
{
    CHECK(x->val.rank >= 2 && w.head_dim > 0 && tensor_last(x->val) % w.head_dim == 0 && w.dims >= 0 &&
              w.dims % 2 == 0 && w.dims <= w.head_dim && w.rows > 0,
          "%lld channels of heads of %lld turned in %s", (long long)w.dims, (long long)w.head_dim,
          tensor_shape(x->val));
    for (int64_t i = 0; w.row && i < tensor_count(x->val) / tensor_last(x->val); i++)
        CHECK(w.row[i] >= 0 && w.row[i] < w.rows, "row %d of angles for %lld positions", w.row[i], (long long)w.rows);
    Tensor y = tape_alloc(t, x->val.dtype, x->val.rank, x->val.dim);
    memcpy(y.data, x->val.data, tensor_bytes(y));
    turn(&w, y, 1);
    Var *out = tape_push(t, &ROPE, y, x, NULL, NULL, NULL, 0);
    if (out->needs) {
        Turn *saved = NEW(tape_arena(t), Turn, 1);
        *saved = w;
        out->saved = saved;
    }
    return out;
}

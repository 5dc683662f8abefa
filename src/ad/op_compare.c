/* Two vectors compared, row by row, as CC2Vec (Hoang et al., ICSE 2020) does without parameters:
 *
 *   y = [a - b, a b, cos, dist]     cos = a.b / max(|a| |b|, e)     dist = |a - b + e|     e = 1e-6
 *
 *   dcos/da = (b - cos a |b|/|a|) / (|a| |b|), or b/e where the norms are small     ddist/da = (a - b + e) / dist
 *
 * and the same for b, whose distance has the other sign.  There are a few rows, so elements are taken in double. */
#include <math.h>

#include "ad/op.h"
#include "base/err.h"

static const double E = 1e-6;

typedef struct {
    double dot, a, b, dist; /* a.b, |a|, |b|, |a - b + e| */
} Pair;

static Pair pair_of(Tensor a, Tensor b, int64_t row)
{
    int64_t c = tensor_last(a);
    Pair p = {0};
    for (int64_t i = row * c; i < (row + 1) * c; i++) {
        double x = tensor_get(a, i), y = tensor_get(b, i);
        p.dot += x * y, p.a += x * x, p.b += y * y, p.dist += (x - y + E) * (x - y + E);
    }
    return (Pair){p.dot, sqrt(p.a), sqrt(p.b), sqrt(p.dist)};
}

static double norms(Pair p)
{
    return fmax(p.a * p.b, E);
}

/* Adds the gradient of one of the two vectors of a row; `sign` is that of its part in the difference. */
static void add_row(Tensor da, Tensor dy, Tensor a, Tensor b, int64_t row, Pair p, double own, double sign)
{
    int64_t c = tensor_last(a);
    const int64_t from = row * (2 * c + 2);
    double dcos = tensor_get(dy, from + 2 * c), ddist = tensor_get(dy, from + 2 * c + 1);
    bool small = p.a * p.b < E;
    for (int64_t i = 0; i < c; i++) {
        double x = tensor_get(a, row * c + i), y = tensor_get(b, row * c + i);
        double cosine = (y - (small ? 0 : p.dot / (own * own) * x)) / norms(p);
        double distance = p.dist > 0 ? (sign * (x - y) + E) * sign / p.dist : 0;
        double d = sign * tensor_get(dy, from + i) + tensor_get(dy, from + c + i) * y + dcos * cosine;
        tensor_set(da, row * c + i, tensor_get(da, row * c + i) + d + ddist * distance);
    }
}

static void compare_backward(Tape *t, Var *out)
{
    Var *a = out->in[0], *b = out->in[1];
    int64_t c = tensor_last(a->val), rows = c ? tensor_count(a->val) / c : 0;
    Tensor da = a->needs ? tape_grad(t, a, NULL) : (Tensor){0}, db = b->needs ? tape_grad(t, b, NULL) : (Tensor){0};
    for (int64_t r = 0; r < rows; r++) {
        Pair p = pair_of(a->val, b->val, r);
        if (da.data) add_row(da, out->grad, a->val, b->val, r, p, p.a, 1);
        if (db.data) add_row(db, out->grad, b->val, a->val, r, p, p.b, -1);
    }
}

static const Op COMPARE = {"compare", compare_backward};

Var *op_compare(Tape *t, Var *a, Var *b)
{
    CHECK(tensor_same_shape(a->val, b->val) && a->val.rank > 0, "%s compared with %s", tensor_shape(a->val),
          tensor_shape(b->val));
    int64_t c = tensor_last(a->val), rows = c ? tensor_count(a->val) / c : 0, n = 2 * c + 2;
    Tensor y = a->val;
    y.dim[y.rank - 1] = n;
    y = tape_alloc(t, y.dtype, y.rank, y.dim);
    for (int64_t r = 0; r < rows; r++) {
        Pair p = pair_of(a->val, b->val, r);
        for (int64_t i = 0; i < c; i++) {
            double u = tensor_get(a->val, r * c + i), v = tensor_get(b->val, r * c + i);
            tensor_set(y, r * n + i, u - v);
            tensor_set(y, r * n + c + i, u * v);
        }
        tensor_set(y, r * n + 2 * c, p.dot / norms(p));
        tensor_set(y, r * n + 2 * c + 1, p.dist);
    }
    return tape_push(t, &COMPARE, y, a, b, NULL, NULL, KEEP_0 | KEEP_1);
}

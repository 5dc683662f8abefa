/* Checks an op, or any function built from ops, on small random inputs.
 *
 *     static Var *norm(Tape *t, Var *const *in, void *ctx) { return op_norm(t, in[0], in[1], in[2], in[3], 1e-5); }
 *     Tensor in[] = {noise(...), ...};                      F64
 *     opcheck("norm", norm, NULL, 4, in);
 *     opcheck_threads("norm", norm, NULL, 4, large);        F32 or F64
 *
 * The function may return a value of any shape: its scalar is the dot product with fixed noise.  It is called
 * twice on one tape, so gradients both arrive first and are added.  For every subset of the inputs that wants
 * gradients, opcheck() compares the tape's F64 gradients with central differences along random directions (limit
 * OPCHECK_LIMIT, relative), the F32 gradients with the F64 ones (1e-5, relative L2 over each input), and the
 * recorded value with the unrecorded one (same bytes).  opcheck_threads() wants the same bytes from 1 and 2 threads.
 * Inputs that never take gradients, ids and options go through ctx; the F32 run hands fn F32 inputs, so a tensor
 * in ctx has to be cast to in[0]->val.dtype there. */
#ifndef TESTS_AD_OPCHECK_H
#define TESTS_AD_OPCHECK_H

#include <omp.h>
#include <string.h>

#include "ad/tape.h"
#include "expect.h"

#define OPCHECK_LIMIT 1e-6
enum { OPCHECK_INPUTS = 8, OPCHECK_DIRECTIONS = 5 };
typedef Var *OpcheckFn(Tape *, Var *const *in, void *ctx);

/* The value of a function of ops alone, and an element of a value of rank 3. */
static inline Tensor opcheck_value(Arena *a, OpcheckFn *fn, void *ctx, int n, const Tensor *in)
{
    Tape *t = tape_open(a, false);
    Var *v[OPCHECK_INPUTS];
    for (int i = 0; i < n; i++) v[i] = tape_leaf(t, in[i]);
    return fn(t, v, ctx)->val;
}

static inline double opcheck_at(Tensor x, int64_t i, int64_t j, int64_t k)
{
    return tensor_get(x, (i * x.dim[1] + j) * x.dim[2] + k);
}

/* ---- the scalar: sum_i u_i a_i + v_i b_i with fixed noise u, v */

static inline double opcheck_weight(int which, int64_t i)
{
    return rng_normal(rng_stream((uint64_t)which, "opcheck/weight"), (uint64_t)i);
}

static inline void opcheck_dot_backward(Tape *t, Var *out)
{
    double g = tensor_get(out->grad, 0);
    for (int which = 0; which < 2; which++) {
        Var *y = out->in[which];
        if (!y->needs) continue;
        Tensor d = tape_grad(t, y, NULL);
        for (int64_t i = 0, n = tensor_count(d); i < n; i++)
            tensor_set(d, i, tensor_get(d, i) + g * opcheck_weight(which, i));
    }
}

static inline Var *opcheck_dot(Tape *t, Var *a, Var *b)
{
    static const Op DOT = {"opcheck_dot", opcheck_dot_backward};
    double sum = 0;
    for (int64_t i = 0, n = tensor_count(a->val); i < n; i++)
        sum += opcheck_weight(0, i) * tensor_get(a->val, i) + opcheck_weight(1, i) * tensor_get(b->val, i);
    Tensor s = tape_alloc(t, F64, SHAPE(1));
    tensor_set(s, 0, sum);
    return tape_push(t, &DOT, s, a, b, NULL, NULL, 0);
}

/* ---- one evaluation */

/* The scalar at `in`; with wants != 0 also the gradients of the wanted inputs, cleared where none arrived. */
static inline double opcheck_run(Arena *step, OpcheckFn *fn, void *ctx, int n, const Tensor *in, unsigned wants,
                                 Tensor *grad)
{
    Tape *t = tape_open(step, wants != 0);
    Var *v[OPCHECK_INPUTS] = {0};
    for (int i = 0; i < n; i++) v[i] = wants & 1u << i ? tape_input(t, in[i]) : tape_leaf(t, in[i]);
    Var *a = fn(t, v, ctx), *b = fn(t, v, ctx), *s = opcheck_dot(t, a, b);
    double value = tape_scalar(s);
    if (wants) tape_backward(t, s);
    for (int i = 0; wants && i < n; i++) {
        if (!(wants & 1u << i)) continue;
        grad[i] = v[i]->grad.data ? v[i]->grad : tensor_zero(step, in[i].dtype, in[i].rank, in[i].dim);
        EXPECT(tensor_same_shape(grad[i], in[i]), "gradient %d has shape %s", i, tensor_shape(grad[i]));
    }
    return value;
}

static inline double opcheck_direction(int round, int input, int64_t i)
{
    return rng_normal(rng_mix(rng_stream((uint64_t)round, "opcheck/direction"), (uint64_t)input), (uint64_t)i);
}

/* The scalar at in + h direction, in F64. */
static inline double opcheck_moved(Arena *step, OpcheckFn *fn, void *ctx, int n, const Tensor *in, unsigned wants,
                                   int round, double h)
{
    ArenaMark mark = arena_mark(step);
    Tensor moved[OPCHECK_INPUTS];
    for (int i = 0; i < n; i++) {
        moved[i] = tensor_copy(step, in[i]);
        for (int64_t j = 0, m = tensor_count(in[i]); wants & 1u << i && j < m; j++)
            tensor_set(moved[i], j, tensor_get(in[i], j) + h * opcheck_direction(round, i, j));
    }
    double value = opcheck_run(step, fn, ctx, n, moved, 0, NULL);
    arena_drop(step, mark);
    return value;
}

static inline double opcheck_l2_gap(Tensor a, Tensor b)
{
    double gap = 0, size = 0;
    for (int64_t i = 0, n = tensor_count(a); i < n; i++) {
        double x = tensor_get(a, i), y = tensor_get(b, i);
        gap += (x - y) * (x - y);
        size += y * y;
    }
    return gap == 0 ? 0 : sqrt(gap / size);
}

/* ---- the checks */

static inline void opcheck_subset(Arena *step, const char *what, OpcheckFn *fn, void *ctx, int n, const Tensor *in,
                                  unsigned wants)
{
    const double h = 1e-5;
    Tensor g64[OPCHECK_INPUTS], g32[OPCHECK_INPUTS], in32[OPCHECK_INPUTS];
    double recorded = opcheck_run(step, fn, ctx, n, in, wants, g64);
    double plain = opcheck_run(step, fn, ctx, n, in, 0, NULL);
    EXPECT(!memcmp(&recorded, &plain, sizeof plain), "%s: recorded %.17g, unrecorded %.17g", what, recorded, plain);
    for (int round = 0; round < OPCHECK_DIRECTIONS; round++) {
        double up = opcheck_moved(step, fn, ctx, n, in, wants, round, h);
        double down = opcheck_moved(step, fn, ctx, n, in, wants, round, -h);
        double slope = (up - down) / (2 * h), ours = 0, size = 0;
        for (int i = 0; i < n; i++) {
            for (int64_t j = 0; wants & 1u << i && j < tensor_count(in[i]); j++) {
                double term = tensor_get(g64[i], j) * opcheck_direction(round, i, j);
                ours += term;
                size += term * term;
            }
        }
        double gap = fabs(ours - slope) / fmax(1, fmax(fabs(slope), sqrt(size)));
        EXPECT(gap <= OPCHECK_LIMIT, "%s: wanting %#x, direction %d: tape %.12g, difference %.12g (gap %.2g)", what,
               wants, round, ours, slope, gap);
    }
    for (int i = 0; i < n; i++) in32[i] = tensor_cast(step, in[i], F32);
    opcheck_run(step, fn, ctx, n, in32, wants, g32);
    for (int i = 0; i < n; i++) {
        double gap = wants & 1u << i ? opcheck_l2_gap(g32[i], g64[i]) : 0;
        EXPECT(gap <= 1e-5, "%s: wanting %#x, F32 gradient %d is off by %.2g of its size", what, wants, i, gap);
    }
}

static inline void opcheck(const char *what, OpcheckFn *fn, void *ctx, int n, const Tensor *in)
{
    Arena step = arena_open(0);
    for (unsigned wants = 1; wants < 1u << n; wants++) {
        ArenaMark mark = arena_mark(&step);
        opcheck_subset(&step, what, fn, ctx, n, in, wants);
        arena_drop(&step, mark);
    }
    arena_close(&step);
}

static inline void opcheck_threads(const char *what, OpcheckFn *fn, void *ctx, int n, const Tensor *in)
{
    Arena step = arena_open(0);
    Tensor g[2][OPCHECK_INPUTS];
    double value[2];
    int before = omp_get_max_threads();
    for (int two = 0; two < 2; two++) {
        omp_set_num_threads(1 + two);
        value[two] = opcheck_run(&step, fn, ctx, n, in, (1u << n) - 1, g[two]);
    }
    omp_set_num_threads(before);
    EXPECT(!memcmp(&value[0], &value[1], sizeof value[0]), "%s: %.17g with one thread, %.17g with two", what,
           value[0], value[1]);
    for (int i = 0; i < n; i++)
        EXPECT(!memcmp(g[0][i].data, g[1][i].data, tensor_bytes(g[0][i])), "%s: gradient %d differs between threads",
               what, i);
    arena_close(&step);
}

#endif

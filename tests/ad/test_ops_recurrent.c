/* The ops of recurrent and convolutional networks: the gated recurrent unit, columns side by side, the maximum over
 * steps, two vectors compared, and the softmax over a batch. */
#include "opcheck.h"

#include "ad/op.h"

static Arena run;

static Tensor some(DType dtype, const char *name, int rank, const int64_t *dim)
{
    if (!run.base) run = arena_open(0);
    return noise(&run, dtype, rng_stream(31, name), rank, dim);
}

/* ---- the gated recurrent unit */

typedef struct {
    const int32_t *len;
    bool reverse;
} Steps;

static Var *gru(Tape *t, Var *const *in, void *ctx)
{
    const Steps *s = ctx;
    return op_gru(t, in[0], in[1], in[2], s->len, s->reverse);
}

static double sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

/* One step of one row by the definition, state (H) in place. */
static void step_by_hand(double *state, const Tensor *in, int64_t row, int64_t step, int64_t h)
{
    double part[3][8], old[8];
    for (int64_t k = 0; k < h; k++) old[k] = state[k];
    for (int64_t gate = 0; gate < 3; gate++)
        for (int64_t k = 0; k < h; k++) {
            part[gate][k] = tensor_get(in[2], gate * h + k);
            for (int64_t j = 0; j < h; j++) part[gate][k] += tensor_get(in[1], (gate * h + k) * h + j) * old[j];
        }
    for (int64_t k = 0; k < h; k++) {
        double r = sigmoid(opcheck_at(in[0], row, step, k) + part[0][k]);
        double z = sigmoid(opcheck_at(in[0], row, step, h + k) + part[1][k]);
        double c = tanh(opcheck_at(in[0], row, step, 2 * h + k) + r * part[2][k]);
        state[k] = (1 - z) * c + z * old[k];
    }
}

static void gru_by_hand(Tensor y, const Tensor *in, const Steps *s)
{
    int64_t steps = y.dim[1], h = y.dim[2];
    for (int64_t b = 0; b < y.dim[0]; b++) {
        double state[8] = {0};
        int64_t n = s->len ? s->len[b] : steps;
        for (int64_t i = 0; i < steps; i++) {
            int64_t step = s->reverse ? steps - 1 - i : i;
            bool runs = step < n;
            if (runs) step_by_hand(state, in, b, step, h);
            for (int64_t k = 0; k < h; k++)
                near(opcheck_at(y, b, step, k), runs ? state[k] : 0, 1e-14, s->reverse ? "reversed state" : "state");
        }
    }
}

static void recurrent_states(void **state)
{
    (void)state;
    int32_t falling[] = {4, 2, 1, 0}, mixed[] = {1, 4, 0, 3};
    const Steps cases[] = {{NULL, false},   {NULL, true},   {falling, false},
                           {falling, true}, {mixed, false}, {mixed, true}};
    Tensor in[] = {some(F64, "x", SHAPE(4, 4, 9)), some(F64, "w", SHAPE(9, 3)), some(F64, "bias", SHAPE(9))};
    for (int i = 0; i < 6; i++) {
        Steps s = cases[i];
        gru_by_hand(opcheck_value(&run, gru, &s, 3, in), in, &s);
        opcheck(s.reverse ? "reversed gru" : "gru", gru, &s, 3, in);
    }
}

/* What lies behind the end of a row has no effect, and gets no gradient. */
static void nothing_is_read_behind_the_end(void **state)
{
    (void)state;
    int32_t len[] = {2, 3};
    for (int reverse = 0; reverse < 2; reverse++) {
        Steps s = {len, reverse};
        Tensor in[] = {some(F64, "x", SHAPE(2, 3, 6)), some(F64, "w", SHAPE(6, 2)), some(F64, "bias", SHAPE(6))};
        Tensor y = opcheck_value(&run, gru, &s, 3, in);
        in[0] = tensor_copy(&run, in[0]);
        for (int64_t c = 0; c < 6; c++) tensor_set(in[0], 2 * 6 + c, 1e6);
        EXPECT_NEAR(opcheck_value(&run, gru, &s, 3, in), y, 0);
        Tape *t = tape_open(&run, true);
        Var *x = tape_input(t, in[0]), *h = op_gru(t, x, tape_leaf(t, in[1]), tape_leaf(t, in[2]), len, reverse);
        tape_backward(t, op_mse(t, h, tensor_zero(&run, F64, SHAPE(2, 3, 2))));
        for (int64_t c = 0; c < 6; c++)
            assert_true(opcheck_at(x->grad, 0, 2, c) == 0 && opcheck_at(x->grad, 0, 1, c) != 0);
    }
}

static void recurrent_threads(void **state)
{
    (void)state;
    Steps s = {0};
    Tensor in[] = {some(F32, "x", SHAPE(90, 5, 96)), some(F32, "w", SHAPE(96, 32)), some(F32, "bias", SHAPE(96))};
    opcheck_threads("gru", gru, &s, 3, in);
}

/* ---- columns side by side */

static Var *join(Tape *t, Var *const *in, void *ctx)
{
    return op_join(t, in, *(const int *)ctx);
}

static Var *join_with_itself(Tape *t, Var *const *in, void *ctx)
{
    (void)ctx;
    return op_join(t, (Var *[]){in[0], in[1], in[0]}, 3);
}

static void columns_side_by_side(void **state)
{
    (void)state;
    Tensor in[] = {some(F64, "a", SHAPE(2, 3, 4)), some(F64, "b", SHAPE(2, 3, 1)), some(F64, "c", SHAPE(2, 3, 2)),
                   some(F64, "d", SHAPE(2, 3, 3))};
    for (int n = 1; n <= 4; n++) {
        Tensor y = opcheck_value(&run, join, &n, n, in);
        for (int64_t r = 0; r < 6; r++) {
            int64_t at = r * tensor_last(y);
            for (int i = 0; i < n; i++)
                for (int64_t c = 0; c < tensor_last(in[i]); c++)
                    assert_true(tensor_get(y, at++) == tensor_get(in[i], r * tensor_last(in[i]) + c));
        }
        opcheck("join", join, &n, n, in);
    }
    opcheck("joined with itself", join_with_itself, NULL, 2, in);
}

/* ---- the maximum */

static Var *largest(Tape *t, Var *const *in, void *ctx)
{
    return op_max(t, in[0], ctx);
}

static void largest_of_the_first_rows(void **state)
{
    (void)state;
    int32_t len[] = {3, 0, 1};
    for (int all = 0; all < 2; all++) {
        Tensor x = some(F64, "x", SHAPE(3, 4, 5)), y = opcheck_value(&run, largest, all ? NULL : len, 1, &x);
        for (int64_t b = 0; b < 3; b++)
            for (int64_t c = 0; c < 5; c++) {
                double most = all || len[b] ? -INFINITY : 0;
                for (int64_t i = 0; i < (all ? 4 : len[b]); i++) most = fmax(most, opcheck_at(x, b, i, c));
                assert_true(opcheck_at(y, b, 0, c) == most);
            }
        opcheck("max", largest, all ? NULL : len, 1, &x);
    }
}

/* Of equal rows the first gets the gradient; a NaN is not passed over. */
static void ties_and_nan(void **state)
{
    (void)state;
    Tensor x = tensor_zero(&run, F64, SHAPE(1, 3, 1));
    Tape *t = tape_open(&run, true);
    Var *in = tape_input(t, x);
    tape_backward(t, op_add(t, op_max(t, in, NULL), 0, tape_leaf(t, tensor_zero(&run, F64, SHAPE(1, 1, 1)))));
    assert_true(tensor_get(in->grad, 0) == 1 && tensor_get(in->grad, 1) == 0 && tensor_get(in->grad, 2) == 0);
    for (int64_t i = 0; i < 3; i++) {
        Tensor odd = tensor_copy(&run, x);
        tensor_set(odd, i, NAN);
        assert_true(isnan(tensor_get(opcheck_value(&run, largest, NULL, 1, &odd), 0)));
    }
}

/* ---- two vectors */

static Var *compare(Tape *t, Var *const *in, void *ctx)
{
    (void)ctx;
    return op_compare(t, in[0], in[1]);
}

static void compared_vectors(void **state)
{
    (void)state;
    Tensor in[] = {some(F64, "a", SHAPE(2, 1, 3)), some(F64, "b", SHAPE(2, 1, 3))},
           y = opcheck_value(&run, compare, NULL, 2, in);
    for (int64_t r = 0; r < 2; r++) {
        double dot = 0, aa = 0, bb = 0, dist = 0;
        for (int64_t c = 0; c < 3; c++) {
            double a = opcheck_at(in[0], r, 0, c), b = opcheck_at(in[1], r, 0, c);
            dot += a * b, aa += a * a, bb += b * b, dist += (a - b + 1e-6) * (a - b + 1e-6);
            near(opcheck_at(y, r, 0, c), a - b, 0, "difference");
            near(opcheck_at(y, r, 0, 3 + c), a * b, 0, "product");
        }
        near(opcheck_at(y, r, 0, 6), dot / sqrt(aa * bb), 1e-14, "cosine");
        near(opcheck_at(y, r, 0, 7), sqrt(dist), 1e-14, "distance");
    }
    opcheck("compare", compare, NULL, 2, in);
}

/* An empty side is a vector of zeros: its cosine is 0 with a finite gradient, as is that of a pair of zeros. */
static void compared_with_nothing(void **state)
{
    (void)state;
    for (int both = 0; both < 2; both++) {
        Tape *t = tape_open(&run, true);
        Tensor zero = tensor_zero(&run, F64, SHAPE(1, 3));
        Var *a = tape_input(t, zero), *b = tape_input(t, both ? zero : some(F64, "b", SHAPE(1, 3)));
        Var *y = op_compare(t, a, b);
        assert_true(tensor_get(y->val, 6) == 0);
        tape_backward(t, op_mse(t, y, tensor_zero(&run, F64, SHAPE(1, 8))));
        assert_false(tensor_finite(a->grad, "a") || tensor_finite(b->grad, "b"));
    }
}

/* ---- softmax over a batch */

static Var *over_batch(Tape *t, Var *const *in, void *ctx)
{
    return op_softmax_batch(t, in[0], *(const int64_t *)ctx);
}

static void softmax_over_a_batch(void **state)
{
    (void)state;
    Tensor x = some(F64, "x", SHAPE(6, 2, 2));
    for (int64_t n = 1; n <= 6; n += 1 + n) { /* 1, 3 */
        Tensor y = opcheck_value(&run, over_batch, &n, 1, &x);
        int64_t places = 24 / n;
        for (int64_t i = 0; i < places; i++) {
            double sum = 0;
            for (int64_t b = 0; b < n; b++) sum += exp(tensor_get(x, b * places + i));
            for (int64_t b = 0; b < n; b++)
                near(tensor_get(y, b * places + i), exp(tensor_get(x, b * places + i)) / sum, 1e-15, "weight");
        }
        opcheck("softmax over a batch", over_batch, &n, 1, &x);
    }
}

SUITE(cmocka_unit_test(recurrent_states), cmocka_unit_test(nothing_is_read_behind_the_end),
      cmocka_unit_test(recurrent_threads), cmocka_unit_test(columns_side_by_side),
      cmocka_unit_test(largest_of_the_first_rows), cmocka_unit_test(ties_and_nan), cmocka_unit_test(compared_vectors),
      cmocka_unit_test(compared_with_nothing), cmocka_unit_test(softmax_over_a_batch))

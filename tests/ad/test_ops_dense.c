/* Gradients of the dense ops: linear, norm, act, add, mul, scale, scale_cols, dropout, embed. */
#include "opcheck.h"

#include "ad/op.h"

static Arena run;

static Tensor some(DType dtype, const char *name, int rank, const int64_t *dim)
{
    if (!run.base) run = arena_open(0);
    return noise(&run, dtype, rng_stream(11, name), rank, dim);
}

static Tensor positive(Tensor x) /* values in 0.5 .. : for gains */
{
    for (int64_t i = 0; i < tensor_count(x); i++) tensor_set(x, i, 0.5 + fabs(tensor_get(x, i)));
    return x;
}

/* ---- linear */

typedef struct {
    Layout layout;
    Act act;
    bool bias;
} LinearCase;

static Var *linear(Tape *t, Var *const *in, void *ctx)
{
    const LinearCase *c = ctx;
    return op_linear(t, in[0], in[1], c->layout, c->bias ? in[2] : NULL, c->act);
}

static void linear_gradients(void **state)
{
    (void)state;
    for (int i = 0; i < 2 * 2 * ACTS; i++) {
        LinearCase c = {i & 1 ? IN_OUT : OUT_IN, (Act)(i / 4), i & 2};
        Tensor w = c.layout == OUT_IN ? some(F64, "w", SHAPE(7, 5)) : some(F64, "w", SHAPE(5, 7));
        Tensor in[] = {some(F64, "x", SHAPE(2, 3, 5)), w, some(F64, "b", SHAPE(7))};
        char what[64];
        snprintf(what, sizeof what, "linear %s%s%s", ACT_NAMES[c.act], c.layout == IN_OUT ? " in-out" : "",
                 c.bias ? " bias" : "");
        opcheck(what, linear, &c, c.bias ? 3 : 2, in);
    }
}

/* Three parts of one map, added: each adds into its own rows or columns of the shared weight's gradient. */
static Var *linear_parts(Tape *t, Var *const *in, void *ctx)
{
    const LinearCase *c = ctx;
    Var *sum = op_linear_part(t, in[0], in[1], c->layout, in[2], c->act, 0, 2);
    sum = op_add(t, sum, 2, op_linear_part(t, in[0], in[1], c->layout, in[2], c->act, 2, 2));
    return op_add(t, sum, 3, op_linear_part(t, in[0], in[1], c->layout, in[2], c->act, 5, 2));
}

static void linear_part_gradients(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        LinearCase c = {i & 1 ? IN_OUT : OUT_IN, i & 2 ? ACT_GELU : ACT_NONE, true};
        Tensor w = c.layout == OUT_IN ? some(F64, "w", SHAPE(7, 5)) : some(F64, "w", SHAPE(5, 7));
        Tensor in[] = {some(F64, "x", SHAPE(2, 3, 5)), w, some(F64, "b", SHAPE(7))};
        opcheck("parts of a linear map", linear_parts, &c, 3, in);
    }
}

/* A part equals the columns of the whole. */
static void linear_part_is_columns(void **state)
{
    (void)state;
    Arena a = arena_open(1 << 24);
    for (int layout = 0; layout < 2; layout++) {
        Tape *t = tape_open(&a, false);
        Tensor w = layout == OUT_IN ? some(F64, "w", SHAPE(7, 5)) : some(F64, "w", SHAPE(5, 7));
        Var *x = tape_leaf(t, some(F64, "x", SHAPE(4, 5))), *wv = tape_leaf(t, w),
            *b = tape_leaf(t, some(F64, "b", SHAPE(7)));
        Var *part = op_linear_part(t, x, wv, (Layout)layout, b, ACT_TANH, 3, 4);
        Var *columns = op_cols(t, op_linear(t, x, wv, (Layout)layout, b, ACT_TANH), 3, 4);
        EXPECT_NEAR(part->val, columns->val, 1e-14);
    }
    arena_close(&a);
}

static void linear_shapes(void **state)
{
    (void)state;
    LinearCase c = {OUT_IN, ACT_GELU, true};
    Tensor one[] = {some(F64, "x1", SHAPE(5)), some(F64, "w", SHAPE(7, 5)), some(F64, "b", SHAPE(7))};
    Tensor four[] = {some(F64, "x4", SHAPE(2, 1, 3, 5)), one[1], one[2]};
    Tensor none[] = {some(F64, "x0", SHAPE(0, 5)), one[1], one[2]};
    opcheck("linear of a vector", linear, &c, 3, one);
    opcheck("linear of rank 4", linear, &c, 3, four);
    opcheck("linear of no rows", linear, &c, 3, none);
}

/* ---- norm */

typedef struct {
    bool residual, bias, same;
} NormCase;

static Var *norm(Tape *t, Var *const *in, void *ctx)
{
    const NormCase *c = ctx;
    Var *residual = c->same ? in[0] : c->residual ? in[3] : NULL;
    return op_norm(t, in[0], residual, in[1], c->bias ? in[2] : NULL, 1e-5);
}

static void norm_gradients(void **state)
{
    (void)state;
    for (int i = 0; i < 6; i++) {
        NormCase c = {i & 1, i & 2, i >= 4};
        Tensor in[] = {some(F64, "x", SHAPE(2, 3, 9)), positive(some(F64, "g", SHAPE(9))), some(F64, "b", SHAPE(9)),
                       some(F64, "res", SHAPE(2, 3, 9))};
        char what[64];
        snprintf(what, sizeof what, "%s norm%s", c.bias ? "layer" : "rms",
                 c.same       ? " of x + x"
                 : c.residual ? " of a sum"
                              : "");
        opcheck(what, norm, &c, 4, in);
    }
}

/* ---- elementwise */

static Var *act(Tape *t, Var *const *in, void *ctx)
{
    return op_act(t, *(const Act *)ctx, in[0]);
}

static void act_gradients(void **state)
{
    (void)state;
    for (Act a = ACT_NONE; a < ACTS; a++) {
        Tensor x = some(F64, "act", SHAPE(3, 17));
        opcheck(ACT_NAMES[a], act, &a, 1, &x);
    }
}

static Var *add(Tape *t, Var *const *in, void *ctx)
{
    return op_add(t, in[0], *(const double *)ctx, in[1]);
}

static Var *add_to_itself(Tape *t, Var *const *in, void *ctx)
{
    return op_add(t, in[0], *(const double *)ctx, in[0]);
}

static void add_gradients(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        double s = i ? -0.75 : 1;
        Tensor y = some(F64, "y", SHAPE(2, 3, 5));
        Tensor same[] = {y, some(F64, "x", SHAPE(2, 3, 5))}, rows[] = {y, some(F64, "x", SHAPE(3, 5))};
        Tensor last[] = {y, some(F64, "x", SHAPE(5))};
        opcheck("add", add, &s, 2, same);
        opcheck("add of (T,C)", add, &s, 2, rows);
        opcheck("add of (C)", add, &s, 2, last);
        opcheck("add to itself", add_to_itself, &s, 1, same);
    }
}

static Var *mul(Tape *t, Var *const *in, void *ctx)
{
    (void)ctx;
    return op_mul(t, in[0], in[1]);
}

static Var *square(Tape *t, Var *const *in, void *ctx)
{
    (void)ctx;
    return op_mul(t, in[0], in[0]);
}

static Var *scale(Tape *t, Var *const *in, void *ctx)
{
    return op_scale(t, in[0], *(const double *)ctx);
}

static Var *norm_ratio(Tape *t, Var *const *in, void *ctx)
{
    Layout layout = *(const Layout *)ctx;
    return op_norm_ratio(t, in[3], in[0], (WeightRows){layout, 1, 0, 0}, in[1], in[2], 0.7, false);
}

/* Three of five outputs, in both layouts; of a held norm only the numerator's gradient is left. */
static void norm_ratio_gradients(void **state)
{
    (void)state;
    Arena a = arena_open(1 << 26);
    for (Layout l = OUT_IN; l <= IN_OUT; l++) {
        Tensor in[] = {l == OUT_IN ? noise(&a, F64, 60, SHAPE(5, 4)) : noise(&a, F64, 60, SHAPE(4, 5)),
                       noise(&a, F64, 61, SHAPE(2, 4)), noise(&a, F64, 62, SHAPE(3, 2)),
                       noise(&a, F64, 63, SHAPE(3))};
        opcheck("norm_ratio", norm_ratio, &l, 4, in);
        Tape *t = tape_open(&a, true);
        Var *w = tape_leaf(t, in[0]), *down = tape_input(t, in[1]), *up = tape_input(t, in[2]);
        assert_false(op_norm_ratio(t, tape_leaf(t, in[3]), w, (WeightRows){l, 1, 0, 0}, down, up, 0.7, true)->needs);
        Var *y = op_norm_ratio(t, tape_input(t, in[3]), w, (WeightRows){l, 1, 0, 0}, down, up, 0.7, true);
        assert_true(y->needs);
        double sum = 0;
        for (int64_t i = 0; i < 4; i++) {
            double x = tensor_get(in[0], l == OUT_IN ? 2 * 4 + i : i * 5 + 2);
            for (int64_t r = 0; r < 2; r++) x += 0.7 * tensor_get(in[2], 2 + r) * tensor_get(in[1], r * 4 + i);
            sum += x * x;
        }
        assert_true(fabs(tensor_get(y->val, 1) - tensor_get(in[3], 1) / sqrt(sum)) < 1e-14);
    }
    arena_close(&a);
}

static Var *scale_cols(Tape *t, Var *const *in, void *ctx)
{
    (void)ctx;
    return op_scale_cols(t, in[0], in[1]);
}

static void product_gradients(void **state)
{
    (void)state;
    double s = -1.5;
    Tensor in[] = {some(F64, "a", SHAPE(2, 3, 5)), some(F64, "b", SHAPE(2, 3, 5))};
    Tensor cols[] = {in[0], some(F64, "s", SHAPE(5))};
    opcheck("mul", mul, NULL, 2, in);
    opcheck("square", square, NULL, 1, in);
    opcheck("scale", scale, &s, 1, in);
    opcheck("scale_cols", scale_cols, NULL, 2, cols);
}

static Var *dropout(Tape *t, Var *const *in, void *ctx)
{
    return op_dropout(t, in[0], *(const double *)ctx, 77);
}

static void dropout_gradients(void **state)
{
    (void)state;
    double p[] = {0, 0.1, 0.5, 1};
    for (int i = 0; i < 4; i++) {
        Tensor x = some(F64, "x", SHAPE(3, 100));
        opcheck("dropout", dropout, &p[i], 1, &x);
    }
}

/* ---- embed */

static Var *embed(Tape *t, Var *const *in, void *ctx)
{
    int32_t id[] = {3, 0, -1, 3, 6, 3};
    Var *y = op_embed(t, in[0], id, 2, 3);
    (void)ctx;
    id[0] = 1; /* the op has read them */
    return y;
}

static void embed_gradients(void **state)
{
    (void)state;
    Tensor table = some(F64, "table", SHAPE(7, 4));
    opcheck("embed", embed, NULL, 1, &table);
    Arena step = arena_open(0);
    Tape *t = tape_open(&step, false);
    Var *in[] = {tape_leaf(t, table)}, *y = embed(t, in, NULL);
    for (int j = 0; j < 4; j++) {
        assert_true(tensor_get(y->val, 8 + j) == 0);
        assert_true(tensor_get(y->val, j) == tensor_get(table, 12 + j));
    }
    arena_close(&step);
}

/* ---- economy: work that a frozen or unrecorded op must not do */

static void frozen_weights_cost_nothing(void **state)
{
    (void)state;
    Arena step = arena_open(0);
    Tape *t = tape_open(&step, true);
    Var *x = tape_input(t, some(F32, "x", SHAPE(4, 5))), *w = tape_leaf(t, some(F32, "w", SHAPE(7, 5)));
    Var *y = op_linear(t, x, w, OUT_IN, NULL, ACT_GELU);
    assert_false(x->keep);
    assert_true(w->keep);
    tape_backward(t, opcheck_dot(t, y, y));
    assert_non_null(x->grad.data);
    assert_null(w->grad.data);

    t = tape_open(&step, true);
    x = tape_leaf(t, x->val);
    y = op_norm(t, op_linear(t, x, w, OUT_IN, NULL, ACT_GELU), NULL, tape_leaf(t, some(F32, "g", SHAPE(7))), NULL,
                1e-5);
    assert_null(y->op);
    assert_null(y->saved);
    arena_close(&step);
}

/* ---- threads: sizes above every slicing limit */

static Var *layer(Tape *t, Var *const *in, void *ctx)
{
    int mark = tape_enter(t);
    (void)ctx;
    Var *h = op_linear(t, in[0], in[1], OUT_IN, in[2], ACT_GELU);
    Var *z = op_norm(t, op_dropout(t, h, 0.1, 5), in[0], in[3], in[2], 1e-5);
    z = op_add(t, op_act(t, ACT_SILU, z), 0.5, op_mul(t, h, z));
    return tape_leave(t, mark, op_scale(t, op_scale_cols(t, z, in[3]), 0.25));
}

static void same_bytes_for_any_threads(void **state)
{
    (void)state;
    Tensor in[] = {some(F32, "x", SHAPE(2, 600, 256)), some(F32, "w", SHAPE(256, 256)), some(F32, "b", SHAPE(256)),
                   positive(some(F32, "g", SHAPE(256)))};
    opcheck_threads("layer", layer, NULL, 4, in);
}

static Var *lowrank(Tape *t, Var *const *in, void *ctx)
{
    Layout layout = *(const Layout *)ctx;
    return op_lowrank(t, in[0], layout, in[1], in[2], 0.7, in[3]);
}

/* Against the same product of whole matrices, and through finite differences, with and without a gain. */
static void lowrank_gradients(void **state)
{
    (void)state;
    Arena a = arena_open(1 << 26);
    for (Layout l = OUT_IN; l <= IN_OUT; l++)
        for (int n = 3; n <= 4; n++) {
            Tensor in[] = {l == OUT_IN ? noise(&a, F64, 60, SHAPE(5, 4)) : noise(&a, F64, 60, SHAPE(4, 5)),
                           noise(&a, F64, 61, SHAPE(2, 4)), noise(&a, F64, 62, SHAPE(5, 2)),
                           noise(&a, F64, 63, SHAPE(5))};
            opcheck("lowrank", lowrank, &l, n, in);
            Tape *t = tape_open(&a, false);
            Var *v = op_lowrank(t, tape_leaf(t, in[0]), l, tape_leaf(t, in[1]), tape_leaf(t, in[2]), 0.7,
                                n == 4 ? tape_leaf(t, in[3]) : NULL);
            for (int64_t o = 0; o < 5; o++)
                for (int64_t i = 0; i < 4; i++) {
                    int64_t at = l == OUT_IN ? o * 4 + i : i * 5 + o;
                    double x = tensor_get(in[0], at);
                    for (int64_t r = 0; r < 2; r++)
                        x += 0.7 * tensor_get(in[2], o * 2 + r) * tensor_get(in[1], r * 4 + i);
                    if (n == 4) x *= tensor_get(in[3], o);
                    assert_true(fabs(tensor_get(v->val, at) - x) < 1e-14);
                }
        }
    arena_close(&a);
}

/* ---- orthonormal rows */

static Var *orthonormal(Tape *t, Var *const *in, void *ctx)
{
    (void)ctx;
    return op_orthonormal(t, in[0]);
}

/* Rows of length 1, at right angles to each other, with the span of the input's: a q' is lower triangular. */
static void orthonormal_gradients(void **state)
{
    (void)state;
    for (int64_t r = 1; r <= 5; r += 2) {
        Tensor in = some(F64, "a", SHAPE(r, 5)), q = opcheck_value(&run, orthonormal, NULL, 1, &in);
        for (int64_t i = 0; i < r; i++)
            for (int64_t j = 0; j < r; j++) {
                double qq = 0, aq = 0;
                for (int64_t k = 0; k < 5; k++) {
                    qq += tensor_get(q, i * 5 + k) * tensor_get(q, j * 5 + k);
                    aq += tensor_get(in, i * 5 + k) * tensor_get(q, j * 5 + k);
                }
                near(qq, i == j, 1e-14, "product of two rows");
                if (j > i) near(aq, 0, 1e-14, "a row outside of the span of those before it");
                if (j == i) assert_true(aq > 0);
            }
        opcheck("orthonormal", orthonormal, NULL, 1, &in);
    }
}

static const int32_t PUT[] = {3, 0, 3};

static Var *put_rows(Tape *t, Var *const *in, void *ctx)
{
    (void)ctx;
    return op_put_rows(t, in[0], in[1], PUT);
}

/* Of two rows for one place the last stands, and only it has a gradient. */
static void put_rows_gradients(void **state)
{
    (void)state;
    Arena a = arena_open(1 << 26);
    Tensor in[] = {noise(&a, F64, 64, SHAPE(5, 4)), noise(&a, F64, 65, SHAPE(3, 4))};
    opcheck("put_rows", put_rows, NULL, 2, in);
    Tape *t = tape_open(&a, false);
    Var *y = op_put_rows(t, tape_leaf(t, in[0]), tape_leaf(t, in[1]), PUT);
    for (int64_t i = 0; i < 20; i++) {
        int64_t row = i / 4 == 3 ? 2 : i / 4 == 0 ? 1 : -1;
        assert_true(tensor_get(y->val, i) == (row < 0 ? tensor_get(in[0], i) : tensor_get(in[1], row * 4 + i % 4)));
    }
    arena_close(&a);
}

SUITE(cmocka_unit_test(orthonormal_gradients), cmocka_unit_test(norm_ratio_gradients),
      cmocka_unit_test(lowrank_gradients), cmocka_unit_test(put_rows_gradients), cmocka_unit_test(linear_gradients),
      cmocka_unit_test(linear_part_gradients), cmocka_unit_test(linear_part_is_columns),
      cmocka_unit_test(linear_shapes), cmocka_unit_test(norm_gradients), cmocka_unit_test(act_gradients),
      cmocka_unit_test(add_gradients), cmocka_unit_test(product_gradients), cmocka_unit_test(dropout_gradients),
      cmocka_unit_test(embed_gradients), cmocka_unit_test(frozen_weights_cost_nothing),
      cmocka_unit_test(same_bytes_for_any_threads))

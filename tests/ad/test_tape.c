/* The tape: the values that it records, those it recycles and when, and that a checkpointed pass is the unbroken
 * one. */
#include "expect.h"

#include <string.h>

#include "ad/op.h"
#include "ad/tape.h"

enum { N = 4096 }; /* elements of a value: large beside the bookkeeping of a Var */
static const size_t VALUE = N * sizeof(double);

static Tensor filled(Arena *a, double x)
{
    Tensor t = tensor_new(a, F64, SHAPE(N));
    tensor_fill(t, x);
    return t;
}

/* A scalar to go back from: the sum of x (1,1,N), as its product with ones. */
static Var *sum_of(Tape *t, Var *x)
{
    Tensor ones = tensor_new(tape_arena(t), F64, SHAPE(1, N));
    tensor_fill(ones, 1);
    return op_linear(t, x, tape_leaf(t, ones), OUT_IN, NULL, ACT_NONE);
}

/* ---- values and gradients */

static void gradients_pass_and_add(void **state)
{
    (void)state;
    Arena step = arena_open(0);
    Tape *t = tape_open(&step, true);
    Tensor x = tensor_new(&step, F64, SHAPE(1, 1, N));
    tensor_fill(x, 3);
    Var *in = tape_input(t, x);
    Var *y = op_add(t, op_scale(t, in, 2), 1, op_mul(t, in, in)); /* two consumers: 2 x + x^2 */
    y = op_add(t, y, 0.5, y);                                     /* the same Var twice: 1.5 y */
    y = op_add(t, tape_leaf(t, x), 1, y);                         /* a constant beside it */
    Var *loss = sum_of(t, y);
    tape_backward(t, loss);
    EXPECT(fabs(tape_scalar(loss) - N * (1.5 * 15 + 3)) < 1e-8, "loss %g is still there", tape_scalar(loss));
    for (int64_t i = 0; i < N; i++) assert_true(tensor_get(in->grad, i) == 1.5 * (2 + 2 * 3));
    arena_close(&step);
}

static void parameters_gather_gradients(void **state)
{
    (void)state;
    Arena run = arena_open(0), step = arena_open(0);
    ParamSet *ps = params_open(&run, F64, 1);
    Param *w = param_add(ps, "w", (Init){INIT_NORMAL, 1}, SHAPE(1, 1, N));
    Param *f = param_add(ps, "frozen", (Init){INIT_NORMAL, 1}, SHAPE(1, 1, N));
    params_train(ps, "w", true);
    params_zero_grad(ps);
    for (int pass = 1; pass <= 2; pass++) { /* two tapes before one update: gradients accumulate */
        ArenaMark mark = arena_mark(&step);
        Tape *t = tape_open(&step, true);
        assert_null(tape_param(t, NULL));
        Var *frozen = tape_param(t, f);
        assert_false(frozen->needs);
        tape_backward(t, sum_of(t, op_mul(t, tape_param(t, w), frozen)));
        for (int64_t i = 0; i < N; i++) assert_true(tensor_get(w->grad, i) == pass * tensor_get(f->val, i));
        assert_null(f->grad.data);
        arena_drop(&step, mark);
    }
    arena_close(&step);
    arena_close(&run);
}

/* Without lasting gradients they stand in the step's memory, shared by all Vars of a parameter. */
static void gradients_of_a_step_go_with_it(void **state)
{
    (void)state;
    Arena run = arena_open(0), step = arena_open(0);
    ParamSet *ps = params_open(&run, F64, 1);
    Param *w = param_add(ps, "w", (Init){INIT_NORMAL, 1}, SHAPE(1, 1, N));
    params_train(ps, "w", true);
    size_t before = arena_peak(&run);
    for (int pass = 0; pass < 2; pass++) {
        ArenaMark mark = arena_mark(&step);
        Tape *t = tape_open(&step, true);
        assert_null(w->grad.data);
        Var *square = op_mul(t, tape_param(t, w), tape_param(t, w)); /* two Vars of one parameter */
        tape_backward(t, sum_of(t, op_add(t, square, 1, tape_param(t, w))));
        for (int64_t i = 0; i < N; i++) {
            double x = tensor_get(w->val, i);
            assert_true(fabs(tensor_get(w->grad, i) - (2 * x + 1)) < 1e-12);
        }
        params_drop_grad(ps);
        arena_drop(&step, mark);
    }
    assert_int_equal(arena_peak(&run), before);
    arena_close(&step);
    arena_close(&run);
}

/* Zeros, ones, and draws of the given size, the same in every set of this seed that has the name. */
static void parameters_start_as_asked(void **state)
{
    (void)state;
    Arena run = arena_open(0);
    ParamSet *ps = params_open(&run, F64, 1), *other = params_open(&run, F64, 1);
    static const Init INIT[] = {{INIT_ZERO, 7}, {INIT_ONE, 7}, {INIT_NORMAL, 7}, {INIT_UNIFORM, 7}};
    static const char *const NAME[] = {"zero", "one", "normal", "uniform"};
    static const double MEAN[] = {0, 1, 0, 0}, SQUARE[] = {0, 1, 49, 49.0 / 3}, MOST[] = {0, 1, 7 * 6, 7};
    for (int i = 4; i-- > 0;) param_add(other, NAME[i], INIT[i], SHAPE(N));
    for (int i = 0; i < 4; i++) {
        Tensor w = param_add(ps, NAME[i], INIT[i], SHAPE(N))->val;
        double sum = 0, squares = 0, most = 0;
        for (int64_t j = 0; j < N; j++) {
            double x = tensor_get(w, j);
            sum += x, squares += x * x, most = fmax(most, fabs(x));
        }
        near(sum / N, MEAN[i], i < 2 ? 0 : 0.5, NAME[i]);
        near(squares / N, SQUARE[i], i < 2 ? 0 : 0.1 * SQUARE[i], NAME[i]);
        EXPECT(most <= MOST[i] && most >= 0.99 * fmin(MOST[i], 7), "%s: up to %g", NAME[i], most);
        assert_memory_equal(w.data, param_find(other, NAME[i])->val.data, VALUE);
    }
    arena_close(&run);
}

static void nothing_is_recorded_without_need(void **state)
{
    (void)state;
    Arena step = arena_open(0);
    Tensor x = tensor_new(&step, F64, SHAPE(1, 1, N));
    tensor_fill(x, 1);
    for (int record = 0; record < 2; record++) {
        Tape *t = tape_open(&step, record);
        assert_true(tape_records(t) == record && !tape_replays(t));
        Var *in = record ? tape_leaf(t, x) : tape_input(t, x); /* nobody wants a gradient; nobody records */
        Var *y = op_mul(t, in, in), *loss = sum_of(t, y);
        assert_true(!in->needs && !y->needs && !y->op && !y->keep && !in->keep && !loss->op);
        tape_backward(t, loss);
        assert_null(in->grad.data);
        assert_null(loss->grad.data);
    }
    arena_close(&step);
}

/* ---- recycling */

typedef Var *LayerFn(Tape *, Var *);

static Var *scaled(Tape *t, Var *x) /* the backward reads no value */
{
    int mark = tape_enter(t);
    Var *h = op_scale(t, x, 1.01);
    h = op_add(t, h, -0.5, op_scale(t, h, 0.1));
    return tape_leave(t, mark, h);
}

static Var *squared(Tape *t, Var *x) /* the backward reads one value, its input */
{
    int mark = tape_enter(t);
    Var *h = op_scale(t, x, 0.5);
    return tape_leave(t, mark, op_mul(t, h, h));
}

enum { STACKS = 10, DEEP = 10 }; /* scopes within scopes: a scope holds the results of the scopes in it */

/* Peak of a pass, in values: STACKS scopes of DEEP layers each. */
static double peak_of(LayerFn *layer, bool record, bool back)
{
    Arena step = arena_open(0);
    Tensor x = filled(&step, 1);
    size_t before = arena_peak(&step);
    Tape *t = tape_open(&step, record);
    int outer = tape_enter(t);
    Var *h = tape_input(t, tensor_reshape(x, SHAPE(1, 1, N)));
    for (int s = 0; s < STACKS; s++) {
        int mark = tape_enter(t);
        for (int l = 0; l < DEEP; l++) h = layer(t, h);
        h = tape_leave(t, mark, h);
    }
    Var *loss = tape_leave(t, outer, sum_of(t, h));
    if (back) tape_backward(t, loss);
    double values = (double)(arena_peak(&step) - before) / (double)VALUE;
    arena_close(&step);
    return values;
}

static void scopes_recycle(void **state)
{
    (void)state;
    const double layers = STACKS * DEEP, held = STACKS + DEEP, slack = 6; /* slack: a layer's own, and bookkeeping */
    const double small = layers * 4 * 2 * 400.0 / (double)VALUE;          /* Vars and values that ops save */
    double plain = peak_of(squared, false, false), free = peak_of(scaled, true, false);
    EXPECT(plain < held + slack + small, "unrecorded: %g values at once", plain);
    EXPECT(free < held + slack + small, "recorded, nothing kept: %g values at once", free);
    double back = peak_of(scaled, true, true);
    EXPECT(back < held + slack + small, "with the backward: %g values at once", back);
    double kept = peak_of(squared, true, false), both = peak_of(squared, true, true);
    EXPECT(kept > layers && kept < layers + held + slack + small, "one value kept a layer: %g values", kept);
    EXPECT(both < kept + 4, "gradients live in memory that the backward frees: %g values, %g before", both, kept);
}

/* A kept value outlives its scope and is read correctly although buffers are reused around it. */
static void kept_values_survive(void **state)
{
    (void)state;
    Arena step = arena_open(0);
    Tape *t = tape_open(&step, true);
    Var *in = tape_input(t, tensor_reshape(filled(&step, 1), SHAPE(1, 1, N))), *h = in;
    int mark = tape_enter(t);
    for (int l = 0; l < 3; l++) h = squared(t, h); /* h -> h^2 / 4: 2^-2, 2^-6, 2^-14 */
    for (int l = 0; l < 5; l++) scaled(t, h);      /* overwrites free buffers */
    Var *loss = tape_leave(t, mark, sum_of(t, h));
    EXPECT(tape_scalar(loss) == N * 0x1p-14, "loss %g", tape_scalar(loss));
    tape_backward(t, loss);
    for (int64_t i = 0; i < N; i++) /* d (x^8 2^-14) / dx at 1 */
        assert_true(tensor_get(in->grad, i) == 8 * 0x1p-14);
    arena_close(&step);
}

/* A view has the value of another Var, whose buffer stays where it is when the view's scope ends; the gradients of
 * both add up. */
static void a_view_owns_nothing(void **state)
{
    (void)state;
    Arena step = arena_open(0);
    for (int record = 0; record < 2; record++) {
        Tape *t = tape_open(&step, record);
        Var *in = tape_input(t, tensor_reshape(filled(&step, 1), SHAPE(1, 1, N)));
        int outer = tape_enter(t);
        Var *x = op_scale(t, in, 2);
        int mark = tape_enter(t);
        Var *view = tape_view(t, x);
        assert_true((view == x) == !record);
        Var *h = tape_leave(t, mark, op_scale(t, view, 3));
        for (int l = 0; l < 5; l++) scaled(t, h); /* overwrites free buffers */
        for (int64_t i = 0; i < N; i++) assert_true(tensor_get(x->val, i) == 2);
        Var *loss = tape_leave(t, outer, sum_of(t, op_add(t, h, 1, x)));
        EXPECT(tape_scalar(loss) == N * 8, "loss %g", tape_scalar(loss));
        tape_backward(t, loss);
        for (int64_t i = 0; record && i < N; i++) assert_true(tensor_get(in->grad, i) == 8);
    }
    arena_close(&step);
}

/* Layers of norm, linear layer with a slope, and square, each in a scope or in none: the peak in values. */
static double deep_pass(Arena *run, bool scoped, Tensor grad[4])
{
    enum { C = 64, DEPTH = 10 };
    Arena step = arena_open(0);
    ParamSet *ps = params_open(run, F32, 5);
    Param *w[3] = {param_add(ps, "gain", (Init){INIT_NORMAL, 1}, SHAPE(C)),
                   param_add(ps, "bias", (Init){INIT_NORMAL, 1}, SHAPE(C)),
                   param_add(ps, "map", (Init){INIT_NORMAL, 0.1}, SHAPE(C, C))};
    params_train(ps, "*", true);
    static const int32_t target[N / C] = {1, 5, 9};
    size_t before = arena_peak(&step);
    Tape *t = tape_open(&step, true);
    Var *in = tape_input(t, noise(&step, F32, 3, SHAPE(1, N / C, C))), *h = in;
    for (int l = 0; l < DEPTH; l++) {
        int mark = scoped ? tape_enter(t) : 0;
        h = op_norm(t, h, NULL, tape_param(t, w[0]), tape_param(t, w[1]), 1e-5);
        h = op_linear(t, h, tape_param(t, w[2]), OUT_IN, NULL, ACT_GELU);
        h = op_mul(t, h, h);
        if (scoped) h = tape_leave(t, mark, h);
    }
    tape_backward(t, op_xent(t, h, target));
    for (int i = 0; i < 4; i++) grad[i] = tensor_copy(run, i ? w[i - 1]->grad : in->grad);
    double values = (double)(arena_peak(&step) - before) / (double)(N * sizeof(float));
    arena_close(&step);
    return values;
}

/* Values that a scope frees because their op can recompute them: half of such a layer's, and the same bytes. */
static void rebuilt_values_are_the_same(void **state)
{
    (void)state;
    Arena run = arena_open(0);
    Tensor held[4], rebuilt[4];
    double all = deep_pass(&run, false, held), some = deep_pass(&run, true, rebuilt);
    EXPECT(some < 0.7 * all, "%g values without a scope, %g with a scope for each layer", all, some);
    for (int i = 0; i < 4; i++)
        EXPECT(!memcmp(held[i].data, rebuilt[i].data, tensor_bytes(held[i])), "gradient %d differs", i);
    arena_close(&run);
}

/* A chain of additions hands one gradient buffer down instead of copying it. */
static void passing_a_gradient_costs_no_memory(void **state)
{
    (void)state;
    Arena step = arena_open(0);
    Tensor x = filled(&step, 1), y = filled(&step, 2);
    Tape *t = tape_open(&step, true);
    Var *in = tape_input(t, tensor_reshape(x, SHAPE(1, 1, N)));
    Var *h = in, *constant = tape_leaf(t, tensor_reshape(y, SHAPE(1, 1, N)));
    for (int l = 0; l < 20; l++) h = op_add(t, h, 1, constant);
    Var *loss = sum_of(t, h);
    size_t before = arena_peak(&step);
    tape_backward(t, loss);
    EXPECT(arena_peak(&step) - before < 2 * VALUE, "the backward took %zu bytes", arena_peak(&step) - before);
    assert_true(tensor_get(in->grad, N - 1) == 1);
    arena_close(&step);
}

/* ---- checkpoints */

enum { B = 2, T = 5, C = 8, LAYERS = 3 };
typedef struct {
    Param *w[LAYERS], *gain[LAYERS];
    int layer[LAYERS]; /* index of each layer: &layer[l] is its segment's context */
    int runs, replays;
} Net;

static Net net;

/* A layer with everything that could go wrong: parameters, two uses of its input, dropout in two places. */
static Var *layer(Tape *t, Var *const in[MAX_IN], void *ctx)
{
    int l = *(int *)ctx, mark = tape_enter(t);
    uint64_t stream = rng_mix(rng_stream(7, "layer"), (uint64_t)l);
    net.runs++;
    net.replays += tape_replays(t);
    Var *x = in[0], *h = op_linear(t, x, tape_param(t, net.w[l]), OUT_IN, NULL, ACT_GELU);
    Attn a = {.heads = 2, .head_dim = C / 2, .scale = 0.5, .causal = true, .dropout = 0.2, .stream = stream};
    h = op_attend(t, h, h, in[1] ? op_mul(t, h, in[1]) : h, NULL, a);
    h = op_dropout(t, h, 0.1, stream + 1);
    return tape_leave(t, mark, op_norm(t, x, h, tape_param(t, net.gain[l]), NULL, 1e-6));
}

static Var *in_one_segment(Tape *t, Var *const in[MAX_IN], void *ctx)
{
    (void)ctx;
    Var *x[MAX_IN] = {in[0], in[1]};
    for (int l = 0; l < LAYERS; l++) x[0] = tape_checkpoint(t, layer, &net.layer[l], x[0], x[1], NULL, NULL);
    return x[0];
}

typedef struct {
    double loss;
    Tensor dx, dgate, dw[LAYERS], dgain[LAYERS];
    size_t peak;
} Pass;

/* broken: 0 unbroken, 1 each layer a segment, 2 segments within one segment */
static Pass pass(Arena *step, ParamSet *ps, DType dtype, int broken, bool gated)
{
    params_zero_grad(ps);
    net.runs = net.replays = 0;
    Tape *t = tape_open(step, true);
    Var *x = tape_input(t, noise(step, dtype, 1, SHAPE(B, T, C))), *h[MAX_IN] = {x};
    Var *gate = h[1] = gated ? tape_input(t, noise(step, dtype, 2, SHAPE(B, T, C))) : NULL;
    if (broken == 2) h[0] = tape_checkpoint(t, in_one_segment, NULL, h[0], h[1], NULL, NULL);
    for (int l = 0; l < LAYERS && broken < 2; l++) {
        if (broken)
            h[0] = tape_checkpoint(t, layer, &net.layer[l], h[0], h[1], NULL, NULL);
        else
            h[0] = layer(t, h, &net.layer[l]);
        h[1] = NULL;
    }
    static const int32_t target[B * T] = {0, 1, 2, 3, 4, 5, 6, 7, 0, 1};
    Var *loss = op_xent(t, h[0], target);
    tape_backward(t, loss);
    Pass p = {.loss = tape_scalar(loss), .dx = x->grad, .peak = arena_peak(step)};
    if (gated) p.dgate = gate->grad;
    for (int l = 0; l < LAYERS; l++) {
        p.dw[l] = tensor_copy(step, net.w[l]->grad);
        p.dgain[l] = tensor_copy(step, net.gain[l]->grad);
    }
    return p;
}

static void same_bytes(Tensor a, Tensor b, const char *what)
{
    EXPECT(tensor_same_shape(a, b) && !memcmp(a.data, b.data, tensor_bytes(a)), "%s differ", what);
}

static void checkpointed_is_unbroken(DType dtype, int broken)
{
    Arena run = arena_open(0), step = arena_open(0);
    ParamSet *ps = params_open(&run, dtype, 3);
    for (int l = 0; l < LAYERS; l++) {
        char name[2][16];
        snprintf(name[0], sizeof name[0], "w%d", l);
        snprintf(name[1], sizeof name[1], "gain%d", l);
        net.w[l] = param_add(ps, name[0], (Init){INIT_NORMAL, 0.5}, SHAPE(C, C));
        net.gain[l] = param_add(ps, name[1], (Init){INIT_ONE, 0}, SHAPE(C));
        net.layer[l] = l;
    }
    params_train(ps, "*", true);
    bool gated = broken != 2;
    Pass p = pass(&step, ps, dtype, 0, gated);
    assert_int_equal(net.runs, LAYERS);
    Pass q = pass(&step, ps, dtype, broken, gated);
    assert_int_equal(net.replays, broken == 2 ? 2 * LAYERS : LAYERS); /* nested: once shown, once recorded */
    assert_true(p.loss == q.loss);
    same_bytes(p.dx, q.dx, "input gradients");
    if (gated) same_bytes(p.dgate, q.dgate, "gate gradients");
    for (int l = 0; l < LAYERS; l++) {
        same_bytes(p.dw[l], q.dw[l], "weight gradients");
        same_bytes(p.dgain[l], q.dgain[l], "gain gradients");
    }
    double size = 0;
    for (int64_t i = 0; i < tensor_count(p.dw[0]); i++) size += fabs(tensor_get(p.dw[0], i));
    EXPECT(size > 0.01, "the gradients compared are %g in all", size);
    arena_close(&step);
    arena_close(&run);
}

static void checkpoints_change_nothing(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) checkpointed_is_unbroken(i & 1 ? F32 : F64, 1 + i / 2);
}

static Var *deep(Tape *t, Var *const in[MAX_IN], void *ctx)
{
    (void)ctx;
    Var *h = in[0];
    for (int l = 0; l < 10; l++) h = squared(t, h);
    return h;
}

static void checkpoints_save_memory(void **state)
{
    (void)state;
    size_t peak[2];
    for (int broken = 0; broken < 2; broken++) {
        Arena step = arena_open(0);
        Tape *t = tape_open(&step, true);
        Var *h[MAX_IN] = {tape_input(t, tensor_reshape(filled(&step, 1), SHAPE(1, 1, N)))};
        int mark = tape_enter(t);
        for (int s = 0; s < 10; s++)
            h[0] = broken ? tape_checkpoint(t, deep, NULL, h[0], NULL, NULL, NULL) : deep(t, h, NULL);
        tape_backward(t, tape_leave(t, mark, sum_of(t, h[0])));
        peak[broken] = arena_peak(&step);
        arena_close(&step);
    }
    EXPECT(peak[0] > 100 * VALUE && peak[1] < 40 * VALUE, "peaks %zu and %zu", peak[0], peak[1]);
}

static Var *same(Tape *t, Var *const in[MAX_IN], void *ctx)
{
    (void)t;
    (void)ctx;
    return in[0];
}

static void a_segment_may_return_its_input(void **state)
{
    (void)state;
    Arena step = arena_open(0);
    Tape *t = tape_open(&step, true);
    Var *in = tape_input(t, tensor_reshape(filled(&step, 2), SHAPE(1, 1, N))), *h = op_softmax(t, in);
    assert_ptr_equal(tape_checkpoint(t, same, NULL, h, NULL, NULL, NULL), h);
    arena_close(&step);
}

static void checkpoints_without_record(void **state)
{
    (void)state;
    Arena step = arena_open(0);
    Tape *t = tape_open(&step, false);
    Var *in = tape_input(t, tensor_reshape(filled(&step, 1), SHAPE(1, 1, N)));
    Var *y = tape_checkpoint(t, deep, NULL, in, NULL, NULL, NULL);
    assert_true(!y->op && !y->needs && !in->keep);
    arena_close(&step);
}

SUITE(cmocka_unit_test(gradients_pass_and_add), cmocka_unit_test(parameters_gather_gradients),
      cmocka_unit_test(gradients_of_a_step_go_with_it), cmocka_unit_test(nothing_is_recorded_without_need),
      cmocka_unit_test(parameters_start_as_asked), cmocka_unit_test(a_view_owns_nothing),
      cmocka_unit_test(scopes_recycle), cmocka_unit_test(kept_values_survive),
      cmocka_unit_test(rebuilt_values_are_the_same), cmocka_unit_test(passing_a_gradient_costs_no_memory),
      cmocka_unit_test(checkpoints_change_nothing), cmocka_unit_test(checkpoints_save_memory),
      cmocka_unit_test(a_segment_may_return_its_input), cmocka_unit_test(checkpoints_without_record))

/* The gradient check is itself checked: right gradients pass, and each way of being wrong is seen. */
#include "expect.h"

#include "ad/gradcheck.h"
#include "ad/op.h"
#include "base/str.h"

/* y = s x whose backward forgets s, or drops the gradient, or poisons it. */
typedef enum { RIGHT, FORGETS, DROPS, POISONS } Fault;
static Fault fault;

static void faulty_backward(Tape *t, Var *out)
{
    Tensor g = tape_grad(t, out->in[0], NULL);
    double s = fault == RIGHT ? 1.5 : fault == FORGETS ? 1 : fault == DROPS ? 0 : (double)NAN;
    for (int64_t i = 0; i < tensor_count(g); i++) tensor_set(g, i, tensor_get(g, i) + s * tensor_get(out->grad, i));
}

static const Op FAULTY = {"faulty", faulty_backward};

static Var *faulty(Tape *t, Var *x)
{
    Tensor y = tape_alloc(t, x->val.dtype, x->val.rank, x->val.dim);
    for (int64_t i = 0; i < tensor_count(y); i++) tensor_set(y, i, 1.5 * tensor_get(x->val, i));
    return tape_push(t, &FAULTY, y, x, NULL, NULL, NULL, 0);
}

typedef struct {
    ParamSet *set;
    Tensor x;
    const int32_t *target;
} Net;

/* A small network in which the faulty op touches only the second bias, whose gradient is a thousandth of the rest. */
static Var *net_loss(Tape *t, void *ctx)
{
    const Net *n = ctx;
    Var *h = op_linear(t, tape_leaf(t, n->x), tape_param(t, param_find(n->set, "w")), OUT_IN,
                       tape_param(t, param_find(n->set, "b")), ACT_TANH);
    Var *c = op_scale(t, faulty(t, tape_param(t, param_find(n->set, "c"))), 1e-3);
    Var *y = op_linear(t, h, tape_param(t, param_find(n->set, "v")), OUT_IN, c, ACT_NONE);
    return op_linear(t, op_mul(t, y, y), tape_leaf(t, n->x), OUT_IN, NULL, ACT_NONE);
}

static GradCheck check_with(Fault f, bool train_w)
{
    Arena run = arena_open((size_t)1 << 26), step = arena_open((size_t)1 << 26);
    Net n = {.set = params_open(&run, F64, 4)};
    param_add(n.set, "w", (Init){INIT_NORMAL, 1}, SHAPE(5, 3));
    param_add(n.set, "b", (Init){INIT_NORMAL, 1}, SHAPE(5));
    param_add(n.set, "v", (Init){INIT_NORMAL, 1}, SHAPE(3, 5));
    param_add(n.set, "c", (Init){INIT_NORMAL, 1}, SHAPE(3));
    params_train(n.set, train_w ? "*" : "c", true);
    n.x = noise(&run, F64, 11, SHAPE(1, 3));
    Tensor before = tensor_copy(&run, param_find(n.set, "w")->val);
    fault = f;
    GradCheck g = gradcheck_run(n.set, &step, net_loss, &n, 3, 1);
    EXPECT_NEAR(param_find(n.set, "w")->val, before, 0); /* values are restored to the bit */
    assert_int_equal(step.top - step.base, 0);
    g.at = g.at && g.at[0] == 'c' ? "c" : "";
    arena_close(&run);
    arena_close(&step);
    return g;
}

static void right_gradients_pass(void **state)
{
    (void)state;
    GradCheck g = check_with(RIGHT, true);
    EXPECT(g.worst < 1e-8 && g.worst_each < 1e-6, "%g %g", g.worst, g.worst_each);
    assert_int_equal(g.numbers, 15 + 5 + 15 + 3);
    assert_true(g.norm > 0);
}

static void small_faults_are_found(void **state)
{
    (void)state;
    for (Fault f = FORGETS; f <= DROPS; f++) {
        GradCheck g = check_with(f, true);
        EXPECT(g.worst_each > 0.1, "%g", g.worst_each);
        EXPECT(g.worst < 0.1 * g.worst_each, "hidden in all of them: %g against %g", g.worst, g.worst_each);
        assert_string_equal(g.at, "c");
    }
}

static void nan_is_the_worst(void **state)
{
    (void)state;
    GradCheck g = check_with(POISONS, true);
    assert_true(isnan(g.worst) && isnan(g.worst_each));
    assert_string_equal(g.at, "c");
}

static void only_trainable_parameters_count(void **state)
{
    (void)state;
    GradCheck g = check_with(RIGHT, false);
    assert_int_equal(g.numbers, 3);
    EXPECT(g.worst < 1e-6 && g.worst_each < 1e-6, "%g %g", g.worst, g.worst_each);
}

/* The loss is the sum of one parameter's eight elements, whose neighbour in memory is no business of the check. */
static Var *sum_loss(Tape *t, void *ctx)
{
    Tensor ones = tensor_new(tape_arena(t), F64, SHAPE(1, 8));
    tensor_fill(ones, 1);
    return op_linear(t, tape_param(t, param_find(ctx, "w")), tape_leaf(t, ones), OUT_IN, NULL, ACT_NONE);
}

static void nothing_beside_a_parameter_is_touched(void **state)
{
    (void)state;
    Arena run = arena_open((size_t)1 << 26), step = arena_open((size_t)1 << 26);
    ParamSet *set = params_open(&run, F64, 4);
    Param *w = param_add(set, "w", (Init){INIT_NORMAL, 1}, SHAPE(1, 8));
    Tensor guard = tensor_new(&run, F64, SHAPE(8));
    params_train(set, "w", true);
    params_zero_grad(set); /* now the gradient has a neighbour too */
    tensor_fill(tensor_new(&run, F64, SHAPE(8)), 7);
    tensor_fill(guard, 7);
    GradCheck g = gradcheck_run(set, &step, sum_loss, set, 3, 1);
    EXPECT(g.worst < 1e-8 && g.numbers == 8, "%g", g.worst);
    near(g.norm, sqrt(8), 1e-12, "length of the gradient of a sum");
    near(tensor_get(guard, 0), 7, 0,
         str_print(&run, "the number %lld bytes behind the first",
                   (long long)((char *)guard.data - (char *)w->val.data)));
    arena_close(&run);
    arena_close(&step);
}

SUITE(cmocka_unit_test(nothing_beside_a_parameter_is_touched), cmocka_unit_test(right_gradients_pass),
      cmocka_unit_test(small_faults_are_found), cmocka_unit_test(nan_is_the_worst),
      cmocka_unit_test(only_trainable_parameters_count))

/* The shared code of theory experiments: descent on free parameters, and small dense matrices. */
#include "expect.h"

#include "base/rng.h"
#include "num/linalg.h"
#include "theory/dense.h"
#include "theory/fit.h"

static Arena run;

typedef struct {
    Param *x;
    Tensor target;
    int64_t steps, bad; /* the loss becomes NaN from step `bad` on */
    double scale;       /* of the loss; 0: 1 */
} Bowl;

static Var *bowl(Tape *t, int64_t step, void *user)
{
    Bowl *b = user;
    b->steps = step + 1;
    double scale = b->bad && step >= b->bad ? (double)NAN : b->scale > 0 ? b->scale : 1;
    return op_scale(t, op_mse(t, tape_param(t, b->x), b->target), scale);
}

static Bowl new_bowl(ParamSet *ps)
{
    Bowl b = {.x = fit_param(ps, "x", (Init){INIT_NORMAL, 1}, SHAPE(3, 4))};
    b.target = noise(&run, F64, rng_stream(1, "target"), SHAPE(3, 4));
    return b;
}

static void reaches_the_bottom(void **state)
{
    (void)state;
    run = arena_open(0);
    ParamSet *ps = params_open(&run, F64, 1);
    Bowl b = new_bowl(ps);
    double best;
    assert_int_equal(fit_descend(&best, ps, bowl, &b, (Fit){.lr = 0.05, .steps = 2000}), OK);
    assert_int_equal(b.steps, 2000);
    EXPECT(best < 1e-12, "loss %g", best);
    EXPECT_NEAR(b.x->val, b.target, 1e-6);
    EXPECT(!b.x->grad.data, "a gradient outlives its step");
}

/* Frozen parameters stay, and take part in the loss. */
static void leaves_frozen_alone(void **state)
{
    (void)state;
    ParamSet *ps = params_open(&run, F64, 2);
    Bowl b = new_bowl(ps);
    Param *other = fit_param(ps, "other", (Init){INIT_NORMAL, 1}, SHAPE(2, 2));
    Tensor before = tensor_copy(&run, b.x->val), unused = tensor_copy(&run, other->val);
    b.x->trainable = false;
    double best;
    assert_int_equal(fit_descend(&best, ps, bowl, &b, (Fit){.lr = 0.05, .steps = 5}), OK);
    EXPECT_NEAR(b.x->val, before, 0);
    EXPECT_NEAR(other->val, unused, 0); /* the loss does not depend on it */
}

static void ends_at_what_is_not_finite(void **state)
{
    (void)state;
    ParamSet *ps = params_open(&run, F64, 3);
    Bowl b = new_bowl(ps);
    b.bad = 7;
    double best;
    assert_int_equal(fit_descend(&best, ps, bowl, &b, (Fit){.lr = 0.05, .steps = 100}), OK);
    assert_int_equal(b.steps, 8);
    EXPECT(isfinite(best), "best %g", best);
    for (int64_t i = 0; i < 12; i++) EXPECT(isfinite(tensor_get(b.x->val, i)), "entry %d", (int)i);
    ParamSet *again = params_open(&run, F64, 3);
    b = new_bowl(again);
    tensor_set(b.x->val, 0, (double)INFINITY);
    assert_int_equal(fit_descend(&best, again, bowl, &b, (Fit){.lr = 0.05, .steps = 100}), OK);
    assert_true(isnan(best));
}

/* A loss of 1e200 is a number; the square of its gradient's norm is not. */
static void ends_at_a_gradient_out_of_range(void **state)
{
    (void)state;
    ParamSet *ps = params_open(&run, F64, 5);
    Bowl b = new_bowl(ps);
    b.scale = 1e200;
    Tensor before = tensor_copy(&run, b.x->val);
    double best;
    assert_int_equal(fit_descend(&best, ps, bowl, &b, (Fit){.lr = 0.05, .steps = 100}), OK);
    assert_int_equal(b.steps, 1);
    EXPECT(isfinite(best) && best > 1e190, "best %g", best);
    EXPECT_NEAR(b.x->val, before, 0);
}

/* The first step of AdamW moves every entry by the rate, towards the target, whatever the gradient's size. */
static void first_step_is_the_rate(void **state)
{
    (void)state;
    ParamSet *ps = params_open(&run, F64, 4);
    Bowl b = new_bowl(ps);
    Tensor before = tensor_copy(&run, b.x->val);
    double best;
    assert_int_equal(fit_descend(&best, ps, bowl, &b, (Fit){.lr = 0.125, .steps = 1}), OK);
    for (int64_t i = 0; i < 12; i++) {
        double moved = tensor_get(b.x->val, i) - tensor_get(before, i),
               wanted = tensor_get(b.target, i) - tensor_get(before, i);
        EXPECT(fabs(fabs(moved) - 0.125) < 1e-4 && moved * wanted > 0, "entry %d moved by %g", (int)i, moved);
    }
}

/* Under a gradient that hardly changes Adam moves by the rate itself, so the way is the sum of the rates.  Along a
 * cosine from lr to 0 that is lr times half the steps in all, and 1/8 + sin(pi/4) / (2 pi) of lr times the steps at a
 * quarter of them, where a straight line would have come to 7/32 and a constant rate to 1/4. */
typedef struct {
    Bowl bowl;
    int64_t at;
    double there;
} Walk;

static Var *walk(Tape *t, int64_t step, void *user)
{
    Walk *w = user;
    if (step == w->at) w->there = tensor_get(w->bowl.x->val, 0);
    return bowl(t, step, &w->bowl);
}

static void the_rate_falls_along_a_cosine(void **state)
{
    (void)state;
    enum { STEPS = 400 };
    ParamSet *ps = params_open(&run, F64, 6);
    Walk w = {.bowl = new_bowl(ps), .at = STEPS / 4};
    tensor_fill(w.bowl.target, 1e6);
    double from = tensor_get(w.bowl.x->val, 0), best, lr = 0.01;
    assert_int_equal(fit_descend(&best, ps, walk, &w, (Fit){.lr = lr, .steps = STEPS}), OK);
    double way = lr * STEPS;
    near((tensor_get(w.bowl.x->val, 0) - from) / way, 0.5, 0.005, "the whole way");
    near((w.there - from) / way, 1. / 8 + sin(M_PI / 4) / (2 * M_PI), 0.005, "a quarter of the steps");
}

/* Singular values 1, 1e-4, 1e-8 and 1e-11: the last is below rounding error, the third is not. */
static void ranks_end_at_rounding(void **state)
{
    (void)state;
    double s[] = {1, 1e-4, 1e-8, 1e-11}, none[] = {0, 0};
    assert_int_equal(linalg_numerical_rank(tensor_over(s, F64, SHAPE(4))), 3);
    assert_int_equal(linalg_numerical_rank(tensor_over(none, F64, SHAPE(2))), 0);
    Tensor u = dense_normal(&run, 30, 3, 1, 21), v = dense_normal(&run, 3, 20, 1, 22), values;
    assert_int_equal(linalg_singular(&values, &run, dense_product(&run, u, v)), OK);
    assert_int_equal(linalg_numerical_rank(values), 3);
}

/* ---- dense */

static void products(void **state)
{
    (void)state;
    Tensor a = dense_normal(&run, 3, 5, 2, 7), b = dense_normal(&run, 5, 4, 1, 8), c = dense_product(&run, a, b);
    for (int64_t i = 0; i < 12; i++) {
        double sum = 0;
        for (int64_t k = 0; k < 5; k++) sum += tensor_get(a, i / 4 * 5 + k) * tensor_get(b, k * 4 + i % 4);
        EXPECT(fabs(sum - tensor_get(c, i)) < 1e-13, "entry %d", (int)i);
    }
    Tensor flipped = dense_product(&run, dense_transpose(&run, b), dense_transpose(&run, a));
    EXPECT_NEAR(dense_transpose(&run, flipped), c, 1e-13);
    EXPECT_NEAR(dense_product(&run, dense_identity(&run, 3), a), a, 0);
    Tensor twice = dense_sum(&run, a, -3, a);
    EXPECT(fabs(tensor_get(twice, 4) + 2 * tensor_get(a, 4)) < 1e-14, "a - 3 a is %g", tensor_get(twice, 4));
    EXPECT(fabs(dense_gap(twice, a) - 3 * dense_gap(a, tensor_zero(&run, F64, 2, a.dim))) < 1e-12, "gap");
}

static void solves(void **state)
{
    (void)state;
    Tensor a = dense_normal(&run, 6, 6, 1, 9), x = dense_normal(&run, 6, 2, 1, 10), found;
    assert_int_equal(dense_solve(&found, &run, a, dense_product(&run, a, x)), OK);
    EXPECT_NEAR(found, x, 1e-10);
    Tensor diagonal = tensor_zero(&run, F64, SHAPE(3, 3));
    for (int64_t i = 0; i < 3; i++) tensor_set(diagonal, 4 * i, i == 1 ? -5 : 2);
    double norm;
    assert_int_equal(dense_norm(&norm, &run, diagonal), OK);
    EXPECT(fabs(norm - 5) < 1e-14, "norm %g", norm);
}

SUITE(cmocka_unit_test(reaches_the_bottom), cmocka_unit_test(leaves_frozen_alone),
      cmocka_unit_test(ends_at_what_is_not_finite), cmocka_unit_test(ends_at_a_gradient_out_of_range),
      cmocka_unit_test(first_step_is_the_rate), cmocka_unit_test(the_rate_falls_along_a_cosine),
      cmocka_unit_test(ranks_end_at_rounding), cmocka_unit_test(products), cmocka_unit_test(solves))

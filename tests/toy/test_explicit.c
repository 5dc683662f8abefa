/* The transformer without a tape: its gradient against difference quotients, and the tape's against its gradient. */
#include "expect.h"

#include <string.h>

#include "base/str.h"
#include "nn/model.h"
#include "toy/explicit.h"

static const ExplicitShape SHAPE2 = {.vocab = 11, .positions = 7, .dim = 12, .heads = 3, .hidden = 20, .layers = 2};
static const int32_t IDS[2 * 6] = {3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8};
static const int32_t TARGET[2 * 6] = {1, 4, -1, 5, 9, 2, 6, -1, -1, 5, 8, 10};

static double *zeros(Arena *a, ExplicitShape s)
{
    return NEW(a, double, explicit_count(s));
}

static double *random_weights(Arena *a, ExplicitShape s)
{
    double *theta = zeros(a, s);
    for (int64_t i = 0; i < explicit_count(s); i++)
        theta[i] = 0.3 * rng_normal(rng_stream(5, "explicit"), (uint64_t)i);
    return theta;
}

static void parts_fill_theta(void **state)
{
    (void)state;
    Arena a = arena_open(1 << 24);
    double *theta = zeros(&a, SHAPE2);
    ExplicitWeights w = explicit_view(SHAPE2, theta);
    assert_ptr_equal(w.token, theta);
    assert_ptr_equal(w.head + SHAPE2.vocab * SHAPE2.dim, theta + explicit_count(SHAPE2));
    arena_close(&a);
}

/* (loss(theta + h e) - loss(theta - h e)) / 2h for one weight at a time, every weight of the model. */
static void gradient_is_the_slope(void **state)
{
    (void)state;
    Arena a = arena_open(1 << 26);
    const double h = 1e-5;
    double *theta = random_weights(&a, SHAPE2), *dtheta = zeros(&a, SHAPE2), *ignored = zeros(&a, SHAPE2);
    explicit_loss(SHAPE2, theta, dtheta, 2, 6, IDS, TARGET, &a);
    for (int64_t i = 0; i < explicit_count(SHAPE2); i++) {
        double at = theta[i], side[2];
        for (int k = 0; k < 2; k++) {
            theta[i] = at + (k ? h : -h);
            side[k] = explicit_loss(SHAPE2, theta, ignored, 2, 6, IDS, TARGET, &a);
        }
        theta[i] = at;
        double slope = (side[1] - side[0]) / (2 * h);
        EXPECT(fabs(slope - dtheta[i]) < 1e-8, "weight %lld: slope %.10g, gradient %.10g", (long long)i, slope,
               dtheta[i]);
    }
    arena_close(&a);
}

/* Descending along the gradient learns to repeat what it saw. */
static void descent_learns(void **state)
{
    (void)state;
    Arena a = arena_open(1 << 26);
    double *theta = random_weights(&a, SHAPE2), first = 0, loss = 0;
    for (int step = 0; step < 60; step++) {
        ArenaMark mark = arena_mark(&a);
        double *dtheta = zeros(&a, SHAPE2);
        loss = explicit_loss(SHAPE2, theta, dtheta, 2, 6, IDS, TARGET, &a);
        if (!step) first = loss;
        for (int64_t i = 0; i < explicit_count(SHAPE2); i++) theta[i] -= 0.3 * dtheta[i];
        arena_drop(&a, mark);
    }
    EXPECT(first > 1.5 && loss < 0.2, "loss from %g to %g", first, loss);
    arena_close(&a);
}

SUITE(cmocka_unit_test(parts_fill_theta), cmocka_unit_test(gradient_is_the_slope), cmocka_unit_test(descent_learns))

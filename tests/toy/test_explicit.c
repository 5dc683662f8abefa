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

/* Descending along the gradient learns to repeat its input. */
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

/* A weight of the model in src/nn and the same one here. */
typedef struct {
    const char *name;
    double *at;
} Pair;

static int pairs(Pair *p, Arena *a, ExplicitShape s, double *theta)
{
    ExplicitWeights w = explicit_view(s, theta);
    int n = 0;
    p[n++] = (Pair){"wte.weight", w.token};
    p[n++] = (Pair){"wpe.weight", w.position};
    p[n++] = (Pair){"ln_f.weight", w.gain};
    p[n++] = (Pair){"ln_f.bias", w.bias};
    p[n++] = (Pair){"lm_head.weight", w.head};
    for (int l = 0; l < s.layers; l++) {
        const ExplicitLayer *y = &w.layer[l];
        const Pair layer[] = {
            {"ln_1.weight", y->gain1},         {"ln_1.bias", y->bias1},        {"attn.c_attn.weight", y->qkv},
            {"attn.c_attn.bias", y->qkv_bias}, {"attn.c_proj.weight", y->out}, {"attn.c_proj.bias", y->out_bias},
            {"ln_2.weight", y->gain2},         {"ln_2.bias", y->bias2},        {"mlp.c_fc.weight", y->up},
            {"mlp.c_fc.bias", y->up_bias},     {"mlp.c_proj.weight", y->down}, {"mlp.c_proj.bias", y->down_bias}};
        for (int i = 0; i < 12; i++) p[n++] = (Pair){str_print(a, "h.%d.%s", l, layer[i].name), layer[i].at};
    }
    return n;
}

static Model *same_model(Arena *a, ExplicitShape s)
{
    Config c;
    arch_find("gpt2")->defaults(&c);
    c.vocab = s.vocab;
    c.positions = s.positions;
    c.dim = s.dim;
    c.heads = s.heads;
    c.hidden = s.hidden;
    c.layers = s.layers;
    c.tie_head = false;
    Model *m;
    assert_int_equal(model_open(&m, a, &c, F64, 1), OK);
    params_train(m->params, "*", true);
    return m;
}

/* The tape must find the loss and every gradient that the hand-written passes find. */
static void tape_agrees(void **state)
{
    (void)state;
    Arena run = arena_open(1 << 26), step = arena_open(1 << 26);
    for (int layers = 1; layers <= 2; layers++) {
        ExplicitShape s = SHAPE2;
        s.layers = layers;
        double *theta = random_weights(&run, s), *dtheta = zeros(&run, s);
        Model *m = same_model(&run, s);
        Pair weight[32], gradient[32];
        int n = pairs(weight, &run, s, theta);
        pairs(gradient, &run, s, dtheta);
        assert_int_equal(n, params_n(m->params));
        for (int i = 0; i < n; i++) {
            Param *p = param_find(m->params, weight[i].name);
            assert_non_null(p);
            memcpy(p->val.data, weight[i].at, tensor_bytes(p->val));
        }
        Pass pass = {.tape = tape_open(&step, true)};
        Var *loss = model_loss(m, &pass, &(Batch){.b = 2, .t = 6, .ids = IDS, .target = TARGET});
        double value = tape_scalar(loss);
        tape_backward(pass.tape, loss);
        double expected = explicit_loss(s, theta, dtheta, 2, 6, IDS, TARGET, &step);
        EXPECT(fabs(value - expected) < 1e-12, "loss %.17g, by hand %.17g", value, expected);
        for (int i = 0; i < n; i++) {
            Tensor g = param_find(m->params, gradient[i].name)->grad;
            EXPECT_NEAR(g, tensor_over(gradient[i].at, F64, g.rank, g.dim), 1e-12);
        }
    }
    arena_close(&run);
    arena_close(&step);
}

SUITE(cmocka_unit_test(parts_fill_theta), cmocka_unit_test(gradient_is_the_slope), cmocka_unit_test(descent_learns),
      cmocka_unit_test(tape_agrees))

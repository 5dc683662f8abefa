/* Optimisers against the formulas written out in doubles, groups, the norm of the gradient, and schedules. */
#include "expect.h"

#include <string.h>

#include "train/optim.h"

enum { STEPS = 25 };

/* A matrix that decays, a bias that does not, a frozen matrix, and a matrix for a group. */
static ParamSet *some_params(Arena *a, DType dtype)
{
    ParamSet *ps = params_open(a, dtype, 3);
    const Init init = {INIT_NORMAL, 0.5};
    param_add(ps, "body.w", init, SHAPE(5, 7));
    param_add(ps, "body.b", init, SHAPE(7));
    param_add(ps, "body.frozen", init, SHAPE(3, 3));
    param_add(ps, "head.w", init, SHAPE(7, 2));
    params_train(ps, "body.w|body.b|head.w", true);
    params_zero_grad(ps);
    return ps;
}

static void draw_gradients(ParamSet *ps, int step)
{
    for (int i = 0; i < params_n(ps); i++) {
        Param *p = params_at(ps, i);
        for (int64_t j = 0; p->trainable && j < tensor_count(p->grad); j++)
            tensor_set(p->grad, j, 2 * rng_normal(rng_stream((uint64_t)step, p->name), (uint64_t)j));
    }
}

/* The textbook loop over one parameter, with its own state. */
typedef struct {
    double w[35], m[35], v[35], lr_scale, decay;
} Hand;

static void hand_adamw(Hand *h, const Param *p, const TrainConfig *c, double lr, double clip, int t)
{
    for (int64_t j = 0; j < tensor_count(p->val); j++) {
        double g = clip * tensor_get(p->grad, j);
        h->m[j] = c->beta1 * h->m[j] + (1 - c->beta1) * g;
        h->v[j] = c->beta2 * h->v[j] + (1 - c->beta2) * g * g;
        double m = h->m[j] / (1 - pow(c->beta1, t)), v = h->v[j] / (1 - pow(c->beta2, t));
        h->w[j] -= lr * h->lr_scale * (m / (sqrt(v) + c->eps) + h->decay * h->w[j]);
    }
}

static void hand_sgd(Hand *h, const Param *p, const TrainConfig *c, double lr, double clip)
{
    for (int64_t j = 0; j < tensor_count(p->val); j++) {
        h->m[j] = c->momentum * h->m[j] + clip * tensor_get(p->grad, j) + h->decay * h->w[j];
        h->w[j] -= lr * h->lr_scale * h->m[j];
    }
}

static double hand_norm(const ParamSet *ps)
{
    double sum = 0;
    for (int i = 0; i < params_n(ps); i++) {
        const Param *p = params_at(ps, i);
        for (int64_t j = 0; p->trainable && j < tensor_count(p->grad); j++)
            sum += tensor_get(p->grad, j) * tensor_get(p->grad, j);
    }
    return sqrt(sum);
}

static void optimiser_against_hand(const TrainConfig *c, DType dtype, double tol)
{
    Arena a = arena_open(1 << 24);
    ParamSet *ps = some_params(&a, dtype);
    Slot *slots;
    int n;
    assert_int_equal(slots_new(&slots, &n, &a, ps, c), OK);
    assert_int_equal(n, 3);
    Hand hand[4] = {
        {.lr_scale = 1, .decay = c->decay}, {.lr_scale = 1}, {.lr_scale = 1}, {.lr_scale = 1, .decay = c->decay}};
    if (c->groups) {
        hand[3].lr_scale = c->groups[0].lr_scale;
        hand[3].decay = c->groups[0].decay;
    }
    for (int i = 0; i < 4; i++)
        for (int64_t j = 0; j < tensor_count(params_at(ps, i)->val); j++)
            hand[i].w[j] = tensor_get(params_at(ps, i)->val, j);
    for (int t = 1; t <= STEPS; t++) {
        draw_gradients(ps, t);
        double norm = slots_grad_norm(slots, n), clip = fmin(1, c->clip / (norm + 1e-6)), lr = c->lr / t;
        EXPECT(fabs(norm - hand_norm(ps)) < 1e-6 * norm, "norm %.9g, expected %.9g", norm, hand_norm(ps));
        for (int i = 0; i < 4; i++) {
            if (!params_at(ps, i)->trainable) continue;
            if (c->optim == OPTIM_ADAMW)
                hand_adamw(&hand[i], params_at(ps, i), c, lr, clip, t);
            else
                hand_sgd(&hand[i], params_at(ps, i), c, lr, clip);
        }
        slots_update(slots, n, c, lr, clip, t);
    }
    for (int i = 0; i < 4; i++) {
        Tensor w = params_at(ps, i)->val;
        EXPECT_NEAR(tensor_cast(&a, w, F64), tensor_over(hand[i].w, F64, w.rank, w.dim), tol);
    }
    arena_close(&a);
}

static const Group HEAD[] = {{"head.*", 0.1, 0.3}, {0}};

static void adamw(void **state)
{
    (void)state;
    TrainConfig c = {
        .optim = OPTIM_ADAMW, .lr = 0.1, .beta1 = 0.8, .beta2 = 0.99, .eps = 1e-6, .decay = 0.05, .clip = 7};
    optimiser_against_hand(&c, F64, 1e-12);
    optimiser_against_hand(&c, F32, 1e-5);
    c.groups = HEAD;
    optimiser_against_hand(&c, F64, 1e-12);
}

static void sgd(void **state)
{
    (void)state;
    TrainConfig c = {.optim = OPTIM_SGD, .lr = 0.1, .momentum = 0.7, .decay = 0.05, .clip = 7, .groups = HEAD};
    optimiser_against_hand(&c, F64, 1e-12);
    optimiser_against_hand(&c, F32, 1e-5);
    c.momentum = 0;
    optimiser_against_hand(&c, F64, 1e-12);
}

static void groups_must_take_something(void **state)
{
    (void)state;
    Arena a = arena_open(1 << 24);
    ParamSet *ps = some_params(&a, F64);
    /* The first matching group takes the parameter, so the second is left with nothing, like the frozen one. */
    const Group shadowed[] = {{"head.*", 1, -1}, {"head.w", 1, -1}, {0}}, frozen[] = {{"*.frozen", 1, -1}, {0}};
    TrainConfig c = train_defaults();
    Slot *slots;
    int n;
    c.groups = shadowed;
    assert_int_equal(slots_new(&slots, &n, &a, ps, &c), E_CONFIG);
    assert_string_equal(err_message(), "parameter group 'head.w' takes no trainable parameter");
    err_clear();
    c.groups = frozen;
    assert_int_equal(slots_new(&slots, &n, &a, ps, &c), E_CONFIG);
    err_clear();
    c.groups = NULL;
    params_train(ps, "*", false);
    assert_int_equal(slots_new(&slots, &n, &a, ps, &c), E_CONFIG);
    assert_string_equal(err_message(), "no parameter of the model is trainable");
    err_clear();
    arena_close(&a);
}

static void schedules(void **state)
{
    (void)state;
    const struct {
        Schedule kind;
        int64_t warmup, total, step;
        double share;
    } cases[] = {
        {SCHEDULE_CONSTANT, 0, 0, 0, 1},
        {SCHEDULE_CONSTANT, 4, 0, 1, 0.25},
        {SCHEDULE_CONSTANT, 4, 0, 400, 1},
        {SCHEDULE_LINEAR, 10, 110, 0, 0},
        {SCHEDULE_LINEAR, 10, 110, 5, 0.5},
        {SCHEDULE_LINEAR, 10, 110, 10, 1},
        {SCHEDULE_LINEAR, 10, 110, 60, 0.5},
        {SCHEDULE_LINEAR, 10, 110, 109, 0.01},
        {SCHEDULE_LINEAR, 10, 110, 500, 0},
        {SCHEDULE_LINEAR, 0, 4, 0, 1},
        {SCHEDULE_COSINE, 10, 110, 5, 0.5},
        {SCHEDULE_COSINE, 10, 110, 60, 0.5},
        {SCHEDULE_COSINE, 10, 110, 35, 0.8535533905932737},
        {SCHEDULE_COSINE, 10, 110, 110, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const TrainConfig c = {
            .lr = 3, .schedule = cases[i].kind, .warmup = cases[i].warmup, .total = cases[i].total};
        double lr = schedule_lr(&c, cases[i].step);
        EXPECT(fabs(lr - 3 * cases[i].share) < 1e-14, "case %zu: rate %.17g, expected %.17g", i, lr,
               3 * cases[i].share);
    }
}

SUITE(cmocka_unit_test(adamw), cmocka_unit_test(sgd), cmocka_unit_test(groups_must_take_something),
      cmocka_unit_test(schedules))

/* The matrix adds the term of its formula, has the gradient of its loss, and does not move attention. */
#include "expect.h"

#include "ad/gradcheck.h"
#include "peft/peft.h"
#include "theory/memory.h"

enum { ROWS = 3, T = 5, V = 6, D = 8 };
static const int32_t IDS[ROWS * T] = {3, 1, 4, 1, 5, 2, 0, 5, 3, 5, 0, 0, 4, 2, 1};
static const int32_t TARGET[ROWS * T] = {1, 4, 1, 5, 0, -1, 5, 3, 5, 2, 0, 4, 2, 1, -1};
static const Batch BATCH = {.b = ROWS, .t = T, .ids = IDS, .target = TARGET};

static Model *small(Arena *run)
{
    Config c = {0};
    Model *m;
    arch_find("gpt2")->defaults(&c);
    c.vocab = V, c.positions = T + 2, c.dim = D, c.heads = c.layers = 1, c.hidden = 12, c.init_sd = 0.5;
    assert_int_equal(model_open(&m, run, &c, F64, 4), OK);
    for (int i = 0; i < params_n(m->params); i++)
        for (int64_t k = 0; k < tensor_count(params_at(m->params, i)->val); k++) {
            Tensor w = params_at(m->params, i)->val;
            tensor_set(w, k, tensor_get(w, k) + 0.3 * rng_normal(rng_mix(9, (uint64_t)i), (uint64_t)k));
        }
    return m;
}

static Tensor logits(Arena *run, Model *m, const Hooks *hooks)
{
    return tensor_copy(run, model_logits(m, &(Pass){.tape = tape_open(run, false), .hooks = hooks}, &BATCH)->val);
}

static Tensor captured(Arena *run, Model *m, Hooks *hooks, Site site)
{
    Capture c = {.arena = run};
    hook_observe(hooks, (Where){site, 0, PART_DECODER}, hook_capture, &c);
    logits(run, m, hooks);
    hooks_clear_from(hooks, hooks_n(hooks) - 1);
    return c.value;
}

/* The features of the papers: elu; elu + 1 (Katharopoulos et al. 2020, equation 7), which is x + 1 above 0 and exp(x)
 * below; relu. */
static double elu(double x)
{
    return x > 0 ? x : exp(x) - 1;
}

static double elu_plus_one(double x)
{
    return x > 0 ? x + 1 : exp(x);
}

static double relu(double x)
{
    return x > 0 ? x : 0;
}

static void adds_its_formula(const char *name, double (*phi)(double))
{
    Arena run = arena_open((size_t)1 << 28);
    Model *m = small(&run);
    Hooks *hooks = hooks_new(&run), *none = hooks_new(&run);
    Tensor t = captured(&run, m, none, SITE_HEADS), q = captured(&run, m, none, SITE_Q),
           map = captured(&run, m, none, SITE_PROBS), before = logits(&run, m, none);
    memory_attach(m, hooks, name);
    EXPECT_NEAR(logits(&run, m, hooks), before, 0);
    Tensor w = param_find(m->params, "memory")->val;
    for (int64_t i = 0; i < D * D; i++) tensor_set(w, i, rng_normal(3, (uint64_t)i));
    for (int64_t row = 0; row < ROWS * T; row++)
        for (int64_t c = 0; c < D; c++) {
            double sum = tensor_get(t, row * D + c);
            for (int64_t k = 0; k < D; k++) {
                double x = tensor_get(q, row * D + k);
                sum += phi(x) * tensor_get(w, k * D + c);
            }
            tensor_set(t, row * D + c, sum);
        }
    EXPECT_NEAR(captured(&run, m, hooks, SITE_HEADS), t, 1e-12);
    EXPECT_NEAR(captured(&run, m, hooks, SITE_PROBS), map, 0);
    arena_close(&run);
}

static void memory_adds_its_formula(void **state)
{
    (void)state;
    adds_its_formula("elu", elu);
    adds_its_formula("elu+1", elu_plus_one);
    adds_its_formula("relu", relu);
}

typedef struct {
    Model *m;
    Hooks *hooks;
} Tuned;

static Var *loss_of(Tape *t, void *ctx)
{
    const Tuned *x = ctx;
    Pass *p = NEW(tape_arena(t), Pass, 1);
    *p = (Pass){.tape = t, .hooks = x->hooks};
    return model_loss(x->m, p, &BATCH);
}

static void gradients(void **state)
{
    (void)state;
    Arena run = arena_open((size_t)1 << 28), step = arena_open((size_t)1 << 28);
    Tuned x = {small(&run), hooks_new(&run)};
    memory_attach(x.m, x.hooks, "elu+1");
    GradCheck g = gradcheck_run(x.m->params, &step, loss_of, &x, 5, 3);
    EXPECT(g.worst < 1e-6 && g.worst_each < 1e-6 && g.norm > 1e-3, "%.2g, %.2g at %s, norm %.2g", g.worst,
           g.worst_each, g.at, g.norm);
    arena_close(&step);
    arena_close(&run);
}

SUITE(cmocka_unit_test(memory_adds_its_formula), cmocka_unit_test(gradients))

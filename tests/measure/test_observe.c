/* Looking into a model: the values are those of a plain pass, the hooks are left as they were, and no more of the
 * model runs than the places need. */
#include "expect.h"

#include "measure/observe.h"

static const int32_t IDS[] = {4, 5, 6, 7, 8, 4, 6, 9};
enum { ROWS = 2, TOKENS = 4 };

static Model *small(Arena *run, const char *arch)
{
    Config c = {0};
    arch_find(arch)->defaults(&c);
    c.vocab = 13, c.positions = 20, c.dim = 12, c.heads = 3, c.layers = 2, c.hidden = 20, c.init_sd = 0.3;
    Model *m;
    EXPECT(model_open(&m, run, &c, F64, 4) == OK, "%s", err_message());
    return m;
}

static Batch batch_for(const Model *m)
{
    Batch b = {.b = ROWS, .t = TOKENS, .ids = IDS};
    if (m->arch->encode) b.src = IDS, b.s = TOKENS;
    return b;
}

static void same(Tensor got, Tensor want, const char *arch, const char *what)
{
    EXPECT(tensor_same_shape(got, want), "%s: %s is %s", arch, what, tensor_shape(got));
    for (int64_t i = 0; i < tensor_count(want); i++)
        EXPECT(tensor_get(got, i) == tensor_get(want, i), "%s: element %d of %s differs", arch, (int)i, what);
}

static void values_are_those_of_a_pass(void **state)
{
    (void)state;
    static const char *const ARCH[] = {"gpt2", "roberta", "bert", "bart", "t5"};
    for (int k = 0; k < 5; k++) {
        Arena run = arena_open(0);
        Model *m = small(&run, ARCH[k]);
        Batch b = batch_for(m);
        Part last = m->arch->last;
        Where at[] = {{SITE_RESID, 1, last}, {SITE_LOGITS, LAYER_EMBED, last}, {SITE_RESID, 9, last}};
        Tensor seen[3], alone = observe_one(&run, m, NULL, &b, at[0]);
        observe_many(seen, &run, m, NULL, &b, at, 3);
        Pass pass = {.tape = tape_open(&run, false)};
        same(seen[1], model_logits(m, &pass, &b)->val, ARCH[k], "logits");
        same(seen[0], alone, ARCH[k], "the residual stream");
        EXPECT(!seen[2].data, "%s: there is no layer 9", ARCH[k]);
        arena_close(&run);
    }
}

static Var *twice(Pass *p, Where at, Var *in, Var *out, void *user)
{
    (void)at, (void)in;
    ++*(int *)user;
    return op_scale(p->tape, out, 2);
}

static void observers_come_last_and_go(void **state)
{
    (void)state;
    Arena run = arena_open(0);
    Model *m = small(&run, "gpt2");
    Batch b = batch_for(m);
    int calls = 0;
    Where at = {SITE_HEADS, 0, PART_DECODER};
    Hooks *hooks = hooks_new(&run);
    Tensor plain = observe_one(&run, m, hooks, &b, at);
    hook_add(hooks, at, twice, &calls);
    Tensor doubled = observe_one(&run, m, hooks, &b, at);
    for (int64_t i = 0; i < tensor_count(plain); i++)
        EXPECT(tensor_get(doubled, i) == 2 * tensor_get(plain, i), "element %d is seen before the hook", (int)i);
    assert_int_equal(hooks_n(hooks), 1);
    assert_int_equal(calls, 1);
    arena_close(&run);
}

static Var *count(Pass *p, Where at, Var *in, Var *out, void *user)
{
    (void)p, (void)at, (void)in;
    ++*(int *)user;
    return out;
}

static void no_more_runs_than_is_seen(void **state)
{
    (void)state;
    Arena run = arena_open(0);
    Model *m = small(&run, "bart");
    Batch b = batch_for(m), source = b;
    int decoder = 0, logits = 0;
    Hooks *hooks = hooks_new(&run);
    hook_observe(hooks, (Where){SITE_RESID, LAYER_ANY, PART_DECODER}, count, &decoder);
    hook_observe(hooks, (Where){SITE_LOGITS, LAYER_EMBED, PART_ANY}, count, &logits);
    Tensor whole = observe_one(&run, m, hooks, &b, (Where){SITE_RESID, 0, PART_ENCODER});
    source.t = 0, source.ids = NULL;
    Tensor alone = observe_one(&run, m, hooks, &source, (Where){SITE_RESID, 0, PART_ANY});
    same(alone, whole, "bart", "the encoder");
    EXPECT(!decoder, "the decoder ran, %d layers of it", decoder);
    observe_one(&run, m, hooks, &b, (Where){SITE_PROBS, 0, PART_CROSS});
    EXPECT(decoder && !logits, "decoder %d, logits %d", decoder, logits);
    observe_one(&run, m, hooks, &b, (Where){SITE_LOGITS, LAYER_EMBED, PART_DECODER});
    assert_int_equal(logits, 1);
    assert_int_equal(hooks_n(hooks), 2);
    arena_close(&run);
}

static void see(Where at, Tensor in, Tensor out, void *user)
{
    EXPECT(at.site == SITE_KEYS && in.data && out.data, "a place that nobody asked for");
    ++*(int *)user;
}

static void a_rule_shows_every_place(void **state)
{
    (void)state;
    Arena run = arena_open(0);
    Model *m = small(&run, "bart");
    Batch b = batch_for(m);
    Hooks *hooks = hooks_new(&run);
    int calls = 0, places = 0;
    for (int p = 0; p < PART_COUNT; p++) places += model_layers(m, (Part)p);
    observe_peek(m, hooks, &b, &(Where){SITE_KEYS, LAYER_ANY, PART_ANY}, 1, &(Peek){see, &calls});
    EXPECT(places > 6 && calls == places, "%d of %d places", calls, places);
    assert_int_equal(hooks_n(hooks), 0);
    arena_close(&run);
}

SUITE(cmocka_unit_test(values_are_those_of_a_pass), cmocka_unit_test(observers_come_last_and_go),
      cmocka_unit_test(no_more_runs_than_is_seen), cmocka_unit_test(a_rule_shows_every_place))

/* Whole layers that train beside a method: their counts on CodeT5-base, their gradients, the lists that name them,
 * and an adapter that holds them. */
#include "nn/small.h"

#include <stdlib.h>

#include "adapter/adapter.h"
#include "nn/build.h"
#include "peft/blocks.h"
#include "scratch.h"

static Config codet5_base(void)
{
    Config c = {0};
    arch_find("t5")->defaults(&c);
    c.vocab = 32100, c.dim = 768, c.head_dim = 64, c.heads = 12, c.hidden = 3072, c.layers = c.decoder_layers = 12;
    return c;
}

/* The layers alone, with LoRA of rank 8, and of all: the table of the spec. */
static void counts_are_those_of_codet5_base(void **state)
{
    (void)state;
    static const struct {
        const char *list;
        int64_t full, with_lora;
    } WANT[] = {{"6-11", 99113472, 99998208},
                {"0-5", 99114240, 99998976},
                {"9-11", 49556736, 50441472},
                {"11", 16518912, 17403648},
                {"encoder:3", 7079424, 7079424 + 884736},
                {"encoder:0", 7079808, 7079808 + 884736},
                {"decoder:0|5", 2 * 9439488 + 384, 2 * 9439488 + 384 + 884736},
                {"encoder:0,1,decoder:5", 2 * 7079424 + 384 + 9439488, 2 * 7079424 + 384 + 9439488 + 884736},
                {"*", 222882048 - 32100 * 768 - 2 * 768, 222882048 - 32100 * 768 - 2 * 768 + 884736}};
    for (size_t i = 0; i < sizeof WANT / sizeof *WANT; i++) {
        Arena a = arena_open((size_t)1 << 34);
        Model *m;
        const Config c = codet5_base();
        PeftConfig cfg = {0};
        const Peft *lora = peft_find("lora");
        EXPECT(!model_open_blank(&m, &a, &c, F32, 1), "%s", err_message());
        assert_int_equal(params_count(m->params, NULL, false), 222882048);
        assert_int_equal(blocks_count(m, WANT[i].list), WANT[i].full);
        lora->defaults(&cfg, &c);
        cfg.rank = 8, cfg.blocks = WANT[i].list;
        EXPECT(!peft_attach(lora, m, hooks_new(&a), &cfg), "%s", err_message());
        assert_int_equal(params_count(m->params, NULL, true), WANT[i].with_lora);
        arena_close(&a);
    }
}

/* The first number of a name is its layer. */
static bool is_chosen(const Param *p, int layer)
{
    for (const char *at = p->name; at; at = strchr(at, '.')) {
        at += *at == '.';
        if (*at >= '0' && *at <= '9') return atoi(at) == layer;
    }
    return false;
}

static void step(Model *m, const Hooks *hooks)
{
    const Batch x = small_batch(&arena, m);
    Pass p = {.tape = tape_open(&arena, true), .hooks = hooks};
    params_zero_grad(m->params);
    tape_backward(p.tape, model_loss(m, &p, &x));
}

static double largest(Tensor g)
{
    double most = 0;
    for (int64_t i = 0; g.data && i < tensor_count(g); i++) most = fmax(most, fabs(tensor_get(g, i)));
    return most;
}

/* In every family and beside every method that leaves the base alone: no parameter outside the layers and the method
 * has a gradient, and each inside has one. */
static void gradients_are_zero_outside(void **state)
{
    (void)state;
    for (int s = 0; s < N_SHAPES; s++)
        for (int layer = 0; layer < 2; layer++) {
            Model *m = small_model(&arena, SHAPES[s], F64);
            Hooks *hooks = hooks_new(&arena);
            const Peft *method = peft_find(layer ? "lora" : "blocks");
            PeftConfig cfg = {0};
            int inside = 0;
            method->defaults(&cfg, &m->config);
            cfg.blocks = layer ? "1" : "0";
            EXPECT(!peft_attach(method, m, hooks, &cfg), "%s: %s", SHAPES[s], err_message());
            step(m, hooks);
            for (int i = 0; i < params_n(m->params); i++) {
                const Param *p = params_at(m->params, i);
                bool mine = str_glob("peft.*", p->name), chosen = is_chosen(p, layer);
                if (mine) continue;
                EXPECT(p->trainable == chosen, "%s, layer %d: %s trains: %d", SHAPES[s], layer, p->name,
                       p->trainable);
                EXPECT(chosen || largest(p->grad) == 0, "%s: %s has a gradient", SHAPES[s], p->name);
                inside += chosen && largest(p->grad) > 0;
            }
            EXPECT(inside > 3, "%s: %d parameters of layer %d have a gradient", SHAPES[s], inside, layer);
        }
}

/* All layers train the same parameters to the same gradients as full fine-tuning, but for tables, final norms and
 * heads. */
static void all_layers_are_full_tuning_less_tables(void **state)
{
    (void)state;
    static const char *const OUTSIDE[] = {
        "t5",      "shared.weight|encoder.final_layer_norm.weight|decoder.final_layer_norm.weight",
        "gpt2",    "wte.weight|wpe.weight|ln_f.*",
        "roberta", "embeddings.*|lm_head.*"};
    for (size_t s = 0; s < sizeof OUTSIDE / sizeof *OUTSIDE; s += 2) {
        Model *full = small_model(&arena, OUTSIDE[s], F64), *part = small_model(&arena, OUTSIDE[s], F64);
        PeftConfig cfg = {.blocks = "*"};
        EXPECT(!peft_attach(peft_find("full"), full, NULL, &(PeftConfig){0}) &&
                   !peft_attach(peft_find("blocks"), part, NULL, &cfg),
               "%s", err_message());
        step(full, NULL), step(part, NULL);
        for (int i = 0; i < params_n(full->params); i++) {
            const Param *p = params_at(full->params, i), *q = params_at(part->params, i);
            bool outside = str_glob(OUTSIDE[s + 1], p->name);
            EXPECT(q->trainable == (p->trainable && !outside), "%s: %s trains: %d", OUTSIDE[s], p->name,
                   q->trainable);
            if (q->trainable) EXPECT_NEAR(q->grad, p->grad, 0);
        }
    }
}

static void lists_are_checked(void **state)
{
    (void)state;
    static const char *const BAD[][2] = {{"", "''"},
                                         {"3", "layer 3 of the encoder, which has 3 layers"},
                                         {"encoder:0,decoder:2", "layer 2 of the decoder, which has 2"},
                                         {"2-1", "'2-1'"},
                                         {"-1", "'-1'"},
                                         {"1-", "'1-'"},
                                         {"0,,1", "''"},
                                         {"a", "'a'"},
                                         {"encoder:", "'encoder:'"},
                                         {"cross:1", "'cross:1'"},
                                         {"0-99999999999999999999", "is no layer"},
                                         {"random:3", "random:1 to random:2"},
                                         {"random:", "random:1 to random:2"}};
    Model *m = small_model(&arena, "t5", F32), *alone = small_model(&arena, "gpt2", F32);
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
        PeftConfig cfg = {.rank = 2, .alpha = 2, .target = "*", .on = {true, true, true}, .blocks = BAD[i][0]};
        assert_int_equal(peft_attach(peft_find("lora"), m, hooks_new(&arena), &cfg), E_CONFIG);
        EXPECT(strstr(err_message(), BAD[i][1]), "'%s' is not in: %s", BAD[i][1], err_message());
        err_clear();
    }
    assert_int_equal(params_count(m->params, "peft.*", false), 0);
    assert_int_equal(blocks_check(alone, "encoder:0"), E_CONFIG);
    err_clear();
    assert_int_equal(peft_attach(peft_find("full"), m, NULL, &(PeftConfig){.blocks = "0"}), E_CONFIG);
    err_clear();
    PeftConfig pissa = {.rank = 2, .alpha = 2, .target = "*", .init = START_PISSA, .blocks = "0"};
    assert_int_equal(peft_attach(peft_find("lora"), m, NULL, &pissa), E_CONFIG);
    err_clear();
}

/* As many layers as asked for, the same in both stacks; another seed draws others. */
static void random_layers_are_drawn_by_the_seed(void **state)
{
    (void)state;
    int differ = 0;
    for (uint64_t seed = 1; seed < 9; seed++) {
        Model *m;
        Config c = codet5_base();
        int chosen[3] = {0};
        EXPECT(!model_open_blank(&m, &arena, &c, F32, seed), "%s", err_message());
        int64_t got = blocks_count(m, "random:3"), pair = 16518912;
        assert_true(got == 3 * pair || got == 3 * pair + 768);
        EXPECT(!blocks_train(m, "random:3"), "%s", err_message());
        for (int l = 0, n = 0; l < 12; l++)
            if (param_find(m->params, str_print(&arena, "encoder.block.%d.layer.0.layer_norm.weight", l))->trainable)
                chosen[n++] = l;
        differ += chosen[0] != 0 || chosen[1] != 1 || chosen[2] != 2;
    }
    assert_true(differ > 0);
}

/* Trained layers go where the adapter goes: PEFT's file has them under PEFT's names, our own under ours. */
static void adapters_hold_their_layers(void **state)
{
    (void)state;
    static const char *const METHOD[] = {"lora", "prefix", "houlsby"}, *const LIBRARY[] = {"hf", "vernier",
                                                                                           "vernier"};
    for (int k = 0; k < 3; k++) {
        Model *m = small_model(&arena, "t5", F32), *again = small_model(&arena, "t5", F32);
        Hooks *hooks = hooks_new(&arena), *read = hooks_new(&arena);
        const Peft *method = peft_find(METHOD[k]);
        const Batch x = small_batch(&arena, m);
        PeftConfig cfg = {0};
        Adapter *a;
        Arena scratch = arena_open(0);
        method->defaults(&cfg, &m->config);
        cfg.blocks = "encoder:0,decoder:1";
        EXPECT(!peft_attach(method, m, hooks, &cfg), "%s", err_message());
        for (int i = 0; i < params_n(m->params); i++) {
            Param *p = params_at(m->params, i);
            for (int64_t j = 0; p->trainable && j < tensor_count(p->val); j++)
                tensor_set(p->val, j, tensor_get(p->val, j) + 0.1 * rng_normal(rng_stream(9, p->name), (uint64_t)j));
        }
        a = adapter_of(m, method, &cfg, "one");
        for (int l = 0; (a->library = library_choice(l)) && strcmp(library_name(a->library), LIBRARY[k]) != 0;) l++;
        EXPECT(!adapter_save(a, dir), "%s: %s", METHOD[k], err_message());
        EXPECT(!adapter_open(&a, &arena, dir) && !adapter_attach(a, again, read), "%s: %s", METHOD[k], err_message());
        adapter_close(a);
        EXPECT_NEAR(run_logits(&arena, &scratch, again, read, &x), run_logits(&arena, &scratch, m, hooks, &x), 0);
        arena_close(&scratch);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_are_those_of_codet5_base),        cmocka_unit_test(gradients_are_zero_outside),
        cmocka_unit_test(all_layers_are_full_tuning_less_tables), cmocka_unit_test(lists_are_checked),
        cmocka_unit_test(random_layers_are_drawn_by_the_seed),    cmocka_unit_test(adapters_hold_their_layers)};
    return cmocka_run_group_tests(tests, begin, end) != 0;
}

/* Tables and heads that a base ties, in encoder-decoders too: rows of the table, a table for each stack, LoRA on the
 * head, and the folder that a merged model is written to. */
#include "folder.h"

#include <math.h>

#include "nn/build.h"
#include "nn/config.h"

static const char *const PAIRS[] = {"t5", "bart"}; /* encoder-decoders with one table */
enum { N_PAIRS = sizeof PAIRS / sizeof *PAIRS };

/* As the base names it in files. */
static const char *base_name(const Dir *d, const Model *m, const char *name)
{
    return str_print(d->run, "%s%s", build_is_any_head(name) ? "" : m->arch->format->prefix, name);
}

static void put_row(Tensor table, int row, Tensor from, int i)
{
    for (int64_t j = 0; j < tensor_last(table); j++)
        tensor_set(table, row * tensor_last(table) + j, tensor_get(from, i * tensor_last(from) + j));
}

static double largest(Tensor t)
{
    double most = 0;
    for (int64_t i = 0; i < tensor_count(t); i++) most = fmax(most, fabs(tensor_get(t, i)));
    return most;
}

static void expect_same(Tensor got, Tensor want, const char *what)
{
    double gap = largest_gap(got, want) / largest(want);
    EXPECT(gap <= 2e-5, "%s: differs by %.2g of the largest value", what, gap);
}

/* ---- rows of the table */

/* Rows of the shared table act in both stacks and in the head, whichever of PEFT's two forms has them, and are
 * written so that they are read again. */
static void rows_act_wherever_the_table_does(void **state)
{
    (void)state;
    static const char *const CONFIGS[] = {"{\"peft_type\": \"TRAINABLE_TOKENS\", \"token_indices\": [3, 5, 8], "
                                          "\"target_modules\": [\"shared\"]}",
                                          "{\"peft_type\": \"TRAINABLE_TOKENS\", \"token_indices\": [3, 5, 8]}",
                                          "{\"peft_type\": \"LORA\", \"r\": 2, \"target_modules\": [\"k_proj\", "
                                          "\"k\"], \"trainable_token_indices\": {\"shared\": [3, 5, 8]}}"};
    for (int i = 0; i < 3 * N_PAIRS; i++) {
        Arenas a = arenas();
        Dir d = dir_new(&a.run), e = dir_new(&a.run);
        const Arch *arch = arch_find(PAIRS[i / 3]);
        Model *m = tiny(&a.run, arch, F32), *k = tiny(&a.run, arch, F32), *again = tiny(&a.run, arch, F32);
        const Batch *b = tiny_batch(&a.run, m, true, false);
        const char *inner = i % 3 == 2 ? "token_adapter." : "";
        Tensor rows =
            dir_noise(&d, str_print(&a.run, "%s.%strainable_tokens_delta", base_name(&d, m, "shared"), inner), 3,
                      m->config.dim);
        if (!*inner) /* the method writes them once for each user of the table */
            dir_put(&d, str_print(&a.run, "%s.trainable_tokens_delta", base_name(&d, m, "decoder.embed_tokens")),
                    rows);
        for (int l = 0; i % 3 == 2 && l < m->n_linears; l++)
            if (str_glob("*.k_proj|*.k", m->linears[l].name))
                dir_put(&d, str_print(&a.run, "%s.lora_A.weight", base_name(&d, m, m->linears[l].name)),
                        tensor_zero(&a.run, F32, SHAPE(2, m->linears[l].in))),
                    dir_put(&d, str_print(&a.run, "%s.lora_B.weight", base_name(&d, m, m->linears[l].name)),
                            tensor_zero(&a.run, F32, SHAPE(m->linears[l].out, 2)));
        dir_write(&d, CONFIGS[i % 3]);
        Param *table = param_find(k->params, "shared.weight");
        for (int r = 0; r < 3; r++) put_row(table->val, (const int[]){3, 5, 8}[r], rows, r);
        Tensor want = logits_of(&a, k, NULL, b);
        Hooks *hooks = hooks_new(&a.run), *other = hooks_new(&a.run);
        Adapter *x, *y;
        EXPECT(dir_attach(&x, &d, m, hooks) == OK, "%s: %s", PAIRS[i / 3], err_message());
        expect_same(logits_of(&a, m, hooks, b), want, PAIRS[i / 3]);
        EXPECT(adapter_save(x, e.dir) == OK && dir_attach(&y, &e, again, other) == OK, "%s", err_message());
        expect_same(logits_of(&a, again, other, b), want, "written and read again");
        assert_int_equal(x->method->merge(m, &x->cfg), OK);
        expect_same(logits_of(&a, m, NULL, b), want, "merged");
        adapter_close(x);
        adapter_close(y);
        dir_remove(&d);
        dir_remove(&e);
        arenas_close(&a);
    }
}

/* Rows of one stack alone, rows that differ between users of the table, and a table that PEFT would not reach. */
static void rows_of_one_stack_are_refused(void **state)
{
    (void)state;
    Arenas a = arenas();
    Dir d = dir_new(&a.run);
    const Arch *t5 = arch_find("t5");
    dir_noise(&d, "shared.trainable_tokens_delta", 2, 12);
    dir_write(&d, "{\"peft_type\": \"TRAINABLE_TOKENS\", \"token_indices\": [3, 5], \"target_modules\": "
                  "[\"encoder.embed_tokens\"]}");
    expect_refused(&d, tiny(&a.run, t5, F32), "names encoder.embed_tokens");
    dir_write(&d, "{\"peft_type\": \"TRAINABLE_TOKENS\", \"token_indices\": [3, 5]}");
    Config c = tiny_config(t5);
    c.tie_head = false;
    expect_refused(&d, open_stirred(&a.run, &c, F32), "head is its own");
    dir_noise(&d, "encoder.embed_tokens.trainable_tokens_delta", 2, 12);
    dir_write(&d, "{\"peft_type\": \"TRAINABLE_TOKENS\", \"token_indices\": [3, 5]}");
    expect_refused(&d, tiny(&a.run, t5, F32), "one parameter and hold different values");
    dir_remove(&d);
    arenas_close(&a);
}

/* ---- a table for each stack */

/* The answer of a model whose stacks have these tables and whose head has the base's, by a model for each stack. */
static Tensor by_hand(Arenas *a, const Arch *arch, const Batch *b, const Tensor *table)
{
    Model *encoder = tiny(&a->run, arch, F32), *decoder = tiny(&a->run, arch, F32);
    model_untie(decoder);
    param_find(encoder->params, "shared.weight")->val = tensor_copy(&a->run, table[0]);
    param_find(decoder->params, "shared.weight")->val = tensor_copy(&a->run, table[1]);
    Pass p = {.tape = tape_open(&a->step, false)};
    return tensor_copy(&a->run, model_logits_with(decoder, &p, b, model_encode(encoder, &p, b))->val);
}

/* modules_to_save embed_tokens: each stack reads its own, and the head the base's, which no folder can hold. */
static void saved_embed_tokens_are_one_for_each_stack(void **state)
{
    (void)state;
    for (int i = 0; i < N_PAIRS; i++) {
        Arenas a = arenas();
        Dir d = dir_new(&a.run), e = dir_new(&a.run);
        Model *m = tiny(&a.run, arch_find(PAIRS[i]), F32), *again = tiny(&a.run, arch_find(PAIRS[i]), F32);
        const Batch *b = tiny_batch(&a.run, m, true, false);
        Adapter *x, *y;
        Hooks *hooks = hooks_new(&a.run), *other = hooks_new(&a.run);
        Tensor table[2];
        for (int side = 0; side < 2; side++) {
            const char *name = side ? "decoder.embed_tokens.weight" : "encoder.embed_tokens.weight";
            table[side] = dir_noise(&d, base_name(&d, m, name), m->config.vocab, m->config.dim);
        }
        dir_lora(&d, base_name(&d, m, m->linears[0].name), 2, m->linears[0].in, m->linears[0].out);
        const char *config = str_print(&a.run,
                                       "{\"peft_type\": \"LORA\", \"r\": 2, \"lora_alpha\": 0, \"target_modules\": "
                                       "[\"%s\"], \"modules_to_save\": [\"embed_tokens\"]%s}",
                                       m->linears[0].name, "%s");
        dir_write(&d, str_print(&a.run, config, ", \"ensure_weight_tying\": true"));
        expect_refused(&d, tiny(&a.run, arch_find(PAIRS[i]), F32), "ensure_weight_tying");
        dir_write(&d, str_print(&a.run, config, ""));
        EXPECT(dir_attach(&x, &d, m, hooks) == OK, "%s: %s", PAIRS[i], err_message());
        Tensor want = by_hand(&a, m->arch, b, table);
        expect_same(logits_of(&a, m, hooks, b), want, PAIRS[i]);
        EXPECT(adapter_save(x, e.dir) == OK && dir_attach(&y, &e, again, other) == OK, "%s", err_message());
        expect_same(logits_of(&a, again, other, b), want, "written and read again");
        assert_int_equal(x->method->merge(m, &x->cfg), OK);
        assert_int_equal(model_save(m, e.dir), E_MISMATCH);
        EXPECT(strstr(err_message(), "a token table of its own"), "%s", err_message());
        err_clear();
        adapter_close(x);
        adapter_close(y);
        dir_remove(&d);
        dir_remove(&e);
        arenas_close(&a);
    }
}

/* ---- LoRA on the head of an encoder-decoder */

/* The product belongs to the tied head as PEFT sees it, before T5's factor; what is written has it as it was read. */
static void lora_on_a_tied_head_scales_with_it(void **state)
{
    (void)state;
    for (int i = 0; i < N_PAIRS; i++) {
        Arenas a = arenas();
        Dir d = dir_new(&a.run), e = dir_new(&a.run);
        Model *m = tiny(&a.run, arch_find(PAIRS[i]), F32), *k = tiny(&a.run, arch_find(PAIRS[i]), F32), *alone;
        const Batch *b = tiny_batch(&a.run, m, true, false);
        int64_t dim = m->config.dim, vocab = m->config.vocab;
        Tensor down = dir_noise(&d, "lm_head.lora_A.weight", 2, dim);
        Tensor up = dir_noise(&d, "lm_head.lora_B.weight", vocab, 2);
        dir_write(&d, "{\"peft_type\": \"LORA\", \"r\": 2, \"lora_alpha\": 3, \"target_modules\": [\"lm_head\"]}");
        double factor = model_untie(k);
        Tensor head = param_find(k->params, "lm_head.weight")->val;
        for (int64_t j = 0; j < vocab * dim; j++) {
            double change = 0;
            for (int64_t r = 0; r < 2; r++)
                change += 1.5 * tensor_get(up, j / dim * 2 + r) * tensor_get(down, r * dim + j % dim);
            tensor_set(head, j, tensor_get(head, j) + factor * change);
        }
        Tensor want = logits_of(&a, k, NULL, b);
        Hooks *hooks = hooks_new(&a.run);
        Adapter *x;
        EXPECT(dir_attach(&x, &d, m, hooks) == OK, "%s: %s", PAIRS[i], err_message());
        assert_int_equal(x->n_remarks, 0);
        expect_same(logits_of(&a, m, hooks, b), want, PAIRS[i]);
        Weights *w;
        const char *path = str_print(&a.run, "%s/adapter_model.safetensors", e.dir);
        EXPECT(adapter_save(x, e.dir) == OK && weights_open(&w, &a.run, path) == OK, "%s", err_message());
        const Stored *s = weights_find(w, "base_model.model.lm_head.lora_B.weight");
        for (int64_t j = 0; j < tensor_count(up); j++)
            EXPECT(fabs(stored_get(s, j) - tensor_get(up, j)) < 1e-5, "%s: B is written otherwise", PAIRS[i]);
        weights_close(w);
        assert_int_equal(x->method->merge(m, &x->cfg), OK);
        EXPECT(model_save(m, e.dir) == OK && model_load(&alone, &a.run, e.dir) == OK, "%s", err_message());
        expect_same(logits_of(&a, alone, NULL, b), want, "merged");
        adapter_close(x);
        dir_remove(&d);
        dir_remove(&e);
        arenas_close(&a);
    }
}

/* ---- what is written for other readers */

/* transformers ties the tables of BART's stacks only where it ties the head; T5's are one module. */
static void an_untied_bart_is_written_with_every_table(void **state)
{
    (void)state;
    static const struct {
        const char *arch;
        bool tied, copies;
    } ROWS[] = {{"bart", false, true}, {"bart", true, false}, {"t5", false, false}, {"t5", true, false}};
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        Arenas a = arenas();
        Dir d = dir_new(&a.run);
        Config c = tiny_config(arch_find(ROWS[i].arch));
        c.tie_head = ROWS[i].tied;
        Model *m = open_stirred(&a.run, &c, F32), *k;
        Weights *w;
        EXPECT(model_save(m, d.dir) == OK && weights_open(&w, &a.run, d.dir) == OK, "%s", err_message());
        for (int side = 0; side < 2; side++) {
            const char *name = side ? "decoder.embed_tokens.weight" : "encoder.embed_tokens.weight";
            const Stored *s = weights_find(w, base_name(&d, m, name));
            EXPECT(!s == !ROWS[i].copies, "%s of %s %s", name, c.arch, s ? "is there" : "is missing");
        }
        weights_close(w);
        EXPECT(model_load(&k, &a.run, d.dir) == OK, "%s", err_message());
        const Batch *b = tiny_batch(&a.run, m, true, false);
        expect_same(logits_of(&a, k, NULL, b), logits_of(&a, m, NULL, b), c.arch);
        dir_remove(&d);
        arenas_close(&a);
    }
}

/* A field of a config that is a real number in the reference has a point, which transformers 5 insists on. */
static void real_fields_are_written_with_a_point(void **state)
{
    (void)state;
    for (const Arch *const *arch = arch_begin(); arch < arch_end(); arch++) {
        Arenas a = arenas();
        Config c = tiny_config(*arch);
        c.init_sd = 1;
        c.rope.base = c.rope.base > 0 ? 10000 : 0;
        cJSON *root = config_write(&c, *arch);
        char *text = json_printed(root, true);
        cJSON_Delete(root);
        for (const Field *f = (*arch)->format->fields; f->key; f++) {
            const char *at = f->kind == FIELD_REAL ? strstr(text, str_print(&a.run, "\"%s\":", f->key)) : NULL;
            const char *number = at ? strchr(at, ':') + 1 : NULL;
            size_t n = number ? strspn(number, "0123456789.e+-") : 0;
            EXPECT(!number || strcspn(number, ".e") < n, "%s: %s is %.*s", (*arch)->name, f->key, (int)n, number);
        }
        const char *base = strstr(text, "\"rope_theta\":");
        EXPECT(!base || !strncmp(base, "\"rope_theta\":10000.0", 20), "%s: %.30s", (*arch)->name, base);
        cJSON_free(text);
        arenas_close(&a);
    }
}

SUITE(cmocka_unit_test(rows_act_wherever_the_table_does), cmocka_unit_test(rows_of_one_stack_are_refused),
      cmocka_unit_test(saved_embed_tokens_are_one_for_each_stack),
      cmocka_unit_test(lora_on_a_tied_head_scales_with_it),
      cmocka_unit_test(an_untied_bart_is_written_with_every_table),
      cmocka_unit_test(real_fields_are_written_with_a_point))

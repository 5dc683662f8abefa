/* State dicts as people save them: of every family, behind every wrapper and in both containers, the same values come
 * back and a remark names the wrapper; known heads are skipped by name, and all else that is left over is refused. */
#include "small.h"

#include <stdlib.h>

#include "base/file.h"
#include "io/safetensors.h"
#include "scratch.h"

enum { EXTRA = 64 };
static Buf said;

static void hear(const char *line, void *user)
{
    (void)user;
    buf_print(&said, "%s\n", line);
}

/* The tensors of a saved model under other names, in the container that `file` names. */
typedef struct {
    Stored at[512];
    int n;
} Saved;

static Saved saved(Model *m)
{
    Saved s = {.n = 0};
    Weights *w;
    EXPECT(model_save(m, dir) == OK, "%s", err_message());
    EXPECT(weights_open(&w, &arena, dir) == OK, "%s", err_message());
    assert_true(weights_n(w) + EXTRA < 512);
    for (int i = 0; i < weights_n(w); i++) {
        Stored t = *weights_at(w, i);
        t.bytes = memcpy(arena_take(&arena, t.n_bytes), t.bytes, t.n_bytes);
        s.at[s.n++] = t;
    }
    weights_close(w);
    return s;
}

static void wrap(Saved *s, const char *wrapper)
{
    for (int i = 0; i < s->n; i++) s->at[i].name = str_print(&arena, "%s%s", wrapper, s->at[i].name);
}

static void add(Saved *s, const char *name, int64_t rows, int64_t columns)
{
    Tensor t = tensor_zero(&arena, F32, SHAPE(rows, columns));
    s->at[s->n++] = stored_of(name, t);
}

static Status load(Model **m, const Saved *s, const char *file, LoadOptions o)
{
    EXPECT(system(str_print(&arena, "rm -f %s/model.safetensors %s/pytorch_model.bin", dir, dir)) == 0, "rm");
    EXPECT(weights_write(str_print(&arena, "%s/%s", dir, file), s->at, s->n) == OK, "%s", err_message());
    said = buf_open(&arena);
    buf_print(&said, "%s", "");
    o.say = hear;
    return model_load_as(m, &arena, dir, &o);
}

static void expect_same(const Model *a, const Model *b, const char *what)
{
    assert_int_equal(params_n(a->params), params_n(b->params));
    for (int i = 0; i < params_n(a->params); i++) {
        const Param *p = params_at(a->params, i), *q = params_at(b->params, i);
        EXPECT(!memcmp(p->val.data, q->val.data, tensor_bytes(p->val)), "%s: %s changes", what, p->name);
    }
}

static void expect_refused(Status s, const char *words)
{
    EXPECT(s == E_MISMATCH || s == E_FORMAT, "status %d, expected a refusal with '%s'", (int)s, words);
    EXPECT(strstr(err_message(), words) != NULL, "'%s' is not in: %s", words, err_message());
    err_clear();
}

static void wrappers(void **state)
{
    (void)state;
    static const char *const WRAPPERS[] = {
        "module.", "model.", "encoder.", "_orig_mod.", "transformer.", "module._orig_mod.model.", "net.backbone."};
    static const char *const FILES[] = {"model.safetensors", "pytorch_model.bin"};
    for (int i = 0; i < N_SHAPES; i++)
        for (size_t k = 0; k < sizeof WRAPPERS / sizeof *WRAPPERS; k++) {
            Model *a = small_model(&arena, SHAPES[i], F32), *b;
            Saved s = saved(a);
            const char *what = str_print(&arena, "%s behind %s", SHAPES[i], WRAPPERS[k]);
            wrap(&s, WRAPPERS[k]);
            EXPECT(load(&b, &s, FILES[k % 2], (LoadOptions){0}) == OK, "%s: %s", what, err_message());
            EXPECT(strstr(said.text, "which is taken off") != NULL, "%s: no remark: %s", what, said.text);
            expect_same(a, b, what);
        }
}

static void bare(void **state)
{
    (void)state;
    for (int i = 0; i < N_SHAPES; i++) {
        Model *a = small_model(&arena, SHAPES[i], F32), *b;
        Saved s = saved(a);
        EXPECT(load(&b, &s, "model.safetensors", (LoadOptions){0}) == OK, "%s", err_message());
        EXPECT(!*said.text, "%s: %s", SHAPES[i], said.text);
    }
}

/* Heads of other tasks beside the model or with it behind the wrapper, and the leftovers of training. */
static void heads(void **state)
{
    (void)state;
    static const char *const HEADS[] = {"qa_outputs.weight", "v_head.summary.weight", "loss_fct.weight",
                                        "_extra_state"};
    for (int i = 0; i < N_SHAPES; i++)
        for (size_t k = 0; k < sizeof HEADS / sizeof *HEADS; k++) {
            Model *a = small_model(&arena, SHAPES[i], F32), *b;
            Saved s = saved(a);
            if (k % 2) wrap(&s, "module.");
            add(&s, HEADS[k], 2, 8);
            EXPECT(load(&b, &s, "model.safetensors", (LoadOptions){0}) == OK, "%s: %s", SHAPES[i], err_message());
            EXPECT(strstr(said.text, "skipped") && strstr(said.text, HEADS[k]), "%s: %s", SHAPES[i], said.text);
            expect_same(a, b, HEADS[k]);
        }
}

/* CodeReviewer's classifier on T5 is kept and written again; a classifier in parts, as CCT5's of a change and its
 * features, is skipped; one that does not fit is refused. */
static void classifiers_of_states(void **state)
{
    (void)state;
    for (int k = 0; k < 2; k++) {
        Config c = small_config("t5");
        Model *a, *b, *again;
        c.state_classes = 2;
        EXPECT(model_open(&a, &arena, &c, F32, 1) == OK, "%s", err_message());
        tensor_set(param_find(a->params, "cls_head.bias")->val, 1, 0.25);
        Saved s = saved(a);
        if (k) wrap(&s, "module.");
        EXPECT(load(&b, &s, "pytorch_model.bin", (LoadOptions){.no_lm_head = k}) == OK, "%s", err_message());
        expect_same(a, b, "t5 with cls_head");
        EXPECT(model_save(b, dir) == OK && model_load(&again, &arena, dir) == OK, "%s", err_message());
        expect_same(a, again, "t5 with cls_head, written again");
    }
    Model *a = small_model(&arena, "t5", F32), *b;
    Saved s = saved(a);
    add(&s, "cls_head.dense.weight", 8, 14);
    EXPECT(load(&b, &s, "pytorch_model.bin", (LoadOptions){0}) == OK, "%s", err_message());
    EXPECT(strstr(said.text, "skipped 'cls_head.dense.weight'") != NULL, "%s", said.text);
    s = saved(a);
    add(&s, "cls_head.weight", 2, 9);
    add(&s, "cls_head.bias", 1, 2);
    expect_refused(load(&b, &s, "pytorch_model.bin", (LoadOptions){0}), "cls_head.weight");
    s = saved(a);
    add(&s, "cls_head.weight", 2, 8);
    expect_refused(load(&b, &s, "pytorch_model.bin", (LoadOptions){0}), "has no tensor 'cls_head.bias'");
}

/* A layer that the config forgot has a name like any other, and is no head; nor is a name that a head's begins. */
static void surplus(void **state)
{
    (void)state;
    for (int i = 0; i < N_SHAPES; i++) {
        Model *a = small_model(&arena, SHAPES[i], F32), *b;
        Saved s = saved(a);
        add(&s, "qa_outputs_2.weight", 2, 8);
        expect_refused(load(&b, &s, "model.safetensors", (LoadOptions){0}),
                       "'qa_outputs_2.weight' [2, 8] has no place");
        s = saved(a);
        wrap(&s, "module.");
        add(&s, "ema.h.weight", 2, 8);
        expect_refused(load(&b, &s, "model.safetensors", (LoadOptions){0}), "'ema.h.weight' [2, 8] has no place");
    }
}

/* One model under two wrappers is read once; two models are refused. */
static void copies(void **state)
{
    (void)state;
    Model *a = small_model(&arena, "roberta", F32), *b;
    Saved s = saved(a), other = saved(a);
    int n = s.n;
    wrap(&s, "encoder.");
    wrap(&other, "decoder.");
    for (int i = 0; i < n; i++) s.at[s.n++] = other.at[i];
    EXPECT(load(&b, &s, "pytorch_model.bin", (LoadOptions){0}) == OK, "%s", err_message());
    EXPECT(strstr(said.text, "second copy") != NULL, "%s", said.text);
    expect_same(a, b, "one of two copies");
    for (int i = n; i < s.n; i++)
        if (str_glob("*query.weight", s.at[i].name)) ((float *)s.at[i].bytes)[0] += 1;
    expect_refused(load(&b, &s, "model.safetensors", (LoadOptions){0}), "holds two models, under");
    s = saved(a);
    wrap(&s, "encoder.");
    s.at[s.n] = s.at[0];
    s.at[s.n++].name = str_print(&arena, "%s", s.at[0].name + strlen("encoder."));
    expect_refused(load(&b, &s, "model.safetensors", (LoadOptions){0}), "has two tensors");
}

/* A token table of another size than the config's, smaller or larger, with an output bias of its own size. */
static void vocabulary(void **state)
{
    (void)state;
    for (int i = 0; i < N_SHAPES; i++) {
        Config c = small_config(SHAPES[i]);
        Model *a, *b, *wrong;
        c.vocab = V + 5;
        EXPECT(model_open(&a, &arena, &c, F32, 1) == OK, "%s", err_message());
        Saved s = saved(a);
        c.vocab = V + 2 * (i % 2) * 5;
        EXPECT(model_open(&wrong, &arena, &c, F32, 1) == OK, "%s", err_message());
        EXPECT(model_save(wrong, dir) == OK, "%s", err_message());
        Status status = load(&b, &s, "model.safetensors", (LoadOptions){0});
        EXPECT(status == E_MISMATCH, "%s: %d", SHAPES[i], (int)status);
        EXPECT(strstr(err_message(), "--vocab-from-file") && strstr(err_message(), "28 rows"), "%s", err_message());
        err_clear();
        EXPECT(load(&b, &s, "model.safetensors", (LoadOptions){.vocab_from_file = true}) == OK, "%s: %s", SHAPES[i],
               err_message());
        assert_int_equal(b->config.vocab, V + 5);
        expect_same(a, b, SHAPES[i]);
    }
}

static Config config_of(const char *text)
{
    Config c;
    EXPECT(file_write(str_print(&arena, "%s/config.json", dir), text, strlen(text)) == OK, "%s", err_message());
    EXPECT(config_load(&c, dir) == OK, "%s: %s", text, err_message());
    return c;
}

/* The general names of transformers' attribute_map count for more than a family's own; the first of several end
 * tokens is the config's. */
static void general_names(void **state)
{
    (void)state;
    Config c = config_of("{\"model_type\": \"gpt2\", \"n_embd\": 8, \"hidden_size\": 16, \"num_hidden_layers\": 3,"
                         " \"num_attention_heads\": 4, \"max_position_embeddings\": 50, \"eos_token_id\": [7, 9]}");
    EXPECT(c.dim == 16 && c.layers == 3 && c.heads == 4 && c.positions == 50 && c.eos == 7, "gpt2: %d", c.dim);
    c = config_of("{\"model_type\": \"t5\", \"d_model\": 8, \"hidden_size\": 16, \"num_hidden_layers\": 3,"
                  " \"num_attention_heads\": 4, \"head_dim\": 5}");
    EXPECT(c.dim == 16 && c.layers == 3 && c.decoder_layers == 3 && c.heads == 4 && c.head_dim == 5, "t5: %d", c.dim);
    c = config_of("{\"model_type\": \"bart\", \"d_model\": 8, \"hidden_size\": 16, \"num_attention_heads\": 4,"
                  " \"num_hidden_layers\": 9, \"encoder_layers\": 2}");
    EXPECT(c.dim == 16 && c.layers == 2 && c.heads == 4, "bart: %d", c.dim);
    c = config_of("{\"model_type\": \"t5\", \"tie_word_embeddings\": true, \"scale_decoder_outputs\": false}");
    EXPECT(!c.tie_head, "transformers 5 ties the head of a T5 that had its own");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(wrappers),   cmocka_unit_test(bare),
                                       cmocka_unit_test(heads),      cmocka_unit_test(classifiers_of_states),
                                       cmocka_unit_test(surplus),    cmocka_unit_test(copies),
                                       cmocka_unit_test(vocabulary), cmocka_unit_test(general_names)};
    return cmocka_run_group_tests_name("state dicts", tests, begin, end);
}

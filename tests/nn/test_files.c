/* Checkpoints on disk: saved models load to the same bytes, foreign names are understood, and everything that can
 * be wrong with a directory is answered with a sentence. */
#include "small.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "io/safetensors.h"
#include "nn/build.h"
#include "nn/config.h"

static Arena A, STEP;
static const char *DIR_NAME;

static int set_up(void **state)
{
    (void)state;
    A = arena_open((size_t)1 << 32);
    STEP = arena_open((size_t)1 << 32);
    DIR_NAME = str_print(&A, "/tmp/vernier-files-%d", (int)getpid());
    return file_make_dir(DIR_NAME);
}

static int tear_down(void **state)
{
    (void)state;
    unlink(str_print(&A, "%s/config.json", DIR_NAME));
    unlink(str_print(&A, "%s/model.safetensors", DIR_NAME));
    rmdir(DIR_NAME);
    arena_close(&A);
    arena_close(&STEP);
    return 0;
}

static void save_and_load(void **state)
{
    (void)state;
    for (int i = 0; i < N_SHAPES; i++)
        for (int classes = 0; classes < 4; classes += 3) {
            Config c = small_config(SHAPES[i]);
            c.classes = classes;
            c.pooler = (!strcmp(c.arch, "roberta") || !strcmp(c.arch, "bert")) && classes;
            c.next_sentence = !strcmp(c.arch, "bert") && classes;
            c.dropout = c.attn_dropout = c.act_dropout = 0.25;
            if (!strcmp(c.arch, "roberta") || !strcmp(c.arch, "bert") || !strcmp(c.arch, "gpt2")) c.act_dropout = 0;
            if (!strcmp(c.arch, "llama")) c.dropout = c.act_dropout = 0;
            if (!strcmp(c.arch, "gpt_neox")) c.act_dropout = 0;
            Model *a, *b;
            EXPECT(model_open(&a, &A, &c, F32, 3) == OK, "%s", err_message());
            stir(a);
            EXPECT(model_save(a, DIR_NAME) == OK, "%s", err_message());
            EXPECT(model_load(&b, &A, DIR_NAME) == OK, "%s", err_message());
            EXPECT(!memcmp(&a->config, &b->config, sizeof a->config), "%s: the config changes", SHAPES[i]);
            assert_int_equal(params_n(a->params), params_n(b->params));
            for (int j = 0; j < params_n(a->params); j++) {
                const Param *p = params_at(a->params, j), *q = params_at(b->params, j);
                assert_string_equal(p->name, q->name);
                EXPECT(!memcmp(p->val.data, q->val.data, tensor_bytes(p->val)), "%s: %s changes", SHAPES[i], p->name);
            }
        }
}

/* Another head than the files have is drawn anew, and only the head. */
static void new_head(void **state)
{
    (void)state;
    for (int i = 0; i < N_SHAPES; i++) {
        Model *a = small_model(&A, SHAPES[i], F32), *b, *c;
        assert_int_equal(model_save(a, DIR_NAME), OK);
        EXPECT(model_load_as(&b, &A, DIR_NAME, &(LoadOptions){.classes = 5, .seed = 1, .dtype = F64}) == OK, "%s",
               err_message());
        EXPECT(model_load_as(&c, &A, DIR_NAME, &(LoadOptions){.classes = 5, .seed = 2}) == OK, "%s", err_message());
        int fresh = 0;
        for (int j = 0; j < params_n(b->params); j++) {
            const Param *p = params_at(b->params, j), *q = params_at(c->params, j),
                        *o = param_find(a->params, p->name);
            assert_int_equal(p->val.dtype, F64);
            bool same = true;
            for (int64_t k = 0; k < tensor_count(p->val); k++)
                same &= (float)tensor_get(p->val, k) == (float)tensor_get(q->val, k);
            fresh += !same;
            EXPECT(same == (o != NULL) || p->val.rank == 1, "%s: %s", SHAPES[i], p->name);
            for (int64_t k = 0; o && k < tensor_count(p->val); k++)
                assert_true(tensor_get(p->val, k) == tensor_get(o->val, k));
        }
        EXPECT(fresh >= 1, "%s: no fresh head", SHAPES[i]);
    }
}

/* The same weights under the names of another tool: without the family's prefix, with gamma and beta, with copies. */
static void other_names(void **state)
{
    (void)state;
    for (int i = 0; i < N_SHAPES; i++) {
        Model *a = small_model(&A, SHAPES[i], F32), *b;
        assert_int_equal(model_save(a, DIR_NAME), OK);
        int n = params_n(a->params);
        Named *named = NEW(&A, Named, n + 2);
        for (int j = 0; j < n; j++) {
            const char *name = params_at(a->params, j)->name, *norm = strstr(name, "LayerNorm.");
            if (norm) /* of 2019 */
                name =
                    str_print(&A, "%.*s%s", (int)(norm - name + 10), name, strstr(norm, "weight") ? "gamma" : "beta");
            named[j] = (Named){name, params_at(a->params, j)->val};
        }
        if (a->config.types) named[n++] = (Named){"embeddings.position_ids", tensor_zero(&A, I32, SHAPE(1, 20))};
        if (a->config.tie_head && strcmp(SHAPES[i], "roberta"))
            named[n++] = (Named){!strcmp(SHAPES[i], "bert")         ? "cls.predictions.decoder.weight"
                                 : !strcmp(SHAPES[i], "modernbert") ? "decoder.weight"
                                                                    : "lm_head.weight",
                                 params_at(a->params, 0)->val};
        EXPECT(safetensors_write(str_print(&A, "%s/model.safetensors", DIR_NAME), named, n, NULL, 0) == OK, "%s",
               err_message());
        EXPECT(model_load(&b, &A, DIR_NAME) == OK, "%s: %s", SHAPES[i], err_message());
        Batch x = small_batch(&A, a);
        Tensor y = run_logits(&A, &STEP, a, NULL, &x), z = run_logits(&A, &STEP, b, NULL, &x);
        EXPECT(!memcmp(y.data, z.data, tensor_bytes(y)), "%s: other logits", SHAPES[i]);
    }
}

/* BART has one table; a config that unties it is believed as long as the file has one table too. */
static void untied_tables(void **state)
{
    (void)state;
    Config c = small_config("bart");
    c.tie_head = false;
    Model *a, *b;
    assert_int_equal(model_open(&a, &A, &c, F32, 3), OK);
    assert_int_equal(model_save(a, DIR_NAME), OK);
    EXPECT(model_load(&b, &A, DIR_NAME) == OK, "%s", err_message());
    int n = params_n(a->params);
    Named *named = NEW(&A, Named, n + 1);
    for (int j = 0; j < n; j++) named[j] = (Named){params_at(a->params, j)->name, params_at(a->params, j)->val};
    Tensor twin = tensor_copy(&A, param_find(a->params, "shared.weight")->val);
    named[n] = (Named){"model.decoder.embed_tokens.weight", twin};
    for (int other = 0; other < 2; other++) {
        if (other) tensor_set(twin, 5, 9);
        assert_int_equal(safetensors_write(str_print(&A, "%s/model.safetensors", DIR_NAME), named, n + 1, NULL, 0),
                         OK);
        Status s = model_load(&b, &A, DIR_NAME);
        EXPECT(s == (other ? E_MISMATCH : OK), "%d '%s'", (int)s, err_message());
        EXPECT(!other || strstr(err_message(), "decoder.embed_tokens.weight' is not 'shared.weight'"), "%s",
               err_message());
        err_clear();
    }
}

/* ---- weights in place */

static bool on_arena(const Arena *a, const void *p)
{
    return (const char *)p >= a->base && (const char *)p < a->end;
}

static int in_file(const Model *m, const Arena *a)
{
    int n = 0;
    for (int i = 0; i < params_n(m->params); i++) n += !on_arena(a, params_at(m->params, i)->val.data);
    return n;
}

/* safetensors whose header moves the values off four bytes, as nothing forbids. */
static void misalign(const char *path)
{
    Bytes f;
    assert_int_equal(file_read(&f, &A, path), OK);
    char *moved = arena_take(&A, f.len + 1);
    uint64_t n;
    memcpy(&n, f.text, 8);
    memcpy(moved + 8, f.text + 8, n);
    moved[8 + n] = ' ';
    memcpy(moved + 9 + n, f.text + 8 + n, f.len - 8 - n);
    n++;
    memcpy(moved, &n, 8);
    assert_int_equal(file_write(path, moved, f.len + 1), OK);
}

/* F32 is used where it lies; writing to it leaves the file alone; saving over the file leaves the model alone. */
static void in_place(void **state)
{
    (void)state;
    const char *path = str_print(&A, "%s/model.safetensors", DIR_NAME);
    for (int i = 0; i < N_SHAPES; i++) {
        Model *a = small_model(&A, SHAPES[i], F32), *b, *c;
        assert_int_equal(model_save(a, DIR_NAME), OK);
        Arena own = arena_open((size_t)1 << 30);
        EXPECT(model_load(&b, &own, DIR_NAME) == OK, "%s", err_message());
        EXPECT(in_file(b, &own) == params_n(b->params), "%s: %d of %d parameters lie in the file", SHAPES[i],
               in_file(b, &own), params_n(b->params));
        Bytes before, after;
        assert_int_equal(file_read(&before, &A, path), OK);
        for (int j = 0; j < params_n(b->params); j++) tensor_fill(params_at(b->params, j)->val, 0.5);
        assert_int_equal(file_read(&after, &A, path), OK);
        assert_memory_equal(before.text, after.text, before.len);
        assert_int_equal(model_save(b, DIR_NAME), OK);
        EXPECT(model_load(&c, &A, DIR_NAME) == OK, "%s", err_message());
        assert_true(tensor_get(params_at(c->params, 0)->val, 0) == 0.5);
        assert_int_equal(model_save(a, DIR_NAME), OK);
        assert_true(tensor_get(params_at(c->params, 0)->val, 0) == 0.5);

        EXPECT(model_load_as(&b, &own, DIR_NAME, &(LoadOptions){.dtype = F64}) == OK, "%s", err_message());
        assert_int_equal(in_file(b, &own), 0);
        misalign(path);
        EXPECT(model_load(&b, &own, DIR_NAME) == OK, "%s", err_message());
        assert_int_equal(in_file(b, &own), 0);
        for (int j = 0; j < params_n(a->params); j++)
            assert_memory_equal(params_at(a->params, j)->val.data, params_at(b->params, j)->val.data,
                                tensor_bytes(params_at(a->params, j)->val));
        arena_close(&own);
    }
}

/* Bytes in memory now, or the most since the last call with `forget`; 0 where unknown. */
static long resident(const char *line)
{
    long kb = 0;
    char text[256];
    FILE *f = fopen("/proc/self/status", "r");
    while (f && fgets(text, sizeof text, f))
        if (!strncmp(text, line, strlen(line))) kb = strtol(text + strlen(line) + 1, NULL, 10);
    if (f) fclose(f);
    return kb * 1024;
}

static bool forget(void)
{
    FILE *f = fopen("/proc/self/clear_refs", "w");
    return f && (fputs("5", f) >= 0) & !fclose(f);
}

/* A loaded model takes the memory of its file, whether its values lie in it or had to be copied out of it. */
static void memory_of_the_file(void **state)
{
    (void)state;
#if defined(__SANITIZE_ADDRESS__)
    skip(); /* its shadow counts too */
#endif
    Config c = small_config("roberta");
    c.vocab = 20000;
    c.dim = 256;
    Model *m;
    Arena make = arena_open((size_t)1 << 30);
    assert_int_equal(model_open(&m, &make, &c, F32, 1), OK);
    assert_int_equal(model_save(m, DIR_NAME), OK);
    long size = (long)(4 * params_count(m->params, NULL, false));
    arena_close(&make);
    for (int moved = 0; moved < 2; moved++) {
        if (moved) misalign(str_print(&A, "%s/model.safetensors", DIR_NAME));
        Arena own = arena_open((size_t)1 << 30);
        long before = resident("VmRSS");
        if (!before || !forget()) skip();
        EXPECT(model_load(&m, &own, DIR_NAME) == OK, "%s", err_message());
        double sum = 0;
        for (int i = 0; i < params_n(m->params); i++)
            for (int64_t j = 0; j < tensor_count(params_at(m->params, i)->val); j++)
                sum += tensor_get(params_at(m->params, i)->val, j);
        long grown = resident("VmHWM") - before;
        /* a piece of 4 MB twice, and pages of 2 MB at the ends of piece and copy; the file a second time is more */
        EXPECT(isfinite(sum) && grown < size + size / 10 + (8 << 20), "%s: %ld bytes of a file of %ld",
               moved ? "copied" : "in place", grown, size);
        arena_close(&own);
        long left = resident("VmRSS") - before;
        EXPECT(left < size / 2, "the arena is closed and %ld bytes stay", left);
    }
}

static void expect_refused(const char *config, Status want, const char *says)
{
    const char *path = str_print(&A, "%s/config.json", DIR_NAME);
    assert_int_equal(file_write(path, config, strlen(config)), OK);
    Model *m;
    Status s = model_load(&m, &A, DIR_NAME);
    EXPECT(s == want && strstr(err_message(), says) && !m, "%s answered with %d '%s', expected '%s'", config, (int)s,
           err_message(), says);
    err_clear();
}

/* Every family reads ids from 0 on, and -1 as none, but for the padding of those that cannot do without. */
static void ids_of_special_tokens(void **state)
{
    (void)state;
    static const char *const TYPES[] = {"gpt2", "gpt_neox", "llama", "modernbert", "bert", "roberta", "bart", "t5"},
                             *const KEYS[] = {"pad_token_id", "bos_token_id", "eos_token_id"};
    static const int VALUES[] = {0, -1, -2, 5};
    const char *path = str_print(&A, "%s/config.json", DIR_NAME);
    for (int type = 0; type < 8; type++)
        for (int key = 0; key < 3; key++)
            for (int v = 0; v < 4; v++) {
                Config c;
                const char *text =
                    str_print(&A, "{\"model_type\": \"%s\", \"%s\": %d}", TYPES[type], KEYS[key], VALUES[v]);
                bool taken = VALUES[v] >= (key == 0 && type >= 4 ? 0 : -1);
                assert_int_equal(file_write(path, text, strlen(text)), OK);
                Status s = config_load(&c, DIR_NAME);
                const int *id[] = {&c.pad, &c.bos, &c.eos};
                EXPECT(taken ? s == OK && *id[key] == VALUES[v] : s == E_FORMAT && strstr(err_message(), KEYS[key]),
                       "%s: %d '%s'", text, (int)s, err_message());
                err_clear();
            }
}

static void bad_configs(void **state)
{
    (void)state;
    static const struct {
        const char *config;
        Status status;
        const char *says;
    } CASES[] = {
        {"{}", E_FORMAT, "has no model_type"},
        {"[]", E_FORMAT, "not a JSON object"},
        {"{\"model_type\": \"gpt2\"", E_FORMAT, "config.json:1:"},
        {"{\"model_type\": 3}", E_FORMAT, "model_type is not a string"},
        {"{\"model_type\": \"longt5\"}", E_FORMAT, "model_type is 'longt5'"},
        {"{\"model_type\": \"codet5p\"}", E_FORMAT, "CodeGen encoder and decoder"},
        {"{\"model_type\": \"codet5p_embedding\"}", E_FORMAT, "encoder alone with a projection"},
        {"{\"model_type\": \"bert\", \"position_embedding_type\": \"relative_key\"}", E_FORMAT,
         "position_embedding_type is relative_key"},
        {"{\"model_type\": \"bert\", \"is_decoder\": true}", E_FORMAT, "is_decoder is true"},
        {"{\"model_type\": \"bert\", \"add_cross_attention\": true}", E_FORMAT, "add_cross_attention is true"},
        {"{\"model_type\": \"bart\", \"normalize_before\": true}", E_FORMAT, "normalize_before is true"},
        {"{\"model_type\": \"mbart\", \"normalize_before\": false}", E_FORMAT, "normalize_before is false"},
        {"{\"model_type\": \"gpt2\", \"n_embd\": \"8\"}", E_FORMAT, "n_embd is not a number"},
        {"{\"model_type\": \"gpt2\", \"n_embd\": 8.5}", E_FORMAT, "whole number"},
        {"{\"model_type\": \"gpt2\", \"n_embd\": -8}", E_FORMAT, "n_embd is -8"},
        {"{\"model_type\": \"gpt2\", \"n_embd\": 1e12}", E_FORMAT, "n_embd is 1e+12"},
        {"{\"model_type\": \"gpt2\", \"n_embd\": 9, \"n_head\": 2}", E_FORMAT, "not a multiple"},
        {"{\"model_type\": \"gpt2\", \"activation_function\": \"mish\"}", E_FORMAT, "'mish'"},
        {"{\"model_type\": \"gpt2\", \"tie_word_embeddings\": 1}", E_FORMAT, "not true or false"},
        {"{\"model_type\": \"gpt2\", \"scale_attn_weights\": false}", E_FORMAT, "only true is supported"},
        {"{\"model_type\": \"gpt2\", \"resid_pdrop\": 1}", E_FORMAT, "dropout is 1"},
        {"{\"model_type\": \"gpt2\", \"layer_norm_epsilon\": 0}", E_FORMAT, "eps is 0"},
        {"{\"model_type\": \"gpt2\", \"n_embd\": 1000000, \"n_head\": 1, \"n_layer\": 4000}", E_FORMAT, "parameters"},
        {"{\"model_type\": \"gpt2\", \"vocab_size\": 90000}", E_MISMATCH, "describes about"},
        {"{\"model_type\": \"roberta\", \"position_embedding_type\": \"relative_key\"}", E_FORMAT, "absolute"},
        {"{\"model_type\": \"roberta\", \"max_position_embeddings\": 2}", E_FORMAT, "positions is 2"},
        {"{\"model_type\": \"t5\", \"feed_forward_proj\": \"gated-mish\"}", E_FORMAT, "'mish'"},
        {"{\"model_type\": \"t5\", \"relative_attention_num_buckets\": 7}", E_FORMAT, "rel_buckets is 7"},
        {"{\"model_type\": \"t5\", \"relative_attention_max_distance\": 8}", E_FORMAT, "rel_distance is 8"},
        {"{\"model_type\": \"roberta\", \"is_decoder\": true}", E_FORMAT, "is_decoder is true, only false"},
        {"{\"model_type\": \"roberta\", \"add_cross_attention\": true}", E_FORMAT, "add_cross_attention is true"},
        {"{\"model_type\": \"roberta\", \"is_encoder_decoder\": true}", E_FORMAT, "is_encoder_decoder is true"},
        {"{\"model_type\": \"roberta\", \"hidden_act\": \"quick_gelu\"}", E_FORMAT, "hidden_act is 'quick_gelu'"},
        {"{\"model_type\": \"roberta\", \"hidden_act\": [1]}", E_FORMAT, "hidden_act is not a string"},
        {"{\"model_type\": \"roberta\", \"pruned_heads\": {\"0\": [1]}}", E_FORMAT, "pruned_heads is {"},
        {"{\"model_type\": \"gpt2\", \"quantization_config\": {\"bits\": 4}}", E_FORMAT, "has a quantization_config"},
        {"{\"model_type\": \"gpt2\", \"scale_attn_by_inverse_layer_idx\": true}", E_FORMAT, "idx is true, only"},
        {"{\"model_type\": \"gpt2\", \"add_cross_attention\": 1}", E_FORMAT, "add_cross_attention is 1"},
        {"{\"model_type\": \"bart\", \"normalize_before\": true}", E_FORMAT, "normalize_before is true"},
        {"{\"model_type\": \"plbart\", \"is_encoder_decoder\": false}", E_FORMAT, "is_encoder_decoder is false"},
        {"{\"model_type\": \"t5\", \"tie_encoder_decoder\": true}", E_FORMAT, "tie_encoder_decoder is true"},
    };
    Model *m = small_model(&A, "gpt2", F32);
    assert_int_equal(model_save(m, DIR_NAME), OK);
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++)
        expect_refused(CASES[i].config, CASES[i].status, CASES[i].says);
#define SMALL "{\"model_type\": \"gpt2\", \"vocab_size\": 23, \"n_embd\": 8, \"n_head\": 2, \"n_inner\": 12, "
    expect_refused(SMALL "\"n_positions\": 20, \"n_layer\": 4}", E_MISMATCH,
                   "has no tensor 'transformer.h.3.ln_1.weight'");
    expect_refused(SMALL "\"n_positions\": 20, \"n_layer\": 2}", E_MISMATCH, "'transformer.h.2.");
    expect_refused(SMALL "\"n_positions\": 21, \"n_layer\": 3}", E_MISMATCH, "[20, 8], expected (21,8)");
    unlink(str_print(&A, "%s/model.safetensors", DIR_NAME));
    expect_refused(SMALL "\"n_positions\": 20, \"n_layer\": 3}", E_IO, "model.safetensors");
    unlink(str_print(&A, "%s/config.json", DIR_NAME));
    assert_int_equal(model_load(&m, &A, DIR_NAME), E_IO);
    err_clear();
}

/* A config without keys has the reference's own defaults.  Counts are the published models'. */
static void published_configs(void **state)
{
    (void)state;
    static const struct {
        const char *config;
        int64_t total;
        bool pooler, head;
    } KNOWN[] = {
        {"{\"model_type\": \"roberta\", \"max_position_embeddings\": 514, \"type_vocab_size\": 1}", 124645632, true},
        {"{\"model_type\": \"roberta\", \"vocab_size\": 51416, \"max_position_embeddings\": 1026, "
         "\"type_vocab_size\": 10}",
         125929728, true},
        {"{\"model_type\": \"plbart\"}", 139220736 + 50005, false, true},
        {"{\"model_type\": \"t5\", \"vocab_size\": 32100}", 60492288, false, true},
        {"{\"model_type\": \"t5\", \"vocab_size\": 32100, \"d_model\": 768, \"d_ff\": 3072, \"num_layers\": 12, "
         "\"num_heads\": 12}",
         222882048, false, true},
        {"{\"model_type\": \"gpt2\"}", 124439808, false, true},
        {"{\"model_type\": \"bart\"}", 406291456 + 50265, false, true}};
    const char *path = str_print(&A, "%s/config.json", DIR_NAME);
    for (size_t i = 0; i < sizeof KNOWN / sizeof *KNOWN; i++) {
        Config c;
        Model *m;
        assert_int_equal(file_write(path, KNOWN[i].config, strlen(KNOWN[i].config)), OK);
        EXPECT(config_load(&c, DIR_NAME) == OK, "%s", err_message());
        c.pooler = KNOWN[i].pooler;
        c.no_lm_head = !KNOWN[i].head;
        size_t before = arena_peak(&A);
        EXPECT(model_open_blank(&m, &A, &c, F32, 1) == OK, "%s", err_message());
        EXPECT(params_count(m->params, NULL, false) == KNOWN[i].total, "%s: %lld parameters, expected %lld",
               KNOWN[i].config, (long long)params_count(m->params, NULL, false), (long long)KNOWN[i].total);
        assert_true(arena_peak(&A) - before < 1 << 22);
        near(config_size(&m->config) / (double)KNOWN[i].total, 1, 0.02,
             KNOWN[i].config); /* the estimate that refuses files */
    }
    Config c;
#define READS(config)                                                                                                \
    assert_int_equal(file_write(path, config, strlen(config)), OK);                                                  \
    EXPECT(config_load(&c, DIR_NAME) == OK, "%s", err_message())
    READS("{\"model_type\": \"roberta\", \"hidden_size\": 1024, \"num_attention_heads\": 16}");
    assert_true(c.positions == 512 && c.types == 2 && c.eps == 1e-12 && c.hidden == 3072);
    READS("{\"model_type\": \"t5\", \"d_model\": 768}");
    assert_true(c.hidden == 2048 && c.head_dim == 64 && c.heads == 8);
    READS("{\"model_type\": \"plbart\", \"encoder_attention_heads\": 16, \"encoder_ffn_dim\": 4096}");
    assert_true(c.decoder_heads == 12 && c.decoder_hidden == 3072 && c.scale_embedding);
}

/* The same refusals for configs made in code. */
static void bad_fields(void **state)
{
    (void)state;
    for (int i = 0; i < N_SHAPES; i++) {
        Config good = small_config(SHAPES[i]), c;
        Model *m;
#define REFUSES(change, says)                                                                                        \
    do {                                                                                                             \
        c = good;                                                                                                    \
        change;                                                                                                      \
        Status s = model_open(&m, &A, &c, F32, 1);                                                                   \
        EXPECT(s == E_CONFIG && strstr(err_message(), says), "%s, %s: %d '%s'", SHAPES[i], #change, (int)s,          \
               err_message());                                                                                       \
        err_clear();                                                                                                 \
    } while (0)
        REFUSES(c.vocab = 0, "vocab");
        REFUSES(c.layers = 0, "layers");
        REFUSES(c.layers = 1 << 30, "layers");
        REFUSES((c.heads = 3, c.head_dim = 0), "multiple");
        REFUSES(c.heads = 0, "heads");
        REFUSES(c.dropout = 1.5, "dropout");
        REFUSES(c.eps = 0, "eps");
        REFUSES(c.act = (Act)99, "act");
        REFUSES((c.vocab = 100000000, c.dim = 1 << 20, c.head_dim = 0), "parameters");
        REFUSES(strcpy(c.arch, "elmo"), "elmo");
        EXPECT(model_open(&m, &A, &good, F32, 1) == OK, "%s", err_message());
        EXPECT(model_open(&m, &A, &good, BF16, 1) == E_CONFIG, "a model in BF16");
        err_clear();
    }
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
SUITE(TEST(save_and_load), TEST(new_head), TEST(other_names), TEST(untied_tables), TEST(in_place),
      TEST(memory_of_the_file), TEST(published_configs), TEST(ids_of_special_tokens), TEST(bad_configs),
      TEST(bad_fields))

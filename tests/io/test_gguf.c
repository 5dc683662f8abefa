/* GGUF: every quantised type against recorded values of the gguf package, the typed metadata, the library's names and
 * row orders, split models, and files that are damaged or lie about their lengths. */
#include "expect.h"

#include <sys/stat.h>

#include "base/err.h"
#include "num/blocks.h"
#include "io/made_gguf.h"
#include "io/reader.h"
#include "scratch.h"

static const char *write_made(const MadeGguf *m, const char *name)
{
    Buf b = made_bytes(m);
    const char *path = str_print(&arena, "%s/%s", dir, name);
    assert_int_equal(file_write(path, b.text, b.len), OK);
    return path;
}

static Gguf *opened(const MadeGguf *m)
{
    Gguf *g;
    const char *path = write_made(m, "x.gguf");
    EXPECT(gguf_open(&g, &arena, path) == OK, "%s", err_message());
    unlink(path);
    return g;
}

static Weights *weights_of(const char *path)
{
    Weights *w;
    EXPECT(weights_open(&w, &arena, path) == OK, "%s", err_message());
    return w;
}

/* ---- values */

/* Bytes of a linear congruential generator; the scales' halves are kept small.  The sums were recorded from
 * gguf.quants.dequantize (gguf 0.19.0), FNV-1a over the bytes of 8192 F32. */
static void blocks_are_read_as_the_gguf_package_reads_them(void **state)
{
    (void)state;
    static const struct {
        StoredType type;
        int bytes, half[2];
        uint64_t sum;
    } CASES[] = {
        {STORED_Q4_0, 18, {0, -1}, 0x0e424268e99c4bf7ull},    {STORED_Q4_1, 20, {0, 2}, 0xae1161941b2d0b87ull},
        {STORED_Q5_0, 22, {0, -1}, 0xaacb7709d39d6005ull},    {STORED_Q5_1, 24, {0, 2}, 0x53ca91fe309dc63dull},
        {STORED_Q8_0, 34, {0, -1}, 0x5f8213a8e3d0fa58ull},    {STORED_Q2_K, 84, {80, 82}, 0xfd754558545d1ca4ull},
        {STORED_Q3_K, 110, {108, -1}, 0x075d862640f95cdaull}, {STORED_Q4_K, 144, {0, 2}, 0x3c3a614bd50ba3d5ull},
        {STORED_Q5_K, 176, {0, 2}, 0x030229cdb4f6706cull},    {STORED_Q6_K, 210, {208, -1}, 0xd91f2cbf386f6e2full}};
    enum { VALUES = 8192 };
    for (size_t c = 0; c < sizeof CASES / sizeof *CASES; c++) {
        StoredType type = CASES[c].type;
        int64_t n = VALUES / stored_block(type), size = CASES[c].bytes;
        assert_int_equal(stored_size(type), size);
        uint8_t *x = (uint8_t *)arena_take(&arena, (size_t)(n * size) + 1) + 1; /* at an odd address */
        uint64_t state_ = 0, sum = 14695981039346656037ull;
        for (int64_t i = 0; i < n * size; i++) {
            state_ = state_ * 6364136223846793005ull + 1442695040888963407ull;
            x[i] = (uint8_t)(state_ >> 56);
            for (int h = 0; h < 2; h++)
                if (i % size == CASES[c].half[h] + 1 && CASES[c].half[h] >= 0) x[i] &= 0xbf;
        }
        Stored s = {"x", type, 2, {VALUES / 256, 256}, VALUES, x, (size_t)(n * size), "here"};
        Tensor y = tensor_new(&arena, F32, SHAPE(VALUES / 256, 256)),
               z = tensor_new(&arena, F64, SHAPE(VALUES / 256, 256));
        assert_int_equal(stored_read(y, &s), OK);
        for (int i = 0; i < VALUES * 4; i++) sum = (sum ^ ((const uint8_t *)y.data)[i]) * 1099511628211ull;
        EXPECT(sum == CASES[c].sum, "%s: %016llx", stored_type(&s), (unsigned long long)sum);

        assert_int_equal(stored_read(z, &s), OK);
        double worst = 0;
        Stored f = stored_convert(&arena, &s, STORED_F32, &worst);
        assert_true(worst == 0 && !memcmp(f.bytes, y.data, f.n_bytes));
        for (int i = 0; i < VALUES; i += 37)
            assert_true(stored_get(&s, i) == tensor_get(y, i) && tensor_get(z, i) == tensor_get(y, i));
        Tensor t;
        assert_int_equal(stored_tensor(&t, &arena, &s), OK);
        assert_true(t.dtype == F32 && !memcmp(t.data, y.data, f.n_bytes));
    }
}

static void metadata_is_typed(void **state)
{
    (void)state;
    MadeGguf m = made_gguf(&arena);
    static const char *const WORDS[] = {"a", "", "ü"};
    put_u32(&m, "n", 7);
    put_f32(&m, "x", 0.5f);
    put_bool(&m, "yes", true);
    put_string(&m, "name", "tiny");
    put_strings(&m, "words", WORDS, 3);
    put_ints(&m, "ints", (const int32_t[]){-1, 2}, 2);
    put_key(&m, "negative", GGUF_I8);
    put_number(&m.keys, 0xfe, 1);
    put_key(&m, "huge", GGUF_U64);
    put_number(&m.keys, UINT64_MAX, 8);
    Gguf *g = opened(&m);
    int64_t n = 0, count;
    double x = 0;
    bool yes = false;
    const char *name = NULL;
    Bytes *words;
    int32_t *ints;
    assert_int_equal(gguf_int(&n, g, "n", 0, 10), OK);
    assert_int_equal(n, 7);
    assert_int_equal(gguf_int(&n, g, "absent", 0, 10), OK);
    assert_int_equal(n, 7);
    assert_int_equal(gguf_int(&n, g, "negative", -10, 10), OK);
    assert_int_equal(n, -2);
    assert_int_equal(gguf_real(&x, g, "x", 0, 1), OK);
    assert_true(x == 0.5);
    assert_int_equal(gguf_bool(&yes, g, "yes"), OK);
    assert_true(yes);
    assert_int_equal(gguf_text(&name, &arena, g, "name"), OK);
    assert_string_equal(name, "tiny");
    assert_int_equal(gguf_texts(&words, &count, &arena, g, "words"), OK);
    assert_true(count == 3 && words[1].len == 0 && words[2].len == 2 && !memcmp(words[2].text, "ü", 2));
    assert_int_equal(gguf_ints(&ints, &count, &arena, g, "ints"), OK);
    assert_true(count == 2 && ints[0] == -1 && ints[1] == 2);
    assert_int_equal(gguf_int(&n, g, "n", 0, 6), E_FORMAT);
    assert_string_equal(strstr(err_message(), "key"), "key 'n' is 7, expected 0 to 6");
    err_clear();
    assert_int_equal(gguf_int(&n, g, "words", 0, 6), E_FORMAT);
    assert_string_equal(strstr(err_message(), "key"), "key 'words' is an array of string, expected a whole number");
    err_clear();
    assert_int_equal(gguf_int(&n, g, "huge", 0, INT32_MAX), E_FORMAT);
    err_clear();
    assert_int_equal(gguf_texts(&words, &count, &arena, g, "ints"), E_FORMAT);
    err_clear();
    assert_int_equal(gguf_text(&name, &arena, g, "x"), E_FORMAT);
    err_clear();
    gguf_close(g);
}

/* ---- names and orders */

static void expect_row(const Weights *w, const char *name, int row, double first)
{
    const Stored *s = weights_find(w, name);
    EXPECT(s != NULL, "no tensor %s", name);
    double got = stored_get(s, row * (s->rank > 1 ? s->dim[1] : 1));
    EXPECT(got == first, "%s: row %d begins with %g, expected %g", name, row, got, first);
}

static void llama_rows_are_halves_again(void **state)
{
    (void)state;
    MadeGguf m = made_llama(&arena, "llama");
    put_counting(&m, "blk.0.attn_q.bias", 8, 0, 0);
    Weights *w = weights_of(write_made(&m, "llama.gguf"));
    static const int FILE_ROW[] = {0, 2, 1, 3, 4, 6, 5, 7}; /* two heads of four: (0 1) (2 3) turn together */
    for (int i = 0; i < 8; i++) {
        expect_row(w, "model.layers.0.self_attn.q_proj.weight", i, 8 * FILE_ROW[i]);
        expect_row(w, "model.layers.0.self_attn.q_proj.bias", i, FILE_ROW[i]);
        if (i < 4) expect_row(w, "model.layers.0.self_attn.k_proj.weight", i, 8 * FILE_ROW[i]);
        if (i < 4) expect_row(w, "model.layers.0.self_attn.v_proj.weight", i, 8 * i);
    }
    assert_non_null(weights_find(w, "model.embed_tokens.weight"));
    assert_non_null(weights_find(w, "model.layers.0.post_attention_layernorm.weight"));
    weights_close(w);

    m = made_llama(&arena, "qwen2");
    w = weights_of(write_made(&m, "qwen2.gguf"));
    for (int i = 0; i < 8; i++) expect_row(w, "model.layers.0.self_attn.q_proj.weight", i, 8 * i);
    weights_close(w);
}

/* A quantised query moves by rows of blocks. */
static void quantised_rows_move_too(void **state)
{
    (void)state;
    MadeGguf m = made_gguf(&arena);
    put_string(&m, "general.architecture", "llama");
    put_u32(&m, "llama.attention.head_count", 1);
    uint8_t x[4][34] = {{0}};
    for (int i = 0; i < 4; i++) x[i][1] = 0x3c, x[i][2] = (uint8_t)(10 * i); /* scale 1 */
    put_tensor(&m, "blk.11.attn_q.weight", 4, 32, 8, x, sizeof x);
    put_tensor(&m, "blk.11.attn_v.weight", 4, 32, 8, x, sizeof x);
    Weights *w = weights_of(write_made(&m, "q8.gguf"));
    static const double FIRST[] = {0, 20, 10, 30};
    for (int i = 0; i < 4; i++) expect_row(w, "model.layers.11.self_attn.q_proj.weight", i, FIRST[i]);
    for (int i = 0; i < 4; i++) expect_row(w, "model.layers.11.self_attn.v_proj.weight", i, 10 * i);
    assert_string_equal(stored_type(weights_find(w, "model.layers.11.self_attn.q_proj.weight")), "Q8_0");
    weights_close(w);
}

static void gpt2_is_transposed_and_gptneox_interleaved(void **state)
{
    (void)state;
    MadeGguf m = made_gguf(&arena);
    put_string(&m, "general.architecture", "gpt2");
    put_u32(&m, "gpt2.attention.head_count", 1);
    put_counting(&m, "blk.0.attn_qkv.weight", 6, 2, 0);
    put_counting(&m, "blk.0.attn_qkv.bias", 6, 0, 0);
    put_counting(&m, "position_embd.weight", 3, 2, 0);
    Weights *w = weights_of(write_made(&m, "gpt2.gguf"));
    const Stored *s = weights_find(w, "h.0.attn.c_attn.weight");
    assert_non_null(s);
    assert_string_equal(stored_shape(s), "[2, 6]");
    for (int i = 0; i < 6; i++) assert_true(stored_get(s, i) == 2 * i && stored_get(s, 6 + i) == 2 * i + 1);
    expect_row(w, "h.0.attn.c_attn.bias", 3, 3);
    expect_row(w, "wpe.weight", 2, 4);
    weights_close(w);

    m = made_gguf(&arena);
    put_string(&m, "general.architecture", "gptneox");
    put_u32(&m, "gptneox.attention.head_count", 2);
    put_counting(&m, "blk.0.attn_qkv.weight", 12, 4, 0); /* two heads of 2: q q' k k' v v', each of 2 rows */
    put_counting(&m, "blk.0.attn_qkv.bias", 12, 0, 0);
    w = weights_of(write_made(&m, "neox.gguf"));
    static const int FILE_ROW[] = {0, 1, 4, 5, 8, 9, 2, 3, 6, 7, 10, 11};
    for (int i = 0; i < 12; i++) {
        expect_row(w, "gpt_neox.layers.0.attention.query_key_value.weight", i, 4 * FILE_ROW[i]);
        expect_row(w, "gpt_neox.layers.0.attention.query_key_value.bias", i, FILE_ROW[i]);
    }
    weights_close(w);
}

/* A T5's `ffn_up` is one of two matrices where there is a gate, and the only one where not. */
static void t5_names_follow_the_gate(void **state)
{
    (void)state;
    for (int gated = 0; gated < 2; gated++) {
        MadeGguf m = made_gguf(&arena);
        put_string(&m, "general.architecture", "t5");
        put_counting(&m, "enc.blk.0.ffn_up.weight", 2, 2, 0);
        put_counting(&m, "dec.blk.3.cross_attn_o.weight", 2, 2, 0);
        if (gated) put_counting(&m, "enc.blk.0.ffn_gate.weight", 2, 2, 0);
        Weights *w = weights_of(write_made(&m, "t5.gguf"));
        assert_non_null(weights_find(w, gated ? "encoder.block.0.layer.1.DenseReluDense.wi_1.weight"
                                              : "encoder.block.0.layer.1.DenseReluDense.wi.weight"));
        assert_non_null(weights_find(w, "decoder.block.3.layer.1.EncDecAttention.o.weight"));
        weights_close(w);
    }
}

/* ---- configs */

static char *config_text(const MadeGguf *m)
{
    Gguf *g = opened(m);
    cJSON *root = NULL;
    char *text = NULL;
    Status s = gguf_config(&root, &arena, g);
    if (s) {
        text = str_print(&arena, "%s", err_message());
        err_clear();
    } else {
        char *printed = json_printed(root, true);
        text = str_print(&arena, "%s", printed);
        cJSON_free(printed);
        cJSON_Delete(root);
    }
    gguf_close(g);
    return text;
}

static void expect_config(const MadeGguf *m, const char *holds)
{
    const char *text = config_text(m);
    EXPECT(strstr(text, holds) != NULL, "%s does not hold %s", text, holds);
}

static void metadata_becomes_a_config(void **state)
{
    (void)state;
    MadeGguf m = made_llama(&arena, "llama");
    put_u32(&m, "tokenizer.ggml.bos_token_id", 1);
    put_u32(&m, "llama.vocab_size", 16);
    assert_string_equal(
        config_text(&m),
        "{\"model_type\":\"llama\",\"num_hidden_layers\":1,\"max_position_embeddings\":32,\"hidden_size\":8,"
        "\"intermediate_size\":12,\"num_attention_heads\":2,\"num_key_value_heads\":1,\"rms_norm_eps\":1e-05,"
        "\"rope_theta\":10000,\"bos_token_id\":1,\"vocab_size\":16,\"tie_word_embeddings\":true,"
        "\"attention_bias\":false,\"mlp_bias\":false}");
    put_counting(&m, "output.weight", 16, 8, 0);
    put_counting(&m, "blk.0.attn_q.bias", 8, 0, 0);
    expect_config(&m, "\"tie_word_embeddings\":false,\"attention_bias\":true");

    m = made_llama(&arena, "llama");
    put_u32(&m, "llama.attention.sliding_window", 16);
    expect_config(&m, "\"model_type\":\"mistral\"");
    m = made_llama(&arena, "qwen3");
    put_u32(&m, "qwen3.attention.key_length", 4);
    expect_config(&m, "\"model_type\":\"qwen3\"");
    expect_config(&m, "\"head_dim\":4");
    m = made_llama(&arena, "llama");
    put_string(&m, "llama.rope.scaling.type", "linear");
    put_f32(&m, "llama.rope.scaling.factor", 4);
    expect_config(&m, "\"rope_scaling\":{\"rope_type\":\"linear\",\"factor\":4}");
}

/* The divisors of Llama-3.2-1B (64 channels a head, factor 32) and of a scaling with other thresholds. */
static void divisors_become_a_scaling(void **state)
{
    (void)state;
    static const double SCALINGS[][4] = {{32, 1, 4, 8192}, {8, 1, 4, 8192}, {4, 2, 6, 4096}, {1, 1, 4, 8192}};
    for (int k = 0; k < 4; k++) {
        double factor = SCALINGS[k][0], low = SCALINGS[k][1], high = SCALINGS[k][2], length = SCALINGS[k][3];
        float x[32];
        for (int i = 0; i < 32; i++) {
            double wave = 2 * M_PI * pow(500000, i / 32.0), part = (length / wave - low) / (high - low);
            x[i] = (float)(wave < length / high  ? 1
                           : wave > length / low ? factor
                                                 : 1 / ((1 - part) / factor + part));
        }
        MadeGguf m = made_gguf(&arena);
        put_string(&m, "general.architecture", "llama");
        put_u32(&m, "llama.block_count", 1);
        put_u32(&m, "llama.context_length", 8);
        put_u32(&m, "llama.embedding_length", 128);
        put_u32(&m, "llama.feed_forward_length", 8);
        put_u32(&m, "llama.attention.head_count", 2);
        put_f32(&m, "llama.attention.layer_norm_rms_epsilon", 1e-5f);
        put_f32(&m, "llama.rope.freq_base", 500000);
        put_tensor(&m, "rope_freqs.weight", 32, 0, 0, x, sizeof x);
        cJSON *root = cJSON_Parse(config_text(&m));
        const cJSON *got = cJSON_GetObjectItem(root, "rope_scaling");
        EXPECT((got != NULL) == (factor > 1), "scaling %d: %s", k, config_text(&m));
        if (got) {
            double n = cJSON_GetObjectItem(got, "original_max_position_embeddings")->valuedouble;
            near(cJSON_GetObjectItem(got, "factor")->valuedouble, factor, 0, "factor");
            near(cJSON_GetObjectItem(got, "low_freq_factor")->valuedouble / n * length, low, 1e-4, "low");
            near(cJSON_GetObjectItem(got, "high_freq_factor")->valuedouble / n * length, high, 1e-3, "high");
        }
        cJSON_Delete(root);
        x[5] = 1.5f;
        MadeGguf odd = made_llama(&arena, "llama");
        put_tensor(&odd, "rope_freqs.weight", 2, 0, 0, (const float[]){3, 2}, 8);
        expect_config(&odd, "no scaling of llama3's kind");
    }
}

static void unsupported_settings_are_named(void **state)
{
    (void)state;
    static const struct {
        const char *key;
        double value; /* below 0: a text */
        const char *text, *says;
    } CASES[] = {{"llama.expert_count", 8, NULL, "mixture of experts"},
                 {"llama.rope.scaling.type", -1, "yarn", "'yarn'"},
                 {"llama.attention.value_length", 8, NULL, "values of another size"},
                 {"llama.attention.clamp_kqv", 8, NULL, "key 'llama.attention.clamp_kqv' is not supported"},
                 {"general.type", -1, "adapter", "general.type is 'adapter', expected model"},
                 {"llama.attention.sliding_window", -1, "x", "expected a whole number"}};
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        MadeGguf m = made_llama(&arena, "llama");
        if (CASES[i].text)
            put_string(&m, CASES[i].key, CASES[i].text);
        else
            put_u32(&m, CASES[i].key, (uint32_t)CASES[i].value);
        expect_config(&m, CASES[i].says);
    }
    MadeGguf m = made_llama(&arena, "mamba");
    expect_config(&m, "general.architecture is 'mamba', supported are bert, gpt2, gptneox, llama, qwen2, qwen3, t5");
    m = made_gguf(&arena);
    put_string(&m, "general.architecture", "llama");
    expect_config(&m, "has no key 'llama.block_count'");
}

/* ---- files of a folder, split models */

static const char *write_part(const char *format, int i, int of, int claims, const char *tensor)
{
    MadeGguf m = made_gguf(&arena);
    if (i == 1) put_string(&m, "general.architecture", "llama");
    put_u32(&m, "split.no", (uint32_t)i - 1);
    put_u32(&m, "split.count", (uint32_t)of);
    put_u32(&m, "split.tensors.count", (uint32_t)claims);
    put_counting(&m, tensor, 2, 2, (float)i);
    return write_made(&m, str_print(&arena, format, i, of));
}

static void expect_refused(const char *path, const char *says)
{
    Weights *w;
    Status s = weights_open(&w, &arena, path);
    EXPECT(s && strstr(err_message(), says), "%s: %d '%s', expected '%s'", path, (int)s, err_message(), says);
    err_clear();
    weights_close(w);
}

static void split_models_are_one(void **state)
{
    (void)state;
    const char *first = write_part("m-%05d-of-%05d.gguf", 1, 2, 2, "token_embd.weight");
    expect_refused(first, "m-00002-of-00002.gguf: No such file");
    const char *second = write_part("m-%05d-of-%05d.gguf", 2, 2, 2, "output.weight"), *paths[] = {first, second, dir};
    for (int i = 0; i < 3; i++) {
        Weights *w = weights_of(paths[i]);
        expect_row(w, "model.embed_tokens.weight", 0, 1);
        expect_row(w, "lm_head.weight", 0, 2);
        weights_close(w);
    }
    const char *file;
    assert_int_equal(gguf_find(&file, &arena, second), OK);
    assert_string_equal(file, first);
    write_part("m-%05d-of-%05d.gguf", 1, 2, 3, "token_embd.weight");
    expect_refused(first, "promises 3 tensors in 2 files, which hold 2");
    write_part("m-%05d-of-%05d.gguf", 1, 2, 2, "output.weight");
    expect_refused(first, "has another value in");
    expect_refused(write_part("n-%d-%d.gguf", 1, 2, 2, "output.weight"), "ends in -00001-of-00002.gguf");
    write_part("n-%05d-of-%05d.gguf", 2, 3, 3, "token_embd.weight");
    expect_refused(write_part("n-%05d-of-%05d.gguf", 1, 3, 3, "output.weight"), "n-00003-of-00003.gguf");
    expect_refused(dir, "GGUF models");
}

/* ---- damage */

/* Written without waiting for the disk, as there are thousands. */
static Status status_of(const char *bytes, size_t n, const char *path)
{
    FILE *f = fopen(path, "wb");
    assert_true(f && fwrite(bytes, 1, n, f) == n && !fclose(f));
    Weights *w;
    Status s = weights_open(&w, &arena, path);
    weights_close(w);
    return s;
}

static void a_file_cut_anywhere_is_refused(void **state)
{
    (void)state;
    const char *path = str_print(&arena, "%s/cut.gguf", dir);
    MadeGguf m = made_llama(&arena, "llama");
    put_strings(&m, "tokenizer.ggml.tokens", (const char *const[]){"a", "bc"}, 2);
    Buf b = made_bytes(&m);
    assert_int_equal(status_of(b.text, b.len, path), OK);
    Gguf *g;
    assert_int_equal(file_write(path, "", 0), OK);
    assert_int_equal(gguf_open(&g, &arena, path), E_FORMAT);
    err_clear();
    for (size_t n = 5; n < b.len; n++) {
        Status s = status_of(b.text, n, path);
        EXPECT(s == E_FORMAT && strstr(err_message(), path), "%zu bytes: %d %s", n, (int)s, err_message());
        err_clear();
    }
}

/* Any eight bytes of the header may be a length: each is set to values that no file has. */
static void huge_lengths_are_not_believed(void **state)
{
    (void)state;
    static const uint64_t LENGTHS[] = {UINT64_MAX, INT64_MAX, (uint64_t)1 << 61, (uint64_t)1 << 32, 0};
    const char *path = str_print(&arena, "%s/huge.gguf", dir);
    MadeGguf m = made_gguf(&arena);
    put_string(&m, "general.architecture", "llama");
    put_strings(&m, "tokenizer.ggml.tokens", (const char *const[]){"a", "bc"}, 2);
    put_ints(&m, "ints", (const int32_t[]){1, 2}, 2);
    put_counting(&m, "token_embd.weight", 2, 2, 0);
    Buf b = made_bytes(&m);
    size_t header = b.len - m.data.len;
    for (size_t at = 4; at + 8 <= header; at++)
        for (int k = 0; k < 5; k++) {
            char *copy = str_copy(&arena, b.text, b.len);
            memcpy(copy + at, &LENGTHS[k], 8);
            Status s = status_of(copy, b.len, path);
            EXPECT(s == OK || s == E_FORMAT, "byte %zu: %d", at, (int)s);
            err_clear();
        }
}

static void faults_are_named(void **state)
{
    (void)state;
    enum {
        TWICE,
        OVERLAP,
        ALIGN_0,
        ALIGN_24,
        ODD_OFFSET,
        BEYOND,
        TYPE,
        NO_TYPE,
        ROW,
        NO_DIM,
        BIG,
        KIND,
        NESTED,
        KEYS,
        NUL_NAME,
        OLD,
        NEW_VERSION,
        SWAPPED,
        HEADS,
        FAULTS
    };
    static const char *const SAYS[FAULTS] = {
        [TWICE] = "tensor 'a' appears twice",
        [OVERLAP] = "tensors 'a' and 'b' overlap",
        [ALIGN_0] = "general.alignment is 0, expected a power of two",
        [ALIGN_24] = "general.alignment is 24, expected a power of two",
        [ODD_OFFSET] = "begins at byte 4 of the data, expected a multiple of 32",
        [BEYOND] = "tensor 'a' has 4096 bytes from byte 0 of the data, which has 16",
        [TYPE] = "tensor 'a' is of type IQ4_NL, supported are F64, F32",
        [NO_TYPE] = "is of type 99, which is unknown",
        [ROW] = "tensor 'a' of shape [2, 48] is Q8_0, whose rows are multiples of 32",
        [NO_DIM] = "tensor 'a' has a dimension of 0",
        [BIG] = "has a dimension of 4611686018427387904",
        [KIND] = "key 'k' has a value of kind 13",
        [NESTED] = "key 'k' is an array of arrays",
        [KEYS] = "key 'k' appears twice",
        [NUL_NAME] = "holds a NUL byte",
        [OLD] = "is of GGUF version 1",
        [NEW_VERSION] = "is of GGUF version 4, supported are 2 and 3",
        [SWAPPED] = "is a big-endian GGUF file",
        [HEADS] = "does not divide into 3 heads of an even size"};
    for (int f = 0; f < FAULTS; f++) {
        MadeGguf m = made_gguf(&arena);
        if (f == ALIGN_0 || f == ALIGN_24) put_u32(&m, "general.alignment", f == ALIGN_0 ? 0 : 24);
        if (f == KIND) put_key(&m, "k", (GgufKind)13);
        if (f == NESTED) put_array(&m, "k", GGUF_ARRAY, 1);
        for (int i = 0; i < 2 && f == KEYS; i++) put_u32(&m, "k", 1);
        if (f == HEADS) put_string(&m, "general.architecture", "llama"), put_u32(&m, "llama.attention.head_count", 3);
        if (f == OLD || f == NEW_VERSION || f == SWAPPED) m.version = f == OLD ? 1 : f == NEW_VERSION ? 4 : 3u << 24;
        if (f == BEYOND || f == ODD_OFFSET)
            put_entry(&m, "a", f == BEYOND ? 1024 : 2, 0, 0, f == BEYOND ? 0 : 4);
        else if (f == TYPE || f == NO_TYPE || f == ROW)
            put_entry(&m, "a", 2, f == ROW ? 48 : 32, f == TYPE ? 20 : f == ROW ? 8 : 99, 0);
        else if (f == NO_DIM || f == BIG)
            put_entry(&m, "a", f == BIG ? (uint64_t)1 << 62 : 0, f == BIG ? 4 : 2, 0, 0);
        else
            put_counting(&m, f == HEADS ? "blk.0.attn_q.weight" : "a", 4, 0, 0);
        if (f == TWICE) put_counting(&m, "a", 4, 0, 0);
        if (f == OVERLAP) put_entry(&m, "b", 4, 0, 0, 0);
        if (f == NUL_NAME) m.list.text[8] = 0;
        if (f == BEYOND || f == ODD_OFFSET) buf_add(&m.data, "0123456789abcdef", 16);
        expect_refused(write_made(&m, "fault.gguf"), SAYS[f]);
    }
}

SUITE(cmocka_unit_test_setup_teardown(blocks_are_read_as_the_gguf_package_reads_them, begin, end),
      cmocka_unit_test_setup_teardown(metadata_is_typed, begin, end),
      cmocka_unit_test_setup_teardown(llama_rows_are_halves_again, begin, end),
      cmocka_unit_test_setup_teardown(quantised_rows_move_too, begin, end),
      cmocka_unit_test_setup_teardown(gpt2_is_transposed_and_gptneox_interleaved, begin, end),
      cmocka_unit_test_setup_teardown(t5_names_follow_the_gate, begin, end),
      cmocka_unit_test_setup_teardown(metadata_becomes_a_config, begin, end),
      cmocka_unit_test_setup_teardown(divisors_become_a_scaling, begin, end),
      cmocka_unit_test_setup_teardown(unsupported_settings_are_named, begin, end),
      cmocka_unit_test_setup_teardown(split_models_are_one, begin, end),
      cmocka_unit_test_setup_teardown(a_file_cut_anywhere_is_refused, begin, end),
      cmocka_unit_test_setup_teardown(huge_lengths_are_not_believed, begin, end),
      cmocka_unit_test_setup_teardown(faults_are_named, begin, end))

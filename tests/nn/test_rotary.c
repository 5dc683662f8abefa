/* Rotary positions, grouped key heads and windows, by properties that need no reference: a restatement in plain
 * loops, equalities between models, the rates of published checkpoints, their sizes, and the forms of config.json. */
#include "small.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "io/safetensors.h"
#include "nn/block.h"
#include "nn/build.h"
#include "nn/config.h"
#include "nn/rope.h"

static Arena RUN, STEP;

static int set_up(void **state)
{
    (void)state;
    RUN = arena_open((size_t)1 << 32);
    STEP = arena_open((size_t)1 << 32);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    arena_close(&RUN);
    arena_close(&STEP);
    return 0;
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

static Model *open_model(const Config *c)
{
    Model *m;
    EXPECT(model_open(&m, &RUN, c, F64, 11) == OK, "%s", err_message());
    stir(m);
    return m;
}

/* ---- the rates of published checkpoints */

static Config rope_config(double base, int dim, RopeScaling kind, double factor)
{
    Config c = {0};
    arch_find("llama")->defaults(&c);
    c.dim = dim, c.heads = 1;
    c.rope = (Rope){.share = 1, .base = base, .kind = kind, .factor = factor, .low = 1, .high = 4, .original = 8192};
    return c;
}

static void rates_of_llama3(void **state)
{
    (void)state;
    static const double RATIO_8B[] = {.828168, .643743, .493507, .371122, .271425, .190211};
    float plain[64], scaled[64];
    Config c = rope_config(5e5, 64, ROPE_PLAIN, 0);
    rope_rates(plain, &c, false);
    c = rope_config(5e5, 64, ROPE_LLAMA3, 32);
    rope_rates(scaled, &c, false);
    assert_true(fabs((double)plain[14] / .00321144599 - 1) < 1e-6);
    for (int i = 0; i < 15; i++) assert_true(scaled[i] == plain[i]);
    assert_true(fabs((double)scaled[15] / .00129054793 - 1) < 1e-6);
    assert_true(fabs((double)scaled[16] / .000429556797 - 1) < 1e-6);
    assert_true(fabs((double)scaled[17] / 9.7082878e-05 - 1) < 1e-6);
    for (int i = 18; i < 32; i++) assert_true(fabs((double)scaled[i] / (double)plain[i] - 1. / 32) < 1e-8);

    c = rope_config(5e5, 128, ROPE_PLAIN, 0);
    rope_rates(plain, &c, false);
    c = rope_config(5e5, 128, ROPE_LLAMA3, 8);
    rope_rates(scaled, &c, false);
    for (int i = 0; i < 64; i++) {
        double want = i < 29 ? 1 : i < 35 ? RATIO_8B[i - 29] : .125, got = (double)scaled[i] / (double)plain[i];
        EXPECT(fabs(got - want) < 2e-6, "pair %d turns %g times as fast, expected %g", i, got, want);
    }
    c = rope_config(5e5, 128, ROPE_LINEAR, 8);
    rope_rates(scaled, &c, false);
    for (int i = 0; i < 64; i++) assert_true(scaled[i] == plain[i] / 8);
}

/* ---- a restatement in plain loops, of one row of tokens */

typedef struct {
    const Model *m;
    const Config *c;
    int64_t t;
} Plain;

static double element(const Plain *x, int layer, const char *name, int64_t i)
{
    const Param *p = param_find(x->m->params, str_print(&RUN, "layers.%d.%s", layer, name));
    return p ? tensor_get(p->val, i) : 0;
}

static double *rms(const Plain *x, const double *z, int64_t n, int64_t c, const Param *gain)
{
    double *y = NEW(&RUN, double, n *c);
    for (int64_t i = 0; i < n; i++) {
        double sum = 0;
        for (int64_t j = 0; j < c; j++) sum += z[i * c + j] * z[i * c + j] / (double)c;
        for (int64_t j = 0; j < c; j++)
            y[i * c + j] = z[i * c + j] / sqrt(sum + x->c->eps) * tensor_get(gain->val, j);
    }
    return y;
}

static double *linear_of(const Plain *x, int layer, const char *name, const double *z, int64_t in, int64_t out)
{
    double *y = NEW(&RUN, double, x->t *out);
    const Param *w = param_find(x->m->params, str_print(&RUN, "layers.%d.%s.weight", layer, name));
    for (int64_t i = 0; i < x->t * out; i++) {
        y[i] = element(x, layer, str_print(&RUN, "%s.bias", name), i % out);
        for (int64_t k = 0; k < in; k++) y[i] += z[i / out * in + k] * tensor_get(w->val, i % out * in + k);
    }
    return y;
}

/* Norm of each head, where there is one, and rotation by the row's number. */
static double *placed(const Plain *x, int layer, const char *norm, double *z, int heads)
{
    int d = x->c->head_dim, half = d / 2;
    const Param *gain = param_find(x->m->params, str_print(&RUN, "layers.%d.self_attn.%s.weight", layer, norm));
    float rate[64];
    rope_rates(rate, x->c, false);
    if (gain) z = rms(x, z, x->t * heads, d, gain);
    for (int64_t h = 0; h < x->t * heads; h++)
        for (int i = 0; i < half; i++) {
            double angle = (double)((float)(h / heads) * rate[i]);
            double a = z[h * d + i], b = z[h * d + i + half];
            z[h * d + i] = a * cos(angle) - b * sin(angle);
            z[h * d + i + half] = b * cos(angle) + a * sin(angle);
        }
    return z;
}

static double *attention_of(const Plain *x, int layer, const double *z)
{
    const Config *c = x->c;
    int64_t t = x->t, d = c->head_dim, h = c->heads, g = c->kv_heads, n = h * d;
    double *q = placed(x, layer, "q_norm", linear_of(x, layer, "self_attn.q_proj", z, c->dim, n), c->heads);
    double *k = placed(x, layer, "k_norm", linear_of(x, layer, "self_attn.k_proj", z, c->dim, g * d), c->kv_heads);
    double *v = linear_of(x, layer, "self_attn.v_proj", z, c->dim, g * d), *y = NEW(&RUN, double, t *n);
    int64_t window = c->window && layer >= c->window_from ? c->window : t;
    for (int64_t i = 0; i < t * h; i++) {
        double weight[64], sum = 0;
        int64_t row = i / h, head = i % h, group = head / (h / g);
        for (int64_t j = 0; j <= row; j++) {
            double dot = 0;
            for (int64_t e = 0; e < d; e++) dot += q[row * n + head * d + e] * k[j * g * d + group * d + e];
            sum += weight[j] = row - j < window ? exp(dot / sqrt((double)d)) : 0;
        }
        for (int64_t j = 0; j <= row; j++)
            for (int64_t e = 0; e < d; e++)
                y[row * n + head * d + e] += weight[j] / sum * v[j * g * d + group * d + e];
    }
    return linear_of(x, layer, "self_attn.o_proj", y, n, c->dim);
}

static double *ffn_of(const Plain *x, int layer, const double *z)
{
    int64_t d = x->c->dim, f = x->c->hidden;
    double *gate = linear_of(x, layer, "mlp.gate_proj", z, d, f), *up = linear_of(x, layer, "mlp.up_proj", z, d, f);
    for (int64_t i = 0; i < x->t * f; i++) up[i] *= gate[i] / (1 + exp(-gate[i]));
    return linear_of(x, layer, "mlp.down_proj", up, f, d);
}

static const Param *gain_of(const Plain *x, int layer, const char *name)
{
    return param_find(x->m->params, str_print(&RUN, "layers.%d.%s.weight", layer, name));
}

static double *restated(const Plain *x, const int32_t *ids)
{
    int64_t n = x->t * x->c->dim;
    double *z = NEW(&RUN, double, n);
    const Param *table = param_find(x->m->params, "embed_tokens.weight"), *head;
    for (int64_t i = 0; i < n; i++) z[i] = tensor_get(table->val, ids[i / x->c->dim] * x->c->dim + i % x->c->dim);
    for (int l = 0; l < x->c->layers; l++) {
        double *a = attention_of(x, l, rms(x, z, x->t, x->c->dim, gain_of(x, l, "input_layernorm")));
        for (int64_t i = 0; i < n; i++) z[i] += a[i];
        double *f = ffn_of(x, l, rms(x, z, x->t, x->c->dim, gain_of(x, l, "post_attention_layernorm")));
        for (int64_t i = 0; i < n; i++) z[i] += f[i];
    }
    z = rms(x, z, x->t, x->c->dim, param_find(x->m->params, "norm.weight"));
    head = param_find(x->m->params, "lm_head.weight");
    double *y = NEW(&RUN, double, x->t *V);
    for (int64_t i = 0; i < x->t * V; i++)
        for (int64_t k = 0; k < x->c->dim; k++)
            y[i] += z[i / V * x->c->dim + k] * tensor_get((head ? head : table)->val, i % V * x->c->dim + k);
    return y;
}

static void restatement_agrees(void **state)
{
    (void)state;
    static const char *const KINDS[] = {"llama", "llama-grouped", "llama-window", "llama-norm"};
    enum { LONG = 19 };
    int32_t ids[LONG];
    for (int i = 0; i < LONG; i++) ids[i] = 4 + (i * 7 + 3) % (V - 4);
    for (int i = 0; i < 4; i++) {
        Model *m = small_model(&RUN, KINDS[i], F64);
        Plain x = {m, &m->config, LONG};
        double *want = restated(&x, ids), most = 0;
        Tensor got = run_logits(&RUN, &STEP, m, NULL, &(Batch){.b = 1, .t = LONG, .ids = ids});
        for (int j = 0; j < LONG * V; j++) most = fmax(most, fabs(tensor_get(got, j) - want[j]));
        EXPECT(most < 1e-6, "%s: logits differ by %g", KINDS[i], most); /* cosines are single numbers */
    }
}

/* ---- equalities between models */

/* Keys and values written out for every head in place of one for each group. */
static void groups_are_repetition(void **state)
{
    (void)state;
    Config c = small_config("llama-grouped");
    Model *a = open_model(&c), *b;
    c.kv_heads = c.heads;
    b = open_model(&c);
    int64_t d = c.head_dim, group = c.heads / a->config.kv_heads;
    for (int i = 0; i < params_n(b->params); i++) {
        Param *to = params_at(b->params, i);
        const Param *from = param_find(a->params, to->name);
        int64_t n = to->val.rank == 2 ? tensor_last(to->val) : 1, rows = tensor_count(to->val) / n;
        bool grouped = tensor_count(to->val) != tensor_count(from->val);
        assert_true(grouped == str_glob("*.k_proj.*|*.v_proj.*", to->name));
        for (int64_t r = 0; r < rows; r++)
            for (int64_t k = 0; k < n; k++)
                tensor_set(to->val, r * n + k,
                           tensor_get(from->val, (grouped ? r / d / group * d + r % d : r) * n + k));
    }
    Batch x = small_batch(&RUN, a);
    Tensor y = run_logits(&RUN, &STEP, a, NULL, &x), z = run_logits(&RUN, &STEP, b, NULL, &x);
    EXPECT(rows_gap(y, z, x.len) < 1e-13, "repeated heads differ by %g", rows_gap(y, z, x.len));
}

static void window_is_a_mask(void **state)
{
    (void)state;
    Config c = small_config("llama-window");
    c.window_from = 0;
    c.qkv_bias = false;
    Model *m = open_model(&c);
    Batch x = small_batch(&RUN, m), y = x;
    Tensor narrow = run_logits(&RUN, &STEP, m, NULL, &x);
    uint8_t *sees = NEW(&RUN, uint8_t, B * T * T);
    for (int i = 0; i < B * T * T; i++) sees[i] = i / T % T - i % T < c.window;
    y.sees = sees;
    for (int l = 0; l < c.layers; l++) m->decoder->layer[l].window = 0;
    Tensor masked = run_logits(&RUN, &STEP, m, NULL, &y), wide = run_logits(&RUN, &STEP, m, NULL, &x);
    EXPECT(rows_gap(narrow, masked, x.len) < 1e-13, "a mask differs by %g", rows_gap(narrow, masked, x.len));
    EXPECT(rows_gap(narrow, wide, x.len) > 1e-4, "the window does nothing");
}

/* A text behind padding is the text alone, where positions count its tokens. */
static void padding_in_front(void **state)
{
    (void)state;
    for (int i = 0; i < N_SHAPES; i++) {
        Model *m = small_model(&RUN, SHAPES[i], F64);
        if (m->config.rope.share == 0) continue;
        Batch x = small_batch(&RUN, m), y = x;
        int32_t *ids = NEW(&RUN, int32_t, B * T), *position = NEW(&RUN, int32_t, B * T);
        uint8_t *mask = NEW(&RUN, uint8_t, B * T);
        for (int j = 0; j < B * T; j++) {
            int from = j % T - (T - x.len[j / T]);
            ids[j] = from < 0 ? 5 : x.ids[j / T * T + from];
            mask[j] = from >= 0;
            position[j] = from < 0 ? 1 : from;
        }
        y.ids = ids, y.len = NULL, y.mask = mask, y.position = position;
        Tensor a = run_logits(&RUN, &STEP, m, NULL, &x), b = run_logits(&RUN, &STEP, m, NULL, &y);
        for (int r = 0; r < B; r++)
            for (int64_t j = 0; j < x.len[r] * V; j++) {
                int64_t to = (r * T + T - x.len[r]) * V + j;
                double gap = fabs(tensor_get(a, r * T * V + j) - tensor_get(b, to));
                EXPECT(gap < 1e-12, "%s row %d: differs by %g", SHAPES[i], r, gap);
            }
    }
}

/* Moving all positions changes nothing among the tokens, and turns them against keys that a prefix puts in front. */
static void positions_are_relative(void **state)
{
    (void)state;
    for (int i = 0; i < N_SHAPES; i++) {
        Model *m = small_model(&RUN, SHAPES[i], F64);
        if (m->config.rope.share == 0) continue;
        Batch x = small_batch(&RUN, m);
        for (int with = 0; with < 2; with++) {
            Hooks *h = with ? adapted(&RUN, m) : hooks_new(&RUN);
            Tensor plain = run_logits(&RUN, &STEP, m, h, &x);
            hooks_shift(h, m->arch->last, 3);
            Tensor moved = run_logits(&RUN, &STEP, m, h, &x);
            double gap = rows_gap(plain, moved, x.len);
            EXPECT(with ? gap > 1e-4 : gap < 1e-5, "%s: moved positions change logits by %g", SHAPES[i], gap);
        }
    }
}

/* ---- sizes of published checkpoints */

static const struct {
    const char *name, *type;
    int dim, hidden, layers, heads, kv_heads, head_dim, vocab;
    bool untied;
    int64_t total;
} SIZES[] = {{"SmolLM2-135M", "llama", 576, 1536, 30, 9, 3, 0, 49152, false, 134515008},
             {"SmolLM2-360M", "llama", 960, 2560, 32, 15, 5, 0, 49152, false, 361821120},
             {"SmolLM2-1.7B", "llama", 2048, 8192, 24, 32, 32, 0, 49152, false, 1711376384},
             {"Qwen2.5-0.5B", "qwen2", 896, 4864, 24, 14, 2, 0, 151936, false, 494032768},
             {"Qwen2.5-1.5B", "qwen2", 1536, 8960, 28, 12, 2, 0, 151936, false, 1543714304},
             {"Qwen2.5-3B", "qwen2", 2048, 11008, 36, 16, 2, 0, 151936, false, 3085938688},
             {"Qwen2.5-7B", "qwen2", 3584, 18944, 28, 28, 4, 0, 152064, true, 7615616512},
             {"Qwen3-0.6B", "qwen3", 1024, 3072, 28, 16, 8, 0, 151936, false, 596049920},
             {"Qwen3-1.7B", "qwen3", 2048, 6144, 28, 16, 8, 0, 151936, false, 1720574976},
             {"Qwen3-4B", "qwen3", 2560, 9728, 36, 32, 8, 0, 151936, false, 4022468096},
             {"TinyLlama", "llama", 2048, 5632, 22, 32, 4, 0, 32000, true, 1100048384},
             {"Llama-3.2-1B", "llama", 2048, 8192, 16, 32, 8, 0, 128256, false, 1235814400},
             {"Llama-3.2-3B", "llama", 3072, 8192, 28, 24, 8, 0, 128256, false, 3212749824},
             {"Llama-2-7B", "llama", 4096, 11008, 32, 32, 0, 0, 32000, true, 6738415616},
             {"Llama-3-8B", "llama", 4096, 14336, 32, 32, 8, 0, 128256, true, 8030261248},
             {"Mistral-7B-v0.1", "mistral", 4096, 14336, 32, 32, 8, 0, 32000, true, 7241732096},
             {"Mistral-7B-v0.3", "mistral", 4096, 14336, 32, 32, 8, 0, 32768, true, 7248023552}};

static Status read_text(Config *c, const char *text)
{
    cJSON *root;
    const Arch *arch;
    EXPECT(json_parse(&root, text, strlen(text), "config.json") == OK, "%s", err_message());
    Status s = config_read(c, &arch, root, "config.json");
    cJSON_Delete(root);
    return s ? s : config_check(c);
}

static int64_t parameters_of(const Config *c)
{
    Model *m;
    EXPECT(model_open_blank(&m, &RUN, c, F32, 1) == OK, "%s", err_message());
    int64_t n = 0;
    for (int i = 0; i < params_n(m->params); i++) {
        const Param *p = params_at(m->params, i);
        int64_t size = 1;
        for (int k = 0; k < p->val.rank; k++) size *= p->val.dim[k];
        n += size;
    }
    return n;
}

static void sizes_of_checkpoints(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof SIZES / sizeof *SIZES; i++) {
        Config c;
        char kv[64] = "";
        if (SIZES[i].kv_heads) snprintf(kv, sizeof kv, "\"num_key_value_heads\":%d,", SIZES[i].kv_heads);
        const char *text = str_print(&RUN,
                                     "{\"model_type\":\"%s\",\"hidden_size\":%d,\"intermediate_size\":%d,%s"
                                     "\"num_hidden_layers\":%d,\"num_attention_heads\":%d,\"vocab_size\":%d,"
                                     "\"tie_word_embeddings\":%s}",
                                     SIZES[i].type, SIZES[i].dim, SIZES[i].hidden, kv, SIZES[i].layers,
                                     SIZES[i].heads, SIZES[i].vocab, SIZES[i].untied ? "false" : "true");
        EXPECT(read_text(&c, text) == OK, "%s: %s", SIZES[i].name, err_message());
        int64_t got = parameters_of(&c);
        EXPECT(got == SIZES[i].total, "%s has %lld parameters, expected %lld", SIZES[i].name, (long long)got,
               (long long)SIZES[i].total);
        EXPECT(fabs(config_size(&c) / (double)got - 1) < 1e-3, "%s: about %.0f", SIZES[i].name, config_size(&c));
    }
}

static void sizes_of_pythia_and_modernbert(void **state)
{
    (void)state;
    static const struct {
        int dim, layers, heads, vocab;
        int64_t total;
    } PYTHIA[] = {{128, 6, 4, 50304, 14067712},     {256, 6, 8, 50304, 30494720},
                  {512, 6, 8, 50304, 70426624},     {768, 12, 12, 50304, 162322944},
                  {1024, 24, 16, 50304, 405334016}, {2048, 16, 8, 50304, 1011781632},
                  {2048, 24, 16, 50304, 1414647808}};
    for (size_t i = 0; i < sizeof PYTHIA / sizeof *PYTHIA; i++) {
        Config c = {0};
        arch_find("gpt_neox")->defaults(&c);
        c.dim = PYTHIA[i].dim, c.layers = PYTHIA[i].layers, c.heads = PYTHIA[i].heads, c.vocab = PYTHIA[i].vocab;
        c.hidden = 4 * c.dim;
        EXPECT(parameters_of(&c) == PYTHIA[i].total, "hidden size %d: %lld parameters, expected %lld", c.dim,
               (long long)parameters_of(&c), (long long)PYTHIA[i].total);
    }
    Config c = {0};
    arch_find("modernbert")->defaults(&c);
    assert_int_equal(parameters_of(&c), 149655232);
    c.no_lm_head = true;
    assert_int_equal(parameters_of(&c), 149014272);
    c.dim = 1024, c.heads = 16, c.hidden = 2624, c.layers = 28;
    assert_int_equal(parameters_of(&c), 394781696);
    c.no_lm_head = false;
    assert_int_equal(parameters_of(&c), 395881664);
}

/* ---- config.json */

#define SMALL "\"hidden_size\":16,\"num_attention_heads\":4,\"intermediate_size\":24,\"num_hidden_layers\":4,"
#define CONFIG(type, ...) "{\"model_type\":\"" type "\"," SMALL __VA_ARGS__ "\"vocab_size\":50}"

static Config read_ok(const char *text)
{
    Config c;
    EXPECT(read_text(&c, text) == OK, "%s\n%s", err_message(), text);
    return c;
}

static void class_defaults(void **state)
{
    (void)state;
    Config c = read_ok(CONFIG("llama", ""));
    assert_true(c.eps == 1e-6 && c.rope.base == 10000 && !c.tie_head && c.kv_heads == 4 && c.head_dim == 4);
    assert_true(!c.qkv_bias && !c.out_bias && !c.ffn_bias && !c.qk_norm && !c.window && c.positions == 2048);
    assert_true(c.bos == 1 && c.eos == 2 && c.pad == -1);
    c = read_ok(CONFIG("llama", "\"attention_bias\":true,\"mlp_bias\":true,"));
    assert_true(c.qkv_bias && c.out_bias && c.ffn_bias);
    c = read_ok(CONFIG("mistral", "\"num_key_value_heads\":2,\"attention_bias\":true,"));
    assert_true(c.window == 4096 && c.positions == 131072 && !c.qkv_bias); /* there the key means nothing */
    c = read_ok(CONFIG("mistral", "\"num_key_value_heads\":2,\"sliding_window\":null,"));
    assert_true(c.window == 0);
    c = read_ok(CONFIG("qwen2", "\"num_key_value_heads\":2,\"sliding_window\":64,"));
    assert_true(c.window == 0 && c.qkv_bias && !c.out_bias && c.bos == -1 && c.eos == -1);
    c = read_ok(CONFIG("qwen3", "\"num_key_value_heads\":2,"));
    assert_true(c.head_dim == 128 && c.qk_norm && !c.qkv_bias && c.positions == 32768);
    Config wrong;
    assert_int_equal(read_text(&wrong, CONFIG("qwen2", "")), E_CONFIG); /* 32 key heads for 4 heads */
    err_clear();
}

static void windows_of_layers(void **state)
{
    (void)state;
    Config c = read_ok(CONFIG("qwen2", "\"num_key_value_heads\":2,\"use_sliding_window\":true,"
                                       "\"sliding_window\":64,\"max_window_layers\":3,"));
    assert_true(window_of(&c, 2) == 0 && window_of(&c, 3) == 64);
    c = read_ok(CONFIG("qwen3", "\"num_key_value_heads\":2,\"use_sliding_window\":true,\"sliding_window\":64,"
                                "\"layer_types\":[\"full_attention\",\"sliding_attention\",\"full_attention\","
                                "\"sliding_attention\"],"));
    for (int i = 0; i < 4; i++) assert_int_equal(window_of(&c, i), i % 2 ? 64 : 0);
    c = read_ok(CONFIG("mistral", "\"num_key_value_heads\":2,\"sliding_window\":64,\"max_position_embeddings\":64,"));
    assert_int_equal(window_of(&c, 0), 0); /* no text fills it */
    static const char *const REFUSED[] = {
        CONFIG("qwen2",
               "\"num_key_value_heads\":2,\"use_sliding_window\":true,\"layer_types\":[\"full_attention\"],"),
        CONFIG("qwen2", "\"num_key_value_heads\":2,\"use_sliding_window\":true,\"layer_types\":[1,2,3,4],"),
        CONFIG("qwen2", "\"num_key_value_heads\":2,\"use_sliding_window\":true,\"layer_types\":[\"full_attention\","
                        "\"sliding_attention\",\"linear_attention\",\"full_attention\"],"),
        CONFIG("qwen2",
               "\"num_key_value_heads\":2,\"use_sliding_window\":true,\"layer_types\":[\"sliding_attention\","
               "\"sliding_attention\",\"full_attention\",\"full_attention\"],")};
    for (int i = 0; i < 4; i++) {
        EXPECT(read_text(&c, REFUSED[i]) == E_FORMAT && strstr(err_message(), "layer_types"), "%d: %s", i,
               err_message());
        err_clear();
    }
}

static void forms_of_rope(void **state)
{
    (void)state;
    Config c = read_ok(CONFIG("llama", "\"rope_theta\":500.0,\"rope_scaling\":{\"type\":\"linear\",\"factor\":4},"));
    assert_true(c.rope.base == 500 && c.rope.kind == ROPE_LINEAR && c.rope.factor == 4);
    c = read_ok(CONFIG("llama", "\"rope_theta\":7,\"rope_scaling\":{\"rope_type\":\"default\"},"));
    assert_true(c.rope.base == 7 && c.rope.kind == ROPE_PLAIN);
    c = read_ok(
        CONFIG("llama", "\"rope_theta\":7,\"rope_parameters\":{\"rope_type\":\"default\",\"rope_theta\":9},"));
    assert_true(c.rope.base == 9);
    c = read_ok(CONFIG("llama", "\"rope_parameters\":{\"rope_type\":\"llama3\",\"rope_theta\":9,\"factor\":8,"
                                "\"low_freq_factor\":1,\"high_freq_factor\":4,"
                                "\"original_max_position_embeddings\":32},"));
    assert_true(c.rope.kind == ROPE_LLAMA3 && c.rope.low == 1 && c.rope.high == 4 && c.rope.original == 32);
    static const struct {
        const char *text, *word;
    } REFUSED[] = {
        {CONFIG("llama", "\"rope_scaling\":{\"rope_type\":\"yarn\",\"factor\":4},"), "yarn"},
        {CONFIG("llama", "\"rope_scaling\":{\"type\":\"dynamic\",\"factor\":4},"), "dynamic"},
        {CONFIG("llama", "\"rope_parameters\":{\"rope_type\":\"longrope\"},"), "longrope"},
        {CONFIG("llama", "\"rope_scaling\":{\"rope_type\":\"linear\"},"), "factor is absent"},
        {CONFIG("llama", "\"rope_scaling\":{\"rope_type\":\"llama3\",\"factor\":8},"), "low_freq_factor is absent"},
        {CONFIG("llama", "\"rope_scaling\":3,"), "rope_scaling"},
        {CONFIG("llama", "\"partial_rotary_factor\":0.5,\"rope_parameters\":{\"partial_rotary_factor\":0.5},"),
         "partial_rotary_factor"},
        {CONFIG("llama", "\"quantization_config\":{\"bits\":4},"), "quantization_config"},
        {CONFIG("llama", "\"hidden_act\":\"mish\","), "mish"},
        {CONFIG("llama", "\"num_experts\":8,"), "num_experts"},
    };
    for (size_t i = 0; i < sizeof REFUSED / sizeof *REFUSED; i++) {
        EXPECT(read_text(&c, REFUSED[i].text) == E_FORMAT && strstr(err_message(), REFUSED[i].word), "%s: %s",
               REFUSED[i].word, err_message());
        err_clear();
    }
}

static void modernbert_config(void **state)
{
    (void)state;
    Config c = read_ok(CONFIG("modernbert", "\"pad_token_id\":1,\"local_attention\":6,\"local_rope_theta\":null,"));
    assert_true(c.window == 4 && c.global_every == 3 && c.rope.local_base == 0 && c.rope.base == 160000);
    for (int i = 0; i < 4; i++) assert_int_equal(window_of(&c, i), i % 3 ? 4 : 0);
    c = read_ok(CONFIG("modernbert",
                       "\"pad_token_id\":1,\"rope_parameters\":{\"full_attention\":{\"rope_theta\":7,\"rope_type\":"
                       "\"default\"},\"sliding_attention\":{\"rope_theta\":9}},\"layer_types\":[\"full_attention\","
                       "\"sliding_attention\",\"full_attention\",\"sliding_attention\"],"));
    assert_true(c.rope.base == 7 && c.rope.local_base == 9 && c.global_every == 2 && !c.window_from);
    static const char *const REFUSED[] = {"norm_bias", "classifier_bias"};
    for (int i = 0; i < 2; i++) {
        const char *text = str_print(&RUN, "{\"model_type\":\"modernbert\",\"%s\":true}", REFUSED[i]);
        EXPECT(read_text(&c, text) == E_FORMAT && strstr(err_message(), REFUSED[i]), "%s", err_message());
        err_clear();
    }
}

/* ---- files */

/* Saves what `keep` matches of a model, under names with this prefix, beside `more` tensors. */
static const char *save_some(const Model *m, const char *keep, const char *prefix, const Named *more, int n_more)
{
    const char *dir = str_print(&RUN, "/tmp/vernier-rotary-%d", (int)getpid());
    EXPECT(model_save(m, dir) == OK, "%s", err_message());
    Named *named = NEW(&RUN, Named, params_n(m->params) + n_more);
    int n = 0;
    for (int i = 0; i < params_n(m->params); i++) {
        const Param *p = params_at(m->params, i);
        const char *before = build_is_any_head(p->name) ? "" : prefix;
        if (str_glob(keep, p->name)) named[n++] = (Named){str_print(&RUN, "%s%s", before, p->name), p->val};
    }
    for (int i = 0; i < n_more; i++) named[n++] = more[i];
    EXPECT(safetensors_write(str_print(&RUN, "%s/model.safetensors", dir), named, n, NULL, 0) == OK, "%s",
           err_message());
    return dir;
}

static void drop(const char *dir)
{
    unlink(str_print(&RUN, "%s/config.json", dir));
    unlink(str_print(&RUN, "%s/model.safetensors", dir));
    rmdir(dir);
}

static void heads_and_prefixes(void **state)
{
    (void)state;
    static const char *const KINDS[] = {"llama-grouped", "gpt_neox"},
                             *const HEAD[] = {"lm_head.weight", "embed_out.weight"},
                             *const PREFIX[] = {"model.", "gpt_neox."};
    for (int i = 0; i < 2; i++) {
        Model *a = small_model(&RUN, KINDS[i], F32), *b;
        const char *dir = save_some(a, "layers.*|embed_tokens.*|embed_in.*|*norm.*", "", NULL, 0);
        EXPECT(model_load(&b, &RUN, dir) == OK && b->config.no_lm_head, "%s: %s", KINDS[i], err_message());
        Pass p = {.tape = tape_open(&STEP, false)};
        Batch x = small_batch(&RUN, a);
        Tensor want = model_hidden(a, &p, &x)->val, got = model_hidden(b, &p, &x)->val;
        EXPECT(rows_gap(want, got, x.len) == 0, "%s: the bare stack differs", KINDS[i]);
        dir = save_some(a, "layers.*|embed_tokens.*|embed_in.*|*norm.*", PREFIX[i], NULL, 0);
        EXPECT(model_load(&b, &RUN, dir) == E_MISMATCH && strstr(err_message(), HEAD[i]), "%s: %s", KINDS[i],
               err_message());
        err_clear();
        Named old = {str_print(&RUN, "%slayers.0.%s.rotary_emb.inv_freq", PREFIX[i], i ? "attention" : "self_attn"),
                     tensor_zero(&RUN, F32, SHAPE(3))};
        dir = save_some(a, "*", PREFIX[i], &old, 1);
        EXPECT(model_load(&b, &RUN, dir) == OK && !b->config.no_lm_head, "%s: %s", KINDS[i], err_message());
        drop(dir);
    }
}

/* The score of a row is that of its last token, behind padding or before it. */
static void classes_read_the_last_token(void **state)
{
    (void)state;
    static const char *const KINDS[] = {"llama-grouped", "gpt_neox", "gpt2"};
    for (int i = 0; i < 3; i++) {
        Config c = small_config(KINDS[i]);
        c.classes = 3;
        Model *m = open_model(&c);
        Batch x = small_batch(&RUN, m), y = x;
        int32_t *ids = NEW(&RUN, int32_t, B * T), *position = NEW(&RUN, int32_t, B * T);
        uint8_t *mask = NEW(&RUN, uint8_t, B * T);
        for (int j = 0; j < B * T; j++) {
            int from = j % T - (T - x.len[j / T]);
            ids[j] = from < 0 ? 5 : x.ids[j / T * T + from];
            mask[j] = from >= 0;
            position[j] = from < 0 ? 1 : from;
        }
        y.ids = ids, y.len = NULL, y.mask = mask, y.position = position;
        Pass p = {.tape = tape_open(&STEP, false)};
        Tensor right = model_classes(m, &p, &x)->val, left = model_classes(m, &p, &y)->val;
        EXPECT(rows_gap(right, left, NULL) < 1e-12, "%s: padding in front moves a class by %g", KINDS[i],
               rows_gap(right, left, NULL));
        uint8_t *same = NEW(&RUN, uint8_t, B * T);
        for (int j = 0; j < B * T; j++) same[j] = j % T < x.len[j / T];
        y = x, y.len = NULL, y.mask = same;
        EXPECT(rows_gap(right, model_classes(m, &p, &y)->val, NULL) < 1e-12, "%s: a mask is not a length", KINDS[i]);
        Tensor h = model_hidden(m, &p, &x)->val;
        for (int b = 0; b < B; b++)
            for (int k = 0; k < 3; k++) {
                double score = 0;
                const Param *w = param_find(m->params, "score.weight");
                for (int64_t d = 0; d < c.dim; d++)
                    score += tensor_get(h, (b * T + x.len[b] - 1) * c.dim + d) * tensor_get(w->val, k * c.dim + d);
                EXPECT(fabs(score - tensor_get(right, b * 3 + k)) < 1e-12, "%s: class %d of row %d", KINDS[i], k, b);
            }
    }
}

SUITE(TEST(heads_and_prefixes), TEST(classes_read_the_last_token), TEST(rates_of_llama3), TEST(restatement_agrees),
      TEST(groups_are_repetition), TEST(window_is_a_mask), TEST(padding_in_front), TEST(positions_are_relative),
      TEST(sizes_of_checkpoints), TEST(sizes_of_pythia_and_modernbert), TEST(modernbert_config), TEST(class_defaults),
      TEST(windows_of_layers), TEST(forms_of_rope))

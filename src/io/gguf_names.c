/* Keys and tensor names as llama.cpp's converter writes them (gguf-py/gguf/constants.py, tensor_mapping.py), and the
 * names that config.json and the state dicts of transformers have for them. */
#include "io/gguf_names.h"

#include <string.h>

#include "base/str.h"

/* ---- the Llama family */

static const GgufKey LLAMA_KEYS[] = {{"block_count", "num_hidden_layers", KEY_INT, true},
                                     {"context_length", "max_position_embeddings", KEY_INT, true},
                                     {"embedding_length", "hidden_size", KEY_INT, true},
                                     {"feed_forward_length", "intermediate_size", KEY_INT, true},
                                     {"attention.head_count", "num_attention_heads", KEY_INT, true},
                                     {"attention.head_count_kv", "num_key_value_heads", KEY_INT, false},
                                     {"attention.key_length", "head_dim", KEY_INT, false},
                                     {"attention.layer_norm_rms_epsilon", "rms_norm_eps", KEY_REAL, true},
                                     {"rope.freq_base", "rope_theta", KEY_REAL, false},
                                     {"attention.sliding_window", "sliding_window", KEY_INT, false},
                                     {"attention.value_length", NULL, KEY_INT, false},
                                     {"rope.dimension_count", NULL, KEY_INT, false},
                                     {"rope.scaling.type", NULL, KEY_IGNORED, false},
                                     {"rope.scaling.factor", NULL, KEY_REAL, false},
                                     {"rope.scaling.attn_factor", NULL, KEY_REAL, false},
                                     {"rope.scaling.original_context_length", NULL, KEY_IGNORED, false},
                                     {"rope.scaling.finetuned", NULL, KEY_IGNORED, false},
                                     {"rope.scale_linear", NULL, KEY_REAL, false},
                                     {"expert_count", NULL, KEY_INT, false},
                                     {"expert_used_count", NULL, KEY_INT, false},
                                     {"vocab_size", NULL, KEY_IGNORED, false},
                                     {"tensor_data_layout", NULL, KEY_IGNORED, false},
                                     {0}};
/* Queries and keys with or without the order of llama's rows. */
#define LLAMA_NAMES(q, k)                                                                                            \
    {"token_embd", "model.embed_tokens"}, {"output_norm", "model.norm"}, {"output", "lm_head"},                      \
        {"blk.#.attn_norm", "model.layers.#.input_layernorm"},                                                       \
        {"blk.#.attn_q", "model.layers.#.self_attn.q_proj", q},                                                      \
        {"blk.#.attn_k", "model.layers.#.self_attn.k_proj", k}, {"blk.#.attn_v", "model.layers.#.self_attn.v_proj"}, \
        {"blk.#.attn_output", "model.layers.#.self_attn.o_proj"},                                                    \
        {"blk.#.attn_q_norm", "model.layers.#.self_attn.q_norm"},                                                    \
        {"blk.#.attn_k_norm", "model.layers.#.self_attn.k_norm"},                                                    \
        {"blk.#.ffn_norm", "model.layers.#.post_attention_layernorm"},                                               \
        {"blk.#.ffn_gate", "model.layers.#.mlp.gate_proj"}, {"blk.#.ffn_up", "model.layers.#.mlp.up_proj"},          \
    {                                                                                                                \
        "blk.#.ffn_down", "model.layers.#.mlp.down_proj"                                                             \
    }
static const GgufName LLAMA[] = {LLAMA_NAMES(ROWS_HEADS, ROWS_HEADS_KV), {0}};
static const GgufName QWEN[] = {LLAMA_NAMES(ROWS_SAME, ROWS_SAME), {0}};
/* llama3's divisors of frequencies, which io/gguf_config.c reads, and a table of very old files. */
static const char ROTARY[] = "rope_freqs.weight|blk.*.attn_rot_embd";

/* ---- GPT-2, GPT-NeoX */

static const GgufKey GPT2_KEYS[] = {{"block_count", "n_layer", KEY_INT, true},
                                    {"context_length", "n_positions", KEY_INT, true},
                                    {"embedding_length", "n_embd", KEY_INT, true},
                                    {"feed_forward_length", "n_inner", KEY_INT, false},
                                    {"attention.head_count", "n_head", KEY_INT, true},
                                    {"attention.layer_norm_epsilon", "layer_norm_epsilon", KEY_REAL, true},
                                    {"vocab_size", NULL, KEY_IGNORED, false},
                                    {0}};
static const GgufName GPT2[] = {{"token_embd", "wte"},
                                {"position_embd", "wpe"},
                                {"output_norm", "ln_f"},
                                {"output", "lm_head"},
                                {"blk.#.attn_norm", "h.#.ln_1"},
                                {"blk.#.attn_qkv", "h.#.attn.c_attn", ROWS_COLUMNS},
                                {"blk.#.attn_output", "h.#.attn.c_proj", ROWS_COLUMNS},
                                {"blk.#.ffn_norm", "h.#.ln_2"},
                                {"blk.#.ffn_up", "h.#.mlp.c_fc", ROWS_COLUMNS},
                                {"blk.#.ffn_down", "h.#.mlp.c_proj", ROWS_COLUMNS},
                                {0}};

static const GgufKey NEOX_KEYS[] = {{"block_count", "num_hidden_layers", KEY_INT, true},
                                    {"context_length", "max_position_embeddings", KEY_INT, true},
                                    {"embedding_length", "hidden_size", KEY_INT, true},
                                    {"feed_forward_length", "intermediate_size", KEY_INT, true},
                                    {"attention.head_count", "num_attention_heads", KEY_INT, true},
                                    {"attention.layer_norm_epsilon", "layer_norm_eps", KEY_REAL, true},
                                    {"use_parallel_residual", "use_parallel_residual", KEY_BOOL, false},
                                    {"rope.freq_base", "rotary_emb_base", KEY_REAL, false},
                                    {"rope.dimension_count", NULL, KEY_INT, true},
                                    {"rope.scaling.type", NULL, KEY_IGNORED, false},
                                    {"rope.scaling.factor", NULL, KEY_REAL, false},
                                    {"vocab_size", NULL, KEY_IGNORED, false},
                                    {0}};
static const GgufName NEOX[] = {{"token_embd", "gpt_neox.embed_in"},
                                {"output_norm", "gpt_neox.final_layer_norm"},
                                {"output", "embed_out"},
                                {"blk.#.attn_norm", "gpt_neox.layers.#.input_layernorm"},
                                {"blk.#.attn_qkv", "gpt_neox.layers.#.attention.query_key_value", ROWS_THIRDS},
                                {"blk.#.attn_output", "gpt_neox.layers.#.attention.dense"},
                                {"blk.#.ffn_norm", "gpt_neox.layers.#.post_attention_layernorm"},
                                {"blk.#.ffn_up", "gpt_neox.layers.#.mlp.dense_h_to_4h"},
                                {"blk.#.ffn_down", "gpt_neox.layers.#.mlp.dense_4h_to_h"},
                                {0}};

/* ---- BERT, T5 */

static const GgufKey BERT_KEYS[] = {{"block_count", "num_hidden_layers", KEY_INT, true},
                                    {"context_length", "max_position_embeddings", KEY_INT, true},
                                    {"embedding_length", "hidden_size", KEY_INT, true},
                                    {"feed_forward_length", "intermediate_size", KEY_INT, true},
                                    {"attention.head_count", "num_attention_heads", KEY_INT, true},
                                    {"attention.layer_norm_epsilon", "layer_norm_eps", KEY_REAL, true},
                                    {"attention.causal", NULL, KEY_BOOL, false},
                                    {"pooling_type", NULL, KEY_IGNORED, false},
                                    {"vocab_size", NULL, KEY_IGNORED, false},
                                    {0}};
static const GgufName BERT[] = {{"token_embd", "embeddings.word_embeddings"},
                                {"position_embd", "embeddings.position_embeddings"},
                                {"token_types", "embeddings.token_type_embeddings"},
                                {"token_embd_norm", "embeddings.LayerNorm"},
                                {"blk.#.attn_q", "encoder.layer.#.attention.self.query"},
                                {"blk.#.attn_k", "encoder.layer.#.attention.self.key"},
                                {"blk.#.attn_v", "encoder.layer.#.attention.self.value"},
                                {"blk.#.attn_output", "encoder.layer.#.attention.output.dense"},
                                {"blk.#.attn_output_norm", "encoder.layer.#.attention.output.LayerNorm"},
                                {"blk.#.ffn_up", "encoder.layer.#.intermediate.dense"},
                                {"blk.#.ffn_down", "encoder.layer.#.output.dense"},
                                {"blk.#.layer_output_norm", "encoder.layer.#.output.LayerNorm"},
                                {0}};

static const GgufKey T5_KEYS[] = {
    {"block_count", "num_layers", KEY_INT, true},
    {"decoder_block_count", "num_decoder_layers", KEY_INT, false},
    {"embedding_length", "d_model", KEY_INT, true},
    {"feed_forward_length", "d_ff", KEY_INT, true},
    {"attention.head_count", "num_heads", KEY_INT, true},
    {"attention.key_length", "d_kv", KEY_INT, true},
    {"attention.layer_norm_rms_epsilon", "layer_norm_epsilon", KEY_REAL, true},
    {"attention.relative_buckets_count", "relative_attention_num_buckets", KEY_INT, true},
    {"decoder_start_token_id", "decoder_start_token_id", KEY_INT, false},
    {"attention.value_length", NULL, KEY_INT, false},
    {"attention.layer_norm_epsilon", NULL, KEY_IGNORED, false}, /* the same, which T5's norm does not use */
    {"context_length", NULL, KEY_IGNORED, false},
    {"vocab_size", NULL, KEY_IGNORED, false},
    {0}};
#define T5_STACK(file, name, ffn)                                                                                    \
    {file ".output_norm", name ".final_layer_norm"}, {file ".blk.#.attn_norm", name ".block.#.layer.0.layer_norm"},  \
        {file ".blk.#.attn_q", name ".block.#.layer.0.SelfAttention.q"},                                             \
        {file ".blk.#.attn_k", name ".block.#.layer.0.SelfAttention.k"},                                             \
        {file ".blk.#.attn_v", name ".block.#.layer.0.SelfAttention.v"},                                             \
        {file ".blk.#.attn_o", name ".block.#.layer.0.SelfAttention.o"},                                             \
        {file ".blk.#.attn_rel_b", name ".block.#.layer.0.SelfAttention.relative_attention_bias"},                   \
        {file ".blk.#.ffn_norm", name ".block.#.layer." ffn ".layer_norm"},                                          \
        {file ".blk.#.ffn_gate", name ".block.#.layer." ffn ".DenseReluDense.wi_0"},                                 \
        {file ".blk.#.ffn_up", name ".block.#.layer." ffn ".DenseReluDense.wi_1", ROWS_SAME,                         \
         name ".block.#.layer." ffn ".DenseReluDense.wi"},                                                           \
    {                                                                                                                \
        file ".blk.#.ffn_down", name ".block.#.layer." ffn ".DenseReluDense.wo"                                      \
    }
static const GgufName T5[] = {{"token_embd", "shared"},
                              {"output", "lm_head"},
                              T5_STACK("enc", "encoder", "1"),
                              T5_STACK("dec", "decoder", "2"),
                              {"dec.blk.#.cross_attn_norm", "decoder.block.#.layer.1.layer_norm"},
                              {"dec.blk.#.cross_attn_q", "decoder.block.#.layer.1.EncDecAttention.q"},
                              {"dec.blk.#.cross_attn_k", "decoder.block.#.layer.1.EncDecAttention.k"},
                              {"dec.blk.#.cross_attn_v", "decoder.block.#.layer.1.EncDecAttention.v"},
                              {"dec.blk.#.cross_attn_o", "decoder.block.#.layer.1.EncDecAttention.o"},
                              {0}};

/* ---- all of them */

static const GgufArch ARCHS[] = {{"bert", "bert", BERT_KEYS, BERT, NULL},
                                 {"gpt2", "gpt2", GPT2_KEYS, GPT2, NULL},
                                 {"gptneox", "gpt_neox", NEOX_KEYS, NEOX, NULL},
                                 {"llama", "llama", LLAMA_KEYS, LLAMA, ROTARY},
                                 {"qwen2", "qwen2", LLAMA_KEYS, QWEN, NULL},
                                 {"qwen3", "qwen3", LLAMA_KEYS, QWEN, NULL},
                                 {"t5", "t5", T5_KEYS, T5, "dec.blk.*.cross_attn_rel_b.weight"}};
enum { N_ARCHS = sizeof ARCHS / sizeof *ARCHS };

const GgufArch *gguf_arch(const char *name)
{
    for (int i = 0; i < N_ARCHS; i++)
        if (!strcmp(ARCHS[i].name, name)) return &ARCHS[i];
    return NULL;
}

/* A mistral is a llama with a window, which the file declares or not. */
const GgufArch *gguf_arch_of_type(const char *type)
{
    if (!strcmp(type, "mistral")) type = "llama";
    for (int i = 0; i < N_ARCHS; i++)
        if (!strcmp(ARCHS[i].type, type)) return &ARCHS[i];
    return NULL;
}

const char *gguf_arch_list(Arena *a)
{
    Buf b = buf_open(a);
    for (int i = 0; i < N_ARCHS; i++) buf_print(&b, "%s%s", i ? ", " : "", ARCHS[i].name);
    return b.text;
}

/* Whether `text`, of n bytes, is the pattern with digits for its '#', which *layer gets, n of them. */
static bool fits(const char *pattern, const char *text, size_t n, const char **layer, int *digits)
{
    const char *mark = strchr(pattern, '#');
    *layer = "";
    *digits = 0;
    if (!mark) return strlen(pattern) == n && !memcmp(pattern, text, n);
    size_t before = (size_t)(mark - pattern), after = strlen(mark + 1);
    if (n <= before + after || memcmp(pattern, text, before) || memcmp(mark + 1, text + n - after, after))
        return false;
    *layer = text + before;
    *digits = (int)(n - before - after);
    return strspn(*layer, "0123456789") >= (size_t)*digits;
}

static const char *filled(Arena *a, const char *pattern, const char *layer, int digits, const char *suffix)
{
    const char *mark = strchr(pattern, '#');
    if (!mark) return str_print(a, "%s%s", pattern, suffix);
    return str_print(a, "%.*s%.*s%s%s", (int)(mark - pattern), pattern, digits, layer, mark + 1, suffix);
}

const char *gguf_name(const GgufName **entry, Arena *a, const GgufArch *arch, const char *file, bool gated)
{
    const char *suffix = strrchr(file, '.'), *layer;
    int digits;
    *entry = NULL;
    if (!suffix || (strcmp(suffix, ".weight") && strcmp(suffix, ".bias"))) return file;
    for (const GgufName *n = arch->names; n->file; n++) {
        if (!fits(n->file, file, (size_t)(suffix - file), &layer, &digits)) continue;
        *entry = n;
        return filled(a, n->plain && !gated ? n->plain : n->name, layer, digits, suffix);
    }
    return file;
}

const char *gguf_file_name(const GgufName **entry, Arena *a, const GgufArch *arch, const char *name)
{
    const char *layer;
    int digits;
    for (const GgufName *n = arch->names; n->file; n++) {
        if (!fits(n->name, name, strlen(name), &layer, &digits)) continue;
        *entry = n;
        return filled(a, n->file, layer, digits, "");
    }
    return NULL;
}

/* ---- rows */

typedef struct {
    int64_t p, q, run; /* groups of p times q runs of rows, of which the library has q times p */
} Grouping;

static Grouping grouping(RowOrder order, int64_t n, int64_t heads)
{
    return order == ROWS_THIRDS ? (Grouping){3, heads, n / heads / 3} : (Grouping){n / heads / 2, 2, 1};
}

bool gguf_rows_fit(RowOrder order, int64_t n, int64_t heads)
{
    return heads > 0 && n > 0 && n % heads == 0 && n / heads % (order == ROWS_THIRDS ? 3 : 2) == 0;
}

void gguf_rows(void *to, const void *from, int64_t n, size_t bytes, RowOrder order, int64_t heads, bool back)
{
    Grouping g = grouping(order, n, heads);
    if (back) g = (Grouping){g.q, g.p, g.run};
    for (int64_t group = 0; group < n; group += g.p * g.q * g.run)
        for (int64_t i = 0; i < g.p; i++)
            for (int64_t j = 0; j < g.q; j++)
                memcpy((char *)to + (size_t)(group + (j * g.p + i) * g.run) * bytes,
                       (const char *)from + (size_t)(group + (i * g.q + j) * g.run) * bytes, bytes * (size_t)g.run);
}

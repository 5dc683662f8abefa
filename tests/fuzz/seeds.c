/* Writes the first inputs of the fuzzers into corpus/, each a small file of its kind, well or nearly well formed.
 * `make fuzz-seeds` runs it; inputs that once broke a reader stand beside them under names that describe the
 * fault. */
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "../io/made_gguf.h"
#include "base/str.h"

static Arena arena;

static void put(const char *target, const char *name, const char *bytes, size_t n)
{
    char *dir = str_print(&arena, "tests/fuzz/corpus/%s", target);
    Status s = file_make_dir(dir);
    if (!s) s = file_write(str_print(&arena, "%s/%s", dir, name), bytes, n);
    CHECK(!s, "%s", err_message());
}

static void text(const char *target, const char *name, const char *s)
{
    put(target, name, s, strlen(s));
}

static void little(Buf *b, uint64_t x, int n)
{
    for (int i = 0; i < n; i++) buf_add(b, &(char){(char)(x >> 8 * i)}, 1);
}

#define ADD(b, literal) buf_add(b, literal, sizeof(literal) - 1)

/* ---- safetensors */

static void safetensors(const char *name, const char *header, size_t data)
{
    Buf b = buf_open(&arena);
    little(&b, strlen(header), 8);
    buf_add(&b, header, strlen(header));
    little(&b, 0x4048f5c33f800000, 8);
    for (size_t i = 8; i < data; i++) little(&b, i, 1);
    put("safetensors", name, b.text, b.len - (data < 8 ? 8 - data : 0));
}

/* ---- zip and torch */

typedef struct {
    const char *name, *bytes;
    size_t n;
} Entry;

static Buf zip_of(const Entry *e, int n)
{
    Buf b = buf_open(&arena), central = buf_open(&arena);
    for (int i = 0; i < n; i++) {
        size_t at = b.len, name = strlen(e[i].name);
        ADD(&b, "PK\3\4\0\0\0\0\0\0\0\0\0\0\0\0\0\0");
        little(&b, e[i].n, 4);
        little(&b, e[i].n, 4);
        little(&b, name, 2);
        little(&b, 0, 2);
        buf_add(&b, e[i].name, name);
        buf_add(&b, e[i].bytes, e[i].n);
        ADD(&central, "PK\1\2\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0");
        little(&central, e[i].n, 4);
        little(&central, e[i].n, 4);
        little(&central, name, 2);
        little(&central, 0, 8);
        little(&central, 0, 4);
        little(&central, at, 4);
        buf_add(&central, e[i].name, name);
    }
    size_t at = b.len;
    buf_add(&b, central.text, central.len);
    ADD(&b, "PK\5\6\0\0\0\0");
    little(&b, (uint64_t)n, 2);
    little(&b, (uint64_t)n, 2);
    little(&b, central.len, 4);
    little(&b, at, 4);
    little(&b, 0, 2);
    return b;
}

#define STORAGE                                                                                                      \
    "((X\7\0\0\0storagectorch\nFloatStorage\nX\1\0\0\0"                                                              \
    "7X\3\0\0\0cpuK\4tQ"
#define TENSOR                                                                                                       \
    "ctorch._utils\n_rebuild_tensor_v2\n" STORAGE "K\0K\2K\2\x86K\2K\1\x86\x89"                                      \
    "ccollections\nOrderedDict\n)RtR"
#define DICT                                                                                                         \
    "\x80\2"                                                                                                         \
    "ccollections\nOrderedDict\n)R(X\1\0\0\0w" TENSOR "X\1\0\0\0vq\1h\1\x30X\1\0\0\0v" TENSOR "u."
static const char PROTOCOL4[] =
    "\x80\4\x95\x10\0\0\0\0\0\0\0}\x94\x8c\3lr1G?\x50\x62\x4d\xd2\xf1\xa9\xfc\x8c\5steps]\x94(M\xe9\3\x8a\1\7\x88"
    "Neu\x8c\2os\x94\x8c\6system\x94\x93\x94.";

static void torch(void)
{
    Buf b = buf_open(&arena);
    const char values[16] = {0, 0, (char)128, 63};
    ADD(&b, "\x80\2\x8a\x0al\xfc\x9c"
            "F\xf9 j\xa8P\x19.");
    ADD(&b, "\x80\2M\xe9\3."
            "\x80\2}X\15\0\0\0little_endian\x88s.");
    ADD(&b, DICT);
    ADD(&b, "\x80\2]X\1\0\0\0"
            "7a.");
    little(&b, 4, 8);
    buf_add(&b, values, 16);
    put("torch", "legacy", b.text, b.len);
    const Entry e[] = {{"m/data.pkl", DICT, sizeof DICT - 1}, {"m/byteorder", "little", 6}, {"m/data/7", values, 16}};
    Buf z = zip_of(e, 3);
    put("torch", "zip", z.text, z.len);
    put("zip", "three", z.text, z.len);
    put("torch", "pickle", DICT, sizeof DICT - 1);
    static const char NUMPY[] =
        "\x80\2}(X\5\0\0\0model}X\1\0\0\0xcnumpy._core.multiarray\nscalar\ncnumpy\ndtype\n)RC\1x\x86Rs"
        "X\1\0\0\0n}u.";
    put("torch", "beside", NUMPY, sizeof NUMPY - 1);
    put("torch", "protocol4", PROTOCOL4, sizeof PROTOCOL4 - 1);
}

static void zip64(void)
{
    Buf b = zip_of(&(Entry){"a", "x", 1}, 1);
    size_t end = b.len - 22, central = end - 47;
    Buf c = buf_open(&arena);
    buf_add(&c, b.text, end);
    ADD(&c, "PK\6\6");
    little(&c, 44, 8);
    for (int i = 0; i < 12; i++) little(&c, 0, 1);
    little(&c, 1, 8);
    little(&c, 1, 8);
    little(&c, 47, 8);
    little(&c, central, 8);
    ADD(&c, "PK\6\7\0\0\0\0");
    little(&c, end, 8);
    little(&c, 1, 4);
    buf_add(&c, b.text + end, 22);
    put("zip", "zip64", c.text, c.len);
}

/* ---- SentencePiece */

static void field(Buf *to, int number, const char *bytes, size_t n)
{
    little(to, (uint64_t)number << 3 | 2, 1);
    little(to, n, 1); /* below 128 */
    buf_add(to, bytes, n);
}

/* A double array of 256 units that maps "A" to "a " and a byte of no UTF-8, and the two strings. */
static Buf character_map(void)
{
    uint32_t unit[256] = {1 << 10};
    unit[1 ^ 'A'] = 'A' | 1 << 8 | 0x80 << 10; /* its value lies at 0x40 ^ 0x80 */
    unit[1 ^ 'i'] = 'i' | 1 << 8 | 0x80 << 10;
    unit[1 ^ 'i' ^ 0x80] = 3;
    Buf b = buf_open(&arena);
    little(&b, sizeof unit, 4);
    for (int i = 0; i < 256; i++) little(&b, unit[i], 4);
    ADD(&b, "a \0\xff\xe2\0");
    return b;
}

static void mapped_tokenizer(void)
{
    static const char DIGITS[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    Buf map = character_map(), b = buf_open(&arena);
    while (map.len % 3) ADD(&map, "\0");
    ADD(&b, "{\"normalizer\":{\"type\":\"Precompiled\",\"precompiled_charsmap\":\"");
    for (size_t i = 0; i < map.len; i += 3) {
        const unsigned char *p = (const unsigned char *)map.text + i;
        uint32_t x = (uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2];
        for (int k = 18; k >= 0; k -= 6) buf_add(&b, &DIGITS[x >> k & 63], 1);
    }
    ADD(&b, "\"},\"model\":{\"type\":\"Unigram\",\"unk_id\":0,\"vocab\":[[\"<unk>\",0],[\"a\",-1],[\"n\",-2]]}}");
    put("tokenizer", "mapped", b.text, b.len);
}

static void spm(const char *name, int kind, bool fallback, bool mapped)
{
    static const struct {
        const char *text;
        float score;
        int type;
    } piece[] = {{"<unk>", 0, 2}, {"<s>", 0, 3},  {"</s>", 0, 3},        {"\xe2\x96\x81", -1, 1},
                 {"a", -2, 1},    {"b", -2, 1},   {"ab", -1, 1},         {"bb", -1, 1},
                 {"<tag>", 0, 4}, {"abb", -9, 5}, {"\xe2\x96\x81i", -1}, {"<0xFF>", 0, 6}};
    Buf b = buf_open(&arena);
    for (size_t i = 0; i < sizeof piece / sizeof *piece; i++) {
        Buf p = buf_open(&arena);
        field(&p, 1, piece[i].text, strlen(piece[i].text));
        little(&p, 2 << 3 | 5, 1);
        buf_add(&p, (const char *)&piece[i].score, 4);
        if (piece[i].type) little(&p, 3 << 3, 1);
        if (piece[i].type) little(&p, (uint64_t)piece[i].type, 1);
        field(&b, 1, p.text, p.len);
    }
    Buf t = buf_open(&arena);
    ADD(&t, "\x18"); /* field 3 */
    little(&t, (uint64_t)kind, 1);
    ADD(&t, "\x98\2"); /* field 35 */
    little(&t, fallback, 1);
    field(&b, 2, t.text, t.len);
    Buf n = buf_open(&arena);
    ADD(&n, "\x18\1\x20\1\x28\1");
    if (mapped) {
        Buf map = character_map();
        ADD(&n, "\x12");
        little(&n, (map.len & 127) | 128, 1);
        little(&n, map.len >> 7, 1);
        buf_add(&n, map.text, map.len);
    }
    ADD(&b, "\x1a");
    little(&b, (n.len & 127) | 128, 1);
    little(&b, n.len >> 7, 1);
    buf_add(&b, n.text, n.len);
    put("spm", name, b.text, b.len);
}

/* ---- .npy */

static void npy(const char *name, int version, const char *dict, const char *values, size_t n)
{
    Buf b = buf_open(&arena);
    ADD(&b, "\x93NUMPY");
    little(&b, (uint64_t)version, 2);
    little(&b, strlen(dict), version == 1 ? 2 : 4);
    buf_add(&b, dict, strlen(dict));
    buf_add(&b, values, n);
    put("npy", name, b.text, b.len);
}

static void npys(void)
{
    static const char values[48] = {0, 0, (char)128, 63, 1, 2, 3, 4, 5, 6, 7, 8, 0, 124, 0, 126};
    npy("floats", 1, "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2), }\n", values, 24);
    npy("fortran", 2, "{'descr': '<f2', 'fortran_order': True, 'shape': (2, 3, 2), }\n", values, 24);
    npy("wholes", 3, "{\"descr\": \"<i8\", 'shape': (2L,), 'fortran_order': False}", values, 16);
    npy("scalar", 1, "{'descr': '|b1', 'fortran_order': False, 'shape': ()}\n", values + 4, 1);
}

/* ---- adapters; the length modulo 4 chooses the architecture (adapter.c) */

static void adapter(const char *name, int arch, const char *config)
{
    Buf b = buf_open(&arena);
    buf_add(&b, config, strlen(config));
    while (b.len % 4 != (size_t)arch) ADD(&b, " ");
    put("adapter", name, b.text, b.len);
}

#define TUNED "\"base_model_name_or_path\":null,\"bias\":\"none\",\"fan_in_fan_out\":false,\"inference_mode\":true,"
static void adapters(void)
{
    enum { ROBERTA, GPT2, T5, BART };
    adapter("lora", ROBERTA,
            "{" TUNED "\"peft_type\":\"LORA\",\"r\":16,\"lora_alpha\":4,\"lora_dropout\":0.1,\"target_modules\":"
            "[\"query\",\"value\"],\"task_type\":null,\"rank_pattern\":{},\"alpha_pattern\":{},\"use_dora\":false}");
    adapter("lora-pattern", BART,
            "{" TUNED "\"peft_type\":\"LORA\",\"r\":1,\"lora_alpha\":1,\"use_rslora\":true,\"target_modules\":"
            "\".*encoder.*(q|v)_proj\",\"layers_to_transform\":[0],\"rank_pattern\":{\"q_proj\":2}}");
    adapter("vera", GPT2,
            "{" TUNED "\"peft_type\":\"VERA\",\"r\":2,\"target_modules\":[\"c_attn\"],\"save_projection\":true}");
    adapter("ia3", T5,
            "{" TUNED
            "\"peft_type\":\"IA3\",\"target_modules\":[\"k\",\"v\",\"wo\"],\"feedforward_modules\":[\"wo\"],"
            "\"modules_to_save\":[\"classifier\"]}");
    adapter("prefix", T5,
            "{\"peft_type\":\"PREFIX_TUNING\",\"num_virtual_tokens\":1,\"token_dim\":15,\"num_layers\":2,"
            "\"num_transformer_submodules\":2,\"num_attention_heads\":3,\"prefix_projection\":false}");
    adapter("prompt", GPT2, "{\"peft_type\":\"PROMPT_TUNING\",\"num_virtual_tokens\":3,\"token_dim\":12}");
    adapter(
        "bottleneck", ROBERTA,
        "{\"config\":{\"mh_adapter\":false,\"output_adapter\":true,\"reduction_factor\":0.5,\"non_linearity\":"
        "\"relu\","
        "\"original_ln_before\":true,\"original_ln_after\":true,\"residual_before_ln\":true,\"ln_before\":false,"
        "\"leave_out\":[],\"scaling\":1.0,\"is_parallel\":false},\"hidden_size\":12,\"model_name\":\"x\",\"name\":"
        "\"mine\",\"version\":\"adapters.1.1.0\"}");
    adapter("hub-lora", T5,
            "{\"config\":{\"architecture\":\"lora\",\"r\":2,\"alpha\":2,\"attn_matrices\":[\"q\",\"v\"],\"selfattn_"
            "lora\":"
            "true,\"intermediate_lora\":true,\"composition_mode\":\"add\",\"leave_out\":[1]},\"name\":\"mine\"}");
    adapter("hub-prefix", BART,
            "{\"config\":{\"architecture\":\"prefix_tuning\",\"prefix_length\":1,\"bottleneck_size\":2,\"flat\":true,"
            "\"encoder_prefix\":true,\"cross_prefix\":false},\"name\":\"mine\",\"version\":\"adapters.1.1.0\"}");
}

/* ---- GGUF */

/* A tokenizer of one kind: six tokens, the first three of them special. */
static void tokens_of(MadeGguf *m, const char *kind, const char *const *token)
{
    static const float SCORES[] = {0, 0, 0, -1, -2, -3};
    put_string(m, "tokenizer.ggml.model", kind);
    put_strings(m, "tokenizer.ggml.tokens", token, 6);
    put_ints(m, "tokenizer.ggml.token_type", (const int32_t[]){2, 3, 3, 1, 1, 1}, 6);
    put_floats(m, "tokenizer.ggml.scores", SCORES, 6);
    put_u32(m, "tokenizer.ggml.bos_token_id", 1);
    put_u32(m, "tokenizer.ggml.eos_token_id", 2);
    put_u32(m, "tokenizer.ggml.unknown_token_id", 0);
}

static void ggufs(void)
{
    static const struct {
        const char *arch, *kind, *pre, *token[6];
    } SEEDS[] = {{"llama", "gpt2", "smollm", {"<unk>", "<s>", "</s>", "a", "b", "ab"}},
                 {"qwen2", "gpt2", "qwen2", {"<unk>", "<s>", "</s>", "a", "b", "ab"}},
                 {"llama", "llama", NULL, {"<unk>", "<s>", "</s>", "ab", "a", "b"}},
                 {"t5", "t5", NULL, {"<unk>", "<pad>", "</s>", "ab", "a", "b"}},
                 {"bert",
                  "bert",
                  NULL,
                  {"[UNK]", "[CLS]", "[SEP]",
                   "\xe2\x96\x81"
                   "a",
                   "b", "ab"}}};
    for (size_t i = 0; i < sizeof SEEDS / sizeof *SEEDS; i++) {
        MadeGguf m = made_llama(&arena, SEEDS[i].arch);
        tokens_of(&m, SEEDS[i].kind, SEEDS[i].token);
        if (SEEDS[i].pre) put_string(&m, "tokenizer.ggml.pre", SEEDS[i].pre);
        if (SEEDS[i].pre) put_strings(&m, "tokenizer.ggml.merges", (const char *const[]){"a b"}, 1);
        Buf b = made_bytes(&m);
        put("gguf", str_print(&arena, "%s-%s", SEEDS[i].arch, SEEDS[i].kind), b.text, b.len);
    }
    static const uint32_t BLOCKS[][2] = {{8, 34}, {3, 20}, {12, 144}, {14, 210}};
    MadeGguf m = made_gguf(&arena);
    put_string(&m, "general.architecture", "gpt2");
    put_u32(&m, "gpt2.attention.head_count", 2);
    put_u32(&m, "split.count", 1);
    for (int i = 0; i < 4; i++)
        put_tensor(&m, str_print(&arena, "blk.%d.attn_qkv.weight", i), 1, i < 2 ? 32 : 256, BLOCKS[i][0],
                   str_print(&arena, "%0210d", i), BLOCKS[i][1]);
    Buf b = made_bytes(&m);
    put("gguf", "blocks", b.text, b.len);
}

static void chats(void)
{
    text("chat", "chatml",
         "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\\n' + m.content | default('', true) + "
         "'<|im_end|>' }}{% "
         "endfor %}{%- if tools is not none -%} x {%+ endif %}");
    text(
        "chat", "statements",
        "{% macro f(x, y='d') %}<{{ x }}|{{ y }}>{% endmacro %}{% set s = namespace(n=0) %}{% for k, v in {'a': [1, "
        "none]}"
        ".items() if v %}{% if loop.first %}{{ f(k, y=2) }}{% elif 1 %}{% continue %}{% endif %}{% set s.n = s.n + 1 "
        "%}{% "
        "else %}{% break %}{% endfor %}{% set t %}{# c #}{{ s.n }}{% endset %}{% raw %}{{ {% endraw %}{{ t ~ s.n }}");
    text("chat", "expressions",
         "{{ 'abc'[1:] }}{{ [1, 2.5, 'x'][::-1] | join('-') }}{{ -7 // 2 % 3 * 1 }}{{ 1 < 2 <= 2 and not 3 in [1] "
         "}}{{ range("
         "3, 0, -1) | list | tojson(indent=2) }}{{ messages | selectattr('role', 'equalto', 'user') | "
         "map(attribute='role') "
         "| list }}{{ 'a b'.split() | last | upper }}{{ 'x' if 4 is divisibleby 2 else 'y' }}");
    text("chat", "cut", "{% if messages[0].role == 'system' %}{{ ('a', \"b\" ");
}

int main(void)
{
    arena = arena_open((size_t)1 << 30);
    text("json", "object", "{\"a\": 1, \"b\": -2.5e3, \"c\": [true, null, {\"d\": \"x\\u00e9\\n\"}], \"e\": false}");
    text("json", "cut", "{\"a\": [1, 2");
    text("config", "python",
         "{\"model_type\":\"gpt2\",\"n_embd\":8,\"hidden_size\":16,\"n_head\":2,\"n_head\":4,\"x\":NaN,\"y\":[-"
         "Infinity],"
         "\"eos_token_id\":[5,6]}");
    text("config", "lfs", "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n");
    text("config", "roberta",
         "{\"model_type\": \"roberta\", \"vocab_size\": 99, \"hidden_size\": 32, \"num_hidden_layers\": 2,"
         "\"num_attention_heads\": 4, \"intermediate_size\": 64, \"hidden_act\": \"gelu\", \"type_vocab_size\": 1}");
    text("config", "bert",
         "{\"model_type\": \"bert\", \"vocab_size\": 99, \"hidden_size\": 32, \"num_hidden_layers\": 2,"
         "\"num_attention_heads\": 4, \"type_vocab_size\": 2, \"position_embedding_type\": \"absolute\"}");
    text("config", "gpt2",
         "{\"model_type\": \"gpt2\", \"n_embd\": 32, \"n_layer\": 2, \"n_head\": 4, \"n_inner\": null,"
         "\"activation_function\": \"gelu_new\", \"layer_norm_epsilon\": 1e-5, \"id2label\": {\"0\": \"no\"}}");
    text("config", "t5",
         "{\"model_type\": \"t5\", \"d_model\": 32, \"d_kv\": 8, \"d_ff\": 64, \"num_layers\": 2, \"num_heads\": 4,"
         "\"feed_forward_proj\": \"gated-gelu\", \"relative_attention_num_buckets\": 8, \"tie_word_embeddings\": "
         "false}");
    text("config", "plbart",
         "{\"model_type\": \"plbart\", \"d_model\": 32, \"encoder_layers\": 2, \"decoder_layers\": 1,"
         "\"encoder_attention_heads\": 4, \"decoder_ffn_dim\": 48, \"scale_embedding\": true, \"dropout\": 0.1}");
    text("generation", "llama",
         "{\"_from_model_config\": true, \"bos_token_id\": 0, \"eos_token_id\": [1, 8], \"do_sample\": true,"
         "\"temperature\": 0.6, \"top_p\": 0.9, \"transformers_version\": \"4.57.6\"}");
    text("generation", "bart",
         "{\"num_beams\": 4, \"early_stopping\": \"never\", \"length_penalty\": 2.0, \"forced_bos_token_id\": 0,"
         "\"forced_eos_token_id\": [2], \"no_repeat_ngram_size\": 3, \"max_length\": 12, \"top_k\": null}");
    text("generation", "rules",
         "{\"bad_words_ids\": [[3], [4, 5]], \"suppress_tokens\": [6], \"begin_suppress_tokens\": [7],"
         "\"exponential_decay_length_penalty\": [2, 1.5], \"stop_strings\": \"x\", \"num_beam_groups\": 1}");
    safetensors("two",
                "{\"__metadata__\":{\"format\":\"pt\"},\"a\":{\"dtype\":\"F16\",\"shape\":[2,1],"
                "\"data_offsets\":[8,12]},\"b\":{\"dtype\":\"I64\",\"shape\":[],\"data_offsets\":[0,8]}}",
                12);
    safetensors("bf16", "{\"a\":{\"dtype\":\"BF16\",\"shape\":[2],\"data_offsets\":[0,4]}}  ", 4);
    torch();
    zip64();
    spm("unigram", 1, false, false);
    spm("bpe", 2, true, false);
    spm("mapped", 1, false, true);
    text("declared", "bert",
         "{\"tokenizer_class\": \"BertTokenizer\", \"do_lower_case\": false, \"strip_accents\": true, "
         "\"model_max_length\": 512, \"mask_token\": {\"content\": \"[MASK]\", \"lstrip\": true}}");
    text("declared", "roberta",
         "{\"tokenizer_class\": \"RobertaTokenizerFast\", \"add_prefix_space\": true, \"bos_token\": \"<s>\", "
         "\"eos_token\": null, \"added_tokens_decoder\": {\"7\": {\"content\": \"<x>\", \"lstrip\": true, "
         "\"rstrip\": true, \"normalized\": true, \"single_word\": true}}, \"additional_special_tokens\": "
         "[\"<mask>\", {\"content\": \"a b\"}]}");
    text("declared", "gpt2",
         "{\"tokenizer_class\": \"GPT2Tokenizer\", \"add_bos_token\": true, \"clean_up_tokenization_spaces\": true, "
         "\"extra_special_tokens\": {\"image\": \"<x>\"}}");
    text("declared", "odd",
         "{\"tokenizer_class\": \"OddTokenizer\", \"extra_ids\": 1e30, \"added_tokens_decoder\": {\"-1\": {}}}");
    text("wordpiece", "plain",
         "[UNK]\n[CLS]\na\n##b\ninter\n##face\n\xc3"
         "\xa9"
         "\n");
    text("wordpiece", "crlf", "[UNK]\r\na\r\n\r\n");
    text("wordpiece", "no-unknown", "a\nb");
    text("wordpiece", "twice", "[UNK]\na\na\n##\n");
    text("tokenizer", "wordpiece",
         "{\"normalizer\":{\"type\":\"BertNormalizer\",\"clean_text\":true,\"handle_chinese_chars\":true,\"strip_"
         "accents\":null,\"lowercase\":true},\"pre_tokenizer\":{\"type\":\"BertPreTokenizer\"},\"model\":{\"type\":"
         "\"WordPiece\",\"unk_token\":\"[UNK]\",\"continuing_subword_prefix\":\"##\",\"max_input_chars_per_word\":"
         "100,\"vocab\":{\"[UNK]\":0,\"int\":1,\"a\":2,\"##a\":3,\"##x\":4}},\"decoder\":{\"type\":\"WordPiece\","
         "\"prefix\":\"##\",\"cleanup\":true}}");
    text("tokenizer", "split",
         "{\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"NFC\"},{\"type\":\"Replace\","
         "\"pattern\":{\"Regex\":\"a{2}\"},\"content\":\"b\"}]},\"pre_tokenizer\":{\"type\":\"Sequence\","
         "\"pretokenizers\":[{\"type\":\"Split\",\"pattern\":{\"Regex\":\"\\\\w+|\\\\s\"},\"behavior\":"
         "\"MergedWithNext\",\"invert\":true},{\"type\":\"Digits\",\"individual_digits\":true},{\"type\":"
         "\"ByteLevel\",\"add_prefix_space\":true,\"use_regex\":false}]},\"added_tokens\":[{\"id\":3,\"content\":\"<"
         "mask>\",\"single_word\":true,\"rstrip\":true,\"normalized\":true}],\"decoder\":{\"type\":\"ByteLevel\"},"
         "\"model\":{\"type\":\"BPE\",\"ignore_merges\":true,\"vocab\":{\"a\":0,\"b\":1,\"ab\":2},\"merges\":[[\"a\","
         "\"b\"]]}}");
    text("tokenizer", "marks",
         "{\"pre_tokenizer\":{\"type\":\"Whitespace\"},\"decoder\":{\"type\":\"BPEDecoder\",\"suffix\":\"</"
         "w>\"},\"model\":{\"type\":\"BPE\",\"end_of_word_suffix\":\"</"
         "w>\",\"continuing_subword_prefix\":\"##\",\"unk_token\":\"<unk>\",\"fuse_unk\":true,\"vocab\":{\"<unk>\":0,"
         "\"i\":1,\"##n\":2,\"##t</w>\":3,\"in\":4},\"merges\":[\"i ##n\"]}}");
    mapped_tokenizer();
    chats();
    npys();
    ggufs();
    adapters();
    text("tokenizer", "bpe",
         "{\"version\":\"1.0\",\"added_tokens\":[{\"id\":5,\"content\":\"<mask>\",\"lstrip\":true}],\"normalizer\":"
         "null,"
         "\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":false},\"model\":{\"type\":\"BPE\",\"unk_"
         "token\":"
         "\"<unk>\",\"vocab\":{\"<unk>\":3,\"i\":0,\"n\":1,\"in\":2,\"\\u0120\":4},\"merges\":[\"i n\"]}}");
    text("tokenizer", "unigram",
         "{\"added_tokens\":[{\"id\":1,\"content\":\"</s>\",\"special\":true}],\"normalizer\":{\"type\":\"Sequence\","
         "\"normalizers\":[{\"type\":\"Replace\",\"pattern\":{\"Regex\":\" {2,}\"},\"content\":\" "
         "\"},{\"type\":\"Strip\","
         "\"strip_left\":true}]},\"pre_tokenizer\":{\"type\":\"Metaspace\",\"prepend_scheme\":\"first\",\"split\":"
         "false},"
         "\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[{\"Sequence\":{\"id\":\"A\"}},{"
         "\"SpecialToken\":"
         "{\"id\":\"</s>\"}}],\"special_tokens\":{\"</"
         "s>\":{\"ids\":[1]}}},\"model\":{\"type\":\"Unigram\",\"unk_id\":0,"
         "\"vocab\":[[\"<unk>\",0],[\"</s>\",0],[\"\xe2\x96\x81i\",-2.5],[\"n\",-3],[\"t\",-3.5],[\"nt\",-4]]}}");
    text("tokenizer", "characters",
         "{\"normalizer\":{\"type\":\"Prepend\",\"prepend\":\"\xe2\x96\x81\"},\"pre_tokenizer\":{\"type\":"
         "\"Sequence\","
         "\"pretokenizers\":[{\"type\":\"WhitespaceSplit\"},{\"type\":\"Metaspace\"}]},\"decoder\":{\"type\":"
         "\"Fuse\"},\"model\":"
         "{\"type\":\"BPE\",\"unk_token\":\"<unk>\",\"fuse_unk\":true,\"vocab\":{\"<unk>\":0,\"\xe2\x96\x81\":1,"
         "\"i\":2,\"n\":3,"
         "\"\xe2\x96\x81i\":4},\"merges\":[[\"\xe2\x96\x81\",\"i\"]]}}");
    arena_close(&arena);
    return 0;
}

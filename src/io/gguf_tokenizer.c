/* The tokenizer of a GGUF model as the tokenizer.json of the same model, so that there is one way of reading them.
 * `tokenizer.ggml.model` names the kind, and for byte-level BPE `tokenizer.ggml.pre` the pattern that splits words;
 * a kind or a pattern that is not known here is refused by its name.
 *
 * llama's kind is SentencePiece BPE, which merges what makes the piece of the highest score.  A tokenizer.json lists
 * its merges instead; they follow from the pieces, as transformers derives them. */
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "base/table.h"
#include "io/gguf.h"

enum { TYPE_NORMAL = 1, TYPE_UNKNOWN, TYPE_CONTROL, TYPE_USER, TYPE_UNUSED, TYPE_BYTE };
enum { MOST_BYTES = 1024 };  /* of a token; the longest of published vocabularies have some hundred */
#define BLANK "\xe2\x96\x81" /* U+2581, which stands for a blank within pieces */

typedef struct {
    const Gguf *g;
    Arena *a;
    cJSON *root;
    const char **token;
    int64_t n;
    int32_t *type; /* NULL: all normal */
    float *score;  /* NULL: none */
} Reading;

/* ---- the lists */

static Status read_tokens(Reading *r)
{
    static const char key[] = "tokenizer.ggml.tokens";
    Bytes *text;
    TRY(gguf_texts(&text, &r->n, r->a, r->g, key));
    if (!r->n) return err_fail(E_FORMAT, "%s: has no tokens in key '%s'", r->g->path, key);
    r->token = NEW(r->a, const char *, r->n);
    for (int64_t i = 0; i < r->n; i++) {
        if (text[i].len > MOST_BYTES)
            return err_fail(E_FORMAT, "%s: token %lld has %zu bytes, expected at most %d", r->g->path, (long long)i,
                            text[i].len, MOST_BYTES);
        for (size_t k = 0, step; k < text[i].len; k += step)
            if (!(step = utf8_length(text[i].text + k, text[i].len - k)) || !text[i].text[k])
                return err_fail(E_FORMAT, "%s: token %lld is no UTF-8, or holds a NUL", r->g->path, (long long)i);
        r->token[i] = str_copy(r->a, text[i].text, text[i].len);
    }
    return OK;
}

static Status check_length(const Reading *r, const char *key, int64_t n)
{
    if (!n || n == r->n) return OK;
    return err_fail(E_FORMAT, "%s: key '%s' has %lld values for %lld tokens", r->g->path, key, (long long)n,
                    (long long)r->n);
}

static Status read_lists(Reading *r)
{
    int64_t types, scores;
    TRY(read_tokens(r));
    TRY(gguf_ints(&r->type, &types, r->a, r->g, "tokenizer.ggml.token_type"));
    TRY(check_length(r, "tokenizer.ggml.token_type", types));
    TRY(gguf_reals(&r->score, &scores, r->a, r->g, "tokenizer.ggml.scores"));
    return check_length(r, "tokenizer.ggml.scores", scores);
}

static int type_of(const Reading *r, int64_t i)
{
    return r->type ? r->type[i] : TYPE_NORMAL;
}

/* The id under a key, -1 where there is none. */
static Status id_key(int64_t *out, const Reading *r, const char *key)
{
    *out = -1;
    TRY(gguf_int(out, r->g, key, -1, UINT32_MAX));
    if (*out == UINT32_MAX) *out = -1; /* as some converters write "none" */
    if (*out >= r->n)
        return err_fail(E_FORMAT, "%s: key '%s' is %lld, but there are %lld tokens", r->g->path, key, (long long)*out,
                        (long long)r->n);
    return OK;
}

/* ---- parts of a tokenizer.json */

static cJSON *typed(const char *type)
{
    cJSON *j = cJSON_CreateObject();
    cJSON_AddStringToObject(j, "type", type);
    return j;
}

static cJSON *replacing(const char *kind, const char *pattern, const char *content)
{
    cJSON *j = typed("Replace");
    cJSON_AddStringToObject(cJSON_AddObjectToObject(j, "pattern"), kind, pattern);
    cJSON_AddStringToObject(j, "content", content);
    return j;
}

/* A Sequence under `name`, whose list is returned. */
static cJSON *sequence(cJSON *root, const char *name, const char *list)
{
    cJSON *j = typed("Sequence");
    cJSON_AddItemToObject(root, name, j);
    return cJSON_AddArrayToObject(j, list);
}

/* Tokens that are cut out of the text before it is split; control tokens are special. */
static void put_added(const Reading *r)
{
    cJSON *list = cJSON_AddArrayToObject(r->root, "added_tokens");
    for (int64_t i = 0; i < r->n; i++) {
        int type = type_of(r, i);
        if (type != TYPE_CONTROL && type != TYPE_UNKNOWN && type != TYPE_USER) continue;
        cJSON *j = cJSON_CreateObject();
        cJSON_AddNumberToObject(j, "id", (double)i);
        cJSON_AddStringToObject(j, "content", r->token[i]);
        cJSON_AddBoolToObject(j, "single_word", false);
        cJSON_AddBoolToObject(j, "lstrip", false);
        cJSON_AddBoolToObject(j, "rstrip", false);
        cJSON_AddBoolToObject(j, "normalized", false);
        cJSON_AddBoolToObject(j, "special", type != TYPE_USER);
        cJSON_AddItemToArray(list, j);
    }
}

static cJSON *put_model(const Reading *r, const char *type)
{
    cJSON *j = typed(type);
    cJSON_AddItemToObject(r->root, "model", j);
    return j;
}

static void put_vocab(const Reading *r, cJSON *model)
{
    cJSON *vocab = cJSON_AddObjectToObject(model, "vocab");
    for (int64_t i = 0; i < r->n; i++) cJSON_AddNumberToObject(vocab, r->token[i], (double)i);
}

static void put_special(cJSON *list, const char *text, int type_id)
{
    cJSON *item = cJSON_CreateObject(), *in = cJSON_AddObjectToObject(item, "SpecialToken");
    cJSON_AddStringToObject(in, "id", text);
    cJSON_AddNumberToObject(in, "type_id", type_id);
    cJSON_AddItemToArray(list, item);
}

static void put_sequence(cJSON *list, const char *name, int type_id)
{
    cJSON *item = cJSON_CreateObject(), *in = cJSON_AddObjectToObject(item, "Sequence");
    cJSON_AddStringToObject(in, "id", name);
    cJSON_AddNumberToObject(in, "type_id", type_id);
    cJSON_AddItemToArray(list, item);
}

static void declare(const Reading *r, cJSON *tokens, int64_t id)
{
    cJSON *j = cJSON_CreateObject();
    cJSON_AddStringToObject(j, "id", r->token[id]);
    cJSON_AddItemToArray(cJSON_AddArrayToObject(j, "ids"), cJSON_CreateNumber((double)id));
    cJSON_AddItemToArray(cJSON_AddArrayToObject(j, "tokens"), cJSON_CreateString(r->token[id]));
    cJSON_AddItemToObject(tokens, r->token[id], j);
}

/* The template of one text and of two: front A back, and front A back, front or nothing, B back. */
static void put_template(const Reading *r, int64_t front, int64_t back, bool front_again, bool types)
{
    if (front < 0 && back < 0) return;
    cJSON *j = typed("TemplateProcessing"), *tokens;
    cJSON_AddItemToObject(r->root, "post_processor", j);
    for (int pair = 0; pair < 2; pair++) {
        cJSON *list = cJSON_AddArrayToObject(j, pair ? "pair" : "single");
        for (int k = 0; k <= pair; k++) {
            if (front >= 0 && (!k || front_again)) put_special(list, r->token[front], types ? k : 0);
            put_sequence(list, k ? "B" : "A", types ? k : 0);
            if (back >= 0) put_special(list, r->token[back], types ? k : 0);
        }
    }
    tokens = cJSON_AddObjectToObject(j, "special_tokens");
    if (front >= 0) declare(r, tokens, front);
    if (back >= 0 && back != front) declare(r, tokens, back);
}

/* Begin and end tokens as the file asks for them, else as the kind has them. */
static Status put_frame(const Reading *r, bool begins, bool ends)
{
    int64_t bos, eos;
    TRY(gguf_bool(&begins, r->g, "tokenizer.ggml.add_bos_token"));
    TRY(gguf_bool(&ends, r->g, "tokenizer.ggml.add_eos_token"));
    TRY(id_key(&bos, r, "tokenizer.ggml.bos_token_id"));
    TRY(id_key(&eos, r, "tokenizer.ggml.eos_token_id"));
    put_template(r, begins ? bos : -1, ends ? eos : -1, true, false);
    return OK;
}

/* ---- byte-level BPE */

static const char LLAMA3[] = "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}|"
                             " ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
static const char QWEN2[] = "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}|"
                            " ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";

/* How words are split, by the label of llama.cpp; the normalizer is the one of the model's own tokenizer.json. */
static const struct {
    const char *labels, *pattern;  /* pattern NULL: GPT-2's, which ByteLevel has */
    bool digits;                   /* each number character by itself, before the pattern */
    bool nfc, whole_first, begins; /* a word that is a token is not merged; a begin token unless the file says not */
} PATTERNS[] = {{"gpt-2|gpt2|phi-2|roberta-bpe|jais", NULL, false, false, false, false},
                {"olmo|mpt", NULL, false, true, false, false}, /* GPT-NeoX's tokenizer */
                {"smollm|starcoder|refact|codeshell", NULL, true, false, false, false},
                {"llama-bpe|llama3|llama-v3", LLAMA3, false, false, true, true},
                {"dbrx|smaug-bpe", LLAMA3, false, false, false, false},
                {"qwen2|deepseek-r1-qwen", QWEN2, false, true, false, false}};
enum { N_PATTERNS = sizeof PATTERNS / sizeof *PATTERNS };

static Status find_pattern(int *out, const Reading *r)
{
    const char *pre = NULL, *arch = "";
    TRY(gguf_text(&pre, r->a, r->g, "tokenizer.ggml.pre"));
    TRY(gguf_text(&arch, r->a, r->g, "general.architecture"));
    if (!pre && !strcmp(arch, "gpt2")) pre = "gpt-2"; /* files that are older than the key */
    for (int i = 0; pre && i < N_PATTERNS; i++)
        if (str_glob(PATTERNS[i].labels, pre)) {
            *out = i;
            return OK;
        }
    Buf known = buf_open(r->a);
    for (int i = 0; i < N_PATTERNS; i++) buf_print(&known, "%s%s", i ? "|" : "", PATTERNS[i].labels);
    for (char *c = known.text; *c; c++)
        if (*c == '|') *c = ' ';
    if (!pre)
        return err_fail(E_FORMAT, "%s: has no tokenizer.ggml.pre, which names the pattern that splits words",
                        r->g->path);
    return err_fail(E_FORMAT, "%s: tokenizer.ggml.pre is '%.40s', which is not supported; supported are %s",
                    r->g->path, pre, known.text);
}

static cJSON *byte_level(bool splits)
{
    cJSON *j = typed("ByteLevel");
    cJSON_AddBoolToObject(j, "add_prefix_space", false);
    cJSON_AddBoolToObject(j, "trim_offsets", true);
    cJSON_AddBoolToObject(j, "use_regex", splits);
    return j;
}

static void put_splitting(const Reading *r, int which)
{
    cJSON *list = sequence(r->root, "pre_tokenizer", "pretokenizers"), *j;
    if (PATTERNS[which].digits) {
        j = typed("Digits");
        cJSON_AddBoolToObject(j, "individual_digits", true);
        cJSON_AddItemToArray(list, j);
    }
    if (PATTERNS[which].pattern) {
        j = typed("Split");
        cJSON_AddStringToObject(cJSON_AddObjectToObject(j, "pattern"), "Regex", PATTERNS[which].pattern);
        cJSON_AddStringToObject(j, "behavior", "Isolated");
        cJSON_AddBoolToObject(j, "invert", false);
        cJSON_AddItemToArray(list, j);
    }
    cJSON_AddItemToArray(list, byte_level(!PATTERNS[which].pattern));
}

static Status read_merges(const Reading *r, cJSON *model)
{
    Bytes *text;
    int64_t n;
    TRY(gguf_texts(&text, &n, r->a, r->g, "tokenizer.ggml.merges"));
    if (!n) return err_fail(E_FORMAT, "%s: has no merges in key 'tokenizer.ggml.merges'", r->g->path);
    cJSON *list = cJSON_AddArrayToObject(model, "merges");
    for (int64_t i = 0; i < n; i++) {
        const char *merge = str_copy(r->a, text[i].text, text[i].len);
        const char *blank = text[i].len ? strchr(merge + 1, ' ') : NULL; /* the first piece is not empty */
        if (!blank || strlen(merge) != text[i].len || !blank[1])
            return err_fail(E_FORMAT, "%s: merge %lld is not two pieces with a blank between them", r->g->path,
                            (long long)i);
        cJSON_AddItemToArray(list, cJSON_CreateString(merge));
    }
    return OK;
}

static Status read_bytes_bpe(const Reading *r)
{
    int which = 0;
    bool prefix = false;
    TRY(find_pattern(&which, r));
    TRY(gguf_bool(&prefix, r->g, "tokenizer.ggml.add_space_prefix"));
    if (prefix)
        return err_fail(E_FORMAT, "%s: tokenizer.ggml.add_space_prefix is true, which byte-level BPE has not",
                        r->g->path);
    if (PATTERNS[which].nfc) cJSON_AddItemToObject(r->root, "normalizer", typed("NFC"));
    put_splitting(r, which);
    cJSON_AddItemToObject(r->root, "decoder", byte_level(true));
    cJSON *model = put_model(r, "BPE");
    cJSON_AddBoolToObject(model, "ignore_merges", PATTERNS[which].whole_first);
    put_vocab(r, model);
    TRY(read_merges(r, model));
    return put_frame(r, PATTERNS[which].begins, false);
}

/* ---- SentencePiece */

typedef struct {
    int32_t whole, left, right;
    int32_t chars[2]; /* of the two sides */
    int32_t at;       /* the order in which they were found */
} Found;
static _Thread_local const float *scores; /* of the pieces that are sorted */

/* By score, then by the lengths of the sides, from the largest down. */
static int by_score(const void *a, const void *b)
{
    const Found *x = a, *y = b;
    float s = scores[x->whole], t = scores[y->whole];
    if (s != t) return s > t ? -1 : 1;
    for (int k = 0; k < 2; k++)
        if (x->chars[k] != y->chars[k]) return x->chars[k] > y->chars[k] ? -1 : 1;
    return x->at < y->at ? -1 : x->at > y->at;
}

static int by_sides(const void *a, const void *b)
{
    const Found *x = a, *y = b;
    if (x->left != y->left) return x->left < y->left ? -1 : 1;
    return x->right < y->right ? -1 : x->right > y->right;
}

static int32_t chars_of(const char *s, size_t n)
{
    int32_t count = 0;
    for (size_t i = 0; i < n; i++) count += (s[i] & 0xc0) != 0x80;
    return count;
}

static bool is_piece(const Reading *r, int64_t i)
{
    return type_of(r, i) == TYPE_NORMAL || type_of(r, i) == TYPE_USER;
}

/* Every way to make a piece of two pieces. */
static Found *find_merges(const Reading *r, int64_t *n)
{
    Table ids = table_open(r->a, r->n);
    for (int64_t i = 0; i < r->n; i++)
        if (is_piece(r, i)) *table_add(&ids, r->token[i], strlen(r->token[i]), NULL) = (int32_t)i;
    Found *found = NULL;
    int64_t room = 0;
    *n = 0;
    for (int64_t i = 0; i < r->n; i++) {
        const char *text = r->token[i];
        size_t len = is_piece(r, i) ? strlen(text) : 0;
        int64_t first = *n;
        for (size_t k = utf8_length(text, len); k && k < len; k += utf8_length(text + k, len - k)) {
            int32_t left = (int32_t)table_get(&ids, text, k, -1),
                    right = (int32_t)table_get(&ids, text + k, len - k, -1);
            if (left < 0 || right < 0) continue;
            GROW(r->a, found, *n, room, 1 << 12);
            found[(*n)++] = (Found){(int32_t)i, left, right, {chars_of(text, k), chars_of(text + k, len - k)}, 0};
        }
        if (*n > first) qsort(found + first, (size_t)(*n - first), sizeof *found, by_sides);
    }
    for (int64_t i = 0; i < *n; i++) found[i].at = (int32_t)i;
    scores = r->score;
    if (*n) qsort(found, (size_t)*n, sizeof *found, by_score);
    return found;
}

static void put_pairs(const Reading *r, cJSON *model)
{
    int64_t n;
    const Found *found = find_merges(r, &n);
    cJSON *list = cJSON_AddArrayToObject(model, "merges");
    for (int64_t i = 0; i < n; i++) {
        cJSON *pair = cJSON_CreateArray();
        cJSON_AddItemToArray(pair, cJSON_CreateString(r->token[found[i].left]));
        cJSON_AddItemToArray(pair, cJSON_CreateString(r->token[found[i].right]));
        cJSON_AddItemToArray(list, pair);
    }
}

static Status need_scores(const Reading *r)
{
    if (r->score && r->type) return OK;
    return err_fail(E_FORMAT, "%s: has no tokenizer.ggml.%s, which SentencePiece needs", r->g->path,
                    r->score ? "token_type" : "scores");
}

/* Blanks and bytes come back, and the blank in front goes. */
static void put_decoder(const Reading *r, bool prefix)
{
    cJSON *list = sequence(r->root, "decoder", "decoders"), *j;
    cJSON_AddItemToArray(list, replacing("String", BLANK, " "));
    cJSON_AddItemToArray(list, typed("ByteFallback"));
    cJSON_AddItemToArray(list, typed("Fuse"));
    if (!prefix) return;
    cJSON_AddItemToArray(list, j = typed("Strip"));
    cJSON_AddStringToObject(j, "content", " ");
    cJSON_AddNumberToObject(j, "start", 1);
    cJSON_AddNumberToObject(j, "stop", 0);
}

static Status read_spm(const Reading *r)
{
    bool prefix = true;
    int64_t unknown;
    TRY(need_scores(r));
    TRY(gguf_bool(&prefix, r->g, "tokenizer.ggml.add_space_prefix"));
    TRY(id_key(&unknown, r, "tokenizer.ggml.unknown_token_id"));
    cJSON *list = sequence(r->root, "normalizer", "normalizers"), *model = put_model(r, "BPE");
    if (prefix) {
        cJSON *j = typed("Prepend");
        cJSON_AddStringToObject(j, "prepend", BLANK);
        cJSON_AddItemToArray(list, j);
    }
    cJSON_AddItemToArray(list, replacing("String", " ", BLANK));
    put_decoder(r, prefix);
    cJSON_AddStringToObject(model, "unk_token", r->token[unknown < 0 ? 0 : unknown]);
    cJSON_AddBoolToObject(model, "fuse_unk", true);
    cJSON_AddBoolToObject(model, "byte_fallback", true);
    put_vocab(r, model);
    put_pairs(r, model);
    return put_frame(r, true, false);
}

static char *base64(Arena *a, const uint8_t *x, size_t n)
{
    static const char DIGITS[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    char *out = arena_zero(a, (n + 2) / 3 * 4 + 1);
    for (size_t i = 0, k = 0; i < n; i += 3) {
        uint32_t bits = (uint32_t)x[i] << 16 | (i + 1 < n ? (uint32_t)x[i + 1] << 8 : 0) | (i + 2 < n ? x[i + 2] : 0);
        for (int d = 0; d < 4; d++) out[k++] = i + (size_t)d > n ? '=' : DIGITS[bits >> (18 - 6 * d) & 63];
    }
    return out;
}

/* T5's pieces: the most probable cut, after the model's own map of characters. */
static Status read_unigram(const Reading *r)
{
    bool prefix = true, squeeze = true;
    int64_t unknown;
    TRY(need_scores(r));
    TRY(gguf_bool(&prefix, r->g, "tokenizer.ggml.add_space_prefix"));
    TRY(gguf_bool(&squeeze, r->g, "tokenizer.ggml.remove_extra_whitespaces"));
    TRY(id_key(&unknown, r, "tokenizer.ggml.unknown_token_id"));
    const GgufValue *map = gguf_value(r->g, "tokenizer.ggml.precompiled_charsmap");
    cJSON *list = sequence(r->root, "normalizer", "normalizers"), *j;
    if (map && (!map->is_array || (map->kind != GGUF_U8 && map->kind != GGUF_I8)))
        return err_fail(E_FORMAT, "%s: key '%s' is not an array of bytes", r->g->path, map->key);
    if (map) {
        j = typed("Precompiled");
        cJSON_AddStringToObject(j, "precompiled_charsmap", base64(r->a, (const uint8_t *)map->at, (size_t)map->n));
        cJSON_AddItemToArray(list, j);
    }
    if (squeeze) {
        j = typed("Strip");
        cJSON_AddBoolToObject(j, "strip_left", false);
        cJSON_AddBoolToObject(j, "strip_right", true);
        cJSON_AddItemToArray(list, j);
        cJSON_AddItemToArray(list, replacing("Regex", " {2,}", BLANK));
    }
    for (int k = 0; k < 2; k++) {
        cJSON_AddItemToObject(r->root, k ? "decoder" : "pre_tokenizer", j = typed("Metaspace"));
        cJSON_AddStringToObject(j, "replacement", BLANK);
        cJSON_AddStringToObject(j, "prepend_scheme", prefix ? "always" : "never");
        cJSON_AddBoolToObject(j, "split", true);
    }
    cJSON *model = put_model(r, "Unigram"), *vocab = cJSON_AddArrayToObject(model, "vocab");
    cJSON_AddNumberToObject(model, "unk_id", unknown < 0 ? 2 : (double)unknown);
    for (int64_t i = 0; i < r->n; i++) {
        cJSON *entry = cJSON_CreateArray();
        cJSON_AddItemToArray(entry, cJSON_CreateString(r->token[i]));
        cJSON_AddItemToArray(entry, cJSON_CreateNumber((double)r->score[i]));
        cJSON_AddItemToArray(vocab, entry);
    }
    return put_frame(r, false, true);
}

/* ---- WordPiece */

/* The file marks the beginning of a word by U+2581; vocab.txt marks everything else by "##". */
static bool restore_pieces(Reading *r)
{
    bool cased = false;
    for (int64_t i = 0; i < r->n; i++) {
        const char *text = r->token[i];
        if (type_of(r, i) == TYPE_CONTROL || type_of(r, i) == TYPE_UNKNOWN || (*text == '[' && str_glob("*]", text)))
            continue;
        bool begins = !strncmp(text, BLANK, strlen(BLANK));
        r->token[i] = begins ? text + strlen(BLANK) : str_print(r->a, "##%s", text);
        for (const char *c = r->token[i]; *c; c++) cased |= *c >= 'A' && *c <= 'Z';
    }
    return cased;
}

static Status id_or_text(int64_t *out, const Reading *r, const char *key, const char *text)
{
    TRY(id_key(out, r, key));
    for (int64_t i = 0; *out < 0 && i < r->n; i++)
        if (!strcmp(r->token[i], text)) *out = i;
    if (*out < 0) return err_fail(E_FORMAT, "%s: has no token %s", r->g->path, text);
    return OK;
}

/* A vocabulary with capital letters is of a model that keeps them. */
static Status read_wordpiece(Reading *r)
{
    int64_t cls, sep, unk;
    bool cased = restore_pieces(r);
    TRY(id_or_text(&cls, r, "tokenizer.ggml.cls_token_id", "[CLS]"));
    TRY(id_or_text(&sep, r, "tokenizer.ggml.seperator_token_id", "[SEP]"));
    TRY(id_or_text(&unk, r, "tokenizer.ggml.unknown_token_id", "[UNK]"));
    cJSON *normal = typed("BertNormalizer"), *decoder = typed("WordPiece"), *model = put_model(r, "WordPiece");
    cJSON_AddItemToObject(r->root, "normalizer", normal);
    cJSON_AddBoolToObject(normal, "clean_text", true);
    cJSON_AddBoolToObject(normal, "handle_chinese_chars", true);
    cJSON_AddNullToObject(normal, "strip_accents");
    cJSON_AddBoolToObject(normal, "lowercase", !cased);
    cJSON_AddItemToObject(r->root, "pre_tokenizer", typed("BertPreTokenizer"));
    cJSON_AddItemToObject(r->root, "decoder", decoder);
    cJSON_AddStringToObject(decoder, "prefix", "##");
    cJSON_AddBoolToObject(decoder, "cleanup", true);
    cJSON_AddStringToObject(model, "unk_token", r->token[unk]);
    cJSON_AddStringToObject(model, "continuing_subword_prefix", "##");
    cJSON_AddNumberToObject(model, "max_input_chars_per_word", 100);
    put_vocab(r, model);
    put_template(r, cls, sep, false, true);
    return OK;
}

/* ---- all of them */

static Status read_kind(Reading *r)
{
    const char *kind = NULL;
    TRY(gguf_text(&kind, r->a, r->g, "tokenizer.ggml.model"));
    if (!kind) return err_fail(E_FORMAT, "%s: has no tokenizer (key 'tokenizer.ggml.model')", r->g->path);
    TRY(read_lists(r));
    put_added(r);
    if (!strcmp(kind, "gpt2")) return read_bytes_bpe(r);
    if (!strcmp(kind, "llama")) return read_spm(r);
    if (!strcmp(kind, "t5")) return read_unigram(r);
    if (!strcmp(kind, "bert")) return read_wordpiece(r);
    return err_fail(E_FORMAT, "%s: tokenizer.ggml.model is '%.30s', supported are bert, gpt2, llama and t5",
                    r->g->path, kind);
}

Status gguf_tokenizer(cJSON **out, Arena *a, const Gguf *g)
{
    Reading r = {.g = g, .a = a, .root = cJSON_CreateObject()};
    Status s = read_kind(&r);
    *out = s ? NULL : r.root;
    if (s) cJSON_Delete(r.root);
    return s;
}

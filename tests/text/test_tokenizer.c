/* Any tokenizer: every folder of golden texts as its reference implementation cuts them, special tokens in a text,
 * frames, truncation, and tokenizer.json files of SentencePiece's kind, made here from other models and from hand. */
#include "expect.h"

#include <dirent.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/str.h"
#include "io/json.h"
#include "shared.h"
#include "text/spm_model.h"
#include "text/tokenizer.h"
#include "text/unicode.h"
#include "text/zeros.h"

static Arena arena;

static int begin(void **state)
{
    (void)state;
    arena = arena_open((size_t)1 << 34);
    return 0;
}

static int end(void **state)
{
    (void)state;
    err_clear();
    arena_close(&arena);
    return 0;
}

/* ---- golden texts ---- */

static bool same_ids(const BpeText *t, const cJSON *want)
{
    if (t->n != cJSON_GetArraySize(want)) return false;
    int64_t i = 0;
    const cJSON *x;
    cJSON_ArrayForEach(x, want)
    {
        if (t->id[i++] != x->valueint) return false;
    }
    return true;
}

typedef struct {
    const char *file;
    Tokenizer t;
    int texts, wrong;
} Case;

static void expect_ids(Case *c, const BpeText *t, const cJSON *want, const char *what, const char *text)
{
    if (!want || same_ids(t, want) || c->wrong++) return;
    print_message("# %s: \"%.60s\": %s: %lld ids, %d expected\n", c->file, text, what, (long long)t->n,
                  cJSON_GetArraySize(want));
}

/* A text cut as one word, with nothing remembered, gives the same. */
static void expect_whole(Case *c, Bytes text)
{
    Spm whole = *c->t.spm;
    memset(whole.reach.inside, 0xff, sizeof whole.reach.inside);
    whole.reach.words = WORDS_NONE;
    BpeText t = spm_encode(c->t.spm, &arena, text.text, text.len),
            w = spm_encode(&whole, &arena, text.text, text.len);
    bool same = w.n == t.n && !memcmp(w.id, t.id, sizeof *t.id * (size_t)t.n) &&
                !memcmp(w.begin, t.begin, sizeof *t.begin * (size_t)t.n);
    if (!same && !c->wrong++) print_message("# %s: \"%.60s\": words change it\n", c->file, text.text);
}

/* The golden ids of SentencePiece are the model's own; hf_ids are the tokenizer's, with </s> and the language. */
static void compare_spm(Case *c, const cJSON *item, Bytes text)
{
    const cJSON *framed = cJSON_GetObjectItem(item, "hf_ids"), *pieces = cJSON_GetObjectItem(item, "pieces");
    BpeText t = spm_encode(c->t.spm, &arena, text.text, text.len);
    expect_ids(c, &t, cJSON_GetObjectItem(item, "spm_ids"), "the model's ids", text.text);
    expect_whole(c, text);
    int same = !pieces || cJSON_GetArraySize(pieces) == t.n;
    for (int i = 0; same && pieces && i < t.n; i++) /* of an unknown piece it is the text */
        same = t.id[i] == spm_specials(c->t.spm).unk ||
               !strcmp(spm_piece(c->t.spm, t.id[i]), cJSON_GetArrayItem(pieces, i)->valuestring);
    size_t len;
    const char *back = spm_decode(c->t.spm, &arena, t.id, t.n, &len);
    const cJSON *decoded = cJSON_GetObjectItem(item, "decoded");
    if (!same || (decoded && strcmp(back, decoded->valuestring) != 0)) c->wrong++;
    if (!framed) return;
    BpeText x = tokenizer_encode(&c->t, &arena, text.text, text.len, true);
    const char *language = cJSON_GetStringValue(cJSON_GetObjectItem(item, "lang"));
    EXPECT(!tokenizer_wrap(&x, &c->t, &arena, &x, NULL, language, (Limit){0}), "%s", err_message());
    expect_ids(c, &x, framed, "hf_ids", text.text);
}

static void compare_bytes(Case *c, const cJSON *item, Bytes text)
{
    const cJSON *ids = cJSON_GetObjectItem(item, "ids"), *plain = cJSON_GetObjectItem(item, "ids_no_special_in_text");
    const cJSON *wrapped = cJSON_GetObjectItem(item, "wrapped"), *decoded = cJSON_GetObjectItem(item, "decoded");
    BpeText t = tokenizer_encode(&c->t, &arena, text.text, text.len, true), x;
    expect_ids(c, &t, ids, "ids", text.text);
    EXPECT(!tokenizer_wrap(&x, &c->t, &arena, &t, NULL, NULL, (Limit){0}), "%s", err_message());
    expect_ids(c, &x, wrapped, "wrapped", text.text);
    size_t len;
    const char *back = tokenizer_decode(&c->t, &arena, t.id, t.n, &len);
    Bytes want = decoded ? with_zeros(&arena, decoded->valuestring) : text;
    if (len != want.len || memcmp(back, want.text, len) != 0) c->wrong++;
    t = tokenizer_encode(&c->t, &arena, text.text, text.len, false);
    expect_ids(c, &t, plain ? plain : ids, "ids without specials", text.text);
}

static void compare_offsets(Case *c, const cJSON *item, Bytes text)
{
    const cJSON *offsets = cJSON_GetObjectItem(item, "offsets"), *o;
    BpeText t = tokenizer_encode(&c->t, &arena, text.text, text.len, true);
    int64_t i = 0;
    cJSON_ArrayForEach(o, offsets)
    {
        bool same = i < t.n && cJSON_GetArrayItem(o, 0)->valueint == t.begin[i] &&
                    cJSON_GetArrayItem(o, 1)->valueint == t.end[i];
        if (!same && !c->wrong++) print_message("# %s: \"%.60s\": offsets of token %d\n", c->file, text.text, (int)i);
        i++;
    }
    for (i = 0; i < t.n; i++) /* recorded or not, they lie in the text and go forward */
        EXPECT(t.begin[i] >= (i ? t.begin[i - 1] : 0) && t.begin[i] <= t.end[i] && t.end[i] <= (int64_t)text.len,
               "%s: \"%s\": token %d stands for [%d,%d)", c->file, text.text, (int)i, (int)t.begin[i], (int)t.end[i]);
}

static void compare_pair(Case *c, const cJSON *p)
{
    const char *x = cJSON_GetObjectItem(p, "a")->valuestring, *y = cJSON_GetObjectItem(p, "b")->valuestring;
    BpeText s = tokenizer_encode(&c->t, &arena, x, strlen(x), true),
            t = tokenizer_encode(&c->t, &arena, y, strlen(y), true);
    EXPECT(!tokenizer_wrap(&s, &c->t, &arena, &s, &t, NULL, (Limit){0}), "%s", err_message());
    expect_ids(c, &s, cJSON_GetObjectItem(p, "ids"), "a pair", x);
}

static void compare_raw(Case *c, const cJSON *raw)
{
    const char *hex = cJSON_GetObjectItem(raw, "hex")->valuestring;
    size_t n = strlen(hex) / 2;
    char *bytes = arena_take(&arena, n + 1);
    for (size_t i = 0; i < n; i++) bytes[i] = (char)strtol((char[]){hex[2 * i], hex[2 * i + 1], 0}, NULL, 16);
    BpeText t = spm_encode(c->t.spm, &arena, bytes, n);
    expect_ids(c, &t, cJSON_GetObjectItem(raw, "spm_ids"), "raw bytes", hex);
}

static void compare_file(const char *dir, const char *name)
{
    Case c = {.file = str_print(&arena, "%s/%s", dir, name)};
    Bytes file;
    Buf all = buf_open(&arena);
    EXPECT(!file_read(&file, &arena, c.file) && !tokenizer_open(&c.t, &arena, dir), "%s", err_message());
    protect_zeros(file.text);
    cJSON *root = cJSON_Parse(file.text);
    const cJSON *j;
    cJSON_ArrayForEach(j, cJSON_GetObjectItem(root, "items"))
    {
        Bytes text = with_zeros(&arena, cJSON_GetObjectItem(j, "text")->valuestring);
        if (c.t.bpe)
            compare_bytes(&c, j, text);
        else
            compare_spm(&c, j, text);
        compare_offsets(&c, j, text);
        buf_add(&all, text.text, text.len);
        c.texts++;
    }
    for (int i = 0; i < 3; i++) buf_add(&all, all.text, all.len);
    if (c.t.spm) expect_whole(&c, (Bytes){all.text, all.len}); /* long enough to remember words in */
    cJSON_ArrayForEach(j, cJSON_GetObjectItem(root, "pairs")) compare_pair(&c, j);
    cJSON_ArrayForEach(j, cJSON_GetObjectItem(root, "raw_bytes")) compare_raw(&c, j);
    EXPECT(c.texts && !c.wrong, "%s: of %d texts %d differ", c.file, c.texts, c.wrong);
    cJSON_Delete(root);
    tokenizer_close(&c.t);
}

static void golden_texts(void **state)
{
    (void)state;
    const char *root = str_print(&arena, "%s/tokenizers", golden_root(&arena));
    DIR *folders = opendir(root);
    int files = 0;
    if (!folders) skip();
    for (const struct dirent *f; (f = readdir(folders));) {
        const char *dir = str_print(&arena, "%s/%s", root, f->d_name);
        DIR *d = f->d_name[0] == '.' ? NULL : opendir(dir);
        for (const struct dirent *e; d && (e = readdir(d));)
            if (!fnmatch("strings.*.json", e->d_name, 0)) compare_file(dir, e->d_name), files++;
        if (d) closedir(d);
    }
    closedir(folders);
    EXPECT(files > 0, "%s holds no strings.*.json", root);
}

/* ---- tokenizer.json made of a SentencePiece model ---- */

static void put_base64(Buf *b, const unsigned char *p, size_t n)
{
    static const char DIGITS[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < n; i += 3) {
        uint32_t x = (uint32_t)p[i] << 16 | (i + 1 < n ? (uint32_t)p[i + 1] << 8 : 0) | (i + 2 < n ? p[i + 2] : 0);
        for (size_t k = 0; k < 4; k++) buf_add(b, k <= n - i ? &DIGITS[x >> (18 - 6 * k) & 63] : "=", 1);
    }
}

static void put_map(Buf *b, const Spm *s)
{
    uint32_t size = (uint32_t)s->map.units * 4;
    Buf blob = buf_open(&arena);
    buf_add(&blob, (const char *)&size, 4);
    buf_add(&blob, (const char *)s->map.unit, size);
    buf_add(&blob, s->map.replacement, (size_t)s->map.bytes);
    buf_print(b, "\"normalizer\": {\"type\": \"Precompiled\", \"precompiled_charsmap\": \"");
    put_base64(b, (const unsigned char *)blob.text, blob.len);
    buf_print(b, "\"}");
}

typedef struct {
    double score;
    const char *text;
    int at; /* where the piece is cut in two */
} Union;

static int by_score(const void *a, const void *b)
{
    const Union *x = a, *y = b;
    return x->score != y->score ? (x->score < y->score) - (x->score > y->score) : x->at - y->at;
}

/* Every way of putting a piece together, the best score first, as converters write them. */
static void put_merges(Buf *b, const Spm *s)
{
    int64_t n = 0;
    Union *u = NEW(&arena, Union, 20 * (int64_t)s->n);
    for (int32_t i = 0; i < s->n; i++)
        for (int at = 1; s->piece[i].type == PIECE_NORMAL && at < s->piece[i].len; at++) {
            const char *text = s->piece[i].text, *left = str_copy(&arena, text, (size_t)at);
            if (table_get(&s->by_text, left, (size_t)at, -1) >= 0 &&
                table_get(&s->by_text, text + at, (size_t)(s->piece[i].len - at), -1) >= 0)
                u[n++] = (Union){s->piece[i].score, text, at};
        }
    qsort(u, (size_t)n, sizeof *u, by_score);
    for (int64_t i = 0; i < n; i++) {
        buf_print(b, i ? ",[" : "[");
        json_quote(b, str_copy(&arena, u[i].text, (size_t)u[i].at));
        buf_print(b, ",");
        json_quote(b, u[i].text + u[i].at);
        buf_print(b, "]");
    }
}

static const char *document_of(const Spm *s)
{
    Buf b = buf_open(&arena);
    buf_print(&b, "{");
    put_map(&b, s);
    buf_print(&b, ", \"pre_tokenizer\": {\"type\": \"Sequence\", \"pretokenizers\": [{\"type\": \"WhitespaceSplit\"},"
                  "{\"type\": \"Metaspace\", \"replacement\": \"" SPACE "\", \"prepend_scheme\": \"always\"}]},"
                  "\"decoder\": {\"type\": \"Metaspace\"}, \"model\": {\"type\": ");
    bool bpe = s->kind == SPM_BPE;
    buf_print(&b,
              bpe ? "\"BPE\", \"unk_token\": \"<unk>\", \"fuse_unk\": true, \"vocab\": {"
                  : "\"Unigram\", \"unk_id\": %d, \"vocab\": [",
              s->special.unk);
    for (int32_t i = 0; i < s->n; i++) {
        buf_print(&b, i ? (bpe ? "," : ",[") : (bpe ? "" : "["));
        json_quote(&b, s->piece[i].text);
        if (bpe)
            buf_print(&b, ":%d", i);
        else
            buf_print(&b, ",%.9g]", (double)s->piece[i].score);
    }
    buf_print(&b, bpe ? "}, \"merges\": [" : "]");
    if (bpe) put_merges(&b, s);
    buf_print(&b, bpe ? "]}, \"added_tokens\": [" : "}, \"added_tokens\": [");
    for (int32_t i = 0, n = 0; i < s->n; i++)
        if (s->piece[i].type == PIECE_CONTROL)
            buf_print(&b, "%s{\"id\": %d, \"content\": \"%s\", \"special\": true}", n++ ? "," : "", i,
                      s->piece[i].text);
    buf_print(&b, "]}");
    return b.text;
}

static Status open_document(Tokenizer *t, const char *text)
{
    const char *path = str_print(&arena, "/tmp/vernier-tokenizer-%d.json", (int)getpid());
    assert_int_equal(file_write(path, text, strlen(text)), OK);
    Status status = tokenizer_open(t, &arena, path);
    unlink(path);
    return status;
}

static double total(const Spm *s, const BpeText *t)
{
    double sum = 0;
    for (int64_t i = 0; i < t->n; i++) sum += (double)s->piece[t->id[i]].score;
    return sum;
}

static bool has_mark(Bytes text)
{
    bool mark = false;
    for (size_t at = 0, n; at < text.len; at += n)
        mark |= unicode_class(unicode_next(text.text + at, text.len - at, &n)) & UC_MARK;
    return mark;
}

/* The same pieces through the other reader and its steps give the same ids, or another path of the same score,
 * because the two sum in float and in double. */
static void compare_document(const char *folder, const char *model)
{
    const char *dir = str_print(&arena, "%s/tokenizers/%s", golden_root(&arena), folder);
    Spm *s;
    Bytes file;
    Tokenizer t;
    if (file_read(&file, &arena, str_print(&arena, "%s/strings.A.json", dir))) skip();
    EXPECT(!spm_open(&s, &arena, str_print(&arena, "%s/%s", dir, model)), "%s", err_message());
    EXPECT(!open_document(&t, document_of(s)), "%s", err_message());
    protect_zeros(file.text);
    cJSON *root = cJSON_Parse(file.text);
    const cJSON *j;
    int wrong = 0;
    cJSON_ArrayForEach(j, cJSON_GetObjectItem(root, "items"))
    {
        Bytes text = with_zeros(&arena, cJSON_GetObjectItem(j, "text")->valuestring);
        if (strstr(text.text, "\xc2\x85")) continue; /* white space to the one, a character to the other */
        if (has_mark(text)) continue; /* a character with its marks is one key of the map to the other */
        BpeText x = spm_encode(s, &arena, text.text, text.len),
                y = tokenizer_encode(&t, &arena, text.text, text.len, false);
        bool same = x.n == y.n && !memcmp(x.id, y.id, sizeof *x.id * (size_t)x.n);
        for (int64_t i = 0; same && i < x.n; i++) /* squeezed blanks lie elsewhere */
            same = x.end[i] == y.end[i] || !strcmp(spm_piece(s, x.id[i]), SPACE);
        if (!same && s->kind == SPM_UNIGRAM) same = fabs(total(s, &x) - total(s, &y)) < 1e-4;
        if (!same && !wrong++) print_message("# %s: \"%s\": %d and %d ids\n", folder, text.text, (int)x.n, (int)y.n);
    }
    EXPECT(!wrong, "%s: %d texts differ", folder, wrong);
    cJSON_Delete(root);
    tokenizer_close(&t);
}

static void document_of_plbart(void **state)
{
    (void)state;
    compare_document("plbart", "sentencepiece.bpe.model");
}

static void document_of_unigram(void **state)
{
    (void)state;
    compare_document("unigram", "spiece.model");
}

/* ---- tokenizer.json by hand ---- */

#define UNIGRAM                                                                                                      \
    "\"model\": {\"type\": \"Unigram\", \"unk_id\": 0, \"vocab\": [[\"<unk>\", 0], [\"</s>\", 0], [\"" SPACE         \
    "\", -2], [\"a\", -3], [\"b\", -3], [\"" SPACE "a\", -2.5], [\"ab\", -4]]}"
#define CHARACTERS                                                                                                   \
    "\"model\": {\"type\": \"BPE\", \"unk_token\": \"<unk>\", \"vocab\": {\"<unk>\": 0, \"" SPACE                    \
    "\": 1, \"a\": 2, \"b\": 3, \"" SPACE "a\": 4, \"ab\": 5}, \"merges\": [\"a b\", \"" SPACE " a\"]}"
#define META(scheme) "\"pre_tokenizer\": {\"type\": \"Metaspace\", \"prepend_scheme\": \"" scheme "\"}"

static void expect_text(const char *document, const char *text, bool special, const char *want)
{
    Tokenizer t;
    EXPECT(!open_document(&t, document), "%s: %s", document, err_message());
    BpeText x = tokenizer_encode(&t, &arena, text, strlen(text), special);
    Buf b = buf_open(&arena);
    for (int64_t i = 0; i < x.n; i++) buf_print(&b, "%s%d", i ? " " : "", x.id[i]);
    EXPECT(!strcmp(b.text ? b.text : "", want), "%s: \"%s\" gives %s, expected %s", document, text, b.text, want);
    tokenizer_close(&t);
}

static void steps_by_hand(void **state)
{
    (void)state;
    expect_text("{" META("always") "," UNIGRAM "}", "ab a", false, "5 4 5");
    expect_text("{" META("always") "," UNIGRAM "}", "ab  a", false, "5 4 2 5"); /* blanks are kept */
    expect_text("{" META("never") "," UNIGRAM "}", "ab a", false, "6 5");
    expect_text("{" UNIGRAM "}", "axxb", false, "3 0 4"); /* unknown neighbours are one */
    expect_text("{" META("never") "," CHARACTERS "}", "axxb ab", false, "2 0 0 3 1 5"); /* here they are not */
    expect_text("{" META("always") "," CHARACTERS "}", "ab aa", false, "1 5 4 2");
    expect_text(
        "{\"normalizer\": {\"type\": \"Sequence\", \"normalizers\": [{\"type\": \"Strip\", \"strip_right\": true},"
        "{\"type\": \"Replace\", \"pattern\": {\"Regex\": \" {2,}\"}, \"content\": \" \"}]}," META(
            "always") "," UNIGRAM "}",
        "a   b  ", false, "5 2 4");
    expect_text(
        "{\"normalizer\": {\"type\": \"Sequence\", \"normalizers\": [{\"type\": \"Prepend\", \"prepend\": \"" SPACE
        "\"}, {\"type\": \"Replace\", \"pattern\": {\"String\": \" \"}, \"content\": \"" SPACE "\"}]}," CHARACTERS
        "}",
        "a  b", false, "4 1 1 3");
    const char *special = "{\"added_tokens\": [{\"id\": 1, \"content\": \"</s>\", \"special\": true}, {\"id\": 7,"
                          "\"content\": \"<x>\", \"lstrip\": true}]," META("first") "," UNIGRAM "}";
    expect_text(special, "a</s>a <x>b", true, "5 1 3 7 4"); /* "first": only where the text begins */
    expect_text(special, "</s>", false, "2 0");
}

static void byte_fallback(void **state)
{
    (void)state;
    Buf b = buf_open(&arena);
    buf_print(&b, "{\"decoder\": {\"type\": \"Sequence\", \"decoders\": [{\"type\": \"ByteFallback\"}, {\"type\": "
                  "\"Fuse\"}]},");
    buf_print(&b, "\"model\": {\"type\": \"BPE\", \"byte_fallback\": true, \"merges\": [], \"vocab\": {\"a\": 256");
    for (int i = 0; i < 256; i++) buf_print(&b, ", \"<0x%02X>\": %d", i, i);
    buf_print(&b, "}}}");
    expect_text(b.text, "a\xc3\xa9", false, "256 195 169");
    Tokenizer t;
    EXPECT(!open_document(&t, b.text), "%s", err_message());
    const int32_t ids[] = {256, 195, 169};
    size_t len;
    assert_string_equal(tokenizer_decode(&t, &arena, ids, 3, &len), "a\xc3\xa9");
    tokenizer_close(&t);
}

static void refused_documents(void **state)
{
    (void)state;
    static const char *const CASE[][2] = {
        {"{\"normalizer\": {\"type\": \"Odd\"}," UNIGRAM "}", "normalizer.type is \"Odd\", expected BertNormalizer"},
        {"{\"normalizer\": {\"type\": \"Replace\", \"pattern\": {\"Regex\": \"x(\"}, \"content\": \"\"}," UNIGRAM "}",
         "normalizer.pattern: the regular expression is not valid"},
        {"{\"normalizer\": {\"type\": \"Replace\", \"pattern\": {\"Regex\": \"[a&&b]\"}, \"content\": \"\"}," UNIGRAM
         "}",
         "has &&, which is not supported"},
        {"{\"normalizer\": {\"type\": \"Replace\", \"pattern\": 7, \"content\": \"\"}," UNIGRAM "}",
         "normalizer.pattern is 7"},
        {"{\"normalizer\": {\"type\": \"Precompiled\", \"precompiled_charsmap\": \"!\"}," UNIGRAM "}",
         "byte 0 is no base64"},
        {"{\"normalizer\": {\"type\": \"Precompiled\", \"precompiled_charsmap\": \"AAAA\"}," UNIGRAM "}",
         "character map"},
        {"{\"pre_tokenizer\": {\"type\": \"Odd\"}," UNIGRAM "}", "pre_tokenizer.type is \"Odd\""},
        {"{\"pre_tokenizer\": {\"type\": \"Split\", \"pattern\": {\"String\": \"a\"}}," UNIGRAM "}",
         "pre_tokenizer.behavior is absent"},
        {"{\"pre_tokenizer\": {\"type\": \"Punctuation\", \"behavior\": \"Odd\"}," UNIGRAM "}",
         "behavior is \"Odd\""},
        {"{\"pre_tokenizer\": {\"type\": \"Metaspace\", \"replacement\": \"__\"}," UNIGRAM "}",
         "replacement is \"__\""},
        {"{\"pre_tokenizer\": {\"type\": \"CharDelimiterSplit\", \"delimiter\": \"ab\"}," UNIGRAM "}",
         "delimiter is \"ab\""},
        {"{" META("last") "," UNIGRAM "}", "prepend_scheme is \"last\""},
        {"{\"decoder\": {\"type\": \"CTC\"}," UNIGRAM "}", "decoder.type is \"CTC\""},
        {"{\"post_processor\": {\"type\": \"Odd\"}," UNIGRAM "}", "post_processor.type is \"Odd\""},
        {"{\"model\": {\"type\": \"Odd\"}}", "model.type is \"Odd\""},
        {"{\"model\": {\"type\": \"WordLevel\", \"vocab\": {\"a\": 0}}}", "model.unk_token is absent"},
        {"{\"model\": {\"type\": \"WordPiece\", \"unk_token\": \"b\", \"vocab\": {\"a\": 0}}}",
         "model.unk_token is \"b\""},
        {"{\"model\": {\"type\": \"WordPiece\", \"unk_token\": \"a\", \"vocab\": {\"a\": -1}}}", "an id is -1"},
        {"{\"model\": {\"type\": \"Unigram\", \"vocab\": [[\"a\", 0]]}}", "model.unk_id is absent"},
        {"{\"model\": {\"type\": \"Unigram\", \"unk_id\": 0, \"vocab\": [[\"a\"]]}}", "an entry is [\"a\"]"},
        {"{\"model\": {\"type\": \"BPE\", \"unk_token\": \"b\", \"vocab\": {\"a\": 0}, \"merges\": []}}",
         "model.unk_token is \"b\""},
        {"{\"model\": {\"type\": \"BPE\", \"vocab\": {\"a\": 0}, \"merges\": [\"a b\"]}}",
         "\"b\" is not in the vocabulary"},
        {"{\"model\": {\"type\": \"BPE\", \"vocab\": {\"a\": 0}, \"merges\": [7]}}", "merge 0"},
        {"{\"model\": {\"type\": \"BPE\", \"dropout\": 0.1, \"vocab\": {\"a\": 0}, \"merges\": []}}",
         "model.dropout is 0.1"},
        {"{\"added_tokens\": [{\"id\": 0}]," UNIGRAM "}", "has no text"},
        {"{\"added_tokens\": 7," UNIGRAM "}", "added_tokens is 7"},
    };
    for (size_t i = 0; i < sizeof CASE / sizeof *CASE; i++) {
        Tokenizer t;
        EXPECT(open_document(&t, CASE[i][0]) == E_FORMAT && strstr(err_message(), CASE[i][1]),
               "%s answers \"%s\", expected %s", CASE[i][0], err_message(), CASE[i][1]);
        err_clear();
    }
}

/* ---- frames ---- */

#define SPECIALS "\"special_tokens\": {\"</s>\": {\"ids\": [1]}, \"<x>\": {\"ids\": [7, 8]}}"

static void frames_of_a_template(void **state)
{
    (void)state;
    Tokenizer t;
    EXPECT(!open_document(
               &t, "{\"post_processor\": {\"type\": \"TemplateProcessing\", \"single\": [{\"SpecialToken\": {\"id\":"
                   "\"<x>\"}}, {\"Sequence\": {\"id\": \"A\"}}, {\"SpecialToken\": {\"id\": \"</s>\"}}], \"pair\":"
                   "[{\"Sequence\": {\"id\": \"A\"}}, {\"SpecialToken\": {\"id\": \"</s>\"}}, {\"Sequence\": "
                   "{\"id\": \"B\"}}]," SPECIALS "}," UNIGRAM "}"),
           "%s", err_message());
    BpeText x = tokenizer_encode(&t, &arena, "ab", 2, false), y = tokenizer_encode(&t, &arena, "b", 1, false), out;
    EXPECT(!tokenizer_wrap(&out, &t, &arena, &x, NULL, NULL, (Limit){0}), "%s", err_message());
    assert_memory_equal(out.id, ((const int32_t[]){7, 8, 6, 1}), 16);
    assert_true(out.n == 4 && out.begin[0] == -1 && out.begin[2] == 0 && out.end[2] == 2);
    EXPECT(!tokenizer_wrap(&out, &t, &arena, &x, &y, NULL, (Limit){0}), "%s", err_message());
    assert_true(out.n == 3 && out.id[1] == 1 && out.id[2] == 4);
    tokenizer_close(&t);
    EXPECT(open_document(&t, "{\"post_processor\": {\"type\": \"TemplateProcessing\", \"single\": [{\"Sequence\": "
                             "{\"id\": \"B\"}}]," SPECIALS "}," UNIGRAM "}") == E_FORMAT,
           "B before A is taken");
    assert_non_null(strstr(err_message(), "a Sequence is {\"id\":\"B\"}"));
}

static BpeText numbers(int n, int first)
{
    BpeText t = text_new(&arena, n);
    for (int i = 0; i < n; i++) t.id[i] = first + i, t.begin[i] = i, t.end[i] = i + 1;
    return t;
}

static void expect_cut(int n, int m, Limit limit, int size, const int32_t *want)
{
    const TokenFrame f = {{{91}, {92}, {93}}, {1, 1, 1}};
    BpeText x = numbers(n, 10), y = numbers(m, 20), out;
    EXPECT(!frame_put(&out, &arena, &f, &x, m ? &y : NULL, limit), "%s", err_message());
    EXPECT(out.n == size && !memcmp(out.id, want, sizeof *want * (size_t)size), "%d and %d to %d: %d ids", n, m,
           (int)limit.most, (int)out.n);
    EXPECT(m ? out.id[out.second - 1] == 92 : !out.second, "%d and %d to %d: the second text begins at %d", n, m,
           (int)limit.most, (int)out.second);
}
#define CUT(n, m, most, how, left, ...)                                                                              \
    expect_cut(n, m, (Limit){most, how, left}, (int)(sizeof((int32_t[]){__VA_ARGS__}) / 4), (int32_t[]){__VA_ARGS__})

static void texts_are_cut(void **state)
{
    (void)state;
    CUT(3, 0, 0, CUT_LONGEST, false, 91, 10, 11, 12, 92);
    CUT(3, 0, 4, CUT_LONGEST, false, 91, 10, 11, 92);
    CUT(3, 0, 4, CUT_LONGEST, true, 91, 11, 12, 92);
    CUT(3, 0, 4, CUT_SECOND, false, 91, 10, 11, 92); /* there is but one to cut */
    CUT(4, 1, 6, CUT_LONGEST, false, 91, 10, 11, 92, 20, 93);
    CUT(4, 3, 6, CUT_LONGEST, true, 91, 12, 13, 92, 22, 93);
    CUT(2, 3, 6, CUT_FIRST, false, 91, 92, 20, 21, 22, 93);
    CUT(2, 3, 6, CUT_SECOND, true, 91, 10, 11, 92, 22, 93);
    BpeText x = numbers(2, 10), y = numbers(3, 20), out;
    const TokenFrame f = {{{91}, {92}, {93}}, {1, 1, 1}};
    assert_int_equal(frame_put(&out, &arena, &f, &x, &y, (Limit){5, CUT_FIRST, false}), E_CONFIG);
    assert_non_null(strstr(err_message(), "the first text has 2 ids, and 3 would have to go"));
    err_clear();
    assert_int_equal(frame_put(&out, &arena, &f, &x, &y, (Limit){2, CUT_LONGEST, false}), E_CONFIG);
    assert_non_null(strstr(err_message(), "do not hold the 3"));
}

/* BERT's types: 1 from the second text on, its end token included; other tokenizers give none. */
static void second_text_has_a_type(void **state)
{
    (void)state;
    Tokenizer t = {.pair = {{{91}, {92}, {93}}, {1, 1, 1}, {{0}, {0}, {1}}, {0, 1}}, .typed = true};
    BpeText x = numbers(2, 10), y = numbers(1, 20), both = {0};
    EXPECT(!frame_put(&both, &arena, &t.pair, &x, &y, (Limit){0}), "%s", err_message());
    int32_t *type = tokenizer_types(&t, &arena, &both);
    assert_memory_equal(type, ((const int32_t[]){0, 0, 0, 0, 1, 1}), 24);
    assert_null(tokenizer_types(&t, &arena, &x));
    t.typed = false;
    assert_null(tokenizer_types(&t, &arena, &both));
}

#define T(f) cmocka_unit_test_setup_teardown(f, begin, end)
SUITE(T(golden_texts), T(document_of_plbart), T(document_of_unigram), T(steps_by_hand), T(byte_fallback),
      T(refused_documents), T(frames_of_a_template), T(texts_are_cut), T(second_text_has_a_type))

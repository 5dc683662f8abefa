/* SentencePiece: properties that hold on a small model made here; test_tokenizer.c has the real ones. */
#include "expect.h"

#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/str.h"
#include "text/spm_model.h"

/* ---- a model made here */

static void put_varint(Buf *b, uint64_t x)
{
    for (; x > 127; x >>= 7) buf_add(b, &(char){(char)(x | 128)}, 1);
    buf_add(b, &(char){(char)x}, 1);
}

static void put_bytes(Buf *b, int field, const char *bytes, size_t n)
{
    put_varint(b, (uint64_t)field << 3 | 2);
    put_varint(b, n);
    buf_add(b, bytes, n);
}

static void put_piece(Buf *to, Arena *a, const char *text, float score, int type)
{
    Buf b = buf_open(a);
    put_bytes(&b, 1, text, strlen(text));
    put_varint(&b, 2 << 3 | 5);
    buf_add(&b, (const char *)&score, 4);
    put_varint(&b, 3 << 3);
    put_varint(&b, (uint64_t)type);
    put_bytes(to, 1, b.text, b.len);
}

#define S_ "\xe2\x96\x81"
static Buf small_model(Arena *a, int kind, bool byte_fallback)
{
    Buf b = buf_open(a), trainer = buf_open(a);
    static const struct {
        const char *text;
        float score;
        int type;
    } piece[] = {{"<unk>", 0, 2},    {"<s>", 0, 3},    {"</s>", 0, 3},   {S_, -1, 1},     {"a", -2, 1},  {"b", -2, 1},
                 {S_ "a", -1.5F, 1}, {"ab", -1.2F, 1}, {"bb", -1.1F, 1}, {"<tag>", 0, 4}, {"abb", -9, 1}};
    for (size_t i = 0; i < sizeof piece / sizeof *piece; i++)
        put_piece(&b, a, piece[i].text, piece[i].score, piece[i].type);
    for (int i = 0; byte_fallback && i < 256; i++) put_piece(&b, a, str_print(a, "<0x%02X>", i), 0, 6);
    put_varint(&trainer, 3 << 3);
    put_varint(&trainer, (uint64_t)kind);
    put_varint(&trainer, 35 << 3);
    put_varint(&trainer, byte_fallback);
    put_varint(&trainer, 43 << 3);
    put_varint(&trainer, (uint64_t)-1);
    put_bytes(&b, 2, trainer.text, trainer.len);
    return b;
}

static Status open_model(Spm **s, Arena *a, const char *bytes, size_t n)
{
    const char *path = str_print(a, "/tmp/vernier-spm-%d.model", (int)getpid());
    assert_int_equal(file_write(path, bytes, n), OK);
    Status status = spm_open(s, a, path);
    unlink(path);
    return status;
}

static void expect_ids(const Spm *s, Arena *a, const char *text, int n, const int32_t *want)
{
    BpeText t = spm_encode(s, a, text, strlen(text));
    EXPECT(t.n == n && !memcmp(t.id, want, sizeof *want * (size_t)n), "\"%s\" gives %lld ids, first %d %d", text,
           (long long)t.n, t.n ? t.id[0] : -1, t.n > 1 ? t.id[1] : -1);
    for (int64_t i = 0; i < t.n; i++)
        EXPECT(t.begin[i] <= t.end[i] && t.end[i] <= (int64_t)strlen(text) && (!i || t.begin[i] >= t.begin[i - 1]),
               "\"%s\": token %lld stands for [%lld,%lld)", text, (long long)i, (long long)t.begin[i],
               (long long)t.end[i]);
}
#define IDS(s, text, ...)                                                                                            \
    expect_ids(s, &a, text, (int)(sizeof((int32_t[]){__VA_ARGS__}) / 4), (const int32_t[]){__VA_ARGS__})

static void small_models(void **state)
{
    (void)state;
    Arena a = arena_open(0);
    Spm *bpe, *uni, *bytes;
    Buf b = small_model(&a, SPM_BPE, false), u = small_model(&a, SPM_UNIGRAM, false),
        f = small_model(&a, SPM_BPE, true);
    assert_int_equal(open_model(&bpe, &a, b.text, b.len), OK);
    assert_int_equal(open_model(&uni, &a, u.text, u.len), OK);
    assert_int_equal(open_model(&bytes, &a, f.text, f.len), OK);
    assert_true(bpe->kind == SPM_BPE && uni->kind == SPM_UNIGRAM && spm_specials(bpe).pad == -1);
    IDS(bpe, "abb", 6, 8);            /* bb (-1.1) first, then the blank and a (-1.5) */
    IDS(uni, "abb", 6, 8);            /* -2.6, against -2.2 - 2 of the blank, ab, b */
    IDS(bpe, "  b   b ", 3, 5, 3, 5); /* blanks are squeezed */
    IDS(bpe, "b<tag>b", 3, 5, 9, 5);  /* kept whole */
    IDS(bpe, "b<s>b", 3, 5, 0, 5);    /* a control piece is no text: three unknowns, merged */
    IDS(bpe, "bxyb", 3, 5, 0, 5);
    IDS(bytes, "bx", 3, 5, 11 + 'x');
    size_t len;
    BpeText t = spm_encode(bpe, &a, "ab bb", 5);
    assert_string_equal(spm_decode(bpe, &a, t.id, t.n, &len), "ab bb");
    assert_int_equal(spm_encode(bpe, &a, "", 0).n, 0);
    arena_close(&a);
}

/* ---- pieces of the user, and pieces to pass through */

typedef struct {
    const char *text;
    float score;
    int type;
} Given;

static Spm *model_with(Arena *a, int kind, const Given *more, int n)
{
    static const Given FIRST[] = {{"<unk>", 0, 2}, {"<s>", 0, 3}, {"</s>", 0, 3},
                                  {S_, -1, 1},     {"a", -2, 1},  {"b", -2, 1}};
    Buf b = buf_open(a), trainer = buf_open(a);
    for (int i = 0; i < 6; i++) put_piece(&b, a, FIRST[i].text, FIRST[i].score, FIRST[i].type);
    for (int i = 0; i < n; i++) put_piece(&b, a, more[i].text, more[i].score, more[i].type);
    put_varint(&trainer, 3 << 3);
    put_varint(&trainer, (uint64_t)kind);
    put_bytes(&b, 2, trainer.text, trainer.len);
    Spm *s;
    EXPECT(open_model(&s, a, b.text, b.len) == OK, "%s", err_message());
    return s;
}

/* sentencepiece/src/unigram_model.cc: a user's piece weighs its length in bytes times the largest score of a normal
 * piece, less 0.1, whatever its own score; an unused piece is never chosen.  bpe_model.cc: a user's piece is one
 * symbol that nothing merges with; an unused one may be merged through, and the rest of it is cut back. */
static void pieces_of_every_type(void **state)
{
    (void)state;
    Arena a = arena_open(0);
    const Given unigram[] = {{"ab", -9, 4}, {"ba", -0.1F, 5}, {"x", -2, 1}, {"xab", -1.5F, 1}};
    Spm *u = model_with(&a, SPM_UNIGRAM, unigram, 4);
    IDS(u, "ab", 3, 6);     /* -1 - 2.1 against -1 - 2 - 2; its own -9 would lose */
    IDS(u, "ba", 3, 5, 4);  /* -0.1 would win */
    IDS(u, "aba", 3, 6, 4); /* a, then ba, is not a way */
    IDS(u, "xab", 3, 9);    /* -1 - 1.5 against -1 - 2 - 2.1 */
    IDS(u, "bab", 3, 5, 6); /* -1 - 2 - 2.1 */
    const Given bpe[] = {{"ab", -0.5F, 5}, {"abb", -0.6F, 1}, {"aa", -0.7F, 4}, {"aab", -0.1F, 1}};
    Spm *p = model_with(&a, SPM_BPE, bpe, 4);
    IDS(p, "ab", 3, 4, 5);  /* merged, and cut back */
    IDS(p, "abb", 3, 7);    /* merged through */
    IDS(p, "aab", 3, 8, 5); /* aa is the user's: neither ab nor aab can form */
    IDS(p, "babab", 3, 5, 4, 5, 4, 5);
    arena_close(&a);
}

/* Cut anywhere or with any byte changed, a file is refused or read; nothing is read beyond its end. */
static void broken_models(void **state)
{
    (void)state;
    Arena a = arena_open(0);
    Buf b = small_model(&a, SPM_UNIGRAM, false);
    int refused = 0;
    for (size_t i = 0; i < b.len; i++)
        for (int k = 0; k < 3; k++) {
            ArenaMark mark = arena_mark(&a);
            char *copy = arena_take(&a, b.len);
            memcpy(copy, b.text, b.len);
            if (k) copy[i] = (char)(k == 1 ? copy[i] ^ 1 : 0xff);
            Spm *s;
            Status status = open_model(&s, &a, copy, k ? b.len : i);
            assert_true(status == OK || status == E_FORMAT);
            if (!status) spm_encode(s, &a, "a b<tag>abb\xffz", 13);
            refused += status == E_FORMAT;
            err_clear();
            arena_drop(&a, mark);
        }
    EXPECT(refused > (int)b.len / 2, "%d refused", refused);
    arena_close(&a);
}

SUITE(cmocka_unit_test(small_models), cmocka_unit_test(pieces_of_every_type), cmocka_unit_test(broken_models))

/* The tokenizer: cuts, training, files, round trips on any bytes, refusals; test_tokenizer.c has the
 * published vocabularies. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "expect.h"

#include <pcre2.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "arena.h"
#include "base/str.h"
#include "text/bpe_core.h"
#include "text/heap.h"
#include "text/pretoken.h"
#include "text/tokenizer.h"

/* ---- cutting ---- */

static void expect_cut(const char *text, size_t len, const char *bars)
{
    Buf got = buf_open(&arena);
    size_t last = 0;
    Pretokens w = pretoken_open(SCAN_GPT2, text, len);
    for (size_t a, b; pretoken_next(&w, &a, &b); last = b) {
        EXPECT(a == last && b > a, "a word [%zu,%zu) after %zu in \"%s\"", a, b, last, text);
        if (got.len) buf_add(&got, "|", 1);
        buf_add(&got, text + a, b - a);
    }
    assert_int_equal(last, len);
    EXPECT(len == 0 || strcmp(got.text, bars) == 0, "\"%s\" is cut \"%s\", expected \"%s\"", text, got.text, bars);
}

static void cuts_as_published(void **state)
{
    (void)state;
    static const char *const CASE[][2] = {
        {"", ""},
        {"Hello world", "Hello| world"},
        {"int x=10;", "int| x|=|10|;"},
        {"I'll don't 'sfoo", "I|'ll| don|'t| '|sfoo"},
        {"a  b", "a| | b"},
        {"a \n\t b  ", "a| \n\t| b|  "},
        {"x\n", "x|\n"},
        {"\n\nx", "\n|\n|x"},
        {"caf\xc3\xa9 12\xc2\xbd!", "caf\xc3\xa9| 12\xc2\xbd|!"},
        {"a\xc2\xa0\xc2\xa0z", "a|\xc2\xa0|\xc2\xa0|z"},
        {"a\xe1\xa0\x8e z", "a|\xe1\xa0\x8e| z"}, /* U+180E is no white space */
        {"a\xff\xfe z", "a|\xff\xfe| z"},
        {"a \xc3 b", "a| |\xc3| b"},
        {"- \xed\xa0\x80-", "-| |\xed\xa0\x80|-"}, /* a surrogate is not UTF-8 */
        {"// --- \xe2\x80\x94 it's", "//| ---| \xe2\x80\x94| it|'s"},
    };
    for (size_t i = 0; i < sizeof CASE / sizeof *CASE; i++) expect_cut(CASE[i][0], strlen(CASE[i][0]), CASE[i][1]);
}

/* The published regular expressions, matched word by word; \\s also takes U+180E to PCRE2, which is no white
 * space. */
#define BLANKS "\\p{Z}\\t-\\r\\x{85}"
static const char *const PATTERN[SCANS] = {
    "'(?:s|t|re|ve|m|ll|d)| ?\\p{L}+| ?\\p{N}+| ?[^" BLANKS "\\p{L}\\p{N}]+|[" BLANKS "]+(?![^" BLANKS "])|[" BLANKS
    "]+",
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^" BLANKS
    "\\p{L}\\p{N}]+[\\r\\n]*|[" BLANKS "]*[\\r\\n]+|[" BLANKS "]+(?![^" BLANKS "])|[" BLANKS "]+",
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^" BLANKS "\\p{L}\\p{N}]+[\\r\\n]*|[" BLANKS
    "]*[\\r\\n]+|[" BLANKS "]+(?![^" BLANKS "])|[" BLANKS "]+"};

static size_t random_text(char *text, size_t room, uint64_t stream)
{
    static const uint32_t FEW[] = {'a', 'l', 's', '\'', ' ',  ' ',  '\n',   '\r',   '\t',    '7',    '8',   '9',
                                   ';', 'L', 'S', 0xe9, 0xb2, 0xa0, 0x2003, 0x4e2d, 0x1f600, 0x180e, 0x660, 0x17f};
    size_t n = 0;
    for (uint64_t i = 0; n + 4 <= room; i++) {
        uint64_t r = rng_bits(stream, i);
        uint32_t c = r & 3 ? FEW[(r >> 8) % (sizeof FEW / sizeof *FEW)]
                           : (uint32_t)(r >> 8) % 0x3000; /* which change no more */
        int more = c < 0x80 ? 0 : c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
        text[n++] = (char)(more ? (0xffU << (7 - more) & 0xff) | c >> 6 * more : c);
        while (more--) text[n++] = (char)(0x80 | (c >> 6 * more & 63));
    }
    return n;
}

static void expect_pattern(Scan scan)
{
    int code;
    PCRE2_SIZE at;
    pcre2_code *p = pcre2_compile((PCRE2_SPTR)PATTERN[scan], PCRE2_ZERO_TERMINATED,
                                  PCRE2_UTF | PCRE2_UCP | PCRE2_ANCHORED, &code, &at, NULL);
    assert_non_null(p);
    pcre2_match_data *m = pcre2_match_data_create(1, NULL);
    char text[200];
    for (uint64_t round = 0; round < 3000; round++) {
        size_t n = random_text(text, sizeof text, rng_mix(31, round)), last = 0;
        Pretokens w = pretoken_open(scan, text, n);
        for (size_t a, b; pretoken_next(&w, &a, &b); last = b) {
            int found = pcre2_match(p, (PCRE2_SPTR)text, n, last, 0, m, NULL);
            EXPECT(found == 1 && a == last && b == pcre2_get_ovector_pointer(m)[1],
                   "pattern %d, round %d: [%zu,%zu) ends at %zu by the pattern: %.*s", scan, (int)round, a, b,
                   pcre2_get_ovector_pointer(m)[1], (int)n, text);
        }
        assert_int_equal(last, n);
    }
    pcre2_match_data_free(m);
    pcre2_code_free(p);
}

static void cuts_as_the_pattern_does(void **state)
{
    (void)state;
    for (int i = 0; i < SCANS; i++) expect_pattern((Scan)i);
}

static void spaces_on_either_side(void **state)
{
    (void)state;
    const char *s = "a \xe2\x80\x83\n b";
    size_t n = strlen(s);
    assert_int_equal(pretoken_space_back(s, 0, n - 1), 1);
    assert_int_equal(pretoken_space_back(s, 2, n - 1), 2);
    assert_int_equal(pretoken_space_skip(s, 1, n), n - 1);
    assert_int_equal(pretoken_space_skip(s, 0, n), 0);
    assert_int_equal(pretoken_space_back("\xff", 0, 1), 1);
}

static void heap_sorts(void **state)
{
    (void)state;
    Heap h = heap_open(&arena, 0);
    for (uint64_t i = 0; i < 1000; i++) heap_push(&h, (HeapItem){rng_bits(3, i) % 50, i * 7 % 1000, i});
    HeapItem last = {0, 0, 0}, x;
    int n = 0;
    for (; heap_pop(&h, &x); n++, last = x)
        assert_true(n == 0 || last.key < x.key || (last.key == x.key && last.tie < x.tie));
    assert_int_equal(n, 1000);
}

/* ---- training ---- */

static Bytes bytes_of(const char *s)
{
    return (Bytes){str_copy(&arena, s, strlen(s)), strlen(s)};
}

static Bpe *train(const char *text, int64_t size, int64_t min_count)
{
    Bytes corpus = bytes_of(text);
    Bpe *b = NULL;
    assert_int_equal(bpe_train(&b, &arena, &(BpeTrain){.size = size, .min_count = min_count}, &corpus, 1), OK);
    return b;
}

static const char CODE[] =
    "public static int sumOf ( int [ ] values ) { int total = 0 ; for ( int i = 0 ; i < values "
    ". length ; i ++ ) { total += values [ i ] ; } return total ; }\n"
    "private boolean isEmpty ( String name ) { return name == null || name . length ( ) == 0 ; }\n"
    "double mean ( double [ ] values ) { return sum ( values ) / values . length ; }";

/* Counted by hand: " ab" x 3 and " abc" x 2 give (a,b) 5, then (space,ab) 5, then (space ab,c) 2. */
static void trains_by_hand(void **state)
{
    (void)state;
    Bpe *b = train(" ab ab ab abc abc", 300, 2);
    assert_int_equal(bpe_find(b, "<s>"), 0);
    assert_int_equal(bpe_find(b, "<pad>"), 1);
    assert_int_equal(bpe_find(b, "</s>"), 2);
    assert_int_equal(bpe_find(b, "<unk>"), 3);
    assert_int_equal(bpe_find(b, "!"), 4);                   /* byte 33 spells itself and comes first */
    assert_int_equal(bpe_find(b, "\xc4\xa0"), 4 + 188 + 32); /* the space, among those that do not */
    assert_int_equal(bpe_find(b, "ab"), 260);
    assert_int_equal(bpe_find(b, "\xc4\xa0"
                                 "ab"),
                     261);
    assert_int_equal(bpe_find(b, "\xc4\xa0"
                                 "abc"),
                     262);
    assert_int_equal(bpe_find(b, "<mask>"), 263);
    assert_int_equal(bpe_size(b), 264);
    BpeText t = bpe_encode(b, &arena, "ab abc cab", 10, false);
    const int32_t want[] = {260, 262, bpe_find(b, "\xc4\xa0"), bpe_find(b, "c"), 260};
    assert_int_equal(t.n, 5);
    assert_memory_equal(t.id, want, sizeof want);
    bpe_close(b);
}

/* The definition, with no heap, no lists and no increments: recount everything, take the best, merge. */
static void slow_train(Bpe *b, const char *text, char merges[][2][32], int *n_merges, int most)
{
    enum { WORDS = 400, LONGEST = 40 };
    int32_t(*word)[LONGEST] = (void *)NEW(&arena, int32_t, WORDS * LONGEST);
    int len[WORDS], n = 0;
    Pretokens w = pretoken_open(SCAN_GPT2, text, strlen(text));
    for (size_t from, to; pretoken_next(&w, &from, &to); n++) {
        assert_true(n < WORDS && to - from < LONGEST);
        len[n] = 0;
        for (size_t i = from; i < to; i++) {
            const char one[] = {text[i], 0};
            word[n][len[n]++] = bpe_find(b, text[i] == ' ' ? "\xc4\xa0" : text[i] == '\n' ? "\xc4\x8a" : one);
        }
    }
    for (*n_merges = 0; *n_merges < most; ++*n_merges) {
        int32_t best[2] = {0, 0};
        int best_count = 1;
        for (int i = 0; i < n; i++)
            for (int k = 0; k + 1 < len[i]; k++) {
                int count = 0;
                for (int j = 0; j < n; j++)
                    for (int m = 0; m + 1 < len[j]; m++)
                        count += word[j][m] == word[i][k] && word[j][m + 1] == word[i][k + 1];
                bool lower = word[i][k] < best[0] || (word[i][k] == best[0] && word[i][k + 1] < best[1]);
                if (count < best_count || (count == best_count && !lower)) continue;
                if (count < 2) continue;
                best_count = count;
                memcpy(best, &word[i][k], sizeof best);
            }
        if (best_count < 2) return;
        snprintf(merges[*n_merges][0], 32, "%s", bpe_piece(b, best[0]));
        snprintf(merges[*n_merges][1], 32, "%s", bpe_piece(b, best[1]));
        int32_t id = bpe_find(b, str_print(&arena, "%s%s", merges[*n_merges][0], merges[*n_merges][1]));
        assert_true(id >= 0);
        for (int j = 0; j < n; j++) {
            int out = 0;
            for (int m = 0; m < len[j]; m++) {
                bool here = m + 1 < len[j] && word[j][m] == best[0] && word[j][m + 1] == best[1];
                word[j][out++] = here ? id : word[j][m];
                m += here;
            }
            len[j] = out;
        }
    }
}

static void trains_as_defined(void **state)
{
    (void)state;
    char dir[] = "/tmp/vernier-test-XXXXXX", merges[80][2][32];
    assert_non_null(mkdtemp(dir));
    int n;
    Bpe *b = train(CODE, 261 + 80, 2);
    slow_train(b, CODE, merges, &n, 80);
    assert_true(n > 50);
    assert_int_equal(bpe_save(b, dir), OK);
    Bytes file;
    assert_int_equal(file_read(&file, &arena, str_print(&arena, "%s/merges.txt", dir)), OK);
    char *line = strchr(file.text, '\n') + 1;
    for (int i = 0; i < n; i++) {
        char *want = str_print(&arena, "%s %s\n", merges[i][0], merges[i][1]);
        EXPECT(strncmp(line, want, strlen(want)) == 0, "merge %d is %.20s, expected %s", i, line, want);
        line += strlen(want);
    }
    assert_int_equal(*line, 0);
    assert_int_equal(system(str_print(&arena, "rm -r %s", dir)), 0);
    bpe_close(b);
}

static void refuses_small_vocabularies(void **state)
{
    (void)state;
    Bytes none = bytes_of("");
    Bpe *b = NULL;
    assert_int_equal(bpe_train(&b, &arena, &(BpeTrain){.size = 260}, &none, 1), E_CONFIG);
    err_clear();
    const char *const twice[] = {"<add>", "<add>", NULL};
    assert_int_equal(bpe_train(&b, &arena, &(BpeTrain){.size = 400, .special = twice}, &none, 1), E_CONFIG);
    assert_non_null(strstr(err_message(), "<add>"));
    err_clear();
    assert_int_equal(bpe_train(&b, &arena, &(BpeTrain){.size = 261}, &none, 1), OK);
    assert_int_equal(bpe_size(b), 261);
    bpe_close(b);
}

/* ---- round trips ---- */

static void expect_round_trip(Bpe *b, const char *text, size_t len)
{
    const Tokenizer whole = tokenizer_of(b);
    BpeText t = bpe_encode(b, &arena, text, len, false);
    int64_t at = 0;
    for (int64_t i = 0; i < t.n; i++) {
        EXPECT(t.begin[i] == at && t.end[i] > at, "token %lld covers [%lld,%lld) after %lld", (long long)i,
               (long long)t.begin[i], (long long)t.end[i], (long long)at);
        at = t.end[i];
        size_t n; /* a token decodes to the bytes that it covers */
        char *part = tokenizer_bytes(&whole, &arena, &t.id[i], 1, &n);
        assert_int_equal(n, t.end[i] - t.begin[i]);
        assert_memory_equal(part, text + t.begin[i], n);
    }
    assert_int_equal(at, len);
    size_t n;
    char *back = tokenizer_bytes(&whole, &arena, t.id, t.n, &n);
    assert_int_equal(n, len);
    assert_memory_equal(back, text, len);
}

static void any_bytes_come_back(void **state)
{
    (void)state;
    Bpe *b = train(CODE, 400, 2);
    char text[300];
    for (uint64_t round = 0; round < 400; round++) {
        ArenaMark mark = arena_mark(&arena);
        uint64_t s = rng_mix(11, round);
        size_t len = (size_t)rng_below(s, 0, sizeof text);
        for (size_t i = 0; i < len; i++) { /* bytes of every kind, or characters from a small alphabet */
            static const char FEW[] = "aint  \n(=\xc3\xa9\xe2\x80\x83\xf0\x9f\x98\x80'";
            uint64_t r = rng_bits(s, i + 1);
            text[i] = round % 2 ? (char)r : FEW[r % (sizeof FEW - 1)];
        }
        expect_round_trip(b, text, len);
        arena_drop(&arena, mark);
    }
    bpe_close(b);
}

/* All texts of one and two bytes. */
static void all_short_texts_come_back(void **state)
{
    (void)state;
    Bpe *b = train(CODE, 400, 2);
    for (int x = 0; x < 256; x++)
        for (int y = -1; y < 256; y++) {
            ArenaMark mark = arena_mark(&arena);
            expect_round_trip(b, (char[]){(char)x, (char)y}, y < 0 ? 1 : 2);
            arena_drop(&arena, mark);
        }
    bpe_close(b);
}

/* Merging by the definition: the best pair of all, the leftmost of equals, again and again. */
static int64_t slow_merge(const Bpe *b, int32_t *id, int64_t n)
{
    for (;;) {
        uint64_t best = NO_MERGE;
        int64_t at = 0;
        for (int64_t i = 0; i + 1 < n; i++)
            if (merge_of(&b->merges, id[i], id[i + 1]) < best) best = merge_of(&b->merges, id[i], id[i + 1]), at = i;
        if (best == NO_MERGE) return n;
        id[at] = (int32_t)best;
        memmove(id + at + 1, id + at + 2, sizeof *id * (size_t)(n - at - 2));
        n--;
    }
}

/* Words of every length, below and above where the heap takes over, remembered and not. */
static void words_merge_as_defined(void **state)
{
    (void)state;
    Bpe *b = train("abab abba aab baba aabbaabb abcabc cab bcbc ccab", 330, 1);
    for (uint64_t round = 0; round < 600; round++) {
        ArenaMark mark = arena_mark(&arena);
        char text[160];
        int32_t want[160];
        int64_t n = 1 + rng_below(rng_mix(41, round), 0, round % 3 ? 20 : 160);
        for (int64_t i = 0; i < n; i++) text[i] = (char)('a' + rng_below(rng_mix(41, round), (uint64_t)i + 1, 3));
        for (int64_t i = 0; i < n; i++) want[i] = b->start[(unsigned char)text[i]];
        int64_t merged = slow_merge(b, want, n);
        bpe_remember(b, round & 1);
        for (int again = 0; again < 2; again++) {
            BpeText t = bpe_encode(b, &arena, text, (size_t)n, false);
            EXPECT(t.n == merged && !memcmp(t.id, want, sizeof *want * (size_t)merged), "%.*s gives %d ids, not %d",
                   (int)n, text, (int)t.n, (int)merged);
            expect_round_trip(b, text, (size_t)n);
        }
        arena_drop(&arena, mark);
    }
    bpe_close(b);
}

/* A word of 300,000 letters and a run of as many spaces: quadratic time would take minutes. */
static void long_words_are_fast(void **state)
{
    (void)state;
    Bpe *b = train("aaaaaaaaaaaaaaaa bbbb abab aabb", 300, 1);
    enum { N = 300000 };
    char *text = arena_take(&arena, 2 * N);
    for (int i = 0; i < N; i++) text[i] = rng_bits(5, (uint64_t)i) & 1 ? 'a' : 'b';
    memset(text + N, ' ', N);
    expect_round_trip(b, text, 2 * N);
    bpe_close(b);
}

/* ---- files ---- */

static void expect_same_encoding(Bpe *a, Bpe *b, const char *text)
{
    BpeText x = bpe_encode(a, &arena, text, strlen(text), true), y = bpe_encode(b, &arena, text, strlen(text), true);
    assert_int_equal(x.n, y.n);
    assert_memory_equal(x.id, y.id, sizeof(int32_t) * (size_t)x.n);
}

static void save_and_load_are_inverse(void **state)
{
    (void)state;
    char dir[] = "/tmp/vernier-test-XXXXXX", again[] = "/tmp/vernier-test-XXXXXX";
    assert_non_null(mkdtemp(dir));
    assert_non_null(mkdtemp(again));
    const char *const more[] = {"<add>", "<a\"\\b>", NULL};
    Bytes corpus = bytes_of(CODE);
    Bpe *a, *b;
    assert_int_equal(bpe_train(&a, &arena, &(BpeTrain){.size = 350, .special = more}, &corpus, 1), OK);
    assert_int_equal(bpe_save(a, dir), OK);
    assert_int_equal(bpe_open(&b, &arena, dir), OK);
    assert_int_equal(bpe_size(a), bpe_size(b));
    for (int32_t i = 0; i < bpe_size(a); i++) {
        assert_string_equal(bpe_piece(a, i), bpe_piece(b, i));
        assert_int_equal(bpe_is_special(a, i), bpe_is_special(b, i));
    }
    assert_int_equal(bpe_specials(b).mask, bpe_size(b) - 1);
    expect_same_encoding(a, b, CODE);
    expect_same_encoding(a, b, "x <a\"\\b> y  <mask> <add><s>");
    assert_int_equal(bpe_save(b, again), OK);
    assert_int_equal(system(str_print(&arena, "diff -r %s %s && rm -r %s %s", dir, again, dir, again)), 0);
    bpe_close(a);
    bpe_close(b);
}

static void specials_in_text_are_a_choice(void **state)
{
    (void)state;
    Bpe *b = train(CODE, 300, 2);
    BpeSpecials s = bpe_specials(b);
    const char *text = "a  <mask> b</s>";
    assert_int_equal(bpe_specials_in(b, text, strlen(text)), 2);
    BpeText t = bpe_encode(b, &arena, text, strlen(text), true);
    assert_int_equal(t.id[1], s.mask); /* no token for the two spaces */
    assert_int_equal(t.begin[1], 3);
    assert_int_equal(t.id[t.n - 1], s.eos);
    t = bpe_encode(b, &arena, text, strlen(text), false);
    for (int64_t i = 0; i < t.n; i++) assert_false(bpe_is_special(b, t.id[i]));
    bpe_close(b);
}

static void wraps_and_truncates(void **state)
{
    (void)state;
    Bpe *b = train("", 261, 2);
    BpeText x = bpe_encode(b, &arena, "abcdef", 6, false), y = bpe_encode(b, &arena, "xyz", 3, false);
    Tokenizer whole = tokenizer_of(b);
    BpeText t;
    assert_int_equal(tokenizer_wrap(&t, &whole, &arena, &x, NULL, NULL, (Limit){.most = 5}), OK);
    assert_string_equal(tokenizer_decode(&whole, &arena, t.id, t.n, NULL), "<s>abc</s>");
    assert_int_equal(t.begin[0], -1);
    assert_int_equal(t.begin[3], 2);
    static const struct {
        int64_t most;
        const char *text;
    } CASE[] = {{0, "<s>abcdef</s></s>xyz</s>"}, {12, "<s>abcde</s></s>xyz</s>"}, {10, "<s>abc</s></s>xyz</s>"},
                {9, "<s>abc</s></s>xy</s>"},     {8, "<s>ab</s></s>xy</s>"},      {4, "<s></s></s></s>"}};
    for (size_t i = 0; i < sizeof CASE / sizeof *CASE; i++) {
        assert_int_equal(tokenizer_wrap(&t, &whole, &arena, &x, &y, NULL, (Limit){.most = CASE[i].most}), OK);
        assert_string_equal(tokenizer_decode(&whole, &arena, t.id, t.n, NULL), CASE[i].text);
    }
    for (int64_t i = 0; i < t.n; i++) assert_true(tokenizer_is_special(&whole, t.id[i]));
    bpe_close(b);
}

static void expect_refused(const char *dir, const char *vocab, const char *merges, const char *word)
{
    char *v = str_print(&arena, "%s/vocab.json", dir), *m = str_print(&arena, "%s/merges.txt", dir);
    assert_int_equal(file_write(v, vocab, strlen(vocab)), OK);
    assert_int_equal(file_write(m, merges, strlen(merges)), OK);
    Bpe *b = NULL;
    Status s = bpe_open(&b, &arena, dir);
    EXPECT(s == E_FORMAT, "accepted %.60s with %.60s", vocab, merges);
    EXPECT(strstr(err_message(), word), "the message is \"%s\", expected it to say \"%s\"", err_message(), word);
    assert_null(strchr(err_message(), '\n'));
    err_clear();
}

static void bad_files_are_refused(void **state)
{
    (void)state;
    char dir[] = "/tmp/vernier-test-XXXXXX";
    assert_non_null(mkdtemp(dir));
    Bpe *b = NULL;
    assert_int_equal(bpe_open(&b, &arena, dir), E_IO);
    err_clear();
    const char *full = "{\"<unk>\": 0, \"a\": 1, \"b\": 2, \"ab\": 3}";
    expect_refused(dir, "{\"a\": 1,\n \"b\"", "", "vocab.json:2: byte ");
    expect_refused(dir, "", "", "vocab.json:1");
    expect_refused(dir, "[1, 2]", "", "not an object");
    expect_refused(dir, "{\"a\": 1} {}", "", "not valid JSON");
    expect_refused(dir, "{\"a\": 1, \"b\": 1}", "", "\"a\" and \"b\" both have id 1");
    expect_refused(dir, "{\"a\": 1, \"a\": 2}", "", "twice");
    expect_refused(dir, "{\"a\": -1}", "", "whole number");
    expect_refused(dir, "{\"a\": 1.5}", "", "whole number");
    expect_refused(dir, "{\"a\": 1e300}", "", "whole number");
    expect_refused(dir, "{\"a\": \"1\"}", "", "whole number");
    expect_refused(dir, "{\"\": 1}", "", "empty piece");
    expect_refused(dir, "{\"a\": 0}", "", "no <unk>");
    expect_refused(dir, full, "#version: 0.2\na b\na c\n", "merges.txt:3: \"c\"");
    expect_refused(dir, full, "b a\n", "merges.txt:1: makes \"ba\"");
    expect_refused(dir, full, "a  b\n", "one space");
    expect_refused(dir, full, "ab", "one space");
    char *deep = arena_take(&arena, 100001);
    memset(deep, '[', 100000);
    deep[100000] = 0;
    expect_refused(dir, deep, "", "not valid JSON");
    assert_int_equal(system(str_print(&arena, "rm -r %s", dir)), 0);
}

/* Every prefix of a good pair of files is either good or refused; so is every file with one byte changed. */
static void damaged_files_never_crash(void **state)
{
    (void)state;
    char dir[] = "/tmp/vernier-test-XXXXXX";
    assert_non_null(mkdtemp(dir));
    Bpe *b = train("aa ab aab", 264, 1);
    assert_int_equal(bpe_save(b, dir), OK);
    bpe_close(b);
    static const char *const NAME[] = {"vocab.json", "merges.txt", "added_tokens.json"};
    int refused = 0;
    for (uint64_t i = 0; i < 300; i++) {
        ArenaMark mark = arena_mark(&arena);
        char *path = str_print(&arena, "%s/%s", dir, NAME[i % 3]);
        Bytes good;
        assert_int_equal(file_read(&good, &arena, path), OK);
        char *bad = str_copy(&arena, good.text, good.len);
        size_t at = (size_t)rng_below(21, i, (int64_t)good.len), len = i % 2 ? at : good.len;
        if (len == good.len) bad[at] = (char)rng_bits(22, i);
        FILE *f = fopen(path, "wb");
        fwrite(bad, 1, len, f);
        fclose(f);
        Status s = bpe_open(&b, &arena, dir);
        refused += s != OK;
        EXPECT(s == OK || s == E_FORMAT, "status %d: %s", s, err_message());
        err_clear();
        if (!s) bpe_close(b);
        assert_int_equal(file_write(path, good.text, good.len), OK);
        arena_drop(&arena, mark);
    }
    EXPECT(refused > 100, "only %d of 300 damaged files were refused", refused);
    assert_int_equal(system(str_print(&arena, "rm -r %s", dir)), 0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, begin, end)
SUITE(T(cuts_as_published), T(cuts_as_the_pattern_does), T(spaces_on_either_side), T(heap_sorts), T(trains_by_hand),
      T(trains_as_defined), T(refuses_small_vocabularies), T(any_bytes_come_back), T(all_short_texts_come_back),
      T(words_merge_as_defined), T(long_words_are_fast), T(save_and_load_are_inverse),
      T(specials_in_text_are_a_choice), T(wraps_and_truncates), T(bad_files_are_refused),
      T(damaged_files_never_crash))

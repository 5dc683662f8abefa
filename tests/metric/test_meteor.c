/* nltk's METEOR: the rule as nltk states it, pair by pair, against meteor_nltk(), which compares no pairs; and the
 * scores that nltk 3.8.1 gives with the whole WordNet, where one is installed.  METEOR 1.5 with lists of words that
 * are written here; test_messages.c has its published scores, where the data are. */
#include "expect.h"

#include <string.h>
#include <time.h>

#include "base/file.h"
#include "base/rng.h"
#include "scratch.h"
#include "metric/meteor.h"
#include "text/stem.h"

enum { MOST = 16 };
typedef struct {
    int n, place[MOST]; /* of the words that are left */
    Bytes form[MOST];
} Side;

static void take_out(Side *s, int i)
{
    s->n--;
    memmove(s->form + i, s->form + i + 1, sizeof *s->form * (size_t)(s->n - i));
    memmove(s->place + i, s->place + i + 1, sizeof *s->place * (size_t)(s->n - i));
}

static bool differs(void *word, Bytes lemma) /* visiting ends where they agree, which clears the word */
{
    Bytes *w = word;
    bool equal = w->len == lemma.len && !memcmp(w->text, lemma.text, w->len);
    if (equal) w->text = NULL;
    return !equal;
}

static bool agree(const Synonyms *s, Bytes a, Bytes b)
{
    if (a.len == b.len && !memcmp(a.text, b.text, a.len)) return true;
    if (s) synonyms_lemmas(s, a, differs, &b);
    return !b.text;
}

static int match(int *partner, Side *h, Side *r, const Synonyms *s)
{
    int n = 0;
    for (int i = h->n - 1; i >= 0; i--)
        for (int j = r->n - 1; j >= 0; j--)
            if (agree(s, h->form[i], r->form[j])) {
                partner[h->place[i]] = r->place[j];
                take_out(h, i), take_out(r, j);
                n++;
                break;
            }
    return n;
}

static void stem(Side *s)
{
    for (int i = 0; i < s->n; i++) {
        char *out = arena_take(&arena, s->form[i].len + 2);
        s->form[i] = (Bytes){out, stem_porter(out, s->form[i].text, s->form[i].len)};
    }
}

static double by_pairs(const Synonyms *s, Side h, Side r)
{
    int partner[MOST], n, chunks = 0, words = h.n;
    double length[2] = {h.n, r.n};
    for (int i = 0; i < h.n; i++) partner[i] = -1;
    n = match(partner, &h, &r, NULL);
    stem(&h), stem(&r);
    n += match(partner, &h, &r, NULL);
    if (s) n += match(partner, &h, &r, s);
    for (int i = 0, last = -1; i < words; i++) {
        if (partner[i] < 0) continue;
        chunks += last < 0 || i != last + 1 || partner[i] != partner[last] + 1;
        last = i;
    }
    if (!n) return 0;
    double precision = n / length[0], recall = n / length[1];
    return (1 - 0.5 * pow((double)chunks / n, 3)) * precision * recall / (0.9 * precision + 0.1 * recall);
}

/* A WordNet of three nouns' synsets, each at its byte in data.noun, and an irregular plural. */
static void write_wordnet(const char *folder)
{
    static const char *const SET[] = {"bug 0 fault 0 defect 0", "error 0 fault 0 mistake 0 bug_out 0",
                                      "goose 0 fool 0"};
    static const char *const COUNT[] = {"03", "04", "02"};
    static const char *const CLASS[] = {"verb", "adj", "adv"};
    Buf data = buf_open(&arena), index = buf_open(&arena);
    int64_t at[3];
    for (int k = 0; k < 3; k++) {
        at[k] = (int64_t)data.len;
        buf_print(&data, "%08d 00 n %s %s 000 | x\n", (int)at[k], COUNT[k], SET[k]);
    }
    buf_print(&index, "bug n 1 0 1 0 %08d\nfault n 2 0 2 0 %08d %08d\ndefect n 1 0 1 0 %08d\n", (int)at[0],
              (int)at[0], (int)at[1], (int)at[0]);
    buf_print(&index, "error n 1 0 1 0 %08d\nmistak n 1 0 1 0 %08d\ngoos n 1 0 1 0 %08d\n", (int)at[1], (int)at[1],
              (int)at[2]);
    for (int c = 0; c < 3; c++)
        for (int k = 0; k < 3; k++) {
            static const char *const FILE_NAME[] = {"index.%s", "data.%s", "%s.exc"};
            const char *name = str_print(&arena, FILE_NAME[k], CLASS[c]);
            assert_int_equal(file_write(str_print(&arena, "%s/%s", folder, name), "", 0), OK);
        }
    assert_int_equal(file_write(str_print(&arena, "%s/index.noun", folder), index.text, index.len), OK);
    assert_int_equal(file_write(str_print(&arena, "%s/data.noun", folder), data.text, data.len), OK);
    assert_int_equal(file_write(str_print(&arena, "%s/noun.exc", folder), "gees goos\n", 10), OK);
}

static void equals_the_rule(void **state)
{
    (void)state;
    static const char *const WORD[] = {"bug",   "bugs", "Fault", "faults",  "defect", "error", "mistake", "goose",
                                       "geese", "fool", "run",   "running", "runs",   "the",   "The",     "-"};
    enum { WORDS = sizeof WORD / sizeof *WORD, PAIRS = 20000 };
    Synonyms wordnet;
    write_wordnet(dir);
    assert_int_equal(synonyms_open(&wordnet, &arena, dir), OK);
    int differ = 0;
    for (uint64_t p = 0; p < PAIRS; p++) {
        ArenaMark mark = arena_mark(&arena);
        Bytes text[2];
        Side side[2] = {0};
        for (int s = 0; s < 2; s++) {
            Buf b = buf_open(&arena);
            side[s].n = (int)rng_below(p, (uint64_t)s, MOST);
            for (int i = 0; i < side[s].n; i++) {
                const char *word = WORD[rng_below(p, 10 + 20 * (uint64_t)s + (uint64_t)i, p % 2 ? WORDS : 6)];
                buf_print(&b, "%s ", word);
                side[s].place[i] = i;
                side[s].form[i] = words_lower(&arena, word, strlen(word));
            }
            text[s] = (Bytes){b.text, b.len};
        }
        for (int k = 0; k < 2; k++) {
            const Synonyms *synonyms = k ? &wordnet : NULL;
            double want = by_pairs(synonyms, side[0], side[1]), got = meteor_nltk(&arena, synonyms, text[0], text[1]);
            EXPECT(fabs(got - want) < 1e-12, "'%s' against '%s': %.9g, by pairs %.9g", text[0].text, text[1].text,
                   got, want);
            differ += k && fabs(want - by_pairs(NULL, side[0], side[1])) > 1e-9;
        }
        arena_drop(&arena, mark);
    }
    EXPECT(differ > PAIRS / 10, "synonyms matter in %d pairs alone", differ);
}

/* 40,000 different words on either side, none in common, then all in common and in reverse. */
static void long_lines(void **state)
{
    (void)state;
    enum { WORDS = 40000 };
    Buf a = buf_open(&arena), b = buf_open(&arena), reversed = buf_open(&arena);
    for (int i = 0; i < WORDS; i++) {
        buf_print(&a, "a%d ", i), buf_print(&b, "b%d ", i);
        buf_print(&reversed, "a%d ", WORDS - 1 - i);
    }
    clock_t start = clock();
    near(meteor_nltk(&arena, NULL, (Bytes){a.text, a.len}, (Bytes){b.text, b.len}), 0, 0, "nothing in common");
    near(meteor_nltk(&arena, NULL, (Bytes){a.text, a.len}, (Bytes){reversed.text, reversed.len}), 0.5, 1e-12,
         "as many chunks as words");
    double seconds = (double)(clock() - start) / CLOCKS_PER_SEC;
    EXPECT(seconds < 2, "%.1f s for %d words", seconds, WORDS);
}

/* Synonyms, irregular plurals, endings, lower case, and forms that only a second round of endings reaches. */
static void equals_nltk(void **state)
{
    (void)state;
    static const struct {
        const char *hypothesis, *reference;
        double score;
    } ROW[] = {
        {"repair the error in the parser", "fix the mistake in the parser", 0.80666666666666675},
        {"Remove unused function", "delete unused routine", 0.16666666666666666},
        {"add trial for geese and children", "Add test for goose and kid", 0.80666666666666675},
        {"bugfix : branchsession branch_type is null ( )",
         "bugfix : server start and handle remain branch session may cause npe ( )", 0.33283582089552244},
        {"Doriden Smeltery Poem Pugging Striatumeds Middless Ballyhoo Alter Autodidactest",
         "spayed pugginger comeliest glutethimide autodidact poem midriff smelter corpora_striata",
         0.16666666666666666},
        {"dogses wolves went bigger fastest", "hound wolf travel big fast", 0.75000000000000011},
        {"asleep beloved galore", "sleeping darling abounding", 0},
        {"Python quick quickly", "python fast rapidly", 0.625},
        {"buy purchase acquire", "get bargain take", 0.16666666666666666},
        {"increase the speed of the lookup", "raise velocity of search", 0.23809523809523811},
        {"", "word", 0},
    };
    Synonyms wordnet;
    if (synonyms_open(&wordnet, &arena, "/usr/share/wordnet")) {
        err_clear();
        skip();
    }
    for (size_t i = 0; i < sizeof ROW / sizeof *ROW; i++) {
        Bytes h = {(char *)(uintptr_t)ROW[i].hypothesis, strlen(ROW[i].hypothesis)};
        Bytes r = {(char *)(uintptr_t)ROW[i].reference, strlen(ROW[i].reference)};
        near(meteor_nltk(&arena, &wordnet, h, r), ROW[i].score, 1e-15, ROW[i].hypothesis);
    }
}

/* ---- METEOR 1.5 */

static void put(const char *name, const char *text)
{
    assert_int_equal(file_write(str_print(&arena, "%s/%s", dir, name), text, strlen(text)), OK);
}

static Meteor *small_meteor(void)
{
    Meteor *m;
    put("function.english.words", "the\nof\r\na\n");
    put("nonbreaking.english.prefixes", "# titles\nMr\nDr \n\nNo #NUMERIC_ONLY#\nArt\t#NUMERIC_ONLY#\n");
    assert_int_equal(meteor_open(&m, &arena, dir, NULL), OK);
    return m;
}

static MeteorCounts counts_of(Meteor *m, const char *hypothesis, const char *reference)
{
    MeteorCounts c;
    meteor_count(&c, m, METEOR_SYNONYM, (Bytes){(char *)(uintptr_t)hypothesis, strlen(hypothesis)},
                 (Bytes){(char *)(uintptr_t)reference, strlen(reference)});
    return c;
}

/* A dot goes from an abbreviation, stays after a title, before a lower-case word and between No. and its number, and
 * is a word of its own elsewhere. */
static void dots_of_abbreviations(void **state)
{
    (void)state;
    static const struct {
        const char *text, *same; /* the second is its own normal form, but for case */
        int words;
    } ROW[] = {
        {"U.S. Army", "us army", 2},
        {"Mr. Smith", "mr. smith", 2},
        {"Dr. Who", "dr. who", 2},
        {"No. 5", "No. 5", 2},
        {"No. Five", "no . five", 3},
        {"Art. 0", "Art. 0", 2},
        {"Art. 9", "Art. 9", 2},
        {"Art. IX", "art . ix", 3},
        {"a rain. Sun", "a rain . sun", 4},
        {"rain. all", "rain. all", 2},
        {"rain. zoo", "rain. zoo", 2},
        {"rain. {x", "rain . { x", 4},
        {"rain. `x", "rain . ' x", 4},
        {"rain.", "rain .", 2},
        {"Rain. 5", "rain . 5", 3},
        {"5.5. Five", "5.5 . five", 3},
        {"titles. Five", "titles . five", 3},
        {"wait ...", "wait ...", 2},
    };
    Meteor *m = small_meteor();
    for (size_t i = 0; i < sizeof ROW / sizeof *ROW; i++) {
        MeteorCounts c = counts_of(m, ROW[i].text, ROW[i].same);
        int64_t equal = c.content[0][METEOR_EXACT] + c.function[0][METEOR_EXACT];
        EXPECT(c.words[0] == ROW[i].words && c.words[1] == ROW[i].words && equal == ROW[i].words,
               "'%s': %lld words, '%s': %lld, equal %lld, expected %d", ROW[i].text, (long long)c.words[0],
               ROW[i].same, (long long)c.words[1], (long long)equal, ROW[i].words);
    }
    meteor_close(m);
}

#define T(f) cmocka_unit_test_setup_teardown(f, begin, end)
SUITE(T(equals_the_rule), T(long_lines), T(equals_nltk), T(dots_of_abbreviations))

/* Message metrics: by hand, against the published programs' values, and on rows whose scores are known. */
#include "expect.h"

#include <string.h>

#include "arena.h"
#include "io/json.h"
#include "shared.h"
#include "metric/messages.h"
#include "text/stem.h"

/* The lines of a file without blanks at their ends; false where it is absent. */
static bool lines_of(Bytes **line, int64_t *n, const char *below)
{
    Bytes text;
    if (file_read(&text, &arena, shared_path(&arena, below))) {
        err_clear();
        return false;
    }
    *n = messages_lines(line, &arena, text);
    return true;
}

static Bytes bytes(const char *s)
{
    return (Bytes){(char *)(uintptr_t)s, strlen(s)};
}

static Words norm_words(Lexicon *x, Bytes text)
{
    text = words_lower(&arena, text.text, text.len);
    return words_and_signs(x, text.text, text.len);
}

static MessageRows rows;
typedef struct {
    double of[MESSAGE_METRICS];
} Scores; /* in % */

static Scores score_rows(const Bytes *h, const Bytes *r, int64_t n, Meteor *meteor)
{
    Scores s;
    int64_t *index = NEW(&arena, int64_t, n + 1);
    for (int64_t i = 0; i < n; i++) index[i] = i;
    messages_score(&rows, &arena, n, h, r, meteor, NULL);
    messages_stats(s.of, index, n, &rows);
    return s;
}

/* "the cat sat" against "the cat sat down": matches 3,2,1,0 of 3,2,1,0; brevity 1 - 5/4. */
static void by_hand(void **state)
{
    (void)state;
    Bytes h = bytes("The cat_sat"), r = bytes("the cat_sat");
    Lexicon x = lexicon_open(&arena);
    assert_int_equal(norm_words(&x, h).n, 4); /* the underscore is a sign */
    assert_int_equal(words_split(&x, h.text, h.len).n, 2);
    assert_int_equal(words_blanks(&x, "a  b ", 5).n, 4);
    assert_int_equal(words_blanks(&x, "", 0).n, 1);
    Bytes low = words_lower(&arena, "ÀÉŽŸΣЖЁ×", strlen("ÀÉŽŸΣЖЁ×"));
    assert_string_equal(low.text, "àéžÿσжё×");
    h = bytes("the cat sat"), r = bytes("the cat sat down");
    Scores s = score_rows(&h, &r, 1, NULL);
    double want = exp((log(2.0 / 2) * 3 + log(1)) / 4 - 0.25);
    near(s.of[B_NORM], 100 * want, 1e-10, "B-Norm");
    near(s.of[B_MOSES], 0, 0, "B-Moses without a common 4-gram");
    near(s.of[ROUGE_L], 244 * 0.75 / (0.75 + 1.44), 1e-10, "ROUGE-L");
    const double p = exp(1 - 4.0 / 3), a = (2 + 1 + 1) / 3.0, b = (a + 1 + 1) / 3, c = (b + 1 + 0) / 3, d = c / 3;
    want = p * pow(a * b * c * d, 0.25);
    near(s.of[B_CC], 100 * want, 1e-10, "B-CC");
    h = bytes("the the the the"), r = bytes("the cat"); /* clipped: one match of four */
    s = score_rows(&h, &r, 1, NULL);
    want = exp((log(0.25) + log(1.0 / 4) + log(1.0 / 3) + log(1.0 / 2)) / 4);
    near(s.of[B_NORM], 100 * want, 1e-10, "clipped matches");
}

/* As Python's str.lower has it; scripts with capitals, characters that change their length, sigma at a word's end. */
static void lower_case(void **state)
{
    (void)state;
    static const char *const CASE[][2] = {{"ABZ az 09", "abz az 09"},
                                          {"ÀÉŽŸΣЖЁ×", "àéžÿσжё×"},
                                          {"ԲԱՐԵՒ", "բարեւ"},
                                          {"ᲐᲑᲒ", "აბგ"},
                                          {"ᎠᏴ", "ꭰᏼ"},
                                          {"𐐀𐓀", "𐐨𐓨"},
                                          {"𞤀", "𞤢"},
                                          {"ⰀⲀ", "ⰰⲁ"},
                                          {"ⅧⒶ", "ⅷⓐ"},
                                          {"ǅǄ", "ǆǆ"},
                                          {"İI", "i̇i"},
                                          {"ẞ", "ß"},
                                          {"Ⱥ", "ⱥ"},
                                          {"K Å", "k å"},
                                          {"ＡＺ", "ａｚ"},
                                          {"ΑΣ", "ας"},
                                          {"ΑΣ. Σ", "ας. σ"},
                                          {"ΑΣΑ ΑΣΣ", "ασα ασς"},
                                          {"1Σ ΑΣ1", "1σ ας1"},
                                          {"Α’Σ Α’Σ’Α", "α’ς α’σ’α"},
                                          {"ΆΣ́ .Σ", "άς́ .σ"},
                                          {"ÇA ǅΣ", "ça ǆς"},
                                          {"ʰΣ ΑʰΣ", "ʰσ αʰς"},
                                          {"Ꞌ Ɤ Ⱦ Ჿ", "ꞌ Ɤ ⱦ ჿ"},
                                          {"A\xff\xc3(B", "a\xff\xc3(b"},
                                          {"\xce", "\xce"},
                                          {"", ""}};
    for (size_t i = 0; i < sizeof CASE / sizeof *CASE; i++) {
        Bytes low = words_lower(&arena, CASE[i][0], strlen(CASE[i][0]));
        EXPECT(low.len == strlen(CASE[i][1]) && !strcmp(low.text, CASE[i][1]), "%s becomes %s, expected %s",
               CASE[i][0], low.text, CASE[i][1]);
    }
    Buf many = buf_open(&arena); /* many sigmas take no time */
    for (int i = 0; i < 20000; i++) buf_add(&many, i % 2 ? "ΑΣ " : "Σ", i % 2 ? 5 : 2);
    assert_int_equal(words_lower(&arena, many.text, many.len).len, many.len);
}

static void stems(void **state)
{
    (void)state;
    static const char *const WORD[][3] = {/* as snowballstem.org's and nltk's programs answer */
                                          {"caresses", "caress", "caress"},  {"ties", "tie", "tie"},
                                          {"flies", "fli", "fli"},           {"gas", "gas", "ga"},
                                          {"generate", "generat", "gener"},  {"happily", "happili", "happili"},
                                          {"enjoying", "enjoy", "enjoy"},    {"relational", "relat", "relat"},
                                          {"hopping", "hop", "hop"},         {"proceed", "proceed", "proceed"},
                                          {"news", "news", "news"},          {"sky", "sky", "sky"},
                                          {"dying", "die", "die"},           {"spy", "spi", "spi"},
                                          {"yelled", "yell", "yell"},        {"controlling", "control", "control"},
                                          {"apologies", "apolog", "apolog"}, {"o'neil's", "o'neil", "o'neil'"}};
    for (size_t i = 0; i < sizeof WORD / sizeof *WORD; i++) {
        char out[64] = "";
        out[stem_english(out, WORD[i][0], strlen(WORD[i][0]))] = 0;
        EXPECT(!strcmp(out, WORD[i][1]), "english: %s gives %s, expected %s", WORD[i][0], out, WORD[i][1]);
        out[stem_porter(out, WORD[i][0], strlen(WORD[i][0]))] = 0;
        EXPECT(!strcmp(out, WORD[i][2]), "porter: %s gives %s, expected %s", WORD[i][0], out, WORD[i][2]);
    }
}

static const cJSON *member(const cJSON *o, const char *key)
{
    const cJSON *m = cJSON_GetObjectItem(o, key);
    assert_non_null(m);
    return m;
}

static int64_t texts(Bytes **out, const cJSON *list)
{
    int64_t n = cJSON_GetArraySize(list), i = 0;
    *out = NEW(&arena, Bytes, n + 1);
    const cJSON *e;
    cJSON_ArrayForEach(e, list)(*out)[i++] = bytes(e->valuestring);
    return n;
}

/* Calls f on every case of a golden file; false where it is absent. */
static bool each_case(const char *name, void (*f)(const cJSON *expected, const Bytes *h, const Bytes *r, int64_t n))
{
    cJSON *root;
    if (json_read(&root, &arena, str_print(&arena, "%s/metrics/%s.json", golden_root(&arena), name))) {
        err_clear();
        return false;
    }
    const cJSON *c;
    int64_t cases = 0;
    cJSON_ArrayForEach(c, member(root, "cases"))
    {
        Bytes *h, *r;
        int64_t n = texts(&h, member(c, "hypotheses"));
        assert_int_equal(texts(&r, member(c, "references")), n);
        f(member(c, "expected"), h, r, n);
        cases++;
    }
    assert_true(cases >= 50);
    cJSON_Delete(root);
    return true;
}

static void check_bleu(const cJSON *e, const Bytes *h, const Bytes *r, int64_t n)
{
    Scores s = score_rows(h, r, n, NULL);
    const cJSON *norm = member(e, "b_norm");
    int used = member(norm, "rows_used")->valueint; /* the script leaves out empty hypotheses; here they are 0 */
    assert_int_equal(n - rows.empty, used);
    near(s.of[B_NORM], member(norm, "score_x100")->valuedouble * used / (double)n, 1e-7, "B-Norm");
    near(s.of[B_MOSES], atof(member(e, "b_moses")->valuestring), 0.00501, "B-Moses");
    near(s.of[B_CC], member(e, "b_cc_mean_x100")->valuedouble, 1e-7, "B-CC");
}

static void check_rouge(const cJSON *e, const Bytes *h, const Bytes *r, int64_t n)
{
    near(score_rows(h, r, n, NULL).of[ROUGE_L], 100 * member(e, "rouge_l_beta1.2_mean")->valuedouble, 1e-7,
         "ROUGE-L");
}

static Synonyms wordnet;
static bool with_wordnet;

static void check_nltk(const cJSON *e, const Bytes *h, const Bytes *r, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        near(meteor_nltk(&arena, NULL, h[i], r[i]),
             cJSON_GetArrayItem(member(e, "nltk_no_synonyms"), (int)i)->valuedouble, 1e-9,
             "nltk's METEOR, exact and stems");
        if (with_wordnet)
            near(meteor_nltk(&arena, &wordnet, h[i], r[i]),
                 cJSON_GetArrayItem(member(e, "nltk_wordnet3.0"), (int)i)->valuedouble, 1e-9, "nltk's METEOR");
    }
}

static void goldens(void **state)
{
    (void)state;
    with_wordnet = !synonyms_open(&wordnet, &arena, "/usr/share/wordnet");
    err_clear();
    if (!with_wordnet) print_message("# no /usr/share/wordnet: nltk's METEOR is checked without synonyms\n");
    if (!each_case("bleu", check_bleu) || !each_case("rouge", check_rouge) || !each_case("meteor", check_nltk))
        skip();
}

static void known_rows(void **state)
{
    (void)state;
    Bytes *gold = NULL, *pred = NULL, *table = NULL;
    int64_t n = 0, m = 0, lines = 0;
    if (!lines_of(&gold, &n, "data/cmg/metric_ref/race_java.gold") ||
        !lines_of(&pred, &m, "data/cmg/metric_ref/race_java.pred") ||
        !lines_of(&table, &lines, "data/cmg/metric_ref/race_java_first500.scores.tsv"))
        skip();
    assert_true(n == 20159 && m == n);
    Synonyms synonyms;
    Meteor *meteor;
    const char *folder = shared_path(&arena, "data/meteor");
    assert_int_equal(synonyms_open(&synonyms, &arena, folder), OK);
    assert_int_equal(meteor_open(&meteor, &arena, folder, &synonyms), OK);
    Scores s = score_rows(pred, gold, n, meteor);
    static const double ALL
        [MESSAGE_METRICS] = {[B_NORM] = 25.6644,  [ROUGE_L_LOWER] = 32.0166, [METEOR_1] = 15.032,
                             [METEOR_2] = 15.435, [METEOR_3] = 15.453,       [EXACT_LOWER] = 11.62},
     FIRST[MESSAGE_METRICS] = {
         [B_NORM] = 25.649, [ROUGE_L_LOWER] = 32.221, [METEOR_1] = 14.799, [METEOR_2] = 15.165, [METEOR_3] = 15.195};
    for (int k = 0; k < MESSAGE_METRICS; k++)
        if (ALL[k] > 0)
            near(s.of[k], ALL[k], k == EXACT_LOWER ? 0.005 : k < METEOR_1 ? 0.00005 : 0.0005, MESSAGE_METRIC[k].name);
    s = score_rows(pred, gold, 500, meteor);
    for (int k = 0; k < MESSAGE_METRICS; k++)
        if (FIRST[k] > 0) near(s.of[k], FIRST[k], 0.0005, MESSAGE_METRIC[k].name);
    for (int64_t i = 0; i < 500; i++) {
        double want[5];
        assert_int_equal(
            sscanf(table[i + 1].text, "%*d %lf %lf %lf %lf %lf", &want[0], &want[1], &want[2], &want[3], &want[4]),
            5);
        near(rows.norm[i], want[0], 1e-6, "B-Norm of a row");
        near(rows.rouge[i], want[1], 1e-6, "ROUGE-L of a row");
        for (int k = 0; k < METEOR_STAGES; k++)
            near(meteor_score(&rows.meteor[k][i]), want[2 + k], 1e-9,
                 str_print(&arena, "METEOR of row %lld with %d stages", (long long)i, k + 1));
    }
    assert_true(lines_of(&gold, &n, "data/cmg/metric_ref/nngen_test.gold"));
    assert_true(lines_of(&pred, &m, "data/cmg/metric_ref/nngen_test.pred"));
    assert_true(n == 2521 && m == n);
    meteor_close(meteor);
    s = score_rows(pred, gold, n, NULL);
    near(s.of[B_NORM], 23.0375, 0.00005, "B-Norm, nngen");
    near(s.of[ROUGE_L_LOWER], 28.5945, 0.00005, "ROUGE-L, nngen");
    assert_true(isnan(s.of[METEOR_1]));
}

/* Text that no one would write: nothing but signs, bytes that are not UTF-8, far too long. */
static void odd_text(void **state)
{
    (void)state;
    Buf same = buf_open(&arena);
    for (int i = 0; i < 3000; i++) buf_add(&same, "bugs. ", 6);
    Bytes h[] = {bytes(""), bytes("..."), bytes("\xff\xfe a"), {same.text, same.len}, bytes("U.S. don't, 1,2--x")},
          r[] = {bytes("a"), bytes("... ."), bytes("\xc3"), {same.text, same.len - 6}, bytes("us do n't 1,2 - x")};
    Meteor *meteor = NULL;
    if (meteor_open(&meteor, &arena, shared_path(&arena, "data/meteor"), NULL)) err_clear(), meteor = NULL;
    Scores s = score_rows(h, r, 5, meteor);
    assert_int_equal(rows.empty, 1);
    assert_true(isfinite(s.of[B_NORM]) && isfinite(s.of[METEOR_NLTK]));
    if (meteor) near(meteor_score(&rows.meteor[0][3]), 1, 0, "both sides cut at the same word");
    meteor_close(meteor);
    static const double LOSS[] = {3, 5}, TOKENS[] = {2, 2};
    near(messages_perplexity(LOSS, TOKENS, 2), exp(2), 1e-12, "perplexity");
    Bytes *line;
    assert_int_equal(messages_lines(&line, &arena, bytes(" a b \r\n\n\t\n c")), 4);
    assert_true(line[0].len == 3 && line[1].len == 0 && line[2].len == 0 && line[3].len == 1);
}

#define T(f) cmocka_unit_test_setup_teardown(f, begin, end)
SUITE(T(by_hand), T(lower_case), T(stems), T(goldens), T(known_rows), T(odd_text))

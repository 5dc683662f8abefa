/* Message metrics: by hand, against the published programs' values, and on rows whose scores are known. */
#include "tasks/messages.h"

#include "io/json.h"
#include "tasks/bleu.h"
#include "tasks/meteor.h"
#include "tasks/rouge.h"
#include "text/stem.h"

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
    arena_close(&arena);
    return 0;
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

typedef struct {
    int64_t n, used;
    double norm, moses, cc, rouge;
} Scores;

static Scores score_rows(const Bytes *hyp, const Bytes *ref, int64_t n, bool lower)
{
    Lexicon x = lexicon_open(&arena);
    Arena scratch = arena_open(0);
    Scores s = {.n = n};
    BleuCounts all = {0};
    for (int64_t i = 0; i < n; i++) {
        BleuCounts row = {0}, plain = {0};
        Words h = norm_words(&x, hyp[i]), r = norm_words(&x, ref[i]);
        bleu_count(&row, &scratch, h, r);
        if (h.n) s.norm += bleu_norm(&row), s.used++;
        h = words_split(&x, hyp[i].text, hyp[i].len), r = words_split(&x, ref[i].text, ref[i].len);
        bleu_count(&plain, &scratch, h, r);
        bleu_count(&all, &scratch, h, r);
        s.cc += bleu_cc(&plain) / (double)n;
        Bytes a = lower ? words_lower(&arena, hyp[i].text, hyp[i].len) : hyp[i],
              b = lower ? words_lower(&arena, ref[i].text, ref[i].len) : ref[i];
        s.rouge += rouge_l(&scratch, words_blanks(&x, a.text, a.len), words_blanks(&x, b.text, b.len)) / (double)n;
    }
    s.norm /= (double)s.used;
    s.moses = bleu_moses(&all);
    arena_close(&scratch);
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
    assert_string_equal(low.text, "àéžŸσжё×");
    h = bytes("the cat sat"), r = bytes("the cat sat down");
    Scores s = score_rows(&h, &r, 1, false);
    double want = exp((log(2.0 / 2) * 3 + log(1)) / 4 - 0.25);
    EXPECT(fabs(s.norm - want) < 1e-12, "B-Norm %.15g, expected %.15g", s.norm, want);
    EXPECT(s.moses == 0, "no 4-gram: B-Moses %g", s.moses);
    EXPECT(fabs(s.rouge - 2.44 * 0.75 / (0.75 + 1.44)) < 1e-12, "ROUGE-L %g", s.rouge);
    const double p = exp(1 - 4.0 / 3), a = (2 + 1 + 1) / 3.0, b = (a + 1 + 1) / 3, c = (b + 1 + 0) / 3, d = c / 3;
    want = p * pow(a * b * c * d, 0.25);
    EXPECT(fabs(s.cc - want) < 1e-12, "B-CC %.15g, expected %.15g", s.cc, want);
    h = bytes("the the the the"), r = bytes("the cat"); /* clipped: one match of four */
    s = score_rows(&h, &r, 1, false);
    want = exp((log(0.25) + log(1.0 / 4) + log(1.0 / 3) + log(1.0 / 2)) / 4);
    EXPECT(fabs(s.norm - want) < 1e-12, "clipped: %.15g, expected %.15g", s.norm, want);
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
    if (json_read(&root, &arena, shared_path(&arena, str_print(&arena, "golden/metrics/%s.json", name)))) {
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

static void near(double got, double want, double tolerance, const char *what)
{
    EXPECT(fabs(got - want) <= tolerance, "%s: %.12g, expected %.12g", what, got, want);
}

static void check_bleu(const cJSON *e, const Bytes *h, const Bytes *r, int64_t n)
{
    Scores s = score_rows(h, r, n, false);
    const cJSON *norm = member(e, "b_norm");
    assert_int_equal(s.used, member(norm, "rows_used")->valueint);
    near(100 * s.norm, member(norm, "score_x100")->valuedouble, 1e-7, "B-Norm");
    near(100 * s.moses, atof(member(e, "b_moses")->valuestring), 0.00501, "B-Moses");
    near(100 * s.cc, member(e, "b_cc_mean_x100")->valuedouble, 1e-7, "B-CC");
}

static void check_rouge(const cJSON *e, const Bytes *h, const Bytes *r, int64_t n)
{
    near(score_rows(h, r, n, false).rouge, member(e, "rouge_l_beta1.2_mean")->valuedouble, 1e-9, "ROUGE-L");
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

/* A row's METEOR with one, two and three stages. */
static void meteor_rows(MeteorCounts sum[METEOR_STAGES], MeteorCounts row[METEOR_STAGES], Meteor *m, Bytes h, Bytes r)
{
    for (int k = 0; k < METEOR_STAGES; k++) {
        meteor_count(&row[k], m, k + 1, h, r);
        meteor_add(&sum[k], &row[k]);
    }
}

static void known_rows(void **state)
{
    (void)state;
    Bytes *gold = NULL, *pred = NULL, *table = NULL;
    int64_t n = 0, m = 0, rows = 0;
    if (!lines_of(&gold, &n, &arena, "data/cmg/metric_ref/race_java.gold") ||
        !lines_of(&pred, &m, &arena, "data/cmg/metric_ref/race_java.pred") ||
        !lines_of(&table, &rows, &arena, "data/cmg/metric_ref/race_java_first500.scores.tsv"))
        skip();
    assert_int_equal(n, 20159);
    assert_int_equal(m, n);
    Synonyms synonyms;
    Meteor *meteor;
    const char *folder = shared_path(&arena, "data/meteor");
    assert_int_equal(synonyms_open(&synonyms, &arena, folder), OK);
    assert_int_equal(meteor_open(&meteor, &arena, folder, &synonyms), OK);
    MeteorCounts sum[METEOR_STAGES] = {0}, row[METEOR_STAGES];
    for (int64_t i = 0; i < 500; i++) {
        double want[5];
        assert_int_equal(
            sscanf(table[i + 1].text, "%*d %lf %lf %lf %lf %lf", &want[0], &want[1], &want[2], &want[3], &want[4]),
            5);
        Scores s = score_rows(&pred[i], &gold[i], 1, false);
        near(s.norm, want[0], 1e-6, "B-Norm of a row");
        near(s.rouge, want[1], 1e-6, "ROUGE-L of a row");
        meteor_rows(sum, row, meteor, pred[i], gold[i]);
        for (int k = 0; k < METEOR_STAGES; k++)
            near(meteor_score(&row[k]), want[2 + k], 1e-9,
                 str_print(&arena, "METEOR of row %lld with %d stages", (long long)i, k + 1));
    }
    static const double FIRST[METEOR_STAGES] = {14.799, 15.165, 15.195},
                        ALL[METEOR_STAGES] = {15.032, 15.435, 15.453};
    for (int k = 0; k < METEOR_STAGES; k++) near(100 * meteor_score(&sum[k]), FIRST[k], 0.0006, "METEOR of 500 rows");
    Scores s = score_rows(pred, gold, 500, true);
    near(100 * s.norm, 25.649, 0.0006, "B-Norm of 500 rows");
    near(100 * s.rouge, 32.221, 0.0006, "ROUGE-L of 500 rows");
    s = score_rows(pred, gold, n, true);
    near(100 * s.norm, 25.6644, 0.00006, "B-Norm");
    near(100 * s.rouge, 32.0166, 0.00006, "ROUGE-L");
    for (int64_t i = 500; i < n; i++) meteor_rows(sum, row, meteor, pred[i], gold[i]);
    for (int k = 0; k < METEOR_STAGES; k++) near(100 * meteor_score(&sum[k]), ALL[k], 0.0006, "METEOR");
    assert_true(lines_of(&gold, &n, &arena, "data/cmg/metric_ref/nngen_test.gold"));
    assert_true(lines_of(&pred, &m, &arena, "data/cmg/metric_ref/nngen_test.pred"));
    assert_true(n == 2521 && m == n);
    s = score_rows(pred, gold, n, true);
    near(100 * s.norm, 23.0375, 0.00006, "B-Norm, nngen");
    near(100 * s.rouge, 28.5945, 0.00006, "ROUGE-L, nngen");
}

#define T(f) cmocka_unit_test_setup_teardown(f, begin, end)
SUITE(T(by_hand), T(stems), T(goldens), T(known_rows))

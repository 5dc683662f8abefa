/* Synonyms out of a small WordNet and out of METEOR's tables, both written here. */
#include "expect.h"

#include <string.h>

#include "base/file.h"
#include "scratch.h"
#include "metric/synonyms.h"

static void put(const char *name, const char *text, size_t n)
{
    assert_int_equal(file_write(str_print(&arena, "%s/%s", dir, name), text, n), OK);
}

static Bytes bytes(const char *s)
{
    return (Bytes){(char *)(uintptr_t)s, strlen(s)};
}

/* The word in user[0] is not yet among the lemmas seen; user[1] is set when it is. */
static bool not_yet(void *user, Bytes lemma)
{
    Bytes *b = user;
    bool met = lemma.len == b[0].len && !memcmp(lemma.text, b[0].text, lemma.len);
    if (met) b[1] = lemma;
    return !met;
}

static bool same(const Synonyms *s, const char *a, const char *b)
{
    Bytes met[2] = {bytes(b)};
    synonyms_lemmas(s, bytes(a), not_yet, met);
    return met[1].text != NULL;
}

static int64_t sets_of(const Synonyms *s, const char *word)
{
    int32_t *set;
    return synonyms_sets(s, &arena, &set, bytes(word));
}

enum { MANY = 270000, FORMS = 9000 }; /* more than the lists hold before they grow */

/* dog, hound; goose, bird; and so many more that every list has grown since the first was read. */
static void small_wordnet(Synonyms *s)
{
    Buf data = buf_open(&arena), index = buf_open(&arena), forms = buf_open(&arena);
    buf_print(&data, "%08d 05 n 02 dog 0 hound 0 000 | a friend\n", 0);
    buf_print(&index, "  1 This line begins with a blank.\ndog n 1 1 @ 1 0 %08d\nhound n 1 0 1 0 %08d\n", 0, 0);
    size_t second = data.len;
    buf_print(&data, "%08zu 05 n 02 goose 0 bird 0 000 | it flies\n", second);
    buf_print(&index, "goose n 1 0 1 0 %08zu\nbird n 1 0 1 0 %08zu\n", second, second);
    buf_print(&index, "many n %d 0 1 0", MANY);
    for (int i = 0; i < MANY; i++) buf_add(&index, " 0", 2);
    buf_add(&index, "\n", 1);
    buf_print(&forms, "geese goose\n");
    for (int i = 0; i < FORMS; i++) buf_print(&forms, "form%d goose\n", i);
    put("index.noun", index.text, index.len), put("data.noun", data.text, data.len);
    put("noun.exc", forms.text, forms.len);
    static const char ADJECTIVE[] = "00000000 00 a 02 asleep(p) 0 sleeping 0 000 | not awake\n",
                      ADJECTIVES[] = "asleep a 1 0 1 0 00000000\nsleeping a 1 0 1 0 00000000\n";
    put("data.adj", ADJECTIVE, sizeof ADJECTIVE - 1), put("index.adj", ADJECTIVES, sizeof ADJECTIVES - 1);
    static const char *const EMPTY[] = {"adj.exc",  "data.verb", "index.verb", "verb.exc",
                                        "data.adv", "index.adv", "adv.exc"};
    for (size_t i = 0; i < sizeof EMPTY / sizeof *EMPTY; i++) put(EMPTY[i], "", 0);
    EXPECT(synonyms_open(s, &arena, dir) == OK, "%s", err_message());
}

static void wordnet(void **state)
{
    (void)state;
    Synonyms s;
    small_wordnet(&s);
    static const char *const YES[][2] = {{"dog", "hound"},       {"hound", "dog"},       {"dogs", "hound"},
                                         {"dog", "dog"},         {"geese", "bird"},      {"geese", "goose"},
                                         {"form0", "bird"},      {"form8999", "bird"},   {"many", "hound"},
                                         {"sleeping", "asleep"}, {"asleep", "sleeping"}, {"dogses", "hound"}},
                             *const NO[][2] = {{"dog", "bird"},     {"hound", "goose"}, {"geese", "hound"},
                                               {"dog", "dogs"},     {"cat", "dog"},     {"dog", "cat"},
                                               {"gooses", "hound"}, {"", "dog"},        {"dog", ""},
                                               {"dog", "hound_0"},  {"geeses", "bird"}};
    for (size_t i = 0; i < sizeof YES / sizeof *YES; i++)
        EXPECT(same(&s, YES[i][0], YES[i][1]), "%s and %s share no synset", YES[i][0], YES[i][1]);
    for (size_t i = 0; i < sizeof NO / sizeof *NO; i++)
        EXPECT(!same(&s, NO[i][0], NO[i][1]), "%s and %s share a synset", NO[i][0], NO[i][1]);
    EXPECT(sets_of(&s, "dog") == 1 && sets_of(&s, "dogs") == 1 && sets_of(&s, "geese") == 1 &&
               sets_of(&s, "cat") == 0 && sets_of(&s, "many") == MANY,
           "%lld %lld %lld", (long long)sets_of(&s, "dog"), (long long)sets_of(&s, "geese"),
           (long long)sets_of(&s, "many"));
    Buf longest = buf_open(&arena);
    for (int i = 0; i < 200000; i++) buf_add(&longest, "s", 1);
    longest.text[longest.len - 2] = 'a';
    assert_int_equal(sets_of(&s, longest.text), 0);
    assert_false(same(&s, longest.text, "dog"));
}

static void tables_of_meteor(void **state)
{
    (void)state;
    static const char SETS[] = "dog\n1 2\nhound\n2\ncare\n5\ncaring\n5 6\nfireman\n7\n",
                      BASES[] = "dog\ndoggie doggy\n";
    put("english.synsets", SETS, sizeof SETS - 1), put("english.exceptions", BASES, sizeof BASES - 1);
    Synonyms s;
    EXPECT(synonyms_open(&s, &arena, dir) == OK, "%s", err_message());
    EXPECT(sets_of(&s, "dog") == 2 && sets_of(&s, "hound") == 1 && sets_of(&s, "doggy") == 2 &&
               sets_of(&s, "doggie") == 2 && sets_of(&s, "cat") == 0,
           "%lld %lld", (long long)sets_of(&s, "dog"), (long long)sets_of(&s, "doggy"));
    EXPECT(sets_of(&s, "dogs") == 2 && sets_of(&s, "firemen") == 1 && sets_of(&s, "cares") == 1 &&
               sets_of(&s, "menfire") == 0,
           "%lld %lld %lld", (long long)sets_of(&s, "dogs"), (long long)sets_of(&s, "firemen"),
           (long long)sets_of(&s, "cares"));
    EXPECT(!same(&s, "dog", "hound"), "these tables do not answer the other question");
    put("english.synsets", "dog\n1 x\n", 8);
    assert_int_equal(synonyms_open(&s, &arena, dir), E_FORMAT);
    EXPECT(strstr(err_message(), "english.synsets:2: expected the numbers of synsets"), "%s", err_message());
    err_clear();
    put("english.synsets", "dog", 3);
    assert_int_equal(synonyms_open(&s, &arena, dir), E_FORMAT);
    err_clear();
}

/* Of WordNet's index: what a line lacks, and which line it is. */
static void damaged_indices(void **state)
{
    (void)state;
    static const struct {
        const char *text, *says;
    } ROW[] = {
        {"dog n 1 0 1 0 00000000\ncat n 1 0 1 0 x\n", "index.noun:2: expected the numbers of synsets"},
        {"  1 licence\ndog n 1 0 1 0 12345678901\n", "index.noun:2: expected the numbers of synsets"},
        {"dog n 2 0 1 0 00000000 -1\n", "index.noun:1: expected the numbers of synsets"},
        {"dog n 0 0 1 0\n", "index.noun:1: expected a lemma, a word class and a number of synsets"},
        {"dog n\n", "index.noun:1: expected a lemma, a word class and a number of synsets"},
    };
    Synonyms s;
    small_wordnet(&s);
    for (size_t i = 0; i < sizeof ROW / sizeof *ROW; i++) {
        put("index.noun", ROW[i].text, strlen(ROW[i].text));
        assert_int_equal(synonyms_open(&s, &arena, dir), E_FORMAT);
        EXPECT(strstr(err_message(), ROW[i].says), "%s", err_message());
        err_clear();
    }
}

#define T(f) cmocka_unit_test_setup_teardown(f, begin, end)
SUITE(T(wordnet), T(tables_of_meteor), T(damaged_indices))

/* The trie against a plain search through the list of texts: random sets, sets of one letter, every byte. */
#include "expect.h"
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "text/trie.h"

enum { TEXTS = 400, LONGEST = 6 };

static int32_t find(const Trie *t, const char *text, int64_t n)
{
    int32_t node = 0;
    for (int64_t i = 0; i < n; i++)
        if ((node = trie_step(t, node, (unsigned char)text[i])) < 0) return -1;
    return t->unit[node].leaf;
}

/* Letters of an alphabet of so many, from NUL on: a text of n of them. */
static void draw(char *text, int64_t n, int alphabet, uint64_t s, uint64_t at)
{
    for (int64_t i = 0; i < n; i++) text[i] = (char)(int)(alphabet * rng_uniform(s, at * LONGEST + (uint64_t)i));
}

static void finds_what_was_added_and_no_more(int alphabet)
{
    Arena run = arena_open(0), scratch = arena_open(0);
    TrieEdges e = trie_edges(&scratch);
    uint64_t s = rng_stream((uint64_t)alphabet, "trie");
    char text[TEXTS][LONGEST];
    int64_t len[TEXTS];
    int32_t id[TEXTS];
    for (int32_t i = 0; i < TEXTS; i++) {
        len[i] = 1 + i % LONGEST;
        draw(text[i], len[i], alphabet, s, (uint64_t)i);
        id[i] = trie_add(&e, text[i], len[i], i, false);
        if (id[i] < 0) id[i] = i;
    }
    Trie t = trie_pack(&e, &run);
    arena_close(&scratch);
    for (int32_t i = 0; i < TEXTS; i++) assert_int_equal(find(&t, text[i], len[i]), id[i]);
    for (uint64_t i = 0; i < TEXTS; i++) {
        char other[LONGEST];
        int32_t expected = -1;
        int64_t n = 1 + (int64_t)(i % LONGEST);
        draw(other, n, alphabet, s, TEXTS + i);
        for (int32_t k = 0; k < TEXTS; k++)
            if (len[k] == n && !memcmp(text[k], other, (size_t)n)) expected = id[k];
        assert_int_equal(find(&t, other, n), expected);
    }
    arena_close(&run);
}

static void every_alphabet(void **state)
{
    (void)state;
    static const int ALPHABET[] = {1, 2, 3, 26, 256};
    for (size_t i = 0; i < sizeof ALPHABET / sizeof *ALPHABET; i++) finds_what_was_added_and_no_more(ALPHABET[i]);
}

static void the_first_or_the_last_of_equals(void **state)
{
    (void)state;
    Arena run = arena_open(0), scratch = arena_open(0);
    for (int later = 0; later < 2; later++) {
        TrieEdges e = trie_edges(&scratch);
        assert_int_equal(trie_add(&e, "ab", 2, 1, later), -1);
        assert_int_equal(trie_add(&e, "ab", 2, 2, later), 1);
        Trie t = trie_pack(&e, &run);
        assert_int_equal(find(&t, "ab", 2), later ? 2 : 1);
        assert_int_equal(find(&t, "a", 1), -1);
    }
    arena_close(&scratch);
    arena_close(&run);
}

static void nothing_in_an_empty_set(void **state)
{
    (void)state;
    Arena run = arena_open(0), scratch = arena_open(0);
    TrieEdges e = trie_edges(&scratch);
    Trie t = trie_pack(&e, &run);
    assert_int_equal(trie_step(&t, 0, 'a'), -1);
    arena_close(&scratch);
    arena_close(&run);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_alphabet),
                                       cmocka_unit_test(the_first_or_the_last_of_equals),
                                       cmocka_unit_test(nothing_in_an_empty_set)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

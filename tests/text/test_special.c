/* Special tokens in a text: the first place counts, and there the longest token, whatever the order of adding. */
#include "expect.h"

#include <string.h>

#include "text/special.h"

static const char *const TEXTS[] = {"<a>", "<a>b", "<a>bc", "b<", "<"};
enum { N = sizeof TEXTS / sizeof *TEXTS };

/* ids of a text's special tokens, one digit each: their places in TEXTS */
static void expect_found(const Specials *s, const char *text, const char *want)
{
    char got[16] = "";
    size_t from = 0, at, n = 0, len = strlen(text);
    for (const Special *x; n < 15 && (x = special_next(s, text, from, len, &at)); from = at + x->len)
        got[n++] = (char)('0' + x->id);
    EXPECT(!strcmp(got, want), "\"%s\" spells %s, expected %s", text, got, want);
    assert_int_equal(special_count(s, text, len), (int64_t)strlen(want));
}

static void the_longest_is_taken(void **state)
{
    (void)state;
    Arena a = arena_open(1 << 24);
    for (int first = 0; first < N; first++)
        for (int step = 1; step < N; step++) { /* N is a prime: orders that begin everywhere, by every step */
            Specials s = {0};
            for (int i = 0; i < N; i++) {
                int k = (first + i * step) % N;
                special_add(&s, &a, (Special){.text = TEXTS[k], .len = strlen(TEXTS[k]), .id = k, .special = true});
            }
            assert_int_equal(s.n, N);
            expect_found(&s, "<a>", "0");
            expect_found(&s, "x<a>b", "1");
            expect_found(&s, "<a>bc<a>", "20");
            expect_found(&s, "<a>bb<", "13");
            expect_found(&s, "b<a>b", "3"); /* the first place counts, though a longer one follows */
            expect_found(&s, "a <<a>", "40");
            expect_found(&s, "<a", "4");
        }
    arena_close(&a);
}

SUITE(cmocka_unit_test(the_longest_is_taken))

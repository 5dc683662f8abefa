/* Groups of tokens, the sides of a change, and maps aggregated over them. */
#include "expect.h"

#include <string.h>

#include "analysis/groups.h"
#include "analysis/maps.h"
#include "base/str.h"

static Arena arena;

/* Tokens of the text cut before every '|', which is no part of it; `frame`: one more at either end, around it. */
static Tokens cut(const char *text, bool frame)
{
    Buf b = buf_open(&arena);
    Tokens t = {.n = 0};
    size_t most = strlen(text) + 4;
    bool *special = NEW(&arena, bool, most);
    t.id = NEW(&arena, int32_t, most), t.label = NEW(&arena, const char *, most), t.special = special;
    t.begin = NEW(&arena, int64_t, most), t.end = NEW(&arena, int64_t, most);
    if (frame) t.label[0] = "<s>", t.begin[0] = t.end[0] = -1, special[0] = true, t.n = 1;
    while (*text) {
        size_t n = strcspn(text, "|");
        t.label[t.n] = str_copy(&arena, text, n);
        t.begin[t.n] = (int64_t)b.len;
        buf_add(&b, text, n);
        t.end[t.n++] = (int64_t)b.len;
        text += n + (text[n] == '|');
    }
    if (frame) t.label[t.n] = "</s>", t.begin[t.n] = t.end[t.n] = -1, special[t.n++] = true;
    t.piece = t.label, t.text = b.text, t.len = b.len;
    return t;
}

/* "0 0 1: first, second" */
static const char *told(const Groups *g)
{
    Buf b = buf_open(&arena);
    for (int64_t i = 0; i < g->tokens; i++) buf_print(&b, "%lld ", (long long)g->of[i]);
    for (int64_t k = 0; k < g->n; k++) buf_print(&b, "[%s]", g->label[k]);
    return b.text;
}

static void expect_groups(By by, const char *text, bool frame, const char *expected)
{
    Tokens t = cut(text, frame);
    Groups g = groups_of(&arena, by, &t);
    EXPECT(!strcmp(told(&g), expected), "%s of %s: \"%s\", expected \"%s\"", BY_NAME[by], text, told(&g), expected);
}

static void words_are_runs_between_blanks(void **state)
{
    (void)state;
    expect_groups(BY_WORDS, "in|t| x|\n|  |y", false, "0 0 1 2 2 3 [int][x][\n  ][y]");
    expect_groups(BY_WORDS, "int| x", true, "0 1 2 3 [<s>][int][x][</s>]");
    expect_groups(BY_WORDS, "a|<add>|b|c", false, "0 1 1 1 [a][<add>bc]"); /* a tag begins another */
    /* The bytes of one letter in tokens of their own, and one that is no UTF-8. */
    expect_groups(BY_WORDS, "h\xC3|\xA9| \xE2\x82|\xAC|!", false, "0 0 1 1 1 [h\xC3\xA9][\xE2\x82\xAC!]");
    expect_groups(BY_WORDS, "\xFF| x", false, "0 1 [\xEF\xBF\xBD][x]");
    expect_groups(BY_TOKENS, "in|t| x", true, "0 1 2 3 4 [<s>][in][t][ x][</s>]");
}

static void lines_keep_their_numbers(void **state)
{
    (void)state;
    expect_groups(BY_LINES, "if| x|\n|  y|;|\n", false, "0 0 0 1 1 1 [1 if x][2 y;]");
    expect_groups(BY_LINES, "a|\r\n|b|\r|\n|c", false, "0 0 1 1 1 2 [1 a][2 b][3 c]");
    expect_groups(BY_LINES, "a|\n|\n|b", true, "0 1 1 2 3 4 [<s>][1 a][2][3 b][</s>]");
    expect_groups(BY_LINES, "a|\n\n|b", false, "0 0 1 [1 a][3 b]");   /* no token begins in line 2 */
    expect_groups(BY_LINES, "a|\n  b|\n", false, "0 1 1 [1 a][2 b]"); /* a token over two lines: where its b is */
    expect_groups(BY_LINES, "fix| <del>| a| <add>| b", false, "0 1 1 2 2 [1 fix][2 <del> a][3 <add> b]");
    expect_groups(BY_LINES, "fix|\n| |<del>| a", false, "0 0 1 1 1 [1 fix][2 <del> a]");
    expect_groups(BY_LINES, "0123456789012345678901234567890123456789x", false,
                  "0 [1 0123456789012345678901234567890123456789\xE2\x80\xA6]");
}

/* A letter for each byte: m, +, - or k. */
static void expect_sides(const char *text, const char *expected)
{
    size_t len = strlen(text);
    Side *side = NEW(&arena, Side, len + 1);
    char *said = NEW(&arena, char, len + 1);
    bool any = sides_of_text(side, text, len);
    for (size_t i = 0; i < len; i++) said[i] = "m+-k"[side[i]];
    EXPECT(any == (strpbrk(expected, "+-k") != NULL) && !strcmp(said, expected), "%s\n%s, expected\n%s", text, said,
           expected);
}

static void sides_in_both_notations(void **state)
{
    (void)state;
    expect_sides("fix <keep>p<del>a<add>b", "mmmmkkkkkkk------++++++");
    expect_sides("fix\n  <del>a", "mmmm--------");
    expect_sides("int x;\n", "mmmmmmm");
    expect_sides("", "");
    expect_sides("fix\n\n a\n-b\r\n+c\n", "mmmmmkkk----+++");
    expect_sides("a - b\n+ c\nd\n", "mmmmmmmmmmmm"); /* not every line to the end has a sign */
    expect_sides("-a\n\n+b", "---k++");
    expect_sides("fix\n--- a\n+++ b\n@@ -1,2 +1,2 @@\n-- x\n+y\n z\n-- \n2\n",
                 "mmmmkkkkkkkkkkkkkkkkkkkkkkkkkkkk-----+++kkkkkkkkk");
    expect_sides("diff --git a b\n@@ -3 +3 @@ f\n-a\n+b\n\\ No\ndiff --git c d\n",
                 "kkkkkkkkkkkkkkkkkkkkkkkkkkkkk---+++kkkkkkkkkkkkkkkkkkkk");
    expect_sides("@@ -1,2 +1 @@\n-a\n\\ No\n-b\n+c\n", "kkkkkkkkkkkkkk---kkkkk---+++"); /* no line of either */
    expect_sides("@@ @@\n-a\n\n b", "kkkkkk---kkk");
    expect_sides("@@ -", "kkkk");
}

static void tokens_of_a_change(void **state)
{
    (void)state;
    const char *text = "fix| <del>| a|\n|<add>| b|<keep>|c";
    expect_groups(BY_SIDES, text, true, "4 0 2 2 2 1 1 3 3 4 [message][added][removed][kept][special]");
    expect_groups(BY_SIDES, "+a|\n|-b", false, "0 0 1 [added][removed]");
    Tokens t = cut(text, true), plain = cut("int| x", true);
    const bool expected[] = {false, false, true, true, true, true, true, false, false, false};
    const bool *changed = tokens_changed(&arena, &t);
    for (int i = 0; i < 10; i++) EXPECT(changed[i] == expected[i], "token %d", i);
    assert_null(tokens_changed(&arena, &plain));
    Groups g = groups_of(&arena, BY_LINES, &t);
    EXPECT(g.n == 6 && g.changed[2] && g.changed[3] && !g.changed[4] && g.special[0] && !g.special[1], "%s",
           told(&g));
}

/* (3 queries, 1 prefix + 3 keys) */
static const double MAP[] = {0.25, 0.75, 0, 0, 0.5, 0.125, 0.375, 0, 0.125, 0.25, 0.125, 0.5};

static void expect_map(Tensor t, int64_t n, const double *expected)
{
    assert_int_equal(tensor_count(t), n);
    for (int64_t i = 0; i < n; i++)
        EXPECT(tensor_get(t, i) == expected[i] || (isnan(expected[i]) && isnan(tensor_get(t, i))),
               "cell %lld: %g, %g", (long long)i, tensor_get(t, i), expected[i]);
}

static void queries_are_averaged_and_keys_added(void **state)
{
    (void)state;
    Tokens t = cut("a|b| c", false), other = cut("x| y| z", false);
    Groups g = groups_of(&arena, BY_WORDS, &t), each = groups_of(&arena, BY_WORDS, &other);
    Tensor map = tensor_new(&arena, F64, SHAPE(3, 4));
    for (int i = 0; i < 12; i++) tensor_set(map, i, MAP[i]);
    expect_map(map_grouped(&arena, map, 1, &g, &g), 6, (double[]){0.375, 0.625, 0, 0.125, 0.375, 0.5});
    expect_map(map_grouped(&arena, map, 1, &each, &each), 12, MAP);
    expect_map(map_grouped(&arena, map, 1, &each, &g), 9, (double[]){0.25, 0.75, 0, 0.5, 0.5, 0, 0.125, 0.375, 0.5});
    tensor_set(map, 0, NAN); /* a row without content does not count */
    expect_map(map_grouped(&arena, map, 1, &g, &g), 6, (double[]){0.5, 0.5, 0, 0.125, 0.375, 0.5});
    for (int i = 0; i < 8; i += 4) tensor_set(map, i, NAN);
    expect_map(map_grouped(&arena, map, 1, &g, &g), 6, (double[]){NAN, NAN, NAN, 0.125, 0.375, 0.5});
}

static void content_without_a_prefix(void **state)
{
    (void)state;
    Tensor map = tensor_new(&arena, F64, SHAPE(3, 4));
    for (int i = 0; i < 12; i++) tensor_set(map, i, MAP[i]);
    tensor_set(map, 4, 1), tensor_set(map, 5, 0), tensor_set(map, 6, 0); /* row 1 sees the prefix alone */
    Tensor text = maps_text(&arena, map, 1);
    expect_map(text, 9, (double[]){1, 0, 0, NAN, NAN, NAN, 0.25 / 0.875, 0.125 / 0.875, 0.5 / 0.875});
    const bool changed[] = {false, true, true}, special[] = {true, false, false};
    Maps x = {.part = PART_ENCODER, .t = 3, .s = 3, .special = special, .changed = changed};
    HeadStats s = maps_stats(&x, text); /* rows 0 and 2 */
    assert_true(fabs(s.changed - 0.625 / 0.875 / 2) < 1e-15 && fabs(s.special - (1 + 0.25 / 0.875) / 2) < 1e-15);
    assert_true(fabs(s.diagonal - (1 + 0.5 / 0.875) / 2) < 1e-15 && s.first == s.special && s.prefix == 0);
    assert_true(fabs(s.previous - 0.125 / 0.875) < 1e-15 && isnan(s.identical));
    assert_true(fabs(maps_shift(text, tensor_zero(&arena, F64, SHAPE(3, 3))) - 0.5) < 1e-15);
    x.unordered = true, x.changed = NULL;
    s = maps_stats(&x, text);
    assert_true(isnan(s.changed) && isnan(s.distance) && isnan(s.first) && isnan(s.previous) && isnan(s.next));
    assert_true(s.entropy > 0 && fabs(s.diagonal - (1 + 0.5 / 0.875) / 2) < 1e-15);
}

static int open_arena(void **state)
{
    (void)state;
    arena = arena_open(0);
    return 0;
}

static int close_arena(void **state)
{
    (void)state;
    arena_close(&arena);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_are_runs_between_blanks),
        cmocka_unit_test(lines_keep_their_numbers),
        cmocka_unit_test(sides_in_both_notations),
        cmocka_unit_test(tokens_of_a_change),
        cmocka_unit_test(queries_are_averaged_and_keys_added),
        cmocka_unit_test(content_without_a_prefix),
    };
    return cmocka_run_group_tests_name("groups", tests, open_arena, close_arena);
}

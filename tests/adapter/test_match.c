/* Which modules a PEFT config means, as that library reads its lists and its regular expressions. */
#include "expect.h"

#include <string.h>

#include "arena.h"
#include "base/str.h"
#include "adapter/match.h"

/* Whether the name is matched, or -1 where the answer is an error; its message is then in err_message(). */
static int matches(const char *json, const char *name)
{
    cJSON *root = cJSON_Parse(json);
    assert_non_null(root);
    bool found = true;
    Status s = match_modules(&found, root, "target_modules", name, "dir/adapter_config.json");
    EXPECT(s == OK || (s == E_FORMAT && strstr(err_message(), "dir/adapter_config.json: target_modules")), "%d '%s'",
           (int)s, err_message());
    err_clear();
    cJSON_Delete(root);
    return s ? -1 : found;
}

static void lists_name_endings(void **state)
{
    (void)state;
    static const struct {
        const char *json, *name;
        int expected;
    } CASES[] = {
        {"{}", "a.query", 0},
        {"{\"target_modules\": null}", "a.query", 0},
        {"{\"target_modules\": []}", "a.query", 0},
        {"{\"target_modules\": [\"query\"]}", "a.query", 1},
        {"{\"target_modules\": [\"query\"]}", "query", 1},
        {"{\"target_modules\": [\"query\"]}", "a.requery", 0},
        {"{\"target_modules\": [\"query\"]}", "a.query.b", 0},
        {"{\"target_modules\": [\"query\"]}", "uery", 0},
        {"{\"target_modules\": [\"self.query\"]}", "a.self.query", 1},
        {"{\"target_modules\": [\"self.query\"]}", "a.query", 0},
        {"{\"target_modules\": [\"key\", \"query\", \"value\"]}", "a.query", 1},
        {"{\"target_modules\": [\"query\", \"value\"]}", "a.query", 1},
        {"{\"target_modules\": [\"que.y\"]}", "a.query", 0},
        {"{\"Target_Modules\": [\"query\"]}", "a.query", 0},
        {"{\"target_modules\": \"query\"}", "a.query", 0},
        {"{\"target_modules\": \".*\\\\.query\"}", "a.query", 1},
        {"{\"target_modules\": \".*\\\\.query\"}", "a.query.b", 0},
        {"{\"target_modules\": \"query|a\\\\.key\"}", "a.key", 1},
        {"{\"target_modules\": \"\"}", "a.query", 0},
        {"{\"target_modules\": 3}", "a.query", -1},
        {"{\"target_modules\": [\"query\", 3]}", "a.query", -1},
        {"{\"target_modules\": \"(query\"}", "a.query", -1},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++)
        EXPECT(matches(CASES[i].json, CASES[i].name) == CASES[i].expected, "%s, %s: expected %d", CASES[i].json,
               CASES[i].name, CASES[i].expected);
}

static void expressions_begin_at_the_first_byte(void **state)
{
    (void)state;
    static const struct {
        const char *pattern, *text;
        bool whole, found;
        int group;
    } CASES[] = {
        {"layers\\.(\\d+)\\.", "layers.12.query", false, true, 7},
        {"layers\\.(\\d+)\\.", "layers.12.query", true, false, -1},
        {"layers\\.(\\d+)\\.", "encoder.layers.12.query", false, false, -1},
        {".*layers\\.(\\d+)\\.", "encoder.layers.12.query", false, true, 15},
        {"layers", "layers.12", false, true, -1},
        {"layers\\.12", "layers.12", true, true, -1},
        {"(layers|blocks)\\.3", "blocks.3", true, true, 0},
        {"(x)?layers", "layers", true, true, -1},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        bool found;
        int group = 99;
        EXPECT(match_regex(&found, &group, CASES[i].pattern, CASES[i].whole, CASES[i].text, "c.json", "k") == OK,
               "%s", err_message());
        EXPECT(found == CASES[i].found && (group == CASES[i].group || !found), "%s in %s: %d at %d", CASES[i].pattern,
               CASES[i].text, found, group);
        assert_int_equal(match_regex(&found, NULL, CASES[i].pattern, CASES[i].whole, CASES[i].text, "c.json", "k"),
                         OK);
        assert_int_equal(found, CASES[i].found);
    }
}

static void expressions_have_limits(void **state)
{
    (void)state;
    bool found;
    Buf name = buf_open(&arena), pattern = buf_open(&arena);
    for (int i = 0; i < 40; i++) buf_add(&name, "a", 1);
    buf_add(&name, "b", 1);
    assert_int_equal(match_regex(&found, NULL, "(a|a|aa)*[cd]", true, name.text, "c.json", "k"), E_FORMAT);
    EXPECT(strstr(err_message(), "c.json: k '(a|a|aa)*[cd]' takes too long"), "%s", err_message());
    err_clear();
    for (int i = 0; i < 4096; i++) buf_add(&pattern, "a", 1);
    assert_int_equal(match_regex(&found, NULL, pattern.text, true, name.text, "c.json", "k"), OK);
    assert_false(found);
    assert_int_equal(match_regex(&found, NULL, pattern.text, true, pattern.text, "c.json", "k"), OK);
    assert_true(found);
    buf_add(&pattern, "a", 1);
    assert_int_equal(match_regex(&found, NULL, pattern.text, true, name.text, "c.json", "k"), E_FORMAT);
    EXPECT(strstr(err_message(), "k has 4097 bytes, expected at most 4096"), "%s", err_message());
    err_clear();
    assert_int_equal(match_regex(&found, NULL, "ab[", true, "ab", "c.json", "k"), E_FORMAT);
    EXPECT(strstr(err_message(), "'ab[' breaks at byte 3"), "%s", err_message());
    err_clear();
}

#define T(f) cmocka_unit_test_setup_teardown(f, begin, end)
SUITE(T(lists_name_endings), T(expressions_begin_at_the_first_byte), T(expressions_have_limits))

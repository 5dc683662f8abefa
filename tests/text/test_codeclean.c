/* Lines of code as JITLine cleans them: rules by example, and against reference lines beside the repository. */
#include "expect.h"

#include <string.h>

#include "io/json.h"
#include "shared.h"
#include "text/codeclean.h"

static Arena run;

static void cleaned(const char *line, const char *want)
{
    size_t n;
    const char *got = code_clean(&run, line, strlen(line), &n);
    EXPECT(n == strlen(want) && !strcmp(got, want), "'%s' is cleaned to '%s', expected '%s'", line, got, want);
}

static void each_rule(void **state)
{
    (void)state;
    run = arena_open(0);
    cleaned("f(a,b){x[1];}", "f a b x <NUM>");
    cleaned("a _ b _ c", "a_b_c");
    cleaned("s = \"a\" + t + \"b\" + u", "s = <STR> + u");
    cleaned("it's 'x' and \"y", "it<STR> and \"y");
    cleaned("``a`` b ```c", "<STR>c");
    cleaned("``` a", "``` a");
    cleaned("0x1F x12y \xd9\xa3", "<NUM>x<NUM>F x<NUM>y <NUM>"); /* an Arabic digit */
    cleaned(" \t a \xc2\xa0 b \x1c ", "a b");                    /* a no-break space */
    cleaned("", "");
    cleaned(" ;;{ ", "");
}

static void as_the_reference_has_them(void **state)
{
    (void)state;
    run = arena_open(0);
    cJSON *lines;
    const char *path = str_print(&run, "%s/jit/jitline/lines.json", golden_root(&run));
    if (json_read(&lines, &run, path)) {
        err_clear();
        skip();
    }
    const cJSON *one;
    cJSON_ArrayForEach(one, lines) cleaned(json_text_in(one, "line"), json_text_in(one, "all"));
    assert_true(cJSON_GetArraySize(lines) > 10);
    cJSON_Delete(lines);
}

SUITE(cmocka_unit_test(each_rule), cmocka_unit_test(as_the_reference_has_them))

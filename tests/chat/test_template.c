/* The templates of chat/template.h: what jinja2 3.1 prints of the same expressions and statements
 * (tests/oracle/chat.py makes the table), and what is refused: constructs that are not here, by name, and templates
 * that nest too deeply or come to no end. */
#include "expect.h"

#include <string.h>

#include "chat/template.h"
#include "io/json.h"
#include "scratch.h"

/* The variables of every template here. */
static const char ROWS[] = "{\"rows\":[{\"a\":1,\"b\":2},{\"a\":2},{\"a\":3,\"b\":null}]}";

static Status render(Buf *out, const char *text, size_t n)
{
    const Template *t;
    cJSON *root;
    TRY(template_parse(&t, &arena, text, n, "t"));
    EXPECT(!json_parse(&root, ROWS, strlen(ROWS), "rows"), "%s", err_message());
    *out = buf_open(&arena);
    Value v = value_of_json(&arena, root);
    cJSON_Delete(root);
    return template_render(out, t, v);
}

static void expect_render(const char *text, size_t n, const char *want)
{
    Buf out;
    EXPECT(!render(&out, text, n), "%s: %s", text, err_message());
    EXPECT(out.len == strlen(want) && !memcmp(out.text, want, out.len), "%s: rendered '%.*s', expected '%s'", text,
           (int)out.len, out.text, want);
}

static void expect_refused(const char *text, const char *why)
{
    Buf out;
    EXPECT(render(&out, text, strlen(text)) == E_FORMAT, "'%.60s' was rendered", text);
    EXPECT(strstr(err_message(), why), "'%.60s': %s, expected a message with '%s'", text, err_message(), why);
    err_clear();
}

/* ---- what is rendered */

static const struct {
    const char *text, *want;
} SAME[] = {
    {"{{ 1 + 2 * 3 }} {{ 7 // 2 }} {{ -7 // 2 }} {{ -7 % 3 }} {{ 7 / 2 }} {{ 2.0 }} {{ 0.1 + 0"
     ".2 }} {{ 1 - -1 }}",
     "7 3 -4 2 3.5 2.0 0.30000000000000004 2"},
    {"{{ 'abc'[-1] }}{{ 'abcdef'[1:4] }}{{ 'abcdef'[::-2] }} {{ [1,2,3][-2:] }} {{ (1, 2)[0] }"
     "} {{ 'é日'[1] }} {{ 'é日' | length }}",
     "cbcdfdb [2, 3] 1 日 2"},
    {"{{ [1, 'x', none, true, 2.5, {'k': \"it's\"}] }} {{ {'a': []} }} {{ '' }}{{ nothing }}",
     "[1, 'x', None, True, 2.5, {'k': \"it's\"}] {'a': []} "},
    {"{{ {'a': [1, 'x', none, true], 'é': \"q\\\"\\n\"} | tojson }} {{ [{'a': 1}, []] | tojson"
     "(indent=2) }}",
     "{\"a\": [1, \"x\", null, true], \"é\": \"q\\\"\\n\"} [\n  {\n    \"a\": 1\n  },\n  []\n]"
     ""},
    {"{{ true and 'x' or 'y' }} {{ not 1 }} {{ 1 < 2 <= 2 }} {{ 3 in [1, 3] }} {{ 'b' not in '"
     "abc' }} {{ 'k' in {'k': 0} }} {{ 'a' < 'b' }}",
     "x False True True False True True"},
    {"{{ 'yes' if 1 else 'no' }}{{ 'yes' if 0 }}|{{ 1 ~ 'a' ~ none }} {{ 'a' 'b' }} {{ 'x' * 3"
     " }} {{ [1] + [2] }}",
     "yes|1aNone ab xxx [1, 2]"},
    {"{{ ' x ' | trim }}|{{ 'hello wORLD' | title }} {{ 'ab' | upper }} {{ 'AB'.lower() }} {{ "
     "'hello'.capitalize() }} {{ 'a-b'.replace('-', '+') }}",
     "x|Hello World AB ab Hello a+b"},
    {"{{ 'a b  c'.split() }} {{ 'a,b,c'.split(',', 1) }} {{ 'xxaxx'.strip('x') }} {{ 'abc'.sta"
     "rtswith('ab') }} {{ 'abc'.endswith(('x', 'c')) }}",
     "['a', 'b', 'c'] ['a', 'b,c'] a True True"},
    {"{{ [3, 1] | first }} {{ [3, 1] | last }} {{ 'ab' | list }} {{ [1, 2] | join('-') }} {{ ["
     "1, 2] | reverse | list }} {{ 'ab' | reverse }} {{ none | default('d') }} {{ x | default("
     "'d') }} {{ '' | default('d', true) }} {{ '7' | int + 1 }} {{ -2 | abs }}",
     "3 1 ['a', 'b'] 1-2 [2, 1] ba None d d 8 2"},
    {"{{ rows | map(attribute='a') | list }} {{ rows | selectattr('a', 'equalto', 1) | list }}"
     " {{ rows | rejectattr('b', 'defined') | list | length }} {{ [0, 1] | select | list }} {{"
     " ['a'] | map('upper') | join }}",
     "[1, 2, 3] [{'a': 1, 'b': 2}] 1 [1] A"},
    {"{{ x is defined }} {{ rows is iterable }} {{ 'x' is string }} {{ 4 is even }} {{ 5 is di"
     "visibleby 5 }} {{ none is none }} {{ rows[0] is mapping }} {{ 1 is not number }} {{ rows"
     "[0].z is undefined }} {{ 1 is sameas 1 }} {{ 2 is in [2] }}",
     "False True True True True True True False True True True"},
    {"{% for r in rows %}{{ loop.index }}/{{ loop.length }}{{ loop.first }}{{ loop.last }}{{ r"
     "['a'] }} {{ loop.previtem.a if loop.previtem is defined }};{% else %}none{% endfor %}",
     "1/3TrueFalse1 ;2/3FalseFalse2 1;3/3FalseTrue3 2;"},
    {"{% for r in rows if r.a > 1 %}{{ loop.index0 }}{{ r.a }}{% endfor %}{% for r in [] %}x{%"
     " else %}none{% endfor %}{% for k, v in {'a': 1}.items() %}{{ k }}{{ v }}{% endfor %}{% f"
     "or i in range(4) %}{% if i == 1 %}{% continue %}{% endif %}{% if i == 3 %}{% break %}{% "
     "endif %}{{ i }}{% endfor %}",
     "0213nonea102"},
    {"{% set a = 1 %}{% for i in range(2) %}{% set a = 5 %}{% endfor %}{{ a }}{% set ns = name"
     "space(n=0) %}{% for i in range(3) %}{% set ns.n = ns.n + i %}{% endfor %}{{ ns.n }}{% se"
     "t a, b = 1, 'z' %}{{ b }}{% set t %}block {{ a }}{% endset %}{{ t }}",
     "13zblock 1"},
    {"{% macro m(x, y='d') %}<{{ x }}|{{ y }}>{% endmacro %}{{ m(1) }}{{ m('q', y=2) }}{{ m(x="
     "'n') }}",
     "<1|d><q|2><n|d>"},
    {"a\n  {% if 1 %}\n  b\n  {% endif %}\nc {%- if 1 -%}  d  {%- endif %}\n  {# note #}\n e\n"
     "  {%+ if 1 %}f{% endif %}\n{{- 'g' -}}\n h\n",
     "a\n  b\ncd e\n  fgh"},
    {"{% raw %} {{ raw }} {% endraw %}{% if false %}x{% elif 1 %}y{% else %}z{% endif %}{% gen"
     "eration %}g{% endgeneration %}\n",
     " {{ raw }} yg"},
    {"{{ \"l1\nl2\n\nl4\" | indent(2) }} {{ 'l1\nl2' | indent(3, true) }}", "l1\n  l2\n\n  l4    l1\n   l2"},
    {"{{ {'k': 'v'}.get('k') }} {{ {'k': 1}.get('z') }} {{ {'k': 1}.get('z', 2) }} {{ {'b': 1,"
     " 'a': 2}.keys() | list }} {{ {'b': 1}.values() | list }} {{ rows[0].a + rows[-1]['a'] }}"
     " {{ dict(a=1) }}",
     "v None 2 ['b', 'a'] [1] 4 {'a': 1}"},
    {"{{ 100000.0 }} {{ 1234567.5 }} {{ 0.0001 }} {{ 0.00001 }} {{ 12.0 * 1000 }}",
     "100000.0 1234567.5 0.0001 1e-05 12000.0"},
    {"{{ '\xc2\xa0 x\xe3\x80\x80' | trim }}|{{ '\xc3\xa9x\xc3\xa0'.strip('\xc3\xa9') }}|{{ 'a\xe2\x80\x83' "
     "'b'.split() }}",
     "x|x\xc3\xa0|['a', 'b']"},
    {"{{ 'abc'[5] is defined }} {{ 'abc'[9000000000000000] }} {{ 'abc'[::-1] }} {{ 'abc'[::100] }} {{ -3 | abs }}",
     "False  cba a 3"},
};

static void templates_are_rendered_as_jinja2_does(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof SAME / sizeof *SAME; i++)
        expect_render(SAME[i].text, strlen(SAME[i].text), SAME[i].want);
}

static void a_zero_character_is_text(void **state)
{
    (void)state;
    static const char TEXT[] = "a\0{{ 1 }}b";
    Buf out;
    EXPECT(!render(&out, TEXT, sizeof TEXT - 1), "%s", err_message());
    EXPECT(out.len == 4 && !memcmp(out.text,
                                   "a\0"
                                   "1b",
                                   4),
           "%zu bytes, expected 4", out.len);
}

/* ---- what is refused */

static void constructs_that_are_not_here_are_named(void **state)
{
    (void)state;
    static const struct {
        const char *text, *why;
    } ALL[] = {
        {"a\n{% include 'x' %}", "line 2: the tag {% include %} is not supported"},
        {"{% extends 'x' %}", "{% extends %}"},
        {"{% block b %}{% endblock %}", "{% block %}"},
        {"{% filter upper %}x{% endfilter %}", "{% filter %}"},
        {"{% for x in rows recursive %}{% endfor %}", "recursive loops are not supported"},
        {"{% set x | upper %}a{% endset %}", "a set block with a filter is not supported"},
        {"{{ 2 ** 3 }}", "the operator ** is not supported"},
        {"{{ m(*rows) }}", "arguments with * are not supported"},
        {"{{ '\\x41' }}", "escape of a number is not supported"},
        {"{{ 1 | wordcount }}", "the filter 'wordcount' is not supported"},
        {"{{ 1 is upper }}", "the test 'upper' of a whole number is not supported"},
        {"{{ 'a'.zfill(3) }}", "has no method zfill that is supported"},
        {"{{ 'a'.replace('', 'b') }}", "replace() of an empty text is not supported"},
        {"{{ '\xc3\xa9' | upper }}", "beyond ASCII"},
        {"{{ rows | tojson(sort_keys=true) }}", "sort_keys is not supported"},
        {"{{ cycler(1) }}", "cycler is called, which is undefined"},
        {"{{ rows[0].x.y }}", "a member of something undefined"},
        {"{{ raise_exception('no') }}", "the template refuses this conversation: no"},
    };
    for (size_t i = 0; i < sizeof ALL / sizeof *ALL; i++) expect_refused(ALL[i].text, ALL[i].why);
}

static void broken_templates_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text, *why;
    } ALL[] = {
        {"{{ 1", "{{ has no }}"},
        {"{% if 1", "{% has no %}"},
        {"{# x", "{# has no #}"},
        {"{{ 'x }}", "a string has no end"},
        {"{% if 1 %}x", "the template ends before"},
        {"{% endif %}", "{% endif %} is not supported"},
        {"{{ }}", "stands where a value is expected"},
        {"{{ 1 2 }}", "stands where }} is expected"},
        {"{{ $ }}", "'$' is no part of an expression"},
        {"{{ 99999999999999999999 }}", "a number is too large"},
        {"{{ 1 / 0 }}", "a division by zero"},
        {"{{ 1 + 'x' }}", "a whole number + a text has no meaning"},
        {"{{ rows < 1 }}", "a list < a whole number has no meaning"},
    };
    for (size_t i = 0; i < sizeof ALL / sizeof *ALL; i++) expect_refused(ALL[i].text, ALL[i].why);
}

/* `open` n times, `middle`, `close` n times. */
static const char *nested(int n, const char *open, const char *middle, const char *close)
{
    Buf b = buf_open(&arena);
    for (int i = 0; i < n; i++) buf_print(&b, "%s", open);
    buf_print(&b, "%s", middle);
    for (int i = 0; i < n; i++) buf_print(&b, "%s", close);
    return b.text;
}

static void nesting_has_a_limit(void **state)
{
    (void)state;
    expect_refused(str_print(&arena, "{{ %s }}", nested(100000, "(", "1", ")")), "nested too deeply");
    expect_refused(str_print(&arena, "{{ %s }}", nested(100000, "[", "1", "]")), "nested too deeply");
    expect_refused(str_print(&arena, "{{ %s 1 }}", nested(100000, "-", "", "")), "nested too deeply");
    expect_refused(str_print(&arena, "{{ %s 1 }}", nested(100000, "not ", "", "")), "nested too deeply");
    expect_refused(nested(100000, "{% if 1 %}", "x", "{% endif %}"), "nested too deeply");
    expect_refused(str_print(&arena, "{%% if 1 %%}%s{%% endif %%}", nested(100000, "{% elif 1 %}", "", "")),
                   "nested too deeply");
    expect_refused(str_print(&arena, "{{ 1%s }}", nested(100000, "+1", "", "")), "calls itself too often");
    expect_refused("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "calls itself too often");
    expect_refused(str_print(&arena, "{%% macro m() %%}%s{%% endmacro %%}{{ m() }}",
                             nested(150, "{% if 1 %}", "{{ m() }}", "{% endif %}")),
                   "calls itself too often");
}

static void templates_without_an_end_are_stopped(void **state)
{
    (void)state;
#define LOOP "{% for i in range(1000000) %}"
    expect_refused(LOOP LOOP "{% endfor %}{% endfor %}", "the template takes more than");
    expect_refused(LOOP "{{ 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx' }}{% endfor %}",
                   "more than");
    expect_refused(LOOP "{% set x = range(1000000) %}{% endfor %}", "the template takes more than");
    expect_refused("{{ range(9000000000000000) }}", "range() is too long");
    expect_refused("{{ range(0, -9000000000000000 * 1000, 0 - 9000000000000000 * 1000) }}", "range() is too long");
    expect_refused("{{ 'ab' * 9000000000000000 }}", "a text is repeated too often");
    expect_refused("{{ 9000000000000000 * 9000000000000000 }}", "a number that is too large");
#define SPACE "{% set s = namespace(x='ab') %}"
    expect_refused(SPACE LOOP "{% set s.x = s.x ~ s.x %}{% endfor %}", "holds more than");
    expect_refused(SPACE LOOP "{% set s.x = [s.x] %}{% endfor %}", "nested more than 100 deep");
    expect_refused(SPACE "{% for i in range(60) %}{% set s.x = [s.x, s.x] %}{% endfor %}{{ s.x }}",
                   "holds more than");
    expect_refused(SPACE "{% for i in range(60) %}{% set s.x = [s.x, s.x] %}{% endfor %}{{ s.x == s.x }}",
                   "holds more than");
    expect_refused(SPACE "{% for i in range(60) %}{% set s.x = [s.x, s.x] %}{% endfor %}{{ s.x | tojson }}",
                   "tojson of too large a value");
    expect_refused(SPACE "{% set s.x = s %}{{ s }}", "a namespace in a namespace is not supported");
    expect_refused(SPACE "{% set s.x = [s] %}", "a namespace in a list is not supported");
    expect_refused(
        "{{ range(1000000) | join('a long text between the many members of a list that is printed, which is "
        "more than anybody would have') }}",
        "more than");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(templates_are_rendered_as_jinja2_does, begin, end),
        cmocka_unit_test_setup_teardown(a_zero_character_is_text, begin, end),
        cmocka_unit_test_setup_teardown(constructs_that_are_not_here_are_named, begin, end),
        cmocka_unit_test_setup_teardown(broken_templates_are_refused, begin, end),
        cmocka_unit_test_setup_teardown(nesting_has_a_limit, begin, end),
        cmocka_unit_test_setup_teardown(templates_without_an_end_are_stopped, begin, end)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

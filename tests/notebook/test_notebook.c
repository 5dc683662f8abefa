/* Notebooks in C: the percent format, the comparison of outputs, Markdown, and nbformat written and read again. */
#include "expect.h"
#include "io/json.h"
#include "notebook/notebook.h"
#include "scratch.h"

static const char SOURCE[] =
    "// %% [markdown]\n// # Title\n//\n// Text, \"quoted\"\n\n// %%\n//%cflags: -O0\nint main(void)\n{\n"
    "    return 0;\n}\n\n// %% [markdown]\n// End\n";

static Notebook read_text(Arena *a, const char *text)
{
    Notebook nb;
    const char *path = str_print(a, "%s/n.c", dir);
    assert_int_equal(file_write(path, text, strlen(text)), OK);
    assert_int_equal(notebook_read(&nb, a, path), OK);
    return nb;
}

static void cells_are_cut_at_their_marks(void **state)
{
    (void)state;
    Arena *a = &arena;
    Notebook nb = read_text(a, SOURCE);
    assert_int_equal(nb.cells, 3);
    assert_string_equal(nb.title, "Title");
    assert_string_equal(nb.name, "n");
    assert_string_equal(nb.cell[0].source, "# Title\n\nText, \"quoted\"");
    assert_true(nb.cell[1].code);
    assert_int_equal(nb.cell[1].line, 7);
    assert_string_equal(nb.cell[1].source, "//%cflags: -O0\nint main(void)\n{\n    return 0;\n}");
    assert_string_equal(cell_id(a, &nb.cell[2]), "text-2");
}

static void faults_are_named_with_their_line(void **state)
{
    (void)state;
    static const char *const BAD[][2] = {
        {"int x;\n// %%\nint y;\n", "n.c:1: text before the first cell"},
        {"// %%\nint y;\n// %% [markdown]\n// a\nb\n", "n.c:5: a line of a Markdown cell"},
        {"// %% [markdown]\n// a\n", "no code cell"}};
    Arena *a = &arena;
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
        Notebook nb;
        const char *path = str_print(a, "%s/n.c", dir);
        assert_int_equal(file_write(path, BAD[i][0], strlen(BAD[i][0])), OK);
        assert_int_equal(notebook_read(&nb, a, path), E_FORMAT);
        assert_non_null(strstr(err_message(), BAD[i][1]));
        err_clear();
    }
}

/* Whole numbers and words agree when equal, decimal ones up to a unit of their last digit. */
static void outputs_agree_up_to_rounding(void **state)
{
    (void)state;
    static const struct {
        const char *a, *b;
        bool agree;
    } CASE[] = {{"loss 0.50\n", "loss 0.51", true},
                {"loss 0.50", "loss 0.52", false},
                {"3 layers", "4 layers", false},
                {"9.9 % of", "10.0 % of", true},
                {"-0.1", "-0.2", true},
                {"-0.1", "0.1", false},
                {"1.2e-05", "1.3e-05", true},
                {"1.2e-05", "1.2e-06", false},
                {"x=1.00,y=2", "x=1.01,y=2", true},
                {"a b", "a  b\n", true},
                {"a b", "a", false},
                {"v1.2.3", "v1.2.3", true},
                {"nan", "0.1", false},
                {"(0.25, 12)", "(0.26, 12)", true},
                {"(0.25, 12)", "(0.25, 13)", false},
                {"1e400", "1e400", true}};
    Arena *a = &arena;
    const char *word[2];
    for (size_t i = 0; i < sizeof CASE / sizeof *CASE; i++)
        CHECK(output_agrees(a, CASE[i].a, CASE[i].b, word) == CASE[i].agree, "case %zu", i);
}

static void written_notebooks_are_read_again(void **state)
{
    (void)state;
    Arena *a = &arena;
    const char *path = str_print(a, "%s/n.ipynb", dir);
    Notebook nb = read_text(a, SOURCE), again;
    char png[64] = "\211PNG\r\n\032\n";
    Output output[] = {{.text = "line 0.5\nFigure x.png: it\n"},
                       {.kind = OUTPUT_FIGURE, .text = "it", .png = {png, sizeof png}},
                       {.kind = OUTPUT_STDERR, .text = "oh \"dear\"\n"}};
    nb.cell[1].output = output, nb.cell[1].outputs = 3;
    const char *json = notebook_json(a, &nb);
    cJSON *root;
    assert_int_equal(json_parse(&root, json, strlen(json), "n.ipynb"), OK);
    cJSON_Delete(root);
    assert_int_equal(file_write(path, json, strlen(json)), OK);
    assert_int_equal(notebook_load(&again, a, path), OK);
    assert_int_equal(again.cells, 3);
    assert_int_equal(again.cell[1].outputs, 3);
    assert_memory_equal(again.cell[1].output[1].png.text, png, sizeof png);
    assert_int_equal(notebook_compare(&nb, &again, a), OK);
    assert_string_equal(notebook_json(a, &again), json);

    output[0].text = "line 0.7\nFigure x.png: it\n";
    assert_int_equal(notebook_compare(&nb, &again, a), E_NUMERIC);
    assert_non_null(strstr(err_message(), "gives '0.7', and '0.5' is stored"));
    err_clear();
    output[0].text = "skipped: no such model here\n";
    assert_int_equal(notebook_compare(&nb, &again, a), OK);
    nb.cell[0].source = "# Another";
    assert_int_equal(notebook_compare(&nb, &again, a), E_NUMERIC);
    err_clear();
}

static void markdown_becomes_html_and_nothing_else(void **state)
{
    (void)state;
    static const char *const CASE[][2] = {
        {"a *b* **c** `d < e` f", "<p>a <em>b</em> <strong>c</strong> <code>d &lt; e</code> f</p>\n"},
        {"one\ntwo\n\nthree", "<p>one two</p>\n<p>three</p>\n"},
        {"1. a\n   b\n2. c", "<ol>\n<li>a b</li>\n<li>c</li>\n</ol>\n"},
        {"- a\n- b", "<ul>\n<li>a</li>\n<li>b</li>\n</ul>\n"},
        {"```\nx < *y*\n```", "<pre>x &lt; *y*\n</pre>\n"},
        {"| a | b |\n|---|---|\n| 1 | 2 |", "<div class=\"wide\"><table>\n<tr><th>a</th><th>b</th></tr>\n"
                                            "<tr><td>1</td><td>2</td></tr>\n</table></div>\n"},
        {"[t](a.html) [s](https://x.org)", "<p><a href=\"a.html\">t</a> <a href=\"https://x.org\">s</a></p>\n"},
        {"[t](javascript:x) <script>", "<p>[t](javascript:x) &lt;script&gt;</p>\n"},
        {"2 * 3 * 4 and a_b_c and `open", "<p>2 * 3 * 4 and a_b_c and `open</p>\n"},
        {"", ""}};
    Arena *a = &arena;
    for (size_t i = 0; i < sizeof CASE / sizeof *CASE; i++)
        assert_string_equal(markdown_html(a, CASE[i][0]), CASE[i][1]);
    assert_string_equal(
        code_html(a, "int x = 1; // a<b"),
        "<span class=\"kw\">int</span> x = <span class=\"nu\">1</span>; <span class=\"co\">// a&lt;b</span>");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cells_are_cut_at_their_marks), cmocka_unit_test(faults_are_named_with_their_line),
        cmocka_unit_test(outputs_agree_up_to_rounding), cmocka_unit_test(written_notebooks_are_read_again),
        cmocka_unit_test(markdown_becomes_html_and_nothing_else)};
    return cmocka_run_group_tests(tests, begin, end);
}

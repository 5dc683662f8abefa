/* Reports: nothing is left unescaped, nothing comes from outside, ids are unique, tags close. */
#include "expect.h"

#include <glib.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/str.h"
#include "plot/plot.h"
#include "plot/report.h"
#include "plot/svg.h"

static Arena arena;
static char folder[64] = "/tmp/vernier-report-XXXXXX";

static const char *in_folder(const char *name)
{
    return str_print(&arena, "%s/%s", folder, name);
}

static Fig *figure(const char *path, uint64_t seed)
{
    static const char *const token[] = {"if", "(", "x", ")"};
    Fig *f = fig_open(path, 200, 150);
    fig_heatmap(f, fig_whole(f), noise(&arena, F32, seed, SHAPE(4, 4)),
                (HeatStyle){.title = "Map", .row = token, .col = token, .causal = true, .bar = true});
    return f;
}

static void draw(const char *path, uint64_t seed)
{
    assert_int_equal(fig_close(figure(path, seed)), OK);
}

static const char *write_report(const char *name)
{
    static const char *const head[] = {"method", "accuracy (%)", "note"};
    static const char *const cell[] = {"LoRA", "92.4", "a < b & c", "prefix", "\u22120.6", "supported"};
    static const char *const fact[][2] = {{"machine", "2 cores"}, {"bytes", "\xff\x02\xc3("}};
    const char *path = in_folder(name);
    draw(in_folder("a.svg"), 1);
    draw(in_folder("b.svg"), 2);
    Report *r = report_open(path, "Prefixes <script>alert(1)</script> & \xfe");
    report_heading(r, 2, "E1 & \"maps\"");
    report_text(r, "First <b>paragraph</b>.\n\nSecond one.\n\n\n");
    report_verdict(r, VERDICT_SUPPORTED, "Content attention is unchanged", "gap 3e-16");
    report_verdict(r, VERDICT_NOT_SUPPORTED, "A prefix learns the histogram", NULL);
    report_verdict(r, VERDICT_INCONCLUSIVE, "It composes", "");
    report_heading(r, 3, "Figures");
    report_figure(r, in_folder("a.svg"), "The first \"map\".");
    report_figure(r, in_folder("b.svg"), "The second.");
    report_figure(r, in_folder("a.svg"), "The first again.");
    report_table(r, "Results", 3, head, 2, cell);
    report_table(r, NULL, 0, NULL, 0, NULL);
    report_table(r, NULL, 3, NULL, 1,
                 (const char *[]){"tokens right at the output, of those that fit", "0.4 [0.1, 0.7]", "[\u22121, 1]"});
    report_facts(r, 2, fact);
    report_lead(r, "2 cores & <more>");
    report_fold(r, "More");
    report_text(r, "Folded.");
    report_unfold(r);
    report_details(r, "Configuration", "lr = 5e-5\n<seed> = 1234\x07\nlast");
    EXPECT(report_close(r) == OK, "%s", err_message());
    return path;
}

static const char *text_of(const char *path)
{
    Bytes b;
    EXPECT(file_read(&b, &arena, path) == OK, "%s: %s", path, err_message());
    EXPECT(strlen(b.text) == b.len, "%s holds a NUL", path);
    return b.text;
}

static void text_is_escaped_and_valid(void **state)
{
    (void)state;
    const char *html = text_of(write_report("r.html"));
    assert_true(g_utf8_validate(html, -1, NULL));
    for (const char *s = html; *s; s++) EXPECT((unsigned char)*s >= 32 || *s == '\n', "control character %d", *s);
    assert_null(strstr(html, "<script"));
    assert_non_null(strstr(html, "&lt;script&gt;alert(1)&lt;/script&gt; &amp; \uFFFD</title>"));
    assert_non_null(strstr(html, "<p>2 cores &amp; &lt;more&gt;</p>\n</header>"));
    assert_non_null(strstr(html, "<p>First &lt;b&gt;paragraph&lt;/b&gt;.</p>\n<p>Second one.</p>\n<div"));
    assert_non_null(strstr(html, "a &lt; b &amp; c"));
    assert_non_null(strstr(html, "<dd>\uFFFD\\x02\uFFFD(</dd>"));
    assert_non_null(strstr(html, "lr = 5e-5\n&lt;seed&gt; = 1234\\x07\nlast\n</pre>"));
    assert_non_null(strstr(html, "<th>method</th>\n<th class=\"n\">accuracy (%)</th>"));
    assert_non_null(strstr(html, "<td class=\"n\">\u22120.6</td>"));
    assert_non_null(strstr(html, "<td class=\"v good\">supported</td>"));
    /* A table stays within the page because long names and, in front of an interval, numbers may break. */
    assert_non_null(strstr(html, "<td class=\"t\">tokens right"));
    assert_non_null(
        strstr(html, "<td class=\"n i\">0.4 <span>[0.1, 0.7]</span></td>\n<td class=\"n\">[\u22121, 1]</td>"));
    assert_non_null(strstr(html, "<summary>More</summary>\n<p>Folded.</p>\n</details>"));
    assert_non_null(strstr(html, "style=\"--w:200\">")); /* the width of the drawing, in points */
    assert_non_null(strstr(html, "<b>\u2713 supported</b>Content"));
    assert_non_null(strstr(html, "<b>\u2717 not supported</b>A prefix"));
    assert_non_null(strstr(html, "<b>? inconclusive</b>It composes"));
    assert_non_null(strstr(html, "<a href=\"#h1\">E1 &amp; &quot;maps&quot;</a>"));
}

static void nothing_comes_from_outside(void **state)
{
    (void)state;
    const char *html = text_of(write_report("r.html"));
    for (const char *s = html; (s = strstr(s, "http")); s++)
        EXPECT(!strncmp(s, "http://www.w3.org/", 18), "refers to %.60s", s);
    for (const char *s = html; (s = strstr(s, "src=")); s++) EXPECT(false, "loads %.60s", s);
    assert_null(strstr(html, "<?xml"));
}

static void ids_are_unique_and_references_resolve(void **state)
{
    (void)state;
    const char *html = text_of(write_report("r.html"));
    GHashTable *ids = g_hash_table_new(g_str_hash, g_str_equal);
    int n = 0, references = 0;
    for (const char *s = html; (s = strstr(s, " id=\"")); n++) {
        s += 5;
        char *id = str_copy(&arena, s, strcspn(s, "\""));
        EXPECT(g_hash_table_add(ids, id), "id %s stands twice", id);
    }
    static const char *const mark[] = {"href=\"#", "url(#"};
    for (int k = 0; k < 2; k++)
        for (const char *s = html; (s = strstr(s, mark[k])); references++) {
            s += strlen(mark[k]);
            char *id = str_copy(&arena, s, strcspn(s, "\")"));
            EXPECT(g_hash_table_contains(ids, id), "nothing has the id %s", id);
        }
    g_hash_table_destroy(ids);
    EXPECT(n > 30 && references > 30, "%d ids and %d references", n, references);
}

static void tags_close(void **state)
{
    (void)state;
    const char *html = text_of(write_report("r.html")), *open[64];
    size_t len[64];
    int depth = 0;
    for (const char *s = strchr(html, '\n'); (s = strchr(s, '<')); s++) {
        const char *end = strchr(s, '>');
        bool closing = s[1] == '/';
        size_t n = strcspn(s + 1 + closing, " />\n");
        assert_non_null(end);
        if (end[-1] == '/' || !strncmp(s, "<meta", 5)) continue;
        if (!closing) {
            assert_true(depth < 64);
            open[depth] = s + 1;
            len[depth++] = n;
            continue;
        }
        EXPECT(depth > 0 && len[depth - 1] == n && !memcmp(open[depth - 1], s + 2, n), "at %.40s", s);
        depth--;
    }
    assert_int_equal(depth, 0);
}

static void same_report_same_bytes(void **state)
{
    (void)state;
    const char *a = text_of(write_report("one.html")), *b = text_of(write_report("two.html"));
    assert_string_equal(a, b);
}

/* The page has the same drawing whether or not there is a file of it. */
static void a_figure_is_shown_in_whatever_format_it_is_written(void **state)
{
    (void)state;
    static const char *const formats[] = {"svg", "pdf", "png,svg"};
    const char *page[4];
    for (int i = 0; i < 4; i++) {
        const char *path = in_folder("drawn.html");
        Report *r = report_open(path, "t");
        if (i < 3)
            assert_int_equal(report_drawn(r, figure(in_folder(str_print(&arena, "d%d.%s", i, formats[i])), 1), "c"),
                             OK);
        else
            report_figure(r, in_folder("d0.svg"), "c");
        assert_int_equal(report_close(r), OK);
        page[i] = text_of(path);
        assert_string_equal(page[i], page[0]);
    }
    struct stat st;
    assert_non_null(strstr(page[0], "<svg role=\"img\" aria-label=\"c\""));
    assert_int_equal(stat(in_folder("d1.pdf"), &st), 0);
    assert_int_not_equal(stat(in_folder("d1.svg"), &st), 0);
    Report *r = report_open(in_folder("no.html"), "t");
    assert_int_equal(report_drawn(r, figure(in_folder("none/x.pdf"), 1), "c"), E_IO);
    assert_int_equal(report_close(r), E_IO);
    assert_int_not_equal(stat(in_folder("no.html"), &st), 0);
    err_clear();
}

static void a_figure_too_many_is_a_link(void **state)
{
    (void)state;
    const char *path = in_folder("limited.html");
    Report *r = report_open(path, "t");
    assert_int_equal(report_drawn(r, figure(in_folder("l0.svg"), 1), "first"), OK);
    size_t most = strlen(text_of(in_folder("l0.svg"))) * 5 / 2; /* two have room */
    report_limit(r, most);
    for (int i = 1; i < 4; i++)
        assert_int_equal(
            report_drawn(r, figure(in_folder(str_print(&arena, "l%d.png,pdf", i)), 1), i == 2 ? "<third>" : "c"), OK);
    assert_int_equal(report_close(r), OK);
    const char *html = text_of(path),
               *link = strstr(html, "<p id=\"fig3\"><b>Figure 3.</b> &lt;third&gt; Not on this");
    assert_non_null(strstr(html, "<figure id=\"fig2\""));
    assert_null(strstr(html, "<figure id=\"fig3\""));
    assert_non_null(link);
    assert_non_null(strstr(link, "<a href=\"l2.pdf\">l2.pdf</a>"));
    assert_non_null(strstr(link, "<a href=\"l3.pdf\">"));
    struct stat st;
    assert_int_equal(stat(in_folder("l3.pdf"), &st), 0);
}

static Status report_with(const char *svg, const char *path)
{
    Report *r = report_open(path, "t");
    report_figure(r, svg, "c");
    report_text(r, "after the error");
    return report_close(r);
}

static void broken_figures_and_targets_are_reported(void **state)
{
    (void)state;
    assert_int_equal(report_with(in_folder("none.svg"), in_folder("x.html")), E_IO);
    assert_non_null(strstr(err_message(), "none.svg"));
    err_clear();
    static const char *const bad[] = {"", "hello", "<svg><script>x</script></svg>", "<svg onload=\"x\"/>",
                                      "<svg><image href=\"https://example.org/x.png\"/></svg>"};
    for (int i = 0; i < 5; i++) {
        assert_int_equal(file_write(in_folder("bad.svg"), bad[i], strlen(bad[i])), OK);
        EXPECT(report_with(in_folder("bad.svg"), in_folder("x.html")) == E_FORMAT, "'%s' was taken", bad[i]);
        err_clear();
    }
    struct stat st;
    assert_int_not_equal(stat(in_folder("x.html"), &st), 0);
    draw(in_folder("a.svg"), 1);
    assert_int_equal(report_with(in_folder("a.svg"), in_folder("no/folder.html")), E_IO);
    err_clear();
    assert_int_equal(symlink("/dev/full", in_folder("full.html.vernier.part")), 0);
    assert_int_equal(report_with(in_folder("a.svg"), in_folder("full.html")), E_IO);
    err_clear();
    assert_int_not_equal(lstat(in_folder("full.html"), &st), 0);
}

static void renaming_touches_ids_alone(void **state)
{
    (void)state;
    const char *in = "<g id=\"x\" width=\"9\"><use href=\"#x\"/><use xlink:href=\"#y\" style=\"clip: url(#y)\"/>"
                     "<p id=\"y\">#x url(#z) href=\"#z\"</p></g>";
    Buf out = buf_open(&arena);
    svg_rename_ids(&out, in, strlen(in), "q");
    assert_string_equal(
        out.text, "<g id=\"q0\" width=\"9\"><use href=\"#q0\"/><use xlink:href=\"#q1\" style=\"clip: url(#q1)\"/>"
                  "<p id=\"q1\">#x url(#z) href=\"#z\"</p></g>");
    Buf odd = buf_open(&arena);
    svg_rename_ids(&odd, " id=\"a\" id=\"", 12, "q"); /* an attribute that never closes */
    assert_string_equal(odd.text, " id=\"q0\" id=\"");
}

int main(void)
{
    arena = arena_open((size_t)1 << 32);
    if (!mkdtemp(folder)) return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_is_escaped_and_valid),
        cmocka_unit_test(nothing_comes_from_outside),
        cmocka_unit_test(ids_are_unique_and_references_resolve),
        cmocka_unit_test(tags_close),
        cmocka_unit_test(same_report_same_bytes),
        cmocka_unit_test(a_figure_is_shown_in_whatever_format_it_is_written),
        cmocka_unit_test(a_figure_too_many_is_a_link),
        cmocka_unit_test(broken_figures_and_targets_are_reported),
        cmocka_unit_test(renaming_touches_ids_alone),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    if (!failed && system(str_print(&arena, "rm -rf %s", folder))) return 1;
    return failed != 0;
}

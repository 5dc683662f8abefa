/* Every kind of figure with data that are hard to draw: no value, one token, 512 tokens, and labels that are empty,
 * long, accented to excess, written from the right, or not text at all.  The files are whole and of a bearable size.
 * With VERNIER_FIGURES=DIR they stay in DIR. */
#include "drawn.h"

#include "plot/plot.h"

static Arena arena;
static char folder[512];

static const char *in_folder(const char *name)
{
    return str_print(&arena, "%s/%s", folder, name);
}

static void expect_whole(Fig *f, const char *name, size_t most)
{
    EXPECT(!fig_close(f), "%s: %s", name, err_message());
    expect_drawn_whole(&arena, in_folder(name), most);
}

static const char **labels(int64_t n)
{
    const char **l = NEW(&arena, const char *, n + 1);
    for (int64_t i = 0; i < n; i++) l[i] = odd_label(&arena, i);
    return l;
}

/* Values of a map: all there, every seventh missing, none there. */
static Tensor values(int64_t rows, int64_t cols, int missing)
{
    Tensor t = noise(&arena, F32, 4, SHAPE(rows, cols));
    for (int64_t k = 0; k < rows * cols; k++)
        if (missing == 2 || (missing == 1 && k % 7 == 3)) tensor_set(t, k, NAN);
    return t;
}

static void maps_of_any_size(void **state)
{
    (void)state;
    static const int64_t size[] = {0, 1, 12, 70, 512};
    for (int i = 0; i < 5; i++)
        for (int missing = 0; missing < 3; missing++) {
            int64_t n = size[i];
            const char **l = labels(n), *name = str_print(&arena, "map-%lld-%d", (long long)n, missing);
            const HeatStyle s = {.title = odd_label(&arena, 11),
                                 .letter = "a",
                                 .row = l,
                                 .col = l,
                                 .row_title = l[0],
                                 .col_title = odd_label(&arena, 3),
                                 .map = missing ? MAP_DIVERGING : MAP_SEQUENTIAL,
                                 .values = true,
                                 .causal = missing == 1,
                                 .bar = true,
                                 .bar_title = odd_label(&arena, 2)};
            Fig *f = fig_open(in_folder(name), 300, 300);
            fig_heatmap(f, fig_whole(f), values(n, n, missing), s);
            expect_whole(f, name, 1500000);
        }
}

static void rows_of_maps(void **state)
{
    (void)state;
    const char **l = labels(12);
    const Tensor m[] = {values(12, 12, 0), values(12, 12, 2), values(0, 12, 0), values(12, 12, 1)};
    HeatStyle s[4];
    for (int k = 0; k < 4; k++)
        s[k] = (HeatStyle){.title = l[k + 7], .row = k ? NULL : l, .col = l, .bar = k == 3, .hi = 1};
    Fig *f = fig_open(in_folder("row"), 500, 200);
    fig_heatmaps(f, fig_whole(f), 4, m, s);
    expect_whole(f, "row", 500000);
}

static void plots_of_odd_series(void **state)
{
    (void)state;
    static const int64_t size[] = {0, 1, 512};
    for (int i = 0; i < 3; i++)
        for (int missing = 0; missing < 3; missing++) {
            Series s[12];
            int n = size[i] > 100 ? 3 : 12;
            const char *name = str_print(&arena, "plots-%lld-%d", (long long)size[i], missing);
            for (int k = 0; k < n; k++) {
                Tensor y = values(1, size[i], k % 2 ? missing : 0);
                s[k] =
                    (Series){.y = tensor_reshape(y, SHAPE(size[i])), .label = odd_label(&arena, k), .marked = k % 3};
                s[k].lo = s[k].hi = s[k].y;
            }
            const PlotStyle style = {.title = odd_label(&arena, 1),
                                     .x.title = odd_label(&arena, 4),
                                     .y = {.title = odd_label(&arena, 10), .log = missing == 1},
                                     .ref = (RefLine[]){{.at = 0.5, .label = odd_label(&arena, 11)}},
                                     .refs = 1,
                                     .values = true};
            Fig *f = fig_open(in_folder(name), 500, 500);
            fig_lines(f, fig_cell(f, 2, 2, 0), n, s, style);
            fig_scatter(f, fig_cell(f, 2, 2, 1), n, s, style);
            fig_bars(f, fig_cell(f, 2, 2, 2), 2, s, labels(size[i]), style);
            fig_text(f, fig_cell(f, 2, 2, 3), odd_label(&arena, 1));
            expect_whole(f, name, 2500000);
        }
}

static void the_check_sees_what_is_wrong(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool good;
    } xml[] = {{"<?xml version=\"1.0\"?>\n<a x=\"1\"><b/>t &amp; u</a>\n", true},
               {"<a><b></a></b>", false},
               {"<a>", false},
               {"<a/><b/>", false},
               {"<a x=\"1\" x=\"2\"/>", false},
               {"<a x=1/>", false},
               {"<a x=\"<\"/>", false},
               {"<a>&x</a>", false},
               {"<a>\xC3</a>", false},
               {"<a>\x01</a>", false},
               {"<a x=\"1", false}};
    for (size_t i = 0; i < sizeof xml / sizeof *xml; i++) {
        Bytes b = {str_copy(&arena, xml[i].text, strlen(xml[i].text)), strlen(xml[i].text)};
        EXPECT(!xml_wrong(b) == xml[i].good, "%s: %s", xml[i].text, xml_wrong(b) ? xml_wrong(b) : "good");
    }
}

int main(void)
{
    arena = arena_open((size_t)1 << 32);
    const char *keep = getenv("VERNIER_FIGURES");
    snprintf(folder, sizeof folder, "%s", keep ? keep : "/tmp/vernier-odd-XXXXXX");
    if (!keep && !mkdtemp(folder)) return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(maps_of_any_size),
        cmocka_unit_test(rows_of_maps),
        cmocka_unit_test(plots_of_odd_series),
        cmocka_unit_test(the_check_sees_what_is_wrong),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    if (!keep && !failed && system(str_print(&arena, "rm -rf %s", folder))) return 1;
    return failed != 0;
}

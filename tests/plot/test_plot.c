/* Figures: same bytes, odd inputs, full disks, hatching, gaps, colour maps, ticks and label placement. */
#include "expect.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/str.h"
#include "plot/draw.h"

static Arena arena;
static char folder[64] = "/tmp/vernier-plot-XXXXXX";

static const char *in_folder(const char *name)
{
    return str_print(&arena, "%s/%s", folder, name);
}

static Bytes content(const char *path)
{
    Bytes b = {NULL, 0};
    EXPECT(file_read(&b, &arena, path) == OK, "%s: %s", path, err_message());
    return b;
}

static bool exists(const char *path)
{
    struct stat st;
    return !lstat(path, &st);
}

static const char *const label[] = {"if", " (", "p", "\n", "größe", "->"};

static Fig *draw_everything(const char *stem)
{
    const Span span[] = {{0, 2, "input"}, {2, 6, "output"}};
    Tensor m = noise(&arena, F32, 1, SHAPE(6, 6)), x = noise(&arena, F64, 2, SHAPE(30));
    Series s = {.y = x, .lo = x, .hi = x, .label = "loss"};
    Fig *f = fig_open(stem, 400, 300);
    fig_heatmap(f, fig_cell(f, 2, 2, 0), m,
                (HeatStyle){.title = "Map",
                            .letter = "a",
                            .row = label,
                            .col = label,
                            .row_span = span,
                            .row_spans = 2,
                            .col_span = span,
                            .col_spans = 2,
                            .causal = true,
                            .values = true,
                            .bar = true});
    fig_lines(f, fig_cell(f, 2, 2, 1), 1, &s, (PlotStyle){.x.title = "step", .y.title = "loss"});
    fig_scatter(f, fig_cell(f, 2, 2, 2), 1, &s, (PlotStyle){.title = "Points"});
    fig_bars(f, fig_cell(f, 2, 2, 3), 1, &(Series){.y = tensor_over(x.data, F64, SHAPE(6))}, label,
             (PlotStyle){.values = true});
    return f;
}

static void same_bytes_twice(void **state)
{
    (void)state;
    static const char *const suffix[] = {"svg", "pdf", "png"};
    assert_int_equal(fig_close(draw_everything(in_folder("one"))), OK);
    Fig *between = fig_open(in_folder("between"), 100, 100); /* moves cairo's counters on */
    fig_heatmap(between, fig_whole(between), noise(&arena, F32, 3, SHAPE(100, 100)), (HeatStyle){.bar = true});
    assert_int_equal(fig_close(between), OK);
    assert_int_equal(fig_close(draw_everything(in_folder("two"))), OK);
    for (int i = 0; i < 3; i++) {
        Bytes a = content(str_print(&arena, "%s/one.%s", folder, suffix[i]));
        Bytes b = content(str_print(&arena, "%s/two.%s", folder, suffix[i]));
        EXPECT(a.len == b.len && !memcmp(a.text, b.text, a.len), "%s differs", suffix[i]);
        EXPECT(a.len > 1000, "%s has %zu bytes", suffix[i], a.len);
        bool dated = memmem(a.text, a.len, "20000101000000", 14); /* two runs in one second prove nothing */
        EXPECT(dated == (i == 1), "%s: fixed creation date %d", suffix[i], dated);
    }
}

static void suffix_chooses_the_format(void **state)
{
    (void)state;
    Fig *f = fig_open(in_folder("alone.pdf"), 50, 50);
    assert_int_equal(fig_close(f), OK);
    assert_memory_equal(content(in_folder("alone.pdf")).text, "%PDF", 4);
    assert_false(exists(in_folder("alone.pdf.svg")));
    assert_false(exists(in_folder("alone.svg")));
    assert_int_equal(fig_close(fig_open(in_folder("some.png,svg"), 50, 50)), OK);
    assert_memory_equal(content(in_folder("some.png")).text, "\x89PNG", 4);
    assert_memory_equal(content(in_folder("some.svg")).text, "<?xml", 5);
    assert_false(exists(in_folder("some.pdf")));
    assert_int_equal(fig_close(fig_open(in_folder("a.svg,jpg"), 50, 50)), OK);
    assert_true(exists(in_folder("a.svg,jpg.png")));
    static const char *const good[] = {"svg", "pdf,png", "png,svg,pdf"}, *const bad[] = {"", "SVG", "svg,", ",pdf",
                                                                                         "pn"};
    for (int i = 0; i < 3; i++) EXPECT(fig_formats(good[i]), "%s is refused", good[i]);
    for (int i = 0; i < 5; i++) EXPECT(!fig_formats(bad[i]), "'%s' is taken", bad[i]);
}

/* ---- pixels ---- */

typedef struct {
    cairo_surface_t *surface;
    const unsigned char *data;
    int w, h, stride;
} Picture;

static Picture picture_open(const char *path)
{
    Picture p = {.surface = cairo_image_surface_create_from_png(path)};
    assert_int_equal(cairo_surface_status(p.surface), CAIRO_STATUS_SUCCESS);
    p.data = cairo_image_surface_get_data(p.surface);
    p.w = cairo_image_surface_get_width(p.surface);
    p.h = cairo_image_surface_get_height(p.surface);
    p.stride = cairo_image_surface_get_stride(p.surface);
    return p;
}

/* The spread of channels at a pixel, 0 for a grey; *level gets the mean. */
static int tint(Picture p, int x, int y, int *level)
{
    const unsigned char *c = p.data + (ptrdiff_t)y * p.stride + 4 * x;
    int least = c[0], most = c[0];
    for (int k = 1; k < 3; k++) {
        least = c[k] < least ? c[k] : least;
        most = c[k] > most ? c[k] : most;
    }
    *level = (c[0] + c[1] + c[2]) / 3;
    return most - least;
}

/* A 1 x 2 map without labels fills its square; the left cell is NaN, the right one is not. */
static void nan_is_hatched_and_never_coloured(void **state)
{
    (void)state;
    for (int large = 0; large < 2; large++) { /* the second map is drawn as an image */
        int n = large ? 80 : 2, coloured[2] = {0, 0}, light[2] = {0, 0}, dark[2] = {0, 0};
        Tensor m = tensor_new(&arena, F32, SHAPE(n, n));
        for (int i = 0; i < n * n; i++) tensor_set(m, i, i % n < n / 2 ? (double)NAN : 0.5);
        Fig *f = fig_open(in_folder("hatch.png"), 100, 100);
        fig_heatmap(f, fig_whole(f), m, (HeatStyle){.hi = 1});
        assert_int_equal(fig_close(f), OK);
        Picture p = picture_open(in_folder("hatch.png"));
        for (int side = 0; side < 2; side++)
            for (int y = p.h / 2 - 30; y < p.h / 2 + 30; y++)
                for (int x = p.w / 4 - 30 + side * p.w / 2; x < p.w / 4 + 30 + side * p.w / 2; x++) {
                    int level, t = tint(p, x, y, &level);
                    coloured[side] += t > 8;
                    light[side] += level > 240;
                    dark[side] += level < 225;
                }
        cairo_surface_destroy(p.surface);
        EXPECT(coloured[0] == 0 && light[0] > 1000 && dark[0] > 200, "NaN: %d coloured, %d light, %d dark",
               coloured[0], light[0], dark[0]);
        EXPECT(coloured[1] == 3600, "a value: %d of 3600 pixels coloured", coloured[1]);
    }
}

static void nan_breaks_a_line(void **state)
{
    (void)state;
    Tensor y = tensor_zero(&arena, F64, SHAPE(9));
    for (int i = 3; i < 6; i++) tensor_set(y, i, NAN);
    Fig *f = fig_open(in_folder("gap.png"), 200, 100);
    fig_lines(f, fig_whole(f), 1, &(Series){.y = y}, (PlotStyle){0});
    assert_int_equal(fig_close(f), OK);
    Picture p = picture_open(in_folder("gap.png"));
    int blue[9] = {0}, first = p.w, last = 0, level;
    for (int x = 0; x < p.w; x++)
        for (int row = 0; row < p.h; row++)
            if (tint(p, x, row, &level) > 60) {
                first = x < first ? x : first;
                last = x > last ? x : last;
            }
    for (int i = 1; i < 8; i++)
        for (int row = 0; row < p.h; row++) blue[i] += tint(p, first + (last - first) * i / 8, row, &level) > 60;
    cairo_surface_destroy(p.surface);
    EXPECT(last - first > p.w / 2, "the line spans %d pixels of %d", last - first, p.w);
    EXPECT(blue[1] && blue[7] && !blue[3] && !blue[4] && !blue[5], "at points 1, 3..5, 7: %d, %d %d %d, %d", blue[1],
           blue[3], blue[4], blue[5], blue[7]);
}

/* A thinned line keeps a spike that lies on one point among 100,000. */
static void thinning_keeps_spikes(void **state)
{
    (void)state;
    Tensor y = tensor_zero(&arena, F64, SHAPE(100000));
    tensor_set(y, 54321, 1);
    Fig *f = fig_open(in_folder("spike.png"), 200, 100), *g;
    fig_lines(f, fig_whole(f), 1, &(Series){.y = y}, (PlotStyle){.y = {.lo = -1, .hi = 1.1}});
    assert_int_equal(fig_close(f), OK);
    g = fig_open(in_folder("spike.svg"), 200, 100);
    fig_lines(g, fig_whole(g), 1, &(Series){.y = y}, (PlotStyle){0});
    assert_int_equal(fig_close(g), OK);
    EXPECT(content(in_folder("spike.svg")).len < 60000, "100,000 points take %zu bytes",
           content(in_folder("spike.svg")).len);
    Picture p = picture_open(in_folder("spike.png"));
    int level, blue = 0;
    for (int x = p.w / 3; x < p.w; x++) blue += tint(p, x, p.h / 5, &level) > 40;
    cairo_surface_destroy(p.surface);
    EXPECT(blue > 0 && blue < 12, "%d pixels of the spike at a fifth of the height", blue);
}

/* ---- odd inputs ---- */

static Tensor filled(int rows, int cols, double v)
{
    Tensor t = tensor_new(&arena, F32, SHAPE(rows, cols));
    tensor_fill(t, v);
    return t;
}

static void odd_heat_maps_are_drawn(void **state)
{
    (void)state;
    char *endless = NEW(&arena, char, 100001);
    memset(endless, 'w', 100000);
    const char *const odd[] = {
        endless, "\xff\xfe\xc3",  NULL, "", "\x01\x02\x7f", "\xe2\x80\xae right to left", "\U0001F600", "\n",
        "  ",    "ab\xed\xa0\x80"};
    Tensor mixed = noise(&arena, F32, 5, SHAPE(10, 10));
    tensor_set(mixed, 3, INFINITY);
    tensor_set(mixed, 4, -INFINITY);
    tensor_set(mixed, 5, NAN);
    tensor_set(mixed, 99, 3e38);
    Tensor tiny = filled(5, 5, 0),
           wide = filled(5, 5, -1.7e308); /* a span that has no inverse, one that is infinite */
    tensor_set(tiny, 7, 1e-310);
    tensor_set(wide, 7, 1.7e308), tensor_set(wide, 8, -1.7e308);
    const Tensor m[] = {tiny,
                        wide,
                        filled(0, 0, 0),
                        filled(0, 10, 0),
                        filled(10, 0, 0),
                        filled(1, 1, 0.5),
                        filled(1, 1, NAN),
                        filled(10, 10, NAN),
                        filled(10, 10, 7),
                        filled(10, 10, INFINITY),
                        mixed,
                        filled(3, 10, 0),
                        noise(&arena, F64, 6, SHAPE(300, 300)),
                        noise(&arena, BF16, 7, SHAPE(1, 3000)),
                        filled(3000, 1, 1),
                        tensor_zero(&arena, I32, SHAPE(4, 4)),
                        noise(&arena, F32, 8, SHAPE(2, 5000))};
    const Span span[] = {{0, 2, endless}, {2, 9, "\xff"}, {9, 10, NULL}};
    for (size_t i = 0; i < sizeof m / sizeof m[0]; i++)
        for (int labels = 0; labels < 3; labels++) {
            bool named = labels && m[i].dim[0] <= 10 && m[i].dim[1] <= 10;
            HeatStyle s = {.title = labels ? endless : NULL,
                           .letter = labels ? "\xc3" : NULL,
                           .row = named ? odd : NULL,
                           .col = named ? odd : NULL,
                           .row_span = span,
                           .row_spans = named ? 3 : 0,
                           .col_span = span,
                           .col_spans = named ? 3 : 0,
                           .row_title = labels ? endless : NULL,
                           .bar = true,
                           .bar_title = endless,
                           .values = true,
                           .whole = labels == 1,
                           .causal = labels == 2,
                           .stretch = labels == 2,
                           .map = labels == 1 ? MAP_DIVERGING : MAP_SEQUENTIAL,
                           .centre = labels == 1 ? (double)NAN : 0};
            double side = labels == 2 ? 12 : 200;
            Fig *f = fig_open(in_folder("odd"), side, side);
            fig_heatmap(f, fig_whole(f), m[i], s);
            EXPECT(fig_close(f) == OK, "map %zu, labels %d: %s", i, labels, err_message());
        }
    const Tensor grows[] = {filled(2, 3, 0),
                            filled(10, 10, 0)}; /* one array of labels, read as far as each map goes */
    const HeatStyle same[] = {{.row = odd, .col = odd}, {.row = odd, .col = odd}};
    Fig *f = fig_open(in_folder("odd"), 400, 200);
    fig_heatmaps(f, fig_whole(f), 2, grows, same);
    assert_int_equal(fig_close(f), OK);
}

static void odd_plots_are_drawn(void **state)
{
    (void)state;
    char *endless = NEW(&arena, char, 5001);
    memset(endless, 'm', 5000);
    Tensor mixed = noise(&arena, F64, 9, SHAPE(50));
    tensor_set(mixed, 0, INFINITY);
    tensor_set(mixed, 7, NAN);
    tensor_set(mixed, 8, -1e308);
    tensor_set(mixed, 9, 1e308);
    const Tensor y[] = {tensor_zero(&arena, F32, SHAPE(0)),
                        tensor_zero(&arena, F32, SHAPE(1)),
                        filled(1, 5, NAN),
                        filled(1, 5, INFINITY),
                        filled(1, 5, 1e30),
                        mixed,
                        noise(&arena, F64, 10, SHAPE(1500)),
                        filled(1, 50, -3),
                        filled(1, 3, 1e-300)};
    const char *const group[50] = {endless, "\xff", NULL, ""};
    const RefLine ref[] = {{0.5, endless, false}, {NAN, "nan", false}, {INFINITY, "inf", true}, {2, "\xff", true}};
    for (size_t i = 0; i < sizeof y / sizeof y[0]; i++)
        for (int k = 0; k < 8; k++) {
            const char *name = k & 1 ? endless : "\xff";
            Series s[] = {{.y = y[i], .label = name},
                          {.x = y[i],
                           .y = y[i],
                           .lo = y[i],
                           .hi = y[i],
                           .marked = true,
                           .dashed = true,
                           .label = k & 2 ? "b" : NULL}};
            PlotStyle style = {.title = name,
                               .x = {name, 0, 0, k & 2},
                               .y = {name, 0, 0, k & 4},
                               .ref = ref,
                               .refs = k & 1 ? 4 : 0,
                               .values = true,
                               .decimals = k & 1 ? 500 : 0};
            double side = k == 7 ? 11 : 150;
            Fig *f = fig_open(in_folder("odd"), side, side);
            Rect r = fig_whole(f);
            fig_lines(f, r, 2, s, style);
            fig_scatter(f, r, 2, s, style);
            fig_bars(f, r, 2, s, tensor_count(y[i]) <= 50 ? group : NULL, style);
            fig_lines(f, r, 0, s, style);
            fig_bars(f, r, 0, s, NULL, style);
            fig_text(f, r, k & 1 ? endless : "\xff\xff");
            EXPECT(fig_close(f) == OK, "series %zu, variant %d: %s", i, k, err_message());
        }
}

/* ---- files ---- */

static void expect_io_error(const char *stem, const char *what)
{
    Status status = fig_close(draw_everything(stem));
    EXPECT(status == E_IO, "%s: status %d", what, (int)status);
    EXPECT(strstr(err_message(), stem) && !strchr(err_message(), '\n'), "%s: message '%s'", what, err_message());
    err_clear();
    assert_false(exists(str_print(&arena, "%s.svg", stem)));
    assert_false(exists(str_print(&arena, "%s.svg.vernier.part", stem)));
}

static void broken_targets_are_reported(void **state)
{
    (void)state;
    expect_io_error(in_folder("no/such/folder/x"), "missing folder");
    assert_int_equal(file_write(in_folder("plain"), "x", 1), OK);
    expect_io_error(in_folder("plain/x"), "a file as folder");
    assert_int_equal(symlink("/dev/full", in_folder("full.svg.vernier.part")), 0);
    expect_io_error(in_folder("full"), "full disk");
    const double side[] = {0, -5, 1e9, NAN, INFINITY};
    for (int i = 0; i < 5; i++) {
        Fig *f = fig_open(in_folder("sized"), side[i], 100);
        fig_heatmap(f, fig_cell(f, 2, 2, 3), filled(2, 2, 1), (HeatStyle){.bar = true});
        assert_int_equal(fig_close(f), E_CONFIG);
        err_clear();
        assert_false(exists(in_folder("sized.svg")));
    }
}

/* ---- colours ---- */

/* CIE L* of a colour rounded to 8 bits a channel: an oracle that shares no code with the maps. */
static double cie_lightness(Rgb c)
{
    double y = 0, part[] = {c.r, c.g, c.b}, weight[] = {0.2126, 0.7152, 0.0722};
    for (int k = 0; k < 3; k++) {
        double x = round(part[k] * 255) / 255;
        y += weight[k] * (x <= 0.04045 ? x / 12.92 : pow((x + 0.055) / 1.055, 2.4));
    }
    return y > 0.008856 ? 116 * cbrt(y) - 16 : 903.3 * y;
}

static void maps_are_even_in_lightness(void **state)
{
    (void)state;
    enum { N = 64 };
    double least = INFINITY, most = 0;
    for (int i = 0; i < N; i++) {
        double a = cie_lightness(colour_map(MAP_SEQUENTIAL, (double)i / N));
        double b = cie_lightness(colour_map(MAP_SEQUENTIAL, (i + 1.0) / N));
        least = fmin(least, a - b);
        most = fmax(most, a - b);
        double left = cie_lightness(colour_map(MAP_DIVERGING, 0.5 - 0.5 * i / N));
        double right = cie_lightness(colour_map(MAP_DIVERGING, 0.5 + 0.5 * i / N));
        double next = cie_lightness(colour_map(MAP_DIVERGING, 0.5 - 0.5 * (i + 1) / N));
        EXPECT(left > next, "diverging: L* %g then %g at step %d", left, next, i);
        EXPECT(fabs(left - right) < 7, "diverging: L* %g left, %g right at step %d", left, right, i);
    }
    double mean = (cie_lightness(colour_map(MAP_SEQUENTIAL, 0)) - cie_lightness(colour_map(MAP_SEQUENTIAL, 1))) / N;
    EXPECT(mean * N > 70, "sequential: L* falls by %g in all", mean * N);
    EXPECT(least > 0.5 * mean && most < 1.5 * mean, "sequential: steps of L* from %g to %g, mean %g", least, most,
           mean);
}

/* Every map colour lies inside sRGB by itself: a clipped channel would bend the lightness line. */
static void maps_stay_inside_srgb(void **state)
{
    (void)state;
    for (int i = 0; i <= 200; i++)
        for (int map = 0; map < 2; map++) {
            double t = i / 200.0, l = map ? 0.975 - 0.545 * fabs(2 * t - 1) : 0.985 - 0.705 * t;
            double got = colour_lightness(colour_map((ColourMap)map, t));
            EXPECT(fabs(got - l) < 2e-3, "map %d at %g: OKLab lightness %g, expected %g", map, t, got, l);
        }
    for (int i = 0; i < 8; i++)
        for (int j = 0; j < i; j++) {
            Rgb a = colour_class(i), b = colour_class(j);
            double gap = fabs(a.r - b.r) + fabs(a.g - b.g) + fabs(a.b - b.b);
            EXPECT(gap > 0.3, "class colours %d and %d are %g apart", i, j, gap);
        }
}

/* ---- ticks and places ---- */

static double label_value(const char *s)
{
    static const char *const super[] = {"\u2070", "\u00B9", "\u00B2", "\u00B3", "\u2074",
                                        "\u2075", "\u2076", "\u2077", "\u2078", "\u2079"};
    double sign = 1, v, ten = 0, ten_sign = 1;
    if (!strncmp(s, "\u2212", 3)) sign = -1, s += 3;
    char *end;
    v = strtod(s, &end);
    if (*end == 'k') return sign * v * 1e3;
    if (*end == 'M') return sign * v * 1e6;
    const char *power = strstr(s, "10");
    if (!strncmp(end, "\u00D7", 2))
        power = end + 2;
    else if (!*end)
        return sign * v;
    else
        v = 1;
    power += 2;
    if (!strncmp(power, "\u207B", 3)) ten_sign = -1, power += 3;
    while (*power)
        for (int d = 0; d < 10; d++)
            if (!strncmp(power, super[d], strlen(super[d]))) {
                ten = 10 * ten + d;
                power += strlen(super[d]);
                break;
            }
    return sign * v * pow(10, ten_sign * ten);
}

static void ticks_say_what_they_mark(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < 3000; i++) {
        bool log = i % 3 == 0;
        int most = 2 + (int)(i % 5);
        double size = pow(10, 12 * rng_uniform(1, i) - 6), lo = log ? size : size * rng_normal(2, i);
        double hi = log ? lo * pow(10, 0.1 + 8 * rng_uniform(3, i)) : lo + size * pow(10, -3 * rng_uniform(3, i));
        Scale s = {.lo = lo, .hi = hi, .to = 1, .log = log};
        Ticks t;
        ticks_choose(&t, &s, most);
        int named = 0;
        for (int k = 0; k < t.n; k++) {
            double span = log ? t.at[k] * 1e-6 : (hi - lo) * 1e-6;
            EXPECT(t.at[k] >= lo - span && t.at[k] <= hi + span, "tick %g outside %g..%g", t.at[k], lo, hi);
            if (!t.label[k][0]) continue;
            named++;
            double says = label_value(t.label[k]);
            EXPECT(fabs(says - t.at[k]) <= (log ? 1e-6 * t.at[k] : (hi - lo) * 1e-6), "'%s' at %.12g in %.12g..%.12g",
                   t.label[k], t.at[k], lo, hi);
        }
        EXPECT(named >= (log ? 1 : 2) && named <= most + 5, "%d labels in %g..%g%s", named, lo, hi,
               log ? " log" : "");
    }
}

static void whole_axes_have_whole_ticks(void **state)
{
    (void)state;
    static const double hi[] = {0.4, 1, 2, 3, 12, 96};
    for (size_t i = 0; i < sizeof hi / sizeof *hi; i++) {
        Scale s = {.lo = -0.4, .hi = hi[i], .to = 1, .whole = true};
        Ticks t;
        ticks_choose(&t, &s, 6);
        EXPECT(t.n >= 1, "no tick up to %g", hi[i]);
        for (int k = 0; k < t.n; k++)
            EXPECT(fabs(t.at[k] - round(t.at[k])) < 1e-9, "a tick at %g up to %g", t.at[k], hi[i]);
    }
}

static void spread_labels_do_not_overlap(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < 2000; i++) {
        enum { N = 12 };
        double want[N], at[N], size[N], total = 0;
        for (int k = 0; k < N; k++) {
            want[k] = at[k] = 100 * rng_uniform(4, 32 * i + (uint64_t)k);
            size[k] = 1 + 7 * rng_uniform(5, 32 * i + (uint64_t)k);
            total += size[k];
        }
        if (!draw_spread(N, at, size, 0, 100)) {
            EXPECT(total > 100, "%g of labels were refused on 100", total);
            continue;
        }
        for (int k = 0; k < N; k++) {
            EXPECT(at[k] - size[k] / 2 > -1e-9 && at[k] + size[k] / 2 < 100 + 1e-9, "label %d leaves the axis", k);
            for (int j = 0; j < k; j++) {
                EXPECT(fabs(at[k] - at[j]) > (size[k] + size[j]) / 2 - 1e-9, "labels %d and %d overlap", j, k);
                EXPECT((want[k] - want[j]) * (at[k] - at[j]) > 0, "labels %d and %d changed order", j, k);
            }
        }
    }
    double one[] = {42};
    assert_true(draw_spread(1, one, (double[]){10}, 0, 100));
    assert_true(one[0] == 42); /* no neighbour, no move */
}

static void cells_tile_the_page(void **state)
{
    (void)state;
    Fig *f = fig_open(in_folder("cells"), 500, 300);
    Rect page = fig_whole(f);
    for (int i = 0; i < 6; i++) {
        Rect a = fig_cell(f, 2, 3, i);
        EXPECT(a.x >= page.x && a.y >= page.y && a.x + a.w <= page.x + page.w + 1e-9 &&
                   a.y + a.h <= page.y + page.h + 1e-9 && a.w > 100 && a.h > 100,
               "cell %d", i);
        for (int j = 0; j < i; j++) {
            Rect b = fig_cell(f, 2, 3, j);
            EXPECT(b.x + b.w < a.x || b.y + b.h < a.y || a.x + a.w < b.x, "cells %d and %d overlap", i, j);
        }
    }
    assert_int_equal(fig_close(f), OK);
}

static void broken_text_becomes_valid(void **state)
{
    (void)state;
    assert_string_equal(text_clean(&arena, "a\xff\x62\x01\x7f\xc2\x85z"), "a\uFFFD"
                                                                          "b\\x01\\x7F\\u{85}z");
    assert_string_equal(text_clean(&arena, "\xe2\x82"), "\uFFFD\uFFFD");
    assert_string_equal(text_clean(&arena, "\xc0\xaf\xed\xa0\x80\xf5"), "\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD");
    assert_string_equal(text_clean(&arena, NULL), "");
    assert_string_equal(text_clean(&arena, "\u202Ea\u0301\u0302\u0303\u0304\u0301b\u2066"),
                        "\\u{202E}a\u0301\u0302\u0303b\\u{2066}");
    char *umlauts = NEW(&arena, char, 603); /* cut between characters */
    for (int k = 0; k < 301; k++) memcpy(umlauts + 2 * k, "\u00FC", 2);
    assert_null(strstr(text_visible(&arena, umlauts), "\uFFFD"));
    assert_string_equal(text_visible(&arena, " if "), "\u2423if\u2423");
    assert_string_equal(text_visible(&arena, "\n\t"), "\u21B5\u21E5");
    for (uint64_t i = 0; i < 2000; i++) {
        char raw[24];
        for (uint64_t k = 0; k < 23; k++) raw[k] = (char)(unsigned char)(rng_uniform(6, 32 * i + k) * 256);
        raw[23] = 0;
        assert_true(g_utf8_validate(text_clean(&arena, raw), -1, NULL));
        assert_true(g_utf8_validate(text_visible(&arena, raw), -1, NULL));
    }
}

int main(void)
{
    arena = arena_open((size_t)1 << 32);
    if (!mkdtemp(folder)) return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_bytes_twice),
        cmocka_unit_test(suffix_chooses_the_format),
        cmocka_unit_test(nan_is_hatched_and_never_coloured),
        cmocka_unit_test(nan_breaks_a_line),
        cmocka_unit_test(thinning_keeps_spikes),
        cmocka_unit_test(odd_heat_maps_are_drawn),
        cmocka_unit_test(odd_plots_are_drawn),
        cmocka_unit_test(broken_targets_are_reported),
        cmocka_unit_test(maps_are_even_in_lightness),
        cmocka_unit_test(maps_stay_inside_srgb),
        cmocka_unit_test(ticks_say_what_they_mark),
        cmocka_unit_test(whole_axes_have_whole_ticks),
        cmocka_unit_test(spread_labels_do_not_overlap),
        cmocka_unit_test(cells_tile_the_page),
        cmocka_unit_test(broken_text_becomes_valid),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    if (!failed && system(str_print(&arena, "rm -rf %s", folder))) return 1;
    return failed != 0;
}

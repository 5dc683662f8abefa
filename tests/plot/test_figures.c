/* One figure of each kind with realistic content.  The test asks that each is written whole and looks as its stored
 * picture does; with VERNIER_FIGURES=DIR the files stay in DIR for a look by eye. */
#include "picture.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/str.h"
#include "plot/plot.h"

static Arena arena;
static char folder[512];

static const char *in_folder(const char *name)
{
    return str_print(&arena, "%s/%s", folder, name);
}

/* Closes the figure `name`. */
static void expect_drawn(Fig *f, const char *name)
{
    static const char *const suffix[] = {".svg", ".pdf", ".png"};
    EXPECT(!fig_close(f), "%s: %s", name, err_message());
    for (int i = 0; i < 3; i++) {
        struct stat st;
        const char *path = str_print(&arena, "%s%s", in_folder(name), suffix[i]);
        EXPECT(!stat(path, &st) && st.st_size > 500, "%s is missing or too small", path);
    }
    expect_picture(in_folder(name), name);
}

/* Softmax attention over noise with a pull towards the token ten places back; the first `prefix` columns are
 * virtual tokens that take `mass`. */
static Tensor attention(int rows, int prefix, double mass, uint64_t seed)
{
    Tensor t = tensor_new(&arena, F32, SHAPE(rows, rows + prefix));
    for (int i = 0; i < rows; i++) {
        double sum = 0, w[64];
        for (int j = 0; j <= i; j++)
            sum += w[j] = exp(1.2 * rng_normal(seed, (uint64_t)(i * 64 + j)) + (i >= 10 && j == i - 10 ? 3.5 : 0));
        for (int j = 0; j < rows + prefix; j++) {
            double v = j < prefix ? mass / prefix : j - prefix <= i ? (1 - mass) * w[j - prefix] / sum : 0;
            tensor_set(t, (int64_t)i * (rows + prefix) + j, v);
        }
    }
    return t;
}

static const char *const digits[] = {"2", "6", "0", "1", "4", "6", "3", "0", "1", "2",
                                     "0", "0", "1", "1", "2", "2", "3", "4", "6", "6"};
static const char *const prefixed[] = {"P", "2", "6", "0", "1", "4", "6", "3", "0", "1", "2",
                                       "0", "0", "1", "1", "2", "2", "3", "4", "6", "6"};
static const Span parts[] = {{0, 10, "input"}, {10, 20, "output"}};
static const Span parts_prefixed[] = {{0, 1, "prefix"}, {1, 11, "input"}, {11, 21, "output"}};

static HeatStyle attention_style(const char *letter, const char *title, bool prefix)
{
    return (HeatStyle){.letter = letter,
                       .title = title,
                       .hi = 1,
                       .row = digits,
                       .col = prefix ? prefixed : digits,
                       .row_span = parts,
                       .row_spans = 2,
                       .col_span = prefix ? parts_prefixed : parts,
                       .col_spans = prefix ? 3 : 2,
                       .causal = true,
                       .values = true};
}

static void three_attention_maps(void **state)
{
    (void)state;
    Tensor m[] = {attention(20, 0, 0, 1), attention(20, 0, 0, 2), attention(20, 1, 0.35, 1)};
    HeatStyle s[] = {attention_style("a", "Pretrained", false), attention_style("b", "Fine-tuned", false),
                     attention_style("c", "Prefix", true)};
    s[0].row_title = "query";
    s[1].col_title = "key";
    s[2].bar = true;
    s[2].bar_title = "attention weight";
    Fig *f = fig_open(in_folder("attention-three"), 500, 190);
    fig_heatmaps(f, fig_whole(f), 3, m, s);
    expect_drawn(f, "attention-three");
}

static void attention_map_with_code(void **state)
{
    (void)state;
    static const char *const code[] = {"<s>", "if", " (", "p",    " !=", " NULL", " &&", " p", "->",    "len",
                                       ")",   "\n", "\t", "free", "(",   "p",     ")",   ";",  "größe", "</s>"};
    const Span span[] = {{0, 11, "condition"}, {11, 20, "body"}};
    Fig *f = fig_open(in_folder("attention-code"), 360, 340);
    fig_heatmap(f, fig_whole(f), attention(20, 0, 0, 5),
                (HeatStyle){.title = "Layer 3, head 7",
                            .hi = 1,
                            .row = code,
                            .col = code,
                            .row_span = span,
                            .row_spans = 2,
                            .col_span = span,
                            .col_spans = 2,
                            .values = true,
                            .causal = true,
                            .bar = true,
                            .bar_title = "attention weight"});
    expect_drawn(f, "attention-code");
    Fig *narrow = fig_open(in_folder("attention-column"), 245, 235);
    fig_heatmap(narrow, fig_whole(narrow), attention(20, 0, 0, 5),
                (HeatStyle){.title = "Layer 3, head 7",
                            .row = code,
                            .col = code,
                            .row_span = span,
                            .row_spans = 2,
                            .col_span = span,
                            .col_spans = 2,
                            .values = true,
                            .causal = true,
                            .bar = true});
    expect_drawn(narrow, "attention-column");
}

static void difference_and_hidden_units(void **state)
{
    (void)state;
    Tensor base = attention(8, 0, 0, 3), tuned = attention(8, 0, 0, 4), gap = tensor_new(&arena, F32, SHAPE(8, 8));
    for (int i = 0; i < 64; i++) { /* losses larger than gains, so that a scale which is not centred shows */
        double change = tensor_get(tuned, i) - tensor_get(base, i);
        tensor_set(gap, i, change > 0 ? 0.3 * change : change);
    }
    Tensor units = noise(&arena, F32, 11, SHAPE(39, 128));
    Fig *f = fig_open(in_folder("difference"), 500, 200);
    fig_heatmap(f, fig_cell(f, 1, 2, 0), gap,
                (HeatStyle){.letter = "a",
                            .title = "Tuned minus base",
                            .map = MAP_DIVERGING,
                            .row = digits,
                            .col = digits,
                            .causal = true,
                            .values = true,
                            .bar = true,
                            .row_title = "query",
                            .col_title = "key"});
    fig_heatmap(f, fig_cell(f, 1, 2, 1), units,
                (HeatStyle){.letter = "b",
                            .title = "Head output",
                            .map = MAP_DIVERGING,
                            .lo = -2,
                            .hi = 2,
                            .stretch = true,
                            .bar = true,
                            .bar_title = "activation",
                            .row_title = "position",
                            .col_title = "hidden unit"});
    expect_drawn(f, "difference");
}

static void loss_curves(void **state)
{
    (void)state;
    enum { N = 5000 };
    static const char *const name[] = {"full", "LoRA r=1", "adapter", "prefix 12"};
    static const double floors[] = {0.004, 0.05, 0.02, 0.9}, rate[] = {300, 900, 600, 2000};
    Series s[4];
    for (int k = 0; k < 4; k++) {
        s[k] = (Series){.x = tensor_new(&arena, F32, SHAPE(N)),
                        .y = tensor_new(&arena, F32, SHAPE(N)),
                        .lo = tensor_new(&arena, F32, SHAPE(N)),
                        .hi = tensor_new(&arena, F32, SHAPE(N)),
                        .label = name[k]};
        for (int i = 0; i < N; i++) {
            double x = 6 * i,
                   y = (2.0 * exp(-x / rate[k]) + floors[k]) * exp(0.08 * rng_normal(7, (uint64_t)(k * N + i)));
            tensor_set(s[k].x, i, x);
            tensor_set(s[k].y, i, y);
            tensor_set(s[k].lo, i, y * 0.7);
            tensor_set(s[k].hi, i, y * 1.4);
        }
    }
    const RefLine ref[] = {{.at = 1.386, .label = "chance, ln 4"},
                           {.at = 0.83, .label = "prefix floor"},
                           {.at = 10000, .label = "LoRA stops", .vertical = true}};
    Fig *f = fig_open(in_folder("loss"), 245, 170);
    fig_lines(f, fig_whole(f), 4, s,
              (PlotStyle){.title = "Histogram task",
                          .x.title = "step",
                          .y = {.title = "loss (nats)", .log = true},
                          .ref = ref,
                          .refs = 3});
    expect_drawn(f, "loss");

    /* The layers of a probing study: few points, marked, with bands; one has a gap. */
    static const char *const task[] = {"TYP", "CCM", "LTP"};
    for (int k = 0; k < 3; k++) {
        s[k] = (Series){.y = tensor_new(&arena, F32, SHAPE(13)),
                        .lo = tensor_new(&arena, F32, SHAPE(13)),
                        .hi = tensor_new(&arena, F32, SHAPE(13)),
                        .label = task[k],
                        .marked = true};
        for (int i = 0; i < 13; i++) {
            double y = 0.55 + 0.1 * k + 0.25 * sin(i / (4.5 + k)) + 0.01 * rng_normal(8, (uint64_t)(k * 13 + i));
            tensor_set(s[k].y, i, k == 1 && i == 6 ? (double)NAN : y);
            tensor_set(s[k].lo, i, y - 0.03);
            tensor_set(s[k].hi, i, y + 0.03);
        }
    }
    f = fig_open(in_folder("layers"), 245, 165);
    fig_lines(f, fig_whole(f), 3, s,
              (PlotStyle){.letter = "a",
                          .title = "Probing accuracy by layer",
                          .x.title = "layer",
                          .y.title = "accuracy",
                          .ref = (RefLine[]){{.at = 0.5, .label = "majority"}},
                          .refs = 1});
    expect_drawn(f, "layers");
}

static Tensor row(int n, const double *v)
{
    Tensor t = tensor_new(&arena, F64, SHAPE(n));
    for (int i = 0; i < n; i++) tensor_set(t, i, v[i]);
    return t;
}

static void accuracy_bars(void **state)
{
    (void)state;
    static const char *const group[] = {"ascending", "descending", "plus one", "plus two", "histogram"};
    const double y[3][5] = {
        {25.4, 25.1, 24.0, 22.8, 0.0}, {99.7, 99.6, 100, 99.9, 0.6}, {99.9, 99.8, 100, 99.9, 92.4}};
    const double half[3][5] = {{13, 12, 11, 7, 0}, {0.3, 0.5, 0, 0.1, 0.4}, {0.1, 0.2, 0, 0.1, 3.1}};
    static const char *const name[] = {"pretrained", "prefix", "LoRA"};
    Series s[3];
    for (int k = 0; k < 3; k++) {
        double lo[5], hi[5];
        for (int g = 0; g < 5; g++) lo[g] = y[k][g] - half[k][g], hi[g] = y[k][g] + half[k][g];
        s[k] = (Series){.y = row(5, y[k]), .lo = row(5, lo), .hi = row(5, hi), .label = name[k]};
    }
    tensor_set(s[0].y, 4, NAN);
    PlotStyle style = {.title = "Exact match",
                       .y.title = "accuracy (%)",
                       .values = true,
                       .decimals = 1,
                       .ref = (RefLine[]){{.at = 25, .label = "one in four"}},
                       .refs = 1};
    Fig *f = fig_open(in_folder("accuracy"), 380, 175);
    fig_bars(f, fig_whole(f), 3, s, group, style);
    expect_drawn(f, "accuracy");
    f = fig_open(in_folder("accuracy-column"), 245, 175);
    fig_bars(f, fig_whole(f), 3, s, group, style);
    expect_drawn(f, "accuracy-column");
}

static void displaced_clusters(void **state)
{
    (void)state;
    enum { N = 20 };
    static const char *const name[] = {"ascending", "descending", "plus one", "plus two"};
    static const double cx[] = {-5, 4.5, -4, 6}, cy[] = {3.5, 4, -4, -3};
    Series left[4], right[4];
    Tensor links = tensor_new(&arena, F32, SHAPE(4 * N, 4)), all[4];
    for (int k = 0; k < 4; k++) {
        left[k] = (Series){.x = noise(&arena, F32, 20 + (uint64_t)k, SHAPE(N)),
                           .y = noise(&arena, F32, 30 + (uint64_t)k, SHAPE(N)),
                           .label = name[k]};
        right[k] =
            (Series){.x = tensor_copy(&arena, left[k].x), .y = tensor_copy(&arena, left[k].y), .label = name[k]};
        for (int i = 0; i < N; i++) {
            double x = tensor_get(left[k].x, i), y = tensor_get(left[k].y, i);
            tensor_set(right[k].x, i, 0.5 * x + cx[k]);
            tensor_set(right[k].y, i, 0.5 * y + cy[k]);
            double v[] = {x, y, 0.5 * x + cx[k], 0.5 * y + cy[k]};
            for (int c = 0; c < 4; c++) tensor_set(links, (k * N + i) * 4 + c, v[c]);
        }
    }
    for (int k = 0; k < 4; k++) all[k] = right[k].x;
    Axis x = axis_over("residual dimension 143", false, 4, all);
    for (int k = 0; k < 4; k++) all[k] = right[k].y;
    Axis y = axis_over("residual dimension 212", false, 4, all);
    Fig *f = fig_open(in_folder("clusters"), 500, 215);
    fig_scatter(f, fig_cell(f, 1, 2, 0), 4, left, (PlotStyle){.letter = "a", .title = "No prefix", .x = x, .y = y});
    fig_scatter(f, fig_cell(f, 1, 2, 1), 4, right,
                (PlotStyle){.letter = "b", .title = "One prefix per task", .x = x, .y = y, .links = links});
    expect_drawn(f, "clusters");
}

/* Cells without a value are hatched both ways and the bar shows it; a large map is an image with the same
 * hatching. */
static void values_that_are_missing(void **state)
{
    (void)state;
    enum { N = 120 };
    Tensor some = attention(8, 0, 0, 6), large = noise(&arena, F32, 12, SHAPE(N, N));
    for (int k = 2; k < 5; k++) tensor_set(some, k * 8 + 1, NAN);
    for (int k = 0; k < N * N; k++) {
        bool hole = k / N > 70 && k / N < 100 && k % N > 10 && k % N < 50;
        tensor_set(large, k, hole ? (double)NAN : tensor_get(large, k) + 3.0 * (k % N) / N + 5.0 * (k / N) / N);
    }
    Fig *f = fig_open(in_folder("missing"), 400, 170);
    HeatStyle s = {.title = "Some", .row = digits, .col = digits, .causal = true, .bar = true, .bar_title = "weight"};
    fig_heatmap(f, fig_cell(f, 1, 2, 0), some, s);
    fig_heatmap(f, fig_cell(f, 1, 2, 1), large, (HeatStyle){.title = "Many", .causal = true, .bar = true});
    expect_drawn(f, "missing");
}

#define LONG "Once more: the loss of a prefix has a floor, and what it cannot read it cannot say. "
static void text_in_a_box(void **state)
{
    (void)state;
    Fig *f = fig_open(in_folder("text"), 320, 46);
    fig_text(f, fig_whole(f),
             "The loss of a prefix has a floor: what it cannot read it cannot say. Lines are wrapped where they "
             "end, and what does not fit is cut, as it is here. " LONG LONG LONG);
    expect_drawn(f, "text");
}

/* Half a pixel aside is the same picture; a map turned over, other colours, and labels that are missing are not. */
static void pictures_tell_apart(void **state)
{
    (void)state;
    enum { N = 12 };
    static const char *const what[] = {"the same", "turned over", "other colours", "another scale", "no labels"};
    Tensor m = attention(N, 0, 0, 9), over = tensor_new(&arena, F32, SHAPE(N, N));
    for (int k = 0; k < N * N; k++) tensor_set(over, k, tensor_get(m, (N - 1 - k / N) * N + k % N));
    Picture first;
    for (int k = 0; k < 5; k++) {
        HeatStyle s = {.hi = k == 3 ? 2 : 1, .row = k == 4 ? NULL : digits, .col = digits, .bar = true};
        s.map = k == 2 ? MAP_DIVERGING : MAP_SEQUENTIAL;
        Fig *f = fig_open(in_folder("apart.png"), 240, 180);
        fig_heatmap(f, fig_whole(f), k == 1 ? over : m, s);
        assert_int_equal(fig_close(f), OK);
        Picture p = picture_reduce(in_folder("apart.png"), 0);
        if (!k) {
            Picture moved = picture_reduce(in_folder("apart.png"), 1);
            first = p;
            for (int n = 0; n < p.w * p.h * 3; n++) { /* means of halves are halves of means */
                unsigned char *c = &p.rgb[n / 3 / p.w][n / 3 % p.w][n % 3];
                *c = (unsigned char)((*c + moved.rgb[n / 3 / p.w][n / 3 % p.w][n % 3] + 1) / 2);
            }
        }
        PictureGap g = picture_gap(&first, &p);
        EXPECT(picture_same(g) == !k, "%s: a block differs by %d, %d in a thousand", what[k], g.block, g.share);
    }
}

int main(void)
{
    arena = arena_open((size_t)1 << 30);
    const char *keep = getenv("VERNIER_FIGURES");
    snprintf(folder, sizeof folder, "%s", keep ? keep : "/tmp/vernier-figures-XXXXXX");
    if (!keep && !mkdtemp(folder)) return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(three_attention_maps),
        cmocka_unit_test(attention_map_with_code),
        cmocka_unit_test(difference_and_hidden_units),
        cmocka_unit_test(loss_curves),
        cmocka_unit_test(accuracy_bars),
        cmocka_unit_test(displaced_clusters),
        cmocka_unit_test(values_that_are_missing),
        cmocka_unit_test(text_in_a_box),
        cmocka_unit_test(pictures_tell_apart),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    if (!keep && !failed && system(str_print(&arena, "rm -rf %s", folder))) return 1;
    return failed != 0;
}

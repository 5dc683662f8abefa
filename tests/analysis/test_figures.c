/* Figures of attention with known content, against their stored pictures, and with tokens that are hard to draw.
 * With VERNIER_FIGURES=DIR they stay in DIR. */
#include "drawn.h"

#include <omp.h>

#include "analysis/compare.h"
#include "analysis/effect.h"
#include "analysis/page.h"

enum { LAYERS = 3, HEADS = 4, T = 8, PREFIX = 2, S = T + PREFIX };
static Arena arena;
static char folder[512];
static const char *words[T] = {"<s>", "int", " x", " =", " y", ";", "\n", "</s>"};
static int number[] = {0, 1, 2, 3};

static const char *in_folder(const char *name)
{
    return str_print(&arena, "%s/%s", folder, name);
}

static Tensor vector(int64_t n, double from, double to)
{
    Tensor t = tensor_new(&arena, F64, SHAPE(n));
    for (int64_t i = 0; i < n; i++) tensor_set(t, i, from + (to - from) * (double)i / (double)(n > 1 ? n - 1 : 1));
    return t;
}

/* Attention of a decoder: half goes `back` tokens back, a share to the prefix, the rest is even. */
static Tensor map(int64_t t, int64_t prefix, int64_t back)
{
    Tensor m = tensor_zero(&arena, F64, SHAPE(t, t + prefix));
    for (int64_t i = 0; i < t; i++) {
        int64_t to = i >= back ? i - back : 0, at = i * (t + prefix);
        for (int64_t j = 0; j < prefix; j++) tensor_set(m, at + j, 0.2 / (double)prefix);
        for (int64_t j = 0; j <= i; j++)
            tensor_set(m, at + prefix + j, (prefix ? 0.8 : 1) * ((j == to ? 0.5 : 0) + 0.5 / (double)(i + 1)));
    }
    return m;
}

static void a_page_of_one_model_against_another(void **state)
{
    (void)state;
    static const char *keys[S] = {"0", "1"};
    static const int32_t id[T] = {0, 5, 6, 7, 8, 9, 10, 2};
    memcpy(keys + PREFIX, words, sizeof words);
    PageAttention x = {.model = "tuned", .base = "base", .arch = "gpt2", .layer = number, .head = number};
    x.maps = (Maps){.part = PART_DECODER, .layers = LAYERS, .heads = HEADS, .t = T, .s = S, .prefix = PREFIX};
    x.maps.query = x.maps.key = id;
    x.labels = (MapLabels){T, S, PREFIX, words, keys, "query", "key", true};
    x.tokens = (Tokens){.n = T, .id = NEW(&arena, int32_t, T), .label = words, .piece = words};
    x.layers = LAYERS, x.heads = HEADS, x.number = -1;
    x.row = NEW(&arena, HeadRow, LAYERS * HEADS);
    for (int i = 0; i < LAYERS * HEADS; i++) {
        HeadRow *r = &x.row[i];
        *r = (HeadRow){.layer = i / HEADS, .head = i % HEADS, .map = map(T, PREFIX, i % HEADS)};
        r->base = map(T, PREFIX, (i + 1) % HEADS);
        r->stats = maps_stats(&x.maps, r->map), r->before = maps_stats(&x.maps, r->base);
        r->shift = maps_shift(r->map, r->base);
        r->stats.zeroed = 0.1 * (i - 5), r->stats.gradient = 0.01 * i;
    }
    x.rollout = map(T, 0, 1), x.flow = map(T, 0, 2), x.relevance = map(T, 0, 0);
    const char **figures;
    EXPECT(!attention_write(&x, &arena, folder, &figures), "%s", err_message());
    static const char *const name[] = {"heads",   "importance", "changed",       "prefix",
                                       "through", "layer-0",    "layer-1-change"};
    for (int k = 0; k < 7; k++)
        expect_picture(str_print(&arena, "%s/figures/%s", folder, name[k]), str_print(&arena, "attend-%s", name[k]));
    Bytes page;
    x.most = 1, x.format = "svg";
    EXPECT(!attention_write(&x, &arena, in_folder("few"), &figures), "%s", err_message());
    EXPECT(!file_read(&page, &arena, in_folder("few/report.html")), "%s", err_message());
    assert_non_null(strstr(page.text, "<a href=\"figures/layer-2-change.svg\">"));
    assert_null(strstr(page.text, "figures/changed.svg"));
}

typedef struct {
    int n, stop; /* figures closed, in order; from which on there is an error */
} ClosedSoFar;

static Status close_in_order(Fig *f, int i, void *user)
{
    ClosedSoFar *done = user;
    assert_int_equal(i, done->n++);
    TRY(fig_close(f));
    return i < done->stop ? OK : err_fail(E_INTERRUPT, "stopped at %d", i);
}

/* The same bytes from one thread and from several; the first error is reported, and open figures are closed. */
static void layers_side_by_side(void **state)
{
    (void)state;
    enum { SHEETS = 7, MAPS = 2 };
    const MapLabels l = {T, T, 0, words, words, "query", "key", true};
    const char *title[MAPS] = {"a", "b"}, *one[SHEETS], *more[SHEETS], *nowhere[SHEETS];
    MapGrid grid[SHEETS];
    for (int i = 0; i < SHEETS; i++) {
        Tensor *m = NEW(&arena, Tensor, MAPS);
        for (int k = 0; k < MAPS; k++) m[k] = map(T, 0, i + k);
        grid[i] = (MapGrid){MAPS, m, title, 0.5, false};
        one[i] = in_folder(str_print(&arena, "one-%d.svg", i));
        more[i] = in_folder(str_print(&arena, "more-%d.svg", i));
        nowhere[i] = i == 1 ? in_folder("no/folder/x.svg") : more[i];
    }
    const int threads = omp_get_max_threads();
    ClosedSoFar done = {0, SHEETS};
    omp_set_num_threads(1);
    EXPECT(!draw_grids(SHEETS, one, &l, grid, close_in_order, &done), "%s", err_message());
    omp_set_num_threads(3);
    done.n = 0;
    EXPECT(!draw_grids(SHEETS, more, &l, grid, close_in_order, &done), "%s", err_message());
    assert_int_equal(done.n, SHEETS);
    for (int i = 0; i < SHEETS; i++) {
        Bytes a, b;
        assert_int_equal(file_read(&a, &arena, one[i]), OK);
        assert_int_equal(file_read(&b, &arena, more[i]), OK);
        EXPECT(a.len == b.len && !memcmp(a.text, b.text, a.len), "sheet %d differs", i);
    }
    done = (ClosedSoFar){0, 4};
    assert_int_equal(draw_grids(SHEETS, more, &l, grid, close_in_order, &done), E_INTERRUPT);
    assert_int_equal(done.n, 6); /* both blocks of three that were begun */
    err_clear();
    done = (ClosedSoFar){0, SHEETS};
    assert_int_equal(draw_grids(SHEETS, nowhere, &l, grid, close_in_order, &done), E_IO);
    EXPECT(strstr(err_message(), "no/folder/x.svg"), "%s", err_message());
    assert_int_equal(done.n, 3);
    err_clear();
    omp_set_num_threads(threads);
}

static Tuned tuned(const char *name, int layers, double much)
{
    Tuned t = {.dir = name, .name = name, .kind = "prefix", .loss = 1 + much};
    t.pair = (Compared){layers, HEADS, 2, T, 0, 0, NEW(&arena, LayerPair, layers)};
    for (int l = 0; l < layers; l++) {
        LayerPair *p = &t.pair.layer[l];
        *p = (LayerPair){.change = {1e-8 * pow(30, l) * much, much * l, 0.2 * l * much, T},
                         .conditional = 1e-8 * (l + 1)};
        p->head = NEW(&arena, AttentionChange, HEADS), p->head_alpha = NEW(&arena, double, HEADS);
        for (int h = 0; h < HEADS; h++) p->head[h] = (AttentionChange){0, much * l * h, 0, T};
        p->alpha = 0.3 + 0.1 * l * much, p->rank = 4, p->most = 8, p->participation = 2 + l * much;
        p->spectrum = vector(5, 1, 0.01), p->space = tensor_zero(&arena, F64, SHAPE(T, 4));
        p->mean = vector(T, 0, much), p->cka = 1 - 0.1 * l * much, p->procrustes = 0.2 * l * much;
    }
    return t;
}

static void pages_of_comparisons(void **state)
{
    (void)state;
    static const char *const name[] = {"drift", "prefix", "similarity", "spectrum", "heads", "floors"};
    for (int layers = 1; layers <= LAYERS; layers += LAYERS - 1) {
        Tuned t[] = {tuned("prefix-20", layers, 1), tuned("lora", layers, 0.4)};
        FloorTexts texts = {.floors = {1.6, 1.2, tensor_new(&arena, F64, SHAPE(T, 2)), 40, 280, 5}};
        for (int i = 0; i < 2 * T; i++)
            tensor_set(texts.floors.at, i, i < 2 ? (double)NAN : 2 - 0.1 * i - 0.4 * (i % 2));
        const TunedComparison c = {"base", "gpt2", PART_DECODER, &(Tokens){.n = T}, false, 2, t, &texts, 1.1};
        const char **figures, *dir = str_print(&arena, "%s/compare-%d", folder, layers);
        EXPECT(!comparison_write(&c, &arena, dir, &figures), "%s", err_message());
        for (int k = 0; k < 6; k++)
            if (layers > 1 || k == 0 || k == 3 || k == 4)
                expect_picture(str_print(&arena, "%s/figures/%s", dir, name[k]),
                               str_print(&arena, "compare-%s%s", name[k], layers > 1 ? "" : "-1"));
    }
}

static void effects_of_interventions(void **state)
{
    (void)state;
    static const char *const what[] = {"head:0.1=0", "patch:resid:1=int y", "all together"};
    Effect e[3];
    for (int i = 0; i < 3; i++) {
        e[i] = (Effect){.words = what[i], .output = 0.2 + 0.3 * i, .shift = NEW(&arena, double, LAYERS)};
        for (int l = 0; l < LAYERS; l++) e[i].shift[l] = 0.1 * i + 0.2 * l;
    }
    EXPECT(!fig_close(effects_draw(in_folder("effects"), &arena, 3, e, LAYERS)), "%s", err_message());
    expect_picture(in_folder("effects"), "attend-effects");
}

/* A text of any length and tokens of any kind. */
static void any_text_is_drawn(void **state)
{
    (void)state;
    static const int64_t length[] = {1, 12, 512};
    for (int i = 0; i < 3; i++) {
        int64_t n = length[i];
        const char **label = NEW(&arena, const char *, n + PREFIX), *title[] = {"", odd_label(&arena, 11), "c"};
        const char *stem = in_folder(str_print(&arena, "text-%lld", (long long)n));
        for (int64_t k = 0; k < n + PREFIX; k++) label[k] = odd_label(&arena, k);
        Tensor m[] = {map(n, PREFIX, 1), map(n, PREFIX, 3), map(n, PREFIX, 0)};
        tensor_fill(m[2], NAN);
        if (n > 1) tensor_set(m[0], n + 1, NAN);
        const MapLabels l = {n, n + PREFIX, PREFIX, label, label, "query", "key", true};
        EXPECT(!fig_close(draw_grid(stem, &arena, &l, &(MapGrid){3, m, title, 1, i == 1})), "%s", err_message());
        expect_drawn_whole(&arena, stem, 3000000);
        const MapPair pair = {m[0], m[1], odd_label(&arena, 10)};
        EXPECT(!fig_close(draw_pairs(stem, &arena, &l, (const char *const[]){"a", odd_label(&arena, 1)}, 1, &pair)),
               "%s", err_message());
        expect_drawn_whole(&arena, stem, 3000000);
        if (n == 512) expect_picture(stem, "attend-512");
    }
    static const int64_t size[][2] = {{1, 1}, {48, 1}, {1, 64}};
    for (int i = 0; i < 3; i++)
        for (int none = 0; none < 2; none++) {
            int *all = NEW(&arena, int, 64);
            for (int k = 0; k < 64; k++) all[k] = k;
            Tensor v = tensor_new(&arena, F64, SHAPE(size[i][0], size[i][1]));
            tensor_fill(v, none ? (double)NAN : 0);
            const Glance g[] = {{v, "Entropy", "nats", false}, {v, "Change", "nats", true}};
            EXPECT(!fig_close(draw_glances(in_folder("glance"), &arena, 2, g, all, all)), "%s", err_message());
            expect_drawn_whole(&arena, in_folder("glance"), 300000);
        }
}

int main(void)
{
    arena = arena_open((size_t)1 << 32);
    const char *keep = getenv("VERNIER_FIGURES");
    snprintf(folder, sizeof folder, "%s", keep ? keep : "/tmp/vernier-attend-XXXXXX");
    if (!keep && !mkdtemp(folder)) return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_page_of_one_model_against_another),
        cmocka_unit_test(layers_side_by_side),
        cmocka_unit_test(pages_of_comparisons),
        cmocka_unit_test(effects_of_interventions),
        cmocka_unit_test(any_text_is_drawn),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    if (!keep && !failed && system(str_print(&arena, "rm -rf %s", folder))) return 1;
    return failed != 0;
}

/* What drawing every attention map of an encoder costs beside the pass that gives them: 12 layers of 12 heads, width
 * 768, 256 tokens, random weights.
 *
 *     make build/release/tests/bench/maps && build/release/tests/bench/maps [DIR [TOKENS]]
 *
 * Seconds are of the processor, all threads together, so that a busy machine counts little: of the plain pass, of the
 * pass that hands out its maps, and of the twelve figures of twelve maps each in one format and then in all three. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

#include "analysis/draw.h"
#include "analysis/maps.h"
#include "base/file.h"
#include "base/rng.h"
#include "base/str.h"

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void must(Status s)
{
    if (!s) return;
    fprintf(stderr, "%s\n", err_message());
    exit(1);
}

static Model *random_encoder(Arena *a)
{
    Config c = {0};
    Model *m;
    arch_find("roberta")->defaults(&c);
    c.vocab = 1000, c.no_lm_head = true, c.init_sd = 0.05;
    must(model_open(&m, a, &c, F32, 1));
    return m;
}

static double pass(Model *m, const Batch *b)
{
    Arena step = arena_open(0);
    double start = seconds();
    model_hidden(m, &(Pass){.tape = tape_open(&step, false)}, b);
    double spent = seconds() - start;
    arena_close(&step);
    return spent;
}

/* One figure a layer; the bytes of its files are added up. */
static double draw(const Maps *x, const MapLabels *l, const char *dir, const char *suffix, int64_t *bytes)
{
    static const char *const kind[] = {"svg", "pdf", "png"};
    double start = seconds();
    Arena a = arena_open(0);
    *bytes = 0;
    for (int layer = 0; layer < x->layers; layer++) {
        Tensor *map = NEW(&a, Tensor, x->heads);
        const char **title = NEW(&a, const char *, x->heads), *stem = str_print(&a, "%s/layer-%d", dir, layer);
        for (int h = 0; h < x->heads; h++) {
            map[h] = maps_head(x, &a, layer, h);
            title[h] = str_print(&a, "Layer %d, head %d", layer, h);
        }
        must(fig_close(
            draw_grid(str_print(&a, "%s%s", stem, suffix), &a, l, &(MapGrid){x->heads, map, title, 0.05, false})));
        for (int k = 0; k < 3; k++) {
            struct stat st;
            const char *path = str_print(&a, "%s.%s", stem, kind[k]);
            if ((!*suffix || str_glob(str_print(&a, "*%s", suffix), path)) && !stat(path, &st)) *bytes += st.st_size;
        }
    }
    arena_close(&a);
    return seconds() - start;
}

int main(int argc, char **argv)
{
    static const char *const suffix[] = {".svg", ".pdf", ".png", ""}, *const name[] = {"SVG", "PDF", "PNG", "all"};
    const char *dir = argc > 1 ? argv[1] : "build/bench-maps";
    int64_t t = argc > 2 ? atoi(argv[2]) : 256;
    Arena a = arena_open(0);
    Model *m = random_encoder(&a);
    must(file_make_dir(dir));
    int32_t *id = NEW(&a, int32_t, t);
    const char **label = NEW(&a, const char *, t);
    for (int64_t i = 0; i < t; i++) {
        id[i] = 5 + (int32_t)(rng_uniform(3, (uint64_t)i) * 900);
        label[i] = str_print(&a, "tok%d", id[i]);
    }
    const Batch b = {.b = 1, .t = t, .ids = id};
    pass(m, &b); /* pages and threads are there now */
    double plain = pass(m, &b), start = seconds();
    Maps x;
    maps_read(&x, &a, m, hooks_new(&a), &b, PART_ENCODER);
    double read = seconds() - start;
    const MapLabels l = {t, t, 0, label, label, "query", "key", false};
    printf("%lld tokens, %d x %d maps\npass %.3f s, with maps %.3f s\n", (long long)t, x.layers, x.heads, plain,
           read);
    for (int k = 0; k < 4; k++) {
        int64_t bytes;
        double spent = draw(&x, &l, dir, suffix[k], &bytes);
        printf("%s: %.3f s, %.2f of a pass, %.2f MB\n", name[k], spent, spent / plain, 1e-6 * (double)bytes);
    }
    arena_close(&a);
    return 0;
}

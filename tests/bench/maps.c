/* The cost of drawing every attention map of an encoder, and of the pass that gives them: 12 layers of 12 heads,
 * width 768, 256 tokens, random weights.
 *
 *     make build/release/tests/bench/maps && build/release/tests/bench/maps [DIR [TOKENS]]
 *
 * Of the plain pass, of the pass that hands out its maps, and of twelve figures of twelve maps each in one format and
 * then in all three: seconds by the clock, and of the processor, all threads together, which a busy machine changes
 * little. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "analysis/draw.h"
#include "analysis/maps.h"
#include "base/file.h"
#include "base/rng.h"
#include "base/str.h"

typedef struct {
    double wall, cpu;
} Seconds;

static double read_clock(clockid_t which)
{
    struct timespec t;
    clock_gettime(which, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static Seconds since(Seconds start)
{
    return (Seconds){read_clock(CLOCK_MONOTONIC) - start.wall, read_clock(CLOCK_PROCESS_CPUTIME_ID) - start.cpu};
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

static Seconds pass(Model *m, const Batch *b)
{
    Arena step = arena_open(0);
    Seconds start = since((Seconds){0});
    model_hidden(m, &(Pass){.tape = tape_open(&step, false)}, b);
    Seconds spent = since(start);
    arena_close(&step);
    return spent;
}

static Status closed(Fig *f, int layer, void *user)
{
    (void)layer, (void)user;
    return fig_close(f);
}

/* One figure a layer; the bytes of its files are added up. */
static Seconds draw(const Maps *x, const MapLabels *l, const char *dir, const char *formats, int64_t *bytes)
{
    enum { MOST = 64 };
    Seconds start = since((Seconds){0});
    Arena a = arena_open(0);
    MapGrid grid[MOST];
    const char *path[MOST];
    for (int layer = 0; layer < x->layers; layer++) {
        Tensor *map = NEW(&a, Tensor, x->heads);
        const char **title = NEW(&a, const char *, x->heads);
        for (int h = 0; h < x->heads; h++) {
            map[h] = maps_head(x, &a, layer, h);
            title[h] = str_print(&a, "Layer %d, head %d", layer, h);
        }
        path[layer] = str_print(&a, "%s/layer-%d.%s", dir, layer, formats);
        grid[layer] = (MapGrid){x->heads, map, title, 0.05, false};
    }
    must(draw_grids(x->layers, path, l, grid, closed, NULL));
    Seconds spent = since(start);
    static const char *const kind[] = {"svg", "pdf", "png"};
    *bytes = 0;
    for (int layer = 0; layer < x->layers; layer++)
        for (int k = 0; k < 3; k++) {
            struct stat st;
            if (!strstr(formats, kind[k])) continue;
            if (!stat(str_print(&a, "%s/layer-%d.%s", dir, layer, kind[k]), &st)) *bytes += st.st_size;
        }
    arena_close(&a);
    return spent;
}

int main(int argc, char **argv)
{
    static const char *const formats[] = {"svg", "pdf", "png", "svg,pdf,png"};
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
    Seconds plain = pass(m, &b), start = since((Seconds){0});
    Maps x;
    maps_read(&x, &a, m, hooks_new(&a), &b, PART_ENCODER);
    Seconds read = since(start);
    const MapLabels l = {t, t, 0, label, label, "query", "key", false};
    printf("%lld tokens, %d x %d maps   by the clock   processor\n", (long long)t, x.layers, x.heads);
    printf("%-27s %.3f s        %.3f s\n%-27s %.3f s        %.3f s\n", "pass", plain.wall, plain.cpu,
           "pass that hands out maps", read.wall, read.cpu);
    for (int k = 0; k < 4; k++) {
        int64_t bytes;
        Seconds spent = draw(&x, &l, dir, formats[k], &bytes);
        printf("drawing %-19s %.3f s        %.3f s      %.2f MB\n", formats[k], spent.wall, spent.cpu,
               1e-6 * (double)bytes);
    }
    arena_close(&a);
    return 0;
}

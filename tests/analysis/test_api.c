/* The few lines that a program of one's own needs for maps, numbers of heads and a figure: the example at the head of
 * analysis/maps.h. */
#include "drawn.h"

#include <unistd.h>

#include "analysis/maps.h"
#include "analysis/tokens.h"
#include "plot/plot.h"

static const char *dir;

static Status look(double entropy[], Arena *run)
{
    Model *m;
    Tokenizer *k;
    Tokens t;
    Maps x;
    TRY(model_load(&m, run, dir));
    TRY(tokens_open(&k, run, dir));
    TRY(tokens_of_text(&t, run, k, "text", "int x = 1 ;", NULL));
    maps_read(&x, run, m, hooks_new(run), &(Batch){.b = 1, .t = t.n, .ids = t.id}, PART_ENCODER);
    for (int h = 0; h < x.heads; h++) entropy[h] = maps_stats(&x, maps_head(&x, run, 0, h)).entropy;
    Fig *f = fig_open(str_print(run, "%s/map", dir), 300, 300);
    const HeatStyle style = {.title = "Layer 0, head 1", .hi = 1, .row = t.label, .col = t.label, .bar = true};
    fig_heatmap(f, fig_whole(f), maps_head(&x, run, 0, 1), style);
    tokenizer_close(k);
    return fig_close(f);
}

static void a_program_of_fifteen_lines(void **state)
{
    (void)state;
    enum { HEADS = 4 };
    Arena run = arena_open(0);
    char folder[] = "/tmp/vernier-api-XXXXXX";
    assert_non_null(mkdtemp(folder));
    dir = folder;
    static char text[] = "int x = 1 ; int y = x + 1 ; return y ; ";
    Config c = {0};
    Model *m;
    Bpe *bpe;
    arch_find("roberta")->defaults(&c);
    c.vocab = 300, c.dim = 16, c.heads = HEADS, c.hidden = 24, c.layers = 2, c.positions = 24, c.init_sd = 0.6;
    EXPECT(!model_open(&m, &run, &c, F32, 5) && !model_save(m, dir), "%s", err_message());
    EXPECT(!bpe_train(&bpe, &run, &(BpeTrain){.size = 299}, &(Bytes){text, sizeof text - 1}, 1), "%s", err_message());
    EXPECT(!bpe_save(bpe, dir), "%s", err_message());
    double entropy[HEADS];
    EXPECT(!look(entropy, &run), "%s", err_message());
    for (int h = 0; h < HEADS; h++)
        EXPECT(entropy[h] > 0 && entropy[h] < log(24), "head %d: entropy %g", h, entropy[h]);
    assert_true(fabs(entropy[0] - entropy[1]) > 1e-6);
    expect_drawn_whole(&run, str_print(&run, "%s/map", dir), 200000);
    assert_int_equal(system(str_print(&run, "rm -r %s", dir)), 0);
    arena_close(&run);
}

SUITE(cmocka_unit_test(a_program_of_fifteen_lines))

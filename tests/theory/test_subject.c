/* Model directories of every architecture as subjects of the prefix experiments: the part given, the identity
 * in each of its layers, and a sentence where a directory will not do.  Tokens behind the content. */
#include "expect.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/file.h"
#include "base/str.h"
#include "theory/subject.h"

static Arena run, step;
static char folder[] = "/tmp/vernier-subject-XXXXXX";

static int open_all(void **state)
{
    (void)state;
    run = arena_open(0), step = arena_open(0);
    return mkdtemp(folder) ? 0 : 1;
}

static int close_all(void **state)
{
    (void)state;
    static const char *const file[] = {"config.json", "model.safetensors"};
    for (int i = 0; i < 2; i++) remove(str_print(&run, "%s/%s", folder, file[i]));
    rmdir(folder);
    arena_close(&run), arena_close(&step);
    return 0;
}

static void save(const char *arch)
{
    Config c = {0};
    Model *m;
    arch_find(arch)->defaults(&c);
    c.vocab = 17, c.dim = 12, c.heads = 3, c.hidden = 20, c.layers = 2, c.init_sd = 0.3, c.bos = c.eos = 2;
    if (c.positions) c.positions = 14;
    if (c.decoder_layers) c.decoder_layers = 3;
    if (!strcmp(arch, "llama")) c.kv_heads = 1, c.head_dim = 6;
    if (!strcmp(arch, "gpt_neox")) c.rope.share = 0.5;
    if (!strcmp(arch, "modernbert")) c.window = 0, c.pad = 1; /* a prefix stays out of windows */
    if (!strcmp(arch, "t5")) c.head_dim = 5, c.rel_buckets = 8, c.rel_distance = 12;
    EXPECT(model_open(&m, &run, &c, F32, 3) == OK, "%s", err_message());
    normal_fill(m, "*.bias", 0.2, 4);
    EXPECT(model_save(m, folder) == OK, "%s", err_message());
}

/* Every layer, with and without its own prefix, above layers that keep theirs; the rest of the model moves. */
static void expect_identity(const char *arch, const char *part, PrefixKind kind, int layers)
{
    Subject s;
    EXPECT(subject_load(&s, &run, folder, part, 5, 3, 64) == OK, "%s: %s", arch, err_message());
    EXPECT(s.layers == layers && params_dtype(s.m->params) == F64, "%s, %s: %d layers", arch, part, s.layers);
    int64_t fits = s.m->config.positions ? 14 - (strcmp(arch, "roberta") ? 0 : 2) : 64;
    EXPECT(s.batch.t == fits, "%s: %d tokens", arch, (int)s.batch.t);
    EXPECT(subject_prefix(&s, &run, kind, 4, 1) == OK, "%s: %s", arch, err_message());
    const Seen *all = subject_observe(&s, &run), *with = all;
    for (int l = layers - 1; l >= 0; l--) {
        hooks_clear_from(s.hooks, 2 * l);
        const Seen *without = subject_observe(&s, &run);
        Map x = {.seen = &with[l], .extra = 4}, y = {.seen = &without[l]};
        AttentionChange c = measure_change(x, y, -1);
        double q4 = measure_residual(&step, x, y);
        EXPECT(c.rows == s.batch.b * 3 * s.batch.t && c.gap < 1e-13 && q4 < 1e-13,
               "%s, %s, layer %d: gap %g, %g of t'", arch, part, l, c.gap, q4);
        with = without;
    }
    Map top = {.seen = &all[layers - 1], .extra = 4}, base = {.seen = &with[layers - 1]};
    EXPECT(measure_change(top, base, -1).gap > 1e-6, "%s, %s: the prefix changed nothing", arch, part);
}

static void every_architecture(void **state)
{
    (void)state;
    static const struct {
        const char *arch, *part;
        int layers;
    } cases[] = {{"gpt2", "auto", 2},    {"roberta", "auto", 2},  {"bert", "auto", 2},      {"bart", "auto", 3},
                 {"bart", "encoder", 2}, {"bart", "cross", 3},    {"t5", "decoder", 3},     {"t5", "encoder", 2},
                 {"llama", "auto", 2},   {"gpt_neox", "auto", 2}, {"modernbert", "auto", 2}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int k = 0; k < 2; k++) {
            ArenaMark mark = arena_mark(&run);
            save(cases[i].arch);
            expect_identity(cases[i].arch, cases[i].part, k ? PREFIX_TIED : PREFIX_FREE, cases[i].layers);
            arena_drop(&run, mark);
        }
}

static void what_will_not_do(void **state)
{
    (void)state;
    Subject s;
    save("gpt2");
    Status none = subject_load(&s, &run, str_print(&run, "%s/none", folder), "auto", 1, 2, 8);
    EXPECT(err_exit_status(none) == 3 && strstr(err_message(), "none"), "%d: %s", none, err_message());
    err_clear();
    Status part = subject_load(&s, &run, folder, "encoder", 1, 2, 8);
    EXPECT(part == E_CONFIG && strstr(err_message(), "encoder"), "%d: %s", part, err_message());
    err_clear();
    EXPECT(truncate(str_print(&run, "%s/model.safetensors", folder), 100) == 0, "truncate");
    Status cut = subject_load(&s, &run, folder, "auto", 1, 2, 8);
    EXPECT(err_exit_status(cut) == 3 && strstr(err_message(), "safetensors"), "%d: %s", cut, err_message());
    err_clear();
}

/* The vectors are at the end of a row, before positions are added; the content's rows stay as they were. */
static void behind_the_content(void **state)
{
    (void)state;
    Subject s;
    NetShape shape = {
        .dim = 12, .heads = 3, .layers = 2, .vocab = 9, .tokens = 5, .rows = 2, .spare = 3, .init_sd = 0.3};
    EXPECT(subject_random(&s, &run, shape, F64, 6) == OK, "%s", err_message());
    Seen before[2], after[2];
    measure_pass(before, &run, s.m, NULL, PART_DECODER, &s.batch);
    Batch longer = longer_batch(&run, s.batch, 3);
    assert_int_equal(longer.t, 8);
    Tensor vectors = noise(&run, F64, 7, SHAPE(2, 3, 12));
    Hooks *hooks = hooks_new(&run);
    Capture embedded = {.arena = &run};
    hook_add(hooks, (Where){SITE_EMBED, LAYER_EMBED, PART_DECODER}, append_vectors, &vectors);
    hook_observe(hooks, (Where){SITE_EMBED, LAYER_EMBED, PART_DECODER}, hook_capture, &embedded);
    measure_pass(after, &run, s.m, hooks, PART_DECODER, &longer);
    for (int64_t b = 0; b < 2; b++) {
        EXPECT_NEAR(tensor_rows(tensor_at(embedded.value, b), 5, 3), tensor_at(vectors, b), 0);
        for (int l = 0; l < 2; l++)
            EXPECT_NEAR(tensor_rows(tensor_at(after[l].resid, b), 0, 5), tensor_at(before[l].resid, b), 1e-14);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_architecture), cmocka_unit_test(what_will_not_do),
                                       cmocka_unit_test(behind_the_content)};
    return cmocka_run_group_tests(tests, open_all, close_all) != 0;
}

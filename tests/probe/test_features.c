/* Pooled features of every shape of model against its captured states and attention; the cache; NumPy's format. */
#include "nn/small.h"

#include <stdlib.h>
#include <unistd.h>

#include "arenas.h"
#include "base/file.h"
#include "probe/features.h"

/* The small batch as examples; without `pair` an encoder-decoder gets ids alone. */
static Examples examples_of(const Batch *x, bool pair)
{
    const int32_t **ids = NEW(&run, const int32_t *, B), **src = NEW(&run, const int32_t *, B);
    for (int i = 0; i < B; i++) ids[i] = x->ids + i * T, src[i] = x->src + i * S;
    Examples e = {.n = B, .ids = ids, .len = x->len};
    if (pair) e.src = src, e.src_len = x->src_len;
    return e;
}

static Hooks *adapters; /* NULL: the bare model */

typedef struct {
    Tensor state, probs;
    int64_t n; /* the row's own tokens; virtual ones may stand before them, though not in every layer */
} Seen;        /* of one layer, from one row alone: there is no padding to get wrong */

static Seen look(Model *m, const Batch *x, Part part, int layer, int row, bool encoder_only)
{
    Capture state = {.arena = &run}, probs = {.arena = &run};
    Hooks *h = adapters ? adapters : hooks_new(&run);
    int before = hooks_n(h);
    hook_observe(h, (Where){SITE_RESID, layer, part}, hook_capture, &state);
    if (layer >= 0) hook_observe(h, (Where){SITE_PROBS, layer, part}, hook_capture, &probs);
    ArenaMark mark = arena_mark(&step);
    Pass pass = {.tape = tape_open(&step, false), .hooks = h};
    Batch one = {.b = 1, .t = x->len[row], .ids = x->ids + row * T};
    if (x->src) one.s = x->src_len[row], one.src = x->src + row * S;
    if (encoder_only) one.s = one.t, one.src = one.ids;
    if (encoder_only)
        m->arch->encode(m, &pass, &one);
    else
        model_hidden(m, &pass, &one);
    arena_drop(&step, mark);
    hooks_clear_from(h, before);
    return (Seen){state.value, probs.value, part == PART_ENCODER && one.src ? one.s : one.t};
}

static double by_hand(const Seen *s, FeaturePooling how, int64_t i)
{
    int64_t n = s->n, ahead = s->state.dim[1] - n, c = s->state.dim[2];
    double sum = 0, most = -INFINITY;
    for (int64_t k = 0; k < n; k++) {
        double v = tensor_get(s->state, (ahead + k) * c + i), w = 1 / (double)n;
        if (how == FEATURE_ATTENDED && s->probs.data) {
            int64_t heads = s->probs.dim[1], rows = s->probs.dim[2], keys = s->probs.dim[3];
            double all = 0;
            w = 0;
            for (int64_t h = 0; h < heads; h++)
                for (int64_t q = 0; q < n; q++)
                    for (int64_t j = 0; j < n; j++) {
                        int64_t from = ((h + 1) * rows - n + q) * keys + keys - n;
                        w += j == k ? tensor_get(s->probs, from + j) : 0;
                        all += tensor_get(s->probs, from + j);
                    }
            w /= all;
        }
        sum += w * v;
        if (v > most) most = v;
    }
    if (how == FEATURE_FIRST) return tensor_get(s->state, ahead * c + i);
    if (how == FEATURE_LAST) return tensor_get(s->state, (ahead + n - 1) * c + i);
    return how == FEATURE_MAX ? most : sum;
}

static void check(Model *m, const Batch *x, bool pair, FeaturePooling how)
{
    Features f;
    Examples e = examples_of(x, pair);
    Hooks *hooks = adapters ? adapters : hooks_new(&run);
    int before = hooks_n(hooks);
    bool encoder_only = m->arch->encode && !pair;
    assert_int_equal(features_extract(&f, &run, &step, m, hooks, &e, how, NULL, NULL), OK);
    assert_int_equal(hooks_n(hooks), before);
    assert_int_equal(f.layers, m->encoder ? 4 : 0);
    assert_int_equal(f.decoder_layers, encoder_only || !m->decoder ? 0 : m->encoder ? 3 : 4);
    for (int l = 0; l < f.layers + f.decoder_layers; l++) {
        bool decoder = l >= f.layers;
        int at = decoder ? l - f.layers : l;
        Tensor got = decoder ? f.decoder[at] : f.layer[at];
        for (int row = 0; row < B; row++) {
            Seen s = look(m, x, decoder ? PART_DECODER : PART_ENCODER, at - 1, row, encoder_only);
            for (int64_t i = 0; i < 8; i++) {
                double want = by_hand(&s, how, i), have = tensor_get(got, row * 8 + i);
                EXPECT(fabs(have - want) < 2e-5 * fmax(1, fabs(want)), "%s, %s, layer %d, row %d: %g, expected %g",
                       m->config.arch, FEATURE_POOLING[how], l, row, have, want);
            }
        }
    }
}

static void every_shape_and_pooling(void **state)
{
    (void)state;
    for (int k = 0; k < N_SHAPES; k++) {
        Model *m = small_model(&run, SHAPES[k], F32);
        Batch x = small_batch(&run, m);
        for (int how = 0; how < FEATURE_POOLINGS; how++) {
            check(m, &x, x.src != NULL, (FeaturePooling)how);
            if (x.src) check(m, &x, false, (FeaturePooling)how);
        }
    }
}

/* A span's mean, a pair of parts [u; v; |u-v|; u*v], and a part without tokens, with a prompt in front. */
static void parts_of_rows(void **state)
{
    (void)state;
    Model *m = small_model(&run, "roberta", F32);
    Batch x = small_batch(&run, m);
    Examples e = examples_of(&x, false);
    Tensor prompt = random_tensor(&run, m, "prompt", SHAPE(2, 8));
    Hooks *hooks = adapters = hooks_new(&run);
    hook_add(hooks, (Where){SITE_EMBED, LAYER_EMBED, PART_ENCODER}, prompt_hook, &prompt);
    TokenSpan a[B] = {{1, 2}, {0, 2}, {0, 0}}, b[B] = {{0, 1}, {1, 2}, {0, 1}};
    Features one, two;
    assert_int_equal(features_of_parts(&one, &run, &step, m, hooks, &e, FEATURE_MEAN, a, NULL, NULL, NULL), OK);
    assert_int_equal(features_of_parts(&two, &run, &step, m, hooks, &e, FEATURE_MEAN, a, b, NULL, NULL), OK);
    assert_int_equal(two.layer[1].dim[1], 4 * 8);
    for (int l = 0; l < one.layers; l++)
        for (int row = 0; row < B; row++) {
            Seen s = look(m, &x, PART_ENCODER, l - 1, row, false);
            int64_t ahead = s.state.dim[1] - s.n;
            for (int64_t i = 0; i < 8; i++) {
                double u = 0, v = 0;
                for (int k = a[row].from; k < a[row].to; k++)
                    u += tensor_get(s.state, (ahead + k) * 8 + i) / (a[row].to - a[row].from);
                for (int k = b[row].from; k < b[row].to; k++)
                    v += tensor_get(s.state, (ahead + k) * 8 + i) / (b[row].to - b[row].from);
                double want[] = {u, v, fabs(u - v), u * v}, have = tensor_get(one.layer[l], row * 8 + i);
                EXPECT(fabs(have - u) < 2e-5, "span, layer %d, row %d: %g, expected %g", l, row, have, u);
                for (int k = 0; k < 4; k++) {
                    have = tensor_get(two.layer[l], (row * 4 + k) * 8 + i);
                    EXPECT(fabs(have - want[k]) < 5e-5, "pair, layer %d, row %d, block %d: %g, expected %g", l, row,
                           k, have, want[k]);
                }
            }
        }
    adapters = NULL;
}

/* With a method attached: prefixes lengthen the keys, a prompt lengthens the rows. */
static void adapted_models(void **state)
{
    (void)state;
    Model *m = small_model(&run, "roberta", F32), *bart = small_model(&run, "bart", F32);
    Batch x = small_batch(&run, m), y = small_batch(&run, bart);
    adapters = adapted(&run, bart);
    for (int how = 0; how < FEATURE_POOLINGS; how++) check(bart, &y, true, (FeaturePooling)how);
    Tensor prompt = random_tensor(&run, m, "prompt", SHAPE(2, 8));
    adapters = hooks_new(&run);
    hook_add(adapters, (Where){SITE_EMBED, LAYER_EMBED, PART_ENCODER}, prompt_hook, &prompt);
    for (int how = 0; how < FEATURE_POOLINGS; how++) check(m, &x, false, (FeaturePooling)how);
    adapters = NULL;
}

static void exports(void **state)
{
    (void)state;
    char dir[] = "/tmp/vernier-features-XXXXXX";
    assert_non_null(mkdtemp(dir));
    Model *m = small_model(&run, "bart", F32);
    Batch x = small_batch(&run, m);
    Examples e = examples_of(&x, true);
    Features first;
    assert_int_equal(features_extract(&first, &run, &step, m, hooks_new(&run), &e, FEATURE_MEAN, NULL, NULL), OK);
    Bytes file;
    assert_int_equal(features_export(&first, dir), OK);
    assert_int_equal(file_read(&file, &run, str_print(&run, "%s/decoder-02.npy", dir)), OK);
    assert_int_equal(file.len, 128 + 4 * B * 8);
    assert_memory_equal(file.text, "\x93NUMPY\x01\0v\0{'descr': '<f4', 'fortran_order': False, 'shape': (3, 8), }",
                        69);
    assert_true(file.text[127] == '\n');
    assert_memory_equal(file.text + 128, first.decoder[2].data, 4 * B * 8);
    assert_int_equal(system(str_print(&run, "rm -r %s", dir)), 0);
}

/* The words of the settings: "first|mean|max|last|attention". */
static void poolings_have_names(void **state)
{
    (void)state;
    assert_int_equal(feature_pooling("first"), FEATURE_FIRST);
    assert_int_equal(feature_pooling("last"), FEATURE_LAST);
    assert_int_equal(feature_pooling("mean"), FEATURE_MEAN);
    assert_int_equal(feature_pooling("max"), FEATURE_MAX);
    assert_int_equal(feature_pooling("attention"), FEATURE_ATTENDED);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)
SUITE(TEST(every_shape_and_pooling), TEST(parts_of_rows), TEST(adapted_models), TEST(exports),
      TEST(poolings_have_names))

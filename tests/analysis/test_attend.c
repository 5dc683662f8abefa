/* Attention maps and their numbers.  With a directory as argument this program instead saves tiny random models
 * there, for tests/cli/attend.sh: roberta and tuned (the same, two maps changed) with a tokenizer, gpt2 and bart
 * without. */
#include "expect.h"

#include <string.h>

#include "analysis/draw.h"
#include "analysis/maps.h"
#include "analysis/tokens.h"
#include "base/str.h"

static Config tiny(const char *arch)
{
    Config c = {0};
    arch_find(arch)->defaults(&c);
    c.vocab = 300;
    c.dim = 16;
    c.heads = 4;
    c.hidden = 24;
    c.layers = 2;
    if (c.decoder_layers) c.decoder_layers = 2;
    c.decoder_heads = c.decoder_hidden = 0; /* as the encoder's, where there is a decoder */
    c.positions = 24;
    c.init_sd = 0.6;
    return c;
}

static Model *tiny_model(Arena *a, const char *arch)
{
    const Config c = tiny(arch);
    Model *m;
    EXPECT(!model_open(&m, a, &c, F32, 5), "%s", err_message());
    return m;
}

static Bpe *tiny_tokenizer(Arena *a)
{
    static char text[] = "int x = 1 ; int y = x + 1 ; return y ; int x = 1 ; return x ; \xC3\xA9 ";
    const BpeTrain how = {.size = 299};
    Bytes b = {text, sizeof text - 1};
    Bpe *t;
    EXPECT(!bpe_train(&t, a, &how, &b, 1), "%s", err_message());
    return t;
}

/* ---- the fixture of the script */

static int save_models(const char *dir)
{
    Arena a = arena_open(0);
    static const char *const arch[] = {"roberta", "gpt2", "bart"};
    for (int i = 0; i < 3; i++)
        EXPECT(!model_save(tiny_model(&a, arch[i]), str_print(&a, "%s/%s", dir, arch[i])), "%s", err_message());
    Model *m = tiny_model(&a, "roberta");
    for (int h = 0; h < 2; h++) { /* head h of layer h: the rows of its query map */
        Tensor w = model_linear(m, (Where){SITE_Q, h, PART_ENCODER})->w->val;
        for (int64_t i = 0; i < 4 * 16; i++)
            tensor_set(w, h * 4 * 16 + i, tensor_get(w, h * 4 * 16 + i) + 0.5 * rng_normal(9, (uint64_t)i));
    }
    EXPECT(!model_save(m, str_print(&a, "%s/tuned", dir)), "%s", err_message());
    EXPECT(!bpe_save(tiny_tokenizer(&a), str_print(&a, "%s/roberta", dir)), "%s", err_message());
    EXPECT(!bpe_save(tiny_tokenizer(&a), str_print(&a, "%s/tuned", dir)), "%s", err_message());
    arena_close(&a);
    return 0;
}

/* ---- tests */

static const int32_t IDS[] = {3, 17, 5, 250, 9};
enum { T = 5 };

static void rows_sum_to_one_and_heads_average(void **state)
{
    (void)state;
    Arena a = arena_open(0);
    Model *m = tiny_model(&a, "gpt2");
    const Batch b = {.b = 1, .t = T, .ids = IDS};
    Hooks *h = hooks_new(&a);
    Maps x;
    maps_read(&x, &a, m, h, &b, PART_DECODER);
    assert_int_equal(hooks_n(h), 0);
    assert_true(x.layers == 2 && x.heads == 4 && x.t == T && x.s == T && !x.prefix);
    for (int l = 0; l < 2; l++) {
        Tensor mean = maps_head(&x, &a, l, HEAD_MEAN), sum = tensor_zero(&a, F64, SHAPE(T, T));
        for (int k = 0; k < 4; k++) {
            Tensor one = maps_head(&x, &a, l, k);
            for (int64_t i = 0; i < T; i++) {
                double row = 0;
                for (int64_t j = 0; j < T; j++) {
                    double p = tensor_get(one, i * T + j);
                    row += p;
                    assert_true(j <= i || p == 0); /* masked */
                    tensor_set(sum, i * T + j, tensor_get(sum, i * T + j) + p / 4);
                }
                assert_true(fabs(row - 1) < 1e-6);
            }
        }
        EXPECT_NEAR(mean, sum, 1e-12);
    }
    arena_close(&a);
}

/* Heads of layers are distinguished: a change of one head's queries in layer 0 moves that map of layer 0 alone. */
static void a_changed_head_is_the_one_that_moves(void **state)
{
    (void)state;
    Arena a = arena_open(0);
    Model *m = tiny_model(&a, "roberta");
    const Batch b = {.b = 1, .t = T, .ids = IDS};
    Maps before, after;
    maps_read(&before, &a, m, hooks_new(&a), &b, PART_ENCODER);
    Tensor w = model_linear(m, (Where){SITE_Q, 0, PART_ENCODER})->w->val;
    for (int64_t i = 2 * 4 * 16; i < 3 * 4 * 16; i++) tensor_set(w, i, -2 * tensor_get(w, i));
    maps_read(&after, &a, m, hooks_new(&a), &b, PART_ENCODER);
    for (int h = 0; h < 4; h++) {
        double shift = maps_shift(maps_head(&after, &a, 0, h), maps_head(&before, &a, 0, h));
        EXPECT((h == 2) == (shift > 1e-3) && (h == 2 || shift == 0), "head %d moved by %g", h, shift);
    }
    arena_close(&a);
}

static void numbers_of_known_maps(void **state)
{
    (void)state;
    Arena a = arena_open(0);
    Tensor flat = tensor_new(&a, F64, SHAPE(4, 4)), eye = tensor_zero(&a, F64, SHAPE(4, 4));
    tensor_fill(flat, 0.25);
    for (int64_t i = 0; i < 4; i++) tensor_set(eye, 5 * i, 1);
    const Maps self = {.part = PART_ENCODER, .t = 4, .s = 4}, cross = {.part = PART_CROSS, .t = 4, .s = 4};
    HeadStats s = maps_stats(&self, flat);
    assert_true(fabs(s.entropy - log(4)) < 1e-12 && fabs(s.distance - 1.25) < 1e-12 && s.first == 0.25);
    s = maps_stats(&self, eye);
    assert_true(s.entropy == 0 && s.distance == 0 && s.first == 0.25 && s.prefix == 0);
    assert_true(isnan(maps_stats(&cross, flat).distance));
    assert_true(maps_shift(flat, eye) == 0.75);
    assert_true(tensor_get(maps_difference(&a, eye, flat), 0) == 0.75);
    arena_close(&a);
}

static void numbers_with_a_prefix(void **state)
{
    (void)state;
    Arena a = arena_open(0);
    /* one prefix column with half of the mass; in the text, each query attends to itself */
    const double p[] = {0.5, 0.5, 0, 0.5, 0, 0.5};
    Tensor map = tensor_new(&a, F64, SHAPE(2, 3));
    for (int64_t i = 0; i < 6; i++) tensor_set(map, i, p[i]);
    const Maps x = {.part = PART_ENCODER, .t = 2, .s = 3, .prefix = 1};
    HeadStats s = maps_stats(&x, map);
    assert_true(s.prefix == 0.5 && s.first == 0.25 && s.distance == 0 && fabs(s.entropy - log(2)) < 1e-12);
    arena_close(&a);
}

static Var *add_prefix(Pass *p, Where at, Var *in, Var *out, void *user)
{
    (void)at, (void)in;
    return op_prepend(p->tape, user, out, 0);
}

static void a_prefix_is_found_and_drawn(void **state)
{
    (void)state;
    Arena a = arena_open(0), step = arena_open(0);
    Model *m = tiny_model(&a, "gpt2");
    const Batch b = {.b = 1, .t = T, .ids = IDS};
    Hooks *h = hooks_new(&a);
    Var *prefix = tape_leaf(tape_open(&step, false), noise(&a, F32, 3, SHAPE(2, 16)));
    hook_add(h, (Where){SITE_KEYS, LAYER_ANY, PART_DECODER}, add_prefix, prefix);
    hook_add(h, (Where){SITE_VALUES, LAYER_ANY, PART_DECODER}, add_prefix, prefix);
    Maps x;
    maps_read(&x, &a, m, h, &b, PART_DECODER);
    assert_true(x.prefix == 2 && x.s == T + 2 && hooks_n(h) == 2);
    Tensor map = maps_head(&x, &a, 1, 0);
    HeadStats s = maps_stats(&x, map);
    assert_true(s.prefix > 0 && s.prefix < 1);
    const char *row[] = {"a", "b", "c", "d", "e"}, *col[] = {"0", "1", "a", "b", "c", "d", "e"};
    const MapLabels l = {T, T + 2, 2, row, col, "query", "key", true};
    const char *path = "/tmp/vernier-test-attend.svg";
    const MapGrid grid = {1, &map, (const char *const[]){"Layer 1"}, 1, false};
    EXPECT(!fig_close(draw_grid(path, &a, &l, &grid)), "%s", err_message());
    remove(path);
    arena_close(&a);
    arena_close(&step);
}

/* A page of figures is 5000 points at most, whatever the text and the number of heads. */
static void any_grid_fits_a_page(void **state)
{
    (void)state;
    Arena a = arena_open(0);
    static const int64_t length[] = {1, 3, 30, 65, 66, 120};
    for (int i = 0; i < 6; i++) {
        int64_t n = length[i];
        enum { MAPS = 33 };
        Tensor map[MAPS];
        const char *title[MAPS], **label = NEW(&a, const char *, n);
        for (int64_t j = 0; j < n; j++) label[j] = "a_rather_long_identifier";
        for (int k = 0; k < MAPS; k++) {
            map[k] = tensor_zero(&a, F64, SHAPE(n, n));
            title[k] = "Layer 11, head 11";
        }
        const MapLabels l = {n, n, 0, label, label, "query", "key", false};
        const MapGrid grid = {MAPS, map, title, 1, true};
        const char *path = "/tmp/vernier-test-attend.pdf";
        EXPECT(!fig_close(draw_grid(path, &a, &l, &grid)), "%lld tokens: %s", (long long)n, err_message());
        remove(path);
    }
    arena_close(&a);
}

static void limits_are_round(void **state)
{
    (void)state;
    assert_true(fabs(draw_limit(0.37) - 0.4) < 1e-12);
    assert_true(fabs(draw_limit(0.013) - 0.015) < 1e-12);
    assert_true(fabs(draw_limit(0.9991) - 1) < 1e-12);
    assert_true(draw_limit(1) == 1 && draw_limit(0) == 1);
}

static void tokens_have_labels_and_limits(void **state)
{
    (void)state;
    Arena a = arena_open(0);
    Model *m = tiny_model(&a, "roberta");
    Tokenizer b = tokenizer_of(tiny_tokenizer(&a));
    Tokens t;
    EXPECT(!tokens_of_text(&t, &a, &b, "text", "int x ;\xC3", NULL), "%s", err_message());
    assert_string_equal(t.label[0], "<s>");
    assert_string_equal(t.label[1], "int");
    assert_string_equal(t.label[2], " x");
    assert_string_equal(t.piece[2], "\u0120x");
    assert_string_equal(t.label[t.n - 2], "\xEF\xBF\xBD"); /* U+FFFD: half a character */
    assert_string_equal(t.label[t.n - 1], "</s>");
    assert_int_equal(tokens_of_ids(&t, &a, NULL, "ids", "1,2,x"), E_CONFIG);
    assert_non_null(strstr(err_message(), "\"x\""));
    err_clear();
    assert_int_equal(tokens_of_ids(&t, &a, NULL, "ids", " , "), E_CONFIG);
    err_clear();
    assert_int_equal(tokens_of_ids(&t, &a, NULL, "ids", "0, 299"), OK);
    assert_int_equal(tokens_check(&t, m, PART_ENCODER, "ids"), OK);
    assert_int_equal(tokens_of_ids(&t, &a, NULL, "ids", "0,300"), OK);
    assert_int_equal(tokens_check(&t, m, PART_ENCODER, "ids"), E_MISMATCH);
    err_clear();
    Buf list = buf_open(&a);
    for (int i = 0; i < 22; i++) buf_print(&list, "7,"); /* 24 positions, of which pad + 1 are not for tokens */
    EXPECT(!tokens_of_ids(&t, &a, NULL, "ids", list.text), "%s", err_message());
    assert_int_equal(tokens_check(&t, m, PART_ENCODER, "ids"), OK);
    buf_print(&list, "7");
    EXPECT(!tokens_of_ids(&t, &a, NULL, "ids", list.text), "%s", err_message());
    assert_int_equal(tokens_check(&t, m, PART_ENCODER, "ids"), E_CONFIG);
    assert_non_null(strstr(err_message(), "23 tokens; the encoder has positions for 22"));
    err_clear();
    arena_close(&a);
}

int main(int argc, char **argv)
{
    if (argc > 1) return save_models(argv[1]);
    const struct CMUnitTest tests[] = {cmocka_unit_test(rows_sum_to_one_and_heads_average),
                                       cmocka_unit_test(a_changed_head_is_the_one_that_moves),
                                       cmocka_unit_test(numbers_of_known_maps),
                                       cmocka_unit_test(numbers_with_a_prefix),
                                       cmocka_unit_test(a_prefix_is_found_and_drawn),
                                       cmocka_unit_test(any_grid_fits_a_page),
                                       cmocka_unit_test(limits_are_round),
                                       cmocka_unit_test(tokens_have_labels_and_limits)};
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}

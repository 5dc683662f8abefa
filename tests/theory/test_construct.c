/* The machinery of the constructions: imitated formats, the two ways to run a network, and the tokens that readout
 * skips. */
#include "expect.h"

#include "theory/construct.h"
#include "theory/readout.h"

/* ---- formats ---- */

static void formats_round_to_nearest_even(void **state)
{
    (void)state;
    const struct {
        Format f;
        double x, want;
    } known[] = {
        {FORMAT_F16, 65504, 65504},
        {FORMAT_F16, 65519.99, 65504},
        {FORMAT_F16, 65520, INFINITY},
        {FORMAT_F16, -65520, -INFINITY},
        {FORMAT_F16, 0x1p-24, 0x1p-24},    /* the smallest subnormal */
        {FORMAT_F16, 0x1p-25, 0},          /* a tie, to even */
        {FORMAT_F16, 0x1.8p-24, 0x1p-23},  /* a tie, to even */
        {FORMAT_F16, 0x1.01p-25, 0x1p-24}, /* just above it */
        {FORMAT_F16, 2049, 2048},          /* ties between neighbours two apart */
        {FORMAT_F16, 2051, 2052},          /**/
        {FORMAT_F16, 1 + 0x1.8p-10, 1 + 0x1p-9},
        {FORMAT_BF16, 257, 256},
        {FORMAT_BF16, 259, 260},
        {FORMAT_BF16, 0x1.ffp127, INFINITY},
        {FORMAT_F32, 16777217, 16777216},
        {FORMAT_F64, 0.1, 0.1},
    };
    for (int i = 0; i < (int)(sizeof known / sizeof *known); i++) {
        double got = format_round(known[i].f, known[i].x);
        EXPECT(got >= known[i].want && got <= known[i].want, "%s of %a is %a, expected %a", FORMAT_NAME[known[i].f],
               known[i].x, got, known[i].want);
    }
    EXPECT(isnan(format_round(FORMAT_F16, NAN)), "NaN does not stay NaN");
}

/* The library stores BF16 through bits of an F32; here it is arithmetic. */
static void bf16_agrees_with_the_library(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < 20000; i++) {
        float x = (float)ldexp(rng_normal(7, i), (int)rng_below(8, i, 240) - 140);
        double want = (double)bf16_to_f32(bf16_from_f32(x)), got = format_round(FORMAT_BF16, (double)x);
        EXPECT(got >= want && got <= want, "%a becomes %a, expected %a", (double)x, got, want);
    }
}

/* ---- one network, two ways to run it ---- */

enum { V = 30, N = 6, B = 64 };

static Tensor questions(Arena *a)
{
    Tensor x = tensor_zero(a, F64, SHAPE(B, N, 2 * N));
    for (int64_t i = 0; i < B; i++)
        for (int64_t r = 0; r < N; r++) {
            tensor_set(x, i * N * 2 * N + r, (double)rng_below(3, (uint64_t)(i * N + r), V) / V);
            tensor_set(x, (i * N + r) * 2 * N + N + r, 1);
        }
    return x;
}

/* Also where the temperature is too low and the answers are wrong: they must be wrong alike. */
static void loops_answer_as_the_library_does(void **state)
{
    (void)state;
    Arena a = arena_open(1 << 28);
    Net net = one_token_net(&a, V, N);
    Tensor x = questions(&a);
    int kinds = 0;
    for (double t = 11; t <= 17; t += 0.25)
        for (int s = BY_LENGTH; s <= HARD_MAX; s++) {
            int32_t library[B], loops[B], right = 0;
            construct_answer(&a, &net, F64, x, (BuiltAttention){(Scaling)s, t}, library);
            construct_answer_rounded(&a, &net, FORMAT_F64, x, (BuiltAttention){(Scaling)s, t}, loops);
            for (int i = 0; i < B; i++) {
                EXPECT(library[i] == loops[i], "T=%g, scaling %d, row %d: %d and %d", t, s, i, library[i], loops[i]);
                right += library[i] == lround(V * tensor_get(x, i * N * 2 * N + N - 1));
            }
            kinds |= right == B ? 1 : right > 2 ? 2 : 4;
        }
    assert_int_equal(kinds, 7); /* all, some, and nearly none of the answers were right */
    arena_close(&a);
}

/* Two keys whose dot products are neighbours in F16, 2 - 2^-9 and 2 - 2^-10.  Times the scale 1 + 2^-10 the scores
 * are 2 - 2^-19 and 2 + 2^-10 - 2^-20, both 2 in F16.  The second wins in F64; in F16 it is the first of equals. */
static void scores_are_rounded(void **state)
{
    (void)state;
    Arena a = arena_open(1 << 24);
    Net net = construct_open(&a, 2);
    construct_block(&net, 1);
    Head *h = construct_head(&net, 2, 4, 1);
    matrix_row(h->q, 0, 1, 1, 1);
    matrix_row(h->k, 0, 0, 1, 1);
    matrix_identity(h->v, 0, 2, 2, 1); /* the answer is the key that got most */
    matrix_identity(construct_layer(&net, 2, 2, false)->w, 0, 0, 2, 1);
    double rows[] = {2 - 0x1p-9, 1, 1, 0, 2 - 0x1p-10, 1, 0, 1};
    Tensor x = tensor_over(rows, F64, SHAPE(1, 2, 4));
    const BuiltAttention how = {BY_KEY_SIZE, 1 + 0x1p-10};
    int32_t wide, narrow, library;
    construct_answer_rounded(&a, &net, FORMAT_F64, x, how, &wide);
    construct_answer_rounded(&a, &net, FORMAT_F16, x, how, &narrow);
    construct_answer(&a, &net, F64, x, how, &library);
    assert_int_equal(library, 1);
    assert_int_equal(wide, 1);
    assert_int_equal(narrow, 0);
    arena_close(&a);
}

static void hard_attention_is_the_limit_of_soft(void **state)
{
    (void)state;
    Arena a = arena_open(1 << 28);
    Net net = one_token_net(&a, V, N);
    Tensor x = tensor_rows(questions(&a), 0, 1), hard[MAX_HEADS], soft[MAX_HEADS];
    construct_maps(&a, &net, x, (BuiltAttention){HARD_MAX, 1}, 0, hard);
    construct_maps(&a, &net, x, (BuiltAttention){BY_KEY_SIZE, 1000}, 0, soft);
    for (int h = 0; h < 2; h++) {
        EXPECT_NEAR(soft[h], hard[h], 1e-15);
        for (int64_t i = 0; i < N; i++) assert_int_equal(tensor_argmax(tensor_at(hard[h], i)), h ? 0 : i);
    }
    arena_close(&a);
}

/* The gradient of the loss in the input, through hard attention, against difference quotients. */
static double loss_at(Arena *a, const Net *net, Tensor x, const int32_t *target, Tensor *grad)
{
    ArenaMark mark = arena_mark(a);
    Tape *t = tape_open(a, true);
    Var *in = tape_input(t, x),
        *loss = op_xent(t, construct_logits(t, net, in, (BuiltAttention){HARD_MAX, 1}, false), target);
    double value = tape_scalar(loss);
    if (grad) {
        tape_backward(t, loss);
        for (int64_t i = 0; i < tensor_count(x); i++) tensor_set(*grad, i, tensor_get(in->grad, i));
    }
    arena_drop(a, mark);
    return value;
}

static void gradient_reaches_the_virtual_token(void **state)
{
    (void)state;
    Arena a = arena_open(1 << 28);
    Net net = one_token_net(&a, V, N);
    Tensor x = tensor_copy(&a, tensor_rows(questions(&a), 0, 1)), grad = tensor_zero(&a, F64, 3, x.dim);
    int32_t target[N];
    for (int r = 0; r < N; r++) tensor_set(x, r, 0.15 + 0.1 * r), target[r] = (int32_t)rng_below(4, (uint64_t)r, V);
    loss_at(&a, &net, x, target, &grad);
    for (int r = 0; r < N; r++) {
        double at = tensor_get(x, r), side[2];
        for (int k = 0; k < 2; k++) {
            tensor_set(x, r, at + (k ? 1e-5 : -1e-5));
            side[k] = loss_at(&a, &net, x, target, NULL);
        }
        tensor_set(x, r, at);
        double slope = (side[1] - side[0]) / 2e-5, got = tensor_get(grad, r);
        EXPECT(fabs(slope - got) < 1e-9 && fabs(got) > 1e-4, "number %d: gradient %g, slope %g", r, got, slope);
    }
    arena_close(&a);
}

/* ---- digits inside the network ---- */

/* All 27 rows of a map of three tokens, in both forms of the unpacker; theory/packed-map itself checks one of
 * them. */
static void both_unpackers_know_every_row(void **state)
{
    (void)state;
    Arena a = arena_open(1 << 28);
    for (int kind = 0; kind < UNPACKERS; kind++) {
        Net net = packed_map_net(&a, 3, (Unpacker)kind);
        Tensor x = tensor_zero(&a, F64, SHAPE(81, 4, 7));
        int32_t y[81];
        for (int i = 0; i < 81; i++) {
            Tensor rows = tensor_at(x, i);
            for (int p = 0; p < 4; p++) tensor_set(rows, p * 7 + 3 + p, 1);
            tensor_set(rows, 7 + 1, i / 3 / 27.0);
            tensor_set(rows, 14 + 1, 1);
            tensor_set(rows, 21 + i % 3, 1);
        }
        construct_answer(&a, &net, F64, x, (BuiltAttention){HARD_MAX, 1}, y);
        for (int i = 0; i < 81; i++) {
            int level = i / 3, digit[3] = {level / 9, level / 3 % 3, level % 3};
            EXPECT(y[i] == digit[i % 3], "unpacker %d: digit %d of %d/27 is %d, expected %d", kind, i % 3, level,
                   y[i], digit[i % 3]);
        }
    }
    arena_close(&a);
}

/* ---- readout ---- */

static double r(Format f, double x)
{
    return format_round(f, x);
}

/* Every token against every other, by the formulas in the header. */
static int64_t wrong_by_trying_all(Format f, Readout kind, int64_t v)
{
    int64_t wrong = 0;
    for (int64_t j = 0; j < v; j++) {
        int64_t best = 0;
        double most = -INFINITY, z = r(f, r(f, 1 + r(f, (double)j / (double)v)) - 1), turn = 2 * M_PI / (double)v;
        for (int64_t k = 0; k < v; k++) {
            double at = r(f, (double)k / (double)v), a = turn * (double)j, b = turn * (double)k, logit;
            if (kind == READ_TANGENT)
                logit = r(f, r(f, r(f, r(f, 2 * at) - 1) * z) + r(f, 0.25 - r(f, at * at)));
            else if (kind == READ_NEAREST)
                logit = -fabs(r(f, z - at));
            else
                logit = r(f, r(f, r(f, cos(b)) * r(f, cos(a))) + r(f, r(f, sin(b)) * r(f, sin(a))));
            if (logit > most) most = logit, best = k;
        }
        wrong += best != j;
    }
    return wrong;
}

static void readout_tries_all_that_can_win(void **state)
{
    (void)state;
    Arena a = arena_open(1 << 26);
    const int64_t size[] = {2, 14, 15, 36, 37, 51, 86, 117, 300, 700};
    for (int f = FORMAT_F32; f < FORMATS; f++)
        for (int k = 0; k < READOUTS; k++)
            for (int i = 0; i < 10; i++) {
                int64_t got = readout_wrong(&a, (Format)f, (Readout)k, size[i], INT64_MAX),
                        want = wrong_by_trying_all((Format)f, (Readout)k, size[i]);
                EXPECT(got == want, "%s, %s, V=%lld: %lld wrong, expected %lld", FORMAT_NAME[f], READOUT_NAME[k],
                       (long long)size[i], (long long)got, (long long)want);
            }
    assert_int_equal(wrong_by_trying_all(FORMAT_F32, READ_TANGENT, 3003) > 0, 1);
    assert_int_equal(readout_wrong(&a, FORMAT_F32, READ_TANGENT, 3003, 1), 1);
    arena_close(&a);
}

SUITE(cmocka_unit_test(scores_are_rounded), cmocka_unit_test(formats_round_to_nearest_even),
      cmocka_unit_test(bf16_agrees_with_the_library), cmocka_unit_test(loops_answer_as_the_library_does),
      cmocka_unit_test(hard_attention_is_the_limit_of_soft), cmocka_unit_test(gradient_reaches_the_virtual_token),
      cmocka_unit_test(both_unpackers_know_every_row), cmocka_unit_test(readout_tries_all_that_can_win))

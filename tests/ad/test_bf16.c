/* Products in BF16 against their definition: the inputs are rounded to BF16, nearest with ties to even, and summed in
 * F64.  Whatever way the processor goes (num/bf16.h), it may differ by the rounding of sums in F32. */
#include "expect.h"

#include <omp.h>
#include <string.h>

#include "ad/op.h"
#include "arena.h"
#include "base/rng.h"
#include "num/bf16.h"
#include "num/half.h"
#include "num/kernels.h"

enum { O = 70, C = 50 };
static const int64_t ROWS[] = {1, 2, 4, 5, 33};

static int begin_bf16(void **state)
{
    bf16_use(true);
    return begin(state);
}

static int end_bf16(void **state)
{
    bf16_use(false);
    return end(state);
}

/* ---- rounding */

/* Every pair of neighbours, the middle between them, and one unit on either side of the middle. */
static void rounding_is_to_nearest_even(void **state)
{
    (void)state;
    for (uint32_t h = 0; h < 1 << 16; h++)
        for (uint32_t low = 0; low < 4; low++) {
            static const uint32_t LOW[] = {0, 0x7fff, 0x8000, 0x8001};
            float x = float_of(h << 16 | LOW[low]), y;
            uint16_t bits;
            bf16_round(&y, &x, 1);
            bf16_narrow(&bits, &x, 1);
            if (isnan(x)) {
                assert_true(isnan(y) && isnan(bfloat_to_float(bits)));
                continue;
            }
            bool up = LOW[low] > 0x8000 || (LOW[low] == 0x8000 && h & 1);
            uint32_t want = (h & 0x7fff) == 0x7f80 ? h : h + up; /* infinity stays */
            EXPECT(bits == want && float_bits(y) == want << 16, "%08x is rounded to %04x, expected %04x",
                   float_bits(x), bits, want);
        }
}

/* ---- the layer */

typedef struct {
    Tensor x, w, y, dx, dy;
    Layout layout;
    int64_t first, n;
} Layer;

static double rounded(Tensor t, int64_t i)
{
    return (double)bfloat_to_float(bfloat_from_float((float)tensor_get(t, i)));
}

static double weight(const Layer *l, int64_t o, int64_t c)
{
    int64_t at = l->layout == OUT_IN ? (l->first + o) * C + c : c * O + l->first + o;
    return tensor_get(l->w, at);
}

/* y = x W' and dx = dy W, by the tape. */
static Layer run_layer(Arena *step, int64_t rows, Layout layout, int64_t first, int64_t n)
{
    Layer l = {.layout = layout, .first = first, .n = n};
    l.x = noise(&arena, F32, 1, SHAPE(rows, C));
    l.w = tensor_cast(&arena, noise(&arena, F32, 2, SHAPE(layout == OUT_IN ? O : C, layout == OUT_IN ? C : O)), BF16);
    l.dy = noise(&arena, F32, 3, SHAPE(rows, n));
    Tape *t = tape_open(step, true);
    Var *x = tape_input(t, l.x), *y = op_linear_part(t, x, tape_leaf(t, l.w), layout, NULL, ACT_NONE, first, n);
    l.y = tensor_copy(&arena, y->val);
    /* The gradient of |y + u|^2 / (2 rows) with u = rows dy - y is dy. */
    Tensor target = tensor_new(step, F32, SHAPE(rows, n));
    for (int64_t i = 0; i < rows * n; i++)
        tensor_set(target, i, tensor_get(l.y, i) - (double)rows / 2 * tensor_get(l.dy, i));
    tape_backward(t, op_mse(t, y, target));
    l.dx = tensor_copy(&arena, x->grad);
    return l;
}

static void near_the_definition(const Layer *l, const char *what)
{
    int64_t rows = l->x.dim[0];
    for (int64_t i = 0; i < rows * l->n; i++) {
        double sum = 0, size = 0;
        for (int64_t c = 0; c < C; c++) {
            double term = rounded(l->x, i / l->n * C + c) * weight(l, i % l->n, c);
            sum += term, size += fabs(term);
        }
        EXPECT(fabs(tensor_get(l->y, i) - sum) <= 2e-6 * size, "%s, %lld rows: y[%lld] is %g, by definition %g", what,
               (long long)rows, (long long)i, tensor_get(l->y, i), sum);
    }
    for (int64_t i = 0; i < rows * C; i++) {
        double sum = 0, size = 0;
        for (int64_t o = 0; o < l->n; o++) {
            double term = rounded(l->dy, i / C * l->n + o) * weight(l, o, i % C);
            sum += term, size += fabs(term);
        }
        /* dy comes from a difference of F32, which may round to the other side: one step of BF16 in a few terms */
        EXPECT(fabs(tensor_get(l->dx, i) - sum) <= 1e-4 * size, "%s, %lld rows: dx[%lld] is %g, by definition %g",
               what, (long long)rows, (long long)i, tensor_get(l->dx, i), sum);
    }
}

static void layers_are_their_definition(void **state)
{
    (void)state;
    for (int k = 0; k < 5; k++)
        for (int layout = 0; layout < 2; layout++)
            for (int part = 0; part < 2; part++) {
                Arena step = arena_open((size_t)1 << 26);
                Layer l = run_layer(&step, ROWS[k], (Layout)layout, part ? 16 : 0, part ? 32 : O);
                near_the_definition(&l, layout == OUT_IN ? "out, in" : "in, out");
                arena_close(&step);
            }
}

/* Without bf16_use() the same weight is multiplied with the inputs as they are. */
static void only_bf16_in_use_rounds(void **state)
{
    (void)state;
    Arena step = arena_open((size_t)1 << 26);
    Layer in = run_layer(&step, 5, OUT_IN, 0, O);
    bf16_use(false);
    Layer out = run_layer(&step, 5, OUT_IN, 0, O);
    assert_true(memcmp(in.y.data, out.y.data, tensor_bytes(in.y)) != 0);
    assert_true(!bf16_takes(BF16));
    bf16_use(true);
    assert_true(bf16_takes(BF16) && !bf16_takes(F32) && !bf16_takes(F16));
    arena_close(&step);
}

static void threads_do_not_matter(void **state)
{
    (void)state;
    Arena step = arena_open((size_t)1 << 28);
    int threads = omp_get_max_threads();
    Tensor x = noise(&arena, F32, 4, SHAPE(300, 512)), y[2];
    Tensor w = tensor_cast(&arena, noise(&arena, F32, 5, SHAPE(600, 512)), BF16);
    for (int k = 0; k < 2; k++) {
        omp_set_num_threads(k + 1);
        Tape *t = tape_open(&step, false);
        y[k] = tensor_copy(&arena, op_linear(t, tape_leaf(t, x), tape_leaf(t, w), OUT_IN, NULL, ACT_NONE)->val);
    }
    omp_set_num_threads(threads);
    assert_memory_equal(y[0].data, y[1].data, tensor_bytes(y[0]));
    arena_close(&step);
}

/* ---- oneDNN's product, with the descriptors of BF16 but in F32, which every processor has */

static void products_of_onednn_are_sums(void **state)
{
    (void)state;
    enum { M = 7, N = 9, K = 11, PAD = 3 };
    for (int k = 0; k < 8; k++) {
        bool a_t = k & 1, b_t = k & 2, add = k & 4;
        Tensor a = noise(&arena, F32, 6, SHAPE(a_t ? K : M, (a_t ? M : K) + PAD)),
               b = noise(&arena, F32, 7, SHAPE(b_t ? N : K, (b_t ? K : N) + PAD)),
               c = noise(&arena, F32, 8, SHAPE(M, N + PAD)), before = tensor_copy(&arena, c);
        Mat p = {a.data, tensor_last(a), a_t}, q = {b.data, tensor_last(b), b_t};
        if (!bf16_multiply(F32, M, N, K, p, q, add, c.data, N + PAD)) skip();
        for (int64_t i = 0; i < M; i++)
            for (int64_t j = 0; j < N + PAD; j++) {
                double sum = j < N && !add ? 0 : tensor_get(before, i * (N + PAD) + j);
                for (int64_t l = 0; l < K && j < N; l++)
                    sum += tensor_get(a, a_t ? l * p.stride + i : i * p.stride + l) *
                           tensor_get(b, b_t ? j * q.stride + l : l * q.stride + j);
                double got = tensor_get(c, i * (N + PAD) + j);
                EXPECT(fabs(got - sum) <= 1e-5 * (1 + fabs(sum)), "case %d: c[%lld][%lld] is %g, sum %g", k,
                       (long long)i, (long long)j, got, sum);
            }
    }
}

#define T(f) cmocka_unit_test_setup_teardown(f, begin_bf16, end_bf16)
SUITE(T(rounding_is_to_nearest_even), T(layers_are_their_definition), T(only_bf16_in_use_rounds),
      T(threads_do_not_matter), T(products_of_onednn_are_sums))

/* Matrix products against loops written here: transposes, strides, beta, sizes from 0 up, both dtypes, both kernel
 * choices; larger ones against the reference kernels so established; the same bytes from any number of threads. */
#include "expect.h"

#include <omp.h>
#include <string.h>

#include "num/gemm.h"
#include "num/kernels.h"

static Arena arena;

static int setup(void **state)
{
    (void)state;
    arena = arena_open(0);
    return 0;
}

typedef struct {
    DType dtype;
    int64_t m, n, k, pad; /* pad: extra elements in every row stride */
    bool ta, tb;
    double alpha, beta;
    bool serial;
} Case;

static Tensor stored(Case c, const char *name, int64_t rows, int64_t cols)
{
    return noise(&arena, c.dtype, rng_stream(5, name), SHAPE(rows, cols + c.pad));
}

static double element(Tensor t, bool transposed, int64_t i, int64_t j)
{
    return tensor_get(t, transposed ? j * t.dim[1] + i : i * t.dim[1] + j);
}

static void multiply(Case c, Tensor a, Tensor b, Tensor y)
{
    (c.serial ? gemm_serial : gemm_parallel)(c.dtype, c.m, c.n, c.k, c.alpha, (Mat){a.data, a.dim[1], c.ta},
                                             (Mat){b.data, b.dim[1], c.tb}, c.beta, y.data, y.dim[1]);
}

static void by_definition(Case c, Tensor a, Tensor b, Tensor y)
{
    for (int64_t i = 0; i < c.m; i++) {
        for (int64_t j = 0; j < c.n; j++) {
            double sum = 0;
            for (int64_t p = 0; p < c.k; p++) sum += element(a, c.ta, i, p) * element(b, c.tb, p, j);
            int64_t at = i * y.dim[1] + j;
            tensor_set(y, at, c.alpha * sum + (c.beta != 0 ? c.beta * tensor_get(y, at) : 0));
        }
    }
}

static void by_reference(Case c, Tensor a, Tensor b, Tensor y)
{
    KernelChoice before = kernels_are_reference() ? KERNELS_REF : KERNELS_FAST;
    kernels_use(KERNELS_REF);
    c.serial = true; /* uncut */
    multiply(c, a, b, y);
    kernels_use(before);
}

static void check(Case c, void oracle(Case, Tensor, Tensor, Tensor))
{
    ArenaMark mark = arena_mark(&arena);
    Tensor a = c.ta ? stored(c, "a", c.k, c.m) : stored(c, "a", c.m, c.k);
    Tensor b = c.tb ? stored(c, "b", c.n, c.k) : stored(c, "b", c.k, c.n);
    Tensor y = stored(c, "c", c.m, c.n), want = tensor_copy(&arena, y);
    oracle(c, a, b, want);
    for (int64_t i = 0; c.beta == 0 && i < c.m; i++) /* must not be read */
        for (int64_t j = 0; j < c.n; j++) tensor_set(y, i * y.dim[1] + j, NAN);
    multiply(c, a, b, y);
    char what[128];
    snprintf(what, sizeof what, "%s %lldx%lldx%lld%s%s alpha %g beta %g pad %lld%s%s", dtype_name(c.dtype),
             (long long)c.m, (long long)c.n, (long long)c.k, c.ta ? " A'" : "", c.tb ? " B'" : "", c.alpha, c.beta,
             (long long)c.pad, c.serial ? " serial" : "", kernels_are_reference() ? " reference" : "");
    double eps = c.dtype == F32 ? 6e-8 : 1.2e-16;
    expect_near(y, want, eps * (4 + 4 * sqrt((double)c.k)), what, __FILE__, __LINE__);
    arena_drop(&arena, mark);
}

static void combinations(void **state)
{
    static const int64_t SIZES[][3] = {{0, 3, 2}, {3, 0, 2}, {3, 2, 0},   {0, 0, 0},    {1, 1, 1},   {1, 5, 3},
                                       {5, 1, 7}, {3, 4, 5}, {17, 9, 33}, {50, 70, 31}, {64, 2, 100}};
    static const double SCALE[][2] = {{1, 0}, {1, 1}, {-0.5, 0.25}, {0, 2}};
    (void)state;
    for (int bits = 0; bits < 64; bits++) {
        kernels_use(bits & 32 ? KERNELS_REF : KERNELS_FAST);
        for (size_t s = 0; s < sizeof SIZES / sizeof *SIZES; s++) {
            for (size_t f = 0; f < sizeof SCALE / sizeof *SCALE; f++)
                check((Case){bits & 1 ? F64 : F32, SIZES[s][0], SIZES[s][1], SIZES[s][2], bits & 2 ? 3 : 0, bits & 4,
                             bits & 8, SCALE[f][0], SCALE[f][1], bits & 16},
                      by_definition);
        }
    }
    kernels_use(KERNELS_FAST);
}

/* Large enough to be cut, along either side, with a ragged last slice (gemm.c defines where it cuts). */
static void slices(void **state)
{
    static const int64_t SIZES[][3] = {{1100, 96, 90}, {96, 1100, 90}, {200, 1100, 80}, {2100, 128, 70}};
    (void)state;
    omp_set_num_threads(2);
    for (int bits = 0; bits < 8; bits++) {
        for (size_t s = 0; s < sizeof SIZES / sizeof *SIZES; s++)
            check(
                (Case){bits & 1 ? F64 : F32, SIZES[s][0], SIZES[s][1], SIZES[s][2], 1, bits & 2, bits & 4, 1, 0.5, 0},
                by_reference);
    }
}

static void same_bytes_for_any_threads(void **state)
{
    static const int64_t SIZES[][3] = {
        {768, 768, 200}, {1280, 96, 96}, {96, 96, 1280}, {2100, 64, 130}, {64, 2100, 130}};
    (void)state;
    for (size_t s = 0; s < sizeof SIZES / sizeof *SIZES; s++) {
        for (int bits = 0; bits < 8; bits++) {
            ArenaMark mark = arena_mark(&arena);
            Case c = {bits & 4 ? F64 : F32, SIZES[s][0], SIZES[s][1], SIZES[s][2], 0, bits & 1, bits & 2, 1, 1, 0};
            Tensor a = stored(c, "a", c.ta ? c.k : c.m, c.ta ? c.m : c.k);
            Tensor b = stored(c, "b", c.tb ? c.n : c.k, c.tb ? c.k : c.n), y[3];
            for (int threads = 1; threads <= 3; threads++) {
                y[threads - 1] = stored(c, "c", c.m, c.n);
                omp_set_num_threads(threads);
                gemm_parallel(c.dtype, c.m, c.n, c.k, 1, (Mat){a.data, a.dim[1], c.ta}, (Mat){b.data, b.dim[1], c.tb},
                              1, y[threads - 1].data, c.n);
            }
            assert_memory_equal(y[0].data, y[1].data, tensor_bytes(y[0]));
            assert_memory_equal(y[0].data, y[2].data, tensor_bytes(y[0]));
            arena_drop(&arena, mark);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(combinations),
        cmocka_unit_test(slices),
        cmocka_unit_test(same_bytes_for_any_threads),
    };
    return cmocka_run_group_tests(tests, setup, NULL) != 0;
}

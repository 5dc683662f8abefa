/* Products of a few rows: every instruction set against a sum in double, and the promises of num/matvec.h: the same
 * bytes for F32 and 16 bits that hold the same numbers, and in every type for any number of rows, outputs and
 * threads. */
#include "expect.h"

#include <omp.h>
#include <string.h>

#include "arena.h"
#include "num/half.h"
#include "num/kernels.h"
#include "num/blocks.h"
#include "num/matvec.h"
#include "num/made_blocks.h"

typedef struct {
    const char *name;
    const MatvecKernels *kernels;
} Table;

static int tables(Table out[3])
{
    int n = 0;
    out[n++] = (Table){"generic", &MATVEC_GENERIC};
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (MATVEC_AVX2 && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
        __builtin_cpu_supports("f16c"))
        out[n++] = (Table){"avx2", MATVEC_AVX2};
    if (MATVEC_AVX512 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
        out[n++] = (Table){"avx512", MATVEC_AVX512};
#endif
    return n;
}

static const DType HELD[] = {F32, BF16, F16};

/* Random weights that all three types hold, with a row stride of `stride`. */
static Tensor weights(DType held, int64_t rows, int64_t stride)
{
    Tensor x = noise(&arena, F32, 5, SHAPE(rows, stride)), half = tensor_cast(&arena, x, BF16);
    return tensor_cast(&arena, half, held);
}

static Matvec problem(Tensor w, int64_t r, int64_t o, int64_t c, bool in_out)
{
    Tensor x = noise(&arena, F32, 6, SHAPE(r, c)), y = tensor_new(&arena, F32, SHAPE(r, o));
    tensor_fill(y, (double)NAN);
    return (Matvec){.r = r,
                    .o = o,
                    .c = c,
                    .x = x.data,
                    .w = w.data,
                    .held = w.dtype,
                    .stride = tensor_last(w),
                    .in_out = in_out,
                    .y = y.data};
}

static void near_the_sum(const Matvec *m, Tensor w, const char *name)
{
    for (int64_t i = 0; i < m->r * m->o; i++) {
        double sum = 0, size = 0;
        for (int64_t c = 0; c < m->c; c++) {
            int64_t o = i % m->o, at = m->in_out ? c * m->stride + o : o * m->stride + c;
            double term = (double)m->x[i / m->o * m->c + c] * tensor_get(w, at);
            sum += term;
            size += fabs(term);
        }
        EXPECT(fabs((double)m->y[i] - sum) <= 2e-6 * size + 1e-30,
               "%s, %s: %lld rows, %lld by %lld: y[%lld] is %g, sum %g", name, dtype_name(m->held), (long long)m->r,
               (long long)m->o, (long long)m->c, (long long)i, (double)m->y[i], sum);
    }
}

static const int64_t OUT[] = {1, 2, 3, 5, 16, 31, 64, 67}, IN[] = {1, 3, 4, 7, 8, 15, 16, 17, 33, 64, 100, 129};

static void products_are_sums_of_products(void **state)
{
    (void)state;
    Table table[3];
    for (int i = 0, n = tables(table); i < n; i++)
        for (int k = 0; k < 96 * 2; k++) {
            int64_t o = OUT[k % 8], c = IN[k / 8 % 12];
            bool in_out = k >= 96;
            float *first = NULL;
            for (int h = 0; h < 3; h++) {
                ArenaMark mark = arena_mark(&arena);
                Tensor w = weights(HELD[h], in_out ? c : o, (in_out ? o : c) + k % 3);
                Matvec m = problem(w, 1 + k % MATVEC_ROWS, o, c, in_out);
                table[i].kernels->product(&m, 0, o);
                near_the_sum(&m, w, table[i].name);
                if (!first) {
                    first = m.y;
                    continue;
                }
                assert_memory_equal(first, m.y, sizeof(float) * (size_t)(m.r * m.o));
                arena_drop(&arena, mark);
            }
        }
}

/* Weights in blocks against the sum over their values one by one. */
static void products_with_blocks_are_sums_of_products(void **state)
{
    (void)state;
    Table table[3];
    for (int i = 0, n = tables(table); i < n; i++)
        for (int type = 0; type < N_BLOCKS; type++)
            for (int k = 0; k < 48; k++) {
                ArenaMark mark = arena_mark(&arena);
                int64_t block = dtype_block(BLOCKS[type].type);
                bool in_out = k >= 24;
                int64_t o = in_out ? (1 + k % 3) * block : OUT[k % 8], c = in_out ? IN[k % 12] : (1 + k % 3) * block;
                int64_t stride = (in_out ? o : c) + k % 2 * block;
                Tensor w = random_blocks(&arena, type, 0.004, (uint64_t)k, SHAPE(in_out ? c : o, stride));
                Matvec m = problem(w, 1 + k % MATVEC_ROWS, o, c, in_out);
                table[i].kernels->product(&m, 0, o);
                near_the_sum(&m, tensor_cast(&arena, w, F32), table[i].name);
                arena_drop(&arena, mark);
            }
}

static void outputs_of_blocks_are_the_same_alone(void **state)
{
    (void)state;
    enum { O = 768, C = 768 };
    int threads = omp_get_max_threads();
    for (int type = 0; type < N_BLOCKS; type++)
        for (int in_out = 0; in_out < 2; in_out++) {
            ArenaMark mark = arena_mark(&arena);
            Tensor w = random_blocks(&arena, type, 0.004, 3, SHAPE(O, C));
            Matvec all = problem(w, 4, O, C, in_out), one = all;
            float alone[O];
            one.r = 1, one.x = all.x + 2 * C, one.y = alone;
            omp_set_num_threads(1);
            matvec(&one);
            matvec(&all);
            assert_memory_equal(alone, all.y + 2 * O, sizeof alone);
            omp_set_num_threads(3);
            matvec(&all);
            omp_set_num_threads(threads);
            assert_memory_equal(alone, all.y + 2 * O, sizeof alone);
            arena_drop(&arena, mark);
        }
}

/* The same bits as the values that a file is read to. */
static void blocks_are_widened_exactly(void **state)
{
    (void)state;
    enum { N = 2048 };
    float want[N], got[N];
    Table table[3];
    for (int i = 0, n = tables(table); i < n; i++)
        for (int type = 0; type < N_BLOCKS; type++) {
            Tensor w = random_blocks(&arena, type, 0.004, 4, SHAPE(N));
            blocks_to_floats(want, w.dtype, w.data, N);
            table[i].kernels->widen(got, w.data, w.dtype, N);
            EXPECT(!memcmp(want, got, sizeof want), "%s, %s", table[i].name, dtype_name(w.dtype));
        }
}

/* Each output is the same alone, beside others, for a row alone and for one of four, on one thread and on three. */
static void nothing_but_the_sum_decides(void **state)
{
    (void)state;
    enum { O = 517, C = 600 };
    int threads = omp_get_max_threads();
    Table table[3];
    int n = tables(table);
    for (int in_out = 0; in_out < 2; in_out++)
        for (int h = 0; h < 3; h++) {
            Tensor w = weights(HELD[h], in_out ? C : O, in_out ? O : C);
            Matvec all = problem(w, 4, O, C, in_out), one = all;
            float alone[O], part[O] = {0};
            for (int i = 0; i < n; i++) {
                table[i].kernels->product(&all, 0, O);
                one.r = 1, one.x = all.x + 2 * C, one.y = alone;
                table[i].kernels->product(&one, 0, O);
                assert_memory_equal(alone, all.y + 2 * O, sizeof alone);
                one.y = part;
                for (int64_t first = 0; first < O; first += 37)
                    table[i].kernels->product(&one, first, first + 37 < O ? first + 37 : O);
                assert_memory_equal(part, alone, sizeof part);
            }
            matvec(&all); /* by the widest table, the last above */
            assert_memory_equal(alone, all.y + 2 * O, sizeof alone);
            omp_set_num_threads(3);
            matvec(&all);
            omp_set_num_threads(threads);
            assert_memory_equal(alone, all.y + 2 * O, sizeof alone);
        }
}

static void widening_is_exact(void **state)
{
    (void)state;
    enum { ALL = 1 << 16 };
    static uint16_t bits[ALL];
    static float got[ALL];
    Table table[3];
    for (int i = 0; i < ALL; i++) bits[i] = (uint16_t)i;
    for (int i = 0, n = tables(table); i < n; i++)
        for (int h = 1; h < 3; h++)
            for (int64_t skip = 0; skip < 3; skip++) { /* and lengths that end within a vector */
                table[i].kernels->widen(got, bits + skip, HELD[h], ALL - skip);
                for (int64_t j = 0; j < ALL - skip; j++) {
                    float want = h == 1 ? bfloat_to_float(bits[j + skip]) : half_to_float(bits[j + skip]);
                    bool same = isnan(want) ? isnan(got[j]) : float_bits(want) == float_bits(got[j]);
                    EXPECT(same, "%s, %s: %04x is %g, expected %g", table[i].name, dtype_name(HELD[h]),
                           bits[j + skip], (double)got[j], (double)want);
                }
            }
}

static void only_few_rows_of_floats_are_taken(void **state)
{
    (void)state;
    assert_true(matvec_takes(F32, 1) && matvec_takes(F32, MATVEC_ROWS));
    assert_false(matvec_takes(F32, MATVEC_ROWS + 1) || matvec_takes(F64, 1) || matvec_takes(F32, 0));
    kernels_use(KERNELS_REF);
    assert_false(matvec_takes(F32, 1));
    kernels_use(KERNELS_FAST);
}

#define T(f) cmocka_unit_test_setup_teardown(f, begin, end)
SUITE(T(products_are_sums_of_products), T(nothing_but_the_sum_decides), T(widening_is_exact),
      T(products_with_blocks_are_sums_of_products), T(outputs_of_blocks_are_the_same_alone),
      T(blocks_are_widened_exactly), T(only_few_rows_of_floats_are_taken))

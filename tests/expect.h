/* Expectations on tensors for cmocka tests: the name of the comparison, the worst element, and both of its values. */
#ifndef TESTS_EXPECT_H
#define TESTS_EXPECT_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#undef fail /* ours records an error; a test fails through EXPECT and assert_* */
#include <math.h>
#include <stdio.h>

#include "base/rng.h"
#include "num/tensor.h"

/* Every test file ends with SUITE(test_a, test_b, ...): its main runs them and speaks TAP. */
#define SUITE(...)                                                                                                   \
    int main(void)                                                                                                   \
    {                                                                                                                \
        const struct CMUnitTest tests[] = {__VA_ARGS__};                                                             \
        return cmocka_run_group_tests(tests, NULL, NULL) != 0;                                                       \
    }

#define EXPECT(cond, ...)                                                                                            \
    do {                                                                                                             \
        if (!(cond)) {                                                                                               \
            print_message("# %s:%d: ", __FILE__, __LINE__);                                                          \
            print_message(__VA_ARGS__);                                                                              \
            print_message("\n");                                                                                     \
            _fail(__FILE__, __LINE__);                                                                               \
        }                                                                                                            \
    } while (0)

static inline void near(double got, double want, double tolerance, const char *what)
{
    EXPECT(fabs(got - want) <= tolerance, "%s: %.12g, expected %.12g", what, got, want);
}

/* Largest |a-b| must not exceed tol times the larger of 1 and the largest |b|; NaN never passes. */
static inline void expect_near(Tensor a, Tensor b, double tol, const char *what, const char *file, int line)
{
    EXPECT(tensor_same_shape(a, b), "%s:%d: %s: %s against %s", file, line, what, tensor_shape(a), tensor_shape(b));
    double worst = 0, scale = 1;
    int64_t at = -1;
    for (int64_t i = 0, n = tensor_count(a); i < n; i++) {
        double x = tensor_get(a, i), y = tensor_get(b, i), gap = fabs(x - y);
        if (fabs(y) > scale) scale = fabs(y);
        if (!(gap <= worst)) {
            worst = gap;
            at = i;
        }
        if (isnan(gap)) break;
    }
    EXPECT(worst <= tol * scale, "%s:%d: %s: element %lld of %s is %.9g, expected %.9g (gap %.3g, limit %.3g)", file,
           line, what, (long long)at, tensor_shape(a), at < 0 ? 0 : tensor_get(a, at), at < 0 ? 0 : tensor_get(b, at),
           worst, tol * scale);
}
#define EXPECT_NEAR(a, b, tol) expect_near((a), (b), (tol), #a, __FILE__, __LINE__)

/* Normal noise: the content of test tensors, and of outputs before a kernel runs. */
static inline Tensor noise(Arena *arena, DType dtype, uint64_t stream, int rank, const int64_t *dim)
{
    Tensor t = tensor_new(arena, dtype, rank, dim);
    for (int64_t i = 0, n = tensor_count(t); i < n; i++) tensor_set(t, i, rng_normal(stream, (uint64_t)i));
    return t;
}

#endif

/* Searching tensors: elements that are not finite, and the like. */
#include "expect.h"

#include <float.h>
#include <math.h>

#include "arena.h"
#include "num/tensor.h"

/* One element that is no finite number, at every place that a vector loop can treat apart. */
static void odd_elements_are_found(void **state)
{
    (void)state;
    const DType types[] = {F32, F64, BF16};
    const double odd[] = {NAN, -NAN, INFINITY, -INFINITY};
    for (int d = 0; d < 3; d++)
        for (int64_t n = 0; n < 70; n += 23) {
            Tensor t = tensor_zero(&arena, types[d], SHAPE(n));
            for (int64_t i = 0; i < n; i++) tensor_set(t, i, (i % 2 ? 1 : -1) * (d == 2 ? 1e38 : (double)FLT_MAX));
            assert_int_equal(tensor_find_nonfinite(t, false), -1);
            assert_int_equal(tensor_finite(t, "t"), OK);
            for (int64_t i = 0; i < n; i++)
                for (int k = 0; k < 4; k++) {
                    double was = tensor_get(t, i);
                    tensor_set(t, i, odd[k]);
                    assert_int_equal(tensor_find_nonfinite(t, false), i);
                    assert_int_equal(tensor_find_nonfinite(t, true), k < 3 ? i : -1);
                    assert_int_equal(tensor_finite(t, "t"), E_NUMERIC);
                    err_clear();
                    tensor_set(t, i, was);
                }
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(odd_elements_are_found)};
    return cmocka_run_group_tests(tests, begin, end);
}

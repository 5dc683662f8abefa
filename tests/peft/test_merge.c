/* Folding a low-rank product into a map that owns only some outputs of a weight, in either layout. */
#include "expect.h"

#include "arena.h"
#include "peft/lora.h"

enum { ALL = 7, OUT = 3, IN = 4, RANK = 2 };

static void the_owned_part_changes(DType dtype, Layout layout, int64_t first)
{
    Tensor w = noise(&arena, dtype, 1, SHAPE(layout == OUT_IN ? ALL : IN, layout == OUT_IN ? IN : ALL));
    Tensor a = noise(&arena, dtype, 2, SHAPE(RANK, IN)), b = noise(&arena, dtype, 3, SHAPE(OUT, RANK)),
           old = tensor_copy(&arena, w);
    Param p = {.name = "w", .val = w};
    Linear l = {.name = "w", .w = &p, .layout = layout, .in = IN, .out = OUT, .first = first};
    for (int step = 0; step < 3; step++) { /* fold, scale an output by 3, and by a third, and fold back */
        if (step == 0) lora_fold(&l, a, b, 0.5);
        if (step == 1) lora_scale_output(&l, 1, 3);
        if (step == 2) lora_scale_output(&l, 1, 1.0 / 3), lora_fold(&l, a, b, -0.5);
        for (int64_t o = 0; o < ALL; o++)
            for (int64_t i = 0; i < IN; i++) {
                int64_t at = layout == OUT_IN ? o * IN + i : i * ALL + o, own = o - first;
                double want = tensor_get(old, at);
                for (int64_t r = 0; step < 2 && own >= 0 && own < OUT && r < RANK; r++)
                    want += 0.5 * tensor_get(b, own * RANK + r) * tensor_get(a, r * IN + i);
                near(tensor_get(w, at), step == 1 && own == 1 ? 3 * want : want, dtype == F64 ? 1e-14 : 1e-6,
                     "weight");
            }
    }
}

static void only_the_owned_part_changes(void **state)
{
    (void)state;
    for (int64_t first = 0; first <= ALL - OUT; first++)
        for (Layout layout = OUT_IN; layout <= IN_OUT; layout++)
            for (DType d = F32; d <= F64; d++) the_owned_part_changes(d, layout, first);
}

#define T(f) cmocka_unit_test_setup_teardown(f, begin, end)
SUITE(T(only_the_owned_part_changes))

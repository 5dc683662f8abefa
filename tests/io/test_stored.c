/* Numbers of files by rows: every half and every bfloat16 there is, the numbers that round to them, and the ways of
 * reading them agree to the bit. */
#include "expect.h"

#include <math.h>
#include <string.h>

#include "base/rng.h"
#include "io/weights.h"

__extension__ typedef _Float16 Half;
enum { ALL = 1 << 16 };

/* Bytes at an odd address, as files may have them. */
static Stored odd_of(Arena *a, StoredType type, const void *x, int64_t n, size_t size)
{
    char *odd = arena_take(a, (size_t)n * size + 1);
    memcpy(odd + 1, x, (size_t)n * size);
    return (Stored){.name = "x",
                    .file = "here",
                    .type = type,
                    .rank = 1,
                    .dim = {n},
                    .count = n,
                    .bytes = odd + 1,
                    .n_bytes = (size_t)n * size};
}

/* By the definition of the format: sign, exponent of e bits, fraction of f bits. */
static double by_definition(uint32_t x, int e, int f)
{
    int bias = (1 << (e - 1)) - 1, power = (int)(x >> f) & ((1 << e) - 1);
    double fraction = x & ((1u << f) - 1), y;
    if (power == (1 << e) - 1)
        y = fraction > 0 ? (double)NAN : (double)INFINITY;
    else
        y = power ? ldexp(ldexp(1, f) + fraction, power - bias - f) : ldexp(fraction, 1 - bias - f);
    return x >> (e + f) & 1 ? -y : y;
}

static bool same(double x, double y)
{
    return (isnan(x) && isnan(y)) || (x == y && signbit(x) == signbit(y));
}

static void every_short_float_widens(void **state)
{
    (void)state;
    Arena a = arena_open((size_t)1 << 26);
    uint16_t *x = NEW(&a, uint16_t, ALL);
    for (int i = 0; i < ALL; i++) x[i] = (uint16_t)i;
    for (int k = 0; k < 2; k++) {
        Stored s = odd_of(&a, k ? STORED_BF16 : STORED_F16, x, ALL, 2);
        Tensor f = tensor_new(&a, F32, SHAPE(ALL)), d = tensor_new(&a, F64, SHAPE(ALL));
        assert_int_equal(stored_read(f, &s), OK);
        assert_int_equal(stored_read(d, &s), OK);
        double worst = 0;
        Stored c = stored_convert(&a, &s, STORED_F32, &worst), back = stored_convert(&a, &c, s.type, &worst);
        assert_true(worst == 0);
        for (int i = 0; i < ALL; i++) {
            double want = by_definition((uint32_t)i, k ? 8 : 5, k ? 7 : 10);
            EXPECT(same(want, stored_get(&s, i)), "%s %04x is %a, not %a", stored_type(&s), i, stored_get(&s, i),
                   want);
            EXPECT(same(want, tensor_get(f, i)), "%s %04x is read as %a", stored_type(&s), i, tensor_get(f, i));
            EXPECT(same(want, tensor_get(d, i)), "%s %04x is read as %a", stored_type(&s), i, tensor_get(d, i));
            uint32_t one = 0, row = 0;
            memcpy(&one, &(float){(float)stored_get(&s, i)}, 4);
            memcpy(&row, (const char *)f.data + 4 * i, 4);
            EXPECT(one == row, "%s %04x is %08x by itself and %08x in a row", stored_type(&s), i, one, row);
            uint16_t again;
            memcpy(&again, (const char *)back.bytes + 2 * i, 2);
            EXPECT(isnan(want) || again == i, "%s %04x comes back as %04x", stored_type(&s), i, again);
        }
        assert_memory_equal(c.bytes, f.data, 4 * ALL);
    }
    arena_close(&a);
}

/* Every half, the ties between neighbours, the numbers beside those, and numbers of all sizes; n of them. */
static float *floats_of_all_sizes(Arena *a, int *n)
{
    enum { RANDOM = 300001 };
    float *x = NEW(a, float, 10 * ALL + RANDOM);
    *n = 0;
    for (uint32_t i = 0; i < ALL; i++) {
        if ((i & 0x7fff) >= 0x7bff) continue;
        float h = (float)by_definition(i, 5, 10), next = (float)by_definition(i + 1, 5, 10), tie = (h + next) / 2;
        float some[] = {h, tie, nextafterf(tie, -INFINITY), nextafterf(tie, INFINITY), nextafterf(h, INFINITY)};
        memcpy(x + *n, some, sizeof some);
        *n += 5;
    }
    static const float far[] = {65504,     65519.996f, 65520,    65536,     1e30f, -65520,
                                -1e38f,    0x1p-149f,  -1e-40f,  INFINITY,  0,     -0.0f,
                                0x1p-126f, 0x1.fp-25f, 0x1p-25f, -INFINITY, NAN,   0x1.000002p-25f};
    memcpy(x + *n, far, sizeof far);
    *n += (int)(sizeof far / sizeof *far);
    for (int i = 0; i < RANDOM; i++) {
        uint32_t bits = (uint32_t)(rng_uniform(4, (uint64_t)i) * 0x1p32);
        memcpy(&x[(*n)++], &bits, sizeof bits);
    }
    return x;
}

static void floats_round_to_the_nearest(void **state)
{
    (void)state;
    Arena a = arena_open((size_t)1 << 28);
    int n;
    float *x = floats_of_all_sizes(&a, &n);
    double *wide = NEW(&a, double, n), largest[2] = {0}, worst[3] = {0};
    for (int i = 0; i < n; i++) wide[i] = (double)x[i];
    Stored f = odd_of(&a, STORED_F32, x, n, 4), d = odd_of(&a, STORED_F64, wide, n, 8);
    Stored h = stored_convert(&a, &f, STORED_F16, &worst[0]), g = stored_convert(&a, &d, STORED_F16, &worst[1]),
           b = stored_convert(&a, &f, STORED_BF16, &worst[2]);
    Tensor t = tensor_new(&a, BF16, SHAPE(n));
    assert_int_equal(stored_read(t, &f), OK);
    for (int i = 0; i < n; i++) {
        double want = (double)(Half)x[i], wants = (double)bf16_to_f32(bf16_from_f32(x[i]));
        EXPECT(same(stored_get(&h, i), want), "%a becomes %a, not %a", wide[i], stored_get(&h, i), want);
        EXPECT(same(stored_get(&b, i), wants), "%a becomes %a, not %a", wide[i], stored_get(&b, i), wants);
        EXPECT(same(tensor_get(t, i), wants), "%a is read as %a, not %a", wide[i], tensor_get(t, i), wants);
        if (!isfinite(x[i])) continue;
        largest[0] = fmax(largest[0], fabs(want - wide[i]));
        largest[1] = fmax(largest[1], fabs(wants - wide[i]));
    }
    assert_memory_equal(h.bytes, g.bytes, (size_t)n * 2);
    assert_true(worst[0] == largest[0] && worst[1] == largest[0] && worst[2] == largest[1]);
    arena_close(&a);
}

/* An F64 close to a tie, which an F32 on the way would make one. */
static void doubles_round_once(void **state)
{
    (void)state;
    Arena a = arena_open((size_t)1 << 26);
    double x[4000], worst = 0, largest = 0;
    for (int i = 0; i < 4000; i++) {
        double tie =
            by_definition((uint32_t)i * 7 + 1, 5, 10) + ldexp(0.5, i * 7 / 1024 > 0 ? (i * 7 + 1) / 1024 - 25 : -24);
        x[i] = (i & 1 ? -1 : 1) * (i % 3 ? nextafter(tie, i % 3 == 1 ? 0 : 1e9) : tie);
    }
    x[0] = 1e300, x[1] = -1e-300, x[2] = 65519.999999999, x[3] = -65520;
    Stored d = odd_of(&a, STORED_F64, x, 4000, 8), h = stored_convert(&a, &d, STORED_F16, NULL),
           f = stored_convert(&a, &d, STORED_F32, &worst);
    for (int i = 0; i < 4000; i++) {
        EXPECT(same(stored_get(&h, i), (double)(Half)x[i]), "%a becomes %a, not %a", x[i], stored_get(&h, i),
               (double)(Half)x[i]);
        EXPECT(same(stored_get(&f, i), (double)(float)x[i]), "%a becomes %a", x[i], stored_get(&f, i));
        largest = fmax(largest, fabs((double)(float)x[i] - x[i]));
    }
    assert_true(worst == largest);
    arena_close(&a);
}

SUITE(cmocka_unit_test(every_short_float_widens), cmocka_unit_test(floats_round_to_the_nearest),
      cmocka_unit_test(doubles_round_once))

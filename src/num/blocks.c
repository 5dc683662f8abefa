/* One function per type, of one block.  Names and layouts are those of ggml-quants.c: d is the scale, m or dmin the
 * offset's; 4-bit integers lie in pairs of halves: the low halves of a run of bytes come before the high ones.  A "K"
 * block has 256 values in groups of 16 or 32 with integer scales of their own. */
#include "num/blocks.h"

#include "num/half.h"

static inline float half_at(const uint8_t *at)
{
    return half_to_float((uint16_t)(at[0] | at[1] << 8));
}

/* Bit i of a little-endian row of bytes. */
static inline int bit_at(const uint8_t *at, int i)
{
    return at[i >> 3] >> (i & 7) & 1;
}

static void q8_0(float *restrict y, const uint8_t *restrict x)
{
    const float d = half_at(x);
    for (int i = 0; i < 32; i++) y[i] = (float)(int8_t)x[2 + i] * d;
}

static void q4_0(float *restrict y, const uint8_t *restrict x)
{
    const float d = half_at(x);
    for (int i = 0; i < 16; i++) {
        y[i] = d * (float)((x[2 + i] & 15) - 8);
        y[i + 16] = d * (float)((x[2 + i] >> 4) - 8);
    }
}

static void q4_1(float *restrict y, const uint8_t *restrict x)
{
    const float d = half_at(x), m = half_at(x + 2);
    for (int i = 0; i < 16; i++) {
        y[i] = d * (float)(x[4 + i] & 15) + m;
        y[i + 16] = d * (float)(x[4 + i] >> 4) + m;
    }
}

static void q5_0(float *restrict y, const uint8_t *restrict x)
{
    const float d = half_at(x);
    const uint8_t *high = x + 2, *low = x + 6;
    for (int i = 0; i < 16; i++) {
        y[i] = d * (float)(((low[i] & 15) | bit_at(high, i) << 4) - 16);
        y[i + 16] = d * (float)(((low[i] >> 4) | bit_at(high, i + 16) << 4) - 16);
    }
}

static void q5_1(float *restrict y, const uint8_t *restrict x)
{
    const float d = half_at(x), m = half_at(x + 2);
    const uint8_t *high = x + 4, *low = x + 8;
    for (int i = 0; i < 16; i++) {
        y[i] = d * (float)((low[i] & 15) | bit_at(high, i) << 4) + m;
        y[i + 16] = d * (float)((low[i] >> 4) | bit_at(high, i + 16) << 4) + m;
    }
}

/* 16 groups of 16: a byte has the scale in its low half and the offset in its high one. */
static void q2_k(float *restrict y, const uint8_t *restrict x)
{
    const float d = half_at(x + 80), dmin = half_at(x + 82);
    for (int g = 0; g < 16; g++) {
        const float scale = d * (float)(x[g] & 15), offset = dmin * (float)(x[g] >> 4);
        const uint8_t *q = x + 16 + g / 8 * 32 + g % 2 * 16;
        for (int i = 0; i < 16; i++) y[16 * g + i] = scale * (float)(q[i] >> g % 8 / 2 * 2 & 3) - offset;
    }
}

/* 16 scales of 6 bits: four in each of the first eight bytes' halves, and two bits of four scales in the others. */
static void q3_k(float *restrict y, const uint8_t *restrict x)
{
    const uint8_t *high = x, *scales = x + 96;
    const float d = half_at(x + 108);
    for (int g = 0; g < 16; g++) {
        int low = scales[g % 8] >> g / 8 * 4 & 15, top = scales[8 + g % 4] >> g / 4 * 2 & 3;
        const float scale = d * (float)((low | top << 4) - 32);
        const uint8_t *q = x + 32 + g / 8 * 32 + g % 2 * 16, *h = high + g % 2 * 16;
        for (int i = 0; i < 16; i++)
            y[16 * g + i] = scale * (float)((q[i] >> g % 8 / 2 * 2 & 3) - (h[i] >> g / 2 & 1 ? 0 : 4));
    }
}

/* Scale and offset of group g of 8, 6 bits each in 12 bytes: four of each whole, the others in pieces. */
static void scale_and_offset(int *scale, int *offset, const uint8_t *x, int g)
{
    *scale = g < 4 ? x[g] & 63 : (x[g + 4] & 15) | (x[g - 4] >> 6) << 4;
    *offset = g < 4 ? x[g + 4] & 63 : x[g + 4] >> 4 | (x[g] >> 6) << 4;
}

static void q4_k(float *restrict y, const uint8_t *restrict x)
{
    const float d = half_at(x), dmin = half_at(x + 2);
    for (int g = 0; g < 8; g++) {
        int s, m;
        scale_and_offset(&s, &m, x + 4, g);
        const float scale = d * (float)s, offset = dmin * (float)m;
        const uint8_t *q = x + 16 + g / 2 * 32;
        for (int i = 0; i < 32; i++) y[32 * g + i] = scale * (float)(q[i] >> g % 2 * 4 & 15) - offset;
    }
}

static void q5_k(float *restrict y, const uint8_t *restrict x)
{
    const float d = half_at(x), dmin = half_at(x + 2);
    const uint8_t *high = x + 16;
    for (int g = 0; g < 8; g++) {
        int s, m;
        scale_and_offset(&s, &m, x + 4, g);
        const float scale = d * (float)s, offset = dmin * (float)m;
        const uint8_t *q = x + 48 + g / 2 * 32;
        for (int i = 0; i < 32; i++)
            y[32 * g + i] = scale * (float)((q[i] >> g % 2 * 4 & 15) | (high[i] >> g & 1) << 4) - offset;
    }
}

/* Groups of 16 with signed scales; runs of 32 share the bytes of the low bits in pairs, of the high ones in fours. */
static void q6_k(float *restrict y, const uint8_t *restrict x)
{
    const float d = half_at(x + 208);
    for (int g = 0; g < 16; g++) {
        const float scale = d * (float)(int8_t)x[192 + g];
        int run = g / 2 % 4, half = g / 8, at = g % 2 * 16;
        const uint8_t *low = x + half * 64 + run % 2 * 32 + at, *high = x + 128 + half * 32 + at;
        for (int i = 0; i < 16; i++)
            y[16 * g + i] = scale * (float)(((low[i] >> run / 2 * 4 & 15) | (high[i] >> run * 2 & 3) << 4) - 32);
    }
}

typedef void Read(float *restrict, const uint8_t *restrict);

void blocks_to_floats(float *to, DType type, const void *from, int64_t n)
{
    static Read *const READ[] = {[Q4_0] = q4_0, [Q4_1] = q4_1, [Q5_0] = q5_0, [Q5_1] = q5_1, [Q8_0] = q8_0,
                                 [Q2_K] = q2_k, [Q3_K] = q3_k, [Q4_K] = q4_k, [Q5_K] = q5_k, [Q6_K] = q6_k};
    CHECK(dtype_is_block(type) && n % dtype_block(type) == 0, "%lld values of %s", (long long)n, dtype_name(type));
    const uint8_t *at = from;
    for (int64_t i = 0; i < n; i += dtype_block(type), at += dtype_size(type)) READ[type](to + i, at);
}

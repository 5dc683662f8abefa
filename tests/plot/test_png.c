/* PNG in memory, read back by cairo. */
#include "expect.h"

#include <string.h>

#include "arena.h"
#include "base/rng.h"
#include "plot/draw.h"

enum { W = 37, H = 23 };

static cairo_status_t next_bytes(void *from, unsigned char *to, unsigned n)
{
    const char **at = from;
    memcpy(to, *at, n);
    *at += n;
    return CAIRO_STATUS_SUCCESS;
}

static cairo_surface_t *read_back(const Buf *png)
{
    const char *at = png->text;
    cairo_surface_t *s = cairo_image_surface_create_from_png_stream(next_bytes, &at);
    assert_int_equal(cairo_surface_status(s), CAIRO_STATUS_SUCCESS);
    assert_ptr_equal(at, png->text + png->len);
    assert_int_equal(cairo_image_surface_get_width(s), W);
    assert_int_equal(cairo_image_surface_get_height(s), H);
    return s;
}

static uint32_t pixel_at(cairo_surface_t *s, int x, int y)
{
    uint32_t p;
    memcpy(&p, cairo_image_surface_get_data(s) + (ptrdiff_t)y * cairo_image_surface_get_stride(s) + 4 * x, sizeof p);
    return p;
}

/* The images of an SVG: equal rows and rows of noise, every colour of the palette, the first clear or not. */
static void palettes_come_back(void **state)
{
    (void)state;
    uint8_t index[H][W];
    uint32_t colour[256];
    for (uint64_t i = 0; i < 256; i++) colour[i] = 0xFF000000u | (uint32_t)(rng_uniform(1, i) * 0x1000000);
    for (int y = 0; y < H; y++)
        for (int x = 0; x < W; x++)
            index[y][x] = (uint8_t)(y % 3 ? index[y - 1][x] : 256 * rng_uniform(2, (uint64_t)(y * W + x)));
    for (int clear = 0; clear < 2; clear++) {
        if (clear) colour[0] = 0;
        index[1][1] = 0;
        Buf png = buf_open(&arena);
        assert_true(png_of_indices(&png, W, H, index[0], colour, 256));
        cairo_surface_t *s = read_back(&png);
        bool has_alpha = cairo_image_surface_get_format(s) == CAIRO_FORMAT_ARGB32;
        assert_int_equal(has_alpha, clear);
        for (int y = 0; y < H; y++)
            for (int x = 0; x < W; x++)
                EXPECT(pixel_at(s, x, y) == colour[index[y][x]], "pixel (%d,%d): %08x", x, y, pixel_at(s, x, y));
        cairo_surface_destroy(s);
    }
}

static void pages_come_back(void **state)
{
    (void)state;
    cairo_surface_t *page = cairo_image_surface_create(CAIRO_FORMAT_RGB24, W, H);
    for (int y = 0; y < H; y++)
        for (int x = 0; x < W; x++) {
            uint32_t p = 0xFF000000u | (uint32_t)(rng_uniform(3, (uint64_t)(y * W + x)) * 0x1000000);
            memcpy(cairo_image_surface_get_data(page) + y * cairo_image_surface_get_stride(page) + 4 * x, &p,
                   sizeof p);
        }
    cairo_surface_mark_dirty(page);
    Buf png = buf_open(&arena);
    assert_true(png_of_surface(&png, page));
    cairo_surface_t *s = read_back(&png);
    for (int y = 0; y < H; y++)
        for (int x = 0; x < W; x++) assert_int_equal(pixel_at(s, x, y), pixel_at(page, x, y));
    cairo_surface_destroy(s);
    cairo_surface_destroy(page);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(palettes_come_back),
        cmocka_unit_test(pages_come_back),
    };
    return cmocka_run_group_tests(tests, begin, end);
}

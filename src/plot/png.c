/* PNG by libpng, because cairo's own way there costs more than drawing: it tries every filter on every row and
 * compresses as well as it can, and it does not use palettes. */
#include <png.h>
#include <setjmp.h>
#include <zlib.h>

#include "plot/draw.h"

static void add(png_structp png, png_bytep data, png_size_t n)
{
    buf_add(png_get_io_ptr(png), (const char *)data, n);
}

static void flush(png_structp png)
{
    (void)png;
}

/* Rows of indices into `colour`, or, without colours, of cairo's pixels. */
static bool encode(Buf *out, int w, int h, const unsigned char *data, int stride, const uint32_t *colour, int colours)
{
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
    png_infop info = png ? png_create_info_struct(png) : NULL;
    if (!info || setjmp(png_jmpbuf(png))) {
        png_destroy_write_struct(&png, &info);
        return false;
    }
    png_set_write_fn(png, out, add, flush);
    if (colours) { /* neighbouring rows are much alike, more so where a cell has several */
        png_set_compression_level(png, 1);
        png_set_compression_strategy(png, Z_RLE);
        png_set_filter(png, PNG_FILTER_TYPE_BASE, PNG_FILTER_UP);
    } else {
        png_set_compression_level(png, 3);
        png_set_filter(png, PNG_FILTER_TYPE_BASE, PNG_FILTER_NONE);
    }
    png_set_IHDR(png, info, (png_uint_32)w, (png_uint_32)h, 8, colours ? PNG_COLOR_TYPE_PALETTE : PNG_COLOR_TYPE_RGB,
                 PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    if (colours) {
        png_color palette[256];
        png_byte alpha[256];
        for (int i = 0; i < colours; i++) {
            palette[i] = (png_color){(png_byte)(colour[i] >> 16), (png_byte)(colour[i] >> 8), (png_byte)colour[i]};
            alpha[i] = (png_byte)(colour[i] >> 24);
        }
        png_set_PLTE(png, info, palette, colours);
        if (!alpha[0]) png_set_tRNS(png, info, alpha, 1, NULL);
    }
    png_write_info(png, info);
    if (!colours) {
        png_set_filler(png, 0, PNG_FILLER_AFTER);
        png_set_bgr(png);
    }
    for (int y = 0; y < h; y++) png_write_row(png, data + (int64_t)y * stride);
    png_write_end(png, info);
    png_destroy_write_struct(&png, &info);
    return true;
}

bool png_of_indices(Buf *out, int w, int h, const uint8_t *index, const uint32_t *colour, int colours)
{
    return encode(out, w, h, index, w, colour, colours);
}

bool png_of_surface(Buf *out, cairo_surface_t *s)
{
    cairo_surface_flush(s);
    return encode(out, cairo_image_surface_get_width(s), cairo_image_surface_get_height(s),
                  cairo_image_surface_get_data(s), cairo_image_surface_get_stride(s), NULL, 0);
}

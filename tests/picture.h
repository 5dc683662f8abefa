/* Stored pictures of figures.  A PNG is reduced to means over square blocks, at most 64 x 48 of them, and compared
 * with those in tests/plot/pictures.  Letters that another rasteriser draws a little otherwise, or half a pixel
 * beside, move a mean by less than the tolerance; an axis that is missing, a map turned over or another scale by
 * more.  With VERNIER_PICTURES set (`make pictures`) they are written anew instead: look at the changes. */
#ifndef TESTS_PICTURE_H
#define TESTS_PICTURE_H

#include <cairo.h>
#include <stdlib.h>
#include <string.h>

#include "expect.h"

enum { PICTURE_WIDE = 64, PICTURE_TALL = 48, PICTURE_BLOCK = 16, PICTURE_SHARE = 10 };

typedef struct {
    int w, h;
    unsigned char rgb[PICTURE_TALL][PICTURE_WIDE][3];
} Picture;

static inline cairo_surface_t *picture_surface(const char *png)
{
    cairo_surface_t *s = cairo_image_surface_create_from_png(png);
    EXPECT(!cairo_surface_status(s), "%s: %s", png, cairo_status_to_string(cairo_surface_status(s)));
    return s;
}

/* One pixel (x,y), channel k; right and below the picture its last one. */
static inline int picture_channel(cairo_surface_t *s, int x, int y, int k)
{
    int w = cairo_image_surface_get_width(s), h = cairo_image_surface_get_height(s);
    x = x < w ? x : w - 1, y = y < h ? y : h - 1;
    uint32_t p;
    memcpy(&p, cairo_image_surface_get_data(s) + (ptrdiff_t)y * cairo_image_surface_get_stride(s) + 4 * x, sizeof p);
    return (int)(p >> (16 - 8 * k) & 255);
}

/* `aside`: the picture moved left and up by so many pixels. */
static inline Picture picture_reduce(const char *png, int aside)
{
    cairo_surface_t *s = picture_surface(png);
    int w = cairo_image_surface_get_width(s), h = cairo_image_surface_get_height(s), side = 1;
    while ((w + side - 1) / side > PICTURE_WIDE || (h + side - 1) / side > PICTURE_TALL) side++;
    Picture p = {.w = (w + side - 1) / side, .h = (h + side - 1) / side};
    for (int i = 0; i < p.h; i++)
        for (int j = 0; j < p.w; j++)
            for (int k = 0; k < 3; k++) {
                int sum = 0;
                for (int n = 0; n < side * side; n++)
                    sum += picture_channel(s, j * side + n % side + aside, i * side + n / side + aside, k);
                p.rgb[i][j][k] = (unsigned char)((sum + side * side / 2) / (side * side));
            }
    cairo_surface_destroy(s);
    return p;
}

static inline Picture picture_stored(const char *path)
{
    cairo_surface_t *s = picture_surface(path);
    Picture p = {.w = cairo_image_surface_get_width(s), .h = cairo_image_surface_get_height(s)};
    EXPECT(p.w <= PICTURE_WIDE && p.h <= PICTURE_TALL, "%s is %d x %d", path, p.w, p.h);
    for (int n = 0; n < p.w * p.h * 3; n++)
        p.rgb[n / 3 / p.w][n / 3 % p.w][n % 3] = (unsigned char)picture_channel(s, n / 3 % p.w, n / 3 / p.w, n % 3);
    cairo_surface_destroy(s);
    return p;
}

static inline void picture_store(const char *path, const Picture *p)
{
    cairo_surface_t *s = cairo_image_surface_create(CAIRO_FORMAT_RGB24, p->w, p->h);
    for (int n = 0; n < p->w * p->h; n++) {
        const unsigned char *c = p->rgb[n / p->w][n % p->w];
        uint32_t v = (uint32_t)c[0] << 16 | (uint32_t)c[1] << 8 | c[2];
        memcpy(cairo_image_surface_get_data(s) + (ptrdiff_t)(n / p->w) * cairo_image_surface_get_stride(s) +
                   4 * (n % p->w),
               &v, sizeof v);
    }
    cairo_surface_mark_dirty(s);
    EXPECT(!cairo_surface_write_to_png(s, path), "cannot write %s", path);
    cairo_surface_destroy(s);
}

/* How far channel k of a block of `a` is from the span of the same block of `b` and its neighbours. */
static inline int picture_outside(const Picture *a, const Picture *b, int i, int j, int k)
{
    int lo = 255, hi = 0, v = a->rgb[i][j][k];
    for (int n = 0; n < 9; n++) {
        int y = i + n / 3 - 1, x = j + n % 3 - 1;
        if (y < 0 || y >= b->h || x < 0 || x >= b->w) continue;
        lo = b->rgb[y][x][k] < lo ? b->rgb[y][x][k] : lo;
        hi = b->rgb[y][x][k] > hi ? b->rgb[y][x][k] : hi;
    }
    return v < lo ? lo - v : v > hi ? v - hi : 0;
}

/* The most that a block of one is outside the span of the other there, and how many in a thousand blocks are outside
 * by more than a third of the tolerance.  Both ways: ink that came, and ink that went. */
typedef struct {
    int block, share, x, y;
} PictureGap;
static inline PictureGap picture_gap(const Picture *a, const Picture *b)
{
    PictureGap g = {0};
    if (a->w != b->w || a->h != b->h) return (PictureGap){255, 1000, 0, 0};
    for (int n = 0; n < a->w * a->h; n++) {
        int i = n / a->w, j = n % a->w, most = 0;
        for (int k = 0; k < 6; k++) {
            int d = picture_outside(k < 3 ? a : b, k < 3 ? b : a, i, j, k % 3);
            most = d > most ? d : most;
        }
        if (most > g.block) g.block = most, g.x = j, g.y = i;
        g.share += most * 3 > PICTURE_BLOCK;
    }
    g.share = g.share * 1000 / (a->w * a->h);
    return g;
}

static inline bool picture_same(PictureGap g)
{
    return g.block <= PICTURE_BLOCK && g.share <= PICTURE_SHARE;
}

/* STEM.png against the stored picture `name`. */
static inline void expect_picture(const char *stem, const char *name)
{
    char png[512], path[512];
    snprintf(png, sizeof png, "%s.png", stem);
    snprintf(path, sizeof path, "tests/plot/pictures/%s.png", name);
    Picture p = picture_reduce(png, 0);
    if (getenv("VERNIER_PICTURES")) {
        picture_store(path, &p);
        return;
    }
    Picture stored = picture_stored(path);
    PictureGap g = picture_gap(&p, &stored);
    EXPECT(picture_same(g),
           "%s is another picture than %s: block (%d,%d) of %d x %d differs by %d of 255 (at most %d), %d in a "
           "thousand blocks by more than a third of that (at most %d)",
           png, path, g.x, g.y, p.w, p.h, g.block, PICTURE_BLOCK, g.share, PICTURE_SHARE);
}

#endif

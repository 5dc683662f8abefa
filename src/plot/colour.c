/* Colour maps as curves in OKLab (Ottosson 2020): lightness is a straight line, hue and chroma are smooth
 * functions of it, and the chroma stays inside the gamut of sRGB, so nothing is clipped and no band of false
 * contours appears.  Equal steps of the value are equal steps of lightness to the eye. */
#include "plot/colour.h"

#include <math.h>

typedef struct {
    double l, a, b;
} Lab;

static double encode(double x) /* linear light to sRGB */
{
    x = fmin(fmax(x, 0), 1);
    return x <= 0.0031308 ? 12.92 * x : 1.055 * pow(x, 1 / 2.4) - 0.055;
}

static double decode(double x)
{
    return x <= 0.04045 ? x / 12.92 : pow((x + 0.055) / 1.055, 2.4);
}

static Rgb rgb_of(Lab c)
{
    double l = c.l + 0.3963377774 * c.a + 0.2158037573 * c.b;
    double m = c.l - 0.1055613458 * c.a - 0.0638541728 * c.b;
    double s = c.l - 0.0894841775 * c.a - 1.2914855480 * c.b;
    l = l * l * l;
    m = m * m * m;
    s = s * s * s;
    return (Rgb){encode(4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s),
                 encode(-1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s),
                 encode(-0.0041960863 * l - 0.7034186147 * m + 1.7076147010 * s)};
}

static Lab lab_of(Rgb c)
{
    double r = decode(c.r), g = decode(c.g), b = decode(c.b);
    double l = cbrt(0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b);
    double m = cbrt(0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b);
    double s = cbrt(0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b);
    return (Lab){0.2104542553 * l + 0.7936177850 * m - 0.0040720468 * s,
                 1.9779984951 * l - 2.4285922050 * m + 0.4505937099 * s,
                 0.0259040371 * l + 0.7827717662 * m - 0.8086757660 * s};
}

static Rgb rgb_polar(double lightness, double chroma, double degrees)
{
    double h = degrees * 3.14159265358979323846 / 180;
    return rgb_of((Lab){lightness, chroma * cos(h), chroma * sin(h)});
}

/* Yellowish white through green and teal to dark blue. */
static Rgb sequential(double t)
{
    double chroma = 0.01 + 0.08 * (1 - pow(1 - t, 5));
    return rgb_polar(0.985 - 0.705 * t, chroma, 112 + 153 * pow(t, 0.9));
}

/* Blue, almost white, brick red.  The two halves have the same lightness and the same chroma. */
static Rgb diverging(double t)
{
    double far = fabs(2 * t - 1);
    double chroma = 0.27 * far * (1 - 0.5 * far);
    return rgb_polar(0.975 - 0.545 * far, chroma, t < 0.5 ? 255 : 35);
}

Rgb colour_map(ColourMap map, double t)
{
    if (isnan(t)) return colour_grey(0);
    t = fmin(fmax(t, 0), 1);
    return map == MAP_DIVERGING ? diverging(t) : sequential(t);
}

/* Okabe and Ito's set.  Yellow comes last because it is faint on paper. */
Rgb colour_class(int i)
{
    static const unsigned hex[] = {0x0072B2, 0xD55E00, 0x009E73, 0xCC79A7, 0xE69F00, 0x56B4E9, 0x333333, 0xF0E442};
    unsigned c = hex[(unsigned)i % (sizeof hex / sizeof hex[0])];
    return (Rgb){(c >> 16) / 255.0, (c >> 8 & 255) / 255.0, (c & 255) / 255.0};
}

Rgb colour_mix(Rgb from, Rgb to, double t)
{
    Lab a = lab_of(from), b = lab_of(to);
    return rgb_of((Lab){a.l + t * (b.l - a.l), a.a + t * (b.a - a.a), a.b + t * (b.b - a.b)});
}

double colour_lightness(Rgb c)
{
    return lab_of(c).l;
}

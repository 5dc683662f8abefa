/* Colours: two continuous maps built in OKLab and one set of class colours (Okabe and Ito 2008).
 *
 * Both maps are functions of OKLab lightness first: the sequential one falls in a straight line from almost
 * white to dark blue, the diverging one rises to almost white at its centre and falls again, the same on both
 * sides.  Order therefore survives greyscale printing and every kind of colour blindness. */
#ifndef PLOT_COLOUR_H
#define PLOT_COLOUR_H

typedef struct {
    double r, g, b; /* sRGB, each in [0,1] */
} Rgb;
typedef enum { MAP_SEQUENTIAL, MAP_DIVERGING } ColourMap;

Rgb colour_map(ColourMap, double t);         /* t in [0,1], clamped; NaN is black and must not occur */
Rgb colour_class(int i);                     /* the i-th class colour; repeats after eight */
Rgb colour_mix(Rgb from, Rgb to, double t);  /* straight line in OKLab */
double colour_lightness(Rgb);                /* OKLab L: 0 black, 1 white */
static inline Rgb colour_grey(double level); /* level in [0,1] */

static inline Rgb colour_grey(double level)
{
    return (Rgb){level, level, level};
}

#endif

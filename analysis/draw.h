/* Figures of attention: grids of maps that share one scale, base against tuned, and layers by heads at a glance.
 * Widths suit a page of text (at most 500 points); heights follow from the maps. */
#ifndef ANALYSIS_DRAW_H
#define ANALYSIS_DRAW_H

#include "plot/plot.h"

/* How the maps of one reading are labelled. */
typedef struct {
    int64_t t, s, prefix;
    const char **row, **col; /* (t), (s): tokens; prefix columns are numbered */
    const char *row_title, *col_title;
    bool causal;
} MapLabels;

typedef struct {
    int n;
    const Tensor *map;        /* (n) of (T,S) */
    const char *const *title; /* (n) */
    double limit;             /* the scale ends here */
    bool difference;          /* and begins at -limit, diverging; otherwise at 0 */
} MapGrid;

/* Figures are left open for whoever closes them: fig_close() or report_drawn().  A path is one of fig_open(). */
Fig *draw_grid(const char *path, Arena *, const MapLabels *, const MapGrid *);
/* n of them, as many at a time as there are threads.  `each` is given them in order, by the calling thread, and
 * closes them; after an error, which is returned, no further ones are drawn. */
typedef Status (*EachFig)(Fig *, int i, void *user);
Status draw_grids(int n, const char *const *path, const MapLabels *, const MapGrid *, EachFig each, void *user);

/* One row each: map a, map b, and b - a on its own scale. */
typedef struct {
    Tensor a, b;
    const char *title;
} MapPair;
Fig *draw_pairs(const char *path, Arena *, const MapLabels *, const char *const name[2], int n, const MapPair *);

/* Panels (layers,heads) side by side, each with its own scale. */
typedef struct {
    Tensor value;
    const char *title, *unit;
    bool difference;
} Glance;
Fig *draw_glances(const char *path, Arena *, int n, const Glance *, const int *layer, const int *head);

/* DIR/figures/NAME for fig_open(); formats: a list that fig_formats() takes, or NULL: all three. */
const char *figure_path(Arena *, const char *dir, const char *name, const char *formats);

double draw_limit(double largest); /* the next round number: 0.37 -> 0.4 */
/* Where a scale ends: above 99 of 100 of the cells of all n maps that are not zero, so that one token that takes
 * everything does not leave the rest pale. */
double draw_limit_of(int n, const Tensor *map);

#endif

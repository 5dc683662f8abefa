/* A figure for each setting of a sweep: the metric over its values. */
#ifndef SWEEP_FIGURES_H
#define SWEEP_FIGURES_H

#include "plot/report.h"
#include "sweep/summary.h"

/* Writes them below `dir` and puts them on the page; none where a setting has one value. */
Status figures_draw(const Sums *, Report *page, const char *dir);

#endif

/* The ids of an SVG file: cairo numbers them per process and reuses the same names in every file, so a page
 * that inlines several figures must rename them, together with every reference to them. */
#ifndef PLOT_SVG_H
#define PLOT_SVG_H

#include <stddef.h>

#include "base/str.h"

/* Appends the document to `out` with the k-th id it declares renamed to PREFIXk, in ids, hrefs and url(#...). */
void svg_rename_ids(Buf *out, const char *svg, size_t n, const char *prefix);

#endif

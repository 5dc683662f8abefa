/* The grid has room for its largest size from the start: pages that are not used cost nothing. */
#include "probes/grid.h"

#include <math.h>
#include <string.h>

#include "base/str.h"

Grid grid_open(Arena *a, int cols, const char *const *head)
{
    Grid g = {.a = a, .cols = cols, .cell = NEW(a, const char *, GRID_ROWS *GRID_COLUMNS)};
    memcpy(g.head, head, sizeof *head * (size_t)cols);
    return g;
}

void grid_put(Grid *g, const char *text)
{
    CHECK(g->rows < GRID_ROWS, "a table of more than %d rows", GRID_ROWS);
    g->cell[g->rows * g->cols + g->at++] = text;
    if (g->at == g->cols) g->at = 0, g->rows++;
}

void grid_number(Grid *g, double x, int decimals)
{
    grid_put(g, isfinite(x) ? str_print(g->a, "%.*f", decimals, x) : "n/a");
}

void grid_close(Grid *g, Run *r, const char *caption)
{
    CHECK(!g->at, "a row of %d cells, expected %d", g->at, g->cols);
    const char **head = NEW(g->a, const char *, g->cols);
    memcpy(head, g->head, sizeof *head * (size_t)g->cols);
    if (g->rows) (g->measured ? run_measured_table : run_table)(r, caption, g->cols, head, g->rows, g->cell);
}

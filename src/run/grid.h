/* A table of texts, and the forms in which a program or a paper takes it. */
#ifndef RUN_GRID_H
#define RUN_GRID_H

#include "base/arena.h"
#include "base/str.h"

typedef struct Grid Grid;
struct Grid {
    const char *caption;
    int cols, rows;
    const char *const *head, *const *cell; /* (cols), (rows, cols); NULL: empty */
    Grid *next;
};

/* A table that grows by rows.  grid_end() gives it `caption`. */
typedef struct {
    Arena *arena;
    int cols, n, room;
    const char **head, **cell;
} GridRows;
GridRows grid_begin(Arena *, int cols, const char *const *head);
void grid_row(GridRows *, const char *const *cell); /* (cols) */
Grid grid_end(const GridRows *, const char *caption);

typedef enum { GRID_TEXT, GRID_CSV, GRID_MARKDOWN, GRID_LATEX } GridForm;
/* Text: columns as wide as their widest cell, numbers on the right, every line behind `indent` blanks.  CSV (RFC
 * 4180, lines end in a newline) has no caption; LaTeX is a tabular of the package booktabs. */
void grid_form(Buf *, const Grid *, GridForm, int indent);

#endif

/* Columns of texts from a user's table: CSV or TSV with a line of names, JSON Lines, or a JSON array of objects.  A
 * name that ends in .tsv or .tab means tabs; else a first line with a tab and no comma does.  JSON numbers and truth
 * values are their texts, and a list of words is these words with blanks between.
 *
 *     const char *wanted[] = {"text", "label"};
 *     TRY(cells_read(&c, &run, "train.csv", 2, wanted, NULL));     c.cell[1][i]: the label of row i, on c.line[i] */
#ifndef IO_CELLS_H
#define IO_CELLS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/file.h"

enum { CELLS_MOST = 4 };
typedef struct {
    const char *path;
    int64_t n;
    int64_t *line;           /* (n) on which each row begins */
    Bytes *cell[CELLS_MOST]; /* (n) of each wanted column; NULL: not wanted, or optional and not there */
    int columns;
    const char *const *name; /* (columns) those of the file; of JSON, of its first row */
} Cells;

/* The wanted columns; a NULL name is skipped.  optional (columns wanted), or NULL: all must be there.  E_IO; E_FORMAT
 * names the line, for bytes that are no UTF-8 and for quotes that do not close, too, and for a column that is not
 * there the names that are; E_MISMATCH: there are no rows. */
Status cells_read(Cells *, Arena *, const char *path, int wanted, const char *const *name, const bool *optional);
bool cells_blank(Bytes); /* nothing but white space */

#endif

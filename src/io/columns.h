/* Columns of numbers from a table: CSV with a line of names (RFC 4180: fields may be quoted), or JSON Lines, one
 * object a row, for which a name may be a path ("features.la"), or a JSON array of such objects.  "la+ld" is the sum
 * of two columns.  Booleans are 0 and 1.  A name that two columns have is refused. */
#ifndef IO_COLUMNS_H
#define IO_COLUMNS_H

#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"

/* column[k] (rows) for each of the n wanted.  The format is read off the file: one that begins with `{` is JSON
 * Lines, one that begins with `[` an array.  E_IO; E_FORMAT names the line and the column and, where that is not
 * there, the names that are. */
Status columns_read(double **column, int64_t *rows, Arena *, const char *path, int n, const char *const *wanted);

/* The same where columns differ in kind, kind (n).  An optional one that the file lacks (JSON Lines: its first row)
 * leaves column[k] NULL.  A column of texts may hold anything, hashes or names: it becomes numbers, equal where the
 * texts are equal, from 0 in the order of their appearance; its name is no sum. */
typedef enum { COLUMN_NUMBER, COLUMN_OPTIONAL, COLUMN_TEXT } ColumnKind;
Status columns_read_as(double **column, int64_t *rows, Arena *, const char *path, int n, const char *const *wanted,
                       const ColumnKind *kind);

#endif

/* Records of CSV (RFC 4180: a field in quotes may hold separators, line ends and, doubled, quotes) or of the same
 * with tabs between the fields.  Fields are cut out of the text in place.
 *
 *   Csv in = {.path = path, .at = text.text, .separator = ',', .line = 1};
 *   while (*in.at) TRY(csv_next(field, &n, &in)); */
#ifndef IO_CSV_H
#define IO_CSV_H

#include <stdint.h>

#include "base/err.h"
#include "base/file.h"

enum { CSV_FIELDS = 4096 }; /* of a record at most */
typedef struct {
    const char *path; /* for messages */
    char *at;         /* what is not read yet; it ends with NUL */
    char separator;
    int64_t line; /* of `at`, from 1 */
} Csv;
/* The next record's fields (CSV_FIELDS).  E_FORMAT names the line on which the record begins. */
Status csv_next(Bytes *field, int *n, Csv *);

#endif

/* Text files as people and their programs write them, read in one way for all: a byte-order mark of UTF-8 is skipped,
 * UTF-16 and UTF-32 are refused, lines end with \n or \r\n, the last one with or without.  A zero byte and
 * bytes that are no UTF-8 are refused with the line they are in, unless the caller can do with them.
 *
 *   TRY(text_read(&text, arena, path, BYTES_UTF8));
 *   for (TextLines l = lines_in(text); lines_next(&l);) use(l.line, l.number);
 *
 * Files of JSON objects are read row by row, whether they are JSON Lines (one object a line) or one array:
 *
 *   TRY(rows_open(&r, path));
 *   for (bool more = true; ...;) { TRY(rows_next(&r, &more)); if (!more) break; ... r.row.text ... }
 *   rows_close(&r);                                          on failure, too
 */
#ifndef BASE_LINES_H
#define BASE_LINES_H

#include "base/file.h"
#include "base/str.h"

/* The last two are for the input of a tokenizer, which has tokens for all bytes. */
typedef enum { BYTES_UTF8, BYTES_NOT_ZERO, BYTES_ANY } TextBytes;
Status text_read(Bytes *out, Arena *, const char *path, TextBytes); /* E_IO; E_FORMAT names path:line */
/* The same check of text that is in memory; a byte-order mark is taken off. */
Status text_check(Bytes *text, const char *path, TextBytes);

typedef struct {
    Bytes line; /* without its end; a NUL stands there in place of the end */
    int64_t number;
    char *at, *end;
} TextLines;
TextLines lines_in(Bytes text);
bool lines_next(TextLines *);
bool line_blank(Bytes line); /* blanks and tabs alone, or nothing */

/* A file of rows that is read as it goes, so that memory is that of the longest row. */
typedef struct {
    const char *path; /* for messages; the caller keeps it */
    Buf row;          /* the row read last; its bytes are as they stand in the file */
    int64_t line;     /* on which it begins, from 1 */
    FILE *file;
    Arena arena;
    int64_t newlines;
    bool array, begun, over;
    unsigned char held[8]; /* bytes to be read again, the next one last */
    int n_held;
} RowReader;
Status rows_open(RowReader *, const char *path);
Status rows_of(RowReader *, Bytes text, const char *path); /* of a text in memory, which stays the caller's */
Status rows_next(RowReader *, bool *more);                 /* blank lines are skipped; *more is false at the end */
void rows_close(RowReader *);
bool rows_begin(Bytes text); /* the text is JSON Lines or an array of objects, by how it begins */

#endif

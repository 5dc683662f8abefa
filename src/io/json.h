/* JSON files through cJSON: strict UTF-8, one value, positions in messages, and typed access with defaults.  The
 * root belongs to the caller, who gives it to cJSON_Delete.
 *
 * The output is valid UTF-8 that no terminal obeys: control characters and marks of direction are \u escapes, a
 * NUL inside a string stays as \u0000, and bytes that are no UTF-8 become U+FFFD. */
#ifndef IO_JSON_H
#define IO_JSON_H

#include <cjson/cJSON.h>
#include <stdint.h>

#include "base/err.h"
#include "base/file.h"
#include "base/str.h"

/* E_FORMAT names line and column.  Text need not end with NUL; only white space may follow the value.  \u0000 in a
 * string is refused, because the string would end there. */
Status json_parse(cJSON **root, const char *text, size_t len, const char *path);
/* A file, read as Python's json module does: the last of two equal keys counts, and NaN, Infinity and -Infinity are
 * strings of these names here.  E_FORMAT says so where the file is a failed download (base/download.h). */
Status json_read(cJSON **root, Arena *, const char *path);
Status json_parse_python(cJSON **root, Arena *, Bytes text, const char *path); /* the same of text in memory */
int64_t json_mend_zeros(char *text, size_t len); /* \u0000 becomes \uFFFD, in place, before it is parsed; counted */

/* A member of an object into *out; where it is absent or null, *out keeps its value.  Another type is E_FORMAT, and
 * so is a number outside [least, most]; `path` begins the message. */
Status json_int(int *out, const cJSON *object, const char *key, int least, int most, const char *path);
Status json_real(double *out, const cJSON *object, const char *key, double least, double most, const char *path);
Status json_bool(bool *out, const cJSON *object, const char *key, const char *path);
Status json_text(const char **out, const cJSON *object, const char *key, const char *path); /* lives with the root */
const char *json_text_in(const cJSON *object, const char *key); /* the same; NULL: absent, or of another type */
bool json_has(const cJSON *object, const char *key);            /* present and not null */

void json_quote(Buf *, const char *s);                 /* s as a JSON string */
void json_quote_bytes(Buf *, const char *s, size_t n); /* the same of n bytes, NULs among them */
void json_escape(Buf *, const char *s);                /* s without the quotation marks around it */
/* In place of cJSON_Print, and of cJSON_PrintUnformatted for one line; the caller's, for cJSON_free. */
char *json_printed(const cJSON *, bool one_line);
void json_print(const cJSON *);                     /* to stdout, by print_document() */
Status json_write(const cJSON *, const char *path); /* as a file that ends with a newline */
/* A string of n bytes, NULs among them, as a member of what is printed; cJSON's own strings end at a NUL. */
cJSON *json_string(Arena *, const char *s, size_t n);

#endif

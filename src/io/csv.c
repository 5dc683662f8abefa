/* See the header. */
#include "io/csv.h"

#include <string.h>

/* The text between the quotes, with a pair of them as one, moves to the front of it; *s ends behind the field. */
static Status quoted(Bytes *out, Csv *in, char **s, int64_t first)
{
    char *at = *s, *to = at++;
    out->text = to;
    for (; *at && (*at != '"' || at[1] == '"'); at++) {
        in->line += *at == '\n';
        at += *at == '"';
        *to++ = *at;
    }
    out->len = (size_t)(to - out->text);
    if (*at++ != '"') return err_fail(E_FORMAT, "%s:%lld: a quoted field has no end", in->path, (long long)first);
    *s = at + strspn(at, in->separator == '\t' ? " " : " \t");
    return OK;
}

Status csv_next(Bytes *field, int *n, Csv *in)
{
    const char stops[] = {in->separator, '\r', '\n', 0};
    char *s = in->at;
    int64_t first = in->line;
    for (*n = 0;; s++) {
        if (*n == CSV_FIELDS)
            return err_fail(E_FORMAT, "%s:%lld: more than %d fields", in->path, (long long)first, CSV_FIELDS);
        Bytes f = {s, 0};
        if (*s == '"') {
            TRY(quoted(&f, in, &s, first));
        } else {
            s += strcspn(s, stops);
            f.len = (size_t)(s - f.text);
        }
        field[(*n)++] = f;
        if (*s != in->separator) break;
    }
    s += *s == '\r';
    if (*s && *s != '\n')
        return err_fail(E_FORMAT, "%s:%lld: expected a %s after field %d", in->path, (long long)first,
                        in->separator == '\t' ? "tab" : "comma", *n);
    in->at = s + (*s == '\n');
    in->line++;
    return OK;
}

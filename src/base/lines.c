/* An array of objects is cut into rows by counting brackets outside of strings: the contents of strings are left to
 * the parser of the row. */
#include "base/lines.h"

#include <errno.h>
#include <string.h>

enum { LONGEST_ROW = 1 << 26 }; /* 64 MiB; parsed it takes several times that */

/* ---- marks of byte order */

/* Bytes of UTF-8's mark at the beginning of a file, 0 or 3; other encodings are refused. */
static Status skip_mark(size_t *skip, const char *s, size_t n, const char *path)
{
    static const struct {
        const char *mark;
        size_t n;
        const char *name;
    } OTHER[] = {{"\xff\xfe\0\0", 4, "UTF-32"},
                 {"\0\0\xfe\xff", 4, "UTF-32"},
                 {"\xff\xfe", 2, "UTF-16"},
                 {"\xfe\xff", 2, "UTF-16"}};
    *skip = n >= 3 && !memcmp(s, "\xef\xbb\xbf", 3) ? 3 : 0;
    for (size_t i = 0; i < sizeof OTHER / sizeof *OTHER; i++)
        if (n >= OTHER[i].n && !memcmp(s, OTHER[i].mark, OTHER[i].n))
            return err_fail(E_FORMAT, "%s: is %s text, expected UTF-8; `iconv -f %s -t UTF-8` converts it", path,
                            OTHER[i].name, OTHER[i].name);
    return OK;
}

/* ---- whole texts */

static Status refuse_byte(const char *path, const char *text, size_t at)
{
    int64_t line = 1;
    size_t begin = 0;
    for (size_t i = 0; i < at; i++)
        if (text[i] == '\n') line++, begin = i + 1;
    if (!text[at])
        return err_fail(E_FORMAT, "%s:%lld: byte %zu of the line is zero, expected text", path, (long long)line,
                        at - begin + 1);
    return err_fail(E_FORMAT, "%s:%lld: byte %zu of the line, 0x%02X, is not UTF-8", path, (long long)line,
                    at - begin + 1, (unsigned char)text[at]);
}

Status text_check(Bytes *text, const char *path, TextBytes bytes)
{
    size_t skip;
    TRY(skip_mark(&skip, text->text, text->len, path));
    *text = (Bytes){text->text + skip, text->len - skip};
    const char *zero = bytes == BYTES_ANY ? NULL : memchr(text->text, 0, text->len);
    size_t at = 0, end = zero ? (size_t)(zero - text->text) : text->len;
    for (size_t n; at < end; at += n) {
        n = bytes != BYTES_UTF8 ? end : utf8_length(text->text + at, end - at);
        if (!n) return refuse_byte(path, text->text, at);
    }
    return zero ? refuse_byte(path, text->text, end) : OK;
}

Status text_read(Bytes *out, Arena *a, const char *path, TextBytes bytes)
{
    TRY(file_read(out, a, path));
    return text_check(out, path, bytes);
}

/* ---- lines */

TextLines lines_in(Bytes text)
{
    return (TextLines){.at = text.text, .end = text.text + text.len};
}

bool lines_next(TextLines *l)
{
    if (l->at >= l->end) return false;
    char *begin = l->at, *stop = memchr(begin, '\n', (size_t)(l->end - begin));
    if (!stop) stop = l->end;
    l->at = stop + 1;
    if (stop > begin && stop[-1] == '\r') stop--;
    *stop = 0;
    l->line = (Bytes){begin, (size_t)(stop - begin)};
    l->number++;
    return true;
}

bool line_blank(Bytes line)
{
    size_t n = 0;
    while (n < line.len && strchr(" \t\r", line.text[n]) && line.text[n]) n++;
    return n == line.len;
}

/* ---- rows */

static Status open_rows(RowReader *r, FILE *file, const char *path)
{
    *r = (RowReader){.path = path, .file = file, .newlines = 1};
    if (!file) return err_fail(E_IO, "%s: %s", path, strerror(errno));
    r->arena = arena_open((size_t)4 * LONGEST_ROW); /* a row that grows by doubling, and one more row */
    r->row = buf_open(&r->arena);
    return OK;
}

Status rows_open(RowReader *r, const char *path)
{
    return open_rows(r, fopen(path, "rb"), path);
}

Status rows_of(RowReader *r, Bytes text, const char *path)
{
    return open_rows(r, fmemopen(text.text, text.len, "rb"), path);
}

void rows_close(RowReader *r)
{
    if (r->file) fclose(r->file);
    if (r->file) arena_close(&r->arena);
    *r = (RowReader){0};
}

bool rows_begin(Bytes text)
{
    const char *s = text.text + strspn(text.text, " \t\r\n");
    if (*s == '[') s += 1 + strspn(s + 1, " \t\r\n");
    return *s == '{';
}

static int next(RowReader *r)
{
    int c = r->n_held ? r->held[--r->n_held] : getc_unlocked(r->file);
    r->newlines += c == '\n';
    return c;
}

static void back(RowReader *r, int c)
{
    if (c == EOF) return;
    r->newlines -= c == '\n';
    r->held[r->n_held++] = (unsigned char)c;
}

static int next_solid(RowReader *r)
{
    int c;
    do c = next(r);
    while (c == ' ' || c == '\t' || c == '\r' || c == '\n');
    return c;
}

static Status add(RowReader *r, const char *part, size_t n)
{
    buf_add(&r->row, part, n);
    if (r->row.len <= LONGEST_ROW) return OK;
    return err_fail(E_FORMAT, "%s:%lld: the row has more than %d bytes", r->path, (long long)r->line, LONGEST_ROW);
}

static Status ended(const RowReader *r)
{
    return ferror(r->file) ? err_fail(E_IO, "%s: %s", r->path, strerror(errno)) : OK;
}

/* The next line that is not blank. */
static Status next_line(RowReader *r, bool *more)
{
    char part[4096];
    size_t n = 0;
    int c = next_solid(r);
    r->line = r->newlines;
    for (*more = c != EOF; c != EOF && c != '\n'; c = next(r)) {
        part[n++] = (char)c;
        if (n < sizeof part) continue;
        TRY(add(r, part, n));
        n = 0;
    }
    TRY(add(r, part, n));
    return ended(r);
}

/* The next element of an array; the text before it, a comma or nothing, has been read. */
static Status next_element(RowReader *r, bool *more)
{
    char part[4096];
    size_t n = 0;
    bool string = false, escaped = false;
    int c = next_solid(r), depth = 0;
    r->line = r->newlines;
    for (*more = true; c != EOF; c = next(r)) {
        if (!string && !depth && (c == ',' || c == ']')) break;
        depth += string ? 0 : (c == '{' || c == '[') - (c == '}' || c == ']');
        string ^= c == '"' && !escaped;
        escaped = string && c == '\\' && !escaped;
        part[n++] = (char)c;
        if (n < sizeof part) continue;
        TRY(add(r, part, n));
        n = 0;
    }
    TRY(add(r, part, n));
    TRY(ended(r));
    if (c == EOF) return err_fail(E_FORMAT, "%s:%lld: the JSON array has no end", r->path, (long long)r->newlines);
    back(r, c);
    return OK;
}

/* The comma in front of an element that is not the first, or the end of the array and of the file. */
static Status between(RowReader *r, bool first, bool *end)
{
    int c = r->over ? EOF : next_solid(r);
    *end = c == ']' || r->over;
    if (*end && (r->over || next_solid(r) == EOF)) {
        r->over = true;
        return ended(r);
    }
    if (*end) return err_fail(E_FORMAT, "%s:%lld: more text after the JSON array", r->path, (long long)r->newlines);
    if (c == ',' && !first) return OK;
    if (first) back(r, c);
    return first && c != EOF
               ? OK
               : err_fail(E_FORMAT, "%s:%lld: the JSON array has no end", r->path, (long long)r->newlines);
}

/* Behind the mark of byte order: whether the file is an array. */
static Status begin(RowReader *r)
{
    char head[4];
    size_t n = 0, skip;
    for (int c; n < sizeof head && (c = getc_unlocked(r->file)) != EOF;) head[n++] = (char)c;
    TRY(ended(r));
    TRY(skip_mark(&skip, head, n, r->path));
    while (n > skip) r->held[r->n_held++] = (unsigned char)head[--n];
    int c = next_solid(r);
    r->array = c == '[';
    if (!r->array) back(r, c);
    return OK;
}

Status rows_next(RowReader *r, bool *more)
{
    bool end = false, first = !r->begun;
    *more = false;
    r->row.len = 0;
    if (first) TRY(begin(r));
    r->begun = true;
    if (!r->array) return next_line(r, more);
    TRY(between(r, first, &end));
    return end ? OK : next_element(r, more);
}

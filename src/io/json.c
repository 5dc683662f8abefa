/* cJSON accepts bytes that are not UTF-8, reports a position, not a line, and ends strings at a NUL: all are mended
 * here.  Files are read as Python's json module reads them, because it is Python that reads and writes them
 * elsewhere: of a key that stands twice the last one counts, and NaN and Infinity are values. */
#include "io/json.h"

#include <stdlib.h>
#include <string.h>

#include "base/download.h"
#include "base/file.h"
#include "base/lines.h"
#include "base/print.h"

/* The first byte that is not UTF-8, or len. */
static size_t valid_length(const char *text, size_t len)
{
    size_t at = 0;
    for (size_t n; at < len && (n = utf8_length(text + at, len - at)) > 0;) at += n;
    return at;
}

static Status bad_at(const char *path, const char *text, size_t at, const char *what)
{
    int line = 1, column = 1;
    for (size_t i = 0; i < at; i++) {
        column = text[i] == '\n' ? 1 : column + 1;
        line += text[i] == '\n';
    }
    return err_fail(E_FORMAT, "%s:%d:%d: %s", path, line, column, what);
}

/* Where a string has the escape of a zero byte, or len. */
static size_t zero_at(const char *text, size_t len)
{
    for (const char *s = text; (s = memchr(s, '\\', len - (size_t)(s - text))); s += 2) {
        if (len - (size_t)(s - text) < 6) break;
        if (!memcmp(s, "\\u0000", 6)) return (size_t)(s - text);
    }
    return len;
}

int64_t json_mend_zeros(char *text, size_t len)
{
    int64_t n = 0;
    for (size_t at; (at = zero_at(text, len)) < len; n++) memcpy(text + at, "\\uFFFD", 6);
    return n;
}

Status json_parse(cJSON **root, const char *text, size_t len, const char *path)
{
    *root = NULL;
    size_t valid = valid_length(text, len), zero = zero_at(text, len);
    if (valid < len) return bad_at(path, text, valid, "the bytes are not UTF-8");
    if (zero < len) return bad_at(path, text, zero, "\\u0000 is a zero byte, expected text without");
    const char *end = text;
    cJSON *j = cJSON_ParseWithLengthOpts(text, len, &end, 0);
    size_t at = end ? (size_t)(end - text) : 0;
    if (at > len) at = len;
    if (!j) return bad_at(path, text, at, "this is not JSON");
    while (at < len && strchr(" \t\r\n", text[at]) && text[at]) at++;
    if (at < len) {
        cJSON_Delete(j);
        return bad_at(path, text, at, "more text after the JSON value");
    }
    *root = j;
    return OK;
}

/* ---- files, as Python reads them */

/* The length of a number that JSON has not and Python has: NaN, Infinity or -Infinity; else 0. */
static size_t python_number(const char *s, size_t n)
{
    static const char *const NAMES[] = {"NaN", "Infinity", "-Infinity"};
    for (int i = 0; i < 3; i++) {
        size_t length = strlen(NAMES[i]);
        if (n >= length && !memcmp(s, NAMES[i], length)) return length;
    }
    return 0;
}

/* Such a number becomes a string of its name, which no reader of a number takes for one. */
static Bytes quote_numbers(Arena *a, Bytes text)
{
    Buf b = buf_open(a);
    size_t from = 0;
    bool inside = false; /* a string */
    for (size_t i = 0; i < text.len; i++) {
        if (inside && text.text[i] == '\\') {
            i++;
            continue;
        }
        if (text.text[i] == '"') inside = !inside;
        size_t n = inside ? 0 : python_number(text.text + i, text.len - i);
        if (!n) continue;
        buf_add(&b, text.text + from, i - from);
        buf_print(&b, "\"%.*s\"", (int)n, text.text + i);
        from = i + n;
        i += n - 1;
    }
    if (!from) return text;
    buf_add(&b, text.text + from, text.len - from);
    return (Bytes){b.text, b.len};
}

typedef struct {
    cJSON *item;
    int place;
} Member;

static int by_key_and_place(const void *a, const void *b)
{
    const Member *x = a, *y = b;
    int order = strcmp(x->item->string, y->item->string);
    return order ? order : x->place - y->place;
}

/* Of members of one name all but the last are removed. */
static void keep_last(cJSON *object, Arena *a)
{
    int n = 0, room = cJSON_GetArraySize(object);
    Member *all = cJSON_IsObject(object) && room > 1 ? NEW(a, Member, room) : NULL;
    cJSON *j;
    cJSON_ArrayForEach(j, object)
    {
        if (cJSON_IsObject(j) || cJSON_IsArray(j)) keep_last(j, a);
        if (all) all[n] = (Member){j, n}, n++;
    }
    if (n) qsort(all, (size_t)n, sizeof *all, by_key_and_place);
    for (int i = 0; i + 1 < n; i++)
        if (!strcmp(all[i].item->string, all[i + 1].item->string))
            cJSON_Delete(cJSON_DetachItemViaPointer(object, all[i].item));
}

Status json_parse_python(cJSON **root, Arena *a, Bytes text, const char *path)
{
    *root = NULL;
    const char *fault = download_fault(text.text, text.len, true);
    if (fault) return err_fail(E_FORMAT, "%s: %s", path, fault);
    text = quote_numbers(a, text);
    TRY(json_parse(root, text.text, text.len, path));
    keep_last(*root, a);
    return OK;
}

Status json_read(cJSON **root, Arena *a, const char *path)
{
    *root = NULL;
    Bytes file;
    TRY(text_read(&file, a, path, BYTES_UTF8));
    return json_parse_python(root, a, file, path);
}

/* ---- members */

static const cJSON *member(const cJSON *object, const char *key)
{
    const cJSON *j = cJSON_GetObjectItemCaseSensitive(object, key);
    return cJSON_IsNull(j) ? NULL : j;
}

const char *json_text_in(const cJSON *object, const char *key)
{
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, key));
}

bool json_has(const cJSON *object, const char *key)
{
    return member(object, key) != NULL;
}

Status json_real(double *out, const cJSON *object, const char *key, double least, double most, const char *path)
{
    const cJSON *j = member(object, key);
    if (!j) return OK;
    if (!cJSON_IsNumber(j)) return err_fail(E_FORMAT, "%s: %s is not a number", path, key);
    if (!(j->valuedouble >= least && j->valuedouble <= most))
        return err_fail(E_FORMAT, "%s: %s is %.10g, expected %.10g to %.10g", path, key, j->valuedouble, least, most);
    *out = j->valuedouble;
    return OK;
}

Status json_int(int *out, const cJSON *object, const char *key, int least, int most, const char *path)
{
    double x = *out;
    TRY(json_real(&x, object, key, least, most, path));
    if (x != (double)(int)x) return err_fail(E_FORMAT, "%s: %s is %.10g, expected a whole number", path, key, x);
    *out = (int)x;
    return OK;
}

Status json_bool(bool *out, const cJSON *object, const char *key, const char *path)
{
    const cJSON *j = member(object, key);
    if (!j) return OK;
    if (!cJSON_IsBool(j)) return err_fail(E_FORMAT, "%s: %s is not true or false", path, key);
    *out = cJSON_IsTrue(j);
    return OK;
}

Status json_text(const char **out, const cJSON *object, const char *key, const char *path)
{
    const cJSON *j = member(object, key);
    if (!j) return OK;
    if (!cJSON_IsString(j)) return err_fail(E_FORMAT, "%s: %s is not a string", path, key);
    *out = j->valuestring;
    return OK;
}

/* A character that a JSON string holds as an escape. */
static void escape(Buf *b, Glyph g)
{
    if (!g.valid)
        buf_print(b, "\uFFFD");
    else if (g.code == '\n')
        buf_print(b, "\\n");
    else if (g.code == '\t')
        buf_print(b, "\\t");
    else if (g.obeyed)
        buf_print(b, "\\u%04x", (unsigned)g.code);
    else
        buf_print(b, "\\%c", (char)g.code);
}

/* A character that is no part of a string as it stands.  In a document that cJSON printed, quotation marks,
 * backslashes and the ends of lines are where they belong. */
static bool is_hard(Glyph g, bool printed)
{
    if (printed) return g.obeyed && g.code != '\n' && g.code != '\t';
    return g.obeyed || g.code == '"' || g.code == '\\';
}

static void add_safe(Buf *b, const char *s, size_t n, bool printed)
{
    for (size_t i = 0, end = 0; i < n; i = end) {
        Glyph g = {0};
        for (; end < n; end += g.bytes)
            if (g = glyph_at(s + end, n - end), is_hard(g, printed)) break;
        buf_add(b, s + i, end - i);
        if (end == n) return;
        escape(b, g);
        end += g.bytes;
    }
}

void json_escape(Buf *b, const char *s)
{
    add_safe(b, s, strlen(s), false);
}

void json_quote_bytes(Buf *b, const char *s, size_t n)
{
    buf_add(b, "\"", 1);
    add_safe(b, s, n, false);
    buf_add(b, "\"", 1);
}

void json_quote(Buf *b, const char *s)
{
    json_quote_bytes(b, s, strlen(s));
}

char *json_printed(const cJSON *value, bool one_line)
{
    char *printed = one_line ? cJSON_PrintUnformatted(value) : cJSON_Print(value);
    if (!printed) err_no_memory("none for JSON text");
    Arena a = arena_open(0);
    Buf b = buf_open(&a);
    add_safe(&b, printed, strlen(printed), true);
    cJSON_free(printed);
    char *text = cJSON_malloc(b.len + 1);
    if (!text) err_no_memory("none for %zu bytes of JSON text", b.len);
    memcpy(text, b.text, b.len + 1);
    arena_close(&a);
    return text;
}

void json_print(const cJSON *value)
{
    char *text = json_printed(value, false);
    print_document(text);
    cJSON_free(text);
}

Status json_write(const cJSON *value, const char *path)
{
    char *text = json_printed(value, false);
    Writer w;
    Status s = writer_open(&w, path);
    if (!s) {
        writer_print(&w, "%s\n", text);
        s = writer_close(&w);
    }
    cJSON_free(text);
    return s;
}

cJSON *json_string(Arena *a, const char *s, size_t n)
{
    Buf b = buf_open(a);
    json_quote_bytes(&b, s, n);
    return cJSON_CreateRaw(b.text);
}

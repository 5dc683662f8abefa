/* cJSON accepts bytes that are not UTF-8 and reports a position, not a line: both are mended here. */
#include "io/json.h"

#include <string.h>

#include "base/file.h"

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
    return fail(E_FORMAT, "%s:%d:%d: %s", path, line, column, what);
}

Status json_parse(cJSON **root, const char *text, size_t len, const char *path)
{
    *root = NULL;
    size_t valid = valid_length(text, len);
    if (valid < len) return bad_at(path, text, valid, "the bytes are not UTF-8");
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

Status json_read(cJSON **root, Arena *a, const char *path)
{
    *root = NULL;
    Bytes file;
    TRY(file_read(&file, a, path));
    return json_parse(root, file.text, file.len, path);
}

static const cJSON *member(const cJSON *object, const char *key)
{
    const cJSON *j = cJSON_GetObjectItemCaseSensitive(object, key);
    return cJSON_IsNull(j) ? NULL : j;
}

bool json_has(const cJSON *object, const char *key)
{
    return member(object, key) != NULL;
}

Status json_real(double *out, const cJSON *object, const char *key, double least, double most, const char *path)
{
    const cJSON *j = member(object, key);
    if (!j) return OK;
    if (!cJSON_IsNumber(j)) return fail(E_FORMAT, "%s: %s is not a number", path, key);
    if (!(j->valuedouble >= least && j->valuedouble <= most))
        return fail(E_FORMAT, "%s: %s is %.10g, expected %.10g to %.10g", path, key, j->valuedouble, least, most);
    *out = j->valuedouble;
    return OK;
}

Status json_int(int *out, const cJSON *object, const char *key, int least, int most, const char *path)
{
    double x = *out;
    TRY(json_real(&x, object, key, least, most, path));
    if (x != (double)(int)x) return fail(E_FORMAT, "%s: %s is %.10g, expected a whole number", path, key, x);
    *out = (int)x;
    return OK;
}

Status json_bool(bool *out, const cJSON *object, const char *key, const char *path)
{
    const cJSON *j = member(object, key);
    if (!j) return OK;
    if (!cJSON_IsBool(j)) return fail(E_FORMAT, "%s: %s is not true or false", path, key);
    *out = cJSON_IsTrue(j);
    return OK;
}

Status json_text(const char **out, const cJSON *object, const char *key, const char *path)
{
    const cJSON *j = member(object, key);
    if (!j) return OK;
    if (!cJSON_IsString(j)) return fail(E_FORMAT, "%s: %s is not a string", path, key);
    *out = j->valuestring;
    return OK;
}

void json_escape(Buf *b, const char *s)
{
    for (size_t n; *s; s += n) {
        n = 0;
        while ((unsigned char)s[n] >= 32 && s[n] != '"' && s[n] != '\\') n++;
        buf_add(b, s, n);
        if (!s[n]) break;
        if ((unsigned char)s[n] < 32)
            buf_print(b, "\\u%04x", (unsigned)s[n]);
        else
            buf_print(b, "\\%c", s[n]);
        n++;
    }
}

void json_quote(Buf *b, const char *s)
{
    buf_add(b, "\"", 1);
    json_escape(b, s);
    buf_add(b, "\"", 1);
}

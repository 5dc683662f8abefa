#include "io/columns.h"

#include <math.h>
#include <string.h>

#include "base/lines.h"
#include "io/json.h"

enum { MOST_FIELDS = 4096 };

typedef struct {
    const char *path;
    Arena *arena;
    int n; /* columns wanted */
    const char *const *wanted;
    double **column;
    int64_t rows, room;
    int64_t line;
} Reader;

static void new_row(Reader *r, const double *value)
{
    if (r->rows == r->room) {
        r->room = r->room ? 2 * r->room : 1 << 10;
        for (int k = 0; k < r->n; k++) {
            double *old = r->column[k];
            r->column[k] = arena_take(r->arena, sizeof *old * (size_t)r->room);
            if (r->rows) memcpy(r->column[k], old, sizeof *old * (size_t)r->rows);
        }
    }
    for (int k = 0; k < r->n; k++) r->column[k][r->rows] = value[k];
    r->rows++;
}

/* The next term of a sum of names, or NULL after the last. */
static const char *term(const Reader *r, const char **at)
{
    if (!*at) return NULL;
    size_t k = strcspn(*at, "+");
    const char *name = str_copy(r->arena, *at, k);
    *at = (*at)[k] ? *at + k + 1 : NULL;
    return name;
}

/* ---- JSON Lines */

/* The member of that name, NULL when absent.  One that is there twice is refused: which of them counts is unknown. */
static Status member(const cJSON **out, const Reader *r, const cJSON *object, const char *name)
{
    *out = NULL;
    for (const cJSON *j = cJSON_IsObject(object) ? object->child : NULL; j; j = j->next) {
        if (strcmp(j->string, name) != 0) continue;
        if (*out) return fail(E_FORMAT, "%s:%lld: '%s' is there twice", r->path, (long long)r->line, name);
        *out = j;
    }
    return OK;
}

static Status at_path(double *out, const Reader *r, const cJSON *object, const char *path)
{
    const cJSON *item;
    TRY(member(&item, r, object, path)); /* a name may itself hold dots */
    for (const char *at = path; !item && cJSON_IsObject(object); at += strcspn(at, ".") + 1) {
        const char *name = str_copy(r->arena, at, strcspn(at, "."));
        TRY(member(&object, r, object, name));
        if (!at[strcspn(at, ".")]) {
            item = object;
            break;
        }
    }
    if (!(cJSON_IsNumber(item) && isfinite(item->valuedouble)) && !cJSON_IsBool(item))
        return fail(E_FORMAT, "%s:%lld: '%s' is %s, expected a number", r->path, (long long)r->line, path,
                    item ? "something else" : "absent");
    *out = cJSON_IsNumber(item) ? item->valuedouble : cJSON_IsTrue(item);
    return OK;
}

static Status json_row(double *value, const Reader *r, Buf row)
{
    cJSON *root;
    TRY(json_parse(&root, row.text, row.len,
                   str_print(r->arena, "%s, row on line %lld", r->path, (long long)r->line)));
    Status s = OK;
    for (int i = 0; i < r->n && !s; i++) {
        const char *rest = r->wanted[i], *name;
        value[i] = 0;
        for (double x = 0; !s && (name = term(r, &rest)); value[i] += x) s = at_path(&x, r, root, name);
    }
    cJSON_Delete(root);
    return s;
}

static Status read_json(Reader *r, Bytes text)
{
    RowReader rows;
    double *value = NEW(r->arena, double, r->n);
    Status s = rows_of(&rows, text, r->path);
    for (bool more = true; !s && !(s = rows_next(&rows, &more)) && more;) {
        r->line = rows.line;
        s = json_row(value, r, rows.row);
        if (!s) new_row(r, value);
    }
    rows_close(&rows);
    return s;
}

/* ---- CSV */

/* One record: fields are cut out of the text in place.  *at moves behind its line end. */
static Status record(Bytes *field, int *n, Reader *r, char **at)
{
    char *s = *at;
    int64_t first = r->line;
    for (*n = 0;; s++) {
        if (*n == MOST_FIELDS)
            return fail(E_FORMAT, "%s:%lld: more than %d fields", r->path, (long long)first, MOST_FIELDS);
        Bytes f = {s, 0};
        if (*s == '"') {
            char *to = s++;
            for (f.text = to; *s && (*s != '"' || s[1] == '"'); s++) {
                r->line += *s == '\n';
                s += *s == '"';
                *to++ = *s;
            }
            f.len = (size_t)(to - f.text);
            if (*s++ != '"') return fail(E_FORMAT, "%s:%lld: a quoted field has no end", r->path, (long long)first);
            s += strspn(s, " \t");
        } else {
            s += strcspn(s, ",\r\n");
            f.len = (size_t)(s - f.text);
        }
        field[(*n)++] = f;
        if (*s != ',') break;
    }
    s += *s == '\r';
    if (*s && *s != '\n')
        return fail(E_FORMAT, "%s:%lld: expected a comma after field %d", r->path, (long long)first, *n);
    *at = s + (*s == '\n');
    r->line++;
    return OK;
}

static Status place_of(int *out, Reader *r, const Bytes *name, int names, const char *wanted)
{
    int found = 0;
    for (int k = names; k-- > 0;)
        if (name[k].len == strlen(wanted) && !memcmp(name[k].text, wanted, name[k].len)) *out = k, found++;
    if (found > 1)
        return fail(E_FORMAT, "%s:1: '%s' is the name of %s columns, expected one", r->path, wanted,
                    found == 2 ? "two" : "more than two");
    if (found) return OK;
    Buf known = buf_open(r->arena);
    for (int k = 0; k < names && k < 40; k++)
        buf_print(&known, "%s%.*s", k ? ", " : "", (int)name[k].len, name[k].text);
    return fail(E_FORMAT, "%s:1: no column is called '%s'; there are %.900s", r->path, wanted, known.text);
}

static Status read_csv(Reader *r, Bytes text)
{
    enum { TERMS = 16 };
    Bytes *field = NEW(r->arena, Bytes, MOST_FIELDS);
    int names, n, (*place)[TERMS] = arena_zero(r->arena, sizeof *place * (size_t)r->n),
                  *terms = NEW(r->arena, int, r->n);
    char *at = text.text;
    TRY(record(field, &names, r, &at));
    for (int i = 0; i < r->n; i++)
        for (const char *rest = r->wanted[i], *name; (name = term(r, &rest));) {
            if (terms[i] == TERMS) return fail(E_CONFIG, "'%s': a sum has at most %d columns", r->wanted[i], TERMS);
            TRY(place_of(&place[i][terms[i]++], r, field, names, name));
        }
    double *value = NEW(r->arena, double, r->n);
    while (*at) {
        int64_t line = r->line;
        TRY(record(field, &n, r, &at));
        if (n == 1 && line_blank(field[0])) continue;
        if (n != names)
            return fail(E_FORMAT, "%s:%lld: %d fields, expected the %d of line 1", r->path, (long long)line, n,
                        names);
        for (int i = 0; i < r->n; i++) {
            value[i] = 0;
            for (int k = 0; k < terms[i]; k++) {
                Bytes f = field[place[i][k]];
                const char *word = str_copy(r->arena, f.text, f.len);
                double x = !strcmp(word, "True") || !strcmp(word, "true");
                if (!x && strcmp(word, "False") && strcmp(word, "false") && !str_real(word, &x))
                    return fail(E_FORMAT, "%s:%lld: '%.40s' in column %d, expected a number", r->path,
                                (long long)line, word, place[i][k] + 1);
                value[i] += x;
            }
        }
        new_row(r, value);
    }
    return OK;
}

Status columns_read(double **column, int64_t *rows, Arena *a, const char *path, int n, const char *const *wanted)
{
    Bytes text;
    TRY(text_read(&text, a, path, BYTES_UTF8));
    Reader r = {.path = path, .arena = a, .n = n, .wanted = wanted, .column = column, .line = 1};
    char first = text.text[strspn(text.text, " \t\r\n")];
    TRY(first == '{' || first == '[' ? read_json(&r, text) : read_csv(&r, text));
    if (!r.rows)
        return fail(E_FORMAT, "%s: has no rows, expected a CSV file with names, JSON Lines or a JSON array", path);
    *rows = r.rows;
    return OK;
}

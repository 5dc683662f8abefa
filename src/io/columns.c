/* One reader for the three forms: each row becomes one number for each wanted column, and the columns grow together.
 * A text in a column of texts becomes the number of its first appearance. */
#include "io/columns.h"

#include <math.h>
#include <string.h>

#include "base/lines.h"
#include "base/table.h"
#include "io/csv.h"
#include "io/json.h"

typedef struct {
    const char *path;
    Arena *arena;
    int n; /* columns wanted */
    const char *const *wanted;
    const ColumnKind *kind; /* (n) */
    double **column;
    int64_t rows, room;
    int64_t line;
    Table text;   /* of columns of texts: their numbers */
    bool *absent; /* (n) optional, and not in the file */
} Reader;

static void new_row(Reader *r, const double *value)
{
    if (r->rows == r->room) {
        int64_t was = r->room;
        r->room = was ? 2 * was : 1 << 10;
        for (int k = 0; k < r->n; k++)
            r->column[k] =
                arena_grow(r->arena, r->column[k], sizeof(double) * (size_t)was, sizeof(double) * (size_t)r->room);
    }
    for (int k = 0; k < r->n; k++) r->column[k][r->rows] = value[k];
    r->rows++;
}

static double number_of(Reader *r, const char *text, size_t n)
{
    bool added;
    int64_t *number = table_add(&r->text, text, n, &added);
    if (added) *number = r->text.count - 1;
    return (double)*number;
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

/* ---- names that are there, for the error about another */

enum { MOST_NAMED = 40 };
typedef struct {
    const char *name[MOST_NAMED + 1]; /* NULL-ended */
    int n;
} Names;

static void add_name(Names *all, const char *name)
{
    if (all->n < MOST_NAMED) all->name[all->n++] = name;
}

/* Whether the last part of a path is the word: "features.la" for la. */
static bool ends_as(const char *path, const char *word)
{
    const char *dot = strrchr(path, '.');
    return dot && !strcmp(dot + 1, word);
}

/* "b, a, c": the nearest first, the others in their order. */
static const char *names_said(Arena *a, const Names *all, const char *wanted)
{
    Buf said = buf_open(a);
    const char *nearest = NULL;
    for (int i = 0; i < all->n && !nearest; i++)
        if (ends_as(all->name[i], wanted)) nearest = all->name[i];
    if (!nearest) nearest = str_nearest(wanted, all->name);
    if (nearest) buf_print(&said, "%s", nearest);
    for (int i = 0; i < all->n; i++)
        if (all->name[i] != nearest) buf_print(&said, "%s%s", said.len ? ", " : "", all->name[i]);
    return said.text;
}

/* ---- JSON Lines */

/* The member of that name, NULL when absent.  One that is there twice is refused: which of them counts is unknown. */
static Status member(const cJSON **out, const Reader *r, const cJSON *object, const char *name)
{
    *out = NULL;
    for (const cJSON *j = cJSON_IsObject(object) ? object->child : NULL; j; j = j->next) {
        if (strcmp(j->string, name) != 0) continue;
        if (*out) return err_fail(E_FORMAT, "%s:%lld: '%s' is there twice", r->path, (long long)r->line, name);
        *out = j;
    }
    return OK;
}

static Status at_path(const cJSON **out, const Reader *r, const cJSON *object, const char *path)
{
    TRY(member(out, r, object, path)); /* a name may itself hold dots */
    for (const char *at = path; !*out && cJSON_IsObject(object); at += strcspn(at, ".") + 1) {
        const char *name = str_copy(r->arena, at, strcspn(at, "."));
        TRY(member(&object, r, object, name));
        if (!at[strcspn(at, ".")]) {
            *out = object;
            break;
        }
    }
    return OK;
}

/* The keys of a record, those of objects in it as paths. */
static void add_keys(Names *all, Arena *a, const cJSON *object, const char *above, int depth)
{
    enum { DEEPEST = 3 };
    for (const cJSON *j = object->child; j; j = j->next) {
        const char *path = str_print(a, "%s%s%s", above, *above ? "." : "", j->string);
        if (cJSON_IsObject(j) && j->child && depth < DEEPEST)
            add_keys(all, a, j, path, depth + 1);
        else
            add_name(all, path);
    }
}

static Status no_key(const Reader *r, const cJSON *record, const char *wanted)
{
    Names all = {0};
    if (!cJSON_IsObject(record))
        return err_fail(E_FORMAT, "%s:%lld: the row is not an object, expected one with the key '%s'", r->path,
                        (long long)r->line, wanted);
    add_keys(&all, r->arena, record, "", 0);
    return err_fail(E_FORMAT, "%s:%lld: the record has no key '%s'; there %s %.900s", r->path, (long long)r->line,
                    wanted, str_plural(all.n, "is", "are"), all.n ? names_said(r->arena, &all, wanted) : "none");
}

static Status number_at(double *out, const Reader *r, const cJSON *object, const char *path)
{
    const cJSON *item;
    TRY(at_path(&item, r, object, path));
    if (!item) return no_key(r, object, path);
    if (!(cJSON_IsNumber(item) && isfinite(item->valuedouble)) && !cJSON_IsBool(item))
        return err_fail(E_FORMAT, "%s:%lld: '%s' is something else, expected a number", r->path, (long long)r->line,
                        path);
    *out = cJSON_IsNumber(item) ? item->valuedouble : cJSON_IsTrue(item);
    return OK;
}

static Status text_at(double *out, Reader *r, const cJSON *object, const char *path)
{
    const cJSON *item;
    TRY(at_path(&item, r, object, path));
    if (!item) return no_key(r, object, path);
    if (!cJSON_IsString(item) && !cJSON_IsNumber(item))
        return err_fail(E_FORMAT, "%s:%lld: '%s' is something else, expected a text or a number", r->path,
                        (long long)r->line, path);
    const char *s = cJSON_IsString(item) ? item->valuestring : str_print(r->arena, "%.17g", item->valuedouble);
    *out = number_of(r, s, strlen(s));
    return OK;
}

/* Column i of a row; the first row decides which of the optional ones there are. */
static Status json_column(double *out, Reader *r, const cJSON *root, int i)
{
    *out = 0;
    if (r->kind[i] == COLUMN_TEXT) return text_at(out, r, root, r->wanted[i]);
    double x = 0;
    for (const char *rest = r->wanted[i], *name; (name = term(r, &rest)); *out += x) {
        const cJSON *item;
        TRY(at_path(&item, r, root, name));
        if (!r->rows && r->kind[i] == COLUMN_OPTIONAL) r->absent[i] |= !item;
        if (r->absent[i]) return OK;
        TRY(number_at(&x, r, root, name));
    }
    return OK;
}

static Status json_row(double *value, Reader *r, Buf row)
{
    cJSON *root;
    TRY(json_parse(&root, row.text, row.len,
                   str_print(r->arena, "%s, row on line %lld", r->path, (long long)r->line)));
    Status s = OK;
    for (int i = 0; i < r->n && !s; i++) s = json_column(&value[i], r, root, i);
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

/* The first column of that name (-1: there is none), and how many have it. */
static int find_name(int *found, const Bytes *name, int names, const char *wanted)
{
    int place = -1;
    *found = 0;
    for (int k = names; k-- > 0;)
        if (name[k].len == strlen(wanted) && !memcmp(name[k].text, wanted, name[k].len)) place = k, ++*found;
    return place;
}

static Status place_of(int *out, Reader *r, const Bytes *name, int names, const char *wanted)
{
    int found;
    *out = find_name(&found, name, names, wanted);
    if (found > 1)
        return err_fail(E_FORMAT, "%s:1: '%s' is the name of %s columns, expected one", r->path, wanted,
                        found == 2 ? "two" : "more than two");
    if (found) return OK;
    Names all = {0};
    for (int k = 0; k < names; k++) add_name(&all, str_copy(r->arena, name[k].text, name[k].len));
    return err_fail(E_FORMAT, "%s:1: no column is called '%s'; there %s %.900s", r->path, wanted,
                    str_plural(all.n, "is", "are"), names_said(r->arena, &all, wanted));
}

enum { TERMS = 16 };
typedef struct {
    int terms, place[TERMS]; /* the columns of a sum */
} Sum;

static Status sum_of(Sum *out, Reader *r, const Bytes *name, int names, int i)
{
    const char *rest = r->wanted[i], *one;
    if (r->kind[i] == COLUMN_TEXT) return place_of(&out->place[out->terms++], r, name, names, rest);
    while ((one = term(r, &rest))) {
        int found;
        r->absent[i] |= r->kind[i] == COLUMN_OPTIONAL && find_name(&found, name, names, one) < 0;
        if (r->absent[i]) {
            out->terms = 0;
            break;
        }
        if (out->terms == TERMS) return err_fail(E_CONFIG, "'%s': a sum has at most %d columns", r->wanted[i], TERMS);
        TRY(place_of(&out->place[out->terms++], r, name, names, one));
    }
    return OK;
}

static Status number_in(double *out, Reader *r, Bytes field, int64_t line, int place)
{
    const char *word = str_copy(r->arena, field.text, field.len);
    *out = !strcmp(word, "True") || !strcmp(word, "true");
    if (*out > 0 || !strcmp(word, "False") || !strcmp(word, "false") || str_real(word, out)) return OK;
    return err_fail(E_FORMAT, "%s:%lld: '%.40s' in column %d, expected a number", r->path, (long long)line, word,
                    place + 1);
}

static Status read_csv(Reader *r, Bytes text)
{
    Bytes *field = NEW(r->arena, Bytes, CSV_FIELDS);
    int names, n;
    Sum *sum = NEW(r->arena, Sum, r->n);
    Csv in = {.path = r->path, .at = text.text, .separator = ',', .line = 1};
    TRY(csv_next(field, &names, &in));
    for (int i = 0; i < r->n; i++) TRY(sum_of(&sum[i], r, field, names, i));
    double *value = NEW(r->arena, double, r->n);
    while (*in.at) {
        int64_t line = in.line;
        TRY(csv_next(field, &n, &in));
        if (n == 1 && line_blank(field[0])) continue;
        if (n != names)
            return err_fail(E_FORMAT, "%s:%lld: %d %s, expected the %d of line 1", r->path, (long long)line, n,
                            str_plural(n, "field", "fields"), names);
        for (int i = 0; i < r->n; i++) {
            value[i] = 0;
            for (int k = 0; k < sum[i].terms; k++) {
                Bytes f = field[sum[i].place[k]];
                double x = 0;
                if (r->kind[i] == COLUMN_TEXT)
                    x = number_of(r, f.text, f.len);
                else
                    TRY(number_in(&x, r, f, line, sum[i].place[k]));
                value[i] += x;
            }
        }
        new_row(r, value);
    }
    return OK;
}

Status columns_read(double **column, int64_t *rows, Arena *a, const char *path, int n, const char *const *wanted)
{
    return columns_read_as(column, rows, a, path, n, wanted, NEW(a, ColumnKind, n));
}

Status columns_read_as(double **column, int64_t *rows, Arena *a, const char *path, int n, const char *const *wanted,
                       const ColumnKind *kind)
{
    Bytes text;
    TRY(text_read(&text, a, path, BYTES_UTF8));
    char first = text.text[strspn(text.text, " \t\r\n")];
    Reader r = {.path = path, .arena = a, .n = n, .wanted = wanted, .kind = kind, .column = column, .line = 1};
    r.text = table_open(a, 64);
    r.absent = NEW(a, bool, n);
    TRY(first == '{' || first == '[' ? read_json(&r, text) : read_csv(&r, text));
    if (!r.rows)
        return err_fail(E_FORMAT, "%s: has no rows, expected a CSV file with names, JSON Lines or a JSON array",
                        path);
    for (int k = 0; k < n; k++)
        if (r.absent[k]) column[k] = NULL;
    *rows = r.rows;
    return OK;
}

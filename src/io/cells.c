/* See the header. */
#include "io/cells.h"

#include <math.h>
#include <string.h>

#include "base/lines.h"
#include "base/str.h"
#include "io/csv.h"
#include "io/json.h"

enum { NAMES_MOST = 64 };
typedef struct {
    Cells *out;
    Arena *arena;
    int wanted;
    const char *const *name;
    const bool *optional;
    int64_t room;
    int place[CELLS_MOST]; /* of each wanted column in the file; -1: none */
} Reader;

/* ---- names */

/* "text, label": the nearest to the wanted one first. */
static const char *names_said(const Reader *r, const char *wanted)
{
    const char *nearest = str_nearest(wanted, r->out->name);
    Buf said = buf_open(r->arena);
    buf_print(&said, "%s", nearest ? nearest : "");
    for (int i = 0; i < r->out->columns; i++)
        if (r->out->name[i] != nearest) buf_print(&said, "%s%s", said.len ? ", " : "", r->out->name[i]);
    return said.text;
}

static Status no_column(const Reader *r, const char *wanted, int64_t line)
{
    return err_fail(E_FORMAT, "%s:%lld: has no column '%s'; there %s %.900s", r->out->path, (long long)line, wanted,
                    str_plural(r->out->columns, "is", "are"), r->out->columns ? names_said(r, wanted) : "none");
}

static Status place_columns(Reader *r)
{
    for (int k = 0; k < r->wanted; k++) {
        r->place[k] = -1;
        for (int i = r->out->columns; r->name[k] && i-- > 0;) {
            if (strcmp(r->out->name[i], r->name[k]) != 0) continue;
            if (r->place[k] >= 0)
                return err_fail(E_FORMAT, "%s:1: two columns are called '%s', expected one", r->out->path,
                                r->name[k]);
            r->place[k] = i;
        }
        if (r->name[k] && r->place[k] < 0 && !(r->optional && r->optional[k])) return no_column(r, r->name[k], 1);
    }
    return OK;
}

/* ---- rows */

static void new_row(Reader *r, int64_t line)
{
    Cells *c = r->out;
    if (c->n == r->room) {
        int64_t was = r->room;
        r->room = was ? 2 * was : 1 << 8;
        c->line = arena_grow(r->arena, c->line, sizeof *c->line * (size_t)was, sizeof *c->line * (size_t)r->room);
        for (int k = 0; k < r->wanted; k++)
            c->cell[k] =
                arena_grow(r->arena, c->cell[k], sizeof(Bytes) * (size_t)was, sizeof(Bytes) * (size_t)r->room);
    }
    c->line[c->n++] = line;
}

static char separator_of(const char *path, const char *text)
{
    size_t line = strcspn(text, "\n");
    bool tab = memchr(text, '\t', line), comma = memchr(text, ',', line);
    if (str_glob("*.tsv|*.tab", path)) return '\t';
    return !str_glob("*.csv", path) && tab && !comma ? '\t' : ',';
}

static Status read_csv(Reader *r, Bytes text)
{
    Cells *c = r->out;
    Csv in = {.path = c->path, .at = text.text, .separator = separator_of(c->path, text.text), .line = 1};
    Bytes *field = NEW(r->arena, Bytes, CSV_FIELDS);
    if (!*in.at) return OK;
    TRY(csv_next(field, &c->columns, &in));
    const char **name = NEW(r->arena, const char *, c->columns + 1);
    for (int i = 0; i < c->columns; i++) name[i] = str_copy(r->arena, field[i].text, field[i].len);
    c->name = name;
    TRY(place_columns(r));
    while (*in.at) {
        int n;
        int64_t line = in.line;
        TRY(csv_next(field, &n, &in));
        if (n == 1 && line_blank(field[0])) continue;
        if (n != c->columns)
            return err_fail(E_FORMAT, "%s:%lld: has %d %s, expected the %d of line 1", c->path, (long long)line, n,
                            str_plural(n, "field", "fields"), c->columns);
        new_row(r, line);
        for (int k = 0; k < r->wanted; k++)
            if (r->place[k] >= 0) c->cell[k][c->n - 1] = field[r->place[k]];
    }
    return OK;
}

/* ---- JSON */

static Status text_of(Bytes *out, const Reader *r, const cJSON *x, const char *where);

static bool is_word(Bytes b)
{
    return b.len && strcspn(b.text, " \t\r\n") == b.len;
}

static Status words_of(Bytes *out, const Reader *r, const cJSON *list, const char *where)
{
    Buf all = buf_open(r->arena);
    const cJSON *x;
    cJSON_ArrayForEach(x, list)
    {
        Bytes word;
        if (cJSON_IsArray(x)) return err_fail(E_FORMAT, "%s is a list of lists, expected words", where);
        TRY(text_of(&word, r, x, where));
        if (!is_word(word))
            return err_fail(E_FORMAT, "%s: '%.40s' in the list is empty or has a blank, expected a word", where,
                            word.text);
        buf_print(&all, "%s%s", all.len ? " " : "", word.text);
    }
    *out = all.text ? (Bytes){all.text, all.len} : (Bytes){str_copy(r->arena, "", 0), 0};
    return OK;
}

static Status text_of(Bytes *out, const Reader *r, const cJSON *x, const char *where)
{
    const char *s = "";
    if (cJSON_IsArray(x)) return words_of(out, r, x, where);
    if (cJSON_IsString(x))
        s = x->valuestring;
    else if (cJSON_IsBool(x))
        s = cJSON_IsTrue(x) ? "true" : "false";
    else if (cJSON_IsNumber(x))
        s = str_print(r->arena, "%.17g", x->valuedouble);
    else if (!cJSON_IsNull(x))
        return err_fail(E_FORMAT, "%s is an object, expected a text", where);
    *out = (Bytes){str_copy(r->arena, s, strlen(s)), strlen(s)};
    return OK;
}

static void name_members(Reader *r, const cJSON *object)
{
    const char **name = NEW(r->arena, const char *, NAMES_MOST + 1);
    int n = 0;
    for (const cJSON *j = object->child; j && n < NAMES_MOST; j = j->next)
        name[n++] = str_copy(r->arena, j->string, strlen(j->string));
    r->out->columns = n, r->out->name = name;
}

static Status read_object(Reader *r, const cJSON *object, int64_t line)
{
    Cells *c = r->out;
    if (!cJSON_IsObject(object))
        return err_fail(E_FORMAT, "%s:%lld: the row is not an object", c->path, (long long)line);
    if (!c->n) name_members(r, object);
    new_row(r, line);
    for (int k = 0; k < r->wanted; k++) {
        const cJSON *x = r->name[k] ? cJSON_GetObjectItemCaseSensitive(object, r->name[k]) : NULL;
        Bytes *to = &c->cell[k][c->n - 1];
        *to = (Bytes){0};
        if (x) {
            if (c->n == 1) r->place[k] = 0;
            TRY(text_of(to, r, x, str_print(r->arena, "%s:%lld: '%s'", c->path, (long long)line, r->name[k])));
            continue;
        }
        bool may_lack = !r->name[k] || (r->optional && r->optional[k]);
        if (!may_lack) return no_column(r, r->name[k], line);
    }
    return OK;
}

static Status read_json(Reader *r, Bytes text)
{
    RowReader rows;
    Status s = rows_of(&rows, text, r->out->path);
    for (int k = 0; k < r->wanted; k++) r->place[k] = -1;
    for (bool more = true; !s && !(s = rows_next(&rows, &more)) && more;) {
        cJSON *root;
        s = json_parse_python(&root, r->arena, (Bytes){rows.row.text, rows.row.len},
                              str_print(r->arena, "%s:%lld", r->out->path, (long long)rows.line));
        if (s) break;
        s = read_object(r, root, rows.line);
        cJSON_Delete(root);
    }
    rows_close(&rows);
    return s;
}

Status cells_read(Cells *out, Arena *a, const char *path, int wanted, const char *const *name, const bool *optional)
{
    Bytes text;
    CHECK(wanted <= CELLS_MOST, "%d columns of texts, expected at most %d", wanted, CELLS_MOST);
    *out = (Cells){.path = path};
    TRY(text_read(&text, a, path, BYTES_UTF8));
    Reader r = {.out = out, .arena = a, .wanted = wanted, .name = name, .optional = optional};
    TRY(rows_begin(text) ? read_json(&r, text) : read_csv(&r, text));
    if (!out->n)
        return err_fail(E_MISMATCH, "%s: holds no rows; expected CSV or TSV with a line of names, or JSON Lines",
                        path);
    for (int k = 0; k < wanted; k++)
        if (r.place[k] < 0) out->cell[k] = NULL;
    return OK;
}

bool cells_blank(Bytes b)
{
    for (size_t i = 0; i < b.len; i++)
        if (!strchr(" \t\r\n\f\v", b.text[i])) return false;
    return true;
}

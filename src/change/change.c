/* Rows are parsed one at a time by cJSON, whose tree lives only while a row is turned into a record. */
#include "change/change.h"

#include <math.h>
#include <string.h>

#include "io/json.h"

const char *const FEATURE_NAME[N_FEATURES] = {
#define X(name) #name,
    FEATURES(X)
#undef X
};
const char *const LINE_MARK[LINE_KINDS] = {[LINE_KEEP] = "<keep>", [LINE_ADD] = "<add>", [LINE_DEL] = "<del>"};
static const char *const STATUS_NAME[FILE_STATUSES] = {"modified", "added", "deleted", "renamed"};

Status changes_open(ChangeReader *r, const char *path)
{
    *r = (ChangeReader){0};
    return rows_open(&r->rows, path);
}

void changes_close(ChangeReader *r)
{
    rows_close(&r->rows);
    *r = (ChangeReader){0};
}

/* ---- one row ---- */

typedef struct {
    Arena *arena;
    char where[4200]; /* file:line */
} Row;

static const cJSON *get(const cJSON *object, const char *key)
{
    return cJSON_GetObjectItemCaseSensitive(object, key);
}

static Status text(const char **out, const Row *r, const cJSON *object, const char *key)
{
    const char *s = "";
    TRY(json_text(&s, object, key, r->where));
    *out = str_copy(r->arena, s, strlen(s));
    return OK;
}

/* The fields that three of the layouts share, under either of their names. */
static Status read_common(CodeChange *c, const Row *r, const cJSON *j)
{
    double seconds = 0;
    TRY(text(&c->repo, r, j, json_has(j, "repo") ? "repo" : "project"));
    TRY(text(&c->id, r, j, json_has(j, "id") ? "id" : "sha"));
    TRY(text(&c->message, r, j, json_has(j, "message") ? "message" : "msg"));
    TRY(text(&c->author, r, j, "author"));
    TRY(text(&c->kind, r, j, "kind"));
    if (!*c->id) return err_fail(E_FORMAT, "%s: the change has no id (or sha)", r->where);
    TRY(json_real(&seconds, j, "time", -1e14, 1e14, r->where));
    c->time = cJSON_IsNull(get(j, "time")) ? TIME_UNKNOWN : (int64_t)seconds;
    c->label = -1;
    TRY(json_int(&c->label, j, "label", 0, 1, r->where));
    const cJSON *f = get(j, "features");
    c->has_features = json_has(j, "features");
    if (!c->has_features) return OK;
    if (!cJSON_IsObject(f)) return err_fail(E_FORMAT, "%s: features is not an object", r->where);
    for (int i = 0; i < N_FEATURES; i++) {
        const cJSON *one = get(f, FEATURE_NAME[i]);
        if (!one) return err_fail(E_FORMAT, "%s: features lacks %s", r->where, FEATURE_NAME[i]);
        c->feature[i] = NAN; /* the value of null */
        TRY(json_real(&c->feature[i], f, FEATURE_NAME[i], -1e15, 1e15, r->where));
    }
    return OK;
}

static ChangeLine line_of(const Row *r, LineKind kind, const char *s, size_t n)
{
    return (ChangeLine){kind, str_copy(r->arena, s, n), n};
}

/* Reads a file's lines, each of which begins with a blank, + or -. */
static Status read_lines(ChangeFile *f, const Row *r, const cJSON *list)
{
    if (!cJSON_IsArray(list)) return err_fail(E_FORMAT, "%s: a file has no list of lines", r->where);
    f->line = arena_take(r->arena, sizeof *f->line * (size_t)(cJSON_GetArraySize(list) + 1));
    for (const cJSON *l = list->child; l; l = l->next) {
        const char *s = cJSON_IsString(l) ? l->valuestring : "";
        LineKind kind = *s == '+' ? LINE_ADD : *s == '-' ? LINE_DEL : LINE_KEEP;
        if (!*s || !strchr(" +-", *s))
            return err_fail(E_FORMAT, "%s: line %lld of %s does not begin with a blank, + or -", r->where,
                            (long long)f->n + 1, f->new_path);
        if (strpbrk(s, "\n\r"))
            return err_fail(E_FORMAT, "%s: line %lld of %s holds a newline", r->where, (long long)f->n + 1,
                            f->new_path);
        f->line[f->n++] = line_of(r, kind, s + 1, strlen(s + 1));
    }
    return OK;
}

/* Reads one file of a change; the language follows from the path where none is given. */
static Status read_file(ChangeFile *f, const Row *r, const cJSON *j)
{
    const char *status = STATUS_NAME[FILE_MODIFIED], *lang = "";
    if (!cJSON_IsObject(j)) return err_fail(E_FORMAT, "%s: a file is not an object", r->where);
    TRY(text(&f->new_path, r, j, "new"));
    TRY(text(&f->old_path, r, j, json_has(j, "old") ? "old" : "new"));
    TRY(json_text(&status, j, "status", r->where));
    TRY(json_text(&lang, j, "lang", r->where));
    int s = 0;
    while (s < FILE_STATUSES && strcmp(STATUS_NAME[s], status)) s++;
    if (s == FILE_STATUSES)
        return err_fail(E_FORMAT, "%s: status is \"%.20s\", expected modified, added, deleted or renamed", r->where,
                        status);
    f->status = (FileStatus)s;
    f->lang = *lang ? lang_find(lang) : lang_of_path(f->new_path);
    return read_lines(f, r, get(j, "lines"));
}

/* Reads the files of a change and the ids of its parents. */
static Status read_files(CodeChange *c, const Row *r, const cJSON *j)
{
    const cJSON *files = get(j, "files"), *parents = get(j, "parents");
    if (!cJSON_IsArray(files)) return err_fail(E_FORMAT, "%s: files is not a list", r->where);
    c->ordered = true;
    c->file = NEW(r->arena, ChangeFile, cJSON_GetArraySize(files) + 1);
    for (const cJSON *f = files->child; f; f = f->next) TRY(read_file(&c->file[c->n_files++], r, f));
    if (!parents) return OK;
    if (!cJSON_IsArray(parents)) return err_fail(E_FORMAT, "%s: parents is not a list", r->where);
    c->parent = NEW(r->arena, const char *, cJSON_GetArraySize(parents) + 1);
    for (const cJSON *p = parents->child; p; p = p->next) {
        if (!cJSON_IsString(p)) return err_fail(E_FORMAT, "%s: a parent is not a string", r->where);
        c->parent[c->n_parents++] = str_copy(r->arena, p->valuestring, strlen(p->valuestring));
    }
    return OK;
}

/* ---- the mined layout ---- */

/* The kind of the mark at s, or -1. */
static int mark_at(const char *s)
{
    for (int k = 0; k < LINE_KINDS; k++)
        if (!strncmp(s, LINE_MARK[k], strlen(LINE_MARK[k]))) return k;
    return -1;
}

static bool is_path(const char *s)
{
    return lang_of_path(s) != LANG_NONE && !s[strcspn(s, " \t(){};,\"'<>=")];
}

/* The published form of a diff: <keep>, <add> and <del> before a line; a kept line that is a path begins a file. */
static Status read_diff(CodeChange *c, const Row *r, const char *diff)
{
    int64_t segments = 0;
    for (const char *p = diff; (p = strchr(p, '<')); p++) segments += mark_at(p) >= 0;
    if (mark_at(diff) != LINE_KEEP)
        return err_fail(E_FORMAT, "%s: diff begins with \"%.12s\", expected <keep> and a path", r->where, diff);
    ChangeLine *line = arena_take(r->arena, sizeof *line * (size_t)segments);
    c->file = NEW(r->arena, ChangeFile, segments);
    c->ordered = true;
    for (const char *p = diff; *p;) {
        int kind = mark_at(p);
        p += strlen(LINE_MARK[kind]);
        const char *end = p + strcspn(p, "<");
        while (*end && mark_at(end) < 0) end += 1 + strcspn(end + 1, "<");
        ChangeLine l = line_of(r, (LineKind)kind, p, (size_t)(end - p));
        p = end;
        if (strpbrk(l.text, "\n\r")) return err_fail(E_FORMAT, "%s: a line of the diff holds a newline", r->where);
        if (kind == LINE_KEEP && (c->n_files == 0 || is_path(l.text))) {
            Lang lang = lang_of_path(l.text);
            c->file[c->n_files++] = (ChangeFile){l.text, l.text, FILE_MODIFIED, lang, 0, line};
        } else {
            c->file[c->n_files - 1].n++;
            *line++ = l;
        }
    }
    return OK;
}

/* ---- the defect-prediction layout ---- */

static Status read_list(ChangeFile *f, const Row *r, const cJSON *list, LineKind kind)
{
    for (const cJSON *l = list->child; l; l = l->next) {
        if (!cJSON_IsString(l) || strpbrk(l->valuestring, "\n\r"))
            return err_fail(E_FORMAT, "%s: added and removed must hold one-line strings", r->where);
        f->line[f->n++] = line_of(r, kind, l->valuestring, strlen(l->valuestring));
    }
    return OK;
}

static Status read_sides(CodeChange *c, const Row *r, const cJSON *added, const cJSON *removed)
{
    if (!cJSON_IsArray(added) || !cJSON_IsArray(removed))
        return err_fail(E_FORMAT, "%s: added and removed are not both lists", r->where);
    c->file = NEW(r->arena, ChangeFile, 1);
    *c->file = (ChangeFile){"", "", FILE_MODIFIED, LANG_JAVA, 0, NULL};
    size_t most = (size_t)cJSON_GetArraySize(added) + (size_t)cJSON_GetArraySize(removed);
    c->file->line = arena_take(r->arena, sizeof(ChangeLine) * (most + 1));
    c->n_files = 1;
    TRY(read_list(c->file, r, removed, LINE_DEL));
    return read_list(c->file, r, added, LINE_ADD);
}

/* ---- a hunk with its comment ---- */

/* A text, or a whole number as one; the row's place where there is neither. */
static Status read_name(CodeChange *c, const Row *r, const cJSON *j)
{
    const char *key = json_has(j, "id") ? "id" : "idx";
    const cJSON *id = get(j, key);
    if (cJSON_IsString(id)) return text(&c->id, r, j, key);
    c->id = cJSON_IsNumber(id) ? str_print(r->arena, "%.0f", id->valuedouble) : strrchr(r->where, ':') + 1;
    c->id = str_copy(r->arena, c->id, strlen(c->id));
    return OK;
}

static Status read_patch(CodeChange *c, const Row *r, const cJSON *j, const char *patch)
{
    const char *line;
    size_t n, most = 1;
    *c = (CodeChange){.author = "", .kind = "", .label = -1, .time = TIME_UNKNOWN, .ordered = true, .n_files = 1};
    TRY(text(&c->repo, r, j, "proj"));
    TRY(text(&c->message, r, j, "msg"));
    TRY(read_name(c, r, j));
    TRY(json_int(&c->label, j, "y", 0, 1, r->where));
    for (const char *p = patch; (p = strchr(p, '\n')); p++) most++;
    ChangeFile *f = c->file = NEW(r->arena, ChangeFile, 1);
    *f = (ChangeFile){"", "", FILE_MODIFIED, LANG_JAVA, 0, NEW(r->arena, ChangeLine, most)};
    for (const char *rest = patch; str_next(&rest, "\n", &line, &n);) {
        if (n && (*line == '@' || *line == '\\')) continue; /* a header; no newline at the end of the file */
        if (n && line[n - 1] == '\r') n--;
        LineKind kind = n && *line == '+' ? LINE_ADD : n && *line == '-' ? LINE_DEL : LINE_KEEP;
        size_t sign = n && strchr(" +-", *line) != NULL;
        f->line[f->n++] = line_of(r, kind, line + sign, n - sign);
    }
    return f->n ? OK : err_fail(E_FORMAT, "%s: patch has no lines", r->where);
}

static Status read_row(CodeChange *c, const Row *r, const cJSON *j)
{
    const char *patch = NULL;
    *c = (CodeChange){0};
    if (!cJSON_IsObject(j)) return err_fail(E_FORMAT, "%s: the row is not a JSON object", r->where);
    TRY(json_text(&patch, j, "patch", r->where));
    if (patch) return read_patch(c, r, j, patch);
    TRY(read_common(c, r, j));
    if (json_has(j, "files")) return read_files(c, r, j);
    if (json_has(j, "added") && json_has(j, "removed")) return read_sides(c, r, get(j, "added"), get(j, "removed"));
    const char *diff = NULL;
    TRY(json_text(&diff, j, "diff", r->where));
    if (!diff)
        return err_fail(E_FORMAT, "%s: found no change; expected files, or diff, or patch, or added and removed",
                        r->where);
    return read_diff(c, r, diff);
}

Status changes_next(ChangeReader *in, Arena *a, CodeChange *out, bool *more)
{
    Row r = {.arena = a};
    size_t len;
    TRY(rows_next(&in->rows, more));
    if (!*more) return OK;
    *more = false;
    snprintf(r.where, sizeof r.where, "%s:%lld", in->rows.path, (long long)in->rows.line);
    char *row = utf8_repair(a, in->rows.row.text, in->rows.row.len, &len, &in->replaced);
    const char *end = row;
    in->replaced += json_mend_zeros(row, len);
    cJSON *j = cJSON_ParseWithOpts(row, &end, 1);
    if (!j) return err_fail(E_FORMAT, "%s: is not JSON at byte %lld", r.where, (long long)(end ? end - row : 0) + 1);
    Status status = read_row(out, &r, j);
    cJSON_Delete(j);
    *more = !status;
    return status;
}

static Status read_all(CodeChange **out, int64_t *n, Arena *a, ChangeReader *in)
{
    int64_t room = 0;
    for (bool more = true;;) {
        CodeChange c;
        TRY(changes_next(in, a, &c, &more));
        if (!more) return OK;
        GROW(a, *out, *n, room, 256);
        (*out)[(*n)++] = c;
    }
}

Status changes_read(CodeChange **out, int64_t *n, Arena *a, const char *path)
{
    ChangeReader in;
    *out = NULL, *n = 0;
    TRY(changes_open(&in, path));
    Status s = read_all(out, n, a, &in);
    changes_close(&in);
    TRY(s);
    return *n ? OK : err_fail(E_MISMATCH, "%s: holds no commit, expected one a line", path);
}

/* ---- writing ---- */

static void print_text(Buf *b, const char *key, const char *value)
{
    buf_print(b, "\"%s\": ", key);
    json_quote(b, value);
    buf_add(b, ", ", 2);
}

static bool is_utf8(const char *s)
{
    for (size_t n = strlen(s), k; n; s += k, n -= k)
        if (!(k = utf8_length(s, n))) return false;
    return true;
}

const char *change_path(Arena *a, const char *bytes)
{
    if (*bytes != '"' && is_utf8(bytes)) return bytes;
    Buf b = buf_open(a);
    buf_add(&b, "\"", 1);
    for (const char *s = bytes; *s; s++) {
        unsigned char c = (unsigned char)*s;
        if (c == '"' || c == '\\')
            buf_print(&b, "\\%c", c);
        else if (c < 32 || c > 126)
            buf_print(&b, "\\%03o", c);
        else
            buf_add(&b, s, 1);
    }
    buf_add(&b, "\"", 1);
    return b.text;
}

/* Writes one file of a change as JSON. */
static void print_file(Buf *b, const ChangeFile *f)
{
    static const char SIGN[] = {[LINE_KEEP] = ' ', [LINE_ADD] = '+', [LINE_DEL] = '-'};
    buf_add(b, "{", 1);
    print_text(b, "old", f->old_path);
    print_text(b, "new", f->new_path);
    print_text(b, "status", STATUS_NAME[f->status]);
    print_text(b, "lang", lang_name(f->lang));
    buf_print(b, "\"lines\": [");
    for (int64_t i = 0; i < f->n; i++) {
        buf_print(b, "%s\"%c", i ? ", " : "", SIGN[f->line[i].kind]);
        json_escape(b, f->line[i].text);
        buf_add(b, "\"", 1);
    }
    buf_print(b, "]}");
}

/* Writes a change as a line of JSON, with its features where it has them. */
void change_print(Buf *b, const CodeChange *c)
{
    buf_add(b, "{", 1);
    print_text(b, "repo", c->repo);
    print_text(b, "id", c->id);
    buf_print(b, "\"parents\": [");
    for (int i = 0; i < c->n_parents; i++) {
        if (i) buf_add(b, ", ", 2);
        json_quote(b, c->parent[i]);
    }
    buf_print(b, "], ");
    print_text(b, "author", c->author);
    if (c->time == TIME_UNKNOWN)
        buf_print(b, "\"time\": null, ");
    else
        buf_print(b, "\"time\": %lld, ", (long long)c->time);
    print_text(b, "message", c->message);
    buf_print(b, "\"files\": [");
    for (int64_t i = 0; i < c->n_files; i++) {
        if (i) buf_add(b, ", ", 2);
        print_file(b, &c->file[i]);
    }
    buf_print(b, "]");
    if (c->label >= 0) buf_print(b, ", \"label\": %d", c->label);
    if (*c->kind) {
        buf_print(b, ", \"kind\": ");
        json_quote(b, c->kind);
    }
    for (int i = 0; c->has_features && i < N_FEATURES; i++) {
        buf_print(b, "%s\"%s\": ", i ? ", " : ", \"features\": {", FEATURE_NAME[i]);
        if (isnan(c->feature[i]))
            buf_add(b, "null", 4);
        else
            buf_print(b, "%.10g", c->feature[i]);
    }
    buf_print(b, c->has_features ? "}}\n" : "}\n");
}

int64_t change_count(const CodeChange *c, LineKind kind)
{
    int64_t n = 0;
    for (int64_t i = 0; i < c->n_files; i++)
        for (int64_t k = 0; k < c->file[i].n; k++) n += c->file[i].line[k].kind == kind;
    return n;
}

Bytes change_text(Arena *a, const CodeChange *c)
{
    Buf b = buf_open(a);
    buf_print(&b, "%s\n", c->message);
    for (int64_t f = 0; f < c->n_files; f++)
        for (int64_t l = 0; l < c->file[f].n; l++) {
            const ChangeLine *line = &c->file[f].line[l];
            if (line->kind == LINE_KEEP) continue;
            buf_add(&b, line->text, line->len);
            buf_add(&b, "\n", 1);
        }
    return (Bytes){b.text, b.len};
}

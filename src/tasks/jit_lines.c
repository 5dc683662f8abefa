/* Rows of labelled lines as changes of one file without a path. */
#include "tasks/jit_lines.h"

#include <math.h>
#include <string.h>

#include "io/json.h"

const char *const LINE_FLOOR[LINE_FLOORS] = {"random order", "file order", "longest first"};

static bool is_line(const cJSON *line)
{
    const cJSON *kind = cJSON_GetArrayItem(line, 0), *label = cJSON_GetArrayItem(line, 1);
    if (!cJSON_IsArray(line) || cJSON_GetArraySize(line) != 3 || !cJSON_IsString(cJSON_GetArrayItem(line, 2)))
        return false;
    if (!cJSON_IsString(kind) || (strcmp(kind->valuestring, "a") && strcmp(kind->valuestring, "d"))) return false;
    return cJSON_IsNumber(label) && (label->valueint == 0 || label->valueint == 1) &&
           !(label->valuedouble > label->valueint || label->valuedouble < label->valueint);
}

static Status read_row(CodeChange *out, int32_t **faulty, Arena *a, const cJSON *root, const char *where)
{
    const char *id = json_text_in(root, "id");
    const cJSON *lines = cJSON_GetObjectItemCaseSensitive(root, "lines"), *one;
    if (!id) return err_fail(E_FORMAT, "%s: id is not a string", where);
    if (!cJSON_IsArray(lines)) return err_fail(E_FORMAT, "%s: lines is not an array", where);
    int64_t n = cJSON_GetArraySize(lines), i = 0;
    ChangeFile *file = NEW(a, ChangeFile, 1);
    *file = (ChangeFile){.old_path = "", .new_path = "", .line = NEW(a, ChangeLine, n + 1)};
    *faulty = NEW(a, int32_t, n + 1);
    cJSON_ArrayForEach(one, lines)
    {
        if (!is_line(one))
            return err_fail(E_FORMAT, "%s: line %lld is not of the form [\"a\" or \"d\", 0 or 1, text]", where,
                            (long long)i + 1);
        const char *text = cJSON_GetArrayItem(one, 2)->valuestring;
        LineKind kind = *cJSON_GetArrayItem(one, 0)->valuestring == 'a' ? LINE_ADD : LINE_DEL;
        (*faulty)[i] = cJSON_GetArrayItem(one, 1)->valueint;
        file->line[i++] = (ChangeLine){kind, str_copy(a, text, strlen(text)), strlen(text)};
    }
    file->n = n;
    *out = (CodeChange){.repo = "", .id = str_copy(a, id, strlen(id)), .author = "", .message = "", .kind = ""};
    out->time = TIME_UNKNOWN, out->label = -1;
    out->n_files = 1, out->file = file;
    return OK;
}

static Status read_rows(JitFaulty *out, Arena *a, RowReader *in)
{
    int64_t rooms[2] = {0};
    for (bool more = true;; out->n++) {
        TRY(rows_next(in, &more));
        if (!more) return OK;
        cJSON *root;
        const char *where = str_print(a, "%s:%lld", in->path, (long long)in->line);
        TRY(json_parse(&root, in->row.text, in->row.len, where));
        GROW(a, out->change, out->n, rooms[0], 256);
        GROW(a, out->faulty, out->n, rooms[1], 256);
        Status s = read_row(&out->change[out->n], &out->faulty[out->n], a, root, where);
        cJSON_Delete(root);
        if (s) return s;
    }
}

Status jit_lines_read(JitFaulty *out, Arena *a, const char *path)
{
    RowReader in;
    *out = (JitFaulty){0};
    TRY(rows_open(&in, path));
    Status s = read_rows(out, a, &in);
    rows_close(&in);
    if (!s && !out->n) s = err_fail(E_MISMATCH, "%s: has no commit", path);
    return s;
}

/* ---- orders and measures */

static double length_of(const ChangeLine *l)
{
    double n = 0;
    for (size_t i = 0; i < l->len; i++) n += ((unsigned char)l->text[i] & 0xc0) != 0x80; /* not within a character */
    return n;
}

void jit_lines_floor(double *out, const CodeChange *c, LineFloor floor)
{
    for (int64_t f = 0, n = 0; f < c->n_files; f++)
        for (int64_t l = 0; l < c->file[f].n; l++) {
            const ChangeLine *line = &c->file[f].line[l];
            if (line->kind == LINE_KEEP) continue;
            out[n] = floor == LINES_BY_LENGTH ? length_of(line) : floor == LINES_IN_ORDER ? -(double)n : 0;
            n++;
        }
}

LineScores jit_lines_measure(const CodeChange *c, const int32_t *faulty, const double *score, bool added_alone)
{
    Arena scratch = arena_open((size_t)1 << 30);
    int64_t most = change_count(c, LINE_ADD) + change_count(c, LINE_DEL), n = 0, at = 0;
    int32_t *label = NEW(&scratch, int32_t, most + 1);
    double *of = NEW(&scratch, double, most + 1);
    for (int64_t f = 0; f < c->n_files; f++)
        for (int64_t l = 0; l < c->file[f].n; l++) {
            LineKind kind = c->file[f].line[l].kind;
            if (kind == LINE_ADD || (kind == LINE_DEL && !added_alone)) label[n] = faulty[at], of[n++] = score[at];
            at += kind != LINE_KEEP;
        }
    LineScores s = effort_lines(label, of, n);
    arena_close(&scratch);
    return s;
}

LineScores jit_lines_mean(const LineScores *each, int64_t n)
{
    LineScores sum = {0};
    double found = 0;
    for (int64_t i = 0; i < n; i++) {
        if (isnan(each[i].ifa)) continue;
        found++;
        sum.ifa += each[i].ifa, sum.top_5 += each[i].top_5, sum.top_10 += each[i].top_10;
        sum.recall_at_20 += each[i].recall_at_20, sum.effort_at_20 += each[i].effort_at_20;
    }
    return (LineScores){sum.ifa / found, sum.top_5 / found, sum.top_10 / found, sum.recall_at_20 / found,
                        sum.effort_at_20 / found};
}

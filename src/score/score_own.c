/* vernier score for tables of labels and predictions: classes and numbers. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/print.h"
#include "base/str.h"
#include "base/table.h"
#include "io/cells.h"
#include "metric/measures.h"
#include "score/scores.h"

enum { TRUTH, MINE, OTHER, COLUMNS };
typedef struct {
    const Args *args;
    Arena *run;
    Cells cells;
    const char *name[COLUMNS]; /* of the columns; OTHER may be NULL */
} Labelled;

static Status read_table(Labelled *t, const Args *a)
{
    *t = (Labelled){.args = a, .run = args_arena(a)};
    if (args_count(a) != 1) return err_fail(E_CONFIG, "this task scores one FILE with labels and predictions");
    t->name[TRUTH] = args_text(a, "label", "label");
    t->name[MINE] = args_text(a, "prediction", "prediction");
    t->name[OTHER] = args_text(a, "against", NULL);
    TRY(cells_read(&t->cells, t->run, args_at(a, 0), COLUMNS, t->name, NULL));
    for (int k = 0; k < COLUMNS; k++)
        for (int64_t i = 0; t->name[k] && i < t->cells.n; i++)
            if (cells_blank(t->cells.cell[k][i]))
                return err_fail(E_FORMAT, "%s:%lld: '%s' is empty", t->cells.path, (long long)t->cells.line[i],
                                t->name[k]);
    return OK;
}

static Status print_measures(Scores *s, const Labelled *t, const char *task)
{
    if (args_given(t->args, "json")) {
        cJSON *root = cJSON_CreateObject();
        cJSON_AddStringToObject(root, "task", task);
        cJSON_AddNumberToObject(root, "rows", (double)t->cells.n);
        scores_json(s, root);
        return OK;
    }
    print_out("%s: %lld %s\n", t->cells.path, (long long)t->cells.n, str_plural(t->cells.n, "row", "rows"));
    scores_print(s, t->name[OTHER]);
    return OK;
}

/* ---- classes */

static int by_bytes(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The classes that occur in any of the columns, in the order of their bytes. */
static const char **class_names(int *n, const Labelled *t)
{
    Table seen = table_open(t->run, 64);
    const char **name = NULL;
    int64_t room = 0, count = 0;
    for (int k = 0; k < COLUMNS; k++)
        for (int64_t i = 0; t->name[k] && i < t->cells.n; i++) {
            bool added;
            Bytes b = t->cells.cell[k][i];
            *table_add(&seen, b.text, b.len, &added) = 1;
            if (!added) continue;
            GROW(t->run, name, count, room, 16);
            name[count++] = str_copy(t->run, b.text, b.len);
        }
    qsort(name, (size_t)count, sizeof *name, by_bytes);
    *n = (int)count;
    return name;
}

static int32_t *numbered(const Labelled *t, int column, const char **name, int n)
{
    Table place = table_open(t->run, n);
    bool added;
    int32_t *out = NEW(t->run, int32_t, t->cells.n);
    for (int c = 0; c < n; c++) *table_add(&place, name[c], strlen(name[c]), &added) = c;
    for (int64_t i = 0; i < t->cells.n; i++) {
        Bytes b = t->cells.cell[column][i];
        out[i] = (int32_t)table_get(&place, b.text, b.len, -1);
    }
    return out;
}

static Status number_in(double *out, const Labelled *t, const Cells *c, int column, int64_t i, const char *name)
{
    Bytes b = c->cell[column][i];
    const char *text = str_copy(t->run, b.text, b.len);
    if (str_real(text, out)) return OK;
    return err_fail(E_FORMAT, "%s:%lld: '%.40s' in column '%s', expected a finite number", c->path,
                    (long long)c->line[i], text, name);
}

/* The columns p:CLASS, as vernier predict --csv writes them; *out stays NULL where one is not there. */
static Status probabilities(double **out, const Labelled *t, const char **name, int n)
{
    double *p = NEW(t->run, double, t->cells.n *n);
    for (int c = 0; c < n; c++) {
        Cells one;
        const char *column = str_print(t->run, "p:%s", name[c]);
        TRY(cells_read(&one, t->run, t->cells.path, 1, &column, &(const bool){true}));
        if (!one.cell[0]) return OK;
        for (int64_t i = 0; i < one.n; i++) TRY(number_in(&p[i * n + c], t, &one, 0, i, column));
    }
    *out = p;
    return OK;
}

Status score_classified(const Args *a)
{
    Labelled t;
    Scores s = {0};
    int n;
    double *p = NULL;
    TRY(read_table(&t, a));
    const char **name = class_names(&n, &t);
    TRY(probabilities(&p, &t, name, n));
    Arena scratch = arena_open(0);
    ClassRows mine = {t.cells.n, n, numbered(&t, TRUTH, name, n), numbered(&t, MINE, name, n), p, &scratch};
    ClassRows other = mine;
    if (t.name[OTHER]) other.predicted = numbered(&t, OTHER, name, n), other.probability = NULL;
    measures_name(&s, CLASS_MEASURE, CLASS_MEASURES);
    s.why[CLASS_AUC] = p ? "the labels lack a class" : "the file has no column p:CLASS for each class";
    s.why[CLASS_LOSS] = s.why[CLASS_AUC];
    Status status = scores_measure(&s, a, t.cells.n, NULL, class_stats, &mine, t.name[OTHER] ? &other : NULL);
    arena_close(&scratch);
    return status ? status : print_measures(&s, &t, "classify");
}

/* ---- numbers */

static Status numbers_of(double **out, const Labelled *t, int column)
{
    *out = NEW(t->run, double, t->cells.n);
    for (int64_t i = 0; t->name[column] && i < t->cells.n; i++)
        TRY(number_in(&(*out)[i], t, &t->cells, column, i, t->name[column]));
    return OK;
}

Status score_regressed(const Args *a)
{
    Labelled t;
    Scores s = {0};
    double *column[COLUMNS];
    TRY(read_table(&t, a));
    for (int k = 0; k < COLUMNS; k++) TRY(numbers_of(&column[k], &t, k));
    Arena scratch = arena_open(0);
    NumberRows mine = {t.cells.n, column[TRUTH], column[MINE], &scratch};
    NumberRows other = {t.cells.n, column[TRUTH], column[OTHER], &scratch};
    measures_name(&s, NUMBER_MEASURE, NUMBER_MEASURES);
    for (int k = 0; k < s.n; k++) s.why[k] = "the labels or the predictions are all equal";
    Status status = scores_measure(&s, a, t.cells.n, NULL, number_stats, &mine, t.name[OTHER] ? &other : NULL);
    arena_close(&scratch);
    return status ? status : print_measures(&s, &t, "regress");
}

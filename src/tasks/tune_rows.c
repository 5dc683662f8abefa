/* The validation examples of a finished tuning, one by one. */
#include "tasks/tune_rows.h"

#include "io/json.h"

static void add_row(Writer *w, cJSON *row)
{
    char *text = json_printed(row, true);
    writer_print(w, "%s\n", text);
    cJSON_free(text);
    cJSON_Delete(row);
}

static Status open_rows(Writer *w, const TuneJob *j)
{
    return writer_open(w, str_print(j->run, "%s/" TUNE_ROWS, j->p.dir));
}

Status tune_rows_defects(const TuneJob *j, const double *score, double threshold)
{
    Writer w;
    TRY(open_rows(&w, j));
    for (int64_t i = 0; i < j->valid.n; i++) {
        const CodeChange *c = &j->valid.change[i];
        cJSON *row = cJSON_CreateObject();
        cJSON_AddStringToObject(row, "id", c->id);
        cJSON_AddNumberToObject(row, "label", c->label);
        cJSON_AddNumberToObject(row, "score", score[i]);
        cJSON_AddNumberToObject(row, "predicted", score[i] >= threshold);
        add_row(&w, row);
    }
    return writer_close(&w);
}

Status tune_rows_own(const TuneJob *j, const OwnPredictions *y)
{
    Writer w;
    const OwnPlan *p = &j->p.own;
    TRY(open_rows(&w, j));
    for (int64_t i = 0; i < j->own_valid.n; i++) {
        cJSON *row = cJSON_CreateObject();
        cJSON_AddStringToObject(row, "id", str_print(j->run, "%lld", (long long)j->own_valid.line[i]));
        if (p->classes) {
            cJSON_AddStringToObject(row, "label", p->name[j->own_valid.class[i]]);
            cJSON_AddStringToObject(row, "predicted", p->name[y->class[i]]);
            if (p->classes == 2) cJSON_AddNumberToObject(row, "score", y->probability[2 * i + 1]);
        } else {
            const double gap = y->value[i] - j->own_valid.value[i];
            cJSON_AddNumberToObject(row, "label", j->own_valid.value[i]);
            cJSON_AddNumberToObject(row, "predicted", y->value[i]);
            cJSON_AddNumberToObject(row, "loss", gap * gap);
        }
        add_row(&w, row);
    }
    return writer_close(&w);
}

Status tune_rows_texts(const TuneJob *j, Predictor *p, const LmTexts *x)
{
    Writer w;
    Arena step = arena_open((size_t)1 << 36);
    Evaluation *e = NEW(j->run, Evaluation, x->x.n);
    Status s = lm_score(e, p->net, p->hooks, &x->x, &step, NULL, NULL);
    arena_close(&step);
    TRY(s);
    TRY(open_rows(&w, j));
    for (int64_t i = 0; i < x->x.n; i++) {
        cJSON *row = cJSON_CreateObject();
        cJSON_AddStringToObject(row, "id", str_print(j->run, "%lld", (long long)x->line[i]));
        cJSON_AddNumberToObject(row, "loss", e[i].loss);
        cJSON_AddNumberToObject(row, "tokens", (double)e[i].scored);
        add_row(&w, row);
    }
    return writer_close(&w);
}

/* The log as CSV and as the state of a Trainer. */
#include "run/logs.h"

#include <math.h>
#include <string.h>

#include "base/file.h"
#include "base/str.h"
#include "io/json.h"
#include "run/log.h"

static const char *log_in(Arena *a, const char *dir)
{
    return str_print(a, "%s/metrics.jsonl", dir);
}

/* ---- metrics.csv */

typedef struct {
    const char **name;
    int n, room;
    bool jobs;
} Columns;

static int column_of(const Columns *c, const char *name)
{
    for (int i = 0; i < c->n; i++)
        if (!strcmp(c->name[i], name)) return i;
    return -1;
}

/* The names of all numbers, in the order in which the log has them. */
static Columns columns_of(Arena *a, const LogLine *line, int64_t n)
{
    Columns c = {0};
    for (int64_t i = 0; i < n; i++) {
        c.jobs |= line[i].job >= 0;
        for (int k = 0; k < line[i].n; k++) {
            if (column_of(&c, line[i].name[k]) >= 0) continue;
            GROW(a, c.name, c.n, c.room, 16);
            c.name[c.n++] = line[i].name[k];
        }
    }
    return c;
}

static void write_line(Writer *w, const Columns *c, const LogLine *l, double *value)
{
    for (int i = 0; i < c->n; i++) value[i] = NAN;
    for (int k = 0; k < l->n; k++) value[column_of(c, l->name[k])] = l->value[k];
    if (c->jobs && l->job >= 0) writer_print(w, "%d", l->job);
    if (c->jobs) writer_print(w, ",");
    writer_csv(w, l->phase);
    writer_print(w, ",%lld", (long long)l->step);
    for (int i = 0; i < c->n; i++) writer_csv_number(w, value[i]);
    writer_print(w, "\r\n");
}

Status logs_csv(Arena *a, const char *dir)
{
    LogLine *line;
    int64_t n;
    Writer w;
    TRY(log_read(&line, &n, a, log_in(a, dir)));
    const Columns c = columns_of(a, line, n);
    double *value = NEW(a, double, c.n + 1);
    TRY(writer_open(&w, str_print(a, "%s/metrics.csv", dir)));
    writer_print(&w, c.jobs ? "job,phase,step" : "phase,step");
    for (int i = 0; i < c.n; i++) {
        writer_print(&w, ",");
        writer_csv(&w, c.name[i]);
    }
    writer_print(&w, "\r\n");
    for (int64_t i = 0; i < n; i++) write_line(&w, &c, line + i, value);
    return writer_close(&w);
}

/* ---- trainer_state.json */

static void add_history(cJSON *list, Arena *a, const LogLine *l, const TrainerFacts *f)
{
    const bool training = !strcmp(l->phase, "tuning");
    if (!training && strcmp(l->phase, "validation") != 0) return; /* the pretraining of the small model */
    cJSON *one = cJSON_CreateObject();
    if (f->epoch_steps) cJSON_AddNumberToObject(one, "epoch", (double)l->step / (double)f->epoch_steps);
    for (int k = 0; k < l->n; k++) {
        const char *name = !training                   ? str_print(a, "eval_%s", l->name[k])
                           : !strcmp(l->name[k], "lr") ? "learning_rate"
                                                       : l->name[k];
        cJSON_AddNumberToObject(one, name, l->value[k]); /* cJSON writes NaN as null */
    }
    cJSON_AddNumberToObject(one, "step", (double)l->step);
    cJSON_AddItemToArray(list, one);
}

/* The best evaluation's value of the measure that chooses, or NaN. */
static double best_value(const LogLine *line, int64_t n, const TrainerFacts *f)
{
    double best = NAN;
    for (int64_t i = 0; i < n; i++) {
        if (line[i].step != f->best_step || strcmp(line[i].phase, "validation") != 0) continue;
        for (int k = 0; k < line[i].n; k++)
            if (!strcmp(line[i].name[k], f->best)) best = line[i].value[k];
    }
    return best;
}

static cJSON *state_of(Arena *a, const LogLine *line, int64_t n, const TrainerFacts *f)
{
    cJSON *root = cJSON_CreateObject(), *history = cJSON_CreateArray();
    int64_t step = 0;
    for (int64_t i = 0; i < n; i++) {
        add_history(history, a, line + i, f);
        if (!strcmp(line[i].phase, "tuning") && line[i].step > step) step = line[i].step;
    }
    cJSON_AddNumberToObject(root, "best_global_step", (double)f->best_step);
    cJSON_AddNumberToObject(root, "best_metric", best_value(line, n, f));
    cJSON_AddNullToObject(root, "best_model_checkpoint"); /* the directory itself */
    cJSON_AddNumberToObject(root, "epoch", f->epoch_steps ? (double)step / (double)f->epoch_steps : 0);
    cJSON_AddNumberToObject(root, "eval_steps", (double)f->every);
    cJSON_AddNumberToObject(root, "global_step", (double)step);
    cJSON_AddFalseToObject(root, "is_hyper_param_search");
    cJSON_AddTrueToObject(root, "is_local_process_zero");
    cJSON_AddTrueToObject(root, "is_world_process_zero");
    cJSON_AddItemToObject(root, "log_history", history);
    cJSON_AddNumberToObject(root, "logging_steps", 1);
    cJSON_AddNumberToObject(root, "max_steps", (double)f->total);
    cJSON_AddNumberToObject(root, "num_input_tokens_seen", 0);
    cJSON_AddNumberToObject(root, "num_train_epochs", f->epochs);
    cJSON_AddNumberToObject(root, "save_steps", (double)f->every);
    cJSON_AddObjectToObject(root, "stateful_callbacks");
    cJSON_AddNumberToObject(root, "total_flos", 0);
    cJSON_AddNumberToObject(root, "train_batch_size", (double)f->batch);
    cJSON_AddNullToObject(root, "trial_name");
    cJSON_AddNullToObject(root, "trial_params");
    return root;
}

Status logs_trainer_state(Arena *a, const char *dir, const TrainerFacts *f)
{
    LogLine *line;
    int64_t n;
    TRY(log_read(&line, &n, a, log_in(a, dir)));
    cJSON *root = state_of(a, line, n, f);
    Status wrote = json_write(root, str_print(a, "%s/trainer_state.json", dir));
    cJSON_Delete(root);
    return wrote;
}

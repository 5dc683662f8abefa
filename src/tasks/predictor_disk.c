/* Predictors to and from directories, whatever their task. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/str.h"
#include "io/json.h"
#include "tasks/predictor.h"

Status predictor_method(Predictor *p, const char *name)
{
    p->learner = learner_find(name);
    p->peft = p->learner ? NULL : peft_find(name);
    if (!p->learner && !p->peft)
        return err_fail(E_CONFIG, "--method %.40s: neither a method nor a baseline that `vernier list` names", name);
    p->method = p->learner ? p->learner->name : p->peft->name;
    return OK;
}

bool predictor_whole(const Peft *method)
{
    return method->changes_base;
}

bool predictor_is_card(const char *file)
{
    for (const Task *const *t = task_begin(); t < task_end(); t++) {
        size_t n = strlen((*t)->name);
        if (!strncmp(file, (*t)->name, n) && !strcmp(file + n, ".json")) return true;
    }
    return !strcmp(file, "pretrain.json");
}

/* ---- the card */

/* Writes a predictor's JSON: the final one with validation metrics, or a draft without them. */
Status predictor_save(const Predictor *p, cJSON *valid, Arena *a)
{
    cJSON *root = cJSON_CreateObject();
    cJSON_AddStringToObject(root, "task", p->task->name);
    cJSON_AddStringToObject(root, "method", p->method);
    cJSON_AddStringToObject(root, "options", p->learner ? learner_values(a, p->learner, p->option) : p->options);
    if (p->as_published) cJSON_AddTrueToObject(root, "as_published");
    if (p->model) {
        cJSON_AddStringToObject(root, "model", p->model);
        cJSON_AddStringToObject(root, "tokenizer", p->tokenizer);
    }
    p->task->write_card(p, root);
    if (valid) cJSON_AddItemToObject(root, "validation", valid);
    Status s = json_write(root, valid ? predictor_card(p->task, a, p->dir) : predictor_draft(a, p->dir));
    cJSON_Delete(root);
    return s;
}

/* A field that must be there. */
static Status card_text(const char **out, const cJSON *root, const char *key, Arena *a, const char *path)
{
    const char *s = NULL;
    TRY(json_text(&s, root, key, path));
    if (!s) return err_fail(E_FORMAT, "%s: has no %s", path, key);
    *out = str_copy(a, s, strlen(s));
    return OK;
}

/* The settings of a baseline; cards of words and la from before learners had settings have none. */
static Status read_options(Predictor *p, Arena *a, const cJSON *root, const char *path)
{
    const char *options = "";
    TRY(json_text(&options, root, "options", path));
    p->options = str_copy(a, options, strlen(options));
    if (!learner_set(p->option, p->learner, p->options)) return OK;
    err_clear();
    return err_fail(E_FORMAT, "%s: options '%.80s' are none of method %s", path, p->options, p->method);
}

/* Reads task, method and model paths from a predictor's JSON, and then the settings of its task. */
static Status read_card(Predictor *p, Arena *a, const cJSON *root, const char *path)
{
    const char *task = "";
    TRY(card_text(&task, root, "task", a, path));
    if (strcmp(task, p->task->name) != 0)
        return err_fail(E_FORMAT, "%s: the task is '%.30s', expected %s", path, task, p->task->name);
    TRY(card_text(&p->method, root, "method", a, path));
    if (predictor_method(p, p->method)) {
        err_clear();
        return err_fail(E_FORMAT, "%s: method '%.40s' is unknown", path, p->method);
    }
    TRY(json_bool(&p->as_published, root, "as_published", path));
    if (p->learner) TRY(read_options(p, a, root, path));
    if (p->peft) {
        TRY(card_text(&p->options, root, "options", a, path));
        TRY(card_text(&p->model, root, "model", a, path));
        TRY(card_text(&p->tokenizer, root, "tokenizer", a, path));
    }
    return p->task->read_card(p, a, root, path);
}

/* ---- opening */

LoadOptions predictor_load(const Predictor *p, const LoadOptions *how)
{
    LoadOptions o = p->task->load_options(p);
    o.widen = how->widen, o.bf16 = how->bf16, o.vocab_from_file = how->vocab_from_file;
    o.say = how->say, o.user = how->user, o.seed = p->seed;
    return o;
}

const char *predictor_model(const Predictor *p, Arena *a)
{
    return predictor_path(p, a, predictor_whole(p->peft) ? "./model" : p->model);
}

static Status attach(Predictor *p, Arena *a, const LoadOptions *how)
{
    Adapter *x;
    TRY(adapter_open(&x, a, p->dir));
    Status s = adapter_attach(x, p->net, p->hooks);
    if (!s) adapter_remarks(x, how->say, how->user);
    if (!s) s = p->task->check_lengths(p, adapter_positions(x));
    adapter_close(x);
    return s;
}

static Status open_network(Predictor *p, Arena *run, const LoadOptions *how)
{
    bool whole = predictor_whole(p->peft);
    TRY(tokenizer_open(&p->text, run, predictor_path(p, run, p->tokenizer)));
    LoadOptions load = predictor_load(p, how);
    TRY(model_load_as(&p->net, run, predictor_model(p, run), &load));
    p->hooks = hooks_new(run);
    TRY(p->task->open_head(p));
    TRY(whole ? p->task->check_lengths(p, 0) : attach(p, run, how));
    return p->task->load_head ? p->task->load_head(p, run) : OK;
}

/* The task whose card lies in the directory. */
static Status find_task(const Task **task, Arena *a, const char *dir)
{
    struct stat there;
    for (const Task *const *t = task_begin(); t < task_end(); t++)
        if (!stat(predictor_card(*t, a, dir), &there)) {
            *task = *t;
            return OK;
        }
    if (!stat(str_print(a, "%s/unfinished", dir), &there))
        return err_fail(E_MISMATCH, "%s: its tuning has not finished; the same `vernier tune` with --resume goes on",
                        dir);
    if (!stat(predictor_card(&TASK_PRETRAIN, a, dir), &there))
        return err_fail(E_MISMATCH, "%s: is a pretraining, which predicts nothing; tune its model for another task",
                        dir);
    return err_fail(
        E_IO, "%s: holds no card of a task, such as jit.json or classify.json, which `vernier tune` writes", dir);
}

static Status open_card(Predictor *p, Arena *run, const char *path, const LoadOptions *how)
{
    cJSON *root;
    TRY(json_read(&root, run, path));
    Status s = read_card(p, run, root, path);
    cJSON_Delete(root);
    TRY(s);
    return p->peft ? open_network(p, run, how) : p->learner->open(&p->learned, run, p->dir);
}

Status predictor_open(Predictor *p, Arena *run, const char *dir, const LoadOptions *how)
{
    *p = (Predictor){.dir = dir, .features = N_FEATURES};
    TRY(find_task(&p->task, run, dir));
    return open_card(p, run, predictor_card(p->task, run, dir), how);
}

Status predictor_open_draft(Predictor *p, const Task *task, Arena *run, const char *dir, const LoadOptions *how)
{
    *p = (Predictor){.task = task, .dir = dir, .features = N_FEATURES};
    return open_card(p, run, predictor_draft(run, dir), how);
}

void predictor_close(Predictor *p)
{
    if (p->net) tokenizer_close(&p->text);
    p->net = NULL;
}

/* The card of a pretraining on changes, pretrain.json: its result is a model, which other tasks begin with. */
#include <string.h>

#include "io/json.h"
#include "tasks/predictor.h"

static void write_card(const Predictor *p, cJSON *root)
{
    cJSON_AddStringToObject(root, "objectives", REVIEW_FORM[p->objectives]);
}

static Status read_card(Predictor *p, Arena *a, const cJSON *root, const char *path)
{
    (void)a;
    const char *form = "";
    int f = 0;
    if (!p->peft) return err_fail(E_FORMAT, "%s: method '%.40s' pretrains nothing", path, p->method);
    TRY(json_text(&form, root, "objectives", path));
    while (f < REVIEW_FORMS && strcmp(REVIEW_FORM[f], form) != 0) f++;
    p->objectives = (ReviewForm)f;
    return f < REVIEW_FORMS
               ? OK
               : err_fail(E_FORMAT, "%s: objectives is '%.30s', expected codereviewer or cct5", path, form);
}

static LoadOptions load_options(const Predictor *p)
{
    (void)p;
    return (LoadOptions){0};
}

static Status open_head(Predictor *p)
{
    return cmg_writes(p->net);
}

static Status check_lengths(const Predictor *p, int taken)
{
    (void)p, (void)taken;
    return OK;
}

const Task TASK_PRETRAIN = {.name = "pretrain",
                            .base = "./writer",
                            .write_card = write_card,
                            .read_card = read_card,
                            .load_options = load_options,
                            .open_head = open_head,
                            .check_lengths = check_lengths};

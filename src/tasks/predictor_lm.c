/* The card of a language model tuned on texts, lm.json. */
#include <string.h>

#include "base/str.h"
#include "io/json.h"
#include "tasks/predictor.h"

static void write_card(const Predictor *p, cJSON *root)
{
    cJSON_AddNumberToObject(root, "length", p->lm.length);
    cJSON_AddNumberToObject(root, "end", p->lm.end);
    cJSON_AddStringToObject(root, "score", LM_SCORE[p->lm.score_all]);
    cJSON_AddStringToObject(root, "text_key", p->key);
}

static Status read_card(Predictor *p, Arena *a, const cJSON *root, const char *path)
{
    const char *score = LM_SCORE[0], *key = LM_KEY;
    int end = -1;
    if (!p->peft) return err_fail(E_FORMAT, "%s: method '%.40s' writes no text", path, p->method);
    p->lm = (LmPlan){.length = LM_MOST};
    TRY(json_int(&p->lm.length, root, "length", LM_LEAST, 1 << 20, path));
    TRY(json_int(&end, root, "end", -1, MOST_IDS, path));
    TRY(json_text(&score, root, "score", path));
    TRY(json_text(&key, root, "text_key", path));
    p->lm.end = end;
    p->lm.score_all = !strcmp(score, LM_SCORE[1]);
    if (!p->lm.score_all && strcmp(score, LM_SCORE[0]) != 0)
        return err_fail(E_FORMAT, "%s: score is '%.30s', expected %s or %s", path, score, LM_SCORE[0], LM_SCORE[1]);
    p->key = str_copy(a, key, strlen(key));
    return OK;
}

static Status check_lengths(const Predictor *p, int taken)
{
    int most = config_room(&p->net->config);
    if (p->lm.end >= p->net->config.vocab)
        return err_fail(E_MISMATCH,
                        "%s/lm.json: the end-of-text token is %d, but the model's token table has %d rows", p->dir,
                        p->lm.end, p->net->config.vocab);
    if (most && p->lm.length + taken > most)
        return err_fail(E_MISMATCH, "%s/lm.json: length %d and %d virtual tokens, but the model has positions for %d",
                        p->dir, p->lm.length, taken, most);
    return OK;
}

static LoadOptions load_options(const Predictor *p)
{
    (void)p;
    return (LoadOptions){0};
}

static Status open_head(Predictor *p)
{
    return lm_writes(p->net);
}

const Task TASK_LM = {.name = "lm",
                      .write_card = write_card,
                      .read_card = read_card,
                      .load_options = load_options,
                      .open_head = open_head,
                      .check_lengths = check_lengths};
REGISTER(task, TASK_LM)

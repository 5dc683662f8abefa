/* The card of a writer of commit messages, cmg.json. */
#include <string.h>

#include "base/str.h"
#include "io/json.h"
#include "tasks/predictor.h"

static void write_card(const Predictor *p, cJSON *root)
{
    if (p->cmg.language) cJSON_AddStringToObject(root, "language", p->cmg.language);
    cJSON_AddNumberToObject(root, "source", p->cmg.source);
    cJSON_AddNumberToObject(root, "target", p->cmg.target);
    cJSON_AddNumberToObject(root, "keep", p->cmg.keep);
    cJSON_AddNumberToObject(root, "add", p->cmg.add);
    cJSON_AddNumberToObject(root, "del", p->cmg.del);
    if (p->cmg.review) cJSON_AddBoolToObject(root, "review", true);
}

/* Reads the settings of message generation from a predictor's JSON: lengths, special tokens and language. */
static Status read_card(Predictor *p, Arena *a, const cJSON *root, const char *path)
{
    const char *language = NULL;
    int mark[3] = {-1, -1, -1};
    if (!p->peft) return err_fail(E_FORMAT, "%s: method '%.40s' writes no messages", path, p->method);
    p->cmg = (CmgPlan){.source = 512, .target = 128};
    TRY(json_text(&language, root, "language", path));
    if (language) p->cmg.language = str_copy(a, language, strlen(language));
    TRY(json_int(&p->cmg.source, root, "source", CMG_LEAST, 1 << 20, path));
    TRY(json_int(&p->cmg.target, root, "target", CMG_LEAST, 1 << 20, path));
    TRY(json_int(&mark[0], root, "keep", -1, MOST_IDS, path));
    TRY(json_int(&mark[1], root, "add", -1, MOST_IDS, path));
    TRY(json_int(&mark[2], root, "del", -1, MOST_IDS, path));
    TRY(json_bool(&p->cmg.review, root, "review", path));
    p->cmg.keep = mark[0], p->cmg.add = mark[1], p->cmg.del = mark[2];
    return OK;
}

static Status check_lengths(const Predictor *p, int taken)
{
    const CmgPlan *c = &p->cmg;
    int most = config_room(&p->net->config), rows = p->net->config.vocab;
    if (c->keep >= rows || c->add >= rows || c->del >= rows)
        return err_fail(E_MISMATCH,
                        "%s/cmg.json: special tokens %d, %d and %d, but the model's token table has %d rows", p->dir,
                        c->keep, c->add, c->del, rows);
    if (most && (c->source + taken > most || c->target + taken > most))
        return err_fail(E_MISMATCH,
                        "%s/cmg.json: lengths %d and %d and %d virtual tokens, but the model has positions for %d",
                        p->dir, c->source, c->target, taken, most);
    return OK;
}

static LoadOptions load_options(const Predictor *p)
{
    return (LoadOptions){.writes_from_encoder = cmg_prompts(&p->text)};
}

static Status open_head(Predictor *p)
{
    return cmg_writes(p->net);
}

const Task TASK_CMG = {.name = "cmg",
                       .base = "./writer",
                       .write_card = write_card,
                       .read_card = read_card,
                       .load_options = load_options,
                       .open_head = open_head,
                       .check_lengths = check_lengths};
REGISTER(task, TASK_CMG)

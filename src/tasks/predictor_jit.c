/* The card of a defect predictor, jit.json, and its head on a transformer. */
#include <math.h>
#include <string.h>

#include "base/str.h"
#include "io/json.h"
#include "tasks/predictor.h"

static cJSON *numbers(const double *x)
{
    return cJSON_CreateDoubleArray(x, N_FEATURES);
}

/* Adds the settings of defect prediction: threshold, features, head, lengths and the scale of features. */
static void write_card(const Predictor *p, cJSON *root)
{
    cJSON_AddNumberToObject(root, "threshold", p->threshold);
    if (p->recipe) cJSON_AddStringToObject(root, "recipe", p->recipe);
    cJSON_AddBoolToObject(root, "per_split", p->per_split);
    cJSON_AddNumberToObject(root, "features", (double)p->features);
    if (!p->model) return;
    cJSON_AddStringToObject(root, "head", JIT_HEAD[p->head]);
    if (p->plan.language) cJSON_AddStringToObject(root, "language", p->plan.language);
    cJSON_AddNumberToObject(root, "length", p->plan.length);
    cJSON_AddNumberToObject(root, "message", p->plan.message);
    cJSON_AddNumberToObject(root, "add", p->plan.add);
    cJSON_AddNumberToObject(root, "del", p->plan.del);
    if (!jit_reads_features(p->head)) return;
    cJSON_AddItemToObject(root, "mean", numbers(p->scale.mean));
    cJSON_AddItemToObject(root, "sd", numbers(p->scale.sd));
}

static Status read_numbers(double *out, const cJSON *root, const char *key, const char *path)
{
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(root, key), *x;
    int n = 0;
    cJSON_ArrayForEach(x, list)
    {
        if (cJSON_IsNumber(x) && isfinite(x->valuedouble) && n < N_FEATURES) out[n] = x->valuedouble;
        n += cJSON_IsNumber(x) && isfinite(x->valuedouble);
    }
    if (!cJSON_IsArray(list) || n != N_FEATURES || cJSON_GetArraySize(list) != n)
        return err_fail(E_FORMAT, "%s: %s is not a list of %d numbers", path, key, N_FEATURES);
    return OK;
}

/* Reads the settings of a neural defect predictor: head, lengths, special tokens and the scale of features. */
static Status read_network(Predictor *p, Arena *a, const cJSON *root, const char *path)
{
    const char *head = NULL, *language = NULL;
    TRY(json_text(&head, root, "head", path));
    if (!head) return err_fail(E_FORMAT, "%s: has no head", path);
    while (p->head < JIT_HEADS && strcmp(JIT_HEAD[p->head], head) != 0) p->head++;
    if (p->head == JIT_HEADS)
        return err_fail(E_FORMAT, "%s: head is '%.30s', expected single, concat or expert", path, head);
    TRY(json_text(&language, root, "language", path));
    p->plan = (JitPlan){.length = 512, .message = 64, .add = -1, .del = -1};
    if (language) p->plan.language = str_copy(a, language, strlen(language));
    int add = -1, del = -1;
    TRY(json_int(&p->plan.length, root, "length", 8, 1 << 20, path));
    TRY(json_int(&p->plan.message, root, "message", 0, 1 << 20, path));
    TRY(json_int(&add, root, "add", -1, MOST_IDS, path));
    TRY(json_int(&del, root, "del", -1, MOST_IDS, path));
    p->plan.add = add, p->plan.del = del;
    if (!jit_reads_features(p->head)) return OK;
    TRY(read_numbers(p->scale.mean, root, "mean", path));
    return read_numbers(p->scale.sd, root, "sd", path);
}

static Status read_card(Predictor *p, Arena *a, const cJSON *root, const char *path)
{
    int features = N_FEATURES;
    const char *recipe = NULL;
    p->threshold = 0.5;
    TRY(json_text(&recipe, root, "recipe", path));
    if (recipe) p->recipe = str_copy(a, recipe, strlen(recipe));
    TRY(json_real(&p->threshold, root, "threshold", 0, 1, path));
    TRY(json_bool(&p->per_split, root, "per_split", path));
    TRY(json_int(&features, root, "features", N_FEATURES - 1, N_FEATURES, path));
    p->features = features;
    return p->peft ? read_network(p, a, root, path) : OK;
}

static Status check_lengths(const Predictor *p, int taken)
{
    int most = config_room(&p->net->config);
    if (p->plan.add >= p->net->config.vocab || p->plan.del >= p->net->config.vocab)
        return err_fail(E_MISMATCH, "%s/jit.json: special tokens %d and %d, but the model's token table has %d rows",
                        p->dir, p->plan.add, p->plan.del, p->net->config.vocab);
    if (most && p->plan.length + taken > most)
        return err_fail(E_MISMATCH,
                        "%s/jit.json: length %d and %d virtual tokens, but the model has positions for %d", p->dir,
                        p->plan.length, taken, most);
    return OK;
}

static LoadOptions load_options(const Predictor *p)
{
    (void)p;
    return (LoadOptions){.no_lm_head = true};
}

static Status open_head(Predictor *p)
{
    jit_model_open(&p->j, p->net, p->head);
    jit_model_set(&p->j, recipe_find(p->recipe), p->as_published);
    return OK;
}

static Status load_head(Predictor *p, Arena *run)
{
    return jit_head_load(&p->j, str_print(run, "%s/head.safetensors", p->dir));
}

const Task TASK_JIT = {.name = "jit",
                       .base = "./encoder",
                       .write_card = write_card,
                       .read_card = read_card,
                       .load_options = load_options,
                       .open_head = open_head,
                       .load_head = load_head,
                       .check_lengths = check_lengths};
REGISTER(task, TASK_JIT)

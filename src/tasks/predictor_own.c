/* The card of a task on the user's own tables, classify.json and the like: columns, classes or scale, lengths. */
#include <math.h>
#include <string.h>

#include "base/str.h"
#include "io/json.h"
#include "tasks/predictor_own.h"

void own_write_card(const Predictor *p, cJSON *root)
{
    const OwnPlan *o = &p->own;
    cJSON_AddStringToObject(root, "text_column", o->text);
    if (o->pair) cJSON_AddStringToObject(root, "text_pair_column", o->pair);
    cJSON_AddStringToObject(root, "label_column", o->label);
    cJSON_AddNumberToObject(root, "length", o->length);
    cJSON_AddBoolToObject(root, "window", o->window);
    if (o->language) cJSON_AddStringToObject(root, "language", o->language);
    cJSON_AddNumberToObject(root, "seed", (double)p->seed);
    if (o->kind->target == OWN_NUMBERS) {
        cJSON_AddNumberToObject(root, "mean", o->mean);
        cJSON_AddNumberToObject(root, "sd", o->sd);
        return;
    }
    cJSON *list = cJSON_AddArrayToObject(root, "classes");
    for (int c = 0; c < o->classes; c++) cJSON_AddItemToArray(list, cJSON_CreateString(o->name[c]));
}

static Status column(const char **out, Arena *a, const cJSON *root, const char *key, const char *path)
{
    const char *s = NULL;
    TRY(json_text(&s, root, key, path));
    *out = s ? str_copy(a, s, strlen(s)) : NULL;
    return OK;
}

static Status read_classes(OwnPlan *o, Arena *a, const cJSON *root, const char *path)
{
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(root, "classes"), *x;
    int n = cJSON_GetArraySize(list);
    if (!cJSON_IsArray(list) || n < 2 || n > OWN_CLASSES_MOST)
        return err_fail(E_FORMAT, "%s: classes is not a list of 2 to %d names", path, OWN_CLASSES_MOST);
    const char **name = NEW(a, const char *, n + 1);
    cJSON_ArrayForEach(x, list)
    {
        if (!cJSON_IsString(x)) return err_fail(E_FORMAT, "%s: a name among classes is no text", path);
        name[o->classes++] = str_copy(a, x->valuestring, strlen(x->valuestring));
    }
    o->name = name;
    return OK;
}

Status own_read_card(Predictor *p, Arena *a, const cJSON *root, const char *path)
{
    OwnPlan *o = &p->own;
    double seed = 0;
    if (!p->peft) return err_fail(E_FORMAT, "%s: method '%.40s' is for --task jit", path, p->method);
    *o = (OwnPlan){.kind = p->task->own, .length = OWN_MOST, .sd = 1};
    TRY(column(&o->text, a, root, "text_column", path));
    TRY(column(&o->pair, a, root, "text_pair_column", path));
    TRY(column(&o->label, a, root, "label_column", path));
    TRY(column(&o->language, a, root, "language", path));
    if (!o->text || !o->label) return err_fail(E_FORMAT, "%s: has no text_column or no label_column", path);
    TRY(json_int(&o->length, root, "length", OWN_LEAST, 1 << 20, path));
    TRY(json_bool(&o->window, root, "window", path));
    TRY(json_real(&seed, root, "seed", 0, 0x1p63, path));
    p->seed = (uint64_t)seed;
    if (o->kind->target != OWN_NUMBERS) return read_classes(o, a, root, path);
    TRY(json_real(&o->mean, root, "mean", -1e300, 1e300, path));
    return json_real(&o->sd, root, "sd", 0x1p-1000, 1e300, path);
}

LoadOptions own_load_options(const Predictor *p)
{
    return (LoadOptions){.no_lm_head = true, .classes = own_outputs(&p->own)};
}

Status own_open_head(Predictor *p)
{
    if (!p->net->classify && !p->net->arch->classify)
        return err_fail(E_MISMATCH, "this %s model has no classification head", p->net->config.arch);
    own_model_open(&p->o, p->net, &p->own);
    return OK;
}

Status own_check_lengths(const Predictor *p, int taken)
{
    int most = config_room(&p->net->config);
    if (most && p->own.length + taken > most)
        return err_fail(E_MISMATCH, "%s/%s.json: length %d and %d virtual tokens, but the model has positions for %d",
                        p->dir, p->task->name, p->own.length, taken, most);
    return OK;
}

/* ---- config.json of a model that is saved whole */

static void name_outputs(const OwnPlan *o, cJSON *root)
{
    cJSON *names = cJSON_CreateObject(), *ids = cJSON_CreateObject();
    Arena a = arena_open(1 << 20);
    for (int c = 0; c < own_outputs(o); c++) {
        const char *name = o->classes ? o->name[c] : "value";
        ArenaMark mark = arena_mark(&a);
        cJSON_AddStringToObject(names, str_print(&a, "%d", c), name);
        cJSON_AddNumberToObject(ids, name, c);
        arena_drop(&a, mark);
    }
    arena_close(&a);
    cJSON_DeleteItemFromObjectCaseSensitive(root, "num_labels");
    cJSON_AddItemToObject(root, "id2label", names);
    cJSON_AddItemToObject(root, "label2id", ids);
    cJSON_AddStringToObject(root, "problem_type", o->classes ? "single_label_classification" : "regression");
}

Status own_name_outputs(const OwnPlan *o, const char *dir, Arena *a)
{
    cJSON *root;
    const char *path = str_print(a, "%s/config.json", dir);
    TRY(json_read(&root, a, path));
    name_outputs(o, root);
    Status s = json_write(root, path);
    cJSON_Delete(root);
    return s;
}

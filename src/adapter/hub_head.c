/* Flexible heads of the adapters library: head_config.json says what they are made of, and their tensors are
 * heads.NAME.I.weight with I counting dropouts and activations, too.  A head that equals the base model's own is
 * that; another one stands in its place (nn/stacked.h). */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "adapter/hub.h"
#include "base/str.h"
#include "nn/build.h"
#include "nn/config.h"
#include "nn/stacked.h"

static Status read_act(StackedConfig *c, const cJSON *config, const char *path)
{
    const char *name = NULL;
    TRY(json_text(&name, config, "activation_function", path));
    c->act = ACT_NONE;
    if (!name) return OK;
    for (const struct HubAct *h = HUB_ACTS; h->name; h++)
        if (!strcmp(h->name, name)) {
            c->act = h->act;
            return OK;
        }
    return err_fail(E_MISMATCH, "%s: activation_function is '%.30s', which is not supported", path, name);
}

static Status read_config(Adapter *a, const cJSON *root, const char *path)
{
    const cJSON *config = cJSON_GetObjectItemCaseSensitive(root, "config");
    const char *type = "";
    if (!cJSON_IsObject(config)) return OK; /* a head of the model's own class */
    HubHead *h = NEW(a->run, HubHead, 1);
    h->stacked = (StackedConfig){.layers = 1, .classes = 2, .bias = true};
    TRY(json_text(&h->name, root, "name", path));
    TRY(json_text(&type, config, "head_type", path));
    if (!str_glob("classification|multilabel_classification", type))
        return err_fail(E_MISMATCH, "%s: head_type is '%.40s', expected classification or multilabel_classification",
                        path, type);
    TRY(json_int(&h->stacked.layers, config, "layers", 1, STACKED_MOST, path));
    TRY(json_int(&h->stacked.classes, config, "num_labels", 1, 1 << 16, path));
    TRY(json_bool(&h->stacked.bias, config, "bias", path));
    TRY(json_bool(&h->stacked.pooler, config, "use_pooler", path));
    TRY(read_act(&h->stacked, config, path));
    h->step = h->stacked.act == ACT_NONE ? 2 : 3;
    if (!h->name || !*h->name) return err_fail(E_FORMAT, "%s: name is missing, which the tensors carry", path);
    h->name = str_copy(a->run, h->name, strlen(h->name));
    a->hub_head = h;
    return OK;
}

Status hub_head_open(Adapter *a)
{
    const char *path = str_print(a->run, "%s/head_config.json", a->dir);
    cJSON *root;
    if (!a->head || access(path, F_OK)) return OK;
    TRY(json_read(&root, a->run, path));
    Status s = read_config(a, root, path);
    cJSON_Delete(root);
    return s;
}

/* The layers of the base model's own head, where this one equals it; 0 where it does not. */
static int own_layers(const HubHead *h, const Model *m)
{
    const StackedConfig *c = &h->stacked;
    if (m->arch->encode || !m->encoder || !c->bias) return 0;
    if (c->layers == 2 && c->act == ACT_TANH && !c->pooler && param_find(m->params, "classifier.out_proj.weight"))
        return 2;
    return c->layers == 1 && c->pooler && param_find(m->params, "classifier.weight") ? 1 : 0;
}

Status hub_reshape(Adapter *a, Model *m)
{
    if (!a->hub_head || own_layers(a->hub_head, m)) return OK;
    Status s = stacked_build(m, &a->hub_head->stacked);
    return s == E_CONFIG ? E_MISMATCH : s;
}

int hub_head_classes(const Adapter *a)
{
    const StackedConfig *c = a->hub_head ? &a->hub_head->stacked : NULL;
    return c && ((c->layers == 2 && c->act == ACT_TANH) || (c->layers == 1 && c->pooler)) ? c->classes : 0;
}

/* Of the base's own head the layers are dense and out_proj, or the classifier alone. */
const char *hub_head_name(const Adapter *a, const Param *p)
{
    const HubHead *h = a->hub_head;
    char kind[16] = "";
    int layer;
    if (sscanf(p->name, "classifier.stacked.%d.%15s", &layer, kind) != 2) {
        if (a->model->stacked) return NULL; /* the base's own head is out of use */
        layer = own_layers(h, a->model) == 2 && str_glob("classifier.out_proj.*", p->name);
        snprintf(kind, sizeof kind, "%s", strrchr(p->name, '.') + 1);
    }
    return str_print(a->run, "heads.%s.%d.%s", h->name, h->step * layer + 1, kind);
}

static const char *act_name(Act act)
{
    for (const struct HubAct *h = HUB_ACTS; h->name; h++)
        if (h->act == act) return h->name;
    return "relu";
}

/* The library builds the head from this. */
void hub_head_describe(const Adapter *a, cJSON *root)
{
    const StackedConfig *c = &a->hub_head->stacked;
    cJSON *config = cJSON_AddObjectToObject(root, "config"), *labels;
    config_put(config, "head_type", "classification");
    cJSON_AddNumberToObject(config, "num_labels", c->classes);
    cJSON_AddNumberToObject(config, "layers", c->layers);
    if (c->act == ACT_NONE)
        cJSON_AddNullToObject(config, "activation_function");
    else
        config_put(config, "activation_function", act_name(c->act));
    cJSON_AddBoolToObject(config, "bias", c->bias);
    cJSON_AddBoolToObject(config, "use_pooler", c->pooler);
    cJSON_AddNullToObject(config, "dropout_prob");
    labels = cJSON_AddObjectToObject(config, "label2id");
    for (int i = 0; i < c->classes; i++) cJSON_AddNumberToObject(labels, str_print(a->run, "LABEL_%d", i), i);
    config_put(root, "name", a->hub_head->name);
}

/* Shared by the formats of both libraries: remarks, fields that are set, bindings, and the names of tensors. */
#include "adapter/library.h"

#include <stdarg.h>
#include <string.h>

#include "adapter/hub.h"
#include "base/str.h"
#include "nn/build.h"
#include "nn/rope.h"

static void remark(Adapter *a, const char *text)
{
    if (a->n_remarks < (int)(sizeof a->remark / sizeof *a->remark)) a->remark[a->n_remarks++] = text;
}

void adapter_remark(Adapter *a, const char *fmt, ...)
{
    va_list list;
    va_start(list, fmt);
    remark(a, str_vprint(a->run, fmt, list, NULL));
    va_end(list);
}

Status adapter_differs(Adapter *a, const char *fmt, ...)
{
    va_list list;
    va_start(list, fmt);
    const char *text = str_vprint(a->run, fmt, list, NULL);
    va_end(list);
    if (a->exact) return err_fail(E_MISMATCH, "%s", text);
    remark(a, text);
    return OK;
}

bool adapter_json_is_set(const cJSON *object, const char *key)
{
    const cJSON *j = cJSON_GetObjectItemCaseSensitive(object, key);
    if (!j || cJSON_IsNull(j) || cJSON_IsFalse(j)) return false;
    return !((cJSON_IsArray(j) || cJSON_IsObject(j)) && !j->child);
}

Status adapter_refuse(const Adapter *a, const cJSON *object, const char *key, const char *why)
{
    return adapter_json_is_set(object, key) ? err_fail(E_MISMATCH, "%s: %s is set: %s", a->path, key, why) : OK;
}

void adapter_unknown(Adapter *a, const cJSON *object, const char *const *known)
{
    const cJSON *j;
    cJSON_ArrayForEach(j, object)
    {
        int i = 0;
        while (known[i] && strcmp(known[i], j->string) != 0) i++;
        if (!known[i] && adapter_json_is_set(object, j->string))
            adapter_remark(a, "field %.60s is not known here and is left aside", j->string);
    }
}

/* The table of a head that shared the tokens', and what scales with it. */
static bool is_of_head(const Param *p)
{
    static const char *const HEADS = "lm_head.weight|lm_head.decoder.weight|cls.predictions.decoder.weight|"
                                     "peft.*.lm_head.B|peft.*.lm_head.magnitude";
    return str_glob(HEADS, p->name);
}

Binding *adapter_bind(Adapter *a, Param *p, const char *tensor, int rank, const int64_t *dim)
{
    CHECK(a->n_bindings < 2 * params_n(a->model->params) + 2, "more bindings than parameters");
    Binding *b = &a->binding[a->n_bindings++];
    *b = (Binding){.param = p, .tensor = tensor, .rank = rank, .row = tensor_last(p->val), .factor = 1};
    if (a->model->untied != 0 && is_of_head(p)) b->factor = a->model->untied;
    memcpy(b->dim, dim, sizeof *dim * (size_t)rank);
    return b;
}

/* While PEFT trains, modules stand behind wrappers, and some files show it: X.modules_to_save.weight and
 * X.modules_to_save.default.weight are X.weight, X.lora_A.default.weight is X.lora_A.weight, torch.compile adds
 * "_orig_mod." and data-parallel training "module.".  Some files lack the stem base_model.model. altogether. */
static const char *const TRACES[] = {"modules_to_save.", "_orig_mod.", "default."};
static const char MODULE[] = "module.", BASE[] = "base_model.", DEFAULT[] = ".default";

/* Takes a piece out of the name where it begins a component. */
static void drop(char *name, const char *piece)
{
    for (char *at = name; (at = strstr(at, piece));) {
        if (at > name && at[-1] != '.')
            at++;
        else
            memmove(at, at + strlen(piece), strlen(at + strlen(piece)) + 1);
    }
}

static const char *without_traces(Arena *arena, const char *name)
{
    char *plain = str_copy(arena, name, strlen(name));
    if (!strncmp(plain, MODULE, strlen(MODULE)))
        memmove(plain, plain + strlen(MODULE), strlen(plain) - strlen(MODULE) + 1);
    for (size_t i = 0; i < sizeof TRACES / sizeof *TRACES; i++) drop(plain, TRACES[i]);
    size_t n = strlen(plain), end = strlen(DEFAULT);
    if (n > end && !strcmp(plain + n - end, DEFAULT)) plain[n - end] = 0;
    return plain;
}

void adapter_read_names(Adapter *a)
{
    int n = weights_n(a->weights);
    bool bare = n > 0, odd = false;
    if (!a->library->wrapped) return;
    a->plain = NEW(a->run, const char *, n);
    for (int i = 0; i < n; i++) {
        const char *name = weights_at(a->weights, i)->name;
        a->plain[i] = without_traces(a->run, name);
        odd |= strcmp(a->plain[i], name) != 0;
        bare &= strncmp(a->plain[i], BASE, strlen(BASE)) != 0 && strcmp(a->plain[i], "prompt_embeddings") != 0;
    }
    for (int i = 0; i < n && bare; i++) a->plain[i] = str_print(a->run, "%s%s", a->library->stem, a->plain[i]);
    if (bare)
        adapter_remark(a,
                       "tensors are called like '%.80s'; PEFT writes them under base_model.model. and does not read "
                       "them so",
                       weights_at(a->weights, 0)->name);
    if (!odd && !bare) a->plain = NULL;
}

const char *adapter_outer_name(const Adapter *a, const char *name)
{
    for (int i = 0; a->plain && i < weights_n(a->weights); i++)
        if (!strcmp(weights_at(a->weights, i)->name, name)) return a->plain[i];
    return name;
}

static const Stored *find_in(const Adapter *a, const Weights *w, const char *tensor)
{
    const Stored *s = w ? weights_find(w, tensor) : NULL;
    for (int i = 0; w && w == a->weights && a->plain && !s && i < weights_n(w); i++)
        if (!strcmp(a->plain[i], tensor)) s = weights_at(w, i);
    return s;
}

const Stored *adapter_stored(const Adapter *a, const char *tensor)
{
    const Stored *s = find_in(a, a->weights, tensor);
    return s ? s : find_in(a, a->head, tensor);
}

const char *adapter_base_name(const Adapter *a, const char *name)
{
    return build_is_any_head(name) ? name : str_print(a->run, "%s%s", a->prefix, name);
}

bool adapter_is_whole(const Linear *l)
{
    return l->w->val.dim[l->layout == IN_OUT] == l->out;
}

const char *adapter_name_list(Arena *arena, const char *const *names, int n)
{
    Buf b = buf_open(arena);
    for (int i = 0; i < n; i++) buf_print(&b, "%s%s", i ? "|" : "", names[i]);
    return b.text;
}

Status adapter_refuse_window(const Adapter *a, const Model *m)
{
    for (Part part = 0; part < PART_CROSS; part++)
        for (int l = 0; l < model_layers(m, part); l++)
            if (window_of(&m->config, l) > 0)
                return err_fail(
                    E_MISMATCH,
                    "%s: a prefix falls out of the window of %d tokens that layer %d of this %s model has", a->path,
                    window_of(&m->config, l), l, m->config.arch);
    return OK;
}

int adapter_classes(const Adapter *a)
{
    if (a->hub_head) return hub_head_classes(a);
    static const char *const last = "*classifier.out_proj.weight|*classification_head.out_proj.weight|"
                                    "*classifier.weight|*score.weight";
    for (int which = 0; which < 2; which++) {
        const Weights *w = which ? a->head : a->weights;
        for (int i = 0; w && i < weights_n(w); i++) {
            const Stored *s = weights_at(w, i);
            if (str_glob(last, adapter_outer_name(a, s->name)) && s->rank == 2 && s->dim[0] <= 1 << 16)
                return (int)s->dim[0];
        }
    }
    return 0;
}

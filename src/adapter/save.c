/* Writing: bindings gather parameters into tensors.  Unbound elements (halves of a table that nothing reads)
 * keep the values of the file they were read from, or are zero. */
#include <string.h>

#include "adapter/library.h"
#include "base/file.h"
#include "base/str.h"
#include "io/json.h"
#include "io/safetensors.h"
#include "nn/build.h"
#include "nn/config.h"
#include "peft/lora.h"

typedef struct {
    Named *at;
    int n;
} Tensors;

static Tensor start_of(const Adapter *a, const Binding *b)
{
    Tensor t = tensor_zero(a->run, b->param->val.dtype, b->rank, b->dim);
    const Stored *s = adapter_stored(a, b->tensor);
    bool same = s && s->count == tensor_count(t);
    for (int64_t i = 0; same && i < s->count; i++) tensor_set(t, i, stored_get(s, i));
    return t;
}

static int64_t place(const Binding *b, int64_t i)
{
    int64_t n = tensor_last(b->param->val);
    return b->first + i / n * b->row + i % n;
}

static void put(const Adapter *a, Tensors *out, const Binding *b)
{
    int i = 0;
    while (i < out->n && strcmp(out->at[i].name, b->tensor) != 0) i++;
    if (i == out->n) out->at[out->n++] = (Named){b->tensor, start_of(a, b)};
    for (int64_t j = 0; j < tensor_count(b->param->val); j++)
        tensor_set(out->at[i].value, place(b, j), tensor_get(b->param->val, j) / b->factor);
}

static bool same_number(double x, double y)
{
    return x == y || (x != x && y != y);
}

/* Two parameters may share a tensor's elements only when they agree. */
static Status check(const Tensors *out, const Binding *b)
{
    if (b->factor != 1) return OK; /* a head shares nothing, and division rounds */
    for (int i = 0; i < out->n; i++)
        for (int64_t j = 0; !strcmp(out->at[i].name, b->tensor) && j < tensor_count(b->param->val); j++)
            if (!same_number(tensor_get(out->at[i].value, place(b, j)), tensor_get(b->param->val, j)))
                return err_fail(E_MISMATCH,
                                "%s shares its place in tensor '%s' with another layer and differs from it",
                                b->param->name, b->tensor);
    return OK;
}

static Status write_tensors(const Adapter *a, const char *path, bool head)
{
    Tensors out = {NEW(a->run, Named, a->n_bindings + 1), 0};
    for (int i = 0; i < a->n_bindings; i++)
        if (a->binding[i].head == head) put(a, &out, &a->binding[i]);
    for (int i = 0; i < a->n_bindings; i++)
        if (a->binding[i].head == head) TRY(check(&out, &a->binding[i]));
    Stored *t = NEW(a->run, Stored, out.n);
    for (int i = 0; i < out.n; i++) t[i] = stored_of(out.at[i].name, out.at[i].value);
    return weights_write(path, t, out.n);
}

/* ---- parameters beside the method's own */

static bool was_carried(const Binding *old, int n, const Param *p)
{
    for (int i = 0; i < n; i++)
        if (old[i].param == p) return true;
    return false;
}

static bool is_bound(const Adapter *a, const Param *p)
{
    return was_carried(a->binding, a->n_bindings, p);
}

/* Whether a trainable parameter is none of the method's own: of a classification head, or a bias. */
static bool goes_along(const Binding *old, int n, const Param *p)
{
    if (str_glob("peft.*", p->name)) return false;
    return p->trainable || was_carried(old, n, p);
}

/* Where the file had the parameter under the name of something tied to it, too, the library reads both. */
static void bind_twins(Adapter *a, Param *p)
{
    for (const Alias *t = a->model->arch->format->alias; t && t->name; t++) {
        const char *twin = str_print(a->run, "%s%s", a->library->stem, adapter_base_name(a, t->file));
        if (!strcmp(t->name, p->name) && !param_find(a->model->params, t->file) && adapter_stored(a, twin))
            adapter_bind(a, p, twin, p->val.rank, p->val.dim);
    }
}

static Status bind_along(Adapter *a, const Binding *old, int n)
{
    for (int i = 0; i < params_n(a->model->params); i++) {
        Param *p = params_at(a->model->params, i);
        if (!goes_along(old, n, p) || is_bound(a, p)) continue;
        const char *name = a->library->carried(a, p, 0);
        if (!name && a->model->stacked && build_is_class_head(p->name)) continue; /* out of use */
        if (!name)
            return err_fail(E_MISMATCH, "%s was saved whole beside the adapter, and %s has no place for it", p->name,
                            a->library->title);
        adapter_bind(a, p, name, p->val.rank, p->val.dim)->head = a->library->head[0] && build_is_any_head(p->name);
        bind_twins(a, p);
    }
    return OK;
}

static bool any_head(const Adapter *a)
{
    for (int i = 0; i < a->n_bindings; i++)
        if (a->binding[i].head) return true;
    return false;
}

/* ---- the directory */

static Status save_head(const Adapter *a, const char *dir)
{
    if (!any_head(a)) return OK;
    cJSON *root = cJSON_CreateObject();
    a->library->describe_head(a, root);
    Status s = json_write(root, str_print(a->run, "%s/head_config.json", dir));
    cJSON_Delete(root);
    return s ? s : write_tensors(a, str_print(a->run, "%s/%s", dir, a->library->head[0]), true);
}

static Status save(Adapter *a, const char *dir, cJSON *root)
{
    TRY(a->library->describe(a, root));
    const Binding *old = a->binding;
    int n = a->n_bindings;
    a->binding = NEW(a->run, Binding, 2 * params_n(a->model->params) + 2);
    a->n_bindings = 0;
    a->writing = true;
    TRY(a->library->bind(a));
    TRY(bind_along(a, old, n));
    TRY(file_make_dir(dir));
    TRY(write_tensors(a, str_print(a->run, "%s/%s", dir, a->library->weights[0]), false));
    TRY(save_head(a, dir));
    return json_write(root, str_print(a->run, "%s/adapter_config.json", dir));
}

Status adapter_save(Adapter *a, const char *dir)
{
    CHECK(a->model && a->library, "an adapter is saved when it is attached and has a library");
    cJSON *root = cJSON_CreateObject();
    Status s = save(a, dir, root);
    cJSON_Delete(root);
    return s;
}

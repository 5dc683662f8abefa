/* Opening and attaching: the steps that both libraries share.  A list of bindings records which element
 * of which tensor is which element of which parameter; reading, writing and checking all go by it. */
#include "adapter/adapter.h"

#include <string.h>
#include <unistd.h>

#include "adapter/library.h"
#include "base/str.h"
#include "nn/build.h"
#include "nn/config.h"

static const Library *const LIBRARIES[] = {&LIBRARY_HF, &LIBRARY_HUB, &LIBRARY_OWN};
enum { N_LIBRARIES = sizeof LIBRARIES / sizeof *LIBRARIES };

const Library *library_find(const char *name)
{
    for (int i = 0; i < N_LIBRARIES; i++)
        if (LIBRARIES[i] != &LIBRARY_OWN && !strcmp(LIBRARIES[i]->name, name)) return LIBRARIES[i];
    return NULL;
}

const Library *library_choice(int i)
{
    return i < N_LIBRARIES ? LIBRARIES[i] : NULL;
}

const char *library_name(const Library *l)
{
    return l->name;
}

const char *library_title(const Library *l)
{
    return l->title;
}

/* ---- opening */

static const char *first_file(Arena *run, const char *dir, const char *const *names)
{
    for (int i = 0; i < 2 && names[i]; i++) {
        const char *path = str_print(run, "%s/%s", dir, names[i]);
        if (!access(path, F_OK)) return path;
    }
    return NULL;
}

static Status open_weights(Adapter *a)
{
    const Library *l = a->library;
    const char *path = first_file(a->run, a->dir, l->weights);
    if (!path)
        return err_fail(E_IO, "%s: holds no %s%s%s, where %s keeps an adapter's weights", a->dir, l->weights[0],
                        l->weights[1] ? " and no " : "", l->weights[1] ? l->weights[1] : "", l->title);
    TRY(weights_open(&a->weights, a->run, path));
    if (!l->head[0]) return OK;
    path = first_file(a->run, a->dir, l->head);
    return path ? weights_open(&a->head, a->run, path) : OK;
}

/* Reads the configuration, finds the library that wrote it, and opens the weights. */
static Status open_adapter(Adapter *a)
{
    TRY(json_read(&a->root, a->run, a->path));
    if (!cJSON_IsObject(a->root)) return err_fail(E_FORMAT, "%s: is not an object", a->path);
    int marks = 0;
    for (int i = 0; i < N_LIBRARIES; i++)
        if (cJSON_GetObjectItemCaseSensitive(a->root, LIBRARIES[i]->mark)) a->library = LIBRARIES[i], marks++;
    if (marks != 1)
        return err_fail(
            E_FORMAT,
            "%s: has %s of peft_type (Hugging Face PEFT), config (adapters) and vernier_method (Vernier), "
            "expected exactly one",
            a->path, marks ? "several" : "none");
    TRY(a->library->identify(a));
    TRY(open_weights(a));
    adapter_read_names(a);
    return a->library->opened ? a->library->opened(a) : OK;
}

Status adapter_open(Adapter **out, Arena *run, const char *dir)
{
    Adapter *a = NEW(run, Adapter, 1);
    *a = (Adapter){.run = run, .dir = dir, .path = str_print(run, "%s/adapter_config.json", dir)};
    Status s = open_adapter(a);
    *out = s ? NULL : a;
    if (s) adapter_close(a);
    return s;
}

void adapter_close(Adapter *a)
{
    if (!a) return;
    weights_close(a->weights);
    weights_close(a->head);
    cJSON_Delete(a->root);
    a->weights = a->head = NULL;
    a->root = NULL;
}

/* ---- attaching */

static double stored_numbers(const Adapter *a)
{
    double n = 0;
    for (int i = 0; i < weights_n(a->weights); i++) n += (double)weights_at(a->weights, i)->count;
    return n;
}

/* A config may not describe more than its file holds, so that no file makes the program reserve memory in vain. */
static Status check_size(const Adapter *a, const Model *m)
{
    PeftConfig cfg = a->cfg;
    double asked = (double)a->method->count(m, &cfg) - (double)params_count(m->params, "*.bias", false);
    if (a->method->frozen && a->method->knob && *a->method->knob(&cfg) > asked)
        asked = *a->method->knob(&cfg); /* counts leave it out */
    if (asked > stored_numbers(a))
        return err_fail(E_MISMATCH, "%s: describes about %.0f parameters on this %s model, and %s holds %.0f",
                        a->path, asked, m->config.arch, weights_path(a->weights), stored_numbers(a));
    return OK;
}

/* A bare encoder's names have none. */
static const char *default_prefix(const Model *m)
{
    return m->config.no_lm_head && !m->config.classes ? "" : m->arch->format->prefix;
}

/* The prefix of the base model's names, where a tensor shows it. */
static const char *prefix_of(const Adapter *a, const Model *m)
{
    static const char *const BARE = "encoder.*|decoder.*|layers.*|h.*|prefix_tuning.*|prompt_tuning.*";
    const char *prefix = m->arch->format->prefix;
    size_t stem = strlen(a->library->stem), n = strlen(prefix);
    bool bare = false;
    for (int i = 0; i < weights_n(a->weights) && n; i++) {
        const char *name = adapter_outer_name(a, weights_at(a->weights, i)->name);
        if (strncmp(name, a->library->stem, stem) != 0) continue;
        if (build_is_any_head(name + stem)) continue; /* with the prefix or without, a head has none */
        if (!strncmp(name + stem, prefix, n)) return prefix;
        bare |= str_glob(BARE, name + stem); /* or a head that is adapted */
    }
    return bare ? "" : default_prefix(m);
}

/* Base parameters that the file brings along: heads, biases, modules saved whole. */
static void bind_carried(Adapter *a)
{
    for (int i = 0; i < params_n(a->model->params); i++) {
        Param *p = params_at(a->model->params, i);
        if (str_glob("peft.*", p->name)) continue;
        const char *name;
        for (int which = 0; (name = a->library->carried(a, p, which)); which++)
            if (adapter_stored(a, name) && !(a->unread && !strcmp(a->unread, name))) {
                adapter_bind(a, p, name, p->val.rank, p->val.dim)->head = build_is_any_head(p->name);
                break;
            }
    }
}

/* A parameter takes its values from the tensor that its binding names.  E_MISMATCH: it is absent or of another
 * shape. */
static Status fill(const Adapter *a, const Binding *b)
{
    const Stored *s = adapter_stored(a, b->tensor), *times = b->times ? adapter_stored(a, b->times) : NULL;
    if (!s || (b->times && !times))
        return err_fail(E_MISMATCH, "%s: has no tensor '%s', which adapter_config.json requires",
                        weights_path(a->weights), s ? b->times : b->tensor);
    bool fits = s->rank == b->rank && stored_is_float(s);
    for (int i = 0; fits && i < b->rank; i++) fits = s->dim[i] == b->dim[i];
    Tensor like = {.rank = b->rank};
    memcpy(like.dim, b->dim, sizeof like.dim);
    if (!fits)
        return err_fail(E_MISMATCH, "%s: tensor '%s' is %s %s, expected floating point %s", weights_path(a->weights),
                        s->name, stored_type(s), stored_shape(s), tensor_shape(like));
    int64_t n = tensor_last(b->param->val);
    if (times && times->count != tensor_count(b->param->val) / n)
        return err_fail(E_MISMATCH, "%s: tensor '%s' is %s, expected %lld values", weights_path(a->weights),
                        times->name, stored_shape(times), (long long)(tensor_count(b->param->val) / n));
    param_widen(b->param);
    for (int64_t i = 0; i < tensor_count(b->param->val); i++) {
        double x = b->factor * stored_get(s, b->first + i / n * b->row + i % n);
        tensor_set(b->param->val, i, times ? x * stored_get(times, i / n) : x);
    }
    return OK;
}

/* Tensors that the libraries write and never read: aliases on shared storage, and the base's own side of a saved
 * module. */
static const char *const IDLE = "*.prefix_tuning.pool.*|*.original_module.*";

static bool same_numbers(const Stored *a, const Stored *b)
{
    bool same = a->count == b->count;
    for (int64_t i = 0; same && i < a->count; i++) same = stored_get(a, i) == stored_get(b, i);
    return same;
}

static bool is_bound(const Adapter *a, const Stored *s, const char *name)
{
    for (int i = 0; i < a->n_bindings; i++) {
        const Binding *b = &a->binding[i];
        if (!strcmp(b->tensor, name) || (b->times && !strcmp(b->times, name)) ||
            stored_same_bytes(s, adapter_stored(a, b->tensor)))
            return true;
    }
    return a->unread && !strcmp(a->unread, name);
}

/* The tensor that a parameter's values were taken from, where this one is another name of the parameter: the inner
 * name of a saved module, or that of the parameter tied to it in the base. */
static const Stored *twin_of(const Adapter *a, const char *outer)
{
    for (const Alias *t = a->model->arch->format->alias; t && t->name; t++)
        if (!strcmp(outer, str_print(a->run, "%s%s", a->library->stem, adapter_base_name(a, t->file))))
            return adapter_stored(a, str_print(a->run, "%s%s", a->library->stem, adapter_base_name(a, t->name)));
    return adapter_stored(a, outer);
}

/* Nothing that was trained is left aside in silence. */
static Status check_used(const Adapter *a, const Weights *w, const Stored *s)
{
    const char *outer = adapter_outer_name(a, s->name);
    if (!s->count || str_glob(IDLE, s->name)) return OK;
    const Stored *twin = is_bound(a, s, outer) ? adapter_stored(a, outer) : twin_of(a, outer);
    if (!twin || !(is_bound(a, s, outer) || is_bound(a, twin, twin->name)))
        return err_fail(E_MISMATCH,
                        "%s: tensor '%s' %s has no place: neither adapter_config.json nor the model uses it",
                        weights_path(w), s->name, stored_shape(s));
    if (twin != s && !stored_same_bytes(s, twin) && !same_numbers(s, twin))
        return err_fail(E_MISMATCH, "%s: tensors '%s' and '%s' are one parameter and hold different values",
                        weights_path(w), s->name, twin->name);
    return OK;
}

static Status check_unused(const Adapter *a, const Weights *w)
{
    for (int i = 0; w && i < weights_n(w); i++) TRY(check_used(a, w, weights_at(w, i)));
    return OK;
}

/* Attaches the adapter to a model and fills its parameters; E_MISMATCH where a tensor is missing or unused. */
Status adapter_attach(Adapter *a, Model *m, Hooks *hooks)
{
    CHECK(a->root && !a->model, "an adapter attaches once, as it was opened");
    a->prefix = prefix_of(a, m);
    if (a->library->reshape) TRY(a->library->reshape(a, m));
    TRY(a->library->configure(a, m));
    TRY(check_size(a, m));
    Status s = peft_attach(a->method, m, hooks, &a->cfg);
    if (s) return s == E_CONFIG ? E_MISMATCH : s; /* it is a file's setting, not the user's */
    a->model = m;
    if (a->library->prepare) TRY(a->library->prepare(a));
    a->binding = NEW(a->run, Binding, 2 * params_n(m->params) + 2);
    TRY(a->library->bind(a));
    bind_carried(a);
    for (int i = 0; i < a->n_bindings; i++) TRY(fill(a, &a->binding[i]));
    TRY(check_unused(a, a->weights));
    return check_unused(a, a->head);
}

int adapter_positions(const Adapter *a)
{
    return a->method->positions ? a->method->positions(&a->cfg) : 0;
}

Adapter *adapter_of(Model *m, const Peft *method, const PeftConfig *cfg, const char *name)
{
    Adapter *a = NEW(m->run, Adapter, 1);
    *a = (Adapter){.run = m->run,
                   .path = name,
                   .name = name,
                   .model = m,
                   .method = method,
                   .cfg = *cfg,
                   .prefix = default_prefix(m)};
    return a;
}

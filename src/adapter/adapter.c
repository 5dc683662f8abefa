/* Opening and attaching: the steps that both libraries share.  A list of bindings records which element
 * of which tensor is which element of which parameter; reading, writing and checking all go by it. */
#include "adapter/adapter.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"
#include "nn/build.h"
#include "nn/config.h"
#include "adapter/library.h"

static const Library *const LIBRARIES[] = {&LIBRARY_HF, &LIBRARY_HUB};
enum { N_LIBRARIES = sizeof LIBRARIES / sizeof *LIBRARIES };

const Library *library_find(const char *name)
{
    for (int i = 0; i < N_LIBRARIES; i++)
        if (!strcmp(LIBRARIES[i]->name, name)) return LIBRARIES[i];
    return NULL;
}

const char *library_name(const Library *l)
{
    return l->name;
}

const char *library_title(const Library *l)
{
    return l->title;
}

/* ---- for the libraries' files */

void adapter_remark(Adapter *a, const char *fmt, ...)
{
    char text[512];
    va_list list;
    va_start(list, fmt);
    vsnprintf(text, sizeof text, fmt, list);
    va_end(list);
    if (a->n_remarks < (int)(sizeof a->remark / sizeof *a->remark))
        a->remark[a->n_remarks++] = str_print(a->run, "%s", text);
}

bool json_is_set(const cJSON *object, const char *key)
{
    const cJSON *j = cJSON_GetObjectItemCaseSensitive(object, key);
    if (!j || cJSON_IsNull(j) || cJSON_IsFalse(j)) return false;
    return !((cJSON_IsArray(j) || cJSON_IsObject(j)) && !j->child);
}

Status adapter_refuse(const Adapter *a, const cJSON *object, const char *key, const char *why)
{
    return json_is_set(object, key) ? fail(E_MISMATCH, "%s: %s is set: %s", a->path, key, why) : OK;
}

void adapter_unknown(Adapter *a, const cJSON *object, const char *const *known)
{
    const cJSON *j;
    cJSON_ArrayForEach(j, object)
    {
        int i = 0;
        while (known[i] && strcmp(known[i], j->string) != 0) i++;
        if (!known[i] && json_is_set(object, j->string))
            adapter_remark(a, "field %.60s is not known here and is left aside", j->string);
    }
}

Binding *adapter_bind(Adapter *a, Param *p, const char *tensor, int rank, const int64_t *dim)
{
    CHECK(a->n_bindings < 2 * params_n(a->model->params) + 2, "more bindings than parameters");
    Binding *b = &a->binding[a->n_bindings++];
    *b = (Binding){.param = p, .tensor = tensor, .rank = rank, .row = tensor_last(p->val), .factor = 1};
    if (a->head_factor && str_glob("lm_head.weight|lm_head.decoder.weight", p->name)) b->factor = a->head_factor;
    memcpy(b->dim, dim, sizeof *dim * (size_t)rank);
    return b;
}

/* While PEFT trains, a saved module stands behind its wrapper, and some files show it: X.modules_to_save.weight and
 * X.modules_to_save.default.weight are X.weight. */
static const char INNER[] = ".modules_to_save.", DEFAULT[] = "default.";

static const char *outer_name(Arena *arena, const char *name)
{
    const char *in = strstr(name, INNER), *rest = in ? in + strlen(INNER) : NULL;
    if (!in) return name;
    if (!strncmp(rest, DEFAULT, strlen(DEFAULT))) rest += strlen(DEFAULT);
    return str_print(arena, "%.*s.%s", (int)(in - name), name, rest);
}

static const Stored *find_in(const Adapter *a, const Weights *w, const char *tensor)
{
    const Stored *s = w ? weights_find(w, tensor) : NULL;
    for (int i = 0; w && !s && i < weights_n(w); i++)
        if (strstr(weights_at(w, i)->name, INNER) && !strcmp(outer_name(a->run, weights_at(w, i)->name), tensor))
            s = weights_at(w, i);
    return s;
}

const Stored *adapter_stored(const Adapter *a, const char *tensor)
{
    const Stored *s = find_in(a, a->weights, tensor);
    return s ? s : find_in(a, a->head, tensor);
}

const char *adapter_base_name(const Adapter *a, const char *name)
{
    return is_any_head(name) ? name : str_print(a->run, "%s%s", a->prefix, name);
}

bool linear_is_whole(const Linear *l)
{
    return l->w->val.dim[l->layout == IN_OUT] == l->out;
}

const char *name_list(Arena *arena, const char *const *names, int n)
{
    Buf b = buf_open(arena);
    for (int i = 0; i < n; i++) buf_print(&b, "%s%s", i ? "|" : "", names[i]);
    return b.text;
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
        return fail(E_IO, "%s: holds neither %s nor %s, where %s keeps an adapter's parameters", a->dir,
                    l->weights[0], l->weights[1], l->title);
    TRY(weights_open(&a->weights, a->run, path));
    if (!l->head[0]) return OK;
    path = first_file(a->run, a->dir, l->head);
    return path ? weights_open(&a->head, a->run, path) : OK;
}

static Status open_adapter(Adapter *a)
{
    TRY(json_read(&a->root, a->run, a->path));
    if (!cJSON_IsObject(a->root)) return fail(E_FORMAT, "%s: is not an object", a->path);
    bool hf = cJSON_GetObjectItemCaseSensitive(a->root, "peft_type"),
         hub = cJSON_GetObjectItemCaseSensitive(a->root, "config");
    if (hf == hub)
        return fail(E_FORMAT, "%s: has %s peft_type (Hugging Face PEFT) %s config (adapters), so it is neither's",
                    a->path, hf ? "both" : "neither", hf ? "and" : "nor");
    a->library = hf ? &LIBRARY_HF : &LIBRARY_HUB;
    TRY(a->library->identify(a));
    return open_weights(a);
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

int adapter_classes(const Adapter *a)
{
    static const char *const last = "*classifier.out_proj.weight|*classification_head.out_proj.weight|"
                                    "*classifier.weight|*score.weight";
    for (int which = 0; which < 2; which++) {
        const Weights *w = which ? a->head : a->weights;
        for (int i = 0; w && i < weights_n(w); i++) {
            const Stored *s = weights_at(w, i);
            if (str_glob(last, outer_name(a->run, s->name)) && s->rank == 2 && s->dim[0] <= 1 << 16)
                return (int)s->dim[0];
        }
    }
    return 0;
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
    double asked = (double)a->method->count(m, &a->cfg) - (double)params_count(m->params, "*.bias", false);
    if (asked > stored_numbers(a))
        return fail(E_MISMATCH, "%s: describes about %.0f parameters on this %s model, and %s holds %.0f", a->path,
                    asked, m->config.arch, weights_path(a->weights), stored_numbers(a));
    return OK;
}

/* A bare encoder's names have none. */
static const char *default_prefix(const Model *m)
{
    return m->config.no_lm_head && !m->config.classes ? "" : m->arch->format->prefix;
}

/* The prefix of the base model's names, as the first tensor that shows it has it. */
static const char *prefix_of(const Adapter *a, const Model *m)
{
    static const char *const BARE = "encoder.*|decoder.*|h.*|prefix_tuning.*|prompt_tuning.*";
    const char *prefix = m->arch->format->prefix;
    size_t stem = strlen(a->library->stem), n = strlen(prefix);
    for (int i = 0; i < weights_n(a->weights) && n; i++) {
        const char *name = weights_at(a->weights, i)->name;
        if (strncmp(name, a->library->stem, stem) != 0) continue;
        if (!strncmp(name + stem, prefix, n)) return prefix;
        if (str_glob(BARE, name + stem)) return "";
    }
    return default_prefix(m);
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
                adapter_bind(a, p, name, p->val.rank, p->val.dim)->head = is_any_head(p->name);
                break;
            }
    }
}

static Status fill(const Adapter *a, const Binding *b)
{
    const Stored *s = adapter_stored(a, b->tensor), *times = b->times ? adapter_stored(a, b->times) : NULL;
    if (!s || (b->times && !times))
        return fail(E_MISMATCH, "%s: has no tensor '%s', which adapter_config.json requires",
                    weights_path(a->weights), s ? b->times : b->tensor);
    bool fits = s->rank == b->rank && stored_is_float(s);
    for (int i = 0; fits && i < b->rank; i++) fits = s->dim[i] == b->dim[i];
    Tensor like = {.rank = b->rank};
    memcpy(like.dim, b->dim, sizeof like.dim);
    if (!fits)
        return fail(E_MISMATCH, "%s: tensor '%s' is %s %s, expected floating point %s", weights_path(a->weights),
                    s->name, stored_type(s), stored_shape(s), tensor_shape(like));
    int64_t n = tensor_last(b->param->val);
    if (times && times->count != tensor_count(b->param->val) / n)
        return fail(E_MISMATCH, "%s: tensor '%s' is %s, expected %lld values", weights_path(a->weights), times->name,
                    stored_shape(times), (long long)(tensor_count(b->param->val) / n));
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
    const char *outer = outer_name(a->run, s->name);
    if (!s->count || str_glob(IDLE, s->name)) return OK;
    const Stored *twin = is_bound(a, s, outer) ? adapter_stored(a, outer) : twin_of(a, outer);
    if (!twin || !(is_bound(a, s, outer) || is_bound(a, twin, twin->name)))
        return fail(E_MISMATCH, "%s: tensor '%s' %s has no place: neither adapter_config.json nor the model uses it",
                    weights_path(w), s->name, stored_shape(s));
    if (twin != s && !stored_same_bytes(s, twin) && !same_numbers(s, twin))
        return fail(E_MISMATCH, "%s: tensors '%s' and '%s' are one parameter and hold different values",
                    weights_path(w), s->name, twin->name);
    return OK;
}

static Status check_unused(const Adapter *a, const Weights *w)
{
    for (int i = 0; w && i < weights_n(w); i++) TRY(check_used(a, w, weights_at(w, i)));
    return OK;
}

Status adapter_attach(Adapter *a, Model *m, Hooks *hooks)
{
    CHECK(a->root && !a->model, "an adapter attaches once, as it was opened");
    a->prefix = prefix_of(a, m);
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
    bool prompt = !strcmp(a->method->name, "prompt"), prefix = !strcmp(a->method->name, "prefix");
    return (prompt && !a->cfg.late) || (prefix && a->cfg.shift_positions) ? a->cfg.length : 0;
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

/* Rows of the token table in PEFT's files.  Trainable tokens are rows by their indices: beside LoRA as
 * trainable_token_indices, a list or an object of lists by module, or as a method with token_indices.  A head that is
 * tied to the table follows it, and may repeat the rows under its own name, as may the stacks of an encoder-decoder.
 *
 * A file may also hold the whole table, because tokens were added before training: with other rows than the base
 * model's, the model's table, its head and the head's bias get the file's number of rows. */
#include <string.h>

#include "adapter/hf.h"
#include "adapter/match.h"
#include "base/str.h"
#include "nn/build.h"
#include "nn/config.h"
#include "peft/token_rows.h"

/* ---- resized tables */

/* The tensor of a base parameter in the file, wrapped or not; NULL: it has none. */
static const Stored *whole_table(const Adapter *a, const Linear *table)
{
    const char *module = hf_module(a, table);
    static const char *const FORMS[] = {"base_model.model.%s.weight", "base_model.model.%s.base_layer.weight",
                                        "base_model.%s.weight"};
    for (size_t i = 0; i < sizeof FORMS / sizeof *FORMS; i++) {
        const Stored *s = adapter_stored(a, str_print(a->run, FORMS[i], module));
        if (s) return s;
    }
    return NULL;
}

static void resize(Model *m, const char *param, int64_t rows)
{
    Param *p = param ? param_find(m->params, param) : NULL;
    if (!p) return;
    bool matrix = p->val.rank == 2 && p->val.dim[0] != 1;
    int64_t cols = matrix ? p->val.dim[1] : 1, old = tensor_count(p->val) / cols;
    Tensor t = p->val.rank == 1 ? tensor_zero(m->run, p->val.dtype, SHAPE(rows))
               : matrix         ? tensor_zero(m->run, p->val.dtype, SHAPE(rows, cols))
                                : tensor_zero(m->run, p->val.dtype, SHAPE(1, rows));
    for (int64_t i = 0; i < (old < rows ? old : rows) * cols; i++) tensor_set(t, i, tensor_get(p->val, i));
    p->val = t;
}

Status hf_resize(Adapter *a, Model *m)
{
    static const char *const BIASES[] = {"lm_head.bias", "final_logits_bias"};
    const Linear *table = token_rows_table(m);
    const Stored *s = table ? whole_table(a, table) : NULL;
    if (!s || s->rank != 2 || s->dim[1] != table->out || s->dim[0] == table->in || s->dim[0] > 1 << 28) return OK;
    int64_t rows = s->dim[0];
    const Alias *tied = build_tied_head(m->arch);
    adapter_remark(a, "the token table has %lld rows here and %lld in the base model, which is resized",
                   (long long)rows, (long long)table->in);
    resize(m, str_print(a->run, "%s.weight", table->name), rows);
    if (tied && strcmp(tied->name, str_print(a->run, "%s.weight", table->name)) == 0) resize(m, tied->file, rows);
    for (int i = 0; i < 2; i++) resize(m, BIASES[i], rows);
    m->config.vocab = (int)rows;
    build_outer(m);
    return OK;
}

/* ---- trainable tokens */

static bool is_method(const Adapter *a)
{
    return a->kind && !strcmp(a->kind, "TRAINABLE_TOKENS");
}

static Status read_indices(Adapter *a, const cJSON *list, const char *key)
{
    int n = 0;
    const cJSON *one;
    if (!cJSON_IsArray(list)) return err_fail(E_FORMAT, "%s: %s is not a list of rows", a->path, key);
    int32_t *row = NEW(a->run, int32_t, cJSON_GetArraySize(list) + 1);
    cJSON_ArrayForEach(one, list)
    {
        if (!cJSON_IsNumber(one) || one->valuedouble < 0 || one->valuedouble > 1 << 28)
            return err_fail(E_FORMAT, "%s: %s holds something that is no row of a table", a->path, key);
        row[n++] = (int32_t)one->valuedouble;
    }
    const char *text = token_rows_text(a->run, row, n);
    if (a->cfg.tokens && strcmp(a->cfg.tokens, text) != 0)
        return err_fail(E_MISMATCH, "%s: %s names other rows for two modules, which is not supported", a->path, key);
    a->cfg.tokens = text;
    return OK;
}

static bool ends_in(const char *name, const char *end)
{
    size_t n = strlen(name), k = strlen(end);
    return n >= k && !strcmp(name + n - k, end) && (n == k || name[n - k - 1] == '.');
}

/* The module is the token table, or the head that is tied to it. */
static Status check_module(const Adapter *a, const Model *m, const char *module, const char *key)
{
    const Linear *table = token_rows_table(m);
    const Alias *tied = build_tied_head(m->arch);
    if (table && ends_in(hf_module(a, table), module)) return OK;
    if (table && tied && m->config.tie_head && ends_in(tied->file, str_print(a->run, "%s.weight", module))) return OK;
    return err_fail(E_MISMATCH, "%s: %s names %s; rows can be trained of the token table%s%s only", a->path, key,
                    module, table ? ", " : "", table ? hf_module(a, table) : "");
}

Status hf_tokens(Adapter *a, const Model *m)
{
    const char *key = is_method(a) ? "token_indices" : "trainable_token_indices";
    const cJSON *given = cJSON_GetObjectItemCaseSensitive(a->root, key), *one;
    const cJSON *targets = is_method(a) ? cJSON_GetObjectItemCaseSensitive(a->root, "target_modules") : NULL;
    a->cfg.tokens = NULL;
    if (!adapter_json_is_set(a->root, key))
        return is_method(a) ? err_fail(E_MISMATCH, "%s: token_indices is empty", a->path) : OK;
    if (m->arch->encode && !m->config.tie_head)
        return err_fail(E_MISMATCH,
                        "%s: %s is set, and this %s model's head is its own: PEFT's rows of the shared table act "
                        "nowhere then",
                        a->path, key, m->config.arch);
    if (cJSON_IsString(targets)) TRY(check_module(a, m, targets->valuestring, "target_modules"));
    cJSON_ArrayForEach(one, targets) if (cJSON_IsString(one) && !cJSON_IsString(targets))
        TRY(check_module(a, m, one->valuestring, "target_modules"));
    if (cJSON_IsArray(given)) return read_indices(a, given, key);
    if (!cJSON_IsObject(given)) return err_fail(E_FORMAT, "%s: %s is neither a list nor an object", a->path, key);
    cJSON_ArrayForEach(one, given)
    {
        TRY(check_module(a, m, one->string, key));
        TRY(read_indices(a, one, key));
    }
    return OK;
}

static const char *delta_of(const Adapter *a, const char *module)
{
    return str_print(a->run, "base_model.model.%s%s.trainable_tokens_delta", module,
                     is_method(a) || !strcmp(a->method->name, "tokens") ? "" : ".token_adapter");
}

static bool same(const Stored *x, const Stored *y)
{
    bool same = x->count == y->count;
    for (int64_t i = 0; same && i < x->count; i++) same = stored_get(x, i) == stored_get(y, i);
    return same;
}

/* The rows again, under the name of a module that shares the table. */
static Status bind_twin(Adapter *a, Param *p, const char *name, const char *table)
{
    const char *base = adapter_base_name(a, table);
    const char *twin = delta_of(a, str_copy(a->run, base, strlen(base) - strlen(".weight")));
    const Stored *own = adapter_stored(a, name), *other = adapter_stored(a, twin);
    if (!other) return OK;
    if (own && !same(own, other))
        return err_fail(E_MISMATCH, "%s: tensors '%s' and '%s' are one parameter and hold different values",
                        weights_path(a->weights), name, twin);
    adapter_bind(a, p, twin, 2, p->val.dim);
    return OK;
}

Status hf_bind_tokens(Adapter *a)
{
    const Model *m = a->model;
    Param *p = token_rows_n(&a->cfg) ? token_rows_param(m, a->method->name) : NULL;
    if (!p) return OK;
    const Linear *table = token_rows_table(m);
    const char *name = delta_of(a, hf_module(a, table));
    adapter_bind(a, p, name, 2, p->val.dim);
    for (const Alias *t = m->arch->format->alias; t && t->name && !a->writing; t++)
        if (!strcmp(t->name, table->w->name)) TRY(bind_twin(a, p, name, t->file));
    return OK;
}

Status hf_describe_tokens(const Adapter *a, cJSON *root, const char *key)
{
    int64_t x;
    if (!token_rows_n(&a->cfg)) return OK;
    if (a->model->arch->encode && !a->model->config.tie_head)
        return err_fail(E_MISMATCH,
                        "tokens: this %s model's head is its own, and PEFT's rows of the shared table act "
                        "nowhere then",
                        a->model->config.arch);
    cJSON *list = cJSON_AddArrayToObject(root, key);
    for (const char *s = a->cfg.tokens; *s; s += strcspn(s, "|"), s += *s == '|')
        if (str_int(str_copy(a->run, s, strcspn(s, "|")), &x))
            cJSON_AddItemToArray(list, cJSON_CreateNumber((double)x));
    return OK;
}

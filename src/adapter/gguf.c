/* LoRA for llama.cpp: the pairs of A and B as a GGUF file, under llama.cpp's names of the base's tensors.  B's rows
 * are ordered as the base's are in such files: llama.cpp turns neighbouring channels of a llama's query and key, and
 * keeps GPT-NeoX's queries, keys and values apart.
 *
 * The file has one alpha, and llama.cpp scales by alpha over the rank of each pair; where the scales are not all of
 * that form, the difference goes into B. */
#include <math.h>
#include <string.h>

#include "adapter/library.h"
#include "base/str.h"
#include "io/gguf_names.h"
#include "nn/build.h"
#include "nn/config.h"
#include "peft/lora.h"

typedef struct {
    Adapter *a;
    const GgufArch *arch;
    int heads, kv_heads;
    double alpha;
    int scaled; /* pairs whose B has a factor */
    Stored *out;
    int n;
} Writing;

/* What the base is, by the config that it would be saved with. */
static Status read_base(Writing *w)
{
    const Model *m = w->a->model;
    cJSON *config = config_write(&m->config, m->arch);
    const cJSON *type = cJSON_GetObjectItemCaseSensitive(config, "model_type"),
                *kv = cJSON_GetObjectItemCaseSensitive(config, "num_key_value_heads");
    w->arch = cJSON_IsString(type) ? gguf_arch_of_type(type->valuestring) : NULL;
    w->heads = m->config.heads;
    w->kv_heads = cJSON_IsNumber(kv) ? kv->valueint : w->heads;
    Status s = w->arch ? OK
                       : err_fail(E_MISMATCH, "llama.cpp has no model of type %s whose names are known here",
                                  cJSON_IsString(type) ? type->valuestring : m->config.arch);
    cJSON_Delete(config);
    return s;
}

/* Tensors beside A and B have no place: biases, heads, modules saved whole. */
static Status check_carried(const Adapter *a)
{
    for (int i = 0; i < a->n_bindings; i++) {
        const Param *p = a->binding[i].param;
        if (!str_glob("peft.*", p->name))
            return err_fail(E_MISMATCH, "carries '%s', for which an adapter of llama.cpp has no place", p->name);
    }
    if (a->cfg.bias) return err_fail(E_MISMATCH, "trains biases, for which an adapter of llama.cpp has no place");
    return OK;
}

static const char *base_name(const Writing *w, const GgufName **entry, const Linear *l)
{
    const char *prefix = build_is_any_head(l->name) ? "" : w->a->model->arch->format->prefix;
    const char *name = gguf_file_name(entry, w->a->run, w->arch, str_print(w->a->run, "%s%s", prefix, l->name));
    return name ? name : gguf_file_name(entry, w->a->run, w->arch, l->name);
}

/* B times `factor`, its rows in the file's order. */
static Status ordered(Tensor *out, const Writing *w, Tensor b, RowOrder order, double factor, const char *name)
{
    Arena *run = w->a->run;
    int heads = order == ROWS_HEADS_KV ? w->kv_heads : w->heads;
    Tensor scaled = tensor_new(run, F32, b.rank, b.dim);
    for (int64_t i = 0; i < tensor_count(b); i++) tensor_set(scaled, i, tensor_get(b, i) * factor);
    *out = scaled;
    if (order == ROWS_SAME || order == ROWS_COLUMNS) return OK;
    if (!gguf_rows_fit(order, b.dim[0], heads))
        return err_fail(E_MISMATCH, "%s: %lld rows do not divide into %d heads", name, (long long)b.dim[0], heads);
    *out = tensor_new(run, F32, b.rank, b.dim);
    gguf_rows(out->data, scaled.data, b.dim[0], sizeof(float) * (size_t)b.dim[1], order, heads, true);
    return OK;
}

static Status add_pair(Writing *w, const Linear *l)
{
    const Adapter *a = w->a;
    const GgufName *entry = NULL;
    const char *name = adapter_is_whole(l) ? base_name(w, &entry, l) : NULL;
    if (!name)
        return err_fail(E_MISMATCH, "adapts %s, for which llama.cpp's %s models have no name", l->name,
                        w->arch->name);
    const Param *down = param_find(a->model->params, lora_name(a->model, "lora", l, "A")),
                *up = param_find(a->model->params, lora_name(a->model, "lora", l, "B"));
    double factor = lora_scale(&a->cfg, l) * lora_rank(&a->cfg, l) / w->alpha;
    if (fabs(factor - 1) < 1e-12) factor = 1;
    w->scaled += factor != 1;
    Tensor b;
    TRY(ordered(&b, w, up->val, entry->order, factor, l->name));
    w->out[w->n++] = stored_of(str_print(a->run, "%s.weight.lora_a", name), down->val);
    w->out[w->n++] = stored_of(str_print(a->run, "%s.weight.lora_b", name), b);
    return OK;
}

Status adapter_save_gguf(Adapter *a, const char *path)
{
    CHECK(a->model, "an adapter is written once it is attached");
    if (strcmp(a->method->name, "lora") != 0)
        return err_fail(E_MISMATCH, "llama.cpp has no method like %s; expected lora", a->method->name);
    Writing w = {.a = a, .alpha = a->cfg.alpha, .out = NEW(a->run, Stored, 2 * a->model->n_linears + 1)};
    TRY(read_base(&w));
    TRY(check_carried(a));
    if (!(w.alpha > 0)) return err_fail(E_MISMATCH, "alpha is %g, expected more than 0", w.alpha);
    for (const Linear *l = NULL; (l = lora_next(a->model, &a->cfg, l));) TRY(add_pair(&w, l));
    if (w.scaled)
        adapter_remark(a, "alpha is %g for the whole file: B of %d %s is multiplied by the rest of its scale",
                       w.alpha, w.scaled, str_plural(w.scaled, "layer", "layers"));
    const GgufPair pairs[] = {{"general.architecture", w.arch->name, 0, false},
                              {"general.type", "adapter", 0, false},
                              {"adapter.type", "lora", 0, false},
                              {"general.name", a->name && *a->name ? a->name : "adapter", 0, false},
                              {"adapter.lora.alpha", NULL, w.alpha, true},
                              {"general.quantization_version", NULL, 2, false}};
    return gguf_write(path, pairs, sizeof pairs / sizeof *pairs, w.out, w.n);
}

/* Directories in Hugging Face's layout.  A model's own list of parameters is the schema: each looks up its tensor,
 * and an unused tensor must be one that files of the family carry.  Tied weights are written
 * once, under the name that holds them.
 *
 * A tensor that lies in the file as the model computes with it is not copied: the parameter's memory is the mapping
 * itself, which the run arena keeps, and the system copies a page when training first writes to it.  Matrices in
 * BF16, F16 or quantised blocks stay so as long as they are frozen (ad/param.h); vectors, which weigh nothing, are
 * widened. */
#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/hf_cache.h"
#include "base/print.h"
#include "io/gguf.h"
#include "io/json.h"
#include "nn/build.h"
#include "nn/config.h"
#include "nn/state.h"

/* The metadata of a GGUF file, as config.json. */
static Status open_metadata(cJSON **root, Arena *a, const char *path)
{
    Gguf *g;
    TRY(gguf_open(&g, a, path));
    Status s = gguf_config(root, a, g);
    gguf_close(g);
    return s;
}

/* config.json of a directory, of the one that a hub name stands for, or of the one that a file of weights lies in; a
 * GGUF file has its own. */
static Status find_config(const char **path, bool *gguf, Arena *a, const char **dir)
{
    TRY(hf_cache_find(dir, a, *dir));
    TRY(gguf_find(path, a, *dir));
    *gguf = *path != NULL;
    if (!*gguf) *path = str_print(a, "%s/config.json", file_folder(a, *dir));
    return OK;
}

Status config_path(const char **out, Arena *a, const char *model)
{
    bool gguf;
    return find_config(out, &gguf, a, &model);
}

static Status open_config(cJSON **root, const char **path, Arena *a, const char **dir)
{
    bool gguf = false;
    TRY(find_config(path, &gguf, a, dir));
    return gguf ? open_metadata(root, a, *path) : json_read(root, a, *path);
}

/* A config that a file holds and no model can have is the file's fault. */
static Status check_read(Config *c, const char *path)
{
    return fail_in_file(config_check(c), path);
}

Status config_load(Config *out, const char *dir)
{
    Arena scratch = arena_open((size_t)1 << 30);
    cJSON *root = NULL;
    const char *path = dir;
    Status s = open_config(&root, &path, &scratch, &dir);
    const Arch *arch;
    if (!s) s = config_read(out, &arch, root, path);
    if (!s) {
        Config copy = *out; /* whose zeros stay: they follow other fields, which may be set later */
        s = check_read(&copy, path);
    }
    cJSON_Delete(root);
    arena_close(&scratch);
    return s;
}

static double stored_count(const Weights *w)
{
    double n = 0;
    for (int i = 0; i < weights_n(w); i++) n += (double)weights_at(w, i)->count;
    return n;
}

typedef struct {
    Model *m;
    Weights *w;
    State *state;
    bool lent;        /* some parameter lies in the file */
    bool widen, bf16; /* as in LoadOptions */
} Loading;

/* Two parameters must not share memory, though a file may tie tensors that the config does not. */
static bool is_lent(const Model *m, const Stored *s)
{
    const char *first = s->bytes, *end = first + s->n_bytes;
    for (int i = 0; i < params_n(m->params); i++) {
        Tensor v = params_at(m->params, i)->val;
        if (v.data && (const char *)v.data < end && first < (const char *)v.data + tensor_bytes(v)) return true;
    }
    return false;
}

static bool fits(const Param *p, const Stored *s)
{
    bool same = s && s->rank == p->val.rank;
    for (int i = 0; same && i < s->rank; i++) same = s->dim[i] == p->val.dim[i];
    return same;
}

/* A copy in pieces, each letting the file's pages go, so that no large tensor is in memory twice. */
static Status copy_value(const Weights *w, Tensor into, const Stored *s)
{
    if (into.rank < 2 || !s->count) return stored_read(into, s);
    int64_t row = (int64_t)s->n_bytes / s->dim[0], step = 1 + (4 << 20) / row;
    for (int64_t first = 0; first < s->dim[0]; first += step) {
        Stored part = *s;
        part.dim[0] = s->dim[0] - first < step ? s->dim[0] - first : step;
        part.count = s->count / s->dim[0] * part.dim[0];
        part.n_bytes = (size_t)(row * part.dim[0]);
        part.bytes = (const char *)s->bytes + first * row;
        TRY(stored_read(tensor_rows(into, first, part.dim[0]), &part));
        weights_release(w, &part);
    }
    return OK;
}

/* The type to hold a tensor in: a matrix may stay in the 16 bits or the blocks of its file, or is rounded to BF16.  A
 * row alone is a vector that some model stores so; heads for classes are trained. */
static DType held_type(const Loading *l, const Param *p, const Stored *s)
{
    bool matrix = p->val.rank == 2 && p->val.dim[0] > 1 && p->val.dtype == F32 && !p->val.data && fits(p, s);
    if (matrix && l->bf16 && stored_is_float(s) && !build_is_class_head(p->name)) return BF16;
    return matrix && !l->widen && stored_is_narrow(s) ? stored_dtype(s) : p->val.dtype;
}

/* Uses the file's own memory where that can be, else a copy. */
static Status take_value(Loading *l, Param *p, const Stored *s)
{
    p->val.dtype = held_type(l, p, s);
    if (!p->val.data && fits(p, s) && !is_lent(l->m, s) && stored_lend(&p->val, s)) {
        l->lent = true;
        return OK;
    }
    if (!p->val.data) p->val = tensor_new(l->m->run, p->val.dtype, p->val.rank, p->val.dim);
    return fits(p, s) ? copy_value(l->w, p->val, s) : stored_read(p->val, s); /* which reports the mismatch */
}

/* Random values stay where the file has no head that fits, or no pooler; everything else must be there. */
static Status read_param(Loading *l, Param *p)
{
    const Format *f = l->m->arch->format;
    const Stored *s = state_take(l->state, p->name);
    if (build_may_lack(l->m, p->name)) {
        if (!s || (build_is_class_head(p->name) && !fits(p, s))) return OK;
        p->val.data = NULL; /* the file's values take the place of the random ones */
    }
    if (!s && !strcmp(p->name, "final_logits_bias")) { /* a buffer of zeros that some files omit */
        p->val = tensor_zero(l->m->run, p->val.dtype, p->val.rank, p->val.dim);
        return OK;
    }
    if (!s)
        return err_fail(E_MISMATCH, "%s: has no tensor '%s%s', which config.json%s%s requires", weights_path(l->w),
                        f->prefix, p->name, *l->m->config.type ? " of model_type " : "", l->m->config.type);
    return take_value(l, p, s);
}

/* A checkpoint that is open and whose tensors have the model's names. */
typedef struct {
    Config config;
    const Arch *arch;
    const char *path; /* of the config */
    Weights *w;
    State state;
} Opened;

static Status settle(Opened *x, Arena *run, const LoadOptions *o)
{
    Config *c = &x->config;
    if (o->writes_from_encoder && x->arch->encoder_writes) c->writes_from_encoder = c->plain_head = true;
    Config copy = *c;
    TRY(check_read(&copy, x->path));
    TRY(state_open(&x->state, run, x->w, c, x->arch->format, o));
    TRY(state_vocabulary(&x->state, run, c, o));
    if (x->arch->format->adapt) x->arch->format->adapt(c, x->w);
    if (o->classes > 0) c->classes = o->classes;
    if (o->no_lm_head) c->no_lm_head = true;
    TRY(check_read(c, x->path));
    if (config_size(c) > 2 * stored_count(x->w) + 1e6)
        return err_fail(E_MISMATCH, "%s: holds %.0f parameters, but config.json describes about %.0f",
                        weights_path(x->w), stored_count(x->w), config_size(c));
    return OK;
}

/* On failure nothing is open. */
static Status open_checkpoint(Opened *x, Arena *run, const char *dir, const LoadOptions *o)
{
    cJSON *root = NULL;
    *x = (Opened){.path = dir};
    TRY(open_config(&root, &x->path, run, &dir));
    Status s = config_read(&x->config, &x->arch, root, x->path);
    cJSON_Delete(root);
    TRY(s);
    TRY(weights_open(&x->w, run, dir));
    s = settle(x, run, o);
    if (s) weights_close(x->w);
    return s;
}

static Status read_values(Model *m, Arena *run, Opened *x, const LoadOptions *o)
{
    Loading l = {.m = m, .w = x->w, .state = &x->state, .widen = o->widen, .bf16 = o->bf16};
    for (int i = 0; i < params_n(m->params); i++) TRY(read_param(&l, params_at(m->params, i)));
    TRY(state_close(&x->state, run, &x->config, o));
    return l.lent ? weights_keep(x->w, run) : OK;
}

Status model_load_as(Model **out, Arena *run, const char *dir, const LoadOptions *options)
{
    *out = NULL;
    Opened x;
    TRY(open_checkpoint(&x, run, dir, options));
    Status s = model_open_blank(out, run, &x.config, options->dtype, options->seed);
    if (!s) s = read_values(*out, run, &x, options);
    weights_close(x.w);
    if (s) *out = NULL;
    return s;
}

Status model_survey(Survey *out, Arena *run, const char *dir, const LoadOptions *options)
{
    Opened x;
    Model *m;
    TRY(open_checkpoint(&x, run, dir, options));
    Status s = model_open_blank(&m, run, &x.config, options->dtype, 0);
    for (int i = 0; !s && i < params_n(m->params); i++) state_take(&x.state, params_at(m->params, i)->name);
    if (!s) s = state_close(&x.state, run, &x.config, options);
    *out = (Survey){.config = x.config,
                    .arch = x.arch,
                    .prefix = x.state.prefix,
                    .wrapper = str_print(run, "%s%s", weights_dropped(x.w), x.state.wrapper)};
    weights_close(x.w);
    return s;
}

Status model_load(Model **out, Arena *run, const char *dir)
{
    return model_load_as(out, run, dir, &(LoadOptions){0});
}

/* A tensor of the base under the name that files have. */
static Named saved_as(Arena *a, const Model *m, const char *name, Tensor value)
{
    if (dtype_is_block(value.dtype)) value = tensor_cast(a, value, F32); /* safetensors has no blocks */
    return (Named){str_print(a, "%s%s", build_is_any_head(name) ? "" : m->arch->format->prefix, name), value};
}

/* The tensors of a file: the parameters of the base, and copies of a table that the reference does not tie.  Adapters
 * have files of their own. */
static Named *list_saved(int *n, Arena *a, const Model *m)
{
    const Format *f = m->arch->format;
    int most = params_n(m->params);
    *n = 0;
    for (const Alias *t = f->alias; t && t->name; t++) most++;
    Named *list = NEW(a, Named, most);
    for (int i = 0; i < params_n(m->params); i++) {
        const Param *p = params_at(m->params, i);
        if (!str_glob("peft.*", p->name)) list[(*n)++] = saved_as(a, m, p->name, p->val);
    }
    for (const Alias *t = f->alias; f->parts_tables && !m->config.tie_head && t->name; t++)
        if (!build_is_any_head(t->file)) list[(*n)++] = saved_as(a, m, t->file, param_find(m->params, t->name)->val);
    return list;
}

Status model_save(const Model *m, const char *dir)
{
    if (build_has_parted_tables(m))
        return err_fail(
            E_MISMATCH,
            "%s: each stack of this %s model has a token table of its own, which no folder of the family can "
            "hold",
            dir, m->config.arch);
    TRY(file_make_dir(dir));
    Arena scratch = arena_open((size_t)1 << 30);
    int n;
    Named *named = list_saved(&n, &scratch, m);
    cJSON *root = config_write(&m->config, m->arch);
    char *text = json_printed(root, false);
    Status s = file_write(str_print(&scratch, "%s/config.json", dir), text, strlen(text));
    cJSON_free(text);
    cJSON_Delete(root);
    /* Last: where the weights are, the model is whole. */
    if (!s) s = safetensors_write(str_print(&scratch, "%s/model.safetensors", dir), named, n, NULL, 0);
    arena_close(&scratch);
    return s;
}

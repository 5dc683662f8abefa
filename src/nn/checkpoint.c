/* Directories in Hugging Face's layout.  A model's own list of parameters is the schema: each looks up its tensor,
 * and a tensor that nothing asked for must be one that the family is known to carry along.  Tied weights are written
 * once, under the name that holds them. */
#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "nn/build.h"
#include "nn/config.h"

Status config_load(Config *out, const char *dir)
{
    Arena scratch = arena_open((size_t)1 << 30);
    char *path = str_print(&scratch, "%s/config.json", dir);
    cJSON *root;
    Status s = json_read(&root, &scratch, path);
    const Arch *arch;
    if (!s) s = config_read(out, &arch, root, path);
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

/* A random head stays where the file has none that fits; everything else must be there. */
static Status read_param(Model *m, const Weights *w, Param *p, bool *used)
{
    const Stored *s = format_find(m->arch->format, w, p->name);
    if (s) used[s - weights_at(w, 0)] = true;
    if (is_class_head(p->name)) {
        bool fits = s && s->rank == p->val.rank;
        for (int i = 0; fits && i < s->rank; i++) fits = s->dim[i] == p->val.dim[i];
        if (!fits) return OK;
    } else if (!s && !strcmp(p->name, "final_logits_bias")) {
        return OK; /* a buffer of zeros that some files omit */
    }
    if (!s)
        return fail(E_MISMATCH, "%s: has no tensor '%s%s', which config.json asks for", weights_path(w),
                    m->arch->format->prefix, p->name);
    return stored_read(p->val, s);
}

/* What nothing asked for is refused: a config with too few layers would otherwise load in silence. */
static Status check_unused(const Model *m, const Weights *w, const bool *used)
{
    const Format *f = m->arch->format;
    for (int i = 0; i < weights_n(w); i++) {
        const char *name = weights_at(w, i)->name;
        if (used[i] || str_glob(f->ignore, name) || is_class_head(name)) continue;
        bool twin = false;
        for (const Alias *a = f->alias; a && a->name && !twin; a++)
            twin = !strcmp(a->file, name) ||
                   (!strncmp(name, f->prefix, strlen(f->prefix)) && !strcmp(a->file, name + strlen(f->prefix)));
        if (!twin)
            return fail(E_MISMATCH, "%s: tensor '%s' %s has no place in the model that config.json describes",
                        weights_path(w), name, stored_shape(weights_at(w, i)));
    }
    return OK;
}

static Status load_from(Model **out, Arena *run, Config *c, const Arch *arch, const Weights *w, const LoadOptions *o)
{
    if (arch->format->adapt) arch->format->adapt(c, w);
    if (o->classes > 0) c->classes = o->classes;
    if (o->no_lm_head) c->no_lm_head = true;
    TRY(config_check(c));
    if (config_size(c) > 2 * stored_count(w) + 1e6)
        return fail(E_MISMATCH, "%s: holds %.0f numbers, but config.json describes about %.0f", weights_path(w),
                    stored_count(w), config_size(c));
    TRY(model_open_blank(out, run, c, o->dtype, o->seed));
    bool *used = NEW(run, bool, weights_n(w));
    for (int i = 0; i < params_n((*out)->params); i++) TRY(read_param(*out, w, params_at((*out)->params, i), used));
    return check_unused(*out, w, used);
}

Status model_load_as(Model **out, Arena *run, const char *dir, const LoadOptions *options)
{
    *out = NULL;
    const char *path = str_print(run, "%s/config.json", dir);
    cJSON *root;
    TRY(json_read(&root, run, path));
    Config c;
    const Arch *arch = NULL;
    Status s = config_read(&c, &arch, root, path);
    cJSON_Delete(root);
    TRY(s);
    Weights *w;
    TRY(weights_open(&w, run, dir));
    s = load_from(out, run, &c, arch, w, options);
    weights_close(w);
    if (s) *out = NULL;
    return s;
}

Status model_load(Model **out, Arena *run, const char *dir)
{
    return model_load_as(out, run, dir, &(LoadOptions){0});
}

Status model_save(const Model *m, const char *dir)
{
    TRY(file_make_dir(dir));
    Arena scratch = arena_open((size_t)1 << 30);
    int n = 0;
    Named *named = NEW(&scratch, Named, params_n(m->params));
    for (int i = 0; i < params_n(m->params); i++) {
        const Param *p = params_at(m->params, i);
        if (str_glob("peft.*", p->name)) continue; /* adapters have files of their own */
        const char *prefix = is_any_head(p->name) ? "" : m->arch->format->prefix;
        named[n++] = (Named){str_print(&scratch, "%s%s", prefix, p->name), p->val};
    }
    Status s = safetensors_write(str_print(&scratch, "%s/model.safetensors", dir), named, n, NULL, 0);
    if (!s) {
        cJSON *root = config_write(&m->config, m->arch);
        char *text = cJSON_Print(root);
        s = file_write(str_print(&scratch, "%s/config.json", dir), text, strlen(text));
        cJSON_free(text);
        cJSON_Delete(root);
    }
    arena_close(&scratch);
    return s;
}

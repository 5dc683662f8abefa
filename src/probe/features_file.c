/* Features on disk: a cache of safetensors files named by content, and arrays for NumPy. */
#include <string.h>

#include "base/file.h"
#include "base/sha256.h"
#include "base/str.h"
#include "io/npy.h"
#include "io/safetensors.h"
#include "probe/features.h"

static void add_text(Sha256 *h, const char *text)
{
    sha256_add(h, text, strlen(text) + 1);
}

static void add_ids(Sha256 *h, int64_t n, const int32_t *const *ids, const int32_t *len)
{
    for (int64_t i = 0; ids && i < n; i++) {
        sha256_add(h, &len[i], sizeof *len);
        sha256_add(h, ids[i], sizeof *ids[i] * (size_t)len[i]);
    }
    add_text(h, ids ? "ids" : "none");
}

static Sha256Hex name_of(const char *salt, const Model *m, const Examples *x, FeaturePooling pooling)
{
    Sha256 h = sha256_begin();
    add_text(&h, "features 1"); /* the version of the layout and of the computation */
    add_text(&h, m->config.arch);
    for (int i = 0; i < params_n(m->params); i++) {
        Param *p = params_at(m->params, i);
        add_text(&h, p->name);
        add_text(&h, tensor_shape(p->val));
        sha256_add(&h, p->val.data, tensor_bytes(p->val));
    }
    /* the part of the config that the shapes of the parameters do not contain */
    const Config *c = &m->config;
    const int32_t whole[] = {c->heads, (int32_t)c->act, c->pad, c->scale_embedding, c->no_attn_norm, c->rel_distance};
    sha256_add(&h, whole, sizeof whole);
    sha256_add(&h, &c->eps, sizeof c->eps);
    add_ids(&h, x->n, x->ids, x->len);
    add_ids(&h, x->n, x->src, x->src_len);
    add_text(&h, FEATURE_POOLING[pooling]);
    add_text(&h, salt);
    return sha256_end(&h);
}

/* The layers of a part that the file holds, which must all be (n,dim); false where something else lies there. */
static bool read_part(Tensor **layer, int *layers, Arena *run, const Weights *w, const char *part, int64_t n,
                      int64_t dim)
{
    char name[32];
    for (*layers = 0;; ++*layers) {
        snprintf(name, sizeof name, "%s.%d", part, *layers);
        if (!weights_find(w, name)) break;
    }
    *layer = NEW(run, Tensor, *layers + 1);
    for (int l = 0; l < *layers; l++) {
        (*layer)[l] = tensor_new(run, F32, SHAPE(n, dim));
        snprintf(name, sizeof name, "%s.%d", part, l);
        if (stored_read((*layer)[l], weights_find(w, name))) return false;
    }
    return true;
}

static bool read_cache(Features *out, Arena *run, const char *path, int64_t n, int64_t dim)
{
    Weights *w = NULL;
    Features f = {0};
    bool good = !safetensors_open(&w, run, path) && read_part(&f.layer, &f.layers, run, w, "encoder", n, dim) &&
                read_part(&f.decoder, &f.decoder_layers, run, w, "decoder", n, dim) &&
                f.layers + f.decoder_layers > 0;
    weights_close(w);
    err_clear();
    if (good) *out = f;
    return good;
}

static int name_layers(Named *out, Arena *a, const char *part, const Tensor *layer, int layers)
{
    for (int l = 0; l < layers; l++) out[l] = (Named){str_print(a, "%s.%d", part, l), layer[l]};
    return layers;
}

Status features_cached(Features *out, Arena *run, Arena *step, const char *dir, const char *salt, Model *m,
                       Hooks *hooks, const Examples *x, FeaturePooling pooling,
                       bool (*each)(int64_t done, void *user), void *user)
{
    const char *path = str_print(run, "%s/%s.safetensors", dir, name_of(salt, m, x, pooling).hex);
    if (read_cache(out, run, path, x->n, m->config.dim)) return OK;
    TRY(features_extract(out, run, step, m, hooks, x, pooling, each, user));
    Named *all = NEW(run, Named, out->layers + out->decoder_layers);
    int n = name_layers(all, run, "encoder", out->layer, out->layers);
    n += name_layers(all + n, run, "decoder", out->decoder, out->decoder_layers);
    TRY(file_make_dir(dir));
    return safetensors_write(path, all, n, NULL, 0);
}

Status features_export(const Features *f, const char *dir)
{
    char path[4096];
    TRY(file_make_dir(dir));
    for (int l = 0; l < f->layers + f->decoder_layers; l++) {
        bool decoder = l >= f->layers;
        int at = decoder ? l - f->layers : l;
        snprintf(path, sizeof path, "%s/%s-%02d.npy", dir, decoder ? "decoder" : "encoder", at);
        TRY(npy_write(path, decoder ? f->decoder[at] : f->layer[at]));
    }
    return OK;
}

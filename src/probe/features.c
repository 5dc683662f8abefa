/* A hook at every layer's output pools as the pass goes by, so that no hidden states outlive their layer. */
#include "probe/features.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/ranks.h"
#include "nn/finite.h"

const char *const FEATURE_POOLING[FEATURE_POOLINGS + 1] = {"first", "last", "mean", "max", "attention", NULL};

FeaturePooling feature_pooling(const char *name)
{
    for (int k = 0; k < FEATURE_POOLINGS; k++)
        if (!strcmp(name, FEATURE_POOLING[k])) return (FeaturePooling)k;
    return FEATURE_MEAN;
}

typedef struct {
    Features *out;
    FeaturePooling pooling;
    const int32_t *rows;   /* of the batch under way: example numbers */
    const int32_t *len[2]; /* tokens of each example in the encoder, in the decoder */
    int64_t padded[2];     /* the length of the batch's rows there, without virtual tokens */
    Arena *step;
    double *weight;           /* (B,T) of the layer under way, or NULL */
    const TokenSpan *part[2]; /* (N) or NULL */
} Pooler;

/* Mean attention that each token of a row receives from its tokens, (B,T); prefixes and prompts come first. */
static void see_probs(Where at, Tensor in, Tensor x, void *user)
{
    (void)in;
    Pooler *p = user;
    int64_t heads = x.dim[1], rows = x.dim[2], keys = x.dim[3], t = p->padded[at.part];
    p->weight = NEW(p->step, double, x.dim[0] * t);
    for (int64_t b = 0; b < x.dim[0]; b++) {
        int64_t n = p->len[at.part][p->rows[b]];
        double *w = p->weight + b * t, all = 0;
        for (int64_t h = 0; h < heads; h++)
            for (int64_t i = 0; i < n; i++)
                for (int64_t j = 0; j < n; j++)
                    w[j] += tensor_get(x, ((b * heads + h) * rows + rows - t + i) * keys + keys - t + j);
        for (int64_t j = 0; j < n; j++) all += w[j];
        for (int64_t j = 0; j < n; j++) w[j] = all > 0 ? w[j] / all : 1 / (double)n;
    }
}

/* Feature i of row b, over the tokens of the span. */
static double pooled(const Pooler *p, Tensor x, int64_t b, int64_t t, TokenSpan span, int64_t i)
{
    int64_t c = x.dim[2], before = (b + 1) * x.dim[1] - t; /* positions before the row's first token */
    int64_t from = span.from, to = span.to;
    double sum = 0, most = -INFINITY, all = 0;
    if (from >= to) return 0;
    if (p->pooling == FEATURE_LAST) from = to - 1;
    if (p->pooling == FEATURE_FIRST) to = from + 1;
    for (int64_t k = from; k < to; k++) {
        double v = tensor_get(x, (before + k) * c + i), w = p->weight ? p->weight[b * t + k] : 1;
        sum += w * v, all += w;
        if (v > most) most = v;
    }
    return p->pooling == FEATURE_MAX ? most : all > 0 ? sum / all : 0;
}

/* The features of row b: of its tokens, or of its part, or of a pair of parts. */
static void pool_row(const Pooler *p, Tensor to, Tensor x, int64_t b, Part part)
{
    int64_t row = p->rows[b], c = x.dim[2], t = p->padded[part];
    const TokenSpan whole = {0, p->len[part][row]}, first = p->part[0] ? p->part[0][row] : whole;
    for (int64_t i = 0; i < c; i++) {
        double u = pooled(p, x, b, t, first, i);
        if (!p->part[1]) {
            tensor_set(to, row * c + i, u);
            continue;
        }
        double v = pooled(p, x, b, t, p->part[1][row], i), all[] = {u, v, fabs(u - v), u * v};
        for (int64_t k = 0; k < 4; k++) tensor_set(to, (row * 4 + k) * c + i, all[k]);
    }
}

static void pool(Where at, Tensor in, Tensor x, void *user)
{
    (void)in;
    Pooler *p = user;
    Tensor to = (at.part == PART_ENCODER ? p->out->layer : p->out->decoder)[at.layer - LAYER_EMBED];
    for (int64_t b = 0; b < x.dim[0]; b++) pool_row(p, to, x, b, at.part);
    p->weight = NULL; /* of that layer alone */
}

static Tensor *room(int *layers, Arena *run, const Model *m, Part part, int64_t n, int vectors)
{
    int below = model_layers(m, part);
    *layers = below ? below + 1 : 0;
    Tensor *t = NEW(run, Tensor, *layers + 1);
    for (int l = 0; l < *layers; l++) t[l] = tensor_zero(run, F32, SHAPE(n, vectors * m->config.dim));
    return t;
}

static Status layers_finite(const Tensor *layer, int n, const Model *m)
{
    for (int l = 0; l < n; l++) {
        char name[64];
        snprintf(name, sizeof name, "the features of layer %d", l);
        TRY(model_blame(tensor_finite(layer[l], name), m));
    }
    return OK;
}

/* Every rank gets the rows that the others have computed. */
static Status unite(const Tensor *layer, int n, Status s)
{
    for (int l = 0; l < n; l++) s = ranks_unite(s, layer[l].data, tensor_bytes(layer[l]));
    return s;
}

Status features_extract(Features *out, Arena *run, Arena *step, Model *m, Hooks *hooks, const Examples *examples,
                        FeaturePooling pooling, bool (*each)(int64_t done, void *user), void *user)
{
    return features_of_parts(out, run, step, m, hooks, examples, pooling, NULL, NULL, each, user);
}

/* Runs the model in batches, with observers that pool the residual stream after each layer. */
Status features_of_parts(Features *out, Arena *run, Arena *step, Model *m, Hooks *hooks, const Examples *examples,
                         FeaturePooling pooling, const TokenSpan *a, const TokenSpan *b,
                         bool (*each)(int64_t done, void *user), void *user)
{
    CHECK(!b || a, "a pair of parts of which one is missing");
    CHECK(!a || !examples->src, "parts of texts with two sides");
    Examples x = *examples;
    bool encode = m->arch->encode && !x.src; /* an encoder-decoder's encoder alone */
    if (encode) x.src = x.ids, x.src_len = x.len;
    *out = (Features){0};
    int vectors = b ? 4 : 1;
    out->layer = room(&out->layers, run, m, PART_ENCODER, x.n, vectors);
    if (!encode) out->decoder = room(&out->decoder_layers, run, m, PART_DECODER, x.n, vectors);
    Pooler pooler = {
        .out = out, .pooling = pooling, .len = {x.src ? x.src_len : x.len, x.len}, .step = step, .part = {a, b}};
    Peek probs = {see_probs, &pooler}, peek = {pool, &pooler};
    int before = hooks_n(hooks);
    for (int part = PART_ENCODER; part <= PART_DECODER; part++) {
        if (pooling == FEATURE_ATTENDED)
            hook_observe(hooks, (Where){SITE_PROBS, LAYER_ANY, (Part)part}, hook_peek, &probs);
        hook_observe(hooks, (Where){SITE_RESID, LAYER_ANY, (Part)part}, hook_peek, &peek);
    }
    Batcher *feed;
    TRY(batcher_open(&feed, run, &x, &(BatchPlan){.tokens = 4096, .pad = m->config.pad, .all_positions = true}));
    bool going = true;
    for (int64_t done = 0, i = 0; going && done < x.n; i++) {
        ArenaMark mark = arena_mark(step);
        Batch batch;
        Pass pass = {.tape = tape_open(step, false), .hooks = hooks};
        batcher_next(feed, step, &batch, &pooler.rows);
        pooler.padded[PART_ENCODER] = batch.src ? batch.s : batch.t;
        pooler.padded[PART_DECODER] = batch.t;
        if (ranks_own(i) && encode)
            model_encode(m, &pass, &batch);
        else if (ranks_own(i))
            model_hidden(m, &pass, &batch);
        done += batch.b;
        arena_drop(step, mark);
        going = !each || each(done, user);
    }
    hooks_clear_from(hooks, before);
    TRY(unite(out->layer, out->layers, going ? OK : err_fail(E_INTERRUPT, "interrupted while computing features")));
    TRY(unite(out->decoder, out->decoder_layers, OK));
    TRY(layers_finite(out->layer, out->layers, m));
    return layers_finite(out->decoder, out->decoder_layers, m);
}

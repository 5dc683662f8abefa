/* A hook at every layer's output pools as the pass goes by, so that no hidden states outlive their layer. */
#include "tasks/features.h"

typedef struct {
    Features *out;
    Pooling pooling;
    const int32_t *rows, *len; /* of the batch under way: example numbers, and tokens in each example */
} Pooler;

static void pool(Where at, Tensor in, Tensor x, void *user)
{
    (void)in;
    const Pooler *p = user;
    Tensor to = p->out->layer[at.layer - LAYER_EMBED];
    int64_t t = x.dim[1], c = x.dim[2];
    for (int64_t b = 0; b < x.dim[0]; b++) {
        int64_t n = p->pooling == POOL_FIRST ? 1 : p->len[p->rows[b]];
        for (int64_t i = 0; i < c; i++) {
            double sum = 0;
            for (int64_t k = 0; k < n; k++) sum += tensor_get(x, (b * t + k) * c + i);
            tensor_set(to, p->rows[b] * c + i, sum / (double)n);
        }
    }
}

Status features_extract(Features *out, Arena *run, Arena *step, Model *m, Hooks *hooks, const Examples *examples,
                        Pooling pooling, bool (*each)(int64_t done, void *user), void *user)
{
    int layers = model_layers(m, PART_ENCODER);
    *out = (Features){.layers = layers + 1, .layer = NEW(run, Tensor, layers + 1)};
    for (int l = 0; l <= layers; l++) out->layer[l] = tensor_new(run, F32, SHAPE(examples->n, m->config.dim));
    Pooler pooler = {.out = out, .pooling = pooling, .len = examples->len};
    Peek peek = {pool, &pooler};
    int before = hooks_n(hooks);
    hook_observe(hooks, (Where){SITE_RESID, LAYER_ANY, PART_ENCODER}, hook_peek, &peek);

    Batcher *feed;
    TRY(batcher_open(&feed, run, examples,
                     &(BatchPlan){.tokens = 4096, .pad = m->config.pad, .all_positions = true}));
    bool going = true;
    for (int64_t done = 0; going && done < examples->n;) {
        ArenaMark mark = arena_mark(step);
        Batch batch;
        batcher_next(feed, step, &batch, &pooler.rows);
        model_hidden(m, &(Pass){.tape = tape_open(step, false), .hooks = hooks}, &batch);
        done += batch.b;
        arena_drop(step, mark);
        going = !each || each(done, user);
    }
    hooks_clear_from(hooks, before);
    return going ? OK : fail(E_INTERRUPT, "interrupted while computing features");
}

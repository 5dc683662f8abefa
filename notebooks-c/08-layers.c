// %% [markdown]
// # Where tuning changes a model
//
// Two models may do the same and have got there in different ways. Take a sorter with two layers
// and teach it the descending order twice: by full fine-tuning, which may change all parameters,
// and by LoRA of rank 2. Then open both and compare them with the model that they started from,
// layer by layer.
//
// ## Base, full and LoRA
//
// LoRA can be *merged*: its product of two thin matrices is added to the weights, and the hooks go.
// After this both tuned models are plain checkpoints with the same tensors as the base.

// %%
//%cflags: -std=c17 -I. @cflags
//%ldflags: @ldflags
#include "sorter.h"

static Status tune(Arena *run, const char *method, const char *options, double lr, const char *to)
{
    Model *model;
    TRY(model_load_as(&model, run, "run/layers/base", &(LoadOptions){.dtype = F64}));
    Hooks *hooks = hooks_new(run);
    PeftConfig config = {0};
    const Peft *peft = peft_find(method);
    peft->defaults(&config, &model->config);
    TRY(peft_set(&config, run, options));
    TRY(peft_attach(peft, model, hooks, &config));
    int64_t count = params_count(model->params, NULL, true);
    TRY(sort_train(model, hooks, DESCENDING, 400, lr, 2, (Tensor){0}));
    Evaluation before = sort_score(model, hooks, DESCENDING);
    if (peft->merge) TRY(peft->merge(model, &config));
    Evaluation merged = sort_score(model, NULL, DESCENDING);
    printf("%-4s %5lld parameters: %.0f %% of sequences in descending order\n", method,
           (long long)count, 100 * merged.exact);
    TRY(expect(merged.exact > 0.5, "%s has learned the new order", method));
    TRY(expect(fabs(merged.loss - before.loss) < 1e-9, "without hooks the model does the same"));
    return model_save(model, to);
}

static Status cell(Arena *run)
{
    Model *model;
    TRY(sort_open(&model, run, 2, 1));
    params_train(model->params, "*", true);
    TRY(sort_train(model, NULL, ASCENDING, 500, 3e-3, 1, (Tensor){0}));
    Evaluation score = sort_score(model, NULL, ASCENDING);
    printf("base: %.0f %% of sequences in ascending order\n", 100 * score.exact);
    TRY(expect(score.exact > 0.8, "the base sorts"));
    TRY(model_save(model, "run/layers/base"));
    TRY(tune(run, "full", "", 2e-3, "run/layers/full"));
    return tune(run, "lora", "rank=2,target=*", 1e-2, "run/layers/lora");
}

// %% [markdown]
// ## Weights
//
// How much has a matrix changed? Divide the size of the change by the size of the matrix (Frobenius
// norms). And in how many directions? The singular values of the change tell: their number above
// rounding is the rank. The *effective rank*, the exponential of their entropy, counts directions
// by their weight.

// %%
//%cflags: -std=c17 -I. @cflags
//%ldflags: @ldflags
#include "sorter.h"

enum { KINDS = 4, LAYERS = 2 };
static const char *const KIND[KINDS] = {"attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj"};

static double norm(Tensor x)
{
    double sum = 0;
    for (int64_t i = 0; i < tensor_count(x); i++) sum += tensor_get(x, i) * tensor_get(x, i);
    return sqrt(sum);
}

static Status cell(Arena *run)
{
    static const char *const NAME[] = {"full", "LoRA"}, *const DIR[] = {"run/layers/full",
                                                                        "run/layers/lora"};
    const char *label[KINDS * LAYERS];
    double rank_of[2] = {0}, most_lora = 0, least_full = INFINITY;
    Model *base;
    TRY(model_load_as(&base, run, "run/layers/base", &(LoadOptions){.dtype = F64}));
    Series bar[2];
    printf("%-22s %21s   %21s\n%-22s %10s %10s   %10s %10s\n", "", "relative change",
           "effective rank", "matrix", "full", "LoRA", "full", "LoRA");
    Tensor rank[2] = {tensor_new(run, F64, SHAPE(KINDS * LAYERS)),
                      tensor_new(run, F64, SHAPE(KINDS * LAYERS))};
    for (int m = 0; m < 2; m++) {
        Model *tuned;
        TRY(model_load_as(&tuned, run, DIR[m], &(LoadOptions){.dtype = F64}));
        bar[m] = (Series){.y = tensor_new(run, F64, SHAPE(KINDS * LAYERS)), .label = NAME[m]};
        for (int i = 0; i < KINDS * LAYERS; i++) {
            const char *name = str_print(run, "h.%d.%s.weight", i / KINDS, KIND[i % KINDS]);
            Tensor was = param_find(base->params, name)->val,
                   now = param_find(tuned->params, name)->val, s;
            Tensor change = tensor_copy(run, now);
            for (int64_t k = 0; k < tensor_count(change); k++)
                tensor_set(change, k, tensor_get(now, k) - tensor_get(was, k));
            TRY(linalg_singular(&s, run, change));
            label[i] = str_print(run, "%d %s", i / KINDS, KIND[i % KINDS]);
            tensor_set(bar[m].y, i, norm(change) / norm(was));
            tensor_set(rank[m], i, linalg_effective_rank(s));
            rank_of[m] = fmax(rank_of[m], (double)linalg_numerical_rank(s));
            if (m) most_lora = fmax(most_lora, linalg_effective_rank(s));
            if (!m) least_full = fmin(least_full, linalg_effective_rank(s));
        }
    }
    for (int i = 0; i < KINDS * LAYERS; i++)
        printf("%-22s %10.2f %10.2f   %10.1f %10.1f\n", label[i], tensor_get(bar[0].y, i),
               tensor_get(bar[1].y, i), tensor_get(rank[0], i), tensor_get(rank[1], i));
    TRY(expect(rank_of[1] <= 2, "no change by LoRA has a rank above 2"));
    TRY(expect(rank_of[0] == 32, "full fine-tuning changes matrices in all 32 directions"));
    TRY(expect(least_full > 2 * most_lora,
               "and its effective rank is more than twice that of LoRA, in every matrix"));

    Fig *f = figure(run, "run/layers/weights", 400, 190);
    fig_bars(f, fig_whole(f), 2, bar, label,
             (PlotStyle){.y = {.title = "relative change of a matrix", .lo = 0}});
    return show(f, "run/layers/weights",
                "Size of the change of each matrix, relative to the matrix. The number in front is "
                "the layer.");
}

// %% [markdown]
// ## Behaviour
//
// Weights are one view, behaviour is the other. `measure_pass` takes the attention and the hidden
// states of each layer on the same input. How far has attention moved (total variation: the share
// of weight that went elsewhere)? How far have the hidden states turned (the mean cosine with those
// of the base)?

// %%
//%cflags: -std=c17 -I. @cflags
//%ldflags: @ldflags
#include "sorter.h"

enum { LAYERS = 2, ROWS = 50 };

static double mean_cosine(Tensor a, Tensor b)
{
    int64_t dim = tensor_last(a), rows = tensor_count(a) / dim;
    double sum = 0;
    for (int64_t r = 0; r < rows; r++) {
        double ab = 0, aa = 0, bb = 0;
        for (int64_t c = r * dim; c < (r + 1) * dim; c++) {
            ab += tensor_get(a, c) * tensor_get(b, c);
            aa += tensor_get(a, c) * tensor_get(a, c);
            bb += tensor_get(b, c) * tensor_get(b, c);
        }
        sum += ab / sqrt(aa * bb) / (double)rows;
    }
    return sum;
}

static Status cell(Arena *run)
{
    static const char *const NAME[] = {"full", "LoRA"}, *const DIR[] = {"run/layers/full",
                                                                        "run/layers/lora"};
    static const char *const LAYER[] = {"layer 0", "layer 1"};
    Batch batch = sort_batch(run, DESCENDING, ROWS, rng_stream(1, "test"), 0);
    Model *base, *tuned;
    Seen before[LAYERS], after[LAYERS];
    TRY(model_load_as(&base, run, "run/layers/base", &(LoadOptions){.dtype = F64}));
    measure_pass(before, run, base, NULL, PART_DECODER, &batch);
    Series bar[2];
    double moved[2] = {0};
    for (int m = 0; m < 2; m++) {
        TRY(model_load_as(&tuned, run, DIR[m], &(LoadOptions){.dtype = F64}));
        measure_pass(after, run, tuned, NULL, PART_DECODER, &batch);
        bar[m] = (Series){.y = tensor_new(run, F64, SHAPE(LAYERS)), .label = NAME[m]};
        for (int l = 0; l < LAYERS; l++) {
            double tv = measure_change((Map){.seen = &after[l]}, (Map){.seen = &before[l]}, -1).tv;
            double cosine = mean_cosine(after[l].resid, before[l].resid);
            printf("%s, layer %d: %2.0f %% of attention moved, cosine of hidden states %.2f\n",
                   NAME[m], l, 100 * tv, cosine);
            tensor_set(bar[m].y, l, 100 * tv);
            moved[m] = fmax(moved[m], tv);
        }
    }
    TRY(expect(moved[0] > 0.05 && moved[1] > 0.05, "both methods reorder attention"));
    Fig *f = figure(run, "run/layers/attention", 260, 170);
    fig_bars(f, fig_whole(f), 2, bar, LAYER,
             (PlotStyle){.y = {.title = "attention moved (%)", .lo = 0, .hi = 100}});
    return show(f, "run/layers/attention",
                "Share of attention that has moved from the base to the tuned model, by layer.");
}

// %% [markdown]
// ## Exercise
//
// 1. Train LoRA with `rank=8`. Does the size of the change grow? Does its effective rank?
// 2. Restrict LoRA to one layer: `rank=2,target=h.0.*`, then `h.1.*`. In which layer can the new
//    order be learned?
//
// For a model of your own: `vernier attend --model TUNED --compare BASE` draws these comparisons.
//
// Next: [your own fine-tuning method](09-your-method.ipynb).

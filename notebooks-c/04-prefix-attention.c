// %% [markdown]
// # Why a prefix cannot reorder attention
//
// Prefix-tuning trains keys and values of *virtual tokens* that every row can attend to, and leaves
// the model alone. It adapts a model with very few parameters, but it has a limit that no training
// can remove.
//
// The weight of content token `j` in row `i` is `exp(s_ij) / Σ_k exp(s_ik)`. A prefix adds terms to
// the sum below the line, and nothing else: query and key of the content are as before, so `s_ij`
// is as before. All content weights of a row shrink by *the same factor*. Divide each row by the
// mass that its content has, and the old weights are back. A prefix can take attention away from
// the content. It cannot change the order of attention within it.
//
// ## Two changes of one model
//
// A GPT-2 of two layers with random parameters is run three times: as it is, with a random prefix
// of four virtual tokens, and with a random low-rank change of queries and values (LoRA).
// `measure_change` compares the renormalised content weights of two passes.

// %%
//%cflags: -std=c17 -I. @cflags
//%ldflags: @ldflags
#include "notebook.h"

enum { T = 10, LAYERS = 2, VIRTUAL = 4 };
static const int32_t IDS[T] = {3, 1, 4, 1, 5, 9, 2, 6, 5, 3};

static Status open_model(Model **model, Arena *run)
{
    Config config = {0};
    arch_find("gpt2")->defaults(&config);
    config.vocab = 20, config.positions = 16, config.dim = 16, config.heads = 2;
    config.layers = LAYERS, config.init_sd = 0.3;
    return model_open(model, run, &config, F64, 1);
}

// The model with a method whose parameters are random: nothing is trained here.
static Status pass_with(Seen seen[LAYERS], Arena *run, const char *method)
{
    Model *model;
    TRY(open_model(&model, run));
    Hooks *hooks = hooks_new(run);
    if (method) {
        PeftConfig config = {0};
        peft_find(method)->defaults(&config, &model->config);
        config.length = VIRTUAL, config.rank = 4;
        TRY(peft_attach(peft_find(method), model, hooks, &config));
    }
    for (int i = 0; i < params_n(model->params); i++) {
        Param *p = params_at(model->params, i);
        if (!p->trainable) continue;
        Tensor random = random_tensor(run, p->name, p->val.rank, p->val.dim);
        for (int64_t k = 0; k < tensor_count(p->val); k++)
            tensor_set(p->val, k, tensor_get(random, k));
    }
    measure_pass(seen, run, model, hooks, PART_DECODER, &(Batch){.b = 1, .t = T, .ids = IDS});
    return OK;
}

static Status cell(Arena *run)
{
    Seen base[LAYERS], prefix[LAYERS], lora[LAYERS];
    TRY(pass_with(base, run, NULL));
    TRY(pass_with(prefix, run, "prefix"));
    TRY(pass_with(lora, run, "lora"));

    Map without = {.seen = &base[0]}, with = {.seen = &prefix[0], .extra = VIRTUAL},
        changed = {.seen = &lora[0]};
    double gap = measure_change(with, without, -1).gap,
           of_lora = measure_change(changed, without, -1).gap;
    Tensor alpha = measure_alpha(run, with);
    double least = 1, most = 0;
    for (int64_t i = 0; i < tensor_count(alpha); i++) {
        least = fmin(least, tensor_get(alpha, i));
        most = fmax(most, tensor_get(alpha, i));
    }
    printf("the prefix takes between %.2f and %.2f of a row's attention\n", least, most);
    printf("largest change of a content weight in layer 0: LoRA %.2f\n", of_lora);
    TRY(expect(most > 0.5, "the prefix takes a lot of attention"));
    TRY(expect(gap < 1e-12,
               "the prefix leaves the content weights of layer 0 as they were, to rounding"));
    TRY(expect(of_lora > 0.1, "LoRA changes them"));

    Map deep = {.seen = &prefix[1], .extra = VIRTUAL}, before = {.seen = &base[1]};
    double above = measure_change(deep, before, -1).gap;
    printf("largest change in layer 1 under the prefix: %.2f\n", above);
    TRY(expect(above > 0.01, "in layer 1 the inputs have changed, and with them the attention"));

    Map of[] = {without, with, changed};
    Tensor map[3];
    HeatStyle style[3] = {{.title = "base", .causal = true, .row_title = "query", .hi = 1},
                          {.title = "prefix, renormalised", .causal = true},
                          {.title = "LoRA", .causal = true, .bar = true, .bar_title = "weight"}};
    for (int i = 0; i < 3; i++) {
        map[i] = tensor_at(tensor_at(measure_content(run, of[i]), 0), 0);
        style[i].col_title = "content key";
    }
    Fig *f = figure(run, "run/prefix/maps", 400, 160);
    fig_heatmaps(f, fig_whole(f), 3, map, style);
    return show(f, "run/prefix/maps",
                "Attention of head 0 in layer 0 over the content. With the prefix each row is "
                "divided by its content mass: the map of "
                "the base is back.");
}

// %% [markdown]
// ## The term that a prefix adds
//
// The output of a head is the mixture of values. With a prefix it is `(1 - a)` times the old
// output, plus the mixture of the prefix's own values. All that a prefix adds lies in the span of
// its `P` values, one set for each head. With two heads and two virtual tokens the change has rank
// 4 at most, whatever the length of the input. Count it.

// %%
//%cflags: -std=c17 -I. @cflags
//%ldflags: @ldflags
#include "notebook.h"

enum { T = 14, HEADS = 2 };
static const int32_t IDS[T] = {3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8, 9, 7};

static Status rank_of(int64_t *rank, Arena *run, int virtual_tokens)
{
    Config config = {0};
    arch_find("gpt2")->defaults(&config);
    config.vocab = 20, config.positions = 16, config.dim = 16, config.heads = HEADS,
    config.layers = 1;
    config.init_sd = 0.3;
    Model *model;
    TRY(model_open(&model, run, &config, F64, 1));
    const Batch batch = {.b = 1, .t = T, .ids = IDS};
    Seen base, prefix;
    measure_pass(&base, run, model, NULL, PART_DECODER, &batch);

    Hooks *hooks = hooks_new(run);
    PeftConfig method = {0};
    peft_find("prefix")->defaults(&method, &model->config);
    method.length = virtual_tokens, method.init_sd = 1;
    TRY(peft_attach(peft_find("prefix"), model, hooks, &method));
    measure_pass(&prefix, run, model, hooks, PART_DECODER, &batch);

    Map with = {.seen = &prefix, .extra = virtual_tokens}, without = {.seen = &base};
    TRY(expect(measure_residual(run, with, without) < 1e-12,
               "%d virtual token%s: the added term is the mixture of its values", virtual_tokens,
               virtual_tokens > 1 ? "s" : ""));
    Tensor added = measure_projected(run, model, (Where){.layer = 0, .part = PART_DECODER},
                                     measure_added(run, with, without), -1);
    Tensor singular;
    TRY(linalg_singular(&singular, run, added));
    *rank = linalg_numerical_rank(singular);
    return OK;
}

static Status cell(Arena *run)
{
    for (int p = 1; p <= 4; p++) {
        int64_t rank;
        TRY(rank_of(&rank, run, p));
        printf("%d virtual tokens, %d heads: the change of %d rows has rank %lld\n", p, HEADS, T,
               (long long)rank);
        TRY(expect(rank == HEADS * p, "the rank is heads times virtual tokens"));
    }
    return OK;
}

// %% [markdown]
// The same theorem on trained models, with all its conditions: `vernier theory prefix-bias`.
//
// ## Exercise
//
// 1. In the first cell, multiply every random number of the prefix by 100. The prefix then takes
//    nearly all attention. Why may the check of the content weights fail now, although the theorem
//    still holds?
// 2. Which of these methods reorder attention in layer 0: `ia3`, `bitfit`, `prompt`? Guess, then
//    replace `lora` in the first cell. (The virtual tokens of `prompt` are rows of the sequence;
//    give its map `.extra = 0, .reserved = VIRTUAL`.)
//
// Next: [LoRA, adapter and prefix learn to sort](05-sort.ipynb).

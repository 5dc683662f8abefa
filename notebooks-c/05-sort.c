// %% [markdown]
// # LoRA, adapter and prefix learn to sort
//
// A small transformer can learn to sort. Then give it a new order: the same digits, descending. The
// model must attend to the *largest* digit left instead of the smallest one. Attention has to be
// reordered, and a prefix cannot do this ([notebook 4](04-prefix-attention.ipynb)). How do three
// methods fare that train about 2,000 parameters each?
//
// ## A model that sorts
//
// A row of the data is the input, eight digits from 0 to 7, and then the output without its last
// digit: `3 1 4 1 5 7 2 6 | 1 1 2 3 4 5 6`. The model predicts the next digit from the last input
// position on. `sorter.h` makes the data, trains and scores. This cell trains one layer with one
// head, about 14,000 parameters, and keeps it in `run/sort` for the next cell.

// %%
//%cflags: -std=c17 -I. @cflags
//%ldflags: @ldflags
#include "sorter.h"

static Status cell(Arena *run)
{
    Model *model;
    TRY(sort_open(&model, run, 1, 1));
    params_train(model->params, "*", true);
    printf("%lld parameters\n", (long long)params_count(model->params, NULL, false));
    TRY(sort_train(model, NULL, ASCENDING, 600, 3e-3, 1, (Tensor){0}));
    Evaluation up = sort_score(model, NULL, ASCENDING), down = sort_score(model, NULL, DESCENDING);
    printf("ascending:  %3.0f %% of 500 new sequences are sorted without a mistake\n",
           100 * up.exact);
    printf("descending: %3.0f %%\n", 100 * down.exact);
    TRY(expect(up.exact > 0.9, "the model sorts in ascending order"));
    TRY(expect(down.exact < 0.01, "and not in descending order"));
    return model_save(model, "run/sort/model");
}

// %% [markdown]
// ## Three methods, one budget
//
// Each method starts from this model, and the model's own parameters stay frozen.
//
// - **LoRA** adds a product of two thin matrices to every linear layer, queries and keys among
//   them.
// - **Adapters** put a small bottleneck behind attention and behind the feed-forward.
// - **Prefix**: 32 virtual tokens with keys and values of their own.
//
// A fair comparison needs baselines. A model that *ignores the input* can still use the position:
// the first output of a descending sort is often 7. The least loss of this kind is the entropy of
// the output at each position. A method above this line is worse than a table of frequencies.

// %%
//%cflags: -std=c17 -I. @cflags
//%ldflags: @ldflags
#include "sorter.h"

enum { METHODS = 3, POINTS = 15, STEPS = 450 };
typedef struct {
    const char *title, *method, *options;
    double lr;
} Arm;
static const Arm ARM[METHODS] = {{"LoRA", "lora", "rank=4,target=*", 1e-2},
                                 {"adapter", "houlsby", "width=16", 1e-2},
                                 {"prefix", "prefix", "length=32", 5e-2}};

// The mean entropy of an output digit when only its position is known, in nats.
static double entropy_by_position(Arena *run)
{
    enum { N = 20000 };
    Batch b = sort_batch(run, DESCENDING, N, rng_stream(1, "baseline"), 0);
    double sum = 0;
    for (int p = 0; p < SORT_N; p++) {
        double count[SORT_DIGITS] = {0};
        for (int i = 0; i < N; i++) count[b.target[i * SORT_N + p]]++;
        for (int d = 0; d < SORT_DIGITS; d++)
            if (count[d] > 0) sum -= count[d] / N * log(count[d] / N) / SORT_N;
    }
    return sum;
}

static Status cell(Arena *run)
{
    double baseline = entropy_by_position(run), exact[METHODS], last[METHODS];
    printf("ignoring the input costs %.2f nats per digit\n", baseline);
    Series line[METHODS];
    for (int k = 0; k < METHODS; k++) {
        Arena arena = arena_open(0);
        Model *model;
        TRY(model_load_as(&model, &arena, "run/sort/model", &(LoadOptions){.dtype = F64}));
        Hooks *hooks = hooks_new(&arena);
        PeftConfig config = {0};
        const Peft *method = peft_find(ARM[k].method);
        method->defaults(&config, &model->config);
        TRY(peft_set(&config, &arena, ARM[k].options));
        TRY(peft_attach(method, model, hooks, &config));

        line[k] = (Series){.x = tensor_new(run, F64, SHAPE(POINTS)),
                           .y = tensor_new(run, F64, SHAPE(POINTS)),
                           .label = ARM[k].title};
        for (int i = 0; i < POINTS; i++) tensor_set(line[k].x, i, (i + 0.5) * STEPS / POINTS);
        TRY(sort_train(model, hooks, DESCENDING, STEPS, ARM[k].lr, 2, line[k].y));
        Evaluation score = sort_score(model, hooks, DESCENDING);
        exact[k] = score.exact, last[k] = score.loss;
        printf("%-8s %4lld parameters: loss %.2f, digits right %.0f %%, sequences right %.0f %%\n",
               ARM[k].title, (long long)params_count(model->params, NULL, true), score.loss,
               100 * score.accuracy, 100 * score.exact);
        arena_close(&arena);
    }
    TRY(expect(exact[0] > 0.5, "LoRA sorts most sequences in the new order"));
    TRY(expect(exact[1] < 0.2 && exact[2] < 0.2, "adapter and prefix sort hardly any"));
    TRY(expect(last[0] < last[1] && last[0] < last[2], "and LoRA has the least loss"));

    Fig *f = figure(run, "run/sort/loss", 330, 190);
    RefLine ref = {baseline, "ignoring the input", false};
    fig_lines(f, fig_whole(f), METHODS, line,
              (PlotStyle){.x = {.title = "step"},
                          .y = {.title = "loss (nats per digit)", .log = true},
                          .ref = &ref,
                          .refs = 1});
    return show(f, "run/sort/loss",
                "Training loss of three methods on the descending order. Dashed: the least loss "
                "without the input.");
}

// %% [markdown]
// The limits of this comparison: these are three runs with one seed, one learning rate each and one
// small model. The adapter sits behind attention, so it cannot change the weights of the only
// attention layer either. With a second layer above it, it could. The full experiment has ten
// seeds, learning rates by a sweep and intervals: `vernier toy e1`.
//
// ## Exercise
//
// 1. Give the prefix 128 virtual tokens, and a learning rate of 0.1. How far below the baseline
//    does it come?
// 2. Let LoRA adapt queries and keys alone: `target=*.q|*.k`. Is this enough?
// 3. Train two layers in the first cell (`sort_open(&model, run, 2, 1)`). Which method gains most?
//
// Next: [a real checkpoint, read and looked at](06-checkpoint.ipynb).

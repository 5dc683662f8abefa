// %% [markdown]
// # Attention and hooks
//
// In a transformer the rows of a sequence exchange information in one place: attention. Each row
// asks a *query*, each row offers a *key* and a *value*. The product of query and key is a score;
// softmax turns the scores of a row into weights that sum to 1; the output is the mixture of the
// values with these weights.
//
// You will read the weights of a model while it runs, and then change the model in the middle of
// its pass. Both happen with a *hook*: a function that the model calls at a named site with the
// input and the output of a module. A hook that returns the output observes. A hook that returns
// something else intervenes. Every fine-tuning method of this workbench is a hook, too.
//
// ## A model, and the weights of its attention
//
// The model is a small GPT-2 with random parameters, saved in the folder `run/attention` for the
// cells that follow. Two properties hold for any parameters. Weights sum to 1 in each row. A
// decoder is *causal*: no row attends to a later one.

// %%
//%cflags: -std=c17 -I. @cflags
//%ldflags: @ldflags
#include "notebook.h"

enum { HEADS = 2, T = 8 };

static Status cell(Arena *run)
{
    Config config = {0};
    arch_find("gpt2")->defaults(&config);
    config.vocab = 20, config.positions = 16, config.dim = 16, config.heads = HEADS;
    config.layers = 2, config.init_sd = 0.3;
    Model *model;
    TRY(model_open(&model, run, &config, F64, 1));
    TRY(model_save(model, "run/attention/model"));

    Hooks *hooks = hooks_new(run);
    Capture seen = {.arena = run};
    hook_observe(hooks, (Where){SITE_PROBS, 0, PART_DECODER}, hook_capture, &seen);

    const int32_t ids[T] = {3, 1, 4, 1, 5, 9, 2, 6};
    Pass pass = {.tape = tape_open(run, false), .hooks = hooks};
    model_logits(model, &pass, &(Batch){.b = 1, .t = T, .ids = ids});

    Tensor weights =
        tensor_at(seen.value, 0); // (heads, queries, keys) of the first row of the batch
    printf("attention of layer 0: %s\n", tensor_shape(weights));
    double worst = 0, later = 0;
    for (int64_t row = 0; row < HEADS * T; row++) {
        double sum = 0;
        for (int64_t key = 0; key < T; key++) {
            double p = tensor_get(weights, row * T + key);
            sum += p;
            if (key > row % T) later = fmax(later, p);
        }
        worst = fmax(worst, fabs(sum - 1));
    }
    TRY(expect(worst < 1e-12, "the weights of each row sum to 1"));
    TRY(expect(later == 0, "no row attends to a later one"));
    for (int64_t key = 0; key < T; key++) printf("%.3f ", tensor_get(weights, (T - 1) * T + key));
    printf("are the weights of the last row, head 0\n");

    Fig *f = figure(run, "run/attention/maps", 330, 170);
    Tensor map[] = {tensor_at(weights, 0), tensor_at(weights, 1)};
    HeatStyle style[] = {{.title = "head 0", .causal = true, .row_title = "query"},
                         {.title = "head 1", .causal = true, .bar = true, .bar_title = "weight"}};
    style[0].hi = 1;
    style[0].col_title = style[1].col_title = "key";
    fig_heatmaps(f, fig_whole(f), HEADS, map, style);
    return show(
        f, "run/attention/maps",
        "Attention of the two heads of layer 0. Row: the query; column: the key it attends to.");
}

// %% [markdown]
// ## Changing a pass
//
// The next hook sits at the site `HEADS`, where the outputs of all heads lie side by side, before
// the output projection. It returns a copy in which one head is zero. This is *zero ablation*: what
// does the model compute without that head?
//
// A causal model gives a sharper test. The hook may also act on *one row only*. Logits of earlier
// rows cannot change then, because they never attend to that row. Logits of that row and of later
// ones can.

// %%
//%cflags: -std=c17 -I. @cflags
//%ldflags: @ldflags
#include "notebook.h"

enum { HEADS = 2, T = 8, FROM = 5 };

typedef struct {
    int head; // the one to silence
    int row;  // in this row alone; -1: in all rows
} Ablation;

// Multiplies the head's channels by 0, and all others by 1.
static Var *silence(Pass *p, Where at, Var *in, Var *out, void *user)
{
    (void)at, (void)in;
    const Ablation *a = user;
    Arena *step = tape_arena(p->tape);
    Tensor keep = tensor_copy(step, out->val);
    int64_t channels = tensor_last(keep), size = channels / HEADS,
            rows = tensor_count(keep) / channels;
    tensor_fill(keep, 1);
    for (int64_t r = 0; r < rows; r++)
        for (int64_t c = 0; c < size; c++)
            if (a->row < 0 || r == a->row) tensor_set(keep, r * channels + a->head * size + c, 0);
    return op_mul(p->tape, out, tape_leaf(p->tape, keep));
}

static Tensor logits(Arena *run, Model *model, const Hooks *hooks)
{
    static const int32_t ids[T] = {3, 1, 4, 1, 5, 9, 2, 6};
    Pass pass = {.tape = tape_open(run, false), .hooks = hooks};
    return model_logits(model, &pass, &(Batch){.b = 1, .t = T, .ids = ids})->val;
}

// The largest change of a logit in each row.
static void changes(double change[T], Tensor a, Tensor b)
{
    int64_t vocab = tensor_last(a);
    for (int64_t t = 0; t < T; t++) {
        change[t] = 0;
        for (int64_t v = 0; v < vocab; v++)
            change[t] =
                fmax(change[t], fabs(tensor_get(a, t * vocab + v) - tensor_get(b, t * vocab + v)));
    }
}

static Status cell(Arena *run)
{
    Model *model;
    TRY(model_load_as(&model, run, "run/attention/model", &(LoadOptions){.dtype = F64}));
    Tensor before = logits(run, model, NULL);

    for (int head = 0; head < HEADS; head++) {
        Hooks *hooks = hooks_new(run);
        Ablation all = {head, -1};
        double change[T];
        hook_add(hooks, (Where){SITE_HEADS, 0, PART_DECODER}, silence, &all);
        changes(change, logits(run, model, hooks), before);
        printf("without head %d of layer 0 the logits of the last row change by up to %.2f\n", head,
               change[T - 1]);
        TRY(expect(change[T - 1] > 0.01, "head %d of layer 0 matters", head));
    }

    Hooks *hooks = hooks_new(run);
    Ablation one = {0, FROM};
    double change[T], earlier = 0;
    hook_add(hooks, (Where){SITE_HEADS, 0, PART_DECODER}, silence, &one);
    changes(change, logits(run, model, hooks), before);
    for (int t = 0; t < FROM; t++) earlier = fmax(earlier, change[t]);
    TRY(expect(earlier == 0,
               "a change in row %d leaves the logits of all earlier rows as they were", FROM));
    return expect(change[FROM] > 0.01 && change[T - 1] > 0,
                  "and it changes row %d and the last one", FROM);
}

// %% [markdown]
// ## Exercise
//
// 1. In the second cell, let the hook act at `(Where){SITE_PROBS, 0, PART_DECODER}` instead, and
//    return uniform weights: row `t` gives each of its `t + 1` visible keys the weight `1 / (t +
//    1)`. The value there is `(1, heads, T, T)`. How much do the logits of the last row change? And
//    those of row 0? Say why before you run it.
// 2. Set `.layer = LAYER_ANY` in `Where`: the hook then acts in both layers.
//
// Next: [one virtual token carries any sequence](03-one-token.ipynb).

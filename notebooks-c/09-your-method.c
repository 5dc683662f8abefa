// %% [markdown]
// # Your own fine-tuning method
//
// A method of parameter-efficient fine-tuning is three things: new parameters, hooks that use them,
// and the promise that the model is unchanged until training begins. In this library it is one
// descriptor of type `Peft`. Registered with `REGISTER(peft, ...)` it is a method like any other:
// `peft_find` finds it, and everything that trains, counts and checks methods takes it.
//
// ## The idea
//
// A prefix cannot reorder attention, because queries and keys of the content stay as they are
// ([notebook 4](04-prefix-attention.ipynb)). So change the queries, as little as possible: multiply
// each channel of the query by a learned gain, and add a learned shift. `q' = q * g + b`, with `g =
// 1` and `b = 0` at the start. For a hidden size of 32 these are 64 parameters a layer, as many as
// *one* virtual token of a prefix has. Let us call it `aim`.
//
// First a model to tune: the sorter of [notebook 5](05-sort.ipynb).

// %%
//%cflags: -std=c17 -I. @cflags
//%ldflags: @ldflags
#include "sorter.h"

static Status cell(Arena *run)
{
    Model *model;
    TRY(sort_open(&model, run, 1, 1));
    params_train(model->params, "*", true);
    TRY(sort_train(model, NULL, ASCENDING, 600, 3e-3, 1, (Tensor){0}));
    Evaluation score = sort_score(model, NULL, ASCENDING);
    printf("%.0f %% of new sequences are sorted in ascending order\n", 100 * score.exact);
    TRY(expect(score.exact > 0.9, "the model sorts"));
    return model_save(model, "run/method/model");
}

// %% [markdown]
// ## The method, and four checks for every method
//
// `attach` walks over the attentions of the model (`place_next`), adds two parameters to each and
// hangs a hook on the site `Q`, where the queries leave their linear layer. Four checks follow,
// which any method should pass before its accuracy counts:
//
// 1. At the start the model is unchanged.
// 2. The number of parameters equals the promise of `count`.
// 3. The gradient is right: the tape against central differences, along random directions and for
//    each parameter.
// 4. It serves its purpose: attention to the content is reordered.
//
// Only then it is compared with a prefix that has equally many parameters.

// %%
//%cflags: -std=c17 -I. @cflags
//%ldflags: @ldflags
#include "sorter.h"

enum { METHODS = 2, POINTS = 15, STEPS = 450 };

// q' = q * gain + shift
static Var *aim(Pass *p, Where at, Var *in, Var *out, void *model)
{
    (void)in;
    Var *gain = tape_param(p->tape, place_find(model, "aim", at, "gain"));
    Var *shift = tape_param(p->tape, place_find(model, "aim", at, "shift"));
    return op_add(p->tape, op_scale_cols(p->tape, out, gain), 1, shift);
}

static void aim_defaults(PeftConfig *config, const Config *model)
{
    (void)model;
    place_all(config, true);
}

static Status aim_attach(Model *model, Hooks *hooks, const PeftConfig *config)
{
    TRY(place_check(model, config, "aim"));
    for (Where at = PLACE_FIRST; place_next(model, config, &at);) {
        int64_t n = place_width(model, at);
        place_param(model, "aim", at, "gain", (Init){INIT_ONE}, SHAPE(n));
        place_param(model, "aim", at, "shift", (Init){INIT_ZERO}, SHAPE(n));
    }
    hook_add_rows(hooks, (Where){SITE_Q, LAYER_ANY, PART_ANY}, aim, model);
    return OK;
}

static int64_t aim_count(const Model *model, const PeftConfig *config)
{
    int64_t n = 0;
    for (Where at = PLACE_FIRST; place_next(model, config, &at);) n += 2 * place_width(model, at);
    return n;
}

static const Peft AIM = {.name = "aim",
                         .summary = "gains and shifts of the queries",
                         .defaults = aim_defaults,
                         .attach = aim_attach,
                         .count = aim_count};
REGISTER(peft, AIM)

typedef struct {
    Model *model;
    Hooks *hooks;
    int64_t promised;
} Tuned;

static Status attach(Tuned *t, Arena *run, const char *name, const char *options)
{
    const Peft *method = peft_find(name);
    PeftConfig config = {0};
    TRY(model_load_as(&t->model, run, "run/method/model", &(LoadOptions){.dtype = F64}));
    t->hooks = hooks_new(run);
    method->defaults(&config, &t->model->config);
    TRY(peft_set(&config, run, options));
    t->promised = method->count(t->model, &config);
    return peft_attach(method, t->model, t->hooks, &config);
}

typedef struct {
    Tuned *tuned;
    Batch batch;
} Question;

static Var *loss(Tape *tape, void *user)
{
    Question *q = user;
    Pass pass = {.tape = tape, .hooks = q->tuned->hooks};
    return model_loss(q->tuned->model, &pass, &q->batch);
}

// Checks 1 to 3.
static Status check(Arena *run)
{
    Tuned t;
    TRY(attach(&t, run, "aim", ""));
    double with = sort_score(t.model, t.hooks, ASCENDING).loss,
           without = sort_score(t.model, NULL, ASCENDING).loss;
    TRY(expect(with == without, "at the start the model is unchanged"));
    int64_t count = params_count(t.model->params, NULL, true);
    TRY(expect(count == t.promised && count == 64, "it has 64 parameters, as promised"));
    Question q = {&t, sort_batch(run, DESCENDING, 4, rng_stream(1, "check"), 0)};
    GradCheck g = gradcheck_run(t.model->params, run, loss, &q, 5, 1);
    return expect(g.worst < 1e-6 && g.worst_each < 1e-6,
                  "its gradient agrees with central differences");
}

// Check 4: the largest change of a content weight from the base model to the tuned one.
static double reordered(Arena *run, const Tuned *t, int virtual_tokens)
{
    Seen base, now;
    Batch batch = sort_batch(run, DESCENDING, 8, rng_stream(1, "test"), 0);
    measure_pass(&base, run, t->model, NULL, PART_DECODER, &batch);
    measure_pass(&now, run, t->model, t->hooks, PART_DECODER, &batch);
    return measure_change((Map){.seen = &now, .extra = virtual_tokens}, (Map){.seen = &base}, -1)
        .gap;
}

static Status cell(Arena *run)
{
    static const char *const NAME[METHODS] = {"aim", "prefix"}, *const OPTIONS[METHODS] = {
                                                                    "", "length=1"};
    double last[METHODS], gap[METHODS];
    Series line[METHODS];
    TRY(check(run));
    for (int k = 0; k < METHODS; k++) {
        Tuned t;
        TRY(attach(&t, run, NAME[k], OPTIONS[k]));
        line[k] = (Series){.x = tensor_new(run, F64, SHAPE(POINTS)),
                           .y = tensor_new(run, F64, SHAPE(POINTS)),
                           .label = NAME[k]};
        for (int i = 0; i < POINTS; i++) tensor_set(line[k].x, i, (i + 0.5) * STEPS / POINTS);
        TRY(sort_train(t.model, t.hooks, DESCENDING, STEPS, 0.1, 2, line[k].y));
        Evaluation score = sort_score(t.model, t.hooks, DESCENDING);
        last[k] = score.loss, gap[k] = reordered(run, &t, k);
        printf("%-6s %lld parameters: loss %.2f, digits right %.0f %%, sequences right %.0f %%\n",
               NAME[k], (long long)params_count(t.model->params, NULL, true), score.loss,
               100 * score.accuracy, 100 * score.exact);
    }
    TRY(expect(gap[0] > 0.1, "aim reorders attention to the content"));
    TRY(expect(gap[1] < 1e-9, "the prefix does not"));
    TRY(expect(last[0] < last[1] - 0.2, "with equally many parameters aim has the lower loss"));

    Fig *f = figure(run, "run/method/loss", 300, 170);
    fig_lines(
        f, fig_whole(f), METHODS, line,
        (PlotStyle){.x = {.title = "step"}, .y = {.title = "loss (nats per digit)", .log = true}});
    return show(f, "run/method/loss",
                "Training loss on the descending order: 64 parameters in the queries, and 64 in a "
                "virtual token.");
}

// %% [markdown]
// The 64 parameters of `aim` write about as many digits right as the 2,048 of a prefix in notebook
// 5, and far fewer than LoRA there. The place where a method acts matters, and so do the functions
// that it can express there.
//
// In the program itself such a method is one more file in `src/peft/`. `vernier tune --method`,
// sweeps, the list of methods, and the tests that every method must pass then take it up by
// themselves.
//
// ## Exercise
//
// 1. Act on the keys as well (`SITE_K`). How many parameters are there now, and how low is the
//    loss?
// 2. Break the promise: start the gain at 0.9. Which check fails?
// 3. Write a method of your own: a vector added to the residual stream, say, at the site `RESID`.
//
// Next: [your own experiment](10-your-experiment.ipynb).

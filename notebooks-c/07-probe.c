// %% [markdown]
// # A probe with its controls
//
// Is the smallest digit of the input there in a hidden state? A *probe* answers such questions: run
// the frozen model, take the hidden state at one position, and train a linear classifier to read
// the digit off it. If the classifier is accurate, the information is there.
//
// There is a trap. A hidden state has many numbers, and a classifier with enough of them finds the
// digit in almost any mixture of the input, also in one that no training has shaped. An accuracy
// alone says little. Three controls make it speak:
//
// - **Majority**: always the most frequent class.
// - **Randomly initialised model**: the same architecture, untrained. The probe's advantage there
//   is that of the architecture alone.
// - **Control task** (Hewitt and Liang, 2019): random labels, fixed for each pair of first and last
//   digit. Only memory can learn them. The difference between task and control task is called
//   *selectivity*.
//
// ## A model to probe
//
// A sorter with two layers. The first output it must write is the smallest digit, so at the last
// input position it has a reason to compute it.

// %%
//%cflags: -std=c17 -I. @cflags
//%ldflags: @ldflags
#include "sorter.h"

static Status cell(Arena *run)
{
    Model *model;
    TRY(sort_open(&model, run, 2, 1));
    TRY(model_save(model, "run/probe/random"));
    params_train(model->params, "*", true);
    TRY(sort_train(model, NULL, ASCENDING, 500, 3e-3, 1, (Tensor){0}));
    Evaluation score = sort_score(model, NULL, ASCENDING);
    printf("%.0f %% of new sequences are sorted\n", 100 * score.exact);
    TRY(expect(score.exact > 0.8, "the model sorts"));
    return model_save(model, "run/probe/trained");
}

// %% [markdown]
// ## The probe
//
// Hidden states are captured at the site `RESID`: the input of the first layer, and the output of
// each layer, at the last position of the input. The classifier is multinomial logistic regression
// with a small penalty on its weights, found by BFGS on 1,000 examples and scored on 1,000 others.
// It is the same for all models and labels, so their accuracies can be compared.

// %%
//%cflags: -std=c17 -I. @cflags
//%ldflags: @ldflags
#include "sorter.h"

enum { TRAIN = 1000, ALL = 2000, LAYERS = 3, DIM = 32, FEATURES = DIM + 1, CLASSES = SORT_DIGITS };
static const double PENALTY = 1e-3;

typedef struct {
    double x[ALL][FEATURES]; // hidden state, and 1
    int label[ALL];
} Data;

// Class probabilities of an example.
static void predict(double p[CLASSES], const double *w, const double *x)
{
    double most = -INFINITY, sum = 0;
    for (int c = 0; c < CLASSES; c++) {
        p[c] = 0;
        for (int f = 0; f < FEATURES; f++) p[c] += w[c * FEATURES + f] * x[f];
        most = fmax(most, p[c]);
    }
    for (int c = 0; c < CLASSES; c++) sum += p[c] = exp(p[c] - most);
    for (int c = 0; c < CLASSES; c++) p[c] /= sum;
}

// Mean cross-entropy on the training part, with the penalty; and its gradient.
static double objective(const double *w, double *g, void *user)
{
    const Data *d = user;
    double loss = 0, p[CLASSES];
    for (int i = 0; i < CLASSES * FEATURES; i++) {
        loss += PENALTY / 2 * w[i] * w[i];
        if (g) g[i] = PENALTY * w[i];
    }
    for (int i = 0; i < TRAIN; i++) {
        predict(p, w, d->x[i]);
        loss -= log(p[d->label[i]]) / TRAIN;
        for (int c = 0; g && c < CLASSES; c++)
            for (int f = 0; f < FEATURES; f++)
                g[c * FEATURES + f] += (p[c] - (c == d->label[i])) * d->x[i][f] / TRAIN;
    }
    return loss;
}

static Status accuracy(double *out, Data *d)
{
    double w[CLASSES * FEATURES] = {0}, p[CLASSES];
    Minimum minimum;
    TRY(minimise_bfgs(&minimum, w, CLASSES * FEATURES, objective, d, 1e-3, 300));
    int right = 0;
    for (int i = TRAIN; i < ALL; i++) {
        int best = 0;
        predict(p, w, d->x[i]);
        for (int c = 1; c < CLASSES; c++)
            if (p[c] > p[best]) best = c;
        right += best == d->label[i];
    }
    *out = 100.0 * right / (ALL - TRAIN);
    return OK;
}

// Each feature gets mean 0 and standard deviation 1 on the training part: the penalty then treats
// models with large and with small hidden states alike.
static void standardise(Data *d)
{
    for (int f = 0; f < DIM; f++) {
        double value[TRAIN];
        for (int i = 0; i < TRAIN; i++) value[i] = d->x[i][f];
        Summary s = stats_summary(value, TRAIN);
        for (int i = 0; i < ALL; i++) d->x[i][f] = (d->x[i][f] - s.mean) / s.sd;
    }
}

// Hidden states at the last input position, layer by layer.
static Status features(Data data[LAYERS], Arena *run, const char *dir, const Batch *batch)
{
    Model *model;
    TRY(model_load_as(&model, run, dir, &(LoadOptions){.dtype = F64}));
    Hooks *hooks = hooks_new(run);
    Capture seen[LAYERS];
    for (int l = 0; l < LAYERS; l++) {
        seen[l] = (Capture){.arena = run};
        hook_observe(hooks, (Where){SITE_RESID, l ? l - 1 : LAYER_EMBED, PART_DECODER},
                     hook_capture, &seen[l]);
    }
    Batch whole = *batch; // hidden states of all positions, in the last layer too
    whole.keep = NULL, whole.target = NULL, whole.k = 0;
    Pass pass = {.tape = tape_open(run, false), .hooks = hooks};
    model_hidden(model, &pass, &whole);
    for (int l = 0; l < LAYERS; l++) {
        for (int i = 0; i < ALL; i++) {
            int64_t row = (int64_t)i * SORT_T + SORT_N - 1;
            for (int f = 0; f < DIM; f++)
                data[l].x[i][f] = tensor_get(seen[l].value, row * DIM + f);
            data[l].x[i][DIM] = 1;
        }
        standardise(&data[l]);
    }
    return OK;
}

static void set_labels(Data *d, const Batch *b, bool control)
{
    for (int i = 0; i < ALL; i++) {
        int first = b->ids[i * SORT_T], last = b->ids[i * SORT_T + SORT_N - 1];
        int64_t pair =
            rng_below(rng_stream(1, "control"), (uint64_t)(first * SORT_DIGITS + last), CLASSES);
        d->label[i] = control ? (int)pair : b->target[i * SORT_N]; // the smallest digit
    }
}

static double majority(const Data *d)
{
    int count[CLASSES] = {0}, best = 0, right = 0;
    for (int i = 0; i < TRAIN; i++) count[d->label[i]]++;
    for (int c = 1; c < CLASSES; c++)
        if (count[c] > count[best]) best = c;
    for (int i = TRAIN; i < ALL; i++) right += d->label[i] == best;
    return 100.0 * right / (ALL - TRAIN);
}

static Status cell(Arena *run)
{
    enum { SERIES = 3 };
    static const char *const NAME[SERIES] = {"trained", "random", "control task"};
    static const char *const LAYER[LAYERS] = {"embedding", "layer 0", "layer 1"};
    Batch batch = sort_batch(run, ASCENDING, ALL, rng_stream(1, "probe"), 0);
    Data *trained = NEW(run, Data, LAYERS), *random = NEW(run, Data, LAYERS);
    TRY(features(trained, run, "run/probe/trained", &batch));
    TRY(features(random, run, "run/probe/random", &batch));

    double score[SERIES][LAYERS];
    Series bar[SERIES];
    for (int s = 0; s < SERIES; s++) {
        bar[s] = (Series){.y = tensor_new(run, F64, SHAPE(LAYERS)), .label = NAME[s]};
        for (int l = 0; l < LAYERS; l++) {
            Data *d = s == 1 ? &random[l] : &trained[l];
            set_labels(d, &batch, s == 2);
            TRY(accuracy(&score[s][l], d));
            tensor_set(bar[s].y, l, score[s][l]);
        }
        printf("%-12s  embedding %4.1f %%  layer 0 %4.1f %%  layer 1 %4.1f %%\n", NAME[s],
               score[s][0], score[s][1], score[s][2]);
    }
    set_labels(trained, &batch, false);
    double base = majority(trained);
    printf("%-12s  %4.1f %%\n", "majority", base);

    TRY(expect(score[0][2] > 95,
               "the smallest digit can be read off the trained model's last layer"));
    TRY(expect(score[1][2] > base + 5, "a good part of it can be read off a random model, too"));
    TRY(expect(score[0][2] > score[1][2] + 3, "training has added to this"));
    TRY(expect(score[2][2] < score[0][2] - 40,
               "the probe itself cannot learn arbitrary labels as well"));
    TRY(expect(score[0][0] < base + 8, "before the first layer only the last digit is there"));

    Fig *f = figure(run, "run/probe/layers", 330, 180);
    RefLine ref = {base, "majority", false};
    fig_bars(
        f, fig_whole(f), SERIES, bar, LAYER,
        (PlotStyle){.y = {.title = "accuracy (%)", .lo = 0, .hi = 100}, .ref = &ref, .refs = 1});
    return show(f, "run/probe/layers",
                "Accuracy of a linear probe for the smallest digit, in a trained and in a randomly "
                "initialised model, and on "
                "random labels.");
}

// %% [markdown]
// The finding is not "the probe reaches so many percent". It is the difference to the random model,
// layer by layer, and the selectivity. `vernier probe` reports these controls for every layer of
// real models of code, with intervals.
//
// ## Exercise
//
// 1. Probe for the *largest* digit (`b->target[i * SORT_N + SORT_N - 1]`), which the model needs
//    only at the end of its output. Is it there at the last input position?
// 2. Multiply the penalty by 1,000. Which of the three series falls most?
//
// Next: [what tuning changes in the layers](08-layers.ipynb).

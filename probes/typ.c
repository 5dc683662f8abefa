/* probes/typ: does an encoder that has only read code know a misspelt type when it sees one?
 *
 * Claim    Frozen, mean-pooled features of a small encoder pretrained by masked-language modelling on the task's own
 *          training code tell methods with misspelt primitive types from intact ones, linearly, better than the
 *          majority class and better than the same encoder with random weights.
 * Method   Train a byte-level BPE tokenizer and a RoBERTa-shaped encoder on the training texts; one forward pass
 *          gives the features of every layer; a logistic regression per layer, its penalty chosen on validation, is
 *          scored once on test.  Beside it: majority, a bag of tokens without any encoder, the untrained encoder.
 * Expect   Trained above random above majority.  A bag of tokens can do very well on this task: a few dozen
 *          misspellings give it away, and that bounds what a probe result here can mean.
 * Cost     seconds; a minute; a quarter of an hour.
 * Source   Karmakar and Robbes (ASE 2021) for the task; Hewitt and Liang (EMNLP 2019) for why controls are needed.
 *
 * By default the data are invented Java-like methods from a seeded generator; --data FILE reads the published
 * format. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/rng.h"
#include "base/str.h"
#include "cli/experiment.h"
#include "plot/plot.h"
#include "tasks/dataset.h"
#include "tasks/features.h"
#include "tasks/javagen.h"
#include "tasks/mlm.h"
#include "tasks/probe.h"
#include "text/bpe.h"
#include "train/train.h"

enum { MOST_LAYERS = 25, POINTS = 128 };
typedef enum { TRAINED, RANDOM, KINDS } Kind;
static const char *const KIND_NAME[KINDS] = {"pretrained", "random weights"};

typedef struct {
    Dataset set;
    Bpe *bpe;
    Examples examples, training; /* token ids of all texts; of the training texts alone */
} Data;

typedef struct { /* one seed's findings; travels between processes as bytes */
    double test[KINDS][MOST_LAYERS], valid[KINDS][MOST_LAYERS];
    int unconverged, layers;
    int points;
    double step[POINTS], loss[POINTS];
} Outcome;

/* ---- data ---- */

static Status read_data(Run *r, Data *d)
{
    Arena *a = run_arena(r);
    const char *path = run_text(r, "data");
    if (*path) {
        TRY(run_input(r, path));
        TRY(dataset_read(&d->set, a, path));
    } else {
        int64_t n = run_int(r, "examples");
        javagen_typ(&d->set, a, (uint64_t)run_int(r, "data-seed"),
                    (const int64_t[SPLITS]){n * 6 / 10, n * 2 / 10, n * 2 / 10});
    }
    int64_t n = d->set.n, texts = 0;
    Bytes *text = NEW(a, Bytes, n);
    for (int64_t i = 0; i < n; i++)
        if (d->set.example[i].split == SPLIT_TRAIN)
            text[texts++] = (Bytes){(char *)(uintptr_t)d->set.example[i].text, d->set.example[i].len};
    TRY(bpe_train(&d->bpe, a, &(BpeTrain){.size = run_int(r, "vocab")}, text, texts));

    const int32_t **ids = NEW(a, const int32_t *, n), **train = NEW(a, const int32_t *, n);
    int32_t *len = NEW(a, int32_t, n), *train_len = NEW(a, int32_t, n);
    int64_t trained = 0;
    for (int64_t i = 0; i < n; i++) {
        BpeText t = bpe_encode(d->bpe, a, d->set.example[i].text, d->set.example[i].len, false);
        t = bpe_wrap(d->bpe, a, &t, NULL, run_int(r, "tokens"));
        ids[i] = t.id, len[i] = (int32_t)t.n;
        if (d->set.example[i].split == SPLIT_TRAIN) train[trained] = t.id, train_len[trained++] = (int32_t)t.n;
    }
    d->examples = (Examples){.n = n, .ids = ids, .len = len};
    d->training = (Examples){.n = trained, .ids = train, .len = train_len};
    return OK;
}

/* ---- one seed ---- */

static Status open_encoder(Model **m, Arena *run, const Run *r, const Data *d, uint64_t seed)
{
    BpeSpecials special = bpe_specials(d->bpe);
    Config c = {0};
    arch_find("roberta")->defaults(&c);
    c.vocab = (int)bpe_size(d->bpe), c.positions = (int)run_int(r, "tokens") + 2, c.types = 1;
    c.dim = (int)run_int(r, "dim"), c.heads = (int)run_int(r, "heads"), c.layers = (int)run_int(r, "layers");
    c.hidden = 4 * c.dim, c.pad = special.pad, c.bos = special.bos, c.eos = special.eos;
    return model_open(m, run, &c, F32, seed);
}

static Status pretrain(Run *r, Arena *run, Model *m, const Data *d, uint64_t seed, Outcome *out)
{
    TrainConfig c = train_defaults();
    c.lr = run_real(r, "lr"), c.total = run_int(r, "steps"), c.warmup = c.total / 10, c.schedule = SCHEDULE_LINEAR;
    c.decay = 0.01, c.seed = seed;
    params_train(m->params, "*", true);
    Trainer *tr;
    Batcher *feed;
    TRY(trainer_open(&tr, run, m, NULL, &c));
    TRY(batcher_open(
        &feed, run, &d->training,
        &(BatchPlan){.tokens = run_int(r, "batch-tokens"), .shuffle = true, .seed = seed, .pad = m->config.pad}));
    BpeSpecials special = bpe_specials(d->bpe);
    MlmPlan plan = {.share = 0.15, .mask = special.mask, .first = special.unk + 1, .last = special.mask};
    uint64_t stream = rng_stream(seed, "mask");
    int64_t every = (c.total + POINTS - 1) / POINTS;
    double sum = 0;
    Arena step = arena_open(0);
    while (tr->step < c.total) {
        if (run_stopped()) return run_interrupted();
        ArenaMark mark = arena_mark(&step);
        Batch clean;
        StepStats stats;
        batcher_next(feed, &step, &clean, NULL);
        Batch masked = mlm_corrupt(&step, &clean, &plan, stream, (uint64_t)tr->step);
        TRY(trainer_step(tr, &step, &masked, &stats));
        arena_drop(&step, mark);
        sum += stats.loss;
        if (tr->step % every && tr->step != c.total) continue;
        out->step[out->points] = (double)tr->step;
        out->loss[out->points++] = sum / (double)(tr->step % every ? tr->step % every : every);
        sum = 0;
        run_progress(r, "masked-language modelling", tr->step, c.total, out->loss[out->points - 1]);
    }
    arena_close(&step);
    return OK;
}

static Status probe_layers(Run *r, Arena *run, Model *m, const Data *d, Kind kind, Outcome *out)
{
    Arena step = arena_open(0);
    Features f;
    TRY(features_extract(&f, run, &step, m, hooks_new(run), &d->examples, FEATURE_MEAN, NULL, NULL));
    out->layers = f.layers;
    for (int l = 0; l < f.layers; l++) {
        if (run_stopped()) return run_interrupted();
        ArenaMark mark = arena_mark(&step);
        ProbeResult p;
        TRY(probe_fit(&p, &step, f.layer[l], &d->set, NULL, NULL));
        out->test[kind][l] = p.accuracy[SPLIT_TEST];
        out->valid[kind][l] = p.accuracy[SPLIT_VALID];
        out->unconverged += !p.converged;
        arena_drop(&step, mark);
        run_progress(r, kind == TRAINED ? "probes" : "probes, random weights", l + 1, f.layers, (double)NAN);
    }
    arena_close(&step);
    return OK;
}

static Status one_seed(Run *r, int i, void *result, void *user)
{
    const Data *d = user;
    Outcome *out = result;
    Arena run = arena_open(0);
    Model *m;
    TRY(open_encoder(&m, &run, r, d, run_seed(r, i)));
    TRY(probe_layers(r, &run, m, d, RANDOM, out));
    TRY(pretrain(r, &run, m, d, run_seed(r, i), out));
    TRY(probe_layers(r, &run, m, d, TRAINED, out));
    const char *dir = run_path(r, "encoder-seed%llu", (unsigned long long)run_seed(r, i));
    TRY(model_save(m, dir));
    TRY(bpe_save(d->bpe, dir)); /* so that the directory is a checkpoint that other commands can read text with */
    arena_close(&run);
    return OK;
}

/* ---- figures ---- */

static Series across(Arena *a, const Outcome *all, int seeds, Kind kind)
{
    int n = all[0].layers;
    Tensor x = tensor_new(a, F64, SHAPE(n)), mean = tensor_new(a, F64, SHAPE(n)), lo = tensor_new(a, F64, SHAPE(n)),
           hi = tensor_new(a, F64, SHAPE(n));
    for (int l = 0; l < n; l++) {
        double sum = 0, least = INFINITY, most = -INFINITY;
        for (int i = 0; i < seeds; i++) {
            double acc = 100 * all[i].test[kind][l];
            sum += acc / seeds, least = fmin(least, acc), most = fmax(most, acc);
        }
        tensor_set(x, l, l), tensor_set(mean, l, sum), tensor_set(lo, l, least), tensor_set(hi, l, most);
    }
    return (Series){.x = x, .y = mean, .lo = lo, .hi = hi, .label = KIND_NAME[kind], .marked = true};
}

static Status draw(Run *r, const Outcome *all, int seeds, double majority, double bag)
{
    Arena *a = run_arena(r);
    Series line[KINDS] = {across(a, all, seeds, TRAINED), across(a, all, seeds, RANDOM)};
    RefLine ref[] = {{100 * majority, "majority", false}, {100 * bag, "bag of tokens", false}};
    Fig *f = run_figure(r, "layers",
                        str_print(a,
                                  "Test accuracy of a linear probe on each layer's mean-pooled features (0: "
                                  "embeddings); mean and range of %d encoders.",
                                  seeds),
                        300, 190);
    fig_lines(f, fig_whole(f), KINDS, line,
              (PlotStyle){.x = {.title = "layer"},
                          .y = {.title = "test accuracy (%)", .lo = 40, .hi = 100},
                          .ref = ref,
                          .refs = 2});
    TRY(fig_close(f));
    Series loss = {.x = tensor_over((void *)(uintptr_t)all[0].step, F64, SHAPE(all[0].points)),
                   .y = tensor_over((void *)(uintptr_t)all[0].loss, F64, SHAPE(all[0].points))};
    f = run_figure(r, "mlm-loss", "Masked-language-modelling loss of the first encoder.", 252, 160);
    fig_lines(f, fig_whole(f), 1, &loss,
              (PlotStyle){.x = {.title = "step"}, .y = {.title = "loss (nats per masked token)"}});
    return fig_close(f);
}

/* ---- the experiment ---- */

static int best_layer(const Outcome *o, Kind kind)
{
    int best = 0;
    for (int l = 1; l < o->layers; l++)
        if (o->valid[kind][l] > o->valid[kind][best]) best = l;
    return best;
}

static void record(Run *r, const Outcome *all, int seeds, double mean[KINDS])
{
    Arena *a = run_arena(r);
    int wins = 0, unconverged = 0;
    for (int i = 0; i < seeds; i++) {
        double at_best[KINDS];
        for (int k = 0; k < KINDS; k++) {
            for (int l = 0; l < all[i].layers; l++)
                run_metric(r, str_print(a, "%s, layer %d (%%)", KIND_NAME[k], l), i, 100 * all[i].test[k][l]);
            at_best[k] = all[i].test[k][best_layer(&all[i], k)];
            run_metric(r, str_print(a, "%s, layer chosen on validation (%%)", KIND_NAME[k]), i, 100 * at_best[k]);
            mean[k] += at_best[k] / seeds;
        }
        wins += at_best[TRAINED] > at_best[RANDOM];
        unconverged += all[i].unconverged;
        run_metric(r, "final MLM loss", i, all[i].loss[all[i].points - 1]);
    }
    run_metric(r, "seeds in which pretraining beats random weights", 0, wins);
    run_metric(r, "probe fits that did not converge", 0, unconverged);
}

static Status run(Run *r)
{
    Arena *a = run_arena(r);
    int seeds = run_seeds(r);
    Data d = {0};
    TRY(read_data(r, &d));
    ProbeResult majority, bag;
    probe_majority(&majority, a, &d.set);
    TRY(probe_fit(&bag, a, probe_bag(a, &d.set, d.bpe, 2000), &d.set, NULL, NULL));
    run_metric(r, "majority (%)", 0, 100 * majority.accuracy[SPLIT_TEST]);
    run_metric(r, "bag of tokens (%)", 0, 100 * bag.accuracy[SPLIT_TEST]);

    Outcome *all = NEW(a, Outcome, seeds);
    TRY(run_parallel(r, seeds, sizeof *all, one_seed, &d, all));
    double mean[KINDS] = {0};
    record(r, all, seeds, mean);
    TRY(draw(r, all, seeds, majority.accuracy[SPLIT_TEST], bag.accuracy[SPLIT_TEST]));

    int64_t tests = d.set.size[SPLIT_TEST];
    Interval ci = stats_wilson((int64_t)llround(mean[TRAINED] * (double)tests), tests);
    double p = run_compare(r, str_print(a, "%s, layer chosen on validation (%%)", KIND_NAME[TRAINED]),
                           str_print(a, "%s, layer chosen on validation (%%)", KIND_NAME[RANDOM]));
    run_note(
        r,
        "A bag of tokens, which needs no encoder, is right on %.1f %% of the test methods, and random weights on "
        "%.1f %%: "
        "mean pooling keeps which tokens occur, and that nearly decides this task. A high probe accuracy here is "
        "no evidence that an encoder knows types.",
        100 * bag.accuracy[SPLIT_TEST], 100 * mean[RANDOM]);
    run_note(r, "Not tested here: checkpoints trained on large code corpora, and probes after fine-tuning.");
    bool above_majority = ci.lo > majority.accuracy[SPLIT_TEST], above_random = mean[TRAINED] > mean[RANDOM];
    Verdict verdict = isnan(p)                           ? INCONCLUSIVE
                      : !above_majority || !above_random ? FAILS
                      : p < 0.05                         ? HOLDS
                                                         : INCONCLUSIVE;
    const char *paired = isnan(p) ? "" : str_print(a, " (paired p = %.2g)", p);
    run_verdict(
        r, verdict,
        "At the layer chosen on validation: pretrained %.1f %%, random weights %.1f %%%s, bag of tokens %.1f %%, "
        "majority %.1f %% (mean of %d encoders, %lld test methods).",
        100 * mean[TRAINED], 100 * mean[RANDOM], paired, 100 * bag.accuracy[SPLIT_TEST],
        100 * majority.accuracy[SPLIT_TEST], seeds, (long long)tests);
    return OK;
}

static const Setting SETTINGS[] = {
    {"task", "the probing task", {"typ", NULL, NULL}, .among = "typ"},
    {"data", "a file of split, label, text rows; empty: invented methods", {"", NULL, NULL}},
    {"examples", "invented methods, 60/20/20 %", {"100", "1000", "1000"}, 20, 1000000},
    {"data-seed", "seed of the invented methods", {"1", NULL, NULL}, 0, 1e9},
    {"vocab", "size of the tokenizer", {"300", "600", "1000"}, 262, 100000},
    {"tokens", "tokens of a text that are read", {"64", "192", "320"}, 8, 4096},
    {"dim", "width of the encoder", {"16", "96", "256"}, 8, 4096},
    {"heads", "attention heads", {"2", "4", "8"}, 1, 64},
    {"layers", "layers", {"1", "3", "6"}, 1, MOST_LAYERS - 1},
    {"steps", "steps of masked-language modelling", {"8", "400", "4000"}, 1, 1e7},
    {"batch-tokens", "tokens a step", {"512", "2048", "8192"}, 64, 1e6},
    {"lr", "peak learning rate", {"1e-3", "1e-3", "5e-4"}, 1e-7, 1},
    {0}};

static const Experiment TYP = {
    .group = "probes",
    .name = "typ",
    .title = "Invalid type detection from frozen features",
    .claim = "An encoder pretrained only by masked-language modelling on the training code separates methods with "
             "misspelt "
             "types linearly, better than the majority class and than the same encoder with random weights.",
    .method =
        "Byte-level BPE and a small RoBERTa-shaped encoder trained on the training split; logistic probes on every "
        "layer's mean-pooled features; majority, bag-of-tokens and random-weights baselines.",
    .expect = "Pretrained above random weights above majority at the layer chosen on validation.",
    .cost = "smoke seconds, quick a minute, paper a quarter of an hour",
    .source = "Karmakar and Robbes (ASE 2021); Hewitt and Liang (EMNLP 2019)",
    .settings = SETTINGS,
    .seeds = {1, 3, 3},
    .run = run};
REGISTER(experiment, TYP)

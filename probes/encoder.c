/* The encoders: a checkpoint with its adapter, a twin of the same shape, or one pretrained here. */
#include <stdio.h>
#include <string.h>

#include "base/rng.h"
#include "base/str.h"
#include "peft/disk.h"
#include "probes/probing.h"
#include "tasks/mlm.h"
#include "train/train.h"

static Status attach(Adapter *a, Model *m, Hooks *hooks, const char **remark, const Probing *lab, Arena *run)
{
    TRY(adapter_attach(a, m, hooks));
    Buf b = buf_open(run);
    for (int i = 0; i < a->n_remarks; i++) buf_print(&b, "%s%s", i ? "; " : "", a->remark[i]);
    if (a->n_remarks) *remark = b.text;
    if (lab->room && lab->most + adapter_positions(a) > lab->room)
        return fail(E_MISMATCH, "%s: its %d virtual tokens and --tokens %lld exceed the model's %lld positions",
                    a->dir, adapter_positions(a), (long long)lab->most, (long long)lab->room);
    return OK;
}

Status encoder_open(Model **m, Hooks **hooks, const char **remark, const Probing *lab, Run *r, Arena *run, Kind kind,
                    uint64_t seed)
{
    *hooks = hooks_new(run);
    *remark = NULL;
    if (!lab->model || kind == RANDOM) return model_open(m, run, &lab->config, F32, seed);
    const char *adapter = run_text(r, "adapter");
    LoadOptions how = {.no_lm_head = true, .seed = seed};
    if (!*adapter) return model_load_as(m, run, lab->model, &how);
    Adapter *a;
    TRY(adapter_open(&a, run, adapter));
    how.classes = adapter_classes(a);
    Status s = model_load_as(m, run, lab->model, &how);
    if (!s) s = attach(a, *m, *hooks, remark, lab, run);
    adapter_close(a);
    return s;
}

Status encoder_pretrain(Model *m, const Probing *lab, Run *r, Arena *run, uint64_t seed, Outcome *out)
{
    TrainConfig c = train_defaults();
    c.lr = run_real(r, "lr"), c.total = run_int(r, "steps"), c.warmup = c.total / 10, c.schedule = SCHEDULE_LINEAR;
    c.decay = 0.01, c.seed = seed;
    params_train(m->params, "*", true);
    Trainer *tr;
    Batcher *feed;
    TRY(trainer_open(&tr, run, m, NULL, &c));
    TRY(batcher_open(
        &feed, run, &lab->training,
        &(BatchPlan){.tokens = run_int(r, "batch-tokens"), .shuffle = true, .seed = seed, .pad = m->config.pad}));
    BpeSpecials special = bpe_specials(lab->tokenizer.bpe);
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
    /* with its tokenizer, so that the directory is a checkpoint that other commands can read text with */
    const char *dir = run_path(r, "encoder-seed%llu", (unsigned long long)seed);
    TRY(model_save(m, dir));
    return bpe_save(lab->tokenizer.bpe, dir);
}

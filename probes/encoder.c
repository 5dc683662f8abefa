/* The encoders: a checkpoint with its adapter, one of the same shape randomly initialised, or one pretrained here. */
#include <stdio.h>
#include <string.h>

#include "adapter/adapter.h"
#include "base/rng.h"
#include "base/str.h"
#include "num/bf16.h"
#include "probes/probing.h"
#include "run/parallel.h"
#include "train/pretrain.h"

static Status attach(Adapter *a, Model *m, Hooks *hooks, const char **remark, const Probing *lab, Arena *run)
{
    TRY(adapter_attach(a, m, hooks));
    Buf b = buf_open(run);
    for (int i = 0; i < a->n_remarks; i++) buf_print(&b, "%s%s", i ? "; " : "", a->remark[i]);
    if (a->n_remarks) *remark = b.text;
    if (lab->room && lab->most + adapter_positions(a) > lab->room)
        return err_fail(E_MISMATCH, "%s: its %d virtual tokens and --tokens %lld exceed the model's %lld positions",
                        a->dir, adapter_positions(a), (long long)lab->most, (long long)lab->room);
    return OK;
}

LoadOptions probing_load(const Run *r)
{
    return (LoadOptions){.no_lm_head = true,
                         .widen = !strcmp(run_text(r, "dtype"), "float32"),
                         .bf16 = !strcmp(run_text(r, "dtype"), "bf16"),
                         .vocab_from_file = run_flag(r, "vocab-from-file")};
}

Status encoder_open(Model **m, Hooks **hooks, const char **remark, const Probing *lab, Run *r, Arena *run, Kind kind,
                    uint64_t seed)
{
    *hooks = hooks_new(run);
    *remark = NULL;
    LoadOptions how = probing_load(r);
    how.seed = seed;
    bf16_use(how.bf16);
    if (!lab->model || kind == RANDOM) {
        TRY(model_open(m, run, &lab->config, F32, seed));
        if (how.bf16 && kind == RANDOM) params_round((*m)->params);
        return OK;
    }
    const char *adapter = run_text(r, "adapter");
    if (!*adapter) return model_load_as(m, run, lab->model, &how);
    Adapter *a;
    TRY(adapter_open(&a, run, adapter));
    how.classes = adapter_classes(a);
    Status s = model_load_as(m, run, lab->model, &how);
    if (!s) s = attach(a, *m, *hooks, remark, lab, run);
    adapter_close(a);
    return s;
}

typedef struct {
    Run *r;
    Outcome *out;
    double sum; /* of the losses since the last point */
} Course;

static bool told_step(const Trainer *tr, const StepStats *stats, void *user)
{
    Course *c = user;
    Outcome *out = c->out;
    int64_t step = tr->step, total = tr->config.total, every = (total + POINTS - 1) / POINTS, last = step % every;
    run_progress(c->r, "masked-language modelling", step, total, stats->loss);
    c->sum += stats->loss;
    if (!last || step == total) {
        out->step[out->points] = (double)step;
        out->loss[out->points++] = c->sum / (double)(last ? last : every);
        c->sum = 0;
    }
    return !run_stopped();
}

/* Pretrains the encoder by masked language modelling on the training texts, and saves it. */
Status encoder_pretrain(Model *m, const Probing *lab, Run *r, uint64_t seed, Outcome *out)
{
    const Bpe *bpe = lab->tokenizer.bpe;
    const MlmPlan mlm = mlm_plan(bpe);
    const char *dir = run_path(r, "encoder-seed%llu", (unsigned long long)seed);
    PretrainPlan plan = {.train = pretrain_defaults(run_real(r, "lr"), run_int(r, "steps"), seed),
                         .tokens = run_int(r, "batch-tokens"),
                         .mlm = &mlm,
                         .stream = rng_stream(seed, "mask"),
                         .each = told_step,
                         .user = &(Course){.r = r, .out = out}};
    plan.train.warmup = plan.train.total / 10;
    TRY(pretrain_run(m, dir, &lab->training, &plan));
    if (bf16_used()) params_round(m->params);
    TRY(bpe_save(bpe, dir)); /* so that other commands can read text with it */
    return run_leaves(r, dir);
}

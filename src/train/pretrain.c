/* Pretraining is fit_run() with a corruption of each batch; its checkpoint is removed when the model is saved. */
#include "train/pretrain.h"

#include "base/file.h"
#include "train/fit.h"

enum { SAVE_EVERY = 100 };

typedef struct {
    const PretrainPlan *plan;
    Trainer *trainer;
} Work;

TrainConfig pretrain_defaults(double lr, int64_t steps, uint64_t seed)
{
    TrainConfig c = train_defaults();
    c.lr = lr, c.total = steps, c.warmup = steps / 20, c.schedule = SCHEDULE_LINEAR;
    c.decay = 0.01, c.seed = seed;
    return c;
}

static Batch corrupt(Arena *step, const Batch *clean, int64_t index, void *user)
{
    const Work *w = user;
    const PretrainPlan *p = w->plan;
    return p->mlm ? mlm_corrupt(step, clean, p->mlm, p->stream, (uint64_t)index)
                  : denoise_corrupt(step, w->trainer->model, clean, p->denoise, p->stream, (uint64_t)index);
}

static Status save(void *user)
{
    const Work *w = user;
    bool last = w->trainer->step == w->trainer->config.total; /* the model itself is saved next */
    if (!w->plan->checkpoint || last) return OK;
    if (w->plan->saving) w->plan->saving(w->plan->user);
    return trainer_save(w->trainer, w->plan->checkpoint);
}

static bool each(const Trainer *tr, const StepStats *stats, void *user)
{
    const PretrainPlan *p = ((const Work *)user)->plan;
    return !p->each || p->each(tr, stats, p->user);
}

/* The checkpoint of an earlier attempt, if it is as it was written. */
static Status take_up(Trainer *t, const PretrainPlan *p)
{
    bool damaged;
    if (!p->checkpoint) return OK;
    if (!p->resume) file_remove(p->checkpoint); /* another run's */
    TRY(trainer_resume(t, p->checkpoint, &damaged));
    if (damaged && p->damaged) p->damaged(p->checkpoint, p->user);
    return OK;
}

Status pretrain_run(Model *m, const char *dir, const Examples *texts, const PretrainPlan *p)
{
    Work w = {.plan = p};
    Batcher *feed;
    FitStand stand = fit_begin();
    const BatchPlan batches = {.tokens = p->tokens, .shuffle = true, .seed = p->train.seed, .pad = m->config.pad};
    const FitPlan fit = {.every = SAVE_EVERY, .save = save, .each = each, .batch = corrupt, .user = &w};
    params_train(m->params, "*", true);
    TRY(trainer_open(&w.trainer, m->run, m, NULL, &p->train));
    TRY(batcher_open(&feed, m->run, texts, &batches));
    TRY(take_up(w.trainer, p));
    batcher_seek(feed, w.trainer->step);
    TRY(fit_run(w.trainer, feed, &fit, &stand));
    return model_save(m, dir);
}

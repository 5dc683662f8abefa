/* The one pipeline of all tasks: attach, plan batches, train with evaluations, keep the best. */
#include "tasks/tuning.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/str.h"

enum { EVALUATION_TOKENS = 8192 };

void tuning_remark(const TuneWatch *w, Arena *a, const char *fmt, ...)
{
    va_list args;
    if (!w->remark) return;
    ArenaMark mark = arena_mark(a);
    va_start(args, fmt);
    w->remark(str_vprint(a, fmt, args, NULL), w->user);
    va_end(args);
    arena_drop(a, mark);
}

/* ---- attaching */

static bool encoder_alone(const Model *m)
{
    return m->encoder && m->arch->encode;
}

static Status attach(Tuning *t)
{
    TRY(peft_attach(t->peft, t->model, t->hooks, &t->cfg));
    t->parameters = params_count(t->model->params, NULL, false);
    t->trainable = params_count(t->model->params, NULL, true);
    return OK;
}

static void freeze(Tuning *t, const char *glob)
{
    for (int i = 0; i < params_n(t->model->params); i++) {
        Param *p = params_at(t->model->params, i);
        if (str_glob(glob, p->name)) p->trainable = false;
    }
    t->trainable = params_count(t->model->params, NULL, true);
}

static void leave_decoder_out(Tuning *t)
{
    t->cfg.on[PART_DECODER] = t->cfg.on[PART_CROSS] = false;
}

Status tuning_fit(Tuning *t, bool defects, int64_t budget)
{
    if (defects && encoder_alone(t->model)) leave_decoder_out(t);
    return peft_fit(t->peft, t->model, &t->cfg, budget);
}

Status tuning_attach_defects(Tuning *t, JitHead head)
{
    bool alone = encoder_alone(t->model);
    jit_model_open(&t->jit, t->model, head);
    jit_model_set(&t->jit, t->recipe, t->as_published);
    if (alone) leave_decoder_out(t);
    TRY(attach(t));
    /* Full fine-tuning and trained biases are not bound to a stack, so stacks that never run are frozen afterwards. */
    if (alone) freeze(t, "decoder.*|lm_head*");
    if (t->jit.published) freeze(t, "peft.jit.*");
    return OK;
}

Status tuning_attach_messages(Tuning *t)
{
    return attach(t);
}

/* ---- judging */

static Status judge_defects(double *score, double *tie, TuneMeasured *m, Arena *step, Tuning *t)
{
    TRY(jit_predict(t->score, &t->jit_valid, t->hooks, step, NULL, NULL));
    JitScores x = jit_scores(t->valid, t->score, 0.5);
    bool by_f1 = t->choice == JIT_BY_F1;
    *score = by_f1 ? x.at.f1 : x.at.auc, *tie = by_f1 ? x.at.auc : x.at.f1;
    t->at = jit_best_threshold(t->valid, t->score);
    m->text = str_print(step, "validation F1 %.4f, AUC %.4f", x.at.f1, x.at.auc);
    m->name[0] = "f1", m->value[0] = x.at.f1;
    m->name[1] = "auc", m->value[1] = x.at.auc;
    m->n = 2;
    return OK;
}

static void judge_loss(double *score, double *tie, TuneMeasured *m, Arena *step, const Evaluation *e)
{
    *score = isfinite(e->loss) ? -e->loss : -HUGE_VAL;
    *tie = e->accuracy;
    m->text = str_print(step, "validation perplexity %.4g, %.1f %% of the tokens", e->perplexity, 100 * e->accuracy);
    m->name[0] = "loss", m->value[0] = e->loss;
    m->name[1] = "perplexity", m->value[1] = e->perplexity;
    m->name[2] = "accuracy", m->value[2] = e->accuracy;
    m->n = 3;
}

static Status judge_messages(double *score, double *tie, TuneMeasured *m, Arena *step, Tuning *t)
{
    Evaluation e;
    TRY(cmg_evaluate(t->model, t->hooks, t->valid_messages, step, &e));
    judge_loss(score, tie, m, step, &e);
    return OK;
}

static Status judge_texts(double *score, double *tie, TuneMeasured *m, Arena *step, Tuning *t)
{
    Evaluation e;
    TRY(lm_evaluate(&e, t->model, t->hooks, &t->valid_texts, step));
    judge_loss(score, tie, m, step, &e);
    return OK;
}

Status tuning_show_defects(Tuning *t, const JitShown *train, const JitShown *valid, JitChoice choice)
{
    jit_model_show(&t->jit, t->run, train->set, train->tokens, train->scale);
    t->jit_valid = t->jit;
    jit_model_show(&t->jit_valid, t->run, valid->set, valid->tokens, valid->scale);
    t->valid = valid->set, t->choice = choice;
    t->score = NEW(t->run, double, valid->set->n);
    t->at = t->best_at = 0.5;
    t->train = *train->tokens;
    t->loss = jit_loss, t->loss_user = &t->jit;
    if (t->jit.weight > 0) t->weigh = jit_weigh;
    t->judge = judge_defects;
    return OK;
}

Status tuning_messages_feed(Batcher **out, Arena *a, const Model *m, const Examples *valid)
{
    return batcher_open(out, a, valid, &(BatchPlan){.tokens = EVALUATION_TOKENS, .pad = m->config.pad});
}

Status tuning_show_messages(Tuning *t, const Examples *train, const Examples *valid)
{
    t->train = *train;
    t->loss = cmg_loss;
    t->judge = judge_messages;
    return tuning_messages_feed(&t->valid_messages, t->run, t->model, valid);
}

Status tuning_show_texts(Tuning *t, const Examples *train, const Examples *valid)
{
    t->train = *train, t->valid_texts = *valid;
    t->loss = NULL; /* model_loss, whose targets weigh the parts of a step */
    t->judge = judge_texts;
    return OK;
}

/* ---- training */

int64_t tuning_epoch(const Tuning *t)
{
    return (t->train.n + t->rows - 1) / t->rows;
}

Status tuning_open(Tuning *t)
{
    const BatchPlan plan = {.rows = t->rows, .shuffle = true, .seed = t->seed, .pad = t->model->config.pad};
    TrainConfig c = train_defaults();
    if (t->total > INT32_MAX) return err_fail(E_CONFIG, "%lld steps are too many", (long long)t->total);
    c.total = t->total, c.lr = t->lr, c.parts = t->parts, c.checkpoint = t->checkpoint;
    c.schedule = SCHEDULE_LINEAR, c.seed = t->seed;
    c.loss = t->loss, c.weigh = t->weigh, c.user = t->loss_user, c.shards = t->shards;
    t->stand = fit_begin();
    TRY(batcher_open(&t->feed, t->run, &t->train, &plan));
    return trainer_open(&t->trainer, t->run, t->model, t->hooks, &c);
}

typedef struct {
    Tuning *t;
    TuneMeasured measured; /* of the last evaluation; its text is `text` */
    char text[96];
} Work;

static void set_idle(const TuneWatch *w, bool idle)
{
    if (w->idle) w->idle(idle, w->user);
}

static bool is_stopped(const TuneWatch *w)
{
    return w->stopped && w->stopped(w->user);
}

bool tuning_goes_on(int64_t done, void *watch)
{
    (void)done;
    return !is_stopped(watch);
}

static Status evaluate_now(double *score, double *tie, Arena *step, void *user)
{
    Work *w = user;
    Tuning *t = w->t;
    w->measured = (TuneMeasured){.total = t->total};
    set_idle(&t->watch, true); /* an evaluation takes longer than a step, and leaves nothing to save */
    Status status = is_stopped(&t->watch) ? err_fail(E_INTERRUPT, "interrupted at an evaluation")
                                          : t->judge(score, tie, &w->measured, step, t);
    set_idle(&t->watch, false);
    if (!status) snprintf(w->text, sizeof w->text, "%s", w->measured.text);
    w->measured.text = w->text;
    return status;
}

static Status better(void *user)
{
    Tuning *t = ((Work *)user)->t;
    t->best_at = t->at;
    return t->sink->keep(t, t->sink->user);
}

static Status told(const FitStand *s, bool best, void *user)
{
    Work *w = user;
    const TuneWatch *watch = &w->t->watch;
    w->measured.step = s->step, w->measured.best = best;
    if (watch->measured) watch->measured(&w->measured, watch->user);
    return OK;
}

static Status save(void *user)
{
    Tuning *t = ((Work *)user)->t;
    if (t->watch.saving) t->watch.saving(t->watch.user);
    return t->sink->save(t, t->sink->user);
}

static bool each(const Trainer *tr, const StepStats *stats, void *user)
{
    const TuneWatch *w = &((Work *)user)->t->watch;
    const TuneStep step = {"tuning", tr->step, tr->config.total, stats->loss, stats->lr};
    if (w->step) w->step(&step, w->user);
    return !is_stopped(w);
}

/* ---- frozen layers */

/* Where the method acts in some layers alone, those below run once for each text. */
static Status open_trunk(Trunk **out, Tuning *t)
{
    TrunkPlan plan = t->trunk;
    *out = NULL;
    if (!t->cfg.layers) return OK;
    plan.say = t->watch.remark, plan.user = t->watch.user;
    TRY(trunk_open(out, t->run, t->model, t->hooks, &plan));
    t->trunk_layers = trunk_layers(*out);
    if (t->trunk_layers)
        tuning_remark(&t->watch, t->run, "the first %s frozen and %s without dropout; trunk cache: %s",
                      t->trunk_layers == 1 ? "layer is" : str_print(t->run, "%d layers are", t->trunk_layers),
                      t->trunk_layers == 1 ? "runs" : "run", TRUNK_KEEP[plan.keep]);
    return OK;
}

static void end_trunk(Trunk *trunk, const Tuning *t)
{
    if (!trunk) return;
    TrunkCount n = trunk_count(trunk);
    trunk_close(trunk);
    if (t->trunk_layers)
        tuning_remark(&t->watch, t->run, "the frozen layers ran for %lld texts; %lld were in the trunk cache",
                      (long long)n.computed, (long long)n.found);
}

/* Continues the training with early stopping; the sink keeps the best weights and saves the state. */
Status tuning_run(Tuning *t, const TuneSink *sink)
{
    Trunk *trunk;
    Work w = {.t = t};
    const FitPlan plan = {.every = t->every > 1 ? t->every : 1,
                          .patience = t->patience,
                          .evaluate = evaluate_now,
                          .better = better,
                          .told = told,
                          .save = sink->save ? save : NULL,
                          .each = each,
                          .user = &w};
    t->sink = sink;
    TRY(open_trunk(&trunk, t));
    batcher_seek(t->feed, t->trainer->step);
    if (t->watch.begun) t->watch.begun("tuning", t->trainer->step, t->watch.user);
    set_idle(&t->watch, false);
    Status status = fit_run(t->trainer, t->feed, &plan, &t->stand);
    set_idle(&t->watch, true);
    end_trunk(trunk, t);
    return status;
}

Status tuning_remember(Tuning *t, void *kept)
{
    (void)t;
    kept_take(kept);
    return OK;
}

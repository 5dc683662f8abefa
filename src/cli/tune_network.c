/* A transformer tuned on commits: several evaluations an epoch, the best by the task's measure is what stays in the
 * directory, and a run stops when that has not improved for a while.
 *
 * train.json tells where the run stands and names the checkpoint that belongs to it; replacing it is what makes an
 * evaluation count.  It goes when the card has come. */
#include <dirent.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "base/print.h"
#include "base/str.h"
#include "cli/tune.h"
#include "run/signals.h"
#include "train/fit.h"

typedef struct {
    Tuning *t;
    PeftConfig cfg;
    const Library *library;
    Trainer *trainer;
    Batcher *feed;
    FitStand stand;
    int64_t saved;        /* step of the checkpoint on disk; -1: none */
    const char *settings; /* what a resumed run must share */
} Work;

/* ---- what is kept */

static Status keep_model(Work *w)
{
    Tuning *t = w->t;
    if (t->p.task->keep) TRY(t->p.task->keep(t));
    if (predictor_whole(t->p.peft)) return model_save(t->p.net, str_print(t->run, "%s/model", t->p.dir));
    Arena scratch = arena_open(0); /* an evaluation leaves nothing behind */
    Adapter *a = adapter_of(t->p.net, t->p.peft, &w->cfg, t->p.task->name);
    a->run = &scratch;
    a->library = w->library;
    a->base = t->p.model;
    Status s = adapter_save(a, t->p.dir);
    arena_close(&scratch);
    return s;
}

/* The form of the files, before any time is spent on training: the one that an earlier run chose, else that of the
 * first library that has a place for the method, else our own. */
static Status choose_library(Work *w)
{
    Tuning *t = w->t;
    if (predictor_whole(t->p.peft)) return OK;
    if (w->stand.step) {
        Adapter *a;
        TRY(adapter_open(&a, t->run, t->p.dir));
        w->library = a->library;
        adapter_close(a);
        return OK;
    }
    Status s = OK;
    for (int i = 0; (w->library = library_choice(i)); i++) {
        err_clear();
        s = keep_model(w);
        if (s != E_MISMATCH) return s;
    }
    return s;
}

static const char *stand_path(const Work *w)
{
    return str_print(w->t->run, "%s/train.json", w->t->p.dir);
}

static const char *checkpoint_path(const Work *w, int64_t step)
{
    return str_print(w->t->run, "%s/train-%lld.safetensors", w->t->p.dir, (long long)step);
}

static Status save_stand(void *user)
{
    Work *w = user;
    const FitStand *s = &w->stand;
    TRY(trainer_save(w->trainer, checkpoint_path(w, w->trainer->step)));
    Buf b = buf_open(w->t->run);
    buf_print(&b, "{\"step\": %lld, \"evaluations\": %d, \"since\": %d, \"best_step\": %lld, ",
              (long long)w->trainer->step, s->evaluations, s->since, (long long)s->best_step);
    if (isfinite(s->score)) buf_print(&b, "\"score\": %.17g, ", s->score);
    if (isfinite(s->tie)) buf_print(&b, "\"tie\": %.17g, ", s->tie);
    buf_print(&b, "\"best_at\": %.17g, \"settings\": ", w->t->best_at);
    json_quote(&b, w->settings);
    buf_print(&b, "}\n");
    TRY(file_write(stand_path(w), b.text, b.len));
    if (w->saved >= 0 && w->saved != w->trainer->step) unlink(checkpoint_path(w, w->saved));
    w->saved = w->trainer->step;
    return OK;
}

static Status read_stand(FitStand *s, double *best_at, const cJSON *root, const Work *w, const char *path)
{
    const char *settings = "";
    int step = 0, best = 0;
    TRY(json_text(&settings, root, "settings", path));
    if (strcmp(settings, w->settings) != 0)
        return fail(E_MISMATCH, "%s: is of a run with other settings (%s)", path, settings);
    TRY(json_int(&step, root, "step", 0, INT32_MAX, path));
    TRY(json_int(&best, root, "best_step", 0, INT32_MAX, path));
    TRY(json_int(&s->evaluations, root, "evaluations", 0, INT32_MAX, path));
    TRY(json_int(&s->since, root, "since", 0, INT32_MAX, path));
    TRY(json_real(&s->score, root, "score", -1e300, 1e300, path));
    TRY(json_real(&s->tie, root, "tie", -1e300, 1e300, path));
    TRY(json_real(best_at, root, "best_at", 0, 1, path));
    s->step = step, s->best_step = best;
    return OK;
}

static Status load_stand(Work *w)
{
    const char *path = stand_path(w);
    cJSON *root;
    FitStand s = fit_begin();
    if (access(path, R_OK)) return OK; /* killed before its first evaluation */
    TRY(json_read(&root, w->t->run, path));
    Status status = read_stand(&s, &w->t->best_at, root, w, path);
    cJSON_Delete(root);
    TRY(status);
    TRY(trainer_load(w->trainer, checkpoint_path(w, s.step)));
    if (w->trainer->step != s.step)
        return fail(E_MISMATCH, "%s: its checkpoint is of step %lld, expected %lld", path,
                    (long long)w->trainer->step, (long long)s.step);
    w->stand = s;
    w->saved = s.step;
    return OK;
}

/* ---- training */

static Status evaluate_now(double *score, double *tie, Arena *step, void *user)
{
    Work *w = user;
    signals_wait(-1); /* an evaluation takes longer than a step, and leaves nothing to save */
    Status status = signals_seen() ? fail(E_INTERRUPT, "interrupted at an evaluation")
                                   : w->t->p.task->evaluate(score, tie, step, w->t);
    signals_wait(1);
    return status;
}

static Status better(void *user)
{
    return keep_model(user);
}

static Status told(const FitStand *s, bool better, void *user)
{
    Work *w = user;
    progress_clear();
    if (!args_quiet(w->t->args))
        print_err("step %lld of %lld: %s%s\n", (long long)s->step, (long long)w->trainer->config.total,
                  w->t->measured, better ? ", the best so far" : "");
    return OK;
}

static bool each(const Trainer *tr, const StepStats *stats, void *user)
{
    const Work *w = user;
    progress_show(&w->t->progress, &(Stage){"tuning", tr->step, tr->config.total, stats->loss}, -1);
    return !signals_seen();
}

static Status train(Work *w)
{
    Tuning *t = w->t;
    int64_t every = batcher_in_epoch(w->feed) / t->evaluations;
    const FitPlan plan = {.every = every > 1 ? every : 1,
                          .patience = t->patience,
                          .evaluate = evaluate_now,
                          .better = better,
                          .told = told,
                          .save = save_stand,
                          .each = each,
                          .user = w};
    signals_wait(1); /* where it stands is saved first */
    Status status = fit_run(w->trainer, w->feed, &plan, &w->stand);
    signals_wait(-1);
    progress_clear();
    return status;
}

/* ---- preparation */

static Status attach(Work *w)
{
    Tuning *t = w->t;
    Predictor *p = &t->p;
    TRY(tokenizer_open(&p->text, t->run, predictor_path(p, t->run, p->tokenizer)));
    LoadOptions how = p->task->load(p);
    how.seed = (uint64_t)t->seed;
    TRY(model_load_as(&p->net, t->run, predictor_path(p, t->run, p->model), &how));
    p->hooks = hooks_new(t->run);
    p->peft->defaults(&w->cfg, &p->net->config);
    TRY(peft_set(&w->cfg, t->run, p->options));
    TRY(p->task->open_head(p));
    TRY(p->task->plan(t, peft_virtual_tokens(p->peft, &w->cfg)));
    return peft_attach(p->peft, p->net, p->hooks, &w->cfg);
}

static Status prepare(Work *w)
{
    Tuning *t = w->t;
    Predictor *p = &t->p;
    TrainConfig c = train_defaults();
    TRY(p->task->prepare(t));
    const BatchPlan plan = {.rows = t->batch, .shuffle = true, .seed = (uint64_t)t->seed, .pad = p->net->config.pad};
    TRY(batcher_open(&w->feed, t->run, &t->tokens, &plan));
    c.total = batcher_in_epoch(w->feed) * t->epochs;
    if (c.total > INT32_MAX) return fail(E_CONFIG, "%lld steps are too many", (long long)c.total);
    c.lr = t->lr >= 0 ? t->lr : p->task->rate(t);
    c.schedule = SCHEDULE_LINEAR, c.seed = (uint64_t)t->seed;
    c.loss = t->loss, c.user = t->loss_user;
    TRY(trainer_open(&w->trainer, t->run, p->net, p->hooks, &c));
    w->settings =
        str_print(t->run, "%s %s %s %s; %lld and %lld commits; lr %g, %lld steps of %lld, seed %lld, %s",
                  p->task->name, p->method, p->options, p->model, (long long)t->train.n, (long long)t->valid.n, c.lr,
                  (long long)c.total, (long long)t->batch, (long long)t->seed, t->shape);
    return OK;
}

static void say_what(const Work *w)
{
    const Tuning *t = w->t;
    int64_t all = params_count(t->p.net->params, NULL, false), some = params_count(t->p.net->params, NULL, true);
    print_err("%lld commits to train on, %lld to select by; %lld of %lld numbers train\n", (long long)t->train.n,
              (long long)t->valid.n, (long long)some, (long long)all);
    if (w->stand.step) print_err("resuming after step %lld\n", (long long)w->stand.step);
}

/* Checkpoints but that of one step; of runs that were killed between two files there may be several. */
static void remove_checkpoints(const Tuning *t, int64_t but)
{
    DIR *dir = opendir(t->p.dir);
    for (struct dirent *e; dir && (e = readdir(dir));) {
        int64_t step;
        size_t n = strcspn(e->d_name + (strlen(e->d_name) < 6 ? 0 : 6), ".");
        bool one = str_glob("train-*.safetensors*", e->d_name);
        bool stays = one && str_int(str_copy(t->run, e->d_name + 6, n), &step) && step == but;
        if (one && !stays) unlinkat(dirfd(dir), e->d_name, 0);
    }
    if (dir) closedir(dir);
}

void tune_tidy(Tuning *t)
{
    file_remove(str_print(t->run, "%s/train.json", t->p.dir));
    file_remove(predictor_draft(t->run, t->p.dir));
    remove_checkpoints(t, -1);
}

Status tune_network(Tuning *t)
{
    Work w = {.t = t, .stand = fit_begin(), .saved = -1};
    t->best_at = 0.5;
    TRY(attach(&w));
    TRY(prepare(&w));
    if (t->resume) TRY(load_stand(&w));
    remove_checkpoints(t, w.saved);
    TRY(choose_library(&w));
    batcher_seek(w.feed, w.trainer->step);
    if (!args_quiet(t->args)) say_what(&w);
    TRY(train(&w));
    if (args_given(t->args, "best-threshold")) t->p.threshold = t->best_at;
    TRY(predictor_save(&t->p, NULL, t->run));
    return OK;
}

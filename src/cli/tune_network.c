/* A transformer tuned on commits: several evaluations an epoch, the best by the task's measure is what stays in the
 * directory, and a run stops when that has not improved for a while.
 *
 * train.json tells where the run stands and names the checkpoint that belongs to it; replacing it is what makes an
 * evaluation count.  best.sha256 lists the files of the best evaluation.  Between the two a killed run has files that
 * are ahead of its checkpoint; the next one writes them again when it comes to their step. */
#include <dirent.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "base/print.h"
#include "base/seal.h"
#include "base/str.h"
#include "cli/tune.h"
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

/* ---- the best parameters */

static Status keep_model(Work *w, Arena *scratch)
{
    Tuning *t = w->t;
    if (t->p.task->keep) TRY(t->p.task->keep(t));
    if (predictor_whole(t->p.peft)) return model_save(t->p.net, str_print(scratch, "%s/model", t->p.dir));
    Adapter *a = adapter_of(t->p.net, t->p.peft, &w->cfg, t->p.task->name);
    a->run = scratch;
    a->library = w->library;
    a->base = t->p.model;
    return adapter_save(a, t->p.dir);
}

static const char *best_path(const Tuning *t, Arena *a)
{
    return str_print(a, "%s/best.sha256", t->p.dir);
}

/* Of the files of DIR/unfinished those that keep_model() writes. */
static bool is_kept(const char *name)
{
    return !str_glob("manifest.json|jit.json|cmg.json|encoder/*|writer/*|" TUNE_SCRATCH, name);
}

/* The list tells of which step the files are, and before they are written, of which they will be. */
static Status keep_best(Work *w)
{
    const Tuning *t = w->t;
    Arena scratch = arena_open(0); /* an evaluation leaves nothing behind */
    const char *list = best_path(t, &scratch), *at = str_print(&scratch, "step %lld", (long long)w->trainer->step);
    Status s = seal_write(list, str_print(&scratch, "%s begun\n", at), &scratch);
    if (!s) s = keep_model(w, &scratch);
    if (!s) s = seal_files(list, str_print(&scratch, "%s complete", at), t->p.dir, is_kept, &scratch);
    arena_close(&scratch);
    return s;
}

/* Whether the files of the best evaluation are as they were written, or belong to a step that is still to come. */
static bool has_best(const Tuning *t, const FitStand *s)
{
    const char *text;
    long long step;
    char state[16];
    if (!seal_read(&text, best_path(t, t->run), t->run)) return false;
    if (sscanf(text, "step %lld %15s", &step, state) != 2) return false;
    if (step > s->step) return true;
    return step == s->best_step && !strcmp(state, "complete") && seal_holds(text, t->p.dir, t->run);
}

/* Whether an evaluation has been kept, of which nothing else may tell. */
static bool had_best(const Tuning *t)
{
    return has_best(t, &(FitStand){.step = 0, .best_step = -1});
}

/* The library that has a place for the method, before any time is spent on training: the one that an earlier run
 * chose, else the first that can. */
static Status choose_library(Work *w)
{
    if (w->stand.step) return OK;
    if (predictor_whole(w->t->p.peft)) return seal_write(best_path(w->t, w->t->run), "step 0 complete\n", w->t->run);
    w->library = library_find("hf");
    if (!keep_best(w)) return OK;
    err_clear();
    w->library = library_find("adapters");
    return keep_best(w);
}

/* ---- where the training stands */

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
    if (w->library) buf_print(&b, "\"library\": \"%s\", ", library_name(w->library));
    buf_print(&b, "\"best_at\": %.17g, \"settings\": ", w->t->best_at);
    json_quote(&b, w->settings);
    buf_print(&b, "}\n");
    TRY(seal_write(stand_path(w), b.text, w->t->run));
    if (w->saved >= 0 && w->saved != w->trainer->step) unlink(checkpoint_path(w, w->saved));
    w->saved = w->trainer->step;
    return OK;
}

static Status read_stand(Work *w, const cJSON *root, const char *path)
{
    const char *settings = "", *library = "";
    int step = 0, best = 0;
    FitStand *s = &w->stand;
    TRY(json_text(&settings, root, "settings", path));
    if (strcmp(settings, w->settings) != 0)
        return fail(E_MISMATCH, "%s: is of a run with other settings (%s)", path, settings);
    TRY(json_int(&step, root, "step", 0, INT32_MAX, path));
    TRY(json_int(&best, root, "best_step", 0, INT32_MAX, path));
    TRY(json_int(&s->evaluations, root, "evaluations", 0, INT32_MAX, path));
    TRY(json_int(&s->since, root, "since", 0, INT32_MAX, path));
    TRY(json_real(&s->score, root, "score", -1e300, 1e300, path));
    TRY(json_real(&s->tie, root, "tie", -1e300, 1e300, path));
    TRY(json_real(&w->t->best_at, root, "best_at", 0, 1, path));
    TRY(json_text(&library, root, "library", path));
    w->library = library_find(library);
    s->step = step, s->best_step = best;
    return OK;
}

/* The checkpoint and the best files belong to train.json: of the three, all are taken or none. */
static Status take_up(Work *w, bool *whole)
{
    const char *text, *path = stand_path(w);
    cJSON *root;
    bool damaged;
    *whole = false;
    if (!seal_read(&text, path, w->t->run)) return OK;
    TRY(json_parse(&root, text, strlen(text), path));
    Status status = read_stand(w, root, path);
    cJSON_Delete(root);
    TRY(status);
    if (!has_best(w->t, &w->stand)) return OK;
    TRY(trainer_resume(w->trainer, checkpoint_path(w, w->stand.step), &damaged));
    *whole = !damaged && w->trainer->step == w->stand.step;
    if (*whole || !w->trainer->step) return OK;
    return fail(E_MISMATCH, "%s: its checkpoint is of step %lld, expected %lld", path, (long long)w->trainer->step,
                (long long)w->stand.step);
}

static Status load_stand(Work *w)
{
    bool whole, there = !access(stand_path(w), F_OK) || had_best(w->t);
    TRY(take_up(w, &whole));
    if (whole) {
        w->saved = w->stand.step;
        return OK;
    }
    if (there)
        tune_remark(w->t, "%s: what was kept of the training is missing or altered; it begins anew", w->t->p.dir);
    file_remove(stand_path(w));
    w->stand = fit_begin(), w->library = NULL, w->t->best_at = 0.5;
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
    return keep_best(user);
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
    progress_show(&w->t->line, &(Stage){"tuning", tr->step, tr->config.total, stats->loss}, -1);
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
    TRY(p->task->plan(t, str_glob("prefix|prompt", p->peft->name) ? w->cfg.length : 0));
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

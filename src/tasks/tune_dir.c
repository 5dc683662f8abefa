/* A transformer tuned on commits, in a directory: several evaluations an epoch, the best by the task's measure
 * stays, and a run stops when that has not improved for a while.
 *
 * train.json holds the state of the run and names the checkpoint that belongs to it; an evaluation counts once it is
 * replaced.  best.sha256 lists the files of the best evaluation.  Between the two a killed run has files that
 * are ahead of its checkpoint; the next one writes them again when it comes to their step. */
#include <dirent.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/ranks.h"
#include "base/seal.h"
#include "base/str.h"
#include "io/json.h"
#include "nn/config.h"
#include "tasks/predictor_own.h"
#include "tasks/tune.h"

typedef struct {
    TuneJob *j;
    const Library *library;
    int64_t saved;        /* step of the checkpoint on disk; -1: none */
    const char *settings; /* those that a resumed run must share */
} Work;

/* ---- the best parameters */

/* A model that is saved whole is to be decoded as its base declares. */
static Status copy_generation(const Predictor *p, Arena *a, const char *to)
{
    Bytes b;
    const char *config;
    TRY(config_path(&config, a, predictor_path(p, a, p->model)));
    const char *from = str_print(a, "%s/generation_config.json", file_folder(a, config));
    if (access(from, F_OK)) return OK;
    TRY(file_make_dir(to));
    TRY(file_read(&b, a, from));
    return file_write(str_print(a, "%s/generation_config.json", to), b.text, b.len);
}

static Status keep_model(Work *w, Arena *scratch)
{
    const Predictor *p = &w->j->p;
    Tuning *t = &w->j->t;
    if (t->jit.model) TRY(jit_head_save(&t->jit, str_print(scratch, "%s/head.safetensors", p->dir)));
    if (predictor_whole(p->peft)) {
        const char *model = str_print(scratch, "%s/model", p->dir);
        TRY(copy_generation(p, scratch, model));
        TRY(model_save(t->model, model));
        return p->task->own ? own_name_outputs(&p->own, model, scratch) : OK;
    }
    Adapter *a = adapter_of(t->model, p->peft, &t->cfg, p->task->name);
    a->run = scratch;
    a->library = w->library;
    a->base = p->model;
    a->exact = true; /* what is read back is what was judged */
    return adapter_save(a, p->dir);
}

/* Of the files of DIR/unfinished those that keep_model() writes. */
static bool is_kept(const char *name)
{
    return !predictor_is_card(name) &&
           !str_glob("manifest.json|metrics.jsonl|metrics.csv|trainer_state.json|tensorboard/*|validation.jsonl|"
                     "results.json|README.md|figures/*|encoder/*|writer/*|" TUNE_SCRATCH,
                     name);
}

/* The list tells of which step the files are, and before they are written, of which they will be. */
static Status keep_best(Work *w)
{
    const TuneJob *j = w->j;
    Arena scratch = arena_open(0); /* an evaluation leaves nothing behind */
    const char *list = tune_best_path(j, &scratch);
    const char *at = str_print(&scratch, "step %lld", (long long)j->t.trainer->step);
    Status s = seal_write(list, str_print(&scratch, "%s begun\n", at), &scratch);
    if (!s) s = keep_model(w, &scratch);
    if (!s) s = seal_files(list, str_print(&scratch, "%s complete", at), j->p.dir, is_kept, &scratch);
    arena_close(&scratch);
    return s;
}

/* Whether the files of the best evaluation are as they were written, or belong to a step that is still to come. */
static bool has_best(const TuneJob *j, const FitStand *s)
{
    const char *text;
    long long step;
    char state[16];
    if (!seal_read(&text, tune_best_path(j, j->run), j->run)) return false;
    if (sscanf(text, "step %lld %15s", &step, state) != 2) return false;
    if (step > s->step) return true;
    return step == s->best_step && !strcmp(state, "complete") && seal_holds(text, j->p.dir, j->run);
}

/* Whether an evaluation has been kept, of which nothing else may tell. */
static bool had_best(const TuneJob *j)
{
    return has_best(j, &(FitStand){.step = 0, .best_step = -1});
}

/* The form of the files, before any time is spent on training: the one that an earlier run chose, else that of the
 * first library that has a place for the method and computes the same with it, else our own. */
static Status choose_library(Work *w)
{
    const TuneJob *j = w->j;
    Status s = OK;
    if (j->t.stand.step) return OK;
    if (predictor_whole(j->p.peft)) return seal_write(tune_best_path(j, j->run), "step 0 complete\n", j->run);
    for (int i = 0; (w->library = library_choice(i)); i++) {
        err_clear();
        s = keep_best(w);
        if (s != E_MISMATCH) return s;
    }
    return s;
}

static const Library *library_named(const char *name)
{
    const Library *l;
    for (int i = 0; (l = library_choice(i)); i++)
        if (!strcmp(library_name(l), name)) return l;
    return NULL;
}

/* ---- where the training stands */

static const char *checkpoint_path(const Work *w, int64_t step)
{
    return str_print(w->j->run, "%s/train-%lld.safetensors", w->j->p.dir, (long long)step);
}

/* Saves a checkpoint and the state of early stopping with its checksum, then removes the previous one. */
static Status save_stand(Tuning *t, void *user)
{
    Work *w = user;
    Arena *a = w->j->run;
    const FitStand *s = &t->stand;
    int64_t step = t->trainer->step;
    TRY(trainer_save(t->trainer, checkpoint_path(w, step)));
    Buf b = buf_open(a);
    buf_print(&b, "{\"step\": %lld, \"evaluations\": %d, \"since\": %d, \"best_step\": %lld, ", (long long)step,
              s->evaluations, s->since, (long long)s->best_step);
    if (isfinite(s->score)) buf_print(&b, "\"score\": %.17g, ", s->score);
    if (isfinite(s->tie)) buf_print(&b, "\"tie\": %.17g, ", s->tie);
    if (w->library) buf_print(&b, "\"library\": \"%s\", ", library_name(w->library));
    buf_print(&b, "\"best_at\": %.17g, \"settings\": ", t->best_at);
    json_quote(&b, w->settings);
    buf_print(&b, "}\n");
    TRY(seal_write(tune_stand_path(w->j), b.text, a));
    if (w->saved >= 0 && w->saved != step && ranks_first()) unlink(checkpoint_path(w, w->saved));
    w->saved = step;
    return OK;
}

/* Reads the state of early stopping, and rejects that of a run with other settings. */
static Status read_stand(Work *w, const cJSON *root, const char *path)
{
    const char *settings = "", *library = "";
    int step = 0, best = 0;
    Tuning *t = &w->j->t;
    FitStand *s = &t->stand;
    TRY(json_text(&settings, root, "settings", path));
    if (strcmp(settings, w->settings) != 0)
        return err_fail(E_MISMATCH, "%s: is of a run with other settings (%s)", path, settings);
    TRY(json_int(&step, root, "step", 0, INT32_MAX, path));
    TRY(json_int(&best, root, "best_step", 0, INT32_MAX, path));
    TRY(json_int(&s->evaluations, root, "evaluations", 0, INT32_MAX, path));
    TRY(json_int(&s->since, root, "since", 0, INT32_MAX, path));
    TRY(json_real(&s->score, root, "score", -1e300, 1e300, path));
    TRY(json_real(&s->tie, root, "tie", -1e300, 1e300, path));
    TRY(json_real(&t->best_at, root, "best_at", 0, 1, path));
    TRY(json_text(&library, root, "library", path));
    w->library = library_named(library);
    s->step = step, s->best_step = best;
    return OK;
}

/* The checkpoint and the best files belong to train.json: of the three, all are taken or none. */
static Status take_up(Work *w, bool *whole)
{
    TuneJob *j = w->j;
    Trainer *tr = j->t.trainer;
    const FitStand *s = &j->t.stand;
    const char *text, *path = tune_stand_path(w->j);
    cJSON *root;
    bool damaged;
    *whole = false;
    if (!seal_read(&text, path, j->run)) return OK;
    TRY(json_parse(&root, text, strlen(text), path));
    Status status = read_stand(w, root, path);
    cJSON_Delete(root);
    TRY(status);
    if (!has_best(j, s)) return OK;
    TRY(trainer_resume(tr, checkpoint_path(w, s->step), &damaged));
    *whole = !damaged && tr->step == s->step;
    if (*whole || !tr->step) return OK;
    return err_fail(E_MISMATCH, "%s: its checkpoint is of step %lld, expected %lld", path, (long long)tr->step,
                    (long long)s->step);
}

/* Resumes from the saved state where it is complete; otherwise training starts again, with a remark. */
static Status load_stand(Work *w)
{
    TuneJob *j = w->j;
    bool whole, there = !access(tune_stand_path(w->j), F_OK) || had_best(j);
    TRY(take_up(w, &whole));
    if (whole) {
        w->saved = j->t.stand.step;
        return OK;
    }
    if (there)
        tuning_remark(&j->watch, j->run, "%s: the saved state of the training is missing or altered; it begins anew",
                      j->p.dir);
    file_remove(tune_stand_path(w->j));
    j->t.stand = fit_begin(), j->t.best_at = 0.5, w->library = NULL;
    return OK;
}

/* ---- preparation */

Status tune_number(int *out, const char *option, int64_t given, int otherwise, int least, int most)
{
    *out = given ? (int)given : otherwise;
    if (*out >= least && *out <= most) return OK;
    return err_fail(E_CONFIG, "--%s %d: expected %d to %d", option, *out, least, most);
}

static const char *absolute(Arena *a, const char *path)
{
    char *whole = realpath(path, NULL); /* a hub name stays as it is */
    const char *out = whole ? str_copy(a, whole, strlen(whole)) : path;
    free(whole);
    return out;
}

static Status choose_model(TuneJob *j)
{
    Predictor *p = &j->p;
    if (j->o.model)
        p->model = absolute(j->run, j->o.model);
    else
        TRY(j->o.task->begin(j));
    if (!p->model) p->model = p->task->base;
    p->tokenizer = j->o.tokenizer ? absolute(j->run, j->o.tokenizer) : p->model;
    return OK;
}

/* The largest size within the budget, which from here on is one of the options. */
static Status fit_size(TuneJob *j)
{
    Predictor *p = &j->p;
    TRY(tuning_fit(&j->t, j->o.task->encoder_alone, j->o.parameters));
    const char *size = peft_size(p->peft, &j->t.cfg, j->run);
    p->options = str_print(j->run, "%s%s%s", p->options, *p->options ? "," : "", size);
    tuning_remark(&j->watch, j->run, "%s of %s is the most within %lld parameters", size, p->peft->name,
                  (long long)j->o.parameters);
    return OK;
}

Status tune_load(TuneJob *j)
{
    Predictor *p = &j->p;
    Tuning *t = &j->t;
    TRY(choose_model(j));
    TRY(tokenizer_open(&p->text, j->run, predictor_path(p, j->run, p->tokenizer)));
    LoadOptions how = predictor_load(p, &j->o.load);
    how.seed = (uint64_t)j->o.seed;
    TRY(model_load_as(&p->net, j->run, predictor_path(p, j->run, p->model), &how));
    p->hooks = hooks_new(j->run);
    *t = (Tuning){.run = j->run, .model = p->net, .hooks = p->hooks, .peft = p->peft, .watch = j->watch};
    p->peft->defaults(&t->cfg, &p->net->config);
    if (p->task->own) t->cfg.shift_positions = t->cfg.read_prompt = true; /* as PEFT computes them */
    TRY(peft_set(&t->cfg, j->run, p->options));
    return j->o.parameters ? fit_size(j) : OK;
}

int tune_positions(const TuneJob *j)
{
    return peft_virtual_tokens(j->p.peft, &j->t.cfg);
}

Status tune_length(int *out, const TuneJob *j, int least, int most)
{
    int room = config_room(&j->p.net->config), taken = tune_positions(j), left = room ? room - taken : 1 << 16;
    if (left < least)
        return err_fail(E_CONFIG, "%d virtual tokens leave %d of the model's %d positions to a text", taken, left,
                        room);
    return tune_number(out, "max-length", j->o.length, left < most ? left : most, least, left);
}

/* ---- training */

static void remark_plan(const TuneJob *j)
{
    const Tuning *t = &j->t;
    tuning_remark(&j->watch, j->run, "%lld %s to train on, %lld to select by; %lld of %lld parameters train",
                  (long long)j->n_train, str_plural(j->n_train, j->o.task->one, j->o.task->many),
                  (long long)j->n_valid, (long long)t->trainable, (long long)t->parameters);
    if (t->stand.step) tuning_remark(&j->watch, j->run, "resuming after step %lld", (long long)t->stand.step);
}

/* Checkpoints but that of one step; of runs that were killed between two files there may be several. */
static void remove_checkpoints(const TuneJob *j, int64_t but)
{
    DIR *dir = ranks_first() ? opendir(j->p.dir) : NULL;
    for (struct dirent *e; dir && (e = readdir(dir));) {
        int64_t step;
        size_t n = strcspn(e->d_name + (strlen(e->d_name) < 6 ? 0 : 6), ".");
        bool one = str_glob("train-*.safetensors*", e->d_name);
        bool stays = one && str_int(str_copy(j->run, e->d_name + 6, n), &step) && step == but;
        if (one && !stays) unlinkat(dirfd(dir), e->d_name, 0);
    }
    if (dir) closedir(dir);
}

static const char *settings_of(const TuneJob *j)
{
    const Predictor *p = &j->p;
    const Tuning *t = &j->t;
    return str_print(j->run, "%s %s %s %s; %lld and %lld %s; lr %g, %lld steps of %lld%s%s, seed %lld, %s",
                     p->task->name, p->method, p->options, p->model, (long long)j->n_train, (long long)j->n_valid,
                     j->o.task->many, t->lr, (long long)t->total, (long long)t->rows,
                     t->parts > 1 ? str_print(j->run, " in %lld parts", (long long)t->parts) : "",
                     t->shards > 1 ? str_print(j->run, " in %lld shards", (long long)t->shards) : "",
                     (long long)j->o.seed, j->shape);
}

static Status keep_now(Tuning *t, void *user)
{
    (void)t;
    return keep_best(user);
}

/* The time of a step, and what ranks exchange in one. */
static void remark_shards(const TuneJob *j)
{
    const Trainer *tr = j->t.trainer;
    double steps = (double)tr->traffic.steps;
    if (!tr->traffic.steps) return;
    const char *shared =
        str_print(j->run, ", %.4g s in exchanges; %.0f messages and %.4g kB a step from each rank",
                  tr->traffic.exchanging / steps, tr->traffic.messages / steps, tr->traffic.bytes / steps / 1000);
    tuning_remark(&j->watch, j->run, "%lld shards on %d %s: %.4g s a step, %.4g s of processors%s",
                  (long long)j->t.shards, ranks_size(), str_plural(ranks_size(), "rank", "ranks"),
                  tr->traffic.seconds / steps, tr->traffic.processor / steps, ranks_size() > 1 ? shared : "");
}

/* Sets up the training from the options, resumes it if asked, runs it, and saves the predictor. */
Status tune_train(TuneJob *j, double lr)
{
    const TuneOptions *o = &j->o;
    Tuning *t = &j->t;
    t->rows = o->batch, t->parts = o->parts, t->shards = o->shards, t->seed = (uint64_t)o->seed;
    t->total = tuning_epoch(t) * o->epochs, t->every = tuning_epoch(t) / o->evaluations;
    t->trunk = (TrunkPlan){.keep = o->trunk, .scratch = j->p.dir, .shared = o->shared};
    t->patience = o->patience, t->lr = o->lr >= 0 ? o->lr : lr;
    TRY(tuning_open(t));
    Work w = {.j = j, .saved = -1, .settings = settings_of(j)};
    if (j->resume) TRY(load_stand(&w));
    TRY(ranks_agree(OK)); /* all have read what was left */
    remove_checkpoints(j, w.saved);
    TRY(choose_library(&w));
    remark_plan(j);
    TRY(tuning_run(t, &(TuneSink){.keep = keep_now, .save = save_stand, .user = &w}));
    remark_shards(j);
    if (o->best_threshold) j->p.threshold = t->best_at;
    return predictor_save(&j->p, NULL, j->run);
}

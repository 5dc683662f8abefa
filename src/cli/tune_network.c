/* A transformer tuned on commits: several evaluations an epoch, the best by validation F1 (of equals, by AUC) is what
 * stays in the directory, and a run stops when that has not improved for a while.
 *
 * train.json tells where the run stands and names the checkpoint that belongs to it; replacing it is what makes an
 * evaluation count.  It goes when jit.json comes. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"
#include "cli/jit.h"
#include "cli/run.h"

typedef struct {
    int step, evaluations, since; /* steps and evaluations done; evaluations without gain */
    double f1, auc;               /* the best so far; F1 < 0: none */
    double best_f1, best_at;      /* of the best, the largest F1 over thresholds, and where */
} Stand;

typedef struct {
    Tuning *t;
    PeftConfig cfg;
    const Library *library;
    Trainer *trainer;
    Batcher *feed;
    JitModel valid; /* the same head over the validation commits */
    double *score;
    Stand stand;
    int64_t total, every; /* steps in all, and from one evaluation to the next */
    const char *settings; /* what a resumed run must share */
    Arena step;
} Work;

static const char *base_path(const Tuning *t)
{
    return predictor_path(&t->p, t->run, t->p.model);
}

/* Learning rates of the study by method; for a small encoder, larger ones. */
static double rate_of(const Tuning *t)
{
    bool small = !strcmp(t->p.model, "./encoder");
    if (t->lr >= 0) return t->lr;
    if (str_glob("prefix|prompt", t->method->name)) return 1e-2;
    if (small) return predictor_whole(t->method) ? 3e-4 : 1e-3;
    return str_glob("lora|dora", t->method->name)               ? 1e-4
           : str_glob("ia3|vera|bitfit|norms", t->method->name) ? 1e-3
                                                                : 2e-5;
}

/* ---- what is kept */

static Status keep_model(Work *w)
{
    Tuning *t = w->t;
    TRY(jit_head_save(&t->p.j, str_print(t->run, "%s/head.safetensors", t->p.dir)));
    if (predictor_whole(t->method)) return model_save(t->p.net, str_print(t->run, "%s/model", t->p.dir));
    Arena scratch = arena_open(0); /* an evaluation leaves nothing behind */
    Adapter *a = adapter_of(t->p.net, t->method, &w->cfg, "jit");
    a->run = &scratch;
    a->library = w->library;
    a->base = t->p.model;
    Status s = adapter_save(a, t->p.dir);
    arena_close(&scratch);
    return s;
}

/* The library that has a place for the method, before any time is spent on training: the one that an earlier run
 * chose, else the first that can. */
static Status choose_library(Work *w)
{
    Tuning *t = w->t;
    if (predictor_whole(t->method)) return OK;
    if (w->stand.step) {
        Adapter *a;
        TRY(adapter_open(&a, t->run, t->p.dir));
        w->library = a->library;
        adapter_close(a);
        return OK;
    }
    w->library = library_find("hf");
    if (!keep_model(w)) return OK;
    err_clear();
    w->library = library_find("adapters");
    return keep_model(w);
}

static const char *stand_path(const Work *w)
{
    return str_print(w->t->run, "%s/train.json", w->t->p.dir);
}

static const char *checkpoint_path(const Work *w, int step)
{
    return str_print(w->t->run, "%s/train-%d.safetensors", w->t->p.dir, step);
}

static Status save_stand(Work *w, int before)
{
    const Stand *s = &w->stand;
    TRY(trainer_save(w->trainer, checkpoint_path(w, s->step)));
    Buf b = buf_open(w->t->run);
    buf_print(&b, "{\"step\": %d, \"evaluations\": %d, \"since\": %d, \"f1\": %.17g, \"auc\": %.17g, ", s->step,
              s->evaluations, s->since, s->f1, s->auc);
    buf_print(&b, "\"best_f1\": %.17g, \"best_at\": %.17g, \"settings\": ", s->best_f1, s->best_at);
    json_quote(&b, w->settings);
    buf_print(&b, "}\n");
    TRY(file_write(stand_path(w), b.text, b.len));
    if (before >= 0 && before != s->step) unlink(checkpoint_path(w, before));
    return OK;
}

static Status load_stand(Work *w)
{
    const char *path = stand_path(w), *settings = "";
    cJSON *root;
    Stand s = {.f1 = -1};
    if (access(path, R_OK)) return OK; /* killed before its first evaluation */
    TRY(json_read(&root, w->t->run, path));
    Status status = json_text(&settings, root, "settings", path);
    if (!status && strcmp(settings, w->settings) != 0)
        status = fail(E_MISMATCH, "%s: is of a run with other settings (%s)", path, settings);
    if (!status) status = json_int(&s.step, root, "step", 0, INT32_MAX, path);
    if (!status) status = json_int(&s.evaluations, root, "evaluations", 0, INT32_MAX, path);
    if (!status) status = json_int(&s.since, root, "since", 0, INT32_MAX, path);
    if (!status) status = json_real(&s.f1, root, "f1", -1, 1, path);
    if (!status) status = json_real(&s.auc, root, "auc", 0, 1, path);
    if (!status) status = json_real(&s.best_f1, root, "best_f1", 0, 1, path);
    if (!status) status = json_real(&s.best_at, root, "best_at", 0, 1, path);
    cJSON_Delete(root);
    TRY(status);
    TRY(trainer_load(w->trainer, checkpoint_path(w, s.step)));
    if (w->trainer->step != s.step)
        return fail(E_MISMATCH, "%s: its checkpoint is of step %lld, expected %d", path, (long long)w->trainer->step,
                    s.step);
    w->stand = s;
    return OK;
}

/* ---- evaluation */

/* The threshold with the largest F1: one of the scores of the defective commits. */
static void best_threshold(Stand *s, const JitSet *set, const double *score)
{
    s->best_f1 = 0, s->best_at = 0.5;
    for (int64_t i = 0; i < set->n; i++) {
        if (set->change[i].label != 1) continue;
        int64_t hits = 0, called = 0;
        for (int64_t k = 0; k < set->n; k++) {
            called += score[k] >= score[i];
            hits += score[k] >= score[i] && set->change[k].label == 1;
        }
        double f1 = 2 * (double)hits / (double)(called + set->positives);
        if (f1 > s->best_f1) s->best_f1 = f1, s->best_at = score[i];
    }
}

static Status evaluate_now(Work *w)
{
    Tuning *t = w->t;
    Stand *s = &w->stand;
    int before = s->step;
    TRY(jit_predict(w->score, &w->valid, t->p.hooks, &w->step, NULL, NULL));
    JitScores x = jit_scores(&t->valid, w->score, 0.5);
    bool better = x.at.f1 > s->f1 || (!(x.at.f1 < s->f1) && x.at.auc > s->auc);
    s->step = (int)w->trainer->step;
    s->evaluations++;
    s->since = better ? 0 : s->since + 1;
    if (better) {
        s->f1 = x.at.f1, s->auc = x.at.auc;
        best_threshold(s, &t->valid, w->score);
        TRY(keep_model(w));
    }
    progress_clear();
    if (!args_quiet(t->args))
        fprintf(stderr, "step %d of %lld: validation F1 %.4f, AUC %.4f%s\n", s->step, (long long)w->total, x.at.f1,
                x.at.auc, better ? ", the best so far" : "");
    return save_stand(w, before);
}

static Status train(Work *w)
{
    Tuning *t = w->t;
    const Run line = {.experiment = &(Experiment){.group = "tune", .name = t->p.method},
                      .quiet = args_quiet(t->args),
                      .started = clock_now()};
    Status status = OK;
    double loss = NAN;
    bool stop = t->patience && w->stand.since >= t->patience;
    while (!status && !stop && w->trainer->step < w->total && !signals_seen()) {
        ArenaMark mark = arena_mark(&w->step);
        Batch x;
        StepStats stats;
        batcher_next(w->feed, &w->step, &x, NULL);
        status = trainer_step(w->trainer, &w->step, &x, &stats);
        arena_drop(&w->step, mark);
        if (status) break;
        loss = stats.loss;
        progress_show(&line, &(Stage){"tuning", w->trainer->step, w->total, loss}, -1);
        if (w->trainer->step % w->every == 0 || w->trainer->step == w->total) status = evaluate_now(w);
        stop = t->patience && w->stand.since >= t->patience;
    }
    progress_clear();
    if (status || stop || w->trainer->step >= w->total) return status;
    int before = w->stand.step;
    w->stand.step = (int)w->trainer->step;
    TRY(save_stand(w, before));
    return fail(E_INTERRUPT, "interrupted at step %lld of %lld; the same command with --resume goes on there",
                (long long)w->trainer->step, (long long)w->total);
}

/* ---- preparation */

static Status attach(Work *w)
{
    Tuning *t = w->t;
    Predictor *p = &t->p;
    TRY(tokenizer_open(&p->text, t->run, predictor_path(p, t->run, p->tokenizer)));
    TRY(model_load_as(&p->net, t->run, base_path(t), &(LoadOptions){.no_lm_head = true, .seed = (uint64_t)t->seed}));
    p->hooks = hooks_new(t->run);
    t->method->defaults(&w->cfg, &p->net->config);
    TRY(peft_set(&w->cfg, t->run, p->options));
    int virtual = str_glob("prefix|prompt", t->method->name) ? w->cfg.length : 0, most = jit_positions(p->net);
    int64_t length;
    p->plan = jit_plan(&p->text, p->net->config.vocab, most);
    if (most && p->plan.length > most - virtual) p->plan.length = most - virtual;
    if (p->plan.length < 16)
        return fail(E_CONFIG, "%d virtual tokens leave %d of the model's %d positions to a commit", virtual,
                    most - virtual, most);
    TRY(args_int(&length, t->args, "length", p->plan.length, 16, most ? p->plan.length : 1 << 16));
    p->plan.length = (int)length;
    p->plan.language = args_text(t->args, "language", NULL);
    jit_model_open(&p->j, p->net, p->head);
    return peft_attach(t->method, p->net, p->hooks, &w->cfg);
}

static Status prepare(Work *w)
{
    Tuning *t = w->t;
    Predictor *p = &t->p;
    Examples train_tokens, valid_tokens;
    TrainConfig c = train_defaults();
    p->scale = jit_scale(&t->train, false);
    JitScale own = p->per_split ? jit_scale(&t->valid, false) : p->scale;
    TRY(predictor_tokens(&train_tokens, p, t->run, &t->train));
    TRY(predictor_tokens(&valid_tokens, p, t->run, &t->valid));
    jit_model_show(&p->j, t->run, &t->train, &train_tokens, &p->scale);
    w->valid = p->j;
    jit_model_show(&w->valid, t->run, &t->valid, &valid_tokens, &own);
    w->score = NEW(t->run, double, t->valid.n);
    const BatchPlan plan = {.rows = t->batch, .shuffle = true, .seed = (uint64_t)t->seed, .pad = p->net->config.pad};
    TRY(batcher_open(&w->feed, t->run, &train_tokens, &plan));
    int64_t in_epoch = batcher_in_epoch(w->feed);
    w->total = in_epoch * t->epochs;
    w->every = in_epoch / t->evaluations > 1 ? in_epoch / t->evaluations : 1;
    if (w->total > INT32_MAX) return fail(E_CONFIG, "%lld steps are too many", (long long)w->total);
    c.lr = rate_of(t), c.schedule = SCHEDULE_LINEAR, c.total = w->total, c.seed = (uint64_t)t->seed;
    c.loss = jit_loss, c.user = &p->j;
    TRY(trainer_open(&w->trainer, t->run, p->net, p->hooks, &c));
    w->settings =
        str_print(t->run, "%s %s %s %s; %lld and %lld commits; lr %g, %lld steps of %lld, seed %lld, length %d",
                  p->method, p->options, JIT_HEAD[p->head], p->model, (long long)t->train.n, (long long)t->valid.n,
                  c.lr, (long long)w->total, (long long)t->batch, (long long)t->seed, p->plan.length);
    return OK;
}

static void say_what(const Work *w)
{
    const Tuning *t = w->t;
    int64_t all = params_count(t->p.net->params, NULL, false), some = params_count(t->p.net->params, NULL, true);
    fprintf(stderr,
            "%lld commits to train on (%lld defective), %lld to select by (%lld); %lld of %lld numbers train\n",
            (long long)t->train.n, (long long)t->train.positives, (long long)t->valid.n,
            (long long)t->valid.positives, (long long)some, (long long)all);
    if (w->stand.step) fprintf(stderr, "resuming after step %d\n", w->stand.step);
}

Status tune_network(Tuning *t)
{
    Work w = {.t = t, .stand = {.f1 = -1}, .step = arena_open((size_t)1 << 36)};
    Status s = attach(&w);
    if (!s) s = prepare(&w);
    if (!s && t->resume) s = load_stand(&w);
    if (!s) s = choose_library(&w);
    if (!s) {
        batcher_seek(w.feed, w.trainer->step);
        if (!args_quiet(t->args)) say_what(&w);
        s = train(&w);
    }
    if (!s && args_given(t->args, "best-threshold")) t->p.threshold = w.stand.best_at;
    arena_close(&w.step);
    TRY(s);
    TRY(predictor_save(&t->p, NULL, t->run));
    unlink(stand_path(&w));
    unlink(checkpoint_path(&w, w.stand.step));
    return OK;
}

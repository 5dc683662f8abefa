/* The record of a tuning.  Its log is written while the model trains; results and figures are made of the card and of
 * the log at the end, so that a run which was interrupted leaves the same files as one which was not. */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/print.h"
#include "base/ranks.h"
#include "base/sha256.h"
#include "base/str.h"
#include "cli/tune.h"
#include "num/kernels.h"
#include "plot/plot.h"
#include "run/log.h"
#include "run/machine.h"
#include "run/signals.h"

/* ---- while it works */

static const char *log_path(const TuneRecord *r)
{
    return str_print(r->job->run, "%s/metrics.jsonl", r->dir);
}

/* The lines after the point from which the work resumes are logged again. */
static void begun(const char *phase, int64_t step, void *user)
{
    TuneRecord *r = user;
    bool gaps;
    const char *path = log_path(r), *before = strcmp(phase, "pretraining") ? "pretraining" : "";
    if (r->log < 0) return;
    r->begun = true;
    if (log_cut(path, r->job->run, before, phase, step, &gaps))
        r->error = EIO;
    else if (gaps)
        tuning_remark(&r->job->watch, r->job->run, "%s: lines of steps up to %lld are missing", path,
                      (long long)step);
    if (r->tensorboard && events_open(&r->events, r->job->run, r->dir)) r->events.error = EIO;
}

static const char *note_path(const TuneRecord *r)
{
    return str_print(r->job->run, "%s/metrics.sha256", r->dir);
}

static void saving(void *user)
{
    TuneRecord *r = user;
    if (!log_seal(log_path(r), note_path(r), r->job->run)) return;
    err_clear();
    if (!r->error) r->error = EIO;
}

static void add_line(TuneRecord *r, const char *phase, int64_t step, int n, const char *const *name, const double *x)
{
    int error = r->log < 0 ? 0 : log_line(r->log, -1, phase, step, n, name, x);
    if (!r->error) r->error = error;
    events_add(&r->events, r->job->run, phase, step, n, name, x);
}

static void show_step(const TuneStep *s, void *user)
{
    TuneRecord *r = user;
    Stage stage = {.done = s->step, .total = s->total, .loss = s->loss};
    snprintf(stage.phase, sizeof stage.phase, "%s", s->phase);
    progress_show(&r->progress, &stage, -1);
    add_line(r, s->phase, s->step, 2, (const char *const[]){"loss", "lr"}, (const double[]){s->loss, s->lr});
}

static void print_line(const char *line, void *user)
{
    const TuneRecord *r = user;
    if (r->progress.quiet) return;
    progress_clear();
    print_err("%s\n", line);
}

static void show_measured(const TuneMeasured *m, void *user)
{
    TuneRecord *r = user;
    tuning_remark(&r->job->watch, r->job->run, "step %lld of %lld: %s%s", (long long)m->step, (long long)m->total,
                  m->text, m->best ? ", the best so far" : "");
    add_line(r, "validation", m->step, m->n, m->name, m->value);
}

static bool stopped(void *user)
{
    (void)user;
    return signals_seen() != 0;
}

/* A signal ends the program at once where nothing is lost by that, else it is noted. */
static void idle(bool is_idle, void *user)
{
    TuneRecord *r = user;
    if (is_idle == r->waits) signals_wait(is_idle ? -1 : 1);
    r->waits = !is_idle;
    if (is_idle) progress_clear();
}

static bool has_training(const TuneRecord *r)
{
    return !access(str_print(r->job->run, "%s/train.json", r->dir), F_OK);
}

Status tune_record_open(TuneRecord *r, TuneJob *job, const char *dir, bool resumed, const Args *a)
{
    *r = (TuneRecord){.job = job, .dir = dir, .log = -1, .events.fd = -1, .tensorboard = args_given(a, "log")};
    r->progress = (Progress){str_print(job->run, "tune/%s", job->p.method), args_quiet(a), clock_now()};
    job->watch = (TuneWatch){.begun = begun,
                             .step = show_step,
                             .measured = show_measured,
                             .remark = print_line,
                             .saving = saving,
                             .stopped = stopped,
                             .idle = idle,
                             .user = r};
    if (!job->p.peft) return OK; /* a baseline that is trained in steps shows them, and keeps no log */
    r->resumes = resumed && ranks_first() && log_restore(log_path(r), note_path(r), job->run);
    TRY(ranks_tell(OK, &r->resumes, sizeof r->resumes));
    if (resumed && !r->resumes && (!access(note_path(r), F_OK) || has_training(r)))
        tuning_remark(&job->watch, job->run, "%s: is missing or altered; the tuning begins anew", log_path(r));
    if (!ranks_first()) return OK;
    r->log = open(log_path(r), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | (r->resumes ? 0 : O_TRUNC), 0666);
    return r->log < 0 ? err_fail(E_IO, "%s: %s", log_path(r), strerror(errno)) : OK;
}

void tune_record_close(TuneRecord *r)
{
    if (r->log >= 0) close(r->log);
    r->log = -1;
    events_close(&r->events);
}

/* ---- figures/loss */

/* The mean of each of at most `most` stretches of equal length. */
static void thin(LogSeries *s, int64_t most)
{
    int64_t each = (s->n + most - 1) / most, kept = 0;
    for (int64_t i = 0; i < s->n; i += each) {
        int64_t n = s->n - i < each ? s->n - i : each;
        double sum = 0;
        for (int64_t k = 0; k < n; k++) sum += s->value[i + k];
        s->step[kept] = s->step[i + n - 1];
        s->value[kept++] = sum / (double)n;
    }
    if (s->n) s->n = kept;
}

static Status read_curve(Series *out, const TuneRecord *r, const char *phase, const char *name, const char *label)
{
    enum { POINTS = 200 };
    LogSeries s;
    TRY(log_series(&s, r->job->run, log_path(r), phase, name));
    thin(&s, POINTS);
    *out = (Series){.label = label};
    if (!s.n) return OK;
    out->x = tensor_over(s.step, F64, SHAPE(s.n));
    out->y = tensor_over(s.value, F64, SHAPE(s.n));
    return OK;
}

enum { PANELS = 3 };
typedef struct {
    const char *title, *unit;
    Series line[2];
    int lines;
} Panel;

/* The panels that have something to show; the count. */
static Status read_panels(Panel out[PANELS], int *n, const TuneRecord *r)
{
    const TuneView *view = tune_view(r->job->o.task);
    Panel before = {.title = "Pretraining", .unit = "loss (nats per token)", .lines = 1},
          training = {.title = "Tuning", .unit = tune_loss(r->job->o.task), .lines = 2 - view->scores},
          valid = {.title = "Validation", .unit = "score", .lines = 2};
    TRY(read_curve(&before.line[0], r, "pretraining", "loss", "training"));
    TRY(read_curve(&training.line[0], r, "tuning", "loss", "training"));
    if (view->curve) {
        const Measure *m = &r->job->p.task->own->measure[r->job->own_measure];
        TRY(read_curve(&valid.line[0], r, "validation", m->key, m->name));
        valid.line[0].marked = true, valid.lines = training.lines = 1;
    } else if (view->scores) {
        TRY(read_curve(&valid.line[0], r, "validation", "f1", "F1"));
        TRY(read_curve(&valid.line[1], r, "validation", "auc", "AUC"));
        valid.line[0].marked = valid.line[1].marked = true;
    } else {
        TRY(read_curve(&training.line[1], r, "validation", "loss", "validation"));
    }
    if (before.line[0].y.data) out[(*n)++] = before;
    out[(*n)++] = training;
    if (view->scores || view->curve) out[(*n)++] = valid;
    return OK;
}

static Status draw_loss(const TuneRecord *r)
{
    Panel panel[PANELS];
    int n = 0;
    TRY(read_panels(panel, &n, r));
    TRY(file_make_dir(str_print(r->job->run, "%s/figures", r->dir)));
    Fig *f = fig_open(str_print(r->job->run, "%s/figures/loss", r->dir), 250.0 * n, 180);
    for (int i = 0; i < n; i++)
        fig_lines(f, fig_cell(f, 1, n, i), panel[i].lines, panel[i].line,
                  (PlotStyle){.title = panel[i].title,
                              .letter = n > 1 ? (const char *const[]){"a", "b", "c"}[i] : NULL,
                              .x = {.title = "step", .whole = true},
                              .y = {.title = panel[i].unit}});
    return fig_close(f);
}

/* ---- results.json */

static void add_metric(cJSON *metrics, const char *name, double x)
{
    cJSON *one = cJSON_AddObjectToObject(metrics, name), *values = cJSON_AddArrayToObject(one, "values");
    cJSON_AddItemToArray(values, cJSON_CreateNumber(x)); /* cJSON writes NaN as null */
    cJSON_AddNumberToObject(one, "mean", x);
    cJSON_AddNumberToObject(one, "sd", (double)NAN);
    cJSON *pair = cJSON_AddArrayToObject(one, "ci95");
    for (int k = 0; k < 2; k++) cJSON_AddItemToArray(pair, cJSON_CreateNull());
}

/* A measure's interval, where the card has one. */
static void add_interval(cJSON *metrics, const char *name, const cJSON *pair)
{
    if (cJSON_GetArraySize(pair) != 2) return;
    cJSON_ReplaceItemInObjectCaseSensitive(cJSON_GetObjectItemCaseSensitive(metrics, name), "ci95",
                                           cJSON_Duplicate(pair, true));
}

/* Measures of the baselines that the card names. */
static void add_baselines(cJSON *metrics, const TuneJob *j, const cJSON *baselines)
{
    const cJSON *one, *x;
    cJSON_ArrayForEach(one, baselines) cJSON_ArrayForEach(x, one)
        add_metric(metrics, str_print(j->run, "%s: %s", one->string, x->string), cJSON_GetNumberValue(x));
}

/* The measures of the card, and for defects those of random scores. */
static void add_metrics(cJSON *root, const TuneJob *j, const cJSON *card)
{
    cJSON *metrics = cJSON_AddObjectToObject(root, "metrics");
    const cJSON *x, *measures = cJSON_GetObjectItemCaseSensitive(card, "validation");
    const cJSON *intervals = cJSON_GetObjectItemCaseSensitive(measures, "intervals");
    cJSON_ArrayForEach(x, measures)
    {
        const char *name = str_print(j->run, "validation: %s", x->string);
        if (!cJSON_IsNumber(x) && !cJSON_IsNull(x)) continue;
        add_metric(metrics, name, cJSON_GetNumberValue(x));
        add_interval(metrics, name, cJSON_GetObjectItemCaseSensitive(intervals, x->string));
    }
    add_baselines(metrics, j, cJSON_GetObjectItemCaseSensitive(measures, "baselines"));
    if (tune_view(j->o.task)->scores) {
        double v[JIT_MEASURES];
        JitScores random = jit_random(&j->valid, 1);
        jit_values(v, &random);
        for (int k = 0; k < JIT_MEASURES; k++)
            add_metric(metrics, str_print(j->run, "random scores: %s", JIT_MEASURE[k].key), v[k]);
    }
    if (!j->p.peft) return;
    add_metric(metrics, "parameters", (double)j->t.parameters);
    add_metric(metrics, "trainable parameters", (double)j->t.trainable);
    add_metric(metrics, "best step", (double)j->t.stand.best_step);
}

static const char *sentence(const TuneJob *j, const cJSON *card)
{
    const char *trained = j->p.peft ? str_print(j->run, ", with %lld of %lld parameters trained",
                                                (long long)j->t.trainable, (long long)j->t.parameters)
                                    : "";
    const cJSON *validation = cJSON_GetObjectItemCaseSensitive(card, "validation");
    return str_print(j->run, "%s%s.", tune_view(j->o.task)->sentence(j, validation), trained);
}

/* Sentences of the card on the run. */
static cJSON *notes_of(const cJSON *card)
{
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(card, "validation");
    const cJSON *theory = cJSON_GetObjectItemCaseSensitive(v, "theory");
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(theory, "sentences");
    return list ? cJSON_Duplicate(list, true) : cJSON_CreateArray();
}

/* The results of a tuning in the form of an experiment's, for reports. */
static cJSON *results_json(const TuneJob *j, const cJSON *card)
{
    cJSON *root = cJSON_CreateObject();
    cJSON_AddStringToObject(root, "experiment", str_print(j->run, "tune/%s", j->p.task->name));
    cJSON_AddStringToObject(root, "title", str_print(j->run, "%s, %s", tune_title(j->o.task), j->p.method));
    if (j->p.peft)
        cJSON_AddStringToObject(root, "method", str_print(j->run, "%s: %s.", j->p.peft->name, j->p.peft->summary));
    else
        cJSON_AddStringToObject(root, "method", str_print(j->run, "%s: %s.", j->p.method, j->p.learner->title));
    cJSON_AddStringToObject(root, "source", j->p.peft ? j->p.peft->source : j->p.learner->source);
    cJSON_AddItemToArray(cJSON_AddArrayToObject(root, "seeds"), cJSON_CreateNumber((double)j->o.seed));
    cJSON_AddStringToObject(root, "status", "done");
    cJSON_AddStringToObject(root, "sentence", sentence(j, card));
    add_metrics(root, j, card);
    cJSON_AddArrayToObject(root, "comparisons");
    cJSON *figures = cJSON_AddArrayToObject(root, "figures"), *one = cJSON_CreateObject();
    cJSON_AddItemToObject(root, "notes", notes_of(card));
    cJSON_AddStringToObject(one, "name", "loss");
    cJSON_AddStringToObject(one, "caption", "Training loss, as the mean of equal numbers of steps, and evaluations.");
    if (j->p.peft)
        cJSON_AddItemToArray(figures, one);
    else
        cJSON_Delete(one);
    return root;
}

/* The key of the measure by which evaluations are chosen. */
static const char *best_measure(const TuneJob *j)
{
    const TuneView *view = tune_view(j->o.task);
    if (view->curve) return j->p.task->own->measure[j->own_measure].key;
    return view->scores ? "f1" : "loss";
}

/* The log in the forms of other programs. */
static Status write_logs(const TuneRecord *r)
{
    const TuneJob *j = r->job;
    const TuneOptions *o = &j->o;
    const TrainerFacts facts = {.epochs = (double)o->epochs,
                                .epoch_steps = tuning_epoch(&j->t),
                                .total = j->t.total,
                                .every = j->t.every,
                                .batch = o->batch,
                                .best_step = j->t.stand.best_step,
                                .best = best_measure(j)};
    TRY(logs_csv(j->run, r->dir));
    if (r->tensorboard) TRY(logs_events(j->run, r->dir));
    return logs_trainer_state(j->run, r->dir, &facts);
}

Status tune_record_results(TuneRecord *r)
{
    TuneJob *j = r->job;
    cJSON *card;
    if (r->error) return err_fail(E_IO, "%s: %s", log_path(r), strerror(r->error));
    TRY(json_read(&card, j->run, predictor_card(j->p.task, j->run, r->dir)));
    cJSON *root = results_json(j, card);
    Status s = json_write(root, str_print(j->run, "%s/results.json", r->dir));
    cJSON_Delete(root);
    cJSON_Delete(card);
    if (s || !j->p.peft) return s;
    TRY(write_logs(r));
    return draw_loss(r);
}

/* ---- manifest.json */

/* Adds the settings that were used to the manifest, without those that do not apply to the task or method. */
static void add_config(cJSON *root, const TuneJob *j)
{
    const TuneOptions *o = &j->o;
    cJSON *c = cJSON_AddObjectToObject(root, "config");
    cJSON_AddStringToObject(c, "task", j->p.task->name);
    cJSON_AddStringToObject(c, "method", j->p.method);
    if (!o->valid) cJSON_AddNumberToObject(c, "validation-fraction", o->cut);
    tune_view(o->task)->config(c, j);
    if (j->p.learner) {
        cJSON_AddStringToObject(c, "options", learner_values(j->run, j->p.learner, j->p.option));
        cJSON_AddNumberToObject(c, "seed", (double)o->seed);
    }
    if (!j->p.peft) return;
    cJSON_AddStringToObject(c, "options", o->options);
    if (o->layers) cJSON_AddStringToObject(c, "layers", o->layers);
    if (j->t.trunk_layers) {
        cJSON_AddNumberToObject(c, "frozen-layers-without-dropout", j->t.trunk_layers);
        cJSON_AddStringToObject(c, "trunk-cache", TRUNK_KEEP[o->trunk]);
    }
    if (o->blocks) cJSON_AddStringToObject(c, "full-blocks", o->blocks);
    cJSON_AddStringToObject(c, "model", o->model ? o->model : j->p.task->base + 2);
    if (o->tokenizer) cJSON_AddStringToObject(c, "tokenizer", o->tokenizer);
    if (!o->model) cJSON_AddStringToObject(c, "encoder", o->small);
    if (o->language) cJSON_AddStringToObject(c, "language", o->language);
    if (o->load.widen) cJSON_AddStringToObject(c, "dtype", "float32");
    if (o->load.bf16) cJSON_AddStringToObject(c, "dtype", "bf16");
    if (o->load.vocab_from_file) cJSON_AddBoolToObject(c, "vocab-from-file", true);
    cJSON_AddNumberToObject(c, "epochs", (double)o->epochs);
    cJSON_AddNumberToObject(c, "batch", (double)o->batch);
    if (o->parts > 1) cJSON_AddNumberToObject(c, "accumulate", (double)o->parts);
    if (o->shards > 1) cJSON_AddNumberToObject(c, "shards", (double)o->shards);
    if (o->parameters) cJSON_AddNumberToObject(c, "parameters", (double)o->parameters);
    cJSON_AddNumberToObject(c, "learning-rate", j->t.lr);
    cJSON_AddNumberToObject(c, "evaluations", (double)o->evaluations);
    cJSON_AddNumberToObject(c, "patience", (double)o->patience);
}

static void add_input(cJSON *list, const char *path)
{
    Sha256Hex hash;
    if (!path) return;
    cJSON *one = cJSON_CreateObject();
    cJSON_AddStringToObject(one, "path", path);
    if (!sha256_file(&hash, path)) cJSON_AddStringToObject(one, "sha256", hash.hex);
    err_clear(); /* a pipe, which can be read only once, has no sum */
    cJSON_AddItemToArray(list, one);
}

/* The manifest of a tuning: settings, seed, inputs with their hashes, parameter counts and machine. */
cJSON *tune_manifest(const TuneJob *j)
{
    cJSON *root = cJSON_CreateObject();
    cJSON_AddStringToObject(root, "experiment", str_print(j->run, "tune/%s", j->p.task->name));
    cJSON_AddRawToObject(root, "seed", str_print(j->run, "%lld", (long long)j->o.seed));
    cJSON_AddNumberToObject(root, "seeds", 1);
    add_config(root, j);
    cJSON_AddStringToObject(root, "rng", "philox4x32-10");
    cJSON *inputs = cJSON_AddArrayToObject(root, "inputs");
    add_input(inputs, j->o.train);
    add_input(inputs, j->o.valid);
    cJSON *model = cJSON_AddObjectToObject(cJSON_AddObjectToObject(root, "parameters"), "model");
    cJSON_AddNumberToObject(model, "total", (double)j->t.parameters);
    cJSON_AddNumberToObject(model, "trainable", (double)j->t.trainable);
    cJSON *machine = cJSON_AddObjectToObject(root, "machine");
    cJSON_AddStringToObject(machine, "cpu", machine_cpu_model(j->run));
    cJSON_AddStringToObject(machine, "kernels", kernels_name());
    return root;
}

/* vernier tune: a model for a task from the user's own data, as a directory that vernier predict reads. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/print.h"
#include "base/str.h"
#include "cli/output.h"
#include "cli/tune.h"
#include "io/json.h"
#include "run/signals.h"

bool tune_each(int64_t done, void *user)
{
    (void)done, (void)user;
    return !signals_seen();
}

/* ---- what the options say */

Status tune_features(int64_t *out, const Args *a, int64_t otherwise)
{
    return args_int(out, a, "features", otherwise, N_FEATURES - 1, N_FEATURES);
}

static Status numbers(Tuning *t, const Args *a)
{
    TRY(args_int(&t->epochs, a, "epochs", 10, 1, 100000));
    TRY(args_int(&t->batch, a, "batch", 32, 1, 65536));
    TRY(args_int(&t->evaluations, a, "evaluations", 5, 1, 1000));
    TRY(args_int(&t->patience, a, "patience", 25, 0, 1000000));
    TRY(args_int(&t->seed, a, "seed", 33, 0, INT64_MAX));
    TRY(args_real(&t->lr, a, "lr", -1, 0, 100));
    return OK;
}

/* The commits to learn from and those to select by: --valid, or the last of the others by time. */
static Status read_data(Tuning *t)
{
    const char *valid = args_text(t->args, "valid", NULL);
    double share;
    t->train_path = args_text(t->args, "train", NULL);
    if (!t->train_path) return fail(E_CONFIG, "tune needs --train FILE: change records, one a line");
    TRY(args_real(&share, t->args, "cut", 0.2, 0.01, 0.9));
    TRY(jit_read(&t->train, t->run, t->train_path));
    if (valid) {
        TRY(jit_read(&t->valid, t->run, valid));
    } else {
        t->all = t->train;
        jit_cut(&t->train, &t->valid, t->run, &t->all, share);
    }
    return t->p.task->read(t);
}

static const char *absolute(Arena *a, const char *path)
{
    char *whole = realpath(path, NULL); /* a hub name stays as it is */
    const char *out = whole ? str_copy(a, whole, strlen(whole)) : path;
    free(whole);
    return out;
}

static Status tune_model(Tuning *t)
{
    Predictor *p = &t->p;
    p->model = args_text(t->args, "model", NULL);
    if (p->model) {
        p->model = absolute(t->run, p->model);
    } else {
        TRY(p->task->begin(t));
        p->model = p->task->base;
    }
    p->tokenizer = args_text(t->args, "tokenizer", NULL);
    p->tokenizer = p->tokenizer ? absolute(t->run, p->tokenizer) : p->model;
    TRY(tune_network(t));
    return p->task->finish(t);
}

static Status choose_method(Tuning *t)
{
    Predictor *p = &t->p;
    bool messages = p->task == &TASK_CMG, given = args_given(t->args, "model");
    p->method = args_text(t->args, "method", messages && !given ? "full" : "lora");
    p->options = args_text(t->args, "options", "");
    TRY(predictor_method(&p->method, &p->peft));
    if (!p->peft && *p->options)
        return fail(E_CONFIG, "--options are for the methods of peft; %s has none", p->method);
    if (messages && !p->peft) return fail(E_CONFIG, "--method %s is for --task jit", p->method);
    if (messages && !given && strcmp(p->method, "full") != 0)
        return fail(E_CONFIG, "without --model the weights are random and all of them train: --method full, not %s",
                    p->method);
    return peft_set(&(PeftConfig){0}, t->run, p->options); /* a slip is told before any work */
}

/* ---- the command */

void tune_end(Tuning *t, cJSON *root)
{
    cJSON_AddStringToObject(root, "task", t->p.task->name);
    cJSON_AddStringToObject(root, "method", t->p.method);
    cJSON_AddStringToObject(root, "directory", t->out);
    char *text = json_printed(root, false);
    print_document(text);
    cJSON_free(text);
    cJSON_Delete(root);
}

/* A predictor that is there already: its measures, as its card has them. */
static Status say_finished(Tuning *t)
{
    cJSON *card, *root;
    if (!args_quiet(t->args)) print_err("%s is finished; there is nothing to resume\n", t->out);
    if (!args_given(t->args, "json")) return OK;
    TRY(json_read(&card, t->run, predictor_card(t->p.task, t->run, t->out)));
    root = cJSON_CreateObject();
    for (const char *const *key = (const char *const[]){"threshold", "validation", NULL}; *key; key++) {
        cJSON *x = cJSON_DetachItemFromObjectCaseSensitive(card, *key);
        if (x) cJSON_AddItemToObject(root, *key, x);
    }
    cJSON_Delete(card);
    if (t->p.task == &TASK_JIT) {
        JitScores random = jit_random(&t->valid, 1);
        cJSON_AddItemToObject(root, "random", jit_scores_json(&random));
    }
    tune_end(t, root);
    return OK;
}

/* A card that is there is the end of a run that was killed before its files were moved. */
static Status work(Tuning *t, Folder *f)
{
    Status s = OK;
    t->p.dir = f->path;
    t->resume = f->resumed;
    t->progress = (Progress){str_print(t->run, "tune/%s", t->p.method), args_quiet(t->args), clock_now()};
    if (access(predictor_card(t->p.task, t->run, f->path), F_OK)) s = t->p.peft ? tune_model(t) : tune_floor(t);
    predictor_close(&t->p);
    if (!s) tune_tidy(t);
    s = output_close(f, s, true);
    if (s == E_INTERRUPT && !args_quiet(t->args) && file_is_dir(f->path)) progress_kept(t->out);
    return s;
}

static Status tune(const Args *a)
{
    static const char *const NAMES[] = {"jit", "cmg", NULL};
    Tuning t = {.args = a, .run = args_arena(a)};
    Folder f;
    int task;
    if (!args_given(a, "task")) return fail(E_CONFIG, "--task is needed: jit or cmg");
    TRY(args_word(&task, a, "task", 0, NAMES));
    t.p.task = TASKS[task];
    t.out = args_text(a, "out", NULL);
    if (!t.out) return fail(E_CONFIG, "tune needs --out DIR for what it learns");
    TRY(choose_method(&t));
    TRY(numbers(&t, a));
    TRY(read_data(&t));
    TRY(output_open(&f, a, "--out", t.out, 0));
    if (f.done) return say_finished(&t);
    TRY(work(&t, &f));
    if (!args_given(a, "json")) print_out("\nwritten to %s; vernier predict %s FILE.jsonl\n", t.out, t.out);
    return OK;
}

static const Option OPTIONS[] = {
    {"task", "TASK", "jit: does a commit introduce a defect?  cmg: what would its author write about it?"},
    {"train", "FILE",
     "change records, JSON Lines (vernier data mine, or with added and removed lists): jit with labels"},
    {"valid", "FILE", "commits to select by; default: the last fifth of each project (and class) by time"},
    {"validation-fraction", "SHARE", "fraction of --train for validation (default 0.2)", .alias = "cut"},
    {"out", "DIR", "where the predictor goes"},
    {"method", "NAME",
     "lora (default), adapter, prefix, full, ... (vernier list); jit: words or la, logistic regressions"},
    {"options", "K=V,..", "of the method: rank=8,alpha=16"},
    {"head", "HEAD", "jit: single, or concat: beside the features (default where every commit has them)"},
    {"features", "N", "jit: 14, or 13 without fix, which the published code loses (default 14)"},
    {"model", "DIR",
     "the pretrained model; default: jit: a small encoder, pretrained here on the training text; cmg: a small "
     "encoder-decoder in T5's shape that starts from random weights and all of which the messages train"},
    {"tokenizer", "DIR", "default: the model's"},
    {"language", "NAME", "PLBART's language token"},
    {"encoder", "K=V,..", "of the small model: layers, dim, heads, hidden, vocab; jit: length, steps, lr"},
    {"max-length", "N", "maximum number of tokens of a commit (default 512 minus the virtual tokens, or the model's)",
     .alias = "length"},
    {"target", "N", "cmg: tokens of a message at most (default 128)"},
    {"epochs", "N", "default 10"},
    {"batch", "N", "commits in a step (default 32)"},
    {"learning-rate", "RATE", "peak of the linear schedule; the default depends on task and method", .alias = "lr"},
    {"evaluations", "N", "in an epoch (default 5)"},
    {"patience", "N", "stop after so many evaluations without gain (default 25; 0: never)"},
    {"best-threshold", NULL,
     "jit: call a commit defective from the score on that is best on validation, not from 0.5"},
    {"per-split", NULL, "jit: standardise features by the statistics of the set that is scored, as published"},
    {"seed", "N", "default 33"},
    {"resume", NULL, "continue a killed run of the same options; this is also the default"},
    OVERWRITE_OPTION,
    {"json", NULL, "the measures as JSON"},
    {0}};
static const Command TUNE = {
    .name = "tune",
    .summary = "a model for a task from your own data: defect prediction, commit messages",
    .usage = "--task jit|cmg --train FILE --out DIR [options]",
    .about =
        "Trains a defect predictor on labelled commits, or a writer of commit messages on any.  The method's "
        "evaluation with the best validation F1, or the lowest validation perplexity of the messages, is what stays "
        "in DIR: an adapter with its head, or the whole model with --method full, and all that vernier predict "
        "needs.  words (hashed words and the features) and la (added lines) are floors of defect prediction: a "
        "network should beat them; vernier predict shows those of messages.",
    .example = "vernier tune --task jit --train commits.jsonl --method words --out floor\n"
               "  vernier tune --task jit --train commits.jsonl --model codebert --options rank=8 --out defects\n"
               "  vernier tune --task cmg --train commits.jsonl --model codet5-small --out writer\n"
               "  vernier predict defects new.jsonl",
    .options = OPTIONS,
    .run = tune};
REGISTER(command, TUNE)

/* vernier tune: a model for a task from the user's own data, as a directory that vernier predict reads. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"
#include "cli/jit.h"
#include "cli/run.h"

bool tune_each(int64_t done, void *user)
{
    (void)done, (void)user;
    return !signals_seen();
}

/* ---- what the options say */

static Status numbers(Tuning *t, const Args *a)
{
    TRY(args_int(&t->epochs, a, "epochs", 10, 1, 100000));
    TRY(args_int(&t->batch, a, "batch", 32, 1, 65536));
    TRY(args_int(&t->evaluations, a, "evaluations", 5, 1, 1000));
    TRY(args_int(&t->patience, a, "patience", 25, 0, 1000000));
    TRY(args_int(&t->seed, a, "seed", 33, 0, INT64_MAX));
    TRY(args_real(&t->lr, a, "lr", -1, 0, 100));
    t->resume = args_given(a, "resume");
    t->p.per_split = args_given(a, "per-split");
    t->p.threshold = 0.5;
    return OK;
}

static Status read_data(Tuning *t, const Args *a)
{
    const char *valid = args_text(a, "valid", NULL);
    t->train_path = args_text(a, "train", NULL);
    if (!t->train_path) return fail(E_CONFIG, "tune needs --train FILE: labelled change records, one a line");
    TRY(jit_read(&t->train, t->run, t->train_path));
    TRY(jit_labelled(&t->train, t->train_path));
    if (valid) {
        TRY(jit_read(&t->valid, t->run, valid));
        return jit_labelled(&t->valid, valid);
    }
    double share;
    TRY(args_real(&share, a, "cut", 0.2, 0.01, 0.9));
    t->all = t->train;
    jit_cut(&t->train, &t->valid, t->run, &t->all, share);
    if (t->valid.positives && t->valid.positives < t->valid.n) return OK;
    return fail(E_MISMATCH,
                "%s: its last %g by time hold %lld commits, %lld defective; expected both classes (--valid)",
                t->train_path, share, (long long)t->valid.n, (long long)t->valid.positives);
}

static Status choose_head(Tuning *t, const Args *a)
{
    int head;
    bool there = t->train.features && t->valid.features;
    TRY(args_word(&head, a, "head", there ? JIT_CONCAT : JIT_SINGLE, JIT_HEAD));
    if (head == JIT_CONCAT && !there)
        return fail(E_MISMATCH,
                    "%s: not every commit has the 14 features that --head concat reads (vernier data mine "
                    "--features)",
                    t->train.features ? args_text(a, "valid", "") : t->train_path);
    t->p.head = (JitHead)head;
    return OK;
}

/* ---- floors */

static Status score_floor(JitScores *out, Tuning *t, Floor *f)
{
    Arena step = arena_open(0);
    double *score = NEW(t->run, double, t->valid.n);
    t->p.floor = f;
    Status s = predictor_score(score, &t->p, t->run, &step, &t->valid, tune_each, NULL);
    if (!s) *out = jit_scores(&t->valid, score, t->p.threshold);
    arena_close(&step);
    return s;
}

/* The validation commits judge a fit on the others; where they were cut from the training file, the fit that is kept
 * sees them, too: nothing was chosen by them. */
static Status tune_floor(JitScores *valid, Tuning *t)
{
    FloorPlan plan;
    Floor *f;
    floor_plan(&plan, t->p.method, t->p.head == JIT_CONCAT);
    TRY(floor_fit(&f, t->run, &t->train, &plan));
    TRY(score_floor(valid, t, f));
    if (t->all.n) TRY(floor_fit(&f, t->run, &t->all, &plan));
    if (!floor_converged(f) && !args_quiet(t->args))
        fprintf(stderr, "the fit stopped after %d iterations before it had converged\n", plan.most_iterations);
    TRY(floor_save(f, t->p.dir));
    return predictor_save(&t->p, valid, t->run);
}

/* ---- networks */

/* The measures of what is on disk, which so is read once before anybody relies on it. */
static Status score_network(JitScores *valid, Tuning *t, const char *dir)
{
    Predictor p;
    Arena step = arena_open((size_t)1 << 36);
    double *score = NEW(t->run, double, t->valid.n);
    Status s = predictor_open(&p, t->run, dir, t->args);
    if (!s) s = predictor_score(score, &p, t->run, &step, &t->valid, tune_each, NULL);
    if (!s) {
        *valid = jit_scores(&t->valid, score, p.threshold);
        s = predictor_save(&p, valid, t->run);
    }
    predictor_close(&p);
    arena_close(&step);
    return s;
}

static Status tune_model(JitScores *valid, Tuning *t)
{
    Predictor *p = &t->p;
    p->model = args_text(t->args, "model", NULL);
    if (!p->model) {
        TRY(tune_encoder(t));
        p->model = "./encoder";
    } else {
        char *whole = realpath(p->model, NULL); /* a hub name stays as it is */
        if (whole) p->model = str_copy(t->run, whole, strlen(whole));
        free(whole);
    }
    p->tokenizer = args_text(t->args, "tokenizer", p->model);
    TRY(tune_network(t));
    return score_network(valid, t, p->dir);
}

/* ---- the command */

static Status check_directory(const Tuning *t, const char *dir, bool *finished)
{
    bool half = !access(str_print(t->run, "%s/train.json", dir), F_OK) ||
                !access(str_print(t->run, "%s/encoder.train.safetensors", dir), F_OK);
    *finished = !access(str_print(t->run, "%s/jit.json", dir), F_OK);
    if (t->resume || (!half && !*finished)) return file_make_dir(dir);
    return fail(E_CONFIG, "%s holds a %s predictor; choose another directory%s", dir,
                *finished ? "finished" : "half-trained", *finished ? "" : ", or go on with --resume");
}

static Status finish(Tuning *t, const JitScores *valid)
{
    JitScores random = jit_random(&t->valid, 1);
    if (!args_given(t->args, "json")) {
        jit_print_scores("validation", valid, &random);
        printf("\nwritten to %s; vernier predict %s FILE.jsonl\n", t->p.dir, t->p.dir);
        return OK;
    }
    cJSON *root = cJSON_CreateObject();
    cJSON_AddStringToObject(root, "method", t->p.method);
    cJSON_AddStringToObject(root, "directory", t->p.dir);
    cJSON_AddNumberToObject(root, "threshold", valid->at.threshold);
    cJSON_AddItemToObject(root, "validation", jit_scores_json(valid));
    cJSON_AddItemToObject(root, "random", jit_scores_json(&random));
    char *text = cJSON_Print(root);
    puts(text);
    cJSON_free(text);
    cJSON_Delete(root);
    return OK;
}

static Status tune(const Args *a)
{
    static const char *const TASKS[] = {"jit", NULL};
    Tuning t = {.args = a, .run = args_arena(a)};
    JitScores valid;
    int task;
    bool finished;
    if (!args_given(a, "task")) return fail(E_CONFIG, "--task is needed: jit");
    TRY(args_word(&task, a, "task", 0, TASKS));
    t.p.method = args_text(a, "method", "lora");
    t.p.options = args_text(a, "options", "");
    t.p.dir = args_text(a, "out", NULL);
    if (!t.p.dir) return fail(E_CONFIG, "tune needs --out DIR for what it learns");
    TRY(predictor_method(&t.p.method, &t.method));
    if (!t.method && *t.p.options)
        return fail(E_CONFIG, "--options are for the methods of peft; %s has none", t.p.method);
    TRY(peft_set(&(PeftConfig){0}, t.run, t.p.options)); /* a slip is told before any work */
    TRY(numbers(&t, a));
    TRY(check_directory(&t, t.p.dir, &finished));
    if (finished) {
        if (!args_quiet(a)) fprintf(stderr, "%s is finished; there is nothing to resume\n", t.p.dir);
        return OK;
    }
    TRY(read_data(&t, a));
    TRY(choose_head(&t, a));
    Status s = t.method ? tune_model(&valid, &t) : tune_floor(&valid, &t);
    predictor_close(&t.p);
    TRY(s);
    return finish(&t, &valid);
}

static const Option OPTIONS[] = {
    {"task", "TASK", "jit: does a commit introduce a defect?"},
    {"train", "FILE", "labelled change records, JSON Lines (vernier data mine, or with added and removed lists)"},
    {"valid", "FILE", "commits to select by; default: the last fifth of each project and class by time"},
    {"cut", "SHARE", "how much of --train that is (default 0.2)"},
    {"out", "DIR", "where the predictor goes"},
    {"method", "NAME",
     "lora (default), adapter, prefix, full, ... (vernier list); words or la: logistic regressions"},
    {"options", "K=V,..", "of the method: rank=8,alpha=16"},
    {"head", "HEAD", "single, or concat: beside the 14 features (default where every commit has them)"},
    {"model", "DIR", "the pretrained model; default: a small encoder, pretrained here on the training text"},
    {"tokenizer", "DIR", "default: the model's"},
    {"language", "NAME", "PLBART's language token"},
    {"encoder", "K=V,..", "of the small encoder: layers, dim, heads, hidden, vocab, length, steps, lr"},
    {"length", "N", "tokens of a commit at most (default 512, less the virtual ones, or what the model has)"},
    {"epochs", "N", "default 10"},
    {"batch", "N", "commits in a step (default 32)"},
    {"lr", "RATE", "peak of the linear schedule; the default depends on the method"},
    {"evaluations", "N", "in an epoch (default 5)"},
    {"patience", "N", "stop after so many evaluations without gain (default 25; 0: never)"},
    {"best-threshold", NULL, "call a commit defective from the score on that is best on validation, not from 0.5"},
    {"per-split", NULL, "standardise features by the statistics of the set that is scored, as published"},
    {"seed", "N", "default 33"},
    {"resume", NULL, "go on where a killed run of the same options stopped"},
    {"json", NULL, "the measures as JSON"},
    {0}};
static const Command TUNE = {
    .name = "tune",
    .summary = "a model for a task from your own data: defect prediction",
    .usage = "--task jit --train FILE --out DIR [options]",
    .about =
        "Trains a defect predictor on labelled commits.  The method's evaluation with the best validation F1 is what "
        "stays in DIR: an adapter with its head, or the whole model with --method full, and all that vernier predict "
        "needs.  words (hashed words and the 14 features) and la (added lines) are floors: a network should beat "
        "them.",
    .example = "vernier tune --task jit --train commits.jsonl --method words --out floor\n"
               "  vernier tune --task jit --train commits.jsonl --model codebert --options rank=8 --out defects\n"
               "  vernier predict defects new.jsonl",
    .options = OPTIONS,
    .run = tune};
REGISTER(command, TUNE)

/* vernier tune: a model for a task from the user's own data, as a directory that vernier predict reads. */
#include <string.h>

#include "base/hf_cache.h"
#include "base/print.h"
#include "base/ranks.h"
#include "base/str.h"
#include "cli/adapter.h"
#include "cli/output.h"
#include "cli/page.h"
#include "cli/tune.h"
#include "io/json.h"
#include "num/profile.h"
#include "train/shards.h"

/* ---- options */

/* A start by mpirun or srun takes shards for any number of ranks, so that one rank computes what several do. */
static Status read_shards(TuneOptions *o, const Args *a)
{
    TRY(args_int(&o->shards, a, "shards", ranks_launched() ? SHARDS_LAUNCHED : 1, 1, SHARDS_MOST));
    if (o->shards >= ranks_size()) return OK;
    return err_fail(E_CONFIG, "--shards %lld: expected at least one for each of the %d ranks", (long long)o->shards,
                    ranks_size());
}

/* A network alone is trained in steps that ranks share. */
static Status check_shards(const TuneJob *j, const Args *a)
{
    if (j->p.peft) return OK;
    if (args_given(a, "shards")) return err_fail(E_CONFIG, "--shards is for a network; %s has none", j->p.method);
    if (ranks_size() == 1) return OK;
    return err_fail(E_CONFIG,
                    "--method %s runs as one process, and %d were started; expected a network, or a start "
                    "without mpirun or srun",
                    j->p.method, ranks_size());
}

static Status read_numbers(TuneOptions *o, const Args *a)
{
    const TuneTask *t = o->task;
    const Recipe *r = o->recipe;
    TRY(args_int(&o->epochs, a, "epochs", r ? r->epochs : t->epochs, 1, 100000));
    TRY(args_int(&o->batch, a, "batch", r ? r->batch : t->batch, 1, 65536));
    TRY(args_int(&o->parts, a, "accumulate", 1, 1, 65536));
    TRY(read_shards(o, a));
    TRY(args_int(&o->parameters, a, "parameters", 0, 1, INT64_MAX));
    TRY(args_int(&o->evaluations, a, "evaluations", r ? r->evaluations : t->evaluations, 1, 1000));
    TRY(args_int(&o->patience, a, "patience", r ? r->patience : 25, 0, 1000000));
    TRY(args_int(&o->seed, a, "seed", 33, 0, INT64_MAX));
    TRY(args_int(&o->length, a, "length", 0, 1, 1 << 16));
    TRY(args_int(&o->target, a, "target", 0, 1, 1 << 16));
    TRY(args_int(&o->features, a, "features", N_FEATURES, N_FEATURES - 1, N_FEATURES));
    TRY(args_real(&o->weight, a, "positive-weight", r ? r->weight : 0, 1e-3, 1e3));
    TRY(args_real(&o->lr, a, "learning-rate", r ? r->lr : -1, 0, 100));
    TRY(args_real(&o->smoothing, a, "label-smoothing", 0, 0, 0.99));
    return args_real(&o->cut, a, "validation-fraction", 0.2, 0.01, 0.9);
}

static bool has_option(const TuneView *v, const char *name)
{
    for (const char *const *own = v->options; *own; own++)
        if (!strcmp(*own, name)) return true;
    return false;
}

/* "jit or cmg": the tasks that have an option. */
static const char *tasks_with(const char *option, Arena *a)
{
    Buf names = buf_open(a);
    for (const TuneTask *const *t = tune_task_begin(); t < tune_task_end(); t++)
        if (has_option(tune_view(*t), option)) buf_print(&names, "%s%s", names.len ? "|" : "", (*t)->task->name);
    return words_listed(a, names.text, " or ");
}

/* Options that only other tasks have are a mistake. */
static Status check_task(const Args *a, const TuneTask *task)
{
    for (const TuneTask *const *t = tune_task_begin(); t < tune_task_end(); t++)
        for (const char *const *other = tune_view(*t)->options; *other; other++)
            if (args_given(a, *other) && !has_option(tune_view(task), *other))
                return err_fail(E_CONFIG, "--%s is for --task %s", *other, tasks_with(*other, args_arena(a)));
    return OK;
}

static Status read_task(const TuneTask **out, const Args *a)
{
    const char *name = args_text(a, "task", NULL);
    const char *all = words_listed(args_arena(a), tune_task_names(args_arena(a)), " or ");
    if (!name) return err_fail(E_CONFIG, "--task is needed: %s", all);
    *out = tune_task_find(name);
    return *out ? OK : err_fail(E_CONFIG, "--task %s: expected %s", name, all);
}

/* Reads all options of `vernier tune` and checks that they belong to the chosen task. */
static Status read_options(TuneOptions *o, const Args *a)
{
    static const char *const LOSSES[] = {"cross-entropy", "focal", NULL};
    int head, score, loss, form, objectives, trunk, log;
    const TuneTask *task;
    TRY(read_task(&task, a));
    TRY(args_word(&head, a, "head", 0, JIT_HEAD));
    TRY(args_word(&score, a, "score", 0, LM_SCORE));
    TRY(args_word(&loss, a, "loss", 0, LOSSES));
    TRY(args_word(&objectives, a, "objectives", 0, REVIEW_FORM));
    TRY(args_word(&trunk, a, "trunk-cache", TRUNK_AUTO, TRUNK_KEEP));
    TRY(args_word(&form, a, "form", 0, (const char *const[]){"mcmd", "review", NULL}));
    *o = (TuneOptions){.task = task,
                       .method = args_text(a, "method", NULL),
                       .options = args_text(a, "options", ""),
                       .train = args_text(a, "train", NULL),
                       .valid = args_text(a, "valid", NULL),
                       .model = args_text(a, "model", NULL),
                       .tokenizer = args_text(a, "tokenizer", NULL),
                       .small = args_text(a, "encoder", ""),
                       .language = args_text(a, "language", NULL),
                       .head = args_given(a, "head") ? JIT_HEAD[head] : NULL,
                       .per_split = args_given(a, "per-split"),
                       .score_all = score == 1,
                       .focal = loss == 1,
                       .review = form == 1,
                       .objectives = (ReviewForm)objectives,
                       .text_column = args_text(a, "text-column", NULL),
                       .pair_column = args_text(a, "text-pair-column", NULL),
                       .label_column = args_text(a, "label-column", NULL),
                       .class_weights = args_text(a, "class-weights", NULL),
                       .metric = args_text(a, "metric", NULL),
                       .window = args_given(a, "window"),
                       .key = args_text(a, "text-key", args_text(a, "text-column", LM_KEY)),
                       .as_published = args_given(a, "as-published"),
                       .trunk = args_given(a, "no-trunk-cache") ? TRUNK_OFF : (TrunkKeep)trunk,
                       .shared = args_text(a, "trunk-dir", NULL),
                       .best_threshold = args_given(a, "best-threshold")};
    o->recipe = recipe_find(o->method);
    if (o->recipe) o->method = o->recipe->method;
    if (o->recipe && !args_given(a, "loss")) o->focal = o->recipe->focal;
    TRY(args_word(&log, a, "log", 0, (const char *const[]){LOGS_EVENTS, NULL}));
    TRY(check_task(a, o->task));
    TRY(read_load(&o->load, a));
    return read_numbers(o, a);
}

/* --layers, and the options that go with it. */
static Status tune_layers(TuneJob *j, const Args *a)
{
    static const char *const WITH[] = {"trunk-cache", "no-trunk-cache", "trunk-dir"};
    const char *list = args_text(a, "layers", NULL);
    if (list) TRY(tune_set_layers(j, list));
    if (args_given(a, "trunk-cache") && args_given(a, "no-trunk-cache"))
        return err_fail(E_CONFIG, "--trunk-cache and --no-trunk-cache exclude each other");
    if (args_given(a, "trunk-dir") && j->o.trunk != TRUNK_FILE)
        return err_fail(E_CONFIG, "--trunk-dir requires --trunk-cache file");
    for (size_t i = 0; !list && i < sizeof WITH / sizeof *WITH; i++)
        if (args_given(a, WITH[i])) return err_fail(E_CONFIG, "--%s requires --layers", WITH[i]);
    return OK;
}

/* ---- the command */

/* The measures of a predictor, whether it was made now or before: as its card has them. */
static Status print_measures(const TuneJob *j, const Args *a, const char *out)
{
    cJSON *card;
    Status status = OK;
    const char *path = predictor_card(j->p.task, j->run, out);
    TRY(json_read(&card, j->run, path));
    if (args_given(a, "json")) {
        cJSON *root = tune_json(j, card);
        cJSON_AddStringToObject(root, "directory", out);
        json_print(root);
        cJSON_Delete(root);
    } else {
        status = tune_print(j, card, path);
        const TuneView *view = tune_view(j->o.task);
        if (!status && !view->base) print_out("\nwritten to %s; vernier predict %s FILE\n", out, out);
        if (!status && view->base) print_out("\nwritten to %s\n", out);
        if (!status && view->next) print_out("%s\n", view->next(j, out));
    }
    cJSON_Delete(card);
    return status;
}

static Status work(TuneJob *j, Folder *f, const Args *a, const char *out)
{
    TuneRecord record;
    f->scratch = TUNE_SCRATCH;
    Status s = tune_record_open(&record, j, f->path, f->resumed, a);
    if (!s) s = tune_make(j, f->path, record.resumes);
    if (!s) s = tune_record_results(&record);
    tune_record_close(&record);
    if (!s) return folder_finish(f, tune_manifest(j));
    s = output_close(f, s, record.begun || f->resumed);
    if (s == E_INTERRUPT && !args_quiet(a) && file_is_dir(f->path)) progress_kept(out);
    return s;
}

/* Makes the predictor and, where --profile asks, prints where the time of that went. */
static Status work_profiled(TuneJob *j, Folder *f, const Args *a, const char *out)
{
    if (!args_given(a, "profile")) return work(j, f, a, out);
    profile_begin();
    Status s = work(j, f, a, out);
    const Profile p = profile_end();
    Buf b = buf_open(j->run);
    profile_print(&b, &p);
    const char *line;
    size_t n;
    for (const char *rest = b.text; str_next(&rest, "\n", &line, &n);) print_err("%.*s\n", (int)n, line);
    return s;
}

static void print_remark(const char *line, void *user)
{
    (void)user;
    print_err("%s\n", line);
}

/* The options, before any file is read. */
static Status prepare(TuneJob *j, const Args *a)
{
    TRY(read_options(&j->o, a));
    if (!args_given(a, "out")) return err_fail(E_CONFIG, "tune needs --out DIR for its result");
    TRY(tune_check(j));
    TRY(check_shards(j, a));
    if (!j->o.train) return err_fail(E_CONFIG, "tune needs --train FILE: %s", tune_view(j->o.task)->input);
    return tune_layers(j, a);
}

static Status check(const Args *a)
{
    TuneJob j = {.run = args_arena(a)};
    const char *blocks = args_text(a, "full-blocks", NULL), *model;
    TRY(prepare(&j, a));
    if (blocks) TRY(tune_set_blocks(&j, blocks));
    if (j.o.model) TRY(hf_cache_find(&model, j.run, j.o.model));
    TRY(file_there(j.o.model ? model : NULL));
    TRY(file_there(j.o.valid));
    return file_there(j.o.train);
}

static Status tune(const Args *a)
{
    TuneJob j = {.run = args_arena(a), .watch.remark = args_quiet(a) ? NULL : print_remark};
    Folder f;
    const char *out = args_text(a, "out", NULL);
    TRY(prepare(&j, a));
    TRY(tune_blocks(&j, a));
    TRY(tune_read(&j));
    TRY(output_open(&f, a, "--out", out, 0));
    if (f.done && !args_quiet(a)) print_err("%s is finished; there is nothing to resume\n", out);
    if (!f.done) TRY(work_profiled(&j, &f, a, out));
    return print_measures(&j, a, out);
}

static const Option OPTIONS[] = {
    {"task", "TASK",
     "classify: a class for each text of your table; pair: a class for each pair of texts; regress: a number; lm: "
     "language modelling of your texts by a decoder; jit: just-in-time defect prediction (does a commit introduce a "
     "defect?); cmg: commit-message generation; pretrain: an encoder-decoder on changes without labels, as "
     "CodeReviewer or CCT5 (vernier list tasks)"},
    {"train", "FILE",
     "classify, pair, regress: CSV or TSV with a line of names, or JSON Lines.  lm: the same, or rows "
     "with \"prompt\" and \"completion\", or with chat \"messages\", or a plain text file.  jit, cmg: change "
     "records as JSON Lines, from vernier data mine or with lists added and removed; jit needs labels"},
    {"text-column", "NAME", "the column of the text (default text)"},
    {"text-pair-column", "NAME", "pair, regress: the column of the second text (default of pair: text_pair)"},
    {"label-column", "NAME", "the column of the class or number (default label)"},
    {"class-weights", "WHICH",
     "weights of the classes in the loss: balanced (each class has the same total weight), or CLASS=WEIGHT,.."},
    {"label-smoothing", "E", "a share E of each label is spread evenly over all classes (default 0)"},
    {"metric", "NAME",
     "the validation measure that chooses the best evaluation and ends the training early: macro_f1 (default), "
     "accuracy, mcc, auc or loss; of numbers pearson (default), spearman, rmse, mae or r2"},
    {"window", NULL,
     "read a text that has more than --max-length tokens in windows that overlap by a quarter, and average their "
     "logits (default: cut its end)"},
    {"valid", "FILE",
     "examples for validation; default: a fifth drawn by the seed, of each class; lm: or the end of a plain text; "
     "jit, cmg: the latest fifth of each project (and class)"},
    {"validation-fraction", "SHARE", "fraction of --train for validation (default 0.2)", .alias = "cut"},
    {"out", "DIR", "directory for the predictor"},
    {"method", "NAME",
     "lora (default), adapter (Houlsby's), prefix, full, ...; jit: or jit-fine, which is full with the settings of "
     "its paper (learning rate 1e-5, batch 24, 50 epochs, patience 50), or cct5 (2e-5, batch 32, 5 epochs, focal "
     "loss, defects weighted 3), or a baseline: words, la, ... (vernier list)"},
    {"options", "K=V,..",
     "options of the method: rank=8,alpha=16; for LoRA also init=pissa, lora_bias=yes, tables=lm_head and tokens=5|8 "
     "(vernier list methods names all)"},
    {"parameters", "N",
     "choose the method's rank, width or length: the largest with at most N parameters, without the head"},
    {"layers", "LIST",
     "the method acts in these layers alone: top:2, bottom:3, 0,3-5, encoder:top:1 or all (default); full then "
     "trains "
     "those layers and the head.  The frozen layers below the first of them run without dropout, once for each text"},
    {"trunk-cache", "WHERE",
     "with --layers: what the frozen layers compute is kept in memory and, beyond a quarter of the machine's, in a "
     "file "
     "of the unfinished run (auto, default), in memory alone, in a file that later and parallel runs share (file), "
     "or "
     "not (off).  The results are the same bytes"},
    {"no-trunk-cache", NULL, "the same as --trunk-cache off"},
    {"trunk-dir", "DIR",
     "the directory of --trunk-cache file (default: vernier/trunk in $XDG_CACHE_HOME or ~/.cache); it may be removed "
     "at "
     "any time"},
    {"full-blocks", "LIST",
     "layers of the model that train whole beside the method's parameters: 6-11, or encoder:0-2,decoder:5; alone "
     "with "
     "--method blocks"},
    {"choose-blocks", "HOW:K",
     "the K layers with the largest accuracy of a linear probe minus the embeddings' (probe or ltp, ccm, typ: the "
     "probing task, made of --train), or K random ones (random)"},
    {"score", "WHICH",
     "lm: completion (default: of completions and conversations only the completion, or the assistant's messages) or "
     "all tokens"},
    {"text-key", "KEY", "lm: the same as --text-column"},
    {"head", "HEAD",
     "jit: single (text only), concat (text and features; default if every commit has features) or expert (features "
     "only)"},
    {"loss", "LOSS", "jit: cross-entropy (default) or focal (alpha 1/4, gamma 2)"},
    {"positive-weight", "W",
     "jit: the loss is a weighted mean in which a defective commit counts W times (and the focal loss has no alpha)"},
    {"features", "N", "jit: 14, or 13 without the feature fix, as in the published code (default 14)"},
    {"model", "DIR",
     "the pretrained model; default: jit: a small encoder, pretrained first on the training text; cmg: a small "
     "encoder-decoder in T5's shape, randomly initialised and trained whole; lm needs one: gpt2, llama, gpt_neox"},
    {"tokenizer", "DIR", "directory of the tokenizer (default: the model's)"},
    LOAD_OPTIONS,
    {"language", "NAME", "PLBART's language token"},
    {"encoder", "K=V,..",
     "settings of the small model: layers, dim, heads, hidden, vocab; but for cmg also: length, steps, lr"},
    {"max-length", "N",
     "maximum number of tokens of a commit (default 512 minus the virtual tokens, or the model's) or a text (lm: "
     "1024)",
     .alias = "length"},
    {"objectives", "WHOSE",
     "pretrain: codereviewer (default: comment, denoised comment, diff tags, denoised lines) or cct5 (MLM4CC, "
     "MLM4CM, "
     "NL2PL, PL2NL)"},
    {"form", "FORM",
     "cmg: mcmd (default: file names and lines, as the filtered MCMD data) or review (lines alone and <msg> before "
     "the "
     "message, as CodeReviewer and CCT5)"},
    {"target", "N", "cmg: maximum number of tokens of a message (default 128)"},
    {"epochs", "N", "number of epochs (default 10; lm: 3)"},
    {"batch", "N", "examples in each step (default 16; lm: 8; jit, cmg: 32)"},
    {"accumulate", "N", "accumulate the gradient of a step over N parts of its batch: less memory, the same step"},
    {"shards", "N",
     "cut the batch of a step into N shards, which the ranks of mpirun or srun share out; the result depends on N "
     "and "
     "not on the ranks (default 8 under mpirun or srun, else 1)"},
    {"learning-rate", "RATE", "peak of the linear schedule; the default depends on task and method", .alias = "lr"},
    {"evaluations", "N", "evaluations in each epoch (default 1; lm: 2; jit, cmg: 5)"},
    {"patience", "N", "stop after N evaluations without improvement (default 25; 0: never)"},
    {"best-threshold", NULL, "jit: use the threshold with the best validation F1 instead of 0.5"},
    {"as-published", NULL,
     "jit: a baseline, or cct5, with the defects of its published code, which are mended by default"},
    {"per-split", NULL, "jit: standardise features by the statistics of the set that is scored, as published"},
    {"seed", "N", "random seed (default 33)"},
    {"resume", NULL, "continue a killed run of the same options; this is also the default"},
    OVERWRITE_OPTION,
    {"log", "FORM", "tensorboard: also event files, DIR/tensorboard, which TensorBoard shows while the model trains"},
    {"profile", NULL, "print where the time goes, by kind of kernel, forward and backward, to standard error"},
    {"json", NULL, "print the measures as JSON"},
    {0}};
static const Choice CHOICES[] = {{"task", "@tasks"},
                                 {"method", "@methods|@recipes|@baselines"},
                                 {"head", "single|concat|expert"},
                                 {"score", "completion|all"},
                                 {"loss", "cross-entropy|focal"},
                                 {"trunk-cache", "auto|off|memory|file"},
                                 {"form", "mcmd|review"},
                                 {"objectives", "codereviewer|cct5"},
                                 {"log", "tensorboard"},
                                 {"features", "13|14"},
                                 DTYPE_CHOICE,
                                 {0}};
static const Command TUNE = {
    .name = "tune",
    .summary = "tune a model on your own data: classes, numbers, texts, defects or commit messages",
    .usage = "--task TASK --train FILE --out DIR [options]",
    .about =
        "Tunes a model on a table of your own (classify, pair, regress), to continue texts (lm), to predict defects "
        "from labelled commits, or to write commit messages.  The "
        "parameters of the evaluation with the best validation measure (--metric), or with the lowest validation "
        "perplexity of the messages or texts, are kept in DIR.  They are an adapter and its head, or the whole model "
        "with --method "
        "full.  DIR also gets "
        "metrics.jsonl (loss and learning rate of every step, and the evaluations; also as metrics.csv and, for the "
        "Transformers library, as trainer_state.json), results.json, figures/loss "
        "and a manifest; vernier predict and vernier report read it.  Without --model, jit first pretrains a "
        "small encoder on the training text.  By default the encoder has 4 layers, hidden size 128 and 1.1 "
        "million parameters (a file of 4 MB).  Its 1,500 steps take about eleven minutes of processor time, or "
        "six minutes on two cores; --encoder steps=300 takes a fifth of that.  words (hashed words and the "
        "features) and la (number of added lines) are baselines of defect prediction: a network should be better "
        "than both.  vernier predict --train shows the baselines of commit messages.  For lm an end-of-text token "
        "follows "
        "each text, conversations are rendered by the model's own chat template, and a plain text is cut into blocks "
        "of "
        "--max-length tokens.  vernier generate MODEL --adapter DIR writes with the adapter.",
    .example = "vernier tune --task classify --train reviews.csv --text-column review --label-column stars "
               "--model minilm --out stars\n"
               "  vernier tune --task jit --train commits.jsonl --method words --out baseline\n"
               "  vernier tune --task jit --train commits.jsonl --model codebert --options rank=8 --out defects\n"
               "  vernier tune --task cmg --train commits.jsonl --model codet5-small --out writer\n"
               "  vernier tune --task lm --train notes.jsonl --model gpt2 --out notes\n"
               "  vernier predict defects new.jsonl",
    .options = OPTIONS,
    .choices = CHOICES,
    .ranks = true,
    .run = tune,
    .check = check};
REGISTER(command, TUNE)

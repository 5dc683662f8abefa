/* vernier predict: classes or numbers for rows of a table, defects or messages of commits, from a file or a
 * repository, and scores of texts, by a model of vernier tune. */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/print.h"
#include "base/str.h"
#include "change/mine.h"
#include "cli/adapter.h"
#include "cli/predict.h"
#include "run/run.h"
#include "run/signals.h"

/* ---- commits from a repository */

static bool stop(void)
{
    return signals_seen() != 0;
}

/* Defects are predicted from the changed lines alone, and perhaps from features.  Messages also need the lines around
 * them.  A merge has no features, and its message describes no lines. */
static void mine_everything(MineOptions *o, bool messages)
{
    mine_defaults(o);
    o->whole_message = o->mixed = true;
    o->features = !messages;
    for (int k = 0; k < SUBJECT_KINDS; k++) o->keep[k] = k != SUBJECT_MERGE;
    o->stop = stop;
    o->min_words = o->max_words = 0;
    o->max_files = o->max_chars = 0;
    o->context = messages;
}

static Status languages(MineOptions *o, const char *list)
{
    if (!list) return OK;
    memset(o->lang, 0, sizeof o->lang);
    size_t n;
    for (const char *rest = list, *p; str_next(&rest, ",", &p, &n);) {
        char name[16];
        snprintf(name, sizeof name, "%.*s", (int)(n < 15 ? n : 15), p);
        Lang lang = lang_find(name);
        if (lang == LANG_NONE) return err_fail(E_CONFIG, "--lang %s: '%s' is no language that is known", list, name);
        o->lang[lang] = true;
    }
    return OK;
}

static void say_left_out(int64_t n, const char *why)
{
    print_err("%lld %s left out: %s\n", (long long)n, str_plural(n, "commit is", "commits are"), why);
}

/* Extracts the repository's commits with progress, then reports remarks and how many were left out and why. */
static Status mine_all(const Prediction *w, const MineOptions *o)
{
    Mine *m;
    Arena arena = arena_open((size_t)1 << 36);
    const Progress line = {"predict/mine", args_quiet(w->args), clock_now()};
    Status s = mine_open(&m, &arena, o);
    if (!s) {
        const MineStats *stats = mine_stats(m);
        for (bool more = true; more && !s && !signals_seen();) {
            s = mine_step(m, &more);
            progress_show(&line, &(Stage){"commits", stats->done, stats->total, NAN}, -1);
        }
        progress_clear();
        for (const char *said; (said = mine_remark(m));)
            if (!args_quiet(w->args)) print_err("%s\n", said);
        for (int k = 1; k < MINE_REASONS && !args_quiet(w->args); k++)
            if (stats->count[k]) say_left_out(stats->count[k], MINE_SAYS[k]);
        Status closed = mine_close(m);
        if (!s) s = closed;
        if (!s && signals_seen()) s = err_fail(E_INTERRUPT, "interrupted before the end");
    }
    arena_close(&arena);
    return s;
}

/* Records go through a file without a name, which ends with the process, whatever ends that. */
static Status read_repository(Prediction *w, const char *repository, const char *range)
{
    MineOptions o;
    const char *under = getenv("TMPDIR");
    char *file = str_print(w->run, "%s/vernier-XXXXXX", under && *under ? under : "/tmp");
    mine_everything(&o, w->kind->messages);
    TRY(languages(&o, args_text(w->args, "lang", NULL)));
    int fd = mkostemp(file, O_CLOEXEC);
    if (fd < 0) return err_fail(E_IO, "%s: %s", file, strerror(errno));
    unlink(file);
    o.path = o.repo = repository, o.range = range;
    o.out = str_print(w->run, "/proc/self/fd/%d", fd);
    Status s = mine_all(w, &o);
    if (!s && !access(o.out, R_OK)) s = jit_read(&w->set, w->run, o.out);
    if (s == E_MISMATCH) {
        err_clear();
        s = err_fail(E_MISMATCH, "%s: %s has no commit with source code", repository, range ? range : "HEAD");
    }
    close(fd);
    return s;
}

/* ---- the command */

/* Merges have no features, and no message of theirs is about lines: neither task takes them, from a file either. */
static Status leave_out_merges(Prediction *w, const char *from)
{
    JitSet *s = &w->set;
    int64_t kept = 0, all = s->n;
    for (int64_t i = 0; i < all; i++)
        if (s->change[i].n_parents < 2) s->change[kept++] = s->change[i];
    s->n = kept;
    jit_count(s);
    if (!kept)
        return err_fail(E_MISMATCH, "%s: all %lld %s, expected others", from, (long long)all,
                        str_plural(all, "commit is a merge", "commits are merges"));
    if (kept < all && !args_quiet(w->args)) say_left_out(all - kept, MINE_SAYS[MINE_merge]);
    return OK;
}

static const PredictKind KINDS[] = {{&TASK_JIT, false, predict_defects}, {&TASK_CMG, true, predict_messages}, {0}};

static const PredictKind *kind_of(const Task *task)
{
    const PredictKind *k = KINDS;
    while (k->task && k->task != task) k++;
    return k->task ? k : NULL;
}

/* What can be said of the words before any file is read. */
static Status check_words(const Args *a)
{
    if (args_given(a, "json") && args_given(a, "csv"))
        return err_fail(E_CONFIG, "--json and --csv are two forms of the same; give one");
    if (!args_given(a, "repo") && args_count(a) < 2)
        return err_fail(E_CONFIG, "predict needs a FILE of change records or texts, or --repo PATH");
    return OK;
}

static Status check(const Args *a)
{
    TRY(check_words(a));
    TRY(file_there(args_at(a, 0)));
    return file_there(args_given(a, "repo") ? args_text(a, "repo", NULL) : args_at(a, 1));
}

static Status predict_with(Prediction *w)
{
    const Args *a = w->args;
    const char *repository = args_text(a, "repo", NULL), *what = args_count(a) > 1 ? args_at(a, 1) : NULL;
    LoadOptions how;
    TRY(check_words(a));
    w->json = args_given(a, "json"), w->csv = args_given(a, "csv");
    TRY(read_load(&how, a));
    TRY(predictor_open(&w->p, w->run, args_at(a, 0), &how));
    w->kind = kind_of(w->p.task);
    if (!w->kind && repository)
        return err_fail(E_CONFIG, "--repo is for commits; %s %s", w->p.dir,
                        w->p.task->own ? "predicts for rows of a table" : "scores texts");
    if (w->p.task->own) return predict_rows(w, what);
    if (args_given(a, "text-pair-column") || args_given(a, "label-column") || args_given(a, "text-column"))
        return err_fail(E_CONFIG, "columns are for a task on a table; %s is of --task %s", w->p.dir, w->p.task->name);
    if (!w->kind) return predict_texts(w, what);
    TRY(repository ? read_repository(w, repository, what) : jit_read(&w->set, w->run, what));
    TRY(leave_out_merges(w, repository ? repository : what));
    return w->kind->predict(w);
}

static Status predict(const Args *a)
{
    Prediction w = {.args = a, .run = args_arena(a), .step = arena_open((size_t)1 << 36)};
    Status s = predict_with(&w);
    predictor_close(&w.p);
    arena_close(&w.step);
    return s;
}

static const Option OPTIONS[] = {
    {"repo", "PATH", "read the commits of a git repository, without merges; features come from its history"},
    {"lang", "LIST", "with --repo: java, c, cpp, csharp, python, javascript (default all)"},
    {"top", "N",
     "defects: list only the N riskiest (default 20; 0 or --json or --csv: all); messages, tables: only the first N"},
    {"text-column", "NAME", "tables: the column of the text (default: as tuned)"},
    {"text-pair-column", "NAME", "tables: the column of the second text (default: as tuned)"},
    {"label-column", "NAME", "tables: the column of the label, for measures (default: as tuned, where it is there)"},
    {"lines", "N", "defects: number of lines shown for each commit that is called defective (default 3)"},
    {"lines-by", "WHICH",
     "defects: rank lines by the attention to their own tokens (occurrence, the default), or added lines by that to "
     "all tokens of the same text (token, as JIT-Fine publishes it)"},
    {"threshold", "P", "defects: call a commit defective if its score is at least P (default: as tuned, 0.5)"},
    {"per-split", NULL, "defects: standardise features by the statistics of these commits, as published"},
    {"features", "N", "defects: 13 omits the feature fix (default: as tuned, 14)"},
    {"num-beams", "N",
     "messages: beam search with N beams (default: the model folder's, or 1: the most probable token at each step)",
     .alias = "beams"},
    {"max-new-tokens", "N", "messages: maximum number of tokens (default: the model folder's, or 64)",
     .alias = "max"},
    {"no-generation-config", NULL, "messages: ignore the settings of generation in the model's folder"},
    {"verbose", NULL, "messages: report each setting of generation and where it comes from"},
    LOAD_OPTIONS,
    {"train", "FILE",
     "messages: the training changes; adds the scores of two baselines, retrieval and the most frequent message"},
    {"meteor", "DIR", "messages: METEOR 1.5's word lists (function.english.words, nonbreaking.english.prefixes)"},
    {"wordnet", "DIR", "messages: WordNet 3, for synonyms; default: /usr/share/wordnet (Debian's wordnet-base)"},
    {"json", NULL, "print everything as JSON"},
    {"csv", NULL, "print a row per commit, text or row; vernier score reads those of defects and of tables"},
    {0}};
static const Choice CHOICES[] = {{"lang", "java|c|cpp|csharp|python|javascript"},
                                 {"features", "13|14"},
                                 {"lines-by", "occurrence|token"},
                                 DTYPE_CHOICE,
                                 {0}};
static const Command PREDICT = {
    .name = "predict",
    .summary = "predict with a model of vernier tune: classes and numbers, risky commits, messages, scores of texts",
    .usage = "[options] DIR FILE | DIR --repo PATH [A..B]",
    .about =
        "DIR is a directory that vernier tune has written.  Tables (--task classify, pair or regress): a class with "
        "its "
        "probability, or a number, for each row; measures with 95 % bootstrap intervals follow where the table has "
        "labels.  Defects: commits are ranked by their risk.  The lines of "
        "a risky commit are ranked by the attention that the pooled token pays to them in the last layer.  With "
        "the words baseline they are ranked by the weights of their words.  The ranking is a hint where to look "
        "first, not an explanation.  If every commit has a label, the measures of the model and of random scores "
        "follow.  Messages: one message is written for each commit.  If every commit has its own message, measures "
        "against these follow.  --train adds two baselines: the message of the most similar training change "
        "(retrieval, NNGen) and the most frequent training message.  Texts (--task lm): loss in nats per token and "
        "perplexity of each text, and of all; the tokens that the tuning scored are scored.",
    .example = "vernier predict stars new.csv\n"
               "  vernier predict defects new.jsonl\n"
               "  vernier predict defects --repo ~/src/project v1.0..HEAD --lang java\n"
               "  vernier predict writer --train train.jsonl test.jsonl",
    .options = OPTIONS,
    .choices = CHOICES,
    .least = 1,
    .most = 2,
    .ranks = true,
    .run = predict,
    .check = check};
REGISTER(command, PREDICT)

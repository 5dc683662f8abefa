/* vernier predict: which of these commits introduce a defect, the likeliest first, and which of their lines speak for
 * it most. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"
#include "cli/run.h"
#include "cli/tune.h"
#include "tasks/mine.h"

typedef struct {
    const Args *args;
    Arena *run;
    Predictor p;
    JitSet set;
    double *score;
    int64_t *order; /* (N) by score, descending */
    bool labelled;  /* all of them, of both classes */
    int64_t top, most_lines;
    Arena step;
} Prediction;

/* ---- commits from a repository */

static void mine_everything(MineOptions *o)
{
    mine_defaults(o);
    o->whole_message = o->features = o->mixed = true;
    for (int k = 0; k < SUBJECT_KINDS; k++) o->keep[k] = true;
    o->min_words = o->max_words = 0;
    o->max_files = o->max_chars = 0;
    o->context = 0;
}

static Status languages(MineOptions *o, const char *list)
{
    if (!list) return OK;
    memset(o->lang, 0, sizeof o->lang);
    for (const char *p = list; *p;) {
        size_t n = strcspn(p, ",");
        char name[16];
        snprintf(name, sizeof name, "%.*s", (int)(n < 15 ? n : 15), p);
        Lang lang = lang_find(name);
        if (lang == LANG_NONE) return fail(E_CONFIG, "--lang %s: '%s' is no language that is known", list, name);
        o->lang[lang] = true;
        p += n + (p[n] == ',');
    }
    return OK;
}

static Status mine_all(const Prediction *w, const MineOptions *o)
{
    Mine *m;
    Arena arena = arena_open((size_t)1 << 36);
    const Run line = {.experiment = &(Experiment){.group = "predict", .name = "mine"},
                      .quiet = args_quiet(w->args),
                      .started = clock_now()};
    Status s = mine_open(&m, &arena, o);
    if (!s) {
        const MineStats *stats = mine_stats(m);
        for (bool more = true; more && !s && !signals_seen();) {
            s = mine_step(m, &more);
            progress_show(&line, &(Stage){"commits", stats->done, stats->total, NAN}, -1);
        }
        progress_clear();
        for (int k = 1; k < MINE_REASONS && !args_quiet(w->args); k++)
            if (stats->count[k])
                fprintf(stderr, "%lld commits are left out: %s\n", (long long)stats->count[k], MINE_SAYS[k]);
        Status closed = mine_close(m);
        if (!s) s = closed;
        if (!s && signals_seen()) s = fail(E_INTERRUPT, "interrupted before the end");
    }
    arena_close(&arena);
    return s;
}

/* Records go through a file of their own, which is gone afterwards. */
static Status read_repository(Prediction *w, const char *repository, const char *range)
{
    MineOptions o;
    const char *under = getenv("TMPDIR");
    char *dir = str_print(w->run, "%s/vernier-XXXXXX", under && *under ? under : "/tmp");
    mine_everything(&o);
    TRY(languages(&o, args_text(w->args, "lang", NULL)));
    if (!mkdtemp(dir)) return fail(E_IO, "%s: a temporary directory cannot be made", dir);
    o.path = o.repo = repository, o.range = range;
    o.out = str_print(w->run, "%s/commits.jsonl", dir);
    Status s = mine_all(w, &o);
    if (!s && !access(o.out, R_OK)) s = jit_read(&w->set, w->run, o.out);
    if (s == E_MISMATCH) {
        err_clear();
        s = fail(E_MISMATCH, "%s: %s has no commit with source code", repository, range ? range : "HEAD");
    }
    static const char *const LEFT[] = {"", ".part", ".state"};
    for (int i = 0; i < 3; i++) unlink(str_print(w->run, "%s%s", o.out, LEFT[i]));
    rmdir(dir);
    return s;
}

/* ---- scores */

typedef struct {
    double score;
    int64_t i;
} Ranked;

static int descending(const void *a, const void *b)
{
    const Ranked *x = a, *y = b;
    if (x->score < y->score || x->score > y->score) return x->score > y->score ? -1 : 1;
    return (x->i > y->i) - (x->i < y->i);
}

typedef struct {
    Run line;
    int64_t total;
} Watch;

static bool watch(int64_t done, void *user)
{
    const Watch *w = user;
    progress_show(&w->line, &(Stage){"scoring", done, w->total, NAN}, -1);
    return !signals_seen();
}

static Status score(Prediction *w)
{
    int64_t n = w->set.n;
    w->score = NEW(w->run, double, n);
    w->order = NEW(w->run, int64_t, n);
    Watch watched = {{.experiment = &(Experiment){.group = "predict", .name = w->p.method},
                      .quiet = args_quiet(w->args),
                      .started = clock_now()},
                     n};
    Status s = predictor_score(w->score, &w->p, w->run, &w->step, &w->set, watch, &watched);
    progress_clear();
    TRY(s);
    Ranked *rank = NEW(w->run, Ranked, n);
    for (int64_t i = 0; i < n; i++) rank[i] = (Ranked){w->score[i], i};
    qsort(rank, (size_t)n, sizeof *rank, descending);
    for (int64_t r = 0; r < n; r++) w->order[r] = rank[r].i;
    w->labelled = !w->set.unlabelled && w->set.positives && w->set.positives < n;
    return OK;
}

static bool risky(const Prediction *w, int64_t i)
{
    return w->score[i] >= w->p.threshold;
}

/* At most `most` characters, none of them a control character: what others wrote goes to a terminal here. */
static void print_text(const char *s, size_t n, int most)
{
    for (size_t i = 0, k; i < n && most-- > 0; i += k) {
        k = utf8_length(s + i, n - i);
        bool plain =
            k && (unsigned char)s[i] >= 32 && s[i] != 127 && !(s[i] == (char)0xc2 && (unsigned char)s[i + 1] < 160);
        if (plain)
            fwrite(s + i, 1, k, stdout);
        else
            putchar(s[i] == '\t' ? ' ' : '?');
        if (!k) k = 1;
    }
    putchar('\n');
}

static int subject(const CodeChange *c)
{
    return (int)strcspn(c->message, "\r\n");
}

/* ---- what is printed */

static void print_lines(const CodeChange *c, const RiskyLine *line, int64_t n, int64_t most)
{
    for (int64_t k = 0; k < n && k < most; k++) {
        const ChangeFile *f = &c->file[line[k].file];
        const ChangeLine *l = &f->line[line[k].line];
        size_t blanks = strspn(l->text, " \t");
        printf("    %7.4f  %s%s%c ", line[k].score, f->new_path, *f->new_path ? ": " : "",
               l->kind == LINE_ADD ? '+' : '-');
        print_text(l->text + blanks, l->len > blanks ? l->len - blanks : 0, 100);
    }
}

static Status print_table(Prediction *w)
{
    int64_t called = 0, n = w->set.n;
    for (int64_t i = 0; i < n; i++) called += risky(w, i);
    printf("%lld commits, %lld called defective (score from %.4g on)\n\n", (long long)n, (long long)called,
           w->p.threshold);
    printf("%5s %7s%s %7s  %-10s  %s\n", "", "score", w->labelled ? " label" : "", "lines", "id", "subject");
    for (int64_t r = 0; r < n && (!w->top || r < w->top); r++) {
        int64_t i = w->order[r];
        const CodeChange *c = &w->set.change[i];
        printf("%5lld %7.4f", (long long)r + 1, w->score[i]);
        if (w->labelled) printf(" %5d", c->label);
        printf(" %7.0f  %-10.10s  ", jit_effort(c), c->id);
        print_text(c->message, (size_t)subject(c), 72);
        if (!w->most_lines || !risky(w, i)) continue;
        RiskyLine *line;
        int64_t lines;
        ArenaMark mark = arena_mark(w->run);
        TRY(predictor_lines(&line, &lines, &w->p, w->run, &w->step, c, (int32_t)i));
        print_lines(c, line, lines, w->most_lines);
        arena_drop(w->run, mark);
    }
    if (w->top && n > w->top) printf("... and %lld more (--top 0 lists all)\n", (long long)(n - w->top));
    if (!w->labelled) return OK;
    JitScores s = jit_scores(&w->set, w->score, w->p.threshold), random = jit_random(&w->set, 1);
    printf("\n");
    jit_print_scores("against the labels", &s, &random);
    return OK;
}

static void csv_text(const char *s, int n)
{
    putchar('"');
    for (int i = 0; i < n; i++) {
        if (s[i] == '"') putchar('"');
        putchar(s[i]);
    }
    putchar('"');
}

static void print_csv(const Prediction *w)
{
    printf("rank,score,%seffort,id,repo,subject\n", w->set.unlabelled ? "" : "label,");
    for (int64_t r = 0; r < w->set.n && (!w->top || r < w->top); r++) {
        int64_t i = w->order[r];
        const CodeChange *c = &w->set.change[i];
        printf("%lld,%.9g,", (long long)r + 1, w->score[i]);
        if (!w->set.unlabelled) printf("%d,", c->label);
        printf("%.0f,", jit_effort(c));
        csv_text(c->id, (int)strlen(c->id)), putchar(',');
        csv_text(c->repo, (int)strlen(c->repo)), putchar(',');
        csv_text(c->message, subject(c)), putchar('\n');
    }
}

static Status commit_json(cJSON **out, Prediction *w, int64_t i)
{
    const CodeChange *c = &w->set.change[i];
    cJSON *o = *out = cJSON_CreateObject();
    cJSON_AddNumberToObject(o, "score", w->score[i]);
    cJSON_AddBoolToObject(o, "defective", risky(w, i));
    if (c->label >= 0) cJSON_AddNumberToObject(o, "label", c->label);
    cJSON_AddNumberToObject(o, "effort", jit_effort(c));
    cJSON_AddStringToObject(o, "id", c->id);
    cJSON_AddStringToObject(o, "repo", c->repo);
    cJSON_AddStringToObject(o, "subject", str_copy(w->run, c->message, (size_t)subject(c)));
    if (!w->most_lines || !risky(w, i)) return OK;
    RiskyLine *line;
    int64_t n;
    TRY(predictor_lines(&line, &n, &w->p, w->run, &w->step, c, (int32_t)i));
    cJSON *list = cJSON_AddArrayToObject(o, "lines");
    for (int64_t k = 0; k < n && k < w->most_lines; k++) {
        const ChangeFile *f = &c->file[line[k].file];
        cJSON *one = cJSON_CreateObject();
        cJSON_AddNumberToObject(one, "score", line[k].score);
        cJSON_AddStringToObject(one, "file", f->new_path);
        cJSON_AddStringToObject(one, "kind", f->line[line[k].line].kind == LINE_ADD ? "added" : "removed");
        cJSON_AddStringToObject(one, "text", f->line[line[k].line].text);
        cJSON_AddItemToArray(list, one);
    }
    return OK;
}

static Status print_json(Prediction *w)
{
    Status s = OK;
    cJSON *root = cJSON_CreateObject();
    cJSON_AddNumberToObject(root, "threshold", w->p.threshold);
    if (w->labelled) {
        JitScores x = jit_scores(&w->set, w->score, w->p.threshold), random = jit_random(&w->set, 1);
        cJSON_AddItemToObject(root, "measures", jit_scores_json(&x));
        cJSON_AddItemToObject(root, "random", jit_scores_json(&random));
    }
    cJSON *list = cJSON_AddArrayToObject(root, "commits");
    for (int64_t r = 0; !s && r < w->set.n && (!w->top || r < w->top); r++) {
        cJSON *one;
        s = commit_json(&one, w, w->order[r]);
        cJSON_AddItemToArray(list, one);
    }
    if (!s) {
        char *text = cJSON_Print(root);
        puts(text);
        cJSON_free(text);
    }
    cJSON_Delete(root);
    return s;
}

/* ---- the command */

static Status predict_with(Prediction *w)
{
    const Args *a = w->args;
    bool json = args_given(a, "json"), csv = args_given(a, "csv");
    const char *repository = args_text(a, "repo", NULL), *what = args_count(a) > 1 ? args_at(a, 1) : NULL;
    if (json && csv) return fail(E_CONFIG, "--json and --csv are two forms of the same; give one");
    if (!repository && !what) return fail(E_CONFIG, "predict needs a FILE of change records, or --repo PATH");
    TRY(args_int(&w->top, a, "top", json || csv ? 0 : 20, 0, INT32_MAX));
    TRY(args_int(&w->most_lines, a, "lines", 3, 0, INT32_MAX));
    TRY(predictor_open(&w->p, w->run, args_at(a, 0), a));
    TRY(args_real(&w->p.threshold, a, "threshold", w->p.threshold, 0, 1));
    if (args_given(a, "per-split")) w->p.per_split = true;
    TRY(repository ? read_repository(w, repository, what) : jit_read(&w->set, w->run, what));
    TRY(score(w));
    if (csv) print_csv(w);
    return json ? print_json(w) : csv ? OK : print_table(w);
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
    {"repo", "PATH", "take the commits of a git repository, with features from its history, merges left out"},
    {"lang", "LIST", "with --repo: java, c, cpp, csharp, python, javascript (default all)"},
    {"top", "N", "list so many (default 20; 0, and with --json or --csv: all)"},
    {"lines", "N", "lines shown of a commit that is called defective (default 3)"},
    {"threshold", "P", "call a commit defective from this score on (default: as tuned, 0.5)"},
    {"per-split", NULL, "standardise features by the statistics of these commits, as published"},
    {"json", NULL, "everything as JSON"},
    {"csv", NULL, "a row per commit, which vernier score --task defect reads"},
    {0}};
static const Command PREDICT = {
    .name = "predict",
    .summary = "rank commits by their risk of a defect, with a model of vernier tune",
    .usage = "[options] DIR FILE | DIR --repo PATH [A..B]",
    .about =
        "DIR is what vernier tune made.  Lines of a risky commit are ranked by the attention that the pooled token "
        "pays "
        "to them in the last layer, or, with a predictor of words, by the weights of their words: a hint where to "
        "look "
        "first, not an explanation.  Where every commit has a label, measures follow, beside what random scores get.",
    .example = "vernier predict defects new.jsonl\n"
               "  vernier predict defects --repo ~/src/project v1.0..HEAD --lang java",
    .options = OPTIONS,
    .least = 1,
    .most = 2,
    .run = predict};
REGISTER(command, PREDICT)

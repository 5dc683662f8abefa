/* vernier score: predictions that any program made, against the truth; every measure with its variant, a bootstrap
 * interval over rows, and, for two systems, the difference on the same rows. */
#include <math.h>
#include <string.h>

#include "base/lines.h"
#include "base/print.h"
#include "base/rng.h"
#include "cli/predict.h"
#include "io/columns.h"
#include "io/json.h"
#include "num/stats.h"
#include "tasks/effort.h"
#include "tasks/score.h"

enum { MOST = 16 };
typedef struct {
    int n; /* measures */
    MetricName name[MOST];
    double value[MOST];
    Interval ci95[MOST];
    Contrast contrast[MOST]; /* with --against */
    bool paired, drawn;
} Sheet;

/* ---- what is printed */

/* 23 columns. */
static void print_interval(Interval i, bool drawn)
{
    if (drawn && isfinite(i.lo))
        print_out("%11.4f to %8.4f", i.lo, i.hi);
    else
        print_out("%23s", drawn ? "n/a" : "");
}

static void print_table(const Sheet *t, const char *against)
{
    print_out("%-24s %10s %23s", "measure", "value", t->drawn ? "95 % interval" : "");
    if (t->paired) print_out(" %12s %23s %8s", "difference", t->drawn ? "95 % interval" : "", t->drawn ? "p" : "");
    print_out("  variant\n");
    for (int k = 0; k < t->n; k++) {
        if (isnan(t->value[k])) continue;
        print_out("%-24s %10.4f ", t->name[k].name, t->value[k]);
        print_interval(t->ci95[k], t->drawn);
        const Contrast *c = &t->contrast[k];
        if (t->paired) {
            print_out(" %+12.4f ", c->difference);
            print_interval(c->ci95, t->drawn);
            if (t->drawn && isfinite(c->p))
                print_out(" %8.3g", c->p);
            else
                print_out(" %8s", t->drawn ? "n/a" : "");
        }
        print_out("  %s\n", t->name[k].variant);
    }
    if (t->paired) print_out("difference: less %s, on the same rows\n", against);
}

static void add_number(cJSON *o, const char *key, double x)
{
    if (isfinite(x))
        cJSON_AddNumberToObject(o, key, x);
    else
        cJSON_AddNullToObject(o, key);
}

static void add_interval(cJSON *o, const char *key, Interval i)
{
    cJSON *pair = isfinite(i.lo) ? cJSON_CreateDoubleArray((const double[]){i.lo, i.hi}, 2) : cJSON_CreateNull();
    cJSON_AddItemToObject(o, key, pair);
}

static void print_json(const Sheet *t, cJSON *root)
{
    cJSON *list = cJSON_AddArrayToObject(root, "metrics");
    for (int k = 0; k < t->n; k++) {
        cJSON *m = cJSON_CreateObject();
        cJSON_AddStringToObject(m, "name", t->name[k].name);
        cJSON_AddStringToObject(m, "variant", t->name[k].variant);
        add_number(m, "value", t->value[k]);
        if (t->drawn) add_interval(m, "ci95", t->ci95[k]);
        if (t->paired) add_number(m, "difference", t->contrast[k].difference);
        if (t->paired && t->drawn) {
            add_interval(m, "difference_ci95", t->contrast[k].ci95);
            add_number(m, "p", t->contrast[k].p);
        }
        cJSON_AddItemToArray(list, m);
    }
    char *text = json_printed(root, false);
    print_document(text);
    cJSON_free(text);
    cJSON_Delete(root);
}

/* Values, and intervals where draws are wanted, of system `a` and against system `b` (NULL: none). */
static Status measure(Sheet *t, const Args *args, int64_t n, StatsFn *stat, void *a, void *b)
{
    int64_t draws, seed, *all = NEW(args_arena(args), int64_t, n);
    TRY(args_int(&draws, args, "draws", 1000, 0, 1000000));
    TRY(args_int(&seed, args, "seed", 1, 0, INT64_MAX));
    uint64_t stream = rng_stream((uint64_t)seed, "score");
    for (int64_t i = 0; i < n; i++) all[i] = i;
    stat(t->value, all, n, a);
    t->drawn = draws >= 2, t->paired = b;
    if (t->drawn) stats_bootstrap_all(t->ci95, t->n, n, stat, a, (int)draws, stream);
    if (b) stats_bootstrap_paired(t->contrast, t->n, n, stat, a, b, (int)draws, stream);
    return OK;
}

/* ---- defects */

enum { DEFECT_METRICS = 11 };
typedef struct {
    int64_t n;
    double *label, *score, *effort; /* effort NULL: unknown */
    double threshold;
    int32_t *l; /* (n) each: the drawn rows */
    double *s, *e;
} Defects;

static void defect_stats(double *out, const int64_t *index, int64_t n, void *user)
{
    Defects *d = user;
    for (int64_t i = 0; i < n; i++) {
        d->l[i] = (int32_t)d->label[index[i]], d->s[i] = d->score[index[i]];
        if (d->effort) d->e[i] = d->effort[index[i]];
    }
    BinaryScores b = score_binary(d->l, d->s, n, d->threshold);
    EffortScores e = {NAN, NAN, NAN, NAN};
    if (d->effort) e = effort_scores(d->l, d->s, d->e, n);
    const double all[DEFECT_METRICS] = {
        b.precision, b.recall,       b.f1,           b.mcc,  b.auc, b.average_precision,
        b.brier,     e.recall_at_20, e.effort_at_20, e.popt, e.ifa};
    memcpy(out, all, sizeof all);
}

static Status check_labels(const double *label, int64_t n, const char *path)
{
    for (int64_t i = 0; i < n; i++)
        if (label[i] > 1 || label[i] < 0 || (label[i] > 0 && label[i] < 1))
            return fail(E_FORMAT, "%s: row %lld: label %g, expected 0 or 1", path, (long long)i + 1, label[i]);
    return OK;
}

static Status read_defects(Defects *d, Defects *other, const Args *a, const char *path)
{
    Arena *arena = args_arena(a);
    double *column[4];
    const char *wanted[4] = {args_text(a, "label", "label"), args_text(a, "score", "score"),
                             args_text(a, "against", NULL), args_text(a, "effort", "effort")};
    bool against = wanted[2];
    if (!against) wanted[2] = wanted[1];
    int64_t n;
    Status read = columns_read(column, &n, arena, path, 4, wanted);
    bool effort = !read;
    if (read) { /* a file without that column is no error unless the column was named */
        bool lacking =
            strstr(err_message(), "no column is called 'effort'") || strstr(err_message(), "'effort' is absent");
        if (args_given(a, "effort") || !lacking) return read;
        err_clear();
        TRY(columns_read(column, &n, arena, path, 3, wanted));
        if (!args_quiet(a))
            print_err("%s has no column 'effort': no effort-aware measures (--effort names one)\n", path);
    }
    TRY(check_labels(column[0], n, path));
    for (int64_t i = 0; i < n && effort; i++)
        if (column[3][i] < 0)
            return fail(E_FORMAT, "%s: row %lld: effort %g, expected 0 or more", path, (long long)i + 1,
                        column[3][i]);
    *d = (Defects){.n = n, .label = column[0], .score = column[1], .effort = effort ? column[3] : NULL};
    TRY(args_real(&d->threshold, a, "threshold", 0.5, -1e300, 1e300));
    d->l = NEW(arena, int32_t, n), d->s = NEW(arena, double, n), d->e = NEW(arena, double, n);
    *other = *d;
    other->score = against ? column[2] : NULL;
    return OK;
}

static Status score_defects(const Args *a)
{
    Arena *arena = args_arena(a);
    Defects d, other;
    if (args_count(a) != 1) return fail(E_CONFIG, "--task defect scores one FILE with a line per commit");
    TRY(read_defects(&d, &other, a, args_at(a, 0)));
    const char *at = str_print(arena, "of class 1, score >= %g", d.threshold);
    Sheet t = {.n = DEFECT_METRICS,
               .name = {{"precision", at},
                        {"recall", at},
                        {"F1", at},
                        {"MCC", str_print(arena, "score >= %g", d.threshold)},
                        {"AUC", "area under the ROC curve, a tie counts half"},
                        {"average precision", "sum of recall gained x precision"},
                        {"Brier", "mean squared error, for scores that are probabilities"},
                        {"recall at 20 % effort", "read by score / effort; higher is better"},
                        {"effort at 20 % recall", "the same order; lower is better"},
                        {"Popt", "the same order; random scores give about .8, not .5"},
                        {"IFA", "clean commits before the first defect; lower is better"}}};
    TRY(measure(&t, a, d.n, defect_stats, &d, other.score ? &other : NULL));
    int64_t positives = 0;
    for (int64_t i = 0; i < d.n; i++) positives += d.label[i] > 0;
    if (args_given(a, "json")) {
        cJSON *root = cJSON_CreateObject();
        cJSON_AddStringToObject(root, "task", "defect");
        cJSON_AddNumberToObject(root, "rows", (double)d.n);
        cJSON_AddNumberToObject(root, "defects", (double)positives);
        print_json(&t, root);
        return OK;
    }
    print_out("%s: %lld rows, %lld of class 1\n", args_at(a, 0), (long long)d.n, (long long)positives);
    print_table(&t, args_text(a, "against", ""));
    return OK;
}

/* ---- lines of defective commits */

enum { LINE_METRICS = 5 };

static void line_stats(double *out, const int64_t *index, int64_t n, void *user)
{
    const LineScores *commit = user;
    for (int k = 0; k < LINE_METRICS; k++) out[k] = 0;
    for (int64_t i = 0; i < n; i++) {
        const LineScores *c = &commit[index[i]];
        const double all[LINE_METRICS] = {c->ifa, c->top_5, c->top_10, c->recall_at_20, c->effort_at_20};
        for (int k = 0; k < LINE_METRICS; k++) out[k] += all[k] / (double)n;
    }
}

static Status score_lines(const Args *a)
{
    Arena *arena = args_arena(a);
    if (args_count(a) != 1) return fail(E_CONFIG, "--task lines scores one FILE with a row per line of code");
    const char *path = args_at(a, 0), *other = args_text(a, "against", NULL);
    const char *score = args_text(a, "score", "score");
    const char *wanted[] = {args_text(a, "label", "label"), args_text(a, "commit", "commit"), score,
                            other ? other : score};
    double *column[4];
    int64_t rows, n = 0, clean = 0;
    TRY(columns_read(column, &rows, arena, path, 4, wanted));
    TRY(check_labels(column[0], rows, path));
    int32_t *label = NEW(arena, int32_t, rows);
    LineScores *of[2] = {NEW(arena, LineScores, rows), NEW(arena, LineScores, rows)};
    for (int64_t i = 0, j; i < rows; i = j) { /* rows i..j-1 are a commit's */
        bool faulty = false;
        for (j = i; j < rows && column[1][j] == column[1][i]; j++) faulty |= label[j] = (int32_t)column[0][j];
        clean += !faulty;
        for (int k = 0; k < 2 && faulty; k++) of[k][n] = effort_lines(label + i, column[2 + k] + i, j - i);
        n += faulty;
    }
    if (!n) return fail(E_MISMATCH, "%s: no commit has a faulty line, expected label 1 somewhere", path);
    Sheet t = {.n = LINE_METRICS,
               .name = {{"IFA", "clean lines before the first faulty one, mean over commits; lower is better"},
                        {"top-5 accuracy", "faulty lines among the first 5"},
                        {"top-10 accuracy", "faulty lines among the first 10"},
                        {"recall at 20 % effort", "faulty lines in the first fifth"},
                        {"effort at 20 % recall", "share of lines until a fifth is found; lower is better"}}};
    TRY(measure(&t, a, n, line_stats, of[0], other ? of[1] : NULL));
    if (args_given(a, "json")) {
        cJSON *root = cJSON_CreateObject();
        cJSON_AddStringToObject(root, "task", "lines");
        cJSON_AddNumberToObject(root, "rows", (double)rows);
        cJSON_AddNumberToObject(root, "commits", (double)n);
        print_json(&t, root);
        return OK;
    }
    print_out("%s: %lld lines, %lld commits with a faulty one (%lld without are left out)\n", path, (long long)rows,
              (long long)n, (long long)clean);
    print_table(&t, other);
    return OK;
}

/* ---- messages */

static Status read_lines(Bytes **line, int64_t *n, Arena *a, const char *path)
{
    Bytes text;
    TRY(text_read(&text, a, path, BYTES_UTF8));
    *n = messages_lines(line, a, text);
    return OK;
}

Status message_tools(Meteor **meteor, Synonyms **wordnet, const Args *a)
{
    static const char *const DEBIAN = "/usr/share/wordnet";
    Arena *arena = args_arena(a);
    const char *folder = args_text(a, "meteor", NULL);
    *meteor = NULL;
    *wordnet = NEW(arena, Synonyms, 1);
    Status opened = synonyms_open(*wordnet, arena, args_text(a, "wordnet", DEBIAN));
    if (opened) {
        if (args_given(a, "wordnet")) return opened;
        err_clear();
        *wordnet = NULL;
    }
    if (!folder) return OK;
    Synonyms *own = NEW(arena, Synonyms, 1); /* METEOR's tables, or WordNet where it has none */
    if (synonyms_open(own, arena, folder)) {
        err_clear();
        own = *wordnet;
    }
    return meteor_open(meteor, arena, folder, own);
}

static Status add_perplexity(Sheet *t, const Args *a, int64_t n)
{
    static const char *const WANTED[] = {"loss", "tokens"};
    const char *path = args_text(a, "losses", NULL);
    double *column[2];
    int64_t rows;
    if (!path) return OK;
    TRY(columns_read(column, &rows, args_arena(a), path, 2, WANTED));
    if (rows != n)
        return fail(E_MISMATCH, "%s has %lld rows, expected one for each of the %lld messages", path, (long long)rows,
                    (long long)n);
    t->name[t->n] = (MetricName){"perplexity", "exp of the mean loss per token"};
    t->ci95[t->n] = t->contrast[t->n].ci95 = (Interval){NAN, NAN};
    t->contrast[t->n].difference = t->contrast[t->n].p = NAN;
    t->value[t->n++] = messages_perplexity(column[0], column[1], n);
    return OK;
}

static Status score_messages(const Args *a)
{
    if (args_count(a) != 2)
        return fail(E_CONFIG, "--task messages scores a file PRED against a file GOLD, line by line");
    Arena *arena = args_arena(a);
    const char *path[3] = {args_at(a, 0), args_at(a, 1), args_text(a, "against", NULL)};
    Bytes *line[3];
    int64_t n[3];
    for (int k = 0; k < 3 && path[k]; k++) {
        TRY(read_lines(&line[k], &n[k], arena, path[k]));
        if (n[k] != n[0])
            return fail(E_MISMATCH, "%s has %lld lines and %s has %lld; expected one prediction a line of gold",
                        path[0], (long long)n[0], path[k], (long long)n[k]);
    }
    if (!n[0]) return fail(E_FORMAT, "%s: is empty, expected a message a line", path[0]);
    Meteor *meteor;
    Synonyms *wordnet;
    TRY(message_tools(&meteor, &wordnet, a));
    MessageRows rows, other;
    messages_score(&rows, arena, n[0], line[1], line[0], meteor, wordnet);
    if (path[2]) messages_score(&other, arena, n[0], line[2], line[0], meteor, wordnet);
    Sheet t = {.n = MESSAGE_METRICS};
    memcpy(t.name, MESSAGE_METRIC, sizeof MESSAGE_METRIC);
    if (!wordnet) t.name[METEOR_NLTK].variant = "nltk's own, exact matches and stems alone: no WordNet here";
    meteor_close(meteor);
    TRY(measure(&t, a, n[0], messages_stats, &rows, path[2] ? &other : NULL));
    TRY(add_perplexity(&t, a, n[0]));
    if (args_given(a, "json")) {
        cJSON *root = cJSON_CreateObject();
        cJSON_AddStringToObject(root, "task", "messages");
        cJSON_AddNumberToObject(root, "rows", (double)n[0]);
        cJSON_AddNumberToObject(root, "empty", (double)rows.empty);
        print_json(&t, root);
        return OK;
    }
    print_out("%s against %s: %lld rows, in %%\n", path[1], path[0], (long long)n[0]);
    print_table(&t, path[2]);
    if (rows.empty) print_out("%lld empty predictions, which B-Norm leaves out\n", (long long)rows.empty);
    if (!rows.meteor[0]) print_out("METEOR 1.5 is left out: --meteor names the folder with its word lists\n");
    return OK;
}

/* ---- the command */

static Status score(const Args *a)
{
    static const char *const NAMES[] = {"defect", "messages", "lines", NULL};
    static Status (*const RUN[])(const Args *) = {score_defects, score_messages, score_lines};
    int task;
    if (!args_given(a, "task")) return fail(E_CONFIG, "--task is needed: defect, lines or messages");
    TRY(args_word(&task, a, "task", 0, NAMES));
    TRY(args_of(a, NAMES[task]));
    return RUN[task](a);
}

static const Option OPTIONS[] = {
    {"task", "TASK", "defect: commits with labels and scores; lines: lines of code; messages: texts, line by line"},
    {"label", "COLUMN", "0 or 1; default: label", "defect|lines"},
    {"score", "COLUMN", "higher means 1; default: score", "defect|lines"},
    {"commit", "COLUMN", "a number that neighbouring rows of one commit share; default: commit", "lines"},
    {"effort", "COLUMN", "lines to read, as in la+ld; default: effort, where there is one", "defect"},
    {"threshold", "X", "a row counts as 1 from this score on; default: 0.5", "defect"},
    {"against", "OTHER", "a second COLUMN of scores or file of predictions: differences on the same rows"},
    {"meteor", "DIR", "METEOR 1.5's word lists (function.english.words, nonbreaking.english.prefixes)", "messages"},
    {"wordnet", "DIR", "WordNet 3, for synonyms; default: /usr/share/wordnet (Debian's wordnet-base)", "messages"},
    {"losses", "FILE", "columns loss (summed nats) and tokens, a row a message: adds perplexity", "messages"},
    {"draws", "N", "bootstrap draws of rows; 0: no intervals; default: 1000"},
    {"seed", "N", "of the draws; default: 1"},
    {"json", NULL, "the table as JSON"},
    {0}};
static const Command SCORE = {
    .name = "score",
    .summary = "predictions against the truth: defect and message metrics with intervals",
    .usage = "--task TASK [options] FILE | GOLD PRED",
    .about =
        "defect, lines: FILE is CSV with a line of names, or JSON Lines, where a name may be a path (features.la) "
        "and a sum "
        "(la+ld).  messages: two text files with a message a line.  Every measure is named with its variant, since "
        "several go by one name.  Intervals are percentile bootstrap over rows; p is two-sided, of the paired "
        "bootstrap.",
    .example = "vernier score --task defect --label buggy --score p --effort la+ld commits.csv\n"
               "  vernier score --task messages --against other.txt gold.txt predicted.txt",
    .options = OPTIONS,
    .least = 1,
    .most = 2,
    .run = score};
REGISTER(command, SCORE)

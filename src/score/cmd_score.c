/* vernier score: the metrics of predictions that any program made.  Every metric has its variant and a bootstrap
 * interval over rows and, for two systems, the difference on the same rows. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/lines.h"
#include "base/print.h"
#include "base/str.h"
#include "cli/command.h"
#include "score/scores.h"
#include "io/columns.h"
#include "metric/effort.h"
#include "metric/score.h"

/* ---- defects */

enum {
    PRECISION,
    RECALL,
    F1,
    MCC,
    AUC,
    AVERAGE_PRECISION,
    BRIER,
    RECALL_AT_20,
    EFFORT_AT_20,
    POPT,
    IFA,
    DEFECT_METRICS
};
typedef struct {
    int64_t n, positives;
    double *label, *score, *effort; /* effort NULL: unknown */
    double threshold, total;        /* total effort */
    int32_t *l;                     /* (n) each: the drawn rows */
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
            return err_fail(E_FORMAT, "%s: row %lld: label %g, expected 0 or 1", path, (long long)i + 1, label[i]);
    return OK;
}

/* Scores that are divided by an effort must not be negative: more lines would give such a commit a higher rank. */
static Status check_scores(const double *score, int64_t n, const char *path)
{
    for (int64_t i = 0; i < n; i++)
        if (score[i] < 0)
            return err_fail(E_FORMAT,
                            "%s: row %lld: score %g is negative, and the order by score / effort expects "
                            "probabilities: --logits makes them of logits, --effort none leaves the effort out",
                            path, (long long)i + 1, score[i]);
    return OK;
}

static Status check_efforts(const double *effort, int64_t n, const char *path)
{
    for (int64_t i = 0; i < n; i++)
        if (effort[i] < 0)
            return err_fail(E_FORMAT, "%s: row %lld: effort %g, expected 0 or more", path, (long long)i + 1,
                            effort[i]);
    return OK;
}

static void from_logits(double *score, int64_t n)
{
    for (int64_t i = 0; i < n; i++) score[i] = 1 / (1 + exp(-score[i]));
}

/* Reads labels, scores and efforts from a file; `other` gets the scores of the --against column. */
static Status read_defects(Defects *d, Defects *other, const Args *a, const char *path)
{
    Arena *arena = args_arena(a);
    double *column[4] = {0};
    const char *effort = args_text(a, "effort", "effort"), *against = args_text(a, "against", NULL);
    const char *score = args_text(a, "score", "score");
    const char *wanted[4] = {args_text(a, "label", "label"), score, against ? against : score, effort};
    const ColumnKind kind[4] = {[3] = args_given(a, "effort") ? COLUMN_NUMBER : COLUMN_OPTIONAL};
    int64_t n;
    TRY(columns_read_as(column, &n, arena, path, strcmp(effort, "none") ? 4 : 3, wanted, kind));
    TRY(check_labels(column[0], n, path));
    if (args_given(a, "logits")) from_logits(column[1], n), from_logits(column[2], n);
    *d = (Defects){.n = n, .label = column[0], .score = column[1], .effort = column[3]};
    if (d->effort) {
        TRY(check_efforts(d->effort, n, path));
        TRY(check_scores(column[1], n, path));
        TRY(check_scores(column[2], n, path));
    }
    TRY(args_real(&d->threshold, a, "threshold", 0.5, -1e300, 1e300));
    d->l = NEW(arena, int32_t, n), d->s = NEW(arena, double, n), d->e = NEW(arena, double, n);
    for (int64_t i = 0; i < n; i++) {
        d->positives += d->label[i] > 0;
        d->total += d->effort ? d->effort[i] : 0;
    }
    *other = *d;
    other->score = against ? column[2] : NULL;
    return OK;
}

/* The reasons for which a metric has no value, and the metrics that are 0 because they would divide by zero. */
static void explain_defects(Scores *t, const Defects *d, const Args *a)
{
    Arena *arena = args_arena(a);
    const char *only = d->positives ? "only class 1 is there" : "only class 0 is there";
    t->why[AUC] = t->why[AVERAGE_PRECISION] = only;
    bool called = false;
    for (int64_t i = d->n - 1; i >= 0; i--) {
        called |= d->score[i] >= d->threshold;
        if (d->score[i] < 0 || d->score[i] > 1)
            t->why[BRIER] = str_print(arena, "row %lld has score %g, and a probability lies between 0 and 1",
                                      (long long)i + 1, d->score[i]);
    }
    const char *effort = "the best order of the commits is as good as the worst";
    if (!d->positives) effort = only;
    if (d->total <= 0) effort = "every effort is 0";
    if (!d->effort)
        effort = args_given(a, "effort") ? "--effort none leaves them out"
                                         : "the file has no column 'effort' (--effort names one)";
    for (int k = RECALL_AT_20; k <= IFA; k++) t->why[k] = effort;
    if (!d->positives)
        scores_remark(t, arena, "precision, recall, F1 and MCC are 0: no row is of class 1");
    else if (!called)
        scores_remark(t, arena, "precision, recall, F1 and MCC are 0: no score is %g or more", d->threshold);
    else if (d->positives == d->n)
        scores_remark(t, arena, "MCC is 0: only class 1 is there");
}

static const int32_t *class_of(Arena *a, const Defects *d)
{
    int32_t *class = NEW(a, int32_t, d->n);
    for (int64_t i = 0; i < d->n; i++) class[i] = d->label[i] > 0;
    return class;
}

/* Computes the metrics of defect prediction with confidence intervals, and prints them. */
static Status score_defects(const Args *a)
{
    Arena *arena = args_arena(a);
    Defects d, other;
    if (args_count(a) != 1) return err_fail(E_CONFIG, "--task defect scores one FILE with a line per commit");
    TRY(read_defects(&d, &other, a, args_at(a, 0)));
    const char *at = str_print(arena, "of class 1, score >= %g", d.threshold);
    Scores t = {.n = DEFECT_METRICS,
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
    explain_defects(&t, &d, a);
    scores_sort(arena, (double *const[]){d.label, d.score, other.score, d.effort}, 4, d.n);
    TRY(scores_measure(&t, a, d.n, args_given(a, "stratify") ? class_of(arena, &d) : NULL, defect_stats, &d,
                       other.score ? &other : NULL));
    if (args_given(a, "json")) {
        cJSON *root = cJSON_CreateObject();
        cJSON_AddStringToObject(root, "task", "defect");
        cJSON_AddNumberToObject(root, "rows", (double)d.n);
        cJSON_AddNumberToObject(root, "defects", (double)d.positives);
        scores_json(&t, root);
        return OK;
    }
    print_out("%s: %lld %s, %lld of class 1\n", args_at(a, 0), (long long)d.n, str_plural(d.n, "row", "rows"),
              (long long)d.positives);
    scores_print(&t, args_text(a, "against", ""));
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

/* The rows, commit by commit in the order of their appearance; first (commits + 1) is where each begins. */
static int64_t gather(int64_t **row, int64_t **first, Arena *a, const double *commit, int64_t rows)
{
    int64_t commits = 0, *next = NEW(a, int64_t, rows + 1);
    for (int64_t i = 0; i < rows; i++) commits = commit[i] >= (double)commits ? (int64_t)commit[i] + 1 : commits;
    *first = NEW(a, int64_t, commits + 1);
    *row = NEW(a, int64_t, rows);
    for (int64_t i = 0; i < rows; i++) (*first)[(int64_t)commit[i] + 1]++;
    for (int64_t c = 0; c < commits; c++) next[c] = (*first)[c + 1] += (*first)[c];
    for (int64_t c = 0; c < commits; c++) next[c] = (*first)[c];
    for (int64_t i = 0; i < rows; i++) (*row)[next[(int64_t)commit[i]]++] = i;
    return commits;
}

/* Commits in an order that does not depend on the rows. */
static void sort_commits(LineScores *of[2], Arena *a, int64_t n)
{
    double *column[2 * LINE_METRICS];
    for (int k = 0; k < 2 * LINE_METRICS; k++) column[k] = NEW(a, double, n);
    for (int side = 0; side < 2; side++)
        for (int64_t i = 0; i < n; i++) {
            const LineScores *s = &of[side][i];
            const double all[LINE_METRICS] = {s->ifa, s->top_5, s->top_10, s->recall_at_20, s->effort_at_20};
            for (int k = 0; k < LINE_METRICS; k++) column[side * LINE_METRICS + k][i] = all[k];
        }
    scores_sort(a, column, 2 * LINE_METRICS, n);
    for (int side = 0; side < 2; side++)
        for (int64_t i = 0; i < n; i++) {
            double **c = &column[side * LINE_METRICS];
            of[side][i] = (LineScores){c[0][i], c[1][i], c[2][i], c[3][i], c[4][i]};
        }
}

/* Scores every commit with a faulty line, by the column and by the other one; returns their number. */
static int64_t each_commit(LineScores *of[2], Arena *a, double *const *column, int64_t rows, int64_t *clean)
{
    int64_t *row, *first, n = 0, commits = gather(&row, &first, a, column[1], rows);
    int32_t *label = NEW(a, int32_t, rows);
    double *score[2] = {NEW(a, double, rows), NEW(a, double, rows)};
    for (int k = 0; k < 2; k++) of[k] = NEW(a, LineScores, commits);
    for (int64_t c = 0; c < commits; c++) {
        bool faulty = false;
        int64_t lines = first[c + 1] - first[c];
        for (int64_t i = 0; i < lines; i++) {
            int64_t from = row[first[c] + i];
            faulty |= label[i] = (int32_t)column[0][from];
            score[0][i] = column[2][from], score[1][i] = column[3][from];
        }
        for (int k = 0; k < 2 && faulty; k++) of[k][n] = effort_lines(label, score[k], lines);
        n += faulty;
    }
    sort_commits(of, a, n);
    *clean = commits - n;
    return n;
}

/* Computes the metrics of line ranking within each faulty commit, and prints them with intervals. */
static Status score_lines(const Args *a)
{
    Arena *arena = args_arena(a);
    if (args_count(a) != 1) return err_fail(E_CONFIG, "--task lines scores one FILE with a row per line of code");
    const char *path = args_at(a, 0), *other = args_text(a, "against", NULL);
    const char *score = args_text(a, "score", "score");
    const char *wanted[] = {args_text(a, "label", "label"), args_text(a, "commit", "commit"), score,
                            other ? other : score};
    static const ColumnKind KIND[4] = {[1] = COLUMN_TEXT};
    double *column[4];
    int64_t rows, clean;
    TRY(columns_read_as(column, &rows, arena, path, 4, wanted, KIND));
    TRY(check_labels(column[0], rows, path));
    LineScores *of[2];
    int64_t n = each_commit(of, arena, column, rows, &clean);
    if (!n) return err_fail(E_MISMATCH, "%s: no commit has a faulty line, expected label 1 somewhere", path);
    Scores t = {.n = LINE_METRICS,
                .name = {{"IFA", "clean lines before the first faulty one, mean over commits; lower is better"},
                         {"top-5 accuracy", "faulty lines among the first 5"},
                         {"top-10 accuracy", "faulty lines among the first 10"},
                         {"recall at 20 % effort", "faulty lines in the first fifth"},
                         {"effort at 20 % recall", "share of lines until a fifth is found; lower is better"}}};
    TRY(scores_measure(&t, a, n, NULL, line_stats, of[0], other ? of[1] : NULL));
    if (args_given(a, "json")) {
        cJSON *root = cJSON_CreateObject();
        cJSON_AddStringToObject(root, "task", "lines");
        cJSON_AddNumberToObject(root, "rows", (double)rows);
        cJSON_AddNumberToObject(root, "commits", (double)n);
        cJSON_AddNumberToObject(root, "clean_commits", (double)clean);
        scores_json(&t, root);
        return OK;
    }
    print_out("%s: %lld %s, %lld %s with a faulty one (%lld without %s left out)\n", path, (long long)rows,
              str_plural(rows, "line", "lines"), (long long)n, str_plural(n, "commit", "commits"), (long long)clean,
              str_plural(clean, "is", "are"));
    scores_print(&t, other);
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

enum { PERPLEXITY = MESSAGE_METRICS };
typedef struct {
    MessageRows rows;
    double *loss, *tokens, *drawn; /* (n) each, of the first system with --losses; NULL: perplexity is NaN */
} Messages;

static void message_stats(double *out, const int64_t *index, int64_t n, void *user)
{
    Messages *m = user;
    messages_stats(out, index, n, &m->rows);
}

static void message_stats_with_losses(double *out, const int64_t *index, int64_t n, void *user)
{
    Messages *m = user;
    messages_stats(out, index, n, &m->rows);
    out[PERPLEXITY] = NAN;
    if (!m->loss) return;
    double *loss = m->drawn, *tokens = m->drawn + n;
    for (int64_t i = 0; i < n; i++) loss[i] = m->loss[index[i]], tokens[i] = m->tokens[index[i]];
    out[PERPLEXITY] = messages_perplexity(loss, tokens, n);
}

/* Reads the loss and token count of each message from --losses, and adds perplexity to the metrics. */
static Status read_losses(Messages *m, Scores *t, const Args *a, int64_t n)
{
    static const char *const WANTED[] = {"loss", "tokens"};
    const char *path = args_text(a, "losses", NULL);
    double *column[2];
    int64_t rows;
    TRY(columns_read(column, &rows, args_arena(a), path, 2, WANTED));
    if (rows != n)
        return err_fail(E_MISMATCH, "%s has %lld %s, expected one for each of the %lld messages", path,
                        (long long)rows, str_plural(rows, "row", "rows"), (long long)n);
    m->loss = column[0], m->tokens = column[1], m->drawn = NEW(args_arena(a), double, 2 * n);
    t->name[PERPLEXITY] = (MetricName){"perplexity", "exp of the mean loss per token"};
    t->why[PERPLEXITY] = "the loss per token gives no finite perplexity";
    t->n = PERPLEXITY + 1;
    return OK;
}

static void explain_messages(Scores *t, Arena *a, const MessageRows *rows)
{
    double written = (double)(rows->n - rows->empty);
    if (rows->empty)
        scores_remark(t, a,
                      "%lld of the %lld predictions %s empty: B-Norm counts 0 there (%.4f in the published script, "
                      "which leaves them out)",
                      (long long)rows->empty, (long long)rows->n, str_plural(rows->empty, "is", "are"),
                      written > 0 ? t->value[B_NORM] * (double)rows->n / written : 0);
    if (t->value[B_CC] > 100)
        scores_remark(t, a, "B-CC is above 100: smoothing 5 averages the first precision with 1 more than itself");
}

typedef struct {
    Bytes text[3]; /* reference, prediction, the other prediction */
    double loss, tokens;
} MessageRow;

static int by_text(const void *a, const void *b)
{
    const MessageRow *x = a, *y = b;
    for (int k = 0; k < 3; k++) {
        size_t both = x->text[k].len < y->text[k].len ? x->text[k].len : y->text[k].len;
        int order = both ? memcmp(x->text[k].text, y->text[k].text, both) : 0;
        if (order) return order;
        if (x->text[k].len != y->text[k].len) return x->text[k].len < y->text[k].len ? -1 : 1;
    }
    if (x->loss < y->loss || x->loss > y->loss) return x->loss < y->loss ? -1 : 1;
    return (x->tokens > y->tokens) - (x->tokens < y->tokens);
}

/* Sorts the rows into an order that does not depend on that of the lines in the files. */
static void sort_messages(Bytes *line[3], Messages *m, Arena *a, int64_t n)
{
    MessageRow *row = NEW(a, MessageRow, n);
    for (int64_t i = 0; i < n; i++) {
        for (int k = 0; k < 3 && line[k]; k++) row[i].text[k] = line[k][i];
        if (m->loss) row[i].loss = m->loss[i], row[i].tokens = m->tokens[i];
    }
    qsort(row, (size_t)n, sizeof *row, by_text);
    for (int64_t i = 0; i < n; i++) {
        for (int k = 0; k < 3 && line[k]; k++) line[k][i] = row[i].text[k];
        if (m->loss) m->loss[i] = row[i].loss, m->tokens[i] = row[i].tokens;
    }
}

/* Computes the metrics of commit messages against a reference file, and prints them with intervals. */
static Status score_messages(const Args *a)
{
    if (args_count(a) != 2)
        return err_fail(E_CONFIG, "--task messages scores a file PRED against a file GOLD, line by line");
    Arena *arena = args_arena(a);
    const char *path[3] = {args_at(a, 0), args_at(a, 1), args_text(a, "against", NULL)};
    Bytes *line[3] = {NULL};
    int64_t n[3];
    for (int k = 0; k < 3 && path[k]; k++) {
        TRY(read_lines(&line[k], &n[k], arena, path[k]));
        if (n[k] != n[0])
            return err_fail(E_MISMATCH, "%s has %lld %s and %s has %lld; expected one prediction a line of gold",
                            path[0], (long long)n[0], str_plural(n[0], "line", "lines"), path[k], (long long)n[k]);
    }
    if (!n[0]) return err_fail(E_FORMAT, "%s: is empty, expected a message a line", path[0]);
    Meteor *meteor;
    Synonyms *wordnet;
    TRY(message_tools(&meteor, &wordnet, args_arena(a), args_text(a, "meteor", NULL), args_text(a, "wordnet", NULL)));
    Messages mine = {0}, other = {0};
    Scores t = {.n = MESSAGE_METRICS};
    memcpy(t.name, MESSAGE_METRIC, sizeof MESSAGE_METRIC);
    bool losses = args_given(a, "losses");
    if (losses) TRY(read_losses(&mine, &t, a, n[0]));
    sort_messages(line, &mine, arena, n[0]);
    messages_score(&mine.rows, arena, n[0], line[1], line[0], meteor, wordnet);
    if (path[2]) messages_score(&other.rows, arena, n[0], line[2], line[0], meteor, wordnet);
    if (!wordnet) t.name[METEOR_NLTK].variant = "nltk's own, exact matches and stems alone: no WordNet here";
    for (int k = METEOR_1; k <= METEOR_3; k++)
        t.why[k] = "METEOR 1.5 needs --meteor DIR, the folder with its word lists";
    meteor_close(meteor);
    TRY(scores_measure(&t, a, n[0], NULL, losses ? message_stats_with_losses : message_stats, &mine,
                       path[2] ? &other : NULL));
    explain_messages(&t, arena, &mine.rows);
    if (args_given(a, "json")) {
        cJSON *root = cJSON_CreateObject();
        cJSON_AddStringToObject(root, "task", "messages");
        cJSON_AddNumberToObject(root, "rows", (double)n[0]);
        cJSON_AddNumberToObject(root, "empty", (double)mine.rows.empty);
        scores_json(&t, root);
        return OK;
    }
    print_out("%s against %s: %lld %s, in %%\n", path[1], path[0], (long long)n[0], str_plural(n[0], "row", "rows"));
    scores_print(&t, path[2]);
    return OK;
}

/* ---- the command */

static Status score(const Args *a)
{
    static const char *const NAMES[] = {"classify", "regress", "defect", "messages", "lines", NULL};
    static Status (*const RUN[])(const Args *) = {score_classified, score_regressed, score_defects, score_messages,
                                                  score_lines};
    int task;
    if (!args_given(a, "task"))
        return err_fail(E_CONFIG, "--task is missing; expected classify, regress, defect, lines or messages");
    TRY(args_word(&task, a, "task", 0, NAMES));
    TRY(args_of(a, NAMES[task]));
    return RUN[task](a);
}

static const Option OPTIONS[] = {
    {"task", "TASK",
     "classify: classes and predicted ones; regress: numbers and predicted ones; defect: commits with labels and "
     "scores; lines: lines of code; messages: texts, line by line"},
    {"label", "COLUMN", "a class, a number, or 0 or 1 of defects; default: label", "classify|regress|defect|lines"},
    {"prediction", "COLUMN", "default: prediction; columns p:CLASS add AUC and loss", "classify|regress"},
    {"score", "COLUMN", "higher for class 1; default: score", "defect|lines"},
    {"logits", NULL, "the scores are logits: each becomes a probability first, 1 / (1 + exp(-score))", "defect"},
    {"commit", "COLUMN", "a text that the rows of one commit share, such as its hash; default: commit", "lines"},
    {"effort", "COLUMN", "lines to read, as in la+ld; none: no effort; default: effort, where there is one",
     "defect"},
    {"threshold", "X", "a row counts as 1 from this score on; default: 0.5", "defect"},
    {"against", "OTHER",
     "a second COLUMN of predictions or scores, or file of messages: differences on the same rows"},
    {"meteor", "DIR", "METEOR 1.5's word lists (function.english.words, nonbreaking.english.prefixes)", "messages"},
    {"wordnet", "DIR", "WordNet 3, for synonyms; default: /usr/share/wordnet (Debian's wordnet-base)", "messages"},
    {"losses", "FILE", "columns loss (summed nats) and tokens, a row a message: adds perplexity", "messages"},
    {"bootstrap-samples", "N", "bootstrap samples of the rows; 0: no intervals; default: 1000", .alias = "draws"},
    {"stratify", NULL, "sample each class separately, as many rows of it as the file has", "defect"},
    {"seed", "N", "of the bootstrap samples; default: 1"},
    {"json", NULL, "print the table as JSON"},
    {0}};
static const Choice CHOICES[] = {{"task", "classify|regress|defect|messages|lines"}, {0}};
static const Command SCORE = {
    .name = "score",
    .summary = "score predictions of classes, numbers, defects or messages, with confidence intervals",
    .usage = "--task TASK [options] FILE | GOLD PRED",
    .about =
        "classify, regress: FILE is CSV, TSV or JSON Lines with a label and a prediction in each row, such as "
        "vernier "
        "predict --csv writes.  defect, lines: FILE is CSV with a line of column names, or JSON Lines, where a name "
        "may be a path "
        "(features.la) and a sum (la+ld).  messages: two text files with a message a line.  Every metric is named "
        "with its variant, because several variants share one name.  Intervals are percentile bootstrap over rows; "
        "p is two-sided, of the paired bootstrap.  Effort-aware metrics are means over all orders of rows with equal "
        "scores.  Remarks below the table give the reason for a missing value.",
    .example = "vernier score --task classify predictions.csv\n"
               "  vernier score --task defect --label buggy --score p --effort la+ld commits.csv\n"
               "  vernier score --task messages --against other.txt gold.txt predicted.txt",
    .options = OPTIONS,
    .choices = CHOICES,
    .least = 1,
    .most = 2,
    .run = score};
REGISTER(command, SCORE)

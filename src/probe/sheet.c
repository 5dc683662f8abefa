/* Counting, in one function a question. */
#include "probe/sheet.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "change/neardup.h"
#include "io/json.h"

static const double NEAR = 0.8;
const char *const SHEET_SUBJECT[TASKS] = {"methods", "changes", "line lists"};

static Status apply_rules(DataSheet *s, Arena *a)
{
    int32_t *guess = arena_take(a, sizeof *guess * (size_t)(s->set->n + 1));
    for (const Rule *r = RULES; r->name; r++) {
        if (r->task != TASKS && r->task != s->task) continue;
        TRY(r->guess(guess, a, s->set));
        for (int k = 0; k < SPLITS; k++) s->accuracy[s->n_rules][k] = rule_accuracy(s->set, guess, (Split)k);
        s->rule[s->n_rules++] = r;
    }
    return OK;
}

/* A table from texts to the splits (bits 0..2) and labels (bits 3 on) they occur in. */
typedef struct {
    Table at;
    int64_t distinct, shared, both;
} Seen;

static void see(Seen *s, const char *text, size_t len, const Example *e)
{
    bool added;
    int64_t *bits = table_add(&s->at, text, len, &added), splits = *bits & 7, labels = *bits >> 3;
    int64_t split = (int64_t)1 << e->split, label = (int64_t)1 << (e->label < 60 ? e->label : 60);
    s->distinct += added;
    s->shared += splits && !(splits & (splits - 1)) && !(splits & split); /* the second split */
    s->both += labels && !(labels & (labels - 1)) && !(labels & label);   /* the second label */
    *bits = splits | split | (labels | label) << 3;
}

/* Texts, subjects and messages that appear twice, under both labels, or in several splits, and near-duplicates across
 * splits. */
static void count_leaks(DataSheet *s, Arena *a)
{
    const Dataset *d = s->set;
    Seen texts = {table_open(a, d->n), 0}, subjects = {table_open(a, d->n), 0}, messages = {table_open(a, 64), 0};
    Bytes *subject = arena_take(a, sizeof *subject * (size_t)(d->n + 1));
    int64_t *group = arena_take(a, sizeof *group * (size_t)(d->n + 1));
    int64_t *rows = NEW(a, int64_t, d->n + 1), *splits = NEW(a, int64_t, d->n + 1);
    for (int64_t i = 0; i < d->n; i++) {
        const Example *e = &d->example[i];
        subject[i] = text_subject(a, s->task, e);
        see(&texts, e->text, e->len, e);
        see(&subjects, subject[i].text, subject[i].len, e);
        if (s->task == TASK_CCM) see(&messages, e->text, e->len - subject[i].len, e);
    }
    s->duplicates = d->n - texts.distinct;
    s->contradictions = texts.both;
    s->subjects = subjects.distinct;
    s->shared_subjects = subjects.shared;
    s->messages = messages.distinct;
    s->shared_messages = messages.shared;
    s->shared_pairs = s->task == TASK_TYP ? subjects.both : 0;
    neardup_find(group, a, subject, d->n, NEAR);
    for (int64_t i = 0; i < d->n; i++) {
        rows[group[i]]++;
        splits[group[i]] |= (int64_t)1 << d->example[i].split;
    }
    for (int64_t i = 0; i < d->n; i++) {
        s->near_rows += rows[group[i]] > 1;
        s->near_across += (splits[group[i]] & (splits[group[i]] - 1)) != 0;
    }
}

/* The properties that only one task has. */
static Status look_closer(DataSheet *s, Arena *a)
{
    const Dataset *d = s->set;
    int32_t fault = 0, yes = 0;
    double rows[2] = {0};
    Table vocabulary = table_open(a, 1 << 12);
    if (s->task == TASK_TYP) TRY(rule_label(&fault, d, "FAULT"));
    if (s->task == TASK_CCM) TRY(rule_label(&yes, d, "True"));
    for (int64_t i = 0; i < d->n; i++) {
        const Example *e = &d->example[i];
        Segment *seg;
        size_t message;
        int64_t n = text_segments(&seg, a, e->text, e->len, &message), p = text_masked(seg, n);
        s->header_rows += s->task == TASK_LTP && p >= 0 && p < 2;
        bool correct = false;
        for (size_t at = 0, end; s->task == TASK_TYP && at < e->len; at = end + 1) {
            for (end = at; end < e->len && e->text[end] != ' ';) end++;
            correct |= java_is_primitive(e->text + at, end - at);
        }
        s->correct_type_rows += correct && e->label == fault;
        if (s->task != TASK_CCM) continue;
        bool is = e->label == yes;
        rows[is]++;
        s->overlap[is] += word_overlap(word_set(a, &vocabulary, e->text, message, 3, 0),
                                       word_set(a, &vocabulary, e->text + message, e->len - message, 3, 0));
    }
    for (int k = 0; k < 2; k++) s->overlap[k] = rows[k] > 0 ? s->overlap[k] / rows[k] : 0;
    return OK;
}

static int by_size(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static Lengths lengths(int64_t *x, int64_t n)
{
    Lengths l = {0};
    if (n == 0) return l;
    qsort(x, (size_t)n, sizeof *x, by_size);
    for (int64_t i = 0; i < n; i++) l.mean += (double)x[i] / (double)n;
    return (Lengths){l.mean, x[0], x[n / 2], x[n - 1]};
}

/* Lengths of the texts of each split, in characters and in words. */
static void measure(DataSheet *s, Arena *a)
{
    const Dataset *d = s->set;
    int64_t *chars = arena_take(a, sizeof *chars * (size_t)(d->n + 1));
    int64_t *words = arena_take(a, sizeof *words * (size_t)(d->n + 1));
    for (int k = 0; k < SPLITS; k++) {
        int64_t n = 0;
        for (int64_t i = 0; i < d->n; i++) {
            const Example *e = &d->example[i];
            if (e->split != (Split)k) continue;
            chars[n] = (int64_t)e->len;
            words[n] = 0;
            for (size_t c = 0; c < e->len; c++)
                words[n] += e->text[c] != ' ' && (c + 1 == e->len || e->text[c + 1] == ' ');
            n++;
        }
        s->chars[k] = lengths(chars, n);
        s->words[k] = lengths(words, n);
    }
}

Status sheet_make(DataSheet *s, const Dataset *d, ProbeTask task)
{
    Arena scratch = arena_open((size_t)1 << 36);
    *s = (DataSheet){.set = d, .task = task};
    Status status = apply_rules(s, &scratch);
    if (!status) status = look_closer(s, &scratch);
    if (!status) {
        count_leaks(s, &scratch);
        measure(s, &scratch);
    }
    arena_close(&scratch);
    return status;
}

/* ---- writing ---- */

static void print_number(Buf *b, double x)
{
    if (isnan(x))
        buf_print(b, "null");
    else
        buf_print(b, "%.6g", x);
}

static void json_lengths(Buf *b, const char *name, const Lengths *l)
{
    buf_print(b, ", \"%s\": {\"least\": %lld, \"median\": %lld, \"mean\": %.2f, \"most\": %lld}", name,
              (long long)l->least, (long long)l->median, l->mean, (long long)l->most);
}

/* The statistics of a data set as JSON: sizes, lengths, leakage and heuristic baselines. */
void sheet_json(Buf *b, const DataSheet *s)
{
    const Dataset *d = s->set;
    buf_print(b, "{\"task\": \"%s\", \"rows\": %lld,\n \"splits\": {", TASK_NAMES[s->task], (long long)d->n);
    for (int k = 0; k < SPLITS; k++) {
        buf_print(b, "%s\n  \"%s\": {\"rows\": %lld, \"labels\": {", k ? "," : "", split_name((Split)k),
                  (long long)d->size[k]);
        for (int l = 0; l < d->n_labels; l++) {
            buf_print(b, "%s", l ? ", " : "");
            json_quote(b, d->label[l]);
            buf_print(b, ": %lld", (long long)d->count[k][l]);
        }
        buf_print(b, "}");
        json_lengths(b, "characters", &s->chars[k]);
        json_lengths(b, "words", &s->words[k]);
        buf_print(b, "}");
    }
    buf_print(b, "},\n \"duplicate_rows\": %lld, \"contradictory_texts\": %lld,\n", (long long)s->duplicates,
              (long long)s->contradictions);
    buf_print(b, " \"near_duplicate_rows\": %lld, \"near_duplicate_rows_across_splits\": %lld,\n",
              (long long)s->near_rows, (long long)s->near_across);
    buf_print(b, " \"subjects\": %lld, \"subjects_in_several_splits\": %lld,\n", (long long)s->subjects,
              (long long)s->shared_subjects);
    if (s->task == TASK_CCM)
        buf_print(b,
                  " \"messages\": %lld, \"messages_in_several_splits\": %lld, \"word_overlap\": {\"False\": %.4f, "
                  "\"True\": %.4f},\n",
                  (long long)s->messages, (long long)s->shared_messages, s->overlap[0], s->overlap[1]);
    if (s->task == TASK_LTP) buf_print(b, " \"header_rows\": %lld,\n", (long long)s->header_rows);
    if (s->task == TASK_TYP)
        buf_print(b, " \"fault_rows_with_a_correct_type\": %lld, \"methods_under_both_labels\": %lld,\n",
                  (long long)s->correct_type_rows, (long long)s->shared_pairs);
    buf_print(b, " \"floors\": {"); /* words: ok, a key */
    for (int r = 0; r < s->n_rules; r++) {
        buf_print(b, "%s\n  \"%s\": {", r ? "," : "", s->rule[r]->name);
        for (int k = 0; k < SPLITS; k++) {
            buf_print(b, "%s\"%s\": ", k ? ", " : "", split_name((Split)k));
            print_number(b, s->accuracy[r][k]);
        }
        buf_print(b, ", \"looks_at\": ");
        json_quote(b, s->rule[r]->says);
        buf_print(b, "}");
    }
    buf_print(b, "}}\n");
}

/* Writes the sizes, labels, lengths and heuristic baselines of each split as a table. */
static void text_splits(Buf *b, const DataSheet *s)
{
    const Dataset *d = s->set;
    buf_print(b, "\n%-12s%10s%10s%10s\n", "", "train", "valid", "test");
    buf_print(b, "%-12s%10lld%10lld%10lld\n", "rows", (long long)d->size[0], (long long)d->size[1],
              (long long)d->size[2]);
    for (int l = 0; l < d->n_labels; l++)
        buf_print(b, "  %-10.10s%10lld%10lld%10lld\n", d->label[l], (long long)d->count[0][l],
                  (long long)d->count[1][l], (long long)d->count[2][l]);
    buf_print(b, "%-12s", "characters");
    for (int k = 0; k < SPLITS; k++) buf_print(b, "%10lld", (long long)s->chars[k].median);
    buf_print(b, "  (median; at most %lld, %lld, %lld)\n%-12s", (long long)s->chars[0].most,
              (long long)s->chars[1].most, (long long)s->chars[2].most, "words");
    for (int k = 0; k < SPLITS; k++) buf_print(b, "%10lld", (long long)s->words[k].median);
    buf_print(b, "  (median)\n\naccuracy without a model, %%\n");
    for (int r = 0; r < s->n_rules; r++) {
        buf_print(b, "  %-12s", s->rule[r]->name);
        for (int k = 0; k < SPLITS; k++)
            if (isnan(s->accuracy[r][k]))
                buf_print(b, "%8s%s", "-", k < 2 ? "  " : "");
            else
                buf_print(b, "%8.1f%s", 100 * s->accuracy[r][k], k < 2 ? "  " : "");
        buf_print(b, "   %s\n", s->rule[r]->says);
    }
}

/* Writes the statistics of a data set as text: splits, then leakage between them. */
void sheet_text(Buf *b, const DataSheet *s)
{
    const Dataset *d = s->set;
    buf_print(b, "%s: %s, %lld %s\n", d->name, TASK_NAMES[s->task], (long long)d->n, str_plural(d->n, "row", "rows"));
    text_splits(b, s);
    buf_print(b, "\nleakage between splits\n%8lld  of %lld %s %s in more than one split\n",
              (long long)s->shared_subjects, (long long)s->subjects, SHEET_SUBJECT[s->task],
              str_plural(s->shared_subjects, "is", "are"));
    if (s->task == TASK_CCM)
        buf_print(b, "%8lld  of %lld messages %s in more than one split\n", (long long)s->shared_messages,
                  (long long)s->messages, str_plural(s->shared_messages, "is", "are"));
    buf_print(b, "%8lld  %s a near-duplicate in another split (%lld %s one anywhere)\n", (long long)s->near_across,
              str_plural(s->near_across, "row has", "rows have"), (long long)s->near_rows,
              str_plural(s->near_rows, "has", "have"));
    buf_print(b, "%8lld  %s an earlier one; %lld %s two labels\n", (long long)s->duplicates,
              str_plural(s->duplicates, "row repeats", "rows repeat"), (long long)s->contradictions,
              str_plural(s->contradictions, "text has", "texts have"));
    if (s->task == TASK_LTP)
        buf_print(b, "%8lld  %s (%.0f %%) %s the tag of a file's name\n", (long long)s->header_rows,
                  str_plural(s->header_rows, "row", "rows"), 100.0 * (double)s->header_rows / (double)d->n,
                  str_plural(s->header_rows, "hides", "hide"));
    if (s->task == TASK_TYP)
        buf_print(b, "%8lld  FAULT %s a correct primitive type; %lld %s under both labels\n",
                  (long long)s->correct_type_rows, str_plural(s->correct_type_rows, "row holds", "rows hold"),
                  (long long)s->shared_pairs, str_plural(s->shared_pairs, "method is", "methods are"));
    if (s->task == TASK_CCM)
        buf_print(b, "%8s  word overlap of message and change: %.3f in True rows, %.3f in False rows\n", "",
                  s->overlap[1], s->overlap[0]);
}

Status sheet_write(Arena *a, const DataSheet *s, const char *path)
{
    Buf json = buf_open(a), text = buf_open(a);
    sheet_json(&json, s);
    sheet_text(&text, s);
    TRY(file_write(str_print(a, "%s.sheet.json", path), json.text, json.len));
    return file_write(str_print(a, "%s.sheet.txt", path), text.text, text.len);
}

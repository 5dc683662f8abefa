/* The rules of the three tasks, simplest first. */
#include "probe/rules.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

double rule_accuracy(const Dataset *d, const int32_t *guess, Split split)
{
    int64_t right = 0;
    for (int64_t i = 0; i < d->n; i++) right += d->example[i].split == split && guess[i] == d->example[i].label;
    return d->size[split] ? (double)right / (double)d->size[split] : (double)NAN;
}

Status rule_label(int32_t *out, const Dataset *d, const char *name)
{
    for (int32_t k = 0; k < d->n_labels; k++)
        if (!strcmp(d->label[k], name)) {
            *out = k;
            return OK;
        }
    return err_fail(E_MISMATCH, "%s: no row is labelled %s (found %s, %s); is it a set of another task?", d->name,
                    name, d->label[0], d->label[1]);
}

static Status two_labels(int32_t out[2], const Dataset *d, const char *first, const char *second)
{
    TRY(rule_label(&out[0], d, first));
    return rule_label(&out[1], d, second);
}

static Status majority(int32_t *guess, Arena *a, const Dataset *d)
{
    (void)a;
    int32_t best = 0;
    for (int32_t k = 1; k < d->n_labels; k++)
        if (d->count[SPLIT_TRAIN][k] > d->count[SPLIT_TRAIN][best]) best = k;
    for (int64_t i = 0; i < d->n; i++) guess[i] = best;
    return OK;
}

/* ---- typ ---- */

/* Guesses FAULT for a text that contains a misspelt primitive type. */
static Status misspelling(int32_t *guess, Arena *a, const Dataset *d)
{
    (void)a;
    int32_t label[2];
    TRY(two_labels(label, d, "ORIG", "FAULT"));
    for (int64_t i = 0; i < d->n; i++) {
        const Example *e = &d->example[i];
        bool found = false;
        for (size_t at = 0, end; at < e->len && !found; at = end + 1) {
            for (end = at; end < e->len && e->text[end] != ' ';) end++;
            found = java_is_misspelling(e->text + at, end - at);
        }
        guess[i] = label[found];
    }
    return OK;
}

/* ---- ccm ---- */

typedef struct {
    double score;
    bool positive;
} Scored;

static int by_score(const void *a, const void *b)
{
    const Scored *x = a, *y = b;
    return (x->score > y->score) - (x->score < y->score);
}

/* The least threshold t that makes "score >= t" right on most training rows. */
static double threshold(Arena *a, const Dataset *d, const double *score, int32_t positive)
{
    Scored *s = arena_take(a, sizeof *s * (size_t)(d->n + 1));
    int64_t n = 0, right = 0;
    for (int64_t i = 0; i < d->n; i++)
        if (d->example[i].split == SPLIT_TRAIN) s[n++] = (Scored){score[i], d->example[i].label == positive};
    qsort(s, (size_t)n, sizeof *s, by_score);
    for (int64_t i = 0; i < n; i++) right += s[i].positive;
    int64_t most = right;
    double best = n ? s[0].score : 0;
    for (int64_t i = 0; i < n;) { /* moving the threshold past a score gives its rows to the other side */
        double here = s[i].score;
        for (; i < n && s[i].score <= here; i++) right += s[i].positive ? -1 : 1;
        if (right > most && i < n) {
            most = right;
            best = s[i].score;
        }
    }
    return best;
}

/* A message belongs to a change if they share enough words; the least share is chosen on training rows. */
static Status overlap_rule(int32_t *guess, Arena *a, const Dataset *d, int least, int stem, bool marks)
{
    int32_t label[2];
    TRY(two_labels(label, d, "False", "True"));
    Table vocabulary = table_open(a, 1 << 12);
    double *score = arena_take(a, sizeof *score * (size_t)(d->n + 1));
    for (int64_t i = 0; i < d->n; i++) {
        const Example *e = &d->example[i];
        Segment *s;
        size_t message;
        int64_t n = text_segments(&s, a, e->text, e->len, &message);
        char *change = str_copy(a, e->text + message, e->len - message);
        for (int64_t k = 0; k < n && !marks; k++) /* the words add and del are the layout's, not the change's */
            memset(change + (s[k].text - (e->text + message)) - strlen(MARK_TEXT[s[k].mark]), ' ',
                   strlen(MARK_TEXT[s[k].mark]));
        score[i] = word_overlap(word_set(a, &vocabulary, e->text, message, least, stem),
                                word_set(a, &vocabulary, change, e->len - message, least, stem));
    }
    double t = threshold(a, d, score, label[1]);
    for (int64_t i = 0; i < d->n; i++) guess[i] = label[score[i] >= t];
    return OK;
}

static Status overlap(int32_t *guess, Arena *a, const Dataset *d)
{
    return overlap_rule(guess, a, d, 3, 0, true);
}

static Status stems(int32_t *guess, Arena *a, const Dataset *d)
{
    return overlap_rule(guess, a, d, 4, 5, false);
}

/* ---- ltp ---- */

/* The first two segments are the file's name before and after; of the others the last was added, the first is as the
 * next one, and each after that as the one before it, where that was added; after a removed one a removed one. */
static Status position(int32_t *guess, Arena *a, const Dataset *d)
{
    int32_t label[2];
    TRY(two_labels(label, d, "add", "del"));
    for (int64_t i = 0; i < d->n; i++) {
        Segment *s;
        int64_t n = text_segments(&s, a, d->example[i].text, d->example[i].len, NULL), p = text_masked(s, n);
        Mark m = p == 0       ? MARK_DEL
                 : p == 1     ? MARK_ADD
                 : p < 0      ? MARK_ADD
                 : p == n - 1 ? MARK_ADD
                 : p == 2     ? s[p + 1].mark
                              : s[p - 1].mark;
        guess[i] = label[m == MARK_DEL];
    }
    return OK;
}

/* Its position (0, 1, 2, later) and its neighbours' tags, MARKS for none. */
int64_t ltp_place(const Segment *s, int64_t n, int64_t p)
{
    int64_t before = p > 0 ? (int64_t)s[p - 1].mark : MARKS, after = p + 1 < n ? (int64_t)s[p + 1].mark : MARKS;
    return ((p < 3 ? p : 3) * (MARKS + 1) + before) * (MARKS + 1) + after;
}

/* The label that most training rows have at the same place between the same neighbours. */
static Status neighbours(int32_t *guess, Arena *a, const Dataset *d)
{
    int32_t label[2];
    int64_t surplus[LTP_PLACES] = {0}, all = 0; /* training rows that were removed minus those that were added */
    TRY(two_labels(label, d, "add", "del"));
    for (int pass = 0; pass < 2; pass++)
        for (int64_t i = 0; i < d->n; i++) {
            const Example *e = &d->example[i];
            Segment *s;
            int64_t n = text_segments(&s, a, e->text, e->len, NULL), p = text_masked(s, n);
            int64_t place = p < 0 ? 0 : ltp_place(s, n, p), sign = e->label == label[1] ? 1 : -1;
            if (pass) {
                guess[i] = label[surplus[place] ? surplus[place] > 0 : all > 0];
            } else if (e->split == SPLIT_TRAIN) {
                surplus[place] += sign;
                all += sign;
            }
        }
    return OK;
}

const Rule RULES[] = {
    {"majority", "the training split's most frequent label", TASKS, majority},
    {"misspelling", "FAULT when a token is a primitive type with two adjacent letters swapped", TASK_TYP,
     misspelling},
    {"overlap", "shared words of message and change over all of theirs, threshold from training", TASK_CCM, overlap},
    {"stems", "the same over five-letter stems of words of four letters or more, without tags", TASK_CCM, stems},
    {"position", "positions of the header, the last line, else the tag before (at the top: after)", TASK_LTP,
     position},
    {"neighbours", "training's most frequent label at that position between those two tags", TASK_LTP, neighbours},
    {0}};

/* Baselines of message generation: retrieval, and one message for all. */
#include <ctype.h>
#include <math.h>
#include <stdlib.h>

#include "metric/bleu.h"
#include "tasks/cmg.h"

enum { NEAREST = 5 };

/* ---- diffs as text and as word counts */

static Bytes diff_text(Arena *a, const CodeChange *c)
{
    Buf b = buf_open(a);
    for (int64_t f = 0; f < c->n_files; f++) {
        buf_print(&b, "%s %s ", LINE_MARK[LINE_KEEP], c->file[f].new_path);
        for (int64_t l = 0; l < c->file[f].n; l++)
            buf_print(&b, "%s %s ", LINE_MARK[c->file[f].line[l].kind], c->file[f].line[l].text);
    }
    return (Bytes){b.text, b.len};
}

typedef struct {
    int64_t n;
    int32_t *word, *count; /* (n) different words */
} Bag;

static int ascending(const void *a, const void *b)
{
    int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    return (x > y) - (x < y);
}

/* Lower-cased runs of at least two letters, digits and underscores, counted. */
static Bag bag_of(Lexicon *x, Arena *a, Bytes text)
{
    Bytes low = words_lower(a, text.text, text.len);
    size_t most = low.len / 3 + 1;
    int64_t n = 0;
    Bag b = {0, NEW(a, int32_t, most), NEW(a, int32_t, most)};
    for (size_t i = 0, end; i < low.len; i = end + 1) {
        for (end = i; end < low.len; end++) {
            unsigned char c = (unsigned char)low.text[end];
            if (!isalnum(c) && c != '_' && c < 128) break;
        }
        if (end - i >= 2) b.word[n++] = lexicon_add(x, low.text + i, end - i);
    }
    qsort(b.word, (size_t)n, sizeof *b.word, ascending);
    for (int64_t i = 0; i < n; i++) {
        if (!b.n || b.word[i] != b.word[b.n - 1]) b.word[b.n++] = b.word[i];
        b.count[b.n - 1]++;
    }
    return b;
}

/* ---- which documents hold a word */

typedef struct {
    int32_t document, count;
} Entry;
typedef struct {
    int64_t n, words; /* documents; numbers of their words end there */
    int64_t *start;   /* (words + 1) into the entries */
    Entry *entry;     /* by word */
    double *norm;     /* (n) of the documents' counts */
} Index;

/* An inverted index of bags of words: for each word its documents and counts, and each document's length. */
static Index index_of(Arena *a, const Bag *bag, int64_t n, int64_t words)
{
    Index x = {n, words, NEW(a, int64_t, words + 2), NULL, NEW(a, double, n)};
    int64_t all = 0;
    for (int64_t i = 0; i < n; i++) {
        all += bag[i].n;
        for (int64_t k = 0; k < bag[i].n; k++) {
            x.start[bag[i].word[k] + 2]++;
            x.norm[i] += (double)bag[i].count[k] * bag[i].count[k];
        }
        x.norm[i] = sqrt(x.norm[i]);
    }
    for (int64_t w = 2; w < words + 2; w++) x.start[w] += x.start[w - 1];
    x.entry = NEW(a, Entry, all);
    for (int64_t i = 0; i < n; i++) /* start[w + 1] moves from the beginning of word w to its end */
        for (int64_t k = 0; k < bag[i].n; k++)
            x.entry[x.start[bag[i].word[k] + 1]++] = (Entry){(int32_t)i, bag[i].count[k]};
    return x;
}

/* The nearest documents by cosine, the best first and of equals the first; returns how many there are. */
static int nearest_of(int64_t out[NEAREST], Arena *a, const Index *x, const Bag *b)
{
    double *score = NEW(a, double, x->n), best[NEAREST];
    int n = 0;
    for (int64_t k = 0; k < b->n; k++)
        for (int64_t e = b->word[k] < x->words ? x->start[b->word[k]] : 0,
                     end = b->word[k] < x->words ? x->start[b->word[k] + 1] : 0;
             e < end; e++)
            score[x->entry[e].document] += (double)b->count[k] * x->entry[e].count;
    for (int64_t i = 0; i < x->n; i++) {
        double s = x->norm[i] > 0 ? score[i] / x->norm[i] : 0;
        int at = n < NEAREST ? n++ : NEAREST;
        while (at > 0 && s > best[at - 1]) {
            if (at < NEAREST) best[at] = best[at - 1], out[at] = out[at - 1];
            at--;
        }
        if (at < NEAREST) best[at] = s, out[at] = i;
    }
    return n;
}

/* ---- the baselines */

typedef struct {
    Index index;
    Words *diff; /* (n) of the training changes, as BLEU reads them */
    Lexicon counted, read;
} Training;

/* The training change for a test change: of its nearest by cosine, the one with the highest BLEU of diffs. */
static int64_t choose(Training *t, Arena *a, const CodeChange *c)
{
    int64_t near[NEAREST] = {0}, best = 0;
    double most = -1;
    Bytes text = diff_text(a, c);
    Bag bag = bag_of(&t->counted, a, text);
    Words diff = words_split(&t->read, text.text, text.len);
    int n = nearest_of(near, a, &t->index, &bag);
    for (int k = 0; k < n; k++) {
        BleuCounts counts = {0};
        bleu_count(&counts, a, diff, t->diff[near[k]]);
        double bleu = bleu_norm(&counts);
        if (bleu > most) most = bleu, best = near[k];
    }
    return best;
}

Status cmg_nearest(int64_t *nearest, Arena *a, int64_t n, const CodeChange *train, int64_t m, const CodeChange *test)
{
    if (n < 1) return err_fail(E_MISMATCH, "there are no training changes to choose from");
    ArenaMark mark = arena_mark(a);
    Arena scratch = arena_open(0);
    Training t = {.diff = NEW(a, Words, n), .counted = lexicon_open(a), .read = lexicon_open(a)};
    Bag *bag = NEW(a, Bag, n);
    for (int64_t i = 0; i < n; i++) {
        Bytes text = diff_text(a, &train[i]);
        bag[i] = bag_of(&t.counted, a, text);
        t.diff[i] = words_split(&t.read, text.text, text.len);
    }
    t.index = index_of(a, bag, n, t.counted.number.count);
    for (int64_t i = 0; i < m; i++) {
        ArenaMark one = arena_mark(&scratch);
        nearest[i] = choose(&t, &scratch, &test[i]);
        arena_drop(&scratch, one);
    }
    arena_close(&scratch);
    arena_drop(a, mark);
    return OK;
}

int64_t cmg_commonest(int64_t n, const CodeChange *train)
{
    Arena a = arena_open(0);
    Table seen = table_open(&a, n);
    int64_t best = 0, most = 0, *times = NEW(&a, int64_t, n + 1), *first = NEW(&a, int64_t, n + 1);
    for (int64_t i = 0; i < n; i++) {
        bool added;
        Bytes s = cmg_subject(&train[i]);
        s = words_lower(&a, s.text, s.len);
        int64_t *number = table_add(&seen, s.text, s.len, &added);
        if (added) *number = seen.count - 1, first[*number] = i;
        times[*number]++;
    }
    for (int64_t k = 0; k < seen.count; k++)
        if (times[k] > most) most = times[k], best = first[k];
    arena_close(&a);
    return best;
}

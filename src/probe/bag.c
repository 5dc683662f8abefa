/* The bag of tokens, a baseline that reads the text without an encoder.  Each text becomes a list of token numbers,
 * in order of first appearance over the whole set; the numbers seen in the most training texts become columns. */
#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/table.h"
#include "probe/probe.h"

typedef struct {
    int64_t n;
    int64_t *token; /* (n) numbers from the table */
} Bag;

static Bag bag_of_words(Arena *a, Table *seen, const Example *e)
{
    Bag b = {0, arena_take(a, sizeof *b.token * (e->len / 2 + 1))};
    for (size_t i = 0, end; i < e->len; i = end) {
        while (i < e->len && isspace((unsigned char)e->text[i])) i++;
        for (end = i; end < e->len && !isspace((unsigned char)e->text[end]);) end++;
        if (end == i) break;
        bool added;
        int64_t *number = table_add(seen, e->text + i, end - i, &added);
        if (added) *number = seen->count - 1;
        b.token[b.n++] = *number;
    }
    return b;
}

static Bag bag_of_pieces(Arena *a, Table *seen, Bpe *bpe, const Example *e)
{
    BpeText t = bpe_encode(bpe, a, e->text, e->len, false);
    Bag b = {t.n, arena_take(a, sizeof *b.token * (size_t)t.n)};
    for (int64_t i = 0; i < t.n; i++) {
        bool added;
        int64_t *number = table_add(seen, &t.id[i], sizeof t.id[i], &added);
        if (added) *number = seen->count - 1;
        b.token[i] = *number;
    }
    return b;
}

typedef struct {
    int64_t token, texts, last; /* training texts that hold it; the last text that did, plus 1 */
} Frequency;

static int by_texts(const void *a, const void *b)
{
    const Frequency *x = a, *y = b;
    if (x->texts != y->texts) return x->texts > y->texts ? -1 : 1;
    return (x->token > y->token) - (x->token < y->token);
}

/* column[token]: its column, or -1; returns the number of columns. */
static int64_t choose(int64_t *column, Arena *a, const Bag *bag, const Dataset *d, int64_t tokens, int most)
{
    Frequency *f = NEW(a, Frequency, tokens);
    for (int64_t t = 0; t < tokens; t++) {
        f[t].token = t;
        column[t] = -1;
    }
    for (int64_t i = 0; i < d->n; i++) {
        if (d->example[i].split != SPLIT_TRAIN) continue;
        for (int64_t k = 0; k < bag[i].n; k++) {
            Frequency *g = &f[bag[i].token[k]];
            g->texts += g->last != i + 1;
            g->last = i + 1;
        }
    }
    qsort(f, (size_t)tokens, sizeof *f, by_texts);
    int64_t n = 0;
    for (; n < tokens && n < most && f[n].texts >= 2; n++) column[f[n].token] = n;
    return n;
}

/* Counts the tokens of each text, chooses the columns on training texts, and takes log(1 + count). */
Tensor probe_bag(Arena *a, const Dataset *d, Bpe *bpe, int most)
{
    Arena scratch = arena_open(0);
    Table seen = table_open(&scratch, 1 << 12);
    Bag *bag = arena_take(&scratch, sizeof *bag * (size_t)d->n);
    for (int64_t i = 0; i < d->n; i++)
        bag[i] =
            bpe ? bag_of_pieces(&scratch, &seen, bpe, &d->example[i]) : bag_of_words(&scratch, &seen, &d->example[i]);
    int64_t *column = arena_take(&scratch, sizeof *column * (size_t)(seen.count + 1));
    int64_t k = choose(column, &scratch, bag, d, seen.count, most);
    Tensor x = tensor_zero(a, F32, SHAPE(d->n, k));
    for (int64_t i = 0; i < d->n; i++)
        for (int64_t t = 0; t < bag[i].n; t++) {
            int64_t j = column[bag[i].token[t]];
            if (j >= 0) tensor_set(x, i * k + j, tensor_get(x, i * k + j) + 1);
        }
    for (int64_t i = 0, n = tensor_count(x); i < n; i++) tensor_set(x, i, log1p(tensor_get(x, i)));
    arena_close(&scratch);
    return x;
}

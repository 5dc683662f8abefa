/* Which message belongs to which change.  See make.h.
 *
 * False rows come in cycles: each change of a cycle takes the message of the next, which is about as long as its own
 * and shares about as many words with it.  So every change and every message of a split is in one True and one False
 * row, and neither alone gives any information. */
#include <math.h>
#include <string.h>

#include "base/rng.h"
#include "probe/pool.h"

enum { FALSE_PAIR, TRUE_PAIR, MOST_STEPS = 300 };

/* The message, all added lines, all removed lines. */
static void add_pair(Maker *m, int split, int label, const PoolItem *said, const PoolItem *done)
{
    Buf b = buf_open(m->arena);
    buf_print(&b, "%s", said->message);
    for (int mark = MARK_ADD; mark <= MARK_DEL; mark++)
        for (int64_t k = 0; k < done->n; k++)
            if (done->line[k].mark == (Mark)mark) {
                buf_add(&b, MARK_TEXT[mark], strlen(MARK_TEXT[mark]));
                buf_add(&b, done->line[k].text, done->line[k].len);
            }
    maker_add(m, (Split)split, label, b.text, b.len);
}

/* Half the rows are changes with their own message, once each; the others any change with any message of those. */
static Status study(Maker *m, const ChangePool *p)
{
    const MakeOptions *o = m->options;
    int64_t rows = o->size[0] + o->size[1] + o->size[2], pairs = (rows + 1) / 2;
    uint64_t draws = rng_stream(o->seed, "make/draws");
    int32_t *order = arena_take(m->arena, sizeof *order * (size_t)(rows + 1));
    if (p->n < pairs) return OK;
    for (int64_t i = 0; i < rows; i++) order[i] = (int32_t)i;
    rng_shuffle(rng_stream(o->seed, "make/order"), rows, order);
    for (int64_t i = 0; i < rows; i++) {
        int split = maker_split(m, 1);
        if (order[i] < pairs) {
            add_pair(m, split, TRUE_PAIR, &p->item[order[i]], &p->item[order[i]]);
        } else {
            int64_t said = rng_below(draws, 2 * (uint64_t)i, pairs),
                    done = rng_below(draws, 2 * (uint64_t)i + 1, pairs);
            if (said == done) said = (said + 1) % pairs;
            add_pair(m, split, FALSE_PAIR, &p->item[said], &p->item[done]);
        }
    }
    return OK;
}

/* The two measures of the rules: whole words, and stems. */
enum { MEASURES = 2 };
static const struct {
    int least, stem;
} MEASURE[MEASURES] = {{3, 0}, {4, 5}};

typedef struct {
    const PoolItem *item;
    WordSet said[MEASURES], done[MEASURES]; /* words of the message and of the change */
    double own[MEASURES];                   /* their overlap */
    bool spent;
    int64_t left_out; /* the search that it led nowhere in */
} Side;

static void measure(Side *s, Arena *a, Table *vocabulary, const PoolItem *item)
{
    Buf b = buf_open(a);
    for (int64_t k = 0; k < item->n; k++) buf_print(&b, "%s%s\n", MARK_TEXT[item->line[k].mark], item->line[k].text);
    *s = (Side){.item = item};
    for (int i = 0; i < MEASURES; i++) {
        const char *message = item->message;
        s->said[i] = word_set(a, vocabulary, message, strlen(message), MEASURE[i].least, MEASURE[i].stem);
        s->done[i] = word_set(a, vocabulary, b.text, b.len, MEASURE[i].least, MEASURE[i].stem);
        s->own[i] = word_overlap(s->said[i], s->done[i]);
    }
}

static void mark_words(bool *const in_done[MEASURES], const Side *s, bool on)
{
    for (int i = 0; i < MEASURES; i++)
        for (int64_t k = 0; k < s->done[i].n; k++) in_done[i][s->done[i].id[k]] = on;
}

/* Could the message of `said` pass for that of `done`?  It must be of the same repository and language, about as
 * long, and share as many words with the change, to a tenth.  `in_done` flags the words of `done`. */
static bool passes(const Side *said, const Side *done, bool *const in_done[MEASURES])
{
    double longer = fabs((double)(said->said[0].n - done->said[0].n));
    if (longer > 1 || said->item->lang != done->item->lang || strcmp(said->item->repo, done->item->repo))
        return false;
    for (int i = 0; i < MEASURES; i++) {
        int64_t shared = 0;
        for (int64_t k = 0; k < said->said[i].n; k++) shared += in_done[i][said->said[i].id[k]];
        int64_t all = said->said[i].n + done->done[i].n - shared;
        double here = all ? (double)shared / (double)all : 0;
        if (fabs(here - done->own[i]) > 0.005 + 0.1 * done->own[i]) return false;
    }
    return true;
}

/* Grows a chain from its first member, each next one with a message that passes for the one before it, until the
 * first one's passes for the last: then its length, 2 to `most` but not one less; 0 when none was found.  Whoever
 * leads nowhere is left out for the rest of this search (`number`). */
static int64_t find_cycle(Side **chain, Side *side, int64_t n, int64_t most, int64_t number,
                          bool *const in_done[MEASURES])
{
    int64_t len = 1;
    chain[0]->spent = true;
    for (int steps = 0; len > 0; steps++) {
        Side *last = chain[len - 1], *next = NULL;
        mark_words(in_done, last, true);
        bool closes = len > 1 && most - len != 1 && passes(chain[0], last, in_done);
        for (int64_t i = 0; i < n && !closes && !next && len < most && steps < MOST_STEPS; i++)
            if (!side[i].spent && side[i].left_out != number && passes(&side[i], last, in_done)) next = &side[i];
        mark_words(in_done, last, false);
        if (closes) return len;
        if (next) {
            next->spent = true;
            chain[len++] = next;
        } else {
            last->spent = false;
            last->left_out = number;
            len--;
        }
    }
    return 0;
}

/* Makes true pairs, and false ones by exchanging messages of equal word overlap in a cycle of changes. */
Status make_ccm(Maker *m, const ChangePool *p)
{
    if (m->options->study) return study(m, p);
    Table vocabulary = table_open(m->arena, 1 << 14);
    Side *side = NEW(m->arena, Side, p->n + 1), **chain = NEW(m->arena, Side *, p->n + 1);
    bool *in_done[MEASURES];
    for (int64_t i = 0; i < p->n; i++) measure(&side[i], m->arena, &vocabulary, &p->item[i]);
    for (int i = 0; i < MEASURES; i++) in_done[i] = NEW(m->arena, bool, vocabulary.count + 1);
    for (int64_t i = 0; i < p->n; i++) {
        int split = maker_split(m, 4);
        if (split == SPLITS) break;
        if (side[i].spent) continue;
        chain[0] = &side[i];
        int64_t most = m->left[split] / 2, len = find_cycle(chain, side, p->n, most, i + 1, in_done);
        m->stats->unpaired += !len;
        for (int64_t k = 0; k < len; k++) {
            add_pair(m, split, TRUE_PAIR, chain[k]->item, chain[k]->item);
            add_pair(m, split, FALSE_PAIR, chain[(k + 1) % len]->item, chain[k]->item);
        }
    }
    return OK;
}

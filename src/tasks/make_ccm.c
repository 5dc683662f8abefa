/* Which message belongs to which change.  See make.h.
 *
 * Matching: for a True pair with overlap x, the unused changes of like size are tried with all unused messages of
 * like length, until one shares about as many words.  Change and message of a False row, and the partners that they
 * were taken from, are then spent. */
#include <math.h>
#include <string.h>

#include "base/rng.h"
#include "tasks/pool.h"

enum { FALSE_PAIR, TRUE_PAIR, MOST_TRIED = 60 };

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
static Status study(Maker *m, const Pool *p)
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

static bool near(double x, double y, double factor, double slack)
{
    return x <= factor * y + slack && y <= factor * x + slack;
}

/* How far from the overlap of `like` this message and the change `done` are, in shares of what is allowed: a tenth.
 * */
static double gap(const Side *like, const Side *said, const Side *done, bool *const in_done[MEASURES])
{
    double worst = 0;
    for (int i = 0; i < MEASURES; i++) {
        int64_t shared = 0;
        for (int64_t k = 0; k < said->said[i].n; k++) shared += in_done[i][said->said[i].id[k]];
        int64_t all = said->said[i].n + done->done[i].n - shared;
        double here = all ? (double)shared / (double)all : 0;
        worst = fmax(worst, fabs(here - like->own[i]) / (0.005 + 0.1 * like->own[i]));
    }
    return worst;
}

/* The first unused message of the same repository and language and of like length that makes a like pair, or NULL. */
static Side *message_for(Side *side, int64_t n, const Side *like, const Side *done, bool *const in_done[MEASURES])
{
    for (int64_t i = 0; i < n; i++) {
        Side *s = &side[i];
        if (s->spent || s == like || s == done || s->item->lang != done->item->lang ||
            strcmp(s->item->repo, done->item->repo) || !near((double)s->said[0].n, (double)like->said[0].n, 1, 1))
            continue;
        if (gap(like, s, done, in_done) <= 1) return s;
    }
    return NULL;
}

static void mark_words(bool *const in_done[MEASURES], const Side *s, bool on)
{
    for (int i = 0; i < MEASURES; i++)
        for (int64_t k = 0; k < s->done[i].n; k++) in_done[i][s->done[i].id[k]] = on;
}

/* Finds change and message for a False row like `like`. */
static bool partner(Side *side, int64_t n, const Side *like, bool *const in_done[MEASURES], Side **said, Side **done)
{
    int tried = 0;
    *said = NULL;
    for (int64_t i = 0; i < n && tried < MOST_TRIED && !*said; i++) {
        Side *d = &side[i];
        if (d->spent || d == like || !near((double)d->done[0].n, (double)like->done[0].n, 1.25, 1)) continue;
        tried++;
        mark_words(in_done, d, true);
        *said = message_for(side, n, like, d, in_done);
        mark_words(in_done, d, false);
        *done = d;
    }
    return *said != NULL;
}

Status make_ccm(Maker *m, const Pool *p)
{
    if (m->options->study) return study(m, p);
    Table vocabulary = table_open(m->arena, 1 << 14);
    Side *side = NEW(m->arena, Side, p->n + 1);
    for (int64_t i = 0; i < p->n; i++) measure(&side[i], m->arena, &vocabulary, &p->item[i]);
    bool *in_done[MEASURES];
    for (int i = 0; i < MEASURES; i++) in_done[i] = NEW(m->arena, bool, vocabulary.count + 1);
    for (int64_t i = 0; i < p->n; i++) {
        Side *like = &side[i], *said, *done;
        int split = maker_split(m, 2);
        if (split == SPLITS) break;
        if (like->spent) continue;
        if (!partner(side, p->n, like, in_done, &said, &done)) {
            m->stats->unpaired++;
            continue;
        }
        like->spent = said->spent = done->spent = true;
        add_pair(m, split, TRUE_PAIR, like->item, like->item);
        add_pair(m, split, FALSE_PAIR, said->item, done->item);
    }
    return OK;
}

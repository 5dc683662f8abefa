/* Added or removed.  See make.h. */
#include <string.h>

#include "base/rng.h"
#include "probe/pool.h"
#include "probe/rules.h"

static void add_row(Maker *m, int split, const PoolItem *p, int64_t hidden)
{
    Buf b = buf_open(m->arena);
    for (int64_t k = 0; k < p->n; k++) {
        const char *mark = MARK_TEXT[k == hidden ? MARK_MASK : p->line[k].mark];
        buf_add(&b, mark, strlen(mark));
        buf_add(&b, p->line[k].text, p->line[k].len);
    }
    maker_add(m, (Split)split, p->line[hidden].mark == MARK_DEL, b.text, b.len);
}

static Status study(Maker *m, const ChangePool *p, uint64_t draws)
{
    for (int64_t i = 0; i < p->n; i++) {
        int split = maker_split(m, 1);
        if (split == SPLITS) break;
        add_row(m, split, &p->item[i], rng_below(draws, (uint64_t)i, p->item[i].n));
    }
    return OK;
}

/* The properties that a partner must share: with `balance` the position and the neighbours' tags, else none. */
static int64_t key_of(const PoolItem *p, int64_t line, bool balance)
{
    Segment s[3] = {{0}};
    if (!balance) return 0;
    int64_t from = line > 0 ? line - 1 : 0, n = 0;
    for (int64_t k = from; k < p->n && k <= line + 1; k++) s[n++].mark = p->line[k].mark;
    int64_t seen = ltp_place(s, n, line - from); /* its place is that in the excerpt: put the real one in its stead */
    enum { BESIDE = (MARKS + 1) * (MARKS + 1) };
    return (line < 3 ? line : 3) * BESIDE + seen % BESIDE;
}

typedef struct {
    const PoolItem *item;
    int64_t line;
    int64_t next; /* in the queue, plus 1 */
} Waiting;

/* Every change offers its lines in random order: the first that has a partner waiting with the other label and the
 * same key makes two rows of one split; else one of its lines waits. */
Status make_ltp(Maker *m, const ChangePool *p)
{
    const MakeOptions *o = m->options;
    uint64_t draws = rng_stream(o->seed, "make/draws");
    if (o->study) return study(m, p, draws);
    Waiting *waiting = arena_take(m->arena, sizeof *waiting * (size_t)(p->n + 1));
    int64_t queue[LTP_PLACES][2] = {{0}}, n = 0;
    for (int64_t i = 0; i < p->n; i++) {
        const PoolItem *it = &p->item[i];
        int split = maker_split(m, 2);
        if (split == SPLITS) break;
        int32_t *order = arena_take(m->arena, sizeof *order * (size_t)it->n);
        int64_t body = 0, k = 0;
        for (int64_t l = 0; l < it->n; l++)
            if (!it->line[l].header) order[body++] = (int32_t)l;
        rng_shuffle(rng_mix(draws, (uint64_t)i), body, order);
        for (; k < body; k++) {
            int64_t *q = &queue[key_of(it, order[k], o->balance)][it->line[order[k]].mark == MARK_ADD];
            if (!*q) continue;
            const Waiting *w = &waiting[*q - 1];
            *q = w->next;
            m->stats->unpaired--;
            add_row(m, split, it, order[k]);
            add_row(m, split, w->item, w->line);
            break;
        }
        if (k < body) continue;
        int64_t *q = &queue[key_of(it, order[0], o->balance)][it->line[order[0]].mark == MARK_DEL];
        waiting[n] = (Waiting){it, order[0], *q};
        *q = ++n;
        m->stats->unpaired++;
    }
    return OK;
}

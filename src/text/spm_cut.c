/* Cutting one normalised word into pieces.  Unigram: the best path by Viterbi over byte positions; scores are
 * summed in float over the whole text, as the library does, or in double over the word, for a tokenizer.json,
 * because ties decide ids.  BPE: the pair that comes first in order is joined, the leftmost of equals; short words
 * search for it anew each time, long ones keep a heap, so that n characters cost n log n. */
#include <math.h>
#include <string.h>

#include "text/heap.h"
#include "text/pretoken.h"
#include "text/spm_model.h"

static const double UNKNOWN_PENALTY = 10;
enum { SHORT_WORD = 48 };

/* Text from a character map or a user-defined symbol need not be UTF-8. */
static int64_t one_character(const char *at, int64_t left)
{
    int64_t n = (int64_t)utf8_length(at, (size_t)left);
    return n ? n : 1;
}

static int32_t piece_at(const Spm *s, const char *at, int64_t len)
{
    return len > s->longest ? -1 : (int32_t)table_get(&s->by_text, at, (size_t)len, -1);
}

/* ---- unigram */

typedef struct {
    int32_t id;
    int32_t from; /* -1: not reached */
    double best;
} Reached;

static void offer(const Spm *s, Reached *to, int64_t from, int32_t id, double score)
{
    if (to->from >= 0 && !(score > to->best)) return;
    *to = (Reached){id, (int32_t)from, s->library ? (double)(float)score : score};
}

/* Of a piece whose score is no float, or that only some texts may be cut into; NaN: not this one. */
static double rare_score(const Cutter *c, int32_t piece)
{
    const Spm *s = c->s;
    if (s->piece[piece].type == PIECE_CONTROL && c->special) return s->piece[piece].score;
    return s->in_path[piece];
}

static void extend(const Cutter *c, const char *word, int64_t len, int64_t at, Reached *reach)
{
    const Spm *s = c->s;
    int64_t one = one_character(word + at, len - at);
    bool single = false;
    double here = reach[at].best;
    int32_t node = 0;
    for (int64_t i = at; i < len && (node = trie_step(&s->normal, node, (unsigned char)word[i])) >= 0; i++) {
        const TrieUnit *u = &s->normal.unit[node];
        if (u->leaf < 0) continue;
        double score = isnan(u->value) ? rare_score(c, u->leaf) : (double)u->value;
        if (isnan(score)) continue;
        offer(s, &reach[i + 1], at, u->leaf, score + here);
        single |= i + 1 - at == one;
    }
    if (!single) offer(s, &reach[at + one], at, -1, s->least - UNKNOWN_PENALTY + here);
}

static void cut_unigram(Cutter *c, const char *word, int64_t len)
{
    Reached *reach = arena_take(c->a, sizeof *reach * (size_t)(len + 1));
    for (int64_t i = 1; i <= len; i++) reach[i].from = -1;
    reach[0] = (Reached){.best = c->score};
    for (int64_t at = 0; at < len; at += one_character(word + at, len - at))
        if (reach[at].from >= 0) extend(c, word, len, at, reach);
    c->score = reach[len].best;
    for (int64_t end = len; end > 0; end = reach[end].from) c->n++;
    int64_t k = c->n;
    for (int64_t end = len; end > 0; end = reach[end].from)
        c->at[--k] = (Cutting){reach[end].id, (int32_t)(end - reach[end].from)};
}

/* ---- BPE */

typedef struct {
    int32_t at, len; /* in the word; len 0: joined to its left */
    int32_t id;
    bool frozen; /* a user-defined symbol */
    int64_t prev, next;
} Symbol;

static uint64_t by_text(const Spm *s, const char *both, int64_t len)
{
    int32_t id = piece_at(s, both, len);
    if (id < 0) return NO_MERGE;
    float score = (float)s->piece[id].score + 0.0F; /* no negative zero */
    uint32_t bits;
    memcpy(&bits, &score, 4);
    uint32_t down = bits >> 31 ? bits : ~bits ^ 0x80000000U; /* falls as the score rises */
    return (uint64_t)down << 32 | (uint32_t)id;
}

/* Order << 32 | piece of two neighbours, NO_MERGE when they do not join; equal orders are equal scores. */
static uint64_t joined(const Cutter *c, const char *word, const Symbol *l, const Symbol *r)
{
    const Spm *s = c->s;
    bool known = l->id >= 0 && r->id >= 0;
    if (l->frozen || r->frozen) return NO_MERGE;
    if (!c->pair || !known) return by_text(s, word + l->at, (int64_t)l->len + r->len);
    uint64_t key = merge_pair(l->id, r->id);
    Merge *m = &c->pair[key * 0x9E3779B97F4A7C15u >> 51 & (PAIRS - 1)];
    if (m->pair != key) *m = (Merge){key, by_text(s, word + l->at, (int64_t)l->len + r->len)};
    return m->value;
}

static int64_t split(const Spm *s, const char *word, int64_t len, Symbol *symbol)
{
    int64_t n = 0;
    for (int64_t at = 0; at < len; n++) {
        int64_t user = s->user.unit ? spm_longest_user(s, word + at, len - at) : 0;
        int64_t bytes = user ? user : one_character(word + at, len - at);
        int32_t id = piece_at(s, word + at, bytes);
        symbol[n] = (Symbol){(int32_t)at, (int32_t)bytes, id, user > 0, n - 1, n + 1};
        at += bytes;
    }
    if (n) symbol[n - 1].next = -1;
    return n;
}

/* The best merge, again and again, by a plain search: in a short word faster than a heap. */
static int64_t join_short(const Cutter *c, const char *word, Symbol *symbol, int64_t n)
{
    uint64_t pair[SHORT_WORD];
    for (int64_t i = 0; i + 1 < n; i++) pair[i] = joined(c, word, &symbol[i], &symbol[i + 1]);
    for (;;) {
        uint64_t best = NO_MERGE;
        int64_t at = 0;
        for (int64_t i = 0; i + 1 < n; i++)
            if (pair[i] >> 32 < best >> 32) best = pair[i], at = i;
        if (best == NO_MERGE) return n;
        symbol[at].id = (int32_t)best;
        symbol[at].len += symbol[at + 1].len;
        n--;
        for (int64_t i = at + 1; i < n; i++) symbol[i] = symbol[i + 1];
        for (int64_t i = at + 1; i + 1 < n; i++) pair[i] = pair[i + 1];
        if (at) pair[at - 1] = joined(c, word, &symbol[at - 1], &symbol[at]);
        if (at + 1 < n) pair[at] = joined(c, word, &symbol[at], &symbol[at + 1]);
    }
}

static void queue(const Cutter *c, Heap *h, const char *word, const Symbol *symbol, int64_t left)
{
    if (left < 0 || symbol[left].next < 0) return;
    const Symbol *l = &symbol[left], *r = &symbol[l->next];
    uint64_t join = joined(c, word, l, r);
    if (join == NO_MERGE) return;
    uint64_t len = (uint64_t)((int64_t)l->len + r->len);
    heap_push(h, (HeapItem){join >> 32, (uint64_t)left, len << 32 | (uint32_t)join});
}

/* A candidate is stale when its symbols have grown: their lengths no longer give its own. */
static int64_t join_long(const Cutter *c, const char *word, Symbol *symbol, int64_t n)
{
    Heap h = heap_open(c->a, n);
    for (int64_t i = 0; i + 1 < n; i++) queue(c, &h, word, symbol, i);
    for (HeapItem x; heap_pop(&h, &x);) {
        Symbol *left = &symbol[x.tie];
        if (!left->len || left->next < 0) continue;
        Symbol *right = &symbol[left->next];
        if ((uint64_t)((int64_t)left->len + right->len) != x.value >> 32) continue;
        left->id = (int32_t)x.value;
        left->len += right->len;
        right->len = 0;
        left->next = right->next;
        if (left->next >= 0) symbol[left->next].prev = (int64_t)x.tie;
        queue(c, &h, word, symbol, left->prev);
        queue(c, &h, word, symbol, (int64_t)x.tie);
    }
    int64_t kept = 0;
    for (int64_t i = 0; i < n; i++)
        if (symbol[i].len) symbol[kept++] = symbol[i];
    return kept;
}

/* Pieces of type unused exist only to be passed through: they are cut back at their best join. */
static void add_cut(Cutter *c, const char *at, int64_t len, int32_t id)
{
    const Spm *s = c->s;
    if (id >= 0 && s->piece[id].type == PIECE_UNUSED) {
        int64_t best = 0;
        double score = -INFINITY;
        for (int64_t k = 1; k < len; k++) {
            int32_t l = piece_at(s, at, k), r = piece_at(s, at + k, len - k);
            if (l < 0 || r < 0) continue;
            double worse = fmin(s->piece[l].score, s->piece[r].score);
            if (worse > score) score = worse, best = k;
        }
        if (best) {
            add_cut(c, at, best, piece_at(s, at, best));
            add_cut(c, at + best, len - best, piece_at(s, at + best, len - best));
            return;
        }
    }
    c->at[c->n++] = (Cutting){id, (int32_t)len};
}

static void cut_bpe(Cutter *c, const char *word, int64_t len)
{
    Symbol *symbol = arena_take(c->a, sizeof *symbol * (size_t)(len + 1));
    int64_t n = split(c->s, word, len, symbol);
    n = n <= SHORT_WORD ? join_short(c, word, symbol, n) : join_long(c, word, symbol, n);
    for (int64_t i = 0; i < n; i++) add_cut(c, word + symbol[i].at, symbol[i].len, symbol[i].id);
}

void spm_cut_word(Cutter *c, const char *word, int64_t len)
{
    ArenaMark mark = arena_mark(c->a);
    c->n = 0;
    if (c->s->kind == SPM_BPE)
        cut_bpe(c, word, len);
    else
        cut_unigram(c, word, len);
    arena_drop(c->a, mark);
}

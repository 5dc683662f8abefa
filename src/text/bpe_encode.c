/* Cutting a word.  It starts as one symbol per byte or character; then the adjacent pair of lowest merge rank is
 * replaced, leftmost first, until no pair has a rank.  In a short word the best pair is looked for anew each time; in
 * a long one symbols form a doubly linked list and candidate pairs wait in a heap, so that n bytes cost n log n.  A
 * candidate is checked when it comes out, because a neighbouring merge may have used one of its symbols. */
#include <string.h>

#include "text/bpe_core.h"
#include "text/heap.h"
#include "base/str.h"

enum { SHORT_WORD = 64, SPELT = 256 };

/* ---- symbols to start from ---- */

typedef struct {
    const Bpe *b;
    Cutting *at;
    int64_t n;
    int32_t unknown; /* bytes of unknown characters that wait for a known one */
    int32_t dropped; /* bytes that the next symbol takes along */
} Start;

static void put(Start *s, int32_t id, int32_t len)
{
    s->at[s->n++] = (Cutting){id, len + s->dropped};
    s->dropped = 0;
}

static void put_unknown(Start *s)
{
    if (s->unknown) put(s, s->b->unknown, s->unknown);
    s->unknown = 0;
}

/* One byte or character of len bytes, whose id is -1 where the vocabulary has none. */
static void start_one(Start *s, int32_t id, const char *text, int32_t len)
{
    const Bpe *b = s->b;
    bool bytes = id < 0 && b->byte_fallback;
    for (int32_t i = 0; i < len && bytes; i++) bytes = b->fallback[(unsigned char)text[i]] >= 0;
    if (bytes) {
        for (int32_t i = 0; i < len; i++) put(s, b->fallback[(unsigned char)text[i]], 1);
    } else if (id >= 0) {
        put_unknown(s);
        put(s, id, len);
    } else if (b->unknown < 0) {
        s->dropped += len;
    } else {
        if (!b->fuse) put_unknown(s);
        s->unknown += len;
    }
}

/* The id of a character, with the prefix and the suffix that its place asks for. */
static int32_t character_id(const Bpe *b, Arena *a, const char *word, int64_t n, int64_t at, int64_t len)
{
    const char *front = at ? b->prefix : "", *behind = at + len == n ? b->suffix : "";
    size_t f = strlen(front), r = strlen(behind);
    if (!f && !r && len == 1 && !(word[at] & 0x80)) return b->start[(unsigned char)word[at]];
    if (!f && !r) return (int32_t)table_get(&b->vocab, word + at, (size_t)len, -1);
    ArenaMark mark = arena_mark(a);
    const char *text = str_print(a, "%s%.*s%s", front, (int)len, word + at, behind);
    int32_t id = (int32_t)table_get(&b->vocab, text, f + r + (size_t)len, -1);
    arena_drop(a, mark);
    return id;
}

static int64_t start_word(const Bpe *b, Arena *a, const char *word, int64_t n, Cutting *out)
{
    Start s = {.b = b, .at = out};
    for (int64_t at = 0, len = 1; at < n; at += len) {
        if (b->characters) len = (int64_t)utf8_length(word + at, (size_t)(n - at));
        if (!len) len = 1;
        int32_t id = b->characters ? character_id(b, a, word, n, at, len) : b->start[(unsigned char)word[at]];
        start_one(&s, id, word + at, (int32_t)len);
    }
    put_unknown(&s);
    if (s.dropped && !s.n) put(&s, CUT_NOTHING, 0);
    if (s.dropped) out[s.n - 1].len += s.dropped;
    return s.n;
}

/* ---- merging ---- */

static uint64_t pair_of(const Bpe *b, const Cutting *at)
{
    return merge_of(&b->merges, at[0].id, at[1].id);
}

/* The merge of the lowest rank, again and again, by a plain search: in a short word faster than a heap. */
static int64_t merge_short(const Bpe *b, Cutting *at, int64_t n)
{
    uint64_t merge[SHORT_WORD + 1]; /* of symbols i and i + 1 */
    for (int64_t i = 0; i + 1 < n; i++) merge[i] = pair_of(b, at + i);
    for (;;) {
        uint64_t best = NO_MERGE;
        int64_t k = 0;
        for (int64_t i = 0; i + 1 < n; i++)
            if (merge[i] < best) best = merge[i], k = i;
        if (best == NO_MERGE) return n;
        at[k] = (Cutting){(int32_t)best, at[k].len + at[k + 1].len};
        n--;
        for (int64_t i = k + 1; i < n; i++) {
            at[i] = at[i + 1];
            merge[i] = merge[i + 1];
        }
        if (k) merge[k - 1] = pair_of(b, at + k - 1);
        if (k + 1 < n) merge[k] = pair_of(b, at + k);
    }
}

typedef struct {
    int64_t prev, next; /* -1 at the ends */
} Link;

/* Queues the pair that begins at symbol i, if it has a rank. */
static void offer(const Bpe *b, Heap *h, const Cutting *at, const Link *link, int64_t i)
{
    if (i < 0 || link[i].next < 0) return;
    int32_t left = at[i].id, right = at[link[i].next].id;
    uint64_t m = merge_of(&b->merges, left, right);
    if (m != NO_MERGE) heap_push(h, (HeapItem){m, (uint64_t)i, merge_pair(left, right)});
}

static int64_t merge_long(const Bpe *b, Arena *a, Cutting *at, int64_t n)
{
    Link *link = arena_take(a, sizeof *link * (size_t)n);
    Heap h = heap_open(a, n);
    for (int64_t i = 0; i < n; i++) link[i] = (Link){i - 1, i + 1 < n ? i + 1 : -1};
    for (int64_t i = 0; i < n; i++) offer(b, &h, at, link, i);
    for (HeapItem x; heap_pop(&h, &x);) {
        int64_t left = (int64_t)x.tie, right = link[left].next;
        if (right < 0 || at[left].id != (int32_t)(x.value >> 32) || at[right].id != (int32_t)x.value) continue;
        at[left] = (Cutting){(int32_t)x.key, at[left].len + at[right].len};
        at[right].id = CUT_NOTHING; /* merged into its left neighbour */
        link[left].next = link[right].next;
        if (link[left].next >= 0) link[link[left].next].prev = left;
        offer(b, &h, at, link, link[left].prev);
        offer(b, &h, at, link, left);
    }
    int64_t kept = 0;
    for (int64_t i = 0; i >= 0; i = link[i].next) at[kept++] = at[i];
    return kept;
}

/* The id of the whole word, as the vocabulary spells it; -1. */
static int32_t whole_word(const Bpe *b, const char *word, int64_t n)
{
    char text[2 * SPELT];
    size_t len = 0;
    if (b->characters) return (int32_t)table_get(&b->vocab, word, (size_t)n, -1);
    if (n > SPELT) return -1;
    for (int64_t i = 0; i < n; i++) len += bpe_spell(text + len, (unsigned char)word[i]);
    return (int32_t)table_get(&b->vocab, text, len, -1);
}

int64_t bpe_cut(const Bpe *b, Arena *a, const char *word, int64_t n, Cutting *at)
{
    int32_t whole = b->ignore_merges ? whole_word(b, word, n) : -1;
    if (whole >= 0) {
        *at = (Cutting){whole, (int32_t)n};
        return 1;
    }
    int64_t symbols = start_word(b, a, word, n, at);
    if (symbols <= SHORT_WORD) return merge_short(b, at, symbols);
    ArenaMark mark = arena_mark(a);
    symbols = merge_long(b, a, at, symbols);
    arena_drop(a, mark);
    return symbols;
}

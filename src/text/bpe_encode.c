/* Encoding.  A word starts as one symbol per byte; then the adjacent pair of lowest merge rank is replaced, leftmost
 * first, until no pair has a rank.  In a short word the best pair is looked for anew each time; in a long one symbols
 * form a doubly linked list and candidate pairs wait in a heap, so that n bytes cost n log n.  A candidate is checked
 * when it comes out, because a neighbouring merge may have used one of its symbols. */
#include <string.h>

#include "text/bpe_core.h"
#include "text/heap.h"
#include "text/pretoken.h"

enum { SHORT_WORD = 64 };

typedef struct {
    Bpe *bpe;
    const char *text;
    size_t len;
    BpeText out; /* arrays with room for one token per byte of the text, on the scratch arena */
} Encoder;

static inline void emit(Encoder *e, int32_t id, size_t begin, size_t end)
{
    e->out.id[e->out.n] = id;
    e->out.begin[e->out.n] = (int64_t)begin;
    e->out.end[e->out.n++] = (int64_t)end;
}

/* The merge of the lowest rank, again and again, by a plain search: in a short word faster than a heap. */
static void short_word(Encoder *e, size_t begin, size_t bytes)
{
    const Bpe *b = e->bpe;
    int32_t id[SHORT_WORD];
    uint8_t width[SHORT_WORD];
    uint64_t merge[SHORT_WORD + 1]; /* of symbols i and i + 1 */
    size_t n = bytes;
    for (size_t i = 0; i < n; i++) {
        id[i] = b->byte_id[(unsigned char)e->text[begin + i]];
        width[i] = 1;
    }
    for (size_t i = 0; i + 1 < n; i++) merge[i] = merge_of(&b->merges, id[i], id[i + 1]);
    for (;;) {
        uint64_t best = NO_MERGE;
        size_t at = 0;
        for (size_t i = 0; i + 1 < n; i++)
            if (merge[i] < best) best = merge[i], at = i;
        if (best == NO_MERGE) break;
        id[at] = (int32_t)best;
        width[at] = (uint8_t)(width[at] + width[at + 1]);
        n--;
        for (size_t i = at + 1; i < n; i++) {
            id[i] = id[i + 1];
            width[i] = width[i + 1];
            merge[i] = merge[i + 1];
        }
        if (at) merge[at - 1] = merge_of(&b->merges, id[at - 1], id[at]);
        if (at + 1 < n) merge[at] = merge_of(&b->merges, id[at], id[at + 1]);
    }
    for (size_t i = 0; i < n; begin += width[i++]) emit(e, id[i], begin, begin + width[i]);
}

/* ---- long words ---- */

typedef struct {
    int32_t id;         /* -1 once merged into its left neighbour */
    int32_t width;      /* bytes */
    int64_t prev, next; /* -1 at the ends */
} Symbol;

/* Queues the pair that begins at symbol i, if it has a rank. */
static void offer(const Bpe *b, Heap *h, const Symbol *s, int64_t i)
{
    if (i < 0 || s[i].next < 0) return;
    int32_t left = s[i].id, right = s[s[i].next].id;
    uint64_t m = merge_of(&b->merges, left, right);
    if (m != NO_MERGE) heap_push(h, (HeapItem){m, (uint64_t)i, merge_pair(left, right)});
}

/* Merges the n bytes of a word in place; the surviving symbols are linked from s[0]. */
static void merge_word(Bpe *b, Symbol *s, const char *word, size_t n)
{
    for (size_t i = 0; i < n; i++)
        s[i] = (Symbol){b->byte_id[(unsigned char)word[i]], 1, (int64_t)i - 1, i + 1 < n ? (int64_t)i + 1 : -1};
    Heap h = heap_open(&b->scratch, (int64_t)n);
    for (size_t i = 0; i < n; i++) offer(b, &h, s, (int64_t)i);
    for (HeapItem x; heap_pop(&h, &x);) {
        Symbol *left = &s[x.tie];
        if (left->next < 0 || left->id != (int32_t)(x.value >> 32) || s[left->next].id != (int32_t)x.value) continue;
        Symbol *right = &s[left->next];
        left->id = (int32_t)x.key;
        left->width += right->width;
        left->next = right->next;
        right->id = -1;
        if (left->next >= 0) s[left->next].prev = (int64_t)x.tie;
        offer(b, &h, s, left->prev);
        offer(b, &h, s, (int64_t)x.tie);
    }
}

static void long_word(Encoder *e, size_t begin, size_t n)
{
    ArenaMark mark = arena_mark(&e->bpe->scratch);
    Symbol *s = arena_take(&e->bpe->scratch, sizeof *s * n);
    merge_word(e->bpe, s, e->text + begin, n);
    for (int64_t i = 0; i >= 0; i = s[i].next) {
        emit(e, s[i].id, begin, begin + (size_t)s[i].width);
        begin += (size_t)s[i].width;
    }
    arena_drop(&e->bpe->scratch, mark);
}

/* ---- texts ---- */

/* Remembers the tokens from number `first` on as those of the word, when there are few enough. */
static void remember(Encoder *e, const MemoKey *k, int64_t first)
{
    int64_t n = e->out.n - first;
    if (n > MEMO_TOKENS) return;
    Remembered *r = memo_add(&e->bpe->memo, k);
    r->n = (uint8_t)n;
    for (int64_t i = 0; i < n; i++) {
        r->id[i] = e->out.id[first + i];
        r->width[i] = (uint8_t)(e->out.end[first + i] - e->out.begin[first + i]);
    }
}

static void encode_word(Encoder *e, size_t begin, size_t n)
{
    MemoKey k;
    bool key = memo_key(&k, &e->bpe->memo, e->text + begin, n, e->len - begin);
    const Remembered *r = key ? memo_find(&e->bpe->memo, &k) : NULL;
    if (r) {
        for (int i = 0; i < r->n; begin += r->width[i++]) emit(e, r->id[i], begin, begin + r->width[i]);
        return;
    }
    int64_t first = e->out.n;
    if (n <= SHORT_WORD)
        short_word(e, begin, n);
    else
        long_word(e, begin, n);
    if (key) remember(e, &k, first);
}

static void encode_plain(Encoder *e, size_t from, size_t to)
{
    Pretokens w = pretoken_open(e->text + from, to - from);
    for (size_t begin, end; pretoken_next(&w, &begin, &end);) encode_word(e, from + begin, end - begin);
}

BpeText bpe_encode(Bpe *b, Arena *a, const char *text, size_t len, bool special_in_text)
{
    ArenaMark mark = arena_mark(&b->scratch);
    Encoder e = {b, text, len, text_new(&b->scratch, (int64_t)len)};
    e.out.n = 0;
    size_t from = 0, at;
    const Special *s = NULL;
    while (special_in_text && (s = special_next(&b->special, text, from, len, &at))) {
        encode_plain(&e, from, s->strip_left ? pretoken_space_back(text, from, at) : at);
        emit(&e, s->id, at, at + s->len);
        from = at + s->len;
        if (s->strip_right) from = pretoken_space_skip(text, from, len);
    }
    encode_plain(&e, from, len);
    BpeText out = text_new(a, e.out.n);
    text_put(&out, 0, &e.out, 0, e.out.n);
    arena_drop(&b->scratch, mark);
    return out;
}

void bpe_remember(Bpe *b, bool words)
{
    b->memo = words ? memo_open(b->arena, MEMO_WORDS) : (Memo){0};
}

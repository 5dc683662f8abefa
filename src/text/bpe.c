/* Encoding and decoding.
 *
 * A vocabulary spells bytes as printable characters: 33-126, 161-172 and 174-255 stand for themselves, the
 * other 68 in increasing order for U+0100 and up, so a space is U+0120.  A word starts as one symbol per byte;
 * then the adjacent pair of lowest merge rank is replaced, leftmost first, until no pair has a rank.  Symbols
 * form a doubly linked list and candidate pairs wait in a heap, so a word of n bytes costs n log n.  A
 * candidate is checked when it comes out, because a neighbouring merge may have used one of its symbols. */
#include <string.h>

#include "text/bpe_core.h"
#include "text/heap.h"
#include "text/pretoken.h"

/* ---- filling ---- */

static bool printable(int byte)
{
    return (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
}

static int spelling(int byte)
{
    if (printable(byte)) return byte;
    int c = 256;
    for (int b = 0; b < byte; b++) c += !printable(b);
    return c;
}

size_t bpe_spell(char out[2], int byte)
{
    int c = spelling(byte);
    if (c < 128) {
        out[0] = (char)c;
        return 1;
    }
    out[0] = (char)(0xC0 | c >> 6);
    out[1] = (char)(0x80 | (c & 63));
    return 2;
}

Bpe *bpe_new(Arena *a, int64_t expected)
{
    Bpe *b = NEW(a, Bpe, 1);
    *b = (Bpe){.arena = a, .scratch = arena_open((size_t)1 << 34), .named = {-1, -1, -1, -1, -1}};
    b->vocab = table_open(a, expected);
    b->merge = table_open(a, expected);
    b->cache = NEW(a, CachedWord, CACHE_SLOTS);
    return b;
}

void bpe_close(Bpe *b)
{
    arena_close(&b->scratch);
}

bool bpe_add_piece(Bpe *b, const char *piece, size_t len, int64_t id)
{
    CHECK(id >= 0 && id < BPE_MOST_IDS, "a token id of %lld", (long long)id);
    if (id >= b->room) {
        int64_t room = b->room ? b->room : 512;
        while (room <= id) room *= 2;
        const char **more = NEW(b->arena, const char *, room);
        if (b->room) memcpy(more, b->piece, sizeof *more * (size_t)b->room);
        b->piece = more;
        b->room = room;
    }
    if (b->piece[id] || table_find(&b->vocab, piece, len)) return false;
    char *copy = arena_take(b->arena, len + 1);
    memcpy(copy, piece, len);
    copy[len] = 0;
    b->piece[id] = copy;
    *table_add(&b->vocab, piece, len, NULL) = id;
    if (id >= b->size) b->size = id + 1;
    return true;
}

bool bpe_add_merge(Bpe *b, int32_t left, int32_t right, int32_t id)
{
    const int32_t pair[2] = {left, right};
    bool added;
    int64_t *value = table_add(&b->merge, pair, sizeof pair, &added);
    if (!added) return false;
    *value = b->n_merges << 32 | id;
    if (b->n_merges == b->merge_room) {
        int64_t room = b->merge_room ? b->merge_room * 2 : 512;
        int32_t *l = arena_take(b->arena, sizeof *l * (size_t)room),
                *r = arena_take(b->arena, sizeof *r * (size_t)room);
        if (b->n_merges) {
            memcpy(l, b->left, sizeof *l * (size_t)b->n_merges);
            memcpy(r, b->right, sizeof *r * (size_t)b->n_merges);
        }
        b->left = l;
        b->right = r;
        b->merge_room = room;
    }
    b->left[b->n_merges] = left;
    b->right[b->n_merges++] = right;
    return true;
}

void bpe_add_special(Bpe *b, const char *text, size_t len, int32_t id, bool strip_left, bool strip_right)
{
    for (int64_t i = 0; i < b->n_special; i++)
        if (b->special[i].len == len && memcmp(b->special[i].text, text, len) == 0) return;
    Special *more = arena_take(b->arena, sizeof *more * (size_t)(b->n_special + 1));
    int64_t at = 0; /* keeps them longest first */
    while (at < b->n_special && b->special[at].len >= len) at++;
    if (at) memcpy(more, b->special, sizeof *more * (size_t)at);
    if (at < b->n_special) memcpy(more + at + 1, b->special + at, sizeof *more * (size_t)(b->n_special - at));
    more[at] = (Special){b->piece[id], len, id, strip_left, strip_right};
    b->special = more;
    b->n_special++;
    b->starts_special[(unsigned char)text[0]] = true;
}

void bpe_add_known_specials(Bpe *b)
{
    static const char *const KNOWN[] = {"<|endoftext|>", "<s>", "<pad>", "</s>", "<unk>", "<mask>"};
    size_t first = bpe_find(b, "<s>") >= 0; /* RoBERTa's vocabulary has GPT-2's token, as an ordinary piece */
    for (size_t i = first; i < sizeof KNOWN / sizeof *KNOWN; i++) {
        int32_t id = bpe_find(b, KNOWN[i]);
        if (id >= 0) bpe_add_special(b, KNOWN[i], strlen(KNOWN[i]), id, strcmp(KNOWN[i], "<mask>") == 0, false);
    }
}

int bpe_finish(Bpe *b)
{
    b->named = (BpeSpecials){bpe_find(b, "<s>"), bpe_find(b, "<pad>"), bpe_find(b, "</s>"), bpe_find(b, "<unk>"),
                             bpe_find(b, "<mask>")};
    int32_t end = bpe_find(b, "<|endoftext|>");
    if (b->named.bos < 0) b->named.bos = end;
    if (b->named.eos < 0) b->named.eos = end;
    for (int byte = 0; byte < 256; byte++) {
        char text[2];
        size_t len = bpe_spell(text, byte);
        b->byte_id[byte] = (int32_t)table_get(&b->vocab, text, len, b->named.unk);
        if (b->byte_id[byte] < 0) return byte;
    }
    return -1;
}

const char *bpe_join(const Bpe *b, Arena *a, int32_t left, int32_t right, size_t *len)
{
    size_t n = strlen(b->piece[left]), m = strlen(b->piece[right]);
    char *both = arena_take(a, n + m + 1);
    memcpy(both, b->piece[left], n);
    memcpy(both + n, b->piece[right], m + 1);
    *len = n + m;
    return both;
}

/* ---- one word ---- */

typedef struct {
    int32_t id;         /* -1 once merged into its left neighbour */
    int32_t width;      /* bytes */
    int64_t prev, next; /* -1 at the ends */
} Symbol;

/* Queues the pair that begins at symbol i, if it has a rank. */
static void offer(const Bpe *b, Heap *h, const Symbol *s, int64_t i)
{
    if (i < 0 || s[i].next < 0) return;
    const int32_t pair[2] = {s[i].id, s[s[i].next].id};
    int64_t m = table_get(&b->merge, pair, sizeof pair, -1);
    if (m < 0) return;
    uint64_t both = (uint64_t)(uint32_t)pair[0] << 32 | (uint32_t)pair[1];
    heap_push(h, (HeapItem){(uint64_t)m, (uint64_t)i, both}); /* the rank is the upper half of m */
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

typedef struct {
    Bpe *bpe;
    BpeText out; /* arrays with room for one token per byte of the text, on the scratch arena */
} Encoder;

static void emit(Encoder *e, int32_t id, size_t begin, size_t end)
{
    e->out.id[e->out.n] = id;
    e->out.begin[e->out.n] = (int64_t)begin;
    e->out.end[e->out.n++] = (int64_t)end;
}

static CachedWord *slot_of(Bpe *b, const char *word, size_t n)
{
    uint64_t h = n;
    for (size_t i = 0; i < n; i++) h = (h ^ (unsigned char)word[i]) * 0x9E3779B97F4A7C15u;
    return &b->cache[h >> 51 & (CACHE_SLOTS - 1)];
}

/* Remembers the last n tokens as those of a word, when both are small enough for a slot. */
static void remember(CachedWord *c, const char *word, size_t len, const BpeText *t, int64_t first)
{
    int64_t n = t->n - first;
    if (len > WORD_BYTES || n > WORD_IDS) return;
    c->len = (uint8_t)len;
    c->n = (uint8_t)n;
    memcpy(c->word, word, len);
    for (int64_t i = 0; i < n; i++) {
        c->id[i] = t->id[first + i];
        c->width[i] = (uint8_t)(t->end[first + i] - t->begin[first + i]);
    }
}

static void encode_word(Encoder *e, const char *word, size_t n, size_t begin)
{
    CachedWord *c = slot_of(e->bpe, word, n < WORD_BYTES ? n : WORD_BYTES);
    if (c->len == n && memcmp(c->word, word, n) == 0) {
        for (int i = 0; i < c->n; begin += c->width[i++]) emit(e, c->id[i], begin, begin + c->width[i]);
        return;
    }
    ArenaMark mark = arena_mark(&e->bpe->scratch);
    Symbol *s = arena_take(&e->bpe->scratch, sizeof *s * n);
    merge_word(e->bpe, s, word, n);
    int64_t first = e->out.n;
    for (int64_t i = 0; i >= 0; i = s[i].next) {
        emit(e, s[i].id, begin, begin + (size_t)s[i].width);
        begin += (size_t)s[i].width;
    }
    remember(c, word, n, &e->out, first);
    arena_drop(&e->bpe->scratch, mark);
}

static void encode_plain(Encoder *e, const char *text, size_t from, size_t to)
{
    Words w = words_open(text + from, to - from);
    for (size_t begin, end; words_next(&w, &begin, &end);)
        encode_word(e, text + from + begin, end - begin, from + begin);
    words_close(&w);
}

/* ---- texts ---- */

/* The first special token spelt out in [from,len), the longest where several begin; NULL when there is none. */
static const Special *next_special(const Bpe *b, const char *text, size_t from, size_t len, size_t *at)
{
    for (size_t i = from; i < len; i++) {
        if (!b->starts_special[(unsigned char)text[i]]) continue;
        for (int64_t k = 0; k < b->n_special; k++) {
            const Special *s = &b->special[k];
            if (s->len > len - i || memcmp(s->text, text + i, s->len)) continue;
            *at = i;
            return s;
        }
    }
    return NULL;
}

int64_t bpe_specials_in(const Bpe *b, const char *text, size_t len)
{
    int64_t n = 0;
    size_t from = 0, at;
    for (const Special *s; (s = next_special(b, text, from, len, &at)); from = at + s->len) n++;
    return n;
}

static BpeText text_new(Arena *a, int64_t n)
{
    size_t room = (size_t)n;
    return (BpeText){n, arena_take(a, sizeof(int32_t) * room), arena_take(a, sizeof(int64_t) * room),
                     arena_take(a, sizeof(int64_t) * room)};
}

static void text_put(BpeText *to, int64_t at, const BpeText *from, int64_t n)
{
    if (n == 0) return;
    memcpy(to->id + at, from->id, sizeof *to->id * (size_t)n);
    memcpy(to->begin + at, from->begin, sizeof *to->begin * (size_t)n);
    memcpy(to->end + at, from->end, sizeof *to->end * (size_t)n);
}

BpeText bpe_encode(Bpe *b, Arena *a, const char *text, size_t len, bool special_in_text)
{
    ArenaMark mark = arena_mark(&b->scratch);
    Encoder e = {b, text_new(&b->scratch, (int64_t)len)};
    e.out.n = 0;
    size_t from = 0, at;
    const Special *s = NULL;
    while (special_in_text && (s = next_special(b, text, from, len, &at))) {
        encode_plain(&e, text, from, s->strip_left ? space_back(text, from, at) : at);
        emit(&e, s->id, at, at + s->len);
        from = at + s->len;
        if (s->strip_right) from = space_skip(text, from, len);
    }
    encode_plain(&e, text, from, len);
    BpeText out = text_new(a, e.out.n);
    text_put(&out, 0, &e.out, e.out.n);
    arena_drop(&b->scratch, mark);
    return out;
}

BpeText bpe_wrap(const Bpe *b, Arena *arena, const BpeText *x, const BpeText *y, int64_t most)
{
    CHECK(b->named.bos >= 0 && b->named.eos >= 0, "the vocabulary has no <s> and </s> to wrap a text in");
    int64_t frame = y ? 4 : 2, n = x->n, m = y ? y->n : 0;
    CHECK(most == 0 || most >= frame, "%lld ids do not hold the %lld of the frame", (long long)most,
          (long long)frame);
    int64_t excess = most ? n + m + frame - most : 0;
    if (excess > 0) { /* level the longer with the shorter, then take from both in turn, the second first */
        int64_t gap = n > m ? n - m : m - n, cut = excess < gap ? excess : gap;
        *(n > m ? &n : &m) -= cut;
        m -= (excess - cut + 1) / 2;
        n -= (excess - cut) / 2;
    }
    BpeText t = text_new(arena, n + m + frame);
    for (int64_t i = 0; i < t.n; i++) {
        t.id[i] = i ? b->named.eos : b->named.bos;
        t.begin[i] = t.end[i] = -1;
    }
    text_put(&t, 1, x, n);
    if (y) text_put(&t, n + 3, y, m);
    return t;
}

/* Turns the spelling of a piece back into bytes; a character that spells no byte is copied as it is. */
static size_t unspell(char *out, const char *piece)
{
    size_t n = 0;
    for (const unsigned char *p = (const unsigned char *)piece; *p;) {
        int c = *p, len = 1;
        if (c >= 0xC2 && c <= 0xC5 && (p[1] & 0xC0) == 0x80) {
            c = (c & 31) << 6 | (p[1] & 63);
            len = 2;
        }
        if (c >= 0x100 && c <= 0x120)
            out[n++] = (char)(c - 0x100);
        else if (c > 0x120 && c <= 0x143) /* 127-160 and, last of all, 173 */
            out[n++] = (char)(c == 0x143 ? 173 : 127 + c - 0x121);
        else if (len == 2 && c < 256)
            out[n++] = (char)c;
        else
            for (int i = 0; i < len; i++) out[n++] = (char)p[i];
        p += len;
    }
    return n;
}

char *bpe_decode(const Bpe *b, Arena *a, const int32_t *id, int64_t n, bool skip_special, size_t *len)
{
    size_t room = 1;
    for (int64_t i = 0; i < n; i++)
        if (bpe_piece(b, id[i])) room += strlen(b->piece[id[i]]);
    char *text = arena_take(a, room);
    size_t at = 0;
    for (int64_t i = 0; i < n; i++) {
        const char *piece = bpe_piece(b, id[i]);
        if (!piece) continue;
        bool special = bpe_is_special(b, id[i]);
        if (special && skip_special) continue;
        if (special) { /* spelt as text, not as bytes */
            size_t k = strlen(piece);
            memcpy(text + at, piece, k);
            at += k;
        } else {
            at += unspell(text + at, piece);
        }
    }
    text[at] = 0;
    if (len) *len = at;
    return text;
}

/* ---- questions ---- */

int64_t bpe_size(const Bpe *b)
{
    return b->size;
}

BpeSpecials bpe_specials(const Bpe *b)
{
    return b->named;
}

bool bpe_is_special(const Bpe *b, int32_t id)
{
    for (int64_t i = 0; i < b->n_special; i++)
        if (b->special[i].id == id) return true;
    return false;
}

const char *bpe_piece(const Bpe *b, int32_t id)
{
    return id >= 0 && id < b->size ? b->piece[id] : NULL;
}

int32_t bpe_find(const Bpe *b, const char *piece)
{
    return (int32_t)table_get(&b->vocab, piece, strlen(piece), -1);
}

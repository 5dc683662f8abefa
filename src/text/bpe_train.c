/* Training: the pair of adjacent symbols that is seen most often becomes a symbol, until the vocabulary is full.
 *
 * The corpus is reduced to its distinct words with counts.  Each pair keeps its count and a list of the words
 * that may hold it; a heap offers pairs by count, and an entry whose count is out of date is queued again with
 * the present one.  A merge visits only the words on the pair's list: their old pairs are subtracted, the
 * symbols merged, their new pairs added.  Pairs are numbered in order of appearance and ties broken by ids, so
 * nothing depends on how words hash. */
#include <string.h>

#include "text/bpe_core.h"
#include "text/heap.h"
#include "text/pretoken.h"

enum { LONGEST_WORD = 255 };

typedef struct {
    int32_t *symbol; /* (n) ids; shrinks as merges happen */
    int32_t n;
    int64_t count;
} Word;

typedef struct Holder Holder; /* one entry of a pair's list of words */
struct Holder {
    Holder *next;
    int64_t word;
};

typedef struct {
    int64_t count;
    int32_t left, right;
    Holder *words; /* a word may be listed twice; the second visit finds nothing to do */
} Pair;

typedef struct {
    Arena *arena; /* for everything that dies with the training */
    Bpe *bpe;
    Word *word;
    int64_t n_words;
    Pair *pair;
    int64_t n_pairs, pair_room;
    int64_t first_new; /* pairs from this number on are new in the present merge */
    Table index;       /* (left,right) -> number of the pair */
    Holder *spare;     /* holders are cut from blocks: the arena's smallest piece is 64 bytes */
    int64_t n_spare;
    Heap heap;
} Trainer;

static Pair *pair_at(Trainer *t, int32_t left, int32_t right, bool *added)
{
    const int32_t key[2] = {left, right};
    int64_t *at = table_add(&t->index, key, sizeof key, added);
    if (!*added) return &t->pair[*at];
    GROW(t->arena, t->pair, t->n_pairs, t->pair_room, 1024);
    *at = t->n_pairs;
    t->pair[t->n_pairs] = (Pair){.left = left, .right = right};
    return &t->pair[t->n_pairs++];
}

static void hold(Trainer *t, Pair *p, int64_t word)
{
    enum { BLOCK = 1024 };
    if (t->n_spare == 0) {
        t->spare = arena_take(t->arena, sizeof *t->spare * BLOCK);
        t->n_spare = BLOCK;
    }
    Holder *h = &t->spare[--t->n_spare];
    *h = (Holder){p->words, word};
    p->words = h;
}

static void queue(Trainer *t, const Pair *p)
{
    if (p->count <= 0) return;
    uint64_t tie = (uint64_t)(uint32_t)p->left << 32 | (uint32_t)p->right;
    heap_push(&t->heap, (HeapItem){UINT64_MAX - (uint64_t)p->count, tie, (uint64_t)(p - t->pair)});
}

/* Adds sign * count of a word to its pairs; with `fresh` >= 0 also lists the word with those that hold it. */
static void count_pairs(Trainer *t, int64_t w, int sign, int32_t fresh)
{
    const Word *word = &t->word[w];
    for (int32_t i = 0; i + 1 < word->n; i++) {
        bool added;
        Pair *p = pair_at(t, word->symbol[i], word->symbol[i + 1], &added);
        p->count += sign * word->count;
        if (sign < 0 || (p->left != fresh && p->right != fresh)) continue;
        if (!p->words || p->words->word != w) hold(t, p, w);
        if (p - t->pair < t->first_new) queue(t, p); /* an old pair grows when two merges spell the same piece */
    }
}

static int64_t *counter(Trainer *t, Table *seen, const char *word, size_t len, int64_t *room)
{
    bool added;
    int64_t *at = table_add(seen, word, len, &added);
    if (!added) return &t->word[*at].count;
    GROW(t->arena, t->word, t->n_words, *room, 1024);
    Word *w = &t->word[ *at = t->n_words++];
    *w = (Word){arena_take(t->arena, sizeof(int32_t) * len), (int32_t)len, 0};
    for (size_t i = 0; i < len; i++) w->symbol[i] = t->bpe->start[(unsigned char)word[i]];
    return &w->count;
}

static void read_corpus(Trainer *t, const Bytes *text, int64_t n)
{
    int64_t room = 0;
    Table seen = table_open(t->arena, 1024);
    for (int64_t i = 0; i < n; i++) {
        Pretokens w = pretoken_open(SCAN_GPT2, text[i].text, text[i].len);
        for (size_t begin, end; pretoken_next(&w, &begin, &end);)
            if (end - begin <= LONGEST_WORD) ++*counter(t, &seen, text[i].text + begin, end - begin, &room);
    }
    for (int64_t w = 0; w < t->n_words; w++) {
        const Word *word = &t->word[w];
        for (int32_t i = 0; i + 1 < word->n; i++) {
            bool added;
            Pair *p = pair_at(t, word->symbol[i], word->symbol[i + 1], &added);
            p->count += word->count;
            if (!p->words || p->words->word != w) hold(t, p, w);
        }
    }
    t->heap = heap_open(t->arena, t->n_pairs);
    for (int64_t i = 0; i < t->n_pairs; i++) queue(t, &t->pair[i]);
}

/* Replaces every (left,right) in a word, leftmost first; false when there was none. */
static bool merge_in(Word *w, int32_t left, int32_t right, int32_t id, bool really)
{
    int32_t out = 0;
    bool found = false;
    for (int32_t i = 0; i < w->n; i++) {
        bool here = i + 1 < w->n && w->symbol[i] == left && w->symbol[i + 1] == right;
        found = found || here;
        if (found && !really) return true;
        w->symbol[out++] = here ? id : w->symbol[i];
        i += here;
    }
    w->n = out;
    return found;
}

/* Carries out one merge.  New pairs are those with the new symbol; they are queued when all are counted. */
static void apply(Trainer *t, int64_t pair, int32_t id)
{
    const int32_t left = t->pair[pair].left, right = t->pair[pair].right;
    t->first_new = t->n_pairs;
    for (const Holder *h = t->pair[pair].words; h; h = h->next) {
        Word *w = &t->word[h->word];
        if (!merge_in(w, left, right, id, false)) continue;
        count_pairs(t, h->word, -1, -1);
        merge_in(w, left, right, id, true);
        count_pairs(t, h->word, +1, id);
    }
    t->pair[pair].count = 0;
    for (int64_t i = t->first_new; i < t->n_pairs; i++) queue(t, &t->pair[i]);
}

/* Merges until `limit` ids are used or no pair is frequent enough. */
static void merge_all(Trainer *t, int64_t limit, int64_t min_count)
{
    Bpe *b = t->bpe;
    HeapItem x;
    while (b->size < limit && heap_pop(&t->heap, &x)) {
        Pair *p = &t->pair[x.value];
        int64_t then = (int64_t)(UINT64_MAX - x.key);
        if (p->count != then) { /* the entry is old: queue it again with the current count */
            queue(t, p);
            continue;
        }
        if (then < min_count) break;
        size_t len;
        const char *piece = bpe_join(b, t->arena, p->left, p->right, &len);
        if (special_find(&b->special, piece, len)) continue;
        int64_t id = table_get(&b->vocab, piece, len, -1); /* two merges may spell the same piece */
        if (id < 0) bpe_add_piece(b, piece, len, id = b->size);
        bpe_add_merge(b, p->left, p->right, (int32_t)id);
        apply(t, (int64_t)x.value, (int32_t)id);
    }
}

static bool add_named(Bpe *b, const char *text, bool strip_left)
{
    if (!*text || !bpe_add_piece(b, text, strlen(text), b->size)) return false;
    bpe_add_special(b, text, strlen(text), (int32_t)b->size - 1, strip_left, false);
    return true;
}

/* The special tokens in front, then the bytes in the order of their spelling. */
static void add_alphabet(Bpe *b)
{
    static const char *const FRONT[] = {"<s>", "<pad>", "</s>", "<unk>"};
    for (size_t i = 0; i < sizeof FRONT / sizeof *FRONT; i++) add_named(b, FRONT[i], false);
    char text[2];
    for (int round = 0; round < 2; round++)
        for (int byte = 0; byte < 256; byte++) {
            size_t len = bpe_spell(text, byte);
            bool plain = len == 1 || (unsigned char)text[0] < 0xC4; /* below U+0100: the byte spells itself */
            if (plain == (round == 0)) bpe_add_piece(b, text, len, b->size);
        }
    bpe_finish(b);
}

Status bpe_train(Bpe **out, Arena *run, const BpeTrain *how, const Bytes *text, int64_t n)
{
    int64_t more = 1, least = 4 + 256 + 1;
    for (const char *const *s = how->special; s && *s; s++) more++, least++;
    if (how->size < least || how->size >= MOST_IDS)
        return err_fail(E_CONFIG, "a vocabulary of %lld ids: expected %lld (256 bytes and the special tokens) to %d",
                        (long long)how->size, (long long)least, MOST_IDS - 1);
    Arena scratch = arena_open(0);
    Bpe *b = bpe_new(run, how->size);
    add_alphabet(b);
    Trainer t = {.arena = &scratch, .bpe = b, .index = table_open(&scratch, 1 << 12)};
    read_corpus(&t, text, n);
    merge_all(&t, how->size - more, how->min_count ? how->min_count : 2);
    arena_close(&scratch);
    for (const char *const *s = how->special; s && *s; s++) {
        if (add_named(b, *s, false)) continue;
        bpe_close(b);
        return err_fail(E_CONFIG, "the special token \"%s\" is empty, named twice, or a piece of the vocabulary", *s);
    }
    add_named(b, "<mask>", true);
    bpe_finish(b);
    *out = b;
    return OK;
}

/* What the four files of the tokenizer share: the structure and how it is filled.  Not for others.
 *
 * Filling order: bpe_new, then bpe_add_piece for every vocabulary entry, then bpe_add_merge in order of rank,
 * then bpe_add_special, then bpe_finish, which finds the bytes and the named specials. */
#ifndef TEXT_BPE_CORE_H
#define TEXT_BPE_CORE_H

#include "base/table.h"
#include "text/bpe.h"

enum { BPE_MOST_IDS = 1 << 24, WORD_BYTES = 32, WORD_IDS = 16, CACHE_SLOTS = 1 << 13 };

/* One remembered word.  The table is direct-mapped: a new word takes the place of an old one. */
typedef struct {
    uint8_t len, n; /* bytes of the word, tokens it gives; len 0: empty slot */
    char word[WORD_BYTES];
    uint8_t width[WORD_IDS]; /* bytes of each token */
    int32_t id[WORD_IDS];
} CachedWord;

typedef struct {
    const char *text;
    size_t len;
    int32_t id;
    bool strip_left, strip_right; /* takes the white space on that side with it */
} Special;

struct Bpe {
    Arena *arena;
    Arena scratch;
    Table vocab;        /* piece -> id */
    const char **piece; /* (room) by id; NULL where unused */
    int64_t size, room; /* size: largest id + 1 */
    Table merge;        /* 8 bytes (left,right) -> rank << 32 | id of the result */
    int32_t *left, *right;
    int64_t n_merges, merge_room;
    Special *special; /* longest first */
    int64_t n_special;
    bool starts_special[256];
    int32_t byte_id[256];
    BpeSpecials named;
    CachedWord *cache;
};

Bpe *bpe_new(Arena *, int64_t expected_ids);
bool bpe_add_piece(Bpe *, const char *piece, size_t len, int64_t id); /* false: the piece or the id is taken */
bool bpe_add_merge(Bpe *, int32_t left, int32_t right, int32_t id);   /* false: the pair is there already */
void bpe_add_special(Bpe *, const char *text, size_t len, int32_t id, bool strip_left, bool strip_right);
void bpe_add_known_specials(Bpe *);      /* those of the published tokenizers that the vocabulary has */
int bpe_finish(Bpe *);                   /* -1, or a byte that neither the vocabulary nor an <unk> can stand for */
size_t bpe_spell(char out[2], int byte); /* the byte as a vocabulary spells it; its length, 1 or 2 */
const char *bpe_join(const Bpe *, Arena *, int32_t left, int32_t right, size_t *len);

#endif

/* Remembered words: the tokens of recent words.  A table of two-way sets of one cache line each, in
 * which a new word takes the place of an old one; words too long for a line are not remembered. */
#ifndef TEXT_MEMO_H
#define TEXT_MEMO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/arena.h"

enum { MEMO_BYTES = 24, MEMO_TOKENS = 7 };

typedef struct {                   /* 64 bytes */
    uint64_t part[MEMO_BYTES / 8]; /* the word, padded with zeros */
    int32_t id[MEMO_TOKENS];
    uint8_t width[MEMO_TOKENS]; /* bytes of each token */
    uint8_t n, len;             /* tokens, bytes of the word; len 0: an empty place */
} Remembered;

typedef struct {
    Remembered *at; /* NULL: nothing is remembered */
    uint64_t mask;  /* sets - 1 */
} Memo;

typedef struct {
    uint64_t part[MEMO_BYTES / 8];
    uint64_t set;
    uint8_t len;
} MemoKey;

static inline Memo memo_open(Arena *a, int64_t words) /* room for so many, a power of two */
{
    return (Memo){NEW(a, Remembered, words), (uint64_t)words / 2 - 1};
}

/* Forgets all; opens the memory where there is none. */
static inline void memo_clear(Memo *m, Arena *a, int64_t words)
{
    if (m->at)
        memset(m->at, 0, sizeof *m->at * 2 * (size_t)(m->mask + 1));
    else
        *m = memo_open(a, words);
}

/* `left` bytes may be read from the word on.  False: the word is not one to remember. */
static inline bool memo_key(MemoKey *k, const Memo *m, const char *word, size_t len, size_t left)
{
    static const uint64_t keep[8] = {~0ULL,      0xFF,         0xFFFF,         0xFFFFFF,
                                     0xFFFFFFFF, 0xFFFFFFFFFF, 0xFFFFFFFFFFFF, ~0ULL >> 8};
    if (!m->at || len > MEMO_BYTES || !len) return false;
    memset(k->part, 0, sizeof k->part);
    if (left >= MEMO_BYTES) {
        size_t last = (len - 1) / 8;
        for (size_t i = 0; i <= last; i++) memcpy(&k->part[i], word + 8 * i, 8);
        k->part[last] &= keep[len & 7];
    } else {
        memcpy(k->part, word, len);
    }
    uint64_t h = (k->part[0] ^ len) * 0x9E3779B97F4A7C15u ^ k->part[1] * 0xC2B2AE3D27D4EB4Fu ^
                 k->part[2] * 0x165667B19E3779F9u;
    k->set = (h ^ h >> 29) * 0xBF58476D1CE4E5B9u >> 32 & m->mask;
    k->len = (uint8_t)len;
    return true;
}

static inline const Remembered *memo_find(const Memo *m, const MemoKey *k)
{
    for (const Remembered *r = m->at + 2 * k->set, *end = r + 2; r < end; r++)
        if (r->len == k->len && r->part[0] == k->part[0] && r->part[1] == k->part[1] && r->part[2] == k->part[2])
            return r;
    return NULL;
}

/* Where the word goes; the caller fills id, width and n. */
static inline Remembered *memo_add(Memo *m, const MemoKey *k)
{
    Remembered *r = m->at + 2 * k->set;
    r[1] = r[0];
    memcpy(r->part, k->part, sizeof r->part);
    r->len = k->len;
    return r;
}

#endif

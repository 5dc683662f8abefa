/* Shared by the files of byte-pair encoding: the structure and its construction.  Not for others.
 *
 * Filling order: bpe_new, then bpe_add_piece for every vocabulary entry, then bpe_add_merge in order of rank, then
 * bpe_add_special, then bpe_finish, which finds the characters that words start from and the named special tokens. */
#ifndef TEXT_BPE_CORE_H
#define TEXT_BPE_CORE_H

#include "base/table.h"
#include "text/bpe.h"
#include "text/cutting.h"
#include "text/document.h"
#include "text/merges.h"
#include "text/special.h"
#include "text/spelling.h"

struct Bpe {
    Arena *arena;
    Table vocab;        /* piece -> id */
    const char **piece; /* (room) by id; NULL where unused */
    int64_t size, room; /* size: largest id + 1 */
    Merges merges;
    int32_t *left, *right; /* in order of rank */
    int64_t ranks, merge_room;
    Specials special;
    BpeSpecials named;
    bool characters;    /* words start from characters, not from bytes */
    bool ignore_merges; /* a word that is in the vocabulary is a token, whatever the merges make of it */
    bool fuse;          /* neighbouring unknown characters are one token */
    bool byte_fallback; /* an unknown character becomes the pieces <0xNN> of its bytes */
    int32_t unknown;    /* -1: characters that are not in the vocabulary are left out before anything is merged */
    const char *prefix, *suffix; /* "##" before every character but the first, "</w>" behind the last; "" */
    int32_t start[256];          /* of a byte; of words of characters, only those of ASCII count */
    int32_t fallback[256];
    Reach reach;
    struct Pipeline *pipe; /* of bpe_pipe; NULL: not made yet */
};

Bpe *bpe_new(Arena *, int64_t expected_ids);
bool bpe_add_piece(Bpe *, const char *piece, size_t len, int64_t id); /* false: the piece or the id is taken */
bool bpe_add_merge(Bpe *, int32_t left, int32_t right, int32_t id);   /* of a pair twice, the later rank counts */
void bpe_add_special(Bpe *, const char *text, size_t len, int32_t id, bool strip_left, bool strip_right);
void bpe_add_known_specials(Bpe *); /* those of the published tokenizers that the vocabulary has */
void bpe_finish(Bpe *);
struct Pipeline *bpe_pipe(Bpe *); /* the steps of GPT-2 around it, made when they are first asked for */
Status bpe_read_model(Bpe *, const cJSON *model, const char *path); /* of a tokenizer.json */
Status bpe_read_vocab(Bpe *, const char *path);                     /* vocab.json */
/* merges.txt.  `first`: its first line is none, whatever it says, nor is what stands behind the last line's end. */
Status bpe_read_merges(Bpe *, const char *path, bool first);
const char *bpe_join(const Bpe *, Arena *, int32_t left, int32_t right, size_t *len);

/* The tokens of a word of n > 0 bytes; `at` has room for n + 1. */
int64_t bpe_cut(const Bpe *, Arena *, const char *word, int64_t n, Cutting *at);

#endif

/* Shared by the five files of the tokenizer: the structure and its construction.  Not for others.
 *
 * Filling order: bpe_new, then bpe_add_piece for every vocabulary entry, then bpe_add_merge in order of rank,
 * then bpe_add_special, then bpe_finish, which finds the bytes and the named special tokens. */
#ifndef TEXT_BPE_CORE_H
#define TEXT_BPE_CORE_H

#include "base/table.h"
#include "text/bpe.h"
#include "text/document.h"
#include "text/memo.h"
#include "text/merges.h"
#include "text/special.h"

enum { MEMO_WORDS = 1 << 14 };

struct Bpe {
    Arena *arena;
    Arena scratch;
    Table vocab;        /* piece -> id */
    const char **piece; /* (room) by id; NULL where unused */
    int64_t size, room; /* size: largest id + 1 */
    Merges merges;
    int32_t *left, *right; /* (merges.n) in order of rank */
    int64_t merge_room;
    Specials special;
    int32_t byte_id[256];
    BpeSpecials named;
    Memo memo;
};

Bpe *bpe_new(Arena *, int64_t expected_ids);
bool bpe_add_piece(Bpe *, const char *piece, size_t len, int64_t id); /* false: the piece or the id is taken */
bool bpe_add_merge(Bpe *, int32_t left, int32_t right, int32_t id);   /* false: the pair is there already */
void bpe_add_special(Bpe *, const char *text, size_t len, int32_t id, bool strip_left, bool strip_right);
void bpe_add_known_specials(Bpe *);      /* those of the published tokenizers that the vocabulary has */
int bpe_finish(Bpe *);                   /* -1, or a byte that neither the vocabulary nor an <unk> can stand for */
size_t bpe_spell(char out[2], int byte); /* the byte as a vocabulary spells it; its length, 1 or 2 */
bool bpe_reads(const cJSON *doc);        /* a tokenizer.json of byte-level BPE */
Status bpe_from_document(Bpe **out, Arena *, const cJSON *doc, const char *path);
const char *bpe_join(const Bpe *, Arena *, int32_t left, int32_t right, size_t *len);

#endif

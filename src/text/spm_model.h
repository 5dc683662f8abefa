/* The inside of a SentencePiece model: what the file says, a trie over the pieces, and the normaliser. */
#ifndef TEXT_SPM_MODEL_H
#define TEXT_SPM_MODEL_H

#include "text/spm.h"

typedef enum { PIECE_NORMAL = 1, PIECE_UNKNOWN, PIECE_CONTROL, PIECE_USER, PIECE_UNUSED, PIECE_BYTE } PieceType;
typedef struct {
    const char *text;
    int32_t len;
    float score;
    PieceType type;
} Piece;

/* Children by (node, byte) in open addressing; node 0 is the root.  leaf[node] is a piece's id, or -1. */
typedef struct {
    uint64_t *key; /* (node << 8 | byte) + 1; 0: empty */
    int32_t *child, *leaf;
    int64_t slots;
    int32_t nodes;
} Trie;
int32_t trie_child(const Trie *, int32_t node, unsigned char byte); /* -1: none */

struct Spm {
    Piece *piece;
    int32_t n;
    SpmKind kind;
    SpmSpecials special;
    bool suffix, byte_fallback; /* of the trainer: white space behind words; unknown characters as bytes */
    bool dummy_prefix, squeeze, escape;
    const uint32_t *map; /* the character map's double array, and what it maps to */
    int64_t map_units;
    const char *replacement;
    int64_t replacements;
    Trie normal, user;    /* pieces that text is cut into; user-defined symbols */
    int32_t byte_id[256]; /* pieces "<0x41>", -1 where absent */
    float least, most;    /* scores of normal pieces */
};

typedef struct {
    char *text;
    int64_t len;
    int64_t *from, *to; /* (len) bytes of the source that a byte here stands for */
} Normal;
Normal spm_normalise(const Spm *, Arena *, const char *text, int64_t len);
int64_t spm_longest_user(const Spm *, const char *at, int64_t left); /* bytes of a user-defined symbol there; 0 */

#endif

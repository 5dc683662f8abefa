/* The inside of a SentencePiece model: its pieces, tries over them, the normaliser, and the cutter.  A model comes
 * from the library's own file (spm_file.c) or is the Unigram of a tokenizer.json (spm_json.c), whose steps are the
 * pipeline's. */
#ifndef TEXT_SPM_MODEL_H
#define TEXT_SPM_MODEL_H

#include "base/table.h"
#include "text/charmap.h"
#include "text/cutting.h"
#include "text/document.h"
#include "text/merges.h"
#include "text/normal.h"
#include "text/spm.h"
#include "text/trie.h"

typedef enum { PIECE_NORMAL = 1, PIECE_UNKNOWN, PIECE_CONTROL, PIECE_USER, PIECE_UNUSED, PIECE_BYTE } PieceType;
typedef struct {
    const char *text;
    int32_t len;  /* 0: an id without a piece */
    double score; /* of the library's own file: a float */
    PieceType type;
} Piece;

struct Spm {
    Piece *piece;
    int32_t n;
    SpmKind kind;
    SpmSpecials special;
    bool suffix, byte_fallback; /* of the trainer: white space behind words; unknown characters as bytes */
    bool dummy_prefix, squeeze, escape;
    CharMap map;
    Trie normal,
        user; /* pieces that text is cut into, with in_path as value where a float holds it; user-defined symbols */
    Table by_text;        /* the pieces of `normal` */
    int32_t longest;      /* bytes of the longest of them */
    Reach reach;          /* where words end */
    bool plain[256];      /* characters that normalising leaves alone before an ASCII character */
    int32_t byte_id[256]; /* pieces "<0x41>", -1 where absent */
    double least, most;   /* scores of normal pieces; of a tokenizer.json: of all */
    double *in_path;      /* (n) the part of a piece in the score of a path; NaN: not every text may be cut into it */
    bool library;         /* of the library's own file: its normaliser, sums in float over the whole text */
};

/* The model of a tokenizer.json, of type Unigram. */
Status spm_read_unigram(Spm **out, Arena *, const cJSON *model, const char *path);
/* Once pieces, types and map are there: the rest.  E_FORMAT. */
Status spm_index(Spm *, Arena *, const char *path);
int spm_byte(const char *piece); /* of "<0x41>", else -1 */
Normal spm_normalise(const Spm *, Arena *, const char *text, int64_t len);
int64_t spm_longest_user(const Spm *, const char *at, int64_t left); /* bytes of a user-defined symbol there; 0 */

typedef struct {
    const Spm *s;
    Arena *a;
    double score; /* of the best path so far */
    bool special; /* special tokens may be cut out of the text */
    Merge *pair;  /* (PAIRS) joins looked up before, NULL: not remembered */
    Cutting *at;  /* the pieces of the last word */
    int64_t n;
} Cutter;
enum { PAIRS = 1 << 13 };
void spm_cut_word(Cutter *, const char *word, int64_t len);

#endif

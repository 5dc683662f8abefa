/* The inside of a SentencePiece model: its pieces, tries over them, the normaliser, and the cutter.  A model comes
 * from the library's own file (spm_file.c) or from a tokenizer.json (spm_json.c), whose steps it then follows. */
#ifndef TEXT_SPM_MODEL_H
#define TEXT_SPM_MODEL_H

#include "base/table.h"
#include "text/document.h"
#include "text/merges.h"
#include "text/spm.h"

#define SPACE "\xe2\x96\x81" /* U+2581, which stands for a blank within pieces */

typedef enum { PIECE_NORMAL = 1, PIECE_UNKNOWN, PIECE_CONTROL, PIECE_USER, PIECE_UNUSED, PIECE_BYTE } PieceType;
typedef struct {
    const char *text;
    int32_t len; /* 0: an id without a piece */
    float score;
    PieceType type;
} Piece;

/* Children by (node, byte) in open addressing; node 0 is the root. */
typedef struct {
    uint64_t key;        /* (node << 8 | byte) + 1; 0: empty */
    int32_t child, leaf; /* the piece that ends there, or -1 */
} TrieSlot;
typedef struct {
    TrieSlot *slot; /* NULL: an empty trie */
    uint64_t mask;
    int32_t nodes;
} Trie;

static inline TrieSlot *trie_slot(const Trie *t, uint64_t key)
{
    for (uint64_t i = key * 0x9e3779b97f4a7c15ULL >> 32;; i++) {
        TrieSlot *s = &t->slot[i & t->mask];
        if (s->key == key || !s->key) return s;
    }
}

/* The child of a node, or NULL. */
static inline const TrieSlot *trie_step(const Trie *t, int32_t node, unsigned char byte)
{
    if (!t->slot) return NULL;
    const TrieSlot *s = trie_slot(t, ((uint64_t)node << 8 | byte) + 1);
    return s->key ? s : NULL;
}

/* The steps of a tokenizer.json: its normalizer, then its pre_tokenizer. */
typedef enum { STEP_MAP, STEP_REPLACE, STEP_RUNS, STEP_STRIP, STEP_PREPEND } StepKind;
typedef struct {
    StepKind kind;
    const char *from, *to; /* of STEP_REPLACE; of STEP_RUNS: two blanks or more become `to`; STEP_PREPEND has `to` */
    bool left, right;      /* of STEP_STRIP */
} Step;
typedef enum { PREFIX_NEVER, PREFIX_FIRST, PREFIX_ALWAYS } Prefix;
enum { STEPS_MOST = 16 };
typedef struct {
    Step step[STEPS_MOST];
    int n;
    bool blanks;    /* WhitespaceSplit: white space separates words and goes */
    bool metaspace; /* blanks become U+2581, which */
    Prefix prefix;  /* may be put in front, and */
    bool split;     /* begins a word */
    bool fuse;      /* neighbouring unknown characters are one token */
    bool pairs;     /* BPE by a list of merges, not by the score of the result */
    Merges merges;
} Pipeline;

typedef enum { WORDS_NONE, WORDS_AFTER_TEXT, WORDS_EACH } WordsAt;

struct Spm {
    Piece *piece;
    int32_t n;
    SpmKind kind;
    SpmSpecials special;
    bool suffix, byte_fallback; /* of the trainer: white space behind words; unknown characters as bytes */
    bool dummy_prefix, squeeze, escape;
    const uint32_t *map; /* the character map's double array, and the texts it maps to */
    int64_t map_units;
    const char *replacement;
    int64_t replacements;
    Trie normal, user;       /* pieces that text is cut into; user-defined symbols */
    Table by_text;           /* the pieces of `normal` */
    int32_t longest;         /* bytes of the longest of them */
    WordsAt words;           /* before which U+2581 no piece can reach: none, those after something else, each */
    uint8_t inside[256][32]; /* bit b of [a]: some piece has byte b behind byte a, so that words do not end between */
    bool plain[256];         /* characters that normalising leaves alone before an ASCII character */
    int32_t byte_id[256];    /* pieces "<0x41>", -1 where absent */
    float least, most;       /* scores of normal pieces */
    Pipeline *json;          /* NULL: of the library's own file */
};

/* A tokenizer.json that is not byte-level BPE; its added tokens go into the list. */
Status spm_from_document(Spm **out, Specials *added, Arena *, const cJSON *doc, const char *path);
/* Once pieces, types and map are there: the rest.  E_FORMAT. */
Status spm_index(Spm *, Arena *, const char *path);
int spm_byte(const char *piece); /* of "<0x41>", else -1 */
Status spm_read_map(Spm *, Arena *, const char *bytes, size_t n, const char *path);

typedef struct {
    char *text;
    int64_t len;
    int64_t *from, *to; /* (len) bytes of the source that a byte here stands for */
    bool *start;        /* (len) a word begins here; NULL: one word (of the library's own file) */
} Normal;
Normal spm_normalise(const Spm *, Arena *, const char *text, int64_t len, bool first);
int64_t spm_longest_user(const Spm *, const char *at, int64_t left); /* bytes of a user-defined symbol there; 0 */
int64_t spm_map_longest(const Spm *, const char *at, int64_t left, const char **to);

typedef struct { /* a Normal being written */
    Arena *a;
    Normal out;
    int64_t room;
} Writing;
void normal_reserve(Writing *, int64_t n); /* room for n more bytes */
void normal_put(Writing *, const char *bytes, int64_t n, int64_t from, int64_t to);
Normal pipeline_run(const Spm *, Arena *, const char *text, int64_t len, bool first);

typedef struct {
    int32_t id, len; /* -1: unknown; bytes of the normalised text */
} Cutting;
typedef struct {
    const Spm *s;
    Arena *a;
    const Normal *x;
    double score; /* of the best path so far */
    Merge *pair;  /* (PAIRS) joins looked up before, NULL: not remembered */
    Cutting *at;  /* the pieces of the last word */
    int64_t n;
} Cutter;
enum { PAIRS = 1 << 13 };
void spm_cut_word(Cutter *, int64_t from, int64_t to);

#endif

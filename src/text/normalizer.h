/* The first stage of a tokenizer: a text is brought to a form in which equal things are spelt alike.  The steps are
 * those of a tokenizer.json, each a pass over the text as the one before left it. */
#ifndef TEXT_NORMALIZER_H
#define TEXT_NORMALIZER_H

#include <cjson/cJSON.h>

#include "text/charmap.h"
#include "text/normal.h"
#include "text/pattern.h"
#include "text/unicode.h"

typedef enum {
    NORM_FORM,    /* NFD, NFC, NFKD, NFKC */
    NORM_LOWER,   /* Lowercase */
    NORM_STRIP,   /* Strip */
    NORM_ACCENTS, /* StripAccents: marks go; with `bert` only those without width */
    NORM_REPLACE, /* Replace */
    NORM_PREPEND, /* Prepend */
    NORM_NMT,     /* Nmt */
    NORM_MAP,     /* Precompiled */
    NORM_CLEAN,   /* of BertNormalizer: control characters go, white space becomes a blank */
    NORM_CJK,     /* of BertNormalizer: blanks around ideographs */
    NORM_SPELL    /* ByteLevel: bytes as printable characters */
} NormKind;
typedef struct {
    NormKind kind;
    UnicodeForm form;
    bool left, right, bert;
    Pattern pattern; /* of Replace */
    const char *to;  /* of Replace and Prepend */
    CharMap map;
    char ascii[128]; /* filled by normalizer_add: the byte that a character becomes; 0: another number of bytes */
} NormStep;
enum { NORM_MOST = 24 };
typedef struct {
    NormStep step[NORM_MOST];
    int n;
    bool bert; /* one BertNormalizer */
} Normalizer;

Status normalizer_add(Normalizer *, NormStep, const char *path); /* E_FORMAT: too many */
Status normalizer_read(Normalizer *, Arena *, const cJSON *, const char *path);
/* `clean`, `cjk`, `lower` as BertNormalizer has them; accents: -1: as `lower`. */
Status normalizer_add_bert(Normalizer *, bool clean, bool cjk, int accents, bool lower, const char *path);
Normal normalizer_run(const Normalizer *, Arena *, Normal);
void normalizer_close(Normalizer *);
/* Bytes as the vocabularies of byte-level BPE spell them. */
Normal normal_spelt(Arena *, const Normal *);

#endif

/* SentencePiece models (Kudo and Richardson, EMNLP 2018): unigram (T5, mBART) and BPE (PLBART), read from the
 * `.model` file that the library writes.  The text is normalised first by the model's own map (NFKC and a few rules
 * more), then cut into pieces; each token carries the bytes [begin,end) of the source that it stands for.
 *
 *   Spm *s;
 *   TRY(spm_open(&s, &run, "spiece.model"));
 *   BpeText t = spm_encode(s, &step, text, len);
 *
 * Any byte string can be encoded; bytes that are no UTF-8 become U+FFFD.  Control pieces ("<s>") are never found in
 * text.  A model lives on its arena and is read-only once open: any number of threads may use it.
 *
 * Format: sentencepiece_model.proto (field numbers) and the Darts double array of its character map. */
#ifndef TEXT_SPM_H
#define TEXT_SPM_H

#include "text/bpe.h"

typedef struct Spm Spm;
typedef enum { SPM_UNIGRAM = 1, SPM_BPE = 2 } SpmKind;
typedef struct {
    int32_t unk, bos, eos, pad; /* ids, -1: none */
} SpmSpecials;

Status spm_open(Spm **out, Arena *, const char *path); /* E_FORMAT names the byte and the expectation */
BpeText spm_encode(const Spm *, Arena *, const char *text, size_t len);
char *spm_decode(const Spm *, Arena *, const int32_t *id, int64_t n, size_t *len); /* NUL added */

int64_t spm_size(const Spm *);
SpmSpecials spm_specials(const Spm *);
const char *spm_piece(const Spm *, int32_t id);   /* "\u2581int"; NULL for an id out of range */
int32_t spm_find(const Spm *, const char *piece); /* of any type; -1 when there is none */

#endif

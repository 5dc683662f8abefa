/* How a tokenizer comes about: shared by the files that make one.  Each sets the stages of a pipeline and the frames;
 * tokenizer_complete does the rest. */
#ifndef TEXT_TOKENIZER_MAKE_H
#define TEXT_TOKENIZER_MAKE_H

#include "text/bpe_core.h"
#include "text/declared.h"
#include "text/pipeline.h"
#include "text/tokenizer.h"

typedef struct {
    Tokenizer *t;
    Pipeline *p;
    Arena *a;
    const Declared *d;
    const char *path; /* of the file that is read */
    bool gguf;        /* which says everything, as a tokenizer.json does */
} Make;

Status make_json(const Make *);                      /* a tokenizer.json */
Status make_gguf(Make *);                            /* the metadata of a GGUF file */
Status make_words(const Make *, const char *merges); /* vocab.json and merges.txt, by the class */
Status make_wordpiece(const Make *);                 /* vocab.txt */
Status make_model(const Make *);                     /* a SentencePiece model, by the class */
Status make_plbart(const Make *);                    /* the same with fairseq's ids */
Status make_library(const Make *);                   /* the same as SentencePiece itself reads it */
/* BPE from the pieces of a SentencePiece model: pairs are merged in order of the score of the merged piece. */
Bpe *make_bpe(const Make *, const Piece *piece, int64_t n, bool byte_fallback, const char *unknown);
/* The stages of Llama 2 around it. */
Status make_llama_stages(const Make *, bool legacy, bool prefix_space);

Status make_metaspace_stages(const Make *, Prefix); /* of T5, behind the character map */
Spm *make_unigram(const Make *, Piece *, int64_t n, int32_t unknown);
void make_ends(const Make *, bool bos, bool eos); /* frames of the tokens that have these roles */

/* Declared tokens, what the class changes in a tokenizer.json, names, frames that need them. */
Status make_complete(const Make *, bool from_json);

enum { FRAME_A = -1, FRAME_B = -2, FRAME_END = -3 };
/* A list of ids and the two texts, FRAME_END at the end; `types`: 1 from the second text on. */
TokenFrame make_frame(const int32_t *list, bool types);

#endif

/* A whole tokenizer but for the frame of a text: added tokens, normalizer, pre-tokenizer, model, decoder.  A text
 * passes these stages in order:
 *
 *   1. Added tokens are cut out, the longest where several begin; the stretches between them go on alone.
 *   2. The normalizer rewrites a stretch; added tokens with `normalized` are cut out of the result.
 *   3. The splitter cuts words (splitter.h).
 *   4. The model cuts each word into tokens (bpe, spm, wordpiece); words are remembered.
 *
 * The decoder goes the other way.  A SentencePiece model from its own file has stages 2 and 3 of its own.
 * One thread at a time may encode with a pipeline. */
#ifndef TEXT_PIPELINE_H
#define TEXT_PIPELINE_H

#include "text/decoder.h"
#include "text/frame.h"
#include "text/memo.h"
#include "text/normalizer.h"
#include "text/special.h"
#include "text/splitter.h"
#include "text/spm_model.h"
#include "text/wordpiece.h"

typedef struct Pipeline {
    Normalizer normalizer;
    Splitter splitter;
    struct Bpe *bpe; /* the model: one of the three */
    Spm *spm;
    WordPiece *words;
    Decoder decoder;
    Specials *added;
    int32_t shift; /* offset of a SentencePiece id: 1 with fairseq's four in front */
    Arena *arena;
    Arena scratch;
    Memo memo;           /* opened by the first text */
    bool forgets, stale; /* nothing is remembered; old words are to be forgotten */
    bool special;        /* whether remembered words were cut with special tokens in the text */
} Pipeline;

Pipeline *pipeline_new(Arena *); /* without added tokens */
void pipeline_close(Pipeline *);
void pipeline_remember(Pipeline *, bool words);
/* Adds a token.  Its id is the vocabulary's or, of a new token, the next free one, whatever id it is given; returns
 * the id.  A special token is never cut out of ordinary text. */
int32_t pipeline_add(Pipeline *, Special);
/* After the stages are set: forms of the added tokens, and whether the model gets bytes. */
Status pipeline_finish(Pipeline *, const char *path);
BpeText pipeline_encode(Pipeline *, Arena *, const char *text, size_t len, bool special_in_text);
Bytes pipeline_decode(const Pipeline *, Arena *, const int32_t *id, int64_t n); /* any bytes, NUL behind them */
const char *pipeline_piece(const Pipeline *, int32_t id);                       /* NULL for an unused id */
int32_t pipeline_find(const Pipeline *, const char *piece);                     /* -1 */
int64_t pipeline_size(const Pipeline *);                                        /* largest id + 1 */

#endif

/* One tokenizer of whatever kind a model directory holds: byte-level BPE (tokenizer.json, or vocab.json and
 * merges.txt) or a SentencePiece model.
 *
 * PLBART's ids are fairseq's: <s> 0, <pad> 1, </s> 2, <unk> 3, then the pieces in order; a file named
 * sentencepiece.bpe.model is read that way, as its own tokenizer does.  spiece.model (T5) keeps its own ids. */
#ifndef TEXT_TOKENIZER_H
#define TEXT_TOKENIZER_H

#include "text/bpe.h"
#include "text/spm.h"

typedef struct {
    const char *kind; /* "byte-level BPE", "SentencePiece BPE", "SentencePiece unigram" */
    Bpe *bpe;         /* one of the two */
    Spm *spm;
    int32_t shift; /* what a SentencePiece id is moved by: 1 with fairseq's four in front */
} Tokenizer;

/* `path` is a hub name (base/hub.h), a directory, a tokenizer.json, or a .model file.  E_IO when nothing of the kind
 * is there, E_FORMAT. */
Status tokenizer_open(Tokenizer *, Arena *, const char *path);
void tokenizer_close(Tokenizer *);
/* Without begin and end tokens.  special_in_text: byte-level BPE finds "</s>" in the text; SentencePiece never. */
BpeText tokenizer_encode(const Tokenizer *, Arena *, const char *text, size_t len, bool special_in_text);
char *tokenizer_decode(const Tokenizer *, Arena *, const int32_t *id, int64_t n, size_t *len);
/* A text as its model's encoder reads it: <s> A </s> of byte-level BPE, A </s> of SentencePiece, and for PLBART also
 * the token of its language ("java", "python", "en_XX"), which E_CONFIG asks for.  At most `most` ids when > 0. */
Status tokenizer_source(BpeText *, const Tokenizer *, Arena *, const char *text, size_t len, const char *language,
                        int64_t most);
int32_t tokenizer_language(const Tokenizer *, const char *language); /* its id, or -1 */
const char *tokenizer_piece(const Tokenizer *, int32_t id);          /* NULL for an id without one */
int64_t tokenizer_size(const Tokenizer *);

#endif

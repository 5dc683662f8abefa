/* One tokenizer of whatever kind a model directory holds: a SentencePiece model, or byte-level BPE, or a
 * tokenizer.json that describes either of the two.
 *
 * PLBART's ids are fairseq's: <s> 0, <pad> 1, </s> 2, <unk> 3, then the pieces in order, "__java__", "__python__",
 * "__en_XX__" and <mask>; a file named sentencepiece.bpe.model is read that way, as its own tokenizer does.
 * spiece.model (T5) keeps its own ids.
 *
 *   Tokenizer t;
 *   TRY(tokenizer_open(&t, &run, "model/"));
 *   BpeText x = tokenizer_encode(&t, &step, text, len, false);
 *   TRY(tokenizer_wrap(&x, &t, &step, &x, NULL, NULL, (Limit){.most = 512}));
 *
 * Each token carries the bytes [begin,end) of the source that it stands for. */
#ifndef TEXT_TOKENIZER_H
#define TEXT_TOKENIZER_H

#include "text/bpe.h"
#include "text/special.h"
#include "text/spm.h"

typedef struct {
    const char *kind; /* "byte-level BPE", "SentencePiece BPE", "SentencePiece unigram" */
    Bpe *bpe;         /* one of the two */
    Spm *spm;
    int32_t shift;           /* the offset of a SentencePiece id: 1 with fairseq's four in front */
    TokenFrame single, pair; /* special tokens around one text, and around two */
    bool typed;              /* the second of two texts has token type 1, and so has the end behind it: BERT */
    Specials own;            /* of a SentencePiece model */
} Tokenizer;

/* `path` is a hub name (base/hf_cache.h), a directory, a tokenizer.json, a .model file, or a file of weights, beside
 * which the tokenizer lies.  E_IO when nothing of the kind is there, E_FORMAT. */
Status tokenizer_open(Tokenizer *, Arena *, const char *path);
Tokenizer tokenizer_of(Bpe *); /* one at hand, with RoBERTa's frame; closing it closes the Bpe */
void tokenizer_close(Tokenizer *);
bool tokenizer_there(const char *dir); /* whether the directory has files of any kind of tokenizer */
/* Without begin and end tokens.  special_in_text: "</s>" in the text becomes the token, and the stretches between are
 * texts of their own; else it is text like any other. */
BpeText tokenizer_encode(const Tokenizer *, Arena *, const char *text, size_t len, bool special_in_text);
char *tokenizer_decode(const Tokenizer *, Arena *, const int32_t *id, int64_t n, size_t *len);
Status tokenizer_no_special(const Tokenizer *, const char *text, size_t len); /* E_CONFIG: the text spells one */

/* One or two texts as the model's encoder reads them: <s> A </s> or <s> A </s></s> B </s> of RoBERTa, A </s> of
 * SentencePiece, or those of a tokenizer.json; for PLBART the token of the language ("java", "python", "en_XX")
 * follows, or E_CONFIG.  b may be NULL. */
Status tokenizer_wrap(BpeText *out, const Tokenizer *, Arena *, const BpeText *a, const BpeText *b,
                      const char *language, Limit);
/* The token type of each token of a wrapped text (n), 0 or 1; NULL: 0 for all. */
int32_t *tokenizer_types(const Tokenizer *, Arena *, const BpeText *wrapped);
/* Both in one, of one text, special tokens as text; at most `most` ids when > 0. */
Status tokenizer_source(BpeText *, const Tokenizer *, Arena *, const char *text, size_t len, const char *language,
                        int64_t most);
int32_t tokenizer_language(const Tokenizer *, const char *language); /* its id, or -1 */
const char *tokenizer_piece(const Tokenizer *, int32_t id);          /* NULL for an id without one */
const Specials *tokenizer_specials(const Tokenizer *);               /* tokens that a text may contain */
bool tokenizer_is_special(const Tokenizer *, int32_t id);
int64_t tokenizer_size(
    const Tokenizer *); /* PLBART's languages and <mask>, which a model may lack, are not counted */

#endif

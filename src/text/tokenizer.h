/* One tokenizer of whatever kind a model's folder holds: byte-level BPE (GPT-2, RoBERTa, Llama 3, Qwen),
 * SentencePiece (T5, Llama 2, XLM-R, PLBART), WordPiece (BERT); from a tokenizer.json, from the files of the class
 * that the folder declares (declared.h), or from the metadata of a GGUF file.
 *
 * Where a folder declares a class, ids are those of that class in the transformers library, in its fast form.
 * PLBART's ids are fairseq's: <s> 0, <pad> 1, </s> 2, <unk> 3, then the pieces in order, "__java__" and the other
 * languages, and <mask>.  Without a declaration the files decide: SentencePiece's own model is read as that library
 * reads it.
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
    const char *kind; /* "byte-level BPE", "SentencePiece BPE", "SentencePiece unigram", "WordPiece", "WordLevel" */
    Bpe *bpe;         /* the model, or NULL where it is of another kind */
    Spm *spm;
    struct Pipeline *pipe;        /* all stages */
    int32_t shift;                /* 1: PLBART */
    TokenFrame single, pair;      /* special tokens around one text, and around two; with their types */
    bool typed;                   /* the second of two texts has another token type than the first: BERT */
    int32_t named[NAME_ROLES];    /* ids by role, -1: none */
    int64_t most;                 /* model_max_length as declared; 0: none */
    bool clean_up;                /* decoding removes blanks before punctuation */
    bool exact;                   /* decoding reconstructs every byte */
    const char *const *languages; /* of PLBART, NULL-ended, as their tokens spell them without underscores */
    const char *language;         /* the one that is declared; NULL */
} Tokenizer;

/* `path` is a hub name (base/hf_cache.h), a directory, a tokenizer.json, a vocab.txt, a .model file, or a file of
 * weights, beside which the tokenizer lies.  E_IO when nothing of the kind is there, E_FORMAT. */
Status tokenizer_open(Tokenizer *, Arena *, const char *path);
Tokenizer tokenizer_of(Bpe *); /* one at hand, with RoBERTa's frame; closing it closes the Bpe */
void tokenizer_close(Tokenizer *);
bool tokenizer_there(const char *path); /* whether tokenizer_open() would find files of any kind of tokenizer */

/* Without begin and end tokens.  special_in_text: "</s>" in the text becomes the token, and the stretches between are
 * texts of their own; else it is text like any other. */
BpeText tokenizer_encode(const Tokenizer *, Arena *, const char *text, size_t len, bool special_in_text);
/* Valid UTF-8: U+FFFD stands for bytes that make no character.  len may be NULL. */
char *tokenizer_decode(const Tokenizer *, Arena *, const int32_t *id, int64_t n, size_t *len);
char *tokenizer_bytes(const Tokenizer *, Arena *, const int32_t *id, int64_t n, size_t *len); /* as they are */
Status tokenizer_no_special(const Tokenizer *, const char *text, size_t len); /* E_CONFIG: the text spells one */
typedef enum { SPELT_TEXT, SPELT_TOKENS, SPELT_REFUSED } Spelt; /* the treatment of special tokens in a text */
Status tokenizer_read(BpeText *, const Tokenizer *, Arena *, const char *text, size_t len, Spelt);

/* One or two texts as the model's encoder reads them: <s> A </s> or <s> A </s></s> B </s> of RoBERTa, A </s> of
 * SentencePiece, or those that the files declare; for PLBART the token of the language ("java", "python", "en_XX"),
 * or of the one that is declared, follows, or E_CONFIG.  b may be NULL. */
Status tokenizer_wrap(BpeText *out, const Tokenizer *, Arena *, const BpeText *a, const BpeText *b,
                      const char *language, Limit);
/* The token type of each token of a wrapped text (n); NULL: 0 for all. */
int32_t *tokenizer_types(const Tokenizer *, Arena *, const BpeText *wrapped);
/* Both in one, of one text, special tokens as text; at most `most` ids when > 0. */
Status tokenizer_source(BpeText *, const Tokenizer *, Arena *, const char *text, size_t len, const char *language,
                        int64_t most);
int32_t tokenizer_language(const Tokenizer *, const char *language); /* its id, or -1 */
const char *tokenizer_piece(const Tokenizer *, int32_t id);          /* NULL for an id without one */
int32_t tokenizer_find(const Tokenizer *, const char *piece);        /* its id, or -1 */
void tokenizer_remember(const Tokenizer *, bool words);              /* whether words are; the ids are the same */
const Specials *tokenizer_specials(const Tokenizer *);               /* tokens that a text may contain */
int32_t tokenizer_mask(const Tokenizer *);                           /* the mask token that is declared, or -1 */
/* Left out by decoding that skips special tokens. */
bool tokenizer_is_special(const Tokenizer *, int32_t id);
int64_t tokenizer_size(
    const Tokenizer *); /* PLBART's languages and <mask>, which a model may lack, are not counted */

#endif

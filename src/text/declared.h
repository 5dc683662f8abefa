/* What a model's folder declares about its tokenizer, in tokenizer_config.json, special_tokens_map.json,
 * added_tokens.json and config.json.  The class decides how the other files are read; it is the one that
 * tokenizer_config.json names, else config.json, else the usual one of the model_type. */
#ifndef TEXT_DECLARED_H
#define TEXT_DECLARED_H

#include "text/document.h"

typedef enum {
    FAMILY_NONE, /* nothing is declared */
    FAMILY_FAST, /* a tokenizer.json says everything */
    FAMILY_GPT2, /* byte-level BPE, nothing around a text */
    FAMILY_NEOX, /* the same, with beginning and end where they are declared */
    FAMILY_QWEN2,
    FAMILY_ROBERTA,
    FAMILY_BERT,
    FAMILY_MPNET,
    FAMILY_DEBERTA,
    FAMILY_T5,
    FAMILY_LLAMA,
    FAMILY_XLMR,
    FAMILY_CAMEMBERT,
    FAMILY_PLBART,
    FAMILY_OTHER /* a class that is not known */
} Family;

typedef struct {
    Family family;
    const char *class_name;   /* "" when none is declared */
    Special name[NAME_ROLES]; /* text NULL: none; from the files, or the class's own */
    enum { NAMED_NOT, NAMED_TEXT, NAMED_WHOLE } named[NAME_ROLES]; /* with all its properties, or "none" */
    Special *more;                                                 /* further special tokens, in order */
    int64_t n_more, more_room;
    Special *added; /* with ids, in order of ids */
    int64_t n_added, added_room;
    int prefix_space, add_bos, add_eos, legacy; /* 0, 1, or -1: not declared */
    int lower, accents, cjk;                    /* of BERT */
    bool clean_up;                              /* clean_up_tokenization_spaces */
    int64_t extra_ids;                          /* of T5; -1: not declared */
    int64_t most;                               /* model_max_length, max_seq_length; 0: not declared, or no limit */
    const char *language, *codes;               /* of PLBART: src_lang, language_codes; NULL */
} Declared;

/* `dir` need not have any of the files.  E_FORMAT: files that are none, and declarations that are not supported. */
Status declared_read(Declared *, Arena *, const char *dir);

#endif

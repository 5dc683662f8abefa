/* Sentence vectors, as sentence-transformers computes them: a model's hidden states, pooled over the tokens of a
 * text, then perhaps linear layers and a length of 1.
 *
 *   Sentence s;
 *   TRY(sentence_open(&s, &run, "sentence-transformers/all-MiniLM-L6-v2"));
 *   TRY(sentence_encode(&vectors, &run, &s, texts, n));            (n,s.dim); sentence_cosine() compares two rows
 *   sentence_close(&s);
 *
 * The folder's modules.json lists the modules: Transformer, Pooling, Dense and Normalize are supported, others are
 * E_FORMAT with their name.  A folder without that file has mean pooling and nothing behind it.  Texts are cut to
 * max_seq_length of sentence_bert_config.json, else to the tokenizer's model_max_length and the model's positions.
 * Special tokens in a text are special, as they are there. */
#ifndef SENTENCE_SENTENCE_H
#define SENTENCE_SENTENCE_H

#include "base/file.h"
#include "nn/model.h"
#include "text/tokenizer.h"

/* Over the tokens of a text, special ones included: the first, each channel's largest, mean, sum over the root of the
 * count, mean with weights 1, 2, ..., and the last. */
typedef enum {
    SENTENCE_CLS,
    SENTENCE_MAX,
    SENTENCE_MEAN,
    SENTENCE_MEAN_SQRT,
    SENTENCE_WEIGHTED,
    SENTENCE_LAST,
    SENTENCE_POOLINGS
} SentencePooling;
extern const char *const SENTENCE_POOLING_NAMES[SENTENCE_POOLINGS + 1]; /* as sentence-transformers; ends with NULL */

typedef struct { /* behind the pooling: act(W x + b), or x over its length where w is empty */
    Tensor w, b;
    Act act;
} SentenceStep;

enum { SENTENCE_STEPS = 8 };
typedef struct {
    const char *dir, *model_dir; /* the folder, and that of its transformer */
    bool declared;               /* there is a modules.json */
    bool pooled[SENTENCE_POOLINGS];
    SentenceStep step[SENTENCE_STEPS];
    int n_steps;
    bool lower;         /* texts are read in lower case, but for special tokens */
    int64_t most;       /* tokens of a text, special ones included; 0: any number */
    int64_t dim;        /* of a vector */
    const char *prompt; /* stands in front of each text; NULL: none */
    Model *model;
    const Hooks *hooks; /* NULL: the model alone */
    Tokenizer tokenizer;
} Sentence;

Status sentence_open(Sentence *, Arena *run, const char *dir); /* a folder or a hub name */
void sentence_close(Sentence *);
/* The two halves of it: the declarations of the folder, and the model, which may have an adapter. */
Status sentence_read(Sentence *, Arena *run, const char *dir);
Status sentence_attach(Sentence *, Arena *run, Model *, const Hooks *);
/* A prompt of config_sentence_transformers.json by its name, in place of the default one; E_CONFIG lists them. */
Status sentence_prompt(Sentence *, Arena *run, const char *name);

Status sentence_encode(Tensor *out, Arena *, const Sentence *, const Bytes *text, int64_t n); /* (n,dim) in F32 */
double sentence_cosine(Tensor rows, int64_t i, int64_t j); /* of two rows; 0 where one of them is 0 */

#endif

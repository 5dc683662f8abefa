/* Transformers.  A Model is a Config, its parameters under their Hugging Face names, and an Arch that knows how
 * to build and run it.  An Arch is one file; it REGISTERs itself as `arch`, and what a family is like is asked of it,
 * never of its name.  Everything of a model lives on the run arena given to model_open. */
#ifndef NN_MODEL_H
#define NN_MODEL_H

#include "base/err.h"
#include "base/registry.h"
#include "nn/hook.h"
#include "nn/shape.h"

/* One batch, padded on the right.  Pointers are to arrays owned by the caller that outlive the step.
 * keep: when only some positions are scored or pooled, the last layer computes queries, feed-forward and head for
 * those alone; hidden states and targets then have shape (B,K). Rows behind a length must not be read or scored. */
typedef struct {
    int64_t b, t, s, k;
    const int32_t *ids, *len; /* (B,T) tokens of the encoder, or of the decoder where there is one; (B) or NULL */
    const uint8_t *mask;      /* (B,T) key mask for special layouts, or NULL */
    const uint8_t *sees; /* (B,T,T) 1 where row i may see row j, or NULL: all; one that sees none attends evenly */
    bool causal;         /* rows of an encoder see no later rows, as in a decoder */
    const int32_t *position;      /* RoBERTa, GPT-2: (B,T) rows of the position table, or NULL: the family's rule */
    const int32_t *type;          /* BERT, RoBERTa: (B,T) rows of the token type table, or NULL: 0 */
    const int32_t *span;          /* RoBERTa: (B,T,2) of op_spans() over the word vectors, or NULL */
    const int32_t *src, *src_len; /* (B,S), (B): the encoder's side of an encoder-decoder */
    const int32_t *keep;          /* (B,K) positions ascending in each row, -1 for none, or NULL: all T */
    const int32_t *target;        /* (B,T) or (B,K); -1: not scored */
    const int32_t *label;         /* (B) class labels: model_loss then trains the classification head */
    const int32_t *row;           /* (B) which examples of a set these are, for a loss with more data on them */
} Batch;

/* The linear layers of a model, for methods that wrap them by name. */
typedef struct {
    const char *name; /* checkpoint name without ".weight"; ".q" ".k" ".v" name the parts of a fused projection */
    Where at;         /* the site whose in and out this layer connects */
    Param *w, *b;     /* b may be NULL */
    Layout layout;
    int64_t in, out;   /* sizes of x and of this layer's output */
    int64_t first;     /* its first output within w, for the parts; else 0 */
    int64_t run, step; /* parts whose outputs lie in runs, `step` apart: GPT-NeoX's, head by head; 0: side by side */
} Linear;
typedef struct {
    Param *gain, *bias; /* bias NULL: RMSNorm */
    double eps;
    Tensor zero; /* the bias of a LayerNorm that has none, else without data */
} Norm;

typedef struct Model Model;
typedef struct Arch {
    const char *name, *summary;
    const struct Format *format; /* of its config.json and tensor names, in nn/config.h */
    void (*defaults)(Config *);
    Status (*check)(const Config *);                             /* E_CONFIG names the field */
    int (*room)(const Config *);                                 /* config_room(); NULL: any number of tokens */
    void (*build)(Model *);                                      /* parameters, linears, norms */
    Var *(*hidden)(Model *, Pass *, const Batch *);              /* last hidden states (B,T or K,C) */
    Var *(*encode)(Model *, Pass *, const Batch *);              /* encoder-decoders: src -> (B,S,C); else NULL */
    Var *(*decode)(Model *, Pass *, const Batch *, Var *memory); /* encoder-decoders, given encode()'s result */
    Var *(*logits)(Model *, Pass *, Var *hidden);                /* the LM head */
    Var *(*head_loss)(Model *, Pass *, Var *hidden, const int32_t *target); /* chunked cross-entropy of the LM head */
    Var *(*classify)(Model *, Pass *, const Batch *); /* (B,1,N), or NULL where there is no such head */
    Var *(*pool)(Model *, Pass *, Var *first);        /* (B,1,C) of the first token, or NULL */
    Var *(*next)(Model *, Pass *, Var *pooled);       /* (B,1,2) of the next-sentence head, or NULL */
    double (*untie)(Model *);                         /* model_untie() of this family */
    void (*part_tables)(Model *);                     /* build_part_tables() of it, or NULL */
    Part last;                                        /* the stack its heads read: LOGITS carries it */
    const char *targets;       /* glob over the linear layers that LoRA adapts by default: queries and values */
    bool force_eos, ends_hold; /* defaults of generation, as the family's reference searches (nn/generate.h) */
    double length_penalty;
    bool encoder_writes;  /* Config.writes_from_encoder is possible */
    bool equal_prompts;   /* generation takes prompts of one length only */
    bool reads_data_flow; /* takes a batch's positions and spans as nn/flow.h makes them */
} Arch;
REGISTRY(Arch, arch)

struct Model {
    Arena *run;
    const Arch *arch;
    Config config;
    ParamSet *params;
    Linear *linears;
    int n_linears;
    Linear *outer; /* matrices outside the layers, without a site: tables of vectors (IN_OUT), heads */
    int n_outer;
    void *blocks;                                 /* the architecture's own struct */
    struct Stack *encoder, *decoder;              /* its layers, in nn/block.h; NULL where there are none */
    const Norm *(*norm_at)(const Model *, Where); /* that follows a JOIN or makes the input of KEYS; NULL: none */
    struct Entry *entry;     /* every pass enters it first: results of frozen layers (nn/trunk.h); or NULL */
    struct Stacked *stacked; /* a classification head in the place of the family's own, or NULL */
    Var *(*classify)(Model *, Pass *, const Batch *); /* runs that head; NULL: arch's does */
    double untied;                                    /* what model_untie() returned; 0: it was not called */
    bool blank; /* while a checkpoint is loaded: parameters have no memory yet, heads start at random */
};

const Arch *arch_find(const char *name);                                          /* NULL when unknown */
Status model_open(Model **out, Arena *run, const Config *, DType, uint64_t seed); /* random weights, all frozen */
Status model_open_zeros(Model **out, Arena *run, const Config *, DType); /* heads and methods start as usual */
Var *model_hidden(Model *, Pass *, const Batch *);
Var *model_encode(Model *, Pass *, const Batch *); /* the encoder's result in an encoder-decoder */
Var *model_logits(Model *, Pass *, const Batch *);
Var *model_logits_with(Model *, Pass *, const Batch *, Var *memory); /* memory: encode()'s result, or NULL */
Var *model_pooled(Model *, Pass *, const Batch *, Pooling);          /* (B,1,C); the batch brings no keep */
Var *model_classes(Model *, Pass *, const Batch *);                  /* (B,1,N) of the classification head */
Var *model_next_sentence(Model *, Pass *, const Batch *);            /* (B,1,2): the second text follows, or not */
Var *model_loss(Model *, Pass *, const Batch *);                     /* (1): labels when given, else targets */
const Linear *model_linear(const Model *, Where);                    /* NULL when that site is not linear here */
int64_t linear_row(const Linear *, int64_t output);                  /* where that output is among all of w */
int64_t linear_at(const Linear *, int64_t output, int64_t input);    /* the place of that element within w */
Tensor linear_matrix(Arena *, const Linear *);                       /* its weights as (out,in), F64 */
void linear_set(const Linear *, Tensor);                             /* and written back */
/* Gives a head that shares the token table one of its own: the table times the returned factor, 1 or T5's. */
double model_untie(Model *);
int model_layers(const Model *, Part); /* 0 where the model has no such part */

/* Directories in the layout of Hugging Face, hub names (base/hf_cache.h), or a file of weights with config.json
 * beside it: config.json and model.safetensors (or shards with an index).  Tensor names may carry the family's prefix
 * ("roberta.") or not, and that of a wrapper in front (nn/state.h); a tensor that is missing, has another shape, or
 * has no place is E_MISMATCH with its name. */
typedef void Remark(const char *line, void *user); /* a sentence on how a file was read */
typedef struct {                                   /* zero: the files' values, for computing in F32 */
    int classes; /* > 0: with a classification head of this size, random where the files have none that fits */
    bool no_lm_head;
    bool writes_from_encoder; /* where the family can: as UniXcoder, whose head is the token table alone */
    bool vocab_from_file;     /* the file's token table may have another size than the config says */
    Remark *say;              /* a wrapper's name taken off, heads skipped, and the like; may be NULL */
    void *user;
    DType dtype; /* F32 or F64 computes */
    bool widen;  /* no weight stays in 16 bits or blocks: F32 takes several times their memory, to the same result */
    bool bf16;   /* matrices are rounded to BF16 and held so; with bf16_use(true), products with them are in BF16 */
    uint64_t seed; /* of random values */
} LoadOptions;
Status model_load(Model **out, Arena *run, const char *dir);
Status model_load_as(Model **out, Arena *run, const char *dir, const LoadOptions *);
typedef struct {
    Config config; /* as the tensors and the options make it */
    const Arch *arch;
    const char *prefix, *wrapper; /* in front of the names: the family's, a wrapper's that was taken off; "": none */
} Survey;
/* How model_load_as() would read a checkpoint: the same remarks and refusals, but for a tensor that is missing or has
 * another shape, and no values. */
Status model_survey(Survey *, Arena *run, const char *dir, const LoadOptions *);
Status model_save(const Model *, const char *dir);
Status config_load(Config *, const char *dir);                   /* config.json alone */
Status config_set(Config *, const char *key, const char *value); /* a field by its name; E_CONFIG lists them */
int config_room(const Config *); /* tokens that there are positions for; 0: any number */

/* The decoder's input for a target (B,T): each row moved right by one, behind the start token.  Ids < 0 and all that
 * follow become padding. */
void batch_shift_right(int32_t *out, const Config *, const int32_t *target, int64_t b, int64_t t);

#endif

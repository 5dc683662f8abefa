/* Transformers.  A Model is a Config, its parameters under their Hugging Face names, and an Arch that knows how
 * to build and run it.  An Arch is one file; it REGISTERs itself as `arch`.  Everything of a model lives on the
 * run arena given to model_open. */
#ifndef NN_MODEL_H
#define NN_MODEL_H

#include "base/err.h"
#include "base/registry.h"
#include "nn/hook.h"

typedef struct {                /* zero-initialise, call arch defaults, then set what differs */
    char arch[16];              /* "gpt2", "roberta", "bart", "t5" */
    int vocab, positions;       /* rows of the token table; longest sequence (T5: unused) */
    int dim, heads, head_dim;   /* head_dim 0: dim / heads */
    int hidden;                 /* of the feed-forward */
    int layers, decoder_layers; /* decoder_layers: encoder-decoders only */
    int types;                  /* rows of RoBERTa's token type table */
    int classes;                /* of the classification head; 0: none */
    Act act;
    bool gated;                       /* T5 v1.1 feed-forward: act(wi_0 x) * wi_1 x */
    bool tie_head;                    /* LM head shares the token table */
    bool no_attn_norm;                /* GPT-2 without the norm before attention (a toy of the theory papers) */
    bool scale_embedding;             /* BART: token vectors times sqrt(dim) */
    bool no_lm_head;                  /* encoder features only */
    int rel_buckets, rel_distance;    /* T5 */
    int pad, bos, eos, decoder_start; /* token ids */
    double eps;                       /* of the norms */
    double dropout, attn_dropout;
    double init_sd;
} Config;

/* One batch, padded on the right.  Pointers are to arrays owned by the caller that outlive the step.
 * keep: when only some positions are scored or pooled, the last layer computes queries, feed-forward and head for
 * those alone; hidden states and targets then have shape (B,K). */
typedef struct {
    int64_t b, t, s, k;
    const int32_t *ids,
        *len;            /* (B,T) tokens of the encoder, or of the decoder where there is a decoder; (B) or NULL */
    const uint8_t *mask; /* (B,T) key mask for special layouts, or NULL */
    const int32_t *src, *src_len; /* (B,S), (B): the encoder's side of an encoder-decoder */
    const int32_t *keep;          /* (B,K) positions ascending in each row, -1 for none, or NULL: all T */
    const int32_t *target;        /* (B,T) or (B,K); -1: not scored */
    const int32_t *label;         /* (B) class labels: model_loss then trains the classification head */
} Batch;

/* The linear maps of a model, for methods that wrap them by name. */
typedef struct {
    const char *name; /* checkpoint name without ".weight"; ".q" ".k" ".v" name thirds of GPT-2's c_attn */
    Where at;         /* the site whose in and out this map connects */
    Param *w, *b;     /* b may be NULL */
    Layout layout;
    int64_t in, out; /* sizes of x and of this map's output */
    int64_t first;   /* its first output within w, for the thirds; else 0 */
} Linear;
typedef struct {
    Param *gain, *bias; /* bias NULL: RMSNorm */
    double eps;
} Norm;

typedef struct Model Model;
typedef struct Arch {
    const char *name, *summary;
    void (*defaults)(Config *);
    Status (*check)(const Config *);                             /* E_CONFIG says which field */
    void (*build)(Model *);                                      /* parameters, linears, norms */
    Var *(*hidden)(Model *, Pass *, const Batch *);              /* last hidden states (B,T or K,C) */
    Var *(*encode)(Model *, Pass *, const Batch *);              /* encoder-decoders: src -> (B,S,C); else NULL */
    Var *(*decode)(Model *, Pass *, const Batch *, Var *memory); /* encoder-decoders, given encode()'s result */
    Var *(*logits)(Model *, Pass *, Var *hidden);                /* the LM head */
    Var *(*head_loss)(Model *, Pass *, Var *hidden, const int32_t *target); /* chunked cross-entropy of the LM head */
    Var *(*classify)(Model *, Pass *, const Batch *); /* (B,1,N), or NULL where there is no such head */
} Arch;
REGISTRY(Arch, arch)

struct Model {
    Arena *run;
    const Arch *arch;
    Config config;
    ParamSet *params;
    Linear *linears;
    int n_linears;
    void *blocks; /* the architecture's own struct of layers */
    const Norm *(*norm_at)(const Model *,
                           Where join); /* the norm of the sublayer that ends at a JOIN or begins at KEYS */
};

const Arch *arch_find(const char *name);                                          /* NULL when unknown */
Status model_open(Model **out, Arena *run, const Config *, DType, uint64_t seed); /* random weights, all frozen */
Var *model_hidden(Model *, Pass *, const Batch *);
Var *model_logits(Model *, Pass *, const Batch *);
Var *model_loss(Model *, Pass *, const Batch *);   /* (1): labels when given, else targets */
const Linear *model_linear(const Model *, Where);  /* NULL when that site is not linear here */
int model_layers(const Model *, Part);             /* 0 where the model has no such part */
Status model_save(const Model *, const char *dir); /* config.json + model.safetensors */
Status model_load(Model **out, Arena *run, const char *dir);

#endif

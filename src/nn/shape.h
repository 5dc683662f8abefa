/* The shape of a model: sizes, choices and token ids, as config.json and the architectures' defaults give them. */
#ifndef NN_SHAPE_H
#define NN_SHAPE_H

#include <stdbool.h>

#include "ad/op.h"

/* Rotary positions.  Angles grow with the position at the rate base^(-2i/dims) of pair i, which scaling slows. */
typedef enum { ROPE_PLAIN, ROPE_LINEAR, ROPE_LLAMA3 } RopeScaling;
typedef struct {
    double share;            /* of a head's channels that turn, 0 to 1; 0: none, the model has no rotary positions */
    double base, local_base; /* local_base: in layers with a window; 0: base */
    RopeScaling kind;
    double factor, low, high; /* ROPE_LINEAR: rates over factor; ROPE_LLAMA3: only those of wave lengths above */
    int original;             /* original / low, and those below original / high not at all */
} Rope;

typedef enum { POOL_FIRST, POOL_LAST, POOL_MEAN, POOL_POOLER } Pooling; /* of a row's tokens; the last is BERT's */

typedef struct {                /* zero-initialise, call arch defaults (the published sizes), then change fields */
    char arch[16];              /* "gpt2", "roberta", "bert", "bart", "t5", "llama", ... */
    char type[24];              /* another name of the family in config.json, such as "xlm-roberta"; "": its own */
    int vocab, positions;       /* rows of the token table; longest sequence (T5: unused) */
    int dim, heads, head_dim;   /* head_dim 0: dim / heads */
    int kv_heads;               /* heads of keys and values, which groups of the others share; 0: heads */
    int hidden;                 /* of the feed-forward; 0: 4 dim */
    int layers, decoder_layers; /* decoder_layers: encoder-decoders only; 0: layers */
    int decoder_heads, decoder_hidden; /* BART; 0: as the encoder's */
    int types;                         /* rows of BERT's and RoBERTa's token type table */
    int classes;                       /* of the classification head; 0: none */
    int state_classes;                 /* T5: of CodeReviewer's head on the encoder's first state; 0: none */
    Act act;
    bool gated;                    /* T5 v1.1 feed-forward: act(wi_0 x) * wi_1 x */
    bool tie_head;                 /* LM head shares the token table */
    bool no_attn_norm;             /* GPT-2 without the norm before attention (a toy of the theory papers) */
    bool scale_embedding;          /* BART: token vectors times sqrt(dim) */
    bool no_lm_head;               /* encoder features only */
    bool plain_head;               /* RoBERTa: the LM head is the token table alone, as UniXcoder's */
    bool writes_from_encoder;      /* RoBERTa: the encoder continues a prompt, as UniXcoder's does */
    bool pooler;                   /* BERT, RoBERTa: has the layer of POOL_POOLER, tanh(dense(first token)) */
    bool next_sentence;            /* BERT: has the head that says whether the second text follows the first */
    bool pre_norm;                 /* MBart: BART with norms in front of sublayers and behind each stack */
    int rel_buckets, rel_distance; /* T5 */
    bool rel_by_layer;             /* UMT5: each layer has a position bias of its own */
    Rope rope;
    int window;       /* > 0: rows see keys less than so far away, in the layers that window_of() says; 0: all */
    int window_from;  /* layers before this one have no window */
    int global_every; /* > 0: nor has each layer whose number is a multiple of this */
    bool qk_norm;     /* Qwen3: RMSNorm of each head's query and key */
    bool qkv_bias, out_bias, ffn_bias; /* of the linear layers, where a family has a choice */
    bool parallel;                     /* GPT-NeoX: attention and feed-forward read the same row */
    Pooling pooling;                   /* ModernBERT: the rows that its classification head reads */
    int pad, bos, eos, decoder_start;  /* token ids; decoder_start -1: a target begins with its own last token */
    double eps;                        /* of the norms */
    double dropout, attn_dropout;
    double act_dropout;  /* inside the feed-forward */
    double head_dropout; /* of the classification head; < 0: dropout */
    double init_sd;
} Config;

#endif

/* Shared by the architectures: linear layers, norms, attention, feed-forward and the run through a stack of
 * layers, each with its join points.  An architecture defines the places of norms, the vectors added to tokens,
 * and how its head reads the last layer. */
#ifndef NN_BLOCK_H
#define NN_BLOCK_H

#include "nn/model.h"

typedef struct {
    const Linear *q, *k, *v, *out;
    const Linear *qkv; /* GPT-2, GPT-NeoX, ModernBERT: one layer for all three; q, k and v then only name its parts */
    Norm norm;         /* gain NULL: none */
    Norm q_norm, k_norm; /* of each head by itself; gain NULL: none */
} StackAttention;
typedef struct {
    const Linear *up, *gate, *out; /* gate NULL: plain */
    bool halves; /* ModernBERT: the first half of up's outputs goes through the activation, the second is the gate */
    Norm norm;
} FeedForward;
typedef struct {
    StackAttention self, cross; /* cross.q NULL where there is no encoder */
    FeedForward ffn;
    int64_t window; /* self-attention sees keys less than so far away; 0: all */
    bool local;     /* it turns queries and keys at the rates of the layers with a window */
} StackLayer;

/* The layers of one side of a model. */
typedef struct Stack {
    Part part;
    int n;
    StackLayer *layer;
    bool pre_norm; /* norm -> sublayer -> add, or sublayer -> add -> norm */
    bool causal;
    bool parallel; /* attention and feed-forward both read the layer's input, and both are added to it */
    int heads, head_dim;
    int kv_heads;          /* of keys and values; each is shared by heads / kv_heads neighbouring heads */
    int rope_dims;         /* channels of a head that turn; 0: no rotary positions */
    const float *rates[2]; /* of their pairs, in layers without and with a window */
    double scale;          /* of the attention scores */
    Act act;
    double dropout, attn_dropout, act_dropout;
} Stack;

/* The rows of one pass through a stack: `prompt` virtual ones that EMBED hooks put in front, then the tokens. */
typedef struct Rows {
    int64_t b, t, prompt;
    const int32_t *len;      /* (B) rows that may be seen as keys, the prompt included, or NULL: all */
    const uint8_t *mask;     /* (B,T) the same, row by row, or NULL */
    const uint8_t *sees;     /* (B,T,n) the keys that each row may see, n as block_content_keys() has it, or NULL */
    const uint8_t *even;     /* (B,T) 1 for a row that sees nothing and attends to all evenly, or NULL */
    bool causal;             /* no row sees the rows after it, whatever the stack's default */
    const int32_t *position; /* rows of the position table for the tokens, or NULL: as they come */
    const int32_t *at;       /* (B,T) positions when decoding with a cache, else NULL: 0 .. T-1 */
    Turn turn[2];            /* rotary positions: the angles in layers without and with a window */
    const int32_t *keep;     /* (B,K) rows wanted from the last layer, -1 for none, or NULL: all */
    int64_t k;
    const Pack *pack, *kept;   /* of all rows and of the kept ones, where they are packed (block_run), or NULL */
    const int32_t *packed;     /* (B*K) the kept rows among the packed ones */
    Var *bias;                 /* T5: (H,T,n) added to the scores of self-attention, or NULL */
    Var **layer_bias;          /* UMT5: such a bias of each layer, in the place of one for all; or NULL */
    Var *memory;               /* the encoder's result (B,S,C), or NULL */
    const int32_t *memory_len; /* (B) or NULL */
} Rows;

/* ---- parts */
Var *block_linear(Pass *, const Linear *, Var *x);
Var *block_norm(Pass *, const Norm *, Var *x, Var *residual); /* residual may be NULL */
Var *block_part(Tape *, const Linear *, Var *whole);          /* a part's outputs among those of the fused layer */
/* Keys (P,C) of a layer as if they stood at positions 0, 1, ..., moved as hooks require. */
Var *block_turn_keys(Pass *, const Stack *, int layer, Var *keys);
Var *block_dropout(Pass *, double p, Where, Var *x);
Var *block_site(Pass *, Where, Site, Var *in, Var *out); /* the join point of this place */

/* Token vectors of ids (B,T), times `scale`, through the EMBED hooks; starts `r` for a batch of this side. */
Var *block_embed_tokens(Pass *, Part, Var *table, double scale, const int32_t *ids, int64_t b, int64_t t, Rows *r);
Var *block_embed_vectors(Pass *, Part, Var *x, Rows *r); /* the same of vectors (B,T,C) that are there */
/* Sets the key lengths and mask of `r` from those of the pass's caller, the prompt added. */
void rows_limit(Pass *, Rows *r, Part, const int32_t *len, const uint8_t *mask);
/* Sets who sees whom, and where the tokens stand, from the batch's `sees`, `causal` and `position`: cached
 * and virtual rows are seen by all, and virtual rows see all.  Call it after rows_limit(). */
void rows_see(Pass *, Rows *r, Part, const Batch *);
/* Sets the kept rows; NULL keeps all but the prompt. */
void rows_keep(Pass *, Rows *r, const int32_t *keep, int64_t k);
/* Sets pack, kept and packed where the rows can leave their padding out; false: they cannot, or have too little. */
bool rows_pack(const Pass *, const Stack *, Rows *r);
Var *rows_kept(Tape *, Var *x, const Rows *); /* the kept rows of x, which has all */
/* Of the n rows of a layer's output, at RESID: where in its text each stands, from 0, and how many tokens that text
 * has; place is -1 for a virtual row and for padding. */
void rows_places(const Pass *, int64_t n, int32_t *place, int32_t *length);
/* The positions of the queries, where they are not simply the last rows of the content, and their angles. */
const int32_t *rows_positions(Pass *, const Rows *, bool prune);
const int32_t *rows_angles(Pass *, const Rows *, const Turn *);
/* The input of cross-attention: the encoder's result, whose virtual rows are visible. */
void rows_memory(Pass *, Rows *r, Var *memory, const Batch *);
/* x plus learned positions: row i of the table's position `offset` + i, shifted as the hooks require;
 * rows that the batch names are taken as they are. */
Var *block_add_positions(Pass *, Part, Var *x, Param *table, int64_t offset, const Rows *);

/* All layers.  With r->keep the result has the kept rows only.  Ends with the RESID hook of the last layer. */
Var *block_run(Pass *, const Stack *, Var *x, const Rows *r);
int64_t block_content_keys(const Pass *, Part, const Rows *); /* keys of self-attention before prefixes: n */

/* ---- the key/value cache of a stack that writes; rows of a batch may have different lengths */
typedef struct Cache {
    Arena *arena;
    Part part;       /* of the stack; a decoder's unless set otherwise */
    int64_t b, room; /* rows of the batch; positions there is space for */
    int64_t prompt;  /* virtual tokens of the first pass */
    int32_t *len;    /* (B) positions filled */
    int layers;
    Tensor *keys, *values;               /* (B,room,H*D) per layer, as the projections made them */
    Tensor *memory_keys, *memory_values; /* the same of cross-attention, data NULL until made */
} Cache;
Cache *cache_new(Arena *, int layers, int64_t b, int64_t room);
void cache_advance(Cache *, const Rows *, const int32_t *len); /* after a pass: len new rows of each, NULL: all */
/* Row b continues the former row from[b]; both read the same source, whose keys stay.  Beam search. */
void cache_reorder(Cache *, Arena *scratch, const int32_t *from);

#endif

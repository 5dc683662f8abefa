/* Hooks: every change of a forward pass that is not the base model happens at a named join point.
 *
 * A join point gets the input and the output of a module, and returns the value that the rest of the model uses.
 * Return `out` to observe; return anything else, recorded on the tape, to intervene or to adapt.  A hook never
 * writes into out->val.  Hooks run in the order added; methods attach before observers.  While a checkpointed
 * segment is recomputed observers stay silent. */
#ifndef NN_HOOK_H
#define NN_HOOK_H

#include "ad/op.h"

/* Sites of one layer in the order of the forward pass.  "Linear" sites have in = x, out = W x + b: LoRA lives
 * there.  JOIN sites have in = the residual x, out = the sublayer's output s after dropout, and return the term
 * added to x: adapters live there. */
/* clang-format off */
#define SITES(X)                                                                                                     \
    X(EMBED)     /* word vectors before positions are added (B,T,C), layer LAYER_EMBED: prompt tuning may put        \
                    virtual tokens in front */                                                                       \
    X(QKV)       /* linear, GPT-2's fused projection (B,T,3C) */                                                     \
    X(Q)         /* linear: (B,T,H*D) */                                                                             \
    X(K) X(V)    /* linear: (B,S,H*D) */                                                                             \
    X(KEYS) X(VALUES)  /* as attention will read them, in = the projection's input: prefixes, IA3 */                 \
    X(SCORES) X(PROBS) /* (B,H,T,S); asking for either selects the open attention path */                            \
    X(HEADS)     /* mixed values, heads side by side (B,T,H*D) */                                                    \
    X(ATTN_OUT)  /* linear: output projection */                                                                     \
    X(ATTN_JOIN) /* JOIN */                                                                                          \
    X(FFN_UP)    /* linear */                                                                                        \
    X(FFN_GATE)  /* linear, gated feed-forward only: its output multiplies the activation's */                       \
    X(FFN_ACT)   /* activation's output (B,T,F), times the gate where there is one: IA3 */                           \
    X(FFN_OUT)   /* linear */                                                                                        \
    X(FFN_JOIN)  /* JOIN */                                                                                          \
    X(RESID)     /* layer output (B,T,C); layer LAYER_EMBED: the input of the first layer */                         \
    X(LOGITS)    /* (B,T,V), or (B,1,N) of a classification head; layer LAYER_EMBED, part of the last stack */
/* clang-format on */
typedef enum {
#define X(name) SITE_##name,
    SITES(X)
#undef X
        SITE_COUNT
} Site;

/* Part distinguishes encoder self-attention, decoder self-attention and cross-attention, so that no two join points
 * share a Where.  A feed-forward block carries the part of its stack. */
typedef enum { PART_ENCODER, PART_DECODER, PART_CROSS, PART_COUNT, PART_ANY = PART_COUNT } Part;
enum { LAYER_EMBED = -1, LAYER_ANY = -2 };
typedef struct {
    Site site;
    int layer; /* from 0 within its stack */
    Part part;
} Where;
const char *site_name(Site);
const char *part_name(Part); /* "encoder", "decoder", "cross" */

struct Cache;
struct Below;
struct Pack;
struct Rows;
typedef struct Hooks Hooks;
typedef struct { /* one forward pass */
    Tape *tape;
    const Hooks *hooks;        /* NULL: the base model */
    uint64_t seed;             /* of this pass: dropout streams are named under it */
    bool train;                /* dropout on */
    struct Cache *cache;       /* decoding with a key/value cache, or NULL */
    bool checkpoint;           /* keep only each layer's input and run the layer again when going back */
    const struct Below *below; /* begins above frozen layers whose result is known (nn/trunk.h), or NULL */
    const double *share;       /* of the terms of a loss in a part of a batch (train/train.h), or NULL: 1 each */
    const struct Pack *pack;   /* within a stack that runs without padding; set by block_run() */
    const struct Rows *rows;   /* of the stack, within a layer; set by block_run() */
    bool pruned;               /* the layer's output has the kept ones of them alone */
} Pass;
/* Dropout of a value within a pass, with p 0 when not training; packed or not, the same elements are dropped. */
Var *pass_dropout(const Pass *, Var *x, double p, uint64_t stream);
uint64_t pass_stream(const Pass *, Where, const char *purpose); /* a dropout stream for one place */

typedef Var *HookFn(Pass *, Where, Var *in, Var *out, void *user);
Hooks *hooks_new(Arena *run);
void hook_add(Hooks *, Where rule, HookFn *, void *user); /* an adapting or intervening hook */
/* The same for a hook that treats each row (.., C) by itself, whatever their shape: a batch may be packed for it. */
void hook_add_rows(Hooks *, Where rule, HookFn *, void *user);
void hook_observe(Hooks *, Where rule, HookFn *, void *user); /* silent during recomputation */
void hooks_clear_from(Hooks *, int n);                        /* drop all hooks added after the first n */
int hooks_n(const Hooks *);
/* Counts every learned position of a part as if so many tokens came before: PEFT's prefixes take up positions. */
void hooks_shift(Hooks *, Part, int64_t positions);
int64_t hooks_shifted(const Hooks *, Part);
/* Row 0, where it is among the rows kept, then is the first of the virtual rows that EMBED hooks put in front, which
 * PEFT's classification heads read. */
void hooks_read_virtual(Hooks *);
bool hooks_reads_virtual(const Hooks *);
/* Where such a pass reads the parameter `of`, it reads fn(of): adapters of matrices that no site surrounds. */
void hooks_derive(Hooks *, const Param *of, Var *(*fn)(Tape *, Var *base, void *user), void *user);
void pass_begin(const Pass *);          /* gives the tape these; model_*() call it, callers of an Arch's own do */
bool hook_wants(const Hooks *, Where);  /* does any rule match? */
bool hooks_by_row(const Hooks *, Part); /* all hooks within the layers of a stack treat each row by itself */
Var *hook_run(Pass *, Where, Var *in, Var *out);

/* ---- the stock of analysis */
typedef struct {
    Arena *arena; /* the run arena the copies go to */
    Tensor value; /* the last value seen; data NULL before */
} Capture;
HookFn hook_capture; /* user: Capture * */
typedef struct {
    void (*see)(Where, Tensor in, Tensor out, void *user); /* sees, keeps nothing */
    void *user;
} Peek;
HookFn hook_peek; /* user: Peek * */

#endif

/* Parameter-efficient fine-tuning.  A method freezes the base, adds parameters under "peft.", and hangs hooks on
 * join points; nothing in src/nn mentions a method by name.  One file per method, which REGISTERs itself as `peft`;
 * lists, help and the test matrix read the registry.
 *
 *     const Peft *lora = peft_find("lora");
 *     PeftConfig cfg = {0};
 *     lora->defaults(&cfg, &model->config);
 *     cfg.rank = 4;
 *     TRY(peft_attach(lora, model, hooks, &cfg));      then train: the optimiser sees trainable parameters
 *     TRY(lora->merge(model, &cfg));                   the base now acts as the tuned model does: pass no hooks
 *
 * What a method is like is asked of its descriptor and never of its name: a copy of a file under another name is a
 * method of its own everywhere.
 *
 * Methods combine: attach one after the other to the same Hooks (MAM is prefix and parallel).  Parameters are named
 * peft.METHOD.PART.layer.L.WHAT, or peft.lora.LINEAR.A and .B, which peft_attach()
 * checks; everything lives on the model's run arena. */
#ifndef PEFT_PEFT_H
#define PEFT_PEFT_H

#include "nn/model.h"

/* A virtual token of a prefix: its own key and value; a vector that goes through the layer's own norm (where that
 * stands before attention) and its key and value projections; or a row of a table that an MLP maps to both. */
typedef enum { PREFIX_FREE, PREFIX_TIED, PREFIX_MLP } PrefixKind;
typedef enum { BIAS_NONE, BIAS_ALL, BIAS_TARGETS } BiasMode; /* biases of the body, of the adapted layers */
typedef enum {
    START_PLAIN,
    START_GAUSSIAN,
    START_PISSA,
    START_OLORA
} LoraStart;                                                                 /* of A and B; the latter two
                                                                                     take B A out of the base */
typedef enum { SCALE_FIXED, SCALE_LEARNED, SCALE_CHANNEL } ScaleMode;        /* a factor, one number, one a channel */
typedef enum { RESIDUAL_OUTPUT, RESIDUAL_SUM, RESIDUAL_INPUT } ResidualMode; /* A(z) is added to s, s + x or z */
typedef struct {
    const char *target; /* glob over Linear names */
    int rank;
    double alpha;
} LoraRule;
typedef struct {           /* zero-initialise, call the method's defaults, then change fields */
    bool on[PART_COUNT];   /* the parts to adapt: encoder, decoder, cross-attention; absent ones do not matter */
    const char *target;    /* a glob, alternatives with '|'.  LoRA, DoRA, VeRA: over Linear names; IA3: over
                              PART.layer.L.{keys,values,ffn,...}; adapters: over PART.layer.L.{attn,ffn}, where NULL
                              is the preset's */
    int rank;              /* LoRA, DoRA, VeRA, LoReFT */
    double alpha;          /* LoRA, DoRA: scale alpha/rank, or alpha/sqrt(rank) with rslora */
    bool rslora;           /* LoRA, DoRA */
    const LoraRule *rules; /* LoRA, DoRA: layers with a rank and alpha of their own; the first that matches counts */
    int n_rules;
    BiasMode bias;      /* LoRA, DoRA: biases that train along */
    bool lora_bias;     /* LoRA: B has a bias of its own */
    LoraStart init;     /* LoRA, DoRA */
    const char *tables; /* LoRA, DoRA: matrices outside the layers that are adapted, too: a glob over their names,
                              like wte or lm_head, or NULL.  A tied head and its table come apart */
    bool merge_tied;    /* LoRA: merging changes both of a tied pair, as PEFT's merge does, and not the adapted one */
    const char *layers; /* a list as peft/layers.h reads it: the method acts in these layers alone, and of the base
                           nothing outside them trains but a classification head; NULL: all */
    const char
        *blocks; /* layers of the base that train whole beside the method, as peft/blocks.h reads them, or NULL */
    const char *tokens; /* LoRA, DoRA, tokens: "5|8|100", rows of the token table that train, or NULL */
    bool norm_gradient; /* DoRA: the gradient goes through the norm, too, which costs a layer's size in memory */
    bool plain_norm;    /* DoRA: the norm is that of W + B A, without the scale, and the bias is scaled along, as the
                           adapters library computes it */
    double dropout;     /* LoRA: of the input; adapters: of the output */
    int width, reduction;         /* adapters: bottleneck = width, or dim / reduction (at least 1) where width is 0;
                             prefix MLP: width of its hidden layer */
    double scale;                 /* adapters: factor of the adapter's output */
    ScaleMode scaling;            /* adapters: where it is learned, it starts at 1 */
    ResidualMode residual;        /* adapters that read the sum */
    bool norm_before, norm_after; /* adapters: a LayerNorm of their own, before down and after up */
    Act act;                      /* adapters */
    const char *positions;        /* LoReFT: of a text, like "f3+l1", its first three tokens and its last, or "all" */
    int length;                   /* prefix, prompt: virtual tokens */
    PrefixKind kind;              /* prefix */
    bool no_norm;                 /* tied prefix: straight into the projections, past the layer's norm */
    int reserved;                 /* tied prefix: 0, or length: the input's first positions are overwritten */
    bool shift_positions; /* prefix: positions of the content move by length, as PEFT's do; relative ones (T5) then
                             see the prefix at the positions before the content */
    bool displaced;       /* prefix on T5: the adapters library's, content keys seem length further right */
    bool late;            /* prompt: joins after the embeddings' positions and norm, as the adapters library's does */
    bool read_prompt;     /* prompt: a classification head reads the first virtual token, as PEFT's does */
    double init_sd;       /* prefix, prompt: of the start; adapters: of the up-projection, 0 starts at identity */
} PeftConfig;

typedef struct Peft {
    const char *name, *summary, *source; /* "lora", one line, the paper */
    const char *alias;                   /* another name that peft_find() takes, or NULL */
    void (*defaults)(PeftConfig *, const Config *);
    Status (*attach)(Model *, Hooks *, const PeftConfig *); /* E_CONFIG with a sentence where impossible; checks
                                                               before it adds */
    Status (*merge)(Model *, const PeftConfig *);           /* fold into the base weights; NULL when impossible */
    Status (*unmerge)(Model *, const PeftConfig *);         /* the way back, up to rounding */
    int64_t (*count)(const Model *, const PeftConfig *);    /* parameters it adds or unfreezes, head apart */
    int *(*knob)(PeftConfig *); /* the setting that count grows with: rank, width, length; NULL: none */
    const char *frozen;         /* glob over its parameters that never train; NULL: all do */
    bool changes_base;          /* trains parameters of the base and adds none: what is saved is the whole model */
    bool trains_all;            /* every parameter of the base: full fine-tuning, which others are compared with */
    int (*virtual_tokens)(const PeftConfig *); /* that attention sees before the content; NULL: the method has none */
    bool virtual_keys;                    /* they are keys and values alone, and no rows of the residual stream */
    bool before_layers;                   /* it acts in front of all layers, so PeftConfig.layers is refused */
    int (*positions)(const PeftConfig *); /* learned positions that they take from the content; NULL: none */
    double lr, small_lr; /* learning rates of published pretrained models and of small ones that were begun here; 0:
                            peft_lr() has one for all */
} Peft;
REGISTRY(Peft, peft)

const Peft *peft_find(const char *name); /* by name or alias; NULL when unknown */
/* Sets fields by their names, "rank=4,target=*.c_fc|*.c_proj,kind=tied"; E_CONFIG names what is wrong. */
Status peft_set(PeftConfig *, Arena *, const char *text);                       /* texts are copied to the arena */
Status peft_set_one(PeftConfig *, Arena *, const char *key, const char *value); /* the value may hold commas */
const char *peft_option(const char **key, const PeftConfig *, Arena *, int i);  /* value of field i; NULL: unset */
int peft_options(void);                                                         /* fields that have a name */
int peft_virtual_tokens(const Peft *, const PeftConfig *);                      /* 0: none */
double peft_lr(const Peft *, bool small);
/* Freeze everything, attach, and make "peft.*" (of this method and those attached before) and the classification
 * head trainable. */
Status peft_attach(const Peft *, Model *, Hooks *, const PeftConfig *);
int64_t peft_head_count(const Model *);   /* parameters of the classification head: report counts with and without */
bool peft_is_head(const char *parameter); /* belongs to the classification or language-model head */
/* Choose the method's rank, width or length so that it has at most `budget` parameters and one more step would have
 * more; E_CONFIG when the smallest choice has too many or the method has nothing to choose. */
Status peft_fit(const Peft *, const Model *, PeftConfig *, int64_t budget);
const char *peft_size(const Peft *, const PeftConfig *, Arena *); /* "rank=8"; NULL: nothing to choose */

#endif

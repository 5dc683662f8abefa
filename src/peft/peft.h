/* Parameter-efficient fine-tuning.  A method freezes the base, adds parameters under "peft.", and hangs hooks on
 * join points; nothing in src/nn mentions a method by name.  One file per method, which REGISTERs itself as `peft`;
 * lists, help and the test matrix read the registry. */
#ifndef PEFT_PEFT_H
#define PEFT_PEFT_H

#include "nn/model.h"

typedef enum { PREFIX_FREE, PREFIX_TIED, PREFIX_MLP } PrefixKind;
typedef struct {        /* zero-initialise, call the method's defaults, then set what differs */
    const char *target; /* LoRA: glob over Linear names, alternatives with '|' */
    int rank;           /* LoRA */
    double alpha;       /* LoRA: scale alpha/rank, or alpha/sqrt(rank) with rslora */
    bool rslora;
    double dropout; /* LoRA, adapters */
    int reduction;  /* adapters: bottleneck = dim / reduction, unless width is given */
    int width;      /* adapters: bottleneck; prefix MLP: its width */
    double scale;   /* parallel adapter */
    Act act;        /* adapters */
    int length;     /* prefix, prompt: virtual tokens */
    PrefixKind kind;
    bool on[PART_COUNT]; /* prefix: encoder, decoder self, cross */
    int reserved;        /* tied prefix: the first `reserved` positions of every input are slots to overwrite */
    double init_sd;      /* prefix, prompt */
} PeftConfig;

typedef struct Peft {
    const char *name, *summary, *source; /* "lora", one line, the paper */
    void (*defaults)(PeftConfig *, const Config *);
    Status (*attach)(Model *, Hooks *,
                     const PeftConfig *);         /* E_CONFIG with a sentence where undefined on the shape */
    Status (*merge)(Model *, const PeftConfig *); /* fold into the base weights; NULL when impossible */
    Status (*unmerge)(Model *, const PeftConfig *);
    int64_t (*count)(const Model *, const PeftConfig *); /* trainable numbers it will add or unfreeze, head apart */
} Peft;
REGISTRY(Peft, peft)

const Peft *peft_find(const char *name);
/* Freeze everything, attach, and make "peft.*" and the classification head trainable. */
Status peft_attach(const Peft *, Model *, Hooks *, const PeftConfig *);

#endif

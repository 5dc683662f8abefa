/* vernier attend --do: the effect of an intervention on the output, the loss and the attention downstream. */
#ifndef ANALYSIS_EFFECT_H
#define ANALYSIS_EFFECT_H

#include "analysis/ask.h"
#include "analysis/intervene.h"

typedef struct { /* of one pass */
    Maps maps;
    Tensor logits, last; /* (B,T,V), or data NULL without a head; (B,T,C) output of the last layer */
    double loss;         /* NaN: none */
} EffectOutcome;

typedef struct {
    const char *words;
    double loss, change; /* after; after minus before; NaN where there is no loss */
    double kl;           /* mean over positions of KL(before, after) of the next token's distribution, nats */
    double top;          /* share of positions whose most likely token is another */
    double output;       /* |after - before| / |before| of the last layer's output */
    double *shift;       /* (layers) mass of attention that moved, mean over rows and heads */
} Effect;

/* `scored`: the batch of the loss, or NULL. */
void outcome_read(EffectOutcome *out, Arena *run, Model *, Hooks *, const Batch *, const Batch *scored, Part);
Effect effect_of(Arena *, const EffectOutcome *before, const EffectOutcome *after);

/* The change by each (row) in each layer, and in the output.  Open, as in analysis/draw.h. */
Fig *effects_draw(const char *path, Arena *, int rows, const Effect *, int layers);

Status effect_answer(Ask *, const char *dir);

#endif

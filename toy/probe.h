/* The attention of a one-layer digit model on one input, for E1 and E2.
 *
 *     Probe p;
 *     TRY(probe_look(&p, &run, m, hooks, base));     on the input of the paper, followed by the model's own output
 *     HeatStyle style = probe_style(run_arena(r), &p, 0);
 *     Tensor map = tensor_over(p.map[head], F32, SHAPE(PROBE_T, PROBE_T));
 *
 * The map of a row is causal; its first column and row are the one reserved filler token, which a prefix may
 * replace. */
#ifndef TOY_PROBE_H
#define TOY_PROBE_H

#include "lab/lab.h"

enum { PROBE_SLOTS = 1, PROBE_T = PROBE_SLOTS + 2 * LENGTH - 1, PROBE_HEADS = 4 };
typedef struct {                              /* plain bytes */
    float map[PROBE_HEADS][PROBE_T][PROBE_T]; /* attention of each head */
    int32_t token[PROBE_T];                   /* the input of the maps */
    double gap; /* largest change against the base model of a content weight, renormalised, on one sequence of tokens:
                   the input and its ascending sort */
} Probe;
Status probe_look(Probe *, Arena *run, Model *, Hooks *, Model *base);

/* Without the filler token: rows and columns of content, each row divided by the mass of its content. */
Tensor probe_content(Arena *, const Probe *, int head); /* (PROBE_T-1, PROBE_T-1) */

/* Labels and spans; skip 1: of maps without the filler token. */
HeatStyle probe_style(Arena *, const Probe *, int skip);

/* By output position, over the held-out inputs: the token accuracy on `task`, and the fraction of tokens that are
 * wrong and equal to the output of `former`. */
typedef struct {
    double right[LENGTH], former[LENGTH];
    double wrong; /* of all wrong tokens, the fraction that are the former task's; NaN where none is wrong */
} Places;
void probe_places(Places *, Model *, const Hooks *, const LabModel *, const DigitTask *task, const DigitTask *former);

#endif

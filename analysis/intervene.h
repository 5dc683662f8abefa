/* Interventions in a forward pass, given in words:
 *
 *   head:L.H=0            the output of head H of layer L times 0 (any number; scale:S is the same)
 *   prefix=scale:S        the values of virtual keys times S, in all layers; their mass stays
 *   prefix=swap:DIR       the virtual keys and their values from another adapter on the same base, as many, in place
 *                         of the model's own, in all layers and parts; other parts of that adapter are ignored
 *   mass:A                the mass on virtual keys set to A in every row that has some on both sides: their weights
 *                         times A / a, the others' times (1 - A) / (1 - a)
 * patch:SITE:L=TEXT     activation patching: the activation at SITE (nn/hook.h, any case) of layer L on another text
 *                         of as many tokens, or on ids:1,2,3 or on a file's text, @FILE; L is embed for the input of
 *                         the first layer
 *   patch:SITE:L.T=TEXT   the same at position T alone
 *   steer:SITE:L=S*TEXT   a steering vector: plus S times the mean activation at SITE of layer L, over the tokens of
 *                         another text, at every position; texts and L.T as for a patch, but of any length
 *   steer:SITE:L=S*TEXT minus TEXT
 *                         the same with the difference of two texts' means: activation addition (Turner et al. 2023;
 *                         Rimsky et al. 2024).  " minus " stands between texts and in neither; files can hold it
 *
 * Other texts are read by the model with its adapter and without interventions. */
#ifndef ANALYSIS_INTERVENE_H
#define ANALYSIS_INTERVENE_H

#include "analysis/importance.h"

typedef enum { DO_HEAD, DO_PREFIX, DO_MASS, DO_PATCH, DO_STEER, DO_SWAP } DoKind;
typedef struct {                 /* and their values */
    Tensor *rows[PART_COUNT][2]; /* (layers) of (P,H*D); data NULL: not reached, or none */
} VirtualKeys;
typedef struct {
    const char *words; /* as given */
    DoKind kind;
    Where at;
    HeadScale head;
    double number;    /* S or A */
    int64_t position; /* -1: all */
    const char *text; /* of a patch, of steering; of a swap the directory */
    const char *less; /* of steering: the text whose mean is subtracted, or NULL */
    Tensor value;     /* once read: of a patch; the steering vector, (1,C), or (T,C) at one position */
    VirtualKeys keys; /* of a swap, once read */
    int64_t extra;    /* virtual keys */
} Do;

/* E_CONFIG: not understood, no such layer, head or site.  extra: virtual keys of the part. */
Status do_parse(Do *out, Arena *, const char *words, const Model *, Part, int64_t extra);
/* Reads the value of a patch in a pass over `b`, with as many tokens as the text (t).  E_CONFIG: the model has no
 * such site, or no such position. */
Status do_read(Do *, Arena *run, Model *, Hooks *, const Batch *b, int64_t t);
/* The same for steering; `less` or NULL, t: tokens of the steered text.  E_CONFIG also where the site does not
 * have a row for each token. */
Status do_read_means(Do *, Arena *run, Model *, Hooks *, const Batch *text, const Batch *less, int64_t t);
/* The same for a swap: `theirs` are the hooks of the other adapter, on `other`, which can then go.  E_CONFIG: the
 * model has no virtual keys that a pass over `b` reaches; E_MISMATCH: the other's differ in number or in how they
 * shift positions. */
Status do_read_keys(Do *, Arena *run, Model *, Hooks *, Model *other, Hooks *theirs, const Batch *b);
void do_attach(Do *, Hooks *); /* `Do` lives as long as the hooks */

#endif

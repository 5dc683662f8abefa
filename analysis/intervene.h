/* Changes of a forward pass that are asked for in words:
 *
 *   head:L.H=0            the output of head H of layer L times 0 (any number; scale:S is the same)
 *   prefix=scale:S        the values of virtual keys times S, in all layers; their mass stays
 *   mass:A                the mass on virtual keys set to A in every row that has some on both sides: their weights
 *                         times A / a, the others' times (1 - A) / (1 - a)
 *   patch:SITE:L=TEXT     what SITE (nn/hook.h, any case) of layer L gives on another text of as many tokens, or on
 *                         ids:1,2,3 or on a file's text, @FILE; L is embed for what enters the first layer
 *   patch:SITE:L.T=TEXT   the same at position T alone */
#ifndef ANALYSIS_INTERVENE_H
#define ANALYSIS_INTERVENE_H

#include "analysis/importance.h"

typedef enum { DO_HEAD, DO_PREFIX, DO_MASS, DO_PATCH } DoKind;
typedef struct {
    const char *words; /* as given */
    DoKind kind;
    Where at;
    HeadScale head;
    double number;    /* S or A */
    int64_t position; /* -1: all */
    const char *text; /* of a patch */
    Tensor value;     /* of a patch, once read */
    int64_t extra;    /* virtual keys */
} Do;

/* E_CONFIG: not understood, no such layer, head or site.  extra: virtual keys of the part. */
Status do_parse(Do *out, Arena *, const char *words, const Model *, Part, int64_t extra);
/* Reads what a patch puts in: a pass over `b`, with as many tokens as the text (t).  E_CONFIG: the model has no such
 * site, or no such position. */
Status do_read(Do *, Arena *run, Model *, Hooks *, const Batch *b, int64_t t);
void do_attach(Do *, Hooks *); /* `Do` lives as long as the hooks */

#endif

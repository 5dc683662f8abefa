/* Looking at a model: the tree of its modules with shapes, sizes, places of linear layers, and the places of
 * trainable parameters. */
#ifndef NN_INSPECT_H
#define NN_INSPECT_H

#include <stdio.h>

#include "io/weights.h"
#include "nn/model.h"

/* Modules with the same shapes that differ only in their number are shown once. */
void model_inspect(FILE *, const Model *);
/* The same of a file's tensors, whose names alone give the tree; tensors for which `counts` is false (they are
 * another's bytes) are shown and not counted. */
void weights_inspect(FILE *, const Weights *, bool (*counts)(const Weights *, int i));

#endif

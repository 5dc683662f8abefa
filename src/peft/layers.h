/* Lists of layers, as the options `layers` and `blocks` of a method have them.
 *
 *   6-11                     these layers of every stack; also 0,3-5
 *   top:2  bottom:3          the last two, the first three, of every stack
 *   encoder:0-2,decoder:5    of one stack each; a name holds until the next, and '|' separates, too
 *   all  *                   all layers
 *   random:2                 two layers drawn by the seed of the model's parameters, the same of every stack
 *
 * A parameter of the base is in a layer where its name begins as that layer's do.  Token tables, final norms and
 * heads are in none; in T5 the table of relative positions is in layer 0. */
#ifndef PEFT_LAYERS_H
#define PEFT_LAYERS_H

#include "nn/model.h"

enum { LAYER_STACKS = PART_DECODER + 1, LAYERS_MOST = 4096 }; /* config_check() refuses more */
typedef struct {
    bool on[LAYER_STACKS][LAYERS_MOST];
} Layers;

/* E_CONFIG, with the name of the option: there is no such stack or layer, or the list is malformed. */
Status layers_read(Layers *, const Model *, const char *option, const char *list);
bool layers_have(const Layers *, Where); /* cross-attention is in the decoder's layers */
bool layers_hold(const Layers *, const Model *, const Param *);

/* The same of one list at a time, for a list that was read without an error; NULL is the list of all layers, and of
 * every parameter, in a layer or not. */
bool layers_list_has(const Model *, const char *list, Where);
bool layers_list_holds(const Model *, const char *list, const Param *);

#endif

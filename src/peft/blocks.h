/* Whole layers of the base that train beside a method's own parameters (Pasta: parameter-efficient tuning together
 * with partial fine-tuning), or alone, as the method `blocks`.  A layer is all that stands below its number:
 * attention, in a decoder cross-attention too, feed-forward and norms, and in layer 0 of T5 the table of relative
 * positions.  Token tables, final norms and heads belong to none.  The list is peft/layers.h's. */
#ifndef PEFT_BLOCKS_H
#define PEFT_BLOCKS_H

#include "nn/model.h"

/* Makes the layers' parameters trainable.  E_CONFIG: there is no such stack or layer, or the list is malformed. */
Status blocks_train(Model *, const char *list);
Status blocks_check(const Model *, const char *list);
int64_t blocks_count(const Model *, const char *list); /* their parameters; 0 where the list is refused */

#endif

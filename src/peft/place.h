/* Shared by the methods: walking the places a config turns on, and naming the parameters put there.
 *
 *     for (Where at = PLACE_FIRST; place_next(model, cfg, &at);) ...      encoder layers, decoder layers, cross
 */
#ifndef PEFT_PLACE_H
#define PEFT_PLACE_H

#include "peft/peft.h"

#define PLACE_FIRST ((Where){.layer = -1, .part = PART_ENCODER})
bool place_next(const Model *, const PeftConfig *, Where *at); /* at->site is left alone */
bool place_in(const Model *, const PeftConfig *, Where);       /* its part and its layer are among them */
Where place_at(Where, Site);                                   /* the same place, another site */
bool place_wants(const PeftConfig *, Where, const char *what); /* `target` matches PART.layer.L.what, or is NULL */
void place_all(PeftConfig *, bool cross);                      /* turn on every part, cross-attention as given */
Status place_check(const Model *, const PeftConfig *, const char *method); /* E_CONFIG unless some part is there */
int place_count(const Model *, const PeftConfig *);                        /* places with a config's parts on */

/* "peft.METHOD.PART.layer.L.what"; what may be empty.  find gives NULL where attach has not run. */
Param *place_param(Model *, const char *method, Where, const char *what, Init, int rank, const int64_t *dim);
Param *place_find(const Model *, const char *method, Where, const char *what);
const Linear *place_linear(const Model *, Where, Site); /* the layer at that site; a model without it is a defect */
int place_width(const Model *, Where);                  /* H*D of the attention there: keys, values */

/* Base parameters whose name matches, heads excepted: for methods that unfreeze instead of adding.  peft_attach()
 * freezes those outside of the config's layers again, and they do not count. */
bool place_is_body(const Param *, const char *glob);
int64_t place_body_count(const Model *, const PeftConfig *, const char *glob);
void place_body_train(Model *, const char *glob);

Init place_fan_in(int64_t in); /* U(-1/sqrt(in), 1/sqrt(in)): kaiming-uniform with a = sqrt 5 */

#endif

/* The names that IA3's `target` is written in. */
#ifndef PEFT_IA3_H
#define PEFT_IA3_H

#include "peft/peft.h"

/* The vector for the outputs, or inputs, of the linear layer at a site: "keys", "ffn", ...; NULL where nothing
 * can. */
const char *ia3_what(Site linear, bool inputs);
const Linear *ia3_linear(const Model *, Where, const char *what, bool *inputs); /* the way back */

#endif

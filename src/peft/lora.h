/* Shared by the LoRA family: the linear layers that a config adapts, their ranks and scales, and biases that train
 * along.
 *
 *     for (const Linear *l = NULL; (l = lora_next(model, cfg, l));) ...
 */
#ifndef PEFT_LORA_H
#define PEFT_LORA_H

#include "peft/peft.h"

void lora_defaults(PeftConfig *, const Config *);
const Linear *lora_next(const Model *, const PeftConfig *, const Linear *after); /* NULL at the end */
int lora_rank(const PeftConfig *, const Linear *);
double lora_scale(const PeftConfig *, const Linear *);                    /* alpha/rank, or alpha/sqrt(rank) */
Status lora_check(const Model *, const PeftConfig *, const char *method); /* E_CONFIG, before anything is added */
const char *lora_name(const Model *, const char *method, const Linear *, const char *what);

/* W += s B A on the part of W that the layer owns; B (out,r), A (r,in). */
void lora_fold(const Linear *, Tensor a, Tensor b, double s);
/* Output o of the layer times c: its weights, and not its bias. */
void lora_scale_output(const Linear *, int64_t o, double c);

int64_t lora_count(const Model *, const PeftConfig *); /* parameters of A, B and biases */
int *lora_knob(PeftConfig *);                          /* the rank */
void lora_bias_train(Model *, const PeftConfig *);
bool lora_trains_bias(const Model *, const PeftConfig *, const Param *);

#endif

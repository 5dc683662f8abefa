/* Shared by the LoRA family: the linear layers that a config adapts, their ranks and scales, and biases that train
 * along.
 *
 *     for (const Linear *l = NULL; (l = lora_next(model, cfg, l));) ...
 */
#ifndef PEFT_LORA_H
#define PEFT_LORA_H

#include "num/linalg.h"
#include "peft/peft.h"

void lora_defaults(PeftConfig *, const Config *);
const Linear *lora_next(const Model *, const PeftConfig *, const Linear *after); /* NULL at the end */
const Linear *lora_each(const Model *, const Linear *after); /* adapted or not: of the layers, then outside them */
const Linear *lora_find(const Model *, const char *name);    /* the one of them of that name, or NULL */
bool lora_is_outer(const Linear *);                          /* outside the layers: no hook surrounds it */
int lora_rank(const PeftConfig *, const Linear *);
double lora_scale(const PeftConfig *, const Linear *);                    /* alpha/rank, or alpha/sqrt(rank) */
Status lora_check(const Model *, const PeftConfig *, const char *method); /* E_CONFIG, before anything is added */
const char *lora_name(const Model *, const char *method, const Linear *, const char *what);

/* A head that is tied to a table comes apart from it where one of the two is adapted; E_CONFIG where it cannot. */
Status lora_untie(Model *, const PeftConfig *, const char *method);
Param *lora_twin(const Model *, const Linear *); /* the other one of such a pair, come apart; or NULL */
/* Outside the layers: the pass reads s B A beside W, times m / |W + s B A| where there is a magnitude m. */
void lora_derive(Model *, Hooks *, const Linear *, Param *a, Param *b, Param *m, double s, bool held);
/* The initial A and B that `init` asks for; PiSSA and OLoRA take their product out of W. */
Init lora_start_down(const Linear *, const PeftConfig *); /* the draw of A */
Status lora_start(const Linear *, const PeftConfig *, Param *a, Param *b);
Status lora_start_check(const Linear *, const PeftConfig *, const char *method);

/* The nearest product s B A to w (out,in): B = U sqrt(S/s), A = sqrt(S/s) V' of the largest singular values, and
 * zeros where w has fewer.  s is above 0; *svd is on the arena. */
Status lora_factor(Svd *, Arena *, Tensor w, double s, Param *a, Param *b);

/* W += s B A on the part of W that the layer owns; B (out,r), A (r,in). */
void lora_fold(const Linear *, Tensor a, Tensor b, double s);
/* Output o of the layer times c: its weights, and not its bias. */
void lora_scale_output(const Linear *, int64_t o, double c);

int64_t lora_count(const Model *, const PeftConfig *); /* parameters of A, B and biases */
int *lora_knob(PeftConfig *);                          /* the rank */
void lora_bias_train(Model *, const PeftConfig *);
bool lora_trains_bias(const Model *, const PeftConfig *, const Param *);

#endif

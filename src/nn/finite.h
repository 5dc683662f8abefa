/* When a model's results are not finite: is it the file's fault or the computation's? */
#ifndef NN_FINITE_H
#define NN_FINITE_H

#include "nn/model.h"

/* `found` as it is, unless it is E_NUMERIC and a parameter of the model is not finite: then E_FORMAT, whose message
 * names that tensor as well.  Weights are looked through only then, so that files need not be read in advance. */
Status model_blame(Status found, const Model *);

#endif

/* Classifiers behind one interface.  Their input is the features (N,D) of a Dataset's examples, their output the
 * probability of every label for every example (ProbeResult, probe/probe.h).  Training rows fit, validation rows
 * choose, and test rows are used once.  A classifier is one file that ends with REGISTER(classifier, SYMBOL).
 *
 *   const Classifier *c = classifier_find("mlp");
 *   TRY(c->fit(&result, arena, features, &dataset, NULL, NULL));
 */
#ifndef PROBE_CLASSIFIER_H
#define PROBE_CLASSIFIER_H

#include "base/registry.h"
#include "num/minimise.h"
#include "probe/probe.h"

typedef struct {
    const char *name, *summary;
    /* label (N) replaces the dataset's where not NULL; config NULL: defaults.  E_NUMERIC: a feature is not finite.
     * E_MISMATCH: no training rows. */
    Status (*fit)(ProbeResult *out, Arena *, Tensor features, const Dataset *, const int32_t *label,
                  const ProbeConfig *);
} Classifier;
REGISTRY(Classifier, classifier)
const Classifier *classifier_find(const char *name); /* NULL when unknown */

/* ---- for those who write one */

/* Checks the input, and gives a cleared result with room for probabilities, the features standardised by the training
 * rows, (N,D) F64 on `scratch`, and labels where there were none. */
Status classifier_prepare(ProbeResult *, Tensor *x, const int32_t **label, Arena *, Arena *scratch, Tensor features,
                          const Dataset *);
void classifier_softmax(Tensor logits);                        /* (N,C) F64, in place */
void classifier_note(ProbeResult *, const Minimum *);          /* loss, gradient, iterations, converged */
int32_t *classifier_labels(Arena *, const Dataset *);          /* (N) the dataset's own */
int64_t classifier_rows(int32_t *row, const Dataset *, Split); /* the examples of a split; how many */
/* The criterion of a choice, more is better: the accuracy on validation (training where there is none), or with
 * by_loss the mean log-probability there. */
double classifier_selection(Tensor probability, const Dataset *, const int32_t *label, bool by_loss);
/* Fills predicted, accuracy, F1, interval and confusion from the probabilities. */
void classifier_measure(ProbeResult *, Arena *, const Dataset *, const int32_t *label);

#endif

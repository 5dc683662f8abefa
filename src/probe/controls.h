/* Control tasks: how much of a probe's accuracy is the probe's own memory?
 *
 * Every key gets one random label, drawn from the labels' shares in training; all examples with that key share it, in
 * every split.  Such labels can only be memorised, so a probe's accuracy on them measures its capacity to memorise.
 * The key is the object of the task: the token or identifier in focus, so that test examples have keys seen in
 * training; control_keys() takes a word that many texts share.  Where the key is the whole text, only training
 * accuracy can exceed chance.
 *
 *     selectivity = accuracy on the task - accuracy on the control task
 *
 * Source: Hewitt and Liang, "Designing and Interpreting Probes with Control Tasks" (EMNLP 2019). */
#ifndef PROBE_CONTROLS_H
#define PROBE_CONTROLS_H

#include "base/file.h"
#include "probe/classifier.h"

/* label (N) by key (N), or by text where key is NULL.  The label of a key depends on its bytes and the
 * stream alone. */
void control_labels(int32_t *label, const Dataset *, const Bytes *key, uint64_t stream);

/* A word of each text as its key (N): the first of the line that holds `mark`, else the first of the text.  Returns
 * the share of test examples whose key is in training too, of which alone a probe can know the label. */
double control_keys(Bytes *key, const Dataset *, const char *mark);

typedef struct {
    double accuracy[SPLITS]; /* on the task */
    double control[SPLITS];  /* on the control task, mean over draws */
    double selectivity[SPLITS];
    int draws;
} Selectivity;
/* Fits the same classifier on the task (label NULL: the dataset's) and on `draws` control tasks. */
Status control_selectivity(Selectivity *out, const Classifier *, Tensor features, const Dataset *,
                           const int32_t *label, const Bytes *key, const ProbeConfig *, int draws, uint64_t stream);

#endif

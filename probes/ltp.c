/* probes/ltp: line type prediction.
 *
 * Claim    The frozen features of an encoder have information on whether a line with a hidden tag was added or
 *          removed beyond the rules that know no code and a bag of words, and more than those of the same encoder
 *          randomly initialised.
 * Method   probes/probing.h.  Synthetic rows: the tag of a file's name is never hidden, and position and neighbouring
 *          tags are balanced over the labels.  Words may not be: a replaced line resembles the one that replaces it.
 *          <mask> is the model's own mask where it has one.
 * Expect   On the published rows position and neighbours decide four of five.
 * Cost     seconds; a minute or two; hours (estimated, not run).
 * Source   Liu et al. (SANER 2024), their LTP set; Hewitt and Liang (EMNLP 2019). */
#include "probes/probing.h"

static Status run(Run *r)
{
    return probing_run(r, TASK_LTP);
}

static const Experiment LTP = {
    PROBING,
    .name = "ltp",
    .title = "Line type prediction from frozen features",
    .claim = "The encoder's features have information on whether a line whose tag is hidden was added or removed "
             "beyond the rules and a bag of words, and more than those of the same encoder, randomly initialised.",
    .source = "Liu et al. (SANER 2024); Hewitt and Liang (EMNLP 2019)",
    .run = run};
REGISTER(experiment, LTP)

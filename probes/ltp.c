/* probes/ltp: line type prediction.
 *
 * Claim    Frozen features of an encoder tell whether a line whose mark is hidden was added or removed, linearly,
 *          better than its place among the other marks, a bag of words, and the same encoder with random weights.
 * Method   probes/probing.h.  Invented rows: the mark of a file's name is never hidden, and place and neighbouring
 *          marks are alike under both labels.  Words may not be: a replaced line resembles the one that replaces it.
 *          <mask> is the model's own mask where it has one.
 * Expect   On the published rows place and neighbours decide four of five.
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
    .claim = "The encoder's features tell whether a line with a hidden mark was added or removed better than its "
             "place among the other marks, a bag of words, and the same encoder with random weights.",
    .source = "Liu et al. (SANER 2024); Hewitt and Liang (EMNLP 2019)",
    .run = run};
REGISTER(experiment, LTP)

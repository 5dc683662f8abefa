/* probes/ccm: code change match.
 *
 * Claim    Frozen features of an encoder tell whether a commit message belongs to a change, linearly, better than the
 *          words that both share, a bag of words, and the same encoder with random weights.
 * Method   probes/probing.h.  Invented rows: a wrong message is another change's, about as long, with as many words
 *          in common; changes and messages come under both labels equally often.
 * Expect   On the published rows the overlap of words decides four of five, more than any probe that was published.
 * Cost     seconds; a minute or two; hours (estimated, not run).
 * Source   Liu et al. (SANER 2024), their CCM set; Hewitt and Liang (EMNLP 2019). */
#include "probes/probing.h"

static Status run(Run *r)
{
    return probing_run(r, TASK_CCM);
}

static const Experiment CCM = {
    PROBING,
    .name = "ccm",
    .title = "Code change match from frozen features",
    .claim = "The encoder's features tell whether a message belongs to a change better than the words that both "
             "share, a bag of words, and the same encoder with random weights.",
    .source = "Liu et al. (SANER 2024); Hewitt and Liang (EMNLP 2019)",
    .run = run};
REGISTER(experiment, CCM)

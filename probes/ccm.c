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

static const Setting SETTINGS[] = {PROBING_SETTINGS};
static const Experiment CCM = {
    .group = "probes",
    .name = "ccm",
    .title = "Code change match from frozen features",
    .claim = "The encoder's features tell whether a message belongs to a change better than the words that both "
             "share, a bag of words, and the same encoder with random weights.",
    .method = "A classifier on every layer's features, the layer chosen on validation; rules, bag of words, random "
              "weights, control task, description length, usable information beside it.",
    .expect = "Above all three at p < 0.05 (McNemar) in every seed.",
    .cost = "smoke seconds, quick a minute or two, paper hours (estimated)",
    .source = "Liu et al. (SANER 2024); Hewitt and Liang (EMNLP 2019)",
    .settings = SETTINGS,
    .seeds = {1, 3, 3},
    .run = run};
REGISTER(experiment, CCM)

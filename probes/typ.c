/* probes/typ: invalid type detection.
 *
 * Claim    Frozen features of an encoder tell methods with invalid types from intact ones, linearly, better than a
 *          lookup of misspellings, a bag of words, and the same encoder with random weights.
 * Method   probes/probing.h.  Invented rows: two variables of different sorts have exchanged their types, so that
 *          every word stays; --recipe study misspells them as published, and then the words give it away.
 * Expect   On rows with misspellings no probe can rise above the lookup, which is right on all of them.  On exchanged
 *          types a small encoder that has seen a few hundred methods is not expected to know.
 * Cost     seconds; a minute or two; hours (estimated, not run).
 * Source   Karmakar and Robbes (ASE 2021); Hewitt and Liang (EMNLP 2019). */
#include "probes/probing.h"

static Status run(Run *r)
{
    return probing_run(r, TASK_TYP);
}

static const Experiment TYP = {
    PROBING,
    .name = "typ",
    .title = "Invalid type detection from frozen features",
    .claim = "The encoder's features tell methods with invalid types from intact ones better than a lookup of "
             "misspellings, a bag of words, and the same encoder with random weights.",
    .source = "Karmakar and Robbes (ASE 2021); Hewitt and Liang (EMNLP 2019)",
    .run = run};
REGISTER(experiment, TYP)

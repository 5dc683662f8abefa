/* probes/typ: invalid type detection.
 *
 * Claim    The frozen features of an encoder have information on whether a method has invalid types
 *          beyond the rules that know no code and a bag of words, and more than those of the same encoder randomly
 *          initialised.
 * Method   probes/probing.h.  Synthetic rows: two variables of different sorts have exchanged their types, so that
 *          every word stays; --recipe study misspells them as published, and then the words reveal the label.
 * Expect   On rows with misspellings no probe can be above the lookup, which is correct on all of them.  On exchanged
 *          types a small encoder that has seen a few hundred methods is expected to be at chance.
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
    .claim = "The encoder's features have information on whether a method has invalid types "
             "beyond the rules and a bag of words, and more than those of the same encoder, randomly initialised.",
    .source = "Karmakar and Robbes (ASE 2021); Hewitt and Liang (EMNLP 2019)",
    .run = run};
REGISTER(experiment, TYP)

/* probes/own: a probing task of the user's own.
 *
 * Claim    The frozen features of an encoder have information on the labels of a table beyond a bag of words (of
 *          pairs also beyond the words in common), and more than those of the same encoder randomly initialised.
 * Method   probes/probing.h.  CSV, TSV or JSON Lines with a text, a pair of texts, or a text with a span; 60/20/20 %
 *          of each class by --data-seed.
 * Expect   Depends on the task.
 * Cost     as of the other tasks.
 * Source   Hewitt and Liang (EMNLP 2019); Hewitt et al. (EMNLP 2021).
 *
 * It does not know the task's own shortcuts: the rules that a table's labels follow without reading are the user's to
 * find. */
#include "probes/probing.h"

static Status run(Run *r)
{
    return probing_run(r, TASKS);
}

static const Experiment OWN = {
    PROBING,
    .name = "own",
    .title = "A probing task of your own",
    .claim = "The encoder's features have information on the labels of a table beyond a bag of words, and more than "
             "those of the same encoder, randomly initialised.",
    .source = "Hewitt and Liang (EMNLP 2019); Hewitt et al. (EMNLP 2021)",
    .run = run};
REGISTER(experiment, OWN)

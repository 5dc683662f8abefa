/* How far one gets without any encoder. */
#include <math.h>

#include "base/str.h"
#include "probes/probing.h"
#include "tasks/probe.h"

static Floor *add(Probing *lab, const char *name, bool rule, int32_t *guess)
{
    Floor *f = &lab->floor[lab->floors++];
    *f = (Floor){.name = name, .rule = rule, .guess = guess};
    for (int s = 0; s < SPLITS; s++) f->accuracy[s] = rule_accuracy(&lab->set, guess, (Split)s);
    return f;
}

Status probing_floors(Probing *lab, Run *r)
{
    enum { COLUMNS = 2000 };
    Arena *a = &lab->arena;
    for (const Rule *rule = RULES; rule->name; rule++) {
        if (rule->task != TASKS && rule->task != lab->task) continue;
        int32_t *guess = NEW(a, int32_t, lab->set.n);
        TRY(rule->guess(guess, a, &lab->set));
        bool own = rule->task != TASKS;
        add(lab, own ? str_print(run_arena(r), "%s rule", rule->name) : rule->name, own, guess);
    }
    ProbeResult bag;
    TRY(probe_fit(&bag, a, probe_bag(a, &lab->set, NULL, COLUMNS), &lab->set, NULL, NULL));
    add(lab, "bag of words", false, bag.predicted);
    return OK;
}

const Floor *probing_best_rule(const Probing *lab)
{
    const Floor *best = &lab->floor[0];
    for (int k = 1; k < lab->floors; k++) {
        const Floor *f = &lab->floor[k];
        if (f->rule && (!best->rule || f->accuracy[SPLIT_VALID] > best->accuracy[SPLIT_VALID])) best = f;
    }
    return best;
}

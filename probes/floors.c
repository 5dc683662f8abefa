#include "probes/floors.h"

#include "base/str.h"
#include "probe/probe.h"

static void add(ProbeFloor *f, const Dataset *d, const char *name, bool rule, int32_t *guess)
{
    *f = (ProbeFloor){.name = name, .rule = rule, .guess = guess};
    for (int s = 0; s < SPLITS; s++) f->accuracy[s] = rule_accuracy(d, guess, (Split)s);
}

Status probe_floors(ProbeFloor out[MOST_FLOORS], int *n, Arena *a, Arena *names, const Dataset *d, ProbeTask task)
{
    enum { COLUMNS = 2000 };
    *n = 0;
    for (const Rule *rule = RULES; rule->name; rule++) {
        if (rule->task != TASKS && rule->task != task) continue;
        int32_t *guess = NEW(a, int32_t, d->n);
        TRY(rule->guess(guess, a, d));
        bool own = rule->task != TASKS;
        CHECK(*n < MOST_FLOORS - 1, "more than %d baselines", MOST_FLOORS);
        add(&out[(*n)++], d, own ? str_print(names, "%s rule", rule->name) : rule->name, own, guess);
    }
    ProbeResult bag;
    TRY(probe_fit(&bag, a, probe_bag(a, d, NULL, COLUMNS), d, NULL, NULL));
    add(&out[(*n)++], d, "bag of words", false, bag.predicted);
    return OK;
}

const ProbeFloor *probe_best_rule(const ProbeFloor *floor, int n)
{
    const ProbeFloor *best = floor;
    for (int k = 1; k < n; k++) {
        const ProbeFloor *f = &floor[k];
        if (f->rule && (!best->rule || f->accuracy[SPLIT_VALID] > best->accuracy[SPLIT_VALID])) best = f;
    }
    return best;
}

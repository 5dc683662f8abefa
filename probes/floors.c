/* Each baseline predicts the test rows of a set, and the best rule is what a probe has to beat. */
#include "probes/floors.h"

#include <string.h>

#include "base/rng.h"
#include "base/str.h"
#include "probe/probe.h"
#include "tasks/cmg.h"

enum { BAG_COLUMNS = 2000 };

static void add(ProbeFloor *f, const Dataset *d, const char *name, bool rule, int32_t *guess)
{
    *f = (ProbeFloor){.name = name, .rule = rule, .guess = guess};
    for (int s = 0; s < SPLITS; s++) f->accuracy[s] = rule_accuracy(d, guess, (Split)s);
}

Status probe_floors(ProbeFloor out[MOST_FLOORS], int *n, Arena *a, Arena *names, const Dataset *d, ProbeTask task)
{
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
    TRY(probe_fit(&bag, a, probe_bag(a, d, NULL, BAG_COLUMNS), d, NULL, NULL));
    add(&out[(*n)++], d, "bag of words", false, bag.predicted);
    return OK;
}

/* Each rule's guess as a column for each label. */
static Tensor guesses(Arena *a, const Dataset *d, const ProbeFloor *floor, int floors)
{
    int64_t c = d->n_labels, columns = c * floors;
    Tensor x = tensor_zero(a, F64, SHAPE(d->n, columns));
    for (int k = 0; k < floors; k++)
        for (int64_t i = 0; floor[k].rule && i < d->n; i++) tensor_set(x, i * columns + k * c + floor[k].guess[i], 1);
    return x;
}

Status probe_known(ProbeKnown *out, Arena *a, const Dataset *d, const ProbeFloor *floor, int floors)
{
    TRY(beyond_fit(&out->rules, a, NULL, guesses(a, d, floor, floors), d, true));
    return beyond_fit(&out->words, a, &out->rules.logit, probe_bag(a, d, NULL, BAG_COLUMNS), d, true);
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

static Bytes message_of(const CodeChange *c)
{
    return (Bytes){(char *)(uintptr_t)c->message, strlen(c->message)};
}

Status message_floor(double metric[MESSAGE_METRICS], Interval *ci95, const MessageFloor *f)
{
    Arena a = arena_open(0);
    int64_t *index = NEW(&a, int64_t, f->m), common = f->nearest ? 0 : cmg_commonest(f->n, f->train);
    Bytes *message = NEW(&a, Bytes, f->m), *own = NEW(&a, Bytes, f->m);
    MessageRows rows;
    Status s = f->nearest ? cmg_nearest(index, &a, f->n, f->train, f->m, f->test) : OK;
    for (int64_t i = 0; i < f->m && !s; i++) {
        message[i] = message_of(&f->train[f->nearest ? index[i] : common]);
        own[i] = message_of(&f->test[i]);
        index[i] = i;
    }
    if (!s) {
        const Bootstrap how = {.draws = 500, .stream = rng_stream(1, "messages")};
        messages_score(&rows, &a, f->m, message, own, NULL, NULL);
        messages_stats(metric, index, f->m, &rows);
        if (ci95) stats_bootstrap_all(ci95, MESSAGE_METRICS, f->m, messages_stats, &rows, &how);
    }
    arena_close(&a);
    return s;
}

/* A probing set from start to end: a pool is read, the task's recipe fills the splits, the rows are shuffled. */
#include "probe/make.h"

#include <string.h>

#include "base/rng.h"
#include "probe/pool.h"

static const char *const LABELS[TASKS][2] = {
    [TASK_TYP] = {"FAULT", "ORIG"}, [TASK_CCM] = {"False", "True"}, [TASK_LTP] = {"add", "del"}};

/* Splits in order, the rows of each in random order. */
static void shuffle(Dataset *d, Arena *a, uint64_t stream)
{
    int32_t *order = arena_take(a, sizeof *order * (size_t)(d->n + 1));
    Example *out = arena_take(a, sizeof *out * (size_t)(d->n + 1));
    int64_t n = 0;
    for (int64_t i = 0; i < d->n; i++) order[i] = (int32_t)i;
    rng_shuffle(stream, d->n, order);
    for (int s = 0; s < SPLITS; s++)
        for (int64_t i = 0; i < d->n; i++)
            if (d->example[order[i]].split == (Split)s) out[n++] = d->example[order[i]];
    d->example = out;
}

MakeOptions make_invented(ProbeTask task, int64_t rows, uint64_t seed)
{
    int64_t part = 2 * (rows / 10), rest = 2 * ((rows - 2 * part) / 2);
    return (MakeOptions){.task = task,
                         .generated = MAKE_CHANGES_A_ROW * (rest + 2 * part),
                         .difficulty = 1,
                         .balance = task == TASK_LTP,
                         .size = {rest, part, part},
                         .max_chars = 2000,
                         .seed = seed};
}

Status make_probe(Dataset *out, Arena *a, const MakeOptions *o, MakeStats *stats)
{
    static Status (*const RECIPE[TASKS])(Maker *, const ChangePool *) = {make_typ, make_ccm, make_ltp};
    ChangePool pool;
    int64_t rows = o->size[0] + o->size[1] + o->size[2];
    *stats = (MakeStats){0};
    *out = (Dataset){.name = TASK_NAMES[o->task], .n_labels = 2, .label = LABELS[o->task]};
    out->example = NEW(a, Example, rows + 1);
    Maker m = {a, o, stats, out, {o->size[0], o->size[1], o->size[2]}};
    TRY(pool_read(&pool, a, o, stats));
    TRY(RECIPE[o->task](&m, &pool));
    if (out->n < rows)
        return err_fail(
            E_MISMATCH,
            "%s%s: %lld of %lld rows can be made from %lld usable %s (of %lld read; %lld unfit, %lld "
            "without the order of lines, %lld repeated, "
            "%lld %s, %lld without a partner); more --from files or smaller --sizes are needed%s",
            o->n_from ? o->from[0] : "generated changes", o->n_from > 1 ? " and others" : "", (long long)out->n,
            (long long)rows, (long long)pool.n, str_plural(pool.n, "change", "changes"), (long long)stats->read,
            (long long)stats->unfit, (long long)stats->unordered, (long long)stats->repeated, (long long)stats->near,
            str_plural(stats->near, "near-duplicate", "near-duplicates"), (long long)stats->unpaired,
            !stats->unfit         ? ""
            : o->task == TASK_TYP ? "; unfit for typ is all but one whole Java method within --max-chars: "
                                    "vernier data mine --lang java --context 1000"
                                  : "; unfit is a change without lines, or beyond --max-chars");
    shuffle(out, a, rng_stream(o->seed, "make/rows"));
    dataset_count(out, a);
    return OK;
}

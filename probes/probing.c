/* The order of a probing experiment; the parts are in the files beside. */
#include "probes/probing.h"

#include <math.h>

Status probing_run(Run *r, ProbeTask task)
{
    Probing lab = {.task = task, .arena = arena_open((size_t)1 << 36), .seeds = run_seeds(r)};
    const char *mode = run_text(r, "mode");
    lab.wanted[CORRECT] = mode[0] != 'k';
    lab.wanted[COMPAT] = mode[0] != 'c';
    Status s = probing_texts(&lab, r);
    if (!s) s = probe_floors(lab.floor, &lab.floors, &lab.arena, run_arena(r), &lab.set, task);
    Outcomes all = {&lab, NULL};
    size_t size = outcome_size(&lab);
    if (!s) {
        all.all = arena_zero(&lab.arena, size * (size_t)probing_arms(&lab));
        s = run_parallel(r, probing_arms(&lab), size, probing_arm, &lab, all.all);
    }
    if (!s) s = probing_figures(r, all);
    if (!s) s = probing_report(r, all);
    tokenizer_close(&lab.tokenizer);
    arena_close(&lab.arena);
    return s;
}

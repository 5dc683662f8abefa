/* The order of a probing experiment; its steps are in the other files of this directory. */
#include "probes/probing.h"
#include "probes/shape.h"

#include <math.h>

/* The bag of words stays the last. */
static Status add_overlap(Probing *lab)
{
    CHECK(lab->floors < MOST_FLOORS, "more than %d baselines", MOST_FLOORS);
    lab->floor[lab->floors] = lab->floor[lab->floors - 1];
    return table_overlap(&lab->floor[lab->floors++ - 1], lab);
}

/* Runs a probing task: reads its data, computes baselines, probes every encoder, and reports. */
Status probing_run(Run *r, ProbeTask task)
{
    Probing lab = {.task = task, .arena = arena_open((size_t)1 << 36), .seeds = run_seeds(r)};
    const char *mode = run_text(r, "mode");
    lab.wanted[CORRECT] = mode[0] != 'k';
    lab.wanted[COMPAT] = mode[0] != 'c';
    Status s = probing_texts(&lab, r);
    lab.wanted[FIRST_TOKEN] = lab.wanted[CORRECT] && (lab.pooling != FEATURE_FIRST || lab.part[0]);
    if (!s) s = probe_floors(lab.floor, &lab.floors, &lab.arena, run_arena(r), &lab.set, task);
    if (!s && lab.second) s = add_overlap(&lab);
    if (!s) s = probe_known(&lab.known, &lab.arena, &lab.set, lab.floor, lab.floors);
    if (!s) lab.seen = NEW(&lab.arena, bool, lab.set.n);
    if (!s && task == TASKS) table_seen(lab.seen, &lab);
    if (!s && task != TASKS) text_seen(lab.seen, task, &lab.set);
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

/* clang-format off */
const Setting PROBING_SETTINGS[] = {
    {"data", "a file of split, label, text rows; empty: synthetic rows", {"", NULL, NULL}, .reads = "*"},
    {"text-column", "with --task own: the column of the table that has the text", {"", NULL, NULL}},
    {"label-column", "with --task own: the column of the label", {"", NULL, NULL}},
    {"pair-column", "with --task own: the column of a second text", {"", NULL, NULL}},
    {"span-column", "with --task own: the column of a span of the text, its words or FROM:TO in characters",
     {"", NULL, NULL}},
    PROBING_SHAPE,
    {"classifier", "the probe on the features of a layer", {"logistic", NULL, NULL},
     .among = "logistic|mlp|centroid|karmakar-compat"},
    {"export", "write the features of the model to features/, a NumPy array for each layer", {"no", NULL, NULL}},
    {"mode", "the protocol", {"correct", NULL, NULL}, .among = "correct|karmakar-compat|both"},
    {"controls", "random labellings of the control task", {"1", "3", "5"}, 1, 100},
    {"shuffles", "orders of the online code", {"1", "1", "5"}, 1, 100},
    {"examples", "synthetic rows, 60/20/20 %", {"100", "1000", "1000"}, 40, 1e6},
    {"recipe", "of synthetic rows: clean (no shortcut helps), or study (as published)", {"clean", NULL, NULL},
     .among = "clean|study"},
    {"data-seed", "seed of the synthetic rows", {"1", NULL, NULL}, 0, 1e9},
    {"steps", "steps of masked-language modelling", {"8", "400", "4000"}, 1, 1e7},
    {"batch-tokens", "tokens a step", {"512", "2048", "8192"}, 64, 1e6},
    {"lr", "peak learning rate", {"1e-3", "1e-3", "5e-4"}, 1e-7, 1},
    {0}};
/* clang-format on */

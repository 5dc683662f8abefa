/* From a list of experiments and the user's options to finished run directories, printed results and, for several
 * experiments, one report. */
#ifndef CLI_LAUNCH_H
#define CLI_LAUNCH_H

#include "cli/command.h"
#include "run/run.h"

/* The rows that every launching command has in its table of options; `out` is the help text of --out. */
#define LAUNCH_OPTIONS(out)                                                                                          \
    {"preset", "NAME",                                                                                               \
     "smoke (seconds), quick (a minute or two; the default), paper (published numbers); of probes/study also real"}, \
        {"seeds", "N", "number of seeds; default: the experiment's own for the preset"},                             \
        {"seed", "S", "the first seed; default 1"},                                                                  \
        {"set", "KEY=VALUE",                                                                                         \
         "change a setting; may be repeated.  --KEY VALUE does the same.  --help after an experiment's name shows "  \
         "its settings"},                                                                                            \
        {"out", "DIR", out},                                                                                         \
        {"resume", NULL, "continue an interrupted run of the same settings; this is also the default"},              \
        {"overwrite", NULL, "start anew; the old result is replaced when the new one is complete"},                  \
        {"log", "FORM", "tensorboard: also the logs as event files, DIR/tensorboard, each job a run of its own"},    \
        {"json", NULL, "print results.json in place of the table"},                                                  \
        {"gate", NULL, "exit 1 unless every claim is supported"},                                                    \
    {                                                                                                                \
        0                                                                                                            \
    }
#define LAUNCH_CHOICES                                                                                               \
    {"preset", "smoke|quick|paper|real"},                                                                            \
    {                                                                                                                \
        "log", "tensorboard"                                                                                         \
    }
#define OUT_OF_RUNS                                                                                                  \
    "the run directory; default: runs/GROUP/NAME/HASH, where HASH depends on the settings, and the link "            \
    "runs/GROUP/NAME/latest leads to the newest.  With several experiments, the directory that holds all of their "  \
    "GROUP/NAME/HASH; default: runs"

const char *experiment_name(Arena *, const Experiment *); /* "group/name" */

/* The seconds of a preset as the experiment declares them in words, "quick half a minute"; a minute where it does
 * not. */
double launch_cost(const Experiment *, Preset);
/* The seconds left, where work of declared cost `done` took `spent` seconds and work of cost `left` remains. */
double launch_left(double spent, double done, double left);

Status launch_check(const Args *, const Experiment **list); /* would the options be accepted? */
/* Runs the NULL-ended list in order.  A single one writes to --out, by default `otherwise`/GROUP/NAME/HASH.  Several,
 * or any number with `page`, write to PARENT/GROUP/NAME/HASH, where PARENT is --out, by default `otherwise`, and one
 * report is written next to them. */
Status launch_all(const Args *, const Experiment **list, const char *otherwise, bool page);

#endif

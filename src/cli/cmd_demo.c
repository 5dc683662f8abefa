/* vernier demo: one experiment of each kind on embedded data, in minutes; `make run` calls it. */
#include <string.h>

#include "cli/launch.h"

/* One experiment of each kind, in the order in which their pages are best read. */
static const char *const DEMO[] = {"theory/one-token", "theory/prefix-bias", "toy/e1", "probes/typ", "probes/study"};
enum { DEMOS = sizeof DEMO / sizeof *DEMO };

static const Experiment *find(Arena *a, const char *name)
{
    for (const Experiment *const *e = experiment_begin(); e < experiment_end(); e++)
        if (!strcmp(experiment_name(a, *e), name)) return *e;
    err_die(__FILE__, __LINE__, "the demonstration names %s, which is not registered", name);
}

static Status demo(const Args *a)
{
    const Experiment *list[DEMOS + 1] = {0};
    for (int i = 0; i < DEMOS; i++) list[i] = find(args_arena(a), DEMO[i]);
    return launch_all(a, list, "out", true);
}

static const Option OPTIONS[] = {LAUNCH_OPTIONS("where report.html and the run directories go; default out")};
static const Choice CHOICES[] = {LAUNCH_CHOICES, {0}};
static const Command DEMO_COMMAND = {
    .name = "demo",
    .summary = "run five experiments on embedded data and write out/report.html",
    .usage = "[options]",
    .about = "Runs two theorems, a toy experiment, a probe and the study of tuning on embedded data, with "
             "progress, and writes report.html with the figures next to it.",
    .example = "vernier demo --out out",
    .options = OPTIONS,
    .choices = CHOICES,
    .settings = true,
    .run = demo};
REGISTER(command, DEMO_COMMAND)

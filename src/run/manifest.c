/* The members that an experiment adds to the manifest of its directory (folder.h): all that is needed to run it again
 * and to trust that it was this.  It is written when a run starts (status "running") and again when it ends.
 * Everything that differs between two identical runs (times, memory) sits in objects of its own. */
#include "base/clock.h"
#include "run/run.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "io/json.h"
#include "num/kernels.h"
#include "run/machine.h"

#ifndef VERNIER_VERSION
#define VERNIER_VERSION "unknown"
#endif
#ifndef VERNIER_FLAGS
#define VERNIER_FLAGS "flags unknown"
#endif

const char *vernier_version(void)
{
    return VERNIER_VERSION;
}

const char *vernier_build(void)
{
#ifdef __clang__
    return __VERSION__ ", " VERNIER_FLAGS; /* "Clang 14.0.6 ..." */
#else
    return "gcc " __VERSION__ ", " VERNIER_FLAGS;
#endif
}

/* A setting keeps its type: numbers and flags are not strings. */
static void add_setting(cJSON *config, const Setting *s, const char *value)
{
    Form form = setting_form(s);
    if (form == FORM_INT || form == FORM_REAL)
        cJSON_AddRawToObject(config, s->key, value); /* digits as given: no bit of a large integer is lost */
    else if (form == FORM_FLAG)
        cJSON_AddBoolToObject(config, s->key, !strcmp(value, "yes"));
    else
        cJSON_AddStringToObject(config, s->key, value);
}

/* Adds the input files with their hashes, and the parameter counts of each model. */
static void add_inputs(cJSON *root, const Run *r)
{
    cJSON *list = cJSON_AddArrayToObject(root, "inputs");
    for (const Note *n = r->inputs; n; n = n->next) {
        cJSON *one = cJSON_CreateObject();
        cJSON_AddStringToObject(one, "path", n->text);
        cJSON_AddStringToObject(one, "sha256", n->more);
        cJSON_AddItemToArray(list, one);
    }
    cJSON *params = cJSON_AddObjectToObject(root, "parameters");
    for (const Note *n = r->params; n; n = n->next) {
        cJSON *one = cJSON_AddObjectToObject(params, n->text);
        cJSON_AddNumberToObject(one, "total", (double)n->total);
        cJSON_AddNumberToObject(one, "trainable", (double)n->trainable);
    }
}

/* This process, and the largest of its jobs: they share pages, so a sum would count those twice. */
static void add_usage(cJSON *root, const Run *r)
{
    struct rusage self;
    getrusage(RUSAGE_SELF, &self);
    cJSON *memory = cJSON_AddObjectToObject(root, "memory");
    cJSON_AddNumberToObject(memory, "peak_bytes", 1024.0 * (double)self.ru_maxrss);
    cJSON_AddNumberToObject(memory, "largest_job_bytes", r->job_peak);
    cJSON *time = cJSON_AddObjectToObject(root, "time");
    cJSON_AddStringToObject(time, "start", r->when[0]);
    if (r->when[1][0]) cJSON_AddStringToObject(time, "end", r->when[1]);
    cJSON_AddNumberToObject(time, "wall_seconds", clock_now() - r->progress.started);
    cJSON_AddNumberToObject(time, "cpu_seconds", machine_rusage_seconds(&self) - r->cpu_started + r->job_cpu);
}

const char *manifest_program_id(Arena *a)
{
    struct stat st = {0};
    stat("/proc/self/exe", &st);
    return str_print(a, "%s %lld %lld.%09ld", vernier_version(), (long long)st.st_size, (long long)st.st_mtim.tv_sec,
                     st.st_mtim.tv_nsec);
}

/* The settings, each with its type. */
static void add_question(cJSON *root, Run *r)
{
    const Experiment *e = r->experiment;
    cJSON_AddStringToObject(root, "experiment", str_print(&r->arena, "%s/%s", e->group, e->name));
    cJSON_AddStringToObject(root, "preset", preset_name(r->preset));
    cJSON_AddRawToObject(root, "seed", str_print(&r->arena, "%llu", (unsigned long long)r->seed));
    cJSON_AddNumberToObject(root, "seeds", r->seeds);
    cJSON *config = cJSON_AddObjectToObject(root, "config");
    for (int i = 0; e->settings && e->settings[i].key; i++) add_setting(config, e->settings + i, r->value[i]);
}

cJSON *manifest_of(Run *r)
{
    cJSON *root = cJSON_CreateObject();
    add_question(root, r);
    cJSON_AddStringToObject(root, "rng", "philox4x32-10");
    add_inputs(root, r);
    cJSON *machine = cJSON_AddObjectToObject(root, "machine");
    cJSON_AddStringToObject(machine, "cpu", machine_cpu_model(&r->arena));
    cJSON_AddNumberToObject(machine, "threads", r->threads);
    cJSON_AddStringToObject(machine, "kernels", kernels_name());
    add_usage(root, r);
    return root;
}

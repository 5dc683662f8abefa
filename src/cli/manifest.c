/* manifest.json: what would be needed to run this again and to trust that it was this.  It is written when a
 * run starts (status "running") and again when it ends.  Everything that differs between two identical runs
 * (times, memory) sits in objects of its own, so that the rest can be compared byte by byte. */
#include "cli/run.h"

#include <string.h>
#include <sys/resource.h>

#include <cjson/cJSON.h>

#include "base/file.h"
#include "cli/sha256.h"
#include "num/kernels.h"

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
    return "gcc " __VERSION__ ", " VERNIER_FLAGS;
}

const char *cpu_model(Arena *a)
{
    Bytes info;
    if (file_read(&info, a, "/proc/cpuinfo")) {
        err_clear();
        return "unknown";
    }
    const char *line = strstr(info.text, "model name"), *colon = line ? strchr(line, ':') : NULL;
    if (!colon) return "unknown";
    colon += 1 + strspn(colon + 1, " ");
    return str_copy(a, colon, strcspn(colon, "\n"));
}

Status run_input(Run *r, const char *path)
{
    Sha256Hex hash;
    TRY(sha256_file(&hash, path));
    Note **n = &r->inputs;
    while (*n) n = &(*n)->next;
    *n = NEW(&r->arena, Note, 1);
    (*n)->text = str_copy(&r->arena, path, strlen(path));
    (*n)->more = str_copy(&r->arena, hash.hex, sizeof hash.hex - 1);
    return OK;
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

static double seconds(struct timeval t)
{
    return (double)t.tv_sec + 1e-6 * (double)t.tv_usec;
}

/* The peak of the children is that of the largest one, not their sum: that is what the system keeps. */
static void add_usage(cJSON *root, const Run *r)
{
    struct rusage self, children;
    getrusage(RUSAGE_SELF, &self);
    getrusage(RUSAGE_CHILDREN, &children);
    cJSON *memory = cJSON_AddObjectToObject(root, "memory");
    cJSON_AddNumberToObject(memory, "peak_bytes", 1024.0 * (double)self.ru_maxrss);
    cJSON_AddNumberToObject(memory, "largest_job_bytes", 1024.0 * (double)children.ru_maxrss);
    cJSON *time = cJSON_AddObjectToObject(root, "time");
    cJSON_AddStringToObject(time, "start", r->when[0]);
    if (r->when[1][0]) cJSON_AddStringToObject(time, "end", r->when[1]);
    cJSON_AddNumberToObject(time, "wall_seconds", clock_now() - r->started);
    cJSON_AddNumberToObject(time, "cpu_seconds",
                            seconds(self.ru_utime) + seconds(self.ru_stime) + seconds(children.ru_utime) +
                                seconds(children.ru_stime));
}

Status manifest_write(Run *r, const char *status, const char *message)
{
    const Experiment *e = r->experiment;
    cJSON *root = cJSON_CreateObject(), *tool = cJSON_AddObjectToObject(root, "tool");
    cJSON_AddStringToObject(tool, "version", vernier_version());
    cJSON_AddStringToObject(tool, "build", vernier_build());
    cJSON_AddStringToObject(root, "experiment", str_print(&r->arena, "%s/%s", e->group, e->name));
    cJSON_AddStringToObject(root, "status", status);
    if (message) cJSON_AddStringToObject(root, "message", message);
    cJSON_AddStringToObject(root, "preset", preset_name(r->preset));
    cJSON_AddRawToObject(root, "seed", str_print(&r->arena, "%llu", (unsigned long long)r->seed));
    cJSON_AddNumberToObject(root, "seeds", r->seeds);
    cJSON_AddStringToObject(root, "rng", "philox4x32-10");
    cJSON *config = cJSON_AddObjectToObject(root, "config");
    for (int i = 0; e->settings && e->settings[i].key; i++) add_setting(config, e->settings + i, r->value[i]);
    add_inputs(root, r);
    cJSON *machine = cJSON_AddObjectToObject(root, "machine");
    cJSON_AddStringToObject(machine, "cpu", cpu_model(&r->arena));
    cJSON_AddNumberToObject(machine, "threads", r->threads);
    cJSON_AddStringToObject(machine, "kernels", kernels_name());
    add_usage(root, r);
    char *text = cJSON_Print(root);
    Status wrote = file_write(run_path(r, "manifest.json"), text, strlen(text));
    cJSON_free(text);
    cJSON_Delete(root);
    return wrote;
}

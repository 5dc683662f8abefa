/* Settings are those that decide the directory (folder.h), and the resolved ones of a tuning ("config"), which has
 * its defaults.  A setting that names a file counts by its content and is shown by its path (options.json). */
#include "run/result.h"

#include <math.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/json.h"
#include "run/found.h"

static const cJSON *member(const cJSON *o, const char *key)
{
    return cJSON_IsObject(o) ? cJSON_GetObjectItemCaseSensitive(o, key) : NULL;
}

static double number(const cJSON *o, const char *key)
{
    const cJSON *x = member(o, key);
    return cJSON_IsNumber(x) ? x->valuedouble : (double)NAN;
}

static const char *text(Arena *a, const cJSON *o, const char *key)
{
    const char *s = cJSON_IsObject(o) ? json_text_in(o, key) : NULL;
    return s ? str_copy(a, s, strlen(s)) : "";
}

/* ---- metrics */

static void take_metric(RunMetric *m, Arena *a, const cJSON *o)
{
    const cJSON *x, *pair = member(o, "ci95"), *lo = cJSON_GetArrayItem(pair, 0), *hi = cJSON_GetArrayItem(pair, 1);
    const cJSON *values = member(o, "values");
    *m = (RunMetric){
        .name = str_copy(a, o->string, strlen(o->string)), .mean = number(o, "mean"), .sd = number(o, "sd")};
    m->value = NEW(a, double, cJSON_GetArraySize(values) + 1);
    cJSON_ArrayForEach(x, values) m->value[m->n++] = cJSON_IsNumber(x) ? x->valuedouble : (double)NAN;
    m->ci95 = (Interval){cJSON_IsNumber(lo) ? lo->valuedouble : (double)NAN,
                         cJSON_IsNumber(hi) ? hi->valuedouble : (double)NAN};
}

static void take_results(RunResult *r, Arena *a, const cJSON *root)
{
    const cJSON *x, *metrics = member(root, "metrics"), *seeds = member(root, "seeds");
    r->experiment = text(a, root, "experiment");
    r->title = text(a, root, "title");
    r->status = text(a, root, "status");
    r->sentence = text(a, root, "sentence");
    r->verdict = text(a, root, "verdict");
    r->metric = NEW(a, RunMetric, cJSON_GetArraySize(metrics) + 1);
    r->seed = NEW(a, double, cJSON_GetArraySize(seeds) + 1);
    if (cJSON_IsObject(metrics)) cJSON_ArrayForEach(x, metrics) take_metric(&r->metric[r->metrics++], a, x);
    if (cJSON_IsArray(seeds))
        cJSON_ArrayForEach(x, seeds) r->seed[r->seeds++] = cJSON_IsNumber(x) ? x->valuedouble : (double)NAN;
}

/* ---- settings */

static const char *value_text(Arena *a, const cJSON *x)
{
    if (cJSON_IsString(x)) return str_copy(a, x->valuestring, strlen(x->valuestring));
    if (cJSON_IsNumber(x)) return str_print(a, "%.15g", x->valuedouble);
    return cJSON_IsBool(x) ? cJSON_IsTrue(x) ? "yes" : "no" : "";
}

static void set(RunResult *r, Arena *a, const char *key, const char *value, const char *hash)
{
    for (int i = 0; i < r->sets; i++)
        if (!strcmp(r->set[i].key, key)) return;
    r->hash[r->sets] = hash;
    r->set[r->sets++] = (KeyValue){str_copy(a, key, strlen(key)), value};
}

static void take_given(RunResult *r, Arena *a, const cJSON *x, const cJSON *options)
{
    const char *value = value_text(a, x), *path = cJSON_GetStringValue(member(options, x->string));
    if (str_glob("kernels|program|log", x->string)) return; /* of the machine, and of files beside */
    if (strncmp(value, FOLDER_CONTENT, strlen(FOLDER_CONTENT)) != 0)
        set(r, a, x->string, value, NULL);
    else
        set(r, a, x->string, path ? str_copy(a, path, strlen(path)) : value, value + strlen(FOLDER_CONTENT));
}

/* Resolved settings come first: 0.001 and not 1e-3 as it was typed. */
static void take_settings(RunResult *r, Arena *a, const cJSON *manifest, const cJSON *options)
{
    const cJSON *x, *given = member(manifest, "settings"), *resolved = member(manifest, "config");
    const int most = cJSON_GetArraySize(given) + cJSON_GetArraySize(resolved) + 1;
    r->set = NEW(a, KeyValue, most);
    r->hash = NEW(a, const char *, most);
    if (cJSON_IsObject(resolved)) cJSON_ArrayForEach(x, resolved) set(r, a, x->string, value_text(a, x), NULL);
    if (cJSON_IsObject(given)) cJSON_ArrayForEach(x, given) take_given(r, a, x, options);
    if (!isnan(number(manifest, "seed"))) set(r, a, "seed", str_print(a, "%.0f", number(manifest, "seed")), NULL);
}

/* ---- cost */

/* The sum over several models, as of an experiment that compares them, would mean nothing: the first one's. */
static void take_cost(RunResult *r, const cJSON *manifest)
{
    const cJSON *list = member(manifest, "parameters"), *one = cJSON_IsObject(list) ? list->child : NULL, *x;
    const cJSON *files = member(manifest, "files");
    r->total = number(one, "total");
    r->trainable = number(one, "trainable");
    r->seconds = number(member(manifest, "time"), "wall_seconds");
    r->cpu_seconds = number(member(manifest, "time"), "cpu_seconds");
    r->peak = number(member(manifest, "memory"), "peak_bytes");
    if (!cJSON_IsArray(files)) return;
    cJSON_ArrayForEach(x, files)
    {
        const double bytes = number(x, "bytes");
        r->files++;
        r->bytes += isnan(bytes) ? 0 : bytes;
    }
}

static Status read_object(cJSON **root, Arena *a, const char *path)
{
    TRY(json_read(root, a, path));
    if (cJSON_IsObject(*root)) return OK;
    cJSON_Delete(*root);
    return err_fail(E_FORMAT, "%s: expected a JSON object as vernier writes it", path);
}

Status result_read(RunResult *r, Arena *a, const char *dir)
{
    cJSON *root, *options = NULL;
    struct stat st;
    const char *path = str_print(a, "%s/manifest.json", dir), *more = str_print(a, "%s/options.json", dir);
    *r = (RunResult){.dir = dir};
    TRY(read_object(&root, a, str_print(a, "%s/results.json", dir)));
    take_results(r, a, root);
    cJSON_Delete(root);
    if (!access(more, F_OK)) TRY(read_object(&options, a, more));
    Status status = read_object(&root, a, path);
    if (!status) {
        r->command = text(a, root, "command");
        r->version = text(a, member(root, "tool"), "version");
        take_settings(r, a, root, options);
        take_cost(r, root);
        if (!stat(path, &st)) r->when = st.st_mtim.tv_sec;
        cJSON_Delete(root);
    }
    cJSON_Delete(options);
    return status;
}

const RunMetric *result_metric(const RunResult *r, const char *name)
{
    for (int i = 0; i < r->metrics; i++)
        if (!strcmp(r->metric[i].name, name)) return &r->metric[i];
    return NULL;
}

static int setting_at(const RunResult *r, const char *key)
{
    for (int i = 0; i < r->sets; i++)
        if (!strcmp(r->set[i].key, key)) return i;
    return -1;
}

const char *result_setting(const RunResult *r, const char *key)
{
    const int i = setting_at(r, key);
    return i < 0 ? NULL : r->set[i].value;
}

const char *result_setting_text(const RunResult *r, Arena *a, const char *key)
{
    const int i = setting_at(r, key);
    if (i < 0) return "";
    return r->hash[i] ? str_print(a, "%s (%.8s)", r->set[i].value, r->hash[i]) : r->set[i].value;
}

bool results_share(const RunResult *r, const RunResult *q, const char *key)
{
    const int i = setting_at(r, key), k = setting_at(q, key);
    if (i < 0 || k < 0) return false;
    const bool files = r->hash[i] && q->hash[k];
    return !strcmp(files ? r->hash[i] : r->set[i].value, files ? q->hash[k] : q->set[k].value);
}

const char *metric_like(Arena *a, int n, const char *const *name, const char *by)
{
    const char *exact = str_print(a, "%s|validation: %s|measures: %s", by, by, by), *only = NULL;
    for (int i = 0; i < n; i++)
        if (str_glob(exact, name[i])) return name[i];
    for (int i = 0; i < n; i++) {
        if (!strstr(name[i], by)) continue;
        if (only) return NULL;
        only = name[i];
    }
    return only;
}

const char *metric_first(int n, const char *const *name)
{
    static const char *const FIRST[] = {"validation: f1|measures: f1", "validation: perplexity", "validation: loss",
                                        "validation: *|measures: *"};
    for (int k = 0; k < 4; k++)
        for (int i = 0; i < n; i++)
            if (str_glob(FIRST[k], name[i])) return name[i];
    return NULL;
}

bool metric_is_low(const char *name)
{
    return str_glob("*loss*|*perplexity*|*error*|*nats*|*bits*|*drift*|*change*|*distance*|*seconds*", name);
}

/* ---- differences */

int results_differ(const char ***key, Arena *a, int n, const RunResult *run)
{
    int found = 0, room = 0;
    *key = NULL;
    for (int i = 0; i < n; i++)
        for (int k = 0; k < run[i].sets; k++) {
            bool old = false, differs = false;
            const char *name = run[i].set[k].key;
            for (int j = 0; j < found; j++) old |= !strcmp((*key)[j], name);
            for (int j = 0; j < n; j++) {
                if (strcmp(run[j].experiment, run[i].experiment) != 0) continue;
                differs |= !results_share(&run[j], &run[i], name);
            }
            if (old || !differs) continue;
            GROW(a, *key, found, room, 16);
            (*key)[found++] = name;
        }
    return found;
}

const char *result_label(Arena *a, const RunResult *r, int keys, const char *const *key)
{
    enum { SHOWN = 4, WIDE = 60 };
    Buf b = buf_open(a);
    int shown = 0, more = 0;
    for (int k = 0; k < keys; k++) {
        const char *value = result_setting_text(r, a, key[k]);
        if (!*value) continue;
        if (shown == SHOWN || strlen(value) > WIDE)
            more++;
        else
            buf_print(&b, "%s%s=%s", shown++ ? ", " : "", key[k], value);
    }
    if (more) buf_print(&b, "%s%d more", shown ? ", and " : "", more);
    return b.text;
}

/* A run: settings resolved and checked before anything starts, then handed out by key; the experiment's
 * results are kept in lists in the order of recording and written once at the end. */
#include "base/clock.h"
#include "run/run.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/hf_cache.h"
#include "num/kernels.h"
#include "run/logs.h"
#include "run/machine.h"
#include "run/signals.h"

/* E_CONFIG with the experiment's settings, and the one whose name is most similar. */
static Status unknown_key(Run *r, const char *key)
{
    const Experiment *e = r->experiment;
    Buf known = buf_open(&r->arena);
    int n = 0;
    for (const Setting *s = e->settings; s && s->key; s++) n++;
    const char **list = NEW(&r->arena, const char *, n + 1);
    for (int i = 0; i < n; i++) {
        list[i] = e->settings[i].key;
        buf_print(&known, "%s%s", i ? ", " : "", list[i]);
    }
    const char *near = str_nearest(key, list);
    if (!n) return err_fail(E_CONFIG, "%s/%s has no setting \"%s\"; it has none", e->group, e->name, key);
    return err_fail(E_CONFIG, "%s/%s has no setting \"%s\"%s%s%s; it has %s", e->group, e->name, key,
                    near ? " (did you mean " : "", near ? near : "", near ? "?)" : "", known.text);
}

/* The preset's values, then those that were set, each checked. */
static Status resolve(Run *r, const Request *q)
{
    const Setting *s = q->experiment->settings;
    int n = 0, index;
    if (!preset_offered(q->experiment, q->preset))
        return err_fail(E_CONFIG, "%s/%s has no preset %s; it has smoke, quick and paper", q->experiment->group,
                        q->experiment->name, preset_name(q->preset));
    while (s && s[n].key) n++;
    r->value = NEW(&r->arena, const char *, n + 1);
    for (int i = 0; i < n; i++) {
        r->value[i] = setting_value(s + i, q->preset);
        CHECK(r->value[i], "%s: setting %s has no default", q->experiment->name, s[i].key);
    }
    for (int i = 0; i < q->n_set; i++) {
        const Setting *one = run_setting(r, q->set[i].key, &index);
        const char *value = q->set[i].value;
        if (!one) return unknown_key(r, q->set[i].key);
        if (!value && setting_form(one) == FORM_FLAG) value = "yes";
        if (!value) return err_fail(E_CONFIG, "setting %s needs a value: --%s VALUE", one->key, one->key);
        r->value[index] = value;
    }
    for (int i = 0; i < n; i++) TRY(run_setting_check(s + i, r->value[i]));
    return OK;
}

/* ------------------------------------------------------------------------ life of a run */

static void stamp(char out[32])
{
    time_t now = time(NULL);
    struct tm utc;
    gmtime_r(&now, &utc);
    strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", &utc);
}

/* The path of a setting that names one, which may be a name of the hub; NULL: there is none.  The first of the files
 * that are read, "config.json|*", must be there. */
static Status find_input(const char **path, Run *r, const Setting *s, const char *value)
{
    const char *first = str_print(&r->arena, "/%.*s", (int)strcspn(s->reads, "|"), s->reads);
    *path = NULL;
    if (!*value || !strcmp(value, "none")) return OK;
    *path = value;
    bool hub = access(value, F_OK) && !strcmp(first, "/config.json");
    if (hub) TRY(hf_cache_find(path, &r->arena, value));
    if (!access(*path, F_OK)) return OK;
    return err_fail(E_IO, "%s%s: %s", *path, strpbrk(first, "*?") ? "" : first, strerror(errno));
}

Status run_check(const Request *q)
{
    Run r = {.arena = arena_open(1 << 20), .experiment = q->experiment};
    const Setting *set = q->experiment->settings;
    const char *path;
    Status status = resolve(&r, q);
    for (int i = 0; !status && set && set[i].key; i++)
        if (set[i].reads) status = find_input(&path, &r, set + i, r.value[i]);
    arena_close(&r.arena);
    return status;
}

/* A path counts by the content of its files. */
static Status add_input(Run *r, const Setting *s, const char *value)
{
    const char *path;
    TRY(find_input(&path, r, s, value));
    if (path) return folder_reads(&r->folder, s->key, path, s->reads);
    folder_set(&r->folder, s->key, "%s", value);
    return OK;
}

/* Numbers that are spelled otherwise are the same setting. */
static const char *plain(Arena *a, const Setting *s, const char *value)
{
    double x;
    int64_t i;
    if (setting_form(s) == FORM_INT && str_int(value, &i)) return str_print(a, "%lld", (long long)i);
    if (setting_form(s) != FORM_REAL || !str_real(value, &x)) return value;
    const char *short_one = str_print(a, "%.15g", x);
    double back;
    return str_real(short_one, &back) && back == x ? short_one : str_print(a, "%.17g", x);
}

/* All that decides the results, as far as a run knows beforehand. */
static Status name_folder(Run *r, const Request *q)
{
    const Experiment *e = r->experiment;
    const char *name = str_print(&r->arena, "%s/%s", e->group, e->name);
    Folder *f = &r->folder;
    *f = folder_begin(&r->arena, q->dir, str_print(&r->arena, "run %s", name));
    folder_set(f, "preset", "%s", preset_name(r->preset));
    folder_set(f, "seed", "%llu", (unsigned long long)r->seed);
    folder_set(f, "seeds", "%d", r->seeds);
    for (int i = 0; e->settings && e->settings[i].key; i++)
        if (e->settings[i].reads)
            TRY(add_input(r, e->settings + i, r->value[i]));
        else
            folder_set(f, e->settings[i].key, "%s", plain(&r->arena, e->settings + i, r->value[i]));
    if (q->tensorboard) folder_set(f, "log", LOGS_EVENTS);
    folder_set(f, "program", "%s", manifest_program_id(&r->arena));
    folder_set(f, "kernels", "%s", kernels_name());
    if (!f->dir) f->dir = str_print(&r->arena, "%s/%s/%s", q->below ? q->below : "runs", name, folder_hash(f));
    return OK;
}

static Status open_folder(Run *r, const Request *q)
{
    TRY(name_folder(r, q));
    TRY(folder_open(&r->folder, q->overwrite));
    r->dir = r->folder.path;
    if (r->folder.done) return OK;
    const char *log = run_path(r, "metrics.jsonl"); /* begun anew: jobs that are kept give their part again */
    r->log = open(log, O_WRONLY | O_CREAT | O_APPEND | O_TRUNC | O_CLOEXEC, 0666);
    if (r->log < 0) return folder_drop(&r->folder, err_fail(E_IO, "%s: %s", log, strerror(errno)));
    return folder_record(&r->folder, "running", NULL, manifest_of(r));
}

/* Creates a run: resolves its settings, then makes or resumes its directory. */
Status run_open(Run **out, const Request *q)
{
    const Experiment *e = q->experiment;
    Arena arena = arena_open(0);
    Run *r = NEW(&arena, Run, 1);
    *r = (Run){.experiment = e, .preset = q->preset, .seed = q->seed, .quiet = q->quiet, .listed = q->listed};
    r->tensorboard = q->tensorboard;
    r->arena = arena;
    r->progress = (Progress){str_print(&r->arena, "%s/%s", e->group, e->name), q->quiet, clock_now()};
    r->seeds = q->seeds ? q->seeds : e->seeds[q->preset] ? e->seeds[q->preset] : 1;
    r->threads = machine_threads();
    r->folder.lock = r->log = r->job = -1;
    r->cpu_started = machine_cpu_now();
    machine_forget_peak();
    stamp(r->when[0]);
    Status status = resolve(r, q);
    if (!status) status = open_folder(r, q);
    if (status) run_close(r);
    *out = status ? NULL : r;
    return status;
}

static bool is_bare(Run *r)
{
    struct stat log;
    bool empty = stat(run_path(r, "metrics.jsonl"), &log) || !log.st_size;
    return empty && !r->kept && !r->figures;
}

/* A fault that was found before any work was done leaves the directory as it was. */
static bool is_void(Run *r, Status status)
{
    bool input = status == E_CONFIG || status == E_FORMAT || status == E_MISMATCH || status == E_IO;
    return input && !r->listed && is_bare(r);
}

/* A run that is done will not be resumed. */
static void remove_checkpoints(Run *r)
{
    DIR *dir = opendir(run_path(r, "checkpoints"));
    if (!dir) return;
    for (struct dirent *e; (e = readdir(dir));)
        if (e->d_name[0] != '.') unlinkat(dirfd(dir), e->d_name, 0);
    closedir(dir);
    rmdir(run_path(r, "checkpoints"));
}

static Status end_folder(Run *r, Status status)
{
    if (is_void(r, status)) return folder_drop(&r->folder, status);
    Status wrote = results_write(r, status);
    if (!wrote) wrote = logs_csv(&r->arena, r->dir);
    if (!wrote && r->tensorboard) wrote = logs_events(&r->arena, r->dir);
    if (!status && !wrote) remove_checkpoints(r);
    if (status || wrote) return folder_leave(&r->folder, status ? status : wrote, manifest_of(r));
    TRY(folder_finish(&r->folder, manifest_of(r)));
    r->dir = r->folder.path;
    return OK;
}

/* The experiment's status is the run's, unless writing the results goes wrong first. */
Status run_go(Run *r)
{
    if (r->folder.done) return results_recall(r);
    signals_wait(1); /* an interrupted run records this in its files */
    machine_trap(true);
    Status status = r->experiment->run(r);
    machine_trap(false);
    progress_clear();
    CHECK(status || r->judged, "%s ended without a verdict", r->experiment->name);
    if (!status && r->log_error) status = err_fail(E_IO, "%s/metrics.jsonl: %s", r->dir, strerror(r->log_error));
    stamp(r->when[1]);
    status = end_folder(r, status);
    signals_wait(-1);
    return status;
}

/* The directory of a run that did not start is left as it is. */
void run_close(Run *r)
{
    if (r->log >= 0) close(r->log);
    folder_leave(&r->folder, E_INTERRUPT, NULL);
    Arena arena = r->arena;
    arena_close(&arena);
}

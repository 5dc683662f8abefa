/* A run: settings resolved and checked before anything starts, then handed out by key; what the experiment
 * finds is kept in lists in the order of recording and written once at the end. */
#include "cli/run.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"

const char *preset_name(Preset p)
{
    static const char *const name[] = {"smoke", "quick", "paper", "real"};
    return name[p];
}

const char *verdict_name(Verdict v)
{
    static const char *const name[] = {"holds", "fails", "inconclusive"};
    return name[v];
}

const char *setting_value(const Setting *s, Preset p)
{
    while (p > SMOKE && !s->value[p]) p = p == REAL_DATA ? QUICK : p - 1;
    return s->value[p];
}

bool preset_offered(const Experiment *e, Preset p)
{
    const Setting *s = e->settings;
    while (p == REAL_DATA && s && s->key && !s->value[REAL_DATA]) s++;
    return p != REAL_DATA || (s && s->key);
}

/* Calls `each` with the pieces between commas; an empty last piece ("8,") is none.  The count, or -1. */
static int pieces(const char *text, bool (*each)(const char *piece, int i, void *user), void *user)
{
    char piece[128];
    int n = 0;
    while (*text) {
        size_t len = strcspn(text, ",");
        if (len >= sizeof piece) return -1;
        memcpy(piece, text, len);
        piece[len] = 0;
        if (!each(piece, n++, user)) return -1;
        text += len + (text[len] == ',');
    }
    return n;
}

static bool is_number(const char *piece, int i, void *user)
{
    (void)user;
    double x;
    return i < RUN_LIST && str_real(piece, &x);
}

static Form form_of(const char *value)
{
    int64_t i;
    double x;
    if (str_int(value, &i)) return FORM_INT;
    if (str_real(value, &x)) return FORM_REAL;
    if (!strcmp(value, "yes") || !strcmp(value, "no")) return FORM_FLAG;
    return strchr(value, ',') && pieces(value, is_number, NULL) > 0 ? FORM_LIST : FORM_TEXT;
}

Form setting_form(const Setting *s)
{
    Form form = form_of(setting_value(s, SMOKE));
    for (Preset p = QUICK; p < PRESETS; p++) {
        Form other = form_of(setting_value(s, p));
        if (form == FORM_INT && (other == FORM_REAL || other == FORM_LIST)) form = other;
        if (form == FORM_REAL && other == FORM_LIST) form = other;
    }
    return form;
}

/* --------------------------------------------------------- checking what the user gave */

static bool in_range(const char *piece, int i, void *user)
{
    const Setting *s = user;
    double x;
    (void)i;
    return str_real(piece, &x) && ((s->least == 0 && s->most == 0) || (x >= s->least && x <= s->most));
}

static bool in_words(const char *piece, int i, void *user)
{
    const Setting *s = user;
    size_t n = strlen(piece);
    (void)i;
    for (const char *w = s->among; w; w = strchr(w, '|') ? strchr(w, '|') + 1 : NULL)
        if (strcspn(w, "|") == n && !strncmp(w, piece, n)) return true;
    return !strcmp(piece, "all");
}

Status run_setting_check(const Setting *s, const char *value)
{
    Form form = setting_form(s);
    int64_t i;
    double x;
    if (form == FORM_INT && !str_int(value, &i))
        return fail(E_CONFIG, "setting %s: \"%s\" is not an integer", s->key, value);
    if (form == FORM_REAL && !str_real(value, &x))
        return fail(E_CONFIG, "setting %s: \"%s\" is not a finite number", s->key, value);
    if (form == FORM_FLAG && strcmp(value, "yes") != 0 && strcmp(value, "no") != 0)
        return fail(E_CONFIG, "setting %s: \"%s\" is neither yes nor no", s->key, value);
    if (form == FORM_LIST && pieces(value, is_number, NULL) <= 0)
        return fail(E_CONFIG, "setting %s: \"%s\" is not a comma list of 1 to %d numbers", s->key, value, RUN_LIST);
    if (form <= FORM_REAL || form == FORM_LIST) {
        if (pieces(value, in_range, (void *)(uintptr_t)s) < 0)
            return fail(E_CONFIG, "setting %s: %s is out of range, expected %g to %g", s->key, value, s->least,
                        s->most);
    } else if (s->among && pieces(value, in_words, (void *)(uintptr_t)s) <= 0) {
        return fail(E_CONFIG, "setting %s: \"%s\" is not among %s", s->key, value, s->among);
    }
    return OK;
}

const Setting *run_setting(const Run *r, const char *key, int *index)
{
    const Setting *s = r->experiment->settings;
    for (int i = 0; s && s[i].key; i++) {
        if (strcmp(s[i].key, key) != 0) continue;
        *index = i;
        return s + i;
    }
    return NULL;
}

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
    if (!n) return fail(E_CONFIG, "%s/%s has no setting \"%s\"; it has none", e->group, e->name, key);
    return fail(E_CONFIG, "%s/%s has no setting \"%s\"%s%s%s; it has %s", e->group, e->name, key,
                near ? " (did you mean " : "", near ? near : "", near ? "?)" : "", known.text);
}

static Status resolve(Run *r, const Request *q)
{
    const Setting *s = q->experiment->settings;
    int n = 0, index;
    if (!preset_offered(q->experiment, q->preset))
        return fail(E_CONFIG, "%s/%s has no preset %s; it has smoke, quick and paper", q->experiment->group,
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
        if (!value) return fail(E_CONFIG, "setting %s needs a value: --%s VALUE", one->key, one->key);
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

/* Removes what an earlier run left below `name` and this one would not overwrite. */
static void sweep(Run *r, const char *name, const char *pattern)
{
    DIR *dir = opendir(run_path(r, "%s", name));
    if (!dir) return;
    for (struct dirent *e; (e = readdir(dir));)
        if (str_glob(pattern, e->d_name)) unlinkat(dirfd(dir), e->d_name, 0);
    closedir(dir);
}

static Status prepare_dir(Run *r)
{
    TRY(file_make_dir(r->dir));
    sweep(r, "figures", "*.svg|*.pdf|*.png");
    if (!r->resume) sweep(r, "jobs", "*.bin|*.jsonl");
    const char *log = run_path(r, "metrics.jsonl");
    unlink(run_path(r, "results.json")); /* of an earlier run: must not be taken for this one's */
    unlink(run_path(r, "results.csv"));
    int how = O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | (r->resume ? 0 : O_TRUNC);
    r->log = open(log, how, 0666);
    if (r->log < 0) return fail(E_IO, "%s: %s", log, strerror(errno));
    return manifest_write(r, "running", NULL);
}

Status run_check(const Request *q)
{
    Run r = {.arena = arena_open(1 << 20), .experiment = q->experiment};
    Status status = resolve(&r, q);
    arena_close(&r.arena);
    return status;
}

Status run_open(Run **out, const Request *q)
{
    const Experiment *e = q->experiment;
    Arena arena = arena_open(0);
    Run *r = NEW(&arena, Run, 1);
    *r = (Run){.experiment = e, .preset = q->preset, .seed = q->seed, .resume = q->resume, .quiet = q->quiet};
    r->arena = arena;
    r->seeds = q->seeds ? q->seeds : e->seeds[q->preset] ? e->seeds[q->preset] : 1;
    r->threads = cli_threads();
    r->dir = q->dir;
    r->log = r->job = -1;
    r->started = clock_now();
    r->cpu_started = cpu_now();
    memory_forget_peak();
    stamp(r->when[0]);
    Status status = resolve(r, q);
    r->finished = !status && r->resume && manifest_finished(r);
    if (!status && !r->finished) status = prepare_dir(r);
    if (status) run_close(r);
    *out = status ? NULL : r;
    return status;
}

/* The experiment's status is the run's, unless writing the results goes wrong first. */
Status run_go(Run *r)
{
    if (r->finished) return results_recall(r);
    signals_wait(1); /* an interrupted run says so in its files */
    cli_trap(true);
    Status status = r->experiment->run(r);
    cli_trap(false);
    progress_clear();
    CHECK(status || r->judged, "%s ended without a verdict", r->experiment->name);
    if (!status && r->log_error) status = fail(E_IO, "%s/metrics.jsonl: %s", r->dir, strerror(r->log_error));
    stamp(r->when[1]);
    Status wrote = results_write(r, status);
    const char *word = status == E_INTERRUPT ? "interrupted" : status ? "failed" : "done";
    if (!wrote) wrote = manifest_write(r, word, status ? err_message() : NULL);
    signals_wait(-1);
    return status ? status : wrote;
}

void run_close(Run *r)
{
    if (r->log >= 0) close(r->log);
    Arena arena = r->arena;
    arena_close(&arena);
}

/* ----------------------------------------------------------------------- what was asked */

static const char *value_of(const Run *r, const char *key, Form form)
{
    int i;
    const Setting *s = run_setting(r, key, &i);
    CHECK(s, "%s asks for setting \"%s\", which it does not declare", r->experiment->name, key);
    Form has = setting_form(s);
    bool fits = has == form || (form == FORM_REAL && has == FORM_INT) || form == FORM_TEXT ||
                (form == FORM_LIST && has <= FORM_REAL);
    CHECK(fits, "%s asks for setting \"%s\" in another form than its default's", r->experiment->name, key);
    return r->value[i];
}

Arena *run_arena(Run *r)
{
    return &r->arena;
}

Preset run_preset(const Run *r)
{
    return r->preset;
}

int64_t run_int(const Run *r, const char *key)
{
    int64_t x = 0;
    str_int(value_of(r, key, FORM_INT), &x);
    return x;
}

double run_real(const Run *r, const char *key)
{
    double x = 0;
    str_real(value_of(r, key, FORM_REAL), &x);
    return x;
}

bool run_flag(const Run *r, const char *key)
{
    return !strcmp(value_of(r, key, FORM_FLAG), "yes");
}

const char *run_text(const Run *r, const char *key)
{
    return value_of(r, key, FORM_TEXT);
}

static bool is_other(const char *piece, int i, void *user)
{
    (void)i;
    return strcmp(piece, user) != 0 && strcmp(piece, "all") != 0;
}

bool run_has(const Run *r, const char *key, const char *word)
{
    return pieces(value_of(r, key, FORM_TEXT), is_other, (void *)(uintptr_t)word) < 0;
}

static bool put_number(const char *piece, int i, void *user)
{
    double *out = user;
    return i < RUN_LIST && str_real(piece, out + i);
}

int run_list(const Run *r, const char *key, double out[RUN_LIST])
{
    return pieces(value_of(r, key, FORM_LIST), put_number, out);
}

int run_seeds(const Run *r)
{
    return r->seeds;
}

uint64_t run_seed(const Run *r, int i)
{
    CHECK(i >= 0 && i < r->seeds, "seed %d of %d", i, r->seeds);
    return r->seed + (uint64_t)i;
}

int run_threads(const Run *r)
{
    return r->threads;
}

bool run_resuming(const Run *r)
{
    return r->resume;
}

const char *run_path(Run *r, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    const char *tail = str_vprint(&r->arena, fmt, args, NULL);
    va_end(args);
    return str_print(&r->arena, "%s/%s", r->dir, tail);
}

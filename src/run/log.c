/* A line is one call of write.  A seal is the length of a log and its hash up to there; later lines are cut off. */
#include "run/log.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/seal.h"
#include "base/sha256.h"
#include "base/str.h"
#include "io/json.h"

int log_line(int fd, int job, const char *phase, int64_t step, int n, const char *const *name, const double *value)
{
    cJSON *line = cJSON_CreateObject();
    if (job >= 0) cJSON_AddNumberToObject(line, "job", job);
    cJSON_AddStringToObject(line, "phase", phase);
    cJSON_AddNumberToObject(line, "step", (double)step);
    for (int i = 0; i < n; i++) cJSON_AddNumberToObject(line, name[i], value[i]); /* cJSON writes NaN as null */
    char *text = json_printed(line, true);
    size_t len = strlen(text);
    text[len] = '\n'; /* in the place of the final NUL */
    int error = write(fd, text, len + 1) == (ssize_t)(len + 1) ? 0 : errno ? errno : ENOSPC;
    cJSON_free(text);
    cJSON_Delete(line);
    return error;
}

/* ---- going on */

static Sha256Hex hash_of(Bytes log)
{
    Sha256 s = sha256_begin();
    sha256_add(&s, log.text, log.len);
    return sha256_end(&s);
}

/* The text of the log; empty where there is none. */
static Status read_log(Bytes *out, Arena *a, const char *path)
{
    static char none[] = "";
    *out = (Bytes){none, 0};
    return access(path, F_OK) ? OK : file_read(out, a, path);
}

Status log_seal(const char *path, const char *note, Arena *a)
{
    Bytes log;
    ArenaMark mark = arena_mark(a);
    TRY(read_log(&log, a, path));
    Status s = seal_write(note, str_print(a, "%zu %s\n", log.len, hash_of(log).hex), a);
    arena_drop(a, mark);
    return s;
}

bool log_restore(const char *path, const char *note, Arena *a)
{
    Bytes log;
    const char *text;
    size_t n = 0;
    char hex[65] = "";
    ArenaMark mark = arena_mark(a);
    bool same = seal_read(&text, note, a) && sscanf(text, "%zu %64s", &n, hex) == 2 && !read_log(&log, a, path) &&
                n <= log.len;
    same = same && !strcmp(hash_of((Bytes){log.text, n}).hex, hex) && (n == log.len || !truncate(path, (off_t)n));
    arena_drop(a, mark);
    err_clear();
    return same;
}

/* ---- reading back */

typedef struct {
    char phase[40];
    int64_t step;
    double value; /* NaN: null, or not asked for */
    bool has;     /* the line has the name that was asked for */
} Line;

/* false: the text at `at` is no whole line of a log. */
static bool read_line(Line *out, const char *at, const char *name)
{
    const char *end = strchr(at, '\n');
    cJSON *o = end ? cJSON_ParseWithLength(at, (size_t)(end - at)) : NULL;
    const char *phase = cJSON_GetStringValue(cJSON_GetObjectItem(o, "phase"));
    const cJSON *step = cJSON_GetObjectItem(o, "step"), *x = name ? cJSON_GetObjectItem(o, name) : NULL;
    bool whole = phase && cJSON_IsNumber(step) && step->valuedouble >= 0 && strlen(phase) < sizeof out->phase;
    if (whole) {
        strcpy(out->phase, phase);
        out->step = (int64_t)step->valuedouble;
        out->has = x;
        out->value = cJSON_GetNumberValue(x);
    }
    cJSON_Delete(o);
    return whole;
}

static const char *next(const char *line)
{
    return strchr(line, '\n') + 1;
}

/* Finds the first line after the step, and truncates the file there. */
Status log_cut(const char *path, Arena *a, const char *before, const char *phase, int64_t step, bool *gaps)
{
    Bytes all;
    Line l;
    int64_t seen = 0;
    ArenaMark mark = arena_mark(a);
    TRY(read_log(&all, a, path));
    const char *at = all.text;
    for (; read_line(&l, at, NULL) && (str_glob(before, l.phase) || l.step <= step); at = next(at))
        seen += !strcmp(l.phase, phase);
    bool longer = *at;
    off_t kept = at - all.text;
    *gaps = seen != step;
    arena_drop(a, mark);
    return longer && truncate(path, kept) ? err_fail(E_IO, "%s: %s", path, strerror(errno)) : OK;
}

static LogLine whole_line(Arena *a, const cJSON *o)
{
    const int most = cJSON_GetArraySize(o);
    const char **name = NEW(a, const char *, most + 1);
    double *value = NEW(a, double, most + 1);
    LogLine l = {.job = -1, .name = name, .value = value};
    const cJSON *x;
    cJSON_ArrayForEach(x, o)
    {
        if (!strcmp(x->string, "phase"))
            l.phase = str_copy(a, x->valuestring, strlen(x->valuestring));
        else if (!strcmp(x->string, "step"))
            l.step = (int64_t)x->valuedouble;
        else if (!strcmp(x->string, "job"))
            l.job = x->valueint;
        else if (cJSON_IsNumber(x) || cJSON_IsNull(x))
            name[l.n] = str_copy(a, x->string, strlen(x->string)), value[l.n++] = cJSON_GetNumberValue(x);
    }
    return l;
}

Status log_read(LogLine **out, int64_t *n, Arena *a, const char *path)
{
    Bytes all;
    Line l;
    int64_t lines = 0;
    TRY(read_log(&all, a, path));
    for (size_t i = 0; i < all.len; i++) lines += all.text[i] == '\n';
    *out = NEW(a, LogLine, lines + 1);
    *n = 0;
    for (const char *at = all.text; read_line(&l, at, NULL); at = next(at)) {
        cJSON *o = cJSON_ParseWithLength(at, (size_t)(next(at) - at));
        (*out)[(*n)++] = whole_line(a, o);
        cJSON_Delete(o);
    }
    return OK;
}

Status log_series(LogSeries *out, Arena *a, const char *path, const char *phase, const char *name)
{
    Bytes all;
    Line l;
    int64_t lines = 0;
    TRY(read_log(&all, a, path));
    for (size_t i = 0; i < all.len; i++) lines += all.text[i] == '\n';
    *out = (LogSeries){0, NEW(a, double, lines + 1), NEW(a, double, lines + 1)};
    for (const char *at = all.text; read_line(&l, at, name); at = next(at)) {
        if (strcmp(l.phase, phase) != 0 || !l.has) continue;
        out->step[out->n] = (double)l.step;
        out->value[out->n++] = l.value;
    }
    return OK;
}

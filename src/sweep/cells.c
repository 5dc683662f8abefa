/* Each cell is a process group of its own: Ctrl-C of a terminal reaches the sweep alone, which passes one signal
 * on to every cell and waits until they have saved their work.  A cell dies with the sweep. */
#include "sweep/cells.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/print.h"
#include "base/seal.h"
#include "run/found.h"
#include "run/lock.h"
#include "run/log.h"
#include "run/machine.h"
#include "run/signals.h"
#include "sweep/capture.h"

enum { MOST_JOBS = 256, WAIT_MS = 10 };

typedef struct {
    pid_t pid;
    int64_t cell;
    double began;
} Process;

typedef struct {
    const Cells *with;
    Outcome *out;
    Progress progress;
    int64_t n, ended;
    int running;
    bool signalled;
    Process process[MOST_JOBS];
} Pool;

const char *cell_log(Arena *a, const char *dir, const char *name, const char *ending)
{
    return str_print(a, "%s/logs/%s.%s", dir, name, ending);
}

static const char *cell_dir(const Cells *c, int64_t cell)
{
    return str_print(c->arena, "%s/%s", c->dir, c->plan->cell[cell].name);
}

static const char *cell_name(const Pool *p, int64_t cell)
{
    return p->with->plan->cell[cell].name;
}

/* ---- cells that are done already */

/* The words of the cell, and size and time of the files that they name: a cell whose note has the same is not started
 * only to find that out. */
static const char *stamp(const Plan *p, Arena *a, const char *dir, int64_t cell)
{
    Buf b = buf_open(a);
    int n;
    const char **word = plan_argv(&n, p, a, cell, str_print(a, "%s/%s", dir, p->cell[cell].name));
    for (int i = 0; i < n; i++) {
        const char *sign = strncmp(word[i], "--", 2) ? NULL : strchr(word[i], '='), *path = sign ? sign + 1 : word[i];
        struct stat st;
        buf_print(&b, "%s", shell_word(a, word[i]));
        if (strncmp(word[i], "--out=", 6) && !stat(path, &st))
            buf_print(&b, " %lld %lld.%09ld", (long long)(S_ISDIR(st.st_mode) ? 0 : st.st_size),
                      (long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
        buf_print(&b, "\n");
    }
    return b.text;
}

/* The files of the result are there with their sizes.  A command of several experiments has no manifest of its
 * own. */
static bool has_result(const Plan *p, Arena *a, const char *dir)
{
    Found found;
    if (found_read(&found, a, str_print(a, "%s/manifest.json", dir)) || !found.there) {
        err_clear();
        return !found.there && plan_leaves(p) == LEAVES_DIR && file_is_dir(dir);
    }
    bool whole = found.done;
    for (int i = 0; whole && i < found.files; i++) {
        struct stat st;
        const Listed *l = &found.file[i];
        whole = !lstat(str_print(a, "%s/%s", dir, l->path), &st) && (!l->hash || (double)st.st_size == l->bytes);
    }
    return whole;
}

bool cell_done(const Plan *p, Arena *a, const char *dir, int64_t cell)
{
    const char *name = p->cell[cell].name, *note;
    ArenaMark mark = arena_mark(a);
    bool done = seal_read(&note, cell_log(a, dir, name, "done"), a) && !strcmp(note, stamp(p, a, dir, cell)) &&
                has_result(p, a, str_print(a, "%s/%s", dir, name));
    arena_drop(a, mark);
    return done;
}

/* ---- costs */

static void record(const Cells *c, int64_t cell, double seconds, const struct rusage *usage, int code)
{
    const char *path = cell_log(c->arena, c->dir, c->plan->cell[cell].name, "jsonl");
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (fd < 0) return; /* the cost is a remark: the result does not depend on it */
    log_line(fd, -1, "attempt", 0, 4, (const char *const[]){"exit", "seconds", "cpu_seconds", "peak_bytes"},
             (const double[]){code, seconds, machine_rusage_seconds(usage), 1024.0 * (double)usage->ru_maxrss});
    close(fd);
}

static Status values(LogSeries *out, Arena *a, const char *path, const char *name)
{
    return log_series(out, a, path, "attempt", name);
}

Status cell_cost(Cost *c, Arena *a, const char *dir, const char *name)
{
    LogSeries exits, seconds, cpu, peak;
    const char *path = cell_log(a, dir, name, "jsonl");
    *c = (Cost){NAN, NAN, NAN, 0, -1};
    if (access(path, F_OK)) return OK;
    TRY(values(&exits, a, path, "exit"));
    TRY(values(&seconds, a, path, "seconds"));
    TRY(values(&cpu, a, path, "cpu_seconds"));
    TRY(values(&peak, a, path, "peak_bytes"));
    if (!seconds.n || seconds.n != cpu.n || seconds.n != peak.n || seconds.n != exits.n) return OK;
    *c = (Cost){0, 0, 0, seconds.n, (int64_t)exits.value[exits.n - 1]};
    for (int64_t i = 0; i < seconds.n; i++) {
        c->seconds += seconds.value[i];
        c->cpu_seconds += cpu.value[i];
        c->peak_bytes = fmax(c->peak_bytes, peak.value[i]);
    }
    return OK;
}

/* ---- one process */

/* The words of the cell's process.  With --threads of the sweep's choice, which changes no result. */
static const char **words(const Cells *c, int64_t cell, const char *out)
{
    int n;
    Plan p = *c->plan;
    if (c->threads) {
        p.option = NEW(c->arena, const char *, p.options + 1);
        if (p.options) memcpy(p.option, c->plan->option, (size_t)p.options * sizeof *p.option);
        p.option[p.options++] = str_print(c->arena, "--threads=%d", c->threads);
    }
    return plan_argv(&n, &p, c->arena, cell, out);
}

static void redirect(const char *log)
{
    int in = open("/dev/null", O_RDONLY), out = open(log, O_WRONLY | O_CREAT | O_APPEND, 0666);
    if (in >= 0) dup2(in, STDIN_FILENO);
    if (out < 0) return;
    dup2(out, STDOUT_FILENO);
    dup2(out, STDERR_FILENO);
}

/* The forked process becomes the command, or runs it and keeps its output. */
_Noreturn static void be_cell(const Cells *c, int64_t cell)
{
    const char *dir = cell_dir(c, cell);
    redirect(cell_log(c->arena, c->dir, c->plan->cell[cell].name, "log"));
    err_clear();
    if (plan_leaves(c->plan) != LEAVES_DIR) {
        signals_watch();
        _exit(capture(c->arena, dir, plan_leaves(c->plan) == LEAVES_FILE, words(c, cell, NULL)));
    }
    capture_become(c->arena, words(c, cell, dir));
}

static Status start(Pool *p, int64_t cell)
{
    pid_t parent = getpid();
    fflush(NULL); /* the child must not print the buffered text once more */
    pid_t pid = fork();
    if (pid < 0) return err_fail(E_IO, "process for a cell: %s", strerror(errno));
    if (!pid) {
        setpgid(0, 0);
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent) _exit(1);
        be_cell(p->with, cell);
    }
    setpgid(pid, pid); /* whoever is first */
    p->process[p->running++] = (Process){pid, cell, clock_now()};
    return OK;
}

/* ---- all of them */

/* The last line of the log that is the program's error. */
static const char *last_error(const Pool *p, int64_t cell)
{
    Arena *a = p->with->arena;
    Bytes all;
    const char *path = cell_log(a, p->with->dir, cell_name(p, cell), "log"), *said = NULL;
    if (access(path, R_OK) || file_read(&all, a, path)) {
        err_clear();
        return path;
    }
    for (char *line = all.text; line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL)
        if (!strncmp(line, "vernier: ", 9)) said = str_copy(a, line + 9, strcspn(line + 9, "\n"));
    return said ? said : path;
}

static void say(const Pool *p, int64_t cell, const char *what)
{
    if (p->with->quiet) return;
    progress_clear();
    print_err("%s: %s\n", cell_name(p, cell), what);
}

static void finish(Pool *p, int64_t cell)
{
    const Cells *c = p->with;
    Arena *a = c->arena;
    if (seal_write(cell_log(a, c->dir, cell_name(p, cell), "done"), stamp(c->plan, a, c->dir, cell), a)) err_clear();
    p->out->done++;
}

static Status status_of(int how)
{
    static const Status STATUS[] = {OK, E_NUMERIC, E_CONFIG, E_IO};
    int code = WIFEXITED(how) ? WEXITSTATUS(how) : 1;
    return code < 4 ? STATUS[code] : E_NUMERIC;
}

/* A process has ended: its cell is done, has saved its work for a signal, is another process's, or has failed. */
static void take_end(Pool *p, Process gone, int how, const struct rusage *usage)
{
    const Cells *c = p->with;
    double seconds = clock_now() - gone.began;
    int code = WIFEXITED(how) ? WEXITSTATUS(how) : 128 + WTERMSIG(how);
    const char *who;
    char span[32];
    ArenaMark mark = arena_mark(c->arena);
    record(c, gone.cell, seconds, usage, code);
    progress_span(span, sizeof span, seconds);
    p->ended++;
    if (WIFEXITED(how) && !code) {
        finish(p, gone.cell);
        say(p, gone.cell, str_print(c->arena, "done in %s", span));
    } else if (signals_ended(how)) {
        p->out->stopped++;
        say(p, gone.cell, "interrupted; its work so far is kept");
    } else if (lock_held(&who, c->arena, cell_dir(c, gone.cell))) {
        p->out->busy++;
        say(p, gone.cell, str_print(c->arena, "in use by %s", who));
    } else {
        p->out->failed++;
        if (!p->out->first) p->out->first = status_of(how);
        const char *why = WIFSIGNALED(how) ? strsignal(WTERMSIG(how)) : last_error(p, gone.cell);
        say(p, gone.cell, str_print(c->arena, "failed (exit %d): %s", code, why));
    }
    arena_drop(c->arena, mark);
}

static void reap(Pool *p)
{
    for (int i = p->running; i-- > 0;) { /* from the end: the last one moves down */
        int how;
        struct rusage usage;
        if (wait4(p->process[i].pid, &how, WNOHANG, &usage) <= 0) continue;
        Process gone = p->process[i];
        p->process[i] = p->process[--p->running];
        take_end(p, gone, how, &usage);
    }
}

static void pass_signal(Pool *p)
{
    if (p->signalled || !signals_seen()) return;
    p->signalled = true;
    for (int i = 0; i < p->running; i++) kill(-p->process[i].pid, SIGTERM);
}

static void show(const Pool *p)
{
    Stage line = {"cells", p->ended, p->n, NAN};
    progress_show(&p->progress, &line, -1);
}

/* Starts the cell, or counts one that is done or another process's.  Keeps no memory. */
static Status begin(Pool *p, int64_t cell)
{
    const Cells *c = p->with;
    const char *who;
    ArenaMark mark = arena_mark(c->arena);
    Status s = OK;
    if (cell_done(c->plan, c->arena, c->dir, cell)) {
        p->out->done++;
        p->ended++;
    } else if (lock_held(&who, c->arena, cell_dir(c, cell))) {
        p->out->busy++;
        p->ended++;
        say(p, cell, str_print(c->arena, "in use by %s", who));
    } else {
        s = start(p, cell);
    }
    arena_drop(c->arena, mark);
    return s;
}

Status cells_run(Outcome *out, const Cells *c, int64_t n, const int64_t *cell)
{
    Pool p = {.with = c, .out = out, .n = n};
    int64_t next = 0;
    Status s = OK;
    *out = (Outcome){0};
    p.progress = (Progress){"sweep", c->quiet, clock_now()};
    int jobs = c->jobs < MOST_JOBS ? c->jobs : MOST_JOBS;
    signals_wait(1);
    while (p.running || (!s && next < n && !signals_seen())) {
        while (!s && p.running < jobs && next < n && !signals_seen()) s = begin(&p, cell[next++]);
        pass_signal(&p);
        reap(&p);
        show(&p);
        if (p.running) poll(NULL, 0, WAIT_MS);
    }
    progress_clear();
    signals_wait(-1);
    return s;
}

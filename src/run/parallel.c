/* Small runs share the machine as one process per core: a toy model is too small for two threads to pay, and a
 * process keeps a crash, a leak or a changed static to itself.  Results, errors and progress come back through
 * one shared mapping; that a job has ended shows as the end of its pipe, whatever way it went.
 *
 * Results cannot depend on the order of completion: job i writes slot i, and the jobs' logs are appended in
 * index order.  The outcome of each finished job and its log are kept as one file, which ends in a hash of both and
 * of everything that determined them.  A run that is resumed repeats only the missing jobs; a file that is damaged,
 * or a stranger's, is missing. */
#include "base/print.h"
#include "run/parallel.h"
#include "run/run.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <omp.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/sha256.h"
#include "run/machine.h"
#include "run/signals.h"

typedef struct {
    Stage stage;
    Status status;
    char message[1024];
} Slot;

typedef struct {
    pid_t pid;
    int fd, job; /* the pipe's read end */
} Worker;

typedef struct {
    Run *run;
    int n, call, finished, next, n_workers;
    size_t size;
    RunJob *job;
    RunCheck *check; /* or NULL */
    void *user;
    Slot *slot; /* (n), shared */
    char *out;  /* (n, size), shared */
    bool *done; /* (n) */
    Worker *worker;
    Sha256Hex key;
    bool failing;
} Pool;

/* The settings of the folder hold all that decides the results but which call this is. */
static Sha256Hex pool_key(const Run *r, int call, int n, size_t size)
{
    char head[128];
    Sha256 s = sha256_begin();
    snprintf(head, sizeof head, "%s %d %d %zu", folder_hash(&r->folder), call, n, size);
    sha256_add(&s, head, strlen(head));
    return sha256_end(&s);
}

static const char *kept_path(Pool *p, int i)
{
    return run_path(p->run, "jobs/%d-%d-%.16s.bin", p->call, i, p->key.hex);
}

static const char *log_path(Pool *p, int i)
{
    return run_path(p->run, "jobs/%d-%d.jsonl", p->call, i);
}

/* ---- kept jobs: the result, the log, and a hash of both */

enum { HASH = 64 };

static Sha256Hex kept_hash(const Pool *p, int i, const void *result, Bytes log)
{
    Sha256 s = sha256_begin();
    sha256_add(&s, p->key.hex, HASH);
    sha256_add(&s, &i, sizeof i);
    sha256_add(&s, result, p->size);
    sha256_add(&s, log.text, log.len);
    return sha256_end(&s);
}

static Status keep(Pool *p, int i)
{
    Writer w;
    Bytes log;
    const char *result = p->out + (size_t)i * p->size;
    TRY(file_read(&log, &p->run->arena, log_path(p, i)));
    Sha256Hex hash = kept_hash(p, i, result, log);
    TRY(writer_open(&w, kept_path(p, i)));
    writer_add(&w, result, p->size);
    writer_add(&w, log.text, log.len);
    writer_add(&w, hash.hex, HASH);
    TRY(writer_close(&w));
    unlink(log_path(p, i));
    return OK;
}

/* The result of job i from an earlier attempt, if it is whole; `all` is the file. */
static bool read_kept(Pool *p, int i, Bytes *all, Bytes *log)
{
    const char *path = kept_path(p, i);
    bool whole, fine = !err_status();
    if (access(path, F_OK)) return false;
    whole = !file_read(all, &p->run->arena, path) && all->len >= p->size + HASH;
    if (whole) {
        *log = (Bytes){all->text + p->size, all->len - p->size - HASH};
        whole = !memcmp(kept_hash(p, i, all->text, *log).hex, log->text + log->len, HASH);
    }
    if (fine) err_clear(); /* else a job's error is to be reported */
    if (whole) return true;
    progress_clear();
    if (!p->run->quiet) print_err("%s is damaged; its job is done again\n", path);
    unlink(path);
    return false;
}

/* Whether the files that the kept job has left with its result are as it left them. */
static bool has_files(Pool *p, int i)
{
    if (!p->check || p->check(p->run, i, p->user)) return true;
    progress_clear();
    if (!p->run->quiet) print_err("%s: a file of its job is missing or altered; it is done again\n", kept_path(p, i));
    unlink(kept_path(p, i));
    return false;
}

/* ------------------------------------------------------------------------- in the job */

static Status job_body(Pool *p, int i)
{
    Run *r = p->run;
    const char *log = log_path(p, i);
    r->job = i;
    r->stage = p->n > 1 ? &p->slot[i].stage : NULL; /* a job that runs here shows its own progress */
    r->log = open(log, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0666);
    if (r->log < 0) return fail(E_IO, "%s: %s", log, strerror(errno));
    TRY(p->job(r, i, p->out + (size_t)i * p->size, p->user));
    if (r->log_error) return fail(E_IO, "%s: %s", log, strerror(r->log_error));
    return keep(p, i);
}

static void job_report(Pool *p, int i, Status status)
{
    Slot *s = p->slot + i;
    snprintf(s->message, sizeof s->message, "%s", err_message());
    s->status = status;
}

static Status spawn(Pool *p, int i)
{
    int ends[2];
    pid_t parent = getpid();
    if (pipe2(ends, O_CLOEXEC)) return fail(E_IO, "pipe for a job: %s", strerror(errno));
    fflush(NULL); /* the child must not print the buffered text once more */
    pid_t pid = fork();
    if (pid < 0) {
        close(ends[0]);
        close(ends[1]);
        return fail(E_IO, "process for a job: %s", strerror(errno));
    }
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent) _exit(1);
        signals_watch();
        omp_set_num_threads(1); /* the parent's threads do not exist here */
        err_clear();
        job_report(p, i, job_body(p, i));
        _exit(0);
    }
    close(ends[1]);
    p->worker[p->n_workers++] = (Worker){pid, ends[0], i};
    return OK;
}

/* ---------------------------------------------------------------------- in the parent */

static void collect(Pool *p, int w)
{
    Worker gone = p->worker[w];
    int how = 0;
    close(gone.fd);
    struct rusage usage = {0};
    while (wait4(gone.pid, &how, 0, &usage) < 0 && errno == EINTR) continue;
    p->run->job_cpu += rusage_seconds(&usage);
    p->run->job_peak = fmax(p->run->job_peak, 1024.0 * (double)usage.ru_maxrss);
    p->worker[w] = p->worker[--p->n_workers];
    Slot *s = p->slot + gone.job;
    if (WIFSIGNALED(how) || WEXITSTATUS(how)) {
        bool stopped = WIFSIGNALED(how) && (WTERMSIG(how) == SIGTERM || WTERMSIG(how) == SIGINT);
        s->status = stopped ? E_INTERRUPT : E_NUMERIC;
        if (WIFSIGNALED(how))
            snprintf(s->message, sizeof s->message, "job %d was ended by signal %d (%s)", gone.job, WTERMSIG(how),
                     strsignal(WTERMSIG(how)));
        else
            snprintf(s->message, sizeof s->message, "job %d ended with exit code %d", gone.job, WEXITSTATUS(how));
    }
    p->finished++;
    if (s->status)
        p->failing = true;
    else
        p->done[gone.job] = true;
}

static void show(Pool *p)
{
    double parts = p->finished;
    Stage line = {"jobs", p->finished, p->n, NAN}; /* the loss is that of one of the jobs that train */
    for (int w = 0; w < p->n_workers; w++) {
        const Stage *s = &p->slot[p->worker[w].job].stage;
        if (s->total > 0) parts += fmin(1, (double)s->done / (double)s->total);
        if (isfinite(s->loss) && s->total > 0) line.loss = s->loss;
    }
    progress_show(&p->run->progress, &line, parts / p->n);
}

/* Waits until some worker ends or a moment has passed. */
static void wait_workers(Pool *p)
{
    struct pollfd fds[256];
    for (int w = 0; w < p->n_workers; w++) fds[w] = (struct pollfd){.fd = p->worker[w].fd, .events = POLLIN};
    if (poll(fds, (nfds_t)p->n_workers, 100) > 0)
        for (int w = p->n_workers; w-- > 0;) /* from the end: collect() moves the last one down */
            if (fds[w].revents) collect(p, w);
    show(p);
}

/* A finished job of an earlier attempt. */
static bool take_kept(Pool *p, int i)
{
    Bytes all, log;
    ArenaMark mark = arena_mark(&p->run->arena);
    bool taken = p->run->folder.resumed && read_kept(p, i, &all, &log) && has_files(p, i);
    if (taken) {
        memcpy(p->out + (size_t)i * p->size, all.text, p->size);
        p->done[i] = true;
        p->finished++;
    }
    arena_drop(&p->run->arena, mark);
    return taken;
}

static Status drive(Pool *p)
{
    int cores = p->run->threads < 256 ? p->run->threads : 256;
    bool signalled = false;
    while (p->n_workers || (p->next < p->n && !p->failing && !run_stopped())) {
        bool stopping = p->failing || run_stopped();
        while (!stopping && p->n_workers < cores && p->next < p->n) {
            int i = p->next++;
            if (take_kept(p, i)) continue;
            Status status = spawn(p, i);
            if (status) {
                p->failing = stopping = true;
                job_report(p, i, status);
            }
        }
        if (stopping && !signalled) {
            int other = signals_seen() == SIGTERM ? SIGINT : SIGTERM; /* not the one they may have got themselves */
            for (int w = 0; w < p->n_workers; w++) kill(p->worker[w].pid, other);
            signalled = true;
        }
        if (p->n_workers) wait_workers(p);
    }
    for (int pass = 0; pass < 2; pass++) /* a true error before the interruptions that it caused */
        for (int i = 0; i < p->n; i++)
            if (p->slot[i].status && (pass || p->slot[i].status != E_INTERRUPT)) {
                err_clear();
                return fail(p->slot[i].status, "%s", p->slot[i].message);
            }
    return p->finished < p->n ? run_interrupted() : OK;
}

/* The jobs' parts of the log, in index order; of an interrupted run too. */
static void append_logs(Pool *p)
{
    Run *r = p->run;
    for (int i = 0; i < p->n; i++) {
        Bytes all, part = {NULL, 0};
        ArenaMark mark = arena_mark(&r->arena);
        const char *path = log_path(p, i);
        if (p->done[i])
            read_kept(p, i, &all, &part);
        else if (!access(path, R_OK) && file_read(&part, &r->arena, path))
            part.len = 0;
        if (part.len && write(r->log, part.text, part.len) != (ssize_t)part.len)
            r->log_error = errno ? errno : ENOSPC;
        unlink(path);
        r->kept += p->done[i];
        arena_drop(&r->arena, mark);
    }
}

static void *shared(size_t bytes)
{
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) err_no_memory("%zu bytes to share between jobs: %s", bytes, strerror(errno));
    return p;
}

/* One job needs no process and may use every core. */
static Status run_here(Pool *p)
{
    Run *r = p->run;
    if (take_kept(p, 0)) return OK;
    int log = r->log;
    Slot slot = {0};
    p->slot = &slot;
    Status status = job_body(p, 0);
    if (r->log >= 0) close(r->log);
    r->job = -1;
    r->log = log;
    p->done[0] = !status;
    return status;
}

Status run_parallel(Run *r, int n, size_t size, RunJob *job, void *user, void *out)
{
    return run_parallel_checked(r, n, size, job, NULL, user, out);
}

Status run_parallel_checked(Run *r, int n, size_t size, RunJob *job, RunCheck *check, void *user, void *out)
{
    CHECK(r->job < 0, "run_parallel within a parallel job");
    CHECK(n >= 0 && size > 0, "run_parallel: %d jobs of %zu bytes", n, size);
    if (!n) return OK;
    TRY(file_make_dir(run_path(r, "jobs")));
    ArenaMark mark = arena_mark(&r->arena);
    Pool p = {.run = r, .n = n, .call = r->calls++, .size = size, .job = job, .check = check, .user = user};
    p.key = pool_key(r, p.call, n, size);
    size_t bytes = (size_t)n * size, slots = (size_t)n * sizeof *p.slot;
    p.slot = shared(slots);
    p.out = shared(bytes);
    p.done = NEW(&r->arena, bool, n);
    p.worker = NEW(&r->arena, Worker, 256);
    Slot *mapped = p.slot;
    Status status = n == 1 ? run_here(&p) : drive(&p);
    p.slot = mapped;
    append_logs(&p);
    if (!status) memcpy(out, p.out, bytes);
    munmap(mapped, slots);
    munmap(p.out, bytes);
    arena_drop(&r->arena, mark);
    return status;
}

/* Small runs share the machine as one process per core: a toy model is too small for two threads to pay, and a
 * process keeps a crash, a leak or a changed static to itself.  Results, errors and progress come back through
 * one shared mapping; that a job has ended shows as the end of its pipe, whatever way it went.
 *
 * Results cannot depend on the order of completion: job i writes slot i, and the jobs' logs are appended in
 * index order.  The outcome of each finished job, its log and a list of the files that it has left are kept as one
 * file, which ends in a hash of these and of everything that determined them.  A resumed run repeats only the
 * missing jobs; a file that is damaged, or a stranger's, is missing, and so is a job of whose files one is. */
#include "base/print.h"
#include "run/parallel.h"
#include "run/run.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <omp.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/seal.h"
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

void run_remark(const Run *r, const char *fmt, ...)
{
    char text[4096];
    va_list args;
    if (r->quiet) return;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    progress_clear();
    print_err("%s\n", text);
}

/* ---- kept files: result, log, list of files, the length of the log, and a hash of all */

enum { HASH = 64 };

typedef struct {
    const char *result;
    Bytes log, files;
} Kept;

static Sha256Hex kept_hash(const Pool *p, int i, const char *text, size_t n)
{
    Sha256 s = sha256_begin();
    sha256_add(&s, p->key.hex, HASH);
    sha256_add(&s, &i, sizeof i);
    sha256_add(&s, text, n);
    return sha256_end(&s);
}

/* Saves a job's result, log and list of files with a checksum, so that a resumed run skips the job. */
static Status keep(Pool *p, int i)
{
    Writer w;
    Bytes log;
    Run *r = p->run;
    TRY(file_read(&log, &r->arena, log_path(p, i)));
    Buf b = buf_open(&r->arena);
    buf_add(&b, p->out + (size_t)i * p->size, p->size);
    buf_add(&b, log.text, log.len);
    buf_add(&b, r->left.text, r->left.len);
    buf_add(&b, (const char *)&log.len, sizeof log.len);
    Sha256Hex hash = kept_hash(p, i, b.text, b.len);
    TRY(writer_open(&w, kept_path(p, i)));
    writer_add(&w, b.text, b.len);
    writer_add(&w, hash.hex, HASH);
    TRY(writer_close(&w));
    unlink(log_path(p, i));
    return OK;
}

/* Finds the parts of a kept file; false: it is damaged. */
static bool split(Kept *k, const Pool *p, int i, Bytes all)
{
    size_t log, least = p->size + sizeof log + HASH;
    if (all.len < least ||
        memcmp(kept_hash(p, i, all.text, all.len - HASH).hex, all.text + all.len - HASH, HASH) != 0)
        return false;
    memcpy(&log, all.text + all.len - HASH - sizeof log, sizeof log);
    if (log > all.len - least) return false;
    *k = (Kept){all.text, {all.text + p->size, log}, {all.text + p->size + log, all.len - least - log}};
    return true;
}

/* The files that an earlier attempt has kept of job i, if they are whole. */
static bool read_kept(Kept *k, Pool *p, int i)
{
    const char *path = kept_path(p, i);
    Bytes all;
    bool fine = !err_status();
    if (access(path, F_OK)) return false;
    bool whole = !file_read(&all, &p->run->arena, path) && split(k, p, i, all);
    if (fine) err_clear(); /* else a job's error is to be told */
    if (whole) return true;
    run_remark(p->run, "%s is damaged; its job is done again", path);
    unlink(path);
    return false;
}

/* Whether the files that the kept job has left beside its result are as it left them. */
static bool has_files(Pool *p, int i, const Kept *k)
{
    Run *r = p->run;
    if (seal_holds(str_print(&r->arena, "\n%.*s", (int)k->files.len, k->files.text), r->dir, &r->arena)) return true;
    run_remark(r, "%s: a file of its job is missing or altered; it is done again", kept_path(p, i));
    unlink(kept_path(p, i));
    return false;
}

Status run_leaves(Run *r, const char *path)
{
    CHECK(r->job >= 0 && !strncmp(path, r->dir, strlen(r->dir)), "%s is left by no job", path);
    return seal_add(&r->left, r->dir, path + strlen(r->dir) + 1);
}

/* ------------------------------------------------------------------------- in the job */

/* Runs one job with a log of its own, and saves its result. */
static Status job_body(Pool *p, int i)
{
    Run *r = p->run;
    const char *log = log_path(p, i);
    r->job = i;
    r->stage = p->n > 1 ? &p->slot[i].stage : NULL; /* a job that runs here shows its own progress */
    r->log = open(log, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0666);
    if (r->log < 0) return err_fail(E_IO, "%s: %s", log, strerror(errno));
    Arena files = arena_open(0); /* the job may drop the run's memory */
    r->left = buf_open(&files);
    Status status = p->job(r, i, p->out + (size_t)i * p->size, p->user);
    if (!status && r->log_error) status = err_fail(E_IO, "%s: %s", log, strerror(r->log_error));
    if (!status) status = keep(p, i);
    arena_close(&files);
    return status;
}

static void job_report(Pool *p, int i, Status status)
{
    Slot *s = p->slot + i;
    snprintf(s->message, sizeof s->message, "%s", err_message());
    s->status = status;
}

/* One job in a forked process, which ends with its parent. */
static Status spawn(Pool *p, int i)
{
    int ends[2];
    pid_t parent = getpid();
    if (pipe2(ends, O_CLOEXEC)) return err_fail(E_IO, "pipe for a job: %s", strerror(errno));
    fflush(NULL); /* the child must not print the buffered text once more */
    pid_t pid = fork();
    if (pid < 0) {
        close(ends[0]);
        close(ends[1]);
        return err_fail(E_IO, "process for a job: %s", strerror(errno));
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

/* A worker has ended: its time and memory are counted, and a job that was killed or failed has its status. */
static void collect(Pool *p, int w)
{
    Worker gone = p->worker[w];
    int how = 0;
    close(gone.fd);
    struct rusage usage = {0};
    while (wait4(gone.pid, &how, 0, &usage) < 0 && errno == EINTR) continue;
    p->run->job_cpu += machine_rusage_seconds(&usage);
    p->run->job_peak = fmax(p->run->job_peak, 1024.0 * (double)usage.ru_maxrss);
    p->worker[w] = p->worker[--p->n_workers];
    Slot *s = p->slot + gone.job;
    if (WIFSIGNALED(how) || WEXITSTATUS(how)) {
        s->status = signals_ended(how) ? E_INTERRUPT : E_NUMERIC;
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
    Kept k;
    ArenaMark mark = arena_mark(&p->run->arena);
    bool taken = p->run->folder.resumed && read_kept(&k, p, i) && has_files(p, i, &k);
    if (taken) {
        memcpy(p->out + (size_t)i * p->size, k.result, p->size);
        p->done[i] = true;
        p->finished++;
    }
    arena_drop(&p->run->arena, mark);
    return taken;
}

/* Starts jobs while there are free cores, waits for them, and after an error or a signal asks those that run to
 * stop. */
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
                return err_fail(p->slot[i].status, "%s", p->slot[i].message);
            }
    return p->finished < p->n ? run_interrupted() : OK;
}

/* The jobs' parts of the log, in index order; of an interrupted run too. */
static void append_logs(Pool *p)
{
    Run *r = p->run;
    for (int i = 0; i < p->n; i++) {
        Kept k = {0};
        Bytes part = {NULL, 0};
        ArenaMark mark = arena_mark(&r->arena);
        const char *path = log_path(p, i);
        if (!p->done[i] && !access(path, R_OK) && file_read(&part, &r->arena, path)) part.len = 0;
        if (p->done[i] && read_kept(&k, p, i)) part = k.log;
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

/* Runs n jobs in worker processes, or one in this process; those saved before are not run again. */
Status run_parallel(Run *r, int n, size_t size, RunJob *job, void *user, void *out)
{
    CHECK(r->job < 0, "run_parallel within a parallel job");
    CHECK(n >= 0 && size > 0, "run_parallel: %d jobs of %zu bytes", n, size);
    if (!n) return OK;
    TRY(file_make_dir(run_path(r, "jobs")));
    ArenaMark mark = arena_mark(&r->arena);
    Pool p = {.run = r, .n = n, .call = r->calls++, .size = size, .job = job, .user = user};
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

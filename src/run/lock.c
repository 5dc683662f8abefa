/* A POSIX record lock (fcntl) says whether the holder is alive on this machine; the name in the file serves machines
 * that share a file system, where the lock itself may not be seen.  A Slurm job that is requeued may find the lock of
 * its former start on another machine: Slurm begins a job anew only when its processes have ended, so a lock of the
 * same job from before a restart is none. */
#include "run/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/str.h"

enum { WAITS = 300, WAIT_MS = 100 }; /* for the jobs of a process that was killed */

typedef struct {
    char host[256]; /* empty where the file is */
    long pid;
    int64_t job, restart; /* of Slurm; job 0: it runs under none */
    bool own;             /* the file is one that this program writes */
} Holder;

/* The Slurm job that this process belongs to, and how often it was begun anew. */
static void find_job(Holder *h)
{
    const char *job = getenv("SLURM_JOB_ID"), *restart = getenv("SLURM_RESTART_COUNT");
    h->job = h->restart = 0;
    if (!job || !str_int(job, &h->job) || h->job < 1) h->job = 0;
    if (!h->job || !restart || !str_int(restart, &h->restart)) h->restart = 0;
}

/* The lock is that of the same job before it was requeued. */
static bool is_former(const Holder *h)
{
    Holder now;
    find_job(&now);
    return now.job && h->job == now.job && h->restart < now.restart;
}

/* "\n", or " slurm JOB.RESTART\n". */
static bool read_rest(Holder *h, const char *text)
{
    long long job, restart;
    int end = 0;
    if (!strcmp(text, "\n")) return true;
    if (sscanf(text, " slurm %lld.%lld%n", &job, &restart, &end) != 2 || strcmp(text + end, "\n") != 0) return false;
    h->job = job, h->restart = restart;
    return true;
}

/* The content is "PID HOST\n", in a Slurm job "PID HOST slurm JOB.RESTART\n", or nothing when its writer was killed
 * before.  A second name of the file would be written, too. */
static Holder read_holder(int fd)
{
    Holder h = {0};
    struct stat st;
    char text[512];
    int end = 0;
    if (fstat(fd, &st) || !S_ISREG(st.st_mode) || st.st_nlink > 1) return h;
    ssize_t n = pread(fd, text, sizeof text - 1, 0);
    if (n < 0) return h;
    text[n] = 0;
    h.own = !n || (sscanf(text, "%ld %255s%n", &h.pid, h.host, &end) == 2 && read_rest(&h, text + end) && h.pid > 0 &&
                   (size_t)n == strlen(text));
    return h;
}

/* Whether the file is that of a process of this machine which has ended. */
static bool is_left(const Holder *h, const char *mine)
{
    return h->pid > 0 && !strcmp(h->host, mine) && kill((pid_t)h->pid, 0) && errno == ESRCH;
}

/* The lock is that of the open file, which jobs share with the process that forked them: it is free when the last of
 * them has ended.  A killed process may be survived by a job that waits for the disk, and that still holds its own
 * files; it dies next, and is waited for. */
static bool take_file(int fd, const char *mine)
{
    for (int i = 0;; i++) {
        struct flock whole = {.l_type = F_WRLCK};
        if (!fcntl(fd, F_OFD_SETLK, &whole)) return true;
        int error = errno;
        Holder h = read_holder(fd);
        bool waits = error == EAGAIN && i < WAITS && is_left(&h, mine);
        if (waits) poll(NULL, 0, WAIT_MS);
        errno = error;
        if (!waits) return false;
    }
}

/* Whether this process has the lock file now, as far as this machine can tell. */
static Status try_lock(int fd, Arena *a, const char *dir, const char *path)
{
    char mine[256] = "";
    gethostname(mine, sizeof mine - 1);
    bool free = take_file(fd, mine), held = !free && (errno == EAGAIN || errno == EACCES);
    Holder h = read_holder(fd);
    if (!h.own)
        return err_fail(E_FORMAT, "%s: expected a lock file of vernier; choose another directory, or remove it",
                        path);
    bool here = !*h.host || !strcmp(h.host, mine) || (free && is_former(&h));
    const char *who = *h.host ? str_print(a, "process %ld on %s", h.pid, h.host) : "another process";
    if (!free && !held) held = here && h.pid > 0 && h.pid != getpid() && (!kill((pid_t)h.pid, 0) || errno == EPERM);
    if (held && here) return err_fail(E_IO, "%s is in use by %s", dir, who);
    if (held || !here) return err_fail(E_IO, "%s is in use by %s; if that has ended, delete %s", dir, who, path);
    return OK;
}

/* Neither a link is followed nor a pipe waited for. */
static Status open_lock(int *fd, const char *path)
{
    *fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0666);
    if (*fd >= 0) return OK;
    struct stat st;
    int error = errno;
    if (!lstat(path, &st) && !S_ISREG(st.st_mode))
        return err_fail(E_FORMAT, "%s: expected a lock file of vernier, but it is %s", path,
                        S_ISLNK(st.st_mode) ? "a symbolic link" : "not a regular file");
    return err_fail(E_IO, "%s: %s", path, strerror(error));
}

/* Locks the file, once more if another process has removed it meanwhile, and writes this process into it. */
Status lock_take(int *fd, Arena *a, const char *dir)
{
    const char *path = str_print(a, "%s/" LOCK_NAME, dir);
    struct stat file, name;
    char host[256] = "";
    for (;;) {
        TRY(open_lock(fd, path));
        Status status = try_lock(*fd, a, dir, path);
        if (!status && !fstat(*fd, &file) && !lstat(path, &name) && file.st_ino == name.st_ino) break;
        close(*fd); /* the holder has removed it meanwhile: another one may be there now */
        *fd = -1;
        if (status) return status;
    }
    gethostname(host, sizeof host - 1);
    Holder me;
    find_job(&me);
    const char *job = me.job ? str_print(a, " slurm %lld.%lld", (long long)me.job, (long long)me.restart) : "";
    const char *text = str_print(a, "%ld %s%s\n", (long)getpid(), host, job);
    if (ftruncate(*fd, 0) || pwrite(*fd, text, strlen(text), 0) != (ssize_t)strlen(text)) {
        int error = errno;
        lock_give(fd, a, dir);
        return err_fail(E_IO, "%s: %s", path, strerror(error));
    }
    return OK;
}

void lock_give(int *fd, Arena *a, const char *dir)
{
    unlink(str_print(a, "%s/" LOCK_NAME, dir));
    close(*fd);
    *fd = -1;
}

bool lock_held(const char **who, Arena *a, const char *dir)
{
    char mine[256] = "";
    struct flock whole = {.l_type = F_WRLCK};
    int fd = open(str_print(a, "%s/" LOCK_NAME, dir), O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0) return false;
    gethostname(mine, sizeof mine - 1);
    Holder h = read_holder(fd);
    bool seen = !fcntl(fd, F_OFD_GETLK, &whole), held = seen && whole.l_type != F_UNLCK;
    bool away = *h.host && strcmp(h.host, mine) != 0 && !is_former(&h);
    close(fd);
    *who = *h.host ? str_print(a, "process %ld on %s", h.pid, h.host) : "another process";
    return held || away;
}

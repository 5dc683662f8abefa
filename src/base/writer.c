/* Output over POSIX: complete files or none.
 *
 * Output goes to TARGET.vernier.part, which a lock keeps to one process.  A killed process leaves the file
 * without its lock, and the next writer of the same target begins it anew.  A file that the user named and that is
 * there already is not opened for writing at all: the new bytes are compared with it, byte by byte, and the first
 * difference ends the writing. */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/ranks.h"

/* ---- paths */

/* Where the last part of a path leads, whether or not something is there. */
static Status follow_links(char out[4096], const char *path)
{
    char link[4096];
    if (strlen(path) >= 4096) return err_fail(E_IO, "%.60s...: the path is longer than %d bytes", path, 4096);
    strcpy(out, path);
    for (int hops = 0; hops < 40; hops++) {
        ssize_t n = readlink(out, link, sizeof link - 1);
        if (n < 0) return OK;
        link[n] = 0;
        char *slash = *link == '/' ? NULL : strrchr(out, '/');
        size_t folder = slash ? (size_t)(slash - out) + 1 : 0;
        if (folder + (size_t)n >= 4096) break;
        memcpy(out + folder, link, (size_t)n + 1);
    }
    return err_fail(E_IO, "%s: %s", path, strerror(ELOOP));
}

/* A device or a pipe, or one of the process's own descriptors, whatever that leads to. */
static bool is_stream(const char *path, const struct stat *st)
{
    return !S_ISREG(st->st_mode) || !strcmp(path, "/dev/stdout") || !strcmp(path, "/dev/stderr") ||
           !strncmp(path, "/dev/fd/", 8) || !strncmp(path, "/proc/self/fd/", 14);
}

enum { MOST_PROTECTED = 16 };
static char protected[MOST_PROTECTED][4096];
static int n_protected;

Status file_protect(const char *path)
{
    CHECK(n_protected < MOST_PROTECTED, "%d protected files, at most %d", n_protected + 1, MOST_PROTECTED);
    TRY(follow_links(protected[n_protected], path));
    n_protected++;
    return OK;
}

static bool is_protected(const char *target)
{
    for (int i = 0; i < n_protected; i++)
        if (!strcmp(protected[i], target)) return true;
    return false;
}

static Status other_content(const char *path)
{
    return err_fail(E_CONFIG, "%s exists and holds something else; --overwrite replaces it", path);
}

Status file_writable(const char *path)
{
    char folder[4096];
    struct stat st;
    TRY(follow_links(folder, path));
    if (!stat(folder, &st)) {
        if (S_ISDIR(st.st_mode)) return err_fail(E_IO, "%s: is a directory, expected a file", path);
        if (access(folder, W_OK)) return err_fail(E_IO, "%s: %s", path, strerror(errno));
        if (is_stream(path, &st)) return OK;
    }
    char *slash = strrchr(folder, '/');
    if (slash) slash[slash == folder] = 0;
    if (access(slash ? folder : ".", W_OK | X_OK)) return err_fail(E_IO, "%s: %s", path, strerror(errno));
    return OK;
}

/* ---- temporary files that are open, for who ends the program from a signal's handler */

enum { MOST_OPEN = 32 };
static struct {
    const Writer *writer;
    pid_t process;
} in_work[MOST_OPEN];

static void note_open(const Writer *w)
{
    for (int i = 0; i < MOST_OPEN; i++) {
        if (in_work[i].writer && in_work[i].process == getpid()) continue;
        in_work[i].process = getpid();
        in_work[i].writer = w;
        return;
    }
}

static void note_closed(const Writer *w)
{
    for (int i = 0; i < MOST_OPEN; i++)
        if (in_work[i].writer == w) in_work[i].writer = NULL;
}

void writers_remove(void)
{
    for (int i = 0; i < MOST_OPEN; i++) {
        const Writer *w = in_work[i].writer;
        if (w && in_work[i].process == getpid() && !w->resumable) unlink(w->temporary);
    }
}

/* ---- opening */

/* Opens the temporary file for this process alone.  A lock on a file that its owner renamed or removed meanwhile is a
 * lock on nothing; then the next one of that name is taken. */
static Status open_locked(int *out, const Writer *w)
{
    for (;;) {
        struct stat mine, there;
        int fd = open(w->temporary, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
        if (fd < 0) return err_fail(E_IO, "%s: %s", w->path, strerror(errno));
        if (flock(fd, LOCK_EX | LOCK_NB) && errno == EWOULDBLOCK) {
            close(fd);
            *out = -1;
            return err_fail(E_IO, "%s: another process is writing this file", w->path);
        }
        *out = fd;
        if (!fstat(fd, &mine) && !stat(w->temporary, &there) && mine.st_ino == there.st_ino) return OK;
        close(fd);
    }
}

static Status open_temporary(Writer *w)
{
    int fd = -1;
    struct stat st;
    snprintf(w->temporary, sizeof w->temporary, "%s.vernier.part", w->target);
    TRY(open_locked(&fd, w));
    if (!stat(w->target, &st)) (void)!fchmod(fd, st.st_mode & 07777); /* the new file is open to the same people */
    w->file = fdopen(fd, "r+b");
    CHECK(w->file, "a stream for %s", w->path);
    note_open(w);
    return OK;
}

static ssize_t compare(void *cookie, const char *bytes, size_t n)
{
    Writer *w = cookie;
    char there[4096];
    for (size_t done = 0, part; done < n; done += part) {
        part = n - done < sizeof there ? n - done : sizeof there;
        if (fread(there, 1, part, w->before) == part && !memcmp(there, bytes + done, part)) continue;
        errno = EEXIST;
        return 0;
    }
    return (ssize_t)n;
}

/* A killed writer's temporary file, unless another process is writing now. */
static void remove_left(Writer *w)
{
    int fd = -1;
    snprintf(w->temporary, sizeof w->temporary, "%s.vernier.part", w->target);
    if (!access(w->temporary, F_OK)) {
        if (open_locked(&fd, w))
            err_clear();
        else
            unlink(w->temporary);
        if (fd >= 0) close(fd);
    }
    w->temporary[0] = 0;
}

static void remove_here(const char *path)
{
    Writer w = {0};
    unlink(path);
    snprintf(w.target, sizeof w.target, "%s", path);
    remove_left(&w);
}

/* No rank looks for the file while it goes. */
void file_remove(const char *path)
{
    (void)ranks_agree(OK);
    if (ranks_write()) remove_here(path);
    (void)ranks_agree(OK);
}

/* Output is compared with the existing file. */
static Status open_comparison(Writer *w)
{
    remove_left(w);
    w->before = fopen(w->target, "rb");
    if (!w->before) return err_fail(E_IO, "%s: %s", w->path, strerror(errno));
    w->file = fopencookie(w, "wb", (cookie_io_functions_t){.write = compare});
    CHECK(w->file, "a stream for %s", w->path);
    return OK;
}

static Status open_begin(Writer *w, const char *path, struct stat *st, bool *there)
{
    *w = (Writer){0};
    TRY(follow_links(w->target, path));
    strcpy(w->path, path);
    *there = !stat(path, st);
    if (*there && S_ISDIR(st->st_mode)) return err_fail(E_IO, "%s: is a directory, expected a file", path);
    return OK;
}

/* What a rank other than the first would write goes nowhere. */
static Status open_nowhere(Writer *w, const char *path)
{
    *w = (Writer){0};
    snprintf(w->path, sizeof w->path, "%s", path);
    w->file = fopen("/dev/null", "wb");
    return w->file ? OK : err_fail(E_IO, "/dev/null: %s", strerror(errno));
}

/* The former file stays until all ranks have come here, which have read it. */
Status writer_open(Writer *w, const char *path)
{
    struct stat st;
    bool there;
    TRY(ranks_agree(OK));
    if (!ranks_write()) return open_nowhere(w, path);
    TRY(open_begin(w, path, &st, &there));
    if (there && is_stream(path, &st)) {
        w->file = fopen(path, S_ISREG(st.st_mode) ? "ab" : "wb");
        return w->file ? OK : err_fail(E_IO, "%s: %s", path, strerror(errno));
    }
    if (there && st.st_size > 0 && is_protected(w->target)) return open_comparison(w);
    TRY(open_temporary(w));
    if (!ftruncate(fileno(w->file), 0)) return OK;
    int error = errno;
    writer_abandon(w);
    return err_fail(E_IO, "%s: %s", path, strerror(error));
}

Status writer_resume(Writer *w, const char *path, int64_t bytes)
{
    struct stat st;
    bool there;
    const char *what = NULL;
    TRY(open_begin(w, path, &st, &there));
    if (there && is_stream(path, &st))
        return err_fail(E_IO, "%s: is not a regular file, which could be resumed", path);
    if (there && st.st_size > 0 && is_protected(w->target)) return other_content(path);
    TRY(open_temporary(w));
    w->resumable = true;
    if (fstat(fileno(w->file), &st) || st.st_size < bytes)
        what = "is shorter than the part that was saved of it; --overwrite starts anew";
    else if (ftruncate(fileno(w->file), bytes) || fseeko(w->file, bytes, SEEK_SET))
        what = strerror(errno);
    if (!what) return OK;
    note_closed(w);
    fclose(w->file);
    w->file = NULL;
    return err_fail(E_IO, "%s: %s", w->temporary, what);
}

/* ---- writing */

static void flush(Writer *w)
{
    if (w->error) return;
    if (fflush(w->file) || (!w->before && fsync(fileno(w->file)))) {
        if (errno != EINVAL) w->error = errno; /* a pipe or device cannot be synced */
    }
}

Status writer_status(const Writer *w)
{
    if (!w->error) return OK;
    return w->before && w->error == EEXIST ? other_content(w->path)
                                           : err_fail(E_IO, "%s: %s", w->path, strerror(w->error));
}

Status writer_save(Writer *w, int64_t *bytes)
{
    flush(w);
    *bytes = 0;
    TRY(writer_status(w));
    if (w->before) return OK;
    *bytes = (int64_t)ftell(w->file);
    w->resumable = true;
    return OK;
}

Status writer_keep(Writer *w)
{
    note_closed(w);
    if (fclose(w->file) && !w->error) w->error = errno;
    if (w->before) fclose(w->before);
    w->file = NULL;
    return writer_status(w);
}

void writer_add(Writer *w, const void *bytes, size_t n)
{
    if (!w->error && n && fwrite(bytes, 1, n, w->file) != n) w->error = errno;
}

void writer_print(Writer *w, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    if (!w->error && vfprintf(w->file, fmt, args) < 0) w->error = errno;
    va_end(args);
}

void writer_csv(Writer *w, const char *text)
{
    bool quote = strpbrk(text, ",\"\r\n") != NULL;
    if (quote) writer_add(w, "\"", 1);
    for (; *text; text++) {
        if (*text == '"') writer_add(w, "\"", 1);
        writer_add(w, text, 1);
    }
    if (quote) writer_add(w, "\"", 1);
}

void writer_csv_number(Writer *w, double v)
{
    if (isfinite(v))
        writer_print(w, ",%.9g", v);
    else
        writer_print(w, ",");
}

/* ---- closing */

/* Compared to its end: the file that is there holds no more either. */
static void compare_end(Writer *w)
{
    if (!w->error && fgetc(w->before) != EOF) w->error = EEXIST;
    fclose(w->before);
}

static Status close_here(Writer *w)
{
    flush(w);
    if (w->before) {
        compare_end(w);
        fclose(w->file);
        w->file = NULL;
        return writer_status(w);
    }
    if (!w->error && w->temporary[0] && rename(w->temporary, w->target)) w->error = errno;
    if (w->error && w->temporary[0]) unlink(w->temporary);
    note_closed(w);
    if (fclose(w->file) && !w->error) w->error = errno; /* which also ends the lock */
    w->file = NULL;
    return writer_status(w);
}

Status writer_close(Writer *w)
{
    return ranks_agree(close_here(w));
}

void writer_abandon(Writer *w)
{
    if (!w->file) return;
    if (w->temporary[0]) unlink(w->temporary);
    note_closed(w);
    fclose(w->file);
    if (w->before) fclose(w->before);
    w->file = NULL;
}

Status file_write(const char *path, const void *bytes, size_t n)
{
    Writer w;
    TRY(writer_open(&w, path));
    writer_add(&w, bytes, n);
    return writer_close(&w);
}

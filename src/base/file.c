/* Whole-file input over POSIX, and directories. */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/str.h"

enum { ENDLESS = 1 << 28 }; /* bytes of a pipe or device, which have no size, beyond which no text is expected */

/* A link whose target is missing, as the hub's cache has for a blob that was removed or never came, is not told as
 * if nothing had that name. */
static Status cannot_open(const char *path)
{
    int reason = errno;
    char target[1024];
    ssize_t n = reason == ENOENT ? readlink(path, target, sizeof target - 1) : -1;
    if (n < 0) return err_fail(E_IO, "%s: %s", path, strerror(reason));
    target[n] = 0;
    return err_fail(E_IO, "%s: is a link to %s, which is not there", path, target);
}

Status file_read(Bytes *out, Arena *a, const char *path)
{
    FILE *f = fopen(path, "rb");
    if (!f) return cannot_open(path);
    struct stat st;
    Status status = OK;
    if (fstat(fileno(f), &st) || S_ISDIR(st.st_mode)) {
        status = err_fail(E_IO, "%s: is a directory, expected a file", path);
    } else { /* grows as it reads: pipes and /proc files report no size */
        size_t room = st.st_size > 0 ? (size_t)st.st_size + 1 : 4096, len = 0;
        char *text = arena_take(a, room);
        for (size_t n; (n = fread(text + len, 1, room - 1 - len, f)) > 0;) {
            len += n;
            if (len + 1 < room) continue;
            if (!S_ISREG(st.st_mode) && len >= ENDLESS) break;
            text = arena_grow(a, text, room, room * 2);
            room *= 2;
        }
        if (!S_ISREG(st.st_mode) && len >= ENDLESS)
            status = err_fail(E_IO, "%s: does not end within %d bytes; expected a file", path, ENDLESS);
        else if (ferror(f))
            status = err_fail(E_IO, "%s: %s", path, strerror(errno));
        text[len] = 0;
        *out = (Bytes){text, len};
    }
    fclose(f);
    return status;
}

Status file_map(Bytes *out, const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe without a writer is refused, not waited for */
    if (fd < 0) return cannot_open(path);
    struct stat st;
    Status status = OK;
    *out = (Bytes){NULL, 0};
    if (fstat(fd, &st) || !S_ISREG(st.st_mode)) {
        status = err_fail(E_IO, "%s: is not a regular file", path);
    } else if (st.st_size > 0) {
        void *p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (p == MAP_FAILED)
            status = err_fail(E_IO, "%s: %s", path, strerror(errno));
        else
            *out = (Bytes){p, (size_t)st.st_size};
    }
    close(fd);
    return status;
}

void file_unmap(Bytes b)
{
    if (b.text) munmap(b.text, b.len);
}

Status file_there(const char *path)
{
    return path && access(path, R_OK) ? err_fail(E_IO, "%s: %s", path, strerror(errno)) : OK;
}

bool file_is_dir(const char *path)
{
    struct stat st;
    return !stat(path, &st) && S_ISDIR(st.st_mode);
}

const char *file_folder(Arena *a, const char *path)
{
    struct stat st;
    if (stat(path, &st) || S_ISDIR(st.st_mode)) return path;
    const char *slash = strrchr(path, '/');
    return slash ? str_copy(a, path, slash > path ? (size_t)(slash - path) : 1) : ".";
}

Status file_make_dir(const char *path)
{
    char part[4096];
    if (strlen(path) >= sizeof part)
        return err_fail(E_IO, "%.60s...: the path is longer than %zu bytes", path, sizeof part);
    strcpy(part, path);
    for (char *p = part + 1;; p++) {
        if (*p && *p != '/') continue;
        char saved = *p;
        *p = 0;
        if (mkdir(part, 0777) && errno != EEXIST) return err_fail(E_IO, "%s: %s", part, strerror(errno));
        *p = saved;
        if (!saved) break;
    }
    struct stat st;
    if (stat(path, &st) || !S_ISDIR(st.st_mode)) return err_fail(E_IO, "%s: exists and is not a directory", path);
    return OK;
}

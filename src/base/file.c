/* Whole-file input and atomic output over POSIX. */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/str.h"

enum { ENDLESS = 1 << 28 }; /* bytes of a pipe or device, which tell no size, beyond which no text is expected */

Status file_read(Bytes *out, Arena *a, const char *path)
{
    FILE *f = fopen(path, "rb");
    if (!f) return fail(E_IO, "%s: %s", path, strerror(errno));
    struct stat st;
    Status status = OK;
    if (fstat(fileno(f), &st) || S_ISDIR(st.st_mode)) {
        status = fail(E_IO, "%s: is a directory, expected a file", path);
    } else { /* grows as it reads: pipes and /proc files report no size */
        size_t room = st.st_size > 0 ? (size_t)st.st_size + 1 : 4096, len = 0;
        char *text = arena_take(a, room);
        for (size_t n; (n = fread(text + len, 1, room - 1 - len, f)) > 0;) {
            len += n;
            if (len + 1 < room) continue;
            if (!S_ISREG(st.st_mode) && len >= ENDLESS) break;
            if (!arena_stretch(a, text, room, room * 2)) text = memcpy(arena_take(a, room * 2), text, len);
            room *= 2;
        }
        if (!S_ISREG(st.st_mode) && len >= ENDLESS)
            status = fail(E_IO, "%s: does not end within %d bytes; expected a file", path, ENDLESS);
        else if (ferror(f))
            status = fail(E_IO, "%s: %s", path, strerror(errno));
        text[len] = 0;
        *out = (Bytes){text, len};
    }
    fclose(f);
    return status;
}

Status file_map(Bytes *out, const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe without a writer is refused, not waited for */
    if (fd < 0) return fail(E_IO, "%s: %s", path, strerror(errno));
    struct stat st;
    Status status = OK;
    *out = (Bytes){NULL, 0};
    if (fstat(fd, &st) || !S_ISREG(st.st_mode)) {
        status = fail(E_IO, "%s: is not a regular file", path);
    } else if (st.st_size > 0) {
        void *p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (p == MAP_FAILED)
            status = fail(E_IO, "%s: %s", path, strerror(errno));
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
        return fail(E_IO, "%.60s...: the path is longer than %zu bytes", path, sizeof part);
    strcpy(part, path);
    for (char *p = part + 1;; p++) {
        if (*p && *p != '/') continue;
        char saved = *p;
        *p = 0;
        if (mkdir(part, 0777) && errno != EEXIST) return fail(E_IO, "%s: %s", part, strerror(errno));
        *p = saved;
        if (!saved) break;
    }
    struct stat st;
    if (stat(path, &st) || !S_ISDIR(st.st_mode)) return fail(E_IO, "%s: exists and is not a directory", path);
    return OK;
}

static Status open_temporary(Writer *w, const char *path, const char *mode)
{
    *w = (Writer){0};
    if (strlen(path) >= sizeof w->path)
        return fail(E_IO, "%.60s...: the path is longer than %zu bytes", path, sizeof w->path);
    strcpy(w->path, path);
    struct stat st;
    bool there = !stat(path, &st), special = there && !S_ISREG(st.st_mode);
    if (there && S_ISDIR(st.st_mode)) return fail(E_IO, "%s: is a directory, expected a file", path);
    if (!special) snprintf(w->temporary, sizeof w->temporary, "%s.part", path);
    w->file = fopen(special ? path : w->temporary, mode); /* a device or pipe is written to, never replaced */
    if (!w->file) return fail(E_IO, "%s: %s", path, strerror(errno));
    return OK;
}

Status writer_open(Writer *w, const char *path)
{
    return open_temporary(w, path, "wb");
}

static void flush(Writer *w)
{
    if (!w->error && (fflush(w->file) || fsync(fileno(w->file)))) {
        if (errno != EINVAL) w->error = errno; /* a pipe or device cannot be synced */
    }
}

Status writer_save(Writer *w, int64_t *bytes)
{
    flush(w);
    *bytes = w->error ? 0 : (int64_t)ftell(w->file);
    return w->error ? fail(E_IO, "%s: %s", w->path, strerror(w->error)) : OK;
}

Status writer_keep(Writer *w)
{
    if (fclose(w->file) && !w->error) w->error = errno;
    w->file = NULL;
    return w->error ? fail(E_IO, "%s: %s", w->path, strerror(w->error)) : OK;
}

Status writer_resume(Writer *w, const char *path, int64_t bytes)
{
    TRY(open_temporary(w, path, "r+b"));
    struct stat st;
    const char *what = NULL;
    if (fstat(fileno(w->file), &st) || !S_ISREG(st.st_mode) || st.st_size < bytes)
        what = "is shorter than what was saved of it";
    else if (ftruncate(fileno(w->file), bytes) || fseeko(w->file, bytes, SEEK_SET))
        what = strerror(errno);
    if (!what) return OK;
    fclose(w->file);
    w->file = NULL;
    return fail(E_IO, "%s: %s", w->temporary, what);
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

Status writer_close(Writer *w)
{
    flush(w);
    if (fclose(w->file) && !w->error) w->error = errno;
    w->file = NULL;
    if (!w->error && w->temporary[0] && rename(w->temporary, w->path)) w->error = errno;
    if (!w->error) return OK;
    if (w->temporary[0]) unlink(w->temporary);
    return fail(E_IO, "%s: %s", w->path, strerror(w->error));
}

void writer_abandon(Writer *w)
{
    if (w->file) fclose(w->file);
    if (w->temporary[0]) unlink(w->temporary);
    w->file = NULL;
}

Status file_write(const char *path, const void *bytes, size_t n)
{
    Writer w;
    TRY(writer_open(&w, path));
    writer_add(&w, bytes, n);
    return writer_close(&w);
}

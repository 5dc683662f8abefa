/* These functions only make system calls and allocate nothing, so that a signal handler may call them. */
#include "base/dirs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"

enum { PATH_MOST = 4096 };

size_t dirs_standing(const char *path)
{
    char part[PATH_MOST];
    struct stat st;
    if (strlen(path) >= sizeof part) return 0;
    strcpy(part, path);
    for (char *slash; lstat(part, &st); *slash = 0)
        if (!(slash = strrchr(part, '/'))) return 0;
    return strlen(part);
}

void dirs_remove_empty(const char *dir, size_t stood)
{
    char part[PATH_MOST];
    if (strlen(dir) >= sizeof part) return;
    strcpy(part, dir);
    while (strlen(part) > stood && (part[strlen(part) - 1] == '/' || !rmdir(part) || errno == ENOENT)) {
        char *slash = strrchr(part, '/');
        if (!slash) return;
        *slash = 0;
    }
}

static bool is_named(const char *entry, const char *name)
{
    return !strcmp(entry, ".") || !strcmp(entry, "..") || !strcmp(entry, name);
}

/* The directory that dirs_make() has made last, for this process. */
static char made[PATH_MOST];
static size_t made_stood;
static pid_t maker;

Status dirs_make(const char *dir)
{
    if (!*dir || file_is_dir(dir)) return OK;
    made_stood = dirs_standing(dir);
    TRY(file_make_dir(dir)); /* which refuses a path that is longer than `made` */
    strcpy(made, dir);
    maker = getpid();
    return OK;
}

void dirs_unmake(void)
{
    if (maker != getpid()) return;
    dirs_remove_empty(made, made_stood);
    maker = 0;
}

bool dirs_hold_only(const char *dir, const char *name)
{
    _Alignas(struct dirent64) char some[4096];
    bool only = true;
    ssize_t n = 0;
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return false;
    while (only && (n = getdents64(fd, some, sizeof some)) > 0)
        for (ssize_t at = 0; only && at < n;) {
            const struct dirent64 *entry = (const void *)(some + at);
            only = is_named(entry->d_name, name);
            at += entry->d_reclen;
        }
    close(fd);
    return only && !n;
}

/* The link runs/GROUP/NAME/latest, which leads to the newest of the directories with it. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/str.h"
#include "run/folder.h"

void folder_latest(const Folder *f)
{
    const char *slash = strrchr(f->dir, '/');
    const char *parent = slash ? str_print(f->arena, "%.*s/", (int)(slash - f->dir), f->dir) : "";
    const char *link = str_print(f->arena, "%slatest", parent);
    const char *fresh = str_print(f->arena, "%s.latest-%ld", parent, (long)getpid());
    struct stat st;
    if (!lstat(link, &st) && !S_ISLNK(st.st_mode)) return; /* the user's own file */
    if (symlink(slash ? slash + 1 : f->dir, fresh)) return;
    if (rename(fresh, link)) unlink(fresh);
}

/* Directories that are made on the way to an output, and go again where nothing comes of it. */
#ifndef BASE_DIRS_H
#define BASE_DIRS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

size_t dirs_standing(const char *path); /* the length of the longest beginning of the path that exists */
/* Removes the directory and those above it, as far as they are empty, down to the first `stood` bytes of the path. */
void dirs_remove_empty(const char *dir, size_t stood);
/* file_make_dir(); dirs_unmake() removes the directories that are still empty, from a signal handler, too. */
Status dirs_make(const char *dir);
void dirs_unmake(void);
bool dirs_hold_only(const char *dir, const char *name); /* a directory that holds that file and nothing else */

#endif

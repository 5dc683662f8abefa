/* Directories that are made on the way to an output, and go again where nothing comes of it. */
#ifndef BASE_DIRS_H
#define BASE_DIRS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

size_t dirs_standing(const char *path); /* how many bytes of the path, from its beginning, name what is there */
/* Removes the directory and those above it, as far as they are empty, down to the first `stood` bytes of the path. */
void dirs_remove_empty(const char *dir, size_t stood);
/* file_make_dir(), of which dirs_unmake() takes back what is still empty, from the handler of a signal, too. */
Status dirs_make(const char *dir);
void dirs_unmake(void);
bool dirs_hold_only(const char *dir, const char *name); /* a directory that holds that file and nothing else */

#endif

/* The lock file of a directory: one process works in it at a time.
 *
 * The file DIR/.lock holds the process and its machine, "12 host", and its Slurm job where it has one.  The system
 * gives the lock of an ended process back, so a file that such a process has left is no lock.  Any other file of this
 * name is rejected and kept. */
#ifndef RUN_LOCK_H
#define RUN_LOCK_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/err.h"

#define LOCK_NAME ".lock"

/* Opens and takes the lock file, which the process's jobs hold with it.  E_IO: another process has it.  E_FORMAT: the
 * file is not a lock of this program. */
Status lock_take(int *fd, Arena *, const char *dir);
bool lock_held(const char **who, Arena *, const char *dir); /* by another process; takes and changes nothing */
void lock_give(int *fd, Arena *, const char *dir); /* removes it; fd becomes -1 */

#endif

/* A directory that a command fills, as folder.h has it, with every option of the command as a setting. */
#ifndef CLI_OUTPUT_H
#define CLI_OUTPUT_H

#include "cli/command.h"
#include "run/folder.h"

/* What `name` is in a message, "--out" or "OUT"; operands from `first` on name files.  The files that options and
 * operands name count by what they hold.  dir NULL: runs/COMMAND/HASH, with the link runs/COMMAND/latest. */
Status output_open(Folder *out, const Args *, const char *name, const char *dir, int first);
bool output_there(const Folder *, const Args *); /* the result is there already, which is said */
/* The command has ended with this status: the directory holds the result, or is as it was before; with `keep`, what
 * was done stays for a later command, unless its input made it vain. */
Status output_close(Folder *, Status, bool keep);

#endif

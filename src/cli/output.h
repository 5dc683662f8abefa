/* A directory that a command fills, as folder.h has it, with every option of the command as a setting. */
#ifndef CLI_OUTPUT_H
#define CLI_OUTPUT_H

#include "cli/command.h"
#include "run/folder.h"

/* Messages call it `name`, "--out" or "OUT"; operands from `first` on name files.  Files that options and operands
 * name count by their content.  dir NULL: runs/COMMAND/HASH, with the link runs/COMMAND/latest. */
Status output_open(Folder *out, const Args *, const char *name, const char *dir, int first);
bool output_there(const Folder *, const Args *); /* the result is there already, and a message reports it */
/* The command has ended with this status: the directory has the result, or is as it was before.  With `keep`, the
 * work stays for a later command, unless the fault is in its input. */
Status output_close(Folder *, Status, bool keep);

#endif

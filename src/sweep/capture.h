/* A cell whose command prints its result: the command runs below this process, and its output becomes a file of a
 * directory of its own (run/folder.h). */
#ifndef SWEEP_CAPTURE_H
#define SWEEP_CAPTURE_H

#include <stdbool.h>

#include "base/arena.h"

/* This process becomes the program with these words; the first is the command's name. */
_Noreturn void capture_become(Arena *, const char *const *word);
/* Runs the command and returns its exit code.  Its output is DIR/output.json where the words ask for JSON, else
 * output.csv or output.txt.  `file`: the command writes a file, which is DIR/output. */
int capture(Arena *, const char *dir, bool file, const char *const *word);
#define CAPTURE_JSON "output.json"

#endif

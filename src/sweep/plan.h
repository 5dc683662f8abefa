/* A sweep: one command, the words that all its cells share, and the cells.  It is kept as DIR/sweep.json, from which
 * a task of a batch system takes its cell, and which a later command of the same words extends.  Cells keep their
 * numbers when others are added. */
#ifndef SWEEP_PLAN_H
#define SWEEP_PLAN_H

#include "cli/command.h"
#include "sweep/space.h"

typedef struct {
    const char *name;   /* of its directory below DIR */
    const char **value; /* one for each key */
} Cell;

typedef struct {
    const Command *command;
    const char **option, **operand, **key; /* words of options and their values; operands; settings that vary */
    int options, operands, keys;
    int64_t n;
    Cell *cell;
} Plan;

/* How the command of a cell leaves its result. */
typedef enum {
    LEAVES_DIR,    /* it fills the directory --out DIR */
    LEAVES_FILE,   /* it writes --out FILE */
    LEAVES_OUTPUT, /* it prints */
} Leaves;
Leaves plan_leaves(const Plan *);

/* Divides the words behind "vernier sweep": those that are options of `sweep` itself go to own[0..n_own).  E_CONFIG:
 * no such command, a setting that nobody takes or that is given twice, and the faults of space.h. */
Status plan_read(Plan *, Arena *, const Command *sweep, int n, const char *const *word, const char **own, int *n_own);
/* The cells: all combinations, at most so many.  E_CONFIG: more, or two of one name. */
Status plan_cells(Plan *, Arena *, int64_t most);
/* The options of every cell, as its command checks them without working.  The error names the first that it rejects
 * and says how many more there are. */
Status plan_check(const Plan *, Arena *, const char *dir);

/* The words of a cell's command, which begin with the command's name, with a NULL behind; *n of them.  `out` is the
 * value of --out, or NULL. */
const char **plan_argv(int *n, const Plan *, Arena *, int64_t cell, const char *out);
/* They as a line for a shell. */
const char *plan_line(Arena *, int n, const char *const *word);
const char *shell_word(Arena *, const char *);

const char *plan_path(Arena *, const char *dir);
/* E_FORMAT: sweep.json is damaged, or of a command that this program has not. */
Status plan_load(Plan *, Arena *, const char *dir);
/* Puts the cells that DIR/sweep.json has already before these.  E_CONFIG: DIR has another sweep, which `overwrite`
 * replaces, or other files. */
Status plan_join(Plan *, Arena *, const char *dir, bool overwrite);
Status plan_save(const Plan *, Arena *, const char *dir); /* writes sweep.json, and makes DIR and DIR/logs */
bool plan_gives(const Plan *, const char *option);        /* an option has a fixed value, or varies */

#endif

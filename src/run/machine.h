/* The machine as this process uses it: cores, floating-point traps, processor time and memory. */
#ifndef RUN_MACHINE_H
#define RUN_MACHINE_H

#include <stdbool.h>
#include <sys/resource.h>

#include "base/arena.h"
#include "base/err.h"

const char *machine_cpu_model(Arena *); /* "unknown" where the system does not report it */

int machine_threads(void); /* the cores that this process may use, or the number set */
/* E_ALLOC: the buffers of the matrix products do not fit into the address space. */
Status machine_use_threads(int n);

/* With traps allowed, machine_trap(true) makes invalid operations, overflows and divisions by zero end the program
 * from here on.  They are for an experiment's own arithmetic: statistics and drawing use NaN on purpose. */
void machine_allow_traps(bool);
void machine_trap(bool on);

double machine_rusage_seconds(const struct rusage *); /* user and system time */
double machine_cpu_now(void);                         /* of this process so far */
void machine_forget_peak(void);                       /* a run's peak is not that of the run before it */

#endif

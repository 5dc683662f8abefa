/* Where the time of a run goes, by kind of kernel and by direction.  Off unless somebody asks: then a kernel pays one
 * test of a flag, and nothing is measured.
 *
 *     profile_begin();
 *     ... forward and backward passes, updates ...
 *     Profile p = profile_end();
 *
 * Matrix products and attention report themselves.  The other kernels are called through their table (kernels.h), and
 * a profiled run gets a table that measures.  Times are by the clock, in the thread that calls a kernel, so the wait
 * for the slowest thread counts to the kernel.  `rest` is what no kernel accounts for: copies, making batches,
 * bookkeeping.  The system's share, mostly the clearing of fresh pages, is contained in all of these. */
#ifndef NUM_PROFILE_H
#define NUM_PROFILE_H

#include <stdbool.h>

#include "base/str.h"
#include "num/kernels.h"

typedef enum {
    PROFILE_PRODUCTS,
    PROFILE_ATTENTION,
    PROFILE_NORMS,
    PROFILE_ACTIVATIONS,
    PROFILE_DROPOUT,
    PROFILE_SUMS, /* of tensors: residuals, scaled sums, gradients that accumulate; and rows of tables */
    PROFILE_LOSSES,
    PROFILE_OPTIMISER,
    PROFILE_KINDS
} ProfileKind;
extern const char *const PROFILE_NAME[PROFILE_KINDS];

typedef struct {
    double forward[PROFILE_KINDS], backward[PROFILE_KINDS]; /* seconds; the optimiser's count as backward */
    double total, rest;                                     /* by the clock */
    double system;                                          /* processor seconds spent in the system */
    long pages;                                             /* that the system handed out */
} Profile;

void profile_begin(void); /* from zero on */
Profile profile_end(void);
void profile_print(Buf *, const Profile *); /* a table of seconds and shares */

/* ---- for kernels and the tape */
extern bool profile_runs;
double profile_clock(void);
void profile_add(ProfileKind, double start);
void profile_backward(bool); /* the passes that follow go back */
const Kernels *profile_kernels(const Kernels *);

static inline double profile_enter(void)
{
    return profile_runs ? profile_clock() : 0;
}
static inline void profile_leave(ProfileKind kind, double start)
{
    if (profile_runs) profile_add(kind, start);
}

#endif

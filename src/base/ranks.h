/* Ranks: the processes of one command that mpirun or srun has started, on one machine or on many.
 *
 * Every rank runs the whole command, in step with the others: it reads the same files and comes to the same decisions.
 * What takes time is shared out.  A training step computes the shards of a batch (train/shards.h), and a pass without
 * gradients computes the batches that a rank owns:
 *
 *     for (int64_t i = 0; i < n; i++)
 *         if (ranks_own(i)) out[i] = work(i);            out was cleared before
 *     TRY(ranks_unite(status, out, sizeof *out * n));
 *
 * Rank 0 alone prints, and writes files: a writer (base/file.h) of any other rank goes nowhere, and waits until the
 * file is there.  Directories are shared between the machines.
 *
 * Functions with "all" in their comment are called by every rank at the same point.  Before they exchange anything
 * they exchange states.  A rank that has failed anywhere else meets the others in ranks_end(), so they learn of it at
 * their next such call and end with the same status and message.  A program that was started as it is has one rank, for
 * which all of this does nothing. */
#ifndef BASE_RANKS_H
#define BASE_RANKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* `signal` gives the last signal that this process has seen, or 0.  E_CONFIG: several processes were started and the
 * program was built without MPI. */
Status ranks_open(int (*signal)(void));
Status ranks_end(Status); /* all: what the program ends with, before it is printed */
void ranks_close(void);   /* all: afterwards */

int ranks_size(void);
int ranks_rank(void);
bool ranks_first(void);    /* rank 0, or the only one */
bool ranks_write(void);    /* this one's files are written */
bool ranks_launched(void); /* mpirun or srun has started the program, with one rank or more */
int ranks_here(void);      /* how many of them are on this machine */
int ranks_cores(void);     /* cores of this rank; 0: what the process has */
int ranks_signal(void);    /* a signal that one of the ranks had seen when they last met, or 0 */
bool ranks_own(int64_t item);

/* Between the two, this rank alone does what the others do not, and files are written as by a program of its own. */
void ranks_apart(bool apart);

Status ranks_agree(Status);                           /* all: the first rank's that failed; OK when none has */
Status ranks_tell(Status, void *data, size_t bytes);  /* all: rank 0's data */
Status ranks_unite(Status, void *data, size_t bytes); /* all: the bits that any rank has set */
Status ranks_same(Status, const char *what, const char *value); /* all: E_MISMATCH unless each has the same value */
/* all: of vectors whose stretch r is [cut[r], cut[r+1]), in elements of 4 or 8 bytes.  deal: rank r gets stretch r of the
 * vector of each rank s that gives, at in[s].  collect: every rank gets the stretches that the others have. */
void ranks_deal(void *const *in, const void *mine, const int64_t *cut, const bool *gives, int width);
void ranks_collect(void *all, const int64_t *cut, int width);
void ranks_check(double); /* must be the same number on all when they meet next */

typedef struct {
    double messages, bytes, seconds; /* sent by this rank; spent in exchanges, the waiting for others included */
} RanksCount;
RanksCount ranks_count(void);

#endif

/* The few messages that ranks exchange (ranks.h), over MPI.  wire.c is the only file that includes mpi.h; without
 * `make MPI=1` there is one rank, and a start of several processes is recognised by their environment.  Every function
 * but the first four is called by all ranks at once.  A rank that is lost ends the program with a sentence. */
#ifndef BASE_WIRE_H
#define BASE_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct {
    int rank, size;
    bool launched; /* by mpirun or srun, though it may be alone */
    int here;      /* ranks on this machine */
} Wire;
typedef struct {
    double messages, bytes; /* that this rank has sent */
    double waited;          /* seconds in exchanges */
} WireCount;
bool wire_built(void);       /* with MPI */
Wire wire_environment(void); /* as the environment of mpirun or srun has it */
Wire wire_open(int *cores);  /* of the processor that belong to this rank alone */
WireCount wire_count(void);  /* so far */
void wire_close(void);
void wire_gather(void *all, const void *mine, size_t bytes); /* (size, bytes): what each rank has */
void wire_tell(void *data, size_t bytes, int from);          /* a copy of one rank's */
/* Bits that any rank has set.  Of data of which every rank has left zero what others computed, this is the whole. */
void wire_unite(void *data, size_t bytes);
/* Elements of `width` bytes (4 or 8); cut (size + 1): stretch r of a vector is [cut[r], cut[r+1]).
 * deal: stretch r of the vector of each rank s that `gives` goes to rank r, where it lies at in[s].
 * collect: every rank gets all stretches, each from its rank; all[cut[rank]...] is this rank's own. */
void wire_deal(void *const *in, const void *mine, const int64_t *cut, const bool *gives, int width);
void wire_collect(void *all, const int64_t *cut, int width);

#endif

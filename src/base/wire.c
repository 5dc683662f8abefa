/* Ranks wait by asking again and again, as MPI does, but for a limited time: a rank whose machine has left the
 * network would otherwise be waited for until TCP gives up, a quarter of an hour later. */
#include "base/wire.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/print.h"
#include "base/str.h"

/* A number of the environment, or `otherwise`. */
static int64_t number(const char *name, int64_t otherwise)
{
    int64_t x;
    const char *text = getenv(name);
    return text && str_int(text, &x) ? x : otherwise;
}

Wire wire_environment(void)
{
    static const struct {
        const char *size, *rank;
    } LAUNCHER[] = {{"OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK"}, /* Open MPI's mpirun */
                    {"PMI_SIZE", "PMI_RANK"},                         /* MPICH's, and srun --mpi=pmi2 */
                    {"SLURM_STEP_NUM_TASKS", "SLURM_PROCID"}};        /* srun; a batch script has no such step */
    for (size_t i = 0; i < sizeof LAUNCHER / sizeof *LAUNCHER; i++) {
        int64_t size = number(LAUNCHER[i].size, 0), rank = number(LAUNCHER[i].rank, -1);
        if (size > 0 && rank >= 0 && rank < size)
            return (Wire){.rank = (int)rank, .size = (int)size, .launched = true};
    }
    return (Wire){.size = 1};
}

static WireCount count;

WireCount wire_count(void)
{
    return count;
}

#ifndef VERNIER_MPI

bool wire_built(void)
{
    return false;
}

Wire wire_open(int *cores)
{
    *cores = 0;
    return (Wire){.size = 1, .here = 1};
}

void wire_close(void)
{
}

void wire_gather(void *all, const void *mine, size_t bytes)
{
    memcpy(all, mine, bytes);
}

void wire_tell(void *data, size_t bytes, int from)
{
    (void)data, (void)bytes, (void)from;
}

void wire_unite(void *data, size_t bytes)
{
    (void)data, (void)bytes;
}

void wire_deal(void *const *in, const void *mine, const int64_t *cut, const bool *gives, int width)
{
    if (gives[0]) memcpy(in[0], mine, (size_t)(cut[1] * width));
}

void wire_collect(void *all, const int64_t *cut, int width)
{
    (void)all, (void)cut, (void)width;
}

#else
#include <mpi.h>

enum { PATIENCE = 1800, MOST = 1 << 30 }; /* seconds; bytes or elements in one message */
static Wire wire;
static double patience;
static Arena memory;
static cpu_set_t cores_before; /* as the launcher has bound this process */

bool wire_built(void)
{
    return true;
}

/* The first rank speaks at once and ends the job; the others, whom that ends, would say the same.  Where it is the
 * one that is lost, the second one speaks. */
static _Noreturn void lost(const char *what)
{
    enum { LATER = 10 }; /* seconds */
    print_loudly();
    if (wire.rank && nanosleep(&(struct timespec){wire.rank > 1 ? 2 * LATER : LATER, 0}, NULL))
        _exit(err_exit_status(E_NUMERIC)); /* a signal: the launcher ends the others, so one has spoken */
    print_err("vernier: rank %d of %d lost another rank (%s); the same command goes on from what was saved, with any "
              "number of ranks\n",
              wire.rank, wire.size, what);
    fflush(stdout);
    MPI_Abort(MPI_COMM_WORLD, err_exit_status(E_NUMERIC));
    _exit(err_exit_status(E_NUMERIC));
}

static void check(int code)
{
    char text[MPI_MAX_ERROR_STRING];
    int n;
    if (code == MPI_SUCCESS) return;
    MPI_Error_string(code, text, &n);
    lost(text);
}

/* Between two questions other threads and ranks get the core; after a while the question is asked less often. */
static void wait_for(MPI_Request *request)
{
    const double eager = 0.01, began = clock_now();
    double now = began;
    for (int done = 0;;) {
        check(MPI_Test(request, &done, MPI_STATUS_IGNORE));
        now = clock_now();
        if (done) break;
        if (now - began > patience) lost("no answer within the time of VERNIER_RANK_TIMEOUT");
        if (now - began < eager)
            sched_yield();
        else
            nanosleep(&(struct timespec){0, 50000}, NULL);
    }
    count.waited += now - began;
}

static void sent(double messages, double bytes)
{
    count.messages += messages;
    count.bytes += bytes;
}

/* The cores of the processor that the launcher has given to this rank: its share, where neighbours have the same. */
static int own_cores(void)
{
    MPI_Comm node;
    int n, alike = 0;
    check(MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &node));
    MPI_Comm_size(node, &n);
    ArenaMark mark = arena_mark(&memory);
    cpu_set_t *all = NEW(&memory, cpu_set_t, n);
    check(MPI_Allgather(&cores_before, sizeof *all, MPI_BYTE, all, sizeof *all, MPI_BYTE, node));
    wire.here = n;
    for (int i = 0; i < n; i++) alike += CPU_EQUAL(&all[i], &cores_before);
    MPI_Comm_free(&node);
    arena_drop(&memory, mark);
    return CPU_COUNT(&cores_before) > alike ? CPU_COUNT(&cores_before) / alike : 1;
}

Wire wire_open(int *cores)
{
    int level;
    patience = (double)number("VERNIER_RANK_TIMEOUT", PATIENCE);
    memory = arena_open(0);
    if (sched_getaffinity(0, sizeof cores_before, &cores_before)) CPU_ZERO(&cores_before);
    MPI_Init_thread(NULL, NULL, MPI_THREAD_FUNNELED, &level);
    MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
    MPI_Comm_rank(MPI_COMM_WORLD, &wire.rank);
    MPI_Comm_size(MPI_COMM_WORLD, &wire.size);
    wire.launched = true;
    *cores = own_cores();
    return wire;
}

void wire_close(void)
{
    MPI_Finalize();
}

void wire_gather(void *all, const void *mine, size_t bytes)
{
    MPI_Request r;
    check(MPI_Iallgather(mine, (int)bytes, MPI_BYTE, all, (int)bytes, MPI_BYTE, MPI_COMM_WORLD, &r));
    wait_for(&r);
    sent(wire.size - 1, (double)bytes * (wire.size - 1));
}

void wire_tell(void *data, size_t bytes, int from)
{
    MPI_Request r;
    for (size_t at = 0, n; at < bytes; at += n) {
        n = bytes - at < MOST ? bytes - at : MOST;
        check(MPI_Ibcast((char *)data + at, (int)n, MPI_BYTE, from, MPI_COMM_WORLD, &r));
        wait_for(&r);
        if (wire.rank == from) sent(1, (double)n);
    }
}

void wire_unite(void *data, size_t bytes)
{
    MPI_Request r;
    for (size_t at = 0, n; at < bytes; at += n) {
        n = bytes - at < MOST ? bytes - at : MOST;
        check(MPI_Iallreduce(MPI_IN_PLACE, (char *)data + at, (int)n, MPI_BYTE, MPI_BOR, MPI_COMM_WORLD, &r));
        wait_for(&r);
        sent(1, (double)n);
    }
}

static MPI_Datatype type_of(int width)
{
    CHECK(width == 4 || width == 8, "elements of %d bytes are exchanged", width);
    return width == 4 ? MPI_FLOAT : MPI_DOUBLE;
}

static int length(const int64_t *cut, int rank)
{
    CHECK(cut[rank + 1] - cut[rank] < MOST, "a message of %lld elements", (long long)(cut[rank + 1] - cut[rank]));
    return (int)(cut[rank + 1] - cut[rank]);
}

/* Each rank receives at most one message of each other one; those to itself are copies. */
void wire_deal(void *const *in, const void *mine, const int64_t *cut, const bool *gives, int width)
{
    ArenaMark mark = arena_mark(&memory);
    MPI_Request *r = NEW(&memory, MPI_Request, 2 * wire.size);
    MPI_Datatype type = type_of(width);
    int n = 0, me = wire.rank;
    for (int i = 1; i < wire.size; i++) {
        int from = (me - i + wire.size) % wire.size;
        if (gives[from]) check(MPI_Irecv(in[from], length(cut, me), type, from, 0, MPI_COMM_WORLD, &r[n++]));
    }
    for (int i = 1; i < wire.size && gives[me]; i++) {
        int to = (me + i) % wire.size;
        const char *at = (const char *)mine + cut[to] * width;
        check(MPI_Isend(at, length(cut, to), type, to, 0, MPI_COMM_WORLD, &r[n++]));
        sent(1, (double)length(cut, to) * width);
    }
    if (gives[me]) memcpy(in[me], (const char *)mine + cut[me] * width, (size_t)length(cut, me) * (size_t)width);
    for (int i = 0; i < n; i++) wait_for(&r[i]);
    arena_drop(&memory, mark);
}

void wire_collect(void *all, const int64_t *cut, int width)
{
    ArenaMark mark = arena_mark(&memory);
    MPI_Request *r = NEW(&memory, MPI_Request, 2 * wire.size);
    MPI_Datatype type = type_of(width);
    int n = 0, me = wire.rank;
    for (int i = 1; i < wire.size; i++) {
        int from = (me - i + wire.size) % wire.size;
        char *at = (char *)all + cut[from] * width;
        check(MPI_Irecv(at, length(cut, from), type, from, 1, MPI_COMM_WORLD, &r[n++]));
    }
    for (int i = 1; i < wire.size; i++) {
        const char *own = (const char *)all + cut[me] * width;
        check(MPI_Isend(own, length(cut, me), type, (me + i) % wire.size, 1, MPI_COMM_WORLD, &r[n++]));
        sent(1, (double)length(cut, me) * width);
    }
    for (int i = 0; i < n; i++) wait_for(&r[i]);
    arena_drop(&memory, mark);
}

#endif

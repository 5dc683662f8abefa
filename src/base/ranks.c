/* Whenever ranks meet, each shows a card: at which call it is, its status, a signal, a number to compare.  The first
 * rank whose status is not OK tells the others its message, and from then on nobody waits for anybody. */
#include "base/ranks.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/print.h"
#include "base/wire.h"

typedef enum { AGREE, TELL, UNITE, SAME, END } Place;
typedef struct {
    int32_t place, status, signal, unused;
    double number;
} Card;

static struct {
    Wire wire;
    int cores, apart, signal;
    int (*seen)(void);
    double number;
    bool open; /* MPI is */
    bool over; /* a rank has failed: the ranks do not meet again */
    Arena arena;
    Card *cards;
} ranks = {.wire = {.size = 1, .here = 1}};

int ranks_size(void)
{
    return ranks.apart ? 1 : ranks.wire.size;
}

int ranks_rank(void)
{
    return ranks.wire.rank;
}

bool ranks_first(void)
{
    return !ranks.wire.rank;
}

bool ranks_write(void)
{
    return ranks_first() || ranks.apart;
}

bool ranks_launched(void)
{
    return ranks.wire.launched;
}

int ranks_here(void)
{
    return ranks.wire.here;
}

int ranks_cores(void)
{
    return ranks.cores;
}

int ranks_signal(void)
{
    return ranks.signal;
}

bool ranks_own(int64_t item)
{
    return item % ranks_size() == (ranks.apart ? 0 : ranks.wire.rank);
}

void ranks_apart(bool apart)
{
    ranks.apart += apart ? 1 : -1;
}

void ranks_check(double number)
{
    ranks.number = number;
}

RanksCount ranks_count(void)
{
    WireCount c = wire_count();
    return (RanksCount){c.messages, c.bytes, c.waited};
}

/* ---- meeting */

static bool alone(void)
{
    return ranks_size() == 1 || ranks.over;
}

/* The message of rank `from` becomes that of all; which rank it was is told where only some have failed. */
static Status fail_with(int from, Status status)
{
    char text[1024 + 64] = "", host[40] = "";
    if (ranks.wire.rank == from) {
        gethostname(host, sizeof host - 1);
        if (from)
            snprintf(text, sizeof text, "rank %d of %d on %s: %s", from, ranks.wire.size, host, err_message());
        else
            snprintf(text, sizeof text, "%s", err_message());
    }
    wire_tell(text, sizeof text, from);
    ranks.over = true;
    err_clear();
    return err_fail(status, "%s", text);
}

static Status check_numbers(void)
{
    const Card *c = ranks.cards;
    for (int r = 1; r < ranks.wire.size; r++)
        if (memcmp(&c[r].number, &c->number, sizeof c->number) != 0) {
            ranks.over = true;
            return err_fail(
                E_NUMERIC,
                "rank %d computes otherwise than rank 0 (a gradient norm of %.17g, there %.17g); expected "
                "machines with the same kind of processor",
                r, c[r].number, c->number);
        }
    return OK;
}

static Status meet(Place place, Status mine)
{
    Card *c = ranks.cards;
    Card own = {.place = (int32_t)place, .status = mine, .signal = ranks.seen(), .number = ranks.number};
    wire_gather(c, &own, sizeof own);
    for (int r = 0; r < ranks.wire.size; r++)
        if (c[r].status) return fail_with(r, (Status)c[r].status);
    for (int r = 0; r < ranks.wire.size; r++) {
        CHECK(c[r].place == c->place, "rank %d is at %d, and rank 0 at %d", r, c[r].place, c->place);
        if (!ranks.signal) ranks.signal = c[r].signal;
    }
    return check_numbers();
}

Status ranks_agree(Status mine)
{
    return alone() ? mine : meet(AGREE, mine);
}

Status ranks_tell(Status mine, void *data, size_t bytes)
{
    if (alone()) return mine;
    TRY(meet(TELL, mine));
    wire_tell(data, bytes, 0);
    return OK;
}

Status ranks_unite(Status mine, void *data, size_t bytes)
{
    if (alone()) return mine || !ranks.over ? mine : err_status();
    TRY(meet(UNITE, mine));
    wire_unite(data, bytes);
    return OK;
}

Status ranks_same(Status mine, const char *what, const char *value)
{
    enum { MOST = 256 };
    if (alone()) return mine;
    TRY(meet(SAME, mine));
    ArenaMark mark = arena_mark(&ranks.arena);
    char *all = NEW(&ranks.arena, char, MOST *ranks.wire.size), own[MOST] = "";
    snprintf(own, sizeof own, "%s", value);
    wire_gather(all, own, sizeof own);
    Status s = OK;
    for (int r = 1; !s && r < ranks.wire.size; r++)
        if (strcmp(all, all + r * MOST) != 0)
            s = err_fail(E_MISMATCH, "rank %d has %s %s, and rank 0 %s; expected the same on all", r, what,
                         all + r * MOST, all);
    if (s) ranks.over = true; /* all of them see it */
    arena_drop(&ranks.arena, mark);
    return s;
}

void ranks_deal(void *const *in, const void *mine, const int64_t *cut, const bool *gives, int width)
{
    wire_deal(in, mine, cut, gives, width);
}

void ranks_collect(void *all, const int64_t *cut, int width)
{
    wire_collect(all, cut, width);
}

/* ---- the beginning and the end */

/* Processes that do not know of each other would do the same work several times, into the same files.  The first one
 * says so, for which the others wait: at the first that ends, the launcher ends all. */
static Status refuse(Wire started)
{
    if (started.rank) {
        ranks.wire.rank = started.rank; /* not the first: it is silent, too, where the launcher ends it */
        print_quietly();
        nanosleep(&(struct timespec){1, 0}, NULL);
    }
    if (!wire_built())
        return err_fail(E_CONFIG,
                        "%d processes were started together, and this program was built without MPI (make MPI=1); "
                        "expected one process",
                        started.size);
    return err_fail(E_CONFIG,
                    "%d processes were started together, and MPI sees only one; expected its own mpirun, or srun "
                    "--mpi=pmix",
                    started.size);
}

Status ranks_open(int (*signal)(void))
{
    Wire started = wire_environment();
    ranks.seen = signal;
    if (!started.launched) return OK;
    if (!wire_built()) return started.size > 1 ? refuse(started) : OK;
    ranks.wire = wire_open(&ranks.cores);
    ranks.open = true;
    if (ranks.wire.size == 1) return started.size > 1 ? refuse(started) : OK;
    ranks.arena = arena_open(0);
    ranks.cards = NEW(&ranks.arena, Card, ranks.wire.size);
    if (ranks.wire.rank) print_quietly();
    return OK;
}

Status ranks_end(Status mine)
{
    return alone() ? mine : meet(END, mine);
}

/* A launcher ends all ranks when one ends with an error, so they wait until the first one has printed it. */
void ranks_close(void)
{
    char mine = 0;
    if (!ranks.open) return;
    if (ranks.wire.size > 1) wire_gather(NEW(&ranks.arena, char, ranks.wire.size), &mine, sizeof mine);
    wire_close();
    ranks.open = false;
}

/* Eager reverse mode.  An op computes its value now and, when a gradient will be wanted, records how to go
 * back.  Vars live on the step arena and die with its mark; their buffers come from a pool on that arena and
 * are reused within the step.
 *
 * Lifetime of a value.  A function that builds several Vars and returns one brackets them in a scope:
 *
 *     int mark = tape_enter(t);
 *     Var *h = op_linear(...), *y = op_linear(t, h, ...);
 *     return tape_leave(t, mark, y);      everything but y that no backward needs is recycled
 *
 * After tape_leave only the returned Var may be used.  An op declares with the KEEP bits which values its backward
 * reads; such values stay until that backward has run, or, where their own op can compute them again from values it
 * saved, go with their scope and are computed again by the first backward.  A gradient's buffer is recycled as soon
 * as the op that made the Var has gone back.  Vars made outside any scope live until the step ends.
 *
 * Not thread-safe: one tape belongs to one thread (kernels inside it may be parallel). */
#ifndef AD_TAPE_H
#define AD_TAPE_H

#include "ad/param.h"
#include "base/arena.h"
#include "num/tensor.h"

typedef struct Tape Tape;
typedef struct Var Var;
typedef struct {
    const char *name;
    void (*backward)(Tape *, Var *out); /* adds into tape_grad(in[i]) for every in[i] with needs */
    /* Writes out->val again, with the same bytes, from the saved values; NULL where that is not cheap. */
    void (*rebuild)(Tape *, Var *out);
    bool half; /* an input may be a frozen weight in a narrow type (ad/wide.h) */
} Op;
enum { MAX_IN = 4 };
struct Var {
    Tensor val, grad; /* grad.data is NULL until it is needed */
    const Op *op;     /* NULL: a leaf, or nothing below it needs a gradient */
    Var *in[MAX_IN];
    Param *param; /* whose gradient this is, or NULL */
    void *saved;  /* values that the op saved for its backward, on the step arena */
    bool needs;   /* a gradient is wanted here */
    bool keep;    /* a recorded backward will read val */
    bool owned;   /* val's buffer belongs to the tape's pool */
    bool lasting; /* grad outlives the backward of the Var's op: leaves and parameters */
    bool loose;   /* no scope holds it: val lives until the step ends */
    bool shared;  /* a view reads the same buffer: val is not let go while it is kept */
};

Tape *tape_open(Arena *step, bool record); /* record false: values only, nothing is kept */
Arena *tape_arena(Tape *);                 /* the step arena, where an op saves values */
bool tape_records(const Tape *);
bool tape_replays(const Tape *); /* true while a checkpointed segment is recomputed */

Var *tape_leaf(Tape *, Tensor val);  /* a constant; the caller keeps the data alive */
Var *tape_input(Tape *, Tensor val); /* a leaf with a gradient, left in ->grad by tape_backward */
Var *tape_param(Tape *, Param *);    /* its gradient adds into the Param's; NULL stays NULL */
/* A parameter that is read as a function of itself and of others: wherever tape_param() is asked for `of`, it answers
 * fn(base).  Several for one parameter act one after the other. */
typedef struct Derived {
    const Param *of;
    Var *(*fn)(Tape *, Var *base, void *user);
    void *user;
    struct Derived *next;
} Derived;
void tape_derive(Tape *, const Derived *); /* from now on; the list outlives the tape */
double tape_scalar(const Var *);           /* the value of a one-element Var */
void tape_backward(Tape *, Var *scalar);   /* once per tape */

/* x again, with a gradient of its own that is added to x's when its users have gone back: users are grouped, so
 * the order in which a shared value's gradient adds up does not depend on checkpointing. */
Var *tape_view(Tape *, Var *x);

/* ---- for scopes */
int tape_enter(Tape *);
Var *tape_leave(Tape *, int mark, Var *result); /* result may be NULL */
/* Leaves and enters again with the result inside: a loop that carries one Var from turn to turn. */
Var *tape_renew(Tape *, int mark, Var *result);

/* ---- for ops */
enum { KEEP_0 = 1, KEEP_1 = 2, KEEP_2 = 4, KEEP_3 = 8, KEEP_OUT = 16 };
Tensor tape_alloc(Tape *, DType, int rank, const int64_t *dim); /* from the pool, not cleared */
void tape_free(Tape *, Tensor); /* back to the pool: temporaries, saved tensors after use */
bool tape_needs(const Tape *, const Var *a, const Var *b, const Var *c, const Var *d); /* would an op be recorded? */
/* The new Var of an op with value `val` (which the pool owns from now on) and inputs a..d (NULL where absent).
 * Recorded only when tape_needs() of the inputs; `keep` then declares which values the backward will read. */
Var *tape_push(Tape *, const Op *, Tensor val, Var *a, Var *b, Var *c, Var *d, unsigned keep);
Tensor tape_grad(Tape *, Var *, bool *fresh); /* *fresh: uninitialised, overwrite it; else add.  NULL: of zeros */
void tape_pass(Tape *, Var *in, Var *out);    /* in's gradient += out's; may take over the buffer: call it last */

/* ---- checkpointing: run a segment unrecorded now, and again, recorded, in the backward.  The segment must be a
 * function of its inputs, its parameters and ctx alone (dropout streams come from names, so they repeat). */
typedef Var *SegmentFn(Tape *, Var *const in[MAX_IN], void *ctx);
Var *tape_checkpoint(Tape *, SegmentFn *, void *ctx, Var *a, Var *b, Var *c,
                     Var *d); /* ctx lives as long as the step */

#endif

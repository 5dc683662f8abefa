/* The tape is an array of recorded Vars in creation order, which is already topological: backward is a loop.
 * Beside it stand the list of live Vars, by which a scope finds the values to recycle, and the pool: free lists of
 * buffers by exact size, because the same few sizes recur through a step. */
#include "ad/tape.h"

#include <string.h>

#include "base/err.h"
#include "num/profile.h"

enum { CLASSES = 512 };
typedef struct Block {
    struct Block *next;
} Block; /* a free buffer holds its own link */
typedef struct {
    size_t bytes[CLASSES];
    Block *free[CLASSES];
    int n;
    char *region; /* where gradients of parameters are laid, one behind the other: they stay to the end */
    size_t left;
} Pool;

typedef struct {
    Var **at;
    int n, room;
} VarList;

struct Tape {
    Arena *step;
    Pool *pool;
    VarList node, live; /* recorded Vars; Vars whose scope is still open */
    int depth;          /* of open scopes: without one, nothing is listed as live */
    bool record, replay;
    const Derived *derived;
};

static void list_add(VarList *l, Arena *a, Var *v)
{
    GROW(a, l->at, l->n, l->room, 256);
    l->at[l->n++] = v;
}

/* ---- pool */

static size_t rounded(size_t bytes)
{
    return (bytes + 63) & ~(size_t)63;
}

static int class_of(const Pool *p, size_t bytes)
{
    int i = 0;
    while (i < p->n && p->bytes[i] != bytes) i++;
    return i;
}

static void *pool_take(Tape *t, size_t bytes)
{
    int c = class_of(t->pool, bytes);
    Block *b = c < t->pool->n ? t->pool->free[c] : NULL;
    if (!b) return arena_take(t->step, bytes);
    t->pool->free[c] = b->next;
    return b;
}

static void pool_give(Tape *t, void *data, size_t bytes)
{
    Pool *p = t->pool;
    int c = class_of(p, bytes);
    if (c == CLASSES) return; /* more distinct sizes than classes: the buffer waits for the end of the step */
    if (c == p->n) {
        p->bytes[p->n++] = bytes;
        p->free[c] = NULL;
    }
    Block *b = data;
#ifdef VERNIER_DEBUG
    memset(data, 0xff, bytes); /* NaN in every float format: a read after recycling shows */
#endif
    b->next = p->free[c];
    p->free[c] = b;
}

/* Memory that is not given back before the step ends, out of the largest buffers that came free. */
static void *pool_carve(Tape *t, size_t bytes)
{
    Pool *p = t->pool;
    if (p->left < bytes) {
        int best = -1;
        for (int c = 0; c < p->n; c++)
            if (p->free[c] && p->bytes[c] >= bytes && (best < 0 || p->bytes[c] > p->bytes[best])) best = c;
        if (best < 0) return arena_take(t->step, bytes);
        p->region = pool_take(t, p->bytes[best]);
        p->left = p->bytes[best];
    }
    void *at = p->region;
    p->region += bytes;
    p->left -= bytes;
    return at;
}

Tensor tape_alloc(Tape *t, DType dtype, int rank, const int64_t *dim)
{
    Tensor x = tensor_over(NULL, dtype, rank, dim);
    size_t bytes = rounded(tensor_bytes(x));
    x.data = pool_take(t, bytes ? bytes : 64);
    return x;
}

void tape_free(Tape *t, Tensor x)
{
    size_t bytes = rounded(tensor_bytes(x));
    if (x.data) pool_give(t, x.data, bytes ? bytes : 64);
}

/* ---- tape */

static Tape *open_on(Arena *step, Pool *pool, bool record, bool replay)
{
    Tape *t = NEW(step, Tape, 1);
    *t = (Tape){.step = step, .pool = pool, .record = record, .replay = replay};
    return t;
}

Tape *tape_open(Arena *step, bool record)
{
    return open_on(step, NEW(step, Pool, 1), record, false);
}

Arena *tape_arena(Tape *t)
{
    return t->step;
}

bool tape_records(const Tape *t)
{
    return t->record;
}

bool tape_replays(const Tape *t)
{
    return t->replay;
}

Var *tape_leaf(Tape *t, Tensor val)
{
    Var *v = NEW(t->step, Var, 1);
    v->val = val;
    v->lasting = true;
    return v;
}

Var *tape_input(Tape *t, Tensor val)
{
    Var *v = tape_leaf(t, val);
    v->needs = t->record;
    return v;
}

Var *tape_param(Tape *t, Param *p)
{
    if (!p) return NULL;
    Var *v = tape_input(t, p->val);
    v->needs = t->record && p->trainable;
    CHECK(!p->trainable || !dtype_is_narrow(p->val.dtype), "%s is trainable and held in %s: param_train() widens it",
          p->name, dtype_name(p->val.dtype));
    v->param = p;
    for (const Derived *d = t->derived; d; d = d->next)
        if (d->of == p) v = d->fn(t, v, d->user);
    return v;
}

void tape_derive(Tape *t, const Derived *list)
{
    t->derived = list;
}

double tape_scalar(const Var *v)
{
    CHECK(tensor_count(v->val) == 1, "a scalar is read from a value of shape %s, expected one element",
          tensor_shape(v->val));
    return tensor_get(v->val, 0);
}

bool tape_needs(const Tape *t, const Var *a, const Var *b, const Var *c, const Var *d)
{
    return t->record && ((a && a->needs) || (b && b->needs) || (c && c->needs) || (d && d->needs));
}

Var *tape_push(Tape *t, const Op *op, Tensor val, Var *a, Var *b, Var *c, Var *d, unsigned keep)
{
    Var *v = NEW(t->step, Var, 1), *in[MAX_IN] = {a, b, c, d};
    for (int i = 0; i < MAX_IN && !op->half; i++)
        CHECK(!in[i] || !dtype_is_narrow(in[i]->val.dtype), "%s of a %s %s", op->name, dtype_name(in[i]->val.dtype),
              tensor_shape(in[i]->val));
    v->val = val;
    v->owned = true;
    v->loose = !t->depth;
    if (tape_needs(t, a, b, c, d)) {
        v->op = op;
        v->needs = true;
        v->keep = keep & KEEP_OUT;
        memcpy(v->in, in, sizeof in);
        for (int i = 0; i < MAX_IN; i++)
            if (in[i] && keep & 1u << i) in[i]->keep = true;
        list_add(&t->node, t->step, v);
    }
    if (t->depth) list_add(&t->live, t->step, v);
    return v;
}

int tape_enter(Tape *t)
{
    t->depth++;
    return t->live.n;
}

static void release_value(Tape *t, Var *v)
{
    if (!v->owned) return;
    tape_free(t, v->val);
    v->val.data = NULL;
    v->owned = false;
}

Var *tape_leave(Tape *t, int mark, Var *result)
{
    CHECK(t->depth > 0 && mark <= t->live.n, "a tape scope is left twice or out of order");
    bool ours = false;
    for (int i = mark; i < t->live.n; i++) {
        Var *v = t->live.at[i];
        if (v == result)
            ours = true;
        else if (!v->keep || (v->op && v->op->rebuild && !v->shared))
            release_value(t, v);
    }
    t->live.n = mark;
    t->depth--;
    if (ours && t->depth) list_add(&t->live, t->step, result); /* the enclosing scope decides about it */
    if (ours) result->loose = !t->depth;
    return result;
}

Var *tape_renew(Tape *t, int mark, Var *result)
{
    bool ours = false;
    for (int i = mark; i < t->live.n; i++) ours |= t->live.at[i] == result;
    tape_leave(t, mark, result);
    t->live.n = mark; /* the new scope takes over from the enclosing one */
    t->depth++;
    if (ours) {
        list_add(&t->live, t->step, result);
        result->loose = false;
    }
    return result;
}

static void view_backward(Tape *t, Var *out)
{
    tape_pass(t, out->in[0], out);
}

static const Op VIEW = {"view", view_backward, .half = true};

Var *tape_view(Tape *t, Var *x)
{
    if (!tape_needs(t, x, NULL, NULL, NULL)) return x;
    Var *v = tape_push(t, &VIEW, x->val, x, NULL, NULL, NULL, KEEP_0);
    v->owned = false; /* the buffer stays x's */
    x->shared = true;
    return v;
}

/* A parameter may have several Vars, on this tape and on others: they share the gradient at the parameter. */
static bool find_param_grad(Tape *t, Var *v)
{
    Param *p = v->param;
    bool made = !p->grad.data;
    if (made) {
        p->grad = tensor_over(NULL, p->val.dtype, p->val.rank, p->val.dim);
        p->grad.data = pool_carve(t, rounded(tensor_bytes(p->grad)));
    }
    v->grad = p->grad;
    return made;
}

Tensor tape_grad(Tape *t, Var *v, bool *fresh)
{
    CHECK(v->needs, "a gradient is read from a %s that needs none", v->op ? v->op->name : "leaf");
    bool made = !v->grad.data;
    if (made && v->param)
        made = find_param_grad(t, v);
    else if (made)
        v->grad = tape_alloc(t, v->val.dtype, v->val.rank, v->val.dim);
    if (fresh)
        *fresh = made;
    else if (made)
        memset(v->grad.data, 0, tensor_bytes(v->grad));
    return v->grad;
}

void tape_pass(Tape *t, Var *in, Var *out)
{
    if (!in->needs) return;
    if (!in->grad.data && !in->param && !out->lasting) {
        in->grad = tensor_reshape(out->grad, in->val.rank, in->val.dim);
        out->grad.data = NULL;
        return;
    }
    bool fresh;
    Tensor g = tape_grad(t, in, &fresh);
    if (fresh)
        memcpy(g.data, out->grad.data, tensor_bytes(g));
    else
        kernels_of(g.dtype)->add(g.data, g.data, 1, out->grad.data, tensor_count(g));
}

/* The kept inputs of an op as they were: those that were let go are computed again and stay until their own turn. */
static void rebuild_inputs(Tape *t, const Var *v)
{
    for (int i = 0; i < MAX_IN; i++) {
        Var *in = v->in[i];
        if (!in || !in->keep || in->val.data) continue;
        in->val = tape_alloc(t, in->val.dtype, in->val.rank, in->val.dim);
        in->owned = true;
        in->op->rebuild(t, in);
    }
}

static void go_back(Tape *t)
{
    for (int i = t->node.n; i-- > 0;) {
        Var *v = t->node.at[i];
        if (v->grad.data) {
            rebuild_inputs(t, v);
            v->op->backward(t, v);
        }
        if (v->grad.data && !v->lasting) tape_free(t, v->grad);
        if (!v->lasting) v->grad.data = NULL;
        if (!v->loose) release_value(t, v);
    }
    t->node.n = 0;
}

void tape_backward(Tape *t, Var *scalar)
{
    CHECK(tensor_count(scalar->val) == 1, "backward from a value of shape %s, expected one element",
          tensor_shape(scalar->val));
    if (!scalar->needs) return;
    Tensor g = tape_grad(t, scalar, NULL);
    tensor_set(g, 0, 1);
    profile_backward(true);
    go_back(t);
    profile_backward(false);
}

/* ---- checkpointing */

typedef struct {
    SegmentFn *fn;
    void *ctx;
} Segment;

static void checkpoint_backward(Tape *t, Var *out)
{
    const Segment *s = out->saved;
    Tape *again = open_on(t->step, t->pool, true, true);
    again->derived = t->derived;
    again->depth = 1; /* list every Var of the segment, so that all of them can be recycled below */
    Var *in[MAX_IN] = {0};
    for (int i = 0; i < MAX_IN; i++) {
        if (!out->in[i]) continue;
        in[i] = tape_leaf(again, out->in[i]->val);
        in[i]->needs = out->in[i]->needs;
    }
    Var *y = s->fn(again, in, s->ctx);
    y->grad = tensor_reshape(out->grad, y->val.rank, y->val.dim);
    out->grad.data = NULL; /* taken over by y */
    go_back(again);
    for (int i = 0; i < again->live.n; i++) release_value(again, again->live.at[i]);
    for (int i = 0; i < MAX_IN; i++) {
        if (in[i] && in[i]->needs && in[i]->grad.data) {
            Var from = *in[i];
            from.lasting = false;
            tape_pass(t, out->in[i], &from);
            if (from.grad.data) tape_free(t, from.grad);
        }
    }
}

static const Op CHECKPOINT = {"checkpoint", checkpoint_backward, .half = true};

Var *tape_checkpoint(Tape *t, SegmentFn *fn, void *ctx, Var *a, Var *b, Var *c, Var *d)
{
    Var *in[MAX_IN] = {a, b, c, d};
    bool record = t->record;
    t->record = false;
    int mark = tape_enter(t);
    Var *y = tape_leave(t, mark, fn(t, in, ctx));
    t->record = record;
    for (int i = 0; i < MAX_IN; i++)
        if (y == in[i]) return y; /* nothing was made: y belongs to whoever made it */
    if (!record || !y->owned) return y;
    /* Inputs that need no gradient still have to be there when the segment runs again; parameters inside the
     * segment may need gradients even if no input does, so the op is recorded whenever the tape records. */
    Var *out = NEW(t->step, Var, 1);
    *out = (Var){.val = y->val, .op = &CHECKPOINT, .needs = true, .owned = true, .loose = !t->depth};
    y->owned = false;
    memcpy(out->in, in, sizeof in);
    for (int i = 0; i < MAX_IN; i++)
        if (in[i]) in[i]->keep = true;
    Segment *s = NEW(t->step, Segment, 1);
    *s = (Segment){fn, ctx};
    out->saved = s;
    list_add(&t->node, t->step, out);
    if (t->depth) list_add(&t->live, t->step, out);
    return out;
}

/* The queries of the only layer depend on frozen weights alone, so their features enter the tape as constants. */
#include "theory/memory.h"

#include <math.h>
#include <string.h>

typedef struct {
    const char *phi;
    Param *m;
} Memory;

static double phi(const char *kind, double x)
{
    if (!strcmp(kind, "relu")) return fmax(x, 0);
    double elu = x > 0 ? x : expm1(x);
    return strcmp(kind, "elu+1") ? elu : elu + 1;
}

/* At HEADS a hook is given the queries and the mixed values. */
static Var *memory_hook(Pass *p, Where at, Var *q, Var *out, void *user)
{
    (void)at;
    const Memory *x = user;
    Tensor f = tensor_new(tape_arena(p->tape), q->val.dtype, q->val.rank, q->val.dim);
    for (int64_t i = 0; i < tensor_count(f); i++) tensor_set(f, i, phi(x->phi, tensor_get(q->val, i)));
    Var *m = tape_param(p->tape, x->m);
    return op_add(p->tape, out, 1, op_linear(p->tape, tape_leaf(p->tape, f), m, IN_OUT, NULL, ACT_NONE));
}

void memory_attach(Model *m, Hooks *hooks, const char *kind)
{
    Memory *x = NEW(m->run, Memory, 1);
    int64_t d = m->config.dim;
    *x = (Memory){kind, param_add(m->params, "memory", (Init){INIT_ZERO, 0}, SHAPE(d, d))};
    x->m->trainable = true;
    hook_add(hooks, (Where){SITE_HEADS, 0, PART_DECODER}, memory_hook, x);
}

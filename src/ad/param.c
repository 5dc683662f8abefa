/* The registry of parameters: an append-only array with a hash index by name. */
#include "ad/param.h"

#include <string.h>

#include "base/err.h"
#include "base/rng.h"
#include "base/str.h"
#include "num/matvec.h"

struct ParamSet {
    Arena *arena;
    DType dtype;
    uint64_t seed;
    Param **at;
    int n, room;
    int *slot; /* open addressing: 0 for empty, else index + 1 */
    int slots;
};

ParamSet *params_open(Arena *arena, DType dtype, uint64_t seed)
{
    CHECK(dtype == F32 || dtype == F64, "parameters are F32 or F64, not %s", dtype_name(dtype));
    ParamSet *ps = NEW(arena, ParamSet, 1);
    *ps = (ParamSet){.arena = arena, .dtype = dtype, .seed = seed};
    return ps;
}

static int *slot_of(const ParamSet *ps, const char *name)
{
    for (uint64_t i = rng_stream(0, name);; i++) {
        int *s = &ps->slot[i % (uint64_t)ps->slots];
        if (!*s || !strcmp(ps->at[*s - 1]->name, name)) return s;
    }
}

static void grow(ParamSet *ps)
{
    GROW(ps->arena, ps->at, ps->n, ps->room, 64);
    ps->slots = 2 * ps->room;
    ps->slot = NEW(ps->arena, int, ps->slots);
    for (int i = 0; i < ps->n; i++) *slot_of(ps, ps->at[i]->name) = i + 1;
}

static double draw(Init init, uint64_t stream, uint64_t i)
{
    switch (init.kind) {
    case INIT_LATER:
    case INIT_ZERO: return 0;
    case INIT_ONE: return 1;
    case INIT_NORMAL: return init.scale * rng_normal(stream, i);
    case INIT_UNIFORM: return init.scale * (2 * rng_uniform(stream, i) - 1);
    }
    return 0;
}

Param *param_add(ParamSet *ps, const char *name, Init init, int rank, const int64_t *dim)
{
    if (ps->n == ps->room) grow(ps);
    int *slot = slot_of(ps, name);
    CHECK(!*slot, "parameter %s is added twice", name);
    Param *p = NEW(ps->arena, Param, 1);
    p->arena = ps->arena;
    p->name = str_copy(ps->arena, name, strlen(name));
    bool later = init.kind == INIT_LATER;
    p->val = later ? tensor_over(NULL, ps->dtype, rank, dim) : tensor_new(ps->arena, ps->dtype, rank, dim);
    p->decay = rank > 1;
    uint64_t stream = rng_stream(ps->seed, name);
    int64_t n = later ? 0 : tensor_count(p->val);
#pragma omp parallel for schedule(static) if (n > 100000)
    for (int64_t i = 0; i < n; i++) tensor_set(p->val, i, draw(init, stream, (uint64_t)i));
    ps->at[ps->n++] = p;
    *slot = ps->n;
    return p;
}

Param *param_find(const ParamSet *ps, const char *name)
{
    if (!ps->slots) return NULL;
    int *slot = slot_of(ps, name);
    return *slot ? ps->at[*slot - 1] : NULL;
}

int params_n(const ParamSet *ps)
{
    return ps->n;
}

Param *params_at(const ParamSet *ps, int i)
{
    return ps->at[i];
}

Arena *params_arena(const ParamSet *ps)
{
    return ps->arena;
}

DType params_dtype(const ParamSet *ps)
{
    return ps->dtype;
}

uint64_t params_seed(const ParamSet *ps)
{
    return ps->seed;
}

int params_train(ParamSet *ps, const char *glob, bool trainable)
{
    int matched = 0;
    for (int i = 0; i < ps->n; i++) {
        Param *p = ps->at[i];
        if (!str_glob(glob, p->name)) continue;
        matched++;
        param_train(p, trainable);
    }
    return matched;
}

void param_train(Param *p, bool trainable)
{
    if (trainable) param_widen(p);
    p->trainable = trainable;
}

void param_widen(Param *p)
{
    if (!dtype_is_narrow(p->val.dtype)) return;
    Tensor wide = tensor_new(p->arena, F32, p->val.rank, p->val.dim);
    widen(wide.data, p->val.data, p->val.dtype, tensor_count(wide));
    p->val = wide;
}

void params_round(ParamSet *ps)
{
    for (int i = 0; i < ps->n; i++) {
        Param *p = ps->at[i];
        if (p->val.rank == 2 && p->val.dim[0] > 1 && p->val.dtype == F32 && !p->trainable)
            p->val = tensor_cast(ps->arena, p->val, BF16);
    }
}

int64_t params_bytes(const ParamSet *ps)
{
    int64_t n = 0;
    for (int i = 0; i < ps->n; i++) n += (int64_t)tensor_bytes(ps->at[i]->val);
    return n;
}

void params_zero_grad(ParamSet *ps)
{
    for (int i = 0; i < ps->n; i++) {
        Param *p = ps->at[i];
        if (!p->trainable) continue;
        if (p->lasting.data)
            memset(p->lasting.data, 0, tensor_bytes(p->lasting));
        else
            p->lasting = tensor_zero(ps->arena, p->val.dtype, p->val.rank, p->val.dim);
        p->grad = p->lasting;
    }
}

void params_drop_grad(ParamSet *ps)
{
    for (int i = 0; i < ps->n; i++) ps->at[i]->grad.data = NULL;
}

int64_t params_count(const ParamSet *ps, const char *glob, bool trainable_only)
{
    int64_t n = 0;
    for (int i = 0; i < ps->n; i++) {
        const Param *p = ps->at[i];
        if ((!glob || str_glob(glob, p->name)) && (p->trainable || !trainable_only)) n += tensor_count(p->val);
    }
    return n;
}

/* The adapter's head decides the model's classes, and its virtual tokens take positions away from the text. */
#include "adapter/model.h"

#include <string.h>

#include "base/str.h"
#include "nn/build.h"

void adapter_remarks(const Adapter *a, AdapterSay *say, void *user)
{
    for (int i = 0; say && i < a->n_remarks; i++) say(str_print(a->run, "%s: %s", a->dir, a->remark[i]), user);
}

static Status attach(Adapter *a, Model *m, Hooks *hooks, AdapterSay *say, void *user)
{
    TRY(adapter_attach(a, m, hooks));
    adapter_remarks(a, say, user);
    return OK;
}

/* Virtual tokens take positions from the text.  The config records this, so that every check of a length uses it. */
static Status take_positions(Model *m, const Adapter *a)
{
    enum { LEAST = 4 };
    int taken = adapter_positions(a), room = config_room(&m->config);
    if (!room || !taken) return OK;
    if (room - taken < LEAST)
        return err_fail(E_MISMATCH, "%s: its %d virtual tokens leave too few of the model's %d positions for a text",
                        a->dir, taken, room);
    m->config.positions -= taken;
    return OK;
}

Status model_with(Model **m, Hooks **hooks, Arena *arena, const char *dir, const char *path,
                  const LoadOptions *options, AdapterSay *say, void *user)
{
    *hooks = hooks_new(arena);
    LoadOptions with = *options;
    with.say = say;
    with.user = user;
    if (!path) return model_load_as(m, arena, dir, &with);
    Adapter *a;
    TRY(adapter_open(&a, arena, path));
    if (adapter_classes(a)) with.classes = adapter_classes(a);
    Status s = model_load_as(m, arena, dir, &with);
    if (!s) s = attach(a, *m, *hooks, say, user);
    if (!s) s = take_positions(*m, a);
    adapter_close(a);
    return s;
}

/* ---- several at once */

/* The base model of one adapter after the adapter was folded into it; *head: whether it brings one. */
static Status merged(Model **m, bool *head, Arena *arena, const char *dir, const char *path, const LoadOptions *how)
{
    Adapter *a;
    TRY(adapter_open(&a, arena, path));
    *head = adapter_classes(a) > 0;
    Status s = model_load_as(m, arena, dir, how);
    if (!s) s = attach(a, *m, hooks_new(arena), how->say, how->user);
    if (!s && !a->method->merge && !a->method->changes_base)
        s = err_fail(E_MISMATCH, "%s: %s changes no weights, so it cannot be added to another adapter", path,
                     a->method->name);
    if (!s && a->method->merge) s = a->method->merge(*m, &a->cfg);
    adapter_close(a);
    return s == E_CONFIG ? E_MISMATCH : s; /* it is a file's setting, not the user's */
}

/* m plus the difference of `now` and `before`; a head is taken as it is. */
static Status add_change(Model *m, const Model *before, const Model *now, bool head, const char *path)
{
    for (int i = 0; i < params_n(now->params); i++) {
        const Param *q = params_at(now->params, i), *p = param_find(before->params, q->name);
        Param *r = param_find(m->params, q->name);
        if (!strncmp(q->name, "peft.", 5)) continue;
        if (!p || !r)
            return err_fail(E_MISMATCH, "%s: %s comes apart from its table, so it cannot be added to another adapter",
                            path, q->name);
        bool whole = head && build_is_class_head(q->name), widened = false;
        for (int64_t j = 0; j < tensor_count(q->val); j++) {
            double x = tensor_get(q->val, j), d = x - tensor_get(p->val, j);
            if (!whole && d == 0) continue;
            if (!widened) param_widen(r), widened = true;
            tensor_set(r->val, j, whole ? x : tensor_get(r->val, j) + d);
        }
    }
    return OK;
}

/* The number of classes that one of them brings; E_MISMATCH: two bring a head. */
static Status classes_of(int *classes, Arena *arena, int n, const char *const *path)
{
    const char *first = NULL;
    for (int i = 0; i < n; i++) {
        Adapter *a;
        TRY(adapter_open(&a, arena, path[i]));
        int own = adapter_classes(a);
        adapter_close(a);
        if (own && first)
            return err_fail(E_MISMATCH, "%s and %s both bring a head, expected at most one", first, path[i]);
        if (own) first = path[i], *classes = own;
    }
    return OK;
}

Status model_with_all(Model **m, Hooks **hooks, Arena *arena, const char *dir, int n, const char *const *path,
                      const LoadOptions *options, AdapterSay *say, void *user)
{
    if (n < 2) return model_with(m, hooks, arena, dir, n ? path[0] : NULL, options, say, user);
    Model *before;
    LoadOptions with = *options;
    with.say = say, with.user = user;
    TRY(classes_of(&with.classes, arena, n, path));
    *hooks = hooks_new(arena);
    TRY(model_load_as(m, arena, dir, &with));
    with.say = NULL;
    Arena base = arena_open(0);
    Status s = model_load_as(&before, &base, dir, &with);
    for (int i = 0; i < n && !s; i++) {
        Arena own = arena_open(0); /* of one tuned model at a time */
        bool head = false;
        Model *now;
        s = merged(&now, &head, &own, dir, path[i], &with);
        if (!s) s = add_change(*m, before, now, head, path[i]);
        arena_close(&own);
    }
    arena_close(&base);
    return s;
}

Status shape_with(Model **m, Arena *arena, const Config *config, const char *path, AdapterSay *say, void *user)
{
    Adapter *a;
    Config c = *config;
    TRY(adapter_open(&a, arena, path));
    if (adapter_classes(a)) c.classes = adapter_classes(a);
    Status s = model_open_zeros(m, arena, &c, F32);
    if (!s) s = attach(a, *m, hooks_new(arena), say, user);
    adapter_close(a);
    return s;
}

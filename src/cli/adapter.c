/* A model with an adapter on it: the head that the adapter brings decides the model's classes, and its virtual
 * tokens take positions away from the text. */
#include "cli/adapter.h"

#include "base/print.h"

void print_remarks(const Adapter *a, const Args *args)
{
    for (int i = 0; i < a->n_remarks && !args_quiet(args); i++) print_err("%s: %s\n", a->dir, a->remark[i]);
}

static Status attach(Adapter *a, Model *m, Hooks *hooks, const Args *args)
{
    TRY(adapter_attach(a, m, hooks));
    print_remarks(a, args);
    return OK;
}

/* What the text can be shrinks by what virtual tokens take: every check of a length then knows. */
static Status take_positions(Model *m, const Adapter *a)
{
    enum { LEAST = 4 };
    int taken = adapter_positions(a), room = config_room(&m->config);
    if (!room || !taken) return OK;
    if (room - taken < LEAST)
        return fail(E_MISMATCH, "%s: its %d virtual tokens leave too few of the model's %d positions for a text",
                    a->dir, taken, room);
    m->config.positions -= taken;
    return OK;
}

Status model_with_adapter(Model **m, Hooks **hooks, const Args *args, Arena *arena, const char *dir,
                          const LoadOptions *options)
{
    return model_adapted(m, hooks, args, arena, dir, args_text(args, "adapter", NULL), options);
}

Status model_adapted(Model **m, Hooks **hooks, const Args *args, Arena *arena, const char *dir, const char *path,
                     const LoadOptions *options)
{
    *hooks = hooks_new(arena);
    if (!path) return model_load_as(m, arena, dir, options);
    Adapter *a;
    TRY(adapter_open(&a, arena, path));
    LoadOptions with = *options;
    if (adapter_classes(a)) with.classes = adapter_classes(a);
    Status s = model_load_as(m, arena, dir, &with);
    if (!s) s = attach(a, *m, *hooks, args);
    if (!s) s = take_positions(*m, a);
    adapter_close(a);
    return s;
}

Status shape_with_adapter(Model **m, const Args *args, const Config *config, const char *path)
{
    Adapter *a;
    Config c = *config;
    TRY(adapter_open(&a, args_arena(args), path));
    if (adapter_classes(a)) c.classes = adapter_classes(a);
    Status s = model_open_zeros(m, args_arena(args), &c, F32);
    if (!s) s = attach(a, *m, hooks_new(args_arena(args)), args);
    adapter_close(a);
    return s;
}

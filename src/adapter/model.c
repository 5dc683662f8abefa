/* The adapter's head decides the model's classes, and its virtual tokens take positions away from the text. */
#include "adapter/model.h"

#include "base/str.h"

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

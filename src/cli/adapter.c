/* A model with an adapter on it: the head that the adapter brings decides the model's classes, and its virtual
 * tokens take positions away from the text. */
#include "cli/adapter.h"

#include <unistd.h>

#include "base/print.h"
#include "base/str.h"
#include "io/gguf.h"
#include "nn/inspect.h"
#include "num/bf16.h"

static void print_line(const char *line, void *user)
{
    (void)user;
    print_err("%s\n", line);
}

AdapterSay *adapter_say(const Args *args)
{
    return args_quiet(args) ? NULL : print_line;
}

void print_remarks(const Adapter *a, const Args *args)
{
    adapter_remarks(a, adapter_say(args), NULL);
}

Status read_dtype(LoadOptions *options, const Args *args)
{
    static const char *const words[] = {"auto", "float32", "bf16", NULL};
    int dtype;
    TRY(args_word(&dtype, args, "dtype", 0, words));
    options->widen = dtype == 1;
    options->bf16 = dtype == 2;
    bf16_use(options->bf16);
    if (options->bf16 && !args_quiet(args)) print_err("products in BF16: %s\n", bf16_name());
    return OK;
}

Status read_load(LoadOptions *options, const Args *args)
{
    *options = (LoadOptions){.vocab_from_file = args_given(args, "vocab-from-file"), .say = adapter_say(args)};
    return read_dtype(options, args);
}

Status model_with_adapter(Model **m, Hooks **hooks, const Args *args, Arena *arena, const char *dir,
                          const LoadOptions *options)
{
    const char *path[ADAPTERS_AT_ONCE + 1];
    int n = args_all(args, "adapter", path, ADAPTERS_AT_ONCE + 1);
    if (n > ADAPTERS_AT_ONCE) return err_fail(E_CONFIG, "--adapter is given more than %d times", ADAPTERS_AT_ONCE);
    LoadOptions with = *options;
    with.vocab_from_file = args_given(args, "vocab-from-file");
    return model_with_all(m, hooks, arena, dir, n, path, &with, adapter_say(args), NULL);
}

Status model_adapted(Model **m, Hooks **hooks, const Args *args, Arena *arena, const char *dir, const char *path,
                     const LoadOptions *options)
{
    LoadOptions with = *options;
    with.vocab_from_file = args_given(args, "vocab-from-file");
    return model_with(m, hooks, arena, dir, path, &with, adapter_say(args), NULL);
}

Status shape_with_adapter(Model **m, const Args *args, const Config *config, const char *path)
{
    return shape_with(m, args_arena(args), config, path, adapter_say(args), NULL);
}

/* The base's weights are read if they are there, because they show which heads it has.  Otherwise its shape is
 * enough. */
Status adapter_base(Model **m, const Args *args, const Adapter *a)
{
    const char *dir = args_text(args, "base", a->base);
    Arena *arena = args_arena(args);
    /* vernier tune keeps a base that it made beside the adapter, as "./encoder" */
    if (dir && dir == a->base && *dir == '.') {
        const char *beside = str_print(arena, "%s/%s", a->dir, dir);
        if (file_is_dir(beside)) dir = beside;
    }
    if (!dir || !*dir)
        return err_fail(E_CONFIG, "%s: its config names no base model; name it with --base MODEL", a->dir);
    const char *gguf;
    TRY(gguf_find(&gguf, arena, dir));
    if (!gguf && access(str_print(arena, "%s/config.json", dir), F_OK))
        return err_fail(E_IO, "%s: its base model %s is not a directory here; name it with --base MODEL", a->dir,
                        dir);
    Weights *w;
    Config c;
    if (!weights_open(&w, arena, dir)) {
        weights_close(w);
        return model_load_as(m, arena, dir, &(LoadOptions){.classes = adapter_classes(a), .say = adapter_say(args)});
    }
    err_clear();
    TRY(config_load(&c, dir));
    if (adapter_classes(a)) c.classes = adapter_classes(a);
    return model_open_zeros(m, arena, &c, F32);
}

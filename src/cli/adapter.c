/* A model with an adapter on it: the head that the adapter brings decides the model's classes, and its virtual
 * tokens take positions away from the text. */
#include "cli/adapter.h"

#include "base/print.h"
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
    return model_adapted(m, hooks, args, arena, dir, args_text(args, "adapter", NULL), options);
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

/* --adapter DIR, --vocab-from-file and --dtype, on every command that takes a model. */
#ifndef CLI_ADAPTER_H
#define CLI_ADAPTER_H

#include "adapter/model.h"
#include "cli/command.h"

enum { ADAPTERS_AT_ONCE = 8 };
/* What model_with_adapter() reads. */
#define MODEL_OPTIONS MODEL_OPTIONS_OF(NULL, NULL)
#define MODEL_OPTIONS_OF(adapter_verbs, vocabulary_verbs)                                                            \
    {"adapter", "DIR",                                                                                               \
     "attach an adapter: a directory of Hugging Face PEFT or of adapters; given again, the changes of weights add "  \
     "up",                                                                                                           \
     adapter_verbs, .repeated = true},                                                                               \
        VOCABULARY_OPTION_OF(vocabulary_verbs)

#define VOCABULARY_OPTION_OF(verbs)                                                                                  \
    {                                                                                                                \
        "vocab-from-file", NULL, "take the vocabulary's size from the file's token table, not from config.json",     \
            verbs                                                                                                    \
    }
#define DTYPE_OPTION                                                                                                 \
    {                                                                                                                \
        "dtype", "TYPE",                                                                                             \
            "auto (the default) keeps 16-bit and quantised weights in memory as the files have them; float32 "       \
            "widens them on loading; bf16 rounds frozen weights and the inputs of their products to BF16, by "       \
            "the processor's own instructions where it has AVX512-BF16 or AMX"                                       \
    }
#define DTYPE_CHOICE                                                                                                 \
    {                                                                                                                \
        "dtype", "auto|float32|bf16"                                                                                 \
    }
/* Of commands that attach no adapter of the user's. */
#define LOAD_OPTIONS VOCABULARY_OPTION_OF(NULL), DTYPE_OPTION
/* Sets options->widen as --dtype has it, on the commands that take DTYPE_OPTION. */
Status read_dtype(LoadOptions *, const Args *);
/* How a model is read that the command opens as LOAD_OPTIONS say, with remarks on standard error. */
Status read_load(LoadOptions *, const Args *);

/* The model in `dir`, with --vocab-from-file, with --adapter's where that is given and the head that it brings; else
 * *hooks is empty.  The model is for running, not for saving: its config has the positions that virtual tokens leave
 * to a text. */
Status model_with_adapter(Model **, Hooks **, const Args *, Arena *, const char *dir, const LoadOptions *);
/* The same with the adapter in `path`; NULL: none. */
Status model_adapted(Model **, Hooks **, const Args *, Arena *, const char *dir, const char *path,
                     const LoadOptions *);
/* The same from the model's shape alone: its weights are zero. */
Status shape_with_adapter(Model **, const Args *, const Config *, const char *adapter);
/* The model that an adapter was made for: --base, or the one that its config names.  A folder without weights gives
 * its shape. */
Status adapter_base(Model **, const Args *, const Adapter *);
void print_remarks(const Adapter *, const Args *); /* on standard error, unless --quiet */
AdapterSay *adapter_say(const Args *);             /* what prints a remark there, or NULL with --quiet */

#endif

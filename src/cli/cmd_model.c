/* vernier model: checkpoints from the hub (fetch), the module tree of a checkpoint or of an architecture with the
 * parameters that a method adds (inspect), and checkpoints as files (list, convert, compare). */
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/print.h"
#include "base/str.h"
#include "cli/adapter.h"
#include "cli/checkpoint.h"
#include "hub/hub.h"
#include "io/gguf.h"
#include "nn/inspect.h"
#include "peft/peft.h"
#include "run/progress.h"

enum { MOST_METHODS = 16 };

/* Takes the configuration from the directory and its weights, or from --arch with its settings. */
static Status config_of(Config *c, const Args *a)
{
    const char *name = args_text(a, "arch", NULL);
    if (args_count(a) == 2) {
        if (name) return err_fail(E_CONFIG, "a directory and --arch are given; expected only one of them");
        TRY(config_load(c, args_at(a, 1)));
        TRY(checkpoint_shape(c, a, args_at(a, 1)));
    } else {
        const Arch *arch = arch_find(name ? name : "roberta");
        if (!arch) return err_fail(E_CONFIG, "--arch is '%.30s'; `vernier list` shows the architectures", name);
        arch->defaults(c);
    }
    const KeyValue *set;
    int n = args_settings(a, &set);
    if (n && args_count(a) == 2)
        return err_fail(E_CONFIG, "%s: %s has its own shape; settings are only for --arch", set[0].key,
                        args_at(a, 1));
    for (int i = 0; i < n; i++) {
        if (!set[i].value) return err_fail(E_CONFIG, "--set %s lacks a value: key=value is expected", set[i].key);
        TRY(config_set(c, set[i].key, set[i].value));
    }
    return OK;
}

/* Attaches each --method to the model, with --rank as its rank, bottleneck or prefix length. */
static Status attach(Model *m, const Args *a)
{
    const char *method[MOST_METHODS];
    int n = args_all(a, "method", method, MOST_METHODS);
    int64_t size = 0;
    TRY(args_int(&size, a, "rank", 0, 0, 1 << 24));
    if (size && !n) return err_fail(E_CONFIG, "--rank requires --method");
    Hooks *hooks = hooks_new(args_arena(a));
    for (int i = 0; i < n; i++) {
        const Peft *p = peft_find(method[i]);
        if (!p) return err_fail(E_CONFIG, "--method is '%.30s'; `vernier list` shows the methods", method[i]);
        PeftConfig c = {0};
        p->defaults(&c, &m->config);
        int *knob = p->knob ? p->knob(&c) : NULL;
        if (size && !knob)
            return err_fail(E_CONFIG, "%s has no rank, bottleneck or prefix length; --rank needs one of them",
                            p->name);
        if (size) *knob = (int)size;
        TRY(peft_attach(p, m, hooks, &c));
    }
    return OK;
}

/* Shows a file's tensors, a pickle's imports, or a model's parameters with its methods or its adapter. */
static Status inspect(const Args *a)
{
    if (args_count(a) > 2) return err_fail(E_CONFIG, "model inspect takes one DIR");
    if (args_given(a, "pickle"))
        return args_count(a) == 2 ? checkpoint_scan(a, args_at(a, 1)) : err_fail(E_CONFIG, "--pickle needs a FILE");
    const char *gguf = NULL; /* which has a config of its own */
    if (args_count(a) == 2) TRY(gguf_find(&gguf, args_arena(a), args_at(a, 1)));
    if (args_count(a) == 2 && !gguf && !access(args_at(a, 1), F_OK) && !file_is_dir(args_at(a, 1)))
        return checkpoint_tree(a, args_at(a, 1));
    Config c = {0};
    TRY(config_of(&c, a));
    int64_t classes;
    TRY(args_int(&classes, a, "classes", c.classes, 0, 1 << 20));
    c.classes = (int)classes;
    Model *m;
    const char *path = args_text(a, "adapter", NULL), *two[2];
    if (args_all(a, "adapter", two, 2) > 1)
        return err_fail(E_CONFIG, "model inspect shows one --adapter; several are given");
    if (!path) {
        TRY(model_open_zeros(&m, args_arena(a), &c, F32));
        TRY(attach(m, a));
    } else {
        if (args_given(a, "method"))
            return err_fail(E_CONFIG, "--method and --adapter are both given; expected only one of them");
        TRY(shape_with_adapter(&m, a, &c, path));
    }
    model_inspect(stdout, m);
    if (args_count(a) != 2) return OK;
    TRY(checkpoint_types(a, args_at(a, 1)));
    return checkpoint_survey(a, args_at(a, 1));
}

/* ---- fetching */

typedef struct {
    Progress progress;
    const char *path;
} Watch;

static void see(void *user, const char *path, int64_t done, int64_t total)
{
    enum { MB = 1000000 };
    Watch *w = user;
    Stage s = {.done = done / MB, .total = total / MB, .loss = NAN};
    w->path = path;
    snprintf(s.phase, sizeof s.phase, "%.30s, MB", path);
    progress_show(&w->progress, &s, total ? (double)done / (double)total : 1);
}

/* Prints the directory that the model is in; the name itself works wherever a model is asked for. */
static Status fetch(const Args *a)
{
    enum { MOST = 64 };
    Arena *arena = args_arena(a);
    const char *only[MOST];
    int n = args_all(a, "file", only, MOST);
    Buf files = buf_open(arena);
    for (int i = 0; i < n; i++) buf_print(&files, "%s%s", i ? "|" : "", only[i]);
    Watch w = {.progress = {.title = "model fetch", .quiet = args_quiet(a), .started = clock_now()}};
    HubFound found;
    Status s = hub_fetch(&found, arena,
                         &(HubWish){.name = args_at(a, 1),
                                    .revision = args_text(a, "revision", NULL),
                                    .only = n ? files.text : NULL,
                                    .see = see,
                                    .user = &w});
    progress_clear();
    TRY(s);
    if (!args_quiet(a))
        print_err("%d %s, %.1f MB, %d of them fetched\n", found.files, str_plural(found.files, "file", "files"),
                  (double)found.bytes / 1e6, found.fetched);
    print_out("%s\n", found.dir);
    return OK;
}

static Status model(const Args *a)
{
    const char *verb;
    int n = args_count(a) - 1;
    TRY(args_verb(&verb, a, "fetch|inspect|list|convert|compare"));
    if (!strcmp(verb, "fetch") && n == 1) return fetch(a);
    if (!strcmp(verb, "inspect")) return inspect(a);
    if (!strcmp(verb, "list") && n == 1) return checkpoint_list(a, args_at(a, 1));
    if (!strcmp(verb, "convert") && n == 2) return checkpoint_convert(a, args_at(a, 1), args_at(a, 2));
    if (!strcmp(verb, "compare") && n == 2) return checkpoint_compare(a, args_at(a, 1), args_at(a, 2));
    return err_fail(E_CONFIG, "model %s takes %s", verb,
                    *verb == 'f'   ? "one NAME"
                    : *verb == 'l' ? "one PATH"
                                   : "two PATHs");
}

static const Option OPTIONS[] = {
    {"model", "DIR", "the operand DIR, PATH or FROM", "inspect|list|convert"},
    {"arch", "NAME", "an architecture at its published size (default roberta), where no directory is given",
     "inspect"},
    {"set", "KEY=VALUE", "a field of its config: layers, dim, heads, vocab, ...; may be repeated", "inspect",
     .repeated = true},
    {"classes", "N", "with a classification head for N classes", "inspect"},
    {"method", "NAME", "attach a tuning method and show its added and trainable parameters; may be repeated",
     "inspect", .repeated = true},
    {"rank", "N",
     "the rank of the method, or its bottleneck, or its number of virtual tokens, for which --virtual-tokens is "
     "another name (default: the method's own)",
     "inspect", "virtual-tokens|size"},
    MODEL_OPTIONS_OF("inspect", "inspect|convert"),
    {"pickle", NULL, "list the imports of the pickles in a .bin FILE; nothing is loaded or run", "inspect"},
    {"key", "NAME", "of a .bin: the member that holds the state dict (default: the top, state_dict or model)",
     "inspect|list|convert|compare"},
    {"dtype", "TYPE", "F16, BF16, F32 or F64 for the floating-point tensors (default: unchanged)", "convert"},
    OVERWRITE_OPTION_OF("convert"),
    {"revision", "REV", "a branch, tag or commit (default: main)", "fetch"},
    {"file", "GLOB", "fetch only the files that match, in place of those that loading needs; may be repeated",
     "fetch", .repeated = true},
    {0}};
static const Verb VERBS[] = {
    {"fetch", "NAME",
     "downloads the files that a model, an adapter or a tokenizer needs from the Hugging Face hub into the local "
     "cache, "
     "where NAME is then found by every command, and prints the directory.  Sizes and hashes are checked; the same "
     "command again goes on where it was cut off.  HF_TOKEN, HF_ENDPOINT, HF_HOME and HF_HUB_CACHE are heeded."},
    {"inspect", "[DIR]",
     "shows the module tree and the parameter counts.  Of a DIR config.json is enough; of a file the tree is made "
     "from "
     "the names of its tensors.  A name such as microsoft/codebert-base is looked up in the hub's local cache.  "
     "Without DIR it is the tree of --arch."},
    {"list", "PATH",
     "lists the tensors of a checkpoint: a directory, an index of shards, or a .safetensors, .bin, .gguf or .npy "
     "file."},
    {"convert", "FROM TO",
     "writes the checkpoint FROM again: as a file where TO ends in .safetensors or .bin, else as a directory with "
     "the "
     "files that lie beside the weights.  Quantised tensors of a GGUF file become F32, and its metadata config.json "
     "and tokenizer.json."},
    {"compare", "A B", "shows where two checkpoints differ."},
    {0}};
static const Choice CHOICES[] = {
    {"arch", "@architectures"}, {"method", "@methods"}, {"dtype", "F16|BF16|F32|F64"}, {0}};
static const Command MODEL = {
    .name = "model",
    .summary = "fetch models; inspect their modules and parameters; list, convert and compare checkpoints",
    .usage = "fetch NAME | inspect [DIR] | list PATH | convert FROM TO | compare A B",
    .verbs = VERBS,
    .choices = CHOICES,
    .example = "vernier model fetch microsoft/codebert-base\n"
               "  vernier model inspect --arch roberta --set layers=2 --method lora --rank 4\n"
               "  vernier model inspect --arch t5 --method prefix --method parallel\n"
               "  vernier model list codebert\n"
               "  vernier model convert codebert codebert-f16 --dtype F16\n"
               "  vernier model compare codebert codebert-f16",
    .options = OPTIONS,
    .settings = true,
    .least = 1,
    .most = 3,
    .model_at = 2,
    .run = model};
REGISTER(command, MODEL)

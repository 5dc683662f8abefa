/* vernier adapter: adapters as directories.  Show the content of one (inspect), write it in the format of the other
 * library (convert), and fold it into the weights of its model (merge). */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/print.h"
#include "base/rng.h"
#include "base/str.h"
#include "cli/adapter.h"
#include "cli/adapter_make.h"
#include "cli/answers.h"
#include "cli/checkpoint.h"
#include "cli/output.h"
#include "io/gguf.h"
#include "nn/inspect.h"

/* ---- inspect: from the files alone */

/* Prints a JSON value as text: yes or no for a boolean, and the members of a list or object with commas. */
static void print_value(const cJSON *j)
{
    const cJSON *one;
    if (cJSON_IsString(j))
        print_out("%s", j->valuestring);
    else if (cJSON_IsNumber(j))
        print_out("%.10g", j->valuedouble);
    else if (cJSON_IsBool(j))
        print_out("%s", cJSON_IsTrue(j) ? "yes" : "no");
    cJSON_ArrayForEach(one, j)
    {
        if (one != j->child) print_out(", ");
        if (cJSON_IsObject(j)) print_out("%s ", one->string);
        print_value(one);
    }
}

/* The fields that are set, without those that are null, false or empty. */
static void print_fields(const cJSON *object)
{
    const cJSON *j;
    cJSON_ArrayForEach(j, object)
    {
        bool empty = cJSON_IsNull(j) || cJSON_IsFalse(j) || ((cJSON_IsArray(j) || cJSON_IsObject(j)) && !j->child);
        if (empty || !strcmp(j->string, "config")) continue;
        print_out("%-26s ", j->string);
        print_value(j);
        print_out("\n");
    }
}

typedef struct {
    const char *where; /* "encoder 3", or the name of a module outside the layers */
    Buf modules;
    int tensors;
    int64_t parameters;
} Row;

/* "roberta.encoder.layer.3.attention.self.query.lora_A.weight": where "encoder 3", module "attention.self.query". */
static const char *split_name(Arena *a, const char *name, const char **module)
{
    static const char *const ENDS[] = {
        ".adapters.",       ".loras.",          ".lora_",      ".ia3_l",  ".vera_lambda_",
        ".prefix_tunings.", ".prompt_tunings.", ".base_layer", ".weight", ".bias"};
    for (const char *stem = "base_model."; !strncmp(name, stem, strlen(stem)) || !strncmp(name, "model.", 6);)
        name += strncmp(name, stem, strlen(stem)) ? 6 : strlen(stem);
    if (str_glob("peft.*.*", name)) name = strchr(name + strlen("peft."), '.') + 1; /* our own form's */
    size_t n = strlen(name);
    for (size_t i = 0; i < sizeof ENDS / sizeof *ENDS; i++) {
        const char *end = strstr(name, ENDS[i]);
        if (end && (size_t)(end - name) < n) n = (size_t)(end - name);
    }
    for (const char *at = name; (at = strchr(at, '.')) && at < name + n; at++) {
        size_t digits = strspn(at + 1, "0123456789");
        if (!digits || at[1 + digits] != '.') continue;
        const char *rest = at + 2 + digits;
        *module = rest < name + n ? str_copy(a, rest, n - (size_t)(rest - name)) : "";
        return str_print(a, "%s %.*s", str_glob("decoder*|transformer*|h.*", name) ? "decoder" : "encoder",
                         (int)digits, at + 1);
    }
    *module = "";
    return str_copy(a, name, n);
}

static void add_module(Row *r, const char *module)
{
    if (!*module || str_glob(str_print(r->modules.arena, "*, %s,*", module),
                             str_print(r->modules.arena, ", %s,", r->modules.text)))
        return;
    buf_print(&r->modules, "%s%s", r->modules.len ? ", " : "", module);
}

static bool is_alias(const Weights *w, int i)
{
    for (int j = 0; j < weights_n(w); j++)
        if (j != i && stored_same_bytes(weights_at(w, i), weights_at(w, j)) &&
            strlen(weights_at(w, j)->name) < strlen(weights_at(w, i)->name))
            return true;
    return false;
}

static int table(Arena *a, const Weights *w, Row *row, int n)
{
    for (int i = 0; w && i < weights_n(w); i++) {
        const Stored *s = weights_at(w, i);
        if (is_alias(w, i)) continue;
        const char *module, *where = split_name(a, s->name, &module);
        int r = 0;
        while (r < n && strcmp(row[r].where, where) != 0) r++;
        if (r == n) row[n++] = (Row){.where = where, .modules = buf_open(a)};
        add_module(&row[r], module);
        row[r].tensors++;
        row[r].parameters += s->count;
    }
    return n;
}

static int by_place(const void *x, const void *y)
{
    const char *a = ((const Row *)x)->where, *b = ((const Row *)y)->where;
    const char *m = strchr(a, ' '), *n = strchr(b, ' ');
    if (!m != !n) return m ? -1 : 1;
    int side = m ? strncmp(b, a, 3) : strcmp(a, b); /* encoder before decoder */
    return side || !m ? side : atoi(m) - atoi(n);
}

/* Prints an adapter's library, kind and configuration, and a table of tensors and parameters per layer. */
static Status inspect(const Args *args)
{
    Arena *arena = args_arena(args);
    Adapter *a;
    TRY(adapter_open(&a, arena, args_at(args, 1)));
    int room = weights_n(a->weights) + (a->head ? weights_n(a->head) : 0);
    Row *row = NEW(arena, Row, room + 1), sum = {0};
    int n = table(arena, a->head, row, table(arena, a->weights, row, 0));
    qsort(row, (size_t)n, sizeof *row, by_place);
    print_out("%s: %s\n\n", library_title(a->library), a->kind);
    print_fields(a->root);
    print_fields(cJSON_GetObjectItemCaseSensitive(a->root, "config"));
    print_out("\n%-36s %8s %12s  %s\n", "layer", "tensors", "parameters", "modules");
    for (int i = 0; i < n; i++) {
        print_out("%-36s %8d %12lld  %s\n", row[i].where, row[i].tensors, (long long)row[i].parameters,
                  row[i].modules.text);
        sum.tensors += row[i].tensors;
        sum.parameters += row[i].parameters;
    }
    print_out("%-36s %8d %12lld\n", "all", sum.tensors, (long long)sum.parameters);
    adapter_close(a);
    return OK;
}

/* ---- convert */

static Status converted(Adapter *a, const Args *args, const Library *to, const char *out, const char *where)
{
    Model *m;
    Adapter *b;
    TRY(adapter_base(&m, args, a));
    TRY(adapter_attach(a, m, hooks_new(args_arena(args))));
    print_remarks(a, args);
    TRY(adapter_convert(&b, a, to, args_given(args, "allow-lossy")));
    if (b == a) b->n_remarks = 0;
    TRY(adapter_save(b, where));
    b->dir = out;
    print_remarks(b, args);
    if (!args_quiet(args)) print_err("%s: %s of %s, for %s\n", out, b->method->name, a->dir, library_title(to));
    return OK;
}

/* PEFT's form has one pair for each of the base's matrices, as llama.cpp has them. */
static Status converted_to_gguf(Adapter *a, const Args *args, const char *out)
{
    Model *m;
    Adapter *b;
    if (!str_glob("*.gguf", out))
        return err_fail(E_CONFIG, "%s: expected the name of a file that ends in .gguf", out);
    TRY(args_output(args, "OUT", out, 1));
    TRY(adapter_base(&m, args, a));
    TRY(adapter_attach(a, m, hooks_new(args_arena(args))));
    print_remarks(a, args);
    TRY(adapter_convert(&b, a, library_find("hf"), false));
    b->n_remarks = 0;
    TRY(adapter_save_gguf(b, out));
    print_remarks(b, args);
    if (!args_quiet(args)) print_err("%s: %s of %s, for llama.cpp\n", out, b->method->name, a->dir);
    return OK;
}

static bool same_place(const char *a, const char *b)
{
    char x[4096], y[4096];
    return realpath(a, x) && realpath(b, y) && !strcmp(x, y);
}

static Status convert(const Args *args)
{
    const char *in = args_at(args, 1), *out = args_at(args, 2), *name = args_text(args, "to", NULL);
    const Library *to = name ? library_find(name) : NULL;
    bool gguf = name && !strcmp(name, "gguf");
    if (!to && !gguf) return err_fail(E_CONFIG, "--to is %s, expected hf, adapters or gguf", name ? name : "missing");
    if (same_place(in, out)) return err_fail(E_CONFIG, "%s is both the input and the output", in);
    Adapter *a;
    TRY(adapter_open(&a, args_arena(args), in));
    Folder f;
    Status s = gguf ? converted_to_gguf(a, args, out) : output_open(&f, args, "OUT", out, 1);
    if (!s && !gguf && !output_there(&f, args)) s = output_close(&f, converted(a, args, to, out, f.path), false);
    adapter_close(a);
    return s;
}

/* ---- merge */

static const double MERGE_TOLERANCE = 1e-3; /* of the largest value */

/* Merges the adapter into its base model, saves that below `where`, and reports the difference on a few tokens.  A
 * model that answers otherwise than the adapted one is not written, unless the adapter's library merges so. */
static Status merged(Adapter *a, const Args *args, const char *where)
{
    Arena *arena = args_arena(args);
    const char *dir = args_at(args, 1), *out = args_at(args, 3);
    Model *m;
    Hooks *hooks = hooks_new(arena);
    TRY(model_load_as(&m, arena, dir, &(LoadOptions){.classes = adapter_classes(a)}));
    TRY(adapter_attach(a, m, hooks));
    print_remarks(a, args);
    bool part = a->method->changes_base; /* its parameters are the base's own */
    if (!a->method->merge && !part)
        return err_fail(E_MISMATCH, "%s: %s cannot be folded into the base's weights", a->dir, a->method->name);
    Answers before = answers(m, hooks, arena);
    Status s = part ? OK : a->method->merge(m, &a->cfg);
    if (s) return s == E_CONFIG ? E_MISMATCH : s; /* it is a file's setting, not the user's */
    Answers after = answers(m, NULL, arena);
    double difference = answers_difference(&before, &after);
    if (!(difference <= MERGE_TOLERANCE || a->cfg.merge_tied))
        return err_fail(
            E_MISMATCH,
            "%s: the merged model's answers would differ from the adapted model's by %.1e of the largest, "
            "expected at most %.0e; nothing is written",
            a->dir, difference, MERGE_TOLERANCE);
    TRY(checkpoint_copy_beside(arena, dir, where));
    TRY(model_save(m, where));
    if (!args_quiet(args))
        print_err("%s: %s merged; on a few tokens its answers differ from the adapted model's by at most %.1e\n", out,
                  a->method->name, difference);
    return OK;
}

static Status merge(const Args *args)
{
    if (same_place(args_at(args, 1), args_at(args, 3)))
        return err_fail(E_CONFIG, "%s is both the base model and the output", args_at(args, 1));
    Adapter *a;
    TRY(adapter_open(&a, args_arena(args), args_at(args, 2)));
    Folder f;
    Status s = output_open(&f, args, "OUT", args_at(args, 3), 1);
    if (!s && !output_there(&f, args)) s = output_close(&f, merged(a, args, f.path), false);
    adapter_close(a);
    return s;
}

static Status adapter(const Args *a)
{
    const char *verb;
    int n = args_count(a) - 1;
    TRY(args_verb(&verb, a, "inspect|convert|merge|combine|approximate"));
    if (!strcmp(verb, "inspect") && n == 1) return inspect(a);
    if (!strcmp(verb, "convert") && n == 2) return convert(a);
    if (!strcmp(verb, "merge") && n == 3) return merge(a);
    if (!strcmp(verb, "combine") && n >= 2) return adapter_combine_verb(a);
    if (!strcmp(verb, "approximate") && n == 2) return adapter_approximate_verb(a);
    return err_fail(E_CONFIG, "adapter %s takes %s", verb,
                    !strcmp(verb, "inspect")   ? "one DIR"
                    : !strcmp(verb, "convert") ? "IN and OUT"
                    : !strcmp(verb, "merge")   ? "MODEL, ADAPTER and OUT"
                    : !strcmp(verb, "combine") ? "one ADAPTER or more, and OUT"
                                               : "TUNED and OUT");
}

static const Option OPTIONS[] = {
    {"to", "LIBRARY", "hf (Hugging Face PEFT), adapters (adapter-hub), or gguf (a LoRA for llama.cpp, as a file)",
     "convert"},
    {"base", "MODEL", "the adapter's base model (default: the one in its config)", "convert|combine|approximate"},
    {"combination-type", "TYPE",
     "linear (default: weighted sums of A and of B), cat (A and B side by side: exactly the sum of the changes, with "
     "the "
     "sum of the ranks) or ties (of each matrix the largest entries whose signs agree), as in Hugging Face PEFT",
     "combine"},
    {"weights", "LIST", "a number for each adapter, with commas (default: 1 each)", "combine"},
    {"density", "D", "ties: the share of entries that count (default 0.2)", "combine"},
    {"majority-sign-method", "HOW", "ties: the sign of the sum (total, default) or of most entries (frequency)",
     "combine"},
    {"rank", "R", "the rank of the LoRA (default 8)", "approximate"},
    {"allow-lossy", NULL, "also convert an adapter that the other format can hold only in part, with a remark",
     "convert"},
    OVERWRITE_OPTION_OF("convert|merge|combine|approximate"),
    {0}};
static const Verb VERBS[] = {
    {"inspect", "DIR", "shows the configuration and the tensors of an adapter's directory."},
    {"convert", "IN OUT --to LIBRARY",
     "writes the same adapter in the other library's format.  An adapter that this format cannot express is "
     "rejected, "
     "with an error that names the reason."},
    {"merge", "MODEL ADAPTER OUT",
     "writes MODEL with the adapter folded into its weights, which LoRA, DoRA, VeRA and IA3 allow."},
    {"combine", "ADAPTER.. OUT", "writes one LoRA of several of one base model."},
    {"approximate", "TUNED OUT",
     "writes the LoRA of rank R that is nearest to a change of weights, and prints the residual of each matrix.  "
     "TUNED is an adapter that can be merged, or with --base a whole tuned model."},
    {0}};
static const Choice CHOICES[] = {{"to", "hf|adapters|gguf"},
                                 {"combination-type", "linear|cat|ties"},
                                 {"majority-sign-method", "total|frequency"},
                                 {0}};
static const Command ADAPTER = {
    .name = "adapter",
    .summary = "inspect, convert, merge and combine adapters of Hugging Face PEFT and AdapterHub",
    .usage = "inspect DIR | convert IN OUT --to LIBRARY | merge MODEL ADAPTER OUT |\n"
             "combine ADAPTER.. OUT | approximate TUNED OUT --rank R",
    .about = "Reads and writes the adapters of two libraries.  To attach one to a model, generate, fill, attend and "
             "model inspect take --adapter DIR.",
    .verbs = VERBS,
    .choices = CHOICES,
    .example = "vernier adapter inspect my-lora\n"
               "  vernier adapter convert my-lora my-lora-hub --to adapters --base codebert\n"
               "  vernier adapter merge codebert my-lora codebert-tuned\n"
               "  vernier adapter combine one two both --weights 0.5,0.5\n"
               "  vernier adapter approximate my-dora my-lora --rank 8",
    .options = OPTIONS,
    .least = 1,
    .most = ADAPTERS_MOST + 2,
    .run = adapter};
REGISTER(command, ADAPTER)

/* Converting keeps every tensor and its name.  Tied weights, which a pickle holds as two names over one storage, stay
 * so in a .bin.  In safetensors, which forbids shared bytes, they are written once, and every loader ties them
 * again. */
#include "cli/checkpoint.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/print.h"
#include "base/str.h"
#include "chat/chat.h"
#include "cli/adapter.h"
#include "cli/output.h"
#include "io/gguf.h"
#include "io/json.h"
#include "io/safetensors.h"
#include "io/torch.h"
#include "nn/inspect.h"

/* Of two names for one tensor, the one that is written: neither a head nor a copy of the embedding. */
static bool gives_way(const char *name, const char *other)
{
    static const char *const second = "*lm_head.*|*embed_tokens.*|*.decoder.weight|*.decoder.bias";
    bool mine = str_glob(second, name), its = str_glob(second, other);
    if (mine != its) return mine;
    size_t a = strlen(name), b = strlen(other);
    return a != b ? a > b : strcmp(name, other) > 0;
}

/* The name under which a tensor's bytes are kept, or NULL when that is its own. */
static const char *tied_to(const Weights *w, int i)
{
    const Stored *s = weights_at(w, i);
    const char *keeper = s->name;
    for (int j = 0; j < weights_n(w); j++)
        if (j != i && stored_same_bytes(s, weights_at(w, j)) && gives_way(keeper, weights_at(w, j)->name))
            keeper = weights_at(w, j)->name;
    return keeper == s->name ? NULL : keeper;
}

static Status open_weights(Weights **w, const Args *a, const char *path)
{
    const char *key = args_text(a, "key", NULL);
    return key ? torch_open(w, args_arena(a), path, key) : weights_open(w, args_arena(a), path);
}

/* Prints each tensor's type, shape and name, and totals that count a tied tensor once. */
Status checkpoint_list(const Args *a, const char *path)
{
    Weights *w;
    TRY(open_weights(&w, a, path));
    double numbers = 0, bytes = 0;
    for (int i = 0; i < weights_n(w); i++) {
        const Stored *s = weights_at(w, i);
        const char *keeper = tied_to(w, i);
        print_out("%-5s %-20s %s%s%s\n", stored_type(s), stored_shape(s), s->name, keeper ? "  = " : "",
                  keeper ? keeper : "");
        if (!keeper) numbers += (double)s->count, bytes += (double)s->n_bytes;
    }
    print_out("%d %s, %.0f %s, %.0f bytes\n", weights_n(w), str_plural(weights_n(w), "tensor", "tensors"), numbers,
              str_plural((int64_t)numbers, "number", "numbers"), bytes);
    weights_close(w);
    return OK;
}

static bool own_bytes(const Weights *w, int i)
{
    return !tied_to(w, i);
}

static void print_tied(const Weights *w)
{
    for (int i = 0; i < weights_n(w); i++)
        if (tied_to(w, i)) print_out("%s = %s\n", weights_at(w, i)->name, tied_to(w, i));
}

Status checkpoint_tree(const Args *a, const char *path)
{
    Weights *w;
    TRY(open_weights(&w, a, path));
    weights_inspect(stdout, w, own_bytes);
    print_tied(w);
    weights_close(w);
    return OK;
}

/* A matrix whose type is kept in the loaded model; the rest becomes F32. */
static bool is_kept(const Stored *s)
{
    return stored_is_narrow(s) && s->rank == 2 && s->dim[0] > 1;
}

static const char *const TYPE[] = {"F64",  "F32",  "F16",  "BF16", "Q8_0", "Q5_1", "Q5_0",
                                   "Q4_1", "Q4_0", "Q6_K", "Q5_K", "Q4_K", "Q3_K", "Q2_K"};
enum { TYPES = sizeof TYPE / sizeof *TYPE };

/* Prints the memory of the loaded model and the types in it, and the memory of F32 alone. */
static void print_loaded(const Args *a, const Weights *w)
{
    double kept = 0, wide = 0;
    bool there[TYPES] = {0};
    for (int i = 0; i < weights_n(w); i++) {
        const Stored *s = weights_at(w, i);
        if (!own_bytes(w, i) || !stored_is_float(s)) continue;
        kept += is_kept(s) ? (double)s->n_bytes : 4.0 * (double)s->count;
        wide += 4.0 * (double)s->count;
        for (int t = 0; t < TYPES; t++) there[t] |= !strcmp(TYPE[t], is_kept(s) ? stored_type(s) : "F32");
    }
    Buf types = buf_open(args_arena(a));
    for (int t = 0; t < TYPES; t++)
        if (there[t]) buf_print(&types, "%s%s", types.len ? ", " : "", TYPE[t]);
    if (kept < wide) print_out("loaded: %.0f bytes as %s, with --dtype float32 %.0f bytes\n", kept, types.text, wide);
}

/* Prints the stored types with their tensor counts, the bytes in the file and the tied tensors. */
Status checkpoint_types(const Args *a, const char *path)
{
    Weights *w;
    Status s = open_weights(&w, a, path);
    if (s == E_IO) return err_clear(), OK; /* config.json alone is enough */
    TRY(s);
    double bytes = 0;
    print_out("stored as");
    for (size_t t = 0, n; t < TYPES; t++) {
        n = 0;
        for (int i = 0; i < weights_n(w); i++) n += !strcmp(stored_type(weights_at(w, i)), TYPE[t]);
        if (n) print_out(" %s (%zu %s)", TYPE[t], n, str_plural((int64_t)n, "tensor", "tensors"));
    }
    for (int i = 0; i < weights_n(w); i++) bytes += own_bytes(w, i) ? (double)weights_at(w, i)->n_bytes : 0;
    print_out(", %.0f bytes in %s\n", bytes, weights_path(w));
    print_loaded(a, w);
    print_tied(w);
    weights_close(w);
    return OK;
}

static void print_remark(const char *line, void *user)
{
    (void)user;
    print_out("%s\n", line);
}

static LoadOptions options_of(const Args *a, Remark *remark)
{
    return (LoadOptions){.say = remark, .vocab_from_file = args_given(a, "vocab-from-file")};
}

/* The survey of a model; `there` is false where it has no weights, and config.json alone is enough. */
static Status survey(Survey *x, bool *there, const Args *a, const char *path, Remark *remark)
{
    Weights *w;
    Status s = weights_open(&w, args_arena(a), path);
    *there = s != E_IO;
    if (!*there) return err_clear(), OK;
    TRY(s);
    weights_close(w);
    const LoadOptions options = options_of(a, remark);
    return model_survey(x, args_arena(a), path, &options);
}

Status checkpoint_shape(Config *c, const Args *a, const char *path)
{
    Survey x;
    bool there;
    TRY(survey(&x, &there, a, path, NULL));
    if (there) *c = x.config;
    return OK;
}

/* The form of the chat template, where the folder has one; a template that is not supported is told by its fault. */
static void show_chat(Arena *a, const char *path)
{
    Tokenizer t;
    Chat chat;
    if (!tokenizer_there(path)) return;
    Status s = tokenizer_open(&t, a, path);
    if (!s) {
        s = chat_open(&chat, a, path, &t);
        const char *family = s ? NULL : chat_family(&chat, a);
        if (!s) print_out("chat template: %s\n", family ? family : "of a form without a name here");
        if (s == E_FORMAT) print_out("chat template: %s\n", err_message());
        tokenizer_close(&t);
    }
    err_clear(); /* most folders have no template, and some no tokenizer that is read */
}

Status checkpoint_survey(const Args *a, const char *path)
{
    Survey x;
    bool there;
    TRY(survey(&x, &there, a, path, print_remark));
    if (!there) return OK;
    print_out("read as %s, %d tokens; names of tensors %s%s%s%s%s\n", x.arch->name, x.config.vocab,
              *x.prefix ? "begin with '" : "have no prefix", x.prefix, *x.prefix ? "'" : "",
              *x.wrapper ? " behind the wrapper " : "", x.wrapper);
    show_chat(args_arena(a), path);
    return OK;
}

Status checkpoint_scan(const Args *a, const char *path)
{
    const char **name;
    int n;
    TRY(torch_globals(&name, &n, args_arena(a), path));
    for (int i = 0; i < n; i++) print_out("%s\n", name[i]);
    return OK;
}

/* ---- converting */

/* The tensors to write, in the wanted type; a tied one has its keeper's bytes. */
static int convert_all(Stored *out, Arena *arena, const Weights *w, const StoredType *type, bool tied, double *worst)
{
    int n = 0;
    for (int i = 0; i < weights_n(w); i++) {
        const Stored *s = weights_at(w, i);
        if (tied_to(w, i)) {
            if (tied) out[n++] = *s;
            continue;
        }
        StoredType as = type ? *type : stored_is_block(s) ? STORED_F32 : s->type;
        out[n++] = stored_convert(arena, s, as, type ? worst : NULL);
    }
    for (int i = 0; i < n && tied; i++) {
        Stored *s = &out[i];
        const Stored *own = weights_find(w, s->name);
        const char *keeper = tied_to(w, (int)(own - weights_at(w, 0)));
        for (int j = 0; j < n && keeper; j++)
            if (!strcmp(out[j].name, keeper))
                s->type = out[j].type, s->bytes = out[j].bytes, s->n_bytes = out[j].n_bytes;
    }
    return n;
}

/* Writes all tensors to the file `to`, as --dtype if it is given, and reports the largest change of a value. */
static Status write_converted(const Args *a, const Weights *w, const char *to, const char *shown)
{
    Arena *arena = args_arena(a);
    const char *wanted = args_text(a, "dtype", NULL);
    StoredType type = STORED_F32;
    if (wanted && (!stored_type_find(&type, wanted) || !str_glob("F16|BF16|F32|F64", wanted)))
        return err_fail(E_CONFIG, "--dtype is '%.20s', expected F16, BF16, F32 or F64", wanted);
    Stored *out = NEW(arena, Stored, weights_n(w));
    bool tied = str_glob("*.bin", to);
    double worst = 0;
    int n = convert_all(out, arena, w, wanted ? &type : NULL, tied, &worst), gone = weights_n(w) - n;
    TRY(weights_write(to, out, n));
    if (args_quiet(a)) return OK;
    print_err("%s: %d %s", shown, n, str_plural(n, "tensor", "tensors"));
    if (gone) print_err(", %d tied %s written once", gone, str_plural(gone, "name", "names"));
    if (wanted) print_err(", largest change %.3g", worst);
    print_err("\n");
    return OK;
}

/* The other files of the checkpoint are copied: configs, vocabularies, merges. */
Status checkpoint_copy_beside(Arena *a, const char *from, const char *to)
{
    static const char *const files[] = {"config.json",
                                        "generation_config.json",
                                        "tokenizer_config.json",
                                        "special_tokens_map.json",
                                        "added_tokens.json",
                                        "vocab.json",
                                        "merges.txt",
                                        "tokenizer.json",
                                        "spiece.model",
                                        "sentencepiece.bpe.model"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        Bytes b;
        const char *path = str_print(a, "%s/%s", from, files[i]);
        if (access(path, F_OK)) continue;
        TRY(file_read(&b, a, path));
        TRY(file_write(str_print(a, "%s/%s", to, files[i]), b.text, b.len));
    }
    return OK;
}

/* config.json of the new directory with the vocabulary of the file's token table. */
static Status mend_vocabulary(const Args *a, const char *from, const char *to)
{
    Survey x;
    cJSON *root;
    const LoadOptions options = options_of(a, adapter_say(a));
    const char *path = str_print(args_arena(a), "%s/config.json", to);
    TRY(model_survey(&x, args_arena(a), from, &options));
    TRY(json_read(&root, args_arena(a), path));
    cJSON_DeleteItemFromObjectCaseSensitive(root, "vocab_size");
    cJSON_AddNumberToObject(root, "vocab_size", x.config.vocab);
    Status s = json_write(root, path);
    cJSON_Delete(root);
    return s;
}

typedef Status (*FromGguf)(cJSON **, Arena *, const Gguf *);

static Status write_document(Arena *a, FromGguf make, const Gguf *g, const char *path)
{
    cJSON *root;
    TRY(make(&root, a, g));
    Status s = json_write(root, path);
    cJSON_Delete(root);
    return s;
}

/* What a GGUF file says of config and tokenizer, as the files of a directory. */
static Status write_metadata(Arena *a, const char *gguf, const char *to)
{
    Gguf *g;
    TRY(gguf_open(&g, a, gguf));
    Status s = write_document(a, gguf_config, g, str_print(a, "%s/config.json", to));
    if (!s && gguf_value(g, "tokenizer.ggml.model"))
        s = write_document(a, gguf_tokenizer, g, str_print(a, "%s/tokenizer.json", to));
    gguf_close(g);
    return s;
}

static Status convert_directory(const Args *a, const Weights *w, const char *from, const char *to)
{
    Folder f;
    const char *gguf;
    TRY(gguf_find(&gguf, args_arena(a), from));
    TRY(output_open(&f, a, "the new directory", to, 1));
    if (output_there(&f, a)) return OK;
    Status status =
        gguf ? write_metadata(args_arena(a), gguf, f.path) : checkpoint_copy_beside(args_arena(a), from, f.path);
    if (!status && args_given(a, "vocab-from-file")) status = mend_vocabulary(a, from, f.path);
    if (!status) status = write_converted(a, w, str_print(args_arena(a), "%s/model.safetensors", f.path), to);
    return output_close(&f, status, false);
}

/* Converts a checkpoint to a .safetensors or .bin file, or a directory to another directory. */
Status checkpoint_convert(const Args *a, const char *from, const char *to)
{
    Weights *w;
    const char *gguf;
    TRY(gguf_find(&gguf, args_arena(a), from));
    TRY(open_weights(&w, a, from));
    Status status;
    if (str_glob("*.safetensors|*.bin", to) && !file_is_dir(to)) {
        status = args_output(a, "the new file", to, 1);
        if (!status) status = write_converted(a, w, to, to);
    } else if (file_is_dir(from) || gguf) {
        status = convert_directory(a, w, from, to);
    } else {
        status = err_fail(E_CONFIG, "%s: expected a name that ends in .safetensors or .bin", to);
    }
    weights_close(w);
    return status;
}

/* ---- comparing */

typedef struct {
    double most, relative; /* largest |a - b|, and that over the largest |a| */
    int64_t differing;
} Gap;

static Gap gap_of(const Stored *x, const Stored *y)
{
    Gap g = {0};
    double largest = 0;
    for (int64_t i = 0; i < x->count; i++) {
        double p = stored_get(x, i), q = stored_get(y, i), d = fabs(p - q);
        if (p == q || (isnan(p) && isnan(q))) continue;
        g.differing++;
        g.most = isnan(d) ? (double)INFINITY : fmax(g.most, d);
    }
    for (int64_t i = 0; i < x->count && g.differing; i++) largest = fmax(largest, fabs(stored_get(x, i)));
    g.relative = largest > 0 ? g.most / largest : g.most;
    return g;
}

static bool same_shape(const Stored *x, const Stored *y)
{
    bool same = x->rank == y->rank;
    for (int d = 0; same && d < x->rank; d++) same = x->dim[d] == y->dim[d];
    return same;
}

/* One line per tensor that is not the same in both; returns their number. */
static int compare(const Weights *a, const Weights *b)
{
    int differ = 0;
    for (int i = 0; i < weights_n(a); i++) {
        const Stored *x = weights_at(a, i), *y = weights_find(b, x->name);
        Gap g = {0};
        if (y && same_shape(x, y)) g = gap_of(x, y);
        if (!y)
            print_out("only in the first    %-18s %s\n", stored_shape(x), x->name);
        else if (!same_shape(x, y))
            print_out("shapes differ        %s against %s %s\n", stored_shape(x), stored_shape(y), x->name);
        else if (g.differing)
            print_out("%.3g (%.2g of the largest), %lld of %lld values  %s\n", g.most, g.relative,
                      (long long)g.differing, (long long)x->count, x->name);
        else
            continue;
        differ++;
    }
    for (int i = 0; i < weights_n(b); i++) {
        const Stored *y = weights_at(b, i);
        if (weights_find(a, y->name)) continue;
        print_out("only in the second   %-18s %s\n", stored_shape(y), y->name);
        differ++;
    }
    return differ;
}

Status checkpoint_compare(const Args *a, const char *first, const char *second)
{
    Weights *x, *y;
    TRY(open_weights(&x, a, first));
    Status status = open_weights(&y, a, second);
    int differ = 0;
    if (!status) {
        differ = compare(x, y);
        print_out("%d of %d tensors differ\n", differ, weights_n(x));
        weights_close(y);
    }
    weights_close(x);
    return status;
}

/* The tensors of a GGUF file under the library's names, with their rows in the library's order, so that whoever loads
 * a model sees a checkpoint like any other.  Values stay quantised in the mapping until they are read; only tensors
 * whose rows move are copied, and gpt2's, which are transposed, are also dequantised.
 *
 * A model may be split over files NAME-00001-of-0000N.gguf, of which the first has the metadata. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"
#include "io/gguf_names.h"
#include "io/reader.h"

enum { NUMBER = sizeof "00001-of-00001.gguf" - 1, MOST_FILES = 99999 };

/* The name of file i of a split model, of the name of any; NULL where that has not the form. */
static const char *part_name(Arena *a, const char *path, int i)
{
    size_t n = strlen(path);
    const char *number = n > NUMBER ? path + n - NUMBER : "";
    if (strspn(number, "0123456789") != 5 || strncmp(number + 5, "-of-", 4) != 0) return NULL;
    if (strspn(number + 9, "0123456789") != 5 || strcmp(number + 14, ".gguf") != 0) return NULL;
    return str_print(a, "%.*s%05d%s", (int)(n - NUMBER), path, i, number + 5);
}

/* ---- which file */

static bool begins_as_gguf(const char *path)
{
    char first[4];
    FILE *f = fopen(path, "rb");
    size_t n = f ? fread(first, 1, sizeof first, f) : 0;
    if (f) fclose(f);
    return gguf_looks_like(first, n);
}

/* Weights of another container beside it are the model's own. */
static bool has_other_weights(Arena *a, const char *dir)
{
    static const char *const usual[] = {"model.safetensors", "model.safetensors.index.json", "pytorch_model.bin",
                                        "pytorch_model.bin.index.json"};
    for (int i = 0; i < 4; i++)
        if (!access(str_print(a, "%s/%s", dir, usual[i]), F_OK)) return true;
    return false;
}

/* Files of images beside a model of language are named mmproj; of a split model the first file counts. */
static bool is_candidate(Arena *a, const char *name)
{
    const char *first = part_name(a, name, 1);
    return str_glob("*.gguf", name) && !str_glob("mmproj*|*-mmproj-*", name) && (!first || !strcmp(first, name));
}

static Status find_in(const char **out, Arena *a, const char *dir)
{
    const char *found[2] = {NULL, NULL};
    if (has_other_weights(a, dir)) return OK;
    DIR *d = opendir(dir);
    if (!d) return err_fail(E_IO, "%s: %s", dir, strerror(errno));
    int n = 0;
    for (const struct dirent *e; (e = readdir(d));)
        if (is_candidate(a, e->d_name) && n++ < 2) found[n - 1] = str_copy(a, e->d_name, strlen(e->d_name));
    closedir(d);
    if (n > 1)
        return err_fail(E_IO, "%s: holds %d GGUF models, %s and %s among them; name one of the files", dir, n,
                        found[0], found[1]);
    if (n) *out = str_print(a, "%s/%s", dir, found[0]);
    return OK;
}

Status gguf_find(const char **out, Arena *a, const char *path)
{
    *out = NULL;
    if (file_is_dir(path)) return find_in(out, a, path);
    if (!begins_as_gguf(path)) return OK;
    const char *first = part_name(a, path, 1);
    *out = first ? first : path;
    return OK;
}

/* ---- rows */

/* Elements of `size` bytes, the file's rows as columns. */
static void transpose(char *to, const char *from, int64_t rows, int64_t columns, size_t size)
{
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < columns; j++)
            memcpy(to + (size_t)(j * rows + i) * size, from + (size_t)(i * columns + j) * size, size);
}

static void turn_columns(Stored *s, Arena *run)
{
    Arena scratch = arena_open(0);
    Stored from = stored_is_block(s) ? stored_convert(&scratch, s, STORED_F32, NULL) : *s;
    char *to = arena_take(run, from.n_bytes);
    transpose(to, from.bytes, s->dim[0], s->dim[1], stored_size(from.type));
    s->type = from.type;
    s->n_bytes = from.n_bytes;
    s->bytes = to;
    s->dim[0] = from.dim[1];
    s->dim[1] = from.dim[0];
    arena_close(&scratch);
}

typedef struct {
    Weights *w;
    Arena *run;
    const GgufArch *arch; /* NULL: one that is not supported, whose names stay */
    int64_t heads, kv_heads;
    bool gated;
    int64_t tensors; /* of all files so far */
} Adding;

static Status order_rows(const Adding *to, Stored *s, RowOrder order)
{
    int64_t heads = order == ROWS_HEADS_KV ? to->kv_heads : to->heads;
    if (order == ROWS_COLUMNS) {
        if (s->rank == 2) turn_columns(s, to->run);
        return OK;
    }
    if (!s->rank || !gguf_rows_fit(order, s->dim[0], heads))
        return err_fail(E_FORMAT, "%s: tensor '%s' of shape %s does not divide into %lld heads of an even size",
                        s->file, s->name, stored_shape(s), (long long)heads);
    if (s->rank < 2) *s = stored_convert(to->run, s, STORED_F32, NULL); /* a row is one value */
    char *rows = arena_take(to->run, s->n_bytes);
    gguf_rows(rows, s->bytes, s->dim[0], s->n_bytes / (size_t)s->dim[0], order, heads, false);
    s->bytes = rows;
    return OK;
}

/* ---- the list */

static Status read_shape(Adding *to, const Gguf *g)
{
    const char *name = "";
    TRY(gguf_text(&name, to->run, g, "general.architecture"));
    if (!(to->arch = gguf_arch(name))) return OK;
    TRY(gguf_int(&to->heads, g, str_print(to->run, "%s.attention.head_count", name), 1, 4096));
    to->kv_heads = to->heads;
    TRY(gguf_int(&to->kv_heads, g, str_print(to->run, "%s.attention.head_count_kv", name), 1, 4096));
    for (int i = 0; i < g->n_tensors; i++) to->gated |= str_glob("*.ffn_gate.weight", g->tensor[i].name);
    return OK;
}

/* The mapping goes over to the weights, whatever comes of its tensors. */
static Status add_tensors(Adding *to, const Gguf *g)
{
    Weights *w = to->w;
    const GgufName *entry = NULL;
    w->map[w->n_maps++] = g->file;
    Stored *at = NEW(to->run, Stored, w->n + g->n_tensors);
    if (w->n) memcpy(at, w->at, sizeof *at * (size_t)w->n);
    w->at = at;
    to->tensors += g->n_tensors;
    for (int i = 0; i < g->n_tensors; i++) {
        Stored s = g->tensor[i];
        if (to->arch && to->arch->left_out && str_glob(to->arch->left_out, s.name)) continue;
        if (to->arch) s.name = gguf_name(&entry, to->run, to->arch, s.name, to->gated);
        if (entry && entry->order) TRY(order_rows(to, &s, entry->order));
        at[w->n++] = s;
    }
    return OK;
}

static Status add_part(Adding *to, const char *first, int i, int64_t parts)
{
    Gguf *g;
    int64_t number = -1, count = 0;
    TRY(gguf_open(&g, to->run, part_name(to->run, first, i)));
    TRY(add_tensors(to, g));
    TRY(gguf_int(&number, g, "split.no", 0, MOST_FILES));
    TRY(gguf_int(&count, g, "split.count", 0, MOST_FILES));
    if (number == i - 1 && count == parts) return OK;
    return err_fail(E_FORMAT, "%s: is part %lld of %lld, expected part %d of %lld", g->path, (long long)number + 1,
                    (long long)count, i, (long long)parts);
}

/* Room for the mappings of the files to come. */
static void make_room(Weights *w, Arena *run, int64_t files)
{
    Bytes *map = NEW(run, Bytes, w->n_maps + files);
    if (w->n_maps) memcpy(map, w->map, sizeof *map * (size_t)w->n_maps);
    w->map = map;
}

Status gguf_add(Weights *w, Arena *run, const char *path)
{
    const char *first = part_name(run, path, 1);
    Adding to = {.w = w, .run = run};
    int64_t parts = 1, tensors = -1;
    Gguf *g;
    TRY(gguf_open(&g, run, first ? first : path));
    Status s = gguf_int(&parts, g, "split.count", 0, MOST_FILES);
    make_room(w, run, parts + 1);
    if (!s) s = gguf_int(&tensors, g, "split.tensors.count", 0, INT32_MAX);
    if (!s) s = read_shape(&to, g);
    if (!s && parts > 1 && !first)
        s = err_fail(E_FORMAT, "%s: is one of %lld files, expected a name that ends in -00001-of-%05lld.gguf", path,
                     (long long)parts, (long long)parts);
    Status added = add_tensors(&to, g);
    TRY(s ? s : added);
    for (int i = 2; i <= parts; i++) TRY(add_part(&to, first, i, parts));
    if (tensors >= 0 && tensors != to.tensors)
        return err_fail(E_FORMAT, "%s: promises %lld tensors in %lld %s, which hold %lld", g->path,
                        (long long)tensors, (long long)parts, str_plural(parts, "file", "files"),
                        (long long)to.tensors);
    return OK;
}

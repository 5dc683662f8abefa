/* Two containers, one object.  Both end in a table of storages (key, bytes) beside a pickled state dict; a tensor is
 * a strided view of a storage.  Sizes come from the file and are never trusted: every sum is checked for overflow and
 * against the file's length before a byte is read. */
#include "io/torch.h"

#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "io/pickle.h"
#include "io/reader.h"
#include "io/zip.h"

typedef struct {
    const char *key;
    const char *bytes;
    size_t len;
    int64_t elements; /* from legacy files; -1: unknown */
} Storage;

typedef struct {
    Arena *run;
    const char *path, *key;
    Bytes map;
    Storage *storage;
    int n_storages;
} File;

static int by_key(const void *a, const void *b)
{
    return strcmp(((const Storage *)a)->key, ((const Storage *)b)->key);
}

static const Storage *storage_find(const File *f, const char *key)
{
    const Storage want = {.key = key};
    return f->n_storages ? bsearch(&want, f->storage, (size_t)f->n_storages, sizeof want, by_key) : NULL;
}

static Status storages_sort(File *f)
{
    qsort(f->storage, (size_t)f->n_storages, sizeof *f->storage, by_key);
    for (int i = 1; i < f->n_storages; i++)
        if (!strcmp(f->storage[i - 1].key, f->storage[i].key))
            return err_fail(E_FORMAT, "%s: storage %s appears twice", f->path, f->storage[i].key);
    return OK;
}

/* ---- tensors */

static bool wholes(const Pickled *tuple, int64_t *out, int *n)
{
    if (tuple->kind != PICKLED_TUPLE || tuple->n > STORED_RANK) return false;
    *n = tuple->n;
    for (int i = 0; i < tuple->n; i++) {
        if (tuple->item[i]->kind != PICKLED_INT || tuple->item[i]->whole < 0) return false;
        out[i] = tuple->item[i]->whole;
    }
    return true;
}

/* The storage that a persistent id names: ('storage', class, key, location, elements[, view]). */
static Status find_storage(const File *f, const Pickled *id, const char *name, const Storage **out, StoredType *type)
{
    bool fits = id->kind == PICKLED_STORAGE && id->n >= 5 && id->item[0]->kind == PICKLED_TEXT &&
                !strcmp(id->item[0]->text, "storage") && id->item[1]->kind == PICKLED_GLOBAL &&
                id->item[1]->global == GLOBAL_STORAGE && id->item[2]->kind == PICKLED_TEXT &&
                id->item[4]->kind == PICKLED_INT;
    if (!fits || (id->n > 5 && id->item[5]->kind != PICKLED_NONE))
        return err_fail(E_FORMAT, "%s: tensor '%s': its storage is described in an unknown way", f->path, name);
    *type = id->item[1]->type;
    *out = storage_find(f, id->item[2]->text);
    if (!*out)
        return err_fail(E_FORMAT, "%s: tensor '%s' lies in storage %s, which the file lacks", f->path, name,
                        id->item[2]->text);
    int64_t said = id->item[4]->whole, bytes;
    if (said < 0 || __builtin_mul_overflow(said, (int64_t)stored_size(*type), &bytes) ||
        (size_t)bytes > (*out)->len || ((*out)->elements >= 0 && said > (*out)->elements))
        return err_fail(E_FORMAT, "%s: storage %s has %zu bytes; %lld elements of %zu were promised", f->path,
                        (*out)->key, (*out)->len, (long long)said, stored_size(*type));
    return OK;
}

static void gather(char *to, const char *from, size_t size, const Stored *s, const int64_t *stride)
{
    int64_t index[STORED_RANK] = {0};
    for (int64_t i = 0; i < s->count; i++) {
        int64_t at = 0;
        for (int d = 0; d < s->rank; d++) at += index[d] * stride[d];
        memcpy(to + (size_t)i * size, from + (size_t)at * size, size);
        for (int d = s->rank - 1; d >= 0 && ++index[d] == s->dim[d]; d--) index[d] = 0;
    }
}

/* A view that is row-major already is used where it lies. */
static void place(const File *f, Stored *s, const char *from, const int64_t *stride)
{
    int64_t want = 1;
    bool in_place = true;
    for (int d = s->rank - 1; d >= 0; d--) {
        if (s->dim[d] != 1) in_place &= stride[d] == want;
        want *= s->dim[d];
    }
    s->n_bytes = (size_t)s->count * stored_size(s->type);
    s->bytes = from;
    if (in_place || !s->count) return;
    char *copy = arena_take(f->run, s->n_bytes);
    gather(copy, from, stored_size(s->type), s, stride);
    s->bytes = copy;
}

/* The arguments of _rebuild_tensor_v2: storage, offset, size, stride, and values that a reader does not need. */
static Status read_tensor(const File *f, const Pickled *t, Stored *s)
{
    const Storage *storage = NULL;
    int64_t stride[STORED_RANK], last = 0, elements, bytes;
    int strides = 0;
    TRY(find_storage(f, t->item[0], s->name, &storage, &s->type));
    if (t->item[1]->kind != PICKLED_INT || t->item[1]->whole < 0 || !wholes(t->item[2], s->dim, &s->rank) ||
        !wholes(t->item[3], stride, &strides) || strides != s->rank)
        return err_fail(E_FORMAT, "%s: tensor '%s': its shape is no list of up to %d whole numbers", f->path, s->name,
                        STORED_RANK);
    int64_t offset = t->item[1]->whole;
    elements = t->item[0]->item[4]->whole;
    s->count = 1;
    bool over = false;
    for (int d = 0; d < s->rank; d++) {
        int64_t reach;
        over |= __builtin_mul_overflow(s->count, s->dim[d], &s->count);
        over |= s->dim[d] && __builtin_mul_overflow(s->dim[d] - 1, stride[d], &reach);
        over |= s->dim[d] && !over && __builtin_add_overflow(last, reach, &last);
    }
    over |= __builtin_mul_overflow(s->count, (int64_t)stored_size(s->type), &bytes) || (size_t)bytes > f->map.len;
    over |= __builtin_add_overflow(last, offset, &last);
    if (over || (s->count && last >= elements))
        return err_fail(E_FORMAT, "%s: tensor '%s' of shape %s reaches beyond its storage of %lld elements", f->path,
                        s->name, stored_shape(s), (long long)elements);
    place(f, s, storage->bytes + (size_t)offset * stored_size(s->type), stride);
    return OK;
}

/* ---- the state dict */

enum { NESTED_MOST = 3 };

static int tensors_in(const Pickled *dict)
{
    int n = 0;
    for (int i = 0; dict && dict->kind == PICKLED_DICT && i + 1 < dict->n; i += 2)
        n += dict->item[i]->kind == PICKLED_TEXT && dict->item[i + 1]->kind == PICKLED_TENSOR;
    return n;
}

/* Trainers keep the state dict beside an optimizer's, one or more members deep.  A single tensor may lie beside it,
 * so of the dicts on the way the one with the most tensors is meant. */
static const Pickled *most_tensors(const Pickled *top, int depth)
{
    static const char *const usual[] = {"state_dict", "model",   "model_state_dict", "module",
                                        "net",        "weights", "params"};
    const Pickled *best = top;
    for (size_t i = 0; i < sizeof usual / sizeof *usual && depth < NESTED_MOST; i++) {
        const Pickled *inner = most_tensors(pickled_get(top, usual[i]), depth + 1);
        if (tensors_in(inner) > tensors_in(best)) best = inner;
    }
    return best;
}

static Status state_dict(const File *f, const Pickled *top, const Pickled **out)
{
    *out = most_tensors(f->key ? pickled_get(top, f->key) : top, 0);
    if (tensors_in(*out)) return OK;
    if (f->key) return err_fail(E_FORMAT, "%s: has no tensors under \"%s\"", f->path, f->key);
    return err_fail(E_FORMAT, "%s: holds no dict of named tensors", f->path);
}

static bool all_begin(const Pickled *dict, const char *prefix)
{
    for (int i = 0; i + 1 < dict->n; i += 2)
        if (dict->item[i + 1]->kind == PICKLED_TENSOR && strncmp(dict->item[i]->text, prefix, strlen(prefix)) != 0)
            return false;
    return true;
}

/* The tensors of a state dict; the "module." that DataParallel puts in front of every name is taken away. */
static Status add_tensors(Weights *w, const File *f, const Pickled *top)
{
    const Pickled *dict;
    TRY(state_dict(f, top, &dict));
    for (int i = 0; i + 1 < dict->n; i += 2)
        if (dict->item[i]->kind != PICKLED_TEXT)
            return err_fail(E_FORMAT, "%s: a name in the state dict is no text", f->path);
    size_t skip = all_begin(dict, "module.") ? strlen("module.") : 0;
    if (skip) w->off = "module.";
    Stored *at = NEW(f->run, Stored, w->n + dict->n / 2);
    if (w->n) memcpy(at, w->at, sizeof *at * (size_t)w->n);
    w->at = at;
    for (int i = 0; i + 1 < dict->n; i += 2) {
        if (dict->item[i + 1]->kind != PICKLED_TENSOR) continue; /* a number beside the tensors */
        Stored *s = &at[w->n++];
        *s = (Stored){.name = dict->item[i]->text + skip, .file = f->path};
        TRY(read_tensor(f, dict->item[i + 1], s));
    }
    return OK;
}

/* ---- the zip */

static bool ends_with(const char *s, const char *end)
{
    size_t n = strlen(s), m = strlen(end);
    return n >= m && !strcmp(s + n - m, end);
}

static Status zip_pickle(const File *f, Zip *z, PickleFile *out, size_t *stem)
{
    TRY(zip_open(z, f->run, f->map, f->path));
    const ZipEntry *e = NULL;
    for (int i = 0; i < z->n && !e; i++)
        if (ends_with(z->at[i].name, "/data.pkl")) e = &z->at[i];
    if (!e) return err_fail(E_FORMAT, "%s: a zip without data.pkl, so nothing that torch.save wrote", f->path);
    *stem = strlen(e->name) - strlen("data.pkl");
    for (int i = 0; i < z->n; i++)
        if (ends_with(z->at[i].name, "/byteorder") && z->at[i].len >= 3 && !memcmp(z->at[i].bytes, "big", 3))
            return err_fail(E_FORMAT, "%s: written by a big-endian machine", f->path);
    *out = (PickleFile){.path = f->path, .bytes = e->bytes, .len = e->len};
    return OK;
}

static Status read_zip(Weights *w, File *f)
{
    Zip z;
    PickleFile p;
    size_t stem = 0;
    Pickled *top;
    TRY(zip_pickle(f, &z, &p, &stem));
    f->storage = NEW(f->run, Storage, z.n);
    for (int i = 0; i < z.n; i++)
        if (strlen(z.at[i].name) > stem + 5 && !strncmp(z.at[i].name + stem, "data/", 5))
            f->storage[f->n_storages++] = (Storage){z.at[i].name + stem + 5, z.at[i].bytes, z.at[i].len, -1};
    TRY(storages_sort(f));
    TRY(pickle_read(&top, f->run, &p));
    return add_tensors(w, f, top);
}

/* ---- the stream: magic, version, machine, object, keys; then each storage's element count and bytes */

static const unsigned char MAGIC[] = {0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19};

/* The first of the five is a number alone, in any protocol; from protocol 4 on it lies in a frame. */
static bool begins_with_magic(const char *first, size_t n)
{
    size_t at = n > 2 && (unsigned char)first[2] == 0x95 ? 11 : 2;
    return n >= at + sizeof MAGIC && !memcmp(first + at, MAGIC, sizeof MAGIC);
}

/* The legacy list gives keys only; the persistent ids in the object give the type of a key's elements. */
static bool element_size(const Pickled *top, const char *key, size_t *out, int depth)
{
    if (top->kind == PICKLED_TENSOR && top->n && top->item[0]->kind == PICKLED_STORAGE) {
        const Pickled *id = top->item[0];
        if (id->n < 5 || id->item[2]->kind != PICKLED_TEXT || strcmp(id->item[2]->text, key) != 0) return false;
        if (id->item[1]->kind != PICKLED_GLOBAL || id->item[1]->global != GLOBAL_STORAGE) return false;
        *out = stored_size(id->item[1]->type);
        return true;
    }
    if (depth > 8 || (top->kind != PICKLED_DICT && top->kind != PICKLED_LIST && top->kind != PICKLED_TUPLE))
        return false;
    for (int i = 0; i < top->n; i++)
        if (element_size(top->item[i], key, out, depth + 1)) return true;
    return false;
}

static Status legacy_pickles(PickleFile *p, Arena *a, Pickled **top, Pickled **keys)
{
    Pickled *head[3];
    for (int i = 0; i < 3; i++) TRY(pickle_read(&head[i], a, p));
    const Pickled *little = pickled_get(head[2], "little_endian");
    if (head[1]->kind != PICKLED_INT || head[1]->whole != 1001)
        return err_fail(E_FORMAT, "%s: an unknown version of torch.save's stream", p->path);
    if (little && little->kind == PICKLED_INT && !little->whole)
        return err_fail(E_FORMAT, "%s: written by a big-endian machine", p->path);
    TRY(pickle_read(top, a, p));
    return keys ? pickle_read(keys, a, p) : OK;
}

/* The legacy format: behind the pickles each storage has its number of elements and then its bytes. */
static Status read_storages(File *f, const PickleFile *p, const Pickled *top, const Pickled *keys)
{
    size_t at = p->at;
    f->storage = NEW(f->run, Storage, keys->n);
    for (int i = 0; i < keys->n; i++) {
        size_t size = 0;
        int64_t n, bytes;
        if (keys->item[i]->kind != PICKLED_TEXT) return err_fail(E_FORMAT, "%s: a storage key is no text", f->path);
        const char *key = keys->item[i]->text;
        if (!element_size(top, key, &size, 0))
            return err_fail(E_FORMAT, "%s: storage %s belongs to no tensor, so its size is unknown", f->path, key);
        if (f->map.len - at < 8) return err_fail(E_FORMAT, "%s: cut before storage %s", f->path, key);
        memcpy(&n, f->map.text + at, sizeof n);
        at += sizeof n;
        if (n < 0 || __builtin_mul_overflow(n, (int64_t)size, &bytes) || (size_t)bytes > f->map.len - at)
            return err_fail(E_FORMAT, "%s: storage %s claims %lld elements of %zu bytes; %zu bytes are left", f->path,
                            key, (long long)n, size, f->map.len - at);
        f->storage[f->n_storages++] = (Storage){key, f->map.text + at, (size_t)bytes, n};
        at += (size_t)bytes;
    }
    return storages_sort(f);
}

static Status read_legacy(Weights *w, File *f)
{
    PickleFile p = {.path = f->path, .bytes = f->map.text, .len = f->map.len};
    Pickled *top, *keys;
    TRY(legacy_pickles(&p, f->run, &top, &keys));
    if (keys->kind != PICKLED_LIST) return err_fail(E_FORMAT, "%s: has no list of storages", f->path);
    TRY(read_storages(f, &p, top, keys));
    return add_tensors(w, f, top);
}

/* ---- which of them */

typedef enum { NEITHER, ZIP, LEGACY, TAR, PICKLE } Container;

/* Pickles begin with their protocol.  So may the size of a safetensors header, whose text then follows. */
static bool is_pickle(const char *first, size_t n)
{
    if (n < 2 || (unsigned char)first[0] != 0x80 || first[1] < 2 || first[1] > 5) return false;
    return n < 9 || first[7] || first[8] != '{';
}

static Container container_of(const char *first, size_t n)
{
    if (n >= 4 && !memcmp(first, "PK\3\4", 4)) return ZIP;
    if (is_pickle(first, n)) return begins_with_magic(first, n) ? LEGACY : PICKLE;
    return n >= 262 && !memcmp(first + 257, "ustar", 5) ? TAR : NEITHER;
}

bool torch_looks_like(const char *first, size_t n)
{
    return container_of(first, n) != NEITHER;
}

static Status refuse(Container c, const char *path)
{
    if (c == TAR)
        return err_fail(E_FORMAT, "%s: the tar form of before 2018; load and save it once with a current PyTorch",
                        path);
    if (c == PICKLE)
        return err_fail(E_FORMAT, "%s: is a pickle that torch.save did not write; expected its zip or its stream", path);
    return err_fail(E_FORMAT, "%s: is neither a zip nor a stream of torch.save", path);
}

static Status add_file(Weights *w, Arena *run, const char *path, const char *key)
{
    File f = {.run = run, .path = path, .key = key};
    Bytes *map = &w->map[w->n_maps];
    TRY(file_map(map, path));
    w->n_maps++;
    f.map = *map;
    Container c = container_of(map->text, map->len);
    return c == ZIP ? read_zip(w, &f) : c == LEGACY ? read_legacy(w, &f) : refuse(c, path);
}

Status torch_add(Weights *w, Arena *run, const char *path)
{
    return add_file(w, run, path, NULL);
}

Status torch_open(Weights **out, Arena *run, const char *path, const char *key)
{
    Weights *w = weights_new(run, path, 1);
    Status status = add_file(w, run, w->path, key);
    if (!status) status = weights_sort(w, run);
    return weights_opened(out, w, status);
}

Status torch_globals(const char ***names, int *n, Arena *a, const char *path)
{
    File f = {.run = a, .path = path};
    TRY(file_map(&f.map, path));
    Container c = container_of(f.map.text, f.map.len);
    PickleFile p = {.path = path, .bytes = f.map.text, .len = f.map.len, .scan = true};
    Pickled *top;
    Zip z;
    size_t stem;
    Status status = c == ZIP || c == LEGACY ? OK : refuse(c, path);
    if (!status && c == ZIP) status = zip_pickle(&f, &z, &p, &stem);
    p.scan = true;
    if (!status) status = c == ZIP ? pickle_read(&top, a, &p) : legacy_pickles(&p, a, &top, NULL);
    *names = p.globals;
    *n = p.n_globals;
    file_unmap(f.map);
    return status;
}

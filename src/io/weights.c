/* Shared by all containers: the list of tensors and its search.  Their values are read in stored.c. */
#include "io/weights.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/str.h"
#include "io/reader.h"

/* ---- the list */

Weights *weights_new(Arena *run, const char *path, int maps)
{
    Weights *w = NEW(run, Weights, 1);
    *w = (Weights){.path = str_copy(run, path, strlen(path)), .map = NEW(run, Bytes, maps)};
    return w;
}

static int by_name(const void *a, const void *b)
{
    return strcmp((*(const Stored *const *)a)->name, (*(const Stored *const *)b)->name);
}

static bool same_tensor(const Stored *a, const Stored *b)
{
    bool same = a->type == b->type && a->rank == b->rank && a->n_bytes == b->n_bytes;
    for (int d = 0; same && d < a->rank; d++) same = a->dim[d] == b->dim[d];
    return same && (!a->n_bytes || !memcmp(a->bytes, b->bytes, a->n_bytes));
}

/* Two shards may repeat a tensor; two values are a fault, as is a name that one file has twice. */
static Status check_repeated(const Stored *a, const Stored *b)
{
    if (!strcmp(a->file, b->file)) return err_fail(E_FORMAT, "%s: tensor '%s' appears twice", a->file, a->name);
    if (same_tensor(a, b)) return OK;
    return err_fail(E_FORMAT, "%s: tensor '%s' has another value in %s", a->file, a->name, b->file);
}

static void sort(Weights *w, Arena *run)
{
    w->sorted = NEW(run, const Stored *, w->n);
    for (int i = 0; i < w->n; i++) w->sorted[i] = &w->at[i];
    qsort(w->sorted, (size_t)w->n, sizeof *w->sorted, by_name);
}

Status weights_sort(Weights *w, Arena *run)
{
    int repeated = 0, kept = 0;
    bool *drop = NEW(run, bool, w->n);
    sort(w, run);
    for (int i = 1; i < w->n; i++) {
        if (strcmp(w->sorted[i - 1]->name, w->sorted[i]->name) != 0) continue;
        TRY(check_repeated(w->sorted[i - 1], w->sorted[i]));
        drop[w->sorted[i] - w->at] = true;
        repeated++;
    }
    if (!repeated) return OK;
    for (int i = 0; i < w->n; i++)
        if (!drop[i]) w->at[kept++] = w->at[i];
    w->n = kept;
    sort(w, run);
    return OK;
}

Status weights_opened(Weights **out, Weights *w, Status status)
{
    *out = status ? NULL : w;
    if (status) weights_close(w);
    return status;
}

void weights_close(Weights *w)
{
    if (!w) return;
    for (int i = 0; i < w->n_maps; i++) file_unmap(w->map[i]);
    w->n_maps = 0;
}

Status weights_keep(Weights *w, Arena *a)
{
    for (int i = 0; i < w->n_maps; i++)
        if (w->map[i].text && mprotect(w->map[i].text, w->map[i].len, PROT_READ | PROT_WRITE))
            return err_fail(E_IO, "%s: %s", w->path, strerror(errno));
    for (int i = 0; i < w->n_maps; i++)
        if (w->map[i].text) arena_adopt(a, w->map[i].text, w->map[i].len);
    w->n_maps = 0;
    return OK;
}

/* The system maps a file in steps of up to 2 MB, so neighbours go too; who reads them has them again. */
void weights_release(const Weights *w, const Stored *s)
{
    const uintptr_t step = 1 << 21;
    for (int i = 0; i < w->n_maps; i++) {
        uintptr_t map = (uintptr_t)w->map[i].text, end = map + w->map[i].len, at = (uintptr_t)s->bytes;
        if (!map || at < map || at >= end) continue;
        uintptr_t first = at / step * step, last = (at + s->n_bytes + step - 1) / step * step;
        if (first < map) first = map;
        if (last > end) last = end;
        madvise(w->map[i].text + (first - map), last - first, MADV_DONTNEED);
    }
}

/* Bytes of `name` that are whole parts of `prefix`, too: of "model.x" and "model.encoder." the first six. */
static size_t shared_parts(const char *name, const char *prefix)
{
    size_t shared = 0;
    for (size_t i = 0; prefix[i] && name[i] == prefix[i]; i++)
        if (name[i] == '.') shared = i + 1;
    return shared;
}

Status weights_unprefix(Weights *w, Arena *run, const char *prefix)
{
    for (int i = 0; i < w->n; i++) w->at[i].name += shared_parts(w->at[i].name, prefix);
    sort(w, run);
    for (int i = 1; i < w->n; i++)
        if (!strcmp(w->sorted[i - 1]->name, w->sorted[i]->name))
            return err_fail(E_FORMAT, "%s: has two tensors '%s' when '%s' is taken off the names; expected one", w->path,
                            w->sorted[i]->name, prefix);
    return OK;
}

const char *weights_dropped(const Weights *w)
{
    return w->off ? w->off : "";
}

int weights_n(const Weights *w)
{
    return w->n;
}

const Stored *weights_at(const Weights *w, int i)
{
    return &w->at[i];
}

const Stored *weights_find(const Weights *w, const char *name)
{
    const Stored key = {.name = name}, *k = &key;
    const Stored **hit = w->n ? bsearch(&k, w->sorted, (size_t)w->n, sizeof *w->sorted, by_name) : NULL;
    return hit ? *hit : NULL;
}

const char *weights_meta(const Weights *w, const char *key)
{
    for (int i = 0; i < w->n_meta; i++)
        if (!strcmp(w->meta[i].key, key)) return w->meta[i].value;
    return NULL;
}

const char *weights_path(const Weights *w)
{
    return w->path;
}

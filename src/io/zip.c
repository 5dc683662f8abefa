/* Only the central directory is believed, because streamed zips leave zeros in the local headers; of those the two
 * lengths alone are used, which locate the data. */
#include "io/zip.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"

enum { END_SIZE = 22, END_COMMENT = 65535, CENTRAL = 46, LOCAL = 30, LOCATOR = 20, END64 = 56, ENTRIES = 1 << 20 };

typedef struct {
    Bytes file;
    const char *path;
} Source;

static uint64_t little(const char *at, int n)
{
    uint64_t x = 0;
    for (int i = n - 1; i >= 0; i--) x = x << 8 | (unsigned char)at[i];
    return x;
}

static bool within(const Source *s, uint64_t at, uint64_t n)
{
    return at <= s->file.len && n <= s->file.len - at;
}

/* The end record stands last, before a comment of up to 64 KiB. */
static const char *find_end(const Source *s)
{
    if (s->file.len < END_SIZE) return NULL;
    size_t most = s->file.len - END_SIZE, back = most < END_COMMENT ? most : END_COMMENT;
    for (size_t i = 0; i <= back; i++) {
        const char *at = s->file.text + most - i;
        if (!memcmp(at, "PK\5\6", 4) && little(at + 20, 2) <= i) return at;
    }
    return NULL;
}

static Status directory(const Source *s, uint64_t *n, uint64_t *at)
{
    const char *end = find_end(s);
    if (!end) return err_fail(E_FORMAT, "%s: a zip without its directory: the file is cut", s->path);
    *n = little(end + 10, 2);
    *at = little(end + 16, 4);
    size_t here = (size_t)(end - s->file.text);
    if (here < LOCATOR || memcmp(end - LOCATOR, "PK\6\7", 4) != 0) return OK;
    uint64_t big = little(end - LOCATOR + 8, 8);
    if (!within(s, big, END64) || memcmp(s->file.text + big, "PK\6\6", 4) != 0)
        return err_fail(E_FORMAT, "%s: a zip64 whose directory is not where it should be", s->path);
    *n = little(s->file.text + big + 32, 8);
    *at = little(s->file.text + big + 48, 8);
    return OK;
}

/* Sizes and offset that do not fit 32 bits stand in the extra field 0x0001, in this order, those that are needed. */
static bool widen(const char *extra, size_t len, uint64_t *const field[3])
{
    while (len >= 4) {
        uint64_t id = little(extra, 2), size = little(extra + 2, 2);
        if (size > len - 4) return false;
        for (int i = 0; id == 1 && i < 3; i++) {
            if (*field[i] != UINT32_MAX) continue;
            if (size < 8) return false;
            *field[i] = little(extra + 4, 8);
            extra += 8, len -= 8, size -= 8;
        }
        extra += 4 + size, len -= 4 + size;
    }
    return *field[0] != UINT32_MAX && *field[1] != UINT32_MAX && *field[2] != UINT32_MAX;
}

static Status locate(const Source *s, ZipEntry *e, uint64_t offset, uint64_t size)
{
    if (!within(s, offset, LOCAL) || memcmp(s->file.text + offset, "PK\3\4", 4) != 0)
        return err_fail(E_FORMAT, "%s: entry %s is not at the place given in the directory", s->path, e->name);
    const char *local = s->file.text + offset;
    uint64_t data = offset + LOCAL + little(local + 26, 2) + little(local + 28, 2);
    if (!within(s, data, size)) return err_fail(E_FORMAT, "%s: entry %s reaches beyond the file", s->path, e->name);
    e->bytes = s->file.text + data;
    e->len = size;
    return OK;
}

static Status read_entry(const Source *s, Arena *a, uint64_t *at, ZipEntry *e)
{
    if (!within(s, *at, CENTRAL) || memcmp(s->file.text + *at, "PK\1\2", 4) != 0)
        return err_fail(E_FORMAT, "%s: the zip's directory breaks off at byte %llu", s->path,
                        (unsigned long long)*at);
    const char *c = s->file.text + *at;
    uint64_t flags = little(c + 8, 2), method = little(c + 10, 2), stored = little(c + 20, 4),
             size = little(c + 24, 4), name = little(c + 28, 2), extra = little(c + 30, 2), note = little(c + 32, 2),
             offset = little(c + 42, 4);
    if (!within(s, *at + CENTRAL, name + extra + note))
        return err_fail(E_FORMAT, "%s: the zip's directory breaks off at byte %llu", s->path,
                        (unsigned long long)*at);
    e->name = str_copy(a, c + CENTRAL, name);
    if (strlen(e->name) != name || strstr(e->name, "..") || e->name[0] == '/')
        return err_fail(E_FORMAT, "%s: the zip has an entry with an unsafe name", s->path);
    if (!widen(c + CENTRAL + name, extra, (uint64_t *const[]){&size, &stored, &offset}))
        return err_fail(E_FORMAT, "%s: entry %s has no size", s->path, e->name);
    if (flags & 1) return err_fail(E_FORMAT, "%s: entry %s is encrypted", s->path, e->name);
    if (method || stored != size)
        return err_fail(E_FORMAT, "%s: entry %s is compressed, which torch.save never does", s->path, e->name);
    *at += CENTRAL + name + extra + note;
    return locate(s, e, offset, size);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const ZipEntry *)a)->name, ((const ZipEntry *)b)->name);
}

Status zip_open(Zip *z, Arena *a, Bytes file, const char *path)
{
    const Source s = {file, path};
    uint64_t n = 0, at = 0;
    TRY(directory(&s, &n, &at));
    if (n > ENTRIES || n > file.len / CENTRAL)
        return err_fail(E_FORMAT, "%s: a zip of %llu entries", path, (unsigned long long)n);
    *z = (Zip){.at = NEW(a, ZipEntry, n + 1)};
    for (; z->n < (int)n; z->n++) TRY(read_entry(&s, a, &at, &z->at[z->n]));
    qsort(z->at, (size_t)z->n, sizeof *z->at, by_name);
    for (int i = 1; i < z->n; i++)
        if (!strcmp(z->at[i - 1].name, z->at[i].name))
            return err_fail(E_FORMAT, "%s: the zip has entry %s twice", path, z->at[i].name);
    return OK;
}

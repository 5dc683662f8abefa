/* The file that torch.save makes of a state dict: data.pkl, byteorder, a storage an entry, version, under a name of
 * no meaning.  The pickle is of protocol 2 and needs no memo: a storage that two tensors share is one by its key. */
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "io/pickle.h"
#include "io/torch.h"
#include "io/zip.h"

#define ADD(b, literal) buf_add(b, literal, sizeof(literal) - 1)
#define GLOBAL_LINES(module, name) "c" module "\n" name "\n"

static void little(Buf *b, uint64_t x, int n)
{
    for (int i = 0; i < n; i++) buf_add(b, &(char){(char)(x >> 8 * i)}, 1);
}

static void put_text(Buf *b, const char *s)
{
    ADD(b, "X");
    little(b, strlen(s), 4);
    buf_add(b, s, strlen(s));
}

/* BININT1, BININT2, BININT, or LONG1 of eight bytes; never negative here. */
static void put_whole(Buf *b, int64_t x)
{
    static const char opcode[] = {'K', 'M', 'J'};
    int size = x < 1 << 8 ? 0 : x < 1 << 16 ? 1 : x <= INT32_MAX ? 2 : 3;
    if (size == 3)
        ADD(b, "\x8a\x08");
    else
        buf_add(b, &opcode[size], 1);
    little(b, (uint64_t)x, 1 << size);
}

static void put_tuple(Buf *b, const int64_t *x, int n)
{
    static const char *const end[] = {")", "\x85", "\x86", "\x87", "t"};
    if (n > 3) ADD(b, "(");
    for (int i = 0; i < n; i++) put_whole(b, x[i]);
    buf_add(b, end[n > 3 ? 4 : n], 1);
}

static void put_tensor(Buf *b, const Stored *t, int storage)
{
    int64_t stride[STORED_RANK], step = 1;
    for (int d = t->rank - 1; d >= 0; d--) {
        stride[d] = step;
        step *= t->dim[d] > 0 ? t->dim[d] : 1;
    }
    char key[16];
    snprintf(key, sizeof key, "%d", storage);
    ADD(b, GLOBAL_LINES("torch._utils", "_rebuild_tensor_v2") "((");
    put_text(b, "storage");
    buf_print(b, GLOBAL_LINES("torch", "%s"), pickle_storage(t->type));
    put_text(b, key);
    put_text(b, "cpu");
    put_whole(b, t->count);
    ADD(b, "tQ");
    put_whole(b, 0);
    put_tuple(b, t->dim, t->rank);
    put_tuple(b, stride, t->rank);
    ADD(b, "\x89" GLOBAL_LINES("collections", "OrderedDict") ")RtR");
}

/* Tensors over the same bytes share a storage; storage[i] is tensor i's. */
static int number_storages(int *storage, const Stored *t, int n)
{
    int used = 0;
    for (int i = 0; i < n; i++) {
        int j = 0;
        while (j < i && !stored_same_bytes(&t[i], &t[j])) j++;
        storage[i] = j < i ? storage[j] : used++;
    }
    return used;
}

static Status check(const char *path, const Stored *t, int n)
{
    for (int i = 0; i < n; i++)
        if (!pickle_storage(t[i].type))
            return err_fail(E_MISMATCH, "%s: tensor '%s' is %s, which torch has no storage for", path, t[i].name,
                            stored_type(&t[i]));
    return OK;
}

static void write_entries(Writer *file, Arena *a, const Stored *t, int n)
{
    int *storage = NEW(a, int, n), used = number_storages(storage, t, n), written = 0;
    Buf b = buf_open(a);
    ADD(&b, "\x80\x02" GLOBAL_LINES("collections", "OrderedDict") ")R(");
    for (int i = 0; i < n; i++) {
        put_text(&b, t[i].name);
        put_tensor(&b, &t[i], storage[i]);
    }
    ADD(&b, "u.");
    ZipWriter z = zip_begin(a, file);
    zip_add(&z, "archive/data.pkl", b.text, b.len);
    zip_add(&z, "archive/byteorder", "little", 6);
    for (int i = 0; i < n && written < used; i++)
        if (storage[i] == written) zip_add(&z, str_print(a, "archive/data/%d", written++), t[i].bytes, t[i].n_bytes);
    zip_add(&z, "archive/version", "3\n", 2);
    zip_end(&z);
}

Status torch_write(const char *path, const Stored *tensors, int n)
{
    Writer file;
    TRY(check(path, tensors, n));
    TRY(writer_open(&file, path));
    Arena scratch = arena_open((size_t)1 << 30);
    write_entries(&file, &scratch, tensors, n);
    arena_close(&scratch);
    return writer_close(&file);
}

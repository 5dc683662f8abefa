/* GGUF version 3, with single values as metadata and tensors that are not quantised. */
#include <stdlib.h>
#include <string.h>

#include "io/gguf.h"

enum { ALIGNMENT = 32 };

static void put_number(Buf *b, uint64_t x, size_t size)
{
    buf_add(b, (const char *)&x, size);
}

static void put_text(Buf *b, const char *text)
{
    put_number(b, strlen(text), 8);
    buf_add(b, text, strlen(text));
}

static void put_pair(Buf *b, const GgufPair *p)
{
    float real = (float)p->number;
    put_text(b, p->key);
    put_number(b, p->text ? GGUF_STRING : p->is_real ? GGUF_F32 : GGUF_U32, 4);
    if (p->text)
        put_text(b, p->text);
    else if (p->is_real)
        buf_add(b, (const char *)&real, sizeof real);
    else
        put_number(b, (uint64_t)p->number, 4);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const Stored *)a)->name, ((const Stored *)b)->name);
}

static uint64_t padded(uint64_t n)
{
    return (n + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

static void put_entry(Buf *b, const Stored *s, uint64_t offset)
{
    put_text(b, s->name);
    put_number(b, (uint64_t)s->rank, 4);
    for (int d = s->rank - 1; d >= 0; d--) put_number(b, (uint64_t)s->dim[d], 8);
    put_number(b, s->type == STORED_F16, 4); /* 0: F32 */
    put_number(b, offset, 8);
}

Status gguf_write(const char *path, const GgufPair *pairs, int n_pairs, const Stored *tensors, int n)
{
    static const char zeros[ALIGNMENT] = {0};
    Arena scratch = arena_open((size_t)1 << 32);
    Stored *t = NEW(&scratch, Stored, n);
    for (int i = 0; i < n; i++)
        t[i] = tensors[i].type == STORED_F16 ? tensors[i] : stored_convert(&scratch, &tensors[i], STORED_F32, NULL);
    qsort(t, (size_t)n, sizeof *t, by_name);
    Buf head = buf_open(&scratch);
    buf_add(&head, "GGUF", 4);
    put_number(&head, 3, 4);
    put_number(&head, (uint64_t)n, 8);
    put_number(&head, (uint64_t)n_pairs, 8);
    for (int i = 0; i < n_pairs; i++) put_pair(&head, &pairs[i]);
    uint64_t at = 0;
    for (int i = 0; i < n; i++, at = padded(at)) {
        put_entry(&head, &t[i], at);
        at += t[i].n_bytes;
    }
    Writer file;
    Status s = writer_open(&file, path);
    if (!s) {
        writer_add(&file, head.text, head.len);
        writer_add(&file, zeros, padded(head.len) - head.len);
        for (int i = 0; i < n; i++) {
            writer_add(&file, t[i].bytes, t[i].n_bytes);
            writer_add(&file, zeros, padded(t[i].n_bytes) - t[i].n_bytes);
        }
        s = writer_close(&file);
    }
    arena_close(&scratch);
    return s;
}

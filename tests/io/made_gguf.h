/* GGUF files built piece by piece in memory, right ones and wrong ones. */
#ifndef TESTS_MADE_GGUF_H
#define TESTS_MADE_GGUF_H

#include <string.h>

#include "base/file.h"
#include "io/gguf.h"

typedef struct {
    Buf keys, list, data;
    uint64_t n_keys, n_tensors;
    uint32_t version, align;
} MadeGguf;

static inline MadeGguf made_gguf(Arena *a)
{
    return (MadeGguf){buf_open(a), buf_open(a), buf_open(a), 0, 0, 3, 32};
}

static inline void put_number(Buf *b, uint64_t x, size_t size)
{
    buf_add(b, (const char *)&x, size);
}

static inline void put_text(Buf *b, const char *text)
{
    put_number(b, strlen(text), 8);
    buf_add(b, text, strlen(text));
}

static inline void put_key(MadeGguf *m, const char *key, GgufKind kind)
{
    m->n_keys++;
    put_text(&m->keys, key);
    put_number(&m->keys, kind, 4);
}

static inline void put_u32(MadeGguf *m, const char *key, uint32_t x)
{
    put_key(m, key, GGUF_U32);
    put_number(&m->keys, x, 4);
}

static inline void put_f32(MadeGguf *m, const char *key, float x)
{
    put_key(m, key, GGUF_F32);
    buf_add(&m->keys, (const char *)&x, sizeof x);
}

static inline void put_bool(MadeGguf *m, const char *key, bool x)
{
    put_key(m, key, GGUF_BOOL);
    put_number(&m->keys, x, 1);
}

static inline void put_string(MadeGguf *m, const char *key, const char *text)
{
    put_key(m, key, GGUF_STRING);
    put_text(&m->keys, text);
}

static inline void put_array(MadeGguf *m, const char *key, GgufKind kind, uint64_t n)
{
    put_key(m, key, GGUF_ARRAY);
    put_number(&m->keys, kind, 4);
    put_number(&m->keys, n, 8);
}

static inline void put_strings(MadeGguf *m, const char *key, const char *const *text, int n)
{
    put_array(m, key, GGUF_STRING, (uint64_t)n);
    for (int i = 0; i < n; i++) put_text(&m->keys, text[i]);
}

static inline void put_ints(MadeGguf *m, const char *key, const int32_t *x, int n)
{
    put_array(m, key, GGUF_I32, (uint64_t)n);
    buf_add(&m->keys, (const char *)x, sizeof *x * (size_t)n);
}

static inline void put_floats(MadeGguf *m, const char *key, const float *x, int n)
{
    put_array(m, key, GGUF_F32, (uint64_t)n);
    buf_add(&m->keys, (const char *)x, sizeof *x * (size_t)n);
}

/* An entry of the list alone; columns 0: a vector of `rows`. */
static inline void put_entry(MadeGguf *m, const char *name, uint64_t rows, uint64_t columns, uint32_t type,
                             uint64_t offset)
{
    m->n_tensors++;
    put_text(&m->list, name);
    put_number(&m->list, columns ? 2 : 1, 4);
    if (columns) put_number(&m->list, columns, 8);
    put_number(&m->list, rows, 8);
    put_number(&m->list, type, 4);
    put_number(&m->list, offset, 8);
}

/* A tensor with its values, each behind the one before it. */
static inline void put_tensor(MadeGguf *m, const char *name, uint64_t rows, uint64_t columns, uint32_t type,
                              const void *values, size_t bytes)
{
    while (m->data.len % m->align) buf_add(&m->data, "", 1);
    put_entry(m, name, rows, columns, type, m->data.len);
    buf_add(&m->data, values, bytes);
}

/* An F32 matrix that counts: element i is `first` + i. */
static inline void put_counting(MadeGguf *m, const char *name, int rows, int columns, float first)
{
    int n = rows * (columns ? columns : 1);
    float *x = NEW(m->data.arena, float, n);
    for (int i = 0; i < n; i++) x[i] = first + (float)i;
    put_tensor(m, name, (uint64_t)rows, (uint64_t)columns, 0, x, sizeof *x * (size_t)n);
}

static inline Buf made_bytes(const MadeGguf *m)
{
    Buf b = buf_open(m->data.arena);
    buf_add(&b, "GGUF", 4);
    put_number(&b, m->version, 4);
    put_number(&b, m->n_tensors, 8);
    put_number(&b, m->n_keys, 8);
    buf_add(&b, m->keys.text, m->keys.len);
    buf_add(&b, m->list.text, m->list.len);
    while (m->align && b.len % m->align) buf_add(&b, "", 1);
    buf_add(&b, m->data.text, m->data.len);
    return b;
}

/* The smallest model of the family: one layer, 2 heads of 4 over 1, 16 tokens. */
static inline MadeGguf made_llama(Arena *a, const char *arch)
{
    static const char *const KEYS[] = {"block_count",         "context_length",       "embedding_length",
                                       "feed_forward_length", "attention.head_count", "attention.head_count_kv",
                                       "rope.dimension_count"};
    static const uint32_t VALUES[] = {1, 32, 8, 12, 2, 1, 4};
    MadeGguf m = made_gguf(a);
    put_string(&m, "general.architecture", arch);
    for (int i = 0; i < 7; i++) put_u32(&m, str_print(a, "%s.%s", arch, KEYS[i]), VALUES[i]);
    put_f32(&m, str_print(a, "%s.attention.layer_norm_rms_epsilon", arch), 1e-5f);
    put_f32(&m, str_print(a, "%s.rope.freq_base", arch), 10000);
    put_counting(&m, "token_embd.weight", 16, 8, 0);
    put_counting(&m, "output_norm.weight", 8, 0, 1);
    put_counting(&m, "blk.0.attn_norm.weight", 8, 0, 2);
    put_counting(&m, "blk.0.attn_q.weight", 8, 8, 0);
    put_counting(&m, "blk.0.attn_k.weight", 4, 8, 0);
    put_counting(&m, "blk.0.attn_v.weight", 4, 8, 0);
    put_counting(&m, "blk.0.attn_output.weight", 8, 8, 0);
    put_counting(&m, "blk.0.ffn_norm.weight", 8, 0, 3);
    put_counting(&m, "blk.0.ffn_gate.weight", 12, 8, 0);
    put_counting(&m, "blk.0.ffn_up.weight", 12, 8, 0);
    put_counting(&m, "blk.0.ffn_down.weight", 8, 12, 0);
    return m;
}

#endif

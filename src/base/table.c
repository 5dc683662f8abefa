/* Open addressing with linear probing, at most two thirds full.  Slots keep the whole hash, so that growing
 * does not read the keys again and most unequal keys are distinguished without memcmp. */
#include "base/table.h"

#include <string.h>

enum { POOL = 1 << 16 };

/* FNV-1a, eight bytes at a time, with a final mix that spreads the high bits into the low ones. */
static uint64_t hash_bytes(const char *p, size_t n)
{
    uint64_t h = 0xcbf29ce484222325u ^ n;
    for (; n >= 8; p += 8, n -= 8) {
        uint64_t w;
        memcpy(&w, p, 8);
        h = (h ^ w) * 0x9E3779B97F4A7C15u;
        h ^= h >> 29;
    }
    for (; n; p++, n--) h = (h ^ (unsigned char)*p) * 0x100000001b3u;
    h *= 0x9E3779B97F4A7C15u;
    return h ^ h >> 32;
}

Table table_open(Arena *a, int64_t expected)
{
    int64_t room = 16;
    while (room * 2 < expected * 3) room *= 2;
    return (Table){.arena = a, .slot = NEW(a, TableSlot, room), .room = room};
}

/* The slot that holds the key, or the empty one where it belongs. */
static TableSlot *seek(const Table *t, const void *key, size_t len, uint64_t hash)
{
    uint64_t mask = (uint64_t)t->room - 1;
    for (uint64_t i = hash & mask;; i = (i + 1) & mask) {
        TableSlot *s = &t->slot[i];
        if (!s->key) return s;
        if (s->hash == hash && s->len == len && memcmp(s->key, key, len) == 0) return s;
    }
}

static void grow(Table *t)
{
    const TableSlot *old = t->slot;
    int64_t n = t->room;
    t->room *= 2;
    t->slot = NEW(t->arena, TableSlot, t->room);
    uint64_t mask = (uint64_t)t->room - 1;
    for (int64_t i = 0; i < n; i++) {
        if (!old[i].key) continue;
        uint64_t j = old[i].hash & mask;
        while (t->slot[j].key) j = (j + 1) & mask;
        t->slot[j] = old[i];
    }
}

static const char *keep(Table *t, const void *key, size_t len)
{
    if (!t->pool || len > t->pool_left) { /* even an empty key needs an address */
        size_t size = len > POOL ? len : POOL;
        t->pool = arena_take(t->arena, size);
        t->pool_left = size;
    }
    char *copy = t->pool;
    if (len) memcpy(copy, key, len);
    t->pool += len;
    t->pool_left -= len;
    return copy;
}

int64_t *table_find(const Table *t, const void *key, size_t len)
{
    TableSlot *s = seek(t, key, len, hash_bytes(key, len));
    return s->key ? &s->value : NULL;
}

int64_t table_get(const Table *t, const void *key, size_t len, int64_t none)
{
    const int64_t *v = table_find(t, key, len);
    return v ? *v : none;
}

int64_t *table_add(Table *t, const void *key, size_t len, bool *added)
{
    uint64_t hash = hash_bytes(key, len);
    TableSlot *s = seek(t, key, len, hash);
    if (added) *added = !s->key;
    if (s->key) return &s->value;
    if ((t->count + 1) * 3 > t->room * 2) {
        grow(t);
        s = seek(t, key, len, hash);
    }
    t->count++;
    *s = (TableSlot){keep(t, key, len), len, hash, 0};
    return &s->value;
}

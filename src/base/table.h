/* A hash table from byte strings to integers, on an arena.  Keys are copied into the table; values are int64_t
 * and may be changed in place through the pointer that table_add or table_find returns, which is valid until
 * the next table_add.  Entries are never removed.  Iteration over keys is the caller's business: whoever needs
 * an order keeps an array, so that nothing depends on how keys hash. */
#ifndef BASE_TABLE_H
#define BASE_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"

typedef struct {
    const char *key; /* NULL in an empty slot */
    size_t len;
    uint64_t hash;
    int64_t value;
} TableSlot;

typedef struct {
    Arena *arena;
    TableSlot *slot;
    int64_t count, room; /* room is a power of two */
    char *pool;          /* where the next key is copied to */
    size_t pool_left;
} Table;

Table table_open(Arena *, int64_t expected);                     /* grows when `expected` was too few */
int64_t *table_find(const Table *, const void *key, size_t len); /* NULL when absent */
int64_t *table_add(Table *, const void *key, size_t len,
                   bool *added); /* the old or a new value (0); added may be NULL */
int64_t table_get(const Table *, const void *key, size_t len, int64_t none); /* the value, or `none` when absent */

#endif

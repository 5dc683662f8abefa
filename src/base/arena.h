/* Memory has two lifetimes: a run (configuration, parameters, data) and a step (activations, gradients).
 * Each is one arena: a huge reserved range of address space whose pages appear on first touch, and a bump
 * pointer.  Blocks never move and are never freed singly; dropping a mark frees everything taken since.
 *
 * A pointer is valid until its arena's mark is dropped; headers say which arena.  Blocks are 64-byte aligned
 * and are NOT cleared (debug builds fill them with signalling NaNs so that a read before a write shows).
 * Exhausting a reservation is a programmer error: the arena dies with the number of bytes requested.
 * Under AddressSanitizer blocks are separated by red zones and dropped memory is poisoned.
 */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include <stdbool.h>
#include <stddef.h>

typedef struct {
    char *base, *top, *peak, *end; /* reserved range [base,end); top is the next free byte */
    struct ArenaMap *maps;         /* adopted, the last first */
} Arena;
typedef struct {
    char *top;
} ArenaMark;

Arena arena_open(size_t reserve);        /* reserves address space; 0: the default size */
void *arena_take(Arena *, size_t bytes); /* 64-byte aligned, not cleared */
void *arena_zero(Arena *, size_t bytes); /* the same, cleared */
/* The block taken last grows in place from `was` to `bytes`; false, and nothing changes, when it is not the last. */
bool arena_stretch(Arena *, void *block, size_t was, size_t bytes);
/* A block of `was` bytes becomes one of `bytes`, in place where it was taken last, else as a copy; the rest is 0.
 * block NULL, was 0: a new one. */
void *arena_grow(Arena *, void *block, size_t was, size_t bytes);
/* A mapping of a file becomes as good as a block taken now: it is unmapped when that would be freed. */
void arena_adopt(Arena *, void *map, size_t bytes);
ArenaMark arena_mark(const Arena *);
void arena_drop(Arena *, ArenaMark); /* frees everything taken since the mark */
size_t arena_peak(const Arena *);    /* the most bytes that were ever in use at once */
void arena_close(Arena *);
size_t arena_space_left(void); /* bytes that a limit on address space (ulimit -v) leaves; SIZE_MAX without one */

#define NEW(arena, type, n) ((type *)arena_zero((arena), sizeof(type) * (size_t)(n))) /* cleared array */

/* Before item n is put into the array `at`: when the array is full, it doubles, and `first` items are its first size.
 * `at` and `room`, 0 to begin with, are set; they are evaluated more than once. */
#define GROW(arena, at, n, room, first)                                                                              \
    do {                                                                                                             \
        if ((n) < (room)) break;                                                                                     \
        size_t was_ = sizeof *(at) * (size_t)(room);                                                                 \
        (room) = (room) ? 2 * (room) : (first);                                                                      \
        (at) = arena_grow((arena), (at), was_, sizeof *(at) * (size_t)(room));                                       \
    } while (0)

#endif

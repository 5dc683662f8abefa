/* A fixture: one arena. */
#ifndef TESTS_ARENA_H
#define TESTS_ARENA_H

#include "base/arena.h"

static Arena arena;

static inline int begin(void **state)
{
    (void)state;
    arena = arena_open((size_t)1 << 34);
    return 0;
}

static inline int end(void **state)
{
    (void)state;
    arena_close(&arena);
    return 0;
}

#endif

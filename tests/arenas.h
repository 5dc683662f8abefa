/* A fixture: an arena of the whole test and one of its steps. */
#ifndef TESTS_ARENAS_H
#define TESTS_ARENAS_H

#include "base/arena.h"

static Arena run, step;

static inline int begin(void **state)
{
    (void)state;
    run = arena_open((size_t)1 << 34), step = arena_open((size_t)1 << 34);
    return 0;
}

static inline int end(void **state)
{
    (void)state;
    arena_close(&run), arena_close(&step);
    return 0;
}

#endif

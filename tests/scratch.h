/* A fixture: an arena and a directory of the test's own, which `end` removes. */
#ifndef TESTS_SCRATCH_H
#define TESTS_SCRATCH_H

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/str.h"

static Arena arena;
static char dir[32];

static int begin(void **state)
{
    (void)state;
    arena = arena_open((size_t)1 << 34);
    strcpy(dir, "/tmp/vernier-test-XXXXXX");
    return mkdtemp(dir) == NULL;
}

static int end(void **state)
{
    (void)state;
    int code = system(str_print(&arena, "rm -r %s", dir));
    arena_close(&arena);
    return code;
}

#endif

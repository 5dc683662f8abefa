/* Where the golden files of third-party implementations are: $GOLDEN, else golden/ below $VERNIER_SHARED or
 * ../shared. */
#ifndef TESTS_GOLDEN_ROOT_H
#define TESTS_GOLDEN_ROOT_H

#include <stdlib.h>

#include "base/str.h"

static inline const char *golden_root(Arena *a)
{
    const char *golden = getenv("GOLDEN"), *shared = getenv("VERNIER_SHARED");
    if (golden && *golden) return golden;
    return str_print(a, "%s/golden", shared ? shared : "../shared");
}

#endif

/* Files that lie beside the repository, absent elsewhere: below $VERNIER_SHARED or ../shared, and in golden/ there,
 * or $GOLDEN, those of third-party implementations. */
#ifndef TESTS_SHARED_H
#define TESTS_SHARED_H

#include <stdlib.h>

#include "base/str.h"

static inline const char *shared_path(Arena *a, const char *below)
{
    const char *shared = getenv("VERNIER_SHARED");
    return str_print(a, "%s/%s", shared ? shared : "../shared", below);
}

static inline const char *golden_root(Arena *a)
{
    const char *golden = getenv("GOLDEN");
    return golden && *golden ? golden : shared_path(a, "golden");
}

#endif

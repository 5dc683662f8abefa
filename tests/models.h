/* Two pretrained models: below $VERNIER_MODELS, or in build/models, which models/fetch of the shared folder fills
 * where a package index is in reach.  The answers of the reference libraries lie below models/expected there. */
#ifndef TESTS_MODELS_H
#define TESTS_MODELS_H

#include <stdlib.h>
#include <unistd.h>

#include "shared.h"

/* The folder of a model, "minilm" or "smollm2"; NULL where it cannot be had. */
static inline const char *real_model(Arena *a, const char *name)
{
    const char *given = getenv("VERNIER_MODELS"), *root = given && *given ? given : "build/models";
    const char *dir = str_print(a, "%s/%s", root, name), *fetch = shared_path(a, "models/fetch");
    if (access(shared_path(a, "models/expected"), R_OK)) return NULL;
    if (!access(dir, R_OK)) return dir;
    if ((given && *given) || access(fetch, X_OK)) return NULL;
    return system(str_print(a, "mkdir -p build && %s %s >build/models.log 2>&1", fetch, root)) ? NULL : dir;
}

static inline const char *real_expected(Arena *a, const char *file)
{
    return shared_path(a, str_print(a, "models/expected/%s", file));
}

#endif

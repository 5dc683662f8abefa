/* The third-party answers for JITLine below golden/jit/jitline, and arrays of numbers in them. */
#ifndef TESTS_LEARN_GOLDEN_H
#define TESTS_LEARN_GOLDEN_H

#include "expect.h"

#include "base/file.h"
#include "io/json.h"
#include "io/safetensors.h"
#include "scratch.h"
#include "shared.h"

/* NULL, once the test is skipped, where the file is absent. */
static inline cJSON *golden_read(const char *name)
{
    cJSON *root = NULL;
    const char *path = str_print(&arena, "%s/jit/jitline/%s.json", golden_root(&arena), name);
    FILE *f = fopen(path, "r");
    if (!f) {
        print_message("# skipped: no %s\n", path);
        skip();
    }
    fclose(f);
    EXPECT(!json_read(&root, &arena, path), "%s", err_message());
    return root;
}

/* The numbers of an array, or of an array of arrays, row by row. */
static inline void golden_gather(double *out, int64_t *n, const cJSON *array)
{
    const cJSON *one;
    cJSON_ArrayForEach(one, array)
    {
        if (cJSON_IsArray(one))
            golden_gather(out, n, one);
        else if (out)
            out[(*n)++] = one->valuedouble;
        else
            ++*n;
    }
}

static inline double *golden_numbers(int64_t *n, const cJSON *object, const char *key)
{
    const cJSON *array = key ? cJSON_GetObjectItemCaseSensitive(object, key) : object;
    int64_t count = 0, again = 0;
    golden_gather(NULL, &count, array);
    double *out = NEW(&arena, double, count + 1);
    golden_gather(out, &again, array);
    if (n) *n = count;
    return out;
}

static inline int32_t *golden_labels(const double *x, int64_t n)
{
    int32_t *label = NEW(&arena, int32_t, n + 1);
    for (int64_t i = 0; i < n; i++) label[i] = (int32_t)x[i];
    return label;
}

/* The arrays of a model as a file that is read again. */
static inline Weights *through_a_file(const Stored *array, int n)
{
    Weights *w = NULL;
    const char *path = str_print(&arena, "%s/model.safetensors", dir);
    EXPECT(!safetensors_write_stored(path, array, n, NULL, 0) && !weights_open(&w, &arena, path), "%s",
           err_message());
    return w;
}

#endif

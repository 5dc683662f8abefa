/* Reading the golden files of third-party implementations: JSON of inputs, .npy arrays of outputs. */
#ifndef TESTS_NN_GOLDEN_H
#define TESTS_NN_GOLDEN_H

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/str.h"
#include "expect.h"
#include "io/json.h"
#include "io/safetensors.h"
#include "nn/model.h"

typedef struct {
    Arena run, step;
    const char *dir;
    cJSON *root;
    const cJSON *cases;
} Golden;

/* False where the files are not at hand. */
static inline bool golden_open(Golden *g, const char *name)
{
    const char *shared = getenv("VERNIER_SHARED"), *golden = getenv("GOLDEN");
    g->run = arena_open((size_t)1 << 32);
    g->step = arena_open((size_t)1 << 34);
    g->dir = golden ? str_print(&g->run, "%s/models/%s", golden, name)
                    : str_print(&g->run, "%s/golden/models/%s", shared ? shared : "../shared", name);
    if (json_read(&g->root, &g->run, str_print(&g->run, "%s/golden.json", g->dir))) {
        err_clear();
        return false;
    }
    g->cases = cJSON_GetObjectItem(g->root, "cases");
    return true;
}

static inline void golden_close(Golden *g)
{
    cJSON_Delete(g->root);
    arena_close(&g->run);
    arena_close(&g->step);
}

static inline const cJSON *golden_get(const Golden *g, const char *name, const char *what, const char *key)
{
    const cJSON *c = cJSON_GetObjectItemCaseSensitive(g->cases, name);
    return cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(c, what), key);
}

/* A rectangle of ids, or a vector as (1,n) */
typedef struct {
    int64_t b, t;
    int32_t *id;
} Ids;
static inline Ids golden_ids(Golden *g, const char *name, const char *what, const char *key)
{
    const cJSON *j = golden_get(g, name, what, key), *row, *x;
    EXPECT(cJSON_IsArray(j), "%s/%s/%s is missing", name, what, key);
    bool flat = cJSON_IsNumber(cJSON_GetArrayItem(j, 0));
    Ids out = {flat ? 1 : cJSON_GetArraySize(j), 0, NULL};
    out.t = flat ? cJSON_GetArraySize(j) : cJSON_GetArraySize(cJSON_GetArrayItem(j, 0));
    out.id = NEW(&g->run, int32_t, out.b * out.t);
    int64_t i = 0;
    if (flat) {
        cJSON_ArrayForEach(x, j) out.id[i++] = (int32_t)x->valuedouble;
    } else {
        cJSON_ArrayForEach(row, j)
        {
            assert_int_equal(cJSON_GetArraySize(row), out.t);
            cJSON_ArrayForEach(x, row) out.id[i++] = (int32_t)x->valuedouble;
        }
    }
    return out;
}

static inline int32_t *golden_len(Golden *g, const char *name, const char *key)
{
    Ids mask = golden_ids(g, name, "inputs", key);
    int32_t *len = NEW(&g->run, int32_t, mask.b);
    for (int64_t i = 0; i < mask.b * mask.t; i++) len[i / mask.t] += mask.id[i];
    return len;
}

static inline Tensor golden_array(Golden *g, const char *name, const char *key)
{
    const cJSON *entry = golden_get(g, name, "arrays", key), *d;
    EXPECT(entry != NULL, "%s/arrays/%s is missing", name, key);
    Bytes file;
    const char *path = str_print(&g->run, "%s/%s", g->dir, cJSON_GetObjectItem(entry, "file")->valuestring);
    EXPECT(file_read(&file, &g->run, path) == OK, "%s", err_message());
    EXPECT(strstr(file.text + 10, "'<f4'") && strstr(file.text + 10, "'fortran_order': False"), "%s: %.100s", path,
           file.text + 10);
    size_t header = 10 + (size_t)((unsigned char)file.text[8] + 256 * (unsigned char)file.text[9]);
    Tensor t = {.dtype = F32};
    cJSON_ArrayForEach(d, cJSON_GetObjectItem(entry, "shape")) t.dim[t.rank++] = (int64_t)d->valuedouble;
    assert_int_equal(tensor_bytes(t), file.len - header);
    t.data = arena_take(&g->run, tensor_bytes(t));
    memcpy(t.data, file.text + header, tensor_bytes(t));
    return t;
}

/* Largest gap over the largest value, rows past len[b] of the second-last dimension left out. */
static inline double golden_gap(Tensor got, Tensor want, const int32_t *len)
{
    EXPECT(tensor_same_shape(got, want), "shape %s, expected %s", tensor_shape(got), tensor_shape(want));
    double gap = 0, most = 0;
    int64_t c = tensor_last(want), t = want.rank > 1 ? want.dim[want.rank - 2] : 1;
    int64_t per_row = want.dim[0] ? tensor_count(want) / want.dim[0] : 1;
    for (int64_t i = 0, n = tensor_count(want); i < n; i++) {
        if (len && i / c % t >= len[i / per_row]) continue;
        double d = fabs(tensor_get(got, i) - tensor_get(want, i));
        if (!(d <= gap)) gap = d;
        most = fmax(most, fabs(tensor_get(want, i)));
    }
    return gap / most;
}

#define EXPECT_GOLDEN(got, g, name, key, len)                                                                        \
    do {                                                                                                             \
        double gap_ = golden_gap(got, golden_array(g, name, key), len);                                              \
        EXPECT(gap_ <= 2e-5, "%s %s: off by %.3g of its largest value", name, key, gap_);                            \
        if (getenv("VERBOSE")) print_message("# %s %s: %.2g\n", name, key, gap_);                                    \
    } while (0)

#endif

/* Reading the golden files of third-party implementations: JSON of inputs, .npy arrays of outputs (or one
 * outputs.safetensors with all of them). */
#ifndef TESTS_NN_GOLDEN_H
#define TESTS_NN_GOLDEN_H

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/str.h"
#include "expect.h"
#include "io/json.h"
#include "io/npy.h"
#include "io/safetensors.h"
#include "nn/model.h"
#include "shared.h"

typedef struct {
    Arena run, step;
    const char *name, *dir;
    DType dtype;  /* that models are loaded in; F32 unless set */
    double slack; /* of the largest value: what the reference computes in single numbers though the model is F64 */
    cJSON *root;
    const cJSON *cases;
} Golden;

/* The folder `name` below `parent`, NULL: models/ of golden_root(), with its golden.json; false where it is not at
 * hand. */
static inline bool golden_open_in(Golden *g, const char *parent, const char *name)
{
    *g = (Golden){.run = arena_open((size_t)1 << 32), .step = arena_open((size_t)1 << 34)};
    g->name = str_copy(&g->run, name, strlen(name));
    if (!parent) parent = str_print(&g->run, "%s/models", golden_root(&g->run));
    g->dir = str_print(&g->run, "%s/%s", parent, name);
    if (json_read(&g->root, &g->run, str_print(&g->run, "%s/golden.json", g->dir))) {
        err_clear();
        return false;
    }
    g->cases = cJSON_GetObjectItem(g->root, "cases");
    return true;
}

static inline bool golden_open(Golden *g, const char *name)
{
    return golden_open_in(g, NULL, name);
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
    const cJSON *file = cJSON_GetObjectItem(entry, "file");
    const char *path = str_print(&g->run, "%s/%s", g->dir, file ? file->valuestring : "outputs.safetensors");
    Tensor t;
    if (file) {
        EXPECT(npy_read(&t, &g->run, path) == OK, "%s", err_message());
    } else { /* all in one file, by their keys */
        Weights *w;
        EXPECT(safetensors_open(&w, &g->run, path) == OK, "%s", err_message());
        const Stored *s = weights_find(w, key);
        EXPECT(s && stored_tensor(&t, &g->run, s) == OK, "%s holds no %s", path, key);
        t = tensor_copy(&g->run, t);
        weights_close(w);
    }
    int i = 0;
    cJSON_ArrayForEach(d, cJSON_GetObjectItem(entry, "shape"))
    {
        EXPECT(i < t.rank && t.dim[i] == (int64_t)d->valuedouble, "%s has shape %s", path, tensor_shape(t));
        i++;
    }
    return t;
}

/* The largest difference, and over the largest value; rows past len[b] of the second-last dimension left out. */
typedef struct {
    double abs, rel;
} Gap;
static inline Gap golden_gap(Tensor got, Tensor want, const int32_t *len)
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
    return (Gap){gap, gap / most};
}

/* With VERBOSE a line of each comparison, from which tests/golden/gaps makes tables. */
static inline void golden_tell(const Golden *g, const char *name, const char *key, Gap gap)
{
    if (getenv("VERBOSE"))
        print_message("# gap %s %s %s %s %.3g %.3g\n", g->name, name, key, dtype_name(g->dtype), gap.abs, gap.rel);
}

/* Within 1e-5 of the array's largest value.  In F64 the difference is the reference's own rounding to F32, of
 * which the files say how large it is; of arrays in F64 nothing. */
static inline void golden_compare(Golden *g, const char *name, const char *key, Tensor got, Tensor want,
                                  const int32_t *len)
{
    Gap gap = golden_gap(got, want, len);
    const cJSON *told = cJSON_GetObjectItem(golden_get(g, name, "f64", key), "max_abs");
    double own = want.dtype == F64 ? 0 : told ? told->valuedouble : (double)INFINITY;
    golden_tell(g, name, key, gap);
    EXPECT(gap.rel <= 1e-5, "%s %s %s: off by %.3g of its largest value", g->name, name, key, gap.rel);
    if (g->dtype == F64)
        EXPECT(gap.abs <= own * 1.001 + (want.dtype == F64 ? 1e-12 : 1e-9) +
                              (gap.rel > 0 ? g->slack * gap.abs / gap.rel : 0),
               "%s %s %s: off by %.4g, the reference by %.4g", g->name, name, key, gap.abs, own);
}

/* A number of `outputs`: `key`, or its F64 twin where the model is F64 and there is one. */
static inline void golden_number(Golden *g, const char *name, const char *key, double got)
{
    const cJSON *twin = golden_get(g, name, "outputs", str_print(&g->run, "%s_f64", key));
    bool exact = g->dtype == F64 && twin;
    double want = (exact ? twin : golden_get(g, name, "outputs", key))->valuedouble, gap = fabs(got - want);
    golden_tell(g, name, key, (Gap){gap, gap / fabs(want)});
    EXPECT(gap <= (exact ? 1e-9 + g->slack : 1e-5) * fabs(want), "%s %s: %s is %.12g, expected %.12g", g->name, name,
           key, got, want);
}

#define EXPECT_GOLDEN(got, g, name, key, len) golden_compare(g, name, key, got, golden_array(g, name, key), len)

#endif

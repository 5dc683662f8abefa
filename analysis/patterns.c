/* How much of a map's mass lies on a pattern of places or of ids. */
#include "analysis/patterns.h"

#include <math.h>

static bool follows(Pattern p, int64_t i, int64_t j, const int32_t *query, const int32_t *key)
{
    switch (p) {
    case PATTERN_DIAGONAL: return j == i;
    case PATTERN_PREVIOUS: return j == i - 1;
    case PATTERN_NEXT: return j == i + 1;
    case PATTERN_IDENTICAL: return key[j] == query[i] && (j != i || key != query);
    case PATTERN_DUPLICATE: return j < i && key[j] == query[i];
    case PATTERN_INDUCTION: return j > 0 && j <= i && key[j - 1] == query[i];
    }
    return false;
}

double pattern_mass(Pattern p, Tensor map, int64_t prefix, const int32_t *query, const int32_t *key)
{
    int64_t s = tensor_last(map), n = s - prefix, rows = 0;
    double sum = 0;
    CHECK(p <= PATTERN_NEXT || (query && key), "a pattern of ids without ids");
    for (int64_t i = 0; i < map.dim[0]; i++) {
        bool any = false;
        if (isnan(tensor_get(map, i * s))) continue;
        for (int64_t j = 0; j < n; j++) {
            if (!follows(p, i, j, query, key)) continue;
            any = true;
            sum += tensor_get(map, i * s + prefix + j);
        }
        rows += any;
    }
    return rows ? sum / (double)rows : (double)NAN;
}

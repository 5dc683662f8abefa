/* Shingle sets are sorted 64-bit hashes; a signature has 64 minima in 16 bands of 4. */
#include "change/neardup.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "base/table.h"

enum { BANDS = 16, ROWS = 4, RUN = 3, MOST_COMPARED = 8 };

typedef struct {
    int64_t n;
    uint64_t *hash; /* (n) sorted, distinct */
} Shingles;

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static bool in_word(char c)
{
    return isalnum((unsigned char)c) || c == '_' || (unsigned char)c >= 0x80;
}

/* Tokens are runs of letters and digits, and single symbols; a text of fewer than three is one shingle. */
static Shingles shingle(Arena *a, Bytes t)
{
    Shingles s = {0, arena_take(a, sizeof *s.hash * (t.len + 1))};
    uint64_t last[RUN] = {0};
    int64_t tokens = 0;
    for (size_t i = 0, end; i < t.len; i = end) {
        uint64_t h = 0xcbf29ce484222325u;
        end = i + 1;
        if (isspace((unsigned char)t.text[i])) continue;
        while (in_word(t.text[i]) && end < t.len && in_word(t.text[end])) end++;
        for (size_t k = i; k < end; k++) h = (h ^ (unsigned char)t.text[k]) * 0x100000001b3u;
        memmove(last, last + 1, sizeof last - sizeof *last);
        last[RUN - 1] = h;
        if (++tokens >= RUN) s.hash[s.n++] = rng_mix(rng_mix(last[0], last[1]), last[2]);
    }
    if (tokens < RUN) s.hash[s.n++] = rng_mix(rng_mix(last[1], last[2]), (uint64_t)tokens);
    qsort(s.hash, (size_t)s.n, sizeof *s.hash, by_value);
    int64_t n = 0;
    for (int64_t i = 0; i < s.n; i++)
        if (n == 0 || s.hash[n - 1] != s.hash[i]) s.hash[n++] = s.hash[i];
    s.n = n;
    return s;
}

static bool alike(Shingles a, Shingles b, double limit)
{
    int64_t shared = 0;
    double least = (double)(a.n < b.n ? a.n : b.n), most = (double)(a.n < b.n ? b.n : a.n);
    if (least < limit * most) return false;
    for (int64_t i = 0, k = 0; i < a.n && k < b.n;) {
        uint64_t x = a.hash[i], y = b.hash[k];
        shared += x == y;
        i += x <= y;
        k += y <= x;
    }
    return (double)shared >= limit * (double)(a.n + b.n - shared);
}

/* Multiplying by an odd number and folding is a permutation that differs per row; its minimum is the signature. */
static void sign(uint64_t out[BANDS * ROWS], Shingles s)
{
    for (int k = 0; k < BANDS * ROWS; k++) {
        uint64_t odd = rng_mix(17, (uint64_t)k) | 1, least = UINT64_MAX;
        for (int64_t i = 0; i < s.n; i++) {
            uint64_t h = s.hash[i] * odd;
            h ^= h >> 32;
            h *= 0x9E3779B97F4A7C15u;
            if (h < least) least = h;
        }
        out[k] = least;
    }
}

static int64_t root(int64_t *group, int64_t i)
{
    while (group[i] != i) i = group[i] = group[group[i]];
    return i;
}

/* MinHash: texts that share a band of their signatures are compared, and alike ones joined into groups. */
void neardup_find(int64_t *group, Arena *a, const Bytes *text, int64_t n, double limit)
{
    ArenaMark mark = arena_mark(a);
    Shingles *s = arena_take(a, sizeof *s * (size_t)(n + 1));
    Table band = table_open(a, n * BANDS); /* band and its minima -> the last text there, plus 1 */
    int64_t(*before)[BANDS] = arena_take(a, sizeof *before * (size_t)(n + 1)); /* the one there before, plus 1 */
    for (int64_t i = 0; i < n; i++) {
        uint64_t signature[BANDS * ROWS];
        group[i] = i;
        s[i] = shingle(a, text[i]);
        sign(signature, s[i]);
        for (int b = 0; b < BANDS; b++) {
            uint64_t key[ROWS + 1] = {(uint64_t)b};
            memcpy(key + 1, signature + b * ROWS, sizeof *key * ROWS);
            int64_t *last = table_add(&band, key, sizeof key, NULL);
            before[i][b] = *last;
            *last = i + 1;
            int compared = 0; /* in a crowd the latest few stand for all: they are of one group already */
            for (int64_t k = before[i][b]; k > 0 && compared++ < MOST_COMPARED; k = before[k - 1][b]) {
                int64_t x = root(group, i), y = root(group, k - 1);
                if (x != y && alike(s[i], s[k - 1], limit)) group[x > y ? x : y] = x < y ? x : y;
            }
        }
    }
    for (int64_t i = 0; i < n; i++) group[i] = root(group, i);
    arena_drop(a, mark);
}

/* Digit tasks: maps, sampler, batches, greedy scoring, entropy floors. */
#include "lab/digits.h"

#include <math.h>
#include <string.h>

#include "base/rng.h"

/* ---- tasks */

static void sorted(const int32_t in[LENGTH], int32_t out[LENGTH], int step)
{
    int count[DIGITS] = {0}, n = 0;
    for (int i = 0; i < LENGTH; i++) count[in[i]]++;
    for (int k = 0; k < DIGITS; k++) {
        int digit = step > 0 ? k : DIGITS - 1 - k;
        for (int c = 0; c < count[digit]; c++) out[n++] = digit;
    }
}

static void added(int32_t out[LENGTH], int32_t by)
{
    for (int i = 0; i < LENGTH; i++) out[i] += by;
}

static void ascending(const int32_t in[LENGTH], int32_t out[LENGTH])
{
    sorted(in, out, 1);
}

static void descending(const int32_t in[LENGTH], int32_t out[LENGTH])
{
    sorted(in, out, -1);
}

static void add_one(const int32_t in[LENGTH], int32_t out[LENGTH])
{
    memcpy(out, in, sizeof *out * LENGTH);
    added(out, 1);
}

static void add_two(const int32_t in[LENGTH], int32_t out[LENGTH])
{
    memcpy(out, in, sizeof *out * LENGTH);
    added(out, 2);
}

static void ascending_add_one(const int32_t in[LENGTH], int32_t out[LENGTH])
{
    sorted(in, out, 1);
    added(out, 1);
}

/* Each output is how often that input digit occurs.  Ten equal digits would need an eleventh token; the count is
 * capped at 9 for those eight inputs of 8^10. */
static void histogram(const int32_t in[LENGTH], int32_t out[LENGTH])
{
    int count[DIGITS] = {0};
    for (int i = 0; i < LENGTH; i++) count[in[i]]++;
    for (int i = 0; i < LENGTH; i++) out[i] = count[in[i]] < DIGIT_VOCAB ? count[in[i]] : DIGIT_VOCAB - 1;
}

const DigitTask DIGIT_TASKS[] = {{"asc", "ascending sort", ascending},
                                 {"desc", "descending sort", descending},
                                 {"add1", "add 1 to each digit", add_one},
                                 {"add2", "add 2 to each digit", add_two},
                                 {"asc-add1", "ascending sort, then add 1", ascending_add_one},
                                 {"histogram", "the count of each digit, in place", histogram},
                                 {0}};

const DigitTask *digit_task(const char *name)
{
    for (const DigitTask *t = DIGIT_TASKS; t->name; t++)
        if (!strcmp(t->name, name)) return t;
    return NULL;
}

/* ---- data */

bool digits_in_test(const int32_t in[LENGTH])
{
    uint32_t h = 2166136261u; /* FNV-1a */
    for (int i = 0; i < LENGTH; i++) h = (h ^ (uint32_t)in[i]) * 16777619u;
    return (h >> 16) % 4 == 0;
}

void digits_draw(int32_t in[LENGTH], uint64_t stream, uint64_t index, bool test)
{
    uint64_t mine = rng_mix(stream, index);
    for (uint64_t attempt = 0;; attempt++) {
        RngBlock b = rng_block(mine, attempt); /* 10 digits of 3 bits from the first word, the coin from the second */
        unsigned seen = 0;
        for (int i = 0; i < LENGTH; i++) {
            in[i] = (int32_t)(b.v[0] >> 3 * i & 7);
            seen |= 1u << in[i];
        }
        bool picky = b.v[1] & 1;
        if (picky && __builtin_popcount(seen) > 5) continue;
        if (digits_in_test(in) == test) return;
    }
}

Batch digits_batch(Arena *a, const DigitTask *task, int64_t slots, int64_t b, uint64_t stream, uint64_t first,
                   bool test)
{
    int64_t t = slots + 2 * LENGTH - 1;
    int32_t *ids = NEW(a, int32_t, b * t), *keep = NEW(a, int32_t, b * LENGTH), *target = NEW(a, int32_t, b * LENGTH);
    for (int64_t r = 0; r < b; r++) {
        int32_t *row = ids + r * t + slots, *out = target + r * LENGTH;
        digits_draw(row, stream, first + (uint64_t)r, test);
        task->map(row, out);
        memcpy(row + LENGTH, out, sizeof *out * (LENGTH - 1));
        for (int i = 0; i < LENGTH; i++) keep[r * LENGTH + i] = (int32_t)(slots + LENGTH - 1 + i);
    }
    return (Batch){.b = b, .t = t, .k = LENGTH, .ids = ids, .keep = keep, .target = target};
}

/* ---- measures */

void digits_decode(int32_t *out, Arena *step, Model *m, const Hooks *hooks, const int32_t *in, int64_t b,
                   int64_t slots)
{
    for (int i = 0; i < LENGTH; i++) {
        ArenaMark mark = arena_mark(step);
        int64_t t = slots + LENGTH + i;
        int32_t *ids = NEW(step, int32_t, b * t), *keep = NEW(step, int32_t, b);
        for (int64_t r = 0; r < b; r++) {
            memcpy(ids + r * t + slots, in + r * LENGTH, sizeof *in * LENGTH);
            memcpy(ids + r * t + slots + LENGTH, out + r * LENGTH, sizeof *out * (size_t)i);
            keep[r] = (int32_t)(t - 1);
        }
        Batch batch = {.b = b, .t = t, .k = 1, .ids = ids, .keep = keep};
        Var *logits = model_logits(m, &(Pass){.tape = tape_open(step, false), .hooks = hooks}, &batch);
        int64_t v = tensor_last(logits->val);
        for (int64_t r = 0; r < b; r++) {
            int32_t best = 0;
            for (int32_t j = 1; j < v; j++)
                if (tensor_get(logits->val, r * v + j) > tensor_get(logits->val, r * v + best)) best = j;
            out[r * LENGTH + i] = best;
        }
        arena_drop(step, mark);
    }
}

void digits_score(DigitScore *out, Arena *step, Model *m, const Hooks *hooks, const DigitTask *const *task, int tasks,
                  int64_t slots, int64_t n, uint64_t stream)
{
    enum { CHUNK = 100 };
    int32_t in[CHUNK * LENGTH], said[CHUNK * LENGTH], want[LENGTH];
    for (int k = 0; k < tasks; k++) out[k] = (DigitScore){0};
    for (int64_t first = 0; first < n; first += CHUNK) {
        int64_t b = n - first < CHUNK ? n - first : CHUNK;
        for (int64_t r = 0; r < b; r++) digits_draw(in + r * LENGTH, stream, (uint64_t)(first + r), true);
        digits_decode(said, step, m, hooks, in, b, slots);
        for (int64_t r = 0; r < b; r++)
            for (int k = 0; k < tasks; k++) {
                int right = 0;
                task[k]->map(in + r * LENGTH, want);
                for (int i = 0; i < LENGTH; i++) right += said[r * LENGTH + i] == want[i];
                out[k].exact += (right == LENGTH) / (double)n;
                out[k].token += right / (double)(n * LENGTH);
            }
    }
}

static double entropy(const double *count, int n)
{
    double total = 0, h = 0;
    for (int i = 0; i < n; i++) total += count[i];
    for (int i = 0; i < n; i++)
        if (count[i] > 0) h -= count[i] / total * log(count[i] / total);
    return h;
}

DigitFloors digits_floors(const DigitTask *task, int64_t samples, uint64_t stream)
{
    static _Thread_local double count[LENGTH][DIGIT_VOCAB + 1][DIGIT_VOCAB]; /* position, previous (or none), token */
    memset(count, 0, sizeof count);
    for (int64_t s = 0; s < samples; s++) {
        int32_t in[LENGTH], y[LENGTH];
        digits_draw(in, stream, (uint64_t)s, false);
        task->map(in, y);
        for (int i = 0; i < LENGTH; i++) count[i][i ? y[i - 1] : DIGIT_VOCAB][y[i]]++;
    }
    DigitFloors f = {0};
    for (int i = 0; i < LENGTH; i++) {
        double marginal[DIGIT_VOCAB] = {0};
        for (int p = 0; p <= DIGIT_VOCAB; p++) {
            double n = 0;
            for (int y = 0; y < DIGIT_VOCAB; y++) {
                marginal[y] += count[i][p][y];
                n += count[i][p][y];
            }
            f.previous += n / (double)samples * entropy(count[i][p], DIGIT_VOCAB) / LENGTH;
        }
        f.position += entropy(marginal, DIGIT_VOCAB) / LENGTH;
    }
    return f;
}

/* Digit tasks: maps, sampler, batches, greedy scoring, entropy baselines. */
#include "lab/digits.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/rng.h"
#include "base/str.h"

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

static void descending_add_one(const int32_t in[LENGTH], int32_t out[LENGTH])
{
    sorted(in, out, -1);
    added(out, 1);
}

/* ---- tasks of this workbench, for experiments of the user */

static void rotated(const int32_t in[LENGTH], int32_t out[LENGTH], int by)
{
    for (int i = 0; i < LENGTH; i++) out[i] = in[(i + by) % LENGTH];
}

static void copy(const int32_t in[LENGTH], int32_t out[LENGTH])
{
    rotated(in, out, 0);
}

static void shift(const int32_t in[LENGTH], int32_t out[LENGTH])
{
    rotated(in, out, 1);
}

static void shift_two(const int32_t in[LENGTH], int32_t out[LENGTH])
{
    rotated(in, out, 2);
}

static void reverse(const int32_t in[LENGTH], int32_t out[LENGTH])
{
    for (int i = 0; i < LENGTH; i++) out[i] = in[LENGTH - 1 - i];
}

static void reverse_add_one(const int32_t in[LENGTH], int32_t out[LENGTH])
{
    reverse(in, out);
    added(out, 1);
}

static void mode(const int32_t in[LENGTH], int32_t out[LENGTH])
{
    int count[DIGITS] = {0}, best = 0;
    for (int i = 0; i < LENGTH; i++) count[in[i]]++;
    for (int k = 1; k < DIGITS; k++)
        if (count[k] > count[best]) best = k;
    for (int i = 0; i < LENGTH; i++) out[i] = best;
}

static void running_sum(const int32_t in[LENGTH], int32_t out[LENGTH])
{
    for (int i = 0, sum = 0; i < LENGTH; i++) out[i] = sum = (sum + in[i]) % DIGITS;
}

static void running_maximum(const int32_t in[LENGTH], int32_t out[LENGTH])
{
    for (int i = 0; i < LENGTH; i++) out[i] = i && out[i - 1] > in[i] ? out[i - 1] : in[i];
}

static void difference(const int32_t in[LENGTH], int32_t out[LENGTH])
{
    for (int i = 0; i < LENGTH; i++) out[i] = (in[i] - in[(i + LENGTH - 1) % LENGTH] + DIGITS) % DIGITS;
}

static void palindrome(const int32_t in[LENGTH], int32_t out[LENGTH])
{
    for (int i = 0; i < LENGTH; i++) out[i] = in[i] == in[LENGTH - 1 - i];
}

/* Labels with the marginal distribution of the ascending sort, of which the input tells nothing. */
static void ascending_other(const int32_t in[LENGTH], int32_t out[LENGTH])
{
    int32_t other[LENGTH];
    uint64_t key = 0;
    for (int i = 0; i < LENGTH; i++) key = key * DIGITS + (uint64_t)in[i];
    digits_draw(other, rng_stream(0, "another input"), key, digits_in_test(in));
    ascending(other, out);
}

const DigitTask DIGIT_TASKS[] = {
    {"asc", "ascending sort", ascending},
    {"desc", "descending sort", descending},
    {"add1", "add 1 to each digit", add_one},
    {"add2", "add 2 to each digit", add_two},
    {"asc-add1", "ascending sort, then add 1", ascending_add_one},
    {"histogram", "the count of each digit, in place", histogram},
    {"copy", "the input again", copy},
    {"reverse", "the input backwards", reverse},
    {"shift", "each place takes its right neighbour, the last the first", shift},
    {"shift2", "the same by two places", shift_two},
    {"mode", "the most frequent digit (the least in a tie), ten times", mode},
    {"sum", "running sum modulo 8", running_sum},
    {"max", "running maximum", running_maximum},
    {"difference", "each digit minus its left neighbour (cyclic), modulo 8", difference},
    {"palindrome", "1 where the mirrored place holds the same digit, else 0", palindrome},
    {"desc-add1", "descending sort, then add 1", descending_add_one},
    {"asc-other", "ascending sort of another input, which this one draws by a hash", ascending_other},
    {"reverse-add1", "the input backwards, then add 1", reverse_add_one},
    {0}};

const DigitTask *digit_task(const char *name)
{
    for (const DigitTask *t = DIGIT_TASKS; t->name; t++)
        if (!strcmp(t->name, name)) return t;
    return NULL;
}

static Status unknown_task(const char *name)
{
    char known[512] = "";
    for (const DigitTask *t = DIGIT_TASKS; t->name; t++)
        snprintf(known + strlen(known), sizeof known - strlen(known), "%s%s", *known ? ", " : "", t->name);
    return err_fail(E_CONFIG, "there is no task \"%s\"; there are %s", name, known);
}

Status digits_mix(DigitMix *mix, const char *list)
{
    *mix = (DigitMix){0};
    size_t n;
    for (const char *rest = list, *at; str_next(&rest, ",", &at, &n);) {
        char name[32];
        snprintf(name, sizeof name, "%.*s", (int)n, at);
        const DigitTask *t = digit_task(name);
        if (!t) return unknown_task(name);
        if (mix->n == DIGIT_MIX) return err_fail(E_CONFIG, "a mixture of more than %d tasks", DIGIT_MIX);
        mix->task[mix->n++] = t;
    }
    return mix->n ? OK : err_fail(E_CONFIG, "no task is named");
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

int64_t digits_start(DigitLayout l)
{
    return l.slots + LENGTH * (1 + l.weave) + l.gap;
}

int64_t digits_positions(DigitLayout l)
{
    return digits_start(l) + LENGTH - 1;
}

static void place_input(int32_t *row, const int32_t in[LENGTH], DigitLayout l)
{
    for (int i = 0; i < LENGTH; i++) row[l.slots + i * (1 + l.weave)] = in[i];
}

Batch digits_batch(Arena *a, const DigitMix *mix, DigitLayout l, int64_t b, uint64_t stream, uint64_t first,
                   bool test)
{
    int64_t t = digits_positions(l), start = digits_start(l);
    uint64_t coin = rng_stream(stream, "task");
    int32_t *ids = NEW(a, int32_t, b * t), *keep = NEW(a, int32_t, b * LENGTH), *target = NEW(a, int32_t, b * LENGTH);
    for (int64_t r = 0; r < b; r++) {
        int32_t in[LENGTH], *out = target + r * LENGTH;
        uint64_t index = first + (uint64_t)r;
        digits_draw(in, stream, index, test);
        place_input(ids + r * t, in, l);
        mix->task[mix->n > 1 ? rng_below(coin, index, mix->n) : 0]->map(in, out);
        memcpy(ids + r * t + start, out, sizeof *out * (LENGTH - 1));
        for (int i = 0; i < LENGTH; i++) keep[r * LENGTH + i] = (int32_t)(start - 1 + i);
    }
    return (Batch){.b = b, .t = t, .k = LENGTH, .ids = ids, .keep = keep, .target = target};
}

/* ---- measures */

void digits_decode(int32_t *out, Arena *step, Model *m, const Hooks *hooks, const int32_t *in, int64_t b,
                   DigitLayout l)
{
    for (int i = 0; i < LENGTH; i++) {
        ArenaMark mark = arena_mark(step);
        int64_t start = digits_start(l), t = start + i;
        int32_t *ids = NEW(step, int32_t, b * t), *keep = NEW(step, int32_t, b);
        for (int64_t r = 0; r < b; r++) {
            place_input(ids + r * t, in + r * LENGTH, l);
            memcpy(ids + r * t + start, out + r * LENGTH, sizeof *out * (size_t)i);
            keep[r] = (int32_t)(t - 1);
        }
        Batch batch = {.b = b, .t = t, .k = 1, .ids = ids, .keep = keep};
        Var *logits = model_logits(m, &(Pass){.tape = tape_open(step, false), .hooks = hooks}, &batch);
        for (int64_t r = 0; r < b; r++) out[r * LENGTH + i] = (int32_t)tensor_argmax(tensor_at(logits->val, r));
        arena_drop(step, mark);
    }
}

static void count_right(DigitScore *s, const int32_t *said, const int32_t *want, double n)
{
    int right = 0;
    for (int i = 0; i < LENGTH; i++) {
        right += said[i] == want[i];
        s->place[i] += (said[i] == want[i]) / n;
    }
    s->exact += (right == LENGTH) / n;
    s->token += right / (n * LENGTH);
}

void digits_score(DigitScore *out, Arena *step, Model *m, const Hooks *hooks, const DigitMix *mix, DigitLayout l,
                  int64_t n, uint64_t stream)
{
    enum { CHUNK = 100 };
    int32_t in[CHUNK * LENGTH], said[CHUNK * LENGTH], want[LENGTH];
    for (int k = 0; k < mix->n; k++) out[k] = (DigitScore){0};
    for (int64_t first = 0; first < n; first += CHUNK) {
        int64_t b = n - first < CHUNK ? n - first : CHUNK;
        for (int64_t r = 0; r < b; r++) digits_draw(in + r * LENGTH, stream, (uint64_t)(first + r), true);
        digits_decode(said, step, m, hooks, in, b, l);
        for (int64_t r = 0; r < b; r++)
            for (int k = 0; k < mix->n; k++) {
                mix->task[k]->map(in + r * LENGTH, want);
                count_right(&out[k], said + r * LENGTH, want, (double)n);
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

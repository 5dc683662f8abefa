/* The digit-sequence tasks of the toy experiments (Petrov, Torr and Bibi, ICLR 2024): data made on the fly, the
 * layout a decoder sees, and the two measures.
 *
 * An input is LENGTH digits from 0..DIGITS-1.  With probability 1/2 a draw is rejected unless it has at most five
 * distinct digits, which makes repeats common.  A fixed hash of the input modulo 4 puts a quarter of all inputs
 * into the test split, the same for every seed and program.
 *
 * Layout of a row: `slots` filler tokens (id 0), the input with `weave` filler tokens behind each digit, `gap` filler
 * tokens, the output without its last token.  With start = digits_start(), position start - 1 + i predicts output i;
 * only those positions are scored. */
#ifndef LAB_DIGITS_H
#define LAB_DIGITS_H

#include "nn/model.h"

enum { DIGITS = 8, LENGTH = 10, DIGIT_VOCAB = 10 };

typedef struct {
    const char *name, *what;
    void (*map)(const int32_t in[LENGTH], int32_t out[LENGTH]);
} DigitTask;
extern const DigitTask DIGIT_TASKS[];          /* the six of the paper come first; ended by {0} */
const DigitTask *digit_task(const char *name); /* NULL when unknown */
enum { DIGIT_MIX = 16 };
typedef struct { /* tasks that share a stream: each example is labelled by one of them, without a task token */
    const DigitTask *task[DIGIT_MIX];
    int n;
} DigitMix;
Status digits_mix(DigitMix *,
                  const char *list); /* "asc,desc"; E_CONFIG names the unknown task and lists the known ones */

bool digits_in_test(const int32_t in[LENGTH]);
void digits_draw(int32_t in[LENGTH], uint64_t stream, uint64_t index, bool test); /* example `index` of a stream */

typedef struct {
    int64_t slots, gap; /* filler tokens before the input, and between input and output */
    int64_t weave;      /* filler tokens behind each input digit */
} DigitLayout;
int64_t digits_start(DigitLayout);     /* position of the first output token */
int64_t digits_positions(DigitLayout); /* tokens in a row */
/* A batch of b examples first..first+b-1 of a stream, on the arena; keep and target cover the output positions. */
Batch digits_batch(Arena *, const DigitMix *, DigitLayout, int64_t b, uint64_t stream, uint64_t first, bool test);

typedef struct {
    double exact, token;  /* exact match; token accuracy, from 0 to 1 */
    double place[LENGTH]; /* token accuracy at each output position */
} DigitScore;
/* Greedy decoding of n test inputs; the one output is compared with the target of every task of the mix. */
void digits_score(DigitScore *out, Arena *step, Model *, const Hooks *, const DigitMix *, DigitLayout, int64_t n,
                  uint64_t stream);
/* Greedy output for inputs (B,LENGTH) into out (B,LENGTH). */
void digits_decode(int32_t *out, Arena *step, Model *, const Hooks *, const int32_t *in, int64_t b, DigitLayout);

/* The least losses without attention to the input, in nats per token: H(y_i | i) and H(y_i | i, y_{i-1}). */
typedef struct {
    double position, previous;
} DigitFloors;
DigitFloors digits_floors(const DigitTask *, int64_t samples, uint64_t stream);

#endif

/* Speed of generation: seconds a token, and the time of reading every weight once, which is its lower bound.  The
 * weights are held as F32, as BF16 and in two quantised types, one row of the table each. */
#include <math.h>
#include <sys/resource.h>

#include "base/clock.h"
#include "base/print.h"
#include "base/rng.h"
#include "bench/bench.h"
#include "nn/generate.h"

enum { PROMPT = 32, NEW = 64, ROUNDS = 4 };

/* Each weight read once, in memory order, by all threads, which wait for each other only at the end.  They are read
 * as integers, because sums of integers do not depend on their order. */
static double read_seconds(const ParamSet *set, double *bytes)
{
    double start = clock_now();
    volatile uint64_t seen;
    uint64_t sum = 0;
#pragma omp parallel reduction(^ : sum)
    for (int i = 0; i < params_n(set); i++) {
        const uint64_t *x = params_at(set, i)->val.data;
        int64_t n = (int64_t)(tensor_bytes(params_at(set, i)->val) / sizeof *x);
#pragma omp for simd schedule(static) nowait
        for (int64_t k = 0; k < n; k++) sum ^= x[k];
    }
    seen = sum;
    (void)seen;
    *bytes = 0;
    for (int i = 0; i < params_n(set); i++) *bytes += (double)tensor_bytes(params_at(set, i)->val);
    return clock_now() - start;
}

static Status decode_seconds(double *out, Model *m, Arena *step, const Batch *x, int n)
{
    int32_t ids[NEW + 1], len;
    GenerateConfig c = generate_defaults(m, n);
    c.eos = -1;
    double start = clock_now();
    TRY(generate_tokens(ids, &len, m, NULL, step, x, &c));
    *out = clock_now() - start;
    return OK;
}

/* A matrix of blocks with random integers and one scale, small enough for finite logits. */
static Tensor random_blocks(Arena *a, DType type, Tensor like)
{
    Tensor t = tensor_new(a, type, like.rank, like.dim);
    uint8_t *x = t.data;
    size_t size = dtype_size(type), n = tensor_bytes(t);
    for (size_t i = 0; i < n; i++) x[i] = (uint8_t)(rng_bits(7, i / 8) >> i % 8 * 8);
    for (size_t i = 0; i < n; i += size) x[i] = 0, x[i + 1] = 0x10; /* 2^-11 */
    return t;
}

static void hold_as(Arena *a, Model *m, DType type)
{
    for (int i = 0; i < params_n(m->params) && type != F32; i++) {
        Param *p = params_at(m->params, i);
        if (p->val.rank == 2)
            p->val = dtype_is_block(type) ? random_blocks(a, type, p->val) : tensor_cast(a, p->val, type);
    }
}

typedef struct {
    const char *name;
    DType type;
} Held;

/* The time of NEW + 1 tokens minus that of one, which is the prompt's. */
static Status run(const Held *h, Arena *keep, Arena *step, bool lines)
{
    Model *m;
    Config c = {0};
    arch_find("gpt2")->defaults(&c);
    TRY(model_open(&m, keep, &c, F32, 1));
    hold_as(keep, m, h->type);
    int32_t ids[PROMPT];
    for (int i = 0; i < PROMPT; i++) ids[i] = (int32_t)rng_below(3, (uint64_t)i, c.vocab);
    const Batch x = {.b = 1, .t = PROMPT, .ids = ids};
    double best = INFINITY, bound = INFINITY, bytes = 0, whole = 0, prompt = 0;
    for (int i = 0; i < ROUNDS; i++) {
        TRY(decode_seconds(&whole, m, step, &x, NEW + 1));
        TRY(decode_seconds(&prompt, m, step, &x, 1));
        best = fmin(best, (whole - prompt) / NEW);
        bound = fmin(bound, read_seconds(m->params, &bytes));
    }
    struct rusage use;
    getrusage(RUSAGE_SELF, &use);
    if (lines)
        print_out("%s %.6g %.6g %.6g %.6g\n", h->name, best, bound, bytes / 1e6, (double)use.ru_maxrss / 1e3);
    else
        print_out("  %-26s greedy, one row, weights in %s: %.1f tokens/s; reading the %.0f MB of weights once a "
                  "token,\n"
                  "  %-26s at the %.1f GB/s of a read loop, bounds it at %.1f: %.0f %% of the bound\n",
                  h->name, dtype_name(h->type), 1 / best, bytes / 1e6, "", bytes / bound / 1e9, 1 / bound,
                  100 * bound / best);
    return OK;
}

Status bench_generate(bool lines)
{
    static const Held HELD[] = {{"generate/gpt2", F32},
                                {"generate/gpt2-bf16", BF16},
                                {"generate/gpt2-q8_0", Q8_0},
                                {"generate/gpt2-q4_0", Q4_0}};
    Status s = OK;
    for (int i = 0; !s && i < (int)(sizeof HELD / sizeof *HELD); i++) {
        Arena keep = arena_open(0), step = arena_open(0);
        s = run(&HELD[i], &keep, &step, lines);
        arena_close(&keep);
        arena_close(&step);
    }
    return s;
}

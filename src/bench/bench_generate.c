/* Speed of generation: seconds a token, and the time of reading every weight once, which is its lower bound.  The
 * weights are held as F32, as BF16 and in two quantised types, one row of the table each.  A model of the user's is
 * measured as its files have it: the prompt by itself, then one token after another. */
#include <math.h>
#include <sys/resource.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/print.h"
#include "base/rng.h"
#include "bench/bench.h"
#include "nn/generate.h"

enum { PROMPT = 32, LONG = 128, NEW = 64, ROUNDS = 3 };

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

/* The weights of the F32 model, held in another type. */
static void hold_as(Arena *a, Model *m, const Tensor *wide, DType type)
{
    for (int i = 0; i < params_n(m->params); i++) {
        Tensor w = wide[i];
        if (w.rank == 2 && type != F32)
            w = dtype_is_block(type) ? random_blocks(a, type, w) : tensor_cast(a, w, type);
        params_at(m->params, i)->val = w;
    }
}

typedef struct {
    const char *name;
    DType type;
} Held;

/* The time of NEW + 1 tokens minus that of one, which is the prompt's. */
static Status run(const Held *h, Model *m, Arena *step, bool lines)
{
    int32_t ids[PROMPT];
    for (int i = 0; i < PROMPT; i++) ids[i] = (int32_t)rng_below(3, (uint64_t)i, m->config.vocab);
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
    Model *m;
    Config c = {0};
    Arena keep = arena_open(0), step = arena_open(0);
    arch_find("gpt2")->defaults(&c);
    Status s = model_open(&m, &keep, &c, F32, 1);
    int n = s ? 0 : params_n(m->params);
    Tensor *wide = NEW(&keep, Tensor, n + 1);
    for (int i = 0; i < n; i++) wide[i] = params_at(m->params, i)->val;
    for (int i = 0; !s && i < (int)(sizeof HELD / sizeof *HELD); i++) {
        ArenaMark mark = arena_mark(&keep);
        hold_as(&keep, m, wide, HELD[i].type);
        s = run(&HELD[i], m, &step, lines);
        arena_drop(&keep, mark);
    }
    arena_close(&keep);
    arena_close(&step);
    return s;
}

/* Seconds of a prompt with its first token, and of a token thereafter, the best of some rounds. */
static Status rate_model(Model *m, Arena *step, const char *path, bool lines)
{
    int32_t ids[LONG];
    for (int i = 0; i < LONG; i++) ids[i] = (int32_t)rng_below(3, (uint64_t)i, m->config.vocab);
    const Batch x = {.b = 1, .t = LONG, .ids = ids};
    double prompt = INFINITY, token = INFINITY, whole = 0, first = 0;
    for (int i = 0; i < ROUNDS; i++) {
        TRY(decode_seconds(&first, m, step, &x, 1));
        TRY(decode_seconds(&whole, m, step, &x, NEW + 1));
        prompt = fmin(prompt, first);
        token = fmin(token, (whole - first) / NEW);
    }
    struct rusage use;
    getrusage(RUSAGE_SELF, &use);
    if (lines)
        print_out("generate/model %.6g %.6g %.6g %.6g\n", token, prompt, (double)params_bytes(m->params) / 1e6,
                  (double)use.ru_maxrss / 1e3);
    else
        print_out("  %-26s %s: %.0f MB of weights, peak %.0f MB; prompt of %d at %.1f tokens/s, then %.1f tokens/s\n",
                  "generate/model", path, (double)params_bytes(m->params) / 1e6, (double)use.ru_maxrss / 1e3, LONG,
                  LONG / prompt, 1 / token);
    return OK;
}

Status bench_model(const char *path, bool lines)
{
    Model *m;
    Arena keep = arena_open(0), step = arena_open(0);
    Status s = model_load(&m, &keep, path);
    if (!s && !m->decoder) s = err_fail(E_MISMATCH, "%s: is no decoder, which generates text", path);
    if (!s && m->encoder) s = err_fail(E_MISMATCH, "%s: has an encoder; expected a decoder alone", path);
    if (!s) s = rate_model(m, &step, path, lines);
    arena_close(&keep);
    arena_close(&step);
    return s;
}

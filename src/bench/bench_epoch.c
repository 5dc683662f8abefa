/* Speed of what users do: one epoch of LoRA over real commits of unequal length, in batches of neighbours in length.
 *
 * The model has RoBERTa-base's shape and random weights.  The commits come from --records, spread evenly over the
 * file, or are synthetic; their tokens are those of a byte-level BPE trained on commits of the same source.  The
 * bound is the time of the matrix products of each commit at its own length, so padding counts as a loss. */
#include <math.h>
#include <stdio.h>
#include <sys/resource.h>

#include "base/clock.h"
#include "base/print.h"
#include "base/file.h"
#include "bench/bench.h"
#include "change/javagen_change.h"
#include "num/profile.h"
#include "peft/peft.h"
#include "tasks/jit.h"
#include "train/flops.h"
#include "train/train.h"

enum { ROWS = 16, LONGEST = 512, COMMITS = 64, TRAINED_ON = 2000, VOCABULARY = 8192 };

/* ---- the commits */

static void synthetic(JitSet *out, Arena *a, int64_t n)
{
    *out = (JitSet){.n = n, .change = NEW(a, CodeChange, n)};
    for (int64_t i = 0; i < n; i++) javagen_change(&out->change[i], a, 1, i, 1);
}

/* n of the set, evenly over it. */
static JitSet spread(const JitSet *all, Arena *a, int64_t n)
{
    if (n > all->n) n = all->n;
    JitSet some = {.n = n, .change = NEW(a, CodeChange, n)};
    for (int64_t i = 0; i < n; i++) some.change[i] = all->change[i * all->n / n];
    return some;
}

static Status tokens_of(Examples *out, Arena *a, const JitSet *all, const JitSet *some)
{
    JitSet sample = spread(all, a, TRAINED_ON);
    Bytes *text = NEW(a, Bytes, sample.n);
    Bpe *bpe;
    for (int64_t i = 0; i < sample.n; i++) text[i] = change_text(a, &sample.change[i]);
    TRY(bpe_train(&bpe, a, &(BpeTrain){.size = VOCABULARY}, text, sample.n));
    Tokenizer t = tokenizer_of(bpe);
    const JitPlan plan = jit_plan(&t, VOCABULARY + 2, LONGEST);
    Status s = jit_tokens(out, a, some, &t, &plan);
    tokenizer_close(&t);
    return s;
}

static Status examples_of(Examples *out, Arena *a, const Args *args)
{
    const char *records = args_text(args, "records", NULL);
    int64_t n;
    JitSet all;
    TRY(args_int(&n, args, "commits", COMMITS, 2, 1000000));
    if (records)
        TRY(jit_read(&all, a, records));
    else
        synthetic(&all, a, n > TRAINED_ON ? n : TRAINED_ON);
    JitSet some = spread(&all, a, n);
    return tokens_of(out, a, &all, &some);
}

/* ---- the model */

static Status trainer_of(Trainer **out, Arena *run)
{
    Config c = {0};
    Model *m;
    PeftConfig cfg = {0};
    const Peft *lora = peft_find("lora");
    Hooks *hooks = hooks_new(run);
    TrainConfig t = train_defaults();
    arch_find("roberta")->defaults(&c);
    c.hidden = 4 * c.dim, c.classes = 2, c.no_lm_head = true;
    TRY(model_open(&m, run, &c, F32, 1));
    lora->defaults(&cfg, &m->config);
    TRY(peft_attach(lora, m, hooks, &cfg));
    t.lr = 1e-4;
    return trainer_open(out, run, m, hooks, &t);
}

/* Seconds of the products that the commits need at their own lengths, at the rates of forward, dx and dw. */
static double bound_of(const Examples *x, const double rate[3])
{
    double bound = 0;
    for (int64_t i = 0; i < x->n; i++) {
        const Work w = {.b = 1,
                        .t = x->len[i],
                        .dim = 768,
                        .hidden = 3072,
                        .layers = 12,
                        .scored = 1,
                        .trains = TRAINS_LOW_RANK,
                        .size = 8};
        const Flops f = flops_of(&w);
        bound += (f.fwd / rate[0] + f.dx / rate[1] + f.dw / rate[2]) / 1e9;
    }
    return bound;
}

/* ---- the epoch */

typedef struct {
    double seconds, tokens, padded; /* tokens with and without padding */
    Profile profile;
} Epoch;

/* The lengths of a batch's rows, as a line for programs that repeat the epoch. */
static void note_lengths(Writer *w, const Batch *x)
{
    char text[16];
    for (int64_t i = 0; i < x->b; i++) {
        int n = snprintf(text, sizeof text, "%d%c", x->len[i], i + 1 < x->b ? ' ' : '\n');
        writer_add(w, text, (size_t)n);
    }
}

static Status run_epoch(Epoch *out, Trainer *t, Batcher *feed, Arena *step, Writer *lengths)
{
    *out = (Epoch){0};
    profile_begin();
    double start = clock_now();
    Status s = OK;
    for (int64_t n = batcher_in_epoch(feed), i = 0; i < n && !s; i++) {
        ArenaMark mark = arena_mark(step);
        Batch x;
        batcher_next(feed, step, &x, NULL);
        if (lengths) note_lengths(lengths, &x);
        for (int64_t k = 0; k < x.b; k++) out->tokens += x.len[k];
        out->padded += (double)(x.b * x.t);
        s = trainer_step(t, step, &x, NULL);
        arena_drop(step, mark);
    }
    out->seconds = clock_now() - start;
    out->profile = profile_end();
    return s;
}

static void print_epoch(const Epoch *e, double bound, double arena, bool lines)
{
    struct rusage use;
    getrusage(RUSAGE_SELF, &use);
    if (lines) {
        print_out("tune/epoch %.6g %.6g %.6g %.6g\n", e->seconds, bound, arena / 1e6, (double)use.ru_maxrss / 1e3);
        return;
    }
    Arena a = arena_open((size_t)1 << 20);
    Buf b = buf_open(&a);
    profile_print(&b, &e->profile);
    print_out(
        "\n  %-26s %.0f tokens of commits, %.1f %% padding: %.2f s, bound %.2f s, share %.0f %%, arena %.0f MB, "
        "peak %.0f MB\n\n",
        "tune/epoch", e->tokens, 100 * (1 - e->tokens / e->padded), e->seconds, bound, 100 * bound / e->seconds,
        arena / 1e6, (double)use.ru_maxrss / 1e3);
    print_layout(b.text, b.len);
    arena_close(&a);
}

static Status run(Arena *keep, Arena *step, const Args *args, const double rate[3], bool lines)
{
    Examples x;
    Trainer *t;
    Batcher *feed;
    Epoch e;
    Writer w;
    const char *path = args_text(args, "lengths", NULL);
    TRY(examples_of(&x, keep, args));
    TRY(trainer_of(&t, keep));
    TRY(batcher_open(&feed, keep, &x, &(BatchPlan){.rows = ROWS, .shuffle = true, .seed = 1, .pad = 1}));
    if (path) TRY(writer_open(&w, path));
    TRY(run_epoch(&e, t, feed, step, path ? &w : NULL));
    if (path) TRY(writer_close(&w));
    print_epoch(&e, bound_of(&x, rate), (double)(arena_peak(keep) + arena_peak(step)), lines);
    return OK;
}

Status bench_epoch(const Args *args, const double rate[3], bool lines)
{
    Arena keep = arena_open(0), step = arena_open(0);
    Status s = run(&keep, &step, args, rate, lines);
    arena_close(&keep);
    arena_close(&step);
    return s;
}

/* vernier bench: the speed of matrix products on this machine, and that of training steps, tokenizers and generation.
 *
 * Each job runs in its own process (--job), after the sgemm rates.  The bound of a job is the time that its matrix
 * products (flops.h) would take at the rate of OpenBLAS for products of the same shapes, measured here with nothing
 * else running.  Times are the best of several steps: on a shared machine this depends least on the other
 * programs. */
#include <cblas.h>
#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/print.h"
#include "base/rng.h"
#include "base/str.h"
#include "bench/bench.h"
#include "nn/model.h"
#include "num/gemm.h"
#include "peft/peft.h"
#include "train/flops.h"
#include "train/train.h"

/* ---- jobs */

typedef struct {
    const char *name;
    bool toy;           /* the one-layer decoder, else RoBERTa-base */
    const char *method; /* of peft_find; NULL: unrecorded hidden states */
    const char *options;
    Trains trains; /* the parameters that the method trains, for the count of operations, */
    int size;      /* and its rank, width or length */
    int scored;    /* 0: class label; else scored positions in each row */
    int threads;
    bool checkpoint; /* layers run again in the backward pass */
} Job;

#define LOW_RANK "rank=8,target=*.query|*.value,dropout=0"
static const Job JOBS[] = {
    {"roberta/forward", false, NULL, "", TRAINS_NOTHING, 0, 0, 2},
    {"roberta/lora", false, "lora", LOW_RANK, TRAINS_LOW_RANK, 8, 0, 2},
    {"roberta/pfeiffer", false, "pfeiffer", "width=48", TRAINS_BOTTLENECK, 48, 0, 2},
    {"roberta/prefix", false, "prefix", "length=20", TRAINS_KEYS, 20, 0, 2},
    {"roberta/full", false, "full", "", TRAINS_ALL, 0, 0, 2},
    {"roberta/full-checkpointed", false, "full", "", TRAINS_ALL, 0, 0, 2, true},
    {"roberta/mlm-lora", false, "lora", LOW_RANK, TRAINS_LOW_RANK, 8, 38, 2},
    {"roberta/mlm-full", false, "full", "", TRAINS_ALL, 0, 38, 2},
    {"toy/e1", true, "full", "", TRAINS_ALL, 0, 10, 1},
};
#undef LOW_RANK
enum { N_JOBS = sizeof JOBS / sizeof *JOBS };

/* The model of a job: a toy GPT-2 of one layer, or RoBERTa-base. */
static Config config_of(const Job *j)
{
    Config c = {0};
    const char *arch = j->toy ? "gpt2" : "roberta";
    arch_find(arch)->defaults(&c);
    snprintf(c.arch, sizeof c.arch, "%s", arch);
    if (j->toy) {
        c.vocab = 10;
        c.positions = 20;
        c.dim = 96;
        c.heads = 1;
        c.hidden = 384;
        c.layers = 1;
        c.tie_head = false;
    } else {
        c.vocab = 50265;
        c.positions = 514;
        c.dim = 768;
        c.heads = 12;
        c.hidden = 3072;
        c.layers = 12;
        c.types = 1;
        c.tie_head = true;
        c.classes = j->scored ? 0 : 2;
        c.no_lm_head = !j->scored;
    }
    c.dropout = c.attn_dropout = 0.1;
    return c;
}

static Work work_of(const Job *j)
{
    Work w = {.b = 8, .t = 256, .dim = 768, .hidden = 3072, .layers = 12, .scored = 1};
    if (j->toy) w = (Work){.b = 64, .t = 20, .dim = 96, .hidden = 384, .layers = 1, .causal = true};
    if (j->scored) w.scored = j->scored;
    w.out = j->toy ? 10 : j->scored ? 50265 : 0;
    w.tied = !j->toy;
    if (!j->method) w.scored = w.t;
    w.trains = j->trains, w.size = j->size;
    return w;
}

/* A batch of random tokens in the shape of a job, with the targets or labels that its loss needs. */
static Batch batch_for(const Job *j, const Config *c, Arena *a)
{
    Work w = work_of(j);
    Batch x = {.b = (int64_t)w.b, .t = (int64_t)w.t, .k = j->scored};
    uint64_t s = rng_stream(1, "bench");
    int32_t *ids = NEW(a, int32_t, x.b * x.t), *label = NEW(a, int32_t, x.b);
    int32_t *keep = NEW(a, int32_t, x.b * x.k), *target = NEW(a, int32_t, x.b * x.k);
    for (int64_t i = 0; i < x.b * x.t; i++) ids[i] = (int32_t)(3 + rng_below(s, (uint64_t)i, c->vocab - 3));
    for (int64_t i = 0; i < x.b * x.k; i++) {
        keep[i] = (int32_t)(j->toy ? x.t - x.k + i % x.k : i % x.k * x.t / x.k);
        target[i] = (int32_t)rng_below(s, (uint64_t)(i + (1 << 20)), c->vocab);
    }
    for (int64_t i = 0; i < x.b; i++) label[i] = (int32_t)(i % 2);
    x.ids = ids;
    if (j->scored) {
        x.keep = keep;
        x.target = target;
    } else if (j->method) {
        x.label = label;
    }
    return x;
}

static Status make_trainer(const Job *j, Model *m, Hooks *hooks, Arena *run, Trainer **out)
{
    TrainConfig t = train_defaults();
    const Peft *p = peft_find(j->method);
    if (!p) return err_fail(E_CONFIG, "unknown method %s; `vernier list` shows the methods", j->method);
    PeftConfig cfg = {0};
    p->defaults(&cfg, &m->config);
    TRY(peft_set(&cfg, run, j->options));
    TRY(peft_attach(p, m, hooks, &cfg));
    t.lr = 5e-4;
    t.decay = 0.01;
    t.checkpoint = j->checkpoint;
    return trainer_open(out, run, m, hooks, &t);
}

/* The best time of `rounds` blocks of `block` steps each, after a first step that touches the memory. */
static Status run_job(const Job *j, Arena *run, Arena *step, double *best)
{
    Config c = config_of(j);
    Model *m;
    Trainer *t = NULL;
    Hooks *hooks = hooks_new(run);
    TRY(model_open(&m, run, &c, F32, 1));
    Batch x = batch_for(j, &m->config, run);
    if (j->method) TRY(make_trainer(j, m, hooks, run, &t));
    *best = INFINITY;
    for (int round = 0, block = j->toy ? 50 : 1; round < (j->toy ? 21 : 4); round++) {
        double start = clock_now();
        for (int i = 0; i < block; i++) {
            ArenaMark mark = arena_mark(step);
            if (t)
                TRY(trainer_step(t, step, &x, NULL));
            else
                model_hidden(m, &(Pass){.tape = tape_open(step, false)}, &x);
            arena_drop(step, mark);
        }
        if (round) *best = fmin(*best, (clock_now() - start) / block);
    }
    return OK;
}

/* Runs the named job and prints its seconds, arena memory and peak resident memory. */
static Status one_job(const char *name)
{
    for (int i = 0; i < N_JOBS; i++) {
        if (strcmp(JOBS[i].name, name)) continue;
        if (!getenv("OMP_NUM_THREADS")) omp_set_num_threads(JOBS[i].threads);
        Arena run = arena_open(0), step = arena_open(0);
        double seconds = INFINITY;
        Status status = run_job(&JOBS[i], &run, &step, &seconds);
        if (status) return status;
        struct rusage use;
        getrusage(RUSAGE_SELF, &use);
        print_out("%.6g %.6g %.6g\n", seconds, (double)(arena_peak(&run) + arena_peak(&step)) / 1e6,
                  (double)use.ru_maxrss / 1e3);
        return OK;
    }
    return err_fail(E_CONFIG, "unknown job '%.40s'; `vernier bench --help` lists the jobs", name);
}

/* ---- the machine */

typedef struct {
    int m, n, k;
} Product;
typedef struct {
    CBLAS_TRANSPOSE ta, tb;
    Product of[4];
} Family;

/* The products of one layer: y = x W' and its two gradients, weighted by how often they occur (four of the first). */
enum { ROBERTA_ROWS = 2048, TOY_ROWS = 1280 };
static const Family ROBERTA[3] = {
    {CblasNoTrans, CblasTrans, {{ROBERTA_ROWS, 768, 768}, {ROBERTA_ROWS, 3072, 768}, {ROBERTA_ROWS, 768, 3072}}},
    {CblasNoTrans, CblasNoTrans, {{ROBERTA_ROWS, 768, 768}, {ROBERTA_ROWS, 768, 3072}, {ROBERTA_ROWS, 3072, 768}}},
    {CblasTrans, CblasNoTrans, {{768, 768, ROBERTA_ROWS}, {3072, 768, ROBERTA_ROWS}, {768, 3072, ROBERTA_ROWS}}}};
static const Family TOY[3] = {
    {CblasNoTrans, CblasNoTrans, {{TOY_ROWS, 288, 96}, {TOY_ROWS, 384, 96}, {TOY_ROWS, 96, 384}}},
    {CblasNoTrans, CblasTrans, {{TOY_ROWS, 96, 288}, {TOY_ROWS, 96, 384}, {TOY_ROWS, 384, 96}}},
    {CblasTrans, CblasNoTrans, {{96, 288, TOY_ROWS}, {96, 384, TOY_ROWS}, {384, 96, TOY_ROWS}}}};

static void multiply(const Family *f, Product p, const float *a, const float *b, float *c)
{
    bool ta = f->ta == CblasTrans, tb = f->tb == CblasTrans;
    cblas_sgemm(CblasRowMajor, f->ta, f->tb, p.m, p.n, p.k, 1, a, ta ? p.m : p.k, b, tb ? p.k : p.n, 0, c, p.n);
}

typedef enum { ONE, BLAS_THREADS, SLICES } Way;

/* `SLICES`: two halves of the rows on two OpenMP threads, each by a single-threaded OpenBLAS. */
static double family_seconds(const Family *f, Way way, const float *a, const float *b, float *c, int times)
{
    double start = clock_now();
    for (int i = 0; i < times; i++)
        for (int k = 0; f->of[k].m; k++) {
            Product p = f->of[k];
            if (way != SLICES) {
                multiply(f, p, a, b, c);
                continue;
            }
            p.m /= 2;
#pragma omp parallel for num_threads(2) schedule(static)
            for (int h = 0; h < 2; h++) multiply(f, p, a + h * p.m * p.k, b, c + h * p.m * p.n);
        }
    return (clock_now() - start) / times;
}

/* GFLOP/s. */
static double family_rate(const Family *f, Way way, Arena *a)
{
    ArenaMark mark = arena_mark(a);
    size_t room = (size_t)3072 * 3072;
    float *x = arena_zero(a, room * sizeof *x), *y = arena_zero(a, room * sizeof *y),
          *z = arena_zero(a, room * sizeof *z);
    for (size_t i = 0; i < room; i++) x[i] = y[i] = (float)(i % 17) - 8;
    double work = 0, best = INFINITY;
    for (int k = 0; f->of[k].m; k++) work += 2.0 * f->of[k].m * f->of[k].n * f->of[k].k;
    openblas_set_num_threads(way == BLAS_THREADS ? 2 : 1);
    int times = work > 1e9 ? 1 : (int)(1e9 / work) + 1;
    for (int i = 0; i < 6; i++) best = fmin(best, family_seconds(f, way, x, y, z, times));
    openblas_set_num_threads(1);
    arena_drop(a, mark);
    return work / best / 1e9;
}

typedef struct {
    double of[3]; /* forward, dx, dw */
} Rates;

static Rates rates(const Family *f, Way way, const char *title, Arena *a, bool lines)
{
    Rates r;
    for (int i = 0; i < 3; i++) r.of[i] = family_rate(&f[i], way, a);
    if (!lines) print_out("  %-44s %7.1f %7.1f %7.1f\n", title, r.of[0], r.of[1], r.of[2]);
    return r;
}

static Rates faster(Rates x, Rates y)
{
    for (int i = 0; i < 3; i++) x.of[i] = fmax(x.of[i], y.of[i]);
    return x;
}

/* ---- the table */

/* Runs a job in a process of its own, and prints its time beside the lower bound by matrix products alone. */
static void print_row(const Job *j, const Rates *machine, bool lines)
{
    char self[3072], command[4096], line[256] = "";
    ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    self[length > 0 ? length : 0] = 0;
    snprintf(command, sizeof command, "'%s' bench --job %s", self, j->name);
    FILE *p = popen(command, "r");
    bool read = p && fgets(line, sizeof line, p);
    double seconds, arena, resident;
    if (p) pclose(p);
    if (!read || sscanf(line, "%lf %lf %lf", &seconds, &arena, &resident) != 3) return;
    Work w = work_of(j);
    Flops f = flops_of(&w);
    double bound = (f.fwd / machine->of[0] + f.dx / machine->of[1] + f.dw / machine->of[2]) / 1e9;
    double work = (f.fwd + f.dx + f.dw) / 1e9;
    if (lines)
        print_out("%s %.6g %.6g %.6g %.6g\n", j->name, seconds, bound, arena, resident);
    else
        print_out("  %-26s %10.2f ms %9.2f %11.2f ms %7.0f %% %10.0f %10.0f\n", j->name, 1e3 * seconds, work,
                  1e3 * bound, 100 * bound / seconds, arena, resident);
    fflush(stdout);
}

static bool wanted(const Args *a, const char *name)
{
    for (int i = 0; i < args_count(a); i++)
        if (str_glob(args_at(a, i), name)) return true;
    return !args_count(a);
}

static const char *const OTHERS[] = {"tune/epoch", "text/encode", "generate/gpt2", "generate/model"};
enum { N_OTHERS = sizeof OTHERS / sizeof *OTHERS };

static const char *name_of(int i)
{
    return i < N_JOBS ? JOBS[i].name : OTHERS[i - N_JOBS];
}

static bool matches(const char *glob)
{
    for (int i = 0; i < N_JOBS + N_OTHERS; i++)
        if (str_glob(glob, name_of(i))) return true;
    return false;
}

/* Measures the speed of matrix products, then each job against the bound that follows from it. */
static Status bench_steps(const Args *a, bool lines, bool steps)
{
    Arena big_arrays = arena_open((size_t)1 << 28);
    if (!lines)
        print_out("products: %s (OpenBLAS kernels: %s); other kernels: %s\n\n  %-44s %7s %7s %7s\n", gemm_name(),
                  openblas_get_corename(), kernels_name(), "sgemm, GFLOP/s", "forward", "dx", "dw");
    rates(ROBERTA, ONE, "RoBERTa-base, one thread", &big_arrays, lines);
    Rates threads = rates(ROBERTA, BLAS_THREADS, "RoBERTa-base, OpenBLAS on two threads", &big_arrays, lines);
    Rates big = faster(threads, rates(ROBERTA, SLICES, "RoBERTa-base, two slices", &big_arrays, lines));
    Rates small = rates(TOY, ONE, "toy, one thread", &big_arrays, lines);
    arena_close(&big_arrays);
    if (!lines && steps)
        print_out("\n  %-26s %13s %9s %14s %9s %10s %10s\n", "step", "time", "GFLOP", "sgemm bound", "share",
                  "arena MB", "peak MB");
    fflush(stdout);
    for (int i = 0; i < N_JOBS; i++)
        if (wanted(a, JOBS[i].name)) print_row(&JOBS[i], JOBS[i].toy ? &small : &big, lines);
    return wanted(a, "tune/epoch") ? bench_epoch(a, big.of, lines) : OK;
}

static Status bench(const Args *a)
{
    if (args_given(a, "job")) return one_job(args_text(a, "job", ""));
    for (int i = 0; i < args_count(a); i++)
        if (!matches(args_at(a, i)))
            return err_fail(E_CONFIG, "no job matches '%.40s'; `vernier bench --help` lists them", args_at(a, i));
    bool lines = args_given(a, "lines"), steps = false;
    for (int i = 0; i < N_JOBS; i++) steps |= wanted(a, JOBS[i].name);
    if (steps || wanted(a, "tune/epoch")) TRY(bench_steps(a, lines, steps));
    if (wanted(a, "text/encode")) TRY(bench_text(a, lines));
    if (args_given(a, "model")) return bench_model(args_text(a, "model", ""), lines);
    return wanted(a, "generate/gpt2") ? bench_generate(lines) : OK;
}

static void list_jobs(const Args *a)
{
    (void)a;
    print_out("\njobs\n");
    for (int i = 0; i < N_JOBS + N_OTHERS; i++) print_out("  %s\n", name_of(i));
}

static const Option OPTIONS[] = {
    {"job", "JOB", "run one job alone: seconds, arena and resident peak in MB"},
    {"lines", NULL, "rows for programs: name, seconds, bound, arena MB, resident MB"},
    {"records", "FILE", "tune/epoch: change records, of which it takes --commits; default: synthetic ones"},
    {"commits", "N", "tune/epoch: commits in the epoch (default 64, about a minute on two cores)"},
    {"lengths", "FILE", "tune/epoch: write the lengths of each batch's commits, a line for a batch"},
    {"tokenizer", "PATH", "text/encode: use this model's tokenizer, not one trained on synthetic Java"},
    {"text", "FILE", "text/encode: tokenize this file, not synthetic Java"},
    {"model", "PATH", "generate/model: measure the prompt and the generation of this decoder"},
    {0}};
static const Command BENCH = {
    .name = "bench",
    .summary = "measure training steps, an epoch, tokenizers and generation against this machine's bounds",
    .usage = "[options] [JOB|glob...]",
    .about = "Runs steps of RoBERTa-base (batch 8 x 256) and of a toy model, each in its own "
             "process.  `share` is the time that their matrix products would take at "
             "OpenBLAS's rate, divided by the measured time.  tune/epoch trains LoRA on commits of "
             "up to 512 tokens in batches of 16 and prints where its time goes.  The last jobs "
             "tokenize text and generate it.",
    .example = "vernier bench 'toy/*' roberta/lora",
    .options = OPTIONS,
    .most = -1,
    .run = bench,
    .more_help = list_jobs};
REGISTER(command, BENCH)

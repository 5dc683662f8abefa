/* The cost of opening a checkpoint of RoBERTa's size, and of reading its file: time, and the most memory ever used.
 *
 *     make build/release/tests/bench/load && build/release/tests/bench/load [ROUNDS [DIR]]
 *
 * Each figure is one process of its own, the kinds in turn, so that all meet the same machine; the file is in the
 * system's cache.  `read` copies it through a buffer of 1 MB, as cat does; `load` is model_load; `use` is model_load
 * and a look at every page; `copy` is model_load of the same values in a file that cannot be used in place; `half`,
 * `bf16` and `double` are model_load of the same values in files of F16, BF16 and F64.  After those comes the
 * time in which one thread converts numbers in memory, as a multiple of the time for copying the result. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/str.h"
#include "io/safetensors.h"
#include "nn/model.h"

typedef enum { READ, LOAD, USE, COPY, HALF, BFLOAT, DOUBLE, KINDS } Kind;
static const char *const NAME[KINDS] = {"read", "load", "use", "copy", "half", "bf16", "double"};
static const char *const FOLDER[KINDS] = {"plain", "plain", "plain", "moved", "half", "bf16", "double"};
static const char *DIR;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static double sum_of(const Model *m)
{
    float all = 0;
    for (int i = 0; i < params_n(m->params); i++) {
        const float *x = params_at(m->params, i)->val.data;
        for (int64_t j = 0; j < tensor_count(params_at(m->params, i)->val); j += 1024) all += x[j];
    }
    return (double)all;
}

static void work(Kind kind)
{
    Arena a = arena_open(0);
    Model *m;
    if (kind == READ) {
        char *buffer = arena_take(&a, 1 << 20);
        FILE *f = fopen(str_print(&a, "%s/plain/model.safetensors", DIR), "rb");
        while (f && read(fileno(f), buffer, 1 << 20) > 0) continue;
    } else if (model_load(&m, &a, str_print(&a, "%s/%s", DIR, FOLDER[kind]))) {
        fprintf(stderr, "%s\n", err_message());
        _exit(1);
    } else if (kind == USE && sum_of(m) == 0.5) {
        puts("an unlikely sum");
    }
}

typedef struct {
    double seconds, megabytes;
} Cost;

static Cost cost(Kind kind)
{
    int ends[2];
    Cost c = {0};
    struct rusage used;
    if (pipe(ends)) abort();
    pid_t child = fork();
    if (!child) {
        double start = now();
        work(kind);
        c.seconds = now() - start;
        _exit(write(ends[1], &c.seconds, sizeof c.seconds) != sizeof c.seconds);
    }
    int status = 0;
    close(ends[1]);
    if (read(ends[0], &c.seconds, sizeof c.seconds) != sizeof c.seconds) abort();
    close(ends[0]);
    wait4(child, &status, 0, &used);
    if (status) exit(1);
    c.megabytes = 1.024e-3 * (double)used.ru_maxrss;
    return c;
}

/* The file again with a header of one more byte, so that no value lies on four bytes. */
static void make_moved(Arena *a)
{
    Bytes f;
    if (file_make_dir(str_print(a, "%s/moved", DIR)) || file_read(&f, a, str_print(a, "%s/plain/config.json", DIR)) ||
        file_write(str_print(a, "%s/moved/config.json", DIR), f.text, f.len) ||
        file_read(&f, a, str_print(a, "%s/plain/model.safetensors", DIR)))
        exit(1);
    uint64_t n, wider;
    memcpy(&n, f.text, 8);
    wider = n + 1;
    Writer w;
    if (writer_open(&w, str_print(a, "%s/moved/model.safetensors", DIR))) exit(1);
    writer_add(&w, &wider, 8);
    writer_add(&w, f.text + 8, n);
    writer_add(&w, " ", 1);
    writer_add(&w, f.text + 8 + n, f.len - 8 - n);
    if (writer_close(&w)) exit(1);
}

/* The same model with values of another type. */
static void make_other(Arena *a, const char *name, StoredType type)
{
    Bytes f;
    Weights *w;
    if (file_make_dir(str_print(a, "%s/%s", DIR, name)) ||
        file_read(&f, a, str_print(a, "%s/plain/config.json", DIR)) ||
        file_write(str_print(a, "%s/%s/config.json", DIR, name), f.text, f.len) ||
        weights_open(&w, a, str_print(a, "%s/plain", DIR)))
        exit(1);
    Stored *s = NEW(a, Stored, weights_n(w));
    for (int i = 0; i < weights_n(w); i++) s[i] = stored_convert(a, weights_at(w, i), type, NULL);
    if (safetensors_write_stored(str_print(a, "%s/%s/model.safetensors", DIR, name), s, weights_n(w), NULL, 0))
        exit(1);
    weights_close(w);
}

static void make_files(void)
{
    Arena a = arena_open(0);
    Config c = {0};
    Model *m;
    arch_find("roberta")->defaults(&c);
    c.pooler = c.no_lm_head = true;
    if (model_open(&m, &a, &c, F32, 1) || model_save(m, str_print(&a, "%s/plain", DIR))) exit(1);
    printf("%.1f MB, %lld numbers\n", 4e-6 * (double)params_count(m->params, NULL, false),
           (long long)params_count(m->params, NULL, false));
    make_moved(&a);
    make_other(&a, "half", STORED_F16);
    make_other(&a, "bf16", STORED_BF16);
    make_other(&a, "double", STORED_F64);
    arena_close(&a);
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Best of several rounds of turning `from` into `to`, over the best of copying as many bytes as `to` has. */
static void turn(StoredType from, StoredType to, bool judged)
{
    enum { N = 1 << 22, TIMES = 9 };
    Arena a = arena_open((size_t)1 << 30);
    float *x = NEW(&a, float, N);
    for (int i = 0; i < N; i++) x[i] = (float)((i * 7919LL) % 65537 - 32768) * 1e-5f;
    const Stored plain = {
        .name = "x", .type = STORED_F32, .rank = 1, .dim = {N}, .count = N, .bytes = x, .n_bytes = 4 * N};
    const Stored s = stored_convert(&a, &plain, from, NULL);
    double best = 1e9, copied = 1e9, worst = 0;
    for (int r = 0; r < TIMES; r++) {
        ArenaMark mark = arena_mark(&a);
        double t = now();
        Stored y = stored_convert(&a, &s, to, judged ? &worst : NULL);
        t = now() - t;
        if (t < best) best = t;
        char *z = arena_take(&a, y.n_bytes);
        memset(z, 1, y.n_bytes);
        t = now();
        memcpy(z, y.bytes, y.n_bytes);
        t = now() - t;
        if (t < copied) copied = t;
        arena_drop(&a, mark);
    }
    printf("%-4s to %-4s%s %.2f ns a number, %.2f of a copy\n", stored_type(&s),
           to == STORED_F32   ? "F32"
           : to == STORED_F16 ? "F16"
           : to == STORED_F64 ? "F64"
                              : "BF16",
           judged ? " judged" : "", 1e9 * best / N, best / copied);
    arena_close(&a);
}

int main(int argc, char **argv)
{
    enum { MOST = 99 };
    int rounds = argc > 1 ? atoi(argv[1]) : 7;
    double seconds[KINDS][MOST], most[KINDS] = {0};
    DIR = argc > 2 ? argv[2] : "/tmp/vernier-load";
    if (rounds < 1 || rounds > MOST) return 2;
    fflush(stdout);
    if (!fork()) {
        make_files();
        exit(0);
    }
    int status;
    wait(&status);
    if (status) return 1;
    for (int r = -1; r < rounds; r++) /* the first round warms up */
        for (Kind k = 0; k < KINDS; k++) {
            Cost c = cost(k);
            if (r < 0) continue;
            seconds[k][r] = c.seconds;
            if (c.megabytes > most[k]) most[k] = c.megabytes;
        }
    for (Kind k = 0; k < KINDS; k++) {
        qsort(seconds[k], (size_t)rounds, sizeof seconds[k][0], by_value);
        printf("%-5s median %.4f s, %.3f of read; at most %.1f MB resident\n", NAME[k], seconds[k][rounds / 2],
               seconds[k][rounds / 2] / seconds[READ][rounds / 2], most[k]);
    }
    static const StoredType pairs[][2] = {{STORED_F16, STORED_F32},  {STORED_BF16, STORED_F32},
                                          {STORED_F64, STORED_F32},  {STORED_F32, STORED_F16},
                                          {STORED_F32, STORED_BF16}, {STORED_F32, STORED_F64}};
    for (int i = 0; i < 6; i++) turn(pairs[i][0], pairs[i][1], false);
    turn(STORED_F32, STORED_F16, true);
    return 0;
}

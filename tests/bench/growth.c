/* How cost grows with size, for tests/bench/growth.sh:
 *
 *     growth step AXIS SIZE       one LoRA step of a small encoder, one of its sizes changed: "SIZE SECONDS MB"
 *     growth run SIZE CMD...      the same of a command
 *     growth fit TITLE            those lines on standard input as a table, with the exponents of time and memory
 *
 * An exponent is the slope of the logarithms over the larger half of the sizes, where a fixed cost
 * weighs least: 1 is linear, 2 quadratic. */
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/rng.h"
#include "peft/peft.h"
#include "train/train.h"

typedef struct {
    int64_t tokens, layers, width, batch, vocabulary;
} Sizes;

static double megabytes(const struct rusage *r)
{
    return (double)r->ru_maxrss / 1024;
}

/* ---- a training step */

static bool change(Sizes *s, const char *axis, int64_t to)
{
    const struct {
        const char *name;
        int64_t *size;
    } AXES[] = {{"tokens", &s->tokens},
                {"layers", &s->layers},
                {"width", &s->width},
                {"batch", &s->batch},
                {"vocabulary", &s->vocabulary}};
    for (size_t i = 0; i < sizeof AXES / sizeof *AXES; i++)
        if (!strcmp(axis, AXES[i].name)) {
            *AXES[i].size = to;
            return to > 0;
        }
    return false;
}

static Config config_of(const Sizes *s)
{
    Config c = {0};
    arch_find("roberta")->defaults(&c);
    c.vocab = (int)s->vocabulary, c.positions = (int)s->tokens + 2;
    c.dim = (int)s->width, c.heads = (int)s->width / 64, c.hidden = 4 * (int)s->width, c.layers = (int)s->layers;
    c.tie_head = true; /* the loss is that of masked tokens, a sixth of all */
    return c;
}

static Batch batch_of_size(Arena *a, const Sizes *s)
{
    Batch x = {.b = s->batch, .t = s->tokens};
    int32_t *ids = NEW(a, int32_t, x.b * x.t), *target = NEW(a, int32_t, x.b * x.t);
    uint64_t stream = rng_stream(1, "growth");
    for (int64_t i = 0; i < x.b * x.t; i++) {
        ids[i] = (int32_t)(3 + rng_below(stream, (uint64_t)i, s->vocabulary - 3));
        target[i] = i % 6 ? -1 : ids[i];
    }
    x.ids = ids, x.target = target;
    return x;
}

static Status step(const Sizes *s, int64_t size)
{
    enum { ROUNDS = 4 };
    Arena run = arena_open((size_t)1 << 36), scratch = arena_open((size_t)1 << 36);
    const Config c = config_of(s);
    const Peft *lora = peft_find("lora");
    Model *m;
    PeftConfig cfg = {0};
    TrainConfig t = train_defaults();
    Trainer *trainer;
    TRY(model_open(&m, &run, &c, F32, 1));
    Hooks *hooks = hooks_new(&run);
    lora->defaults(&cfg, &c);
    TRY(peft_attach(lora, m, hooks, &cfg));
    TRY(trainer_open(&trainer, &run, m, hooks, &t));
    Batch x = batch_of_size(&run, s);
    double best = HUGE_VAL, begin = clock_now();
    for (int i = 0; i < ROUNDS && (i < 2 || clock_now() - begin < 3); i++) {
        StepStats stats;
        TRY(trainer_step(trainer, &scratch, &x, &stats));
        if (i && stats.seconds < best) best = stats.seconds;
    }
    struct rusage use;
    getrusage(RUSAGE_SELF, &use);
    printf("%lld %.6f %.1f\n", (long long)size, best, megabytes(&use));
    return OK;
}

/* ---- a command */

static int run(const char *size, char **argv)
{
    double begin = clock_now();
    int status;
    struct rusage use;
    pid_t child = fork();
    if (!child) {
        dup2(open("/dev/null", O_WRONLY | O_CLOEXEC), STDOUT_FILENO);
        execvp(argv[0], argv);
        _exit(127);
    }
    if (child < 0 || wait4(child, &status, 0, &use) < 0) return 1;
    if (!WIFEXITED(status) || WEXITSTATUS(status)) return 1;
    printf("%s %.6f %.1f\n", size, clock_now() - begin, megabytes(&use));
    return 0;
}

/* ---- exponents */

enum { POINTS = 32 };

/* The slope of log y on log x. */
static double slope(const double *x, const double *y, int n)
{
    double mx = 0, my = 0, xy = 0, xx = 0;
    for (int i = 0; i < n; i++) mx += log(x[i]) / n, my += log(y[i]) / n;
    for (int i = 0; i < n; i++) {
        xy += (log(x[i]) - mx) * (log(y[i]) - my);
        xx += (log(x[i]) - mx) * (log(x[i]) - mx);
    }
    return xy / xx;
}

static int fit(const char *title)
{
    double size[POINTS], seconds[POINTS], mb[POINTS];
    int n = 0;
    while (n < POINTS && scanf("%lf %lf %lf", &size[n], &seconds[n], &mb[n]) == 3) n++;
    if (n < 3) return 1;
    int from = n / 2 > n - 3 ? n - 3 : n / 2;
    printf("| %s |", title);
    for (int i = 0; i < n; i++) printf(" %.0f |", size[i]);
    printf(" exponent |\n|---|");
    for (int i = 0; i <= n; i++) printf("---|");
    printf("\n| seconds |");
    for (int i = 0; i < n; i++) printf(" %.3g |", seconds[i]);
    printf(" %.2f |\n| MB |", slope(size + from, seconds + from, n - from));
    for (int i = 0; i < n; i++) printf(" %.0f |", mb[i]);
    printf(" %.2f |\n\n", slope(size + from, mb + from, n - from));
    return 0;
}

int main(int argc, char **argv)
{
    Sizes s = {.tokens = 256, .layers = 4, .width = 256, .batch = 4, .vocabulary = 8192};
    if (argc == 3 && !strcmp(argv[1], "fit")) return fit(argv[2]);
    if (argc > 3 && !strcmp(argv[1], "run")) return run(argv[2], argv + 3);
    if (argc != 4 || strcmp(argv[1], "step") != 0 || !change(&s, argv[2], atoll(argv[3]))) {
        fprintf(stderr,
                "usage: growth step tokens|layers|width|batch|vocabulary SIZE | run SIZE CMD... | fit TITLE\n");
        return 2;
    }
    if (!step(&s, atoll(argv[3]))) return 0;
    fprintf(stderr, "growth: %s\n", err_message());
    return 1;
}

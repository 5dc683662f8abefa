/* The measuring table has a function for each kernel, which calls the one of the table that it stands for.  One
 * thread calls kernels (tape.h), so the sums need no lock. */
#include "num/profile.h"

#include <sys/resource.h>

#include "base/clock.h"

const char *const PROFILE_NAME[PROFILE_KINDS] = {"products", "attention",     "norms",  "activations",
                                                 "dropout",  "sums and rows", "losses", "optimiser"};
bool profile_runs;
static struct {
    Profile sum;
    double start, system;
    long pages;
    bool backward;
    const Kernels *table; /* that the measuring one stands for */
} now;

static double system_seconds(long *pages)
{
    struct rusage use;
    getrusage(RUSAGE_SELF, &use);
    *pages = use.ru_minflt;
    return (double)use.ru_stime.tv_sec + 1e-6 * (double)use.ru_stime.tv_usec;
}

double profile_clock(void)
{
    return clock_now();
}

void profile_add(ProfileKind kind, double start)
{
    double *to = now.backward || kind == PROFILE_OPTIMISER ? now.sum.backward : now.sum.forward;
    to[kind] += clock_now() - start;
}

void profile_backward(bool backward)
{
    now.backward = backward;
}

void profile_begin(void)
{
    now.sum = (Profile){0};
    now.backward = false;
    now.system = system_seconds(&now.pages);
    now.start = clock_now();
    profile_runs = true;
}

Profile profile_end(void)
{
    Profile p = now.sum;
    long pages;
    profile_runs = false;
    p.total = p.rest = clock_now() - now.start;
    p.system = system_seconds(&pages) - now.system;
    p.pages = pages - now.pages;
    for (int k = 0; k < PROFILE_KINDS; k++) p.rest -= p.forward[k] + p.backward[k];
    return p;
}

void profile_print(Buf *b, const Profile *p)
{
    double all = p->total > 0 ? p->total : 1;
    buf_print(b, "  %-22s %10s %10s %7s\n", "where time goes", "forward", "backward", "share");
    for (int k = 0; k < PROFILE_KINDS; k++)
        buf_print(b, "  %-22s %8.3f s %8.3f s %5.1f %%\n", PROFILE_NAME[k], p->forward[k], p->backward[k],
                  100 * (p->forward[k] + p->backward[k]) / all);
    buf_print(b, "  %-22s %21.3f s %5.1f %%\n", "rest", p->rest, 100 * p->rest / all);
    buf_print(b, "  %-22s %21.3f s; %.3f s of processor time in the system, for %ld pages\n", "all", p->total,
              p->system, p->pages);
}

/* ---- the measuring table */

#define MEASURED(kind, name, parameters, arguments)                                                                  \
    static void name parameters                                                                                      \
    {                                                                                                                \
        double start = clock_now();                                                                                  \
        now.table->name arguments;                                                                                   \
        profile_add(PROFILE_##kind, start);                                                                          \
    }
MEASURED(ACTIVATIONS, act_fwd, (Act a, void *y, const void *x, int64_t n), (a, y, x, n))
MEASURED(ACTIVATIONS, act_bwd, (Act a, void *dx, const void *dy, const void *x, int64_t n, bool add),
         (a, dx, dy, x, n, add))
MEASURED(ACTIVATIONS, bias_act, (Act a, void *y, void *pre, const void *bias, int64_t r, int64_t c),
         (a, y, pre, bias, r, c))
MEASURED(SUMS, add, (void *y, const void *a, double s, const void *b, int64_t n), (y, a, s, b, n))
MEASURED(SUMS, mul_fwd, (void *y, const void *a, const void *b, int64_t n), (y, a, b, n))
MEASURED(SUMS, mul_bwd, (void *da, const void *dy, const void *b, int64_t n, bool add), (da, dy, b, n, add))
MEASURED(SUMS, scale, (void *y, double s, const void *x, int64_t n, bool add), (y, s, x, n, add))
MEASURED(SUMS, scale_cols, (void *y, const void *x, const void *s, int64_t r, int64_t c, bool add),
         (y, x, s, r, c, add))
MEASURED(SUMS, dot_cols, (void *ds, const void *dy, const void *x, int64_t r, int64_t c), (ds, dy, x, r, c))
MEASURED(SUMS, sum_cols, (void *db, const void *dy, int64_t r, int64_t c), (db, dy, r, c))
MEASURED(DROPOUT, dropout, (void *y, const void *x, double p, uint64_t stream, int64_t first, int64_t n, bool add),
         (y, x, p, stream, first, n, add))
MEASURED(NORMS, norm_fwd,
         (void *y, void *xhat, void *rstd, const void *x, const void *residual, const void *g, const void *b,
          double eps, int64_t r, int64_t c),
         (y, xhat, rstd, x, residual, g, b, eps, r, c))
MEASURED(NORMS, affine, (void *y, const void *xhat, const void *g, const void *b, int64_t r, int64_t c),
         (y, xhat, g, b, r, c))
MEASURED(NORMS, norm_bwd,
         (void *dz, void *dg, void *db, const void *dy, const void *xhat, const void *rstd, const void *g, bool rms,
          int64_t r, int64_t c, bool add),
         (dz, dg, db, dy, xhat, rstd, g, rms, r, c, add))
MEASURED(SUMS, embed_fwd, (void *y, const void *table, const int32_t *id, int64_t n, int64_t c), (y, table, id, n, c))
MEASURED(SUMS, embed_bwd, (void *d, const void *dy, const int32_t *id, int64_t n, int64_t c), (d, dy, id, n, c))
MEASURED(ATTENTION, softmax, (void *y, const void *x, int64_t r, int64_t c), (y, x, r, c))
MEASURED(ATTENTION, softmax_bwd, (void *dx, const void *dy, const void *y, int64_t r, int64_t c, bool add),
         (dx, dy, y, r, c, add))
MEASURED(LOSSES, xent, (double *loss, void *x, const int32_t *target, double scale, bool grad, int64_t r, int64_t v),
         (loss, x, target, scale, grad, r, v))
MEASURED(OPTIMISER, adamw,
         (void *w, const void *g, void *m, void *v, double lr, double beta1, double beta2, double eps, double decay,
          double clip, int64_t step, int64_t n),
         (w, g, m, v, lr, beta1, beta2, eps, decay, clip, step, n))

static double sum_squares(const void *x, int64_t n)
{
    double start = clock_now(), sum = now.table->sum_squares(x, n);
    profile_add(PROFILE_OPTIMISER, start);
    return sum;
}

static const Kernels MEASURING = {
    .act_fwd = act_fwd,
    .act_bwd = act_bwd,
    .bias_act = bias_act,
    .add = add,
    .mul_fwd = mul_fwd,
    .mul_bwd = mul_bwd,
    .scale = scale,
    .scale_cols = scale_cols,
    .dot_cols = dot_cols,
    .sum_cols = sum_cols,
    .dropout = dropout,
    .norm_fwd = norm_fwd,
    .affine = affine,
    .norm_bwd = norm_bwd,
    .embed_fwd = embed_fwd,
    .embed_bwd = embed_bwd,
    .softmax = softmax,
    .softmax_bwd = softmax_bwd,
    .xent = xent,
    .sum_squares = sum_squares,
    .adamw = adamw,
};

const Kernels *profile_kernels(const Kernels *table)
{
    now.table = table;
    return &MEASURING;
}

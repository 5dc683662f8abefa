/* The weights are taken as one vector in the order of the set.  The transform is the in-place butterfly: log2 N
 * rounds of (a, b) -> (a + b, a - b). */
#include "theory/subspace.h"

#include <math.h>
#include <string.h>

#include "base/err.h"
#include "base/rng.h"
#include "base/str.h"
#include "num/kernels.h"

static int64_t power_of_two(int64_t n)
{
    int64_t p = 1;
    while (p < n) p *= 2;
    return p;
}

/* The next weight at or behind i that the subspace reaches; NULL: there is none. */
static Param *reached(const ParamSet *params, const char *names, int *i)
{
    for (; *i < params_n(params); ++*i)
        if (str_glob(names, params_at(params, *i)->name)) return params_at(params, (*i)++);
    return NULL;
}

static int64_t reached_count(const ParamSet *params, const char *names)
{
    int64_t n = 0;
    int i = 0;
    for (const Param *p; (p = reached(params, names, &i));) n += tensor_count(p->val);
    return n;
}

Subspace *subspace_open(Arena *run, ParamSet *params, const char *names, int64_t d, bool independent, uint64_t stream)
{
    Subspace *s = NEW(run, Subspace, 1);
    int64_t size = reached_count(params, names), n = power_of_two(size), at = 0;
    CHECK(d > 0 && d <= n, "a subspace of %lld dimensions in %lld", (long long)d, (long long)size);
    *s = (Subspace){.params = params,
                    .names = names,
                    .size = size,
                    .d = d,
                    .room = n,
                    .independent = independent,
                    .stream = stream};
    s->column = NEW(run, int32_t, n);
    for (int64_t i = 0; i < n; i++) s->column[i] = (int32_t)i;
    rng_shuffle(rng_stream(stream, "columns"), n, s->column);
    s->start = NEW(run, float, size), s->grad = NEW(run, float, size), s->sign = NEW(run, float, size),
    s->work = NEW(run, float, n);
    for (int64_t i = 0; i < size; i++) s->sign[i] = rng_bits(stream, (uint64_t)i) & 1 ? 1 : -1;
    int next = 0;
    for (Param *p; (p = reached(params, names, &next));) {
        param_train(p, true);
        for (int64_t k = 0; k < tensor_count(p->val); k++) s->start[at++] = (float)tensor_get(p->val, k);
    }
    Tensor *of_d[] = {&s->z, &s->dz, &s->m, &s->v};
    for (int i = 0; i < 4; i++) *of_d[i] = tensor_zero(run, F32, SHAPE(d));
    return s;
}

static void hadamard(float *x, int64_t n)
{
    for (int64_t h = 1; h < n; h *= 2)
        for (int64_t i = 0; i < n; i += 2 * h)
            for (int64_t j = i; j < i + h; j++) {
                float a = x[j], b = x[j + h];
                x[j] = a + b, x[j + h] = a - b;
            }
}

static double entry(const Subspace *s, int64_t i, int64_t j) /* of independent signs: 64 to a draw */
{
    uint64_t word = (uint64_t)(i * ((s->d + 63) / 64) + j / 64);
    return rng_bits(s->stream, word) >> j % 64 & 1 ? 1 : -1;
}

void subspace_up(const Subspace *s, float *theta, Tensor z)
{
    float scale = (float)(1 / sqrt((double)s->size));
    if (s->independent) {
        for (int64_t i = 0; i < s->size; i++) {
            double sum = 0;
            for (int64_t j = 0; j < s->d; j++) sum += entry(s, i, j) * tensor_get(z, j);
            theta[i] = scale * (float)sum;
        }
        return;
    }
    memset(s->work, 0, sizeof *s->work * (size_t)s->room);
    for (int64_t j = 0; j < s->d; j++) s->work[s->column[j]] = (float)tensor_get(z, j);
    hadamard(s->work, s->room);
    for (int64_t i = 0; i < s->size; i++) theta[i] = scale * s->sign[i] * s->work[i];
}

void subspace_down(const Subspace *s, Tensor z, float *theta)
{
    double scale = 1 / sqrt((double)s->size);
    if (s->independent) {
        for (int64_t j = 0; j < s->d; j++) {
            double sum = 0;
            for (int64_t i = 0; i < s->size; i++) sum += entry(s, i, j) * (double)theta[i];
            tensor_set(z, j, scale * sum);
        }
        return;
    }
    memset(s->work, 0, sizeof *s->work * (size_t)s->room);
    for (int64_t i = 0; i < s->size; i++) s->work[i] = s->sign[i] * theta[i];
    hadamard(s->work, s->room);
    for (int64_t j = 0; j < s->d; j++) tensor_set(z, j, scale * (double)s->work[s->column[j]]);
}

void subspace_apply(Subspace *s)
{
    float *theta = s->work; /* up() reads a row of work before it writes that row */
    int64_t at = 0;
    subspace_up(s, theta, s->z);
    int next = 0;
    for (Param *p; (p = reached(s->params, s->names, &next));) {
        for (int64_t k = 0; k < tensor_count(p->val); k++, at++)
            tensor_set(p->val, k, (double)(s->start[at] + theta[at]));
    }
}

void subspace_step(Subspace *s, double lr, int64_t step)
{
    int64_t at = 0;
    int next = 0;
    for (const Param *p; (p = reached(s->params, s->names, &next));) {
        for (int64_t k = 0; k < tensor_count(p->val); k++, at++)
            s->grad[at] = p->grad.data ? (float)tensor_get(p->grad, k) : 0;
    }
    subspace_down(s, s->dz, s->grad);
    const Kernels *k = kernels_of(F32);
    double norm = sqrt(k->sum_squares(s->dz.data, s->d)), clip = fmin(1, 1 / (norm + 1e-6));
    k->adamw(s->z.data, s->dz.data, s->m.data, s->v.data, lr, 0.9, 0.999, 1e-8, 0, clip, step, s->d);
}

/* Arms at several rates over all seeds. */
#include "toy/arms.h"

#include <math.h>
#include <string.h>

#include "base/str.h"

static Status job(Run *r, int i, void *out, void *user)
{
    const Arms *s = user;
    int seeds = run_seeds(r), rate = i / seeds % s->rates, index = i / seeds / s->rates;
    const Arm *a = &s->arm[index];
    Arena run = arena_open(0);
    ArmJob j = {.run = &run,
                .hooks = hooks_new(&run),
                .model = a->model,
                .arm = a->arm,
                .index = index,
                .seed_index = i % seeds,
                .seed = run_seed(r, i % seeds)};
    j.arm.name = str_print(&run, "%s-%g", a->arm.name, s->scale[rate]);
    j.arm.lr *= s->scale[rate];
    TRY(lab_open(&j.m, &run, r, j.model, j.seed));
    if (s->tune)
        TRY(s->tune(r, &j, out, s->user));
    else
        TRY(lab_tune(r, &run, j.m, j.hooks, j.model, &j.arm, NULL, j.seed, out));
    arena_close(&run);
    return OK;
}

Status arms_run(Run *r, Arms *s)
{
    if (!s->size) s->size = sizeof(LabResult);
    CHECK(s->arms <= ARMS_MOST && s->size >= sizeof(LabResult), "%d arms, outcomes of %zu bytes", s->arms, s->size);
    int n = s->arms * s->rates * run_seeds(r);
    s->all = arena_zero(run_arena(r), s->size * (size_t)n);
    return run_parallel(r, n, s->size, job, s, s->all);
}

const void *arms_best(Run *r, const Arms *s, int arm, int *rate)
{
    int seeds = run_seeds(r), each = s->rates * seeds;
    const char *mine = s->all + s->size * (size_t)(arm * each);
    LabResult *result = NEW(run_arena(r), LabResult, each);
    for (int i = 0; i < each; i++) memcpy(&result[i], mine + s->size * (size_t)i, sizeof *result);
    int best = lab_best(result, s->rates, seeds);
    if (rate) *rate = best;
    return mine + s->size * (size_t)(best * seeds);
}

Status arms_words(char word[][24], int most, int *n, const char *list)
{
    *n = 0;
    for (const char *at = list; *at;) {
        size_t len = strcspn(at, ",");
        if (*n == most || len >= sizeof word[0])
            return fail(E_CONFIG, "\"%s\": at most %d words of %zu bytes", list, most, sizeof word[0] - 1);
        memcpy(word[*n], at, len), word[*n][len] = 0;
        const char *method = lab_arm(word[*n]).method;
        if (method && !peft_find(method))
            return fail(E_CONFIG, "methods: \"%s\" is none; vernier list names them", word[*n]);
        ++*n;
        at += len + (at[len] == ',');
    }
    return *n ? OK : fail(E_CONFIG, "no method is named");
}

Series arms_series(Arena *a, const double *values, int points, int seeds, const char *label)
{
    Tensor mean = tensor_zero(a, F64, SHAPE(points)), lo = tensor_new(a, F64, SHAPE(points)),
           hi = tensor_new(a, F64, SHAPE(points));
    for (int p = 0; p < points; p++) {
        double least = INFINITY, most = -INFINITY;
        for (int i = 0; i < seeds; i++) {
            double x = values[p * seeds + i];
            least = x < least || isnan(x) ? x : least, most = x > most || isnan(x) ? x : most;
        }
        tensor_set(mean, p, arms_mean(values + p * seeds, seeds)), tensor_set(lo, p, least), tensor_set(hi, p, most);
    }
    return (Series){.y = mean, .lo = lo, .hi = hi, .label = label};
}

double arms_mean(const double *values, int n)
{
    double sum = 0;
    for (int i = 0; i < n; i++) sum += values[i] / n;
    return sum;
}

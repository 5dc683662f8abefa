/* Central differences along directions, with four points: the odd derivatives above the first cancel up to the
 * fifth, so a step h that is large enough for rounding (1e-16/h, with a loss of order 1) is small enough for
 * truncation (h^4 f^(5)/30) even where the loss curves strongly.  A direction has independent N(0,1) entries, so an
 * element moves by about h whatever their number.
 *
 * A loss with ReLUs has kinks, and a step that crosses one measures a slope that is nobody's.  A direction that looks
 * wrong is therefore measured again with shorter steps, and its error is the least of them: a kink is stepped over,
 * while a gradient that is wrong stays wrong at every length. */
#include "ad/gradcheck.h"

#include <math.h>
#include <stddef.h>

#include "base/rng.h"

static const double STEPS[] = {2e-5, 2e-6, 2e-7}, GOOD = 1e-8;

typedef struct {
    ParamSet *set;
    Arena *step;
    LossFn *loss;
    void *ctx;
    Tensor *origin; /* the values to return to, by parameter */
} Run;

static double evaluate(Run *r, bool record)
{
    ArenaMark mark = arena_mark(r->step);
    Tape *t = tape_open(r->step, record);
    Var *loss = r->loss(t, r->ctx);
    double value = tape_scalar(loss);
    if (record) tape_backward(t, loss);
    arena_drop(r->step, mark);
    return value;
}

static double entry(uint64_t stream, int i, int64_t j)
{
    return rng_normal(rng_mix(stream, (uint64_t)i), (uint64_t)j);
}

/* w = origin + h u on parameter `only`, or on all trainable ones where only < 0. */
static void move(Run *r, uint64_t stream, int only, double h)
{
    for (int i = 0; i < params_n(r->set); i++) {
        Param *p = params_at(r->set, i);
        if (!p->trainable || (only >= 0 && i != only)) continue;
        for (int64_t j = 0, n = tensor_count(p->val); j < n; j++) {
            double w = tensor_get(r->origin[i], j);
            tensor_set(p->val, j, h == 0 ? w : w + h * entry(stream, i, j));
        }
    }
}

static double along(Run *r, uint64_t stream, int only, double *norm)
{
    double slope = 0, squares = 0;
    for (int i = 0; i < params_n(r->set); i++) {
        const Param *p = params_at(r->set, i);
        if (!p->trainable || (only >= 0 && i != only)) continue;
        for (int64_t j = 0, n = tensor_count(p->val); j < n; j++) {
            double g = tensor_get(p->grad, j);
            slope += g * entry(stream, i, j);
            squares += g * g;
        }
    }
    *norm = sqrt(squares);
    return slope;
}

static double loss_at(Run *r, uint64_t stream, int only, double h)
{
    move(r, stream, only, h);
    return evaluate(r, false);
}

static double quotient(Run *r, uint64_t stream, int only, double h)
{
    double near = loss_at(r, stream, only, h) - loss_at(r, stream, only, -h);
    double far = loss_at(r, stream, only, 2 * h) - loss_at(r, stream, only, -2 * h);
    return (8 * near - far) / (12 * h);
}

/* |difference quotient - g.u| over the larger of the two.  u has unit entries, so a typical slope is |g|; where
 * chance makes this one much smaller, or where nothing depends on the parameter at all, the yardstick is a tenth of
 * |g| or the error that rounding of the loss alone can produce. */
static double error_along(Run *r, uint64_t stream, int only, double loss)
{
    double norm, tape = along(r, stream, only, &norm), best = (double)NAN;
    for (size_t i = 0; i < sizeof STEPS / sizeof *STEPS && !(best < GOOD); i++) {
        double q = quotient(r, stream, only, STEPS[i]);
        double yard = fmax(fmax(fmax(fabs(q), fabs(tape)), 0.1 * norm), 1e-4 * fmax(1, fabs(loss)));
        best = fmin(best, fabs(q - tape) / yard); /* fmin passes over a NaN where it has another number */
    }
    move(r, stream, only, 0);
    return best;
}

/* Not a number is the worst error there is. */
static bool worse(double e, double than)
{
    return !isnan(than) && !(e <= than);
}

GradCheck gradcheck_run(ParamSet *set, Arena *step, LossFn *loss, void *ctx, int directions, uint64_t seed)
{
    ArenaMark mark = arena_mark(step);
    Run r = {set, step, loss, ctx, NEW(step, Tensor, params_n(set) ? params_n(set) : 1)};
    GradCheck out = {0};
    for (int i = 0; i < params_n(set); i++)
        if (params_at(set, i)->trainable) r.origin[i] = tensor_copy(step, params_at(set, i)->val);
    out.numbers = params_count(set, NULL, true);
    params_zero_grad(set);
    out.loss = evaluate(&r, true);
    along(&r, 0, -1, &out.norm);

    for (int d = 0; d < directions; d++) {
        double e = error_along(&r, rng_mix(rng_stream(seed, "gradcheck"), (uint64_t)d), -1, out.loss);
        if (worse(e, out.worst)) out.worst = e;
    }
    for (int i = 0; i < params_n(set); i++) {
        if (!params_at(set, i)->trainable) continue;
        double e = error_along(&r, rng_stream(seed, "gradcheck/each"), i, out.loss);
        if (!out.at || worse(e, out.worst_each)) {
            out.worst_each = e;
            out.at = params_at(set, i)->name;
        }
    }
    arena_drop(step, mark);
    return out;
}

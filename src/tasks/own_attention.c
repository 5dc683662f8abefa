/* A look at the virtual tokens of a tuned model: their attention, the directions in which they add, and the norms of
 * the gradients. */
#include <math.h>
#include <string.h>

#include "measure/measure.h"
#include "num/linalg.h"
#include "tasks/own.h"

enum { ROWS = 16 };
static const double SHARE = 0.01; /* of the largest singular value, for a direction to count */

void own_gradients(OwnGradients *out, OwnModel *o, const Hooks *hooks)
{
    Arena step = arena_open((size_t)1 << 36);
    ParamSet *params = o->model->params;
    int32_t rows[ROWS];
    int64_t n = o->texts->x.n < ROWS ? o->texts->x.n : ROWS;
    double squares[2] = {0};
    for (int32_t i = 0; i < n; i++) rows[i] = i;
    Pass pass = {.tape = tape_open(&step, true), .hooks = hooks};
    Batch x = batch_of(&step, &o->texts->x, &(BatchPlan){.pad = o->model->config.pad}, rows, n);
    params_drop_grad(params);
    tape_backward(pass.tape, own_loss(o->model, &pass, &x, o));
    for (int i = 0; i < params_n(params); i++) {
        const Param *p = params_at(params, i);
        if (!p->trainable || !p->grad.data) continue;
        bool method = !strncmp(p->name, "peft.", 5);
        for (int64_t k = 0; k < tensor_count(p->grad); k++)
            squares[!method] += tensor_get(p->grad, k) * tensor_get(p->grad, k);
    }
    params_drop_grad(params);
    arena_close(&step);
    *out = (OwnGradients){sqrt(squares[0]), sqrt(squares[1])};
}

/* ---- attention */

static double mean_mass(Arena *a, Map m)
{
    Tensor alpha = measure_alpha(a, m);
    double sum = 0, n = 0;
    for (int64_t i = 0; i < tensor_count(alpha); i++) {
        double x = tensor_get(alpha, i);
        if (isfinite(x)) sum += x, n++;
    }
    return n > 0 ? sum / n : 0;
}

static Status directions(int64_t *out, Arena *a, const Model *m, Where at, Map with)
{
    Tensor s;
    TRY(linalg_singular(&s, a, measure_projected(a, m, at, measure_mixture(a, with), -1)));
    *out = linalg_rank(s, SHARE);
    return OK;
}

Status own_attention(OwnAttention *out, Arena *a, OwnModel *o, Hooks *hooks)
{
    Model *m = o->model;
    const OwnTexts *x = o->texts;
    Part part = m->encoder ? PART_ENCODER : PART_DECODER;
    int layers = model_layers(m, part), used = 0;
    int64_t n = x->x.n < ROWS ? x->x.n : ROWS;
    *out = (OwnAttention){.of_layer = NEW(a, double, layers)};
    Seen *with = NEW(a, Seen, layers), *without = NEW(a, Seen, layers);
    int32_t rows[ROWS];
    for (int32_t i = 0; i < n; i++) rows[i] = i;
    Batch raw = batch_of(a, &x->x, &(BatchPlan){.pad = m->config.pad}, rows, n);
    Batch batch = own_batch(o, a, &raw);
    measure_pass(with, a, m, hooks, part, &batch);
    measure_pass(without, a, m, NULL, part, &batch);
    for (int l = 0; l < layers; l++) {
        int64_t found = 0, extra = with[l].probs.dim[3] - without[l].probs.dim[3];
        if (extra <= 0) continue;
        Map map = {.seen = &with[l], .extra = extra};
        double mass = mean_mass(a, map);
        TRY(directions(&found, a, m, (Where){.layer = l, .part = part}, map));
        out->of_layer[used++] = mass;
        out->mass += mass;
        if (found > out->most) out->most = found;
        out->bound = extra * m->config.heads < m->config.dim ? extra * m->config.heads : m->config.dim;
    }
    out->layers = used;
    if (used) out->mass /= used;
    return OK;
}

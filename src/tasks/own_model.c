/* The user's tasks on a transformer with the family's own classification head, which has one output for a number. */
#include <math.h>
#include <string.h>

#include "base/ranks.h"
#include "nn/finite.h"
#include "tasks/own.h"

void own_model_open(OwnModel *o, Model *m, const OwnPlan *plan)
{
    *o = (OwnModel){.model = m, .plan = plan};
}

void own_model_show(OwnModel *o, const OwnSet *set, const OwnTexts *texts)
{
    o->set = set, o->texts = texts;
}

int own_outputs(const OwnPlan *p)
{
    return p->kind->target == OWN_NUMBERS ? 1 : p->classes;
}

/* The token types of a batch's rows, padded by 0; NULL where all of them are 0. */
static const int32_t *types_of(const OwnModel *o, Arena *a, const Batch *x)
{
    bool any = false;
    for (int64_t i = 0; i < x->b; i++) any |= o->texts->type[x->row[i]] != NULL;
    if (!any) return NULL;
    int32_t *type = NEW(a, int32_t, x->b * x->t);
    for (int64_t i = 0; i < x->b; i++) {
        const int32_t *own = o->texts->type[x->row[i]];
        if (own) memcpy(type + i * x->t, own, sizeof *type * (size_t)o->texts->x.len[x->row[i]]);
    }
    return type;
}

Batch own_batch(const OwnModel *o, Arena *a, const Batch *x)
{
    Batch y = *x;
    y.type = types_of(o, a, x);
    if (o->model->arch->encode) {
        y.src = x->ids, y.s = x->t, y.src_len = x->len;
        y.ids = y.len = NULL, y.t = 0;
    }
    return y;
}

static Var *outputs(OwnModel *o, Pass *p, const Batch *x)
{
    Batch y = own_batch(o, tape_arena(p->tape), x);
    return model_classes(o->model, p, &y);
}

/* ---- loss */

static double class_weight(const OwnModel *o, int32_t c)
{
    return o->weight ? o->weight[c] : 1;
}

/* How much example e counts. */
static double weight_of(const OwnModel *o, int32_t e)
{
    double share = o->texts->share[e];
    return o->plan->kind->target == OWN_NUMBERS ? share : share * class_weight(o, o->set->class[o->texts->of[e]]);
}

void own_weigh(double weight[LOSS_TERMS], const Batch *x, void *user)
{
    const OwnModel *o = user;
    for (int64_t i = 0; i < x->b; i++) weight[0] += weight_of(o, x->row[i]);
}

static Var *class_loss(OwnModel *o, Pass *p, Var *y, const Batch *x, double z)
{
    int classes = o->plan->classes;
    double *q = NEW(tape_arena(p->tape), double, x->b *classes);
    for (int64_t i = 0; i < x->b; i++) {
        int32_t e = x->row[i], truth = o->set->class[o->texts->of[e]];
        for (int32_t c = 0; c < classes; c++)
            q[i * classes + c] = o->texts->share[e] * class_weight(o, c) *
                                 (o->smoothing / classes + (c == truth ? 1 - o->smoothing : 0));
    }
    return op_xent_soft(p->tape, y, q, z);
}

/* Squared error; a window's weight goes into both sides of the difference as its root. */
static Var *number_loss(OwnModel *o, Pass *p, Var *y, const Batch *x, double z)
{
    Tape *t = p->tape;
    Tensor root = tensor_zero(tape_arena(t), y->val.dtype, y->val.rank, y->val.dim);
    Tensor target = tensor_zero(tape_arena(t), y->val.dtype, y->val.rank, y->val.dim);
    for (int64_t i = 0; i < x->b; i++) {
        int32_t e = x->row[i];
        double w = sqrt(o->texts->share[e]);
        tensor_set(root, i, w);
        tensor_set(target, i, w * (o->set->value[o->texts->of[e]] - o->plan->mean) / o->plan->sd);
    }
    return op_scale(t, op_mse(t, op_mul(t, y, tape_leaf(t, root)), target), (double)x->b / z);
}

Var *own_loss(Model *m, Pass *p, const Batch *x, void *user)
{
    OwnModel *o = user;
    CHECK(m == o->model, "a head is used on another model");
    double z[LOSS_TERMS] = {0};
    int mark = tape_enter(p->tape);
    own_weigh(z, x, o);
    Var *y = outputs(o, p, x);
    bool numbers = o->plan->kind->target == OWN_NUMBERS;
    Var *loss = numbers ? number_loss(o, p, y, x, z[0]) : class_loss(o, p, y, x, z[0]);
    if (p->share) loss = op_scale(p->tape, loss, p->share[0]);
    return tape_leave(p->tape, mark, loss);
}

/* ---- predicting */

/* The logits of each example (x.n, outputs). */
static Status logits_of(double *out, OwnModel *o, const Hooks *hooks, Arena *step, const Batch *x)
{
    int outputs_n = own_outputs(o->plan);
    Pass pass = {.tape = tape_open(step, false), .hooks = hooks};
    Tensor y = outputs(o, &pass, x)->val;
    for (int64_t i = 0; i < x->b; i++)
        for (int c = 0; c < outputs_n; c++) out[x->row[i] * outputs_n + c] = tensor_get(y, i * outputs_n + c);
    return model_blame(tensor_finite(y, "the logits of the rows"), o->model);
}

static Status each_example(double *out, OwnModel *o, const Hooks *hooks, Arena *step, Batcher *feed,
                           bool (*each)(int64_t, void *), void *user)
{
    Status s = OK;
    for (int64_t done = 0, i = 0; !s && done < o->texts->x.n; i++) {
        ArenaMark mark = arena_mark(step);
        Batch x;
        batcher_next(feed, step, &x, NULL);
        if (ranks_own(i)) s = logits_of(out, o, hooks, step, &x);
        done += x.b;
        arena_drop(step, mark);
        if (!s && each && !each(done, user)) s = err_fail(E_INTERRUPT, "interrupted before the end");
    }
    return s;
}

Status own_logits(double *out, OwnModel *o, const Hooks *hooks, Arena *step, bool (*each)(int64_t done, void *),
                  void *user)
{
    Batcher *feed;
    Arena plan = arena_open(0);
    const int n = own_outputs(o->plan);
    const int64_t examples = o->texts->x.n;
    double *all = NEW(&plan, double, examples *n);
    Status s = batcher_open(&feed, &plan, &o->texts->x, &(BatchPlan){.tokens = 8192, .pad = o->model->config.pad});
    if (!s) s = each_example(all, o, hooks, step, feed, each, user);
    s = ranks_unite(s, all, sizeof *all * (size_t)(examples * n));
    memset(out, 0, sizeof *out * (size_t)(o->set->n * n));
    for (int64_t e = 0; !s && e < examples; e++)
        for (int c = 0; c < n; c++) out[o->texts->of[e] * n + c] += o->texts->share[e] * all[e * n + c];
    arena_close(&plan);
    return s;
}

static void soften(double *probability, const double *logit, int n)
{
    double most = logit[0], sum = 0;
    for (int c = 1; c < n; c++) most = fmax(most, logit[c]);
    for (int c = 0; c < n; c++) sum += probability[c] = exp(logit[c] - most);
    for (int c = 0; c < n; c++) probability[c] /= sum;
}

static int32_t largest(const double *x, int n)
{
    int32_t best = 0;
    for (int32_t c = 1; c < n; c++)
        if (x[c] > x[best]) best = c;
    return best;
}

OwnPredictions own_predictions(Arena *a, const OwnPlan *p, const double *logits, int64_t n)
{
    OwnPredictions y = {.n = n};
    if (p->kind->target == OWN_NUMBERS) {
        y.value = NEW(a, double, n);
        for (int64_t i = 0; i < n; i++) y.value[i] = p->mean + p->sd * logits[i];
        return y;
    }
    y.probability = NEW(a, double, n * p->classes), y.class = NEW(a, int32_t, n);
    for (int64_t i = 0; i < n; i++) {
        soften(y.probability + i * p->classes, logits + i * p->classes, p->classes);
        y.class[i] = largest(logits + i * p->classes, p->classes);
    }
    return y;
}

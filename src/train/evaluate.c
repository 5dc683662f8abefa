/* Hidden states for the whole batch, then logits for a few rows at a time: a vocabulary of 50,000 over a batch of
 * 2,000 positions would otherwise be most of the memory of the pass. */
#include "train/evaluate.h"

#include <math.h>

#include "base/ranks.h"

enum { CHUNK = 1 << 23 }; /* logits at a time */

/* Adds the rows of logits (n,V) that belong to `examples` examples of `per` positions each. */
static void score(Arena *step, Tensor logits, const int32_t *target, int64_t examples, int64_t per, int32_t *best,
                  Evaluation *sum)
{
    ArenaMark mark = arena_mark(step);
    int64_t n = examples * per, v = tensor_last(logits);
    Tensor rows = tensor_reshape(logits, SHAPE(n, v));
    double *loss = NEW(step, double, n);
    kernels_of(rows.dtype)->xent(loss, rows.data, target, 1, false, n, v);
    for (int64_t e = 0; e < examples; e++) {
        int64_t scored = 0, right = 0;
        for (int64_t i = e * per; i < (e + 1) * per; i++) {
            int64_t top = best || target[i] >= 0 ? tensor_argmax(tensor_at(rows, i)) : 0;
            if (best) best[i] = (int32_t)top;
            if (target[i] < 0) continue;
            sum->loss += loss[i];
            right += top == target[i];
            scored++;
        }
        sum->examples += scored > 0;
        sum->scored += scored;
        sum->accuracy += (double)right;
        sum->exact += scored > 0 && right == scored;
    }
    arena_drop(step, mark);
}

static void score_targets(Model *m, Pass *p, Arena *step, const Batch *x, int32_t *best, Evaluation *sum)
{
    Tensor hidden = model_hidden(m, p, x)->val;
    int64_t per = hidden.dim[1], some = CHUNK / (per * m->config.vocab + 1);
    if (some < 1) some = 1;
    for (int64_t i = 0; i < x->b; i += some) {
        int64_t n = x->b - i < some ? x->b - i : some;
        int mark = tape_enter(p->tape);
        Var *logits = m->arch->logits(m, p, tape_leaf(p->tape, tensor_rows(hidden, i, n)));
        score(step, logits->val, x->target + i * per, n, per, best ? best + i * per : NULL, sum);
        tape_leave(p->tape, mark, NULL);
    }
}

void evaluate_batch(Model *m, const Hooks *hooks, Arena *step, const Batch *x, int32_t *best, Evaluation *sum)
{
    CHECK(x->label || x->target, "a batch without labels or targets cannot be scored");
    ArenaMark mark = arena_mark(step);
    Pass pass = {.tape = tape_open(step, false), .hooks = hooks};
    if (x->label) {
        score(step, model_classes(m, &pass, x)->val, x->label, x->b, 1, best, sum);
    } else {
        score_targets(m, &pass, step, x, best, sum);
    }
    arena_drop(step, mark);
}

void evaluation_end(Evaluation *e)
{
    double scored = e->scored ? (double)e->scored : 1, examples = e->examples ? (double)e->examples : 1;
    e->loss /= scored;
    e->perplexity = exp(e->loss);
    e->accuracy /= scored;
    e->exact /= examples;
}

static void add(Evaluation *sum, const Evaluation *x)
{
    sum->examples += x->examples, sum->scored += x->scored;
    sum->loss += x->loss, sum->accuracy += x->accuracy, sum->exact += x->exact;
}

Status evaluate_epoch_by(EvaluateFn *score_batch, void *user, Batcher *feed, Arena *step, Evaluation *out)
{
    *out = (Evaluation){0};
    batcher_seek(feed, 0);
    ArenaMark begin = arena_mark(step);
    int64_t n = batcher_in_epoch(feed);
    Evaluation *part = NEW(step, Evaluation, n);
    for (int64_t i = 0; i < n; i++) {
        ArenaMark mark = arena_mark(step);
        Batch batch;
        batcher_next(feed, step, &batch, NULL);
        if (ranks_own(i)) score_batch(&part[i], step, &batch, user);
        arena_drop(step, mark);
    }
    Status s = ranks_unite(OK, part, sizeof *part * (size_t)n);
    for (int64_t i = 0; i < n; i++) add(out, &part[i]);
    arena_drop(step, begin);
    evaluation_end(out);
    return s;
}

typedef struct {
    Model *model;
    const Hooks *hooks;
} Judged;

static void score_batch(Evaluation *sum, Arena *step, const Batch *x, void *user)
{
    const Judged *j = user;
    evaluate_batch(j->model, j->hooks, step, x, NULL, sum);
}

Status evaluate_epoch(Model *m, const Hooks *hooks, Batcher *feed, Arena *step, Evaluation *out)
{
    return evaluate_epoch_by(score_batch, &(Judged){m, hooks}, feed, step, out);
}

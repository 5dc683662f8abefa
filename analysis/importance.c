/* Gradients come from factors of 1: a product with a Var that needs a gradient records all that depends on it,
 * although every parameter of the model is frozen. */
#include "analysis/importance.h"

#include <math.h>
#include <string.h>

/* ---- the loss */

/* A batch with one row for each token of the text, in which that token alone is masked and predicted. */
static Status masked_batch(Batch *out, Arena *a, const Tokenizer *k, const Batch *read)
{
    const Special *mask = k ? special_find(tokenizer_specials(k), "<mask>", 6) : NULL;
    if (!mask) return err_fail(E_MISMATCH, "the loss of an encoder masks tokens, and its tokenizer has no <mask>");
    int64_t t = read->t, rows = 0;
    int32_t *id = NEW(a, int32_t, t * t), *target = NEW(a, int32_t, t * t);
    for (int64_t i = 0; i < t; i++) {
        if (tokenizer_is_special(k, read->ids[i])) continue;
        memcpy(id + rows * t, read->ids, sizeof *id * (size_t)t);
        for (int64_t j = 0; j < t; j++) target[rows * t + j] = j == i ? read->ids[i] : -1;
        id[rows++ * t + i] = mask->id;
    }
    if (!rows) return err_fail(E_CONFIG, "the text has special tokens alone, and nothing to predict");
    *out = (Batch){.b = rows, .t = t, .ids = id, .target = target};
    return OK;
}

/* Targets are the next tokens for a decoder, and each masked token in turn for an encoder. */
Status importance_loss_batch(Batch *out, Arena *a, const Model *m, const Tokenizer *k, const Batch *read,
                             const int32_t *target)
{
    if (m->config.no_lm_head)
        return err_fail(E_MISMATCH, "this %s has no language-model head, and without one there is no loss",
                        m->arch->name);
    if (!read->t) return err_fail(E_CONFIG, "the loss of an encoder-decoder needs a target: --part decoder or cross");
    if (!m->decoder) return masked_batch(out, a, k, read);
    *out = *read;
    if (!target) {
        int32_t *next = NEW(a, int32_t, read->t);
        for (int64_t i = 0; i < read->t; i++) next[i] = i + 1 < read->t ? read->ids[i + 1] : -1;
        target = next;
        if (read->t < 2) return err_fail(E_CONFIG, "one token alone has no next one to predict");
    }
    out->target = target;
    return OK;
}

double importance_loss(Model *m, Hooks *hooks, const Batch *b)
{
    Arena step = arena_open(0);
    Pass p = {.tape = tape_open(&step, false), .hooks = hooks};
    double loss = tape_scalar(model_loss(m, &p, b));
    arena_close(&step);
    return loss;
}

/* ---- zeroing */

Var *hook_scale_head(Pass *p, Where at, Var *in, Var *out, void *user)
{
    (void)at, (void)in;
    const HeadScale *s = user;
    int64_t c = tensor_last(out->val), d = c / s->heads;
    Tensor factor = tensor_new(tape_arena(p->tape), out->val.dtype, SHAPE(c));
    for (int64_t j = 0; j < c; j++) tensor_set(factor, j, j / d == s->head ? s->factor : 1);
    return op_scale_cols(p->tape, out, tape_leaf(p->tape, factor));
}

/* ---- gradients */

typedef struct {
    Var *factor; /* of the last pass */
} Factor;

static Var *ones(Pass *p, DType dtype, int rank, const int64_t *dim)
{
    Tensor t = tensor_new(tape_arena(p->tape), dtype, rank, dim);
    tensor_fill(t, 1);
    return tape_input(p->tape, t);
}

static Var *factor_of_columns(Pass *p, Where at, Var *in, Var *out, void *user)
{
    (void)at, (void)in;
    Factor *f = user;
    f->factor = ones(p, out->val.dtype, SHAPE(tensor_last(out->val)));
    return op_scale_cols(p->tape, out, f->factor);
}

static Var *factor_of_all(Pass *p, Where at, Var *in, Var *out, void *user)
{
    (void)at, (void)in;
    Factor *f = user;
    f->factor = ones(p, out->val.dtype, out->val.rank, out->val.dim);
    return op_mul(p->tape, out, f->factor);
}

static Factor *backward(Arena *step, Model *m, Hooks *hooks, const Batch *b, Part part, Site site, HookFn *fn)
{
    int layers = model_layers(m, part), before = hooks_n(hooks);
    Factor *f = NEW(step, Factor, layers);
    for (int l = 0; l < layers; l++) hook_add(hooks, (Where){site, l, part}, fn, &f[l]);
    Tape *tape = tape_open(step, true);
    tape_backward(tape, model_loss(m, &(Pass){.tape = tape, .hooks = hooks}, b));
    hooks_clear_from(hooks, before);
    return f;
}

/* For each head: the gradient of the loss by a factor on its output, and the rise of the loss at factor 0. */
Status head_importance(HeadStats *out, Model *m, Hooks *hooks, const Batch *b, Part part, EachHead *each, void *user)
{
    Status status = OK;
    int layers = model_layers(m, part), heads = maps_heads(m, part), before = hooks_n(hooks);
    Arena step = arena_open(0);
    Factor *f = backward(&step, m, hooks, b, part, SITE_HEADS, factor_of_columns);
    double loss = importance_loss(m, hooks, b);
    for (int i = 0; i < layers * heads && !status; i++) {
        Tensor g = f[i / heads].factor->grad;
        int64_t d = tensor_last(g) / heads;
        double sum = 0;
        for (int64_t j = 0; j < d; j++) sum += tensor_get(g, i % heads * d + j);
        HeadScale zero = {i % heads, heads, 0};
        hook_add(hooks, (Where){SITE_HEADS, i / heads, part}, hook_scale_head, &zero);
        out[i].gradient = fabs(sum);
        out[i].zeroed = importance_loss(m, hooks, b) - loss;
        hooks_clear_from(hooks, before);
        if (each) status = each(i + 1, layers * heads, user);
    }
    arena_close(&step);
    return status;
}

void attention_gradient(Tensor *out, Arena *run, Model *m, Hooks *hooks, const Batch *b, Part part)
{
    Arena step = arena_open(0);
    Factor *f = backward(&step, m, hooks, b, part, SITE_PROBS, factor_of_all);
    for (int l = 0; l < model_layers(m, part); l++) {
        Tensor g = f[l].factor->grad;
        int64_t n = tensor_count(g) / g.dim[0];
        out[l] = tensor_zero(run, F64, SHAPE(g.dim[1], g.dim[2], g.dim[3]));
        for (int64_t k = 0; k < n * g.dim[0]; k++)
            tensor_set(out[l], k % n, tensor_get(out[l], k % n) + tensor_get(g, k));
    }
    arena_close(&step);
}

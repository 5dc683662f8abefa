/* All quantities of one layer come from two copies of what it did, one for each model; Q2 needs a third pass, with
 * the layer's own virtual keys taken away. */
#include "analysis/pair.h"

#include <math.h>
#include <string.h>

#include "analysis/maps.h"
#include "analysis/similar.h"
#include "num/linalg.h"
#include "num/stats.h"

/* ---- passes */

static Var *without_virtual(Pass *p, Where at, Var *in, Var *out, void *user)
{
    (void)at, (void)in;
    int64_t skip = *(int64_t *)user, b = out->val.dim[0], n = out->val.dim[1] - skip;
    int32_t *index = NEW(tape_arena(p->tape), int32_t, b * n);
    for (int64_t i = 0; i < b * n; i++) index[i] = (int32_t)(skip + i % n);
    return op_rows(p->tape, out, index, b, n);
}

/* The pass again with the virtual keys of one layer taken away: inputs of that layer are the same. */
static Seen toggled(Arena *run, Model *m, Hooks *hooks, Part part, const Batch *b, int layer, int64_t skip)
{
    int before = hooks_n(hooks);
    Seen *seen = NEW(run, Seen, model_layers(m, part));
    hook_add(hooks, (Where){SITE_KEYS, layer, part}, without_virtual, &skip);
    hook_add(hooks, (Where){SITE_VALUES, layer, part}, without_virtual, &skip);
    measure_pass(seen, run, m, hooks, part, b);
    hooks_clear_from(hooks, before);
    return seen[layer];
}

/* ---- one layer */

/* Largest change of a content logit that both see, over the largest of them. */
static double moved_logits(Map x, Map y)
{
    Tensor a = x.seen->scores, b = y.seen->scores;
    int64_t s = tensor_last(a), n = s - x.extra, t = tensor_last(b);
    double worst = 0, largest = 0;
    for (int64_t k = 0; k < tensor_count(a) / s * n; k++) {
        double u = tensor_get(a, k / n * s + x.extra + k % n), v = tensor_get(b, k / n * t + y.extra + k % n);
        if (!isfinite(u) || !isfinite(v)) continue;
        worst = fmax(worst, fabs(u - v));
        largest = fmax(largest, fabs(v));
    }
    return largest > 0 ? worst / largest : worst;
}

/* The mass on virtual keys: mean for each head, and mean, 1 % and 99 % quantile for the layer. */
static void alphas(LayerPair *l, Arena *a, Map with)
{
    Tensor alpha = measure_alpha(a, with);
    int64_t n = tensor_count(alpha), t = alpha.dim[2], heads = alpha.dim[1], finite = 0;
    double *all = NEW(a, double, n), sum = 0;
    for (int64_t h = 0; h < heads; h++) {
        double part = 0;
        int64_t rows = 0;
        for (int64_t i = 0; i < n; i++) {
            double v = tensor_get(alpha, i);
            if (i / t % heads != h || isnan(v)) continue;
            all[finite++] = v;
            part += v;
            rows++;
        }
        l->head_alpha[h] = part / (double)rows;
        sum += part;
    }
    l->alpha = sum / (double)finite;
    l->alpha_lo = stats_quantile(all, finite, 0.01);
    l->alpha_hi = stats_quantile(all, finite, 0.99);
}

typedef struct {
    Arena *run, *work; /* for results; for the data of one layer */
    Model *m;
    Hooks *hooks;
    Part part;
    const Batch *batch;
    double relative;
} Job;

/* The spectrum, rank, row space and mean of the change that a layer's attention adds to the residual stream. */
static Status added(LayerPair *l, const Job *j, int layer, Map with, Map without)
{
    Where at = {.layer = layer, .part = j->part};
    Arena *run = j->run;
    Tensor d = measure_projected(j->work, j->m, at, measure_added(j->work, with, without), -1);
    int64_t n = d.dim[0], c = d.dim[1];
    Svd s;
    TRY(linalg_svd(&s, j->work, d));
    l->spectrum = tensor_copy(run, s.s);
    l->rank = linalg_rank(s.s, j->relative);
    l->participation = l->rank ? linalg_participation(s.s) : (double)NAN;
    l->space = tensor_new(run, F64, SHAPE(c, l->rank));
    for (int64_t k = 0; k < c * l->rank; k++)
        tensor_set(l->space, k, tensor_get(s.vt, k % l->rank * c + k / l->rank));
    l->mean = tensor_zero(run, F64, SHAPE(c));
    for (int64_t k = 0; k < n * c; k++)
        tensor_set(l->mean, k % c, tensor_get(l->mean, k % c) + tensor_get(d, k) / (double)n);
    return OK;
}

/* Row-centred content logits of one head (T,n); false where one is masked. */
static bool centred_logits(Tensor *out, Arena *a, const Seen *s, int64_t skip, int64_t head)
{
    int64_t t = s->scores.dim[2], all = s->scores.dim[3], n = all - skip;
    *out = tensor_new(a, F64, SHAPE(t, n));
    for (int64_t i = 0; i < t; i++) {
        double mean = 0;
        for (int64_t j = 0; j < n; j++) mean += tensor_get(s->scores, (head * t + i) * all + skip + j) / (double)n;
        if (!isfinite(mean)) return false;
        for (int64_t j = 0; j < n; j++)
            tensor_set(*out, i * n + j, tensor_get(s->scores, (head * t + i) * all + skip + j) - mean);
    }
    return true;
}

/* The largest rank over heads of the change of logits, with the multiple of the base's taken out; -1 if masked. */
static Status logit_rank(int64_t *out, Arena *a, Map with, Map without, double relative)
{
    *out = -1;
    for (int64_t h = 0; h < with.seen->scores.dim[1]; h++) {
        Tensor x, y, s;
        if (!centred_logits(&x, a, without.seen, without.extra, h)) return OK;
        if (!centred_logits(&y, a, with.seen, with.extra, h)) return OK;
        double xy = 0, xx = 0;
        for (int64_t k = 0; k < tensor_count(x); k++) {
            xy += tensor_get(x, k) * tensor_get(y, k);
            xx += tensor_get(x, k) * tensor_get(x, k);
        }
        for (int64_t k = 0; k < tensor_count(x); k++)
            tensor_set(y, k, tensor_get(y, k) - (xx > 0 ? xy / xx : 0) * tensor_get(x, k));
        TRY(linalg_singular(&s, a, y));
        int64_t rank = linalg_rank(s, relative);
        if (rank > *out) *out = rank;
    }
    return OK;
}

static Tensor rows_of(Tensor x)
{
    int64_t c = tensor_last(x);
    return tensor_reshape(x, SHAPE(tensor_count(x) / c, c));
}

/* Compares a layer with the base's; with virtual keys, also with itself after their removal. */
static Status measure_layer(LayerPair *l, const Job *j, Compared *p, const Seen *tuned, const Seen *base, int at)
{
    Map with = {.seen = tuned, .extra = p->virtual_keys}, without = {.seen = base};
    *l = (LayerPair){.head = NEW(j->run, AttentionChange, p->heads), .head_alpha = NEW(j->run, double, p->heads)};
    l->change = measure_change(with, without, -1);
    for (int h = 0; h < p->heads; h++) l->head[h] = measure_change(with, without, h), l->head_alpha[h] = NAN;
    l->conditional = l->residual = l->alpha = l->alpha_lo = l->alpha_hi = NAN;
    l->cka = similar_cka(j->work, rows_of(tuned->resid), rows_of(base->resid));
    TRY(similar_procrustes(&l->procrustes, j->work, rows_of(tuned->resid), rows_of(base->resid)));
    l->logits = -1;
    if (at) TRY(logit_rank(&l->logits, j->work, with, without, j->relative));
    Seen off;
    if (p->virtual_keys) {
        off = toggled(j->work, j->m, j->hooks, j->part, j->batch, at, p->virtual_keys);
        without.seen = &off;
        l->conditional = measure_change(with, without, -1).gap;
        l->residual = measure_residual(j->work, with, without);
        p->own = fmax(p->own, moved_logits(with, without));
        l->most = p->heads * p->virtual_keys;
        alphas(l, j->work, with);
    }
    return added(l, j, at, with, without);
}

/* Runs the tuned model once, checks that its rows match the base's, and compares every layer. */
static Status measure_layers(Compared *out, const Job *j, const Seen *base)
{
    int layers = model_layers(j->m, j->part);
    Seen *with = NEW(j->work, Seen, layers);
    measure_pass(with, j->work, j->m, j->hooks, j->part, j->batch);
    Tensor p = with[0].probs, q = base[0].probs;
    if (p.dim[2] != q.dim[2] || !tensor_same_shape(with[0].resid, base[0].resid))
        return err_fail(E_MISMATCH,
                        "the tuned model has %lld rows and the base %lld: virtual tokens among the text's own "
                        "cannot be compared row by row",
                        (long long)p.dim[2], (long long)q.dim[2]);
    *out = (Compared){.layers = layers,
                      .heads = (int)p.dim[1],
                      .virtual_keys = p.dim[3] - q.dim[3],
                      .rows = p.dim[0] * p.dim[2],
                      .layer = NEW(j->run, LayerPair, layers)};
    for (int l = 0; l < layers; l++) {
        TRY(tensor_finite(base[l].probs, "the base's attention"));
        TRY(tensor_finite(with[l].probs, "the tuned model's attention"));
    }
    out->moved = moved_logits((Map){.seen = &with[0], .extra = out->virtual_keys}, (Map){.seen = &base[0]});
    out->own = out->virtual_keys ? 0 : (double)NAN;
    ArenaMark mark = arena_mark(j->work);
    for (int l = 0; l < layers; l++) {
        TRY(measure_layer(&out->layer[l], j, out, &with[l], &base[l], l));
        arena_drop(j->work, mark);
    }
    return OK;
}

Status pair_measure(Compared *out, Arena *run, const Seen *base, Model *tuned, Hooks *hooks, Part part,
                    const Batch *b, double relative)
{
    Arena work = arena_open(0);
    const Job j = {run, &work, tuned, hooks, part, b, relative};
    Status s = measure_layers(out, &j, base);
    arena_close(&work);
    return s;
}

/* ---- weights */

static double norm_of(Tensor m)
{
    double sum = 0;
    for (int64_t k = 0; k < tensor_count(m); k++) sum += tensor_get(m, k) * tensor_get(m, k);
    return sqrt(sum);
}

/* The relative size, spectrum and ranks of a weight change, and its angle to the layer's leading directions. */
static Status weight_change(WeightChange *c, Arena *run, Tensor before, Tensor change)
{
    enum { LEADING = 8 };
    Svd d, w;
    Tensor angles;
    TRY(linalg_svd(&d, run, change));
    c->relative = c->norm / norm_of(before);
    c->s = d.s;
    c->rank = linalg_rank(d.s, 1e-5);
    c->participation = linalg_participation(d.s);
    c->effective = linalg_effective_rank(d.s);
    TRY(linalg_svd(&w, run, before));
    int64_t n = c->rank < LEADING ? c->rank : LEADING;
    TRY(similar_angles(&angles, run, similar_columns(run, d.u, n), similar_columns(run, w.u, n)));
    for (int64_t k = 0; k < n; k++) c->angle += tensor_get(angles, k) / (double)n;
    return OK;
}

/* Compares the linear layers of equal shape; a fused matrix is left out, since its thirds are listed. */
Status pair_weights(WeightChange *out, int *n, int most, Arena *run, const Model *base, const Model *tuned, Part part)
{
    *n = 0;
    for (int i = 0; i < base->n_linears && *n < most; i++) {
        const Linear *b = &base->linears[i], *t = model_linear(tuned, b->at);
        bool fused = b->at.site == SITE_QKV; /* its thirds are listed as well */
        if (b->at.part != part || fused || !t || b->in != t->in || b->out != t->out) continue;
        Arena scratch = arena_open(0);
        Tensor before = linear_matrix(&scratch, b), change = linear_matrix(&scratch, t);
        for (int64_t k = 0; k < tensor_count(change); k++)
            tensor_set(change, k, tensor_get(change, k) - tensor_get(before, k));
        WeightChange c = {.name = b->name, .site = b->at.site, .layer = b->at.layer, .norm = norm_of(change)};
        Status s = tensor_finite(change, b->name);
        if (!s && c.norm > 0) s = weight_change(&c, &scratch, before, change);
        if (!s && c.norm > 0) {
            c.s = tensor_copy(run, c.s);
            out[(*n)++] = c;
        }
        arena_close(&scratch);
        TRY(s);
    }
    return OK;
}

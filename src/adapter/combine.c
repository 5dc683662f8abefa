/* Combination of LoRAs: see the header.  Layers are matched by their names. */
#include "adapter/combine.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "adapter/library.h"
#include "base/str.h"
#include "peft/lora.h"
#include "peft/place.h"

const char *const COMBINE_TYPE[4] = {"linear", "cat", "ties", NULL};
static const char *const LORA = "lora";

/* The pair of a linear layer in one adapter, which the layer's weight counts for so much. */
typedef struct {
    const Param *a, *b;
    double weight;
} Pair;

static bool pair_of(Pair *out, const Adapter *x, const char *name, double weight)
{
    const Linear *l = lora_find(x->model, name);
    if (!l) return false;
    out->a = param_find(x->model->params, lora_name(x->model, LORA, l, "A"));
    out->b = param_find(x->model->params, lora_name(x->model, LORA, l, "B"));
    out->weight = weight * lora_scale(&x->cfg, l);
    return out->a && out->b;
}

/* ---- errors */

static Status check_one(const Adapter *x)
{
    const PeftConfig *c = &x->cfg;
    if (strcmp(x->method->name, LORA) != 0)
        return err_fail(E_MISMATCH,
                        "%s: is %s, and only LoRAs are combined; vernier adapter approximate makes a LoRA", x->dir,
                        x->method->name);
    const char *also = c->bias                  ? "biases"
                       : c->lora_bias           ? "biases of its own (lora_bias)"
                       : c->tokens              ? "rows of the token table"
                       : c->blocks              ? "whole layers"
                       : c->init >= START_PISSA ? "a start that changes the base (pissa, olora)"
                                                : NULL;
    return also ? err_fail(E_MISMATCH, "%s: has %s, which cannot be combined", x->dir, also) : OK;
}

static bool carries(const Adapter *x)
{
    for (int i = 0; i < x->n_bindings; i++)
        if (!str_glob("peft.*", x->binding[i].param->name)) return true;
    return false;
}

/* Checks each adapter, and finds the one that brings a head. */
static Status check(const Adapter **head, int n, Adapter *const *in)
{
    *head = NULL;
    for (int i = 0; i < n; i++) {
        TRY(check_one(in[i]));
        if (!carries(in[i])) continue;
        if (*head)
            return err_fail(E_MISMATCH,
                            "%s and %s both bring a head or another module of the base, which cannot be "
                            "combined",
                            (*head)->dir, in[i]->dir);
        *head = in[i];
    }
    return OK;
}

/* ---- the method on the new model */

/* The rank of a layer: that of all adapters, or the sum of theirs. */
static Status rank_of(int *rank, int n, Adapter *const *in, const Combination *how, const char *name)
{
    *rank = 0;
    for (int i = 0; i < n; i++) {
        Pair p;
        if (!pair_of(&p, in[i], name, 1)) continue;
        int own = (int)p.a->val.dim[0];
        if (how->type != COMBINE_CAT && *rank && own != *rank)
            return err_fail(E_MISMATCH,
                            "%s: has rank %d at %s, expected %d as the others; --combination-type cat takes "
                            "different ranks",
                            in[i]->dir, own, name, *rank);
        *rank = how->type == COMBINE_CAT ? *rank + own : own;
    }
    return OK;
}

/* Adapts the layers that some adapter does, with one rank for all where that suffices; scales are 1. */
static Status attach_union(Adapter *out, int n, Adapter *const *in, const Combination *how)
{
    Model *m = out->model;
    PeftConfig *c = &out->cfg;
    const char **inner = NEW(m->run, const char *, m->n_linears + 1),
               **outer = NEW(m->run, const char *, m->n_outer + 1);
    int n_inner = 0, n_outer = 0;
    for (const Linear *l = NULL; (l = lora_each(m, l));) {
        int rank;
        TRY(rank_of(&rank, n, in, how, l->name));
        if (!rank) continue;
        if (rank > c->rank) c->rank = rank;
        if (lora_is_outer(l))
            outer[n_outer++] = l->name;
        else
            inner[n_inner++] = l->name;
    }
    place_all(c, true);
    c->alpha = c->rank;
    c->target = adapter_name_list(m->run, inner, n_inner);
    if (n_outer) c->tables = adapter_name_list(m->run, outer, n_outer);
    return peft_attach(out->method, m, hooks_new(m->run), c);
}

/* ---- values */

/* Of tensor `which` (0: A, 1: B) of each pair; the sign goes with A. */
static double factor(const Pair *p, int which)
{
    double root = sqrt(fabs(p->weight));
    return which || p->weight >= 0 ? root : -root;
}

static Tensor value(const Pair *p, int which)
{
    return which ? p->b->val : p->a->val;
}

static void put_sum(Tensor out, int n, const Pair *p, int which)
{
    for (int64_t j = 0; j < tensor_count(out); j++) {
        double sum = 0;
        for (int i = 0; i < n; i++) sum += factor(&p[i], which) * tensor_get(value(&p[i], which), j);
        tensor_set(out, j, sum);
    }
}

static int descending(const void *x, const void *y)
{
    double a = *(const double *)x, b = *(const double *)y;
    return (a < b) - (a > b);
}

/* The entries of t of which `density` are at least as large, as a copy with zeros for the others. */
static double *pruned(Arena *a, Tensor t, double density)
{
    int64_t n = tensor_count(t), kept = density >= 1 ? n : (int64_t)(density * (double)n), left;
    double *x = NEW(a, double, n), *size = NEW(a, double, n);
    for (int64_t j = 0; j < n; j++) x[j] = tensor_get(t, j), size[j] = fabs(x[j]);
    if (kept >= n) return x;
    qsort(size, (size_t)n, sizeof *size, descending);
    double least = kept ? size[kept - 1] : HUGE_VAL;
    left = kept;
    for (int64_t j = 0; j < n; j++) left -= fabs(x[j]) > least;
    for (int64_t j = 0; j < n; j++) /* of equal ones the first */
        if (fabs(x[j]) < least || (fabs(x[j]) <= least && left-- <= 0)) x[j] = 0;
    return x;
}

/* The mean of the entries that count and have the elected sign. */
static void put_ties(Tensor out, Arena *scratch, int n, const Pair *p, int which, const Combination *how)
{
    double **x = NEW(scratch, double *, n);
    for (int i = 0; i < n; i++) x[i] = pruned(scratch, value(&p[i], which), how->density);
    for (int64_t j = 0; j < tensor_count(out); j++) {
        double vote = 0, sum = 0;
        int agree = 0;
        for (int i = 0; i < n; i++) vote += how->frequency ? (x[i][j] > 0) - (x[i][j] < 0) : x[i][j];
        for (int i = 0; i < n; i++)
            if (vote >= 0 ? x[i][j] > 0 : x[i][j] < 0) sum += factor(&p[i], which) * x[i][j], agree++;
        tensor_set(out, j, agree ? sum / agree : 0);
    }
}

/* A below A, B beside B; zeros where the layer has less than the largest rank. */
static void put_side_by_side(Tensor a, Tensor b, int n, const Pair *p)
{
    int64_t in = a.dim[1], r = a.dim[0], first = 0;
    tensor_fill(a, 0), tensor_fill(b, 0);
    for (int i = 0; i < n; i++) {
        int64_t own = p[i].a->val.dim[0];
        for (int64_t j = 0; j < own * in; j++)
            tensor_set(a, first * in + j, p[i].weight * tensor_get(p[i].a->val, j));
        for (int64_t j = 0; j < b.dim[0] * own; j++)
            tensor_set(b, j / own * r + first + j % own, tensor_get(p[i].b->val, j));
        first += own;
    }
}

static Status fill(Adapter *out, const Linear *l, int n, Adapter *const *in, const Combination *how)
{
    Pair to, *p = NEW(out->run, Pair, n);
    int m = 0;
    for (int i = 0; i < n; i++) m += pair_of(&p[m], in[i], l->name, how->weight[i]);
    if (!m) return OK;
    if (!pair_of(&to, out, l->name, 1))
        return err_fail(E_MISMATCH, "%s is adapted by one and a part of it by another, expected the same by all",
                        l->name);
    Tensor a = to.a->val, b = to.b->val;
    if (how->type == COMBINE_CAT) {
        put_side_by_side(a, b, m, p);
        return OK;
    }
    if (to.a->val.dim[0] != p[0].a->val.dim[0])
        return err_fail(E_MISMATCH,
                        "%s has rank %lld and other layers more, expected one rank; --combination-type cat "
                        "takes different ranks",
                        l->name, (long long)p[0].a->val.dim[0]);
    Arena scratch = arena_open(0);
    for (int which = 0; which < 2; which++) {
        if (how->type == COMBINE_LINEAR)
            put_sum(which ? b : a, m, p, which);
        else
            put_ties(which ? b : a, &scratch, m, p, which, how);
    }
    arena_close(&scratch);
    return OK;
}

/* The head and other modules of the base that one of them brings. */
static void bring(Adapter *out, const Adapter *head)
{
    for (int i = 0; head && i < head->n_bindings; i++) {
        const Param *p = head->binding[i].param;
        Param *q = param_find(out->model->params, p->name);
        if (str_glob("peft.*", p->name) || !q) continue;
        param_train(q, true);
        tensor_put(q->val, p->val);
    }
}

Status adapter_combine(Adapter **out, Model *to, int n, Adapter *const *in, const Combination *how)
{
    const Adapter *head;
    TRY(check(&head, n, in));
    const Peft *lora = peft_find(LORA);
    PeftConfig cfg = {0};
    lora->defaults(&cfg, &to->config);
    cfg.rank = 0;
    *out = adapter_of(to, lora, &cfg, "combined");
    (*out)->base = in[0]->base;
    TRY(attach_union(*out, n, in, how));
    for (const Linear *l = NULL; (l = lora_each(to, l));) TRY(fill(*out, l, n, in, how));
    bring(*out, head);
    return OK;
}

/* LoRA outside the layers, and its starts.
 *
 * A table of vectors or a head has no join point: the pass reads W + s B A in its place.  PEFT wraps the module, not
 * the weight, so a head that shares the table does not follow: the two come apart first.
 *
 *   plain      A uniform, B zero          gaussian   A ~ N(0, 1/r^2), B zero
 *   pissa      B = U sqrt(S/s), A = sqrt(S/s) V' of the r largest singular values, W <- W - s B A
 *   olora      B = Q, A = R of the first r columns of W = Q R, W <- W - s B A
 *
 * PEFT reads a file of the latter two by taking the same product out of its base again, which attaching does. */
#include <math.h>
#include <string.h>

#include "base/str.h"
#include "nn/build.h"
#include "nn/config.h"
#include "peft/lora.h"
#include "peft/place.h"

/* ---- outside the layers */

typedef struct {
    Param *a, *b, *m; /* m NULL: no magnitude */
    Layout layout;
    double scale;
    bool held;
} Outer;

static Var *adapted(Tape *t, Var *base, void *user)
{
    const Outer *o = user;
    Var *a = tape_param(t, o->a), *b = tape_param(t, o->b), *m = tape_param(t, o->m);
    int mark = tape_enter(t);
    Var *gain = m ? op_norm_ratio(t, m, base, (WeightRows){.layout = o->layout}, a, b, o->scale, o->held) : NULL;
    return tape_leave(t, mark, op_lowrank(t, base, o->layout, a, b, o->scale, gain));
}

void lora_derive(Model *m, Hooks *hooks, const Linear *l, Param *a, Param *b, Param *magnitude, double s, bool held)
{
    Outer *o = NEW(m->run, Outer, 1);
    *o = (Outer){a, b, magnitude, l->layout, s, held};
    hooks_derive(hooks, l->w, adapted, o);
}

static bool names(const PeftConfig *cfg, Model *m, const char *param)
{
    return str_glob(cfg->tables, str_copy(m->run, param, strlen(param) - strlen(".weight")));
}

Status lora_untie(Model *m, const PeftConfig *cfg, const char *method)
{
    const Config *c = &m->config;
    const Alias *tied = build_tied_head(m->arch);
    if (!cfg->tables || !tied || !c->tie_head || c->no_lm_head || c->classes) return OK;
    if (!names(cfg, m, tied->name) && !names(cfg, m, tied->file)) return OK;
    if (c->plain_head || (m->arch->encode && names(cfg, m, tied->name)))
        return err_fail(E_CONFIG, "%s: %s is one table with the head in this %s model, and cannot be adapted alone",
                        method, tied->name, c->arch);
    model_untie(m);
    return OK;
}

Param *lora_twin(const Model *m, const Linear *l)
{
    const Alias *tied = build_tied_head(m->arch);
    if (!tied) return NULL;
    Param *table = param_find(m->params, tied->name), *head = param_find(m->params, tied->file);
    return l->w == table ? head : l->w == head ? table : NULL;
}

/* ---- starts */

Status lora_start_check(const Linear *l, const PeftConfig *cfg, const char *method)
{
    if (cfg->init < START_PISSA) return OK;
    if (cfg->init == START_OLORA && l->layout == IN_OUT)
        return err_fail(E_CONFIG, "%s: init olora is not defined for %s, whose weight is stored input by output",
                        method, l->name);
    int64_t most = l->in < l->out ? l->in : l->out;
    if (lora_rank(cfg, l) <= most) return OK;
    return err_fail(E_CONFIG, "%s: rank %d of %s, expected at most %lld for this start", method, lora_rank(cfg, l),
                    l->name, (long long)most);
}

Status lora_factor(Svd *svd, Arena *scratch, Tensor w, double s, Param *a, Param *b)
{
    TRY(linalg_svd(svd, scratch, w));
    int64_t rank = a->val.dim[0], k = tensor_count(svd->s), in = w.dim[1];
    tensor_fill(a->val, 0), tensor_fill(b->val, 0);
    for (int64_t r = 0; r < rank && r < k; r++) {
        double root = sqrt(tensor_get(svd->s, r) / s);
        for (int64_t i = 0; i < in; i++) tensor_set(a->val, r * in + i, root * tensor_get(svd->vt, r * in + i));
        for (int64_t o = 0; o < w.dim[0]; o++) tensor_set(b->val, o * rank + r, root * tensor_get(svd->u, o * k + r));
    }
    return OK;
}

static Status start_pissa(Arena *scratch, const Linear *l, double s, Param *a, Param *b)
{
    Svd svd;
    if (!(s > 0)) return err_fail(E_CONFIG, "%s: init pissa needs a scale above 0, not %g", l->name, s);
    return lora_factor(&svd, scratch, linear_matrix(scratch, l), s, a, b);
}

static double dot(const double *x, const double *y, int64_t n, int64_t stride)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += x[i * stride] * y[i];
    return sum;
}

/* Gram-Schmidt, twice for each column: Q of the first columns, and R = Q' W. */
static void start_olora(Arena *scratch, const Linear *l, Param *a, Param *b)
{
    Tensor w = linear_matrix(scratch, l);
    int64_t rank = a->val.dim[0], n = l->out;
    double *q = NEW(scratch, double, rank *n);
    const double *x = w.data;
    for (int64_t r = 0; r < rank; r++) {
        double *v = q + r * n;
        for (int64_t o = 0; o < n; o++) v[o] = x[o * l->in + r];
        for (int64_t j = 0; j < 2 * r; j++) {
            const double *u = q + j % r * n;
            double along = dot(v, u, n, 1);
            for (int64_t o = 0; o < n; o++) v[o] -= along * u[o];
        }
        double norm = sqrt(dot(v, v, n, 1));
        for (int64_t o = 0; o < n && norm > 0; o++) v[o] /= norm;
        for (int64_t o = 0; o < n; o++) tensor_set(b->val, o * rank + r, v[o]);
        for (int64_t i = 0; i < l->in; i++) tensor_set(a->val, r * l->in + i, dot(x + i, v, n, l->in));
    }
}

Init lora_start_down(const Linear *l, const PeftConfig *cfg)
{
    return cfg->init == START_GAUSSIAN ? (Init){INIT_NORMAL, 1.0 / lora_rank(cfg, l)} : place_fan_in(l->in);
}

Status lora_start(const Linear *l, const PeftConfig *cfg, Param *a, Param *b)
{
    double s = lora_scale(cfg, l);
    Status status = OK;
    if (cfg->init < START_PISSA) return OK;
    Arena scratch = arena_open(0);
    if (cfg->init == START_PISSA)
        status = start_pissa(&scratch, l, s, a, b);
    else
        start_olora(&scratch, l, a, b);
    arena_close(&scratch);
    if (!status) lora_fold(l, a->val, b->val, -s);
    return status;
}

/* A linear layer on a concatenation is the sum of two layers on its halves, so nothing is concatenated. */
#include "tasks/jit_model.h"

#include <math.h>
#include <string.h>

#include "io/safetensors.h"
#include "nn/finite.h"

const char *const JIT_HEAD[JIT_HEADS + 1] = {"single", "concat", NULL};
static const Where HEAD = {SITE_LOGITS, LAYER_EMBED, PART_ANY}; /* names the dropout streams */

/* CodeReviewer's classifier of a change, where the model has it, is where this one starts: of two classes, the logit
 * is the difference. */
static void start_as_trained(JitModel *j)
{
    const ParamSet *all = j->model->params;
    const Param *w = param_find(all, "cls_head.weight"), *b = param_find(all, "cls_head.bias");
    if (!w || !b || !j->u || w->val.dim[0] != 2) return;
    int64_t dim = w->val.dim[1];
    for (int64_t i = 0; i < dim; i++) tensor_set(j->u->val, i, tensor_get(w->val, dim + i) - tensor_get(w->val, i));
    tensor_set(j->b->val, 0, tensor_get(b->val, 1) - tensor_get(b->val, 0));
}

void jit_model_open(JitModel *j, Model *m, JitHead head)
{
    const Config *c = &m->config;
    int64_t dim = c->dim;
    double bound = 1 / sqrt((double)N_FEATURES);
    *j = (JitModel){.model = m, .head = head, .dropout = c->head_dropout < 0 ? c->dropout : c->head_dropout};
    j->u = param_add(m->params, "peft.jit.hidden.weight", (Init){INIT_NORMAL, c->init_sd}, 2, (int64_t[]){1, dim});
    j->b = param_add(m->params, "peft.jit.bias", (Init){INIT_ZERO}, 1, (int64_t[]){1});
    start_as_trained(j);
    if (head != JIT_CONCAT) return;
    j->v = param_add(m->params, "peft.jit.features.dense.weight", (Init){INIT_UNIFORM, bound}, 2,
                     (int64_t[]){dim, N_FEATURES});
    j->c = param_add(m->params, "peft.jit.features.dense.bias", (Init){INIT_UNIFORM, bound}, 1, (int64_t[]){dim});
    j->u_features =
        param_add(m->params, "peft.jit.features.weight", (Init){INIT_NORMAL, c->init_sd}, 2, (int64_t[]){1, dim});
}

void jit_model_show(JitModel *j, Arena *a, const JitSet *s, const Examples *tokens, const JitScale *scale)
{
    CHECK(scale || j->head == JIT_SINGLE, "features need a scale");
    j->tokens = *tokens;
    j->label = NEW(a, float, s->n);
    j->feature = NEW(a, double, s->n *N_FEATURES);
    for (int64_t i = 0; i < s->n; i++) {
        j->label[i] = (float)s->change[i].label; /* unknown is negative, and not scored */
        if (scale) jit_features(j->feature + i * N_FEATURES, &s->change[i], scale);
    }
}

/* (B,1,C): the state that stands for the commit.  Virtual tokens in front of a row are passed over. */
static Var *pooled(Model *m, Pass *p, const Batch *x)
{
    if (!m->arch->encode) return model_pooled(m, p, x, m->encoder ? POOL_FIRST : POOL_LAST);
    Batch y = *x;
    y.src = x->ids, y.s = x->t, y.src_len = x->len;
    Var *h = model_encode(m, p, &y);
    int32_t *first = NEW(tape_arena(p->tape), int32_t, x->b);
    for (int64_t i = 0; i < x->b; i++) first[i] = (int32_t)(h->val.dim[1] - x->t);
    return op_rows(p->tape, h, first, x->b, 1);
}

static Var *dropped(const JitModel *j, Pass *p, Var *x, const char *purpose)
{
    return p->train ? op_dropout(p->tape, x, j->dropout, pass_stream(p, HEAD, purpose)) : x;
}

static Var *features_of(const JitModel *j, Pass *p, const Batch *x)
{
    Tape *t = p->tape;
    Tensor f = tensor_zero(tape_arena(t), params_dtype(j->model->params), SHAPE(x->b, 1, N_FEATURES));
    for (int64_t i = 0; i < x->b; i++)
        for (int k = 0; k < N_FEATURES; k++)
            tensor_set(f, i * N_FEATURES + k, j->feature[x->row[i] * N_FEATURES + k]);
    return op_act(t, ACT_TANH,
                  op_linear(t, tape_leaf(t, f), tape_param(t, j->v), OUT_IN, tape_param(t, j->c), ACT_NONE));
}

Var *jit_logits(JitModel *j, Pass *p, const Batch *x)
{
    Tape *t = p->tape;
    int mark = tape_enter(t);
    Batch clean = *x;
    clean.label = NULL;
    Var *h = dropped(j, p, pooled(j->model, p, &clean), "jit hidden");
    Var *y = op_linear(t, h, tape_param(t, j->u), OUT_IN, tape_param(t, j->b), ACT_NONE);
    if (j->head == JIT_CONCAT) {
        Var *z = dropped(j, p, features_of(j, p, x), "jit features");
        y = op_add(t, y, 1, op_linear(t, z, tape_param(t, j->u_features), OUT_IN, NULL, ACT_NONE));
    }
    return tape_leave(t, mark, y);
}

Var *jit_loss(Model *m, Pass *p, const Batch *x, void *user)
{
    JitModel *j = user;
    CHECK(m == j->model, "a head is used on another model");
    int mark = tape_enter(p->tape);
    float *label = NEW(tape_arena(p->tape), float, x->b);
    for (int64_t i = 0; i < x->b; i++) label[i] = j->label[x->row[i]];
    return tape_leave(p->tape, mark, op_bce(p->tape, jit_logits(j, p, x), label));
}

Status jit_predict(double *out, JitModel *j, const Hooks *hooks, Arena *step, bool (*each)(int64_t done, void *),
                   void *user)
{
    Batcher *feed;
    Arena plan = arena_open(0);
    Status s = batcher_open(&feed, &plan, &j->tokens, &(BatchPlan){.tokens = 8192, .pad = j->model->config.pad});
    for (int64_t done = 0; !s && done < j->tokens.n;) {
        ArenaMark mark = arena_mark(step);
        Batch x;
        batcher_next(feed, step, &x, NULL);
        Pass pass = {.tape = tape_open(step, false), .hooks = hooks};
        Tensor y = jit_logits(j, &pass, &x)->val;
        s = model_blame(tensor_finite(y, "the logits of commits"), j->model);
        for (int64_t i = 0; i < x.b; i++) out[x.row[i]] = 1 / (1 + exp(-tensor_get(y, i)));
        done += x.b;
        arena_drop(step, mark);
        if (!s && each && !each(done, user)) s = err_fail(E_INTERRUPT, "interrupted before the end");
    }
    arena_close(&plan);
    return s;
}

/* Observes the attention of the last layer in one forward pass over the commit. */
void jit_line_attention(double *out, JitModel *j, Hooks *hooks, Arena *step, int32_t i, const JitLines *lines)
{
    Model *m = j->model;
    Arena keep = arena_open(0);
    Capture seen = {.arena = &keep};
    Part part = m->encoder ? PART_ENCODER : PART_DECODER;
    int before = hooks_n(hooks);
    hook_observe(hooks, (Where){SITE_PROBS, model_layers(m, part) - 1, part}, hook_capture, &seen);
    ArenaMark mark = arena_mark(step);
    Pass pass = {.tape = tape_open(step, false), .hooks = hooks};
    Batch x = batch_of(step, &j->tokens, &(BatchPlan){.pad = m->config.pad}, &i, 1);
    jit_logits(j, &pass, &x);
    hooks_clear_from(hooks, before);
    Tensor p = seen.value; /* (1,H,T,S): the pooled token is the only query, or first among the text's */
    int64_t heads = p.dim[1], queries = p.dim[2], keys = p.dim[3], virtual_keys = keys - x.t;
    int64_t query = m->arch->encode ? queries - x.t : 0;
    for (int64_t l = 0; l < lines->n; l++) {
        out[l] = 0;
        for (int64_t h = 0; h < heads; h++)
            for (int64_t k = lines->begin[l]; k < lines->end[l]; k++)
                out[l] += tensor_get(p, (h * queries + query) * keys + virtual_keys + k) / (double)heads;
    }
    arena_drop(step, mark);
    arena_close(&keep);
}

/* ---- on disk */

enum { HEAD_TENSORS = 5 };
static int head_tensors(const JitModel *j, Param **out)
{
    out[0] = j->u, out[1] = j->b, out[2] = j->v, out[3] = j->c, out[4] = j->u_features;
    return j->head == JIT_CONCAT ? HEAD_TENSORS : 2;
}

Status jit_head_save(const JitModel *j, const char *path)
{
    Param *p[HEAD_TENSORS];
    Named named[HEAD_TENSORS];
    int n = head_tensors(j, p);
    for (int i = 0; i < n; i++) named[i] = (Named){p[i]->name + strlen("peft."), p[i]->val};
    return safetensors_write(path, named, n, NULL, 0);
}

static Status read_head(JitModel *j, const Weights *w)
{
    Param *p[HEAD_TENSORS];
    int n = head_tensors(j, p);
    for (int i = 0; i < n; i++) {
        const char *name = p[i]->name + strlen("peft.");
        const Stored *s = weights_find(w, name);
        if (!s) return err_fail(E_FORMAT, "%s: has no tensor '%s'", weights_path(w), name);
        TRY(stored_read(p[i]->val, s));
    }
    return OK;
}

Status jit_head_load(JitModel *j, const char *path)
{
    Arena a = arena_open(0);
    Weights *w;
    Status s = weights_open(&w, &a, path);
    if (!s) {
        s = read_head(j, w);
        weights_close(w);
    }
    arena_close(&a);
    return s;
}

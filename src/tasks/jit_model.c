/* A linear layer on a concatenation is the sum of two layers on its halves, so nothing is concatenated. */
#include "tasks/jit_model.h"

#include <math.h>
#include <string.h>

#include "base/ranks.h"
#include "base/rng.h"
#include "io/safetensors.h"
#include "nn/finite.h"

const char *const JIT_HEAD[JIT_HEADS + 1] = {"single", "concat", "expert", NULL};
static const Where HEAD = {SITE_LOGITS, LAYER_EMBED, PART_ANY}; /* names the dropout streams */

static const double FOCAL_ALPHA = 0.25, FOCAL_GAMMA = 2;

bool jit_reads_features(JitHead head)
{
    return head != JIT_SINGLE;
}

static void open_features(JitModel *j, ParamSet *set, int64_t dim)
{
    Init init = {INIT_UNIFORM, 1 / sqrt((double)N_FEATURES)};
    j->v = param_add(set, "peft.jit.features.dense.weight", init, SHAPE(dim, N_FEATURES));
    j->c = param_add(set, "peft.jit.features.dense.bias", init, SHAPE(dim));
}

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
    Init weight = {INIT_NORMAL, c->init_sd};
    *j = (JitModel){.model = m, .head = head, .dropout = c->head_dropout < 0 ? c->dropout : c->head_dropout};
    if (head != JIT_EXPERT) j->u = param_add(m->params, "peft.jit.hidden.weight", weight, SHAPE(1, c->dim));
    j->b = param_add(m->params, "peft.jit.bias", (Init){INIT_ZERO}, SHAPE(1));
    if (head == JIT_CONCAT) open_features(j, m->params, c->dim);
    if (jit_reads_features(head))
        j->u_features = param_add(m->params, "peft.jit.features.weight", weight,
                                  SHAPE(1, head == JIT_EXPERT ? N_FEATURES : c->dim));
    start_as_trained(j);
}

void jit_model_set(JitModel *j, const Recipe *r, bool as_published)
{
    if (r && r->dropout > 0 && j->head == JIT_SINGLE) j->dropout = r->dropout;
    if (!as_published || !r || !r->published) return;
    j->published = true, j->always_drops = j->head == JIT_SINGLE;
    uint64_t stream = rng_stream(params_seed(j->model->params), "published head");
    for (int64_t i = 0; j->u && i < tensor_count(j->u->val); i++) /* whatever classifier the model brings along */
        tensor_set(j->u->val, i, j->model->config.init_sd * rng_normal(stream, (uint64_t)i));
    tensor_set(j->b->val, 0, 0);
}

void jit_model_show(JitModel *j, Arena *a, const JitSet *s, const Examples *tokens, const JitScale *scale)
{
    CHECK(scale || !jit_reads_features(j->head), "features need a scale");
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

/* (B,1,14), or (B,1,C) beside a transformer. */
static Var *features_of(const JitModel *j, Pass *p, const Batch *x)
{
    Tape *t = p->tape;
    Tensor f = tensor_zero(tape_arena(t), params_dtype(j->model->params), SHAPE(x->b, 1, N_FEATURES));
    for (int64_t i = 0; i < x->b; i++)
        for (int k = 0; k < N_FEATURES; k++)
            tensor_set(f, i * N_FEATURES + k, j->feature[x->row[i] * N_FEATURES + k]);
    if (!j->v) return tape_leaf(t, f);
    return op_act(t, ACT_TANH,
                  op_linear(t, tape_leaf(t, f), tape_param(t, j->v), OUT_IN, tape_param(t, j->c), ACT_NONE));
}

/* u' drop(x) + b */
static Var *layer(const JitModel *j, Pass *p, Var *x, const char *purpose, Param *u, Param *b)
{
    Var *dropped =
        p->train || j->always_drops ? op_dropout(p->tape, x, j->dropout, pass_stream(p, HEAD, purpose)) : x;
    return op_linear(p->tape, dropped, tape_param(p->tape, u), OUT_IN, tape_param(p->tape, b), ACT_NONE);
}

Var *jit_logits(JitModel *j, Pass *p, const Batch *x)
{
    Tape *t = p->tape;
    int mark = tape_enter(t);
    Batch clean = *x;
    clean.label = NULL;
    Var *y = j->u ? layer(j, p, pooled(j->model, p, &clean), "jit hidden", j->u, j->b) : NULL;
    if (j->u_features) {
        Var *z = layer(j, p, features_of(j, p, x), "jit features", j->u_features, y ? NULL : j->b);
        y = y ? op_add(t, y, 1, z) : z;
    }
    return tape_leave(t, mark, y);
}

void jit_weigh(double weight[LOSS_TERMS], const Batch *x, void *user)
{
    const JitModel *j = user;
    const double alpha = j->weight / (1 + j->weight);
    for (int64_t i = 0; i < x->b; i++)
        if (j->label[x->row[i]] >= 0) weight[0] += j->label[x->row[i]] > 0 ? alpha : 1 - alpha;
}

/* The loss of the labelled commits: their mean, or with a weight the weighted mean, of which a part of a batch has its
 * share. */
static Var *mean_loss(JitModel *j, const Pass *p, Var *y, const float *label, const Batch *x)
{
    Tape *t = p->tape;
    if (!(j->weight > 0)) return j->focal ? op_focal(t, y, label, FOCAL_ALPHA, FOCAL_GAMMA) : op_bce(t, y, label);
    double weights[LOSS_TERMS] = {0}, labelled = 0;
    jit_weigh(weights, x, j);
    for (int64_t i = 0; i < x->b; i++) labelled += label[i] >= 0;
    Var *mean = op_focal(t, y, label, j->weight / (1 + j->weight), j->focal ? FOCAL_GAMMA : 0);
    return op_scale(t, mean, (labelled > 0 ? labelled / weights[0] : 1) * (p->share ? p->share[0] : 1));
}

Var *jit_loss(Model *m, Pass *p, const Batch *x, void *user)
{
    JitModel *j = user;
    CHECK(m == j->model, "a head is used on another model");
    int mark = tape_enter(p->tape);
    float *label = NEW(tape_arena(p->tape), float, x->b);
    for (int64_t i = 0; i < x->b; i++) label[i] = j->label[x->row[i]];
    Var *y = jit_logits(j, p, x);
    return tape_leave(p->tape, mark, mean_loss(j, p, y, label, x));
}

/* `done`: the commits before this batch, which name its dropout where the model always has some. */
static Status predict_batch(double *out, JitModel *j, const Hooks *hooks, Arena *step, const Batch *x, int64_t done)
{
    Pass pass = {.tape = tape_open(step, false), .hooks = hooks};
    if (j->always_drops) pass.seed = rng_mix(rng_stream(params_seed(j->model->params), "scores"), (uint64_t)done);
    Tensor y = jit_logits(j, &pass, x)->val;
    for (int64_t i = 0; i < x->b; i++) out[x->row[i]] = 1 / (1 + exp(-tensor_get(y, i)));
    return model_blame(tensor_finite(y, "the logits of commits"), j->model);
}

Status jit_predict(double *out, JitModel *j, const Hooks *hooks, Arena *step, bool (*each)(int64_t done, void *),
                   void *user)
{
    Batcher *feed;
    Arena plan = arena_open(0);
    Status s = batcher_open(&feed, &plan, &j->tokens, &(BatchPlan){.tokens = 8192, .pad = j->model->config.pad});
    memset(out, 0, sizeof *out * (size_t)j->tokens.n);
    for (int64_t done = 0, i = 0; !s && done < j->tokens.n; i++) {
        ArenaMark mark = arena_mark(step);
        Batch x;
        batcher_next(feed, step, &x, NULL);
        if (ranks_own(i)) s = predict_batch(out, j, hooks, step, &x, done);
        done += x.b;
        arena_drop(step, mark);
        if (!s && each && !each(done, user)) s = err_fail(E_INTERRUPT, "interrupted before the end");
    }
    arena_close(&plan);
    return ranks_unite(s, out, sizeof *out * (size_t)j->tokens.n);
}

/* Observes the attention of the last layer in one forward pass over the commit. */
void jit_attention(double *out, JitModel *j, Hooks *hooks, Arena *step, int32_t i)
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
    memset(out, 0, sizeof *out * (size_t)x.t);
    Tensor p = seen.value; /* (1,H,T,S): the pooled token is the only query, or first among the text's */
    for (int64_t h = 0; p.data && h < p.dim[1]; h++) {
        int64_t heads = p.dim[1], queries = p.dim[2], keys = p.dim[3], query = m->arch->encode ? queries - x.t : 0;
        for (int64_t k = 0; k < x.t; k++) /* virtual tokens come first */
            out[k] += tensor_get(p, (h * queries + query) * keys + keys - x.t + k) / (double)heads;
    }
    arena_drop(step, mark);
    arena_close(&keep);
}

void jit_line_attention(double *out, JitModel *j, Hooks *hooks, Arena *step, int32_t i, const JitLines *lines)
{
    ArenaMark mark = arena_mark(step);
    double *token = NEW(step, double, j->tokens.len[i]);
    jit_attention(token, j, hooks, step, i);
    for (int64_t l = 0; l < lines->n; l++) {
        out[l] = 0;
        for (int64_t k = lines->begin[l]; k < lines->end[l]; k++) out[l] += token[k];
    }
    arena_drop(step, mark);
}

/* ---- on disk */

enum { HEAD_TENSORS = 5 };
static int head_tensors(const JitModel *j, Param **out)
{
    Param *const all[HEAD_TENSORS] = {j->u, j->b, j->v, j->c, j->u_features};
    int n = 0;
    for (int i = 0; i < HEAD_TENSORS; i++)
        if (all[i]) out[n++] = all[i];
    return n;
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

/* A model from its config, the passes that every architecture shares, and lookups by place. */
#include "nn/model.h"

#include <stdio.h>
#include <string.h>

#include "nn/build.h"
#include "nn/config.h"

/* The attention or feed-forward norm of a place, where the model has it on that side of the sublayer. */
static const Norm *norm_at(const Model *m, Where at)
{
    const Stack *s = at.part == PART_ENCODER ? m->encoder : m->decoder;
    if (!s || at.layer < 0 || at.layer >= s->n) return NULL;
    const StackLayer *l = &s->layer[at.layer];
    const StackAttention *a = at.part == PART_CROSS ? &l->cross : &l->self;
    const Norm *n = NULL;
    if (s->pre_norm)
        n = (at.site == SITE_KEYS || at.site == SITE_VALUES) && at.part != PART_CROSS ? &a->norm : NULL;
    else if (at.site == SITE_ATTN_JOIN)
        n = &a->norm;
    else if (at.site == SITE_FFN_JOIN && at.part != PART_CROSS)
        n = &l->ffn.norm;
    return n && n->gain ? n : NULL;
}

static Status open_model(Model **out, Arena *run, const Config *config, DType dtype, uint64_t seed, bool blank)
{
    Config c = *config;
    TRY(config_check(&c));
    if (dtype != F32 && dtype != F64)
        return err_fail(E_CONFIG, "a model computes in F32 or F64, not %s", dtype_name(dtype));
    Model *m = NEW(run, Model, 1);
    *m = (Model){.run = run, .arch = arch_find(c.arch), .config = c, .norm_at = norm_at, .blank = blank};
    m->params = params_open(run, dtype, seed);
    m->arch->build(m);
    m->blank = false;
    build_outer(m);
    *out = m;
    return OK;
}

Status model_open(Model **out, Arena *run, const Config *config, DType dtype, uint64_t seed)
{
    return open_model(out, run, config, dtype, seed, false);
}

Status model_open_blank(Model **out, Arena *run, const Config *config, DType dtype, uint64_t seed)
{
    return open_model(out, run, config, dtype, seed, true);
}

Status model_open_zeros(Model **out, Arena *run, const Config *config, DType dtype)
{
    TRY(open_model(out, run, config, dtype, 0, true));
    for (int i = 0; i < params_n((*out)->params); i++) {
        Param *p = params_at((*out)->params, i);
        if (!p->val.data) p->val = tensor_zero(run, dtype, p->val.rank, p->val.dim);
    }
    return OK;
}

const Linear *model_linear(const Model *m, Where at)
{
    for (int i = 0; i < m->n_linears; i++) {
        const Where *w = &m->linears[i].at;
        if (w->site == at.site && w->layer == at.layer && w->part == at.part) return &m->linears[i];
    }
    return NULL;
}

int64_t linear_row(const Linear *l, int64_t output)
{
    return l->first + (l->run ? output / l->run * l->step + output % l->run : output);
}

int64_t linear_at(const Linear *l, int64_t output, int64_t input)
{
    int64_t row = linear_row(l, output), wide = tensor_last(l->w->val);
    return l->layout == OUT_IN ? row * wide + input : input * wide + row;
}

Tensor linear_matrix(Arena *a, const Linear *l)
{
    Tensor m = tensor_new(a, F64, SHAPE(l->out, l->in));
    for (int64_t o = 0; o < l->out; o++)
        for (int64_t i = 0; i < l->in; i++) tensor_set(m, o * l->in + i, tensor_get(l->w->val, linear_at(l, o, i)));
    return m;
}

void linear_set(const Linear *l, Tensor m)
{
    CHECK(m.dim[0] == l->out && m.dim[1] == l->in, "%s is (%lld,%lld), not %s", l->name, (long long)l->out,
          (long long)l->in, tensor_shape(m));
    for (int64_t o = 0; o < l->out; o++)
        for (int64_t i = 0; i < l->in; i++) tensor_set(l->w->val, linear_at(l, o, i), tensor_get(m, o * l->in + i));
}

double model_untie(Model *m)
{
    CHECK(m->config.tie_head && !m->config.no_lm_head, "this %s model has no head to untie", m->config.arch);
    m->config.tie_head = false;
    m->untied = m->arch->untie(m);
    build_outer(m);
    return m->untied;
}

/* The length of a linear layer's name up to the number of its layer: "encoder.block.3." */
static size_t stem_of(const Linear *l)
{
    char number[16];
    const char *at = l->name;
    int n = snprintf(number, sizeof number, "%d.", l->at.layer);
    while (strncmp(at, number, (size_t)n) != 0) {
        at = strchr(at, '.');
        CHECK(at, "the name of %s does not show that it is in layer %d", l->name, l->at.layer);
        at++;
    }
    return (size_t)(at - l->name) + (size_t)n;
}

/* The linear layers know their places, and the name of each shows where the names of its layer begin. */
Where model_place(const Model *m, const Param *p)
{
    for (int i = 0; i < m->n_linears; i++) {
        const Linear *l = &m->linears[i];
        Part stack = l->at.part == PART_CROSS ? PART_DECODER : l->at.part;
        if (!strncmp(p->name, l->name, stem_of(l))) return (Where){SITE_RESID, l->at.layer, stack};
    }
    return (Where){SITE_RESID, LAYER_EMBED, PART_ENCODER};
}

int model_layers(const Model *m, Part part)
{
    const Stack *s = part == PART_ENCODER ? m->encoder : m->decoder;
    if (!s || (part == PART_CROSS && !m->encoder)) return 0;
    return s->n;
}

/* ---- passes */

static void begin(Model *m, Pass *p, const Batch *x)
{
    pass_begin(p);
    if (m->entry) m->entry->enter(m->entry, p, x);
}

Var *model_hidden(Model *m, Pass *p, const Batch *x)
{
    begin(m, p, x);
    return m->arch->hidden(m, p, x);
}

Var *model_encode(Model *m, Pass *p, const Batch *x)
{
    begin(m, p, x);
    return m->arch->encode(m, p, x);
}

static Var *logits_site(Model *m, Pass *p, Var *in, Var *out)
{
    return hook_run(p, (Where){SITE_LOGITS, LAYER_EMBED, m->arch->last}, in, out);
}

Var *model_logits_with(Model *m, Pass *p, const Batch *x, Var *memory)
{
    CHECK(!m->config.no_lm_head, "this %s model has no language-model head", m->config.arch);
    int mark = tape_enter(p->tape);
    begin(m, p, x);
    Var *h = memory ? m->arch->decode(m, p, x, memory) : m->arch->hidden(m, p, x);
    return tape_leave(p->tape, mark, logits_site(m, p, h, m->arch->logits(m, p, h)));
}

Var *model_logits(Model *m, Pass *p, const Batch *x)
{
    return model_logits_with(m, p, x, NULL);
}

Var *model_classes(Model *m, Pass *p, const Batch *x)
{
    CHECK(m->config.classes > 0 && (m->classify || m->arch->classify), "this %s model has no classification head",
          m->config.arch);
    int mark = tape_enter(p->tape);
    begin(m, p, x);
    Var *y = (m->classify ? m->classify : m->arch->classify)(m, p, x);
    return tape_leave(p->tape, mark, logits_site(m, p, y, y));
}

Var *model_loss(Model *m, Pass *p, const Batch *x)
{
    int mark = tape_enter(p->tape);
    Var *loss;
    if (x->label) {
        loss = op_xent(p->tape, model_classes(m, p, x), x->label);
    } else {
        CHECK(x->target, "a loss of a batch with neither labels nor targets");
        CHECK(!m->config.no_lm_head, "this %s model has no language-model head", m->config.arch);
        if (hook_wants(p->hooks, (Where){SITE_LOGITS, LAYER_EMBED, m->arch->last}))
            loss = op_xent(p->tape, model_logits(m, p, x), x->target);
        else
            loss = m->arch->head_loss(m, p, model_hidden(m, p, x), x->target);
    }
    return tape_leave(p->tape, mark, loss);
}

Var *model_pooled(Model *m, Pass *p, const Batch *x, Pooling how)
{
    CHECK(!x->keep, "pooling chooses the rows itself");
    int mark = tape_enter(p->tape);
    Batch kept = *x;
    kept.k = 1;
    kept.keep = how == POOL_LAST ? rows_last(p, x) : NEW(tape_arena(p->tape), int32_t, x->b);
    Var *y;
    if (how == POOL_MEAN)
        y = op_pool(p->tape, model_hidden(m, p, x), x->len);
    else
        y = model_hidden(m, p, &kept);
    if (how == POOL_POOLER) {
        CHECK(m->config.pooler && m->arch->pool, "this %s model has no pooler", m->config.arch);
        y = m->arch->pool(m, p, y);
    }
    return tape_leave(p->tape, mark, y);
}

Var *model_next_sentence(Model *m, Pass *p, const Batch *x)
{
    CHECK(m->config.next_sentence && m->arch->next, "this %s model has no next-sentence head", m->config.arch);
    int mark = tape_enter(p->tape);
    return tape_leave(p->tape, mark, m->arch->next(m, p, model_pooled(m, p, x, POOL_POOLER)));
}

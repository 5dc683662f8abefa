/* Registration of parameters, and the lookups every architecture shares. */
#include "nn/build.h"

#include <math.h>
#include <string.h>

#include "base/str.h"
#include "nn/config.h"
#include "nn/rope.h"

bool build_is_class_head(const char *parameter)
{
    return str_glob("classifier.*|classification_head.*|score.*", parameter);
}

bool build_is_any_head(const char *parameter)
{
    return build_is_class_head(parameter) ||
           str_glob("lm_head.*|cls.*|cls_head.*|embed_out.*|head.dense.*|head.norm.*|decoder.weight|decoder.bias|"
                    "final_logits_bias",
                    parameter);
}

/* Files of a ModernBERT encoder alone have none of the layers that its classification head begins with. */
bool build_may_lack(const Model *m, const char *parameter)
{
    return build_is_class_head(parameter) || str_glob("pooler.*", parameter) ||
           (m->config.no_lm_head && str_glob("head.dense.*|head.norm.*", parameter));
}

const Alias *build_tied_head(const Arch *arch)
{
    for (const Alias *a = arch->format->alias; a && a->name; a++)
        if (build_is_any_head(a->file) && str_glob("*.weight", a->file)) return a;
    return NULL;
}

/* Drawing a hundred million normals that a file will replace costs seconds, and the file's own memory may do: while
 * loading, only parameters that a checkpoint may lack are drawn. */
Param *build_param(Model *m, const char *name, Init init, int rank, const int64_t *dim)
{
    if (m->blank && !build_may_lack(m, name)) init = (Init){INIT_LATER, 0};
    return param_add(m->params, name, init, rank, dim);
}

Param *build_copy(Model *m, const char *name, const Param *of, double factor)
{
    Param *p = param_add(m->params, name, (Init){INIT_ZERO, 0}, of->val.rank, of->val.dim);
    for (int64_t i = 0; i < tensor_count(p->val); i++) tensor_set(p->val, i, factor * tensor_get(of->val, i));
    return p;
}

Norm build_norm(Model *m, const char *name, bool bias)
{
    Norm n = {.eps = m->config.eps};
    n.gain = build_param(m, NAMED(m, "%s.weight", name), (Init){INIT_ONE, 0}, SHAPE(m->config.dim));
    if (bias) n.bias = build_param(m, NAMED(m, "%s.bias", name), (Init){INIT_ZERO, 0}, SHAPE(m->config.dim));
    return n;
}

Norm build_norm_of(Model *m, const char *name, int64_t size)
{
    return (Norm){.gain = build_param(m, NAMED(m, "%s.weight", name), (Init){INIT_ONE, 0}, SHAPE(size)),
                  .eps = m->config.eps};
}

Norm build_norm_unbiased(Model *m, const char *name)
{
    Norm n = build_norm_of(m, name, m->config.dim);
    n.zero = tensor_zero(m->run, params_dtype(m->params), SHAPE(m->config.dim));
    return n;
}

/* The list has room for every linear layer of the model from the start: pointers into it stay. */
static const Linear *add(Model *m, Linear l)
{
    const Config *c = &m->config;
    int room = 16 * (c->layers + c->decoder_layers);
    if (!m->linears) m->linears = NEW(m->run, Linear, room);
    CHECK(m->n_linears < room, "%s: more than %d linear layers", l.name, room);
    m->linears[m->n_linears] = l;
    return &m->linears[m->n_linears++];
}

const Linear *build_linear(Model *m, const char *name, Where at, Shape s)
{
    int64_t rows = s.layout == OUT_IN ? s.out : s.in, cols = s.layout == OUT_IN ? s.in : s.out;
    Linear l = {.name = str_print(m->run, "%s", name), .at = at, .layout = s.layout, .in = s.in, .out = s.out};
    l.w = build_param(m, NAMED(m, "%s.weight", name), (Init){INIT_NORMAL, s.sd}, SHAPE(rows, cols));
    if (s.bias) l.b = build_param(m, NAMED(m, "%s.bias", name), (Init){INIT_ZERO, 0}, SHAPE(s.out));
    return add(m, l);
}

const Linear *build_part(Model *m, const Linear *whole, const char *name, Site site, int64_t first, int64_t n)
{
    Linear l = *whole;
    l.name = str_print(m->run, "%s", name);
    l.at.site = site;
    l.first = first;
    l.out = n;
    return add(m, l);
}

const Linear *build_part_runs(Model *m, const Linear *whole, const char *name, Site site, int64_t first, int64_t n,
                              int64_t run, int64_t step)
{
    const Linear *part = build_part(m, whole, name, site, first, n);
    m->linears[m->n_linears - 1].run = run;
    m->linears[m->n_linears - 1].step = step;
    return part;
}

static bool in_layers(const Model *m, const Param *p)
{
    for (int i = 0; i < m->n_linears; i++)
        if (m->linears[i].w == p) return true;
    return false;
}

/* A head and a pooler are applied to states; of every other matrix rows are looked up. */
static Linear outer_linear(Model *m, Param *p, size_t stem)
{
    bool table = !build_is_any_head(p->name) && !str_glob("*pooler*|*dense*", p->name);
    const char *name = str_copy(m->run, p->name, stem);
    return (Linear){.name = name,
                    .at = {SITE_COUNT, LAYER_EMBED, PART_ANY},
                    .w = p,
                    .b = param_find(m->params, NAMED(m, "%s.bias", name)),
                    .layout = table ? IN_OUT : OUT_IN,
                    .in = p->val.dim[table ? 0 : 1],
                    .out = p->val.dim[table ? 1 : 0]};
}

void build_outer(Model *m)
{
    static const char END[] = ".weight";
    m->outer = NEW(m->run, Linear, params_n(m->params));
    m->n_outer = 0;
    for (int i = 0; i < params_n(m->params); i++) {
        Param *p = params_at(m->params, i);
        size_t n = strlen(p->name), end = strlen(END);
        bool matrix = p->val.rank == 2 && n > end && !strcmp(p->name + n - end, END);
        if (matrix && !str_glob("peft.*", p->name) && !in_layers(m, p))
            m->outer[m->n_outer++] = outer_linear(m, p, n - end);
    }
}

bool build_has_parted_tables(const Model *m)
{
    for (const Alias *t = m->arch->format->alias; m->arch->part_tables && t && t->name; t++)
        if (!build_is_any_head(t->file) && param_find(m->params, t->file)) return true;
    return false;
}

void build_part_tables(Model *m)
{
    CHECK(m->arch->part_tables && !build_has_parted_tables(m), "this %s model has no shared token table",
          m->config.arch);
    m->arch->part_tables(m);
    build_outer(m);
}

Stack *build_stack(Model *m, Part part, bool pre_norm)
{
    const Config *c = &m->config;
    bool second = part == PART_DECODER && c->decoder_layers;
    Stack *s = NEW(m->run, Stack, 1);
    *s = (Stack){.part = part,
                 .n = second ? c->decoder_layers : c->layers,
                 .pre_norm = pre_norm,
                 .causal = part == PART_DECODER,
                 .heads = second && c->decoder_heads ? c->decoder_heads : c->heads,
                 .act = c->act,
                 .dropout = c->dropout,
                 .attn_dropout = c->attn_dropout,
                 .act_dropout = c->act_dropout};
    s->head_dim = c->head_dim ? c->head_dim : c->dim / s->heads;
    s->kv_heads = c->kv_heads ? c->kv_heads : s->heads;
    s->scale = 1 / sqrt((double)s->head_dim);
    s->layer = NEW(m->run, StackLayer, s->n);
    for (int i = 0; i < s->n; i++) {
        s->layer[i].window = window_of(c, i);
        s->layer[i].local = window_is_local(c, i);
    }
    s->parallel = c->parallel;
    s->rope_dims = rope_dims(c);
    for (int i = 0; i < 2 && s->rope_dims; i++) {
        float *rate = NEW(m->run, float, s->rope_dims / 2);
        rope_rates(rate, c, i == 1);
        s->rates[i] = rate;
    }
    *(part == PART_DECODER ? &m->decoder : &m->encoder) = s;
    return s;
}

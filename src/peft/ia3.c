/* IA3: learned vectors rescale the outputs or inputs of chosen linear layers, starting at 1.  The paper's three, the
 * default:
 *     k <- l_k * k,    v <- l_v * v,    h <- l_ff * act(W x).
 * Cross-attention has keys and values of its own and no feed-forward.  Others are those of the libraries: PEFT's
 * default for RoBERTa also scales the input of the attention's output projection (heads), and the adapters library
 * scales the feed-forward before its activation (up).
 *
 * `target` is a glob over PART.layer.L.WHAT.  Merging multiplies the rows (and biases) of a layer whose output is
 * scaled, or the columns of one whose input is: such an input reaches nothing else. */
#include "peft/ia3.h"

#include <string.h>

#include "peft/place.h"

static const struct {
    Site site, linear; /* where it acts; the layer it folds into */
    const char *what;
    bool inputs; /* it scales that layer's inputs, not its outputs */
} KINDS[] = {{SITE_K, SITE_K, "keys", false},
             {SITE_V, SITE_V, "values", false},
             {SITE_FFN_ACT, SITE_FFN_OUT, "ffn", true},
             {SITE_HEADS, SITE_ATTN_OUT, "heads", true},
             {SITE_Q, SITE_Q, "queries", false},
             {SITE_QKV, SITE_QKV, "qkv", false},
             {SITE_ATTN_OUT, SITE_ATTN_OUT, "attn_out", false},
             {SITE_FFN_UP, SITE_FFN_UP, "up", false},
             {SITE_FFN_GATE, SITE_FFN_GATE, "gate", false},
             {SITE_FFN_OUT, SITE_FFN_OUT, "ffn_out", false}};
enum { N_KINDS = sizeof KINDS / sizeof *KINDS };

static const char *const PAPER = "*.keys|*.values|*.ffn";

const char *ia3_what(Site linear, bool inputs)
{
    for (int k = 0; k < N_KINDS; k++)
        if (KINDS[k].linear == linear && KINDS[k].inputs == inputs) return KINDS[k].what;
    return NULL;
}

const Linear *ia3_linear(const Model *m, Where at, const char *what, bool *inputs)
{
    for (int k = 0; k < N_KINDS; k++)
        if (!strcmp(KINDS[k].what, what)) {
            *inputs = KINDS[k].inputs;
            return model_linear(m, place_at(at, KINDS[k].linear));
        }
    return NULL;
}

static bool is_there(const Model *m, const PeftConfig *cfg, Where at, int kind)
{
    return model_linear(m, place_at(at, KINDS[kind].linear)) && place_wants(cfg, at, KINDS[kind].what);
}

static int64_t size_of(const Model *m, Where at, int kind)
{
    const Linear *l = place_linear(m, at, KINDS[kind].linear);
    return KINDS[kind].inputs ? l->in : l->out;
}

static void defaults(PeftConfig *cfg, const Config *c)
{
    (void)c;
    place_all(cfg, true);
    cfg->target = PAPER;
}

static Var *ia3_hook(Pass *p, Where at, Var *in, Var *out, void *user)
{
    (void)at, (void)in;
    return op_scale_cols(p->tape, out, tape_param(p->tape, user));
}

static int64_t count(const Model *m, const PeftConfig *cfg)
{
    int64_t n = 0;
    for (Where at = PLACE_FIRST; place_next(m, cfg, &at);)
        for (int k = 0; k < N_KINDS; k++)
            if (is_there(m, cfg, at, k)) n += size_of(m, at, k);
    return n;
}

static Status attach(Model *m, Hooks *hooks, const PeftConfig *cfg)
{
    TRY(place_check(m, cfg, "ia3"));
    if (!count(m, cfg))
        return err_fail(E_CONFIG,
                        "ia3: target \"%s\" names nothing to rescale in this %s model; its names are like "
                        "encoder.layer.0.keys, .values, .ffn, .heads, .up",
                        cfg->target, m->config.arch);
    for (Where at = PLACE_FIRST; place_next(m, cfg, &at);)
        for (int k = 0; k < N_KINDS; k++)
            if (is_there(m, cfg, at, k))
                hook_add_rows(
                    hooks, place_at(at, KINDS[k].site), ia3_hook,
                    place_param(m, "ia3", at, KINDS[k].what, (Init){INIT_ONE, 0}, SHAPE(size_of(m, at, k))));
    return OK;
}

/* Multiply, or divide, t[i] by l. */
static void rescale(Tensor t, int64_t i, double l, bool undo)
{
    double x = tensor_get(t, i);
    tensor_set(t, i, undo ? x / l : x * l);
}

static void fold(const Linear *l, const Param *scale, bool inputs, bool undo)
{
    param_widen(l->w);
    for (int64_t o = 0; o < l->out; o++)
        for (int64_t i = 0; i < l->in; i++)
            rescale(l->w->val, linear_at(l, o, i), tensor_get(scale->val, inputs ? i : o), undo);
    if (!inputs && l->b)
        for (int64_t o = 0; o < l->out; o++) rescale(l->b->val, linear_row(l, o), tensor_get(scale->val, o), undo);
}

static bool has_zero(const Param *p)
{
    for (int64_t i = 0; i < tensor_count(p->val); i++)
        if (tensor_get(p->val, i) == 0) return true;
    return false;
}

static Status fold_all(Model *m, const PeftConfig *cfg, bool undo)
{
    for (int dry = 1; dry >= 0; dry--) /* check everything before changing anything */
        for (Where at = PLACE_FIRST; place_next(m, cfg, &at);)
            for (int k = 0; k < N_KINDS; k++) {
                if (!is_there(m, cfg, at, k)) continue;
                const Param *l = place_find(m, "ia3", at, KINDS[k].what);
                if (!l) return err_fail(E_CONFIG, "ia3 is not attached to this model, so there is nothing to fold");
                if (undo && has_zero(l))
                    return err_fail(E_NUMERIC, "%s holds a 0, which cannot be unmerged", l->name);
                if (!dry) fold(place_linear(m, at, KINDS[k].linear), l, KINDS[k].inputs, undo);
            }
    return OK;
}

static Status merge(Model *m, const PeftConfig *cfg)
{
    return fold_all(m, cfg, false);
}

static Status unmerge(Model *m, const PeftConfig *cfg)
{
    return fold_all(m, cfg, true);
}

const Peft PEFT_IA3 = {
    .name = "ia3",
    .summary = "rescale keys, values and feed-forward activations",
    .source = "Liu et al., Few-Shot Parameter-Efficient Fine-Tuning (T-Few), NeurIPS 2022",
    .defaults = defaults,
    .attach = attach,
    .merge = merge,
    .unmerge = unmerge,
    .count = count,
    .lr = 1e-3,
    .small_lr = 1e-3,
};
REGISTER(peft, PEFT_IA3)

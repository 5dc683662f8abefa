/* LoReFT edits the hidden states between layers, and no weights: at the chosen positions of the chosen layers
 *
 *   h <- h + R' (W h + b - R h)
 *
 * with R and W (r,C) and orthonormal rows in R.  The part of h in the r directions of R becomes W h + b, and the rest
 * stays.  R is made of a free matrix (op_orthonormal), so it keeps its form while that trains.  W starts at R and b
 * at zero, so attaching changes nothing until training does; the authors' library draws W, which changes the model.
 *
 * `positions` is "all" or, in the authors' words, "f3+l1": the first three tokens of a text and its last.  One edit
 * serves all positions of a layer (share_weights there).  The end of a text that is still being written is nowhere,
 * so a stack that writes has no last positions. */
#include <string.h>

#include "base/str.h"
#include "nn/block.h"
#include "peft/place.h"

typedef struct {
    Param *rotation, *source, *bias;
    int64_t first, last; /* positions from either end; with all, neither counts */
    bool all;
} Loreft;

static void defaults(PeftConfig *cfg, const Config *c)
{
    (void)c;
    place_all(cfg, false);
    cfg->rank = 4;
    cfg->positions = "all";
}

/* ---- positions */

/* "f3+l1" or "all"; false: neither. */
static bool read_positions(Loreft *out, const PeftConfig *cfg)
{
    size_t n;
    const char *text = cfg->positions ? cfg->positions : "all";
    out->all = !strcmp(text, "all");
    out->first = out->last = 0;
    for (const char *rest = text, *item; !out->all && str_next(&rest, "+", &item, &n);) {
        char digits[16] = "";
        int64_t *end = n && *item == 'f' ? &out->first : n && *item == 'l' ? &out->last : NULL;
        if (!end || *end || n > sizeof digits - 1) return false;
        memcpy(digits, item + 1, n - 1);
        if (!str_int(digits, end) || *end < 1) return false;
    }
    return out->all || out->first || out->last;
}

/* Rows (N,r) of a text that are not chosen become zeros. */
static Var *chosen_rows(Pass *p, const Loreft *x, Var *low)
{
    Arena *a = tape_arena(p->tape);
    int64_t r = tensor_last(low->val), n = tensor_count(low->val) / r;
    int32_t *place = NEW(a, int32_t, n), *length = NEW(a, int32_t, n);
    Tensor mask = tensor_zero(a, low->val.dtype, low->val.rank, low->val.dim);
    rows_places(p, n, place, length);
    for (int64_t i = 0; i < n; i++)
        if (place[i] >= 0 && (place[i] < x->first || place[i] >= length[i] - x->last))
            for (int64_t k = 0; k < r; k++) tensor_set(mask, i * r + k, 1);
    return op_mul(p->tape, low, tape_leaf(p->tape, mask));
}

/* ---- the method */

static Var *loreft_hook(Pass *p, Where at, Var *in, Var *h, void *user)
{
    (void)at, (void)in;
    const Loreft *x = user;
    Tape *t = p->tape;
    int mark = tape_enter(t);
    Var *r = op_orthonormal(t, tape_param(t, x->rotation));
    Var *difference = op_add(t, tape_param(t, x->source), -1, r); /* W - R */
    Var *low = op_linear(t, h, difference, OUT_IN, tape_param(t, x->bias), ACT_NONE);
    if (!x->all) low = chosen_rows(p, x, low);
    return tape_leave(t, mark, op_add(t, h, 1, op_linear(t, low, r, IN_OUT, NULL, ACT_NONE)));
}

static Status check(const Model *m, const PeftConfig *cfg)
{
    Loreft x;
    if (cfg->rank < 1 || cfg->rank > m->config.dim)
        return err_fail(E_CONFIG, "loreft: rank is %d, expected 1 to %d, the hidden size", cfg->rank, m->config.dim);
    if (!read_positions(&x, cfg))
        return err_fail(E_CONFIG, "loreft: positions are \"%s\", expected all, f3, l1 or f3+l1", cfg->positions);
    if (cfg->on[PART_CROSS]) return err_fail(E_CONFIG, "loreft: cross-attention has no hidden states of its own");
    if (x.last && !m->config.classes && cfg->on[PART_DECODER] && model_layers(m, PART_DECODER))
        return err_fail(E_CONFIG,
                        "loreft: positions \"%s\" count from the end of a text that is being written; expected "
                        "all or f3",
                        cfg->positions);
    return place_check(m, cfg, "loreft");
}

/* W starts as R does, to the last bit. */
static void start(const Loreft *x)
{
    Arena scratch = arena_open(0);
    Tape *t = tape_open(&scratch, false);
    Tensor r = op_orthonormal(t, tape_leaf(t, x->rotation->val))->val;
    tensor_put(x->source->val, r);
    arena_close(&scratch);
}

static Status attach(Model *m, Hooks *hooks, const PeftConfig *cfg)
{
    TRY(check(m, cfg));
    for (Where at = PLACE_FIRST; place_next(m, cfg, &at);) {
        int64_t r = cfg->rank, c = m->config.dim;
        Loreft *x = NEW(m->run, Loreft, 1);
        read_positions(x, cfg);
        x->rotation = place_param(m, "loreft", at, "rotation", (Init){INIT_NORMAL, 1}, SHAPE(r, c));
        x->source = place_param(m, "loreft", at, "source", (Init){INIT_ZERO, 0}, SHAPE(r, c));
        x->bias = place_param(m, "loreft", at, "bias", (Init){INIT_ZERO, 0}, SHAPE(r));
        start(x);
        hook_add_rows(hooks, place_at(at, SITE_RESID), loreft_hook, x);
    }
    return OK;
}

static int64_t count(const Model *m, const PeftConfig *cfg)
{
    return place_count(m, cfg) * cfg->rank * (2 * (int64_t)m->config.dim + 1);
}

static int *knob(PeftConfig *cfg)
{
    return &cfg->rank;
}

const Peft PEFT_LOREFT = {
    .name = "loreft",
    .summary = "edit hidden states between layers in a low-rank subspace",
    .source = "Wu et al., ReFT: Representation Finetuning for Language Models, NeurIPS 2024",
    .defaults = defaults,
    .attach = attach,
    .count = count,
    .knob = knob,
    .lr = 1e-3,
    .small_lr = 3e-3,
};
REGISTER(peft, PEFT_LOREFT)

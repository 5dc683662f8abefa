/* Prefix tuning: every attention of a part sees P more keys and values, its own in every layer.  Encoder
 * self-attention, decoder self-attention and cross-attention have independent prefixes.  Queries and positions of the
 * content are untouched, so the prefix takes attention away from content without reordering it.
 *
 *   free   keys and values are parameters: peft.prefix.PART.layer.L.{keys,values} (P,H*D)
 *          (Li and Liang without reparameterisation; P-tuning v2)
 *   tied   a virtual token is a vector (P,C) that passes through the layer's own norm, where that stands before
 *          attention (no_norm: past it), and its frozen key and value projections:
 *          peft.prefix.PART.layer.L.slots (Petrov et al.)
 *   mlp    keys and values = up_L(tanh(mlp(table))) with one table (P,C) and one mlp for a part and an `up` for the
 *          keys and for the values of each layer; the MLP stays a parameter, so training can resume (Li and Liang)
 *
 * A tied prefix can own `reserved` positions: then inputs already start with that many filler tokens, whose keys and
 * values are overwritten in every layer, so positions never shift and causality counts the virtual tokens as content.
 * Rotary positions turn these keys as they turn the content's; all other prefixes are read as they are.
 *
 * Positions of the content do not change, as in the papers and the adapters library; shift_positions moves the
 * learned ones by P, as the PEFT library does, for prefixes trained there.
 *
 * T5's relative positions give prefix columns a bias of 0.  Where a prefix was trained with another library, its
 * scores are corrected on the open attention path: with shift_positions virtual token j stands at position j - P, and
 * with `displaced` at j, which moves every content key P to the right of where the queries think it is (the adapters
 * library).
 *
 * The hidden layer of the MLP is recomputed where it is used, twice a layer: P rows cost nothing beside the B*T rows
 * of the model, and nothing has to survive the scopes of the tape between layers. */
#include "base/str.h"
#include "nn/block.h"
#include "nn/rope.h"
#include "peft/place.h"

typedef struct { /* of one part */
    Param *table, *weight, *bias;
} Mlp;
typedef struct {               /* of one attention */
    Param *free[2];            /* keys, values */
    Param *up[2], *up_bias[2]; /* mlp */
    Param *slots;              /* tied */
    const Linear *project[2];  /* tied: the layer's key and value projections */
    const Norm *norm;          /* tied: the norm before them, or NULL */
    const Norm *key_norm;      /* tied: that of each head's key, or NULL */
    const Stack *stack;        /* tied: of self-attention, or NULL */
    const Mlp *mlp;
    int64_t reserved;
} Prefix;

static void defaults(PeftConfig *cfg, const Config *c)
{
    (void)c;
    place_all(cfg, true);
    cfg->length = 20;
    cfg->kind = PREFIX_FREE;
    cfg->width = 512;
    cfg->init_sd = 0.02;
}

static Var *tied(const Prefix *x, Pass *p, Where at, int which)
{
    Tape *t = p->tape;
    const Linear *l = x->project[which];
    Var *s = tape_param(t, x->slots);
    if (x->norm) s = block_norm(p, x->norm, s, NULL);
    Var *y = op_linear(t, s, tape_param(t, l->w), l->layout, tape_param(t, l->b), ACT_NONE);
    if (tensor_last(y->val) != l->out) y = block_part(t, l, y); /* GPT-2 projects all thirds at once */
    if (which) return y;
    if (x->key_norm) y = block_norm(p, x->key_norm, y, NULL);
    return x->reserved && x->stack ? block_turn_keys(p, x->stack, at.layer, y) : y;
}

static Var *through_mlp(const Prefix *x, Tape *t, int which)
{
    const Mlp *m = x->mlp;
    Var *h =
        op_linear(t, tape_param(t, m->table), tape_param(t, m->weight), OUT_IN, tape_param(t, m->bias), ACT_TANH);
    return op_linear(t, h, tape_param(t, x->up[which]), OUT_IN, tape_param(t, x->up_bias[which]), ACT_NONE);
}

static Var *prefix_hook(Pass *p, Where at, Var *in, Var *out, void *user)
{
    (void)in;
    const Prefix *x = user;
    Tape *t = p->tape;
    int which = at.site == SITE_VALUES, mark = tape_enter(t);
    Var *rows = x->slots ? tied(x, p, at, which) : x->mlp ? through_mlp(x, t, which) : tape_param(t, x->free[which]);
    return tape_leave(t, mark, op_prepend(t, rows, out, x->reserved));
}

/* ---- relative positions */

typedef struct {
    const Param *table; /* (buckets,H) */
    int64_t length, distance;
    bool displaced;
} Relative;

static double bias_at(const Relative *r, int64_t distance, bool bidirectional, int64_t head)
{
    int buckets = (int)r->table->val.dim[0];
    int bucket = relpos_bucket((int)distance, buckets, (int)r->distance, bidirectional);
    return tensor_get(r->table->val, bucket * r->table->val.dim[1] + head);
}

/* The term that the other library adds to a score and the model does not. */
static Var *relative_hook(Pass *p, Where at, Var *in, Var *out, void *user)
{
    (void)in;
    const Relative *r = user;
    bool both = at.part == PART_ENCODER;
    int64_t h = out->val.dim[1], t = out->val.dim[2], s = out->val.dim[3], len = r->length;
    int64_t past = p->cache && !both ? p->cache->len[0] : 0;
    Tensor more = tensor_zero(tape_arena(p->tape), out->val.dtype, SHAPE(h, t, s));
    for (int64_t i = 0; i < h * t; i++)
        for (int64_t j = 0; j < (r->displaced ? s : len); j++) {
            int64_t query = past + i % t, head = i / t, key = j - len;
            double x = r->displaced ? bias_at(r, j - query, both, head) : bias_at(r, key - query, both, head);
            if (j >= len) x -= bias_at(r, key - query, both, head);
            tensor_set(more, i * s + j, x);
        }
    return op_add(p->tape, out, 1, tape_leaf(p->tape, more));
}

static const Param *relative_table(const Model *m, Part part)
{
    const char *name = str_print(m->run, "%s.*relative_attention_bias.weight", part_name(part));
    for (int i = 0; i < params_n(m->params); i++)
        if (str_glob(name, params_at(m->params, i)->name)) return params_at(m->params, i);
    return NULL;
}

static void correct_positions(Model *m, Hooks *hooks, const PeftConfig *cfg, Where at)
{
    const Param *table = at.part == PART_CROSS ? NULL : relative_table(m, at.part);
    if (!table) return;
    Relative *r = NEW(m->run, Relative, 1);
    *r = (Relative){table, cfg->length, m->config.rel_distance, cfg->displaced};
    hook_add(hooks, place_at(at, SITE_SCORES), relative_hook, r);
}

/* ---- attaching */

/* Tokens late in a text would not see the prefix any more. */
static Status check_windows(const Model *m, const PeftConfig *cfg)
{
    for (Where at = PLACE_FIRST; place_next(m, cfg, &at);) {
        int window = at.part == PART_CROSS ? 0 : window_of(&m->config, at.layer);
        if (window > 0)
            return err_fail(E_CONFIG,
                            "prefix: it falls out of the window of %d tokens that layer %d of this %s model has",
                            window, at.layer, m->config.arch);
    }
    return OK;
}

/* E_CONFIG where a size is out of range, or two settings cannot go together. */
static Status check(const Model *m, const PeftConfig *cfg)
{
    if (cfg->length < 1) return err_fail(E_CONFIG, "prefix: length is %d, expected at least 1", cfg->length);
    if (cfg->kind == PREFIX_MLP && cfg->width < 1)
        return err_fail(E_CONFIG, "prefix: the MLP's width is %d, expected at least 1", cfg->width);
    if (!(cfg->init_sd >= 0)) return err_fail(E_CONFIG, "prefix: init_sd is %g, expected at least 0", cfg->init_sd);
    if (cfg->reserved && cfg->kind != PREFIX_TIED)
        return err_fail(E_CONFIG, "prefix: only a tied prefix can overwrite reserved positions");
    if (cfg->reserved && cfg->reserved != cfg->length)
        return err_fail(
            E_CONFIG, "prefix: length %d cannot overwrite %d reserved positions; the two are equal or reserved is 0",
            cfg->length, cfg->reserved);
    int room = config_room(&m->config);
    if (cfg->reserved && room && cfg->reserved >= room)
        return err_fail(E_CONFIG, "prefix: %d reserved positions leave none of the model's %d for content",
                        cfg->reserved, room);
    if (cfg->shift_positions && room && cfg->length >= room)
        return err_fail(E_CONFIG, "prefix: moved by %d, no content fits the model's %d positions", cfg->length, room);
    if (cfg->shift_positions && cfg->displaced)
        return err_fail(E_CONFIG,
                        "prefix: shift_positions and displaced are two libraries' ways; one of them at a time");
    TRY(check_windows(m, cfg));
    return place_check(m, cfg, "prefix");
}

static Mlp *new_mlp(Model *m, const PeftConfig *cfg, Where at)
{
    const Where part = {.layer = -1, .part = at.part};
    int64_t c = m->config.dim, w = cfg->width;
    Mlp *x = NEW(m->run, Mlp, 1);
    x->table = place_param(m, "prefix", part, "table", (Init){INIT_NORMAL, cfg->init_sd}, SHAPE(cfg->length, c));
    x->weight = place_param(m, "prefix", part, "mlp.weight", place_fan_in(c), SHAPE(w, c));
    x->bias = place_param(m, "prefix", part, "mlp.bias", (Init){INIT_ZERO, 0}, SHAPE(w));
    return x;
}

/* The parameters of one layer: tied slots, free keys and values, or the last layer of the MLP that makes them. */
static Prefix *new_prefix(Model *m, const PeftConfig *cfg, Where at, const Mlp *mlp)
{
    static const char *const WHAT[] = {"keys", "values"};
    const Init normal = {INIT_NORMAL, cfg->init_sd};
    int64_t hd = place_width(m, at), p = cfg->length;
    Prefix *x = NEW(m->run, Prefix, 1);
    x->reserved = cfg->reserved;
    if (cfg->kind == PREFIX_TIED) {
        x->slots = place_param(m, "prefix", at, "slots", normal, SHAPE(p, m->config.dim));
        x->project[0] = place_linear(m, at, SITE_K);
        x->project[1] = place_linear(m, at, SITE_V);
        if (m->norm_at && !cfg->no_norm) x->norm = m->norm_at(m, place_at(at, SITE_KEYS));
        if (at.part == PART_CROSS) return x;
        x->stack = at.part == PART_ENCODER ? m->encoder : m->decoder;
        const Norm *each = &x->stack->layer[at.layer].self.k_norm;
        x->key_norm = each->gain ? each : NULL;
        return x;
    }
    x->mlp = mlp;
    for (int i = 0; i < 2; i++) {
        if (!mlp) {
            x->free[i] = place_param(m, "prefix", at, WHAT[i], normal, SHAPE(p, hd));
            continue;
        }
        x->up[i] = place_param(m, "prefix", at, str_print(m->run, "%s.weight", WHAT[i]), place_fan_in(cfg->width),
                               SHAPE(hd, cfg->width));
        x->up_bias[i] =
            place_param(m, "prefix", at, str_print(m->run, "%s.bias", WHAT[i]), (Init){INIT_ZERO, 0}, SHAPE(hd));
    }
    return x;
}

static Status attach(Model *m, Hooks *hooks, const PeftConfig *cfg)
{
    TRY(check(m, cfg));
    const Mlp *mlp = NULL;
    Part part = PART_COUNT; /* of the place before */
    for (Where at = PLACE_FIRST; place_next(m, cfg, &at); part = at.part) {
        bool first = at.part != part;
        if (cfg->shift_positions && at.part != PART_CROSS && first) hooks_shift(hooks, at.part, cfg->length);
        if (cfg->kind == PREFIX_MLP && first) mlp = new_mlp(m, cfg, at);
        Prefix *x = new_prefix(m, cfg, at, mlp);
        hook_add(hooks, place_at(at, SITE_KEYS), prefix_hook, x);
        hook_add(hooks, place_at(at, SITE_VALUES), prefix_hook, x);
        if (cfg->shift_positions || cfg->displaced) correct_positions(m, hooks, cfg, at);
    }
    return OK;
}

static int64_t count(const Model *m, const PeftConfig *cfg)
{
    int64_t c = m->config.dim, w = cfg->width, p = cfg->length, n = 0;
    Part part = PART_COUNT; /* of the place before */
    for (Where at = PLACE_FIRST; place_next(m, cfg, &at); part = at.part) {
        int64_t hd = place_width(m, at);
        switch (cfg->kind) {
        case PREFIX_FREE: n += 2 * p * hd; break;
        case PREFIX_TIED: n += p * c; break;
        case PREFIX_MLP: n += 2 * (w * hd + hd) + (at.part != part ? p * c + c * w + w : 0); break;
        }
    }
    return n;
}

static int virtual_tokens(const PeftConfig *cfg)
{
    return cfg->length;
}

static int positions(const PeftConfig *cfg)
{
    return cfg->shift_positions ? cfg->length : 0;
}

static int *knob(PeftConfig *cfg)
{
    return &cfg->length;
}

const Peft PEFT_PREFIX = {
    .name = "prefix",
    .summary = "virtual keys and values before the content of every attention",
    .source = "Li and Liang, Prefix-Tuning, ACL 2021; Liu et al., P-Tuning v2, ACL 2022; Petrov et al., ICLR 2024",
    .defaults = defaults,
    .attach = attach,
    .count = count,
    .knob = knob,
    .virtual_tokens = virtual_tokens,
    .virtual_keys = true,
    .positions = positions,
    .lr = 1e-2,
    .small_lr = 1e-2,
};
REGISTER(peft, PEFT_PREFIX)

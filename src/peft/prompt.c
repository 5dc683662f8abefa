/* Prompt tuning: P trained vectors stand before the word vectors of the input, and positions are added to all of
 * them alike, so the content moves by P places.  They stand before the encoder's input where there is an encoder,
 * else before the decoder's.  The model sees that an EMBED hook put rows in front: it lengthens masks, drops those
 * rows from its result, and while decoding with a cache uses them in the first pass only.  So a classification head
 * reads the first token of the text; with read_prompt it reads the first virtual token, as in the PEFT library.
 *
 * A `late` prompt joins behind the whole embedding: it has no positions and passes no norm, and the content stays
 * where it was.  Its rows are held open by an EMBED hook, at positions before the first, and filled where the first
 * layer begins. */
#include "nn/block.h"
#include "peft/place.h"

static Part part_of(const Model *m)
{
    return model_layers(m, PART_ENCODER) ? PART_ENCODER : PART_DECODER;
}

static void defaults(PeftConfig *cfg, const Config *c)
{
    place_all(cfg, false);
    int room = config_room(c);
    cfg->length = room && room < 80 ? (room + 3) / 4 : 20;
    cfg->init_sd = 0.02;
}

static Var *hold_rows(Pass *p, Where at, Var *in, Var *out, void *user)
{
    (void)at, (void)in;
    const Param *table = user;
    Tensor rows = tensor_zero(tape_arena(p->tape), out->val.dtype, table->val.rank, table->val.dim);
    return op_prepend(p->tape, tape_leaf(p->tape, rows), out, 0);
}

/* While decoding with a cache only the first pass has the rows. */
static Var *fill_rows(Pass *p, Where at, Var *in, Var *out, void *user)
{
    (void)in;
    const Param *table = user;
    bool past = at.part == PART_DECODER && p->cache && p->cache->len[0] > 0;
    return past ? out : op_prepend(p->tape, tape_param(p->tape, user), out, table->val.dim[0]);
}

static Var *prompt_hook(Pass *p, Where at, Var *in, Var *out, void *user)
{
    (void)at, (void)in;
    return op_prepend(p->tape, tape_param(p->tape, user), out, 0);
}

static Status attach(Model *m, Hooks *hooks, const PeftConfig *cfg)
{
    const Config *c = &m->config;
    if (cfg->length < 1) return err_fail(E_CONFIG, "prompt: length is %d, expected at least 1", cfg->length);
    int room = config_room(c);
    if (room && cfg->length >= room)
        return err_fail(E_CONFIG, "prompt: %d virtual tokens leave none of the model's %d positions for content",
                        cfg->length, room);
    if (!(cfg->init_sd >= 0)) return err_fail(E_CONFIG, "prompt: init_sd is %g, expected at least 0", cfg->init_sd);
    Where at = {.site = SITE_EMBED, .layer = LAYER_EMBED, .part = part_of(m)};
    Param *table =
        place_param(m, "prompt", at, "table", (Init){INIT_NORMAL, cfg->init_sd}, SHAPE(cfg->length, c->dim));
    if (cfg->read_prompt) hooks_read_virtual(hooks);
    if (!cfg->late) {
        hook_add(hooks, at, prompt_hook, table);
        return OK;
    }
    hooks_shift(hooks, at.part, -cfg->length);
    hook_add(hooks, at, hold_rows, table);
    hook_add(hooks, place_at(at, SITE_RESID), fill_rows, table);
    return OK;
}

static int64_t count(const Model *m, const PeftConfig *cfg)
{
    return (int64_t)cfg->length * m->config.dim;
}

static int virtual_tokens(const PeftConfig *cfg)
{
    return cfg->length;
}

static int positions(const PeftConfig *cfg)
{
    return cfg->late ? 0 : cfg->length;
}

static int *knob(PeftConfig *cfg)
{
    return &cfg->length;
}

const Peft PEFT_PROMPT = {
    .name = "prompt",
    .summary = "virtual tokens before the input",
    .source = "Lester et al., The Power of Scale for Parameter-Efficient Prompt Tuning, EMNLP 2021",
    .defaults = defaults,
    .attach = attach,
    .count = count,
    .knob = knob,
    .virtual_tokens = virtual_tokens,
    .positions = positions,
    .before_layers = true,
    .lr = 1e-2,
    .small_lr = 1e-2,
};
REGISTER(peft, PEFT_PROMPT)

/* From one library to the other.  Most adapters only change names, which saving does.  Parameters with different
 * places are moved to a new model of the same shape, with the method attached as the other library has it:
 *
 *   LoRA on GPT-2   the whole projection with one A, or its thirds with an A each: either way exact
 *   IA3             PEFT scales the input of the feed-forward's second layer, adapters the output of its first: the
 *                   same under a ReLU and positive scales only; GPT-2's projection whole, or its thirds
 *   prefix          PEFT has the decoder's (or the only) self-attention and no MLP; with rotary positions the keys
 *                   of the two are a turn apart
 *   prompt          PEFT's passes the embedding's positions and norm, adapters' does not */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "adapter/library.h"
#include "base/str.h"
#include "nn/block.h"
#include "nn/build.h"
#include "nn/rope.h"
#include "peft/ia3.h"
#include "peft/lora.h"
#include "peft/place.h"

typedef struct {
    Adapter *from, *to;
    bool lossy;
} Move;

/* A lossy step: refused, or done with a remark. */
static Status lossy(Move *v, const char *what)
{
    if (!v->lossy) return err_fail(E_MISMATCH, "%s; --allow-lossy does it all the same", what);
    adapter_remark(v->to, "%s", what);
    return OK;
}

/* The new model: zeros, except for parameters that travel with the adapter. */
static Status attach_anew(Move *v, const PeftConfig *cfg)
{
    Adapter *a = v->to;
    const Model *old = v->from->model;
    TRY(model_open_zeros(&a->model, a->run, &old->config, params_dtype(old->params)));
    TRY(peft_attach(a->method, a->model, hooks_new(a->run), cfg));
    a->cfg = *cfg;
    for (int i = 0; i < params_n(old->params); i++) {
        const Param *p = params_at(old->params, i);
        Param *q = param_find(a->model->params, p->name);
        bool along = build_is_class_head(p->name) || (cfg->bias && str_glob("*.bias", p->name));
        if (along && q) tensor_put(q->val, p->val);
    }
    for (int i = 0; i < a->n_bindings; i++) { /* modules saved whole, on the new model */
        Param *q = param_find(a->model->params, a->binding[i].param->name);
        if (q && !str_glob("peft.*", q->name)) tensor_put(q->val, a->binding[i].param->val);
        a->binding[i].param = q;
    }
    return OK;
}

/* ---- LoRA on GPT-2 */

static Param *factor(const Model *m, const Linear *l, const char *what)
{
    return param_find(m->params, lora_name(m, "lora", l, what));
}

/* B's rows of a third, and A as it is, or stacked: number `at` of those that share a matrix. */
static void copy_block(Param *to, int64_t to_row, int64_t to_col, const Param *from, int64_t row, int64_t rows)
{
    int64_t wide = to->val.dim[1], n = from->val.dim[1];
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < n; j++)
            tensor_set(to->val, (to_row + i) * wide + to_col + j, tensor_get(from->val, (row + i) * n + j));
}

/* LoRA on GPT-2's fused projection becomes one LoRA on each of query, key and value, which share A. */
static Status lora_to_thirds(Move *v)
{
    const Model *m = v->from->model;
    PeftConfig c = v->from->cfg;
    Buf target = buf_open(v->to->run);
    LoraRule *rules = NEW(v->to->run, LoraRule, m->n_linears);
    int n = 0;
    for (const Linear *l = NULL; (l = lora_next(m, &v->from->cfg, l));) {
        buf_print(&target, l->at.site == SITE_QKV ? "%s%s.?" : "%s%s", n ? "|" : "", l->name);
        rules[n++] = (LoraRule){str_print(v->to->run, "%s*", l->name), lora_rank(&v->from->cfg, l),
                                lora_scale(&v->from->cfg, l) * lora_rank(&v->from->cfg, l)};
    }
    c.target = target.text;
    if (c.n_rules) c.rules = rules, c.n_rules = n, c.rslora = false;
    TRY(attach_anew(v, &c));
    for (const Linear *l = NULL; (l = lora_next(v->to->model, &c, l));) {
        const Linear *whole = l;
        while (whole > v->to->model->linears && whole->w == l->w && !adapter_is_whole(whole)) whole--;
        const Param *a = factor(m, whole, "A"), *b = factor(m, whole, "B");
        copy_block(factor(v->to->model, l, "A"), 0, 0, a, 0, a->val.dim[0]);
        for (int64_t o = 0; o < l->out; o++) copy_block(factor(v->to->model, l, "B"), o, 0, b, linear_row(l, o), 1);
    }
    return OK;
}

/* LoRA on query, key and value becomes one on the fused projection, whose rank is the sum of theirs: A is stacked,
 * and B is block-diagonal. */
static Status lora_to_whole(Move *v)
{
    const Model *m = v->from->model;
    PeftConfig c = v->from->cfg;
    Buf target = buf_open(v->to->run);
    LoraRule *rules = NEW(v->to->run, LoraRule, m->n_linears);
    int n = 0;
    const Linear *whole = NULL;
    for (const Linear *l = NULL; (l = lora_next(m, &v->from->cfg, l));) {
        int rank = lora_rank(&v->from->cfg, l);
        double scale = lora_scale(&v->from->cfg, l);
        const Linear *now = l;
        while (!adapter_is_whole(now)) now--;
        if (now == whole) { /* one more third */
            if (scale * rules[n - 1].rank != rules[n - 1].alpha)
                return err_fail(E_MISMATCH, "%s: thirds of one matrix have different scales, and PEFT has one",
                                l->name);
            rank += rules[--n].rank;
        } else {
            buf_print(&target, "%s%s", n ? "|" : "", now->name);
        }
        whole = now;
        rules[n++] = (LoraRule){now->name, rank, scale * rank};
    }
    c.target = target.text;
    c.rules = rules, c.n_rules = n, c.rslora = false, c.rank = rules[0].rank, c.alpha = rules[0].alpha;
    TRY(attach_anew(v, &c));
    int64_t at = 0;
    whole = NULL;
    for (const Linear *l = NULL; (l = lora_next(m, &v->from->cfg, l));) {
        const Linear *now = l;
        while (!adapter_is_whole(now)) now--;
        if (now != whole) at = 0;
        whole = now;
        const Param *a = factor(m, l, "A"), *b = factor(m, l, "B");
        copy_block(factor(v->to->model, now, "A"), at, 0, a, 0, a->val.dim[0]);
        for (int64_t o = 0; o < l->out; o++)
            copy_block(factor(v->to->model, now, "B"), linear_row(l, o), at, b, o, 1);
        at += a->val.dim[0];
    }
    return OK;
}

static Status move_lora(Move *v)
{
    bool whole = false, thirds = false, to_hub = v->to->library == &LIBRARY_HUB;
    for (const Linear *l = NULL; (l = lora_next(v->from->model, &v->from->cfg, l));) {
        whole |= l->at.site == SITE_QKV;
        thirds |= !adapter_is_whole(l);
    }
    if (to_hub && whole) return lora_to_thirds(v);
    return !to_hub && thirds ? lora_to_whole(v) : OK;
}

/* ---- IA3 */

static bool all_positive(const Param *p)
{
    for (int64_t i = 0; i < tensor_count(p->val); i++)
        if (!(tensor_get(p->val, i) > 0)) return false;
    return true;
}

static const char *const THIRDS[] = {"queries", "keys", "values"};
static const Site PARTS[] = {SITE_Q, SITE_K, SITE_V};

/* The new names of PART.layer.L.WHAT, '|' between them. */
static const char *moved_scale(const Move *v, const Linear *l, const char *what)
{
    bool to_hub = v->to->library == &LIBRARY_HUB;
    if (to_hub && !strcmp(what, "ffn")) return "up";
    if (to_hub && !strcmp(what, "qkv")) return "queries|keys|values";
    if (!to_hub && !adapter_is_whole(l)) return "qkv";
    return what;
}

static Status check_scale(Move *v, const Param *p, const char *what)
{
    const Config *c = &v->from->model->config;
    if (v->to->library != &LIBRARY_HUB || strcmp(what, "ffn") != 0) return OK;
    if (c->gated) return err_fail(E_MISMATCH, "ia3: the adapters library has no scale after a gated activation");
    if (c->act == ACT_RELU && all_positive(p)) return OK;
    if (!v->lossy || !v->to->n_remarks)
        return lossy(v, str_print(v->to->run,
                                  "ia3: PEFT scales the feed-forward after its activation, adapters before it; with "
                                  "%s%s the two differ",
                                  ACT_NAMES[c->act], c->act == ACT_RELU ? " and a scale that is not positive" : ""));
    return OK;
}

static void copy_scale(const Move *v, Where at, const char *what, const Param *p, const Linear *l)
{
    const char *moved = moved_scale(v, l, what);
    const Model *m = v->to->model;
    for (int i = 0; i < 3 && !strcmp(what, "qkv") && strcmp(moved, "qkv"); i++) {
        Param *q = place_find(m, "ia3", at, THIRDS[i]);
        const Linear *third = model_linear(m, place_at(at, PARTS[i]));
        for (int64_t j = 0; j < tensor_count(q->val); j++)
            tensor_set(q->val, j, tensor_get(p->val, linear_row(third, j)));
    }
    if (!strcmp(what, "qkv") && strcmp(moved, "qkv") != 0) return;
    Param *q = place_find(m, "ia3", at, moved);
    bool into_whole = !strcmp(moved, "qkv") && strcmp(what, "qkv");
    for (int64_t j = 0; j < tensor_count(p->val); j++)
        tensor_set(q->val, into_whole ? linear_row(l, j) : j, tensor_get(p->val, j));
}

/* Two passes: the first checks every scale and collects where it moves to, the second copies. */
static Status move_ia3(Move *v)
{
    const Model *m = v->from->model;
    PeftConfig c = v->from->cfg;
    Buf target = buf_open(v->to->run);
    bool changed = false;
    for (int pass = 0; pass < 2; pass++) {
        for (int i = 0; i < params_n(m->params); i++) {
            const Param *p = params_at(m->params, i);
            char side[16], what[16];
            int layer;
            bool inputs;
            Part part = 0;
            if (sscanf(p->name, "peft.ia3.%15[a-z].layer.%d.%15s", side, &layer, what) != 3) continue;
            while (strcmp(side, part_name(part)) != 0) part++;
            const Where at = {.layer = layer, .part = part};
            const Linear *l = ia3_linear(m, at, what, &inputs);
            if (pass) {
                copy_scale(v, at, what, p, l);
                continue;
            }
            TRY(check_scale(v, p, what));
            const char *moved = moved_scale(v, l, what);
            changed |= moved != what;
            for (const char *s = moved; *s; s += strcspn(s, "|"), s += *s == '|')
                buf_print(&target, "%s%s.layer.%d.%.*s", target.len ? "|" : "", side, layer, (int)strcspn(s, "|"), s);
        }
        if (!changed) return OK;
        c.target = target.text;
        if (!pass) TRY(attach_anew(v, &c));
    }
    return OK;
}

/* ---- virtual tokens */

/* Keys or values of one layer, through the MLP where there is one. */
static double slot_value(const Adapter *a, Where at, int which, int64_t row, int64_t col)
{
    const Model *m = a->model;
    const Where part = {.layer = -1, .part = at.part};
    const char *kind = which ? "values" : "keys";
    if (a->cfg.kind == PREFIX_FREE) {
        const Param *p = place_find(m, "prefix", at, kind);
        return tensor_get(p->val, row * tensor_last(p->val) + col);
    }
    const Param *table = place_find(m, "prefix", part, "table"), *w = place_find(m, "prefix", part, "mlp.weight");
    const Param *b = place_find(m, "prefix", part, "mlp.bias");
    const Param *up = place_find(m, "prefix", at, which ? "values.weight" : "keys.weight");
    double y = tensor_get(place_find(m, "prefix", at, which ? "values.bias" : "keys.bias")->val, col);
    for (int64_t j = 0; j < w->val.dim[0]; j++) {
        double h = tensor_get(b->val, j);
        for (int64_t i = 0; i < w->val.dim[1]; i++)
            h += tensor_get(w->val, j * w->val.dim[1] + i) * tensor_get(table->val, row * w->val.dim[1] + i);
        y += tensor_get(up->val, col * w->val.dim[0] + j) * tanh(h);
    }
    return y;
}

/* Keys of a prefix turned as if they stood `positions` further on, head by head, in the model's own rates: pairs are
 * a channel of the first half of those that turn and its like in the second. */
static void turn_keys(const Model *m, Arena *arena, Tensor keys, int positions)
{
    int64_t dims = rope_dims(&m->config), half = dims / 2, width = tensor_last(keys);
    const Stack *s = m->decoder ? m->decoder : m->encoder;
    float *rate = NEW(arena, float, half + 1);
    rope_rates(rate, &m->config, false);
    for (int64_t head = 0; head < tensor_count(keys) / s->head_dim; head++)
        for (int64_t i = 0; i < half; i++) {
            int64_t at = head * s->head_dim + i;
            double c = cos((double)positions * (double)rate[i]), d = sin((double)positions * (double)rate[i]);
            double x = tensor_get(keys, at), y = tensor_get(keys, at + half);
            tensor_set(keys, at, x * c - y * d);
            tensor_set(keys, at + half, x * d + y * c);
        }
    CHECK(width % s->head_dim == 0, "keys of %lld channels in heads of %d", (long long)width, s->head_dim);
}

/* Free keys and values on a new model: those of the other, the keys turned. */
static Status copy_prefix(Move *v, const PeftConfig *c, int turn)
{
    TRY(attach_anew(v, c));
    for (Where at = PLACE_FIRST; place_next(v->to->model, c, &at);)
        for (int which = 0; which < 2; which++) {
            Param *p = place_find(v->to->model, "prefix", at, which ? "values" : "keys");
            int64_t n = tensor_last(p->val);
            for (int64_t i = 0; i < tensor_count(p->val); i++)
                tensor_set(p->val, i, slot_value(v->from, at, which, i / n, i % n));
            if (turn && !which) turn_keys(v->to->model, v->to->run, p->val, turn);
        }
    return OK;
}

/* PEFT has free keys and values of self-attention alone: those that the MLP makes are written, and other prefixes are
 * dropped.  With rotary positions the libraries' forms are equal up to a turn: PEFT moves the content by P positions,
 * adapters does not, so a key K of the one is R(-P) K of the other. */
static Status move_prefix(Move *v)
{
    const Model *m = v->from->model;
    PeftConfig c = v->from->cfg;
    Part self = m->decoder ? PART_DECODER : PART_ENCODER;
    bool to_hub = v->to->library == &LIBRARY_HUB, rotary = rope_dims(&m->config) > 0;
    if (c.kind == PREFIX_TIED || (to_hub && !(rotary && c.shift_positions))) return OK;
    int turn = rotary && c.shift_positions == to_hub ? to_hub ? -c.length : c.length : 0;
    if (rotary) c.shift_positions = !to_hub;
    for (Part p = 0; p < PART_COUNT && !to_hub; p++) {
        if (p == self || !c.on[p] || !model_layers(m, p)) continue;
        TRY(lossy(
            v, str_print(v->to->run,
                         "prefix: PEFT adds prefixes to the %s's self-attention only, so the one for %s is dropped",
                         part_name(self), p == PART_CROSS ? "cross-attention" : part_name(p))));
        c.on[p] = false;
    }
    if (c.kind == PREFIX_MLP)
        adapter_remark(v->to, "prefix: written as the output of its MLP; the file has no place for the MLP itself");
    if (turn)
        adapter_remark(v->to, "prefix: its keys are turned by %d positions, which gives the same answers", turn);
    c.kind = PREFIX_FREE;
    c.displaced = false;
    return copy_prefix(v, &c, turn);
}

static Status move_prompt(Move *v)
{
    bool late = v->to->library == &LIBRARY_HUB;
    if (late != v->from->cfg.late && v->from->model->config.positions)
        TRY(lossy(v, "prompt: PEFT's passes the embedding's positions and norm and moves the content, the adapters "
                     "library's joins "
                     "behind them; the values are kept and will act differently"));
    v->to->cfg.late = late;
    return OK;
}

static const struct {
    const char *method;
    Status (*move)(Move *);
} MOVES[] = {{"lora", move_lora}, {"ia3", move_ia3}, {"prefix", move_prefix}, {"prompt", move_prompt}};

/* Copies the adapter for the other library, and converts its method where the libraries differ. */
Status adapter_convert(Adapter **out, Adapter *from, const Library *to, bool allow_lossy)
{
    CHECK(from->model, "an adapter is converted once it is attached");
    *out = from;
    if (from->library == to) return OK;
    Adapter *a = NEW(from->run, Adapter, 1);
    *a = *from;
    a->library = to;
    a->root = NULL;
    a->weights = a->head = NULL;
    a->slots = a->stride = a->n_remarks = 0;
    a->binding = NEW(a->run, Binding, from->n_bindings + 1); /* the other's stay on its model */
    if (from->n_bindings) memcpy(a->binding, from->binding, sizeof *a->binding * (size_t)from->n_bindings);
    Move v = {from, a, allow_lossy};
    for (size_t i = 0; i < sizeof MOVES / sizeof *MOVES; i++)
        if (!strcmp(MOVES[i].method, a->method->name)) TRY(MOVES[i].move(&v));
    *out = a;
    return OK;
}

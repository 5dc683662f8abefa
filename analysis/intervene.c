#include "analysis/intervene.h"

#include <math.h>
#include <string.h>
#include <strings.h>

#include "base/str.h"

/* ---- hooks */

static Var *scale_prefix(Pass *p, Where at, Var *in, Var *out, void *user)
{
    (void)at, (void)in;
    const Do *d = user;
    int64_t c = tensor_last(out->val), s = out->val.dim[1], n = tensor_count(out->val);
    Tensor less = tensor_zero(tape_arena(p->tape), out->val.dtype, out->val.rank, out->val.dim);
    for (int64_t k = 0; k < n; k++)
        if (k / c % s < d->extra) tensor_set(less, k, tensor_get(out->val, k) * (d->number - 1));
    return op_add(p->tape, out, 1, tape_leaf(p->tape, less));
}

static Var *set_mass(Pass *p, Where at, Var *in, Var *out, void *user)
{
    (void)at, (void)in;
    const Do *d = user;
    int64_t s = tensor_last(out->val);
    Tensor y = tensor_copy(tape_arena(p->tape), out->val);
    for (int64_t r = 0; r < tensor_count(y) / s; r++) {
        double virtual_keys = 0, text = 0;
        for (int64_t j = 0; j < s; j++) *(j < d->extra ? &virtual_keys : &text) += tensor_get(y, r * s + j);
        if (!(virtual_keys > 0) || !(text > 0)) continue;
        for (int64_t j = 0; j < s; j++) {
            double times = j < d->extra ? d->number / virtual_keys : (1 - d->number) / text;
            tensor_set(y, r * s + j, tensor_get(y, r * s + j) * times);
        }
    }
    return tape_leaf(p->tape, y);
}

static Var *patch(Pass *p, Where at, Var *in, Var *out, void *user)
{
    (void)at, (void)in;
    const Do *d = user;
    CHECK(tensor_same_shape(out->val, d->value), "a patch of %s for %s", tensor_shape(d->value),
          tensor_shape(out->val));
    if (d->position < 0) return tape_leaf(p->tape, d->value);
    Tensor y = tensor_copy(tape_arena(p->tape), out->val);
    int64_t c = tensor_last(y), t = y.dim[1];
    for (int64_t k = 0; k < tensor_count(y); k++)
        if (k / c % t == d->position) tensor_set(y, k, tensor_get(d->value, k));
    return tape_leaf(p->tape, y);
}

void do_attach(Do *d, Hooks *hooks)
{
    static HookFn *const fn[] = {
        [DO_HEAD] = hook_scale_head, [DO_PREFIX] = scale_prefix, [DO_MASS] = set_mass, [DO_PATCH] = patch};
    hook_add(hooks, d->at, fn[d->kind], d->kind == DO_HEAD ? (void *)&d->head : d);
}

/* ---- what is asked for */

static Status not_understood(const char *words)
{
    return fail(E_CONFIG,
                "--do %s: expected head:L.H=NUMBER, prefix=scale:S, mass:A, patch:SITE:L=TEXT or patch:SITE:L.T=TEXT",
                words);
}

static bool number(double *out, const char *text)
{
    return str_real(!strncmp(text, "scale:", 6) ? text + 6 : text, out);
}

static Status layer_of(int *out, const char *words, const char *text, const Model *m, Part part)
{
    int64_t l;
    if (!strcmp(text, "embed")) {
        *out = LAYER_EMBED;
        return OK;
    }
    if (!str_int(text, &l)) return not_understood(words);
    if (l < 0 || l >= model_layers(m, part))
        return fail(E_CONFIG, "--do %s: the %s has layers 0 to %d", words, part_name(part),
                    model_layers(m, part) - 1);
    *out = (int)l;
    return OK;
}

/* "A.B" in two; *b is NULL without a point. */
static void cut(Arena *a, const char *text, size_t n, char sign, const char **left, const char **right)
{
    const char *at = memchr(text, sign, n);
    *left = str_copy(a, text, at ? (size_t)(at - text) : n);
    *right = at ? str_copy(a, at + 1, n - (size_t)(at - text) - 1) : NULL;
}

static Status parse_head(Do *d, Arena *a, const char *what, const char *value, const Model *m, Part part)
{
    const char *l, *h;
    int64_t head;
    cut(a, what + 5, strlen(what) - 5, '.', &l, &h);
    if (!h || !str_int(h, &head) || !number(&d->number, value)) return not_understood(d->words);
    d->kind = DO_HEAD;
    d->at = (Where){SITE_HEADS, 0, part};
    TRY(layer_of(&d->at.layer, d->words, l, m, part));
    if (d->at.layer < 0 || head < 0 || head >= maps_heads(m, part))
        return fail(E_CONFIG, "--do %s: the %s has heads 0 to %d", d->words, part_name(part),
                    maps_heads(m, part) - 1);
    d->head = (HeadScale){(int)head, maps_heads(m, part), d->number};
    return OK;
}

static Status parse_patch(Do *d, Arena *a, const char *what, const char *value, const Model *m, Part part)
{
    const char *site, *place, *l, *t;
    cut(a, what + 6, strlen(what) - 6, ':', &site, &place);
    if (!place) return not_understood(d->words);
    cut(a, place, strlen(place), '.', &l, &t);
    int k = 0;
    while (k < SITE_COUNT && strcasecmp(site, site_name((Site)k)) != 0) k++;
    if (k == SITE_COUNT) return fail(E_CONFIG, "--do %s: %s is no site of nn/hook.h, such as resid", d->words, site);
    d->kind = DO_PATCH;
    d->at = (Where){(Site)k, 0, part};
    if (k == SITE_RESID || k == SITE_EMBED || k == SITE_LOGITS || (k >= SITE_FFN_UP && k <= SITE_FFN_JOIN))
        d->at.part = part == PART_CROSS ? PART_DECODER : part; /* of the stack */
    TRY(layer_of(&d->at.layer, d->words, l, m, part));
    if (t && (!str_int(t, &d->position) || d->position < 0)) return not_understood(d->words);
    d->text = value;
    return OK;
}

Status do_parse(Do *d, Arena *a, const char *words, const Model *m, Part part, int64_t extra)
{
    const char *what, *value;
    *d = (Do){.words = words, .position = -1, .extra = extra};
    cut(a, words, strlen(words), '=', &what, &value);
    if (!strncmp(what, "head:", 5) && value) return parse_head(d, a, what, value, m, part);
    if (!strncmp(what, "patch:", 6) && value) return parse_patch(d, a, what, value, m, part);
    bool mass = !strncmp(what, "mass:", 5) && !value;
    if (!mass && (strcmp(what, "prefix") != 0 || !value)) return not_understood(words);
    if (!number(&d->number, mass ? what + 5 : value)) return not_understood(words);
    if (mass && (d->number < 0 || d->number > 1)) return fail(E_CONFIG, "--do %s: a mass is from 0 to 1", words);
    if (!extra) return fail(E_CONFIG, "--do %s: the model has no virtual keys in its %s", words, part_name(part));
    d->kind = mass ? DO_MASS : DO_PREFIX;
    d->at = (Where){mass ? SITE_PROBS : SITE_VALUES, LAYER_ANY, part};
    return OK;
}

Status do_read(Do *d, Arena *run, Model *m, Hooks *hooks, const Batch *b, int64_t t)
{
    Capture seen = {.arena = run};
    int before = hooks_n(hooks);
    hook_observe(hooks, d->at, hook_capture, &seen);
    Arena step = arena_open(0);
    Pass p = {.tape = tape_open(&step, false), .hooks = hooks};
    if (m->arch->encode && !b->t)
        m->arch->encode(m, &p, b);
    else if (d->at.site == SITE_LOGITS && !m->config.no_lm_head)
        model_logits(m, &p, b);
    else
        model_hidden(m, &p, b);
    arena_close(&step);
    hooks_clear_from(hooks, before);
    if (!seen.value.data)
        return fail(E_CONFIG, "--do %s: %s has no %s there", d->words, m->arch->name, site_name(d->at.site));
    if (d->position >= 0 && (seen.value.rank != 3 || d->position >= t || seen.value.dim[1] != t))
        return fail(E_CONFIG, "--do %s: positions are 0 to %lld, at sites with a row for each", d->words,
                    (long long)t - 1);
    d->value = seen.value;
    return OK;
}

/* Interventions are hooks.  First each form of hook, then how --do is read, then the passes that some of them take
 * values from: a patch from another text, a steering vector from the means of two, virtual keys from another
 * adapter. */
#include "analysis/intervene.h"

#include <math.h>
#include <string.h>
#include <strings.h>

#include "base/str.h"
#include "measure/observe.h"

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

/* A hook that scales each row of attention, so that the virtual keys get the mass d->number. */
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

static Var *steer(Pass *p, Where at, Var *in, Var *out, void *user)
{
    (void)at, (void)in;
    const Do *d = user;
    return op_add(p->tape, out, d->number, tape_leaf(p->tape, d->value));
}

static Var *swap_keys(Pass *p, Where at, Var *in, Var *out, void *user)
{
    (void)in;
    const Do *d = user;
    Tensor rows = d->keys.rows[at.part][at.site == SITE_VALUES][at.layer];
    return rows.data ? op_prepend(p->tape, tape_leaf(p->tape, rows), out, rows.dim[0]) : out;
}

void do_attach(Do *d, Hooks *hooks)
{
    static HookFn *const fn[] = {[DO_HEAD] = hook_scale_head, [DO_PREFIX] = scale_prefix, [DO_MASS] = set_mass,
                                 [DO_PATCH] = patch,          [DO_STEER] = steer,         [DO_SWAP] = swap_keys};
    hook_add(hooks, d->at, fn[d->kind], d->kind == DO_HEAD ? (void *)&d->head : d);
    if (d->kind == DO_SWAP) hook_add(hooks, (Where){SITE_VALUES, LAYER_ANY, PART_ANY}, swap_keys, d);
}

/* ---- parsing */

static Status not_understood(const char *words)
{
    return err_fail(
        E_CONFIG,
        "--do %s: expected head:L.H=NUMBER, prefix=scale:S, prefix=swap:DIR, mass:A, patch:SITE:L=TEXT or "
        "steer:SITE:L=S*TEXT minus TEXT, the last two also with L.T for one position",
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
        return err_fail(E_CONFIG, "--do %s: the %s has layers 0 to %d", words, part_name(part),
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

static Status parse_head(Do *d, Arena *a, const char *key, const char *value, const Model *m, Part part)
{
    const char *l, *h;
    int64_t head;
    cut(a, key + 5, strlen(key) - 5, '.', &l, &h);
    if (!h || !str_int(h, &head) || !number(&d->number, value)) return not_understood(d->words);
    d->kind = DO_HEAD;
    d->at = (Where){SITE_HEADS, 0, part};
    TRY(layer_of(&d->at.layer, d->words, l, m, part));
    if (d->at.layer < 0 || head < 0 || head >= maps_heads(m, part))
        return err_fail(E_CONFIG, "--do %s: the %s has heads 0 to %d", d->words, part_name(part),
                        maps_heads(m, part) - 1);
    d->head = (HeadScale){(int)head, maps_heads(m, part), d->number};
    return OK;
}

/* "S*TEXT" or "S*TEXT minus TEXT" */
static Status parse_steering(Do *d, Arena *a, const char *value)
{
    static const char between[] = " minus ";
    const char *times, *texts, *at;
    cut(a, value, strlen(value), '*', &times, &texts);
    if (!texts || !str_real(times, &d->number)) return not_understood(d->words);
    d->kind = DO_STEER;
    d->text = texts;
    if (!(at = strstr(texts, between))) return OK;
    d->text = str_copy(a, texts, (size_t)(at - texts));
    d->less = at + strlen(between);
    if (strstr(d->less, between))
        return err_fail(E_CONFIG,
                        "--do %s: \" minus \" separates two texts; a text that contains it must come from @FILE",
                        d->words);
    return OK;
}

/* SITE:L=TEXT or SITE:L.T=TEXT; `key` starts there. */
static Status parse_place(Do *d, Arena *a, const char *key, const Model *m, Part part)
{
    const char *site, *place, *l, *t;
    cut(a, key, strlen(key), ':', &site, &place);
    if (!place) return not_understood(d->words);
    cut(a, place, strlen(place), '.', &l, &t);
    int k = 0;
    while (k < SITE_COUNT && strcasecmp(site, site_name((Site)k)) != 0) k++;
    if (k == SITE_COUNT)
        return err_fail(E_CONFIG, "--do %s: %s is no site of nn/hook.h, such as resid", d->words, site);
    d->at = (Where){(Site)k, 0, part};
    if (k == SITE_RESID || k == SITE_EMBED || k == SITE_LOGITS || (k >= SITE_FFN_UP && k <= SITE_FFN_JOIN))
        d->at.part = part == PART_CROSS ? PART_DECODER : part; /* of the stack */
    TRY(layer_of(&d->at.layer, d->words, l, m, part));
    if (t && (!str_int(t, &d->position) || d->position < 0)) return not_understood(d->words);
    return OK;
}

static Status parse_texts(Do *d, Arena *a, const char *key, const char *value, const Model *m, Part part)
{
    TRY(parse_place(d, a, key + strlen("patch:"), m, part));
    if (!strncmp(key, "steer:", 6)) return parse_steering(d, a, value);
    d->kind = DO_PATCH;
    d->text = value;
    return OK;
}

Status do_parse(Do *d, Arena *a, const char *words, const Model *m, Part part, int64_t extra)
{
    const char *key, *value;
    *d = (Do){.words = words, .position = -1, .extra = extra};
    cut(a, words, strlen(words), '=', &key, &value);
    if (!strncmp(key, "head:", 5) && value) return parse_head(d, a, key, value, m, part);
    if ((!strncmp(key, "patch:", 6) || !strncmp(key, "steer:", 6)) && value)
        return parse_texts(d, a, key, value, m, part);
    if (!strcmp(key, "prefix") && value && !strncmp(value, "swap:", 5) && value[5]) {
        d->kind = DO_SWAP;
        d->at = (Where){SITE_KEYS, LAYER_ANY, PART_ANY};
        d->text = value + 5;
        return OK;
    }
    bool mass = !strncmp(key, "mass:", 5) && !value;
    if (!mass && (strcmp(key, "prefix") != 0 || !value)) return not_understood(words);
    if (!number(&d->number, mass ? key + 5 : value)) return not_understood(words);
    if (mass && (d->number < 0 || d->number > 1)) return err_fail(E_CONFIG, "--do %s: a mass is from 0 to 1", words);
    if (!extra) return err_fail(E_CONFIG, "--do %s: the model has no virtual keys in its %s", words, part_name(part));
    d->kind = mass ? DO_MASS : DO_PREFIX;
    d->at = (Where){mass ? SITE_PROBS : SITE_VALUES, LAYER_ANY, part};
    return OK;
}

/* ---- values from other passes */

static Status capture(Tensor *out, const Do *d, Arena *run, Model *m, Hooks *hooks, const Batch *b)
{
    *out = observe_one(run, m, hooks, b, d->at);
    if (!out->data)
        return err_fail(E_CONFIG, "--do %s: %s has no %s there", d->words, m->arch->name, site_name(d->at.site));
    return OK;
}

Status do_read(Do *d, Arena *run, Model *m, Hooks *hooks, const Batch *b, int64_t t)
{
    TRY(capture(&d->value, d, run, m, hooks, b));
    if (d->position >= 0 && (d->value.rank != 3 || d->position >= t || d->value.dim[1] != t))
        return err_fail(E_CONFIG, "--do %s: positions are 0 to %lld, at sites with a row for each", d->words,
                        (long long)t - 1);
    return OK;
}

/* ---- means */

/* Cross-attention's keys and values have the source's rows, which can be as many as the text's. */
static bool rows_are_of_the_source(Where at)
{
    return at.part == PART_CROSS &&
           (at.site == SITE_K || at.site == SITE_V || at.site == SITE_KEYS || at.site == SITE_VALUES);
}

static Status read_mean(Var **out, const Do *d, Tape *tape, Model *m, Hooks *hooks, const Batch *b)
{
    Tensor x;
    TRY(capture(&x, d, tape_arena(tape), m, hooks, b));
    if (x.rank != 3 || x.dim[1] != (b->t ? b->t : b->s) || rows_are_of_the_source(d->at))
        return err_fail(E_CONFIG,
                        "--do %s: %s does not have a row for each token of a text, and steering takes their mean",
                        d->words, site_name(d->at.site));
    *out = op_pool(tape, tape_leaf(tape, x), NULL);
    return OK;
}

Status do_read_means(Do *d, Arena *run, Model *m, Hooks *hooks, const Batch *text, const Batch *less, int64_t t)
{
    Tape *tape = tape_open(run, false);
    Var *mean, *other;
    TRY(read_mean(&mean, d, tape, m, hooks, text));
    if (less) {
        TRY(read_mean(&other, d, tape, m, hooks, less));
        mean = op_add(tape, mean, -1, other);
    }
    if (d->position >= t) return err_fail(E_CONFIG, "--do %s: positions are 0 to %lld", d->words, (long long)t - 1);
    int64_t c = tensor_last(mean->val), rows = d->position < 0 ? 1 : t, at = d->position < 0 ? 0 : d->position;
    d->value = tensor_zero(run, mean->val.dtype, SHAPE(rows, c));
    for (int64_t j = 0; j < c; j++) tensor_set(d->value, at * c + j, tensor_get(mean->val, j));
    return OK;
}

/* ---- virtual keys */

typedef struct {
    VirtualKeys *keys;
    Arena *run;
} Seen;

static void see_keys(Where at, Tensor in, Tensor out, void *user)
{
    const Seen *s = user;
    int64_t n = out.dim[1] - in.dim[1], c = tensor_last(out);
    if (n < 1) return;
    Tensor *rows = &s->keys->rows[at.part][at.site == SITE_VALUES][at.layer];
    *rows = tensor_new(s->run, out.dtype, SHAPE(n, c));
    for (int64_t k = 0; k < n * c; k++) tensor_set(*rows, k, tensor_get(out, k));
}

static VirtualKeys read_keys(Arena *run, Model *m, Hooks *hooks, const Batch *b)
{
    static const Where read[] = {{SITE_KEYS, LAYER_ANY, PART_ANY}, {SITE_VALUES, LAYER_ANY, PART_ANY}};
    VirtualKeys keys;
    for (int p = 0; p < PART_COUNT; p++)
        for (int i = 0; i < 2; i++) {
            int layers = model_layers(m, (Part)p);
            keys.rows[p][i] = layers ? NEW(run, Tensor, layers) : NULL;
        }
    Seen seen = {&keys, run};
    observe_peek(m, hooks, b, read, 2, &(Peek){see_keys, &seen});
    return keys;
}

static int64_t keys_at(const VirtualKeys *k, int part, int layer)
{
    Tensor rows = k->rows[part][0][layer];
    return rows.data ? rows.dim[0] : 0;
}

/* Reads the virtual keys of both adapters, and checks that their numbers and position shifts agree. */
Status do_read_keys(Do *d, Arena *run, Model *m, Hooks *hooks, Model *other, Hooks *theirs, const Batch *b)
{
    if (other->config.positions < m->config.positions) /* too few for the pass, perhaps */
        return err_fail(E_MISMATCH, "--do %s: it leaves %d positions for a text, and the model %d", d->words,
                        other->config.positions, m->config.positions);
    VirtualKeys own = read_keys(run, m, hooks, b);
    int64_t all = 0;
    d->keys = read_keys(run, other, theirs, b);
    for (int p = 0; p < PART_COUNT; p++)
        for (int l = 0; l < model_layers(m, (Part)p); l++) all += keys_at(&own, p, l);
    if (!all) return err_fail(E_CONFIG, "--do %s: the model has no virtual keys to swap", d->words);
    for (int p = 0; p < PART_COUNT; p++)
        for (int l = 0; l < model_layers(m, (Part)p); l++) {
            int64_t had = keys_at(&own, p, l), has = keys_at(&d->keys, p, l);
            if (has != had)
                return err_fail(E_MISMATCH,
                                "--do %s: it has %lld virtual keys in layer %d of the %s, and the model %lld",
                                d->words, (long long)has, l, part_name((Part)p), (long long)had);
        }
    for (int p = 0; p < PART_COUNT; p++)
        if (hooks_shifted(theirs, (Part)p) != hooks_shifted(hooks, (Part)p))
            return err_fail(E_MISMATCH, "--do %s: it moves positions by %lld in the %s, and the model's by %lld",
                            d->words, (long long)hooks_shifted(theirs, (Part)p), part_name((Part)p),
                            (long long)hooks_shifted(hooks, (Part)p));
    return OK;
}

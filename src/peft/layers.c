/* A list is read item by item into the layers of each stack. */
#include "peft/layers.h"

#include <string.h>

#include "base/rng.h"
#include "base/str.h"
#include "nn/build.h"

static const char RANDOM[] = "random:", TOP[] = "top:", BOTTOM[] = "bottom:";

typedef struct {
    const char *option, *text;
} List;

/* ---- the list */

static Status malformed(const char *item, size_t n, const List *l)
{
    return err_fail(E_CONFIG,
                    "%s: '%.*s' in '%s' is no layer, expected 3, 6-11, top:2, bottom:3, all or *, with encoder: or "
                    "decoder: in front or not",
                    l->option, (int)n, item, l->text);
}

typedef struct {
    int64_t first, last; /* last -1: of the stack */
    bool from_top;       /* counted from the last layer, which is 0 */
} Range;

/* The K of "top:K". */
static bool read_count(int64_t *count, const char *text, const char *word)
{
    return !strncmp(text, word, strlen(word)) && str_int(text + strlen(word), count) && *count > 0;
}

/* "3", "6-11", "top:2", "bottom:3", "all" or "*". */
static bool read_range(Range *r, const char *item, size_t n)
{
    char text[32], *dash;
    int64_t count;
    if (!n || n >= sizeof text) return false;
    memcpy(text, item, n);
    text[n] = 0;
    *r = (Range){0, -1, false};
    if (!strcmp(text, "*") || !strcmp(text, "all")) return true;
    if (read_count(&count, text, TOP) || read_count(&count, text, BOTTOM)) {
        *r = (Range){0, count - 1, *text == *TOP};
        return true;
    }
    dash = strchr(text, '-');
    if (dash) *dash = 0;
    if (!str_int(text, &r->first) || !str_int(dash ? dash + 1 : text, &r->last)) return false;
    return r->first >= 0 && r->last >= r->first;
}

static Status choose(Layers *c, const Model *m, Part part, Range r, const List *l)
{
    int layers = model_layers(m, part);
    int64_t last = r.last < 0 ? layers - 1 : r.last;
    if (last >= layers)
        return err_fail(E_CONFIG, "%s: layer %lld of the %s, which has %d layers, 0 to %d", l->option,
                        (long long)last, part_name(part), layers, layers - 1);
    for (int64_t i = r.first; i <= last; i++) c->on[part][r.from_top ? layers - 1 - i : i] = true;
    return OK;
}

/* The stack that an item names, which is taken off; else it stays as it was. */
static Status read_stack(Part *part, const Model *m, const char **item, size_t *n, const List *l)
{
    for (Part p = PART_ENCODER; p <= PART_DECODER; p++) {
        size_t k = strlen(part_name(p));
        if (*n <= k || strncmp(*item, part_name(p), k) != 0 || (*item)[k] != ':') continue;
        if (!model_layers(m, p))
            return err_fail(E_CONFIG, "%s: this %s model has no %s", l->option, m->config.arch, part_name(p));
        *part = p;
        *item += k + 1, *n -= k + 1;
    }
    return OK;
}

/* "random:2" */
static Status draw(Layers *c, const Model *m, const List *l)
{
    int32_t order[LAYERS_MOST];
    int encoder = model_layers(m, PART_ENCODER), decoder = model_layers(m, PART_DECODER);
    int layers = !encoder || (decoder && decoder < encoder) ? decoder : encoder;
    int64_t count;
    if (!str_int(l->text + strlen(RANDOM), &count) || count < 1 || count > layers)
        return err_fail(E_CONFIG, "%s: '%s', expected %s1 to %s%d", l->option, l->text, RANDOM, RANDOM, layers);
    for (int i = 0; i < layers; i++) order[i] = i;
    rng_shuffle(rng_stream(params_seed(m->params), "peft/blocks"), layers, order);
    for (int i = 0; i < count; i++)
        for (Part p = PART_ENCODER; p <= PART_DECODER; p++)
            if (model_layers(m, p)) c->on[p][order[i]] = true;
    return OK;
}

Status layers_read(Layers *c, const Model *m, const char *option, const char *list)
{
    const List l = {option, list};
    Part stack = PART_ANY;
    const char *item;
    size_t n;
    memset(c, 0, sizeof *c);
    if (!*list) return malformed("", 0, &l);
    if (!strncmp(list, RANDOM, strlen(RANDOM))) return draw(c, m, &l);
    for (const char *rest = list; str_next(&rest, ",|", &item, &n);) {
        Range r;
        const char *whole = item;
        size_t whole_n = n;
        TRY(read_stack(&stack, m, &item, &n, &l));
        if (!read_range(&r, item, n)) return malformed(whole, whole_n, &l);
        for (Part p = PART_ENCODER; p <= PART_DECODER; p++)
            if (model_layers(m, p) && (stack == PART_ANY || stack == p)) TRY(choose(c, m, p, r, &l));
    }
    return OK;
}

/* ---- their contents */

bool layers_have(const Layers *c, Where at)
{
    return at.layer >= 0 && c->on[at.part == PART_CROSS ? PART_DECODER : at.part][at.layer];
}

bool layers_hold(const Layers *c, const Model *m, const Param *p)
{
    return layers_have(c, model_place(m, p));
}

static bool read_quietly(Layers *c, const Model *m, const char *list)
{
    if (!layers_read(c, m, "layers", list)) return true;
    err_clear();
    return false;
}

bool layers_list_has(const Model *m, const char *list, Where at)
{
    Layers c;
    return !list || (read_quietly(&c, m, list) && layers_have(&c, at));
}

bool layers_list_holds(const Model *m, const char *list, const Param *p)
{
    Layers c;
    return !list || (read_quietly(&c, m, list) && layers_hold(&c, m, p));
}

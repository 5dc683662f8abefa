/* The linear layers of a model know their places, and the name of each shows where the names of its layer begin. */
#include "peft/blocks.h"

#include <stdio.h>
#include <string.h>

#include "base/rng.h"
#include "base/str.h"
#include "peft/peft.h"

enum { STACKS = PART_DECODER + 1, LAYERS_MOST = 4096 }; /* config_check() refuses more */
static const char RANDOM[] = "random:";

typedef struct {
    bool on[STACKS][LAYERS_MOST];
} Chosen;

/* ---- the list */

static Status malformed(const char *item, size_t n, const char *list)
{
    return err_fail(E_CONFIG,
                    "blocks: '%.*s' in '%s' is no layer, expected 3, 6-11 or *, with encoder: or decoder: in "
                    "front or not",
                    (int)n, item, list);
}

/* "3", "6-11" or "*": the first and the last; last -1: of the stack. */
static bool read_range(int64_t *first, int64_t *last, const char *item, size_t n)
{
    char text[32], *dash;
    if (!n || n >= sizeof text) return false;
    memcpy(text, item, n);
    text[n] = 0;
    *first = 0, *last = -1;
    if (!strcmp(text, "*")) return true;
    dash = strchr(text, '-');
    if (dash) *dash = 0;
    if (!str_int(text, first) || !str_int(dash ? dash + 1 : text, last)) return false;
    return *first >= 0 && *last >= *first;
}

static Status choose(Chosen *c, const Model *m, Part part, int64_t first, int64_t last)
{
    int layers = model_layers(m, part);
    if (last < 0) last = layers - 1;
    if (last >= layers)
        return err_fail(E_CONFIG, "blocks: layer %lld of the %s, which has %d layers, 0 to %d", (long long)last,
                        part_name(part), layers, layers - 1);
    for (int64_t i = first; i <= last; i++) c->on[part][i] = true;
    return OK;
}

/* The stack that an item names, which is taken off; else it stays as it was. */
static Status read_stack(Part *part, const Model *m, const char **item, size_t *n)
{
    for (Part p = PART_ENCODER; p <= PART_DECODER; p++) {
        size_t k = strlen(part_name(p));
        if (*n <= k || strncmp(*item, part_name(p), k) != 0 || (*item)[k] != ':') continue;
        if (!model_layers(m, p))
            return err_fail(E_CONFIG, "blocks: this %s model has no %s", m->config.arch, part_name(p));
        *part = p;
        *item += k + 1, *n -= k + 1;
    }
    return OK;
}

/* "random:2" */
static Status draw(Chosen *c, const Model *m, const char *list)
{
    int32_t order[LAYERS_MOST];
    int encoder = model_layers(m, PART_ENCODER), decoder = model_layers(m, PART_DECODER);
    int layers = !encoder || (decoder && decoder < encoder) ? decoder : encoder;
    int64_t count;
    if (!str_int(list + strlen(RANDOM), &count) || count < 1 || count > layers)
        return err_fail(E_CONFIG, "blocks: '%s', expected %s1 to %s%d", list, RANDOM, RANDOM, layers);
    for (int i = 0; i < layers; i++) order[i] = i;
    rng_shuffle(rng_stream(params_seed(m->params), "peft/blocks"), layers, order);
    for (int i = 0; i < count; i++)
        for (Part p = PART_ENCODER; p <= PART_DECODER; p++)
            if (model_layers(m, p)) c->on[p][order[i]] = true;
    return OK;
}

static Status read_list(Chosen *c, const Model *m, const char *list)
{
    Part stack = PART_ANY;
    const char *item;
    size_t n;
    memset(c, 0, sizeof *c);
    if (!*list) return malformed("", 0, list);
    if (!strncmp(list, RANDOM, strlen(RANDOM))) return draw(c, m, list);
    for (const char *rest = list; str_next(&rest, ",|", &item, &n);) {
        int64_t first, last;
        const char *whole = item;
        size_t whole_n = n;
        TRY(read_stack(&stack, m, &item, &n));
        if (!read_range(&first, &last, item, n)) return malformed(whole, whole_n, list);
        for (Part p = PART_ENCODER; p <= PART_DECODER; p++)
            if (model_layers(m, p) && (stack == PART_ANY || stack == p)) TRY(choose(c, m, p, first, last));
    }
    return OK;
}

/* ---- parameters */

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

static Part stack_of(const Linear *l)
{
    return l->at.part == PART_CROSS ? PART_DECODER : l->at.part;
}

static bool is_in(const Chosen *c, const Model *m, const Param *p)
{
    for (int i = 0; i < m->n_linears; i++) {
        const Linear *l = &m->linears[i];
        if (c->on[stack_of(l)][l->at.layer] && !strncmp(p->name, l->name, stem_of(l))) return true;
    }
    return false;
}

Status blocks_check(const Model *m, const char *list)
{
    Chosen c;
    return read_list(&c, m, list);
}

Status blocks_train(Model *m, const char *list)
{
    Chosen c;
    TRY(read_list(&c, m, list));
    for (int i = 0; i < params_n(m->params); i++)
        if (is_in(&c, m, params_at(m->params, i))) param_train(params_at(m->params, i), true);
    return OK;
}

int64_t blocks_count(const Model *m, const char *list)
{
    Chosen c;
    int64_t n = 0;
    if (read_list(&c, m, list)) {
        err_clear();
        return 0;
    }
    for (int i = 0; i < params_n(m->params); i++)
        if (is_in(&c, m, params_at(m->params, i))) n += tensor_count(params_at(m->params, i)->val);
    return n;
}

/* ---- as a method: the same layers without any other */

static void defaults(PeftConfig *cfg, const Config *c)
{
    (void)c;
    cfg->blocks = "*";
}

/* peft_attach() makes them trainable, as it does beside other methods. */
static Status attach(Model *m, Hooks *hooks, const PeftConfig *cfg)
{
    (void)m, (void)hooks;
    return cfg->blocks ? OK : err_fail(E_CONFIG, "blocks: no layers are chosen, expected blocks=6-11 or the like");
}

static int64_t count(const Model *m, const PeftConfig *cfg)
{
    return cfg->blocks ? blocks_count(m, cfg->blocks) : 0;
}

const Peft PEFT_BLOCKS = {
    .name = "blocks",
    .summary = "train whole layers and nothing else; beside another method: its option blocks",
    .source = "Lee et al., What Would Elsa Do? Freezing Layers During Transformer Fine-Tuning, 2019",
    .defaults = defaults,
    .attach = attach,
    .count = count,
    .changes_base = true,
    .lr = 5e-5,
    .small_lr = 3e-4,
};
REGISTER(peft, PEFT_BLOCKS)

/* Passes that begin above the trunk.  The rows of a batch are looked up one by one; a text that is not there passes
 * through the trunk alone, in a batch of its own. */
#include "nn/trunk.h"

#include <string.h>

#include "base/str.h"
#include "nn/build.h"
#include "nn/config.h"
#include "nn/trunk_store.h"
#include "num/bf16.h"
#include "num/gemm.h"
#include "num/kernels.h"

const char *const TRUNK_KEEP[] = {"auto", "off", "memory", "file", NULL};

struct Trunk {
    Entry entry;
    Model *model;
    const Hooks *hooks;
    int n_hooks;
    int depth[PART_COUNT];
    Part part; /* of the stack whose results are kept */
    Store *store;
    TrunkCount count;
};

static bool has_source(const Model *m)
{
    return m->arch->encode != NULL;
}

/* ---- how deep it is */

void trunk_depth(int depth[PART_COUNT], Model *m, const Hooks *hooks)
{
    enum { TOKENS = 4 };
    const int room = config_room(&m->config);
    const int64_t t = room && room < TOKENS ? room : TOKENS;
    Arena step = arena_open((size_t)1 << 36);
    int32_t *ids = NEW(&step, int32_t, TOKENS); /* any token will do */
    Below below = {.frozen = depth};
    Pass p = {.tape = tape_open(&step, true), .hooks = hooks, .below = &below};
    Batch x = {.b = 1, .t = t, .ids = ids};
    for (int i = 0; i < PART_COUNT; i++) depth[i] = 0;
    if (has_source(m)) x.src = ids, x.s = t;
    model_hidden(m, &p, &x);
    depth[PART_CROSS] = depth[PART_DECODER];
    arena_close(&step);
}

/* ---- the key of a text */

/* One text of the batch as a batch of its own, without its padding. */
static Batch text_of(const Batch *x, int64_t i, bool source)
{
    if (source) {
        int64_t n = x->src_len ? x->src_len[i] : x->s;
        return (Batch){.b = 1, .s = n, .src = x->src + i * x->s};
    }
    bool masked = x->mask || x->sees;
    int64_t n = x->len && !masked ? x->len[i] : x->t;
    Batch y = {.b = 1, .t = n, .ids = x->ids + i * x->t, .causal = x->causal};
    if (masked && x->len) y.len = x->len + i;
    if (x->mask) y.mask = x->mask + i * x->t;
    if (x->sees) y.sees = x->sees + i * x->t * x->t;
    if (x->position) y.position = x->position + i * x->t;
    if (x->type) y.type = x->type + i * x->t;
    if (x->span) y.span = x->span + 2 * i * x->t;
    return y;
}

static void add_array(Sha256 *h, const char *name, const void *bytes, int64_t n)
{
    if (!bytes) return;
    sha256_add(h, name, strlen(name) + 1);
    sha256_add(h, bytes, (size_t)n);
}

static Sha256Hex key_of(const Batch *x)
{
    Sha256 h = sha256_begin();
    const int64_t sizes[] = {x->t, x->s, x->causal};
    sha256_add(&h, sizes, sizeof sizes);
    add_array(&h, "ids", x->ids, 4 * x->t);
    add_array(&h, "src", x->src, 4 * x->s);
    add_array(&h, "len", x->len, 4);
    add_array(&h, "mask", x->mask, x->t);
    add_array(&h, "sees", x->sees, x->t * x->t);
    add_array(&h, "position", x->position, 4 * x->t);
    add_array(&h, "type", x->type, 4 * x->t);
    add_array(&h, "span", x->span, 8 * x->t);
    return sha256_end(&h);
}

/* ---- a pass */

/* The rows of one text (T,C), on the step arena. */
static Tensor compute(Trunk *t, Arena *step, Batch x)
{
    Tensor out = {0};
    Below below = {.part = t->part, .layers = t->depth[t->part], .out = &out};
    Pass p = {.tape = tape_open(step, false), .hooks = t->hooks, .below = &below};
    if (x.src)
        model_encode(t->model, &p, &x);
    else
        model_hidden(t->model, &p, &x);
    CHECK(out.data && out.dim[1] == (x.src ? x.s : x.t), "a trunk of %d layers made %s", below.layers,
          tensor_shape(out));
    return tensor_at(out, 0);
}

/* Puts the rows of text i to the beginning of its rows in `to` (T,C), whose rest is zero. */
static void fill(Trunk *t, Arena *step, const Batch *x, int64_t i, Tensor to)
{
    Batch one = text_of(x, i, has_source(t->model));
    Sha256Hex key = key_of(&one);
    int64_t rows = one.src ? one.s : one.t;
    size_t bytes = (size_t)rows * tensor_bytes(to) / (size_t)to.dim[0];
    if (store_get(t->store, &key, rows, to.data)) {
        t->count.found++;
        return;
    }
    ArenaMark mark = arena_mark(step);
    memcpy(to.data, compute(t, step, one).data, bytes);
    arena_drop(step, mark);
    store_put(t->store, &key, rows, to.data);
    t->count.computed++;
}

static Tensor gather(Trunk *t, Arena *step, const Batch *x)
{
    const Model *m = t->model;
    Tensor all = tensor_zero(step, params_dtype(m->params), SHAPE(x->b, has_source(m) ? x->s : x->t, m->config.dim));
    for (int64_t i = 0; i < x->b; i++) fill(t, step, x, i, tensor_at(all, i));
    return all;
}

static void enter(Entry *e, Pass *p, const Batch *x)
{
    Trunk *t = (Trunk *)e; /* its first member */
    if (p->below || p->cache || p->hooks != t->hooks || hooks_n(p->hooks) != t->n_hooks) return;
    Arena *step = tape_arena(p->tape);
    Below *below = NEW(step, Below, 1);
    memcpy(below->quiet, t->depth, sizeof below->quiet);
    below->part = t->part;
    if (has_source(t->model) ? x->src != NULL : x->ids != NULL) {
        below->layers = t->depth[t->part];
        below->in = gather(t, step, x);
    }
    p->below = below;
}

/* ---- opening */

/* Whether the trunk reads the parameter: no head's, no method's, and none of the layers above. */
static bool is_read(const Trunk *t, const Param *p)
{
    if (!strncmp(p->name, "peft.", 5) || build_is_any_head(p->name)) return false;
    Where at = model_place(t->model, p);
    return at.layer < 0 || (at.part == t->part && at.layer < t->depth[t->part]);
}

/* All that the trunk's result depends on but the text: shape, weights, depth, and the kernels of this machine. */
static const char *weights_key(Trunk *t, Arena *run)
{
    Model *m = t->model;
    Sha256 h = sha256_begin();
    cJSON *config = config_write(&m->config, m->arch);
    char *text = json_printed(config, true);
    const char *head =
        str_print(run, "trunk 1; %s; %s %s %s; %s %d; shift %lld; %s", text ? text : "", kernels_name(), gemm_name(),
                  bf16_used() ? bf16_name() : "f32", part_name(t->part), t->depth[t->part],
                  (long long)hooks_shifted(t->hooks, t->part), dtype_name(params_dtype(m->params)));
    sha256_add(&h, head, strlen(head));
    cJSON_free(text);
    cJSON_Delete(config);
    for (int i = 0; i < params_n(m->params); i++) {
        const Param *p = params_at(m->params, i);
        if (!is_read(t, p)) continue;
        const char *line = str_print(run, "; %s %s %s ", p->name, dtype_name(p->val.dtype), tensor_shape(p->val));
        sha256_add(&h, line, strlen(line));
        sha256_add(&h, p->val.data, tensor_bytes(p->val));
    }
    Sha256Hex key = sha256_end(&h);
    return str_copy(run, key.hex, strlen(key.hex));
}

Status trunk_open(Trunk **out, Arena *run, Model *m, const Hooks *hooks, const TrunkPlan *plan)
{
    CHECK(!m->entry, "a model is given a second trunk");
    Trunk *t = *out = NEW(run, Trunk, 1);
    *t = (Trunk){.model = m, .hooks = hooks, .n_hooks = hooks_n(hooks)};
    t->part = m->encoder ? PART_ENCODER : PART_DECODER;
    trunk_depth(t->depth, m, hooks);
    if (!t->depth[t->part]) return OK;
    size_t row = (size_t)m->config.dim * dtype_size(params_dtype(m->params));
    t->store = store_open(run, plan, plan->keep == TRUNK_FILE ? weights_key(t, run) : NULL, row);
    t->entry.enter = enter;
    m->entry = &t->entry;
    return OK;
}

int trunk_layers(const Trunk *t)
{
    return t->depth[t->part];
}

TrunkCount trunk_count(const Trunk *t)
{
    return t->count;
}

void trunk_close(Trunk *t)
{
    if (!t || !t->store) return;
    store_close(t->store);
    t->store = NULL;
    t->model->entry = NULL;
}

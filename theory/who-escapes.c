/* theory/who-escapes: which methods of fine-tuning escape the limits of a prefix, and how each avoids them.
 *
 * Claim    A prefix, free, tied or a soft prompt, leaves content attention of layer 1 as it was and only adds
 *          vectors.  LoRA on queries or keys changes the logits by a form of rank r, on both of rank 2r; on values,
 *          outputs or the feed-forward, and adapters after the sublayers, it leaves layer 1's attention alone and
 *          changes the output for the same attention.  IA3 re-weights the coordinates of keys.  A bias of Q is not
 *          harmless, one of K is. Virtual tokens behind the content change nothing for the content, but have queries
 *          of their own.
 * Method   One random two-layer GPT-2 in F64.  Every method is attached and all that it may train is moved at
 *          random. Measured in layer 1: content attention; rank of the row-centred change of logits, per head; the
 *          attention sublayer's output when the base model's weights are imposed on it, its change split into a
 *          constant and a part that depends on content; the feed-forward's output for the base model's input; rank of
 *          the output of attention minus (1 - a) times the base model's.  In layer 2: content attention.
 * Expect   The table below, cell by cell.  How far LoRA and a suffix's own queries reach: theory/attention-reach.
 * Cost     a second; ten seconds; a minute.
 * Source   Petrov, Torr and Bibi (ICLR 2024), section 4, for prefixes; the other rows follow from where each
 *          method's parameters sit.
 *
 * Not shown: the result of training, or which change a task needs. A zero here is a theorem; a change
 * only shows that the way is open. */
#include <math.h>
#include <string.h>

#include "base/rng.h"
#include "base/str.h"
#include "measure/observe.h"
#include "num/gemm.h"
#include "num/linalg.h"
#include "plot/plot.h"
#include "run/experiment.h"
#include "theory/subject.h"

enum { DIM = 32, HEADS = 4, HEAD_DIM = DIM / HEADS, LAYERS = 2, TOKENS = 16, ROWS = 8 };
enum { SLOTS = 3, RANK = 2, BOTTLENECK = 3 };

/* ---- the table */

typedef enum { ATTENTION_1, ATTENTION_2, CONSTANT, CONTENT, FEED, CHANGES } Change_; /* the changes measured */
typedef enum { LOGITS, ADDED, RANKS } Rank_;                                         /* and the ranks */
static const char *const CHANGE[CHANGES] = {"attention, layer 1", "attention, layer 2", "values, constant",
                                            "values, by content", "feed-forward"};
static const char *const RANKED[RANKS] = {"logits", "attention adds"};

typedef struct {
    const char *name, *method; /* method NULL: done by hand below */
    const char *how;           /* its options; by hand: what is done */
    bool moves[CHANGES];
    int rank[RANKS];
} Row;
static const Row TABLE[] = {
    /*                                                     layer 1  layer 2  const  content  feed     logits  added */
    {"prefix, free", "prefix", NULL, {false, true, false, false, false}, {0, HEADS *SLOTS}},
    {"prefix, tied", "prefix", "kind=tied", {false, true, false, false, false}, {0, HEADS *SLOTS}},
    {"soft prompt", "prompt", NULL, {false, true, false, false, false}, {0, HEADS *SLOTS}},
    {"suffix", NULL, "suffix", {false, false, false, false, false}, {0, 0}},
    {"LoRA Q", "lora", "target=*.q", {true, true, false, false, false}, {RANK, DIM}},
    {"LoRA K", "lora", "target=*.k", {true, true, false, false, false}, {RANK, DIM}},
    {"LoRA Q, K", "lora", "target=*.q|*.k", {true, true, false, false, false}, {2 * RANK, DIM}},
    {"LoRA V", "lora", "target=*.v", {false, true, true, true, false}, {0, HEADS *RANK}},
    {"LoRA O", "lora", "target=*.attn.c_proj", {false, true, true, true, false}, {0, RANK}},
    {"LoRA MLP", "lora", "target=*.mlp.*", {false, true, false, false, true}, {0, 0}},
    {"adapters, Houlsby", "houlsby", NULL, {false, true, true, true, true}, {0, BOTTLENECK}},
    {"adapters, Pfeiffer", "pfeiffer", NULL, {false, true, false, false, true}, {0, 0}},
    {"adapters, parallel", "parallel", NULL, {false, true, false, false, true}, {0, 0}},
    {"IA3", "ia3", NULL, {true, true, true, true, true}, {HEAD_DIM, DIM}},
    {"bias of Q", NULL, "query", {true, true, false, false, false}, {1, DIM}},
    {"bias of K", NULL, "key", {false, false, false, false, false}, {0, 0}},
    {"BitFit", "bitfit", NULL, {true, true, true, false, true}, {1, DIM}},
    {"full", "full", NULL, {true, true, true, true, true}, {2 * HEAD_DIM, DIM}},
};
enum { METHODS = sizeof TABLE / sizeof *TABLE };

/* ---- tensors of the content alone: a pass may have rows before it (a prompt) and behind it (a suffix) */

/* The last n + behind rows of (B,T,C), without the last `behind`: (B*n,C). */
static Tensor content_rows(Arena *a, Tensor x, int64_t n, int64_t behind)
{
    int64_t b = x.dim[0], t = x.dim[1], c = x.dim[2];
    Tensor out = tensor_new(a, F64, SHAPE(b * n, c));
    for (int64_t i = 0; i < b * n * c; i++) {
        int64_t row = i / c % n + t - behind - n;
        tensor_set(out, i, tensor_get(x, (i / (n * c) * t + row) * c + i % c));
    }
    return out;
}

/* The inverse: rows (B*n,C) at their positions in (B,T,C), zeros elsewhere. */
static Tensor among_rows(Arena *a, Tensor x, Tensor like, int64_t n, int64_t behind)
{
    int64_t t = like.dim[1], c = like.dim[2];
    Tensor out = tensor_zero(a, F64, 3, like.dim);
    for (int64_t i = 0; i < tensor_count(x); i++) {
        int64_t row = i / c % n + t - behind - n;
        tensor_set(out, (i / (n * c) * t + row) * c + i % c, tensor_get(x, i));
    }
    return out;
}

/* Weights (B,H,T,S): the content's queries, and all keys but those behind. */
static Tensor content_map(Arena *a, Tensor x, int64_t n, int64_t behind)
{
    int64_t t = x.dim[2], s = x.dim[3], keys = s - behind;
    Tensor out = tensor_new(a, F64, SHAPE(x.dim[0], x.dim[1], n, keys));
    for (int64_t i = 0; i < tensor_count(out); i++) {
        int64_t row = i / keys % n + t - behind - n;
        tensor_set(out, i, tensor_get(x, (i / (n * keys) * t + row) * s + i % keys));
    }
    return out;
}

/* The inverse for the base model's weights (B,H,n,n): the content's at their positions, zeros elsewhere. */
static Tensor among_keys(Arena *a, Tensor x, Tensor like, int64_t behind)
{
    int64_t n = x.dim[3], t = like.dim[2], s = like.dim[3];
    Tensor out = tensor_zero(a, F64, 4, like.dim);
    for (int64_t i = 0; i < tensor_count(x); i++) {
        int64_t row = i / n % n + t - behind - n, key = i % n + s - behind - n;
        tensor_set(out, (i / (n * n) * t + row) * s + key, tensor_get(x, i));
    }
    return out;
}

/* ---- a model's attention and outputs on the content */

typedef struct {
    Seen seen[LAYERS]; /* probs of the content's queries */
    Tensor heads;      /* (B*n,C) of layer 1 */
    Tensor q, k;       /* (B*n,C) of layer 1 */
    Tensor join;       /* (B*n,C) the output of layer 1's attention, added to the residual stream */
    Tensor held;       /* the same with the base model's weights imposed */
    Tensor fed;        /* (B*n,C) the output of its feed-forward for the base model's input */
} Trace;

typedef struct {
    Model *m;
    Hooks *hooks;
    Batch batch;
    int64_t extra, behind; /* keys in front of the content, tokens behind it */
    int moved;             /* positions by which the content moves */
} Tuned;

typedef struct { /* a hook that replaces the values of the content's rows by the base model's */
    const Trace *base;
    int64_t behind;
} Hold;

static Var *hold_weights(Pass *p, Where at, Var *in, Var *out, void *user)
{
    (void)at, (void)in;
    const Hold *h = user;
    return tape_leaf(p->tape, among_keys(tape_arena(p->tape), h->base->seen[0].probs, out->val, h->behind));
}

static Var *hold_join(Pass *p, Where at, Var *in, Var *out, void *user)
{
    (void)at, (void)in;
    const Hold *h = user;
    return tape_leaf(p->tape, among_rows(tape_arena(p->tape), h->base->join, out->val, TOKENS, h->behind));
}

static Tensor one_value(Tensor seen, Arena *run, const Tuned *x)
{
    return content_rows(run, seen, TOKENS, x->behind);
}

/* A free pass; then one with the base model's weights and, behind attention, its residual stream.  base NULL: this is
 * the base model. */
static void follow(Trace *out, Arena *run, const Tuned *x, const Trace *base)
{
    int before = hooks_n(x->hooks);
    static const Site SITE[] = {SITE_Q, SITE_KEYS, SITE_ATTN_JOIN, SITE_FFN_JOIN};
    Capture free[4];
    for (int i = 0; i < 4; i++) {
        free[i] = (Capture){.arena = run};
        hook_observe(x->hooks, (Where){SITE[i], 0, PART_DECODER}, hook_capture, &free[i]);
    }
    measure_pass(out->seen, run, x->m, x->hooks, PART_DECODER, &x->batch);
    hooks_clear_from(x->hooks, before);
    for (int l = 0; l < LAYERS; l++) out->seen[l].probs = content_map(run, out->seen[l].probs, TOKENS, x->behind);
    out->heads = content_rows(run, out->seen[0].heads, TOKENS, x->behind);
    out->q = one_value(free[0].value, run, x), out->k = one_value(free[1].value, run, x);
    out->join = out->held = one_value(free[2].value, run, x), out->fed = one_value(free[3].value, run, x);
    if (!base) return;

    Hold hold = {base, x->behind};
    Capture held = {.arena = run};
    hook_add(x->hooks, (Where){SITE_PROBS, 0, PART_DECODER}, hold_weights, &hold);
    hook_observe(x->hooks, (Where){SITE_ATTN_JOIN, 0, PART_DECODER}, hook_capture, &held);
    hook_add(x->hooks, (Where){SITE_ATTN_JOIN, 0, PART_DECODER}, hold_join, &hold);
    Tensor fed = observe_one(run, x->m, x->hooks, &x->batch, (Where){SITE_FFN_JOIN, 0, PART_DECODER});
    hooks_clear_from(x->hooks, before);
    out->held = one_value(held.value, run, x), out->fed = one_value(fed, run, x);
}

/* ---- the methods, each moved at random */

static void stir(Param *p, int64_t first, int64_t n, double sd, uint64_t seed)
{
    uint64_t stream = rng_stream(seed, p->name);
    for (int64_t i = first; i < first + n; i++)
        tensor_set(p->val, i, tensor_get(p->val, i) + sd * rng_normal(stream, (uint64_t)i));
}

static void by_hand(Tuned *x, Arena *run, const Row *row, double sd, uint64_t seed)
{
    if (!strcmp(row->how, "suffix")) {
        Tensor *v = NEW(run, Tensor, 1);
        *v = tensor_new(run, F64, SHAPE(x->batch.b, SLOTS, DIM));
        for (int64_t i = 0; i < tensor_count(*v); i++) tensor_set(*v, i, rng_normal(seed, (uint64_t)i));
        x->behind = SLOTS;
        x->batch = longer_batch(run, x->batch, SLOTS);
        hook_add(x->hooks, (Where){SITE_EMBED, LAYER_EMBED, PART_DECODER}, append_vectors, v);
        return;
    }
    for (int l = 0; l < LAYERS; l++) {
        const Linear *w = model_linear(x->m, (Where){strcmp(row->how, "key") ? SITE_Q : SITE_K, l, PART_DECODER});
        stir(w->b, w->first, w->out, sd, seed);
    }
}

static Status tune(Tuned *x, Arena *run, const Row *row, double sd, uint64_t seed)
{
    x->hooks = hooks_new(run);
    if (!row->method) {
        by_hand(x, run, row, sd, seed);
        return OK;
    }
    const Peft *method = peft_find(row->method);
    PeftConfig c = {0};
    method->defaults(&c, &x->m->config);
    c.rank = RANK, c.alpha = RANK, c.width = BOTTLENECK, c.length = SLOTS;
    TRY(peft_set(&c, run, row->how));
    TRY(peft_attach(method, x->m, x->hooks, &c));
    for (int i = 0; i < params_n(x->m->params); i++) {
        Param *p = params_at(x->m->params, i);
        if (p->trainable) stir(p, 0, tensor_count(p->val), sd, seed);
    }
    x->extra = peft_virtual_tokens(method, &c);
    x->moved = method->positions ? method->positions(&c) : 0;
    return OK;
}

/* ---- the quantities */

typedef struct {
    double change[CHANGES];
    int64_t rank[RANKS];
} Found;

static double largest(Tensor x)
{
    double most = 0;
    for (int64_t i = 0; i < tensor_count(x); i++) most = fmax(most, fabs(tensor_get(x, i)));
    return most;
}

static Tensor minus(Arena *a, Tensor x, Tensor y)
{
    Tensor d = tensor_new(a, F64, x.rank, x.dim);
    for (int64_t i = 0; i < tensor_count(d); i++) tensor_set(d, i, tensor_get(x, i) - tensor_get(y, i));
    return d;
}

static Tensor take_mean(Arena *a, Tensor x) /* of the rows of x, which loses it */
{
    int64_t n = x.dim[0], c = x.dim[1];
    Tensor mean = tensor_zero(a, F64, SHAPE(c));
    for (int64_t i = 0; i < n * c; i++)
        tensor_set(mean, i % c, tensor_get(mean, i % c) + tensor_get(x, i) / (double)n);
    for (int64_t i = 0; i < n * c; i++) tensor_set(x, i, tensor_get(x, i) - tensor_get(mean, i % c));
    return mean;
}

/* q_h k_h' of one head, over all pairs of tokens of the probe, row-centred: (B*n,B*n). */
static Tensor logits(Arena *a, const Trace *x, int head)
{
    int64_t n = x->q.dim[0];
    Tensor out = tensor_new(a, F64, SHAPE(n, n));
    gemm_parallel(F64, n, n, HEAD_DIM, 1 / sqrt(HEAD_DIM), (Mat){tensor_place(x->q, head * HEAD_DIM), DIM, false},
                  (Mat){tensor_place(x->k, head * HEAD_DIM), DIM, true}, 0, out.data, n);
    for (int64_t i = 0; i < n; i++) {
        double mean = 0;
        for (int64_t j = 0; j < n; j++) mean += tensor_get(out, i * n + j) / (double)n;
        for (int64_t j = 0; j < n; j++) tensor_set(out, i * n + j, tensor_get(out, i * n + j) - mean);
    }
    return out;
}

/* Singular values of d above rounding, relative to the matrix that d changes. */
static Status rank_beside(int64_t *out, Arena *a, Tensor d, Tensor whole)
{
    Tensor s, scale;
    TRY(linalg_singular(&s, a, d));
    TRY(linalg_singular(&scale, a, whole));
    *out = 0;
    while (*out < tensor_count(s) && tensor_get(s, *out) > 1e-10 * tensor_get(scale, 0)) ++*out;
    return OK;
}

/* The output of attention minus (1 - a) times the base model's, per head, without constants. */
static Tensor added(Arena *a, const Trace *x, int64_t extra, const Trace *base, const Model *m)
{
    const Linear *o = model_linear(m, (Where){SITE_ATTN_OUT, 0, PART_DECODER});
    Tensor mass = measure_mass(a, (Map){.seen = &x->seen[0], .extra = extra}), scaled = tensor_copy(a, base->heads);
    for (int64_t i = 0; i < tensor_count(scaled); i++) {
        int64_t row = i / DIM, head = i % DIM / HEAD_DIM;
        double left = tensor_get(mass, (row / TOKENS * HEADS + head) * TOKENS + row % TOKENS);
        tensor_set(scaled, i, left * tensor_get(scaled, i));
    }
    Tensor d = minus(a, x->join, measure_projected(a, m, (Where){.part = PART_DECODER}, scaled, -1));
    for (int64_t i = 0; i < tensor_count(d); i++) tensor_set(d, i, tensor_get(d, i) - tensor_get(o->b->val, i % DIM));
    take_mean(a, d);
    return d;
}

static Status compare(Found *out, Arena *step, const Trace *x, int64_t extra, const Trace *base, const Model *m)
{
    ArenaMark mark = arena_mark(step);
    for (int l = 0; l < LAYERS; l++)
        out->change[l ? ATTENTION_2 : ATTENTION_1] =
            measure_change((Map){.seen = &x->seen[l], .extra = extra}, (Map){.seen = &base->seen[l]}, -1).gap;
    Tensor held = minus(step, x->held, base->join);
    out->change[CONSTANT] = largest(take_mean(step, held)) / largest(base->join);
    out->change[CONTENT] = largest(held) / largest(base->join);
    out->change[FEED] = largest(minus(step, x->fed, base->fed)) / largest(base->fed);
    for (int h = 0; h < HEADS; h++) {
        Tensor before = logits(step, base, h);
        int64_t rank;
        TRY(rank_beside(&rank, step, minus(step, logits(step, x, h), before), before));
        if (!h || rank > out->rank[LOGITS]) out->rank[LOGITS] = rank;
    }
    TRY(rank_beside(&out->rank[ADDED], step, added(step, x, extra, base, m), base->join));
    arena_drop(step, mark);
    return OK;
}

static NetShape net_shape(bool bare)
{
    return (NetShape){.dim = DIM,
                      .heads = HEADS,
                      .layers = LAYERS,
                      .vocab = 32,
                      .tokens = TOKENS,
                      .rows = ROWS,
                      .spare = 8,
                      .bare = bare,
                      .init_sd = 0.25};
}

static Status one_method(Found *out, Arena *step, const Row *row, uint64_t seed, double sd)
{
    Arena run = arena_open(0);
    Subject base, tuned;
    TRY(subject_random(&base, &run, net_shape(false), F64, seed));
    TRY(subject_random(&tuned, &run, net_shape(false), F64, seed));
    Tuned plain = {.m = base.m, .hooks = hooks_new(&run), .batch = base.batch},
          x = {.m = tuned.m, .batch = tuned.batch};
    TRY(tune(&x, &run, row, sd, seed));
    if (x.moved) hooks_shift(plain.hooks, PART_DECODER, x.moved);
    Trace before, after;
    follow(&before, &run, &plain, NULL);
    follow(&after, &run, &x, &before);
    TRY(compare(out, step, &after, x.extra, &before, base.m));
    arena_close(&run);
    return OK;
}

/* ---- figures */

static bool as_told(const Row *row, int c, double x)
{
    return row->moves[c] ? x > 1e-6 : x < 1e-12;
}

/* Of all seeds, the value nearest to contradicting the table. */
static double telling(const Found *found, int seeds, int method, int c)
{
    double x = found[method].change[c];
    for (int i = 1; i < seeds; i++) {
        double y = found[i * METHODS + method].change[c];
        x = TABLE[method].moves[c] ? fmin(x, y) : fmax(x, y);
    }
    return x;
}

static Status draw_changes(Run *r, const Found *found, int seeds, const char *const *name)
{
    Arena *a = run_arena(r);
    Tensor change = tensor_new(a, F64, SHAPE(METHODS, CHANGES));
    for (int m = 0; m < METHODS; m++)
        for (int c = 0; c < CHANGES; c++)
            tensor_set(change, m * CHANGES + c, log10(fmax(telling(found, seeds, m, c), 1e-17)));
    Fig *f = run_figure(
        r, "changes",
        str_print(a,
                  "Changes, as log10, when all parameters of a method are moved at random. Attention: largest change "
                  "of a weight among the content. The other columns are of layer 1 with the base model's attention "
                  "weights imposed: output of attention, its constant part and the part that depends on content, and "
                  "of the feed-forward for the base model's input, relative to the largest entry. Exact zeros stand "
                  "at -17. Of %d seeds, the value nearest to contradicting the theory.",
                  seeds),
        400, 330);
    fig_heatmap(f, fig_whole(f), change,
                (HeatStyle){.lo = -17,
                            .hi = 1,
                            .row = name,
                            .col = CHANGE,
                            .values = true,
                            .stretch = true,
                            .bar = true,
                            .bar_title = "log10 of the change"});
    return fig_close(f);
}

static Status draw_ranks(Run *r, const Found *found, const char *const *name)
{
    Arena *a = run_arena(r);
    Tensor rank = tensor_new(a, F64, SHAPE(METHODS, RANKS));
    for (int m = 0; m < METHODS; m++)
        for (int k = 0; k < RANKS; k++) tensor_set(rank, m * RANKS + k, (double)found[m].rank[k]);
    Fig *f =
        run_figure(r, "ranks",
                   str_print(a,
                             "Ranks in layer 1, first seed: of the change of a head's logits, rows centred; of the "
                             "output of attention minus the base model's, which is scaled by the content's mass "
                             "under the prefix. Hidden size %d, %d heads of size %d, %d virtual tokens, LoRA of rank "
                             "%d, bottleneck %d.",
                             DIM, HEADS, HEAD_DIM, SLOTS, RANK, BOTTLENECK),
                   252, 300);
    fig_heatmap(f, fig_whole(f), rank,
                (HeatStyle){.hi = DIM, .row = name, .col = RANKED, .values = true, .whole = true, .stretch = true});
    return fig_close(f);
}

/* ---- the experiment */

static Status table(Run *r, Found *found, int *agree, int *cells)
{
    Arena step = arena_open(0);
    *agree = *cells = 0;
    for (int i = 0; i < run_seeds(r); i++)
        for (int m = 0; m < METHODS; m++) {
            if (run_stopped()) return run_interrupted();
            const Row *row = &TABLE[m];
            Found *f = &found[i * METHODS + m];
            TRY(one_method(f, &step, row, run_seed(r, i), run_real(r, "strength")));
            for (int c = 0; c < CHANGES; c++, ++*cells) {
                *agree += as_told(row, c, f->change[c]);
                run_metric(r, RANGE_POSITIVE, str_print(run_arena(r), "%s: %s", row->name, CHANGE[c]), i,
                           f->change[c]);
            }
            for (int k = 0; k < RANKS; k++, ++*cells) {
                *agree += f->rank[k] == row->rank[k];
                run_metric(r, RANGE_EXTREME, str_print(run_arena(r), "%s: rank, %s", row->name, RANKED[k]), i,
                           (double)f->rank[k]);
            }
            run_progress(r, "methods", i * METHODS + m + 1, run_seeds(r) * METHODS, NAN);
        }
    arena_close(&step);
    return OK;
}

static Status run(Run *r)
{
    int agree, cells;
    Found *found = NEW(run_arena(r), Found, run_seeds(r) * METHODS);
    TRY(table(r, found, &agree, &cells));
    const char *name[METHODS];
    for (int m = 0; m < METHODS; m++) name[m] = TABLE[m].name;
    TRY(draw_changes(r, found, run_seeds(r), name));
    TRY(draw_ranks(r, found, name));
    run_note(
        r,
        "A causal net: the content does not see a suffix. Where it does, in an encoder, a suffix is a prefix to it.");
    run_note(r, "Random moves: a change shows that the way is open, not that training takes it.");
    run_verdict(r, agree == cells ? SUPPORTED : NOT_SUPPORTED,
                "%d of %d cells of the table agree with theory: %d methods, %d changes and %d ranks each, %d %s.",
                agree, cells, METHODS, CHANGES, RANKS, run_seeds(r), str_plural(run_seeds(r), "seed", "seeds"));
    return OK;
}

static const Setting SETTINGS[] = {
    {"strength", "standard deviation of the move of every parameter", {"0.3"}, 1e-3, 3}, {0}};

static const Experiment WHO_ESCAPES = {
    .group = "theory",
    .name = "who-escapes",
    .title = "Methods that escape the limits of a prefix",
    .claim =
        "Prefixes and prompts leave layer-1 attention to the content alone and add vectors; every other method "
        "changes attention, the value path or the feed-forward in the way its parameters allow, by a known rank.",
    .method =
        "All methods on one random two-layer GPT-2 in F64, their parameters moved at random: changes of attention, "
        "value path and feed-forward, ranks of the changes; a suffix token solved for a target attention; the "
        "best low-rank change for a target form.",
    .expect =
        "Every cell of the table in the head of theory/who-escapes.c; suffix exact up to D + 1 tokens; distance "
        "sigma_{2r+1}.",
    .cost = "smoke a second, quick ten seconds, paper a minute",
    .source = "Petrov, Torr, Bibi (ICLR 2024), section 4",
    .settings = SETTINGS,
    .seeds = {1, 5, 20},
    .exact = true,
    .run = run};
REGISTER(experiment, WHO_ESCAPES)

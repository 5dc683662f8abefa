/* theory/cramming: how many tokens can one trained input vector make a frozen network generate?
 *
 * Claim    In the network of theorem 1 gradient descent finds a vector of N numbers that generates any N tokens: log2
 *          V bits per number. In ordinary networks one vector generates far fewer random tokens. In a randomly
 *          initialised network their number grows with the hidden size. A trained network generates more tokens of a
 *          text that it finds likely.
 * Method   Progressive cramming: train one vector on the first n tokens of a text; when all n are the arg max,
 *          remember n and go on to n + 1; stop after `patience` steps without success.  The last success is the
 *          text's horizon.  Networks: the construction, a randomly initialised one, and a small language model
 *          trained on a Markov chain.
 * Expect   Construction: horizon N.  Others: below log2 V bits per number; own text further than random text.
 * Cost     a second; half a minute; some hours (estimated).
 * Source   Petrov, Torr and Bibi (ICLR 2024), theorem 1; Kuratov et al. (ACL 2025); progressive cramming, arXiv
 *          2607.21231, for the horizon.
 *
 * Why arg maxima with the true text as input are enough: if each of the n tokens is the arg max given the true tokens
 * before it, then greedy decoding from the vector alone generates the first. Its input is then the one of training,
 * so it generates the second, and so on.  At the end every vector is also decoded freely, as a check.
 *
 * Not shown: that no vector does better.  A horizon is the length that this optimiser reached with this
 * patience. */
#include <math.h>
#include <string.h>

#include "base/rng.h"
#include "base/str.h"
#include "plot/plot.h"
#include "run/experiment.h"
#include "train/train.h"

enum { V = 16, START = V, LONGEST = 128, TEXTS = 32 };

/* ---- texts ---- */

/* A Markov chain over V tokens: each is followed by one of four, with probabilities 8:4:2:1 out of 15. */
static int32_t follow(uint64_t language, int32_t token, double u)
{
    int rank = u < 8.0 / 15 ? 0 : u < 12.0 / 15 ? 1 : u < 14.0 / 15 ? 2 : 3;
    int32_t next[V];
    for (int i = 0; i < V; i++) next[i] = i;
    rng_shuffle(rng_mix(language, (uint64_t)token), V, next);
    return next[rank];
}

static double chain_bits(void) /* entropy of 8:4:2:1 out of 15, bits a token */
{
    double bits = log2(15);
    for (int i = 0; i < 4; i++) bits -= (8 >> i) / 15.0 * (3 - i);
    return bits;
}

/* Text `index` of a stream: from the chain, or uniform tokens. */
static void write_text(int32_t *y, int64_t n, bool own, uint64_t language, uint64_t stream, uint64_t index)
{
    uint64_t mine = rng_mix(stream, index);
    for (int64_t i = 0; i < n; i++)
        y[i] = own && i ? follow(language, y[i - 1], rng_uniform(mine, (uint64_t)i))
                        : (int32_t)rng_below(mine, (uint64_t)i, V);
}

/* ---- networks that read a vector and then tokens ---- */

typedef struct Reader { /* logits (B,n,V) for the first n tokens of B texts y (B,stride), each with its own vector */
    Var *(*logits)(struct Reader *, Tape *, Var *vectors, const int32_t *y, int64_t b, int64_t n, int64_t stride);
    Model *model;        /* of read_model */
    Var *at_start;       /* (B,n,C): the vectors at position 0, zero elsewhere */
    Tensor w[7], places; /* of read_built; places (N,2N) */
    int64_t size;
} Reader;

/* (B,n,C): row b of the vectors (B,C) at position 0 of text b. */
static Var *place_vectors(Tape *t, Var *vectors, int64_t b, int64_t n)
{
    int32_t *id = NEW(tape_arena(t), int32_t, b * n);
    for (int64_t i = 0; i < b * n; i++) id[i] = i % n ? -1 : (int32_t)(i / n);
    return op_embed(t, vectors, id, b, n);
}

static Var *add_hook(Pass *p, Where at, Var *in, Var *out, void *user)
{
    (void)at, (void)in;
    return op_add(p->tape, out, 1, ((Reader *)user)->at_start);
}

/* The start token, whose embedding the vector moves, and the text but for its last token. */
static Var *read_model(Reader *x, Tape *t, Var *vectors, const int32_t *y, int64_t b, int64_t n, int64_t stride)
{
    Arena *a = tape_arena(t);
    int32_t *ids = NEW(a, int32_t, b * n);
    for (int64_t r = 0; r < b; r++) {
        ids[r * n] = START;
        memcpy(ids + r * n + 1, y + r * stride, sizeof *ids * (size_t)(n - 1));
    }
    Hooks *hooks = hooks_new(a);
    x->at_start = place_vectors(t, vectors, b, n);
    hook_add(hooks, (Where){SITE_EMBED, LAYER_EMBED, PART_DECODER}, add_hook, x);
    Batch *batch = NEW(a, Batch, 1);
    *batch = (Batch){.b = b, .t = n, .ids = ids};
    Pass *pass = NEW(a, Pass, 1);
    *pass = (Pass){.tape = t, .hooks = hooks};
    return model_logits(x->model, pass, batch);
}

/* The construction.  Row r is [content ; e_r]; the content of row 0 is the vector s, of others zero (the theorem
 * allows any).  Head P attends to itself and returns e_r, head F attends to row 0 and returns s; ReLU(e_r + s - 1)
 * keeps s_r alone; a sum makes it the scalar z; logit j is the tangent of (z - 1/2)^2 at j/V, largest for the j
 * nearest V z.  Logits are scaled by V^2, which puts neighbours a nat apart.
 *
 * Training needs one thing more.  Cross-entropy drives the number of the last token, V-1, upwards without end, and
 * above 1 it shows in all rows; below 0 the ReLU has no slope.  The theorem's vectors lie in [0,1), so each step ends
 * with a projection on the box [1/(4V), 1 - 1/(4V)], which holds a right answer for every token. */
enum { Q_P, KV_P, Q_F, K_F, V_F, KEEP, TANGENT };
static const double SHARP = 50; /* times q.k; the leak stays below the margin 1/(2V) from ln(2 V N) = 8 on */

static void build(Reader *x, Arena *a, int64_t n)
{
    x->size = n;
    for (int i = Q_P; i <= V_F; i++) x->w[i] = tensor_zero(a, F32, SHAPE(n, 2 * n));
    x->w[KEEP] = tensor_zero(a, F32, SHAPE(n, n));
    x->w[TANGENT] = tensor_zero(a, F32, SHAPE(V, n)); /* the sum and the tangents in one layer */
    x->places = tensor_zero(a, F32, SHAPE(n, 2 * n));
    for (int64_t i = 0; i < n; i++) {
        tensor_set(x->w[Q_P], i * 2 * n + n + i, 1), tensor_set(x->w[KV_P], i * 2 * n + n + i, 1);
        tensor_set(x->w[Q_F], n + i, 1), tensor_set(x->w[V_F], i * 2 * n + i, 1);
        tensor_set(x->w[KEEP], i * n + i, 1), tensor_set(x->places, i * 2 * n + n + i, 1);
        for (int64_t j = 0; j < V; j++) tensor_set(x->w[TANGENT], j * n + i, V * V * (2.0 * (double)j / V - 1));
    }
    tensor_set(x->w[K_F], n, 1);
}

static Var *read_built(Reader *x, Tape *t, Var *vectors, const int32_t *y, int64_t b, int64_t n, int64_t stride)
{
    (void)y, (void)stride;
    Arena *a = tape_arena(t);
    int64_t size = x->size;
    Tensor lift = tensor_zero(a, F32, SHAPE(2 * size, size)), minus = tensor_new(a, F32, SHAPE(size)),
           offset = tensor_new(a, F32, SHAPE(V));
    for (int64_t i = 0; i < size; i++) tensor_set(lift, i * size + i, 1);
    for (int64_t j = 0; j < V; j++) tensor_set(offset, j, V * V * 0.25 - (double)(j * j));
    tensor_fill(minus, -1);
    Var *content = place_vectors(t, vectors, b, n), *w[TANGENT + 1], *h[2];
    for (int i = 0; i <= TANGENT; i++) w[i] = tape_leaf(t, x->w[i]);
    Var *rows = op_linear(t, content, tape_leaf(t, lift), OUT_IN, NULL, ACT_NONE);
    rows = op_add(t, rows, 1, tape_leaf(t, tensor_rows(x->places, 0, n)));
    for (int f = 0; f < 2; f++) {
        Attn attn = {.heads = 1, .head_dim = (int)size, .scale = SHARP, .causal = true};
        Var *q = op_linear(t, rows, w[f ? Q_F : Q_P], OUT_IN, NULL, ACT_NONE);
        Var *k = op_linear(t, rows, w[f ? K_F : KV_P], OUT_IN, NULL, ACT_NONE);
        Var *v = op_linear(t, rows, w[f ? V_F : KV_P], OUT_IN, NULL, ACT_NONE);
        h[f] = op_attend(t, q, k, v, NULL, attn);
    }
    Var *kept = op_linear(t, op_add(t, h[0], 1, h[1]), w[KEEP], OUT_IN, tape_leaf(t, minus), ACT_RELU);
    return op_linear(t, kept, w[TANGENT], OUT_IN, tape_leaf(t, offset), ACT_NONE);
}

/* ---- progressive cramming ---- */

typedef struct {
    int64_t texts, longest, steps, patience;
    double lr;
    double lo, hi; /* where the numbers are kept after each step; both 0: anywhere */
} Recipe;

typedef struct { /* of one text */
    int64_t now, idle, horizon;
    bool done;
} Progress;

static int64_t correct(Tensor logits, int64_t b, const int32_t *y, int64_t n)
{
    int64_t i = 0;
    while (i < n && tensor_argmax(tensor_at(tensor_at(logits, b), i)) == y[i]) i++;
    return i;
}

/* Checks the tokens that each text's vector generates. Returns the longest text still in training, 0 when all are
 * done. */
static int64_t look(Progress *p, const Recipe *c, Tensor logits, const int32_t *y, Tensor vectors, Tensor best)
{
    int64_t longest = 0;
    for (int64_t b = 0; b < c->texts; b++) {
        if (p[b].done) continue;
        bool right = correct(logits, b, y + b * c->longest, p[b].now) == p[b].now;
        if (right) {
            p[b].horizon = p[b].now++;
            p[b].idle = 0;
            Tensor from = tensor_at(vectors, b);
            for (int64_t i = 0; i < tensor_count(from); i++) tensor_set(tensor_at(best, b), i, tensor_get(from, i));
        }
        p[b].done = p[b].now > c->longest || (!right && ++p[b].idle >= c->patience);
        if (!p[b].done && p[b].now > longest) longest = p[b].now;
    }
    return longest;
}

/* Greedy decoding from the vectors alone: how many texts are reproduced up to their horizon. */
static int64_t decode(Reader *x, Arena *step, const Recipe *c, const Progress *p, Tensor best, const int32_t *y)
{
    int32_t *said = NEW(step, int32_t, c->texts * c->longest);
    int64_t most = 0, good = 0;
    for (int64_t b = 0; b < c->texts; b++) most = p[b].horizon > most ? p[b].horizon : most;
    for (int64_t n = 1; n <= most; n++) {
        ArenaMark mark = arena_mark(step);
        Tape *t = tape_open(step, false);
        Tensor z = x->logits(x, t, tape_leaf(t, best), said, c->texts, n, c->longest)->val;
        for (int64_t b = 0; b < c->texts; b++)
            said[b * c->longest + n - 1] = (int32_t)tensor_argmax(tensor_at(tensor_at(z, b), n - 1));
        arena_drop(step, mark);
    }
    for (int64_t b = 0; b < c->texts; b++)
        good += !memcmp(said + b * c->longest, y + b * c->longest, sizeof *y * (size_t)p[b].horizon);
    return good;
}

/* Crams `texts` texts at once, each into its own row of `vectors`; one Adam for all, whose coordinates do not mix. */
static Status cram(Run *r, Reader *x, Param *vectors, const Recipe *c, const int32_t *y, Progress *p, int64_t *freely)
{
    Arena step = arena_open(0), run = arena_open(0);
    Tensor w = vectors->val, m = tensor_zero(&run, F32, w.rank, w.dim), v = tensor_zero(&run, F32, w.rank, w.dim),
           best = tensor_copy(&run, w);
    int64_t n = 1, s;
    for (int64_t b = 0; b < c->texts; b++) p[b] = (Progress){.now = 1};
    for (s = 1; n && s <= c->steps; s++) {
        if (run_stopped()) return run_interrupted();
        ArenaMark mark = arena_mark(&step);
        Tape *t = tape_open(&step, true);
        int32_t *want = NEW(&step, int32_t, c->texts * n);
        for (int64_t i = 0; i < c->texts * n; i++) {
            const Progress *of = &p[i / n];
            want[i] = of->done || i % n >= of->now ? -1 : y[i / n * c->longest + i % n];
        }
        Var *logits = x->logits(x, t, tape_param(t, vectors), y, c->texts, n, c->longest);
        Tensor seen = tensor_copy(&step, logits->val);
        tape_backward(t, op_xent(t, logits, want));
        n = look(p, c, seen, y, w, best);
        kernels_of(F32)->adamw(w.data, vectors->grad.data, m.data, v.data, c->lr, 0.9, 0.9, 1e-8, 0, 1, s,
                               tensor_count(w));
        for (int64_t i = 0; c->hi > c->lo && i < tensor_count(w); i++)
            tensor_set(w, i, fmin(fmax(tensor_get(w, i), c->lo), c->hi));
        vectors->grad = (Tensor){0};
        arena_drop(&step, mark);
        if (s % 50 == 0) run_progress(r, "cramming", s, c->steps, NAN);
    }
    *freely = decode(x, &step, c, p, best, y);
    arena_close(&step);
    arena_close(&run);
    return OK;
}

/* ---- networks and texts ---- */

typedef enum { BUILT, RANDOM, TRAINED, NETS } Net;
typedef enum { ANY, OWN } Text; /* uniform tokens; the chain's */
typedef struct {
    Net net;
    Text text;
    const char *name;
} Line;
static const Line LINE[] = {{BUILT, ANY, "construction"},
                            {RANDOM, ANY, "randomly initialised"},
                            {TRAINED, ANY, "trained, random text"},
                            {TRAINED, OWN, "trained, own text"}};
enum { LINES = sizeof LINE / sizeof *LINE };

typedef struct {
    int width, layers;
} Form;
typedef struct {
    Form form[2 * RUN_LIST];
    int forms, widths; /* the first `widths` differ in hidden size, the others in depth */
    int64_t longest;
} Plan;
typedef struct {
    double horizon[2], exact[2]; /* by text: mean; share of texts that free decoding gives back to the horizon */
    double bits;                 /* of the trained network on its own text, a token */
} Found;

/* The construction has no depth to vary, and its texts are as long as its hidden size. */
static bool builds(const Plan *p, int form)
{
    return form < p->widths && p->form[form].width <= p->longest;
}

static Status pretrain(Run *r, Arena *run, Model *m, uint64_t language, uint64_t seed, double *bits)
{
    enum { B = 16 };
    TrainConfig c = train_defaults();
    c.lr = run_real(r, "pretrain-lr"), c.total = run_int(r, "pretrain-steps"), c.seed = seed;
    int64_t n = run_int(r, "longest");
    params_train(m->params, "*", true);
    Trainer *tr;
    TRY(trainer_open(&tr, run, m, NULL, &c));
    Arena step = arena_open(0);
    uint64_t stream = rng_stream(seed, "chain/train");
    while (tr->step < c.total) {
        if (run_stopped()) return run_interrupted();
        ArenaMark mark = arena_mark(&step);
        int32_t *y = NEW(&step, int32_t, B * n), *ids = NEW(&step, int32_t, B * n);
        for (int64_t b = 0; b < B; b++) {
            write_text(y + b * n, n, true, language, stream, (uint64_t)(tr->step * B + b));
            ids[b * n] = START;
            memcpy(ids + b * n + 1, y + b * n, sizeof *y * (size_t)(n - 1));
        }
        StepStats s;
        TRY(trainer_step(tr, &step, &(Batch){.b = B, .t = n, .ids = ids, .target = y}, &s));
        *bits = s.loss / log(2);
        arena_drop(&step, mark);
    }
    params_train(m->params, "*", false);
    arena_close(&step);
    return OK;
}

static Status open_reader(Run *r, Reader *x, Arena *run, Net net, Form form, uint64_t seed, double *bits)
{
    if (net == BUILT) {
        x->logits = read_built;
        build(x, run, form.width);
        return OK;
    }
    Config c = {0};
    arch_find("gpt2")->defaults(&c);
    c.vocab = V + 1, c.positions = LONGEST, c.dim = form.width, c.heads = 2, c.layers = form.layers;
    c.hidden = 4 * c.dim, c.dropout = c.attn_dropout = 0, c.tie_head = false;
    c.init_sd = run_real(r, "init") / sqrt(c.dim);
    TRY(model_open(&x->model, run, &c, F32, seed));
    x->logits = read_model;
    return net == RANDOM ? OK : pretrain(r, run, x->model, rng_stream(seed, "chain"), seed, bits);
}

static Status cram_texts(Run *r, Arena *run, Reader *x, Net net, Form form, Text text, uint64_t seed, Found *out)
{
    Recipe c = {run_int(r, "texts"), run_int(r, "longest"), run_int(r, "steps"), run_int(r, "patience"),
                net == BUILT ? run_real(r, "built-lr") : run_real(r, "lr")};
    if (net == BUILT) {
        c.longest = form.width, c.steps = c.longest * c.patience;
        c.lo = 0.25 / V, c.hi = 1 - 0.25 / V;
    }
    int32_t *y = NEW(run, int32_t, c.texts * c.longest);
    for (int64_t b = 0; b < c.texts; b++)
        write_text(y + b * c.longest, c.longest, text == OWN, rng_stream(seed, "chain"),
                   rng_stream(seed, "chain/test"), (uint64_t)b);
    ParamSet *set = params_open(run, F32, seed);
    Param *vectors = param_add(set, "vectors", (Init){INIT_NORMAL, 0.02}, SHAPE(c.texts, form.width));
    vectors->trainable = true;
    if (net == BUILT) tensor_fill(vectors->val, 0.5);
    Progress p[TEXTS];
    int64_t freely = 0;
    TRY(cram(r, x, vectors, &c, y, p, &freely));
    out->exact[text] = (double)freely / (double)c.texts;
    for (int64_t b = 0; b < c.texts; b++) out->horizon[text] += (double)p[b].horizon / (double)c.texts;
    return OK;
}

/* Job (network, form, seed). */
static Status job(Run *r, int i, void *out, void *user)
{
    const Plan *plan = user;
    int seeds = run_seeds(r);
    Net net = (Net)(i / seeds / plan->forms);
    Form form = plan->form[i / seeds % plan->forms];
    if (net == BUILT && !builds(plan, i / seeds % plan->forms)) return OK;
    uint64_t seed = run_seed(r, i % seeds);
    Arena run = arena_open(0);
    Reader x = {0};
    Found *found = out;
    TRY(open_reader(r, &x, &run, net, form, seed, &found->bits));
    TRY(cram_texts(r, &run, &x, net, form, ANY, seed, found));
    if (net == TRAINED) TRY(cram_texts(r, &run, &x, net, form, OWN, seed, found));
    arena_close(&run);
    return OK;
}

/* ---- the results ---- */

typedef struct {
    const Plan *plan;
    const Found *all;
    int seeds;
} Results;

static const Found *cell(const Results *x, int line, int form)
{
    return x->all + ((int)LINE[line].net * x->plan->forms + form) * x->seeds;
}

static double mean_horizon(const Results *x, int line, int form)
{
    double sum = 0;
    for (int i = 0; i < x->seeds; i++) sum += cell(x, line, form)[i].horizon[LINE[line].text] / x->seeds;
    return sum;
}

/* Over widths, or over depths; as tokens, or as bits of log2 V a token and number. */
static Series line_of(Arena *a, const Results *x, int line, bool depth, bool bits)
{
    const Plan *p = x->plan;
    int at[2 * RUN_LIST], n = 0;
    for (int k = 0; k < p->forms; k++)
        if (LINE[line].net == BUILT ? builds(p, k)
            : depth                 ? k >= p->widths || p->form[k].width == p->form[p->widths].width
                                    : k < p->widths)
            at[n++] = k;
    for (int i = 1; i < n; i++) /* by depth: the one that is also in the list of widths goes to its place */
        for (int j = i; depth && j && p->form[at[j - 1]].layers > p->form[at[j]].layers; j--) {
            int k = at[j];
            at[j] = at[j - 1], at[j - 1] = k;
        }
    Series s = {.label = LINE[line].name, .marked = true, .colour = line + 1};
    s.x = tensor_new(a, F64, SHAPE(n)), s.y = tensor_zero(a, F64, SHAPE(n));
    s.lo = tensor_new(a, F64, SHAPE(n)), s.hi = tensor_new(a, F64, SHAPE(n));
    for (int k = 0; k < n; k++) {
        double scale = bits ? log2(V) / p->form[at[k]].width : 1, least = INFINITY, most = 0;
        for (int i = 0; i < x->seeds; i++) {
            double y = scale * cell(x, line, at[k])[i].horizon[LINE[line].text];
            least = fmin(least, y), most = fmax(most, y);
        }
        tensor_set(s.x, k, depth ? p->form[at[k]].layers : p->form[at[k]].width);
        tensor_set(s.y, k, scale * mean_horizon(x, line, at[k]));
        tensor_set(s.lo, k, least), tensor_set(s.hi, k, most);
    }
    return s;
}

static Status draw_horizons(Run *r, const Results *x)
{
    Arena *a = run_arena(r);
    Fig *f = run_figure(r, "horizon",
                        str_print(a,
                                  "Tokens that one trained input vector makes a frozen network generate exactly: "
                                  "mean of %lld texts, then mean and range of %d %s. Depth at hidden size %d. The "
                                  "construction generates as many tokens as the vector has numbers.",
                                  (long long)run_int(r, "texts"), x->seeds, str_plural(x->seeds, "seed", "seeds"),
                                  x->plan->form[x->plan->widths].width),
                        500, 200);
    for (int depth = 0; depth < 2; depth++) {
        Series line[LINES];
        int first = depth ? 1 : 0;
        for (int k = first; k < LINES; k++) line[k - first] = line_of(a, x, k, depth, false);
        fig_lines(f, fig_cell(f, 1, 2, depth), LINES - first, line,
                  (PlotStyle){.letter = depth ? "b" : "a",
                              .x = {.title = depth ? "layers" : "hidden size = numbers in the vector", .log = true},
                              .y = {.title = "horizon (tokens)", .log = true}});
    }
    return fig_close(f);
}

static Status draw_bits(Run *r, const Results *x)
{
    Arena *a = run_arena(r);
    Series line[LINES - 1]; /* own text has fewer bits a token than log2 V: not in this figure */
    for (int k = 0; k < LINES - 1; k++) line[k] = line_of(a, x, k, false, true);
    RefLine limit = {log2(V), "log2 V", false};
    Fig *f =
        run_figure(r, "bits",
                   str_print(a,
                             "Bits of uniformly random text stored per trained number, horizon times log2 V over "
                             "width, V = %d. Mean and range of %d %s.",
                             V, x->seeds, str_plural(x->seeds, "seed", "seeds")),
                   340, 190);
    fig_lines(f, fig_whole(f), LINES - 1, line,
              (PlotStyle){.x = {.title = "width", .log = true},
                          .y = {.title = "bits per number", .lo = 0, .hi = 4.5},
                          .ref = &limit,
                          .refs = 1});
    return fig_close(f);
}

static double record(Run *r, const Results *x)
{
    Arena *a = run_arena(r);
    double exact = 1;
    for (int k = 0; k < LINES; k++)
        for (int f = 0; f < x->plan->forms; f++) {
            Form form = x->plan->form[f];
            if (LINE[k].net == BUILT && !builds(x->plan, f)) continue;
            for (int i = 0; i < x->seeds; i++) {
                const Found *c = &cell(x, k, f)[i];
                const char *where = LINE[k].net == BUILT
                                        ? str_print(a, "width %d", form.width)
                                        : str_print(a, "width %d, %d layers", form.width, form.layers);
                run_metric(r, RANGE_EXTREME, str_print(a, "horizon, %s, %s", LINE[k].name, where), i,
                           c->horizon[LINE[k].text]);
                if (LINE[k].text == OWN)
                    run_metric(r, RANGE_POSITIVE, str_print(a, "bits a token, own text, %s", where), i, c->bits);
                exact = fmin(exact, c->exact[LINE[k].text]);
            }
        }
    return exact;
}

static const double *horizons(Run *r, const Results *x, int line, int form)
{
    double *v = NEW(run_arena(r), double, x->seeds);
    for (int i = 0; i < x->seeds; i++) v[i] = cell(x, line, form)[i].horizon[LINE[line].text];
    return v;
}

static const double *less(Run *r, int n, const double *a, const double *b)
{
    double *v = NEW(run_arena(r), double, n);
    for (int i = 0; i < n; i++) v[i] = a[i] - b[i];
    return v;
}

/* Horizons that training found are lower bounds of those that exist. */
static void judge(Run *r, const Results *x)
{
    const Plan *p = x->plan;
    int last = p->widths - 1;
    for (int f = 0; f < p->widths; f++)
        for (int k = 1; k < LINES - 1; k++)
            run_claim(r,
                      str_print(run_arena(r), "horizon found at hidden size %d, %s", p->form[f].width, LINE[k].name),
                      (Claim){LESS_THAN, p->form[f].width}, RANGE_POSITIVE, horizons(r, x, k, f));
    run_claim(r, "horizon in a randomly initialised network, largest less least hidden size", (Claim){MORE_THAN, 0},
              RANGE_ANY, less(r, x->seeds, horizons(r, x, 1, last), horizons(r, x, 1, 0)));
    run_claim(r, "horizon in a trained network at the largest hidden size, own less random text",
              (Claim){MORE_THAN, 0}, RANGE_ANY, less(r, x->seeds, horizons(r, x, 3, last), horizons(r, x, 2, last)));
}

static Status run(Run *r)
{
    Plan plan = {.longest = run_int(r, "longest")};
    double width[RUN_LIST], depth[RUN_LIST];
    int depths = run_list(r, "depths", depth), layers = (int)run_int(r, "layers");
    plan.widths = plan.forms = run_list(r, "widths", width);
    for (int i = 0; i < plan.widths; i++) plan.form[i] = (Form){(int)width[i], layers};
    for (int i = 0; i < depths; i++)
        if ((int)depth[i] != layers) plan.form[plan.forms++] = (Form){(int)run_int(r, "width"), (int)depth[i]};
    for (int i = 0; i < plan.forms; i++)
        if (plan.form[i].width % 2)
            return err_fail(E_CONFIG, "hidden size %d is odd; the models have two heads", plan.form[i].width);
    int seeds = run_seeds(r), n = NETS * plan.forms * seeds;
    Found *all = NEW(run_arena(r), Found, n);
    TRY(run_parallel(r, n, sizeof *all, job, &plan, all));

    Results x = {&plan, all, seeds};
    double exact = record(r, &x);
    bool full = true;
    int last = plan.widths - 1;
    for (int f = 0; f < plan.widths; f++) {
        full = full && (!builds(&plan, f) || mean_horizon(&x, 0, f) == plan.form[f].width);
    }
    TRY(draw_horizons(r, &x));
    TRY(draw_bits(r, &x));
    double random = mean_horizon(&x, 1, last), any = mean_horizon(&x, 2, last), own = mean_horizon(&x, 3, last);
    run_note(r, "Free decoding gives back at least %.0f %% of the texts of every cell, up to their horizon.",
             100 * exact);
    run_note(r,
             "Own text has %.2f bits a token by the chain's entropy, random text %.0f; longer patience, other "
             "learning rates and several vectors were not tried.",
             chain_bits(), log2(V));
    run_exact(r, "one vector of the construction generates all N tokens", full);
    run_exact(r, "free decoding gives back every text up to its horizon", exact >= 1);
    judge(r, &x);
    run_conclude(r,
                 "One vector of the construction %s its N tokens (log2 V bits per number). At hidden size %d, "
                 "horizons are %.1f in a randomly initialised network, %.1f in a trained network on random text and "
                 "%.1f on its own kind of text; at hidden size %d: %.1f, %.1f, %.1f (%d %s).",
                 full ? "generates all" : "does not generate", plan.form[last].width, random, any, own,
                 plan.form[0].width, mean_horizon(&x, 1, 0), mean_horizon(&x, 2, 0), mean_horizon(&x, 3, 0), seeds,
                 str_plural(seeds, "seed", "seeds"));
    return OK;
}

static const Setting SETTINGS[] = {
    {"widths", "hidden sizes = numbers in the vector", {"8,16", "16,32,64,128", "16,32,64,128,256"}, 2, 256},
    {"layers", "layers while the hidden size varies", {"1", "2", "2"}, 1, 16},
    {"depths", "depths, at the hidden size below", {"2,", "1,4", "1,4,8"}, 1, 16},
    {"width", "hidden size while depth varies", {"16", "32", "64"}, 2, 256},
    {"longest", "tokens of a text at most", {"16", "64", "128"}, 2, LONGEST},
    {"texts", "texts crammed at once, one vector each", {"2", "8", "32"}, 1, TEXTS},
    {"steps", "steps of optimisation at most", {"400", "4000", "40000"}, 1, 1e7},
    {"patience", "steps without success that end a text", {"300", "400", "1000"}, 1, 1e6},
    {"lr", "learning rate of the vectors", {"0.05", "0.05", "0.1"}, 1e-6, 10},
    {"built-lr", "learning rate in the construction", {"0.002", "0.002", "0.002"}, 1e-6, 10},
    {"init", "standard deviation of the initial weights, times 1/sqrt(width)", {"2.0", "2.0", "2.0"}, 1e-3, 100},
    {"pretrain-steps", "steps of training the language model", {"40", "300", "2000"}, 1, 1e7},
    {"pretrain-lr", "its learning rate", {"3e-3", "3e-3", "1e-3"}, 1e-7, 1},
    {0}};

static const Experiment CRAMMING = {
    .group = "theory",
    .name = "cramming",
    .title = "How many tokens one trained vector can make a network generate",
    .claim =
        "In the network of theorem 1 gradient descent finds, for any text, a vector of N numbers that generates N "
        "tokens. In ordinary networks one vector generates far fewer random tokens, in a randomly initialised one "
        "more as the hidden size grows; a trained network generates more tokens of a text that it finds likely.",
    .method = "Train one input vector on a text that grows by a token whenever it is reproduced exactly; the last "
              "success is the horizon.",
    .expect =
        "Construction: N tokens. Others: fewer tokens of random text than the hidden size; own text goes further.",
    .cost = "smoke a second, quick half a minute, paper some hours (estimated)",
    .source = "Petrov, Torr, Bibi (ICLR 2024), theorem 1; Kuratov et al. (ACL 2025); arXiv 2607.21231",
    .settings = SETTINGS,
    .seeds = {1, 3, 3},
    .run = run};
REGISTER(experiment, CRAMMING)

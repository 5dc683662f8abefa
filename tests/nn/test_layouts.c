/* Special layouts of a batch: a mask for each row, positions and spans that the caller gives, encoders that write.
 * Each is tied to a pass that needs none of it. */
#include <stdlib.h>

#include "small.h"

#include "ad/gradcheck.h"
#include "nn/block.h"
#include "nn/flow.h"
#include "nn/generate.h"

static Arena RUN, STEP;

static int set_up(void **state)
{
    (void)state;
    RUN = arena_open((size_t)1 << 32);
    STEP = arena_open((size_t)1 << 32);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    arena_close(&RUN);
    arena_close(&STEP);
    return 0;
}

static Var *look(Pass *p, Where at, Var *in, Var *out, void *user)
{
    (void)p, (void)at, (void)in, (void)user;
    return out;
}

enum { BARE, HOOKED, PROMPTED, OPEN, WAYS };

/* No hooks; those of methods; virtual tokens as well; an observer that selects the open path. */
static Hooks *hooks_of(const Model *m, int way)
{
    if (way == BARE) return NULL;
    Hooks *h = adapted(&RUN, m);
    Tensor *prompt = NEW(&RUN, Tensor, 1);
    *prompt = random_tensor(&RUN, m, "prompt", SHAPE(2, m->config.dim));
    if (way == PROMPTED) hook_add(h, (Where){SITE_EMBED, LAYER_EMBED, PART_ANY}, prompt_hook, prompt);
    if (way == OPEN) hook_observe(h, (Where){SITE_PROBS, LAYER_ANY, PART_ANY}, look, NULL);
    return h;
}

/* An encoder that writes, with UniXcoder's head or that of masked tokens: the two are independent. */
static Model *writer(bool plain_head)
{
    Config c = small_config("roberta");
    c.plain_head = plain_head;
    c.writes_from_encoder = true;
    Model *m;
    EXPECT(model_open(&m, &RUN, &c, F64, 11) == OK, "%s", err_message());
    stir(m);
    return m;
}

static Model *unixcoder(void)
{
    return writer(true);
}

/* Who sees whom in one row of T: `first` rows see each other, the others look back. */
static uint8_t *looking_back(int first)
{
    uint8_t *sees = NEW(&RUN, uint8_t, B * T * T);
    for (int i = 0; i < B * T * T; i++) sees[i] = i % T <= i / T % T || (i % T < first && i / T % T < first);
    return sees;
}

/* A triangular mask equals `causal`, and changes nothing in a decoder. */
static void triangle_is_causal(void **state)
{
    (void)state;
    for (int i = 0; i < N_SHAPES; i++)
        for (int way = 0; way < WAYS; way++) {
            Model *m = small_model(&RUN, SHAPES[i], F64);
            Hooks *h = hooks_of(m, way);
            Batch x = small_batch(&RUN, m), y = x;
            if (way == PROMPTED && !m->decoder) continue; /* virtual rows attend forward here, but not there */
            x.causal = true;
            y.sees = looking_back(0);
            Tensor a = run_logits(&RUN, &STEP, m, h, &x), b = run_logits(&RUN, &STEP, m, h, &y);
            EXPECT(rows_gap(a, b, x.len) < 1e-12, "%s: %g", SHAPES[i], rows_gap(a, b, x.len));
            EXPECT_NEAR(loss_and_gradients(&RUN, &STEP, m, (Pass){.hooks = h}, &x),
                        loss_and_gradients(&RUN, &STEP, m, (Pass){.hooks = h}, &y), 1e-11);
        }
}

/* Three short texts packed into one row, each seeing itself alone and counting from its own start. */
static void packed_is_apart(void **state)
{
    (void)state;
    static const char *const shapes[] = {"roberta", "gpt2"};
    static const int32_t LEN[3] = {3, 1, 2};
    for (int i = 0; i < 2; i++)
        for (int way = 0; way < WAYS; way++) {
            if (way == PROMPTED) continue; /* apart, each text has a prompt of its own */
            Model *m = small_model(&RUN, shapes[i], F64);
            Hooks *h = hooks_of(m, way);
            int32_t first = strcmp(shapes[i], "roberta") ? 0 : m->config.pad + 1, packed[T], position[T], at = 0;
            int32_t apart[3 * 3];
            uint8_t sees[T * T] = {0};
            for (int r = 0; r < 3; r++)
                for (int j = 0; j < 3; j++) {
                    apart[r * 3 + j] = j < LEN[r] ? 4 + r * 3 + j : m->config.pad < 0 ? 0 : m->config.pad;
                    if (j >= LEN[r]) continue;
                    packed[at] = apart[r * 3 + j];
                    position[at] = first + j;
                    for (int k = 0; k < LEN[r]; k++) sees[at * T + at - j + k] = 1;
                    at++;
                }
            Batch one = {.b = 1, .t = T, .ids = packed, .sees = sees, .position = position};
            Batch three = {.b = 3, .t = 3, .ids = apart, .len = LEN};
            Tensor a = run_logits(&RUN, &STEP, m, h, &one), b = run_logits(&RUN, &STEP, m, h, &three);
            at = 0;
            for (int r = 0; r < 3; r++)
                for (int j = 0; j < LEN[r]; j++, at++)
                    for (int v = 0; v < V; v++) {
                        double gap = tensor_get(a, at * V + v) - tensor_get(b, (r * 3 + j) * V + v);
                        EXPECT(fabs(gap) < 1e-12, "%s: text %d row %d differs by %g", shapes[i], r, j, gap);
                    }
        }
}

/* A graph of every kind of node: of two tokens, of one, of none, and one that sees nothing. */
static Batch small_flow(const Model *m)
{
    static const int32_t ID[B][4] = {{3, 9, 10, 2}, {3, 11, 2}, {3, 2}};
    static const int32_t NAMES[][2] = {{1, 3}, {2, 3}, {2, 2}}, EDGE[][2] = {{1, 0}};
    static const Flow FLOW[B] = {{4, 2, 1, ID[0], NAMES, EDGE}, {3, 3, 1, ID[1], NAMES, EDGE}, {2, 0, 0, ID[2]}};
    Batch x;
    EXPECT(flow_batch(&x, &RUN, &m->config, FLOW, B, 0) == OK, "%s", err_message());
    assert_int_equal(x.t, T);
    x.target = small_batch(&RUN, m).target;
    return x;
}

/* Kept rows, values and gradients, where each row has a mask of its own. */
static void kept_is_whole(void **state)
{
    (void)state;
    static const int32_t KEEP[B * 3] = {0, 4, 5, 2, 3, -1, 0, 5, -1}; /* the last row's 5 is padding */
    for (int way = 0; way < WAYS; way++) {
        Model *m = small_model(&RUN, "roberta", F64);
        Hooks *h = hooks_of(m, way);
        Batch x = small_flow(m), k = x;
        int32_t *whole = NEW(&RUN, int32_t, B * T), *kept = NEW(&RUN, int32_t, B * 3);
        for (int j = 0; j < B * T; j++) whole[j] = -1;
        for (int j = 0; j < B * 3; j++) {
            kept[j] = KEEP[j] < 0 ? -1 : 4 + j;
            if (KEEP[j] >= 0) whole[j / 3 * T + KEEP[j]] = 4 + j;
        }
        k.keep = KEEP;
        k.k = 3;
        k.target = kept;
        x.target = whole;
        Pass p = {.hooks = h};
        Tensor a = loss_and_gradients(&RUN, &STEP, m, p, &k), b = loss_and_gradients(&RUN, &STEP, m, p, &x);
        EXPECT_NEAR(a, b, 1e-11);
        p.checkpoint = true;
        EXPECT_NEAR(loss_and_gradients(&RUN, &STEP, m, p, &k), b, 1e-11);
    }
}

static Var *loss_of(Tape *t, void *ctx)
{
    void *const *c = ctx;
    return model_loss(c[0], &(Pass){.tape = t}, c[1]);
}

static void gradients(void **state)
{
    (void)state;
    Model *m = small_model(&RUN, "roberta", F64);
    Batch x = small_flow(m);
    params_train(m->params, "*", true);
    void *ctx[] = {m, &x};
    GradCheck g = gradcheck_run(m->params, &STEP, loss_of, ctx, 3, 5);
    EXPECT(g.worst < 1e-7, "gradients are off by %g", g.worst);
}

static Tensor classes_of(Model *m, const Batch *x)
{
    ArenaMark mark = arena_mark(&STEP);
    Tensor y = tensor_copy(&RUN, model_classes(m, &(Pass){.tape = tape_open(&STEP, false)}, x)->val);
    arena_drop(&STEP, mark);
    return y;
}

/* A text is classified as it is alone, however far it is padded, with or without an end-of-text token. */
static void classes_do_not_see_padding(void **state)
{
    (void)state;
    for (int i = 0; i < N_SHAPES; i++) {
        Config c = small_config(SHAPES[i]);
        c.classes = 3;
        Model *m;
        assert_int_equal(model_open(&m, &RUN, &c, F64, 2), OK);
        stir(m);
        Batch x = small_batch(&RUN, m);
        bool pair = m->encoder && m->decoder;
        int64_t width = pair ? x.s : x.t;
        int32_t *text = (int32_t *)(uintptr_t)(pair ? x.src : x.ids);
        const int32_t *len = pair ? x.src_len : x.len;
        text[len[0] - 1] = c.eos;
        Tensor all = classes_of(m, &x);
        for (int b = 0; b < B; b++) {
            Batch one = {.b = 1};
            if (pair)
                one.s = len[b], one.src = text + b * width;
            else
                one.t = len[b], one.ids = text + b * width;
            Tensor alone = classes_of(m, &one);
            EXPECT_NEAR(tensor_reshape(alone, SHAPE(3)),
                        tensor_reshape(tensor_at(tensor_reshape(all, SHAPE(B, 3)), b), SHAPE(3)), 1e-12);
        }
    }
}

/* ---- writing */

/* Both modes: the prompt read at once, whichever way it sees, and the rest token by token; against one whole pass. */
static void cached_is_whole(void **state)
{
    (void)state;
    enum { PROMPT = 3 };
    for (int way = 0; way < WAYS; way++)
        for (int mode = 0; mode < 3; mode++) { /* causal; both ways; both ways as a mask */
            Model *m = unixcoder();
            Hooks *h = hooks_of(m, way);
            if (way == PROMPTED) continue; /* as above: in a whole pass virtual rows attend forward */
            Batch x = small_batch(&RUN, m);
            x.len = NULL;
            for (int i = 0; i < B * T; i++)
                if (x.ids[i] == m->config.pad) ((int32_t *)x.ids)[i] = 5;
            Batch all = x;
            all.sees = looking_back(mode ? PROMPT : 0);
            Tensor whole = run_logits(&RUN, &STEP, m, h, &all);
            Pass p = {.hooks = h, .tape = tape_open(&STEP, false)};
            p.cache = cache_new(&RUN, m->encoder->n, B, T);
            p.cache->part = PART_ENCODER;
            for (int at = 0; at < T;) {
                Batch y = x;
                y.t = at ? 1 : PROMPT;
                y.causal = at || !mode;
                uint8_t seen[B * PROMPT * PROMPT];
                memset(seen, 1, sizeof seen);
                if (mode == 2) y.sees = seen;
                int32_t ids[B * PROMPT];
                for (int b = 0; b < B; b++)
                    for (int t = 0; t < y.t; t++) ids[b * y.t + t] = x.ids[b * T + at + t];
                y.ids = ids;
                Tensor part = model_logits(m, &p, &y)->val;
                for (int b = 0; b < B; b++)
                    for (int64_t j = 0; j < y.t * V; j++) {
                        double gap = tensor_get(part, b * y.t * V + j) - tensor_get(whole, (b * T + at) * V + j);
                        EXPECT(fabs(gap) < 1e-12, "way %d mode %d: position %d differs by %g", way, mode, at, gap);
                    }
                at += (int)y.t;
            }
        }
}

/* A row that its own pass lets see nothing sees the cached rows, even one row alone: as in a whole pass with a
 * mask. */
static void a_blind_row_sees_the_cache(void **state)
{
    (void)state;
    for (int cached = 1; cached < 3; cached++) {
        Model *m = unixcoder();
        int n = cached + 2;
        int32_t ids[] = {4, 9, 7, 5};
        uint8_t sees[4 * 4] = {0}, own[2 * 2] = {0};
        for (int i = 0; i < n; i++)
            for (int j = 0; j < cached; j++) sees[i * n + j] = 1;
        Batch whole = {.b = 1, .t = n, .ids = ids, .sees = sees}, first = {.b = 1, .t = cached, .ids = ids};
        Batch rest = {.b = 1, .t = 2, .ids = ids + cached, .sees = own};
        Tensor want = run_logits(&RUN, &STEP, m, NULL, &whole);
        Pass p = {.tape = tape_open(&STEP, false), .cache = cache_new(&RUN, m->encoder->n, 1, T)};
        p.cache->part = PART_ENCODER;
        model_logits(m, &p, &first);
        Tensor got = model_logits(m, &p, &rest)->val;
        EXPECT_NEAR(got, tensor_reshape(tensor_rows(tensor_reshape(want, SHAPE(n, V)), cached, 2), SHAPE(1, 2, V)),
                    1e-12);
    }
}

/* As the temperature falls, however far, the drawn token is the likeliest. */
static void cold_samples_are_greedy(void **state)
{
    (void)state;
    enum { NEW_TOKENS = 8 };
    static const char *const DECODERS[] = {"gpt2", "bart", "t5"};
    for (int k = 0; k < 3; k++) {
        Model *m = small_model(&RUN, DECODERS[k], F64);
        Batch x = small_batch(&RUN, m);
        if (m->encoder) x.ids = NULL, x.len = NULL, x.t = 0;
        GenerateConfig c = generate_defaults(m, NEW_TOKENS);
        int32_t greedy[B * NEW_TOKENS], out[B * NEW_TOKENS], len[2][B];
        EXPECT(generate_tokens(greedy, len[0], m, NULL, &STEP, &x, &c) == OK, "%s", err_message());
        for (c.temperature = 1e-4; c.temperature > 1e-12; c.temperature /= 10) {
            EXPECT(generate_tokens(out, len[1], m, NULL, &STEP, &x, &c) == OK, "%s", err_message());
            assert_memory_equal(len[0], len[1], sizeof len[0]);
            for (int i = 0; i < B * NEW_TOKENS; i++)
                EXPECT(i % NEW_TOKENS >= len[0][i / NEW_TOKENS] || out[i] == greedy[i],
                       "%s at %g: token %d is %d, expected %d", DECODERS[k], c.temperature, i, out[i], greedy[i]);
        }
    }
}

/* Prompts of three lengths at once, against passes over the growing text of each row alone. */
static void generation_is_argmax(void **state)
{
    (void)state;
    enum { NEW_TOKENS = 5 };
    for (int way = 0; way < 4; way++) {
        bool both_ways = way % 2;
        Model *m = writer(way < 2);
        Hooks *h = hooks_of(m, HOOKED);
        Batch x = small_batch(&RUN, m);
        int32_t out[B * NEW_TOKENS], len[B];
        GenerateConfig c = generate_defaults(m, NEW_TOKENS);
        c.both_ways = both_ways;
        EXPECT(generate_tokens(out, len, m, h, &STEP, &x, &c) == OK, "%s", err_message());
        for (int b = 0; b < B; b++) {
            int32_t text[T + NEW_TOKENS], first = both_ways ? x.len[b] : 0;
            memcpy(text, x.ids + b * T, sizeof *text * (size_t)x.len[b]);
            for (int k = 0; k < len[b]; k++) {
                int n = x.len[b] + k;
                uint8_t sees[(T + NEW_TOKENS) * (T + NEW_TOKENS)];
                for (int i = 0; i < n * n; i++) sees[i] = i % n <= i / n || (i % n < first && i / n < first);
                Batch one = {.b = 1, .t = n, .ids = text, .sees = sees};
                Tensor y = run_logits(&RUN, &STEP, m, h, &one);
                int32_t best = (int32_t)tensor_argmax(tensor_rows(tensor_reshape(y, SHAPE(n, V)), n - 1, 1));
                EXPECT(out[b * NEW_TOKENS + k] == best, "row %d token %d is %d, expected %d", b, k,
                       out[b * NEW_TOKENS + k], best);
                text[n] = best;
            }
        }
    }
}

/* The search of UniXcoder's own class, one prompt at a time and without a cache: a finished text is set aside, and
 * its beam stays, childless. */
enum { K = 3, MOST = 12, ROOM = T + MOST };
typedef struct {
    double score;
    int n;
    int32_t token[MOST];
} Found;

static int better(const void *a, const void *b)
{
    const Found *x = a, *y = b;
    return (x->score < y->score) - (x->score > y->score);
}

static void log_probs(Model *m, const int32_t *prompt, int n, const Found *f, double *out)
{
    int32_t text[ROOM];
    memcpy(text, prompt, sizeof *text * (size_t)n);
    memcpy(text + n, f->token, sizeof *text * (size_t)f->n);
    Batch one = {.b = 1, .t = n + f->n, .ids = text, .causal = true};
    Tensor z = run_logits(&RUN, &STEP, m, NULL, &one);
    double sum = 0;
    for (int v = 0; v < V; v++) sum += exp(tensor_get(z, (one.t - 1) * V + v));
    for (int v = 0; v < V; v++) out[v] = tensor_get(z, (one.t - 1) * V + v) - log(sum);
}

static int plain_search(Model *m, const int32_t *prompt, int n, Found *done, int *late)
{
    Found beam[K] = {{0}}, *next = NEW(&RUN, Found, K * V);
    int live = 1, ended = 0;
    bool led = false;
    for (int step = 0; step < MOST && !(led && ended >= K); step++) {
        int found = 0;
        for (int k = 0; k < live; k++) {
            if (beam[k].n && beam[k].token[beam[k].n - 1] == m->config.eos) continue;
            double p[V];
            log_probs(m, prompt, n, &beam[k], p);
            for (int v = 0; v < V; v++) {
                next[found] = beam[k];
                next[found].token[next[found].n++] = v;
                next[found++].score += p[v];
            }
        }
        qsort(next, (size_t)found, sizeof *next, better);
        live = K;
        for (int k = 0; k < K; k++) {
            beam[k] = next[k];
            bool ends = beam[k].token[beam[k].n - 1] == m->config.eos;
            if (ends) done[ended++] = beam[k];
            led |= ends && !k;
        }
        *late += ended >= K && !led && step < MOST - 1;
    }
    qsort(done, (size_t)ended, sizeof *done, better);
    for (int k = 0; k < K; k++)
        if (ended < K && beam[k].token[beam[k].n - 1] != m->config.eos) done[ended++] = beam[k];
    return ended;
}

static void search_is_the_plain_one(void **state)
{
    (void)state;
    Model *m = unixcoder();
    int late = 0; /* steps after which a search goes on though K results are there */
    for (int eos = 4; eos < V; eos++) {
        Tensor table = params_at(m->params, 0)->val; /* sharper with every turn */
        for (int64_t i = 0; i < tensor_count(table); i++) tensor_set(table, i, 1.25 * tensor_get(table, i));
        m->config.eos = eos;
        Batch x = small_batch(&RUN, m);
        GenerateConfig c = generate_defaults(m, MOST);
        c.beams = c.n_best = K;
        int32_t out[B * K * MOST], len[B * K];
        double score[B * K];
        EXPECT(generate_beams(out, len, score, m, NULL, &STEP, &x, &c) == OK, "%s", err_message());
        for (int b = 0; b < B; b++) {
            Found done[K * MOST + K];
            int n = plain_search(m, x.ids + b * T, x.len[b], done, &late);
            for (int k = 0; k < K && k < n; k++) {
                int at = b * K + k;
                EXPECT(len[at] == done[k].n && !memcmp(out + at * MOST, done[k].token, 4 * (size_t)len[at]),
                       "eos %d row %d: result %d is another", eos, b, k);
                EXPECT(fabs(score[at] - done[k].score) < 1e-9, "eos %d row %d: result %d scores %g, expected %g", eos,
                       b, k, score[at], done[k].score);
            }
        }
    }
    EXPECT(late > 0, "no search had to go on");
}

/* A row that sees nothing attends to all alike, on both paths; its output differs from that of no attention. */
static void nothing_seen_is_all_alike(void **state)
{
    (void)state;
    Model *m = small_model(&RUN, "roberta", F64);
    Batch x = small_flow(m);
    Hooks *h = hooks_new(&RUN);
    Capture probs = {.arena = &RUN};
    hook_observe(h, (Where){SITE_PROBS, 0, PART_ENCODER}, hook_capture, &probs);
    Tensor open = run_logits(&RUN, &STEP, m, h, &x), fused = run_logits(&RUN, &STEP, m, NULL, &x);
    EXPECT_NEAR(open, fused, 1e-12);
    const int row = 1, node = 5; /* the second text's third node: names nothing, comes from nothing */
    for (int head = 0; head < 2; head++)
        for (int j = 0; j < T; j++) {
            double p = tensor_get(probs.value, (((int64_t)row * 2 + head) * T + node) * T + j);
            EXPECT(fabs(p - 1.0 / T) < 1e-15, "head %d key %d has %g", head, j, p);
        }
}

static void refused(void **state)
{
    (void)state;
    Model *m = small_model(&RUN, "roberta", F32), *g = small_model(&RUN, "gpt2", F32);
    static const int32_t ID[] = {0, 5, 9, 2}, BAD[] = {0, V}, LONG[40] = {0};
    static const int32_t NAMES[][2] = {{1, 3}, {3, 5}, {3, 1}, {-1, 2}}, EDGE[][2] = {{0, 1}, {0, -1}};
    static const struct {
        Flow flow;
        int64_t width;
        const char *says;
    } CASES[] = {{{0, 0, 0, ID}, 0, "0 tokens"},
                 {{2, 0, 0, BAD}, 0, "id 23"},
                 {{40, 0, 0, LONG}, 0, "has 40 tokens, the model has positions for 18"},
                 {{4, 1, 0, ID, NAMES}, 4, "4 rows are wanted"},
                 {{4, 2, 0, ID, NAMES}, 0, "node 1 names tokens 3 to 5 of 4"},
                 {{4, 1, 0, ID, NAMES + 2}, 0, "node 0 names tokens 3 to 1"},
                 {{4, 1, 0, ID, NAMES + 3}, 0, "tokens -1 to 2"},
                 {{4, 1, 1, ID, NAMES, EDGE}, 0, "joins nodes 0 and 1 of 1"},
                 {{4, 1, 1, ID, NAMES, EDGE + 1}, 0, "nodes 0 and -1"}};
    Batch x;
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        Status s = flow_batch(&x, &RUN, &m->config, &CASES[i].flow, 1, CASES[i].width);
        EXPECT(s == E_FORMAT && strstr(err_message(), CASES[i].says), "case %zu: %d '%s'", i, (int)s, err_message());
        err_clear();
    }
    Status s = flow_batch(&x, &RUN, &g->config, &CASES[0].flow, 1, 0);
    EXPECT(s == E_CONFIG && strstr(err_message(), "a gpt2 model does not read data flow"), "%s", err_message());
    err_clear();
    Config c = small_config("gpt2");
    c.writes_from_encoder = true;
    EXPECT(model_open(&m, &RUN, &c, F32, 1) == E_CONFIG && strstr(err_message(), "encoder does not write"), "%s",
           err_message());
    err_clear();
    c = small_config("roberta");
    c.plain_head = true; /* a head alone does not make a writer */
    int32_t out[1], len[1], id[] = {3};
    EXPECT(model_open(&m, &RUN, &c, F32, 1) == OK, "%s", err_message());
    EXPECT(generate_tokens(out, len, m, NULL, &STEP, &(Batch){.b = 1, .t = 1, .ids = id},
                           &(GenerateConfig){.max_new = 1, .eos = -1}) == E_MISMATCH,
           "a roberta with a plain head generates");
    err_clear();
    c.tie_head = false;
    EXPECT(model_open(&m, &RUN, &c, F32, 1) == E_CONFIG && strstr(err_message(), "tie_head"), "%s", err_message());
    err_clear();
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
SUITE(TEST(triangle_is_causal), TEST(packed_is_apart), TEST(kept_is_whole), TEST(gradients),
      TEST(classes_do_not_see_padding), TEST(cold_samples_are_greedy), TEST(cached_is_whole),
      TEST(a_blind_row_sees_the_cache), TEST(generation_is_argmax), TEST(search_is_the_plain_one),
      TEST(nothing_seen_is_all_alike), TEST(refused))

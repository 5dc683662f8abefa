/* Properties that hold for every architecture: causality, independence of rows and padding, equality of the two
 * attention paths, of pruned and whole passes, of cached and whole decoding, of checkpointed and plain gradients. */
#include "small.h"

#include <omp.h>
#include <stdlib.h>

#include "ad/gradcheck.h"
#include "nn/block.h"
#include "nn/generate.h"

typedef struct {
    Arena run, step;
} Ground;
static Ground G;

static int set_up(void **state)
{
    (void)state;
    G = (Ground){arena_open((size_t)1 << 32), arena_open((size_t)1 << 32)};
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    arena_close(&G.run);
    arena_close(&G.step);
    return 0;
}

static int32_t *copy_ids(const int32_t *ids, int64_t n)
{
    int32_t *out = NEW(&G.run, int32_t, n);
    memcpy(out, ids, sizeof *ids * (size_t)n);
    return out;
}

/* A hook that does nothing but be there: asking for probabilities opens the open path. */
static Var *look(Pass *p, Where at, Var *in, Var *out, void *user)
{
    (void)p, (void)at, (void)in, (void)user;
    return out;
}

static void future_is_unseen(void **state)
{
    (void)state;
    for (int i = 0; i < N_SHAPES; i++) {
        Model *m = small_model(&G.run, SHAPES[i], F64);
        if (!m->decoder) continue;
        for (int with = 0; with < 2; with++) {
            Hooks *h = with ? adapted(&G.run, m) : NULL;
            Batch x = small_batch(&G.run, m);
            Tensor before = run_logits(&G.run, &G.step, m, h, &x);
            int32_t *ids = copy_ids(x.ids, B * T);
            ids[3] = ids[3] == 5 ? 6 : 5; /* row 0, position 3 */
            x.ids = ids;
            Tensor after = run_logits(&G.run, &G.step, m, h, &x);
            int32_t upto[B] = {3, 4, 1}, next[B] = {4, 0, 0};
            EXPECT(rows_gap(before, after, upto) == 0, "%s: the past moved by %g", SHAPES[i],
                   rows_gap(before, after, upto));
            EXPECT(rows_gap(before, after, next) > 1e-6, "%s: a token does not change its own logits", SHAPES[i]);
        }
    }
}

static void rows_are_independent(void **state)
{
    (void)state;
    for (int i = 0; i < N_SHAPES; i++) {
        Model *m = small_model(&G.run, SHAPES[i], F64);
        Batch x = small_batch(&G.run, m);
        Tensor all = run_logits(&G.run, &G.step, m, NULL, &x);
        for (int b = 0; b < B; b++) { /* alone, and without its padding */
            Batch one = x;
            one.b = 1;
            one.t = x.len[b];
            one.ids = x.ids + b * T;
            one.len = NULL;
            if (x.src) {
                one.s = x.src_len[b];
                one.src = x.src + b * S;
                one.src_len = NULL;
            }
            Tensor alone = run_logits(&G.run, &G.step, m, NULL, &one);
            Tensor row = tensor_rows(all, b, 1);
            EXPECT(rows_gap(alone, row, NULL) < 1e-12, "%s row %d: alone differs by %g", SHAPES[i], b,
                   rows_gap(alone, row, NULL));
        }
    }
}

static void padding_is_unseen(void **state)
{
    (void)state;
    for (int i = 0; i < N_SHAPES; i++) {
        Model *m = small_model(&G.run, SHAPES[i], F64);
        Batch x = small_batch(&G.run, m);
        Tensor before = run_logits(&G.run, &G.step, m, NULL, &x);
        int32_t *ids = copy_ids(x.ids, B * T);
        for (int j = 0; j < B * T; j++)
            if (j % T >= x.len[j / T]) ids[j] = 4 + j % 7;
        uint8_t *mask = NEW(&G.run, uint8_t, B * T);
        for (int j = 0; j < B * T; j++) mask[j] = j % T < x.len[j / T];
        Batch y = x, z = x;
        y.ids = ids;
        z.len = NULL;
        z.mask = mask;
        if (x.src) {
            int32_t *src = copy_ids(x.src, B * S);
            for (int j = 0; j < B * S; j++)
                if (j % S >= x.src_len[j / S]) src[j] = 4 + j % 7;
            y.src = src;
        }
        Tensor after = run_logits(&G.run, &G.step, m, NULL, &y), masked = run_logits(&G.run, &G.step, m, NULL, &z);
        EXPECT(rows_gap(before, after, x.len) == 0, "%s: padding shows by %g", SHAPES[i],
               rows_gap(before, after, x.len));
        EXPECT(rows_gap(before, masked, x.len) < 1e-13, "%s: a mask is not a length: %g", SHAPES[i],
               rows_gap(before, masked, x.len));
        Tensor prompt = random_tensor(&G.run, m, "prompt", SHAPE(2, m->config.dim));
        Hooks *h = hooks_new(&G.run); /* virtual tokens are outside both */
        hook_add(h, (Where){SITE_EMBED, LAYER_EMBED, PART_ANY}, prompt_hook, &prompt);
        before = run_logits(&G.run, &G.step, m, h, &x);
        masked = run_logits(&G.run, &G.step, m, h, &z);
        EXPECT(rows_gap(before, masked, x.len) < 1e-13, "%s: with virtual tokens a mask is not a length: %g",
               SHAPES[i], rows_gap(before, masked, x.len));
    }
}

static bool same_bytes(Tensor a, Tensor b)
{
    return tensor_same_shape(a, b) && !memcmp(a.data, b.data, tensor_bytes(a));
}

static void fused_is_open(void **state)
{
    (void)state;
    for (int i = 0; i < N_SHAPES; i++)
        for (int with = 0; with < 2; with++) {
            Model *m = small_model(&G.run, SHAPES[i], F64);
            Batch x = small_batch(&G.run, m);
            Hooks *h = with ? adapted(&G.run, m) : hooks_new(&G.run);
            Pass p = {.hooks = h, .seed = 4, .train = true};
            Tensor fused = loss_and_gradients(&G.run, &G.step, m, p, &x);
            hook_observe(h, (Where){SITE_PROBS, LAYER_ANY, PART_ANY}, look, NULL);
            Tensor open = loss_and_gradients(&G.run, &G.step, m, p, &x);
            EXPECT_NEAR(fused, open, 1e-11);
        }
}

/* Kept rows, padded with -1, against the same rows of the whole pass: values and gradients. */
static void kept_is_whole(void **state)
{
    (void)state;
    static const int32_t KEEP[B * 3] = {0, 3, 5, 2, -1, -1, 0, -1, -1};
    for (int i = 0; i < N_SHAPES; i++)
        for (int with = 0; with < 3; with++) {
            Model *m = small_model(&G.run, SHAPES[i], F64);
            Hooks *h = with ? adapted(&G.run, m) : NULL;
            Tensor prompt = random_tensor(&G.run, m, "prompt", SHAPE(2, m->config.dim));
            if (with == 2) hook_add(h, (Where){SITE_EMBED, LAYER_EMBED, PART_ANY}, prompt_hook, &prompt);
            Batch x = small_batch(&G.run, m), k = x;
            int32_t *whole_target = NEW(&G.run, int32_t, B * T), *kept_target = NEW(&G.run, int32_t, B * 3);
            for (int j = 0; j < B * T; j++) whole_target[j] = -1;
            for (int j = 0; j < B * 3; j++) {
                kept_target[j] = KEEP[j] < 0 ? -1 : 4 + j;
                if (KEEP[j] >= 0) whole_target[j / 3 * T + KEEP[j]] = 4 + j;
            }
            k.keep = KEEP;
            k.k = 3;
            k.target = kept_target;
            x.target = whole_target;
            Tensor a = run_logits(&G.run, &G.step, m, h, &x), c = run_logits(&G.run, &G.step, m, h, &k);
            for (int j = 0; j < B * 3; j++)
                for (int64_t v = 0; v < V && KEEP[j] >= 0; v++) {
                    double gap = tensor_get(c, j * V + v) - tensor_get(a, (j / 3 * T + KEEP[j]) * V + v);
                    EXPECT(fabs(gap) < 1e-12, "%s: kept row %d differs by %g", SHAPES[i], j, gap);
                }
            EXPECT_NEAR(loss_and_gradients(&G.run, &G.step, m, (Pass){.hooks = h}, &k),
                        loss_and_gradients(&G.run, &G.step, m, (Pass){.hooks = h}, &x), 1e-11);
        }
}

/* Virtual tokens that are the vectors of real ones act as real ones in front. */
static void prompt_is_tokens(void **state)
{
    (void)state;
    enum { P = 2 };
    for (int i = 0; i < N_SHAPES; i++) {
        Model *m = small_model(&G.run, SHAPES[i], F64);
        Batch x = small_batch(&G.run, m), y = x;
        Param *table = params_at(m->params, 0);
        double scale = m->config.scale_embedding ? sqrt(m->config.dim) : 1;
        Tensor prompt = tensor_new(&G.run, F64, SHAPE(P, m->config.dim));
        for (int64_t j = 0; j < P * m->config.dim; j++)
            tensor_set(prompt, j, scale * tensor_get(table->val, 5 * m->config.dim + j)); /* tokens 5 and 6 */
        int32_t *ids = NEW(&G.run, int32_t, B * (T + P)), *len = NEW(&G.run, int32_t, B);
        for (int b = 0; b < B; b++) {
            len[b] = x.len[b] + P;
            for (int t = 0; t < T + P; t++) ids[b * (T + P) + t] = t < P ? 5 + t : x.ids[b * T + t - P];
        }
        y.t = T + P;
        y.ids = ids;
        y.len = len;
        Hooks *h = hooks_new(&G.run);
        hook_add(h, (Where){SITE_EMBED, LAYER_EMBED, m->arch->last}, prompt_hook, &prompt);
        Tensor virtual = run_logits(&G.run, &G.step, m, h, &x), real = run_logits(&G.run, &G.step, m, NULL, &y);
        assert_int_equal(virtual.dim[1], T);
        for (int b = 0; b < B; b++)
            for (int64_t j = 0; j < x.len[b] * V; j++) {
                double gap = tensor_get(virtual, b * T * V + j) - tensor_get(real, (b * (T + P) + P) * V + j);
                EXPECT(fabs(gap) < 1e-12, "%s row %d: differs by %g", SHAPES[i], b, gap);
            }
    }
}

/* The same for an encoder beside a decoder: cross-attention sees the virtual rows. */
static void encoder_prompt_is_tokens(void **state)
{
    (void)state;
    enum { P = 2 };
    for (int i = 0; i < N_SHAPES; i++) {
        Model *m = small_model(&G.run, SHAPES[i], F64);
        if (!m->encoder || !m->decoder) continue;
        Batch x = small_batch(&G.run, m), y = x;
        double scale = m->config.scale_embedding ? sqrt(m->config.dim) : 1;
        Tensor prompt = tensor_new(&G.run, F64, SHAPE(P, m->config.dim));
        for (int64_t j = 0; j < P * m->config.dim; j++)
            tensor_set(prompt, j, scale * tensor_get(params_at(m->params, 0)->val, 5 * m->config.dim + j));
        int32_t *src = NEW(&G.run, int32_t, B * (S + P)), *len = NEW(&G.run, int32_t, B);
        for (int b = 0; b < B; b++) {
            len[b] = x.src_len[b] + P;
            for (int t = 0; t < S + P; t++) src[b * (S + P) + t] = t < P ? 5 + t : x.src[b * S + t - P];
        }
        y.s = S + P;
        y.src = src;
        y.src_len = len;
        Hooks *h = hooks_new(&G.run);
        hook_add(h, (Where){SITE_EMBED, LAYER_EMBED, PART_ENCODER}, prompt_hook, &prompt);
        Tensor a = run_logits(&G.run, &G.step, m, h, &x), b = run_logits(&G.run, &G.step, m, NULL, &y);
        EXPECT(rows_gap(a, b, x.len) < 1e-12, "%s: differs by %g", SHAPES[i], rows_gap(a, b, x.len));
    }
}

/* ---- decoding with a cache */

static void cached_is_whole(void **state)
{
    (void)state;
    for (int i = 0; i < N_SHAPES; i++)
        for (int with = 0; with < 4; with++) {
            Model *m = small_model(&G.run, SHAPES[i], F64);
            if (!m->decoder) continue;
            Hooks *h = with ? adapted(&G.run, m) : NULL;
            Tensor prompt = random_tensor(&G.run, m, "prompt", SHAPE(2, m->config.dim));
            if (with == 2) hook_add(h, (Where){SITE_EMBED, LAYER_EMBED, PART_ANY}, prompt_hook, &prompt);
            if (with == 3) hook_observe(h, (Where){SITE_PROBS, LAYER_ANY, PART_ANY}, look, NULL);
            Batch x = small_batch(&G.run, m);
            x.len = NULL;
            Tensor whole = run_logits(&G.run, &G.step, m, h, &x);
            Pass p = {.hooks = h, .tape = tape_open(&G.step, false)};
            Var *memory = m->arch->encode ? m->arch->encode(m, &p, &x) : NULL;
            p.cache = cache_new(&G.run, m->decoder->n, B, T);
            static const int CUT[] = {0, 2, 3, 4, 5, 6}; /* two tokens first, then one by one */
            for (int c = 0; c < 5; c++) {
                Batch y = x;
                y.t = CUT[c + 1] - CUT[c];
                int32_t *ids = NEW(&G.run, int32_t, B * y.t);
                for (int b = 0; b < B; b++)
                    for (int t = 0; t < y.t; t++) ids[b * y.t + t] = x.ids[b * T + CUT[c] + t];
                y.ids = ids;
                Tensor part = model_logits_with(m, &p, &y, memory)->val;
                for (int b = 0; b < B; b++)
                    for (int64_t j = 0; j < y.t * V; j++) {
                        double gap = tensor_get(part, b * y.t * V + j) - tensor_get(whole, (b * T + CUT[c]) * V + j);
                        EXPECT(fabs(gap) < 1e-12, "%s, hooks %d: position %d differs by %g", SHAPES[i], with, CUT[c],
                               gap);
                    }
            }
        }
}

/* Generation, batched and ragged, against passes over the growing text of each row alone. */
static void generation_is_argmax(void **state)
{
    (void)state;
    enum { NEW_TOKENS = 5 };
    for (int i = 0; i < N_SHAPES; i++) {
        Model *m = small_model(&G.run, SHAPES[i], F64);
        if (!m->decoder) continue;
        Hooks *h = adapted(&G.run, m);
        Batch x = small_batch(&G.run, m);
        if (!strcmp(m->config.arch, "t5")) x.len = NULL;
        int32_t out[B * NEW_TOKENS], len[B];
        GenerateConfig c = generate_defaults(m, NEW_TOKENS);
        c.forced_eos.n = 0;
        EXPECT(generate_tokens(out, len, m, h, &G.step, &x, &c) == OK, "%s", err_message());
        for (int b = 0; b < B; b++) {
            int n = x.len ? x.len[b] : T;
            int32_t text[T + NEW_TOKENS];
            memcpy(text, x.ids + b * T, sizeof *text * (size_t)n);
            for (int k = 0; k < len[b]; k++) {
                Batch one = {.b = 1, .t = n, .ids = text};
                if (x.src) {
                    one.s = x.src_len[b];
                    one.src = x.src + b * S;
                }
                Tensor y = run_logits(&G.run, &G.step, m, h, &one);
                int best = 0;
                for (int v = 1; v < V; v++)
                    if (tensor_get(y, (n - 1) * V + v) > tensor_get(y, (n - 1) * V + best)) best = v;
                EXPECT(out[b * NEW_TOKENS + k] == best, "%s row %d: token %d is %d, expected %d", SHAPES[i], b, k,
                       out[b * NEW_TOKENS + k], best);
                text[n++] = best;
            }
            EXPECT(len[b] == NEW_TOKENS || out[b * NEW_TOKENS + len[b] - 1] == c.eos, "%s row %d stops at %d",
                   SHAPES[i], b, len[b]);
        }
    }
    Model *enc = small_model(&G.run, "roberta", F64);
    int32_t out[4], len[1];
    GenerateConfig c = generate_defaults(enc, 4);
    assert_int_equal(generate_tokens(out, len, enc, NULL, &G.step, &(Batch){.b = 1}, &c), E_MISMATCH);
    err_clear();
}

/* ---- training */

static void checkpointed_is_plain(void **state)
{
    (void)state;
    for (int i = 0; i < N_SHAPES; i++) {
        Model *m = small_model(&G.run, SHAPES[i], F32);
        Batch x = small_batch(&G.run, m);
        Hooks *h = adapted(&G.run, m);
        Tensor plain = loss_and_gradients(&G.run, &G.step, m, (Pass){.hooks = h, .seed = 8, .train = true}, &x);
        Tensor again = loss_and_gradients(&G.run, &G.step, m,
                                          (Pass){.hooks = h, .seed = 8, .train = true, .checkpoint = true}, &x);
        EXPECT(same_bytes(plain, again), "%s: checkpointing changes gradients", SHAPES[i]);
        Tensor other = loss_and_gradients(&G.run, &G.step, m, (Pass){.hooks = h, .seed = 9, .train = true}, &x);
        EXPECT(!same_bytes(plain, other), "%s: dropout does not depend on the seed", SHAPES[i]);
    }
}

static void threads_do_not_matter(void **state)
{
    (void)state;
    int before = omp_get_max_threads();
    for (int i = 0; i < N_SHAPES; i++) {
        Config c = small_config(SHAPES[i]);
        c.dim = 32;
        c.hidden = 96;
        Model *m;
        assert_int_equal(model_open(&m, &G.run, &c, F32, 2), OK);
        Batch x = small_batch(&G.run, m);
        Tensor y[2];
        for (int k = 0; k < 2; k++) {
            omp_set_num_threads(k + 1);
            y[k] = loss_and_gradients(&G.run, &G.step, m, (Pass){.seed = 8, .train = true}, &x);
        }
        EXPECT(same_bytes(y[0], y[1]), "%s: two threads give other bytes", SHAPES[i]);
    }
    omp_set_num_threads(before);
}

typedef struct {
    Model *m;
    const Batch *x;
    Hooks *h;
} LossCtx;
static Var *loss_of(Tape *t, void *ctx)
{
    const LossCtx *c = ctx;
    Pass p = {.tape = t, .hooks = c->h, .seed = 6, .train = true};
    return model_loss(c->m, &p, c->x);
}

/* Everything at once: dropout, kept rows, prefixes, virtual tokens; then the classification heads. */
static void gradients(void **state)
{
    (void)state;
    static const int32_t KEEP[B * 2] = {1, 5, 3, -1, 0, -1}, TARGET[B * 2] = {5, 6, 7, -1, 8, -1},
                                  LABEL[B] = {1, 0, 2};
    for (int i = 0; i < N_SHAPES; i++)
        for (int classes = 0; classes < 2; classes++) {
            Config c = small_config(SHAPES[i]);
            c.classes = 3;
            if (c.act == ACT_RELU) c.act = ACT_SILU; /* differences across relu's kink mean nothing */
            Model *m;
            assert_int_equal(model_open(&m, &G.run, &c, F64, 2), OK);
            stir(m);
            Tensor prompt = random_tensor(&G.run, m, "prompt", SHAPE(2, c.dim));
            Batch x = small_batch(&G.run, m);
            x.keep = classes ? NULL : KEEP;
            x.k = 2;
            x.target = TARGET;
            x.label = classes ? LABEL : NULL;
            LossCtx ctx = {m, &x, adapted(&G.run, m)};
            if (!classes) hook_add(ctx.h, (Where){SITE_EMBED, LAYER_EMBED, PART_ANY}, prompt_hook, &prompt);
            params_train(m->params, "*", true);
            params_train(m->params, "final_logits_bias", false);
            GradCheck g = gradcheck_run(m->params, &G.step, loss_of, &ctx, 3, 1);
            if (getenv("VERBOSE")) print_message("# %s: %.2g %.2g\n", SHAPES[i], g.worst, g.worst_each);
            EXPECT(g.worst < 1e-5 && g.worst_each < 1e-6, "%s: gradients off by %g, by %g at %s", SHAPES[i], g.worst,
                   g.worst_each, g.at);
        }
}

/* ---- positions and memory */

/* RoBERTa's positions begin behind that of padding: with another id for padding and the rows of the table moved along
 * the model is the same, and as long a text fits. */
static void positions_begin_behind_padding(void **state)
{
    (void)state;
    enum { ROOM = 12, WIDE = 2 };
    static const int PAD[] = {0, 1, 5, 9};
    Tensor want = {0};
    Arena run = arena_open((size_t)1 << 28), step = arena_open((size_t)1 << 28);
    Model *first = NULL, *m;
    int32_t ids[WIDE * ROOM], len[WIDE] = {ROOM, ROOM - 3};
    for (int k = 0; k < 4; k++) {
        Config c = small_config("roberta");
        c.pad = PAD[k], c.positions = ROOM + PAD[k] + 1;
        assert_int_equal(config_room(&c), ROOM);
        assert_int_equal(model_open(&m, &run, &c, F64, 11), OK);
        stir(m);
        if (!first) first = m;
        for (int i = 0; i < params_n(m->params); i++) {
            Param *p = params_at(m->params, i), *q = params_at(first->params, i);
            bool table = strstr(p->name, "position_embeddings");
            int64_t moved = table ? PAD[k] * tensor_last(p->val) : 0;
            for (int64_t j = 0; j < tensor_count(q->val); j++) tensor_set(p->val, j + moved, tensor_get(q->val, j));
        }
        for (int i = 0; i < WIDE * ROOM; i++) ids[i] = i % ROOM < len[i / ROOM] ? 10 + i % 11 : PAD[k];
        Batch b = {.b = WIDE, .t = ROOM, .ids = ids, .len = len};
        Tensor got = run_logits(&run, &step, m, NULL, &b);
        if (!k) want = got;
        EXPECT(rows_gap(got, want, len) == 0, "padding %d: the model changes by %g", PAD[k],
               rows_gap(got, want, len));
    }
    arena_close(&step);
    arena_close(&run);
}

/* Positions shifted by k are the table's rows moved up by k. */
static void shifted_positions(void **state)
{
    (void)state;
    static const struct {
        const char *shape, *table;
    } OF[] = {{"gpt2", "wpe.weight"},
              {"roberta", "embeddings.position_embeddings.weight"},
              {"bert", "embeddings.position_embeddings.weight"},
              {"bart", "decoder.embed_positions.weight"}};
    enum { K = 3 };
    for (int i = 0; i < 4; i++) {
        const char *shape = OF[i].shape;
        Model *m = small_model(&G.run, shape, F64);
        Batch x = small_batch(&G.run, m);
        Hooks *h = hooks_new(&G.run);
        hooks_shift(h, m->arch->last, K);
        Tensor shifted = run_logits(&G.run, &G.step, m, h, &x), plain = run_logits(&G.run, &G.step, m, NULL, &x);
        Tensor table = param_find(m->params, OF[i].table)->val;
        int64_t c = tensor_last(table), first = m->config.pad + 1; /* padding keeps its row */
        for (int64_t r = strcmp(shape, "roberta") ? 0 : first; r + K < table.dim[0]; r++)
            for (int64_t j = 0; j < c; j++) tensor_set(table, r * c + j, tensor_get(table, (r + K) * c + j));
        Tensor moved = run_logits(&G.run, &G.step, m, NULL, &x);
        EXPECT(rows_gap(shifted, moved, x.len) == 0, "%s: %g", shape, rows_gap(shifted, moved, x.len));
        EXPECT(rows_gap(shifted, plain, x.len) > 1e-3, "%s: a shift does nothing", shape);
    }
}

/* Types all 1 are the type table with its rows swapped; virtual tokens in front have type 0 whatever the
 * batch says. */
static void token_types(void **state)
{
    (void)state;
    static const char *const shape[] = {"bert", "roberta"};
    for (int i = 0; i < 2; i++) {
        Config c = small_config(shape[i]);
        c.types = 2;
        Model *m;
        assert_int_equal(model_open(&m, &G.run, &c, F64, 11), OK);
        stir(m);
        Batch x = small_batch(&G.run, m), y = x;
        Tensor prompt = random_tensor(&G.run, m, "prompt", SHAPE(2, c.dim)), none, ones;
        int32_t *type = NEW(&G.run, int32_t, B * T);
        Hooks *h = hooks_new(&G.run);
        y.type = type;
        none = run_logits(&G.run, &G.step, m, NULL, &x);
        EXPECT(rows_gap(none, run_logits(&G.run, &G.step, m, NULL, &y), x.len) == 0, "%s: zeros differ from no types",
               shape[i]);
        for (int j = 0; j < B * T; j++) type[j] = 1;
        ones = run_logits(&G.run, &G.step, m, NULL, &y);
        EXPECT(rows_gap(none, ones, x.len) > 1e-3, "%s: a type changes nothing", shape[i]);
        hook_add(h, (Where){SITE_EMBED, LAYER_EMBED, PART_ANY}, prompt_hook, &prompt);
        Tensor with = run_logits(&G.run, &G.step, m, h, &y);
        Tensor table = param_find(m->params, "embeddings.token_type_embeddings.weight")->val;
        for (int64_t j = 0; j < c.dim; j++) {
            double first = tensor_get(table, j), second = tensor_get(table, c.dim + j);
            tensor_set(table, j, second);
            tensor_set(table, c.dim + j, first);
            for (int64_t k = 0; k < 2; k++) /* moves with the swap, so that the sum stays */
                tensor_set(prompt, k * c.dim + j, tensor_get(prompt, k * c.dim + j) + first - second);
        }
        EXPECT(rows_gap(ones, run_logits(&G.run, &G.step, m, NULL, &x), x.len) == 0, "%s: type 1 is not row 1",
               shape[i]);
        Tensor swapped = run_logits(&G.run, &G.step, m, h, &x);
        EXPECT(rows_gap(with, swapped, x.len) < 1e-12, "%s: virtual tokens have types: %g", shape[i],
               rows_gap(with, swapped, x.len));
    }
}

/* UMT5 whose layers all own the first layer's position bias is T5. */
static void one_bias_for_all_layers(void **state)
{
    (void)state;
    Config c = small_config("t5-layers");
    Model *each, *one;
    assert_int_equal(model_open(&each, &G.run, &c, F64, 11), OK);
    c.rel_by_layer = false;
    assert_int_equal(model_open(&one, &G.run, &c, F64, 11), OK);
    Batch x = small_batch(&G.run, each);
    Tensor want = run_logits(&G.run, &G.step, one, NULL, &x);
    EXPECT(rows_gap(want, run_logits(&G.run, &G.step, each, NULL, &x), x.len) > 1e-3, "all layers use one bias");
    int n = 0;
    for (int i = 0; i < params_n(each->params); i++) {
        Param *p = params_at(each->params, i);
        if (!strstr(p->name, "relative_attention_bias")) continue;
        const char *first = str_print(&G.run, "%.*s.block.0.layer.0.SelfAttention.relative_attention_bias.weight",
                                      (int)strcspn(p->name, "."), p->name);
        const Param *q = param_find(one->params, first);
        memcpy(p->val.data, q->val.data, tensor_bytes(q->val));
        n++;
    }
    assert_int_equal(n, c.layers + c.decoder_layers);
    EXPECT(rows_gap(want, run_logits(&G.run, &G.step, each, NULL, &x), x.len) == 0,
           "equal biases make another model");
}

static size_t peak_of(const char *shape, int layers, bool train, bool checkpoint)
{
    Config c = small_config(shape);
    c.layers = layers;
    if (c.decoder_layers) c.decoder_layers = layers;
    c.dim = 128;
    c.hidden = 512;
    Model *m;
    assert_int_equal(model_open(&m, &G.run, &c, F32, 2), OK);
    params_train(m->params, "*", train);
    params_zero_grad(m->params); /* gradients stand elsewhere: the peak is that of the values */
    Batch x = small_batch(&G.run, m);
    Arena step = arena_open((size_t)1 << 28);
    Pass p = {.tape = tape_open(&step, train), .checkpoint = checkpoint};
    Var *loss = model_loss(m, &p, &x);
    if (train) tape_backward(p.tape, loss);
    size_t peak = arena_peak(&step);
    arena_close(&step);
    return peak;
}

/* Without a gradient, values are recycled layer by layer; with checkpoints, little more than a layer is alive. */
static void memory_is_recycled(void **state)
{
    (void)state;
    for (int i = 0; i < N_SHAPES; i++) {
        size_t a = peak_of(SHAPES[i], 2, false, false), b = peak_of(SHAPES[i], 12, false, false);
        EXPECT(b < a + a / 2, "%s: 2 layers take %zu bytes, 12 take %zu", SHAPES[i], a, b);
        size_t whole = peak_of(SHAPES[i], 12, true, false) - peak_of(SHAPES[i], 2, true, false);
        size_t part = peak_of(SHAPES[i], 12, true, true) - peak_of(SHAPES[i], 2, true, true);
        if (getenv("VERBOSE"))
            print_message("# %s: forward %zu %zu, ten layers %zu, checkpointed %zu\n", SHAPES[i], a, b, whole, part);
        EXPECT(part < whole / 2, "%s: ten layers take %zu bytes, checkpointed %zu", SHAPES[i], whole, part);
    }
}

/* ---- places */

enum { N_PLACES = SITE_COUNT * 8 * PART_COUNT };
static int *place(int *count, Where at)
{
    return &count[((int)at.site * 8 + at.layer + 1) * PART_COUNT + (int)at.part];
}

static Var *count_hook(Pass *p, Where at, Var *in, Var *out, void *user)
{
    (void)p, (void)in;
    ++*place(user, at);
    return out;
}

/* No two join points share a place, and every linear layer has its own. */
static void places_are_unique(void **state)
{
    (void)state;
    for (int i = 0; i < N_SHAPES; i++) {
        Model *m = small_model(&G.run, SHAPES[i], F32);
        Batch x = small_batch(&G.run, m);
        int *count = NEW(&G.run, int, N_PLACES);
        Hooks *h = hooks_new(&G.run);
        for (int s = 0; s < SITE_COUNT; s++) hook_add(h, (Where){(Site)s, LAYER_ANY, PART_ANY}, count_hook, count);
        run_logits(&G.run, &G.step, m, h, &x);
        int fired = 0;
        for (int j = 0; j < N_PLACES; j++) {
            EXPECT(count[j] <= 1, "%s: site %s of layer %d, %s fires %d times", SHAPES[i],
                   site_name((Site)(j / 8 / PART_COUNT)), j / PART_COUNT % 8 - 1, part_name((Part)(j % PART_COUNT)),
                   count[j]);
            fired += count[j];
        }
        EXPECT(fired > 20, "%s: only %d places", SHAPES[i], fired);
        for (int j = 0; j < m->n_linears; j++) {
            EXPECT(*place(count, m->linears[j].at) == 1, "%s: %s has no join point", SHAPES[i], m->linears[j].name);
            assert_ptr_equal(model_linear(m, m->linears[j].at), &m->linears[j]);
        }
        assert_null(model_linear(m, (Where){SITE_PROBS, 0, m->arch->last}));
        bool pair = m->encoder && m->decoder;
        assert_int_equal(model_layers(m, PART_CROSS), pair ? 2 : 0);
        assert_int_equal(model_layers(m, m->arch->last), pair ? 2 : 3);
        Where join = {SITE_FFN_JOIN, 1, m->arch->last}, keys = {SITE_KEYS, 1, m->arch->last};
        bool pre = (m->arch->last == PART_DECODER ? m->decoder : m->encoder)->pre_norm;
        EXPECT((m->norm_at(m, join) != NULL) == !pre && (m->norm_at(m, keys) != NULL) == pre, "%s: norms", SHAPES[i]);
    }
}

/* GPT-2's thirds equal the output of its fused linear layer. */
static Var *keep_value(Pass *p, Where at, Var *in, Var *out, void *user)
{
    (void)p, (void)in;
    ((Tensor *)user)[at.site] = tensor_copy(&G.run, out->val);
    return out;
}

static void thirds(void **state)
{
    (void)state;
    Model *m = small_model(&G.run, "gpt2", F64);
    Batch x = small_batch(&G.run, m);
    Tensor seen[SITE_COUNT];
    Hooks *h = hooks_new(&G.run);
    static const Site SITES_OF[] = {SITE_QKV, SITE_Q, SITE_K, SITE_V};
    for (int i = 0; i < 4; i++) hook_observe(h, (Where){SITES_OF[i], 1, PART_DECODER}, keep_value, seen);
    run_logits(&G.run, &G.step, m, h, &x);
    for (int i = 1; i < 4; i++) {
        const Linear *l = model_linear(m, (Where){SITES_OF[i], 1, PART_DECODER});
        for (int64_t r = 0; r < B * T; r++)
            for (int64_t j = 0; j < l->out; j++)
                EXPECT(tensor_get(seen[SITES_OF[i]], r * l->out + j) ==
                           tensor_get(seen[SITE_QKV], r * 3 * l->out + l->first + j),
                       "%s is not its part of c_attn", l->name);
    }
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
/* GPT-2's layers that write to the residual stream start smaller by sqrt(2 layers), so that the stream does not grow
 * with depth (Radford et al. 2019, section 2.3); everything else starts at init_sd. */
static void residual_layers_start_smaller(void **state)
{
    (void)state;
    Arena run = arena_open((size_t)1 << 28);
    Config c = small_config("gpt2");
    c.dim = 64, c.heads = 4, c.hidden = 128, c.layers = 8, c.init_sd = 0.02;
    Model *m;
    assert_int_equal(model_open(&m, &run, &c, F32, 3), OK);
    for (int i = 0; i < params_n(m->params); i++) {
        const Param *p = params_at(m->params, i);
        if (p->val.rank != 2) continue;
        int64_t n = tensor_count(p->val);
        double sum = 0, want = str_glob("*.c_proj.weight", p->name) ? 0.02 / 4 : 0.02;
        for (int64_t j = 0; j < n; j++) sum += pow(tensor_get(p->val, j), 2);
        double sd = sqrt(sum / (double)n);
        EXPECT(fabs(sd / want - 1) < 5 / sqrt(2 * (double)n), "%s starts with sd %g, expected %g", p->name, sd, want);
    }
    arena_close(&run);
}

SUITE(cmocka_unit_test(residual_layers_start_smaller), TEST(future_is_unseen), TEST(rows_are_independent),
      TEST(padding_is_unseen), TEST(fused_is_open), TEST(kept_is_whole), TEST(prompt_is_tokens),
      TEST(encoder_prompt_is_tokens), TEST(cached_is_whole), TEST(generation_is_argmax), TEST(checkpointed_is_plain),
      TEST(threads_do_not_matter), TEST(gradients), TEST(positions_begin_behind_padding), TEST(shifted_positions),
      TEST(token_types), TEST(one_bias_for_all_layers), TEST(memory_is_recycled), TEST(places_are_unique),
      TEST(thirds))

/* Planted heads are found by their scores, attention through layers against hand-made answers, importance against
 * finite differences and against weights that are zero. */
#include "expect.h"

#include "analysis/importance.h"
#include "analysis/patterns.h"
#include "analysis/rollout.h"

enum { V = 12, P = 24, D = 4, HEADS = 3 };
static const double TURN_P = 2 * M_PI / P, TURN_V = 2 * M_PI / V;

static void put(Model *m, Site site, int64_t in, int64_t out, double v)
{
    const Linear *l = model_linear(m, (Where){site, 0, PART_DECODER});
    assert_true(l->layout == IN_OUT);
    tensor_set(l->w->val, in * l->w->val.dim[1] + l->first + out, v);
}

/* One layer without LayerNorm.  Channels 0, 1: the token on a circle; 2, 3: the position on one; 4: always 1.  Head 0
 * turns its position back by one, head 1 attends to the same token at other positions, and head 2 to a channel that
 * only a prefix has. */
static Model *planted(Arena *a, Tensor *prefix)
{
    Config c = {0};
    arch_find("gpt2")->defaults(&c);
    c.vocab = V, c.dim = D * HEADS, c.heads = HEADS, c.hidden = 8, c.layers = 1, c.positions = P;
    c.no_attn_norm = true;
    Model *m;
    EXPECT(!model_open_zeros(&m, a, &c, F32), "%s", err_message());
    Tensor wte = param_find(m->params, "wte.weight")->val;
    Tensor wpe = param_find(m->params, "wpe.weight")->val;
    for (int i = 0; i < V; i++) {
        tensor_set(wte, i * c.dim, cos(TURN_V * i));
        tensor_set(wte, i * c.dim + 1, sin(TURN_V * i));
    }
    for (int i = 0; i < P; i++) {
        tensor_set(wpe, i * c.dim + 2, cos(TURN_P * i));
        tensor_set(wpe, i * c.dim + 3, sin(TURN_P * i));
        tensor_set(wpe, i * c.dim + 4, 1);
    }
    const double sharp = 2000, token = 20000, away = 800;
    put(m, SITE_Q, 2, 0, sharp * cos(TURN_P)); /* the query is the position turned by one step back */
    put(m, SITE_Q, 3, 0, sharp * sin(TURN_P));
    put(m, SITE_Q, 2, 1, -sharp * sin(TURN_P));
    put(m, SITE_Q, 3, 1, sharp * cos(TURN_P));
    put(m, SITE_K, 2, 0, 1);
    put(m, SITE_K, 3, 1, 1);
    for (int k = 0; k < 2; k++) {
        put(m, SITE_Q, k, D + k, token);
        put(m, SITE_K, k, D + k, 1);
        put(m, SITE_Q, 2 + k, D + 2 + k, -away);
        put(m, SITE_K, 2 + k, D + 2 + k, 1);
    }
    put(m, SITE_Q, 4, 2 * D, 40);
    *prefix = tensor_zero(a, F32, SHAPE(1, c.dim));
    tensor_set(*prefix, 2 * D, 1);
    return m;
}

static Var *add_prefix(Pass *p, Where at, Var *in, Var *out, void *user)
{
    (void)at, (void)in;
    return op_prepend(p->tape, tape_leaf(p->tape, *(Tensor *)user), out, 0);
}

static void planted_heads_are_found(void **state)
{
    (void)state;
    Arena a = arena_open(0);
    Tensor prefix;
    Model *m = planted(&a, &prefix);
    Hooks *hooks = hooks_new(&a);
    hook_add(hooks, (Where){SITE_KEYS, 0, PART_DECODER}, add_prefix, &prefix);
    hook_add(hooks, (Where){SITE_VALUES, 0, PART_DECODER}, add_prefix, &prefix);
    static const int32_t ids[] = {3, 7, 3, 1, 7, 9, 3};
    const Batch b = {.b = 1, .t = 7, .ids = ids};
    Maps x;
    maps_read(&x, &a, m, hooks, &b, PART_DECODER);
    x.query = x.key = ids;
    HeadStats more[HEADS + 1] = {{0}};
    assert_true(pattern_repeats(more, m, hooks, PART_DECODER, NULL));
    for (int h = 0; h < HEADS; h++) {
        HeadStats s = maps_stats(&x, maps_head(&x, &a, 0, h));
        EXPECT((h == 0) == (s.previous > 0.99) && (h == 0 || s.previous < 0.6), "head %d: previous %g", h,
               s.previous);
        EXPECT((h == 1) == (s.duplicate > 0.99) && (h == 1 || s.duplicate < 0.6), "head %d: duplicate %g", h,
               s.duplicate);
        EXPECT((h == 2) == (s.prefix > 0.99) && (h == 2 || s.prefix < 0.6), "head %d: prefix %g", h, s.prefix);
        EXPECT((h == 0) == (more[h].repeat_previous > 0.99), "head %d: %g", h, more[h].repeat_previous);
        EXPECT((h == 1) == (more[h].repeat_duplicate > 0.99), "head %d: %g", h, more[h].repeat_duplicate);
        EXPECT(more[h].repeat_induction < 0.3, "head %d: %g", h, more[h].repeat_induction);
    }
    arena_close(&a);
}

/* A map that attends behind the earlier copy wherever there is one. */
static void an_induction_map_is_found(void **state)
{
    (void)state;
    Arena a = arena_open(0);
    enum { N = 6, HALF = 3 };
    static const int32_t ids[N] = {4, 8, 5, 4, 8, 5};
    Tensor map = tensor_zero(&a, F64, SHAPE(N, N + 2)); /* two columns of a prefix */
    for (int64_t i = 0; i < N; i++) tensor_set(map, i * (N + 2) + (i < HALF ? 0 : 2 + i - HALF + 1), 1);
    assert_true(pattern_mass(PATTERN_INDUCTION, map, 2, ids, ids) == 1);
    assert_true(pattern_mass(PATTERN_DUPLICATE, map, 2, ids, ids) == 0);
    assert_true(pattern_mass(PATTERN_PREVIOUS, map, 2, NULL, NULL) == 0);
    static const int32_t all_different[N] = {1, 2, 3, 4, 5, 6};
    assert_true(isnan(pattern_mass(PATTERN_INDUCTION, map, 2, all_different, all_different)));
    static const int32_t source[N] = {9, 9, 4, 9, 9, 9}; /* keys of another text: the place does not matter */
    Tensor cross = tensor_zero(&a, F64, SHAPE(N, N));
    for (int64_t i = 0; i < N; i++) tensor_set(cross, i * N + 2, 0.5);
    assert_true(pattern_mass(PATTERN_IDENTICAL, cross, 0, ids, source) == 0.5);
    assert_true(fabs(pattern_mass(PATTERN_IDENTICAL, cross, 0, ids, ids) - 0.5 / 6) < 1e-15); /* row 5 alone */
    arena_close(&a);
}

/* ---- through layers */

static Maps uniform(Arena *a, int64_t prefix)
{
    Tensor *p = NEW(a, Tensor, 2);
    for (int l = 0; l < 2; l++) {
        p[l] = tensor_new(a, F64, SHAPE(1, 2, 2 + prefix));
        tensor_fill(p[l], 1 / (2 + (double)prefix));
    }
    return (Maps){
        .part = PART_ENCODER, .layers = 2, .heads = 1, .t = 2, .s = 2 + prefix, .prefix = prefix, .probs = p};
}

/* W = (3 1; 1 3) / 4: W W = (5 3; 3 5) / 8.  The flow from 0 to 0 is 3/4 + 1/4, to 1 it is 1/4 + 1/4. */
static void rollout_and_flow_by_hand(void **state)
{
    (void)state;
    Arena a = arena_open(0);
    for (int64_t prefix = 0; prefix < 2; prefix++) {
        Maps x = uniform(&a, prefix);
        Tensor r = rollout_maps(&a, &x), f = rollout_flow(&a, &x);
        const double want_r[] = {5. / 8, 3. / 8, 3. / 8, 5. / 8}, want_f[] = {2. / 3, 1. / 3, 1. / 3, 2. / 3};
        for (int i = 0; i < 4; i++) {
            EXPECT(fabs(tensor_get(r, i) - want_r[i]) < 1e-12, "rollout %d: %g", i, tensor_get(r, i));
            EXPECT(fabs(tensor_get(f, i) - want_f[i]) < 1e-12, "flow %d: %g", i, tensor_get(f, i));
        }
    }
    arena_close(&a);
}

/* Two layers that do not commute, W1 = (1 0; 1/2 1/2) and W2 = (1/2 1/2; 0 1): their rollout is
 * W2 W1 = (3/4 1/4; 1/2 1/2), and not W1 W2 = (1/2 1/2; 1/4 3/4).  (Abnar and Zuidema 2020, equation 1.) */
static void rollout_begins_at_the_lowest_layer(void **state)
{
    (void)state;
    Arena a = arena_open(0);
    static const double MAPS[2][4] = {{1, 0, 1, 0}, {0, 1, 0, 1}}, WANT[] = {0.75, 0.25, 0.5, 0.5};
    Maps x = uniform(&a, 0);
    for (int l = 0; l < 2; l++)
        for (int i = 0; i < 4; i++) tensor_set(x.probs[l], i, MAPS[l][i]);
    Tensor r = rollout_maps(&a, &x);
    for (int i = 0; i < 4; i++) near(tensor_get(r, i), WANT[i], 1e-15, "rollout");
    arena_close(&a);
}

/* Rows of two tokens behind one prefix column.  Row 0 has 1/2 on the prefix, 1/8 on itself and 3/8 on its neighbour:
 * of its mass on the text, 3/4 is one token away.  Row 1 has 3/4 on the prefix and 1/4 on its neighbour: 1 away.
 * A row that sees the prefix alone has no distance to add. */
static void distance_is_of_the_text_alone(void **state)
{
    (void)state;
    Arena a = arena_open(0);
    static const double ROWS[] = {1. / 2, 1. / 8, 3. / 8, 3. / 4, 1. / 4, 0},
                        ALONE[] = {1. / 2, 1. / 8, 3. / 8, 1, 0, 0};
    Maps x = uniform(&a, 1);
    Tensor map = tensor_new(&a, F64, SHAPE(2, 3));
    for (int i = 0; i < 6; i++) tensor_set(map, i, ROWS[i]);
    near(maps_stats(&x, map).distance, (3. / 4 + 1) / 2, 1e-15, "distance");
    near(maps_stats(&x, map).prefix, 5. / 8, 1e-15, "mass on the prefix");
    for (int i = 0; i < 6; i++) tensor_set(map, i, ALONE[i]);
    near(maps_stats(&x, map).distance, 3. / 8, 1e-15, "distance beside a row without text");
    arena_close(&a);
}

/* A route that is best alone blocks two others: only reverse flow along it reaches the maximum flow. */
static void flow_takes_back_what_it_sent(void **state)
{
    (void)state;
    Arena a = arena_open(0);
    enum { N = 4, L = 3 };
    Tensor *p = NEW(&a, Tensor, L);
    for (int l = 0; l < L; l++) {
        p[l] = noise(&a, F64, (uint64_t)l, SHAPE(1, N, N));
        for (int64_t i = 0; i < N; i++) {
            double sum = 0;
            for (int64_t j = 0; j < N; j++) sum += exp(2 * tensor_get(p[l], i * N + j));
            for (int64_t j = 0; j < N; j++) tensor_set(p[l], i * N + j, exp(2 * tensor_get(p[l], i * N + j)) / sum);
        }
    }
    const Maps x = {.part = PART_ENCODER, .layers = L, .heads = 1, .t = N, .s = N, .probs = p};
    Tensor f = rollout_flow(&a, &x);
    /* The least cut, over all sets of inner nodes: 2 layers of 4. */
    for (int64_t i = 0; i < N; i++) {
        double cut[N], sum = 0;
        for (int64_t j = 0; j < N; j++) {
            cut[j] = INFINITY;
            for (unsigned set = 0; set < 1u << (N * (L - 1)); set++) {
                double c = 0;
                for (int l = 0; l < L; l++)
                    for (int64_t u = 0; u < N; u++)
                        for (int64_t v = 0; v < N; v++) {
                            bool from = l == L - 1 ? u == i : set >> (l * N + u) & 1;
                            bool to = l == 0 ? v != j : set >> ((l - 1) * N + v) & 1;
                            if (l == L - 1 && u != i) continue;
                            if (from && !to) c += (tensor_get(p[l], u * N + v) + (u == v)) / 2;
                        }
                cut[j] = fmin(cut[j], c);
            }
            sum += cut[j];
        }
        for (int64_t j = 0; j < N; j++)
            EXPECT(fabs(tensor_get(f, i * N + j) - cut[j] / sum) < 1e-9, "%d to %d: %g, cut %g", (int)i, (int)j,
                   tensor_get(f, i * N + j), cut[j] / sum);
    }
    arena_close(&a);
}

/* ---- the loss */

static Model *random_model(Arena *a)
{
    Config c = {0};
    arch_find("gpt2")->defaults(&c);
    c.vocab = 20, c.dim = 12, c.heads = 3, c.hidden = 16, c.layers = 2, c.positions = 16, c.init_sd = 0.5;
    Model *m;
    EXPECT(!model_open(&m, a, &c, F64, 4), "%s", err_message());
    return m;
}

static Status stop_at_two(int done, int all, void *user)
{
    assert_int_equal(all, 6);
    assert_int_equal(done, ++*(int *)user);
    return done < 2 ? OK : err_fail(E_INTERRUPT, "two are enough");
}

static void importance_is_what_the_loss_says(void **state)
{
    (void)state;
    Arena a = arena_open(0);
    Model *m = random_model(&a);
    Hooks *hooks = hooks_new(&a);
    static const int32_t ids[] = {3, 7, 3, 1, 7};
    const Batch read = {.b = 1, .t = 5, .ids = ids};
    Batch b;
    EXPECT(!importance_loss_batch(&b, &a, m, NULL, &read, NULL), "%s", err_message());
    assert_true(b.target[0] == 7 && b.target[4] == -1);
    HeadStats s[6] = {{0}};
    Tensor weighted[2];
    int heads = 0;
    assert_int_equal(head_importance(s, m, hooks, &b, PART_DECODER, stop_at_two, &heads), E_INTERRUPT);
    err_clear();
    assert_int_equal(heads, 2);
    assert_int_equal(hooks_n(hooks), 0);
    EXPECT(!head_importance(s, m, hooks, &b, PART_DECODER, NULL, NULL), "%s", err_message());
    attention_gradient(weighted, &a, m, hooks, &b, PART_DECODER);
    assert_int_equal(hooks_n(hooks), 0);
    double loss = importance_loss(m, hooks, &b);
    for (int i = 0; i < 6; i++) {
        const double h = 1e-5;
        double side[2], sum = 0;
        for (int k = 0; k < 2; k++) {
            HeadScale x = {i % 3, 3, k ? 1 - h : 1 + h};
            hook_add(hooks, (Where){SITE_HEADS, i / 3, PART_DECODER}, hook_scale_head, &x);
            side[k] = importance_loss(m, hooks, &b);
            hooks_clear_from(hooks, 0);
        }
        double slope = (side[0] - side[1]) / (2 * h);
        EXPECT(fabs(s[i].gradient - fabs(slope)) < 1e-8, "%d: %g, differences say %g", i, s[i].gradient, slope);
        for (int64_t k = 0; k < 25; k++) sum += tensor_get(weighted[i / 3], i % 3 * 25 + k);
        EXPECT(fabs(sum - slope) < 1e-8, "%d: the map's gradient sums to %g, differences say %g", i, sum, slope);
        const Linear *o = model_linear(m, (Where){SITE_ATTN_OUT, i / 3, PART_DECODER});
        Tensor kept = tensor_copy(&a, o->w->val);
        for (int64_t k = 0; k < 4 * 12; k++) tensor_set(o->w->val, i % 3 * 4 * 12 + k, 0);
        EXPECT(fabs(importance_loss(m, hooks, &b) - loss - s[i].zeroed) < 1e-12, "%d: %g", i, s[i].zeroed);
        for (int64_t k = 0; k < 144; k++) tensor_set(o->w->val, k, tensor_get(kept, k));
    }
    Maps x;
    maps_read(&x, &a, m, hooks, &read, PART_DECODER);
    Tensor r = rollout_relevance(&a, &x, weighted);
    for (int64_t i = 0; i < 4; i++) {
        double row = 0;
        for (int64_t j = 0; j < 5; j++) {
            row += tensor_get(r, i * 5 + j);
            assert_true(j <= i || tensor_get(r, i * 5 + j) == 0);
        }
        assert_true(row == 0 || fabs(row - 1) < 1e-12);
    }
    arena_close(&a);
}

static Tensor logits(Arena *a, Model *m, Hooks *h, const Batch *b)
{
    Arena step = arena_open(0);
    Tensor y = tensor_copy(a, model_logits(m, &(Pass){.tape = tape_open(&step, false), .hooks = h}, b)->val);
    arena_close(&step);
    return y;
}

static void looking_changes_nothing(void **state)
{
    (void)state;
    Arena a = arena_open(0);
    Model *m = random_model(&a);
    Hooks *hooks = hooks_new(&a);
    static const int32_t ids[] = {3, 7, 3, 1, 7};
    Batch b = {.b = 1, .t = 5, .ids = ids}, scored;
    Tensor before = logits(&a, m, hooks, &b);
    Maps x;
    HeadStats s[8] = {{0}};
    Tensor weighted[2];
    maps_read(&x, &a, m, hooks, &b, PART_DECODER);
    EXPECT(!importance_loss_batch(&scored, &a, m, NULL, &b, NULL), "%s", err_message());
    pattern_repeats(s, m, hooks, PART_DECODER, NULL);
    EXPECT(!head_importance(s, m, hooks, &scored, PART_DECODER, NULL, NULL), "%s", err_message());
    attention_gradient(weighted, &a, m, hooks, &scored, PART_DECODER);
    EXPECT_NEAR(logits(&a, m, hooks, &b), before, 0);
    Capture seen = {.arena = &a};
    hook_observe(hooks, (Where){SITE_PROBS, LAYER_ANY, PART_DECODER}, hook_capture, &seen);
    EXPECT_NEAR(logits(&a, m, hooks, &b), before, 1e-13);
    arena_close(&a);
}

SUITE(cmocka_unit_test(planted_heads_are_found), cmocka_unit_test(an_induction_map_is_found),
      cmocka_unit_test(rollout_and_flow_by_hand), cmocka_unit_test(rollout_begins_at_the_lowest_layer),
      cmocka_unit_test(distance_is_of_the_text_alone), cmocka_unit_test(flow_takes_back_what_it_sent),
      cmocka_unit_test(importance_is_what_the_loss_says), cmocka_unit_test(looking_changes_nothing))

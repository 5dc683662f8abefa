/* Representations and spaces with known answers, planted weight changes, and the quantities of the limitation theorem
 * on a random model with a random prefix, in F64. */
#include "expect.h"

#include "analysis/pair.h"
#include "analysis/similar.h"

static Tensor turned(Arena *a, Tensor x) /* columns 0 and 1 turned by 0.7, all times 3 and moved by 5 */
{
    Tensor y = tensor_copy(a, x);
    int64_t c = x.dim[1];
    for (int64_t i = 0; i < x.dim[0]; i++) {
        double u = tensor_get(x, i * c), v = tensor_get(x, i * c + 1);
        tensor_set(y, i * c, cos(0.7) * u - sin(0.7) * v);
        tensor_set(y, i * c + 1, sin(0.7) * u + cos(0.7) * v);
        for (int64_t j = 0; j < c; j++) tensor_set(y, i * c + j, 3 * tensor_get(y, i * c + j) + 5);
    }
    return y;
}

static void similarity_of_known_pairs(void **state)
{
    (void)state;
    Arena a = arena_open(0);
    Tensor x = noise(&a, F64, 1, SHAPE(9, 4)), y = turned(&a, x), other = noise(&a, F64, 2, SHAPE(9, 4)), flat;
    double d;
    assert_true(fabs(similar_cka(&a, x, y) - 1) < 1e-12);
    EXPECT(!similar_procrustes(&d, &a, x, y), "%s", err_message());
    assert_true(d < 1e-12);
    double cka = similar_cka(&a, x, other);
    EXPECT(!similar_procrustes(&d, &a, x, other), "%s", err_message());
    assert_true(cka > 0.01 && cka < 0.9 && d > 0.1 && d < 2);
    flat = tensor_zero(&a, F64, SHAPE(9, 4));
    EXPECT(!similar_procrustes(&d, &a, x, flat), "%s", err_message());
    assert_true(isnan(d) && isnan(similar_cka(&a, x, flat)));
    /* Two columns against one of two dimensions, each by hand: X'Y = sqrt(1/2), so CKA is 1/sqrt 2. */
    const double two[] = {1, 0, -1, 0, 0, 1, 0, -1}, one[] = {1, -1, 0, 0};
    Tensor u = tensor_new(&a, F64, SHAPE(4, 2)), v = tensor_new(&a, F64, SHAPE(4, 1));
    for (int i = 0; i < 8; i++) tensor_set(u, i, two[i]);
    for (int i = 0; i < 4; i++) tensor_set(v, i, one[i]);
    assert_true(fabs(similar_cka(&a, u, v) - sqrt(0.5)) < 1e-12);
    EXPECT(!similar_procrustes(&d, &a, u, v), "%s", err_message());
    assert_true(fabs(d - (2 - 2 * sqrt(0.5))) < 1e-12);
    arena_close(&a);
}

static void angles_of_planes(void **state)
{
    (void)state;
    Arena a = arena_open(0);
    Tensor u = tensor_zero(&a, F64, SHAPE(4, 2)), v = tensor_zero(&a, F64, SHAPE(4, 2)), angle;
    tensor_set(u, 0, 1), tensor_set(u, 3, 1); /* e0, e1 */
    tensor_set(v, 0, 1);                      /* e0, and e1 turned by 30 degrees towards e2 */
    tensor_set(v, 3, cos(M_PI / 6)), tensor_set(v, 5, sin(M_PI / 6));
    EXPECT(!similar_angles(&angle, &a, u, v), "%s", err_message());
    assert_true(fabs(tensor_get(angle, 0)) < 1e-6 && fabs(tensor_get(angle, 1) - 30) < 1e-6);
    Tensor first = similar_columns(&a, v, 1);
    assert_true(first.dim[1] == 1 && tensor_get(first, 0) == 1 && tensor_get(first, 1) == 0);
    arena_close(&a);
}

/* ---- a model */

enum { DIM = 24, HEADS = 2, SLOTS = 3, LAYERS = 2, T = 12 };

static Model *model(Arena *a, const char *arch)
{
    Config c = {0};
    arch_find(arch)->defaults(&c);
    c.vocab = 20, c.dim = DIM, c.heads = HEADS, c.hidden = 16, c.layers = LAYERS, c.positions = 16, c.init_sd = 0.3;
    Model *m;
    EXPECT(!model_open(&m, a, &c, F64, 4), "%s", err_message());
    return m;
}

static Var *add_prefix(Pass *p, Where at, Var *in, Var *out, void *user)
{
    (void)in;
    const Tensor *rows = user;
    return op_prepend(p->tape, tape_leaf(p->tape, rows[at.layer]), out, 0);
}

static const int32_t IDS[] = {3, 7, 3, 1, 7, 9, 11, 4, 15, 2, 8, 6};
static const Batch READ = {.b = 1, .t = T, .ids = IDS};

static Compared compared(Arena *a, Model *base, Model *tuned, Hooks *hooks, Part part)
{
    Seen seen[LAYERS];
    Compared out;
    int before = hooks_n(hooks);
    measure_pass(seen, a, base, NULL, part, &READ);
    EXPECT(!pair_measure(&out, a, seen, tuned, hooks, part, &READ, 1e-9), "%s", err_message());
    assert_int_equal(hooks_n(hooks), before);
    return out;
}

static void a_prefix_moves_only_what_the_theorem_lets_it(void **state)
{
    (void)state;
    Arena a = arena_open(0);
    static const char *const arch[] = {"gpt2", "roberta"};
    for (int k = 0; k < 2; k++) {
        Part part = k ? PART_ENCODER : PART_DECODER;
        Model *m = model(&a, arch[k]);
        Hooks *hooks = hooks_new(&a);
        Tensor rows[LAYERS];
        for (int l = 0; l < LAYERS; l++) rows[l] = noise(&a, F64, 7 + (uint64_t)l, SHAPE(SLOTS, DIM));
        hook_add(hooks, (Where){SITE_KEYS, LAYER_ANY, part}, add_prefix, rows);
        hook_add(hooks, (Where){SITE_VALUES, LAYER_ANY, part}, add_prefix, rows);
        Compared p = compared(&a, m, m, hooks, part);
        assert_true(p.virtual_keys == SLOTS && p.layers == LAYERS && p.heads == HEADS && p.rows == T);
        EXPECT(p.moved < 1e-14 && p.own < 1e-14, "%s: %g, %g", arch[k], p.moved, p.own);
        EXPECT(p.layer[0].change.gap < 1e-14, "%s: layer 0 moved by %g", arch[k], p.layer[0].change.gap);
        EXPECT(p.layer[1].change.gap > 1e-3, "%s: layer 1 moved by %g", arch[k], p.layer[1].change.gap);
        for (int l = 0; l < LAYERS; l++) {
            const LayerPair *y = &p.layer[l];
            EXPECT(y->conditional < 1e-14 && y->residual < 1e-13, "%s, layer %d: %g, %g", arch[k], l, y->conditional,
                   y->residual);
            EXPECT(y->rank == HEADS * SLOTS && y->most == y->rank, "%s, layer %d: rank %d", arch[k], l, (int)y->rank);
            EXPECT(y->alpha > 0 && y->alpha < 1 && y->alpha_lo <= y->alpha && y->alpha <= y->alpha_hi &&
                       fabs((y->head_alpha[0] + y->head_alpha[1]) / 2 - y->alpha) < 1e-12,
                   "%s, layer %d: alpha %g", arch[k], l, y->alpha);
            EXPECT(y->cka < 1 - 1e-6 && y->procrustes > 1e-6, "%s, layer %d", arch[k], l);
        }
        assert_true(k ? p.layer[1].logits > 0 : p.layer[1].logits == -1);
    }
    arena_close(&a);
}

static void nothing_tuned_is_nothing_moved(void **state)
{
    (void)state;
    Arena a = arena_open(0);
    Model *m = model(&a, "gpt2"), *same = model(&a, "gpt2");
    Compared p = compared(&a, m, same, hooks_new(&a), PART_DECODER);
    assert_true(!p.virtual_keys && p.layer[1].change.gap == 0 && p.layer[1].rank == 0 && isnan(p.layer[0].alpha));
    assert_true(p.layer[1].cka > 1 - 1e-12 && p.layer[1].procrustes < 1e-12);
    WeightChange w[LAYERS * 8];
    int n;
    EXPECT(!pair_weights(w, &n, LAYERS * 8, &a, m, same, PART_DECODER), "%s", err_message());
    assert_int_equal(n, 0);
    arena_close(&a);
}

/* The thirds of GPT-2's fused linear layer are distinguished, and a change of rank 2 is found where it was made. */
static void a_planted_change_is_found(void **state)
{
    (void)state;
    Arena a = arena_open(0);
    Model *m = model(&a, "gpt2"), *tuned = model(&a, "gpt2");
    const Linear *k = model_linear(tuned, (Where){SITE_K, 1, PART_DECODER});
    Tensor u = noise(&a, F64, 3, SHAPE(2, DIM)), v = noise(&a, F64, 4, SHAPE(2, DIM));
    double norm = 0;
    for (int64_t i = 0; i < DIM; i++)
        for (int64_t o = 0; o < DIM; o++) {
            int64_t at = i * tensor_last(k->w->val) + k->first + o;
            double d = 0.01 * (tensor_get(u, i) * tensor_get(v, o) + tensor_get(u, DIM + i) * tensor_get(v, DIM + o));
            norm += d * d;
            tensor_set(k->w->val, at, tensor_get(k->w->val, at) + d);
        }
    WeightChange w[LAYERS * 8];
    int n;
    EXPECT(!pair_weights(w, &n, LAYERS * 8, &a, m, tuned, PART_DECODER), "%s", err_message());
    assert_int_equal(n, 1);
    EXPECT(w[0].site == SITE_K && w[0].layer == 1 && w[0].rank == 2 && fabs(w[0].norm - sqrt(norm)) < 1e-12,
           "%s: rank %d, norm %g", w[0].name, (int)w[0].rank, w[0].norm);
    assert_true(w[0].participation > 1 && w[0].participation <= 2 && w[0].angle > 0 && w[0].angle < 90);
    Compared p = compared(&a, m, tuned, hooks_new(&a), PART_DECODER);
    assert_true(p.layer[0].change.gap == 0 && p.layer[1].change.gap > 1e-6);
    arena_close(&a);
}

SUITE(cmocka_unit_test(similarity_of_known_pairs), cmocka_unit_test(angles_of_planes),
      cmocka_unit_test(a_prefix_moves_only_what_the_theorem_lets_it),
      cmocka_unit_test(nothing_tuned_is_nothing_moved), cmocka_unit_test(a_planted_change_is_found))

/* The losses: values against their definitions, gradients against central differences, and the head that never
 * holds its logits against the linear op and the plain loss. */
#include "opcheck.h"

#include <string.h>

#include "ad/op.h"

static Arena run;

static Tensor some(DType dtype, const char *name, int rank, const int64_t *dim)
{
    if (!run.base) run = arena_open(0);
    return noise(&run, dtype, rng_stream(29, name), rank, dim);
}

/* Scaled, so that the gradient arriving at the loss is not 1. */
static Var *xent(Tape *t, Var *const *in, void *ctx)
{
    return op_scale(t, op_xent(t, in[0], ctx), 1.75);
}

static double xent_by_definition(Tensor x, const int32_t *target, int *scored)
{
    int64_t v = tensor_last(x);
    double loss = 0;
    *scored = 0;
    for (int64_t i = 0; i < tensor_count(x) / v; i++) {
        if (target[i] < 0) continue;
        double sum = 0;
        for (int64_t j = 0; j < v; j++) sum += exp(tensor_get(x, i * v + j));
        loss += log(sum) - tensor_get(x, i * v + target[i]);
        ++*scored;
    }
    return loss;
}

static void cross_entropy(void **state)
{
    (void)state;
    int32_t targets[][6] = {{0, 3, 6, 2, 2, 5}, {-1, 3, -100, 2, -1, 6}, {-1, -1, -1, -1, -1, -1}};
    for (int i = 0; i < 3; i++) {
        Tensor x = some(F64, "logits", SHAPE(2, 3, 7));
        int n;
        double sum = xent_by_definition(x, targets[i], &n);
        Tape *t = tape_open(&run, false);
        double got = tape_scalar(op_xent(t, tape_leaf(t, x), targets[i])), want = n ? sum / n : 0;
        EXPECT(fabs(got - want) < 1e-14, "loss %.17g, expected %.17g", got, want);
        opcheck("xent", xent, targets[i], 1, &x);
    }
}

static void far_logits_stay_finite(void **state)
{
    (void)state;
    int32_t target[] = {0, 1};
    Tensor x = tensor_zero(&run, F32, SHAPE(2, 2));
    tensor_set(x, 0, 5000);
    tensor_set(x, 2, 5000);
    Tape *t = tape_open(&run, true);
    Var *in = tape_input(t, x), *loss = op_xent(t, in, target);
    tape_backward(t, loss);
    EXPECT(tape_scalar(loss) == 2500, "loss %g", tape_scalar(loss));
    EXPECT(tensor_get(in->grad, 0) == 0 && tensor_get(in->grad, 2) == 0.5, "gradient %g", tensor_get(in->grad, 2));
}

/* ---- head_xent */

typedef struct {
    const int32_t *target;
    Layout layout;
    bool bias, frozen; /* frozen: W and b are constants whatever the check wants */
} Head;

static Var *head(Tape *t, Var *const *in, void *ctx)
{
    const Head *h = ctx;
    Var *w = h->frozen ? tape_leaf(t, in[1]->val) : in[1];
    Var *b = !h->bias ? NULL : h->frozen ? tape_leaf(t, in[2]->val) : in[2];
    return op_scale(t, op_head_xent(t, in[0], w, h->layout, b, h->target, NULL), -0.6);
}

static Var *head_in_steps(Tape *t, Var *const *in, void *ctx)
{
    const Head *h = ctx;
    return op_xent(t, op_linear(t, in[0], in[1], h->layout, h->bias ? in[2] : NULL, ACT_NONE), h->target);
}

static void small_heads(void **state)
{
    (void)state;
    static const int32_t all[] = {0, 3, 6, 2, 2, 5}, few[] = {-1, 3, -1, 2, -1, 6}, none[] = {-1, -1, -1, -1, -1, -1};
    const int32_t *const targets[] = {all, few, none};
    for (int i = 0; i < 12; i++) {
        Head h = {targets[i / 4], i & 1 ? IN_OUT : OUT_IN, i & 2, false};
        Tensor in[] = {some(F64, "x", SHAPE(2, 3, 4)),
                       h.layout == OUT_IN ? some(F64, "w", SHAPE(7, 4)) : some(F64, "w", SHAPE(4, 7)),
                       some(F64, "b", SHAPE(7))};
        opcheck("head_xent", head, &h, h.bias ? 3 : 2, in);
    }
}

/* Large enough for several chunks.  W learns: the backward computes the logits again; W frozen: dx is made in the
 * forward.  Both against the two ops in a row, in the same pass of gradients. */
static void large_head(Layout layout, bool frozen, bool gaps)
{
    enum { R = 150, C = 5, V = 60000 };
    static int32_t target[R];
    for (int i = 0; i < R; i++) target[i] = gaps && i % 3 == 1 ? -1 : (int32_t)rng_below(4, (uint64_t)i, V);
    Head h = {target, layout, true, frozen};
    Arena step = arena_open(0);
    Tensor in[] = {some(F64, "xl", SHAPE(R, C)),
                   some(F64, "wl", SHAPE(layout == OUT_IN ? V : C, layout == OUT_IN ? C : V)),
                   some(F64, "bl", SHAPE(V))};
    Tensor grad[2][3];
    double sum = 0, mean[2];
    for (int steps = 0; steps < 2; steps++) {
        Tape *t = tape_open(&step, true);
        Var *v[] = {tape_input(t, in[0]), frozen ? tape_leaf(t, in[1]) : tape_input(t, in[1]),
                    frozen ? tape_leaf(t, in[2]) : tape_input(t, in[2])};
        Var *loss = steps ? head_in_steps(t, v, &h) : op_head_xent(t, v[0], v[1], layout, v[2], target, &sum);
        mean[steps] = tape_scalar(loss);
        tape_backward(t, op_scale(t, loss, 3));
        for (int i = 0; i < 3; i++) grad[steps][i] = v[i]->grad;
    }
    int scored = 0;
    for (int i = 0; i < R; i++) scored += target[i] >= 0;
    EXPECT(fabs(mean[0] - mean[1]) < 1e-13 && fabs(sum / scored - mean[1]) < 1e-13, "loss %.17g, expected %.17g",
           mean[0], mean[1]);
    for (int i = 0; i < (frozen ? 1 : 3); i++) EXPECT_NEAR(grad[0][i], grad[1][i], 1e-15);
    arena_close(&step);
}

static void chunked_heads(void **state)
{
    (void)state;
    large_head(OUT_IN, false, true);
    large_head(IN_OUT, false, false);
    large_head(OUT_IN, true, true);
    large_head(IN_OUT, true, false);
}

/* The point of it all: only a chunk of the logits is held at once, 32 MiB in F64, and not the 115 MiB of all. */
static void logits_never_stand_whole(void **state)
{
    (void)state;
    enum { R = 600, C = 2, V = 24000 };
    static int32_t target[R];
    Arena step = arena_open(0);
    Tensor x = some(F64, "xm", SHAPE(R, C)), w = some(F64, "wm", SHAPE(V, C));
    Tape *t = tape_open(&step, true);
    tape_backward(t, op_head_xent(t, tape_input(t, x), tape_input(t, w), OUT_IN, NULL, target, NULL));
    EXPECT(arena_peak(&step) < (size_t)40 << 20, "%zu bytes", arena_peak(&step));
    arena_close(&step);
}

static void threads_do_not_show(void **state)
{
    (void)state;
    enum { R = 70, C = 48, V = 3000 };
    static int32_t target[R];
    for (int i = 0; i < R; i++) target[i] = i % 4 ? i : -1;
    for (int i = 0; i < 4; i++) {
        DType dtype = i & 1 ? F32 : F64;
        Head h = {target, OUT_IN, true, i & 2};
        Tensor in[] = {some(dtype, "xt", SHAPE(R, C)), some(dtype, "wt", SHAPE(V, C)), some(dtype, "bt", SHAPE(V))};
        opcheck_threads("head_xent", head, &h, 3, in);
    }
}

/* ---- binary cross-entropy */

static Var *focal(Tape *t, Var *const *in, void *ctx)
{
    return op_scale(t, op_focal(t, in[0], ctx, 0.25, 2), 2.5);
}

/* By its definition, far from overflow, and, without its exponent, as half the cross-entropy. */
static void focal_losses(void **state)
{
    (void)state;
    float labels[] = {1, 0, -1, 0.25f, 0, 1}, sure[] = {0, 1};
    Tensor x = some(F64, "focal", SHAPE(3, 2)), far = tensor_zero(&run, F64, SHAPE(1, 2));
    double want = 0;
    for (int64_t k = 0; k < 6; k++) {
        double y = (double)labels[k], p = 1 / (1 + exp(-tensor_get(x, k)));
        if (y < 0) continue;
        want -= (y * 0.25 * pow(1 - p, 2) * log(p) + (1 - y) * 0.75 * p * p * log(1 - p)) / 5;
    }
    Tape *t = tape_open(&run, false);
    near(tape_scalar(op_focal(t, tape_leaf(t, x), labels, 0.25, 2)), want, 1e-12, "focal loss");
    near(tape_scalar(op_focal(t, tape_leaf(t, x), labels, 0.5, 0)),
         tape_scalar(op_bce(t, tape_leaf(t, x), labels)) / 2, 1e-12, "without its exponent");
    tensor_set(far, 0, 900), tensor_set(far, 1, -900);
    near(tape_scalar(op_focal(t, tape_leaf(t, far), sure, 0.5, 2)), 450, 1e-9, "far from its label");
    opcheck("focal", focal, labels, 1, &x);
}

typedef struct {
    const double *q;
    double z;
} Soft;

static Var *soft(Tape *t, Var *const *in, void *ctx)
{
    const Soft *s = ctx;
    return op_scale(t, op_xent_soft(t, in[0], s->q, s->z), 2.5);
}

/* Whole weights on one class are op_xent(); others by their definition, and a row without weight counts nothing. */
static void soft_cross_entropy(void **state)
{
    (void)state;
    const int32_t target[] = {2, 0};
    const double hard[] = {0, 0, 1, 1, 0, 0}, q[] = {0.5, 0.2, 0.9, 0, 0, 0};
    Tensor x = some(F64, "soft", SHAPE(2, 3)), far = tensor_zero(&run, F64, SHAPE(1, 3));
    Tape *t = tape_open(&run, false);
    near(tape_scalar(op_xent_soft(t, tape_leaf(t, x), hard, 2)), tape_scalar(op_xent(t, tape_leaf(t, x), target)),
         1e-12, "as cross-entropy");
    double sum = 0, want = 0;
    for (int64_t c = 0; c < 3; c++) sum += exp(tensor_get(x, c));
    for (int64_t c = 0; c < 3; c++) want -= q[c] * log(exp(tensor_get(x, c)) / sum) / 1.7;
    near(tape_scalar(op_xent_soft(t, tape_leaf(t, x), q, 1.7)), want, 1e-12, "weights of all classes");
    tensor_set(far, 0, 900);
    near(tape_scalar(op_xent_soft(t, tape_leaf(t, far), hard, 1)), 900, 1e-9, "far from its label");
    opcheck("xent_soft", soft, &(Soft){q, 1.7}, 1, &x);
    opcheck("xent_soft, one class", soft, &(Soft){hard, 2}, 1, &x);
}

static Var *bce(Tape *t, Var *const *in, void *ctx)
{
    return op_scale(t, op_bce(t, in[0], ctx), 2.5);
}

static void binary_cross_entropy(void **state)
{
    (void)state;
    float labels[][6] = {{0, 1, 1, 0, 0.25f, 1}, {-1, 1, 0, -1, -1, 0}, {-1, -1, -1, -1, -1, -1}};
    for (int i = 0; i < 3; i++) {
        Tensor x = some(F64, "bce", SHAPE(3, 2));
        double sum = 0, n = 0;
        for (int64_t j = 0; j < 6; j++) {
            if (labels[i][j] < 0) continue;
            double p = 1 / (1 + exp(-tensor_get(x, j))), y = (double)labels[i][j];
            sum -= y * log(p) + (1 - y) * log(1 - p);
            n++;
        }
        Tape *t = tape_open(&run, false);
        double got = tape_scalar(op_bce(t, tape_leaf(t, x), labels[i]));
        EXPECT(fabs(got - (n > 0 ? sum / n : 0)) < 1e-14, "loss %.17g, expected %.17g", got, sum / n);
        opcheck("bce", bce, labels[i], 1, &x);
    }
    float sure[] = {1, 0, 0, 1};
    Tensor far = tensor_zero(&run, F32, SHAPE(4));
    for (int j = 0; j < 4; j++) tensor_set(far, j, j & 1 ? -500 : 500);
    Tape *t = tape_open(&run, false);
    double got = tape_scalar(op_bce(t, tape_leaf(t, far), sure));
    EXPECT(fabs(got - 250) < 1e-4, "far logits give %g, expected 250", got); /* two right, two off by 500 */
}

/* ---- squared distance */

static Var *mse(Tape *t, Var *const *in, void *ctx)
{
    return op_scale(t, op_mse(t, in[0], tensor_cast(tape_arena(t), *(Tensor *)ctx, in[0]->val.dtype)), 1.25);
}

static void squared_distance(void **state)
{
    (void)state;
    Tensor y = some(F64, "y", SHAPE(2, 3, 4)), target = some(F64, "t", SHAPE(2, 3, 4));
    double sum = 0;
    for (int64_t i = 0; i < 24; i++) sum += pow(tensor_get(y, i) - tensor_get(target, i), 2);
    Tape *t = tape_open(&run, false);
    double got = tape_scalar(op_mse(t, tape_leaf(t, y), target));
    EXPECT(fabs(got - sum / 6) < 1e-14, "loss %.17g, expected %.17g", got, sum / 6); /* six rows */
    opcheck("mse", mse, &target, 1, &y);
}

SUITE(cmocka_unit_test(focal_losses), cmocka_unit_test(soft_cross_entropy), cmocka_unit_test(cross_entropy),
      cmocka_unit_test(far_logits_stay_finite), cmocka_unit_test(small_heads), cmocka_unit_test(chunked_heads),
      cmocka_unit_test(logits_never_stand_whole), cmocka_unit_test(threads_do_not_show),
      cmocka_unit_test(binary_cross_entropy), cmocka_unit_test(squared_distance))

/* The projection is a matrix of +-1/sqrt(D) with its own transpose, and a step goes along the projected gradient. */
#include "expect.h"

#include "nn/model.h"
#include "theory/subspace.h"

enum { D = 100, DIM = 24 };

static Subspace *open_small(Arena *a, bool independent)
{
    ParamSet *set = params_open(a, F32, 3);
    param_add(set, "matrix", (Init){INIT_NORMAL, 1}, SHAPE(9, 10));
    param_add(set, "bias", (Init){INIT_NORMAL, 1}, SHAPE(10));
    return subspace_open(a, set, "*", DIM, independent, 17);
}

/* Column j of P is the image of a unit vector. */
static void entries(void **state)
{
    (void)state;
    for (int independent = 0; independent < 2; independent++) {
        Arena a = arena_open((size_t)1 << 24);
        Subspace *s = open_small(&a, independent);
        assert_int_equal(s->size, D);
        static float p[DIM][D];
        double sum = 0, overlap = 0;
        for (int j = 0; j < DIM; j++) {
            Tensor e = tensor_zero(&a, F32, SHAPE(DIM));
            tensor_set(e, j, 1);
            subspace_up(s, p[j], e);
            for (int i = 0; i < D; i++) {
                EXPECT(fabs(fabs((double)p[j][i]) - 0.1) < 1e-6, "entry (%d,%d) is %g", i, j, (double)p[j][i]);
                sum += (double)p[j][i] / sqrt(D * DIM) * 10; /* standard deviation 1 if signs are fair */
            }
            for (int k = 0; k < j; k++) {
                double dot = 0;
                for (int i = 0; i < D; i++) dot += (double)p[j][i] * (double)p[k][i];
                overlap += dot * dot / (DIM * (DIM - 1) / 2.0);
            }
        }
        EXPECT(fabs(sum) < 4, "signs sum to %.2f standard deviations", sum);
        EXPECT(overlap < 0.015, "mean squared overlap of columns is %.4f; independent ones have 1/D = 0.01", overlap);
        arena_close(&a);
    }
}

/* <P z, g> = <z, P' g>. */
static void transpose(void **state)
{
    (void)state;
    for (int independent = 0; independent < 2; independent++) {
        Arena a = arena_open((size_t)1 << 24);
        Subspace *s = open_small(&a, independent);
        Tensor z = noise(&a, F32, 5, SHAPE(DIM)), back = tensor_new(&a, F32, SHAPE(DIM));
        float up[D], g[D];
        for (int i = 0; i < D; i++) g[i] = (float)rng_normal(6, (uint64_t)i);
        subspace_up(s, up, z);
        subspace_down(s, back, g);
        double left = 0, right = 0;
        for (int i = 0; i < D; i++) left += (double)up[i] * (double)g[i];
        for (int j = 0; j < DIM; j++) right += tensor_get(z, j) * tensor_get(back, j);
        EXPECT(fabs(left - right) < 1e-4, "%s: %.6f against %.6f", independent ? "independent" : "Hadamard", left,
               right);
        arena_close(&a);
    }
}

/* On a small model: the first step moves every z_j by the rate against its slope, and all weights by P times that. */
static void step_descends(void **state)
{
    (void)state;
    Arena a = arena_open((size_t)1 << 28);
    Config c = {0};
    Model *m;
    arch_find("gpt2")->defaults(&c);
    c.vocab = 7, c.positions = 6, c.dim = 8, c.heads = 2, c.layers = 1, c.hidden = 16, c.init_sd = 0.3;
    assert_int_equal(model_open(&m, &a, &c, F32, 2), OK);
    static const int32_t ids[6] = {1, 2, 3, 4, 5, 6}, target[6] = {2, 3, 4, 5, 6, 0};
    Batch batch = {.b = 1, .t = 6, .ids = ids, .target = target};
    Subspace *s = subspace_open(&a, m->params, "*", DIM, false, 11);
    Tensor table = params_at(m->params, 0)->val, was = tensor_copy(&a, table);
    subspace_apply(s);
    EXPECT_NEAR(table, was, 0);
    Tape *t = tape_open(&a, true);
    tape_backward(t, model_loss(m, &(Pass){.tape = t}, &batch));
    subspace_step(s, 1e-3, 1);
    Tensor slope = tensor_copy(&a, s->dz), z = tensor_copy(&a, s->z);
    const double h = 0.1;
    for (int j = 0; j < DIM; j++) {
        double side[2];
        for (int k = 0; k < 2; k++) {
            tensor_fill(s->z, 0);
            tensor_set(s->z, j, k ? h : -h);
            subspace_apply(s);
            side[k] = tape_scalar(model_loss(m, &(Pass){.tape = tape_open(&a, false)}, &batch));
        }
        double want = (side[1] - side[0]) / (2 * h), got = tensor_get(slope, j);
        EXPECT(fabs(want - got) < 5e-4 + 0.02 * fabs(want), "slope %d is %.5f, expected %.5f", j, got, want);
        EXPECT(fabs(tensor_get(z, j) + copysign(1e-3, got)) < 1e-5, "z_%d moved by %g at slope %g", j,
               tensor_get(z, j), got);
    }
    arena_close(&a);
}

SUITE(cmocka_unit_test(entries), cmocka_unit_test(transpose), cmocka_unit_test(step_descends))

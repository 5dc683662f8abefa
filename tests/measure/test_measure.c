/* The measures of attention: hand-made maps with known answers, and the prefix identity on random decoders and
 * encoders in the layouts they are used with. */
#include "expect.h"

#include "measure/measure.h"
#include "peft/peft.h"

static Seen by_hand(Arena *a, DType type, int64_t t, int64_t s, const double *probs)
{
    Seen x = {.probs = tensor_new(a, type, SHAPE(1, 1, t, s))};
    for (int64_t i = 0; i < t * s; i++) tensor_set(x.probs, i, probs[i]);
    return x;
}

/* One head, two queries, two content columns: (.5,.5) and (.25,.75) against (.8,.2) of half the mass
 * and (.25,.75). */
static void known_change(void **state)
{
    (void)state;
    Arena a = arena_open(1 << 20);
    Seen without = by_hand(&a, F64, 2, 2, (double[]){.5, .5, .25, .75});
    Seen with = by_hand(&a, F64, 2, 3, (double[]){.5, .4, .1, .2, .2, .6});
    Map x = {.seen = &with, .extra = 1}, y = {.seen = &without};
    AttentionChange c = measure_change(x, y, -1);
    assert_int_equal(c.rows, 2);
    EXPECT(fabs(c.gap - 0.3) < 1e-15 && fabs(c.tv - 0.15) < 1e-15, "gap %.17g, tv %.17g", c.gap, c.tv);
    EXPECT(fabs(c.kl - 0.25 * log(0.5 / 0.8 * 0.5 / 0.2)) < 1e-15, "kl %.17g", c.kl);
    EXPECT(fabs(tensor_get(measure_alpha(&a, x), 1) - 0.2) < 1e-15, "alpha");
    EXPECT(fabs(tensor_get(measure_mass(&a, x), 0) - 0.5) < 1e-15, "mass");
    assert_int_equal(measure_columns(x), 2);
    x.row = (uint8_t[]){0, 1};
    c = measure_change(x, y, 0);
    EXPECT(c.rows == 1 && c.gap < 1e-15 && c.kl < 1e-15, "%d rows, gap %g", (int)c.rows, c.gap);
    assert_true(isnan(tensor_get(measure_content(&a, x), 0)));
    arena_close(&a);
}

/* A prefix that takes all but 1e-30 of the mass leaves weights that can still be compared; one that takes all, or all
 * but a few of the least numbers, leaves none, which is no agreement; a NaN is none either. */
static void extremes(void **state)
{
    (void)state;
    Arena a = arena_open(1 << 20);
    Seen without = by_hand(&a, F32, 1, 2, (double[]){.25, .75});
    Seen nearly = by_hand(&a, F32, 1, 3, (double[]){1, .25e-30, .75e-30});
    Seen all = by_hand(&a, F32, 1, 3, (double[]){1, 0, 0});
    Seen lost = by_hand(&a, F32, 1, 3, (double[]){1, 1.4e-45, 2.8e-45});
    Seen broken = by_hand(&a, F32, 1, 3, (double[]){NAN, NAN, NAN});
    Seen one_sided = by_hand(&a, F32, 1, 2, (double[]){0, 1});
    Map y = {.seen = &without};
    AttentionChange c = measure_change((Map){.seen = &nearly, .extra = 1}, y, -1);
    EXPECT(c.rows == 1 && c.gap < 1e-7, "gap %g of %d rows", c.gap, (int)c.rows);
    c = measure_change((Map){.seen = &all, .extra = 1}, y, -1);
    EXPECT(c.rows == 0 && isnan(c.gap) && isnan(c.kl) && isnan(c.tv), "gap %g of %d rows", c.gap, (int)c.rows);
    c = measure_change((Map){.seen = &lost, .extra = 1}, y, -1);
    EXPECT(c.rows == 0 && isnan(tensor_get(measure_content(&a, (Map){.seen = &lost, .extra = 1}), 0)), "%d rows",
           (int)c.rows);
    c = measure_change((Map){.seen = &broken, .extra = 1}, y, -1);
    assert_true(isnan(c.gap));
    c = measure_change((Map){.seen = &one_sided}, y, -1);
    EXPECT(isfinite(c.kl) && c.kl > 10, "KL of a lost weight %g", c.kl);
    arena_close(&a);
}

static Model *small(Arena *run, const char *arch, DType type)
{
    Config c = {0};
    arch_find(arch)->defaults(&c);
    c.vocab = 13, c.positions = 20, c.dim = 12, c.heads = 3, c.layers = 2, c.hidden = 20, c.init_sd = 0.3;
    Model *m;
    EXPECT(model_open(&m, run, &c, type, 4) == OK, "%s", err_message());
    for (int i = 0; i < params_n(m->params); i++) { /* biases at zero would hide a missing one */
        Param *p = params_at(m->params, i);
        for (int64_t j = 0; j < tensor_count(p->val) && p->val.rank == 1; j++)
            tensor_set(p->val, j, tensor_get(p->val, j) + 0.2 * rng_normal(rng_stream(8, p->name), (uint64_t)j));
    }
    return m;
}

/* One prefix in the first layer only: the layers above share no input with the run without it. */
static Var *prepend(Pass *p, Where at, Var *in, Var *out, void *slots)
{
    (void)in;
    return op_prepend(p->tape, tape_leaf(p->tape, ((Tensor *)slots)[at.site == SITE_VALUES]), out, 0);
}

static double distance(Tensor p, Tensor q, int64_t head) /* mean total variation of one head of (B,H,T,n) */
{
    double sum = 0;
    int64_t per = p.dim[2] * p.dim[3], rows = 0;
    for (int64_t b = 0; b < p.dim[0]; b++)
        for (int64_t i = 0; i < per; i++) {
            int64_t at = (b * p.dim[1] + head) * per + i;
            if (isnan(tensor_get(p, at))) continue;
            sum += fabs(tensor_get(p, at) - tensor_get(q, at)) / 2;
            rows += i % p.dim[3] == 0;
        }
    return sum / (double)rows;
}

/* Spans of (B,H,T,S) that differ in every size, so that a wrong stride shows. */
enum { ROWS_ = 2, TOKENS_ = 7, SLOTS_ = 4, RESERVED_ = 2 };

static void identity(const char *arch, Part part, DType type, int64_t reserved, double limit)
{
    Arena run = arena_open(0), step = arena_open(0);
    Model *m = small(&run, arch, type);
    int32_t ids[ROWS_ * TOKENS_];
    for (int i = 0; i < ROWS_ * TOKENS_; i++) ids[i] = 4 + (int32_t)rng_below(3, (uint64_t)i, 9);
    Batch batch = {.b = ROWS_, .t = TOKENS_, .ids = ids};
    Tensor slots[2] = {noise(&run, type, 5, SHAPE(SLOTS_, 12)), noise(&run, type, 6, SHAPE(SLOTS_, 12))};
    Hooks *hooks = hooks_new(&run);
    hook_add(hooks, (Where){SITE_KEYS, 0, part}, prepend, slots);
    hook_add(hooks, (Where){SITE_VALUES, 0, part}, prepend, slots);
    Seen without[2], with[2];
    measure_pass(without, &run, m, NULL, part, &batch);
    measure_pass(with, &run, m, hooks, part, &batch);
    assert_int_equal(hooks_n(hooks), 2);

    Map x = {.seen = &with[0], .extra = SLOTS_, .reserved = reserved},
        y = {.seen = &without[0], .reserved = reserved};
    AttentionChange c = measure_change(x, y, -1);
    int64_t blind = part == PART_DECODER ? ROWS_ * 3 * reserved : 0; /* causal queries at reserved positions */
    EXPECT(c.rows == ROWS_ * 3 * TOKENS_ - blind, "%s: %d rows compared", arch, (int)c.rows);
    EXPECT(c.gap < limit && c.tv < limit && c.kl < limit, "%s: gap %g, tv %g, kl %g", arch, c.gap, c.tv, c.kl);
    EXPECT(measure_residual(&step, x, y) < limit, "%s: mixture off by %g", arch, measure_residual(&step, x, y));

    Tensor mass = measure_mass(&run, x), alpha = measure_alpha(&run, x);
    for (int64_t i = 0; i < tensor_count(mass); i++) {
        double total = tensor_get(mass, i) + tensor_get(alpha, i);
        EXPECT(fabs(total - 1) < limit, "%s: masses sum to %.17g", arch, total);
    }
    Map above = {.seen = &with[1], .reserved = reserved}, base = {.seen = &without[1], .reserved = reserved};
    AttentionChange all_heads = measure_change(above, base, -1), head[3];
    EXPECT(all_heads.gap > 0.01, "%s: layer 2 did not move", arch);
    for (int h = 0; h < 3; h++) {
        head[h] = measure_change(above, base, h);
        double want = distance(measure_content(&run, above), measure_content(&run, base), h);
        EXPECT(fabs(head[h].tv - want) < 1e-12, "%s: head %d changes by %g, expected %g", arch, h, head[h].tv, want);
    }
    EXPECT(fmax(head[0].gap, fmax(head[1].gap, head[2].gap)) == all_heads.gap,
           "%s: changes of heads %g %g %g, all %g", arch, head[0].gap, head[1].gap, head[2].gap, all_heads.gap);
    EXPECT(measure_residual(&step, above, base) > 0.01, "%s: layer 2's heads did not move", arch);

    Tensor d = measure_added(&run, x, y), all = measure_projected(&run, m, (Where){.part = part}, d, -1);
    Tensor parts = tensor_zero(&run, F64, 2, all.dim);
    for (int h = 0; h < 3; h++) {
        Tensor one = measure_projected(&run, m, (Where){.part = part}, d, h);
        for (int64_t i = 0; i < tensor_count(parts); i++)
            tensor_set(parts, i, tensor_get(parts, i) + tensor_get(one, i));
    }
    EXPECT_NEAR(parts, all, 1e-14);
    arena_close(&run);
    arena_close(&step);
}

static void prefix_identity(void **state)
{
    (void)state;
    identity("gpt2", PART_DECODER, F64, 0, 1e-14);
    identity("gpt2", PART_DECODER, F32, 0, 2e-6);
    identity("gpt2", PART_DECODER, F64, RESERVED_, 1e-14);
    identity("roberta", PART_ENCODER, F64, 0, 1e-14);
}

/* The projection reads weights of both layouts, (in,out) and (out,in), as the model itself does. */
static void projection(void **state)
{
    (void)state;
    Arena run = arena_open(0), step = arena_open(0);
    Model *m[2] = {small(&run, "gpt2", F64), small(&run, "roberta", F64)};
    for (int k = 0; k < 2; k++) {
        Part part = k ? PART_ENCODER : PART_DECODER;
        Tensor d = noise(&run, F64, 7, SHAPE(5, 12)),
               got = measure_projected(&run, m[k], (Where){.part = part}, d, -1);
        const Linear *o = model_linear(m[k], (Where){SITE_ATTN_OUT, 0, part});
        Tape *t = tape_open(&step, false);
        Var *want = op_linear(t, tape_leaf(t, d), tape_param(t, o->w), o->layout, NULL, ACT_NONE);
        EXPECT_NEAR(got, want->val, 1e-14);
    }
    arena_close(&run);
    arena_close(&step);
}

/* (2,0,0) and (1,1,0): cosine 1/sqrt 2, distance sin 45; a third that is a mixture of them is at distance 0; an
 * orthogonal one at 1. */
static void directions(void **state)
{
    (void)state;
    Arena a = arena_open(1 << 20);
    double two[] = {2, 0, 0, 1, 1, 0}, mixed[] = {2, 0, 0, 1, 1, 0, 3, 1, 0}, square[] = {2, 0, 0, 0, 0, 5};
    Directions d;
    assert_int_equal(measure_directions(&d, &a, tensor_over(two, F64, SHAPE(2, 3))), OK);
    EXPECT(fabs(d.cosine - sqrt(0.5)) < 1e-15 && fabs(d.apart - sqrt(0.5)) < 1e-15, "%g %g", d.cosine, d.apart);
    assert_int_equal(measure_directions(&d, &a, tensor_over(mixed, F64, SHAPE(3, 3))), OK);
    EXPECT(fabs(d.cosine - 3 / sqrt(10)) < 1e-15 && d.apart < 1e-14, "%g %g", d.cosine, d.apart);
    assert_int_equal(measure_directions(&d, &a, tensor_over(square, F64, SHAPE(2, 3))), OK);
    EXPECT(d.cosine == 0 && d.apart == 1, "%g %g", d.cosine, d.apart);
    arena_close(&a);
}

SUITE(cmocka_unit_test(directions), cmocka_unit_test(known_change), cmocka_unit_test(extremes),
      cmocka_unit_test(prefix_identity), cmocka_unit_test(projection))

/* Summaries against the model's own attention, the slack against prefixes at random, and pairs that meet. */
#include "expect.h"

#include <string.h>

#include "base/rng.h"
#include "peft/peft.h"
#include "toy/fibre.h"

enum { DIM = 24 };

static Model *open_model(Arena *run)
{
    Config c = {0};
    Model *m;
    arch_find("gpt2")->defaults(&c);
    c.vocab = DIGIT_VOCAB, c.positions = FIBRE_PLACES, c.dim = DIM, c.heads = c.layers = 1, c.hidden = 2 * DIM;
    c.tie_head = false, c.init_sd = 0.15;
    assert_int_equal(model_open(&m, run, &c, F64, 7), OK);
    return m;
}

static double norm(const double *x, int n)
{
    double sum = 0;
    for (int i = 0; i < n; i++) sum += x[i] * x[i];
    return sqrt(sum);
}

/* Of one random row: log Z is the log-sum of the scores over content, h their mixture, the pad token left out of
 * both. */
static void summary_is_attention(void **state)
{
    (void)state;
    Arena run = arena_open(1 << 26), step = arena_open(1 << 26);
    Model *m = open_model(&run);
    const Fibre *f = fibre_open(&run, m);
    int32_t row[FIBRE_PLACES] = {0};
    for (int i = FIBRE_SLOTS; i < FIBRE_PLACES; i++) row[i] = (int32_t)rng_below(3, (uint64_t)i, DIGIT_VOCAB);
    Capture scores = {.arena = &run}, values = {.arena = &run};
    Hooks *hooks = hooks_new(&run);
    hook_observe(hooks, (Where){SITE_SCORES, 0, PART_DECODER}, hook_capture, &scores);
    hook_observe(hooks, (Where){SITE_VALUES, 0, PART_DECODER}, hook_capture, &values);
    model_hidden(m, &(Pass){.tape = tape_open(&step, false), .hooks = hooks},
                 &(Batch){.b = 1, .t = FIBRE_PLACES, .ids = row});
    for (int at = FIBRE_SLOTS; at < FIBRE_PLACES; at++) {
        Sigma s;
        fibre_summary(&s, f, row, at);
        double z = 0, h[DIM] = {0};
        for (int j = FIBRE_SLOTS; j <= at; j++) {
            double w = exp(tensor_get(scores.value, at * FIBRE_PLACES + j));
            z += w;
            for (int i = 0; i < DIM; i++) h[i] += w * tensor_get(values.value, j * DIM + i);
        }
        EXPECT(fabs(s.log_z - log(z)) < 1e-12, "position %d: log Z %.15g, expected %.15g", at, s.log_z, log(z));
        for (int i = 0; i < DIM; i++)
            EXPECT(fabs(s.h[i] - h[i] / z) < 1e-12, "position %d: h[%d] is %.15g, expected %.15g", at, i, s.h[i],
                   h[i] / z);
    }
    arena_close(&step), arena_close(&run);
}

static void mix(double out[DIM], const Sigma *s, double log_a, const double g[DIM])
{
    double alpha = 1 / (1 + exp(s->log_z - log_a));
    for (int i = 0; i < DIM; i++) out[i] = (1 - alpha) * s->h[i] + alpha * g[i];
}

/* Prefixes of every strength with values up to the cap: no two outputs are further apart than the slack, and some
 * pair of summaries uses more than half of it, so the bound is not empty. */
static void slack_bounds_every_prefix(void **state)
{
    (void)state;
    const double cap = 3;
    double most = 0;
    for (uint64_t i = 0; i < 4000; i++) {
        uint64_t s = rng_mix(11, i);
        Sigma a = {.log_z = rng_normal(s, 0)}, b = {.log_z = a.log_z + rng_normal(s, 1)};
        double g[DIM], oa[DIM], ob[DIM], d[DIM];
        for (int k = 0; k < DIM; k++) {
            a.h[k] = rng_normal(s, (uint64_t)(10 + k)) / DIM;
            b.h[k] = a.h[k] + 1e-3 * rng_normal(s, (uint64_t)(100 + k));
            d[k] = a.h[k] - b.h[k], g[k] = rng_normal(s, (uint64_t)(200 + k));
        }
        double length = norm(g, DIM);
        for (int k = 0; k < DIM; k++) g[k] *= cap / length;
        Gap gap = {
            .head = norm(d, DIM), .mass = fabs(a.log_z - b.log_z), .norm = fmax(norm(a.h, DIM), norm(b.h, DIM))};
        double log_a = 2 * rng_normal(s, 2);
        mix(oa, &a, log_a, g), mix(ob, &b, log_a, g);
        for (int k = 0; k < DIM; k++) d[k] = oa[k] - ob[k];
        double used = norm(d, DIM) / fibre_slack(gap, cap);
        EXPECT(used <= 1 + 1e-12, "prefix %d uses %.3f of the slack", (int)i, used);
        most = fmax(most, used);
    }
    EXPECT(most > 0.5, "at most %.3f of the slack was used", most);
}

static Var *add_shift(Pass *p, Where at, Var *in, Var *out, void *shift)
{
    (void)at, (void)in;
    return op_add(p->tape, out, 1, tape_leaf(p->tape, *(Tensor *)shift));
}

/* The rows of a pair that met, under a strong prefix of seven virtual tokens: one distribution for both. */
static double logit_gap(Model *m, Hooks *hooks, const Pair *p)
{
    Arena step = arena_open(1 << 26);
    int t = p->at + 1, before = hooks_n(hooks);
    int32_t ids[2 * FIBRE_PLACES], keep[2] = {p->at, p->at};
    Tensor shift = tensor_zero(&step, F64, SHAPE(2, t, DIM));
    for (int s = 0; s < 2; s++) memcpy(ids + s * t, p->row[s], sizeof *ids * (size_t)t);
    for (int i = 0; i < t * DIM; i++) tensor_set(shift, t * DIM + i, p->shift[i / DIM][i % DIM]);
    hook_add(hooks, (Where){SITE_RESID, LAYER_EMBED, PART_DECODER}, add_shift, &shift);
    Batch b = {.b = 2, .t = t, .k = 1, .ids = ids, .keep = keep};
    Var *x = model_logits(m, &(Pass){.tape = tape_open(&step, false), .hooks = hooks}, &b);
    double worst = 0;
    for (int v = 0; v < DIGIT_VOCAB; v++)
        worst = fmax(worst, fabs(tensor_get(x->val, v) - tensor_get(x->val, DIGIT_VOCAB + v)));
    hooks_clear_from(hooks, before);
    arena_close(&step);
    return worst;
}

static void pairs_meet(void **state)
{
    (void)state;
    enum { EACH = 2 };
    static Pair pair[EACH * LENGTH];
    Arena run = arena_open(1 << 27), step = arena_open(1 << 27);
    Model *m = open_model(&run);
    const Fibre *f = fibre_open(&run, m);
    const DigitTask *task = digit_task("desc");
    int n = fibre_search(pair, &step, f, task, 200, EACH, 5, 1);
    assert_int_equal(n, EACH * LENGTH);
    Hooks *hooks = hooks_new(&run);
    const Peft *prefix = peft_find("prefix");
    PeftConfig c = {0};
    prefix->defaults(&c, &m->config);
    c.length = 7, c.init_sd = 2;
    assert_int_equal(peft_attach(prefix, m, hooks, &c), OK);
    for (int k = 0; k < n; k++) {
        Pair *p = &pair[k];
        double found = fibre_slack(p->gap, 5);
        EXPECT(p->row[0][p->at] == p->row[1][p->at] && p->want[0] != p->want[1], "pair %d is none", k);
        EXPECT(k % EACH == 0 || found >= fibre_slack(pair[k - 1].gap, 5) || pair[k - 1].at != p->at, "pair %d", k);
        fibre_climb(p, f, task, 5);
        EXPECT(p->row[0][p->at] == p->row[1][p->at] && p->want[0] != p->want[1], "climbed pair %d is none", k);
        EXPECT(fibre_slack(p->gap, 5) <= found, "pair %d climbed from %g to %g", k, found, fibre_slack(p->gap, 5));
        double apart = logit_gap(m, hooks, p);
        assert_int_equal(fibre_meet(p, &step, f), OK);
        EXPECT(p->left < 1e-10, "pair %d: %g is left", k, p->left);
        double met = logit_gap(m, hooks, p);
        EXPECT(met < 1e-9 && apart > 1e-6, "pair %d: logits %g apart before, %g after", k, apart, met);
    }
    arena_close(&step), arena_close(&run);
}

SUITE(cmocka_unit_test(summary_is_attention), cmocka_unit_test(slack_bounds_every_prefix),
      cmocka_unit_test(pairs_meet))

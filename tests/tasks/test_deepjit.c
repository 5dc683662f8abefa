/* DeepJIT: its convolutions against plain loops, its gradient, its parameter counts, and what it leaves out. */
#include "expect.h"

#include <string.h>

#include "ad/gradcheck.h"
#include "tasks/deepjit.h"

static Arena run;

enum { BATCH = 3, LINES = 4 };
static const DeepjitShape TINY = {.message = 9,
                                  .code = 11,
                                  .longest = 7,
                                  .lines = LINES,
                                  .words = 8,
                                  .embed = 3,
                                  .filters = 2,
                                  .middle = 6,
                                  .vector = 4};

static ParamSet *tiny(Deepjit *d, bool as_published)
{
    DeepjitShape s = TINY;
    ParamSet *set = params_open(&run, F64, 5);
    s.as_published = as_published;
    deepjit_open(d, set, &s);
    params_train(set, "*", true);
    return set;
}

static const int32_t ID[] = {5, 7, 2, 8, 3, 3, 6, 4};
static const IdRow BLANK[LINES] = {{0}};
static const IdRow SOME[LINES] = {{ID, 1}, {0}, {ID + 2, 5}, {ID + 1, 2}};
static const DeepjitCommit COMMIT[BATCH] = {{{ID + 3, 4}, SOME}, {{ID, 1}, BLANK}, {{0}, SOME}};

static Tensor logits(const Deepjit *d, Tape *t, int64_t first, int64_t n)
{
    const DeepjitCommit *commit[BATCH];
    for (int64_t i = 0; i < n; i++) commit[i] = &COMMIT[first + i];
    Tensor vector = noise(&run, F64, 9, SHAPE(BATCH, 1, 4));
    vector = tensor_rows(vector, first, n);
    return deepjit_logits(d, t, commit, n, tape_leaf(t, vector), (Drop){0})->val;
}

/* ---- by hand */

/* One row: the maximum of relu over its windows; x (n,c), zeros (as published: nothing) behind the end. */
static void conv_by_hand(double *out, const DeepjitConv *conv, const double *x, int64_t n, int64_t c, bool whole)
{
    for (int k = 0; k < DEEPJIT_WIDTHS; k++)
        for (int64_t f = 0; f < 2; f++) {
            double most = 0;
            for (int64_t i = 0; i < n - (whole ? k : 0); i++) {
                double sum = tensor_get(conv->bias[k]->val, f);
                for (int64_t j = 0; j < (k + 1) * c && i * c + j < n * c; j++)
                    sum += x[i * c + j] * tensor_get(conv->filter[k]->val, f * (k + 1) * c + j);
                most = fmax(most, sum);
            }
            out[k * 2 + f] = most;
        }
}

static void row_by_hand(double *out, const DeepjitConv *conv, const Param *embed, IdRow row, int64_t most, bool whole)
{
    double x[8 * 3] = {0};
    int64_t n = whole ? most : row.n;
    for (int64_t i = 0; i < n; i++)
        for (int c = 0; c < 3; c++)
            x[i * 3 + c] = tensor_get(embed->val, (i < row.n ? row.id[i] : WORD_NONE) * 3 + c);
    conv_by_hand(out, conv, x, n, 3, whole);
}

static double layer(const Param *w, const Param *b, const double *x, int64_t n, int64_t row)
{
    double sum = tensor_get(b->val, row);
    for (int64_t i = 0; i < n; i++) sum += tensor_get(w->val, row * n + i) * x[i];
    return sum;
}

static double logit_by_hand(const Deepjit *d, int64_t i, bool published)
{
    double x[16], line[LINES * 6] = {0}, hidden[6];
    int64_t lines = 0;
    row_by_hand(x, &d->of_message, d->message, COMMIT[i].message, 7, published);
    for (int l = 0; l < LINES; l++)
        if (COMMIT[i].line[l].n || published)
            row_by_hand(line + 6 * lines++, &d->of_line, d->code, COMMIT[i].line[l], 8, published);
    conv_by_hand(x + 6, &d->of_code, line, lines, 6, published);
    Tensor vector = noise(&run, F64, 9, SHAPE(BATCH, 1, 4));
    for (int c = 0; c < 4; c++) x[12 + c] = tensor_get(vector, i * 4 + c);
    for (int k = 0; k < 6; k++) hidden[k] = fmax(0, layer(d->hidden, d->hidden_bias, x, 16, k));
    return layer(d->out, d->out_bias, hidden, 6, 0);
}

static void as_plain_loops_compute_it(void **state)
{
    (void)state;
    run = arena_open(0);
    for (int published = 0; published < 2; published++) {
        Deepjit d;
        tiny(&d, published);
        Tensor y = logits(&d, tape_open(&run, false), 0, BATCH);
        for (int64_t i = 0; i < BATCH; i++)
            near(tensor_get(y, i), logit_by_hand(&d, i, published), 1e-12, published ? "published" : "plain");
        for (int64_t i = 0; i < BATCH; i++)
            near(tensor_get(logits(&d, tape_open(&run, false), i, 1), 0), tensor_get(y, i), 1e-12, "alone");
    }
}

/* ---- gradient, counts */

static Var *loss_of(Tape *t, void *user)
{
    static const float LABEL[] = {1, 0, 1};
    const DeepjitCommit *commit[BATCH] = {&COMMIT[0], &COMMIT[1], &COMMIT[2]};
    int mark = tape_enter(t);
    Var *vector = tape_leaf(t, noise(tape_arena(t), F64, 9, SHAPE(BATCH, 1, 4)));
    Var *y = deepjit_logits(user, t, commit, BATCH, vector, (Drop){0.5, 7});
    return tape_leave(t, mark, op_bce(t, y, LABEL));
}

static void gradients_are_right(void **state)
{
    (void)state;
    run = arena_open(0);
    for (int published = 0; published < 2; published++) {
        Deepjit d;
        ParamSet *set = tiny(&d, published);
        GradCheck g = gradcheck_run(set, &run, loss_of, &d, 3, 1);
        EXPECT(g.worst < 1e-6 && g.worst_each < 1e-5, "%s: %.2g, and %.2g at %s", published ? "published" : "plain",
               g.worst, g.worst_each, g.at);
    }
}

static void parameter_counts(void **state)
{
    (void)state;
    run = arena_open(0);
    for (int joined = 0; joined < 2; joined++) {
        Deepjit d;
        DeepjitShape s = deepjit_shape(300, 1000, joined ? 196 : 0);
        ParamSet *set = params_open(&run, F32, 1);
        deepjit_open(&d, set, &s);
        assert_int_equal(params_count(set, "message.conv.*", false), 64 * 64 * (1 + 2 + 3) + 3 * 64);
        assert_int_equal(params_count(set, "line.conv.*", false), 64 * 64 * (1 + 2 + 3) + 3 * 64);
        assert_int_equal(params_count(set, "code.conv.*", false), 64 * 192 * (1 + 2 + 3) + 3 * 64);
        assert_int_equal(params_count(set, "hidden.*", false), 512 * (joined ? 580 : 384) + 512);
        assert_int_equal(params_count(set, "out.*", false), 513);
        assert_int_equal(params_count(set, "*.embed.*", false), 64 * 1300);
    }
}

SUITE(cmocka_unit_test(as_plain_loops_compute_it), cmocka_unit_test(gradients_are_right),
      cmocka_unit_test(parameter_counts))

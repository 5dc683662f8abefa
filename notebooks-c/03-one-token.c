// %% [markdown]
// # One virtual token carries any sequence
//
// A prompt of one token has as many settings as there are tokens. With a vocabulary of 27 letters,
// one token can make a frozen model write at most 27 different texts. A *virtual* token is a vector
// that need not be the embedding of any token. How many texts can one vector select?
//
// Petrov, Torr and Bibi (ICLR 2024, theorem 1) give the answer by a construction: **all of them**.
// For every vocabulary of `V` tokens and every length `N` there is one fixed transformer that
// writes any sequence `Y` of `N` tokens, when its only input is the vector `s = (Y₀/V, Y₁/V, ...)`.
// You will build this transformer and let it write.
//
// ## How a number becomes a token
//
// The last step is the neatest. Attention and a linear layer will deliver one number `z = Y_r / V`.
// Which token is it? Give token `j` the logit `(2j/V - 1) z + 1/4 - (j/V)²`. That is a straight
// line in `z`, so a linear layer computes it. All lines are tangents of one parabola, and the
// largest of them belongs to the `j/V` that is nearest to `z`:
//
// `(2j/V - 1) z + 1/4 - (j/V)² = -(z - j/V)² + z² - z + 1/4`, and the terms behind the first are
// the same for all `j`.

// %%
//%cflags: -std=c17 -I. @cflags
//%ldflags: @ldflags
#include "notebook.h"

enum { V = 5, POINTS = 101 };

static double logit(int j, double z)
{
    double at = (double)j / V;
    return (2 * at - 1) * z + 0.25 - at * at;
}

static Status cell(Arena *run)
{
    Series line[V] = {0};
    Tensor x = tensor_new(run, F64, SHAPE(POINTS));
    for (int j = 0; j < V; j++) {
        line[j] = (Series){.x = x,
                           .y = tensor_new(run, F64, SHAPE(POINTS)),
                           .label = str_print(run, "token %d", j)};
        for (int i = 0; i < POINTS; i++) {
            double z = 0.01 * i;
            tensor_set(x, i, z);
            tensor_set(line[j].y, i, logit(j, z));
        }
    }
    for (int j = 0; j < V; j++) {
        int best = 0;
        for (int k = 1; k < V; k++)
            if (logit(k, (double)j / V) > logit(best, (double)j / V)) best = k;
        printf("z = %d/%d: the largest logit is %.2f, of token %d\n", j, V,
               logit(best, (double)j / V), best);
        TRY(expect(best == j, "z = %d/%d gives token %d", j, V, j));
    }
    Fig *f = figure(run, "run/one-token/readout", 300, 190);
    fig_lines(f, fig_whole(f), V, line,
              (PlotStyle){.x = {.title = "z"}, .y = {.title = "logit", .lo = -0.8, .hi = 0.4}});
    return show(f, "run/one-token/readout",
                "Logits of five tokens against z. The token with the largest logit changes half "
                "way between two grid points.");
}

// %% [markdown]
// ## The transformer
//
// Row `r` of the input is `[content ; position]`, with `N` numbers each. The content of row 0 is
// the virtual token `s`; later rows have content zero. The position of row `r` is the unit vector
// `e_r`. One attention layer has two heads:
//
// - Head 0 attends to its own row and returns the position `e_r`.
// - Head 1 attends to row 0 and returns the content `s`.
//
// The sum `e_r + s` exceeds 1 in coordinate `r` alone, so `ReLU(e_r + s - 1)` leaves `s_r = Y_r /
// V` there and zero everywhere else. A row of ones adds this up to `z`. That is all.
//
// Softmax never puts all weight on one row, so the scores are multiplied by an inverse temperature
// `T`. It must be large enough: the theory asks for `T > √N ln(4V(N-1))`, because both heads leak a
// little: 24.5 for the sizes below.

// %%
//%cflags: -std=c17 -I. @cflags
//%ldflags: @ldflags
#include "notebook.h"

enum { V = 27, N = 12, MANY = 500 };
static const char LETTERS[] = "abcdefghijklmnopqrstuvwxyz ";

// The fixed weights, each written down by hand.
typedef struct {
    Tensor q, k, v, sum, minus_one, ones, slope, offset;
} Net;

static Net build(Arena *run)
{
    Net n = {.q = tensor_zero(run, F64, SHAPE(2 * N, 2 * N)),
             .k = tensor_zero(run, F64, SHAPE(2 * N, 2 * N)),
             .v = tensor_zero(run, F64, SHAPE(2 * N, 2 * N)),
             .sum = tensor_zero(run, F64, SHAPE(N, 2 * N)),
             .minus_one = tensor_new(run, F64, SHAPE(N)),
             .ones = tensor_new(run, F64, SHAPE(1, N)),
             .slope = tensor_new(run, F64, SHAPE(V, 1)),
             .offset = tensor_new(run, F64, SHAPE(V))};
    tensor_fill(n.minus_one, -1), tensor_fill(n.ones, 1);
    for (int64_t i = 0; i < N; i++) {
        tensor_set(n.q, i * 2 * N + N + i, 1); // head 0: query, key and value are the position
        tensor_set(n.k, i * 2 * N + N + i, 1);
        tensor_set(n.v, i * 2 * N + N + i, 1);
        tensor_set(n.q, N * 2 * N + N + i, 1);   // head 1: every query is 1,
        tensor_set(n.v, (N + i) * 2 * N + i, 1); // and the value is the content
        tensor_set(n.sum, i * 2 * N + i, 1);     // both heads are added
        tensor_set(n.sum, i * 2 * N + N + i, 1);
    }
    tensor_set(n.k, N * 2 * N + N, 1); // head 1: the key is 1 at row 0 alone
    for (int64_t j = 0; j < V; j++) {
        double at = (double)j / V;
        tensor_set(n.slope, j, 2 * at - 1);
        tensor_set(n.offset, j, 0.25 - at * at);
    }
    return n;
}

// The network's output after the virtual token of `want`.
static void decode(int32_t out[N], Arena *step, const Net *n, const int32_t want[N], double t)
{
    ArenaMark mark = arena_mark(step);
    Tensor x = tensor_zero(step, F64, SHAPE(1, N, 2 * N));
    for (int64_t i = 0; i < N; i++) {
        tensor_set(x, i, (double)want[i] / V); // the content of row 0
        tensor_set(x, i * 2 * N + N + i, 1);   // the position of row i
    }
    Tape *tape = tape_open(step, false);
    Var *rows = tape_leaf(tape, x);
    Var *q = op_linear(tape, rows, tape_leaf(tape, n->q), OUT_IN, NULL, ACT_NONE);
    Var *k = op_linear(tape, rows, tape_leaf(tape, n->k), OUT_IN, NULL, ACT_NONE);
    Var *v = op_linear(tape, rows, tape_leaf(tape, n->v), OUT_IN, NULL, ACT_NONE);
    Attn attn = {.heads = 2, .head_dim = N, .scale = t / sqrt(N), .causal = true};
    Var *h = op_attend(tape, q, k, v, NULL, attn);
    Var *content = op_linear(tape, h, tape_leaf(tape, n->sum), OUT_IN,
                             tape_leaf(tape, n->minus_one), ACT_RELU);
    Var *z = op_linear(tape, content, tape_leaf(tape, n->ones), OUT_IN, NULL, ACT_NONE);
    Var *logits =
        op_linear(tape, z, tape_leaf(tape, n->slope), OUT_IN, tape_leaf(tape, n->offset), ACT_NONE);
    for (int64_t i = 0; i < N; i++)
        out[i] = (int32_t)tensor_argmax(tensor_at(tensor_at(logits->val, 0), i));
    arena_drop(step, mark);
}

static int reproduced(Arena *step, const Net *n, double t)
{
    int good = 0;
    uint64_t stream = rng_stream(1, "texts");
    for (int i = 0; i < MANY; i++) {
        int32_t want[N], got[N];
        for (int j = 0; j < N; j++) want[j] = (int32_t)rng_below(stream, (uint64_t)(i * N + j), V);
        decode(got, step, n, want, t);
        good += !memcmp(got, want, sizeof want);
    }
    return good;
}

static Status cell(Arena *run)
{
    Net net = build(run);
    const char *text = "hello reader";
    int32_t want[N], got[N];
    char answer[N + 1] = {0};
    for (int i = 0; i < N; i++) want[i] = (int32_t)(strchr(LETTERS, text[i]) - LETTERS);
    decode(got, run, &net, want, 50);
    for (int i = 0; i < N; i++) answer[i] = LETTERS[got[i]];
    printf("one vector makes the network write '%s'\n", answer);
    TRY(expect(!strcmp(answer, text), "the text is reproduced"));

    Tensor t = tensor_new(run, F64, SHAPE(7)), share = tensor_new(run, F64, SHAPE(7));
    for (int i = 0; i < 7; i++) {
        tensor_set(t, i, 16 + 2 * i);
        tensor_set(share, i, 100.0 * reproduced(run, &net, tensor_get(t, i)) / MANY);
        printf("T = %2.0f: %5.1f %% of %d random texts are reproduced\n", tensor_get(t, i),
               tensor_get(share, i), MANY);
    }
    double bound = sqrt(N) * log(4.0 * V * (N - 1));
    TRY(expect(bound < 26 && tensor_get(share, 5) == 100, "above T = %.1f every text is reproduced",
               bound));
    TRY(expect(tensor_get(share, 0) < 5, "at T = 16 softmax mixes the rows, and hardly any is"));

    Fig *f = figure(run, "run/one-token/temperature", 300, 170);
    Series line = {.x = t, .y = share, .marked = true};
    RefLine ref = {bound, "bound of the theory", true};
    fig_lines(f, fig_whole(f), 1, &line,
              (PlotStyle){.x = {.title = "inverse temperature T"},
                          .y = {.title = "reproduced (%)", .lo = 0, .hi = 100},
                          .ref = &ref,
                          .refs = 1});
    return show(f, "run/one-token/temperature",
                "Random texts of 12 letters that the network writes exactly, against the inverse "
                "temperature of its attention.");
}

// %% [markdown]
// One vector of 12 numbers selects among 27¹² texts. This is *existence*: the network was built to
// be steered. Whether gradient descent finds such a vector for a trained model is another question
// (`vernier theory learn-the-token`).
//
// ## Exercise
//
// 1. Numbers have finite precision. Let `V` grow (rename `LETTERS` and print numbers). In `F64` the
//    construction lasts beyond a vocabulary of 100,000; in `F32` it fails near 3,000. Why is it the
//    parabola that fails first?
// 2. Remove `.causal = true`, so that every row sees all `N` rows. From which `T` on are all texts
//    reproduced now? Why is it the same?
//
// Next: [why a prefix cannot reorder attention](04-prefix-attention.ipynb).

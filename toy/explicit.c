/* A whole transformer in one file, with nothing hidden: forward, loss, and every gradient, written by hand.
 *
 *     ids -> token + position vectors -> x
 *     for each layer:   x += attention(norm(x));   x += feed_forward(norm(x))
 *     x -> norm -> scores of each token -> loss
 *
 * Each step is two functions.  The first computes y from x.  The second, its name ending in _back, is given dy, the
 * derivative of the loss by every element of y, and adds to dx (and to the weights' dw) by the chain rule:
 *
 *     dx_i += sum_j dy_j (d y_j / d x_i)
 *
 * It adds because a value may be used in several places, and the derivatives of its uses sum.  A line of a backward
 * function carries, as a comment, the forward line it belongs to.
 * Letters: B sequences of T tokens, R = B T rows, C channels, H heads of D = C / H channels, F hidden, V vocabulary.
 * Every array is row-major: x (R,C) has x[r][c] at x[r * C + c].  The layout of this file follows Andrej Karpathy's
 * llm.c (train_gpt2.c, 2024); the model is GPT-2 (Radford et al. 2019) with an output table of its own. */
#include "toy/explicit.h"

#include <math.h>

#include "base/err.h"

static double *zeros(Arena *a, int n)
{
    return NEW(a, double, n);
}

/* ---- a linear layer: y (R,O) += x (R,C) w (C,O) + bias (O), where y is zero or the residual stream */

static void linear(double *y, const double *x, const double *w, const double *bias, int R, int C, int O)
{
    for (int r = 0; r < R; r++)
        for (int o = 0; o < O; o++) {
            y[r * O + o] += bias[o];
            for (int c = 0; c < C; c++) y[r * O + o] += x[r * C + c] * w[c * O + o];
        }
}

static void linear_back(double *dx, double *dw, double *dbias, const double *dy, const double *x, const double *w,
                        int R, int C, int O)
{
    for (int r = 0; r < R; r++)
        for (int o = 0; o < O; o++) {
            double d = dy[r * O + o];
            dbias[o] += d; /* y_ro += bias_o */
            for (int c = 0; c < C; c++) {
                dx[r * C + c] += d * w[c * O + o]; /* y_ro += x_rc w_co */
                dw[c * O + o] += d * x[r * C + c];
            }
        }
}

/* ---- layer norm: each row of x (R,C) is shifted and scaled to mean 0 and variance 1, then y = gain xhat + bias.
 * xhat (R,C) and rstd (R), one over the standard deviation, are kept for the backward pass. */

typedef struct {
    double *y, *xhat, *rstd;
} Normed;

static Normed norm(const double *x, const double *gain, const double *bias, int R, int C, Arena *a)
{
    Normed n = {zeros(a, R * C), zeros(a, R * C), zeros(a, R)};
    for (int r = 0; r < R; r++) {
        double mean = 0, variance = 0;
        for (int c = 0; c < C; c++) mean += x[r * C + c] / C;
        for (int c = 0; c < C; c++) variance += (x[r * C + c] - mean) * (x[r * C + c] - mean) / C;
        n.rstd[r] = 1 / sqrt(variance + 1e-5); /* 1e-5 keeps a constant row finite */
        for (int c = 0; c < C; c++) {
            n.xhat[r * C + c] = (x[r * C + c] - mean) * n.rstd[r];
            n.y[r * C + c] = gain[c] * n.xhat[r * C + c] + bias[c];
        }
    }
    return n;
}

/* mean and rstd depend on the whole row, so each dx_c has three parts: its own, and one through each of them. */
static void norm_back(double *dx, double *dgain, double *dbias, const double *dy, const Normed *n, const double *gain,
                      int R, int C)
{
    for (int r = 0; r < R; r++) {
        const double *xhat = n->xhat + r * C;
        double through_mean = 0, through_rstd = 0;
        for (int c = 0; c < C; c++) {
            double d = dy[r * C + c], dxhat = d * gain[c];
            dgain[c] += d * xhat[c]; /* y_rc = gain_c xhat_rc + bias_c */
            dbias[c] += d;
            through_mean += dxhat / C;
            through_rstd += dxhat * xhat[c] / C;
        }
        for (int c = 0; c < C; c++) { /* xhat_rc = (x_rc - mean) rstd */
            double dxhat = dy[r * C + c] * gain[c];
            dx[r * C + c] += (dxhat - through_mean - xhat[c] * through_rstd) * n->rstd[r];
        }
    }
}

/* ---- GELU, tanh form (Hendrycks and Gimpel 2016): x where x is large, 0 where very negative, smooth between */

static const double SQRT_2_OVER_PI = 0.79788456080286535588;

static void gelu(double *y, const double *x, int n)
{
    for (int i = 0; i < n; i++)
        y[i] = 0.5 * x[i] * (1 + tanh(SQRT_2_OVER_PI * (x[i] + 0.044715 * x[i] * x[i] * x[i])));
}

static void gelu_back(double *dx, const double *dy, const double *x, int n)
{
    for (int i = 0; i < n; i++) {
        double v = x[i], th = tanh(SQRT_2_OVER_PI * (v + 0.044715 * v * v * v));
        double dinner = SQRT_2_OVER_PI * (1 + 3 * 0.044715 * v * v);
        dx[i] += dy[i] * (0.5 * (1 + th) + 0.5 * v * (1 - th * th) * dinner); /* y = v/2 (1 + tanh(inner(v))) */
    }
}

/* ---- softmax of n scores, in place: positive, summing to 1.  Subtracting the largest only avoids overflow. */

static void softmax(double *p, int n)
{
    double top = p[0], sum = 0;
    for (int i = 1; i < n; i++) top = fmax(top, p[i]);
    for (int i = 0; i < n; i++) sum += p[i] = exp(p[i] - top);
    for (int i = 0; i < n; i++) p[i] /= sum;
}

/* ---- attention of one head over one sequence: y (T,D) from queries, keys and values (T,D).  Position t attends to
 * itself and the positions before it: its query is compared with their keys, and softmax turns the scores into the
 * weights p (T,T) by which their values are mixed.  Heads are adjacent in memory, and so are q, k and v: row t of y
 * begins t C numbers after the first, row t of q, k or v t S numbers, S = 3 C. */

static void attend(double *y, double *p, const double *q, const double *k, const double *v, int T, int D, int C)
{
    const int S = 3 * C;
    for (int t = 0; t < T; t++, p += T) {
        for (int s = 0; s <= t; s++)
            for (int d = 0; d < D; d++) p[s] += q[t * S + d] * k[s * S + d] / sqrt(D);
        softmax(p, t + 1);
        for (int s = 0; s <= t; s++)
            for (int d = 0; d < D; d++) y[t * C + d] += p[s] * v[s * S + d];
    }
}

static void attend_back(double *dq, double *dk, double *dv, const double *dy, const double *y, const double *p,
                        const double *q, const double *k, const double *v, int T, int D, int C)
{
    const int S = 3 * C;
    for (int t = 0; t < T; t++, p += T) {
        double mean = 0; /* of dp under the weights p: sum_s p_s dp_s = sum_d dy_d y_d */
        for (int d = 0; d < D; d++) mean += dy[t * C + d] * y[t * C + d];
        for (int s = 0; s <= t; s++) {
            double dp = 0;
            for (int d = 0; d < D; d++) { /* y_td += p_s v_sd */
                dp += dy[t * C + d] * v[s * S + d];
                dv[s * S + d] += dy[t * C + d] * p[s];
            }
            double dscore = p[s] * (dp - mean); /* p = softmax(score) */
            for (int d = 0; d < D; d++) {       /* score_s += q_td k_sd / sqrt(D) */
                dq[t * S + d] += dscore * k[s * S + d] / sqrt(D);
                dk[s * S + d] += dscore * q[t * S + d] / sqrt(D);
            }
        }
    }
}

/* ---- the output: score each token by the product of its row of head (V,C) with x (R,C), and charge -log p(target).
 * softmax and logarithm together have the simplest derivative of all: p - 1 at the target, p elsewhere. */

static double head_loss(double *dx, double *dhead, const double *x, const double *head, const int32_t *target, int R,
                        int C, int V, double *p)
{
    double loss = 0, scored = 0;
    for (int r = 0; r < R; r++) scored += target[r] >= 0;
    for (int r = 0; r < R; r++) {
        if (target[r] < 0) continue;
        for (int v = 0; v < V; v++) {
            p[v] = 0;
            for (int c = 0; c < C; c++) p[v] += x[r * C + c] * head[v * C + c];
        }
        softmax(p, V);
        loss -= log(p[target[r]]) / scored;
        for (int v = 0; v < V; v++) {
            double dscore = (p[v] - (v == target[r])) / scored; /* loss -= log softmax(score)_target / scored */
            for (int c = 0; c < C; c++) {
                dx[r * C + c] += dscore * head[v * C + c]; /* score_v += x_c head_vc */
                dhead[v * C + c] += dscore * x[r * C + c];
            }
        }
    }
    return loss;
}

/* ---- the model */

int64_t explicit_count(ExplicitShape s)
{
    int64_t V = s.vocab, P = s.positions, C = s.dim, F = s.hidden, L = s.layers;
    return 2 * V * C + P * C + L * (4 * C * C + 2 * C * F + 9 * C + F) + 2 * C;
}

static double *take(double **next, int n)
{
    double *at = *next;
    *next += n;
    return at;
}

ExplicitWeights explicit_view(ExplicitShape s, double *theta)
{
    const int V = s.vocab, P = s.positions, C = s.dim, F = s.hidden;
    CHECK(s.layers <= EXPLICIT_LAYERS && C % s.heads == 0, "%d layers, %d / %d channels", s.layers, C, s.heads);
    ExplicitWeights w = {.token = take(&theta, V * C), .position = take(&theta, P * C)};
    for (int l = 0; l < s.layers; l++) {
        ExplicitLayer *y = &w.layer[l];
        y->gain1 = take(&theta, C), y->bias1 = take(&theta, C);
        y->qkv = take(&theta, C * 3 * C), y->qkv_bias = take(&theta, 3 * C);
        y->out = take(&theta, C * C), y->out_bias = take(&theta, C);
        y->gain2 = take(&theta, C), y->bias2 = take(&theta, C);
        y->up = take(&theta, C * F), y->up_bias = take(&theta, F);
        y->down = take(&theta, F * C), y->down_bias = take(&theta, C);
    }
    w.gain = take(&theta, C), w.bias = take(&theta, C), w.head = take(&theta, V * C);
    return w;
}

typedef struct { /* the values that the forward pass of a layer saves for backward */
    Normed n1, n2;
    double *qkv, *p, *mixed, *up, *act;
} Layer;

/* x (R,C) is the residual stream: each of the two halves of a layer reads it through LayerNorm and adds to it. */
static Layer layer(double *x, const ExplicitLayer *w, ExplicitShape s, int B, int T, Arena *a)
{
    const int R = B * T, C = s.dim, F = s.hidden, H = s.heads, D = C / H;
    Layer k = {.n1 = norm(x, w->gain1, w->bias1, R, C, a)};
    k.qkv = zeros(a, R * 3 * C), k.p = zeros(a, R * H * T), k.mixed = zeros(a, R * C);
    linear(k.qkv, k.n1.y, w->qkv, w->qkv_bias, R, C, 3 * C);
    for (int i = 0; i < B * H; i++) {
        const int b = i / H, h = i % H;
        const double *q = k.qkv + b * T * 3 * C + h * D;
        attend(k.mixed + b * T * C + h * D, k.p + i * T * T, q, q + C, q + 2 * C, T, D, C);
    }
    linear(x, k.mixed, w->out, w->out_bias, R, C, C);

    k.n2 = norm(x, w->gain2, w->bias2, R, C, a);
    k.up = zeros(a, R * F), k.act = zeros(a, R * F);
    linear(k.up, k.n2.y, w->up, w->up_bias, R, C, F);
    gelu(k.act, k.up, R * F);
    linear(x, k.act, w->down, w->down_bias, R, F, C);
    return k;
}

/* The same lines from last to first.  dx enters as the gradient after the layer and leaves as the gradient before
 * it: x passes unchanged into the sum x + add, so dx stays, and norm_back adds the gradient of the other path. */
static void layer_back(double *dx, const ExplicitLayer *dw, const ExplicitLayer *w, const Layer *k, ExplicitShape s,
                       int B, int T, Arena *a)
{
    const int R = B * T, C = s.dim, F = s.hidden, H = s.heads, D = C / H;
    double *dact = zeros(a, R * F), *dup = zeros(a, R * F), *dn2 = zeros(a, R * C);
    linear_back(dact, dw->down, dw->down_bias, dx, k->act, w->down, R, F, C);
    gelu_back(dup, dact, k->up, R * F);
    linear_back(dn2, dw->up, dw->up_bias, dup, k->n2.y, w->up, R, C, F);
    norm_back(dx, dw->gain2, dw->bias2, dn2, &k->n2, w->gain2, R, C);

    double *dmixed = zeros(a, R * C), *dqkv = zeros(a, R * 3 * C), *dn1 = zeros(a, R * C);
    linear_back(dmixed, dw->out, dw->out_bias, dx, k->mixed, w->out, R, C, C);
    for (int i = 0; i < B * H; i++) {
        const int b = i / H, h = i % H, y = b * T * C + h * D, qkv = b * T * 3 * C + h * D;
        const double *q = k->qkv + qkv;
        double *dq = dqkv + qkv;
        attend_back(dq, dq + C, dq + 2 * C, dmixed + y, k->mixed + y, k->p + i * T * T, q, q + C, q + 2 * C, T, D, C);
    }
    linear_back(dn1, dw->qkv, dw->qkv_bias, dqkv, k->n1.y, w->qkv, R, C, 3 * C);
    norm_back(dx, dw->gain1, dw->bias1, dn1, &k->n1, w->gain1, R, C);
}

double explicit_loss(ExplicitShape s, const double *theta, double *dtheta, int b, int t, const int32_t *ids,
                     const int32_t *target, Arena *a)
{
    const int R = b * t, C = s.dim, V = s.vocab;
    const ArenaMark mark = arena_mark(a);
    const ExplicitWeights w = explicit_view(s, (double *)theta), dw = explicit_view(s, dtheta);
    double *x = zeros(a, R * C), *dx = zeros(a, R * C), *dn = zeros(a, R * C), *scores = zeros(a, V);
    Layer kept[EXPLICIT_LAYERS];

    for (int r = 0; r < R; r++)
        for (int c = 0; c < C; c++) x[r * C + c] = w.token[ids[r] * C + c] + w.position[r % t * C + c];
    for (int l = 0; l < s.layers; l++) kept[l] = layer(x, &w.layer[l], s, b, t, a);
    const Normed n = norm(x, w.gain, w.bias, R, C, a);
    double loss = head_loss(dn, dw.head, n.y, w.head, target, R, C, V, scores);

    norm_back(dx, dw.gain, dw.bias, dn, &n, w.gain, R, C);
    for (int l = s.layers; l-- > 0;) layer_back(dx, &dw.layer[l], &w.layer[l], &kept[l], s, b, t, a);
    for (int r = 0; r < R; r++)
        for (int c = 0; c < C; c++) {
            dw.token[ids[r] * C + c] += dx[r * C + c]; /* x_rc = token_id,c + position_t,c */
            dw.position[r % t * C + c] += dx[r * C + c];
        }
    arena_drop(a, mark);
    return loss;
}

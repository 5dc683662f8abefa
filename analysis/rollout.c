/* Flow: Dinic's algorithm on a graph of L + 1 rows of T nodes.  An edge joins a node to one of the row below, so the
 * capacities are the matrices W themselves, and the flow sent along them is one more number per edge. */
#include "analysis/rollout.h"

#include <math.h>
#include <string.h>

#include "num/gemm.h"

static Tensor mixed(Arena *a, const Maps *x, int layer) /* (A + I) / 2 on the text */
{
    Tensor mean = maps_head(x, a, layer, HEAD_MEAN), w = tensor_zero(a, F64, SHAPE(x->t, x->t));
    for (int64_t i = 0; i < x->t; i++) {
        double mass = 0;
        for (int64_t j = 0; j < x->t; j++) mass += tensor_get(mean, i * x->s + x->prefix + j);
        for (int64_t j = 0; j < x->t; j++) {
            double p = mass > 0 ? tensor_get(mean, i * x->s + x->prefix + j) / mass : (double)(i == j);
            tensor_set(w, i * x->t + j, (p + (double)(i == j)) / 2);
        }
    }
    return w;
}

static Tensor product(Arena *a, Tensor x, Tensor y)
{
    int64_t n = x.dim[0];
    Tensor z = tensor_new(a, F64, SHAPE(n, n));
    gemm_parallel(F64, n, n, n, 1, (Mat){x.data, n, false}, (Mat){y.data, n, false}, 0, z.data, n);
    return z;
}

static void check(const Maps *x)
{
    CHECK(x->part != PART_CROSS && x->s == x->t + x->prefix,
          "attention through layers of a %s with %lld of %lld keys", part_name(x->part), (long long)x->t,
          (long long)x->s);
}

Tensor rollout_maps(Arena *a, const Maps *x)
{
    check(x);
    Tensor r = mixed(a, x, 0);
    for (int l = 1; l < x->layers; l++) r = product(a, mixed(a, x, l), r);
    return r;
}

/* ---- flow */

typedef struct {
    int64_t t, layers;
    double *room, *sent; /* (layers,T,T): from node (l+1, i) to node (l, j) */
    int *level;          /* ((layers + 1) * T) steps from the source, -1: not reached */
    int64_t *queue, *turn;
} Net;

/* Edge k of node v: first the T edges down, then the T edges up, which reverse flow that was sent. */
static double residual(const Net *n, int64_t v, int64_t k, int64_t *to, double **edge, double *sign)
{
    int64_t l = v / n->t, i = v % n->t, j = k % n->t;
    bool down = k < n->t;
    if (down ? l == 0 : l == n->layers) return 0;
    int64_t at = down ? ((l - 1) * n->t + i) * n->t + j : (l * n->t + j) * n->t + i;
    *to = (down ? l - 1 : l + 1) * n->t + j;
    *edge = &n->sent[at];
    *sign = down ? 1 : -1;
    return down ? n->room[at] - n->sent[at] : n->sent[at];
}

static const double LEAST = 1e-12; /* capacities are at most 1 */

/* Numbers the nodes by their distance from `from` in the residual network; true if `goal` is reachable. */
static bool reach(Net *n, int64_t from, int64_t goal)
{
    int64_t nodes = (n->layers + 1) * n->t, head = 0, tail = 0, to;
    double *edge, sign;
    for (int64_t v = 0; v < nodes; v++) n->level[v] = -1, n->turn[v] = 0;
    n->level[from] = 0;
    n->queue[tail++] = from;
    while (head < tail) {
        int64_t v = n->queue[head++];
        for (int64_t k = 0; k < 2 * n->t; k++)
            if (residual(n, v, k, &to, &edge, &sign) > LEAST && n->level[to] < 0) {
                n->level[to] = n->level[v] + 1;
                n->queue[tail++] = to;
            }
    }
    return n->level[goal] >= 0;
}

static double push(Net *n, int64_t v, int64_t goal, double most)
{
    if (v == goal) return most;
    for (; n->turn[v] < 2 * n->t; n->turn[v]++) {
        int64_t to;
        double *edge, sign, room = residual(n, v, n->turn[v], &to, &edge, &sign);
        if (room <= LEAST || n->level[to] != n->level[v] + 1) continue;
        double got = push(n, to, goal, fmin(most, room));
        if (got > 0) {
            *edge += sign * got;
            return got;
        }
    }
    return 0;
}

static double largest_flow(Net *n, int64_t from, int64_t goal)
{
    double sum = 0, got;
    memset(n->sent, 0, sizeof *n->sent * (size_t)(n->layers * n->t * n->t));
    while (reach(n, from, goal))
        while ((got = push(n, from, goal, INFINITY)) > 0) sum += got;
    return sum;
}

static void divide_rows(Tensor m)
{
    int64_t n = tensor_last(m);
    for (int64_t i = 0; i < m.dim[0]; i++) {
        double sum = 0;
        for (int64_t j = 0; j < n; j++) sum += tensor_get(m, i * n + j);
        for (int64_t j = 0; sum > 0 && j < n; j++) tensor_set(m, i * n + j, tensor_get(m, i * n + j) / sum);
    }
}

/* The largest flow from each position of the last layer to each input, rows scaled to one. */
Tensor rollout_flow(Arena *a, const Maps *x)
{
    check(x);
    CHECK(x->t <= FLOW_MOST, "flow through %lld tokens", (long long)x->t);
    Tensor out = tensor_new(a, F64, SHAPE(x->t, x->t));
    ArenaMark mark = arena_mark(a);
    int64_t edges = x->t * x->t, nodes = (x->layers + 1) * x->t;
    Net n = {x->t,
             x->layers,
             NEW(a, double, x->layers *edges),
             NEW(a, double, x->layers *edges),
             NEW(a, int, nodes),
             NEW(a, int64_t, nodes),
             NEW(a, int64_t, nodes)};
    for (int l = 0; l < x->layers; l++) {
        Tensor w = mixed(a, x, l);
        for (int64_t k = 0; k < edges; k++) n.room[l * edges + k] = tensor_get(w, k);
    }
    for (int64_t i = 0; i < x->t; i++)
        for (int64_t j = 0; j < x->t; j++) tensor_set(out, i * x->t + j, largest_flow(&n, x->layers * x->t + i, j));
    arena_drop(a, mark);
    divide_rows(out);
    return out;
}

/* ---- with gradients */

/* Relevance of Chefer et al.: attention times gradient, its positive part propagated through all layers. */
Tensor rollout_relevance(Arena *a, const Maps *x, const Tensor *times_gradient)
{
    check(x);
    Tensor r = tensor_zero(a, F64, SHAPE(x->t, x->t));
    for (int64_t i = 0; i < x->t; i++) tensor_set(r, i * x->t + i, 1);
    for (int l = 0; l < x->layers; l++) {
        Tensor w = tensor_zero(a, F64, SHAPE(x->t, x->t));
        for (int h = 0; h < x->heads; h++)
            for (int64_t k = 0; k < x->t * x->t; k++) {
                int64_t at = (h * x->t + k / x->t) * x->s + x->prefix + k % x->t;
                tensor_set(w, k, tensor_get(w, k) + fmax(0, tensor_get(times_gradient[l], at)) / x->heads);
            }
        Tensor more = product(a, w, r);
        for (int64_t k = 0; k < x->t * x->t; k++) tensor_set(r, k, tensor_get(r, k) + tensor_get(more, k));
    }
    for (int64_t i = 0; i < x->t; i++) tensor_set(r, i * x->t + i, tensor_get(r, i * x->t + i) - 1);
    divide_rows(r);
    return r;
}

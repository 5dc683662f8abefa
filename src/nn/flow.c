/* A text's rows are tokens, then nodes, then padding; everything else follows from a row's kind. */
#include "nn/flow.h"

#include <string.h>

/* E_FORMAT where a text does not fit the model or the rows wanted, or where its nodes and edges point outside it. */
static Status check(const Flow *f, const Config *c, int64_t row, int64_t width)
{
    if (f->tokens < 1 || f->nodes < 0 || f->edges < 0)
        return err_fail(E_FORMAT, "text %lld has %d tokens, %d nodes and %d edges", (long long)row, f->tokens,
                        f->nodes, f->edges);
    if (f->tokens > config_room(c))
        return err_fail(E_FORMAT, "text %lld has %d tokens, the model has positions for %d", (long long)row,
                        f->tokens, config_room(c));
    if (width > 0 && (int64_t)f->tokens + f->nodes > width)
        return err_fail(E_FORMAT, "text %lld has %d tokens and %d nodes, %lld rows are wanted", (long long)row,
                        f->tokens, f->nodes, (long long)width);
    for (int32_t i = 0; i < f->tokens; i++)
        if (f->id[i] < 0 || f->id[i] >= c->vocab)
            return err_fail(E_FORMAT, "text %lld: token %d has id %d, the vocabulary has %d", (long long)row, i,
                            f->id[i], c->vocab);
    for (int32_t i = 0; i < f->nodes; i++)
        if (f->names[i][0] < 0 || f->names[i][0] > f->names[i][1] || f->names[i][1] > f->tokens)
            return err_fail(E_FORMAT, "text %lld: node %d names tokens %d to %d of %d", (long long)row, i,
                            f->names[i][0], f->names[i][1], f->tokens);
    for (int32_t i = 0; i < f->edges; i++)
        for (int end = 0; end < 2; end++)
            if (f->edge[i][end] < 0 || f->edge[i][end] >= f->nodes)
                return err_fail(E_FORMAT, "text %lld: edge %d joins nodes %d and %d of %d", (long long)row, i,
                                f->edge[i][0], f->edge[i][1], f->nodes);
    return OK;
}

/* sees (T,T) of one text. */
static void fill_sees(uint8_t *sees, int64_t t, const Flow *f, const Config *c)
{
    int64_t n = f->tokens, all = n + f->nodes;
    for (int64_t i = 0; i < n; i++) {
        bool special = f->id[i] == c->bos || f->id[i] == c->eos;
        memset(sees + i * t, 1, (size_t)(special ? all : n));
    }
    for (int64_t k = 0; k < f->nodes; k++)
        for (int64_t j = f->names[k][0]; j < f->names[k][1]; j++) sees[(n + k) * t + j] = sees[j * t + n + k] = 1;
    for (int32_t e = 0; e < f->edges; e++) sees[(n + f->edge[e][0]) * t + n + f->edge[e][1]] = 1;
}

Status flow_batch(Batch *out, Arena *a, const Config *c, const Flow *flow, int64_t b, int64_t width)
{
    const Arch *arch = arch_find(c->arch);
    if (!arch || !arch->reads_data_flow) return err_fail(E_CONFIG, "a %s model does not read data flow", c->arch);
    int64_t t = width;
    for (int64_t i = 0; i < b; i++) {
        TRY(check(&flow[i], c, i, width));
        if (width <= 0 && (int64_t)flow[i].tokens + flow[i].nodes > t) t = (int64_t)flow[i].tokens + flow[i].nodes;
    }
    int32_t *id = NEW(a, int32_t, b * t), *position = NEW(a, int32_t, b * t), *span = NEW(a, int32_t, b * t * 2);
    int32_t *len = NEW(a, int32_t, b);
    uint8_t *sees = NEW(a, uint8_t, b * t * t);
    for (int64_t i = 0; i < b; i++) {
        const Flow *f = &flow[i];
        len[i] = f->tokens + f->nodes;
        for (int64_t j = 0; j < t; j++) {
            bool token = j < f->tokens, node = !token && j < len[i];
            int64_t at = i * t + j, k = j - f->tokens;
            id[at] = token ? f->id[j] : node ? FLOW_NODE_ID : c->pad;
            position[at] = token ? c->pad + 1 + (int32_t)j : node ? 0 : c->pad;
            span[2 * at] = node ? f->names[k][0] : -1;
            span[2 * at + 1] = node ? f->names[k][1] : -1;
        }
        fill_sees(sees + i * t * t, t, f, c);
    }
    *out = (Batch){.b = b, .t = t, .ids = id, .len = len, .sees = sees, .position = position, .span = span};
    return OK;
}

/* --data-flow FILE: the second input of GraphCodeBERT (nn/flow.h), behind the tokens of --text or --ids:
 *
 *     {"nodes": [[3, 4], [7, 9]], "edges": [[1, 0]]}
 *
 * Node 0 names token 3, node 1 tokens 7 and 8, and the value of node 1 comes from that of node 0.  Tokens count from
 * 0, <s> included, as the maps label them.  A node's row and column carry the token that it names first. */
#include <stdint.h>

#include "analysis/ask.h"
#include "base/str.h"
#include "io/json.h"
#include "nn/flow.h"

typedef const int32_t (*Pairs)[2];

/* A list of pairs of numbers; absent it is empty. */
static Status read_pairs(Pairs *out, int32_t *n, Arena *a, const cJSON *root, const char *key, const char *path)
{
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(root, key), *one;
    int32_t(*pair)[2] = arena_zero(a, sizeof *pair * (size_t)(cJSON_GetArraySize(list) + 1));
    *n = 0;
    if (list && !cJSON_IsArray(list)) return err_fail(E_FORMAT, "%s: %s is not a list", path, key);
    cJSON_ArrayForEach(one, list)
    {
        for (int i = 0; i < 2; i++) {
            const cJSON *x = cJSON_GetArraySize(one) == 2 ? cJSON_GetArrayItem(one, i) : NULL;
            if (!cJSON_IsNumber(x) || !(x->valuedouble >= 0 && x->valuedouble <= 1 << 24) ||
                x->valuedouble != (int32_t)x->valuedouble)
                return err_fail(E_FORMAT, "%s: %s[%d] is not a pair of whole numbers", path, key, *n);
            pair[*n][i] = (int32_t)x->valuedouble;
        }
        ++*n;
    }
    *out = (Pairs)(uintptr_t)pair;
    return OK;
}

static Status read_flow(Flow *f, Arena *a, const char *path)
{
    cJSON *root;
    TRY(json_read(&root, a, path));
    Status s = cJSON_IsObject(root) ? OK : err_fail(E_FORMAT, "%s: is not an object with nodes and edges", path);
    if (!s) s = read_pairs(&f->names, &f->nodes, a, root, "nodes", path);
    if (!s) s = read_pairs(&f->edge, &f->edges, a, root, "edges", path);
    cJSON_Delete(root);
    return s ? s : f->nodes ? OK : err_fail(E_FORMAT, "%s: has no nodes", path);
}

/* The nodes as rows of their own behind the tokens. */
static void add_nodes(Tokens *t, Arena *a, const Flow *f)
{
    Tokens y = *t;
    bool *special = NEW(a, bool, t->n + f->nodes);
    y.n = t->n + f->nodes;
    y.id = NEW(a, int32_t, y.n), y.label = NEW(a, const char *, y.n), y.piece = NEW(a, const char *, y.n);
    y.begin = t->begin ? NEW(a, int64_t, y.n) : NULL, y.end = t->end ? NEW(a, int64_t, y.n) : NULL;
    for (int64_t i = 0; i < y.n; i++) {
        bool node = i >= t->n, names = node && f->names[i - t->n][0] < f->names[i - t->n][1];
        int64_t from = !node ? i : names ? f->names[i - t->n][0] : 0;
        y.id[i] = node && !names ? FLOW_NODE_ID : t->id[from];
        y.piece[i] =
            node ? str_print(a, "node %lld: %s", (long long)(i - t->n), names ? t->piece[from] : "") : t->piece[i];
        y.label[i] = node ? y.piece[i] : t->label[i];
        special[i] = !node && t->special && t->special[i];
        if (y.begin) y.begin[i] = node ? -1 : t->begin[i];
        if (y.end) y.end[i] = node ? -1 : t->end[i];
    }
    y.special = t->special ? special : NULL;
    *t = y;
}

Status ask_data_flow(Ask *k)
{
    static const char *const NOT_HERE[] = {"compare", "sweep", "do", "html", "by", NULL};
    const char *path = args_text(k->args, "data-flow", NULL);
    Tokens *t = &k->x.tokens;
    Flow f = {.tokens = (int32_t)t->n, .id = t->id};
    if (!path) return OK;
    for (const char *const *o = NOT_HERE; *o; o++)
        if (args_given(k->args, *o)) return err_fail(E_CONFIG, "--%s does not go with --data-flow", *o);
    TRY(read_flow(&f, k->arena, path));
    Status s = flow_batch(&k->batch, k->arena, &k->model->config, &f, 1, 0);
    if (!s) add_nodes(t, k->arena, &f);
    return s;
}

/* Dotted names are paths, so the registry of parameters, or the list of a file's tensors, is the tree.  Three things
 * make it short: a module that holds only parameters is one line, a chain of single children is one line, and layers
 * that are alike are shown once. */
#include "nn/inspect.h"

#include <string.h>

#include "base/print.h"
#include "base/str.h"
#include "nn/build.h"

typedef struct Node {
    const char *name;
    struct Node *child, *last, *next;
    const char *shape; /* of a leaf, as it is printed; NULL for modules */
    const Param *param;
    int64_t parameters, trainable;
} Node;

/* ---- the tree */

static Node *child_of(Arena *a, Node *n, const char *name, size_t len)
{
    for (Node *c = n->child; c; c = c->next)
        if (strlen(c->name) == len && !memcmp(c->name, name, len)) return c;
    Node *c = NEW(a, Node, 1);
    c->name = str_copy(a, name, len);
    if (n->last)
        n->last->next = c;
    else
        n->child = c;
    return n->last = c;
}

static Node *add_leaf(Arena *a, Node *root, const char *name, const char *shape, int64_t count, int64_t trainable)
{
    Node *n = root;
    for (const char *s = name;; s++) {
        n->parameters += count;
        n->trainable += trainable;
        size_t len = strcspn(s, ".");
        if (!len) break;
        n = child_of(a, n, s, len);
        s += len;
        if (!*s) break;
    }
    n->shape = shape;
    n->parameters = count;
    n->trainable = trainable;
    return n;
}

static Node *tree_of(Arena *a, const ParamSet *params)
{
    Node *root = NEW(a, Node, 1);
    root->name = "";
    for (int i = 0; i < params_n(params); i++) {
        const Param *p = params_at(params, i);
        int64_t count = tensor_count(p->val);
        const char *shape = str_print(a, "%s", tensor_shape(p->val));
        add_leaf(a, root, p->name, shape, count, p->trainable ? count : 0)->param = p;
    }
    return root;
}

static bool is_number(const char *s)
{
    return *s && strspn(s, "0123456789") == strlen(s);
}

static bool alike(const Node *a, const Node *b)
{
    if ((a->shape != NULL) != (b->shape != NULL) || a->trainable != b->trainable) return false;
    if (a->shape && strcmp(a->shape, b->shape) != 0) return false;
    const Node *x = a->child, *y = b->child;
    for (; x && y; x = x->next, y = y->next)
        if (strcmp(x->name, y->name) || !alike(x, y)) return false;
    return !x && !y;
}

static bool only_leaves(const Node *n)
{
    for (const Node *c = n->child; c; c = c->next)
        if (c->child) return false;
    return n->child != NULL;
}

/* ---- printing */

static const char *grouped(char *text, int64_t n)
{
    char digits[32];
    int len = snprintf(digits, sizeof digits, "%lld", (long long)n), at = 0;
    for (int i = 0; i < len; i++) {
        if (i && (len - i) % 3 == 0) text[at++] = ',';
        text[at++] = digits[i];
    }
    text[at] = 0;
    return text;
}

enum { NAME_WIDTH = 44, SHAPE_WIDTH = 46 };
static void print_line(FILE *f, int depth, const char *name, const char *what, int64_t parameters, int64_t trainable)
{
    char n[48], t[48];
    int pad = NAME_WIDTH - 2 * depth;
    print_to(f, "%*s%-*s %-*s %14s", 2 * depth, "", pad > 0 ? pad : 0, name, SHAPE_WIDTH, what,
             grouped(n, parameters));
    if (trainable) print_to(f, " %14s", grouped(t, trainable));
    print_to(f, "\n");
}

static const Linear *linear_of(const Model *m, const Param *w)
{
    for (int i = 0; i < m->n_linears; i++)
        if (m->linears[i].w == w) return &m->linears[i];
    return NULL;
}

/* "weight (8,8), bias (8)", with the place of a linear layer in front. */
static const char *leaves(Arena *a, const Model *m, const Node *n)
{
    Buf b = buf_open(a);
    const Linear *l = m && n->child ? linear_of(m, n->child->param) : NULL;
    if (l) buf_print(&b, "%s: ", site_name(l->at.site));
    if (n->shape) buf_print(&b, "%s", n->shape);
    for (const Node *c = n->child; c; c = c->next)
        buf_print(&b, "%s%s %s", c == n->child ? "" : ", ", c->name, c->shape);
    return b.text;
}

static void print_node(FILE *f, Arena *a, const Model *m, const Node *n, const char *above, int depth);

/* Numbered children that are alike, the layers of a stack, are printed once, as a range. */
static void print_children(FILE *f, Arena *a, const Model *m, const Node *n, int depth)
{
    for (const Node *c = n->child; c;) {
        const Node *last = c, *next = c->next;
        int same = 1;
        for (; is_number(c->name) && next && is_number(next->name) && alike(c, next); next = next->next, same++)
            last = next;
        if (same == 1) {
            print_node(f, a, m, c, "", depth);
        } else {
            const char *range = str_print(a, "%s to %s", c->name, last->name);
            print_line(f, depth, range, str_print(a, "%d alike, together", same), c->parameters * same,
                       c->trainable * same);
            if (only_leaves(c))
                print_line(f, depth + 1, "each", leaves(a, m, c), c->parameters, c->trainable);
            else
                print_children(f, a, m, c, depth + 1);
        }
        c = next;
    }
}

static void print_node(FILE *f, Arena *a, const Model *m, const Node *n, const char *above, int depth)
{
    const char *name = *above ? str_print(a, "%s.%s", above, n->name) : n->name;
    if (n->shape || only_leaves(n)) {
        print_line(f, depth, name, leaves(a, m, n), n->parameters, n->trainable);
    } else if (!n->child->next) {
        print_node(f, a, m, n->child, name, depth);
    } else {
        print_line(f, depth, name, "", n->parameters, n->trainable);
        print_children(f, a, m, n, depth + 1);
    }
}

static void print_head(FILE *f, const Model *m)
{
    static const char *const WHAT[] = {"encoder", "decoder", "cross-attention"};
    const Config *c = &m->config;
    print_to(f, "%s: %s\n", c->arch, m->arch->summary);
    for (Part p = 0; p < PART_COUNT; p++)
        if (model_layers(m, p))
            print_to(f, "%d %s layer%s, ", model_layers(m, p), WHAT[p], model_layers(m, p) == 1 ? "" : "s");
    print_to(f, "hidden size %d, %d heads of %d, feed-forward %d %s%s, vocabulary %d, %s\n\n", c->dim, c->heads,
             c->head_dim ? c->head_dim : c->dim / c->heads, c->hidden, c->gated ? "gated " : "", ACT_NAMES[c->act],
             c->vocab, dtype_name(params_dtype(m->params)));
}

void model_inspect(FILE *f, const Model *m)
{
    Arena a = arena_open((size_t)1 << 30);
    const Node *root = tree_of(&a, m->params);
    char n[48], t[48];
    print_head(f, m);
    print_to(f, "%-*s %-*s %14s %14s\n", NAME_WIDTH, "module", SHAPE_WIDTH, "tensors", "parameters", "trainable");
    print_children(f, &a, m, root, 0);
    print_to(f, "\n%s parameters, %s of them trainable (%.3g %%)\n", grouped(n, root->parameters),
             grouped(t, root->trainable),
             root->parameters ? 100.0 * (double)root->trainable / (double)root->parameters : 0);
    arena_close(&a);
}

void weights_inspect(FILE *f, const Weights *w, bool (*counts)(const Weights *, int i))
{
    Arena a = arena_open((size_t)1 << 30);
    Node *root = NEW(&a, Node, 1);
    root->name = "";
    for (int i = 0; i < weights_n(w); i++) {
        const Stored *s = weights_at(w, i);
        Buf shape = buf_open(&a);
        for (int d = 0; d < s->rank; d++) buf_print(&shape, "%s%lld", d ? "," : "(", (long long)s->dim[d]);
        buf_print(&shape, "%s %s", s->rank ? ")" : "()", stored_type(s));
        add_leaf(&a, root, s->name, shape.text, counts(w, i) ? s->count : 0, 0);
    }
    char n[48];
    print_to(f, "%-*s %-*s %14s\n", NAME_WIDTH, "module", SHAPE_WIDTH, "tensors", "parameters");
    print_children(f, &a, NULL, root, 0);
    print_to(f, "\n%d %s, %s %s\n", weights_n(w), str_plural(weights_n(w), "tensor", "tensors"),
             grouped(n, root->parameters), str_plural(root->parameters, "parameter", "parameters"));
    arena_close(&a);
}

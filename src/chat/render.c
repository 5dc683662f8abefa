#include "chat/render.h"

#include <math.h>
#include <string.h>

static Value evaluate(Render *r, const Node *n);
static void run(Render *r, const Node *n);

/* ---- variables */

static Value lookup(Render *r, const char *name)
{
    for (int i = r->n; i-- > 0;)
        if (!strcmp(r->variable[i].name, name)) return r->variable[i].value;
    if (is_builtin(name)) return (Value){V_BUILTIN, {.builtin = name}};
    return NO_VALUE;
}

static void assign(Render *r, const char *name, Value v)
{
    for (int i = r->floor; i < r->n; i++)
        if (!strcmp(r->variable[i].name, name)) {
            r->variable[i].value = v;
            return;
        }
    GROW(r->arena, r->variable, r->n, r->room, 32);
    r->variable[r->n++] = (Variable){name, v};
}

/* ---- calls */

static Arguments arguments_of(Render *r, const Node *call)
{
    Arguments a = {.plain = NEW(r->arena, Value, call->n + 1), .named = value_map(r->arena)};
    for (int i = 0; i < call->n && !r->failed; i++) {
        const Node *kid = call->kid[i];
        if (kid->kind == N_BLOCK)
            map_set(r->arena, a.named, value_words(kid->name), evaluate(r, kid->child[0]));
        else
            a.plain[a.n++] = evaluate(r, kid);
    }
    return a;
}

static Value call_macro(Render *r, const Node *macro, const Arguments *a)
{
    Buf *out = r->out, text = buf_open(r->arena);
    int n = r->n, floor = r->floor;
    if (a->n > macro->n) return render_wrong(r, "the macro %s takes %d values, not %d", macro->name, macro->n, a->n);
    r->floor = n;
    for (int i = 0; i < macro->n; i++) {
        const Node *p = macro->kid[i];
        Value v = argument(r, a, i, p->name);
        assign(r, p->name, v.kind == V_UNDEFINED && p->child[0] ? evaluate(r, p->child[0]) : v);
    }
    r->out = &text;
    run(r, macro->child[1]);
    r->out = out;
    r->n = n;
    r->floor = floor;
    return value_text(text.text, text.len);
}

static Value call(Render *r, const Node *n)
{
    const Node *f = n->child[0];
    if (f->kind == N_ITEM && f->name) { /* a method, or a member that can be called */
        Value object = evaluate(r, f->child[0]);
        if (r->failed) return NO_VALUE;
        bool known = false;
        Arguments a = arguments_of(r, n);
        Value v = r->failed ? NO_VALUE : call_method(r, object, f->name, &a, &known);
        if (r->failed || known) return v;
        return render_wrong(r, "%s has no method %s that is supported", value_kind(object), f->name);
    }
    Value function = evaluate(r, f);
    Arguments a = arguments_of(r, n);
    if (r->failed) return NO_VALUE;
    if (function.kind == V_MACRO) return call_macro(r, function.macro, &a);
    if (function.kind == V_BUILTIN) return call_builtin(r, function.builtin, &a);
    return render_wrong(r, "%s is called, which is %s", f->name ? f->name : "a value", value_kind(function));
}

/* ---- operators */

/* Whether all within may be looked at, which is counted as that many steps. */
static bool is_small(Render *r, Value v)
{
    if (value_size(v) > TEXT_MOST) render_wrong(r, "%s holds more than %d bytes", value_kind(v), TEXT_MOST);
    r->steps += r->failed ? 0 : value_size(v) / 16;
    return !r->failed;
}

static bool whole(Value v, int64_t *out)
{
    *out = v.kind == V_INT ? v.i : v.kind == V_BOOL && v.b;
    return v.kind == V_INT || v.kind == V_BOOL;
}

static Value arithmetic(Render *r, const char *op, Value a, Value b)
{
    int64_t i, k, out = 0;
    if (whole(a, &i) && whole(b, &k) && *op != '/' && *op != '%') {
        bool over = *op == '+'   ? __builtin_add_overflow(i, k, &out)
                    : *op == '-' ? __builtin_sub_overflow(i, k, &out)
                                 : __builtin_mul_overflow(i, k, &out);
        return over ? render_wrong(r, "%s gives a number that is too large", op) : value_int(out);
    }
    double x = a.kind == V_REAL ? a.r : (double)i, y = b.kind == V_REAL ? b.r : (whole(b, &k), (double)k);
    if (strchr("/%", *op) && y == 0) return render_wrong(r, "a division by zero");
    if (!strcmp(op, "//") && whole(a, &i) && whole(b, &k))
        return k == -1 ? arithmetic(r, "-", value_int(0), a) : value_int(i / k - (i % k && (i < 0) != (k < 0)));
    if (*op == '%' && whole(a, &i) && whole(b, &k))
        return value_int(k == -1 ? 0 : i % k + (i % k && (i < 0) != (k < 0) ? k : 0));
    double z = *op == '+'          ? x + y
               : *op == '-'        ? x - y
               : *op == '*'        ? x * y
               : !strcmp(op, "//") ? floor(x / y)
               : *op == '%'        ? x - y * floor(x / y)
                                   : x / y;
    return (Value){V_REAL, {.r = z}};
}

static bool is_number(Value v)
{
    return v.kind == V_INT || v.kind == V_REAL || v.kind == V_BOOL;
}

static Value joined(Render *r, Value a, Value b)
{
    Buf text = buf_open(r->arena);
    if (!is_small(r, a) || !is_small(r, b)) return NO_VALUE;
    value_print(&text, a);
    value_print(&text, b);
    return value_text(text.text, text.len);
}

static Value repeated(Render *r, Value text, int64_t times)
{
    Buf out = buf_open(r->arena);
    if (times > 0 && times > TEXT_MOST / (int64_t)(text.text.n + 1))
        return render_wrong(r, "a text is repeated too often");
    for (int64_t i = 0; i < times; i++) buf_add(&out, text.text.s, text.text.n);
    return value_text(out.text, out.len);
}

static Value binary(Render *r, const Node *n)
{
    Value a = evaluate(r, n->child[0]), b = evaluate(r, n->child[1]);
    if (r->failed) return NO_VALUE;
    if (*n->name == '~') return joined(r, a, b);
    if (*n->name == '+' && a.kind == V_TEXT && b.kind == V_TEXT) return joined(r, a, b);
    if (*n->name == '+' && a.kind == V_LIST && b.kind == V_LIST) {
        Value list = value_list(r->arena);
        for (int i = 0; i < a.list->n; i++) list_add(r->arena, list, a.list->at[i]);
        for (int i = 0; i < b.list->n; i++) list_add(r->arena, list, b.list->at[i]);
        return list;
    }
    if (*n->name == '*' && a.kind == V_TEXT && b.kind == V_INT) return repeated(r, a, b.i);
    if (*n->name == '*' && a.kind == V_INT && b.kind == V_TEXT) return repeated(r, b, a.i);
    if (!is_number(a) || !is_number(b))
        return render_wrong(r, "%s %s %s has no meaning", value_kind(a), n->name, value_kind(b));
    return arithmetic(r, n->name, a, b);
}

static bool contains(Render *r, Value in, Value what)
{
    if (in.kind == V_TEXT && what.kind == V_TEXT)
        return !what.text.n || memmem(in.text.s, in.text.n, what.text.s, what.text.n);
    if (in.kind == V_LIST)
        for (int i = 0; i < in.list->n; i++)
            if (value_equal(in.list->at[i], what)) return true;
    if (in.kind == V_MAP)
        for (int i = 0; i < in.map->n; i++)
            if (value_equal(in.map->key[i], what)) return true;
    if (in.kind != V_LIST && in.kind != V_MAP && in.kind != V_UNDEFINED)
        render_wrong(r, "%s in %s has no meaning", value_kind(what), value_kind(in));
    return false;
}

static Value compare(Render *r, const Node *n)
{
    Value a = evaluate(r, n->child[0]), b = evaluate(r, n->child[1]);
    if (r->failed) return NO_VALUE;
    if (!is_small(r, a) || !is_small(r, b)) return NO_VALUE;
    if (!strcmp(n->name, "==")) return value_bool(value_equal(a, b));
    if (!strcmp(n->name, "!=")) return value_bool(!value_equal(a, b));
    if (!strcmp(n->name, "in")) return value_bool(contains(r, b, a));
    if (!strcmp(n->name, "not in")) return value_bool(!contains(r, b, a));
    bool comparable;
    int order = value_order(a, b, &comparable);
    if (!comparable) return render_wrong(r, "%s %s %s has no meaning", value_kind(a), n->name, value_kind(b));
    bool equal = n->name[1] == '=' && !order;
    return value_bool(equal || (*n->name == '<' ? order < 0 : order > 0));
}

/* ---- expressions */

static Value collect(Render *r, const Node *n)
{
    Value v = n->kind == N_LIST ? value_list(r->arena) : value_map(r->arena);
    if (n->kind == N_LIST)
        for (int i = 0; i < n->n && !r->failed; i++) list_add(r->arena, v, evaluate(r, n->kid[i]));
    else
        for (int i = 0; i + 1 < n->n && !r->failed; i += 2) {
            Value key = evaluate(r, n->kid[i]);
            map_set(r->arena, v, key, evaluate(r, n->kid[i + 1]));
        }
    return v;
}

static Value part_of(Render *r, const Node *n)
{
    Value object = evaluate(r, n->child[0]), part[3] = {NO_VALUE, NO_VALUE, NO_VALUE};
    for (int i = 0; i < 3; i++)
        if (n->child[i + 1]) part[i] = evaluate(r, n->child[i + 1]);
    return r->failed ? NO_VALUE : slice_of(r, object, part);
}

static Value minus(Render *r, Value v)
{
    if (v.kind == V_REAL) return (Value){V_REAL, {.r = -v.r}};
    return is_number(v) ? arithmetic(r, "-", value_int(0), v) : render_wrong(r, "-%s has no meaning", value_kind(v));
}

static Value evaluate_node(Render *r, const Node *n)
{
    Value v, w;
    Arguments a;
    switch (n->kind) {
    case N_LITERAL: return n->value;
    case N_NAME: return lookup(r, n->name);
    case N_LIST:
    case N_DICT: return collect(r, n);
    case N_ITEM:
        v = evaluate(r, n->child[0]);
        w = evaluate(r, n->child[1]);
        return r->failed ? NO_VALUE : attribute_of(r, v, w);
    case N_SLICE: return part_of(r, n);
    case N_CALL: return call(r, n);
    case N_FILTER:
    case N_TEST:
        v = evaluate(r, n->child[0]);
        a = arguments_of(r, n);
        if (r->failed) return NO_VALUE;
        return n->kind == N_FILTER ? apply_filter(r, n->name, v, &a) : value_bool(apply_test(r, n->name, v, &a));
    case N_NOT: return value_bool(!value_true(evaluate(r, n->child[0])));
    case N_MINUS: return minus(r, evaluate(r, n->child[0]));
    case N_BINARY: return binary(r, n);
    case N_COMPARE: return compare(r, n);
    case N_AND: v = evaluate(r, n->child[0]); return value_true(v) ? evaluate(r, n->child[1]) : v;
    case N_OR: v = evaluate(r, n->child[0]); return value_true(v) ? v : evaluate(r, n->child[1]);
    case N_TERNARY:
        if (value_true(evaluate(r, n->child[0]))) return evaluate(r, n->child[1]);
        return n->child[2] ? evaluate(r, n->child[2]) : NO_VALUE;
    default: return render_wrong(r, "a statement stands where a value is expected");
    }
}

static bool may_go_on(Render *r, const Node *n)
{
    if (r->failed) return false;
    r->line = n->line;
    if (++r->steps > STEPS_MOST)
        render_wrong(r, "the template takes more than %d steps", STEPS_MOST);
    else if (r->depth >= DEPTH_MOST)
        render_wrong(r, "the template calls itself too often");
    else if (r->arena->top - r->begin > MEMORY_MOST)
        render_wrong(r, "the template takes more than %d MiB of memory", MEMORY_MOST >> 20);
    return !r->failed && render_has_room(r, r->out);
}

static Value evaluate(Render *r, const Node *n)
{
    if (!may_go_on(r, n)) return NO_VALUE;
    r->depth++;
    Value v = evaluate_node(r, n);
    r->depth--;
    if (value_space(v) && !(v.kind == V_MAP && v.map->open)) /* it could be put into itself */
        return render_wrong(r, "a namespace in %s is not supported", value_kind(v));
    if (value_depth(v) > VALUE_DEPTH)
        return render_wrong(r, "lists and dicts are nested more than %d deep", VALUE_DEPTH);
    r->steps += v.kind == V_LIST ? v.list->n : v.kind == V_TEXT ? (int64_t)v.text.n / 64 : 0; /* whoever reads it */
    return r->failed ? NO_VALUE : v;
}

/* ---- statements */

/* The items of a loop as a list: a list's, a dict's keys, a text's characters. */
static Value items_of(Render *r, Value v)
{
    if (v.kind == V_LIST) return v;
    Value list = value_list(r->arena);
    if (v.kind == V_MAP)
        for (int i = 0; i < v.map->n; i++) list_add(r->arena, list, v.map->key[i]);
    else if (v.kind == V_TEXT)
        for (size_t at = 0, n; at < v.text.n; at += n) {
            n = utf8_length(v.text.s + at, v.text.n - at);
            list_add(r->arena, list, value_text(v.text.s + at, n = n ? n : 1));
        }
    else if (v.kind != V_UNDEFINED)
        render_wrong(r, "a loop over %s", value_kind(v));
    return list;
}

static void take_targets(Render *r, const Node *n, Value v)
{
    if (n->n == 1) {
        assign(r, n->kid[0]->name, v);
        return;
    }
    if (v.kind != V_LIST || v.list->n != n->n) {
        render_wrong(r, "%d names are given %s", n->n, value_kind(v));
        return;
    }
    for (int i = 0; i < n->n; i++) assign(r, n->kid[i]->name, v.list->at[i]);
}

static Value loop_state(Render *r, Value items, int i)
{
    Value m = value_map(r->arena);
    const List *l = items.list;
    map_set(r->arena, m, value_words("index"), value_int(i + 1));
    map_set(r->arena, m, value_words("index0"), value_int(i));
    map_set(r->arena, m, value_words("revindex"), value_int(l->n - i));
    map_set(r->arena, m, value_words("revindex0"), value_int(l->n - i - 1));
    map_set(r->arena, m, value_words("first"), value_bool(!i));
    map_set(r->arena, m, value_words("last"), value_bool(i == l->n - 1));
    map_set(r->arena, m, value_words("length"), value_int(l->n));
    map_set(r->arena, m, value_words("previtem"), i ? l->at[i - 1] : NO_VALUE);
    map_set(r->arena, m, value_words("nextitem"), i + 1 < l->n ? l->at[i + 1] : NO_VALUE);
    return m;
}

static void run_loop(Render *r, const Node *n)
{
    int base = r->n, floor = r->floor;
    Value all = items_of(r, evaluate(r, n->child[0])), items = all;
    if (r->failed) return;
    r->floor = base;
    if (n->child[1]) { /* the items that the filter lets through */
        items = value_list(r->arena);
        for (int i = 0; i < all.list->n && !r->failed; i++) {
            take_targets(r, n, all.list->at[i]);
            if (value_true(evaluate(r, n->child[1]))) list_add(r->arena, items, all.list->at[i]);
            r->n = base;
        }
    }
    for (int i = 0; i < items.list->n && !r->failed; i++) {
        take_targets(r, n, items.list->at[i]);
        assign(r, "loop", loop_state(r, items, i));
        run(r, n->child[2]);
        r->n = base;
        bool over = r->flow == BREAK;
        r->flow = GO_ON;
        if (over) break;
    }
    if (!items.list->n && n->child[3]) run(r, n->child[3]);
    r->n = base;
    r->floor = floor;
}

static void run_set(Render *r, const Node *n)
{
    Value v = evaluate(r, n->child[1]);
    if (r->failed) return;
    if (!n->child[0]) {
        take_targets(r, n, v);
        return;
    }
    Value space = evaluate(r, n->child[0]);
    if (value_space(v))
        render_wrong(r, "a namespace in a namespace is not supported");
    else if (space.kind != V_MAP || !space.map->open)
        render_wrong(r, "%s is no namespace, so its %s cannot be set", n->child[0]->name, n->name);
    else
        map_set(r->arena, space, value_words(n->name), v);
}

static void run_set_block(Render *r, const Node *n)
{
    Buf *out = r->out, text = buf_open(r->arena);
    r->out = &text;
    run(r, n->child[1]);
    r->out = out;
    assign(r, n->kid[0]->name, value_text(text.text, text.len));
}

static void print(Render *r, Value v)
{
    if (is_small(r, v)) value_print(r->out, v);
}

static void run(Render *r, const Node *n)
{
    if (r->flow != GO_ON || !may_go_on(r, n)) return;
    r->depth++;
    switch (n->kind) {
    case N_TEXT: buf_add(r->out, n->value.text.s, n->value.text.n); break;
    case N_OUTPUT: print(r, evaluate(r, n->child[0])); break;
    case N_BLOCK:
        for (int i = 0; i < n->n; i++) run(r, n->kid[i]);
        break;
    case N_IF:
        if (value_true(evaluate(r, n->child[0])))
            run(r, n->child[1]);
        else if (n->child[2])
            run(r, n->child[2]);
        break;
    case N_FOR: run_loop(r, n); break;
    case N_SET: run_set(r, n); break;
    case N_SET_BLOCK: run_set_block(r, n); break;
    case N_MACRO: assign(r, n->name, (Value){V_MACRO, {.macro = n}}); break;
    case N_BREAK: r->flow = BREAK; break;
    case N_CONTINUE: r->flow = CONTINUE; break;
    default: render_wrong(r, "an expression stands alone");
    }
    r->depth--;
}

Status template_render(Buf *out, const Template *t, Value variables)
{
    Render r = {.arena = out->arena, .t = t, .out = out, .begin = out->arena->top};
    for (int i = 0; i < variables.map->n; i++) assign(&r, variables.map->key[i].text.s, variables.map->at[i]);
    run(&r, t->root);
    return r.failed;
}

/* Recursive descent over the tokens.  From weak to strong: if-else, or, and, not, comparisons, + -, ~, * / // %,
 * signs, and behind a primary its attributes, items, calls, filters and tests. */
#include <stdlib.h>
#include <string.h>

#include "chat/lexer.h"
#include "chat/node.h"

typedef struct {
    Arena *arena;
    const Token *at;
    const char *path;
    int depth;
} Parser;

static Status expression(Node **out, Parser *p);
static Status unary(Node **out, Parser *p);
static Status primary(Node **out, Parser *p);
static Status statements(Node **out, Parser *p, const char *ends);

static Status wrong(const Parser *p, const char *what)
{
    return err_fail(E_FORMAT, "%s: chat template, line %d: %s", p->path, p->at->line, what);
}

static Node *new_node(Parser *p, NodeKind kind)
{
    Node *n = NEW(p->arena, Node, 1);
    n->kind = kind;
    n->line = p->at->line;
    return n;
}

static void add_kid(Parser *p, Node *to, Node *kid)
{
    GROW(p->arena, to->kid, to->n, to->room, 4);
    to->kid[to->n++] = kid;
}

static bool is(const Parser *p, TokenKind kind, const char *s)
{
    return p->at->kind == kind && (!s || !strcmp(p->at->s, s));
}

static bool accept(Parser *p, TokenKind kind, const char *s)
{
    if (!is(p, kind, s)) return false;
    p->at++;
    return true;
}

static Status expect(Parser *p, TokenKind kind, const char *s)
{
    if (accept(p, kind, s)) return OK;
    return wrong(p, str_print(p->arena, "'%.40s' stands where '%s' is expected", p->at->s, s));
}

static Status name_of(const char **out, Parser *p)
{
    if (!is(p, T_NAME, NULL)) return wrong(p, str_print(p->arena, "'%.40s' is no name", p->at->s));
    *out = p->at++->s;
    return OK;
}

static Node *literal(Parser *p, Value v)
{
    Node *n = new_node(p, N_LITERAL);
    n->value = v;
    return n;
}

/* ---- expressions */

/* Arguments up to ")": plain ones and name=value. */
static Status arguments(Node *call, Parser *p)
{
    while (!accept(p, T_MARK, ")")) {
        Node *kid;
        const char *name = NULL;
        if (p->at->kind == T_NAME && p->at[1].kind == T_MARK && !strcmp(p->at[1].s, "=")) {
            name = p->at->s;
            p->at += 2;
        }
        if (is(p, T_MARK, "*") || is(p, T_MARK, "**")) return wrong(p, "arguments with * are not supported");
        TRY(expression(&kid, p));
        if (name) { /* the name belongs to the argument, not to its node, which could be a variable */
            Node *named = new_node(p, N_BLOCK);
            named->name = name;
            named->child[0] = kid;
            kid = named;
        }
        add_kid(p, call, kid);
        if (!is(p, T_MARK, ")")) TRY(expect(p, T_MARK, ","));
    }
    return OK;
}

static Status items(Node **out, Parser *p, const char *close)
{
    Node *n = new_node(p, N_LIST);
    while (!accept(p, T_MARK, close)) {
        Node *kid;
        TRY(expression(&kid, p));
        add_kid(p, n, kid);
        if (!is(p, T_MARK, close)) TRY(expect(p, T_MARK, ","));
    }
    *out = n;
    return OK;
}

static Status dict(Node **out, Parser *p)
{
    Node *n = new_node(p, N_DICT);
    while (!accept(p, T_MARK, "}")) {
        Node *key, *value;
        TRY(expression(&key, p));
        TRY(expect(p, T_MARK, ":"));
        TRY(expression(&value, p));
        add_kid(p, n, key);
        add_kid(p, n, value);
        if (!is(p, T_MARK, "}")) TRY(expect(p, T_MARK, ","));
    }
    *out = n;
    return OK;
}

/* ( expression ), or a tuple, which is as good as a list here. */
static Status parentheses(Node **out, Parser *p)
{
    if (is(p, T_MARK, ")")) return items(out, p, ")");
    TRY(expression(out, p));
    if (accept(p, T_MARK, ")")) return OK;
    Node *n = new_node(p, N_LIST);
    add_kid(p, n, *out);
    while (!accept(p, T_MARK, ")")) {
        TRY(expect(p, T_MARK, ","));
        if (accept(p, T_MARK, ")")) break;
        TRY(expression(out, p));
        add_kid(p, n, *out);
    }
    *out = n;
    return OK;
}

static bool constant(Value *out, const char *name)
{
    static const struct {
        const char *name;
        Value value;
    } ALL[] = {{"true", {V_BOOL, {.b = true}}},   {"True", {V_BOOL, {.b = true}}}, {"false", {V_BOOL, {.b = false}}},
               {"False", {V_BOOL, {.b = false}}}, {"none", {V_NONE, {0}}},         {"None", {V_NONE, {0}}}};
    for (size_t i = 0; i < sizeof ALL / sizeof *ALL; i++)
        if (!strcmp(ALL[i].name, name)) {
            *out = ALL[i].value;
            return true;
        }
    return false;
}

static Status atom(Node **out, Parser *p)
{
    const Token *t = p->at;
    Value v;
    if (t->kind == T_WORDS) {
        Buf b = buf_open(p->arena);
        for (; p->at->kind == T_WORDS; p->at++) buf_add(&b, p->at->s, p->at->n);
        *out = literal(p, value_text(b.text, b.len));
        return OK;
    }
    if (t->kind == T_INT || t->kind == T_REAL) {
        double r = 0;
        p->at++;
        if (!str_real(t->s, &r) || r > 9e15) return wrong(p, "a number is too large");
        *out = literal(p, t->kind == T_INT ? value_int((int64_t)r) : (Value){V_REAL, {.r = r}});
        return OK;
    }
    if (t->kind == T_NAME) {
        p->at++;
        if (constant(&v, t->s)) {
            *out = literal(p, v);
        } else {
            *out = new_node(p, N_NAME);
            (*out)->name = t->s;
        }
        return OK;
    }
    if (accept(p, T_MARK, "(")) return parentheses(out, p);
    if (accept(p, T_MARK, "[")) return items(out, p, "]");
    if (accept(p, T_MARK, "{")) return dict(out, p);
    return wrong(p, str_print(p->arena, "'%.40s' stands where a value is expected", t->s));
}

/* Behind "[": an index, or a slice of up to three parts. */
static Status subscript(Node **n, Parser *p)
{
    Node *part[3] = {NULL};
    int parts = 0;
    bool slice = false;
    for (; parts < 3 && !is(p, T_MARK, "]"); parts++) {
        if (!is(p, T_MARK, ":")) TRY(expression(&part[parts], p));
        if (is(p, T_MARK, "]")) break;
        TRY(expect(p, T_MARK, ":"));
        slice = true;
    }
    TRY(expect(p, T_MARK, "]"));
    Node *object = *n;
    *n = new_node(p, slice ? N_SLICE : N_ITEM);
    (*n)->child[0] = object;
    if (!slice && !part[0]) return wrong(p, "[] has no index");
    for (int i = 0; i < 3; i++) (*n)->child[i + 1] = part[i];
    return OK;
}

/* Attributes, items and calls behind a primary. */
static Status postfix(Node **n, Parser *p)
{
    for (;;) {
        Node *object = *n;
        if (accept(p, T_MARK, ".")) {
            *n = new_node(p, N_ITEM);
            (*n)->child[0] = object;
            if (p->at->kind == T_INT) {
                (*n)->child[1] = literal(p, value_int(strtoll(p->at->s, NULL, 10)));
                p->at++;
            } else {
                TRY(name_of(&(*n)->name, p));
                (*n)->child[1] = literal(p, value_words((*n)->name));
            }
        } else if (accept(p, T_MARK, "[")) {
            TRY(subscript(n, p));
        } else if (accept(p, T_MARK, "(")) {
            *n = new_node(p, N_CALL);
            (*n)->child[0] = object;
            TRY(arguments(*n, p));
        } else {
            return OK;
        }
    }
}

static bool begins_argument(const Parser *p)
{
    static const char *const WORDS = "else|or|and|is|if|not|in";
    return p->at->kind == T_WORDS || p->at->kind == T_INT || p->at->kind == T_REAL ||
           (p->at->kind == T_NAME && !str_glob(WORDS, p->at->s)) || is(p, T_MARK, "[") || is(p, T_MARK, "{");
}

static Status test(Node **n, Parser *p)
{
    bool negative = accept(p, T_NAME, "not");
    Node *t = new_node(p, N_TEST);
    t->child[0] = *n;
    TRY(name_of(&t->name, p));
    if (accept(p, T_MARK, "(")) {
        TRY(arguments(t, p));
    } else if (begins_argument(p)) {
        Node *kid;
        TRY(primary(&kid, p));
        add_kid(p, t, kid);
    }
    *n = t;
    if (negative) {
        *n = new_node(p, N_NOT);
        (*n)->child[0] = t;
    }
    return OK;
}

/* Filters, tests, and calls of their results. */
static Status filters(Node **n, Parser *p)
{
    for (;;) {
        if (accept(p, T_MARK, "|")) {
            Node *f = new_node(p, N_FILTER);
            f->child[0] = *n;
            TRY(name_of(&f->name, p));
            if (accept(p, T_MARK, "(")) TRY(arguments(f, p));
            *n = f;
            TRY(postfix(n, p));
        } else if (accept(p, T_NAME, "is")) {
            TRY(test(n, p));
        } else {
            return OK;
        }
    }
}

static Status primary(Node **out, Parser *p)
{
    TRY(atom(out, p));
    return postfix(out, p);
}

/* A filter behind -2 takes -2. */
static Status signed_primary(Node **out, Parser *p)
{
    if (++p->depth > NODE_DEPTH) return wrong(p, "expressions are nested too deeply");
    if (accept(p, T_MARK, "-")) {
        Node *n = new_node(p, N_MINUS);
        TRY(signed_primary(&n->child[0], p));
        *out = n;
    } else if (accept(p, T_MARK, "+")) {
        TRY(signed_primary(out, p));
    } else {
        TRY(primary(out, p));
    }
    p->depth--;
    return OK;
}

static Status unary(Node **out, Parser *p)
{
    TRY(signed_primary(out, p));
    return filters(out, p);
}

typedef Status Level(Node **out, Parser *p);

static bool one_of(const char *marks, const char *mark)
{
    size_t n;
    for (const char *one; str_next(&marks, " ", &one, &n);)
        if (strlen(mark) == n && !strncmp(one, mark, n)) return true;
    return false;
}

/* Operators of one strength, from the left; `marks` has them with blanks between. */
static Status chain(Node **out, Parser *p, Level *stronger, const char *marks, NodeKind kind)
{
    TRY(stronger(out, p));
    while ((p->at->kind == T_MARK || p->at->kind == T_NAME) && one_of(marks, p->at->s)) {
        Node *n = new_node(p, kind);
        n->name = p->at++->s;
        n->child[0] = *out;
        TRY(stronger(&n->child[1], p));
        *out = n;
    }
    return OK;
}

static Status products(Node **out, Parser *p)
{
    TRY(chain(out, p, unary, "* / // %", N_BINARY));
    return is(p, T_MARK, "**") ? wrong(p, "the operator ** is not supported") : OK;
}

static Status joins(Node **out, Parser *p)
{
    return chain(out, p, products, "~", N_BINARY);
}

static Status sums(Node **out, Parser *p)
{
    return chain(out, p, joins, "+ -", N_BINARY);
}

static Status comparisons(Node **out, Parser *p)
{
    TRY(sums(out, p));
    for (Node *last = *out, *all = NULL;;) { /* a < b < c is a < b and b < c */
        bool negative = is(p, T_NAME, "not") && p->at[1].kind == T_NAME && !strcmp(p->at[1].s, "in");
        if (!negative && !is(p, T_NAME, "in") && !(p->at->kind == T_MARK && one_of("== != < > <= >=", p->at->s)))
            return OK;
        p->at += negative;
        Node *n = new_node(p, N_COMPARE);
        n->name = negative ? "not in" : p->at->s;
        p->at++;
        n->child[0] = last;
        TRY(sums(&n->child[1], p));
        last = n->child[1];
        if (all) {
            Node *both = new_node(p, N_AND);
            both->child[0] = all;
            both->child[1] = n;
            n = both;
        }
        *out = all = n;
    }
}

static Status negation(Node **out, Parser *p)
{
    if (!accept(p, T_NAME, "not")) return comparisons(out, p);
    if (++p->depth > NODE_DEPTH) return wrong(p, "expressions are nested too deeply");
    Node *n = new_node(p, N_NOT);
    TRY(negation(&n->child[0], p));
    p->depth--;
    *out = n;
    return OK;
}

static Status conjunction(Node **out, Parser *p)
{
    return chain(out, p, negation, "and", N_AND);
}

static Status disjunction(Node **out, Parser *p)
{
    return chain(out, p, conjunction, "or", N_OR);
}

static Status expression(Node **out, Parser *p)
{
    if (++p->depth > NODE_DEPTH) return wrong(p, "expressions are nested too deeply");
    TRY(disjunction(out, p));
    while (accept(p, T_NAME, "if")) {
        Node *n = new_node(p, N_TERNARY);
        n->child[1] = *out;
        TRY(disjunction(&n->child[0], p));
        if (accept(p, T_NAME, "else")) TRY(expression(&n->child[2], p));
        *out = n;
    }
    p->depth--;
    return OK;
}

/* ---- statements */

static Status end_tag(Parser *p)
{
    if (accept(p, T_TAG_END, NULL)) return OK;
    return wrong(p, str_print(p->arena, "'%.40s' stands where the tag should end", p->at->s));
}

/* Statements up to {% end %}, whose tag is read. */
static Status body(Node **out, Parser *p, const char *end)
{
    TRY(end_tag(p));
    TRY(statements(out, p, end));
    p->at += 2;
    return end_tag(p);
}

static Status condition(Node **out, Parser *p)
{
    Node *n = *out = new_node(p, N_IF);
    TRY(expression(&n->child[0], p));
    TRY(end_tag(p));
    TRY(statements(&n->child[1], p, "elif|else|endif"));
    p->at++;
    if (accept(p, T_NAME, "elif")) {
        if (++p->depth > NODE_DEPTH) return wrong(p, "statements are nested too deeply");
        Status s = condition(&n->child[2], p);
        p->depth--;
        return s;
    }
    if (accept(p, T_NAME, "else")) return body(&n->child[2], p, "endif");
    p->at++;
    return end_tag(p);
}

/* One name, or several with commas, as a list of names. */
static Status targets(Node *n, Parser *p)
{
    do {
        bool bracket = accept(p, T_MARK, "(");
        Node *t = new_node(p, N_NAME);
        TRY(name_of(&t->name, p));
        add_kid(p, n, t);
        if (bracket) TRY(expect(p, T_MARK, ")"));
    } while (accept(p, T_MARK, ","));
    return OK;
}

static Status loop(Node **out, Parser *p)
{
    Node *n = *out = new_node(p, N_FOR);
    TRY(targets(n, p));
    TRY(expect(p, T_NAME, "in"));
    TRY(disjunction(&n->child[0], p));
    if (accept(p, T_NAME, "if")) TRY(expression(&n->child[1], p));
    if (is(p, T_NAME, "recursive")) return wrong(p, "recursive loops are not supported");
    TRY(end_tag(p));
    TRY(statements(&n->child[2], p, "else|endfor"));
    p->at++;
    if (accept(p, T_NAME, "else")) return body(&n->child[3], p, "endfor");
    p->at++;
    return end_tag(p);
}

/* {% set a = x %}, {% set a, b = x, y %}, {% set space.a = x %}, {% set a %}text{% endset %} */
static Status assignment(Node **out, Parser *p)
{
    Node *n = *out = new_node(p, N_SET);
    if (p->at->kind == T_NAME && p->at[1].kind == T_MARK && !strcmp(p->at[1].s, ".")) {
        n->child[0] = new_node(p, N_NAME);
        TRY(name_of(&n->child[0]->name, p));
        p->at++;
        TRY(name_of(&n->name, p));
    } else {
        TRY(targets(n, p));
    }
    if (is(p, T_MARK, "|")) return wrong(p, "a set block with a filter is not supported");
    if (!accept(p, T_MARK, "=")) {
        n->kind = N_SET_BLOCK;
        return n->n == 1 ? body(&n->child[1], p, "endset") : wrong(p, "a set block has one name");
    }
    TRY(expression(&n->child[1], p));
    if (is(p, T_MARK, ",")) {
        Node *list = new_node(p, N_LIST);
        add_kid(p, list, n->child[1]);
        while (accept(p, T_MARK, ",")) {
            Node *kid;
            TRY(expression(&kid, p));
            add_kid(p, list, kid);
        }
        n->child[1] = list;
    }
    return end_tag(p);
}

/* Kids: the parameters, each a name with its default as child 0. */
static Status macro(Node **out, Parser *p)
{
    Node *n = *out = new_node(p, N_MACRO);
    TRY(name_of(&n->name, p));
    TRY(expect(p, T_MARK, "("));
    while (!accept(p, T_MARK, ")")) {
        Node *t = new_node(p, N_NAME);
        TRY(name_of(&t->name, p));
        if (accept(p, T_MARK, "=")) TRY(expression(&t->child[0], p));
        add_kid(p, n, t);
        if (!is(p, T_MARK, ")")) TRY(expect(p, T_MARK, ","));
    }
    return body(&n->child[1], p, "endmacro");
}

static Status tag(Node **out, Parser *p)
{
    const char *name = "";
    TRY(name_of(&name, p));
    if (!strcmp(name, "if")) return condition(out, p);
    if (!strcmp(name, "for")) return loop(out, p);
    if (!strcmp(name, "set")) return assignment(out, p);
    if (!strcmp(name, "macro")) return macro(out, p);
    if (!strcmp(name, "generation")) return body(out, p, "endgeneration");
    if (!strcmp(name, "break") || !strcmp(name, "continue")) {
        *out = new_node(p, *name == 'b' ? N_BREAK : N_CONTINUE);
        return end_tag(p);
    }
    return wrong(p, str_print(p->arena, "the tag {%% %.40s %%} is not supported", name));
}

/* Up to the first tag whose name matches `ends`, where the parser stays; NULL: to the end. */
static Status statements(Node **out, Parser *p, const char *ends)
{
    Node *all = *out = new_node(p, N_BLOCK);
    if (++p->depth > NODE_DEPTH) return wrong(p, "statements are nested too deeply");
    for (;;) {
        Node *n = NULL;
        if (is(p, T_END, NULL)) {
            if (ends) return wrong(p, str_print(p->arena, "the template ends before %s", ends));
            break;
        }
        if (ends && is(p, T_TAG_BEGIN, NULL) && p->at[1].kind == T_NAME && str_glob(ends, p->at[1].s)) break;
        if (is(p, T_TEXT, NULL)) {
            n = new_node(p, N_TEXT);
            n->value = value_text(p->at->s, p->at->n);
            p->at++;
        } else if (accept(p, T_OUTPUT_BEGIN, NULL)) {
            n = new_node(p, N_OUTPUT);
            TRY(expression(&n->child[0], p));
            if (!accept(p, T_OUTPUT_END, NULL))
                return wrong(p, str_print(p->arena, "'%.40s' stands where }} is expected", p->at->s));
        } else {
            p->at++;
            TRY(tag(&n, p));
        }
        add_kid(p, all, n);
    }
    p->depth--;
    return OK;
}

Status template_parse(const Template **out, Arena *a, const char *text, size_t n, const char *path)
{
    Template *t = NEW(a, Template, 1);
    Tokens tokens;
    TRY(tokens_of(&tokens, a, text, n, path));
    Parser p = {.arena = a, .at = tokens.at, .path = path};
    t->path = path;
    TRY(statements(&t->root, &p, NULL));
    *out = t;
    return OK;
}

/* A grammar with a scope.  Every statement is written by one small function that draws from a counter-based
 * stream, looks up a variable of the type it needs, and falls back to a literal when there is none, so that
 * the text always parses and nearly always type-checks.  Blocks close their scope.  The methods compute
 * nonsense; it only matters that keywords, types, names and shapes of statements are as varied and as tied
 * to each other as in real code (an int[] is indexed by an int and tested against length, a boolean is a
 * condition, a String is compared by equals). */
#include "probe/javagen.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/rng.h"
#include "base/str.h"
#include "base/table.h"
#include "change/javagen_words.h"

const int64_t JAVAGEN_TYP_SIZES[SPLITS] = {600, 200, 200};

enum { INT, LONG, SHORT, BYTE, CHAR, BOOLEAN, FLOAT, DOUBLE, PRIMITIVES, STRING = PRIMITIVES, TYPES, VOID = TYPES };
static const char *const TYPE[] = {"int",     "long",  "short",  "byte",   "char",
                                   "boolean", "float", "double", "String", "void"};

typedef struct {
    int type;
    bool array;
    char name[32];
} Variable;

enum { MOST_VARIABLES = 24, DEEPEST = 3 };
typedef struct {
    Buf out;
    uint64_t stream, next;
    Variable var[MOST_VARIABLES];
    int n_vars, depth;
    int returns; /* a type, or VOID */
    bool returns_array;
} Gen;

/* ---- drawing and writing ---- */

static int below(Gen *g, int n)
{
    return (int)rng_below(g->stream, g->next++, n);
}

static bool chance(Gen *g, int percent)
{
    return below(g, 100) < percent;
}

/* Writes tokens, with a space before the first unless it opens the method. */
__attribute__((format(printf, 2, 3))) static void put(Gen *g, const char *fmt, ...)
{
    char text[256];
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    CHECK(n >= 0 && (size_t)n < sizeof text, "a statement of %d bytes", n);
    if (g->out.len) buf_add(&g->out, " ", 1);
    buf_add(&g->out, text, (size_t)n);
}

#define COUNT(list) ((int)(sizeof(list) / sizeof *(list)))
#define PICK(g, list) ((list)[below((g), COUNT(list))])

static const char *const SHORT_NAME[] = {"i", "j", "k", "n", "m", "x", "y", "a",
                                         "b", "c", "d", "p", "q", "r", "t", "w"};
static const char *const WORD[] = {
    "name",  "",     "error", " ",    "id",   "true", "value = ", ", ", "\\\\n", "null",
    "UTF-8", "key:", "-",     "done", ".txt", "0",    "http",     ":",  "user",  "/"};

/* first, then Capitalised second. */
static void camel(char *out, size_t room, const char *first, const char *second)
{
    snprintf(out, room, "%s%s", first, second);
    out[strlen(first)] = (char)toupper((unsigned char)second[0]);
}

static bool taken(const Gen *g, const char *name)
{
    static const char *const RESERVED[] = {"byte", "default", "final", "new"};
    for (int i = 0; i < COUNT(RESERVED); i++)
        if (strcmp(RESERVED[i], name) == 0) return true;
    for (int i = 0; i < g->n_vars; i++)
        if (strcmp(g->var[i].name, name) == 0) return true;
    return false;
}

/* Declares a new variable with an unused name that suits its type; NULL when the scope is full. */
static const Variable *declare(Gen *g, int type, bool array, bool loop)
{
    if (g->n_vars == MOST_VARIABLES) return NULL;
    Variable *v = &g->var[g->n_vars];
    *v = (Variable){.type = type, .array = array};
    do {
        int kind = below(g, 100);
        if (loop || (kind < 20 && !array && type != BOOLEAN))
            snprintf(v->name, sizeof v->name, "%s",
                     loop && kind < 70 ? SHORT_NAME[below(g, 3)] : PICK(g, SHORT_NAME));
        else if (type == BOOLEAN && !array)
            snprintf(v->name, sizeof v->name, "%s", PICK(g, JAVA_FLAG));
        else if (array)
            snprintf(v->name, sizeof v->name, "%ss", PICK(g, JAVA_NOUN));
        else if (kind < 65)
            snprintf(v->name, sizeof v->name, "%s", PICK(g, JAVA_NOUN));
        else
            camel(v->name, sizeof v->name, PICK(g, JAVA_ADJECTIVE), PICK(g, JAVA_NOUN));
    } while (taken(g, v->name));
    g->n_vars++;
    return v;
}

/* A variable in scope of that type, drawn evenly, or NULL. */
static const Variable *known(Gen *g, int type, bool array)
{
    const Variable *fit[MOST_VARIABLES];
    int n = 0;
    for (int i = 0; i < g->n_vars; i++)
        if (g->var[i].type == type && g->var[i].array == array) fit[n++] = &g->var[i];
    return n ? fit[below(g, n)] : NULL;
}

static const Variable *known_array(Gen *g)
{
    int at = g->n_vars ? below(g, g->n_vars) : 0;
    for (int i = 0; i < g->n_vars; i++)
        if (g->var[(at + i) % g->n_vars].array) return &g->var[(at + i) % g->n_vars];
    return NULL;
}

static bool integral(int type)
{
    return type == INT || type == LONG || type == SHORT || type == BYTE;
}

/* ---- expressions ---- */

/* Writes a random literal of the type. */
static void literal(Gen *g, int type)
{
    static const char *const WHOLE[] = {"0", "1", "2", "10", "100", "- 1", "3", "8", "16", "255", "1000", "7", "5"};
    static const char *const REAL[] = {"0.0", "1.0", "0.5", "2.0", "1e-6", "100.0", "3.14", "0.25", "10.0"};
    static const char *const LETTER[] = {"'a'", "'z'", "' '", "'0'", "'.'", "','", "'A'", "'-'", "'/'"};
    switch (type) {
    case LONG: put(g, "%dL", below(g, 10)); break;
    case SHORT:
    case BYTE: put(g, "( %s ) %s", TYPE[type], WHOLE[below(g, 5)]); break;
    case CHAR: put(g, "%s", PICK(g, LETTER)); break;
    case BOOLEAN: put(g, "%s", chance(g, 50) ? "true" : "false"); break;
    case FLOAT: put(g, "%sf", PICK(g, REAL)); break;
    case DOUBLE: put(g, "%s", PICK(g, REAL)); break;
    case STRING: put(g, "\"%s\"", PICK(g, WORD)); break;
    default: put(g, "%s", PICK(g, WHOLE)); break;
    }
}

static void condition(Gen *g, int deep);

/* A variable, an element of an array, or a literal. */
static void atom(Gen *g, int type)
{
    const Variable *v = known(g, type, false), *list = known(g, type, true), *index = known(g, INT, false);
    if (list && index && chance(g, 40)) {
        put(g, "%s [ %s ]", list->name, index->name);
    } else if (v && chance(g, 85)) {
        put(g, "%s", v->name);
    } else if (type == INT && known_array(g) && chance(g, 50)) {
        put(g, "%s . length", known_array(g)->name);
    } else if (type == INT && known(g, STRING, false) && chance(g, 60)) {
        put(g, "%s . length ( )", known(g, STRING, false)->name);
    } else {
        literal(g, type);
    }
}

/* An expression of a numeric type, at most `deep` levels deep. */
static void number(Gen *g, int type, int deep)
{
    static const char *const OPERATOR[] = {"+", "-", "*", "/", "+", "-", "%", "&", "<<"};
    int kind = below(g, 100);
    if (deep == 0 || kind < 40) {
        atom(g, type);
    } else if (kind < 75) {
        atom(g, type);
        put(g, "%s", OPERATOR[below(g, integral(type) ? COUNT(OPERATOR) : 6)]);
        number(g, type, deep - 1);
    } else if (kind < 83) {
        put(g, "Math . %s (", chance(g, 50) ? "max" : "min");
        atom(g, type);
        put(g, ",");
        number(g, type, deep - 1);
        put(g, ")");
    } else if (kind < 91) {
        put(g, "(");
        number(g, type, deep - 1);
        put(g, ") %s", chance(g, 50) ? "+" : "*");
        atom(g, type);
    } else { /* a cast from another number */
        int from = chance(g, 50) ? DOUBLE : chance(g, 50) ? INT : LONG;
        put(g, "( %s )", TYPE[type]);
        put(g, "(");
        number(g, from, deep - 1);
        put(g, ")");
    }
}

/* Writes a string expression: a method call, a concatenation, a conversion or an atom. */
static void string(Gen *g, int deep)
{
    const Variable *v = known(g, STRING, false);
    int kind = below(g, 100);
    if (v && kind < 25) {
        static const char *const CALL[] = {"trim ( )", "toLowerCase ( )", "substring ( 1 )",
                                           "replace ( \"_\" , \" \" )"};
        put(g, "%s . %s", v->name, PICK(g, CALL));
    } else if (deep > 0 && kind < 60) {
        literal(g, STRING);
        put(g, "+");
        atom(g, chance(g, 60) ? INT : STRING);
    } else if (kind < 70) {
        put(g, "String . valueOf (");
        atom(g, chance(g, 50) ? INT : DOUBLE);
        put(g, ")");
    } else {
        atom(g, STRING);
    }
}

/* Writes an expression of the type, with operators nested up to `deep`. */
static void expression(Gen *g, int type, int deep)
{
    if (type == STRING) {
        string(g, deep);
    } else if (type == BOOLEAN) {
        if (chance(g, 35))
            literal(g, BOOLEAN);
        else
            condition(g, deep);
    } else if (type == CHAR) {
        const Variable *s = known(g, STRING, false), *i = known(g, INT, false);
        if (s && chance(g, 60))
            put(g, "%s . charAt ( %s )", s->name, i ? i->name : "0");
        else
            atom(g, CHAR);
    } else {
        number(g, type, deep);
    }
}

/* Writes a comparison, preferably of a declared variable, with a literal or an atom of its type. */
static void comparison(Gen *g)
{
    static const char *const RELATION[] = {"<", ">", "<=", ">=", "==", "!="};
    static const int OF[] = {INT, INT, INT, LONG, DOUBLE, FLOAT, CHAR, SHORT, BYTE};
    int type = PICK(g, OF);
    for (int i = 0; i < 4 && !known(g, type, false); i++) type = PICK(g, OF);
    const Variable *v = known(g, type, false);
    if (v)
        put(g, "%s", v->name);
    else
        atom(g, type = INT);
    put(g, "%s", PICK(g, RELATION));
    if (chance(g, 60))
        literal(g, type);
    else
        atom(g, type);
}

/* Writes a Boolean condition: a conjunction, a flag, a test of a string or an array, or a comparison. */
static void condition(Gen *g, int deep)
{
    const Variable *flag = known(g, BOOLEAN, false), *s = known(g, STRING, false), *list = known_array(g);
    int kind = below(g, 100);
    if (deep > 0 && kind < 18) {
        condition(g, deep - 1);
        put(g, "%s", chance(g, 60) ? "&&" : "||");
        comparison(g);
    } else if (flag && kind < 40) {
        put(g, "%s%s", chance(g, 40) ? "! " : "", flag->name);
    } else if (s && kind < 52) {
        if (chance(g, 50))
            put(g, "%s . equals ( \"%s\" )", s->name, PICK(g, WORD));
        else
            put(g, "%s . isEmpty ( )", s->name);
    } else if (list && kind < 60) {
        put(g, "%s %s null", list->name, chance(g, 50) ? "==" : "!=");
    } else {
        comparison(g);
    }
}

/* ---- statements ---- */

static void block(Gen *g, int statements);

static int any_type(Gen *g)
{
    static const int USUAL[] = {INT,  INT,  INT,   INT,  BOOLEAN, BOOLEAN, DOUBLE, DOUBLE,
                                LONG, LONG, FLOAT, CHAR, BYTE,    SHORT,   STRING, STRING};
    return PICK(g, USUAL);
}

/* The declaration of a local variable with its initialiser. */
static void local(Gen *g)
{
    int type = any_type(g);
    bool array = chance(g, 14);
    Buf *out = &g->out;
    put(g, "%s%s%s", chance(g, 8) ? "final " : "", TYPE[type], array ? " [ ]" : "");
    size_t here = out->len; /* the initialiser must not see the new name: it is declared last and put in front */
    if (array) {
        put(g, "= new %s [", TYPE[type]);
        number(g, INT, 1);
        put(g, "] ;");
    } else {
        put(g, "=");
        expression(g, type, 2);
        put(g, ";");
    }
    char *tail = str_copy(out->arena, out->text + here, out->len - here);
    out->len = here;
    out->text[here] = 0;
    const Variable *v = declare(g, type, array, false);
    put(g, "%s%s", v ? v->name : "unused", tail);
}

/* Writes an assignment to a declared variable: plain, compound, or an increment or decrement. */
static void assign(Gen *g)
{
    static const char *const COMPOUND[] = {"+=", "-=", "*=", "+="};
    if (g->n_vars == 0) return;
    const Variable v = g->var[below(g, g->n_vars)], *index = known(g, INT, false);
    if (v.array)
        put(g, "%s [ %s ]", v.name, index ? index->name : "0");
    else
        put(g, "%s", v.name);
    if (integral(v.type) && chance(g, 25)) {
        put(g, "%s ;", chance(g, 75) ? "++" : "--");
        return;
    }
    bool plain = v.type == BOOLEAN || v.type == CHAR || chance(g, 55);
    put(g, "%s", plain ? "=" : v.type == STRING ? "+=" : PICK(g, COMPOUND));
    expression(g, v.type, 2);
    put(g, ";");
}

static void branch(Gen *g)
{
    put(g, "if (");
    condition(g, 1);
    put(g, ") {");
    block(g, 1 + below(g, 2));
    put(g, "}");
    if (!chance(g, 35)) return;
    put(g, "else {");
    block(g, 1);
    put(g, "}");
}

/* Counts an index along an array or up to a number, or walks over the elements. */
static void loop(Gen *g)
{
    const Variable *list = known_array(g), *limit = known(g, INT, false);
    int scope = g->n_vars;
    if (list && chance(g, 25)) {
        const Variable l = *list, *e = declare(g, l.type, false, false);
        if (!e) return;
        put(g, "for ( %s %s : %s ) {", TYPE[l.type], e->name, l.name);
    } else {
        char bound[64];
        if (list && chance(g, 70))
            snprintf(bound, sizeof bound, "%s . length", list->name);
        else if (limit)
            snprintf(bound, sizeof bound, "%s", limit->name);
        else
            snprintf(bound, sizeof bound, "%d", 2 + below(g, 30));
        const Variable *i = declare(g, INT, false, true);
        if (!i) return;
        put(g, "for ( int %s = %d ; %s < %s ; %s ++ ) {", i->name, chance(g, 80) ? 0 : 1, i->name, bound, i->name);
    }
    block(g, 1 + below(g, 2));
    put(g, "}");
    g->n_vars = scope;
}

static void repeat(Gen *g)
{
    const Variable *n = known(g, INT, false);
    put(g, "while (");
    condition(g, 1);
    put(g, ") {");
    block(g, 1);
    if (n) put(g, "%s %s ;", n->name, chance(g, 50) ? "++" : "--");
    put(g, "}");
}

/* Writes a method call as a statement, with up to two arguments. */
static void call(Gen *g)
{
    static const char *const ON[] = {"this", "logger", "list", "builder", "helper", "cache", "out"};
    char name[64];
    camel(name, sizeof name, PICK(g, JAVA_VERB), PICK(g, JAVA_NOUN));
    if (chance(g, 30))
        put(g, "System . out . println (");
    else
        put(g, "%s . %s (", PICK(g, ON), name);
    int n = below(g, 3);
    for (int i = 0; i < n; i++) {
        if (i) put(g, ",");
        expression(g, any_type(g), 1);
    }
    put(g, ") ;");
}

/* Writes a return statement that fits the method's return type. */
static void give_back(Gen *g)
{
    if (g->returns == VOID) {
        put(g, "return ;");
        return;
    }
    put(g, "return");
    const Variable *v = known(g, g->returns, g->returns_array);
    if (v && (g->returns_array || chance(g, 60)))
        put(g, "%s", v->name);
    else if (g->returns_array)
        put(g, "new %s [ 0 ]", TYPE[g->returns]);
    else
        expression(g, g->returns, 2);
    put(g, ";");
}

static void guard(Gen *g)
{
    put(g, "if (");
    condition(g, 1);
    if (chance(g, 30)) {
        put(g, ") { throw new IllegalArgumentException ( \"%s\" ) ; }", PICK(g, WORD));
        return;
    }
    put(g, ") {");
    give_back(g);
    put(g, "}");
}

typedef void StatementFn(Gen *);
static const struct {
    StatementFn *write;
    int weight; /* of 100 */
    bool nests;
} STATEMENT[] = {{local, 28, false}, {assign, 24, false}, {branch, 14, true}, {loop, 14, true},
                 {repeat, 4, true},  {call, 10, false},   {guard, 6, true}};

static void statement(Gen *g)
{
    int at = below(g, 100), k = 0;
    while (at >= STATEMENT[k].weight) at -= STATEMENT[k++].weight;
    if (STATEMENT[k].nests && g->depth >= DEEPEST) k = 1;
    STATEMENT[k].write(g);
}

static void block(Gen *g, int statements)
{
    int scope = g->n_vars;
    g->depth++;
    for (int i = 0; i < statements; i++) statement(g);
    g->depth--;
    g->n_vars = scope;
}

/* ---- methods ---- */

/* Writes a method's header with one to three parameters, the first of a primitive type. */
static void header(Gen *g)
{
    static const char *const MODIFIER[] = {"public",         "public",    "public static", "private",
                                           "private static", "protected", "static",        "public final"};
    static const char *const THROWN[] = {"IOException", "Exception", "IllegalStateException"};
    char name[64];
    g->returns = chance(g, 25) ? VOID : any_type(g);
    g->returns_array = g->returns != VOID && chance(g, 12);
    camel(name, sizeof name, PICK(g, JAVA_VERB), PICK(g, JAVA_NOUN));
    put(g, "%s %s%s %s (", PICK(g, MODIFIER), TYPE[g->returns], g->returns_array ? " [ ]" : "", name);
    int n = 1 + below(g, 3);
    for (int i = 0; i < n; i++) {
        int type = i == 0 ? below(g, PRIMITIVES) : any_type(g); /* so every method has a primitive */
        if (i == 0 && chance(g, 50)) type = INT;
        const Variable *v = declare(g, type, chance(g, 28), false);
        put(g, "%s%s%s %s", i ? ", " : "", TYPE[type], v->array ? " [ ]" : "", v->name);
    }
    put(g, ")");
    if (chance(g, 10)) put(g, "throws %s", PICK(g, THROWN));
}

char *javagen_method(Arena *a, uint64_t stream)
{
    Gen g = {.out = buf_open(a), .stream = stream};
    header(&g);
    put(&g, "{");
    int statements = 2 + below(&g, 4);
    for (int i = 0; i < statements; i++) statement(&g);
    if (g.returns != VOID) give_back(&g);
    put(&g, "}");
    return g.out.text;
}

/* One swap of adjacent, different letters, each place equally likely. */
static void swap_letters(char *word, size_t len, uint64_t stream, uint64_t draw)
{
    size_t place[16];
    int64_t n = 0;
    for (size_t i = 0; i + 1 < len; i++)
        if (word[i] != word[i + 1]) place[n++] = i;
    size_t at = place[rng_below(stream, draw, n)];
    char c = word[at];
    word[at] = word[at + 1];
    word[at + 1] = c;
}

static bool is_primitive(const char *word, size_t len)
{
    for (int t = 0; t < PRIMITIVES; t++)
        if (strlen(TYPE[t]) == len && memcmp(TYPE[t], word, len) == 0) return true;
    return false;
}

char *javagen_misspell(Arena *a, const char *method, uint64_t stream, int *changed)
{
    char *text = str_copy(a, method, strlen(method));
    int n = 0;
    for (char *p = text; *p;) {
        size_t len = strcspn(p, " ");
        if (is_primitive(p, len)) swap_letters(p, len, stream, (uint64_t)n++);
        p += len + (p[len] == ' ');
    }
    if (changed) *changed = n;
    return text;
}

/* The next method of a stream that has not been seen; *at is advanced past it. */
static char *next_distinct(Arena *a, Table *seen, uint64_t stream, uint64_t *at)
{
    for (;;) {
        ArenaMark mark = arena_mark(a);
        char *text = javagen_method(a, rng_mix(stream, (*at)++));
        size_t len = strlen(text);
        if (!table_find(seen, text, len)) {
            *table_add(seen, text, len, NULL) = 1;
            return text;
        }
        arena_drop(a, mark);
    }
}

void javagen_corpus(Bytes *out, Arena *a, uint64_t seed, int64_t n)
{
    uint64_t stream = rng_stream(seed, "javagen/corpus"), at = 0;
    Arena scratch = arena_open((size_t)1 << 34);
    Table seen = table_open(&scratch, n);
    for (int64_t i = 0; i < n; i++) {
        char *text = next_distinct(a, &seen, stream, &at);
        out[i] = (Bytes){text, strlen(text)};
    }
    arena_close(&scratch);
}

void javagen_typ(Dataset *out, Arena *a, uint64_t seed, const int64_t size[SPLITS])
{
    static const char *const LABEL[] = {"FAULT", "ORIG"};
    uint64_t stream = rng_stream(seed, "javagen/typ"), swaps = rng_stream(seed, "javagen/swaps"), at = 0;
    Arena scratch = arena_open((size_t)1 << 34);
    Table seen = table_open(&scratch, size[0] + size[1] + size[2]);
    *out = (Dataset){.name = "typ (generated)", .n_labels = 2, .label = LABEL};
    out->example = NEW(a, Example, size[0] + size[1] + size[2]);
    for (int s = 0; s < SPLITS; s++)
        for (int64_t i = 0; i < size[s]; i++, out->n++) {
            int32_t label = i % 2 == 0;
            char *text = next_distinct(a, &seen, stream, &at);
            if (label == 0) text = javagen_misspell(a, text, rng_mix(swaps, at), NULL);
            out->example[out->n] = (Example){(Split)s, label, text, strlen(text)};
        }
    dataset_count(out, a);
    arena_close(&scratch);
}

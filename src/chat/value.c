#include "chat/value.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

Value value_bool(bool b)
{
    return (Value){V_BOOL, {.b = b}};
}

Value value_int(int64_t i)
{
    return (Value){V_INT, {.i = i}};
}

Value value_text(const char *s, size_t n)
{
    return (Value){V_TEXT, {.text = {s, n}}};
}

Value value_words(const char *s)
{
    return value_text(s, strlen(s));
}

Value value_list(Arena *a)
{
    Value v = {V_LIST, {.list = NEW(a, List, 1)}};
    v.list->size = v.list->depth = 1;
    return v;
}

Value value_map(Arena *a)
{
    Value v = {V_MAP, {.map = NEW(a, Map, 1)}};
    v.map->size = v.map->depth = 1;
    return v;
}

/* Saturates: the same list may be in itself many times over. */
static int64_t grown(int64_t size, Value v)
{
    int64_t n = value_size(v);
    return size < INT64_MAX - n ? size + n : INT64_MAX;
}

int64_t value_size(Value v)
{
    return v.kind == V_LIST   ? v.list->size
           : v.kind == V_MAP  ? v.map->size
           : v.kind == V_TEXT ? 1 + (int64_t)v.text.n
                              : 1;
}

bool value_space(Value v)
{
    return v.kind == V_LIST ? v.list->space : v.kind == V_MAP && (v.map->open || v.map->space);
}

int value_depth(Value v)
{
    return v.kind == V_LIST ? v.list->depth : v.kind == V_MAP ? v.map->depth : 0;
}

void list_add(Arena *a, Value list, Value v)
{
    List *l = list.list;
    l->size = grown(l->size, v);
    l->space |= value_space(v);
    if (l->depth <= value_depth(v)) l->depth = value_depth(v) + 1;
    GROW(a, l->at, l->n, l->room, 8);
    l->at[l->n++] = v;
}

void map_set(Arena *a, Value map, Value key, Value v)
{
    Map *m = map.map;
    m->size = grown(grown(m->size, key), v);
    m->space |= value_space(v);
    if (m->depth <= value_depth(v)) m->depth = value_depth(v) + 1;
    for (int i = 0; i < m->n; i++)
        if (value_equal(m->key[i], key)) {
            m->at[i] = v;
            return;
        }
    GROW(a, m->key, m->n, m->key_room, 8);
    GROW(a, m->at, m->n, m->room, 8);
    m->key[m->n] = key;
    m->at[m->n++] = v;
}

Value map_get(Value map, const char *key)
{
    for (int i = 0; i < map.map->n; i++) {
        Value k = map.map->key[i];
        if (k.kind == V_TEXT && k.text.n == strlen(key) && !memcmp(k.text.s, key, k.text.n)) return map.map->at[i];
    }
    return NO_VALUE;
}

Value value_of_json(Arena *a, const cJSON *j)
{
    const cJSON *c;
    if (!j) return NO_VALUE;
    if (cJSON_IsBool(j)) return value_bool(cJSON_IsTrue(j));
    if (cJSON_IsNumber(j))
        return j->valuedouble == floor(j->valuedouble) && fabs(j->valuedouble) < 9e15
                   ? value_int((int64_t)j->valuedouble)
                   : (Value){V_REAL, {.r = j->valuedouble}};
    if (cJSON_IsString(j)) return value_words(str_print(a, "%s", j->valuestring));
    if (cJSON_IsArray(j)) {
        Value l = value_list(a);
        cJSON_ArrayForEach(c, j) list_add(a, l, value_of_json(a, c));
        return l;
    }
    if (!cJSON_IsObject(j)) return (Value){V_NONE, {0}};
    Value m = value_map(a);
    cJSON_ArrayForEach(c, j) map_set(a, m, value_words(str_print(a, "%s", c->string)), value_of_json(a, c));
    return m;
}

bool value_true(Value v)
{
    switch (v.kind) {
    case V_UNDEFINED:
    case V_NONE: return false;
    case V_BOOL: return v.b;
    case V_INT: return v.i != 0;
    case V_REAL: return v.r != 0;
    case V_TEXT: return v.text.n > 0;
    case V_LIST: return v.list->n > 0;
    case V_MAP: return v.map->n > 0 || v.map->open;
    default: return true;
    }
}

static bool is_number(Value v)
{
    return v.kind == V_BOOL || v.kind == V_INT || v.kind == V_REAL;
}

static double number(Value v)
{
    return v.kind == V_REAL ? v.r : v.kind == V_INT ? (double)v.i : v.b;
}

static int order_of_texts(Value a, Value b)
{
    size_t n = a.text.n < b.text.n ? a.text.n : b.text.n;
    int c = n ? memcmp(a.text.s, b.text.s, n) : 0;
    return c ? c : (a.text.n > b.text.n) - (a.text.n < b.text.n);
}

bool value_equal(Value a, Value b)
{
    if (is_number(a) && is_number(b))
        return a.kind != V_REAL && b.kind != V_REAL ? (a.kind == V_INT ? a.i : a.b) == (b.kind == V_INT ? b.i : b.b)
                                                    : number(a) == number(b);
    if (a.kind != b.kind) return false;
    if (a.kind == V_TEXT) return !order_of_texts(a, b);
    if (a.kind == V_LIST) {
        bool same = a.list->n == b.list->n;
        for (int i = 0; same && i < a.list->n; i++) same = value_equal(a.list->at[i], b.list->at[i]);
        return same;
    }
    if (a.kind == V_MAP) {
        bool same = a.map->n == b.map->n;
        for (int i = 0; same && i < a.map->n; i++) {
            same = false;
            for (int k = 0; !same && k < b.map->n; k++)
                same = value_equal(a.map->key[i], b.map->key[k]) && value_equal(a.map->at[i], b.map->at[k]);
        }
        return same;
    }
    return a.kind == V_NONE || a.kind == V_UNDEFINED;
}

int value_order(Value a, Value b, bool *comparable)
{
    *comparable = (is_number(a) && is_number(b)) || (a.kind == V_TEXT && b.kind == V_TEXT);
    if (!*comparable) return 0;
    if (a.kind == V_TEXT) return order_of_texts(a, b);
    return (number(a) > number(b)) - (number(a) < number(b));
}

const char *value_kind(Value v)
{
    static const char *const NAME[] = {"undefined", "none",   "a boolean", "a whole number", "a number",
                                       "a text",    "a list", "a dict",    "a macro",        "a function"};
    return NAME[v.kind];
}

/* ---- printing */

/* The shortest digits that read as the same number, as Python prints it: with an exponent below 1e-4 and
 * from 1e16. */
static void print_real(Buf *b, double r)
{
    char digits[40] = "";
    double back = 0;
    int n = 0;
    do {
        snprintf(digits, sizeof digits, "%.*e", n, r);
        str_real(digits, &back);
    } while (back != r && ++n < 17);
    const char *power = strchr(digits, 'e');
    int e = power ? atoi(power + 1) : 0;
    if (!power || e < -4 || e >= 16)
        buf_print(b, "%s", digits);
    else
        buf_print(b, "%.*f", n > e ? n - e : 1, r);
}

static void print_literal(Buf *, Value);

static void print_quoted(Buf *b, Value v)
{
    bool inner = memchr(v.text.s, '\'', v.text.n) && !memchr(v.text.s, '"', v.text.n);
    char quote = inner ? '"' : '\'';
    buf_add(b, &quote, 1);
    for (size_t i = 0; i < v.text.n; i++) {
        unsigned char c = (unsigned char)v.text.s[i];
        if (c == (unsigned char)quote || c == '\\')
            buf_print(b, "\\%c", c);
        else if (c == '\n' || c == '\r' || c == '\t')
            buf_print(b, "\\%c", c == '\n' ? 'n' : c == '\r' ? 'r' : 't');
        else if (c < ' ' || c == 0x7f)
            buf_print(b, "\\x%02x", c);
        else
            buf_add(b, v.text.s + i, 1);
    }
    buf_add(b, &quote, 1);
}

static void print_literal(Buf *b, Value v)
{
    if (v.kind == V_TEXT)
        print_quoted(b, v);
    else
        value_print(b, v);
}

void value_print(Buf *b, Value v)
{
    switch (v.kind) {
    case V_UNDEFINED: break;
    case V_NONE: buf_print(b, "None"); break;
    case V_BOOL: buf_print(b, "%s", v.b ? "True" : "False"); break;
    case V_INT: buf_print(b, "%lld", (long long)v.i); break;
    case V_REAL: print_real(b, v.r); break;
    case V_TEXT: buf_add(b, v.text.s, v.text.n); break;
    case V_LIST:
        for (int i = 0; i < v.list->n; i++) {
            buf_print(b, "%s", i ? ", " : "[");
            print_literal(b, v.list->at[i]);
        }
        buf_print(b, "%s", v.list->n ? "]" : "[]");
        break;
    case V_MAP:
        for (int i = 0; i < v.map->n; i++) {
            buf_print(b, "%s", i ? ", " : "{");
            print_literal(b, v.map->key[i]);
            buf_print(b, ": ");
            print_literal(b, v.map->at[i]);
        }
        buf_print(b, "%s", v.map->n ? "}" : "{}");
        break;
    default: buf_print(b, "<%s>", value_kind(v) + 2);
    }
}

static void json_text(Buf *b, Value v)
{
    static const char NAMED[] = "\b\f\n\r\t\"\\", AS[] = "bfnrt\"\\";
    buf_print(b, "\"");
    for (size_t i = 0; i < v.text.n; i++) {
        const char *named = v.text.s[i] ? strchr(NAMED, v.text.s[i]) : NULL;
        if (named)
            buf_print(b, "\\%c", AS[named - NAMED]);
        else if ((unsigned char)v.text.s[i] < ' ')
            buf_print(b, "\\u%04x", (unsigned char)v.text.s[i]);
        else
            buf_add(b, v.text.s + i, 1);
    }
    buf_print(b, "\"");
}

/* What stands in front of item i of a list or dict at this depth, or, i < 0, before its end. */
static void json_step(Buf *b, int i, int indent, int depth)
{
    if (indent < 0)
        buf_print(b, "%s", i > 0 ? ", " : "");
    else
        buf_print(b, "%s\n%*s", i > 0 ? "," : "", indent * depth, "");
}

static void json_at(Buf *b, Value v, int indent, int depth)
{
    switch (v.kind) {
    case V_BOOL: buf_print(b, "%s", v.b ? "true" : "false"); break;
    case V_INT:
    case V_REAL: value_print(b, v); break;
    case V_TEXT: json_text(b, v); break;
    case V_LIST:
        buf_print(b, "[");
        for (int i = 0; i < v.list->n; i++) {
            json_step(b, i, indent, depth + 1);
            json_at(b, v.list->at[i], indent, depth + 1);
        }
        if (v.list->n) json_step(b, -1, indent, depth);
        buf_print(b, "]");
        break;
    case V_MAP:
        buf_print(b, "{");
        for (int i = 0; i < v.map->n; i++) {
            json_step(b, i, indent, depth + 1);
            json_at(b, v.map->key[i], -1, 0);
            buf_print(b, ": ");
            json_at(b, v.map->at[i], indent, depth + 1);
        }
        if (v.map->n) json_step(b, -1, indent, depth);
        buf_print(b, "}");
        break;
    default: buf_print(b, "null");
    }
}

void value_json(Buf *b, Value v, int indent)
{
    json_at(b, v, indent, 0);
}

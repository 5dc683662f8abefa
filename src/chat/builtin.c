/* Functions, methods, filters and tests by their names; one that is not here is refused by name. */
#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "chat/render.h"

enum { RANGE_MOST = 1000000 };

static Value printed(Render *r, Value v)
{
    if (v.kind == V_TEXT) return v;
    if (value_size(v) > TEXT_MOST) return render_wrong(r, "%s is too large for a text", value_kind(v));
    Buf b = buf_open(r->arena);
    value_print(&b, v);
    return value_text(b.text, b.len);
}

/* ---- functions */

bool is_builtin(const char *name)
{
    return str_glob("raise_exception|strftime_now|range|namespace|dict", name);
}

static Value range_of(Render *r, const Arguments *a)
{
    for (int i = 0; i < a->n; i++)
        if (a->plain[i].kind != V_INT) return render_wrong(r, "range() of %s", value_kind(a->plain[i]));
    if (a->n < 1 || a->n > 3) return render_wrong(r, "range() takes one to three numbers");
    int64_t from = a->n > 1 ? a->plain[0].i : 0, to = a->plain[a->n > 1].i, step = a->n > 2 ? a->plain[2].i : 1;
    const int64_t big = INT64_C(1) << 53; /* beyond which no number of a template is meant */
    if (!step || step < -big || step > big || from < -big || from > big || to < -big || to > big ||
        llabs(to - from) / llabs(step) > RANGE_MOST)
        return render_wrong(r, "range() is too long");
    Value list = value_list(r->arena);
    for (int64_t i = from; step > 0 ? i < to : i > to; i += step) list_add(r->arena, list, value_int(i));
    return list;
}

static Value now(Render *r, Value format)
{
    time_t t = time(NULL);
    struct tm parts;
    char text[256];
    localtime_r(&t, &parts);
    if (format.kind != V_TEXT) return render_wrong(r, "strftime_now() of %s", value_kind(format));
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    size_t n = strftime(text, sizeof text, str_copy(r->arena, format.text.s, format.text.n), &parts);
#pragma GCC diagnostic pop
    return value_text(str_copy(r->arena, text, n), n);
}

Value call_builtin(Render *r, const char *name, const Arguments *a)
{
    Value first = argument(r, a, 0, "message");
    if (!strcmp(name, "raise_exception")) {
        Value v = printed(r, first);
        return render_wrong(r, "the template refuses this conversation: %.*s", (int)v.text.n, v.text.s);
    }
    if (!strcmp(name, "range")) return range_of(r, a);
    if (!strcmp(name, "strftime_now")) return now(r, argument(r, a, 0, "format"));
    Value m = value_map(r->arena);
    if (a->n && a->plain[0].kind == V_MAP)
        for (int i = 0; i < a->plain[0].map->n; i++)
            map_set(r->arena, m, a->plain[0].map->key[i], a->plain[0].map->at[i]);
    for (int i = 0; i < a->named.map->n; i++) map_set(r->arena, m, a->named.map->key[i], a->named.map->at[i]);
    m.map->open = *name == 'n';
    return m;
}

/* ---- texts */

/* Bytes of the white space, as Python has it, that begins there; 0: none does. */
static size_t space_at(const char *s, size_t n)
{
    static const char *const WIDE[] = {"\xc2\x85",     "\xc2\xa0",     "\xe1\x9a\x80", "\xe2\x80\xa8",
                                       "\xe2\x80\xa9", "\xe2\x80\xaf", "\xe2\x81\x9f", "\xe3\x80\x80"};
    if (n && (*s == ' ' || (*s >= '\t' && *s <= '\r') || (*s >= 0x1c && *s <= 0x1f))) return 1;
    if (n >= 3 && !memcmp(s, "\xe2\x80", 2) && (unsigned char)s[2] >= 0x80 && (unsigned char)s[2] <= 0x8a) return 3;
    for (size_t i = 0; i < sizeof WIDE / sizeof *WIDE; i++)
        if (n >= strlen(WIDE[i]) && !memcmp(s, WIDE[i], strlen(WIDE[i]))) return strlen(WIDE[i]);
    return 0;
}

/* Bytes of the character there if strip(set) takes it away. */
static size_t cut_at(Value set, const char *s, size_t n)
{
    if (set.kind != V_TEXT) return space_at(s, n);
    size_t length = n ? utf8_length(s, n) : 0;
    for (size_t at = 0, step; length && at < set.text.n; at += step ? step : 1) {
        step = utf8_length(set.text.s + at, set.text.n - at);
        if (step == length && !memcmp(set.text.s + at, s, length)) return length;
    }
    return 0;
}

/* Without the characters of the set, or white space, at the ends. */
static Value stripped(Value v, Value set, bool left, bool right)
{
    const char *s = v.text.s;
    size_t n = v.text.n, cut;
    for (; left && (cut = cut_at(set, s, n)) > 0; n -= cut) s += cut;
    for (; right && n; n -= cut) {
        cut = 1;
        while (cut < n && cut < 4 && ((unsigned char)s[n - cut] & 0xc0) == 0x80) cut++;
        if (cut_at(set, s + n - cut, cut) != cut) break;
    }
    return value_text(s, n);
}

typedef enum { UPPER, LOWER, TITLE, CAPITAL } Case;

static Value cased(Render *r, Value v, Case how)
{
    char *out = str_copy(r->arena, v.text.s, v.text.n);
    bool inner = false;
    for (size_t i = 0; i < v.text.n; i++) {
        unsigned char c = (unsigned char)out[i];
        if (c > 127) return render_wrong(r, "the case of a text beyond ASCII is changed, which is not supported");
        bool up = how == UPPER || (how == TITLE && !inner) || (how == CAPITAL && !i);
        out[i] = (char)(up ? toupper(c) : tolower(c));
        inner = isalpha(c) != 0;
    }
    return value_text(out, v.text.n);
}

static Value replaced(Render *r, Value v, Value old, Value new, Value most)
{
    if (old.kind != V_TEXT || new.kind != V_TEXT)
        return render_wrong(r, "replace() of %s by %s", value_kind(old), value_kind(new));
    Buf b = buf_open(r->arena);
    int64_t left = most.kind == V_INT && most.i >= 0 ? most.i : INT64_MAX;
    if (!old.text.n) return render_wrong(r, "replace() of an empty text is not supported");
    for (size_t i = 0; i < v.text.n;) {
        const char *at = left ? memmem(v.text.s + i, v.text.n - i, old.text.s, old.text.n) : NULL;
        size_t end = at ? (size_t)(at - v.text.s) : v.text.n;
        buf_add(&b, v.text.s + i, end - i);
        if (!at) break;
        buf_add(&b, new.text.s, new.text.n);
        if (!render_has_room(r, &b)) return NO_VALUE;
        i = end + old.text.n;
        left--;
    }
    return value_text(b.text, b.len);
}

/* As str.split: at each separator, or, without one, at runs of white space. */
static Value split(Render *r, Value v, Value by, Value most)
{
    Value list = value_list(r->arena);
    int64_t left = most.kind == V_INT && most.i >= 0 ? most.i : INT64_MAX;
    const char *s = v.text.s, *end = s + v.text.n;
    if (by.kind == V_TEXT && !by.text.n) return render_wrong(r, "split() at an empty text");
    if (by.kind == V_TEXT) {
        for (const char *at; left-- > 0 && (at = memmem(s, (size_t)(end - s), by.text.s, by.text.n)) != NULL;
             s = at + by.text.n)
            list_add(r->arena, list, value_text(s, (size_t)(at - s)));
        list_add(r->arena, list, value_text(s, (size_t)(end - s)));
        return list;
    }
    for (size_t blank;;) {
        while ((blank = space_at(s, (size_t)(end - s))) > 0) s += blank;
        if (s == end) return list;
        const char *from = s;
        while (s < end && (!space_at(s, (size_t)(end - s)) || !left)) s++;
        left -= left > 0;
        list_add(r->arena, list, stripped(value_text(from, (size_t)(s - from)), NO_VALUE, false, true));
    }
}

static bool has_end(Value v, Value part, bool start)
{
    if (part.kind == V_LIST) {
        for (int i = 0; i < part.list->n; i++)
            if (has_end(v, part.list->at[i], start)) return true;
        return false;
    }
    size_t n = part.kind == V_TEXT ? part.text.n : SIZE_MAX;
    return n <= v.text.n && !memcmp(start ? v.text.s : v.text.s + v.text.n - n, part.text.s, n);
}

static Value text_method(Render *r, Value v, const char *name, const Arguments *a, bool *known)
{
    Value first = argument(r, a, 0, "chars"), second = argument(r, a, 1, "maxsplit");
    *known = true;
    if (!strcmp(name, "strip")) return stripped(v, first, true, true);
    if (!strcmp(name, "lstrip")) return stripped(v, first, true, false);
    if (!strcmp(name, "rstrip")) return stripped(v, first, false, true);
    if (!strcmp(name, "upper")) return cased(r, v, UPPER);
    if (!strcmp(name, "lower")) return cased(r, v, LOWER);
    if (!strcmp(name, "title")) return cased(r, v, TITLE);
    if (!strcmp(name, "capitalize")) return cased(r, v, CAPITAL);
    if (!strcmp(name, "split")) return split(r, v, a->n ? first : map_get(a->named, "sep"), second);
    if (!strcmp(name, "startswith")) return value_bool(has_end(v, first, true));
    if (!strcmp(name, "endswith")) return value_bool(has_end(v, first, false));
    if (!strcmp(name, "replace")) return replaced(r, v, first, second, argument(r, a, 2, "count"));
    *known = false;
    return NO_VALUE;
}

static Value pair(Render *r, Value a, Value b)
{
    Value list = value_list(r->arena);
    list_add(r->arena, list, a);
    list_add(r->arena, list, b);
    return list;
}

/* The keys, values or pairs of a dict. */
static Value members(Render *r, Value map, bool keys, bool values)
{
    Value list = value_list(r->arena);
    for (int i = 0; i < map.map->n; i++)
        list_add(r->arena, list,
                 keys && values ? pair(r, map.map->key[i], map.map->at[i])
                 : keys         ? map.map->key[i]
                                : map.map->at[i]);
    return list;
}

Value call_method(Render *r, Value object, const char *name, const Arguments *a, bool *known)
{
    *known = false;
    if (object.kind == V_UNDEFINED) return render_wrong(r, "%s() of something undefined", name);
    if (object.kind == V_TEXT) return text_method(r, object, name, a, known);
    if (object.kind != V_MAP) return NO_VALUE;
    *known = true;
    if (!strcmp(name, "items")) return members(r, object, true, true);
    if (!strcmp(name, "keys")) return members(r, object, true, false);
    if (!strcmp(name, "values")) return members(r, object, false, true);
    if (!strcmp(name, "get")) {
        Value v = attribute_of(r, object, argument(r, a, 0, "key")), other = argument(r, a, 1, "default");
        return v.kind != V_UNDEFINED ? v : other.kind != V_UNDEFINED ? other : (Value){V_NONE, {0}};
    }
    *known = false;
    return NO_VALUE;
}

/* ---- filters */

static Value length(Render *r, Value v)
{
    if (v.kind == V_LIST) return value_int(v.list->n);
    if (v.kind == V_MAP) return value_int(v.map->n);
    if (v.kind == V_UNDEFINED) return value_int(0);
    if (v.kind != V_TEXT) return render_wrong(r, "the length of %s", value_kind(v));
    int64_t n = 0;
    for (size_t i = 0, k; i < v.text.n; i += k ? k : 1, n++) k = utf8_length(v.text.s + i, v.text.n - i);
    return value_int(n);
}

/* a.b of an item, as attribute='a.b' names it. */
static Value dotted(Render *r, Value v, Value path)
{
    if (path.kind != V_TEXT) return attribute_of(r, v, path);
    Value parts = split(r, path, value_words("."), NO_VALUE);
    for (int i = 0; i < parts.list->n && !r->failed; i++) v = attribute_of(r, v, parts.list->at[i]);
    return v;
}

static Value join(Render *r, Value v, const Arguments *a)
{
    Value by = argument(r, a, 0, "d"), attribute = argument(r, a, 1, "attribute");
    Buf b = buf_open(r->arena);
    for (int i = 0; i < v.list->n; i++) {
        if (i) value_print(&b, by);
        value_print(&b, attribute.kind == V_UNDEFINED ? v.list->at[i] : dotted(r, v.list->at[i], attribute));
        if (!render_has_room(r, &b)) return NO_VALUE;
    }
    return value_text(b.text, b.len);
}

/* map('filter') and map(attribute='name'). */
static Value mapped(Render *r, Value v, const Arguments *a)
{
    Value list = value_list(r->arena), attribute = map_get(a->named, "attribute"),
          other = map_get(a->named, "default");
    Arguments rest = {.plain = a->plain + (a->n > 0), .n = a->n - (a->n > 0), .named = value_map(r->arena)};
    for (int i = 0; i < v.list->n && !r->failed; i++) {
        Value one = v.list->at[i];
        if (attribute.kind != V_UNDEFINED)
            one = dotted(r, one, attribute);
        else if (a->n && a->plain[0].kind == V_TEXT)
            one = apply_filter(r, str_copy(r->arena, a->plain[0].text.s, a->plain[0].text.n), one, &rest);
        list_add(r->arena, list, one.kind == V_UNDEFINED ? other : one);
    }
    return list;
}

/* select, reject, and of an attribute selectattr, rejectattr: the items for which a test holds. */
static Value selected(Render *r, Value v, const Arguments *a, bool wanted, bool of_attribute)
{
    Value list = value_list(r->arena);
    int test = of_attribute;
    Arguments rest = {.plain = a->plain + (a->n > test ? test + 1 : 0),
                      .n = a->n > test ? a->n - test - 1 : 0,
                      .named = value_map(r->arena)};
    if (of_attribute && !a->n) return render_wrong(r, "selectattr without an attribute");
    for (int i = 0; i < v.list->n && !r->failed; i++) {
        Value one = of_attribute ? dotted(r, v.list->at[i], a->plain[0]) : v.list->at[i];
        bool holds = a->n > test && a->plain[test].kind == V_TEXT
                         ? apply_test(r, str_copy(r->arena, a->plain[test].text.s, a->plain[test].text.n), one, &rest)
                         : value_true(one);
        if (holds == wanted) list_add(r->arena, list, v.list->at[i]);
    }
    return list;
}

static Value as_list(Render *r, Value v)
{
    if (v.kind == V_LIST) return v;
    if (v.kind == V_MAP) return members(r, v, true, false);
    if (v.kind == V_UNDEFINED) return value_list(r->arena);
    if (v.kind != V_TEXT) return render_wrong(r, "a list of %s", value_kind(v));
    Value list = value_list(r->arena);
    for (size_t i = 0, k; i < v.text.n; i += k) {
        k = utf8_length(v.text.s + i, v.text.n - i);
        list_add(r->arena, list, value_text(v.text.s + i, k = k ? k : 1));
    }
    return list;
}

static Value indented(Render *r, Value v, const Arguments *a)
{
    Value width = argument(r, a, 0, "width"), first = argument(r, a, 1, "first"), blank = argument(r, a, 2, "blank");
    Buf b = buf_open(r->arena), by = buf_open(r->arena);
    if (width.kind == V_TEXT)
        value_print(&by, width);
    else
        buf_print(&by, "%*s", width.kind == V_INT && width.i >= 0 && width.i < 1000 ? (int)width.i : 4, "");
    for (size_t i = 0; i <= v.text.n;) {
        const char *end = i < v.text.n ? memchr(v.text.s + i, '\n', v.text.n - i) : NULL;
        size_t n = end ? (size_t)(end - v.text.s) - i : v.text.n - i;
        if ((i || value_true(first)) && (n || value_true(blank))) buf_add(&b, by.text, by.len);
        buf_add(&b, v.text.s + i, n);
        if (!end || !render_has_room(r, &b)) break;
        buf_print(&b, "\n");
        i += n + 1;
    }
    return value_text(b.text, b.len);
}

static Value list_filter(Render *r, const char *name, Value v, const Arguments *a, bool *known)
{
    static const Value BACKWARDS[3] = {{V_UNDEFINED, {0}}, {V_UNDEFINED, {0}}, {V_INT, {.i = -1}}};
    *known = true;
    if (!str_glob("first|last|join|list|reverse|map|select|reject|selectattr|rejectattr", name)) {
        *known = false;
        return NO_VALUE;
    }
    if (!strcmp(name, "reverse") && v.kind == V_TEXT) return slice_of(r, v, BACKWARDS);
    v = as_list(r, v);
    if (r->failed) return NO_VALUE;
    const List *l = v.list;
    if (!strcmp(name, "first")) return l->n ? l->at[0] : NO_VALUE;
    if (!strcmp(name, "last")) return l->n ? l->at[l->n - 1] : NO_VALUE;
    if (!strcmp(name, "join")) return join(r, v, a);
    if (!strcmp(name, "list")) return v;
    if (!strcmp(name, "reverse")) return slice_of(r, v, BACKWARDS);
    if (!strcmp(name, "map")) return mapped(r, v, a);
    return selected(r, v, a, *name == 's', strstr(name, "attr") != NULL);
}

static Value number_filter(Render *r, const char *name, Value v, bool *known)
{
    double x = v.kind == V_REAL ? v.r : v.kind == V_INT ? (double)v.i : v.kind == V_BOOL ? v.b : 0;
    *known = str_glob("int|float|abs", name);
    if (!*known) return NO_VALUE;
    if (v.kind == V_TEXT && !str_real(str_copy(r->arena, v.text.s, v.text.n), &x)) x = 0;
    if (!strcmp(name, "float")) return (Value){V_REAL, {.r = x}};
    if (!strcmp(name, "abs") && v.kind == V_REAL) return (Value){V_REAL, {.r = fabs(x)}};
    if (!strcmp(name, "abs") && v.kind == V_INT && v.i > INT64_MIN) return value_int(v.i < 0 ? -v.i : v.i);
    return fabs(x) < 9e15 ? value_int((int64_t)x) : render_wrong(r, "a number is too large");
}

static Value text_filter(Render *r, const char *name, Value v, const Arguments *a, bool *known)
{
    *known = str_glob("trim|upper|lower|title|capitalize|replace|indent|string|safe", name);
    if (!*known) return NO_VALUE;
    v = printed(r, v);
    if (!strcmp(name, "trim")) return stripped(v, argument(r, a, 0, "chars"), true, true);
    if (!strcmp(name, "upper")) return cased(r, v, UPPER);
    if (!strcmp(name, "lower")) return cased(r, v, LOWER);
    if (!strcmp(name, "title")) return cased(r, v, TITLE);
    if (!strcmp(name, "capitalize")) return cased(r, v, CAPITAL);
    if (!strcmp(name, "indent")) return indented(r, v, a);
    if (!strcmp(name, "replace"))
        return replaced(r, v, argument(r, a, 0, "old"), argument(r, a, 1, "new"), argument(r, a, 2, "count"));
    return v;
}

static Value json(Render *r, Value v, const Arguments *a)
{
    Value indent = argument(r, a, 0, "indent"), named = map_get(a->named, "indent");
    if (named.kind != V_UNDEFINED) indent = named;
    if (map_get(a->named, "separators").kind != V_UNDEFINED || value_true(map_get(a->named, "sort_keys")))
        return render_wrong(r, "tojson with separators or sort_keys is not supported");
    Buf b = buf_open(r->arena);
    int64_t by = indent.kind == V_INT && indent.i >= 0 && indent.i < 100 ? indent.i : -1;
    if (value_size(v) > TEXT_MOST / (1 + value_depth(v) * (by + 1)))
        return render_wrong(r, "tojson of too large a value");
    value_json(&b, v, (int)by);
    return value_text(b.text, b.len);
}

Value apply_filter(Render *r, const char *name, Value v, const Arguments *a)
{
    bool known;
    if (!strcmp(name, "length") || !strcmp(name, "count")) return length(r, v);
    if (!strcmp(name, "default") || !strcmp(name, "d")) {
        bool empty = v.kind == V_UNDEFINED || (value_true(argument(r, a, 1, "boolean")) && !value_true(v));
        return empty ? argument(r, a, 0, "default_value") : v;
    }
    if (!strcmp(name, "tojson")) return json(r, v, a);
    if (!strcmp(name, "items"))
        return v.kind == V_MAP ? members(r, v, true, true) : render_wrong(r, "the items of %s", value_kind(v));
    Value out = text_filter(r, name, v, a, &known);
    if (!known) out = list_filter(r, name, v, a, &known);
    if (!known) out = number_filter(r, name, v, &known);
    return known ? out : render_wrong(r, "the filter '%.40s' is not supported", name);
}

/* ---- tests */

bool apply_test(Render *r, const char *name, Value v, const Arguments *a)
{
    Value other = argument(r, a, 0, "other");
    bool comparable;
    int order = value_order(v, other, &comparable);
    if (!strcmp(name, "defined")) return v.kind != V_UNDEFINED;
    if (!strcmp(name, "undefined")) return v.kind == V_UNDEFINED;
    if (!strcmp(name, "none")) return v.kind == V_NONE;
    if (!strcmp(name, "true")) return v.kind == V_BOOL && v.b;
    if (!strcmp(name, "false")) return v.kind == V_BOOL && !v.b;
    if (!strcmp(name, "boolean")) return v.kind == V_BOOL;
    if (!strcmp(name, "string")) return v.kind == V_TEXT;
    if (!strcmp(name, "integer")) return v.kind == V_INT;
    if (!strcmp(name, "float")) return v.kind == V_REAL;
    if (!strcmp(name, "number")) return v.kind == V_INT || v.kind == V_REAL || v.kind == V_BOOL;
    if (!strcmp(name, "mapping")) return v.kind == V_MAP;
    if (!strcmp(name, "sequence") || !strcmp(name, "iterable"))
        return v.kind == V_LIST || v.kind == V_MAP || v.kind == V_TEXT || v.kind == V_UNDEFINED;
    if (!strcmp(name, "callable")) return v.kind == V_MACRO || v.kind == V_BUILTIN;
    if (str_glob("equalto|eq|sameas", name)) return value_equal(v, other);
    if (!strcmp(name, "ne")) return !value_equal(v, other);
    if (str_glob("lt|lessthan|gt|greaterthan|le|ge", name) && comparable)
        return *name == 'l' ? order < 0 || (name[1] == 'e' && name[2] == 0 && !order)
                            : order > 0 || (name[1] == 'e' && !order);
    if (str_glob("odd|even|divisibleby", name) && v.kind == V_INT) {
        int64_t by = *name == 'd' ? (other.kind == V_INT ? other.i : 0) : 2;
        if (!by) return render_wrong(r, "divisibleby 0"), false;
        return (by == -1 ? 0 : v.i % by) ? *name == 'o' : *name != 'o';
    }
    if (!strcmp(name, "in") && other.kind == V_LIST) {
        for (int i = 0; i < other.list->n; i++)
            if (value_equal(other.list->at[i], v)) return true;
        return false;
    }
    render_wrong(r, "the test '%.40s' of %s is not supported", name, value_kind(v));
    return false;
}

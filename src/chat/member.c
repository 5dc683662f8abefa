/* Members, items and slices of values, and the failures that are common to evaluation and to the functions of
 * templates. */
#include <stdarg.h>
#include <string.h>

#include "chat/render.h"

Value render_wrong(Render *r, const char *fmt, ...)
{
    if (r->failed) return NO_VALUE;
    va_list args;
    va_start(args, fmt);
    const char *why = str_vprint(r->arena, fmt, args, NULL);
    va_end(args);
    r->failed = err_fail(E_FORMAT, "%s: chat template, line %d: %s", r->t->path, r->line, why);
    return NO_VALUE;
}

bool render_has_room(Render *r, const Buf *text)
{
    if (text->len > TEXT_MOST) render_wrong(r, "a text has more than %d bytes", TEXT_MOST);
    return !r->failed;
}

Value argument(Render *r, const Arguments *a, int i, const char *name)
{
    (void)r;
    return i < a->n ? a->plain[i] : map_get(a->named, name);
}

/* ---- attributes, items and slices */

static int64_t place(int64_t i, int64_t n)
{
    return i < 0 ? i + n : i;
}

static int64_t length_of(Value v)
{
    if (v.kind == V_LIST) return v.list->n;
    int64_t n = 0;
    for (size_t at = 0, step; at < v.text.n; at += step ? step : 1, n++)
        step = utf8_length(v.text.s + at, v.text.n - at);
    return n;
}

Value attribute_of(Render *r, Value object, Value key)
{
    if (object.kind == V_UNDEFINED) return render_wrong(r, "a member of something undefined");
    if (object.kind == V_MAP) {
        for (int i = 0; i < object.map->n; i++)
            if (value_equal(object.map->key[i], key)) return object.map->at[i];
        return NO_VALUE;
    }
    if (key.kind != V_INT) return NO_VALUE;
    if (object.kind != V_LIST && object.kind != V_TEXT) return NO_VALUE;
    int64_t n = length_of(object), i = place(key.i, n);
    if (i < 0 || i >= n) return NO_VALUE;
    if (object.kind == V_LIST) return object.list->at[i];
    return slice_of(r, object, (const Value[3]){value_int(i), value_int(i + 1), NO_VALUE});
}

/* Where each of a text's n characters begins, and where the last one ends. */
static size_t *places_of(Arena *a, Value text, int64_t n)
{
    size_t *at = NEW(a, size_t, n + 1);
    for (int64_t i = 0; i < n; i++) {
        size_t step = utf8_length(text.text.s + at[i], text.text.n - at[i]);
        at[i + 1] = at[i] + (step ? step : 1);
    }
    return at;
}

Value slice_of(Render *r, Value object, const Value part[3])
{
    if (object.kind != V_LIST && object.kind != V_TEXT) return render_wrong(r, "%s has no parts", value_kind(object));
    for (int i = 0; i < 3; i++)
        if (part[i].kind != V_INT && part[i].kind != V_NONE && part[i].kind != V_UNDEFINED)
            return render_wrong(r, "%s cannot bound a part", value_kind(part[i]));
    int64_t n = length_of(object), step = part[2].kind == V_INT ? part[2].i : 1;
    if (!step) return render_wrong(r, "a part has step 0");
    int64_t least = step > 0 ? 0 : -1, most = step > 0 ? n : n - 1;
    int64_t from = part[0].kind == V_INT ? place(part[0].i, n) : step > 0 ? 0 : n - 1;
    int64_t to = part[1].kind == V_INT ? place(part[1].i, n) : step > 0 ? n : -1;
    from = from < least ? least : from > most ? most : from;
    to = to < least ? least : to > most ? most : to;
    step = step > n ? n + 1 : step < -n ? -n - 1 : step;
    size_t *at = object.kind == V_TEXT ? places_of(r->arena, object, n) : NULL;
    if (at && step == 1) return value_text(object.text.s + at[from], to > from ? at[to] - at[from] : 0);
    Value list = value_list(r->arena);
    Buf text = buf_open(r->arena);
    for (int64_t i = from; step > 0 ? i < to : i > to; i += step)
        if (at)
            buf_add(&text, object.text.s + at[i], at[i + 1] - at[i]);
        else
            list_add(r->arena, list, object.list->at[i]);
    return object.kind == V_LIST ? list : value_text(text.text, text.len);
}

/* A list: vocabularies have some hundred added tokens, and the first two bytes exclude nearly every place of
 * a text. */
#include "text/special.h"

#include <string.h>

#include "base/str.h"
#include "text/unicode.h"

const Special *special_find(const Specials *s, const char *text, size_t len)
{
    for (int64_t i = 0; i < s->n; i++)
        if (s->at[i].len == len && memcmp(s->at[i].text, text, len) == 0) return &s->at[i];
    return NULL;
}

const Special *special_of(const Specials *s, int32_t id)
{
    for (int64_t i = 0; i < s->n; i++)
        if (s->at[i].id == id) return &s->at[i];
    return NULL;
}

static void note_start(Specials *s, const char *text, size_t len)
{
    uint8_t *bits = s->starts[(unsigned char)text[0]];
    s->first[(unsigned char)text[0]] = 1;
    if (len > 1)
        bits[(unsigned char)text[1] >> 3] |= (uint8_t)(1 << (text[1] & 7));
    else
        memset(bits, 0xff, sizeof s->starts[0]);
}

/* The longer first; of equal texts, which normalising can make of two, the special one, then the older. */
static bool goes_before(const Special *x, const Special *y)
{
    if (x->form_len != y->form_len) return x->form_len > y->form_len;
    return x->special != y->special ? x->special : x->id < y->id;
}

static void insert(Specials *s, int64_t last, Special new)
{
    int64_t at = last;
    while (at > 0 && goes_before(&new, &s->at[at - 1])) {
        s->at[at] = s->at[at - 1];
        at--;
    }
    s->at[at] = new;
}

void special_add(Specials *s, Arena *a, Special new)
{
    if (special_find(s, new.text, new.len)) return;
    Special *more = arena_take(a, sizeof *more * (size_t)(s->n + 1));
    if (s->n) memcpy(more, s->at, sizeof *more * (size_t)s->n);
    new.form = new.text = str_copy(a, new.text, new.len);
    new.form_len = new.len;
    s->at = more;
    insert(s, s->n++, new);
    note_start(s, new.text, new.len);
}

void special_put(Specials *s, Arena *a, Special new)
{
    Special *old = (Special *)(uintptr_t)special_find(s, new.text, new.len);
    if (!old) {
        special_add(s, a, new);
        return;
    }
    new.text = old->text, new.form = old->form, new.form_len = old->form_len;
    *old = new;
}

void special_form(Specials *s, int64_t i, const char *form, size_t len)
{
    Special x = s->at[i];
    x.form = form, x.form_len = len;
    for (; i + 1 < s->n; i++) s->at[i] = s->at[i + 1];
    insert(s, s->n - 1, x);
    if (len) note_start(s, form, len);
}

static bool is_word(uint32_t c)
{
    return unicode_class(c) & UC_WORD;
}

static bool stands_alone(const char *text, size_t begin, size_t end, size_t len)
{
    size_t n;
    bool before = begin && is_word(unicode_before(text, begin, &n));
    return !before && !(end < len && is_word(unicode_next(text + end, len - end, &n)));
}

static bool wanted(const Special *x, SpecialKind kind, bool normalized)
{
    return x->normalized == normalized && x->form_len &&
           (kind == SPECIAL_ALL || x->special == (kind == SPECIAL_ONLY));
}

static const Special *token_at(const Specials *s, SpecialKind kind, bool normalized, const char *p, size_t left)
{
    for (int64_t k = 0; k < s->n; k++) {
        const Special *x = &s->at[k];
        if (x->form_len <= left && wanted(x, kind, normalized) && memcmp(x->form, p, x->form_len) == 0) return x;
    }
    return NULL;
}

/* A token that should stand alone and does not is passed over, with the text that it takes. */
const Special *special_search(const Specials *s, SpecialKind kind, bool normalized, const char *text, size_t from,
                              size_t len, size_t *at)
{
    bool any = false;
    for (int64_t k = 0; k < s->n && !any; k++) any = wanted(&s->at[k], kind, normalized);
    for (size_t i = from; any && i < len; i++) {
        while (i < len && !s->first[(unsigned char)text[i]]) i++;
        if (i == len) break;
        const uint8_t *bits = s->starts[(unsigned char)text[i]];
        unsigned char next = i + 1 < len ? (unsigned char)text[i + 1] : 0;
        if (!(bits[next >> 3] >> (next & 7) & 1)) continue;
        const Special *x = token_at(s, kind, normalized, text + i, len - i);
        if (!x) continue;
        *at = i;
        if (!x->single_word || stands_alone(text, i, i + x->form_len, len)) return x;
        i += x->form_len - 1;
    }
    return NULL;
}

/* The first of a kind, whether it is found in the text as it is or in the normalised one. */
static const Special *next_of(const Specials *s, SpecialKind kind, const char *text, size_t from, size_t len,
                              size_t *at)
{
    size_t where[2];
    const Special *x[2];
    for (int k = 0; k < 2; k++) x[k] = special_search(s, kind, k, text, from, len, &where[k]);
    int first = x[0] && (!x[1] || where[0] <= where[1]) ? 0 : 1;
    if (x[first]) *at = where[first];
    return x[first];
}

const Special *special_next(const Specials *s, const char *text, size_t from, size_t len, size_t *at)
{
    return next_of(s, SPECIAL_ALL, text, from, len, at);
}

int64_t special_count(const Specials *s, const char *text, size_t len)
{
    int64_t n = 0;
    size_t from = 0, at;
    for (const Special *x; (x = next_of(s, SPECIAL_ONLY, text, from, len, &at)); from = at + x->len) n++;
    return n;
}

/* Two passes over the text: collect the names that id="..." declares, then copy, replacing each declaration and each
 * reference.  cairo writes attributes with double quotes and references as href="#id" or url(#id); nothing
 * else in its files starts like this, because text is drawn as glyphs.  Images, most of a large file, are
 * leapt over. */
#include "plot/svg.h"

#include <string.h>

typedef struct {
    const char *text;
    size_t len;
} Piece;
typedef struct {
    Piece *at; /* open addressing by hash; text NULL: free */
    size_t *number, room, n;
} Ids;

static size_t slot_of(const Ids *ids, Piece p)
{
    size_t h = 14695981039346656037u;
    for (size_t i = 0; i < p.len; i++) h = (h ^ (unsigned char)p.text[i]) * 1099511628211u;
    h &= ids->room - 1;
    while (ids->at[h].text && (ids->at[h].len != p.len || memcmp(ids->at[h].text, p.text, p.len)))
        h = (h + 1) & (ids->room - 1);
    return h;
}

/* The name that follows `mark` at s up to `close`, or an empty piece. */
static Piece name_after(const char *s, const char *end, const char *mark, char close)
{
    size_t m = strlen(mark);
    if ((size_t)(end - s) < m || memcmp(s, mark, m)) return (Piece){0};
    const char *stop = memchr(s + m, close, (size_t)(end - s) - m);
    return stop ? (Piece){s + m, (size_t)(stop - s) - m} : (Piece){0};
}

static Ids collect(Arena *a, const char *svg, const char *end)
{
    size_t declared = 0;
    for (const char *s = svg; (s = memmem(s, (size_t)(end - s), " id=\"", 5)); s += 5) declared++;
    Ids ids = {.room = 16};
    while (ids.room < 2 * declared) ids.room *= 2;
    ids.at = NEW(a, Piece, ids.room);
    ids.number = NEW(a, size_t, ids.room);
    for (const char *s = svg; (s = memmem(s, (size_t)(end - s), " id=\"", 5)); s += 5) {
        Piece p = name_after(s, end, " id=\"", '"');
        if (!p.len) continue;
        size_t k = slot_of(&ids, p);
        if (ids.at[k].text) continue;
        ids.at[k] = p;
        ids.number[k] = ids.n++;
    }
    return ids;
}

/* The last byte of an image's data that begins at s, or s. */
static const char *past_data(const char *s, const char *end)
{
    Piece data = name_after(s, end, "href=\"data:", '"');
    return data.text ? data.text + data.len : s;
}

void svg_rename_ids(Buf *out, const char *svg, size_t n, const char *prefix)
{
    static const struct {
        const char *mark;
        char close;
    } forms[] = {{" id=\"", '"'}, {"href=\"#", '"'}, {"url(#", ')'}};
    const char *end = svg + n, *copied = svg;
    Ids ids = collect(out->arena, svg, end);
    for (const char *s = svg; s < end; s++) {
        if (*s != ' ' && *s != 'h' && *s != 'u') continue;
        s = past_data(s, end);
        for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
            Piece p = name_after(s, end, forms[i].mark, forms[i].close);
            if (!p.len) continue;
            size_t k = slot_of(&ids, p);
            if (!ids.at[k].text) continue;
            buf_add(out, copied, (size_t)(p.text - copied));
            buf_print(out, "%s%zu", prefix, ids.number[k]);
            copied = p.text + p.len;
            s = copied - 1;
            break;
        }
    }
    buf_add(out, copied, (size_t)(end - copied));
}

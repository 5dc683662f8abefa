/* HTML of the Markdown that notebooks here use.  A block is a run of lines of one kind: a heading, a fenced
 * listing, a list, a table, or a paragraph.  Within a block: `code`, **strong**, *emphasis*, [text](link).
 * Everything else is text and is escaped; HTML in the source is shown as it is typed. */
#include <ctype.h>
#include <string.h>

#include "base/str.h"
#include "notebook/notebook.h"

static void add_escaped(Buf *out, const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const char *entity = s[i] == '&'   ? "&amp;"
                             : s[i] == '<' ? "&lt;"
                             : s[i] == '>' ? "&gt;"
                             : s[i] == '"' ? "&quot;"
                                           : NULL;
        if (entity)
            buf_print(out, "%s", entity);
        else
            buf_add(out, s + i, 1);
    }
}

static void add_inline(Buf *out, const char *s, size_t n);

/* From a mark at s to the same mark behind it: the length of the text between, or 0. */
static size_t between(const char *s, size_t n, const char *mark)
{
    size_t m = strlen(mark);
    if (n < 2 * m + 1 || strncmp(s, mark, m) || s[m] == ' ') return 0;
    const char *end = memmem(s + m, n - m, mark, m);
    return end ? (size_t)(end - s) - m : 0;
}

/* [text](link): its length, or 0.  A link has no scheme, or that of the web. */
static size_t add_link(Buf *out, const char *s, size_t n)
{
    const char *close = memchr(s, ']', n), *end = close ? memchr(close, ')', n - (size_t)(close - s)) : NULL;
    if (*s != '[' || !end || close[1] != '(') return 0;
    const char *link = close + 2;
    size_t m = (size_t)(end - link), scheme = strcspn(link, ":/#?)");
    if (link[scheme] == ':' && strncmp(link, "https://", 8) && strncmp(link, "http://", 7)) return 0;
    buf_print(out, "<a href=\"");
    add_escaped(out, link, m);
    buf_print(out, "\">");
    add_inline(out, s + 1, (size_t)(close - s) - 1);
    buf_print(out, "</a>");
    return (size_t)(end - s) + 1;
}

static void add_inline(Buf *out, const char *s, size_t n)
{
    static const struct {
        const char *mark, *tag;
        bool code;
    } SPANS[] = {{"`", "code", true}, {"**", "strong", false}, {"*", "em", false}};
    for (size_t i = 0; i < n;) {
        size_t m = 0, taken = add_link(out, s + i, n - i);
        for (int k = 0; k < 3 && !taken; k++) {
            m = between(s + i, n - i, SPANS[k].mark);
            if (!m) continue;
            size_t edge = strlen(SPANS[k].mark);
            buf_print(out, "<%s>", SPANS[k].tag);
            (SPANS[k].code ? add_escaped : add_inline)(out, s + i + edge, m);
            buf_print(out, "</%s>", SPANS[k].tag);
            taken = m + 2 * edge;
        }
        if (!taken) add_escaped(out, s + i, 1), taken = 1;
        i += taken;
    }
}

/* ---- blocks */

typedef enum { BLANK, HEADING, FENCE, BULLET, NUMBERED, ROW, TEXT } Line;

static Line line_kind(const char *s, size_t n)
{
    size_t digits = strspn(s, "0123456789");
    if (strspn(s, " \t") >= n) return BLANK;
    if (*s == '#' && strspn(s, "#") < n && s[strspn(s, "#")] == ' ') return HEADING;
    if (n >= 3 && !strncmp(s, "```", 3)) return FENCE;
    if (n >= 2 && strchr("-*", *s) && s[1] == ' ') return BULLET;
    if (digits && digits + 1 < n && s[digits] == '.' && s[digits + 1] == ' ') return NUMBERED;
    return *s == '|' ? ROW : TEXT;
}

static const char *next_line(const char *s)
{
    s += strcspn(s, "\n");
    return s + (*s == '\n');
}

static const char *add_heading(Buf *out, const char *s)
{
    size_t level = strspn(s, "#"), n = strcspn(s, "\n");
    buf_print(out, "<h%zu>", level > 6 ? 6 : level);
    add_inline(out, s + level + 1, n - level - 1);
    buf_print(out, "</h%zu>\n", level > 6 ? 6 : level);
    return next_line(s);
}

static const char *add_listing(Buf *out, const char *s)
{
    const char *end = s = next_line(s);
    while (*end && strncmp(end, "```", 3)) end = next_line(end);
    buf_print(out, "<pre>");
    add_escaped(out, s, (size_t)(end - s));
    buf_print(out, "</pre>\n");
    return next_line(end);
}

/* The text of a block: lines joined by blanks.  Ends where a line of another kind begins. */
static const char *add_joined(Buf *out, const char *s, bool item)
{
    Buf text = buf_open(out->arena);
    do {
        size_t skip = strspn(s, " "), n = strcspn(s, "\n");
        if (text.len) buf_add(&text, " ", 1);
        buf_add(&text, s + skip, n - skip);
        s = next_line(s);
    } while (*s && line_kind(s, strcspn(s, "\n")) == TEXT && (!item || *s == ' '));
    add_inline(out, text.text, text.len);
    return s;
}

static const char *add_list(Buf *out, const char *s, Line kind)
{
    const char *tag = kind == BULLET ? "ul" : "ol";
    buf_print(out, "<%s>\n", tag);
    while (*s && line_kind(s, strcspn(s, "\n")) == kind) {
        buf_print(out, "<li>");
        s = add_joined(out, s + (kind == BULLET ? 2 : strspn(s, "0123456789") + 2), true);
        buf_print(out, "</li>\n");
    }
    buf_print(out, "</%s>\n", tag);
    return s;
}

/* "| a | b |"; a line of dashes below the first row makes it a head. */
static const char *add_table(Buf *out, const char *s)
{
    buf_print(out, "<div class=\"wide\"><table>\n");
    for (int row = 0; *s == '|'; s = next_line(s)) {
        size_t n = strcspn(s, "\n");
        if (strspn(s, "|-: ") >= n) continue;
        const char *below = next_line(s), *tag = "td";
        if (!row++ && *below == '|' && strspn(below, "|-: ") >= strcspn(below, "\n")) tag = "th";
        buf_print(out, "<tr>");
        for (const char *cell = s + 1, *end; (end = memchr(cell, '|', n - (size_t)(cell - s))); cell = end + 1) {
            cell += strspn(cell, " ");
            size_t m = end > cell ? (size_t)(end - cell) : 0;
            while (m && cell[m - 1] == ' ') m--;
            buf_print(out, "<%s>", tag);
            add_inline(out, cell, m);
            buf_print(out, "</%s>", tag);
        }
        buf_print(out, "</tr>\n");
    }
    buf_print(out, "</table></div>\n");
    return s;
}

const char *markdown_html(Arena *a, const char *s)
{
    Buf out = buf_open(a);
    while (*s) {
        Line kind = line_kind(s, strcspn(s, "\n"));
        switch (kind) {
        case BLANK: s = next_line(s); break;
        case HEADING: s = add_heading(&out, s); break;
        case FENCE: s = add_listing(&out, s); break;
        case ROW: s = add_table(&out, s); break;
        case BULLET:
        case NUMBERED: s = add_list(&out, s, kind); break;
        case TEXT:
            buf_print(&out, "<p>");
            s = add_joined(&out, s, false);
            buf_print(&out, "</p>\n");
        }
    }
    return out.text;
}

/* Which bytes of a text are message, added, removed or kept.  In a diff with "@@ -1,7 +1,6 @@" the numbers give the
 * end of a piece, so that a removed line "-- x" is no header and the signature below a mailed patch is not
 * removed. */
#include <ctype.h>
#include <string.h>

#include "analysis/groups.h"
#include "change/change.h"

static const Side SIDE_OF[LINE_KINDS] = {[LINE_KEEP] = SIDE_KEPT, [LINE_ADD] = SIDE_ADDED, [LINE_DEL] = SIDE_REMOVED};

static bool begins(const char *s, size_t left, const char *with)
{
    size_t n = strlen(with);
    return left >= n && !memcmp(s, with, n);
}

/* Assigns each byte to the side of the last <add>, <del> or <keep> before it; false if there is none. */
static bool by_marks(Side *side, const char *text, size_t len)
{
    Side now = SIDE_MESSAGE;
    for (size_t i = 0; i < len; i++) {
        for (int k = 0; text[i] == '<' && k < LINE_KINDS; k++) {
            if (!begins(text + i, len - i, LINE_MARK[k])) continue;
            now = SIDE_OF[k];
            size_t indent = i;
            while (indent && (text[indent - 1] == ' ' || text[indent - 1] == '\t')) indent--;
            if (indent && text[indent - 1] != '\n') continue;
            for (size_t j = indent; j < i; j++) side[j] = now;
        }
        side[i] = now;
    }
    return now != SIDE_MESSAGE;
}

/* ---- unified diffs */

static size_t line_end(const char *text, size_t len, size_t from) /* behind its "\n" */
{
    const char *end = memchr(text + from, '\n', len - from);
    return end ? (size_t)(end - text) + 1 : len;
}

static bool is_header(const char *text, size_t len, size_t at)
{
    size_t next = line_end(text, len, at);
    return begins(text + at, len - at, "diff --git ") || begins(text + at, len - at, "@@ ") ||
           (begins(text + at, len - at, "--- ") && begins(text + next, len - next, "+++ "));
}

/* Where the diff begins; len: there is none. */
static size_t diff_begin(const char *text, size_t len)
{
    size_t from = len;
    bool changes = false;
    for (size_t at = 0; at < len; at = line_end(text, len, at))
        if (is_header(text, len, at)) return at;
    for (size_t at = 0; at < len; at = line_end(text, len, at)) {
        char c = text[at];
        bool empty = c == '\n' || (c == '\r' && line_end(text, len, at) == at + 2);
        if (empty) continue;
        if (!strchr("+- \\", c) || !c) {
            from = len, changes = false;
            continue;
        }
        if (from == len) from = at;
        changes |= c == '+' || c == '-';
    }
    return changes ? from : len;
}

/* "-12,7 " or "-12 ": how many lines, from the number behind the sign. */
static int64_t lines_of(const char **s, const char *end)
{
    int64_t n = 1;
    while (*s < end && isdigit((unsigned char)**s)) ++*s;
    if (*s < end && **s == ',') {
        n = 0;
        for (++*s; *s < end && isdigit((unsigned char)**s); ++*s)
            if (n < INT32_MAX) n = 10 * n + (**s - '0');
    }
    while (*s < end && **s == ' ') ++*s;
    return n;
}

typedef struct {
    bool counted;      /* a header gave the number of lines that follow */
    int64_t old, made; /* that are still to come on either side */
} Piece;

static Piece piece_of(const char *line, const char *end)
{
    Piece p = {0};
    const char *s = line + 3;
    if (s >= end || *s++ != '-') return p;
    p.old = lines_of(&s, end);
    if (s >= end || *s++ != '+') return p;
    p.made = lines_of(&s, end);
    p.counted = true;
    return p;
}

static Side line_side(char c, Piece *p)
{
    Side s = c == '+' ? SIDE_ADDED : c == '-' ? SIDE_REMOVED : SIDE_KEPT;
    if (c == '\\') return s;
    if (s != SIDE_ADDED) p->old--;
    if (s != SIDE_REMOVED) p->made--;
    return s;
}

/* Assigns each byte of a diff to a side by the first character of its line; false if there is no diff. */
static bool by_lines(Side *side, const char *text, size_t len)
{
    size_t from = diff_begin(text, len);
    Piece p = {0};
    bool inside = from < len && !is_header(text, len, from);
    for (size_t i = 0; i < from; i++) side[i] = SIDE_MESSAGE;
    for (size_t at = from, next; at < len; at = next) {
        Side now = SIDE_KEPT;
        next = line_end(text, len, at);
        if (inside && p.counted && p.old <= 0 && p.made <= 0) inside = false;
        if (begins(text + at, len - at, "@@ ")) {
            p = piece_of(text + at, text + next);
            inside = true;
        } else if (inside && !p.counted && is_header(text, len, at)) {
            inside = false;
        } else if (inside) {
            now = line_side(text[at], &p);
        }
        for (size_t i = at; i < next; i++) side[i] = now;
    }
    return from < len;
}

bool sides_of_text(Side *side, const char *text, size_t len)
{
    return by_marks(side, text, len) || by_lines(side, text, len);
}

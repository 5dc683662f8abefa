/* The header ends at the first empty line; a line of it that begins with a blank continues the one before.  The whole
 * text is converted before it is taken apart, as git does: in some encodings a '<' is half of a letter. */
#include "change/commit.h"

#include <errno.h>
#include <git2.h>
#include <iconv.h>
#include <string.h>

#include "base/str.h"
#include "change/change.h"

enum { ID = 20, HEX = 40 };

/* ---- links ---- */

/* Takes the line "NAME ID" at *s. */
static bool id_line(const char **s, const char *end, const char *name, unsigned char id[ID])
{
    size_t len = strlen(name);
    git_oid oid;
    if ((size_t)(end - *s) < len + HEX + 1 || memcmp(*s, name, len) || (*s)[len + HEX] != '\n') return false;
    if (git_oid_fromstrn(&oid, *s + len, HEX)) return false;
    memcpy(id, oid.id, ID);
    *s += len + HEX + 1;
    return true;
}

/* The text after `name` in a line of the header, up to its end; NULL when there is no such line. */
static const char *header_line(const char *s, const char *name, size_t *len)
{
    size_t n = strlen(name);
    for (const char *end; *s && *s != '\n'; s = *end ? end + 1 : end) {
        end = s + strcspn(s, "\n");
        if (strncmp(s, name, n)) continue;
        *len = (size_t)(end - s) - n;
        return s + n;
    }
    return NULL;
}

static bool is_blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* The time in the line of a person ("committer ", "author "). */
static int64_t time_of(const char *header, const char *person)
{
    int64_t time;
    size_t n;
    const char *s = header_line(header, person, &n);
    if (!s) return TIME_UNKNOWN;
    const char *at = memrchr(s, '>', n), *end = s + n;
    if (!at) return TIME_UNKNOWN;
    for (at++; at < end && is_blank(*at); at++) continue;
    char digits[24];
    size_t len = 0;
    while (len + 1 < sizeof digits && at < end && *at >= '0' && *at <= '9') digits[len++] = *at++;
    digits[len] = 0;
    return len && str_int(digits, &time) && time < INT64_MAX ? time : TIME_UNKNOWN;
}

bool commit_links(CommitLinks *c, Arena *a, const Object *o)
{
    const char *s = o->bytes, *end = s + o->size, *first;
    unsigned char id[ID];
    *c = (CommitLinks){0};
    if (o->type != OBJECT_COMMIT || !id_line(&s, end, "tree ", c->tree)) return false;
    for (first = s; id_line(&s, end, "parent ", id);) c->n_parents++;
    c->parent = arena_take(a, (size_t)(c->n_parents + 1) * sizeof *c->parent);
    s = first;
    for (int64_t k = 0; k < c->n_parents; k++) id_line(&s, end, "parent ", c->parent[k]);
    c->time = time_of(o->bytes, "committer ");
    if (c->time == TIME_UNKNOWN) c->time = time_of(o->bytes, "author ");
    return true;
}

/* ---- text ---- */

/* From another encoding to UTF-8; bytes that do not convert become U+FFFD.  NULL: the encoding is unknown here. */
static char *converted(Arena *a, const char *from, const char *s, size_t n, int64_t *replaced)
{
    static const char UNKNOWN[] = "\xef\xbf\xbd";
    if (!strcasecmp(from, "latin-1")) from = "ISO-8859-1"; /* git has this name, too */
    iconv_t cd = iconv_open("UTF-8", from);
    if (cd == (iconv_t)-1) return NULL;
    Buf out = buf_open(a);
    char *in = (char *)(uintptr_t)s, piece[4096];
    for (bool more = true; more;) { /* the last round flushes the conversion */
        char *to = piece;
        size_t room = sizeof piece, left = n - (size_t)(in - s);
        more = left > 0;
        size_t code = iconv(cd, more ? &in : NULL, &left, &to, &room);
        bool full = code == (size_t)-1 && errno == E2BIG;
        buf_add(&out, piece, (size_t)(to - piece));
        if (code != (size_t)-1 || full) continue;
        buf_add(&out, UNKNOWN, sizeof UNKNOWN - 1);
        in++;
        ++*replaced;
    }
    iconv_close(cd);
    return out.text;
}

static const char *utf8(Arena *a, const char *s, size_t n, int64_t *replaced)
{
    size_t len;
    return utf8_repair(a, s, n, &len, replaced);
}

static void take_person(CommitText *t, Arena *a, const char *s, size_t n, int64_t *replaced)
{
    const char *open = memchr(s, '<', n), *end = s + n;
    const char *close = open ? memchr(open, '>', (size_t)(end - open)) : NULL;
    if (!close) return; /* git names nobody then */
    const char *to = open;
    while (to > s && is_blank(to[-1])) to--;
    while (s < to && is_blank(*s)) s++;
    t->name = utf8(a, s, (size_t)(to - s), replaced);
    t->email = utf8(a, open + 1, (size_t)(close - open - 1), replaced);
}

static bool is_utf8(const char *encoding)
{
    return !strcasecmp(encoding, "utf-8") || !strcasecmp(encoding, "utf8");
}

/* Converts the commit from its encoding, then takes the author and the message without newlines around it. */
void commit_text(CommitText *t, Arena *a, const Object *o, int64_t *replaced)
{
    size_t len;
    const char *s = o->bytes, *line = header_line(s, "encoding ", &len);
    *t = (CommitText){.name = "", .email = "", .message = ""};
    const char *encoding = line && len ? str_copy(a, line, len) : "UTF-8";
    if (!is_utf8(encoding)) {
        s = converted(a, encoding, s, strlen(s), replaced);
        if (!s) {
            s = o->bytes;
            t->unknown = encoding;
        }
    }
    line = header_line(s, "author ", &len);
    if (line) take_person(t, a, line, len, replaced);
    const char *body = strstr(s, "\n\n");
    if (!body) return;
    body += strspn(body, "\n");
    size_t n = strlen(body);
    while (n && body[n - 1] == '\n') n--;
    t->message = utf8(a, body, n, replaced);
}

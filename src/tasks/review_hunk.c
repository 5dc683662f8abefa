/* Hunks: from the patch of one with its old file, as the published data have them, and from a change record. */
#include <ctype.h>
#include <string.h>

#include "base/str.h"
#include "tasks/review.h"

enum { AROUND = 3 }; /* kept lines on each side of a hunk, as git has it */

static Bytes stripped(Bytes x)
{
    static const char WHITE[] = " \t\r";
    size_t from = 0;
    while (from < x.len && strchr(WHITE, x.text[from])) from++;
    while (x.len > from && strchr(WHITE, x.text[x.len - 1])) x.len--;
    return (Bytes){x.text + from, x.len - from};
}

/* ---- a patch and its file */

static int64_t count_lines(const char *text)
{
    int64_t n = 1;
    while ((text = strchr(text, '\n'))) text++, n++;
    return n;
}

static bool take_line(const char **rest, Bytes *line)
{
    const char *text;
    if (!str_next(rest, "\n", &text, &line->len)) return false;
    line->text = (char *)text;
    return true;
}

static bool take_word(Bytes *rest, const char *word)
{
    size_t n = strlen(word);
    if (rest->len < n || memcmp(rest->text, word, n) != 0) return false;
    *rest = (Bytes){rest->text + n, rest->len - n};
    return true;
}

static bool take_number(Bytes *rest, int64_t *out)
{
    size_t n = 0;
    for (*out = 0; n < rest->len && isdigit((unsigned char)rest->text[n]); n++)
        if (*out < INT32_MAX) *out = 10 * *out + rest->text[n] - '0';
    *rest = (Bytes){rest->text + n, rest->len - n};
    return n > 0;
}

/* "@@ -a,b +c,d @@" with all four numbers, at the start of a line. */
bool hunk_header(Bytes line, int64_t *first, int64_t *n)
{
    int64_t new;
    return take_word(&line, "@@ -") && take_number(&line, first) && take_word(&line, ",") && take_number(&line, n) &&
           take_word(&line, " +") && take_number(&line, &new) && take_word(&line, ",") && take_number(&line, &new) &&
           take_word(&line, " @@");
}

static LineKind kind_of(Bytes line)
{
    if (!line.len) return LINE_KEEP;
    return line.text[0] == '-' ? LINE_DEL : line.text[0] == '+' ? LINE_ADD : LINE_KEEP;
}

static void put_line(Hunk *h, LineKind kind, Bytes text)
{
    text = stripped(text);
    if (text.len) h->line[h->n++] = (ChangeLine){kind, text.text, text.len};
}

bool hunk_read(Hunk *h, Arena *a, const char *patch, const char *old, const char *message)
{
    static const char NO_NEWLINE[] = "\\ No newline at end of file";
    int64_t first, n;
    Bytes line;
    *h = (Hunk){.line = NEW(a, ChangeLine, count_lines(patch)),
                .before = NEW(a, Bytes, count_lines(old)),
                .after = NEW(a, Bytes, count_lines(old)),
                .message = stripped((Bytes){(char *)message, strlen(message)})};
    if (!take_line(&patch, &line) || !hunk_header(line, &first, &n)) return false;
    while (take_line(&patch, &line)) {
        if (line.len == strlen(NO_NEWLINE) && !memcmp(line.text, NO_NEWLINE, line.len)) continue;
        size_t skip = kind_of(line) != LINE_KEEP;
        put_line(h, kind_of(line), (Bytes){line.text + skip, line.len - skip});
    }
    for (int64_t i = 0; take_line(&old, &line); i++) {
        line = stripped(line);
        if (line.len && i < first - 1) h->before[h->n_before++] = line;
        if (line.len && i >= first - 1 + n) h->after[h->n_after++] = line;
    }
    return h->n > 0;
}

/* ---- a change record */

/* The line behind a hunk that begins at or before line `at`: after three kept lines, where more than six follow. */
static int64_t hunk_end(const ChangeFile *f, int64_t at)
{
    int64_t last = at;
    for (int64_t i = at; i < f->n && i - last <= 2 * AROUND + 1; i++)
        if (f->line[i].kind != LINE_KEEP) last = i;
    return last + AROUND < f->n ? last + AROUND + 1 : f->n;
}

int64_t hunks_of(Hunk **out, Arena *a, const ChangeFile *f, const char *message)
{
    int64_t n = 0, old = 0, *place = NEW(a, int64_t, f->n + 1); /* lines of the old file before each line */
    Bytes *known = NEW(a, Bytes, f->n);
    for (int64_t i = 0; i < f->n; i++) {
        const Bytes text = stripped((Bytes){(char *)f->line[i].text, f->line[i].len});
        place[i] = old;
        if (f->line[i].kind != LINE_ADD && text.len) known[old++] = text;
    }
    place[f->n] = old;
    *out = NEW(a, Hunk, f->n);
    for (int64_t i = 0, done = 0; i < f->n; i++) {
        if (f->line[i].kind == LINE_KEEP) continue;
        int64_t from = i - AROUND > done ? i - AROUND : done, end = hunk_end(f, i);
        Hunk h = {.line = NEW(a, ChangeLine, end - from),
                  .before = known,
                  .n_before = place[from],
                  .after = known + place[end],
                  .n_after = old - place[end],
                  .message = stripped((Bytes){(char *)message, strlen(message)})};
        for (int64_t k = from; k < end; k++)
            put_line(&h, f->line[k].kind, (Bytes){(char *)f->line[k].text, f->line[k].len});
        if (h.n) (*out)[n++] = h;
        done = end, i = end - 1;
    }
    return n;
}

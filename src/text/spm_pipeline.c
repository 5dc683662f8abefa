/* The steps of a tokenizer.json, each a pass over the text as the one before left it.  The character map is
 * applied as SentencePiece applies it, to the longest prefix at each place. */
#include <string.h>

#include "base/str.h"
#include "text/pretoken.h"
#include "text/spm_model.h"

static void copy(Writing *w, const Normal *x, int64_t at, int64_t n)
{
    for (int64_t i = at; i < at + n; i++) normal_put(w, x->text + i, 1, x->from[i], x->to[i]);
}

/* Bytes that are no UTF-8 become U+FFFD each. */
static Normal valid(Arena *a, const char *text, int64_t len)
{
    Writing w = {.a = a};
    for (int64_t at = 0, n; at < len; at += n) {
        n = (int64_t)utf8_length(text + at, (size_t)(len - at));
        for (int64_t i = 0; i < n; i++) normal_put(&w, text + at + i, 1, at, at + n);
        if (!n) normal_put(&w, "\xef\xbf\xbd", 3, at, at + 1), n = 1;
    }
    return w.out;
}

static int64_t character(const Normal *x, int64_t at) /* text of a character map need not be UTF-8 */
{
    int64_t n = (int64_t)utf8_length(x->text + at, (size_t)(x->len - at));
    return n ? n : 1;
}

/* How many bytes at the place the step takes, 0: it leaves the character alone; and their replacement. */
static int64_t taken(const Spm *s, const Step *step, const Normal *x, int64_t at, const char **to)
{
    const char *p = x->text + at;
    int64_t left = x->len - at, n = 0;
    *to = step->to;
    switch (step->kind) {
    case STEP_MAP: return spm_map_longest(s, p, left, to);
    case STEP_REPLACE: n = (int64_t)strlen(step->from); return n <= left && !memcmp(p, step->from, (size_t)n) ? n : 0;
    case STEP_RUNS:
        while (n < left && p[n] == ' ') n++;
        return n > 1 ? n : 0;
    default: return 0;
    }
}

static Normal replaced(const Spm *s, Arena *a, const Step *step, const Normal *x)
{
    Writing w = {.a = a};
    const char *to;
    for (int64_t at = 0, n; at < x->len; at += n) {
        n = taken(s, step, x, at, &to);
        if (n) {
            normal_put(&w, to, (int64_t)strlen(to), x->from[at], x->to[at + n - 1]);
        } else {
            n = character(x, at);
            copy(&w, x, at, n);
        }
    }
    return w.out;
}

static Normal stripped(const Step *step, Normal x)
{
    if (step->right) x.len = (int64_t)pretoken_space_back(x.text, 0, (size_t)x.len);
    int64_t skip = step->left && x.len ? (int64_t)pretoken_space_skip(x.text, 0, (size_t)x.len) : 0;
    if (!skip) return x;
    return (Normal){x.text + skip, x.len - skip, x.from + skip, x.to + skip, NULL};
}

static Normal prefixed(Arena *a, const Step *step, const Normal *x)
{
    Writing w = {.a = a};
    if (x->len) normal_put(&w, step->to, (int64_t)strlen(step->to), x->from[0], x->from[0]);
    copy(&w, x, 0, x->len);
    return w.out;
}

/* One stretch between white space, or all there is; words begin at `starts`, grown beside the text. */
static void put_words(const Pipeline *p, Writing *w, Buf *starts, const Normal *x, int64_t from, int64_t to,
                      bool first)
{
    if (from == to) return;
    int64_t begin = w->out.len;
    const char *text = x->text + from;
    bool marked = *text == ' ' || (to - from >= 3 && !memcmp(text, SPACE, 3));
    bool prefix = p->prefix == PREFIX_ALWAYS || (p->prefix == PREFIX_FIRST && first && x->from[from] == 0);
    if (p->metaspace && prefix && !marked) normal_put(w, SPACE, 3, x->from[from], x->from[from]);
    for (int64_t i = from; i < to; i++) {
        bool blank = p->metaspace && x->text[i] == ' ';
        normal_put(w, blank ? SPACE : x->text + i, blank ? 3 : 1, x->from[i], x->to[i]);
    }
    for (int64_t i = begin; i < w->out.len; i++) {
        bool cut = p->split && w->out.len - i >= 3 && !memcmp(w->out.text + i, SPACE, 3);
        buf_add(starts, i == begin || cut ? "\1" : "\0", 1);
    }
}

Normal pipeline_run(const Spm *s, Arena *a, const char *text, int64_t len, bool first)
{
    const Pipeline *p = s->json;
    Normal x = valid(a, text, len);
    for (int i = 0; i < p->n; i++) {
        const Step *step = &p->step[i];
        if (step->kind == STEP_STRIP)
            x = stripped(step, x);
        else
            x = step->kind == STEP_PREPEND ? prefixed(a, step, &x) : replaced(s, a, step, &x);
    }
    Writing w = {.a = a};
    Buf starts = buf_open(a);
    for (int64_t at = 0; at < x.len;) {
        int64_t end = at;
        size_t blank = 0;
        while (end < x.len &&
               !(p->blanks && (blank = pretoken_space_skip(x.text, (size_t)end, (size_t)x.len) - (size_t)end) > 0))
            end += character(&x, end);
        put_words(p, &w, &starts, &x, at, end, first);
        at = end + (int64_t)blank;
    }
    w.out.start = (bool *)starts.text; /* zeros and ones */
    return w.out;
}

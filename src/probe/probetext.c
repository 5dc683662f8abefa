/* Rows are cut at their tags; words are cut by case. */
#include "probe/probetext.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "text/lex.h"

const char *const TASK_NAMES[TASKS + 1] = {"typ", "ccm", "ltp", NULL};
const char *const MARK_TEXT[MARKS] = {"<add>", "<del>", "<mask>"};

/* The tag at s, or -1. */
static int mark_at(const char *s, size_t left)
{
    for (int k = 0; k < MARKS; k++)
        if (strlen(MARK_TEXT[k]) <= left && !memcmp(s, MARK_TEXT[k], strlen(MARK_TEXT[k]))) return k;
    return -1;
}

int64_t text_segments(Segment **out, Arena *a, const char *text, size_t len, size_t *message)
{
    int64_t n = 0, most = 1;
    for (size_t i = 0; i < len; i++) most += text[i] == '<';
    *out = arena_take(a, sizeof **out * (size_t)most);
    if (message) *message = len;
    for (size_t i = 0; i < len; i++) {
        int mark = text[i] == '<' ? mark_at(text + i, len - i) : -1;
        if (mark < 0) continue;
        if (n == 0 && message) *message = i;
        if (n > 0) (*out)[n - 1].len = (size_t)(text + i - (*out)[n - 1].text);
        i += strlen(MARK_TEXT[mark]) - 1;
        (*out)[n++] = (Segment){(Mark)mark, text + i + 1, len - i - 1};
    }
    return n;
}

int64_t text_masked(const Segment *s, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        if (s[i].mark == MARK_MASK) return i;
    return -1;
}

/* ---- words ---- */

static int by_number(const void *a, const void *b)
{
    int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    return (x > y) - (x < y);
}

static bool upper(char c)
{
    return c >= 'A' && c <= 'Z';
}

static bool lower(char c)
{
    return c >= 'a' && c <= 'z';
}

/* The end of the word that begins at the letter s[i]: a capital and small letters, or a run of capitals whose last
 * one belongs to the small letters after it. */
static size_t word_end(const char *s, size_t i, size_t len)
{
    size_t end = i + 1;
    if (upper(s[i]) && end < len && upper(s[end])) {
        while (end < len && upper(s[end])) end++;
        return end < len && lower(s[end]) ? end - 1 : end;
    }
    while (end < len && lower(s[end])) end++;
    return end;
}

/* The distinct words of `least` letters or more, in lower case, cut to `stem` letters unless 0, as sorted ids. */
WordSet word_set(Arena *a, Table *vocabulary, const char *s, size_t len, int least, int stem)
{
    WordSet w = {0, arena_take(a, sizeof *w.id * (len + 1))};
    for (size_t i = 0, end; i < len; i = end) {
        end = i + 1;
        if (!upper(s[i]) && !lower(s[i])) continue;
        end = word_end(s, i, len);
        char word[64];
        size_t n = 0;
        if (end - i < (size_t)least) continue;
        for (; i + n < end && n < sizeof word && (!stem || n < (size_t)stem); n++)
            word[n] = (char)tolower((unsigned char)s[i + n]);
        bool added;
        int64_t *number = table_add(vocabulary, word, n, &added);
        if (added) *number = vocabulary->count - 1;
        w.id[w.n++] = (int32_t)*number;
    }
    qsort(w.id, (size_t)w.n, sizeof *w.id, by_number);
    int64_t n = 0;
    for (int64_t i = 0; i < w.n; i++)
        if (n == 0 || w.id[n - 1] != w.id[i]) w.id[n++] = w.id[i];
    w.n = n;
    return w;
}

double word_overlap(WordSet a, WordSet b)
{
    int64_t shared = 0;
    for (int64_t i = 0, k = 0; i < a.n && k < b.n;) {
        int32_t x = a.id[i], y = b.id[k];
        shared += x == y;
        i += x <= y;
        k += y <= x;
    }
    return a.n + b.n ? (double)shared / (double)(a.n + b.n - shared) : 0;
}

/* ---- types ---- */

bool java_is_primitive(const char *word, size_t len)
{
    for (const char *const *t = lang_primitives(LANG_JAVA); *t; t++)
        if (strlen(*t) == len && !memcmp(*t, word, len)) return true;
    return false;
}

bool java_is_misspelling(const char *word, size_t len)
{
    char back[16];
    if (len >= sizeof back || java_is_primitive(word, len)) return false;
    for (size_t i = 0; i + 1 < len; i++) {
        memcpy(back, word, len);
        back[i] = word[i + 1];
        back[i + 1] = word[i];
        if (java_is_primitive(back, len)) return true;
    }
    return false;
}

/* ---- subjects ---- */

static Bytes method_without_types(Arena *a, const Example *e)
{
    Buf b = buf_open(a);
    for (size_t i = 0, end; i < e->len; i = end + 1) {
        for (end = i; end < e->len && e->text[end] != ' ';) end++;
        bool type = java_is_primitive(e->text + i, end - i) || java_is_misspelling(e->text + i, end - i);
        if (b.len) buf_add(&b, " ", 1);
        buf_add(&b, type ? "T" : e->text + i, type ? 1 : end - i);
    }
    return (Bytes){b.text, b.len};
}

Bytes text_subject(Arena *a, ProbeTask task, const Example *e)
{
    if (task == TASK_TYP) return method_without_types(a, e);
    Segment *s;
    size_t message;
    int64_t n = text_segments(&s, a, e->text, e->len, &message);
    if (task == TASK_CCM) return (Bytes){str_copy(a, e->text + message, e->len - message), e->len - message};
    Buf b = buf_open(a);
    for (int64_t i = 0; i < n; i++) {
        buf_add(&b, s[i].text, s[i].len);
        buf_add(&b, "\n", 1);
    }
    return (Bytes){b.text, b.len};
}

/* The message of ccm, which stands before the change. */
static Bytes message_of(const Example *e, Bytes subject)
{
    return (Bytes){(char *)(uintptr_t)e->text, e->len - subject.len};
}

void text_seen(bool *seen, ProbeTask task, const Dataset *d)
{
    Arena scratch = arena_open((size_t)1 << 36);
    Table subjects = table_open(&scratch, d->n), messages = table_open(&scratch, d->n);
    for (int pass = 0; pass < 2; pass++)
        for (int64_t i = 0; i < d->n; i++) {
            const Example *e = &d->example[i];
            Bytes subject = text_subject(&scratch, task, e), message = {0};
            bool added;
            if (task == TASK_CCM) message = message_of(e, subject);
            if (!pass && e->split == SPLIT_TRAIN) {
                *table_add(&subjects, subject.text, subject.len, &added) = 1;
                if (task == TASK_CCM) *table_add(&messages, message.text, message.len, &added) = 1;
            }
            if (pass)
                seen[i] = table_get(&subjects, subject.text, subject.len, 0) ||
                          (task == TASK_CCM && table_get(&messages, message.text, message.len, 0));
        }
    arena_close(&scratch);
}

/* Words are kept as a list of places in the text; a step makes a new list from the old one. */
#include "text/splitter.h"

#include <glib.h>
#include <string.h>

#include "text/spelling.h"
#include "text/unicode.h"

static void add(Words *w, Arena *a, int64_t begin, int64_t end)
{
    if (begin == end) return;
    GROW(a, w->word, w->n, w->room, 64);
    w->word[w->n++] = (Span){begin, end};
}

/* ---- cutting at a pattern ---- */

typedef struct { /* the list being made from one word */
    Words *out;
    Arena *a;
    int64_t begin; /* of the word at hand, which the next piece may lengthen; -1: none */
    int64_t end;
    bool match; /* it ends in a match */
} Making;

static void flush(Making *c)
{
    if (c->begin >= 0) add(c->out, c->a, c->begin, c->end);
    c->begin = -1;
}

/* One stretch of a word: a match, or the text between two.  Empty stretches count as neighbours. */
static void piece(Making *c, Behaviour how, int64_t begin, int64_t end, bool match)
{
    bool joins = c->begin >= 0 &&
                 ((how == BEHAVE_CONTIGUOUS && c->match == match) || (how == BEHAVE_PREVIOUS && match && !c->match) ||
                  (how == BEHAVE_NEXT && !match && c->match));
    if (!joins) {
        flush(c);
        c->begin = begin;
    }
    c->end = end;
    c->match = match;
    if (how == BEHAVE_REMOVED && match) c->begin = -1;
}

static void cut_pattern(Words *out, Arena *a, const SplitStep *s, const Normal *x, Span w)
{
    Making c = {.out = out, .a = a, .begin = -1};
    Matches m = pattern_matches(&s->pattern, x->text + w.begin, (size_t)(w.end - w.begin));
    int64_t at = w.begin;
    for (size_t begin, end; matches_next(&m, &begin, &end); at = w.begin + (int64_t)end) {
        int64_t from = w.begin + (int64_t)begin;
        if (at < from) piece(&c, s->behaviour, at, from, s->invert);
        piece(&c, s->behaviour, from, w.begin + (int64_t)end, !s->invert);
    }
    if (at < w.end) piece(&c, s->behaviour, at, w.end, s->invert);
    flush(&c);
}

/* Every piece by itself, as nearly all files need it. */
static void cut_scan(Words *out, Arena *a, const SplitStep *s, const Normal *x, Span w)
{
    Pretokens p = pretoken_open(s->pattern.scan, x->text + w.begin, (size_t)(w.end - w.begin));
    for (size_t begin, end; pretoken_next(&p, &begin, &end);)
        add(out, a, w.begin + (int64_t)begin, w.begin + (int64_t)end);
}

/* ---- the other cuts ---- */

static void cut_length(Words *out, Arena *a, const SplitStep *s, const Normal *x, Span w)
{
    int64_t begin = w.begin, count = 0;
    for (int64_t at = w.begin; at < w.end;) {
        size_t n;
        unicode_next(x->text + at, (size_t)(w.end - at), &n);
        at += (int64_t)n;
        if (++count < s->length && at < w.end) continue;
        add(out, a, begin, at);
        begin = at, count = 0;
    }
}

/* The kana are written among Han and count as such; blanks go with whatever is before them. */
static int script_of(uint32_t c)
{
    GUnicodeScript s = c == 0x30FC ? G_UNICODE_SCRIPT_HAN : g_unichar_get_script(c);
    if (c == ' ') return -1;
    return s == G_UNICODE_SCRIPT_HIRAGANA || s == G_UNICODE_SCRIPT_KATAKANA ? G_UNICODE_SCRIPT_HAN : (int)s;
}

static void cut_scripts(Words *out, Arena *a, const SplitStep *s, const Normal *x, Span w)
{
    (void)s;
    int64_t begin = w.end; /* blanks in front go */
    int before = -1;
    for (int64_t at = w.begin; at < w.end;) {
        size_t n;
        int script = script_of(unicode_next(x->text + at, (size_t)(w.end - at), &n));
        if (script >= 0 && script != before) {
            if (before >= 0) add(out, a, begin, at);
            begin = at;
            before = script;
        }
        at += (int64_t)n;
    }
    add(out, a, begin, w.end);
}

/* White space parts words and goes; a punctuation mark is a word. */
static void cut_bert(Words *out, Arena *a, const SplitStep *s, const Normal *x, Span w)
{
    (void)s;
    int64_t begin = w.begin;
    for (int64_t at = w.begin, end; at < w.end; at = end) {
        size_t n;
        uint32_t class = unicode_class(unicode_next(x->text + at, (size_t)(w.end - at), &n));
        end = at + (int64_t)n;
        if (!(class & (UC_SPACE | UC_PUNCT))) continue;
        add(out, a, begin, at);
        if (!(class & UC_SPACE)) add(out, a, at, end);
        begin = end;
    }
    add(out, a, begin, w.end);
}

/* ---- steps that write ---- */

static bool begins(const Normal *x, Span w, const char *mark)
{
    int64_t n = (int64_t)strlen(mark);
    return w.end - w.begin >= n && !memcmp(x->text + w.begin, mark, (size_t)n);
}

static void write_blank(Writing *to, const SplitStep *s, const Normal *x, Span w, bool first)
{
    (void)s, (void)first;
    if (!begins(x, w, " ")) normal_write(to, x, w.begin, 0, " ", 1);
    normal_copy(to, x, w.begin, w.end - w.begin);
}

static void write_marks(Writing *to, const SplitStep *s, const Normal *x, Span w, bool first)
{
    int64_t n = (int64_t)strlen(s->mark), kept = w.begin;
    bool wanted = s->prefix == PREFIX_ALWAYS || (s->prefix == PREFIX_FIRST && first && normal_begin(x, w.begin) == 0);
    if (wanted && !begins(x, w, " ") && !begins(x, w, s->mark)) normal_write(to, x, w.begin, 0, s->mark, n);
    for (int64_t at = w.begin; at < w.end; at++) {
        if (x->text[at] != ' ') continue;
        normal_copy(to, x, kept, at - kept);
        normal_write(to, x, at, 1, s->mark, n);
        kept = at + 1;
    }
    normal_copy(to, x, kept, w.end - kept);
}

static void write_spelt(Writing *to, const SplitStep *s, const Normal *x, Span w, bool first)
{
    (void)s, (void)first;
    for (int64_t at = w.begin; at < w.end; at++) {
        char text[2];
        size_t n = bpe_spell(text, (unsigned char)x->text[at]);
        normal_write(to, x, at, 1, text, (int64_t)n);
    }
}

/* ---- the whole ---- */

static bool only_scans(const SplitStep *s)
{
    return s->pattern.kind == PATTERN_SCAN && s->behaviour == BEHAVE_ISOLATED && s->kind == SPLIT_PATTERN;
}

const Scan *splitter_scan(const Splitter *z)
{
    return z->n == 1 && only_scans(z->step) ? &z->step->pattern.scan : NULL;
}

typedef void WriteFn(Writing *, const SplitStep *, const Normal *, Span, bool first);
typedef void CutFn(Words *, Arena *, const SplitStep *, const Normal *, Span);

static Words written(Arena *a, const SplitStep *s, const Words *x, bool first, WriteFn *f)
{
    Words out = {0};
    Writing w = normal_open(a, x->text.len + x->text.len / 2, x->text.from != NULL);
    for (int64_t i = 0; i < x->n; i++) {
        int64_t begin = w.out.len;
        f(&w, s, &x->text, x->word[i], first);
        add(&out, a, begin, w.out.len);
    }
    out.text = w.out;
    return out;
}

static Words cut(Arena *a, const SplitStep *s, const Words *x, CutFn *f)
{
    Words out = {.text = x->text};
    for (int64_t i = 0; i < x->n; i++) f(&out, a, s, &x->text, x->word[i]);
    return out;
}

Words splitter_run(const Splitter *z, Arena *a, Normal text, bool first)
{
    static WriteFn *const WRITE[] = {
        [SPLIT_BLANK] = write_blank, [SPLIT_META] = write_marks, [SPLIT_SPELL] = write_spelt};
    static CutFn *const CUT[] = {[SPLIT_PATTERN] = cut_pattern,
                                 [SPLIT_LENGTH] = cut_length,
                                 [SPLIT_SCRIPTS] = cut_scripts,
                                 [SPLIT_BERT] = cut_bert};
    Words w = {.text = text};
    add(&w, a, 0, text.len);
    for (int i = 0; i < z->n; i++) {
        const SplitStep *s = &z->step[i];
        w = s->kind >= SPLIT_BLANK ? written(a, s, &w, first, WRITE[s->kind])
                                   : cut(a, s, &w, only_scans(s) ? cut_scan : CUT[s->kind]);
    }
    return w;
}

Status splitter_add(Splitter *z, SplitStep s, const char *path)
{
    if (z->n == SPLIT_MOST) return err_fail(E_FORMAT, "%s: pre_tokenizer has more than %d steps", path, SPLIT_MOST);
    z->step[z->n++] = s;
    return OK;
}

Status splitter_add_bytes(Splitter *z, bool prefix_space, bool regex, const char *path)
{
    const Pattern words = {.kind = PATTERN_SCAN, .scan = SCAN_GPT2};
    if (prefix_space) TRY(splitter_add(z, (SplitStep){.kind = SPLIT_BLANK}, path));
    if (regex) TRY(splitter_add(z, (SplitStep){.pattern = words, .behaviour = BEHAVE_ISOLATED}, path));
    return splitter_add(z, (SplitStep){.kind = SPLIT_SPELL}, path);
}

Status splitter_add_bert(Splitter *z, const char *path)
{
    return splitter_add(z, (SplitStep){.kind = SPLIT_BERT}, path);
}

void splitter_finish(Splitter *z)
{
    z->bytes = z->n && z->step[z->n - 1].kind == SPLIT_SPELL;
    if (z->bytes) z->n--;
}

void splitter_close(Splitter *z)
{
    for (int i = 0; i < z->n; i++) pattern_close(&z->step[i].pattern);
}

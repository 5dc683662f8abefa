/* One pass for each step.  Steps that have nothing to do for ASCII leave an ASCII text alone, and a text whose bytes
 * stay where they are has no places to store. */
#include "text/normalizer.h"

#include <string.h>

#include "base/str.h"
#include "text/spelling.h"

/* The character at a place of the text; text of a character map need not be UTF-8. */
static uint32_t at_of(const Normal *x, int64_t at, int64_t *n)
{
    size_t bytes;
    uint32_t c = unicode_next(x->text + at, (size_t)(x->len - at), &bytes);
    *n = (int64_t)bytes;
    return c;
}

static int64_t ascii_run(const Normal *x, int64_t at)
{
    int64_t end = at;
    while (end < x->len && !(x->text[end] & 0x80)) end++;
    return end - at;
}

static bool is_ascii(const Normal *x)
{
    return ascii_run(x, 0) == x->len;
}

/* ---- normal forms ---- */

/* Where the characters end that may compose with the one at `at`. */
static int64_t cluster_end(const Normal *x, int64_t at)
{
    int64_t n;
    at_of(x, at, &n);
    for (at += n; at < x->len; at += n)
        if (!(unicode_class(at_of(x, at, &n)) & UC_JOINS)) break;
    return at;
}

static Normal formed(Arena *a, const Normal *x, UnicodeForm form)
{
    Writing w = normal_open(a, x->len, x->from != NULL);
    for (int64_t at = 0, end, n; at < x->len; at = end) {
        int64_t plain = ascii_run(x, at);
        end = at + plain;
        if (plain && end < x->len) end--; /* the last may take the marks behind it */
        normal_copy(&w, x, at, end - at);
        if (end == x->len) break;
        at = end;
        end = cluster_end(x, at);
        uint32_t c = at_of(x, at, &n);
        bool valid = utf8_length(x->text + at, (size_t)(x->len - at)) && c;
        if (!valid || (end == at + n && !(unicode_class(c) & UC_CHANGES << form))) {
            normal_copy(&w, x, at, n);
            end = at + n;
            continue;
        }
        for (int64_t i = at; i < end; i += n) /* a stretch of valid UTF-8 only */
            if (!(n = (int64_t)utf8_length(x->text + i, (size_t)(end - i)))) end = i, n = 1;
        size_t len;
        const char *made = unicode_form(a, x->text + at, (size_t)(end - at), form, &len);
        if (len == (size_t)(end - at) && !memcmp(made, x->text + at, len))
            normal_copy(&w, x, at, end - at);
        else
            normal_write(&w, x, at, end - at, made, (int64_t)len);
    }
    return w.out;
}

/* ---- characters one by one ---- */

/* What becomes of a character: its bytes, or -1 where it stays as it is. */
static int64_t lowered(const NormStep *s, uint32_t c, char out[12])
{
    (void)s;
    uint32_t low[2];
    size_t k = unicode_lower(low, c), n = 0;
    if (k == 1 && low[0] == c) return -1;
    for (size_t i = 0; i < k; i++) n += unicode_put(out + n, low[i]);
    return (int64_t)n;
}

static int64_t without_accent(const NormStep *s, uint32_t c, char out[12])
{
    (void)out;
    return unicode_class(c) & (s->bert ? UC_ACCENT : UC_MARK) ? 0 : -1;
}

static int64_t cleaned(const NormStep *s, uint32_t c, char out[12])
{
    (void)s;
    if (c == ' ') return -1;
    bool space = unicode_class(c) & UC_SPACE, line = c == '\t' || c == '\n' || c == '\r';
    if (!line && (c == 0 || c == 0xFFFD || (unicode_class(c) & UC_CONTROL))) return 0;
    out[0] = ' ';
    return space ? 1 : -1;
}

static int64_t parted(const NormStep *s, uint32_t c, char out[12])
{
    (void)s;
    if (!unicode_is_cjk(c)) return -1;
    size_t n = unicode_put(out + 1, c);
    out[0] = out[n + 1] = ' ';
    return (int64_t)n + 2;
}

/* The rules of nmt_nfkc that Nmt has by hand. */
static int64_t nmt(const NormStep *s, uint32_t c, char out[12])
{
    (void)s;
    if ((c >= 1 && c <= 8) || c == 0xB || (c >= 0xE && c <= 0x1F) || c == 0x7F || c == 0x8F || c == 0x9F) return 0;
    bool blank = c == 9 || c == 0xA || c == 0xC || c == 0xD || c == 0x1680 || (c >= 0x200B && c <= 0x200F) ||
                 c == 0x2028 || c == 0x2029 || c == 0x2581 || c == 0xFEFF || c == 0xFFFD;
    out[0] = ' ';
    return blank ? 1 : -1;
}

/* The same of an ASCII character, most of which no step has anything to do with. */
static int64_t of_ascii(const NormStep *s, char c, char out[12])
{
    bool line = c == '\t' || c == '\n' || c == '\r';
    switch (s->kind) {
    case NORM_LOWER: *out = (char)(c + 32); return c >= 'A' && c <= 'Z' ? 1 : -1;
    case NORM_CLEAN: *out = ' '; return line ? 1 : c < ' ' || c == 0x7F ? 0 : -1;
    case NORM_NMT: return nmt(s, (uint32_t)c, out);
    default: return -1;
    }
}

typedef int64_t EachFn(const NormStep *, uint32_t c, char out[12]);

/* A run of ASCII whose characters stay one byte in their place, as nearly all text is; its end. */
static int64_t plain_run(Writing *w, const NormStep *s, const Normal *x, int64_t at)
{
    if (w->moved || w->out.len != at || w->room < x->len) return at;
    char *to = w->out.text;
    for (char c; at < x->len && !((c = x->text[at]) & 0x80) && s->ascii[(unsigned char)c]; at++)
        to[at] = s->ascii[(unsigned char)c];
    w->out.len = at;
    return at;
}

static Normal each(Arena *a, const NormStep *s, const Normal *x, EachFn *f)
{
    Writing w = normal_open(a, 2 * x->len, x->from != NULL);
    int64_t kept = 0;
    for (int64_t at = 0, n; at < x->len; at += n) {
        char out[12];
        n = 1;
        if (kept == at && (kept = plain_run(&w, s, x, at)) > at) {
            n = kept - at;
            continue;
        }
        int64_t becomes = x->text[at] & 0x80 ? f(s, at_of(x, at, &n), out) : of_ascii(s, x->text[at], out);
        if (becomes < 0) continue;
        if (at > kept) normal_copy(&w, x, kept, at - kept);
        if (becomes) normal_write(&w, x, at, n, out, becomes);
        kept = at + n;
    }
    normal_copy(&w, x, kept, x->len - kept);
    return w.out;
}

/* ---- the others ---- */

static Normal replaced(Arena *a, const NormStep *s, const Normal *x)
{
    Writing w = normal_open(a, x->len, x->from != NULL);
    Matches m = pattern_matches(&s->pattern, x->text, (size_t)x->len);
    int64_t copied = 0;
    for (size_t begin, end; matches_next(&m, &begin, &end); copied = (int64_t)end) {
        normal_copy(&w, x, copied, (int64_t)begin - copied);
        normal_write(&w, x, (int64_t)begin, (int64_t)(end - begin), s->to, (int64_t)strlen(s->to));
    }
    normal_copy(&w, x, copied, x->len - copied);
    return w.out;
}

static Normal stripped(const NormStep *s, Normal x)
{
    if (s->right) x.len = (int64_t)pretoken_space_back(x.text, 0, (size_t)x.len);
    int64_t skip = s->left ? (int64_t)pretoken_space_skip(x.text, 0, (size_t)x.len) : 0;
    if (!skip) return x;
    return (Normal){x.text + skip, x.len - skip, x.from ? x.from + skip : NULL, x.to ? x.to + skip : NULL};
}

static Normal prefixed(Arena *a, const NormStep *s, const Normal *x)
{
    if (!x->len) return *x;
    Writing w = normal_open(a, x->len + 8, true);
    normal_write(&w, x, 0, 0, s->to, (int64_t)strlen(s->to));
    normal_copy(&w, x, 0, x->len);
    return w.out;
}

/* Characters that a reader sees as one, where they have at most 5 bytes: for these the library asks its map once. */
static int64_t grapheme(const Normal *x, int64_t at, int64_t *one)
{
    int64_t n, end;
    uint32_t c = at_of(x, at, one), next;
    end = at + *one;
    if (c == '\r') return end < x->len && x->text[end] == '\n' ? 2 : 1;
    if (unicode_class(c) & UC_CONTROL) return *one;
    for (; end < x->len && end - at < 6; end += n) {
        next = at_of(x, end, &n);
        if (!(unicode_class(next) & UC_MARK) && next != 0x200C && next != 0x200D) break;
    }
    return end - at;
}

static Normal mapped(Arena *a, const NormStep *s, const Normal *x)
{
    Writing w = normal_open(a, x->len, x->from != NULL);
    for (int64_t at = 0, n; at < x->len; at += n) {
        const char *to;
        int64_t one, all = grapheme(x, at, &one);
        n = one;
        if (all > one && all < 6 && charmap_shortest(&s->map, x->text + at, all, &to)) n = all;
        if (n > one || charmap_longest(&s->map, x->text + at, one, &to) == one)
            normal_write(&w, x, at, n, to, (int64_t)strlen(to));
        else
            normal_copy(&w, x, at, n);
    }
    return w.out;
}

Normal normal_spelt(Arena *a, const Normal *x)
{
    Writing w = normal_open(a, 2 * x->len, x->from != NULL);
    for (int64_t i = 0; i < x->len; i++) {
        char text[2];
        size_t n = bpe_spell(text, (unsigned char)x->text[i]);
        normal_write(&w, x, i, 1, text, (int64_t)n);
    }
    return w.out;
}

static Normal one_step(const NormStep *s, Arena *a, Normal x)
{
    static EachFn *const EACH[] = {[NORM_LOWER] = lowered, [NORM_ACCENTS] = without_accent,
                                   [NORM_NMT] = nmt,       [NORM_CLEAN] = cleaned,
                                   [NORM_CJK] = parted,    [NORM_SPELL] = NULL};
    bool beyond_ascii = s->kind == NORM_FORM || s->kind == NORM_ACCENTS || s->kind == NORM_CJK;
    if (!x.len || (beyond_ascii && is_ascii(&x))) return x;
    switch (s->kind) {
    case NORM_FORM: return formed(a, &x, s->form);
    case NORM_STRIP: return stripped(s, x);
    case NORM_REPLACE: return replaced(a, s, &x);
    case NORM_PREPEND: return prefixed(a, s, &x);
    case NORM_MAP: return mapped(a, s, &x);
    case NORM_SPELL: return normal_spelt(a, &x);
    default: return each(a, s, &x, EACH[s->kind]);
    }
}

Normal normalizer_run(const Normalizer *z, Arena *a, Normal x)
{
    for (int i = 0; i < z->n; i++) x = one_step(&z->step[i], a, x);
    return x;
}

Status normalizer_add(Normalizer *z, NormStep s, const char *path)
{
    if (z->n == NORM_MOST) return err_fail(E_FORMAT, "%s: normalizer has more than %d steps", path, NORM_MOST);
    for (int c = 1; c < 128; c++) {
        char out[12];
        int64_t becomes = of_ascii(&s, (char)c, out);
        s.ascii[c] = becomes < 0 ? (char)c : becomes == 1 ? *out : 0;
    }
    z->step[z->n++] = s;
    return OK;
}

Status normalizer_add_bert(Normalizer *z, bool clean, bool cjk, int accents, bool lower, const char *path)
{
    if (clean) TRY(normalizer_add(z, (NormStep){.kind = NORM_CLEAN}, path));
    if (cjk) TRY(normalizer_add(z, (NormStep){.kind = NORM_CJK}, path));
    if (accents < 0 ? lower : accents) {
        TRY(normalizer_add(z, (NormStep){.kind = NORM_FORM, .form = FORM_D}, path));
        TRY(normalizer_add(z, (NormStep){.kind = NORM_ACCENTS, .bert = true}, path));
    }
    return lower ? normalizer_add(z, (NormStep){.kind = NORM_LOWER}, path) : OK;
}

void normalizer_close(Normalizer *z)
{
    for (int i = 0; i < z->n; i++) pattern_close(&z->step[i].pattern);
}

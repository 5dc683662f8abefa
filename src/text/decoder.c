/* Each step changes the list of pieces; joined, the rest is the text. */
#include "text/decoder.h"

#include <string.h>

#include "base/str.h"
#include "text/spelling.h"
#include "text/unicode.h"

static Bytes of_buf(Buf b)
{
    return (Bytes){b.text ? b.text : (char *)(uintptr_t) "", b.len};
}

static Bytes joined(Arena *a, const Bytes *piece, int64_t n, const char *between)
{
    Buf b = buf_open(a);
    for (int64_t i = 0; i < n; i++) {
        if (i) buf_add(&b, between, strlen(between));
        buf_add(&b, piece[i].text, piece[i].len);
    }
    return of_buf(b);
}

static bool starts(Bytes x, size_t at, const char *with)
{
    size_t n = strlen(with);
    return n && x.len - at >= n && !memcmp(x.text + at, with, n);
}

/* `from` becomes `to`, everywhere or once. */
static Bytes swapped(Arena *a, Bytes x, const char *from, const char *to, bool once)
{
    Buf b = buf_open(a);
    bool done = false;
    for (size_t at = 0; at < x.len;) {
        bool here = !done && starts(x, at, from);
        buf_add(&b, here ? to : x.text + at, here ? strlen(to) : 1);
        at += here ? strlen(from) : 1;
        done = here && once;
    }
    return of_buf(b);
}

Bytes decoder_clean(Arena *a, Bytes x, bool wordpiece)
{
    static const char *const SWAP[][2] = {{" .", "."},   {" ?", "?"},     {" !", "!"},    {" ,", ","},
                                          {" ' ", "'"},  {" n't", "n't"}, {" 'm", "'m"},  {" do not", " don't"},
                                          {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"}};
    for (size_t i = 0; i < sizeof SWAP / sizeof *SWAP; i++)
        if (wordpiece || strcmp(SWAP[i][0], " do not") != 0) x = swapped(a, x, SWAP[i][0], SWAP[i][1], false);
    return x;
}

/* ---- bytes ---- */

/* Bytes of the longest stretch at p that begins some character, when it is none: 1 to 3. */
static size_t broken_length(const unsigned char *p, size_t left)
{
    unsigned char c = p[0], low = 0x80, high = 0xBF;
    size_t need = c >= 0xC2 && c <= 0xDF ? 1 : c >= 0xE0 && c <= 0xEF ? 2 : c >= 0xF0 && c <= 0xF4 ? 3 : 0, n = 1;
    if (c == 0xE0) low = 0xA0;
    if (c == 0xED) high = 0x9F;
    if (c == 0xF0) low = 0x90;
    if (c == 0xF4) high = 0x8F;
    for (; need && n <= need && n < left && p[n] >= low && p[n] <= high; n++) low = 0x80, high = 0xBF;
    return n;
}

Bytes decoder_valid(Arena *a, Bytes x)
{
    Buf b = buf_open(a);
    for (size_t at = 0, n; at < x.len; at += n) {
        n = utf8_length(x.text + at, x.len - at);
        if (n) {
            buf_add(&b, x.text + at, n);
            continue;
        }
        n = broken_length((const unsigned char *)x.text + at, x.len - at);
        buf_add(&b, "\xef\xbf\xbd", 3);
    }
    return of_buf(b);
}

static int64_t decode_bytes(Arena *a, const DecodeStep *s, Bytes *piece, int64_t n)
{
    (void)s;
    for (int64_t i = 0; i < n; i++) {
        char *out = arena_take(a, piece[i].len + 1);
        piece[i] = (Bytes){out, bpe_unspell(out, piece[i].text, piece[i].len)};
    }
    if (n) piece[0] = joined(a, piece, n, "");
    return n > 0;
}

static int hex(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
                                  : -1;
}

static int byte_of(Bytes x)
{
    if (x.len != 6 || memcmp(x.text, "<0x", 3) != 0 || x.text[5] != '>') return -1;
    int high = hex(x.text[3]), low = hex(x.text[4]);
    return high < 0 || low < 0 ? -1 : 16 * high + low;
}

/* Neighbouring bytes are one text; when it is no UTF-8, each becomes U+FFFD. */
static int64_t decode_fallback(Arena *a, const DecodeStep *s, Bytes *piece, int64_t n)
{
    (void)s;
    int64_t kept = 0;
    for (int64_t i = 0, end; i < n; i = end) {
        Buf b = buf_open(a);
        size_t at = 0, k;
        for (end = i; end < n && byte_of(piece[end]) >= 0; end++) buf_add(&b, &(char){(char)byte_of(piece[end])}, 1);
        while (at < b.len && (k = utf8_length(b.text + at, b.len - at)) > 0) at += k;
        if (end == i)
            piece[kept++] = piece[end++];
        else if (at == b.len)
            piece[kept++] = of_buf(b);
        else
            for (; i < end; i++) piece[kept++] = (Bytes){(char *)(uintptr_t) "\xef\xbf\xbd", 3};
    }
    return kept;
}

/* ---- pieces one by one ---- */

static Bytes of_wordpiece(Arena *a, const DecodeStep *s, Bytes x, bool first, bool last)
{
    (void)last;
    if (!first && starts(x, 0, s->text))
        x.text += strlen(s->text), x.len -= strlen(s->text);
    else if (!first)
        x = joined(a, (Bytes[]){{(char *)(uintptr_t) " ", 1}, x}, 2, "");
    return s->flag ? decoder_clean(a, x, true) : x;
}

static Bytes of_meta(Arena *a, const DecodeStep *s, Bytes x, bool first, bool last)
{
    (void)last;
    return swapped(a, x, s->text, first && s->flag ? "" : " ", false);
}

static Bytes of_suffix(Arena *a, const DecodeStep *s, Bytes x, bool first, bool last)
{
    (void)first;
    return swapped(a, x, s->text, last ? "" : " ", false);
}

static Bytes of_replace(Arena *a, const DecodeStep *s, Bytes x, bool first, bool last)
{
    (void)first, (void)last;
    Buf b = buf_open(a);
    size_t copied = 0;
    Matches m = pattern_matches(&s->pattern, x.text, x.len);
    for (size_t begin, end; matches_next(&m, &begin, &end); copied = end) {
        buf_add(&b, x.text + copied, begin - copied);
        buf_add(&b, s->to, strlen(s->to));
    }
    buf_add(&b, x.text + copied, x.len - copied);
    return of_buf(b);
}

static Bytes of_strip(Arena *a, const DecodeStep *s, Bytes x, bool first, bool last)
{
    (void)a, (void)first, (void)last;
    size_t n = strlen(s->text);
    for (int64_t i = 0; i < s->start && starts(x, 0, s->text); i++) x.text += n, x.len -= n;
    for (int64_t i = 0; i < s->stop && x.len >= n && starts(x, x.len - n, s->text); i++) x.len -= n;
    return x;
}

typedef Bytes EachFn(Arena *, const DecodeStep *, Bytes, bool first, bool last);

static int64_t one_step(Arena *a, const DecodeStep *s, Bytes *piece, int64_t n)
{
    static EachFn *const EACH[] = {[DECODE_WORDPIECE] = of_wordpiece,
                                   [DECODE_META] = of_meta,
                                   [DECODE_SUFFIX] = of_suffix,
                                   [DECODE_REPLACE] = of_replace,
                                   [DECODE_STRIP] = of_strip};
    if (s->kind == DECODE_BYTES) return decode_bytes(a, s, piece, n);
    if (s->kind == DECODE_BYTE_FALLBACK) return decode_fallback(a, s, piece, n);
    if (s->kind == DECODE_FUSE) {
        if (n) piece[0] = joined(a, piece, n, "");
        return n > 0;
    }
    for (int64_t i = 0; i < n; i++) piece[i] = EACH[s->kind](a, s, piece[i], i == 0, i + 1 == n);
    return n;
}

Bytes decoder_run(const Decoder *d, Arena *a, Bytes *piece, int64_t n)
{
    if (!d->there) return joined(a, piece, n, " ");
    for (int i = 0; i < d->n; i++) n = one_step(a, &d->step[i], piece, n);
    return joined(a, piece, n, "");
}

Status decoder_add(Decoder *d, DecodeStep s, const char *path)
{
    if (d->n == DECODE_MOST) return err_fail(E_FORMAT, "%s: decoder has more than %d steps", path, DECODE_MOST);
    d->step[d->n++] = s;
    d->there = true;
    return OK;
}

void decoder_close(Decoder *d)
{
    for (int i = 0; i < d->n; i++) pattern_close(&d->step[i].pattern);
}

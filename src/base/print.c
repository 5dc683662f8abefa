/* printf's formats are read here, because only their reader can tell which text came in through %s.  Numbers go on
 * to the library, one at a time, each widened to the largest type of its kind. */
#include "base/print.h"

#include <string.h>

#include "base/str.h"

/* ---- characters that a terminal obeys */

static bool obeyed(uint32_t c)
{
    return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x061c /* Arabic letter mark */
           || c == 0x200e || c == 0x200f                      /* left-to-right and right-to-left mark */
           || (c >= 0x2028 && c <= 0x202e)                    /* separators, embeddings and overrides */
           || (c >= 0x2066 && c <= 0x2069);                   /* isolates */
}

Glyph glyph_at(const char *s, size_t left)
{
    static const unsigned char LEAD[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
    const unsigned char *p = (const unsigned char *)s;
    size_t n = utf8_length(s, left);
    if (!n) return (Glyph){1, *p, false, true};
    uint32_t code = *p & LEAD[n];
    for (size_t i = 1; i < n; i++) code = code << 6 | (p[i] & 0x3f);
    return (Glyph){n, code, true, obeyed(code)};
}

size_t glyph_escape(char out[16], Glyph g)
{
    return (size_t)snprintf(out, 16, g.valid && g.code > 0x7f ? "\\u{%X}" : "\\x%02X", (unsigned)g.code);
}

size_t text_whole(const char *s, size_t n)
{
    for (size_t back = 1; back <= 3 && back <= n; back++) {
        unsigned char c = (unsigned char)s[n - back];
        if ((c & 0xc0) == 0x80) continue;
        size_t need = c < 0xc2 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : c < 0xf5 ? 4 : 1;
        return need > back ? n - back : n;
    }
    return n;
}

/* ---- where it goes */

typedef struct {
    FILE *file; /* or, where it is NULL, out */
    char *out;
    size_t room, len;
    bool full;
    int columns;
} Sink;

static bool quiet; /* nothing goes to the two streams of the process */

void print_quietly(void)
{
    quiet = true;
}

void print_loudly(void)
{
    quiet = false;
}

static bool is_lost(const Sink *k)
{
    return quiet && (k->file == stdout || k->file == stderr);
}

/* n bytes, `columns` characters, that belong together. */
static void put(Sink *k, const char *s, size_t n, int columns)
{
    k->columns += columns;
    if (is_lost(k)) return;
    if (k->file) {
        fwrite(s, 1, n, k->file);
    } else if (!k->full && k->len + n < k->room) {
        memcpy(k->out + k->len, s, n);
        k->len += n;
    } else {
        k->full = true;
    }
}

typedef enum { AS_LINE, AS_LINES, AS_PAGE, AS_JSON } Form;

/* In place of a glyph that is obeyed; 0: it stays as it is. */
static size_t instead(char out[16], Glyph g, Form form)
{
    if (!g.obeyed || (form != AS_LINE && (g.code == '\n' || g.code == '\t'))) return 0;
    if (form < AS_JSON && (g.valid || form != AS_PAGE)) return glyph_escape(out, g);
    return (size_t)snprintf(out, 16, g.valid ? "\\u%04x" : "\uFFFD", (unsigned)g.code);
}

static void show(Sink *k, const char *s, size_t n, Form form)
{
    char text[16];
    for (size_t i = 0; i < n;) {
        Glyph g = glyph_at(s + i, n - i);
        size_t len = instead(text, g, form);
        put(k, len ? text : s + i, len ? len : g.bytes, len ? (int)len : 1);
        i += g.bytes;
    }
}

/* ---- formats */

typedef struct {
    char flags[8];
    int width, precision; /* precision below 0: none */
    char size;            /* 'H' for hh, 'L' for L and ll, else the letter or 0 */
} Spec;

typedef struct {
    va_list at;
} List; /* an array type cannot be passed by address through a parameter */

static int number(const char **fmt, List *args)
{
    int n = 0;
    if (**fmt == '*') return (*fmt)++, va_arg(args->at, int);
    while (**fmt >= '0' && **fmt <= '9') n = 10 * n + *(*fmt)++ - '0';
    return n;
}

/* Everything between the % and the letter of the conversion. */
static Spec read_spec(const char **fmt, List *args)
{
    Spec s = {.precision = -1};
    size_t flags = strspn(*fmt, "-+ #0");
    memcpy(s.flags, *fmt, flags < sizeof s.flags - 2 ? flags : sizeof s.flags - 2);
    *fmt += flags;
    s.width = number(fmt, args);
    if (s.width < 0) {
        strcat(s.flags, "-");
        s.width = -s.width;
    }
    if (**fmt == '.') ++*fmt, s.precision = number(fmt, args);
    for (; **fmt && strchr("hljztL", **fmt); ++*fmt) s.size = s.size == 'l' ? 'L' : s.size == 'h' ? 'H' : **fmt;
    return s;
}

static intmax_t signed_of(char size, List *args)
{
    switch (size) {
    case 'l': return va_arg(args->at, long);
    case 'L': return va_arg(args->at, long long);
    case 'j': return va_arg(args->at, intmax_t);
    case 'z': return (intmax_t)va_arg(args->at, size_t);
    case 't': return va_arg(args->at, ptrdiff_t);
    case 'h': return (short)va_arg(args->at, int);
    case 'H': return (signed char)va_arg(args->at, int);
    default: return va_arg(args->at, int);
    }
}

static uintmax_t unsigned_of(char size, List *args)
{
    switch (size) {
    case 0: return va_arg(args->at, unsigned);
    case 'h': return (unsigned short)va_arg(args->at, unsigned);
    case 'H': return (unsigned char)va_arg(args->at, unsigned);
    default: return (uintmax_t)signed_of(size, args);
    }
}

/* The library's text of one number; long ones (%f of 1e300) are cut nowhere. */
#define PUT_NUMBER(value)                                                                                            \
    do {                                                                                                             \
        char text[512];                                                                                              \
        int n = snprintf(text, sizeof text, format, s->width, s->precision, value);                                  \
        if (n < (int)sizeof text)                                                                                    \
            put(k, text, (size_t)n, n);                                                                              \
        else if (k->file && !is_lost(k))                                                                             \
            k->columns += fprintf(k->file, format, s->width, s->precision, value);                                   \
    } while (0)

static void put_number(Sink *k, const Spec *s, char letter, List *args)
{
    bool real = strchr("aAeEfFgG", letter) != NULL;
    char format[24];
    snprintf(format, sizeof format, "%%%s*.*%s%c", s->flags,
             real            ? s->size == 'L' ? "L" : ""
             : letter == 'p' ? ""
                             : "j",
             letter);
    if (letter == 'p')
        PUT_NUMBER(va_arg(args->at, void *));
    else if (real && s->size == 'L')
        PUT_NUMBER(va_arg(args->at, long double));
    else if (real)
        PUT_NUMBER(va_arg(args->at, double));
    else if (letter == 'd' || letter == 'i')
        PUT_NUMBER(signed_of(s->size, args));
    else
        PUT_NUMBER(unsigned_of(s->size, args));
}

/* The text of %s or %c, made printable, in its field. */
static void put_string(Sink *k, const Spec *s, const char *text, size_t n)
{
    Sink count = {.out = (char[1]){0}, .room = 1};
    show(&count, text, n, AS_LINE);
    bool left = strchr(s->flags, '-');
    for (int i = count.columns; !left && i < s->width; i++) put(k, " ", 1, 1);
    show(k, text, n, AS_LINE);
    for (int i = count.columns; left && i < s->width; i++) put(k, " ", 1, 1);
}

static void put_conversion(Sink *k, const char **fmt, List *args)
{
    Spec s = read_spec(fmt, args);
    char letter = *(*fmt)++;
    if (letter == 's') {
        const char *text = va_arg(args->at, const char *);
        if (!text) text = "(null)";
        size_t n = s.precision < 0 ? strlen(text) : strnlen(text, (size_t)s.precision);
        put_string(k, &s, text, n == (size_t)s.precision ? text_whole(text, n) : n);
    } else if (letter == 'c') {
        put_string(k, &s, (char[1]){(char)va_arg(args->at, int)}, 1);
    } else if (letter == '%') {
        put(k, "%", 1, 1);
    } else {
        put_number(k, &s, letter, args);
    }
}

static int say(Sink *k, const char *fmt, va_list from)
{
    List args;
    va_copy(args.at, from);
    while (*fmt) {
        size_t plain = strcspn(fmt, "%");
        for (size_t n = 0, step; n < plain; n += step) {
            step = glyph_at(fmt + n, plain - n).bytes;
            put(k, fmt + n, step, 1);
        }
        fmt += plain;
        if (*fmt && *++fmt) put_conversion(k, &fmt, &args);
    }
    va_end(args.at);
    return k->columns;
}

/* ---- the calls */

int print_va(FILE *file, const char *fmt, va_list args)
{
    return say(&(Sink){.file = file}, fmt, args);
}

int print_into(char *out, size_t room, const char *fmt, va_list args)
{
    Sink k = {.out = out, .room = room};
    say(&k, fmt, args);
    out[k.len] = 0;
    return k.columns;
}

int print_to(FILE *file, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    int n = print_va(file, fmt, args);
    va_end(args);
    return n;
}

int print_out(const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    int n = print_va(stdout, fmt, args);
    va_end(args);
    return n;
}

int print_err(const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    int n = print_va(stderr, fmt, args);
    va_end(args);
    return n;
}

void print_layout(const char *text, size_t n)
{
    show(&(Sink){.file = stdout}, text, n, AS_LINES);
}

void print_document(const char *document)
{
    Sink k = {.file = stdout};
    show(&k, document, strlen(document), AS_JSON);
    put(&k, "\n", 1, 1);
}

char *text_shown(Arena *a, const char *s)
{
    char text[16];
    Buf b = buf_open(a);
    for (size_t i = 0, n = strlen(s); i < n;) {
        Glyph g = glyph_at(s + i, n - i);
        size_t len = instead(text, g, AS_PAGE);
        buf_add(&b, len ? text : s + i, len ? len : g.bytes);
        i += g.bytes;
    }
    return b.text;
}

void print_item(const char *left, int column, const char *text)
{
    enum { WIDTH = 100 };
    int at = print_out("%s", left);
    if (at >= column) at = (print_out("\n"), 0);
    print_out("%*s", column - at, "");
    at = column;
    while (*text) {
        int n = (int)strcspn(text, " ");
        if (at > column && at + 1 + n > WIDTH) at = (print_out("\n%*s", column, ""), column);
        at += print_out("%s%.*s", at > column ? " " : "", n, text);
        text += n + (int)strspn(text + n, " ");
    }
    print_out("\n");
}

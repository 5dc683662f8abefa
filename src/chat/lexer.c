/* Jinja's rules of white space with trim_blocks and lstrip_blocks: a tag or comment takes the blanks between the
 * start of its line and itself, and the newline behind it; "-" takes all white space on that side, "+" none. */
#include "chat/lexer.h"

#include <ctype.h>
#include <string.h>

typedef struct {
    Arena *arena;
    Tokens *out;
    const char *at, *end, *path;
    int line;
    bool line_start; /* the text that follows begins a line */
} Lexer;

static void add(Lexer *l, TokenKind kind, const char *s, size_t n)
{
    Tokens *t = l->out;
    GROW(l->arena, t->at, t->n, t->room, 64);
    t->at[t->n++] = (Token){kind, l->line, str_copy(l->arena, s, n), n};
}

static Status wrong(const Lexer *l, const char *what)
{
    return err_fail(E_FORMAT, "%s: chat template, line %d: %s", l->path, l->line, what);
}

static void count_lines(Lexer *l, const char *from, const char *to)
{
    for (; from < to; from++) l->line += *from == '\n';
}

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* The next "{{", "{%" or "{#", or the end. */
static const char *next_tag(const char *s, const char *end)
{
    for (; s + 1 < end; s++)
        if (*s == '{' && (s[1] == '{' || s[1] == '%' || s[1] == '#')) return s;
    return end;
}

/* The text before a tag, without the blanks that the tag takes. */
static void text_before(Lexer *l, const char *tag)
{
    const char *from = l->at, *to = tag;
    char sign = tag + 2 < l->end ? tag[2] : 0;
    if (tag < l->end && sign == '-') {
        while (to > from && is_space(to[-1])) to--;
    } else if (tag < l->end && tag[1] != '{' && sign != '+') {
        const char *line = to;
        while (line > from && line[-1] != '\n' && (line[-1] == ' ' || line[-1] == '\t')) line--;
        if ((line > from && line[-1] == '\n') || (line == from && l->line_start)) to = line;
    }
    if (to > from) add(l, T_TEXT, from, (size_t)(to - from));
    count_lines(l, from, tag);
    l->at = tag;
}

/* Behind the end of a tag at `s`, two bytes long: white space that the tag takes, by its sign. */
static void text_behind(Lexer *l, const char *s, char sign, bool block)
{
    const char *from = s + 2, *to = from;
    if (sign == '-')
        while (to < l->end && is_space(*to)) to++;
    else if (block && sign != '+' && to < l->end && *to == '\n')
        to++;
    count_lines(l, from, to);
    l->at = to;
    l->line_start = to[-1] == '\n';
}

static Status word(Lexer *l)
{
    const char *from = l->at;
    char quote = *l->at++;
    Buf b = buf_open(l->arena);
    for (; l->at < l->end && *l->at != quote; l->at++) {
        static const char NAMED[] = "ntrbf", AS[] = "\n\t\r\b\f";
        l->line += *l->at == '\n';
        if (*l->at != '\\' || l->at + 1 >= l->end) {
            buf_add(&b, l->at, 1);
            continue;
        }
        char c = *++l->at;
        const char *named = strchr(NAMED, c);
        if (c == 'x' || c == 'u' || c == 'U' || isdigit((unsigned char)c))
            return wrong(l, "a string with an escape of a number is not supported");
        if (named && c)
            buf_add(&b, AS + (named - NAMED), 1);
        else if (c == '\\' || c == '\'' || c == '"')
            buf_add(&b, &c, 1);
        else if (c != '\n')
            buf_add(&b, (const char[]){'\\', c}, 2);
    }
    if (l->at >= l->end) {
        l->at = from;
        return wrong(l, "a string has no end");
    }
    l->at++;
    add(l, T_WORDS, b.text, b.len);
    return OK;
}

static Status inner_token(Lexer *l)
{
    static const char *const MARKS[] = {"==", "!=", "<=", ">=", "//", "**", "<", ">", "=", "+", "-", "*", "/",
                                        "%",  "~",  "|",  ".",  ",",  ":",  "(", ")", "[", "]", "{", "}", NULL};
    const char *s = l->at;
    if (*s == '\'' || *s == '"') return word(l);
    if (isalpha((unsigned char)*s) || *s == '_') {
        while (l->at < l->end && (isalnum((unsigned char)*l->at) || *l->at == '_')) l->at++;
        add(l, T_NAME, s, (size_t)(l->at - s));
        return OK;
    }
    if (isdigit((unsigned char)*s)) {
        bool real = false;
        while (l->at < l->end && isdigit((unsigned char)*l->at)) l->at++;
        if (l->at + 1 < l->end && *l->at == '.' && isdigit((unsigned char)l->at[1])) {
            real = true;
            for (l->at++; l->at < l->end && isdigit((unsigned char)*l->at);) l->at++;
        }
        add(l, real ? T_REAL : T_INT, s, (size_t)(l->at - s));
        return OK;
    }
    for (const char *const *m = MARKS; *m; m++) {
        size_t n = strlen(*m);
        if ((size_t)(l->end - s) < n || memcmp(s, *m, n) != 0) continue;
        l->at += n;
        add(l, T_MARK, s, n);
        return OK;
    }
    return wrong(l, str_print(l->arena, "'%c' is no part of an expression", *s));
}

/* What is between "{{" and "}}", or "{%" and "%}".  A bracket that is open makes "}}" two closing braces. */
static Status inside(Lexer *l, bool block)
{
    const char *close = block ? "%}" : "}}";
    int open = 0;
    l->at += 2;
    if (l->at < l->end && (*l->at == '-' || *l->at == '+')) l->at++;
    add(l, block ? T_TAG_BEGIN : T_OUTPUT_BEGIN, "", 0);
    for (;;) {
        while (l->at < l->end && is_space(*l->at)) l->line += *l->at++ == '\n';
        if (l->end - l->at < 2) return wrong(l, block ? "{% has no %}" : "{{ has no }}");
        char sign = *l->at == '-' || *l->at == '+' ? *l->at : 0;
        const char *s = l->at + (sign != 0);
        if (l->end - s >= 2 && !memcmp(s, close, 2) && !(open && !block)) {
            add(l, block ? T_TAG_END : T_OUTPUT_END, "", 0);
            text_behind(l, s, sign, block);
            return OK;
        }
        open += (*l->at == '{') - (*l->at == '}');
        TRY(inner_token(l));
    }
}

static Status comment(Lexer *l)
{
    const char *s = l->at + 2;
    while (s + 1 < l->end && !(s[0] == '#' && s[1] == '}')) s++;
    if (s + 1 >= l->end) return wrong(l, "{# has no #}");
    count_lines(l, l->at, s);
    text_behind(l, s, s[-1] == '-' || s[-1] == '+' ? s[-1] : 0, true);
    return OK;
}

/* {% raw %} ... {% endraw %}: the text between is taken as it stands. */
static bool raw(Lexer *l)
{
    const char *s = l->at + 2, *from, *tag;
    s += s < l->end && (*s == '-' || *s == '+');
    while (s < l->end && is_space(*s)) s++;
    if (l->end - s < 3 || memcmp(s, "raw", 3) != 0) return false;
    for (s += 3; s < l->end && is_space(*s);) s++;
    char sign = s < l->end && (*s == '-' || *s == '+') ? *s++ : 0;
    if (l->end - s < 2 || memcmp(s, "%}", 2) != 0) return false;
    text_behind(l, s, sign, true);
    for (from = l->at, tag = from; (tag = next_tag(tag, l->end)) < l->end; tag++) {
        s = tag + 2;
        s += s < l->end && (*s == '-' || *s == '+');
        while (s < l->end && is_space(*s)) s++;
        if (l->end - s < 6 || memcmp(s, "endraw", 6) != 0) continue;
        for (s += 6; s < l->end && is_space(*s);) s++;
        sign = s < l->end && (*s == '-' || *s == '+') ? *s++ : 0;
        text_before(l, tag);
        text_behind(l, s, sign, true);
        return true;
    }
    return false;
}

Status tokens_of(Tokens *out, Arena *a, const char *text, size_t n, const char *path)
{
    Buf lines = buf_open(a); /* every end of a line is \n */
    for (size_t i = 0; i < n; i++) {
        if (text[i] == '\r' && i + 1 < n && text[i + 1] == '\n') continue;
        buf_add(&lines, text[i] == '\r' ? "\n" : text + i, 1);
    }
    if (lines.len && lines.text[lines.len - 1] == '\n') lines.len--;
    *out = (Tokens){0};
    Lexer l = {.arena = a, .out = out, .at = lines.text, .end = lines.text + lines.len, .path = path, .line = 1};
    l.line_start = true;
    while (l.at < l.end) {
        text_before(&l, next_tag(l.at, l.end));
        if (l.at >= l.end) break;
        if (l.at[1] == '%' && raw(&l)) continue;
        if (l.at[1] == '#')
            TRY(comment(&l));
        else
            TRY(inside(&l, l.at[1] == '%'));
    }
    add(&l, T_END, "", 0);
    return OK;
}

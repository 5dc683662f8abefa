/* The scanner tries, in this order: white space, comments, strings (with their prefixes), words, numbers, regular
 * expressions, operators.  Whatever runs to the end of the text when unclosed is one token, and a regular expression
 * that finds no end on its line is remembered, so no byte is looked at more than a few times. */
#include "text/lex.h"

#include <stdint.h>
#include <string.h>

#include "text/lex_table.h"

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(const LexTable *t, char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (unsigned char)c >= 0x80 ||
           (c == '$' && t->dollar);
}

static bool at_text(const Lexer *x, size_t at, const char *s)
{
    size_t n = strlen(s);
    return n <= x->len - at && !memcmp(x->text + at, s, n);
}

static size_t line_end(const Lexer *x, size_t at)
{
    const char *p = memchr(x->text + at, '\n', x->len - at);
    return p ? (size_t)(p - x->text) : x->len;
}

/* After the next `close` from `at` on, or the end of the text. */
static size_t after(const Lexer *x, size_t at, const char *close, size_t n, bool *open)
{
    const char *p = memmem(x->text + at, x->len - at, close, n);
    *open = !p;
    return p ? (size_t)(p - x->text) + n : x->len;
}

/* The end of a string whose opening mark ends at `at`.  In a template's ${ } only braces count, so a template inside
 * it closes nothing; a brace in a string in there would be miscounted. */
static size_t string_end(const Lexer *x, size_t at, const StringForm *f, bool *open)
{
    size_t n = strlen(f->close);
    int64_t braces = 0;
    *open = false;
    while (at < x->len) {
        char c = x->text[at];
        if (c == '\n' && !f->lines) break;
        if (f->escapes && c == '\\' && at + 1 < x->len) {
            at += x->text[at + 1] == '\n' && x->lang == LANG_JAVA && !f->lines ? 1 : 2;
        } else if (braces > 0) {
            braces += (c == '{') - (c == '}');
            at++;
        } else if (f->holes && at_text(x, at, "${")) {
            braces = 1;
            at += 2;
        } else if (!at_text(x, at, f->close)) {
            at++;
        } else if (f->doubled && at_text(x, at + n, f->close)) {
            at += 2 * n;
        } else {
            return at + n;
        }
    }
    *open = true;
    return at < x->len ? at : x->len;
}

/* C++'s R"delim( ... )delim", from the quotation mark on; 0 when it is not one. */
static size_t raw_end(const Lexer *x, size_t quote, bool *open)
{
    char close[20] = ")";
    size_t n = 0;
    while (n < 16 && quote + 1 + n < x->len && !strchr("() \\\t\v\f\n\"", x->text[quote + 1 + n])) n++;
    size_t at = quote + 1 + n;
    if (at >= x->len || x->text[at] != '(') return 0;
    memcpy(close + 1, x->text + quote + 1, n);
    close[n + 1] = '"';
    return after(x, at + 1, close, n + 2, open);
}

/* C#'s raw strings: three or more quotation marks, closed by as many. */
static size_t quotes_end(const Lexer *x, size_t quote, bool *open)
{
    size_t n = 0, run = 0;
    while (quote + n < x->len && x->text[quote + n] == '"') n++;
    *open = false;
    for (size_t at = quote + n; at < x->len; at++) {
        run = x->text[at] == '"' ? run + 1 : 0;
        if (run == n) return at + 1;
    }
    *open = true;
    return x->len;
}

/* The end of the string that begins here, with its prefix; 0 where none does. */
static size_t string_at(const Lexer *x, const LexTable *t, bool *open)
{
    size_t at = x->at, most = 0;
    while (most < 3 && at < x->len && !(is_digit(x->text[at]) && most == 0) && x->text[at] &&
           strchr(t->prefixes, x->text[at]))
        at++, most++;
    if (at >= x->len) return 0;
    if (t->raw && at > x->at && x->text[at] == '"' && x->text[at - 1] == 'R') {
        size_t end = raw_end(x, at, open);
        if (end) return end;
    }
    if (t->quotes) {
        size_t quote = at;
        while (quote < x->len && quote < at + 8 && x->text[quote] == '$') quote++; /* bounded: linear */
        if (at_text(x, quote, "\"\"\"")) return quotes_end(x, quote, open);
    }
    for (const StringForm *f = t->strings; f->open; f++)
        if (at_text(x, at, f->open)) return string_end(x, at + strlen(f->open), f, open);
    return 0;
}

static size_t comment_at(const Lexer *x, const LexTable *t, bool *open)
{
    if (t->line_comment && at_text(x, x->at, t->line_comment)) return line_end(x, x->at);
    if (t->block_open && at_text(x, x->at, t->block_open))
        return after(x, x->at + strlen(t->block_open), t->block_close, strlen(t->block_close), open);
    return 0;
}

/* Digits, letters (hexadecimal, exponents, suffixes), one point after another digit or before one, a sign after an
 * exponent's letter, and the marks between digits. */
static size_t number_end(const Lexer *x, const LexTable *t)
{
    const char *s = x->text;
    size_t at = x->at;
    bool hexadecimal = at + 1 < x->len && s[at] == '0' && (s[at + 1] | 32) == 'x', point = false;
    while (at < x->len) {
        char c = s[at], before = at > x->at ? (char)(s[at - 1] | 32) : 0;
        bool digit_next = at + 1 < x->len && is_digit(s[at + 1]);
        if (is_digit(c) || (is_letter(t, c) && (unsigned char)c < 0x80 && c != '$')) {
            at++;
        } else if (c == '.' && !point &&
                   (digit_next || !(at + 1 < x->len && (is_letter(t, s[at + 1]) || s[at + 1] == '.')))) {
            point = true;
            at++;
        } else if ((c == '+' || c == '-') && digit_next && before == (hexadecimal ? 'p' : 'e')) {
            at++;
        } else if (t->digit_mark && c == t->digit_mark && (digit_next || hexadecimal) && at + 1 < x->len &&
                   (is_digit(s[at + 1]) || (((s[at + 1] | 32) >= 'a') && ((s[at + 1] | 32) <= 'f')))) {
            at++;
        } else {
            break;
        }
    }
    return at;
}

/* From the opening slash; 0 when no slash closes it on its line. */
static size_t regex_end(Lexer *x)
{
    bool set = false;
    size_t at = x->at + 1;
    for (; at < x->len && x->text[at] != '\n'; at++) {
        char c = x->text[at];
        if (c == '\\' && at + 1 < x->len && x->text[at + 1] != '\n')
            at++;
        else if (c == '[')
            set = true;
        else if (c == ']')
            set = false;
        else if (c == '/' && !set)
            break;
    }
    if (at >= x->len || x->text[at] == '\n') {
        x->no_regex = at;
        return 0;
    }
    at++;
    while (at < x->len && x->text[at] >= 'a' && x->text[at] <= 'z') at++;
    return at;
}

static size_t operator_end(const Lexer *x, const LexTable *t)
{
    for (const char *const *o = t->operators; *o; o++)
        if (at_text(x, x->at, *o)) return x->at + strlen(*o);
    return x->at + 1;
}

static LexKind word_kind(const LexTable *t, const char *word, size_t n)
{
    if (lex_listed(t->primitives, word, n)) return LEX_TYPE;
    return lex_listed(t->keywords, word, n) ? LEX_KEYWORD : LEX_IDENTIFIER;
}

/* After a value a slash divides; after an operator or a keyword like return it opens a regular expression. */
static bool ends_value(const Lexer *x, const Lexeme *e)
{
    static const char *const VALUES[] = {"false", "null", "super", "this", "true", NULL};
    char last = x->text[e->end - 1];
    switch (e->kind) {
    case LEX_KEYWORD: return lex_listed(VALUES, x->text + e->begin, e->end - e->begin);
    case LEX_OPERATOR: return last == ')' || last == ']' || last == '}';
    case LEX_COMMENT: return x->value;
    default: return true;
    }
}

Lexer lex_open(Lang lang, const char *text, size_t len)
{
    return (Lexer){.lang = lang, .text = text, .len = len};
}

static Lexeme scan(Lexer *x, const LexTable *t)
{
    char c = x->text[x->at];
    bool open = false, number = is_digit(c) || (c == '.' && x->at + 1 < x->len && is_digit(x->text[x->at + 1]));
    size_t end;
    if ((end = comment_at(x, t, &open)) > 0) return (Lexeme){LEX_COMMENT, open, x->at, end};
    if ((end = string_at(x, t, &open)) > 0) return (Lexeme){LEX_STRING, open, x->at, end};
    if (is_letter(t, c)) {
        for (end = x->at + 1; end < x->len && (is_letter(t, x->text[end]) || is_digit(x->text[end]));) end++;
        return (Lexeme){word_kind(t, x->text + x->at, end - x->at), false, x->at, end};
    }
    if (number) return (Lexeme){LEX_NUMBER, false, x->at, number_end(x, t)};
    if (t->regex && c == '/' && !x->value && x->at >= x->no_regex && (end = regex_end(x)) > 0)
        return (Lexeme){LEX_STRING, false, x->at, end};
    if (c > 32 && c < 127) return (Lexeme){LEX_OPERATOR, false, x->at, operator_end(x, t)};
    return (Lexeme){LEX_OTHER, false, x->at, x->at + 1};
}

bool lex_next(Lexer *x, Lexeme *out)
{
    while (x->at < x->len && x->text[x->at] && strchr(" \t\r\n\f\v", x->text[x->at])) x->at++;
    if (x->at >= x->len) return false;
    *out = scan(x, &LEX_TABLE[x->lang]);
    x->value = ends_value(x, out);
    x->at = out->end;
    return true;
}

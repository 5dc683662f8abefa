/* The tokens of a program text in six languages: where each begins and ends, and its kind.
 *
 * One scanner, driven by a table of the differences between the languages: keywords, primitive types, operators, how
 * comments and strings open and close.  It reads any bytes: a byte that fits nothing is a LEX_OTHER, and a
 * string or block comment that is never closed ends with the line or with the text and is marked (`open`).  It does
 * not parse: a preprocessor line is an operator and words, and in JavaScript the token before a slash decides between
 * a division and a regular expression.  Time is linear in the text; nothing is allocated.
 *
 *   Lexer lexer = lex_open(LANG_JAVA, text, len);
 *   for (Lexeme t; lex_next(&lexer, &t);) ... text[t.begin..t.end) ... */
#ifndef TEXT_LEX_H
#define TEXT_LEX_H

#include <stdbool.h>
#include <stddef.h>

typedef enum { LANG_NONE, LANG_JAVA, LANG_C, LANG_CPP, LANG_CSHARP, LANG_PYTHON, LANG_JAVASCRIPT, LANGS } Lang;
const char *lang_name(Lang);                    /* "java", "c", "cpp", "csharp", "python", "javascript"; "none" */
Lang lang_find(const char *name);               /* LANG_NONE when there is no such language */
Lang lang_of_path(const char *path);            /* by the file's ending; a header (.h) counts as C */
const char *const *lang_primitives(Lang);       /* NULL-ended, sorted; empty for Python and JavaScript */
extern const char *const LANG_NAMES[LANGS + 1]; /* NULL-ended, for option tables */

typedef enum {
    LEX_IDENTIFIER,
    LEX_KEYWORD,
    LEX_TYPE, /* the keyword of a primitive type */
    LEX_NUMBER,
    LEX_STRING, /* characters, text blocks, templates and regular expressions too */
    LEX_COMMENT,
    LEX_OPERATOR, /* and punctuation */
    LEX_OTHER
} LexKind;

typedef struct {
    LexKind kind;
    bool open; /* a string or comment that is not closed */
    size_t begin, end;
} Lexeme;

typedef struct {
    Lang lang;
    const char *text;
    size_t len, at;
    size_t no_regex; /* no regular expression closes before here */
    bool value;      /* the last token ends a value, so a slash divides */
} Lexer;

Lexer lex_open(Lang, const char *text, size_t len); /* LANG_NONE: words, numbers and single symbols */
bool lex_next(Lexer *, Lexeme *out);                /* false at the end; white space is between tokens */

#endif

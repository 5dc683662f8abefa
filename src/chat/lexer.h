/* A template as a row of tokens: texts, already without the white space that tags take away, and what stands in
 * tags. */
#ifndef CHAT_LEXER_H
#define CHAT_LEXER_H

#include "base/err.h"
#include "base/str.h"

typedef enum {
    T_END,
    T_TEXT,
    T_OUTPUT_BEGIN,
    T_OUTPUT_END,
    T_TAG_BEGIN,
    T_TAG_END,
    T_NAME,
    T_WORDS, /* a string literal, its escapes undone */
    T_INT,
    T_REAL,
    T_MARK /* an operator or bracket */
} TokenKind;
typedef struct {
    TokenKind kind;
    int line;
    const char *s; /* ends with NUL */
    size_t n;
} Token;
typedef struct {
    Token *at;
    int n, room;
} Tokens;

Status tokens_of(Tokens *out, Arena *, const char *text, size_t n, const char *path);

#endif

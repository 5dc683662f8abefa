/* The differences between the languages of lex.h, as data. */
#ifndef TEXT_LEX_TABLE_H
#define TEXT_LEX_TABLE_H

#include "text/lex.h"

/* How a string opens, after its prefix letters, and how it closes. */
typedef struct {
    const char *open, *close;
    bool escapes, lines; /* a backslash hides the next byte; may run over the end of a line */
    bool doubled;        /* the closing mark twice is one of its bytes, not the end */
    bool holes;          /* ${ } inside holds code: a JavaScript template */
} StringForm;

typedef struct {
    const char *name;
    const char *endings;                             /* " .java .jav " with blanks around each */
    const char *const *keywords, *const *primitives; /* sorted, NULL-ended */
    const char *const *operators;                    /* longest first, NULL-ended; single symbols need no entry */
    const StringForm *strings;                       /* longest opening first; ends with {0} */
    const char *prefixes; /* letters that may stand before a string's opening, in any mix */
    const char *line_comment, *block_open, *block_close;
    bool raw;        /* C++: R"x( ... )x" */
    bool quotes;     /* C#: as many quotation marks close as opened */
    bool regex;      /* JavaScript */
    bool dollar;     /* $ is a letter */
    char digit_mark; /* between digits, besides the underscore: ' in C and C++ */
} LexTable;
extern const LexTable LEX_TABLE[LANGS];

bool lex_listed(const char *const *sorted, const char *word, size_t n);

#endif

/* Commits as words, for networks that learn their own word vectors: which words there are, and the rows of word ids
 * that a network reads.
 *
 * Code is cleaned line by line (text/codeclean.h) and lower-cased; a line without words counts as blank.  A message
 * is its lower-cased words and signs.  An id below WORD_FIRST is no word: 0 fills rows, 1 stands for unknown words.
 *
 *   TRY(words_learn(&code, &run, &train, WORDS_OF_CODE, 2, 10, 2));      seen at least twice
 *   rows = code_rows(&run, &change, &code, (CodeRows){.files = 2, .lines = 10, .words = 64});  */
#ifndef TASKS_WORDS_H
#define TASKS_WORDS_H

#include <cjson/cJSON.h>

#include "base/table.h"
#include "tasks/jit.h"

enum { WORD_NONE, WORD_UNKNOWN, WORD_FIRST };
typedef struct {
    int64_t n;         /* ids: the words and the WORD_FIRST before them */
    const char **word; /* (n), the first WORD_FIRST are NULL */
    Table id;
} Words;
typedef struct { /* one line, or a message */
    const int32_t *id;
    int32_t n;
} IdRow;

typedef struct {
    int64_t files, lines, words; /* at most: files of a side, rows of a file or of what is joined, words of a row */
    bool joined;                 /* all files and both sides are one run of rows: the added sides come first */
    bool whole;                  /* joined: a row is a side of a file, not a line */
    bool as_published;           /* an unknown word is WORD_NONE, an ordinary word there */
} CodeRows;
/* The words that stand at least `least` times in the lines that are read, in the order of their first use. */
Words words_of_code(Arena *, const JitSet *, const CodeRows *, int64_t least);
/* The words in the messages of at least `least` commits. */
Words words_of_messages(Arena *, const JitSet *, int64_t most, int64_t least);

/* (sides, files, lines) rows, the removed side before the added one; or (lines) where joined. */
IdRow *code_rows(Arena *, const CodeChange *, const Words *, const CodeRows *);
int64_t code_rows_n(const CodeRows *);
IdRow message_row(Arena *, const CodeChange *, const Words *, int64_t most, bool as_published);
/* label[id] is 1 for each word of the row, WORD_NONE among them when the row has fewer than `most`; (n) of zeros. */
void words_mark(float *label, IdRow, int64_t most);

cJSON *words_json(const Words *);
/* E_FORMAT names the path: not a list of distinct words. */
Status words_read(Words *, Arena *, const cJSON *root, const char *key, const char *path);

#endif

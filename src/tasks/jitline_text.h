/* What JITLine reads of a commit: its changed lines as counts of words.
 *
 * A line is cleaned (text/codeclean.h).  A document is the set of the cleaned added lines and the set of the
 * removed ones; a line that begins with # is left out.  Words are runs of two or more letters, digits and
 * underscores in lower case, as scikit-learn's CountVectorizer finds them; the vocabulary has those of at least
 * `least` documents, in the order of their code points.
 *
 *     Bytes text = jitline_document(&run, &change, true);
 *     Vocabulary v = vocabulary_learn(&run, texts, n, 3);
 *     vocabulary_count(&rows, &step, &v, text); */
#ifndef TASKS_JITLINE_TEXT_H
#define TASKS_JITLINE_TEXT_H

#include "base/file.h"
#include "base/table.h"
#include "change/change.h"
#include "learn/sparse.h"

/* A line, cleaned; without the words that are Python's built-in functions or keywords where `drop_python`. */
Bytes jitline_line(Arena *, const char *text, size_t n, bool drop_python);
bool jitline_skips(const char *text, size_t n); /* such a line is no part of the document */
Bytes jitline_document(Arena *, const CodeChange *, bool drop_python);

/* The next word of a text in lower case. */
bool jitline_word(const char **at, const char *end, const char **word, size_t *n);

typedef struct {
    int64_t n;
    Bytes *word;  /* (n) ascending */
    Table column; /* of each word */
} Vocabulary;
Vocabulary vocabulary_learn(Arena *, const Bytes *document, int64_t n, int64_t least);
Vocabulary vocabulary_of(Arena *, Bytes *word, int64_t n); /* of known words, which must be ascending */
/* Adds the counts of a document's words to the row that is open. */
void vocabulary_count(SparseRows *, Arena *scratch, const Vocabulary *, Bytes document);
/* The columns of a text's words that the vocabulary has, one for each occurrence; returns their number. */
int64_t vocabulary_columns(int32_t **column, Arena *, const Vocabulary *, Bytes text);

#endif

/* The parts of the rows of the three probing tasks.
 *
 *   typ   a method, its tokens with single blanks between; ORIG, or FAULT: with a wrong primitive type
 *   ccm   a commit message and a change, <add> before each added and <del> before each removed line; True: they
 *         belong together
 *   ltp   a change with one tag replaced by <mask>: was the line added (add) or removed (del)? */
#ifndef PROBE_PROBETEXT_H
#define PROBE_PROBETEXT_H

#include "base/file.h"
#include "base/table.h"
#include "probe/dataset.h"

typedef enum { TASK_TYP, TASK_CCM, TASK_LTP, TASKS } ProbeTask;
extern const char *const TASK_NAMES[TASKS + 1]; /* NULL-ended */

typedef enum { MARK_ADD, MARK_DEL, MARK_MASK, MARKS } Mark;
extern const char *const MARK_TEXT[MARKS]; /* "<add>", "<del>", "<mask>" */
typedef struct {
    Mark mark;
    const char *text; /* inside the row, up to the next tag */
    size_t len;
} Segment;

/* The segments from the first tag on; *message is the length of the text before it and may be NULL. */
int64_t text_segments(Segment **out, Arena *, const char *text, size_t len, size_t *message);
int64_t text_masked(const Segment *, int64_t n); /* the place of the <mask>, or -1 */

/* A set of words: runs of letters, cut where the case changes (parseHTTPLine: parse, http, line), in lower case, of
 * `least` letters or more, and (stem > 0) their first `stem` letters.  Numbers come from the vocabulary; sorted. */
typedef struct {
    int64_t n;
    int32_t *id;
} WordSet;
WordSet word_set(Arena *, Table *vocabulary, const char *text, size_t len, int least, int stem);
double word_overlap(WordSet, WordSet); /* Jaccard: shared over all; 0 when both are empty */

/* Eight primitive types of Java, and the results of one swap of adjacent letters in them. */
bool java_is_primitive(const char *word, size_t len);
bool java_is_misspelling(const char *word, size_t len);

/* seen[i] (N): the row's subject, or of ccm its message, is also that of a training row; true of those. */
void text_seen(bool *seen, ProbeTask, const Dataset *);

/* The subject of a row, which must not be in two splits: of typ the method without its types, of ccm the change, of
 * ltp its lines without their tags.  On the arena. */
Bytes text_subject(Arena *, ProbeTask, const Example *);

#endif

/* A change as CodeReviewer (Li et al., FSE 2022) and CCT5 (Lin et al., FSE 2023) read it, and their pretraining
 * objectives.  One hunk stands in its file, with a tag before each of its lines and without line breaks:
 *
 *   line line <start> <del> line <add> line <keep> line <end> line line
 *
 * Where the hunk is too long, its first line goes, then lines from the end, as the published code does it; where it
 * is short, lines of the old file are added on both sides.  CodeReviewer measures lines in words at that stage (at
 * most 200), CCT5 in tokens (at most 512 less the message).  Text that spells a symbol, "<add>", stays text.
 *
 *   ReviewPlan plan;
 *   TRY(review_plan(&plan, &tokenizer, REVIEW_CCT5, vocab));
 *   int64_t n = hunks_of(&hunk, &run, &change->file[f], message);
 *   review_lines(&lines, &run, &hunk[0], &plan);
 *   x = review_example(&run, &lines, &plan, REVIEW_PL2NL, &draws); */
#ifndef TASKS_REVIEW_H
#define TASKS_REVIEW_H

#include "change/change.h"
#include "text/tokenizer.h"

typedef enum { REVIEW_CODEREVIEWER, REVIEW_CCT5, REVIEW_FORMS } ReviewForm;
extern const char *const REVIEW_FORM[REVIEW_FORMS + 1]; /* "codereviewer", "cct5"; ends with NULL */

/* ---- a hunk in its file */

typedef struct {
    int64_t n, n_before, n_after;
    ChangeLine *line;      /* (n) in diff order */
    Bytes *before, *after; /* lines of the old file around it, as far as they are known, in their order */
    Bytes message;         /* of the commit, or the reviewer's comment; may be empty */
} Hunk;
/* A patch of one hunk, "@@ -a,b +c,d @@" in front, and the whole old file.  false: it has another first line, or no
 * line that is not blank, and is left out. */
bool hunk_read(Hunk *, Arena *, const char *patch, const char *old, const char *message);
bool hunk_header(Bytes line, int64_t *first, int64_t *n); /* that form, and the lines of the old file in it */
/* The hunks of a file of a change, as git cuts them: with three kept lines around, where the record has them.  All
 * other lines of the old file that the record has stand around a hunk.  Hunks without a line are left out. */
int64_t hunks_of(Hunk **out, Arena *, const ChangeFile *, const char *message);

/* ---- the lines that a model reads */

enum { REVIEW_SENTINELS = 100, REVIEW_CONTEXT = LINE_KINDS };
typedef struct {
    ReviewForm form;
    const Tokenizer *tokenizer;
    int source, target; /* tokens at most, with their frames: 512 and 128 */
    int32_t bos, eos, mask, msg, start, end, tag[LINE_KINDS], sentinel[REVIEW_SENTINELS]; /* <e0>, <e1>, ... */
} ReviewPlan;
/* Symbols that the tokenizer lacks get the ids behind it.  E_MISMATCH: a table of `vocab` rows (0: any number) has no
 * row for one of them, or there is no begin and end token. */
Status review_plan(ReviewPlan *, const Tokenizer *, ReviewForm, int vocab);
extern const char *const REVIEW_SYMBOLS[]; /* all of them as CCT5 adds them, for a new tokenizer; NULL-ended */

typedef struct {
    int64_t n;
    int32_t **id, *len;
    int *kind;           /* (n) LineKind, or REVIEW_CONTEXT: a line of the old file around the hunk */
    int64_t first, last; /* lines of the hunk, both inclusive; first > last: none is left */
    int32_t *message, n_message;
} ReviewLines;
void review_lines(ReviewLines *, Arena *, const Hunk *, const ReviewPlan *);

/* ---- objectives */

/* The first four are CodeReviewer's, the others CCT5's, whose fifth (code from its data flow) is not built. */
#define REVIEW_OBJECTIVES(X)                                                                                         \
    X(COMMENT, "comment")                 /* change -> comment */                                                    \
    X(DENOISE_COMMENT, "denoise comment") /* comment alone, spans hidden -> spans */                                 \
    X(TAGS, "diff tags")                  /* tags hidden -> tags, from the encoder */                                \
    X(DENOISE_LINES, "denoise lines")     /* change, lines hidden -> lines */                                        \
    X(MLM_CODE, "MLM4CC")                 /* change, lines hidden, and message -> lines */                           \
    X(MLM_MESSAGE, "MLM4CM")              /* message, spans hidden, half the time behind the change -> spans */      \
    X(NL2PL, "NL2PL")                     /* change without added lines, and message -> added lines */               \
    X(PL2NL, "PL2NL")                     /* change -> message */
typedef enum {
#define X(name, says) REVIEW_##name,
    REVIEW_OBJECTIVES(X)
#undef X
        REVIEW_OBJECTIVE_COUNT
} ReviewObjective;
extern const char *const REVIEW_OBJECTIVE[REVIEW_OBJECTIVE_COUNT];

typedef struct { /* uniform numbers in [0,1) */
    uint64_t stream, n;
    const double *given; /* instead of the stream's, or NULL */
} ReviewDraws;

typedef struct {
    int32_t *source, *target;
    int32_t *tag; /* (n_source) the tag that stood at a masked position, else -1; NULL: another objective */
    int32_t n_source, n_target; /* n_target 0: the decoder learns nothing */
} ReviewExample;
/* All but diff tags, denoise lines and MLM4CC without a message need one. */
ReviewExample review_example(Arena *, const ReviewLines *, const ReviewPlan *, ReviewObjective, ReviewDraws *);

/* ---- fine-tuning */

/* Comment or message generation: a tag and the text of each line that is not blank, without more of the file. */
ReviewExample review_simple(Arena *, const char *patch, const char *message, const ReviewPlan *);
/* The same of a change record, the hunks of all its files one after the other. */
ReviewExample review_simple_change(Arena *, const CodeChange *, Bytes message, const ReviewPlan *);
/* Refinement of code by a comment, with 200 tokens a side: the old lines and the comment -> the new lines. */
ReviewExample review_refinement(Arena *, const char *old, const char *new, const char *comment, const ReviewPlan *);

#endif

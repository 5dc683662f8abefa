/* Causal language modelling on the user's own texts: a decoder learns to continue them.
 *
 * Files are read as
 *
 *   {"text": "..."}                              JSON Lines or an array; every token is scored
 *   .csv, .tsv                                   the same column of a table with a line of names
 *   {"prompt": "...", "completion": "..."}       the completion's tokens are scored
 *   {"messages": [{"role", "content"}, ...]}     rendered by the model's chat template; the assistant's are scored
 *   plain text                                   .txt, or anything that begins with no JSON object: one long text,
 *                                                cut into blocks; every token is scored
 *
 * An end-of-text token follows each text and each completion; a chat template writes its own.  With
 * LmPlan.score_all the prompts and the other roles are scored, too.  The first token of a text has nothing in
 * front of it and is never scored.  Special tokens that a text spells are these tokens, as in the libraries.
 *
 *   LmSet all, train, valid;
 *   TRY(lm_read(&all, &run, "notes.jsonl", "text"));
 *   lm_cut(&train, &valid, &run, &all, 0.1, seed);
 *   TRY(lm_tokens(&x, &run, &train, model, &tokenizer, &plan));          config.loss stays NULL: model_loss */
#ifndef TASKS_LM_H
#define TASKS_LM_H

#include "chat/chat.h"
#include "train/evaluate.h"

enum { LM_LEAST = 8, LM_MOST = 1024 }; /* tokens that an example may be limited to at least; of the default limit */
#define LM_KEY "text"                  /* the member of a row that holds its text, by default */
extern const char *const LM_SCORE[3];  /* "completion", "all"; ends with NULL */
typedef enum { LM_TEXT, LM_COMPLETION, LM_CHAT } LmKind;
typedef struct {
    int64_t line; /* where it begins */
    LmKind kind;
    Bytes text, completion; /* a text; a prompt and its completion; a conversation as JSON */
} LmRecord;
typedef struct {
    const char *path;
    int64_t n;
    LmRecord *record; /* (n) in the order of the file */
    bool packed;      /* plain text: one record, to be cut into blocks */
} LmSet;
/* `key`: the member that holds the text of a row.  E_FORMAT names path:line; E_MISMATCH: there is no text. */
Status lm_read(LmSet *, Arena *, const char *path, const char *key);
/* A share of the records, drawn by the seed, goes to valid; of plain text its end, from the start of a line on. */
void lm_cut(LmSet *train, LmSet *valid, Arena *, const LmSet *, double share, uint64_t seed);
bool lm_has_chats(const LmSet *);

typedef struct {
    int length;  /* tokens of an example at most */
    int32_t end; /* behind each text, or -1 */
    bool score_all;
    const Chat *chat; /* NULL: conversations cannot be rendered */
} LmPlan;
/* The end-of-text token that the tokenizer names, else the model's; -1: the model has a row for neither. */
int32_t lm_end(const Model *, const Tokenizer *);
Status lm_writes(const Model *); /* E_MISMATCH: not a decoder alone, with its head */

typedef struct {
    Examples x;             /* ids, len and target: the token that follows each, or -1 */
    int64_t *line;          /* (x.n) of the record; of plain text the number of the block */
    int64_t cut, empty;     /* records whose end is cut; those with no token to score, which are left out */
    int64_t tokens, scored; /* of the examples */
} LmTexts;
/* E_MISMATCH: nothing is scored; the tokenizer has ids that the model has no rows for; naming path:line, a
 * conversation whose rendering does not begin with the rendering of its first messages. */
Status lm_tokens(LmTexts *out, Arena *, const LmSet *, const Model *, const Tokenizer *, const LmPlan *);

/* One epoch of the examples, in batches of little padding. */
Status lm_evaluate(Evaluation *, Model *, const Hooks *, const Examples *, Arena *step);

/* The same for each example alone, (x->n).  `each`, when not NULL, may stop by returning false: E_INTERRUPT. */
Status lm_score(Evaluation *, Model *, const Hooks *, const Examples *x, Arena *step,
                bool (*each)(int64_t done, void *user), void *user);
Evaluation lm_total(const Evaluation *, int64_t n); /* of all of them together, each by its scored tokens */

#endif

/* The second stage of a tokenizer: the normalised text is cut into words, which the model then cuts into tokens one
 * by one.  A step cuts every word of the step before; some steps also write into the text (a blank in front, U+2581
 * for a blank, printable characters for bytes). */
#ifndef TEXT_SPLITTER_H
#define TEXT_SPLITTER_H

#include <cjson/cJSON.h>

#include "text/normal.h"
#include "text/pattern.h"

typedef enum {
    BEHAVE_REMOVED, /* matches go */
    BEHAVE_ISOLATED,
    BEHAVE_PREVIOUS, /* a match ends the word before it */
    BEHAVE_NEXT,     /* a match begins the word behind it */
    BEHAVE_CONTIGUOUS
} Behaviour;
typedef enum { PREFIX_NEVER, PREFIX_FIRST, PREFIX_ALWAYS } Prefix;
typedef enum {
    SPLIT_PATTERN,
    SPLIT_LENGTH,
    SPLIT_SCRIPTS,
    SPLIT_BERT,
    SPLIT_BLANK,
    SPLIT_META,
    SPLIT_SPELL
} SplitKind;
typedef struct {
    SplitKind kind;
    Pattern pattern; /* SPLIT_PATTERN */
    Behaviour behaviour;
    bool invert;
    int64_t length;   /* SPLIT_LENGTH: characters */
    const char *mark; /* SPLIT_META: the sign of a blank */
    Prefix prefix;    /* SPLIT_META: which words get one in front */
} SplitStep;
enum { SPLIT_MOST = 32 };
typedef struct {
    SplitStep step[SPLIT_MOST];
    int n;
    bool alone; /* one pre-tokenizer, not a Sequence */
    bool bytes; /* the model cuts bytes, which its vocabulary spells as printable characters (ByteLevel) */
} Splitter;

typedef struct {
    int64_t begin, end;
} Span;
typedef struct {
    Normal text;
    Span *word;
    int64_t n, room;
} Words;

Status splitter_add(Splitter *, SplitStep, const char *path); /* E_FORMAT: too many */
Status splitter_read(Splitter *, Arena *, const cJSON *, const char *path);
Status splitter_add_bytes(Splitter *, bool prefix_space, bool regex, const char *path); /* ByteLevel */
Status splitter_add_bert(Splitter *, const char *path);                                 /* BertPreTokenizer */
void splitter_finish(Splitter *); /* a last step that spells bytes is left to the model */
Words splitter_run(const Splitter *, Arena *, Normal, bool first); /* first: nothing of the source is before it */
const Scan *splitter_scan(
    const Splitter *); /* of a splitter that does nothing but cut at a scanner; NULL: it does more */
void splitter_close(Splitter *);

#endif

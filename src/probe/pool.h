/* The changes that a probing set is drawn from, cut to the parts that the tasks need.  Internal to make.h. */
#ifndef PROBE_POOL_H
#define PROBE_POOL_H

#include "probe/make.h"

typedef struct {
    Mark mark;   /* MARK_ADD or MARK_DEL */
    bool header; /* a file's path */
    const char *text;
    size_t len;
} PoolLine;

typedef struct {
    const char *repo, *message; /* message: one line */
    Lang lang;
    int64_t n, chars;
    PoolLine *line;     /* (n) per file its path before and after, then its lines in diff order, no context */
    const char *method; /* typ: tokens with single blanks between */
} PoolItem;

typedef struct {
    int64_t n;
    PoolItem *item; /* in an order drawn from the seed */
} ChangePool;

Status pool_read(ChangePool *, Arena *, const MakeOptions *, MakeStats *);
/* The longest whole method in the text, as tokens; with `fragments` the whole text where there is none; NULL when
 * there is no primitive type in it, or fewer than 15 tokens. */
char *pool_method(Arena *, const char *text, size_t len, bool fragments);

/* The recipes: each appends rows until `size` is filled.  Rows of a split are put in random order afterwards. */
typedef struct {
    Arena *arena;
    const MakeOptions *options;
    MakeStats *stats;
    Dataset *set;
    int64_t left[SPLITS]; /* rows still to come */
} Maker;
void maker_add(Maker *, Split, int label, const char *text, size_t len);
int maker_split(const Maker *, int64_t rows); /* the first split with room for so many rows; SPLITS when none has */
Status make_typ(Maker *, const ChangePool *);
Status make_ccm(Maker *, const ChangePool *);
Status make_ltp(Maker *, const ChangePool *);

#endif

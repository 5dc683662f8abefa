/* A commit as git reads it, which is more forgiving than libgit2: lines of people without brackets, dates that are
 * words or out of range, and text in any encoding do not make a commit unreadable.
 *
 * git's rules (commit.c, ident.c): a commit begins with "tree ID" and its "parent ID" lines.  A person is the text
 * before '<', the address the text before the first '>', the time the digits behind the last '>'.  Text is in the
 * encoding that the header names, else in UTF-8.  A time that is not there or does not fit is unknown, and not 1970
 * as in git; the author's time then stands for the committer's. */
#ifndef CHANGE_COMMIT_H
#define CHANGE_COMMIT_H

#include "change/pack.h"

typedef struct {
    unsigned char tree[20];
    unsigned char (*parent)[20]; /* (n_parents) on the arena */
    int64_t n_parents;
    int64_t time; /* of the committer, or else of the author; TIME_UNKNOWN (change.h) when neither can be read */
} CommitLinks;

typedef struct {
    const char *name, *email; /* of the author; "" when the line has none */
    const char *message;      /* without the empty lines at its ends */
    const char *unknown;      /* the encoding of the header when this system does not have it, else NULL */
} CommitText;

bool commit_links(CommitLinks *, Arena *, const Object *); /* false: it is not a commit */
/* Bytes that do not convert to UTF-8 become U+FFFD and are counted. */
void commit_text(CommitText *, Arena *, const Object *, int64_t *replaced);

#endif

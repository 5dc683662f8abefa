/* Commit messages: what kind of commit one announces, and the sentence that a generator should learn from it. */
#ifndef TASKS_SUBJECT_H
#define TASKS_SUBJECT_H

#include "base/str.h"

typedef enum {
    SUBJECT_PLAIN,
    SUBJECT_MERGE,
    SUBJECT_REVERT,
    SUBJECT_RELEASE,
    SUBJECT_BOT,
    SUBJECT_KINDS
} SubjectKind;

/* By its words and by who made it: merges and pull requests; reverts; releases, version bumps and change logs;
 * dependency robots and other machines. */
SubjectKind subject_kind(const char *message, const char *author, const char *email);

/* The first line without ticket numbers, signatures and the brackets they leave; addresses become <url> and <email>,
 * hashes <hash>; white space is one blank.  On the arena. */
char *subject_clean(Arena *, const char *message);
int subject_words(const char *subject);
bool subject_readable(const char *subject); /* ASCII, and half of it or more are letters */

#endif

/* Commit messages: the kind of commit that one announces, and the sentence that a generator should learn from it. */
#ifndef CHANGE_SUBJECT_H
#define CHANGE_SUBJECT_H

#include "base/str.h"

typedef enum {
    SUBJECT_PLAIN,
    SUBJECT_MERGE, /* not from the message: a commit with several parents */
    SUBJECT_REVERT,
    SUBJECT_RELEASE,
    SUBJECT_BOT,
    SUBJECT_UNREADABLE, /* see subject_readable */
    SUBJECT_KINDS
} SubjectKind;

/* A robot is an account, not a word: a name or the local part of an address that ends in "[bot]", a known robot's
 * name or address, or one of `bots` (names and addresses between commas, or NULL); each is compared as a whole, upper
 * and lower case alike.  A revert has the subject that git revert writes (Revert "...") or its sentence
 * (This reverts commit HASH.).  A release is a subject that holds a version and, apart from words like "release" and
 * "bump to", nothing else. */
SubjectKind subject_kind(const char *message, const char *author, const char *email, const char *bots);

/* The first line without issue numbers, signatures and the brackets around them; addresses become <url> and <email>,
 * hashes <hash>; white space is one blank.  On the arena.
 *
 * A reference (#12, owner/name#12, GH-12), or the key of a tracker or a well-known project (JIRA-12, HBASE-12),
 * goes where it stands alone: in brackets, at the end, and at the start before a mark.  A key whose prefix is one
 * of `prefixes` (ABC,XYZ; NULL: none more) goes wherever it is; with "" all keys stay.  By its form alone a key
 * cannot be distinguished from a name (UTF-8, IE-11).  The text around a key stays. */
char *subject_clean(Arena *, const char *message, const char *prefixes);
int subject_words(const char *subject);
bool subject_readable(const char *subject); /* ASCII, and half of it or more are letters */

#endif

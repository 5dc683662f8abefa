/* A git repository to read from: its commits in order, and the changes of each, through libgit2.
 *
 * A worktree, its .git directory or a bare repository; a shallow one ends where its history was cut.  Nothing of the
 * repository is run or obeyed: libgit2 executes no hooks, the configuration of the user and of the system is not
 * read, and lines are compared without reading attributes, so neither drivers nor filters take part.  That is
 * also why a repository that belongs to another user is read all the same (`foreign`).  Objects that are missing or
 * damaged are named, counted and passed over; those that a partial clone has not fetched are not fetched here.
 * Commits are those that `git log` shows: replacements (git replace), info/grafts and HEAD's .mailmap are followed,
 * and text is converted from the encoding that a commit names. */
#ifndef CHANGE_REPO_H
#define CHANGE_REPO_H

#include "change/change.h"

typedef struct Repo Repo;
typedef struct {
    bool bare, shallow, foreign;
    bool partial;           /* a partial clone: some contents were never fetched, and none is fetched now */
    int64_t unreadable;     /* commits whose object is missing or damaged */
    int64_t damaged;        /* objects of any type found damaged so far; repo_remark names them */
    char tip[41], from[41]; /* the resolved range: the ids of B and A (empty when none) of A..B */
} RepoAbout;

typedef struct {
    unsigned char id[20], tree[20];
    int64_t time;   /* of the committer (commit.h), or TIME_UNKNOWN */
    int32_t parent; /* the first parent's place in the list; -1: none, or it is not there */
    int16_t n_parents;
    bool wanted;  /* in the range; the others come before it and matter to those who follow files through time */
    bool cut;     /* the first parent is not there: the commit's changes are unknown */
    bool lost;    /* a parent cannot be read: commits behind it are not in the list */
    bool shallow; /* it is cut because the clone is shallow here, and not because an object is damaged or missing */
} RepoCommit;

typedef struct {
    const char *old_path, *new_path; /* as the trees have them: any bytes, not always UTF-8 */
    FileStatus status;
    unsigned char old_id[20], new_id[20]; /* of the contents */
    bool unsure;                          /* added or renamed: a deciding content cannot be read (renames.h) */
} RepoDelta;

/* Binary is defined as in git (a NUL in the first 8,000 bytes).  Huge, missing (not fetched by a partial clone, or
 * gone) and damaged contents are unknown: nothing may be counted from them, and no zero stands for them. */
typedef enum { LINES_OK, LINES_BINARY, LINES_HUGE, LINES_MISSING, LINES_DAMAGED, LINES_RESULTS } LinesResult;

Status repo_open(Repo **out, Arena *run, const char *path); /* E_IO: there is no repository at the path */
const RepoAbout *repo_about(Repo *);
/* Every commit that `range` (A..B, B, or NULL for HEAD) can reach, parents first and the older before the younger:
 * the order depends on the commits alone.  E_CONFIG: the range names nothing. */
Status repo_history(Repo *, const char *range, const RepoCommit **out, int64_t *n);
/* Id, parents, time, author and message of a commit; false when it cannot be read.  *email may be NULL; bytes that
 * are no UTF-8 are replaced and counted. */
bool repo_describe(Repo *, Arena *, const RepoCommit *, CodeChange *out, const char **email, int64_t *replaced);
/* The regular files that a commit changed against its first parent, or all of a root's, by path; a renamed file is a
 * deleted and an added one (renames.h pairs them).  False when a tree cannot be read. */
bool repo_diff(Repo *, Arena *, const RepoCommit *, RepoDelta **out, int64_t *n);
/* The lines of one file with `context` kept ones around each change; contents of more than `most` bytes are huge. */
LinesResult repo_lines(Repo *, Arena *, const RepoDelta *, int context, int64_t most, ChangeFile *out,
                       int64_t *replaced);
/* How many lines the contents with this id have; none when the id is all zeros (a file that is not there). */
LinesResult repo_count(Repo *, const unsigned char id[20], int64_t most, int64_t *lines);
/* How many lines a change adds and removes, as `git show --numstat` counts them; a huge side makes it unknown. */
LinesResult repo_numstat(Repo *, const RepoDelta *, int64_t most, int64_t *added, int64_t *removed);
/* The bytes with this id, on the arena; LINES_BINARY and LINES_OK alike fill them in. */
LinesResult repo_contents(Repo *, Arena *, const unsigned char id[20], int64_t most, Bytes *);
/* The next remark on the repository, one line each; NULL when there are no more. */
const char *repo_remark(Repo *);
/* Long work ends soon after `stop` answers true, with E_INTERRUPT or with an answer that means nothing; repo_stopped
 * reports that this happened. */
void repo_watch(Repo *, bool (*stop)(void));
bool repo_stopped(const Repo *);
/* `large` is called each time before more than REPO_LARGE bytes are read and compared: `stop` is not called then. */
enum { REPO_LARGE = 1 << 19 };
void repo_watch_large(Repo *, void (*large)(void *user), void *user);
void repo_close(Repo *);

#endif

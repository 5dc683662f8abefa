/* A git repository to read from: its commits in order, and what each one changed, through libgit2.
 *
 * A worktree, its .git directory or a bare repository; a shallow one ends where its history was cut.  Nothing of the
 * repository is run or obeyed: libgit2 executes no hooks, the configuration of the user and of the system is not
 * read, and lines are compared without looking at attributes, so neither drivers nor filters have a say.  That is
 * also why a repository that belongs to another user is read all the same (`foreign`).  Objects that are missing or
 * damaged are counted and passed over. */
#ifndef TASKS_REPO_H
#define TASKS_REPO_H

#include "tasks/change.h"

typedef struct Repo Repo;
typedef struct {
    bool bare, shallow, foreign;
    int64_t unreadable;     /* commits whose object is missing or damaged */
    char tip[41], from[41]; /* what the range came to: the ids of B and A (empty when none) of A..B */
} RepoAbout;

typedef struct {
    unsigned char id[20];
    int64_t time;   /* of the committer */
    int32_t parent; /* the first parent's place in the list; -1: none, or it is not there */
    int16_t n_parents;
    bool wanted; /* in the range; the others come before it and matter to those who follow files through time */
    bool cut;    /* a parent is not there (a shallow clone, a damaged object): what it changed is unknown */
} RepoCommit;

typedef struct {
    const char *old_path, *new_path;
    FileStatus status;
    unsigned char old_id[20], new_id[20]; /* of the contents */
} RepoDelta;

typedef enum { LINES_OK, LINES_BINARY, LINES_HUGE, LINES_UNREADABLE, LINES_RESULTS } LinesResult;

Status repo_open(Repo **out, Arena *run, const char *path); /* E_IO: there is no repository at the path */
const RepoAbout *repo_about(const Repo *);
/* Every commit that `range` (A..B, B, or NULL for HEAD) can reach, parents first and the older before the younger:
 * the order depends on the commits alone.  E_CONFIG: the range names nothing. */
Status repo_history(Repo *, const char *range, const RepoCommit **out, int64_t *n);
/* Id, parents, time, author and message of a commit; false when it cannot be read.  *email may be NULL; bytes that
 * are no UTF-8 are replaced and counted. */
bool repo_describe(Repo *, Arena *, const RepoCommit *, CodeChange *out, const char **email, int64_t *replaced);
/* The regular files that a commit changed against its first parent, or all of a root's; renames are followed by
 * similarity (git's one half) unless more than `most_renames` files changed.  False when a tree cannot be read. */
bool repo_diff(Repo *, Arena *, const RepoCommit *, int64_t most_renames, const RepoDelta **out, int64_t *n);
/* The lines of one file with `context` kept ones around each change; contents of more than `most` bytes are huge. */
LinesResult repo_lines(Repo *, Arena *, const RepoDelta *, int context, int64_t most, ChangeFile *out,
                       int64_t *replaced);
void repo_close(Repo *);

#endif

/* Mining: a repository's commits to change records (change.h), filtered as the commit-message sets are and as the
 * options say, written so that a killed run can go on.
 *
 *   Mine *m;
 *   TRY(mine_open(&m, &arena, &options));
 *   for (bool more = true; more && !interrupted;) TRY(mine_step(m, &more));       on failure the caller closes
 *   TRY(mine_close(m));
 *
 * Records go to OUT.vernier.part; beside it OUT.state records the options, how many commits were done, and how long
 * that file was then.  The order of commits depends on the history alone, so the next run of the same options cuts
 * the file there and goes on with the next one: no record is lost or written twice, whatever killed the run.  Both
 * files carry a SHA-256, and a changed file is refused (E_FORMAT).  So is the unfinished run of other
 * options, or of a branch that has moved since (E_CONFIG), until the caller wants it anew.  A finished run renames
 * and tidies up.  With features the past has to be walked again, because they depend on all before it. */
#ifndef CHANGE_MINE_H
#define CHANGE_MINE_H

#include "change/repo.h"
#include "change/subject.h"

typedef struct {
    const char *path, *out;
    const char *range;        /* A..B, B, or NULL for HEAD; an open end is HEAD */
    const char *repo;         /* its name in the records */
    bool lang[LANGS];         /* files of these languages are taken, others are passed over */
    bool mixed;               /* keep changes whose files are of several languages */
    bool keep[SUBJECT_KINDS]; /* keep merges, reverts, releases, robots, unreadable messages, too */
    const char *bots;         /* further robots: names or addresses between commas; NULL: the known ones alone */
    const char *issues;       /* prefixes of issue keys between commas, as of subject_clean() */
    bool whole_message;       /* the message as it is, unfiltered; else its cleaned subject */
    bool features;            /* compute the fourteen measures; commits before the range count as history */
    bool resume;              /* an unfinished run keeps its range, wherever the branch is by now */
    bool anew;                /* an unfinished run is begun again */
    int context;              /* kept lines around a change */
    int min_words, max_words;
    int64_t max_files;    /* of a change; 0 in any of these: no limit */
    int64_t max_chars;    /* of a change's lines and one line of context, without the blanks at their ends */
    int64_t max_bytes;    /* of a file */
    int64_t rename_limit; /* of renames.h; the configuration of git is not used */
    int64_t since, until; /* seconds since 1970; until is exclusive */
    int64_t most;         /* stop after so many records */
    bool (*stop)(void);   /* called during long work; true ends it before the commit is done; may be NULL */
    /* Called with -1 before work that cannot be stopped, when all before it is saved and the process may end at any
     * moment, and with 1 at its end; may be NULL. */
    void (*patience)(int change);
} MineOptions;
void mine_defaults(MineOptions *); /* the filters of the commit-message sets; path and out are the caller's */

/* The outcomes of the commits.  Every commit of the range is in exactly one of those from `written` on. */
#define MINE_COUNTS(X)                                                                                               \
    X(written, "written")                                                                                            \
    X(dated, "outside the dates")                                                                                    \
    X(merge, "merges (several parents)")                                                                             \
    X(bot, "by robots (known accounts, [bot])")                                                                      \
    X(revert, "reverts (the sentence of git revert)")                                                                \
    X(release, "releases (a version is the whole subject)")                                                          \
    X(words, "message too short or too long")                                                                        \
    X(unreadable_message, "message not ASCII or hardly any letters")                                                 \
    X(no_code, "no file in the languages")                                                                           \
    X(languages, "files of several languages")                                                                       \
    X(files, "too many files")                                                                                       \
    X(chars, "too many characters")                                                                                  \
    X(no_lines, "no line changed")                                                                                   \
    X(binary, "a binary file")                                                                                       \
    X(huge, "a file too large")                                                                                      \
    X(damaged, "objects missing or damaged")                                                                         \
    X(cut, "parent not there (shallow clone)")
enum {
#define X(name, says) MINE_##name,
    MINE_COUNTS(X)
#undef X
        MINE_REASONS
};
extern const char *const MINE_SAYS[MINE_REASONS], *const MINE_NAME[MINE_REASONS];

typedef struct {
    int64_t done, total; /* commits of the walk; with features those before the range, too */
    int64_t count[MINE_REASONS];
    int64_t replaced; /* bytes that were no UTF-8 */
    int64_t limited;  /* commits with too many files for inexact renames */
    int64_t untimed;  /* commits whose time cannot be read; dates do not leave them out */
    int64_t unknown;  /* records with a measure that is unknown */
    int64_t resumed;  /* commits that an earlier run had done */
} MineStats;

typedef struct Mine Mine;
Status mine_open(Mine **out, Arena *run, const MineOptions *);
Status mine_step(Mine *, bool *more); /* one commit; none when stopped */
const MineStats *mine_stats(const Mine *);
const RepoAbout *mine_about(const Mine *);
const char *mine_remark(Mine *); /* on the repository, as repo_remark */
Status mine_close(Mine *);       /* renames when all is done, else leaves the state to resume from */

#endif

/* Code changes as data: the changes of a commit to each file, its message, and the facts known about it.
 *
 * A record holds the change in diff order: per file its lines, each kept, added or removed.  The file format is JSON
 * Lines, one change a row (or an array of them):
 *
 *   {"repo": "a/b", "id": "0c1f...", "parents": ["..."], "author": "Ann", "time": 1202059522, "message": "...",
 *    "files": [{"old": "src/A.java", "new": "src/A.java", "status": "modified", "lang": "java",
 *               "lines": [" kept", "-removed", "+added"]}],
 *    "label": 1, "kind": "rename", "features": {"la": 3, ...}}
 *
 * label (1: the change introduced a defect), kind (of a generated change) and features are there where they are
 * known; a single feature that is not is null, and NaN in memory.  Text is UTF-8; bytes that are not become U+FFFD
 * and are counted.  A path that is not UTF-8 is written as git quotes it: "a\351.c", with the quotation marks.
 *
 * Three other layouts are read, distinguished by their fields: a mined commit with `diff`
 * ("<keep>path<add>line<del>line" ...; a kept segment that is a path opens a file) and `msg`, and a defect-prediction
 * commit with `added` and `removed` line lists, whose paths and interleaving are unknown (`ordered` is false, one
 * Java file with an empty path), and a hunk of CodeReviewer's data with `patch`, its comment in `msg` and its label
 * in `y` (one Java file with an empty path, too; the old file is not read).
 *
 *   ChangeReader in;
 *   TRY(changes_open(&in, path));
 *   for (bool more = true; more;) {
 *       ArenaMark mark = arena_mark(&a);
 *       TRY(changes_next(&in, &a, &c, &more));      on failure, too, the caller closes
 *       ...
 *       arena_drop(&a, mark);
 *   }
 *   changes_close(&in); */
#ifndef CHANGE_CHANGE_H
#define CHANGE_CHANGE_H

#include "base/lines.h"
#include "text/lex.h"

typedef enum { LINE_KEEP, LINE_ADD, LINE_DEL, LINE_KINDS } LineKind;
extern const char *const LINE_MARK[LINE_KINDS]; /* "<keep>", "<add>", "<del>", as the mined layout has them */
typedef struct {
    LineKind kind;
    const char *text; /* len bytes and a final NUL, no newline */
    size_t len;
} ChangeLine;

typedef enum { FILE_MODIFIED, FILE_ADDED, FILE_DELETED, FILE_RENAMED, FILE_STATUSES } FileStatus;
typedef struct {
    const char *old_path, *new_path; /* the same unless renamed; both are set for an added or deleted file, too */
    FileStatus status;
    Lang lang;
    int64_t n;
    ChangeLine *line; /* (n) in diff order; context lines as far as they were recorded */
} ChangeFile;

/* Kamei's fourteen measures, in the order that the study feeds them to a model; history.h defines them. */
#define FEATURES(X) X(la) X(ld) X(nf) X(ns) X(nd) X(entropy) X(ndev) X(lt) X(nuc) X(age) X(exp) X(rexp) X(sexp) X(fix)
enum {
#define X(name) FEATURE_##name,
    FEATURES(X)
#undef X
        N_FEATURES
};
extern const char *const FEATURE_NAME[N_FEATURES];

#define TIME_UNKNOWN INT64_MIN

typedef struct {
    const char *repo, *id, *author, *message, *kind; /* "" where unknown */
    const char **parent;                             /* (n_parents) ids */
    int n_parents;
    int64_t time; /* seconds since 1970, of the commit; or TIME_UNKNOWN, null in the file */
    int64_t n_files;
    ChangeFile *file;
    int label;    /* 1 introduced a defect, 0 did not, -1 unknown */
    bool ordered; /* lines are interleaved as in the diff and paths are known */
    bool has_features;
    double feature[N_FEATURES];
} CodeChange;

typedef struct {
    RowReader rows;
    int64_t replaced; /* bytes that were no UTF-8, and NULs */
} ChangeReader;

Status changes_open(ChangeReader *, const char *path);
/* The next row into *out, on the arena; blank lines are skipped; *more is false at the end.  E_FORMAT names file:line
 * and the form expected there.  Memory is that of the longest row. */
Status changes_next(ChangeReader *, Arena *, CodeChange *out, bool *more);
void changes_close(ChangeReader *);
/* All rows of a file at once.  E_MISMATCH: it has none. */
Status changes_read(CodeChange **out, int64_t *n, Arena *, const char *path);

/* A path of a repository as it stands in a record: as it is, or quoted as git does where it is not UTF-8 or begins
 * with a quotation mark, so that two paths never look the same. */
const char *change_path(Arena *, const char *bytes);
void change_print(Buf *, const CodeChange *); /* one row with its newline */
int64_t change_count(const CodeChange *, LineKind);
Bytes change_text(Arena *, const CodeChange *); /* for a tokenizer to learn from: the message, the changed lines */

#endif

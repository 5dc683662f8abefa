/* Kamei's fourteen measures of a commit, computed from the history before it.
 *
 * Give every commit that is not a merge, oldest first, with the source files it touched (of the languages under
 * study).  A file keeps its past when it is renamed, and when it is deleted and made again.  A file that is made at
 * a name from which another was renamed away is a new one.  Paths are bytes.
 *
 * A file that is made again at the path of a deleted one has the former's changes, authors and last change: the path
 * is the file's identity, not its life.  Kamei et al. count "the number of unique changes to the modified files" and
 * leave deletions open.  The tools in use (Commit Guru and those after it) keep one entry for each path
 * and never remove it, and the published values of JIT-Defects4J are reproduced this way.  A deletion that is
 * reverted, too, costs the file no past.
 *
 *   la, ld    lines added, removed            nf, ns, nd   files; distinct first directories; distinct directories
 *   entropy   -sum p log2 p of the files' shares of the changed lines
 *   ndev      distinct authors so far of the files, a new file counting its maker; files touched together share
 *   lt        size (lines added - removed so far) of the known files, summed, over nf; can be negative
 *   nuc       the files' earlier changes, summed: a deletion and the changes before it count
 *   age       days since the known files' last change, summed, over nf
 *   exp       the author's earlier commits (with or without source files)
 *   rexp      the same, each weighing 1 / (1 + years since)
 *   sexp      the author's earlier commits in each touched subsystem (first directory), averaged over ns
 *   fix       1 when the message holds bug, fix, wrong, error, fail, problem or patch
 *
 * "root" stands for the directory of a file at the top.  A commit without source files has zeros but for exp, rexp
 * and fix.  An author is the e-mail in lower case, or the name.
 *
 * Anything that cannot be read is unknown, and so is each measure that needs it; an unknown measure is NaN.  Contents
 * that cannot be read (missing, damaged, over a limit, binary) leave la, ld and entropy unknown.  From then on the
 * size of the file is unknown, and with it lt, until `before` gives its lines.  An added file of which it is unknown
 * whether it was renamed (`unsure`) leaves lt, nuc, age and ndev unknown, and nuc and ndev of its later changes, too.
 * A commit whose list of files cannot be read (history_lose) may have changed any file that is there.  So nuc and
 * ndev of these files are unknown from then on, age at their next change, and lt until `before` gives their lines;
 * files that are added later are not concerned.  In which subsystems the author worked is unknown, too, and sexp of
 * the author's later commits with it; exp and rexp count the commit.  Behind a commit that cannot be read at all may
 * lie any number of others by anyone: exp, rexp and sexp of all authors are unknown as well.
 * A commit of unknown time leaves age unknown, its own and that of the next change to its files, and rexp unknown,
 * its own and that of its author's later commits.
 *
 * Source: Kamei et al., "A large-scale empirical study of just-in-time quality assurance", 2013, in the form that
 * reproduces JIT-Defects4J's published values. */
#ifndef CHANGE_HISTORY_H
#define CHANGE_HISTORY_H

#include "change/change.h"

typedef struct {
    const char *old_path, *new_path; /* the same unless renamed */
    FileStatus status;
    int64_t added, removed, before; /* lines; -1: unknown.  before: of the old content, wanted by history_asks */
    bool unsure;                    /* added, or perhaps renamed from a file that cannot be read */
} Touched;

typedef struct History History;
History *history_open(Arena *);
/* Whether history_add needs `before`: the size of the file is unknown.  Its lines need not be counted otherwise. */
bool history_asks(const History *, const Touched *);
void history_add(History *, double out[N_FEATURES], const char *author, int64_t time, const char *message,
                 const Touched *file, int64_t n);
/* A commit whose files cannot be read, or (author NULL) that is missing, along with all commits behind it. */
void history_lose(History *, const char *author, int64_t time);
/* A file that is outside the languages before or after it was renamed: its past goes with it all the same. */
void history_rename(History *, const char *old_path, const char *new_path);
void history_close(History *); /* the arena keeps the rest */

#endif

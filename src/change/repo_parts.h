/* Declarations shared by the files of the repository reader: repo.c (opening, one commit, one file), repo_names.c
 * (names to ids, grafts, .mailmap) and repo_graph.c (the commits in order). */
#ifndef CHANGE_REPO_PARTS_H
#define CHANGE_REPO_PARTS_H

#include "change/commit.h"
#include "change/mailmap.h"
#include "change/objects.h"
#include "change/repo.h"

struct Repo {
    Arena *arena, scratch; /* of the caller, for all that stays; for one answer */
    const char *path;
    git_repository *git;
    git_odb *objects;
    Objects *store;
    Mailmap mailmap; /* HEAD's, empty when it has none */
    RepoAbout about;
    void (*large)(void *user);
    void *large_user;
    Table cut;       /* ids of the commits whose parents a shallow clone lacks */
    Table grafts;    /* id -> place in `graft`: other parents than the commit's own */
    Table encodings; /* those that this system does not have and that were remarked on */
    CommitLinks *graft;
    int64_t n_grafts;
    RepoCommit *commit;
    int64_t n, room;
};

/* E_FORMAT: where libgit2 would open a file of the repository at the path is a pipe, a device or a directory. */
Status repo_check_files(Arena *, const char *path);
const char *repo_git_says(void); /* the reason of libgit2's last failure */
/* Tree, parents (as replacements and grafts have them) and time of a commit, on the arena. */
ObjectState repo_links(Repo *, Arena *, const unsigned char id[20], CommitLinks *);
/* The commit that a name stands for: a reference, an id, and ~ and ^ behind them.  E_CONFIG: it names none; E_FORMAT:
 * the named object is damaged. */
Status repo_resolve(Repo *, const char *name, unsigned char id[20]);
void repo_read_replacements(Repo *);
void repo_read_grafts(Repo *); /* info/grafts and shallow */
void repo_read_mailmap(Repo *);

#endif

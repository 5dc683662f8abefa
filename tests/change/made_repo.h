/* A git repository made by a test, object by object, so that it can hold objects that git itself would not write. */
#ifndef TESTS_MADE_REPO_H
#define TESTS_MADE_REPO_H

#include <git2.h>
#include <sys/stat.h>

#include "scratch.h"
#include "change/repo.h"

static git_repository *git;
static const char *root; /* the worktree */

static void ok(int code)
{
    if (code) print_message("# libgit2: %s\n", git_error_last() ? git_error_last()->message : "?");
    assert_int_equal(code, 0);
}

static int begin_repo(void **state)
{
    if (begin(state)) return 1;
    git_libgit2_init();
    return 0;
}

static int end_repo(void **state)
{
    git_repository_free(git);
    git_libgit2_shutdown();
    return end(state);
}

static void new_repo(const char *name)
{
    git_repository_free(git);
    root = str_print(&arena, "%s/%s", dir, name);
    ok(git_repository_init(&git, root, 0));
}

static const char *hex(git_oid id)
{
    char s[41];
    return str_copy(&arena, git_oid_tostr(s, sizeof s, &id), 40);
}

static git_oid write_object(git_object_t type, const char *s, size_t n)
{
    git_odb *odb;
    git_oid id;
    ok(git_repository_odb(&odb, git));
    ok(git_odb_write(&id, odb, s, n, type));
    git_odb_free(odb);
    return id;
}

static git_oid blob(const char *s, size_t n)
{
    return write_object(GIT_OBJECT_BLOB, s, n);
}

static git_oid text_blob(const char *s)
{
    return blob(s, strlen(s));
}

/* A tree of one file, or of two when `other` is a name. */
static git_oid tree_of_two(const char *name, git_oid id, const char *other, git_oid other_id)
{
    git_treebuilder *b;
    git_oid out;
    ok(git_treebuilder_new(&b, git, NULL));
    ok(git_treebuilder_insert(NULL, b, name, &id, GIT_FILEMODE_BLOB));
    if (other) ok(git_treebuilder_insert(NULL, b, other, &other_id, GIT_FILEMODE_BLOB));
    ok(git_treebuilder_write(&out, b));
    git_treebuilder_free(b);
    return out;
}

static git_oid tree_of(const char *name, git_oid id)
{
    return tree_of_two(name, id, NULL, id);
}

/* A commit whose author and committer lines are `person`, with more lines of the header (each with its newline) and
 * any message. */
static git_oid commit_of(git_oid tree, const git_oid *parent, const char *person, const char *header,
                         const char *message)
{
    Buf b = buf_open(&arena);
    buf_print(&b, "tree %s\n", hex(tree));
    if (parent) buf_print(&b, "parent %s\n", hex(*parent));
    buf_print(&b, "author %s\ncommitter %s\n%s\n%s", person, person, header, message);
    return write_object(GIT_OBJECT_COMMIT, b.text, b.len);
}

static const char *dated(int day)
{
    return str_print(&arena, "Ann <ann@x.org> %d +0000", 1600000000 + 86400 * day);
}

static void set_branch(const char *ref, git_oid id)
{
    git_reference *r;
    ok(git_reference_create(&r, git, ref, &id, 1, NULL));
    git_reference_free(r);
}

static void write_in_git(const char *name, const char *text)
{
    const char *path = str_print(&arena, "%s/.git/%s", root, name);
    mkdir(str_print(&arena, "%s/.git/info", root), 0777);
    assert_int_equal(file_write(path, text, strlen(text)), OK);
}

static inline const char *loose_path(git_oid id)
{
    const char *h = hex(id);
    return str_print(&arena, "%s/.git/objects/%.2s/%s", root, h, h + 2);
}

/* Three commits that each add a line to a.c, on the branch HEAD names. */
static git_oid made[3], made_tree[3], made_blob[3];
static inline void three_commits(void)
{
    const char *text = "";
    for (int i = 0; i < 3; i++) {
        text = str_print(&arena, "%sint f%d;\n", text, i);
        made_blob[i] = text_blob(text);
        made_tree[i] = tree_of("a.c", made_blob[i]);
        made[i] = commit_of(made_tree[i], i ? &made[i - 1] : NULL, dated(i), "",
                            str_print(&arena, "Add the line f%d\n", i));
    }
    git_reference *head;
    ok(git_reference_lookup(&head, git, "HEAD"));
    set_branch(git_reference_symbolic_target(head), made[2]);
    git_reference_free(head);
}

#endif

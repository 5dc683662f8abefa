/* A commit, the files it changed, and their lines.  Objects come from objects.h, which checks them: nothing damaged
 * reaches libgit2, which then compares trees and lines. */
#include <git2/sys/repository.h>
#include <string.h>
#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/lsan_interface.h>
#endif

#include "change/repo_parts.h"

void repo_watch(Repo *r, bool (*stop)(void))
{
    objects_watch(r->store, stop);
}

void repo_watch_large(Repo *r, void (*large)(void *user), void *user)
{
    r->large = large;
    r->large_user = user;
}

bool repo_stopped(const Repo *r)
{
    return objects_stopped(r->store);
}

const char *repo_remark(Repo *r)
{
    return objects_remark(r->store);
}

const RepoAbout *repo_about(Repo *r)
{
    r->about.damaged = objects_damaged(r->store);
    return &r->about;
}

/* Nobody's configuration but the repository's own (which locates its objects), and bounded caches. */
static void set_up(void)
{
    git_libgit2_init();
    for (int level = GIT_CONFIG_LEVEL_PROGRAMDATA; level <= GIT_CONFIG_LEVEL_GLOBAL; level++)
        git_libgit2_opts(GIT_OPT_SET_SEARCH_PATH, level, "");
    git_libgit2_opts(GIT_OPT_SET_CACHE_MAX_SIZE, (ssize_t)96 << 20);
    git_libgit2_opts(GIT_OPT_SET_MWINDOW_SIZE, (size_t)32 << 20);
    git_libgit2_opts(GIT_OPT_SET_MWINDOW_MAPPED_LIMIT, (size_t)256 << 20);
}

/* Whether a setting of the repository's own configuration is this one; value NULL: any. */
static bool is_set(const git_config *c, const char *name, const char *value)
{
    const char *set;
    return !git_config_get_string(&set, c, name) && (!value || !strcasecmp(set, value));
}

/* Whether the objects that a remote promised are fetched when they are needed: remote.NAME.promisor. */
static bool has_promisor(const git_config *c)
{
    git_config_iterator *all;
    git_config_entry *e;
    bool found = false;
    if (git_config_iterator_new(&all, c)) return false;
    while (!git_config_next(&e, all)) {
        const char *last = strrchr(e->name, '.');
        found |= !strncmp(e->name, "remote.", 7) && !strcmp(last, ".promisor") &&
                 (!e->value || !strcasecmp(e->value, "true") || !strcmp(e->value, "1"));
    }
    git_config_iterator_free(all);
    return found;
}

/* git log would follow these; they are not used here (renames.h), with a remark. */
static void remark_on_renames(Repo *r)
{
    static const char *const NAME[] = {"diff.renameLimit", "diff.renames"};
    git_config *c;
    const char *set;
    if (git_repository_config_snapshot(&c, r->git)) return;
    for (size_t i = 0; i < sizeof NAME / sizeof *NAME; i++)
        if (!git_config_get_string(&set, c, NAME[i]))
            objects_note(r->store,
                         "%s: its configuration sets %s to %.20s, which is not followed: the records depend on the "
                         "commits alone",
                         r->path, NAME[i], set);
    git_config_free(c);
}

/* Of the extensions of the format, those that can be read are followed, and the others are named. */
static Status heed_extensions(Repo *r)
{
    git_config *c;
    Status s = OK;
    if (git_repository_config_snapshot(&c, r->git))
        return err_fail(E_FORMAT, "%s: its configuration cannot be read: %s", r->path, repo_git_says());
    if (is_set(c, "extensions.objectformat", NULL) && !is_set(c, "extensions.objectformat", "sha1"))
        s = err_fail(E_FORMAT, "%s: the ids of the repository are SHA-256, expected SHA-1: libgit2 reads no other",
                     r->path);
    else if (is_set(c, "extensions.refstorage", NULL) && !is_set(c, "extensions.refstorage", "files"))
        s = err_fail(E_FORMAT, "%s: the references of the repository are not in files, and libgit2 reads no others",
                     r->path);
    r->about.partial = is_set(c, "extensions.partialclone", NULL) || has_promisor(c);
    git_config_free(c);
    return s;
}

/* libgit2 1.5 matches the names of a repository's extensions (git_config_foreach_match) and never frees PCRE2's
 * results, one pcre2_match_data a name.  The leak check of a sanitizer build overlooks the allocations
 * of this call alone, so that it finds this program's own leaks in PCRE2: the stack of the lost allocation ends
 * within PCRE2 and would not distinguish the two. */
static int open_with_leak(Repo *r)
{
#if defined(__SANITIZE_ADDRESS__)
    __lsan_disable();
#endif
    int code = git_repository_open_ext(&r->git, r->path, GIT_REPOSITORY_OPEN_NO_SEARCH, NULL);
#if defined(__SANITIZE_ADDRESS__)
    __lsan_enable();
#endif
    return code;
}

static int open_git(Repo *r)
{
    static const char *KNOWN[] = {"objectformat", "partialclone",   "preciousobjects",
                                  "refstorage",   "worktreeconfig", "relativeworktrees"};
    git_libgit2_opts(GIT_OPT_SET_EXTENSIONS, KNOWN, sizeof KNOWN / sizeof *KNOWN);
    int code = open_with_leak(r);
    if (code != GIT_EOWNER) return code;
    r->about.foreign = true; /* git refuses because it would run the owner's commands; nothing is run here */
    git_libgit2_opts(GIT_OPT_SET_OWNER_VALIDATION, 0);
    return open_with_leak(r);
}

/* Puts our own database of objects in the place of libgit2's. */
static Status open_objects(Repo *r)
{
    git_buf folder = {0};
    if (git_repository_item_path(&folder, r->git, GIT_REPOSITORY_ITEM_OBJECTS) || !file_is_dir(folder.ptr)) {
        git_buf_dispose(&folder);
        return err_fail(E_FORMAT, "%s: the repository is damaged: it has no folder of objects", r->path);
    }
    r->store = objects_open(r->arena, str_copy(r->arena, folder.ptr, strlen(folder.ptr)));
    git_buf_dispose(&folder);
    r->objects = objects_database(r->store);
    if (!r->objects || git_repository_set_odb(r->git, r->objects))
        return err_fail(E_IO, "%s: libgit2 takes no database of objects: %s", r->path, repo_git_says());
    return OK;
}

/* Opens the git repository and its objects, and reads its replacements, grafts and mailmap. */
static Status open_parts(Repo *r)
{
    TRY(repo_check_files(r->arena, r->path));
    int code = open_git(r);
    if (code == GIT_ENOTFOUND)
        return err_fail(E_IO, "%s: found none; expected a git repository (a worktree, its .git, or a bare one)",
                        r->path);
    if (code) return err_fail(E_IO, "%s: the git repository cannot be opened: %s", r->path, repo_git_says());
    TRY(heed_extensions(r));
    TRY(open_objects(r));
    r->about.bare = git_repository_is_bare(r->git);
    r->about.partial |= objects_promised(r->store);
    if (r->about.partial) objects_partial(r->store);
    remark_on_renames(r);
    repo_read_replacements(r);
    repo_read_grafts(r);
    repo_read_mailmap(r);
    return OK;
}

/* Opens the repository at a path. E_IO: it is none, or it cannot be read. */
Status repo_open(Repo **out, Arena *run, const char *path)
{
    Repo *r = NEW(run, Repo, 1);
    *out = NULL;
    r->arena = run;
    r->path = path;
    r->scratch = arena_open((size_t)1 << 34);
    r->encodings = table_open(run, 16);
    set_up();
    Status s = open_parts(r);
    if (s)
        repo_close(r);
    else
        *out = r;
    return s;
}

void repo_close(Repo *r)
{
    if (!r) return;
    git_repository_free(r->git);
    git_odb_free(r->objects);
    git_libgit2_shutdown();
    objects_close(r->store);
    arena_close(&r->scratch);
    r->objects = NULL;
    r->git = NULL;
}

/* ---- one commit ---- */

static const char *utf8(Arena *a, const char *s, int64_t *replaced)
{
    size_t len;
    return utf8_repair(a, s, strlen(s), &len, replaced);
}

static const char *hex_of(Arena *a, const unsigned char id[20])
{
    git_oid oid;
    char hex[41];
    memcpy(oid.id, id, sizeof oid.id);
    return str_copy(a, git_oid_tostr(hex, sizeof hex, &oid), 40);
}

static void remark_on_encoding(Repo *r, const char *id, const char *encoding)
{
    bool added;
    int64_t ignored = 0;
    table_add(&r->encodings, encoding, strlen(encoding), &added);
    if (added)
        objects_note(r->store, "commit %s names the encoding %.40s, which is unknown here; its text is read as UTF-8",
                     id, utf8(r->arena, encoding, &ignored));
}

bool repo_describe(Repo *r, Arena *a, const RepoCommit *at, CodeChange *out, const char **email, int64_t *replaced)
{
    Object o;
    CommitLinks c;
    CommitText t;
    *out = (CodeChange){.repo = "", .kind = "", .label = -1, .ordered = true, .time = at->time};
    if (repo_links(r, a, at->id, &c) || objects_read(r->store, a, at->id, &o)) return false;
    commit_text(&t, a, &o, replaced);
    mailmap_apply(&r->mailmap, a, &t.name, &t.email);
    out->id = hex_of(a, at->id);
    if (t.unknown) remark_on_encoding(r, out->id, t.unknown);
    out->parent = NEW(a, const char *, c.n_parents + 1);
    for (int64_t k = 0; k < c.n_parents; k++) out->parent[out->n_parents++] = hex_of(a, c.parent[k]);
    out->author = t.name;
    if (email) *email = t.email;
    out->message = t.message;
    return true;
}

static bool is_regular(const git_diff_delta *d)
{
    const git_diff_file *f = d->status == GIT_DELTA_DELETED ? &d->old_file : &d->new_file;
    return f->mode == GIT_FILEMODE_BLOB || f->mode == GIT_FILEMODE_BLOB_EXECUTABLE;
}

/* The changed regular files of a diff; links and submodules are left out. */
static void take_deltas(Arena *a, git_diff *diff, RepoDelta **out, int64_t *n)
{
    size_t all = git_diff_num_deltas(diff);
    RepoDelta *list = NEW(a, RepoDelta, all + 1);
    *n = 0;
    for (size_t i = 0; i < all; i++) {
        const git_diff_delta *d = git_diff_get_delta(diff, i);
        FileStatus status = d->status == GIT_DELTA_ADDED     ? FILE_ADDED
                            : d->status == GIT_DELTA_DELETED ? FILE_DELETED
                                                             : FILE_MODIFIED;
        if (d->status == GIT_DELTA_TYPECHANGE || !is_regular(d)) continue;
        RepoDelta *o = &list[(*n)++];
        o->old_path = str_copy(a, d->old_file.path, strlen(d->old_file.path));
        o->new_path = str_copy(a, d->new_file.path, strlen(d->new_file.path));
        o->status = status;
        memcpy(o->old_id, d->old_file.id.id, sizeof o->old_id);
        memcpy(o->new_id, d->new_file.id.id, sizeof o->new_id);
    }
    *out = list;
}

static bool tree_of(Repo *r, const RepoCommit *at, git_tree **tree)
{
    git_oid id;
    memcpy(id.id, at->tree, sizeof id.id);
    return !git_tree_lookup(tree, r->git, &id);
}

bool repo_diff(Repo *r, Arena *a, const RepoCommit *at, RepoDelta **out, int64_t *n)
{
    git_tree *to = NULL, *from = NULL;
    git_diff *diff = NULL;
    git_diff_options options = GIT_DIFF_OPTIONS_INIT;
    options.flags = GIT_DIFF_SKIP_BINARY_CHECK | GIT_DIFF_IGNORE_SUBMODULES;
    bool read = !repo_stopped(r) && tree_of(r, at, &to) &&
                (at->parent < 0 || tree_of(r, &r->commit[at->parent], &from)) &&
                !git_diff_tree_to_tree(&diff, r->git, from, to, &options);
    if (read) take_deltas(a, diff, out, n);
    git_diff_free(diff);
    git_tree_free(from);
    git_tree_free(to);
    return read;
}

/* ---- one file ---- */

typedef struct {
    Arena *arena;
    ChangeFile *file;
    int64_t room, *replaced;
} Lines;

/* Appends a line of a diff to the file, as UTF-8 and without its line end (a callback of libgit2). */
static int take_line(const git_diff_delta *d, const git_diff_hunk *h, const git_diff_line *l, void *user)
{
    (void)d, (void)h;
    Lines *x = user;
    if (!strchr(" +-", l->origin)) return 0; /* remarks on a missing final newline */
    ChangeFile *f = x->file;
    GROW(x->arena, f->line, f->n, x->room, 64);
    size_t n = l->content_len, len;
    if (n && l->content[n - 1] == '\n') n--;
    if (n && l->content[n - 1] == '\r') n--;
    char *s = utf8_repair(x->arena, l->content, n, &len, x->replaced);
    for (char *cr = s; (cr = memchr(cr, '\r', len - (size_t)(cr - s)));) *cr = ' ';
    LineKind kind = l->origin == '+' ? LINE_ADD : l->origin == '-' ? LINE_DEL : LINE_KEEP;
    f->line[f->n++] = (ChangeLine){kind, s, len};
    return 0;
}

enum { FIRST_BYTES = 8000 }; /* git looks no further for a NUL */

/* The contents with this id; the blob keeps them and may stay NULL (a side that does not exist). */
static LinesResult contents(Repo *r, const unsigned char id[20], int64_t most, git_blob **blob)
{
    git_oid oid;
    size_t size;
    git_object_t type;
    memcpy(oid.id, id, sizeof oid.id);
    *blob = NULL;
    if (git_oid_is_zero(&oid)) return LINES_OK;
    int code = git_odb_read_header(&size, &type, r->objects, &oid);
    if (code) return code == GIT_ENOTFOUND ? LINES_MISSING : LINES_DAMAGED;
    if ((int64_t)size > most) return LINES_HUGE;
    if (r->large && size > REPO_LARGE) r->large(r->large_user);
    if (repo_stopped(r))
        return LINES_DAMAGED; /* a signal that came before is seen here, and any later one by itself */
    if (git_blob_lookup(blob, r->git, &oid)) return LINES_DAMAGED;
    return memchr(git_blob_rawcontent(*blob), 0, size < FIRST_BYTES ? size : FIRST_BYTES) ? LINES_BINARY : LINES_OK;
}

LinesResult repo_count(Repo *r, const unsigned char id[20], int64_t most, int64_t *lines)
{
    git_blob *blob;
    LinesResult result = contents(r, id, most, &blob);
    *lines = 0;
    if (!result && blob) {
        const char *s = git_blob_rawcontent(blob), *end = s + git_blob_rawsize(blob);
        for (const char *next; s < end; s = next) {
            next = memchr(s, '\n', (size_t)(end - s));
            next = next ? next + 1 : end;
            ++*lines;
        }
    }
    git_blob_free(blob);
    return result;
}

/* Calls `line` for every line of a change with `context` kept ones around each. */
static LinesResult compare(Repo *r, const RepoDelta *d, int context, int64_t most, git_diff_line_cb line, void *user)
{
    git_blob *old = NULL, *new = NULL;
    LinesResult result = contents(r, d->old_id, most, &old);
    if (!result) result = contents(r, d->new_id, most, &new);
    if (!result) {
        git_diff_options options = GIT_DIFF_OPTIONS_INIT;
        options.flags = GIT_DIFF_FORCE_TEXT | GIT_DIFF_INDENT_HEURISTIC;
        options.context_lines = (uint32_t)context;
        if (git_diff_buffers(old ? git_blob_rawcontent(old) : "", old ? (size_t)git_blob_rawsize(old) : 0, NULL,
                             new ? git_blob_rawcontent(new) : "", new ? (size_t)git_blob_rawsize(new) : 0, NULL,
                             &options, NULL, NULL, NULL, line, user))
            result = LINES_DAMAGED;
    }
    git_blob_free(old);
    git_blob_free(new);
    return result;
}

LinesResult repo_lines(Repo *r, Arena *a, const RepoDelta *d, int context, int64_t most, ChangeFile *out,
                       int64_t *replaced)
{
    int64_t ignored = 0;
    *out = (ChangeFile){utf8(a, d->old_path, &ignored),
                        utf8(a, d->new_path, &ignored),
                        d->status,
                        lang_of_path(d->new_path),
                        0,
                        NULL};
    return compare(r, d, context, most, take_line, &(Lines){a, out, 0, replaced});
}

static int count_line(const git_diff_delta *d, const git_diff_hunk *h, const git_diff_line *l, void *user)
{
    (void)d, (void)h;
    int64_t *n = user;
    n[0] += l->origin == '+';
    n[1] += l->origin == '-';
    return 0;
}

LinesResult repo_numstat(Repo *r, const RepoDelta *d, int64_t most, int64_t *added, int64_t *removed)
{
    int64_t n[2] = {0, 0};
    LinesResult result = compare(r, d, 0, most, count_line, n);
    *added = n[0];
    *removed = n[1];
    return result;
}

LinesResult repo_contents(Repo *r, Arena *a, const unsigned char id[20], int64_t most, Bytes *out)
{
    git_blob *blob;
    LinesResult result = contents(r, id, most, &blob);
    bool read = result == LINES_OK || result == LINES_BINARY;
    size_t n = read && blob ? (size_t)git_blob_rawsize(blob) : 0;
    *out = (Bytes){str_copy(a, n ? git_blob_rawcontent(blob) : "", n), n};
    git_blob_free(blob);
    return result;
}

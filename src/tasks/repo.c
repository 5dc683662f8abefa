/* The commit graph is collected here and not by libgit2's own walk, which gives up at the first object that it cannot
 * read.  Kahn's algorithm with a heap by (time, id) puts it in order. */
#include "tasks/repo.h"

#include <git2.h>
#include <string.h>

#include "base/table.h"
#include "text/heap.h"

struct Repo {
    Arena *arena;
    const char *path;
    git_repository *git;
    git_odb *objects;
    RepoAbout about;
    Table cut; /* ids of the commits whose parents a shallow clone lacks */
    RepoCommit *commit;
    int64_t n, room;
    bool (*stop)(void);
    bool stopped;
};

void repo_watch(Repo *r, bool (*stop)(void))
{
    r->stop = stop;
}

bool repo_stopped(const Repo *r)
{
    return r->stopped;
}

const char *repo_remark(Repo *r)
{
    (void)r;
    return NULL;
}

static const char *git_says(void)
{
    const git_error *e = git_error_last();
    return e && e->message ? e->message : "no reason given";
}

/* Nobody's configuration but the repository's own (which says where its objects are), and bounded caches. */
static void set_up(void)
{
    git_libgit2_init();
    for (int level = GIT_CONFIG_LEVEL_PROGRAMDATA; level <= GIT_CONFIG_LEVEL_GLOBAL; level++)
        git_libgit2_opts(GIT_OPT_SET_SEARCH_PATH, level, "");
    git_libgit2_opts(GIT_OPT_SET_CACHE_MAX_SIZE, (ssize_t)96 << 20);
    git_libgit2_opts(GIT_OPT_SET_MWINDOW_SIZE, (size_t)32 << 20);
    git_libgit2_opts(GIT_OPT_SET_MWINDOW_MAPPED_LIMIT, (size_t)256 << 20);
}

static void read_shallow(Repo *r)
{
    Bytes file;
    git_oid id;
    if (file_read(&file, r->arena, str_print(r->arena, "%s/shallow", git_repository_commondir(r->git)))) {
        err_clear();
        return;
    }
    for (char *line = strtok(file.text, "\n"); line; line = strtok(NULL, "\n"))
        if (!git_oid_fromstr(&id, line)) table_add(&r->cut, id.id, sizeof id.id, NULL);
}

Status repo_open(Repo **out, Arena *run, const char *path)
{
    Repo *r = NEW(run, Repo, 1);
    *out = NULL;
    r->arena = run;
    r->path = path;
    set_up();
    int code = git_repository_open_ext(&r->git, path, GIT_REPOSITORY_OPEN_NO_SEARCH, NULL);
    if (code == GIT_EOWNER) { /* git refuses because it would run what the owner configured; nothing is run here */
        r->about.foreign = true;
        git_libgit2_opts(GIT_OPT_SET_OWNER_VALIDATION, 0);
        code = git_repository_open_ext(&r->git, path, GIT_REPOSITORY_OPEN_NO_SEARCH, NULL);
    }
    if (!code) code = git_repository_odb(&r->objects, r->git);
    if (code) {
        Status s = fail(E_IO, "%s: %s; expected a git repository (a worktree, its .git, or a bare one)", path,
                        code == GIT_ENOTFOUND ? "found none" : git_says());
        repo_close(r);
        return s;
    }
    r->about.bare = git_repository_is_bare(r->git);
    r->about.shallow = git_repository_is_shallow(r->git) == 1;
    r->cut = table_open(run, 64);
    if (r->about.shallow) read_shallow(r);
    *out = r;
    return OK;
}

const RepoAbout *repo_about(const Repo *r)
{
    return &r->about;
}

void repo_close(Repo *r)
{
    if (!r) return;
    git_odb_free(r->objects);
    git_repository_free(r->git);
    git_libgit2_shutdown();
    r->objects = NULL;
    r->git = NULL;
}

/* ---- the graph ---- */

typedef struct {
    Table at;       /* id -> place */
    int32_t *edge;  /* parents of all commits, one after the other */
    int64_t *first; /* (n + 1) where a commit's parents begin */
    int64_t n_edges, room;
} Graph;

static void *grown(Arena *a, void *old, int64_t n, int64_t room, size_t size)
{
    void *p = arena_take(a, (size_t)room * size);
    if (n) memcpy(p, old, (size_t)n * size);
    return p;
}

/* The place of an id, -1 when its object cannot be read; new commits are appended. */
static int32_t place(Repo *r, Graph *g, const git_oid *id)
{
    const int64_t *known = table_find(&g->at, id->id, sizeof id->id);
    if (known) return (int32_t)*known;
    git_commit *c;
    int64_t at = -1;
    if (!git_commit_lookup(&c, r->git, id)) {
        if (r->n == r->room) {
            r->room = r->room ? 2 * r->room : 4096;
            r->commit = grown(r->arena, r->commit, r->n, r->room, sizeof *r->commit);
        }
        at = r->n++;
        r->commit[at] = (RepoCommit){.time = git_commit_time(c), .parent = -1};
        memcpy(r->commit[at].id, id->id, sizeof id->id);
        git_commit_free(c);
    } else {
        r->about.unreadable++;
    }
    *table_add(&g->at, id->id, sizeof id->id, NULL) = at;
    return (int32_t)at;
}

/* Appends the parents of commit i to the edges.  Commits are taken in the order of discovery, so `first` grows too.
 * */
static void add_parents(Repo *r, Graph *g, int64_t i)
{
    git_commit *c;
    git_oid id;
    memcpy(id.id, r->commit[i].id, sizeof id.id);
    if (git_commit_lookup(&c, r->git, &id)) return;
    bool cut = table_find(&r->cut, id.id, sizeof id.id) != NULL;
    unsigned n = git_commit_parentcount(c);
    r->commit[i].n_parents = (int16_t)(n < INT16_MAX ? n : INT16_MAX);
    r->commit[i].cut = r->commit[i].shallow = cut;
    for (unsigned k = 0; k < n && !cut; k++) {
        int32_t p = place(r, g, git_commit_parent_id(c, k));
        if (k == 0) r->commit[i].parent = p;
        if (k == 0 && p < 0) r->commit[i].cut = true;
        if (p < 0) continue;
        if (g->n_edges == g->room) {
            g->room = g->room ? 2 * g->room : 4096;
            g->edge = grown(r->arena, g->edge, g->n_edges, g->room, sizeof *g->edge);
        }
        g->edge[g->n_edges++] = p;
    }
    git_commit_free(c);
}

static void collect(Repo *r, Graph *g, const git_oid *tip)
{
    int64_t room = 0;
    place(r, g, tip);
    for (int64_t i = 0; i < r->n; i++) {
        if (i + 2 > room) {
            room = room ? 2 * room : 4096;
            g->first = grown(r->arena, g->first, i ? i + 1 : 0, room, sizeof *g->first);
        }
        g->first[i] = g->n_edges;
        add_parents(r, g, i);
        g->first[i + 1] = g->n_edges;
    }
}

/* Takes what the commit at `at` reaches out of the range. */
static void exclude(Repo *r, const Graph *g, int64_t at)
{
    int32_t *stack = arena_take(r->arena, sizeof *stack * (size_t)(r->n + 1));
    int64_t n = 0;
    stack[n++] = (int32_t)at;
    r->commit[at].wanted = false;
    while (n) {
        int32_t i = stack[--n];
        for (int64_t e = g->first[i]; e < g->first[i + 1]; e++)
            if (r->commit[g->edge[e]].wanted) {
                r->commit[g->edge[e]].wanted = false;
                stack[n++] = g->edge[e];
            }
    }
}

/* A may lie on another branch: what B shares with it is what their merge bases reach. */
static void exclude_from(Repo *r, const Graph *g, const git_oid *from, const git_oid *tip)
{
    git_oidarray bases = {0};
    int64_t at = table_get(&g->at, from->id, sizeof from->id, -1);
    if (at >= 0)
        exclude(r, g, at);
    else if (!git_merge_bases(&bases, r->git, tip, from))
        for (size_t i = 0; i < bases.count; i++) {
            at = table_get(&g->at, bases.ids[i].id, sizeof from->id, -1);
            if (at >= 0) exclude(r, g, at);
        }
    git_oidarray_dispose(&bases);
}

static HeapItem ready(const Repo *r, int64_t i)
{
    uint64_t tie = 0;
    for (int k = 0; k < 8; k++) tie = tie << 8 | r->commit[i].id[k];
    return (HeapItem){(uint64_t)r->commit[i].time ^ (uint64_t)1 << 63, tie, (uint64_t)i};
}

/* Parents before children; of those that are ready the oldest. */
static void put_in_order(Repo *r, const Graph *g)
{
    Arena *a = r->arena;
    int32_t *waits = NEW(a, int32_t, r->n), *new_place = NEW(a, int32_t, r->n + 1),
            *child = NEW(a, int32_t, g->n_edges);
    int64_t *from = NEW(a, int64_t, r->n + 2), done = 0;
    for (int64_t e = 0; e < g->n_edges; e++)
        from[g->edge[e] + 2]++; /* later: from[i]..from[i + 1] are i's children */
    for (int64_t i = 0; i < r->n; i++) from[i + 2] += from[i + 1];
    Heap heap = heap_open(a, 1024);
    for (int64_t i = 0; i < r->n; i++) {
        waits[i] = (int32_t)(g->first[i + 1] - g->first[i]);
        for (int64_t e = g->first[i]; e < g->first[i + 1]; e++) child[from[g->edge[e] + 1]++] = (int32_t)i;
        if (!waits[i]) heap_push(&heap, ready(r, i));
    }
    RepoCommit *out = NEW(a, RepoCommit, r->n + 1);
    for (HeapItem h; heap_pop(&heap, &h);) {
        int64_t i = (int64_t)h.value;
        new_place[i] = (int32_t)done;
        out[done++] = r->commit[i];
        for (int64_t e = from[i]; e < from[i + 1]; e++)
            if (!--waits[child[e]]) heap_push(&heap, ready(r, child[e]));
    }
    for (int64_t i = 0; i < done; i++)
        if (out[i].parent >= 0) out[i].parent = new_place[out[i].parent];
    r->commit = out;
    r->n = done;
}

static Status resolve(Repo *r, git_oid *out, char hex[41], const char *name)
{
    git_object *object, *commit;
    if (git_revparse_single(&object, r->git, name))
        return fail(E_CONFIG, "%s: has no commit '%.60s' (%s)", r->path, name, git_says());
    int code = git_object_peel(&commit, object, GIT_OBJECT_COMMIT);
    git_object_free(object);
    if (code) return fail(E_CONFIG, "%s: '%.60s' is no commit", r->path, name);
    git_oid_cpy(out, git_object_id(commit));
    git_oid_tostr(hex, 41, out);
    git_object_free(commit);
    return OK;
}

Status repo_history(Repo *r, const char *range, const RepoCommit **out, int64_t *n)
{
    const char *dots = range ? strstr(range, "..") : NULL, *to = dots ? dots + 2 : range;
    git_oid tip, from;
    if (dots && *to == '.') return fail(E_CONFIG, "the range %s has three dots, expected A..B", range);
    if (!range && git_repository_is_empty(r->git)) return fail(E_IO, "%s: the repository has no commits", r->path);
    TRY(resolve(r, &tip, r->about.tip, to && *to ? to : "HEAD"));
    if (dots) TRY(resolve(r, &from, r->about.from, str_copy(r->arena, range, (size_t)(dots - range))));
    Graph g = {.at = table_open(r->arena, 4096)};
    collect(r, &g, &tip);
    if (r->n == 0) return fail(E_IO, "%s: the commit %s cannot be read (%s)", r->path, r->about.tip, git_says());
    for (int64_t i = 0; i < r->n; i++) r->commit[i].wanted = true;
    if (dots) exclude_from(r, &g, &from, &tip);
    put_in_order(r, &g);
    *out = r->commit;
    *n = r->n;
    return OK;
}

/* ---- one commit ---- */

static git_commit *look_up(Repo *r, const RepoCommit *at)
{
    git_oid id;
    git_commit *c;
    memcpy(id.id, at->id, sizeof id.id);
    return git_commit_lookup(&c, r->git, &id) ? NULL : c;
}

static const char *utf8(Arena *a, const char *s, int64_t *replaced)
{
    size_t len;
    return s ? utf8_repair(a, s, strlen(s), &len, replaced) : "";
}

bool repo_describe(Repo *r, Arena *a, const RepoCommit *at, CodeChange *out, const char **email, int64_t *replaced)
{
    char hex[41];
    git_commit *c = look_up(r, at);
    if (!c) return false;
    unsigned n = git_commit_parentcount(c);
    *out = (CodeChange){.repo = "", .kind = "", .label = -1, .ordered = true, .time = at->time};
    out->id = str_copy(a, git_oid_tostr(hex, sizeof hex, git_commit_id(c)), 40);
    out->parent = NEW(a, const char *, n + 1);
    for (unsigned k = 0; k < n; k++)
        out->parent[out->n_parents++] = str_copy(a, git_oid_tostr(hex, sizeof hex, git_commit_parent_id(c, k)), 40);
    const git_signature *who = git_commit_author(c);
    out->author = utf8(a, who ? who->name : NULL, replaced);
    if (email) *email = utf8(a, who ? who->email : NULL, replaced);
    out->message = utf8(a, git_commit_message(c), replaced);
    git_commit_free(c);
    return true;
}

static bool is_regular(const git_diff_delta *d)
{
    const git_diff_file *f = d->status == GIT_DELTA_DELETED ? &d->old_file : &d->new_file;
    return f->mode == GIT_FILEMODE_BLOB || f->mode == GIT_FILEMODE_BLOB_EXECUTABLE;
}

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

bool repo_diff(Repo *r, Arena *a, const RepoCommit *at, RepoDelta **out, int64_t *n)
{
    git_commit *c = look_up(r, at), *parent = at->parent >= 0 ? look_up(r, &r->commit[at->parent]) : NULL;
    git_tree *to = NULL, *from = NULL;
    git_diff *diff = NULL;
    git_diff_options options = GIT_DIFF_OPTIONS_INIT;
    options.flags = GIT_DIFF_SKIP_BINARY_CHECK | GIT_DIFF_IGNORE_SUBMODULES;
    bool read = c && (parent || at->parent < 0) && !git_commit_tree(&to, c) &&
                (!parent || !git_commit_tree(&from, parent)) &&
                !git_diff_tree_to_tree(&diff, r->git, from, to, &options);
    if (read) take_deltas(a, diff, out, n);
    git_diff_free(diff);
    git_tree_free(from);
    git_tree_free(to);
    git_commit_free(parent);
    git_commit_free(c);
    return read;
}

/* ---- one file ---- */

typedef struct {
    Arena *arena;
    ChangeFile *file;
    int64_t room, *replaced;
} Lines;

static int take_line(const git_diff_delta *d, const git_diff_hunk *h, const git_diff_line *l, void *user)
{
    (void)d, (void)h;
    Lines *x = user;
    if (!strchr(" +-", l->origin)) return 0; /* remarks on a missing final newline */
    ChangeFile *f = x->file;
    if (f->n == x->room) {
        x->room = x->room ? 2 * x->room : 64;
        f->line = grown(x->arena, f->line, f->n, x->room, sizeof *f->line);
    }
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

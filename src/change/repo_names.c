/* Names to ids.  libgit2 resolves references; tags, parents and suffixes are walked here, because libgit2 stops at
 * commits that it cannot parse and does not follow grafts. */
#include <string.h>
#include <sys/stat.h>

#include "change/repo_parts.h"

const char *repo_git_says(void)
{
    const git_error *e = git_error_last();
    return e && e->message ? e->message : "no reason given";
}

enum { ID = 20, HEX = 40, MOST_TAGS = 10 };

static const char *hex_of(Repo *r, const unsigned char id[ID])
{
    git_oid oid;
    char hex[HEX + 1];
    memcpy(oid.id, id, ID);
    return str_copy(r->arena, git_oid_tostr(hex, sizeof hex, &oid), HEX);
}

/* ---- replacements, grafts and .mailmap ---- */

/* The text of a small file below .git; NULL when there is none. */
static char *read_list(Repo *r, const char *name)
{
    struct stat st;
    Bytes file;
    const char *path = str_print(r->arena, "%s%s", git_repository_commondir(r->git), name);
    if (stat(path, &st) || !S_ISREG(st.st_mode)) return NULL;
    if (!file_read(&file, r->arena, path)) return file.text;
    objects_note(r->store, "%s", err_message());
    err_clear();
    return NULL;
}

static void add_graft(Repo *r, const char *line)
{
    git_oid id;
    CommitLinks g = {.parent = arena_take(r->arena, (strlen(line) / HEX + 1) * sizeof *g.parent)};
    if (git_oid_fromstrn(&id, line, HEX)) return;
    for (const char *s = line + HEX; *s == ' ' && strlen(s) > HEX; s += 1 + HEX) {
        git_oid parent;
        if (git_oid_fromstrn(&parent, s + 1, HEX)) return;
        memcpy(g.parent[g.n_parents++], parent.id, ID);
    }
    r->graft[r->n_grafts] = g;
    *table_add(&r->grafts, id.id, ID, NULL) = r->n_grafts++;
}

/* Reads the commits at which a shallow clone ends, and the parents that info/grafts replaces. */
void repo_read_grafts(Repo *r)
{
    git_oid id;
    char *rest, *list = read_list(r, "shallow");
    r->cut = table_open(r->arena, 64);
    r->grafts = table_open(r->arena, 16);
    for (char *line = list ? strtok_r(list, "\n", &rest) : NULL; line; line = strtok_r(NULL, "\n", &rest))
        if (!git_oid_fromstr(&id, line)) table_add(&r->cut, id.id, sizeof id.id, NULL);
    r->about.shallow = r->cut.count > 0;
    if (!(list = read_list(r, "info/grafts"))) return;
    int64_t n = 1;
    for (const char *s = list; *s; s++) n += *s == '\n';
    r->graft = NEW(r->arena, CommitLinks, n);
    for (char *line = strtok_r(list, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
        if (*line != '#' && strlen(line) >= HEX) add_graft(r, line);
}

/* Reads the objects that refs/replace/ replaces. */
void repo_read_replacements(Repo *r)
{
    static const char UNDER[] = "refs/replace/";
    git_reference_iterator *all;
    git_reference *ref;
    if (git_reference_iterator_glob_new(&all, r->git, "refs/replace/*")) return;
    while (!git_reference_next(&ref, all)) {
        git_oid id;
        const char *name = git_reference_name(ref);
        const git_oid *by = git_reference_target(ref);
        if (by && strlen(name) == sizeof UNDER - 1 + HEX && !git_oid_fromstr(&id, name + sizeof UNDER - 1))
            objects_replace(r->store, id.id, by->id);
        git_reference_free(ref);
    }
    git_reference_iterator_free(all);
}

/* HEAD's, as `git log` has it in a clean worktree and `git shortlog` in a bare repository. */
void repo_read_mailmap(Repo *r)
{
    unsigned char id[ID];
    CommitLinks c;
    git_tree *tree;
    Object file;
    git_oid oid;
    if (repo_resolve(r, "HEAD", id)) {
        err_clear();
        return;
    }
    if (repo_links(r, r->arena, id, &c)) return;
    memcpy(oid.id, c.tree, ID);
    if (git_tree_lookup(&tree, r->git, &oid)) return;
    const git_tree_entry *e = git_tree_entry_byname(tree, ".mailmap");
    bool regular = e && git_tree_entry_type(e) == GIT_OBJECT_BLOB && git_tree_entry_filemode(e) != GIT_FILEMODE_LINK;
    if (regular && !objects_read(r->store, r->arena, git_tree_entry_id(e)->id, &file)) {
        int64_t ignored = 0;
        size_t len;
        r->mailmap = mailmap_read(r->arena, utf8_repair(r->arena, file.bytes, file.size, &len, &ignored));
    }
    git_tree_free(tree);
}

/* ---- names ---- */

ObjectState repo_links(Repo *r, Arena *a, const unsigned char id[ID], CommitLinks *c)
{
    Object o;
    ArenaMark mark = arena_mark(&r->scratch);
    ObjectState state = objects_read(r->store, &r->scratch, id, &o);
    if (!state && !commit_links(c, a, &o)) state = OBJECT_DAMAGED;
    if (a != &r->scratch) arena_drop(&r->scratch, mark);
    const int64_t *graft = state ? NULL : table_find(&r->grafts, id, ID);
    if (graft) {
        c->parent = r->graft[*graft].parent;
        c->n_parents = r->graft[*graft].n_parents;
    }
    return state;
}

/* The reason is among the remarks: one on this object, or else the first. */
static Status bad_object(Repo *r, const char *name, const unsigned char id[ID], ObjectState state)
{
    const char *hex = hex_of(r, id), *why = objects_reason(r->store, hex);
    if (why && strstr(why, hex)) return err_fail(E_FORMAT, "%s: '%.60s' cannot be read: %s", r->path, name, why);
    return err_fail(E_FORMAT, "%s: '%.60s' cannot be read: object %s is %s (git fsck)%s%s", r->path, name, hex,
                    state == OBJECT_DAMAGED ? "damaged" : "missing", why ? "; " : "", why ? why : "");
}

static Status no_commit(const Repo *r, const char *name)
{
    return err_fail(E_CONFIG, "%s: has no commit '%.60s'", r->path, name);
}

static Status cannot_follow(const Repo *r, const char *name)
{
    return err_fail(E_FORMAT, "%s: %s cannot be followed, the repository is damaged: %s", r->path, name,
                    repo_git_says());
}

/* HEAD names a branch that has no commit: the repository is new, or the branch's file is damaged or gone. */
static Status unborn(Repo *r)
{
    git_reference *head;
    if (git_reference_lookup(&head, r->git, "HEAD")) return cannot_follow(r, "HEAD");
    const char *target = git_reference_symbolic_target(head);
    const char *to = target ? str_copy(r->arena, target, strlen(target)) : "nothing";
    git_reference_free(head);
    bool packed = read_list(r, "packed-refs") != NULL;
    if (git_repository_is_empty(r->git) == 1 && !packed)
        return err_fail(E_IO, "%s: the repository has no commits: HEAD leads to '%.60s', which is not there", r->path,
                        to);
    return err_fail(E_FORMAT, "%s: HEAD leads to '%.60s', which is not there%s; name a commit with a range", r->path,
                    to, packed ? ", nor in packed-refs, unless that is damaged" : "");
}

/* The object of a name without ~ and ^; libgit2 resolves references, and dates of the reflog and words of
 * messages. */
static Status base_of(Repo *r, const char *name, git_oid *out)
{
    git_reference *ref, *direct;
    git_object *object;
    if (strlen(name) == HEX && !git_oid_fromstr(out, name)) return OK;
    int code = git_reference_dwim(&ref, r->git, name);
    if (!code) {
        code = git_reference_resolve(&direct, ref);
        git_reference_free(ref);
        if (code == GIT_ENOTFOUND && !strcmp(name, "HEAD")) return unborn(r);
        if (code) return cannot_follow(r, name);
        git_oid_cpy(out, git_reference_target(direct));
        git_reference_free(direct);
        return OK;
    }
    if (!strcmp(name, "HEAD")) return code == GIT_ENOTFOUND ? unborn(r) : cannot_follow(r, name);
    if (code != GIT_ENOTFOUND && code != GIT_EINVALIDSPEC && code != GIT_EAMBIGUOUS) return cannot_follow(r, name);
    size_t digits = strspn(name, "0123456789abcdefABCDEF");
    if (!name[digits] && digits >= 4 && digits < HEX) {
        git_oid start;
        git_oid_fromstrn(&start, name, digits);
        code = git_odb_exists_prefix(out, r->objects, &start, digits);
        if (!code) return OK;
        return err_fail(E_CONFIG, "%s: %s commit '%s'", r->path,
                        code == GIT_EAMBIGUOUS ? "has more than one" : "has no", name);
    }
    if (!strpbrk(name, "@:^~-")) return no_commit(r, name);
    if ((code = git_revparse_single(&object, r->git, name))) {
        unsigned char id[ID];
        ObjectState state;
        if (objects_failed(r->store, id, &state)) return bad_object(r, name, id, state);
        return err_fail(E_CONFIG, "%s: has no commit '%.60s' (%s)", r->path, name, repo_git_says());
    }
    git_oid_cpy(out, git_object_id(object));
    git_object_free(object);
    return OK;
}

/* From a tag to its target. */
static Status peel(Repo *r, const char *name, unsigned char id[ID])
{
    for (int k = 0; k < MOST_TAGS; k++) {
        Object o;
        git_oid of;
        ArenaMark mark = arena_mark(&r->scratch);
        ObjectState state = objects_read(r->store, &r->scratch, id, &o);
        bool tag = !state && o.type == OBJECT_TAG && !strncmp(o.bytes, "object ", 7) &&
                   !git_oid_fromstrn(&of, o.bytes + 7, HEX);
        ObjectType type = state ? OBJECT_NONE : o.type;
        arena_drop(&r->scratch, mark);
        if (state == OBJECT_MISSING && !strcmp(name, hex_of(r, id))) return no_commit(r, name); /* mistyped */
        if (state) return bad_object(r, name, id, state);
        if (type == OBJECT_COMMIT) return OK;
        if (!tag) break;
        memcpy(id, of.id, ID);
    }
    return err_fail(E_CONFIG, "%s: '%.60s' is no commit", r->path, name);
}

/* Where the steps ~N, ^N and ^{commit} at the end of a name begin; its end when there are others, too. */
static const char *steps_of(const char *name)
{
    const char *from = name + strcspn(name, "~^"), *s = from;
    while (*s == '~' || *s == '^') {
        if (!strncmp(s, "^{commit}", 9))
            s += 9;
        else if (!strncmp(s, "^{}", 3))
            s += 3;
        else
            s += 1 + strspn(s + 1, "0123456789");
    }
    return *s ? name + strlen(name) : from;
}

static Status to_parent(Repo *r, const char *name, int64_t which, unsigned char id[ID])
{
    CommitLinks c;
    ObjectState state = repo_links(r, r->arena, id, &c);
    if (state) return bad_object(r, name, id, state);
    if (which > c.n_parents || table_find(&r->cut, id, ID)) return no_commit(r, name);
    memcpy(id, c.parent[which - 1], ID);
    return OK;
}

/* Follows the steps of a revision (^, ^N, ~N and ^{...}) from the commit `id`, which is replaced. */
static Status walk(Repo *r, const char *name, const char *steps, unsigned char id[ID])
{
    while (*steps) {
        char how = *steps++;
        int64_t n = 1;
        size_t digits = strspn(steps, "0123456789");
        if (*steps == '{') {
            steps += strcspn(steps, "}") + 1;
            continue;
        }
        if (digits && !str_int(str_copy(r->arena, steps, digits), &n)) return no_commit(r, name);
        steps += digits;
        if (how == '^' && n) TRY(to_parent(r, name, n, id));
        for (int64_t k = 0; how == '~' && k < n; k++) TRY(to_parent(r, name, 1, id));
    }
    return OK;
}

static Status resolve(Repo *r, const char *name, unsigned char id[ID])
{
    git_oid oid;
    const char *steps = steps_of(name);
    const char *base = str_copy(r->arena, name, (size_t)(steps - name));
    if (!*base) return no_commit(r, name);
    TRY(base_of(r, base, &oid));
    memcpy(id, oid.id, ID);
    TRY(peel(r, base, id));
    TRY(walk(r, name, steps, id));
    CommitLinks c;
    ObjectState state = repo_links(r, r->arena, id, &c);
    return state ? bad_object(r, name, id, state) : OK;
}

Status repo_resolve(Repo *r, const char *name, unsigned char id[ID])
{
    objects_forget(r->store);
    objects_missing_said(r->store, false); /* a wrong name is no fault of the repository */
    Status s = resolve(r, name, id);
    objects_missing_said(r->store, true);
    if (!s || !objects_stopped(r->store)) return s;
    err_clear();
    return err_fail(E_INTERRUPT, "interrupted while '%.60s' was looked up; nothing is written", name);
}

/* Copies of an object are tried in the order loose file, then packs, directory by directory; the first that hashes to
 * its id wins.  Hashes are taken here and not by libgit2, which would refuse replacements. */
#include "change/objects.h"

#include <dirent.h>
#include <git2/sys/odb_backend.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/str.h"

enum {
    ID = 20,
    MOST_FOLDERS = 64,
    MOST_DEPTH = 5,    /* of alternates that name alternates; git's limit */
    MOST_REPLACED = 5, /* replacements of replacements; git's limit */
    MOST_REMARKS = 20, /* of damaged objects; all are counted */
    LOOSE_HEADER = 32
};

typedef struct {
    const char *path;
    Pack **pack; /* the newest first, as git looks */
    int64_t n, room;
    struct timespec seen; /* when the folder of packs had changed last */
} Folder;

struct Objects {
    Arena *arena, work; /* memory of the database; memory of one answer */
    Folder folder[MOST_FOLDERS];
    int n_folders;
    PackCache cache;
    Table replaced, bad, packs; /* id -> place in `by`; ids remarked on; paths of indices that were looked at */
    unsigned char (*by)[ID];
    int64_t n_by, room_by;
    bool missing_said, promised, partial, partial_said;
    ObjectState failed;
    unsigned char failed_id[ID];
    const char **remark;
    int64_t n_remarks, told, room;
    bool (*stop)(void);
    bool stopped;
};

/* ---- remarks ---- */

void objects_note(Objects *o, const char *fmt, ...)
{
    va_list list;
    GROW(o->arena, o->remark, o->n_remarks, o->room, 16);
    va_start(list, fmt);
    o->remark[o->n_remarks++] = str_vprint(o->arena, fmt, list, NULL);
    va_end(list);
}

const char *objects_remark(Objects *o)
{
    return o->told < o->n_remarks ? o->remark[o->told++] : NULL;
}

const char *objects_reason(const Objects *o, const char *word)
{
    for (int64_t i = o->told; i < o->n_remarks; i++)
        if (strstr(o->remark[i], word)) return o->remark[i];
    return o->told < o->n_remarks ? o->remark[o->told] : NULL;
}

static void hex_of(char out[41], const unsigned char id[ID])
{
    git_oid oid;
    memcpy(oid.id, id, ID);
    git_oid_tostr(out, 41, &oid);
}

/* An object that is there in no readable copy. */
static ObjectState give_up(Objects *o, const unsigned char id[ID], const char *wrong)
{
    char hex[41];
    bool added = false;
    o->failed = wrong ? OBJECT_DAMAGED : OBJECT_MISSING;
    memcpy(o->failed_id, id, ID);
    if (!wrong && o->missing_said && o->partial && !o->partial_said) {
        o->partial_said = true;
        objects_note(o, "the repository is a partial clone, and objects that were not fetched are missing from it; "
                        "every value that depends on them is unknown");
    }
    if (wrong || (o->missing_said && !o->partial)) table_add(&o->bad, id, ID, &added);
    if (!added) return o->failed;
    hex_of(hex, id);
    if (o->bad.count == MOST_REMARKS)
        objects_note(o, "object %s is %s (git fsck); more such objects are only counted", hex,
                     wrong ? "damaged" : "missing");
    else if (o->bad.count < MOST_REMARKS && wrong)
        objects_note(o, "object %s is damaged (git fsck): %s", hex, wrong);
    else if (o->bad.count < MOST_REMARKS)
        objects_note(o, "object %s is missing (git fsck)", hex);
    return o->failed;
}

int64_t objects_damaged(const Objects *o)
{
    return o->bad.count;
}

void objects_partial(Objects *o)
{
    o->partial = true;
}

void objects_missing_said(Objects *o, bool said)
{
    o->missing_said = said;
}

bool objects_failed(const Objects *o, unsigned char id[ID], ObjectState *state)
{
    *state = o->failed;
    memcpy(id, o->failed_id, ID);
    return o->failed != OBJECT_FOUND;
}

void objects_forget(Objects *o)
{
    o->failed = OBJECT_FOUND;
}

bool objects_promised(const Objects *o)
{
    return o->promised;
}

void objects_watch(Objects *o, bool (*stop)(void))
{
    o->stop = stop;
}

bool objects_stopped(Objects *o)
{
    if (!o->stopped && o->stop && o->stop()) o->stopped = true;
    return o->stopped;
}

/* ---- folders ---- */

static bool is_file(const char *path)
{
    struct stat st;
    return !stat(path, &st) && S_ISREG(st.st_mode);
}

/* Opens a pack that is new; a damaged one is left out with a remark. */
static void add_pack(Objects *o, Folder *f, const char *path)
{
    bool added;
    Pack p;
    table_add(&o->packs, path, strlen(path), &added);
    if (!added) return;
    int stem = (int)(strlen(path) - strlen(".idx"));
    o->promised |= is_file(str_print(o->arena, "%.*s.promisor", stem, path));
    const char *wrong = pack_open(&p, o->arena, path);
    if (wrong) {
        objects_note(o, "pack %.*s is damaged (git fsck) and left out: %s", stem, path, wrong);
        return;
    }
    GROW(o->arena, f->pack, f->n, f->room, 16);
    f->pack[f->n] = arena_take(o->arena, sizeof p);
    *f->pack[f->n++] = p;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Opens the packs that were not there before; true when there are any. */
static bool look_for_packs(Objects *o, Folder *f)
{
    struct stat st;
    const char *path = str_print(o->arena, "%s/pack", f->path), **name = NULL;
    int64_t before = f->n, n = 0, room = 0;
    if (stat(path, &st) || (f->seen.tv_sec == st.st_mtim.tv_sec && f->seen.tv_nsec == st.st_mtim.tv_nsec))
        return false;
    f->seen = st.st_mtim;
    DIR *folder = opendir(path);
    for (struct dirent *e; folder && (e = readdir(folder));) {
        size_t len = strlen(e->d_name);
        if (len < 5 || strcmp(e->d_name + len - 4, ".idx")) continue;
        GROW(o->arena, name, n, room, 16);
        name[n++] = str_print(o->arena, "%s/%s", path, e->d_name);
    }
    if (folder) closedir(folder);
    if (n) qsort(name, (size_t)n, sizeof *name, by_name); /* messages must not depend on the file system's order */
    for (int64_t i = 0; i < n; i++) add_pack(o, f, name[i]);
    return f->n > before;
}

/* A folder of objects and, below it, those that its info/alternates names. */
static void add_folder(Objects *o, const char *path, int depth)
{
    Bytes list;
    for (int i = 0; i < o->n_folders; i++)
        if (!strcmp(o->folder[i].path, path)) return;
    if (o->n_folders == MOST_FOLDERS) return;
    Folder *f = &o->folder[o->n_folders++];
    *f = (Folder){.path = path};
    look_for_packs(o, f);
    const char *alternates = str_print(o->arena, "%s/info/alternates", path);
    if (access(alternates, F_OK)) return;
    if (!is_file(alternates)) {
        objects_note(o, "%s: is not a regular file and not read: objects may be missing", alternates);
        return;
    }
    if (file_read(&list, o->arena, alternates)) {
        objects_note(o, "%s", err_message());
        err_clear();
        return;
    }
    char *rest;
    for (char *line = strtok_r(list.text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        if (*line == '#') continue;
        char *other = line[0] == '/' ? line : str_print(o->arena, "%s/%s", path, line);
        if (depth == MOST_DEPTH)
            objects_note(o, "%s: alternates are nested too deep; %s is left out", alternates, other);
        else if (!file_is_dir(other))
            objects_note(o, "%s names %s, which is no directory: its objects are missing", alternates, other);
        else
            add_folder(o, other, depth + 1);
    }
}

Objects *objects_open(Arena *a, const char *path)
{
    Objects *o = NEW(a, Objects, 1);
    o->arena = a;
    o->work = arena_open((size_t)1 << 34);
    o->cache = pack_cache_open();
    o->replaced = table_open(a, 16);
    o->bad = table_open(a, 16);
    o->packs = table_open(a, 64);
    o->missing_said = true;
    size_t n = strlen(path);
    while (n > 1 && path[n - 1] == '/') n--;
    add_folder(o, str_copy(a, path, n), 0);
    return o;
}

void objects_close(Objects *o)
{
    if (!o) return;
    for (int i = 0; i < o->n_folders; i++)
        for (int64_t k = 0; k < o->folder[i].n; k++) pack_close(o->folder[i].pack[k]);
    pack_cache_close(&o->cache);
    arena_close(&o->work);
}

void objects_replace(Objects *o, const unsigned char id[ID], const unsigned char by[ID])
{
    GROW(o->arena, o->by, o->n_by, o->room_by, 16);
    memcpy(o->by[o->n_by], by, ID);
    *table_add(&o->replaced, id, ID, NULL) = o->n_by++;
}

/* The object that stands for this one. */
static const unsigned char *replacement(const Objects *o, const unsigned char id[ID])
{
    const int64_t *at;
    for (int k = 0; k < MOST_REPLACED && (at = table_find(&o->replaced, id, ID)); k++) id = o->by[*at];
    return id;
}

/* ---- loose objects ---- */

/* "blob 12" and a NUL begin an object; the length of that, 0 when it is something else. */
static size_t parse_header(const char *s, size_t n, ObjectType *type, size_t *size)
{
    static const char *const NAME[] = {"", "commit ", "tree ", "blob ", "tag "};
    const char *end = memchr(s, 0, n);
    int64_t value = -1;
    for (int t = OBJECT_COMMIT; end && t <= OBJECT_TAG; t++) {
        size_t len = strlen(NAME[t]);
        if (strncmp(s, NAME[t], len) || s[len] < '0' || s[len] > '9' || !str_int(s + len, &value)) continue;
        *type = (ObjectType)t;
        *size = (size_t)value;
        return (size_t)(end - s) + 1;
    }
    return 0;
}

static const char BAD_LOOSE[] = "its file does not begin as an object";

/* Header and (out not NULL) bytes of a loose file that is mapped. */
static const char *parse_loose(Bytes file, Arena *a, ObjectType *type, size_t *size, Object *out)
{
    char start[LOOSE_HEADER];
    size_t n = pack_inflate_start(file.text, file.len, start, sizeof start), used;
    size_t header = parse_header(start, n, type, size);
    if (!file.len) return "its file is empty";
    if (!header) return BAD_LOOSE;
    if (*size / DEFLATE_MOST > file.len) return "its file is shorter than the size in its header needs";
    if (!out) return NULL;
    if (*size > (size_t)1 << 30) return "it is larger than 1 GiB, which is not read";
    char *bytes = arena_take(a, header + *size + 1);
    if (!pack_inflate_exactly(file.text, file.len, bytes, header + *size, &used))
        return "its file does not inflate to the size in its header";
    if (used != file.len) return "its file goes on behind its end";
    bytes[header + *size] = 0;
    *out = (Object){*type, *size, bytes + header};
    return NULL;
}

/* False: the folder has no such file. */
static bool loose(Objects *o, const Folder *f, Arena *a, const unsigned char id[ID], ObjectType *type, size_t *size,
                  Object *out, const char **wrong)
{
    char hex[41];
    Bytes file;
    struct stat st;
    hex_of(hex, id);
    ArenaMark mark = arena_mark(&o->work);
    const char *path = str_print(&o->work, "%s/%.2s/%s", f->path, hex, hex + 2);
    bool there = !stat(path, &st), regular = there && S_ISREG(st.st_mode); /* opening a pipe would wait */
    if (there && !regular) {
        *wrong = "it is not a regular file";
    } else if (there && file_map(&file, path)) {
        err_clear();
        *wrong = "its file cannot be opened";
    } else if (there) {
        *wrong = parse_loose(file, a, type, size, out);
        file_unmap(file);
    }
    if (a != &o->work) arena_drop(&o->work, mark);
    return there;
}

/* ---- objects ---- */

static bool hashes_to(const Object *object, const unsigned char id[ID])
{
    git_oid oid;
    return !git_odb_hash(&oid, object->bytes, object->size, (git_object_t)object->type) && !memcmp(oid.id, id, ID);
}

static bool place_in(const Pack *p, const unsigned char id[ID], uint32_t *place)
{
    *place = p->n ? pack_place(p, id) : 0;
    return *place < p->n && !memcmp(pack_id(p, *place), id, ID);
}

/* The first copy in order; of a damaged one *wrong describes the damage, and the next is tried. */
static bool any_copy(Objects *o, Arena *a, const unsigned char id[ID], ObjectType *type, size_t *size, Object *out,
                     const char **wrong)
{
    static const char OTHER[] = "its bytes do not hash to its id";
    const char *bad = NULL;
    uint32_t at;
    for (int i = 0; i < o->n_folders; i++) {
        const Folder *f = &o->folder[i];
        if (loose(o, f, a, id, type, size, out, &bad)) {
            if (!bad && (!out || hashes_to(out, id))) return true;
            *wrong = bad ? bad : OTHER;
        }
        for (int64_t k = 0; k < f->n; k++) {
            const Pack *p = f->pack[k];
            if (!place_in(p, id, &at)) continue;
            bad = out ? pack_read(&o->cache, p, at, a, out) : pack_header(p, at, type, size);
            if (!bad && (!out || hashes_to(out, id))) return true;
            *wrong = bad ? bad : OTHER;
        }
        bad = NULL;
    }
    return false;
}

/* git may have packed loose objects since: a missing object is searched for once more. */
static ObjectState find(Objects *o, Arena *a, const unsigned char id[ID], ObjectType *type, size_t *size, Object *out)
{
    const char *wrong = NULL;
    if (objects_stopped(o)) return OBJECT_STOPPED;
    id = replacement(o, id);
    if (any_copy(o, a, id, type, size, out, &wrong)) return OBJECT_FOUND;
    bool more = false;
    for (int i = 0; i < o->n_folders; i++) more |= look_for_packs(o, &o->folder[i]);
    if (more && any_copy(o, a, id, type, size, out, &wrong)) return OBJECT_FOUND;
    return give_up(o, id, wrong);
}

ObjectState objects_read(Objects *o, Arena *a, const unsigned char id[ID], Object *out)
{
    ObjectType type;
    size_t size;
    return find(o, a, id, &type, &size, out);
}

ObjectState objects_header(Objects *o, const unsigned char id[ID], ObjectType *type, size_t *size)
{
    return find(o, &o->work, id, type, size, NULL);
}

/* ---- short ids ---- */

typedef struct {
    git_oid id;
    bool found, several;
} Short;

static void one_more(Short *s, const unsigned char id[ID])
{
    if (s->found && memcmp(s->id.id, id, ID)) s->several = true;
    s->found = true;
    memcpy(s->id.id, id, ID);
}

static void loose_with(const Objects *o, const Folder *f, const char *hex, size_t len, Short *s)
{
    git_oid id;
    char path[4096];
    if ((size_t)snprintf(path, sizeof path, "%s/%.2s", f->path, hex) >= sizeof path) return;
    (void)o;
    DIR *folder = opendir(path);
    for (struct dirent *e; folder && (e = readdir(folder));) {
        if (strlen(e->d_name) != 38 || strncmp(e->d_name, hex + 2, len - 2)) continue;
        if ((size_t)snprintf(path, sizeof path, "%.2s%s", hex, e->d_name) == 40 && !git_oid_fromstr(&id, path))
            one_more(s, id.id);
    }
    if (folder) closedir(folder);
}

/* The one id that begins with `len` digits. */
static int whole_id(git_oid *out, const Objects *o, const git_oid *start, size_t len)
{
    char hex[41];
    Short s = {0};
    hex_of(hex, start->id);
    for (int i = 0; i < o->n_folders; i++) {
        const Folder *f = &o->folder[i];
        if (len >= 2) loose_with(o, f, hex, len, &s);
        for (int64_t k = 0; k < f->n; k++) {
            const Pack *p = f->pack[k];
            git_oid id;
            for (uint32_t at = pack_place(p, start->id); at < p->n; at++) {
                memcpy(id.id, pack_id(p, at), ID);
                if (git_oid_ncmp(&id, start, len)) break;
                one_more(&s, id.id);
            }
        }
    }
    git_oid_cpy(out, &s.id);
    return s.several ? GIT_EAMBIGUOUS : s.found ? GIT_OK : GIT_ENOTFOUND;
}

/* ---- libgit2's view ---- */

typedef struct {
    git_odb_backend head;
    Objects *objects;
} Backend;

static int code_of(ObjectState state)
{
    static const int CODE[] = {GIT_OK, GIT_ENOTFOUND, GIT_ERROR, GIT_EUSER};
    return CODE[state];
}

/* libgit2 asks for an object. */
static int backend_read(void **bytes, size_t *size, git_object_t *type, git_odb_backend *b, const git_oid *id)
{
    Objects *o = ((Backend *)b)->objects;
    Object object;
    ArenaMark mark = arena_mark(&o->work);
    int code = code_of(objects_read(o, &o->work, id->id, &object));
    if (!code) {
        *size = object.size;
        *type = (git_object_t)object.type;
        *bytes = git_odb_backend_data_alloc(b, object.size + 1);
        if (*bytes)
            memcpy(*bytes, object.bytes, object.size + 1);
        else
            code = GIT_ERROR;
    }
    arena_drop(&o->work, mark);
    if (code == GIT_ERROR) git_error_set_str(GIT_ERROR_ODB, "the object is damaged");
    return code;
}

static int backend_header(size_t *size, git_object_t *type, git_odb_backend *b, const git_oid *id)
{
    Objects *o = ((Backend *)b)->objects;
    ObjectType found;
    ArenaMark mark = arena_mark(&o->work);
    int code = code_of(objects_header(o, id->id, &found, size));
    arena_drop(&o->work, mark);
    if (!code) *type = (git_object_t)found;
    return code;
}

static int backend_exists(git_odb_backend *b, const git_oid *id)
{
    size_t size;
    git_object_t type;
    return backend_header(&size, &type, b, id) == GIT_OK;
}

static int backend_exists_prefix(git_oid *out, git_odb_backend *b, const git_oid *start, size_t len)
{
    return whole_id(out, ((Backend *)b)->objects, start, len);
}

static int backend_read_prefix(git_oid *out, void **bytes, size_t *size, git_object_t *type, git_odb_backend *b,
                               const git_oid *start, size_t len)
{
    int code = whole_id(out, ((Backend *)b)->objects, start, len);
    return code ? code : backend_read(bytes, size, type, b, out);
}

static void backend_free(git_odb_backend *b)
{
    (void)b; /* on the arena */
}

git_odb *objects_database(Objects *o)
{
    git_odb *database;
    Backend *b = NEW(o->arena, Backend, 1);
    git_libgit2_opts(GIT_OPT_ENABLE_STRICT_HASH_VERIFICATION, 0); /* done here, before replacing */
    if (git_odb_init_backend(&b->head, GIT_ODB_BACKEND_VERSION) || git_odb_new(&database)) return NULL;
    b->objects = o;
    b->head.read = backend_read;
    b->head.read_prefix = backend_read_prefix;
    b->head.read_header = backend_header;
    b->head.exists = backend_exists;
    b->head.exists_prefix = backend_exists_prefix;
    b->head.free = backend_free;
    if (!git_odb_add_backend(database, &b->head, 1)) return database;
    git_odb_free(database);
    return NULL;
}

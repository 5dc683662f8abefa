/* Two manifests give the state of a directory, that of the result (DIR/manifest.json) and that of the work
 * (DIR/unfinished/manifest.json).  Each is written or moved last, so that they give the next step at any moment:
 *
 *   work "done"            its files are being moved up: go on with that, then look again
 *   work not done, or with a file that is not as it was written
 *                          the same settings: taken up; others: refused
 *   result "done"          the same settings: nothing to do; others: refused
 *   result not done        by hand, or a file of it is lost: moved back to the work and taken up
 *   neither                DIR must be empty */
#include "run/folder.h"

#include <errno.h>
#include <fnmatch.h>
#include <fts.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/dirs.h"
#include "base/file.h"
#include "base/print.h"
#include "base/ranks.h"
#include "base/sha256.h"
#include "base/str.h"
#include "io/json.h"
#include "run/found.h"
#include "run/lock.h"
#include "run/run.h"

#define WORK "unfinished"
#define MANIFEST "manifest.json"
#define CONTENT "sha256 " /* the prefix of the value of a setting that names an input */

Folder folder_begin(Arena *a, const char *dir, const char *command)
{
    return (Folder){.arena = a, .dir = dir, .path = dir, .command = command, .lock = -1};
}

void folder_set(Folder *f, const char *key, const char *fmt, ...)
{
    va_list args;
    CHECK(f->n < FOLDER_SETTINGS, "%s: more than %d settings", f->command, FOLDER_SETTINGS);
    va_start(args, fmt);
    f->set[f->n++] = (KeyValue){str_copy(f->arena, key, strlen(key)), str_vprint(f->arena, fmt, args, NULL)};
    va_end(args);
}

static const char *at(const Folder *f, const char *where, const char *file)
{
    return str_print(f->arena, "%s/%s%s%s", f->dir, where, *where ? "/" : "", file);
}

static bool is_there(const char *path)
{
    struct stat st;
    return !lstat(path, &st);
}

/* ---- settings and inputs ---- */

static int by_name(const FTSENT **a, const FTSENT **b)
{
    return strcmp((*a)->fts_name, (*b)->fts_name);
}

static FTS *walk(const char *path, int how)
{
    char *roots[] = {(char *)(uintptr_t)path, NULL};
    FTS *tree = fts_open(roots, how | FTS_NOCHDIR, by_name);
    if (!tree) err_no_memory("reading %s: %s", path, strerror(errno));
    return tree;
}

/* Whether one of the patterns, which have bars between them, is that of the file. */
static bool is_read(const char *patterns, const char *name)
{
    char one[256];
    for (const char *p = patterns; *p; p += strcspn(p, "|"), p += *p == '|') {
        snprintf(one, sizeof one, "%.*s", (int)strcspn(p, "|"), p);
        if (!fnmatch(one, name, FNM_PATHNAME)) return true;
    }
    return false;
}

/* One hash of names and contents of all files below a directory that match the patterns. */
static Status hash_below(Sha256Hex *out, const char *dir, const char *patterns)
{
    enum { DEPTH = 4 }; /* of the patterns at most: the rest of a large directory is not looked through */
    Sha256 all = sha256_begin();
    Status status = OK;
    FTS *tree = walk(dir, FTS_LOGICAL);
    for (FTSENT *e; !status && (e = fts_read(tree));) {
        Sha256Hex one;
        const char *name = e->fts_path + strlen(dir);
        name += strspn(name, "/");
        if (e->fts_info == FTS_D && e->fts_level >= DEPTH) fts_set(tree, e, FTS_SKIP);
        if (e->fts_info != FTS_F || !is_read(patterns, name)) continue;
        status = sha256_file(&one, e->fts_path);
        sha256_add(&all, name, strlen(name) + 1);
        sha256_add(&all, one.hex, sizeof one.hex);
    }
    fts_close(tree);
    *out = sha256_end(&all);
    return status;
}

Status folder_reads(Folder *f, const char *key, const char *path, const char *patterns)
{
    Sha256Hex hash;
    if (file_is_dir(path))
        TRY(hash_below(&hash, path, patterns));
    else
        TRY(sha256_file(&hash, path));
    folder_set(f, key, CONTENT "%.16s", hash.hex);
    f->input[f->n - 1] = path;
    return OK;
}

Status folder_input(Folder *f, const char *key, const char *path)
{
    return folder_reads(f, key, path, "*");
}

const char *folder_hash(const Folder *f)
{
    Sha256 s = sha256_begin();
    for (int i = 0; i < f->n; i++) {
        sha256_add(&s, f->set[i].key, strlen(f->set[i].key) + 1);
        sha256_add(&s, f->set[i].value, strlen(f->set[i].value) + 1);
    }
    return str_print(f->arena, "%.8s", sha256_end(&s).hex);
}

static const char *value_in(const KeyValue *set, int n, const char *key)
{
    for (int i = 0; i < n; i++)
        if (!strcmp(set[i].key, key)) return set[i].value;
    return NULL;
}

static bool is_content(const char *value)
{
    return value && !strncmp(value, CONTENT, strlen(CONTENT));
}

/* A value for a person, without hashes of files. */
static const char *shown(const char *value)
{
    if (!value) return "not set";
    return is_content(value) ? "a file or directory" : *value ? value : "empty";
}

/* `input` is the path of the setting's input now, or NULL. */
static void add_difference(Buf *out, int *n, const char *key, const char *there, const char *now, const char *input)
{
    enum { SHOWN = 8 };
    if (there && now && !strcmp(there, now)) return;
    if ((*n)++ >= SHOWN) return;
    buf_print(out, "%s", *n > 1 ? "; " : "");
    if (input && is_content(there))
        buf_print(out, "%.200s is not the input that it was made from", input);
    else
        buf_print(out, "%s: there %.80s, now %.80s", strncmp(key, "operand ", 8) ? key : "an input", shown(there),
                  input ? input : shown(now));
}

/* "lr: there 0.1, now 0.2; ...", or NULL where command and settings are the same. */
static const char *differences(const Folder *f, const Found *m)
{
    Buf out = buf_open(f->arena);
    int n = 0;
    add_difference(&out, &n, "command", m->command, f->command, NULL);
    if (n) return out.text; /* settings of different commands cannot be compared */
    for (int i = 0; i < f->n; i++)
        add_difference(&out, &n, f->set[i].key, value_in(m->set, m->n, f->set[i].key), f->set[i].value, f->input[i]);
    for (int i = 0; i < m->n; i++)
        if (!value_in(f->set, f->n, m->set[i].key))
            add_difference(&out, &n, m->set[i].key, m->set[i].value, NULL, NULL);
    return n ? out.text : NULL;
}

/* ---- manifests ---- */

/* The manifest at `where`, "" or WORK. */
static Status read_manifest(Found *out, const Folder *f, const char *where)
{
    return found_read(out, f->arena, at(f, where, MANIFEST));
}

static cJSON *manifest(const Folder *f, const char *status, const char *message)
{
    cJSON *root = cJSON_CreateObject(), *tool = cJSON_AddObjectToObject(root, "tool");
    cJSON_AddStringToObject(tool, "version", vernier_version());
    cJSON_AddStringToObject(tool, "build", vernier_build());
    cJSON_AddStringToObject(tool, "program", manifest_program_id(f->arena));
    cJSON_AddStringToObject(root, "command", f->command);
    cJSON_AddStringToObject(root, "status", status);
    if (message) cJSON_AddStringToObject(root, "message", message);
    cJSON *set = cJSON_AddObjectToObject(root, "settings");
    for (int i = 0; i < f->n; i++) cJSON_AddStringToObject(set, f->set[i].key, f->set[i].value);
    return root;
}

/* Writes DIR/unfinished/manifest.json; takes `files` and `more`. */
static Status write_manifest(const Folder *f, const char *status, const char *message, cJSON *files, cJSON *more)
{
    cJSON *root = manifest(f, status, message);
    while (more && more->child) {
        cJSON *x = cJSON_DetachItemViaPointer(more, more->child);
        cJSON_AddItemToObject(root, x->string, x);
    }
    cJSON_Delete(more);
    cJSON_AddItemToObject(root, "files", files);
    Status wrote = json_write(root, at(f, WORK, MANIFEST));
    cJSON_Delete(root);
    return wrote;
}

Status folder_record(Folder *f, const char *status, const char *message, cJSON *more)
{
    return write_manifest(f, status, message, cJSON_CreateArray(), more);
}

/* ---- files below a directory ---- */

/* A file that a killed writer has left (base/file.h). */
static bool is_half(const char *name)
{
    static const char half[] = ".vernier.part";
    size_t n = strlen(name), tail = sizeof half - 1;
    return n > tail && !strcmp(name + n - tail, half);
}

static Status add_file(cJSON *list, const FTSENT *e, const char *name)
{
    Sha256Hex hash;
    cJSON *one = cJSON_CreateObject();
    cJSON_AddItemToArray(list, one);
    cJSON_AddStringToObject(one, "path", name);
    if (e->fts_info != FTS_F) return OK; /* a link, for example */
    TRY(sha256_file(&hash, e->fts_path));
    cJSON_AddNumberToObject(one, "bytes", (double)e->fts_statp->st_size);
    cJSON_AddStringToObject(one, "sha256", hash.hex);
    return OK;
}

static bool is_scratch(const Folder *f, const char *name)
{
    return !strcmp(name, MANIFEST) || (f->scratch && str_glob(f->scratch, name));
}

/* All files of the work but its manifest and scratch files; unfinished files of killed writers are removed. */
static Status list_work(cJSON *list, const Folder *f)
{
    Status status = OK;
    size_t skip = strlen(at(f, WORK, ""));
    FTS *tree = walk(at(f, "", WORK), FTS_PHYSICAL);
    for (FTSENT *e; !status && (e = fts_read(tree));) {
        if (e->fts_info == FTS_D || e->fts_info == FTS_DP) continue;
        const char *name = e->fts_path + skip;
        if (is_half(name))
            unlink(e->fts_path);
        else if (!is_scratch(f, name))
            status = add_file(list, e, name);
    }
    fts_close(tree);
    return status;
}

/* All of it but its manifest. */
static void empty_work(const Folder *f)
{
    const char *last = at(f, WORK, MANIFEST);
    FTS *tree = walk(at(f, "", WORK), FTS_PHYSICAL);
    for (FTSENT *e; (e = fts_read(tree));) {
        if (e->fts_info == FTS_D || !strcmp(e->fts_path, last)) continue;
        if (e->fts_info == FTS_DP)
            rmdir(e->fts_accpath);
        else
            unlink(e->fts_accpath);
    }
    fts_close(tree);
}

/* Its manifest goes last: the rest of a removal that was killed is still recognised as this work. */
static void remove_work(const Folder *f)
{
    empty_work(f);
    unlink(at(f, WORK, MANIFEST));
    rmdir(at(f, "", WORK));
}

/* Files below `path` that a command has not written: up to three of them by name, or NULL. */
static const char *strangers(const Folder *f, const char *path)
{
    enum { NAMED = 3 };
    Buf out = buf_open(f->arena);
    int n = 0;
    FTS *tree = walk(path, FTS_PHYSICAL);
    for (FTSENT *e; n <= NAMED && (e = fts_read(tree));) {
        bool work = e->fts_level == 1 && !strcmp(e->fts_name, WORK);
        if (work) fts_set(tree, e, FTS_SKIP);
        if (work || e->fts_info == FTS_D || e->fts_info == FTS_DP || is_half(e->fts_name)) continue;
        if (e->fts_level <= 1 && !strcmp(e->fts_name, LOCK_NAME)) continue;
        if (n++ < NAMED) buf_print(&out, "%s%s", n > 1 ? ", " : "", e->fts_path + strlen(path) + 1);
    }
    fts_close(tree);
    if (n > NAMED) buf_print(&out, " and others");
    return n ? out.text : NULL;
}

/* Removes the directories above `file` that have become empty. */
static void tidy(const Folder *f, const char *where, const char *file)
{
    char part[4096];
    if (strlen(file) >= sizeof part) return;
    strcpy(part, file);
    for (char *slash; (slash = strrchr(part, '/'));) {
        *slash = 0;
        if (rmdir(at(f, where, part))) return;
    }
}

/* One file between DIR and DIR/unfinished.  One that is not where it comes from was moved before. */
static Status move(const Folder *f, const char *from, const char *to, const char *file)
{
    ArenaMark mark = arena_mark(f->arena);
    const char *source = at(f, from, file), *target = at(f, to, file);
    Status status = OK;
    if (is_there(source)) {
        if (strchr(file, '/'))
            status = file_make_dir(str_print(f->arena, "%.*s", (int)(strrchr(target, '/') - target), target));
        if (!status && rename(source, target)) status = err_fail(E_IO, "%s: %s", target, strerror(errno));
    }
    arena_drop(f->arena, mark);
    return status;
}

/* ---- cleaning up where the work had no result ---- */

/* The folder that this process works in, for the handler of a signal. */
static struct {
    pid_t process;
    size_t stood;
    const char *dir, *work, *manifest, *lock;
} at_work;

void folder_interrupted(void)
{
    if (at_work.process != getpid() || !dirs_hold_only(at_work.work, MANIFEST)) return;
    unlink(at_work.manifest);
    rmdir(at_work.work);
    unlink(at_work.lock);
    dirs_remove_empty(at_work.dir, at_work.stood);
}

static Status make_and_lock(Folder *f)
{
    Status status = file_make_dir(f->dir);
    return status ? status : lock_take(&f->lock, f->arena, f->dir);
}

/* Another process that leaves nothing behind may remove a directory above this one in between. */
static Status lock(Folder *f)
{
    enum { TRIES = 8 };
    Status status = make_and_lock(f);
    for (int i = 1; status == E_IO && i < TRIES && !is_there(f->dir); i++) {
        err_clear();
        status = make_and_lock(f);
    }
    if (status) {
        dirs_remove_empty(f->dir, f->stood);
        return status;
    }
    at_work.dir = f->dir, at_work.stood = f->stood;
    at_work.work = at(f, "", WORK), at_work.manifest = at(f, WORK, MANIFEST), at_work.lock = at(f, "", LOCK_NAME);
    at_work.process = getpid();
    return OK;
}

static void unlock(Folder *f)
{
    if (f->lock < 0) return;
    at_work.process = 0;
    lock_give(&f->lock, f->arena, f->dir);
    dirs_remove_empty(f->dir, f->stood);
}

/* ---- from the work to the result and back ---- */

/* The work is done: the former result's files go, the new ones come, the manifest last.  A manifest that is damaged
 * no longer lists the files of the former result: those of the same names are replaced, the others stay. */
static Status move_up(Folder *f)
{
    Found was, now;
    TRY(read_manifest(&was, f, ""));
    TRY(read_manifest(&now, f, WORK));
    for (int i = 0; i < now.files; i++) {
        const char *file = now.file[i].path;
        bool known = was.damage || found_lists(&was, file);
        if (!known && is_there(at(f, WORK, file)) && is_there(at(f, "", file)))
            return err_fail(E_MISMATCH,
                            "%s: no manifest lists this file, so it is not replaced; the new one is in %s",
                            at(f, "", file), at(f, "", WORK));
    }
    for (int i = 0; i < was.files; i++) {
        if (found_lists(&now, was.file[i].path)) continue;
        unlink(at(f, "", was.file[i].path));
        tidy(f, "", was.file[i].path);
    }
    for (int i = 0; i < now.files; i++) TRY(move(f, WORK, "", now.file[i].path));
    empty_work(f); /* scratch files and directories */
    TRY(move(f, WORK, "", MANIFEST));
    rmdir(at(f, "", WORK));
    return OK;
}

/* Whether the file at `where`, "" or WORK, is as a manifest lists it. */
static bool is_intact(const Folder *f, const char *where, const Listed *l)
{
    struct stat st;
    Sha256Hex hash;
    const char *path = at(f, where, l->path);
    if (lstat(path, &st)) return false;
    if (!l->hash) return true;
    if (!S_ISREG(st.st_mode) || (double)st.st_size != l->bytes) return false;
    bool same = !sha256_file(&hash, path) && !strcmp(hash.hex, l->hash);
    err_clear();
    return same;
}

/* A result that is not complete is work again.  Its manifest goes first: take_up() moves the rest. */
static Status move_down(Folder *f)
{
    TRY(file_make_dir(at(f, "", WORK)));
    return move(f, "", WORK, MANIFEST);
}

/* Files that were moved up already come back; another one of the same name is the former result's. */
static Status take_up(Folder *f, const Found *work)
{
    for (int i = 0; i < work->files; i++) {
        const char *file = work->file[i].path;
        bool other = work->done && !is_intact(f, "", work->file + i);
        if (other || is_there(at(f, WORK, file))) continue;
        TRY(move(f, "", WORK, file));
        tidy(f, "", file);
    }
    f->resumed = true;
    return OK;
}

/* Whether each file of the work that is done is as it was written, wherever the move has brought it. */
static bool is_whole(const Folder *f, const Found *work)
{
    bool whole = true;
    for (int i = 0; whole && i < work->files; i++)
        whole = is_intact(f, WORK, work->file + i) || is_intact(f, "", work->file + i);
    return whole;
}

/* ---- opening ---- */

static Status refuse(const Folder *f, const char *content, const char *why)
{
    return err_fail(E_CONFIG, "%s contains %s (%s); choose another directory, or replace it with --overwrite", f->dir,
                    content, why);
}

/* A result is shown only as it was written. */
static Status recognise(Folder *f, const Found *result)
{
    for (int i = 0; i < result->files; i++)
        if (!is_intact(f, "", result->file + i))
            return err_fail(E_FORMAT,
                            "%s contains a finished result, but %s is missing or altered; --overwrite makes it anew",
                            f->dir, at(f, "", result->file[i].path));
    f->done = true;
    return OK;
}

static Status begin_work(Folder *f)
{
    remove_work(f);
    TRY(file_make_dir(f->path));
    return folder_record(f, "running", NULL, NULL);
}

/* The files in the directory decide: begin, resume unfinished work, recognise a finished result, or E_CONFIG. */
static Status examine(Folder *f, bool overwrite)
{
    Found result, work;
    TRY(read_manifest(&work, f, WORK));
    if (work.done && is_whole(f, &work)) TRY(move_up(f));
    TRY(read_manifest(&result, f, ""));
    TRY(read_manifest(&work, f, WORK));
    const char *foreign = work.there || !is_there(at(f, "", WORK)) ? NULL : strangers(f, at(f, "", WORK));
    if (!foreign && !work.there && !result.there) foreign = strangers(f, f->dir);
    if (foreign)
        return err_fail(E_CONFIG, "%s contains files that no manifest lists (%s); choose another directory", f->dir,
                        foreign);
    if (overwrite) return begin_work(f);
    const char *damage = work.damage ? work.damage : work.there ? NULL : result.damage;
    if (damage) return err_fail(E_FORMAT, "%s; --overwrite makes the result anew", damage);
    const char *other = work.there ? differences(f, &work) : NULL;
    if (other) return refuse(f, "an unfinished run of other settings", other);
    if (work.there) return take_up(f, &work);
    other = result.there ? differences(f, &result) : NULL;
    if (other) return refuse(f, "a result of other settings", other);
    if (!result.there) return begin_work(f);
    if (result.done) return recognise(f, &result);
    TRY(move_down(f));
    return take_up(f, &result);
}

/* A result that is there already is shown without a lock: it may be on a disk that cannot be written. */
static Status look_for_result(Folder *f)
{
    Found result, work;
    TRY(read_manifest(&result, f, ""));
    TRY(read_manifest(&work, f, WORK));
    bool mine = work.there && !differences(f, &work); /* begun with --overwrite: to be gone on with */
    return result.done && !work.done && !mine && !differences(f, &result) ? recognise(f, &result) : OK;
}

/* A command that was killed when its result was complete has left its lock, and the empty directory of its work. */
static void drop_remains(Folder *f)
{
    const char *work = at(f, "", WORK);
    if (!is_there(at(f, "", LOCK_NAME)) && !is_there(work)) return;
    if (lock_take(&f->lock, f->arena, f->dir)) {
        err_clear();
        return;
    }
    if (is_there(work) && !is_there(at(f, WORK, MANIFEST)) && !strangers(f, work)) remove_work(f);
    unlock(f);
}

static Status open_here(Folder *f, bool overwrite)
{
    size_t n = strlen(f->dir);
    f->stood = dirs_standing(f->dir);
    if (f->stood == n && !overwrite) TRY(look_for_result(f));
    if (f->done) {
        drop_remains(f);
        return OK;
    }
    TRY(lock(f));
    f->path = at(f, "", WORK);
    Status status = examine(f, overwrite);
    if (status || f->done) {
        f->path = f->dir;
        unlock(f);
    }
    return status;
}

Status folder_open(Folder *f, bool overwrite)
{
    struct {
        bool done, resumed;
    } found = {0};
    Status status = OK;
    size_t n = strlen(f->dir);
    while (n > 1 && f->dir[n - 1] == '/') n--;
    f->path = f->dir = str_copy(f->arena, f->dir, n);
    if (ranks_first()) {
        ranks_apart(true);
        status = open_here(f, overwrite);
        ranks_apart(false);
        found.done = f->done, found.resumed = f->resumed;
    }
    status = ranks_tell(status, &found, sizeof found);
    if (status) return f->lock < 0 ? status : folder_leave(f, status, NULL);
    f->done = found.done, f->resumed = found.resumed;
    if (!ranks_first() && !f->done) f->path = at(f, "", WORK);
    return OK;
}

/* ---- the end ---- */

static Status finish_here(Folder *f, cJSON *more)
{
    cJSON *files = cJSON_CreateArray();
    Status status = folder_options(f);
    if (!status) status = list_work(files, f);
    Status wrote = write_manifest(f, status ? "failed" : "done", NULL, files, more);
    if (!status) status = wrote;
    if (!status) status = move_up(f);
    if (!status) f->path = f->dir;
    unlock(f);
    return status;
}

/* The result is complete on the disk once the first rank says so. */
Status folder_finish(Folder *f, cJSON *more)
{
    Status status = ranks_agree(OK);
    if (ranks_first()) {
        ranks_apart(true);
        status = status ? folder_leave(f, status, more) : finish_here(f, more);
        ranks_apart(false);
    } else {
        cJSON_Delete(more);
    }
    if (!status) f->path = f->dir;
    return ranks_agree(status);
}

static Status leave_here(Folder *f, Status status, cJSON *more)
{
    if (f->lock < 0) {
        cJSON_Delete(more);
        return status;
    }
    if (dirs_hold_only(at(f, "", WORK), MANIFEST)) {
        cJSON_Delete(more);
        return folder_drop(f, status);
    }
    const char *message = str_copy(f->arena, err_message(), strlen(err_message()));
    Status wrote = folder_record(f, status == E_INTERRUPT ? "interrupted" : "failed", message, more);
    (void)wrote; /* the first error is the one that is reported */
    unlock(f);
    return status;
}

/* A rank that has failed does not wait for the others, which may not know of it yet. */
Status folder_leave(Folder *f, Status status, cJSON *more)
{
    ranks_apart(true);
    status = leave_here(f, status, more);
    ranks_apart(false);
    return status;
}

Status folder_drop(Folder *f, Status status)
{
    if (f->lock < 0) return status;
    remove_work(f);
    unlock(f);
    return status;
}

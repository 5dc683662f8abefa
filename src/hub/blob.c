/* The bytes go into HASH.incomplete and through the hash at once; the old content of such a file is hashed first. */
#include "hub/blob.h"

#include <errno.h>
#include <fcntl.h>
#include <git2.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/sha256.h"
#include "base/str.h"
#include "hub/request.h"

enum { TRIES = 5, WAIT_MOST_S = 60, SHA256_DIGITS = 64, MODE = 0666, CHUNK = 1 << 16 };

typedef struct {
    const HubPlace *place;
    const HubFile *file;
    const char *path; /* of the unfinished blob */
    int fd;
    int64_t have; /* bytes written */
    Sha256 sum;
    int error; /* errno of a failed write */
} Blob;

static bool take(void *user, const char *bytes, size_t n, bool restart)
{
    Blob *b = user;
    if (restart) {
        if (ftruncate(b->fd, 0)) b->error = errno;
        b->have = 0;
        b->sum = sha256_begin();
    }
    if (b->have + (int64_t)n > b->file->size) return false; /* more than was listed */
    sha256_add(&b->sum, bytes, n);
    for (size_t done = 0; done < n && !b->error;) {
        ssize_t k = pwrite(b->fd, bytes + done, n - done, (off_t)(b->have + (int64_t)done));
        if (k < 0 && errno == EINTR) continue;
        if (k < 0) b->error = errno;
        done += k > 0 ? (size_t)k : 0;
    }
    if (b->error) return false;
    b->have += (int64_t)n;
    const HubPlace *p = b->place;
    if (p->wish->see) p->wish->see(p->wish->user, b->file->path, p->before + b->have, p->total);
    return true;
}

/* Opens the unfinished blob and hashes its content. */
static Status open_blob(Blob *b)
{
    static const int HOW = O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW;
    b->fd = open(b->path, HOW, MODE);
    if (b->fd < 0) return err_fail(E_IO, "%s: %s", b->path, strerror(errno));
    char chunk[CHUNK];
    b->sum = sha256_begin();
    for (ssize_t n; (n = read(b->fd, chunk, sizeof chunk)) > 0; b->have += n) sha256_add(&b->sum, chunk, (size_t)n);
    if (b->have <= b->file->size) return OK;
    b->have = 0;
    b->sum = sha256_begin();
    return ftruncate(b->fd, 0) ? err_fail(E_IO, "%s: %s", b->path, strerror(errno)) : OK;
}

Status hub_refusal(const char *name, const char *what, long status, const char *code, bool token)
{
    if (!strcmp(code, "GatedRepo") || status == 403)
        return err_fail(E_CONFIG, "%s: the hub gives %s only to those who accepted its terms%s", name, what,
                        token ? ", which the owner of this token has not" : "; HF_TOKEN is not set");
    if (!strcmp(code, "RevisionNotFound")) return err_fail(E_CONFIG, "%s: the hub has no such revision", name);
    if (!strcmp(code, "EntryNotFound")) return err_fail(E_CONFIG, "%s: the hub has no %s", name, what);
    if (status == 401 || status == 404)
        return err_fail(E_CONFIG, "%s: the hub has no such repository, or shows it only with %s (HTTP %ld)", name,
                        token ? "another token" : "a token in HF_TOKEN", status);
    return err_fail(E_IO, "%s: the hub gives HTTP %ld in place of %s", name, status, what);
}

static void pause_for(double seconds)
{
    struct timespec t = {(time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9)};
    nanosleep(&t, NULL);
}

static Status broken_off(const Blob *b, const char *name, const Answer *a)
{
    char status[32];
    snprintf(status, sizeof status, "HTTP %ld", a->status);
    return err_fail(E_IO, "%s: %s: %lld of %lld bytes came: %s; the same command goes on from there", name,
                    b->file->path, (long long)b->have, (long long)b->file->size,
                    a->status >= 300 ? status : a->reason);
}

/* Asks until all bytes are there.  Tries that brought something do not count. */
static Status fill(Blob *b, const char *url, const char *name)
{
    for (int tries = 0; b->have < b->file->size || !b->file->size;) {
        int64_t before = b->have;
        Answer a = request_run(&(Request){url, b->place->token, b->have, take, b});
        if (b->error) return err_fail(E_IO, "%s: %s", b->path, strerror(b->error));
        if (a.refused) {
            unlink(b->path);
            return err_fail(E_FORMAT, "%s: %s is longer than the %lld bytes that the hub lists", name, b->file->path,
                            (long long)b->file->size);
        }
        if (a.whole && b->have == b->file->size) break;
        if (a.whole || (a.status == 416 && b->have)) /* a short answer, or a range that the server has not */
            a.may_mend = true, snprintf(a.reason, sizeof a.reason, "the answer ends early");
        if (!a.may_mend && a.status >= 300)
            return hub_refusal(name, b->file->path, a.status, a.code, b->place->token);
        tries = b->have > before ? 0 : tries + 1;
        if (!a.may_mend || tries >= TRIES) return broken_off(b, name, &a);
        double wait = tries ? 0.125 * (1 << tries) : 0;
        pause_for(a.wait > wait ? (double)(a.wait > WAIT_MOST_S ? WAIT_MOST_S : a.wait) : wait);
    }
    return OK;
}

/* Compares with the hub's hash; a wrong blob is removed, since going on behind it would not help. */
static Status check(Blob *b, const char *name)
{
    char hash[GIT_OID_HEXSZ + 1] = "";
    const char *got = hash;
    Sha256Hex sum;
    if (strlen(b->file->hash) == SHA256_DIGITS) {
        sum = sha256_end(&b->sum);
        got = sum.hex;
    } else {
        git_oid id;
        git_libgit2_init();
        if (!git_odb_hashfile(&id, b->path, GIT_OBJECT_BLOB)) git_oid_tostr(hash, sizeof hash, &id);
        git_libgit2_shutdown();
    }
    if (!strcmp(got, b->file->hash)) return OK;
    unlink(b->path);
    return err_fail(E_FORMAT, "%s: %s came with hash %.12s..., but the hub lists %.12s...; it was thrown away", name,
                    b->file->path, got, b->file->hash);
}

/* The lock that huggingface_hub takes for this blob, so that the two never write one file together. */
static Status lock(int *fd, Arena *a, const HubPlace *p, const HubFile *f)
{
    TRY(file_make_dir(p->locks));
    const char *path = str_print(a, "%s/%s.lock", p->locks, f->hash);
    *fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, MODE);
    if (*fd < 0) return err_fail(E_IO, "%s: %s", path, strerror(errno));
    if (!flock(*fd, LOCK_EX | LOCK_NB)) return OK;
    close(*fd);
    *fd = -1;
    return err_fail(E_IO, "%s: another program is fetching this file now", f->path);
}

static Status fetch(Blob *b, Arena *a, const Listing *l, const char *blob)
{
    const char *url = str_print(a, "%s/%s/resolve/%s/%s", b->place->endpoint, l->name, l->commit,
                                request_escape(a, b->file->path, true));
    TRY(open_blob(b));
    Status s = fill(b, url, l->name);
    if (!s && fsync(b->fd)) s = err_fail(E_IO, "%s: %s", b->path, strerror(errno));
    if (close(b->fd) && !s) s = err_fail(E_IO, "%s: %s", b->path, strerror(errno));
    if (!s) s = check(b, l->name);
    if (!s && rename(b->path, blob)) s = err_fail(E_IO, "%s: %s", blob, strerror(errno));
    return s;
}

Status blob_fetch(bool *fetched, Arena *a, const HubPlace *p, const Listing *l, const HubFile *f)
{
    const char *blob = str_print(a, "%s/blobs/%s", p->model, f->hash);
    struct stat there;
    *fetched = stat(blob, &there) || there.st_size != f->size;
    if (!*fetched) return OK;
    int fd = -1;
    Blob b = {.place = p, .file = f, .path = str_print(a, "%s.incomplete", blob)};
    TRY(lock(&fd, a, p, f));
    Status s = fetch(&b, a, l, blob);
    close(fd);
    return s;
}

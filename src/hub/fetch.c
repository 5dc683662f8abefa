/* Lists, chooses, fetches blob by blob, and then makes the links and the reference. */
#include <curl/curl.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/hf_cache.h"
#include "base/str.h"
#include "hub/blob.h"
#include "hub/request.h"

enum { LIST_MOST = 64 << 20, LIST_TRIES = 4, REVISION_MOST = 200 };

static const char *set(const char *variable)
{
    const char *value = getenv(variable);
    return value && *value ? value : NULL;
}

/* A branch, tag, commit or refs/pr/N: it becomes a part of a URL and of a path. */
static bool is_revision(const char *s)
{
    static const char WORD[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-+/";
    size_t n = strlen(s);
    return n && n <= REVISION_MOST && strspn(s, WORD) == n && *s != '/' && *s != '.' && *s != '-' &&
           s[n - 1] != '/' && !strstr(s, "..") && !strstr(s, "//") && !strstr(s, "/.");
}

/* $HF_TOKEN, else the first line of a file; NULL: none. */
static Status find_token(const char **out, Arena *a)
{
    const char *path = set("HF_TOKEN_PATH");
    *out = set("HF_TOKEN");
    if (!path) path = str_print(a, "%s/token", hf_home(a));
    if (!*out && !access(path, F_OK)) {
        Bytes text;
        TRY(file_read(&text, a, path));
        text.text[strcspn(text.text, "\r\n \t")] = 0;
        *out = *text.text ? text.text : NULL;
    }
    for (const char *c = *out; c && *c; c++)
        if (*c <= ' ' || *c > '~') return err_fail(E_CONFIG, "the token of the hub holds a character that none has");
    return OK;
}

static bool take_text(void *user, const char *bytes, size_t n, bool restart)
{
    Buf *text = user;
    if (restart) text->len = 0;
    if (text->len + n > LIST_MOST) return false;
    buf_add(text, bytes, n);
    return true;
}

static Status list(Listing *out, Arena *a, const HubPlace *p, const HubWish *w, const char *revision)
{
    const char *url = str_print(a, "%s/api/models/%s/revision/%s?blobs=true", p->endpoint, w->name,
                                request_escape(a, revision, false));
    Buf text = buf_open(a);
    Answer answer = {.may_mend = true};
    for (int i = 0; i < LIST_TRIES && !answer.whole && answer.may_mend; i++) {
        if (i) usleep(100000u << i);
        answer = request_run(&(Request){url, p->token, 0, take_text, &text});
    }
    if (answer.whole && !answer.refused) return listing_read(out, a, w->name, text.text, text.len);
    if (answer.refused) return err_fail(E_FORMAT, "%s: the hub's list is longer than %d bytes", w->name, LIST_MOST);
    if (answer.status >= 300)
        return hub_refusal(w->name, str_print(a, "revision %s", revision), answer.status, answer.code, p->token);
    return err_fail(E_IO, "%s: %s: %s", w->name, p->endpoint, answer.reason);
}

/* A link from the snapshot to the blob; where the file system has none, the blob itself moves there. */
static Status link_file(Arena *a, const HubPlace *p, const char *snapshot, const HubFile *f)
{
    const char *path = str_print(a, "%s/%s", snapshot, f->path), *slash = strrchr(path, '/');
    Buf to = buf_open(a);
    for (const char *c = f->path; *c; c++)
        if (*c == '/') buf_print(&to, "../");
    buf_print(&to, "../../blobs/%s", f->hash);
    TRY(file_make_dir(str_copy(a, path, (size_t)(slash - path))));
    char old[4096];
    ssize_t n = readlink(path, old, sizeof old - 1);
    if (n > 0 && (size_t)n == to.len && !memcmp(old, to.text, to.len)) return OK;
    if (unlink(path) && errno != ENOENT) return err_fail(E_IO, "%s: %s", path, strerror(errno));
    if (!symlink(to.text, path)) return OK;
    if (!rename(str_print(a, "%s/blobs/%s", p->model, f->hash), path)) return OK;
    return err_fail(E_IO, "%s: %s", path, strerror(errno));
}

static Status fetch_all(HubFound *out, Arena *a, HubPlace *p, const Listing *l)
{
    for (int i = 0; i < l->n; i++) p->total += l->file[i].size;
    *out = (HubFound){.dir = str_print(a, "%s/snapshots/%s", p->model, l->commit), .files = l->n, .bytes = p->total};
    TRY(file_make_dir(str_print(a, "%s/blobs", p->model)));
    for (int i = 0; i < l->n; i++) {
        bool fetched;
        TRY(blob_fetch(&fetched, a, p, l, &l->file[i]));
        out->fetched += fetched;
        p->before += l->file[i].size;
    }
    for (int i = 0; i < l->n; i++) TRY(link_file(a, p, out->dir, &l->file[i]));
    return OK;
}

static Status write_reference(Arena *a, const HubPlace *p, const char *revision, const char *commit)
{
    if (!strcmp(revision, commit)) return OK;
    const char *path = str_print(a, "%s/refs/%s", p->model, revision), *slash = strrchr(path, '/');
    TRY(file_make_dir(str_copy(a, path, (size_t)(slash - path))));
    return file_write(path, commit, strlen(commit));
}

static Status fetch_from(HubFound *out, Arena *a, HubPlace *p, const HubWish *w)
{
    const char *revision = w->revision ? w->revision : "main";
    Listing l;
    if (!is_revision(revision))
        return err_fail(E_CONFIG, "--revision '%.100s' is no branch, tag or commit", revision);
    TRY(find_token(&p->token, a));
    TRY(list(&l, a, p, w, revision));
    TRY(listing_choose(&l, a, w->only));
    TRY(fetch_all(out, a, p, &l));
    return write_reference(a, p, revision, l.commit);
}

static bool is_on(const char *value)
{
    return value && (!strcmp(value, "1") || !strcasecmp(value, "true") || !strcasecmp(value, "yes") ||
                     !strcasecmp(value, "on"));
}

Status hub_fetch(HubFound *out, Arena *a, const HubWish *w)
{
    const char *endpoint = set("HF_ENDPOINT");
    HubPlace p = {.endpoint = endpoint ? endpoint : "https://huggingface.co", .wish = w};
    size_t n = strlen(p.endpoint);
    *out = (HubFound){0};
    if (is_on(set("HF_HUB_OFFLINE"))) return err_fail(E_CONFIG, "HF_HUB_OFFLINE is set, so nothing is fetched");
    if (strncmp(p.endpoint, "http://", 7) != 0 && strncmp(p.endpoint, "https://", 8) != 0)
        return err_fail(E_CONFIG, "HF_ENDPOINT is '%.100s', expected an address of http or https", p.endpoint);
    while (n && p.endpoint[n - 1] == '/') n--;
    p.endpoint = str_copy(a, p.endpoint, n);
    if (!hf_cache_place(&p.model, &p.locks, a, w->name))
        return err_fail(E_CONFIG, "'%.100s' is no name of the hub: ORG/NAME is expected", w->name);
    curl_global_init(CURL_GLOBAL_DEFAULT);
    Status s = fetch_from(out, a, &p, w);
    curl_global_cleanup();
    return s;
}

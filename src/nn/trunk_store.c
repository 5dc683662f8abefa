/* A table of texts by their hashes; each has its rows in memory or at a place of a file.  Every fault of a file ends
 * the keeping of results, or the use of a record, and never the run. */
#include "nn/trunk_store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/ranks.h"
#include "base/seal.h"
#include "base/str.h"

enum { KEY_SHOWN = 32 }; /* characters of the key in the name of the data */

typedef struct {
    Sha256Hex text, sum; /* sum: of the bytes, in a shared file */
    int64_t rows, offset;
    const void *memory; /* NULL: in the file */
    bool checked, own;  /* the bytes are as they were written; this process wrote them into the shared file */
} Record;

struct Store {
    Arena *run;
    Arena memory, table;
    size_t row, limit, used;
    TrunkPlan plan;
    Record *record;
    int64_t n, room;
    int64_t *slot; /* open addressing: a record's number and 1, or 0 */
    int64_t slots;
    int file; /* results that are no longer kept in memory, or all of a shared file; -1: none */
    int64_t end;
    bool stopped; /* nothing more is kept */
    /* a shared file */
    const char *stem, *data; /* DIR/KEY; the data's name in DIR */
    int lock;                /* held: this process writes; -1: another does, or nobody */
    int64_t unlisted;        /* records of its own that the index does not list */
    struct timespec seen;    /* the index's time when it was read */
};

static void remark(const Store *s, const char *what, const char *then)
{
    if (s->plan.say) s->plan.say(str_print(s->run, "trunk cache: %s; %s", what, then), s->plan.user);
}

/* ---- the table */

static uint64_t hash_of(const Sha256Hex *text)
{
    char head[17] = "";
    memcpy(head, text->hex, 16);
    return strtoull(head, NULL, 16);
}

static int64_t *slot_of(const Store *s, const Sha256Hex *text)
{
    int64_t i = (int64_t)(hash_of(text) & (uint64_t)(s->slots - 1));
    while (s->slot[i] && strcmp(s->record[s->slot[i] - 1].text.hex, text->hex) != 0) i = (i + 1) & (s->slots - 1);
    return &s->slot[i];
}

static void grow_slots(Store *s)
{
    if (2 * (s->n + 1) < s->slots) return;
    s->slots = s->slots ? 2 * s->slots : 1024;
    s->slot = NEW(&s->table, int64_t, s->slots);
    for (int64_t i = 0; i < s->n; i++) *slot_of(s, &s->record[i].text) = i + 1;
}

static Record *find(const Store *s, const Sha256Hex *text)
{
    int64_t at = s->slots ? *slot_of(s, text) : 0;
    return at ? &s->record[at - 1] : NULL;
}

/* A new record takes the place of one of the same text. */
static void keep_record(Store *s, const Record *r)
{
    Record *old = find(s, &r->text);
    if (old) {
        *old = *r;
        return;
    }
    grow_slots(s);
    GROW(&s->table, s->record, s->n, s->room, 256);
    s->record[s->n++] = *r;
    *slot_of(s, &r->text) = s->n;
}

/* ---- bytes in a file */

static bool read_all(int file, void *to, size_t n, int64_t offset)
{
    for (size_t done = 0; done < n;) {
        ssize_t k = pread(file, (char *)to + done, n - done, (off_t)offset + (off_t)done);
        if (k < 0 && errno == EINTR) continue;
        if (k <= 0) return false;
        done += (size_t)k;
    }
    return true;
}

static bool write_all(int file, const void *from, size_t n, int64_t offset)
{
    for (size_t done = 0; done < n;) {
        ssize_t k = pwrite(file, (const char *)from + done, n - done, (off_t)offset + (off_t)done);
        if (k < 0 && errno == EINTR) continue;
        if (k <= 0) return false;
        done += (size_t)k;
    }
    return true;
}

static Sha256Hex sum_of(const void *bytes, size_t n)
{
    Sha256 h = sha256_begin();
    sha256_add(&h, bytes, n);
    return sha256_end(&h);
}

static void stop(Store *s, const char *path)
{
    s->stopped = true;
    remark(s, str_print(s->run, "%s: %s", path, strerror(errno)),
           "what the frozen layers compute is not kept from here on");
}

/* ---- the shared file */

static const char *index_path(const Store *s)
{
    return str_print(s->run, "%s.index", s->stem);
}

static const char *data_path(const Store *s, const char *name)
{
    return str_print(s->run, "%.*s%s", (int)(strrchr(s->stem, '/') + 1 - s->stem), s->stem, name);
}

/* "SUM OFFSET ROWS TEXT" of each record, below a title with the name of the data. */
static bool read_index(Store *s, const char *text)
{
    char name[160];
    if (sscanf(text, "trunk 1 %159s", name) != 1 || strchr(name, '/')) return false;
    if (!s->data || strcmp(s->data, name) != 0) {
        int file = open(data_path(s, name), s->lock >= 0 ? O_RDWR | O_CLOEXEC : O_RDONLY | O_CLOEXEC);
        if (file < 0) return false;
        if (s->file >= 0) close(s->file);
        s->file = file, s->n = 0, s->end = 0;
        memset(s->slot, 0, sizeof *s->slot * (size_t)s->slots);
        s->data = str_copy(s->run, name, strlen(name));
    }
    for (const char *line = strchr(text, '\n'); line && line[1]; line = strchr(line + 1, '\n')) {
        Record r = {.checked = false};
        long long offset, rows;
        if (sscanf(line + 1, "%64s %lld %lld %64s", r.sum.hex, &offset, &rows, r.text.hex) != 4) return false;
        if (offset < 0 || rows <= 0 || rows > 1 << 24) return false;
        r.offset = offset, r.rows = rows;
        int64_t end = r.offset + r.rows * (int64_t)s->row;
        if (end > s->end) s->end = end;
        if (!find(s, &r.text)) keep_record(s, &r);
    }
    return true;
}

/* The index again, where another process has replaced it. */
static void refresh(Store *s)
{
    const char *text;
    struct stat now;
    ArenaMark mark = arena_mark(&s->memory);
    if (s->unlisted || stat(index_path(s), &now)) return;
    if (now.st_mtim.tv_sec == s->seen.tv_sec && now.st_mtim.tv_nsec == s->seen.tv_nsec) return;
    s->seen = now.st_mtim;
    if (!seal_read(&text, index_path(s), &s->memory) || !read_index(s, text)) {
        s->n = 0, s->end = 0, s->data = NULL;
        memset(s->slot, 0, sizeof *s->slot * (size_t)s->slots);
        remark(s, str_print(s->run, "%s is damaged", index_path(s)), "its texts are computed again");
    }
    arena_drop(&s->memory, mark);
}

/* Data that no index names are of no use to anybody; whoever reads them has them open. */
static void remove_data(const Store *s)
{
    const char *key = strrchr(s->stem, '/') + 1;
    DIR *dir = opendir(data_path(s, ""));
    for (struct dirent *e; dir && (e = readdir(dir));)
        if (!strncmp(e->d_name, key, KEY_SHOWN) && str_glob("*.data", e->d_name)) unlinkat(dirfd(dir), e->d_name, 0);
    if (dir) closedir(dir);
}

/* Whether this process may append, for which it takes the lock; the data are made where there are none. */
static bool may_write(Store *s)
{
    if (s->lock >= 0) return true;
    const char *path = str_print(s->run, "%s.lock", s->stem);
    int lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (lock < 0) {
        stop(s, path);
        return false;
    }
    if (flock(lock, LOCK_EX | LOCK_NB)) {
        close(lock);
        return false;
    }
    s->lock = lock;
    s->seen = (struct timespec){0};
    refresh(s); /* whoever wrote before has left its last word */
    if (!s->data) remove_data(s);
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    const char *key = strrchr(s->stem, '/') + 1;
    const char *name = s->data ? s->data
                               : str_print(s->run, "%.*s.%lld-%ld-%d.data", KEY_SHOWN, key, (long long)now.tv_sec,
                                           now.tv_nsec, (int)getpid());
    int file = open(data_path(s, name), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (file < 0) {
        stop(s, data_path(s, name));
        return false;
    }
    if (s->file >= 0) close(s->file);
    s->file = file, s->data = name;
    return true;
}

static void publish(Store *s)
{
    if (!s->unlisted) return;
    Arena a = arena_open(0);
    Buf b = buf_open(&a);
    buf_print(&b, "trunk 1 %s\n", s->data);
    for (int64_t i = 0; i < s->n; i++)
        buf_print(&b, "%s %lld %lld %s\n", s->record[i].sum.hex, (long long)s->record[i].offset,
                  (long long)s->record[i].rows, s->record[i].text.hex);
    s->unlisted = 0;
    ranks_apart(true); /* whichever rank has the lock */
    if (seal_write(index_path(s), b.text, &a)) {
        remark(s, err_message(), "other processes will not find what this one has computed");
        err_clear();
    }
    ranks_apart(false);
    arena_close(&a);
}

/* ---- keeping */

static const void *in_memory(Store *s, const void *from, size_t n)
{
    if (s->plan.keep == TRUNK_FILE || s->used + n > s->limit) return NULL;
    s->used += (n + 63) & ~(size_t)63;
    return memcpy(arena_take(&s->memory, n), from, n);
}

/* A file that has no name and goes with the process. */
static bool open_scratch(Store *s)
{
    if (s->file >= 0) return true;
    if (!s->plan.scratch || s->plan.keep != TRUNK_AUTO) return false;
    const char *path = str_print(s->run, "%s/trunk.%d.cache", s->plan.scratch, ranks_rank());
    s->file = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (s->file < 0)
        stop(s, path);
    else
        unlink(path);
    return s->file >= 0;
}

bool store_get(Store *s, const Sha256Hex *text, int64_t rows, void *to)
{
    size_t n = (size_t)rows * s->row;
    Record *r = find(s, text);
    if (!r && s->stem && !s->stopped) {
        refresh(s);
        r = find(s, text);
    }
    if (!r || r->rows != rows) return false;
    if (r->memory) {
        memcpy(to, r->memory, n);
        return true;
    }
    bool whole = read_all(s->file, to, n, r->offset);
    if (whole && s->stem && !r->checked) whole = !strcmp(sum_of(to, n).hex, r->sum.hex);
    if (r->own && s->unlisted) publish(s); /* an epoch has passed */
    r->checked = whole;
    if (whole) return true;
    memset(to, 0, n);
    remark(s, "a result is not as it was written", "it is computed again");
    return false;
}

void store_put(Store *s, const Sha256Hex *text, int64_t rows, const void *from)
{
    size_t n = (size_t)rows * s->row;
    Record r = {.text = *text, .rows = rows, .checked = true};
    if (s->stopped) return;
    r.memory = in_memory(s, from, n);
    if (!r.memory) {
        if (s->stem ? !may_write(s) : !open_scratch(s)) return;
        r.offset = s->end;
        if (s->stem) r.sum = sum_of(from, n), r.own = true;
        if (!write_all(s->file, from, n, r.offset)) {
            stop(s, s->stem ? data_path(s, s->data) : s->plan.scratch);
            return;
        }
        s->end += (int64_t)n;
        s->unlisted += s->stem != NULL;
    }
    keep_record(s, &r);
}

/* ---- opening */

static const char *shared_dir(Arena *a, const TrunkPlan *plan)
{
    const char *dir = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    if (plan->shared) return plan->shared;
    return dir && *dir ? str_print(a, "%s/vernier/trunk", dir)
                       : str_print(a, "%s/.cache/vernier/trunk", home ? home : "");
}

Store *store_open(Arena *run, const TrunkPlan *plan, const char *key, size_t row)
{
    Store *s = NEW(run, Store, 1);
    const long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGE_SIZE);
    *s = (Store){.run = run, .row = row, .plan = *plan, .file = -1, .lock = -1};
    s->limit = plan->memory ? plan->memory : pages > 0 && page > 0 ? (size_t)pages * (size_t)page / 4 / (size_t)ranks_here() : 0;
    s->memory = arena_open(s->limit + ((size_t)64 << 20));
    s->table = arena_open((size_t)1 << 34);
    s->stopped = plan->keep == TRUNK_OFF;
    grow_slots(s);
    if (!key) return s;
    const char *dir = shared_dir(run, plan);
    s->stem = str_print(run, "%s/%s", dir, key);
    if (file_make_dir(dir)) {
        remark(s, err_message(), "what the frozen layers compute is not kept");
        err_clear();
        s->stopped = true;
    }
    return s;
}

void store_close(Store *s)
{
    publish(s);
    if (s->file >= 0) close(s->file);
    if (s->lock >= 0) close(s->lock);
    arena_close(&s->memory);
    arena_close(&s->table);
}

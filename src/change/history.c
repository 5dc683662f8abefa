/* One pass over the commits; everything is a table from names to places in growing arrays. */
#include "change/history.h"

#include <ctype.h>
#include <math.h>
#include <string.h>

#include "base/table.h"

static const double UNKNOWN = NAN;

typedef struct {
    int32_t n, id[]; /* never changed once made, so files can share it */
} Authors;

typedef struct {
    int64_t size, changes, last; /* lines; commits; time */
    const Authors *authors;
    bool size_unknown, changes_unknown, authors_unknown; /* then the numbers above mean nothing */
} FilePast;

typedef struct {
    int64_t n, room, *time; /* (n) of every commit */
    bool places_unknown;    /* one of them was in unknown subsystems */
} AuthorPast;

struct History {
    Arena *arena, scratch;
    Table files;               /* path -> name_value */
    Table authors, subsystems; /* author; author and subsystem -> commits */
    FilePast *file;
    AuthorPast *author;
    int64_t files_room, authors_room, n_files;
    bool files_lost, authors_lost; /* some commit's files cannot be read; some commit's author */
};

History *history_open(Arena *a)
{
    History *h = NEW(a, History, 1);
    h->arena = a;
    h->scratch = arena_open((size_t)1 << 32);
    h->files = table_open(a, 1 << 12);
    h->authors = table_open(a, 256);
    h->subsystems = table_open(a, 1024);
    return h;
}

/* The author's place. */
static int32_t author_at(History *h, const char *name)
{
    char key[256];
    size_t n = 0;
    for (; name[n] && n < sizeof key; n++) key[n] = (char)tolower((unsigned char)name[n]);
    bool added;
    int64_t count = h->authors.count, *at = table_add(&h->authors, key, n, &added);
    if (added) {
        *at = count;
        GROW(h->arena, h->author, count, h->authors_room, 16);
    }
    return (int32_t)*at;
}

/* A path leads to a file.  It still does after the file was renamed away, for those who change it on a branch that
 * does not have the new name yet; but a file that is made there is another one. */
static int64_t name_value(int64_t file, bool left)
{
    return 2 * file + left;
}

/* The place of the file's past, -1 when it has none. */
static int64_t file_at(const History *h, const Touched *t)
{
    int64_t value = table_get(&h->files, t->old_path, strlen(t->old_path), -1);
    return value < 0 || (t->status == FILE_ADDED && (value % 2 || t->unsure)) ? -1 : value / 2;
}

static void set_name(History *h, const char *path, int64_t value)
{
    *table_add(&h->files, path, strlen(path), NULL) = value;
}

/* All of a commit's old names are left before any new one is taken: two files may change names with each other. */
static void set_names(History *h, const Touched *file, int64_t n, const int64_t *at)
{
    for (int64_t i = 0; i < n; i++)
        if (file[i].status == FILE_RENAMED) set_name(h, file[i].old_path, name_value(at[i], true));
    for (int64_t i = 0; i < n; i++) {
        bool taken = file[i].status == FILE_ADDED || file[i].status == FILE_RENAMED;
        if (taken || table_get(&h->files, file[i].new_path, strlen(file[i].new_path), -1) < 0)
            set_name(h, file[i].new_path, name_value(at[i], false));
    }
}

void history_rename(History *h, const char *old_path, const char *new_path)
{
    int64_t value = table_get(&h->files, old_path, strlen(old_path), -1);
    if (value < 0) return;
    set_name(h, old_path, name_value(value / 2, true));
    set_name(h, new_path, name_value(value / 2, false));
}

/* Whether a file without a past may have one all the same: a renamed file's, or one that a lost commit has made. */
static bool may_have_past(const History *h, const Touched *t)
{
    return t->unsure || (h->files_lost && t->status != FILE_ADDED);
}

static int64_t new_file(History *h, const Touched *t)
{
    bool unknown = may_have_past(h, t), was_there = unknown && !t->unsure;
    GROW(h->arena, h->file, h->n_files, h->files_room, 16);
    h->file[h->n_files] = (FilePast){.size = was_there && t->before >= 0 ? t->before : 0,
                                     .size_unknown = was_there && t->before < 0,
                                     .changes_unknown = unknown,
                                     .authors_unknown = unknown};
    return h->n_files++;
}

bool history_asks(const History *h, const Touched *t)
{
    int64_t at = file_at(h, t);
    return at < 0 ? !t->unsure && may_have_past(h, t) : h->file[at].size_unknown;
}

static bool holds(const Authors *s, int32_t id)
{
    for (int32_t i = 0; s && i < s->n; i++)
        if (s->id[i] == id) return true;
    return false;
}

/* a and b and id; one of them where that is the same set. */
static const Authors *joined(Arena *arena, const Authors *a, const Authors *b, int32_t id)
{
    if (!a) a = b, b = NULL;
    bool inside = a && (id < 0 || holds(a, id));
    for (int32_t i = 0; inside && b && b != a && i < b->n; i++) inside = holds(a, b->id[i]);
    if (inside) return a;
    int32_t room = (a ? a->n : 0) + (b ? b->n : 0) + 1;
    Authors *s = arena_take(arena, sizeof *s + sizeof *s->id * (size_t)room);
    s->n = 0;
    for (int32_t i = 0; a && i < a->n; i++) s->id[s->n++] = a->id[i];
    for (int32_t i = 0; b && i < b->n; i++)
        if (!holds(a, b->id[i])) s->id[s->n++] = b->id[i];
    if (id >= 0 && !holds(s, id)) s->id[s->n++] = id;
    return s;
}

/* The first part of a path's directory, or (whole) all of it; "root" at the top. */
static size_t directory(const char **name, const char *path, bool whole)
{
    const char *slash = whole ? strrchr(path, '/') : strchr(path, '/');
    *name = slash ? path : "root";
    return slash ? (size_t)(slash - path) : 4;
}

static bool is_fix(const char *message)
{
    static const char *const WORD[] = {"bug", "fix", "wrong", "error", "fail", "problem", "patch"};
    for (size_t i = 0; i < sizeof WORD / sizeof *WORD; i++)
        if (strcasestr(message, WORD[i])) return true;
    return false;
}

/* From one time to a later one; unknown when one of them is, and none where clocks went backwards. */
static double seconds_between(int64_t from, int64_t to)
{
    return from == TIME_UNKNOWN || to == TIME_UNKNOWN ? UNKNOWN : from < to ? (double)to - (double)from : 0;
}

static bool is_counted(const Touched *t)
{
    return t->added >= 0 && t->removed >= 0;
}

/* la, ld and entropy. */
static void look_at_lines(double f[N_FEATURES], const Touched *file, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        if (!is_counted(&file[i])) {
            f[FEATURE_la] = f[FEATURE_ld] = f[FEATURE_entropy] = UNKNOWN;
            return;
        }
        f[FEATURE_la] += (double)file[i].added;
        f[FEATURE_ld] += (double)file[i].removed;
    }
    double total = f[FEATURE_la] + f[FEATURE_ld];
    for (int64_t i = 0; i < n; i++) {
        double part = (double)(file[i].added + file[i].removed) / total;
        if (part > 0) f[FEATURE_entropy] -= part * log2(part);
    }
}

/* nf, and the measures of the files' past; a file of unknown size gets it from `before` where that is known. */
static void look_at_files(History *h, double f[N_FEATURES], const Touched *file, int64_t n, const int64_t *at,
                          int64_t time, const Authors **authors, int32_t who)
{
    const Authors *before = NULL;
    bool any_new = false, authors_unknown = false;
    for (int64_t i = 0; i < n; i++) {
        if (at[i] < 0) {
            any_new = true;
            if (!may_have_past(h, &file[i])) continue;
            authors_unknown = true;
            f[FEATURE_nuc] = f[FEATURE_age] = UNKNOWN;
            f[FEATURE_lt] += file[i].unsure || file[i].before < 0 ? UNKNOWN : (double)file[i].before / (double)n;
            continue;
        }
        FilePast *p = &h->file[at[i]];
        if (p->size_unknown && file[i].before >= 0) p->size = file[i].before, p->size_unknown = false;
        f[FEATURE_lt] += p->size_unknown ? UNKNOWN : (double)p->size / (double)n;
        f[FEATURE_nuc] += p->changes_unknown ? UNKNOWN : (double)p->changes;
        f[FEATURE_age] += seconds_between(p->last, time) / 86400 / (double)n;
        authors_unknown |= p->authors_unknown;
        before = joined(h->arena, before, p->authors, -1);
    }
    f[FEATURE_nf] = (double)n;
    *authors = joined(h->arena, before, NULL, who);
    const Authors *seen = any_new ? *authors : before;
    f[FEATURE_ndev] = authors_unknown ? UNKNOWN : seen ? seen->n : 0;
}

/* ns, nd and sexp; the author's count in each subsystem goes up. */
static void look_at_places(History *h, double f[N_FEATURES], const Touched *file, int64_t n, int32_t who)
{
    double earlier = 0;
    Table places = table_open(&h->scratch, 2 * n);
    for (int64_t i = 0; i < 2 * n; i++) {
        const char *s;
        bool whole = i % 2, fresh;
        size_t len = directory(&s, file[i / 2].new_path, whole);
        const char *key = str_print(&h->scratch, "%d/%.*s", whole, (int)len, s);
        table_add(&places, key, strlen(key), &fresh);
        if (!fresh) continue;
        f[whole ? FEATURE_nd : FEATURE_ns]++;
        if (whole) continue;
        key = str_print(&h->scratch, "%d/%.*s", who, (int)len, s);
        earlier += (double)(*table_add(&h->subsystems, key, strlen(key), NULL))++;
    }
    bool unknown = h->authors_lost || h->author[who].places_unknown;
    f[FEATURE_sexp] = !n ? 0 : unknown ? UNKNOWN : earlier / f[FEATURE_ns];
}

static void add_commit(History *h, AuthorPast *p, int64_t time)
{
    GROW(h->arena, p->time, p->n, p->room, 16);
    p->time[p->n++] = time;
}

/* The author's past commits; this one joins them. */
static void look_at_author(History *h, double f[N_FEATURES], int32_t who, int64_t time)
{
    AuthorPast *p = &h->author[who];
    f[FEATURE_exp] = (double)p->n;
    for (int64_t i = 0; i < p->n; i++)
        f[FEATURE_rexp] += 1 / (1 + seconds_between(p->time[i], time) / (365 * 86400.0));
    if (h->authors_lost) f[FEATURE_exp] = f[FEATURE_rexp] = UNKNOWN;
    add_commit(h, p, time);
}

void history_lose(History *h, const char *author, int64_t time)
{
    for (int64_t i = 0; i < h->n_files; i++) {
        FilePast *p = &h->file[i];
        p->size_unknown = p->changes_unknown = p->authors_unknown = true;
        p->last = TIME_UNKNOWN;
    }
    h->files_lost = true;
    h->authors_lost |= !author;
    if (!author) return;
    int32_t who = author_at(h, author); /* which may move h->author */
    h->author[who].places_unknown = true;
    add_commit(h, &h->author[who], time);
}

/* Computes the features f of a commit from the history before it, then adds the commit to the history. */
void history_add(History *h, double f[N_FEATURES], const char *author, int64_t time, const char *message,
                 const Touched *file, int64_t n)
{
    ArenaMark mark = arena_mark(&h->scratch);
    const Authors *authors;
    int32_t who = author_at(h, author);
    int64_t *at = NEW(&h->scratch, int64_t, n + 1);
    memset(f, 0, sizeof *f * N_FEATURES);
    for (int64_t i = 0; i < n; i++) {
        CHECK(file[i].status < FILE_STATUSES, "file %s has the status %d", file[i].new_path, (int)file[i].status);
        at[i] = file_at(h, &file[i]);
    }
    look_at_lines(f, file, n);
    look_at_files(h, f, file, n, at, time, &authors, who);
    look_at_places(h, f, file, n, who);
    look_at_author(h, f, who, time);
    f[FEATURE_fix] = is_fix(message);
    for (int64_t i = 0; i < n; i++)
        if (at[i] < 0) at[i] = new_file(h, &file[i]);
    set_names(h, file, n, at);
    for (int64_t i = 0; i < n; i++) {
        FilePast *p = &h->file[at[i]];
        p->size_unknown |= !is_counted(&file[i]);
        p->size += file[i].added - file[i].removed;
        p->changes++;
        p->last = time;
        p->authors = authors;
        p->authors_unknown = isnan(f[FEATURE_ndev]);
    }
    arena_drop(&h->scratch, mark);
}

void history_close(History *h)
{
    arena_close(&h->scratch);
}

/* The deleted files are sources, the added ones targets; both keep the order of the list, as git's ties need it.
 * A content's fingerprint is the multiset of its chunks (lines, cut at 64 bytes), each hashed to 17 bits. */
#include "change/renames.h"

#include <stdlib.h>
#include <string.h>

#include "base/table.h"

enum { HALF = RENAME_ALL / 2, BASE_NAME_SCORE = RENAME_ALL / 4 * 3, TRIES = 100, CANDIDATES = 4 };
enum { ID = 20, CHUNK = 64, HASHES = 107927, TEXT_LOOK = 8000 };

/* ---- similarity ---- */

typedef struct {
    uint32_t hash, bytes;
} Chunk;

typedef struct {
    bool tried, readable;
    int64_t size, n;
    Chunk *chunk; /* (n) by hash, each hash once */
} Print;

static int by_hash(const void *a, const void *b)
{
    const Chunk *x = a, *y = b;
    return (x->hash > y->hash) - (x->hash < y->hash);
}

/* git's hash of a chunk is fed byte by byte; a CR before LF does not count in text. */
static void fingerprint(Print *p, Arena *a, Bytes content)
{
    const unsigned char *s = (const unsigned char *)content.text;
    size_t len = content.len, first = len < TEXT_LOOK ? len : TEXT_LOOK, lines = 0;
    bool text = !len || !memchr(s, 0, first);
    for (size_t i = 0; i < len; i++) lines += s[i] == '\n';
    Chunk *chunk = arena_take(a, sizeof *chunk * (lines + len / CHUNK + 1));
    uint32_t one = 0, two = 0, n = 0;
    int64_t all = 0, kept = 0;
    for (size_t i = 0; i < len; i++) {
        if (text && s[i] == '\r' && i + 1 < len && s[i + 1] == '\n') continue;
        uint32_t before = one;
        one = (one << 7 ^ two >> 25) + s[i];
        two = two << 7 ^ before >> 25;
        if (++n < CHUNK && s[i] != '\n' && i + 1 < len) continue;
        chunk[all++] = (Chunk){(one + two * 0x61) % HASHES, n};
        one = two = n = 0;
    }
    qsort(chunk, (size_t)all, sizeof *chunk, by_hash);
    for (int64_t i = 0; i < all; i++)
        if (kept && chunk[kept - 1].hash == chunk[i].hash)
            chunk[kept - 1].bytes += chunk[i].bytes;
        else
            chunk[kept++] = chunk[i];
    *p = (Print){true, true, (int64_t)len, kept, chunk};
}

static int similarity(const Print *from, const Print *to)
{
    int64_t most = from->size > to->size ? from->size : to->size, least = from->size + to->size - most, both = 0;
    if (!least || most * (RENAME_ALL - HALF) < (most - least) * RENAME_ALL) return 0;
    for (int64_t i = 0, k = 0; i < from->n && k < to->n;) {
        const Chunk *x = &from->chunk[i], *y = &to->chunk[k];
        if (x->hash == y->hash) both += x->bytes < y->bytes ? x->bytes : y->bytes;
        i += x->hash <= y->hash;
        k += y->hash <= x->hash;
    }
    return (int)(both * RENAME_ALL / most);
}

int rename_similarity(Arena *a, Bytes from, Bytes to)
{
    Print x, y;
    fingerprint(&x, a, from);
    fingerprint(&y, a, to);
    return similarity(&x, &y);
}

/* ---- the two sides ---- */

typedef struct {
    RepoDelta *delta;
    const char *base; /* the last part of its path */
    bool code, done;
    Print print;
} Side;

typedef struct {
    Arena *arena, scratch; /* a content is on the second one until its fingerprint is taken */
    const RenameReader *reader;
    Side *source, *target;
    int64_t n_sources, n_targets;
} Renames;

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static Side side_of(const Renames *r, RepoDelta *d)
{
    return (Side){.delta = d, .base = base_name(d->new_path), .code = r->reader->is_code(d, r->reader->user)};
}

static void collect(Renames *r, RepoDelta *list, int64_t n)
{
    r->source = NEW(r->arena, Side, n + 1);
    r->target = NEW(r->arena, Side, n + 1);
    for (int64_t i = 0; i < n; i++) {
        if (list[i].status == FILE_DELETED) r->source[r->n_sources++] = side_of(r, &list[i]);
        if (list[i].status == FILE_ADDED) r->target[r->n_targets++] = side_of(r, &list[i]);
    }
}

static void pair(Side *source, Side *target)
{
    RepoDelta *from = source->delta, *to = target->delta;
    to->status = FILE_RENAMED;
    to->old_path = from->old_path;
    memcpy(to->old_id, from->old_id, sizeof to->old_id);
    source->done = target->done = true;
}

/* Reads a content once; only its fingerprint stays. */
static bool readable(Renames *r, Side *s, const unsigned char *id)
{
    Bytes content;
    if (s->print.tried) return s->print.readable;
    ArenaMark mark = arena_mark(&r->scratch);
    s->print.tried = true;
    if (r->reader->contents(&content, &r->scratch, id, r->reader->user)) fingerprint(&s->print, r->arena, content);
    arena_drop(&r->scratch, mark);
    return s->print.readable;
}

/* 0, too, where one of the two cannot be read. */
static int compare(Renames *r, Side *source, Side *target)
{
    bool read = readable(r, source, source->delta->old_id) && readable(r, target, target->delta->new_id);
    return read ? similarity(&source->print, &target->print) : 0;
}

static bool stopped(const Renames *r)
{
    return r->reader->stop && r->reader->stop(r->reader->user);
}

/* ---- the three steps ---- */

/* Of the sources with the target's content one that bears its base name, else the first. */
static void pair_exact(Renames *r)
{
    Table first = table_open(r->arena, 2 * r->n_sources + 1);
    int64_t *next = NEW(r->arena, int64_t, r->n_sources + 1); /* from 1; 0 ends a chain */
    for (int64_t i = r->n_sources; i > 0; i--) {
        int64_t *at = table_add(&first, r->source[i - 1].delta->old_id, ID, NULL);
        next[i] = *at;
        *at = i;
    }
    for (int64_t t = 0; t < r->n_targets; t++) {
        Side *target = &r->target[t], *best = NULL;
        int tries = TRIES;
        for (int64_t i = table_get(&first, target->delta->new_id, ID, 0); i && tries; i = next[i]) {
            Side *source = &r->source[i - 1];
            if (source->done) continue;
            tries--;
            bool same_name = !strcmp(source->base, target->base);
            if (!best || same_name) best = source;
            if (same_name) break;
        }
        if (best) pair(best, target);
    }
}

/* Base name -> place from 1, or -1 when several of those that are left have it. */
static Table unique_names(const Renames *r, const Side *side, int64_t n)
{
    Table names = table_open(r->arena, 2 * n + 1);
    for (int64_t i = 0; i < n; i++) {
        if (side[i].done || !side[i].code) continue;
        int64_t *at = table_add(&names, side[i].base, strlen(side[i].base), NULL);
        *at = *at ? -1 : i + 1;
    }
    return names;
}

static void pair_by_name(Renames *r)
{
    Table sources = unique_names(r, r->source, r->n_sources), targets = unique_names(r, r->target, r->n_targets);
    for (int64_t i = 0; i < r->n_sources && !stopped(r); i++) {
        Side *source = &r->source[i];
        if (source->done || !source->code) continue;
        int64_t t = table_get(&targets, source->base, strlen(source->base), 0);
        if (t <= 0 || table_get(&sources, source->base, strlen(source->base), 0) < 0) continue;
        if (compare(r, source, &r->target[t - 1]) >= BASE_NAME_SCORE) pair(source, &r->target[t - 1]);
    }
}

typedef struct {
    int score;
    bool same_name, used;
    int64_t order; /* of discovery, which decides between equals */
    Side *source, *target;
} Candidate;

/* The better one first; unused places last. */
static int better_first(const Candidate *x, const Candidate *y)
{
    if (!x->used || !y->used) return x->used ? -1 : y->used;
    if (x->score != y->score) return x->score > y->score ? -1 : 1;
    return (int)y->same_name - (int)x->same_name;
}

static int by_rank(const void *a, const void *b)
{
    const Candidate *x = a, *y = b;
    int order = better_first(x, y);
    return order ? order : (x->order > y->order) - (x->order < y->order);
}

/* The best few sources of one target, in places numbered from `order`. */
static void best_sources(Renames *r, Side *target, Candidate best[CANDIDATES], int64_t order)
{
    for (int k = 0; k < CANDIDATES; k++) best[k] = (Candidate){.order = order + k};
    for (int64_t i = 0; i < r->n_sources && !stopped(r); i++) {
        Side *source = &r->source[i];
        if (source->done || !source->code) continue;
        Candidate c = {.score = compare(r, source, target),
                       .same_name = !strcmp(source->base, target->base),
                       .used = true,
                       .source = source,
                       .target = target};
        int worst = 0;
        for (int k = 1; k < CANDIDATES; k++)
            if (better_first(&best[k], &best[worst]) > 0) worst = k;
        c.order = best[worst].order;
        if (better_first(&best[worst], &c) > 0) best[worst] = c;
    }
}

static int64_t left(const Side *side, int64_t n)
{
    int64_t count = 0;
    for (int64_t i = 0; i < n; i++) count += side[i].code && !side[i].done;
    return count;
}

/* Pairs files by similarity of contents, best first; *limited: there are too many files to compare. */
static void pair_by_content(Renames *r, bool *limited)
{
    int64_t sources = left(r->source, r->n_sources), targets = left(r->target, r->n_targets), n = 0;
    int64_t limit = r->reader->limit;
    *limited = limit && sources > 0 && targets > limit * limit / sources;
    if (!sources || !targets || *limited) return;
    Candidate *all = arena_take(r->arena, sizeof *all * CANDIDATES * (size_t)targets);
    for (int64_t t = 0; t < r->n_targets; t++) {
        if (!r->target[t].code || r->target[t].done) continue;
        best_sources(r, &r->target[t], &all[n], n);
        n += CANDIDATES;
    }
    qsort(all, (size_t)n, sizeof *all, by_rank);
    for (int64_t i = 0; i < n && all[i].used && all[i].score >= HALF; i++)
        if (!all[i].source->done && !all[i].target->done) pair(all[i].source, all[i].target);
}

/* A target that is left may be an unreadable source renamed; an unreadable target may have been any source. */
static void mark_unsure(Renames *r)
{
    bool source_left = false, source_unread = false;
    for (int64_t i = 0; i < r->n_sources; i++) {
        const Side *s = &r->source[i];
        if (!s->code || s->done) continue;
        source_left = true;
        source_unread |= s->print.tried && !s->print.readable;
    }
    for (int64_t t = 0; t < r->n_targets; t++) {
        Side *s = &r->target[t];
        if (!s->code || s->done) continue;
        s->delta->unsure = source_unread || (source_left && s->print.tried && !s->print.readable);
    }
}

/* Pairs deleted with added files: equal contents first, then equal names, then similar contents. */
void renames_find(RepoDelta *list, int64_t *n, bool *limited, Arena *arena, const RenameReader *reader)
{
    Renames r = {.arena = arena, .reader = reader};
    *limited = false;
    collect(&r, list, *n);
    if (!r.n_sources || !r.n_targets) return;
    pair_exact(&r);
    r.scratch = arena_open((size_t)1 << 34);
    pair_by_name(&r);
    pair_by_content(&r, limited);
    arena_close(&r.scratch);
    mark_unsure(&r);
    for (int64_t i = 0; i < r.n_sources; i++)
        if (r.source[i].done) r.source[i].delta->new_path = NULL; /* its line in the list goes */
    int64_t kept = 0;
    for (int64_t i = 0; i < *n; i++)
        if (list[i].new_path) list[kept++] = list[i];
    *n = kept;
}

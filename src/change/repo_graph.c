/* The commit graph is collected here and not by libgit2's own walk, which gives up at the first object that it cannot
 * read.  Kahn's algorithm with a heap by (time, id) puts it in order. */
#include <string.h>

#include "change/repo_parts.h"
#include "text/heap.h"

enum { LOOK_EVERY = 1024 }; /* commits; whether to stop */

/* Commits in the order of discovery, the unreadable ones among them. */
typedef struct {
    Table at; /* id -> place */
    RepoCommit *commit;
    bool *read;     /* (n) */
    int32_t *edge;  /* parents of all commits, one after the other */
    int64_t *first; /* (n + 1) where a commit's parents begin */
    int64_t n, room, n_edges, room_edges;
} Graph;

/* The place of an id; new ones are appended. */
static int32_t place(Repo *r, Graph *g, const unsigned char id[20])
{
    bool added;
    int64_t *at = table_add(&g->at, id, 20, &added);
    if (!added) return (int32_t)*at;
    if (g->n == g->room) {
        size_t was = (size_t)g->room;
        GROW(r->arena, g->commit, g->n, g->room, 4096);
        size_t room = (size_t)g->room;
        g->read = arena_grow(r->arena, g->read, sizeof *g->read * was, sizeof *g->read * room);
        g->first =
            arena_grow(r->arena, g->first, was ? sizeof *g->first * (was + 1) : 0, sizeof *g->first * (room + 1));
    }
    *at = g->n++;
    g->commit[*at] = (RepoCommit){.parent = -1};
    memcpy(g->commit[*at].id, id, 20);
    return (int32_t)*at;
}

/* Reads commit i and appends its parents to the edges. */
static void read_commit(Repo *r, Graph *g, int64_t i)
{
    CommitLinks links;
    ArenaMark mark = arena_mark(&r->scratch);
    g->read[i] = !repo_links(r, &r->scratch, g->commit[i].id, &links);
    if (g->read[i]) {
        RepoCommit *c = &g->commit[i];
        memcpy(c->tree, links.tree, sizeof c->tree);
        c->time = links.time;
        c->n_parents = (int16_t)(links.n_parents < INT16_MAX ? links.n_parents : INT16_MAX);
        c->shallow = links.n_parents && table_find(&r->cut, c->id, sizeof c->id);
        c->cut = c->shallow;
        for (int64_t k = 0; k < links.n_parents && !g->commit[i].shallow; k++) {
            GROW(r->arena, g->edge, g->n_edges, g->room_edges, 4096);
            g->edge[g->n_edges++] = place(r, g, links.parent[k]);
        }
    }
    arena_drop(&r->scratch, mark);
}

/* Everything that a commit reaches. */
static Status collect(Repo *r, Graph *g, const unsigned char id[20])
{
    int64_t i = g->n;
    place(r, g, id);
    for (; i < g->n; i++) {
        if (i % LOOK_EVERY == 0 && repo_stopped(r)) break;
        if (i >= INT32_MAX - 1) return err_fail(E_FORMAT, "%s: has more than 2^31 commits", r->path);
        g->first[i] = g->n_edges;
        read_commit(r, g, i);
        g->first[i + 1] = g->n_edges;
    }
    return repo_stopped(r) ? err_fail(E_INTERRUPT, "interrupted while the history was read; nothing is written") : OK;
}

/* Of the first n commits (all that the tip reaches): first parents, and edges to readable commits only. */
static void tie(Graph *g, int64_t n, int64_t *unreadable)
{
    int64_t to = 0, from = 0;
    for (int64_t i = 0; i < n; i++) {
        RepoCommit *c = &g->commit[i];
        int64_t end = g->first[i + 1];
        if (from < end && g->read[g->edge[from]]) c->parent = g->edge[from];
        c->cut |= from < end && c->parent < 0;
        g->first[i] = to;
        for (; from < end; from++) {
            c->lost |= !g->read[g->edge[from]];
            if (g->read[g->edge[from]]) g->edge[to++] = g->edge[from];
        }
        *unreadable += !g->read[i];
    }
    g->first[n] = g->n_edges = to;
    g->n = n;
}

/* Takes every commit that the commit at `at` reaches out of the range. */
static void exclude(Repo *r, Graph *g, int64_t at)
{
    int32_t *stack = arena_take(r->arena, sizeof *stack * (size_t)(g->n + 1));
    int64_t n = 0;
    stack[n++] = (int32_t)at;
    g->commit[at].wanted = false;
    while (n) {
        int32_t i = stack[--n];
        for (int64_t e = g->first[i]; e < g->first[i + 1]; e++)
            if (g->commit[g->edge[e]].wanted) {
                g->commit[g->edge[e]].wanted = false;
                stack[n++] = g->edge[e];
            }
    }
}

static HeapItem ready(const RepoCommit *c, int64_t i)
{
    uint64_t tie = 0;
    for (int k = 0; k < 8; k++) tie = tie << 8 | c->id[k];
    return (HeapItem){(uint64_t)c->time ^ (uint64_t)1 << 63, tie, (uint64_t)i};
}

/* Parents before children; of those that are ready the oldest.  Unreadable commits are left out. */
static void put_in_order(Repo *r, const Graph *g)
{
    Arena *a = r->arena;
    int32_t *waits = NEW(a, int32_t, g->n), *new_place = NEW(a, int32_t, g->n + 1),
            *child = NEW(a, int32_t, g->n_edges);
    int64_t *from = NEW(a, int64_t, g->n + 2), done = 0;
    for (int64_t e = 0; e < g->n_edges; e++)
        from[g->edge[e] + 2]++; /* later: from[i]..from[i + 1] are i's children */
    for (int64_t i = 0; i < g->n; i++) from[i + 2] += from[i + 1];
    Heap heap = heap_open(a, 1024);
    for (int64_t i = 0; i < g->n; i++) {
        waits[i] = (int32_t)(g->first[i + 1] - g->first[i]);
        for (int64_t e = g->first[i]; e < g->first[i + 1]; e++) child[from[g->edge[e] + 1]++] = (int32_t)i;
        if (!waits[i] && g->read[i]) heap_push(&heap, ready(&g->commit[i], i));
    }
    RepoCommit *out = NEW(a, RepoCommit, g->n + 1);
    for (HeapItem h; heap_pop(&heap, &h);) {
        int64_t i = (int64_t)h.value;
        new_place[i] = (int32_t)done;
        out[done++] = g->commit[i];
        for (int64_t e = from[i]; e < from[i + 1]; e++)
            if (!--waits[child[e]]) heap_push(&heap, ready(&g->commit[child[e]], child[e]));
    }
    for (int64_t i = 0; i < done; i++)
        if (out[i].parent >= 0) out[i].parent = new_place[out[i].parent];
    r->commit = out;
    r->n = done;
}

/* Grafts and replacements can make a commit its own ancestor; git does not end then, either. */
static Status check_cycles(const Repo *r, const Graph *g)
{
    int64_t readable = 0;
    for (int64_t i = 0; i < g->n; i++) readable += g->read[i];
    if (r->n == readable) return OK;
    return err_fail(E_FORMAT, "%s: replacements or grafts make %lld %s", r->path, (long long)(readable - r->n),
                    str_plural(readable - r->n, "commit its own ancestor", "commits their own ancestors"));
}

/* Other spellings that git has for sets of commits: ^A and A^! (A^@, A^-), in either place. */
static bool other_spelling(const char *range)
{
    return *range == '^' || strstr(range, "..^") || strstr(range, " ^") || strstr(range, "^!") ||
           strstr(range, "^@") || strstr(range, "^-");
}

/* Collects the commits that B and A reach, excludes those of A, and puts the rest in order. */
Status repo_history(Repo *r, const char *range, const RepoCommit **out, int64_t *n)
{
    const char *dots = range ? strstr(range, "..") : NULL, *to = dots ? dots + 2 : range;
    git_oid tip, from;
    r->about.unreadable = 0;
    r->about.from[0] = 0;
    if (dots && *to == '.') return err_fail(E_CONFIG, "the range %s has three dots, expected A..B", range);
    if (range && other_spelling(range))
        return err_fail(E_CONFIG, "the range %s is spelled with ^A or A^!, which is not supported, expected A..B",
                        range);
    TRY(repo_resolve(r, to && *to ? to : "HEAD", tip.id));
    git_oid_tostr(r->about.tip, sizeof r->about.tip, &tip);
    if (dots) {
        TRY(repo_resolve(r, dots > range ? str_copy(r->arena, range, (size_t)(dots - range)) : "HEAD", from.id));
        git_oid_tostr(r->about.from, sizeof r->about.from, &from);
    }
    Graph g = {.at = table_open(r->arena, 4096)};
    TRY(collect(r, &g, tip.id));
    int64_t reached = g.n;
    if (dots) TRY(collect(r, &g, from.id)); /* A may lie on another branch */
    for (int64_t i = 0; i < g.n; i++) g.commit[i].wanted = true;
    if (dots) exclude(r, &g, table_get(&g.at, from.id, sizeof from.id, -1));
    tie(&g, reached, &r->about.unreadable);
    put_in_order(r, &g);
    TRY(check_cycles(r, &g));
    *out = r->commit;
    *n = r->n;
    return OK;
}

/* Cutting normalised text into pieces.  Unigram: the best path by Viterbi over byte positions.  BPE: the pair whose
 * union scores highest is joined first, from a heap, so that a long word costs n log n.  Scores are summed in float
 * exactly as the library does, because ties decide ids. */
#include "text/spm.h"

#include <math.h>
#include <string.h>

#include "base/str.h"
#include "text/pretoken.h"
#include "text/spm_model.h"

static const double UNKNOWN_PENALTY = 10;

SpmKind spm_kind(const Spm *s)
{
    return s->kind;
}

int64_t spm_size(const Spm *s)
{
    return s->n;
}

SpmSpecials spm_specials(const Spm *s)
{
    return s->special;
}

const char *spm_piece(const Spm *s, int32_t id)
{
    return id >= 0 && id < s->n ? s->piece[id].text : NULL;
}

int32_t spm_find(const Spm *s, const char *piece)
{
    for (int32_t i = 0; i < s->n; i++)
        if (!strcmp(s->piece[i].text, piece)) return i;
    return -1;
}

static int64_t one_character(const char *at, int64_t left) /* normalised text has no other bytes */
{
    return (int64_t)utf8_length(at, (size_t)left);
}

static int32_t piece_at(const Spm *s, const char *at, int64_t len)
{
    int32_t node = 0;
    for (int64_t i = 0; i < len; i++)
        if ((node = trie_child(&s->normal, node, (unsigned char)at[i])) < 0) return -1;
    return s->normal.leaf[node];
}

typedef struct {
    int64_t at, len;
    int32_t id; /* -1: unknown */
} Cut;
typedef struct {
    Cut *at;
    int64_t n;
} Cuts;

/* ---- unigram */

typedef struct {
    int32_t id;
    float best;
    int64_t from; /* -1: not reached */
} Reach;

static void offer(Reach *to, int64_t from, int32_t id, double score)
{
    if (to->from >= 0 && !(score > (double)to->best)) return;
    *to = (Reach){id, (float)score, from};
}

static void extend(const Spm *s, const Normal *x, int64_t at, Reach *reach)
{
    int64_t one = one_character(x->text + at, x->len - at);
    bool single = false;
    double here = (double)reach[at].best;
    int32_t node = 0;
    for (int64_t i = at; i < x->len && (node = trie_child(&s->normal, node, (unsigned char)x->text[i])) >= 0; i++) {
        int32_t id = s->normal.leaf[node];
        if (id < 0 || s->piece[id].type == PIECE_UNUSED) continue;
        int64_t len = i + 1 - at;
        double score =
            s->piece[id].type == PIECE_USER ? (double)((float)len * s->most) - 0.1 : (double)s->piece[id].score;
        offer(&reach[i + 1], at, id, score + here);
        single |= len == one;
    }
    if (!single) offer(&reach[at + one], at, -1, (double)s->least - UNKNOWN_PENALTY + here);
}

static Cuts cut_unigram(const Spm *s, Arena *a, const Normal *x)
{
    Reach *reach = NEW(a, Reach, x->len + 1);
    for (int64_t i = 1; i <= x->len; i++) reach[i].from = -1;
    for (int64_t at = 0; at < x->len; at += one_character(x->text + at, x->len - at))
        if (reach[at].from >= 0) extend(s, x, at, reach);
    Cuts c = {0};
    for (int64_t end = x->len; end > 0; end = reach[end].from) c.n++;
    c.at = NEW(a, Cut, c.n + 1);
    int64_t k = c.n;
    for (int64_t end = x->len; end > 0; end = reach[end].from)
        c.at[--k] = (Cut){reach[end].from, end - reach[end].from, reach[end].id};
    return c;
}

/* ---- BPE */

typedef struct {
    int64_t at, len, left, right; /* neighbours, -1 at the ends; len 0: joined to its left */
    bool frozen;                  /* a user-defined symbol */
} Symbol;
typedef struct {
    float score;
    int64_t left, right, len;
} Pair2;
typedef struct {
    const Spm *s;
    const Normal *x;
    Symbol *symbol;
    Pair2 *heap;
    int64_t n, pairs;
} Joining;

static bool before(const Pair2 *a, const Pair2 *b)
{
    return a->score != b->score ? a->score > b->score : a->left < b->left;
}

static void heap_push(Joining *j, Pair2 p)
{
    int64_t i = j->pairs++;
    for (; i > 0 && before(&p, &j->heap[(i - 1) / 2]); i = (i - 1) / 2) j->heap[i] = j->heap[(i - 1) / 2];
    j->heap[i] = p;
}

static Pair2 heap_pop(Joining *j)
{
    Pair2 top = j->heap[0], last = j->heap[--j->pairs];
    int64_t i = 0;
    for (int64_t child; (child = 2 * i + 1) < j->pairs; i = child) {
        if (child + 1 < j->pairs && before(&j->heap[child + 1], &j->heap[child])) child++;
        if (!before(&j->heap[child], &last)) break;
        j->heap[i] = j->heap[child];
    }
    if (j->pairs) j->heap[i] = last;
    return top;
}

static void consider(Joining *j, int64_t left, int64_t right)
{
    if (left < 0 || right < 0 || j->symbol[left].frozen || j->symbol[right].frozen) return;
    int64_t len = j->symbol[left].len + j->symbol[right].len;
    int32_t id = piece_at(j->s, j->x->text + j->symbol[left].at, len);
    if (id >= 0) heap_push(j, (Pair2){j->s->piece[id].score, left, right, len});
}

static void split(Joining *j)
{
    for (int64_t at = 0; at < j->x->len;) {
        int64_t user = spm_longest_user(j->s, j->x->text + at, j->x->len - at);
        int64_t len = user ? user : one_character(j->x->text + at, j->x->len - at);
        j->symbol[j->n] = (Symbol){at, len, j->n - 1, at + len < j->x->len ? j->n + 1 : -1, user > 0};
        j->n++;
        at += len;
    }
}

static void join(Joining *j)
{
    for (int64_t i = 1; i < j->n; i++) consider(j, i - 1, i);
    while (j->pairs) {
        Pair2 p = heap_pop(j);
        Symbol *left = &j->symbol[p.left], *right = &j->symbol[p.right];
        if (!left->len || !right->len || left->len + right->len != p.len) continue; /* stale */
        left->len += right->len;
        right->len = 0;
        left->right = right->right;
        if (left->right >= 0) j->symbol[left->right].left = p.left;
        consider(j, left->left, p.left);
        consider(j, p.left, left->right);
    }
}

/* Pieces of type unused exist only to be passed through: they are cut back at their best join. */
static void add_cut(const Spm *s, const Normal *x, Cuts *c, int64_t at, int64_t len)
{
    int32_t id = piece_at(s, x->text + at, len);
    if (id >= 0 && s->piece[id].type == PIECE_UNUSED) {
        int64_t best = 0;
        float score = -INFINITY;
        for (int64_t k = 1; k < len; k++) {
            int32_t l = piece_at(s, x->text + at, k), r = piece_at(s, x->text + at + k, len - k);
            if (l < 0 || r < 0) continue;
            float worse = fminf(s->piece[l].score, s->piece[r].score);
            if (worse > score) score = worse, best = k;
        }
        if (best) {
            add_cut(s, x, c, at, best);
            add_cut(s, x, c, at + best, len - best);
            return;
        }
    }
    c->at[c->n++] = (Cut){at, len, id};
}

static Cuts cut_bpe(const Spm *s, Arena *a, const Normal *x)
{
    Joining j = {.s = s, .x = x, .symbol = NEW(a, Symbol, x->len + 1), .heap = NEW(a, Pair2, 3 * x->len + 1)};
    split(&j);
    join(&j);
    Cuts c = {.at = NEW(a, Cut, x->len + 1)};
    for (int64_t i = 0; i < j.n; i++)
        if (j.symbol[i].len) add_cut(s, x, &c, j.symbol[i].at, j.symbol[i].len);
    return c;
}

/* ---- ids */

static void add_id(BpeText *t, int32_t id, int64_t begin, int64_t end)
{
    t->id[t->n] = id;
    t->begin[t->n] = begin;
    t->end[t->n++] = end;
}

BpeText spm_encode(const Spm *s, Arena *a, const char *text, size_t len)
{
    Normal x = spm_normalise(s, a, text, (int64_t)len);
    Cuts c = s->kind == SPM_BPE ? cut_bpe(s, a, &x) : cut_unigram(s, a, &x);
    BpeText t = {
        .id = NEW(a, int32_t, x.len + 1), .begin = NEW(a, int64_t, x.len + 1), .end = NEW(a, int64_t, x.len + 1)};
    bool unknown = false; /* the token before: neighbours are one */
    for (int64_t i = 0; i < c.n; i++) {
        const Cut *k = &c.at[i];
        int64_t begin = x.from[k->at], end = x.to[k->at + k->len - 1];
        bool bytes = k->id < 0 && s->byte_fallback;
        if (k->id >= 0)
            add_id(&t, k->id, begin, end);
        else if (bytes)
            for (int64_t b = 0; b < k->len; b++) {
                int32_t id = s->byte_id[(unsigned char)x.text[k->at + b]];
                add_id(&t, id < 0 ? s->special.unk : id, begin, end);
            }
        else if (unknown)
            t.end[t.n - 1] = end;
        else
            add_id(&t, s->special.unk, begin, end);
        unknown = k->id < 0 && !bytes;
    }
    return t;
}

char *spm_decode(const Spm *s, Arena *a, const int32_t *id, int64_t n, size_t *len)
{
    Buf b = buf_open(a);
    for (int64_t i = 0; i < n; i++) {
        if (id[i] < 0 || id[i] >= s->n) continue;
        const Piece *p = &s->piece[id[i]];
        unsigned byte;
        if (p->type == PIECE_CONTROL) continue;
        if (p->type == PIECE_BYTE && sscanf(p->text, "<0x%2X>", &byte) == 1) {
            buf_add(&b, &(char){(char)byte}, 1);
            continue;
        }
        if (p->type == PIECE_UNKNOWN) {
            buf_print(&b, " \xe2\x81\x87 "); /* U+2047, two question marks */
            continue;
        }
        for (const char *c = p->text; *c;) {
            bool space = !strncmp(c, "\xe2\x96\x81", 3);
            if (!space) buf_add(&b, c, 1);
            if (space && (b.len || !s->dummy_prefix)) buf_add(&b, " ", 1);
            c += space ? 3 : 1;
        }
    }
    *len = b.len;
    return b.text ? b.text : str_copy(a, "", 0);
}

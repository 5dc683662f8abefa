/* The file is a protocol buffer of which three wire types suffice; what is unknown is skipped.  The normaliser walks
 * the model's double array for the longest prefix at each place. */
#include "text/spm_model.h"

#include <math.h>
#include <string.h>

#include "base/str.h"
#include "text/pretoken.h"

enum { PIECES_MAX = 1 << 22, PIECE_BYTES_MAX = 4096 };
static const char SPACE[] = "\xe2\x96\x81"; /* U+2581, which stands for a blank within pieces */

/* ---- the wire format */

typedef struct {
    const char *bytes;
    size_t at, end;
    const char *path;
} Wire;
typedef struct {
    int field, type;
    uint64_t whole;
    Wire inside; /* of a length-delimited field */
} Field;

static Status broken(const Wire *w, const char *what)
{
    return fail(E_FORMAT, "%s: byte %zu: %s; this is no SentencePiece model", w->path, w->at, what);
}

static Status varint(Wire *w, uint64_t *out)
{
    *out = 0;
    for (int shift = 0; shift < 70; shift += 7) {
        if (w->at == w->end) return broken(w, "the file is cut within a number");
        uint64_t byte = (unsigned char)w->bytes[w->at++];
        if (shift < 64) *out |= (byte & 127) << shift;
        if (byte < 128) return OK;
    }
    return broken(w, "a number of more than ten bytes");
}

static Status next(Wire *w, Field *f)
{
    uint64_t tag = 0;
    *f = (Field){0};
    TRY(varint(w, &tag));
    f->field = (int)(tag >> 3 & 0xffff), f->type = (int)(tag & 7);
    if (f->type == 0) return varint(w, &f->whole);
    uint64_t n = f->type == 1 ? 8 : 4;
    if (f->type == 2) TRY(varint(w, &n));
    if (f->type != 1 && f->type != 2 && f->type != 5) return broken(w, "an unknown kind of field");
    if (n > w->end - w->at) return broken(w, "a field reaches beyond the file");
    f->inside = (Wire){w->bytes, w->at, w->at + n, w->path};
    if (f->type == 5) memcpy(&f->whole, w->bytes + w->at, 4);
    w->at += n;
    return OK;
}

/* ---- its messages */

static Status read_piece(Wire w, Arena *a, Piece *p)
{
    Field f;
    *p = (Piece){.text = "", .type = PIECE_NORMAL};
    while (w.at < w.end) {
        TRY(next(&w, &f));
        uint32_t bits = (uint32_t)f.whole;
        if (f.field == 1 && f.type == 2) {
            size_t n = f.inside.end - f.inside.at;
            if (!n || n > PIECE_BYTES_MAX) return broken(&f.inside, "a piece without text, or one of kilobytes");
            p->text = str_copy(a, w.bytes + f.inside.at, n);
            p->len = (int32_t)n;
        } else if (f.field == 2 && f.type == 5) {
            memcpy(&p->score, &bits, sizeof bits);
        } else if (f.field == 3 && f.type == 0) {
            if (f.whole < PIECE_NORMAL || f.whole > PIECE_BYTE) return broken(&w, "a piece of unknown type");
            p->type = (PieceType)f.whole;
        }
    }
    if (!p->len) return broken(&w, "a piece without text");
    return isfinite(p->score) ? OK : broken(&w, "a piece whose score is not finite");
}

static Status read_trainer(Wire w, Spm *s)
{
    Field f;
    while (w.at < w.end) {
        TRY(next(&w, &f));
        if (f.type != 0) continue;
        if (f.field == 3) s->kind = (SpmKind)f.whole;
        if (f.field == 24) s->suffix = f.whole;
        if (f.field == 35) s->byte_fallback = f.whole;
        int32_t id = (int32_t)(int64_t)f.whole; /* "none" is -1, written as ten bytes */
        if (f.field == 40) s->special.unk = id;
        if (f.field == 41) s->special.bos = id;
        if (f.field == 42) s->special.eos = id;
        if (f.field == 43) s->special.pad = id;
    }
    if (s->kind != SPM_UNIGRAM && s->kind != SPM_BPE)
        return fail(E_FORMAT, "%s: the model is neither unigram nor BPE", w.path);
    return OK;
}

static Status read_map(Wire w, Arena *a, Spm *s)
{
    size_t n = w.end - w.at;
    uint32_t size = 0;
    if (!n) return OK;
    if (n < 4) return broken(&w, "a character map of less than four bytes");
    memcpy(&size, w.bytes + w.at, 4);
    if (size % 4 || size > n - 4 || size < 1024) return broken(&w, "a character map that reaches beyond its field");
    uint32_t *units = arena_take(a, size);
    memcpy(units, w.bytes + w.at + 4, size);
    s->map = units;
    s->map_units = size / 4;
    s->replacements = (int64_t)(n - 4 - size);
    s->replacement = str_copy(a, w.bytes + w.at + 4 + size, (size_t)s->replacements); /* ends in a NUL in any case */
    return OK;
}

static Status read_normaliser(Wire w, Arena *a, Spm *s)
{
    Field f;
    while (w.at < w.end) {
        TRY(next(&w, &f));
        if (f.field == 2 && f.type == 2) TRY(read_map(f.inside, a, s));
        if (f.type != 0) continue;
        if (f.field == 3) s->dummy_prefix = f.whole;
        if (f.field == 4) s->squeeze = f.whole;
        if (f.field == 5) s->escape = f.whole;
    }
    return OK;
}

static Status count_pieces(Wire w, int32_t *n, int64_t *bytes)
{
    Field f;
    while (w.at < w.end) {
        TRY(next(&w, &f));
        if (f.field != 1 || f.type != 2) continue;
        if (++*n > PIECES_MAX) return broken(&w, "more than four million pieces");
        *bytes += (int64_t)(f.inside.end - f.inside.at);
    }
    return *n ? OK : broken(&w, "it has no pieces");
}

/* ---- tries */

static uint64_t *slot_of(const Trie *t, uint64_t key)
{
    uint64_t at = key * 0x9e3779b97f4a7c15ULL >> 20;
    while (t->key[at % (uint64_t)t->slots] && t->key[at % (uint64_t)t->slots] != key) at++;
    return &t->key[at % (uint64_t)t->slots];
}

int32_t trie_child(const Trie *t, int32_t node, unsigned char byte)
{
    if (!t->slots) return -1;
    const uint64_t *slot = slot_of(t, ((uint64_t)node << 8 | byte) + 1);
    return *slot ? t->child[slot - t->key] : -1;
}

static Trie trie_new(Arena *a, int64_t bytes)
{
    Trie t = {.slots = 2 * bytes + 16, .nodes = 1};
    t.key = NEW(a, uint64_t, t.slots);
    t.child = NEW(a, int32_t, t.slots);
    t.leaf = NEW(a, int32_t, bytes + 2);
    t.leaf[0] = -1;
    return t;
}

/* Returns the id that the text has already, or -1. */
static int32_t trie_add(Trie *t, const Piece *p, int32_t id)
{
    int32_t node = 0;
    for (int32_t i = 0; i < p->len; i++) {
        uint64_t key = ((uint64_t)node << 8 | (unsigned char)p->text[i]) + 1, *slot = slot_of(t, key);
        if (!*slot) {
            *slot = key;
            t->child[slot - t->key] = t->nodes;
            t->leaf[t->nodes++] = -1;
        }
        node = t->child[slot - t->key];
    }
    int32_t before = t->leaf[node];
    if (before < 0) t->leaf[node] = id;
    return before;
}

static Status index_pieces(Spm *s, Arena *a, int64_t bytes, const char *path)
{
    s->normal = trie_new(a, bytes);
    s->user = trie_new(a, bytes);
    s->least = INFINITY, s->most = -INFINITY;
    memset(s->byte_id, 0xff, sizeof s->byte_id);
    for (int32_t i = 0; i < s->n; i++) {
        const Piece *p = &s->piece[i];
        unsigned byte;
        if (p->type == PIECE_BYTE && sscanf(p->text, "<0x%2X>", &byte) == 1) s->byte_id[byte] = i;
        if (p->type == PIECE_UNKNOWN) s->special.unk = i;
        if (p->type == PIECE_NORMAL) s->least = fminf(s->least, p->score), s->most = fmaxf(s->most, p->score);
        bool cuts = p->type == PIECE_NORMAL || p->type == PIECE_USER || p->type == PIECE_UNUSED;
        if (cuts && trie_add(&s->normal, p, i) >= 0)
            return fail(E_FORMAT, "%s: piece \"%.100s\" appears twice", path, p->text);
        if (p->type == PIECE_USER) trie_add(&s->user, p, i);
    }
    if (s->special.unk < 0 || s->special.unk >= s->n)
        return fail(E_FORMAT, "%s: the model has no piece for what is unknown", path);
    return OK;
}

static Status read_model(Spm *s, Arena *a, Wire w)
{
    Field f;
    int64_t bytes = 0;
    int32_t n = 0;
    TRY(count_pieces(w, &n, &bytes));
    s->piece = NEW(a, Piece, n);
    s->kind = SPM_UNIGRAM, s->dummy_prefix = s->squeeze = s->escape = true;
    s->special = (SpmSpecials){0, 1, 2, -1};
    while (w.at < w.end) {
        TRY(next(&w, &f));
        if (f.type != 2) continue;
        if (f.field == 1) TRY(read_piece(f.inside, a, &s->piece[s->n++]));
        if (f.field == 2) TRY(read_trainer(f.inside, s));
        if (f.field == 3) TRY(read_normaliser(f.inside, a, s));
    }
    return index_pieces(s, a, bytes, w.path);
}

Status spm_open(Spm **out, Arena *a, const char *path)
{
    Bytes file;
    TRY(file_map(&file, path));
    Spm *s = NEW(a, Spm, 1);
    Status status = read_model(s, a, (Wire){file.text, 0, file.len, path});
    file_unmap(file);
    *out = status ? NULL : s;
    return status;
}

/* ---- normalising */

int64_t spm_longest_user(const Spm *s, const char *at, int64_t left)
{
    int64_t longest = 0;
    int32_t node = 0;
    for (int64_t i = 0; i < left && (node = trie_child(&s->user, node, (unsigned char)at[i])) >= 0; i++)
        if (s->user.leaf[node] >= 0) longest = i + 1;
    return longest;
}

/* A unit of the double array: its label, whether a value hangs on it, and where its children begin. */
static uint32_t label_of(uint32_t unit)
{
    return unit & (1U << 31 | 0xff);
}

static uint32_t offset_of(uint32_t unit)
{
    return (unit >> 10) << ((unit & 1U << 9) >> 6);
}

/* The longest key of the map that begins the text; its bytes, and where its replacement begins. */
static int64_t map_longest(const Spm *s, const char *at, int64_t left, const char **to)
{
    int64_t longest = 0;
    if (!s->map) return 0;
    uint32_t node = offset_of(s->map[0]);
    for (int64_t i = 0; i < left; i++) {
        unsigned char c = (unsigned char)at[i];
        node ^= c;
        if (node >= s->map_units || label_of(s->map[node]) != c) break;
        uint32_t unit = s->map[node];
        node ^= offset_of(unit);
        if (!(unit >> 8 & 1) || node >= s->map_units) continue;
        int64_t value = s->map[node] & 0x7fffffff;
        if (value >= s->replacements) continue;
        longest = i + 1;
        *to = s->replacement + value;
    }
    return longest;
}

/* What the place becomes: *to of *n bytes; returns how many bytes of the source it takes. */
static int64_t one_step(const Spm *s, const char *at, int64_t left, const char **to, int64_t *n)
{
    int64_t took = spm_longest_user(s, at, left);
    *to = at;
    *n = took;
    if (took) return took;
    took = map_longest(s, at, left, to);
    if (took) {
        *n = (int64_t)strlen(*to);
        return took;
    }
    took = *n = (int64_t)utf8_length(at, (size_t)left);
    if (took) return took;
    *to = "\xef\xbf\xbd";
    *n = 3;
    return 1;
}

typedef struct {
    Arena *a;
    Normal out;
    int64_t room;
} Writing;

static void put(Writing *w, const char *bytes, int64_t n, int64_t from, int64_t to)
{
    if (w->out.len + n > w->room) {
        Normal old = w->out;
        w->room = 2 * (w->room + n) + 64;
        w->out.text = arena_take(w->a, (size_t)w->room);
        w->out.from = arena_take(w->a, sizeof(int64_t) * (size_t)w->room);
        w->out.to = arena_take(w->a, sizeof(int64_t) * (size_t)w->room);
        if (old.len) {
            memcpy(w->out.text, old.text, (size_t)old.len);
            memcpy(w->out.from, old.from, sizeof(int64_t) * (size_t)old.len);
            memcpy(w->out.to, old.to, sizeof(int64_t) * (size_t)old.len);
        }
    }
    for (int64_t i = 0; i < n; i++) {
        w->out.text[w->out.len] = bytes[i];
        w->out.from[w->out.len] = from;
        w->out.to[w->out.len++] = to;
    }
}

static void put_space(const Spm *s, Writing *w, int64_t from, int64_t to)
{
    put(w, s->escape ? SPACE : " ", s->escape ? 3 : 1, from, to);
}

static bool drop_last_space(const Spm *s, Normal *n)
{
    int64_t size = s->escape ? 3 : 1;
    if (n->len < size || memcmp(n->text + n->len - size, s->escape ? SPACE : " ", (size_t)size) != 0) return false;
    n->len -= size;
    return true;
}

Normal spm_normalise(const Spm *s, Arena *a, const char *text, int64_t len)
{
    Writing w = {.a = a};
    const char *to = NULL;
    int64_t at = 0, n = 0, took = 0;
    while (s->squeeze && at < len) { /* white space in front */
        took = one_step(s, text + at, len - at, &to, &n);
        if (n != 1 || *to != ' ') break;
        at += took;
    }
    if (at == len) return w.out;
    if (s->dummy_prefix && !s->suffix) put_space(s, &w, at, at);
    bool after_space = s->squeeze;
    for (; at < len; at += took) {
        took = one_step(s, text + at, len - at, &to, &n);
        while (after_space && n && *to == ' ') to++, n--;
        for (int64_t i = 0; i < n; i++) {
            if (to[i] == ' ')
                put_space(s, &w, at, at + took);
            else
                put(&w, to + i, 1, at, at + took);
        }
        if (n) after_space = s->squeeze && to[n - 1] == ' ';
    }
    while (s->squeeze && drop_last_space(s, &w.out)) continue;
    if (s->dummy_prefix && s->suffix) put_space(s, &w, len, len);
    return w.out;
}

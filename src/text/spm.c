/* A text in words, words in pieces, pieces in ids.  Words end only where no piece can reach across, so that
 * cutting them one by one changes nothing, keeps a text without blanks fast, and lets a BPE remember them: the
 * memory is one call's, as large as the text deserves. */
#include "text/spm.h"

#include <string.h>

#include "base/str.h"
#include "text/memo.h"
#include "text/spm_model.h"

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
    return id >= 0 && id < s->n && s->piece[id].len ? s->piece[id].text : NULL;
}

int32_t spm_find(const Spm *s, const char *piece)
{
    for (int32_t i = 0; i < s->n; i++)
        if (!strcmp(s->piece[i].text, piece)) return i;
    return -1;
}

enum { MOST_WORDS = 1 << 14 };

typedef struct {
    Cutter cut;
    BpeText out;
    bool unknown; /* the token before: neighbours are one */
} Encoder;

static void add_id(BpeText *t, int32_t id, int64_t begin, int64_t end)
{
    t->id[t->n] = id;
    t->begin[t->n] = begin;
    t->end[t->n++] = end;
}

/* The piece of len bytes at `at`; id -1: unknown. */
static void put_piece(Encoder *e, int64_t at, int64_t len, int32_t id)
{
    const Spm *s = e->cut.s;
    const Normal *x = e->cut.x;
    int64_t begin = x->from[at], end = x->to[at + len - 1];
    bool bytes = id < 0 && s->byte_fallback, fuses = !s->json || s->json->fuse;
    if (id >= 0)
        add_id(&e->out, id, begin, end);
    else if (bytes)
        for (int64_t b = 0; b < len; b++) {
            int32_t byte = s->byte_id[(unsigned char)x->text[at + b]];
            add_id(&e->out, byte < 0 ? s->special.unk : byte, begin, end);
        }
    else if (e->unknown && fuses)
        e->out.end[e->out.n - 1] = end;
    else
        add_id(&e->out, s->special.unk, begin, end);
    e->unknown = id < 0 && !bytes;
}

static bool is_space(const Normal *x, int64_t at)
{
    return at + 3 <= x->len && !memcmp(x->text + at, SPACE, 3);
}

/* Where the word that begins at `from` ends: before a character, or before a U+2581, that no piece has behind the one
 * before it; or as a tokenizer.json sets it. */
static int64_t word_end(const Spm *s, const Normal *x, int64_t from)
{
    for (int64_t at = from + 1; at < x->len; at++) {
        unsigned char a = (unsigned char)x->text[at - 1], b = (unsigned char)x->text[at];
        if (x->start && x->start[at]) return at;
        if ((b & 0xC0) != 0x80 && !(s->inside[a][b >> 3] >> (b & 7) & 1)) return at;
        if (s->words == WORDS_NONE || x->text[at] != SPACE[0] || !is_space(x, at)) continue;
        bool after_space = at - 3 >= from && is_space(x, at - 3);
        if (s->words == WORDS_EACH || !after_space) return at;
    }
    return x->len;
}

/* A word that was cut before is remembered; another one is cut, and remembered if it is short. */
static void put_word(Encoder *e, Memo *memo, int64_t from, int64_t to)
{
    Cutter *c = &e->cut;
    MemoKey k;
    bool key = memo_key(&k, memo, c->x->text + from, (size_t)(to - from), (size_t)(c->x->len - from));
    const Remembered *known = key ? memo_find(memo, &k) : NULL;
    if (known) {
        for (int i = 0; i < known->n; from += known->width[i++]) put_piece(e, from, known->width[i], known->id[i]);
        return;
    }
    spm_cut_word(c, from, to);
    Remembered *r = key && c->n <= MEMO_TOKENS ? memo_add(memo, &k) : NULL;
    if (r) r->n = (uint8_t)c->n;
    for (int64_t i = 0; i < c->n; from += c->at[i++].len) {
        put_piece(e, from, c->at[i].len, c->at[i].id);
        if (!r) continue;
        r->id[i] = c->at[i].id;
        r->width[i] = (uint8_t)c->at[i].len;
    }
}

static Memo memory_for(const Spm *s, Arena *a, int64_t len)
{
    int64_t words = 16;
    if (s->kind != SPM_BPE || len < 256) return (Memo){0};
    while (words < len / 16 && words < MOST_WORDS) words *= 2;
    return memo_open(a, words);
}

BpeText spm_encode_part(const Spm *s, Arena *a, const char *text, size_t len, bool first)
{
    Normal x = spm_normalise(s, a, text, (int64_t)len, first);
    int64_t most = x.len + 1; /* tokens */
    Encoder e = {.cut = {.s = s, .a = a, .x = &x, .at = arena_take(a, sizeof(Cutting) * (size_t)most)},
                 .out = text_new(a, most)};
    Memo memo = memory_for(s, a, x.len);
    if (memo.mask == MOST_WORDS / 2 - 1) { /* worth its clearing */
        e.cut.pair = arena_take(a, sizeof(Merge) * PAIRS);
        memset(e.cut.pair, 0xff, sizeof(Merge) * PAIRS);
    }
    e.out.n = 0;
    for (int64_t at = 0, end; at < x.len; at = end) {
        end = word_end(s, &x, at);
        if (x.start && x.start[at]) e.cut.score = 0, e.unknown = false;
        put_word(&e, &memo, at, end);
    }
    return e.out;
}

BpeText spm_encode(const Spm *s, Arena *a, const char *text, size_t len)
{
    return spm_encode_part(s, a, text, len, true);
}

char *spm_decode(const Spm *s, Arena *a, const int32_t *id, int64_t n, size_t *len)
{
    Buf b = buf_open(a);
    for (int64_t i = 0; i < n; i++) {
        if (id[i] < 0 || id[i] >= s->n) continue;
        const Piece *p = &s->piece[id[i]];
        int byte = p->type == PIECE_BYTE ? spm_byte(p->text) : -1;
        if (p->type == PIECE_CONTROL) continue;
        if (byte >= 0) {
            buf_add(&b, &(char){(char)byte}, 1);
            continue;
        }
        if (p->type == PIECE_UNKNOWN && !s->json) {
            buf_print(&b, " \xe2\x81\x87 "); /* U+2047, two question marks */
            continue;
        }
        for (const char *c = p->text; *c;) {
            bool space = !strncmp(c, SPACE, 3);
            if (!space) buf_add(&b, c, 1);
            if (space && (b.len || !s->dummy_prefix)) buf_add(&b, " ", 1);
            c += space ? 3 : 1;
        }
    }
    *len = b.len;
    return b.text ? b.text : str_copy(a, "", 0);
}

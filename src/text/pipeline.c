/* Tokens are collected on the pipeline's own memory, because their number is known at the end only, and copied to the
 * caller's. */
#include "text/pipeline.h"

#include <string.h>

#include "base/str.h"
#include "text/bpe_core.h"

enum { MEMO_WORDS = 1 << 14 };

typedef struct {
    Pipeline *p;
    Arena *a;     /* the scratch arena */
    Normal x;     /* the stretch at hand */
    int64_t base; /* where it begins in the source */
    BpeText out;
    int64_t room, cut_room; /* tokens, cuttings */
    int32_t unknown_id;     /* of the model; -1 */
    bool fuses;             /* neighbouring unknown characters are one token */
    bool remembers;         /* the cuts of a word depend on nothing but the word */
    const Reach *reach;     /* where a word may be cut before the model sees it; NULL: nowhere */
    Cutting *cut;
    Cutter spm;
    bool unknown; /* the token before, of the same word */
} Encoder;

/* ---- tokens ---- */

/* Room for a token a byte is room enough for nearly every text, and pages without one cost nothing. */
static void room_for(Encoder *e, size_t bytes)
{
    e->room = (int64_t)bytes + 64;
    e->out.id = arena_take(e->a, sizeof *e->out.id * (size_t)e->room);
    e->out.begin = arena_take(e->a, sizeof *e->out.begin * (size_t)e->room);
    e->out.end = arena_take(e->a, sizeof *e->out.end * (size_t)e->room);
}

static void grow(Encoder *e)
{
    BpeText *t = &e->out;
    size_t was = (size_t)e->room, is = (size_t)(e->room = 2 * e->room + 1024);
    t->id = arena_grow(e->a, t->id, sizeof *t->id * was, sizeof *t->id * is);
    t->begin = arena_grow(e->a, t->begin, sizeof *t->begin * was, sizeof *t->begin * is);
    t->end = arena_grow(e->a, t->end, sizeof *t->end * was, sizeof *t->end * is);
}

static inline void emit(Encoder *e, int32_t id, int64_t begin, int64_t end)
{
    BpeText *t = &e->out;
    if (t->n == e->room) grow(e);
    t->id[t->n] = id;
    t->begin[t->n] = begin;
    t->end[t->n++] = end;
}

static int32_t unknown_id(const Pipeline *p)
{
    return p->spm ? spm_specials(p->spm).unk : p->bpe ? p->bpe->unknown : p->words->unknown;
}

/* Fairseq's unknown token has the place of a special one; the other pieces follow. */
static int32_t shifted(const Pipeline *p, int32_t id)
{
    enum { FAIRSEQ_UNK = 3 };
    return !p->shift ? id : id == spm_specials(p->spm).unk ? FAIRSEQ_UNK : id + p->shift;
}

static inline void emit_cut(Encoder *e, int64_t at, Cutting c)
{
    const Pipeline *p = e->p;
    int32_t id = c.id == CUT_UNKNOWN ? e->unknown_id : c.id;
    if (id < 0) return;
    int64_t begin = e->base + normal_begin(&e->x, at), end = e->base + normal_end(&e->x, at + c.len);
    bool unknown = id == e->unknown_id;
    if (unknown && p->spm && p->spm->byte_fallback) {
        for (int32_t i = 0; i < c.len; i++) {
            int32_t byte = p->spm->byte_id[(unsigned char)e->x.text[at + i]];
            emit(e, shifted(p, byte < 0 ? id : byte), begin, end);
        }
        return;
    }
    if (unknown && e->unknown && e->fuses)
        e->out.end[e->out.n - 1] = end;
    else
        emit(e, shifted(p, id), begin, end);
    e->unknown = unknown;
}

/* ---- words ---- */

static int64_t cut_spm(Encoder *e, const char *word, int64_t n)
{
    Cutter *c = &e->spm;
    const Spm *s = e->p->spm;
    int64_t cuts = 0;
    if (!s->library) c->score = 0;
    for (int64_t at = 0, end; at < n; at = end) {
        end = s->library ? n : reach_end(&s->reach, word, at, n);
        c->at = e->cut + cuts;
        spm_cut_word(c, word + at, end - at);
        cuts += c->n;
    }
    return cuts;
}

static int64_t cut_part(Encoder *e, const char *word, int64_t n)
{
    const Pipeline *p = e->p;
    if (n >= e->cut_room) {
        e->cut_room = 2 * n + 64;
        e->cut = arena_take(e->a, sizeof *e->cut * (size_t)e->cut_room);
    }
    if (p->bpe) return bpe_cut(p->bpe, e->a, word, n, e->cut);
    return p->words ? wordpiece_cut(p->words, e->a, word, n, e->cut) : cut_spm(e, word, n);
}

/* Remembered tokens of a text whose places are its own: nothing to look up but the tokens. */
static inline void emit_known(Encoder *e, int64_t from, const Remembered *r)
{
    const bool plain = !e->x.from && !e->p->spm;
    const int32_t unknown = e->unknown_id;
    const int n = r->n;
    for (int i = 0; i < n; from += r->width[i++]) {
        if (!plain || r->id[i] < 0 || r->id[i] == unknown) {
            emit_cut(e, from, (Cutting){r->id[i], r->width[i]});
            continue;
        }
        emit(e, r->id[i], e->base + from, e->base + from + r->width[i]);
        e->unknown = false;
    }
}

/* A text that is new, remembered under the key if it is short. */
static void encode_new(Encoder *e, int64_t from, int64_t to, const MemoKey *k)
{
    int64_t n = cut_part(e, e->x.text + from, to - from);
    Remembered *r = k && n <= MEMO_TOKENS ? memo_add(&e->p->memo, k) : NULL;
    if (r) r->n = (uint8_t)n;
    for (int64_t i = 0; i < n; from += e->cut[i++].len) {
        emit_cut(e, from, e->cut[i]);
        if (!r) continue;
        r->id[i] = e->cut[i].id;
        r->width[i] = (uint8_t)e->cut[i].len;
    }
}

/* What was cut before is remembered; anything else is cut. */
static inline void encode_part(Encoder *e, int64_t from, int64_t to)
{
    const Memo *memo = &e->p->memo;
    MemoKey k;
    bool key = e->remembers && memo_key(&k, memo, e->x.text + from, (size_t)(to - from), (size_t)(e->x.len - from));
    const Remembered *known = key ? memo_find(memo, &k) : NULL;
    if (known)
        emit_known(e, from, known);
    else
        encode_new(e, from, to, key ? &k : NULL);
}

static inline void encode_word(Encoder *e, int64_t from, int64_t to)
{
    e->unknown = false;
    for (int64_t end; from < to; from = end) {
        end = e->reach ? reach_end(e->reach, e->x.text, from, to) : to;
        encode_part(e, from, end);
    }
}

/* A model of the library sums scores over the whole text, so that its cuts depend on more than the word.  Models that
 * work on characters see a long word in parts, between which no piece can reach. */
static void know_model(Encoder *e)
{
    const Pipeline *p = e->p;
    const Spm *s = p->spm;
    e->unknown_id = unknown_id(p);
    e->fuses = s || (p->bpe && p->bpe->fuse);
    e->remembers = !p->forgets && !(s && s->library && s->kind == SPM_UNIGRAM);
    if (p->bpe && p->bpe->characters && !p->bpe->ignore_merges) e->reach = &p->bpe->reach;
    if (s && s->library) e->reach = &s->reach;
}

/* ---- stretches ---- */

/* Words as the scanner finds them, without a list. */
static void encode_scan(Encoder *e, Scan scan, Normal x)
{
    Pretokens words = pretoken_open(scan, x.text, (size_t)x.len);
    e->x = x;
    for (size_t begin, end; pretoken_next(&words, &begin, &end);) encode_word(e, (int64_t)begin, (int64_t)end);
}

static void encode_normal(Encoder *e, Normal x)
{
    if (e->p->spm && e->p->spm->library) {
        e->x = x;
        encode_word(e, 0, x.len);
        return;
    }
    const Scan *scan = splitter_scan(&e->p->splitter);
    if (scan) {
        encode_scan(e, *scan, x);
        return;
    }
    Words w = splitter_run(&e->p->splitter, e->a, x, e->base == 0);
    e->x = w.text;
    for (int64_t i = 0; i < w.n; i++) encode_word(e, w.word[i].begin, w.word[i].end);
}

static Normal part(const Normal *x, int64_t from, int64_t to)
{
    return (Normal){x->text + from, to - from, x->from ? x->from + from : NULL, x->to ? x->to + from : NULL};
}

typedef struct { /* the added tokens of a text, one after the other */
    const Specials *added;
    SpecialKind kind;
    bool normalized;
    const char *text;
    size_t len;
    size_t done, search; /* where the white space behind the last token ends; where the token itself does */
    size_t from, stop;   /* the text between it and the next */
    size_t at;           /* where that begins */
} Tokens;

/* A token may lie in the white space that the one before takes along.  It counts all the same, unless it takes the
 * white space on its left with it, of which nothing is left then. */
static const Special *next_token(Tokens *t)
{
    const Special *s;
    t->from = t->done;
    while ((s = special_search(t->added, t->kind, t->normalized, t->text, t->search, t->len, &t->at))) {
        bool inside = t->at < t->from;
        t->search = t->at + s->form_len;
        if (s->strip_left && t->search <= t->from) continue;
        t->stop = s->strip_left && !inside ? pretoken_space_back(t->text, t->from, t->at) : t->at;
        t->done = s->strip_right ? pretoken_space_skip(t->text, t->search, t->len) : t->search;
        return s;
    }
    t->stop = t->len;
    return NULL;
}

/* Between the added tokens that are looked for in the normalised text.  A part without places counts from its own
 * beginning. */
static void encode_stretch(Encoder *e, SpecialKind kind, const char *text, int64_t begin, int64_t end)
{
    const Pipeline *p = e->p;
    bool library = p->spm && p->spm->library;
    Normal x = library ? spm_normalise(p->spm, e->a, text + begin, end - begin)
                       : normalizer_run(&p->normalizer, e->a,
                                        normal_of(e->a, text + begin, end - begin, !p->splitter.bytes));
    Tokens t = {p->added, kind, true, x.text, (size_t)x.len};
    for (const Special *s; (s = next_token(&t));) {
        e->base = begin + (x.from ? 0 : (int64_t)t.from);
        if (t.from < t.stop) encode_normal(e, part(&x, (int64_t)t.from, (int64_t)t.stop));
        emit(e, s->id, begin + normal_begin(&x, (int64_t)t.at), begin + normal_end(&x, (int64_t)t.search));
    }
    e->base = begin + (x.from ? 0 : (int64_t)t.from);
    if (t.from < t.len) encode_normal(e, part(&x, (int64_t)t.from, x.len));
}

BpeText pipeline_encode(Pipeline *p, Arena *a, const char *text, size_t len, bool special_in_text)
{
    if (!p->forgets && (!p->memo.at || p->stale || p->special != special_in_text))
        memo_clear(&p->memo, &p->scratch, MEMO_WORDS);
    p->stale = false;
    p->special = special_in_text;
    ArenaMark mark = arena_mark(&p->scratch);
    Encoder e = {.p = p, .a = &p->scratch, .spm = {.s = p->spm, .a = &p->scratch, .special = special_in_text}};
    room_for(&e, len);
    know_model(&e);
    SpecialKind kind = special_in_text ? SPECIAL_ALL : SPECIAL_ORDINARY;
    if (p->spm && p->spm->kind == SPM_BPE && len >> 12) { /* worth its clearing */
        e.spm.pair = arena_take(e.a, sizeof(Merge) * PAIRS);
        memset(e.spm.pair, 0xff, sizeof(Merge) * PAIRS);
    }
    Tokens t = {p->added, kind, false, text, len};
    for (const Special *s; (s = next_token(&t));) {
        if (t.from < t.stop) encode_stretch(&e, kind, text, (int64_t)t.from, (int64_t)t.stop);
        emit(&e, s->id, (int64_t)t.at, (int64_t)t.search);
    }
    if (t.from < len) encode_stretch(&e, kind, text, (int64_t)t.from, (int64_t)len);
    BpeText out = text_new(a, e.out.n);
    text_put(&out, 0, &e.out, 0, e.out.n);
    arena_drop(&p->scratch, mark);
    return out;
}

/* ---- pieces and text ---- */

const char *pipeline_piece(const Pipeline *p, int32_t id)
{
    const Special *s = special_of(p->added, id);
    if (s) return s->text;
    if (p->bpe) return bpe_piece(p->bpe, id);
    if (p->words) return id >= 0 && id < p->words->n ? p->words->piece[id] : NULL;
    return spm_piece(p->spm, p->shift ? (id < 4 ? -1 : id - p->shift) : id);
}

int32_t pipeline_find(const Pipeline *p, const char *piece)
{
    const Special *s = special_find(p->added, piece, strlen(piece));
    if (s) return s->id;
    if (p->bpe) return bpe_find(p->bpe, piece);
    if (p->words) return (int32_t)table_get(&p->words->vocab, piece, strlen(piece), -1);
    int32_t id = spm_find(p->spm, piece);
    return id < 0 ? -1 : shifted(p, id);
}

int64_t pipeline_size(const Pipeline *p)
{
    int64_t n = p->bpe ? bpe_size(p->bpe) : p->words ? p->words->n : spm_size(p->spm) + p->shift;
    for (int64_t i = 0; i < p->added->n && !p->shift; i++)
        if (p->added->at[i].id >= n) n = p->added->at[i].id + 1;
    return n;
}

Bytes pipeline_decode(const Pipeline *p, Arena *a, const int32_t *id, int64_t n)
{
    Bytes *piece = NEW(a, Bytes, n + 1);
    int64_t kept = 0;
    for (int64_t i = 0; i < n; i++) {
        const char *text = pipeline_piece(p, id[i]);
        if (text) piece[kept++] = (Bytes){(char *)(uintptr_t)text, strlen(text)};
    }
    Bytes out = decoder_run(&p->decoder, a, piece, kept);
    return (Bytes){str_copy(a, out.text, out.len), out.len};
}

/* ---- life ---- */

Pipeline *pipeline_new(Arena *a)
{
    Arena own = arena_open((size_t)1 << 34);
    Pipeline *p = NEW(&own, Pipeline, 1);
    p->added = NEW(&own, Specials, 1);
    p->arena = a;
    p->scratch = own;
    return p;
}

void pipeline_remember(Pipeline *p, bool words)
{
    p->forgets = !words;
    p->stale = true;
}

/* Entries of the model's vocabulary. */
static int64_t entries(const Pipeline *p)
{
    return p->bpe ? p->bpe->vocab.count : p->words ? p->words->vocab.count : spm_size(p->spm);
}

static int32_t next_id(const Pipeline *p)
{
    int64_t id = entries(p);
    for (int64_t i = 0; i < p->added->n; i++)
        if (p->added->at[i].id >= id) id = p->added->at[i].id + 1;
    return (int32_t)id;
}

int32_t pipeline_add(Pipeline *p, Special s)
{
    s.id = pipeline_find(p, s.text);
    if (s.id < 0) s.id = next_id(p);
    special_put(p->added, p->arena, s);
    Piece *piece = p->spm && s.id < p->spm->n ? &p->spm->piece[s.id] : NULL;
    if (piece && s.special && piece->type == PIECE_NORMAL) piece->type = PIECE_CONTROL;
    return s.id;
}

/* Bytes go to the model as they are, where it is a BPE whose pieces are spelt as bytes throughout. */
static bool takes_bytes(const Bpe *b)
{
    return b && !*b->prefix && !*b->suffix && !b->byte_fallback;
}

Status pipeline_finish(Pipeline *p, const char *path)
{
    if (takes_bytes(p->bpe)) splitter_finish(&p->splitter);
    if (p->bpe) p->bpe->characters = !p->splitter.bytes, bpe_finish(p->bpe);
    if (p->spm && !p->spm->library) TRY(spm_index(p->spm, p->arena, path));
    for (int64_t i = 0; i < p->added->n; i++) {
        const Special *s = &p->added->at[i];
        if (!s->normalized || !p->normalizer.n || s->form != s->text) continue;
        Normal x = normalizer_run(&p->normalizer, p->arena, normal_of(p->arena, s->text, (int64_t)s->len, false));
        special_form(p->added, i, str_copy(p->arena, x.text, (size_t)x.len), (size_t)x.len);
        i = -1; /* their order is another now */
    }
    return OK;
}

void pipeline_close(Pipeline *p)
{
    normalizer_close(&p->normalizer);
    splitter_close(&p->splitter);
    decoder_close(&p->decoder);
    Arena own = p->scratch; /* which the pipeline itself lies on */
    arena_close(&own);
}

/* A SentencePiece model (.model) as the class that the folder declares reads it.  The fast tokenizers turn such a
 * file into the stages of a tokenizer.json: the character map, white space at the end stripped, blanks in front of
 * words; its pieces become a Unigram, or a BPE whose merges are made from the scores. */
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "text/tokenizer_make.h"

/* ---- BPE from scores ---- */

typedef struct {
    double score;
    int32_t left, right, id, left_length, right_length; /* lengths in characters */
    int64_t at;
} Union;

/* The best score first, then the longer left side, then the longer right, then the order of the pieces. */
static int by_score(const void *a, const void *b)
{
    const Union *x = a, *y = b;
    if (x->score != y->score) return (x->score < y->score) - (x->score > y->score);
    if (x->left_length != y->left_length) return y->left_length - x->left_length;
    if (x->right_length != y->right_length) return y->right_length - x->right_length;
    return (x->at > y->at) - (x->at < y->at);
}

static int by_sides(const void *a, const void *b)
{
    const Union *x = a, *y = b;
    return x->left != y->left ? (x->left > y->left) - (x->left < y->left)
                              : (x->right > y->right) - (x->right < y->right);
}

typedef struct {
    Arena *a;
    Union *at;
    int64_t n, room;
} Unions;

/* Every way of making a piece out of two. */
static void add_unions(Unions *u, const Bpe *b, const Piece *piece, int32_t id)
{
    int64_t first = u->n;
    int32_t all = 0, left = 0;
    for (int32_t i = 0; i < piece->len; i++) all += ((unsigned char)piece->text[i] & 0xC0) != 0x80;
    for (int32_t at = 1; at < piece->len; at++) {
        left += ((unsigned char)piece->text[at - 1] & 0xC0) != 0x80;
        if (((unsigned char)piece->text[at] & 0xC0) == 0x80) continue;
        int32_t l = (int32_t)table_get(&b->vocab, piece->text, (size_t)at, -1),
                r = (int32_t)table_get(&b->vocab, piece->text + at, (size_t)(piece->len - at), -1);
        if (l < 0 || r < 0) continue;
        GROW(u->a, u->at, u->n, u->room, 1024);
        u->at[u->n++] = (Union){piece->score, l, r, id, left, all - left, 0};
    }
    if (u->n > first) qsort(u->at + first, (size_t)(u->n - first), sizeof *u->at, by_sides);
}

Bpe *make_bpe(const Make *m, const Piece *piece, int64_t n, bool byte_fallback, const char *unknown)
{
    Bpe *b = bpe_new(m->a, n);
    Arena scratch = arena_open((size_t)1 << 32);
    Unions u = {.a = &scratch};
    b->fuse = true;
    b->byte_fallback = byte_fallback;
    for (int64_t i = 0; i < n; i++)
        if (piece[i].len) bpe_add_piece(b, piece[i].text, (size_t)piece[i].len, i);
    for (int64_t i = 0; i < n; i++) add_unions(&u, b, &piece[i], (int32_t)i);
    for (int64_t i = 0; i < u.n; i++) u.at[i].at = i;
    if (u.n) qsort(u.at, (size_t)u.n, sizeof *u.at, by_score);
    for (int64_t i = 0; i < u.n; i++) bpe_add_merge(b, u.at[i].left, u.at[i].right, u.at[i].id);
    b->unknown = bpe_find(b, unknown);
    arena_close(&scratch);
    return b;
}

/* ---- stages ---- */

static Pattern text_pattern(const char *text)
{
    return (Pattern){.text = text, .len = strlen(text)};
}

static Status add_blanks(const Make *m)
{
    NormStep runs = {.kind = NORM_REPLACE, .to = SPACE};
    TRY(pattern_read(&runs.pattern, m->a, " {2,}", m->path));
    TRY(normalizer_add(&m->p->normalizer, (NormStep){.kind = NORM_STRIP, .right = true}, m->path));
    return normalizer_add(&m->p->normalizer, runs, m->path);
}

static Status add_metaspace(const Make *m, Prefix prefix, bool split)
{
    Splitter *z = &m->p->splitter;
    TRY(splitter_add(z, (SplitStep){.kind = SPLIT_META, .mark = SPACE, .prefix = prefix}, m->path));
    if (!split) return OK;
    return splitter_add(z, (SplitStep){.pattern = text_pattern(SPACE), .behaviour = BEHAVE_NEXT}, m->path);
}

Status make_metaspace_stages(const Make *m, Prefix prefix)
{
    TRY(add_blanks(m));
    TRY(add_metaspace(m, prefix, true));
    const DecodeStep marks = {.kind = DECODE_META, .text = SPACE, .flag = prefix != PREFIX_NEVER};
    return decoder_add(&m->p->decoder, marks, m->path);
}

/* Of the converters of T5, XLM-R and CamemBERT. */
static Status usual_stages(const Make *m, const CharMap *map)
{
    Prefix prefix = m->d->prefix_space == 0 ? PREFIX_NEVER : m->d->legacy == 0 ? PREFIX_FIRST : PREFIX_ALWAYS;
    if (map->unit) TRY(normalizer_add(&m->p->normalizer, (NormStep){.kind = NORM_MAP, .map = *map}, m->path));
    return make_metaspace_stages(m, prefix);
}

Status make_llama_stages(const Make *m, bool legacy, bool prefix_space)
{
    Pipeline *p = m->p;
    if (legacy) {
        if (prefix_space) TRY(normalizer_add(&p->normalizer, (NormStep){.kind = NORM_PREPEND, .to = SPACE}, m->path));
        TRY(normalizer_add(&p->normalizer,
                           (NormStep){.kind = NORM_REPLACE, .pattern = text_pattern(" "), .to = SPACE}, m->path));
    } else {
        TRY(add_metaspace(m, prefix_space ? PREFIX_FIRST : PREFIX_NEVER, false));
    }
    const DecodeStep marks = {.kind = DECODE_REPLACE, .pattern = text_pattern(SPACE), .to = " "};
    TRY(decoder_add(&p->decoder, marks, m->path));
    TRY(decoder_add(&p->decoder, (DecodeStep){.kind = DECODE_BYTE_FALLBACK}, m->path));
    TRY(decoder_add(&p->decoder, (DecodeStep){.kind = DECODE_FUSE}, m->path));
    if (!prefix_space) return OK;
    return decoder_add(&p->decoder, (DecodeStep){.kind = DECODE_STRIP, .text = " ", .start = 1}, m->path);
}

/* ---- pieces as the classes number them ---- */

typedef struct {
    Piece *at;
    int32_t n, unknown;
} Pieces;

static void put(Pieces *p, const char *text, double score)
{
    p->at[p->n++] = (Piece){text, (int32_t)strlen(text), score, PIECE_NORMAL};
}

/* Some pieces in front take the places of the first ones of the model; <mask> or sentinels follow the last. */
static Pieces numbered(const Make *m, const Spm *s)
{
    static const char *const FAIRSEQ[] = {"<s>", "<pad>", "</s>", "<unk>", NULL};
    static const char *const CAMEMBERT[] = {"<s>NOTUSED", "<pad>", "</s>NOTUSED", "<unk>", "<unk>NOTUSED", NULL};
    Family f = m->d->family;
    bool t5 = f == FAMILY_T5, fairseq = f == FAMILY_XLMR || f == FAMILY_CAMEMBERT;
    int64_t extra = !t5 ? 0 : m->d->extra_ids < 0 ? 100 : m->d->extra_ids;
    Pieces p = {NEW(m->a, Piece, s->n + extra + 8), 0, s->special.unk};
    const char *const *front = f == FAMILY_XLMR ? FAIRSEQ : CAMEMBERT;
    int32_t skipped = f == FAMILY_XLMR ? 3 : fairseq ? 1 : 0;
    for (; fairseq && *front; front++) put(&p, *front, strcmp(*front, "<unk>NOTUSED") ? 0 : -100);
    for (int32_t i = skipped; i < s->n; i++) {
        p.at[p.n] = s->piece[i];
        p.at[p.n++].type = PIECE_NORMAL;
    }
    if (fairseq) put(&p, "<mask>", 0), p.unknown = 3;
    for (int64_t i = extra - 1; i >= 0; i--) put(&p, str_print(m->a, "<extra_id_%lld>", (long long)i), 0);
    return p;
}

Spm *make_unigram(const Make *m, Piece *piece, int64_t n, int32_t unknown)
{
    Spm *s = NEW(m->a, Spm, 1);
    *s =
        (Spm){.piece = piece, .n = (int32_t)n, .kind = SPM_UNIGRAM, .special = {unknown, -1, -1, -1}, .escape = true};
    s->piece[unknown].type = PIECE_UNKNOWN;
    return s;
}

/* Control pieces and symbols of the user's are added tokens. */
static void add_symbols(const Make *m, const Spm *s)
{
    for (int32_t i = 0; i < s->n; i++) {
        const Piece *p = &s->piece[i];
        if (p->type == PIECE_CONTROL || p->type == PIECE_USER)
            pipeline_add(m->p,
                         (Special){.text = p->text, .len = (size_t)p->len, .special = p->type == PIECE_CONTROL});
    }
}

/* Sentinels, or CamemBERT's pieces that nobody uses, are special without being declared. */
static void add_own_tokens(const Make *m)
{
    static const char *const UNUSED[] = {"<s>NOTUSED", "</s>NOTUSED", "<unk>NOTUSED"};
    const Declared *d = m->d;
    int64_t extra = d->family != FAMILY_T5 ? 0 : d->extra_ids < 0 ? 100 : d->extra_ids;
    for (int64_t i = 0; i < extra; i++) {
        const char *text = str_print(m->a, "<extra_id_%lld>", (long long)i);
        pipeline_add(m->p, (Special){.text = text, .len = strlen(text), .special = true});
    }
    for (int i = 0; i < 3 && d->family == FAMILY_CAMEMBERT; i++)
        pipeline_add(m->p, (Special){.text = UNUSED[i], .len = strlen(UNUSED[i]), .special = true});
}

Status make_model(const Make *m)
{
    Spm *s;
    const Declared *d = m->d;
    bool llama = d->family == FAMILY_LLAMA;
    TRY(spm_open(&s, m->a, m->path));
    Pieces p = numbered(m, s);
    if (s->special.unk < 0 || s->special.unk >= s->n)
        return err_fail(E_FORMAT, "%s: the model has no piece for unknown characters", m->path);
    const char *unknown = p.at[p.unknown].text;
    if (s->kind == SPM_BPE)
        m->p->bpe = make_bpe(m, p.at, p.n, llama, unknown);
    else
        m->p->spm = make_unigram(m, p.at, p.n, p.unknown);
    m->t->kind = s->kind == SPM_BPE ? "SentencePiece BPE" : "SentencePiece unigram";
    if (m->p->spm && llama) m->p->spm->byte_fallback = true;
    TRY(llama ? make_llama_stages(m, d->legacy != 0, d->prefix_space != 0) : usual_stages(m, &s->map));
    add_symbols(m, s);
    add_own_tokens(m);
    return OK;
}

/* ---- as the library itself has it ---- */

static void add_text(const Make *m, const char *text, int32_t id, bool strip_left)
{
    const Special s = {.text = text, .len = strlen(text), .id = id, .strip_left = strip_left, .special = true};
    special_add(m->p->added, m->a, s);
}

static Status open_library(const Make *m)
{
    TRY(spm_open(&m->p->spm, m->a, m->path));
    m->t->kind = m->p->spm->kind == SPM_BPE ? "SentencePiece BPE" : "SentencePiece unigram";
    return OK;
}

/* added_tokens.json beside the model: tokens that were added to a vocabulary later. */
static void add_later(const Make *m)
{
    for (int64_t i = 0; i < m->d->n_added; i++)
        add_text(m, m->d->added[i].text, m->d->added[i].id, !strcmp(m->d->added[i].text, "<mask>"));
}

Status make_library(const Make *m)
{
    TRY(open_library(m));
    const Spm *spm = m->p->spm;
    SpmSpecials s = spm_specials(spm);
    for (int32_t i = 0; i < spm->n; i++)
        if (spm->piece[i].type == PIECE_CONTROL || i == s.unk) add_text(m, spm->piece[i].text, i, false);
    add_later(m);
    m->t->single = m->t->pair = (TokenFrame){.text_type = {0, 1}};
    if (s.eos < 0 || s.eos >= spm->n) return OK;
    m->t->single = make_frame((int32_t[]){FRAME_A, s.eos, FRAME_END}, false);
    m->t->pair = make_frame((int32_t[]){FRAME_A, s.eos, FRAME_B, s.eos, FRAME_END}, false);
    return OK;
}

static const char *without_marks(const Make *m, const char *language)
{
    size_t n = strlen(language);
    bool marked = n > 4 && !strncmp(language, "__", 2) && !strcmp(language + n - 2, "__");
    return marked ? str_copy(m->a, language + 2, n - 4) : language;
}

Status make_plbart(const Make *m)
{
    static const char *const FIRST[] = {"<s>", "<pad>", "</s>", "<unk>"};
    static const char *const BASE[] = {"java", "python", "en_XX", NULL};
    static const char *const MULTI[] = {"java", "python", "en_XX", "javascript", "php", "ruby", "go", NULL};
    const char *codes = m->d->codes ? m->d->codes : "base";
    bool multi = !strcmp(codes, "multi");
    if (!multi && strcmp(codes, "base") != 0)
        return err_fail(E_FORMAT, "%s: language_codes is \"%s\", expected base or multi", m->path,
                        document_shown(codes));
    TRY(open_library(m));
    m->p->shift = m->t->shift = 1;
    m->t->languages = multi ? MULTI : BASE;
    m->t->language = m->d->language ? without_marks(m, m->d->language) : multi ? "en_XX" : NULL;
    int32_t id = (int32_t)spm_size(m->p->spm) + 1;
    for (int i = 0; i < 4; i++) add_text(m, FIRST[i], i, false);
    for (int i = 0; m->t->languages[i]; i++) add_text(m, str_print(m->a, "__%s__", m->t->languages[i]), id++, false);
    add_text(m, "<mask>", id, true);
    add_later(m);
    m->t->single = make_frame((int32_t[]){FRAME_A, 2, FRAME_END}, false);
    m->t->pair = make_frame((int32_t[]){FRAME_A, FRAME_B, 2, FRAME_END}, false);
    return OK;
}

/* The names of a directory's files determine the kind, and for a tokenizer.json its pre_tokenizer. */
#include "text/tokenizer.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/hf_cache.h"
#include "base/str.h"
#include "text/bpe_core.h"
#include "text/pretoken.h"
#include "text/spm_model.h"

static const char *const FAIRSEQ[] = {"<s>", "<pad>", "</s>", "<unk>"};
enum { FAIRSEQ_EOS = 2, FAIRSEQ_UNK = 3 };
static const char BYTE_LEVEL[] = "byte-level BPE";
static const char *const LANGUAGES[] = {"java", "python", "en_XX"}; /* PLBART's, behind the pieces in this order */
enum { N_LANGUAGES = 3 };

/* ---- opening ---- */

static void add(Tokenizer *t, Arena *a, const char *text, int32_t id, bool strip_left)
{
    special_add(&t->own, a, (Special){text, strlen(text), id, strip_left, false});
}

/* document_added_tokens.json beside the model: tokens that were added to a vocabulary later. */
static Status add_added(Tokenizer *t, Arena *a, const char *path)
{
    cJSON *doc = NULL;
    if (access(path, F_OK)) return OK;
    TRY(document_read(&doc, a, path));
    Status s = OK;
    for (const cJSON *v = doc->child; v && !s; v = v->next) {
        if (!document_is_id(v) || !*v->string)
            s = err_fail(E_FORMAT, "%s: \"%s\" has no whole number from 0 to %d as id", path,
                         document_shown(v->string), MOST_IDS - 1);
        else
            add(t, a, v->string, v->valueint, !strcmp(v->string, "<mask>"));
    }
    cJSON_Delete(doc);
    return s;
}

static void add_fairseq(Tokenizer *t, Arena *a)
{
    int32_t n = (int32_t)spm_size(t->spm) + 1;
    for (int i = 0; i < 4; i++) add(t, a, FAIRSEQ[i], i, false);
    for (int i = 0; i < N_LANGUAGES; i++) add(t, a, str_print(a, "__%s__", LANGUAGES[i]), n + i, false);
    add(t, a, "<mask>", n + N_LANGUAGES, true);
    t->single.id[1][t->single.n[1]++] = FAIRSEQ_EOS;
}

static void add_controls(Tokenizer *t, Arena *a)
{
    SpmSpecials s = spm_specials(t->spm);
    for (int32_t i = 0; i < t->spm->n; i++)
        if (t->spm->piece[i].type == PIECE_CONTROL || i == s.unk) add(t, a, t->spm->piece[i].text, i, false);
    if (s.eos >= 0 && s.eos < t->spm->n) t->single.id[1][t->single.n[1]++] = s.eos;
}

static const char *kind_of(const Spm *s)
{
    return spm_kind(s) == SPM_BPE ? "SentencePiece BPE" : "SentencePiece unigram";
}

static Status open_spm(Tokenizer *t, Arena *a, const char *path, const char *added)
{
    TRY(spm_open(&t->spm, a, path));
    t->kind = kind_of(t->spm);
    t->shift = str_glob("*sentencepiece.bpe.model", path);
    if (t->shift)
        add_fairseq(t, a);
    else
        add_controls(t, a);
    t->pair = t->single; /* A </s> B </s> */
    t->pair.n[2] = t->pair.n[1];
    memcpy(t->pair.id[2], t->pair.id[1], sizeof t->pair.id[1]);
    return added ? add_added(t, a, added) : OK;
}

/* RoBERTa's way, of a vocabulary that has different tokens for begin and end. */
Tokenizer tokenizer_of(Bpe *bpe)
{
    Tokenizer t = {.kind = BYTE_LEVEL, .bpe = bpe};
    BpeSpecials s = bpe_specials(bpe);
    if (s.bos < 0 || s.eos < 0 || s.bos == s.eos) return t;
    t.single = (TokenFrame){{{s.bos}, {s.eos}}, {1, 1, 0}};
    t.pair = (TokenFrame){{{s.bos}, {s.eos, s.eos}, {s.eos}}, {1, 2, 1}};
    return t;
}

static Status from_document(Tokenizer *t, Arena *a, const cJSON *doc, const char *path)
{
    TRY(document_post_processor(&t->single, &t->pair, doc, path));
    if (bpe_reads(doc)) {
        t->kind = BYTE_LEVEL;
        return bpe_from_document(&t->bpe, a, doc, path);
    }
    TRY(spm_from_document(&t->spm, &t->own, a, doc, path));
    t->kind = kind_of(t->spm);
    return OK;
}

static Status open_json(Tokenizer *t, Arena *a, const char *path)
{
    Arena scratch = arena_open((size_t)1 << 30);
    cJSON *doc = NULL;
    Status s = document_read(&doc, &scratch, path);
    if (!s) s = from_document(t, a, doc, path);
    cJSON_Delete(doc);
    arena_close(&scratch);
    return s;
}

static const char *const MODELS[] = {"spiece.model", "sentencepiece.bpe.model", "tokenizer.model"};

bool tokenizer_there(const char *dir)
{
    static const char *const OTHERS[] = {"tokenizer.json", "vocab.json"};
    Arena a = arena_open((size_t)1 << 20);
    bool there = false;
    for (int i = 0; i < 5; i++)
        there |= !access(str_print(&a, "%s/%s", dir, i < 3 ? MODELS[i] : OTHERS[i - 3]), F_OK);
    arena_close(&a);
    return there;
}

static Status open_dir(Tokenizer *t, Arena *a, const char *dir)
{
    for (int i = 0; i < 3; i++) {
        const char *path = str_print(a, "%s/%s", dir, MODELS[i]);
        if (!access(path, F_OK)) return open_spm(t, a, path, str_print(a, "%s/added_tokens.json", dir));
    }
    const char *json = str_print(a, "%s/tokenizer.json", dir);
    if (!access(json, F_OK)) return open_json(t, a, json);
    if (!tokenizer_there(dir))
        return err_fail(E_IO,
                        "%s: no tokenizer there; expected tokenizer.json, vocab.json with merges.txt, %s, %s or %s",
                        dir, MODELS[0], MODELS[1], MODELS[2]);
    Bpe *bpe;
    TRY(bpe_open(&bpe, a, dir));
    *t = tokenizer_of(bpe);
    return OK;
}

Status tokenizer_open(Tokenizer *t, Arena *a, const char *path)
{
    *t = (Tokenizer){0};
    TRY(hf_cache_find(&path, a, path));
    if (str_glob("*.safetensors|*.bin|*.index.json|*vocab.json|*merges.txt", path)) path = file_folder(a, path);
    if (file_is_dir(path)) return open_dir(t, a, path);
    return str_glob("*.model", path) ? open_spm(t, a, path, NULL) : open_json(t, a, path);
}

void tokenizer_close(Tokenizer *t)
{
    if (t->bpe) bpe_close(t->bpe);
    *t = (Tokenizer){0};
}

const Specials *tokenizer_specials(const Tokenizer *t)
{
    return t->bpe ? &t->bpe->special : &t->own;
}

/* ---- ids ---- */

static int32_t shifted(const Tokenizer *t, int32_t id)
{
    return !t->shift ? id : id == spm_specials(t->spm).unk ? FAIRSEQ_UNK : id + t->shift;
}

static int32_t unshifted(const Tokenizer *t, int32_t id)
{
    return !t->shift ? id : id == FAIRSEQ_UNK ? spm_specials(t->spm).unk : id - t->shift;
}

static BpeText encode_part(const Tokenizer *t, Arena *a, const char *text, size_t from, size_t to)
{
    BpeText x = spm_encode_part(t->spm, a, text + from, to - from, from == 0);
    for (int64_t i = 0; i < x.n; i++) {
        x.id[i] = shifted(t, x.id[i]);
        x.begin[i] += (int64_t)from;
        x.end[i] += (int64_t)from;
    }
    return x;
}

/* The stretches between special tokens, each a text of its own; the arrays double when full. */
static void append(BpeText *out, int64_t *room, Arena *a, const BpeText *x)
{
    if (out->n + x->n > *room) {
        BpeText old = *out;
        *room = 2 * (old.n + x->n) + 16;
        *out = text_new(a, *room);
        text_put(out, 0, &old, 0, old.n);
        out->n = old.n;
    }
    text_put(out, out->n, x, 0, x->n);
    out->n += x->n;
}

static BpeText encode_specials(const Tokenizer *t, Arena *a, const char *text, size_t len)
{
    BpeText out = {0};
    int64_t room = 0;
    size_t from = 0, at = 0;
    for (const Special *s; (s = special_next(tokenizer_specials(t), text, from, len, &at));) {
        BpeText x = encode_part(t, a, text, from, s->strip_left ? pretoken_space_back(text, from, at) : at);
        int64_t begin = (int64_t)at, end = (int64_t)(at + s->len);
        append(&out, &room, a, &x);
        append(&out, &room, a, &(BpeText){.n = 1, .id = &(int32_t){s->id}, .begin = &begin, .end = &end});
        from = at + s->len;
        if (s->strip_right) from = pretoken_space_skip(text, from, len);
    }
    BpeText x = encode_part(t, a, text, from, len);
    append(&out, &room, a, &x);
    return out;
}

BpeText tokenizer_encode(const Tokenizer *t, Arena *a, const char *text, size_t len, bool special_in_text)
{
    if (t->bpe) return bpe_encode(t->bpe, a, text, len, special_in_text);
    return special_in_text ? encode_specials(t, a, text, len) : encode_part(t, a, text, 0, len);
}

/* SentencePiece drops its control pieces; other special tokens are spelt out. */
char *tokenizer_decode(const Tokenizer *t, Arena *a, const int32_t *id, int64_t n, size_t *len)
{
    if (t->bpe) return bpe_decode(t->bpe, a, id, n, false, len);
    int32_t *own = NEW(a, int32_t, n + 1);
    Buf b = buf_open(a);
    int64_t kept = 0;
    for (int64_t i = 0; i <= n; i++) {
        int32_t one = i < n ? unshifted(t, id[i]) : -1;
        if (one >= 0 && one < spm_size(t->spm)) {
            if (!t->shift || id[i] >= FAIRSEQ_UNK) own[kept++] = one;
            continue;
        }
        const Special *s = i < n && id[i] >= spm_size(t->spm) ? special_of(tokenizer_specials(t), id[i]) : NULL;
        if (i < n && !s) continue; /* an id that stands for nothing */
        size_t part;
        char *text = spm_decode(t->spm, a, own, kept, &part);
        buf_add(&b, text, part);
        if (s) buf_add(&b, s->text, s->len);
        kept = 0;
    }
    *len = b.len;
    return b.text ? b.text : str_copy(a, "", 0);
}

Status tokenizer_no_special(const Tokenizer *t, const char *text, size_t len)
{
    size_t at = 0;
    const Special *s = special_next(tokenizer_specials(t), text, 0, len, &at);
    return s ? err_fail(E_CONFIG, "byte %zu of the text begins the special token %s; special tokens are refused", at,
                        s->text)
             : OK;
}

/* ---- around texts ---- */

int32_t tokenizer_language(const Tokenizer *t, const char *language)
{
    for (int i = 0; t->shift && language && i < N_LANGUAGES; i++)
        if (!strcmp(LANGUAGES[i], language)) return (int32_t)tokenizer_size(t) + i;
    return -1;
}

Status tokenizer_wrap(BpeText *out, const Tokenizer *t, Arena *a, const BpeText *x, const BpeText *y,
                      const char *language, Limit limit)
{
    TokenFrame f = y ? t->pair : t->single;
    int32_t code = tokenizer_language(t, language);
    if (t->shift && code < 0)
        return err_fail(E_CONFIG, "the text's language is %s, expected java, python or en_XX",
                        language ? language : "not given");
    int last = y ? 2 : 1;
    if (t->shift) f.id[last][f.n[last]++] = code;
    return frame_put(out, a, &f, x, y, limit);
}

int32_t *tokenizer_types(const Tokenizer *t, Arena *a, const BpeText *x)
{
    if (!t->typed || !x->second) return NULL;
    int32_t *type = NEW(a, int32_t, x->n);
    for (int64_t i = x->second; i < x->n; i++) type[i] = 1;
    return type;
}

Status tokenizer_source(BpeText *out, const Tokenizer *t, Arena *a, const char *text, size_t len,
                        const char *language, int64_t most)
{
    BpeText x = tokenizer_encode(t, a, text, len, false);
    return tokenizer_wrap(out, t, a, &x, NULL, language, (Limit){.most = most});
}

/* ---- questions ---- */

const char *tokenizer_piece(const Tokenizer *t, int32_t id)
{
    if (t->bpe) return id >= 0 && id < bpe_size(t->bpe) ? bpe_piece(t->bpe, id) : NULL;
    const Special *s = special_of(tokenizer_specials(t), id);
    return s ? s->text : spm_piece(t->spm, unshifted(t, id));
}

bool tokenizer_is_special(const Tokenizer *t, int32_t id)
{
    return special_of(tokenizer_specials(t), id) != NULL;
}

int64_t tokenizer_size(const Tokenizer *t)
{
    if (t->bpe) return bpe_size(t->bpe);
    int64_t n = spm_size(t->spm) + t->shift;
    for (int64_t i = 0; i < t->own.n && !t->shift; i++)
        if (t->own.at[i].id >= n) n = t->own.at[i].id + 1;
    return n;
}

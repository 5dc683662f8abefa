/* The declared class, or else the names of a directory's files, determine how a tokenizer is made. */
#include "text/tokenizer.h"

#include <string.h>
#include <unistd.h>

#include "base/hf_cache.h"
#include "base/str.h"
#include "io/gguf.h"
#include "text/tokenizer_make.h"

static const char *const MODELS[] = {"spiece.model", "sentencepiece.bpe.model", "tokenizer.model"};

/* ---- opening ---- */

static bool there(Arena *a, const char *dir, const char *name, const char **path)
{
    *path = str_print(a, "%s/%s", dir, name);
    return !access(*path, F_OK);
}

static const char *model_of(Arena *a, const char *dir)
{
    const char *path;
    for (int i = 0; i < 3; i++)
        if (there(a, dir, MODELS[i], &path)) return path;
    return NULL;
}

static bool has_files(Arena *a, const char *dir)
{
    static const char *const OTHERS[] = {"tokenizer.json", "vocab.json", "vocab.txt"};
    const char *path;
    bool found = model_of(a, dir) != NULL;
    for (int i = 0; i < 3; i++) found |= there(a, dir, OTHERS[i], &path);
    return found;
}

bool tokenizer_there(const char *model)
{
    Arena a = arena_open((size_t)1 << 20);
    const char *gguf = NULL;
    bool found = !hf_cache_find(&model, &a, model) &&
                 (has_files(&a, file_folder(&a, model)) || (!gguf_find(&gguf, &a, model) && gguf) ||
                  (str_glob("*.model|*.json|*.txt", model) && !access(model, R_OK)));
    if (!found) err_clear();
    arena_close(&a);
    return found;
}

/* Which file of the folder is read, and by whom. */
static Status make_from(Make *m, const char *dir)
{
    const char *json, *vocab, *lines, *merges = str_print(m->a, "%s/merges.txt", dir), *model = model_of(m->a, dir);
    Family f = m->d->family;
    bool fairseq = f == FAMILY_PLBART || (f == FAMILY_NONE && model && str_glob("*sentencepiece.bpe.model", model));
    bool from_json = there(m->a, dir, "tokenizer.json", &json) && !(fairseq && model);
    m->path = model;
    if (fairseq && model) return make_plbart(m);
    m->path = json;
    if (from_json && (f != FAMILY_NONE || !model)) return make_json(m);
    m->path = model;
    if (model) return f == FAMILY_NONE || f >= FAMILY_OTHER || f == FAMILY_FAST ? make_library(m) : make_model(m);
    if (there(m->a, dir, "vocab.json", &vocab)) {
        m->path = vocab;
        return make_words(m, merges);
    }
    if (there(m->a, dir, "vocab.txt", &lines)) {
        m->path = lines;
        return make_wordpiece(m);
    }
    return err_fail(
        E_IO,
        "%s: no tokenizer there; expected tokenizer.json, vocab.json with merges.txt, vocab.txt, %s, %s or "
        "%s",
        dir, MODELS[0], MODELS[1], MODELS[2]);
}

static Status complete(Make *m)
{
    bool json = m->gguf || (str_glob("*.json", m->path) && !str_glob("*vocab.json", m->path));
    if (m->t->pipe && m->t->pipe != m->p) return OK; /* a Bpe with its own pipeline */
    return make_complete(m, json);
}

static Status run(Tokenizer *t, Arena *a, Make *m, Status (*f)(Make *, const char *), const char *path)
{
    m->t = t;
    m->a = a;
    m->p = pipeline_new(a);
    Status s = f(m, path);
    if (!s) s = complete(m);
    Bpe *bpe = m->p->bpe;
    if (s && bpe) bpe_close(bpe);
    if (s || (t->pipe && t->pipe != m->p)) pipeline_close(m->p);
    if (!s && !t->pipe) t->pipe = m->p;
    if (s) *t = (Tokenizer){0};
    return s;
}

static Status open_file(Make *m, const char *path)
{
    m->path = path;
    if (str_glob("*.model", path))
        return str_glob("*sentencepiece.bpe.model", path) ? make_plbart(m) : make_library(m);
    return str_glob("*.txt", path) ? make_wordpiece(m) : make_json(m);
}

static Status open_gguf(Make *m, const char *path)
{
    m->path = path;
    m->gguf = true;
    return make_gguf(m);
}

Status tokenizer_open(Tokenizer *t, Arena *a, const char *path)
{
    Declared d;
    const char *gguf = NULL;
    *t = (Tokenizer){0};
    TRY(hf_cache_find(&path, a, path));
    if (!file_is_dir(path) || !has_files(a, path)) TRY(gguf_find(&gguf, a, path));
    if (gguf) path = gguf;
    if (str_glob("*.safetensors|*.bin|*.index.json|*vocab.json|*merges.txt", path)) path = file_folder(a, path);
    bool folder = file_is_dir(path);
    TRY(declared_read(&d, a, folder ? path : "/dev/null"));
    if (!folder && str_glob("*.txt", path)) d.family = FAMILY_BERT;
    return run(t, a, &(Make){.d = &d}, gguf ? open_gguf : folder ? make_from : open_file, path);
}

void tokenizer_close(Tokenizer *t)
{
    if (t->pipe && t->bpe && t->bpe->pipe != t->pipe) bpe_close(t->bpe);
    if (t->pipe) pipeline_close(t->pipe);
    *t = (Tokenizer){0};
}

/* ---- ids and text ---- */

BpeText tokenizer_encode(const Tokenizer *t, Arena *a, const char *text, size_t len, bool special_in_text)
{
    return pipeline_encode(t->pipe, a, text, len, special_in_text);
}

/* A SentencePiece model of the library's drops its control pieces; other added tokens are spelt out. */
static Bytes decode_library(const Tokenizer *t, Arena *a, const int32_t *id, int64_t n)
{
    int32_t *own = NEW(a, int32_t, n + 1);
    Buf b = buf_open(a);
    int64_t kept = 0;
    for (int64_t i = 0; i <= n; i++) {
        int32_t one = i == n ? -1 : t->shift && id[i] == 3 ? spm_specials(t->spm).unk : id[i] - t->shift;
        bool fairseq = t->shift && i < n && id[i] < 3; /* <s>, <pad>, </s>, which no piece stands for */
        if (one >= 0 && one < spm_size(t->spm) && !fairseq) {
            own[kept++] = one;
            continue;
        }
        const Special *s = i < n && !fairseq ? special_of(t->pipe->added, id[i]) : NULL;
        if (i < n && !s) continue; /* an id that stands for nothing */
        size_t part;
        char *text = spm_decode(t->spm, a, own, kept, &part);
        buf_add(&b, text, part);
        if (s) buf_add(&b, s->text, s->len);
        kept = 0;
    }
    return (Bytes){b.text ? b.text : str_copy(a, "", 0), b.len};
}

static Bytes decoded(const Tokenizer *t, Arena *a, const int32_t *id, int64_t n)
{
    return t->spm && t->spm->library ? decode_library(t, a, id, n) : pipeline_decode(t->pipe, a, id, n);
}

char *tokenizer_bytes(const Tokenizer *t, Arena *a, const int32_t *id, int64_t n, size_t *len)
{
    Bytes x = decoded(t, a, id, n);
    if (len) *len = x.len;
    return x.text;
}

char *tokenizer_decode(const Tokenizer *t, Arena *a, const int32_t *id, int64_t n, size_t *len)
{
    Bytes x = decoder_valid(a, decoded(t, a, id, n));
    if (t->clean_up) x = decoder_clean(a, x, false);
    if (len) *len = x.len;
    return str_copy(a, x.text, x.len);
}

Status tokenizer_no_special(const Tokenizer *t, const char *text, size_t len)
{
    size_t at[2] = {0};
    const Special *s[2];
    for (int k = 0; k < 2; k++) s[k] = special_search(t->pipe->added, SPECIAL_ONLY, k, text, 0, len, &at[k]);
    int first = s[0] && (!s[1] || at[0] <= at[1]) ? 0 : 1;
    return s[first]
               ? err_fail(E_CONFIG, "byte %zu of the text begins the special token %s; special tokens are refused",
                          at[first], s[first]->text)
               : OK;
}

Status tokenizer_read(BpeText *out, const Tokenizer *t, Arena *a, const char *text, size_t len, Spelt how)
{
    if (how == SPELT_REFUSED) TRY(tokenizer_no_special(t, text, len));
    *out = tokenizer_encode(t, a, text, len, how == SPELT_TOKENS);
    return OK;
}

/* ---- around texts ---- */

int32_t tokenizer_language(const Tokenizer *t, const char *language)
{
    for (int i = 0; t->shift && language && t->languages[i]; i++)
        if (!strcmp(t->languages[i], language)) return (int32_t)tokenizer_size(t) + i;
    return -1;
}

static Status unknown_language(const Tokenizer *t, const char *language)
{
    char names[128] = "";
    for (int i = 0; t->languages[i]; i++) {
        size_t n = strlen(names);
        snprintf(names + n, sizeof names - n, "%s%s", !i ? "" : t->languages[i + 1] ? ", " : " or ", t->languages[i]);
    }
    return err_fail(E_CONFIG, "the text's language is %s, expected %s", language, names);
}

Status tokenizer_wrap(BpeText *out, const Tokenizer *t, Arena *a, const BpeText *x, const BpeText *y,
                      const char *language, Limit limit)
{
    TokenFrame f = y ? t->pair : t->single;
    if (t->shift && !language) language = t->language;
    int32_t code = tokenizer_language(t, language);
    if (t->shift && language && code < 0) return unknown_language(t, language);
    int last = y ? 2 : 1;
    if (code >= 0) f.id[last][f.n[last]++] = code;
    return frame_put(out, a, &f, x, y, limit);
}

int32_t *tokenizer_types(const Tokenizer *t, Arena *a, const BpeText *x)
{
    if (!t->typed || !x->second) return NULL;
    int32_t *type = arena_take(a, sizeof *type * (size_t)x->n);
    memcpy(type, x->type, sizeof *type * (size_t)x->n);
    return type;
}

Status tokenizer_source(BpeText *out, const Tokenizer *t, Arena *a, const char *text, size_t len,
                        const char *language, int64_t most)
{
    BpeText x = tokenizer_encode(t, a, text, len, false);
    return tokenizer_wrap(out, t, a, &x, NULL, language, (Limit){.most = most});
}

/* ---- questions ---- */

const Specials *tokenizer_specials(const Tokenizer *t)
{
    return t->pipe->added;
}

const char *tokenizer_piece(const Tokenizer *t, int32_t id)
{
    return pipeline_piece(t->pipe, id);
}

int32_t tokenizer_find(const Tokenizer *t, const char *piece)
{
    return pipeline_find(t->pipe, piece);
}

void tokenizer_remember(const Tokenizer *t, bool words)
{
    pipeline_remember(t->pipe, words);
}

int32_t tokenizer_mask(const Tokenizer *t)
{
    return t->named[NAME_MASK];
}

bool tokenizer_is_special(const Tokenizer *t, int32_t id)
{
    const Special *s = special_of(t->pipe->added, id);
    return s && s->special;
}

int64_t tokenizer_size(const Tokenizer *t)
{
    return pipeline_size(t->pipe);
}

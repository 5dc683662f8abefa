/* Which kind a directory holds is told by its files' names. */
#include "text/tokenizer.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/hub.h"
#include "base/str.h"

static const char *const FAIRSEQ[] = {"<s>", "<pad>", "</s>", "<unk>"};
enum { FAIRSEQ_UNK = 3 };

static Status open_spm(Tokenizer *t, Arena *a, const char *path)
{
    TRY(spm_open(&t->spm, a, path));
    t->kind = spm_kind(t->spm) == SPM_BPE ? "SentencePiece BPE" : "SentencePiece unigram";
    t->shift = str_glob("*sentencepiece.bpe.model", path);
    return OK;
}

static Status open_dir(Tokenizer *t, Arena *a, const char *dir)
{
    static const char *const models[] = {"spiece.model", "sentencepiece.bpe.model", "tokenizer.model"};
    for (int i = 0; i < 3; i++) {
        const char *path = str_print(a, "%s/%s", dir, models[i]);
        if (!access(path, F_OK)) return open_spm(t, a, path);
    }
    t->kind = "byte-level BPE";
    return bpe_open(&t->bpe, a, dir);
}

Status tokenizer_open(Tokenizer *t, Arena *a, const char *path)
{
    *t = (Tokenizer){0};
    TRY(hub_find(&path, a, path));
    struct stat st;
    if (!stat(path, &st) && S_ISDIR(st.st_mode)) return open_dir(t, a, path);
    if (str_glob("*.model", path)) return open_spm(t, a, path);
    t->kind = "byte-level BPE";
    return bpe_load_json(&t->bpe, a, path);
}

void tokenizer_close(Tokenizer *t)
{
    if (t->bpe) bpe_close(t->bpe);
    *t = (Tokenizer){0};
}

static int32_t shifted(const Tokenizer *t, int32_t id)
{
    return !t->shift ? id : id == spm_specials(t->spm).unk ? FAIRSEQ_UNK : id + t->shift;
}

static int32_t unshifted(const Tokenizer *t, int32_t id)
{
    return !t->shift ? id : id == FAIRSEQ_UNK ? spm_specials(t->spm).unk : id - t->shift;
}

BpeText tokenizer_encode(const Tokenizer *t, Arena *a, const char *text, size_t len, bool special_in_text)
{
    if (t->bpe) return bpe_encode(t->bpe, a, text, len, special_in_text);
    BpeText x = spm_encode(t->spm, a, text, len);
    for (int64_t i = 0; i < x.n; i++) x.id[i] = shifted(t, x.id[i]);
    return x;
}

char *tokenizer_decode(const Tokenizer *t, Arena *a, const int32_t *id, int64_t n, size_t *len)
{
    if (t->bpe) return bpe_decode(t->bpe, a, id, n, false, len);
    int32_t *own = NEW(a, int32_t, n + 1);
    int64_t kept = 0;
    for (int64_t i = 0; i < n; i++)
        if (!t->shift || id[i] >= FAIRSEQ_UNK) own[kept++] = unshifted(t, id[i]);
    return spm_decode(t->spm, a, own, kept, len);
}

static const char *const LANGUAGES[] = {"java", "python", "en_XX"}; /* PLBART's, behind the pieces in this order */

int32_t tokenizer_language(const Tokenizer *t, const char *language)
{
    for (int i = 0; t->shift && language && i < 3; i++)
        if (!strcmp(LANGUAGES[i], language)) return (int32_t)tokenizer_size(t) + i;
    return -1;
}

Status tokenizer_source(BpeText *out, const Tokenizer *t, Arena *a, const char *text, size_t len,
                        const char *language, int64_t most)
{
    BpeText x = tokenizer_encode(t, a, text, len, false);
    if (t->bpe) {
        *out = bpe_wrap(t->bpe, a, &x, NULL, most);
        return OK;
    }
    int32_t code = tokenizer_language(t, language);
    if (t->shift && code < 0)
        return fail(E_CONFIG, "the text's language is %s; this model knows java, python and en_XX",
                    language ? language : "not given");
    int64_t extra = t->shift ? 2 : 1;
    if (most > extra && x.n > most - extra) x.n = most - extra;
    *out = (BpeText){0, NEW(a, int32_t, x.n + 2), NEW(a, int64_t, x.n + 2), NEW(a, int64_t, x.n + 2)};
    for (; out->n < x.n; out->n++)
        out->id[out->n] = x.id[out->n], out->begin[out->n] = x.begin[out->n], out->end[out->n] = x.end[out->n];
    for (int64_t i = 0; i < extra; i++, out->n++) {
        out->id[out->n] = i ? code : shifted(t, spm_specials(t->spm).eos);
        out->begin[out->n] = out->end[out->n] = -1;
    }
    return OK;
}

const char *tokenizer_piece(const Tokenizer *t, int32_t id)
{
    if (t->bpe) return id >= 0 && id < bpe_size(t->bpe) ? bpe_piece(t->bpe, id) : NULL;
    if (t->shift && id >= 0 && id <= FAIRSEQ_UNK) return FAIRSEQ[id];
    return spm_piece(t->spm, unshifted(t, id));
}

int64_t tokenizer_size(const Tokenizer *t)
{
    return t->bpe ? bpe_size(t->bpe) : spm_size(t->spm) + t->shift;
}

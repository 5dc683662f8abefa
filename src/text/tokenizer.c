/* Which kind a directory holds is told by its files' names. */
#include "text/tokenizer.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

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

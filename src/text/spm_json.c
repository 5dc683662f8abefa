/* The Unigram model of a tokenizer.json: a list of pieces and scores. */
#include <math.h>
#include <string.h>

#include "base/str.h"
#include "text/spm_model.h"

static Status put_piece(Spm *s, Arena *a, int64_t id, const char *text, double score, const char *path)
{
    if (!*text) return err_fail(E_FORMAT, "%s: model.vocab: id %lld has an empty piece", path, (long long)id);
    if (!isfinite(score))
        return err_fail(E_FORMAT, "%s: model.vocab: the score of \"%s\" is not finite", path, document_shown(text));
    bool is_byte = s->byte_fallback && spm_byte(text) >= 0;
    s->piece[id] =
        (Piece){str_copy(a, text, strlen(text)), (int32_t)strlen(text), score, is_byte ? PIECE_BYTE : PIECE_NORMAL};
    return OK;
}

static Status read_pieces(Spm *s, Arena *a, const cJSON *vocab, const char *path)
{
    const cJSON *v;
    if (!cJSON_IsArray(vocab)) return document_refuse(path, "model.vocab", vocab, "a list of [piece, score]");
    int32_t n = cJSON_GetArraySize(vocab), id = 0;
    if (n > MOST_IDS) return err_fail(E_FORMAT, "%s: model.vocab has %d pieces", path, n);
    s->piece = NEW(a, Piece, n + 1);
    s->n = n;
    cJSON_ArrayForEach(v, vocab)
    {
        const cJSON *text = v->child, *score = text ? text->next : NULL;
        if (!cJSON_IsString(text) || !cJSON_IsNumber(score) || score->next)
            return document_refuse(path, "model.vocab: an entry", v, "[piece, score]");
        TRY(put_piece(s, a, id++, text->valuestring, score->valuedouble, path));
    }
    return OK;
}

Status spm_read_unigram(Spm **out, Arena *a, const cJSON *model, const char *path)
{
    Spm *s = NEW(a, Spm, 1);
    const cJSON *unk = document_member(model, "unk_id");
    s->special = (SpmSpecials){-1, -1, -1, -1};
    s->kind = SPM_UNIGRAM;
    s->escape = true;
    s->byte_fallback = document_member_true(model, "byte_fallback");
    TRY(read_pieces(s, a, document_member(model, "vocab"), path));
    if (!document_is_id(unk) || unk->valueint >= s->n)
        return document_refuse(path, "model.unk_id", unk, "the id of a piece");
    s->piece[unk->valueint].type = PIECE_UNKNOWN;
    *out = s;
    return OK;
}

/* The library's own file: a protocol buffer of which three wire types suffice; unknown fields are skipped. */
#include "text/spm_model.h"

#include <math.h>
#include <string.h>

#include "base/str.h"

enum { PIECES_MAX = 1 << 22, PIECE_BYTES_MAX = 4096 };

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
    return err_fail(E_FORMAT, "%s: byte %zu: %s; this is no SentencePiece model", w->path, w->at, what);
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
            float score;
            memcpy(&score, &bits, sizeof bits);
            p->score = (double)score;
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
        return err_fail(E_FORMAT, "%s: the model is neither unigram nor BPE", w.path);
    return OK;
}

static Status read_normaliser(Wire w, Arena *a, Spm *s)
{
    Field f;
    while (w.at < w.end) {
        TRY(next(&w, &f));
        if (f.field == 2 && f.type == 2)
            TRY(charmap_read(&s->map, a, w.bytes + f.inside.at, f.inside.end - f.inside.at, w.path));
        if (f.type != 0) continue;
        if (f.field == 3) s->dummy_prefix = f.whole;
        if (f.field == 4) s->squeeze = f.whole;
        if (f.field == 5) s->escape = f.whole;
    }
    return OK;
}

static Status count_pieces(Wire w, int32_t *n)
{
    Field f;
    while (w.at < w.end) {
        TRY(next(&w, &f));
        if (f.field != 1 || f.type != 2) continue;
        if (++*n > PIECES_MAX) return broken(&w, "more than four million pieces");
    }
    return *n ? OK : broken(&w, "it has no pieces");
}

static Status read_model(Spm *s, Arena *a, Wire w)
{
    Field f;
    int32_t n = 0;
    TRY(count_pieces(w, &n));
    s->piece = NEW(a, Piece, n);
    s->kind = SPM_UNIGRAM, s->dummy_prefix = s->squeeze = s->escape = true;
    s->special = (SpmSpecials){0, 1, 2, -1};
    s->library = true;
    while (w.at < w.end) {
        TRY(next(&w, &f));
        if (f.type != 2) continue;
        if (f.field == 1) TRY(read_piece(f.inside, a, &s->piece[s->n++]));
        if (f.field == 2) TRY(read_trainer(f.inside, s));
        if (f.field == 3) TRY(read_normaliser(f.inside, a, s));
    }
    return spm_index(s, a, w.path);
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

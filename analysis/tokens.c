/* Labels are the bytes of a token, so that blanks and line ends can be shown as signs; special tokens are labelled
 * as in the vocabulary. */
#include "analysis/tokens.h"

#include <string.h>

#include "base/str.h"
#include "change/change.h"

Status tokens_open(Tokenizer **out, Arena *a, const char *dir)
{
    *out = NULL;
    if (!tokenizer_there(dir)) return OK;
    Tokenizer *t = NEW(a, Tokenizer, 1);
    TRY(tokenizer_open(t, a, dir));
    *out = t;
    return OK;
}

/* A SentencePiece token with its blanks, which decoding it alone would drop in front. */
static const char *spaced(Arena *a, const char *piece)
{
    Buf b = buf_open(a);
    for (const char *c = piece; *c;) {
        bool space = !strncmp(c, "\xe2\x96\x81", 3);
        buf_add(&b, space ? " " : c, 1);
        c += space ? 3 : 1;
    }
    return b.text;
}

/* Tokens with their text as labels, or their ids where there is no tokenizer. */
static Tokens labelled(Arena *a, const Tokenizer *k, const int32_t *id, int64_t n)
{
    Tokens t = {n, NEW(a, int32_t, n), NEW(a, const char *, n), NEW(a, const char *, n)};
    bool *special = NEW(a, bool, n);
    t.special = k ? special : NULL;
    for (int64_t i = 0; i < n; i++) {
        size_t len;
        t.id[i] = id[i];
        special[i] = k && tokenizer_is_special(k, id[i]);
        t.piece[i] = k ? tokenizer_piece(k, id[i]) : NULL;
        if (!t.piece[i])
            t.label[i] = t.piece[i] = str_print(a, "%d", id[i]);
        else if (special[i])
            t.label[i] = t.piece[i];
        else
            t.label[i] = k->bpe ? tokenizer_decode(k, a, &id[i], 1, &len) : spaced(a, t.piece[i]);
    }
    return t;
}

Status tokens_of_text(Tokens *out, Arena *a, const Tokenizer *k, const char *option, const char *text,
                      const char *language)
{
    BpeText t;
    if (!*text) return err_fail(E_CONFIG, "--%s is empty", option);
    TRY(tokenizer_source(&t, k, a, text, strlen(text), language, 0));
    *out = labelled(a, k, t.id, t.n);
    out->text = text, out->len = strlen(text);
    out->begin = t.begin, out->end = t.end;
    return OK;
}

static bool is_mark(const char *piece)
{
    for (int k = 0; k < LINE_KINDS; k++)
        if (!strcmp(piece, LINE_MARK[k])) return true;
    return false;
}

/* The text of the ids, for functions that need a text.  Tags of changes are text even where they are special. */
static void spell(Tokens *t, Arena *a)
{
    Buf b = buf_open(a);
    t->begin = NEW(a, int64_t, t->n), t->end = NEW(a, int64_t, t->n);
    for (int64_t i = 0; i < t->n; i++) {
        bool frame = t->special[i] && !is_mark(t->piece[i]);
        t->begin[i] = frame ? -1 : (int64_t)b.len;
        if (!frame) buf_add(&b, t->label[i], strlen(t->label[i]));
        t->end[i] = frame ? -1 : (int64_t)b.len;
    }
    t->text = b.text ? b.text : "", t->len = b.len;
}

/* Parses a list of token ids and labels them. E_CONFIG: not a list of ids. */
Status tokens_of_ids(Tokens *out, Arena *a, const Tokenizer *k, const char *option, const char *list)
{
    int64_t n = 0, value;
    int32_t *id = NEW(a, int32_t, strlen(list) + 1);
    size_t len;
    for (const char *rest = list, *s; str_next(&rest, ", ", &s, &len);) {
        if (!len) continue;
        const char *word = str_copy(a, s, len);
        if (!str_int(word, &value) || value < 0 || value > INT32_MAX)
            return err_fail(E_CONFIG, "--%s: \"%s\" is not a token id; expected a list such as 1,2,3", option, word);
        id[n++] = (int32_t)value;
    }
    if (!n) return err_fail(E_CONFIG, "--%s is empty; expected a list such as 1,2,3", option);
    *out = labelled(a, k, id, n);
    if (k) spell(out, a);
    return OK;
}

Status tokens_check(const Tokens *t, const Model *m, Part part, const char *option)
{
    int64_t most = config_room(&m->config);
    if (most && t->n > most)
        return err_fail(E_CONFIG, "--%s has %lld tokens; the %s has positions for %lld", option, (long long)t->n,
                        part == PART_ENCODER ? "encoder" : "decoder", (long long)most);
    for (int64_t i = 0; i < t->n; i++)
        if (t->id[i] >= m->config.vocab)
            return err_fail(E_MISMATCH, "--%s: token %lld is id %d; the model's vocabulary ends at %d", option,
                            (long long)i, t->id[i], m->config.vocab - 1);
    return OK;
}

Tokens tokens_shifted(Arena *a, const Tokens *t, const Config *c, const Tokenizer *k)
{
    int32_t *id = NEW(a, int32_t, t->n);
    batch_shift_right(id, c, t->id, 1, t->n);
    Tokens out = labelled(a, k, id, t->n);
    if (!t->text) return out;
    out.text = t->text, out.len = t->len;
    out.begin = NEW(a, int64_t, t->n), out.end = NEW(a, int64_t, t->n);
    for (int64_t i = 0; i < t->n; i++) {
        out.begin[i] = i ? t->begin[i - 1] : -1;
        out.end[i] = i ? t->end[i - 1] : -1;
    }
    return out;
}

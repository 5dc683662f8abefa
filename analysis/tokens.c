/* Labels are the bytes a token stands for, so that blanks and line ends can be shown as signs; special tokens are
 * spelt as the vocabulary spells them. */
#include "analysis/tokens.h"

#include <string.h>
#include <unistd.h>

#include "base/str.h"

Status tokens_open(Bpe **out, Arena *a, const char *dir)
{
    bool pair =
        !access(str_print(a, "%s/vocab.json", dir), F_OK) && !access(str_print(a, "%s/merges.txt", dir), F_OK);
    *out = NULL;
    if (!pair && access(str_print(a, "%s/tokenizer.json", dir), F_OK) != 0) return OK;
    return bpe_open(out, a, dir);
}

static Tokens labelled(Arena *a, const Bpe *b, const int32_t *id, int64_t n)
{
    Tokens t = {n, NEW(a, int32_t, n), NEW(a, const char *, n), NEW(a, const char *, n)};
    for (int64_t i = 0; i < n; i++) {
        size_t len;
        t.id[i] = id[i];
        t.piece[i] = b && id[i] < bpe_size(b) ? bpe_piece(b, id[i]) : NULL;
        if (!t.piece[i])
            t.label[i] = t.piece[i] = str_print(a, "%d", id[i]);
        else
            t.label[i] = bpe_is_special(b, id[i]) ? t.piece[i] : bpe_decode(b, a, &id[i], 1, false, &len);
    }
    return t;
}

Status tokens_of_text(Tokens *out, Arena *a, Bpe *b, const char *option, const char *text)
{
    if (!*text) return fail(E_CONFIG, "--%s is empty", option);
    BpeText t = bpe_encode(b, a, text, strlen(text), false);
    BpeSpecials s = bpe_specials(b);
    if (s.bos >= 0 && s.eos >= 0 && s.bos != s.eos) t = bpe_wrap(b, a, &t, NULL, 0);
    *out = labelled(a, b, t.id, t.n);
    return OK;
}

Status tokens_of_ids(Tokens *out, Arena *a, const Bpe *b, const char *option, const char *list)
{
    int64_t n = 0, value;
    int32_t *id = NEW(a, int32_t, strlen(list) + 1);
    for (const char *s = list; *s;) {
        size_t len = strcspn(s, ", ");
        if (len) {
            const char *word = str_copy(a, s, len);
            if (!str_int(word, &value) || value < 0 || value > INT32_MAX)
                return fail(E_CONFIG, "--%s: \"%s\" is not a token id; expected a list such as 1,2,3", option, word);
            id[n++] = (int32_t)value;
        }
        s += len + (s[len] != 0);
    }
    if (!n) return fail(E_CONFIG, "--%s is empty; expected a list such as 1,2,3", option);
    *out = labelled(a, b, id, n);
    return OK;
}

/* How many tokens the part has positions for; 0: any number. */
static int64_t positions(const Model *m)
{
    const Config *c = &m->config;
    if (!strcmp(m->arch->name, "roberta")) return c->positions - c->pad - 1; /* they begin at pad + 1 */
    return strcmp(m->arch->name, "t5") != 0 ? c->positions : 0;
}

Status tokens_check(const Tokens *t, const Model *m, Part part, const char *option)
{
    int64_t most = positions(m);
    if (most && t->n > most)
        return fail(E_CONFIG, "--%s has %lld tokens; the %s has positions for %lld", option, (long long)t->n,
                    part == PART_ENCODER ? "encoder" : "decoder", (long long)most);
    for (int64_t i = 0; i < t->n; i++)
        if (t->id[i] >= m->config.vocab)
            return fail(E_MISMATCH, "--%s: token %lld is id %d; the model's vocabulary ends at %d", option,
                        (long long)i, t->id[i], m->config.vocab - 1);
    return OK;
}

Tokens tokens_shifted(Arena *a, const Tokens *t, const Config *c, const Bpe *b)
{
    int32_t *id = NEW(a, int32_t, t->n);
    shift_tokens_right(id, c, t->id, 1, t->n);
    return labelled(a, b, id, t->n);
}

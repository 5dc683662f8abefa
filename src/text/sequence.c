/* White space is collapsed before a text is encoded, and only so much of a text is encoded as can still fit. */
#include "text/sequence.h"

#include <ctype.h>
#include <string.h>

Sequence sequence_open(Arena *a, const Tokenizer *t, int64_t room)
{
    Sequence s = {.arena = a, .tokenizer = t, .text = text_new(a, room), .room = room};
    s.text.n = 0;
    return s;
}

/* One blank for each run of white space, none at the ends. */
static const char *collapsed(Arena *a, const char *s, size_t n, size_t *len)
{
    char *out = arena_take(a, n + 1);
    size_t k = 0;
    for (size_t i = 0; i < n; i++) {
        bool space = isspace((unsigned char)s[i]) != 0;
        if (!space)
            out[k++] = s[i];
        else if (k && out[k - 1] != ' ')
            out[k++] = ' ';
    }
    while (k && out[k - 1] == ' ') k--;
    out[k] = 0;
    *len = k;
    return out;
}

static void put(Sequence *s, const int32_t *id, int64_t n, int64_t most)
{
    for (int64_t i = 0; i < n && i < most && s->text.n < s->room; i++) {
        s->text.begin[s->text.n] = s->text.n, s->text.end[s->text.n] = s->text.n + 1;
        s->text.id[s->text.n++] = id[i];
    }
}

/* A token stands for at least a byte, or nearly: text far behind the room left cannot count. */
void sequence_add(Sequence *s, const char *text, size_t len, int64_t most)
{
    enum { BYTES_A_TOKEN = 64 };
    size_t n, reach = (size_t)(most < s->room - s->text.n ? most : s->room - s->text.n) * BYTES_A_TOKEN;
    const char *clean = collapsed(s->arena, text, len < reach ? len : reach, &n);
    BpeText t = tokenizer_encode(s->tokenizer, s->arena, clean, n, false);
    put(s, t.id, t.n, most);
}

void sequence_mark(Sequence *s, int32_t id, const char *text)
{
    if (id >= 0)
        put(s, &id, 1, 1);
    else
        sequence_add(s, text, strlen(text), s->room);
}

int32_t sequence_free_id(const Tokenizer *t)
{
    const Specials *special = tokenizer_specials(t);
    int64_t id = tokenizer_size(t);
    for (int64_t i = 0; i < special->n; i++)
        if (special->at[i].id >= id) id = special->at[i].id + 1;
    return (int32_t)id;
}

Status sequence_fits(const int32_t *id, int64_t n, int vocab)
{
    for (int64_t i = 0; i < n; i++)
        if (id[i] < 0 || id[i] >= vocab)
            return err_fail(E_MISMATCH, "the tokenizer gives token %d, but the model's table has %d rows", id[i],
                            vocab);
    return OK;
}

Status sequence_language(const Tokenizer *t, const char *language)
{
    if (!t->languages || !*t->languages || language || t->language) return OK;
    return err_fail(E_CONFIG, "the model's texts name their language (%s, ...), and --language names none",
                    t->languages[0]);
}

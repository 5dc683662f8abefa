/* The user's texts as examples: cut to a length, or in windows. */
#include <string.h>

#include "tasks/own.h"
#include "text/sequence.h"

typedef struct {
    OwnTexts *out;
    Arena *arena, *scratch;
    const OwnSet *set;
    const Tokenizer *tokenizer;
    const OwnPlan *plan;
    int vocab;
    const int32_t **ids;
    int32_t *len;
    int64_t room, type_room, of_room, share_room, len_room;
} Encoding;

static BpeText encode(const Encoding *e, Bytes text)
{
    return tokenizer_encode(e->tokenizer, e->scratch, text.text, text.len, true);
}

/* One example of the row, with the special tokens around it. */
static Status add(Encoding *e, int64_t row, const BpeText *first, const BpeText *second, double share)
{
    BpeText x;
    OwnTexts *o = e->out;
    TRY(tokenizer_wrap(&x, e->tokenizer, e->scratch, first, second, e->plan->language,
                       (Limit){.most = e->plan->length}));
    TRY(sequence_fits(x.id, x.n, e->vocab));
    int64_t n = o->x.n;
    GROW(e->arena, e->ids, n, e->room, 256);
    GROW(e->arena, e->len, n, e->len_room, 256);
    GROW(e->arena, o->type, n, e->type_room, 256);
    GROW(e->arena, o->of, n, e->of_room, 256);
    GROW(e->arena, o->share, n, e->share_room, 256);
    int32_t *id = NEW(e->arena, int32_t, x.n);
    memcpy(id, x.id, sizeof *id * (size_t)x.n);
    e->ids[n] = id, e->len[n] = (int32_t)x.n;
    o->type[n] = tokenizer_types(e->tokenizer, e->arena, &x);
    o->of[n] = (int32_t)row, o->share[n] = share;
    o->x.n++;
    return OK;
}

static int64_t frame_size(const TokenFrame *f)
{
    return f->n[0] + f->n[1];
}

/* Windows of `room` tokens that overlap by a quarter; the last one ends with the text. */
static Status add_windows(Encoding *e, int64_t row, const BpeText *x, int64_t room)
{
    int64_t step = room - room / 4, windows = 1 + (x->n - room + step - 1) / step;
    for (int64_t w = 0; w < windows; w++) {
        int64_t first = w < windows - 1 ? w * step : x->n - room;
        BpeText part = text_new(e->scratch, room);
        text_put(&part, 0, x, first, room);
        TRY(add(e, row, &part, NULL, 1.0 / (double)windows));
    }
    return OK;
}

static Status add_row(Encoding *e, int64_t i)
{
    OwnTexts *o = e->out;
    BpeText first = encode(e, e->set->text[i]), second = {0};
    const TokenFrame *f = e->set->pair ? &e->tokenizer->pair : &e->tokenizer->single;
    int64_t room = e->plan->length - frame_size(f) - (e->plan->language != NULL), n = first.n;
    if (e->set->pair) {
        second = encode(e, e->set->pair[i]);
        n += second.n, room -= f->n[2];
    }
    o->tokens += n, o->rows++;
    o->cut += n > room;
    if (n > room && e->plan->window) return add_windows(e, i, &first, room);
    if (n > room) o->lost += n - room;
    return add(e, i, &first, e->set->pair ? &second : NULL, 1);
}

Status own_tokens(OwnTexts *out, Arena *a, const OwnSet *s, const Tokenizer *t, const OwnPlan *p, int vocab)
{
    *out = (OwnTexts){0};
    Arena scratch = arena_open(0);
    Encoding e = {.out = out, .arena = a, .scratch = &scratch, .set = s, .tokenizer = t, .plan = p, .vocab = vocab};
    Status status = OK;
    for (int64_t i = 0; !status && i < s->n; i++) {
        ArenaMark mark = arena_mark(&scratch);
        status = add_row(&e, i);
        arena_drop(&scratch, mark);
    }
    arena_close(&scratch);
    out->x.ids = e.ids, out->x.len = e.len;
    return status;
}

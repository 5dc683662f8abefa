/* A frame lists the special tokens around one text or two; here the texts are cut to the length that they leave, and
 * all is put in order. */
#include "text/frame.h"

#include <string.h>

#include "base/str.h"

BpeText text_new(Arena *a, int64_t n)
{
    size_t room = (size_t)n;
    return (BpeText){.n = n,
                     .id = arena_take(a, sizeof(int32_t) * room),
                     .begin = arena_take(a, sizeof(int64_t) * room),
                     .end = arena_take(a, sizeof(int64_t) * room)};
}

void text_put(BpeText *to, int64_t at, const BpeText *from, int64_t first, int64_t n)
{
    if (n == 0) return;
    memcpy(to->id + at, from->id + first, sizeof *to->id * (size_t)n);
    memcpy(to->begin + at, from->begin + first, sizeof *to->begin * (size_t)n);
    memcpy(to->end + at, from->end + first, sizeof *to->end * (size_t)n);
}

/* How many ids of each text remain when `excess` have to go. */
static Status shorten(int64_t *n, int64_t *m, int64_t excess, Cut how)
{
    if (excess <= 0) return OK;
    if (how != CUT_LONGEST) {
        int64_t *one = how == CUT_FIRST ? n : m;
        if (*one < excess)
            return err_fail(E_CONFIG, "the %s text has %lld %s, and %lld would have to go",
                            how == CUT_FIRST ? "first" : "second", (long long)*one, str_plural(*one, "id", "ids"),
                            (long long)excess);
        *one -= excess;
        return OK;
    }
    int64_t gap = *n > *m ? *n - *m : *m - *n, cut = excess < gap ? excess : gap;
    *(*n > *m ? n : m) -= cut;
    *m -= (excess - cut + 1) / 2;
    *n -= (excess - cut) / 2;
    return OK;
}

static void put_part(BpeText *t, const TokenFrame *f, int part)
{
    for (int i = 0; i < f->n[part]; i++, t->n++) {
        t->id[t->n] = f->id[part][i];
        t->type[t->n] = f->type[part][i];
        t->begin[t->n] = t->end[t->n] = -1;
    }
}

static void put_text(BpeText *t, const BpeText *from, int64_t n, bool left, int32_t type)
{
    for (int64_t i = 0; i < n; i++) t->type[t->n + i] = type;
    text_put(t, t->n, from, left ? from->n - n : 0, n);
    t->n += n;
}

Status frame_put(BpeText *out, Arena *arena, const TokenFrame *f, const BpeText *a, const BpeText *b, Limit limit)
{
    int64_t around = f->n[0] + f->n[1] + (b ? f->n[2] : 0), n = a->n, m = b ? b->n : 0;
    if (limit.most && limit.most < around)
        return err_fail(E_CONFIG, "%lld %s not hold the %lld that go around a text", (long long)limit.most,
                        str_plural(limit.most, "id does", "ids do"), (long long)around);
    TRY(shorten(&n, &m, limit.most ? n + m + around - limit.most : 0, b ? limit.cut : CUT_FIRST));
    BpeText t = text_new(arena, n + m + around);
    t.n = 0;
    t.type = arena_take(arena, sizeof(int32_t) * (size_t)(n + m + around));
    put_part(&t, f, 0);
    put_text(&t, a, n, limit.left, f->text_type[0]);
    put_part(&t, f, 1);
    if (b) {
        t.second = t.n;
        put_text(&t, b, m, limit.left, f->text_type[1]);
        put_part(&t, f, 2);
    }
    *out = t;
    return OK;
}

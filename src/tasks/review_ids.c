/* Sources and targets of the objectives.  Every source is cut to its length less two and framed; every target is cut
 * to its length less one and ended, and has no begin token. */
#include <string.h>

#include "base/rng.h"
#include "base/str.h"
#include "tasks/review.h"
#include "text/unicode.h"

const char *const REVIEW_OBJECTIVE[REVIEW_OBJECTIVE_COUNT] = {
#define X(name, says) says,
    REVIEW_OBJECTIVES(X)
#undef X
};

static double draw(ReviewDraws *d)
{
    uint64_t i = d->n++;
    return d->given ? d->given[i] : rng_uniform(d->stream, i);
}

static int64_t draw_below(ReviewDraws *d, int64_t n)
{
    int64_t i = (int64_t)(draw(d) * (double)n);
    return i < n ? i : n - 1;
}

/* ---- sequences */

typedef struct { /* tokens beyond the limit are left out */
    int32_t *id, *tag, n, most;
} Ids;

static Ids ids_open(Arena *a, int most)
{
    return (Ids){.id = NEW(a, int32_t, most), .tag = NEW(a, int32_t, most), .most = most};
}

static void put_tagged(Ids *x, int32_t id, int32_t tag)
{
    if (x->n == x->most) return;
    x->id[x->n] = id;
    x->tag[x->n++] = tag;
}

static void put(Ids *x, int32_t id)
{
    put_tagged(x, id, -1);
}

static void put_all(Ids *x, const int32_t *id, int64_t n)
{
    for (int64_t i = 0; i < n; i++) put(x, id[i]);
}

static Ids open_source(Arena *a, const ReviewPlan *p)
{
    Ids x = ids_open(a, p->source);
    put(&x, p->bos);
    x.most--;
    return x;
}

static Ids open_target(Arena *a, const ReviewPlan *p)
{
    Ids x = ids_open(a, p->target);
    x.most--;
    return x;
}

static void end(Ids *x, const ReviewPlan *p)
{
    x->most++;
    put(x, p->eos);
}

static ReviewExample ended(Ids *source, Ids *target, const ReviewPlan *p)
{
    end(source, p), end(target, p);
    return (ReviewExample){.source = source->id, .target = target->id, .n_source = source->n, .n_target = target->n};
}

/* ---- the change */

typedef struct {
    const uint8_t *hidden; /* (n) lines that a sentinel stands for, or NULL */
    bool mask_tags;
    bool skip_added; /* added lines go to the target, each with its tag, and the rest of their turn is lost:
                              behind a last one no <end> is written */
} Showing;

static int next_sentinel(int k)
{
    return k + 1 < REVIEW_SENTINELS ? k + 1 : k;
}

static void put_tag(Ids *source, const ReviewPlan *p, int kind, const Showing *how)
{
    if (kind == REVIEW_CONTEXT) return;
    int32_t tag = p->tag[kind];
    put_tagged(source, how->mask_tags ? p->mask : tag, how->mask_tags ? tag : -1);
}

static void put_change(Ids *source, Ids *target, const ReviewLines *l, const ReviewPlan *p, Showing how)
{
    for (int64_t i = 0, k = 0; i < l->n; i++) {
        if (i == l->first) put(source, p->start);
        if (how.skip_added && l->kind[i] == LINE_ADD) {
            put(target, p->tag[LINE_ADD]);
            put_all(target, l->id[i], l->len[i]);
            continue;
        }
        put_tag(source, p, l->kind[i], &how);
        if (how.hidden && how.hidden[i]) {
            put(source, p->sentinel[k]), put(target, p->sentinel[k]);
            put_all(target, l->id[i], l->len[i]);
            k = next_sentinel((int)k);
        } else {
            put_all(source, l->id[i], l->len[i]);
        }
        if (i == l->last) put(source, p->end);
    }
}

/* Of n lines, 15 % drawn with replacement: often fewer, and none where there are fewer than seven. */
static uint8_t *hide_lines(Arena *a, int64_t n, ReviewDraws *d)
{
    uint8_t *hidden = NEW(a, uint8_t, n);
    for (int64_t k = (int64_t)((double)n * 0.15); k > 0; k--) hidden[draw_below(d, n)] = 1;
    return hidden;
}

static void put_message(Ids *x, const ReviewLines *l, const ReviewPlan *p)
{
    put(x, p->msg);
    put_all(x, l->message, l->n_message);
}

/* Each token is hidden with probability 0.2, at least one is; a run of them is one span. */
static void put_spans(Ids *source, Ids *target, Arena *a, const ReviewLines *l, const ReviewPlan *p, ReviewDraws *d)
{
    int32_t n = l->n_message, any = 0;
    uint8_t *hidden = NEW(a, uint8_t, n);
    for (int32_t i = 0; i < n; i++) any += hidden[i] = draw(d) < 0.2;
    if (!any && n) hidden[draw_below(d, n)] = 1;
    for (int32_t i = 0, k = -1; i < n; i++) {
        if (!hidden[i]) {
            put(source, l->message[i]);
            continue;
        }
        if (!i || !hidden[i - 1]) {
            k = next_sentinel(k);
            put(source, p->sentinel[k]), put(target, p->sentinel[k]);
        }
        put(target, l->message[i]);
    }
}

ReviewExample review_example(Arena *a, const ReviewLines *l, const ReviewPlan *p, ReviewObjective o, ReviewDraws *d)
{
    Ids source = open_source(a, p), target = open_target(a, p);
    Showing how = {.mask_tags = o == REVIEW_TAGS, .skip_added = o == REVIEW_NL2PL};
    bool message_alone = o == REVIEW_DENOISE_COMMENT || (o == REVIEW_MLM_MESSAGE && draw(d) < 0.5);
    if (o == REVIEW_DENOISE_LINES || o == REVIEW_MLM_CODE) how.hidden = hide_lines(a, l->n, d);
    if (!message_alone) put_change(&source, &target, l, p, how);
    switch (o) {
    case REVIEW_COMMENT:
    case REVIEW_PL2NL: put_message(&target, l, p); break;
    case REVIEW_MLM_CODE:
    case REVIEW_NL2PL: put_message(&source, l, p); break;
    case REVIEW_DENOISE_COMMENT:
    case REVIEW_MLM_MESSAGE: put_spans(&source, &target, a, l, p, d); break;
    default: break;
    }
    ReviewExample x = ended(&source, &target, p);
    if (o == REVIEW_TAGS) x.tag = source.tag, x.n_target = 0;
    return x;
}

/* ---- fine-tuning */

static bool is_space(uint32_t c)
{
    return unicode_class(c) & UC_SPACE || (c >= 0x1c && c <= 0x1f);
}

/* Without white space at its ends. */
static Bytes trimmed(Bytes x)
{
    size_t n;
    while (x.len && is_space(unicode_next(x.text, x.len, &n))) x = (Bytes){x.text + n, x.len - n};
    while (x.len && is_space(unicode_before(x.text, x.len, &n))) x.len -= n;
    return x;
}

static void put_text(Ids *x, Arena *a, Bytes text, const ReviewPlan *p)
{
    const BpeText t = tokenizer_encode(p->tokenizer, a, text.text, text.len, false);
    put_all(x, t.id, t.n);
}

static Bytes whole(const char *text)
{
    return (Bytes){(char *)text, strlen(text)};
}

/* A line without its first character, which names its kind. */
static Bytes body(const char *line, size_t n)
{
    size_t first = 0;
    if (n) unicode_next(line, n, &first);
    return trimmed((Bytes){(char *)line + first, n - first});
}

static void put_simple(Ids *source, Arena *a, LineKind kind, Bytes text, const ReviewPlan *p)
{
    put(source, p->tag[kind]);
    put_text(source, a, trimmed(text), p);
}

static ReviewExample ended_by_message(Ids *source, Arena *a, Bytes message, const ReviewPlan *p)
{
    Ids target = open_target(a, p);
    put(&target, p->msg);
    put_text(&target, a, message, p);
    return ended(source, &target, p);
}

ReviewExample review_simple(Arena *a, const char *patch, const char *message, const ReviewPlan *p)
{
    Ids source = open_source(a, p);
    const char *line;
    size_t n;
    int64_t from, count, i = 0;
    bool cct5 = p->form == REVIEW_CCT5;
    if (cct5) source.most -= 2;
    for (const char *rest = patch; str_next(&rest, "\n", &line, &n); i++) {
        const Bytes x = {(char *)line, n};
        if (!i && (!cct5 || hunk_header(x, &from, &count))) continue;
        if (!trimmed(x).len) continue;
        LineKind kind = *line == '+' ? LINE_ADD : *line == '-' ? LINE_DEL : LINE_KEEP;
        put_simple(&source, a, kind, body(line, n), p);
    }
    return ended_by_message(&source, a, whole(message), p);
}

ReviewExample review_simple_change(Arena *a, const CodeChange *c, Bytes message, const ReviewPlan *p)
{
    Ids source = open_source(a, p);
    if (p->form == REVIEW_CCT5) source.most -= 2;
    for (int64_t f = 0; f < c->n_files; f++)
        for (int64_t i = 0; i < c->file[f].n && source.n < source.most; i++) {
            const ChangeLine *l = &c->file[f].line[i];
            const Bytes text = {(char *)l->text, l->len};
            if (l->kind != LINE_KEEP || trimmed(text).len) put_simple(&source, a, l->kind, text, p);
        }
    return ended_by_message(&source, a, message, p);
}

/* Every line behind <add>, also those of the old code, as published; at most `most` tokens. */
static Ids refined(Arena *a, const char *text, const ReviewPlan *p, int most)
{
    Ids x = ids_open(a, most);
    const char *line;
    size_t n;
    for (const char *rest = text; str_next(&rest, "\n", &line, &n);) {
        put(&x, p->tag[LINE_ADD]);
        put_text(&x, a, body(line, n), p);
    }
    return x;
}

ReviewExample review_refinement(Arena *a, const char *old, const char *new, const char *comment, const ReviewPlan *p)
{
    enum { LENGTH = 200, PART = LENGTH - 2 };
    const ReviewPlan short_plan = {.source = LENGTH, .bos = p->bos, .eos = p->eos};
    Ids source = open_source(a, &short_plan), target = open_source(a, &short_plan);
    Ids before = refined(a, old, p, PART), after = refined(a, new, p, PART), asked = ids_open(a, PART);
    put_text(&asked, a, whole(comment), p);
    put_all(&source, before.id, before.n);
    put(&source, p->msg);
    put_all(&source, asked.id, asked.n);
    put_all(&target, after.id, after.n);
    return ended(&source, &target, p);
}

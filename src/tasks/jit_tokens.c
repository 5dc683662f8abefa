/* A commit as the tokens that a model reads.  The end is cut, so nothing is encoded that would not be kept. */
#include <string.h>

#include "tasks/jit.h"
#include "text/sequence.h"

JitPlan jit_plan(const Tokenizer *t, int vocab, int positions)
{
    JitPlan p = {.length = positions && positions < 512 ? positions : 512, .message = 64, .add = -1, .del = -1};
    int32_t own = sequence_free_id(t), add = tokenizer_find(t, LINE_MARK[LINE_ADD]);
    if (add >= 0 && tokenizer_find(t, LINE_MARK[LINE_DEL]) >= 0)
        p.add = add, p.del = tokenizer_find(t, LINE_MARK[LINE_DEL]);
    else if (own + 2 <= vocab)
        p.add = own, p.del = own + 1;
    return p;
}

/* Appends all lines of one kind, each after its special token, and records their places while there is room.  CCT5,
 * whose tokens are "<add>" and "<del>", reads no blank lines. */
static void put_lines(Sequence *s, JitLines *lines, const CodeChange *c, LineKind kind, int32_t id, const char *text)
{
    bool any = false, no_blank = id >= 0 && id == tokenizer_find(s->tokenizer, LINE_MARK[kind]);
    for (int64_t f = 0; f < c->n_files; f++)
        for (int64_t l = 0; l < c->file[f].n && s->text.n < s->room; l++) {
            const ChangeLine *line = &c->file[f].line[l];
            if (line->kind != kind) continue;
            if (no_blank && line_blank((Bytes){(char *)line->text, line->len})) continue;
            any = true;
            sequence_mark(s, id, text);
            int64_t from = s->text.n;
            sequence_add(s, line->text, line->len, s->room);
            if (s->text.n == from) continue;
            int64_t i = lines->n++;
            lines->file[i] = f, lines->line[i] = l;
            lines->begin[i] = (int32_t)from, lines->end[i] = (int32_t)s->text.n;
        }
    if (!any) sequence_mark(s, id, text);
}

/* Joins message, added and removed lines; the lines' places follow the tokens in front and the truncation. */
Status jit_ids(int32_t **id, int32_t *n, JitLines *lines, Arena *a, const CodeChange *c, const Tokenizer *t,
               const JitPlan *p)
{
    TRY(sequence_language(t, p->language));
    Arena scratch = arena_open(0);
    Sequence s = sequence_open(&scratch, t, p->length);
    Arena *keep = lines ? a : &scratch;
    JitLines at = {0, NEW(keep, int64_t, p->length), NEW(keep, int64_t, p->length), NEW(keep, int32_t, p->length),
                   NEW(keep, int32_t, p->length)};
    sequence_add(&s, c->message, strlen(c->message), p->message);
    put_lines(&s, &at, c, LINE_ADD, p->add, "[ADD]");
    put_lines(&s, &at, c, LINE_DEL, p->del, "[DEL]");
    BpeText whole;
    Status status = tokenizer_wrap(&whole, t, &scratch, &s.text, NULL, p->language, (Limit){.most = p->length});
    if (!status) {
        int32_t front = 0, kept = 0;
        while (front < whole.n && whole.begin[front] < 0) front++;
        for (int64_t i = 0; i < whole.n; i++) kept += whole.begin[i] >= 0;
        *n = (int32_t)whole.n;
        *id = arena_take(a, sizeof **id * (size_t)(whole.n + 1));
        memcpy(*id, whole.id, sizeof **id * (size_t)whole.n);
        while (at.n && at.begin[at.n - 1] >= kept) at.n--;
        for (int64_t i = 0; i < at.n; i++) {
            at.end[i] = (at.end[i] < kept ? at.end[i] : kept) + front;
            at.begin[i] += front;
        }
        if (lines) *lines = at;
    }
    arena_close(&scratch);
    return status;
}

Status jit_tokens(Examples *out, Arena *a, const JitSet *s, const Tokenizer *t, const JitPlan *p)
{
    int32_t **id = NEW(a, int32_t *, s->n), *len = NEW(a, int32_t, s->n), *label = NEW(a, int32_t, s->n);
    for (int64_t i = 0; i < s->n; i++) {
        TRY(jit_ids(&id[i], &len[i], NULL, a, &s->change[i], t, p));
        label[i] = s->change[i].label == 1;
    }
    *out = (Examples){.n = s->n, .ids = (const int32_t *const *)id, .len = len, .label = label};
    return OK;
}

/* A commit as the tokens that a model reads.  The end is cut, so nothing is encoded that would not be kept. */
#include <ctype.h>
#include <string.h>

#include "tasks/jit.h"

JitPlan jit_plan(const Tokenizer *t, int vocab, int positions)
{
    JitPlan p = {.length = positions && positions < 512 ? positions : 512, .message = 64, .add = -1, .del = -1};
    int64_t size = tokenizer_size(t);
    if (size + 2 <= vocab) p.add = (int32_t)size, p.del = (int32_t)size + 1;
    return p;
}

typedef struct {
    Arena *arena;
    const Tokenizer *tokenizer;
    BpeText text;
    int64_t room;
} Sequence;

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

/* A token stands for at least a byte, or nearly: what lies far behind the room left cannot count. */
static void put_text(Sequence *s, const char *text, size_t len, int64_t most)
{
    enum { BYTES_A_TOKEN = 64 };
    size_t n, reach = (size_t)(most < s->room - s->text.n ? most : s->room - s->text.n) * BYTES_A_TOKEN;
    const char *clean = collapsed(s->arena, text, len < reach ? len : reach, &n);
    BpeText t = tokenizer_encode(s->tokenizer, s->arena, clean, n, false);
    put(s, t.id, t.n, most);
}

static void put_marker(Sequence *s, int32_t id, const char *text)
{
    if (id >= 0)
        put(s, &id, 1, 1);
    else
        put_text(s, text, strlen(text), s->room);
}

static void put_lines(Sequence *s, JitLines *lines, const CodeChange *c, LineKind kind, int32_t id, const char *text)
{
    bool any = false;
    for (int64_t f = 0; f < c->n_files; f++)
        for (int64_t l = 0; l < c->file[f].n && s->text.n < s->room; l++) {
            const ChangeLine *line = &c->file[f].line[l];
            if (line->kind != kind) continue;
            any = true;
            put_marker(s, id, text);
            int64_t from = s->text.n;
            put_text(s, line->text, line->len, s->room);
            if (s->text.n == from) continue;
            int64_t i = lines->n++;
            lines->file[i] = f, lines->line[i] = l;
            lines->begin[i] = (int32_t)from, lines->end[i] = (int32_t)s->text.n;
        }
    if (!any) put_marker(s, id, text);
}

Status jit_ids(int32_t **id, int32_t *n, JitLines *lines, Arena *a, const CodeChange *c, const Tokenizer *t,
               const JitPlan *p)
{
    Arena scratch = arena_open(0);
    Sequence s = {.arena = &scratch, .tokenizer = t, .text = text_new(&scratch, p->length), .room = p->length};
    s.text.n = 0;
    Arena *keep = lines ? a : &scratch;
    JitLines at = {0, NEW(keep, int64_t, p->length), NEW(keep, int64_t, p->length), NEW(keep, int32_t, p->length),
                   NEW(keep, int32_t, p->length)};
    put_text(&s, c->message, strlen(c->message), p->message);
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

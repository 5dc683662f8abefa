/* Texts as token sequences, and which of their tokens are scored.
 *
 * A text has spans of bytes that are scored; a token is scored when it holds a byte of one.  So a token that joins
 * the end of a prompt and the beginning of its completion counts as the completion's. */
#include <stdio.h>
#include <string.h>

#include "base/ranks.h"
#include "base/str.h"
#include "io/json.h"
#include "tasks/lm.h"
#include "text/sequence.h"

enum { EVALUATION_TOKENS = 8192 };
const char *const LM_SCORE[3] = {"completion", "all", NULL};

typedef struct {
    size_t begin, end;
} Span;

/* A record as one text, with the spans of it that are scored. */
typedef struct {
    Bytes text;
    Span *span; /* (n) ascending */
    int64_t n;
    bool framed; /* it has its own begin and end */
} Marked;

typedef struct {
    const LmSet *set;
    const Model *model;
    const Tokenizer *tokenizer;
    const LmPlan *plan;
} Reader;

Status lm_writes(const Model *m)
{
    if (m->decoder && !m->arch->encode && !m->config.no_lm_head) return OK;
    return err_fail(E_MISMATCH,
                    "this %s model is not a decoder alone: language modelling on texts is for decoder-only models "
                    "(gpt2, llama, gpt_neox)",
                    m->config.arch);
}

int32_t lm_end(const Model *m, const Tokenizer *t)
{
    int32_t own = t->named[NAME_EOS], models = (int32_t)m->config.eos, rows = m->config.vocab;
    return own >= 0 && own < rows ? own : models >= 0 && models < rows ? models : -1;
}

/* ---- conversations */

static Status render(Bytes *out, const Reader *r, Arena *a, const cJSON *messages, int n, bool prompt)
{
    cJSON *some = cJSON_CreateArray();
    for (int i = 0; i < n; i++) cJSON_AddItemReferenceToArray(some, cJSON_GetArrayItem(messages, i));
    Status s = chat_render(out, r->plan->chat, a, some, prompt);
    cJSON_Delete(some);
    return s;
}

/* The length of the first n messages within the whole, whose beginning their rendering must be. */
static Status reach(size_t *out, const Reader *r, Arena *a, const cJSON *messages, int n, bool prompt, Bytes whole)
{
    Bytes part;
    TRY(render(&part, r, a, messages, n, prompt));
    *out = part.len;
    if (part.len <= whole.len && !memcmp(part.text, whole.text, part.len)) return OK;
    return err_fail(
        E_MISMATCH,
        "the chat template renders the first %d %s differently when others follow, so the assistant's tokens "
        "cannot be found; --score all trains on the whole conversation",
        n, str_plural(n, "message", "messages"));
}

/* The white space behind a turn is the template's own: generation ends before it. */
static size_t without_blanks(Bytes text, size_t begin, size_t end)
{
    while (end > begin && strchr(" \t\r\n", text.text[end - 1])) end--;
    return end;
}

static Status mark_assistant(Marked *out, const Reader *r, Arena *a, const cJSON *messages)
{
    const cJSON *m;
    int i = 0;
    out->span = NEW(a, Span, cJSON_GetArraySize(messages));
    cJSON_ArrayForEach(m, messages)
    {
        const cJSON *role = cJSON_GetObjectItemCaseSensitive(m, "role");
        if (!strcmp(role->valuestring, "assistant")) {
            Span *s = &out->span[out->n++];
            TRY(reach(&s->begin, r, a, messages, i, true, out->text));
            TRY(reach(&s->end, r, a, messages, i + 1, false, out->text));
            s->end = without_blanks(out->text, s->begin, s->end);
        }
        i++;
    }
    return OK;
}

static void mark_all(Marked *out, Arena *a)
{
    out->n = 1;
    out->span = NEW(a, Span, 1);
    *out->span = (Span){0, out->text.len};
}

static Status mark_chat(Marked *out, const Reader *r, Arena *a, const LmRecord *x)
{
    cJSON *messages;
    TRY(json_parse(&messages, x->text.text, x->text.len, "messages"));
    out->framed = true;
    Status s = chat_render(&out->text, r->plan->chat, a, messages, false);
    if (!s && r->plan->score_all)
        mark_all(out, a);
    else if (!s)
        s = mark_assistant(out, r, a, messages);
    cJSON_Delete(messages);
    return s;
}

/* ---- tokens */

static Status mark(Marked *out, const Reader *r, Arena *a, const LmRecord *x)
{
    *out = (Marked){.text = x->text};
    if (x->kind == LM_CHAT) return mark_chat(out, r, a, x);
    if (x->kind == LM_COMPLETION)
        out->text.text = str_print(a, "%s%s", x->text.text, x->completion.text), out->text.len += x->completion.len;
    mark_all(out, a);
    if (x->kind == LM_COMPLETION && !r->plan->score_all) out->span->begin = x->text.len;
    return OK;
}

static bool is_marked(const Marked *m, int64_t begin, int64_t end)
{
    for (int64_t k = 0; k < m->n; k++)
        if ((size_t)end > m->span[k].begin && (size_t)begin < m->span[k].end) return true;
    return false;
}

/* The tokens of a record in the tokenizer's frame, with the end-of-text token once, and which of them are scored. */
static Status encode(int32_t **id, bool **scored, int64_t *n, const Reader *r, Arena *a, const Marked *m)
{
    BpeText x = tokenizer_encode(r->tokenizer, a, m->text.text, m->text.len, true);
    int front = m->framed ? 0 : r->tokenizer->single.n[0];
    if (!m->framed) TRY(tokenizer_wrap(&x, r->tokenizer, a, &x, NULL, NULL, (Limit){0}));
    TRY(sequence_fits(x.id, x.n, r->model->config.vocab));
    *id = NEW(a, int32_t, x.n + 1), *scored = NEW(a, bool, x.n + 1);
    for (int64_t i = 0; i < x.n; i++) {
        (*id)[i] = x.id[i];
        (*scored)[i] = x.begin[i] < 0 ? i >= front : is_marked(m, x.begin[i], x.end[i]);
    }
    *n = x.n;
    if (m->framed || r->plan->end < 0) return OK;
    (*id)[*n] = r->plan->end, (*scored)[(*n)++] = true;
    while (*n > 1 && (*id)[*n - 2] == r->plan->end) --*n; /* the text, or the frame, has ended already */
    return OK;
}

/* ---- examples */

/* Columns as they grow. */
typedef struct {
    LmTexts *out;
    Arena *arena;
    int64_t room;
    const int32_t **ids, **target;
    int32_t *len;
} Columns;

static void open_columns(Columns *c, int64_t most)
{
    c->ids = NEW(c->arena, const int32_t *, most), c->target = NEW(c->arena, const int32_t *, most);
    c->len = NEW(c->arena, int32_t, most), c->out->line = NEW(c->arena, int64_t, most);
}

/* One example: each of the first n tokens, and the one that follows it. */
static void add(Columns *c, const int32_t *id, const bool *scored, int64_t n, int64_t line)
{
    LmTexts *o = c->out;
    int64_t before = o->scored;
    int32_t *target = NEW(c->arena, int32_t, n);
    for (int64_t k = 0; k < n; k++) {
        target[k] = scored[k + 1] ? id[k + 1] : -1;
        o->scored += scored[k + 1];
    }
    o->empty += o->scored == before;
    if (o->scored == before) return;
    int32_t *ids = NEW(c->arena, int32_t, n);
    memcpy(ids, id, sizeof *ids * (size_t)n);
    c->ids[o->x.n] = ids, c->target[o->x.n] = target, c->len[o->x.n] = (int32_t)n;
    o->line[o->x.n++] = line;
    o->tokens += n;
}

static Status add_record(Columns *c, const Reader *r, Arena *scratch, const LmRecord *x)
{
    Marked m;
    int32_t *id;
    bool *scored;
    int64_t n, most = r->plan->length;
    TRY(mark(&m, r, scratch, x));
    TRY(encode(&id, &scored, &n, r, scratch, &m));
    c->out->cut += n > most;
    add(c, id, scored, (n > most ? most : n) - 1, x->line);
    return OK;
}

static Status fail_in_row(Status s, const LmSet *set, int64_t line)
{
    char message[1024];
    if (!s || s == E_IO) return s;
    snprintf(message, sizeof message, "%s", err_message());
    err_clear();
    return err_fail(s, "%s:%lld: %s", set->path, (long long)line, message);
}

static Status add_records(Columns *c, const Reader *r)
{
    open_columns(c, r->set->n);
    for (int64_t i = 0; i < r->set->n; i++) {
        Arena scratch = arena_open(0);
        Status s = fail_in_row(add_record(c, r, &scratch, &r->set->record[i]), r->set, r->set->record[i].line);
        arena_close(&scratch);
        TRY(s);
    }
    return OK;
}

/* Blocks of plain text: every token but the first is scored once, as the last of a block predicts the next one's
 * first. */
static Status add_blocks(Columns *c, const Reader *r)
{
    Arena scratch = arena_open(0);
    Marked m;
    int32_t *id;
    bool *scored;
    int64_t n = 0, length = r->plan->length;
    Status s = mark(&m, r, &scratch, r->set->record);
    if (!s) s = encode(&id, &scored, &n, r, &scratch, &m);
    if (!s) {
        open_columns(c, n / length + 1);
        for (int64_t at = 0, block = 1; at + 1 < n; at += length, block++)
            add(c, id + at, scored + at, n - 1 - at < length ? n - 1 - at : length, block);
    }
    arena_close(&scratch);
    return s;
}

Status lm_tokens(LmTexts *out, Arena *a, const LmSet *set, const Model *m, const Tokenizer *t, const LmPlan *p)
{
    Reader r = {set, m, t, p};
    Columns c = {.out = out, .arena = a};
    *out = (LmTexts){0};
    TRY(set->packed ? add_blocks(&c, &r) : add_records(&c, &r));
    out->x.ids = c.ids, out->x.target = c.target, out->x.len = c.len;
    return out->x.n ? OK
                    : err_fail(E_MISMATCH, "%s: within %d tokens no text has one to score", set->path, p->length);
}

Status lm_evaluate(Evaluation *out, Model *m, const Hooks *hooks, const Examples *x, Arena *step)
{
    Batcher *feed;
    Arena plan = arena_open(0);
    Status s = batcher_open(&feed, &plan, x, &(BatchPlan){.tokens = EVALUATION_TOKENS, .pad = m->config.pad});
    if (!s) s = evaluate_epoch(m, hooks, feed, step, out);
    arena_close(&plan);
    return s;
}

Status lm_score(Evaluation *out, Model *m, const Hooks *hooks, const Examples *x, Arena *step,
                bool (*each)(int64_t, void *), void *user)
{
    const BatchPlan plan = {.pad = m->config.pad};
    Status s = OK;
    for (int32_t i = 0; !s && i < x->n; i++) {
        ArenaMark mark = arena_mark(step);
        out[i] = (Evaluation){0};
        if (!ranks_own(i)) continue;
        Batch one = batch_of(step, x, &plan, &i, 1);
        evaluate_batch(m, hooks, step, &one, NULL, &out[i]);
        evaluation_end(&out[i]);
        arena_drop(step, mark);
        if (each && !each(i + 1, user)) s = err_fail(E_INTERRUPT, "interrupted before the end");
    }
    return ranks_unite(s, out, sizeof *out * (size_t)x->n);
}

Evaluation lm_total(const Evaluation *each, int64_t n)
{
    Evaluation sum = {0};
    for (int64_t i = 0; i < n; i++) {
        double scored = (double)each[i].scored;
        sum.examples += each[i].examples, sum.scored += each[i].scored;
        sum.loss += scored * each[i].loss, sum.accuracy += scored * each[i].accuracy;
        sum.exact += (double)each[i].examples * each[i].exact;
    }
    evaluation_end(&sum);
    return sum;
}

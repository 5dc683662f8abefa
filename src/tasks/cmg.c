/* Changes as sources and targets of a generating model, and its output; the baselines are in cmg_floor.c. */
#include "tasks/cmg.h"

#include <string.h>

#include "base/ranks.h"
#include "nn/finite.h"
#include "tasks/jit_model.h"
#include "tasks/review.h"
#include "text/sequence.h"

static const char MODE[] = "<encoder-decoder>"; /* of UniXcoder */
static const char MESSAGE_LANGUAGE[] = "en_XX"; /* of PLBART */
enum { ROWS = 16 };                             /* written at a time */

/* An encoder that writes behind its prompt. */
static bool by_prompt(const Model *m)
{
    return m->config.writes_from_encoder;
}

static int32_t mode_of(const Tokenizer *t)
{
    return tokenizer_find(t, MODE);
}

bool cmg_prompts(const Tokenizer *t)
{
    return mode_of(t) >= 0;
}

CmgPlan cmg_plan(const Model *m, const Tokenizer *t)
{
    int most = config_room(&m->config);
    CmgPlan p = {.source = most && most < 512 ? most : 512, .target = most && most < 128 ? most : 128};
    if (by_prompt(m)) {
        p.target = most / 4 < 128 ? most / 4 : 128;
        p.source = most - p.target < 512 ? most - p.target : 512;
    }
    int32_t *mark[] = {[LINE_KEEP] = &p.keep, [LINE_ADD] = &p.add, [LINE_DEL] = &p.del};
    int32_t own = sequence_free_id(t);
    for (int32_t k = 0; k < LINE_KINDS; k++) {
        const Special *s = special_find(tokenizer_specials(t), LINE_MARK[k], strlen(LINE_MARK[k]));
        *mark[k] = s ? s->id : own + 3 <= m->config.vocab ? own + k : -1;
    }
    return p;
}

Bytes cmg_subject(const CodeChange *c)
{
    static const char WHITE[] = " \t\r\n\v\f";
    char *from = (char *)c->message + strspn(c->message, WHITE);
    size_t n = strcspn(from, "\r\n");
    while (n && strchr(WHITE, from[n - 1])) n--;
    return (Bytes){from, n};
}

/* ---- tokens */

typedef struct {
    const Model *model;
    const Tokenizer *tokenizer;
    const CmgPlan *plan;
    ReviewPlan review; /* where the plan wants that form */
} Reader;

static void put_change(Sequence *s, const CodeChange *c, const CmgPlan *p)
{
    const int32_t id[] = {[LINE_KEEP] = p->keep, [LINE_ADD] = p->add, [LINE_DEL] = p->del};
    for (int64_t f = 0; f < c->n_files && s->text.n < s->room; f++) {
        const ChangeFile *file = &c->file[f];
        if (*file->new_path) {
            sequence_mark(s, id[LINE_KEEP], LINE_MARK[LINE_KEEP]);
            sequence_add(s, file->new_path, strlen(file->new_path), s->room);
        }
        for (int64_t l = 0; l < file->n && s->text.n < s->room; l++) {
            sequence_mark(s, id[file->line[l].kind], LINE_MARK[file->line[l].kind]);
            sequence_add(s, file->line[l].text, file->line[l].len, s->room);
        }
    }
}

/* The sequence in the tokenizer's frame, as ids on `a`. */
static Status take(int32_t **id, int32_t *n, Arena *a, const Reader *r, const Sequence *s, const char *language)
{
    BpeText whole;
    TRY(tokenizer_wrap(&whole, r->tokenizer, s->arena, &s->text, NULL, language, (Limit){.most = s->room}));
    *n = (int32_t)whole.n;
    *id = arena_take(a, sizeof **id * (size_t)(whole.n + 1));
    memcpy(*id, whole.id, sizeof **id * (size_t)whole.n);
    return sequence_fits(*id, *n, r->model->config.vocab);
}

static bool has_lines(const CodeChange *c)
{
    int64_t n = 0;
    for (int64_t f = 0; f < c->n_files; f++) n += c->file[f].n;
    return n > 0;
}

static Status no_lines(const CodeChange *c)
{
    return err_fail(E_MISMATCH, "commit %.40s has no lines, expected a diff", c->id);
}

static Status no_message(const CodeChange *c)
{
    return err_fail(E_MISMATCH, "commit %.40s has no message, expected the one to learn", c->id);
}

static Status source(int32_t **id, int32_t *n, Arena *a, const Reader *r, const CodeChange *c)
{
    if (!has_lines(c)) return no_lines(c);
    TRY(sequence_language(r->tokenizer, r->plan->language));
    Arena scratch = arena_open(0);
    Sequence s = sequence_open(&scratch, r->tokenizer, r->plan->source);
    put_change(&s, c, r->plan);
    Status status = take(id, n, a, r, &s, r->plan->language);
    arena_close(&scratch);
    return status;
}

/* <s> <encoder-decoder> </s> diff </s> */
static Status prompt(int32_t **id, int32_t *n, Arena *a, const Reader *r, const CodeChange *c)
{
    const Config *k = &r->model->config;
    if (!has_lines(c)) return no_lines(c);
    if (!cmg_prompts(r->tokenizer))
        return err_fail(E_MISMATCH, "the tokenizer has no %s, so this is no UniXcoder", MODE);
    Arena scratch = arena_open(0);
    Sequence s = sequence_open(&scratch, r->tokenizer, r->plan->source - 1);
    sequence_mark(&s, k->bos, ""), sequence_mark(&s, mode_of(r->tokenizer), MODE), sequence_mark(&s, k->eos, "");
    put_change(&s, c, r->plan);
    *n = (int32_t)s.text.n + 1;
    *id = arena_take(a, sizeof **id * (size_t)*n);
    memcpy(*id, s.text.id, sizeof **id * (size_t)s.text.n);
    (*id)[*n - 1] = k->eos;
    arena_close(&scratch);
    return sequence_fits(*id, *n, k->vocab);
}

static Status target(int32_t **id, int32_t *n, Arena *a, const Reader *r, const CodeChange *c)
{
    Bytes subject = cmg_subject(c);
    if (!subject.len) return no_message(c);
    Arena scratch = arena_open(0);
    Sequence s = sequence_open(&scratch, r->tokenizer, r->plan->target);
    sequence_add(&s, subject.text, subject.len, s.room);
    Status status = take(id, n, a, r, &s, MESSAGE_LANGUAGE);
    arena_close(&scratch);
    return status;
}

Status cmg_writes(const Model *m)
{
    if ((m->decoder && m->arch->encode && !m->config.no_lm_head) || by_prompt(m)) return OK;
    return err_fail(E_MISMATCH,
                    "this %s model cannot write messages: expected an encoder-decoder (bart, t5) with its head, or "
                    "UniXcoder",
                    m->config.arch);
}

static int32_t start_of(const Model *m, const Tokenizer *t)
{
    if (m->config.decoder_start >= 0) return m->config.decoder_start;
    int32_t language = tokenizer_language(t, MESSAGE_LANGUAGE);
    return language >= 0 ? language : m->config.bos;
}

/* Columns as they grow. */
typedef struct {
    int32_t **src, *src_len, **ids, *len, **target;
} Columns;

/* The encoder's side, and the decoder's: the target moved right. */
static Status put_pair(Columns *x, int64_t i, Arena *a, const Reader *r, const CodeChange *c, bool targets)
{
    TRY(source(&x->src[i], &x->src_len[i], a, r, c));
    if (!targets) {
        x->ids[i] = NEW(a, int32_t, 1), x->len[i] = 1;
        x->ids[i][0] = start_of(r->model, r->tokenizer);
        return OK;
    }
    TRY(target(&x->target[i], &x->len[i], a, r, c));
    x->ids[i] = NEW(a, int32_t, x->len[i]);
    batch_shift_right(x->ids[i], &r->model->config, x->target[i], 1, x->len[i]);
    return OK;
}

/* In the form of CodeReviewer and CCT5. */
static Status put_review(Columns *x, int64_t i, Arena *a, const Reader *r, const CodeChange *c, bool targets)
{
    Bytes subject = cmg_subject(c);
    if (!has_lines(c)) return no_lines(c);
    if (targets && !subject.len) return no_message(c);
    const ReviewExample e = review_simple_change(a, c, subject, &r->review);
    x->src[i] = e.source, x->src_len[i] = e.n_source;
    x->len[i] = targets ? e.n_target : 1;
    x->ids[i] = NEW(a, int32_t, x->len[i]);
    x->ids[i][0] = start_of(r->model, r->tokenizer);
    if (!targets) return OK;
    x->target[i] = e.target;
    batch_shift_right(x->ids[i], &r->model->config, e.target, 1, e.n_target);
    return OK;
}

/* The prompt and the target behind it; the prompt's last row predicts the first token of the target. */
static Status put_prompt(Columns *x, int64_t i, Arena *a, const Reader *r, const CodeChange *c, bool targets)
{
    int32_t *goal, m, n;
    TRY(prompt(&x->ids[i], &x->len[i], a, r, c));
    if (!targets) return OK;
    TRY(target(&goal, &m, a, r, c));
    if (goal[0] == r->model->config.bos) goal++, m--;
    n = x->len[i];
    int32_t *ids = NEW(a, int32_t, n + m), *wanted = NEW(a, int32_t, n + m);
    for (int32_t k = 0; k < n + m - 1; k++) {
        ids[k] = k < n ? x->ids[i][k] : goal[k - n];
        wanted[k] = k < n - 1 ? -1 : goal[k - n + 1];
    }
    x->ids[i] = ids, x->target[i] = wanted, x->len[i] = n + m - 1;
    return OK;
}

static Status open_review(Reader *r)
{
    const CmgPlan *p = r->plan;
    if (by_prompt(r->model))
        return err_fail(E_MISMATCH,
                        "UniXcoder reads no change in the form of CodeReviewer, expected an encoder-decoder");
    TRY(review_plan(&r->review, r->tokenizer, REVIEW_CODEREVIEWER, r->model->config.vocab));
    r->review.source = p->source, r->review.target = p->target;
    return OK;
}

static Status examples(Examples *out, Arena *a, int64_t n, const CodeChange *c, Reader *r, bool targets)
{
    TRY(cmg_writes(r->model));
    bool prompts = by_prompt(r->model);
    if (r->plan->review) TRY(open_review(r));
    Columns x = {NEW(a, int32_t *, n), NEW(a, int32_t, n), NEW(a, int32_t *, n), NEW(a, int32_t, n),
                 NEW(a, int32_t *, n)};
    for (int64_t i = 0; i < n; i++)
        TRY((r->plan->review ? put_review : prompts ? put_prompt : put_pair)(&x, i, a, r, &c[i], targets));
    *out = (Examples){.n = n,
                      .ids = (const int32_t *const *)x.ids,
                      .len = x.len,
                      .src = prompts ? NULL : (const int32_t *const *)x.src,
                      .src_len = prompts ? NULL : x.src_len,
                      .target = targets ? (const int32_t *const *)x.target : NULL};
    return OK;
}

Status cmg_tokens(Examples *out, Arena *a, int64_t n, const CodeChange *c, const Model *m, const Tokenizer *t,
                  const CmgPlan *p)
{
    return examples(out, a, n, c, &(Reader){.model = m, .tokenizer = t, .plan = p}, true);
}

Status cmg_sources(Examples *out, Arena *a, int64_t n, const CodeChange *c, const Model *m, const Tokenizer *t,
                   const CmgPlan *p)
{
    return examples(out, a, n, c, &(Reader){.model = m, .tokenizer = t, .plan = p}, false);
}

/* ---- training */

/* UniXcoder's rows: those of the prompt, up to the first that is scored, see each other; the others look back. */
static Batch seeing(Arena *a, const Model *m, const Batch *x)
{
    Batch y = *x;
    if (!by_prompt(m)) return y;
    CHECK(x->keep, "a batch of prompts comes without the positions that are scored");
    int64_t t = x->t;
    uint8_t *sees = NEW(a, uint8_t, x->b * t * t);
    for (int64_t b = 0; b < x->b; b++)
        for (int64_t i = 0, first = x->keep[b * x->k]; i < t; i++)
            memset(sees + (b * t + i) * t, 1, (size_t)((i > first ? i : first) + 1));
    y.sees = sees;
    return y;
}

Var *cmg_loss(Model *m, Pass *p, const Batch *x, void *user)
{
    (void)user;
    Batch y = seeing(tape_arena(p->tape), m, x);
    return model_loss(m, p, &y);
}

typedef struct {
    Model *model;
    const Hooks *hooks;
} Judged;

static void score_batch(Evaluation *sum, Arena *step, const Batch *x, void *user)
{
    const Judged *j = user;
    Batch seen = seeing(step, j->model, x);
    evaluate_batch(j->model, j->hooks, step, &seen, NULL, sum);
}

Status cmg_evaluate(Model *m, const Hooks *hooks, Batcher *feed, Arena *step, Evaluation *out)
{
    return evaluate_epoch_by(score_batch, &(Judged){m, hooks}, feed, step, out);
}

/* ---- writing */

/* The text of the tokens that stand for text; the <msg> in front of a message is none. */
static Bytes told(Arena *run, Arena *step, const Tokenizer *t, const int32_t *id, int32_t n)
{
    int32_t *kept = NEW(step, int32_t, n + 1);
    int64_t k = 0;
    size_t len;
    bool begun = n > 0 && id[0] == tokenizer_find(t, "<msg>");
    for (int32_t i = begun; i < n; i++)
        if (!tokenizer_is_special(t, id[i]) && id[i] < tokenizer_size(t)) kept[k++] = id[i];
    const char *text = tokenizer_decode(t, step, kept, k, &len);
    while (len && strchr(" \t\r\n", text[len - 1])) len--;
    size_t from = 0;
    while (from < len && strchr(" \t\r\n", text[from])) from++;
    int64_t replaced = 0; /* a token may be half a character */
    char *clean = utf8_repair(run, text + from, len - from, &len, &replaced);
    return (Bytes){clean, len};
}

/* Generates a message for each example of a batch and stores it at the example's place. */
static Status write_batch(Bytes *message, Arena *run, Arena *step, Model *m, const Hooks *hooks, const Tokenizer *t,
                          Batch *x, const int32_t *rows, const GenerateConfig *how)
{
    int32_t *out = NEW(step, int32_t, x->b * how->max_new), *len = NEW(step, int32_t, x->b);
    if (m->arch->encode)
        *x = (Batch){.b = x->b, .s = x->s, .src = x->src, .src_len = x->src_len};
    else
        *x = (Batch){.b = x->b, .t = x->t, .ids = x->ids, .len = x->len};
    if (how->beams > 1) {
        double *score = NEW(step, double, x->b);
        TRY(model_blame(generate_beams(out, len, score, m, hooks, step, x, how), m));
    } else {
        TRY(model_blame(generate_tokens(out, len, m, hooks, step, x, how), m));
    }
    for (int64_t b = 0; b < x->b; b++) message[rows[b]] = told(run, step, t, out + b * how->max_new, len[b]);
    return OK;
}

/* Every rank gets the messages that the others have written. */
static Status unite_messages(Status mine, Bytes *message, Arena *run, int64_t n)
{
    size_t all = 0;
    if (ranks_size() == 1) return mine;
    int64_t *len = NEW(run, int64_t, n);
    for (int64_t i = 0; i < n; i++) len[i] = (int64_t)message[i].len;
    TRY(ranks_unite(mine, len, sizeof *len * (size_t)n));
    for (int64_t i = 0; i < n; i++) all += (size_t)len[i] + 1;
    char *text = arena_zero(run, all), *at = text;
    for (int64_t i = 0; i < n; at += len[i++] + 1)
        if (message[i].len) memcpy(at, message[i].text, message[i].len);
    TRY(ranks_unite(OK, text, all));
    for (int64_t i = 0; i < n; text += len[i++] + 1) message[i] = (Bytes){text, (size_t)len[i]};
    return OK;
}

Status cmg_write(Bytes *message, Arena *run, Arena *step, Model *m, const Hooks *hooks, const Tokenizer *t,
                 const Examples *x, const GenerateConfig *how, bool (*each)(int64_t, void *), void *user)
{
    Batcher *feed;
    Arena plan = arena_open(0);
    GenerateConfig c = *how;
    Status s = cmg_writes(m);
    c.start = start_of(m, t), c.n_best = 1, c.both_ways = by_prompt(m);
    if (!s) s = batcher_open(&feed, &plan, x, &(BatchPlan){.rows = ROWS, .pad = m->config.pad});
    for (int64_t done = 0, i = 0; !s && done < x->n; i++) {
        const int32_t *rows;
        Batch batch;
        ArenaMark mark = arena_mark(step);
        batcher_next(feed, step, &batch, &rows);
        done += batch.b;
        if (ranks_own(i)) s = write_batch(message, run, step, m, hooks, t, &batch, rows, &c);
        arena_drop(step, mark);
        if (!s && each && !each(done, user)) s = err_fail(E_INTERRUPT, "interrupted before the end");
    }
    arena_close(&plan);
    return unite_messages(s, message, run, x->n);
}

/* Objectives share batches, as their examples come; the tags of a row are looked up by its place in the set. */
#include "tasks/review_set.h"

#include <math.h>

#include "base/rng.h"
#include "nn/build.h"
#include "nn/config.h"
#include "nn/finite.h"
#include "tasks/cmg.h"

enum { EVALUATION_TOKENS = 8192 };

/* ---- examples */

typedef struct {
    ReviewExample e;
    ReviewObjective of;
} Row;

typedef struct {
    ReviewSet *set;
    Arena *arena;
    const ReviewPlan *plan;
    uint64_t stream;
    Row *row;
    int64_t n, room;
} Building;

/* Where the decoder learns nothing it gets its start token, unscored. */
static void take_rows(const Building *b, const Model *m)
{
    Arena *a = b->arena;
    ReviewSet *s = b->set;
    int32_t **ids = NEW(a, int32_t *, b->n), **src = NEW(a, int32_t *, b->n), **target = NEW(a, int32_t *, b->n);
    int32_t *len = NEW(a, int32_t, b->n), *src_len = NEW(a, int32_t, b->n);
    s->tag = NEW(a, const int32_t *, b->n), s->of = NEW(a, ReviewObjective, b->n);
    for (int64_t i = 0; i < b->n; i++) {
        const ReviewExample *e = &b->row[i].e;
        len[i] = e->n_target ? e->n_target : 1, src_len[i] = e->n_source;
        src[i] = e->source, target[i] = e->target, s->tag[i] = e->tag, s->of[i] = b->row[i].of;
        if (!e->n_target) target[i][0] = -1;
        ids[i] = NEW(a, int32_t, len[i]);
        batch_shift_right(ids[i], &m->config, target[i], 1, len[i]);
    }
    s->x = (Examples){.n = b->n,
                      .ids = (const int32_t *const *)ids,
                      .len = len,
                      .src = (const int32_t *const *)src,
                      .src_len = src_len,
                      .target = (const int32_t *const *)target};
}

static bool needs_message(ReviewObjective o)
{
    return o != REVIEW_TAGS && o != REVIEW_DENOISE_LINES;
}

static ReviewForm form_of(ReviewObjective o)
{
    return o <= REVIEW_DENOISE_LINES ? REVIEW_CODEREVIEWER : REVIEW_CCT5;
}

/* Whether anything is hidden: a hunk may be too short for a line, or its tags may all be cut off. */
static bool teaches(ReviewObjective o, const ReviewExample *e)
{
    if (o == REVIEW_DENOISE_LINES || o == REVIEW_MLM_CODE) return e->n_target > 1;
    if (o != REVIEW_TAGS) return true;
    for (int32_t i = 0; i < e->n_source; i++)
        if (e->tag[i] >= 0) return true;
    return false;
}

static void put_hunk(Building *b, const Hunk *h)
{
    ReviewLines l;
    review_lines(&l, b->arena, h, b->plan);
    for (int i = 0; i < REVIEW_OBJECTIVE_COUNT; i++) {
        ReviewObjective o = (ReviewObjective)i;
        if (form_of(o) != b->plan->form || (needs_message(o) && !l.n_message)) continue;
        ReviewDraws d = {.stream = rng_mix(rng_mix(b->stream, (uint64_t)b->set->hunks), (uint64_t)i)};
        const ReviewExample e = review_example(b->arena, &l, b->plan, o, &d);
        if (!teaches(o, &e)) continue;
        GROW(b->arena, b->row, b->n, b->room, 64);
        b->row[b->n++] = (Row){e, o};
    }
    b->set->hunks++, b->set->messages += l.n_message > 0;
}

Status review_set(ReviewSet *s, Arena *a, int64_t n, const CodeChange *c, const Model *m, const ReviewPlan *p,
                  uint64_t stream)
{
    *s = (ReviewSet){0};
    TRY(cmg_writes(m));
    if (!m->arch->encode || !build_tied_head(m->arch))
        return err_fail(E_MISMATCH, "a %s model does not pretrain on changes, expected an encoder-decoder (t5, bart)",
                        m->config.arch);
    s->table = param_find(m->params, build_tied_head(m->arch)->name);
    Building b = {.set = s, .arena = a, .plan = p, .stream = stream};
    for (int64_t i = 0; i < n; i++) {
        const Bytes subject = cmg_subject(&c[i]);
        const char *message = str_copy(a, subject.text, subject.len);
        for (int64_t f = 0; f < c[i].n_files; f++) {
            Hunk *h;
            int64_t hunks = hunks_of(&h, a, &c[i].file[f], message);
            for (int64_t k = 0; k < hunks; k++) put_hunk(&b, &h[k]);
        }
    }
    take_rows(&b, m);
    return b.n ? OK : err_fail(E_MISMATCH, "none of the %lld commits has lines to learn from", (long long)n);
}

/* ---- the loss */

typedef struct {
    int64_t k;         /* most tags of a row */
    int32_t *at, *tag; /* (B,K) positions and tags, -1 for none */
} Tags;

static int64_t count_tags(const ReviewSet *s, int32_t row)
{
    int64_t n = 0;
    for (int32_t i = 0; s->tag[row] && i < s->x.src_len[row]; i++) n += s->tag[row][i] >= 0;
    return n;
}

static Tags tags_of(const ReviewSet *s, Arena *a, const Batch *x)
{
    Tags t = {0};
    for (int64_t b = 0; b < x->b; b++) {
        int64_t n = count_tags(s, x->row[b]);
        if (n > t.k) t.k = n;
    }
    t.at = NEW(a, int32_t, x->b * t.k), t.tag = NEW(a, int32_t, x->b * t.k);
    for (int64_t b = 0; b < x->b; b++) {
        const int32_t *tag = s->tag[x->row[b]];
        int64_t n = 0;
        for (int32_t i = 0; tag && i < s->x.src_len[x->row[b]]; i++)
            if (tag[i] >= 0) t.at[b * t.k + n] = i, t.tag[b * t.k + n++] = tag[i];
        for (; n < t.k; n++) t.at[b * t.k + n] = t.tag[b * t.k + n] = -1;
    }
    return t;
}

/* (B,K,C): the encoder's states at the hidden tags; virtual tokens in front of a row are passed over. */
static Var *states_at(Tape *t, const Batch *x, Var *memory, const Tags *tags)
{
    int32_t first = (int32_t)(memory->val.dim[1] - x->s), *at = NEW(tape_arena(t), int32_t, x->b * tags->k);
    for (int64_t i = 0; i < x->b * tags->k; i++) at[i] = tags->at[i] < 0 ? -1 : tags->at[i] + first;
    return op_rows(t, memory, at, x->b, tags->k);
}

static bool any_scored(const Batch *x)
{
    for (int64_t i = 0; i < x->b * (x->keep ? x->k : x->t); i++)
        if (x->target[i] >= 0) return true;
    return false;
}

/* The loss is the mean over the texts' tokens plus the mean over the tags; a part of a batch has a share of each. */
void review_weigh(double weight[LOSS_TERMS], const Batch *x, void *user)
{
    const ReviewSet *s = user;
    weight[0] = weight[1] = 0;
    for (int64_t i = 0; i < x->b * (x->keep ? x->k : x->t); i++) weight[0] += x->target[i] >= 0;
    for (int64_t b = 0; b < x->b; b++) weight[1] += (double)count_tags(s, x->row[b]);
}

static Var *weighted(Pass *p, int term, Var *loss)
{
    return p->share ? op_scale(p->tape, loss, p->share[term]) : loss;
}

Var *review_loss(Model *m, Pass *p, const Batch *x, void *user)
{
    const ReviewSet *s = user;
    Tape *t = p->tape;
    int mark = tape_enter(t);
    Tags tags = tags_of(s, tape_arena(t), x);
    Var *memory = model_encode(m, p, x), *loss = NULL;
    if (any_scored(x)) loss = weighted(p, 0, m->arch->head_loss(m, p, m->arch->decode(m, p, x, memory), x->target));
    if (tags.k) {
        Var *table = tape_param(t, param_find(m->params, s->table->name));
        Var *of_tags = op_head_xent(t, states_at(t, x, memory, &tags), table, OUT_IN, NULL, tags.tag, NULL);
        of_tags = weighted(p, 1, of_tags);
        loss = loss ? op_add(t, loss, 1, of_tags) : of_tags;
    }
    CHECK(loss, "a batch without targets and tags");
    return tape_leave(t, mark, loss);
}

/* ---- measuring */

/* The scored tokens of an objective: how often each occurs. */
static void describe(ReviewScore *out, const ReviewSet *s, ReviewObjective o, int vocab, Arena *a)
{
    int64_t *count = NEW(a, int64_t, vocab), most = 0, all = 0;
    for (int64_t i = 0; i < s->x.n; i++) {
        if (s->of[i] != o) continue;
        const int32_t *id = s->tag[i] ? s->tag[i] : s->x.target[i];
        int32_t n = s->tag[i] ? s->x.src_len[i] : s->x.len[i];
        for (int32_t k = 0; k < n; k++)
            if (id[k] >= 0) count[id[k]]++, all++;
    }
    for (int i = 0; i < vocab; i++) {
        double share = all ? (double)count[i] / (double)all : 0;
        if (count[i]) out->unigram -= share * log(share);
        if (count[i] > most) most = count[i];
    }
    out->majority = all ? (double)most / (double)all : 0;
}

/* Logits (B,K,V) of the tags, scored as those of the decoder are. */
static void score_tags(Evaluation *sum, Model *m, const Hooks *hooks, const ReviewSet *s, const Batch *x, Arena *step)
{
    Pass p = {.tape = tape_open(step, false), .hooks = hooks};
    Tags tags = tags_of(s, step, x);
    if (!tags.k) return;
    Var *h = states_at(p.tape, x, model_encode(m, &p, x), &tags);
    Tensor y =
        op_linear(p.tape, h, tape_param(p.tape, param_find(m->params, s->table->name)), OUT_IN, NULL, ACT_NONE)->val;
    double *loss = NEW(step, double, x->b *tags.k);
    Tensor rows = tensor_reshape(y, SHAPE(x->b * tags.k, tensor_last(y)));
    kernels_of(y.dtype)->xent(loss, rows.data, tags.tag, 1, false, x->b * tags.k, tensor_last(y));
    for (int64_t i = 0; i < x->b * tags.k; i++) {
        if (tags.tag[i] < 0) continue;
        sum->scored++, sum->loss += loss[i];
        sum->accuracy += tensor_argmax(tensor_at(rows, i)) == tags.tag[i];
    }
    sum->examples += x->b;
}

/* The examples of one objective as a set of their own. */
static ReviewSet only(const ReviewSet *s, ReviewObjective o, Arena *a)
{
    ReviewSet one = {.table = s->table};
    const int32_t **ids = NEW(a, const int32_t *, s->x.n), **src = NEW(a, const int32_t *, s->x.n);
    const int32_t **target = NEW(a, const int32_t *, s->x.n);
    int32_t *len = NEW(a, int32_t, s->x.n), *src_len = NEW(a, int32_t, s->x.n);
    one.tag = NEW(a, const int32_t *, s->x.n);
    for (int64_t i = 0; i < s->x.n; i++) {
        if (s->of[i] != o) continue;
        int64_t k = one.x.n++;
        ids[k] = s->x.ids[i], src[k] = s->x.src[i], target[k] = s->x.target[i];
        len[k] = s->x.len[i], src_len[k] = s->x.src_len[i], one.tag[k] = s->tag[i];
    }
    one.x.ids = ids, one.x.len = len, one.x.src = src, one.x.src_len = src_len, one.x.target = target;
    return one;
}

typedef struct {
    Model *model;
    const Hooks *hooks;
    const ReviewSet *set;
    bool tags;
} Judged;

static void score_batch(Evaluation *sum, Arena *step, const Batch *x, void *user)
{
    const Judged *j = user;
    if (j->tags)
        score_tags(sum, j->model, j->hooks, j->set, x, step);
    else
        evaluate_batch(j->model, j->hooks, step, x, NULL, sum);
}

static Status measure(ReviewScore *out, Model *m, const Hooks *hooks, const ReviewSet *one, Arena *step, bool tags)
{
    Batcher *feed;
    Evaluation sum = {0};
    Arena plan = arena_open(0);
    const BatchPlan batches = {.tokens = EVALUATION_TOKENS, .pad = m->config.pad};
    Status s = batcher_open(&feed, &plan, &one->x, &batches);
    if (!s) s = evaluate_epoch_by(score_batch, &(Judged){m, hooks, one, tags}, feed, step, &sum);
    arena_close(&plan);
    out->examples = one->x.n, out->scored = sum.scored, out->loss = sum.loss, out->accuracy = sum.accuracy;
    return s;
}

Status review_measure(ReviewScore *score, Model *m, const Hooks *hooks, const ReviewSet *s, Arena *step)
{
    Arena a = arena_open(0);
    Status status = OK;
    for (int o = 0; !status && o < REVIEW_OBJECTIVE_COUNT; o++) {
        score[o] = (ReviewScore){0};
        const ReviewSet one = only(s, (ReviewObjective)o, &a);
        if (!one.x.n) continue;
        describe(&score[o], s, (ReviewObjective)o, m->config.vocab, &a);
        status = measure(&score[o], m, hooks, &one, step, o == REVIEW_TAGS);
    }
    arena_close(&a);
    return status;
}

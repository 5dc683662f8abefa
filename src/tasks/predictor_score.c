/* The scores of a defect predictor for commits and for their lines. */
#include <stdlib.h>

#include "tasks/predictor.h"
#include "text/sequence.h"

JitScale predictor_scale(const Predictor *p, const JitSet *scored)
{
    JitScale scale = p->per_split ? jit_scale(scored, false) : p->scale;
    if (p->features < N_FEATURES) jit_scale_drop(&scale, FEATURE_fix);
    return scale;
}

Status predictor_tokens(Examples *out, const Predictor *p, Arena *a, const JitSet *s)
{
    TRY(jit_tokens(out, a, s, &p->text, &p->plan));
    for (int64_t i = 0; i < s->n; i++) TRY(sequence_fits(out->ids[i], out->len[i], p->net->config.vocab));
    return OK;
}

Status predictor_score(double *out, Predictor *p, Arena *run, Arena *step, const JitSet *s,
                       bool (*each)(int64_t, void *), void *user)
{
    LearnView view = {.per_split = p->per_split, .no_fix = p->features < N_FEATURES};
    if (p->learner) return p->learner->score(out, p->learned, step, s, &view, each, user);
    bool reads = jit_reads_features(p->head);
    for (int64_t i = 0; i < s->n && reads; i++)
        if (!s->change[i].has_features)
            return err_fail(E_MISMATCH,
                            "commit %.40s lacks the features that the head reads (vernier data mine --features)",
                            s->change[i].id);
    Examples tokens;
    TRY(predictor_tokens(&tokens, p, run, s));
    JitScale scale = predictor_scale(p, s);
    jit_model_show(&p->j, run, s, &tokens, reads ? &scale : NULL);
    return jit_predict(out, &p->j, p->hooks, step, each, user);
}

static int by_score(const void *a, const void *b)
{
    const RiskyLine *x = a, *y = b;
    if (x->score < y->score || x->score > y->score) return x->score > y->score ? -1 : 1;
    if (x->file != y->file) return x->file < y->file ? -1 : 1;
    return (x->line > y->line) - (x->line < y->line);
}

static Status lines_of_learner(RiskyLine **out, int64_t *n, Predictor *p, Arena *a, Arena *step, const CodeChange *c)
{
    int64_t most = change_count(c, LINE_ADD) + change_count(c, LINE_DEL);
    double *score = NEW(a, double, most + 1);
    *out = NEW(a, RiskyLine, most + 1);
    if (!p->learner->lines) return OK;
    TRY(p->learner->lines(score, p->learned, step, c));
    for (int64_t f = 0; f < c->n_files; f++)
        for (int64_t l = 0; l < c->file[f].n; l++)
            if (c->file[f].line[l].kind != LINE_KEEP) (*out)[*n] = (RiskyLine){f, l, score[*n]}, ++*n;
    return OK;
}

bool predictor_attends(const Predictor *p)
{
    return p->peft && p->head != JIT_EXPERT;
}

/* A head on the features alone ranks no lines. */
static Status lines_of_network(RiskyLine **out, int64_t *n, Predictor *p, Arena *a, Arena *step, const CodeChange *c,
                               int32_t i)
{
    int32_t *id, len;
    JitLines lines;
    TRY(jit_ids(&id, &len, &lines, a, c, &p->text, &p->plan));
    TokenLines found = {lines.n, lines.file, lines.line, NEW(a, double, lines.n + 1)};
    if (!predictor_attends(p)) {
        found.n = 0;
    } else if (p->lines_by == LINES_BY_TOKEN) {
        double *attention = NEW(a, double, len + 1);
        jit_attention(attention, &p->j, p->hooks, step, i);
        found = jit_token_lines(a, c, &p->text, &p->plan, id, &lines, attention);
    } else {
        jit_line_attention(found.score, &p->j, p->hooks, step, i, &lines);
    }
    *out = NEW(a, RiskyLine, found.n + 1);
    for (*n = 0; *n < found.n; ++*n) (*out)[*n] = (RiskyLine){found.file[*n], found.line[*n], found.score[*n]};
    return OK;
}

/* Lists the changed lines by decreasing score: the learner's, or the attention they receive. */
Status predictor_lines(RiskyLine **out, int64_t *n, Predictor *p, Arena *a, Arena *step, const CodeChange *c,
                       int32_t i)
{
    *n = 0;
    TRY(p->learner ? lines_of_learner(out, n, p, a, step, c) : lines_of_network(out, n, p, a, step, c, i));
    qsort(*out, (size_t)*n, sizeof **out, by_score);
    return OK;
}

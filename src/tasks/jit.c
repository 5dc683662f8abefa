/* Sets of commits, features, scores; token sequences are in jit_tokens.c. */
#include "tasks/jit.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "metric/place.h"

static bool is_partly_unknown(const CodeChange *c)
{
    for (int k = 0; c->has_features && k < N_FEATURES; k++)
        if (isnan(c->feature[k])) return true;
    return false;
}

void jit_count(JitSet *s)
{
    s->positives = s->unlabelled = s->unknown = 0;
    s->features = s->n > 0;
    for (int64_t i = 0; i < s->n; i++) {
        s->positives += s->change[i].label == 1;
        s->unlabelled += s->change[i].label < 0;
        s->features &= s->change[i].has_features;
        s->unknown += is_partly_unknown(&s->change[i]);
    }
}

Status jit_read(JitSet *out, Arena *a, const char *path)
{
    *out = (JitSet){0};
    TRY(changes_read(&out->change, &out->n, a, path));
    jit_count(out);
    return OK;
}

Status jit_labelled(const JitSet *s, const char *path)
{
    for (int64_t i = 0; i < s->n; i++)
        if (s->change[i].label < 0)
            return err_fail(E_MISMATCH, "%s: commit %.40s has no label, expected 0 or 1", path, s->change[i].id);
    if (s->positives && s->positives < s->n) return OK;
    return err_fail(E_MISMATCH, "%s: all %lld %s labelled %d, expected both classes", path, (long long)s->n,
                    str_plural(s->n, "commit is", "commits are"), s->positives ? 1 : 0);
}

double jit_effort(const CodeChange *c)
{
    if (c->has_features && !isnan(c->feature[FEATURE_la]) && !isnan(c->feature[FEATURE_ld]))
        return c->feature[FEATURE_la] + c->feature[FEATURE_ld];
    return (double)(change_count(c, LINE_ADD) + change_count(c, LINE_DEL));
}

/* ---- the cut */

typedef struct {
    const CodeChange *c;
    int64_t i;
} Dated;

static int by_group_and_time(const void *a, const void *b)
{
    const Dated *x = a, *y = b;
    int order = strcmp(x->c->repo, y->c->repo);
    if (!order) order = (x->c->label > y->c->label) - (x->c->label < y->c->label);
    if (!order) order = (x->c->time > y->c->time) - (x->c->time < y->c->time);
    return order ? order : (x->i > y->i) - (x->i < y->i);
}

/* Sorts the commits by project, label and time, and moves the last of each group to `valid`. */
void jit_cut(JitSet *train, JitSet *valid, Arena *a, const JitSet *s, double share)
{
    Dated *d = NEW(a, Dated, s->n);
    bool *late = NEW(a, bool, s->n);
    for (int64_t i = 0; i < s->n; i++) d[i] = (Dated){&s->change[i], i};
    qsort(d, (size_t)s->n, sizeof *d, by_group_and_time);
    for (int64_t i = 0, j; i < s->n; i = j) {
        for (j = i; j < s->n && d[j].c->label == d[i].c->label && !strcmp(d[j].c->repo, d[i].c->repo);) j++;
        int64_t cut = j - (int64_t)floor((double)(j - i) * share + 0.5);
        for (int64_t k = cut > i ? cut : i + 1; k < j; k++) late[d[k].i] = true;
    }
    *train = *valid = (JitSet){0};
    train->change = NEW(a, CodeChange, s->n), valid->change = NEW(a, CodeChange, s->n);
    for (int64_t i = 0; i < s->n; i++) {
        JitSet *to = late[i] ? valid : train;
        to->change[to->n++] = s->change[i];
    }
    jit_count(train), jit_count(valid);
}

/* ---- features */

static double raw(const CodeChange *c, int i, bool log)
{
    double x = c->feature[i];
    return log ? copysign(log1p(fabs(x)), x) : x;
}

/* Mean and standard deviation of one feature over the commits of which it is known. */
static void scale_of(double *mean, double *sd, const JitSet *s, int k, bool log)
{
    double sum = 0, squares = 0;
    int64_t known = 0;
    for (int64_t i = 0; i < s->n; i++) {
        double x = raw(&s->change[i], k, log);
        if (isnan(x)) continue;
        sum += x;
        known++;
    }
    *mean = known ? sum / (double)known : 0;
    for (int64_t i = 0; i < s->n; i++) {
        double x = raw(&s->change[i], k, log);
        if (!isnan(x)) squares += pow(x - *mean, 2);
    }
    *sd = known ? sqrt(squares / (double)known) : 0;
}

JitScale jit_scale(const JitSet *s, bool log)
{
    JitScale f = {.log = log};
    for (int k = 0; k < N_FEATURES; k++) scale_of(&f.mean[k], &f.sd[k], s, k, log);
    return f;
}

void jit_scale_drop(JitScale *f, int feature)
{
    f->mean[feature] = f->sd[feature] = 0;
}

void jit_features(double out[N_FEATURES], const CodeChange *c, const JitScale *f)
{
    for (int k = 0; k < N_FEATURES; k++) {
        bool constant = f->sd[k] <= 1e-12 * (1 + fabs(f->mean[k]));
        bool known = c->has_features && !isnan(c->feature[k]);
        out[k] = constant || !known ? 0 : (raw(c, k, f->log) - f->mean[k]) / f->sd[k];
    }
}

/* ---- scores */

typedef struct { /* (n) each: the part of a measure that no score changes */
    int64_t n;
    int32_t *label;
    double *effort, *place;
    const char **project;
} Facts;

static Facts facts_of(Arena *a, const JitSet *s)
{
    Facts f = {s->n, NEW(a, int32_t, s->n), NEW(a, double, s->n), NEW(a, double, s->n), NEW(a, const char *, s->n)};
    int64_t *time = NEW(a, int64_t, s->n);
    for (int64_t i = 0; i < s->n; i++) {
        const CodeChange *c = &s->change[i];
        f.label[i] = c->label == 1, f.effort[i] = jit_effort(c), f.project[i] = c->repo, time[i] = c->time;
    }
    place_of(f.place, f.project, time, s->n);
    return f;
}

static JitScores scores_of(const Facts *f, const double *score, double threshold)
{
    return (JitScores){score_binary(f->label, score, f->n, threshold),
                       effort_scores(f->label, score, f->effort, f->n),
                       place_auc(NULL, f->label, score, f->project, f->place, f->n)};
}

JitScores jit_scores(const JitSet *s, const double *score, double threshold)
{
    Arena a = arena_open(0);
    Facts f = facts_of(&a, s);
    JitScores out = scores_of(&f, score, threshold);
    arena_close(&a);
    return out;
}

JitScores jit_random(const JitSet *s, uint64_t seed)
{
    Arena a = arena_open(0);
    JitScores sum = {0};
    double *score = NEW(&a, double, s->n);
    uint64_t stream = rng_stream(seed, "jit/random");
    Facts f = facts_of(&a, s);
    for (int d = 0; d < JIT_RANDOM_DRAWS; d++) {
        for (int64_t i = 0; i < s->n; i++) score[i] = rng_uniform(rng_mix(stream, (uint64_t)d), (uint64_t)i);
        JitScores x = scores_of(&f, score, 0.5);
        const double *from = (const double *)&x.effort;
        double *to = (double *)&sum.effort;
        for (size_t k = 0; k < sizeof x.effort / sizeof(double); k++) to[k] += from[k] / JIT_RANDOM_DRAWS;
        sum.at.precision += x.at.precision / JIT_RANDOM_DRAWS;
        sum.at.recall += x.at.recall / JIT_RANDOM_DRAWS;
        sum.at.f1 += x.at.f1 / JIT_RANDOM_DRAWS;
        sum.at.auc += x.at.auc / JIT_RANDOM_DRAWS;
        sum.paired += x.paired / JIT_RANDOM_DRAWS;
        sum.at.average_precision += x.at.average_precision / JIT_RANDOM_DRAWS;
    }
    sum.at.n = s->n, sum.at.positives = s->positives;
    arena_close(&a);
    return sum;
}

double jit_best_threshold(const JitSet *set, const double *score)
{
    double best = 0, at = 0.5;
    for (int64_t i = 0; i < set->n; i++) {
        if (set->change[i].label != 1) continue;
        int64_t hits = 0, called = 0;
        for (int64_t k = 0; k < set->n; k++) {
            called += score[k] >= score[i];
            hits += score[k] >= score[i] && set->change[k].label == 1;
        }
        double f1 = 2 * (double)hits / (double)(called + set->positives);
        if (f1 > best) best = f1, at = score[i];
    }
    return at;
}

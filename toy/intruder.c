/* toy/intruder: do low-rank updates forget through new singular directions, or through their learning rate?
 *
 * Claim    LoRA of low rank has intruder dimensions: leading left singular vectors of the tuned matrix that are
 *          unlike every one of the pretrained matrix.  Full fine-tuning to the same accuracy has not, at whatever
 *          learning rate.  And they carry the forgetting: shrinking them restores more of the old tasks than
 *          shrinking the whole update does at the same price on the target.
 * Method   A model pretrained on four digit tasks learns a fifth by LoRA of several ranks, full fine-tuning, IA3, a
 *          prefix and an adapter, each at learning rates over a factor of a hundred, until token accuracy reaches
 *          the match.  Updates are merged; a vector among the first k of a matrix is an intruder when its largest
 *          |cosine| with the pretrained left singular vectors is below epsilon.  Then the singular values of
 *          intruders are multiplied by one half, and in another copy the whole change of the weights by the factor
 *          that costs the target as much; the losses of the old tasks, in context, are compared.
 * Expect   At each method's least learning rate that matches for every seed, and at its greatest: LoRA of the least
 *          rank minus full fine-tuning above .1 intruders a matrix, which is more than one in the twelve matrices of
 *          two layers.  At LoRA's greatest such rate: the shrunk update's old-task loss minus that with halved
 *          intruders above .01 nats, which is one per cent of the likelihood of a token.  The old-task loss of all
 *          methods at the match is reported.
 * Gate     The model has learned the old tasks: its loss on their last outputs is below half of that of ignoring the
 *          input.
 * Cost     seconds; twelve minutes; four hours.
 * Source   Shuttleworth et al. ("LoRA vs full fine-tuning: an illusion of equivalence", arXiv 2410.21228, 2024) find
 *          the intruders, with k = 10 and epsilon near .6, and scale them; Biderman et al. ("LoRA learns less and
 *          forgets less", TMLR 2024).  Both have language models, few seeds, no prefix, and no sweep of the rate.
 *
 * Epsilon  In 64 dimensions the largest of 64 cosines of a random direction is .37 +- .05, and an even mixture of two
 *          pretrained vectors, which near singular values make by themselves, has .71.  So .6 lies between the two.
 * What it does not show: large models, other ways to shrink, and forgetting of anything but four tasks on digits. */
#include <math.h>
#include <string.h>

#include "base/rng.h"
#include "base/str.h"
#include "lab/sweep.h"
#include "num/linalg.h"

enum { SCALES = 3, CLAIMED = 1, MOST_RANKS = 6, MATRICES = 128, BISECTIONS = 10 };
static const double SCALE[SCALES] = {0, 0.5, 0.75}; /* of the intruders' singular values */

typedef struct {
    double target, old; /* loss of the target; of the last outputs of the old tasks in context */
} Losses;
typedef struct {
    LabResult result;
    bool matched, weights;                 /* the method changes or can be merged into the weights */
    Losses before, tuned;                  /* the pretrained model; with the method */
    double intruders, size;                /* for each matrix; norm of the change over that of the weights, mean */
    Losses scaled[SCALES], shrunk[SCALES]; /* intruders scaled; the update shrunk to the same target loss */
} Outcome;

typedef struct {
    LabModel model;
    DigitMix old;
    const char *target;
    char method[SWEEP_ARMS][24];
    const char *name[SWEEP_ARMS];
    int methods, low, full; /* low: LoRA of the least rank */
    double rate[RUN_LIST], rank[RUN_LIST], epsilon;
    int rates, ranks, leading;
    Sweep sweep;
} Question;

/* ---- the question */

static void add_method(Run *r, Question *q, LabArm arm, const char *name)
{
    double lr = arm.lr;
    for (int k = 0; k < q->rates; k++) {
        arm.name = str_print(run_arena(r), "%s at %g", name, q->rate[k]);
        arm.lr = lr * q->rate[k], arm.steps = run_int(r, "steps"), arm.target = q->target;
        arm.watch = lab_watch_token, arm.until = run_real(r, "match") / 100;
        q->sweep.arm[q->sweep.arms++] = (SweepArm){arm, &q->model, q->methods};
    }
    q->name[q->methods++] = name;
}

static Status ask(Run *r, Question *q)
{
    Arena *a = run_arena(r);
    LabModel *l = &q->model;
    char word[SWEEP_ARMS][24];
    int others;
    *l = lab_composer(run_preset(r));
    l->tasks = run_text(r, "pretrain"), l->layers = (int)run_int(r, "layers"), l->dim = (int)run_int(r, "dim");
    l->layout.slots = 1, l->steps = run_int(r, "pretrain-steps"), l->lr = run_real(r, "lr");
    l->batch = run_int(r, "batch"), l->test = run_int(r, "test");
    TRY(lab_check(l));
    TRY(digits_mix(&q->old, l->tasks));
    q->target = run_text(r, "target");
    TRY(digits_mix(&(DigitMix){0}, q->target));
    TRY(sweep_methods(word, SWEEP_ARMS, &others, run_text(r, "methods")));
    q->rates = run_list(r, "rates", q->rate), q->ranks = run_list(r, "ranks", q->rank);
    q->epsilon = run_real(r, "epsilon"), q->leading = (int)run_int(r, "leading");
    if (q->ranks > MOST_RANKS || (q->ranks + 1 + others) * q->rates > SWEEP_ARMS || 6 * l->layers > MATRICES)
        return err_fail(E_CONFIG, "at most %d ranks, %d trainings and %d layers", MOST_RANKS, SWEEP_ARMS,
                        MATRICES / 6);
    for (int k = 0; k < q->ranks; k++) {
        LabArm arm = lab_arm("lora");
        arm.options = str_print(a, "rank=%g,alpha=%g,target=*", q->rank[k], q->rank[k]);
        if (q->rank[k] < q->rank[q->low]) q->low = k;
        add_method(r, q, arm, str_print(a, "LoRA %g", q->rank[k]));
    }
    q->full = q->methods;
    add_method(r, q, lab_arm("full"), "full");
    for (int k = 0; k < others; k++) add_method(r, q, lab_arm(word[k]), str_copy(a, word[k], strlen(word[k])));
    q->sweep.rates = 1, q->sweep.scale[0] = 1; /* every rate is an arm: all of them are looked at */
    return OK;
}

/* ---- one tuned model */

static double target_loss(const Question *q, Model *m, const Hooks *hooks)
{
    LabHeld x;
    DigitMix task = {{digit_task(q->target)}, 1};
    lab_held(&x, m, hooks, &q->model, &task, q->model.test, rng_stream(1, "held"));
    return x.loss;
}

static Losses read_losses(const Question *q, Model *m, const Hooks *hooks)
{
    LabHeld old[DIGIT_MIX];
    lab_held(old, m, hooks, &q->model, &q->old, q->model.test, rng_stream(1, "held"));
    return (Losses){target_loss(q, m, hooks), lab_old_loss(old, &q->old, q->target)};
}

typedef struct {
    const Linear *at[MATRICES];
    Tensor before[MATRICES], tuned[MATRICES], intruder[MATRICES]; /* intruder: sum of s u v' over the intruders */
    int n;
} Weights;

/* The part of a tuned matrix in its intruders; returns how many there are. */
static Status find_intruders(const Question *q, Arena *a, Tensor before, Tensor tuned, Tensor *part, int *found)
{
    Svd old, now;
    TRY(linalg_svd(&old, a, before));
    TRY(linalg_svd(&now, a, tuned));
    int64_t out = tuned.dim[0], in = tuned.dim[1], most = now.s.dim[0], n = q->leading < most ? q->leading : most;
    *part = tensor_zero(a, F64, SHAPE(out, in)), *found = 0;
    for (int64_t j = 0; j < n; j++) {
        double nearest = 0;
        for (int64_t i = 0; i < most; i++) {
            double cosine = 0;
            for (int64_t o = 0; o < out; o++)
                cosine += tensor_get(now.u, o * most + j) * tensor_get(old.u, o * most + i);
            nearest = fmax(nearest, fabs(cosine));
        }
        if (nearest >= q->epsilon) continue;
        ++*found;
        for (int64_t k = 0; k < out * in; k++)
            tensor_set(*part, k,
                       tensor_get(*part, k) + tensor_get(now.s, j) * tensor_get(now.u, k / in * most + j) *
                                                  tensor_get(now.vt, j * in + k % in));
    }
    return OK;
}

static double norm(Tensor a, double s, Tensor b)
{
    double sum = 0;
    for (int64_t k = 0; k < tensor_count(a); k++) sum += pow(tensor_get(a, k) + s * tensor_get(b, k), 2);
    return sqrt(sum);
}

static Status compare_weights(const Question *q, Arena *a, const Model *base, const Model *m, Weights *w, Outcome *o)
{
    w->n = 0;
    for (int k = 0; k < m->n_linears; k++) {
        if (m->linears[k].at.site == SITE_QKV) continue; /* its thirds are listed, too */
        int i = w->n++, found;
        w->at[i] = &m->linears[k];
        w->before[i] = linear_matrix(a, &base->linears[k]), w->tuned[i] = linear_matrix(a, w->at[i]);
        TRY(find_intruders(q, a, w->before[i], w->tuned[i], &w->intruder[i], &found));
        o->intruders += found, o->size += norm(w->tuned[i], -1, w->before[i]) / norm(w->before[i], 0, w->before[i]);
    }
    o->intruders /= w->n, o->size /= w->n;
    return OK;
}

/* Every matrix becomes tuned + s part, where the part is that in its intruders, or the whole update. */
static void write_weights(const Weights *w, Arena *a, double s, bool intruders)
{
    ArenaMark mark = arena_mark(a);
    for (int i = 0; i < w->n; i++) {
        Tensor x = tensor_copy(a, w->tuned[i]);
        for (int64_t k = 0; k < tensor_count(x); k++) {
            double whole = tensor_get(x, k) - tensor_get(w->before[i], k);
            tensor_set(x, k, tensor_get(x, k) + s * (intruders ? tensor_get(w->intruder[i], k) : whole));
        }
        linear_set(w->at[i], x);
    }
    arena_drop(a, mark);
}

/* The losses with the whole update times the factor in [0,1] that gives the target this loss. */
static Losses shrink(const Question *q, Model *m, Arena *a, const Weights *w, double target)
{
    double lo = 0, hi = 1;
    for (int i = 0; i < BISECTIONS; i++) {
        double c = (lo + hi) / 2;
        write_weights(w, a, c - 1, false);
        if (target_loss(q, m, NULL) > target)
            lo = c;
        else
            hi = c;
    }
    return read_losses(q, m, NULL);
}

static Status tune(Run *r, SweepJob *j, void *out, void *user)
{
    const Question *q = user;
    Outcome *o = out;
    const Peft *method = peft_find(j->arm.method);
    Model *base;
    Weights *w = NEW(j->run, Weights, 1);
    TRY(lab_open(&base, j->run, r, j->model, j->seed));
    TRY(lab_attach(j->m, j->hooks, j->model, &j->arm));
    TRY(lab_train(r, j->run, j->m, j->hooks, j->model, &j->arm, j->seed, &o->result));
    o->matched = sweep_match(&o->result, &j->arm);
    o->before = read_losses(q, base, NULL), o->tuned = read_losses(q, j->m, j->hooks);
    o->weights = method->merge || method->changes_base;
    if (!o->weights || !o->matched) return OK;
    if (method->merge) TRY(lab_fold(j->m, j->model, &j->arm, false));
    TRY(compare_weights(q, j->run, base, j->m, w, o));
    for (int k = 0; k < SCALES && o->intruders > 0; k++) {
        if (run_stopped()) return run_interrupted();
        write_weights(w, j->run, SCALE[k] - 1, true);
        o->scaled[k] = read_losses(q, j->m, NULL);
        o->shrunk[k] = shrink(q, j->m, j->run, w, o->scaled[k].target);
    }
    return OK;
}

/* ---- the results */

/* The seeds' outcomes of a method at rate k. */
static const Outcome *of(const Question *q, const SweepBest *best, int method, int k)
{
    return best[method * q->rates + k].outcome;
}

static int matches(const Outcome *o, int seeds)
{
    int n = 0;
    for (int s = 0; s < seeds; s++) n += o[s].matched;
    return n;
}

/* The least or the greatest rate at which all seeds match; -1: none. */
static int rate_end(const Question *q, const SweepBest *best, int method, int seeds, bool greatest)
{
    int end = -1;
    for (int k = 0; k < q->rates; k++) {
        if (matches(of(q, best, method, k), seeds) < seeds) continue;
        if (end < 0 || (q->rate[k] > q->rate[end]) == greatest) end = k;
    }
    return end;
}

typedef enum { INTRUDERS, SIZE, OLD, STEPS } What;
static double value(const Outcome *o, What what)
{
    if (!o->matched || (!o->weights && what < OLD)) return NAN;
    return what == INTRUDERS ? o->intruders : what == SIZE ? o->size : what == OLD ? o->tuned.old : o->result.last;
}

static double mean(const Outcome *o, int seeds, What what)
{
    double sum = 0;
    for (int s = 0; s < seeds; s++) sum += value(&o[s], what) / seeds;
    return sum;
}

static void record(Run *r, const Question *q, const SweepBest *best)
{
    static const char *const WHAT[] = {"intruders a matrix", "relative size of the update",
                                       "loss of the old tasks (nats)", "steps to the match"};
    for (int m = 0; m < q->methods; m++)
        for (int k = 0; k < q->rates; k++)
            for (int w = 0; w <= STEPS; w++)
                for (int s = 0; s < run_seeds(r); s++) {
                    const Outcome *o = of(q, best, m, k) + s;
                    if (!o->weights && w < OLD) continue;
                    run_metric(r, RANGE_POSITIVE,
                               str_print(run_arena(r), "%s at %g: %s", q->name[m], q->rate[k], WHAT[w]), s,
                               value(o, (What)w));
                }
}

static const char *number(Arena *a, const Outcome *o, int seeds, What what)
{
    double x = mean(o, seeds, what);
    return isnan(x) ? "" : str_print(a, what == STEPS ? "%.0f" : "%.2f", x);
}

static void tabulate(Run *r, const Question *q, const SweepBest *best)
{
    enum { COLUMNS = 8 };
    static const char *const HEAD[COLUMNS] = {"method", "parameters", "learning rate", "seeds matched",
                                              "steps",  "update",     "intruders",     "old loss"};
    Arena *a = run_arena(r);
    int seeds = run_seeds(r), rows = 0;
    const char **cell = NEW(a, const char *, q->methods * q->rates * COLUMNS);
    for (int m = 0; m < q->methods; m++)
        for (int k = 0; k < q->rates; k++) {
            const Outcome *o = of(q, best, m, k);
            const char **c = cell + COLUMNS * rows++;
            c[0] = q->name[m];
            c[1] = str_print(a, "%lld", (long long)o->result.params);
            c[2] = str_print(a, "%.2g", q->sweep.arm[m * q->rates + k].arm.lr);
            c[3] = str_print(a, "%d", matches(o, seeds));
            c[4] = number(a, o, seeds, STEPS), c[5] = number(a, o, seeds, SIZE);
            c[6] = number(a, o, seeds, INTRUDERS), c[7] = number(a, o, seeds, OLD);
        }
    double before = 0;
    for (int s = 0; s < seeds; s++) before += of(q, best, 0, 0)[s].before.old / seeds;
    run_table(r,
              str_print(a,
                        "at %.4g %% token accuracy on %s, mean of %d %s where all of them match: norm of the update "
                        "over that of the weights, intruders for each matrix, loss of the old tasks (%.2f before)",
                        run_real(r, "match"), q->target, seeds, str_plural(seeds, "seed", "seeds"), before),
              COLUMNS, HEAD, rows, cell);
}

static Series over_rates(Run *r, const Question *q, const SweepBest *best, int method, What what)
{
    Arena *a = run_arena(r);
    int seeds = run_seeds(r);
    double *x = NEW(a, double, q->rates *seeds);
    Tensor at = tensor_new(a, F64, SHAPE(q->rates));
    for (int k = 0; k < q->rates; k++) {
        tensor_set(at, k, q->rate[k]);
        for (int s = 0; s < seeds; s++) x[k * seeds + s] = value(of(q, best, method, k) + s, what);
    }
    Series line = seeds_series(a, x, q->rates, seeds, q->name[method]);
    line.x = at, line.marked = true;
    return line;
}

static Status draw(Run *r, const Question *q, const SweepBest *best)
{
    Arena *a = run_arena(r);
    Series line[2][SWEEP_ARMS];
    int n[2] = {0}, seeds = run_seeds(r);
    for (int m = 0; m < q->methods; m++) {
        if (of(q, best, m, 0)->weights) line[0][n[0]++] = over_rates(r, q, best, m, INTRUDERS);
        line[1][n[1]++] = over_rates(r, q, best, m, OLD);
    }
    Fig *f = run_figure(r, "rates",
                        str_print(a,
                                  "At the same token accuracy on %s, by learning rate: intruder dimensions among the "
                                  "first %d singular vectors of each matrix (a), and loss of the old tasks (b). Mean "
                                  "and range of %d %s; a point is missing where a seed does not reach the match.",
                                  q->target, q->leading, seeds, str_plural(seeds, "seed", "seeds")),
                        500, 220);
    static const char *const TITLE[] = {"intruders a matrix", "old-task loss (nats)"};
    for (int i = 0; i < 2; i++)
        fig_lines(f, fig_cell(f, 1, 2, i), n[i], line[i],
                  (PlotStyle){.letter = i ? "b" : "a",
                              .x = {.title = "factor of the learning rate", .log = true},
                              .y = {.title = TITLE[i]}});
    return fig_close(f);
}

/* Intruders of LoRA of the least rank less those of full fine-tuning, each at the end of its rates. */
static double judge_count(Run *r, const Question *q, const SweepBest *best, bool greatest)
{
    int seeds = run_seeds(r), lora = rate_end(q, best, q->low, seeds, greatest),
        full = rate_end(q, best, q->full, seeds, greatest);
    const char *says = str_print(run_arena(r), "intruders a matrix, %s less full, each at its %s learning rate",
                                 q->name[q->low], greatest ? "greatest" : "least");
    if (lora < 0 || full < 0) {
        run_unjudged(r, says, "since no learning rate reaches the match for every seed");
        return NAN;
    }
    double *more = NEW(run_arena(r), double, seeds);
    for (int s = 0; s < seeds; s++)
        more[s] = of(q, best, q->low, lora)[s].intruders - of(q, best, q->full, full)[s].intruders;
    run_claim(r, says, (Claim){MORE_THAN, run_real(r, "more")}, RANGE_ANY, more);
    return seeds_mean(more, seeds);
}

/* The old-task loss that halved intruders take away beyond a shrunk update. */
static double judge_carried(Run *r, const Question *q, const SweepBest *best)
{
    int seeds = run_seeds(r), fast = rate_end(q, best, q->low, seeds, true);
    const char *says =
        str_print(run_arena(r),
                  "loss of the old tasks at the same target loss, update shrunk less intruders halved, "
                  "%s at its greatest learning rate (nats)",
                  q->name[q->low]);
    double *carried = NEW(run_arena(r), double, seeds);
    bool all = fast >= 0;
    for (int s = 0; s < seeds && all; s++) {
        const Outcome *o = of(q, best, q->low, fast) + s;
        all = o->intruders > 0, carried[s] = o->shrunk[CLAIMED].old - o->scaled[CLAIMED].old;
    }
    if (!all) {
        run_unjudged(r, says, "since not every seed matches with an intruder");
        return NAN;
    }
    run_claim(r, says, (Claim){MORE_THAN, run_real(r, "carried")}, RANGE_ANY, carried);
    return seeds_mean(carried, seeds);
}

static void judge_learned(Run *r, const Question *q, const SweepBest *best)
{
    int seeds = run_seeds(r);
    double *old = NEW(run_arena(r), double, seeds), ignoring = 0;
    for (int s = 0; s < seeds; s++) old[s] = of(q, best, q->low, 0)[s].before.old;
    for (int k = 0; k < q->old.n; k++) ignoring += digits_floors(q->old.task[k], 50000, 1).position / q->old.n;
    run_gate(r, "loss of the old tasks' last outputs before tuning (nats)", (Claim){LESS_THAN, ignoring / 2},
             RANGE_POSITIVE, old);
}

/* The intruders of LoRA of the least rank scaled, at its greatest rate, over the seeds that have any. */
static void tabulate_scales(Run *r, const Question *q, const SweepBest *best)
{
    enum { COLUMNS = 4 };
    static const char *const HEAD[COLUMNS] = {"singular values times", "target loss", "old loss",
                                              "old loss, update shrunk"};
    Arena *a = run_arena(r);
    int seeds = run_seeds(r), fast = rate_end(q, best, q->low, seeds, true), n = 0;
    if (fast < 0) return;
    const Outcome *o = of(q, best, q->low, fast);
    double sum[SCALES + 1][3] = {{0}};
    for (int s = 0; s < seeds; s++) {
        if (o[s].intruders <= 0) continue;
        n++;
        for (int k = 0; k < SCALES; k++)
            sum[k][0] += o[s].scaled[k].target, sum[k][1] += o[s].scaled[k].old, sum[k][2] += o[s].shrunk[k].old;
        sum[SCALES][0] += o[s].tuned.target, sum[SCALES][1] += o[s].tuned.old, sum[SCALES][2] += o[s].tuned.old;
    }
    const char **cell = NEW(a, const char *, (SCALES + 1) * COLUMNS);
    for (int k = 0; k <= SCALES && n; k++) {
        cell[k * COLUMNS] = str_print(a, "%g", k < SCALES ? SCALE[k] : 1);
        for (int c = 0; c < 3; c++) cell[k * COLUMNS + 1 + c] = str_print(a, "%.3f", sum[k][c] / n);
    }
    if (n)
        run_table(r,
                  str_print(a,
                            "%s at %g times its learning rate: intruders scaled, and the whole update shrunk to the "
                            "same target loss; mean of the %d %s with intruders",
                            q->name[q->low], q->rate[fast], n, str_plural(n, "seed", "seeds")),
                  COLUMNS, HEAD, SCALES + 1, cell);
}

static Status run(Run *r)
{
    Question *q = arena_zero(run_arena(r), sizeof *q);
    TRY(ask(r, q));
    TRY(lab_pretrain(r, &q->model, 1));
    q->sweep.tune = tune, q->sweep.size = sizeof(Outcome), q->sweep.user = q;
    SweepBest best[SWEEP_ARMS];
    TRY(sweep_run(r, &q->sweep, best));
    record(r, q, best);
    tabulate(r, q, best);
    tabulate_scales(r, q, best);
    TRY(draw(r, q, best));
    judge_learned(r, q, best);
    double slow = judge_count(r, q, best, false), fast = judge_count(r, q, best, true),
           carried = judge_carried(r, q, best);
    run_note(r, "Intruders are looked for among the first %d left singular vectors, with all cosines below %g.",
             q->leading, q->epsilon);
    const char *shrunk = isnan(carried)
                             ? "Halving them was not measured"
                             : str_print(run_arena(r),
                                         "Halving them leaves the loss of the old tasks %.3f nats below that of an "
                                         "update shrunk at the same price",
                                         carried);
    run_conclude(
        r,
        "At the same accuracy %s has %.2f intruders a matrix more than full fine-tuning at the least learning "
        "rates and %.2f at the greatest. %s (means of %d %s).",
        q->name[q->low], slow, fast, shrunk, run_seeds(r), str_plural(run_seeds(r), "seed", "seeds"));
    return OK;
}

static const Setting SETTINGS[] = {
    {"pretrain", "tasks of pretraining, mixed: the old tasks", {"asc,desc,add1,add2"}, 0, 0, NULL},
    {"target", "the task to learn", {"desc-add1"}, 0, 0, NULL},
    {"ranks", "ranks of LoRA on every linear layer", {"1,", "1,4,16", "1,2,4,8,16,32"}, 1, 512},
    {"methods", "methods beside LoRA and full fine-tuning", {"prefix", "ia3,prefix,adapter", NULL}, 0, 0, NULL},
    {"rates", "factors of each method's usual learning rate", {"1,", "0.1,0.3,1,3,10", NULL}, 1e-6, 1e6},
    {"match", "token accuracy on the target at which training stops (%)", {"15.0", "80.0", "95.0"}, 0, 100},
    {"steps", "most steps of tuning", {"20", "3000", "20000"}, 1, 1e7},
    {"leading", "left singular vectors of each matrix that are looked at", {"10"}, 1, 4096},
    {"epsilon", "an intruder's largest |cosine| with a pretrained vector", {"0.6"}, 0, 1},
    {"more", "intruders a matrix that the claim requires", {"0.1"}, 0, 100},
    {"carried", "nats of old-task loss that the claim requires", {"0.01"}, 0, 10},
    {"pretrain-steps", "steps of pretraining", {"40", "2400", "20000"}, 1, 1e7},
    {"lr", "learning rate of pretraining", {"2e-3", "2e-3", "5e-4"}, 1e-7, 1},
    {"layers", "layers", {"2"}, 1, 16},
    {"dim", "hidden size", {"32", "64", "128"}, 8, 4096},
    {"batch", "examples a step", {"16", "32", "64"}, 1, 65536},
    {"test", "held-out inputs of each task", {"50", "400", "3200"}, 1, 1e6},
    {0}};

static const Experiment INTRUDER = {
    .group = "toy",
    .name = "intruder",
    .title = "Intruder dimensions of LoRA: whether the rate makes them, and whether they forget",
    .claim =
        "At the same accuracy low-rank LoRA has intruder dimensions where full fine-tuning has none, at whatever "
        "learning rate, and shrinking them restores more of the old tasks than shrinking the whole update.",
    .method =
        "LoRA of several ranks, full fine-tuning, IA3, prefix and adapter over a factor of 100 in learning rate, "
        "stopped at matched accuracy; singular vectors against the pretrained ones; intruders scaled.",
    .expect = "More than .1 intruders a matrix above full fine-tuning at the least and at the greatest rates; more "
              "than .01 nats of old-task loss at the same target loss.",
    .cost = "smoke seconds, quick twelve minutes, paper four hours",
    .source = "after Shuttleworth et al. (arXiv 2410.21228, 2024) and Biderman et al. (TMLR 2024)",
    .settings = SETTINGS,
    .seeds = {1, 5, 10},
    .run = run};
REGISTER(experiment, INTRUDER)

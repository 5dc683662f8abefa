/* toy/forgetting: how much of the old tasks is left, and does removing the method restore the old model?
 *
 * Claim    At the same accuracy on the target a prefix forgets less: it raises the loss of the other tasks less than
 *          methods that change or add weights.  Removing a prefix, an adapter or a LoRA hook restores the pretrained
 *          model exactly: its logits on any input are the same bytes as before.  Merging a LoRA and taking it out
 *          again does so up to rounding only, and full fine-tuning not at all.
 * Method   Pretrain on a mixture of tasks without a task token; tune each method on one of them, at several
 *          learning rates, until its token accuracy reaches the match; the rate that gets there first counts.  Old
 *          tasks are scored twice: greedy exact match, which must fall to zero on an input without a task token
 *          whatever the method, since one input has one output; and token accuracy, teacher-forced, at the last
 *          outputs, where the context shows which task it is. The second measures forgetting.  Then the hooks go and
 *          the logits of a held-out batch are compared byte by byte with those of the pretrained model.
 * Expect   Old-task loss: the prefix below each method without virtual tokens, seed by seed (margin 0, since any
 *          difference counts).  Zeros after removal for every method attached by hooks; not for full tuning.
 * Cost     seconds; two minutes; an hour.
 * Source   The accuracy matrix is that of Petrov, Torr and Bibi (ICLR 2024), section 5, experiment 2.
 *
 * What it does not show: forgetting of knowledge.  Four tasks on digits share nearly everything. */
#include <math.h>
#include <string.h>

#include "base/rng.h"
#include "base/str.h"
#include "lab/sweep.h"

enum { TASKS = 6 };

typedef struct {
    double exact[TASKS], late[TASKS]; /* % */
    double old_loss;                  /* of the last outputs in context, mean over the tasks but the target; nats */
    int64_t changed;                  /* logits whose bytes differ from the pretrained model's, with the method off */
    double largest;                   /* and the largest of those differences */
    double merged;                    /* the same after merging and unmerging; NaN where there is no merge */
} Reading;
typedef struct {
    LabResult result;
    Reading on;
    bool matched;
} Outcome;

typedef struct {
    LabModel recipe;
    DigitMix old;
    const char *target;
    char method[SWEEP_ARMS][24];
    int methods;
} Question;

/* ---- readings ---- */

static void read_tasks(Reading *out, Model *m, const Hooks *hooks, const Question *q)
{
    DigitScore greedy[DIGIT_MIX];
    LabHeld held[DIGIT_MIX];
    lab_score(m, hooks, &q->recipe, &q->old, greedy);
    lab_held(held, m, hooks, &q->recipe, &q->old, q->recipe.test, rng_stream(1, "held"));
    out->old_loss = lab_old_loss(held, &q->old, q->target);
    for (int k = 0; k < q->old.n; k++) {
        out->exact[k] = 100 * greedy[k].exact, out->late[k] = 0;
        for (int i = LENGTH - LAB_SHOWN; i < LENGTH; i++) out->late[k] += 100 * held[k].place_token[i] / LAB_SHOWN;
    }
}

static Tensor logits(Arena *run, Model *m, const Question *q)
{
    Arena step = arena_open(0);
    Batch b = digits_batch(&step, &q->old, q->recipe.layout, 64, rng_stream(1, "restored"), 0, true);
    Var *x = model_logits(m, &(Pass){.tape = tape_open(&step, false)}, &b);
    Tensor copy = tensor_copy(run, x->val);
    arena_close(&step);
    return copy;
}

static int64_t differ(Tensor a, Tensor b, double *largest)
{
    int64_t n = 0;
    *largest = 0;
    for (int64_t i = 0; i < tensor_count(a); i++) {
        n += memcmp(tensor_place(a, i), tensor_place(b, i), dtype_size(a.dtype)) != 0;
        *largest = fmax(*largest, fabs(tensor_get(a, i) - tensor_get(b, i)));
    }
    return n;
}

static Status merge_and_back(Reading *out, SweepJob *j, Tensor before, const Question *q)
{
    const Peft *method = peft_find(j->arm.method);
    out->merged = NAN;
    if (!method->merge || !method->unmerge) return OK;
    TRY(lab_fold(j->m, j->model, &j->arm, false));
    TRY(lab_fold(j->m, j->model, &j->arm, true));
    differ(logits(j->run, j->m, q), before, &out->merged);
    return OK;
}

static Status tune(Run *r, SweepJob *j, void *out, void *user)
{
    const Question *q = user;
    Outcome *o = out;
    Tensor before = logits(j->run, j->m, q);
    TRY(lab_attach(j->m, j->hooks, j->model, &j->arm));
    TRY(lab_train(r, j->run, j->m, j->hooks, j->model, &j->arm, j->seed, &o->result));
    o->matched = sweep_match(&o->result, &j->arm);
    read_tasks(&o->on, j->m, j->hooks, q);
    o->on.changed = differ(logits(j->run, j->m, q), before, &o->on.largest);
    return merge_and_back(&o->on, j, before, q);
}

/* Job i: the pretrained model of seed i. */
static Status read_pretrained(Run *r, int i, void *out, void *user)
{
    const Question *q = user;
    Arena run = arena_open(0);
    Model *m;
    TRY(lab_open(&m, &run, r, &q->recipe, run_seed(r, i)));
    read_tasks(out, m, NULL, q);
    arena_close(&run);
    return OK;
}

/* ---- the results ---- */

static void record(Run *r, const Question *q, const char *name, int i, const Reading *x)
{
    Arena *a = run_arena(r);
    run_metric(r, RANGE_POSITIVE, str_print(a, "%s: loss of the old tasks' last tokens in context (nats)", name), i,
               x->old_loss);
    for (int k = 0; k < q->old.n; k++) {
        run_metric(r, RANGE_PERCENT, str_print(a, "%s: %s exact match (%%)", name, q->old.task[k]->name), i,
                   x->exact[k]);
        run_metric(r, RANGE_PERCENT,
                   str_print(a, "%s: %s accuracy of the last tokens in context (%%)", name, q->old.task[k]->name), i,
                   x->late[k]);
    }
}

static Status draw_matrix(Run *r, const Question *q, const Tensor map[2])
{
    Arena *a = run_arena(r);
    const char *row[SWEEP_ARMS + 1] = {"pretrained"}, *col[TASKS];
    for (int k = 0; k < q->methods; k++) row[k + 1] = q->method[k];
    for (int k = 0; k < q->old.n; k++) col[k] = q->old.task[k]->name;
    HeatStyle style[2];
    for (int s = 0; s < 2; s++)
        style[s] = (HeatStyle){.title = s ? "accuracy of the last tokens, in context (%)" : "greedy exact match (%)",
                               .letter = s ? "b" : "a",
                               .hi = 100,
                               .row = row,
                               .col = col,
                               .values = true,
                               .stretch = true,
                               .bar = s == 1};
    Fig *f = run_figure(
        r, "matrix",
        str_print(
            a,
            "Old tasks after tuning on \"%s\", mean of %d %s. With greedy decoding one input has one answer, so the "
            "other tasks are lost (a). With their own first outputs as context, their remaining accuracy shows (b).",
            run_text(r, "target"), run_seeds(r), str_plural(run_seeds(r), "seed", "seeds")),
        500, 40 + 22 * (q->methods + 2));
    fig_heatmaps(f, fig_whole(f), 2, map, style);
    return fig_close(f);
}

static Status draw_restored(Run *r, const Question *q, const double *largest)
{
    Arena *a = run_arena(r);
    const char *label[SWEEP_ARMS];
    Series bar = {.y = tensor_new(a, F64, SHAPE(q->methods))};
    for (int k = 0; k < q->methods; k++) label[k] = q->method[k], tensor_set(bar.y, k, largest[k]);
    Fig *f = run_figure(
        r, "restored",
        "Largest change of a logit of the pretrained model once the method's hooks are gone, over all "
        "seeds: exactly zero for all methods attached by hooks. Full tuning and bias tuning changed the model "
        "itself.",
        340, 170);
    fig_bars(f, fig_whole(f), 1, &bar, label,
             (PlotStyle){.y = {.title = "largest change of a logit"}, .values = true});
    return fig_close(f);
}

/* ---- the experiment ---- */

static Status ask(Run *r, Question *q, Sweep *s)
{
    LabModel *l = &q->recipe;
    *l = lab_elicitor(run_preset(r));
    l->tasks = run_text(r, "pretrain"), l->layers = (int)run_int(r, "layers"), l->dim = (int)run_int(r, "dim");
    l->steps = run_int(r, "pretrain-steps"), l->test = run_int(r, "test");
    TRY(lab_check(l));
    TRY(digits_mix(&q->old, l->tasks));
    if (q->old.n > TASKS) return err_fail(E_CONFIG, "pretrain: %d tasks, at most %d", q->old.n, TASKS);
    TRY(sweep_methods(q->method, SWEEP_ARMS, &q->methods, run_text(r, "methods")));
    *s = (Sweep){.size = sizeof(Outcome), .tune = tune, .user = q};
    s->rates = run_list(r, "rates", s->scale);
    for (int k = 0; k < q->methods; k++) {
        LabArm arm = lab_arm(q->method[k]);
        if (!arm.method) return err_fail(E_CONFIG, "methods: \"%s\" tunes nothing", q->method[k]);
        arm.steps = run_int(r, "steps"), arm.target = q->target = run_text(r, "target");
        arm.watch = lab_watch_token, arm.until = run_real(r, "match") / 100;
        s->arm[s->arms++] = (SweepArm){arm, l};
    }
    return digits_mix(&(DigitMix){0}, run_text(r, "target"));
}

static bool on_hooks(const char *method)
{
    return !peft_find(method)->changes_base;
}

/* Returns how far each method raises the loss.  At the same accuracy on the target: the rise of the loss of
 * the other tasks, the first method, which should be a prefix, against every method without virtual tokens. */
static const char *judge(Run *r, const Question *q, const Sweep *s, const SweepBest *won, const Reading *pretrained)
{
    Arena *a = run_arena(r);
    int seeds = run_seeds(r);
    const Outcome *first = won[0].outcome;
    double *share = NEW(a, double, seeds);
    Buf said = buf_open(a);
    for (int i = 0; i < seeds; i++) share[i] = first[i].matched;
    for (int k = 0; k < q->methods; k++) {
        const Outcome *o = won[k].outcome;
        double rise = 0;
        for (int i = 0; i < seeds; i++) rise += (o[i].on.old_loss - pretrained[i].old_loss) / seeds;
        buf_print(&said, "%s%s by %.3f", k ? ", " : "", q->method[k], rise);
    }
    run_gate(r, str_print(a, "share of seeds in which %s reaches the match", q->method[0]), (Claim){MORE_THAN, 0.9},
             RANGE_SHARE, share);
    for (int k = 1; k < q->methods; k++) {
        const Outcome *o = won[k].outcome;
        bool all = true;
        double *less = NEW(a, double, seeds);
        for (int i = 0; i < seeds; i++) all &= o[i].matched, less[i] = first[i].on.old_loss - o[i].on.old_loss;
        if (peft_find(s->arm[k].arm.method)->virtual_keys) continue;
        const char *says =
            str_print(a, "loss of the old tasks at the match, %s less %s (nats)", q->method[0], q->method[k]);
        if (all)
            run_claim(r, says, (Claim){LESS_THAN, 0}, RANGE_ANY, less);
        else
            run_unjudged(r, says, str_print(a, "since %s does not reach the match in every seed", q->method[k]));
    }
    return said.text;
}

static Status run(Run *r)
{
    Question q = {0};
    Sweep s;
    int seeds = run_seeds(r);
    TRY(ask(r, &q, &s));
    TRY(lab_pretrain(r, &q.recipe, 1));
    Reading *pretrained = NEW(run_arena(r), Reading, seeds);
    TRY(run_parallel(r, seeds, sizeof *pretrained, read_pretrained, &q, pretrained));
    SweepBest won[SWEEP_ARMS];
    TRY(sweep_run(r, &s, won));

    Tensor map[2];
    double largest[SWEEP_ARMS] = {0}, merged = 0, moved = INFINITY;
    int64_t changed = 0;
    int restored = 0, hooked = 0;
    for (int k = 0; k < 2; k++) map[k] = tensor_zero(run_arena(r), F64, SHAPE(q.methods + 1, q.old.n));
    for (int k = 0; k <= q.methods; k++) {
        const Outcome *best = k ? won[k - 1].outcome : NULL;
        for (int i = 0; i < seeds; i++) {
            const Reading *x = k ? &best[i].on : &pretrained[i];
            record(r, &q, k ? q.method[k - 1] : "pretrained", i, x);
            for (int t = 0; t < q.old.n; t++) {
                int64_t at = k * q.old.n + t;
                tensor_set(map[0], at, tensor_get(map[0], at) + x->exact[t] / seeds);
                tensor_set(map[1], at, tensor_get(map[1], at) + x->late[t] / seeds);
            }
            if (!k) continue;
            largest[k - 1] = fmax(largest[k - 1], x->largest);
            run_metric(r, RANGE_EXTREME, str_print(run_arena(r), "%s: logits changed after removal", q.method[k - 1]),
                       i, (double)x->changed);
            if (on_hooks(s.arm[k - 1].arm.method)) {
                changed += x->changed;
                if (!isnan(x->merged)) merged = fmax(merged, x->merged);
            } else {
                moved = fmin(moved, x->largest);
            }
        }
        if (k && on_hooks(s.arm[k - 1].arm.method)) hooked++, restored += largest[k - 1] <= 0;
    }
    TRY(draw_matrix(r, &q, map));
    TRY(draw_restored(r, &q, largest));
    run_exact(r, "without its hooks every such method leaves the pretrained model's logits byte for byte",
              !changed && restored == hooked);
    const char *rises = judge(r, &q, &s, won, pretrained);
    run_conclude(
        r,
        "Until token accuracy on \"%s\" is %.0f %%, tuning raises the loss of the other tasks' last tokens "
        "(nats, mean of %d %s): %s. With its hooks gone %d of %d methods leave the pretrained model's logits "
        "byte for byte "
        "(%lld differ); merging and unmerging (LoRA, IA3) leaves %.1e; the methods that change the model itself move "
        "a "
        "logit by at least %.2g.",
        q.target, run_real(r, "match"), seeds, str_plural(seeds, "seed", "seeds"), rises, restored, hooked,
        (long long)changed, merged, moved);
    run_note(r,
             "Greedy accuracy on an old task must fall when an input without a task token is answered with the new "
             "one; the teacher-forced accuracy of the last %d outputs is the fairer measure of forgetting.",
             LAB_SHOWN);
    return OK;
}

static const Setting SETTINGS[] = {
    {"pretrain",
     "tasks of pretraining, mixed without a task token: the old tasks",
     {"asc,desc,add1,add2"},
     0,
     0,
     NULL},
    {"target", "the task to tune on", {"desc"}, 0, 0, NULL},
    {"methods",
     "methods to compare; adapter is Houlsby's",
     {"prefix,lora,full", "prefix,prefix-tied,lora,adapter,ia3,bitfit,full",
      "prefix,prefix-tied,lora,adapter,ia3,bitfit,full"},
     0,
     0,
     NULL},
    {"rates", "factors of each method's usual learning rate", {"1,", "0.4,1", "0.1,0.3,1,3"}, 1e-6, 1e6},
    {"match", "token accuracy on the target at which training stops (%)", {"15.0", "90.0", "98.0"}, 0, 100},
    {"steps", "most steps of tuning", {"20", "400", "10000"}, 1, 1e7},
    {"pretrain-steps", "steps of pretraining", {"40", "1800", "20000"}, 1, 1e7},
    {"layers", "layers", {"1", "1", "4"}, 1, 64},
    {"dim", "width", {"32", "96", "256"}, 8, 4096},
    {"test", "held-out inputs scored", {"50", "400", "3200"}, 1, 1e6},
    {0}};

static const Experiment FORGETTING = {
    .group = "toy",
    .name = "forgetting",
    .title = "Old tasks after tuning, and the way back",
    .claim =
        "At the same accuracy on the target a prefix raises the loss of the old tasks less than methods that change "
        "or add weights; removing its hooks, or those of an adapter or LoRA, restores the pretrained model's logits "
        "byte for byte.",
    .method =
        "Tune every method on one of several pretraining tasks until its token accuracy reaches the match; loss and "
        "accuracy of all tasks, teacher-forced at the last outputs; remove the hooks and compare logits byte by "
        "byte.",
    .expect = "The prefix's old-task loss below that of every method without virtual tokens; no byte differs after "
              "removal for any method attached by hooks.",
    .cost = "smoke a second, quick two minutes, paper an hour",
    .source = "after Petrov, Torr, Bibi (ICLR 2024), section 5, experiment 2",
    .settings = SETTINGS,
    .seeds = {1, 3, 3},
    .run = run};
REGISTER(experiment, FORGETTING)

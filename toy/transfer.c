/* toy/transfer: can method M teach task C to a model that was pretrained on A and B?
 *
 * Claim    Each of the given methods can teach the target task to the frozen pretrained model.
 * Method   Pretrain one small decoder on the mixture of the pretraining tasks, without a task token.  From
 *          there train each method on the target at several learning rates, over all seeds; the rate with the lowest
 *          late loss counts (data never repeat, so this is a loss on unseen inputs).  Greedy exact match on held-out
 *          inputs.
 * Expect   Nothing in particular: the question is the user's.  A method that stays below the threshold at every
 *          learning rate tried is named, and the baselines that need no attention to the input are drawn.
 * Cost     seconds; about a minute; an hour.
 * Source   The question generalises Petrov, Torr and Bibi (ICLR 2024), section 5.
 *
 *     vernier toy transfer --set pretrain=asc,desc --set target=reverse --set methods=prefix,lora,adapter,full
 *
 * What it does not show: that a method cannot learn a task.  It shows the result of these steps and learning
 * rates. */
#include <math.h>
#include <string.h>

#include "base/str.h"
#include "lab/sweep.h"
#include "plot/plot.h"
#include "run/experiment.h"

enum { METHODS = 12 };

typedef struct {
    LabModel recipe;
    DigitMix mix; /* the tasks scored: the target, then the pretraining tasks */
    char method[METHODS][24];
    int methods, rates;
    double scale[RUN_LIST]; /* of each method's usual learning rate */
} Question;

static Status ask(Run *r, Question *q)
{
    LabModel *l = &q->recipe;
    *l = lab_composer(run_preset(r));
    l->tasks = run_text(r, "pretrain");
    l->layers = (int)run_int(r, "layers"), l->heads = (int)run_int(r, "heads"), l->dim = (int)run_int(r, "dim");
    l->layout.slots = 1;
    l->steps = run_int(r, "pretrain-steps"), l->lr = run_real(r, "lr"), l->test = run_int(r, "test");
    TRY(lab_check(l));
    TRY(digits_mix(&q->mix, str_print(run_arena(r), "%s,%s", run_text(r, "target"), l->tasks)));
    q->rates = run_list(r, "rates", q->scale);
    return sweep_methods(q->method, METHODS, &q->methods, run_text(r, "methods"));
}

/* Scored on the target and on the tasks of pretraining. */
static Status tune(Run *r, SweepJob *j, void *out, void *user)
{
    const Question *q = user;
    return lab_tune(r, j->run, j->m, j->hooks, j->model, &j->arm, &q->mix, j->seed, out);
}

/* ---- the results ---- */

static Status draw_scores(Run *r, const Question *q, const LabResult *const best[METHODS])
{
    Arena *a = run_arena(r);
    const char *label[METHODS];
    Series bar[2] = {{.label = "exact match"}, {.label = "token accuracy"}};
    for (int s = 0; s < 2; s++) bar[s].y = tensor_zero(a, F64, SHAPE(q->methods));
    for (int s = 0; s < 2; s++)
        bar[s].lo = tensor_zero(a, F64, SHAPE(q->methods)), bar[s].hi = tensor_zero(a, F64, SHAPE(q->methods));
    for (int k = 0; k < q->methods; k++) {
        label[k] = q->method[k];
        for (int s = 0; s < 2; s++) {
            double sum = 0, least = 100, most = 0;
            for (int i = 0; i < run_seeds(r); i++) {
                const DigitScore *d = &best[k][i].score[0];
                double x = 100 * (s ? d->token : d->exact);
                sum += x / run_seeds(r), least = fmin(least, x), most = fmax(most, x);
            }
            tensor_set(bar[s].y, k, sum), tensor_set(bar[s].lo, k, least), tensor_set(bar[s].hi, k, most);
        }
    }
    Fig *f = run_figure(r, "accuracy",
                        str_print(a,
                                  "Task \"%s\" from a model pretrained on %s: greedy accuracy on held-out inputs at "
                                  "each method's best learning rate, mean and range of %d %s.",
                                  q->mix.task[0]->name, q->recipe.tasks, run_seeds(r),
                                  str_plural(run_seeds(r), "seed", "seeds")),
                        340, 190);
    fig_bars(f, fig_whole(f), 2, bar, label, (PlotStyle){.y = {.title = "accuracy (%)", .lo = 0, .hi = 100}});
    return fig_close(f);
}

static Status draw_losses(Run *r, const Question *q, const LabResult *const best[METHODS])
{
    DigitFloors floors = digits_floors(q->mix.task[0], 50000, 1);
    RefLine ref[] = {{floors.position, "ignoring the input", false}, {floors.previous, "last output only", false}};
    Series line[METHODS];
    int n = 0;
    for (int k = 0; k < q->methods; k++)
        if (best[k]->points) line[n++] = lab_curve(run_arena(r), best[k], run_seeds(r), q->method[k]);
    if (!n) return OK;
    Fig *f = run_figure(r, "loss",
                        "Training loss on the target (data never repeat), mean and range over seeds, with baselines "
                        "that do not use the input.",
                        340, 200);
    fig_lines(f, fig_whole(f), n, line,
              (PlotStyle){.x = {.title = "step"},
                          .y = {.title = "loss (nats per token)", .log = true},
                          .ref = ref,
                          .refs = floors.previous > 0 ? 2 : 0});
    return fig_close(f);
}

static void record(Run *r, const Question *q, int k, const SweepBest *won)
{
    const LabResult *best = won->result;
    Arena *a = run_arena(r);
    for (int i = 0; i < run_seeds(r); i++) {
        for (int t = 0; t < q->mix.n; t++)
            run_metric(r, RANGE_PERCENT, str_print(a, "%s: %s exact match (%%)", q->method[k], q->mix.task[t]->name),
                       i, 100 * best[i].score[t].exact);
        run_metric(r, RANGE_PERCENT, str_print(a, "%s: %s token accuracy (%%)", q->method[k], q->mix.task[0]->name),
                   i, 100 * best[i].score[0].token);
    }
    run_note(r, "%s: %lld trainable parameters, best at learning rate %.3g.", q->method[k], (long long)best->params,
             won->lr);
}

static Status run(Run *r)
{
    Question q = {0};
    TRY(ask(r, &q));
    TRY(lab_pretrain(r, &q.recipe, 1));
    int seeds = run_seeds(r);
    const LabResult *best[METHODS];
    Sweep sweep = {.arms = q.methods, .rates = q.rates, .tune = tune, .user = &q};
    memcpy(sweep.scale, q.scale, sizeof q.scale);
    for (int k = 0; k < q.methods; k++) {
        sweep.arm[k] = (SweepArm){lab_arm(q.method[k]), &q.recipe};
        sweep.arm[k].arm.steps = run_int(r, "steps"), sweep.arm[k].arm.target = q.mix.task[0]->name;
    }
    SweepBest won[SWEEP_ARMS];
    TRY(sweep_run(r, &sweep, won));

    Buf said = buf_open(run_arena(r));
    double threshold = run_real(r, "threshold");
    Arena *a = run_arena(r);
    const double *most = NEW(a, double, seeds);
    for (int k = 0; k < q.methods; k++) {
        best[k] = won[k].result;
        record(r, &q, k, &won[k]);
        double exact = lab_mean(best[k], seeds, 0);
        const double *own = lab_values(a, best[k], seeds, 0);
        most = seeds_most(a, most, own, seeds);
        run_claim(r, str_print(a, "exact match of %s on %s (%%)", q.method[k], q.mix.task[0]->name),
                  (Claim){MORE_THAN, threshold}, RANGE_PERCENT, own);
        buf_print(&said, "%s%s %.1f %%", k ? ", " : "", q.method[k], exact);
    }
    TRY(draw_scores(r, &q, best));
    TRY(draw_losses(r, &q, best));
    run_gate(r, "exact match of the best method (%)", (Claim){MORE_THAN, threshold}, RANGE_PERCENT, most);
    run_conclude(r,
                 "\"%s\" after pretraining on %s, exact match at the best of %d learning rates (mean of %d %s): %s.",
                 q.mix.task[0]->name, q.recipe.tasks, q.rates, seeds, str_plural(seeds, "seed", "seeds"), said.text);
    return OK;
}

static const Setting SETTINGS[] = {
    {"pretrain", "tasks of pretraining, mixed without a task token", {"asc,desc"}, 0, 0, NULL},
    {"target", "the task to learn", {"reverse"}, 0, 0, NULL},
    {"methods",
     "methods to try: prefix,prefix-tied,lora,adapter (Houlsby's),full,... or any that vernier list names",
     {"prefix,lora", "prefix,lora,adapter,full", "prefix,lora,adapter,full"},
     0,
     0,
     NULL},
    {"rates", "factors of each method's usual learning rate", {"1,", "0.3,1", "0.1,0.3,1,3"}, 1e-6, 1e6},
    {"steps", "steps of tuning", {"20", "400", "10000"}, 1, 1e7},
    {"pretrain-steps", "steps of pretraining", {"30", "900", "20000"}, 1, 1e7},
    {"lr", "learning rate of pretraining", {"2e-3", "2e-3", "5e-4"}, 1e-7, 1},
    {"layers", "layers", {"2"}, 1, 64},
    {"heads", "heads", {"4"}, 1, 64},
    {"dim", "width", {"32", "64", "256"}, 8, 4096},
    {"test", "held-out inputs scored", {"50", "800", "3200"}, 1, 1e6},
    {"threshold", "exact match that counts as learned (%)", {"50.0"}, 0, 100},
    {0}};

static const Experiment TRANSFER = {
    .group = "toy",
    .name = "transfer",
    .title = "Your own question: can this method teach that task?",
    .claim = "Each given method can teach the target task to the frozen pretrained model.",
    .method = "Pretrain on a mixture of digit tasks; tune every method at several learning rates; the rate with the "
              "lowest late loss counts; greedy exact match on held-out inputs.",
    .expect = "The question is the user's; a method that stays below the threshold at every learning rate is named.",
    .cost = "smoke seconds, quick a minute, paper an hour",
    .source = "after Petrov, Torr, Bibi (ICLR 2024), section 5",
    .settings = SETTINGS,
    .seeds = {1, 3, 3},
    .run = run};
REGISTER(experiment, TRANSFER)

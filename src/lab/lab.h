/* The toy laboratory: a small decoder pretrained on digit tasks, tuned by one method, scored.
 *
 *     LabModel recipe = lab_sorter(run_preset(r));                   asc, one layer, one head, hidden size 96
 *     TRY(lab_pretrain(r, &recipe, 1));                              all seeds, one process per core; kept in the run
 *     ... in a job:
 *     TRY(lab_open(&m, &arena, r, &recipe, seed));                   the kept model, all frozen
 *     LabArm arm = lab_arm("lora"); arm.lr = 5e-3;
 *     TRY(lab_tune(r, &arena, m, hooks, &recipe, &arm, seed, &out)); attaches, trains, scores
 *
 * Data never repeat, so the mean loss of the last steps is a loss on unseen inputs: choose rates by it, not by the
 * scores.  A run that diverges is a result: `diverged` is set, its loss is NaN, and nothing fails. */
#ifndef LAB_LAB_H
#define LAB_LAB_H

#include "lab/digits.h"
#include "peft/peft.h"
#include "plot/plot.h"
#include "run/experiment.h"
#include "train/train.h"

enum { LAB_POINTS = 200, LAB_LATE = 5 };

typedef struct {
    const char *tasks; /* "asc", or "asc,desc,add1,add2" without a task token */
    int layers, heads, dim;
    DigitLayout layout; /* filler tokens that a tied prefix or a suffix may replace are there from the start */
    bool no_attn_norm;
    double init_sd; /* of the start; 0: the usual 0.02 */
    double dropout, lr;
    int64_t steps, batch, test; /* test: held-out inputs scored */
} LabModel;
/* The published recipes (Petrov, Torr and Bibi 2024): E1's sorter; E2's, E3's and E4's mixtures.  At QUICK and
 * SMOKE they are smaller in steps, and E3's in hidden size too. */
LabModel lab_sorter(Preset);
LabModel lab_elicitor(Preset);      /* E2: 1 layer, 4 heads, d 256, four tasks, no LayerNorm before attention */
LabModel lab_composer(Preset);      /* E3: 4 layers, 4 heads, d 256, four tasks, 10 virtual tokens (E4: 12) */
Status lab_check(const LabModel *); /* E_CONFIG: an unknown task, or a hidden size that its heads do not divide */

typedef struct LabResult LabResult;
/* Pretrains each recipe for every seed of the run, in parallel; models are kept below pretrained/ in the run
 * directory, and --resume does not repeat them.  Call it in the parent, before the jobs that open them. */
Status lab_pretrain(Run *, const LabModel *recipes, int n);
/* The same, with the results in out (n,seeds); tasks of `late`, or NULL, are scored on the way. */
Status lab_pretrain_watched(Run *, const LabModel *recipes, int n, const DigitMix *late, LabResult *out);
Status lab_open(Model **, Arena *run, Run *, const LabModel *, uint64_t seed);

/* A value of a model in training, on held-out inputs of the arm's target. */
typedef double LabWatch(Model *, const Hooks *, const LabModel *, const DigitMix *target);
typedef struct {
    const char *name;    /* for labels, logs and checkpoints: unique in the run */
    const char *method;  /* "full", "prefix", ... as vernier list names them; NULL: the caller has attached */
    const char *options; /* fields of PeftConfig, "kind=tied,length=1", or NULL */
    const char *target;  /* the task to learn, or several, mixed; NULL: those of pretraining */
    double lr;
    int64_t steps;
    double decay;
    bool dropout;         /* as in pretraining and full fine-tuning; prefix and LoRA of the papers train without */
    const DigitMix *late; /* tasks scored also on the way, at 92, 94, 96, 98 and 100 % of the steps; NULL: none */
    int64_t
        examples; /* distinct training examples, repeated: fewer than a batch, or a multiple of it; 0: no repeats */
    LabWatch *watch; /* its value is kept at every point of the curve, or NULL */
    double until;    /* training ends at the first point where the watched value is at least this; 0: never */
} LabArm;
/* Usual options, rate and decay of a method on these models: a start for a sweep.  The name of the method names the
 * arm; "prefix-tied" and "adapter" (Houlsby's) are accepted too, and "lora" wraps every linear layer. */
LabArm lab_arm(const char *method);

struct LabResult { /* plain bytes: travels between processes */
    int points;
    float step[LAB_POINTS], loss[LAB_POINTS]; /* loss: mean over the steps since the point before */
    float watched[LAB_POINTS];
    double last; /* mean loss over the last tenth of the steps; NaN: diverged */
    bool diverged;
    int64_t params; /* trainable */
    DigitScore score[DIGIT_MIX];
    double late[LAB_LATE][DIGIT_MIX]; /* exact match, 0 to 1, of the arm's `late` tasks */
};

/* lab_tune is these four; experiments with their own hooks call them one by one. */
Status lab_attach(Model *, Hooks *, const LabModel *, const LabArm *);
Status lab_fold(Model *, const LabModel *, const LabArm *, bool back); /* merges the method, or takes it out again */
Status lab_train(Run *, Arena *run, Model *, const Hooks *, const LabModel *, const LabArm *, uint64_t seed,
                 LabResult *); /* resumes from its checkpoint after --resume */
void lab_score(Model *, const Hooks *, const LabModel *, const DigitMix *, DigitScore *out);
/* The same inputs with the targets as context (teacher forcing): n held-out inputs of a stream for each task. */
typedef struct {
    double loss, token;                             /* nats per token; token accuracy, from 0 to 1 */
    double place_loss[LENGTH], place_token[LENGTH]; /* the same at each output position */
} LabHeld;
void lab_held(LabHeld *out, Model *, const Hooks *, const LabModel *, const DigitMix *, int64_t n, uint64_t stream);
/* The old tasks but the target: loss of their last outputs, before which the context shows the task. */
enum { LAB_SHOWN = LENGTH / 2 };
double lab_old_loss(const LabHeld *each, const DigitMix *old, const char *target); /* mean over tasks; NaN: none */
LabWatch lab_watch_token, lab_watch_loss; /* of 100 inputs of the target: mean token accuracy; mean loss */
/* Scores out->score[k] on task k of `scored` (NULL: the arm's target). */
Status lab_tune(Run *, Arena *run, Model *, Hooks *, const LabModel *, const LabArm *, const DigitMix *scored,
                uint64_t seed, LabResult *);

double lab_watched(const LabResult *); /* the watched value at the end; 0 before the first point */
/* Of results laid out (choices, seeds): the choice whose mean last loss is least; those with a diverged seed lose. */
int lab_best(const LabResult *, int choices, int seeds);
double lab_mean(const LabResult *, int seeds, int task); /* exact match, in % */
/* One result's mean over the late scores, in %: at a constant rate the score after the last step is partly luck. */
double lab_late(const LabResult *, int task);

/* Loss curves for fig_lines, mean and range over seeds; results are `seeds` neighbours with the same steps. */
Series lab_curve(Arena *, const LabResult *, int seeds, const char *label);

#endif

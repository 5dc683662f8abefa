/* Defect predictors with a form of their own: they learn from the labelled commits alone, on no pretrained model.
 * The floors words and la are two of them; one file each, which REGISTERs itself as `learner`:
 *
 *   static const Learner WORDS = {.name = "words", .fit = fit, .score = score, ...};
 *   REGISTER(learner, WORDS)
 *
 * From then on `vernier tune --task jit --method words`, predict, list, help and completion know it.
 *
 *   double value[LEARNER_OPTIONS];
 *   TRY(learner_set(value, learner, "k=15,balance=smote"));
 *   TRY(learner->fit(&model, &run, &(LearnJob){.train = &train, .valid = &valid, .option = value, ...}));
 *   TRY(learner->score(score, model, &step, &test, &(LearnView){0}, NULL, NULL)); */
#ifndef TASKS_LEARNER_H
#define TASKS_LEARNER_H

#include "tasks/tuning.h"

enum { LEARNER_OPTIONS = 16 };
typedef struct {
    const char *name, *about;      /* "trees", "number of trees" */
    double otherwise, least, most; /* a whole number unless `real` */
    bool real;
    const char *words; /* "smote|weights|none": the value is the index of one of them; NULL: a number */
} LearnerOption;

typedef struct {
    const JitSet *train;  /* both classes, labelled */
    const JitSet *valid;  /* settings are chosen by it; NULL: those of `former` stand */
    const void *former;   /* the model fitted to a part of these commits; NULL: none */
    const double *option; /* (LEARNER_OPTIONS) in the order of the learner's options */
    bool features;        /* the fourteen are to be read: every commit has them, and --head single was not given */
    bool as_published;    /* with the published defects */
    bool no_fix;          /* the feature `fix` counts as unknown, as the published code loses it */
    uint64_t seed;
    const TuneWatch *watch;
} LearnJob;

typedef struct {
    bool per_split; /* features are standardised by the statistics of the set that is scored */
    bool no_fix;
} LearnView;

typedef struct {
    const char *name;
    const char *title;            /* one line */
    const char *source;           /* the paper */
    const LearnerOption *options; /* ends with a NULL name; NULL: none */
    bool floor;                   /* reads little of a commit: published systems must be better */
    bool seeded;                  /* its model depends on the seed */
    bool published;               /* as_published has another form, with the defects of the published code */
    bool best_threshold; /* commits are called defective from the score with the best validation F1 on, not from .5,
                                     unless as_published */

    /* The model lives in `run`.  E_MISMATCH: the commits lack what it reads; E_INTERRUPT: the watch has
     * stopped it. */
    Status (*fit)(void **model, Arena *run, const LearnJob *);
    /* Probabilities (set->n).  `each`, when not NULL, may stop the work by returning false: E_INTERRUPT. */
    Status (*score)(double *out, void *model, Arena *step, const JitSet *, const LearnView *,
                    bool (*each)(int64_t done, void *), void *user);
    /* How much each added or removed line of a commit speaks for a defect, in their order; NULL: it ranks no
     * lines. */
    Status (*lines)(double *out, void *model, Arena *step, const CodeChange *);
    Status (*save)(const void *model, const char *dir);
    Status (*open)(void **model, Arena *run, const char *dir); /* E_FORMAT, E_IO: with one sentence */
} Learner;
REGISTRY(Learner, learner)

const Learner *learner_find(const char *name); /* NULL: none */
/* Values of options as "K=V,K=V"; those left out have their defaults.  E_CONFIG names the slip. */
Status learner_set(double value[LEARNER_OPTIONS], const Learner *, const char *options);
const char *learner_values(Arena *, const Learner *, const double value[LEARNER_OPTIONS]); /* "k=15,balance=smote" */

#endif

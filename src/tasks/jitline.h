/* JITLine (Pornprasit and Tantithamthavorn, MSR 2021): a random forest on counts of the words in the changed lines
 * (jitline_text.h) and on the fourteen features, the two classes balanced by SMOTE; and lines ranked by the words
 * that speak for a defect.
 *
 * As published:
 *   - without a validation set the first 80 % of the commits by hash train, the others choose k and are left out;
 *   - words that Python has as built-in functions or keywords are dropped, though Java has int, if, return and
 *     others;
 *   - the feature `fix` is 1 everywhere, since text that is not empty counts as true;
 *   - lines are ranked by LIME (learn/lime.h), the positive weights of words that are equal to a vocabulary word;
 *     lines are not lower-cased and not cut at signs, so that most words match none.
 * The samples of LIME lie around the mean of the training rows, so its weights tell more of the samples that were
 * drawn than of the commit.
 *
 * The sensible form, the default: k is chosen by the validation commits, which lie behind the others in time; all
 * words and `fix` stay; and a line's score is the share of its words in the score of this commit, by path
 * credits in the trees (learn/forest.h) or by the weights of the linear models.  Features are read as log(1 + x).
 * For the linear models counts are read so, too, the counts of a commit have length 1 together, and features have
 * mean 0 and a deviation of .2.
 *
 * On JIT-Defects4J dropping the words costs AUC and F1, `fix` changes nothing, k hardly matters, and no ranking of
 * lines is better than the longest lines first (probes/README.md).
 *
 *   TRY(jitline_fit(&m, &run, &train, &valid, &plan, NULL));
 *   TRY(jitline_score(&p, m, &step, &change));
 *   TRY(jitline_lines(score, m, &step, &change));
 *   TRY(jitline_save(m, dir)); ... TRY(jitline_open(&m, &run, dir));            jitline.safetensors */
#ifndef TASKS_JITLINE_H
#define TASKS_JITLINE_H

#include "learn/forest.h"
#include "learn/lime.h"
#include "learn/linear.h"
#include "tasks/jitline_text.h"
#include "tasks/tuning.h"

typedef enum { JITLINE_FOREST, JITLINE_LOGISTIC, JITLINE_SVM, JITLINE_CLASSIFIERS } JitLineClassifier;
typedef enum { JITLINE_SMOTE, JITLINE_WEIGHTS, JITLINE_NONE, JITLINE_BALANCES } JitLineBalance;
enum { JITLINE_MOST_K = 20, JITLINE_MOST_TREES = 10000 };
typedef struct {
    JitLineClassifier classifier;
    JitLineBalance balance;
    int64_t k,
        trees;   /* k: neighbours of SMOTE; 0: the one of 1 to 20 with the best validation AUC, the first of equals */
    double cost; /* of the linear classifiers */
    bool lime;   /* lines are ranked by LIME */
    bool features, no_fix, as_published;
    uint64_t seed;
} JitLinePlan;

typedef struct {
    JitLinePlan plan; /* k is the one that was used; 0: SMOTE was not */
    Vocabulary words;
    int64_t columns;                               /* the words, then the features where the plan has them */
    double mean_of[N_FEATURES], sd_of[N_FEATURES]; /* of the training commits' features, as they are read */
    Forest *forest;                                /* one of the two */
    LinearModel linear;
    double *mean, *sd; /* (columns) of the training rows with the new ones, for LIME */
    Arena *run;
    Arena samples; /* of LIME, which lives until the program ends, once it was needed */
    Lime *lime;
} JitLine;

/* Fits to `train`, both classes of which are there; `valid` chooses k and may be NULL.  E_INTERRUPT: the watch,
 * which may be NULL, has stopped it. */
Status jitline_fit(JitLine **out, Arena *run, const JitSet *train, const JitSet *valid, const JitLinePlan *,
                   const TuneWatch *);
/* E_MISMATCH: the commit lacks the features that the model reads. */
Status jitline_score(double *out, JitLine *, Arena *step, const CodeChange *);
/* A score for each added or removed line, in their order. */
Status jitline_lines(double *out, JitLine *, Arena *step, const CodeChange *);
/* The full row (columns) of a commit. */
Status jitline_row(double **out, const JitLine *, Arena *, const CodeChange *);
double jitline_classify(const JitLine *, const double *row);

Status jitline_save(const JitLine *, const char *dir);
Status jitline_open(JitLine **out, Arena *run, const char *dir); /* E_FORMAT, E_IO */

#endif

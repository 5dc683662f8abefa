/* JITLine as a learner (tasks/jitline.h). */
#include "tasks/jitline.h"
#include "tasks/learner.h"

enum { CLASSIFIER, BALANCE, K, TREES, COST, LINES };
static const LearnerOption OPTIONS[] = {
    {.name = "classifier", .about = "of the counts and features", .words = "forest|logistic|svm"},
    {.name = "balance", .about = "how the rarer class gets its weight", .words = "smote|weights|none"},
    {.name = "k",
     .about = "neighbours between which SMOTE draws; 0: the number with the best validation AUC",
     .most = JITLINE_MOST_K},
    {.name = "trees", .about = "in the forest", .otherwise = 300, .least = 1, .most = JITLINE_MOST_TREES},
    {.name = "cost",
     .about = "of an error, for logistic (0: 1) and svm (0: 0.1); smaller: smaller weights",
     .most = 1e9,
     .real = true},
    {.name = "lines", .about = "the ranking of lines", .words = "credit|lime"},
    {0}};

/* The costs with the best AUC on the last fifth by time of JIT-Defects4J's validation commits, of powers of ten. */
static double cost_of(const LearnJob *j)
{
    if (j->option[COST] > 0) return j->option[COST];
    return (JitLineClassifier)j->option[CLASSIFIER] == JITLINE_SVM ? 0.1 : 1;
}

static Status fit(void **model, Arena *run, const LearnJob *j)
{
    JitLinePlan plan = {.classifier = (JitLineClassifier)j->option[CLASSIFIER],
                        .balance = (JitLineBalance)j->option[BALANCE],
                        .k = (int64_t)j->option[K],
                        .trees = (int64_t)j->option[TREES],
                        .cost = cost_of(j),
                        .lime = j->as_published || j->option[LINES] > 0,
                        .features = j->features,
                        .no_fix = j->no_fix,
                        .as_published = j->as_published,
                        .seed = j->seed};
    const JitLine *former = j->former;
    if (former && !j->as_published) plan.k = former->plan.k; /* as published it is chosen by the commits set aside */
    return jitline_fit((JitLine **)model, run, j->train, j->valid, &plan, j->watch);
}

static Status score(double *out, void *model, Arena *step, const JitSet *s, const LearnView *v,
                    bool (*each)(int64_t, void *), void *user)
{
    JitLine *m = model;
    if (v->no_fix) m->plan.no_fix = true;
    for (int64_t i = 0; i < s->n; i++) {
        TRY(jitline_score(&out[i], m, step, &s->change[i]));
        if (each && !each(i + 1, user)) return err_fail(E_INTERRUPT, "interrupted before the end");
    }
    return OK;
}

static Status lines(double *out, void *model, Arena *step, const CodeChange *c)
{
    return jitline_lines(out, model, step, c);
}

static Status save(const void *model, const char *dir)
{
    return jitline_save(model, dir);
}

static Status open_model(void **model, Arena *run, const char *dir)
{
    return jitline_open((JitLine **)model, run, dir);
}

static const Learner JITLINE = {.name = "jitline",
                                .title = "a forest on counts of the words in changed lines, and the features",
                                .source = "Pornprasit and Tantithamthavorn, MSR 2021",
                                .options = OPTIONS,
                                .best_threshold = true,
                                .seeded = true,
                                .published = true,
                                .fit = fit,
                                .score = score,
                                .lines = lines,
                                .save = save,
                                .open = open_model};
REGISTER(learner, JITLINE)

/* Two baselines of defect prediction as learners: words and la (tasks/floor.h). */
#include "tasks/floor.h"
#include "tasks/learner.h"

static Status fit(Floor **out, Arena *run, const LearnJob *j, const char *name)
{
    FloorPlan plan;
    floor_plan(&plan, name, j->features);
    if (j->no_fix) plan.use[FEATURE_fix] = false;
    TRY(floor_fit(out, run, j->train, &plan));
    if (!floor_converged(*out))
        tuning_remark(j->watch, run, "the fit stopped after %d %s before it had converged", plan.most_iterations,
                      str_plural(plan.most_iterations, "iteration", "iterations"));
    return OK;
}

static Status fit_words(void **model, Arena *run, const LearnJob *j)
{
    return fit((Floor **)model, run, j, "words");
}

static Status fit_la(void **model, Arena *run, const LearnJob *j)
{
    return fit((Floor **)model, run, j, "la");
}

static Status score(double *out, void *model, Arena *step, const JitSet *s, const LearnView *v,
                    bool (*each)(int64_t, void *), void *user)
{
    if (v->per_split && s->features) floor_rescale(model, s);
    if (v->no_fix) floor_ignore(model, FEATURE_fix);
    for (int64_t i = 0; i < s->n; i++) {
        TRY(floor_score(&out[i], model, step, &s->change[i]));
        if (each && !each(i + 1, user)) return err_fail(E_INTERRUPT, "interrupted before the end");
    }
    return OK;
}

static Status lines(double *out, void *model, Arena *step, const CodeChange *c)
{
    for (int64_t f = 0, n = 0; f < c->n_files; f++)
        for (int64_t l = 0; l < c->file[f].n; l++)
            if (c->file[f].line[l].kind != LINE_KEEP) out[n++] = floor_line(model, step, &c->file[f].line[l]);
    return OK;
}

static Status save(const void *model, const char *dir)
{
    return floor_save(model, dir);
}

static Status open_floor(void **model, Arena *run, const char *dir)
{
    return floor_open((Floor **)model, run, dir);
}

static const Learner WORDS = {
    .name = "words",
    .title = "logistic regression on hashed words of message, added and removed lines, and the features",
    .source = "this project",
    .fit = fit_words,
    .score = score,
    .lines = lines,
    .floor = true,
    .save = save,
    .open = open_floor};
REGISTER(learner, WORDS)

static const Learner LA = {.name = "la",
                           .title = "logistic regression on the number of added lines",
                           .source = "Zeng et al., ISSTA 2021",
                           .floor = true,
                           .fit = fit_la,
                           .score = score,
                           .save = save,
                           .open = open_floor};
REGISTER(learner, LA)

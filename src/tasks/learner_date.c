/* The date as a predictor: the earlier a commit is in the time of its project, among the commits that are scored, the
 * likelier it is called defective.  It reads nothing of a commit, so no learner is worth its cost that is not better;
 * on data whose classes were cut by time apart (metric/place.h) it beats many.  It needs all commits of a test period
 * at once, and is no predictor for use. */
#include <math.h>

#include "metric/place.h"
#include "tasks/learner.h"

static Status fit(void **model, Arena *run, const LearnJob *j)
{
    (void)run, (void)j;
    static char none;
    *model = &none;
    return OK;
}

static Status score(double *out, void *model, Arena *step, const JitSet *s, const LearnView *v,
                    bool (*each)(int64_t, void *), void *user)
{
    (void)model, (void)v, (void)each, (void)user;
    ArenaMark mark = arena_mark(step);
    const char **project = NEW(step, const char *, s->n);
    int64_t *time = NEW(step, int64_t, s->n);
    for (int64_t i = 0; i < s->n; i++) project[i] = s->change[i].repo, time[i] = s->change[i].time;
    place_of(out, project, time, s->n);
    for (int64_t i = 0; i < s->n; i++) {
        if (isnan(out[i]))
            return err_fail(E_MISMATCH, "commit %.40s has no time, which is all that method date reads",
                            s->change[i].id);
        out[i] = 1 - out[i];
    }
    arena_drop(step, mark);
    return OK;
}

static Status save(const void *model, const char *dir)
{
    (void)model, (void)dir;
    return OK;
}

static Status open_date(void **model, Arena *run, const char *dir)
{
    (void)dir;
    return fit(model, run, NULL);
}

static const Learner DATE = {.name = "date",
                             .title = "the place of a commit in the time of its project, the early ones first",
                             .source = "this project; needs all commits of a period at once",
                             .floor = true,
                             .best_threshold = true,
                             .fit = fit,
                             .score = score,
                             .save = save,
                             .open = open_date};
REGISTER(learner, DATE)

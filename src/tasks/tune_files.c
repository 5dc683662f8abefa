/* The files of a tuning: the commits that it reads, and those that it has left on its way. */
#include "base/file.h"
#include "base/str.h"
#include "tasks/tune.h"

const char *tune_best_path(const TuneJob *j, Arena *a)
{
    return str_print(a, "%s/best.sha256", j->p.dir);
}

const char *tune_stand_path(const TuneJob *j)
{
    return str_print(j->run, "%s/train.json", j->p.dir);
}

void tune_forget(const TuneJob *j)
{
    file_remove(tune_stand_path(j));
    file_remove(tune_best_path(j, j->run));
}

Status tune_commits(TuneJob *j)
{
    const TuneOptions *o = &j->o;
    TRY(jit_read(&j->train, j->run, o->train));
    if (o->valid) {
        TRY(jit_read(&j->valid, j->run, o->valid));
    } else {
        j->all = j->train;
        jit_cut(&j->train, &j->valid, j->run, &j->all, o->cut);
    }
    j->n_train = j->train.n, j->n_valid = j->valid.n;
    return OK;
}

/* The files that a tuning has left on its way. */
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

/* Where the files of a predictor are. */
#include <string.h>

#include "base/str.h"
#include "tasks/predictor.h"

const char *predictor_path(const Predictor *p, Arena *a, const char *path)
{
    return strncmp(path, "./", 2) ? path : str_print(a, "%s/%s", p->dir, path + 2);
}

const char *predictor_card(const Task *t, Arena *a, const char *dir)
{
    return str_print(a, "%s/%s.json", dir, t->name);
}

const char *predictor_draft(Arena *a, const char *dir)
{
    return str_print(a, "%s/draft.json", dir);
}

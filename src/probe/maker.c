/* What the recipes are given: a set to add rows to, and the splits that still have room. */
#include "probe/pool.h"

void maker_add(Maker *m, Split split, int label, const char *text, size_t len)
{
    m->set->example[m->set->n++] = (Example){split, label, text, len};
    m->left[split]--;
}

int maker_split(const Maker *m, int64_t rows)
{
    int s = 0;
    while (s < SPLITS && m->left[s] < rows) s++;
    return s;
}

/* Published ways of tuning under their own names: a method with the settings that its paper trained with.  Each of
 * them is a default that an option replaces.
 *
 *   jit-fine    Ni et al., FSE 2022: the whole encoder is trained, with a head on its first state and the features */
#ifndef TASKS_RECIPE_H
#define TASKS_RECIPE_H

#include <stdint.h>

typedef struct {
    const char *name, *title, *source;
    const char *task, *method; /* "jit", "full" */
    double lr;
    int64_t epochs, batch, evaluations, patience; /* TuneOptions */
} Recipe;
extern const Recipe RECIPES[];               /* ends with a NULL name */
const Recipe *recipe_find(const char *name); /* NULL: none; name may be NULL */

#endif

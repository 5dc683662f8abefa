/* The table of published settings. */
#include "tasks/recipe.h"

#include <string.h>

const Recipe RECIPES[] = {
    {.name = "jit-fine",
     .title = "defect prediction by a whole encoder with a head on text and features, with the published settings",
     .source = "Ni et al., FSE 2022",
     .task = "jit",
     .method = "full",
     .lr = 1e-5,
     .epochs = 50,
     .batch = 24,
     .evaluations = 5,
     .patience = 50},
    {.name = NULL}};

const Recipe *recipe_find(const char *name)
{
    for (const Recipe *r = RECIPES; name && r->name; r++)
        if (!strcmp(r->name, name)) return r;
    return NULL;
}

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
    {.name = "cct5",
     .title =
         "the same with the published settings of CCT5: focal loss in which a defective commit counts three times",
     .source = "Lin et al., FSE 2023",
     .task = "jit",
     .method = "full",
     .lr = 2e-5,
     .epochs = 5,
     .batch = 32,
     .evaluations = 5,
     .patience = 0,
     .focal = true,
     .weight = 3,
     .dropout = 0.3,
     .published = true},
    {.name = NULL}};

const Recipe *recipe_find(const char *name)
{
    for (const Recipe *r = RECIPES; name && r->name; r++)
        if (!strcmp(r->name, name)) return r;
    return NULL;
}

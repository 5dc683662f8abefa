/* adapter-hub/adapters in four files: hub_names.c is shared by the others, hub.c reads configs, hub_bind.c knows
 * the tensors' names, hub_write.c writes configs.  Layers are numbered through: an encoder's, then the decoder's,
 * whose cross-attention has its numbers. */
#ifndef ADAPTER_HUB_H
#define ADAPTER_HUB_H

#include "adapter/library.h"

int hub_layer(const Model *, Where);              /* the number that leave_out means */
const char *hub_prefix_part(const Model *, Part); /* "self_prefix", ...: the name of a part's prefix */
Status hub_bind(Adapter *);
const char *hub_carried(const Adapter *, const Param *, int which);
Status hub_describe(Adapter *, cJSON *root);
void hub_describe_head(const Adapter *, cJSON *root);

extern const struct HubAct {
    const char *name;
    Act act;
} HUB_ACTS[]; /* ends with a NULL name; of two names for one, the first is written */

#endif

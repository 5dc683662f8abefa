/* adapter-hub/adapters in five files: hub_names.c is shared by the others, hub.c reads configs, hub_bind.c knows the
 * tensors' names, hub_head.c reads and writes flexible heads, hub_write.c writes configs.  Layers are numbered
 * through: an encoder's, then the decoder's, whose cross-attention has its numbers. */
#ifndef ADAPTER_HUB_H
#define ADAPTER_HUB_H

#include "adapter/library.h"
#include "nn/stacked.h"

int hub_layer(const Model *, Where);              /* the number that leave_out means */
const char *hub_prefix_part(const Model *, Part); /* "self_prefix", ...: the name of a part's prefix */
Site hub_feed_forward(const Model *, int which);  /* of intermediate_lora (0), output_lora (1); 0: none is adapted */
Status hub_bind(Adapter *);
const char *hub_carried(const Adapter *, const Param *, int which);
Status hub_describe(Adapter *, cJSON *root);
void hub_describe_head(const Adapter *, cJSON *root);

/* ---- flexible heads */
typedef struct HubHead {
    const char *name;
    StackedConfig stacked;
    int step; /* modules of a layer: dropout, linear and an activation, where there is one */
} HubHead;
Status hub_head_open(Adapter *); /* reads head_config.json, once the weights are open */
Status hub_reshape(Adapter *, Model *);
int hub_head_classes(const Adapter *); /* where it may equal a base model's own; 0: it cannot */
const char *hub_head_name(const Adapter *,
                          const Param *); /* of a head's parameter in the file; NULL: it has no place */
void hub_head_describe(const Adapter *, cJSON *root);

extern const struct HubAct {
    const char *name;
    Act act;
} HUB_ACTS[]; /* ends with a NULL name; of two names for one, the first is written */

#endif

/* Hugging Face PEFT in four files: hf.c reads configs, hf_bind.c has the tensors' names, hf_saved.c applies
 * modules_to_save to a model, hf_write.c writes configs. */
#ifndef ADAPTER_HF_H
#define ADAPTER_HF_H

#include "adapter/library.h"

const char *hf_tensor(const Adapter *, const Linear *, const char *what); /* "base_model.model.<module>.<what>" */
/* The linear layers that a config's target_modules and its like mean, on the adapter's arena. */
Status hf_targets(const Linear ***out, int *n, const Adapter *, const Model *);
Status hf_prepare(Adapter *);
Status hf_bind(Adapter *);
const char *hf_carried(const Adapter *, const Param *, int which);
Status hf_describe(Adapter *, cJSON *root);

#endif

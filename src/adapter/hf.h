/* Hugging Face PEFT in six files: hf.c reads configs, hf_targets.c finds the modules they mean, hf_bind.c names the
 * tensors, hf_tokens.c reads trained rows and resized tables, hf_write.c writes configs, hf_saved.c loads
 * modules_to_save. */
#ifndef ADAPTER_HF_H
#define ADAPTER_HF_H

#include "adapter/library.h"

Status hf_defaults(Adapter *, const Model *);    /* modules that a config leaves to the library, by type of model */
bool hf_is_norm(const Adapter *, const Param *); /* a norm's gain or bias that the adapter trains */
const char *hf_module(const Adapter *, const Linear *);                   /* its name in PEFT's model */
const char *hf_tensor(const Adapter *, const Linear *, const char *what); /* base_model.model.<module>.<what> */
/* The adapted modules; with `outer` also those outside the layers, a tied head among them. */
Status hf_targets(const Linear ***out, int *n, const Adapter *, const Model *, bool outer);
Status hf_is_target(bool *out, const Adapter *, const Model *, const Linear *);
Status hf_bind(Adapter *);
const char *hf_carried(const Adapter *, const Param *, int which);
Status hf_prepare(Adapter *);
Status hf_describe(Adapter *, cJSON *root);
Status hf_resize(Adapter *, Model *);       /* a token table with other rows than the base's */
Status hf_tokens(Adapter *, const Model *); /* trainable_token_indices, or token_indices, into the config */
Status hf_bind_tokens(Adapter *);           /* their tensors */
Status hf_describe_tokens(const Adapter *, cJSON *root, const char *key);

#endif

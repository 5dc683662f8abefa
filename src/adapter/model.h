/* A model that carries an adapter, for running and not for saving.
 *
 *     TRY(model_with(&model, &hooks, run, "codebert", "defects", &(LoadOptions){0}, print_line, NULL)); */
#ifndef ADAPTER_MODEL_H
#define ADAPTER_MODEL_H

#include "adapter/adapter.h"

typedef void AdapterSay(const char *line, void *user);

/* Each remark on how the adapter was read, as a line "DIR: remark"; `say` may be NULL. */
void adapter_remarks(const Adapter *, AdapterSay *say, void *user);
/* The model in `dir` with the adapter in `path` and the head that it brings; path NULL: none, and *hooks is empty.
 * Its config has the positions that virtual tokens leave to a text. */
Status model_with(Model **, Hooks **, Arena *, const char *dir, const char *path, const LoadOptions *,
                  AdapterSay *say, void *user);
/* The same with n adapters: the changes of weights that two or more make are added to the model's, in any order.
 * E_MISMATCH names one that changes no weights, or two that bring a head. */
Status model_with_all(Model **, Hooks **, Arena *, const char *dir, int n, const char *const *path,
                      const LoadOptions *, AdapterSay *say, void *user);
/* The same from the model's shape alone: its weights are zero. */
Status shape_with(Model **, Arena *, const Config *, const char *path, AdapterSay *say, void *user);

#endif

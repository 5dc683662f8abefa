/* Checkpoints as files: listing, converting and comparing them, in every container format. */
#ifndef CLI_CHECKPOINT_H
#define CLI_CHECKPOINT_H

#include "cli/command.h"
#include "nn/model.h"

Status checkpoint_list(const Args *, const char *path); /* names, shapes, dtypes, tied names; data on stdout */
Status checkpoint_tree(const Args *, const char *path); /* the tree that the names of a file's tensors make */
/* The model's type, the prefixes of its tensors' names, and the remarks of loading it. */
Status checkpoint_survey(const Args *, const char *path);
/* The config as the weights make it, with the heads that they have; unchanged where there are none. */
Status checkpoint_shape(Config *, const Args *, const char *path);
Status checkpoint_types(const Args *, const char *path); /* dtypes, size and tied names; nothing without weights */
Status checkpoint_scan(const Args *, const char *path);  /* the imports of the pickles in a .bin */
Status checkpoint_convert(const Args *, const char *from, const char *to);
Status checkpoint_copy_beside(Arena *, const char *from, const char *to); /* configs, vocabularies, merges */
Status checkpoint_compare(const Args *, const char *a, const char *b);

#endif

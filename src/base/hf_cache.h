/* Where a model is: a path, or a name of the Hugging Face hub found in the local cache, where other programs have put
 * it.  Nothing is fetched here; hub/hub.h does that.
 *
 * The cache is $HF_HUB_CACHE, else $HF_HOME/hub, else $XDG_CACHE_HOME/huggingface/hub, else
 * ~/.cache/huggingface/hub; "org/name" is models--org--name/snapshots/HASH there, with the hash in refs/main
 * (huggingface_hub, constants.py and file_download.py).  "org/name@REVISION" is that of another branch or tag, by
 * refs/REVISION, or of a commit. */
#ifndef BASE_HF_CACHE_H
#define BASE_HF_CACHE_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/err.h"

/* *out is `name` itself where that exists, or cannot be a hub name (whoever opens it reports the fault); else
 * the snapshot's directory, on the arena.  E_IO names the places that were searched. */
Status hf_cache_find(const char **out, Arena *, const char *name);
/* The directory of a name in the cache, and that of its locks, there or not; false: it is no name of the hub. */
bool hf_cache_place(const char **model, const char **locks, Arena *, const char *name);
/* The directory of the hub's files on this machine: $HF_HOME, else $XDG_CACHE_HOME/huggingface, else in ~/.cache. */
const char *hf_home(Arena *);

#endif

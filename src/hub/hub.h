/* Models from a hub: the files of a repository that a model needs go into the local cache, in the layout that
 * huggingface_hub has and shares with it (base/hf_cache.h finds them there):
 *
 *     models--ORG--NAME/refs/REVISION           the commit that a branch or tag stood for
 *     models--ORG--NAME/blobs/HASH              the content, named by its SHA-256, or by git's hash of a small file
 *     models--ORG--NAME/snapshots/COMMIT/PATH   links to the blobs
 *
 * A blob under construction is HASH.incomplete, and a later call goes on at its end.  It takes its name
 * when size and hash are those of the hub's list; links and the reference follow last, so that a found snapshot is
 * whole.  $HF_ENDPOINT replaces https://huggingface.co; the token is $HF_TOKEN, else the content of $HF_TOKEN_PATH or
 * of the file `token` in $HF_HOME.  It goes to the endpoint's host alone, whatever redirects follow. */
#ifndef HUB_HUB_H
#define HUB_HUB_H

#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"

typedef struct {          /* zero-initialise */
    const char *name;     /* "org/name" */
    const char *revision; /* a branch, tag or commit; NULL: main */
    const char *only;     /* a glob over paths (base/str.h) of the files wanted; NULL: those that a model needs */
    void (*see)(void *user, const char *path, int64_t done, int64_t total); /* bytes of all files; NULL: unseen */
    void *user;
} HubWish;
typedef struct {
    const char *dir; /* the snapshot */
    int files, fetched;
    int64_t bytes; /* of all files */
} HubFound;

/* E_CONFIG: the name, the revision or the wish; the hub knows no such thing, or does not let this token see it; or
 * HF_HUB_OFFLINE is set.  E_FORMAT: a list or content that is not as the hub says.  E_IO: the network or the disk,
 * after some tries. */
Status hub_fetch(HubFound *out, Arena *, const HubWish *);

#endif

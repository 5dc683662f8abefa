/* What a repository of the hub holds at one commit, as GET /api/models/NAME/revision/REVISION?blobs=true tells it. */
#ifndef HUB_LISTING_H
#define HUB_LISTING_H

#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"

typedef struct {
    const char *path; /* within the repository; none that could leave a directory */
    const char *hash; /* SHA-256 of 64 digits, or git's hash of a blob, 40 digits */
    int64_t size;
} HubFile;
typedef struct {
    const char *name, *commit; /* 40 digits */
    HubFile *file;
    int n;
} Listing;

/* E_FORMAT: the text is no such list. */
Status listing_read(Listing *out, Arena *, const char *name, const char *text, size_t len);
/* Keeps the files that `only` names, or, NULL, those that loading the model reads: its configs, its tokenizer, and
 * its weights in one form.  E_CONFIG: none, or several quantised files to choose from. */
Status listing_choose(Listing *, Arena *, const char *only);

#endif

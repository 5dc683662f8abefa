/* One file of a repository, fetched into the blobs of the cache. */
#ifndef HUB_BLOB_H
#define HUB_BLOB_H

#include "hub/hub.h"
#include "hub/listing.h"

typedef struct {
    const char *endpoint, *token; /* token NULL: none */
    const char *model, *locks;    /* directories of this repository in the cache */
    const HubWish *wish;          /* whose see() is told */
    int64_t before, total;        /* bytes of the files before this one, and of all */
} HubPlace;

/* Leaves blobs/HASH; *fetched: it was not there.  E_IO, E_FORMAT, E_CONFIG as hub_fetch(). */
Status blob_fetch(bool *fetched, Arena *, const HubPlace *, const Listing *, const HubFile *);
/* The sentence for an answer that is none of the good ones. */
Status hub_refusal(const char *name, const char *what, long status, const char *code, bool token);

#endif

/* One GET of HTTP through libcurl. */
#ifndef HUB_REQUEST_H
#define HUB_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"

typedef struct {
    const char *url, *token; /* token NULL: none */
    int64_t from;            /* ask for the bytes from here on */
    /* Takes the next bytes of a good answer.  `restart`: the server sends all from byte 0.  false ends it. */
    bool (*take)(void *user, const char *bytes, size_t n, bool restart);
    void *user;
} Request;
typedef struct {
    long status;      /* of HTTP, after redirects; 0: no answer came */
    bool whole;       /* the answer came to its end */
    bool refused;     /* take() said false */
    bool may_mend;    /* another try can have another result */
    int64_t wait;     /* seconds that the server asks for, or 0 */
    char code[64];    /* the hub's X-Error-Code: "RepoNotFound", "GatedRepo", ... */
    char reason[256]; /* libcurl's sentence where the transfer broke off */
} Answer;

Answer request_run(const Request *);
char *request_escape(Arena *, const char *text, bool slashes); /* for a URL; slashes: '/' stays */

#endif

/* Which modules a PEFT config means: a list of suffixes, or a regular expression that must match the whole name. */
#ifndef ADAPTER_MATCH_H
#define ADAPTER_MATCH_H

#include "io/json.h"

/* Absent or null matches nothing.  E_FORMAT: neither a text nor a list of texts, or no regular expression. */
Status match_modules(bool *out, const cJSON *object, const char *key, const char *name, const char *path);
/* Python's re.match(pattern, text), or with `whole` re.fullmatch; *group: where its first group begins, or -1.
 * Patterns come from files: matching gives up, E_FORMAT, after a bounded number of steps. */
Status match_regex(bool *out, int *group, const char *pattern, bool whole, const char *text, const char *path,
                   const char *key);

#endif

/* Where the results of a trunk are kept: in memory up to a limit, then in a file without a name, or in a file that
 * processes share.
 *
 * The shared file of a key is KEY.NUMBER.data, which only grows, and KEY.index, a sealed text that lists each text's
 * place in it with the SHA-256 of the bytes there.  One process at a time, which holds KEY.lock, appends to the data
 * and replaces the index by a rename.  Others read, and look at the index again when they miss a text.  Bytes are
 * checked when a process first reads them.  An index that is not as it was written counts as none, and a record whose
 * bytes differ is computed again. */
#ifndef NN_TRUNK_STORE_H
#define NN_TRUNK_STORE_H

#include "base/sha256.h"
#include "nn/trunk.h"

typedef struct Store Store;
/* `key` names the shared file, NULL: none.  `row` is the size of one row in bytes. */
Store *store_open(Arena *run, const TrunkPlan *, const char *key, size_t row);
/* The rows of a text into `to`; false where they are not there, or not as they were written. */
bool store_get(Store *, const Sha256Hex *text, int64_t rows, void *to);
void store_put(Store *, const Sha256Hex *text, int64_t rows, const void *from);
void store_close(Store *);

#endif

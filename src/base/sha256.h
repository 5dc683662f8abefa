/* SHA-256 (FIPS 180-4), for hashes of input files and the names of kept files. */
#ifndef BASE_SHA256_H
#define BASE_SHA256_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

typedef struct {
    uint32_t h[8];
    uint64_t bytes;
    unsigned char block[64];
} Sha256;
typedef struct {
    char hex[65];
} Sha256Hex;

Sha256 sha256_begin(void);
void sha256_add(Sha256 *, const void *bytes, size_t n);
Sha256Hex sha256_end(Sha256 *);
Status sha256_file(Sha256Hex *out, const char *path); /* E_IO names the path */

#endif

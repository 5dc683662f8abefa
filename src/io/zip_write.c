/* Entries are stored as they are.  Sizes and places beyond 32 bits go into zip64's fields, which are there only where
 * they are needed. */
#include <string.h>

#include "io/zip.h"

enum { ALIGN = 64, LOCAL = 30 };

static void little(Buf *b, uint64_t x, int n)
{
    for (int i = 0; i < n; i++) buf_add(b, &(char){(char)(x >> 8 * i)}, 1);
}

/* ---- CRC-32, eight bytes at a time: row k is a byte's share with k bytes behind it */

static void crc_table(uint32_t row[8][256])
{
    for (uint32_t i = 0; i < 256; i++) {
        row[0][i] = i;
        for (int k = 0; k < 8; k++) row[0][i] = row[0][i] >> 1 ^ (row[0][i] & 1 ? 0xedb88320 : 0);
    }
    for (int k = 1; k < 8; k++)
        for (int i = 0; i < 256; i++) row[k][i] = row[k - 1][i] >> 8 ^ row[0][row[k - 1][i] & 255];
}

static uint32_t crc_of(uint32_t row[8][256], const void *bytes, size_t n)
{
    const unsigned char *b = bytes;
    uint32_t c = 0xffffffff;
    for (; n >= 8; n -= 8, b += 8) {
        uint32_t lo, hi;
        memcpy(&lo, b, 4);
        memcpy(&hi, b + 4, 4);
        lo ^= c;
        c = row[7][lo & 255] ^ row[6][lo >> 8 & 255] ^ row[5][lo >> 16 & 255] ^ row[4][lo >> 24] ^ row[3][hi & 255] ^
            row[2][hi >> 8 & 255] ^ row[1][hi >> 16 & 255] ^ row[0][hi >> 24];
    }
    for (; n; n--, b++) c = c >> 8 ^ row[0][(c ^ *b) & 255];
    return ~c;
}

/* ---- records */

static uint64_t capped(uint64_t x)
{
    return x < UINT32_MAX ? x : UINT32_MAX;
}

/* The fields of both headers of an entry, from the version needed to the length of the extra field. */
static void put_entry(Buf *b, bool wide, uint32_t crc, size_t n, size_t name, size_t extra)
{
    little(b, wide ? 45 : 20, 2);
    little(b, 0, 8); /* no flags, stored, no time: the same tensors make the same file */
    little(b, crc, 4);
    little(b, capped(n), 4);
    little(b, capped(n), 4);
    little(b, name, 2);
    little(b, extra, 2);
}

ZipWriter zip_begin(Arena *a, Writer *to)
{
    ZipWriter z = {.to = to, .central = buf_open(a)};
    crc_table(z.crc);
    return z;
}

static void put(ZipWriter *z, const void *bytes, size_t n)
{
    writer_add(z->to, bytes, n);
    z->at += n;
}

/* The entry itself, padded so that its bytes are aligned, and its row in the central directory, which zip_end()
 * writes. */
void zip_add(ZipWriter *z, const char *name, const void *bytes, size_t n)
{
    static const char zeros[ALIGN];
    size_t len = strlen(name), big = n >= UINT32_MAX ? 20 : 0;
    uint64_t from = z->at, far = from >= UINT32_MAX ? 8 : 0, wide = (big ? 16 : 0) + far;
    uint32_t crc = crc_of(z->crc, bytes, n);
    size_t pad = (ALIGN - (size_t)(from + LOCAL + len + big + 4) % ALIGN) % ALIGN;
    Buf b = buf_open(z->central.arena);
    buf_add(&b, "PK\3\4", 4);
    put_entry(&b, big > 0, crc, n, len, big + 4 + pad);
    buf_add(&b, name, len);
    if (big) {
        little(&b, 1, 2);
        little(&b, 16, 2);
        little(&b, n, 8);
        little(&b, n, 8);
    }
    buf_add(&b, "FB", 2); /* the extra field by which torch aligns */
    little(&b, pad, 2);
    put(z, b.text, b.len);
    put(z, zeros, pad);
    put(z, bytes, n);

    Buf *c = &z->central;
    buf_add(c, "PK\1\2", 4);
    little(c, 45, 2);
    put_entry(c, wide > 0, crc, n, len, wide ? 4 + wide : 0);
    buf_add(c, "\0\0\0\0\0\0\0\0\0", 10); /* no comment, first disk, no attributes */
    little(c, capped(from), 4);
    buf_add(c, name, len);
    if (wide) {
        little(c, 1, 2);
        little(c, wide, 2);
    }
    if (big) {
        little(c, n, 8);
        little(c, n, 8);
    }
    if (far) little(c, from, 8);
    z->n++;
}

void zip_end(ZipWriter *z)
{
    uint64_t from = z->at, n = (uint64_t)z->n, size = z->central.len;
    bool wide = from >= UINT32_MAX || n >= UINT16_MAX;
    put(z, z->central.text, size);
    Buf b = buf_open(z->central.arena);
    if (wide) {
        uint64_t here = z->at;
        buf_add(&b, "PK\6\6", 4);
        little(&b, 44, 8);
        little(&b, 45, 2);
        little(&b, 45, 2);
        little(&b, 0, 8);
        little(&b, n, 8);
        little(&b, n, 8);
        little(&b, size, 8);
        little(&b, from, 8);
        buf_add(&b, "PK\6\7\0\0\0\0", 8);
        little(&b, here, 8);
        little(&b, 1, 4);
    }
    buf_add(&b, "PK\5\6\0\0\0\0", 8);
    little(&b, n < UINT16_MAX ? n : UINT16_MAX, 2);
    little(&b, n < UINT16_MAX ? n : UINT16_MAX, 2);
    little(&b, size, 4);
    little(&b, capped(from), 4);
    little(&b, 0, 2);
    put(z, b.text, b.len);
}

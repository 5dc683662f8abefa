/* Texts with zero bytes in JSON: cJSON ends a string there, so U+E123 stands for them while a file is parsed. */
#ifndef TESTS_ZEROS_H
#define TESTS_ZEROS_H

#include <string.h>

#include "base/file.h"
#include "base/str.h"

static inline void protect_zeros(char *json)
{
    for (char *p = json; (p = strstr(p, "\\u0000")); p += 6) memcpy(p, "\\uE123", 6);
}

static inline Bytes with_zeros(Arena *a, const char *text)
{
    Bytes b = {str_copy(a, text, strlen(text)), strlen(text)};
    size_t n = 0;
    for (size_t i = 0; i < b.len; i++) {
        bool zero = strncmp(b.text + i, "\xee\x84\xa3", 3) == 0;
        b.text[n++] = zero ? 0 : b.text[i];
        i += zero ? 2 : 0;
    }
    b.len = n;
    return b;
}

#endif

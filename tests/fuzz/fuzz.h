/* A fuzz target is one file here with one function, void fuzz_NAME(bytes, n), that reads the bytes as a file of its
 * kind and must return whatever they are.  `make fuzz-NAME` builds it for libFuzzer, and test_corpus.c feeds it
 * every file of corpus/NAME.  Memory is one arena, emptied after each call. */
#ifndef FUZZ_FUZZ_H
#define FUZZ_FUZZ_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/file.h"
#include "base/str.h"

#ifdef FUZZER
#define FUZZ(name)                                                                                                   \
    int LLVMFuzzerTestOneInput(const uint8_t *, size_t);                                                             \
    int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)                                                       \
    {                                                                                                                \
        fuzz_##name((const char *)bytes, n);                                                                         \
        return 0;                                                                                                    \
    }
#else
#define FUZZ(name)
#endif

static inline Arena *fuzz_arena(void)
{
    static Arena arena;
    if (!arena.base) arena = arena_open((size_t)1 << 30);
    return &arena;
}

static inline void fuzz_done(void)
{
    Arena *a = fuzz_arena();
    arena_drop(a, (ArenaMark){a->base});
    err_clear();
}

/* The bytes behind a path, for readers that open files; the file lives in memory and is overwritten by the next. */
static inline const char *fuzz_file(const char *bytes, size_t n)
{
    static int file = -1;
    static char path[64];
    if (file < 0) file = memfd_create("fuzz", 0);
    CHECK(file >= 0 && !ftruncate(file, (off_t)n) && pwrite(file, bytes, n, 0) == (ssize_t)n, "no file in memory");
    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    return path;
}

#endif

/* Reserve, then touch: one mmap of address space, a bump pointer, pages committed by the kernel on first
 * write.  This is the only file that takes memory from the system. */
#include "base/arena.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/err.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
enum { REDZONE = 64 };
#else
#define ASAN_POISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
#define ASAN_UNPOISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
enum { REDZONE = 0 };
#endif

enum { ALIGN = 64 };

static void *reserve_space(size_t bytes)
{
    return mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
}

size_t arena_space_left(void)
{
    struct rlimit limit;
    unsigned long pages = 0;
    if (getrlimit(RLIMIT_AS, &limit) || limit.rlim_cur == RLIM_INFINITY) return SIZE_MAX;
    FILE *f = fopen("/proc/self/statm", "r");
    if (!f) return limit.rlim_cur;
    if (fscanf(f, "%lu", &pages) != 1) pages = 0;
    fclose(f);
    size_t used = (size_t)pages * (size_t)sysconf(_SC_PAGESIZE);
    return used < limit.rlim_cur ? limit.rlim_cur - used : 0;
}

/* Of a limited address space (ulimit -v) an arena takes at most a quarter of the rest: other arenas and the
 * libraries need room as well.  Where overcommit is refused (mode 2) the reservation is halved until the system
 * agrees, and then a quarter of that is taken. */
Arena arena_open(size_t reserve)
{
    const char *limit = getenv("VERNIER_ARENA_MB");
    if (!reserve) reserve = (size_t)1 << 36;
    if (limit && strtoull(limit, NULL, 10)) {
        size_t cap = (size_t)strtoull(limit, NULL, 10) << 20;
        if (cap < reserve) reserve = cap;
    }
    const size_t left = arena_space_left() / 4 & ~(size_t)0xffff;
    if (reserve > left) reserve = left;
    const size_t wanted = reserve;
    for (; reserve >= (size_t)1 << 20; reserve /= 2) {
        char *p = reserve_space(reserve);
        if (p == MAP_FAILED) continue;
        if (reserve < wanted) {
            munmap(p, reserve);
            reserve /= 4;
            p = reserve_space(reserve);
            if (p == MAP_FAILED) break;
        }
        madvise(p, reserve, MADV_HUGEPAGE); /* fewer page faults; harmless where refused */
        return (Arena){p, p, p, p + reserve, NULL};
    }
    err_no_memory("the system grants no address space");
}

static size_t with_margins(size_t bytes)
{
    return ((bytes + ALIGN - 1) & ~(size_t)(ALIGN - 1)) + REDZONE;
}

/* From `bytes` bytes at `block`, of which the first `was` are in use already, to the top. */
static void hand_out(Arena *a, char *block, size_t was, size_t bytes)
{
    size_t room = (size_t)(a->end - block);
    if (bytes > room || with_margins(bytes) > room)
        err_no_memory("%zu bytes requested, %zu of %zu left (VERNIER_ARENA_MB sets the size)", bytes, room,
                      (size_t)(a->end - a->base));
    a->top = block + with_margins(bytes);
    if (a->top > a->peak) a->peak = a->top;
    ASAN_UNPOISON_MEMORY_REGION(block, bytes);
    ASAN_POISON_MEMORY_REGION(block + bytes, (size_t)(a->top - block) - bytes); /* the red zone, as it comes up */
#ifdef VERNIER_DEBUG
    static const uint64_t snan = 0x7ff4deadfff4dead; /* signalling as one F64 and as its upper F32 half */
    for (size_t i = (was + 7) & ~(size_t)7; i + 8 <= bytes; i += 8) memcpy(block + i, &snan, 8);
#else
    (void)was;
#endif
}

void *arena_take(Arena *a, size_t bytes)
{
    char *block = a->top;
    hand_out(a, block, 0, bytes);
    return block;
}

bool arena_stretch(Arena *a, void *block, size_t was, size_t bytes)
{
    if (bytes < was || (char *)block + with_margins(was) != a->top) return false;
    hand_out(a, block, was, bytes);
    return true;
}

void *arena_zero(Arena *a, size_t bytes)
{
    void *block = arena_take(a, bytes);
    return bytes ? memset(block, 0, bytes) : block;
}

void *arena_grow(Arena *a, void *block, size_t was, size_t bytes)
{
    CHECK(bytes >= was, "a block of %zu bytes grows to %zu", was, bytes);
    if (!was || !arena_stretch(a, block, was, bytes)) {
        const void *old = block;
        block = arena_take(a, bytes);
        if (was) memcpy(block, old, was);
    }
    memset((char *)block + was, 0, bytes - was);
    return block;
}

typedef struct ArenaMap {
    void *at;
    size_t bytes;
    struct ArenaMap *next;
} ArenaMap;

void arena_adopt(Arena *a, void *map, size_t bytes)
{
    ArenaMap *m = NEW(a, ArenaMap, 1);
    *m = (ArenaMap){map, bytes, a->maps};
    a->maps = m;
}

static void unmap_from(Arena *a, const char *top)
{
    for (; a->maps && (char *)a->maps >= top; a->maps = a->maps->next) munmap(a->maps->at, a->maps->bytes);
}

ArenaMark arena_mark(const Arena *a)
{
    return (ArenaMark){a->top};
}

void arena_drop(Arena *a, ArenaMark mark)
{
    CHECK(mark.top >= a->base && mark.top <= a->top, "an ArenaMark is dropped twice or out of order");
    unmap_from(a, mark.top);
    ASAN_POISON_MEMORY_REGION(mark.top, (size_t)(a->top - mark.top));
    a->top = mark.top;
}

size_t arena_peak(const Arena *a)
{
    return (size_t)(a->peak - a->base);
}

void arena_close(Arena *a)
{
    unmap_from(a, a->base);
    ASAN_UNPOISON_MEMORY_REGION(a->base, (size_t)(a->peak - a->base));
    if (a->base) munmap(a->base, (size_t)(a->end - a->base));
    *a = (Arena){0};
}

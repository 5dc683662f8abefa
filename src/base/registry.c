/* The lists behind REGISTER.  Entries arrive before main() from the constructors of every object of the program,
 * which is why the lists are plain arrays: an arena is not open yet, and a linker section would end at the border of
 * a shared library. */
#include "base/registry.h"

#include <string.h>

#include "base/err.h"

typedef struct {
    const char *kind;
    const void *entry[REGISTRY_MOST];
    int n;
} Registry;

static Registry registries[REGISTRY_KINDS];
static int kinds;

/* NULL where nothing of the kind was added. */
static Registry *registry_find(const char *kind)
{
    for (int i = 0; i < kinds; i++)
        if (!strcmp(registries[i].kind, kind)) return &registries[i];
    return NULL;
}

void registry_add(const char *kind, const void *entry)
{
    Registry *r = registry_find(kind);
    if (!r) {
        CHECK(kinds < REGISTRY_KINDS, "'%s' is one kind of registry too many; expected at most %d", kind,
              REGISTRY_KINDS);
        r = &registries[kinds++];
        r->kind = kind;
    }
    CHECK(r->n < REGISTRY_MOST, "registry '%s' is full; expected at most %d entries", kind, REGISTRY_MOST);
    r->entry[r->n++] = entry;
}

const void *const *registry_begin(const char *kind)
{
    Registry *r = registry_find(kind);
    return r ? r->entry : NULL;
}

const void *const *registry_end(const char *kind)
{
    Registry *r = registry_find(kind);
    return r ? r->entry + r->n : NULL;
}

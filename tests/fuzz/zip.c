/* The directory of a zip: every entry lies within the file, under a name of its own. */
#include "fuzz/fuzz.h"
#include "io/zip.h"

static void fuzz_zip(const char *bytes, size_t n)
{
    char *copy = arena_take(fuzz_arena(), n);
    if (n) memcpy(copy, bytes, n);
    Zip z = {0};
    if (!zip_open(&z, fuzz_arena(), (Bytes){copy, n}, "input"))
        for (int i = 0; i < z.n; i++) {
            const ZipEntry *e = &z.at[i];
            CHECK(e->bytes >= copy && e->len <= n && e->bytes + e->len <= copy + n, "an entry leaves the file");
            CHECK(!i || strcmp(z.at[i - 1].name, e->name) < 0, "names are not in order");
        }
    fuzz_done();
}
FUZZ(zip)

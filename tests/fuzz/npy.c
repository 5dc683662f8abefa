/* .npy: opened, every value looked at, and a tensor made of it. */
#include "fuzz/fuzz.h"
#include "io/npy.h"

static void fuzz_npy(const char *bytes, size_t n)
{
    Weights *w = NULL;
    Tensor t;
    double sum = 0;
    if (!npy_open(&w, fuzz_arena(), fuzz_file(bytes, n))) {
        const Stored *s = weights_at(w, 0);
        CHECK(s->n_bytes <= n, "%zu bytes of values in a file of %zu", s->n_bytes, n);
        for (int64_t k = 0; k < s->count; k++) sum += stored_get(s, k);
        if (!stored_tensor(&t, fuzz_arena(), s)) CHECK(tensor_count(t) == s->count, "values are lost");
    }
    weights_close(w);
    fuzz_done();
    (void)sum;
}
FUZZ(npy)

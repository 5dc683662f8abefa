/* safetensors: opened, and every value of every tensor read. */
#include "fuzz/fuzz.h"
#include "io/safetensors.h"

static void fuzz_safetensors(const char *bytes, size_t n)
{
    Weights *w = NULL;
    double sum = 0;
    if (!safetensors_open(&w, fuzz_arena(), fuzz_file(bytes, n)))
        for (int i = 0; i < weights_n(w); i++) {
            const Stored *s = weights_at(w, i);
            Tensor t;
            for (int64_t k = 0; k < s->count && s->n_bytes; k++) sum += stored_get(s, k);
            CHECK(weights_find(w, s->name) == s, "a name finds another tensor");
            if (stored_tensor(&t, fuzz_arena(), s)) err_clear();
        }
    weights_close(w);
    fuzz_done();
    (void)sum;
}
FUZZ(safetensors)

/* torch.save's two containers and the pickles in them, loaded, scanned, and a pickle by itself. */
#include "fuzz/fuzz.h"
#include "io/pickle.h"
#include "io/torch.h"

static void fuzz_torch(const char *bytes, size_t n)
{
    Weights *w = NULL;
    const char **names, *path = fuzz_file(bytes, n);
    int found = 0;
    double sum = 0;
    if (!torch_open(&w, fuzz_arena(), path, NULL))
        for (int i = 0; i < weights_n(w); i++) {
            const Stored *s = weights_at(w, i);
            for (int64_t k = 0; k < s->count; k++) sum += stored_get(s, k);
        }
    weights_close(w);
    err_clear();
    torch_globals(&names, &found, fuzz_arena(), path);
    err_clear();
    PickleFile f = {.path = "input", .bytes = bytes, .len = n, .scan = true};
    for (Pickled *p; f.at < n && !pickle_read(&p, fuzz_arena(), &f);) pickled_get(p, "state_dict");
    fuzz_done();
    (void)sum;
}
FUZZ(torch)

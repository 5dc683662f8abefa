/* A SentencePiece model: opened, and where it opens a text cut and given back. */
#include "fuzz/fuzz.h"
#include "text/spm.h"

static void fuzz_spm(const char *bytes, size_t n)
{
    static const char TEXT[] = "  int Aabb<tag> = \xef\xac\x81\xc3\xa9;\t\xff </s>\xe2\x96\x81 ";
    Spm *s;
    if (!spm_open(&s, fuzz_arena(), fuzz_file(bytes, n))) {
        size_t len;
        BpeText x = spm_encode(s, fuzz_arena(), TEXT, sizeof TEXT - 1);
        for (int64_t i = 0; i < x.n; i++)
            CHECK(x.id[i] >= 0 && x.id[i] < spm_size(s) && x.begin[i] >= 0 && x.begin[i] <= x.end[i] &&
                      x.end[i] <= (int64_t)sizeof TEXT - 1,
                  "token %d stands for [%lld,%lld)", x.id[i], (long long)x.begin[i], (long long)x.end[i]);
        spm_decode(s, fuzz_arena(), x.id, x.n, &len);
    }
    fuzz_done();
}
FUZZ(spm)

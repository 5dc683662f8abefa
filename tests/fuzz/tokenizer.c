/* tokenizer.json: opened, and where it opens a text cut, given back and refused nothing. */
#include "fuzz/fuzz.h"
#include "text/tokenizer.h"

static void fuzz_tokenizer(const char *bytes, size_t n)
{
    static const char TEXT[] = "int <mask>Ax = \"a\xc3\xa9\";\n\t\xff </s>  // 'll 12\xe2\x96\x81 ";
    Tokenizer t;
    if (!tokenizer_open(&t, fuzz_arena(), fuzz_file(bytes, n))) {
        for (int special = 0; special < 2; special++) {
            size_t len;
            BpeText x = tokenizer_encode(&t, fuzz_arena(), TEXT, sizeof TEXT - 1, special);
            for (int64_t i = 0; i < x.n; i++)
                CHECK(x.begin[i] >= 0 && x.begin[i] <= x.end[i] && x.end[i] <= (int64_t)sizeof TEXT - 1,
                      "a token stands for [%lld,%lld)", (long long)x.begin[i], (long long)x.end[i]);
            tokenizer_decode(&t, fuzz_arena(), x.id, x.n, &len);
        }
        tokenizer_close(&t);
    }
    fuzz_done();
}
FUZZ(tokenizer)

/* vocab.txt of WordPiece: read, and where it opens a text cut by it. */
#include "fuzz/fuzz.h"
#include "text/wordpiece.h"

static void fuzz_wordpiece(const char *bytes, size_t n)
{
    static const char *const WORD[] = {"a", "ab", "interface", "\xc3\xa9tude", "\xe6\xbc\xa2"};
    WordPiece m;
    if (!wordpiece_read_lines(&m, fuzz_arena(), fuzz_file(bytes, n), "[UNK]")) {
        Cutting at[32];
        for (size_t i = 0; i < sizeof WORD / sizeof *WORD; i++) {
            int64_t len = (int64_t)strlen(WORD[i]), sum = 0, k = wordpiece_cut(&m, fuzz_arena(), WORD[i], len, at);
            for (int64_t c = 0; c < k; c++) sum += at[c].len;
            CHECK(sum == len, "the pieces of a word of %lld bytes have %lld", (long long)len, (long long)sum);
        }
    }
    fuzz_done();
}
FUZZ(wordpiece)

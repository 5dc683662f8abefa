/* tokenizer_config.json beside small vocabularies: read, the tokenizer opened by what it declares, and used. */
#include "fuzz/fuzz.h"
#include "text/tokenizer.h"

static const char *folder(const char *config)
{
    static char dir[64];
    if (*dir) return dir;
    Arena *a = fuzz_arena();
    snprintf(dir, sizeof dir, "/tmp/vernier-fuzz-%d", (int)getpid());
    static const char *const FILES[][2] = {{"vocab.txt", "[UNK]\n[CLS]\n[SEP]\na\n##b\nint\n"},
                                           {"vocab.json", "{\"a\": 0, \"b\": 1, \"ab\": 2, \"<s>\": 3, \"</s>\": 4}"},
                                           {"merges.txt", "#version: 0.2\na b\n"}};
    CHECK(!file_make_dir(dir), "%s", err_message());
    for (int i = 0; i < 3; i++)
        CHECK(!file_write(str_print(a, "%s/%s", dir, FILES[i][0]), FILES[i][1], strlen(FILES[i][1])), "%s",
              err_message());
    const char *link = str_print(a, "%s/tokenizer_config.json", dir);
    unlink(link);
    CHECK(!symlink(config, link), "no link to the file in memory");
    return dir;
}

static void fuzz_declared(const char *bytes, size_t n)
{
    static const char TEXT[] = "int <mask>Ab [MASK] = \"a\xc3\xa9\"; </s> <x>";
    Tokenizer t;
    const char *dir = folder(fuzz_file(bytes, n));
    if (!tokenizer_open(&t, fuzz_arena(), dir)) {
        size_t len;
        BpeText x = tokenizer_encode(&t, fuzz_arena(), TEXT, sizeof TEXT - 1, true), y;
        for (int64_t i = 0; i < x.n; i++) CHECK(x.id[i] >= 0, "token %d", x.id[i]);
        if (!tokenizer_wrap(&y, &t, fuzz_arena(), &x, &x, NULL, (Limit){.most = 20}))
            tokenizer_decode(&t, fuzz_arena(), y.id, y.n, &len);
        tokenizer_close(&t);
    }
    fuzz_done();
}
FUZZ(declared)

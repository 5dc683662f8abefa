/* Speed of tokenizing: bytes for each second of processor time, with and without the memory of words. */
#include <math.h>
#include <time.h>

#include "base/lines.h"
#include "base/print.h"
#include "base/str.h"
#include "bench/bench.h"
#include "probe/javagen.h"
#include "text/tokenizer.h"

static double cpu_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- text ---- */

enum { METHODS = 10000, TRAINED_ON = 2000, VOCABULARY = 8192, ROUNDS = 5 };

static Bytes methods(Arena *a, uint64_t seed, int64_t n)
{
    Buf b = buf_open(a);
    Bytes *method = NEW(a, Bytes, n);
    javagen_corpus(method, a, seed, n);
    for (int64_t i = 0; i < n; i++) {
        buf_add(&b, method[i].text, method[i].len);
        buf_add(&b, "\n", 1);
    }
    return (Bytes){b.text, b.len};
}

static Status subject(Tokenizer *t, Bytes *text, Arena *a, const Args *args)
{
    const char *path = args_text(args, "tokenizer", NULL), *file = args_text(args, "text", NULL);
    if (file)
        TRY(text_read(text, a, file, BYTES_ANY));
    else
        *text = methods(a, 2, METHODS);
    if (!text->len) return err_fail(E_CONFIG, "--text %s is empty", file);
    if (path) return tokenizer_open(t, a, path);
    Bpe *bpe;
    Bytes train = methods(a, 1, TRAINED_ON);
    TRY(bpe_train(&bpe, a, &(BpeTrain){.size = VOCABULARY}, &train, 1));
    *t = tokenizer_of(bpe);
    return OK;
}

/* Processor seconds of this thread, the time that other work on the machine lengthens least: the best of some rounds.
 * With `anew` each round starts with an empty cache of words. */
static double encode_seconds(const Tokenizer *t, Bytes text, bool words, bool anew, int64_t *tokens)
{
    double best = INFINITY;
    tokenizer_remember(t, words);
    for (int i = 0; i < ROUNDS; i++) {
        Arena step = arena_open(0);
        if (anew) tokenizer_remember(t, words);
        double start = cpu_seconds();
        *tokens = tokenizer_encode(t, &step, text.text, text.len, false).n;
        best = fmin(best, cpu_seconds() - start);
        arena_close(&step);
    }
    return best;
}

Status bench_text(const Args *args, bool lines)
{
    Arena a = arena_open(0);
    Tokenizer t;
    Bytes text;
    Status status = subject(&t, &text, &a, args);
    if (!status) {
        int64_t tokens;
        double mb = (double)text.len / 1e6;
        double first = encode_seconds(&t, text, true, true, &tokens),
               again = encode_seconds(&t, text, true, false, &tokens),
               without = encode_seconds(&t, text, false, true, &tokens);
        if (lines) {
            print_out("text/encode %.6g %.6g %.6g %.6g %.6g\n", mb, mb / first, mb / again, mb / without,
                      (double)tokens / first);
        } else {
            print_out("  %-26s %s, %.1f MB, %.2f bytes a token: %.1f MB/s and %.2f million tokens/s on one core%s\n",
                      "text/encode", t.kind, mb, (double)text.len / (double)tokens, mb / first,
                      (double)tokens / first / 1e6, ";");
            print_out("  %-26s %.1f MB/s with the words in the cache, %.1f MB/s without a cache\n", "", mb / again,
                      mb / without);
        }
        tokenizer_close(&t);
    }
    arena_close(&a);
    return status;
}

/* GGUF: opened as a checkpoint with every value read, as a config, and as a tokenizer that cuts a text. */
#include "fuzz/fuzz.h"
#include "io/gguf.h"
#include "text/tokenizer.h"

static void fuzz_gguf_weights(const char *path)
{
    Weights *w = NULL;
    double sum = 0;
    if (!weights_open(&w, fuzz_arena(), path))
        for (int i = 0; i < weights_n(w); i++) {
            const Stored *s = weights_at(w, i);
            Tensor t;
            for (int64_t k = 0; k < s->count; k += 1 + s->count / 64) sum += stored_get(s, k);
            CHECK(weights_find(w, s->name) == s, "a name finds another tensor");
            if (stored_tensor(&t, fuzz_arena(), s)) err_clear();
        }
    weights_close(w);
    (void)sum;
}

static void fuzz_gguf_metadata(const char *path)
{
    Gguf *g;
    cJSON *root = NULL;
    if (gguf_open(&g, fuzz_arena(), path)) return;
    if (!gguf_config(&root, fuzz_arena(), g)) CHECK(json_has(root, "model_type"), "a config without a type");
    cJSON_Delete(root);
    err_clear();
    if (!gguf_tokenizer(&root, fuzz_arena(), g)) CHECK(json_has(root, "model"), "a tokenizer without a model");
    cJSON_Delete(root);
    gguf_close(g);
}

static void fuzz_gguf_text(const char *path)
{
    static const char TEXT[] = "a b <s>ab\xc3\xa9 1 \xff";
    Tokenizer t;
    size_t len;
    if (tokenizer_open(&t, fuzz_arena(), path)) return;
    BpeText x = tokenizer_encode(&t, fuzz_arena(), TEXT, sizeof TEXT - 1, true);
    tokenizer_decode(&t, fuzz_arena(), x.id, x.n, &len);
    tokenizer_close(&t);
}

static void fuzz_gguf(const char *bytes, size_t n)
{
    void (*const part[])(const char *) = {fuzz_gguf_weights, fuzz_gguf_metadata, fuzz_gguf_text};
    for (int i = 0; i < 3; i++) {
        part[i](fuzz_file(bytes, n));
        fuzz_done();
    }
}
FUZZ(gguf)

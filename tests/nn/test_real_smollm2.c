/* SmolLM2-135M-Instruct as a GGUF of Q4_1, against what the reference libraries say of the same dequantised weights:
 * tokens, logits, hidden states, attention, loss, greedy text, and a LoRA written for llama.cpp.
 *
 * The weights lie in smollm2/ below $VERNIER_MODELS (build/models), the answers in models/expected of the shared
 * files; without either the tests are skipped.  A few seconds' worth of texts is compared, and all of them, with long
 * texts and every greedy prompt, where VERNIER_REAL is set (`make test-real`). */
#include "expect.h"

#include <string.h>

#include "adapter/adapter.h"
#include "io/gguf.h"
#include "io/npy.h"
#include "nn/generate.h"
#include "scratch.h"
#include "shared.h"
#include "text/tokenizer.h"

static Model *model;
static const char *weights, *expected; /* NULL: not at hand */
static bool all;

static int find(void **state)
{
    begin(state);
    const char *models = getenv("VERNIER_MODELS");
    const char *folder = str_print(&arena, "%s/smollm2", models && *models ? models : "build/models");
    expected = shared_path(&arena, "models/expected");
    all = getenv("VERNIER_REAL") != NULL;
    if (access(folder, R_OK) || access(expected, R_OK)) return 0;
    weights = folder;
    return model_load(&model, &arena, weights) != OK;
}

static Tensor array(const char *name)
{
    Tensor t;
    EXPECT(npy_read(&t, &arena, str_print(&arena, "%s/%s.npy", expected, name)) == OK, "%s", err_message());
    return t;
}

static cJSON *document(const char *name)
{
    cJSON *root;
    Bytes file;
    EXPECT(file_read(&file, &arena, str_print(&arena, "%s/%s.json", expected, name)) == OK, "%s", err_message());
    EXPECT(json_parse(&root, file.text, file.len, name) == OK, "%s", err_message());
    return root;
}

static double number(const cJSON *j, const char *key)
{
    return cJSON_GetObjectItemCaseSensitive(j, key)->valuedouble;
}

static int32_t *ids_of(const cJSON *j, const char *key, int64_t *n)
{
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(j, key), *x;
    int32_t *id = NEW(&arena, int32_t, cJSON_GetArraySize(list) + 1);
    *n = 0;
    cJSON_ArrayForEach(x, list) id[(*n)++] = (int32_t)x->valuedouble;
    return id;
}

static Tensor logits_of(Arena *step, const int32_t *id, int64_t n, const Hooks *hooks)
{
    Batch x = {.b = 1, .t = n, .ids = id};
    return model_logits(model, &(Pass){.tape = tape_open(step, false), .hooks = hooks}, &x)->val;
}

/* -log p of the next token, position by position, in double. */
static double mean_nll(Tensor logits, const int32_t *id, int64_t n)
{
    const int64_t vocab = tensor_last(logits);
    double sum = 0;
    for (int64_t t = 0; t + 1 < n; t++) {
        const float *row = (const float *)logits.data + t * vocab;
        double most = (double)row[0], part = 0;
        for (int64_t i = 1; i < vocab; i++) most = fmax(most, (double)row[i]);
        for (int64_t i = 0; i < vocab; i++) part += exp((double)row[i] - most);
        sum += log(part) + most - (double)row[id[t + 1]];
    }
    return sum / (double)(n - 1);
}

/* ---- tokens */

/* cJSON's strings end at U+0000, so the file's are read as U+E000, which none of them holds, and put back here. */
static Bytes with_zeros(const char *text)
{
    Bytes b = {str_copy(&arena, text, strlen(text)), 0};
    for (; *text; text += strncmp(text, "\xee\x80\x80", 3) ? 1 : 3)
        b.text[b.len++] = (char)(strncmp(text, "\xee\x80\x80", 3) ? *text : 0);
    return b;
}

static cJSON *strings_of_tokenizer(void)
{
    Bytes file;
    EXPECT(file_read(&file, &arena, str_print(&arena, "%s/smollm2/tokenizer.json", expected)) == OK, "%s",
           err_message());
    for (char *at = file.text; (at = strstr(at, "\\u0000")); at += 6) memcpy(at, "\\ue000", 6);
    return cJSON_ParseWithLength(file.text, file.len);
}

static void expect_tokens(const Tokenizer *t, const cJSON *j, const char *key, bool special)
{
    Bytes text = with_zeros(cJSON_GetObjectItemCaseSensitive(j, "text")->valuestring);
    int64_t n;
    const int32_t *want = ids_of(j, key, &n);
    BpeText got = tokenizer_encode(t, &arena, text.text, text.len, special);
    for (int64_t i = 0; i < n && i < got.n; i++)
        EXPECT(got.id[i] == want[i], "%.60s: token %lld is %d, expected %d", text.text, (long long)i, got.id[i],
               want[i]);
    EXPECT(got.n == n, "%.60s: %lld tokens, expected %lld", text.text, (long long)got.n, (long long)n);
}

static void expect_text(const Tokenizer *t, const cJSON *j)
{
    Bytes want = with_zeros(cJSON_GetObjectItemCaseSensitive(j, "decoded")->valuestring);
    int64_t n;
    size_t len;
    const int32_t *id = ids_of(j, "ids", &n);
    const char *got = tokenizer_decode(t, &arena, id, n, &len);
    EXPECT(len == want.len && !memcmp(got, want.text, len), "decoded to '%.60s', expected '%.60s'", got, want.text);
}

/* 21 bytes have no token: they are left out before merging, as the library `tokenizers` does. */
static void tokens_are_the_references(void **state)
{
    (void)state;
    if (!weights) skip();
    Tokenizer t;
    EXPECT(tokenizer_open(&t, &arena, weights) == OK, "%s", err_message());
    cJSON *root = strings_of_tokenizer();
    const cJSON *j;
    int n = 0;
    cJSON_ArrayForEach(j, cJSON_GetObjectItem(root, "strings"))
    {
        expect_tokens(&t, j, "ids", true);
        expect_tokens(&t, j, "ids_specials_as_text", false);
        expect_text(&t, j);
        n++;
    }
    assert_int_equal(n, 173);
    cJSON_Delete(root);
    tokenizer_close(&t);
}

/* ---- logits */

static void expect_top(Tensor logits, int64_t t, const int32_t *id, const float *value, const char *what)
{
    enum { TOP = 20 };
    const int64_t vocab = tensor_last(logits);
    const float *row = (const float *)logits.data + t * vocab;
    for (int k = 0; k < TOP; k++)
        EXPECT(fabs((double)(row[id[k]] - value[k])) < 3e-4, "%s, position %lld: logit %d is %.7g, expected %.7g",
               what, (long long)t, id[k], (double)row[id[k]], (double)value[k]);
    for (int64_t i = 0; i < vocab; i++) {
        bool listed = row[i] <= value[TOP - 1] + 3e-4f;
        for (int k = 0; k < TOP && !listed; k++) listed = id[k] == i;
        EXPECT(listed, "%s, position %lld: token %lld is among the first 20", what, (long long)t, (long long)i);
    }
}

static void expect_last(Tensor logits, int64_t t, Tensor want, int64_t row, const char *what)
{
    const int64_t vocab = tensor_last(logits);
    double worst = 0;
    for (int64_t i = 0; i < vocab; i++)
        worst = fmax(worst, fabs(tensor_get(logits, t * vocab + i) - tensor_get(want, row * vocab + i)));
    EXPECT(worst < 3e-4, "%s: the last logits differ by %.3g", what, worst);
}

static void logits_and_losses_are_the_references(void **state)
{
    (void)state;
    if (!weights) skip();
    Arena step = arena_open(0);
    cJSON *root = document("smollm2/texts");
    Tensor last = array("smollm2/last_logits"), ids = array("smollm2/top20_ids"), top = array("smollm2/top20_logits");
    const cJSON *j;
    int64_t i = 0, n;
    cJSON_ArrayForEach(j, cJSON_GetObjectItem(root, "texts"))
    {
        const int32_t *id = ids_of(j, "ids", &n);
        int64_t row = (int64_t)number(j, "first_row"), number_ = i++;
        if (!all && n > 21) continue;
        ArenaMark mark = arena_mark(&step);
        Tensor y = logits_of(&step, id, n, NULL);
        const char *what = str_print(&arena, "text %lld", (long long)number_);
        expect_last(y, n - 1, last, number_, what);
        for (int64_t t = 0; t < n; t++)
            expect_top(y, t, (const int32_t *)ids.data + 20 * (row + t), (const float *)top.data + 20 * (row + t),
                       what);
        if (n > 1) near(mean_nll(y, id, n), number(j, "mean_nll_float64"), 1e-5, what);
        arena_drop(&step, mark);
    }
    assert_int_equal(i, 25);
    cJSON_Delete(root);
    arena_close(&step);
}

static void the_long_text_has_its_perplexity(void **state)
{
    (void)state;
    if (!weights || !all) skip();
    Arena step = arena_open(0);
    cJSON *root = document("smollm2/long");
    int64_t n;
    const int32_t *id = ids_of(root, "ids", &n);
    double nll = mean_nll(logits_of(&step, id, n, NULL), id, n);
    near(nll, number(root, "mean_nll_float64"), 1e-5, "mean negative log-likelihood");
    near(exp(nll), number(root, "perplexity"), 2e-4, "perplexity");
    cJSON_Delete(root);
    arena_close(&step);
}

/* ---- the inside */

/* Layer l of `want` against a tensor of the same number of elements, relative to the layer's largest. */
static void expect_layer(Tensor got, Tensor want, int64_t l, double limit, bool relative, const char *what)
{
    int64_t n = tensor_count(want) / want.dim[0];
    double worst = 0, most = 0;
    assert_int_equal(tensor_count(got), n);
    for (int64_t i = 0; i < n; i++) {
        worst = fmax(worst, fabs(tensor_get(got, i) - tensor_get(want, l * n + i)));
        most = fmax(most, fabs(tensor_get(want, l * n + i)));
    }
    EXPECT(worst <= limit * (relative ? most : 1), "%s %lld differs by %.3g of %.3g", what, (long long)l, worst,
           most);
}

static void layers_and_attention_are_the_references(void **state)
{
    (void)state;
    if (!weights) skip();
    enum { LAYERS = 30 };
    static const int TEXTS[] = {0, 2, 10};
    Arena step = arena_open(0);
    cJSON *root = document("smollm2/texts");
    for (int k = 0; k < (all ? 3 : 2); k++) {
        Capture resid[LAYERS + 1], probs[LAYERS];
        Hooks *hooks = hooks_new(&step);
        for (int l = 0; l <= LAYERS; l++) {
            resid[l] = (Capture){.arena = &step};
            hook_observe(hooks, (Where){SITE_RESID, l - 1, PART_DECODER}, hook_capture, &resid[l]);
            if (l == LAYERS) break;
            probs[l] = (Capture){.arena = &step};
            hook_observe(hooks, (Where){SITE_PROBS, l, PART_DECODER}, hook_capture, &probs[l]);
        }
        int64_t n;
        const int32_t *id = ids_of(cJSON_GetArrayItem(cJSON_GetObjectItem(root, "texts"), TEXTS[k]), "ids", &n);
        Batch x = {.b = 1, .t = n, .ids = id};
        Tensor last = model_hidden(model, &(Pass){.tape = tape_open(&step, false), .hooks = hooks}, &x)->val;
        Tensor want = array(str_print(&arena, "smollm2/hidden.%d", TEXTS[k]));
        for (int l = 0; l <= LAYERS; l++) /* the last is behind the final norm */
            expect_layer(l == LAYERS ? last : resid[l].value, want, l, 3e-5, true, "hidden state");
        want = k ? array(str_print(&arena, "smollm2/attention.%d", TEXTS[k])) : want;
        for (int l = 0; k && l < LAYERS; l++) expect_layer(probs[l].value, want, l, 2e-5, false, "attention");
    }
    cJSON_Delete(root);
    arena_close(&step);
}

/* ---- text */

static void expect_greedy(Arena *step, const cJSON *j, int most, int end, const char *what)
{
    int64_t n, wanted;
    const int32_t *id = ids_of(j, "prompt_ids", &n), *want = ids_of(j, "new_ids", &wanted);
    int32_t *out = NEW(&arena, int32_t, most), len = (int32_t)n, got;
    GenerateConfig c = generate_defaults(model, most);
    c.eos = end;
    Batch x = {.b = 1, .t = n, .ids = id, .len = &len};
    EXPECT(generate_tokens(out, &got, model, NULL, step, &x, &c) == OK, "%s", err_message());
    for (int i = 0; i < got && i < wanted; i++)
        EXPECT(out[i] == want[i], "%s: token %d is %d, expected %d", what, i, out[i], want[i]);
    EXPECT(got == wanted, "%s: %d tokens, expected %lld", what, got, (long long)wanted);
}

static void greedy_text_is_the_references(void **state)
{
    (void)state;
    if (!weights) skip();
    static const char *const FORMS[] = {"plain", "chat"};
    Arena step = arena_open(0);
    cJSON *root = document("smollm2/greedy");
    int i = 0;
    const cJSON *j;
    cJSON_ArrayForEach(j, cJSON_GetObjectItem(root, "prompts"))
    {
        for (int k = 0; k < 2 && (all || !i); k++)
            expect_greedy(&step, cJSON_GetObjectItem(j, FORMS[k]), (int)number(root, "new_tokens"),
                          (int)number(root, "end"), str_print(&arena, "prompt %d, %s", i, FORMS[k]));
        i++;
    }
    assert_int_equal(i, 12);
    cJSON_Delete(root);
    arena_close(&step);
}

/* ---- adapters; the last test, because it leaves one on the model */

static void expect_same_tensors(const char *path, const char *reference)
{
    Weights *got, *want;
    EXPECT(weights_open(&got, &arena, path) == OK, "%s", err_message());
    EXPECT(weights_open(&want, &arena, reference) == OK, "%s", err_message());
    assert_int_equal(weights_n(got), weights_n(want));
    for (int i = 0; i < weights_n(want); i++) {
        const Stored *a = weights_at(got, i), *b = weights_at(want, i);
        assert_string_equal(a->name, b->name);
        assert_string_equal(stored_shape(a), stored_shape(b));
        EXPECT(a->n_bytes == b->n_bytes && !memcmp(a->bytes, b->bytes, a->n_bytes), "%s differs", a->name);
    }
    weights_close(got);
    weights_close(want);
}

static void lora_acts_and_is_written_as_llama_cpp_has_it(void **state)
{
    (void)state;
    static const int TEXTS[] = {0, 3, 7, 10, 14};
    if (!weights) skip();
    const char *folder = str_print(&arena, "%s/peft/smollm2-lora", expected);
    Arena step = arena_open(0);
    Hooks *hooks = hooks_new(&arena);
    Adapter *a;
    EXPECT(adapter_open(&a, &arena, folder) == OK, "%s", err_message());
    EXPECT(adapter_attach(a, model, hooks) == OK, "%s", err_message());
    cJSON *root = document("smollm2/texts");
    Tensor last = array("peft/smollm2-lora/last_logits");
    for (int k = 0; k < (all ? 5 : 2); k++) {
        int64_t n;
        const int32_t *id = ids_of(cJSON_GetArrayItem(cJSON_GetObjectItem(root, "texts"), TEXTS[k]), "ids", &n);
        expect_last(logits_of(&step, id, n, hooks), n - 1, last, k, "with LoRA");
    }
    const char *path = str_print(&arena, "%s/adapter.gguf", dir);
    EXPECT(adapter_save_gguf(a, path) == OK, "%s", err_message());
    expect_same_tensors(path, str_print(&arena, "%s/adapter.gguf", folder));
    adapter_close(a);
    cJSON_Delete(root);
    arena_close(&step);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(tokens_are_the_references),
                                       cmocka_unit_test(logits_and_losses_are_the_references),
                                       cmocka_unit_test(the_long_text_has_its_perplexity),
                                       cmocka_unit_test(layers_and_attention_are_the_references),
                                       cmocka_unit_test(greedy_text_is_the_references),
                                       cmocka_unit_test(lora_acts_and_is_written_as_llama_cpp_has_it)};
    return cmocka_run_group_tests(tests, find, end) != 0;
}

/* all-MiniLM-L6-v2 with its published weights against transformers and sentence-transformers: every layer and
 * attention map, the pooler, pairs of texts, a padded batch, and the vectors of 60 texts.  Skipped where the model
 * cannot be had. */
#include "expect.h"

#include <string.h>

#include "arena.h"
#include "io/json.h"
#include "io/npy.h"
#include "models.h"
#include "nn/model.h"
#include "sentence/sentence.h"

enum { LAYERS = 6, DIM = 384 };
static const char *folder;
static cJSON *record;

#define MODEL(m)                                                                                                     \
    Model *m = open_model();                                                                                         \
    if (!m) skip()

static Model *open_model(void)
{
    Model *m;
    folder = real_model(&arena, "minilm");
    if (!folder) return NULL;
    EXPECT(!json_read(&record, &arena, real_expected(&arena, "minilm/texts.json")), "%s", err_message());
    EXPECT(!model_load(&m, &arena, folder), "%s", err_message());
    return m;
}

static Tensor expected(const char *file)
{
    Tensor t;
    EXPECT(!npy_read(&t, &arena, real_expected(&arena, str_print(&arena, "minilm/%s", file))), "%s", err_message());
    return t;
}

static int32_t *numbers(const cJSON *list, int64_t *n)
{
    const cJSON *x;
    int32_t *out = NEW(&arena, int32_t, cJSON_GetArraySize(list));
    *n = 0;
    cJSON_ArrayForEach(x, list) out[(*n)++] = x->valueint;
    return out;
}

static Batch text_batch(int index)
{
    Batch x = {.b = 1};
    const cJSON *text = cJSON_GetArrayItem(cJSON_GetObjectItem(record, "texts"), index);
    x.ids = numbers(cJSON_GetObjectItem(text, "ids"), &x.t);
    return x;
}

static const cJSON *member(const cJSON *of, const char *name)
{
    return cJSON_GetObjectItem(of, name);
}

/* ---- the model */

static void layers_and_maps(void **state)
{
    (void)state;
    MODEL(m);
    const cJSON *index;
    cJSON_ArrayForEach(index, member(record, "short"))
    {
        Capture resid[LAYERS + 1], probs[LAYERS];
        Hooks *h = hooks_new(&arena);
        for (int l = 0; l <= LAYERS; l++) {
            resid[l] = (Capture){.arena = &arena};
            hook_observe(h, (Where){SITE_RESID, l ? l - 1 : LAYER_EMBED, PART_ENCODER}, hook_capture, &resid[l]);
            if (l == LAYERS) break;
            probs[l] = (Capture){.arena = &arena};
            hook_observe(h, (Where){SITE_PROBS, l, PART_ENCODER}, hook_capture, &probs[l]);
        }
        Batch x = text_batch(index->valueint);
        Pass p = {.tape = tape_open(&arena, false), .hooks = h};
        model_hidden(m, &p, &x);
        Tensor hidden = expected(str_print(&arena, "hidden.%d.npy", index->valueint)),
               maps = expected(str_print(&arena, "attention.%d.npy", index->valueint));
        for (int l = 0; l <= LAYERS; l++) EXPECT_NEAR(tensor_at(resid[l].value, 0), tensor_at(hidden, l), 1e-6);
        /* below 2e-6 with AVX2, 2.2e-6 with AVX-512, in F32 */
        for (int l = 0; l < LAYERS; l++) EXPECT_NEAR(tensor_at(probs[l].value, 0), tensor_at(maps, l), 4e-6);
    }
}

static void pooler_and_mean(void **state)
{
    (void)state;
    MODEL(m);
    Tensor pooler = expected("short_pooler_output.npy"), mean = expected("short_mean_before_normalising.npy");
    const cJSON *index;
    int i = 0;
    cJSON_ArrayForEach(index, member(record, "short"))
    {
        Batch x = text_batch(index->valueint);
        Pass p = {.tape = tape_open(&arena, false)};
        Tensor a = model_pooled(m, &p, &x, POOL_POOLER)->val, b = model_pooled(m, &p, &x, POOL_MEAN)->val;
        EXPECT_NEAR(tensor_reshape(a, SHAPE(DIM)), tensor_at(pooler, i), 1e-5);
        EXPECT_NEAR(tensor_reshape(b, SHAPE(DIM)), tensor_at(mean, i), 1e-5);
        i++;
    }
}

static void padded_batch(void **state)
{
    (void)state;
    MODEL(m);
    const cJSON *batch = member(record, "short_batch"), *row;
    Tensor want = expected("batch_last_hidden_state.npy");
    int64_t b = want.dim[0], t = want.dim[1], n;
    int32_t *ids = NEW(&arena, int32_t, b * t), *len = NEW(&arena, int32_t, b), i = 0;
    cJSON_ArrayForEach(row, member(batch, "input_ids"))
    {
        memcpy(ids + i * t, numbers(row, &n), sizeof *ids * (size_t)t);
        const int32_t *mask = numbers(cJSON_GetArrayItem(member(batch, "attention_mask"), i), &n);
        for (int64_t j = 0; j < t; j++) len[i] += mask[j];
        i++;
    }
    Batch x = {.b = b, .t = t, .ids = ids, .len = len};
    Pass p = {.tape = tape_open(&arena, false)};
    Tensor got = model_hidden(m, &p, &x)->val;
    for (i = 0; i < b; i++)
        EXPECT_NEAR(tensor_rows(tensor_at(got, i), 0, len[i]), tensor_rows(tensor_at(want, i), 0, len[i]), 1e-5);
}

static void pairs_have_types(void **state)
{
    (void)state;
    MODEL(m);
    const cJSON *pair;
    int k = 0;
    cJSON_ArrayForEach(pair, member(record, "pairs"))
    {
        Batch x = {.b = 1};
        x.ids = numbers(member(pair, "input_ids"), &x.t);
        x.type = numbers(member(pair, "token_type_ids"), &x.t);
        Pass p = {.tape = tape_open(&arena, false)};
        Tensor hidden = expected(str_print(&arena, "pair.%d.last_hidden_state.npy", k)),
               pooler = expected(str_print(&arena, "pair.%d.pooler_output.npy", k));
        EXPECT_NEAR(tensor_at(model_hidden(m, &p, &x)->val, 0), tensor_reshape(hidden, SHAPE(x.t, DIM)), 1e-5);
        EXPECT_NEAR(tensor_reshape(model_pooled(m, &p, &x, POOL_POOLER)->val, SHAPE(DIM)),
                    tensor_reshape(pooler, SHAPE(DIM)), 1e-5);
        k++;
    }
    assert_int_equal(k, 5);
}

/* ---- sentences */

static void sentences(void **state)
{
    (void)state;
    MODEL(m);
    (void)m;
    Sentence s;
    Tensor got, want = expected("embeddings.npy");
    const cJSON *texts = member(record, "texts"), *x;
    Bytes *text = NEW(&arena, Bytes, want.dim[0]);
    int64_t n = 0;
    cJSON_ArrayForEach(x, texts)
    {
        char *t = member(x, "text")->valuestring;
        text[n++] = (Bytes){t, strlen(t)};
    }
    EXPECT(!sentence_open(&s, &arena, folder), "%s", err_message());
    assert_true(s.declared && s.most == 256 && s.dim == DIM && s.n_steps == 1);
    EXPECT(!sentence_encode(&got, &arena, &s, text, n), "%s", err_message());
    EXPECT_NEAR(got, want, 1e-6);
    cJSON_ArrayForEach(x, member(record, "cosines"))
    {
        double cosine = sentence_cosine(got, member(x, "a")->valueint, member(x, "b")->valueint);
        near(cosine, member(x, "cosine")->valuedouble, 1e-6, "a cosine");
    }
    sentence_close(&s);
}

/* Pairs through the tokenizer: ids and types, whole and cut to 24 by the longest first. */
static void pairs_of_the_tokenizer(void **state)
{
    (void)state;
    MODEL(m);
    (void)m;
    Tokenizer t;
    EXPECT(!tokenizer_open(&t, &arena, folder), "%s", err_message());
    const cJSON *pair, *texts = member(record, "texts");
    cJSON_ArrayForEach(pair, member(record, "pairs"))
    {
        BpeText part[2], both;
        for (int i = 0; i < 2; i++) {
            const cJSON *x = cJSON_GetArrayItem(texts, member(pair, i ? "b" : "a")->valueint);
            const char *text = member(x, "text")->valuestring;
            part[i] = tokenizer_encode(&t, &arena, text, strlen(text), true);
        }
        const BpeText *second = part[1].n ? &part[1] : NULL; /* the library leaves out an empty second text */
        for (int cut = 0; cut < 2; cut++) {
            const cJSON *want = cut ? member(pair, "longest_first_24") : pair;
            int64_t n;
            const int32_t *id = numbers(member(want, "input_ids"), &n), *type;
            EXPECT(!tokenizer_wrap(&both, &t, &arena, &part[0], second, NULL, (Limit){.most = cut ? 24 : 0}), "%s",
                   err_message());
            assert_int_equal(both.n, n);
            assert_memory_equal(both.id, id, sizeof *id * (size_t)n);
            type = numbers(member(want, "token_type_ids"), &n);
            const int32_t *got = tokenizer_types(&t, &arena, &both);
            for (int64_t i = 0; i < n; i++) assert_int_equal(got ? got[i] : 0, type[i]);
        }
    }
    tokenizer_close(&t);
}

static int finish(void **state)
{
    cJSON_Delete(record);
    record = NULL;
    return end(state);
}

#define T(f) cmocka_unit_test_setup_teardown(f, begin, finish)
SUITE(T(layers_and_maps), T(pooler_and_mean), T(padded_batch), T(pairs_have_types), T(sentences),
      T(pairs_of_the_tokenizer))

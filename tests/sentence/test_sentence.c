/* Sentence vectors by their definitions, and folders of sentence-transformers as they declare themselves. */
#include "expect.h"

#include <string.h>

#include "base/file.h"
#include "io/safetensors.h"
#include "nn/small.h"
#include "scratch.h"
#include "sentence/sentence.h"

static char FOX[] = "the quick brown fox", SHORT[] = "dog", EMPTY[] = "", MASK[] = "a <mask> in the text",
            LONG[] = "the lazy dog and the quick brown fox and the lazy dog and the quick brown fox";
static const Bytes TEXTS[] = {
    {FOX, sizeof FOX - 1}, {SHORT, sizeof SHORT - 1}, {EMPTY, 0}, {MASK, sizeof MASK - 1}, {LONG, sizeof LONG - 1}};
enum { N_TEXTS = 5, ROOM = 60 };

static void put(const char *file, const char *text)
{
    const char *path = str_print(&arena, "%s/%s", dir, file);
    EXPECT(!file_make_dir(str_copy(&arena, path, (size_t)(strrchr(path, '/') - path))), "%s", err_message());
    EXPECT(!file_write(path, text, strlen(text)), "%s", err_message());
}

/* A RoBERTa of 8 channels with a tokenizer of its own. */
static int folder(void **state)
{
    Model *m;
    Bpe *bpe;
    if (begin(state)) return 1;
    Config c = small_config("roberta");
    EXPECT(!bpe_train(&bpe, &arena, &(BpeTrain){.size = 300}, TEXTS, N_TEXTS), "%s", err_message());
    c.vocab = (int)bpe_size(bpe);
    c.bos = 0;
    c.positions = ROOM + 2;
    c.no_lm_head = true;
    EXPECT(!model_open(&m, &arena, &c, F32, 5), "%s", err_message());
    stir(m);
    EXPECT(!model_save(m, dir) && !bpe_save(bpe, dir), "%s", err_message());
    bpe_close(bpe);
    return 0;
}

#define TRANSFORMER "[{\"path\": \"\", \"type\": \"sentence_transformers.models.Transformer\"}"
#define MODULE(path, class) ", {\"path\": \"" path "\", \"type\": \"sentence_transformers.models." class "\"}"

static Sentence opened(void)
{
    Sentence s;
    EXPECT(!sentence_open(&s, &arena, dir), "%s", err_message());
    return s;
}

static Tensor vectors(const Sentence *s)
{
    Tensor v;
    EXPECT(!sentence_encode(&v, &arena, s, TEXTS, N_TEXTS), "%s", err_message());
    assert_true(v.dim[0] == N_TEXTS && v.dim[1] == s->dim);
    return v;
}

/* The hidden states (T,C) of a text. */
static Tensor states(const Sentence *s, int i)
{
    BpeText x = tokenizer_encode(&s->tokenizer, &arena, TEXTS[i].text, TEXTS[i].len, true);
    EXPECT(!tokenizer_wrap(&x, &s->tokenizer, &arena, &x, NULL, NULL, (Limit){.most = s->most}), "%s", err_message());
    Batch b = {.b = 1, .t = x.n, .ids = x.id};
    return tensor_at(model_hidden(s->model, &(Pass){.tape = tape_open(&arena, false)}, &b)->val, 0);
}

static double by_definition(SentencePooling how, Tensor h, int64_t c)
{
    int64_t n = h.dim[0], dim = h.dim[1];
    double sum = 0, weighted = 0, most = -1e9;
    for (int64_t i = 0; i < n; i++) {
        double x = tensor_get(h, i * dim + c);
        sum += x;
        weighted += x * (double)(i + 1);
        most = fmax(most, x);
    }
    const double of[] = {
        [SENTENCE_CLS] = tensor_get(h, c),
        [SENTENCE_MAX] = most,
        [SENTENCE_MEAN] = sum / (double)n,
        [SENTENCE_MEAN_SQRT] = sum / sqrt((double)n),
        [SENTENCE_WEIGHTED] = weighted / ((double)(n * (n + 1)) / 2),
        [SENTENCE_LAST] = tensor_get(h, (n - 1) * dim + c),
    };
    return of[how];
}

/* Each way of pooling by itself and all side by side, in the keys of release 4 and in that of release 5. */
static void pooling(void **state)
{
    (void)state;
    put("modules.json", TRANSFORMER MODULE("1_Pooling", "Pooling") "]");
    static const char *const KEY[] = {"cls_token",           "max_tokens", "mean_tokens", "mean_sqrt_len_tokens",
                                      "weightedmean_tokens", "lasttoken"};
    for (int k = 0; k <= SENTENCE_POOLINGS; k++)
        for (int newer = 0; newer < 2; newer++) {
            Buf b = buf_open(&arena);
            buf_print(&b, newer ? "{\"pooling_mode\": [" : "{\"word_embedding_dimension\": 8");
            for (int j = 0, n = 0; j < SENTENCE_POOLINGS; j++)
                if (k == j || k == SENTENCE_POOLINGS) {
                    buf_print(&b, newer ? "%s\"%s\"" : "%s\"pooling_mode_%s\": true", newer && !n++ ? "" : ", ",
                              newer ? SENTENCE_POOLING_NAMES[j] : KEY[j]);
                }
            buf_print(&b, newer ? "]}" : "}");
            put("1_Pooling/config.json", b.text);
            Sentence s = opened();
            Tensor v = vectors(&s);
            assert_int_equal(s.dim, k == SENTENCE_POOLINGS ? 8 * SENTENCE_POOLINGS : 8);
            for (int i = 0; i < N_TEXTS; i++) {
                Tensor h = states(&s, i);
                for (int64_t j = 0; j < s.dim; j++)
                    near(tensor_get(v, i * s.dim + j),
                         by_definition((SentencePooling)(k < SENTENCE_POOLINGS ? k : j / 8), h, j % 8), 1e-5, b.text);
            }
            sentence_close(&s);
        }
}

/* Without modules.json the mean; with Normalize, whose folder is missing, over its length. */
static void declared_or_not(void **state)
{
    (void)state;
    Sentence s = opened();
    assert_true(!s.declared && s.pooled[SENTENCE_MEAN] && s.n_steps == 0 && s.most == ROOM);
    Tensor mean = vectors(&s);
    sentence_close(&s);
    put("modules.json", TRANSFORMER MODULE("1_Pooling", "Pooling") MODULE("2_Normalize", "Normalize") "]");
    put("1_Pooling/config.json", "{}"); /* no mode is the mean */
    s = opened();
    Tensor unit = vectors(&s);
    assert_true(s.declared && s.n_steps == 1);
    for (int i = 0; i < N_TEXTS; i++) {
        double length = 0;
        for (int64_t j = 0; j < 8; j++) length += pow(tensor_get(mean, i * 8 + j), 2);
        for (int64_t j = 0; j < 8; j++)
            near(tensor_get(unit, i * 8 + j), tensor_get(mean, i * 8 + j) / sqrt(length), 1e-6, "of length 1");
        near(sentence_cosine(unit, i, i), 1, 1e-6, "with itself");
        near(sentence_cosine(unit, i, 0), sentence_cosine(mean, i, 0), 1e-6, "a cosine");
    }
    Tensor alone;
    EXPECT(!sentence_encode(&alone, &arena, &s, &TEXTS[1], 1), "%s", err_message());
    EXPECT_NEAR(tensor_at(alone, 0), tensor_at(unit, 1), 1e-6);
    sentence_close(&s);
}

static void layers_behind(void **state)
{
    (void)state;
    Tensor w = noise(&arena, F32, 7, SHAPE(3, 8)), b = noise(&arena, F32, 8, SHAPE(3));
    put("modules.json", TRANSFORMER MODULE("1_Pooling", "Pooling") MODULE("2_Dense", "Dense") "]");
    put("1_Pooling/config.json", "{\"pooling_mode\": \"mean\"}");
    put("2_Dense/config.json", "{\"in_features\": 8, \"out_features\": 3, \"activation_function\": "
                               "\"torch.nn.modules.activation.Tanh\"}");
    Named named[] = {{"linear.weight", w}, {"linear.bias", b}};
    const char *path = str_print(&arena, "%s/2_Dense/model.safetensors", dir);
    for (int n = 2; n >= 1; n--) {
        EXPECT(!safetensors_write(path, named, n, NULL, 0), "%s", err_message());
        Sentence s = opened();
        Tensor v = vectors(&s);
        assert_int_equal(s.dim, 3);
        for (int i = 0; i < N_TEXTS; i++) {
            Tensor h = states(&s, i);
            for (int o = 0; o < 3; o++) {
                double sum = n == 2 ? tensor_get(b, o) : 0;
                for (int64_t j = 0; j < 8; j++) sum += tensor_get(w, o * 8 + j) * by_definition(SENTENCE_MEAN, h, j);
                near(tensor_get(v, i * 3 + o), tanh(sum), 1e-5, "a linear layer");
            }
        }
        sentence_close(&s);
    }
    named[0] = (Named){"linear.weight", noise(&arena, F32, 7, SHAPE(3, 9))};
    EXPECT(!safetensors_write(path, named, 2, NULL, 0), "%s", err_message());
    Sentence s;
    assert_int_equal(sentence_open(&s, &arena, dir), E_MISMATCH);
    EXPECT(strstr(err_message(), "reads 9 channels, and 8 come before it"), "%s", err_message());
    err_clear();
}

/* The pipeline's own length goes before the tokenizer's, and none is beyond the model's positions. */
static void lengths(void **state)
{
    (void)state;
    static const struct {
        const char *sentence, *tokenizer;
        int64_t most;
    } OF[] = {{"{\"max_seq_length\": 7}", "{\"model_max_length\": 5}", 7},
              {"{\"max_seq_length\": null}", "{\"model_max_length\": 5}", 5},
              {"{\"max_seq_length\": 900}", "{}", ROOM},
              {"{}", "{\"model_max_length\": 1000000000000000019884624838656}", ROOM},
              {"{}", "{}", ROOM}};
    for (size_t i = 0; i < sizeof OF / sizeof *OF; i++) {
        put("sentence_bert_config.json", OF[i].sentence);
        put("tokenizer_config.json", OF[i].tokenizer);
        Sentence s = opened();
        EXPECT(s.most == OF[i].most, "%d: %d tokens", (int)i, (int)s.most);
        vectors(&s);
        sentence_close(&s);
    }
}

static void prompts(void **state)
{
    (void)state;
    put("config_sentence_transformers.json",
        "{\"prompts\": {\"query\": \"the quick \", \"document\": \"\"}, \"default_prompt_name\": \"query\"}");
    Sentence s = opened();
    Tensor with, without;
    char rest[] = "brown fox";
    const Bytes tail = {rest, sizeof rest - 1};
    EXPECT(!sentence_encode(&with, &arena, &s, &tail, 1), "%s", err_message());
    EXPECT(!sentence_prompt(&s, &arena, "document") && !s.prompt, "%s", err_message());
    EXPECT(!sentence_encode(&without, &arena, &s, TEXTS, 1), "%s", err_message());
    EXPECT_NEAR(with, without, 1e-6);
    assert_int_equal(sentence_prompt(&s, &arena, "title"), E_CONFIG);
    EXPECT(strstr(err_message(), "has no prompt 'title', expected one of query, document"), "%s", err_message());
    err_clear();
    sentence_close(&s);
    put("config_sentence_transformers.json", "{\"prompts\": [\"query\"], \"default_prompt_name\": \"query\"}");
    assert_int_equal(sentence_read(&s, &arena, dir), E_FORMAT);
    EXPECT(strstr(err_message(), "prompts is not an object"), "%s", err_message());
    err_clear();
}

/* Letters of any script, but not the special tokens. */
static void lower_case(void **state)
{
    (void)state;
    char loud[] = "THE Quick <mask> \303\204\316\251", quiet[] = "the quick <mask> \303\244\317\211";
    const Bytes text[] = {{loud, sizeof loud - 1}, {quiet, sizeof quiet - 1}};
    for (int lower = 0; lower < 2; lower++) {
        put("sentence_bert_config.json", lower ? "{\"do_lower_case\": true}" : "{\"do_lower_case\": false}");
        Sentence s = opened();
        Tensor v;
        EXPECT(!sentence_encode(&v, &arena, &s, text, 2), "%s", err_message());
        EXPECT((sentence_cosine(v, 0, 1) > 1 - 1e-6) == lower, "%g", sentence_cosine(v, 0, 1));
        sentence_close(&s);
    }
}

static void refused(void **state)
{
    (void)state;
    static const struct {
        const char *modules, *pooling, *words;
    } OF[] = {
        {"{}", "{}", "is not an array of modules"},
        {"[]", "{}", "has 0 modules"},
        {"[3, 4]", "{}", "module 0 is not an object"},
        {"[{\"path\": \"\"}]", "{}", "module 0 has no type"},
        {TRANSFORMER "]", "{}", "has 1 modules"},
        {TRANSFORMER MODULE("1_CNN", "CNN") "]", "{}", "models.CNN, only a Transformer and then a Pooling"},
        {TRANSFORMER MODULE("1_Pooling", "Pooling") MODULE("", "LayerNorm") "]", "{}",
         "models.LayerNorm, only Dense"},
        {TRANSFORMER MODULE("../x", "Pooling") "]", "{}", "leaves the folder"},
        {TRANSFORMER MODULE("gone", "Pooling") "]", "{}", "gone/config.json"},
        {TRANSFORMER MODULE("1_Pooling", "Pooling") "]", "{\"include_prompt\": false}", "include_prompt is false"},
        {TRANSFORMER MODULE("1_Pooling", "Pooling") "]", "{\"pooling_mode\": \"median\"}",
         "pooling_mode is 'median'"},
        {TRANSFORMER MODULE("1_Pooling", "Pooling") "]", "{\"pooling_mode\": [[\"mean\"]]}", "not a string"},
        {TRANSFORMER MODULE("1_Pooling", "Pooling") "]", "{\"pooling_mode\": []}", "pooling_mode is empty"},
        {TRANSFORMER MODULE("1_Pooling", "Pooling") "]", "{\"pooling_mode\": [\"mean\", \"cls\"]}",
         "has cls behind mean"},
        {TRANSFORMER MODULE("1_Pooling", "Pooling") "]", "{\"pooling_mode_cls_token\": 1}", "pooling_mode_cls_token"},
    };
    for (size_t i = 0; i < sizeof OF / sizeof *OF; i++) {
        Sentence s;
        put("modules.json", OF[i].modules);
        put("1_Pooling/config.json", OF[i].pooling);
        Status status = sentence_read(&s, &arena, dir);
        EXPECT(err_exit_status(status) == 3 && strstr(err_message(), OF[i].words), "%s: %d '%s'", OF[i].modules,
               (int)status, err_message());
        err_clear();
    }
}

#define T(f) cmocka_unit_test_setup_teardown(f, folder, end)
SUITE(T(pooling), T(declared_or_not), T(layers_behind), T(lengths), T(prompts), T(lower_case), T(refused))

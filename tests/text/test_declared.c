/* What folders declare about their tokenizer, and the published pre-tokenizers and WordPiece
 * settings against the answers of third parties, where these are at hand. */
#include "expect.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shared.h"
#include "text/document.h"
#include "text/splitter.h"
#include "text/tokenizer.h"
#include "text/zeros.h"

static Arena arena;

static int begin(void **state)
{
    (void)state;
    arena = arena_open((size_t)1 << 34);
    return 0;
}

static int end(void **state)
{
    (void)state;
    err_clear();
    arena_close(&arena);
    return 0;
}

/* ---- folders ---- */

static char folder[64];

static void put(const char *name, const char *text)
{
    EXPECT(!file_make_dir(folder) && !file_write(str_print(&arena, "%s/%s", folder, name), text, strlen(text)), "%s",
           err_message());
}

static void new_folder(void)
{
    snprintf(folder, sizeof folder, "/tmp/vernier-declared-%d", (int)getpid());
    assert_int_equal(system(str_print(&arena, "rm -rf %s", folder)), 0);
}

static const char *ids_of(const BpeText *x)
{
    Buf b = buf_open(&arena);
    for (int64_t i = 0; i < x->n; i++) buf_print(&b, "%s%d", i ? " " : "", x->id[i]);
    return b.text ? b.text : "";
}

/* The ids of a text, with the tokens around it, in the folder at hand. */
static void expect_ids(const char *text, const char *want)
{
    Tokenizer t;
    EXPECT(!tokenizer_open(&t, &arena, folder), "%s", err_message());
    BpeText x = tokenizer_encode(&t, &arena, text, strlen(text), true);
    EXPECT(!tokenizer_wrap(&x, &t, &arena, &x, NULL, NULL, (Limit){0}), "%s", err_message());
    EXPECT(!strcmp(ids_of(&x), want), "\"%s\" gives %s, expected %s", text, ids_of(&x), want);
    tokenizer_close(&t);
}

static void put_bytes(void)
{
    new_folder();
    put("vocab.json", "{\"<s>\": 0, \"</s>\": 1, \"a\": 2, \"b\": 3, \"ab\": 4, \"\xc4\xa0\": 5, \"\xc4\xa0"
                      "a\": 6}");
    put("merges.txt", "#version: 0.2\na b\n\xc4\xa0 a\n");
}

static void the_class_decides(void **state)
{
    (void)state;
    put_bytes();
    put("tokenizer_config.json", "{\"tokenizer_class\": \"RobertaTokenizer\"}");
    expect_ids("ab", "0 4 1");
    put("tokenizer_config.json", "{\"tokenizer_class\": \"RobertaTokenizerFast\", \"add_prefix_space\": true}");
    expect_ids("ab", "0 5 4 1");
    put("tokenizer_config.json", "{\"tokenizer_class\": \"GPT2Tokenizer\", \"bos_token\": \"<s>\"}");
    expect_ids("ab", "4"); /* its tokens' names do not matter */
    put("tokenizer_config.json",
        "{\"tokenizer_class\": \"GPT2Tokenizer\", \"bos_token\": \"<s>\", \"add_bos_token\": true}");
    expect_ids("ab", "0 4");
    unlink(str_print(&arena, "%s/tokenizer_config.json", folder));
    put("config.json", "{\"model_type\": \"gpt2\"}");
    expect_ids("ab", "4");
    put("config.json", "{\"model_type\": \"roberta\"}");
    expect_ids("ab", "0 4 1");
    new_folder();
}

static void added_tokens_have_properties(void **state)
{
    (void)state;
    put_bytes();
    put("tokenizer_config.json",
        "{\"tokenizer_class\": \"GPT2Tokenizer\", \"unk_token\": null, \"bos_token\": null, \"eos_token\": null, "
        "\"added_tokens_decoder\": {\"7\": {\"content\": \"<x>\", \"lstrip\": true}, \"8\": {\"content\": \"b\", "
        "\"single_word\": true}}}");
    expect_ids("a <x>a", "2 7 2");
    expect_ids("b", "3"); /* the vocabulary's id counts */
    put("tokenizer_config.json",
        "{\"tokenizer_class\": \"GPT2Tokenizer\", \"additional_special_tokens\": [\"<y>\"]}");
    Tokenizer t;
    EXPECT(!tokenizer_open(&t, &arena, folder), "%s", err_message());
    assert_true(tokenizer_find(&t, "<y>") >= 7 && tokenizer_is_special(&t, tokenizer_find(&t, "<y>")));
    BpeText x;
    EXPECT(!tokenizer_read(&x, &t, &arena, "<y>", 3, SPELT_TOKENS) && x.n == 1, "%d ids", (int)x.n);
    EXPECT(!tokenizer_read(&x, &t, &arena, "ab", 2, SPELT_REFUSED) && x.n == 1, "%d ids", (int)x.n);
    assert_int_equal(tokenizer_read(&x, &t, &arena, "a<y>", 4, SPELT_REFUSED), E_CONFIG);
    tokenizer_close(&t);
    static const char *const NO_TOKENS[] = {"{\"x\": {}}", "[{\"content\": \"a b\"}]", "\"<x>\"", "true"};
    for (size_t i = 0; i < sizeof NO_TOKENS / sizeof *NO_TOKENS; i++) {
        put("tokenizer_config.json", str_print(&arena, "{\"added_tokens_decoder\": %s}", NO_TOKENS[i]));
        EXPECT(tokenizer_open(&t, &arena, folder) == E_FORMAT, "%s is taken", NO_TOKENS[i]);
        err_clear();
    }
    new_folder();
}

static void wordpiece_from_lines(void **state)
{
    (void)state;
    new_folder();
    put("vocab.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nab\n##c\nAb\n.\n");
    put("tokenizer_config.json", "{\"tokenizer_class\": \"BertTokenizer\"}");
    expect_ids("Abc. [MASK]", "2 5 6 8 4 3");
    put("tokenizer_config.json", "{\"tokenizer_class\": \"BertTokenizer\", \"do_lower_case\": false}");
    expect_ids("Abc x", "2 7 6 1 3");
    Tokenizer t;
    EXPECT(!tokenizer_open(&t, &arena, folder), "%s", err_message());
    assert_int_equal(tokenizer_mask(&t), 4);
    BpeText x = tokenizer_encode(&t, &arena, "ab", 2, true), y;
    EXPECT(!tokenizer_wrap(&y, &t, &arena, &x, &x, NULL, (Limit){0}), "%s", err_message());
    assert_memory_equal(tokenizer_types(&t, &arena, &y), ((const int32_t[]){0, 0, 0, 1, 1}), 20);
    tokenizer_close(&t);
    new_folder();
}

/* ---- third parties ---- */

static cJSON *shared_json(const char *name)
{
    Bytes file;
    const char *path = str_print(&arena, "%s/jit/splits/%s", golden_root(&arena), name);
    if (access(path, R_OK)) skip();
    EXPECT(!file_read(&file, &arena, path), "%s", err_message());
    protect_zeros(file.text);
    return cJSON_Parse(file.text);
}

static void published_splits(void **state)
{
    (void)state;
    static const char *const NAME[SCANS] = {"gpt2", "llama3", "qwen2"};
    cJSON *json = shared_json("splits.json");
    const cJSON *strings = cJSON_GetObjectItem(json, "strings");
    for (int k = 0; k < SCANS; k++) {
        const cJSON *pieces = cJSON_GetObjectItem(cJSON_GetObjectItem(json, "pieces"), NAME[k]);
        for (int i = 0; i < cJSON_GetArraySize(strings); i++) {
            const char *text = cJSON_GetArrayItem(strings, i)->valuestring;
            if (strstr(text, "\xee\x84\xa3")) continue; /* a zero byte */
            const cJSON *want = cJSON_GetArrayItem(pieces, i)->child;
            Pretokens w = pretoken_open((Scan)k, text, strlen(text));
            for (size_t b, e; pretoken_next(&w, &b, &e); want = want->next)
                EXPECT(want && strlen(want->valuestring) == e - b && !memcmp(want->valuestring, text + b, e - b),
                       "%s: \"%s\": the piece at %zu is %zu bytes", NAME[k], text, b, e - b);
            EXPECT(!want, "%s: \"%s\": pieces are missing", NAME[k], text);
        }
    }
    cJSON_Delete(json);
}

static void expect_words(const Tokenizer *t, const cJSON *text, const cJSON *tokens)
{
    if (strstr(text->valuestring, "\xcc\x81")) return; /* the slow tokenizer composes first, the fast one does not */
    Bytes source = with_zeros(&arena, text->valuestring);
    BpeText x = tokenizer_encode(t, &arena, source.text, source.len, false);
    EXPECT(x.n == cJSON_GetArraySize(tokens), "\"%s\": %d tokens, expected %d", text->valuestring, (int)x.n,
           cJSON_GetArraySize(tokens));
    for (int i = 0; i < x.n; i++)
        EXPECT(!strcmp(tokenizer_piece(t, x.id[i]), cJSON_GetArrayItem(tokens, i)->valuestring),
               "\"%s\": token %d is %s", text->valuestring, i, tokenizer_piece(t, x.id[i]));
}

static void published_wordpiece(void **state)
{
    (void)state;
    cJSON *json = shared_json("bert.json");
    const cJSON *strings = cJSON_GetObjectItem(json, "strings"), *c, *v;
    Buf lines = buf_open(&arena);
    cJSON_ArrayForEach(v, cJSON_GetObjectItem(json, "vocabulary")) buf_print(&lines, "%s\n", v->valuestring);
    new_folder();
    put("vocab.txt", lines.text);
    cJSON_ArrayForEach(c, cJSON_GetObjectItem(json, "cases"))
    {
        char *lower = cJSON_PrintUnformatted(cJSON_GetObjectItem(c, "lowercase")),
             *accents = cJSON_PrintUnformatted(cJSON_GetObjectItem(c, "strip_accents"));
        put("tokenizer_config.json", str_print(&arena,
                                               "{\"tokenizer_class\": \"BertTokenizer\", \"do_lower_case\": %s, "
                                               "\"strip_accents\": %s}",
                                               lower, accents));
        cJSON_free(lower), cJSON_free(accents);
        Tokenizer t;
        EXPECT(!tokenizer_open(&t, &arena, folder), "%s", err_message());
        for (int i = 0; i < cJSON_GetArraySize(strings); i++)
            expect_words(&t, cJSON_GetArrayItem(strings, i), cJSON_GetArrayItem(cJSON_GetObjectItem(c, "tokens"), i));
        tokenizer_close(&t);
    }
    cJSON_Delete(json);
    new_folder();
}

#define T(f) cmocka_unit_test_setup_teardown(f, begin, end)
SUITE(T(the_class_decides), T(added_tokens_have_properties), T(wordpiece_from_lines), T(published_splits),
      T(published_wordpiece))

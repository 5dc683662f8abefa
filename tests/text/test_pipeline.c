/* Every kind of stage of a tokenizer.json, alone and behind others: random tokenizers and what the tokenizers library
 * makes of texts (tests/oracle/pipelines.py), stored, or in the file that $PIPELINES names. */
#include "expect.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"
#include "text/document.h"
#include "text/tokenizer.h"

typedef struct {
    Arena arena;
    int tokenizers, texts, wrong;
    const cJSON *entry;
} Run;

static void note(Run *r, const char *what, const char *text, const char *got, const char *want)
{
    if (r->wrong++ > 15) return;
    const cJSON *t = cJSON_GetObjectItem(r->entry, "tokenizer");
    char *steps[4];
    static const char *const KEY[] = {"normalizer", "pre_tokenizer", "decoder", "added_tokens"};
    for (int i = 0; i < 4; i++) steps[i] = cJSON_PrintUnformatted(cJSON_GetObjectItem(t, KEY[i]));
    print_message("# tokenizer %d (%s): %s of \"%s\" is %s, expected %s: %s %s %s %.300s\n", r->tokenizers,
                  cJSON_GetObjectItem(cJSON_GetObjectItem(t, "model"), "type")->valuestring, what, text, got, want,
                  steps[0], steps[1], steps[2], steps[3]);
    for (int i = 0; i < 4; i++) cJSON_free(steps[i]);
}

static const char *listed(Run *r, const int32_t *id, int64_t n)
{
    Buf b = buf_open(&r->arena);
    buf_print(&b, "[");
    for (int64_t i = 0; i < n; i++) buf_print(&b, "%s%d", i ? "," : "", id ? id[i] : 0);
    buf_print(&b, "]");
    return b.text;
}

static void expect_list(Run *r, const char *what, const char *text, const int32_t *id, int64_t n, const cJSON *want)
{
    char *list = cJSON_PrintUnformatted(want);
    const char *got = listed(r, id, n);
    if (strcmp(got, list) != 0) note(r, what, text, got, list);
    cJSON_free(list);
}

static void expect_text(Run *r, const Tokenizer *t, const cJSON *j)
{
    const char *text = cJSON_GetObjectItem(j, "text")->valuestring,
               *second = cJSON_GetObjectItem(j, "second")->valuestring,
               *decoded = cJSON_GetObjectItem(j, "decoded")->valuestring;
    BpeText x = tokenizer_encode(t, &r->arena, text, strlen(text), true),
            y = tokenizer_encode(t, &r->arena, second, strlen(second), true), whole;
    r->texts++;
    expect_list(r, "the ids", text, x.id, x.n, cJSON_GetObjectItem(j, "ids"));
    for (int64_t i = 0; i < x.n; i++)
        EXPECT(x.begin[i] >= (i ? x.begin[i - 1] : 0) && x.begin[i] <= x.end[i] && x.end[i] <= (int64_t)strlen(text),
               "\"%s\": token %d stands for [%d,%d)", text, (int)i, (int)x.begin[i], (int)x.end[i]);
    EXPECT(!tokenizer_wrap(&whole, t, &r->arena, &x, NULL, NULL, (Limit){0}), "%s", err_message());
    expect_list(r, "the framed ids", text, whole.id, whole.n, cJSON_GetObjectItem(j, "framed"));
    EXPECT(!tokenizer_wrap(&whole, t, &r->arena, &x, &y, NULL, (Limit){0}), "%s", err_message());
    expect_list(r, "the pair", text, whole.id, whole.n, cJSON_GetObjectItem(j, "pair"));
    expect_list(r, "the types", text, whole.type, whole.n, cJSON_GetObjectItem(j, "types"));
    const char *got = tokenizer_decode(t, &r->arena, x.id, x.n, NULL);
    if (strcmp(got, decoded) != 0) note(r, "the decoded text", text, got, decoded);
}

static void expect_entry(Run *r)
{
    Tokenizer t;
    const cJSON *j;
    ArenaMark mark = arena_mark(&r->arena);
    char *document = cJSON_PrintUnformatted(cJSON_GetObjectItem(r->entry, "tokenizer"));
    const char *path = str_print(&r->arena, "/tmp/vernier-pipeline-%d.json", (int)getpid());
    assert_int_equal(file_write(path, document, strlen(document)), OK);
    EXPECT(!tokenizer_open(&t, &r->arena, path), "tokenizer %d: %s: %.2000s", r->tokenizers, err_message(), document);
    unlink(path);
    cJSON_free(document);
    cJSON_ArrayForEach(j, cJSON_GetObjectItem(r->entry, "texts")) expect_text(r, &t, j);
    tokenizer_close(&t);
    arena_drop(&r->arena, mark);
    r->tokenizers++;
}

static void as_the_library(void **state)
{
    (void)state;
    const char *given = getenv("PIPELINES");
    Run r = {.arena = arena_open((size_t)1 << 34)};
    Bytes file;
    EXPECT(!file_read(&file, &r.arena, given && *given ? given : "tests/golden/pipelines.json"), "%s", err_message());
    cJSON *root = cJSON_Parse(file.text);
    assert_non_null(root);
    cJSON_ArrayForEach(r.entry, root) expect_entry(&r);
    EXPECT(!r.wrong, "of %d texts by %d tokenizers %d answers differ", r.texts, r.tokenizers, r.wrong);
    assert_true(r.tokenizers > 0);
    cJSON_Delete(root);
    arena_close(&r.arena);
}

SUITE(cmocka_unit_test(as_the_library))

/* The chat template of the real SmolLM2-135M-Instruct, from its GGUF file: each recorded prompt, as a user's message,
 * is rendered and tokenized to the ids that the reference library gives.  Skipped where the weights are not
 * at hand. */
#include "expect.h"

#include "chat/chat.h"
#include "io/json.h"
#include "models.h"
#include "scratch.h"

static void expect_prompt(const Chat *c, const cJSON *prompt)
{
    const char *text = cJSON_GetObjectItem(prompt, "prompt")->valuestring;
    const cJSON *want = cJSON_GetObjectItem(cJSON_GetObjectItem(prompt, "chat"), "prompt_ids"), *id;
    cJSON *messages = cJSON_CreateArray(), *message = cJSON_CreateObject();
    cJSON_AddStringToObject(message, "role", "user");
    cJSON_AddStringToObject(message, "content", text);
    cJSON_AddItemToArray(messages, message);
    Bytes out;
    EXPECT(!chat_render(&out, c, &arena, messages, true), "%s", err_message());
    cJSON_Delete(messages);
    BpeText got = tokenizer_encode(c->tokenizer, &arena, out.text, out.len, true);
    EXPECT(got.n == cJSON_GetArraySize(want), "%.40s: %lld tokens, expected %d", text, (long long)got.n,
           cJSON_GetArraySize(want));
    int64_t i = 0;
    cJSON_ArrayForEach(id, want)
    {
        EXPECT(got.id[i] == id->valueint, "%.40s: token %lld is %d, expected %d", text, (long long)i, got.id[i],
               id->valueint);
        i++;
    }
}

static void prompts_are_the_references(void **state)
{
    (void)state;
    const char *model = real_model(&arena, "smollm2");
    if (!model) skip();
    Tokenizer t;
    Chat c;
    cJSON *root;
    EXPECT(!tokenizer_open(&t, &arena, model), "%s", err_message());
    EXPECT(!chat_open(&c, &arena, model, &t), "%s", err_message());
    assert_string_equal(chat_family(&c, &arena), "ChatML");
    EXPECT(!json_read(&root, &arena, real_expected(&arena, "smollm2/greedy.json")), "%s", err_message());
    const cJSON *j;
    int n = 0;
    cJSON_ArrayForEach(j, cJSON_GetObjectItem(root, "prompts"))
    {
        expect_prompt(&c, j);
        n++;
    }
    assert_int_equal(n, 12);
    cJSON_Delete(root);
    tokenizer_close(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test_setup_teardown(prompts_are_the_references, begin, end)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

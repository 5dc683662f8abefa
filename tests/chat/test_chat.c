/* Chat templates of models: where they are found, what the families' templates make of three conversations (the
 * reference library's rendering, tests/oracle/chat.py), the family by its form, and conversations that are
 * refused. */
#include "expect.h"

#include <string.h>

#include "chat/chat.h"
#include "io/json.h"
#include "scratch.h"

static const char CHATML[] =
    "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ '"
    "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face"
    "<|im_end|>\n' }}{% endif %}{{'<|im_start|>' + message['role'] + '\n' + message['content'"
    "] + '<|im_end|>' + '\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assis"
    "tant\n' }}{% endif %}";
static const char LLAMA3[] =
    "{% set loop_messages = messages %}{% for message in loop_messages %}{% set content = '<|"
    "start_header_id|>' + message['role'] + '<|end_header_id|>\n\n'+ message['content'] | tri"
    "m + '<|eot_id|>' %}{% if loop.index0 == 0 %}{% set content = bos_token + content %}{% en"
    "dif %}{{ content }}{% endfor %}{% if add_generation_prompt %}{{ '<|start_header_id|>assi"
    "stant<|end_header_id|>\n\n' }}{% endif %}";
static const char MISTRAL[] =
    "{{ bos_token }}{% for message in messages %}{% if (message['role'] == 'user') != (loop.i"
    "ndex0 % 2 == 0) %}{{ raise_exception('Conversation roles must alternate user/assistant/u"
    "ser/assistant/...') }}{% endif %}{% if message['role'] == 'user' %}{{ '[INST] ' + messag"
    "e['content'] + ' [/INST]' }}{% elif message['role'] == 'assistant' %}{{ message['content"
    "'] + eos_token}}{% else %}{{ raise_exception('Only user and assistant roles are supporte"
    "d!') }}{% endif %}{% endfor %}";
static const char ZEPHYR[] =
    "{% for message in messages %}\n{% if message['role'] == 'user' %}\n{{ '<|user|>\n' + mes"
    "sage['content'] + eos_token }}\n{% elif message['role'] == 'system' %}\n{{ '<|system|>\n"
    "' + message['content'] + eos_token }}\n{% elif message['role'] == 'assistant' %}\n{{ '<|"
    "assistant|>\n'  + message['content'] + eos_token }}\n{% endif %}\n{% if loop.last and ad"
    "d_generation_prompt %}\n{{ '<|assistant|>' }}\n{% endif %}\n{% endfor %}";
static const char LLAMA2[] =
    "{% if messages[0]['role'] == 'system' %}{% set loop_messages = messages[1:] %}{% set sys"
    "tem_message = messages[0]['content'] %}{% else %}{% set loop_messages = messages %}{% se"
    "t system_message = false %}{% endif %}{% for message in loop_messages %}{% if (message['"
    "role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('Conversation roles mus"
    "t alternate') }}{% endif %}{% if loop.index0 == 0 and system_message != false %}{% set c"
    "ontent = '<<SYS>>\\n' + system_message + '\\n<</SYS>>\\n\\n' + message['content'] %}{% e"
    "lse %}{% set content = message['content'] %}{% endif %}{% if message['role'] == 'user' %"
    "}{{ bos_token + '[INST] ' + content.strip() + ' [/INST]' }}{% elif message['role'] == 'a"
    "ssistant' %}{{ ' '  + content.strip() + ' ' + eos_token }}{% endif %}{% endfor %}";
static const char QWEN3[] =
    "{%- if tools %}\n    {{- '<|im_start|>system\\n' }}\n    {%- for tool in tools %}\n     "
    "   {{- \"\\n\" }}\n        {{- tool | tojson }}\n    {%- endfor %}\n{%- else %}\n    {%-"
    " if messages[0].role == 'system' %}\n        {{- '<|im_start|>system\\n' + messages[0].c"
    "ontent + '<|im_end|>\\n' }}\n    {%- endif %}\n{%- endif %}\n{%- set ns = namespace(mult"
    "i_step_tool=true, last_query_index=messages|length - 1) %}\n{%- for message in messages["
    "::-1] %}\n    {%- set index = (messages|length - 1) - loop.index0 %}\n    {%- if ns.mult"
    "i_step_tool and message.role == \"user\" and message.content is string and not(message.c"
    "ontent.startswith('<tool_response>') and message.content.endswith('</tool_response>')) %"
    "}\n        {%- set ns.multi_step_tool = false %}\n        {%- set ns.last_query_index = "
    "index %}\n    {%- endif %}\n{%- endfor %}\n{%- for message in messages %}\n    {%- if me"
    "ssage.content is string %}\n        {%- set content = message.content %}\n    {%- else %"
    "}\n        {%- set content = '' %}\n    {%- endif %}\n    {%- if (message.role == \"user"
    "\") or (message.role == \"system\" and not loop.first) %}\n        {{- '<|im_start|>' + "
    "message.role + '\\n' + content + '<|im_end|>' + '\\n' }}\n    {%- elif message.role == \""
    "assistant\" %}\n        {%- set reasoning_content = '' %}\n        {%- if message.reason"
    "ing_content is string %}\n            {%- set reasoning_content = message.reasoning_cont"
    "ent %}\n        {%- else %}\n            {%- if '</think>' in content %}\n              "
    "  {%- set reasoning_content = content.split('</think>')[0].rstrip('\\n').split('<think>'"
    ")[-1].lstrip('\\n') %}\n                {%- set content = content.split('</think>')[-1]."
    "lstrip('\\n') %}\n            {%- endif %}\n        {%- endif %}\n        {%- if loop.in"
    "dex0 > ns.last_query_index %}\n            {%- if loop.last or (not loop.last and reason"
    "ing_content) %}\n                {{- '<|im_start|>' + message.role + '\\n<think>\\n' + r"
    "easoning_content.strip('\\n') + '\\n</think>\\n\\n' + content.lstrip('\\n') }}\n        "
    "    {%- else %}\n                {{- '<|im_start|>' + message.role + '\\n' + content }}\n"
    "            {%- endif %}\n        {%- else %}\n            {{- '<|im_start|>' + message."
    "role + '\\n' + content }}\n        {%- endif %}\n        {{- '<|im_end|>\\n' }}\n    {%-"
    " endif %}\n{%- endfor %}\n{%- if add_generation_prompt %}\n    {{- '<|im_start|>assistan"
    "t\\n' }}\n    {%- if enable_thinking is defined and enable_thinking is false %}\n       "
    " {{- '<think>\\n\\n</think>\\n\\n' }}\n    {%- endif %}\n{%- endif %}";

static const char *const TALKS[] = {
    "[{\"role\":\"user\",\"content\":\"Hi  there\\n\"}]",
    "[{\"role\":\"system\",\"content\":\" Be brief. \"},{\"role\":\"user\",\"content\":\"\xe6\x97\xa5\"},"
    "{\"role\":\"assistant\",\"content\":\"<think>\\nhm\\n</"
    "think>\\n\\nyes\"},{\"role\":\"user\",\"content\":\"x\"}]",
    "[{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"assistant\",\"content\":\"b\"},{\"role\":\"user\","
    "\"content\":\"c\"}]"};

static const struct {
    const char *text;
    int talk;
    const char *want; /* NULL: the template refuses the conversation */
} SAME[] = {{CHATML, 0,
             "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face"
             "<|im_end|>\n<|im_start|>user\nHi  there\n<|im_end|>\n<|im_start|>assistant\n"},
            {CHATML, 1,
             "<|im_start|>system\n Be brief. <|im_end|>\n<|im_start|>user\n日<|im_end|>\n<|im_start|>as"
             "sistant\n<think>\nhm\n</think>\n\nyes<|im_end|>\n<|im_start|>user\nx<|im_end|>\n<|im_sta"
             "rt|>assistant\n"},
            {CHATML, 2,
             "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face"
             "<|im_end|>\n<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\nb<|im_end|>\n<|im_star"
             "t|>user\nc<|im_end|>\n<|im_start|>assistant\n"},
            {LLAMA3, 0,
             "<s><|start_header_id|>user<|end_header_id|>\n\nHi  there<|eot_id|><|start_header_id|>ass"
             "istant<|end_header_id|>\n\n"},
            {LLAMA3, 1,
             "<s><|start_header_id|>system<|end_header_id|>\n\nBe brief.<|eot_id|><|start_header_id|>u"
             "ser<|end_header_id|>\n\n日<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n<thi"
             "nk>\nhm\n</think>\n\nyes<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nx<|eot_id|"
             "><|start_header_id|>assistant<|end_header_id|>\n\n"},
            {LLAMA3, 2,
             "<s><|start_header_id|>user<|end_header_id|>\n\na<|eot_id|><|start_header_id|>assistant<|"
             "end_header_id|>\n\nb<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nc<|eot_id|><|s"
             "tart_header_id|>assistant<|end_header_id|>\n\n"},
            {MISTRAL, 0, "<s>[INST] Hi  there\n [/INST]"},
            {MISTRAL, 1, NULL},
            {MISTRAL, 2, "<s>[INST] a [/INST]b</s>[INST] c [/INST]"},
            {ZEPHYR, 0, "<|user|>\nHi  there\n</s>\n<|assistant|>\n"},
            {ZEPHYR, 1,
             "<|system|>\n Be brief. </s>\n<|user|>\n日</s>\n<|assistant|>\n<think>\nhm\n</think>\n\nye"
             "s</s>\n<|user|>\nx</s>\n<|assistant|>\n"},
            {ZEPHYR, 2, "<|user|>\na</s>\n<|assistant|>\nb</s>\n<|user|>\nc</s>\n<|assistant|>\n"},
            {LLAMA2, 0, "<s>[INST] Hi  there [/INST]"},
            {LLAMA2, 1,
             "<s>[INST] <<SYS>>\n Be brief. \n<</SYS>>\n\n日 [/INST] <think>\nhm\n</think>\n\nyes </s><"
             "s>[INST] x [/INST]"},
            {LLAMA2, 2, "<s>[INST] a [/INST] b </s><s>[INST] c [/INST]"},
            {QWEN3, 0, "<|im_start|>user\nHi  there\n<|im_end|>\n<|im_start|>assistant\n"},
            {QWEN3, 1,
             "<|im_start|>system\n Be brief. <|im_end|>\n<|im_start|>user\n日<|im_end|>\n<|im_start|>as"
             "sistant\nyes<|im_end|>\n<|im_start|>user\nx<|im_end|>\n<|im_start|>assistant\n"},
            {QWEN3, 2,
             "<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\nb<|im_end|>\n<|im_start|>user\nc<|"
             "im_end|>\n<|im_start|>assistant\n"}};

/* ---- a folder with a template */

static void write_text(const char *folder, const char *file, const char *text, size_t n)
{
    EXPECT(!file_make_dir(folder) && !file_write(str_print(&arena, "%s/%s", folder, file), text, n), "%s",
           err_message());
}

/* <s> and </s> have their roles; every other character is no token. */
static const Tokenizer *words(void)
{
    static Tokenizer t;
    static const char JSON[] = "{\"added_tokens\":[{\"id\":0,\"content\":\"<s>\",\"special\":true},{\"id\":1,"
                               "\"content\":\"</s>\",\"special\":true}],"
                               "\"model\":{\"type\":\"BPE\",\"vocab\":{\"<s>\":0,\"</s>\":1,\"a\":2},\"merges\":[]}}";
    static const char CONFIG[] =
        "{\"tokenizer_class\":\"PreTrainedTokenizerFast\",\"bos_token\":\"<s>\",\"eos_token\":\"</s>\"}";
    const char *folder = str_print(&arena, "%s/words", dir);
    write_text(folder, "tokenizer.json", JSON, sizeof JSON - 1);
    write_text(folder, "tokenizer_config.json", CONFIG, sizeof CONFIG - 1);
    EXPECT(!tokenizer_open(&t, &arena, folder), "%s", err_message());
    return &t;
}

static Chat chat_of(const char *text)
{
    const char *folder = str_print(&arena, "%s/jinja", dir);
    Chat c;
    write_text(folder, "chat_template.jinja", text, strlen(text));
    EXPECT(!chat_open(&c, &arena, folder, words()), "%s", err_message());
    return c;
}

static Status render(Bytes *out, const Chat *c, const char *json)
{
    cJSON *root;
    const cJSON *messages;
    TRY(json_parse(&root, json, strlen(json), "talk"));
    Status s = chat_messages(&messages, root, "talk");
    if (!s) s = chat_render(out, c, &arena, messages, true);
    cJSON_Delete(root);
    return s;
}

static void conversations_are_rendered_as_the_reference_does(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof SAME / sizeof *SAME; i++) {
        Chat c = chat_of(SAME[i].text);
        Bytes out;
        Status s = render(&out, &c, TALKS[SAME[i].talk]);
        EXPECT((s == OK) == (SAME[i].want != NULL), "rendering %zu: %s", i, s ? err_message() : "it is not refused");
        EXPECT(s || (out.len == strlen(SAME[i].want) && !memcmp(out.text, SAME[i].want, out.len)),
               "rendering %zu is '%.*s', expected '%s'", i, (int)out.len, out.text, SAME[i].want);
        err_clear();
    }
}

static void families_are_told_by_their_form(void **state)
{
    (void)state;
    static const struct {
        const char *text, *family;
    } ALL[] = {{CHATML, "ChatML"},
               {LLAMA3, "Llama 3"},
               {MISTRAL, "Mistral"},
               {LLAMA2, "Mistral"},
               {ZEPHYR, "Zephyr"},
               {QWEN3, "ChatML"},
               {"{{ messages | length }}", NULL},
               {"{{ raise_exception('no') }}", NULL}};
    for (size_t i = 0; i < sizeof ALL / sizeof *ALL; i++) {
        Chat c = chat_of(ALL[i].text);
        const char *got = chat_family(&c, &arena);
        EXPECT(got == ALL[i].family || (got && ALL[i].family && !strcmp(got, ALL[i].family)), "template %zu: %s", i,
               got ? got : "no family");
    }
}

/* ---- where it is found */

static void expect_found(const char *folder, const char *want)
{
    Chat c;
    Bytes out;
    EXPECT(!chat_open(&c, &arena, folder, words()), "%s", err_message());
    EXPECT(!render(&out, &c, TALKS[0]), "%s", err_message());
    EXPECT(out.len == strlen(want) && !memcmp(out.text, want, out.len), "%s: '%.*s', expected '%s'", folder,
           (int)out.len, out.text, want);
}

static void the_file_of_its_own_comes_first(void **state)
{
    (void)state;
    static const char NAMED[] =
        "{\"chat_template\":[{\"name\":\"tool_use\",\"template\":\"tools\"},"
        "{\"name\":\"default\",\"template\":\"named {{ bos_token }}{{ eos_token }}{{ pad_token }}\"}]}",
                      PLAIN[] = "{\"chat_template\":\"of the config\"}", OLD[] = "{\"chat_template\":\"of a file\"}";
    const char *folder = str_print(&arena, "%s/found", dir);
    Chat c;
    EXPECT(!file_make_dir(folder), "%s", err_message());
    EXPECT(chat_open(&c, &arena, folder, words()) == E_MISMATCH, "a template was found in an empty folder");
    EXPECT(strstr(err_message(), "has no chat template"), "%s", err_message());
    err_clear();
    write_text(folder, "chat_template.json", OLD, sizeof OLD - 1);
    expect_found(folder, "of a file");
    write_text(folder, "tokenizer_config.json", NAMED, sizeof NAMED - 1);
    expect_found(folder, "named <s></s>");
    write_text(folder, "tokenizer_config.json", PLAIN, sizeof PLAIN - 1);
    expect_found(folder, "of the config");
    write_text(folder, "chat_template.jinja", "own", 3);
    expect_found(folder, "own");
    write_text(folder, "chat_template.jinja", "{% include 'x' %}", 17);
    EXPECT(chat_open(&c, &arena, folder, words()) == E_FORMAT, "{%% include %%} was read");
    EXPECT(strstr(err_message(), "chat_template.jinja"), "%s", err_message());
    err_clear();
}

static void a_zero_character_does_not_end_a_template(void **state)
{
    (void)state;
    const char *folder = str_print(&arena, "%s/zero", dir);
    Chat c;
    write_text(folder, "chat_template.jinja", "a\0{% include %}", 16);
    EXPECT(chat_open(&c, &arena, folder, words()) == E_FORMAT, "what stands behind a zero character was not read");
    err_clear();
}

/* ---- conversations */

static void bad_messages_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *json, *why;
    } ALL[] = {
        {"[]", "the conversation has no message"},
        {"[1]", "message 1 is no object"},
        {"[{\"role\":\"user\",\"content\":\"a\"},{\"content\":\"b\"}]", "message 2 is no object with a \"role\""},
        {"[{\"role\":1,\"content\":\"a\"}]", "message 1"},
        {"[{\"role\":\"user\"}]", "message 1"},
        {"{\"messages\":[]}", "the conversation has no message"}};
    const cJSON *messages;
    for (size_t i = 0; i < sizeof ALL / sizeof *ALL; i++) {
        cJSON *root = cJSON_Parse(ALL[i].json);
        EXPECT(chat_messages(&messages, root, "talk") == E_FORMAT, "%s was taken", ALL[i].json);
        EXPECT(strstr(err_message(), ALL[i].why), "%s, expected '%s'", err_message(), ALL[i].why);
        err_clear();
        cJSON_Delete(root);
    }
    cJSON *other = cJSON_Parse("\"a text\"");
    EXPECT(!chat_messages(&messages, other, "talk") && !messages, "a text is no conversation");
    cJSON_Delete(other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(conversations_are_rendered_as_the_reference_does, begin, end),
        cmocka_unit_test_setup_teardown(families_are_told_by_their_form, begin, end),
        cmocka_unit_test_setup_teardown(the_file_of_its_own_comes_first, begin, end),
        cmocka_unit_test_setup_teardown(a_zero_character_does_not_end_a_template, begin, end),
        cmocka_unit_test_setup_teardown(bad_messages_are_refused, begin, end)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

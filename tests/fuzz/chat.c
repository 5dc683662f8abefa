/* A chat template, rendered with a conversation in which something of every kind is. */
#include "chat/template.h"
#include "fuzz/fuzz.h"
#include "io/json.h"

static void fuzz_chat(const char *bytes, size_t n)
{
    static const char TALK[] =
        "{\"messages\":[{\"role\":\"system\",\"content\":\" Be brief. \"},{\"role\":\"user\",\"content\":\"\\u65e5 "
        "x\"},"
        "{\"role\":\"assistant\",\"content\":null,\"calls\":[1,2.5,true]}],\"bos_token\":\"<s>\",\"tools\":null}";
    const Template *t;
    cJSON *root;
    CHECK(!json_parse(&root, TALK, sizeof TALK - 1, "talk"), "%s", err_message());
    Value variables = value_of_json(fuzz_arena(), root);
    cJSON_Delete(root);
    Buf out = buf_open(fuzz_arena());
    if (n < 1 << 16 && !template_parse(&t, fuzz_arena(), bytes, n, "template")) template_render(&out, t, variables);
    fuzz_done();
}
FUZZ(chat)

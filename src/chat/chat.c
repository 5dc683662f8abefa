#include "chat/chat.h"

#include <string.h>
#include <unistd.h>

#include "base/hf_cache.h"
#include "io/gguf.h"
#include "io/json.h"

/* ---- where the template is */

/* "chat_template": the template, or a list of named ones. */
static const char *named_template(const cJSON *value)
{
    const cJSON *j;
    if (cJSON_IsString(value)) return value->valuestring;
    cJSON_ArrayForEach(j, value)
    {
        const char *name = json_text_in(j, "name");
        if (name && !strcmp(name, "default")) return json_text_in(j, "template");
    }
    return NULL;
}

static Status from_json(Bytes *text, Arena *a, const char *path)
{
    cJSON *root;
    if (access(path, F_OK)) return OK;
    TRY(json_read(&root, a, path));
    const char *found = named_template(cJSON_GetObjectItemCaseSensitive(root, "chat_template"));
    if (found) *text = (Bytes){str_print(a, "%s", found), strlen(found)};
    cJSON_Delete(root);
    return OK;
}

static Status from_gguf(Bytes *text, Arena *a, const char *path)
{
    Gguf *g;
    const char *found = NULL;
    TRY(gguf_open(&g, a, path));
    Status s = gguf_text(&found, a, g, "tokenizer.chat_template");
    gguf_close(g);
    if (!s && found) *text = (Bytes){str_print(a, "%s", found), strlen(found)};
    return s;
}

/* text->text stays NULL where there is none. */
static Status find_template(Bytes *text, const char **file, Arena *a, const char *path)
{
    const char *gguf;
    TRY(hf_cache_find(&path, a, path));
    TRY(gguf_find(&gguf, a, path));
    *file = gguf;
    if (gguf) return from_gguf(text, a, gguf);
    const char *dir = file_folder(a, path);
    *file = str_print(a, "%s/chat_template.jinja", dir);
    if (!access(*file, F_OK)) return file_read(text, a, *file);
    *file = str_print(a, "%s/tokenizer_config.json", dir);
    TRY(from_json(text, a, *file));
    if (text->text) return OK;
    *file = str_print(a, "%s/chat_template.json", dir);
    return from_json(text, a, *file);
}

Status chat_open(Chat *out, Arena *a, const char *path, const Tokenizer *t)
{
    Bytes text = {0};
    const char *file = path;
    TRY(find_template(&text, &file, a, path));
    if (!text.text)
        return err_fail(E_MISMATCH,
                        "%s: has no chat template, neither in a file of its own nor in tokenizer_config.json", path);
    *out = (Chat){.tokenizer = t, .path = file};
    return template_parse(&out->t, a, text.text, text.len, file);
}

/* ---- conversations */

Status chat_messages(const cJSON **messages, const cJSON *value, const char *path)
{
    const cJSON *list = cJSON_IsObject(value) ? cJSON_GetObjectItemCaseSensitive(value, "messages") : value, *m;
    int i = 0;
    *messages = NULL;
    if (!cJSON_IsArray(list)) return OK;
    cJSON_ArrayForEach(m, list)
    {
        i++;
        if (!json_text_in(m, "role") || !cJSON_HasObjectItem(m, "content"))
            return err_fail(E_FORMAT, "%s: message %d is no object with a \"role\" and its \"content\"", path, i);
    }
    if (!i) return err_fail(E_FORMAT, "%s: the conversation has no message", path);
    *messages = list;
    return OK;
}

static void set_token(Arena *a, Value map, const Chat *c, const char *name, TokenName role)
{
    const char *piece =
        c->tokenizer->named[role] >= 0 ? tokenizer_piece(c->tokenizer, c->tokenizer->named[role]) : NULL;
    if (piece) map_set(a, map, value_words(name), value_words(piece));
}

Status chat_render(Bytes *out, const Chat *c, Arena *a, const cJSON *messages, bool prompt)
{
    Value v = value_map(a);
    Buf text = buf_open(a);
    map_set(a, v, value_words("messages"), value_of_json(a, messages));
    map_set(a, v, value_words("add_generation_prompt"), value_bool(prompt));
    map_set(a, v, value_words("tools"), (Value){V_NONE, {0}});
    map_set(a, v, value_words("documents"), (Value){V_NONE, {0}});
    set_token(a, v, c, "bos_token", NAME_BOS);
    set_token(a, v, c, "eos_token", NAME_EOS);
    set_token(a, v, c, "unk_token", NAME_UNK);
    set_token(a, v, c, "pad_token", NAME_PAD);
    TRY(template_render(&text, c->t, v));
    *out = (Bytes){text.text, text.len};
    return OK;
}

const char *chat_family(const Chat *c, Arena *a)
{
    static const char TALK[] = "[{\"role\":\"user\",\"content\":\"Aa\"},{\"role\":\"assistant\",\"content\":\"Bb\"},"
                               "{\"role\":\"user\",\"content\":\"Cc\"}]";
    static const struct {
        const char *family, *form; /* a glob over a rendered conversation, "?" for "|" */
    } FORMS[] = {{"ChatML", "*<?im_start?>user\nAa<?im_end?>\n<?im_start?>assistant\nBb<?im_end?>\n<?im_start?>user\n"
                            "Cc<?im_end?>\n<?im_start?>assistant\n"},
                 {"Llama 3",
                  "*<?start_header_id?>user<?end_header_id?>\n\nAa<?eot_id?><?start_header_id?>assistant"
                  "<?end_header_id?>\n\nBb<?eot_id?><?start_header_id?>user<?end_header_id?>\n\nCc<?eot_id?>"
                  "<?start_header_id?>assistant<?end_header_id?>\n\n"},
                 {"Mistral", "*[INST]*Aa*[/INST]*Bb*</s>*[INST]*Cc*[/INST]"},
                 {"Zephyr", "*<?user?>\nAa*<?assistant?>\nBb*<?user?>\nCc*<?assistant?>*"}};
    cJSON *talk = cJSON_Parse(TALK);
    Bytes text;
    Status s = chat_render(&text, c, a, talk, true);
    cJSON_Delete(talk);
    if (s) {
        err_clear();
        return NULL;
    }
    for (size_t i = 0; i < sizeof FORMS / sizeof *FORMS; i++)
        if (str_glob(FORMS[i].form, text.text)) return FORMS[i].family;
    return NULL;
}

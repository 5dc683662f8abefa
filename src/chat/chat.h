/* The chat template of a model: conversations as the text that the model was tuned on.
 *
 * The template is the folder's own: chat_template.jinja, else "chat_template" of tokenizer_config.json (of several
 * the one named "default"), else that of chat_template.json; of a GGUF file the key tokenizer.chat_template.  It is
 * rendered by chat/template.h, which refuses by name what it does not know, so that no guess at a family replaces it.
 * The text is for tokenizer_encode() with special tokens in the text, and has its own begin and end tokens:
 * tokenizer_wrap() would put a second one in front (transformers, apply_chat_template). */
#ifndef CHAT_CHAT_H
#define CHAT_CHAT_H

#include <cjson/cJSON.h>

#include "base/file.h"
#include "chat/template.h"
#include "text/tokenizer.h"

typedef struct {
    const Template *t;
    const Tokenizer *tokenizer; /* whose special tokens the template names */
    const char *path;           /* of the file that has it */
} Chat;

/* `path` as for tokenizer_open().  E_MISMATCH: no file there has a template.  The tokenizer must outlive the chat. */
Status chat_open(Chat *out, Arena *, const char *path, const Tokenizer *);
/* [{"role": "user", "content": "..."}, ...], or an object that has it under "messages"; E_FORMAT names a message that
 * is not like that.  NULL in *messages: the value is something else. */
Status chat_messages(const cJSON **messages, const cJSON *value, const char *path);
/* prompt: ends with the opening of an assistant's message. */
Status chat_render(Bytes *out, const Chat *, Arena *, const cJSON *messages, bool prompt);
/* The family whose form a template has, by what it renders of a conversation: "ChatML", "Llama 3", "Mistral" (and
 * Llama 2), "Zephyr"; NULL: another form. */
const char *chat_family(const Chat *, Arena *);

#endif

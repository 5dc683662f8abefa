/* The facts about options that the scripts of all three shells need. */
#include "manual/completion.h"

#include <string.h>

Takes option_takes(const Command *c, const Option *o)
{
    if (!o->argument) return TAKES_NOTHING;
    if (choice_among(c, o->name)) return TAKES_WORDS;
    if (!strcmp(o->argument, "DIR")) return TAKES_DIR;
    return str_glob("FILE|PATH|MODEL|BASE|OTHER", o->argument) ? TAKES_FILE : TAKES_TEXT;
}

Takes setting_takes(const Setting *s)
{
    if (s->among) return TAKES_WORDS;
    return s->reads || str_glob("model|data|adapter|tokenizer", s->key) ? TAKES_FILE : TAKES_TEXT;
}

const char *meaning(Arena *a, const char *text, const char *quote)
{
    enum { MOST = 60 };
    size_t n = strcspn(text, ";:(\n");
    const char *stop = strstr(text, ". ");
    if (stop && (size_t)(stop - text) < n) n = (size_t)(stop - text);
    if (n > MOST)
        for (n = MOST; n && text[n] != ' ';) n--;
    while (n && strchr(" ,.", text[n - 1])) n--;
    Buf out = buf_open(a);
    for (size_t i = 0; i < n; i++)
        if (text[i] == '\'')
            buf_print(&out, "%s", quote);
        else
            buf_add(&out, text + i, 1);
    return out.text;
}

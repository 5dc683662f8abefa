/* vernier completion SHELL: the script that completes command lines of vernier in bash, zsh or fish. */
#include <string.h>

#include "base/print.h"
#include "cli/completion.h"

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

static Status completion(const Args *a)
{
    const char *shell = args_at(a, 0);
    Buf out = buf_open(args_arena(a));
    if (!strcmp(shell, "fish"))
        complete_fish(&out);
    else if (!strcmp(shell, "bash") || !strcmp(shell, "zsh"))
        complete_sh(&out, *shell == 'z');
    else
        return err_fail(E_CONFIG, "unknown shell '%.30s'; expected bash, zsh or fish", shell);
    print_layout(out.text, out.len);
    return OK;
}

static const Command COMPLETION = {
    .name = "completion",
    .summary = "print the script that completes vernier's command lines in bash, zsh or fish",
    .usage = "bash|zsh|fish",
    .about = "Completes commands, subcommands, options, their fixed words, and the names of experiments with their "
             "settings; elsewhere files.  For bash put `source <(vernier completion bash)` into ~/.bashrc.  For zsh "
             "write the script as _vernier into a directory of $fpath, before compinit runs.  For fish write it as "
             "~/.config/fish/completions/vernier.fish.",
    .example = "vernier completion bash > ~/.local/share/bash-completion/completions/vernier",
    .among = "bash|zsh|fish",
    .least = 1,
    .most = 1,
    .run = completion};
REGISTER(command, COMPLETION)

/* vernier completion SHELL: the script that completes command lines of vernier in bash, zsh or fish. */
#include <string.h>

#include "base/print.h"
#include "manual/completion.h"

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

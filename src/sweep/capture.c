/* The words, and the contents of the files that they name, are the settings of the directory.  Half-written output
 * goes: such a command begins anew. */
#include "sweep/capture.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/print.h"
#include "base/str.h"
#include "cli/command.h"
#include "run/folder.h"
#include "run/signals.h"

_Noreturn void capture_become(Arena *a, const char *const *word)
{
    int n = 0;
    while (word[n]) n++;
    const char **all = NEW(a, const char *, n + 2);
    all[0] = "vernier";
    memcpy(all + 1, word, (size_t)n * sizeof *all);
    execv("/proc/self/exe", (char **)(uintptr_t)all); /* this very program, even if its file was replaced */
    print_err("vernier: the program could not be started again: %s\n", strerror(errno));
    _exit(1);
}

static bool has(const char *const *word, const char *option)
{
    for (; *word; word++)
        if (!strcmp(*word, option)) return true;
    return false;
}

static const char *file_of(const char *const *word)
{
    return has(word, "--json") ? CAPTURE_JSON : has(word, "--csv") ? "output.csv" : "output.txt";
}

static Status name_folder(Folder *f, const char *const *word)
{
    for (int i = 1; word[i]; i++) {
        const char *sign = strncmp(word[i], "--", 2) ? NULL : strchr(word[i], '='), *path = sign ? sign + 1 : word[i];
        const char *key = str_print(f->arena, "word %d", i);
        struct stat st;
        if (!strncmp(word[i], "--threads", 9)) continue;
        folder_set(f, key, "%s", word[i]);
        bool input = !stat(path, &st) && (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode));
        if (input) TRY(folder_input(f, str_print(f->arena, "content %d", i), path));
    }
    return OK;
}

/* The words with one more, before a "--". */
static const char **with(Arena *a, const char *const *word, const char *more)
{
    int n = 0, at = 0;
    while (word[n]) n++;
    const char **all = NEW(a, const char *, n + 2);
    all[at++] = word[0];
    all[at++] = more;
    for (int i = 1; i < n; i++) all[at++] = word[i];
    return all;
}

/* The exit code of the command, whose standard output is the file. */
static int run(Arena *a, const char *path, const char *const *word)
{
    int how = 0;
    pid_t pid = fork();
    if (!pid) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        int out = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0666);
        if (out < 0 || dup2(out, STDOUT_FILENO) < 0) _exit(err_exit_status(E_IO));
        capture_become(a, word);
    }
    if (pid < 0) return 1;
    while (waitpid(pid, &how, 0) < 0 && errno == EINTR) continue;
    return WIFEXITED(how) ? WEXITSTATUS(how) : signals_ended(how) ? signals_exit_status() : 1;
}

int capture(Arena *a, const char *dir, bool file, const char *const *word)
{
    Folder f = folder_begin(a, dir, str_print(a, "sweep %s", word[0]));
    int code = 0;
    Status s = name_folder(&f, word);
    if (!s) s = folder_open(&f, false);
    if (!s && !f.done) {
        signals_wait(1); /* the command below gets the signal, too, and ends first */
        if (file) word = with(a, word, str_print(a, "--out=%s/output", f.path));
        code = run(a, str_print(a, "%s/%s", f.path, file ? "printed.txt" : file_of(word)), word);
        s = code ? folder_drop(&f, E_NUMERIC) : folder_finish(&f, NULL);
        signals_wait(-1);
    }
    if (code) return code;
    if (s) print_err("vernier: %s\n", err_message());
    return err_exit_status(s);
}

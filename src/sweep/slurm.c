/* The shell that Slurm starts gets the warning before the limit (--signal=B:) and SIGTERM, hands them on, and
 * waits for the task to save its work: `wait` returns early at each signal, until the process is gone. */
#include "sweep/slurm.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* "KEY=VALUE" or "KEY": one line of a script. */
static Status check_option(const char *o)
{
    size_t n = strspn(o, "abcdefghijklmnopqrstuvwxyz0123456789-");
    if (!n || *o == '-' || (o[n] && o[n] != '='))
        return err_fail(E_CONFIG, "--slurm-option %s: expected KEY=VALUE or KEY, as in time=2:00:00", o);
    for (const char *c = o; *c; c++)
        if ((unsigned char)*c < ' ') return err_fail(E_CONFIG, "--slurm-option %s: expected one line", o);
    return OK;
}

static bool has(const Slurm *s, const char *key)
{
    for (int i = 0; i < s->options; i++)
        if (!strncmp(s->option[i], key, strlen(key)) && strchr("=", s->option[i][strlen(key)])) return true;
    return false;
}

/* "0-3,7". */
static const char *array_of(Arena *a, int64_t n, const int64_t *cell)
{
    Buf b = buf_open(a);
    for (int64_t i = 0, end; i < n; i = end) {
        for (end = i + 1; end < n && cell[end] == cell[end - 1] + 1;) end++;
        buf_print(&b, "%s%lld", i ? "," : "", (long long)cell[i]);
        if (end > i + 1) buf_print(&b, "-%lld", (long long)cell[end - 1]);
    }
    return b.text;
}

/* A value of a line #SBATCH, in quotation marks where it needs them. */
static const char *quoted(Arena *a, const char *value)
{
    return strpbrk(value, " \t#'") ? str_print(a, "\"%s\"", value) : value;
}

static void add_head(Buf *b, const Slurm *s, const Plan *p, Arena *a, const char *dir, const char *array)
{
    const char *limit = s->jobs ? str_print(a, "%%%d", s->jobs) : "";
    buf_print(b, "#!/bin/sh\n");
    if (!has(s, "job-name")) buf_print(b, "#SBATCH --job-name=vernier-%s\n", p->command->name);
    buf_print(b, "#SBATCH --array=%s%s\n", array, limit);
    if (!has(s, "output"))
        buf_print(b, "#SBATCH --output=%s\n", quoted(a, str_print(a, "%s/logs/slurm-%%A_%%a.out", dir)));
    buf_print(b, "#SBATCH --open-mode=append\n#SBATCH --requeue\n");
    if (!has(s, "signal")) buf_print(b, "#SBATCH --signal=B:USR1@120\n");
    for (int i = 0; i < s->options; i++) {
        const char *sign = strchr(s->option[i], '=');
        if (sign)
            buf_print(b, "#SBATCH --%.*s=%s\n", (int)(sign - s->option[i]), s->option[i], quoted(a, sign + 1));
        else
            buf_print(b, "#SBATCH --%s\n", s->option[i]);
    }
}

static const char BODY[] =
    "pid=$!\n"
    "trap 'kill -TERM \"$pid\" 2>/dev/null' TERM USR1 USR2 HUP\n"
    "while :; do # wait returns early at a signal\n"
    "    wait \"$pid\"\n"
    "    code=$?\n"
    "    kill -0 \"$pid\" 2>/dev/null || break\n"
    "done\n"
    "if [ \"$code\" = 75 ]; then # the work so far is saved, and a later task of this number continues\n"
    "    scontrol requeue \"$SLURM_JOB_ID\"\n"
    "fi\n"
    "exit \"$code\"\n";

Status slurm_script(const char **text, const Slurm *s, const Plan *p, Arena *a, const char *dir, int64_t n,
                    const int64_t *cell)
{
    char here[4096], program[4096];
    ssize_t len = readlink("/proc/self/exe", program, sizeof program - 1);
    if (!getcwd(here, sizeof here) || len < 0) return err_fail(E_IO, "the working directory: %s", strerror(errno));
    program[len] = 0;
    for (int i = 0; i < s->options; i++) TRY(check_option(s->option[i]));
    if (has(s, "array"))
        return err_fail(E_CONFIG, "--slurm-option array: the sweep numbers its cells; --jobs limits them");
    const char *whole = *dir == '/' ? dir : str_print(a, "%s/%s", here, dir);
    Buf b = buf_open(a);
    add_head(&b, s, p, a, whole, array_of(a, n, cell));
    buf_print(&b, "cd %s || exit 1\n%s sweep cell %s &\n%s", shell_word(a, here), shell_word(a, program),
              shell_word(a, whole), BODY);
    *text = b.text;
    return OK;
}

Status slurm_submit(const char **job, Arena *a, const char *dir, const char *text)
{
    const char *path = str_print(a, "%s/sweep.sbatch", dir);
    char line[256] = "";
    TRY(file_write(path, text, strlen(text)));
    FILE *f = popen(str_print(a, "sbatch --parsable %s", shell_word(a, path)), "r");
    if (!f) return err_fail(E_IO, "sbatch: %s", strerror(errno));
    if (fgets(line, sizeof line, f)) line[strcspn(line, ";\n")] = 0;
    int how = pclose(f), code = WIFEXITED(how) ? WEXITSTATUS(how) : 1;
    if (code == 127) return err_fail(E_IO, "there is no sbatch here; the script is %s", path);
    if (code) return err_fail(E_IO, "sbatch has not taken %s: exit code %d", path, code);
    *job = str_copy(a, line, strlen(line));
    return OK;
}

/* The program: find the command, apply the common options, run it, print the error of a failure once. */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/print.h"
#include "base/ranks.h"
#include "base/str.h"
#include "cli/page.h"
#include "num/kernels.h"
#include "run/progress.h"
#include "run/run.h"
#include "run/signals.h"

static void print_overview(Arena *a, FILE *to)
{
    print_to(to, "vernier: measures what parameter-efficient fine-tuning can and cannot do to a transformer\n\n"
                 "usage: vernier COMMAND [options] [operands]\n\ncommands\n");
    for (const Command **c = commands(a); *c; c++) print_to(to, "  %-11s %s\n", (*c)->name, (*c)->summary);
    print_to(to, "\n'vernier COMMAND --help' shows the options; 'vernier --version' names the build\n"
                 "\nexit codes\n  0 done   1 the work failed   2 wrong usage   3 bad input file   130 interrupted\n"
                 "  75 stopped by SIGTERM, SIGHUP, SIGUSR1 or SIGUSR2; the same command continues\n"
                 "\nexample\n  vernier list\n");
}

Status no_command(Arena *a, const char *name)
{
    const char *list[64];
    int n = 0;
    for (const Command **c = commands(a); *c && n < 63; c++) list[n++] = (*c)->name;
    list[n] = NULL;
    const char *near = str_nearest(name, list);
    if (near) return err_fail(E_CONFIG, "unknown command \"%s\"; did you mean %s?", name, near);
    return err_fail(E_CONFIG, "unknown command \"%s\"; 'vernier --help' lists the commands", name);
}

/* Ranks work together on some commands, and only where all of them compute the same. */
static Status check_ranks(Arena *a, const Command *c)
{
    if (ranks_size() == 1) return OK;
    if (!c->ranks)
        return err_fail(E_CONFIG,
                        "%s runs as one process, and %d were started; expected tune, predict or embed, or a start "
                        "without mpirun or srun",
                        c->name, ranks_size());
    TRY(ranks_same(OK, "the program", manifest_program_id(a)));
    return ranks_same(OK, "the kernels", kernels_name());
}

static Status run_command(Arena *a, const Command *c, int argc, char **argv)
{
    Args *args;
    TRY(args_parse(&args, a, c, argc, argv));
    if (args_help(args)) return command_help(c, args);
    TRY(cli_apply(args));
    TRY(check_ranks(a, c));
    return c->run(args);
}

/* Finds the command that the first argument names and runs it; handles --version and the forms of help. */
static Status dispatch(Arena *a, int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "";
    if (!strcmp(name, "--version")) {
        print_out("vernier %s\n%s\n", vernier_version(), vernier_build());
        return OK;
    }
    bool help = !strcmp(name, "--help") || !strcmp(name, "-h") || !strcmp(name, "help");
    if (help && argc < 3) {
        print_overview(a, stdout);
        return OK;
    }
    if (!*name) {
        print_overview(a, stderr);
        return err_fail(E_CONFIG, "no command is given; expected one of the list above");
    }
    if (help) name = argv[2];
    const Command *c = command_find(name);
    if (!c) return no_command(a, name);
    if (!help) return run_command(a, c, argc - 2, argv + 2);
    char word[] = "--help", **ask = NEW(a, char *, argc);
    memcpy(ask, argv + 3, (size_t)(argc - 3) * sizeof *ask); /* of its subcommand, or of an experiment */
    ask[argc - 3] = word;
    return run_command(a, c, argc - 2, ask);
}

/* The output must have arrived, unless its reader has closed the pipe: it needed no more. */
Status cli_flush(void)
{
    struct pollfd out = {.fd = STDOUT_FILENO};
    errno = 0;
    if (!fflush(stdout) && !ferror(stdout)) return OK;
    if (!errno && write(STDOUT_FILENO, "\n", 1) == 1) errno = EIO; /* an earlier write failed */
    int error = errno;
    if (error == EPIPE || (poll(&out, 1, 0) == 1 && (out.revents & POLLERR))) return OK;
    return err_fail(E_IO, "standard output: %s", strerror(error));
}

/* The first file to be opened would get the number of a stream that the caller has closed, and the program would
 * print into that file.  So a closed stream is replaced by /dev/null, opened in the wrong direction. */
static void fill_streams(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0 && errno == EBADF) (void)!open("/dev/null", fd ? O_RDONLY : O_WRONLY);
}

int cli_main(int argc, char **argv)
{
    fill_streams();
    /* Under a limit on address space each thread's own heap would reserve 64 MiB of it, which figures then lack. */
    if (arena_space_left() != SIZE_MAX) mallopt(M_ARENA_MAX, 1);
    Arena arena = arena_open(0);
    signals_watch();
    Status status = ranks_open(signals_here);
    if (!status) status = dispatch(&arena, argc, argv);
    progress_clear();
    Status wrote = cli_flush();
    status = ranks_end(status ? status : wrote);
    if (ranks_size() > 1) signals_ignore();
    if (status) print_err("vernier: %s\n", err_message());
    if (status && getenv("VERNIER_TRACE")) print_err("%s\n", err_trace());
    ranks_close();
    return status == E_INTERRUPT ? signals_exit_status() : err_exit_status(status);
}

/* A handler calls only functions that are safe in a signal.  It sets flags, writes a line, removes files, and ends
 * the process. */
#include "run/signals.h"

#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/dirs.h"
#include "base/err.h"
#include "base/file.h"
#include "base/ranks.h"
#include "run/folder.h"

enum { EXIT_AGAIN = 75 }; /* EX_TEMPFAIL of sysexits.h: what was begun can be continued */

static const int STOPPING[] = {SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2};
enum { STOPPING_SIGNALS = sizeof STOPPING / sizeof *STOPPING };

volatile sig_atomic_t signals_line;
static volatile sig_atomic_t stopped, patience;
static double first_signal; /* when it came */
static pid_t parent;        /* of a job: who sends it the other signal */

/* Temporary files and the line of progress go; jobs end with their parent (parallel.c). */
_Noreturn static void end_now(void)
{
    static const char message[] = "vernier: interrupted before the end\n", wipe[] = "\r\033[K";
    writers_remove();
    dirs_unmake();
    folder_interrupted();
    if (signals_line) (void)!write(STDERR_FILENO, wipe, sizeof wipe - 1);
    if (!parent && ranks_first()) (void)!write(STDERR_FILENO, message, sizeof message - 1);
    _exit(signals_exit_status());
}

/* Where work would be lost, the first signal is noted, and the program ends at its next step.  Elsewhere, and where
 * Ctrl-C is one of two signals, it ends here.  One wish may come as two signals: a job gets Ctrl-C from the terminal
 * and SIGTERM from its parent, and timeout(1) signals its child and at once its whole group.  A batch system warns
 * more than once (SIGUSR1 before the limit, SIGTERM at it), from several senders, and kills at last by itself. */
static void on_signal(int number, siginfo_t *info, void *context)
{
    const double together = 0.05, now = clock_now();
    (void)context;
    bool again = stopped && (number == SIGINT || stopped == SIGINT) && now - first_signal > together &&
                 !(parent && info->si_pid == parent);
    if (!stopped) first_signal = now;
    stopped = number;
    if (again || !patience) end_now();
}

void signals_wait(int change)
{
    patience += change;
}

/* Files are used where the system maps them, so one that another program cuts ends in this signal. */
static void on_bus_error(int number, siginfo_t *info, void *context)
{
    static const char message[] =
        "vernier: a file in use can no longer be read: another program has cut it, or its disk has failed\n";
    (void)context;
    signal(number, SIG_DFL); /* any other reason meets it again on return */
    if (info->si_code == BUS_ADRERR)
        _exit(write(STDERR_FILENO, message, sizeof message - 1) < 0 ? 1 : err_exit_status(E_IO));
}

/* nohup(1) starts a program with this signal ignored, and so it stays. */
static bool is_nohup(int number)
{
    struct sigaction now;
    return number == SIGHUP && !sigaction(number, NULL, &now) && now.sa_handler == SIG_IGN;
}

/* The handlers run on a stack of their own: oneDNN's generated code keeps data below the stack pointer, where the
 * kernel would lay the interrupted registers. */
void signals_watch(void)
{
    static char stack[1 << 16];
    static pid_t program;
    if (!program) program = getpid();
    parent = getpid() == program ? 0 : program;
    sigaltstack(&(stack_t){.ss_sp = stack, .ss_size = sizeof stack}, NULL);
    struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_RESTART | SA_ONSTACK | SA_SIGINFO};
    sigemptyset(&action.sa_mask);
    for (int i = 0; i < STOPPING_SIGNALS; i++) sigaddset(&action.sa_mask, STOPPING[i]);
    for (int i = 0; i < STOPPING_SIGNALS; i++)
        if (!is_nohup(STOPPING[i])) sigaction(STOPPING[i], &action, NULL);
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    sigemptyset(&action.sa_mask);
    action.sa_sigaction = on_bus_error;
    sigaction(SIGBUS, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a file that may grow no further is an error of writing like a full disk */
}

void signals_ignore(void)
{
    for (int i = 0; i < STOPPING_SIGNALS; i++) signal(STOPPING[i], SIG_IGN);
}

int signals_here(void)
{
    return stopped;
}

/* Of several ranks all stop at the same step, for a signal that one of them has seen. */
int signals_seen(void)
{
    if (ranks_size() == 1) return stopped;
    if (ranks_signal()) stopped = ranks_signal();
    return ranks_signal();
}

int signals_exit_status(void)
{
    return !stopped || stopped == SIGINT ? err_exit_status(E_INTERRUPT) : EXIT_AGAIN;
}

bool signals_ended(int how)
{
    if (WIFEXITED(how)) return WEXITSTATUS(how) == EXIT_AGAIN || WEXITSTATUS(how) == err_exit_status(E_INTERRUPT);
    for (int i = 0; i < STOPPING_SIGNALS; i++)
        if (WIFSIGNALED(how) && WTERMSIG(how) == STOPPING[i]) return true;
    return false;
}

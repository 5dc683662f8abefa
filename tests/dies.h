/* Does a call abort, as CHECK does on a programmer's mistake?  It runs in a child whose standard error is /dev/null.
 * A test that calls this must not have used OpenMP before: a forked child has none of its parent's threads. */
#ifndef TESTS_DIES_H
#define TESTS_DIES_H

#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

typedef enum { RETURNS, ABORTS, BREAKS } Ending; /* BREAKS: any other signal, a sanitizer's report, or ten seconds */

static inline Ending ending(void (*f)(int which), int which)
{
    pid_t child = fork();
    if (child == 0) {
        setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
        signal(SIGABRT, SIG_DFL);
        alarm(10);
        dup2(open("/dev/null", O_WRONLY), STDERR_FILENO);
        f(which);
        _exit(0);
    }
    int status = 0;
    if (child < 0 || waitpid(child, &status, 0) != child) return BREAKS;
    if (WIFSIGNALED(status)) return WTERMSIG(status) == SIGABRT ? ABORTS : BREAKS;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? RETURNS : BREAKS;
}

#endif

/* The program is src/cli/program.c; this file is apart so that tests can be the program too.
 *
 * libgomp's threads spin for milliseconds at the end of each parallel loop, in case the next one follows soon.
 * Generating a token takes hundreds of short loops.  Where other programs want the cores too, a spinning thread takes
 * the time of the one that it waits for: on a busy machine generation took 7 to 16 times as long.  libgomp reads its
 * policy before main(), so the program sets it and starts again. */
#include <stdlib.h>
#include <unistd.h>

#include "cli/command.h"

/* Returns where the user has chosen a policy, or where the program cannot be started again. */
static void let_threads_sleep(char **argv)
{
    char self[4096];
    if (getenv("OMP_WAIT_POLICY") || getenv("GOMP_SPINCOUNT")) return;
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    if (n <= 0 || setenv("OMP_WAIT_POLICY", "passive", 1)) return;
    self[n] = 0;
    execv(self, argv);
}

int main(int argc, char **argv)
{
    let_threads_sleep(argv);
    return cli_main(argc, argv);
}

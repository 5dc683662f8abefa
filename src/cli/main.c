/* The program is src/cli/program.c; this file is apart so that tests can be the program too. */
#include "cli/command.h"

int main(int argc, char **argv)
{
    return cli_main(argc, argv);
}

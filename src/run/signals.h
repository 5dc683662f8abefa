/* How the program takes signals.
 *
 * SIGINT (Ctrl-C) ends it with exit code 130.  The signals by which a batch system or an administrator takes a
 * machine back (SIGTERM, SIGHUP, SIGUSR1, SIGUSR2) end it with exit code 75, which asks for the same command
 * later; SIGHUP stays ignored under nohup(1).  They end it at once, but between signals_wait(1) and
 * signals_wait(-1) they are only noted: the work that would be lost there calls signals_seen() at every step,
 * saves once, and ends.  Pairs may nest.  Ctrl-C after another signal, or another signal after Ctrl-C, ends it at
 * once everywhere.
 *
 * SIGPIPE and SIGXFSZ are ignored, so that a reader that goes away and a full file are errors of writing; SIGBUS
 * of a file that another program has cut ends in a sentence. */
#ifndef RUN_SIGNALS_H
#define RUN_SIGNALS_H

#include <signal.h>
#include <stdbool.h>

void signals_watch(void); /* installs the handlers; once in the program, and once in every job that it forks */
void signals_wait(int change);
void signals_ignore(void);     /* from here on none ends the program: it ends by itself */
int signals_seen(void);        /* the last one noted, or 0; of several ranks the one that they agreed on */
int signals_here(void);        /* the last one that this process has noted */
int signals_exit_status(void); /* of a program that ends for that signal: 130, or 75 */
bool signals_ended(int how);   /* by wait(2), a process of this program has ended for such a signal */

/* A line on the terminal waits to be rewritten; a signal that ends the program wipes it. */
extern volatile sig_atomic_t signals_line;

#endif

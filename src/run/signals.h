/* How the program takes signals.
 *
 * SIGINT and SIGTERM end it at once, but between signals_wait(1) and signals_wait(-1) the first one is only noted:
 * the work that would be lost there calls signals_seen() at every step.  Pairs may nest.  SIGPIPE and SIGXFSZ are
 * ignored, so that a reader that goes away and a full file are errors of writing; SIGBUS of a file that another
 * program has cut ends in a sentence. */
#ifndef RUN_SIGNALS_H
#define RUN_SIGNALS_H

#include <signal.h>

void signals_watch(void); /* installs the handlers; once in the program, and once in every job that it forks */
void signals_wait(int change);
void signals_ignore(void); /* from here on none ends the program: it ends by itself */
int signals_seen(void); /* the last one noted, or 0; of several ranks the one that they agreed on */
int signals_here(void); /* the last one that this process has noted */

/* A line on the terminal waits to be rewritten; a signal that ends the program wipes it. */
extern volatile sig_atomic_t signals_line;

#endif

/* Completion of command lines, as a script of the shell that is made from the tables of commands. */
#ifndef MANUAL_COMPLETION_H
#define MANUAL_COMPLETION_H

#include "cli/page.h"
#include "run/experiment.h"

/* The kind of value that an option takes, by the word that help shows for it. */
typedef enum { TAKES_NOTHING, TAKES_WORDS, TAKES_FILE, TAKES_DIR, TAKES_TEXT } Takes;
Takes option_takes(const Command *, const Option *);
Takes setting_takes(const Setting *);
/* The start of an explanation, to its first stop and at most 60 bytes, as it stands between single quotes. */
const char *meaning(Arena *, const char *text, const char *quote);

void complete_sh(Buf *, bool zsh); /* bash, zsh */
void complete_fish(Buf *);

#endif

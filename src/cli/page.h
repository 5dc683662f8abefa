/* The tables of commands, read by the writers of help, man pages and completion.  A page is the subject of one text:
 * "" the whole command, "make" a subcommand, "make typ" a subcommand with its first operand. */
#ifndef CLI_PAGE_H
#define CLI_PAGE_H

#include "cli/command.h"

extern const Option COMMON_OPTIONS[]; /* of every command; ends with {0} */
extern const Choice COMMON_CHOICES[];

const Command **commands(Arena *);            /* in alphabetical order without the hidden ones; NULL-ended */
Status no_command(Arena *, const char *name); /* E_CONFIG with the nearest command, where one is near */

/* Which part of a page an option belongs to: "" all of it, "typ, ccm" these operands alone, NULL: not on the page. */
const char *option_scope(Arena *, const Option *, const char *page);
/* "a|b|c" as "a, b, c"; `last` stands before the last one. */
const char *words_listed(Arena *, const char *words, const char *last);
/* Those lines of the command's example that show the page, with a newline behind each. */
const char *page_examples(Arena *, const Command *, const char *page);

/* The words of "smoke|@methods", each with its meaning where it has one; ended by a key of NULL. */
const KeyValue *words_of(Arena *, const char *among);
/* The experiments of a group, a line for each with its title. */
void list_experiments_of(Arena *, const char *group);

const char *choice_among(const Command *, const char *option); /* NULL: anything */

#endif

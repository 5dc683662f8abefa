/* git's .mailmap: which names and addresses belong to one developer (gitmailmap(5)).
 *
 *   Proper Name <commit@address>                               the name of an address
 *   <proper@address> <commit@address>                          another address
 *   Proper Name <proper@address> <commit@address>              both
 *   Proper Name <proper@address> Commit Name <commit@address>  both, of this name at this address
 *
 * Addresses and names are compared without regard to case; libgit2's reader does regard it, which git's does not. */
#ifndef CHANGE_MAILMAP_H
#define CHANGE_MAILMAP_H

#include "base/table.h"

typedef struct {
    const char *name, *email; /* proper ones; NULL: as the commit has it */
} MailmapEntry;
typedef struct {
    Arena *arena;
    Table at; /* "address" or "address\nname", in lower case -> place in `entry` */
    MailmapEntry *entry;
    int64_t n;
} Mailmap;

Mailmap mailmap_read(Arena *, const char *text); /* lines that are none are passed over, as git does */
void mailmap_apply(const Mailmap *, Arena *, const char **name, const char **email);

#endif

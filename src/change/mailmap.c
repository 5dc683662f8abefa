/* The parser is git's (mailmap.c there): a later line of the same address adds to an earlier one. */
#include "change/mailmap.h"

#include <ctype.h>
#include <string.h>

#include "base/str.h"

static const char *key_of(Arena *a, const char *email, const char *name)
{
    char *key = name ? str_print(a, "%s\n%s", email, name) : str_copy(a, email, strlen(email));
    for (char *c = key; *c; c++) *c = (char)tolower((unsigned char)*c);
    return key;
}

/* Takes "name <address>" off a line; NULL when there is none. */
static char *person(char *s, bool may_be_empty, const char **name, const char **email)
{
    char *open = strchr(s, '<'), *close = open ? strchr(open + 1, '>') : NULL, *to = open;
    if (!close || (!may_be_empty && close == open + 1)) return NULL;
    while (isspace((unsigned char)*s)) s++;
    while (to > s && isspace((unsigned char)to[-1])) to--;
    *name = s < to ? s : NULL;
    *to = *close = 0;
    *email = open + 1;
    return close + 1;
}

static MailmapEntry *entry_of(Mailmap *m, const char *email, const char *name)
{
    bool added;
    const char *key = key_of(m->arena, email, name);
    int64_t *at = table_add(&m->at, key, strlen(key), &added);
    if (added) *at = m->n++;
    return &m->entry[*at];
}

static void read_line(Mailmap *m, char *line)
{
    const char *name, *email, *old_name = NULL, *old_email = NULL;
    char *rest = *line == '#' ? NULL : person(line, false, &name, &email);
    if (!rest) return;
    if (!person(rest, true, &old_name, &old_email)) old_email = email, email = NULL;
    MailmapEntry *e = entry_of(m, old_email, old_name);
    if (name || old_name) e->name = name;
    if (email || old_name) e->email = email;
}

Mailmap mailmap_read(Arena *a, const char *text)
{
    int64_t lines = 1;
    for (const char *s = text; *s; s++) lines += *s == '\n';
    Mailmap m = {.arena = a, .at = table_open(a, 2 * lines), .entry = NEW(a, MailmapEntry, lines)};
    char *rest, *copy = str_copy(a, text, strlen(text));
    for (char *line = strtok_r(copy, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) read_line(&m, line);
    return m;
}

void mailmap_apply(const Mailmap *m, Arena *a, const char **name, const char **email)
{
    const char *with_name = key_of(a, *email, *name), *alone = key_of(a, *email, NULL);
    const int64_t *at = m->n ? table_find(&m->at, with_name, strlen(with_name)) : NULL;
    if (!at) at = m->n ? table_find(&m->at, alone, strlen(alone)) : NULL;
    if (!at) return;
    const MailmapEntry *e = &m->entry[*at];
    if (e->name) *name = e->name;
    if (e->email) *email = e->email;
}

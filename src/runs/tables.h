/* Tables in the form that --format names, or the ending of --out. */
#ifndef RUNS_TABLES_H
#define RUNS_TABLES_H

#include "cli/command.h"
#include "io/json.h"
#include "run/grid.h"

#define FORMAT_OPTIONS                                                                                               \
    {"format", "FORM",                                                                                               \
     "text (default), csv, markdown, latex (tables for the package booktabs), json or html; default with --out: by " \
     "its ending"},                                                                                                  \
        {"json", NULL, "the same as --format json"},                                                                 \
    {                                                                                                                \
        "out", "FILE", "write to FILE in place of the terminal"                                                      \
    }
#define FORMAT_CHOICE                                                                                                \
    {                                                                                                                \
        "format", "text|csv|markdown|latex|json|html"                                                                \
    }

typedef struct {
    const char *title, *lead;   /* of the page; the lead stands above the tables */
    const Grid *table;          /* a list of them, for a reader */
    Grid tidy;                  /* the same as one table for programs: --format csv */
    cJSON *(*json)(void *user); /* the same as JSON */
    void *user;
} Tables;
/* E_CONFIG: no such format; E_IO. */
Status tables_write(const Tables *, const Args *);
Status tables_check(const Args *); /* the options alone */

#endif

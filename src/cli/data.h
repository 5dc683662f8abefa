/* The subcommands of `vernier data`, one function each; the table of options is in cmd_data.c. */
#ifndef CLI_DATA_H
#define CLI_DATA_H

#include "cli/command.h"

Status data_mine(const Args *);
Status data_make(const Args *);
Status data_sheet(const Args *);

#endif

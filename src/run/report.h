/* One self-contained page from run directories: the settings, each claim with its verdict, numbers and figures,
 * the machine, the time.  Everything is read from results.json and manifest.json, so a page can be made of runs
 * from any machine at any time. */
#ifndef RUN_REPORT_H
#define RUN_REPORT_H

#include "base/arena.h"
#include "base/err.h"

/* Directories in the order of the page.  A run that was interrupted or failed is shown as such. */
/* title: NULL: that of the run, or of several a general one.  E_IO, E_FORMAT name the file. */
Status report_runs(const char *path, const char *title, Arena *, int n, const char *const *dir);
/* E_CONFIG: the file exists and is not one of these pages. */
Status report_place(const char *path);
/* The run directories at or below `dir`, sorted, appended at out[n..]; the new count.  E_IO: none there. */
Status report_find(const char **out, int *n, int most, Arena *, const char *dir);

#endif

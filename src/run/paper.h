/* Run directories as a document for a paper: Markdown, and beside it the same tables in LaTeX.
 *
 *     TRY(paper_runs("docs/study.md", "docs/study.tex", "Tuning on code changes", &arena, n, dir));
 *
 * Each run is a section with claim, method, verdict, tables and figures; every number stands with the interval that
 * its run recorded.  Nothing is read but the files of the runs, and equal runs give equal bytes. */
#ifndef RUN_PAPER_H
#define RUN_PAPER_H

#include "base/arena.h"
#include "base/err.h"

/* title: NULL: that of the run, or of several a general one.  E_IO, E_FORMAT name the file. */
Status paper_runs(const char *markdown, const char *latex, const char *title, Arena *, int n, const char *const *dir);

#endif

/* The line that shows how far the work is: rewritten on a terminal, a plain line every ten seconds elsewhere, nothing
 * with --quiet. */
#ifndef RUN_PROGRESS_H
#define RUN_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct {
    const char *title; /* "toy/e1", "tune/lora" */
    bool quiet;
    double started; /* clock_now() */
} Progress;

/* How far it is; one in the parent and one per running job in shared memory. */
typedef struct {
    char phase[40];
    int64_t done, total;
    double loss; /* NaN: none */
} Stage;

/* `fraction` is that of the whole work if it is known (parallel jobs).  If it is negative, the stage's own counts. */
void progress_show(const Progress *, const Stage *, double fraction);
void progress_clear(void); /* wipes the line before anything else is printed */
/* Remarks that an interrupted command continues from the work in `dir`. */
void progress_kept(const char *dir);
void progress_span(char *out, size_t n, double seconds); /* "40s", "3m05s", "2h10m" */

#endif

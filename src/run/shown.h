/* A run directory as a reader is shown it: its texts, and its tables as grids of text.  The page of run/report.h and
 * the paper of run/paper.h are made of these alone.
 *
 *     Shown *s;
 *     TRY(shown_open(&s, &arena, n, dir));
 *     Grid claims = shown_claims(&arena, &s[0]);
 *     shown_close(n, s);
 *
 * The files may come from anywhere: a member that is missing or of another type reads as empty. */
#ifndef RUN_SHOWN_H
#define RUN_SHOWN_H

#include <cjson/cJSON.h>

#include "run/grid.h"
#include "run/result.h"

typedef struct {
    const char *dir;
    cJSON *results, *manifest, *timings; /* timings: NULL where there are none */
    const char *manifest_text;
    RunResult run;     /* for the settings that differ */
    const char *label; /* "lr=0.004": its settings that others of its experiment have not, or "" */
} Shown;

/* All n directories, in their order.  E_IO, E_FORMAT name the file; then there is nothing to close. */
Status shown_open(Shown **, Arena *, int n, const char *const *dir);
void shown_close(int n, Shown *);

/* Members of JSON; a number has four significant digits, whole ones all of theirs, a small one a power of ten. */
const cJSON *shown_field(const cJSON *, const char *key);           /* NULL: none */
const char *shown_text(const cJSON *, const char *key);             /* "": none */
const char *shown_number(Arena *, const cJSON *, const char *key);  /* "": none */
const char *shown_setting(Arena *, const cJSON *value);             /* of a manifest's "config" */
const char *shown_duration(Arena *, double seconds);                /* "1 min 05 s" */
const char *shown_time(Arena *, const Shown *);                     /* that of the whole run, or "" */
const char *shown_path(Arena *, const char *page, const char *dir); /* from the folder of a page; NULL: none */
bool shown_is_done(const Shown *);
const char *shown_verdict(const Shown *);               /* or the status, where there is none */
const char *shown_title(Arena *, const Shown *);        /* "toy/e1: Sorting (lr=0.004)" */
const char *shown_tally(Arena *, int n, const Shown *); /* "2 experiments: 1 supported, ..." */

/* Tables; one without rows has nothing to show.  The caption may be NULL. */
Grid shown_summary(Arena *, int n, const Shown *); /* a row for each run: verdict, sentence, seeds, time */
Grid shown_claims(Arena *, const Shown *);         /* what the verdict consists of: interval and margin */
Grid shown_metrics(Arena *, const Shown *, int from, int to);
int shown_metric_count(const Shown *);
Grid shown_comparisons(Arena *, const Shown *);
const Grid *shown_tables(Arena *, const cJSON *results); /* a list by next; of results or of timings */
int shown_machine(Arena *, int n, const Shown *, const char *fact[][2], int most); /* name and value; the count */

#endif

/* A probing set's datasheet: its content, the leakage between its splits, and the accuracy of heuristic baselines.
 *
 * Rows are duplicates when their texts are equal, and near-duplicates when they share four fifths of their token
 * triples (neardup.h).  Leaks are counted over subjects (text_subject): the method, the change, the lines, without
 * the part that the task hides. */
#ifndef PROBE_SHEET_H
#define PROBE_SHEET_H

#include "probe/rules.h"

enum { MOST_RULES = 4 };
extern const char *const SHEET_SUBJECT[TASKS]; /* "methods", "changes", "line lists" */
typedef struct {
    double mean;
    int64_t least, median, most;
} Lengths;

typedef struct {
    const Dataset *set;
    ProbeTask task;
    int n_rules;
    const Rule *rule[MOST_RULES];
    double accuracy[MOST_RULES][SPLITS]; /* fractions; NaN for an empty split */
    int64_t duplicates, contradictions;  /* rows whose text an earlier row has; with another label */
    int64_t subjects, shared_subjects;   /* distinct ones; of those the ones in several splits */
    int64_t messages, shared_messages;   /* the same of ccm's messages; 0 elsewhere */
    int64_t near_rows, near_across;      /* rows with a near-duplicate; with one in another split */
    int64_t header_rows;                 /* ltp: the mask hides the tag of a file's name (the first two segments) */
    int64_t correct_type_rows;           /* typ: FAULT rows that hold a correct primitive type */
    int64_t shared_pairs;                /* typ: subjects under both labels */
    double overlap[2];                   /* ccm: mean word overlap of False and of True rows */
    Lengths chars[SPLITS], words[SPLITS];
} DataSheet;

Status sheet_make(DataSheet *, const Dataset *, ProbeTask); /* E_MISMATCH: the labels are of another task */
void sheet_json(Buf *, const DataSheet *);
void sheet_text(Buf *, const DataSheet *);
Status sheet_write(Arena *, const DataSheet *, const char *path); /* PATH.sheet.json and PATH.sheet.txt */

#endif

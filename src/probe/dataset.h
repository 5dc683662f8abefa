/* Labelled texts in three splits: the data of a probing or classification task.
 *
 * File format (Karmakar and Robbes' probing sets, after SentEval): one example a line, `tr`, `va` or `te`, a tab,
 * the label, a tab, the text.  The text is everything after the second tab and may hold further tabs.  Blank lines at
 * the end are no examples.  Label ids follow the alphabetical order of the names, so the order of rows does not
 * change them. */
#ifndef PROBE_DATASET_H
#define PROBE_DATASET_H

#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"

typedef enum { SPLIT_TRAIN, SPLIT_VALID, SPLIT_TEST, SPLITS } Split;

typedef struct {
    Split split;
    int32_t label;    /* 0..n_labels-1 */
    const char *text; /* len bytes and a final NUL; a zero byte inside is possible */
    size_t len;
} Example;

typedef struct {
    const char *name; /* for tables: the file's path, or the generator's name */
    int64_t n;
    Example *example; /* (n) in the order of the file */
    int n_labels;
    const char *const *label; /* (n_labels) names, sorted */
    int64_t *count[SPLITS];   /* (n_labels) examples of each label */
    int64_t size[SPLITS];
} Dataset;

/* E_FORMAT names file:line and the expectation: a split, two tabs, a label without blanks around it that occurs in
 * training; at least two labels and a training split that is not empty. */
Status dataset_read(Dataset *out, Arena *, const char *path);
Status dataset_write(const Dataset *, const char *path); /* the same format; E_FORMAT when a text holds a newline */
void dataset_count(Dataset *, Arena *);                  /* fills count and size from the examples */
const char *split_name(Split);                           /* "train", "valid", "test" */

#endif

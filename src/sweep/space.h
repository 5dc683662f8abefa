/* The settings that a sweep varies, and the values of each.
 *
 *   lr=1e-4,3e-4           a list
 *   seed=1..5              whole numbers, both ends included; 0..1/0.25 with steps of a quarter
 *   lr=1e-5..1e-3/log5     five values, evenly spaced in the logarithm; /lin5 evenly spaced
 *   seed=1..3,7            both together
 *   tables='a,b',c         a text in quotation marks is one value
 *
 * The cells of a sweep are all combinations; the last setting changes fastest. */
#ifndef SWEEP_SPACE_H
#define SWEEP_SPACE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"

enum { KNOBS = 16 }; /* settings of a sweep at most */

typedef struct {
    const char *key;
    int n;
    const char **value;
    const char **label; /* of the value in a file's name: of a path the last part, where that is enough */
} Knob;

typedef struct {
    int n;
    Knob knob[KNOBS];
} Space;

bool knob_is(const char *word); /* "lr=1e-4,3e-4", but no path with a sign in it */
/* E_CONFIG: no value, an empty range, a value that is there twice, more than `most` values. */
Status knob_read(Knob *, Arena *, const char *word, int64_t most);

/* The number of combinations.  E_CONFIG: more than `most`. */
Status space_count(int64_t *cells, const Space *, Arena *, int64_t most);
/* Which value each setting has in a cell. */
void space_at(int at[KNOBS], const Space *, int64_t cell);
/* "lr=1e-4,rank=4": a file name of at most 200 bytes. */
const char *space_name(const Space *, Arena *, const int at[KNOBS]);

#endif

/* The one monotonic clock: seconds since some fixed moment, untouched by changes of the date. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

double clock_now(void);
double clock_processor(void); /* seconds that this process has computed, on all its threads together */

#endif

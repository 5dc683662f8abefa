/* The one monotonic clock: seconds since some fixed moment, untouched by changes of the date. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

double clock_now(void);

#endif

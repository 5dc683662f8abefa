/* Errors come in three kinds, each with one mechanism.
 *
 *   programmer errors    CHECK(cond, ...) prints the place and the fault, and aborts.
 *   environment errors   return err_fail(E_FORMAT, "%s:%d: ...", path, line); callers wrap calls in TRY().
 *   numerical events     are data: they travel in results; E_NUMERIC only where the caller must stop.
 *
 * The message lives in a thread-local record.  The first message wins; TRY appends one "file:line" frame
 * per level.  Nobody prints but main(), once.  A message is one line, gives the value found and the value
 * expected, and does not say "failed to".
 */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include <stdbool.h>

typedef enum {
    OK = 0,
    E_IO,       /* an operation on a file or device failed                -> exit 3 */
    E_FORMAT,   /* a file's content violates its format                   -> exit 3 */
    E_MISMATCH, /* two inputs are each fine but do not fit each other      -> exit 3 */
    E_CONFIG,   /* an option or hyperparameter is unknown or out of range  -> exit 2 */
    E_NUMERIC,  /* a computation left the finite numbers and cannot go on  -> exit 1 */
    E_INTERRUPT /* the user stopped the program                            -> exit 130, or 75 (run/signals.h) */
} Status;

Status err_fail(Status, const char *fmt, ...) __attribute__((format(printf, 2, 3))); /* records; returns the code */
/* The failure is one of a file's content, not of the command line: E_CONFIG becomes E_FORMAT, and the message begins
 * with the path.  Any other status stays as it is. */
Status fail_in_file(Status, const char *path);
Status err_fail_at(Status, const char *file, int line); /* appends one frame of trace; used by TRY only */
const char *err_message(void);                          /* the first failure's message; "" when none */
Status err_status(void);                                /* the first failure's code; OK when none */
const char *err_trace(void);                            /* " <- file:line <- file:line"; "" when none */
void err_clear(void);                                   /* forget: the caller has dealt with it */
int err_exit_status(Status);                            /* the process exit status for a code */
/* Memory ran out, which no caller can mend: reports it and ends with exit status 1.  Output that stdout still holds
 * back is dropped, files half written keep their temporary names. */
_Noreturn void err_no_memory(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
_Noreturn void err_die(const char *file, int line, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

#define TRY(call)                                                                                                    \
    do {                                                                                                             \
        Status s_ = (call);                                                                                          \
        if (s_) return err_fail_at(s_, __FILE__, __LINE__);                                                          \
    } while (0)
#define CHECK(cond, ...)                                                                                             \
    do {                                                                                                             \
        if (!(cond)) err_die(__FILE__, __LINE__, __VA_ARGS__);                                                       \
    } while (0)

#endif

/* The thread-local record behind err_fail() and TRY(): one message, one trace, both of fixed size so that an
 * error can be reported when nothing else works.  A message may quote a file; base/print.h makes it printable. */
#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/print.h"

static _Thread_local Status first;
static _Thread_local char message[1024];
static _Thread_local char trace[512];

Status err_fail(Status status, const char *fmt, ...)
{
    if (first) return status;
    first = status;
    va_list args;
    va_start(args, fmt);
    print_into(message, sizeof message, fmt, args);
    va_end(args);
    return status;
}

Status fail_in_file(Status status, const char *path)
{
    char what[sizeof message];
    if (status != E_CONFIG) return status;
    strcpy(what, message);
    err_clear();
    return err_fail(E_FORMAT, "%s: %s", path, what);
}

Status err_fail_at(Status status, const char *file, int line)
{
    size_t used = strlen(trace);
    snprintf(trace + used, sizeof trace - used, " <- %s:%d", file, line);
    return status;
}

const char *err_message(void)
{
    return message;
}

Status err_status(void)
{
    return first;
}

const char *err_trace(void)
{
    return trace;
}

void err_clear(void)
{
    first = OK;
    message[0] = trace[0] = 0;
}

int err_exit_status(Status status)
{
    static const int code[] = {
        [OK] = 0, [E_IO] = 3, [E_FORMAT] = 3, [E_MISMATCH] = 3, [E_CONFIG] = 2, [E_NUMERIC] = 1, [E_INTERRUPT] = 130};
    return code[status];
}

_Noreturn void err_no_memory(const char *fmt, ...)
{
    va_list args;
    print_loudly();
    print_err("vernier: memory exhausted: ");
    va_start(args, fmt);
    print_va(stderr, fmt, args);
    va_end(args);
    print_err("\n");
    _exit(err_exit_status(E_NUMERIC));
}

_Noreturn void err_die(const char *file, int line, const char *fmt, ...)
{
    va_list args;
    print_loudly();
    print_err("%s:%d: ", file, line);
    va_start(args, fmt);
    print_va(stderr, fmt, args);
    va_end(args);
    print_err("\n");
    abort();
}

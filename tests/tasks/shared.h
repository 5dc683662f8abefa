/* Files of known content that lie beside the repository, for tests of metrics; absent elsewhere. */
#ifndef TESTS_TASKS_SHARED_H
#define TESTS_TASKS_SHARED_H

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/str.h"
#include "expect.h"
#include "tasks/messages.h"

static inline const char *shared_path(Arena *a, const char *below)
{
    const char *shared = getenv("VERNIER_SHARED"), *golden = getenv("GOLDEN");
    if (golden && !strncmp(below, "golden/", 7)) return str_print(a, "%s/%s", golden, below + 7);
    return str_print(a, "%s/%s", shared ? shared : "../shared", below);
}

/* The lines of a file without blanks at their ends; false where it is absent. */
static inline bool lines_of(Bytes **line, int64_t *n, Arena *a, const char *below)
{
    Bytes text;
    if (file_read(&text, a, shared_path(a, below))) {
        err_clear();
        return false;
    }
    *n = messages_lines(line, a, text);
    return true;
}

#endif

/* Rows of gold and predicted messages whose scores are known, for the tests of metrics; absent where ../shared is. */
#ifndef TESTS_TASKS_MESSAGES_H
#define TESTS_TASKS_MESSAGES_H

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/str.h"
#include "expect.h"

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
    int64_t rows = 0;
    for (size_t i = 0; i < text.len; i++) rows += text.text[i] == '\n';
    *line = NEW(a, Bytes, rows + 1);
    *n = 0;
    for (char *at = text.text; *at;) {
        size_t k = strcspn(at, "\n");
        Bytes row = {at + strspn(at, " \t\r"), 0};
        for (row.len = (size_t)(at + k - row.text); row.len && strchr(" \t\r", row.text[row.len - 1]);) row.len--;
        (*line)[(*n)++] = row;
        at += k + (at[k] == '\n');
    }
    return true;
}

#endif

/* vernier data make and data sheet: probing sets from change records, generated changes, and datasheets. */
#include <stdio.h>
#include <string.h>

#include "cli/data.h"
#include "tasks/sheet.h"

static Status print_sheet(const Sheet *s, bool json)
{
    Arena a = arena_open((size_t)1 << 30);
    Buf b = buf_open(&a);
    if (json)
        sheet_json(&b, s);
    else
        sheet_text(&b, s);
    fputs(b.text, stdout);
    arena_close(&a);
    return cli_flush();
}

Status data_sheet(const Args *a)
{
    int task;
    Dataset d;
    Sheet s;
    if (args_count(a) != 2) return fail(E_CONFIG, "data sheet takes one FILE, the probing set");
    TRY(args_word(&task, a, "task", TASKS, TASK_NAMES));
    if (task == TASKS) return fail(E_CONFIG, "data sheet needs --task: typ, ccm or ltp");
    TRY(dataset_read(&d, args_arena(a), args_at(a, 1)));
    TRY(sheet_make(&s, &d, (ProbeTask)task));
    return print_sheet(&s, args_given(a, "json"));
}

Status data_make(const Args *a)
{
    (void)a;
    return fail(E_CONFIG, "stub");
}

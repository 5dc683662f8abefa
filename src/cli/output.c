/* The name of the directory is a hash of all that decides the result: options, settings, and the content of the
 * files that they name; options that only say where the result goes are left out. */
#include "cli/output.h"

#include <string.h>
#include <sys/stat.h>

#include "base/print.h"
#include "base/ranks.h"
#include "base/str.h"
#include "num/kernels.h"
#include "train/shards.h"

enum { MOST_VALUES = 64 };

/* Options that decide where and how a result is printed, and do not change it. */
static const char ASIDE[] = "out|html|overwrite|resume|json|threads";

/* A value by itself, or the content of the file of that name. */
static Status add(Folder *f, const Option *o, const char *key, const char *value)
{
    struct stat st;
    bool names_file = o && o->argument && str_glob("FILE|DIR|PATH|MODEL", o->argument) && !stat(value, &st);
    if (names_file && (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode))) return folder_input(f, key, value);
    folder_set(f, key, "%s", value);
    return OK;
}

static Status add_options(Folder *f, const Args *a)
{
    const KeyValue *set;
    int n_set = args_settings(a, &set);
    for (const Option *o = args_options(a); o && o->name; o++) {
        const char *value[MOST_VALUES];
        int n = str_glob(ASIDE, o->name) ? 0 : args_all(a, o->name, value, MOST_VALUES);
        if (!o->repeated && n > 1) value[0] = value[n - 1], n = 1; /* the last one counts */
        for (int i = 0; i < n; i++)
            TRY(add(f, o, i ? str_print(f->arena, "%s (%d)", o->name, i + 1) : o->name, value[i]));
    }
    for (int i = 0; i < n_set; i++) folder_set(f, set[i].key, "%s", set[i].value ? set[i].value : "");
    return OK;
}

/* The one default that the start decides: under mpirun or srun a training step adds in another order. */
static void add_shards(Folder *f, const Args *a)
{
    for (const Option *o = args_options(a); ranks_launched() && o && o->name; o++)
        if (!strcmp(o->name, "shards") && !args_given(a, "shards")) folder_set(f, "shards", "%d", SHARDS_LAUNCHED);
}

Status output_open(Folder *out, const Args *a, const char *name, const char *dir, int first)
{
    static const Option FILES = {.argument = "FILE"};
    Arena *arena = args_arena(a);
    *out = folder_begin(arena, dir, args_name(a));
    for (int i = 0; i < args_count(a); i++)
        if (!dir || args_at(a, i) != dir)
            TRY(add(out, i < first ? NULL : &FILES, str_print(arena, "operand %d", i + 1), args_at(a, i)));
    TRY(add_options(out, a));
    add_shards(out, a);
    folder_set(out, "kernels", "%s", kernels_name());
    if (!dir) out->dir = str_print(arena, "runs/%s/%s", args_name(a), folder_hash(out));
    TRY(args_output_dir(a, name, out->dir, first));
    return folder_open(out, args_given(a, "overwrite"));
}

bool output_there(const Folder *f, const Args *a)
{
    if (f->done && !args_quiet(a)) print_err("%s contains this result already; nothing was written\n", f->dir);
    return f->done;
}

Status output_close(Folder *f, Status status, bool keep)
{
    bool vain = !keep || status == E_CONFIG || status == E_FORMAT || status == E_MISMATCH;
    if (!status) return folder_finish(f, NULL);
    return vain && !(keep && f->resumed) ? folder_drop(f, status) : folder_leave(f, status, NULL);
}

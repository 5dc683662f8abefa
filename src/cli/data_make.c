/* vernier data make and data sheet: probing sets from change records, generated changes, and datasheets. */
#include <stdio.h>
#include <string.h>

#include "base/print.h"
#include "change/javagen_change.h"
#include "cli/data.h"
#include "probe/make.h"
#include "probe/sheet.h"
#include "run/run.h"

enum { MOST_FILES = 256 };

static Status print_sheet(const DataSheet *s, bool json)
{
    Arena a = arena_open((size_t)1 << 30);
    Buf b = buf_open(&a);
    if (json)
        sheet_json(&b, s);
    else
        sheet_text(&b, s);
    print_layout(b.text, b.len);
    arena_close(&a);
    return cli_flush();
}

Status data_sheet(const Args *a)
{
    int task;
    Dataset d;
    DataSheet s;
    if (args_count(a) != 2) return err_fail(E_CONFIG, "data sheet takes one FILE, the probing set");
    TRY(args_word(&task, a, "task", TASKS, TASK_NAMES));
    if (task == TASKS) return err_fail(E_CONFIG, "data sheet needs --task: typ, ccm or ltp");
    TRY(dataset_read(&d, args_arena(a), args_at(a, 1)));
    TRY(sheet_make(&s, &d, (ProbeTask)task));
    return print_sheet(&s, args_given(a, "json"));
}

/* Three counts with commas between. */
static Status sizes(int64_t out[SPLITS], const Args *a, bool even)
{
    const char *text = args_text(a, "sizes", "600,200,200");
    long long n[SPLITS];
    char more;
    if (sscanf(text, "%lld,%lld,%lld%c", &n[0], &n[1], &n[2], &more) != SPLITS)
        return err_fail(E_CONFIG, "--sizes %s: expected three counts, of training, validation and test: 600,200,200",
                        text);
    for (int s = 0; s < SPLITS; s++) {
        if (n[s] < (s == SPLIT_TRAIN ? 2 : 0) || n[s] > 10000000)
            return err_fail(
                E_CONFIG, "--sizes %s: expected 2 to 10000000 training rows, and 0 to 10000000 of the others", text);
        if (even && n[s] % 2)
            return err_fail(E_CONFIG, "--sizes %s: the labels are even in every split, so the counts must be, too",
                            text);
        out[s] = n[s];
    }
    return OK;
}

static Status seed_and_difficulty(uint64_t *seed, int *difficulty, const Args *a)
{
    int64_t n;
    TRY(args_int(&n, a, "seed", 1, 0, INT64_MAX));
    *seed = (uint64_t)n;
    TRY(args_int(&n, a, "difficulty", 1, 0, HARDEST));
    *difficulty = (int)n;
    return OK;
}

/* Writes --n synthetic changes as JSON lines. */
static Status make_changes(const Args *a, const char *out)
{
    uint64_t seed = 0;
    int difficulty = 0;
    int64_t n;
    Writer w;
    Arena step = arena_open((size_t)1 << 28);
    TRY(seed_and_difficulty(&seed, &difficulty, a));
    TRY(args_int(&n, a, "n", 2000, 1, 100000000));
    TRY(writer_open(&w, out));
    for (int64_t i = 0; i < n && !writer_status(&w); i++) {
        CodeChange c;
        ArenaMark mark = arena_mark(&step);
        Buf row = buf_open(&step);
        javagen_change(&c, &step, seed, i, difficulty);
        change_print(&row, &c);
        writer_add(&w, row.text, row.len);
        arena_drop(&step, mark);
    }
    arena_close(&step);
    TRY(writer_close(&w));
    if (!args_quiet(a)) print_err("%lld synthetic %s in %s\n", (long long)n, str_plural(n, "change", "changes"), out);
    return OK;
}

/* Reads the options of a probing data set: sources, recipe, fault, split sizes, seed and difficulty. */
static Status probe_options(MakeOptions *o, const Args *a, ProbeTask task)
{
    static const char *const RECIPE[] = {"clean", "study", NULL}, *const FAULT[] = {"type", "spelling", NULL};
    const char **from = NEW(args_arena(a), const char *, MOST_FILES);
    int recipe, fault;
    *o = (MakeOptions){.task = task, .from = from, .n_from = args_all(a, "from", from, MOST_FILES)};
    TRY(args_word(&recipe, a, "recipe", 0, RECIPE));
    TRY(args_word(&fault, a, "fault", 0, FAULT));
    TRY(sizes(o->size, a, !recipe));
    for (int k = 0; k < SPLITS && task == TASK_CCM && !recipe; k++)
        if (o->size[k] == 2)
            return err_fail(
                E_CONFIG, "--sizes: two changes exchange their messages, so a split of ccm has 0 or 4 rows or more");
    TRY(args_int(&o->max_chars, a, "max-chars", 2000, 1, 1 << 24));
    TRY(seed_and_difficulty(&o->seed, &o->difficulty, a));
    o->study = recipe;
    o->spelling = fault;
    o->balance = args_given(a, "balance");
    o->fragments = args_given(a, "fragments");
    if (!o->n_from) o->generated = MAKE_CHANGES_A_ROW * (o->size[0] + o->size[1] + o->size[2]);
    if (o->study && (o->balance || args_given(a, "fault")))
        return err_fail(E_CONFIG, "--fault and --balance do not apply to --recipe study");
    return OK;
}

/* Makes a probing data set, and writes it with a sheet of its statistics as JSON and as text. */
static Status make_set(const Args *a, const char *out, ProbeTask task)
{
    MakeOptions o;
    MakeStats stats;
    Dataset d;
    DataSheet s;
    Arena *arena = args_arena(a), big = arena_open((size_t)1 << 36);
    TRY(probe_options(&o, a, task));
    TRY(args_output(a, "the sheet as JSON", str_print(arena, "%s.sheet.json", out), 2));
    TRY(args_output(a, "the sheet as text", str_print(arena, "%s.sheet.txt", out), 2));
    TRY(make_probe(&d, &big, &o, &stats));
    TRY(dataset_write(&d, out));
    d.name = out;
    TRY(sheet_make(&s, &d, task));
    TRY(sheet_write(arena, &s, out));
    if (!args_quiet(a)) {
        print_err("of %lld %s: %lld unfit, %lld repeated, %lld %s, %lld without a partner\n", (long long)stats.read,
                  str_plural(stats.read, "change", "changes"), (long long)stats.unfit, (long long)stats.repeated,
                  (long long)stats.near, str_plural(stats.near, "near-duplicate", "near-duplicates"),
                  (long long)stats.unpaired);
        if (!o.n_from)
            print_err("no --from FILE: the changes are synthetic, and a probe's result is about synthetic code\n");
        if (stats.replaced)
            print_err("%lld %s no UTF-8 and became U+FFFD\n", (long long)stats.replaced,
                      str_plural(stats.replaced, "byte was", "bytes were"));
    }
    Status status = print_sheet(&s, args_given(a, "json"));
    arena_close(&big);
    return status;
}

Status data_make(const Args *a)
{
    const char *out = args_text(a, "out", NULL), *set = args_count(a) == 2 ? args_at(a, 1) : "";
    int task = 0;
    while (task < TASKS && strcmp(TASK_NAMES[task], set)) task++;
    if (task == TASKS && strcmp(set, "changes"))
        return err_fail(E_CONFIG, "data make: unknown set '%.30s'; expected typ, ccm, ltp or changes", set);
    if (!out) return err_fail(E_CONFIG, "data make needs --out FILE");
    TRY(args_output(a, "--out", out, 2));
    return task == TASKS ? make_changes(a, out) : make_set(a, out, (ProbeTask)task);
}

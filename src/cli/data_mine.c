/* vernier data mine: options to MineOptions, progress, and the summary. */
#include <math.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/print.h"
#include "base/str.h"
#include "change/mine.h"
#include "cli/data.h"
#include "io/json.h"
#include "run/progress.h"
#include "run/signals.h"

/* The words of a comma-separated list, each of which `take` must accept. */
static Status each_word(const Args *a, const char *option, bool *set, const char *const *words)
{
    const char *list = args_text(a, option, NULL);
    size_t n;
    for (const char *rest = list, *p; str_next(&rest, ",", &p, &n);) {
        int i = 1; /* the first word stands for none */
        while (words[i] && (strlen(words[i]) != n || strncmp(words[i], p, n))) i++;
        if (!words[i]) {
            Buf known = buf_open(args_arena(a));
            for (i = 1; words[i]; i++) buf_print(&known, "%s%s", i > 1 ? ", " : "", words[i]);
            return err_fail(E_CONFIG, "--%s %s: '%.*s' is not one of %s", option, list, (int)n, p, known.text);
        }
        set[i] = true;
    }
    return OK;
}

/* YYYY-MM-DD (UTC), or seconds since 1970. */
static Status date(int64_t *out, const Args *a, const char *option, int64_t otherwise)
{
    const char *text = args_text(a, option, NULL);
    struct tm t = {0};
    *out = otherwise;
    if (!text) return OK;
    const char *end = strptime(text, "%Y-%m-%d", &t);
    if (!end || *end) {
        if (str_int(text, out)) return OK;
        return err_fail(E_CONFIG, "--%s %s: expected a day (2024-01-31) or seconds since 1970", option, text);
    }
    int day = t.tm_mday;
    *out = (int64_t)timegm(&t); /* which makes 31 February the second of March */
    if (t.tm_mday != day) return err_fail(E_CONFIG, "--%s %s: the calendar has no such day", option, text);
    return OK;
}

static Status dates(MineOptions *o, const Args *a)
{
    TRY(date(&o->since, a, "since", o->since));
    TRY(date(&o->until, a, "until", o->until));
    if (o->since < o->until) return OK;
    return err_fail(E_CONFIG, "--since %s --until %s: no time is in between, expected the earlier one first",
                    args_text(a, "since", ""), args_text(a, "until", ""));
}

/* The prefixes of issue keys, between commas; "none" keeps all keys. */
static Status issue_prefixes(const char **out, const Args *a)
{
    const char *list = args_text(a, "issue-prefix", NULL);
    *out = list && !strcmp(list, "none") ? "" : list;
    if (!list || list[strspn(list, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_,")] == 0)
        return OK;
    return err_fail(E_CONFIG, "--issue-prefix %s: expected prefixes such as HBASE,HADOOP, or none", list);
}

static Status small(int *out, const Args *a, const char *option, int most)
{
    int64_t n;
    TRY(args_int(&n, a, option, *out, 0, most));
    *out = (int)n;
    return OK;
}

/* The last part of the path, without .git: the default name of a repository. */
static const char *name_of(Arena *a, const char *path)
{
    size_t n = strlen(path);
    while (n > 1 && path[n - 1] == '/') n--;
    if (n > 4 && !strncmp(path + n - 4, ".git", 4)) n -= 4;
    while (n > 1 && path[n - 1] == '/') n--;
    size_t from = n;
    while (from > 0 && path[from - 1] != '/') from--;
    return from == n || !strncmp(path + from, ".", n - from) ? "repository" : str_copy(a, path + from, n - from);
}

static bool stop(void)
{
    return signals_seen() != 0;
}

/* Reads all options of `vernier data mine`: the commits to take, the filters and the limits. */
static Status options(MineOptions *o, const Args *a)
{
    static const char *const KEEP[] = {"", "merges", "reverts", "releases", "bots", "unreadable", NULL};
    mine_defaults(o);
    o->path = args_at(a, 1);
    o->out = args_text(a, "out", NULL);
    if (!o->out) return err_fail(E_CONFIG, "data mine needs --out FILE for the records");
    TRY(args_output(a, "--out", o->out, 1));
    o->range = args_text(a, "range", NULL);
    o->repo = args_text(a, "repo", name_of(args_arena(a), o->path));
    if (args_given(a, "lang")) {
        memset(o->lang, 0, sizeof o->lang);
        TRY(each_word(a, "lang", o->lang, LANG_NAMES));
    }
    TRY(each_word(a, "keep", o->keep, KEEP));
    TRY(dates(o, a));
    TRY(issue_prefixes(&o->issues, a));
    o->bots = args_text(a, "bots", NULL);
    TRY(small(&o->context, a, "context", 1000000));
    TRY(small(&o->min_words, a, "min-words", 1000));
    TRY(small(&o->max_words, a, "max-words", 1000000));
    TRY(args_int(&o->max_files, a, "max-files", o->max_files, 0, INT32_MAX));
    TRY(args_int(&o->max_chars, a, "max-chars", o->max_chars, 0, INT32_MAX));
    TRY(args_int(&o->max_bytes, a, "max-bytes", o->max_bytes, 1, 1 << 28));
    TRY(args_int(&o->rename_limit, a, "rename-limit", o->rename_limit, 0, 1000000));
    TRY(args_int(&o->most, a, "n", 0, 0, INT32_MAX));
    o->mixed = args_given(a, "mixed");
    o->whole_message = args_given(a, "whole-message");
    o->features = args_given(a, "features");
    o->resume = args_given(a, "resume");
    o->anew = args_given(a, "overwrite") && !o->resume;
    o->stop = stop;
    o->patience = signals_wait;
    return OK;
}

static void remarks(const MineOptions *o, const RepoAbout *about, const MineStats *s)
{
    if (about->shallow)
        print_err("%s is a shallow clone: the parents of its oldest commits are missing%s\n", o->path,
                  o->features ? ", and the measures count from these commits" : "");
    if (about->foreign) print_err("%s belongs to another user; it is only read, and nothing of it is run\n", o->path);
    if (s->resumed)
        print_err("%s: an unfinished run is continued after %lld of %lld %s; --overwrite would start anew\n", o->out,
                  (long long)s->resumed, (long long)s->total, str_plural(s->total, "commit", "commits"));
}

/* The faults that the reader of the repository has found since the last call. */
static void say_remarks(Mine *m, bool quiet)
{
    for (const char *s; (s = mine_remark(m));) {
        if (quiet) continue;
        progress_clear();
        print_err("%s\n", s);
    }
}

/* A repository too damaged to give anything is bad input. */
static Status expect_something(const MineOptions *o, const RepoAbout *about, const MineStats *s)
{
    int64_t lost = s->count[MINE_damaged] + about->unreadable;
    if (s->count[MINE_written] || !lost) return OK;
    if (about->partial)
        return err_fail(E_FORMAT,
                        "%s: no record is written: it is a partial clone, and files of %lld %s were not fetched",
                        o->path, (long long)lost, str_plural(lost, "commit", "commits"));
    return err_fail(E_FORMAT, "%s: no record is written, objects of %lld %s are missing or damaged (git fsck)",
                    o->path, (long long)lost, str_plural(lost, "commit", "commits"));
}

/* Prints the number of records, and of commits left out by reason, as text or JSON. */
static void print_summary(const MineOptions *o, const RepoAbout *about, const MineStats *s, bool json)
{
    if (json) {
        print_out(
            "{\"commits\": %lld, \"unreadable_commits\": %lld, \"damaged_objects\": %lld, \"replaced_bytes\": %lld, "
            "\"without_inexact_renames\": %lld, \"without_time\": %lld, \"with_unknown_measures\": %lld",
            (long long)s->done, (long long)about->unreadable, (long long)about->damaged, (long long)s->replaced,
            (long long)s->limited, (long long)s->untimed, (long long)s->unknown);
        for (int i = 0; i < MINE_REASONS; i++) print_out(", \"%s\": %lld", MINE_NAME[i], (long long)s->count[i]);
        print_out("}\n");
        return;
    }
    print_out("%9lld  %s in %s\n", (long long)s->count[MINE_written],
              str_plural(s->count[MINE_written], "record", "records"), o->out);
    for (int i = 1; i < MINE_REASONS; i++)
        if (s->count[i]) print_out("%9lld  left out: %s\n", (long long)s->count[i], MINE_SAYS[i]);
    if (about->unreadable)
        print_out("%9lld  %s could not be read at all\n", (long long)about->unreadable,
                  str_plural(about->unreadable, "commit", "commits"));
    if (about->damaged)
        print_out("%9lld  %s missing or damaged (git fsck)\n", (long long)about->damaged,
                  str_plural(about->damaged, "object is", "objects are"));
    if (s->limited)
        print_out("%9lld  changed too many files for the search for renamed and edited files, as in git\n",
                  (long long)s->limited);
    if (s->untimed)
        print_out("%9lld  %s\n", (long long)s->untimed,
                  str_plural(s->untimed,
                             "commit has no readable time: dates do not leave it out, and its age is null",
                             "commits have no readable time: dates do not leave them out, and their age is null"));
    if (s->unknown)
        print_out(
            "%9lld  %s\n", (long long)s->unknown,
            str_plural(s->unknown,
                       "record has measures that are unknown (null): the commits they depend on cannot be read",
                       "records have measures that are unknown (null): the commits they depend on cannot be read"));
    if (s->replaced)
        print_out("%9lld  %s no UTF-8 and became U+FFFD\n", (long long)s->replaced,
                  str_plural(s->replaced, "byte was", "bytes were"));
}

/* Extracts a repository's commits into a file of records; an interrupted run keeps the records so far. */
Status data_mine(const Args *a)
{
    MineOptions o;
    Mine *m;
    Arena arena = arena_open((size_t)1 << 36);
    if (args_count(a) != 2) return err_fail(E_CONFIG, "data mine takes one PATH, the repository");
    TRY(options(&o, a));
    TRY(mine_open(&m, &arena, &o));
    const MineStats *s = mine_stats(m);
    const Progress line = {"data/mine", args_quiet(a), clock_now()};
    if (!args_quiet(a)) remarks(&o, mine_about(m), s);
    Status status = OK;
    signals_wait(1); /* the records so far are kept */
    for (bool more = true; more && !status && !signals_seen();) {
        status = mine_step(m, &more);
        say_remarks(m, args_quiet(a));
        progress_show(&line, &(Stage){"commits", s->done, s->total, NAN}, -1);
    }
    progress_clear();
    say_remarks(m, args_quiet(a));
    Status closed = mine_close(m);
    signals_wait(-1);
    if (!status) status = closed;
    if (!status && s->done < s->total)
        status = err_fail(E_INTERRUPT, "interrupted after %lld of %lld %s; the same command continues from there",
                          (long long)s->done, (long long)s->total, str_plural(s->total, "commit", "commits"));
    if (!status) print_summary(&o, mine_about(m), s, args_given(a, "json"));
    if (!status) status = expect_something(&o, mine_about(m), s);
    arena_close(&arena);
    return status;
}

/* vernier data mine: options to MineOptions, progress, and the summary. */
#include <math.h>
#include <string.h>
#include <time.h>

#include "base/print.h"
#include "base/str.h"
#include "cli/data.h"
#include "cli/run.h"
#include "io/json.h"
#include "tasks/mine.h"

/* The words of a comma-separated list, each of which `take` must know. */
static Status each_word(const Args *a, const char *option, bool *set, const char *const *words)
{
    const char *list = args_text(a, option, NULL);
    for (const char *p = list; p && *p;) {
        size_t n = strcspn(p, ",");
        int i = 1; /* the first word stands for none */
        while (words[i] && (strlen(words[i]) != n || strncmp(words[i], p, n))) i++;
        if (!words[i]) {
            Buf known = buf_open(args_arena(a));
            for (i = 1; words[i]; i++) buf_print(&known, "%s%s", i > 1 ? ", " : "", words[i]);
            return fail(E_CONFIG, "--%s %s: '%.*s' is none of %s", option, list, (int)n, p, known.text);
        }
        set[i] = true;
        p += n + (p[n] == ',');
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
    if (end && !*end) {
        *out = (int64_t)timegm(&t);
    } else if (!str_int(text, out)) {
        return fail(E_CONFIG, "--%s %s: expected a day (2024-01-31) or seconds since 1970", option, text);
    }
    return OK;
}

static Status small(int *out, const Args *a, const char *option, int most)
{
    int64_t n;
    TRY(args_int(&n, a, option, *out, 0, most));
    *out = (int)n;
    return OK;
}

/* The last part of the path, without .git: what a repository is called when nobody says. */
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

static Status options(MineOptions *o, const Args *a)
{
    static const char *const KEEP[] = {"", "merges", "reverts", "releases", "bots", NULL};
    mine_defaults(o);
    o->path = args_at(a, 1);
    o->out = args_text(a, "out", NULL);
    if (!o->out) return fail(E_CONFIG, "data mine needs --out FILE for the records");
    o->range = args_text(a, "range", NULL);
    o->repo = args_text(a, "repo", name_of(args_arena(a), o->path));
    if (args_given(a, "lang")) {
        memset(o->lang, 0, sizeof o->lang);
        TRY(each_word(a, "lang", o->lang, LANG_NAMES));
    }
    TRY(each_word(a, "keep", o->keep, KEEP));
    TRY(date(&o->since, a, "since", o->since));
    TRY(date(&o->until, a, "until", o->until));
    TRY(small(&o->context, a, "context", 1000000));
    TRY(small(&o->min_words, a, "min-words", 1000));
    TRY(small(&o->max_words, a, "max-words", 1000000));
    TRY(args_int(&o->max_files, a, "max-files", o->max_files, 0, INT32_MAX));
    TRY(args_int(&o->max_chars, a, "max-chars", o->max_chars, 0, INT32_MAX));
    TRY(args_int(&o->max_bytes, a, "max-bytes", o->max_bytes, 1, 1 << 28));
    TRY(args_int(&o->most, a, "n", 0, 0, INT32_MAX));
    o->mixed = args_given(a, "mixed");
    o->whole_message = args_given(a, "whole-message");
    o->features = args_given(a, "features");
    o->resume = args_given(a, "resume");
    return OK;
}

static void remarks(const MineOptions *o, const RepoAbout *about, const MineStats *s)
{
    if (about->shallow)
        print_err("%s is a shallow clone: what its oldest commits changed is not there%s\n", o->path,
                  o->features ? ", and the measures count from where it was cut" : "");
    if (about->foreign) print_err("%s belongs to another user; it is only read, and nothing of it is run\n", o->path);
    if (s->complete) print_err("%s is complete; there is nothing to resume\n", o->out);
    if (s->resumed) print_err("resuming after %lld of %lld commits\n", (long long)s->resumed, (long long)s->total);
}

static void print_summary(const MineOptions *o, const RepoAbout *about, const MineStats *s, bool json)
{
    if (json) {
        print_out("{\"commits\": %lld, \"unreadable_commits\": %lld, \"replaced_bytes\": %lld", (long long)s->done,
                  (long long)about->unreadable, (long long)s->replaced);
        for (int i = 0; i < MINE_REASONS; i++) print_out(", \"%s\": %lld", MINE_NAME[i], (long long)s->count[i]);
        print_out("}\n");
        return;
    }
    print_out("%9lld  records in %s\n", (long long)s->count[MINE_written], o->out);
    for (int i = 1; i < MINE_REASONS; i++)
        if (s->count[i]) print_out("%9lld  left out: %s\n", (long long)s->count[i], MINE_SAYS[i]);
    if (about->unreadable) print_out("%9lld  commits could not be read at all\n", (long long)about->unreadable);
    if (s->replaced) print_out("%9lld  bytes were no UTF-8 and became U+FFFD\n", (long long)s->replaced);
}

Status data_mine(const Args *a)
{
    MineOptions o;
    Mine *m;
    Arena arena = arena_open((size_t)1 << 36);
    if (args_count(a) != 2) return fail(E_CONFIG, "data mine takes one PATH, the repository");
    TRY(options(&o, a));
    TRY(mine_open(&m, &arena, &o));
    const MineStats *s = mine_stats(m);
    const Run line = {
        .experiment = &(Experiment){.group = "data", .name = "mine"}, .quiet = args_quiet(a), .started = clock_now()};
    if (!args_quiet(a)) remarks(&o, mine_about(m), s);
    Status status = OK;
    for (bool more = !s->complete; more && !status && !signals_seen();) {
        status = mine_step(m, &more);
        progress_show(&line, &(Stage){"commits", s->done, s->total, NAN}, -1);
    }
    progress_clear();
    Status closed = mine_close(m);
    if (!status) status = closed;
    if (!status && !s->complete && s->done < s->total)
        status = fail(E_INTERRUPT, "interrupted after %lld of %lld commits; the same command with --resume goes on",
                      (long long)s->done, (long long)s->total);
    if (!status && !s->complete) print_summary(&o, mine_about(m), s, args_given(a, "json"));
    arena_close(&arena);
    return status;
}

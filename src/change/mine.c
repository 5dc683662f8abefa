/* A commit passes cheap tests first (dates, parents, message), then its list of files, then their lines. */
#include "change/mine.h"

#include <math.h>
#include <string.h>
#include <unistd.h>

#include "base/sha256.h"
#include "change/history.h"
#include "change/renames.h"
#include "io/json.h"

enum { SAVE_EVERY = 256, MOST_COMPARED = 1 << 28 }; /* commits; bytes of a file that may be a renamed one */

const char *const MINE_SAYS[MINE_REASONS] = {
#define X(name, says) says,
    MINE_COUNTS(X)
#undef X
};
const char *const MINE_NAME[MINE_REASONS] = {
#define X(name, says) #name,
    MINE_COUNTS(X)
#undef X
};

struct Mine {
    Arena *run, step;
    MineOptions options;
    const char *wish, *state; /* the options as text; the path of the state */
    Repo *repo;
    History *history;
    const RepoCommit *commit;
    int64_t n, at; /* commits; the next one */
    Writer out;
    Sha256 sum;               /* of the records so far */
    MineStats stats, settled; /* now; before this commit */
    bool careless;            /* within this commit nothing is lost when the process ends */
};

void mine_defaults(MineOptions *o)
{
    *o = (MineOptions){.repo = "",
                       .context = 1,
                       .min_words = 3,
                       .max_words = 30,
                       .max_files = 3,
                       .max_chars = 2000,
                       .max_bytes = 1 << 20,
                       .rename_limit = RENAME_LIMIT,
                       .since = INT64_MIN,
                       .until = INT64_MAX};
    for (int l = 1; l < LANGS; l++) o->lang[l] = true;
    o->keep[SUBJECT_PLAIN] = true;
}

const MineStats *mine_stats(const Mine *m)
{
    return &m->stats;
}

const RepoAbout *mine_about(const Mine *m)
{
    return repo_about(m->repo);
}

const char *mine_remark(Mine *m)
{
    return repo_remark(m->repo);
}

/* ---- the state ---- */

/* Every option that affects the output, one a line; a resumed run must have the same. */
static const char *wish_text(Arena *a, const MineOptions *o)
{
    const int64_t number[] = {o->context,   o->min_words,     o->max_words, o->max_files, o->max_chars,
                              o->max_bytes, o->since,         o->until,     o->most,      o->rename_limit,
                              o->mixed,     o->whole_message, o->features};
    static const char *const NAME[] = {"context",   "min-words",     "max-words", "max-files", "max-chars",
                                       "max-bytes", "since",         "until",     "n",         "rename-limit",
                                       "mixed",     "whole-message", "features"};
    Buf b = buf_open(a);
    buf_print(&b, "path=%s\nrange=%s\nrepo=%s\n", o->path, o->range ? o->range : "HEAD", o->repo);
    for (size_t i = 0; i < sizeof number / sizeof *number; i++)
        buf_print(&b, "%s=%lld\n", NAME[i], (long long)number[i]);
    buf_print(&b, "lang=");
    for (int l = 0; l < LANGS; l++) buf_print(&b, "%d", o->lang[l]);
    buf_print(&b, "\nkeep=");
    for (int k = 0; k < SUBJECT_KINDS; k++) buf_print(&b, "%d", o->keep[k]);
    buf_print(&b, "\nbots=%s\nissue-prefix=%s\n", o->bots ? o->bots : "", o->issues ? o->issues : "as known");
    return b.text;
}

/* "KEY: there X, now Y" of the first option that differs. */
static const char *difference(Arena *a, const char *there, const char *now)
{
    for (size_t x, y; *there && *now; there += x + (there[x] != 0), now += y + (now[y] != 0)) {
        x = strcspn(there, "\n"), y = strcspn(now, "\n");
        size_t key = strcspn(now, "=");
        if (x == y && !memcmp(there, now, x)) continue;
        if (x <= key || memcmp(there, now, key)) break;
        return str_print(a, "%.*s: there %.*s, now %.*s", (int)key, now, (int)(x - key - 1), there + key + 1,
                         (int)(y - key - 1), now + key + 1);
    }
    return "it was begun by another version";
}

static const char SUM[] = ", \"sha256\": \""; /* the last member of a state: of all the text before it */

static Sha256Hex sum_of(const char *text, size_t n)
{
    Sha256 sum = sha256_begin();
    sha256_add(&sum, text, n);
    return sha256_end(&sum);
}

/* The records so far are made safe, and beside them goes the state, as it was after commit m->at - 1. */
static Status save_state(Mine *m, const MineStats *stats)
{
    int64_t bytes;
    const RepoAbout *about = repo_about(m->repo);
    TRY(writer_save(&m->out, &bytes));
    if (!m->out.temporary[0]) return OK; /* a pipe or device: there is nothing to go on with */
    Sha256 records = m->sum;
    Buf b = buf_open(&m->step);
    buf_print(&b, "{\"options\": ");
    json_quote(&b, m->wish);
    buf_print(&b,
              ", \"tip\": \"%s\", \"from\": \"%s\", \"bytes\": %lld, \"records\": \"%s\", \"done\": %lld"
              ", \"replaced\": %lld, \"limited\": %lld, \"untimed\": %lld, \"unknown\": %lld",
              about->tip, about->from, (long long)bytes, sha256_end(&records).hex, (long long)m->at,
              (long long)stats->replaced, (long long)stats->limited, (long long)stats->untimed,
              (long long)stats->unknown);
    for (int i = 0; i < MINE_REASONS; i++) buf_print(&b, ", \"%s\": %lld", MINE_NAME[i], (long long)stats->count[i]);
    buf_print(&b, "%s%s\"}\n", SUM, sum_of(b.text, b.len).hex);
    return file_write(m->state, b.text, b.len);
}

static Status whole_number(int64_t *out, const cJSON *j, const char *key, const char *path)
{
    double x = -1;
    TRY(json_real(&x, j, key, 0, 1e15, path));
    if (x < 0) return err_fail(E_FORMAT, "%s: has no %s", path, key);
    *out = (int64_t)x;
    return OK;
}

typedef struct {
    const char *wish, *tip, *from, *records; /* records: the SHA-256 of the first `bytes` of the part */
    int64_t bytes, done, replaced, limited, untimed, unknown, count[MINE_REASONS];
} State;

static Status word(const char **out, const Mine *m, const cJSON *j, const char *key)
{
    const char *s = "";
    TRY(json_text(&s, j, key, m->state));
    *out = str_copy(m->run, s, strlen(s));
    return OK;
}

static Status parse_state(State *s, const Mine *m, const cJSON *j)
{
    TRY(word(&s->wish, m, j, "options"));
    TRY(word(&s->tip, m, j, "tip"));
    TRY(word(&s->from, m, j, "from"));
    TRY(word(&s->records, m, j, "records"));
    TRY(whole_number(&s->bytes, j, "bytes", m->state));
    TRY(whole_number(&s->done, j, "done", m->state));
    TRY(whole_number(&s->replaced, j, "replaced", m->state));
    TRY(whole_number(&s->limited, j, "limited", m->state));
    TRY(whole_number(&s->untimed, j, "untimed", m->state));
    TRY(whole_number(&s->unknown, j, "unknown", m->state));
    for (int i = 0; i < MINE_REASONS; i++) TRY(whole_number(&s->count[i], j, MINE_NAME[i], m->state));
    return OK;
}

static Status damaged_state(const Mine *m)
{
    return err_fail(E_FORMAT, "%s: is damaged, or not the state of an unfinished run; --overwrite starts anew",
                    m->state);
}

static Status other_wish(const Mine *m, const State *s)
{
    return err_fail(E_CONFIG,
                    "%s holds an unfinished run with other options (%s); the same options continue it, --overwrite "
                    "starts anew",
                    m->options.out, difference(m->run, s->wish, m->wish));
}

static Status read_state(State *s, Mine *m)
{
    Bytes file;
    cJSON *j;
    TRY(file_map(&file, m->state));
    const char *text = str_copy(m->run, file.text ? file.text : "", file.len), *sum = strstr(text, SUM);
    file_unmap(file);
    for (const char *next; sum && (next = strstr(sum + 1, SUM));) sum = next;
    if (!sum || strncmp(sum + sizeof SUM - 1, sum_of(text, (size_t)(sum - text)).hex, 64)) return damaged_state(m);
    TRY(json_parse(&j, text, strlen(text), m->state));
    Status status = parse_state(s, m, j);
    cJSON_Delete(j);
    return !status && strcmp(s->wish, m->wish) ? other_wish(m, s) : status;
}

/* Opens the records of the unfinished run behind the last saved one, unless they have changed since it was saved. */
static Status open_records(Mine *m, const State *s)
{
    static char block[1 << 16];
    TRY(writer_resume(&m->out, m->options.out, s->bytes));
    rewind(m->out.file);
    for (size_t n; (n = fread(block, 1, sizeof block, m->out.file));) sha256_add(&m->sum, block, n);
    Sha256 sum = m->sum;
    bool same = !strcmp(sha256_end(&sum).hex, s->records);
    if (same && !fseeko(m->out.file, s->bytes, SEEK_SET)) return OK;
    TRY(writer_keep(&m->out));
    return err_fail(E_FORMAT, "%s: does not hold the records of the unfinished run; --overwrite starts anew",
                    m->out.temporary);
}

/* ---- opening ---- */

/* As git reads it: an open end is HEAD. */
static const char *closed_range(Arena *a, const char *range)
{
    const char *dots = range ? strstr(range, "..") : NULL;
    if (!dots || dots[2] == '.') return range;
    return str_print(a, "%.*s..%s", dots == range ? 4 : (int)(dots - range), dots == range ? "HEAD" : range,
                     dots[2] ? dots + 2 : "HEAD");
}

/* Starts anew, over the files of an unfinished run. */
static Status open_anew(Mine *m)
{
    file_remove(m->state);
    return writer_open(&m->out, m->options.out);
}

/* An unfinished run is resumed when there is one; the ends of its range must be the same, unless
 * the caller wants them so. */
static Status open_parts(Mine *m)
{
    State s = {0};
    const MineOptions *o = &m->options;
    bool unfinished = !o->anew && !access(m->state, F_OK);
    const char *range = closed_range(m->run, o->range);
    if (unfinished) TRY(read_state(&s, m));
    if (unfinished && o->resume) range = *s.from ? str_print(m->run, "%s..%s", s.from, s.tip) : s.tip;
    TRY(repo_history(m->repo, range, &m->commit, &m->n));
    m->stats.total = m->n;
    m->sum = sha256_begin();
    if (o->features) m->history = history_open(m->run);
    if (!unfinished) return open_anew(m);
    const RepoAbout *about = repo_about(m->repo);
    if (strcmp(about->tip, s.tip) || strcmp(about->from, s.from))
        return err_fail(E_CONFIG,
                        "%s holds an unfinished run up to commit %.12s, and the range leads to %.12s now; --resume "
                        "continues up to the former, --overwrite starts anew",
                        o->out, s.tip, about->tip);
    if (s.done > m->n)
        return err_fail(E_FORMAT, "%s: %lld commits done of %lld", m->state, (long long)s.done, (long long)m->n);
    TRY(open_records(m, &s));
    m->stats.resumed = s.done;
    m->stats.replaced = s.replaced;
    m->stats.limited = s.limited;
    m->stats.untimed = s.untimed;
    m->stats.unknown = s.unknown;
    memcpy(m->stats.count, s.count, sizeof s.count);
    return OK;
}

/* Large contents are about to be read or compared, which takes long and cannot be interrupted.  The work done
 * before this commit is saved, and until its end a signal may end the process where it is. */
static void before_large(void *user)
{
    Mine *m = user;
    if (m->careless || !m->options.patience) return;
    if (m->at > m->stats.resumed && save_state(m, &m->settled)) {
        err_clear(); /* the next save will report it */
        return;
    }
    m->careless = true;
    m->options.patience(-1);
}

static void after_commit(Mine *m)
{
    if (m->careless) m->options.patience(1);
    m->careless = false;
}

/* Opens the repository and the output file, and resumes from the saved state where there is one. */
Status mine_open(Mine **out, Arena *run, const MineOptions *o)
{
    Mine *m = NEW(run, Mine, 1);
    *out = NULL;
    *m = (Mine){.run = run, .options = *o, .wish = wish_text(run, o), .state = str_print(run, "%s.state", o->out)};
    TRY(repo_open(&m->repo, run, o->path));
    repo_watch(m->repo, o->stop);
    repo_watch_large(m->repo, before_large, m);
    m->step = arena_open((size_t)1 << 34);
    Status status = open_parts(m);
    if (status) {
        if (m->history) history_close(m->history);
        repo_close(m->repo);
        arena_close(&m->step);
        return status;
    }
    *out = m;
    return OK;
}

/* Completes the output, or saves the state from which the same command continues. */
Status mine_close(Mine *m)
{
    Status status = OK;
    if (m->at < m->n) {
        if (m->at > m->stats.resumed) status = save_state(m, &m->stats);
        Status kept = writer_keep(&m->out);
        if (!status) status = kept;
    } else {
        status = writer_close(&m->out);
        if (!status) file_remove(m->state);
    }
    if (m->history) history_close(m->history);
    repo_close(m->repo);
    arena_close(&m->step);
    return status;
}

/* ---- one commit ---- */

/* git ends every message with a newline, which is no part of it. */
static const char *without_last_newlines(Arena *a, const char *message)
{
    size_t n = strlen(message);
    while (n && strchr("\r\n", message[n - 1])) n--;
    return str_copy(a, message, n);
}

/* The verdict from the commit alone, without its files; MINE_written: nothing against it. */
static int judge_message(Mine *m, const RepoCommit *at, CodeChange *c, const char *email)
{
    static const int REASON[] = {
        [SUBJECT_REVERT] = MINE_revert, [SUBJECT_RELEASE] = MINE_release, [SUBJECT_BOT] = MINE_bot};
    const MineOptions *o = &m->options;
    if (at->time != TIME_UNKNOWN && (at->time < o->since || at->time >= o->until)) return MINE_dated;
    if (at->cut) return at->shallow ? MINE_cut : MINE_damaged;
    if (at->n_parents > 1 && !o->keep[SUBJECT_MERGE]) return MINE_merge;
    SubjectKind kind = subject_kind(c->message, c->author, email, o->bots);
    if (!o->keep[kind]) return REASON[kind];
    if (o->whole_message) {
        c->message = without_last_newlines(&m->step, c->message);
        return MINE_written;
    }
    c->message = subject_clean(&m->step, c->message, o->issues);
    int words = subject_words(c->message);
    if (words < o->min_words || (o->max_words && words > o->max_words)) return MINE_words;
    return o->keep[SUBJECT_UNREADABLE] || subject_readable(c->message) ? MINE_written : MINE_unreadable_message;
}

/* A header (.h) is C++ beside C++ files, and where C++ is wanted and C is not. */
static Lang language(const Mine *m, const RepoDelta *d, bool beside_cpp)
{
    const char *dot = strrchr(d->new_path, '.');
    Lang lang = lang_of_path(d->new_path);
    bool cpp = m->options.lang[LANG_CPP] && (beside_cpp || !m->options.lang[LANG_C]);
    return lang == LANG_C && cpp && !strcmp(dot, ".h") ? LANG_CPP : lang;
}

static bool is_taken(const Mine *m, const RepoDelta *d)
{
    return m->options.lang[language(m, d, false)];
}

/* Lines without the blanks at their ends. */
static int64_t visible(const ChangeLine *l)
{
    size_t from = strspn(l->text, " \t"), to = l->len;
    while (to > from && strchr(" \t", l->text[to - 1])) to--;
    return (int64_t)(to - from);
}

/* Fills in the files; why the change is not wanted, or MINE_written. */
static int read_files(Mine *m, CodeChange *c, const RepoDelta *delta, int64_t n)
{
    static const int REASON[LINES_RESULTS] = {[LINES_BINARY] = MINE_binary,
                                              [LINES_HUGE] = MINE_huge,
                                              [LINES_MISSING] = MINE_damaged,
                                              [LINES_DAMAGED] = MINE_damaged};
    const MineOptions *o = &m->options;
    int64_t chars = 0, lines = 0;
    Lang lang = LANG_NONE;
    bool cpp = false;
    for (int64_t i = 0; i < n; i++) cpp |= lang_of_path(delta[i].new_path) == LANG_CPP;
    for (int64_t i = 0; i < n; i++) {
        if (!is_taken(m, &delta[i])) continue;
        Lang this = language(m, &delta[i], cpp);
        if (lang && this != lang && !o->mixed) return MINE_languages;
        lang = this;
        c->n_files++;
    }
    if (c->n_files == 0) return MINE_no_code;
    if (o->max_files && c->n_files > o->max_files) return MINE_files;
    c->file = NEW(&m->step, ChangeFile, c->n_files);
    c->n_files = 0;
    for (int64_t i = 0; i < n; i++) {
        if (!is_taken(m, &delta[i])) continue;
        ChangeFile *f = &c->file[c->n_files++];
        LinesResult got = repo_lines(m->repo, &m->step, &delta[i], o->context, o->max_bytes, f, &m->stats.replaced);
        if (got) return REASON[got];
        f->old_path = change_path(&m->step, delta[i].old_path);
        f->new_path = change_path(&m->step, delta[i].new_path);
        f->lang = language(m, &delta[i], cpp);
        for (int64_t k = 0; k < f->n; k++) {
            bool changed = f->line[k].kind != LINE_KEEP, before = k > 0 && f->line[k - 1].kind != LINE_KEEP;
            bool after = k + 1 < f->n && f->line[k + 1].kind != LINE_KEEP;
            if (changed || before || after) chars += visible(&f->line[k]); /* context beyond one line is free */
            lines += changed;
        }
        if (o->max_chars && chars > o->max_chars) return MINE_chars;
    }
    return lines ? MINE_written : MINE_no_lines;
}

/* ---- renames and the past ---- */

static bool is_code(const RepoDelta *d, void *user)
{
    return is_taken(user, d);
}

static bool contents(Bytes *out, Arena *a, const unsigned char id[20], void *user)
{
    const Mine *m = user;
    LinesResult got = repo_contents(m->repo, a, id, MOST_COMPARED, out);
    return got == LINES_OK || got == LINES_BINARY;
}

static bool stopped(void *user)
{
    const Mine *m = user;
    return repo_stopped(m->repo);
}

/* The files that a commit changed, renames found; false when its trees cannot be read. */
static bool list_files(Mine *m, const RepoCommit *at, RepoDelta **delta, int64_t *n)
{
    const RenameReader reader = {
        .is_code = is_code, .contents = contents, .stop = stopped, .limit = m->options.rename_limit, .user = m};
    bool limited;
    if (!repo_diff(m->repo, &m->step, at, delta, n)) return false;
    renames_find(*delta, n, &limited, &m->step, &reader);
    m->stats.limited += limited;
    return true;
}

/* The history's entry for one file; lines that cannot be read are unknown, not zero. */
static Touched touched(Mine *m, const RepoDelta *d)
{
    Touched t = {d->old_path, d->new_path, d->status, -1, -1, -1, d->unsure};
    int64_t added, removed, before;
    if (!repo_numstat(m->repo, d, m->options.max_bytes, &added, &removed)) t.added = added, t.removed = removed;
    if (history_asks(m->history, &t) && !repo_count(m->repo, d->old_id, m->options.max_bytes, &before))
        t.before = before;
    return t;
}

static const char *author_of(const CodeChange *c, const char *email)
{
    return *email ? email : c->author;
}

/* The measures need every file's counts, wanted change or not. */
static void add_to_history(Mine *m, CodeChange *c, const char *email, const RepoDelta *delta, int64_t n)
{
    int64_t taken = 0;
    Touched *t = NEW(&m->step, Touched, n + 1);
    for (int64_t i = 0; i < n; i++) {
        if (is_taken(m, &delta[i]))
            t[taken++] = touched(m, &delta[i]);
        else if (delta[i].status == FILE_RENAMED)
            history_rename(m->history, delta[i].old_path, delta[i].new_path);
    }
    history_add(m->history, c->feature, author_of(c, email), c->time, c->message, t, taken);
}

/* The outcome of one commit: the reason to leave it out, or MINE_written and the record.  `counted` is false for
 * a commit before the range, and for one that an earlier run has done. */
static int judge(Mine *m, const RepoCommit *at, bool counted, CodeChange *c)
{
    const char *email;
    RepoDelta *delta = NULL;
    int64_t n = 0;
    bool read = repo_describe(m->repo, &m->step, at, c, &email, &m->stats.replaced);
    if (m->history && (!read || at->lost)) history_lose(m->history, NULL, at->time);
    if (!read) return MINE_damaged;
    bool past = m->history && at->n_parents < 2 && !at->cut;
    CodeChange whole = *c; /* the measures use the whole message */
    int reason = judge_message(m, at, c, email);
    if (past || reason == MINE_written) {
        bool listed = list_files(m, at, &delta, &n);
        if (!listed) reason = MINE_damaged;
        if (past && listed) add_to_history(m, &whole, email, delta, n);
        if (past && !listed) history_lose(m->history, author_of(c, email), c->time);
    }
    c->has_features = past;
    memcpy(c->feature, whole.feature, sizeof c->feature);
    return reason == MINE_written && counted ? read_files(m, c, delta, n) : reason;
}

static bool has_unknown(const CodeChange *c)
{
    bool any = false;
    for (int k = 0; k < N_FEATURES && c->has_features; k++) any |= isnan(c->feature[k]);
    return any;
}

/* Decides whether a commit is kept, counts the reason, and writes its record. */
static void one_commit(Mine *m, const RepoCommit *at, bool counted)
{
    CodeChange c = {0};
    MineStats before = m->stats;
    int reason = judge(m, at, counted, &c);
    m->stats.untimed += at->time == TIME_UNKNOWN;
    if (!counted || repo_stopped(m->repo)) {
        m->stats = before;
        return;
    }
    m->stats.count[reason]++;
    if (reason != MINE_written) return;
    c.repo = m->options.repo;
    m->stats.unknown += has_unknown(&c);
    Buf row = buf_open(&m->step);
    change_print(&row, &c);
    writer_add(&m->out, row.text, row.len);
    sha256_add(&m->sum, row.text, row.len);
}

/* Processes the next commit, and saves the state at intervals; *more is false at the end. */
Status mine_step(Mine *m, bool *more)
{
    Status status = OK;
    *more = false;
    if (m->options.most && m->stats.count[MINE_written] >= m->options.most) m->at = m->n;
    if (m->at < m->n) {
        const RepoCommit *at = &m->commit[m->at];
        bool counted = at->wanted && m->at >= m->stats.resumed;
        ArenaMark mark = arena_mark(&m->step);
        m->settled = m->stats;
        if (counted || m->history) one_commit(m, at, counted);
        after_commit(m);
        bool stopped = repo_stopped(m->repo);
        if (!stopped) m->at++;
        if (!stopped && m->at > m->stats.resumed && m->at % SAVE_EVERY == 0) status = save_state(m, &m->stats);
        arena_drop(&m->step, mark);
    }
    m->stats.done = m->at;
    *more = m->at < m->n;
    return status ? status : writer_status(&m->out);
}

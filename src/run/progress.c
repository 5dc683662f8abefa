/* One line that is rewritten on a terminal, a plain line every ten seconds elsewhere, nothing with --quiet.
 * Times come from the monotonic clock; the time left assumes that the rest goes as fast as the part done. */
#include "run/progress.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/print.h"
#include "run/run.h"
#include "run/signals.h"

/* The state of the line: which stage it shows, since when, and from which step on. */
static struct {
    Stage stage;
    double began, shown, part; /* part: the fraction that was done then, in a run that was resumed */
    int64_t first;
} line;

bool run_stopped(void)
{
    return signals_seen() != 0;
}

Status run_interrupted(void)
{
    return err_fail(E_INTERRUPT, "interrupted before the end");
}

void progress_span(char *out, size_t n, double seconds)
{
    int s = (int)fmin(seconds + 0.5, 1e9);
    if (s < 60)
        snprintf(out, n, "%ds", s);
    else if (s < 3600)
        snprintf(out, n, "%dm%02ds", s / 60, s % 60);
    else
        snprintf(out, n, "%dh%02dm", s / 3600, s / 60 % 60);
}

static bool is_terminal(void)
{
    const char *term = getenv("TERM");
    return isatty(STDERR_FILENO) && term && strcmp(term, "dumb") != 0;
}

static int columns(void)
{
    struct winsize size;
    return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) || size.ws_col < 20 ? 80 : size.ws_col;
}

void progress_clear(void)
{
    if (signals_line) print_err("\r\033[K");
    signals_line = false;
}

void progress_kept(const char *dir)
{
    progress_clear();
    print_err("interrupted; the work so far is in %s, and the same command continues from there\n", dir);
}

/* The time left at the same pace, for work that was at `from` at the time `since` and is at `part` now. */
static const char *time_left(char out[32], double from, double part, double since, double now)
{
    out[0] = 0;
    if (now - since > 1 && part - from > 0.01 * (1 - from) && part <= 1) {
        memcpy(out, "  ", 2);
        progress_span(out + 2, 24, (now - since) * (1 - part) / (part - from));
        strcat(out, " left");
    }
    return out;
}

/* `fraction` is that of the whole run if it is known (parallel jobs).  If it is negative, the stage's own counts. */
void progress_show(const Progress *p, const Stage *s, double fraction)
{
    double now = clock_now();
    double part = fraction >= 0 ? fraction : s->total > 0 ? (double)s->done / (double)s->total : 0;
    if (strcmp(line.stage.phase, s->phase) != 0 || s->done < line.stage.done) {
        line.began = now;
        line.first = s->done;
        line.part = part;
    }
    line.stage = *s;
    if (p->quiet || now - line.shown < 0.1) return; /* the common way out: no system call */
    bool terminal = is_terminal();
    if (!terminal && fmin(now - line.shown, now - p->started) < 10) return; /* short runs print nothing on the way */
    line.shown = now;
    char text[256], left[32], loss[32] = "", rate[32] = "";
    time_left(left, line.part, part, line.began, now);
    if (isfinite(s->loss)) snprintf(loss, sizeof loss, "  loss %.4f", s->loss);
    if (now - line.began > 1 && s->done > line.first && fraction < 0)
        snprintf(rate, sizeof rate, "  %.3g/s", (double)(s->done - line.first) / (now - line.began));
    snprintf(text, sizeof text, "%s  %s %lld/%lld  %.0f%%%s%s%s", p->title, s->phase, (long long)s->done,
             (long long)s->total, 100 * part, rate, loss, left);
    if (terminal)
        print_err("\r%.*s\033[K", columns() - 1, text);
    else
        print_err("%s\n", text);
    signals_line = terminal;
}

/* In a job the stage goes to shared memory, which the parent reads; a torn read shows for a tenth of a second. */
void run_progress(Run *r, const char *phase, int64_t done, int64_t total, double loss)
{
    Stage here = {"", done, total, loss};
    snprintf(here.phase, sizeof here.phase, "%s", phase);
    if (r->stage)
        *r->stage = here;
    else
        progress_show(&r->progress, &here, -1);
}

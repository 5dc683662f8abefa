/* One line that is rewritten on a terminal, a plain line every ten seconds elsewhere, nothing with --quiet.
 * Times come from the monotonic clock; the time left assumes that the rest goes as fast as the part done. */
#include "cli/run.h"

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t stopped;
static double shown;   /* when the last line was printed */
static bool line_open; /* a terminal line waits to be rewritten or wiped */

double clock_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* The first signal asks; a second one does not wait for the answer. */
static void on_signal(int number)
{
    if (stopped) {
        signal(number, SIG_DFL);
        raise(number);
    }
    stopped = 1;
}

void signals_watch(void)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
}

void signals_note(void)
{
    stopped = 1;
}

bool run_stopped(void)
{
    return stopped;
}

Status run_interrupted(void)
{
    return fail(E_INTERRUPT, "interrupted before the end");
}

void progress_clear(void)
{
    if (line_open) fputs("\r\033[K", stderr);
    line_open = false;
}

static void print_span(char *out, size_t n, double seconds)
{
    long s = (long)(seconds + 0.5);
    if (s < 60)
        snprintf(out, n, "%lds", s);
    else if (s < 3600)
        snprintf(out, n, "%ldm%02lds", s / 60, s % 60);
    else
        snprintf(out, n, "%ldh%02ldm", s / 3600, s / 60 % 60);
}

/* `fraction` is that of the whole run where it is known (parallel jobs), else negative: the stage's own. */
void progress_show(Run *r, const Stage *s, double fraction, bool force)
{
    static double began; /* of the stage that is on the line */
    static char phase[sizeof s->phase];
    static int64_t first;
    double now = clock_now();
    if (strcmp(phase, s->phase) != 0 || s->done < first) {
        memcpy(phase, s->phase, sizeof phase);
        began = now;
        first = s->done;
    }
    bool terminal = isatty(STDERR_FILENO);
    if (r->quiet || (now - shown < (terminal ? 0.1 : 10) && !force)) return;
    if (!terminal && now - r->started < 10) return; /* short runs say nothing on the way */
    shown = now;
    char left[32] = "", loss[32] = "", rate[32] = "";
    double part = fraction >= 0 ? fraction : s->total > 0 ? (double)s->done / (double)s->total : 0;
    double since = fraction >= 0 ? r->started : began;
    if (now - since > 1 && part > 0.01) print_span(left, sizeof left, (now - since) * (1 - part) / part);
    if (isfinite(s->loss)) snprintf(loss, sizeof loss, "  loss %.4f", s->loss);
    if (now - began > 1 && s->done > first)
        snprintf(rate, sizeof rate, "  %.3g/s", (double)(s->done - first) / (now - began));
    fprintf(stderr, "%s%s/%s  %s %lld/%lld  %3.0f%%%s%s%s%s%s", terminal ? "\r\033[K" : "", r->experiment->group,
            r->experiment->name, s->phase, (long long)s->done, (long long)s->total, 100 * part, rate, loss,
            left[0] ? "  " : "", left, left[0] ? " left" : "");
    if (!terminal) fputc('\n', stderr);
    line_open = terminal;
}

/* In a job the stage goes to shared memory, which the parent reads; a torn read shows for a tenth of a second. */
void run_progress(Run *r, const char *phase, int64_t done, int64_t total, double loss)
{
    Stage here = {"", done, total, loss};
    snprintf(here.phase, sizeof here.phase, "%s", phase);
    if (r->stage)
        *r->stage = here;
    else
        progress_show(r, &here, -1, false);
}

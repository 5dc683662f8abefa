/* One line that is rewritten on a terminal, a plain line every ten seconds elsewhere, nothing with --quiet.
 * Times come from the monotonic clock; the time left assumes that the rest goes as fast as the part done. */
#include "base/dirs.h"
#include "base/print.h"
#include "cli/run.h"

#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t stopped, patience;

double clock_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* The state of the line: which stage it shows, since when, and from which step on. */
static struct {
    Stage stage;
    double began, shown, part; /* part: what was done then, of a run that was taken up */
    int64_t first;
    bool open; /* a terminal line waits to be rewritten or wiped */
} line;

static double first_signal; /* when it came */
static pid_t parent;        /* of a job: who sends it the other signal */

/* Temporary files and the line of progress go; jobs end with their parent (parallel.c). */
_Noreturn static void end_now(void)
{
    static const char said[] = "vernier: interrupted before the end\n", wipe[] = "\r\033[K";
    writers_remove();
    dirs_unmake();
    folder_interrupted();
    if (line.open) (void)!write(STDERR_FILENO, wipe, sizeof wipe - 1);
    if (!parent) (void)!write(STDERR_FILENO, said, sizeof said - 1);
    _exit(err_exit_status(E_INTERRUPT));
}

/* Where work would be lost, the first signal asks, and the program ends at its next step.  Elsewhere, and at the
 * second signal, it ends here.  One wish may come as two signals: a job gets Ctrl-C from the terminal and SIGTERM
 * from its parent, and timeout(1) signals its child and at once its whole group. */
static void on_signal(int number, siginfo_t *info, void *context)
{
    const double together = 0.05, now = clock_now();
    (void)context;
    bool again = stopped && now - first_signal > together && !(parent && info->si_pid == parent);
    if (!stopped) first_signal = now;
    stopped = number;
    if (again || !patience) end_now();
}

void signals_wait(int change)
{
    patience += change;
}

/* Files are used where the system maps them, so one that another program cuts ends in this signal. */
static void on_bus_error(int number, siginfo_t *info, void *context)
{
    static const char said[] =
        "vernier: a file in use can no longer be read: another program has cut it, or its disk has failed\n";
    (void)context;
    signal(number, SIG_DFL); /* any other reason meets it again on return */
    if (info->si_code == BUS_ADRERR)
        _exit(write(STDERR_FILENO, said, sizeof said - 1) < 0 ? 1 : err_exit_status(E_IO));
}

/* The handlers run on a stack of their own: oneDNN's generated code keeps data below the stack pointer, where the
 * kernel would lay the interrupted registers. */
void signals_watch(void)
{
    static char stack[1 << 16];
    static pid_t program;
    if (!program) program = getpid();
    parent = getpid() == program ? 0 : program;
    sigaltstack(&(stack_t){.ss_sp = stack, .ss_size = sizeof stack}, NULL);
    struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_RESTART | SA_ONSTACK | SA_SIGINFO};
    sigemptyset(&action.sa_mask);
    sigaddset(&action.sa_mask, SIGINT);
    sigaddset(&action.sa_mask, SIGTERM);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    sigemptyset(&action.sa_mask);
    action.sa_sigaction = on_bus_error;
    sigaction(SIGBUS, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a file that may grow no further is an error of writing like a full disk */
}

int signals_seen(void)
{
    return stopped;
}

bool run_stopped(void)
{
    return stopped != 0;
}

Status run_interrupted(void)
{
    return fail(E_INTERRUPT, "interrupted before the end");
}

void print_span(char *out, size_t n, double seconds)
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
    if (line.open) print_err("\r\033[K");
    line.open = false;
}

void say_kept(const char *dir)
{
    progress_clear();
    print_err("interrupted; what was done is in %s, and the same command goes on from there\n", dir);
}

/* The work stood at `from` when it was `since`, and now at `part`: what is left, at the same pace. */
static const char *time_left(char out[32], double from, double part, double since, double now)
{
    out[0] = 0;
    if (now - since > 1 && part - from > 0.01 * (1 - from) && part <= 1) {
        memcpy(out, "  ", 2);
        print_span(out + 2, 24, (now - since) * (1 - part) / (part - from));
        strcat(out, " left");
    }
    return out;
}

/* `fraction` is that of the whole run where it is known (parallel jobs), else negative: the stage's own. */
void progress_show(const Run *r, const Stage *s, double fraction)
{
    double now = clock_now();
    double part = fraction >= 0 ? fraction : s->total > 0 ? (double)s->done / (double)s->total : 0;
    if (strcmp(line.stage.phase, s->phase) != 0 || s->done < line.stage.done) {
        line.began = now;
        line.first = s->done;
        line.part = part;
    }
    line.stage = *s;
    if (r->quiet || now - line.shown < 0.1) return; /* the common way out: no system call */
    bool terminal = is_terminal();
    if (!terminal && fmin(now - line.shown, now - r->started) < 10) return; /* short runs say nothing on the way */
    line.shown = now;
    char text[256], left[32], loss[32] = "", rate[32] = "";
    time_left(left, line.part, part, line.began, now);
    if (isfinite(s->loss)) snprintf(loss, sizeof loss, "  loss %.4f", s->loss);
    if (now - line.began > 1 && s->done > line.first && fraction < 0)
        snprintf(rate, sizeof rate, "  %.3g/s", (double)(s->done - line.first) / (now - line.began));
    snprintf(text, sizeof text, "%s/%s  %s %lld/%lld  %.0f%%%s%s%s", r->experiment->group, r->experiment->name,
             s->phase, (long long)s->done, (long long)s->total, 100 * part, rate, loss, left);
    if (terminal)
        print_err("\r%.*s\033[K", columns() - 1, text);
    else
        print_err("%s\n", text);
    line.open = terminal;
}

/* In a job the stage goes to shared memory, which the parent reads; a torn read shows for a tenth of a second. */
void run_progress(Run *r, const char *phase, int64_t done, int64_t total, double loss)
{
    Stage here = {"", done, total, loss};
    snprintf(here.phase, sizeof here.phase, "%s", phase);
    if (r->stage)
        *r->stage = here;
    else
        progress_show(r, &here, -1);
}

/* Linux alone: /proc tells the processor and the peak of memory, glibc switches floating-point traps. */
#include "run/machine.h"

#include <fenv.h>
#include <omp.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/ranks.h"
#include "base/str.h"
#include "num/gemm.h"

const char *machine_cpu_model(Arena *a)
{
    Bytes info;
    if (file_read(&info, a, "/proc/cpuinfo")) {
        err_clear();
        return "unknown";
    }
    const char *line = strstr(info.text, "model name"), *colon = line ? strchr(line, ':') : NULL;
    if (!colon) return "unknown";
    colon += 1 + strspn(colon + 1, " ");
    return str_copy(a, colon, strcspn(colon, "\n"));
}

static int threads; /* 0: not decided yet */
static bool trapping;

/* Traps are for the experiment's own arithmetic: statistics and drawing use NaN on purpose. */
void machine_trap(bool on)
{
    enum { TRAPS = FE_INVALID | FE_DIVBYZERO | FE_OVERFLOW };
    if (!trapping) return;
    feclearexcept(FE_ALL_EXCEPT);
    if (on)
        feenableexcept(TRAPS);
    else
        fedisableexcept(TRAPS);
}

int machine_threads(void)
{
    cpu_set_t set;
    if (!threads) threads = ranks_cores();
    if (!threads) threads = sched_getaffinity(0, sizeof set, &set) ? 1 : CPU_COUNT(&set);
    return threads;
}

Status machine_use_threads(int n)
{
    threads = n;
    omp_set_num_threads(n);
    return gemm_reserve(n);
}

void machine_allow_traps(bool allowed)
{
    trapping = allowed;
}

double machine_rusage_seconds(const struct rusage *u)
{
    return (double)u->ru_utime.tv_sec + (double)u->ru_stime.tv_sec +
           1e-6 * (double)(u->ru_utime.tv_usec + u->ru_stime.tv_usec);
}

double machine_cpu_now(void)
{
    struct rusage self;
    getrusage(RUSAGE_SELF, &self);
    return machine_rusage_seconds(&self);
}

/* Resets the highest memory use so far.  Where the system cannot, the peak of an earlier run may appear. */
void machine_forget_peak(void)
{
    FILE *f = fopen("/proc/self/clear_refs", "w");
    if (!f) return;
    fputs("5", f);
    fclose(f);
}

/* Output shared by the tasks of vernier predict. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/print.h"
#include "base/str.h"
#include "cli/predict.h"
#include "run/signals.h"

PredictWatch predict_watch_open(const Prediction *w, const char *phase, int64_t total)
{
    Progress line = {str_print(w->run, "predict/%s", w->p.method), args_quiet(w->args), clock_now()};
    return (PredictWatch){line, phase, total};
}

bool predict_watch(int64_t done, void *user)
{
    const PredictWatch *w = user;
    Stage stage = {.done = done, .total = w->total, .loss = NAN};
    snprintf(stage.phase, sizeof stage.phase, "%s", w->phase);
    progress_show(&w->line, &stage, -1);
    return !signals_seen();
}

void predict_text(const char *s, size_t n, int most)
{
    size_t end = 0;
    while (end < n && most-- > 0) end += glyph_at(s + end, n - end).bytes;
    for (size_t i = 0, k; i < end; i += k) {
        const char *tab = memchr(s + i, '\t', end - i);
        k = tab ? (size_t)(tab - s) - i : end - i;
        print_out(tab ? "%.*s " : "%.*s", (int)k, s + i);
        k += tab != NULL;
    }
    print_out("\n");
}

void predict_csv(const char *s, size_t n)
{
    print_out("\"");
    for (const char *end = s + n, *stop; s < end; s = stop + 1) { /* a quotation mark within is doubled */
        stop = memchr(s, '"', (size_t)(end - s));
        if (!stop) stop = end;
        print_layout(s, (size_t)(stop - s));
        if (stop < end) print_out("\"\"");
    }
    print_out("\"");
}

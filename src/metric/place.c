/* Commits are sorted by project and place, so that the close ones of each are a window that moves along. */
#include "metric/place.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    const char *project;
    int64_t time;
    double place;
    int64_t i; /* of the caller's rows */
} Stop;

static int by_time(const void *a, const void *b)
{
    const Stop *x = a, *y = b;
    int order = strcmp(x->project, y->project);
    return order ? order : (x->time > y->time) - (x->time < y->time);
}

static int by_place(const void *a, const void *b)
{
    const Stop *x = a, *y = b;
    int order = strcmp(x->project, y->project);
    return order ? order : (x->place > y->place) - (x->place < y->place);
}

/* Where the stops end that share a project, and a time unless `all`, with the one at `from`. */
static int64_t end_of(const Stop *s, int64_t n, int64_t from, bool all)
{
    int64_t end = from;
    while (end < n && !strcmp(s[end].project, s[from].project) && (all || s[end].time == s[from].time)) end++;
    return end;
}

void place_of(double *place, const char *const *project, const int64_t *time, int64_t n)
{
    Arena a = arena_open(0);
    Stop *s = NEW(&a, Stop, n + 1);
    int64_t known = 0;
    for (int64_t i = 0; i < n; i++) {
        place[i] = NAN;
        if (time[i] != INT64_MIN) s[known++] = (Stop){project[i], time[i], 0, i};
    }
    qsort(s, (size_t)known, sizeof *s, by_time);
    for (int64_t from = 0, end; from < known; from = end) {
        end = end_of(s, known, from, true);
        double last = (double)(end - from - 1);
        for (int64_t at = from, next; at < end; at = next) {
            next = end_of(s, end, at, false);
            double rank = (double)(at + next - 1) / 2 - (double)from;
            for (int64_t k = at; k < next; k++) place[s[k].i] = last > 0 ? rank / last : 0.5;
        }
    }
    arena_close(&a);
}

double place_auc(int64_t *pairs, const int32_t *label, const double *score, const char *const *project,
                 const double *place, int64_t n)
{
    Arena a = arena_open(0);
    Stop *s = NEW(&a, Stop, n + 1);
    int64_t known = 0, count = 0;
    double won = 0; /* halves are exact */
    for (int64_t i = 0; i < n; i++)
        if (place[i] >= 0) s[known++] = (Stop){project[i], 0, place[i], i};
    qsort(s, (size_t)known, sizeof *s, by_place);
    for (int64_t from = 0, end; from < known; from = end) {
        end = end_of(s, known, from, true);
        for (int64_t x = from, low = from; x < end; x++) {
            while (s[x].place - s[low].place > PLACE_CLOSE) low++;
            if (label[s[x].i] != 1) continue;
            for (int64_t y = low; y < end && s[y].place - s[x].place <= PLACE_CLOSE; y++) {
                if (label[s[y].i] != 0) continue;
                double d = score[s[x].i] - score[s[y].i];
                won += d > 0 ? 1 : d < 0 ? 0 : 0.5;
                count++;
            }
        }
    }
    arena_close(&a);
    if (pairs) *pairs = count;
    return count ? won / (double)count : (double)NAN;
}

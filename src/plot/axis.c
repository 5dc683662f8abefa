/* Scales and ticks.  Tick values are 1, 2 or 5 times a power of ten on linear axes and powers of ten (with 2 and
 * 5 between them when the range is short) on logarithmic ones; a label shows exactly the decimals its step needs. */
#include "plot/draw.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

double scale_at(const Scale *s, double v)
{
    double t = s->log ? (log10(v) - log10(s->lo)) / (log10(s->hi) - log10(s->lo)) : (v - s->lo) / (s->hi - s->lo);
    t = fmin(fmax(t, -10), 11); /* far outside is as good as outside, and cairo's numbers stay small */
    return s->from + t * (s->to - s->from);
}

bool scale_has(const Scale *s, double v)
{
    return isfinite(v) && (!s->log || v > 0);
}

bool axis_given(Tensor t)
{
    return t.data || t.rank > 0;
}

void range_add(Range *r, double v, bool log)
{
    if (!isfinite(v) || (log && v <= 0)) return;
    if (v < r->lo) r->lo = v;
    if (v > r->hi) r->hi = v;
}

void range_add_all(Range *r, Tensor t, bool log)
{
    if (!axis_given(t)) return;
    for (int64_t i = 0, n = tensor_count(t); i < n; i++) range_add(r, tensor_get(t, i), log);
}

/* The axis's own limits where it has any; otherwise the data's, widened by a fraction of the span. */
Scale scale_over(Axis a, Range r, double pad)
{
    Scale s = {.lo = a.lo, .hi = a.hi, .log = a.log, .whole = a.whole};
    bool own = isfinite(a.lo) && isfinite(a.hi) && a.lo < a.hi && (!a.log || a.lo > 0);
    if (own) return s;
    if (r.lo > r.hi) r = a.log ? (Range){0.1, 1} : (Range){0, 1};
    double low = a.log ? log10(r.lo) : r.lo, high = a.log ? log10(r.hi) : r.hi;
    double least = 1e-9 * fmax(fabs(low), fabs(high)); /* below this a double cannot tell ticks apart */
    if (high - low <= least) {
        double half = a.log ? 0.5 : low == 0 ? 0.5 : 0.1 * fabs(low);
        low -= half;
        high += half;
    } else {
        double extra = fmin(pad * (high - low), 1e300);
        low -= extra;
        high += extra;
    }
    s.lo = a.log ? pow(10, fmax(low, -300)) : fmax(low, -1e300);
    s.hi = a.log ? pow(10, fmin(high, 300)) : fmin(high, 1e300);
    return s;
}

Axis axis_over(const char *title, bool log, int n, const Tensor *t)
{
    Range r = {INFINITY, -INFINITY};
    for (int i = 0; i < n; i++) range_add_all(&r, t[i], log);
    Scale s = scale_over((Axis){.log = log}, r, 0.06);
    return (Axis){.title = title, .lo = s.lo, .hi = s.hi, .log = log};
}

static void power_of_ten(char *out, size_t room, int e)
{
    static const char *const digit[] = {"\u2070", "\u00B9", "\u00B2", "\u00B3", "\u2074",
                                        "\u2075", "\u2076", "\u2077", "\u2078", "\u2079"};
    char plain[16];
    size_t used = (size_t)snprintf(out, room, "10%s", e < 0 ? "\u207B" : "");
    snprintf(plain, sizeof plain, "%d", e < 0 ? -e : e);
    for (const char *p = plain; *p && used < room; p++)
        used += (size_t)snprintf(out + used, room - used, "%s", digit[*p - '0']);
}

/* v as a multiple of `step`, whose size and the largest tick's size decide the notation for the whole axis. */
static void tick_label(char *out, size_t room, double v, double step, double largest)
{
    if (fabs(v) < step / 1e6) v = 0;
    const char *sign = v < 0 ? "\u2212" : "";
    double a = fabs(v);
    int exponent = (int)floor(log10(largest) + 1e-9), small = (int)floor(log10(step) + 1e-9);
    if (v == 0) {
        snprintf(out, room, "0");
    } else if (exponent >= 9 || small < -4) {
        char ten[24];
        power_of_ten(ten, sizeof ten, exponent);
        int digits = exponent > small ? exponent - small : 0;
        snprintf(out, room, "%s%.*f\u00D7%s", sign, digits > 9 ? 9 : digits, a / pow(10, exponent), ten);
    } else if (largest >= 1e4 && small >= 2) {
        double unit = largest >= 1e6 ? 1e6 : 1e3;
        int digits = (unit > 1e3 ? 6 : 3) - small;
        snprintf(out, room, "%s%.*f%s", sign, digits > 0 ? digits : 0, a / unit, unit > 1e3 ? "M" : "k");
    } else {
        snprintf(out, room, "%s%.*f", sign, small < 0 ? -small : 0, a);
    }
}

static void linear_ticks(Ticks *t, const Scale *s, int most)
{
    double raw = (s->hi / most - s->lo / most), ten = pow(10, floor(log10(raw)));
    static const double nice[] = {0.5, 1, 2, 5, 10};
    int i = 1;
    while (i < 4 && nice[i] * ten < raw * (1 - 1e-9)) i++;
    double step = s->whole ? fmax(1, nice[i] * ten) : nice[i] * ten;
    double first = ceil(s->lo / step - 1e-9), last = floor(s->hi / step + 1e-9);
    while (i > 0 && last - first < 1 &&
           !(s->whole && step <= 1)) { /* one tick gives no scale: rather too many than one */
        step = s->whole ? fmax(1, nice[--i] * ten) : nice[--i] * ten;
        first = ceil(s->lo / step - 1e-9);
        last = floor(s->hi / step + 1e-9);
    }
    double largest = step * fmax(fabs(first), fabs(last));
    for (double k = first; k <= last && t->n < MOST_TICKS; k++, t->n++) {
        t->at[t->n] = k * step;
        tick_label(t->label[t->n], sizeof t->label[0], k * step, step, fmax(largest, step));
    }
}

static void log_ticks(Ticks *t, const Scale *s, int most)
{
    int first = (int)floor(log10(s->lo)), last = (int)ceil(log10(s->hi));
    int inside = (int)floor(log10(s->hi) + 1e-9) - (int)ceil(log10(s->lo) - 1e-9) + 1;
    int stride = (inside + most - 1) / (most > 0 ? most : 1);
    bool fine = inside < 2 || 3 * (log10(s->hi) - log10(s->lo)) <= most + 2; /* 2 and 5 are named, too */
    bool plain = s->lo >= 0.9e-3 && s->hi <= 1.1e4;
    if (stride < 1) stride = 1;
    for (int e = first; e <= last; e++) {
        for (int m = 1; m <= 9; m++) {
            double v = m * pow(10, e);
            bool named = m == 1 ? (e % stride + stride) % stride == 0 : fine && (m == 2 || m == 5);
            if (v < s->lo * (1 - 1e-9) || v > s->hi * (1 + 1e-9)) continue;
            if (t->n == MOST_TICKS || (!named && (stride > 1 || inside > 6))) continue;
            char *label = t->label[t->n];
            t->at[t->n++] = v;
            label[0] = 0;
            if (!named) continue;
            if (plain) {
                snprintf(label, sizeof t->label[0], "%g", v);
            } else {
                char ten[24];
                power_of_ten(ten, sizeof ten, e);
                if (m == 1)
                    strcpy(label, ten);
                else
                    snprintf(label, sizeof t->label[0], "%d\u00D7%s", m, ten);
            }
        }
    }
}

void ticks_choose(Ticks *t, const Scale *s, int most)
{
    if (most < 2) most = 2;
    if (most > 20) most = 20;
    t->n = 0;
    if (s->log && log10(s->hi) - log10(s->lo) > 0.8) /* shorter: round numbers serve better than powers */
        log_ticks(t, s, most);
    else
        linear_ticks(t, s, most);
}

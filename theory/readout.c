/* Only tokens near j can be mistaken for it.  With unit roundoff u every logit is off by less than 8u, and z by less
 * than 4u.  In exact arithmetic the logit of a token d steps away is lower by (d/V)^2 (tangent), d/V (nearest), or at
 * least 8 (d/V)^2 (circle), so nothing beyond reach() steps can win, and the others need not be tried. */
#include "theory/readout.h"

#include <math.h>

const char *const READOUT_NAME[READOUTS] = {"tangent", "nearest", "circle"};

typedef struct {
    Format format;
    Readout kind;
    int64_t v;
    double *a, *b; /* the two stored weights of each token */
} Table;

static double rounded(const Table *t, double x)
{
    return format_round(t->format, x);
}

static Table stored(Arena *a, Format f, Readout kind, int64_t v)
{
    Table t = {f, kind, v, NEW(a, double, v), NEW(a, double, v)};
    for (int64_t k = 0; k < v; k++) {
        double at = rounded(&t, (double)k / (double)v), angle = 2 * M_PI * (double)k / (double)v;
        if (kind == READ_TANGENT)
            t.a[k] = rounded(&t, rounded(&t, 2 * at) - 1), t.b[k] = rounded(&t, 0.25 - rounded(&t, at * at));
        else if (kind == READ_NEAREST)
            t.a[k] = at;
        else
            t.a[k] = rounded(&t, cos(angle)), t.b[k] = rounded(&t, sin(angle));
    }
    return t;
}

/* The input of the unembedding for token j: (z, unused), or the point on the circle. */
static void carried(const Table *t, int64_t j, double z[2])
{
    z[0] = t->a[j], z[1] = t->b[j];
    if (t->kind == READ_CIRCLE) return;
    double s = rounded(t, (double)j / (double)t->v);
    z[0] = rounded(t, rounded(t, 1 + s) - 1);
}

static double logit(const Table *t, const double z[2], int64_t k)
{
    if (t->kind == READ_NEAREST) return -fabs(rounded(t, z[0] - t->a[k]));
    double first = rounded(t, t->a[k] * z[0]);
    return rounded(t, first + (t->kind == READ_CIRCLE ? rounded(t, t->b[k] * z[1]) : t->b[k]));
}

static int64_t reach(const Table *t)
{
    double u = format_unit(t->format);
    double steps = (double)t->v * (t->kind == READ_NEAREST ? 24 * u : 4 * sqrt(u) + 24 * u) + 2;
    return steps < (double)t->v ? (int64_t)steps : t->v - 1;
}

/* Ties go to the lower token, as in an arg max that keeps the first. */
static bool comes_back(const Table *t, int64_t j, int64_t d)
{
    double z[2];
    carried(t, j, z);
    double own = logit(t, z, j);
    for (int64_t k = j - d; k <= j + d; k++) {
        int64_t other = t->kind == READ_CIRCLE ? (k + t->v) % t->v : k;
        if (other < 0 || other >= t->v || other == j) continue;
        double l = logit(t, z, other);
        if (l > own || (l >= own && other < j)) return false;
    }
    return true;
}

int64_t readout_wrong(Arena *scratch, Format f, Readout kind, int64_t v, int64_t enough)
{
    ArenaMark mark = arena_mark(scratch);
    Table t = stored(scratch, f, kind, v);
    int64_t wrong = 0, d = reach(&t);
    for (int64_t j = 0; j < v && wrong < enough; j++) wrong += !comes_back(&t, j, d);
    arena_drop(scratch, mark);
    return wrong;
}

int64_t readout_first_failure(Arena *scratch, Format f, Readout kind, int64_t scan, int64_t most)
{
    for (int64_t v = 2; v <= most; v = v < scan ? v + 1 : v + v / 20 + 1)
        if (readout_wrong(scratch, f, kind, v, 1)) return v;
    return 0;
}

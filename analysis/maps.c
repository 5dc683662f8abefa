/* Attention as a hook sees it: one observer per layer at SITE_PROBS makes the model take the open path, in which
 * the (T,S) matrix of every head exists, and copies it.  Everything else here is arithmetic on those copies. */
#include "analysis/maps.h"

#include <math.h>

#include "analysis/patterns.h"
#include "measure/observe.h"

int maps_heads(const Model *m, Part part)
{
    const Config *c = &m->config;
    return part != PART_ENCODER && c->decoder_heads ? c->decoder_heads : c->heads;
}

void maps_read(Maps *out, Arena *run, Model *m, Hooks *hooks, const Batch *x, Part part)
{
    int layers = model_layers(m, part);
    CHECK(x->b == 1, "attention maps are read from one row, not %lld", (long long)x->b);
    CHECK(layers > 0, "%s has no %s", m->arch->name, part_name(part));
    Where *at = NEW(run, Where, layers);
    for (int l = 0; l < layers; l++) at[l] = (Where){SITE_PROBS, l, part};
    *out = (Maps){.part = part, .layers = layers, .probs = NEW(run, Tensor, layers)};
    observe_many(out->probs, run, m, hooks, x, at, layers);
    for (int l = 0; l < layers; l++) {
        CHECK(out->probs[l].data, "layer %d did not attend", l);
        out->probs[l] = tensor_at(out->probs[l], 0);
    }
    out->heads = (int)out->probs[0].dim[0];
    out->t = out->probs[0].dim[1];
    out->s = out->probs[0].dim[2];
    out->prefix = part == PART_CROSS ? out->s - x->s : out->s - out->t;
}

Status maps_finite(const Maps *m, const char *model)
{
    for (int l = 0; l < m->layers; l++) {
        int64_t i = tensor_find_nonfinite(m->probs[l], false);
        if (i >= 0)
            return err_fail(
                E_NUMERIC, "%s: the attention of layer %d, head %lld is %g at query %lld, expected finite numbers",
                model, l, (long long)(i / (m->t * m->s)), tensor_get(m->probs[l], i), (long long)(i / m->s % m->t));
    }
    return OK;
}

void maps_widen(Maps *m, Arena *a, int64_t prefix)
{
    CHECK(!m->prefix, "the maps have a prefix");
    for (int l = 0; l < m->layers; l++) {
        Tensor wide = tensor_zero(a, m->probs[l].dtype, SHAPE(m->heads, m->t, prefix + m->s));
        for (int64_t i = 0; i < m->heads * m->t; i++)
            for (int64_t j = 0; j < m->s; j++)
                tensor_set(wide, i * (prefix + m->s) + prefix + j, tensor_get(m->probs[l], i * m->s + j));
        m->probs[l] = wide;
    }
    m->s += prefix;
    m->prefix = prefix;
}

bool maps_causal(const Maps *m)
{
    return m->part == PART_DECODER && !m->unordered;
}

Tensor maps_head(const Maps *a, Arena *arena, int layer, int head)
{
    CHECK(layer >= 0 && layer < a->layers && head >= HEAD_MEAN && head < a->heads, "layer %d, head %d", layer, head);
    if (head >= 0) return tensor_at(a->probs[layer], head);
    Tensor mean = tensor_zero(arena, F64, SHAPE(a->t, a->s));
    int64_t n = a->t * a->s;
    for (int64_t i = 0; i < n; i++) {
        double sum = 0;
        for (int h = 0; h < a->heads; h++) sum += tensor_get(a->probs[layer], h * n + i);
        tensor_set(mean, i, sum / a->heads);
    }
    return mean;
}

Tensor maps_text(Arena *a, Tensor map, int64_t prefix)
{
    int64_t t = map.dim[0], s = tensor_last(map), n = s - prefix;
    Tensor text = tensor_new(a, F64, SHAPE(t, n));
    for (int64_t i = 0; i < t; i++) {
        double mass = 0;
        for (int64_t j = 0; j < n; j++) mass += tensor_get(map, i * s + prefix + j);
        for (int64_t j = 0; j < n; j++)
            tensor_set(text, i * n + j, mass > 0 ? tensor_get(map, i * s + prefix + j) / mass : (double)NAN);
    }
    return text;
}

const Stat STAT[STATS] = {{"entropy", "entropy", "Entropy", "nats", false},
                          {"distance", "distance", "Distance", "tokens", false},
                          {"first", "first", "First token", "mass", false},
                          {"prefix", "prefix", "Prefix", "mass", false},
                          {"special", "special", "Special tokens", "mass", false},
                          {"changed", "changed", "Changed lines", "mass", false},
                          {"diagonal", "diag", "Itself", "mass", false},
                          {"previous", "prev", "Previous token", "mass", false},
                          {"next", "next", "Next token", "mass", false},
                          {"identical", "ident", "Identical tokens", "mass", false},
                          {"duplicate", "dup", "Earlier copies", "mass", false},
                          {"induction", "induct", "Induction", "mass", false},
                          {"repeat_previous", "r.prev", "Previous, repeated", "mass", false},
                          {"repeat_duplicate", "r.dup", "Duplicate, repeated", "mass", false},
                          {"repeat_induction", "r.induct", "Induction, repeated", "mass", false},
                          {"zeroed", "ablated", "Zero ablation", "\u0394 nats", true},
                          {"gradient", "gradient", "Gradient of the mask", "nats", false}};

double stat_of(const HeadStats *s, int k)
{
    CHECK(k >= 0 && k < STATS, "number %d of %d", k, STATS);
    return ((const double *)s)[k];
}

/* Entropy, distance and masses that need no ids; sums over *rows that are not NaN. */
static HeadStats row_sums(const Maps *a, Tensor map, int64_t *rows)
{
    HeadStats sum = {0};
    *rows = 0;
    for (int64_t i = 0; i < a->t; i++) {
        double text = 0, away = 0;
        if (isnan(tensor_get(map, i * a->s))) continue;
        ++*rows;
        for (int64_t j = 0; j < a->s; j++) {
            double p = tensor_get(map, i * a->s + j);
            if (p > 0) sum.entropy -= p * log(p);
            if (j < a->prefix) {
                sum.prefix += p;
            } else {
                text += p;
                away += p * fabs((double)(i - (j - a->prefix)));
                if (a->special && a->special[j - a->prefix]) sum.special += p;
                if (a->changed && a->changed[j - a->prefix]) sum.changed += p;
            }
            if (j == a->prefix) sum.first += p;
        }
        if (text > 0) sum.distance += away / text;
    }
    return sum;
}

/* Statistics of one map, means over its rows; NaN where one is not defined, such as distance across two texts. */
HeadStats maps_stats(const Maps *a, Tensor map)
{
    int64_t rows;
    HeadStats sum = row_sums(a, map, &rows);
    double n = rows ? (double)rows : (double)NAN, none = NAN;
    bool order = a->part != PART_CROSS && !a->unordered;
    const Pattern of[] = {PATTERN_DIAGONAL,  PATTERN_PREVIOUS,  PATTERN_NEXT,
                          PATTERN_IDENTICAL, PATTERN_DUPLICATE, PATTERN_INDUCTION};
    double p[6];
    for (int k = 0; k < 6; k++) {
        bool places = of[k] <= PATTERN_NEXT, cross = a->part == PART_CROSS;
        bool defined = places ? !cross && (order || of[k] == PATTERN_DIAGONAL)
                              : a->query && a->key && (!cross || of[k] == PATTERN_IDENTICAL);
        p[k] = defined ? pattern_mass(of[k], map, a->prefix, a->query, a->key) : none;
    }
    return (HeadStats){.entropy = sum.entropy / n,
                       .distance = order ? sum.distance / n : none,
                       .first = a->unordered ? none : sum.first / n,
                       .prefix = sum.prefix / n,
                       .special = a->special ? sum.special / n : none,
                       .changed = a->changed ? sum.changed / n : none,
                       .diagonal = p[0],
                       .previous = p[1],
                       .next = p[2],
                       .identical = p[3],
                       .duplicate = p[4],
                       .induction = p[5],
                       .repeat_previous = none,
                       .repeat_duplicate = none,
                       .repeat_induction = none,
                       .zeroed = none,
                       .gradient = none};
}

double maps_shift(Tensor a, Tensor b)
{
    double sum = 0;
    int64_t s = tensor_last(a), rows = 0;
    CHECK(tensor_same_shape(a, b), "maps%s and %s", tensor_shape(a), tensor_shape(b));
    for (int64_t i = 0; i < a.dim[0]; i++) {
        if (isnan(tensor_get(a, i * s)) || isnan(tensor_get(b, i * s))) continue;
        rows++;
        for (int64_t j = i * s; j < (i + 1) * s; j++) sum += fabs(tensor_get(a, j) - tensor_get(b, j));
    }
    return rows ? sum / (2 * (double)rows) : (double)NAN;
}

Tensor maps_difference(Arena *arena, Tensor a, Tensor b)
{
    Tensor d = tensor_new(arena, F64, a.rank, a.dim);
    CHECK(tensor_same_shape(a, b), "maps%s and %s", tensor_shape(a), tensor_shape(b));
    for (int64_t i = 0, n = tensor_count(a); i < n; i++) tensor_set(d, i, tensor_get(a, i) - tensor_get(b, i));
    return d;
}

double maps_largest(Tensor a)
{
    double most = 0;
    for (int64_t i = 0, n = tensor_count(a); i < n; i++) most = fmax(most, fabs(tensor_get(a, i)));
    return most;
}

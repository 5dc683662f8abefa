/* Several tuned models and their base, after they were measured: the theorem's verdict on each, how much the
 * directions differ that they add, and the losses that they reach. */
#include "analysis/compare.h"

#include <math.h>

#include "analysis/similar.h"
#include "base/str.h"

/* Supported if virtual keys change the attention over the text by no more than rounding. */
ReportVerdict comparison_verdict(const char **sentence, const Tuned *t, bool f64, Arena *a)
{
    const Compared *p = &t->pair;
    double limit = f64 ? 1e-14 : 5e-7, same = f64 ? 1e-12 : 1e-5, worst = 0;
    const char *begin = str_print(a, "%s: %lld virtual %s", t->name, (long long)p->virtual_keys,
                                  str_plural(p->virtual_keys, "key", "keys"));
    for (int l = 0; l < p->layers; l++) worst = fmax(worst, p->layer[l].conditional);
    if (p->own > same) {
        *sentence = str_print(a,
                              "%s that also move the text's own logits, by %.2g of the largest, as by other "
                              "positions: the theorem is not about these",
                              begin, p->own);
        return VERDICT_INCONCLUSIVE;
    }
    const char *each = str_print(a, "with each layer's own taken away %.2g (limit %.0e)", worst, limit);
    if (p->moved > same) {
        *sentence = str_print(a,
                              "%s; predicted change of the attention over the text 0, measured %s; between the two "
                              "models layer 0 differs by %.2g, because its input does%s",
                              begin, each, p->layer[0].change.gap,
                              t->shifted ? str_print(a, ": positions moved by %lld", (long long)t->shifted) : "");
        return worst <= limit ? VERDICT_SUPPORTED : VERDICT_NOT_SUPPORTED;
    }
    double gap = p->layer[0].change.gap;
    *sentence = str_print(a, "%s; predicted change of layer 0's attention over the text 0, measured %.2g; %s", begin,
                          gap, each);
    return gap <= limit && worst <= limit ? VERDICT_SUPPORTED : VERDICT_NOT_SUPPORTED;
}

bool comparison_directions(Directions *out, const TunedComparison *c, Arena *a, int layer)
{
    Tensor b = tensor_new(a, F64, SHAPE(c->n, tensor_count(c->tuned[0].pair.layer[layer].mean)));
    int64_t n = 0, width = b.dim[1];
    for (int i = 0; i < c->n; i++) {
        if (!c->tuned[i].pair.virtual_keys) continue;
        for (int64_t k = 0; k < width; k++)
            tensor_set(b, n * width + k, tensor_get(c->tuned[i].pair.layer[layer].mean, k));
        n++;
    }
    if (n < 2) return false;
    if (!measure_directions(out, a, tensor_rows(b, 0, n))) return true;
    err_clear(); /* a prefix that adds nothing has no direction */
    return false;
}

double comparison_angle(const TunedComparison *c, Arena *a, int i, int k, int layer)
{
    Tensor u = c->tuned[i].pair.layer[layer].space, v = c->tuned[k].pair.layer[layer].space, angle;
    if (!c->tuned[i].pair.virtual_keys || !c->tuned[k].pair.virtual_keys || !u.dim[1] || !v.dim[1]) return NAN;
    if (similar_angles(&angle, a, u, v)) {
        err_clear();
        return NAN;
    }
    double sum = 0;
    for (int64_t n = 0; n < tensor_count(angle); n++) sum += tensor_get(angle, n);
    return sum / (double)tensor_count(angle);
}

const Reached *comparison_reached(const TunedComparison *c, Arena *a)
{
    Reached *r = NEW(a, Reached, c->n + 1);
    r[0] = (Reached){str_print(a, "%s (base)", page_path_name(a, c->base)), c->loss};
    for (int i = 0; i < c->n; i++) r[i + 1] = (Reached){c->tuned[i].name, c->tuned[i].loss};
    return r;
}

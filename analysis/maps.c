/* Attention as a hook sees it: one observer per layer at SITE_PROBS makes the model take the open path, in which
 * the (T,S) matrix of every head exists, and copies it.  Everything else here is arithmetic on those copies. */
#include "analysis/maps.h"

#include <math.h>

int maps_heads(const Model *m, Part part)
{
    const Config *c = &m->config;
    return part != PART_ENCODER && c->decoder_heads ? c->decoder_heads : c->heads;
}

static void run_once(Model *m, Pass *p, const Batch *x, Part part)
{
    if (!m->arch->encode) {
        model_hidden(m, p, x);
        return;
    }
    Var *memory = m->arch->encode(m, p, x);
    if (part != PART_ENCODER) m->arch->decode(m, p, x, memory);
}

void maps_read(Maps *out, Arena *run, Model *m, Hooks *hooks, const Batch *x, Part part)
{
    int before = hooks_n(hooks), layers = model_layers(m, part);
    CHECK(x->b == 1, "attention maps are read from one row, not %lld", (long long)x->b);
    CHECK(layers > 0, "%s has no %s", m->arch->name, part_name(part));
    Capture *seen = NEW(run, Capture, layers);
    for (int l = 0; l < layers; l++) {
        seen[l].arena = run;
        hook_observe(hooks, (Where){SITE_PROBS, l, part}, hook_capture, &seen[l]);
    }
    Arena step = arena_open(0);
    run_once(m, &(Pass){.tape = tape_open(&step, false), .hooks = hooks}, x, part);
    arena_close(&step);
    hooks_clear_from(hooks, before);
    *out = (Maps){.part = part, .layers = layers, .probs = NEW(run, Tensor, layers)};
    for (int l = 0; l < layers; l++) {
        CHECK(seen[l].value.data, "layer %d did not attend", l);
        out->probs[l] = tensor_at(seen[l].value, 0);
    }
    out->heads = (int)out->probs[0].dim[0];
    out->t = out->probs[0].dim[1];
    out->s = out->probs[0].dim[2];
    out->prefix = part == PART_CROSS ? out->s - x->s : out->s - out->t;
}

Tensor maps_head(const Maps *a, Arena *arena, int layer, int head)
{
    CHECK(layer >= 0 && layer < a->layers && head >= HEAD_MEAN && head < a->heads, "layer %d, head %d", layer, head);
    if (head >= 0) return tensor_cast(arena, tensor_at(a->probs[layer], head), F64);
    Tensor mean = tensor_zero(arena, F64, SHAPE(a->t, a->s));
    int64_t n = a->t * a->s;
    for (int64_t i = 0; i < n; i++) {
        double sum = 0;
        for (int h = 0; h < a->heads; h++) sum += tensor_get(a->probs[layer], h * n + i);
        tensor_set(mean, i, sum / a->heads);
    }
    return mean;
}

HeadStats maps_stats(const Maps *a, Tensor map)
{
    HeadStats sum = {0};
    for (int64_t i = 0; i < a->t; i++) {
        double text = 0, away = 0;
        for (int64_t j = 0; j < a->s; j++) {
            double p = tensor_get(map, i * a->s + j);
            if (p > 0) sum.entropy -= p * log(p);
            if (j < a->prefix) {
                sum.prefix += p;
            } else {
                text += p;
                away += p * fabs((double)(i - (j - a->prefix)));
            }
            if (j == a->prefix) sum.first += p;
        }
        if (text > 0) sum.distance += away / text;
    }
    double n = (double)a->t;
    return (HeadStats){sum.entropy / n, a->part == PART_CROSS ? (double)NAN : sum.distance / n, sum.first / n,
                       sum.prefix / n};
}

double maps_shift(Tensor a, Tensor b)
{
    double sum = 0;
    CHECK(tensor_same_shape(a, b), "maps%s and %s", tensor_shape(a), tensor_shape(b));
    for (int64_t i = 0, n = tensor_count(a); i < n; i++) sum += fabs(tensor_get(a, i) - tensor_get(b, i));
    return sum / (2 * (double)a.dim[0]);
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

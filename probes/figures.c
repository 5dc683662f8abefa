/* Figures: accuracy by layer, accuracy compared with the baselines, and the loss of pretraining. */
#include <math.h>

#include "base/rng.h"
#include "base/str.h"
#include "plot/plot.h"
#include "probe/compare.h"
#include "probes/probing.h"

static int at_layer(Outcomes o, Kind kind, int seed, Protocol how, int layer)
{
    return layer < 0 ? outcome_of(o, kind, seed)->curve[how].best : layer;
}

const char *kind_name(const Probing *lab, Kind kind)
{
    return kind == RANDOM ? "randomly initialised" : lab->model ? "model" : "pretrained";
}

double layer_mean(Outcomes o, Kind kind, Protocol how, int layer)
{
    double sum = 0;
    int n = probing_encoders(o.lab, kind);
    for (int i = 0; i < n; i++)
        sum += outcome_of(o, kind, i)->curve[how].accuracy[at_layer(o, kind, i, how, layer)][SPLIT_TEST];
    return sum / n;
}

Interval layer_interval(Outcomes o, Kind kind, Protocol how, int layer)
{
    const int32_t *guess[10000]; /* the most seeds of a run */
    int n = probing_encoders(o.lab, kind);
    for (int i = 0; i < n; i++) guess[i] = predicted_by(o, kind, i, how, at_layer(o, kind, i, how, layer));
    return compare_interval(guess, n, &o.lab->set, NULL, SPLIT_TEST, DRAWS, rng_stream(1, "layer"));
}

/* ---- by layer ---- */

static const char *beside(Arena *a, const Probing *lab, Kind kind, Protocol how)
{
    const char *name = kind == RANDOM ? "random" : kind_name(lab, kind);
    return str_print(a, "%s, %s", name, how == FIRST_TOKEN ? "first token" : "published");
}

/* The mean test accuracy by layer as a series, with intervals for the leading protocol. */
static Series curve(Run *r, Outcomes o, Kind kind, Protocol how)
{
    Arena *a = run_arena(r);
    int n = o.lab->layers;
    Tensor x = tensor_new(a, F64, SHAPE(n)), mean = tensor_new(a, F64, SHAPE(n)), lo = tensor_new(a, F64, SHAPE(n)),
           hi = tensor_new(a, F64, SHAPE(n));
    bool leading = how == probing_leading(o.lab);
    for (int l = 0; l < n; l++) {
        Interval ci = layer_interval(o, kind, how, l);
        tensor_set(x, l, l), tensor_set(mean, l, 100 * layer_mean(o, kind, how, l));
        tensor_set(lo, l, 100 * ci.lo), tensor_set(hi, l, 100 * ci.hi);
    }
    Series s = {.x = x, .y = mean, .label = kind_name(o.lab, kind), .colour = (int)kind + 1, .marked = true};
    if (leading) s.lo = lo, s.hi = hi;
    if (!leading) s.dashed = true, s.label = beside(a, o.lab, kind, how);
    return s;
}

/* Draws the accuracy by layer with three baselines: majority, the task's best rule and bag of words. */
static Status draw_layers(Run *r, Outcomes o)
{
    Arena *a = run_arena(r);
    const Probing *lab = o.lab;
    Series line[PROTOCOLS * KINDS];
    RefLine ref[MOST_FLOORS];
    int n = 0, refs = 0;
    for (Protocol how = CORRECT; how < PROTOCOLS; how++)
        for (Kind kind = SUBJECT; lab->wanted[how] && kind < KINDS; kind++) line[n++] = curve(r, o, kind, how);
    const ProbeFloor *shown[] = {&lab->floor[0], probe_best_rule(lab->floor, lab->floors),
                                 &lab->floor[lab->floors - 1]};
    for (int k = 0; k < 3; k++)
        if (!k || shown[k] != shown[0])
            ref[refs++] = (RefLine){100 * shown[k]->accuracy[SPLIT_TEST], shown[k]->name, false};
    Fig *f =
        run_figure(r, "layers",
                   str_print(a,
                             "Test accuracy of a %s probe on each layer (0: embeddings); mean of %d encoder%s and "
                             "95 %% over encoders and test rows.  The layer is chosen on validation, not here.%s",
                             probing_leading(lab) == COMPAT ? "karmakar-compat" : run_text(r, "classifier"),
                             probing_encoders(o.lab, RANDOM), probing_encoders(o.lab, RANDOM) == 1 ? "" : "s",
                             lab->wanted[CORRECT] && lab->wanted[COMPAT] ? "  Published: karmakar-compat." : ""),
                   340, 210);
    fig_lines(
        f, fig_whole(f), n, line,
        (PlotStyle){
            .x = {.title = "layer", .whole = true}, .y = {.title = "test accuracy (%)"}, .ref = ref, .refs = refs});
    return fig_close(f);
}

/* ---- comparison with the baselines ---- */

typedef struct {
    const char *name;
    double at;
    Interval ci;
} Bar;

/* The test accuracies of the baselines and of the encoders at their chosen layers, with intervals. */
static int bars(Bar *out, Arena *a, Outcomes o)
{
    const Probing *lab = o.lab;
    int n = 0;
    int64_t tests = lab->set.size[SPLIT_TEST];
    for (int k = 0; k < lab->floors; k++) {
        double x = lab->floor[k].accuracy[SPLIT_TEST];
        out[n++] = (Bar){lab->floor[k].name, x, stats_wilson(llround(x * (double)tests), tests)};
    }
    for (Protocol how = CORRECT; how < PROTOCOLS; how++)
        for (Kind kind = KINDS; lab->wanted[how] && kind-- > 0;) {
            const char *name = kind_name(lab, kind);
            if (how != probing_leading(lab)) name = beside(a, lab, kind, how);
            out[n++] = (Bar){name, layer_mean(o, kind, how, -1), layer_interval(o, kind, how, -1)};
        }
    return n;
}

/* Draws the accuracies of baselines and encoders as bars. */
static Status draw_floors(Run *r, Outcomes o)
{
    Arena *a = run_arena(r);
    Bar bar[MOST_FLOORS + PROTOCOLS * KINDS];
    int n = bars(bar, a, o);
    Tensor y = tensor_new(a, F64, SHAPE(n)), lo = tensor_new(a, F64, SHAPE(n)), hi = tensor_new(a, F64, SHAPE(n));
    const char **label = NEW(a, const char *, n);
    for (int k = 0; k < n; k++) {
        label[k] = bar[k].name;
        tensor_set(y, k, 100 * bar[k].at), tensor_set(lo, k, 100 * bar[k].ci.lo),
            tensor_set(hi, k, 100 * bar[k].ci.hi);
    }
    Series s = {.y = y, .lo = lo, .hi = hi};
    Fig *f = run_figure(r, "floors",
                        "Test accuracy without an encoder, and with one at the layer chosen on validation; 95 % over "
                        "test rows, and encoders where there are several.",
                        48 + 58.0 * n, 190);
    fig_bars(f, fig_whole(f), 1, &s, label,
             (PlotStyle){.y = {.title = "test accuracy (%)"}, .values = true, .decimals = 1});
    return fig_close(f);
}

static Status draw_loss(Run *r, Outcomes o)
{
    Outcome *first = outcome_of(o, SUBJECT, 0);
    Series loss = {.x = tensor_over(first->step, F64, SHAPE(first->points)),
                   .y = tensor_over(first->loss, F64, SHAPE(first->points))};
    Fig *f = run_figure(r, "mlm-loss", "Masked-language-modelling loss of the first encoder.", 252, 160);
    fig_lines(f, fig_whole(f), 1, &loss,
              (PlotStyle){.x = {.title = "step"}, .y = {.title = "loss (nats per masked token)"}});
    return fig_close(f);
}

Status probing_figures(Run *r, Outcomes o)
{
    TRY(draw_layers(r, o));
    TRY(draw_floors(r, o));
    return o.lab->model ? OK : draw_loss(r, o);
}

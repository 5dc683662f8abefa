/* Figures, tables and the page of a comparison. */
#include <math.h>

#include "analysis/compare.h"
#include "base/file.h"
#include "base/str.h"
#include "plot/report.h"

typedef struct {
    const TunedComparison *c;
    Arena *a;
    Report *page;
    const char *dir;
    const char **name;
    int n;
} Out;

static const char *path(const Out *o, const char *name)
{
    return figure_path(o->a, o->dir, name, o->c->format);
}

/* Writes the figure `name`, and puts it on the page. */
static Status show(Out *o, const char *name, Fig *f, const char *caption)
{
    o->name[o->n++] = name;
    return report_drawn(o->page, f, caption);
}

/* ---- curves over layers */

typedef double OfLayer(const LayerPair *);
static double gap(const LayerPair *p)
{
    return p->change.gap;
}
static double kl(const LayerPair *p)
{
    return p->change.kl;
}
static double tv(const LayerPair *p)
{
    return p->change.tv;
}
static double conditional(const LayerPair *p)
{
    return p->conditional;
}
static double cka(const LayerPair *p)
{
    return p->cka;
}
static double procrustes(const LayerPair *p)
{
    return p->procrustes;
}
static double alpha(const LayerPair *p)
{
    return p->alpha;
}
static double participation(const LayerPair *p)
{
    return p->participation;
}

typedef struct {
    OfLayer *of;
    const char *title;
    bool log;
} Curve;

/* One line a tuned model; those without the metric are left out, and the others keep their colours. */
static int curve_series(Series *s, const Out *o, OfLayer *of)
{
    int lines = 0;
    for (int i = 0; i < o->c->n; i++) {
        const Compared *p = &o->c->tuned[i].pair;
        Tensor y = tensor_new(o->a, F64, SHAPE(p->layers));
        bool any = false;
        for (int l = 0; l < p->layers; l++) {
            tensor_set(y, l, of(&p->layer[l]));
            any |= isfinite(tensor_get(y, l));
        }
        if (any) s[lines++] = (Series){.y = y, .label = o->c->tuned[i].name, .colour = i + 1, .marked = true};
    }
    return lines;
}

/* None of these metrics is negative: an axis of equal ones begins at zero, and a logarithm needs one above it. */
static Axis curve_axis(const char *title, bool log, int n, const Series *s)
{
    double least = INFINITY, most = -INFINITY;
    for (int k = 0; k < n; k++)
        for (int64_t i = 0; i < tensor_count(s[k].y); i++) {
            least = fmin(least, tensor_get(s[k].y, i));
            most = fmax(most, tensor_get(s[k].y, i));
        }
    Axis y = {.title = title, .log = log && most > 0};
    if (!y.log && most <= least) y.hi = draw_limit(most);
    return y;
}

/* Of one layer there is no curve: a bar a tuned model. */
static void draw_single(const Out *o, Fig *f, Rect r, int n, const Series *s, PlotStyle style)
{
    Tensor y = tensor_new(o->a, F64, SHAPE(n));
    const char **name = NEW(o->a, const char *, n);
    for (int k = 0; k < n; k++) tensor_set(y, k, tensor_get(s[k].y, 0)), name[k] = s[k].label;
    style.x = (Axis){0};
    style.y.log = false;
    style.y.hi = draw_limit(1.15 * maps_largest(y));                 /* room for the values above */
    style.values = maps_largest(y) >= 0.001 || maps_largest(y) <= 0; /* else the axis shows them */
    style.decimals = 3;
    fig_bars(f, r, 1, &(Series){.y = y}, name, style);
}

static void draw_curve(const Out *o, Fig *f, Rect r, const Curve *curve)
{
    Series *s = NEW(o->a, Series, o->c->n);
    int n = curve_series(s, o, curve->of);
    PlotStyle style = {.x = {.title = "layer", .whole = true}, .y = curve_axis(curve->title, curve->log, n, s)};
    if (n && o->c->tuned[0].pair.layers == 1)
        draw_single(o, f, r, n, s, style);
    else if (n)
        fig_lines(f, r, n, s, style);
}

static Fig *draw_curves(const Out *o, const char *name, int n, const Curve *curve)
{
    Fig *f = fig_open(path(o, name), 500, 175);
    for (int k = 0; k < n; k++) draw_curve(o, f, fig_cell(f, 1, n, k), &curve[k]);
    return f;
}

/* Draws the change of attention, the effect of virtual keys and the similarity of outputs by layer. */
static Status add_curves(Out *o)
{
    const TunedComparison *c = o->c;
    const Curve drift[] = {{gap, "largest change", true}, {kl, "KL (nats)", false}, {tv, "total variation", false}};
    const Curve alike[] = {{cka, "linear CKA", false}, {procrustes, "Procrustes distance", false}};
    const Curve prefix[] = {{conditional, "toggled alone", true}, {alpha, "prefix mass", false}};
    bool virtual_keys = false;
    for (int i = 0; i < c->n; i++) virtual_keys |= c->tuned[i].pair.virtual_keys > 0;
    report_heading(o->page, 2, "Drift of attention");
    Fig *f = draw_curves(o, "drift", 3, drift);
    TRY(show(o, "drift", f,
             "Attention over the content, renormalised, compared with the base's in each layer: largest change of a "
             "weight "
             "(zeros are not drawn), mean KL divergence, mean total variation."));
    if (virtual_keys) {
        f = draw_curves(o, "prefix", 2, prefix);
        TRY(show(
            o, "prefix", f,
            "Virtual keys.  Left: change of the content attention when only this layer's keys are removed and its "
            "inputs stay the same; the theorem predicts zero.  Right: their mass, mean over rows and heads."));
    }
    report_heading(o->page, 2, "Representations");
    f = draw_curves(o, "similarity", 2, alike);
    TRY(show(o, "similarity", f,
             "Outputs of the layers compared with the base's: linear CKA (centred kernel alignment) and "
             "orthogonal Procrustes distance."));
    return OK;
}

/* Draws the KL divergence of each head from the base, three models to a figure. */
static Status add_heads(Out *o)
{
    enum { ACROSS = 3 };
    const TunedComparison *c = o->c;
    const Compared *p = &c->tuned[0].pair;
    int *number = NEW(o->a, int, p->layers > p->heads ? p->layers : p->heads);
    for (int k = 0; k < p->layers || k < p->heads; k++) number[k] = k;
    for (int from = 0; from < c->n; from += ACROSS) {
        Glance g[ACROSS];
        int n = c->n - from < ACROSS ? c->n - from : ACROSS;
        for (int i = 0; i < n; i++) {
            const Tuned *t = &c->tuned[from + i];
            Tensor v = tensor_new(o->a, F64, SHAPE(p->layers, p->heads));
            for (int k = 0; k < p->layers * p->heads; k++)
                tensor_set(v, k, t->pair.layer[k / p->heads].head[k % p->heads].kl);
            g[i] = (Glance){v, t->name, "KL (nats)", false};
        }
        const char *name = from ? str_print(o->a, "heads-%d", from / ACROSS + 1) : "heads";
        Fig *f = draw_glances(path(o, name), o->a, n, g, number, number);
        TRY(show(o, name, f, "KL divergence of each head's content attention from the base's."));
    }
    return OK;
}

/* ---- spectra */

static Tensor relative_spectrum(Arena *a, Tensor s)
{
    enum { SHOWN = 32 };
    int64_t n = tensor_count(s) < SHOWN ? tensor_count(s) : SHOWN;
    Tensor y = tensor_new(a, F64, SHAPE(n));
    for (int64_t k = 0; k < n; k++) tensor_set(y, k, tensor_get(s, k) / tensor_get(s, 0));
    return y;
}

/* Draws singular values: of the directions added at layer 0, and of the largest weight change. */
static Status add_spectra(Out *o)
{
    const TunedComparison *c = o->c;
    Series *s = NEW(o->a, Series, c->n), *w = NEW(o->a, Series, c->n);
    int lines = 0, changed = 0;
    for (int i = 0; i < c->n; i++) {
        const Tuned *t = &c->tuned[i];
        const LayerPair *p = &t->pair.layer[0];
        const WeightChange *most = NULL;
        if (p->rank)
            s[lines++] = (Series){
                .y = relative_spectrum(o->a, p->spectrum), .label = t->name, .colour = i + 1, .marked = true};
        for (int k = 0; k < t->weights; k++)
            if (!most || t->weight[k].relative > most->relative) most = &t->weight[k];
        if (most)
            w[changed++] =
                (Series){.y = relative_spectrum(o->a, most->s), .label = t->name, .colour = i + 1, .marked = true};
    }
    if (!lines && !changed) return OK;
    Series *d = NEW(o->a, Series, c->n);
    const Curve directions = {participation, "participation ratio", false};
    int shared = curve_series(d, o, participation), panels = (lines > 0) + (changed > 0) + (shared > 0), at = 0;
    Fig *f = fig_open(path(o, "spectrum"), 500, 175);
    PlotStyle style = {.title = "Added at layer 0",
                       .x = {.title = "direction", .whole = true},
                       .y = {.title = "over the largest", .lo = 1e-9, .hi = 1, .log = true}};
    if (lines) fig_lines(f, fig_cell(f, 1, panels, at++), lines, s, style);
    style.title = "Largest weight change";
    if (changed) fig_lines(f, fig_cell(f, 1, panels, at++), changed, w, style);
    if (shared) draw_curve(o, f, fig_cell(f, 1, panels, at), &directions);
    report_heading(o->page, 2, "Spectra");
    TRY(show(
        o, "spectrum", f,
        "Singular values divided by the largest one.  Left: of the output of layer 0's attention minus the base's "
        "(scaled by the mass left to the text).  Middle: of the weight change that is largest relative to its "
        "linear layer.  Right: the effective number of directions that the attention of each layer adds."));
    return OK;
}

/* Draws the losses on the texts beside their baselines, and explains them in sentences. */
static Status add_floors(Out *o)
{
    const TunedComparison *c = o->c;
    if (!c->texts) return OK;
    const Floors *floors = &c->texts->floors;
    const Reached *r = comparison_reached(c, o->a);
    TRY(floors_csv(str_print(o->a, "%s/floors.csv", o->dir), floors));
    Fig *f = floors_draw(path(o, "floors"), o->a, floors, c->n + 1, r);
    report_heading(o->page, 2, "Loss and baselines");
    TRY(show(
        o, "floors", f,
        "Left: loss on the texts, and its baselines, the best losses without attention: by the position of a token, "
        "and by the previous token as well (all that a decoder has left when a prefix takes the whole attention).  "
        "Right: that entropy at each position."));
    for (int i = 0; i <= c->n; i++) report_text(o->page, floors_sentence(o->a, floors, &r[i]));
    report_text(o->page,
                str_print(o->a,
                          "The entropies are counted from %lld %s of %lld %s, %.1f for each on average.  Few "
                          "tokens make the baselines too low.",
                          (long long)floors->tokens, str_plural(floors->tokens, "token", "tokens"),
                          (long long)floors->texts, str_plural(floors->texts, "text", "texts"), floors->each));
    return OK;
}

/* ---- tables */

static const char *number(Arena *a, double v)
{
    return isfinite(v) ? str_print(a, "%.3g", v) : "";
}

/* Adds the verdict on each prefix, and the angles between the directions that prefixes add at layer 0. */
static void add_verdicts(Out *o)
{
    const TunedComparison *c = o->c;
    for (int i = 0; i < c->n; i++) {
        const char *sentence;
        if (!c->tuned[i].pair.virtual_keys) continue;
        ReportVerdict v = comparison_verdict(&sentence, &c->tuned[i], c->f64, o->a);
        report_verdict(o->page, v, "A prefix does not change the attention over the content", sentence);
    }
    Directions d;
    if (comparison_directions(&d, c, o->a, 0))
        report_text(o->page,
                    str_print(o->a,
                              "Mean directions that the virtual keys add at layer 0: the largest cosine of two "
                              "is %.3f, the least distance of one, scaled to length 1, from the span of the "
                              "others %.3f.",
                              d.cosine, d.apart));
    for (int i = 0; i < c->n; i++)
        for (int k = i + 1; k < c->n; k++) {
            double angle = comparison_angle(c, o->a, i, k, 0);
            if (isfinite(angle))
                report_text(
                    o->page,
                    str_print(o->a,
                              "The directions that %s and %s add at layer 0 span spaces with a mean principal "
                              "angle of %.1f degrees.",
                              c->tuned[i].name, c->tuned[k].name, angle));
        }
}

/* Adds the table of all measurements by model and layer, and the meaning of its columns. */
static void add_table(Out *o)
{
    static const char *const head[] = {
        "tuned", "layer", "max diff", "conditional",   "KL",         "TV",  "residual",
        "alpha", "rank",  "n_H n_S",  "participation", "logit rank", "CKA", "Procrustes"};
    enum { COLS = sizeof head / sizeof *head };
    const TunedComparison *c = o->c;
    int layers = c->tuned[0].pair.layers, rows = 0;
    const char **cell = NEW(o->a, const char *, c->n *layers *COLS), **x = cell;
    for (int i = 0; i < c->n; i++)
        for (int l = 0; l < layers; l++, rows++) {
            const LayerPair *p = &c->tuned[i].pair.layer[l];
            *x++ = c->tuned[i].name;
            *x++ = str_print(o->a, "%d", l);
            const double v[] = {p->change.gap, p->conditional, p->change.kl, p->change.tv, p->residual, p->alpha};
            for (int k = 0; k < 6; k++) *x++ = number(o->a, v[k]);
            *x++ = str_print(o->a, "%lld", (long long)p->rank);
            *x++ = p->most ? str_print(o->a, "%lld", (long long)p->most) : "";
            *x++ = number(o->a, p->participation);
            *x++ = p->logits >= 0 ? str_print(o->a, "%lld", (long long)p->logits) : "";
            *x++ = number(o->a, p->cka);
            *x++ = number(o->a, p->procrustes);
        }
    report_heading(o->page, 2, "Numbers");
    report_text(
        o->page,
        "max diff (maximum absolute difference), KL, TV (total variation): change of the content attention, "
        "renormalised. conditional: the maximum absolute difference when only this layer's virtual keys are removed. "
        "residual: their contribution minus the theorem's mixture, relative. alpha: mass on them. rank, "
        "participation: of the contribution of attention to the residual stream; n_H n_S (heads times virtual keys) "
        "bounds the rank, and no rank exceeds the number of tokens. logit rank: of the change of the attention "
        "logits, where none is masked.");
    report_table(o->page, NULL, COLS, head, rows, cell);
}

/* Adds the table of weight changes by linear layer, folded when it is long. */
static void add_weights(Out *o)
{
    static const char *const head[] = {"linear layer", "tuned", "relative", "rank", "participation", "angle"};
    const TunedComparison *c = o->c;
    int rows = 0;
    for (int i = 0; i < c->n; i++) rows += c->tuned[i].weights;
    if (!rows) return;
    const char **cell = NEW(o->a, const char *, rows * 6), **x = cell;
    for (int i = 0; i < c->n; i++)
        for (int k = 0; k < c->tuned[i].weights; k++) {
            const WeightChange *w = &c->tuned[i].weight[k];
            *x++ = w->name;
            *x++ = c->tuned[i].name;
            *x++ = number(o->a, w->relative);
            *x++ = str_print(o->a, "%lld", (long long)w->rank);
            *x++ = number(o->a, w->participation);
            *x++ = number(o->a, w->angle);
        }
    report_heading(o->page, 2, "Weights");
    report_text(
        o->page,
        "Change of each linear layer: its norm relative to the layer's, rank, participation ratio, and the mean "
        "principal angle in degrees between its leading directions (at most 8) and as many of the layer's own.");
    if (rows > 24) report_fold(o->page, str_print(o->a, "All %d linear layers", rows));
    report_table(o->page, NULL, 6, head, rows, cell);
    if (rows > 24) report_unfold(o->page);
}

/* Writes compare.csv, with a line for each layer and each of its heads. */
static Status write_csv(const Out *o)
{
    const TunedComparison *c = o->c;
    Writer w;
    TRY(writer_open(&w, str_print(o->a, "%s/compare.csv", o->dir)));
    writer_print(&w, "tuned,layer,head,gap,conditional,kl,tv,residual,alpha,rank,participation,cka,procrustes\r\n");
    for (int i = 0; i < c->n; i++)
        for (int l = 0; l < c->tuned[i].pair.layers; l++) {
            const LayerPair *p = &c->tuned[i].pair.layer[l];
            writer_csv(&w, c->tuned[i].name);
            writer_print(&w, ",%d,all", l);
            const double v[] = {p->change.gap, p->conditional,  p->change.kl,     p->change.tv, p->residual,
                                p->alpha,      (double)p->rank, p->participation, p->cka,       p->procrustes};
            for (int k = 0; k < 10; k++) writer_csv_number(&w, v[k]);
            writer_print(&w, "\r\n");
            for (int h = 0; h < c->tuned[i].pair.heads; h++) {
                writer_csv(&w, c->tuned[i].name);
                writer_print(&w, ",%d,%d", l, h);
                const double u[] = {p->head[h].gap, NAN, p->head[h].kl, p->head[h].tv, NAN, p->head_alpha[h]};
                for (int k = 0; k < 6; k++) writer_csv_number(&w, u[k]);
                writer_print(&w, ",,,,\r\n");
            }
        }
    return writer_close(&w);
}

/* Writes compare.csv, the figures and report.html below `dir`; *figures gets the figures' names. */
Status comparison_write(const TunedComparison *c, Arena *a, const char *dir, const char ***figures)
{
    Out o = {c, a, NULL, dir, NEW(a, const char *, 9 + COMPARED), 0};
    TRY(file_make_dir(str_print(a, "%s/figures", dir)));
    TRY(write_csv(&o));
    o.page = report_open(str_print(a, "%s/report.html", dir),
                         str_print(a, "Attention against %s", page_path_name(a, c->base)));
    report_lead(o.page, str_print(a, "%s \u00B7 %s \u00B7 %lld %s", c->arch, part_name(c->part),
                                  (long long)c->tokens->n, str_plural(c->tokens->n, "token", "tokens")));
    add_verdicts(&o);
    Status s = add_curves(&o);
    if (!s) s = add_heads(&o);
    if (!s) s = add_spectra(&o);
    if (!s) s = add_floors(&o);
    add_table(&o);
    add_weights(&o);
    Status closed = report_close(o.page);
    *figures = o.name;
    return s ? s : closed;
}

/* The order of the page is that of a reader's questions: what was read, where something stands out (layers by
 * heads, and what changed most against the base), then every map, layer by layer, then the numbers. */
#include "analysis/page.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/str.h"
#include "io/safetensors.h"
#include "plot/report.h"

typedef struct {
    const Attention *x;
    Arena *a;
    Report *page;
    const char *dir;
    const char **name; /* of figures drawn */
    int n;
} Out;

/* The figure `name` has been drawn below figures/: on the page with it. */
static void show(Out *o, const char *name, const char *caption)
{
    o->name[o->n++] = name;
    report_figure(o->page, str_print(o->a, "%s/figures/%s.svg", o->dir, name), caption);
}

static const char *stem(const Out *o, const char *name)
{
    return str_print(o->a, "%s/figures/%s", o->dir, name);
}

static const char *head_name(Arena *a, int head)
{
    return head == HEAD_MEAN ? "mean" : str_print(a, "%d", head);
}

static const char *part_title(Part p)
{
    static const char *const title[] = {[PART_ENCODER] = "encoder self-attention",
                                        [PART_DECODER] = "decoder self-attention",
                                        [PART_CROSS] = "cross-attention"};
    return title[p];
}

/* ---- what was read */

static const char *sentence(Arena *a, const Tokens *t)
{
    enum { SHOWN = 60 };
    Buf b = buf_open(a);
    for (int64_t i = 0; i < t->n && i < SHOWN; i++) buf_print(&b, "%s%s", i ? " | " : "", t->label[i]);
    if (t->n > SHOWN) buf_print(&b, " ... (%lld tokens)", (long long)t->n);
    return b.text;
}

static void add_facts(Out *o)
{
    const Attention *x = o->x;
    const Maps *m = &x->maps;
    const char *fact[8][2] = {{"model", x->model}};
    int n = 1;
    if (x->base) memcpy(fact[n++], (const char *[]){"compared with", x->base}, sizeof *fact);
    const char *const more[][2] = {
        {"architecture", x->arch},
        {"part", str_print(o->a, "%s: %d layers of %d heads", part_title(m->part), m->layers, m->heads)},
        {m->part == PART_CROSS ? "queries" : "tokens", sentence(o->a, &x->tokens)}};
    memcpy(fact[n], more, sizeof more);
    n += 3;
    if (m->part == PART_CROSS) memcpy(fact[n++], (const char *[]){"keys", sentence(o->a, &x->source)}, sizeof *fact);
    report_facts(o->page, n, (const char *const(*)[2])fact);
}

/* ---- at a glance */

typedef double Measure(const HeadRow *);
static double entropy(const HeadRow *r)
{
    return r->stats.entropy;
}
static double distance(const HeadRow *r)
{
    return r->stats.distance;
}
static double first(const HeadRow *r)
{
    return r->stats.first;
}
static double shift(const HeadRow *r)
{
    return r->shift;
}
static double entropy_change(const HeadRow *r)
{
    return r->stats.entropy - r->before.entropy;
}
static double first_change(const HeadRow *r)
{
    return r->stats.first - r->before.first;
}

static Tensor measured(const Out *o, Measure *of)
{
    Tensor t = tensor_new(o->a, F64, SHAPE(o->x->layers, o->x->heads));
    for (int i = 0; i < o->x->layers * o->x->heads; i++) tensor_set(t, i, of(&o->x->row[i]));
    return t;
}

static Status add_glances(Out *o)
{
    const Attention *x = o->x;
    if (x->layers * x->heads < 4 || x->head[0] == HEAD_MEAN) return OK;
    if (x->base) {
        const Glance g[] = {{measured(o, shift), "Shift", "of mass", false},
                            {measured(o, entropy_change), "\u0394 entropy", "nats", true},
                            {measured(o, first_change), "\u0394 first token", "mass", true}};
        TRY(draw_glances(stem(o, "heads"), o->a, 3, g, x->layer, x->head));
        show(o, "heads",
             "How far each head moved from the base: the share of attention that had to move (total variation "
             "distance), and the change of its entropy and of its mass on the first token, each the mean over rows.");
        return OK;
    }
    const Glance g[] = {{measured(o, entropy), "Entropy", "nats", false},
                        {measured(o, first), "First token", "mass", false},
                        {measured(o, distance), "Distance", "tokens", false}};
    TRY(draw_glances(stem(o, "heads"), o->a, x->maps.part == PART_CROSS ? 2 : 3, g, x->layer, x->head));
    show(o, "heads",
         x->maps.part == PART_CROSS
             ? "Every head in two numbers: entropy of its rows and mass on the first token."
             : "Every head in three numbers: entropy of its rows, mass on the first token, and mean distance between "
               "query and key.");
    return OK;
}

static int by_shift(const void *a, const void *b)
{
    const HeadRow *const *x = a, *const *y = b;
    if ((*x)->shift != (*y)->shift) return (*x)->shift < (*y)->shift ? 1 : -1;
    return (*x)->layer != (*y)->layer ? (*x)->layer - (*y)->layer : (*x)->head - (*y)->head;
}

static Status add_most_changed(Out *o)
{
    enum { SHOWN = 4 };
    static const char *const name[] = {"base", "model"};
    const Attention *x = o->x;
    int n = x->layers * x->heads;
    const HeadRow **order = NEW(o->a, const HeadRow *, n);
    for (int i = 0; i < n; i++) order[i] = &x->row[i];
    qsort(order, (size_t)n, sizeof *order, by_shift);
    if (n > SHOWN) n = SHOWN;
    MapPair pair[SHOWN];
    for (int i = 0; i < n; i++)
        pair[i] = (MapPair){order[i]->base, order[i]->map,
                            str_print(o->a, "L%d H%s", order[i]->layer, head_name(o->a, order[i]->head))};
    TRY(draw_pairs(stem(o, "changed"), o->a, &x->labels, name, n, pair));
    report_heading(o->page, 2, "What changed most");
    show(o, "changed",
         str_print(o->a,
                   "The %d head%s that moved furthest (L layer, H head): base, model, and model minus base. "
                   "Base and model share a scale; each row has its own.",
                   n, n == 1 ? "" : "s"));
    return OK;
}

/* ---- every map */

static Status add_grid(Out *o, int l, bool difference, double limit)
{
    const Attention *x = o->x;
    const HeadRow *row = x->row + l * x->heads;
    Tensor *map = NEW(o->a, Tensor, x->heads);
    const char **title = NEW(o->a, const char *, x->heads);
    for (int h = 0; h < x->heads; h++) {
        map[h] = difference ? maps_difference(o->a, row[h].map, row[h].base) : row[h].map;
        title[h] = row[h].head == HEAD_MEAN ? str_print(o->a, "Layer %d, mean", row[h].layer)
                                            : str_print(o->a, "Layer %d, head %d", row[h].layer, row[h].head);
    }
    const char *name = str_print(o->a, "layer-%d%s", x->layer[l], difference ? "-change" : "");
    const MapGrid grid = {x->heads, map, title, limit, difference};
    TRY(draw_grid(stem(o, name), o->a, &x->labels, &grid));
    const char *what = x->head[0] == HEAD_MEAN ? ", mean over heads" : "";
    show(o, name,
         difference ? str_print(o->a, "Layer %d%s: model minus base.", x->layer[l], what)
                    : str_print(o->a, "Layer %d%s: attention of each query (row) over the keys (columns).%s",
                                x->layer[l], what, x->maps.part == PART_DECODER ? "  Hatched: masked." : ""));
    return OK;
}

/* Where a scale ends: above 99 of 100 of all cells that are not zero, so that one token that takes everything does
 * not leave the rest pale.  The colour bar tells that there is more. */
static double limit_of(const Out *o, bool change)
{
    enum { BINS = 4096 };
    const int n = o->x->layers * o->x->heads;
    int64_t count[BINS] = {0}, all = 0, below = 0;
    Tensor *map = NEW(o->a, Tensor, n);
    double most = 0;
    int bin = 0;
    for (int i = 0; i < n; i++) {
        const HeadRow *r = &o->x->row[i];
        map[i] = change ? maps_difference(o->a, r->map, r->base) : r->map;
        most = fmax(most, maps_largest(map[i]));
    }
    if (!(most > 0)) return draw_limit(0);
    for (int i = 0; i < n; i++)
        for (int64_t k = 0; k < tensor_count(map[i]); k++) {
            double v = fabs(tensor_get(map[i], k));
            if (!(v > 0)) continue;
            count[(int)fmin(v / most * BINS, BINS - 1)]++;
            all++;
        }
    while (bin < BINS && (double)below < 0.99 * (double)all) below += count[bin++];
    return draw_limit(most * bin / BINS);
}

static Status add_layers(Out *o)
{
    const Attention *x = o->x;
    double limit = x->limit > 0 ? x->limit : limit_of(o, false), change = x->base ? limit_of(o, true) : 0;
    report_heading(o->page, 2, "Maps");
    report_text(o->page,
                "One colour scale serves all layers; an arrow on it says that some cells lie beyond its end.");
    for (int l = 0; l < x->layers; l++) {
        report_heading(o->page, 3, str_print(o->a, "Layer %d", x->layer[l]));
        if (x->base) TRY(add_grid(o, l, true, change));
        TRY(add_grid(o, l, false, limit));
    }
    return OK;
}

/* ---- numbers */

static const char *decimal(Arena *a, double v)
{
    return isfinite(v) ? str_print(a, "%.3f", v) : "";
}

static void add_numbers(Out *o)
{
    const char *const head[] = {"layer", "head", "entropy (nats)", "distance", "first", "prefix", "shift"};
    enum { COLS = sizeof head / sizeof *head };
    const Attention *x = o->x;
    bool has[COLS] = {true, true, true, x->maps.part != PART_CROSS, true, x->maps.prefix > 0, x->base != NULL};
    int rows = x->layers * x->heads, cols = 0;
    const char **cell = NEW(o->a, const char *, rows *COLS), *name[COLS];
    for (int j = 0; j < COLS; j++)
        if (has[j]) name[cols++] = head[j];
    for (int i = 0, k = 0; i < rows; i++) {
        const HeadRow *r = &x->row[i];
        const double value[COLS] = {0,       0, r->stats.entropy, r->stats.distance, r->stats.first, r->stats.prefix,
                                    r->shift};
        for (int j = 0; j < COLS; j++) {
            if (!has[j]) continue;
            cell[k++] = !j       ? str_print(o->a, "%d", r->layer)
                        : j == 1 ? head_name(o->a, r->head)
                                 : decimal(o->a, value[j]);
        }
    }
    report_heading(o->page, 2, "Numbers");
    report_text(
        o->page,
        "Means over rows. Entropy: of a row over all keys. Distance: between query and key in tokens, weighted "
        "by attention. First: mass on the first token. Shift: share of mass that would have to move to turn "
        "the base's row into the model's.");
    if (rows > 24) report_fold(o->page, str_print(o->a, "All %d heads", rows));
    report_table(o->page, NULL, cols, name, rows, cell);
    if (rows > 24) report_unfold(o->page);
}

static void write_number(Writer *w, double v)
{
    if (isfinite(v))
        writer_print(w, ",%.9g", v);
    else
        writer_print(w, ",");
}

static Status write_csv(const Out *o)
{
    const Attention *x = o->x;
    Writer w;
    TRY(writer_open(&w, str_print(o->a, "%s/heads.csv", o->dir)));
    writer_print(&w, "layer,head,entropy,distance,first,prefix%s\r\n",
                 x->base ? ",base_entropy,base_distance,base_first,base_prefix,shift" : "");
    for (int i = 0; i < x->layers * x->heads; i++) {
        const HeadRow *r = &x->row[i];
        writer_print(&w, "%d,%s", r->layer, head_name(o->a, r->head));
        const HeadStats *s[] = {&r->stats, &r->before};
        for (int k = 0; k < (x->base ? 2 : 1); k++) {
            write_number(&w, s[k]->entropy);
            write_number(&w, s[k]->distance);
            write_number(&w, s[k]->first);
            write_number(&w, s[k]->prefix);
        }
        if (x->base) write_number(&w, r->shift);
        writer_print(&w, "\r\n");
    }
    return writer_close(&w);
}

/* The maps themselves, for whoever wants to compute with them: layer.L.head.H and base.layer.L.head.H. */
static Status write_maps(const Out *o)
{
    const Attention *x = o->x;
    int rows = x->layers * x->heads, n = 0;
    Named *out = NEW(o->a, Named, 2 * rows);
    for (int i = 0; i < rows; i++) {
        const HeadRow *r = &x->row[i];
        const char *name = str_print(o->a, "layer.%d.head.%s", r->layer, head_name(o->a, r->head));
        out[n++] = (Named){name, tensor_cast(o->a, r->map, F32)};
        if (x->base) out[n++] = (Named){str_print(o->a, "base.%s", name), tensor_cast(o->a, r->base, F32)};
    }
    return safetensors_write(str_print(o->a, "%s/maps.safetensors", o->dir), out, n, NULL, 0);
}

static Status write_page(Out *o)
{
    add_facts(o);
    TRY(add_glances(o));
    if (o->x->base) TRY(add_most_changed(o));
    TRY(add_layers(o));
    add_numbers(o);
    return OK;
}

/* The last name of a path, for titles. */
static const char *last_of(Arena *a, const char *path)
{
    size_t end = strlen(path), begin;
    while (end > 1 && path[end - 1] == '/') end--;
    for (begin = end; begin > 0 && path[begin - 1] != '/';) begin--;
    return begin < end ? str_copy(a, path + begin, end - begin) : path;
}

Status attention_write(const Attention *x, Arena *a, const char *dir, const char ***figures)
{
    Out o = {x, a, NULL, dir, NEW(a, const char *, 2 * x->layers + 3), 0};
    TRY(file_make_dir(str_print(a, "%s/figures", dir)));
    TRY(write_csv(&o));
    TRY(write_maps(&o));
    const char *name = last_of(a, x->model);
    const char *title = x->base ? str_print(a, "Attention of %s against %s", name, last_of(a, x->base))
                                : str_print(a, "Attention of %s", name);
    o.page = report_open(str_print(a, "%s/report.html", dir), title);
    report_lead(o.page, str_print(a, "%s \u00B7 %s \u00B7 %lld queries, %lld keys", x->arch, part_title(x->maps.part),
                                  (long long)x->maps.t, (long long)x->maps.s));
    Status drawn = write_page(&o), closed = report_close(o.page);
    *figures = o.name;
    return drawn ? drawn : closed;
}

/* The page begins with the input and an overview (layers by heads, and the largest changes from the base).  Then it
 * has every map, layer by layer, and last the numbers. */
#include "analysis/page.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/str.h"
#include "io/safetensors.h"
#include "plot/report.h"
#include "run/experiment.h"

/* Bytes of the page that maps may fill, few enough that a browser opens it without a wait. */
enum { MOST = 20000000 };

typedef struct {
    const PageAttention *x;
    Arena *a;
    Report *page;
    const char *dir;
    const char **name; /* of figures drawn */
    int n;
} Out;

static const char *path(const Out *o, const char *name)
{
    return figure_path(o->a, o->dir, name, o->x->format);
}

/* Writes the figure `name`, and puts it on the page. */
static Status show(Out *o, const char *name, Fig *f, const char *caption)
{
    o->name[o->n++] = name;
    return report_drawn(o->page, f, caption);
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

/* ---- input */

static const char *sentence(Arena *a, const Tokens *t)
{
    enum { SHOWN = 60 };
    Buf b = buf_open(a);
    for (int64_t i = 0; i < t->n && i < SHOWN; i++) buf_print(&b, "%s%s", i ? " | " : "", t->label[i]);
    if (t->n > SHOWN) buf_print(&b, " ... (%lld tokens)", (long long)t->n);
    return b.text;
}

const char *page_rows_name(const PageAttention *x, Arena *a)
{
    return x->without_prefix ? str_print(a, "%s without prefix", BY_NAME[x->by]) : BY_NAME[x->by];
}

static const char *aggregated(const Out *o)
{
    return str_print(o->a, "by %s: queries of a %s are averaged, keys of one are summed", BY_NAME[o->x->by],
                     BY_ONE[o->x->by]);
}

/* Adds the facts at the head of the page: model, base, architecture, tokens and how they were grouped. */
static void add_facts(Out *o)
{
    const PageAttention *x = o->x;
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
    if (x->by) memcpy(fact[n++], (const char *[]){"aggregated", aggregated(o)}, sizeof *fact);
    if (x->without_prefix)
        memcpy(fact[n++], (const char *[]){"prefix", "removed; each row is renormalised"}, sizeof *fact);
    report_facts(o->page, n, (const char *const(*)[2])fact);
}

/* ---- at a glance */

/* Metric k of every head; less: minus the base's. */
static Tensor measured(const Out *o, int k, bool less)
{
    Tensor t = tensor_new(o->a, F64, SHAPE(o->x->layers, o->x->heads));
    for (int i = 0; i < o->x->layers * o->x->heads; i++) {
        const HeadRow *r = &o->x->row[i];
        tensor_set(t, i, stat_of(&r->stats, k) - (less ? stat_of(&r->before, k) : 0));
    }
    return t;
}

static Tensor shifts(const Out *o)
{
    Tensor t = tensor_new(o->a, F64, SHAPE(o->x->layers, o->x->heads));
    for (int i = 0; i < o->x->layers * o->x->heads; i++) tensor_set(t, i, o->x->row[i].shift);
    return t;
}

static int number(const char *name)
{
    for (int k = 0; k < STATS; k++)
        if (!strcmp(STAT[k].name, name)) return k;
    CHECK(false, "unknown metric %s", name);
    return 0;
}

/* "First token" is the first word where rows are words. */
static const char *title_of(const Out *o, int k)
{
    static const char END[] = " token";
    const char *title = STAT[k].title, *one = BY_ONE[o->x->by];
    size_t n = strlen(title), end = sizeof END - 1;
    bool token = n > end && !strcmp(title + n - end, END);
    return token ? str_print(o->a, "%.*s %s", (int)(n - end), title, one) : title;
}

static const char *unit_of(const Out *o, int k)
{
    return strcmp(STAT[k].unit, BY_NAME[BY_TOKENS]) != 0 ? STAT[k].unit : BY_NAME[o->x->by];
}

static Glance glance(const Out *o, const char *name)
{
    const int k = number(name);
    return (Glance){measured(o, k, false), title_of(o, k), unit_of(o, k), STAT[k].sign};
}

/* The patterns of well-known heads, where there was room to measure them, and the importance of heads for
 * the loss. */
static Status add_more_glances(Out *o)
{
    const PageAttention *x = o->x;
    bool has[STATS];
    attention_columns(has, x);
    if (has[number("repeat_induction")]) {
        const Glance g[] = {glance(o, "repeat_previous"), glance(o, "repeat_duplicate"),
                            glance(o, "repeat_induction")};
        Fig *f = draw_glances(path(o, "patterns"), o->a, 3, g, x->layer, x->head);
        TRY(show(
            o, "patterns", f,
            "On random sequences that repeat once: mass on the previous token, on an earlier copy of the query, and "
            "on the token after an earlier copy (induction), each the mean over the rows that have such a key."));
    }
    if (has[number("zeroed")]) {
        const Glance g[] = {glance(o, "zeroed"), glance(o, "gradient")};
        Fig *f = draw_glances(path(o, "importance"), o->a, 2, g, x->layer, x->head);
        TRY(show(o, "importance", f,
                 "Head importance: the change of the loss when the head's output is set to zero (zero ablation), and "
                 "the absolute derivative of the loss by a factor of the head's output."));
    }
    if (x->number >= 0 && has[x->number]) {
        const Glance g = {measured(o, x->number, x->base), title_of(o, x->number), unit_of(o, x->number),
                          STAT[x->number].sign || x->base};
        const char *name = str_print(o->a, "number-%s", STAT[x->number].name);
        Fig *f = draw_glances(path(o, name), o->a, 1, &g, x->layer, x->head);
        TRY(show(
            o, name, f,
            str_print(o->a, "%s of every head%s.", title_of(o, x->number), x->base ? ", minus the base's" : "")));
    }
    return OK;
}

/* Mass on the prefix at each position: rows are layers, mean over the heads chosen. */
static Status add_prefix(Out *o)
{
    const PageAttention *x = o->x;
    if (!x->maps.prefix) return OK;
    Tensor t = tensor_zero(o->a, F64, SHAPE(x->layers, x->maps.t));
    const char **row = NEW(o->a, const char *, x->layers);
    for (int l = 0; l < x->layers; l++) {
        row[l] = str_print(o->a, "%d", x->layer[l]);
        for (int h = 0; h < x->heads; h++)
            for (int64_t i = 0; i < x->maps.t; i++) {
                double mass = tensor_get(t, l * x->maps.t + i);
                for (int64_t j = 0; j < x->maps.prefix; j++)
                    mass += tensor_get(x->row[l * x->heads + h].map, i * x->maps.s + j) / x->heads;
                tensor_set(t, l * x->maps.t + i, mass);
            }
    }
    Fig *f = fig_open(path(o, "prefix"), 500, 110 + 16.0 * x->layers);
    fig_heatmap(f, fig_whole(f), t,
                (HeatStyle){.title = "Mass on the prefix",
                            .hi = 1,
                            .row = row,
                            .col = x->labels.row,
                            .row_title = "layer",
                            .col_title = "query",
                            .bar = true,
                            .bar_title = "mass",
                            .stretch = true});
    TRY(show(o, "prefix", f, "Attention to the prefix at each position of the text, mean over heads."));
    return OK;
}

/* Draws attention through all layers: rollout, flow and relevance, where they were computed. */
static Status add_through(Out *o)
{
    const PageAttention *x = o->x;
    Tensor map[3];
    const char *title[3];
    int n = 0;
    if (!x->rollout.data) return OK;
    MapLabels l = x->labels;
    l.s = l.t, l.prefix = 0, l.col = l.row, l.row_title = "last layer", l.col_title = "input";
    map[n] = x->rollout, title[n++] = "Rollout";
    if (x->flow.data) map[n] = x->flow, title[n++] = "Flow";
    if (x->relevance.data) map[n] = x->relevance, title[n++] = "Relevance to the loss";
    double most = 0;
    for (int k = 0; k < n; k++) most = fmax(most, maps_largest(map[k]));
    const MapGrid grid = {n, map, title, draw_limit(most), false};
    Fig *f = draw_grid(path(o, "through"), o->a, &l, &grid);
    report_heading(o->page, 2, "Through all layers");
    TRY(show(
        o, "through", f,
        "How much of each input reaches each position of the last layer, by rows that sum to one: attention rollout"
        " and attention flow (Abnar and Zuidema 2020), and with --sweep weighted by the gradient of the loss "
        "(Chefer et al. 2021)."));
    return OK;
}

/* Draws all heads in two or three statistics, or their change from the base. */
static Status add_glances(Out *o)
{
    const PageAttention *x = o->x;
    if (x->layers * x->heads < 4 || x->head[0] == HEAD_MEAN) return OK;
    if (x->base) {
        const Glance g[] = {
            {shifts(o), "Shift", "of mass", false},
            {measured(o, number("entropy"), true), "\u0394 entropy", "nats", true},
            {measured(o, number("first"), true), str_print(o->a, "\u0394 first %s", BY_ONE[x->by]), "mass", true}};
        Fig *f = draw_glances(path(o, "heads"), o->a, x->maps.unordered ? 2 : 3, g, x->layer, x->head);
        TRY(show(
            o, "heads", f,
            str_print(o->a,
                      "The change of each head from the base: the fraction of attention that moved (total "
                      "variation distance), and the change of its entropy%s, each the mean over rows.",
                      x->maps.unordered ? "" : str_print(o->a, " and of its mass on the first %s", BY_ONE[x->by]))));
        return add_more_glances(o);
    }
    const Glance g[] = {glance(o, "entropy"), glance(o, x->maps.unordered ? "special" : "first"),
                        glance(o, x->maps.unordered ? "changed" : "distance")};
    bool two = x->maps.unordered ? !x->maps.changed : x->maps.part == PART_CROSS;
    Fig *f = draw_glances(path(o, "heads"), o->a, two ? 2 : 3, g, x->layer, x->head);
    const char *second = x->maps.unordered ? "special tokens" : str_print(o->a, "the first %s", BY_ONE[x->by]);
    const char *third = x->maps.unordered ? "mass on changed lines" : "mean distance between query and key";
    TRY(show(o, "heads", f,
             two ? str_print(o->a, "Every head in two numbers: entropy of its rows and mass on %s.", second)
                 : str_print(o->a, "Every head in three numbers: entropy of its rows, mass on %s, and %s.", second,
                             third)));
    return add_more_glances(o);
}

static int by_shift(const void *a, const void *b)
{
    const HeadRow *const *x = a, *const *y = b;
    if ((*x)->shift != (*y)->shift) return (*x)->shift < (*y)->shift ? 1 : -1;
    return (*x)->layer != (*y)->layer ? (*x)->layer - (*y)->layer : (*x)->head - (*y)->head;
}

/* Draws the four heads that differ most from the base, with their differences. */
static Status add_most_changed(Out *o)
{
    enum { SHOWN = 4 };
    static const char *const name[] = {"base", "model"};
    const PageAttention *x = o->x;
    int n = x->layers * x->heads;
    const HeadRow **order = NEW(o->a, const HeadRow *, n);
    for (int i = 0; i < n; i++) order[i] = &x->row[i];
    qsort(order, (size_t)n, sizeof *order, by_shift);
    if (n > SHOWN) n = SHOWN;
    MapPair pair[SHOWN];
    for (int i = 0; i < n; i++)
        pair[i] = (MapPair){order[i]->base, order[i]->map,
                            str_print(o->a, "L%d H%s", order[i]->layer, head_name(o->a, order[i]->head))};
    Fig *f = draw_pairs(path(o, "changed"), o->a, &x->labels, name, n, pair);
    report_heading(o->page, 2, "Largest changes");
    TRY(show(o, "changed", f,
             str_print(o->a,
                       "The %d head%s with the largest change (L layer, H head): base, model, and model minus base. "
                       "Base and model share a scale; each row has its own.",
                       n, n == 1 ? "" : "s")));
    return OK;
}

/* ---- every map */

/* A layer's maps, or their differences from the base. */
typedef struct {
    int layer;
    const char *name, *caption;
} Sheet;

static Sheet sheet_of(const Out *o, int layer, bool difference)
{
    const PageAttention *x = o->x;
    Sheet s = {.layer = layer, .name = str_print(o->a, "layer-%d%s", layer, difference ? "-change" : "")};
    const char *mean = x->head[0] == HEAD_MEAN ? ", mean over heads" : "", *one = BY_ONE[x->by];
    const char *query = x->by ? str_print(o->a, "query %s (row: the mean of its tokens)", one) : "query (row)";
    const char *key =
        x->by ? str_print(o->a, "key %s (columns: the sum over its tokens)", BY_NAME[x->by]) : "keys (columns)";
    s.caption = difference ? str_print(o->a, "Layer %d%s: model minus base.", layer, mean)
                           : str_print(o->a, "Layer %d%s: attention of each %s over the %s.%s", layer, mean, query,
                                       key, x->labels.causal ? "  Hatched: masked." : "");
    return s;
}

static MapGrid grid_of(const Out *o, int l, const Tensor *map, bool difference, double limit)
{
    const PageAttention *x = o->x;
    const HeadRow *row = x->row + l * x->heads;
    const char **title = NEW(o->a, const char *, x->heads);
    for (int h = 0; h < x->heads; h++)
        title[h] = row[h].head == HEAD_MEAN ? str_print(o->a, "Layer %d, mean", row[h].layer)
                                            : str_print(o->a, "Layer %d, head %d", row[h].layer, row[h].head);
    return (MapGrid){x->heads, map + l * x->heads, title, limit, difference};
}

typedef struct {
    Out *o;
    const Sheet *sheet;
} Sheets;

static Status show_sheet(Fig *f, int i, void *user)
{
    const Sheets *s = user;
    const Sheet *one = &s->sheet[i];
    Out *o = s->o;
    if (!i || one[-1].layer != one->layer) report_heading(o->page, 3, str_print(o->a, "Layer %d", one->layer));
    TRY(show(o, one->name, f, one->caption));
    return run_stopped() ? run_interrupted() : OK;
}

/* The limits of the scales; the colour bars show whether there are values beyond them. */
static Status add_layers(Out *o)
{
    const PageAttention *x = o->x;
    const int heads = x->layers * x->heads;
    Tensor *map = NEW(o->a, Tensor, 2 * heads), *change = map + heads;
    for (int i = 0; i < heads; i++) {
        map[i] = x->row[i].map;
        if (x->base) change[i] = maps_difference(o->a, x->row[i].map, x->row[i].base);
    }
    double limit = x->limit > 0 ? x->limit : draw_limit_of(heads, map);
    double moved = x->base ? draw_limit_of(heads, change) : 0;
    Sheet *sheet = NEW(o->a, Sheet, 2 * x->layers);
    const char **to = NEW(o->a, const char *, 2 * x->layers);
    MapGrid *grid = NEW(o->a, MapGrid, 2 * x->layers);
    int n = 0;
    for (int l = 0; l < x->layers; l++)
        for (int difference = x->base != NULL; difference >= 0; difference--) {
            sheet[n] = sheet_of(o, x->layer[l], difference);
            to[n] = path(o, sheet[n].name);
            grid[n++] = grid_of(o, l, difference ? change : map, difference, difference ? moved : limit);
        }
    report_heading(o->page, 2, "Maps");
    report_text(o->page,
                "All layers share one colour scale; an arrow on it shows that some cells lie beyond its end.");
    report_limit(o->page, x->most ? x->most : MOST);
    return draw_grids(n, to, &x->labels, grid, show_sheet, &(Sheets){o, sheet});
}

/* ---- numbers */

static const char *decimal(Arena *a, double v)
{
    return isfinite(v) ? str_print(a, "%.3f", v) : "";
}

void attention_columns(bool has[STATS], const PageAttention *x)
{
    for (int k = 0; k < STATS; k++) {
        has[k] = false;
        for (int i = 0; i < x->layers * x->heads; i++) has[k] |= isfinite(stat_of(&x->row[i].stats, k));
        if (!strcmp(STAT[k].name, "prefix")) has[k] = x->maps.prefix > 0;
        if (!strcmp(STAT[k].name, "next") && x->maps.part == PART_DECODER) has[k] = false; /* masked */
    }
}

/* Adds the table of all statistics by head, and the meaning of its columns. */
static void add_numbers(Out *o)
{
    const PageAttention *x = o->x;
    const char *name[STATS + 3] = {"layer", "head"};
    bool has[STATS];
    attention_columns(has, x);
    int rows = x->layers * x->heads, cols = 2;
    for (int k = 0; k < STATS; k++)
        if (has[k]) name[cols++] = STAT[k].brief;
    if (x->base) name[cols++] = "shift";
    const char **cell = NEW(o->a, const char *, rows *cols), **c = cell;
    for (int i = 0; i < rows; i++) {
        const HeadRow *r = &x->row[i];
        *c++ = str_print(o->a, "%d", r->layer);
        *c++ = head_name(o->a, r->head);
        for (int k = 0; k < STATS; k++)
            if (has[k]) *c++ = decimal(o->a, stat_of(&r->stats, k));
        if (x->base) *c++ = decimal(o->a, r->shift);
    }
    report_heading(o->page, 2, "Numbers");
    report_text(
        o->page,
        str_print(o->a,
                  "Means over rows, which are %s. entropy: of a row over all keys, in nats. distance: between query "
                  "and key in %s, weighted by attention. first: mass on the first %s%s.",
                  page_rows_name(x, o->a), BY_NAME[x->by], BY_ONE[x->by],
                  x->by ? "; a token around the text counts as one" : ""));
    report_text(
        o->page,
        "special, changed, prefix: mass on special tokens, on added and removed lines of a change, on the "
        "prefix. diag, prev, next: mass on the token itself and its neighbours. ident, dup: on other tokens "
        "with the query's id, on earlier ones; induct: behind an earlier one; r.: the same on random sequences "
        "that repeat. ablated: the loss without the head minus the loss; gradient: the derivative of the loss by a "
        "factor of the head. shift: fraction of mass that would have to move to turn the base's row into the "
        "model's.");
    if (rows > 24) report_fold(o->page, str_print(o->a, "All %d heads", rows));
    report_table(o->page, NULL, cols, name, rows, cell);
    if (rows > 24) report_unfold(o->page);
}

/* Writes heads.csv, with a line for each head, and the base's statistics beside the model's. */
static Status write_csv(const Out *o)
{
    const PageAttention *x = o->x;
    Writer w;
    TRY(writer_open(&w, str_print(o->a, "%s/heads.csv", o->dir)));
    writer_print(&w, "layer,head");
    for (int base = 0; base < (x->base ? 2 : 1); base++)
        for (int k = 0; k < STATS; k++) writer_print(&w, ",%s%s", base ? "base_" : "", STAT[k].name);
    writer_print(&w, "%s,rows\r\n", x->base ? ",shift" : "");
    for (int i = 0; i < x->layers * x->heads; i++) {
        const HeadRow *r = &x->row[i];
        writer_print(&w, "%d,%s", r->layer, head_name(o->a, r->head));
        for (int base = 0; base < (x->base ? 2 : 1); base++)
            for (int k = 0; k < STATS; k++) writer_csv_number(&w, stat_of(base ? &r->before : &r->stats, k));
        if (x->base) writer_csv_number(&w, r->shift);
        writer_print(&w, ",%s\r\n", page_rows_name(x, o->a));
    }
    return writer_close(&w);
}

/* The maps themselves, for other programs: layer.L.head.H and base.layer.L.head.H. */
static Status write_maps(const Out *o)
{
    const PageAttention *x = o->x;
    int rows = x->layers * x->heads, n = 0;
    Named *out = NEW(o->a, Named, 2 * rows + 3);
    for (int i = 0; i < rows; i++) {
        const HeadRow *r = &x->row[i];
        const char *name = str_print(o->a, "layer.%d.head.%s", r->layer, head_name(o->a, r->head));
        out[n++] = (Named){name, tensor_cast(o->a, r->map, F32)};
        if (x->base) out[n++] = (Named){str_print(o->a, "base.%s", name), tensor_cast(o->a, r->base, F32)};
    }
    if (x->rollout.data) out[n++] = (Named){"rollout", tensor_cast(o->a, x->rollout, F32)};
    if (x->flow.data) out[n++] = (Named){"flow", tensor_cast(o->a, x->flow, F32)};
    if (x->relevance.data) out[n++] = (Named){"relevance", tensor_cast(o->a, x->relevance, F32)};
    return safetensors_write(str_print(o->a, "%s/maps.safetensors", o->dir), out, n,
                             &(Meta){"rows", page_rows_name(x, o->a)}, 1);
}

static Status write_page(Out *o)
{
    add_facts(o);
    TRY(add_glances(o));
    if (o->x->base) TRY(add_most_changed(o));
    TRY(add_prefix(o));
    TRY(add_through(o));
    TRY(add_layers(o));
    add_numbers(o);
    return OK;
}

/* The last name of a path, for titles. */
const char *page_path_name(Arena *a, const char *path)
{
    size_t end = strlen(path), begin;
    while (end > 1 && path[end - 1] == '/') end--;
    for (begin = end; begin > 0 && path[begin - 1] != '/';) begin--;
    return begin < end ? str_copy(a, path + begin, end - begin) : path;
}

Status attention_write(const PageAttention *x, Arena *a, const char *dir, const char ***figures)
{
    Out o = {x, a, NULL, dir, NEW(a, const char *, 2 * x->layers + 8), 0};
    TRY(file_make_dir(str_print(a, "%s/figures", dir)));
    TRY(write_csv(&o));
    TRY(write_maps(&o));
    const char *name = page_path_name(a, x->model);
    const char *title = x->base ? str_print(a, "Attention of %s against %s", name, page_path_name(a, x->base))
                                : str_print(a, "Attention of %s", name);
    o.page = report_open(str_print(a, "%s/report.html", dir), title);
    const char *by = x->by ? str_print(a, " by %s", BY_NAME[x->by]) : "",
               *bare = x->without_prefix ? ", no prefix" : "";
    report_lead(o.page, str_print(a, "%s \u00B7 %s \u00B7 %lld %s, %lld %s%s%s", x->arch, part_title(x->maps.part),
                                  (long long)x->maps.t, str_plural(x->maps.t, "query", "queries"),
                                  (long long)x->maps.s, str_plural(x->maps.s, "key", "keys"), by, bare));
    Status drawn = write_page(&o), closed = report_close(o.page);
    *figures = o.name;
    return drawn ? drawn : closed;
}

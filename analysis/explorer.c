/* The page is analysis/explorer/page.html with the style, the scripts and the data put where it names them.  Data are
 * JSON in which `<` is always escaped, so that no token ends the element they stand in. */
#include "analysis/explorer.h"

#include <math.h>
#include <string.h>

#include "analysis/view.h"
#include "base/dirs.h"
#include "base/file.h"
#include "base/print.h"
#include "io/json.h"
#include "plot/colour.h"

/* The assembler puts the files in as they are, each with a final NUL. */
#define FILE_TEXT(name, path)                                                                                        \
    extern const char name[];                                                                                        \
    __asm__(".pushsection .rodata\n.global " #name "\n" #name ":\n.incbin \"" path "\"\n.byte 0\n.popsection\n")
FILE_TEXT(explorer_page, "analysis/explorer/page.html");
FILE_TEXT(explorer_style, "analysis/explorer/style.css");
FILE_TEXT(explorer_draw, "analysis/explorer/draw.js");
FILE_TEXT(explorer_script, "analysis/explorer/explorer.js");

struct Explorer {
    Ask *k;
    Writer w;
    const char *rest; /* of the page, behind the data */
    int64_t cells, texts, left_out;
};

/* ---- numbers as text
 *
 * Symbols are printable characters behind `"`, without `<` and `\`.  A value below ONE is one symbol; a larger one is
 * two, and so is a run of zeros, which is written as a number above the largest value. */

enum { STEP = 2048, SYMBOLS = 90, ONE = 66, LONGEST_RUN = ONE + (SYMBOLS - ONE) * SYMBOLS - 1 - STEP };

typedef struct {
    char text[8192];
    size_t n;
    int zeros;
    Writer *w;
} Code;

static char symbol(int k)
{
    int c = '#' + k;
    c += c >= '<';
    return (char)(c + (c >= '\\'));
}

static void put(Code *c, int v)
{
    if (c->n + 2 > sizeof c->text) {
        writer_add(c->w, c->text, c->n);
        c->n = 0;
    }
    if (v >= ONE) {
        c->text[c->n++] = symbol(ONE + (v - ONE) / SYMBOLS);
        v = (v - ONE) % SYMBOLS;
    }
    c->text[c->n++] = symbol(v);
}

/* Decoding reads a run of n zeros at the first of them: n is 1 where there is no run. */
static void put_zeros(Code *c)
{
    if (c->zeros) put(c, c->zeros == 1 ? 0 : STEP + c->zeros - 1);
    c->zeros = 0;
}

static void put_value(Code *c, int v)
{
    if (v) {
        put_zeros(c);
        put(c, v);
    } else if (++c->zeros == LONGEST_RUN) {
        put_zeros(c);
    }
}

static void put_share(Code *c, Tensor map, int64_t from, int64_t to, double whole)
{
    for (int64_t i = from; i < to; i++) {
        double v = whole > 0 ? tensor_get(map, i) / whole : 0;
        put_value(c, (int)lrint(fmin(fmax(v, 0), 1) * STEP));
    }
}

static double sum(Tensor map, int64_t from, int64_t to)
{
    double s = 0;
    for (int64_t i = from; i < to; i++) s += tensor_get(map, i);
    return s;
}

/* Masked cells are left out. */
static void write_map(Writer *w, const Maps *m, Tensor map)
{
    Code c = {.w = w};
    writer_add(w, "\"", 1);
    for (int64_t i = 0; i < m->t; i++) {
        int64_t row = i * m->s, text = row + m->prefix, end = row + m->s;
        if (maps_causal(m) && text + i + 1 < end) end = text + i + 1;
        double prefix = sum(map, row, text), content = sum(map, text, end);
        if (m->prefix) {
            double mass = prefix + content > 0 ? prefix / (prefix + content) * STEP : 0;
            put_value(&c, (int)floor(mass));
            put_value(&c, (int)lrint((mass - floor(mass)) * STEP));
            put_share(&c, map, row, text, prefix);
        }
        put_share(&c, map, text, end, content);
    }
    put_zeros(&c);
    writer_add(w, c.text, c.n);
    writer_add(w, "\"", 1);
}

/* ---- the rest of the data */

static void write_text(Explorer *e, Arena *a, const char *s)
{
    Buf b = buf_open(a);
    json_quote(&b, s);
    for (const char *c = b.text; *c; c++) {
        if (*c == '<')
            writer_print(&e->w, "\\u003c");
        else
            writer_add(&e->w, c, 1);
    }
}

/* A name, which the page shows as it is.  The page makes control characters of tokens visible. */
static void write_member(Explorer *e, Arena *a, const char *name, const char *text)
{
    writer_print(&e->w, "\"%s\":", name);
    if (text)
        write_text(e, a, text_shown(a, text));
    else
        writer_print(&e->w, "null");
    writer_print(&e->w, ",");
}

static void write_labels(Explorer *e, Arena *a, const char *name, const Groups *g)
{
    writer_print(&e->w, ",\"%s\":[", name);
    for (int64_t i = 0; i < g->n; i++) {
        writer_print(&e->w, i ? "," : "");
        write_text(e, a, g->label[i]);
    }
    writer_print(&e->w, "]");
}

static void write_colours(Explorer *e, const char *name, ColourMap map)
{
    enum { COLOURS = 129 };
    writer_print(&e->w, "\"%s\":\"", name);
    for (int i = 0; i < COLOURS; i++) {
        Rgb c = colour_map(map, i / (COLOURS - 1.0));
        writer_print(&e->w, "%02lx%02lx%02lx", lrint(255 * c.r), lrint(255 * c.g), lrint(255 * c.b));
    }
    writer_print(&e->w, "\",");
}

/* Those chosen that the part has, which may be fewer than another part's; *n: how many. */
static int *chosen_of(Arena *a, const int *chosen, int all, int most, int *n)
{
    int *out = NEW(a, int, all);
    *n = 0;
    for (int i = 0; i < all; i++)
        if (chosen[i] < most) out[(*n)++] = chosen[i];
    return out;
}

static void write_numbers(Explorer *e, const char *name, const int *value, int n)
{
    writer_print(&e->w, ",\"%s\":[", name);
    for (int i = 0; i < n; i++) {
        writer_print(&e->w, i ? "," : "");
        if (value[i] == HEAD_MEAN)
            writer_print(&e->w, "\"mean\"");
        else
            writer_print(&e->w, "%d", value[i]);
    }
    writer_print(&e->w, "]");
}

static void write_heads(Explorer *e, const char *name, const Maps *m, const Tensor *map, int n)
{
    writer_print(&e->w, ",\"%s\":[", name);
    for (int i = 0; i < n; i++) {
        if (i) writer_print(&e->w, ",\n");
        write_map(&e->w, m, map[i]);
    }
    writer_print(&e->w, "]");
}

typedef struct {
    Part part;
    const Tokens *rows, *cols;
    View view;
} Shown;

/* Writes the maps of one attention kind as JSON: labels, layers, heads, colour limits and values. */
static Status write_part(Explorer *e, Arena *a, const Batch *b, const Shown *of, int *parts)
{
    Ask *k = e->k;
    const PageAttention *x = &k->x;
    const bool have = k->read[0].probs && of->part == x->maps.part;
    Maps m = k->read[0], base = k->read[1];
    if (!have) TRY(ask_read(k, a, b, of->part, of->rows->n, &m, &base));
    int layers, heads;
    const int *layer = chosen_of(a, x->layer, x->layers, m.layers, &layers),
              *head = chosen_of(a, x->head, x->heads, m.heads, &heads);
    const int n = layers * heads;
    if (!n) return OK;
    Tensor *map = NEW(a, Tensor, 3 * n), *before = map + n, *change = before + n;
    for (int i = 0; i < n; i++) {
        map[i] = view_map(a, &of->view, maps_head(&m, a, layer[i / heads], head[i % heads]), m.prefix);
        if (!k->other) continue;
        before[i] = view_map(a, &of->view, maps_head(&base, a, layer[i / heads], head[i % heads]), m.prefix);
        change[i] = maps_difference(a, map[i], before[i]);
    }
    view_maps(&of->view, &m);
    writer_print(&e->w, "%s{\"part\":\"%s\",\"prefix\":%lld,\"causal\":%s", (*parts)++ ? ",\n" : "",
                 part_name(of->part), (long long)m.prefix, maps_causal(&m) ? "true" : "false");
    write_labels(e, a, "rows", &of->view.row);
    if (of->cols != of->rows) write_labels(e, a, "cols", &of->view.col);
    write_numbers(e, "layers", layer, layers);
    write_numbers(e, "heads", head, heads);
    double most = x->limit > 0 ? x->limit : draw_limit_of(n, map);
    writer_print(&e->w, ",\"limit\":[%.6g,%.6g]", most, k->other ? draw_limit_of(n, change) : 1);
    write_heads(e, "maps", &m, map, n);
    if (k->other) write_heads(e, "base", &m, before, n);
    writer_print(&e->w, "}");
    return OK;
}

/* ---- the page */

/* Writes the page up to a placeholder, which it skips. */
static void write_until(Explorer *e, const char *name)
{
    const char *at = strstr(e->rest, name);
    CHECK(at, "page.html has no %s", name);
    writer_add(&e->w, e->rest, (size_t)(at - e->rest));
    e->rest = at + strlen(name);
}

Status explorer_open(Explorer **out, Ask *k, const char *path)
{
    Arena *a = k->arena;
    const PageAttention *x = &k->x;
    const char *name = page_path_name(a, x->model);
    Explorer *e = *out = NEW(a, Explorer, 1);
    const char *title = x->base ? str_print(a, "Attention of %s against %s", name, page_path_name(a, x->base))
                                : str_print(a, "Attention of %s", name);
    e->k = k;
    e->rest = explorer_page;
    if (strchr(path, '/')) TRY(dirs_make(str_copy(a, path, (size_t)(strrchr(path, '/') - path))));
    TRY(writer_open(&e->w, path));
    write_until(e, "@STYLE@");
    writer_print(&e->w, "%s", explorer_style);
    write_until(e, "@DATA@");
    writer_print(&e->w, "{");
    write_member(e, a, "title", title);
    write_member(e, a, "model", x->model);
    write_member(e, a, "adapter", args_text(k->args, "adapter", NULL));
    write_member(e, a, "base", x->base);
    write_member(e, a, "architecture", x->arch);
    write_member(e, a, "part", part_name(x->maps.part));
    write_member(e, a, "by", x->by ? BY_NAME[x->by] : NULL);
    write_member(e, a, "unit", BY_ONE[x->by]);
    writer_print(&e->w, "\"bare\":%s,", x->without_prefix ? "true" : "false");
    write_colours(e, "sequential", MAP_SEQUENTIAL);
    write_colours(e, "diverging", MAP_DIVERGING);
    writer_print(&e->w, "\"step\":%d,\"one\":%d,\"inputs\":[", STEP, ONE);
    return OK;
}

/* The parts that the batch has tokens for. */
static int parts_of(Shown part[3], Explorer *e, Arena *a, const Batch *b, const Tokens *tokens, const Tokens *source)
{
    const Tokens *read = b->t ? source : tokens;
    int n = 0;
    if (!e->k->model->arch->encode) {
        part[n++] = (Shown){.part = e->k->x.maps.part, .rows = tokens, .cols = tokens};
    } else {
        part[n++] = (Shown){.part = PART_ENCODER, .rows = read, .cols = read};
        if (b->t) part[n++] = (Shown){.part = PART_DECODER, .rows = tokens, .cols = tokens};
        if (b->t) part[n++] = (Shown){.part = PART_CROSS, .rows = tokens, .cols = source};
    }
    for (int i = 0; i < n; i++) part[i].view = view_of(a, &e->k->x, part[i].rows, part[i].cols);
    return n;
}

Status explorer_add(Explorer *e, Arena *a, const Batch *b, const Tokens *tokens, const Tokens *source)
{
    enum { FIRST = 100000000, ALL = 8000000, TEXTS = 400 };
    const PageAttention *x = &e->k->x;
    Shown part[3];
    int n = parts_of(part, e, a, b, tokens, source), parts = 0;
    int64_t cells = 0;
    for (int i = 0; i < n; i++) cells += part[i].view.row.n * part[i].view.col.n;
    cells *= x->layers * x->heads * (e->k->other ? 2 : 1);
    if (!e->texts && cells > FIRST)
        return err_fail(E_CONFIG,
                        "--html: %lld cells are more than a page can hold (%d); choose fewer with --layer%s",
                        (long long)cells, FIRST, x->by ? "" : " or group tokens with --by");
    if (e->texts && (e->cells + cells > ALL || e->texts == TEXTS)) {
        e->left_out++;
        return OK;
    }
    e->cells += cells;
    writer_print(&e->w, "%s{\"parts\":[", e->texts++ ? ",\n" : "\n");
    for (int i = 0; i < n; i++) TRY(write_part(e, a, b, &part[i], &parts));
    writer_print(&e->w, "]}");
    return OK;
}

Status explorer_close(Explorer *e)
{
    writer_print(&e->w, "],\"left_out\":%lld}", (long long)e->left_out);
    write_until(e, "@SCRIPT@");
    writer_print(&e->w, "%s%s%s", explorer_draw, explorer_script, e->rest);
    return writer_close(&e->w);
}

void explorer_abandon(Explorer *e)
{
    writer_abandon(&e->w);
    dirs_unmake();
}

Status explorer_write(Ask *k, const char *path)
{
    Explorer *e;
    TRY(explorer_open(&e, k, path));
    Status s = explorer_add(e, k->arena, &k->batch, &k->x.tokens, &k->x.source);
    if (!s) return explorer_close(e);
    explorer_abandon(e);
    return s;
}

/* One text at a time: its maps are measured and dropped, and only the numbers of each head stay.  Means, intervals
 * and the texts with the largest values are computed over these at the end. */
#include "analysis/corpus.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/explorer.h"
#include "analysis/groups.h"
#include "analysis/importance.h"
#include "analysis/table.h"
#include "base/lines.h"
#include "base/print.h"
#include "io/json.h"
#include "nn/finite.h"
#include "plot/report.h"

/* ---- texts */

static Status text_of_row(const char **out, Arena *a, const RowReader *r)
{
    cJSON *o;
    TRY(json_parse(&o, r->row.text, r->row.len, str_print(a, "%s:%lld: row", r->path, (long long)r->line)));
    const cJSON *t = cJSON_IsString(o) ? o : cJSON_GetObjectItemCaseSensitive(o, "text");
    *out = cJSON_IsString(t) ? str_print(a, "%s", t->valuestring) : NULL;
    cJSON_Delete(o);
    if (*out) return OK;
    return err_fail(E_FORMAT, "%s:%lld: expected a JSON object with a string \"text\"", r->path, (long long)r->line);
}

static Status texts_of_rows(const char **text, int64_t *n, Arena *a, Bytes file, const char *path)
{
    RowReader r;
    Status s = rows_of(&r, file, path);
    for (bool more = true; !s && !(s = rows_next(&r, &more)) && more;) {
        s = text_of_row(&text[*n], a, &r);
        if (!s && *text[*n]) ++*n;
    }
    rows_close(&r);
    return s;
}

/* An array of strings, too, but not just any line that begins with a bracket. */
static bool is_array_of_strings(Bytes file)
{
    cJSON *list = cJSON_ParseWithLength(file.text, file.len);
    bool strings = cJSON_IsArray(list) && cJSON_IsString(list->child);
    cJSON_Delete(list);
    return strings;
}

/* Texts on lines of their own keep bytes that are no UTF-8: tokenizers have tokens for them. */
Status corpus_texts(const char ***text, int64_t *n, Arena *a, const char *path)
{
    Bytes file;
    TRY(text_read(&file, a, path, BYTES_NOT_ZERO));
    int64_t most = 1;
    for (size_t i = 0; i < file.len; i++) most += file.text[i] == '\n' || file.text[i] == ',';
    *text = NEW(a, const char *, most);
    *n = 0;
    if (rows_begin(file) || is_array_of_strings(file))
        TRY(texts_of_rows(*text, n, a, file, path));
    else
        for (TextLines l = lines_in(file); lines_next(&l);)
            if (!line_blank(l.line)) (*text)[(*n)++] = l.line.text;
    return *n ? OK : err_fail(E_FORMAT, "%s: has no text, one a line", path);
}

Summary corpus_summary(const double *value, int64_t n, Arena *scratch)
{
    double *known = NEW(scratch, double, n);
    int64_t count = 0;
    for (int64_t i = 0; i < n; i++)
        if (isfinite(value[i])) known[count++] = value[i];
    if (!count) return (Summary){0, NAN, NAN, {NAN, NAN}, NAN, NAN};
    return stats_summary(known, count);
}

/* ---- measuring */

typedef struct {
    Ask *k;
    const char **text;
    int64_t n, done, skipped;
    double *value;    /* (heads chosen, STATS, n) */
    Summary *summary; /* (heads chosen, STATS) */
    Explorer *page;   /* --html, or NULL */
} Corpus;

static double *values(const Corpus *c, int row, int stat)
{
    return c->value + ((int64_t)row * STATS + stat) * c->n;
}

/* The line of progress counts texts; a sweep of one may take long. */
static Status each_head(int done, int all, void *user)
{
    const Corpus *c = user;
    (void)done, (void)all;
    return ask_going_on(c->k, "texts", c->done, c->n);
}

/* Computes each head's statistics on one text; a text longer than the model's positions is skipped. */
static Status measure_text(Corpus *c, Arena *scratch, int64_t at)
{
    Ask *k = c->k;
    PageAttention *x = &k->x;
    Tokens t;
    TRY(tokens_of_text(&t, scratch, k->tokenizer, "texts", c->text[at], args_text(k->args, "language", NULL)));
    int64_t most = config_room(&k->model->config);
    for (int i = 0; i < x->layers * x->heads; i++)
        for (int s = 0; s < STATS; s++) values(c, i, s)[at] = NAN;
    if (most && t.n > most) {
        c->skipped++;
        return OK;
    }
    TRY(tokens_check(&t, k->model, x->maps.part, "texts"));
    bool pair = k->model->arch->encode;
    Batch b = pair ? (Batch){.b = 1, .s = t.n, .src = t.id} : (Batch){.b = 1, .t = t.n, .ids = t.id}, scored;
    maps_read(&x->maps, scratch, k->model, k->hooks, &b, x->maps.part);
    if (x->maps.t != t.n)
        return err_fail(E_MISMATCH,
                        "the adapter puts virtual tokens among the text's own, and numbers are of the text's");
    TRY(model_blame(maps_finite(&x->maps, x->model), k->model));
    k->read[0] = x->maps;
    if (c->page) TRY(explorer_add(c->page, scratch, &b, &t, NULL));
    x->maps.query = x->maps.key = t.id;
    x->maps.special = t.special;
    x->maps.changed = tokens_changed(scratch, &t);
    HeadStats *more = NEW(scratch, HeadStats, x->maps.layers * x->maps.heads);
    bool sweep = args_given(k->args, "sweep");
    if (sweep) {
        Status has_loss = importance_loss_batch(&scored, scratch, k->model, k->tokenizer, &b, NULL);
        TRY(pair ? has_loss
                 : fail_in_file(has_loss, args_text(k->args, "texts", NULL))); /* a pair lacks an option's text */
        TRY(head_importance(more, k->model, k->hooks, &scored, x->maps.part, each_head, c));
    }
    for (int i = 0; i < x->layers * x->heads; i++) {
        int layer = x->layer[i / x->heads], head = x->head[i % x->heads];
        HeadStats s = maps_stats(&x->maps, maps_head(&x->maps, scratch, layer, head));
        if (sweep && head != HEAD_MEAN) {
            s.zeroed = more[layer * x->maps.heads + head].zeroed;
            s.gradient = more[layer * x->maps.heads + head].gradient;
        }
        for (int n = 0; n < STATS; n++) values(c, i, n)[at] = stat_of(&s, n);
    }
    return OK;
}

/* Computes the statistics on all texts, and their mean and interval for each head. */
static Status measure(Corpus *c)
{
    Ask *k = c->k;
    PageAttention *x = &k->x;
    int rows = x->layers * x->heads;
    c->value = NEW(k->arena, double, rows *STATS * c->n);
    for (int64_t i = 0; i < c->n; i++) {
        Arena scratch = arena_open(0); /* not a mark on the run's: hooks that are added may grow their table there */
        c->done = i;
        Status s = measure_text(c, &scratch, i);
        arena_close(&scratch);
        TRY(s);
        TRY(ask_going_on(k, "texts", i + 1, c->n));
    }
    if (c->skipped == c->n)
        return err_fail(E_MISMATCH, "--texts: all %lld %s more tokens than the model has positions for",
                        (long long)c->n, str_plural(c->n, "text has", "texts have"));
    x->row = NEW(k->arena, HeadRow, rows);
    c->summary = NEW(k->arena, Summary, rows * STATS);
    for (int i = 0; i < rows; i++) {
        double mean[STATS];
        for (int s = 0; s < STATS; s++) {
            c->summary[i * STATS + s] = corpus_summary(values(c, i, s), c->n, k->arena);
            mean[s] = c->summary[i * STATS + s].mean;
        }
        x->row[i] = (HeadRow){.layer = x->layer[i / x->heads], .head = x->head[i % x->heads]};
        memcpy(&x->row[i].stats, mean, sizeof mean);
    }
    return OK;
}

/* The texts where number `stat` of a head is largest, the largest first; returns how many. */
static int top_texts(int64_t *out, const Corpus *c, int row, int stat, int most)
{
    const double *v = values(c, row, stat);
    int n = 0;
    for (int64_t i = 0; i < c->n; i++) {
        if (!isfinite(v[i])) continue;
        int at = n;
        while (at > 0 && v[i] > v[out[at - 1]]) at--;
        if (at == most) continue;
        if (n < most) n++;
        for (int j = n - 1; j > at; j--) out[j] = out[j - 1];
        out[at] = i;
    }
    return n;
}

/* ---- answers */

enum { TOP = 3 };

static const char *head_text(Arena *a, int head)
{
    return head == HEAD_MEAN ? "mean" : str_print(a, "%d", head);
}

/* Writes corpus.csv, with a line for each head and statistic. */
static Status write_csv(const Corpus *c, const char *dir)
{
    PageAttention *x = &c->k->x;
    Writer w;
    TRY(writer_open(&w, str_print(c->k->arena, "%s/corpus.csv", dir)));
    writer_print(&w, "layer,head,number,texts,mean,sd,ci95_lo,ci95_hi,least,most\r\n");
    for (int i = 0; i < x->layers * x->heads; i++)
        for (int s = 0; s < STATS; s++) {
            const Summary *y = &c->summary[i * STATS + s];
            if (!y->n) continue;
            writer_print(&w, "%d,%s,%s,%lld", x->row[i].layer, head_text(c->k->arena, x->row[i].head), STAT[s].name,
                         (long long)y->n);
            const double v[] = {y->mean, y->sd, y->ci95.lo, y->ci95.hi, y->least, y->most};
            for (int k = 0; k < 6; k++) writer_csv_number(&w, v[k]);
            writer_print(&w, "\r\n");
        }
    return writer_close(&w);
}

/* Draws one statistic by layer and head: its mean over texts, and half of its interval. */
static Status draw(const Corpus *c, Report *r, const char *dir, int stat)
{
    PageAttention *x = &c->k->x;
    Arena *a = c->k->arena;
    Tensor mean = tensor_new(a, F64, SHAPE(x->layers, x->heads)),
           half = tensor_new(a, F64, SHAPE(x->layers, x->heads));
    for (int i = 0; i < x->layers * x->heads; i++) {
        const Summary *y = &c->summary[i * STATS + stat];
        tensor_set(mean, i, y->mean);
        tensor_set(half, i, (y->ci95.hi - y->ci95.lo) / 2);
    }
    const Glance g[] = {{mean, STAT[stat].title, STAT[stat].unit, STAT[stat].sign},
                        {half, "Half interval", STAT[stat].unit, false}};
    Fig *f = draw_glances(figure_path(a, dir, "corpus", x->format), a, 2, g, x->layer, x->head);
    return report_drawn(r, f, "Mean over texts, and half of its 95 % interval (Student's t).");
}

static const char *interval(Arena *a, const Summary *s)
{
    if (!s->n) return "";
    return isfinite(s->ci95.lo) ? str_print(a, "%.3f [%.3f, %.3f]", s->mean, s->ci95.lo, s->ci95.hi)
                                : str_print(a, "%.3f", s->mean);
}

/* Writes report.html: means, intervals and top texts of the shown statistic for each head. */
static Status write_page(const Corpus *c, const char *dir, int stat)
{
    PageAttention *x = &c->k->x;
    Arena *a = c->k->arena;
    int rows = x->layers * x->heads;
    const char *head[4 + TOP] = {"layer", "head", "texts", STAT[stat].name, "most in", "then", "then"};
    const char **cell = NEW(a, const char *, rows *(4 + TOP)), **p = cell;
    for (int i = 0; i < rows; i++) {
        int64_t top[TOP];
        int n = top_texts(top, c, i, stat, TOP);
        const Summary *s = &c->summary[i * STATS + stat];
        *p++ = str_print(a, "%d", x->row[i].layer);
        *p++ = head_text(a, x->row[i].head);
        *p++ = str_print(a, "%lld", (long long)s->n);
        *p++ = interval(a, s);
        for (int j = 0; j < TOP; j++)
            *p++ = j < n ? str_print(a, "%.3f %.80s", values(c, i, stat)[top[j]], c->text[top[j]]) : "";
    }
    Report *r =
        report_open(str_print(a, "%s/report.html", dir),
                    str_print(a, "Attention of %s over %lld %s", page_path_name(a, x->model),
                              (long long)(c->n - c->skipped), str_plural(c->n - c->skipped, "text", "texts")));
    Status drawn = x->head[0] == HEAD_MEAN ? OK : draw(c, r, dir, stat);
    report_table(r, "Means with 95 % intervals over texts, and the texts where the number is largest.", 4 + TOP, head,
                 rows, cell);
    Status closed = report_close(r);
    return drawn ? drawn : closed;
}

static void print_top(const Corpus *c, int stat)
{
    PageAttention *x = &c->k->x;
    Arena *a = c->k->arena;
    print_out("\n%s: mean [95 %% interval] over texts, and where it is largest\n", STAT[stat].name);
    for (int i = 0; i < x->layers * x->heads; i++) {
        int64_t top;
        print_out("%5d  %4s  %s", x->row[i].layer, head_text(a, x->row[i].head),
                  interval(a, &c->summary[i * STATS + stat]));
        if (top_texts(&top, c, i, stat, 1)) print_out("  %.3f %.60s", values(c, i, stat)[top], c->text[top]);
        print_out("\n");
    }
}

/* Prints each head's statistics, and the texts where the shown one is largest, as JSON. */
static void print_json(const Corpus *c, const char *dir, int stat, const char **figures)
{
    PageAttention *x = &c->k->x;
    cJSON *root = cJSON_CreateObject(), *list;
    cJSON_AddStringToObject(root, "model", x->model);
    cJSON_AddStringToObject(root, "part", part_name(x->maps.part));
    cJSON_AddNumberToObject(root, "texts", (double)(c->n - c->skipped));
    cJSON_AddNumberToObject(root, "too_long", (double)c->skipped);
    list = cJSON_AddArrayToObject(root, "heads");
    for (int i = 0; i < x->layers * x->heads; i++) {
        cJSON *one = cJSON_CreateObject(), *most;
        int64_t top[TOP];
        int n = top_texts(top, c, i, stat, TOP);
        cJSON_AddNumberToObject(one, "layer", x->row[i].layer);
        cJSON_AddStringToObject(one, "head", head_text(c->k->arena, x->row[i].head));
        for (int s = 0; s < STATS; s++) {
            const Summary *y = &c->summary[i * STATS + s];
            if (!y->n) continue;
            cJSON *o = cJSON_AddObjectToObject(one, STAT[s].name);
            cJSON_AddNumberToObject(o, "texts", (double)y->n);
            cJSON_AddNumberToObject(o, "mean", y->mean);
            cJSON_AddNumberToObject(o, "lo", y->ci95.lo);
            cJSON_AddNumberToObject(o, "hi", y->ci95.hi);
        }
        most = cJSON_AddArrayToObject(one, "most");
        for (int j = 0; j < n; j++) {
            cJSON *o = cJSON_CreateObject();
            cJSON_AddNumberToObject(o, STAT[stat].name, values(c, i, stat)[top[j]]);
            cJSON_AddStringToObject(o, "text", c->text[top[j]]);
            cJSON_AddItemToArray(most, o);
        }
        cJSON_AddItemToArray(list, one);
    }
    table_json_done(root, c->k->arena, dir, figures, x->format);
}

/* Induction where no number is asked for; entropy where no text has a token twice. */
static int number_shown(const Corpus *c)
{
    int wanted = c->k->x.number, found = 0;
    for (int s = 0; wanted < 0 && s < STATS; s++)
        if (!strcmp(STAT[s].name, "induction") && c->summary[s].n) found = s;
    return wanted < 0 ? found : wanted;
}

/* Runs `vernier attend --texts`: statistics of heads over a file of texts, as CSV, report and output. */
Status corpus_answer(Ask *k, const char *dir)
{
    static const char *const not_here[] = {"base", "text", "ids", "source", "source-ids", "data-flow", NULL};
    static const char *const sweeps[] = {"heads", NULL};
    const char *drawn[] = {"corpus", NULL}, *none[] = {NULL};
    Corpus c = {.k = k};
    int sweep;
    for (const char *const *o = not_here; *o; o++)
        if (args_given(k->args, *o)) return err_fail(E_CONFIG, "--%s and --texts exclude each other", *o);
    TRY(args_word(&sweep, k->args, "sweep", 0, sweeps));
    TRY(ask_number(k));
    TRY(ask_models(k));
    TRY(ask_maps(k));
    TRY(ask_tokenizer(k));
    if (!k->tokenizer) return err_fail(E_IO, "%s has no tokenizer; name one with --tokenizer DIR", k->x.model);
    if (k->model->arch->encode && k->x.maps.part != PART_ENCODER)
        return err_fail(E_CONFIG, "--texts are read by an encoder-decoder's encoder; --part %s needs two texts",
                        part_name(k->x.maps.part));
    TRY(corpus_texts(&c.text, &c.n, k->arena, args_text(k->args, "texts", NULL)));
    if (args_given(k->args, "html")) TRY(explorer_open(&c.page, k, args_text(k->args, "html", NULL)));
    Status measured = measure(&c);
    if (c.page && measured) explorer_abandon(c.page);
    TRY(measured);
    if (c.page) TRY(explorer_close(c.page));
    int stat = number_shown(&c);
    TRY(file_make_dir(str_print(k->arena, "%s/figures", dir)));
    TRY(write_csv(&c, dir));
    TRY(write_page(&c, dir, stat));
    if (c.skipped && !args_quiet(k->args))
        print_err("%lld of %lld %s too long for the model and left out\n", (long long)c.skipped, (long long)c.n,
                  str_plural(c.skipped, "texts is", "texts are"));
    if (args_given(k->args, "json")) {
        print_json(&c, k->folder.dir, stat, k->x.head[0] == HEAD_MEAN ? none : drawn);
    } else {
        attention_print(&k->x);
        print_top(&c, stat);
    }
    return OK;
}

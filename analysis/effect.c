/* Every intervention is measured against the same pass without any: first each by itself, then all together.  The
 * text of the interventions is read by intervene.c. */
#include "analysis/effect.h"

#include <math.h>
#include <string.h>

#include "analysis/table.h"
#include "base/lines.h"
#include "base/print.h"
#include "base/str.h"
#include "cli/adapter.h"
#include "measure/observe.h"
#include "nn/finite.h"
#include "plot/report.h"

/* ---- measuring */

void outcome_read(EffectOutcome *out, Arena *run, Model *m, Hooks *hooks, const Batch *b, const Batch *scored,
                  Part part)
{
    Part stack = part == PART_ENCODER ? PART_ENCODER : PART_DECODER;
    Capture last = {.arena = run};
    int before = hooks_n(hooks);
    hook_observe(hooks, (Where){SITE_RESID, model_layers(m, stack) - 1, stack}, hook_capture, &last);
    *out = (EffectOutcome){.loss = NAN};
    maps_read(&out->maps, run, m, hooks, b, part);
    hooks_clear_from(hooks, before);
    out->last = last.value;
    if (b->t && !m->config.no_lm_head)
        out->logits = observe_one(run, m, hooks, b, (Where){SITE_LOGITS, LAYER_EMBED, m->arch->last});
    if (scored) out->loss = importance_loss(m, hooks, scored);
}

static double log_sum(Tensor x, int64_t row, int64_t v)
{
    double most = -INFINITY, sum = 0;
    for (int64_t j = 0; j < v; j++) most = fmax(most, tensor_get(x, row * v + j));
    for (int64_t j = 0; j < v; j++) sum += exp(tensor_get(x, row * v + j) - most);
    return most + log(sum);
}

static int64_t top(Tensor x, int64_t row, int64_t v)
{
    int64_t best = 0;
    for (int64_t j = 1; j < v; j++)
        if (tensor_get(x, row * v + j) > tensor_get(x, row * v + best)) best = j;
    return best;
}

static void compare_logits(Effect *e, Tensor x, Tensor y)
{
    int64_t v = tensor_last(x), rows = tensor_count(x) / v;
    e->kl = e->top = 0;
    for (int64_t r = 0; r < rows; r++) {
        double a = log_sum(x, r, v), b = log_sum(y, r, v);
        for (int64_t j = 0; j < v; j++) {
            double p = tensor_get(x, r * v + j) - a, q = tensor_get(y, r * v + j) - b;
            e->kl += exp(p) * (p - q) / (double)rows;
        }
        e->top += (double)(top(x, r, v) != top(y, r, v)) / (double)rows;
    }
    if (e->kl < 0) e->kl = 0;       /* rounding can leave -1e-17 */
    if (isnan(e->kl)) e->top = NAN; /* logits that are no numbers have no largest */
}

/* Compares outcomes: change of loss and of logits, relative change of the output, attention moved by layer. */
Effect effect_of(Arena *a, const EffectOutcome *before, const EffectOutcome *after)
{
    const Maps *x = &before->maps, *y = &after->maps;
    Effect e = {.loss = after->loss,
                .change = after->loss - before->loss,
                .kl = NAN,
                .top = NAN,
                .shift = NEW(a, double, x->layers)};
    double moved = 0, size = 0;
    for (int64_t k = 0; k < tensor_count(before->last); k++) {
        double u = tensor_get(before->last, k), d = tensor_get(after->last, k) - u;
        moved += d * d;
        size += u * u;
    }
    e.output = sqrt(moved / size);
    if (before->logits.data) compare_logits(&e, before->logits, after->logits);
    for (int l = 0; l < x->layers; l++)
        for (int h = 0; h < x->heads; h++)
            e.shift[l] += maps_shift(tensor_at(x->probs[l], h), tensor_at(y->probs[l], h)) / x->heads;
    return e;
}

/* ---- answers */

enum { MOST = 64 };
typedef struct {
    Ask *k;
    EffectOutcome before;
    const Batch *scored;
    Do *interventions;
    int n;
    Effect *effect; /* (rows): each alone, and where there are several all together */
    int rows;
} Effects;

static void print_number(double v, int width, const char *format)
{
    if (isfinite(v))
        print_out(format, width, v);
    else
        print_out("%*s", width, "-");
}

/* On one line and no longer than `most` characters. */
static const char *brief(Arena *a, const char *words, int most)
{
    Buf out = buf_open(a);
    int n = 0, all = 0;
    for (const char *s = words; *s; s++) all += (*s & 0xC0) != 0x80;
    for (const char *s = words; *s; s++) {
        n += (*s & 0xC0) != 0x80;
        if (all > most && n > most - 3) break;
        buf_add(&out, (unsigned char)*s < 0x20 || *s == 0x7F ? " " : s, 1);
    }
    if (all > most) buf_add(&out, "...", 3);
    return out.text;
}

static void print_means(const Effect *e)
{
    print_number(e->loss, 7, "%*.4f");
    print_number(e->change, 9, "%*.4f");
    print_number(e->kl, 9, "%*.4f");
    print_number(e->top, 6, "%*.2f");
    print_number(e->output, 8, "%*.3f");
}

enum { LINE = 100, MEANS = 41, SHIFT = 10, BLOCK = 12 }; /* columns of a line and of its parts; layers in a block */

/* Shifts by layer below the rest, rows numbered as there. */
static void print_shifts(const Effects *x)
{
    int layers = x->before.maps.layers;
    for (int from = 0; from < layers; from += BLOCK) {
        int to = from + BLOCK < layers ? from + BLOCK : layers;
        print_out("\nshift");
        for (int l = from; l < to; l++) print_out("%7d", l);
        print_out("\n");
        for (int i = 0; i < x->rows; i++) {
            print_out("%4d ", i + 1);
            for (int l = from; l < to; l++) print_number(x->effect[i].shift[l], 7, "%*.3f");
            print_out("\n");
        }
    }
}

/* Prints a line for each intervention, with the attention moved by layer where the line has room for it. */
static void print_effects(const Effects *x)
{
    int layers = x->before.maps.layers;
    size_t longest = 0;
    for (int i = 0; i < x->rows; i++)
        longest = longest > strlen(x->effect[i].words) ? longest : strlen(x->effect[i].words);
    bool narrow = layers == 1 || MEANS + SHIFT * (size_t)layers + longest <= LINE, numbered = !narrow;
    print_out("%s   loss   change       kl   top  output  ", numbered ? "     " : "");
    for (int l = 0; narrow && l < layers; l++) print_out(" shift.%-3d", l);
    print_out(" do\n");
    if (isfinite(x->before.loss)) print_out("%s%7.4f  (nothing done)\n", numbered ? "     " : "", x->before.loss);
    for (int i = 0; i < x->rows; i++) {
        const Effect *e = &x->effect[i];
        if (numbered) print_out("%4d ", i + 1);
        print_means(e);
        print_out("  ");
        for (int l = 0; narrow && l < layers; l++) print_number(e->shift[l], SHIFT, "%*.4f");
        print_out("  %s\n", brief(x->k->arena, e->words, LINE - MEANS - (numbered ? 7 : 2 + SHIFT * layers)));
    }
    if (numbered) print_shifts(x);
}

/* Prints the effect of each intervention as JSON. */
static void print_json(const Effects *x, const char *dir, const char **figures)
{
    cJSON *root = cJSON_CreateObject(), *list;
    cJSON_AddStringToObject(root, "model", x->k->x.model);
    cJSON_AddStringToObject(root, "part", part_name(x->k->x.maps.part));
    table_json_tokens(root, "tokens", &x->k->x.tokens);
    cJSON_AddNumberToObject(root, "loss", x->before.loss);
    list = cJSON_AddArrayToObject(root, "done");
    for (int i = 0; i < x->rows; i++) {
        const Effect *e = &x->effect[i];
        cJSON *one = cJSON_CreateObject(), *shift;
        cJSON_AddStringToObject(one, "do", e->words);
        cJSON_AddNumberToObject(one, "loss", e->loss);
        cJSON_AddNumberToObject(one, "change", e->change);
        cJSON_AddNumberToObject(one, "kl", e->kl);
        cJSON_AddNumberToObject(one, "top", e->top);
        cJSON_AddNumberToObject(one, "output", e->output);
        shift = cJSON_AddArrayToObject(one, "shift");
        for (int l = 0; l < x->before.maps.layers; l++) cJSON_AddItemToArray(shift, cJSON_CreateNumber(e->shift[l]));
        cJSON_AddItemToArray(list, one);
    }
    table_json_done(root, x->k->arena, dir, figures, x->k->x.format);
}

static const char *cell(Arena *a, double v)
{
    return isfinite(v) ? str_print(a, "%.4f", v) : "";
}

Fig *effects_draw(const char *path, Arena *a, int rows, const Effect *effect, int layers)
{
    enum { LONGEST = 28 };
    Tensor shift = tensor_new(a, F64, SHAPE(rows, layers)), out = tensor_new(a, F64, SHAPE(rows, 1));
    const char **row = NEW(a, const char *, rows), **col = NEW(a, const char *, layers);
    for (int l = 0; l < layers; l++) col[l] = str_print(a, "%d", l);
    for (int i = 0; i < rows; i++) {
        row[i] = brief(a, effect[i].words, LONGEST);
        tensor_set(out, i, effect[i].output);
        for (int l = 0; l < layers; l++) tensor_set(shift, i * layers + l, effect[i].shift[l]);
    }
    double h = 90 + 16.0 * rows;
    Fig *f = fig_open(path, 500, h);
    fig_heatmap(f, (Rect){5, 5, 355, h - 10}, shift,
                (HeatStyle){.title = "Attention that moved",
                            .row = row,
                            .col = col,
                            .col_title = "layer",
                            .hi = draw_limit(maps_largest(shift)),
                            .bar = true,
                            .bar_title = "of mass",
                            .stretch = true});
    fig_heatmap(f, (Rect){365, 5, 130, h - 10}, out,
                (HeatStyle){.title = "Output",
                            .col = (const char *const[]){"last"},
                            .col_title = "layer",
                            .hi = draw_limit(maps_largest(out)),
                            .bar = true,
                            .bar_title = "relative change",
                            .stretch = true});
    return f;
}

/* Writes effects.csv, with a line for each intervention. */
static Status write_csv(const Effects *x, const char *dir)
{
    Writer w;
    TRY(writer_open(&w, str_print(x->k->arena, "%s/effects.csv", dir)));
    writer_print(&w, "do,loss,change,kl,top,output");
    for (int l = 0; l < x->before.maps.layers; l++) writer_print(&w, ",shift.%d", l);
    writer_print(&w, "\r\n");
    for (int i = 0; i < x->rows; i++) {
        const Effect *e = &x->effect[i];
        writer_csv(&w, e->words);
        const double v[] = {e->loss, e->change, e->kl, e->top, e->output};
        for (int k = 0; k < 5; k++) writer_csv_number(&w, v[k]);
        for (int l = 0; l < x->before.maps.layers; l++) writer_csv_number(&w, e->shift[l]);
        writer_print(&w, "\r\n");
    }
    return writer_close(&w);
}

/* Writes effects.csv, the figure and report.html below `dir`. */
static Status write_files(const Effects *x, const char *dir)
{
    static const char *const head[] = {"do", "loss", "change", "KL (nats)", "top changed", "output", "attention"};
    Arena *a = x->k->arena;
    const char **c = NEW(a, const char *, x->rows * 7);
    TRY(file_make_dir(str_print(a, "%s/figures", dir)));
    TRY(write_csv(x, dir));
    for (int i = 0; i < x->rows; i++) {
        const Effect *e = &x->effect[i];
        double shift = 0;
        for (int l = 0; l < x->before.maps.layers; l++) shift = fmax(shift, e->shift[l]);
        c[7 * i] = e->words;
        const double v[] = {e->loss, e->change, e->kl, e->top, e->output, shift};
        for (int k = 0; k < 6; k++) c[7 * i + 1 + k] = cell(a, v[k]);
    }
    Report *r = report_open(str_print(a, "%s/report.html", dir),
                            str_print(a, "Interventions on %s", page_path_name(a, x->k->x.model)));
    report_lead(r,
                str_print(a, "%s \u00B7 %s \u00B7 %lld %s \u00B7 loss %s", x->k->x.arch, part_name(x->k->x.maps.part),
                          (long long)x->k->x.tokens.n, str_plural(x->k->x.tokens.n, "token", "tokens"),
                          isfinite(x->before.loss) ? cell(a, x->before.loss) : "none"));
    const char *path = figure_path(a, dir, "effects", x->k->x.format);
    report_drawn(
        r, effects_draw(path, a, x->rows, x->effect, x->before.maps.layers),
        "The effect of each intervention (row): the fraction of attention that moved in each layer, mean over "
        "rows and heads, and the relative change of the last layer's output.");
    report_table(
        r,
        "loss: in nats a token, and its change; KL: of the predicted token's distribution; top changed: share "
        "of positions whose most likely token is another; output: relative change of the last layer's output; "
        "attention: the most that moved in a layer.",
        7, head, x->rows, c);
    return report_close(r);
}

/* ---- input texts */

static Status tokens_of_other(Tokens *t, const Ask *k, const Do *d, const char *text)
{
    if (!strncmp(text, "ids:", 4)) {
        TRY(tokens_of_ids(t, k->arena, k->tokenizer, "do", text + 4));
    } else {
        if (!k->tokenizer)
            return err_fail(E_IO, "--do %s: %s has no tokenizer; give ids:1,2,3", d->words, k->x.model);
        TRY(tokens_of_text(t, k->arena, k->tokenizer, "do", text, args_text(k->args, "language", NULL)));
        if (k->target) *t = tokens_shifted(k->arena, t, &k->model->config, k->tokenizer);
    }
    return tokens_check(t, k->model, k->x.maps.part, "do");
}

/* The same batch with another text: one that is typed, or the content of the file whose name follows an @. */
static Status other_batch(const Ask *k, const Do *d, const char *text, Batch *out)
{
    Tokens t;
    if (*text == '@') {
        Bytes file;
        TRY(text_read(&file, k->arena, text + 1, BYTES_NOT_ZERO));
        TRY(fail_in_file(tokens_of_other(&t, k, d, file.text), text + 1));
    } else {
        TRY(tokens_of_other(&t, k, d, text));
    }
    *out = k->batch;
    if (out->t) {
        out->ids = t.id;
        out->t = t.n;
    } else {
        out->src = t.id;
        out->s = t.n;
    }
    return OK;
}

static Status read_patch(const Ask *k, Do *d)
{
    Batch other;
    TRY(other_batch(k, d, d->text, &other));
    if (other.t != k->batch.t || other.s != k->batch.s)
        return err_fail(E_MISMATCH, "--do %s: its text has %lld %s, expected %lld as in the model's input", d->words,
                        (long long)(other.t ? other.t : other.s),
                        str_plural(other.t ? other.t : other.s, "token", "tokens"), (long long)k->x.tokens.n);
    return do_read(d, k->arena, k->model, k->hooks, &other, k->x.tokens.n);
}

static Status read_steering(const Ask *k, Do *d)
{
    Batch text, less;
    TRY(other_batch(k, d, d->text, &text));
    if (d->less) TRY(other_batch(k, d, d->less, &less));
    return do_read_means(d, k->arena, k->model, k->hooks, &text, d->less ? &less : NULL, k->x.tokens.n);
}

static Status read_swap(const Ask *k, Do *d)
{
    Arena run = arena_open(0);
    Model *other;
    Hooks *hooks;
    Status s = model_adapted(&other, &hooks, k->args, &run, k->x.model, d->text, &k->load);
    if (!s) s = do_read_keys(d, k->arena, k->model, k->hooks, other, hooks, &k->batch);
    arena_close(&run);
    return s;
}

static Status read_all(Effects *x, const char *const *words)
{
    Ask *k = x->k;
    for (int i = 0; i < x->n; i++) {
        Do *d = &x->interventions[i];
        TRY(do_parse(d, k->arena, words[i], k->model, k->x.maps.part, x->before.maps.prefix));
        if (d->kind == DO_PATCH) TRY(read_patch(k, d));
        if (d->kind == DO_STEER) TRY(read_steering(k, d));
        if (d->kind == DO_SWAP) TRY(read_swap(k, d));
    }
    return OK;
}

/* The effect of interventions from..to-1 applied at once. */
static Effect measure(const Effects *x, int from, int to)
{
    const Ask *k = x->k;
    int before = hooks_n(k->hooks);
    const Batch *scored = x->scored;
    for (int i = from; i < to; i++) {
        do_attach(&x->interventions[i], k->hooks);
        /* A patch is of one row, and an encoder's loss has a row for each token masked. */
        if (x->interventions[i].kind == DO_PATCH && scored && scored->b != k->batch.b) scored = NULL;
    }
    EffectOutcome after;
    outcome_read(&after, k->arena, k->model, k->hooks, &k->batch, scored, k->x.maps.part);
    hooks_clear_from(k->hooks, before);
    Effect e = effect_of(k->arena, &x->before, &after);
    e.words = to - from > 1 ? "all together" : x->interventions[from].words;
    return e;
}

/* Runs `vernier attend --do`: measures each intervention alone, then all of them together. */
Status effect_answer(Ask *k, const char *dir)
{
    static const char *const not_here[] = {"base", "layer", "head", "number", "sweep", "texts", NULL};
    static const char *figures[] = {"effects", NULL};
    const char *words[MOST + 1];
    Effects x = {.k = k, .n = args_all(k->args, "do", words, MOST + 1)};
    Batch scored;
    if (x.n > MOST) return err_fail(E_CONFIG, "--do is given more than %d times", MOST);
    for (const char *const *o = not_here; *o; o++)
        if (args_given(k->args, *o)) return err_fail(E_CONFIG, "--%s and --do exclude each other", *o);
    TRY(ask_models(k));
    TRY(ask_input(k));
    if (!importance_loss_batch(&scored, k->arena, k->model, k->tokenizer, &k->batch, k->target))
        x.scored = &scored;
    else
        err_clear(); /* the other numbers need no loss */
    outcome_read(&x.before, k->arena, k->model, k->hooks, &k->batch, x.scored, k->x.maps.part);
    TRY(model_blame(maps_finite(&x.before.maps, k->x.model), k->model));
    if (x.before.maps.t != k->x.tokens.n)
        return err_fail(E_MISMATCH,
                        "the adapter puts virtual tokens among the text's own, and --do counts the text's");
    x.interventions = NEW(k->arena, Do, x.n);
    TRY(read_all(&x, words));
    x.rows = x.n > 1 ? x.n + 1 : 1;
    x.effect = NEW(k->arena, Effect, x.rows);
    for (int i = 0; i < x.n; i++) {
        x.effect[i] = measure(&x, i, i + 1);
        TRY(ask_going_on(k, "interventions", i + 1, x.n));
    }
    if (x.n > 1) x.effect[x.n] = measure(&x, 0, x.n);
    TRY(write_files(&x, dir));
    if (args_given(k->args, "json"))
        print_json(&x, k->folder.dir, figures);
    else
        print_effects(&x);
    return OK;
}

/* Entropies are counted by sorting: targets of the same place (and the same token before) lie side by side, and each
 * run of equal ones adds n log n. */
#include "analysis/floors.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/corpus.h"
#include "analysis/importance.h"
#include "base/file.h"
#include "base/str.h"
#include "run/experiment.h"

/* ---- counting */

typedef struct {
    int64_t place;
    int32_t before, token; /* before -1: none, or not needed */
} Seen;

static int by_place(const void *a, const void *b)
{
    const Seen *x = a, *y = b;
    if (x->place != y->place) return x->place < y->place ? -1 : 1;
    if (x->before != y->before) return x->before < y->before ? -1 : 1;
    return (x->token > y->token) - (x->token < y->token);
}

static double n_log_n(int64_t n)
{
    return n ? (double)n * log((double)n) : 0;
}

/* Adds to at[place * 2 + column] n H of the tokens given place and token before; returns the number of such pairs. */
static int64_t add_entropies(double *at, int column, Seen *s, int64_t n)
{
    int64_t contexts = 0;
    qsort(s, (size_t)n, sizeof *s, by_place);
    for (int64_t i = 0, j, k; i < n; i = j) {
        double same = 0;
        for (j = i; j < n && s[j].place == s[i].place && s[j].before == s[i].before; j = k) {
            for (k = j; k < n && !by_place(&s[j], &s[k]);) k++;
            same += n_log_n(k - j);
        }
        at[2 * s[i].place + column] += n_log_n(j - i) - same;
        contexts++;
    }
    return contexts;
}

/* Entropies of the next token by its position, and given the previous token: the best losses without attention. */
Floors floors_of(Arena *a, int64_t n, const Target *text, bool previous)
{
    Floors f = {.texts = n, .previous = previous ? 0 : (double)NAN};
    int64_t places = 0, all = 0;
    for (int64_t k = 0; k < n; k++) places = text[k].n > places ? text[k].n : places, all += text[k].n;
    Arena work = arena_open(0);
    Seen *seen = NEW(&work, Seen, all);
    int64_t *count = NEW(&work, int64_t, places);
    double *at = NEW(&work, double, 2 * places);
    for (int64_t k = 0; k < n; k++)
        for (int64_t i = 0; i < text[k].n; i++) {
            if (text[k].scored ? !text[k].scored[i] : !i) continue;
            seen[f.tokens++] = (Seen){i, i ? text[k].id[i - 1] : -1, text[k].id[i]};
            count[i]++;
        }
    int64_t contexts = previous ? add_entropies(at, 1, seen, f.tokens) : 0;
    for (int64_t i = 0; i < f.tokens; i++) seen[i].before = -1;
    int64_t without = add_entropies(at, 0, seen, f.tokens);
    f.each = (double)f.tokens / (double)(previous ? contexts : without);
    f.at = tensor_new(a, F64, SHAPE(places, 2));
    for (int64_t i = 0; i < 2 * places; i++) {
        *(i % 2 ? &f.previous : &f.place) += at[i] / (double)f.tokens;
        tensor_set(f.at, i, count[i / 2] && (previous || i % 2 == 0) ? at[i] / (double)count[i / 2] : (double)NAN);
    }
    arena_close(&work);
    return f;
}

/* ---- texts */

/* Tokenizes one text and flags the tokens that count for the loss; a text without any is left out. */
static Status read_text(FloorTexts *x, Ask *k, Target *target, const char *text)
{
    Tokens t;
    int64_t most = config_room(&k->model->config), at = x->floors.texts, count;
    TRY(tokens_of_text(&t, k->arena, k->tokenizer, "texts", text, args_text(k->args, "language", NULL)));
    count = t.n - 1;
    bool *scored = NULL, fits = !most || t.n <= most;
    if (fits) TRY(tokens_check(&t, k->model, k->x.maps.part, "texts"));
    if (!k->model->decoder) {
        scored = NEW(k->arena, bool, t.n);
        count = 0;
        for (int64_t i = 0; i < t.n; i++) count += scored[i] = !tokenizer_is_special(k->tokenizer, t.id[i]);
    }
    if (!fits || !count) {
        x->left_out++;
        return OK;
    }
    x->read[at] = (Batch){.b = 1, .t = t.n, .ids = t.id};
    x->count[at] = count;
    target[at] = (Target){t.n, t.id, scored};
    x->most = t.n > x->most ? t.n : x->most;
    x->floors.texts++;
    return OK;
}

/* Reads the file of --texts, and computes the baselines of the loss from their tokens. */
Status floor_texts(FloorTexts *out, Ask *k)
{
    const char **text, *path = args_text(k->args, "texts", NULL);
    int64_t n;
    *out = (FloorTexts){.tokenizer = k->tokenizer};
    if (k->model->arch->encode)
        return err_fail(E_CONFIG, "--texts with --compare needs a model that reads one text, and %s reads two",
                        k->model->arch->name);
    if (!k->tokenizer) return err_fail(E_IO, "%s has no tokenizer; name one with --tokenizer DIR", k->x.model);
    TRY(corpus_texts(&text, &n, k->arena, path));
    out->read = NEW(k->arena, Batch, n);
    out->count = NEW(k->arena, int64_t, n);
    Target *target = NEW(k->arena, Target, n);
    for (int64_t i = 0; i < n; i++) TRY(read_text(out, k, target, text[i]));
    if (!out->floors.texts)
        return err_fail(E_MISMATCH, "%s: none of its %lld %s has a token to predict and room in the model", path,
                        (long long)n, str_plural(n, "text", "texts"));
    out->floors = floors_of(k->arena, out->floors.texts, target, k->model->decoder);
    return OK;
}

Status floor_loss(double *out, const FloorTexts *x, Model *m, Hooks *hooks)
{
    double sum = 0;
    for (int64_t i = 0; i < x->floors.texts; i++) {
        Arena scratch = arena_open(0); /* an encoder's batch has a row for each token */
        Batch scored;
        Status s = run_stopped() ? run_interrupted() : OK;
        if (!s) s = importance_loss_batch(&scored, &scratch, m, x->tokenizer, &x->read[i], NULL);
        if (!s) sum += importance_loss(m, hooks, &scored) * (double)x->count[i];
        arena_close(&scratch);
        TRY(s);
    }
    *out = sum / (double)x->floors.tokens;
    return OK;
}

/* ---- results */

const char *floors_sentence(Arena *a, const Floors *f, const Reached *r)
{
    bool both = isfinite(f->previous);
    double least = both ? fmin(f->place, f->previous) : f->place;
    const char *how = r->loss < least      ? both ? "below both baselines, so it uses attention"
                                                  : "below the baseline, so it uses attention"
                      : r->loss < f->place ? "not below the baseline of the previous token"
                      : both               ? "not below the baselines of the position and of the previous token"
                                           : "not below the baseline of the position";
    return str_print(a, "%s: %.4f, %s", r->name, r->loss, how);
}

/* Draws each model's loss with the baselines as lines, and the entropies by position. */
Fig *floors_draw(const char *path, Arena *a, const Floors *f, int n, const Reached *r)
{
    bool both = isfinite(f->previous);
    const RefLine ref[] = {{.at = f->place, .label = "position"}, {.at = f->previous, .label = "previous token"}};
    Tensor loss = tensor_new(a, F64, SHAPE(n)), at[2];
    const char **name = NEW(a, const char *, n);
    for (int i = 0; i < n; i++) {
        tensor_set(loss, i, r[i].loss);
        name[i] = r[i].name;
    }
    for (int c = 0; c < 2; c++) {
        at[c] = tensor_new(a, F64, SHAPE(f->at.dim[0]));
        for (int64_t i = 0; i < f->at.dim[0]; i++) tensor_set(at[c], i, tensor_get(f->at, 2 * i + c));
    }
    bool few = f->at.dim[0] <= 40;
    const Series bars = {.y = loss}, line[] = {{.y = at[0], .label = "place", .marked = few},
                                               {.y = at[1], .label = "previous token", .marked = few}};
    Fig *fig = fig_open(path, 500, 175);
    fig_bars(fig, fig_cell(fig, 1, 2, 0), 1, &bars, name,
             (PlotStyle){.title = "Loss and its baselines",
                         .y.title = "nats per token",
                         .ref = ref,
                         .refs = both ? 2 : 1,
                         .values = true});
    fig_lines(fig, fig_cell(fig, 1, 2, 1), both ? 2 : 1, line,
              (PlotStyle){.title = "Entropy by position",
                          .x = {.title = "position in the text", .whole = true},
                          .y.title = "nats"});
    return fig;
}

Status floors_csv(const char *path, const Floors *f)
{
    Writer w;
    TRY(writer_open(&w, path));
    writer_print(&w, "place,entropy,entropy_given_previous\r\n");
    for (int64_t i = 0; i < f->at.dim[0]; i++) {
        if (!isfinite(tensor_get(f->at, 2 * i))) continue;
        writer_print(&w, "%lld", (long long)i);
        for (int c = 0; c < 2; c++) writer_csv_number(&w, tensor_get(f->at, 2 * i + c));
        writer_print(&w, "\r\n");
    }
    return writer_close(&w);
}

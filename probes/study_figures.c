/* Figures: accuracy by layer after each method, learning from few examples, transfer across languages, forgetting. */
#include <math.h>

#include "base/str.h"
#include "plot/plot.h"
#include "probes/study.h"

static const char *file_name(Run *r, const Study *s, int b, const char *name)
{
    return s->bases > 1 ? str_print(run_arena(r), "%s-%s", name, s->base[b].name) : name;
}

/* ---- by layer ---- */

/* Mean test accuracy of a layer over the seeds of a cell, CMG: and languages; NaN where there is none. */
static double at_layer(const Study *s, const StudyResults *x, StudyJob like, ProbeTask t, int layer)
{
    const StudyOutcome *out[STUDY_SEEDS];
    double sum = 0;
    int n = 0;
    for (like.language = 0; like.language < (like.task == STUDY_CMG ? s->languages : 1); like.language++) {
        int seeds = study_cell(out, x, like);
        for (int i = 0; i < seeds; i++) sum += out[i]->accuracy[t][layer][SPLIT_TEST], n++;
    }
    return 100 * sum / n;
}

static Series layer_line(Arena *a, const Study *s, const StudyResults *x, StudyJob like, ProbeTask t,
                         const char *label, int colour)
{
    int n = s->base[like.base].layers;
    Tensor at = tensor_new(a, F64, SHAPE(n)), y = tensor_new(a, F64, SHAPE(n));
    for (int l = 0; l < n; l++) {
        tensor_set(at, l, l);
        tensor_set(y, l, at_layer(s, x, like, t, l));
    }
    return (Series){.x = at, .y = y, .label = label, .colour = colour, .marked = true};
}

/* Draws the probing accuracy by layer after tuning, for each probing task and method. */
static Status draw_layers(Run *r, const Study *s, const StudyResults *x, int b, StudyTask task)
{
    static const char *const TITLE[TASKS] = {"TYP", "CCM", "LTP"}, *const LETTER[TASKS] = {"a", "b", "c"};
    Arena *a = run_arena(r);
    Fig *f =
        run_figure(r, file_name(r, s, b, task == STUDY_JIT ? "layers-after-jit" : "layers-after-cmg"),
                   str_print(a,
                             "Test accuracy of a probe on each layer (0: embeddings) after tuning on %s; mean over "
                             "seeds%s.  Dashed: the same model before tuning, and randomly initialised.",
                             task == STUDY_JIT ? "JIT-DP" : "CMG", task == STUDY_CMG ? " and languages" : ""),
                   520, 210);
    for (ProbeTask t = 0; t < TASKS; t++) {
        Series line[MOST_METHODS + 2];
        int n = 0;
        for (int m = 0; m < s->methods; m++) {
            StudyJob like = {.task = task, .base = b, .method = m, .head = s->head[s->heads - 1]};
            line[n++] = layer_line(a, s, x, like, t, s->method[m].name, m + 1);
        }
        line[n] = layer_line(a, s, x, (StudyJob){.task = STUDY_UNTUNED, .base = b}, t, "untuned", n + 1);
        line[n++].dashed = true;
        line[n] = layer_line(a, s, x, (StudyJob){.task = STUDY_RANDOM, .base = b}, t, "randomly initialised", n + 1);
        line[n++].dashed = true;
        fig_lines(f, fig_cell(f, 1, TASKS, (int)t), n, line,
                  (PlotStyle){.title = TITLE[t],
                              .letter = LETTER[t],
                              .x = {.title = "layer", .whole = true},
                              .y = {.title = t ? NULL : "test accuracy (%)"}});
    }
    return fig_close(f);
}

/* ---- few examples ---- */

static double mean_at(const StudyResults *x, StudyJob like, bool jit)
{
    const StudyOutcome *out[STUDY_SEEDS];
    double sum = 0;
    int n = study_cell(out, x, like);
    for (int i = 0; i < n; i++) sum += jit ? out[i]->auc : out[i]->written[0][B_NORM];
    return sum / n;
}

/* Draws the test score by the number of training examples, for each method. */
static Status draw_few(Run *r, const Study *s, const StudyResults *x, int b)
{
    Arena *a = run_arena(r);
    double size[RUN_LIST + 1];
    int sizes = run_list(r, "sizes", size), panels = s->base[b].writes ? 2 : 1;
    Fig *f = run_figure(r, file_name(r, s, b, "few-examples"),
                        str_print(a, "Learning from few examples; the last point is all of them.  Mean of %d seed%s.",
                                  s->seeds, s->seeds == 1 ? "" : "s"),
                        panels == 2 ? 440 : 240, 190);
    for (int panel = 0; panel < panels; panel++) {
        bool jit = !panel;
        int64_t all = jit ? s->commits[SPLIT_TRAIN].n : s->language[0].n[SPLIT_TRAIN];
        if (!jit && s->pairs < all) all = s->pairs;
        Series line[MOST_METHODS];
        for (int m = 0; m < s->methods; m++) {
            Tensor at = tensor_new(a, F64, SHAPE(sizes + 1)), y = tensor_new(a, F64, SHAPE(sizes + 1));
            for (int k = 0; k <= sizes; k++) {
                StudyJob like = {.task = jit ? STUDY_JIT : STUDY_CMG, .base = b, .method = m};
                if (jit) like.head = s->head[s->heads - 1];
                like.size = k < sizes ? (int64_t)size[k] : 0;
                tensor_set(at, k, k < sizes ? size[k] : (double)all);
                tensor_set(y, k, mean_at(x, like, jit));
            }
            line[m] = (Series){.x = at, .y = y, .label = s->method[m].name, .colour = m + 1, .marked = true};
        }
        fig_lines(f, fig_cell(f, 1, panels, panel), s->methods, line,
                  (PlotStyle){.title = jit ? "JIT-DP" : str_print(a, "CMG, %s", s->language[0].name),
                              .letter = panels == 2 ? (jit ? "a" : "b") : NULL,
                              .x = {.title = "training examples", .log = true},
                              .y = {.title = jit ? "AUC" : "B-Norm"}});
    }
    return fig_close(f);
}

/* ---- languages ---- */

/* Draws B-Norm as a heat map of training language by test language, for each method. */
static Status draw_languages(Run *r, const Study *s, const StudyResults *x, int b)
{
    Arena *a = run_arena(r);
    int n = s->languages;
    if (n < 2) return OK;
    const char **name = NEW(a, const char *, n);
    for (int l = 0; l < n; l++) name[l] = s->language[l].name;
    Tensor map[MOST_METHODS];
    HeatStyle style[MOST_METHODS];
    for (int m = 0; m < s->methods; m++) {
        map[m] = tensor_new(a, F64, SHAPE(n, n));
        style[m] = (HeatStyle){.title = s->method[m].name,
                               .row = m ? NULL : name,
                               .col = name,
                               .row_title = m ? NULL : "trained on",
                               .col_title = "tested on",
                               .bar = m == s->methods - 1,
                               .bar_title = "B-Norm"};
        for (int l = 0; l < n; l++) {
            const StudyOutcome *out[STUDY_SEEDS];
            int seeds = study_cell(out, x, (StudyJob){.task = STUDY_CMG, .base = b, .method = m, .language = l});
            for (int to = 0; to < n; to++) {
                double sum = 0;
                for (int i = 0; i < seeds; i++) sum += out[i]->written[to][B_NORM];
                tensor_set(map[m], l * n + to, sum / seeds);
            }
        }
    }
    Fig *f = run_figure(r, file_name(r, s, b, "languages"),
                        "B-Norm of messages by language trained on and tested on; mean over seeds.", 520, 150);
    fig_heatmaps(f, fig_whole(f), s->methods, map, style);
    return fig_close(f);
}

/* ---- forgetting ---- */

/* Draws the rise of the denoising loss after tuning, for each method and task. */
static Status draw_forgetting(Run *r, const Study *s, const StudyResults *x, int b)
{
    Arena *a = run_arena(r);
    const StudyOutcome *out[STUDY_SEEDS];
    if (!study_cell(out, x, (StudyJob){.task = STUDY_UNTUNED, .base = b}) || !isfinite(out[0]->forgot)) return OK;
    double before = out[0]->forgot;
    const char **name = NEW(a, const char *, s->methods);
    Series bar[2];
    for (int k = 0; k < 2; k++) {
        Tensor y = tensor_new(a, F64, SHAPE(s->methods));
        for (int m = 0; m < s->methods; m++) {
            StudyJob like = {.task = k ? STUDY_CMG : STUDY_JIT, .base = b, .method = m};
            if (!k) like.head = s->head[s->heads - 1];
            double sum = 0;
            int n = study_cell(out, x, like);
            for (int i = 0; i < n; i++) sum += out[i]->forgot;
            tensor_set(y, m, sum / n - before);
            name[m] = s->method[m].name;
        }
        bar[k] = (Series){.y = y, .label = k ? "after CMG" : "after JIT-DP"};
    }
    Fig *f = run_figure(r, file_name(r, s, b, "forgetting"),
                        str_print(a,
                                  "Forgetting: the denoising loss on pretraining text minus the untuned model's "
                                  "%.3f nats.  Mean over seeds.",
                                  before),
                        300, 180);
    fig_bars(f, fig_whole(f), 2, bar, name,
             (PlotStyle){.y = {.title = "rise of the loss (nats)"}, .values = true, .decimals = 2});
    return fig_close(f);
}

Status study_figures(Run *r, const Study *s, const StudyResults *x)
{
    for (int b = 0; b < s->bases; b++) {
        TRY(draw_layers(r, s, x, b, STUDY_JIT));
        if (s->base[b].writes) TRY(draw_layers(r, s, x, b, STUDY_CMG));
        TRY(draw_few(r, s, x, b));
        if (s->base[b].writes) TRY(draw_languages(r, s, x, b));
        TRY(draw_forgetting(r, s, x, b));
    }
    return OK;
}
